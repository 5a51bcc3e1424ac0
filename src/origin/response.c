/* SPDX-License-Identifier: MIT */
#include "brim/origin/response.h"

#include <stdlib.h>

#include "brim/base/invariant.h"

#define INTERIM_MAX 16u /* 1xx responses before the final one */

enum stage { STATUS_LINE, FIELDS, DONE };

/* Offsets, because text moves as it grows. */
struct place {
    size_t name;
    size_t name_len;
    size_t value;
    size_t value_len;
};

struct brim_response {
    struct brim_response_limits limits;
    enum stage stage;
    unsigned status;
    unsigned minor; /* HTTP/1.minor */
    bool is_http2;
    unsigned interim;
    char *text;
    size_t text_len;
    size_t text_room;
    struct place *places;
    struct brim_field *fields;
    size_t count;
    uint64_t length;
    bool has_length;
    bool is_chunked;
    const char *fault;
    enum brim_err err;
};

struct brim_response *brim_response_new(const struct brim_response_limits *limits)
{
    struct brim_response *r = calloc(1, sizeof(*r));

    if (r == NULL)
        return NULL;
    r->limits = *limits;
    r->places = calloc(limits->header_count_max + 1, sizeof(*r->places));
    r->fields = calloc(limits->header_count_max + 1, sizeof(*r->fields));
    if (r->places == NULL || r->fields == NULL) {
        brim_response_free(r);
        return NULL;
    }
    brim_response_reset(r);
    return r;
}

void brim_response_free(struct brim_response *r)
{
    if (r == NULL)
        return;
    free(r->text);
    free(r->places);
    free(r->fields);
    free(r);
}

static void begin_block(struct brim_response *r)
{
    r->stage = STATUS_LINE;
    r->status = 0;
    r->text_len = 0;
    r->count = 0;
    r->length = UINT64_MAX;
    r->has_length = false;
    r->is_chunked = false;
}

void brim_response_reset(struct brim_response *r)
{
    begin_block(r);
    r->interim = 0;
    r->fault = NULL;
    r->err = BRIM_OK;
}

static enum brim_response_got bad(struct brim_response *r, enum brim_err err, const char *fault)
{
    r->err = err;
    r->fault = fault;
    return BRIM_RESPONSE_BAD;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* libcurl writes a status line for HTTP/2 too: "HTTP/2 200 ". Made into that of HTTP/1.1. */
static struct brim_str without_http2(struct brim_response *r, struct brim_str line,
                                     char room[12 + 1])
{
    r->is_http2 = r->limits.may_be_http2 && line.len >= 10 && line.len <= 11 &&
                  memcmp(line.base, "HTTP/2 ", 7) == 0;
    if (!r->is_http2)
        return line;
    memcpy(room, "HTTP/1.1 ", 9);
    memcpy(room + 9, line.base + 7, line.len - 7);
    return brim_str(room, line.len + 2);
}

/* HTTP/1.x SP 3DIGIT [SP reason] (RFC 9112 4). The space before an empty reason is often left
 * out; that cannot be misread. */
static enum brim_response_got take_status(struct brim_response *r, struct brim_str line)
{
    char room[12 + 1];
    const char *c;

    line = without_http2(r, line, room);
    c = line.base;
    if (line.len < 12 || memcmp(c, "HTTP/1.", 7) != 0 || !is_digit(c[7]) || c[8] != ' ' ||
        !is_digit(c[9]) || !is_digit(c[10]) || !is_digit(c[11]) || (line.len > 12 && c[12] != ' '))
        return bad(r, BRIM_EPROTO, "status line not valid");
    if (!brim_field_value_is_valid(brim_str(c + 12, line.len - 12)))
        return bad(r, BRIM_EPROTO, "control byte in the status line");
    r->minor = (unsigned)(c[7] - '0');
    r->status = (unsigned)((c[9] - '0') * 100 + (c[10] - '0') * 10 + (c[11] - '0'));
    if (r->status < 100 || r->status > 999 || r->status == 101)
        return bad(r, BRIM_EPROTO, "status out of range or not asked for");
    r->stage = FIELDS;
    return BRIM_RESPONSE_MORE;
}

static bool grow_text(struct brim_response *r, size_t more)
{
    size_t room = r->text_room == 0 ? 2048 : r->text_room;
    char *text;

    while (room < r->text_len + more)
        room *= 2;
    if (room == r->text_room)
        return true;
    text = realloc(r->text, room);
    if (text == NULL)
        return false;
    r->text = text;
    r->text_room = room;
    return true;
}

static void append_lower(struct brim_response *r, struct brim_str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.base[i];
        r->text[r->text_len++] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
}

static const char *check_length(struct brim_response *r, struct brim_str value)
{
    int64_t length = brim_str_number(value, BRIM_NUMBER_DIGITS);

    if (r->has_length)
        return "Content-Length given twice";
    if (length < 0)
        return "Content-Length not valid";
    r->has_length = true;
    r->length = (uint64_t)length;
    return NULL;
}

static const char *check_framing(struct brim_response *r, struct brim_str name,
                                 struct brim_str value)
{
    if (brim_str_is_nocase(name, BRIM_STR("content-length")))
        return check_length(r, value);
    if (!brim_str_is_nocase(name, BRIM_STR("transfer-encoding")))
        return NULL;
    if (r->is_chunked)
        return "Transfer-Encoding given twice";
    if (!brim_str_is_nocase(value, BRIM_STR("chunked")))
        return "unknown transfer coding";
    if (r->minor == 0)
        return "Transfer-Encoding on HTTP/1.0";
    if (r->is_http2)
        return "Transfer-Encoding in HTTP/2";
    r->is_chunked = true;
    return NULL;
}

static enum brim_response_got take_field(struct brim_response *r, struct brim_str line)
{
    const char *colon = memchr(line.base, ':', line.len);
    struct brim_str name, value;
    const char *fault;
    struct place *place;

    if (colon == NULL)
        return bad(r, BRIM_EPROTO, "header line without a colon");
    name = brim_str(line.base, (size_t)(colon - line.base));
    value = brim_str_trim(brim_str(colon + 1, line.len - name.len - 1));
    if (!brim_field_name_is_valid(name))
        return bad(r, BRIM_EPROTO, "header field name not valid, or a folded line");
    if (!brim_field_value_is_valid(value))
        return bad(r, BRIM_EPROTO, "control byte in a header field");
    fault = check_framing(r, name, value);
    if (fault != NULL)
        return bad(r, BRIM_EPROTO, fault);
    if (r->count == r->limits.header_count_max)
        return bad(r, BRIM_EPROTO, "too many header fields");
    if (!grow_text(r, name.len + value.len))
        return bad(r, BRIM_ENOMEM, "out of memory");
    place = &r->places[r->count++];
    *place = (struct place){r->text_len, name.len, r->text_len + name.len, value.len};
    append_lower(r, name);
    if (value.len > 0)
        memcpy(r->text + r->text_len, value.base, value.len);
    r->text_len += value.len;
    return BRIM_RESPONSE_MORE;
}

static enum brim_response_got end_block(struct brim_response *r)
{
    if (r->has_length && r->is_chunked)
        return bad(r, BRIM_EPROTO, "Content-Length beside Transfer-Encoding");
    if (r->status >= 200) {
        r->stage = DONE;
        return BRIM_RESPONSE_FINAL;
    }
    if (++r->interim > INTERIM_MAX)
        return bad(r, BRIM_EPROTO, "too many interim responses");
    begin_block(r);
    return BRIM_RESPONSE_MORE;
}

enum brim_response_got brim_response_line(struct brim_response *r, struct brim_str line)
{
    if (r->err != BRIM_OK)
        return BRIM_RESPONSE_BAD;
    if (r->stage == DONE)
        return BRIM_RESPONSE_MORE; /* trailers */
    if (line.len < 2 || line.base[line.len - 2] != '\r' || line.base[line.len - 1] != '\n')
        return bad(r, BRIM_EPROTO, "header line not ended by CRLF");
    line.len -= 2;
    if (r->text_len + line.len > r->limits.header_bytes_max)
        return bad(r, BRIM_EPROTO, "header too large");
    if (r->stage == STATUS_LINE)
        return take_status(r, line);
    return line.len == 0 ? end_block(r) : take_field(r, line);
}

enum brim_http_version brim_response_version(const struct brim_response *r)
{
    if (r->is_http2)
        return BRIM_HTTP_2;
    return r->minor == 0 ? BRIM_HTTP_1_0 : BRIM_HTTP_1_1;
}

unsigned brim_response_status(const struct brim_response *r)
{
    return r->status;
}

struct brim_fields brim_response_fields(struct brim_response *r)
{
    for (size_t i = 0; i < r->count; i++) {
        const struct place *place = &r->places[i];

        r->fields[i].name = brim_str(r->text + place->name, place->name_len);
        r->fields[i].value = brim_str(r->text + place->value, place->value_len);
    }
    return (struct brim_fields){r->fields, r->count};
}

uint64_t brim_response_length(const struct brim_response *r)
{
    return r->has_length ? r->length : UINT64_MAX;
}

const char *brim_response_fault(const struct brim_response *r)
{
    return r->fault;
}

enum brim_err brim_response_err(const struct brim_response *r)
{
    return r->err;
}
