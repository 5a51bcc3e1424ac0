/* SPDX-License-Identifier: MIT */
#include "brim/base/hash.h"

#include "unit.h"

/* Digests go to disk: a build with another seed or another XXH would lose the whole cache. Values
 * of the reference implementation (xxhsum -H3 and -H2) for the empty input. */
START_TEST(hash_is_unseeded_xxh3)
{
    struct brim_digest empty = brim_hash128("", 0);

    ck_assert_uint_eq(brim_hash64("", 0), 0x2d06800538d394c2ULL);
    ck_assert_uint_eq(empty.hi, 0x99aa06d3014798d8ULL);
    ck_assert_uint_eq(empty.lo, 0x6001c324468d497fULL);
}
END_TEST

/* Empty bodies and fields come as a null pointer. */
START_TEST(null_of_no_bytes_is_the_empty_input)
{
    ck_assert_uint_eq(brim_hash64(NULL, 0), brim_hash64("", 0));
    ck_assert(brim_digest_is(brim_hash128(NULL, 0), brim_hash128("", 0)));
}
END_TEST

/* One bit decides between two objects, in both halves of the digest. */
START_TEST(digests_of_different_inputs_differ)
{
    struct brim_digest a = brim_hash128("GET /a", 6);
    struct brim_digest b = brim_hash128("GET /b", 6);

    ck_assert(!brim_digest_is(a, b));
    ck_assert(brim_digest_is(a, brim_hash128("GET /a", 6)));
    ck_assert_uint_ne(a.hi, b.hi);
    ck_assert_uint_ne(a.lo, b.lo);
    ck_assert(!brim_digest_is(a, (struct brim_digest){.hi = a.hi, .lo = b.lo}));
    ck_assert(!brim_digest_is(a, (struct brim_digest){.hi = b.hi, .lo = a.lo}));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base/hash");
    TCase *tcase = tcase_create("hash");

    tcase_add_test(tcase, hash_is_unseeded_xxh3);
    tcase_add_test(tcase, null_of_no_bytes_is_the_empty_input);
    tcase_add_test(tcase, digests_of_different_inputs_differ);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
