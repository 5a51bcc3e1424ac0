/* SPDX-License-Identifier: MIT */
/*
 * brim.fetch: begins a task and yields out of the run until it has an end. Whoever runs the run
 * resumes it for any news; what is not concerned yields again. brim.all begins several and waits
 * for one after the other.
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
    return run;
}

/* Raises where the request has begun as many as it may. */
static struct brim_script_slot *next_slot(lua_State *L, struct brim_script_run *run)
{
    unsigned max = run->vm->limits.fetches;

    if (run->slot_count >= max)
        luaL_error(L, "brim.fetch: more than %d in one request", (int)max);
    if (run->slots == NULL)
        run->slots = brim_alloc(max * sizeof(*run->slots));
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
    luaL_checkstack(L, 2, NULL);
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

/* Pushes what the task of this id has brought, response or nil and why, and ends it; 0: it has no
 * end yet. */
static int push_end(lua_State *L, uint64_t id)
{
    struct brim_script_run *run = brim_script_vm_of(L)->current;
    struct brim_script_slot *slot = run == NULL ? NULL : find_slot(run, id);
    struct brim_script_news news;
    int results;

    if (slot == NULL)
        return luaL_error(L, "brim.fetch: resumed by another request");
    run->tasks->look(slot->task, &news);
    if (news.state == BRIM_SCRIPT_TASK_WAIT && brim_clock_mono_us() < slot->deadline_mono_us)
        return 0;
    if (news.state == BRIM_SCRIPT_TASK_DONE)
        results = push_response(L, &news);
    else
        results = fail(L, news.state == BRIM_SCRIPT_TASK_WAIT ? "timeout" : news.why);
    end_slot(run, slot);
    return results;
}

static int wait_for(lua_State *L, lua_KContext ctx, lua_KFunction again)
{
    brim_script_vm_of(L)->is_waiting = true;
    return lua_yieldk(L, 0, ctx, again);
}

/* id: of the slot. Also the continuation. */
static int go_on(lua_State *L, int status, lua_KContext id)
{
    int results;

    (void)status;
    brim_script_check_stop(L);
    results = push_end(L, (uint64_t)id);
    return results != 0 ? results : wait_for(L, id, go_on);
}

/* (ids, results): each id's response, or {error = why}, at its index. Also the continuation. */
static int go_on_all(lua_State *L, int status, lua_KContext ctx)
{
    lua_Integer count = (lua_Integer)lua_rawlen(L, 1);

    (void)status;
    brim_script_check_stop(L);
    for (lua_Integer i = (lua_Integer)lua_rawlen(L, 2) + 1; i <= count; i++) {
        lua_settop(L, 2);
        if (lua_rawgeti(L, 1, i) == LUA_TNUMBER) {
            int results = push_end(L, (uint64_t)lua_tointeger(L, 3));

            if (results == 0)
                return wait_for(L, ctx, go_on_all);
        }
        if (lua_type(L, -1) == LUA_TSTRING) { /* why it failed */
            lua_createtable(L, 0, 1);
            lua_insert(L, -2);
            lua_setfield(L, -2, "error");
        }
        lua_rawseti(L, 2, i);
    }
    lua_settop(L, 2);
    return 1;
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

/* (url, options or nil): begins. The id of the task; 0: *why_out says what is refused. */
static uint64_t begin(lua_State *L, struct brim_script_run *run, const char **why_out)
{
    struct keeper keeper = {L, 3};
    struct options o = {.headers.memory = {keep, &keeper}};
    struct brim_script_slot *slot = next_slot(L, run);
    void *task;

    luaL_checktype(L, 1, LUA_TSTRING);
    lua_settop(L, 2);
    lua_newtable(L);
    o.fetch.url = brim_script_check_bytes(L, 1, URL_MAX);
    o.fetch.body_max = run->vm->limits.fetch_bytes;
    read_options(L, &o);
    brim_script_charge(L, BEGIN_UNITS);
    task = run->tasks->fetch(run->tasks_ctx, &o.fetch, why_out);
    if (task == NULL)
        return 0;
    *slot = (struct brim_script_slot){
        .id = ++run->vm->tasks_begun,
        .task = task,
        .deadline_mono_us =
            o.timeout_ms == 0 ? UINT64_MAX : brim_clock_mono_us() + (uint64_t)o.timeout_ms * 1000,
    };
    run->slot_count++;
    return slot->id;
}

/* (url [, options]) -> response, or nil and why */
static int fetch(lua_State *L)
{
    struct brim_script_run *run = check_waitable(L, "brim.fetch");
    const char *why = NULL;
    uint64_t id = begin(L, run, &why);

    if (id == 0)
        return fail(L, why);
    lua_settop(L, 0);
    return go_on(L, LUA_OK, (lua_KContext)id);
}

/* (url [, options]) -> id, or why not */
static int begin_one(lua_State *L)
{
    const char *why = NULL;
    uint64_t id = begin(L, brim_script_vm_of(L)->current, &why);

    if (id == 0)
        lua_pushstring(L, why);
    else
        lua_pushinteger(L, (lua_Integer)id);
    return 1;
}

/* (list of urls and {url, options}) -> list of responses and {error = why} */
static int fetch_all(lua_State *L)
{
    lua_Integer count;

    (void)check_waitable(L, "brim.all");
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    count = (lua_Integer)lua_rawlen(L, 1);
    lua_newtable(L);
    for (lua_Integer i = 1; i <= count; i++) {
        lua_pushcfunction(L, begin_one);
        if (lua_rawgeti(L, 1, i) == LUA_TTABLE) {
            lua_rawgeti(L, 4, 1);
            lua_rawgeti(L, 4, 2);
            lua_remove(L, 4);
        } else {
            lua_pushnil(L);
        }
        lua_call(L, 2, 1);
        lua_rawseti(L, 2, i);
    }
    lua_newtable(L);
    lua_remove(L, 1);
    return go_on_all(L, LUA_OK, 0);
}

void brim_script_push_fetch(lua_State *L)
{
    lua_pushcfunction(L, fetch);
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, BRIM_SCRIPT_FETCH);
}

void brim_script_push_all(lua_State *L)
{
    lua_pushcfunction(L, fetch_all);
}
