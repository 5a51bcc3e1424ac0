/* SPDX-License-Identifier: MIT */
#include "brim/origin/fetch_many.h"

#include <string.h>

#include "unit.h"

static const struct {
    const char *field;
    bool is_hit;
} cases[] = {
    {" brim; hit; ttl=42", true},
    {"brim;hit", true},
    {"brim; fwd=uri-miss; stored", false},
    {"origin; hit, brim; fwd=stale", false},
    {"origin; fwd=miss, brim; ttl=3; hit", true},
    {"brim; fwd=miss; key=\"a, b; hit\"", false},
    {"brim; hit; key=\"a\\\", b\"", true},
    {"brim; hit=?0x", true}, /* no cache says so */
    {"brim; hitherto", false},
    {"hit", false},
    {"", false},
};

/* A summary that counts another cache's hits as the node's would call it warm. */
START_TEST(hit_is_that_of_the_last_member)
{
    ck_assert_int_eq(brim_fetch_many_is_hit(cases[_i].field, strlen(cases[_i].field)),
                     cases[_i].is_hit);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("origin/fetch_many");
    TCase *tcase = tcase_create("fetch_many");

    tcase_add_loop_test(tcase, hit_is_that_of_the_last_member, 0,
                        (int)(sizeof(cases) / sizeof(cases[0])));
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
