/* SPDX-License-Identifier: MIT */
#include "brim/http/trace.h"

#include "unit.h"

#define ID   "4bf92f3577b34da6a3ce929d0e0e4736"
#define SPAN "00f067aa0ba902b7"

static bool reads(const char *value, struct brim_trace *trace)
{
    struct brim_field field = {.name = BRIM_STR("traceparent"), .value = brim_str_of(value)};

    return brim_trace_read((struct brim_fields){&field, 1}, 7, trace);
}

/* The trace stays, the span is this node's, so that the origin's spans hang below it. */
START_TEST(a_trace_goes_on_with_a_span_of_ours)
{
    struct brim_trace trace;
    char text[BRIM_TRACE_BYTES];

    ck_assert(reads("00-" ID "-" SPAN "-01", &trace));
    ck_assert(!trace.is_made);
    brim_trace_write(&trace, text);
    ck_assert_mem_eq(text, "00-" ID "-", 36);
    ck_assert_mem_eq(text + 52, "-01", 3);
    ck_assert_mem_ne(text + 36, SPAN, 16);
    ck_assert_mem_ne(text + 36, "0000000000000000", 16);
}
END_TEST

/* What others would refuse must not be passed on as ours (Trace Context 3.2.2). */
START_TEST(what_is_not_valid_is_no_trace)
{
    static const char *const bad[] = {
        "",
        "00-" ID "-" SPAN,
        "00-" ID "-" SPAN "-1",
        "00-" ID "-" SPAN "-01-more",
        "ff-" ID "-" SPAN "-01",
        "0g-" ID "-" SPAN "-01",
        "00-00000000000000000000000000000000-" SPAN "-01",
        "00-" ID "-0000000000000000-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-" SPAN "-01",
        "00_" ID "-" SPAN "-01",
        "00-" ID "-" SPAN "-0x",
        "01-" ID "-" SPAN "-01x",
    };
    struct brim_trace trace;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_msg(!reads(bad[i], &trace), "%s", bad[i]);
        ck_assert(!trace.is_known);
    }
}
END_TEST

START_TEST(of_a_later_version_the_known_parts_count)
{
    struct brim_trace trace;
    char text[BRIM_TRACE_BYTES];

    ck_assert(reads("cc-" ID "-" SPAN "-00-what-comes", &trace));
    brim_trace_write(&trace, text);
    ck_assert_mem_eq(text, "00-" ID, 35);
    ck_assert(reads("cc-" ID "-" SPAN "-00", &trace));
}
END_TEST

START_TEST(two_fields_are_none)
{
    struct brim_field fields[2] = {
        {.name = BRIM_STR("traceparent"), .value = BRIM_STR("00-" ID "-" SPAN "-01")},
        {.name = BRIM_STR("traceparent"), .value = BRIM_STR("00-" ID "-" SPAN "-01")},
    };
    struct brim_trace trace;

    ck_assert(!brim_trace_read((struct brim_fields){fields, 2}, 7, &trace));
}
END_TEST

/* One request after the other: the same trace never, and no span that is near another. */
START_TEST(a_trace_that_begins_here_is_valid_and_its_own)
{
    uint64_t id[2] = {0x0123456789abcdef, 1};
    struct brim_trace first, second, read;
    char text[BRIM_TRACE_BYTES + 1] = "";

    brim_trace_begin(id, &first);
    id[1]++;
    brim_trace_begin(id, &second);
    ck_assert(first.is_made);
    ck_assert_mem_ne(first.id, second.id, sizeof(first.id));
    ck_assert_mem_ne(first.span, second.span, 8);
    brim_trace_write(&first, text);
    ck_assert(reads(text, &read));
    ck_assert_mem_eq(text, "00-0123456789abcdef0000000000000001-", 36);
    ck_assert_mem_eq(text + 52, "-01", 3);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http/trace");
    TCase *tcase = tcase_create("trace");

    tcase_add_test(tcase, a_trace_goes_on_with_a_span_of_ours);
    tcase_add_test(tcase, what_is_not_valid_is_no_trace);
    tcase_add_test(tcase, of_a_later_version_the_known_parts_count);
    tcase_add_test(tcase, two_fields_are_none);
    tcase_add_test(tcase, a_trace_that_begins_here_is_valid_and_its_own);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
