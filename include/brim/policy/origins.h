/* SPDX-License-Identifier: MIT */
/*
 * origins - the origins of one config, counted one by one: those of which the next config says the
 * same live on in its snapshot, with their limits and whatever else is known of them.
 *
 * An origin keeps its number as long as its name stays, so that it stays with its fetcher and finds
 * its open connections there.
 */
#ifndef BRIM_POLICY_ORIGINS_H
#define BRIM_POLICY_ORIGINS_H

#include "brim/base/conf.h"
#include "brim/base/str.h"
#include "brim/origin/ask.h"
#include "brim/origin/checks.h"

struct brim_origins; /* opaque */

/* Copies what it needs of conf. previous: NULL or those in force. Owns: the caller frees. NULL: a
 * file that one of them names is not usable, which was logged.
 * Thread: init or control. */
struct brim_origins *brim_origins_compile(const struct brim_conf_root *conf,
                                          const struct brim_origins *previous);
void brim_origins_free(struct brim_origins *origins); /* accepts NULL */

/* The origin of this name, borrowed; the config's checks have seen to it that it exists. */
struct brim_origin *brim_origins_get(const struct brim_origins *origins, const char *name);

/* The same for a name that nobody has checked; NULL: there is none. Thread: any. */
struct brim_origin *brim_origins_find(const struct brim_origins *origins, struct brim_str name);

/* Has checks ask these from now on. keep: counts what they belong to. Thread: control. */
void brim_origins_check(const struct brim_origins *origins, struct brim_checks *checks,
                        const struct brim_checks_keep *keep);

#endif
