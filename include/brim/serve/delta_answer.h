/* SPDX-License-Identifier: MIT */
/*
 * delta_answer - whether a request is answered with the difference from a dictionary that its
 * client has (RFC 9842), and the object that says so.
 *
 * Main rule: the answer that would be given without this module is always right; it is given while
 * a delta is made, and wherever anything is in doubt.
 */
#ifndef BRIM_SERVE_DELTA_ANSWER_H
#define BRIM_SERVE_DELTA_ANSWER_H

#include "brim/cache/dictionaries.h"

/*
 * Returns what to answer a GET or HEAD with: object itself (the caller's count comes back), or in
 * its place an object with the same metadata, Content-Encoding, Vary and a weak entity tag, whose
 * body is the delta. *coding_out: its content coding (static), or NULL.
 *
 * Ranges are of the object itself: parts of a delta are no use to anybody; and who has the object
 * in any coding is to be told so, not sent it. Thread: loop. Spec: RFC 9842 6, 9.3.3.
 */
struct brim_object *brim_delta_answer(struct brim_dictionaries *dictionaries,
                                      struct brim_fields request, struct brim_object *object,
                                      int64_t now_wall_ms, const char **coding_out);

#endif
