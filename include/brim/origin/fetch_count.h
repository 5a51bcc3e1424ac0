/* SPDX-License-Identifier: MIT */
/*
 * fetch_count - what exchanges add to the metrics of their origin (base/metric_group).
 *
 * Thread: the fetcher's, all calls.
 */
#ifndef BRIM_ORIGIN_FETCH_COUNT_H
#define BRIM_ORIGIN_FETCH_COUNT_H

#include <stdbool.h>

#include "brim/base/err.h"
#include "brim/base/metric_group.h"
#include "brim/origin/fetch_request.h"

/* Has libcurl count the sockets that it opens and closes, however long it keeps them. */
void brim_fetch_count_sockets(void *easy, unsigned origin);
/* An exchange is over: whether it made connections or used one that was there. */
void brim_fetch_count_connects(void *easy, const struct brim_fetch_origin *origin, bool was_sent);
/* And how it ended; who cancelled it has not failed. */
void brim_fetch_count_result(unsigned origin, enum brim_err result);

#endif
