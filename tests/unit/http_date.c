/* SPDX-License-Identifier: MIT */
#include "brim/http/date.h"

#include <stdio.h>
#include <time.h>

#include "unit.h"

#define NOW     1764000000LL /* 2025-11-24 16:00:00 */
#define INVALID INT64_MIN

static const struct {
    const char *text;
    int64_t wall_s;
} dates[] = {
    /* RFC 9110 5.6.7, the three examples */
    {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
    {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
    {"Sun Nov  6 08:49:37 1994", 784111777},
    /* IMF-fixdate */
    {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
    {"Wed, 31 Dec 1969 23:59:59 GMT", -1},
    {"Tue, 19 Jan 2038 03:14:07 GMT", 2147483647},
    {"Tue, 19 Jan 2038 14:14:08 GMT", 2147523248},  /* freshness-expires-32bit */
    {"Sun, 21 Nov 2286 04:46:39 GMT", 10000039599}, /* freshness-expires-far-future */
    {"Fri, 31 Dec 9999 23:59:59 GMT", 253402300799},
    {"Sat, 01 Jan 0000 00:00:00 GMT", -62167219200},
    {"Thu, 29 Feb 2024 12:00:00 GMT", 1709208000},
    {"Tue, 29 Feb 2000 12:00:00 GMT", 951825600},
    {"Fri, 06 Nov 1994 08:49:37 GMT", 784111777}, /* a weekday, if not the right one */
    /* RFC 9111 4.2: a cache should match in any case */
    {"SUN, 06 Nov 1994 08:49:37 GMT", 784111777},
    {"Sun, 06 NOV 1994 08:49:37 GMT", 784111777},
    {"Sun, 06 nov 1994 08:49:37 gMT", 784111777},
    {"sunday, 06-nov-94 08:49:37 gmt", 784111777},
    {"sun nov  6 08:49:37 1994", 784111777},
    /* a leap second is valid and read as the second before it (RFC 9111 4.2) */
    {"Sat, 31 Dec 2016 23:59:60 GMT", 1483228799},
    {"Sat, 31 Dec 2016 23:59:59 GMT", 1483228799},
    {"Sat, 31 Dec 2016 23:59:61 GMT", INVALID},
    /* ranges */
    {"Sun, 00 Nov 1994 08:49:37 GMT", INVALID},
    {"Sun, 31 Nov 1994 08:49:37 GMT", INVALID},
    {"Sun, 32 Dec 1994 08:49:37 GMT", INVALID},
    {"Wed, 29 Feb 2023 12:00:00 GMT", INVALID},
    {"Thu, 29 Feb 1900 12:00:00 GMT", INVALID},
    {"Mon, 29 Feb 2100 12:00:00 GMT", INVALID},
    {"Sun, 06 Nov 1994 24:00:00 GMT", INVALID},
    {"Sun, 06 Nov 1994 08:60:37 GMT", INVALID},
    {"Sun, 99 Nov 1994 08:49:37 GMT", INVALID},
    /* the shape, byte by byte; most are rows of the http-cache-tests suite */
    {"", INVALID},
    {"0", INVALID},
    {"-1", INVALID},
    {"now", INVALID},
    {"Sun", INVALID},
    {"Sun,", INVALID},
    {"Sun, ", INVALID},
    {"Sun, 06 Nov 1994 08:49:37", INVALID},
    {"Sun, 06 Nov 1994 08:49:37 ", INVALID},
    {"Sun, 06 Nov 1994 08:49:37 GM", INVALID},
    {"Sun, 06 Nov 1994 08:49:37 GMTX", INVALID},
    {"Sun, 06 Nov 1994 08:49:37 GMT ", INVALID},
    {" Sun, 06 Nov 1994 08:49:37 GMT", INVALID},
    {"Sun, 06 Nov 1994 08:49:37 UTC", INVALID}, /* RFC 9111 4.2: GMT only */
    {"Sun, 06 Nov 1994 08:49:37 AEST", INVALID},
    {"Sun, 06 Nov 1994 08:49:37 +0000", INVALID},
    {"Sun, 06 Nov 94 08:49:37 GMT", INVALID},
    {"Sun 06 Nov 1994 08:49:37 GMT", INVALID},
    {"Sun,06 Nov 1994 08:49:37 GMT", INVALID},
    {"Sun,  06 Nov 1994 08:49:37 GMT", INVALID},
    {"Sun, 06  Nov  1994 08:49:37 GMT", INVALID},
    {"Sun, 06-Nov-1994 08:49:37 GMT", INVALID},
    {"Sun, 06-Nov-94 08:49:37 GMT", INVALID},
    {"Sun, 06 Nov 1994 08.49.37 GMT", INVALID},
    {"Sun, 06 Nov 1994 8:49:37 GMT", INVALID},
    {"Sun, 6 Nov 1994 08:49:37 GMT", INVALID},
    {"Sun,  6 Nov 1994 08:49:37 GMT", INVALID},
    {"Sun, 06 Nov 19940 08:49:37 GMT", INVALID},
    {"Sun, 06 Nov -994 08:49:37 GMT", INVALID},
    {"Sun, +6 Nov 1994 08:49:37 GMT", INVALID},
    {"Sun, 06 Nov 1994 08:49 GMT", INVALID},
    {"Sun, 06 Foo 1994 08:49:37 GMT", INVALID},
    {"Sun, 06 November 1994 08:49:37 GMT", INVALID},
    {"Xyz, 06 Nov 1994 08:49:37 GMT", INVALID},
    {"Sun\t, 06 Nov 1994 08:49:37 GMT", INVALID},
    {"06 Nov 1994 08:49:37 GMT", INVALID},
    {"1994-11-06T08:49:37Z", INVALID},
    {"784111777", INVALID},
    /* rfc850 */
    {"Thursday, 18-Aug-50 02:01:18 GMT", 2544400878}, /* freshness-expires-rfc850 */
    {"Wednesday, 18-Aug-99 02:01:18 GMT", 934941678},
    {"Sunday, 06 Nov 94 08:49:37 GMT", INVALID},
    {"Sunday, 06-Nov-1994 08:49:37 GMT", INVALID},
    {"Sunday, 06-Nov-94 08:49:37 UTC", INVALID},
    {"Sunday 06-Nov-94 08:49:37 GMT", INVALID},
    {"Sunday, 31-Nov-94 08:49:37 GMT", INVALID},
    {"Sunda, 06-Nov-94 08:49:37 GMT", INVALID},
    {"Sundays, 06-Nov-94 08:49:37 GMT", INVALID},
    {"Sunday, 06-Nov-94 08:49:37 GMT!", INVALID},
    {"Tuesday, 29-Feb-00 12:00:00 GMT", 951825600},
    /* two-digit years: 50 years from now and a second more (RFC 9110 5.6.7) */
    {"Sunday, 24-Nov-75 16:00:00 GMT", 3341836800},
    {"Sunday, 24-Nov-75 16:00:01 GMT", 186076801},
    {"Sunday, 01-Jan-76 00:00:00 GMT", 189302400},
    {"Sunday, 01-Jan-00 00:00:00 GMT", 946684800},
    /* asctime */
    {"Thu Aug  8 02:01:18 2050", 2543536878}, /* freshness-expires-ansi-c */
    {"Thu Aug 18 02:01:18 2050", 2544400878},
    {"Sun Nov 06 08:49:37 1994", 784111777},
    {"Sun Nov 6 08:49:37 1994", INVALID},
    {"Sun Nov   6 08:49:37 1994", INVALID},
    {"Sun Nov  6 08:49:37 94", INVALID},
    {"Sun Nov  6 08:49:37 1994 GMT", INVALID},
    {"Sun Nov  6  08:49:37 1994", INVALID},
    {"Sun Nov 31 08:49:37 1994", INVALID},
    {"Sun, Nov  6 08:49:37 1994", INVALID},
    {"Sunday Nov  6 08:49:37 1994", INVALID},
};

/* An Expires that is read wrong serves a page for years or never. */
START_TEST(date_is_read_exactly_or_not_at_all)
{
    ck_assert_msg(brim_date_parse(brim_str_of(dates[_i].text), NOW) == dates[_i].wall_s, "%s: %lld",
                  dates[_i].text, (long long)brim_date_parse(brim_str_of(dates[_i].text), NOW));
}
END_TEST

/* The century moves with the clock, also where now is late in its own. */
START_TEST(century_follows_now)
{
    struct brim_str text = BRIM_STR("Monday, 01-Jan-10 00:00:00 GMT");

    ck_assert_int_eq(brim_date_parse(text, 3471292800), 4417977600);  /* 2080: 2110 */
    ck_assert_int_eq(brim_date_parse(text, 0), 1262304000);           /* 1970: 2010 */
    ck_assert_int_eq(brim_date_parse(text, -631152000), -1893456000); /* 1950: 1910 */
    /* The year that the rule picks may lack the day: 2100 has no 29 February. */
    ck_assert_int_eq(brim_date_parse(BRIM_STR("Monday, 29-Feb-00 00:00:00 GMT"), 3471292800),
                     INT64_MIN);
}
END_TEST

/* Every day from 1970 to 2100 in all three forms against libc: the calendar has no hole. */
START_TEST(every_day_agrees_with_libc)
{
    for (int64_t day = 0; day <= 47847; day++) {
        time_t wall_s = (time_t)(day * 86400 + (day * 7919) % 86400);
        struct tm tm;
        char text[3][64];
        char formatted[BRIM_DATE_BYTES + 1] = "";

        ck_assert_ptr_nonnull(gmtime_r(&wall_s, &tm));
        ck_assert_int_eq(timegm(&tm), wall_s);
        strftime(text[0], sizeof(text[0]), "%a, %d %b %Y %H:%M:%S GMT", &tm);
        size_t len = strftime(text[1], sizeof(text[1]), "%A, %d-%b-", &tm);
        snprintf(text[1] + len, sizeof(text[1]) - len, "%02d %02d:%02d:%02d GMT", tm.tm_year % 100,
                 tm.tm_hour, tm.tm_min, tm.tm_sec);
        strftime(text[2], sizeof(text[2]), "%a %b %e %H:%M:%S %Y", &tm);
        for (size_t i = 0; i < 3; i++) {
            if (brim_date_parse(brim_str_of(text[i]), wall_s) != wall_s)
                ck_abort_msg("%s", text[i]);
        }
        brim_date_format(wall_s, formatted);
        if (strcmp(text[0], formatted) != 0)
            ck_abort_msg("%s is not %s", formatted, text[0]);
    }
}
END_TEST

/* Dates outside four-digit years come from broken clocks; they must not break the format. */
START_TEST(format_stays_in_its_four_digit_years)
{
    static const struct {
        int64_t wall_s;
        const char *text;
    } rows[] = {
        {784111777, "Sun, 06 Nov 1994 08:49:37 GMT"},
        {0, "Thu, 01 Jan 1970 00:00:00 GMT"},
        {-1, "Wed, 31 Dec 1969 23:59:59 GMT"},
        {-86400 * 365LL * 400, "Wed, 08 Apr 1570 00:00:00 GMT"},
        {INT64_MAX, "Fri, 31 Dec 9999 23:59:59 GMT"},
        {INT64_MIN, "Sat, 01 Jan 0000 00:00:00 GMT"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[BRIM_DATE_BYTES + 1] = "";
        brim_date_format(rows[i].wall_s, text);
        ck_assert_str_eq(text, rows[i].text);
    }
}
END_TEST

/* Every prefix and every one-byte change of a date is read without a step outside it. */
START_TEST(damaged_dates_do_no_harm)
{
    for (size_t i = 0; i < sizeof(dates) / sizeof(dates[0]); i++) {
        size_t len = strlen(dates[i].text);
        for (size_t at = 0; at < len; at++) {
            char *copy = malloc(len);
            ck_assert_ptr_nonnull(copy);
            memcpy(copy, dates[i].text, len);
            for (int c = 0; c < 256; c += 5) {
                copy[at] = (char)c;
                int64_t wall_s = brim_date_parse(brim_str(copy, len), NOW);
                ck_assert(wall_s == INVALID || (wall_s >= -62167219200 && wall_s <= 253402300799));
            }
            free(copy);
            copy = malloc(at + 1);
            ck_assert_ptr_nonnull(copy);
            memcpy(copy, dates[i].text, at);
            if (dates[i].wall_s != INVALID)
                ck_assert_int_eq(brim_date_parse(brim_str(copy, at), NOW), INVALID);
            free(copy);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http_date");
    TCase *tcase = tcase_create("date");

    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, date_is_read_exactly_or_not_at_all, 0,
                        sizeof(dates) / sizeof(dates[0]));
    tcase_add_test(tcase, century_follows_now);
    tcase_add_test(tcase, every_day_agrees_with_libc);
    tcase_add_test(tcase, format_stays_in_its_four_digit_years);
    tcase_add_test(tcase, damaged_dates_do_no_harm);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
