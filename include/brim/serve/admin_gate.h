/* SPDX-License-Identifier: MIT */
/*
 * admin_gate - whether an admin call may run: who knows the token, and how many there are a second.
 *
 * Who presents a wrong token, or none, has a small allowance of his own: guessing is slow, and does
 * not keep those out who know it.
 */
#ifndef BRIM_SERVE_ADMIN_GATE_H
#define BRIM_SERVE_ADMIN_GATE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "brim/base/bearer.h"
#include "brim/base/err.h"

/* Refused attempts a second that are told why; more are told to wait. */
#define BRIM_ADMIN_GATE_ATTEMPTS 10u

struct brim_admin_gate { /* private */
    char *path;          /* of the token's file; NULL: none is asked for */
    pthread_mutex_t lock;
    struct brim_bearer bearer;
    struct brim_admin_gate_stamp { /* of the file when it was read last */
        uint64_t inode;
        int64_t bytes, changed_s, changed_ns;
    } stamp;
    struct brim_admin_gate_bucket {
        uint64_t level;     /* thousandths of a call */
        uint64_t at_ms;     /* when it was that */
        uint64_t per_s_max; /* 0: any number */
    } calls, attempts;
};

enum brim_admin_gate_verdict { BRIM_ADMIN_GATE_OPEN, BRIM_ADMIN_GATE_SHUT, BRIM_ADMIN_GATE_BUSY };

/* token_path: "" or NULL: no token. calls_per_s 0: any number. Errors: BRIM_EINVAL the file holds
 * no token (logged). Thread: init. */
BRIM_MUST_USE enum brim_err brim_admin_gate_init(struct brim_admin_gate *gate,
                                                 const char *token_path, unsigned calls_per_s);
void brim_admin_gate_fini(struct brim_admin_gate *gate);

bool brim_admin_gate_has_token(const struct brim_admin_gate *gate);

/* Reads the file again; one that holds no token is logged, and the old one stays. Thread: any but a
 * loop. */
void brim_admin_gate_renew(struct brim_admin_gate *gate);

/* Whether the field's value presents the token, or none is asked for; counts nothing. Another than
 * the token in force is looked for in the file, if that was changed since it was read. */
bool brim_admin_gate_knows(struct brim_admin_gate *gate, struct brim_str authorization);

/* authorization: the field's value, empty if there is none. Thread: control. */
enum brim_admin_gate_verdict brim_admin_gate_check(struct brim_admin_gate *gate,
                                                   struct brim_str authorization,
                                                   uint64_t now_mono_ms);

/* How a call that may not run is answered; static, as are its texts. */
struct brim_admin_gate_answer {
    unsigned status;
    const char *field; /* of the header; "": none */
    const char *value;
    const char *error;
    const char *accepted;
};
const struct brim_admin_gate_answer *brim_admin_gate_answer(enum brim_admin_gate_verdict verdict);

#endif
