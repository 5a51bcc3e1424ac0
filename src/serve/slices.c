/* SPDX-License-Identifier: MIT */
/*
 *   HEAD --fresh head: its total resolves the range--> PART --stored--> news PART, next slice
 *     |  --no head: ask for the slice that the       --not stored--> FLIGHT
 *     |    range begins in, whatever the version-->  FLIGHT
 *   FLIGHT --206--> its version and total are adopted: PART
 *          --else-> news ANSWER
 *
 * A part is good for a range that lies within it whatever its validator is. Several parts make one
 * answer only if they have one strong validator in common (RFC 9110 15.3.7.3), which is in their
 * keys; once a first part was handed out, the version stays, and a part of another breaks the
 * answer off.
 *
 * Freshness is the head's, which each fetched part renews: what has the same strong validator is as
 * fresh (RFC 9111 3.4, 4.3.4). Without a validator each part has its own.
 *
 * While a part is sent, the next one is fetched.
 */
#include "brim/serve/slices.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "brim/base/err.h"
#include "brim/base/invariant.h"
#include "brim/base/metric.h"
#include "brim/http/conditional.h"

#define SLICES_MAGIC     0x736c6331u
#define RANGE_TEXT_BYTES 64u
#define FLIGHTS_TRIED    3u /* for one part: then the origin does not play along */

enum stage { HEAD, PART, FLIGHT };

struct brim_slices {
    uint32_t magic;
    enum stage stage;
    struct brim_slices_ask ask;
    struct brim_find find;
    struct brim_flight *flight;
    struct brim_object *head; /* counted; or NULL: not known yet */
    struct brim_part whole;   /* version and total, once known */
    bool is_known;
    bool is_begun; /* a part was handed out */
    unsigned flights_tried;
    struct brim_range range; /* once known */
    uint64_t at;             /* next byte to hand out */
    char *text;              /* of find.primary */
};

struct brim_slices *brim_slices_new(const struct brim_slices_ask *ask)
{
    struct brim_slices *s = brim_alloc(sizeof(*s));

    s->magic = SLICES_MAGIC;
    s->ask = *ask;
    s->text = brim_alloc(ask->letter->primary.text.len + BRIM_SLICE_TEXT_ROOM);
    s->find.primary = brim_slice_head_key(ask->letter->primary.text, s->text);
    return s;
}

static void leave(struct brim_slices *s)
{
    if (s->flight != NULL)
        brim_flight_leave(s->flight, s->ask.port);
    s->flight = NULL;
}

void brim_slices_free(struct brim_slices *s)
{
    if (s == NULL)
        return;
    OBJ_CHECK(s, SLICES_MAGIC);
    leave(s);
    brim_find_fini(&s->find);
    brim_object_unref(s->head);
    free(s->text);
    s->magic = 0;
    free(s);
}

/* ---- what is wanted ---- */

static uint64_t slice_at(const struct brim_slices *s)
{
    return s->at / s->ask.slice_bytes;
}

/* The last byte that is wanted of the slice at `at`. */
static uint64_t last_wanted(const struct brim_slices *s)
{
    uint64_t slice_last = (slice_at(s) + 1) * s->ask.slice_bytes - 1;

    return slice_last < s->range.last ? slice_last : s->range.last;
}

static void look_for_slice(struct brim_slices *s)
{
    brim_find_fini(&s->find);
    s->find = (struct brim_find){0};
    s->find.primary =
        brim_slice_part_key(s->ask.letter->primary.text, &s->whole, slice_at(s), s->text);
    s->stage = PART;
}

/* If-Range asks for the whole unless it names this version (RFC 9110 13.1.5). */
static bool range_applies(const struct brim_slices *s, const struct brim_object *object)
{
    struct brim_validators validators = brim_object_validators(object);

    return brim_conditional_range_applies(s->ask.request, &validators, s->ask.now_wall_ms / 1000);
}

/* Takes the version and total of object, of which part tells, as those of the answer. */
static enum brim_slices_state adopt(struct brim_slices *s, const struct brim_object *object,
                                    const struct brim_part *part)
{
    static const struct brim_range_spec all = {.last = UINT64_MAX};
    const struct brim_range_spec *spec = s->ask.range != NULL ? s->ask.range : &all;

    s->whole = *part;
    s->is_known = true;
    if (!range_applies(s, object))
        return BRIM_SLICES_NONE;
    if (brim_range_resolve(spec, part->total, &s->range) != BRIM_RANGE_ONE)
        return BRIM_SLICES_UNSATISFIABLE;
    s->at = s->range.first;
    return BRIM_SLICES_PART;
}

/* ---- asking the origin ---- */

/* What to ask for before anything is known: the slice that the range begins in. */
static void first_range(const struct brim_slices *s, char *text)
{
    const struct brim_range_spec *spec = s->ask.range;
    uint64_t n, end;

    INVARIANT(spec != NULL);
    if (spec->is_suffix) {
        (void)snprintf(text, RANGE_TEXT_BYTES, "bytes=-%" PRIu64, spec->first);
        return;
    }
    n = spec->first / s->ask.slice_bytes;
    if (__builtin_mul_overflow(n + 1, s->ask.slice_bytes, &end))
        end = 0; /* behind the last position there is */
    (void)snprintf(text, RANGE_TEXT_BYTES, "bytes=%" PRIu64 "-%" PRIu64, n * s->ask.slice_bytes,
                   end - 1);
}

static void slice_range(const struct brim_slices *s, uint64_t n, char *text)
{
    uint64_t last = (n + 1) * s->ask.slice_bytes - 1;

    if (last >= s->whole.total)
        last = s->whole.total - 1;
    (void)snprintf(text, RANGE_TEXT_BYTES, "bytes=%" PRIu64 "-%" PRIu64, n * s->ask.slice_bytes,
                   last);
}

static struct brim_flight_ask letter_for(const struct brim_slices *s, struct brim_key key,
                                         const char *range)
{
    struct brim_flight_ask ask = *s->ask.letter;

    ask.kind = BRIM_FLIGHT_SLICE;
    ask.key = key;
    ask.range = brim_str_of(range);
    ask.slice_bytes = s->ask.slice_bytes;
    ask.stale = NULL;
    return ask;
}

/* EAGAIN: something was stored meanwhile, look again. */
static enum brim_err fly(struct brim_slices *s)
{
    char range[RANGE_TEXT_BYTES];
    struct brim_flight_ask ask;
    enum brim_err err;

    if (s->is_known)
        slice_range(s, slice_at(s), range);
    else
        first_range(s, range);
    ask = letter_for(s, s->find.key, range);
    ask.looked_again = s->flights_tried > 0;
    ask.is_sequel = s->is_begun;
    s->flights_tried++;
    err = brim_flight_join(s->ask.flights, &ask, s->ask.port, &s->flight);
    if (err == BRIM_OK) {
        s->stage = FLIGHT;
        BRIM_COUNT(SLICES_FETCHED);
    }
    return err;
}

/* The slice behind the one that is handed out now. */
static void fetch_ahead(struct brim_slices *s, uint64_t n)
{
    char range[RANGE_TEXT_BYTES];
    struct brim_flight_ask ask;
    struct brim_key key;
    char *text;

    if (s->whole.version == 0 || n * s->ask.slice_bytes > s->range.last)
        return;
    text = brim_alloc(s->ask.letter->primary.text.len + BRIM_SLICE_TEXT_ROOM);
    key = brim_slice_part_key(s->ask.letter->primary.text, &s->whole, n, text);
    if (!brim_cache_has(s->ask.cache, &key)) {
        slice_range(s, n, range);
        ask = letter_for(s, key, range);
        brim_flight_refresh(s->ask.flights, &ask);
    }
    free(text);
}

/* ---- handing out ---- */

/* Whether object holds what is wanted from here, to the end of its slice or of the range. */
static bool covers(const struct brim_slices *s, const struct brim_part *part)
{
    return part->first <= s->at && part->last >= last_wanted(s);
}

/* Whether what is wanted may be put together from several parts, if it has to. */
static bool may_combine(const struct brim_slices *s)
{
    return s->whole.version != 0 ||
           s->range.first / s->ask.slice_bytes == s->range.last / s->ask.slice_bytes;
}

/* object: counted for the news. */
static void hand_out(struct brim_slices *s, struct brim_object *object,
                     const struct brim_part *part, struct brim_slices_news *news)
{
    uint64_t last = last_wanted(s);

    *news = (struct brim_slices_news){
        .state = BRIM_SLICES_PART,
        .object = object,
        .head = s->head != NULL && s->whole.version != 0 ? s->head : object,
        .first = s->at - part->first,
        .length = last - s->at + 1,
        .range = s->range,
        .is_range = s->ask.range != NULL,
        .total = s->whole.total,
    };
    s->is_begun = true;
    s->flights_tried = 0;
    s->at = last + 1;
    if (s->at > s->range.last)
        return;
    fetch_ahead(s, slice_at(s));
    look_for_slice(s);
}

static void say(const struct brim_slices *s, enum brim_slices_state state,
                struct brim_slices_news *news)
{
    if (s->is_begun && state != BRIM_SLICES_WAIT)
        state = BRIM_SLICES_BROKEN;
    *news = (struct brim_slices_news){.state = state, .range = s->range, .total = s->whole.total};
}

static void say_unsatisfiable(struct brim_slices *s, struct brim_object *object,
                              struct brim_slices_news *news)
{
    say(s, BRIM_SLICES_UNSATISFIABLE, news);
    news->object = object;
}

/* ---- one step each: true if there is news ---- */

static bool take_head(struct brim_slices *s, struct brim_object *head,
                      struct brim_slices_news *news)
{
    struct brim_part part;
    enum brim_slices_state state;
    bool usable = brim_freshness_use(&head->fresh, s->ask.control, s->ask.now_wall_ms,
                                     s->find.soft_purged) == BRIM_USE_FRESH &&
                  brim_part_of(head, &part);

    if (!usable) {
        brim_object_unref(head);
        return false;
    }
    state = adopt(s, head, &part);
    if (state == BRIM_SLICES_UNSATISFIABLE) {
        say_unsatisfiable(s, head, news);
        return true;
    }
    s->head = head;
    if (state != BRIM_SLICES_PART) {
        say(s, state, news);
        return true;
    }
    if (!may_combine(s)) {
        say(s, BRIM_SLICES_PASS, news);
        return true;
    }
    look_for_slice(s);
    return false;
}

/* How a search ended that found no object. */
static bool take_nothing(struct brim_slices *s, enum brim_found found,
                         struct brim_slices_news *news)
{
    enum brim_err err;

    if (found == BRIM_FOUND_WAIT) {
        say(s, BRIM_SLICES_WAIT, news);
        return true;
    }
    if (!s->is_known && s->ask.range == NULL) {
        say(s, BRIM_SLICES_NONE, news);
        return true;
    }
    if (found == BRIM_FOUND_PASS || s->ask.control->only_if_cached ||
        s->flights_tried >= FLIGHTS_TRIED) {
        say(s, BRIM_SLICES_PASS, news);
        return true;
    }
    err = fly(s);
    if (err == BRIM_OK || err == BRIM_EAGAIN)
        return false;
    say(s, BRIM_SLICES_ANSWER, news);
    news->view = (struct brim_flight_view){.state = BRIM_FLIGHT_FAILED, .why = err};
    return true;
}

static enum brim_found search(struct brim_slices *s)
{
    s->find.request = s->ask.request;
    s->find.now_wall_ms = s->ask.now_wall_ms;
    s->find.port = s->ask.port;
    return brim_cache_find(s->ask.cache, &s->find);
}

static bool step_head(struct brim_slices *s, struct brim_slices_news *news)
{
    enum brim_found found = search(s);

    if (found == BRIM_FOUND_OBJECT && take_head(s, s->find.object, news))
        return true;
    if (found == BRIM_FOUND_OBJECT)
        return s->stage == HEAD && take_nothing(s, BRIM_FOUND_NONE, news);
    return take_nothing(s, found, news);
}

/* A stored part counts if it has the bytes; without a validator it has to be fresh itself. */
static bool is_usable(const struct brim_slices *s, const struct brim_object *object,
                      struct brim_part *part)
{
    if (object->status != 206 || !brim_part_of(object, part) || part->total != s->whole.total ||
        !covers(s, part))
        return false;
    return s->whole.version != 0 ||
           brim_freshness_use(&object->fresh, s->ask.control, s->ask.now_wall_ms,
                              s->find.soft_purged) == BRIM_USE_FRESH;
}

static bool step_part(struct brim_slices *s, struct brim_slices_news *news)
{
    enum brim_found found = search(s);
    struct brim_object *object = s->find.object;
    struct brim_part part;

    if (found != BRIM_FOUND_OBJECT)
        return take_nothing(s, found, news);
    if (is_usable(s, object, &part)) {
        hand_out(s, object, &part, news);
        return true;
    }
    brim_object_unref(object);
    if (s->flights_tried == 0)
        s->flights_tried = 1; /* what stands there is not what is wanted: do not look again */
    return take_nothing(s, BRIM_FOUND_NONE, news);
}

/* A 206 for all who wait. */
static bool take_flown(struct brim_slices *s, struct brim_flight_view *view,
                       const struct brim_part *part, struct brim_slices_news *news)
{
    enum brim_slices_state state = BRIM_SLICES_PART;

    if (s->is_known && (part->version != s->whole.version || part->total != s->whole.total)) {
        s->is_known = false; /* it has changed at the origin */
        brim_object_unref(s->head);
        s->head = NULL;
    }
    if (!s->is_known && s->is_begun)
        state = BRIM_SLICES_BROKEN;
    else if (!s->is_known)
        state = adopt(s, view->object, part);
    if (state == BRIM_SLICES_UNSATISFIABLE) {
        say_unsatisfiable(s, view->object, news);
        return true;
    }
    if (state == BRIM_SLICES_PART && may_combine(s) && covers(s, part)) {
        hand_out(s, view->object, part, news);
        news->is_flown = true;
        news->view = *view;
        return true;
    }
    brim_object_unref(view->object);
    if (state == BRIM_SLICES_PART && may_combine(s)) { /* another slice than the one he needs */
        leave(s);
        look_for_slice(s);
        return false;
    }
    say(s, state == BRIM_SLICES_PART ? BRIM_SLICES_PASS : state, news);
    return true;
}

/* What follows from an answer that brings no part. The range was ours: a 416 to it is one to his
 * only if his begins where ours did, and holds for whatever version there is. */
static enum brim_slices_state judge(const struct brim_slices *s,
                                    const struct brim_flight_view *view)
{
    if (view->object == NULL || view->object->status != 416)
        return BRIM_SLICES_ANSWER;
    if (s->ask.range == NULL || !range_applies(s, view->object))
        return BRIM_SLICES_NONE;
    return s->is_known && s->ask.range->is_suffix ? BRIM_SLICES_PASS : BRIM_SLICES_ANSWER;
}

static bool step_flight(struct brim_slices *s, struct brim_slices_news *news)
{
    struct brim_flight_view view;
    struct brim_part part;

    brim_flight_view(s->flight, s->ask.port, s->ask.letter->fields, &view);
    switch (view.state) {
    case BRIM_FLIGHT_WAIT:
        say(s, BRIM_SLICES_WAIT, news);
        return true;
    case BRIM_FLIGHT_READY:
        if (view.object->status == 206 && brim_part_of(view.object, &part)) {
            brim_flight_let_go(&view.hold);
            return take_flown(s, &view, &part, news);
        }
        break;
    case BRIM_FLIGHT_ALONE:
        if (view.object->status != 206)
            break;
        brim_object_unref(view.object); /* of our Range, not his */
        say(s, BRIM_SLICES_PASS, news);
        return true;
    case BRIM_FLIGHT_OTHER:
        brim_object_unref(view.object);
        say(s, BRIM_SLICES_PASS, news);
        return true;
    case BRIM_FLIGHT_REFUSED:
        say(s, BRIM_SLICES_PASS, news);
        return true;
    case BRIM_FLIGHT_FAILED:
        break;
    }
    say(s, judge(s, &view), news);
    if (news->state == BRIM_SLICES_ANSWER) {
        news->view = view;
    } else {
        brim_flight_let_go(&view.hold);
        brim_object_unref(view.object);
    }
    return true;
}

void brim_slices_next(struct brim_slices *s, struct brim_slices_news *news_out)
{
    bool has_news = false;

    OBJ_CHECK(s, SLICES_MAGIC);
    INVARIANT(!s->is_begun || s->at <= s->range.last);
    if (s->stage != FLIGHT)
        leave(s); /* what it brought has been sent */
    while (!has_news) {
        switch (s->stage) {
        case HEAD:
            has_news = step_head(s, news_out);
            break;
        case PART:
            has_news = step_part(s, news_out);
            break;
        case FLIGHT:
            has_news = step_flight(s, news_out);
            break;
        }
    }
}
