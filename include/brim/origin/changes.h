/* SPDX-License-Identifier: MIT */
/*
 * changes - which stored resources an exchange may have changed, so that they are not used again.
 * Knows neither cache nor flights: it names keys.
 */
#ifndef BRIM_ORIGIN_CHANGES_H
#define BRIM_ORIGIN_CHANGES_H

#include "brim/http/freshness.h"

/* key_text is borrowed for the call. */
typedef void (*brim_changed_fn)(struct brim_str key_text, void *ctx);

/*
 * Names what a successful unsafe request may have changed: the resource itself and, on the same
 * origin, those that Location and Content-Location point at; else nothing. key_text: the primary
 * key text of what was asked. Spec: RFC 9111 4.4. Thread: any.
 */
void brim_changes_of(const struct brim_exchange *exchange, struct brim_str key_text,
                     brim_changed_fn changed, void *ctx);

#endif
