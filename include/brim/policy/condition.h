/* SPDX-License-Identifier: MIT */
/*
 * condition - what must hold of a request, beside its path, for a route to be its own: the method,
 * and header fields that are there, are not, are equal to a text or begin with one.
 *
 * Compiled and immutable; all that is said must hold.
 */
#ifndef BRIM_POLICY_CONDITION_H
#define BRIM_POLICY_CONDITION_H

#include "brim/base/conf.h"
#include "brim/http/field.h"

struct brim_condition; /* opaque */

/* What a request is judged by. */
struct brim_condition_ask {
    struct brim_str method;
    struct brim_fields fields;
};

/* NULL: the route has no conditions. Copies what it needs. Thread: init or control. */
struct brim_condition *brim_condition_compile(const struct brim_conf_route *conf);
void brim_condition_free(struct brim_condition *condition); /* accepts NULL */

/* Whether all of it holds; NULL holds of every request. GET stands for HEAD too. Of a field that
 * comes more than once, one line that fits is enough. Thread: any. */
bool brim_condition_holds(const struct brim_condition *condition,
                          const struct brim_condition_ask *ask);

#endif
