/* SPDX-License-Identifier: MIT */
#include "brim/encode/delta.h"

#include <stdio.h>
#include <zstd.h>

#include "brim/base/sha256.h"

#include "unit.h"

#define LEVEL 19

/* Two versions of a script: pseudo-random lines, one in ten changed in the second. */
struct versions {
    char *old;
    char *new;
    size_t len;
    struct brim_dictionary_hash hash; /* of old */
};

static void fill(char *text, size_t len, unsigned changed_seed)
{
    unsigned seed = 3;

    for (size_t line = 0; line < len / 64; line++) {
        unsigned other = changed_seed + (unsigned)line;
        bool changed = changed_seed != 0 && line % 10 == 0;
        for (size_t at = 0; at < 64; at++) {
            int byte = rand_r(&seed) % 64 + ' ';
            text[64 * line + at] = (char)(changed ? rand_r(&other) % 64 + ' ' : byte);
        }
    }
}

static struct versions versions_of(size_t len)
{
    struct versions versions = {.old = calloc(1, len), .new = calloc(1, len), .len = len};

    ck_assert(versions.old != NULL && versions.new != NULL);
    fill(versions.old, len, 0);
    fill(versions.new, len, 99);
    brim_sha256(versions.old, len, versions.hash.bytes);
    return versions;
}

static void drop(struct versions *versions)
{
    free(versions->old);
    free(versions->new);
}

static struct brim_delta_source source_of(const struct versions *versions)
{
    return (struct brim_delta_source){.coding = BRIM_DELTA_DCZ,
                                      .level = LEVEL,
                                      .hash = &versions->hash,
                                      .dictionary = brim_str(versions->old, versions->len),
                                      .body = brim_str(versions->new, versions->len)};
}

/* As a client decodes: the whole response, header frame included, with the old version as prefix,
 * and no window above what RFC 9842 5 lets it expect. */
static void decodes(const struct brim_delta_source *source, const unsigned char *delta, size_t len)
{
    ZSTD_DCtx *decoder = ZSTD_createDCtx();
    char *body = malloc(source->body.len + 1);

    ck_assert(decoder != NULL && body != NULL);
    ck_assert(!ZSTD_isError(ZSTD_DCtx_setParameter(decoder, ZSTD_d_windowLogMax, 23)));
    /* A prefix holds for one frame, and the header is one: a client takes that off first. */
    ck_assert_mem_eq(delta + 8, source->hash->bytes, sizeof(source->hash->bytes));
    ck_assert(!ZSTD_isError(
        ZSTD_DCtx_refPrefix(decoder, source->dictionary.base, source->dictionary.len)));
    ZSTD_inBuffer in = {delta + BRIM_DICTIONARY_DCZ_BYTES, len - BRIM_DICTIONARY_DCZ_BYTES, 0};
    ZSTD_outBuffer out = {body, source->body.len + 1, 0};
    ck_assert_uint_eq(ZSTD_decompressStream(decoder, &out, &in), 0);
    ck_assert_uint_eq(out.pos, source->body.len);
    ck_assert(source->body.len == 0 || memcmp(body, source->body.base, source->body.len) == 0);
    ZSTD_freeDCtx(decoder);
    free(body);
}

/* A version that differs in a tenth costs about that tenth, and is whole again at the other end. */
START_TEST(a_delta_is_small_and_decodes)
{
    static const size_t sizes[] = {256 * 1024, 3 * 1024 * 1024};
    struct versions versions = versions_of(sizes[_i]);
    struct brim_delta_source source = source_of(&versions);
    unsigned char *delta;
    size_t len;

    ck_assert_int_eq(brim_delta_make(&source, &delta, &len), BRIM_OK);
    ck_assert_uint_lt(len, sizes[_i] / 8);
    decodes(&source, delta, len);
    free(delta);
    drop(&versions);
}
END_TEST

/* The client's zstd is not our library call: the tool decodes the same bytes, header and all. */
START_TEST(the_tool_decodes_a_delta)
{
    struct versions versions = versions_of(256 * 1024);
    struct brim_delta_source source = source_of(&versions);
    char directory[] = "/tmp/brim-delta-XXXXXX", path[64], command[512];
    const char *names[] = {"old", "new", "delta"};
    unsigned char *delta;
    size_t len;

    ck_assert_int_eq(brim_delta_make(&source, &delta, &len), BRIM_OK);
    ck_assert_ptr_nonnull(mkdtemp(directory));
    const struct brim_str files[] = {source.dictionary, source.body, {(const char *)delta, len}};
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
        FILE *file = fopen(path, "w");
        ck_assert_ptr_nonnull(file);
        ck_assert_uint_eq(fwrite(files[i].base, 1, files[i].len, file), files[i].len);
        ck_assert_int_eq(fclose(file), 0);
    }
    (void)snprintf(command, sizeof(command),
                   "cd %s && tail -c +%d delta >body && zstd -q -d --patch-from=old body -o got && "
                   "cmp got new; status=$?; cd /; rm -r %s; exit $status",
                   directory, BRIM_DICTIONARY_DCZ_BYTES + 1, directory);
    ck_assert_int_eq(system(command), 0);
    free(delta);
    drop(&versions);
}
END_TEST

/* RFC 9842 9.1: a dictionary that is not what the client has would give it another text. */
START_TEST(a_dictionary_that_is_not_its_hash_is_refused)
{
    struct versions versions = versions_of(4096);
    struct brim_delta_source source = source_of(&versions);
    unsigned char *delta = (unsigned char *)&versions; /* poison: must be cleared */
    size_t len = 1;

    versions.old[17] ^= 1;
    ck_assert_int_eq(brim_delta_make(&source, &delta, &len), BRIM_EINVAL);
    ck_assert_ptr_null(delta);
    ck_assert_uint_eq(len, 0);
    drop(&versions);
}
END_TEST

/* Nothing to say, and nothing to say it with, are bodies too. */
START_TEST(empty_bodies_have_deltas)
{
    struct brim_dictionary_hash hash;
    unsigned char *delta;
    size_t len;

    brim_sha256("", 0, hash.bytes);
    struct brim_delta_source source = {
        .coding = BRIM_DELTA_DCZ, .level = 3, .hash = &hash, .dictionary = BRIM_STR("")};
    for (size_t i = 0; i < 2; i++) {
        ck_assert_int_eq(brim_delta_make(&source, &delta, &len), BRIM_OK);
        decodes(&source, delta, len);
        free(delta);
        source.body = BRIM_STR("text");
    }
}
END_TEST

/* What this build cannot make it refuses, and says so beforehand. */
START_TEST(brotli_is_made_where_it_is_built)
{
    struct versions versions = versions_of(64 * 1024);
    struct brim_delta_source source = source_of(&versions);
    unsigned char *delta;
    size_t len;

    source.coding = BRIM_DELTA_DCB;
    source.level = 11;
    enum brim_err err = brim_delta_make(&source, &delta, &len);
    ck_assert_int_eq(err, brim_delta_is_built(BRIM_DELTA_DCB) ? BRIM_OK : BRIM_EINVAL);
    if (err == BRIM_OK) {
        ck_assert_mem_eq(delta, "\xff\x44\x43\x42", 4);
        ck_assert_uint_lt(len, source.body.len / 8);
    }
    free(delta);
    drop(&versions);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("encode_delta");
    TCase *tcase = tcase_create("delta");

    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, a_delta_is_small_and_decodes, 0, 2);
    tcase_add_test(tcase, the_tool_decodes_a_delta);
    tcase_add_test(tcase, a_dictionary_that_is_not_its_hash_is_refused);
    tcase_add_test(tcase, empty_bodies_have_deltas);
    tcase_add_test(tcase, brotli_is_made_where_it_is_built);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
