/* SPDX-License-Identifier: MIT */
/*
 * env - one worker's view of the node: what a request needs, all of it borrowed from the node.
 *
 * Embeds h2o's context, so that a request finds its worker from req->conn->ctx.
 */
#ifndef BRIM_SERVE_ENV_H
#define BRIM_SERVE_ENV_H

#include <h2o.h>
#include <stdint.h>

#include "brim/base/top.h"
#include "brim/cache/kv.h"
#include "brim/http/version.h"
#include "brim/policy/dict.h"
#include "brim/policy/route.h"
#include "brim/serve/access_log.h"
#include "brim/serve/guard.h"

struct brim_env {
    h2o_context_t ctx;
    size_t worker;
    struct brim_cache *cache;
    struct brim_flights *flights;
    struct brim_encoders *encoders;
    uint64_t decoded_max;                   /* bytes of a body that is decoded for a client */
    bool codes_first;                       /* on the way, what is not coded yet */
    bool codes_passes;                      /* likewise what is not cached */
    unsigned streams_max;                   /* such answers at a time */
    unsigned streams;                       /* ... of them now */
    struct brim_dictionaries *dictionaries; /* NULL: none */
    struct brim_dict *dict;                 /* buckets of rate limits */
    struct brim_pool *hashers;              /* where passwords are checked */
    struct brim_kv *kv;                     /* revoked tokens; NULL: no stores */
    struct brim_purge_line *purge_line;     /* NULL: nobody is above */
    struct brim_access_log *log;            /* NULL: off */
    struct brim_top *top;
    struct brim_routes *routes; /* this worker's counted snapshot; changes only on its loop */
    struct brim_guard_limits limits;
    uint64_t slice_bytes;                    /* 0: ranges of what is not stored bring the whole */
    struct brim_str node_id;                 /* for Cache-Status */
    struct brim_str via[BRIM_HTTP_VERSIONS]; /* "1.1 ID", "1.0 ID", "2 ID" */
    struct brim_str loop_member;             /* this node in CDN-Loop (RFC 8586): "ID;node=HEX" */
    h2o_multithread_receiver_t wakes;
    h2o_timeout_t yield; /* 1 ms: continues senders that used up their turn */
    h2o_timeout_t tick;  /* 10 ms: handlers that wait look at their deadline */
    uint64_t turn;       /* counts loop turns */
    uint64_t id_high;    /* request ids: random high half, counted low half */
    uint64_t id_low;
};

static inline struct brim_env *brim_env_of(h2o_req_t *req)
{
    return H2O_STRUCT_FROM_MEMBER(struct brim_env, ctx, req->conn->ctx);
}

#endif
