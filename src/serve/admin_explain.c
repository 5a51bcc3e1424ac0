/* SPDX-License-Identifier: MIT */
/*
 * POST /v1/explain: what a GET of a URL would meet now, and why.
 *
 *   {"url": "http://host/path", "headers": {"Name": "value"}}
 *
 * Goes the way of a request by the functions that requests use, and changes nothing: no use is
 * counted, nothing is promoted or fetched. It runs on the I/O pool, as it may read the disk.
 * Handlers and gates are not run: whether the caller may ask is not the question here.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "brim/base/clock.h"
#include "brim/base/invariant.h"
#include "brim/cache/survey.h"
#include "brim/http/uri.h"
#include "brim/http/vary.h"
#include "brim/serve/admin.h"
#include "brim/serve/admin_inside.h"
#include "brim/serve/lookup.h"

#define FIELDS_MAX 100u

struct call {
    struct brim_admin_task task; /* first */
    const struct brim_admin_config *config;
    json_t *body; /* the texts of url and fields stand in it */
    struct brim_uri url;
    struct brim_field fields[FIELDS_MAX];
    size_t field_count;
    json_t *told;
};

struct purges {
    json_t *list;
    uint64_t sequence; /* of the object */
};

static void call_free(struct brim_admin_task *task)
{
    struct call *call = (struct call *)task;

    for (size_t i = 0; i < call->field_count; i++)
        free((void *)(uintptr_t)call->fields[i].name.base);
    json_decref(call->body);
    free(call);
}

static void set(struct call *call, const char *name, json_t *value)
{
    (void)json_object_set_new(call->told, name, value);
}

static void decide(struct call *call, const char *would, const char *because)
{
    set(call, "would", json_string(would));
    set(call, "because", json_string(because));
}

/* ---- what is asked ---- */

static void add_field(struct call *call, const char *name, const json_t *value,
                      struct brim_admin_wrong *wrong)
{
    struct brim_field *field = &call->fields[call->field_count];
    size_t len = strlen(name);
    char *lower;

    if (call->field_count == FIELDS_MAX) {
        brim_admin_set_wrong(wrong, "there are more than %u headers", FIELDS_MAX);
        return;
    }
    lower = brim_strdup(name);
    h2o_strtolower(lower, len);
    *field = (struct brim_field){
        brim_str(lower, len),
        brim_str_trim(brim_str(json_string_value(value), json_string_length(value)))};
    call->field_count++;
    if (!json_is_string(value) || !brim_field_name_is_valid(field->name) ||
        !brim_field_value_is_valid(field->value))
        brim_admin_set_wrong(wrong, "header \"%.64s\" is no field", name);
}

static struct call *call_of(json_t *body, struct brim_admin_wrong *wrong)
{
    struct call *call = brim_alloc(sizeof(*call));
    const json_t *url = json_object_get(body, "url");
    json_t *headers = json_object_get(body, "headers"), *value;
    const char *name;

    call->body = json_incref(body);
    json_object_foreach(body, name, value)
    {
        if (strcmp(name, "url") != 0 && strcmp(name, "headers") != 0)
            brim_admin_set_wrong(wrong, "unknown member \"%.64s\"", name);
    }
    if (!json_is_string(url) ||
        !brim_uri_parse(brim_str(json_string_value(url), json_string_length(url)), &call->url))
        brim_admin_set_wrong(wrong, "\"url\" is not an absolute http or https URL");
    if (headers != NULL && !json_is_object(headers))
        brim_admin_set_wrong(wrong, "\"headers\" is not an object");
    json_object_foreach(headers, name, value)
    {
        add_field(call, name, value, wrong);
    }
    if (wrong->text[0] == '\0')
        return call;
    call_free(&call->task);
    return NULL;
}

/* ---- what stands there ---- */

static void tell_purge(const char *scope, const struct brim_purge_epoch *epoch, void *ctx)
{
    struct purges *told = ctx;
    const struct {
        const char *kind;
        uint64_t sequence;
    } rows[] = {{"hard", epoch->hard_seq}, {"soft", epoch->soft_seq}};

    for (size_t i = 0; i < 2; i++)
        if (rows[i].sequence > 0)
            (void)json_array_append_new(
                told->list, json_pack("{s:s,s:s,s:I,s:b}", "scope", scope, "kind", rows[i].kind,
                                      "sequence", (json_int_t)rows[i].sequence, "applies",
                                      (int)(rows[i].sequence > told->sequence)));
}

static void tell_purges(struct call *call, const struct brim_look *look)
{
    static const char *const states[] = {
        [BRIM_PURGE_ALIVE] = "no", [BRIM_PURGE_STALE] = "stale", [BRIM_PURGE_GONE] = "gone"};
    struct purges told = {json_array(), look->object->seq};

    brim_look_each_purge(call->config->cache, look->object, tell_purge, &told);
    set(call, "purged", json_string(states[look->state]));
    set(call, "purges", told.list);
}

static void tell_object(struct call *call, const struct brim_object *object)
{
    json_t *fields = json_array();

    for (size_t i = 0; i < object->fields.count; i++) {
        const struct brim_field *field = &object->fields.items[i];
        bool is_secret = brim_str_is(field->name, BRIM_STR("set-cookie"));

        (void)json_array_append_new(
            fields, json_pack("[o,o]", brim_admin_text(field->name),
                              brim_admin_text(is_secret ? BRIM_STR("***") : field->value)));
    }
    set(call, "object",
        json_pack("{s:i,s:I,s:I,s:I,s:o}", "status", (int)object->status, "bytes",
                  (json_int_t)(object->body == NULL ? 0 : brim_body_bytes(object->body)), "tags",
                  (json_int_t)object->tag_count, "sequence", (json_int_t)object->seq, "fields",
                  fields));
}

static void tell_freshness(struct call *call, const struct brim_object *object,
                           const struct brim_cache_rules *rules,
                           const struct brim_request_control *control, int64_t now_ms)
{
    const struct brim_freshness *fresh = &object->fresh;
    struct brim_exchange exchange = {.method = BRIM_STR("GET"),
                                     .status = object->status,
                                     .response = object->fields,
                                     .request_wall_ms = fresh->response_wall_ms,
                                     .response_wall_ms = fresh->response_wall_ms};
    struct brim_freshness_source source = brim_freshness_source(&exchange, rules);
    int64_t age_ms = brim_freshness_age_ms(fresh, now_ms);

    set(call, "freshness",
        json_pack("{s:s,s:b,s:I,s:I,s:I,s:I,s:I,s:I,s:b,s:b,s:b}", "rule", source.rule, "targeted",
                  (int)source.is_targeted, "lifetime_ms", (json_int_t)fresh->lifetime_ms, "age_ms",
                  (json_int_t)age_ms, "ttl_ms", (json_int_t)(fresh->lifetime_ms - age_ms),
                  "initial_age_ms", (json_int_t)fresh->initial_age_ms, "stale_while_revalidate_ms",
                  (json_int_t)fresh->swr_ms, "stale_if_error_ms", (json_int_t)fresh->sie_ms,
                  "must_revalidate", (int)fresh->must_revalidate, "no_cache", (int)fresh->no_cache,
                  "may_serve_on_error",
                  (int)brim_freshness_may_serve_error(fresh, control, now_ms)));
}

/* ---- what would be done ---- */

static void decide_stored(struct call *call, const struct brim_look *look,
                          const struct brim_request_control *control, int64_t now_ms)
{
    const struct brim_freshness *fresh = &look->object->fresh;
    bool is_soft = look->state == BRIM_PURGE_STALE;
    bool is_old = brim_freshness_age_ms(fresh, now_ms) >= fresh->lifetime_ms;
    bool is_from_future = brim_freshness_is_from_future(fresh, now_ms);

    switch (brim_freshness_use(fresh, control, now_ms, is_soft)) {
    case BRIM_USE_FRESH:
        decide(call, "hit", "it is fresh");
        break;
    case BRIM_USE_STALE:
        decide(call, "hit, stale", "the request allows it (max-stale)");
        break;
    case BRIM_USE_STALE_SWR:
        decide(call, "hit, stale, and revalidated behind",
               is_soft          ? "it was purged softly, within stale-while-revalidate"
               : is_from_future ? "the clock was set back since it came"
                                : "its lifetime is over, within stale-while-revalidate");
        break;
    case BRIM_USE_REVALIDATE:
        decide(call, "asked of the origin whether it is still good",
               is_soft           ? "it was purged softly"
               : fresh->no_cache ? "the response says no-cache"
               : is_old          ? "its lifetime is over"
               : is_from_future  ? "the clock was set back since it came"
                                 : "the request wants it so (Cache-Control, Pragma)");
        break;
    }
}

static void decide_found(struct call *call, const struct brim_look *look,
                         const struct brim_request_control *control, int64_t now_ms)
{
    const struct brim_object *object = look->object;
    bool is_flying = call->config->flights != NULL &&
                     brim_flight_brings(call->config->flights, &look->key, UINT64_MAX);
    const char *fetched = is_flying ? "waits for the exchange that is under way" : "miss";

    set(call, "flight", json_boolean(is_flying));
    if (object == NULL)
        decide(call, fetched,
               look->marker == NULL ? "nothing is stored under this key"
                                    : "this variant is not stored");
    else if (look->state == BRIM_PURGE_GONE)
        decide(call, fetched, "it was purged");
    else if (object->kind == BRIM_OBJECT_VARY)
        decide(call, fetched, "what it varies by cannot be told apart");
    else if (object->kind == BRIM_OBJECT_RESPONSE)
        decide_stored(call, look, control, now_ms);
    else if (!brim_cache_note_is_over(object, now_ms) &&
             brim_cache_note_concerns(object, look->request))
        decide(call, "passed to the origin, alone",
               "it was not storable a short while ago (cache.pass_ttl)");
    else
        decide(call, fetched, "nothing is stored under this key");
}

static void tell_look(struct call *call, const struct brim_look *look)
{
    static const char *const tiers[] = {
        [BRIM_SURVEY_NONE] = "none", [BRIM_SURVEY_RAM] = "ram", [BRIM_SURVEY_DISK] = "disk"};
    json_t *names = json_array();
    char digest[33];

    (void)snprintf(digest, sizeof(digest), "%016" PRIx64 "%016" PRIx64, look->key.digest.hi,
                   look->key.digest.lo);
    set(call, "digest", json_string(digest));
    for (size_t i = 0; look->marker != NULL && i < look->marker->fields.count; i++)
        (void)json_array_append_new(names, brim_admin_text(look->marker->fields.items[i].name));
    set(call, "varies_by", names);
    set(call, "tier", json_string(tiers[look->tier]));
    set(call, "found",
        json_string(look->object == NULL                         ? "nothing"
                    : look->object->kind == BRIM_OBJECT_RESPONSE ? "response"
                                                                 : "pass note"));
}

static void look_up(struct call *call, const struct brim_route *route, struct brim_look *look,
                    struct brim_fields fields)
{
    int64_t now_ms = brim_clock_wall_ms();
    struct brim_request_control control;

    brim_request_control_parse(fields, &route->rules, &control);
    brim_look_run(call->config->cache, look);
    tell_look(call, look);
    if (look->object != NULL && look->object->kind == BRIM_OBJECT_RESPONSE) {
        tell_object(call, look->object);
        tell_freshness(call, look->object, &route->rules, &control, now_ms);
    }
    if (look->object != NULL)
        tell_purges(call, look);
    decide_found(call, look, &control, now_ms);
    brim_look_fini(look);
}

static void explain(struct call *call, h2o_mem_pool_t *pool, const struct brim_routes *routes)
{
    struct brim_fields fields = {call->fields, call->field_count};
    struct brim_lookup_url url = {
        .host = call->url.authority, .target = call->url.target, .ask = {BRIM_STR("GET"), fields}};
    struct brim_str host, none = BRIM_STR("");
    const struct brim_route *route = brim_lookup_route(pool, routes, &url, &host);
    struct brim_lookup lookup = {.pool = pool,
                                 .scheme = call->url.scheme,
                                 .host = call->url.authority,
                                 .target = call->url.target,
                                 .fields = fields};
    struct brim_find find = {.object = NULL};
    const struct brim_field *selector;

    if (route == NULL) {
        decide(call, "answered 404", "no site is configured for this host");
        return;
    }
    set(call, "site", json_string(route->site));
    set(call, "route", json_string(route->path));
    set(call, "handlers", json_boolean(route->handlers != NULL));
    lookup.part = brim_lookup_part(pool, route, none, none);
    if (!brim_lookup_make(&lookup, &route->key, &find)) {
        decide(call, "answered 414", "the URL, or what counts of the request, is too long");
        return;
    }
    set(call, "key", brim_admin_text(find.primary.text));
    selector = brim_fields_find(lookup.fields, BRIM_STR(BRIM_VARY_KEY));
    if (selector != NULL)
        set(call, "selector", brim_admin_text(selector->value));
    if (route->rules.bypass)
        decide(call, "passed to the origin, alone", "cache.bypass");
    else
        look_up(call, route, &(struct brim_look){.primary = find.primary, .request = find.request},
                lookup.fields);
    brim_find_fini(&find);
}

static void work(struct brim_admin_task *task)
{
    struct call *call = (struct call *)task;
    struct brim_routes *routes = call->config->routes(call->config->ctx);
    h2o_mem_pool_t pool;

    h2o_mem_init_pool(&pool);
    call->told = json_object();
    set(call, "url", json_incref(json_object_get(call->body, "url")));
    explain(call, &pool, routes);
    h2o_mem_clear_pool(&pool);
    brim_routes_unref(routes);
}

static void answer(struct brim_admin_task *task)
{
    struct call *call = (struct call *)task;

    if (task->req != NULL)
        brim_admin_send_json(task->req, 200, call->told);
    else
        json_decref(call->told);
    call_free(task);
}

void brim_admin_call_explain(struct brim_admin *a, h2o_req_t *req)
{
    static const char accepted[] =
        "{\"url\": \"http://host/path\", \"headers\": {\"Name\": \"value\"}}";
    struct brim_admin_wrong wrong = {.text = ""};
    struct call *call = NULL;
    json_t *body;

    if (brim_admin_config(a)->routes == NULL) {
        brim_admin_send_advice(req, 404, "there is no config to explain by", "ask a whole node");
        return;
    }
    body = brim_admin_body(req, &wrong);
    if (body != NULL)
        call = call_of(body, &wrong);
    json_decref(body);
    if (call == NULL) {
        brim_admin_send_error(req, 400, wrong.text, accepted);
        return;
    }
    call->config = brim_admin_config(a);
    call->task.work = work;
    call->task.answer = answer;
    call->task.drop = call_free;
    brim_admin_start(a, req, &call->task);
}
