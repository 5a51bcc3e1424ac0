/* SPDX-License-Identifier: MIT */
#include "brim/cache/body.h"

#include <sched.h>

#include "bodies.h"

enum { KIB = 1024 };

static uint8_t scratch[2 * 1024 * KIB];

static enum brim_err append_pattern(struct brim_body *body, size_t len)
{
    fill_bytes(scratch, brim_body_bytes(body), len);
    return brim_body_append(body, scratch, len);
}

/* Reads [offset, end) and checks every byte; returns where it stopped. */
static uint64_t read_ram(struct brim_body *body, uint64_t offset, enum brim_body_get *got_out)
{
    struct brim_body_piece piece;

    while ((*got_out = brim_body_get(body, offset, &piece)) == BRIM_GET_RAM) {
        ck_assert_uint_gt(piece.bytes.len, 0);
        ck_assert(bytes_are(piece.bytes.base, offset, piece.bytes.len));
        offset += piece.bytes.len;
        brim_chunk_unref(piece.chunk);
    }
    return offset;
}

/* ---- keep ---- */

/* The plain life of every object in the hot tier. */
START_TEST(kept_body_gives_back_what_was_appended)
{
    struct brim_body *body = brim_body_new(BRIM_BODY_LENGTH_UNKNOWN);
    enum brim_body_get got;
    uint64_t total = 0;

    for (size_t len = 1; len < 700 * KIB; len = len * 3 + 7) {
        ck_assert_int_eq(append_pattern(body, len), BRIM_OK);
        total += len;
        ck_assert_uint_eq(read_ram(body, 0, &got), total);
        ck_assert_int_eq(got, BRIM_GET_WAIT);
    }
    brim_body_finish(body);
    for (uint64_t from = 0; from <= total; from += 4099)
        ck_assert_uint_eq(read_ram(body, from, &got), total);
    ck_assert_int_eq(got, BRIM_GET_END);
    ck_assert_uint_eq(brim_body_length(body), total);
    ck_assert(brim_body_is_settled(body));
    brim_body_unref(body);
}
END_TEST

/* One append larger than any chunk must not depend on how it is cut. */
START_TEST(one_append_may_span_many_chunks)
{
    struct brim_body *body = brim_body_new(BRIM_BODY_LENGTH_UNKNOWN);
    enum brim_body_get got;

    ck_assert_int_eq(append_pattern(body, sizeof(scratch)), BRIM_OK);
    brim_body_finish(body);
    ck_assert_uint_eq(read_ram(body, 0, &got), sizeof(scratch));
    brim_body_unref(body);
}
END_TEST

/* Small objects are most objects: what is charged must be near what they hold. */
START_TEST(memory_fits_a_known_length_and_is_trimmed_for_an_unknown_one)
{
    struct brim_body *known = brim_body_new(1000), *unknown = brim_body_new(UINT64_MAX);
    size_t base = brim_body_ram_bytes(known);

    ck_assert_int_eq(append_pattern(known, 1000), BRIM_OK);
    brim_body_finish(known);
    ck_assert_uint_le(brim_body_ram_bytes(known), base + 1000 + BRIM_CHUNK_OVERHEAD);
    ck_assert_int_eq(append_pattern(unknown, 1000), BRIM_OK);
    ck_assert_uint_gt(brim_body_ram_bytes(unknown), base + 8000);
    brim_body_finish(unknown);
    ck_assert_uint_le(brim_body_ram_bytes(unknown), base + 1000 + BRIM_CHUNK_OVERHEAD);
    brim_body_unref(known);
    brim_body_unref(unknown);
}
END_TEST

/* An expected length is a hint of the peer's, not a bound of ours. */
START_TEST(more_than_was_expected_is_taken)
{
    struct brim_body *body = brim_body_new(10);
    enum brim_body_get got;

    ck_assert_int_eq(append_pattern(body, 7), BRIM_OK);
    ck_assert_int_eq(append_pattern(body, 100 * KIB), BRIM_OK);
    brim_body_finish(body);
    ck_assert_uint_eq(read_ram(body, 0, &got), 100 * KIB + 7);
    brim_body_unref(body);
}
END_TEST

/* 204s, redirects and empty files. */
START_TEST(empty_body_ends_at_once)
{
    struct brim_body *body = brim_body_from(NULL, 0);
    struct brim_body_piece piece;

    ck_assert_int_eq(brim_body_get(body, 0, &piece), BRIM_GET_END);
    ck_assert_int_eq(brim_body_state(body), BRIM_BODY_COMPLETE);
    brim_body_unref(body);
}
END_TEST

/* A client must be able to tell a body cut short, after what did arrive. */
START_TEST(failed_body_gives_what_came_and_then_says_failed)
{
    struct brim_body *body = brim_body_new(100);
    enum brim_body_get got;

    ck_assert_int_eq(append_pattern(body, 60), BRIM_OK);
    brim_body_fail(body, BRIM_ECLOSED);
    ck_assert_uint_eq(read_ram(body, 0, &got), 60);
    ck_assert_int_eq(got, BRIM_GET_FAILED);
    ck_assert_int_eq(brim_body_why(body), BRIM_ECLOSED);
    ck_assert(!brim_body_is_settled(body));
    brim_body_unref(body);
}
END_TEST

/* A reader's memory must outlive the body's interest in it. */
START_TEST(chunk_outlives_its_body)
{
    struct brim_body *body = brim_body_from("abc", 3);
    struct brim_body_piece piece;

    ck_assert_int_eq(brim_body_get(body, 0, &piece), BRIM_GET_RAM);
    brim_body_unref(body);
    ck_assert_mem_eq(piece.bytes.base, "abc", 3);
    brim_chunk_unref(piece.chunk);
}
END_TEST

/* ---- window ---- */

struct hook_log {
    _Atomic int drained, abandoned;
};

static void on_drained(void *ctx)
{
    ((struct hook_log *)ctx)->drained++;
}

static void on_abandoned(void *ctx)
{
    ((struct hook_log *)ctx)->abandoned++;
}

static void log_hooks(struct brim_body *body, struct hook_log *log)
{
    brim_body_set_hooks(body, &(struct brim_body_hooks){on_drained, on_abandoned, log});
}

/* The promise behind "passes of any size": memory follows the slowest reader, not the length. */
START_TEST(window_bounds_memory_and_pauses_the_writer)
{
    struct brim_body *body = brim_body_new(UINT64_MAX);
    struct brim_body_reader *slow, *fast;
    struct hook_log log = {0, 0};
    enum brim_body_get got;

    brim_body_set_mode(body, BRIM_BODY_WINDOW, 128 * KIB);
    log_hooks(body, &log);
    slow = brim_body_attach(body, 0);
    fast = brim_body_attach(body, 0);
    for (int round = 0; round < 50; round++) {
        while (append_pattern(body, 10 * KIB) == BRIM_OK)
            ;
        ck_assert_uint_le(brim_body_ram_bytes(body), 128 * KIB + 96 * KIB);
        brim_body_advance(body, fast, read_ram(body, brim_body_bytes(body) - 100, &got));
        ck_assert_int_eq(log.drained, round);
        brim_body_advance(body, slow, brim_body_bytes(body) - 100);
        ck_assert_int_eq(log.drained, round + 1);
    }
    ck_assert_ptr_null(brim_body_attach(body, 0));
    brim_body_detach(body, slow);
    ck_assert_int_eq(log.abandoned, 0);
    brim_body_detach(body, fast);
    ck_assert_int_eq(log.abandoned, 1);
    brim_body_set_hooks(body, NULL);
    brim_body_fail(body, BRIM_ECLOSED);
    brim_body_unref(body);
}
END_TEST

/* What no store keeps is on the ledger, chunk by chunk; as that fills up less is held, and the
 * writer goes on when half of that has been read. All of it comes off in the end. */
START_TEST(a_window_is_narrow_when_clients_hold_much)
{
    struct brim_ledger *ledger = brim_ledger_open(1024 * KIB);
    struct brim_body *body = brim_body_new(UINT64_MAX);
    struct brim_body_reader *reader;
    struct hook_log log = {0, 0};

    brim_body_set_ledger(body, ledger);
    brim_body_set_mode(body, BRIM_BODY_WINDOW, 256 * KIB);
    log_hooks(body, &log);
    reader = brim_body_attach(body, 0);
    while (append_pattern(body, 10 * KIB) == BRIM_OK)
        ;
    ck_assert_uint_gt(brim_body_bytes(body), 256 * KIB);
    ck_assert_int_ge(brim_ledger_held(ledger), 256 * KIB);
    brim_body_advance(body, reader, brim_body_bytes(body));
    ck_assert_int_eq(log.drained, 1);
    brim_ledger_hold(ledger, 600 * KIB);
    for (int round = 2; round < 10; round++) {
        uint64_t from = brim_body_bytes(body);

        while (append_pattern(body, 10 * KIB) == BRIM_OK)
            ;
        ck_assert_uint_le(brim_body_bytes(body), from + (64 + 10) * KIB);
        brim_body_advance(body, reader, from + 32 * KIB);
        ck_assert_int_eq(log.drained, round - 1);
        brim_body_advance(body, reader, brim_body_bytes(body));
        ck_assert_int_eq(log.drained, round);
    }
    ck_assert_int_lt(brim_ledger_held(ledger), (600 + 256) * KIB);
    brim_body_set_hooks(body, NULL);
    brim_body_detach(body, reader);
    brim_body_fail(body, BRIM_ECLOSED);
    brim_body_unref(body);
    ck_assert_int_eq(brim_ledger_held(ledger), 600 * KIB);
    brim_ledger_close(ledger);
}
END_TEST

/* The client of a pass attaches a moment after the first bytes are there. */
START_TEST(window_keeps_everything_until_the_first_reader)
{
    struct brim_body *body = brim_body_new(UINT64_MAX);
    struct brim_body_reader *reader;
    enum brim_body_get got;
    struct hook_log log = {0, 0};

    brim_body_set_mode(body, BRIM_BODY_WINDOW, 64 * KIB);
    log_hooks(body, &log);
    while (append_pattern(body, 9 * KIB) == BRIM_OK)
        ;
    ck_assert_int_eq(log.abandoned, 0);
    reader = brim_body_attach(body, 0);
    ck_assert_ptr_nonnull(reader);
    ck_assert_uint_eq(read_ram(body, 0, &got), brim_body_bytes(body));
    brim_body_advance(body, reader, brim_body_bytes(body));
    ck_assert_int_eq(log.drained, 1);
    brim_body_finish(body);
    brim_body_detach(body, reader);
    ck_assert_int_eq(log.abandoned, 0); /* complete: there is nothing to abandon */
    brim_body_unref(body);
}
END_TEST

/* A slow reader that leaves must not leave the writer paused for ever. */
START_TEST(slowest_reader_leaving_drains)
{
    struct brim_body *body = brim_body_new(UINT64_MAX);
    struct brim_body_reader *slow, *fast;
    struct hook_log log = {0, 0};

    brim_body_set_mode(body, BRIM_BODY_WINDOW, 64 * KIB);
    log_hooks(body, &log);
    slow = brim_body_attach(body, 0);
    fast = brim_body_attach(body, 0);
    while (append_pattern(body, 9 * KIB) == BRIM_OK)
        ;
    brim_body_advance(body, fast, brim_body_bytes(body));
    ck_assert_int_eq(log.drained, 0);
    brim_body_detach(body, slow);
    ck_assert_int_eq(log.drained, 1);
    brim_body_detach(body, fast);
    brim_body_fail(body, BRIM_ECLOSED);
    brim_body_unref(body);
}
END_TEST

/* A reader far ahead (a range) waits for bytes that a full window would never let in. */
START_TEST(reader_beyond_the_window_does_not_stop_the_writer)
{
    struct brim_body *body = brim_body_new(UINT64_MAX);
    struct brim_body_reader *reader;

    brim_body_set_mode(body, BRIM_BODY_WINDOW, 64 * KIB);
    reader = brim_body_attach(body, 1024 * KIB);
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(append_pattern(body, 10 * KIB), BRIM_OK);
    brim_body_detach(body, reader);
    brim_body_fail(body, BRIM_ECLOSED);
    brim_body_unref(body);
}
END_TEST

/* Storing was given up and nobody reads (they left, or it was a refresh): without readers nothing
 * ever drains, so the fill must hear of it. */
START_TEST(becoming_window_without_readers_is_told)
{
    for (int readers_before = 0; readers_before < 2; readers_before++) {
        struct brim_body *body = brim_body_new(UINT64_MAX);
        struct hook_log log = {0, 0};

        log_hooks(body, &log);
        if (readers_before == 1)
            brim_body_detach(body, brim_body_attach(body, 0));
        ck_assert_int_eq(append_pattern(body, 5000), BRIM_OK);
        ck_assert_int_eq(log.abandoned, 0);
        brim_body_set_mode(body, BRIM_BODY_WINDOW, 64 * KIB);
        ck_assert_int_eq(log.abandoned, 1);
        brim_body_fail(body, BRIM_ECLOSED);
        brim_body_unref(body);
    }
}
END_TEST

/* ---- spill ---- */

/* Takes and "writes" pieces until there is less than min; returns bytes written. */
static uint64_t spill_all(struct brim_body *body, size_t min, uint64_t from)
{
    struct brim_chunk *chunk;
    size_t len;

    while (brim_body_spill_take(body, min, BRIM_EXTENT_BODY_MAX, &chunk, &len) == BRIM_OK) {
        struct brim_extent extent = {
            .segment = 7, .offset = (uint32_t)from, .length = (uint32_t)len};

        ck_assert(bytes_are(brim_chunk_data(chunk), from, len));
        brim_chunk_unref(chunk);
        ck_assert_int_eq(brim_body_spill_done(body, &extent), BRIM_OK);
        from += len;
    }
    return from;
}

/* Places a piece of one byte. */
static void spill_byte(struct brim_body *body, uint32_t segment)
{
    struct brim_extent extent = {.segment = segment, .length = 1};
    struct brim_chunk *chunk;
    size_t len;

    ck_assert_int_eq(brim_body_spill_take(body, 1, 1, &chunk, &len), BRIM_OK);
    brim_chunk_unref(chunk);
    ck_assert_int_eq(brim_body_spill_done(body, &extent), BRIM_OK);
}

static void stands_in(const struct brim_body *body, const uint32_t *segments, size_t count)
{
    const struct brim_segment_set *set = brim_body_segments(body);
    size_t found = 0;

    for (uint32_t segment = 0; segment < 20; segment++)
        found += brim_segment_set_has(set, segment);
    ck_assert_uint_eq(found, count);
    for (size_t i = 0; i < count; i++)
        ck_assert(brim_segment_set_has(set, segments[i]));
    ck_assert_uint_eq(brim_segment_set_lowest(set), count == 0 ? UINT32_MAX : segments[0]);
}

/* A hit asks whether they are still there; a body in RAM leans on none, and one that grows may
 * still lean on others. */
START_TEST(a_settled_body_tells_the_segments_that_it_stands_in)
{
    struct brim_body *kept = brim_body_from("x", 1);
    struct brim_body *body = brim_body_new(3), *opened;
    struct brim_extent *extents;
    size_t count;

    ck_assert_int_eq(append_pattern(body, 3), BRIM_OK);
    brim_body_set_mode(body, BRIM_BODY_SPILL, 256 * KIB);
    spill_byte(body, 8);
    spill_byte(body, 6);
    brim_body_finish(body);
    stands_in(body, NULL, 0);
    spill_byte(body, 9);
    stands_in(body, (uint32_t[]){6, 8, 9}, 3);

    extents = brim_body_extents(body, &count);
    opened = brim_body_on_disk(extents, count);
    stands_in(opened, (uint32_t[]){6, 8, 9}, 3);
    stands_in(kept, NULL, 0);
    free(extents);
    brim_body_unref(opened);
    brim_body_unref(body);
    brim_body_unref(kept);
}
END_TEST

static void count_end(void *ctx)
{
    ++*(unsigned *)ctx;
}

static struct brim_body *held_body(unsigned *ends)
{
    struct brim_body *body = brim_body_new(2);

    ck_assert_int_eq(append_pattern(body, 2), BRIM_OK);
    brim_body_set_mode(body, BRIM_BODY_SPILL, 256 * KIB);
    brim_body_set_hold(body, &(struct brim_body_hold){count_end, ends});
    return body;
}

/* Who began to read before all was on disk has no other claim to what is there. */
START_TEST(what_is_held_for_readers_is_held_until_they_are_through)
{
    unsigned ends = 0;
    struct brim_body *body = held_body(&ends);
    struct brim_body_reader *first = brim_body_attach(body, 0), *second = brim_body_attach(body, 0);
    struct brim_body_reader *late;

    spill_byte(body, 1);
    brim_body_finish(body);
    brim_body_detach(body, first);
    spill_byte(body, 1);
    ck_assert_uint_eq(ends, 0);
    late = brim_body_attach(body, 0);
    brim_body_detach(body, second);
    ck_assert_uint_eq(ends, 1);
    brim_body_detach(body, late);
    brim_body_unref(body);
    ck_assert_uint_eq(ends, 1);

    body = held_body(&ends); /* nobody reads it */
    spill_byte(body, 1);
    spill_byte(body, 1);
    ck_assert_uint_eq(ends, 1);
    brim_body_finish(body);
    ck_assert_uint_eq(ends, 2);
    brim_body_unref(body);

    body = held_body(&ends); /* it breaks off */
    brim_body_fail(body, BRIM_EIO);
    ck_assert_uint_eq(ends, 2);
    brim_body_unref(body);
    ck_assert_uint_eq(ends, 3);
}
END_TEST

/* Large objects: all bytes come out once, in order; what is on disk leaves RAM. */
START_TEST(spilled_body_is_all_on_disk_in_the_end)
{
    struct brim_body *body = brim_body_new(UINT64_MAX);
    struct hook_log log = {0, 0};
    struct brim_body_piece piece;
    struct brim_extent *extents;
    uint64_t written = 0, offset = 0;
    size_t count;

    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(append_pattern(body, 5 * KIB + 1), BRIM_OK);
    brim_body_set_mode(body, BRIM_BODY_SPILL, 256 * KIB);
    log_hooks(body, &log);
    ck_assert_int_eq(append_pattern(body, 1), BRIM_EAGAIN);
    written = spill_all(body, 64 * KIB, written);
    ck_assert_int_eq(log.drained, 1);
    for (int i = 0; i < 300; i++) {
        if (append_pattern(body, 7 * KIB) != BRIM_OK)
            written = spill_all(body, 64 * KIB, written);
        ck_assert_uint_le(brim_body_ram_bytes(body), 700 * KIB);
    }
    brim_body_finish(body);
    ck_assert(!brim_body_is_settled(body));
    written = spill_all(body, 1, written);
    ck_assert_uint_eq(written, brim_body_bytes(body));
    ck_assert(brim_body_is_settled(body));
    ck_assert_uint_le(brim_body_ram_bytes(body), 8 * KIB);

    while (brim_body_get(body, offset, &piece) == BRIM_GET_DISK) {
        ck_assert_uint_eq(piece.extent.offset + piece.skip, offset);
        offset += piece.extent.length - piece.skip > 1000 ? 1000 : piece.extent.length - piece.skip;
    }
    ck_assert_uint_eq(offset, written);
    extents = brim_body_extents(body, &count);
    ck_assert_uint_gt(count, 1);
    free(extents);
    brim_body_unref(body);
}
END_TEST

/* Then the window moves on past what the disk has. Who comes now could read the beginning from
 * there and would be cut off in the middle: he is told at once. */
START_TEST(nobody_begins_in_front_of_a_hole)
{
    struct brim_body *body = brim_body_new(UINT64_MAX);
    struct brim_body_reader *ahead = brim_body_attach(body, 0), *late;
    uint64_t written;

    ck_assert_int_eq(append_pattern(body, 500 * KIB), BRIM_OK);
    brim_body_set_mode(body, BRIM_BODY_SPILL, 128 * KIB);
    written = spill_all(body, 256 * KIB, 0);
    ck_assert_uint_gt(written, 0);
    ck_assert_uint_lt(written, 500 * KIB);
    brim_body_spill_abandon(body);
    late = brim_body_attach(body, 0); /* all of it is there yet */
    ck_assert_ptr_nonnull(late);
    brim_body_detach(body, late);
    brim_body_advance(body, ahead, 500 * KIB);
    ck_assert_ptr_null(brim_body_attach(body, 0));
    ck_assert_ptr_null(brim_body_attach(body, written - 1));
    brim_body_finish(body);
    ck_assert_ptr_null(brim_body_attach(body, 0));
    brim_body_detach(body, ahead);
    brim_body_unref(body);
}
END_TEST

/* The disk is full in the middle: whoever reads still gets every byte, from both places. */
START_TEST(abandoned_spill_serves_disk_and_window)
{
    struct brim_body *body = brim_body_new(UINT64_MAX);
    struct brim_body_reader *reader = brim_body_attach(body, 0);
    struct brim_body_piece piece;
    struct brim_chunk *chunk;
    struct hook_log log = {0, 0};
    enum brim_body_get got;
    uint64_t written;
    size_t len;

    ck_assert_int_eq(append_pattern(body, 500 * KIB), BRIM_OK);
    brim_body_set_mode(body, BRIM_BODY_SPILL, 128 * KIB);
    log_hooks(body, &log);
    written = spill_all(body, 256 * KIB, 0);
    ck_assert_uint_gt(written, 0);
    ck_assert_int_eq(append_pattern(body, 5 * KIB), BRIM_EAGAIN);
    ck_assert_int_eq(brim_body_spill_take(body, 1, 4096, &chunk, &len), BRIM_OK);
    brim_body_spill_abandon(body);
    ck_assert_int_eq(brim_body_spill_done(body, &(struct brim_extent){.length = (uint32_t)len}),
                     BRIM_ECLOSED);
    brim_chunk_unref(chunk);
    ck_assert_int_eq(brim_body_spill_take(body, 1, 4096, &chunk, &len), BRIM_ENOENT);

    ck_assert_int_eq(brim_body_get(body, 0, &piece), BRIM_GET_DISK);
    brim_body_advance(body, reader, written);
    ck_assert_uint_eq(read_ram(body, written, &got), brim_body_bytes(body));
    brim_body_advance(body, reader, brim_body_bytes(body));
    ck_assert_int_eq(log.drained, 1);
    brim_body_finish(body);
    ck_assert(!brim_body_is_settled(body));
    brim_body_detach(body, reader);
    brim_body_unref(body);
}
END_TEST

/* ---- hooks ---- */

struct hook_race {
    struct brim_body *body;
    _Atomic bool gone; /* after set_hooks(NULL): nothing may look at this any more */
    _Atomic bool stop;
};

static void on_race(void *ctx)
{
    struct hook_race *race = ctx;

    ck_assert(!race->gone);
    sched_yield();
    ck_assert(!race->gone);
}

static void *advance_for_ever(void *ctx)
{
    struct hook_race *race = ctx;

    while (!race->stop) {
        struct brim_body_reader *reader = brim_body_attach(race->body, brim_body_bytes(race->body));

        if (reader == NULL)
            continue;
        brim_body_advance(race->body, reader, brim_body_bytes(race->body) + KIB);
        brim_body_detach(race->body, reader);
    }
    return NULL;
}

/* A fill that ends frees what its hooks point to: the call that takes them away is the barrier. */
START_TEST(no_hook_runs_after_they_were_taken_away)
{
    pthread_t threads[3];
    struct hook_race race = {.body = brim_body_new(UINT64_MAX)};

    brim_body_set_mode(race.body, BRIM_BODY_WINDOW, 64 * KIB);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, advance_for_ever, &race), 0);
    for (int round = 0; round < 300; round++) {
        race.gone = false;
        brim_body_set_hooks(race.body, &(struct brim_body_hooks){on_race, on_race, &race});
        for (int i = 0; i < 10; i++)
            (void)append_pattern(race.body, 70 * KIB);
        brim_body_set_hooks(race.body, NULL);
        race.gone = true;
        sched_yield();
    }
    race.stop = true;
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    brim_body_fail(race.body, BRIM_ECLOSED);
    brim_body_unref(race.body);
}
END_TEST

static void on_self(void *ctx)
{
    struct brim_body *body = ctx;

    brim_body_set_hooks(body, NULL);
}

/* An owner that gives up inside the hook must not wait for itself. */
START_TEST(hook_may_take_itself_away)
{
    struct brim_body *body = brim_body_new(UINT64_MAX);

    brim_body_set_mode(body, BRIM_BODY_WINDOW, 64 * KIB);
    brim_body_set_hooks(body, &(struct brim_body_hooks){NULL, on_self, body});
    brim_body_detach(body, brim_body_attach(body, 0));
    brim_body_detach(body, brim_body_attach(body, 0));
    brim_body_fail(body, BRIM_ECLOSED);
    brim_body_unref(body);
}
END_TEST

/* ---- threads ---- */

struct crowd {
    struct brim_body *body;
    uint64_t total;
    _Atomic unsigned ready;
};

static void *read_along(void *ctx)
{
    struct crowd *crowd = ctx;
    struct brim_body_reader *place = brim_body_attach(crowd->body, 0);
    uint64_t offset = 0, seed = (uint64_t)(uintptr_t)&offset;
    struct brim_body_piece piece;
    struct bell bell;
    enum brim_body_get got;

    bell_init(&bell);
    brim_watch_add(brim_body_watch(crowd->body), &bell.port);
    crowd->ready++;
    while ((got = brim_body_get(crowd->body, offset, &piece)) != BRIM_GET_END) {
        if (got == BRIM_GET_WAIT) {
            bell_wait(&bell);
            continue;
        }
        ck_assert_int_eq(got, BRIM_GET_RAM);
        ck_assert(bytes_are(piece.bytes.base, offset, piece.bytes.len));
        offset += piece.bytes.len;
        brim_chunk_unref(piece.chunk);
        brim_body_advance(crowd->body, place, offset);
        if (random_of(&seed) % 4 == 0)
            sched_yield();
    }
    ck_assert_uint_eq(offset, crowd->total);
    brim_watch_remove(brim_body_watch(crowd->body), &bell.port);
    brim_body_detach(crowd->body, place);
    bell_fini(&bell);
    return NULL;
}

static void on_drained_bell(void *ctx)
{
    brim_port_fire(&((struct bell *)ctx)->port);
}

/* One origin, a crowd of clients: everybody sees every byte once, in order, in both modes. */
static void run_crowd(enum brim_body_mode mode)
{
    struct crowd crowd = {.body = brim_body_new(UINT64_MAX), .total = 3000000};
    uint64_t seed = 42, sent = 0;
    pthread_t threads[8];
    struct bell drained;

    bell_init(&drained);
    if (mode == BRIM_BODY_WINDOW) {
        brim_body_set_mode(crowd.body, mode, 64 * KIB);
        brim_body_set_hooks(crowd.body, &(struct brim_body_hooks){on_drained_bell, NULL, &drained});
    }
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, read_along, &crowd), 0);
    while (crowd.ready < 8)
        sched_yield();
    while (sent < crowd.total) {
        size_t len = random_of(&seed) % 40000 + 1;

        len = len < crowd.total - sent ? len : (size_t)(crowd.total - sent);
        enum brim_err err = append_pattern(crowd.body, len);
        sent += len;
        if (err == BRIM_EAGAIN)
            bell_wait(&drained);
        else
            ck_assert_int_eq(err, BRIM_OK);
    }
    brim_body_finish(crowd.body);
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    brim_body_set_hooks(crowd.body, NULL);
    brim_body_unref(crowd.body);
    bell_fini(&drained);
}

/* The hot path of a popular miss. */
START_TEST(eight_readers_of_a_growing_kept_body_see_every_byte)
{
    run_crowd(BRIM_BODY_KEEP);
}
END_TEST

/* Dropping chunks and pausing the writer must lose neither bytes nor wake-ups. */
START_TEST(eight_readers_of_a_growing_window_body_see_every_byte)
{
    run_crowd(BRIM_BODY_WINDOW);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cache/body");
    TCase *tc = tcase_create("body");

    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, kept_body_gives_back_what_was_appended);
    tcase_add_test(tc, one_append_may_span_many_chunks);
    tcase_add_test(tc, memory_fits_a_known_length_and_is_trimmed_for_an_unknown_one);
    tcase_add_test(tc, more_than_was_expected_is_taken);
    tcase_add_test(tc, empty_body_ends_at_once);
    tcase_add_test(tc, failed_body_gives_what_came_and_then_says_failed);
    tcase_add_test(tc, chunk_outlives_its_body);
    tcase_add_test(tc, window_bounds_memory_and_pauses_the_writer);
    tcase_add_test(tc, a_window_is_narrow_when_clients_hold_much);
    tcase_add_test(tc, window_keeps_everything_until_the_first_reader);
    tcase_add_test(tc, slowest_reader_leaving_drains);
    tcase_add_test(tc, reader_beyond_the_window_does_not_stop_the_writer);
    tcase_add_test(tc, becoming_window_without_readers_is_told);
    tcase_add_test(tc, a_settled_body_tells_the_segments_that_it_stands_in);
    tcase_add_test(tc, what_is_held_for_readers_is_held_until_they_are_through);
    tcase_add_test(tc, spilled_body_is_all_on_disk_in_the_end);
    tcase_add_test(tc, nobody_begins_in_front_of_a_hole);
    tcase_add_test(tc, abandoned_spill_serves_disk_and_window);
    tcase_add_test(tc, no_hook_runs_after_they_were_taken_away);
    tcase_add_test(tc, hook_may_take_itself_away);
    tcase_add_test(tc, eight_readers_of_a_growing_kept_body_see_every_byte);
    tcase_add_test(tc, eight_readers_of_a_growing_window_body_see_every_byte);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
