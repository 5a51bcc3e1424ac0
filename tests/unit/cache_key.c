/* SPDX-License-Identifier: MIT */
#include "brim/cache/key.h"

#include "unit.h"

static const struct brim_field two_names_items[] = {{BRIM_STR("accept-encoding"), {"", 0}},
                                                    {BRIM_STR("x-kind"), {"", 0}}};
static const struct brim_fields two_names = {two_names_items, 2};

static struct brim_key variant_of(const char *url, struct brim_fields request, char *buffer,
                                  size_t size)
{
    struct brim_key primary = brim_key_of(brim_str_of(url));
    struct brim_key key;

    ck_assert_int_eq(brim_key_variant(&primary, &two_names, request, buffer, size, &key), BRIM_OK);
    return key;
}

/* The whole cache rests on it: one text, one digest. */
START_TEST(one_text_has_one_key)
{
    struct brim_key a = brim_key_of(BRIM_STR("http://a/x")),
                    b = brim_key_of(BRIM_STR("http://a/x"));
    struct brim_key c = brim_key_of(BRIM_STR("http://a/y"));

    ck_assert(brim_key_is(&a, &b));
    ck_assert(!brim_key_is(&a, &c));
}
END_TEST

/* A digest collision that somebody constructed must be a miss. */
START_TEST(equal_digests_with_other_texts_are_other_keys)
{
    struct brim_key a = brim_key_of(BRIM_STR("http://a/x")),
                    b = brim_key_of(BRIM_STR("http://a/y"));

    b.digest = a.digest;
    ck_assert(!brim_key_is(&a, &b));
}
END_TEST

/* Different values, the same value, absent and empty: what a variant is chosen by. */
START_TEST(variants_differ_where_the_selecting_values_differ)
{
    const struct brim_field red[] = {{BRIM_STR("x-kind"), BRIM_STR("red")}};
    const struct brim_field blue[] = {{BRIM_STR("x-kind"), BRIM_STR("blue")}};
    const struct brim_field empty[] = {{BRIM_STR("x-kind"), BRIM_STR("")}};
    const struct brim_field other[] = {{BRIM_STR("x-other"), BRIM_STR("1")},
                                       {BRIM_STR("x-kind"), BRIM_STR("red")}};
    char buffers[5][256];
    struct brim_key keys[5] = {
        variant_of("http://a/", (struct brim_fields){red, 1}, buffers[0], 256),
        variant_of("http://a/", (struct brim_fields){blue, 1}, buffers[1], 256),
        variant_of("http://a/", (struct brim_fields){empty, 1}, buffers[2], 256),
        variant_of("http://a/", (struct brim_fields){NULL, 0}, buffers[3], 256),
        variant_of("http://a/", (struct brim_fields){other, 2}, buffers[4], 256),
    };

    for (int i = 0; i < 4; i++) {
        for (int j = i + 1; j < 4; j++)
            ck_assert_msg(!brim_key_is(&keys[i], &keys[j]), "%d and %d", i, j);
    }
    ck_assert(brim_key_is(&keys[0], &keys[4]));
}
END_TEST

/* The purge of a URL and the lookup of its variants rely on the text in front. */
START_TEST(variant_text_begins_with_the_primary_text)
{
    char buffer[256];
    struct brim_key key =
        variant_of("http://a/", (struct brim_fields){NULL, 0}, buffer, sizeof(buffer));

    ck_assert(brim_str_has_prefix(key.text, BRIM_STR("http://a/\n")));
}
END_TEST

/* No client may name another client's variant: a line feed is the only separator. */
START_TEST(values_cannot_imitate_another_selector)
{
    const struct brim_field sly[] = {{BRIM_STR("accept-encoding"), BRIM_STR("x-kind:red")}};
    const struct brim_field red[] = {{BRIM_STR("x-kind"), BRIM_STR("red")}};
    char a[256], b[256];
    struct brim_key x = variant_of("http://a/", (struct brim_fields){sly, 1}, a, sizeof(a));
    struct brim_key y = variant_of("http://a/", (struct brim_fields){red, 1}, b, sizeof(b));

    ck_assert(!brim_key_is(&x, &y));
}
END_TEST

/* A buffer that is too small by any number of bytes is a refusal, never an overrun. */
START_TEST(too_long_a_variant_is_refused_at_every_size)
{
    const struct brim_field red[] = {{BRIM_STR("x-kind"), BRIM_STR("red")}};
    const struct brim_fields request = {red, 1};
    struct brim_key primary = brim_key_of(BRIM_STR("http://a/")), key;
    char whole[256];
    size_t need = variant_of("http://a/", request, whole, sizeof(whole)).text.len;

    for (size_t size = 0; size < need; size++) {
        char *buffer = malloc(size + 1); /* its own block: a write too far is seen */

        ck_assert_int_eq(brim_key_variant(&primary, &two_names, request, buffer, size, &key),
                         BRIM_ELIMIT);
        free(buffer);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cache/key");
    TCase *tc = tcase_create("key");

    tcase_add_test(tc, one_text_has_one_key);
    tcase_add_test(tc, equal_digests_with_other_texts_are_other_keys);
    tcase_add_test(tc, variants_differ_where_the_selecting_values_differ);
    tcase_add_test(tc, variant_text_begins_with_the_primary_text);
    tcase_add_test(tc, values_cannot_imitate_another_selector);
    tcase_add_test(tc, too_long_a_variant_is_refused_at_every_size);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
