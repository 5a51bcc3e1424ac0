/* SPDX-License-Identifier: MIT */
#include "brim/base/cidr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"

static const struct {
    const char *text;
    const char *wrong; /* NULL: fine */
    unsigned bits;
} texts[] = {
    {"192.0.2.0/24", NULL, 120},
    {"192.0.2.1", NULL, 128},
    {"192.0.2.1/32", NULL, 128},
    {"0.0.0.0/0", NULL, 96},
    {"2001:db8::/32", NULL, 32},
    {"::/0", NULL, 0},
    {"::1", NULL, 128},
    {"2001:db8:8000::/33", NULL, 33},
    {"192.0.2.1/24", "bits set", 0},
    {"2001:db8::1/32", "bits set", 0},
    {"192.0.2.0/33", "above 32", 0},
    {"::/129", "above 128", 0},
    {"192.0.2.0/", "no length", 0},
    {"192.0.2.0/x", "no length", 0},
    {"192.0.2.0/24x", "no length", 0},
    {"192.0.2.0/-1", "no length", 0},
    {"192.0.2.0/0024", "no length", 0},
    {"192.0.2", "no address", 0},
    {"192.0.2.0.0/8", "no address", 0},
    {"example.com", "no address", 0},
    {"", "no address", 0},
    {"/8", "no address", 0},
    {"fe80::1%eth0", "no address", 0},
};

START_TEST(a_block_is_read_or_told_what_is_wrong)
{
    struct brim_cidr cidr;
    const char *wrong = brim_cidr_parse(texts[_i].text, &cidr);

    if (texts[_i].wrong == NULL) {
        ck_assert_ptr_null(wrong);
        ck_assert_uint_eq(cidr.bits, texts[_i].bits);
    } else {
        ck_assert_ptr_nonnull(wrong);
        ck_assert_ptr_nonnull(strstr(wrong, texts[_i].wrong));
    }
}
END_TEST

static void add(struct brim_cidrs *cidrs, const char *text, int value)
{
    struct brim_cidr cidr;

    ck_assert_ptr_null(brim_cidr_parse(text, &cidr));
    brim_cidrs_add(cidrs, &cidr, value);
}

static int find(const struct brim_cidrs *cidrs, const char *text)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};

    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        return brim_cidrs_find(cidrs, (struct sockaddr *)&v4);
    ck_assert_int_eq(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
    return brim_cidrs_find(cidrs, (struct sockaddr *)&v6);
}

START_TEST(the_longest_block_decides)
{
    struct brim_cidrs *cidrs = brim_cidrs_new();
    struct sockaddr other = {.sa_family = AF_UNIX};

    add(cidrs, "10.0.0.0/8", 1);
    add(cidrs, "10.1.0.0/16", 2);
    add(cidrs, "10.1.2.3", 3);
    add(cidrs, "10.1.2.3", 2);
    add(cidrs, "2001:db8::/32", 4);
    add(cidrs, "::/0", 0);
    brim_cidrs_finish(cidrs);
    ck_assert_int_eq(find(cidrs, "10.2.0.1"), 1);
    ck_assert_int_eq(find(cidrs, "10.1.0.1"), 2);
    ck_assert_int_eq(find(cidrs, "10.1.2.3"), 3);
    ck_assert_int_eq(find(cidrs, "::ffff:10.1.2.3"), 3);
    ck_assert_int_eq(find(cidrs, "11.0.0.1"), 0);
    ck_assert_int_eq(find(cidrs, "2001:db8:1::1"), 4);
    ck_assert_int_eq(find(cidrs, "2001:db9::1"), 0);
    ck_assert_int_eq(brim_cidrs_find(cidrs, &other), -1);
    brim_cidrs_free(cidrs);
}
END_TEST

START_TEST(nothing_is_found_in_nothing)
{
    struct brim_cidrs *cidrs = brim_cidrs_new();

    brim_cidrs_finish(cidrs);
    ck_assert_int_eq(find(cidrs, "10.1.2.3"), -1);
    brim_cidrs_free(cidrs);
    brim_cidrs_free(NULL);
}
END_TEST

/* Against a walk over all of them, with many blocks of many lengths. */
START_TEST(many_blocks_are_found_as_a_walk_finds_them)
{
    enum { BLOCKS = 100000, LOOKS = 300 };
    static struct {
        uint32_t address;
        unsigned bits;
    } blocks[BLOCKS];
    struct brim_cidrs *cidrs = brim_cidrs_new();

    srandom(7);
    for (int i = 0; i < BLOCKS; i++) {
        struct in_addr in;
        char text[64];

        blocks[i].bits = 8 + (unsigned)random() % 25;
        blocks[i].address =
            ((uint32_t)random() << 1 & 0x0fffffffu) & ~(uint32_t)(0xffffffffull >> blocks[i].bits);
        in.s_addr = htonl(blocks[i].address);
        (void)snprintf(text, sizeof(text), "%s/%u", inet_ntoa(in), blocks[i].bits);
        add(cidrs, text, (int)blocks[i].bits);
    }
    brim_cidrs_finish(cidrs);
    for (int i = 0; i < LOOKS; i++) {
        struct sockaddr_in v4 = {.sin_family = AF_INET};
        uint32_t address = (uint32_t)random() << 1 & 0x0fffffffu;
        int longest = -1;

        for (int j = 0; j < BLOCKS; j++)
            if ((address & ~(uint32_t)(0xffffffffull >> blocks[j].bits)) == blocks[j].address &&
                (int)blocks[j].bits > longest)
                longest = (int)blocks[j].bits;
        v4.sin_addr.s_addr = htonl(address);
        ck_assert_int_eq(brim_cidrs_find(cidrs, (struct sockaddr *)&v4), longest);
    }
    brim_cidrs_free(cidrs);
}
END_TEST

/* Blocks end where others begin, at half of the bits, and at the end of all. */
START_TEST(blocks_of_ipv6_end_where_they_should)
{
    static const struct {
        const char *address;
        int value;
    } looks[] = {
        {"::", 1},
        {"2001:db8::", 3},
        {"2001:db8:0:0:ffff::1", 3},
        {"2001:db8:0:1::", 4},
        {"2001:db8:0:2::", 2},
        {"2001:db8:ffff:ffff:ffff:ffff:ffff:fffe", 2},
        {"2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", 5},
        {"2001:db9::", 1},
        {"ff00::", 6},
        {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 6},
    };
    struct brim_cidrs *cidrs = brim_cidrs_new();

    add(cidrs, "ff00::/8", 6);
    add(cidrs, "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", 5);
    add(cidrs, "2001:db8:0:1::/64", 4);
    add(cidrs, "2001:db8::/64", 3);
    add(cidrs, "2001:db8::/32", 2);
    add(cidrs, "::/0", 1);
    brim_cidrs_finish(cidrs);
    for (size_t i = 0; i < sizeof(looks) / sizeof(looks[0]); i++) {
        struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};

        ck_assert_int_eq(inet_pton(AF_INET6, looks[i].address, &v6.sin6_addr), 1);
        ck_assert_int_eq(brim_cidrs_find(cidrs, (struct sockaddr *)&v6), looks[i].value);
    }
    brim_cidrs_free(cidrs);
}
END_TEST

START_TEST(a_file_with_something_wrong_says_where)
{
    static const char path[] = "blocks.txt";
    struct brim_cidrs *cidrs = brim_cidrs_new();
    struct brim_cidr_wrong wrong;
    FILE *file = fopen(path, "w");

    ck_assert_ptr_nonnull(file);
    fputs("10.0.0.0/8\n\n  # nothing\n10.0.0.1/8 # meant how?\n", file);
    fclose(file);
    ck_assert_int_eq(brim_cidrs_add_file(cidrs, path, 1, &wrong), BRIM_EINVAL);
    ck_assert_uint_eq(wrong.line, 4);
    ck_assert_str_eq(wrong.text, "10.0.0.1/8");
    ck_assert_str_eq(wrong.why, "has bits set behind its length");
    ck_assert_int_eq(brim_cidrs_add_file(cidrs, "no/such/file", 1, &wrong), BRIM_EIO);
    brim_cidrs_free(cidrs);
    remove(path);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base/cidr");
    TCase *tcase = tcase_create("cidr");

    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, a_block_is_read_or_told_what_is_wrong, 0,
                        (int)(sizeof(texts) / sizeof(texts[0])));
    tcase_add_test(tcase, the_longest_block_decides);
    tcase_add_test(tcase, nothing_is_found_in_nothing);
    tcase_add_test(tcase, many_blocks_are_found_as_a_walk_finds_them);
    tcase_add_test(tcase, blocks_of_ipv6_end_where_they_should);
    tcase_add_test(tcase, a_file_with_something_wrong_says_where);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
