/* SPDX-License-Identifier: MIT */
/*
 * brim.fetch: begins a task and yields out of the run until it has an end. Whoever runs the run
 * resumes it for any news; what is not concerned yields again.
 */
#include <lauxlib.h>
#include <lua.h>
#include <stdlib.h>

#include "brim/base/clock.h"
#include "brim/base/invariant.h"
#include "brim/policy/script_http.h"
#include "brim/policy/script_inside.h"

#define URL_MAX        8192
#define ORIGIN_MAX     64
#define TIMEOUT_MS_MAX 600000
#define BEGIN_UNITS    50000u /* what it costs the server, about */

/* ---- slots ---- */

/* Raises where nothing can be waited for. */
static struct brim_script_run *check_waitable(lua_State *L, const char *what)
{
    struct brim_script_vm *vm = brim_script_vm_of(L);
    struct brim_script_run *run = vm->current;

    brim_script_check_stop(L);
    if (run == NULL || run->call == NULL)
        luaL_error(L, "%s: not while the file is loaded", what);
    if (run->phase == BRIM_SCRIPT_VIEWER_RESPONSE)
        luaL_error(L, "%s: viewer_response cannot wait, the headers are going out", what);
    if (run->tasks == NULL)
        luaL_error(L, "%s: not available here", what);
    if (!vm->may_wait || !lua_isyieldable(L))
        luaL_error(L,
                   "%s: cannot wait inside a function that a library function calls back "
                   "(string.gsub, table.sort, require, tostring ...)",
                   what);
    if (run->slot_count >= vm->limits.fetches)
        luaL_error(L, "%s: more than %d in one request", what, (int)vm->limits.fetches);
    return run;
}

static struct brim_script_slot *next_slot(struct brim_script_run *run)
{
    if (run->slots == NULL)
        run->slots = brim_alloc(run->vm->limits.fetches * sizeof(*run->slots));
    return &run->slots[run->slot_count];
}

static void end_slot(struct brim_script_run *run, struct brim_script_slot *slot)
{
    run->tasks->end(slot->task);
    slot->task = NULL;
    slot->id = 0;
}

static struct brim_script_slot *find_slot(struct brim_script_run *run, uint64_t id)
{
    for (unsigned i = 0; i < run->slot_count; i++)
        if (run->slots[i].id == id && run->slots[i].task != NULL)
            return &run->slots[i];
    return NULL;
}

void brim_script_end_tasks(struct brim_script_run *run)
{
    for (unsigned i = 0; i < run->slot_count; i++)
        if (run->slots[i].task != NULL)
            end_slot(run, &run->slots[i]);
    free(run->slots);
    run->slots = NULL;
    run->slot_count = 0;
}

/* ---- waiting ---- */

static int fail(lua_State *L, const char *why)
{
    lua_pushnil(L);
    lua_pushstring(L, why);
    return 2;
}

/* Pushes {status =, headers =, body =}. */
static int push_response(lua_State *L, const struct brim_script_news *news)
{
    luaL_checkstack(L, 8, NULL);
    brim_script_charge(L, news->body.len);
    lua_createtable(L, 0, 3);
    lua_pushinteger(L, (lua_Integer)news->status);
    lua_setfield(L, -2, "status");
    brim_script_push_headers(L, news->fields);
    lua_setfield(L, -2, "headers");
    lua_pushlstring(L, news->body.len == 0 ? "" : news->body.base, news->body.len);
    lua_setfield(L, -2, "body");
    return 1;
}

/* id: of the slot. Also the continuation. */
static int go_on(lua_State *L, int status, lua_KContext id)
{
    struct brim_script_vm *vm = brim_script_vm_of(L);
    struct brim_script_run *run = vm->current;
    struct brim_script_slot *slot;
    struct brim_script_news news;
    int results;

    (void)status;
    brim_script_check_stop(L);
    slot = run == NULL ? NULL : find_slot(run, (uint64_t)id);
    if (slot == NULL)
        return luaL_error(L, "brim.fetch: resumed by another request");
    run->tasks->look(slot->task, &news);
    if (news.state == BRIM_SCRIPT_TASK_WAIT && brim_clock_mono_us() < slot->deadline_mono_us) {
        vm->is_waiting = true;
        return lua_yieldk(L, 0, id, go_on);
    }
    if (news.state == BRIM_SCRIPT_TASK_DONE)
        results = push_response(L, &news);
    else
        results = fail(L, news.state == BRIM_SCRIPT_TASK_WAIT ? "timeout" : news.why);
    end_slot(run, slot);
    return results;
}

/* ---- arguments ---- */

/* Where what is copied is kept: the table at the index, so that an error loses nothing. */
struct keeper {
    lua_State *L;
    int table;
};

static void *keep(void *pool, size_t bytes)
{
    const struct keeper *keeper = pool;
    void *memory;

    luaL_checkstack(keeper->L, 4, NULL);
    memory = lua_newuserdatauv(keeper->L, bytes, 0);
    lua_rawseti(keeper->L, keeper->table, (lua_Integer)lua_rawlen(keeper->L, keeper->table) + 1);
    return memory;
}

struct options {
    struct brim_script_fetch fetch;
    struct brim_script_headers headers;
    lua_Integer timeout_ms; /* 0: none */
    bool has_cache;
};

static struct brim_str check_method(lua_State *L, int arg)
{
    static const char *const methods[] = {"GET",   "HEAD",   "POST",    "PUT",
                                          "PATCH", "DELETE", "OPTIONS", NULL};

    return brim_str_of(methods[luaL_checkoption(L, arg, NULL, methods)]);
}

/* The name of an option at index -2, its value on top. The values stay in the options' table, which
 * stands at index 2 and is not touched before the task has begun. */
static void take_option(lua_State *L, struct options *o)
{
    int value = lua_gettop(L);
    const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";

    if (strcmp(name, "method") == 0) {
        o->fetch.method = check_method(L, value);
    } else if (strcmp(name, "headers") == 0) {
        brim_script_take_headers(L, &o->headers);
    } else if (strcmp(name, "body") == 0) {
        luaL_checktype(L, value, LUA_TSTRING);
        o->fetch.body = brim_script_check_bytes(L, value, BRIM_SCRIPT_BODY_MAX);
        o->fetch.has_body = true;
    } else if (strcmp(name, "origin") == 0) {
        luaL_checktype(L, value, LUA_TSTRING);
        o->fetch.origin = brim_script_check_bytes(L, value, ORIGIN_MAX);
    } else if (strcmp(name, "cache") == 0) {
        luaL_checktype(L, value, LUA_TBOOLEAN);
        o->fetch.may_cache = lua_toboolean(L, value);
        o->has_cache = true;
    } else if (strcmp(name, "timeout_ms") == 0) {
        o->timeout_ms = luaL_checkinteger(L, value);
        luaL_argcheck(L, o->timeout_ms >= 1 && o->timeout_ms <= TIMEOUT_MS_MAX, 2,
                      "timeout_ms is 1 to 600000");
    } else {
        luaL_error(L, "brim.fetch: there is no option \"%s\"", name);
    }
}

static void read_options(lua_State *L, struct options *o)
{
    bool may_cache;

    luaL_argexpected(L, lua_isnil(L, 2) || lua_istable(L, 2), 2, "table of options");
    lua_pushnil(L);
    while (lua_istable(L, 2) && lua_next(L, 2) != 0) {
        take_option(L, o);
        lua_settop(L, 4); /* url, options, keeper, key */
    }
    if (o->fetch.method.len == 0)
        o->fetch.method = o->fetch.has_body ? BRIM_STR("POST") : BRIM_STR("GET");
    may_cache = brim_str_is(o->fetch.method, BRIM_STR("GET")) && !o->fetch.has_body;
    if (o->has_cache && o->fetch.may_cache && !may_cache)
        luaL_error(L, "brim.fetch: only a GET without a body goes through the cache");
    o->fetch.may_cache = may_cache && (!o->has_cache || o->fetch.may_cache);
    o->fetch.fields = (struct brim_fields){o->headers.items, o->headers.count};
}

static int begin(lua_State *L, struct brim_script_run *run, const struct options *o)
{
    struct brim_script_slot *slot = next_slot(run);
    uint64_t timeout_us = (uint64_t)o->timeout_ms * 1000;
    const char *why = NULL;
    void *task = run->tasks->fetch(run->tasks_ctx, &o->fetch, &why);

    if (task == NULL)
        return fail(L, why);
    *slot = (struct brim_script_slot){
        .id = ++run->vm->tasks_begun,
        .task = task,
        .deadline_mono_us = timeout_us == 0 ? UINT64_MAX : brim_clock_mono_us() + timeout_us,
    };
    run->slot_count++;
    lua_settop(L, 0);
    return go_on(L, LUA_OK, (lua_KContext)slot->id);
}

/* (url [, options]) */
static int fetch(lua_State *L)
{
    struct brim_script_run *run = check_waitable(L, "brim.fetch");
    struct keeper keeper = {L, 3};
    struct options o = {.headers.memory = {keep, &keeper}};

    luaL_checktype(L, 1, LUA_TSTRING);
    lua_settop(L, 2);
    lua_newtable(L);
    o.fetch.url = brim_script_check_bytes(L, 1, URL_MAX);
    o.fetch.body_max = run->vm->limits.fetch_bytes;
    read_options(L, &o);
    brim_script_charge(L, BEGIN_UNITS);
    return begin(L, run, &o);
}

void brim_script_push_fetch(lua_State *L)
{
    lua_pushcfunction(L, fetch);
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, BRIM_SCRIPT_FETCH);
}
