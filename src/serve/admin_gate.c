/* SPDX-License-Identifier: MIT */
#include "brim/serve/admin_gate.h"

#include <stdlib.h>

#include "brim/base/invariant.h"
#include "brim/base/log.h"

#define CALL 1000u /* thousandths */

static bool read_token(const char *path, struct brim_bearer *bearer_out)
{
    char token[BRIM_BEARER_MAX + 1];
    const char *wrong = brim_bearer_read(path, token);

    if (wrong == NULL)
        *bearer_out = brim_bearer_of(brim_str_of(token));
    else
        BRIM_LOG(ERROR, "admin.token_refused", "path=%s what=\"%s\"", path, wrong);
    explicit_bzero(token, sizeof(token));
    return wrong == NULL;
}

enum brim_err brim_admin_gate_init(struct brim_admin_gate *gate, const char *token_path,
                                   unsigned calls_per_s)
{
    *gate = (struct brim_admin_gate){
        .calls = {.level = (uint64_t)calls_per_s * CALL, .per_s_max = calls_per_s},
        .attempts = {.level = (uint64_t)BRIM_ADMIN_GATE_ATTEMPTS * CALL,
                     .per_s_max = BRIM_ADMIN_GATE_ATTEMPTS},
    };
    pthread_mutex_init(&gate->lock, NULL);
    if (token_path == NULL || token_path[0] == '\0')
        return BRIM_OK;
    gate->path = brim_strdup(token_path);
    return read_token(gate->path, &gate->bearer) ? BRIM_OK : BRIM_EINVAL;
}

void brim_admin_gate_fini(struct brim_admin_gate *gate)
{
    free(gate->path);
    gate->path = NULL;
    pthread_mutex_destroy(&gate->lock);
}

bool brim_admin_gate_has_token(const struct brim_admin_gate *gate)
{
    return gate->path != NULL;
}

void brim_admin_gate_renew(struct brim_admin_gate *gate)
{
    struct brim_bearer bearer;

    if (gate->path == NULL || !read_token(gate->path, &bearer))
        return;
    pthread_mutex_lock(&gate->lock);
    gate->bearer = bearer;
    pthread_mutex_unlock(&gate->lock);
}

/* Takes one call out of it; false: there is none left. It holds what one second brings. */
static bool take(struct brim_admin_gate_bucket *bucket, uint64_t now_ms)
{
    uint64_t full = bucket->per_s_max * CALL;
    uint64_t passed_ms = now_ms > bucket->at_ms ? now_ms - bucket->at_ms : 0;

    if (bucket->per_s_max == 0)
        return true;
    bucket->at_ms = now_ms;
    bucket->level = passed_ms >= 1000 ? full : bucket->level + passed_ms * bucket->per_s_max;
    if (bucket->level > full)
        bucket->level = full;
    if (bucket->level < CALL)
        return false;
    bucket->level -= CALL;
    return true;
}

bool brim_admin_gate_knows(struct brim_admin_gate *gate, struct brim_str authorization)
{
    struct brim_bearer bearer;

    if (gate->path == NULL)
        return true;
    pthread_mutex_lock(&gate->lock);
    bearer = gate->bearer;
    pthread_mutex_unlock(&gate->lock);
    return brim_bearer_is(&bearer, authorization);
}

enum brim_admin_gate_verdict brim_admin_gate_check(struct brim_admin_gate *gate,
                                                   struct brim_str authorization,
                                                   uint64_t now_mono_ms)
{
    if (brim_admin_gate_knows(gate, authorization))
        return take(&gate->calls, now_mono_ms) ? BRIM_ADMIN_GATE_OPEN : BRIM_ADMIN_GATE_BUSY;
    return take(&gate->attempts, now_mono_ms) ? BRIM_ADMIN_GATE_SHUT : BRIM_ADMIN_GATE_BUSY;
}

const struct brim_admin_gate_answer *brim_admin_gate_answer(enum brim_admin_gate_verdict verdict)
{
    static const struct brim_admin_gate_answer shut = {
        401, "www-authenticate", "Bearer realm=\"brim\"",
        "this call needs the token of admin.token", "Authorization: Bearer TOKEN"};
    static const struct brim_admin_gate_answer busy = {429, "retry-after", "1", "too many calls",
                                                       "admin.rate calls a second"};

    INVARIANT(verdict != BRIM_ADMIN_GATE_OPEN);
    return verdict == BRIM_ADMIN_GATE_SHUT ? &shut : &busy;
}
