/* SPDX-License-Identifier: MIT */
/*
 * script_task - what a handler waits for, done by whoever runs the handler: the VM only begins a
 * task, looks at it when it is told that there is news, and ends it.
 */
#ifndef BRIM_POLICY_SCRIPT_TASK_H
#define BRIM_POLICY_SCRIPT_TASK_H

#include "brim/http/field.h"

/* brim.fetch; all of it is borrowed for the call. */
struct brim_script_fetch {
    struct brim_str url;    /* absolute, or a path: then of the request's own host */
    struct brim_str origin; /* by name; empty: the route's */
    struct brim_str method;
    struct brim_fields fields; /* names lower-case */
    struct brim_str body;
    bool has_body;
    bool may_cache; /* through the cache, if it is a request of the kind */
    uint64_t body_max;
};

enum brim_script_task_state {
    BRIM_SCRIPT_TASK_WAIT,
    BRIM_SCRIPT_TASK_DONE,
    BRIM_SCRIPT_TASK_FAILED,
};

struct brim_script_news { /* borrowed until the task ends */
    enum brim_script_task_state state;
    unsigned status; /* DONE */
    struct brim_fields fields;
    struct brim_str body;
    const char *why; /* FAILED */
};

/* Called inside a run's slice, so they must not run handlers. */
struct brim_script_tasks {
    /* Returns the task; NULL: refused, then *why_out is a static text. */
    void *(*fetch)(void *ctx, const struct brim_script_fetch *fetch, const char **why_out);
    void (*look)(void *task, struct brim_script_news *news_out);
    void (*end)(void *task); /* whether or not it is done */
};

#endif
