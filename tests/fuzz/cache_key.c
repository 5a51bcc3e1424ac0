/* SPDX-License-Identifier: MIT */
/*
 * What a key's rules make of a target and of fields: the target on the first line, "name: value"
 * after it. Rules applied twice are rules applied once.
 */
#include "brim/http/cache_key.h"
#include "fuzz.h"

#define BUFFER_BYTES 65536

static void check_target(const struct brim_key_rules *rules, struct brim_str target)
{
    static char first[BUFFER_BYTES], second[BUFFER_BYTES];
    size_t len = brim_cache_key_target(rules, target, first);
    size_t again;

    INVARIANT(len <= target.len);
    again = brim_cache_key_target(rules, brim_str(first, len), second);
    INVARIANT(brim_str_is(brim_str(first, len), brim_str(second, again)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct brim_str drops[] = {{"utm_*", 5}, {"a", 1}};
    static const struct brim_str keeps[] = {{"b", 1}, {"c", 1}};
    static const struct brim_str names[] = {{"accept", 6}, {"x", 1}};
    static const struct brim_str languages[] = {{"en", 2}, {"de-at", 5}};
    static char buffer[BUFFER_BYTES];
    struct brim_key_rules rules = {.query_drop = {drops, 2},
                                   .headers = {names, 2},
                                   .cookies = {keeps, 2},
                                   .languages = {languages, 2},
                                   .query_sort = true,
                                   .device = true};
    struct brim_field items[FUZZ_FIELDS_MAX];
    struct brim_str rest = brim_str((const char *)data, size);
    struct brim_str target = fuzz_line(&rest);
    struct brim_fields request = fuzz_named_fields(rest, items);

    if (size > BUFFER_BYTES / 2)
        return 0;
    check_target(&rules, target);
    size_t len = brim_cache_key_selector(&rules, request, target, buffer, sizeof(buffer));
    INVARIANT(len == SIZE_MAX || len <= sizeof(buffer));
    INVARIANT(brim_cache_key_cookies(&rules, request, buffer) <= size + 2 * FUZZ_FIELDS_MAX);
    rules.query_keep = (struct brim_targets){keeps, 2};
    check_target(&rules, target);
    return 0;
}
