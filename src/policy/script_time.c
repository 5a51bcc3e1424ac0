/* SPDX-License-Identifier: MIT */
/*
 * brim.time: the wall clock of the host, HTTP-date (RFC 9110 5.6.7) and RFC 3339 in UTC.
 */
#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>
#include <time.h>

#include "brim/http/date.h"
#include "brim/policy/script_lib.h"

#define TEXT_BYTES_MAX 64u
#define FIRST_S        (-62167219200) /* 0000-01-01T00:00:00Z */
#define LAST_S         253402300799   /* 9999-12-31T23:59:59Z */

static int64_t wall_ms(lua_State *L)
{
    struct brim_script_host *host = brim_script_host_of(L);

    return host->now_wall_ms(host->ctx);
}

static int now(lua_State *L)
{
    lua_pushinteger(L, wall_ms(L) / 1000);
    return 1;
}

static int now_ms(lua_State *L)
{
    lua_pushinteger(L, wall_ms(L));
    return 1;
}

/* Argument 1, seconds of the wall clock within years 0 to 9999; now where it is not given. */
static int64_t check_time(lua_State *L)
{
    lua_Integer wall_s = luaL_optinteger(L, 1, wall_ms(L) / 1000);

    luaL_argcheck(L, wall_s >= FIRST_S && wall_s <= LAST_S, 1, "not in the years 0 to 9999");
    return wall_s;
}

static int fail(lua_State *L, const char *reason)
{
    lua_pushnil(L);
    lua_pushstring(L, reason);
    return 2;
}

static int http(lua_State *L)
{
    char text[BRIM_DATE_BYTES];

    brim_date_format(check_time(L), text);
    lua_pushlstring(L, text, sizeof(text));
    return 1;
}

static int parse_http(lua_State *L)
{
    struct brim_str text = brim_script_check_bytes(L, 1, TEXT_BYTES_MAX);
    int64_t wall_s = brim_date_parse(text, wall_ms(L) / 1000);

    if (wall_s == INT64_MIN)
        return fail(L, "not an HTTP date");
    lua_pushinteger(L, wall_s);
    return 1;
}

static int iso(lua_State *L)
{
    time_t wall_s = (time_t)check_time(L);
    char text[TEXT_BYTES_MAX];
    struct tm tm;

    if (gmtime_r(&wall_s, &tm) == NULL)
        return luaL_error(L, "no such time");
    int len = snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year + 1900,
                       tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
    lua_pushlstring(L, text, (size_t)len);
    return 1;
}

/* Takes digits according to form, in which 0 stands for one and any other letter for itself. */
static bool take(struct brim_str *text, const char *form, int *numbers)
{
    size_t at = 0, field = 0;
    bool in_number = false;

    for (; form[at] != '\0'; at++) {
        char c = at < text->len ? text->base[at] : '\0';

        if (form[at] != '0') {
            if (c != form[at])
                return false;
            field += in_number ? 1 : 0;
            in_number = false;
        } else if (c < '0' || c > '9') {
            return false;
        } else {
            numbers[field] = (in_number ? numbers[field] * 10 : 0) + (c - '0');
            in_number = true;
        }
    }
    *text = brim_str(text->base + at, text->len - at);
    return true;
}

/* "Z" or "+hh:mm" at the end, in seconds east of UTC. */
static bool take_zone(struct brim_str text, int64_t *east_s_out)
{
    int numbers[2] = {0};

    *east_s_out = 0;
    if (text.len == 1 && (text.base[0] == 'Z' || text.base[0] == 'z'))
        return true;
    if (text.len != 6 || (text.base[0] != '+' && text.base[0] != '-'))
        return false;
    struct brim_str rest = brim_str(text.base + 1, text.len - 1);
    if (!take(&rest, "00:00", numbers) || numbers[0] > 23 || numbers[1] > 59)
        return false;
    *east_s_out = (numbers[0] * 60 + numbers[1]) * (text.base[0] == '-' ? -60 : 60);
    return true;
}

static bool is_real(const int *n)
{
    static const int days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = n[0] % 4 == 0 && (n[0] % 100 != 0 || n[0] % 400 == 0);

    return n[1] >= 1 && n[1] <= 12 && n[2] >= 1 &&
           n[2] <= days[n[1] - 1] + (n[1] == 2 && is_leap ? 1 : 0) && n[3] <= 23 && n[4] <= 59 &&
           n[5] <= 60;
}

/* RFC 3339: date, T or a space, time, any fraction (left out of the result), zone. */
static bool parse(struct brim_str text, int64_t *wall_s_out)
{
    int n[6] = {0};
    int64_t east_s;
    struct tm tm = {0};

    *wall_s_out = 0;
    if (!take(&text, "0000-00-00", n) || text.len == 0 || memchr("Tt ", text.base[0], 3) == NULL)
        return false;
    text = brim_str(text.base + 1, text.len - 1);
    if (!take(&text, "00:00:00", n + 3) || !is_real(n))
        return false;
    if (text.len > 1 && text.base[0] == '.') {
        do
            text = brim_str(text.base + 1, text.len - 1);
        while (text.len > 0 && text.base[0] >= '0' && text.base[0] <= '9');
    }
    if (!take_zone(text, &east_s))
        return false;
    tm = (struct tm){.tm_year = n[0] - 1900,
                     .tm_mon = n[1] - 1,
                     .tm_mday = n[2],
                     .tm_hour = n[3],
                     .tm_min = n[4],
                     .tm_sec = n[5] == 60 ? 59 : n[5]};
    *wall_s_out = timegm(&tm) - east_s;
    return true;
}

static int parse_iso(lua_State *L)
{
    struct brim_str text = brim_script_check_bytes(L, 1, TEXT_BYTES_MAX);
    int64_t wall_s;

    if (!parse(text, &wall_s))
        return fail(L, "not an RFC 3339 time");
    lua_pushinteger(L, wall_s);
    return 1;
}

int brim_script_open_time(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"now", now}, {"now_ms", now_ms},       {"http", http}, {"parse_http", parse_http},
        {"iso", iso}, {"parse_iso", parse_iso}, {NULL, NULL}};

    luaL_newlib(L, functions);
    return 1;
}
