/* SPDX-License-Identifier: MIT */
/*
 * string: Lua's own functions behind charges, and find, match, gmatch and gsub anew over
 * script_pattern, whose steps are counted.
 */
#include <ctype.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "brim/policy/script_inside.h"
#include "brim/policy/script_pattern.h"

#define STEPS_MAX  1000000u /* of one call; some milliseconds */
#define STEP_UNITS 8u

static struct brim_str check_str(lua_State *L, int arg)
{
    struct brim_str text = {0};

    text.base = luaL_checklstring(L, arg, &text.len);
    return text;
}

/* ---- results of a match ---- */

/* Pushes capture number `at`; without captures number 0 is the whole match. */
static void push_capture(lua_State *L, const struct brim_pattern *m, unsigned at,
                         struct brim_str whole)
{
    const struct brim_pattern_capture *capture = &m->capture[at];

    if (at >= m->captures) {
        if (at != 0)
            luaL_error(L, "invalid capture index %%%d", (int)at + 1);
        lua_pushlstring(L, whole.base, whole.len);
        return;
    }
    if (capture->len == BRIM_PATTERN_OPEN)
        luaL_error(L, "unfinished capture");
    if (capture->len == BRIM_PATTERN_POSITION)
        lua_pushinteger(L, capture->base - m->subject.base + 1);
    else
        lua_pushlstring(L, capture->base, (size_t)capture->len);
}

static int push_captures(lua_State *L, const struct brim_pattern *m, struct brim_str whole)
{
    unsigned count = m->captures == 0 ? 1 : m->captures;

    luaL_checkstack(L, (int)count, "too many captures");
    for (unsigned i = 0; i < count; i++)
        push_capture(L, m, i, whole);
    return (int)count;
}

/* brim_pattern_match, its errors raised and its steps charged. */
static const char *match_at(lua_State *L, struct brim_pattern *m, const char *at)
{
    size_t before = m->steps;
    const char *end = brim_pattern_match(m, at);

    brim_script_charge(L, (m->steps - before + 1) * STEP_UNITS);
    if (m->error != NULL)
        luaL_error(L, "%s", m->error);
    return end;
}

/* Where a search from `init` (1 is the first, negative from the end) begins, 0-based. */
static size_t start_of(lua_Integer init, size_t len)
{
    if (init > 0)
        return (size_t)init - 1;
    if (init == 0)
        return 0;
    return init < -(lua_Integer)len ? 0 : len - (size_t)(-init);
}

static bool take_anchor(struct brim_str *pattern)
{
    if (pattern->len == 0 || pattern->base[0] != '^')
        return false;
    pattern->base++;
    pattern->len--;
    return true;
}

/* ---- find, match ---- */

/* memmem() is linear (two-way), whatever the needle. */
static int find_plain(lua_State *L, struct brim_str subject, struct brim_str wanted, size_t start)
{
    const char *found;

    brim_script_charge(L, subject.len - start);
    found = wanted.len == 0
                ? subject.base + start
                : memmem(subject.base + start, subject.len - start, wanted.base, wanted.len);
    if (found == NULL) {
        luaL_pushfail(L);
        return 1;
    }
    lua_pushinteger(L, found - subject.base + 1);
    lua_pushinteger(L, found - subject.base + (lua_Integer)wanted.len);
    return 2;
}

static int search(lua_State *L, bool is_find)
{
    struct brim_str subject = check_str(L, 1), pattern = check_str(L, 2);
    size_t start = start_of(luaL_optinteger(L, 3, 1), subject.len);
    struct brim_pattern m = {.subject = subject, .steps_max = STEPS_MAX};
    bool anchored;

    if (start > subject.len) {
        luaL_pushfail(L);
        return 1;
    }
    if (is_find && (lua_toboolean(L, 4) || brim_pattern_is_plain(pattern)))
        return find_plain(L, subject, pattern, start);
    anchored = take_anchor(&pattern);
    m.pattern = pattern;
    for (const char *at = subject.base + start; at <= subject.base + subject.len; at++) {
        const char *end = match_at(L, &m, at);

        if (end != NULL && is_find) {
            lua_pushinteger(L, at - subject.base + 1);
            lua_pushinteger(L, end - subject.base);
            return (m.captures == 0 ? 0 : push_captures(L, &m, brim_str(at, 0))) + 2;
        }
        if (end != NULL)
            return push_captures(L, &m, brim_str(at, (size_t)(end - at)));
        if (anchored)
            break;
    }
    luaL_pushfail(L);
    return 1;
}

static int string_find(lua_State *L)
{
    return search(L, true);
}

static int string_match(lua_State *L)
{
    return search(L, false);
}

/* ---- gmatch: upvalues subject, pattern, next offset, end of the last match ---- */

static int gmatch_next(lua_State *L)
{
    struct brim_str subject = check_str(L, lua_upvalueindex(1));
    struct brim_pattern m = {.subject = subject, .steps_max = STEPS_MAX};
    lua_Integer last = lua_tointeger(L, lua_upvalueindex(4));

    m.pattern = check_str(L, lua_upvalueindex(2));
    for (lua_Integer at = lua_tointeger(L, lua_upvalueindex(3)); at <= (lua_Integer)subject.len;
         at++) {
        const char *from = subject.base + at;
        const char *end = match_at(L, &m, from);

        if (end == NULL || end - subject.base == last)
            continue;
        lua_pushinteger(L, end - subject.base);
        lua_copy(L, -1, lua_upvalueindex(4));
        lua_replace(L, lua_upvalueindex(3));
        return push_captures(L, &m, brim_str(from, (size_t)(end - from)));
    }
    return 0;
}

static int string_gmatch(lua_State *L)
{
    size_t len = check_str(L, 1).len;
    size_t start = start_of(luaL_optinteger(L, 3, 1), len);

    (void)check_str(L, 2);
    lua_settop(L, 2);
    lua_pushinteger(L, start > len ? (lua_Integer)len + 1 : (lua_Integer)start);
    lua_pushinteger(L, -1);
    lua_pushcclosure(L, gmatch_next, 4);
    return 1;
}

/* ---- gsub ---- */

static void add_expanded(lua_State *L, luaL_Buffer *out, const struct brim_pattern *m,
                         struct brim_str whole)
{
    struct brim_str text = check_str(L, 3);

    brim_script_charge(L, text.len); /* all of it may stand for nothing */
    for (size_t i = 0; i < text.len; i++) {
        char c = text.base[i];

        if (c != '%') {
            luaL_addchar(out, c);
            continue;
        }
        c = ++i < text.len ? text.base[i] : '\0';
        if (c == '%') {
            luaL_addchar(out, '%');
        } else if (c == '0') {
            luaL_addlstring(out, whole.base, whole.len);
        } else if (isdigit((unsigned char)c)) {
            push_capture(L, m, (unsigned)(c - '1'), whole);
            luaL_tolstring(L, -1, NULL); /* a position is a number */
            lua_remove(L, -2);
            luaL_addvalue(out);
        } else {
            luaL_error(L, "invalid use of '%%' in replacement string");
        }
    }
}

/* What the match becomes. */
static void add_value(lua_State *L, luaL_Buffer *out, struct brim_pattern *m, struct brim_str whole)
{
    int type = lua_type(L, 3);

    if (type == LUA_TFUNCTION) {
        lua_pushvalue(L, 3);
        lua_call(L, push_captures(L, m, whole), 1);
    } else if (type == LUA_TTABLE) {
        push_capture(L, m, 0, whole);
        lua_gettable(L, 3);
    } else {
        add_expanded(L, out, m, whole);
        return;
    }
    if (!lua_toboolean(L, -1)) {
        lua_pop(L, 1);
        luaL_addlstring(out, whole.base, whole.len);
    } else if (!lua_isstring(L, -1)) {
        luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
    } else {
        luaL_addvalue(out);
    }
}

static int string_gsub(lua_State *L)
{
    struct brim_str subject = check_str(L, 1), pattern = check_str(L, 2);
    struct brim_pattern m = {.subject = subject, .steps_max = STEPS_MAX};
    const char *at = subject.base, *end = at + subject.len, *last = NULL;
    lua_Integer max = luaL_optinteger(L, 4, (lua_Integer)subject.len + 1), count = 0;
    bool anchored = take_anchor(&pattern);
    int type = lua_type(L, 3);
    luaL_Buffer out;

    luaL_argexpected(L,
                     type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TFUNCTION ||
                         type == LUA_TTABLE,
                     3, "string/function/table");
    m.pattern = pattern;
    luaL_buffinit(L, &out);
    while (count < max) {
        const char *to = match_at(L, &m, at);

        if (to != NULL && to != last) {
            count++;
            add_value(L, &out, &m, brim_str(at, (size_t)(to - at)));
            at = last = to;
        } else if (at < end) {
            luaL_addchar(&out, *at++);
        } else {
            break;
        }
        if (anchored)
            break;
    }
    luaL_addlstring(&out, at, (size_t)(end - at));
    luaL_pushresult(&out);
    lua_pushinteger(L, count);
    return 2;
}

/* ---- the rest ---- */

/* Lua's own would turn n times in C for the empty text. */
static int string_rep(lua_State *L)
{
    struct brim_str text = check_str(L, 1);
    lua_Integer count = luaL_checkinteger(L, 2);
    size_t separator = 0, each;

    (void)luaL_optlstring(L, 3, "", &separator);
    each = text.len + separator;
    if (count <= 0 || each == 0) {
        lua_pushliteral(L, "");
        return 1;
    }
    if ((size_t)count > brim_script_vm_of(L)->limits.memory_bytes / each)
        brim_script_stop(L, BRIM_SCRIPT_MEMORY);
    brim_script_charge(L, (size_t)count * each);
    lua_settop(L, 3);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, 3, 1);
    return 1;
}

/* What costs as much as its arguments are long. */
static int by_length(lua_State *L)
{
    int args = lua_gettop(L);
    size_t bytes = 0;

    for (int i = 1; i <= args; i++)
        if (lua_type(L, i) == LUA_TSTRING)
            bytes += lua_rawlen(L, i);
    brim_script_charge(L, bytes);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, args, LUA_MULTRET);
    return lua_gettop(L);
}

/* "%p" would show where things stand in memory. */
static int string_format(lua_State *L)
{
    struct brim_str format = check_str(L, 1);

    for (size_t i = 0; i + 1 < format.len; i++) {
        if (format.base[i] != '%')
            continue;
        i++;
        while (i < format.len && strchr("-+ #0123456789.", format.base[i]) != NULL &&
               format.base[i] != '\0')
            i++;
        if (i < format.len && format.base[i] == 'p')
            return luaL_error(L, "invalid conversion '%%p' to 'format'");
    }
    return by_length(L);
}

void brim_script_push_string(lua_State *L)
{
    static const struct {
        const char *name;
        lua_CFunction guard;
    } guarded[] = {
        {"rep", string_rep},  {"format", string_format}, {"byte", by_length}, {"lower", by_length},
        {"upper", by_length}, {"reverse", by_length},    {"pack", by_length}, {"unpack", by_length},
        {"sub", by_length},   {"packsize", by_length},
    };
    static const luaL_Reg own[] = {
        {"find", string_find}, {"gmatch", string_gmatch},
        {"gsub", string_gsub}, {"match", string_match},
        {NULL, NULL},
    };

    luaL_requiref(L, "string", luaopen_string, 0);
    for (size_t i = 0; i < sizeof(guarded) / sizeof(guarded[0]); i++) {
        lua_getfield(L, -1, guarded[i].name);
        lua_pushcclosure(L, guarded[i].guard, 1);
        lua_setfield(L, -2, guarded[i].name);
    }
    luaL_setfuncs(L, own, 0);
    lua_pushnil(L);
    lua_setfield(L, -2, "dump");
}
