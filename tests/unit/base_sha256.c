/* SPDX-License-Identifier: MIT */
#include "brim/base/sha256.h"

#include "unit.h"

/* FIPS 180-4, the example of one block, and nothing at all. */
START_TEST(digests_are_those_of_the_standard)
{
    unsigned char digest[BRIM_SHA256_BYTES];

    brim_sha256("abc", 3, digest);
    ck_assert_mem_eq(digest, "\xba\x78\x16\xbf\x8f\x01\xcf\xea\x41\x41\x40\xde\x5d\xae\x22\x23",
                     16);
    ck_assert_mem_eq(digest + 16,
                     "\xb0\x03\x61\xa3\x96\x17\x7a\x9c\xb4\x10\xff\x61\xf2\x00\x15\xad", 16);
    brim_sha256("", 0, digest);
    ck_assert_mem_eq(digest, "\xe3\xb0\xc4\x42\x98\xfc\x1c\x14", 8);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base_sha256");
    TCase *tcase = tcase_create("sha256");

    tcase_add_test(tcase, digests_are_those_of_the_standard);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
