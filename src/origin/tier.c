/* SPDX-License-Identifier: MIT */
#include "brim/origin/tier.h"

#include <stdio.h>

#include "brim/base/invariant.h"
#include "brim/base/sha256.h"
#include "brim/base/text.h"

#define SKEW_S        60
#define SIGNED_BYTES  256u
#define METHOD_BYTES  64u /* a longer one is signed by its digest */
#define NUMBER_DIGITS 12u

static struct brim_str hop_name(enum brim_tier_kind hop)
{
    return hop == BRIM_TIER_PEER ? BRIM_STR("peer") : BRIM_STR("shield");
}

static struct brim_str scheme_name(bool is_https)
{
    return is_https ? BRIM_STR("https") : BRIM_STR("http");
}

static void sign(const struct brim_secret *secret, struct brim_str front,
                 const struct brim_tier_request *request, char out[BRIM_SECRET_SIGN_BYTES])
{
    unsigned char target[BRIM_SHA256_BYTES]; /* of one length, however long the target is */
    unsigned char digest[BRIM_SHA256_BYTES];
    struct brim_str method = request->method;
    char buffer[SIGNED_BYTES];
    struct brim_text text = brim_text_in(buffer, sizeof(buffer));

    if (method.len > METHOD_BYTES) {
        brim_sha256(method.base, method.len, digest);
        method = brim_str((const char *)digest, sizeof(digest));
    }
    brim_sha256(request->target.base, request->target.len, target);
    brim_text_put(&text, BRIM_STR("brim-tier "));
    brim_text_put(&text, front);
    brim_text_put(&text, BRIM_STR(" "));
    brim_text_put(&text, method);
    brim_text_put(&text, BRIM_STR(" "));
    brim_text_put(&text, brim_str((const char *)target, sizeof(target)));
    INVARIANT(!text.is_cut);
    brim_secret_sign(secret, brim_text_str(&text), out);
}

struct brim_str brim_tier_write(const struct brim_secret *secret, const struct brim_tier_mark *mark,
                                const struct brim_tier_request *request,
                                char buffer[BRIM_TIER_MARK_BYTES])
{
    struct brim_str hop = hop_name(mark->hop), scheme = scheme_name(mark->is_https);
    int len = snprintf(buffer, BRIM_TIER_MARK_BYTES, "%.*s %.*s %lld", (int)hop.len, hop.base,
                       (int)scheme.len, scheme.base, (long long)request->now_wall_s);

    INVARIANT(len > 0 && (size_t)len + 1 + BRIM_SECRET_SIGN_BYTES <= BRIM_TIER_MARK_BYTES);
    sign(secret, brim_str(buffer, (size_t)len), request, buffer + len + 1);
    buffer[len] = ' ';
    return brim_str(buffer, (size_t)len + 1 + BRIM_SECRET_SIGN_BYTES);
}

/* Takes the next word off text; empty: there is none. */
static struct brim_str next_word(struct brim_str *text)
{
    const char *blank = text->len == 0 ? NULL : memchr(text->base, ' ', text->len);
    size_t len = blank == NULL ? text->len : (size_t)(blank - text->base);
    struct brim_str word = brim_str(text->base, len);

    if (blank != NULL)
        len++;
    *text = brim_str(text->base + len, text->len - len);
    return word;
}

bool brim_tier_read(const struct brim_secret *secret, struct brim_str text,
                    const struct brim_tier_request *request, struct brim_tier_mark *mark_out)
{
    struct brim_str rest = text, hop = next_word(&rest), scheme = next_word(&rest),
                    time = next_word(&rest);
    int64_t off_s = brim_str_number(time, NUMBER_DIGITS) - request->now_wall_s;
    char own[BRIM_SECRET_SIGN_BYTES];

    *mark_out = (struct brim_tier_mark){.hop = BRIM_TIER_ORIGIN};
    if (text.len > BRIM_TIER_MARK_BYTES || off_s < -SKEW_S || off_s > SKEW_S ||
        rest.len != sizeof(own))
        return false;
    sign(secret, brim_str(text.base, text.len - rest.len - 1), request, own);
    if (!brim_secret_is_equal(own, rest.base))
        return false;
    mark_out->hop = brim_str_is(hop, hop_name(BRIM_TIER_PEER)) ? BRIM_TIER_PEER : BRIM_TIER_SHIELD;
    mark_out->is_https = brim_str_is(scheme, scheme_name(true));
    return true;
}

/* ---- tags ---- */

struct brim_str brim_tier_write_tags(const uint64_t *tags, size_t count, char *buffer)
{
    static const char digits[] = "0123456789abcdef";
    char *at = buffer;

    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            *at++ = ' ';
        for (int shift = 60; shift >= 0; shift -= 4)
            *at++ = digits[tags[i] >> shift & 15];
    }
    return brim_str(buffer, (size_t)(at - buffer));
}

static bool read_tag(struct brim_str word, uint64_t *tag_out)
{
    uint64_t tag = 0;

    if (word.len != BRIM_TIER_TAG_BYTES - 1)
        return false;
    for (size_t i = 0; i < word.len; i++) {
        char c = word.base[i];

        if (c >= '0' && c <= '9')
            tag = tag << 4 | (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            tag = tag << 4 | (uint64_t)(c - 'a' + 10);
        else
            return false;
    }
    *tag_out = tag;
    return true;
}

bool brim_tier_read_tags(struct brim_fields response, uint64_t *tags, size_t max, size_t *count)
{
    const struct brim_field *field = brim_fields_find(response, BRIM_STR(BRIM_TIER_TAGS_FIELD));
    struct brim_str rest = field == NULL ? brim_str(NULL, 0) : field->value;

    while (rest.len > 0) {
        if (*count == max || !read_tag(next_word(&rest), &tags[*count]))
            return false;
        (*count)++;
    }
    return true;
}
