/* SPDX-License-Identifier: MIT */
#include "brim/origin/tier.h"

#include <stdio.h>
#include <unistd.h>

#include "unit.h"

#define NOW 1700000000

static struct brim_secret *secret, *other;
static const struct brim_tier_mark peer = {BRIM_TIER_PEER, true};
static const struct brim_tier_request request = {{"GET", 3}, {"/a?b", 4}, NOW};

static struct brim_secret *make_secret(const char *text)
{
    struct brim_secret *made;
    char path[64];
    FILE *out;

    (void)snprintf(path, sizeof(path), "tier-secret-%d", (int)getpid());
    out = fopen(path, "w");
    ck_assert_ptr_nonnull(out);
    fputs(text, out);
    fclose(out);
    ck_assert_int_eq(brim_secret_open(path, &made), BRIM_OK);
    remove(path);
    return made;
}

static void setup(void)
{
    secret = make_secret("0123456789abcdef\n");
    other = make_secret("0123456789abcdeg\n");
}

static void teardown(void)
{
    brim_secret_close(secret);
    brim_secret_close(other);
}

/* The tier above goes by what it is told of the client. */
START_TEST(a_mark_is_read_as_it_was_written)
{
    const struct brim_tier_mark marks[] = {
        {BRIM_TIER_PEER, true}, {BRIM_TIER_SHIELD, false}, {BRIM_TIER_SHIELD, true}};
    char buffer[BRIM_TIER_MARK_BYTES];
    struct brim_tier_mark mark;

    for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
        struct brim_str text = brim_tier_write(secret, &marks[i], &request, buffer);

        ck_assert(brim_tier_read(secret, text, &request, &mark));
        ck_assert_int_eq(mark.hop, marks[i].hop);
        ck_assert_int_eq(mark.is_https, marks[i].is_https);
    }
}
END_TEST

/* A method of any length is what was signed, and no other. */
START_TEST(a_mark_is_of_one_method)
{
    char methods[2][300], buffer[BRIM_TIER_MARK_BYTES];
    struct brim_tier_request requests[2];
    struct brim_tier_mark mark;
    struct brim_str text;
    size_t len = (size_t)_i;

    for (size_t i = 0; i < 2; i++) {
        memset(methods[i], 'M', len);
        methods[i][len - 1] = (char)('A' + i);
        requests[i] = (struct brim_tier_request){brim_str(methods[i], len), BRIM_STR("/a?b"), NOW};
    }
    text = brim_tier_write(secret, &peer, &requests[0], buffer);
    ck_assert(brim_tier_read(secret, text, &requests[0], &mark));
    ck_assert(!brim_tier_read(secret, text, &requests[1], &mark));
    buffer[0] ^= 1;
    ck_assert(!brim_tier_read(secret, text, &requests[0], &mark));
}
END_TEST

/* Every byte changed, another fleet's, another request's, an old one. */
START_TEST(what_is_not_ours_is_not_believed)
{
    const struct brim_tier_request requests[] = {
        {BRIM_STR("PUT"), BRIM_STR("/a?b"), NOW},
        {BRIM_STR("GET"), BRIM_STR("/a?c"), NOW},
        {BRIM_STR("GET"), BRIM_STR("/a?b"), NOW + 61},
        {BRIM_STR("GET"), BRIM_STR("/a?b"), NOW - 61},
    };
    char buffer[BRIM_TIER_MARK_BYTES], words[400];
    struct brim_str text = brim_tier_write(secret, &peer, &request, buffer);
    struct brim_tier_mark mark;

    ck_assert(!brim_tier_read(other, text, &request, &mark));
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
        ck_assert(!brim_tier_read(secret, text, &requests[i], &mark));
    for (size_t i = 0; i < text.len; i++) {
        buffer[i] ^= 1;
        ck_assert_msg(!brim_tier_read(secret, text, &request, &mark), "byte %zu", i);
        ck_assert_int_eq(mark.hop, BRIM_TIER_ORIGIN);
        buffer[i] ^= 1;
    }
    for (size_t len = 0; len < text.len; len++)
        ck_assert(!brim_tier_read(secret, brim_str(buffer, len), &request, &mark));
    ck_assert(brim_tier_read(secret, text, &request, &mark));
    memset(words, 'x', sizeof(words)); /* of any length, and a time that is right */
    (void)snprintf(words + 200, sizeof(words) - 200, " http %d %.*s", NOW,
                   (int)BRIM_SECRET_SIGN_BYTES, buffer + text.len - BRIM_SECRET_SIGN_BYTES);
    ck_assert(!brim_tier_read(secret, brim_str_of(words), &request, &mark));
}
END_TEST

/* A purge by tag must find at the edge what its shield's origin has tagged. */
START_TEST(tags_go_over_the_wire)
{
    uint64_t tags[] = {0, 1, UINT64_MAX, 0x0123456789abcdef}, got[5] = {7};
    char buffer[4 * BRIM_TIER_TAG_BYTES];
    struct brim_field field = {BRIM_STR(BRIM_TIER_TAGS_FIELD),
                               brim_tier_write_tags(tags, 4, buffer)};
    size_t count = 1;

    ck_assert(brim_tier_read_tags((struct brim_fields){&field, 1}, got, 5, &count));
    ck_assert_uint_eq(count, 5);
    ck_assert_mem_eq(got + 1, tags, sizeof(tags));
    count = 2;
    ck_assert(!brim_tier_read_tags((struct brim_fields){&field, 1}, got, 5, &count));
    field.value = BRIM_STR("0123456789abcdeF");
    count = 0;
    ck_assert(!brim_tier_read_tags((struct brim_fields){&field, 1}, got, 5, &count));
    ck_assert(brim_tier_read_tags((struct brim_fields){&field, 0}, got, 5, &count));
    ck_assert_uint_eq(count, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("origin/tier");
    TCase *tcase = tcase_create("tier");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_mark_is_read_as_it_was_written);
    tcase_add_loop_test(tcase, a_mark_is_of_one_method, 1, 300);
    tcase_add_test(tcase, what_is_not_ours_is_not_believed);
    tcase_add_test(tcase, tags_go_over_the_wire);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
