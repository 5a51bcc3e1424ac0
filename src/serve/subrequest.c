/* SPDX-License-Identifier: MIT */
/*
 *   FIND   -> an object that may be used ------------------------> BODY
 *     |    -> nothing, or what must be revalidated: shared flight
 *     |    -> not for the cache: a flight of its own
 *   FLIGHT -> READY, ALONE --------------------------------------> BODY
 *     |    -> REFUSED, OTHER: a flight of its own
 *     |    -> FAILED, 5xx: the stale object if allowed ----------> BODY, else FAILED
 *   BODY   -> read and decoded up to a limit -> DONE, else FAILED
 *
 * Each arrow is one function. Everything that it makes lies in a pool of its own.
 */
#include "brim/serve/subrequest.h"

#include <stdlib.h>

#include "brim/base/clock.h"
#include "brim/base/invariant.h"
#include "brim/base/metric.h"
#include "brim/http/conditional.h"
#include "brim/http/uri.h"
#include "brim/policy/answer_handler.h"
#include "brim/serve/choice.h"
#include "brim/serve/lookup.h"
#include "brim/serve/transcode.h"
#include "brim/serve/upstream.h"
#include "brim/serve/wake.h"

#define SUBREQUEST_MAGIC 0x73756231u
#define READ_BYTES       (64u * 1024u)
#define BODY_BYTES_FIRST 4096u

enum stage { FIND, FLIGHT, BODY, DONE, FAILED };

struct brim_subrequest {
    uint32_t magic;
    enum stage stage;
    struct brim_subrequest_ask ask;
    h2o_mem_pool_t pool;
    const struct brim_route *route;
    struct brim_origin *origin;
    struct brim_lookup lookup;
    struct brim_request_control control;
    struct brim_find find;
    struct brim_lookup_newest newest;
    struct brim_object *stale;  /* counted: what to revalidate or to fall back on */
    struct brim_object *object; /* counted: the answer */
    struct brim_flight *flight;
    struct brim_fields asked; /* what the flight was asked with */
    bool looked_again;
    bool is_hit;
    bool is_decoded;
    struct brim_reader reader;
    struct brim_transcode *decoder; /* NULL: the body is taken as it is */
    char *bytes;
    size_t len;
    size_t room;
    struct brim_fields fields; /* DONE */
    const char *why;           /* FAILED */
    struct brim_wake *wake;
};

static void find(struct brim_subrequest *s);
static void fly(struct brim_subrequest *s, enum brim_flight_kind kind);

/* ---- the end ---- */

static void leave(struct brim_subrequest *s)
{
    if (s->flight != NULL)
        brim_flight_leave(s->flight, brim_wake_port(s->wake));
    s->flight = NULL;
}

static void fail(struct brim_subrequest *s, const char *why)
{
    BRIM_COUNT(FETCH_FAILED);
    leave(s);
    s->why = why;
    s->stage = FAILED;
}

/* Those of the answer; of a body that was decoded, without what told of its coding. */
static struct brim_fields answer_fields(struct brim_subrequest *s)
{
    struct brim_fields all = s->object->fields;
    struct brim_field *items;
    size_t count = 0;

    if (!s->is_decoded)
        return all;
    items = h2o_mem_alloc_pool(&s->pool, (all.count + 1) * sizeof(*items));
    for (size_t i = 0; i < all.count; i++)
        if (!brim_str_is(all.items[i].name, BRIM_STR("content-encoding")) &&
            !brim_str_is(all.items[i].name, BRIM_STR("content-length")))
            items[count++] = all.items[i];
    return (struct brim_fields){items, count};
}

static void finish(struct brim_subrequest *s)
{
    if (s->is_hit)
        BRIM_COUNT(FETCH_HIT);
    else
        BRIM_COUNT(FETCH_ORIGIN);
    leave(s);
    s->fields = answer_fields(s);
    s->stage = DONE;
}

/* ---- body ---- */

static bool append(struct brim_subrequest *s, struct brim_str piece)
{
    size_t wanted = s->len + piece.len, room = s->room == 0 ? BODY_BYTES_FIRST : s->room;
    char *more;

    if (wanted > s->ask.body_max) {
        fail(s, "the body is larger than handlers.fetch_body");
        return false;
    }
    while (room < wanted)
        room *= 2;
    if (room > s->room) {
        more = realloc(s->bytes, room);
        if (more == NULL) {
            fail(s, "out of memory");
            return false;
        }
        s->bytes = more;
        s->room = room;
    }
    if (piece.len > 0)
        memcpy(s->bytes + s->len, piece.base, piece.len);
    s->len = wanted;
    return true;
}

static enum brim_reader_got next_pieces(struct brim_subrequest *s, struct brim_str *pieces,
                                        size_t *count)
{
    if (s->decoder == NULL)
        return brim_reader_next(&s->reader, READ_BYTES, pieces, count);
    *count = 1;
    return brim_transcode_next(s->decoder, &s->reader, pieces);
}

static void read_body(struct brim_subrequest *s)
{
    struct brim_str pieces[BRIM_READER_IOV_MAX];
    enum brim_reader_got got;
    size_t count;

    while ((got = next_pieces(s, pieces, &count)) == BRIM_READER_DATA)
        for (size_t i = 0; i < count; i++)
            if (!append(s, pieces[i]))
                return;
    if (got == BRIM_READER_END)
        finish(s);
    else if (got == BRIM_READER_FAILED)
        fail(s, s->is_decoded ? "the body broke off, or cannot be decoded within the limit"
                              : "the body broke off");
}

static enum brim_err open_decoder(struct brim_subrequest *s)
{
    const struct brim_coder_config config = {
        .coding = brim_coding_of(s->object->fields),
        .way = BRIM_CODER_DECODE,
        .bytes_max =
            s->ask.body_max < s->ask.env->decoded_max ? s->ask.body_max : s->ask.env->decoded_max,
    };

    if (brim_fields_find(s->ask.fields, BRIM_STR("accept-encoding")) != NULL ||
        !brim_choice_can_decode(s->object))
        return BRIM_OK;
    s->is_decoded = true;
    return brim_transcode_open(&config, &s->decoder);
}

/* Takes object, which is the answer. */
static void take(struct brim_subrequest *s, struct brim_object *object)
{
    struct brim_load_from from = brim_cache_from(s->ask.env->cache, brim_wake_port(s->wake));
    uint64_t length = brim_body_length(object->body);

    from.ledger = s->ask.ledger;
    s->object = object;
    if (length != BRIM_BODY_LENGTH_UNKNOWN && length > s->ask.body_max) {
        fail(s, "the body is larger than handlers.fetch_body");
        return;
    }
    if (open_decoder(s) != BRIM_OK ||
        brim_reader_init(&s->reader, object->body, 0, BRIM_BODY_LENGTH_UNKNOWN, &from) != BRIM_OK) {
        fail(s, "the body cannot be read");
        return;
    }
    s->stage = BODY;
    read_body(s);
}

/* ---- flight ---- */

/* Takes the stale object as the answer; false: that is not allowed. */
static bool take_stale(struct brim_subrequest *s)
{
    struct brim_object *stale = s->stale;

    if (stale == NULL ||
        !brim_freshness_may_serve_error(&stale->fresh, &s->control, s->find.now_wall_ms))
        return false;
    s->stale = NULL;
    leave(s);
    s->is_hit = true;
    take(s, stale);
    return true;
}

static void look_at_flight(struct brim_subrequest *s)
{
    struct brim_flight_view view;

    brim_flight_view(s->flight, brim_wake_port(s->wake), s->asked, &view);
    switch (view.state) {
    case BRIM_FLIGHT_WAIT:
        return;
    case BRIM_FLIGHT_READY:
    case BRIM_FLIGHT_ALONE:
        if (brim_upstream_is_error(view.origin_status) && take_stale(s))
            brim_object_unref(view.object);
        else
            take(s, view.object);
        brim_flight_let_go(&view.hold);
        return;
    case BRIM_FLIGHT_OTHER:
        brim_object_unref(view.object);
        leave(s);
        fly(s, BRIM_FLIGHT_PASS);
        return;
    case BRIM_FLIGHT_REFUSED:
        leave(s);
        if (!brim_upstream_is_error(view.origin_status) || !take_stale(s))
            fly(s, BRIM_FLIGHT_PASS);
        return;
    case BRIM_FLIGHT_FAILED:
        if (!take_stale(s))
            fail(s, brim_upstream_failure(view.why));
        return;
    }
}

static struct brim_flight_ask letter_of(struct brim_subrequest *s, enum brim_flight_kind kind)
{
    const struct brim_subrequest_ask *ask = &s->ask;
    struct brim_str host = brim_uri_authority(s->find.primary.text);
    const struct brim_upstream_client client = {
        .peer = ask->peer,
        .scheme = ask->url.scheme,
        .host = host,
        .is_ipv6 = ask->is_ipv6,
    };
    bool is_shared = kind == BRIM_FLIGHT_SHARED;

    return (struct brim_flight_ask){
        .kind = kind,
        .primary = s->find.primary,
        .key = s->find.key,
        .method = ask->method,
        .target = brim_lookup_sent(&s->pool, s->route,
                                   is_shared ? s->lookup.key_target : ask->url.target),
        .host = host,
        .host_sent = s->route->rewrite.host,
        .fields = brim_upstream_fields(&s->pool, ask->env, s->route, kind,
                                       is_shared ? s->find.request : s->lookup.fields, &client),
        .body = ask->body.base,
        .body_bytes = ask->body.len,
        .has_body = ask->has_body,
        .exceeds_key = !is_shared && s->lookup.exceeds_key,
        .looked_again = s->looked_again,
        .ledger = ask->ledger,
        .stale = is_shared ? s->stale : NULL,
        .hash = brim_upstream_hash(&s->pool, s->origin, s->find.primary.digest, s->lookup.fields,
                                   &client),
        .origin = s->origin,
        .hook = brim_answer_handler_hook(s->route->handlers),
        .rules = &s->route->rules,
        .keep_ref = (void (*)(void *))brim_routes_ref,
        .keep_unref = (void (*)(void *))brim_routes_unref,
        .keep = ask->routes,
    };
}

static void fly(struct brim_subrequest *s, enum brim_flight_kind kind)
{
    struct brim_flight_ask letter = letter_of(s, kind);
    enum brim_err err;

    INVARIANT(s->flight == NULL);
    s->stage = FLIGHT;
    s->asked = letter.fields;
    err = brim_flight_join(s->ask.env->flights, &letter, brim_wake_port(s->wake), &s->flight);
    if (err == BRIM_EAGAIN) {
        s->looked_again = true;
        find(s);
    } else if (err == BRIM_OK) {
        look_at_flight(s);
    } else if (!take_stale(s)) {
        fail(s, brim_upstream_failure(err));
    }
}

/* ---- lookup ---- */

static void refresh_behind(struct brim_subrequest *s, struct brim_object *stale)
{
    struct brim_flight_ask letter = letter_of(s, BRIM_FLIGHT_SHARED);

    letter.stale = stale;
    brim_flight_refresh(s->ask.env->flights, &letter);
}

static void use(struct brim_subrequest *s, struct brim_object *object)
{
    enum brim_use how =
        brim_freshness_use(&object->fresh, &s->control, s->find.now_wall_ms, s->find.soft_purged);

    if (brim_choice_is_foreign(object, s->ask.fields)) {
        brim_object_unref(object);
        fly(s, BRIM_FLIGHT_PASS);
        return;
    }
    if (how == BRIM_USE_REVALIDATE) {
        brim_object_unref(s->stale);
        s->stale = object;
        if (s->control.only_if_cached)
            fail(s, "not in the cache, and only-if-cached was asked");
        else
            fly(s, BRIM_FLIGHT_SHARED);
        return;
    }
    if (how == BRIM_USE_STALE_SWR)
        refresh_behind(s, object);
    s->is_hit = true;
    take(s, object);
}

static void find(struct brim_subrequest *s)
{
    const struct brim_lookup_places places = {s->ask.env->cache, s->ask.env->flights};
    enum brim_found found;

    s->stage = FIND;
    s->find.port = brim_wake_port(s->wake);
    found = brim_lookup_find(&s->newest, &places, &s->control, &s->find);
    if (found == BRIM_FOUND_WAIT)
        return;
    if (found == BRIM_FOUND_OBJECT)
        use(s, s->find.object);
    else if (s->control.only_if_cached)
        fail(s, "not in the cache, and only-if-cached was asked");
    else if (found == BRIM_FOUND_PASS || s->control.no_store)
        fly(s, BRIM_FLIGHT_PASS);
    else
        fly(s, BRIM_FLIGHT_SHARED);
}

static void on_wake(void *ctx)
{
    struct brim_subrequest *s = ctx;

    OBJ_CHECK(s, SUBREQUEST_MAGIC);
    if (s->stage == FIND)
        find(s);
    else if (s->stage == FLIGHT)
        look_at_flight(s);
    else if (s->stage == BODY)
        read_body(s);
    else
        return; /* at its end, which was told */
    if (s->stage >= DONE)
        s->ask.on_end(s->ask.ctx);
}

/* ---- begin ---- */

static struct brim_str copy(struct brim_subrequest *s, struct brim_str text)
{
    char *to = h2o_mem_alloc_pool(&s->pool, text.len + 1);

    if (text.len > 0)
        memcpy(to, text.base, text.len);
    return brim_str(to, text.len);
}

/* fields, and behind them the client's CDN-Loop. */
static struct brim_fields copy_fields(struct brim_subrequest *s, struct brim_fields fields,
                                      struct brim_fields client)
{
    size_t room = fields.count + client.count + 1, count = 0;
    struct brim_field *items = h2o_mem_alloc_pool(&s->pool, room * sizeof(*items));

    for (size_t i = 0; i < fields.count; i++)
        items[count++] =
            (struct brim_field){copy(s, fields.items[i].name), copy(s, fields.items[i].value)};
    for (size_t i = 0; i < client.count; i++)
        if (brim_str_is(client.items[i].name, BRIM_STR("cdn-loop")))
            items[count++] =
                (struct brim_field){BRIM_STR("cdn-loop"), copy(s, client.items[i].value)};
    return (struct brim_fields){items, count};
}

static struct brim_subrequest *subrequest_new(const struct brim_subrequest_ask *ask)
{
    struct brim_subrequest *s = brim_alloc(sizeof(*s));

    s->magic = SUBREQUEST_MAGIC;
    h2o_mem_init_pool(&s->pool);
    s->ask = *ask;
    brim_routes_ref(ask->routes);
    s->ask.url.scheme = copy(s, ask->url.scheme);
    s->ask.url.authority = copy(s, ask->url.authority);
    s->ask.url.target = copy(s, ask->url.target);
    s->ask.method = copy(s, ask->method);
    s->ask.origin = copy(s, ask->origin);
    s->ask.body = copy(s, ask->body);
    s->ask.peer = copy(s, ask->peer);
    s->ask.fields = copy_fields(s, ask->fields, ask->client);
    s->wake = brim_wake_new(&ask->env->wakes, on_wake, s);
    return s;
}

/* Finds route and origin, makes the key; NULL, or why it cannot be asked. */
static const char *prepare(struct brim_subrequest *s)
{
    const struct brim_subrequest_ask *ask = &s->ask;
    const struct brim_lookup_url url = {
        ask->url.authority, ask->url.target, {ask->method, ask->fields}};
    struct brim_str host;

    if (!brim_uri_target_is_valid(ask->url.target))
        return "the path is not percent-encoded as it has to be";
    s->route = brim_lookup_route(&s->pool, ask->routes, &url, &host);
    if (s->route == NULL)
        return "no site of this node serves the host";
    s->origin = ask->origin.len == 0 ? brim_lookup_origin(s->route, ask->method, false)
                                     : brim_routes_origin(ask->routes, ask->origin);
    if (s->origin == NULL)
        return "no origin has this name";
    s->lookup = (struct brim_lookup){
        .pool = &s->pool,
        .scheme = ask->url.scheme,
        .host = ask->url.authority,
        .target = ask->url.target,
        .part = brim_lookup_part(&s->pool, s->route, ask->origin, brim_str(NULL, 0)),
        .fields = ask->fields,
    };
    if (!brim_lookup_make(&s->lookup, &s->route->key, &s->find))
        return "the URL is too long";
    s->find.now_wall_ms = brim_clock_wall_ms();
    return NULL;
}

/* A part or a condition is for whoever holds the whole to judge: here that is the origin. And where
 * an origin_request may change what is asked, what comes without it is not what clients share. */
static bool is_for_cache(const struct brim_subrequest *s)
{
    static const struct brim_str partial[] = {
        BRIM_STR("range"),    BRIM_STR("if-match"),          BRIM_STR("if-none-match"),
        BRIM_STR("if-range"), BRIM_STR("if-modified-since"), BRIM_STR("if-unmodified-since"),
    };

    for (size_t i = 0; i < sizeof(partial) / sizeof(partial[0]); i++)
        if (brim_fields_find(s->ask.fields, partial[i]) != NULL)
            return false;
    if (brim_handlers_has(s->route->handlers, BRIM_SCRIPT_ORIGIN_REQUEST))
        return false;
    return s->ask.may_cache && !s->ask.has_body && !s->route->rules.bypass &&
           brim_str_is(s->ask.method, BRIM_STR("GET"));
}

struct brim_subrequest *brim_subrequest_begin(const struct brim_subrequest_ask *ask,
                                              const char **why_out)
{
    struct brim_subrequest *s = subrequest_new(ask);

    *why_out = prepare(s);
    if (*why_out != NULL) {
        fail(s, *why_out);
        brim_subrequest_end(s);
        return NULL;
    }
    brim_request_control_parse(s->ask.fields, &s->route->rules, &s->control);
    if (is_for_cache(s))
        find(s);
    else
        fly(s, BRIM_FLIGHT_PASS);
    return s;
}

void brim_subrequest_view(const struct brim_subrequest *s, struct brim_subrequest_view *view_out)
{
    OBJ_CHECK(s, SUBREQUEST_MAGIC);
    *view_out = (struct brim_subrequest_view){.state = BRIM_SUBREQUEST_WAIT};
    if (s->stage == FAILED)
        *view_out = (struct brim_subrequest_view){.state = BRIM_SUBREQUEST_FAILED, .why = s->why};
    if (s->stage == DONE)
        *view_out = (struct brim_subrequest_view){
            .state = BRIM_SUBREQUEST_DONE,
            .status = s->object->status,
            .fields = s->fields,
            .body = brim_str(s->bytes, s->len),
        };
}

void brim_subrequest_end(struct brim_subrequest *s)
{
    if (s == NULL)
        return;
    OBJ_CHECK(s, SUBREQUEST_MAGIC);
    if (s->stage < DONE)
        BRIM_COUNT(FETCH_LEFT);
    leave(s);
    brim_flight_let_go(&s->newest.hold);
    brim_find_fini(&s->find);
    brim_reader_fini(&s->reader);
    brim_transcode_close(s->decoder);
    brim_object_unref(s->object);
    brim_object_unref(s->stale);
    free(s->bytes);
    brim_wake_cancel(s->wake);
    brim_routes_unref(s->ask.routes);
    h2o_mem_clear_pool(&s->pool);
    s->magic = 0;
    free(s);
}
