/* SPDX-License-Identifier: MIT */
#include "brim/http/dictionary.h"

#include "brim/base/invariant.h"
#include "brim/http/structured.h"
#include "brim/http/uri.h"
#include "brim/http/weight.h"

#define WINDOW_LOG_MIN   10 /* Zstandard's smallest: 1 KiB */
#define WINDOW_BYTES_MIN (8u << 20)
#define WINDOW_BYTES_MAX (128u << 20)

/* ---- what a response says ---- */

static struct brim_str text_of(const struct brim_structured_member *member)
{
    return brim_str(member->text, member->text_len);
}

/* What the members seen so far say; a key that comes again counts as it comes last. */
struct offer {
    struct brim_dictionary_terms *terms;
    struct brim_str url;
    enum brim_err match; /* ENOENT: not there yet */
    bool is_refused;
};

static void take_dests(const struct brim_structured_member *member, struct offer *offer)
{
    struct brim_dictionary_terms *terms = offer->terms;

    if (member->type != BRIM_STRUCTURED_STRINGS || member->text_len > sizeof(terms->dests)) {
        offer->is_refused = true;
        return;
    }
    memcpy(terms->dests, member->text, member->text_len);
    terms->dests_len = member->text_len;
}

static void take_id(const struct brim_structured_member *member, struct offer *offer)
{
    if (member->type != BRIM_STRUCTURED_STRING) {
        offer->is_refused = true;
        return;
    }
    memcpy(offer->terms->id, member->text, member->text_len);
    offer->terms->id_len = member->text_len;
}

static void take_member(const struct brim_structured_member *member, struct offer *offer)
{
    struct brim_str key = brim_str(member->key, member->key_len);
    bool is_known = true;

    if (brim_str_is(key, BRIM_STR("match"))) {
        offer->match =
            member->type != BRIM_STRUCTURED_STRING
                ? BRIM_EINVAL
                : brim_url_pattern_compile(text_of(member), offer->url, &offer->terms->match);
    } else if (brim_str_is(key, BRIM_STR("match-dest"))) {
        take_dests(member, offer);
    } else if (brim_str_is(key, BRIM_STR("id"))) {
        take_id(member, offer);
    } else if (brim_str_is(key, BRIM_STR("type"))) {
        offer->is_refused |=
            member->type != BRIM_STRUCTURED_TOKEN || !brim_str_is(text_of(member), BRIM_STR("raw"));
    } else {
        is_known = false;
    }
    offer->is_refused |= is_known && member->is_cut;
}

enum brim_err brim_dictionary_terms(struct brim_fields response, struct brim_str url,
                                    struct brim_dictionary_terms *terms_out)
{
    struct brim_str name = BRIM_STR("use-as-dictionary");
    struct brim_structured in = brim_structured_open(response, name);
    struct brim_structured_member member;
    struct offer offer = {.terms = terms_out, .url = url, .match = BRIM_ENOENT};

    terms_out->dests_len = terms_out->id_len = 0;
    if (brim_fields_find(response, name) == NULL)
        return BRIM_ENOENT;
    while (brim_structured_next(&in, &member))
        take_member(&member, &offer);
    if (in.failed || offer.is_refused || offer.match == BRIM_ENOENT)
        return BRIM_EINVAL;
    return offer.match;
}

/* ---- what a request says ---- */

bool brim_dictionary_is_secure(struct brim_str url)
{
    struct brim_uri uri;
    struct brim_str host;
    uint16_t port;

    if (!brim_uri_parse(url, &uri) || !brim_uri_parse_authority(uri.authority, &host, &port))
        return false;
    return brim_str_is(uri.scheme, BRIM_STR("https")) ||
           brim_str_is_nocase(host, BRIM_STR("localhost")) ||
           brim_str_is(host, BRIM_STR("127.0.0.1")) || brim_str_is(host, BRIM_STR("[::1]"));
}

bool brim_dictionary_available(struct brim_fields request, struct brim_dictionary_hash *hash_out)
{
    struct brim_structured_member item;

    memset(hash_out, 0, sizeof(*hash_out));
    if (brim_fields_only(request, BRIM_STR("available-dictionary")) == NULL ||
        !brim_structured_item(request, BRIM_STR("available-dictionary"), &item) ||
        item.type != BRIM_STRUCTURED_BYTES || item.text_len != sizeof(hash_out->bytes))
        return false;
    memcpy(hash_out->bytes, item.text, sizeof(hash_out->bytes));
    return true;
}

bool brim_dictionary_is_accepted(struct brim_fields request, struct brim_str coding)
{
    struct brim_list_cursor cursor = {0};
    struct brim_str member;

    while (brim_fields_next_member(request, BRIM_STR("accept-encoding"), &cursor, &member)) {
        struct brim_weighted one = brim_weighted_parse(member);

        if (brim_str_is_nocase(one.token, coding))
            return one.weight > 0;
    }
    return false;
}

/* A client that knows no destinations sends none, and uses the dictionary for all (2.1.2). */
static bool is_for_dest(const struct brim_dictionary_terms *terms, struct brim_fields request)
{
    const struct brim_field *dest = brim_fields_only(request, BRIM_STR("sec-fetch-dest"));
    size_t at = 0;

    if (terms->dests_len == 0 || dest == NULL)
        return true;
    while (at < terms->dests_len) {
        struct brim_str one = brim_str_of(terms->dests + at);
        struct brim_str sent = dest->value;

        /* The destination of fetch() is the empty string; the field calls it "empty". */
        if (brim_str_is(sent, one) || (one.len == 0 && brim_str_is(sent, BRIM_STR("empty"))))
            return true;
        at += one.len + 1;
    }
    return false;
}

/* The id comes back as it was given, or none where none was (2.3). */
static bool has_id(const struct brim_dictionary_terms *terms, struct brim_fields request)
{
    struct brim_str name = BRIM_STR("dictionary-id");
    struct brim_structured_member item;

    if (brim_fields_find(request, name) == NULL)
        return true; /* the hash says which it is; the id is only for servers that look by it */
    return brim_structured_item(request, name, &item) && item.type == BRIM_STRUCTURED_STRING &&
           !item.is_cut && brim_str_is(text_of(&item), brim_str(terms->id, terms->id_len));
}

bool brim_dictionary_is_for(const struct brim_dictionary_use *use)
{
    return brim_uri_is_same_origin(use->dictionary_url, use->request_url) &&
           brim_dictionary_is_secure(use->request_url) &&
           brim_url_pattern_matches(&use->terms->match, use->request_url) &&
           is_for_dest(use->terms, use->request) && has_id(use->terms, use->request);
}

static bool says(const struct brim_field *field, struct brim_str value)
{
    return field != NULL && brim_str_is(field->value, value);
}

bool brim_dictionary_is_readable(struct brim_fields request, struct brim_fields response)
{
    const struct brim_field *site = brim_fields_find(request, BRIM_STR("sec-fetch-site"));
    const struct brim_field *mode = brim_fields_find(request, BRIM_STR("sec-fetch-mode"));
    const struct brim_field *origin = brim_fields_only(request, BRIM_STR("origin"));
    const struct brim_field *allowed =
        brim_fields_only(response, BRIM_STR("access-control-allow-origin"));

    if (site == NULL || says(site, BRIM_STR("same-origin")) || mode == NULL)
        return true;
    if (says(mode, BRIM_STR("navigate")) || says(mode, BRIM_STR("same-origin")))
        return true;
    if (!says(mode, BRIM_STR("cors")) || allowed == NULL || origin == NULL)
        return false;
    return says(allowed, BRIM_STR("*")) || says(allowed, origin->value);
}

/* ---- what stands in front of a body ---- */

void brim_dictionary_put_dcz(const struct brim_dictionary_hash *hash,
                             unsigned char out[BRIM_DICTIONARY_DCZ_BYTES])
{
    static const unsigned char magic[] = {0x5e, 0x2a, 0x4d, 0x18, BRIM_DICTIONARY_HASH_BYTES,
                                          0,    0,    0};

    _Static_assert(sizeof(magic) + sizeof(hash->bytes) == BRIM_DICTIONARY_DCZ_BYTES, "header");
    memcpy(out, magic, sizeof(magic));
    memcpy(out + sizeof(magic), hash->bytes, sizeof(hash->bytes));
}

void brim_dictionary_put_dcb(const struct brim_dictionary_hash *hash,
                             unsigned char out[BRIM_DICTIONARY_DCB_BYTES])
{
    static const unsigned char magic[] = {0xff, 0x44, 0x43, 0x42};

    _Static_assert(sizeof(magic) + sizeof(hash->bytes) == BRIM_DICTIONARY_DCB_BYTES, "header");
    memcpy(out, magic, sizeof(magic));
    memcpy(out + sizeof(magic), hash->bytes, sizeof(hash->bytes));
}

/* 1.25 times the dictionary, at least 8 MiB, at most 128 MiB. */
static size_t window_limit(size_t dictionary_bytes)
{
    if (dictionary_bytes >= WINDOW_BYTES_MAX)
        return WINDOW_BYTES_MAX;
    size_t limit = dictionary_bytes + dictionary_bytes / 4;
    return limit < WINDOW_BYTES_MIN   ? WINDOW_BYTES_MIN
           : limit > WINDOW_BYTES_MAX ? WINDOW_BYTES_MAX
                                      : limit;
}

unsigned brim_dictionary_window_log(size_t dictionary_bytes, size_t body_bytes)
{
    size_t limit = window_limit(dictionary_bytes);
    unsigned log = WINDOW_LOG_MIN;

    while (((size_t)1 << log) < body_bytes && ((size_t)2 << log) <= limit)
        log++;
    INVARIANT(((size_t)1 << log) <= WINDOW_BYTES_MAX);
    return log;
}
