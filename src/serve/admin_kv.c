/* SPDX-License-Identifier: MIT */
/*
 * POST /v1/kv: one operation on a named store (cache/kv.h), for `brim kv` and scripts of operators.
 *
 *   {"op": "get",    "store": S, "key": K}                        {"value": V} or 404
 *   {"op": "set",    "store": S, "key": K, "value": V, "ttl": s}  {"ok": true}
 *   {"op": "del",    "store": S, "key": K}                        {"ok": true}
 *   {"op": "incr",   "store": S, "key": K, "n": n, "ttl": s}      {"value": sum}
 *   {"op": "list",   "store": S, "prefix": P, "after": K, "limit": n}  {"keys": [...]}
 *
 * Keys and values are JSON strings, or where they are not UTF-8 {"base64": ...}: so they are
 * answered (get says {"base64": V} in place of {"value": V}), and so may K, P and V be asked for,
 * whatever they are. What writes is durable when it is answered; it runs on the I/O pool, as does
 * reading, which may touch a disk.
 */
#include "brim/base/base64url.h"
#include "brim/base/clock.h"
#include "brim/cache/kv.h"
#include "brim/serve/admin_inside.h"
#include "brim/serve/json_bytes.h"

#define TTL_S_MAX    315360000 /* ten years, as in brim.kv */
#define LIST_DEFAULT 100

enum op { GET, SET, DEL, INCR, LIST, OPS };

static const char *const op_names[OPS] = {"get", "set", "del", "incr", "list"};

struct call {
    struct brim_admin_task task; /* first */
    struct brim_kv *kv;
    enum op op;
    struct brim_kv_name name;
    struct brim_str value;
    struct brim_str after;
    int64_t ttl_s; /* 0: none */
    int64_t n;     /* of incr; limit of list */
    enum brim_err err;
    int64_t sum;
    size_t count; /* bytes of the value, or keys */
    struct brim_kv_room room;
    char bytes[]; /* what the names point to, once the body is gone */
};

/* ---- what is asked ---- */

static struct brim_str text_of(const json_t *body, const char *name, struct brim_admin_wrong *wrong)
{
    const json_t *member = json_object_get(body, name);

    if (member == NULL)
        return BRIM_STR("");
    if (!json_is_string(member))
        brim_admin_set_wrong(wrong, "\"%s\" is not a string", name);
    return brim_str(json_string_value(member), json_string_length(member));
}

/* Puts the bytes of {"base64": ...} in its place. */
static void decode(json_t *body, const char *name, struct brim_admin_wrong *wrong)
{
    const json_t *member = json_object_get(body, name);
    const json_t *text = json_object_get(member, "base64");
    struct brim_str letters = brim_str(json_string_value(text), json_string_length(text));
    char *bytes = NULL;
    size_t len = 0;

    if (!json_is_object(member))
        return;
    if (json_is_string(text) && json_object_size(member) == 1)
        bytes = malloc(letters.len + 1);
    if (bytes != NULL && brim_base64_read(letters, bytes, &len))
        (void)json_object_set_new(body, name, json_stringn_nocheck(bytes, len));
    else
        brim_admin_set_wrong(wrong, "\"%s\" is not a string or {\"base64\": ...}", name);
    free(bytes);
}

struct range {
    int64_t min, max, otherwise;
};

static int64_t number_of(const json_t *body, const char *name, struct range range,
                         struct brim_admin_wrong *wrong)
{
    const json_t *member = json_object_get(body, name);
    int64_t number = json_integer_value(member);

    if (member == NULL)
        return range.otherwise;
    if (!json_is_integer(member) || number < range.min || number > range.max)
        brim_admin_set_wrong(wrong, "\"%s\" is not a whole number in its range", name);
    return number;
}

static void read_op(struct call *c, const json_t *body, struct brim_admin_wrong *wrong)
{
    struct brim_str op = text_of(body, "op", wrong);

    for (c->op = GET; c->op < OPS; c->op++)
        if (brim_str_is(op, brim_str_of(op_names[c->op])))
            return;
    brim_admin_set_wrong(wrong, "\"op\" is not one of get, set, del, incr, list");
}

static void read_call(struct call *c, json_t *body, struct brim_admin_wrong *wrong)
{
    static const char *const bytes[] = {"key", "prefix", "after", "value"};
    static const struct range any = {INT64_MIN, INT64_MAX, 1};
    static const struct range page = {1, BRIM_KV_LIST_MAX, LIST_DEFAULT};

    for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++)
        decode(body, bytes[i], wrong);
    read_op(c, body, wrong);
    c->name.store = text_of(body, "store", wrong);
    c->name.key = text_of(body, c->op == LIST ? "prefix" : "key", wrong);
    c->after = text_of(body, "after", wrong);
    c->value = text_of(body, "value", wrong);
    c->ttl_s = number_of(body, "ttl", (struct range){1, TTL_S_MAX, 0}, wrong);
    c->n = c->op == LIST ? number_of(body, "limit", page, wrong) : number_of(body, "n", any, wrong);
    if (!brim_kv_store_is_valid(c->name.store))
        brim_admin_set_wrong(wrong, "\"store\" is not 1 to 64 letters, digits, - . _");
    if (!(c->op == LIST && c->name.key.len == 0) && !brim_kv_key_is_valid(c->name.key))
        brim_admin_set_wrong(wrong, "the key is not 1 to 255 bytes");
    if (c->after.len > 0 && !brim_kv_key_is_valid(c->after))
        brim_admin_set_wrong(wrong, "\"after\" is not a key");
    if (c->op == SET && json_object_get(body, "value") == NULL)
        brim_admin_set_wrong(wrong, "\"value\" is missing");
    if (c->value.len > BRIM_KV_VALUE_MAX)
        brim_admin_set_wrong(wrong, "the value is longer than 262144 bytes");
}

static struct brim_str keep(char **at, struct brim_str text)
{
    struct brim_str kept = brim_str(*at, text.len);

    if (text.len > 0)
        memcpy(*at, text.base, text.len);
    *at += text.len;
    return kept;
}

/* The call that a body asks for, or NULL with what is wrong. */
static struct call *call_of(json_t *body, struct brim_admin_wrong *wrong)
{
    struct call asked = {.op = GET}, *c;
    char *at;

    read_call(&asked, body, wrong);
    if (wrong->text[0] != '\0')
        return NULL;
    c = malloc(sizeof(*c) + asked.name.store.len + asked.name.key.len + asked.value.len +
               asked.after.len);
    if (c == NULL) {
        brim_admin_set_wrong(wrong, "out of memory");
        return NULL;
    }
    *c = asked;
    at = c->bytes;
    c->name.store = keep(&at, asked.name.store);
    c->name.key = keep(&at, asked.name.key);
    c->value = keep(&at, asked.value);
    c->after = keep(&at, asked.after);
    return c;
}

/* ---- on the pool ---- */

static enum brim_err list(struct call *c, const struct brim_kv_query *query)
{
    struct brim_kv_keys keys = {.room = c->room};
    enum brim_err err;

    do
        err = brim_kv_list(c->kv, query, &keys);
    while (err == BRIM_OK && !keys.is_whole);
    c->count = keys.count;
    return err;
}

static void work_on(struct call *c)
{
    int64_t now_ms = brim_clock_wall_ms();
    int64_t expires_ms = c->ttl_s == 0 ? 0 : now_ms + c->ttl_s * 1000;
    struct brim_kv_step step = {.n = c->n, .now_wall_ms = now_ms, .expires_wall_ms = expires_ms};
    struct brim_kv_query query = {
        .name = c->name, .after = c->after, .limit = (size_t)c->n, .now_wall_ms = now_ms};

    _Static_assert(BRIM_KV_VALUE_MAX >= BRIM_KV_LIST_MAX * (BRIM_KV_KEY_MAX + 1), "one room");
    c->room.bytes = BRIM_KV_VALUE_MAX;
    c->room.base = malloc(c->room.bytes);
    if (c->room.base == NULL)
        c->err = BRIM_ENOMEM;
    else if (c->op == GET)
        c->err = brim_kv_get(c->kv, &c->name, now_ms, c->room, &c->count);
    else if (c->op == SET)
        c->err = brim_kv_set(c->kv, &c->name, c->value, expires_ms);
    else if (c->op == DEL)
        c->err = brim_kv_delete(c->kv, &c->name);
    else if (c->op == INCR)
        c->err = brim_kv_incr(c->kv, &c->name, &step, &c->sum);
    else
        c->err = list(c, &query);
}

static void work(struct brim_admin_task *task)
{
    struct call *c = (struct call *)task;

    work_on(c);
    if (c->err == BRIM_OK && (c->op == SET || c->op == DEL || c->op == INCR))
        c->err = brim_kv_sync(c->kv);
}

/* ---- answers ---- */

static json_t *keys_of(const struct call *c)
{
    json_t *keys = json_array();
    const char *at = c->room.base;

    for (size_t i = 0; i < c->count; i++, at += strlen(at) + 1)
        (void)json_array_append_new(keys, brim_json_bytes(brim_str_of(at)));
    return keys;
}

static json_t *value_of(const struct call *c)
{
    json_t *value = brim_json_bytes(brim_str(c->room.base, c->count));

    return json_is_string(value) ? json_pack("{s:o}", "value", value) : value;
}

static void send_failure(h2o_req_t *req, enum brim_err err)
{
    if (err == BRIM_ENOENT)
        brim_admin_send_error(req, 404, "no such key", "a key that was set and has not expired");
    else if (err == BRIM_EINVAL)
        brim_admin_send_error(req, 409, "the value is not a whole number, or the sum too large",
                              "a decimal number");
    else if (err == BRIM_ENOSPC)
        brim_admin_send_advice(req, 507, "the stores are full", "raise kv.size or delete keys");
    else if (err == BRIM_ELIMIT)
        brim_admin_send_advice(req, 503, "too many writes are waiting for the disk",
                               "repeat the call");
    else
        brim_admin_send_advice(req, 500, brim_err_text(err), "see the log");
}

static void answer(struct brim_admin_task *task)
{
    struct call *c = (struct call *)task;

    if (task->req == NULL)
        ;
    else if (c->err != BRIM_OK)
        send_failure(task->req, c->err);
    else if (c->op == GET)
        brim_admin_send_json(task->req, 200, value_of(c));
    else if (c->op == INCR)
        brim_admin_send_json(task->req, 200, json_pack("{s:I}", "value", (json_int_t)c->sum));
    else if (c->op == LIST)
        brim_admin_send_json(task->req, 200, json_pack("{s:o}", "keys", keys_of(c)));
    else
        brim_admin_send_json(task->req, 200, json_pack("{s:b}", "ok", 1));
    free(c->room.base);
    free(c);
}

void brim_admin_call_kv(struct brim_admin *a, h2o_req_t *req)
{
    static const char accepted[] = "{\"op\": \"get|set|del|incr|list\", \"store\": \"name\", "
                                   "\"key\": \"key\"} with \"value\", \"ttl\", \"n\", \"prefix\", "
                                   "\"after\", \"limit\" where they apply";
    struct brim_admin_wrong wrong = {.text = ""};
    struct call *c = NULL;
    json_t *body;

    if (brim_admin_kv(a) == NULL) {
        brim_admin_send_advice(req, 404, "no stores are configured", "set kv.path or cache.path");
        return;
    }
    body = brim_admin_body(req, &wrong);
    if (body != NULL)
        c = call_of(body, &wrong);
    json_decref(body);
    if (c == NULL) {
        brim_admin_send_error(req, 400, wrong.text, accepted);
        return;
    }
    c->kv = brim_admin_kv(a);
    c->task.work = work;
    c->task.answer = answer;
    brim_admin_start(a, req, &c->task);
}
