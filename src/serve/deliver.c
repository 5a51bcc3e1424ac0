/* SPDX-License-Identifier: MIT */
/*
 * Sending, in one picture:
 *
 *   deliver_object -> (length unknown and needed? wait for the whole) -> head -> send_next
 *   send_next: reader says DATA  -> h2o_send, wait for proceed() -> send_next
 *                          WAIT  -> nothing; the port fires brim_deliver_wake -> send_next
 *                          END   -> FINAL      FAILED -> cut off
 *
 * h2o allows exactly one send in flight and calls proceed() inside the same loop turn when the
 * kernel takes everything, so a fast reader could hold the loop: past TURN_BYTES the next piece
 * waits for a 1 ms timer.
 */
#include "brim/serve/deliver.h"

#include <stdio.h>

#include "brim/base/clock.h"
#include "brim/base/invariant.h"
#include "brim/base/metric.h"
#include "brim/base/text.h"
#include "brim/http/conditional.h"
#include "brim/http/date.h"
#include "brim/http/status.h"
#include "brim/serve/deliver_head.h"
#include "brim/serve/proxy_status.h"

#define SEND_BYTES        (128u * 1024u)  /* one h2o_send: TLS encrypts all of it at once */
#define TURN_BYTES        (1024u * 1024u) /* per connection and loop turn */
#define SMALL_BYTES       (8u * 1024u)    /* within what a request counts for anyway (conns.c) */
#define WHOLE_BYTES       (32u * 1024u)   /* held back at most while a length is awaited */
#define ENCODE_COST       8u /* a byte that is coded takes about as long as so many sent */
#define STREAM_WINDOW_LOG 18 /* 256 KiB: some 1 MiB of RAM an answer that is coded */

static bool status_has_body(unsigned status)
{
    return status >= 200 && status != 204 && status != 304;
}

/* A stored Date is shown as it was; a response without a usable one gets the time it came. */
static void take_date(struct brim_delivery *d)
{
    const struct brim_field *date = brim_fields_only(d->object->fields, BRIM_STR("date"));

    if (date != NULL && date->value.len == BRIM_DATE_BYTES)
        memcpy(d->date.rfc1123, date->value.base, BRIM_DATE_BYTES);
    else
        brim_date_format(d->object->fresh.date_wall_ms / 1000, d->date.rfc1123);
    d->date.rfc1123[BRIM_DATE_BYTES] = '\0';
}

/* h2o always writes Date from its cache of the current second; for one send that cache is made to
 * say the object's (h2o-internal field, kept to this function). */
static void send_at_date(struct brim_delivery *d, h2o_iovec_t *bufs, size_t count,
                         h2o_send_state_t state)
{
    h2o_context_t *ctx = &d->env->ctx;
    h2o_timestamp_string_t *now;

    d->dated = true;
    h2o_get_timestamp(ctx, NULL, NULL); /* brings the cache up to date, so nobody else does */
    now = ctx->_timestamp_cache.value;
    ctx->_timestamp_cache.value = &d->date;
    h2o_send(d->req, bufs, count, state);
    ctx->_timestamp_cache.value = now;
}

/* May end the request, and free *d. */
static void send_dated(struct brim_delivery *d, h2o_iovec_t *bufs, size_t count,
                       h2o_send_state_t state)
{
    struct brim_conn *conn = d->conn;

    brim_conn_enter(conn);
    brim_conn_request_send_begin(&d->link);
    if (d->dated || d->object == NULL)
        h2o_send(d->req, bufs, count, state);
    else
        send_at_date(d, bufs, count, state);
    brim_guard_h1_sent(conn);
    brim_conn_leave(conn);
}

static void count_status(unsigned status)
{
    if (status < 300)
        BRIM_COUNT(STATUS_2XX);
    else if (status < 400)
        BRIM_COUNT(STATUS_3XX);
    else if (status < 500)
        BRIM_COUNT(STATUS_4XX);
    else
        BRIM_COUNT(STATUS_5XX);
}

/* The response's own fields are not to be seen: whoever would have checked them has failed. */
static void fail_head(struct brim_delivery *d)
{
    d->status = 500;
    d->unframed = false;
    d->req->res.headers = (h2o_headers_t){0};
    brim_deliver_add_text(d, H2O_TOKEN_CACHE_CONTROL, NULL, BRIM_STR("no-store"));
    brim_deliver_add_proxy_status(d, BRIM_PROXY_INTERNAL);
}

/* False: the handler of the header block failed; the response has no body. */
static bool start_response(struct brim_delivery *d, uint64_t content_length)
{
    h2o_req_t *req = d->req;
    bool is_good;

    if (d->dress != NULL)
        d->dress(d);
    is_good = d->on_head == NULL || d->on_head(d);
    if (!is_good) {
        fail_head(d);
        content_length = 0;
    }
    /* libh2o chunks only a 200 (see would_be_unframed), and the status may be another now */
    if (content_length == BRIM_BODY_LENGTH_UNKNOWN && req->version < 0x200 && d->status != 200 &&
        status_has_body(d->status) && !brim_deliver_is_head(d))
        d->unframed = true;
    req->res.status = (int)d->status;
    req->res.reason = brim_status_reason(d->status);
    req->res.content_length =
        content_length == BRIM_BODY_LENGTH_UNKNOWN ? SIZE_MAX : content_length;
    if (d->unframed || (req->version < 0x200 && req->conn->ctx->shutdown_requested))
        req->http1_is_persistent = 0; /* the node may have begun to drain since the request came */
    d->first_byte_us = brim_clock_mono_us();
    if (d->timed_since_us != 0)
        brim_deliver_add_timing(d);
    d->started = true;
    d->link.responding = true;
    count_status(d->status);
    h2o_start_response(req, &d->generator);
    return is_good;
}

/* ---- body ---- */

/* With nothing left to write h2o may end the request, and free *d, before this returns. */
static void end(struct brim_delivery *d, h2o_send_state_t state)
{
    h2o_timeout_unlink(&d->yield);
    d->finished = true;
    d->complete = state == H2O_SEND_STATE_FINAL;
    d->sending = true;
    send_dated(d, NULL, 0, state);
}

/* Stored, or about to be, and cannot be read or decoded: also where a 304 has just said that it is
 * good. What broke off on its way from the origin is not stored. */
static bool is_lost(const struct brim_delivery *d)
{
    struct brim_body *body = d->source == NULL ? NULL : d->source->body;

    return body != NULL && (d->facts.fwd == NULL || (brim_body_mode(body) != BRIM_BODY_WINDOW &&
                                                     brim_body_state(body) != BRIM_BODY_FAILED));
}

/* The body broke off upstream. Where the end of the connection is the end of the body, an orderly
 * close would look complete: make it a reset. */
static void cut_off(struct brim_delivery *d)
{
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};

    if (is_lost(d)) /* not given out twice */
        brim_cache_forget(d->env->cache, &d->source->key, d->source);
    if (d->unframed)
        (void)setsockopt(h2o_socket_get_fd(d->conn->sock), SOL_SOCKET, SO_LINGER, &at_once,
                         sizeof(at_once));
    end(d, H2O_SEND_STATE_ERROR);
}

static void await_part(struct brim_delivery *d)
{
    d->awaits_part = true;
    d->more(d);
}

static enum brim_reader_got read_next(struct brim_delivery *d, struct brim_str *pieces,
                                      size_t *count)
{
    if (d->transcode == NULL)
        return brim_reader_next(&d->reader, SEND_BYTES, pieces, count);
    *count = 1;
    return brim_transcode_next(d->transcode, &d->reader, pieces);
}

/* Bytes that an encoder of this answer took so far. */
static size_t encoded(const struct brim_delivery *d)
{
    return d->is_streaming ? brim_transcode_taken(d->transcode) : 0;
}

/* Whether nothing comes after what was read. */
static bool is_last(const struct brim_delivery *d)
{
    return d->rest == 0 && d->transcode == NULL && brim_reader_is_done(&d->reader);
}

static void send_next(struct brim_delivery *d)
{
    struct brim_str pieces[BRIM_READER_IOV_MAX];
    h2o_iovec_t bufs[BRIM_READER_IOV_MAX];
    size_t count, bytes = 0, work = encoded(d);

    INVARIANT(d->started && !d->sending && !d->finished);
    switch (read_next(d, pieces, &count)) {
    case BRIM_READER_WAIT:
        return;
    case BRIM_READER_END:
        if (d->rest > 0)
            await_part(d);
        else
            end(d, H2O_SEND_STATE_FINAL);
        return;
    case BRIM_READER_FAILED:
        cut_off(d);
        return;
    case BRIM_READER_DATA:
        break;
    }
    work = (encoded(d) - work) * ENCODE_COST;
    for (size_t i = 0; i < count; i++) {
        bufs[i] = (h2o_iovec_t){(char *)(uintptr_t)pieces[i].base, pieces[i].len};
        bytes += pieces[i].len;
    }
    if (d->turn != d->env->turn) {
        d->turn = d->env->turn;
        d->turn_bytes = 0;
    }
    d->turn_bytes += bytes + work;
    d->bytes_sent += bytes;
    d->sending = true;
    d->complete = d->finished = is_last(d);
    send_dated(d, bufs, count, d->finished ? H2O_SEND_STATE_FINAL : H2O_SEND_STATE_IN_PROGRESS);
}

static struct brim_delivery *delivery_of(h2o_generator_t *generator)
{
    return H2O_STRUCT_FROM_MEMBER(struct brim_delivery, generator, generator);
}

static void on_proceed(h2o_generator_t *generator, h2o_req_t *req)
{
    struct brim_delivery *d = delivery_of(generator);

    (void)req;
    brim_conn_request_send_end(&d->link);
    d->sending = false;
    if (d->finished)
        return;
    if (d->turn == d->env->turn && d->turn_bytes >= TURN_BYTES)
        h2o_timeout_link(d->env->ctx.loop, &d->env->yield, &d->yield);
    else
        send_next(d);
}

static void on_yield(h2o_timeout_entry_t *entry)
{
    send_next(H2O_STRUCT_FROM_MEMBER(struct brim_delivery, yield, entry));
}

/* The client is gone in the middle; dispose follows. */
static void on_stop(h2o_generator_t *generator, h2o_req_t *req)
{
    struct brim_delivery *d = delivery_of(generator);

    (void)req;
    d->finished = true;
    d->complete = false;
    h2o_timeout_unlink(&d->yield);
}

/* ---- choosing the answer ---- */

static struct brim_validators validators_of(const struct brim_delivery *d)
{
    struct brim_validators validators = brim_object_validators(d->object);

    if (d->is_chosen)
        validators.etag = d->etag;
    return validators;
}

/* Whether the request's preconditions let the object be sent; else sets the status. Those that are
 * for the origin have gone there (serve/request). */
static bool holds(struct brim_delivery *d, const struct brim_validators *validators)
{
    if (!brim_conditional_is_not_modified(d->request, validators, d->now_wall_ms / 1000))
        return true;
    d->status = 304;
    return false;
}

/* Preconditions and Range, for a 200 that brim has as a whole. */
static void choose_status(struct brim_delivery *d)
{
    struct brim_validators validators = validators_of(d);
    const struct brim_field *field;
    uint64_t length = brim_body_length(d->source->body);

    if (!holds(d, &validators))
        return;
    field = brim_fields_only(d->request, BRIM_STR("range"));
    if (d->is_chosen)
        validators.last_modified_wall_s = -1; /* the same for all codings: see choice.c */
    if (field == NULL || brim_deliver_is_head(d) || length == BRIM_BODY_LENGTH_UNKNOWN ||
        d->is_recoded ||
        !brim_conditional_range_applies(d->request, &validators, d->now_wall_ms / 1000))
        return;
    d->total = length;
    switch (brim_range_parse(field->value, length, &d->range)) {
    case BRIM_RANGE_NONE:
        return;
    case BRIM_RANGE_UNSATISFIABLE:
        d->status = 416;
        return;
    case BRIM_RANGE_ONE:
        d->status = 206;
        d->first = d->range.first;
        d->length = d->range.last - d->range.first + 1;
        return;
    }
}

/* Content-Length: of the part, of the body, or (HEAD and 304 passed through) as the origin said. */
static uint64_t answer_length(const struct brim_delivery *d)
{
    const struct brim_field *said;
    int64_t length;

    if (d->status == 204)
        return BRIM_BODY_LENGTH_UNKNOWN; /* it must not have one (RFC 9110 8.6) */
    if (brim_deliver_is_own_416(d))
        return 0;
    if (d->is_recoded) /* to HEAD too, since GET cannot tell; but nothing decodes to nothing */
        return d->coding == BRIM_CODING_IDENTITY && d->status != 304 &&
                       brim_body_length(d->source->body) == 0
                   ? 0
                   : BRIM_BODY_LENGTH_UNKNOWN;
    if (d->length != BRIM_BODY_LENGTH_UNKNOWN)
        return d->length;
    if (d->status == 304 && !d->facts.as_received)
        return BRIM_BODY_LENGTH_UNKNOWN;
    if (!d->facts.as_received || (!brim_deliver_is_head(d) && d->status != 304))
        return brim_body_length(d->source->body);
    said = brim_fields_only(d->object->fields, BRIM_STR("content-length"));
    length = said == NULL ? -1 : brim_str_number(said->value, BRIM_NUMBER_DIGITS);
    return length < 0 ? BRIM_BODY_LENGTH_UNKNOWN : (uint64_t)length;
}

static bool sends_body(const struct brim_delivery *d)
{
    return status_has_body(d->status) && !brim_deliver_is_own_416(d) && !brim_deliver_is_head(d);
}

/* HTTP/1 knows two framings here: a length, or chunks; libh2o chunks only a 200 on HTTP/1.1. */
static bool would_be_unframed(const struct brim_delivery *d)
{
    return d->req->version < 0x200 && (d->status != 200 || d->req->version < 0x101);
}

/* An unframed body that is short is awaited, so that it gets a length after all. */
static bool should_wait_whole(const struct brim_delivery *d)
{
    struct brim_body *body = d->source->body;

    return d->unframed && brim_body_state(body) == BRIM_BODY_GROWING &&
           brim_body_bytes(body) < WHOLE_BYTES;
}

/* What its client has not taken yet, where nothing else is held for it. */
static void hold(struct brim_delivery *d, size_t bytes)
{
    brim_ledger_hold(d->conn->ledger, (int64_t)bytes - (int64_t)d->on_ledger);
    d->on_ledger = bytes;
}

static void stop_waiting(struct brim_delivery *d)
{
    if (d->waits_whole)
        brim_watch_remove(brim_body_watch(d->source->body), d->port);
    d->waits_whole = false;
}

static enum brim_err open_decoder(struct brim_delivery *d)
{
    struct brim_coder_config config = {
        .coding = d->own, .way = BRIM_CODER_DECODE, .bytes_max = d->env->decoded_max};

    BRIM_COUNT(DECODED);
    return brim_transcode_open(&config, &d->transcode);
}

static enum brim_err open_encoder(struct brim_delivery *d)
{
    static const int levels[BRIM_CODINGS] = {
        [BRIM_CODING_BR] = 4, [BRIM_CODING_ZSTD] = 3, [BRIM_CODING_GZIP] = 4};
    struct brim_coder_config config = {.coding = d->coding,
                                       .way = BRIM_CODER_ENCODE,
                                       .level = levels[d->coding],
                                       .window_log = STREAM_WINDOW_LOG};

    BRIM_COUNT(STREAMED);
    d->is_streaming = true;
    d->env->streams++;
    return brim_transcode_open(&config, &d->transcode);
}

static enum brim_err open_transcode(struct brim_delivery *d)
{
    if (!brim_ledger_take(d->conn->ledger, BRIM_TRANSCODE_BYTES, BRIM_LEDGER_FULL)) {
        BRIM_COUNT(MEMORY_REFUSED_CODING);
        return BRIM_ENOSPC;
    }
    d->on_ledger = BRIM_TRANSCODE_BYTES;
    return d->coding == BRIM_CODING_IDENTITY ? open_decoder(d) : open_encoder(d);
}

/* Opens the source's body where it is to be read. */
static enum brim_err open_reader(struct brim_delivery *d, uint64_t length)
{
    struct brim_load_from from = brim_cache_from(d->env->cache, d->port);
    enum brim_err err;

    from.ledger = d->conn->ledger;
    err = brim_reader_init(&d->reader, d->source->body, d->first, length, &from);
    d->reader_open = err == BRIM_OK;
    return err == BRIM_OK && d->is_recoded ? open_transcode(d) : err;
}

/* The body cannot be read from the beginning. */
static void refuse(struct brim_delivery *d, enum brim_err why)
{
    struct brim_deliver_error error = {.status = 502,
                                       .text = "the response is no longer there",
                                       .proxy_error = BRIM_PROXY_INTERNAL};

    if (why == BRIM_ENOSPC)
        error = (struct brim_deliver_error){.status = 503,
                                            .text = BRIM_LEDGER_REFUSAL,
                                            .header = "retry-after: 1",
                                            .proxy_error = BRIM_PROXY_INTERNAL};
    d->facts.outcome = BRIM_OUTCOME_ERROR;
    d->facts.detail = why == BRIM_ENOSPC ? brim_err_name(why) : d->facts.detail;
    brim_deliver_error(d, &error, &d->facts);
}

static void begin_sending(struct brim_delivery *d)
{
    struct brim_body *body = d->source->body;
    uint64_t content_length = answer_length(d);
    enum brim_err err;

    if (!sends_body(d)) {
        d->unframed = false;
        take_date(d);
        brim_deliver_head(d);
        (void)start_response(d, content_length);
        end(d, H2O_SEND_STATE_FINAL);
        return;
    }
    d->unframed = content_length == BRIM_BODY_LENGTH_UNKNOWN && would_be_unframed(d);
    if (should_wait_whole(d)) {
        d->waits_whole = true;
        brim_watch_add(brim_body_watch(body), d->port);
        if (!should_wait_whole(d)) /* it moved before we watched */
            brim_port_fire(d->port);
        return;
    }
    if (brim_body_state(body) == BRIM_BODY_FAILED && d->facts.fwd != NULL) {
        struct brim_deliver_error error = {.status = 502,
                                           .text = "the origin's answer broke off",
                                           .proxy_error = BRIM_PROXY_INCOMPLETE};

        d->facts.outcome = BRIM_OUTCOME_ERROR;
        brim_deliver_error(d, &error, &d->facts);
        return;
    }
    err = open_reader(d, d->rest == 0 ? d->length : d->length - d->rest);
    if (err != BRIM_OK) {
        refuse(d, err);
        return;
    }
    take_date(d);
    brim_deliver_head(d);
    if (start_response(d, content_length))
        send_next(d);
    else
        end(d, H2O_SEND_STATE_FINAL);
}

/* ---- interface ---- */

/* The connection was killed, and nothing but us would end this request: it waits for its origin. */
static void on_abort(struct brim_conn_request *link)
{
    struct brim_delivery *d = H2O_STRUCT_FROM_MEMBER(struct brim_delivery, link, link);
    struct brim_deliver_error error = {.status = 408, .text = "the client has gone", .close = true};
    struct brim_deliver_facts facts = {.outcome = BRIM_OUTCOME_ERROR};

    if (!d->started)
        brim_deliver_error(d, &error, &facts);
    else if (!d->sending && !d->finished)
        end(d, H2O_SEND_STATE_ERROR);
}

size_t brim_deliver_memory(const struct brim_delivery *d)
{
    return d->on_ledger + brim_reader_memory(&d->reader);
}

void brim_deliver_init(struct brim_delivery *d, struct brim_env *env, h2o_req_t *req,
                       struct brim_fields request)
{
    d->env = env;
    d->req = req;
    d->conn = brim_conn_of(req);
    d->request = request;
    d->generator.proceed = on_proceed;
    d->generator.stop = on_stop;
    d->yield.cb = on_yield;
    d->length = BRIM_BODY_LENGTH_UNKNOWN;
    d->now_wall_ms = brim_clock_wall_ms();
    d->link.abort = on_abort;
    OBJ_CHECK(d->conn, BRIM_CONN_MAGIC);
    brim_conn_request_add(d->conn, &d->link);
}

bool brim_deliver_is_immediate(const struct brim_object *object)
{
    return object->body == NULL || (brim_body_mode(object->body) == BRIM_BODY_KEEP &&
                                    brim_body_state(object->body) == BRIM_BODY_COMPLETE);
}

void brim_deliver_object(struct brim_delivery *d, struct brim_object *object,
                         const struct brim_deliver_facts *facts)
{
    OBJ_CHECK(object, BRIM_OBJECT_MAGIC);
    INVARIANT(d->object == NULL && !d->started);
    INVARIANT(object->body != NULL);
    INVARIANT(d->port != NULL || brim_deliver_is_immediate(object));
    d->object = object;
    d->source = brim_object_ref(object);
    d->facts = *facts;
    d->status = object->status;
    if (object->status == 200 && !facts->as_received)
        choose_status(d);
    begin_sending(d);
}

void brim_deliver_coded(struct brim_delivery *d, struct brim_object *object,
                        const struct brim_chosen *chosen, const struct brim_deliver_facts *facts)
{
    struct brim_recoding recoding = {
        .own = brim_coding_of(object->fields), .as = chosen->coding, .is_anew = chosen->is_anew};
    size_t room = object->etag.len + BRIM_CODING_SUFFIX_ROOM;
    char *tag = h2o_mem_alloc_pool(&d->req->pool, room);

    INVARIANT(d->object == NULL && !d->started);
    d->object = object;
    d->source = chosen->body != NULL ? chosen->body : brim_object_ref(object);
    d->facts = *facts;
    d->status = object->status;
    d->coding = recoding.as;
    d->own = recoding.own;
    d->is_recoded = chosen->body == NULL && d->coding != d->own;
    d->is_chosen = true;
    d->etag = brim_str(tag, brim_coding_etag(object->etag, recoding, tag, room));
    if (object->status == 200 && !facts->as_received)
        choose_status(d);
    begin_sending(d);
}

void brim_deliver_parts(struct brim_delivery *d, struct brim_object *head,
                        const struct brim_deliver_part *part, const struct brim_range *range,
                        uint64_t total, const struct brim_deliver_facts *facts)
{
    struct brim_validators validators;

    INVARIANT(d->object == NULL && !d->started && d->port != NULL);
    d->object = brim_object_ref(head);
    d->source = part->object;
    d->facts = *facts;
    d->in_parts = true;
    d->range = range != NULL ? *range : (struct brim_range){0, total - 1};
    d->total = total;
    d->first = part->first;
    d->length = d->range.last - d->range.first + 1;
    d->rest = d->length - part->length;
    d->status = range != NULL ? 206 : 200;
    validators = validators_of(d);
    if (!holds(d, &validators)) {
        d->length = BRIM_BODY_LENGTH_UNKNOWN;
        d->rest = 0;
    }
    begin_sending(d);
}

void brim_deliver_continue(struct brim_delivery *d, const struct brim_deliver_part *part)
{
    INVARIANT(d->awaits_part && part->length <= d->rest);
    d->awaits_part = false;
    brim_reader_fini(&d->reader);
    d->reader_open = false;
    brim_object_unref(d->source);
    d->source = part->object;
    d->first = part->first;
    d->rest -= part->length;
    if (open_reader(d, part->length) != BRIM_OK)
        cut_off(d);
    else
        send_next(d);
}

void brim_deliver_break(struct brim_delivery *d)
{
    INVARIANT(d->awaits_part);
    d->awaits_part = false;
    cut_off(d);
}

void brim_deliver_unsatisfiable(struct brim_delivery *d, struct brim_object *head, uint64_t total,
                                const struct brim_deliver_facts *facts)
{
    INVARIANT(d->object == NULL && !d->started);
    d->object = head;
    d->source = brim_object_ref(head);
    d->facts = *facts;
    d->in_parts = true;
    d->total = total;
    d->status = 416;
    begin_sending(d);
}

static void drop_objects(struct brim_delivery *d)
{
    brim_object_unref(d->object);
    brim_object_unref(d->source);
    d->object = d->source = NULL;
}

/* Header block and body at once; the body lives as long as the request. */
static void send_whole(struct brim_delivery *d, h2o_iovec_t body)
{
    bool has_length = status_has_body(d->status);
    bool is_good = start_response(d, has_length ? body.len : BRIM_BODY_LENGTH_UNKNOWN);

    d->sending = d->finished = d->complete = true;
    if (!is_good || brim_deliver_is_head(d) || body.len == 0) {
        send_dated(d, NULL, 0, H2O_SEND_STATE_FINAL);
        return;
    }
    d->bytes_sent = body.len;
    if (body.len > SMALL_BYTES)
        hold(d, body.len);
    send_dated(d, &body, 1, H2O_SEND_STATE_FINAL);
}

/* The site's own page, where the origin has no answer; not where the client wanted none of it. */
static const struct brim_error_page *page_for(const struct brim_delivery *d,
                                              const struct brim_deliver_error *error)
{
    bool is_own = error->proxy_error == NULL || strcmp(error->proxy_error, BRIM_PROXY_OWN) == 0;

    return error->status >= 502 && error->status <= 504 && !is_own ? d->error_page : NULL;
}

void brim_deliver_error(struct brim_delivery *d, const struct brim_deliver_error *error,
                        const struct brim_deliver_facts *facts)
{
    const char *reason = brim_status_reason(error->status);
    size_t room = strlen(reason) + strlen(error->text) + 16;
    char *text = h2o_mem_alloc_pool(&d->req->pool, room);
    int len = snprintf(text, room, "%u %s: %s\n", error->status, reason, error->text);
    const struct brim_error_page *page = page_for(d, error);
    h2o_iovec_t body = {text, (size_t)len};

    if (page != NULL)
        body = (h2o_iovec_t){(char *)(uintptr_t)page->body.base, page->body.len};
    INVARIANT(!d->started);
    INVARIANT(len > 0 && (size_t)len < room);
    stop_waiting(d);
    drop_objects(d);
    d->facts = *facts;
    if (error->status < 400)
        d->facts.outcome = BRIM_OUTCOME_HANDLER; /* done, or sent on: no error */
    d->status = error->status;
    d->unframed = error->close;
    brim_deliver_add_text(d, H2O_TOKEN_CONTENT_TYPE, NULL,
                          page != NULL ? page->type : BRIM_STR("text/plain; charset=utf-8"));
    brim_deliver_add_text(d, H2O_TOKEN_CACHE_CONTROL, NULL, BRIM_STR("no-store"));
    if (error->header != NULL)
        brim_deliver_add_error_header(d, error->header);
    else if (page != NULL)
        brim_deliver_add_error_header(d, "retry-after: 1");
    brim_deliver_add_cache_status(d);
    if (error->proxy_error != NULL)
        brim_deliver_add_proxy_status(d, error->proxy_error);
    send_whole(d, body);
}

void brim_deliver_answer(struct brim_delivery *d, unsigned status, struct brim_fields fields,
                         struct brim_str body)
{
    brim_deliver_said(d, status, fields, body, "handler");
}

void brim_deliver_said(struct brim_delivery *d, unsigned status, struct brim_fields fields,
                       struct brim_str body, const char *detail)
{
    INVARIANT(!d->started);
    d->facts = (struct brim_deliver_facts){.outcome = BRIM_OUTCOME_HANDLER, .detail = detail};
    d->status = status;
    brim_deliver_set_fields(d, fields);
    brim_deliver_add_cache_status(d);
    if (!status_has_body(status))
        body.len = 0;
    send_whole(d, (h2o_iovec_t){(char *)(uintptr_t)body.base, body.len});
}

void brim_deliver_wake(struct brim_delivery *d)
{
    if (d->waits_whole && !d->started) {
        if (should_wait_whole(d))
            return;
        stop_waiting(d);
        begin_sending(d);
        return;
    }
    if (!d->started || d->sending || d->finished || h2o_timeout_is_linked(&d->yield))
        return;
    if (d->awaits_part)
        d->more(d);
    else
        send_next(d);
}

void brim_deliver_fini(struct brim_delivery *d)
{
    h2o_timeout_unlink(&d->yield);
    stop_waiting(d);
    if (d->reader_open)
        brim_reader_fini(&d->reader);
    d->reader_open = false;
    brim_transcode_close(d->transcode);
    d->transcode = NULL;
    hold(d, 0);
    if (d->is_streaming)
        d->env->streams--;
    d->is_streaming = false;
    drop_objects(d);
    brim_conn_request_remove(d->conn, &d->link);
    brim_guard_h1_resume(d->conn, &d->env->ctx);
}
