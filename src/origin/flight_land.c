/* SPDX-License-Identifier: MIT */
/*
 * What an origin's answer is made into, on the fetcher thread: judged by the RFCs' rules, then
 *
 *   stored   a fill of the cache that everybody reads          READY
 *   shared   an error of the origin, for those who are here    READY, nobody joins
 *   alone    whoever asked; the others ask for themselves      ALONE
 */
#include <stdlib.h>

#include "brim/base/clock.h"
#include "brim/base/invariant.h"
#include "brim/base/metric.h"
#include "brim/cache/slice.h"
#include "brim/http/coding.h"
#include "brim/http/vary.h"
#include "brim/origin/answer.h"
#include "brim/origin/changes.h"
#include "brim/origin/flight_inside.h"
#include "brim/origin/head.h"
#include "brim/origin/outdate.h"
#include "brim/origin/posted.h"

/* Whether those who wait may all see an answer that is not stored: an origin in trouble should not
 * be asked again by the whole crowd. Nothing that could be meant for one client only. */
static bool may_share_error(const struct brim_flight *f, unsigned status,
                            struct brim_fields response)
{
    struct brim_fields request = brim_letter_fields(f->letter);

    return f->kind != BRIM_FLIGHT_PASS && status >= 500 &&
           brim_fields_find(response, BRIM_STR("set-cookie")) == NULL &&
           !brim_freshness_has_control(response, f->rules) &&
           brim_fields_find(request, BRIM_STR("authorization")) == NULL &&
           brim_fields_find(request, BRIM_STR("cookie")) == NULL;
}

static bool leader_is_here(struct brim_flight *f)
{
    bool here;

    pthread_mutex_lock(&f->lock);
    here = f->leader != NULL;
    pthread_mutex_unlock(&f->lock);
    return here;
}

static void note_kept(struct brim_flight *f, bool stored, bool revalidated)
{
    pthread_mutex_lock(&f->lock);
    f->stored = stored;
    f->revalidated = revalidated;
    pthread_mutex_unlock(&f->lock);
}

static void note_answer(struct brim_flight *f, unsigned status, const char *reason)
{
    pthread_mutex_lock(&f->lock);
    f->origin_status = status;
    f->origin_ms = brim_clock_mono_ms() - f->winner->request_mono_ms;
    f->reason = reason;
    pthread_mutex_unlock(&f->lock);
}

/* The answer goes to the leader alone, or (an error) to those who are here; nobody joins. */
static enum brim_err begin_unstored(struct brim_flight *f, const struct brim_object_spec *spec,
                                    uint64_t length, enum brim_flight_stage stage)
{
    struct brim_body_hooks hooks = brim_flight_hooks(f);
    enum brim_err err;

    brim_flight_unlist(f);
    err = brim_cache_begin_pass(f->flights->cache, spec, length, &hooks, &f->fill);
    if (err != BRIM_OK)
        return err;
    brim_body_set_ledger(brim_fill_object(f->fill)->body, f->ledger);
    if (stage == READY)
        brim_flight_keep_start(f, brim_fill_object(f->fill)->body);
    brim_flight_move(f, stage, brim_fill_object(f->fill), BRIM_OK);
    /* Nobody may see it if he whose it is has left; the others are refused and ask themselves.
     * Where there is no body he may have it all by now. */
    return stage == ALONE && length > 0 && !leader_is_here(f) ? BRIM_ECLOSED : BRIM_OK;
}

/* What the leader gets: the stored object's body with all fields that came (RFC 9111 5.2.2.4 and
 * 5.2.2.7 keep some from everybody else). Before brim_flight_move(). */
static enum brim_err make_own(struct brim_flight *f, const struct brim_object_spec *spec)
{
    struct brim_object *shared = brim_fill_object(f->fill);
    struct brim_object_spec own = *spec;

    own.key = shared->key;
    own.fields = f->own_fields;
    own.body = shared->body;
    return brim_object_new(&own, &f->own);
}

static enum brim_err begin_stored(struct brim_flight *f, struct brim_object_spec *spec,
                                  uint64_t length)
{
    struct brim_body_hooks hooks = brim_flight_hooks(f);
    enum brim_err err = brim_cache_begin_fill(
        f->flights->cache, spec, brim_letter_fields(f->letter), length, &hooks, &f->fill);
    bool stored;

    if (err == BRIM_ELIMIT) { /* too large to keep: still an answer, for him who asked */
        if (f->own_fields.count > 0)
            spec->fields = f->own_fields;
        return begin_unstored(f, spec, length, ALONE);
    }
    if (err == BRIM_OK && f->own_fields.count > 0)
        err = make_own(f, spec);
    if (err != BRIM_OK)
        return err;
    brim_body_set_ledger(brim_fill_object(f->fill)->body, f->ledger);
    stored = brim_fill_is_storable(f->fill);
    note_kept(f, stored && !(spec->status == 200 && length == 0), false); /* see take_head */
    if (!stored) { /* no room for one so large: nobody joins, those who are here share it */
        brim_flight_withdraw(f);
        brim_flight_keep_start(f, brim_fill_object(f->fill)->body);
    }
    if (stored && f->kind == BRIM_FLIGHT_PASS)
        brim_flight_list_posted(f);
    if (length == 0)
        brim_flight_begin_landing(f); /* whoever sees it has it all */
    brim_flight_move(f, READY, brim_fill_object(f->fill), BRIM_OK);
    return BRIM_OK;
}

/* Whether others are given what is stored without a word to the origin. */
static bool is_of_use(const struct brim_flight *f, struct brim_object *stored, int64_t now_wall_ms)
{
    static const struct brim_request_control nothing = {
        .max_age_ms = -1, .min_fresh_ms = -1, .max_stale_ms = -1};
    bool soft_purged;

    return stored != NULL && brim_cache_keeps(f->flights->cache, stored, &soft_purged) &&
           brim_freshness_use(&stored->fresh, &nothing, now_wall_ms, soft_purged) !=
               BRIM_USE_REVALIDATE;
}

/* What is not for all does not take from all what they have: a client may ask past it, and show a
 * cookie that makes the answer his own. */
static void remember_pass(struct brim_flight *f, int64_t now_wall_ms)
{
    const struct brim_key *primary = brim_letter_primary(f->letter);
    struct brim_object *stored = brim_letter_stale(f->letter);
    struct brim_pass_note note = {.primary = *primary,
                                  .key = *brim_letter_key(f->letter),
                                  .request = brim_letter_fields(f->letter),
                                  .instead = stored,
                                  .ttl_ms = f->flights->pass_ttl_ms,
                                  .now_wall_ms = now_wall_ms};

    if (is_of_use(f, stored, now_wall_ms))
        return;
    if (f->kind == BRIM_FLIGHT_SLICE)
        note.key = *primary; /* the parts' keys are nobody's else */
    brim_cache_put_pass(f->flights->cache, &note);
}

/* Another brim's answer, which does not tell its tags as its origin did. */
static bool is_from_tier(const struct brim_flight *f)
{
    return f->winner != NULL && f->winner->origin->tier_secret != NULL;
}

/* A 304 to the conditions that this flight added: the stored response is good again. */
static enum brim_err take_not_modified(struct brim_flight *f, const struct brim_exchange *exchange)
{
    struct brim_object *stale = brim_letter_stale(f->letter);
    struct brim_object *object = NULL;
    struct brim_answer_update update = {.stale = stale,
                                        .exchange = exchange,
                                        .rules = f->rules,
                                        .seq = f->seq,
                                        .version = f->winner->version,
                                        .is_from_tier = is_from_tier(f)};
    enum brim_store_verdict verdict;
    enum brim_err err = BRIM_EAGAIN; /* without conditions: its body has left the disk meanwhile */

    if (brim_cache_is_whole(f->flights->cache, stale))
        err = brim_answer_refresh(&update, &object, &f->own, &verdict);
    if (err != BRIM_OK)
        return err;
    note_kept(f, verdict == BRIM_STORE, true);
    if (verdict == BRIM_STORE) {
        brim_cache_put(f->flights->cache, object);
        brim_flight_unlist(f); /* after publishing, as in on_done */
        brim_flight_move(f, READY, object, BRIM_OK);
    } else {
        brim_outdate_updated(f->flights->cache, &update, object);
        if (verdict == BRIM_STORE_PASS)
            remember_pass(f, exchange->response_wall_ms);
        brim_flight_unlist(f);
        brim_flight_move(f, ALONE, object, BRIM_OK);
    }
    brim_object_unref(object);
    return BRIM_OK;
}

static bool has_slices(struct brim_flights *flights, struct brim_str url)
{
    char *text = malloc(url.len + BRIM_SLICE_TEXT_ROOM);
    struct brim_key head;
    bool has;

    if (text == NULL)
        return true; /* a purge too many */
    head = brim_slice_head_key(url, text);
    has = brim_cache_has(flights->cache, &head) || brim_flight_is_listed(flights, &head);
    free(text);
    return has;
}

/* Only where something is stored or on its way: each epoch that is kept costs room. */
static void on_changed(struct brim_str key_text, void *ctx)
{
    struct brim_flights *flights = ctx;
    struct brim_key primary = brim_key_of(key_text);

    if (brim_cache_has(flights->cache, &primary) || brim_flight_is_listed(flights, &primary) ||
        has_slices(flights, key_text))
        brim_cache_invalidate(flights->cache, &primary);
    else
        brim_cache_note_change(flights->cache);
}

static bool is_our_304(const struct brim_flight *f, unsigned status)
{
    return status == 304 && f->kind == BRIM_FLIGHT_SHARED && !f->unconditional &&
           brim_letter_stale(f->letter) != NULL;
}

/* ---- parts: what comes as 206 to the Range that a SLICE flight sent ---- */

/* Whether exchange brings one part, all of whose bytes will come; *length is what is said. */
static bool is_part(const struct brim_flight *f, const struct brim_exchange *exchange,
                    int64_t date_wall_s, uint64_t *length, struct brim_part *part_out)
{
    uint64_t bytes;

    if (f->kind != BRIM_FLIGHT_SLICE || exchange->status != 206 ||
        !brim_part_read(exchange->response, date_wall_s, part_out))
        return false;
    bytes = part_out->last - part_out->first + 1;
    if (*length != BRIM_BODY_LENGTH_UNKNOWN && *length != bytes)
        return false;
    *length = bytes;
    return true;
}

/* Tells of the whole: how long it is, which version, how it ages. */
static void put_head(struct brim_flight *f, const struct brim_object_spec *part,
                     struct brim_key head_key)
{
    struct brim_object_spec head = *part;
    struct brim_fill *fill;

    head.primary = head.key = head_key;
    if (brim_cache_begin_fill(f->flights->cache, &head, brim_letter_fields(f->letter), 0, NULL,
                              &fill) == BRIM_OK)
        brim_fill_finish(fill); /* else the next range asks for it again */
}

/* Asked for under the key of the head, as nobody knew the version. Whoever finds the head from now
 * on knows it, and looks for the part: it is not stored before its last byte has come. */
static void list_part(struct brim_flight *f, const struct brim_part *part, uint64_t n)
{
    struct brim_str url = brim_letter_primary(f->letter)->text;
    char *text = malloc(url.len + BRIM_SLICE_TEXT_ROOM);
    struct brim_key key;

    if (text == NULL)
        return; /* a request too many */
    key = brim_slice_part_key(url, part, n, text);
    if (brim_key_is(&key, brim_letter_key(f->letter)))
        free(text);
    else
        brim_flight_list_part(f, key);
}

static enum brim_err begin_slice(struct brim_flight *f, struct brim_object_spec *spec,
                                 const struct brim_part *part)
{
    struct brim_str url = brim_letter_primary(f->letter)->text;
    uint64_t n = part->first / f->slice_bytes;
    char *text = malloc(url.len + BRIM_SLICE_TEXT_ROOM);
    enum brim_err err;

    if (text == NULL)
        return BRIM_ENOMEM;
    list_part(f, part, n);
    put_head(f, spec, brim_slice_head_key(url, text));
    spec->primary = spec->key = brim_slice_part_key(url, part, n, text);
    err = begin_stored(f, spec, part->last - part->first + 1);
    free(text);
    return err;
}

/* The part is the whole: as good as a 200 (RFC 9110 15.3.7.3). */
static enum brim_err begin_whole(struct brim_flight *f, struct brim_object_spec *spec,
                                 struct brim_field *kept, uint64_t length)
{
    size_t count = 0;

    for (size_t i = 0; i < spec->fields.count; i++)
        if (!brim_str_is(kept[i].name, BRIM_STR("content-range")))
            kept[count++] = kept[i];
    spec->fields = (struct brim_fields){kept, count};
    spec->status = 200;
    return begin_stored(f, spec, length);
}

static enum brim_err begin_part(struct brim_flight *f, struct brim_object_spec *spec,
                                struct brim_field *kept, const struct brim_part *part)
{
    uint64_t length = part->last - part->first + 1;

    if (length == part->total)
        return begin_whole(f, spec, kept, length);
    if (part->first / f->slice_bytes != part->last / f->slice_bytes)
        return begin_unstored(f, spec, length, ALONE); /* a suffix across slices */
    return begin_slice(f, spec, part);
}

/* ---- judging ---- */

/* Whether the answer to POST may stand where GET looks. Not if anything was purged since it was
 * asked, by this very exchange (RFC 9111 4.4) or otherwise: which came first is not known. */
static bool is_posted_whole(const struct brim_flight *f, const struct brim_exchange *exchange)
{
    return !f->exceeds_key && f->seq == brim_cache_seq(f->flights->cache) &&
           brim_posted_is_storable(exchange, f->rules, brim_letter_primary(f->letter)->text);
}

/* Copies the fields of him who asked, before those that are his alone are left out. */
static void set_apart(struct brim_flight *f, const struct brim_fields *all, struct brim_field *room)
{
    size_t count = 0;

    for (size_t i = 0; i < all->count; i++)
        if (f->rules->set_cookie != BRIM_SET_COOKIE_STRIP ||
            !brim_str_is(all->items[i].name, BRIM_STR("set-cookie")))
            room[count++] = all->items[i];
    f->own_fields = (struct brim_fields){room, count};
}

static bool add_tier_tags(const struct brim_flight *f, struct brim_fields response, uint64_t *tags,
                          size_t *count)
{
    return !is_from_tier(f) || brim_tier_read_tags(response, tags, BRIM_OBJECT_TAGS_MAX, count);
}

/* kept: room for twice the fields, and one that is added to those that are stored; tags: for as
 * many as an object may have. The spec refers to both. */
static enum brim_err judge(struct brim_flight *f, const struct brim_exchange *exchange,
                           struct brim_object_spec *spec, struct brim_field *kept, uint64_t *tags,
                           uint64_t length)
{
    enum brim_store_verdict verdict = BRIM_STORE_NOT;
    struct brim_exchange judged = *exchange;
    enum brim_answer_use use;
    struct brim_part part;
    const char *reason = "pass";
    bool partial, has_own;

    brim_freshness_compute(exchange, f->rules, &spec->fresh);
    partial = is_part(f, exchange, spec->fresh.date_wall_ms / 1000, &length, &part);
    if (partial) { /* the rules are those of what it is a part of (RFC 9111 3.3) */
        judged.status = 200;
        brim_freshness_compute(&judged, f->rules, &spec->fresh);
        f->expected = length;
    }
    if (f->kind != BRIM_FLIGHT_PASS)
        verdict = brim_freshness_verdict(&judged, f->rules, &reason);
    else if (is_posted_whole(f, exchange))
        verdict = BRIM_STORE;
    if (brim_answer_tags(exchange->response, f->rules, tags, &spec->tag_count) == BRIM_ELIMIT ||
        !add_tier_tags(f, exchange->response, tags, &spec->tag_count)) {
        verdict = BRIM_STORE_NOT; /* a purge by one of the others would miss it */
        reason = "tags";
    }
    spec->tags = tags;
    has_own = brim_cache_control_excludes_any(exchange->response, f->rules->targets);
    if (verdict == BRIM_STORE && has_own && partial) {
        verdict = BRIM_STORE_NOT; /* a head made of parts has no fields for one client */
        reason = "own-fields";
    }
    if (verdict == BRIM_STORE && brim_vary_is_by_twin(exchange->request, exchange->response)) {
        verdict = BRIM_STORE_NOT; /* says nothing about those who write no such field */
        reason = "vary-twin";
    }
    note_answer(f, exchange->status, reason);
    use = verdict == BRIM_STORE ? BRIM_ANSWER_STORE : BRIM_ANSWER_FORWARD;
    spec->fields =
        brim_answer_fields(exchange->response, use, exchange->method, exchange->status, kept);
    spec->fields = brim_answer_without_tags(kept, spec->fields.count, f->rules);
    spec->is_codable = (exchange->status == 200 || partial) && f->rules->compress &&
                       brim_coding_suits(spec->fields, f->rules->compress_types);
    if (verdict == BRIM_STORE) {
        if (has_own)
            set_apart(f, &spec->fields, kept + exchange->response.count + 1);
        spec->fields =
            brim_answer_stored_fields(kept, spec->fields.count, exchange->response, f->rules);
        if (partial)
            return begin_part(f, spec, kept, &part);
        spec->fields =
            brim_answer_with_dictionary(kept, spec->fields.count, exchange->status, f->rules);
        return begin_stored(f, spec, length);
    }
    if (verdict == BRIM_STORE_PASS)
        remember_pass(f, exchange->response_wall_ms);
    else if (may_share_error(f, exchange->status, exchange->response))
        return begin_unstored(f, spec, length, READY);
    return begin_unstored(f, spec, length, ALONE);
}

static bool is_bodiless(struct brim_str method, unsigned status) /* RFC 9112 6.3 */
{
    return brim_str_is(method, BRIM_STR("HEAD")) || status == 204 || status == 304;
}

static void learn_from_head(struct brim_flight *f, const struct brim_exchange *exchange)
{
    struct brim_answer_update said = {
        .exchange = exchange, .rules = f->rules, .seq = f->seq, .is_from_tier = is_from_tier(f)};

    brim_head_update(f->flights->cache, brim_letter_primary(f->letter), &said);
}

static enum brim_err land(struct brim_flight *f, unsigned status, struct brim_fields fields,
                          uint64_t length)
{
    struct brim_exchange exchange = {
        .method = brim_letter_method(f->letter),
        .request = brim_letter_fields(f->letter),
        .status = status,
        .response = fields,
        .request_wall_ms = f->winner->request_wall_ms,
        .response_wall_ms = brim_clock_wall_ms(),
    };
    struct brim_object_spec spec = {
        .kind = BRIM_OBJECT_RESPONSE,
        .status = status,
        .primary = *brim_letter_primary(f->letter),
        .key = *brim_letter_key(f->letter),
        .seq = f->seq,
        .version = f->winner->version,
    };
    uint64_t tags[BRIM_OBJECT_TAGS_MAX];
    struct brim_field *kept;
    enum brim_err err;

    if (is_our_304(f, status)) {
        note_answer(f, status, "revalidated");
        return take_not_modified(f, &exchange);
    }
    /* Before the answer is seen: who has it asks for what it changed. */
    brim_changes_of(&exchange, brim_letter_primary(f->letter)->text, on_changed, f->flights);
    if (status == 200 && brim_str_is(exchange.method, BRIM_STR("HEAD")) && !f->exceeds_key)
        learn_from_head(f, &exchange);
    if (is_bodiless(exchange.method, status))
        length = 0; /* Content-Length says what a GET would bring (RFC 9110 8.6) */
    f->expected = length;
    f->received = 0;
    if (status == 200 && length == 0)
        brim_flight_unlist(f); /* an empty page is not stored, so nobody joins it either */
    kept = malloc((2 * fields.count + 2) * sizeof(*kept));
    if (kept == NULL)
        return BRIM_ENOMEM;
    err = judge(f, &exchange, &spec, kept, tags, length);
    f->own_fields = (struct brim_fields){NULL, 0};
    free(kept);
    return err;
}

static enum brim_err take_body(struct brim_flight *f, const void *bytes, size_t len)
{
    enum brim_err err;

    if (f->fill == NULL)
        return BRIM_OK; /* a 304 has none; what comes all the same is nobody's */
    if (f->received + len == f->expected)
        brim_flight_begin_landing(f); /* before a reader has the last byte */
    err = brim_fill_append(f->fill, bytes, len);
    if (f->stored && !brim_fill_is_storable(f->fill)) {
        brim_flight_withdraw(f); /* its first bytes may be gone: nobody joins */
        note_kept(f, false, false);
    }
    if (err == BRIM_EAGAIN)
        brim_flight_let_start_go(f); /* else nothing would ever drain */
    f->received += len;
    if (f->received != f->expected || (err != BRIM_OK && err != BRIM_EAGAIN))
        return err;
    /* The last byte: published here and not at on_done, so that whoever has read the whole finds it
     * stored when he asks again. Nothing will be drained any more: no pause. */
    brim_flight_finish(f);
    return BRIM_OK;
}

/* The answer as the site's own code leaves it, and its body if it brought one. */
static enum brim_err land_changed(struct brim_flight *f, struct brim_answer_lent *answer,
                                  uint64_t length)
{
    struct brim_fetch_request request;
    enum brim_err err;

    brim_letter_request(f->letter, BRIM_LETTER_PLAIN, &request);
    answer->method = request.method;
    answer->target = request.target;
    answer->host = request.host;
    answer->request = request.fields;
    answer->rules = f->rules;
    f->hook.change(f->hook.ctx, answer);
    f->is_replaced = answer->has_body;
    err = land(f, answer->status, answer->fields, answer->has_body ? answer->body.len : length);
    if (answer->has_body && err == BRIM_OK && answer->body.len > 0)
        err = take_body(f, answer->body.base, answer->body.len);
    f->hook.release(f->hook.ctx, answer);
    return err == BRIM_EAGAIN && answer->has_body ? BRIM_OK : err; /* nothing is left to wait for */
}

enum brim_err brim_flight_on_headers(void *ctx, unsigned status, struct brim_fields fields,
                                     uint64_t length, enum brim_http_version version)
{
    struct brim_flight_try *try = ctx;
    struct brim_flight *f = try->flight;
    struct brim_answer_lent answer = {.status = status, .fields = fields};

    OBJ_CHECK(f, BRIM_FLIGHT_MAGIC);
    try->status = status;
    try->version = version;
    try->took_ms = brim_clock_mono_ms() - try->request_mono_ms;
    if (brim_flight_passes_over(try, status))
        return BRIM_EAGAIN;
    if (!brim_flight_wins(try))
        return BRIM_ECLOSED;
    f->is_replaced = false;
    if (f->hook.change == NULL)
        return land(f, status, fields, length);
    return land_changed(f, &answer, length);
}

enum brim_err brim_flight_on_data(void *ctx, const void *bytes, size_t len)
{
    struct brim_flight_try *try = ctx;
    struct brim_flight *f = try->flight;

    BRIM_ADD(ORIGIN_BYTES, len);
    return f->is_replaced ? BRIM_OK : take_body(f, bytes, len);
}
