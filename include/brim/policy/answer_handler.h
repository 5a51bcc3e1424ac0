/* SPDX-License-Identifier: MIT */
/*
 * answer_handler - the origin_response handler of a site, as flights call it: on the fetcher's
 * thread, once per exchange, before the answer is judged.
 *
 * One answer may be for everybody who waits and for all who come later, so the handler is told what
 * was asked of the origin and nothing of a client. A failure becomes a 500 in the answer's place.
 */
#ifndef BRIM_POLICY_ANSWER_HANDLER_H
#define BRIM_POLICY_ANSWER_HANDLER_H

#include "brim/origin/ask.h"
#include "brim/policy/handlers.h"

/* Accepts NULL, and handlers without this phase: then .change is NULL. Borrows handlers, which live
 * as long as the config snapshot that the flight keeps. */
struct brim_answer_hook brim_answer_handler_hook(struct brim_handlers *handlers);

#endif
