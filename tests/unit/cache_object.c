/* SPDX-License-Identifier: MIT */
#include "brim/cache/object.h"

#include "bodies.h"

static const struct brim_field sample_fields[] = {
    {BRIM_STR("content-type"), BRIM_STR("text/html")},
    {BRIM_STR("etag"), BRIM_STR("W/\"a,b\"")},
    {BRIM_STR("last-modified"), BRIM_STR("Sun, 06 Nov 1994 08:49:37 GMT")},
    {BRIM_STR("x-empty"), BRIM_STR("")},
    {BRIM_STR("x-twice"), BRIM_STR("1")},
    {BRIM_STR("x-twice"), BRIM_STR("2")},
};

static struct brim_object *sample(const char *key)
{
    struct brim_object_spec spec = {
        .kind = BRIM_OBJECT_RESPONSE,
        .status = 404,
        .key = key_of(key),
        .primary = key_of("http://a/x"),
        .seq = 77,
        .version = BRIM_HTTP_2,
        .fresh = {.response_wall_ms = 1700000000123,
                  .date_wall_ms = 1700000000000,
                  .initial_age_ms = 123,
                  .lifetime_ms = 60000,
                  .swr_ms = -1,
                  .sie_ms = 5,
                  .must_revalidate = true,
                  .heuristic = true},
        .fields = {sample_fields, sizeof(sample_fields) / sizeof(sample_fields[0])},
        .body = brim_body_from("body", 4),
    };
    struct brim_object *object;

    ck_assert_int_eq(brim_object_new(&spec, &object), BRIM_OK);
    brim_body_unref(spec.body);
    return object;
}

static void check_same(const struct brim_object *a, const struct brim_object *b)
{
    ck_assert_int_eq(a->kind, b->kind);
    ck_assert_int_eq(a->status, b->status);
    ck_assert_int_eq(a->version, b->version);
    ck_assert_uint_eq(a->seq, b->seq);
    ck_assert(brim_key_is(&a->key, &b->key));
    ck_assert(brim_key_is(&a->primary, &b->primary));
    ck_assert_int_eq(a->fresh.response_wall_ms, b->fresh.response_wall_ms);
    ck_assert_int_eq(a->fresh.date_wall_ms, b->fresh.date_wall_ms);
    ck_assert_int_eq(a->fresh.initial_age_ms, b->fresh.initial_age_ms);
    ck_assert_int_eq(a->fresh.lifetime_ms, b->fresh.lifetime_ms);
    ck_assert_int_eq(a->fresh.swr_ms, b->fresh.swr_ms);
    ck_assert_int_eq(a->fresh.sie_ms, b->fresh.sie_ms);
    ck_assert(a->fresh.must_revalidate == b->fresh.must_revalidate);
    ck_assert(a->fresh.no_cache == b->fresh.no_cache);
    ck_assert(a->fresh.heuristic == b->fresh.heuristic);
    ck_assert(brim_str_is(a->etag, b->etag));
    ck_assert_int_eq(a->last_modified_wall_s, b->last_modified_wall_s);
    ck_assert_uint_eq(a->fields.count, b->fields.count);
    for (size_t i = 0; i < a->fields.count; i++) {
        ck_assert(brim_str_is(a->fields.items[i].name, b->fields.items[i].name));
        ck_assert(brim_str_is(a->fields.items[i].value, b->fields.items[i].value));
    }
}

/* Revalidation stands on these two. */
START_TEST(validators_are_derived_from_the_fields)
{
    struct brim_object *object = sample("http://a/x");

    ck_assert(brim_str_is(object->etag, BRIM_STR("W/\"a,b\"")));
    ck_assert_int_eq(object->last_modified_wall_s, 784111777);
    ck_assert_uint_eq(object->checked_seq, 77);
    brim_object_unref(object);
}
END_TEST

/* Two ETags, or a date that is none: no validator is better than a wrong one. */
START_TEST(ambiguous_or_invalid_validators_are_none)
{
    const struct brim_field fields[] = {{BRIM_STR("etag"), BRIM_STR("\"1\"")},
                                        {BRIM_STR("etag"), BRIM_STR("\"2\"")},
                                        {BRIM_STR("last-modified"), BRIM_STR("yesterday")}};
    struct brim_object_spec spec = {.kind = BRIM_OBJECT_VARY,
                                    .key = key_of("http://a/"),
                                    .primary = key_of("http://a/"),
                                    .fields = {fields, 3}};
    struct brim_object *object;

    ck_assert_int_eq(brim_object_new(&spec, &object), BRIM_OK);
    ck_assert_uint_eq(object->etag.len, 0);
    ck_assert_int_eq(object->last_modified_wall_s, -1);
    brim_object_unref(object);
}
END_TEST

/* What a restart finds must be what was stored; with one text under both keys and with two. */
START_TEST(decoding_gives_back_what_was_encoded)
{
    const char *keys[] = {"http://a/x", "http://a/x\nx-kind:red", "http://other/"};

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        struct brim_object *object = sample(keys[i]), *back;
        void *bytes;
        size_t len;

        ck_assert_int_eq(brim_object_encode(object, &bytes, &len), BRIM_OK);
        ck_assert_int_eq(brim_object_decode(bytes, len, object->body, &back), BRIM_OK);
        check_same(object, back);
        free(bytes);
        brim_object_unref(object);
        ck_assert_uint_eq(brim_body_bytes(back->body), 4);
        brim_object_unref(back);
    }
}
END_TEST

/* Notes have no body, whatever the caller had at hand. */
START_TEST(notes_survive_encoding_without_a_body)
{
    const struct brim_field fields[] = {{BRIM_STR("accept-encoding"), BRIM_STR("")}};
    struct brim_object_spec spec = {.kind = BRIM_OBJECT_VARY,
                                    .key = key_of("http://a/"),
                                    .primary = key_of("http://a/"),
                                    .fields = {fields, 1}};
    struct brim_object *object, *back;
    struct brim_body *body = brim_body_from("x", 1);
    void *bytes;
    size_t len;

    ck_assert_int_eq(brim_object_new(&spec, &object), BRIM_OK);
    ck_assert_int_eq(brim_object_encode(object, &bytes, &len), BRIM_OK);
    ck_assert_int_eq(brim_object_decode(bytes, len, body, &back), BRIM_OK);
    ck_assert_ptr_null(back->body);
    check_same(object, back);
    brim_object_unref(back);
    ck_assert_int_eq(brim_object_decode(bytes, len, NULL, &back), BRIM_OK);
    brim_object_unref(back);
    brim_object_unref(object);
    brim_body_unref(body);
    free(bytes);
}
END_TEST

/* A response without its body is damage. */
START_TEST(response_without_a_body_is_corrupt)
{
    struct brim_object *object = sample("http://a/x"), *back = object;
    void *bytes;
    size_t len;

    ck_assert_int_eq(brim_object_encode(object, &bytes, &len), BRIM_OK);
    ck_assert_int_eq(brim_object_decode(bytes, len, NULL, &back), BRIM_ECORRUPT);
    ck_assert_ptr_null(back);
    brim_object_unref(object);
    free(bytes);
}
END_TEST

/* A record cut short anywhere is damage: not a hit, not a crash. */
START_TEST(every_truncation_is_corrupt)
{
    struct brim_object *object = sample("http://a/x\nx-kind:red"), *back;
    void *bytes;
    size_t len;

    ck_assert_int_eq(brim_object_encode(object, &bytes, &len), BRIM_OK);
    for (size_t cut = 0; cut < len; cut++) {
        void *part = malloc(cut + (cut == 0)); /* its own block: a read too far is seen */

        memcpy(part, bytes, cut);
        ck_assert_int_eq(brim_object_decode(part, cut, object->body, &back), BRIM_ECORRUPT);
        ck_assert_ptr_null(back);
        free(part);
    }
    brim_object_unref(object);
    free(bytes);
}
END_TEST

/* Whatever bits turn, decoding ends with an answer, and what it accepts can be used. */
START_TEST(flipped_bits_never_crash)
{
    struct brim_object *object = sample("http://a/x\nx-kind:red"), *back;
    uint64_t seed = 20240229;
    uint8_t *bytes;
    size_t len;
    void *again;

    ck_assert_int_eq(brim_object_encode(object, (void **)&bytes, &len), BRIM_OK);
    for (int round = 0; round < 200000; round++) {
        uint8_t copy[1024];
        unsigned flips = random_of(&seed) % 4 + 1;

        ck_assert_uint_le(len, sizeof(copy));
        memcpy(copy, bytes, len);
        for (; flips > 0; flips--)
            copy[random_of(&seed) % len] ^= (uint8_t)(1u << random_of(&seed) % 8);
        if (brim_object_decode(copy, len, object->body, &back) != BRIM_OK)
            continue;
        ck_assert_int_eq(brim_object_encode(back, &again, &(size_t){0}), BRIM_OK);
        free(again);
        brim_object_unref(back);
    }
    brim_object_unref(object);
    free(bytes);
}
END_TEST

/* The hot tier's bound is only as good as the charge. */
START_TEST(charge_covers_metadata_and_body)
{
    struct brim_object *object = make_object("http://a/", 100000, 0);

    ck_assert_uint_ge(brim_object_charge(object), 100000 + sizeof(*object));
    ck_assert_uint_le(brim_object_charge(object), 100000 + sizeof(*object) + 1024);
    brim_object_unref(object);
}
END_TEST

/* Renewing what nobody asks for would double an origin's load; renewing twice what it does not
 * answer, at the rate of its hits. */
START_TEST(renewal_is_claimed_once_and_only_where_popular)
{
    struct brim_object *object = make_object("http://a/", 10, 0);

    ck_assert(!brim_object_claim_renewal(object));
    atomic_store(&object->use, 1);
    ck_assert(!brim_object_claim_renewal(object));
    atomic_store(&object->use, 2);
    ck_assert(brim_object_claim_renewal(object));
    ck_assert(!brim_object_claim_renewal(object));
    brim_object_unref(object);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cache/object");
    TCase *tc = tcase_create("object");

    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, validators_are_derived_from_the_fields);
    tcase_add_test(tc, ambiguous_or_invalid_validators_are_none);
    tcase_add_test(tc, decoding_gives_back_what_was_encoded);
    tcase_add_test(tc, notes_survive_encoding_without_a_body);
    tcase_add_test(tc, response_without_a_body_is_corrupt);
    tcase_add_test(tc, every_truncation_is_corrupt);
    tcase_add_test(tc, flipped_bits_never_crash);
    tcase_add_test(tc, charge_covers_metadata_and_body);
    tcase_add_test(tc, renewal_is_claimed_once_and_only_where_popular);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
