/* SPDX-License-Identifier: MIT */
/*
 * A Range that is not exactly right is ignored (RFC 9110 14.2 allows that for any Range): all of
 * the body is never a wrong answer. Positions that are too large for 64 bits stay valid, they only
 * lie behind the end of every body.
 */
#include "brim/http/range.h"

#include "brim/http/field.h"

/* Takes 1*DIGIT from the front of *text, no more than UINT64_MAX. */
static bool take_position(struct brim_str *text, uint64_t *position_out)
{
    uint64_t position = 0;
    size_t i = 0;

    *position_out = 0;
    for (; i < text->len && text->base[i] >= '0' && text->base[i] <= '9'; i++) {
        uint64_t digit = (uint64_t)(text->base[i] - '0');
        if (__builtin_mul_overflow(position, 10, &position) ||
            __builtin_add_overflow(position, digit, &position))
            position = UINT64_MAX;
    }
    *text = brim_str(text->base + i, text->len - i);
    *position_out = position;
    return i > 0;
}

static bool take_byte(struct brim_str *text, char want)
{
    if (text->len == 0 || text->base[0] != want)
        return false;
    *text = brim_str(text->base + 1, text->len - 1);
    return true;
}

/* Takes the range unit, a case-insensitive name (RFC 9110 14.1), and what follows it. */
static bool take_unit(struct brim_str *text, char separator)
{
    static const struct brim_str bytes = {"bytes", 5};

    if (text->len < bytes.len || !brim_str_is_nocase(brim_str(text->base, bytes.len), bytes))
        return false;
    *text = brim_str(text->base + bytes.len, text->len - bytes.len);
    return take_byte(text, separator);
}

/* int-range / suffix-range (RFC 9110 14.1.2), and nothing behind it. */
static bool take_spec(struct brim_str text, struct brim_range_spec *spec)
{
    spec->is_suffix = take_byte(&text, '-');
    if (spec->is_suffix)
        return take_position(&text, &spec->first) && text.len == 0;
    spec->last = UINT64_MAX;
    if (!take_position(&text, &spec->first) || !take_byte(&text, '-'))
        return false;
    if (text.len > 0 && (!take_position(&text, &spec->last) || text.len > 0))
        return false;
    return spec->last >= spec->first;
}

bool brim_range_spec_parse(struct brim_str value, struct brim_range_spec *spec_out)
{
    struct brim_range_spec spec = {0};
    struct brim_str member;
    struct brim_str another;
    struct brim_list_cursor cursor = {0};

    *spec_out = spec;
    /* No white space between "=" and the first member; around commas there may be some. */
    if (!take_unit(&value, '=') || value.len == 0 || value.base[0] == ' ' || value.base[0] == '\t')
        return false;
    struct brim_field field = {.value = value};
    struct brim_fields set = {&field, 1};
    if (!brim_fields_next_member(set, field.name, &cursor, &member) ||
        brim_fields_next_member(set, field.name, &cursor, &another) || !take_spec(member, &spec))
        return false;
    *spec_out = spec;
    return true;
}

static enum brim_range_verdict resolve_suffix(uint64_t suffix, uint64_t length,
                                              struct brim_range *range_out)
{
    if (suffix == 0)
        return BRIM_RANGE_UNSATISFIABLE;
    if (length == 0) /* satisfiable, but no Content-Range can say so */
        return BRIM_RANGE_NONE;
    *range_out = (struct brim_range){suffix < length ? length - suffix : 0, length - 1};
    return BRIM_RANGE_ONE;
}

enum brim_range_verdict brim_range_resolve(const struct brim_range_spec *spec, uint64_t length,
                                           struct brim_range *range_out)
{
    *range_out = (struct brim_range){0};
    if (spec->is_suffix)
        return resolve_suffix(spec->first, length, range_out);
    if (spec->first >= length)
        return BRIM_RANGE_UNSATISFIABLE;
    *range_out = (struct brim_range){spec->first, spec->last < length ? spec->last : length - 1};
    return BRIM_RANGE_ONE;
}

enum brim_range_verdict brim_range_parse(struct brim_str value, uint64_t length,
                                         struct brim_range *range_out)
{
    struct brim_range_spec spec;

    *range_out = (struct brim_range){0};
    if (!brim_range_spec_parse(value, &spec))
        return BRIM_RANGE_NONE;
    return brim_range_resolve(&spec, length, range_out);
}

bool brim_content_range_parse(struct brim_str value, struct brim_range *range_out,
                              uint64_t *length_out)
{
    struct brim_range range;
    uint64_t length = UINT64_MAX;

    *range_out = (struct brim_range){0};
    *length_out = 0;
    if (!take_unit(&value, ' ') || !take_position(&value, &range.first) ||
        !take_byte(&value, '-') || !take_position(&value, &range.last) || !take_byte(&value, '/'))
        return false;
    if (!take_byte(&value, '*') && (!take_position(&value, &length) || length == UINT64_MAX))
        return false;
    if (value.len > 0 || range.last < range.first || range.last >= length)
        return false;
    *range_out = range;
    *length_out = length;
    return true;
}
