/* SPDX-License-Identifier: MIT */
/*
 * marker - what a resource varies by: the object that stands under its primary key and names the
 * selecting fields.
 *
 * A marker lists every field that any response under the key has varied by, so that responses with
 * different Vary do not hide each other (RFC 9111 4.1).
 */
#ifndef BRIM_CACHE_MARKER_H
#define BRIM_CACHE_MARKER_H

#include "brim/cache/object.h"

/*
 * The marker for a response to request made of spec, given the one that is there (NULL: none): that
 * one again where it says everything already, else a new one. Counted.
 *
 * Errors: BRIM_ENOENT the response does not vary; BRIM_ELIMIT its Vary cannot be used; BRIM_ENOMEM.
 * Limits: BRIM_VARY_NAMES_MAX names; what is more starts anew with the names of this response.
 */
BRIM_MUST_USE enum brim_err brim_marker_make(const struct brim_object_spec *spec,
                                             struct brim_fields request, struct brim_object *old,
                                             struct brim_object **marker_out);

/* Text and key of the variant that request selects. *text_out is the caller's, freed with free(),
 * and borrowed by the key. Errors: BRIM_ELIMIT too long to tell apart; BRIM_ENOMEM. */
BRIM_MUST_USE enum brim_err brim_marker_variant(const struct brim_key *primary,
                                                const struct brim_fields *names,
                                                struct brim_fields request, char **text_out,
                                                struct brim_key *key_out);

#endif
