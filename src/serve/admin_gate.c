/* SPDX-License-Identifier: MIT */
#include "brim/serve/admin_gate.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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

/* Notes which file it is that is read next; true: it is another one than before. */
static bool note_file(struct brim_admin_gate *gate)
{
    struct brim_admin_gate_stamp stamp = {0};
    struct stat status;
    bool is_new;

    if (stat(gate->path, &status) != 0)
        return false;
    stamp.inode = (uint64_t)status.st_ino;
    stamp.bytes = (int64_t)status.st_size;
    stamp.changed_s = (int64_t)status.st_mtim.tv_sec;
    stamp.changed_ns = (int64_t)status.st_mtim.tv_nsec;
    pthread_mutex_lock(&gate->lock);
    is_new = memcmp(&stamp, &gate->stamp, sizeof(stamp)) != 0;
    gate->stamp = stamp;
    pthread_mutex_unlock(&gate->lock);
    return is_new;
}

static void warn_of_mode(const char *path)
{
    struct stat status;

    if (stat(path, &status) == 0 && (status.st_mode & S_IRWXO) != 0)
        BRIM_LOG(WARN, "admin.token_open", "path=%s mode=%03o do=\"chmod o-rwx\"", path,
                 (unsigned)(status.st_mode & 0777));
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
    (void)note_file(gate);
    warn_of_mode(gate->path);
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

    if (gate->path == NULL)
        return;
    (void)note_file(gate);
    warn_of_mode(gate->path);
    if (!read_token(gate->path, &bearer))
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

static bool is_token_of(struct brim_admin_gate *gate, struct brim_str authorization)
{
    struct brim_bearer bearer;

    pthread_mutex_lock(&gate->lock);
    bearer = gate->bearer;
    pthread_mutex_unlock(&gate->lock);
    return brim_bearer_is(&bearer, authorization);
}

bool brim_admin_gate_knows(struct brim_admin_gate *gate, struct brim_str authorization)
{
    if (gate->path == NULL || is_token_of(gate, authorization))
        return true;
    /* The file may hold a new one: whoever changed it takes it from there. */
    if (authorization.len == 0 || !note_file(gate))
        return false;
    brim_admin_gate_renew(gate);
    return is_token_of(gate, authorization);
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
