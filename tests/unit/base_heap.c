/* SPDX-License-Identifier: MIT */
#include "brim/base/heap.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "brim/base/metric.h"
#include "brim/base/usage.h"
#include "unit.h"

#define MIB    (1024 * 1024)
#define SPARE  (64 * MIB)
#define PIECES 3000
#define PIECE  (64 * 1024)

static struct brim_heap heap;

static void setup(void)
{
    brim_heap_init(&heap, SPARE);
}

/* In MiB, for who reads a row. */
static bool judge(int64_t anonymous, int64_t allocated, int64_t is_free, int64_t unused_expected)
{
    struct brim_heap_look look = {.anonymous_bytes = anonymous * MIB,
                                  .allocated_bytes = allocated * MIB,
                                  .free_bytes = is_free * MIB};
    int64_t unused;
    bool is_due = brim_heap_judge(&heap, &look, &unused);

    ck_assert_int_eq(unused, unused_expected * MIB);
    return is_due;
}

/* A burst that is just over may be followed by the next: its memory is not handed back and fetched.
 */
START_TEST(what_lies_unused_at_two_looks_goes_back)
{
    ck_assert(!judge(20, 10, 1, 0));
    ck_assert(!judge(720, 710, 1, 0));
    ck_assert(!judge(720, 10, 701, 700));
    ck_assert(judge(720, 10, 701, 700));
}
END_TEST

START_TEST(what_is_taken_again_between_two_looks_stays)
{
    ck_assert(!judge(20, 10, 1, 0));
    ck_assert(!judge(720, 10, 701, 700));
    ck_assert(!judge(720, 700, 11, 10));
    ck_assert(!judge(720, 10, 701, 700));
}
END_TEST

/* Free memory that went back is still malloc's to hand out; it must not count as unused for ever.
 */
START_TEST(what_is_free_but_not_resident_does_not_count)
{
    ck_assert(!judge(20, 10, 700, 0));
    ck_assert(!judge(20, 10, 700, 0));
    ck_assert(!judge(60, 10, 700, 40));
    ck_assert(!judge(60, 10, 700, 40));
}
END_TEST

/* Pages that were handed out long ago and are written to now come on top too; free is what is free.
 */
START_TEST(unused_is_never_more_than_what_is_free)
{
    ck_assert(!judge(20, 500, 5, 0));
    ck_assert(!judge(400, 500, 5, 5));
    ck_assert(!judge(400, 500, 5, 5));
}
END_TEST

/* A cache of gigabytes always has some: giving that back would only have it fetched again. */
START_TEST(an_eighth_of_what_is_in_use_may_stay)
{
    ck_assert(!judge(8010, 8000, 1, 0));
    ck_assert(!judge(9000, 8000, 1200, 990));
    ck_assert(!judge(9000, 8000, 1200, 990));
    ck_assert(!judge(9100, 8000, 1200, 1090));
    ck_assert(judge(9100, 8000, 1200, 1090));
}
END_TEST

/* Sanitizers and valgrind have allocators of their own, which mallinfo2() does not know. */
static bool is_glibc(void)
{
    size_t before = mallinfo2().uordblks;
    char *piece = malloc(PIECE);
    size_t now = mallinfo2().uordblks;

    ck_assert_ptr_nonnull(piece);
    free(piece);
    return now >= before + PIECE;
}

/* The whole of it, with the allocator there is: every second piece is freed, and the last stays, so
 * that nothing can go back at the end of the heap. */
START_TEST(memory_between_what_is_in_use_goes_back)
{
    static char *pieces[PIECES];
    struct brim_resident before, full, after;

    if (!is_glibc())
        return;
    mallopt(M_MMAP_THRESHOLD, 32 * MIB);
    brim_heap_tick(&heap);
    brim_usage_resident(&before);
    for (size_t i = 0; i < PIECES; i++) {
        pieces[i] = malloc(PIECE);
        ck_assert_ptr_nonnull(pieces[i]);
        memset(pieces[i], 1, PIECE);
    }
    for (size_t i = 0; i < PIECES; i += 2)
        free(pieces[i]);
    brim_usage_resident(&full);
    ck_assert_int_gt(full.anonymous_bytes, before.anonymous_bytes + PIECES / 2 * PIECE);
    for (unsigned look = 0; look < 2; look++) {
        ck_assert_int_eq(brim_metric_read(BRIM_METRIC_MEMORY_RETURNS), 0);
        heap.next_ms = 0; /* ten seconds have passed */
        brim_heap_tick(&heap);
    }
    brim_usage_resident(&after);
    ck_assert_int_eq(brim_metric_read(BRIM_METRIC_MEMORY_RETURNS), 1);
    ck_assert_int_gt(brim_metric_read(BRIM_METRIC_MEMORY_RETURNED), SPARE);
    ck_assert_int_lt(after.anonymous_bytes, full.anonymous_bytes - SPARE);
    ck_assert_int_eq(brim_metric_read(BRIM_METRIC_MEMORY_UNUSED), 0);
    ck_assert_int_gt(brim_metric_read(BRIM_METRIC_MEMORY_ALLOCATED), PIECES / 2 * PIECE);
    brim_heap_tick(&heap);
    ck_assert_int_eq(brim_metric_read(BRIM_METRIC_MEMORY_RETURNS), 1); /* it is not time to look */
    for (size_t i = 1; i < PIECES; i += 2)
        free(pieces[i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base/heap");
    TCase *tcase = tcase_create("heap");

    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_test(tcase, what_lies_unused_at_two_looks_goes_back);
    tcase_add_test(tcase, what_is_taken_again_between_two_looks_stays);
    tcase_add_test(tcase, what_is_free_but_not_resident_does_not_count);
    tcase_add_test(tcase, unused_is_never_more_than_what_is_free);
    tcase_add_test(tcase, an_eighth_of_what_is_in_use_may_stay);
    tcase_add_test(tcase, memory_between_what_is_in_use_goes_back);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
