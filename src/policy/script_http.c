/* SPDX-License-Identifier: MIT */
/*
 * A VM has one userdata for the request and one for the response of each phase, and one for each of
 * their headers, query and cookies. They hold nothing: what they show is what the call under way
 * was lent, in the run that runs now. So none has to be made for a request; a handler that kept one
 * finds its own request in it or, in another phase, an error, and never another's.
 *
 * The parts stand in a table behind their message, where Lua finds them by itself; only the other
 * properties call get_request() and get_response(). Views share their methods (script_view.c).
 */
#include "brim/policy/script_http.h"

#include <lauxlib.h>
#include <lua.h>
#include <stddef.h>
#include <stdio.h>

#include "brim/http/cache_control.h"
#include "brim/http/uri.h"
#include "brim/policy/script_inside.h"
#include "brim/policy/script_view.h"

#define METATABLE  "brim.lent"
#define TARGET_MAX 8192
#define KEY_MAX    256
#define ORIGIN_MAX 64
#define METHOD_MAX 32

struct lent {
    const void *magic; /* the metatable that all views have in this VM */
    enum brim_script_kind kind;
    enum brim_script_kind of; /* the message that it is a part of, or is */
    enum brim_script_phase phase;
    void *own; /* the message, where it lies in the userdata itself; else NULL */
};

_Static_assert(offsetof(struct brim_script_request, headers) == 0,
               "a view of headers takes either");
_Static_assert(offsetof(struct brim_script_response, headers) == 0, "likewise");

static void *message_of(lua_State *L, const struct lent *lent)
{
    const struct brim_script_run *run = brim_script_vm_of(L)->current;
    void *message = lent->own;

    if (message == NULL && run != NULL && run->phase == lent->phase)
        message = run->lent[lent->of];
    if (message == NULL)
        luaL_error(L, "used after the phase that it was lent for");
    return message;
}

/* No script has a full userdata that is not one of these; were there one, the magic would tell. */
struct brim_script_view brim_script_check_view(lua_State *L, int arg)
{
    const struct lent *lent = lua_type(L, arg) == LUA_TUSERDATA ? lua_touserdata(L, arg) : NULL;

    if (lent == NULL || lent->magic != brim_script_vm_of(L)->view_meta_at)
        luaL_typeerror(L, arg, METATABLE);
    return (struct brim_script_view){lent->kind, message_of(L, lent)};
}

static void set_view_meta(lua_State *L)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, brim_script_vm_of(L)->view_meta);
    lua_setmetatable(L, -2);
}

static struct brim_str put(char **at, struct brim_str text)
{
    char *copy = *at;

    if (text.len > 0)
        memcpy(copy, text.base, text.len);
    *at += text.len;
    return brim_str(copy, text.len);
}

void brim_script_push_headers(lua_State *L, struct brim_fields fields)
{
    struct {
        struct lent lent; /* first */
        struct brim_script_headers headers;
        struct brim_field items[];
    } * own;
    size_t bytes = sizeof(*own) + fields.count * sizeof(own->items[0]);
    char *at;

    for (size_t i = 0; i < fields.count; i++)
        bytes += fields.items[i].name.len + fields.items[i].value.len;
    brim_script_charge(L, bytes);
    own = lua_newuserdatauv(L, bytes, 0);
    at = (char *)(own->items + fields.count);
    for (size_t i = 0; i < fields.count; i++) {
        own->items[i].name = put(&at, fields.items[i].name);
        own->items[i].value = put(&at, fields.items[i].value);
    }
    own->headers = (struct brim_script_headers){
        .items = own->items, .count = fields.count, .room = fields.count, .is_read_only = true};
    own->lent = (struct lent){.magic = brim_script_vm_of(L)->view_meta_at,
                              .kind = BRIM_SCRIPT_HEADERS,
                              .own = &own->headers};
    set_view_meta(L);
}

static void push_message(lua_State *L, enum brim_script_kind kind, void *message)
{
    const struct brim_script_vm *vm = brim_script_vm_of(L);

    vm->current->lent[kind] = message;
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->messages[vm->current->phase][kind]);
}

void brim_script_push_request(lua_State *L, struct brim_script_request *request)
{
    push_message(L, BRIM_SCRIPT_REQUEST, request);
}

void brim_script_push_response(lua_State *L, struct brim_script_response *response)
{
    push_message(L, BRIM_SCRIPT_RESPONSE, response);
}

struct brim_str brim_script_keep(const struct brim_script_memory *memory, struct brim_str text)
{
    char *copy = memory->alloc(memory->pool, text.len + 1);

    if (text.len > 0)
        memcpy(copy, text.base, text.len);
    copy[text.len] = '\0';
    return brim_str(copy, text.len);
}

static void push_str(lua_State *L, struct brim_str text)
{
    lua_pushlstring(L, text.base == NULL ? "" : text.base, text.len);
}

/* ---- reading properties ---- */

static struct brim_str path_of(struct brim_str target)
{
    const char *mark = memchr(target.base, '?', target.len);

    return mark == NULL ? target : brim_str(target.base, (size_t)(mark - target.base));
}

static struct brim_str host_of(struct brim_str authority)
{
    size_t len = authority.len;

    while (len > 0 && authority.base[len - 1] >= '0' && authority.base[len - 1] <= '9')
        len--;
    return len > 0 && authority.base[len - 1] == ':' ? brim_str(authority.base, len - 1)
                                                     : authority;
}

static void push_id(lua_State *L, const uint64_t id[2])
{
    char text[33];
    int len = snprintf(text, sizeof(text), "%016llx%016llx", (unsigned long long)id[0],
                       (unsigned long long)id[1]);

    lua_pushlstring(L, text, (size_t)len);
}

/* What stands in the request as it is told. */
static int get_text(lua_State *L, const struct brim_script_request *request, struct brim_str name)
{
    static const struct {
        struct brim_str name;
        size_t offset;
    } texts[] = {
#define TEXT(property, member) {BRIM_STR(property), offsetof(struct brim_script_request, member)}
        TEXT("method", method),
        TEXT("authority", host),
        TEXT("scheme", scheme),
        TEXT("target", target),
        TEXT("ip", ip),
        TEXT("version", version),
        TEXT("origin", origin),
        TEXT("key", key),
        TEXT("tls_version", tls_version),
        TEXT("tls_cipher", tls_cipher),
        TEXT("tls_client_subject", tls_client_subject),
        TEXT("tls_client_fingerprint", tls_client_fingerprint),
#undef TEXT
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (brim_str_is(name, texts[i].name)) {
            push_str(L, *(const struct brim_str *)((const char *)request + texts[i].offset));
            return 1;
        }
    return luaL_error(L, "a request has no \"%s\"", name.base);
}

static struct brim_str check_name(lua_State *L, int arg)
{
    struct brim_str name = {0};

    if (lua_type(L, arg) != LUA_TSTRING)
        luaL_typeerror(L, arg, "string");
    name.base = lua_tolstring(L, arg, &name.len);
    return name;
}

/* The message that the userdata in upvalue 1 shows. */
static void *upvalue_message(lua_State *L)
{
    return message_of(L, lua_touserdata(L, lua_upvalueindex(1)));
}

static int get_request(lua_State *L)
{
    const struct brim_script_request *request = upvalue_message(L);
    struct brim_str name = check_name(L, 2);

    if (brim_str_is(name, BRIM_STR("path")))
        push_str(L, path_of(request->target));
    else if (brim_str_is(name, BRIM_STR("host")))
        push_str(L, host_of(request->host));
    else if (brim_str_is(name, BRIM_STR("id")))
        push_id(L, request->id);
    else if (brim_str_is(name, BRIM_STR("port")))
        lua_pushinteger(L, request->port);
    else
        return get_text(L, request, name);
    return 1;
}

static int get_response(lua_State *L)
{
    const struct brim_script_response *response = upvalue_message(L);
    struct brim_str name = check_name(L, 2);

    if (!brim_str_is(name, BRIM_STR("status")))
        luaL_error(L, "a response has no \"%s\"", name.base);
    lua_pushinteger(L, (lua_Integer)response->status);
    return 1;
}

/* Upvalue: the methods of views. */
static int get_in_view(lua_State *L)
{
    const struct brim_script_view view = brim_script_check_view(L, 1);
    struct brim_str name = check_name(L, 2);

    if (name.len <= BRIM_SCRIPT_METHOD_LETTERS) {
        lua_settop(L, 2);
        lua_pushvalue(L, 2);
        if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL)
            return 1;
    }
    return brim_script_view_push(L, &view, name); /* view["name"] is view:get("name") */
}

/* ---- writing properties ---- */

/* As strict as with clients: what a handler puts together of what they sent must not lead an origin
 * past the gates of the route that the path is matched with. */
static bool is_path(struct brim_str path)
{
    if (path.len == 0 || path.len > TARGET_MAX || path.base[0] != '/')
        return false;
    for (size_t i = 0; i < path.len; i++)
        if (path.base[i] <= ' ' || path.base[i] > '~' || strchr("?#\"<>\\^`{|}", path.base[i]))
            return false;
    return brim_uri_target_is_valid(path);
}

void brim_script_set_target(struct brim_script_request *request, struct brim_str path,
                            struct brim_str query)
{
    const struct brim_script_memory *memory = &request->headers.memory;
    char *text = memory->alloc(memory->pool, path.len + query.len + 2);

    memcpy(text, path.base, path.len);
    if (query.len > 0) {
        text[path.len] = '?';
        memcpy(text + path.len + 1, query.base, query.len);
    }
    request->target = brim_str(text, path.len + (query.len > 0 ? query.len + 1 : 0));
    request->is_changed = true;
}

struct brim_str brim_script_query_of(struct brim_str target)
{
    size_t path = path_of(target).len;

    return path == target.len ? brim_str("", 0)
                              : brim_str(target.base + path + 1, target.len - path - 1);
}

static void set_path(lua_State *L, struct brim_script_request *request, struct brim_str value)
{
    luaL_argcheck(L, is_path(value), 3,
                  "a path begins with '/', is percent-encoded, and no segment of it is . or ..");
    brim_script_set_target(request, value, brim_script_query_of(request->target));
}

static bool is_text(struct brim_str text, size_t max)
{
    if (text.len > max)
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (text.base[i] <= ' ' || text.base[i] > '~')
            return false;
    return true;
}

static int set_request(lua_State *L)
{
    struct brim_script_request *request = upvalue_message(L);
    struct brim_str name = check_name(L, 2), value = check_name(L, 3);
    const struct brim_script_memory *memory = &request->headers.memory;

    if (request->is_read_only)
        luaL_error(L, "the request cannot be changed in this phase");
    if (brim_str_is(name, BRIM_STR("path"))) {
        set_path(L, request, value);
    } else if (brim_str_is(name, BRIM_STR("method"))) {
        luaL_argcheck(L, value.len <= METHOD_MAX && brim_field_name_is_valid(value), 3,
                      "not a method");
        luaL_argcheck(L,
                      brim_str_is(value, BRIM_STR("HEAD")) ==
                          brim_str_is(request->method, BRIM_STR("HEAD")),
                      3, "HEAD cannot become another method, nor the reverse");
        request->method = brim_script_keep(memory, value);
    } else if (brim_str_is(name, BRIM_STR("origin"))) {
        luaL_argcheck(L, is_text(value, ORIGIN_MAX), 3, "not the name of an origin");
        request->origin = brim_script_keep(memory, value);
    } else if (brim_str_is(name, BRIM_STR("key"))) {
        luaL_argcheck(L, !request->key_is_made, 3, "the key is made already");
        luaL_argcheck(L, is_text(value, KEY_MAX), 3, "a key is visible ASCII, at most 256 bytes");
        request->key = brim_script_keep(memory, value);
    } else {
        luaL_error(L, "\"%s\" of a request cannot be changed", name.base);
    }
    request->is_changed = true;
    return 0;
}

static bool has_body(unsigned status)
{
    return status != 204 && status != 205 && status != 304 && status != 206 && status != 416;
}

static void set_status(lua_State *L, struct brim_script_response *response)
{
    lua_Integer status = luaL_checkinteger(L, 3);

    luaL_argcheck(L, status >= 200 && status <= 599, 3, "a status is 200 to 599");
    if ((unsigned)status == response->status)
        return;
    luaL_argcheck(L, has_body((unsigned)status) && has_body(response->status), 3,
                  "a status with a body cannot become one without, nor the reverse");
    response->status = (unsigned)status;
}

/* Pushes which fields of the answer are his alone who asked, as it says: a directive, or nothing.
 */
static void push_own_fields(lua_State *L, const struct brim_script_response *response)
{
    const struct brim_fields fields = {response->headers.items, response->headers.count};
    const struct brim_targets targets = {&response->ttl_field, 1};
    luaL_Buffer out;

    luaL_buffinit(L, &out);
    for (size_t i = 0; i < fields.count; i++) {
        struct brim_str name = fields.items[i].name;

        if (!brim_cache_control_excludes(fields, targets, name))
            continue;
        luaL_addstring(&out, luaL_bufflen(&out) == 0 ? ", private=\"" : ", ");
        luaL_addlstring(&out, name.base, name.len);
    }
    if (luaL_bufflen(&out) > 0)
        luaL_addchar(&out, '"');
    luaL_pushresult(&out);
}

/* What the answer forbids stays forbidden: a ttl for all answers is not meant for private ones. */
static void set_ttl(lua_State *L, struct brim_script_response *response)
{
    const struct brim_fields fields = {response->headers.items, response->headers.count};
    lua_Integer ttl_s = luaL_checkinteger(L, 3);
    struct brim_cache_control said, targeted;
    struct brim_str text = {0};

    luaL_argcheck(L, ttl_s >= 0 && ttl_s <= BRIM_DELTA_SECONDS_MAX, 3,
                  "a ttl is a number of seconds");
    brim_cache_control_parse(fields, BRIM_STR("cache-control"), &said);
    brim_cache_control_parse(fields, response->ttl_field, &targeted);
    push_own_fields(L, response);
    lua_pushfstring(L, "max-age=%I%s%s%s%s", (LUAI_UACINT)ttl_s, lua_tostring(L, -1),
                    said.is_private || targeted.is_private ? ", private" : "",
                    said.no_store || targeted.no_store ? ", no-store" : "",
                    said.no_cache || targeted.no_cache ? ", no-cache" : "");
    text.base = lua_tolstring(L, -1, &text.len);
    brim_script_headers_set(L, &response->headers, response->ttl_field, text);
}

static void add_tag(lua_State *L, struct brim_script_response *response)
{
    struct brim_str tag = {0};

    luaL_argexpected(L, lua_type(L, -1) == LUA_TSTRING, 3, "a list of texts");
    tag.base = lua_tolstring(L, -1, &tag.len);
    if (tag.len == 0 || tag.len > KEY_MAX || !is_text(tag, KEY_MAX) ||
        memchr(tag.base, ',', tag.len) != NULL)
        luaL_error(L, "a tag is visible ASCII without commas, at most %d bytes", KEY_MAX);
    brim_script_headers_add(L, &response->headers, response->tags_field, tag);
}

/* Beside those that the origin named. */
static void add_tags(lua_State *L, struct brim_script_response *response)
{
    lua_Integer count;

    luaL_checktype(L, 3, LUA_TTABLE);
    if (response->tags_field.len == 0)
        luaL_error(L, "the site reads no tags (cache.tags)");
    count = luaL_len(L, 3);
    luaL_argcheck(L, count <= BRIM_SCRIPT_HEADERS_MAX, 3, "too many tags");
    for (lua_Integer i = 1; i <= count; i++) {
        lua_geti(L, 3, i);
        add_tag(L, response);
        lua_pop(L, 1);
    }
}

/* With the fields that told of the other body. */
static void set_body(lua_State *L, struct brim_script_response *response)
{
    static const struct brim_str gone[] = {
        BRIM_STR("content-encoding"), BRIM_STR("content-length"), BRIM_STR("content-md5"),
        BRIM_STR("content-digest"),   BRIM_STR("repr-digest"),    BRIM_STR("etag"),
        BRIM_STR("last-modified"),    BRIM_STR("accept-ranges"),
    };
    struct brim_script_headers *headers = &response->headers;
    size_t kept = 0;

    luaL_argcheck(L, response->takes_body, 3, "this answer has no whole body to replace");
    luaL_argcheck(L, !response->has_body, 3, "the body was replaced already");
    response->body =
        brim_script_keep(&headers->memory, brim_script_check_bytes(L, 3, BRIM_SCRIPT_BODY_MAX));
    response->has_body = true;
    for (size_t i = 0; i < headers->count; i++) {
        bool is_gone = false;

        for (size_t j = 0; j < sizeof(gone) / sizeof(gone[0]); j++)
            is_gone = is_gone || brim_str_is(headers->items[i].name, gone[j]);
        if (!is_gone)
            headers->items[kept++] = headers->items[i];
    }
    headers->count = kept;
    headers->is_changed = true;
}

static int set_response(lua_State *L)
{
    struct brim_script_response *response = upvalue_message(L);
    struct brim_str name = check_name(L, 2);

    if (brim_str_is(name, BRIM_STR("status")))
        set_status(L, response);
    else if (response->is_origins && brim_str_is(name, BRIM_STR("ttl")))
        set_ttl(L, response);
    else if (response->is_origins && brim_str_is(name, BRIM_STR("tags")))
        add_tags(L, response);
    else if (response->is_origins && brim_str_is(name, BRIM_STR("body")))
        set_body(L, response);
    else
        luaL_error(L, "\"%s\" of a response cannot be changed%s", name.base,
                   response->is_origins ? "" : " in this phase");
    return 0;
}

static int set_in_view(lua_State *L)
{
    const struct brim_script_view view = brim_script_check_view(L, 1);

    return brim_script_view_assign(L, &view, check_name(L, 2));
}

/* ---- the userdata of a VM ---- */

static void push_lent(lua_State *L, enum brim_script_kind kind, enum brim_script_kind of,
                      enum brim_script_phase phase)
{
    struct lent *lent = lua_newuserdatauv(L, sizeof(*lent), 0);

    *lent = (struct lent){brim_script_vm_of(L)->view_meta_at, kind, of, phase, NULL};
}

static void add_view(lua_State *L, const char *name, enum brim_script_kind kind,
                     enum brim_script_kind of, enum brim_script_phase phase)
{
    push_lent(L, kind, of, phase);
    set_view_meta(L);
    lua_setfield(L, -2, name);
}

/* Pushes a closure over the message at index. */
static void push_over(lua_State *L, lua_CFunction function, int index)
{
    lua_pushvalue(L, index);
    lua_pushcclosure(L, function, 1);
}

static int open_message(lua_State *L, enum brim_script_kind kind, enum brim_script_phase phase)
{
    bool is_request = kind == BRIM_SCRIPT_REQUEST;
    int message = lua_gettop(L) + 1;

    push_lent(L, kind, kind, phase);
    lua_newtable(L); /* its metatable */
    lua_newtable(L); /* its parts */
    add_view(L, "headers", BRIM_SCRIPT_HEADERS, kind, phase);
    if (is_request) {
        add_view(L, "query", BRIM_SCRIPT_QUERY, kind, phase);
        add_view(L, "cookies", BRIM_SCRIPT_COOKIES, kind, phase);
    }
    lua_newtable(L);
    push_over(L, is_request ? get_request : get_response, message);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    lua_setfield(L, -2, "__index");
    push_over(L, is_request ? set_request : set_response, message);
    lua_setfield(L, -2, "__newindex");
    lua_pushstring(L, is_request ? "brim.request" : "brim.response");
    lua_setfield(L, -2, "__name");
    lua_pushboolean(L, false);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    return luaL_ref(L, LUA_REGISTRYINDEX);
}

void brim_script_http_open(lua_State *L)
{
    struct brim_script_vm *vm = brim_script_vm_of(L);

    luaL_newmetatable(L, METATABLE);
    brim_script_view_push_methods(L);
    lua_pushcclosure(L, get_in_view, 1);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, set_in_view);
    lua_setfield(L, -2, "__newindex");
    lua_pushboolean(L, false);
    lua_setfield(L, -2, "__metatable");
    vm->view_meta_at = lua_topointer(L, -1);
    vm->view_meta = luaL_ref(L, LUA_REGISTRYINDEX);
    for (int phase = 0; phase < BRIM_SCRIPT_PHASES; phase++)
        for (int kind = 0; kind < BRIM_SCRIPT_MESSAGES; kind++)
            vm->messages[phase][kind] =
                open_message(L, (enum brim_script_kind)kind, (enum brim_script_phase)phase);
}

void brim_script_response_is_origins(struct brim_script_response *response, bool is_origins)
{
    response->is_origins = is_origins;
    response->takes_body = is_origins && has_body(response->status);
    response->ttl_field = BRIM_STR("cdn-cache-control");
    response->tags_field = BRIM_STR("surrogate-key");
}

/* ---- answers ---- */

static void take_header(lua_State *L, struct brim_script_headers *headers, struct brim_str name)
{
    struct brim_str value = {0};

    luaL_argexpected(L, lua_type(L, -1) == LUA_TSTRING || lua_type(L, -1) == LUA_TNUMBER, 1,
                     "text in the headers");
    value.base = lua_tolstring(L, -1, &value.len);
    brim_script_headers_add(L, headers, name, value);
}

void brim_script_take_headers(lua_State *L, struct brim_script_headers *headers)
{
    int table = lua_gettop(L);

    luaL_checkstack(L, 8, NULL);
    if (lua_type(L, table) == LUA_TUSERDATA) {
        const struct brim_script_view view = brim_script_check_view(L, table);

        if (view.kind != BRIM_SCRIPT_HEADERS)
            luaL_error(L, "headers are expected, not another part of a message");
        brim_script_headers_copy(L, headers, view.message);
        return;
    }
    if (lua_type(L, table) != LUA_TTABLE)
        luaL_error(L, "headers are a table, not %s", luaL_typename(L, table));
    lua_pushnil(L);
    while (lua_next(L, table) != 0) {
        struct brim_str name = check_name(L, -2);

        if (lua_type(L, -1) == LUA_TTABLE) {
            lua_Integer count = luaL_len(L, -1);

            if (count > BRIM_SCRIPT_HEADERS_MAX)
                luaL_error(L, "too many headers");
            for (lua_Integer i = 1; i <= count; i++) {
                lua_geti(L, -1, i);
                take_header(L, headers, name);
                lua_pop(L, 1);
            }
        } else {
            take_header(L, headers, name);
        }
        lua_pop(L, 1);
    }
}

bool brim_script_take_answer(lua_State *L, int arg, struct brim_script_response *answer)
{
    lua_Integer status;

    if (lua_isnoneornil(L, arg))
        return false;
    if (lua_type(L, arg) != LUA_TTABLE)
        luaL_error(L, "a handler returns a table or nothing, not %s", luaL_typename(L, arg));
    lua_getfield(L, arg, "status");
    status = luaL_optinteger(L, -1, 200);
    if (status < 200 || status > 599)
        luaL_error(L, "the answer's status is 200 to 599, not %I", status);
    answer->status = (unsigned)status;
    lua_pop(L, 1);
    if (lua_getfield(L, arg, "headers") != LUA_TNIL)
        brim_script_take_headers(L, &answer->headers);
    lua_pop(L, 1);
    if (lua_getfield(L, arg, "body") != LUA_TNIL) {
        struct brim_str body = {0};

        body.base = luaL_checklstring(L, -1, &body.len);
        if (body.len > BRIM_SCRIPT_BODY_MAX)
            luaL_error(L, "the answer's body is longer than %d bytes", (int)BRIM_SCRIPT_BODY_MAX);
        answer->body = brim_script_keep(&answer->headers.memory, body);
    }
    lua_pop(L, 1);
    return true;
}
