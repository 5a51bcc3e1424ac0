/* SPDX-License-Identifier: MIT */
/*
 * Storing and using: a status and rules in four bytes, then fields of a response, an empty line,
 * and fields of a request. Whatever they say, no lifetime or age is negative, none is beyond the
 * rules', and what is older than its lifetime is not fresh.
 */
#include "brim/http/freshness.h"
#include "fuzz.h"

#define NOW_MS 1800000000000

static struct brim_cache_rules rules_of(uint8_t bits)
{
    return (struct brim_cache_rules){.s_maxage_stale = bits & 1,
                                     .ignore_request_control = bits & 2,
                                     .default_ttl_ms = bits & 4 ? 60000 : -1,
                                     .max_ttl_ms = bits & 8 ? 3600000 : -1,
                                     .grace_ms = bits & 16 ? 5000 : 0,
                                     .swr_ms = bits & 32 ? 5000 : 0,
                                     .negative_ttl_ms = bits & 64 ? 10000 : -1,
                                     .set_cookie = bits & 128 ? BRIM_SET_COOKIE_STORE : 0};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct brim_field response[FUZZ_FIELDS_MAX], request[FUZZ_FIELDS_MAX];
    struct brim_request_control control;
    struct brim_freshness freshness;
    const char *reason = NULL;

    if (size < 4)
        return 0;
    struct brim_cache_rules rules = rules_of(data[2]);
    struct brim_str all = brim_str((const char *)data + 4, size - 4);
    const char *split = all.len == 0 ? NULL : memmem(all.base, all.len, "\n\n", 2);
    size_t first = split == NULL ? all.len : (size_t)(split - all.base) + 2;
    struct brim_exchange exchange = {
        .method = data[3] & 1 ? BRIM_STR("GET") : BRIM_STR("HEAD"),
        .status = 100 + (data[0] | (unsigned)data[1] << 8) % 900,
        .response = fuzz_named_fields(brim_str(all.base, first), response),
        .request = fuzz_named_fields(brim_str(all.base + first, all.len - first), request),
        .request_wall_ms = NOW_MS,
        .response_wall_ms = NOW_MS + data[3]};

    INVARIANT(brim_freshness_verdict(&exchange, &rules, &reason) != BRIM_STORE || reason != NULL);
    brim_freshness_compute(&exchange, &rules, &freshness);
    INVARIANT(freshness.lifetime_ms >= 0 && freshness.initial_age_ms >= 0);
    INVARIANT(rules.max_ttl_ms < 0 || freshness.lifetime_ms <= rules.max_ttl_ms);
    brim_request_control_parse(exchange.request, &rules, &control);
    for (int64_t later = 0; later < (int64_t)1 << 40; later = later * 8 + 1) {
        int64_t now_wall_ms = NOW_MS + data[3] + later;
        int64_t age_ms = brim_freshness_age_ms(&freshness, now_wall_ms);

        INVARIANT(age_ms >= 0);
        if (brim_freshness_use(&freshness, &control, now_wall_ms, false) == BRIM_USE_FRESH)
            INVARIANT(age_ms < freshness.lifetime_ms);
        (void)brim_freshness_may_serve_error(&freshness, &control, now_wall_ms);
        (void)brim_freshness_is_ending(&freshness, 10, now_wall_ms);
    }
    return 0;
}
