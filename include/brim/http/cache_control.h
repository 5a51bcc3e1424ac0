/* SPDX-License-Identifier: MIT */
/*
 * cache_control - what all Cache-Control lines of one message say together (RFC 9111 5.2, RFC 5861,
 * RFC 8246), or the targeted field that takes their place (RFC 9213). The same reader serves
 * requests and responses; who may say what is freshness's question.
 *
 * Main rule: what cannot be read never permits anything. A directive that restricts counts even if
 * its argument is wrong; one that permits counts only if it is exactly right; where a directive
 * stands twice, the stricter one counts.
 */
#ifndef BRIM_HTTP_CACHE_CONTROL_H
#define BRIM_HTTP_CACHE_CONTROL_H

#include <stdint.h>

#include "brim/http/field.h"

/* What a delta-seconds that is too large to represent counts as (RFC 9111 1.2.2). */
#define BRIM_DELTA_SECONDS_MAX 2147483648LL

struct brim_cache_control {
    /* Seconds; -1: the directive is absent. */
    int64_t max_age_s;   /* not valid: 0 (RFC 9111 4.2.1); the smallest counts */
    int64_t s_maxage_s;  /* likewise */
    int64_t swr_s;       /* stale-while-revalidate, likewise */
    int64_t sie_s;       /* stale-if-error, likewise */
    int64_t max_stale_s; /* likewise; INT64_MAX: without argument, hence any */
    int64_t min_fresh_s; /* not valid: BRIM_DELTA_SECONDS_MAX; the largest counts */
    bool present;        /* there is such a field, whatever it says */
    bool is_targeted;    /* a targeted field said this: Expires does not count (RFC 9213 2.2) */
    bool no_store;
    bool no_cache;        /* without argument, or with one that is no such list of names */
    bool no_cache_fields; /* no-cache="names", of fields that a response can do without */
    bool is_private;      /* as no_cache */
    bool private_fields;  /* private="names" */
    bool must_revalidate;
    bool proxy_revalidate;
    bool no_transform;
    bool only_if_cached;
    bool is_public; /* only without argument; likewise the next two */
    bool must_understand;
    bool immutable; /* RFC 8246; tolerated, a shared cache has no reload button */
    bool unclosed;  /* a quoted string never ends: nothing here permits anything */
};

/*
 * Reads all fields called name (`cache-control`, lower-case) into *control_out.
 *
 * Unknown directives are ignored (RFC 9111 5.2.3). Thread: any. Never fails: what is not valid has
 * its strictest meaning.
 */
void brim_cache_control_parse(struct brim_fields fields, struct brim_str name,
                              struct brim_cache_control *control_out);

/* Names of targeted fields (RFC 9213), lower-case, the most specific first. Borrowed. */
struct brim_targets {
    const struct brim_str *names;
    size_t count;
};

/*
 * Reads what a response says to this cache: the first targeted field that is a valid Dictionary and
 * not empty, else Cache-Control. Directives of a targeted field have types (RFC 9213 2.1); one of
 * another type has its strictest meaning, as everywhere here. Thread: any. Spec: RFC 9213 2.2.
 */
void brim_cache_control_parse_response(struct brim_fields response, struct brim_targets targets,
                                       struct brim_cache_control *control_out);

/*
 * Whether no-cache="..." or private="..." in the fields called name lists the field (lower-case).
 */
bool brim_cache_control_lists_field(struct brim_fields fields, struct brim_str name,
                                    struct brim_str field);

/*
 * Whether a shared cache that keeps the rest of the response leaves the field (lower-case) out: the
 * no-cache="..." or private="..." that counts (targets as above) lists it. Such a field is for him
 * who asked, or for one exchange; never true of a field that says what the response is.
 * Thread: any. Spec: RFC 9111 5.2.2.4, 5.2.2.7, 3.1.
 */
bool brim_cache_control_excludes(struct brim_fields response, struct brim_targets targets,
                                 struct brim_str field);
/* Whether there is such a field in the response. */
bool brim_cache_control_excludes_any(struct brim_fields response, struct brim_targets targets);

/* delta-seconds = 1*DIGIT (RFC 9111 1.2.2), at most BRIM_DELTA_SECONDS_MAX; -1 if it is not one. */
int64_t brim_delta_seconds_parse(struct brim_str text);

#endif
