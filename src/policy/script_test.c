/* SPDX-License-Identifier: MIT */
/*
 * What a test file finds besides Lua (`brim lua --help` lists it all):
 *
 *   local site = handlers("site.lua", {env =, now =, kv =, fetch =})    path: beside the test
 *   local r = site:request{url =, method =, headers =, ip =, hit =, response =}
 *   test("what it promises", function() ... end)
 *   equal(actual, expected [, what])
 *
 * A request passes the phases as in a node that has not got the answer: viewer_request,
 * origin_request, origin_response, viewer_response; with hit = true as in one that has. `response`
 * stands for what the origin or the cache says; 200 without fields if absent. The stores are real
 * ones, a site's own; brim.fetch is answered by the test's function, at once.
 */
#include "brim/policy/script_test.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdlib.h>

#include "brim/base/clock.h"
#include "brim/policy/script.h"
#include "brim/policy/script_cover.h"
#include "brim/policy/script_http.h"
#include "brim/policy/script_mock.h"
#include "brim/policy/script_test_read.h"

#define SITE_METATABLE "brim.test.site"
#define LINES_MAX      20000
#define ENV_MAX        64
#define URL_MAX        8192

struct site {
    struct brim_script_vm *vm;
    struct brim_script_host host;
    struct brim_script_mock mock;
    int64_t now_wall_ms;
    unsigned char *lines;
    char path[1024];
    lua_State *L;  /* while a request runs: the site at 1, on top a table that takes log lines */
    char why[256]; /* brim.fetch failed */
};

struct suite {
    FILE *out;
    const char *dir;
    unsigned *number;
    unsigned *failed;
};

/* ---- the host of a test ---- */

static uint64_t test_mono(void *ctx)
{
    return (uint64_t)((struct site *)ctx)->now_wall_ms * 1000;
}

static int64_t test_wall(void *ctx)
{
    return ((struct site *)ctx)->now_wall_ms;
}

/* The same bytes each time: a test can say what comes out. */
static enum brim_err test_random(void *ctx, void *bytes_out, size_t bytes)
{
    (void)ctx;
    for (size_t i = 0; i < bytes; i++)
        ((unsigned char *)bytes_out)[i] = (unsigned char)(i * 37 + 11);
    return BRIM_OK;
}

static void test_log(void *ctx, enum brim_log_level level, struct brim_str text)
{
    lua_State *L = ((struct site *)ctx)->L;

    (void)level;
    if (L == NULL)
        return;
    lua_pushlstring(L, text.base, text.len);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
}

/* Sums up in the site's second value. */
static void test_count(void *ctx, struct brim_str name, int64_t n)
{
    lua_State *L = ((struct site *)ctx)->L;

    if (L == NULL || !lua_checkstack(L, 4))
        return;
    lua_getiuservalue(L, 1, 2);
    lua_pushlstring(L, name.base, name.len);
    lua_pushvalue(L, -1);
    lua_rawget(L, -3);
    lua_pushinteger(L, (lua_Integer)n + lua_tointeger(L, -1));
    lua_remove(L, -2);
    lua_rawset(L, -3);
    lua_pop(L, 1);
}

/* Notes "urls http://..." and the like in the site's third value. */
static const char *test_purge(void *ctx, const struct brim_script_purge *purge)
{
    lua_State *L = ((struct site *)ctx)->L;
    const char *soft = purge->is_soft ? "soft " : "";

    if (L == NULL || !lua_checkstack(L, 8))
        return NULL;
    lua_getiuservalue(L, 1, 3);
    for (size_t i = 0; i < purge->count; i++) {
        lua_pushfstring(L, "%s%s ", soft, brim_purge_noun_words(purge->names[i].noun).list);
        lua_pushlstring(L, purge->names[i].text.base, purge->names[i].text.len);
        lua_concat(L, 2);
        lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    }
    if (purge->is_all) {
        lua_pushfstring(L, "%sall", soft);
        lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    }
    lua_pop(L, 1);
    return NULL;
}

/* From the site's fourth value: {[ip] = {country = ...}}. */
static enum brim_err test_geo(void *ctx, struct brim_str ip, struct brim_geo_place *place_out)
{
    lua_State *L = ((struct site *)ctx)->L;
    enum brim_err err = BRIM_ENOENT;
    int top;

    if (L == NULL || !lua_checkstack(L, 6))
        return BRIM_ENOENT;
    top = lua_gettop(L);
    lua_getiuservalue(L, 1, 4);
    lua_pushlstring(L, ip.base, ip.len);
    if (lua_rawget(L, -2) == LUA_TTABLE) {
        brim_script_test_place(L, place_out);
        err = BRIM_OK;
    }
    lua_settop(L, top);
    return err;
}

/* ---- handlers(path, options) ---- */

static struct suite *suite_of(lua_State *L)
{
    return *(struct suite **)lua_getextraspace(L);
}

/* Fills pairs from the table at the top; the texts stay in it. */
static void read_env(lua_State *L, const char **env)
{
    size_t at = 0;

    lua_pushnil(L);
    while (lua_next(L, -2) != 0) {
        if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING ||
            at + 2 >= 2 * ENV_MAX)
            luaL_error(L, "env: names and values are text, at most %d", ENV_MAX);
        env[at++] = lua_tostring(L, -2);
        env[at++] = lua_tostring(L, -1);
        lua_pop(L, 1);
    }
    env[at] = NULL;
}

static void open_site(lua_State *L, struct site *site, const char *const *env)
{
    const struct brim_script_config config = {
        .file = site->path,
        .limits = {.cpu_us = 1000000,
                   .wall_ms = 10000,
                   .memory_bytes = 4u << 20,
                   .vm_bytes = 64u << 20,
                   .fetch_bytes = 1u << 20,
                   .fetches = 16},
        .env = env,
    };
    char error[2048];

    site->host = (struct brim_script_host){.ctx = site,
                                           .now_mono_us = test_mono,
                                           .now_wall_ms = test_wall,
                                           .random = test_random,
                                           .log = test_log,
                                           .count = test_count,
                                           .purge = test_purge,
                                           .geo = test_geo,
                                           .kv = site->mock.kv,
                                           .dict = site->mock.dict};
    if (brim_script_vm_open(&config, &site->host, error, sizeof(error), &site->vm) != BRIM_OK)
        luaL_error(L, "%s", error);
    brim_script_vm_cover(site->vm, site->lines, LINES_MAX);
}

static void fill_store(lua_State *L, struct site *site, const char *store)
{
    struct brim_kv_name name = {.store = brim_str_of(store)};
    struct brim_str value;

    lua_pushnil(L);
    while (lua_next(L, -2) != 0) {
        if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING)
            luaL_error(L, "kv: keys and values are text");
        name.key.base = lua_tolstring(L, -2, &name.key.len);
        value.base = lua_tolstring(L, -1, &value.len);
        if (!brim_kv_store_is_valid(name.store) || !brim_kv_key_is_valid(name.key) ||
            brim_kv_set(site->mock.kv, &name, value, 0) != BRIM_OK)
            luaL_error(L, "kv: %s cannot be set in store %s", name.key.base, store);
        lua_pop(L, 1);
    }
}

/* From the table at the top: {store = {key = value}}. */
static void fill_stores(lua_State *L, struct site *site)
{
    lua_pushnil(L);
    while (lua_next(L, -2) != 0) {
        if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TTABLE)
            luaL_error(L, "kv: a table of keys and values for each store is expected");
        fill_store(L, site, lua_tostring(L, -2));
        lua_pop(L, 1);
    }
}

static int test_handlers(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    const char *env[2 * ENV_MAX + 1] = {NULL};
    struct site *site;
    int len;

    lua_settop(L, 2);
    if (lua_isnil(L, 2)) {
        lua_newtable(L);
        lua_replace(L, 2);
    }
    luaL_checktype(L, 2, LUA_TTABLE);
    site = lua_newuserdatauv(L, sizeof(*site), 4); /* brim.fetch, counters, purges, places */
    *site = (struct site){.now_wall_ms = brim_clock_wall_ms()};
    luaL_setmetatable(L, SITE_METATABLE);
    site->lines = calloc(LINES_MAX, 1);
    len = snprintf(site->path, sizeof(site->path), name[0] == '/' ? "%.0s%s" : "%s/%s",
                   suite_of(L)->dir, name);
    if (site->lines == NULL || len < 0 || (size_t)len >= sizeof(site->path))
        return luaL_error(L, "handlers: the path is too long");
    if (lua_getfield(L, 2, "now") != LUA_TNIL)
        site->now_wall_ms = (int64_t)(luaL_checknumber(L, -1) * 1000);
    if (lua_getfield(L, 2, "fetch") != LUA_TNIL)
        luaL_checktype(L, -1, LUA_TFUNCTION);
    lua_setiuservalue(L, 3, 1);
    lua_newtable(L);
    lua_setiuservalue(L, 3, 2);
    lua_newtable(L);
    lua_setiuservalue(L, 3, 3);
    if (lua_getfield(L, 2, "geo") != LUA_TTABLE) {
        lua_pop(L, 1);
        lua_newtable(L);
    }
    lua_setiuservalue(L, 3, 4);
    if (brim_script_mock_open(&site->mock) != BRIM_OK)
        return luaL_error(L,
                          "handlers: no stores can be made in the directory for temporary files");
    if (lua_getfield(L, 2, "kv") == LUA_TTABLE)
        fill_stores(L, site);
    if (lua_getfield(L, 2, "env") == LUA_TTABLE)
        read_env(L, env);
    open_site(L, site, env);
    lua_settop(L, 3);
    lua_getfield(L, LUA_REGISTRYINDEX, "brim.test.sites"); /* for the coverage at the end */
    lua_pushvalue(L, 3);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    lua_pop(L, 1);
    return 1;
}

static int close_site(lua_State *L)
{
    struct site *site = luaL_checkudata(L, 1, SITE_METATABLE);

    brim_script_vm_close(site->vm);
    brim_script_mock_close(&site->mock);
    free(site->lines);
    site->vm = NULL;
    site->lines = NULL;
    return 0;
}

/* ---- site:request{...} ---- */

/* scheme://authority/target */
static void read_url(lua_State *L, int index, struct brim_script_request *request)
{
    struct brim_str url = brim_script_test_text(L, index, "url", "http://localhost/");
    const char *host = memmem(url.base, url.len, "://", 3);
    const char *end = url.base + url.len, *path;

    if (host == NULL || url.len > URL_MAX)
        luaL_error(L, "url: scheme://host/path is expected");
    request->scheme = brim_str(url.base, (size_t)(host - url.base));
    host += 3;
    path = memchr(host, '/', (size_t)(end - host));
    if (path == NULL)
        path = end;
    request->host = brim_str(host, (size_t)(path - host));
    request->target = path == end ? BRIM_STR("/") : brim_str(path, (size_t)(end - path));
}

/* ---- brim.fetch ---- */

struct mock_fetch { /* also the task */
    struct site *site;
    const struct brim_script_fetch *asked;
    struct brim_script_news news;
};

/* From what the test's function returned, at the top: {status =, headers =, body =}, or nil, why.
 */
static void take_fetched(lua_State *L, struct mock_fetch *m)
{
    struct brim_script_headers headers;
    int at = lua_gettop(L) - 1;

    if (lua_isnil(L, at)) {
        (void)snprintf(m->site->why, sizeof(m->site->why), "%s",
                       luaL_optstring(L, -1, "the exchange failed"));
        return;
    }
    luaL_checktype(L, at, LUA_TTABLE);
    lua_settop(L, at);
    headers = brim_script_test_headers(L, at);
    (void)lua_getfield(L, at, "status");
    m->news = (struct brim_script_news){
        .state = BRIM_SCRIPT_TASK_DONE,
        .status = (unsigned)luaL_optinteger(L, -1, 200),
        .fields = {headers.items, headers.count},
        .body = brim_script_test_text(L, at, "body", ""),
    };
}

static void set_str(lua_State *L, const char *key, struct brim_str text)
{
    lua_pushlstring(L, text.base == NULL ? "" : text.base, text.len);
    lua_setfield(L, -2, key);
}

/* (function, mock_fetch): calls it with (url, options). */
static int call_fetch(lua_State *L)
{
    struct mock_fetch *m = lua_touserdata(L, 2);
    const struct brim_script_fetch *asked = m->asked;

    lua_pushvalue(L, 1);
    lua_pushlstring(L, asked->url.base, asked->url.len);
    lua_newtable(L);
    set_str(L, "method", asked->method);
    set_str(L, "origin", asked->origin);
    set_str(L, "body", asked->body);
    lua_pushboolean(L, asked->may_cache);
    lua_setfield(L, -2, "cache");
    lua_newtable(L);
    for (size_t i = 0; i < asked->fields.count; i++) {
        const struct brim_field *field = &asked->fields.items[i];

        lua_pushlstring(L, field->name.base, field->name.len);
        lua_pushlstring(L, field->value.base, field->value.len);
        lua_rawset(L, -3);
    }
    lua_setfield(L, -2, "headers");
    lua_call(L, 2, 2);
    take_fetched(L, m);
    return 0;
}

/* Runs inside a slice of the VM, so nothing of the test's Lua may be raised through it. */
static void *mock_begin(void *ctx, const struct brim_script_fetch *fetch, const char **why_out)
{
    struct site *site = ctx;
    lua_State *L = site->L;
    struct mock_fetch m = {.site = site, .asked = fetch}, *task;
    int top = lua_gettop(L);

    *why_out = site->why;
    if (!lua_checkstack(L, 20) || lua_getiuservalue(L, 1, 1) != LUA_TFUNCTION) {
        lua_settop(L, top);
        *why_out = "the test has no answer: handlers(FILE, {fetch = function(url, options) end})";
        return NULL;
    }
    lua_pushcfunction(L, call_fetch);
    lua_insert(L, -2);
    lua_pushlightuserdata(L, &m);
    if (lua_pcall(L, 2, 0, 0) != LUA_OK)
        (void)snprintf(site->why, sizeof(site->why), "the test's fetch function: %s",
                       luaL_tolstring(L, -1, NULL));
    lua_settop(L, top);
    if (m.news.state != BRIM_SCRIPT_TASK_DONE)
        return NULL;
    task = malloc(sizeof(*task));
    if (task != NULL)
        *task = m;
    return task;
}

static void mock_look(void *task, struct brim_script_news *news_out)
{
    *news_out = ((struct mock_fetch *)task)->news;
}

static const struct brim_script_tasks mock_tasks = {mock_begin, mock_look, free};

/* ---- site:request{...}, the phases ---- */

struct exchange {
    struct brim_script_request request;
    struct brim_script_request asked; /* of the origin */
    struct brim_script_response response;
    bool has_answer;
    bool is_hit;
};

static int push_request(lua_State *L, void *ctx)
{
    brim_script_push_request(L, &((struct exchange *)ctx)->request);
    return 1;
}

static void take_answer(lua_State *L, void *ctx)
{
    struct exchange *e = ctx;
    struct brim_script_response answer = e->response;

    answer.headers.count = 0;
    answer.body = BRIM_STR("");
    e->has_answer = brim_script_take_answer(L, BRIM_SCRIPT_RESULT, &answer);
    if (e->has_answer)
        e->response = answer;
}

static int push_both(lua_State *L, void *ctx)
{
    brim_script_push_request(L, &((struct exchange *)ctx)->request);
    brim_script_push_response(L, &((struct exchange *)ctx)->response);
    return 2;
}

static int push_asked(lua_State *L, void *ctx)
{
    brim_script_push_request(L, &((struct exchange *)ctx)->asked);
    return 1;
}

static void take_nothing(lua_State *L, void *ctx)
{
    (void)L;
    (void)ctx;
}

/* Values of one name are joined by ", ". */
static void set_headers(lua_State *L, const struct brim_script_headers *headers)
{
    lua_newtable(L);
    for (size_t i = 0; i < headers->count; i++) {
        const struct brim_field *field = &headers->items[i];

        lua_pushlstring(L, field->name.base, field->name.len);
        lua_pushvalue(L, -1);
        if (lua_rawget(L, -3) == LUA_TSTRING) {
            lua_pushliteral(L, ", ");
            lua_pushlstring(L, field->value.base, field->value.len);
            lua_concat(L, 3);
        } else {
            lua_pop(L, 1);
            lua_pushlstring(L, field->value.base, field->value.len);
        }
        lua_rawset(L, -3);
    }
    lua_setfield(L, -2, "headers");
}

/* Whether a call ended well; if not, the result on top says how. */
static bool note_end(lua_State *L, struct brim_script_run *run, enum brim_script_end end)
{
    if (end == BRIM_SCRIPT_OK)
        return true;
    lua_pushstring(L, brim_script_run_error(run));
    lua_setfield(L, -3, "error");
    lua_pushstring(L, brim_script_end_name(end));
    lua_setfield(L, -3, "reason");
    return false;
}

/* One phase, if the file has it; false: it failed, see note_end(). */
static bool run_phase(lua_State *L, struct site *site, struct brim_script_run *run,
                      enum brim_script_phase phase, const struct brim_script_call *call)
{
    if (!brim_script_vm_has(site->vm, phase))
        return true;
    return note_end(L, run, brim_script_run_call(run, phase, call));
}

/* In a run of its own, as in a node: it shares nothing with the client's phases. */
static bool run_origin_response(lua_State *L, struct site *site, struct exchange *e)
{
    const struct brim_script_call response = {push_both, take_nothing, e};
    struct brim_script_run *run = brim_script_run_begin(site->vm);
    bool ok;

    if (run == NULL)
        luaL_error(L, "out of memory");
    brim_script_response_is_origins(&e->response, true);
    ok = run_phase(L, site, run, BRIM_SCRIPT_ORIGIN_RESPONSE, &response);
    brim_script_response_is_origins(&e->response, false);
    brim_script_run_end(run);
    return ok;
}

/* What a node does that has not got the answer. */
static bool ask_origin(lua_State *L, struct site *site, struct brim_script_run *run,
                       struct exchange *e)
{
    const struct brim_script_call asked = {push_asked, take_nothing, e};
    struct brim_field *items = brim_script_test_keep(L, BRIM_SCRIPT_TEST_FIELDS * sizeof(*items));

    e->asked = e->request;
    memcpy(items, e->request.headers.items, e->request.headers.count * sizeof(*items));
    e->asked.headers.items = items;
    e->asked.headers.room = BRIM_SCRIPT_TEST_FIELDS;
    e->asked.key_is_made = true;
    return run_phase(L, site, run, BRIM_SCRIPT_ORIGIN_REQUEST, &asked) &&
           run_origin_response(L, site, e);
}

/* Top: result table, then its log table. */
static bool run_phases(lua_State *L, struct site *site, struct exchange *e)
{
    const struct brim_script_call request = {push_request, take_answer, e};
    const struct brim_script_call response = {push_both, take_nothing, e};
    struct brim_script_run *run = brim_script_run_begin(site->vm);
    bool ok;

    if (run == NULL)
        luaL_error(L, "out of memory");
    site->L = L;
    brim_script_run_serve(run, &mock_tasks, site);
    ok = run_phase(L, site, run, BRIM_SCRIPT_VIEWER_REQUEST, &request);
    if (ok && !e->has_answer && !e->is_hit)
        ok = ask_origin(L, site, run, e);
    e->request.is_read_only = e->request.headers.is_read_only = true;
    if (ok)
        ok = run_phase(L, site, run, BRIM_SCRIPT_VIEWER_RESPONSE, &response);
    if (ok)
        ok = note_end(L, run, brim_script_run_after(run));
    site->L = NULL;
    brim_script_run_end(run);
    return ok;
}

static void set_request(lua_State *L, const char *key, const struct brim_script_request *request)
{
    lua_newtable(L);
    set_str(L, "method", request->method);
    set_str(L, "target", request->target);
    set_str(L, "origin", request->origin);
    set_str(L, "key", request->key);
    set_headers(L, &request->headers);
    lua_setfield(L, -2, key);
}

static void set_result(lua_State *L, const struct exchange *e)
{
    lua_pushboolean(L, e->has_answer);
    lua_setfield(L, -2, "answered");
    lua_pushinteger(L, (lua_Integer)e->response.status);
    lua_setfield(L, -2, "status");
    set_headers(L, &e->response.headers);
    set_str(L, "body", e->response.body);
    set_request(L, "request", &e->request);
    if (e->asked.method.len > 0)
        set_request(L, "asked", &e->asked);
}

static int site_request(lua_State *L)
{
    struct site *site = luaL_checkudata(L, 1, SITE_METATABLE);
    struct exchange e = {0};

    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    e.request.headers = brim_script_test_headers(L, 2);
    e.request.method = brim_script_test_text(L, 2, "method", "GET");
    e.request.ip = brim_script_test_text(L, 2, "ip", "192.0.2.1");
    e.request.tls_client_subject = brim_script_test_text(L, 2, "tls_client_subject", "");
    e.request.tls_client_fingerprint = brim_script_test_text(L, 2, "tls_client_fingerprint", "");
    e.request.version = BRIM_STR("1.1");
    e.request.id[1] = 1;
    read_url(L, 2, &e.request);
    lua_getfield(L, 2, "hit");
    e.is_hit = lua_toboolean(L, -1);
    lua_settop(L, 2);
    if (lua_getfield(L, 2, "response") != LUA_TTABLE) {
        lua_newtable(L);
        lua_replace(L, 3);
    }
    e.response.headers = brim_script_test_headers(L, 3);
    lua_getfield(L, 3, "status");
    e.response.status = (unsigned)luaL_optinteger(L, -1, 200);
    e.response.body = brim_script_test_text(L, 3, "body", "");
    lua_settop(L, 2);
    lua_newtable(L);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, "log");
    if (!run_phases(L, site, &e))
        e.response.status = 500;
    lua_settop(L, 3);
    set_result(L, &e);
    return 1;
}

/* ---- site:advance(seconds), site:kv(store, key), site:metric(name), site:purges() ---- */

static int site_metric(lua_State *L)
{
    luaL_checkudata(L, 1, SITE_METATABLE);
    lua_getiuservalue(L, 1, 2);
    lua_pushstring(L, luaL_checkstring(L, 2));
    if (lua_rawget(L, -2) == LUA_TNIL)
        lua_pushinteger(L, 0);
    return 1;
}

static int site_purges(lua_State *L)
{
    luaL_checkudata(L, 1, SITE_METATABLE);
    lua_getiuservalue(L, 1, 3);
    return 1;
}

static int site_advance(lua_State *L)
{
    struct site *site = luaL_checkudata(L, 1, SITE_METATABLE);

    site->now_wall_ms += (int64_t)(luaL_checknumber(L, 2) * 1000);
    return 0;
}

static int site_kv(lua_State *L)
{
    struct site *site = luaL_checkudata(L, 1, SITE_METATABLE);
    struct brim_kv_name name = {brim_str_of(luaL_checkstring(L, 2)),
                                brim_str_of(luaL_checkstring(L, 3))};
    struct brim_kv_room room = {brim_script_test_keep(L, BRIM_KV_VALUE_MAX), BRIM_KV_VALUE_MAX};
    size_t len;

    luaL_argcheck(L, brim_kv_store_is_valid(name.store), 2, "not a store's name");
    luaL_argcheck(L, brim_kv_key_is_valid(name.key), 3, "not a key");
    if (brim_kv_get(site->mock.kv, &name, site->now_wall_ms, room, &len) != BRIM_OK)
        return 0;
    lua_pushlstring(L, room.base, len);
    return 1;
}

/* ---- test(name, fn), equal(a, b) ---- */

static int add_traceback(lua_State *L)
{
    luaL_traceback(L, L, luaL_tolstring(L, 1, NULL), 1);
    return 1;
}

/* A failed test's message as TAP comments, a line each. */
static void write_comment(FILE *out, const char *text)
{
    while (*text != '\0') {
        size_t len = strcspn(text, "\n");

        (void)fprintf(out, "# %.*s\n", (int)len, text);
        text += len + (text[len] == '\n');
    }
}

static int test_test(lua_State *L)
{
    struct suite *suite = suite_of(L);
    const char *name = luaL_checkstring(L, 1);

    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_settop(L, 2);
    lua_pushcfunction(L, add_traceback);
    lua_insert(L, 2);
    if (lua_pcall(L, 0, 0, 2) == LUA_OK) {
        (void)fprintf(suite->out, "ok %u - %s\n", ++*suite->number, name);
        return 0;
    }
    ++*suite->failed;
    (void)fprintf(suite->out, "not ok %u - %s\n", ++*suite->number, name);
    write_comment(suite->out, lua_tostring(L, -1));
    return 0;
}

static int test_equal(lua_State *L)
{
    luaL_checkany(L, 2);
    if (lua_compare(L, 1, 2, LUA_OPEQ))
        return 0;
    return luaL_error(L, "%s: got %s, expected %s", luaL_optstring(L, 3, "not equal"),
                      luaL_tolstring(L, 1, NULL), luaL_tolstring(L, 2, NULL));
}

/* ---- coverage ---- */

static void write_all_coverage(lua_State *L, FILE *out)
{
    lua_getfield(L, LUA_REGISTRYINDEX, "brim.test.sites");
    for (lua_Integer i = 1; lua_rawgeti(L, -1, i) == LUA_TUSERDATA; i++) {
        const struct site *site = lua_touserdata(L, -1);

        brim_script_cover_write(site->path, site->lines, LINES_MAX, out);
        lua_pop(L, 1);
    }
}

/* ---- a file ---- */

static int prepare(lua_State *L)
{
    static const luaL_Reg methods[] = {{"request", site_request}, {"advance", site_advance},
                                       {"kv", site_kv},           {"metric", site_metric},
                                       {"purges", site_purges},   {NULL, NULL}};

    luaL_openlibs(L);
    luaL_newmetatable(L, SITE_METATABLE);
    lua_pushcfunction(L, close_site);
    lua_setfield(L, -2, "__gc");
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_newtable(L);
    lua_setfield(L, LUA_REGISTRYINDEX, "brim.test.sites");
    lua_register(L, "handlers", test_handlers);
    lua_register(L, "test", test_test);
    lua_register(L, "equal", test_equal);
    return 0;
}

enum brim_err brim_script_test_file(const char *path, FILE *out, unsigned *number, unsigned *failed)
{
    const char *slash = strrchr(path, '/');
    char dir[1024];
    struct suite suite = {.out = out, .dir = dir, .number = number, .failed = failed};
    lua_State *L = luaL_newstate();
    enum brim_err err = BRIM_OK;

    if (L == NULL)
        return BRIM_ENOMEM;
    (void)snprintf(dir, sizeof(dir), "%.*s", slash == NULL ? 1 : (int)(slash - path),
                   slash == NULL ? "." : path);
    *(struct suite **)lua_getextraspace(L) = &suite;
    (void)fprintf(out, "# %s\n", path);
    lua_pushcfunction(L, add_traceback);
    lua_pushcfunction(L, prepare);
    if (lua_pcall(L, 0, 0, 0) != LUA_OK || luaL_loadfile(L, path) != LUA_OK ||
        lua_pcall(L, 0, 0, 1) != LUA_OK) {
        ++*failed;
        (void)fprintf(out, "not ok %u - %s runs\n", ++*number, path);
        write_comment(out, luaL_tolstring(L, -1, NULL));
        err = BRIM_EINVAL;
    } else {
        write_all_coverage(L, out);
    }
    lua_close(L);
    return err;
}
