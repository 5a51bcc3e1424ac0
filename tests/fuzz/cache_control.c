/* SPDX-License-Identifier: MIT */
/*
 * Cache-Control, one line per input line, read as a request's, a response's and a targeted field,
 * up to the use of what would be stored.
 */
#include "brim/http/cache_control.h"
#include "brim/http/freshness.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct brim_str names[] = {{"cache-control", 13}};
    static const struct brim_cache_rules rules = {
        .default_ttl_ms = -1, .max_ttl_ms = -1, .negative_ttl_ms = -1};
    struct brim_field items[FUZZ_FIELDS_MAX];
    struct brim_fields fields =
        fuzz_fields(brim_str((const char *)data, size), BRIM_STR("cache-control"), items);
    struct brim_exchange exchange = {
        .method = BRIM_STR("GET"), .request = fields, .status = 200, .response = fields};
    struct brim_cache_control control;
    struct brim_request_control asked;
    struct brim_freshness freshness;
    const char *reason = NULL;

    brim_cache_control_parse(fields, BRIM_STR("cache-control"), &control);
    INVARIANT(control.max_age_s >= -1 && control.max_age_s <= BRIM_DELTA_SECONDS_MAX);
    INVARIANT(control.s_maxage_s >= -1 && control.s_maxage_s <= BRIM_DELTA_SECONDS_MAX);
    (void)brim_cache_control_lists_field(fields, BRIM_STR("cache-control"), BRIM_STR("a"));

    struct brim_cache_control targeted;
    brim_cache_control_parse_response(fields, (struct brim_targets){names, 1}, &targeted);
    INVARIANT(targeted.max_age_s >= -1 && targeted.max_age_s <= BRIM_DELTA_SECONDS_MAX);
    INVARIANT(!targeted.is_targeted || !targeted.unclosed);

    enum brim_store_verdict verdict = brim_freshness_verdict(&exchange, &rules, &reason);
    INVARIANT(reason != NULL);
    INVARIANT(verdict != BRIM_STORE || !control.is_private); /* fields may be: they are left out */
    INVARIANT(verdict != BRIM_STORE || !control.no_store);   /* the request says it as well */

    brim_freshness_compute(&exchange, &rules, &freshness);
    brim_request_control_parse(fields, &rules, &asked);
    enum brim_use use = brim_freshness_use(&freshness, &asked, 1000, false);
    INVARIANT(use == BRIM_USE_REVALIDATE || !control.no_cache);
    INVARIANT(use != BRIM_USE_FRESH || freshness.lifetime_ms > 1000);
    return 0;
}
