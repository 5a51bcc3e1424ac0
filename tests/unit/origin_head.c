/* SPDX-License-Identifier: MIT */
#include "brim/origin/head.h"

#include "http_fields.h"

#define MODIFIED "Sun, 06 Nov 1994 08:49:37 GMT"

static const struct {
    const char *head[FIELDS_MAX];
    const char *stored[FIELDS_MAX];
    unsigned status;
    bool confirms;
} rows[] = {
    /* RFC 9111 4.3.5: "any received validator fields", so none received is none that differs */
    {{NULL}, {NULL}, 200, true},
    {{NULL}, {"etag: \"a\"", "last-modified: " MODIFIED}, 200, true},
    {{"etag: \"a\""}, {"etag: \"a\""}, 200, true},
    {{"etag: \"b\""}, {"etag: \"a\""}, 200, false},
    {{"etag: W/\"a\""}, {"etag: \"a\""}, 200, false},
    {{"etag: \"a\""}, {NULL}, 200, false},
    {{"etag: \"a\"", "etag: \"a\""}, {"etag: \"a\""}, 200, false},
    {{"last-modified: " MODIFIED}, {"last-modified: " MODIFIED}, 200, true},
    {{"last-modified: Sun, 06 Nov 1994 08:49:38 GMT"}, {"last-modified: " MODIFIED}, 200, false},
    {{"etag: \"a\"", "last-modified: " MODIFIED}, {"etag: \"a\""}, 200, false},
    /* Content-Length, if there is one; the stored body has four bytes */
    {{"content-length: 4"}, {NULL}, 200, true},
    {{"content-length: 5"}, {NULL}, 200, false},
    {{"content-length: 0"}, {NULL}, 200, false},
    {{"etag: \"a\"", "content-length: 40"}, {"etag: \"a\""}, 200, false},
    /* a 200 to HEAD is not what a stored error says */
    {{NULL}, {NULL}, 404, false},
};

/* What HEAD says of another body, taken over, would put the wrong fields on the old bytes for all.
 */
START_TEST(only_the_same_representation_is_confirmed)
{
    struct fields head, stored;
    struct brim_object_spec spec = {
        .kind = BRIM_OBJECT_RESPONSE,
        .status = rows[_i].status,
        .key = brim_key_of(BRIM_STR("http://a/")),
        .primary = brim_key_of(BRIM_STR("http://a/")),
        .fields = fields_of(rows[_i].stored, &stored),
        .body = brim_body_from("body", 4),
    };
    struct brim_object *object;

    ck_assert_int_eq(brim_object_new(&spec, &object), BRIM_OK);
    ck_assert_int_eq(brim_head_confirms(fields_of(rows[_i].head, &head), object),
                     rows[_i].confirms);
    brim_object_unref(object);
    brim_body_unref(spec.body);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("origin_head");
    TCase *tcase = tcase_create("head");

    tcase_add_loop_test(tcase, only_the_same_representation_is_confirmed, 0,
                        sizeof(rows) / sizeof(rows[0]));
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
