/* SPDX-License-Identifier: MIT */
/*
 * The algorithms of RFC 9651 4.2 for a Dictionary, byte by byte:
 *
 *   dictionary = member *( OWS "," OWS member )        nothing at all is an empty Dictionary
 *   member     = key [ "=" ( item / inner-list ) ] parameters
 *   inner-list = "(" *SP [ item parameters *( 1*SP item parameters ) *SP ] ")"
 *   parameters = *( ";" *SP key [ "=" item ] )
 *   item       = integer 42 / decimal 4.2 / string "x" / token x / bytes :eA==: / boolean ?1 /
 *                date @42 / display string %"x%c3%a9"
 *
 * Nothing nests deeper than an item in an inner list, so nothing here recurses. Several lines are
 * one value with ", " between them (RFC 9651 4.2), which may fall into a string; the joined value
 * never stands in memory: peek() and skip() step from line to line.
 *
 * Own code because Debian packages no C library for Structured Fields; what there is in C is meant
 * to be copied into programs or is part of a server. Date and Display String are younger than RFC
 * 9213, which cites RFC 8941; its successor is read here, so that a member of a new type does not
 * make a field worthless.
 */
#include "brim/http/structured.h"

#include "brim/base/invariant.h"

#define INTEGER_DIGITS  15 /* RFC 9651 3.3.1 */
#define DECIMAL_WHOLE   12 /* 3.3.2 */
#define DECIMAL_PARTS   3
#define END             (-1)
#define SEPARATOR       ", "
#define SEPARATOR_BYTES (sizeof(SEPARATOR) - 1)

/* ---- input ---- */

static size_t next_line(const struct brim_structured *in, size_t from)
{
    while (from < in->fields.count && !brim_str_is(in->fields.items[from].name, in->name))
        from++;
    return from;
}

/* The next byte, or END. */
static int peek(const struct brim_structured *in)
{
    struct brim_str line;

    if (in->field >= in->fields.count)
        return END;
    line = in->fields.items[in->field].value;
    if (in->offset < line.len)
        return (unsigned char)line.base[in->offset];
    if (next_line(in, in->field + 1) >= in->fields.count)
        return END;
    return SEPARATOR[in->offset - line.len];
}

static void skip(struct brim_structured *in)
{
    in->offset++;
    if (in->offset == in->fields.items[in->field].value.len + SEPARATOR_BYTES) {
        in->field = next_line(in, in->field + 1);
        in->offset = 0;
    }
}

static bool skip_if(struct brim_structured *in, int byte)
{
    if (peek(in) != byte)
        return false;
    skip(in);
    return true;
}

static void skip_spaces(struct brim_structured *in)
{
    while (skip_if(in, ' ')) {
    }
}

static void skip_ows(struct brim_structured *in)
{
    while (skip_if(in, ' ') || skip_if(in, '\t')) {
    }
}

/* ---- bytes ---- */

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static bool is_lower(int c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_alpha(int c)
{
    return is_lower(c) || (c >= 'A' && c <= 'Z');
}

static bool is_key_byte(int c)
{
    return is_lower(c) || is_digit(c) || c == '_' || c == '-' || c == '.' || c == '*';
}

static bool is_token_byte(int c)
{
    char byte = (char)c;

    return c == ':' || c == '/' || (c != END && brim_field_name_is_valid(brim_str(&byte, 1)));
}

static bool is_base64_byte(int c)
{
    return is_alpha(c) || is_digit(c) || c == '+' || c == '/';
}

static unsigned base64_value(int c) /* of a base64 byte: RFC 4648 4 */
{
    return (unsigned)(c == '+'      ? 62
                      : c == '/'    ? 63
                      : is_digit(c) ? c - '0' + 52
                      : is_lower(c) ? c - 'a' + 26
                                    : c - 'A');
}

static int hex_value(int c) /* lower-case only: RFC 9651 4.2.10 */
{
    return is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* ---- items: each reads one and says whether it is valid ---- */

static void keep(struct brim_structured_member *member, int byte)
{
    if (member->text_len < sizeof(member->text))
        member->text[member->text_len++] = (char)byte;
    else
        member->is_cut = true;
}

static bool read_number(struct brim_structured *in, struct brim_structured_member *member)
{
    bool negative = skip_if(in, '-');
    int64_t value = 0;
    size_t digits = 0, parts = 0;

    for (; is_digit(peek(in)); skip(in)) {
        if (++digits > INTEGER_DIGITS)
            return false;
        value = value * 10 + (peek(in) - '0');
    }
    if (digits == 0)
        return false;
    member->type = BRIM_STRUCTURED_INTEGER;
    member->integer = negative ? -value : value;
    if (!skip_if(in, '.'))
        return true;
    member->type = BRIM_STRUCTURED_OTHER;
    for (; is_digit(peek(in)); skip(in))
        if (++parts > DECIMAL_PARTS)
            return false;
    return digits <= DECIMAL_WHOLE && parts > 0;
}

/* Behind the opening quote. */
static bool read_string(struct brim_structured *in, struct brim_structured_member *member)
{
    member->type = BRIM_STRUCTURED_STRING;
    for (;;) {
        int c = peek(in);

        if (c == END)
            return false;
        skip(in);
        if (c == '"')
            return true;
        if (c == '\\') {
            c = peek(in);
            if (c != '"' && c != '\\')
                return false;
            skip(in);
        } else if (c < 0x20 || c >= 0x7f) {
            return false;
        }
        keep(member, c);
    }
}

static bool read_token(struct brim_structured *in, struct brim_structured_member *member)
{
    member->type = BRIM_STRUCTURED_TOKEN;
    for (; is_token_byte(peek(in)); skip(in))
        keep(member, peek(in));
    return true;
}

/* Behind the first colon. Padding may be left out, as 4.2.7 advises; bytes that no encoder would
 * have written (a single digit left over, "=" in the middle) are not valid. */
static bool read_bytes(struct brim_structured *in, struct brim_structured_member *member)
{
    size_t digits = 0, padding = 0;
    unsigned bits = 0;

    member->type = BRIM_STRUCTURED_BYTES;
    for (; is_base64_byte(peek(in)); skip(in)) {
        bits = (bits << 6 | base64_value(peek(in))) & 0xffffffu;
        if (digits++ % 4 != 0) /* 6, 12, 18, 24 bits: a byte is whole from the second digit on */
            keep(member, (int)(bits >> (6 - 2 * ((digits - 1) % 4)) & 0xff));
    }
    for (; peek(in) == '='; skip(in))
        padding++;
    if (!skip_if(in, ':') || digits % 4 == 1)
        return false;
    return padding == 0 || (digits + padding) % 4 == 0;
}

/* How many bytes of UTF-8 follow this first one; -1: it is none. */
static int utf8_more(int c)
{
    if (c < 0x80)
        return 0;
    return c >= 0xc2 && c <= 0xdf   ? 1
           : c >= 0xe0 && c <= 0xef ? 2
           : c >= 0xf0 && c <= 0xf4 ? 3
                                    : -1;
}

/* Whether a second byte is right behind its first: no overlong form, surrogate, or above U+10FFFF
 * (RFC 3629 4). */
static bool utf8_second(int first, int second)
{
    int low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    int high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;

    return second >= low && second <= high;
}

/* Behind the percent sign. */
static bool read_hex(struct brim_structured *in, int *byte_out)
{
    int high = hex_value(peek(in)), low;

    *byte_out = 0;
    if (high < 0)
        return false;
    skip(in);
    low = hex_value(peek(in));
    if (low < 0)
        return false;
    skip(in);
    *byte_out = high * 16 + low;
    return true;
}

/* Behind %" (RFC 9651 4.2.10): ASCII, with UTF-8 in percent encoding. */
static bool read_display_string(struct brim_structured *in)
{
    int first = 0, more = 0; /* of the character that is read */
    bool second = false;

    for (;;) {
        int c = peek(in);

        if (c < 0x20 || c >= 0x7f) /* END too */
            return false;
        skip(in);
        if (c == '"')
            return more == 0;
        if (c == '%' && !read_hex(in, &c))
            return false;
        if (more == 0) {
            first = c;
            more = utf8_more(c);
            second = true;
            if (more < 0)
                return false;
        } else {
            if (second ? !utf8_second(first, c) : c < 0x80 || c > 0xbf)
                return false;
            second = false;
            more--;
        }
    }
}

static bool read_date(struct brim_structured *in, struct brim_structured_member *member)
{
    bool valid = read_number(in, member) && member->type == BRIM_STRUCTURED_INTEGER;

    member->type = BRIM_STRUCTURED_OTHER;
    return valid;
}

static bool read_boolean(struct brim_structured *in, struct brim_structured_member *member)
{
    member->type = BRIM_STRUCTURED_BOOLEAN;
    member->boolean = peek(in) == '1';
    return skip_if(in, '1') || skip_if(in, '0');
}

static bool read_item(struct brim_structured *in, struct brim_structured_member *member)
{
    int c = peek(in);

    member->type = BRIM_STRUCTURED_OTHER;
    if (c == '-' || is_digit(c))
        return read_number(in, member);
    if (c == '*' || is_alpha(c))
        return read_token(in, member);
    if (c == END)
        return false;
    skip(in);
    switch (c) {
    case '"':
        return read_string(in, member);
    case ':':
        return read_bytes(in, member);
    case '?':
        return read_boolean(in, member);
    case '@':
        return read_date(in, member);
    case '%':
        return skip_if(in, '"') && read_display_string(in);
    default:
        return false;
    }
}

/* ---- keys, parameters, members ---- */

static bool read_key(struct brim_structured *in, struct brim_structured_member *member)
{
    int c = peek(in);

    if (!is_lower(c) && c != '*')
        return false;
    for (; is_key_byte(peek(in)); skip(in))
        if (member->key_len < sizeof(member->key))
            member->key[member->key_len++] = (char)peek(in);
    return true;
}

static bool read_parameters(struct brim_structured *in)
{
    while (skip_if(in, ';')) {
        struct brim_structured_member dropped;

        dropped.key_len = dropped.text_len = 0;
        skip_spaces(in);
        if (!read_key(in, &dropped) || (skip_if(in, '=') && !read_item(in, &dropped)))
            return false;
    }
    return true;
}

/* Behind the opening parenthesis. The items' texts run together in member, a NUL behind each: no
 * String has one inside. */
static bool read_inner_list(struct brim_structured *in, struct brim_structured_member *member)
{
    bool is_strings = true;

    for (;;) {
        skip_spaces(in);
        if (skip_if(in, ')')) {
            member->type = is_strings ? BRIM_STRUCTURED_STRINGS : BRIM_STRUCTURED_OTHER;
            return true;
        }
        if (!read_item(in, member) || !read_parameters(in))
            return false;
        is_strings &= member->type == BRIM_STRUCTURED_STRING;
        keep(member, '\0');
        if (peek(in) != ' ' && peek(in) != ')')
            return false;
    }
}

static bool read_member(struct brim_structured *in, struct brim_structured_member *member)
{
    if (!read_key(in, member))
        return false;
    if (!skip_if(in, '=')) {
        member->type = BRIM_STRUCTURED_BOOLEAN;
        member->boolean = true;
    } else if (skip_if(in, '(')) {
        if (!read_inner_list(in, member))
            return false;
    } else if (!read_item(in, member)) {
        return false;
    }
    return read_parameters(in);
}

struct brim_structured brim_structured_open(struct brim_fields fields, struct brim_str name)
{
    struct brim_structured in = {.fields = fields, .name = name};

    in.field = next_line(&in, 0);
    return in;
}

/* Steps over the comma in front of a member. False: there is none, or no member behind it. */
static bool reach_member(struct brim_structured *in)
{
    if (!in->started) {
        in->started = true;
        skip_spaces(in);
        return peek(in) != END;
    }
    skip_ows(in);
    if (peek(in) == END)
        return false;
    in->failed = !skip_if(in, ',');
    skip_ows(in);
    in->failed |= peek(in) == END; /* a comma at the end */
    return !in->failed;
}

bool brim_structured_next(struct brim_structured *in, struct brim_structured_member *member_out)
{
    *member_out = (struct brim_structured_member){.type = BRIM_STRUCTURED_OTHER};
    INVARIANT(in->field <= in->fields.count);
    if (in->failed || !reach_member(in))
        return false;
    in->failed = !read_member(in, member_out);
    return !in->failed;
}

bool brim_structured_item(struct brim_fields fields, struct brim_str name,
                          struct brim_structured_member *item_out)
{
    struct brim_structured in = brim_structured_open(fields, name);

    *item_out = (struct brim_structured_member){.type = BRIM_STRUCTURED_OTHER};
    skip_spaces(&in);
    if (!read_item(&in, item_out) || !read_parameters(&in))
        return false;
    skip_spaces(&in);
    return peek(&in) == END;
}
