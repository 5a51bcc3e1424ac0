/* SPDX-License-Identifier: MIT */
/*
 * A body is a table of slots (chunks in RAM, front to back) and a table of what is placed
 * (extents on disk):
 *
 *      0            spilled                     bytes (published)
 *      |---- extents ----|                      |
 *                   |--- slot ---|--- slot ---|- tail -.....|
 *                   ^ ram_start                         ^ room nobody sees
 *
 * Extents and slots may overlap (a chunk lives until it is on disk whole); RAM is preferred.
 *
 * The writer appends in three steps: reserve room (locked), copy (not locked), publish (locked).
 * The copy needs no lock because it only touches room above `bytes`, which no reader looks at, in
 * slots that nobody drops while the body grows: the tail and what reserve pushed behind it. Only
 * reserve moves the slot table, so the writer's indices hold until its next reserve.
 *
 * A body is *settled* once it is complete and either kept whole in RAM or wholly on disk. Nothing
 * in it changes after that, so get, attach, advance and detach take no lock. The release store of
 * `settled` comes last and every reader loads it first.
 *
 * Hooks run one at a time for each body: whoever has news while a hook runs leaves a mark, and the
 * thread inside unlock_and_tell() picks it up. So set_hooks() has exactly one runner to wait for,
 * and can tell a call from inside a hook by its thread.
 *
 * Ledger. What the slots take is entered whenever the lock is given up, as long as no store keeps
 * the body. A store takes it over when it keeps it, and gives it back when it lets it go.
 *
 * Lock order: body->lock is a leaf; the watch is fired and chunks are freed after it is released.
 */
#include "brim/cache/body.h"

#include <pthread.h>
#include <stdlib.h>

#include "brim/base/invariant.h"
#include "brim/cache/placed.h"
#include "brim/cache/slots.h"

#define BODY_MAGIC    0x62647931u
#define CHUNK_MIN     ((size_t)16 * 1024)
#define CHUNK_MAX     ((size_t)BRIM_EXTENT_BODY_MAX)
#define NARROW_WINDOW ((size_t)64 * 1024) /* while the ledger is filling up */

struct brim_body_reader {
    struct brim_body_reader *prev, *next;
    uint64_t offset;
};

/* Stands for every reader of a settled body: such readers need no place. */
static struct brim_body_reader no_place;

enum news { NEWS_DRAINED = 1, NEWS_ABANDONED = 2, NEWS_THROUGH = 4 };

struct brim_body {
    uint32_t magic;
    _Atomic unsigned refs;
    _Atomic int state;
    _Atomic int mode;
    _Atomic int why;
    _Atomic bool settled;
    _Atomic uint64_t bytes;
    _Atomic uint64_t length;
    struct brim_ledger *_Atomic ledger; /* borrowed; NULL: none */
    struct brim_watch watch;

    pthread_mutex_t lock; /* all below */
    struct brim_slots slots;
    struct brim_placed placed; /* its bytes are the spilled ones */
    size_t spill_taken;        /* bytes handed out by spill_take, not on disk yet */
    struct brim_body_reader *readers;
    unsigned reader_count;
    bool had_readers;
    bool paused; /* the writer was told BRIM_EAGAIN and waits for drained */
    size_t window;
    size_t paused_at; /* buffered bytes then */
    unsigned keepers; /* stores that count it as theirs */
    size_t on_ledger;

    struct brim_body_hold hold;
    struct brim_body_hooks hooks;
    unsigned news;     /* enum news, not told yet */
    bool hook_running; /* by hook_thread */
    pthread_t hook_thread;
    pthread_cond_t hook_done;
};

/* ---- life ---- */

struct brim_body *brim_body_new(uint64_t length)
{
    struct brim_body *body = calloc(1, sizeof(*body));

    if (body == NULL)
        return NULL;
    body->magic = BODY_MAGIC;
    atomic_init(&body->refs, 1);
    atomic_init(&body->length, length);
    brim_watch_init(&body->watch);
    pthread_mutex_init(&body->lock, NULL);
    pthread_cond_init(&body->hook_done, NULL);
    brim_slots_init(&body->slots);
    brim_placed_init(&body->placed);
    return body;
}

struct brim_body *brim_body_from(const void *bytes, size_t len)
{
    struct brim_body *body = brim_body_new(len);

    if (body == NULL)
        return NULL;
    if (len > 0 && brim_body_append(body, bytes, len) != BRIM_OK) {
        brim_body_unref(body);
        return NULL;
    }
    brim_body_finish(body);
    return body;
}

struct brim_body *brim_body_on_disk(const struct brim_extent *extents, size_t count)
{
    struct brim_body *body = brim_body_new(0);
    enum brim_err err;

    if (body == NULL)
        return NULL;
    err = brim_placed_reserve(&body->placed, count);
    for (size_t i = 0; i < count && err == BRIM_OK; i++)
        err = brim_placed_add(&body->placed, extents[i]);
    if (err != BRIM_OK) {
        brim_body_unref(body);
        return NULL;
    }
    atomic_store(&body->bytes, body->placed.bytes);
    atomic_store(&body->length, body->placed.bytes);
    atomic_store(&body->mode, BRIM_BODY_SPILL);
    atomic_store(&body->state, BRIM_BODY_COMPLETE);
    atomic_store(&body->settled, true);
    return body;
}

void brim_body_ref(struct brim_body *body)
{
    unsigned old;

    OBJ_CHECK(body, BODY_MAGIC);
    old = atomic_fetch_add_explicit(&body->refs, 1, memory_order_relaxed);
    INVARIANT(old > 0);
}

void brim_body_unref(struct brim_body *body)
{
    unsigned old;

    OBJ_CHECK(body, BODY_MAGIC);
    old = atomic_fetch_sub_explicit(&body->refs, 1, memory_order_acq_rel);
    INVARIANT(old > 0);
    if (old != 1)
        return;
    INVARIANT(body->readers == NULL);
    INVARIANT(!body->hook_running);
    if (body->hold.end != NULL)
        body->hold.end(body->hold.ctx);
    brim_slots_fini(&body->slots);
    brim_ledger_hold(body->ledger, -(int64_t)body->on_ledger);
    brim_placed_fini(&body->placed);
    brim_watch_fini(&body->watch);
    pthread_cond_destroy(&body->hook_done);
    pthread_mutex_destroy(&body->lock);
    body->magic = 0;
    free(body);
}

/* ---- inside: all with body->lock held ---- */

static bool is_growing(const struct brim_body *body)
{
    return atomic_load_explicit(&body->state, memory_order_relaxed) == BRIM_BODY_GROWING;
}

static enum brim_body_mode mode_of(const struct brim_body *body)
{
    return (enum brim_body_mode)atomic_load_explicit(&body->mode, memory_order_relaxed);
}

static uint64_t bytes_of(const struct brim_body *body)
{
    return atomic_load_explicit(&body->bytes, memory_order_relaxed);
}

/* Where the bytes in RAM begin; without any, where the next one will stand. */
static uint64_t ram_start(const struct brim_body *body)
{
    return brim_slots_is_empty(&body->slots) ? bytes_of(body) : brim_slots_start(&body->slots);
}

/* Before this offset WINDOW keeps nothing. */
static uint64_t window_floor(const struct brim_body *body)
{
    uint64_t floor = UINT64_MAX;

    if (body->readers == NULL)
        return ram_start(body); /* nobody yet, or nobody any more: drop nothing further */
    for (const struct brim_body_reader *r = body->readers; r != NULL; r = r->next)
        floor = r->offset < floor ? r->offset : floor;
    return floor;
}

/* What the window bounds: unwritten bytes of SPILL, unread ones of WINDOW. */
static uint64_t buffered(const struct brim_body *body)
{
    uint64_t from;

    if (mode_of(body) == BRIM_BODY_KEEP)
        return 0;
    if (mode_of(body) == BRIM_BODY_SPILL)
        return bytes_of(body) - body->placed.bytes;
    from = window_floor(body);
    if (from < ram_start(body))
        from = ram_start(body); /* what that reader misses stands on disk */
    return from < bytes_of(body) ? bytes_of(body) - from : 0;
}

static void enter_in_ledger(struct brim_body *body)
{
    size_t bytes = body->keepers > 0 ? 0 : brim_slots_ram_bytes(&body->slots);

    if (bytes == body->on_ledger)
        return;
    brim_ledger_hold(body->ledger, (int64_t)bytes - (int64_t)body->on_ledger);
    body->on_ledger = bytes;
}

static void unlock(struct brim_body *body)
{
    enter_in_ledger(body);
    pthread_mutex_unlock(&body->lock);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* How much may be buffered before the writer has to pause. */
static size_t room_of(const struct brim_body *body)
{
    if (!brim_ledger_is_beyond(body->ledger, BRIM_LEDGER_NARROW))
        return body->window;
    return mode_of(body) == BRIM_BODY_SPILL ? least(body->window / 2, BRIM_BODY_SPILL_ROOM)
                                            : least(body->window, NARROW_WINDOW);
}

/* The largest chunk to make: several to a window, so that dropping one makes a difference. */
static size_t chunk_max(const struct brim_body *body)
{
    bool is_narrow = brim_ledger_is_beyond(body->ledger, BRIM_LEDGER_NARROW);
    size_t kept = is_narrow ? NARROW_WINDOW : CHUNK_MAX;
    size_t bytes = mode_of(body) == BRIM_BODY_KEEP ? kept : room_of(body) / 4;

    return bytes < CHUNK_MIN ? CHUNK_MIN : least(bytes, CHUNK_MAX);
}

static struct brim_chunk *drop_front(struct brim_body *body, uint64_t upto)
{
    return brim_slots_drop(&body->slots, upto,
                           is_growing(body) ? BRIM_SLOTS_KEEP_TAIL : BRIM_SLOTS_DROP_TAIL);
}

/* After anything that may have lowered buffered(). */
static void note_drained(struct brim_body *body)
{
    if (body->paused && is_growing(body) && buffered(body) <= body->paused_at / 2) {
        body->paused = false;
        body->news |= NEWS_DRAINED;
    }
}

/* After the last reader may have left, or the mode has become WINDOW. A body that is WINDOW before
 * its first byte just has no reader yet. */
static void note_abandoned(struct brim_body *body)
{
    if (mode_of(body) == BRIM_BODY_WINDOW && is_growing(body) && body->readers == NULL &&
        (body->had_readers || bytes_of(body) > 0))
        body->news |= NEWS_ABANDONED;
}

/* After the last reader with a place may have left, or the body has settled. */
static void note_through(struct brim_body *body)
{
    if (body->hold.end != NULL && body->readers == NULL && atomic_load(&body->settled))
        body->news |= NEWS_THROUGH;
}

/* Lets WINDOW forget what everybody has passed, and says so. */
static struct brim_chunk *slide_window(struct brim_body *body)
{
    struct brim_chunk *list = NULL;

    if (mode_of(body) == BRIM_BODY_WINDOW) {
        list = drop_front(body, window_floor(body));
        note_drained(body);
    }
    return list;
}

/* Marks a body that will not change any more; drops what is on disk too. */
static struct brim_chunk *settle(struct brim_body *body)
{
    struct brim_chunk *list = NULL;

    if (atomic_load(&body->state) != BRIM_BODY_COMPLETE || mode_of(body) == BRIM_BODY_WINDOW)
        return NULL;
    if (mode_of(body) == BRIM_BODY_SPILL) {
        if (body->placed.bytes < bytes_of(body))
            return NULL;
        list = drop_front(body, body->placed.bytes);
        INVARIANT(brim_slots_is_empty(&body->slots));
    }
    atomic_store_explicit(&body->settled, true, memory_order_release);
    note_through(body);
    return list;
}

static struct brim_body_hold take_hold(struct brim_body *body)
{
    struct brim_body_hold hold = body->hold;

    body->hold = (struct brim_body_hold){.end = NULL};
    return hold;
}

/* Releases the lock and tells what there is to tell. */
static void unlock_and_tell(struct brim_body *body)
{
    enter_in_ledger(body);
    while (body->news != 0 && !body->hook_running) {
        unsigned news = body->news;
        struct brim_body_hooks hooks = body->hooks;
        struct brim_body_hold hold = {.end = NULL};

        if ((news & NEWS_THROUGH) != 0)
            hold = take_hold(body);
        body->news = 0;
        body->hook_running = true;
        body->hook_thread = pthread_self();
        pthread_mutex_unlock(&body->lock);
        if ((news & NEWS_DRAINED) != 0 && hooks.drained != NULL)
            hooks.drained(hooks.ctx);
        if ((news & NEWS_ABANDONED) != 0 && hooks.abandoned != NULL)
            hooks.abandoned(hooks.ctx);
        if (hold.end != NULL)
            hold.end(hold.ctx);
        pthread_mutex_lock(&body->lock);
        body->hook_running = false;
        pthread_cond_broadcast(&body->hook_done);
    }
    pthread_mutex_unlock(&body->lock);
}

void brim_body_set_ledger(struct brim_body *body, struct brim_ledger *ledger)
{
    OBJ_CHECK(body, BODY_MAGIC);
    brim_ledger_hold(body->ledger, -(int64_t)body->on_ledger);
    body->ledger = ledger;
    brim_ledger_hold(ledger, (int64_t)body->on_ledger);
}

/* ---- writer's side ---- */

static enum brim_err reserve(struct brim_body *body, size_t len, size_t *count_out)
{
    uint64_t length = atomic_load_explicit(&body->length, memory_order_relaxed);
    struct brim_slots_want want = {
        .end = bytes_of(body), .len = len, .rest = UINT64_MAX, .chunk_max = chunk_max(body)};

    if (length != BRIM_BODY_LENGTH_UNKNOWN && length > want.end)
        want.rest = length - want.end;
    return brim_slots_reserve(&body->slots, &want, count_out);
}

enum brim_err brim_body_append(struct brim_body *body, const void *bytes, size_t len)
{
    size_t slot_count;
    enum brim_err err;

    OBJ_CHECK(body, BODY_MAGIC);
    if (len == 0)
        return BRIM_OK;
    pthread_mutex_lock(&body->lock);
    INVARIANT(is_growing(body));
    err = reserve(body, len, &slot_count);
    unlock(body);
    if (err != BRIM_OK)
        return err;

    brim_slots_copy(&body->slots, slot_count, bytes, len); /* not locked: see the essay */

    pthread_mutex_lock(&body->lock);
    brim_slots_publish(&body->slots, slot_count, len);
    atomic_store_explicit(&body->bytes, bytes_of(body) + len, memory_order_release);
    if (mode_of(body) != BRIM_BODY_KEEP && buffered(body) > room_of(body)) {
        body->paused = true;
        body->paused_at = buffered(body);
        err = BRIM_EAGAIN;
    }
    pthread_mutex_unlock(&body->lock);
    brim_watch_fire(&body->watch);
    return err;
}

void brim_body_set_mode(struct brim_body *body, enum brim_body_mode mode, size_t window_bytes)
{
    struct brim_chunk *dropped;

    OBJ_CHECK(body, BODY_MAGIC);
    INVARIANT(mode != BRIM_BODY_KEEP);
    INVARIANT(window_bytes > 0);
    pthread_mutex_lock(&body->lock);
    INVARIANT(is_growing(body));
    INVARIANT(mode_of(body) == BRIM_BODY_KEEP);
    atomic_store(&body->mode, mode);
    body->window = window_bytes;
    dropped = slide_window(body);
    note_abandoned(body);
    unlock_and_tell(body);
    brim_chunk_unref_list(dropped);
}

void brim_body_set_hooks(struct brim_body *body, const struct brim_body_hooks *hooks)
{
    OBJ_CHECK(body, BODY_MAGIC);
    pthread_mutex_lock(&body->lock);
    body->hooks = hooks != NULL ? *hooks : (struct brim_body_hooks){.ctx = NULL};
    while (body->hook_running && !pthread_equal(body->hook_thread, pthread_self()))
        pthread_cond_wait(&body->hook_done, &body->lock);
    pthread_mutex_unlock(&body->lock);
}

void brim_body_finish(struct brim_body *body)
{
    struct brim_chunk *dropped, *trimmed = NULL;

    OBJ_CHECK(body, BODY_MAGIC);
    pthread_mutex_lock(&body->lock);
    INVARIANT(is_growing(body));
    if (mode_of(body) == BRIM_BODY_KEEP)
        trimmed = brim_slots_trim(&body->slots);
    atomic_store(&body->length, bytes_of(body));
    atomic_store_explicit(&body->state, BRIM_BODY_COMPLETE, memory_order_release);
    dropped = settle(body);
    unlock_and_tell(body);
    brim_chunk_unref_list(dropped);
    brim_chunk_unref_list(trimmed);
    brim_watch_fire(&body->watch);
}

void brim_body_fail(struct brim_body *body, enum brim_err why)
{
    OBJ_CHECK(body, BODY_MAGIC);
    INVARIANT(why != BRIM_OK);
    pthread_mutex_lock(&body->lock);
    INVARIANT(is_growing(body));
    atomic_store(&body->why, (int)why);
    atomic_store_explicit(&body->state, BRIM_BODY_FAILED, memory_order_release);
    pthread_mutex_unlock(&body->lock);
    brim_watch_fire(&body->watch);
}

/* ---- spilling ---- */

/* How many bytes to take: preferably up to the end of a slot, so that the next piece is a slot of
 * its own and goes to disk without a copy. */
static size_t spill_size(const struct brim_body *body, size_t min, size_t max)
{
    uint64_t waiting = bytes_of(body) - body->placed.bytes;
    size_t size = waiting < max ? (size_t)waiting : max;
    size_t aligned = brim_slots_aligned(&body->slots, body->placed.bytes, size);

    return aligned >= min ? aligned : size;
}

enum brim_err brim_body_spill_take(struct brim_body *body, size_t min, size_t max,
                                   struct brim_chunk **chunk_out, size_t *len_out)
{
    enum brim_err err = BRIM_ENOENT;

    OBJ_CHECK(body, BODY_MAGIC);
    INVARIANT(min > 0 && min <= max);
    *chunk_out = NULL;
    *len_out = 0;
    pthread_mutex_lock(&body->lock);
    INVARIANT(body->spill_taken == 0);
    if (mode_of(body) == BRIM_BODY_SPILL && bytes_of(body) - body->placed.bytes >= min) {
        size_t size = spill_size(body, min, max);

        *chunk_out = brim_slots_gather(&body->slots, body->placed.bytes, size);
        if (*chunk_out != NULL)
            body->spill_taken = *len_out = size;
        err = *chunk_out != NULL ? BRIM_OK : BRIM_ENOMEM;
    }
    pthread_mutex_unlock(&body->lock);
    return err;
}

enum brim_err brim_body_spill_done(struct brim_body *body, const struct brim_extent *extent)
{
    struct brim_chunk *dropped = NULL, *settled = NULL;
    enum brim_err err = BRIM_ECLOSED;

    OBJ_CHECK(body, BODY_MAGIC);
    pthread_mutex_lock(&body->lock);
    if (mode_of(body) == BRIM_BODY_SPILL) {
        INVARIANT(body->spill_taken == extent->length);
        err = brim_placed_add(&body->placed, *extent);
    }
    if (err == BRIM_OK) {
        body->spill_taken = 0;
        dropped = drop_front(body, body->placed.bytes);
        note_drained(body);
        settled = settle(body);
    }
    unlock_and_tell(body);
    brim_chunk_unref_list(dropped);
    brim_chunk_unref_list(settled);
    return err;
}

void brim_body_spill_abandon(struct brim_body *body)
{
    struct brim_chunk *dropped = NULL;

    OBJ_CHECK(body, BODY_MAGIC);
    pthread_mutex_lock(&body->lock);
    if (mode_of(body) == BRIM_BODY_SPILL && !atomic_load(&body->settled)) {
        atomic_store(&body->mode, BRIM_BODY_WINDOW);
        body->spill_taken = 0;
        dropped = slide_window(body);
        note_abandoned(body);
    }
    unlock_and_tell(body);
    brim_chunk_unref_list(dropped);
}

void brim_body_set_hold(struct brim_body *body, const struct brim_body_hold *hold)
{
    OBJ_CHECK(body, BODY_MAGIC);
    pthread_mutex_lock(&body->lock);
    INVARIANT(body->hold.end == NULL);
    body->hold = *hold;
    pthread_mutex_unlock(&body->lock);
}

/* ---- facts ---- */

enum brim_body_state brim_body_state(const struct brim_body *body)
{
    return (enum brim_body_state)atomic_load_explicit(&body->state, memory_order_acquire);
}

enum brim_body_mode brim_body_mode(const struct brim_body *body)
{
    return (enum brim_body_mode)atomic_load_explicit(&body->mode, memory_order_acquire);
}

enum brim_err brim_body_why(const struct brim_body *body)
{
    return (enum brim_err)atomic_load(&body->why);
}

uint64_t brim_body_bytes(const struct brim_body *body)
{
    return atomic_load_explicit(&body->bytes, memory_order_acquire);
}

uint64_t brim_body_length(const struct brim_body *body)
{
    return atomic_load_explicit(&body->length, memory_order_acquire);
}

size_t brim_body_ram_bytes(const struct brim_body *body)
{
    return sizeof(*body) + brim_slots_ram_bytes(&body->slots) +
           atomic_load_explicit(&body->placed.ram_bytes, memory_order_relaxed);
}

void brim_body_keep(struct brim_body *body)
{
    OBJ_CHECK(body, BODY_MAGIC);
    pthread_mutex_lock(&body->lock);
    body->keepers++;
    enter_in_ledger(body);
    body->ledger = brim_ledger_whole(body->ledger); /* from now on it is not there for one alone */
    pthread_mutex_unlock(&body->lock);
}

void brim_body_let_go(struct brim_body *body)
{
    OBJ_CHECK(body, BODY_MAGIC);
    pthread_mutex_lock(&body->lock);
    INVARIANT(body->keepers > 0);
    body->keepers--;
    unlock(body);
}

size_t brim_body_share_bytes(struct brim_body *body)
{
    unsigned parties;
    size_t bytes;

    OBJ_CHECK(body, BODY_MAGIC);
    pthread_mutex_lock(&body->lock);
    bytes = body->on_ledger;
    parties = body->reader_count;
    pthread_mutex_unlock(&body->lock);
    /* its readers have no place then, but a count each; so has its object */
    if (brim_body_is_settled(body))
        parties = atomic_load_explicit(&body->refs, memory_order_relaxed) - 1;
    return parties == 0 ? 0 : bytes / parties;
}

struct brim_ledger *brim_body_ledger(const struct brim_body *body)
{
    OBJ_CHECK(body, BODY_MAGIC);
    return body->ledger;
}

unsigned brim_body_readers(struct brim_body *body)
{
    unsigned count;

    pthread_mutex_lock(&body->lock);
    count = body->reader_count;
    pthread_mutex_unlock(&body->lock);
    return count;
}

bool brim_body_is_settled(const struct brim_body *body)
{
    return atomic_load_explicit(&body->settled, memory_order_acquire);
}

struct brim_watch *brim_body_watch(struct brim_body *body)
{
    return &body->watch;
}

struct brim_extent *brim_body_extents(struct brim_body *body, size_t *count_out)
{
    struct brim_extent *extents;

    pthread_mutex_lock(&body->lock);
    extents = brim_placed_copy(&body->placed, count_out);
    pthread_mutex_unlock(&body->lock);
    return extents;
}

const struct brim_segment_set *brim_body_segments(const struct brim_body *body)
{
    static const struct brim_segment_set none;

    return brim_body_is_settled(body) ? &body->placed.segments : &none;
}

/* ---- reader's side ---- */

/* Whether all from offset on is there: where storing was given up, the window may have moved on, so
 * that between what is on disk and what is in RAM there is nothing. */
static bool has_rest(const struct brim_body *body, uint64_t offset)
{
    return offset >= ram_start(body) ||
           (offset < body->placed.bytes && body->placed.bytes >= ram_start(body));
}

struct brim_body_reader *brim_body_attach(struct brim_body *body, uint64_t offset)
{
    struct brim_body_reader *reader = NULL;

    OBJ_CHECK(body, BODY_MAGIC);
    if (brim_body_is_settled(body))
        return &no_place;
    pthread_mutex_lock(&body->lock);
    if (has_rest(body, offset)) {
        reader = brim_alloc(sizeof(*reader));
        reader->offset = offset;
        reader->next = body->readers;
        if (reader->next != NULL)
            reader->next->prev = reader;
        body->readers = reader;
        body->reader_count++;
        body->had_readers = true;
    }
    unlock_and_tell(body);
    return reader;
}

void brim_body_detach(struct brim_body *body, struct brim_body_reader *reader)
{
    struct brim_chunk *dropped;

    OBJ_CHECK(body, BODY_MAGIC);
    if (reader == &no_place)
        return;
    pthread_mutex_lock(&body->lock);
    INVARIANT(body->reader_count > 0);
    if (reader->prev != NULL)
        reader->prev->next = reader->next;
    else
        body->readers = reader->next;
    if (reader->next != NULL)
        reader->next->prev = reader->prev;
    body->reader_count--;
    dropped = slide_window(body);
    note_abandoned(body);
    note_through(body);
    unlock_and_tell(body);
    brim_chunk_unref_list(dropped);
    free(reader);
}

/* The body is locked or settled. */
static enum brim_body_get look(const struct brim_body *body, uint64_t offset,
                               struct brim_body_piece *piece_out)
{
    if (offset >= bytes_of(body)) {
        switch (brim_body_state(body)) {
        case BRIM_BODY_GROWING:
            return BRIM_GET_WAIT;
        case BRIM_BODY_COMPLETE:
            return BRIM_GET_END;
        case BRIM_BODY_FAILED:
            break;
        }
        return BRIM_GET_FAILED;
    }
    if (offset >= ram_start(body)) {
        piece_out->bytes = brim_slots_get(&body->slots, offset, &piece_out->chunk);
        return BRIM_GET_RAM;
    }
    if (offset < body->placed.bytes) {
        piece_out->extent = brim_placed_find(&body->placed, offset, &piece_out->skip);
        return BRIM_GET_DISK;
    }
    return BRIM_GET_FAILED; /* a window that has moved on */
}

enum brim_body_get brim_body_get(struct brim_body *body, uint64_t offset,
                                 struct brim_body_piece *piece_out)
{
    enum brim_body_get got;

    OBJ_CHECK(body, BODY_MAGIC);
    *piece_out = (struct brim_body_piece){.chunk = NULL};
    if (brim_body_is_settled(body))
        return look(body, offset, piece_out);
    pthread_mutex_lock(&body->lock);
    got = look(body, offset, piece_out);
    pthread_mutex_unlock(&body->lock);
    return got;
}

void brim_body_advance(struct brim_body *body, struct brim_body_reader *reader, uint64_t offset)
{
    struct brim_chunk *dropped;

    if (reader == &no_place)
        return;
    OBJ_CHECK(body, BODY_MAGIC);
    pthread_mutex_lock(&body->lock);
    INVARIANT(offset >= reader->offset);
    reader->offset = offset;
    dropped = slide_window(body);
    unlock_and_tell(body);
    brim_chunk_unref_list(dropped);
}
