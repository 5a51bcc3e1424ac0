/* SPDX-License-Identifier: MIT */
/*
 * fetch_many - many GETs of one node's listeners at a time, for command-line tools.
 *
 * Bodies are counted, not kept. Refuses to know where URLs come from and what is made of results.
 */
#ifndef BRIM_ORIGIN_FETCH_MANY_H
#define BRIM_ORIGIN_FETCH_MANY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "brim/base/err.h"

struct brim_fetch_many_result {
    const char *url;
    enum brim_err err; /* BRIM_OK: an answer came whole */
    unsigned status;
    bool was_hit; /* as the last member of Cache-Status says */
    uint64_t bytes;
};

struct brim_fetch_many_config {
    const char *http, *https;  /* HOST:PORT that is connected to, whatever the URL's host is */
    const char *const *fields; /* "Name: value", sent with every request */
    size_t field_count;
    unsigned concurrency;
    /* The next URL, http or https, which stays until its done(); NULL: there is no more. */
    const char *(*next)(void *ctx);
    /* A piece of a body; false ends that exchange with BRIM_EPROTO. May be NULL. */
    bool (*piece)(const char *bytes, size_t len, void *ctx);
    void (*done)(const struct brim_fetch_many_result *result, void *ctx);
    void *ctx;
};

/*
 * Returns when next() gave NULL and everything is done. Certificates are not checked: it is the
 * node itself that is asked, by names that its certificates need not have.
 * Errors: BRIM_ENOMEM. Thread: any but a loop.
 */
BRIM_MUST_USE enum brim_err brim_fetch_many(const struct brim_fetch_many_config *config);

/* Whether the last member of a Cache-Status field, ours, says hit. Spec: RFC 9211 2.1. */
bool brim_fetch_many_is_hit(const char *cache_status, size_t len);

#endif
