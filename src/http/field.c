/* SPDX-License-Identifier: MIT */
#include "brim/http/field.h"

#include "brim/base/invariant.h"

const struct brim_field *brim_fields_find(struct brim_fields fields, struct brim_str name)
{
    /* The length decides nearly every comparison, so most fields cost one load. */
    for (size_t i = 0; i < fields.count; i++) {
        const struct brim_field *field = &fields.items[i];
        if (field->name.len == name.len && memcmp(field->name.base, name.base, name.len) == 0)
            return field;
    }
    return NULL;
}

const struct brim_field *brim_fields_only(struct brim_fields fields, struct brim_str name)
{
    const struct brim_field *field = brim_fields_find(fields, name);

    if (field == NULL)
        return NULL;
    size_t seen = (size_t)(field - fields.items) + 1;
    struct brim_fields rest = {fields.items + seen, fields.count - seen};
    return brim_fields_find(rest, name) == NULL ? field : NULL;
}

/* Offset behind the quoted-string that opens at value[start], or 0 if it never closes. */
static size_t quoted_end(struct brim_str value, size_t start)
{
    for (size_t i = start + 1; i < value.len; i++) {
        if (value.base[i] == '"')
            return i + 1;
        if (value.base[i] == '\\') /* quoted-pair, RFC 9110 5.6.4 */
            i++;
    }
    return 0;
}

/* Cuts the member that starts at cursor->offset and moves the cursor behind its comma. */
static struct brim_str cut_member(struct brim_str value, struct brim_list_cursor *cursor)
{
    size_t start = cursor->offset;
    size_t i = start;

    while (i < value.len && value.base[i] != ',') {
        size_t end = value.base[i] == '"' && !cursor->unclosed ? quoted_end(value, i) : i + 1;
        if (end == 0) {
            /* Remembered for the whole line: each line is searched in vain once, not per quote. */
            cursor->unclosed = true;
            end = i + 1;
        }
        i = end;
    }
    cursor->offset = i < value.len ? i + 1 : i;
    return brim_str_trim(brim_str(value.base + start, i - start));
}

bool brim_fields_next_member(struct brim_fields fields, struct brim_str name,
                             struct brim_list_cursor *cursor, struct brim_str *member_out)
{
    *member_out = brim_str(NULL, 0);
    for (; cursor->field < fields.count; cursor->field++) {
        const struct brim_field *field = &fields.items[cursor->field];
        if (brim_str_is(field->name, name)) {
            INVARIANT(cursor->offset <= field->value.len);
            while (cursor->offset < field->value.len) {
                struct brim_str member = cut_member(field->value, cursor);
                if (member.len > 0) {
                    *member_out = member;
                    return true;
                }
            }
        }
        cursor->offset = 0;
        cursor->unclosed = false;
    }
    return false;
}

bool brim_fields_has_token(struct brim_fields fields, struct brim_str name, struct brim_str token)
{
    struct brim_list_cursor cursor = {0};
    struct brim_str member;

    while (brim_fields_next_member(fields, name, &cursor, &member)) {
        if (brim_str_is_nocase(member, token))
            return true;
    }
    return false;
}

bool brim_field_is_hop_by_hop(struct brim_str name)
{
    static const struct brim_str names[] = {
        {"te", 2},
        {"trailer", 7},
        {"upgrade", 7},
        {"connection", 10},
        {"keep-alive", 10},
        {"http2-settings", 14},
        {"proxy-connection", 16},
        {"transfer-encoding", 17},
        {"proxy-authenticate", 18},
        {"proxy-authorization", 19},
        {"proxy-authentication-info", 25},
    };

    /* shorter ones come first */
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && names[i].len <= name.len; i++) {
        if (brim_str_is(name, names[i]))
            return true;
    }
    return false;
}

static char as_variable(char c)
{
    return (char)(c == '_' ? '-' : c);
}

bool brim_field_name_is_read_as(struct brim_str name, struct brim_str other)
{
    size_t same = 0;

    if (name.len != other.len)
        return false;
    while (same < name.len && as_variable(name.base[same]) == as_variable(other.base[same]))
        same++;
    return same == name.len;
}

bool brim_field_name_is_twin(struct brim_str name, struct brim_str other)
{
    return brim_field_name_is_read_as(name, other) && !brim_str_is(name, other);
}

/* Each name is looked for once among the fields, of which there are few: the list is the client's,
 * and may be as long as a header. Connection goes last, as it says which of the others go. */
struct brim_fields brim_fields_beyond_hop(struct brim_fields fields, struct brim_field *out)
{
    static const struct brim_str connection = {"connection", 10};
    struct brim_list_cursor cursor = {0};
    struct brim_str member;
    size_t count = 0;

    if (brim_fields_find(fields, connection) == NULL)
        return fields;
    memmove(out, fields.items, fields.count * sizeof(*out));
    fields.items = out;
    while (brim_fields_next_member(fields, connection, &cursor, &member))
        for (size_t i = 0; i < fields.count; i++)
            if (brim_str_is_nocase(out[i].name, member) && !brim_str_is(out[i].name, connection))
                out[i].name = brim_str(NULL, 0); /* is to go */
    for (size_t i = 0; i < fields.count; i++)
        if (out[i].name.len > 0 && !brim_str_is(out[i].name, connection))
            out[count++] = out[i];
    return (struct brim_fields){out, count};
}

/* 0: no tchar; else the bits by which its lower case differs, beside TCHAR. */
#define TCHAR 0x01
#define UPPER 0x20
static const unsigned char tchars[256] = {
    ['!'] = TCHAR,         ['#'] = TCHAR,         ['$'] = TCHAR,
    ['%'] = TCHAR,         ['&'] = TCHAR,         ['\''] = TCHAR,
    ['*'] = TCHAR,         ['+'] = TCHAR,         ['-'] = TCHAR,
    ['.'] = TCHAR,         ['^'] = TCHAR,         ['_'] = TCHAR,
    ['`'] = TCHAR,         ['|'] = TCHAR,         ['~'] = TCHAR,
    ['0' ... '9'] = TCHAR, ['a' ... 'z'] = TCHAR, ['A' ... 'Z'] = TCHAR | UPPER,
};

bool brim_field_name_is_valid(struct brim_str name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (tchars[(unsigned char)name.base[i]] == 0)
            return false;
    }
    return name.len > 0;
}

bool brim_field_name_lower(struct brim_str name, char *lower)
{
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.base[i];

        if (tchars[c] == 0)
            return false;
        lower[i] = (char)(c | (tchars[c] & UPPER));
    }
    return name.len > 0;
}

bool brim_field_value_is_valid(struct brim_str value)
{
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.base[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}
