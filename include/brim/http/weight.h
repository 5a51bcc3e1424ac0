/* SPDX-License-Identifier: MIT */
/*
 * weight - members of lists with weights, as in `gzip;q=0.5` (RFC 9110 12.4.2).
 */
#ifndef BRIM_HTTP_WEIGHT_H
#define BRIM_HTTP_WEIGHT_H

#include "brim/base/str.h"

#define BRIM_WEIGHT_MAX 1000

struct brim_weighted {
    struct brim_str token;
    int weight; /* thousandths; -1: there is something behind the token that is no weight */
};

/* Splits a member; a token without a weight has the largest. Thread: any. */
struct brim_weighted brim_weighted_parse(struct brim_str member);

#endif
