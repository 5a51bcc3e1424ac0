/* SPDX-License-Identifier: MIT */
/*
 * A cursor walks the entries of a view: fields; pairs of a query, percent-decoded when they are
 * pushed; cookies of all Cookie fields. get, all and each are that walk; set, add and remove are
 * one function per kind.
 */
#include "brim/policy/script_view.h"

#include <ctype.h>
#include <lauxlib.h>
#include <lua.h>

#include "brim/policy/script_inside.h"

#define NAME_BYTES  256
#define VALUE_BYTES (32u * 1024u)
#define QUERY_MAX   8000

struct cursor {
    size_t field;  /* headers, cookies */
    size_t offset; /* in the query, in the field's value */
};

struct entry {
    struct brim_str name;
    struct brim_str value;
};

/* name, of at most NAME_BYTES, in lower case. */
static struct brim_str lower_case(struct brim_str name, char lower[NAME_BYTES])
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.base[i];

        lower[i] = c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
    }
    return brim_str(lower, name.len);
}

/* ---- percent-encoding ---- */

static int hex_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void push_decoded(lua_State *L, struct brim_str text)
{
    luaL_Buffer out;

    luaL_buffinit(L, &out);
    for (size_t i = 0; i < text.len; i++) {
        int high = text.base[i] == '%' && i + 2 < text.len ? hex_of(text.base[i + 1]) : -1;
        int low = high >= 0 ? hex_of(text.base[i + 2]) : -1;

        if (low >= 0) {
            luaL_addchar(&out, (char)(high * 16 + low));
            i += 2;
        } else {
            luaL_addchar(&out, text.base[i] == '+' ? ' ' : text.base[i]);
        }
    }
    luaL_pushresult(&out);
}

static void add_encoded(luaL_Buffer *out, struct brim_str text)
{
    static const char digits[] = "0123456789ABCDEF";

    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.base[i];

        if (isalnum(c) || c == '-' || c == '.' || c == '_' || c == '~') {
            luaL_addchar(out, (char)c);
        } else {
            luaL_addchar(out, '%');
            luaL_addchar(out, digits[c >> 4]);
            luaL_addchar(out, digits[c & 15]);
        }
    }
}

/* ---- walking ---- */

static bool next_field(const struct brim_script_headers *headers, struct cursor *cursor,
                       struct entry *entry)
{
    if (cursor->field >= headers->count)
        return false;
    entry->name = headers->items[cursor->field].name;
    entry->value = headers->items[cursor->field].value;
    cursor->field++;
    return true;
}

/* The piece of text from *offset to the separator; past it afterwards. */
static bool next_piece(struct brim_str text, char separator, size_t *offset,
                       struct brim_str *piece_out)
{
    const char *at, *end;

    if (*offset >= text.len)
        return false;
    at = text.base + *offset;
    end = memchr(at, separator, text.len - *offset);
    *piece_out = brim_str(at, end == NULL ? text.len - *offset : (size_t)(end - at));
    *offset += piece_out->len + 1;
    return true;
}

static void split_pair(struct brim_str piece, struct entry *entry)
{
    const char *equals = memchr(piece.base, '=', piece.len);
    size_t len = equals == NULL ? piece.len : (size_t)(equals - piece.base);

    entry->name = brim_str(piece.base, len);
    entry->value = equals == NULL ? brim_str("", 0) : brim_str(equals + 1, piece.len - len - 1);
}

static bool next_pair(const struct brim_script_request *request, struct cursor *cursor,
                      struct entry *entry)
{
    struct brim_str query = brim_script_query_of(request->target), piece;

    while (next_piece(query, '&', &cursor->offset, &piece)) {
        if (piece.len == 0)
            continue;
        split_pair(piece, entry);
        return true;
    }
    return false;
}

static bool next_cookie(const struct brim_script_headers *headers, struct cursor *cursor,
                        struct entry *entry)
{
    for (; cursor->field < headers->count; cursor->field++, cursor->offset = 0) {
        const struct brim_field *field = &headers->items[cursor->field];
        struct brim_str piece;

        if (!brim_str_is(field->name, BRIM_STR("cookie")))
            continue;
        while (next_piece(field->value, ';', &cursor->offset, &piece)) {
            split_pair(brim_str_trim(piece), entry);
            if (entry->name.len > 0)
                return true;
        }
    }
    return false;
}

static bool next_entry(const struct brim_script_view *view, struct cursor *cursor,
                       struct entry *entry)
{
    switch (view->kind) {
    case BRIM_SCRIPT_HEADERS:
        return next_field(view->message, cursor, entry);
    case BRIM_SCRIPT_QUERY:
        return next_pair(view->message, cursor, entry);
    case BRIM_SCRIPT_COOKIES:
        return next_cookie(view->message, cursor, entry);
    default:
        return false;
    }
}

/* Whether text of a query is what it says. */
static bool is_plain(struct brim_str text)
{
    return memchr(text.base, '%', text.len) == NULL && memchr(text.base, '+', text.len) == NULL;
}

static void push_text(lua_State *L, const struct brim_script_view *view, struct brim_str text)
{
    brim_script_charge(L, text.len + 16);
    if (text.len == 0)
        lua_pushliteral(L, ""); /* its base may be NULL */
    else if (view->kind == BRIM_SCRIPT_QUERY && !is_plain(text))
        push_decoded(L, text);
    else
        lua_pushlstring(L, text.base, text.len);
}

/* Not of headers: those are called in lower case. */
static bool is_called(lua_State *L, const struct brim_script_view *view, const struct entry *entry,
                      struct brim_str name)
{
    struct brim_str decoded = {0};
    bool is;

    if (view->kind != BRIM_SCRIPT_QUERY || is_plain(entry->name))
        return brim_str_is(entry->name, name);
    push_decoded(L, entry->name);
    decoded.base = lua_tolstring(L, -1, &decoded.len);
    is = brim_str_is(decoded, name);
    lua_pop(L, 1);
    return is;
}

/* name, of at most NAME_BYTES, as the entries of this view are called. */
static struct brim_str name_in(const struct brim_script_view *view, struct brim_str name,
                               char lower[NAME_BYTES])
{
    return view->kind == BRIM_SCRIPT_HEADERS ? lower_case(name, lower) : name;
}

static struct brim_script_view check_view(lua_State *L)
{
    struct brim_script_view view = brim_script_check_view(L, 1);

    luaL_argexpected(L, view.kind >= BRIM_SCRIPT_HEADERS, 1, "headers, query or cookies");
    return view;
}

static void check_name_bytes(lua_State *L, struct brim_str name)
{
    luaL_argcheck(L, name.len <= NAME_BYTES, 2, "longer than a name may be");
}

int brim_script_view_push(lua_State *L, const struct brim_script_view *view, struct brim_str name)
{
    char lower[NAME_BYTES];
    struct cursor cursor = {0};
    struct entry entry;

    check_name_bytes(L, name);
    name = name_in(view, name, lower);
    while (next_entry(view, &cursor, &entry))
        if (is_called(L, view, &entry, name)) {
            push_text(L, view, entry.value);
            return 1;
        }
    lua_pushnil(L);
    return 1;
}

static int view_get(lua_State *L)
{
    const struct brim_script_view view = check_view(L);

    return brim_script_view_push(L, &view, brim_script_check_bytes(L, 2, NAME_BYTES));
}

static int view_all(lua_State *L)
{
    const struct brim_script_view view = check_view(L);
    char lower[NAME_BYTES];
    struct brim_str name = name_in(&view, brim_script_check_bytes(L, 2, NAME_BYTES), lower);
    struct cursor cursor = {0};
    struct entry entry;
    lua_Integer count = 0;

    lua_newtable(L);
    while (next_entry(&view, &cursor, &entry))
        if (is_called(L, &view, &entry, name)) {
            push_text(L, &view, entry.value);
            lua_seti(L, -2, ++count);
        }
    return 1;
}

/* Iterates over a copy of the names and values: the loop may change the view. */
static int each_next(lua_State *L)
{
    lua_Integer at = lua_tointeger(L, lua_upvalueindex(2));

    lua_pushinteger(L, at + 2);
    lua_replace(L, lua_upvalueindex(2));
    lua_geti(L, lua_upvalueindex(1), at);
    lua_geti(L, lua_upvalueindex(1), at + 1);
    return 2;
}

static int view_each(lua_State *L)
{
    const struct brim_script_view view = check_view(L);
    struct cursor cursor = {0};
    struct entry entry;
    lua_Integer count = 0;

    lua_newtable(L);
    while (next_entry(&view, &cursor, &entry)) {
        push_text(L, &view, entry.name);
        lua_seti(L, -2, ++count);
        push_text(L, &view, entry.value);
        lua_seti(L, -2, ++count);
    }
    lua_pushinteger(L, 1);
    lua_pushcclosure(L, each_next, 2);
    return 1;
}

/* ---- changing headers ---- */

/* What the server decides, and what would make two readers of one message. */
static bool is_ours(struct brim_str name)
{
    static const struct brim_str ours[] = {
        /* shorter ones first */
        BRIM_STR("via"),          BRIM_STR("host"),          BRIM_STR("date"),
        BRIM_STR("expect"),       BRIM_STR("cdn-loop"),      BRIM_STR("cache-status"),
        BRIM_STR("proxy-status"), BRIM_STR("content-range"), BRIM_STR("content-length"),
    };

    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]) && ours[i].len <= name.len; i++)
        if (brim_str_is(name, ours[i]))
            return true;
    return brim_field_is_hop_by_hop(name);
}

/* name, checked, in lower case. */
static struct brim_str check_field_name(lua_State *L, const struct brim_script_headers *headers,
                                        struct brim_str name, char lower[NAME_BYTES])
{
    struct brim_str checked = brim_str(lower, name.len);

    if (headers->is_read_only)
        luaL_error(L, "the headers cannot be changed in this phase");
    if (name.len == 0 || name.len > NAME_BYTES)
        luaL_error(L, "a header's name has 1 to %d bytes", NAME_BYTES);
    if (!brim_field_name_lower(name, lower))
        luaL_error(L, "not the name of a header");
    if (is_ours(checked))
        luaL_error(L, "header \"%s\" cannot be changed by a handler", name.base);
    return checked;
}

static size_t header_bytes(const struct brim_script_headers *headers)
{
    size_t bytes = 0;

    for (size_t i = 0; i < headers->count; i++)
        bytes += headers->items[i].name.len + headers->items[i].value.len + 4;
    return bytes;
}

static void make_room(struct brim_script_headers *headers)
{
    struct brim_field *more;

    if (headers->count < headers->room)
        return;
    headers->room = headers->room * 2 + 8;
    more = headers->memory.alloc(headers->memory.pool, headers->room * sizeof(*more));
    if (headers->count > 0)
        memcpy(more, headers->items, headers->count * sizeof(*more));
    headers->items = more;
}

/* Adds a field whose name is checked. */
static void append(lua_State *L, struct brim_script_headers *headers, struct brim_str name,
                   struct brim_str value)
{
    char *text;

    if (value.len > VALUE_BYTES || !brim_field_value_is_valid(value))
        luaL_error(L, "not a header's value: control bytes, or longer than %d", (int)VALUE_BYTES);
    if (headers->count >= BRIM_SCRIPT_HEADERS_MAX ||
        header_bytes(headers) + name.len + value.len > BRIM_SCRIPT_HEADER_BYTES_MAX)
        luaL_error(L, "too many headers, or too large");
    make_room(headers);
    value = brim_str_trim(value);
    text = headers->memory.alloc(headers->memory.pool, name.len + value.len + 1);
    memcpy(text, name.base, name.len);
    if (value.len > 0)
        memcpy(text + name.len, value.base, value.len);
    headers->items[headers->count++] =
        (struct brim_field){brim_str(text, name.len), brim_str(text + name.len, value.len)};
    headers->is_changed = true;
}

/* Takes out the fields of this name, which is checked. */
static void drop(struct brim_script_headers *headers, struct brim_str name)
{
    size_t kept = 0;

    for (size_t i = 0; i < headers->count; i++)
        if (!brim_str_is(headers->items[i].name, name))
            headers->items[kept++] = headers->items[i];
    headers->is_changed = headers->is_changed || kept != headers->count;
    headers->count = kept;
}

void brim_script_headers_add(lua_State *L, struct brim_script_headers *headers,
                             struct brim_str name, struct brim_str value)
{
    char lower[NAME_BYTES];

    append(L, headers, check_field_name(L, headers, name, lower), value);
}

void brim_script_headers_copy(lua_State *L, struct brim_script_headers *headers,
                              const struct brim_script_headers *from)
{
    for (size_t i = 0; i < from->count; i++)
        if (!is_ours(from->items[i].name))
            brim_script_headers_add(L, headers, from->items[i].name, from->items[i].value);
}

static void remove_header(lua_State *L, struct brim_script_headers *headers, struct brim_str name)
{
    char lower[NAME_BYTES];

    drop(headers, check_field_name(L, headers, name, lower));
}

void brim_script_headers_set(lua_State *L, struct brim_script_headers *headers,
                             struct brim_str name, struct brim_str value)
{
    char lower[NAME_BYTES];
    struct brim_str checked = check_field_name(L, headers, name, lower);

    drop(headers, checked);
    append(L, headers, checked, value);
}

/* ---- changing queries and cookies: the text is written anew ---- */

static void add_pair(luaL_Buffer *out, struct brim_str name, struct brim_str value)
{
    if (luaL_bufflen(out) > 0)
        luaL_addchar(out, '&');
    add_encoded(out, name);
    luaL_addchar(out, '=');
    add_encoded(out, value);
}

/* All pairs but those called name, as they were; then name=value, where value.base is not NULL. */
static void rewrite_query(lua_State *L, const struct brim_script_view *view, struct brim_str name,
                          struct brim_str value, bool keeps_old)
{
    struct brim_script_request *request = view->message;
    struct brim_str query = {0};
    struct cursor cursor = {0};
    struct entry entry;
    luaL_Buffer out;

    if (request->is_read_only)
        luaL_error(L, "the request cannot be changed in this phase");
    luaL_buffinit(L, &out);
    while (next_entry(view, &cursor, &entry)) {
        if (!keeps_old && is_called(L, view, &entry, name))
            continue;
        if (luaL_bufflen(&out) > 0)
            luaL_addchar(&out, '&');
        luaL_addlstring(&out, entry.name.base, entry.name.len);
        if (entry.name.base + entry.name.len + 1 == entry.value.base) {
            luaL_addchar(&out, '=');
            luaL_addlstring(&out, entry.value.base, entry.value.len);
        }
    }
    if (value.base != NULL)
        add_pair(&out, name, value);
    luaL_pushresult(&out);
    query.base = lua_tolstring(L, -1, &query.len);
    if (query.len > QUERY_MAX)
        luaL_error(L, "the query is longer than %d bytes", QUERY_MAX);
    brim_script_set_target(
        request,
        brim_str(request->target.base,
                 request->target.len - brim_script_query_of(request->target).len -
                     (memchr(request->target.base, '?', request->target.len) != NULL)),
        query);
}

static bool is_cookie_text(struct brim_str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.base[i] <= ' ' || text.base[i] > '~' || strchr("\",;\\", text.base[i]) != NULL)
            return false;
    return true;
}

/* One Cookie field with all but those called name; then name=value likewise. */
static void rewrite_cookies(lua_State *L, const struct brim_script_view *view, struct brim_str name,
                            struct brim_str value, bool keeps_old)
{
    struct brim_script_headers *headers = view->message;
    struct brim_str field = {0};
    struct cursor cursor = {0};
    struct entry entry;
    luaL_Buffer out;

    if (!is_cookie_text(name) || memchr(name.base, '=', name.len) != NULL || name.len == 0 ||
        !is_cookie_text(value))
        luaL_error(L, "not a cookie's name and value");
    luaL_buffinit(L, &out);
    while (next_entry(view, &cursor, &entry)) {
        if (!keeps_old && brim_str_is(entry.name, name))
            continue;
        if (luaL_bufflen(&out) > 0)
            luaL_addstring(&out, "; ");
        luaL_addlstring(&out, entry.name.base, entry.name.len);
        luaL_addchar(&out, '=');
        luaL_addlstring(&out, entry.value.base, entry.value.len);
    }
    if (value.base != NULL) {
        if (luaL_bufflen(&out) > 0)
            luaL_addstring(&out, "; ");
        luaL_addlstring(&out, name.base, name.len);
        luaL_addchar(&out, '=');
        luaL_addlstring(&out, value.base, value.len);
    }
    luaL_pushresult(&out);
    field.base = lua_tolstring(L, -1, &field.len);
    remove_header(L, headers, BRIM_STR("cookie"));
    if (field.len > 0)
        brim_script_headers_add(L, headers, BRIM_STR("cookie"), field);
}

/* ---- methods that change ---- */

enum change { SET, ADD, REMOVE };

static void change_headers(lua_State *L, struct brim_script_headers *headers, enum change change,
                           struct brim_str name, struct brim_str value)
{
    switch (change) {
    case SET:
        brim_script_headers_set(L, headers, name, value);
        return;
    case ADD:
        brim_script_headers_add(L, headers, name, value);
        return;
    case REMOVE:
        remove_header(L, headers, name);
        return;
    }
}

static int change_view(lua_State *L, const struct brim_script_view *view, enum change change,
                       struct brim_str name)
{
    struct brim_str value = {0};

    if (change != REMOVE)
        value = brim_script_check_bytes(L, 3, VALUE_BYTES);
    if (view->kind == BRIM_SCRIPT_QUERY)
        rewrite_query(L, view, name, value, change == ADD);
    else if (view->kind == BRIM_SCRIPT_COOKIES)
        rewrite_cookies(L, view, name, value, change == ADD);
    else
        change_headers(L, view->message, change, name, value);
    return 0;
}

static int change_by_method(lua_State *L, enum change change)
{
    const struct brim_script_view view = check_view(L);

    return change_view(L, &view, change, brim_script_check_bytes(L, 2, NAME_BYTES));
}

static int view_set(lua_State *L)
{
    return change_by_method(L, SET);
}

static int view_add(lua_State *L)
{
    return change_by_method(L, ADD);
}

static int view_remove(lua_State *L)
{
    return change_by_method(L, REMOVE);
}

int brim_script_view_assign(lua_State *L, const struct brim_script_view *view, struct brim_str name)
{
    check_name_bytes(L, name);
    return change_view(L, view, lua_isnil(L, 3) ? REMOVE : SET, name);
}

void brim_script_view_push_methods(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"get", view_get}, {"all", view_all},       {"each", view_each}, {"set", view_set},
        {"add", view_add}, {"remove", view_remove}, {NULL, NULL},
    };

    luaL_newlib(L, methods);
}
