/* SPDX-License-Identifier: MIT */
/*
 * script_mock - the stores that handlers find under test: real ones (cache/kv, policy/dict), empty,
 * in a directory of their own that goes with them.
 */
#ifndef BRIM_POLICY_SCRIPT_MOCK_H
#define BRIM_POLICY_SCRIPT_MOCK_H

#include "brim/cache/kv.h"
#include "brim/policy/dict.h"

struct brim_script_mock {
    struct brim_kv *kv;
    struct brim_dict *dict;
    char path[256];
};

/* Errors: BRIM_EIO no directory can be made below TMPDIR (else /tmp); those of brim_kv_open().
 * Thread: main. */
BRIM_MUST_USE enum brim_err brim_script_mock_open(struct brim_script_mock *mock);
/* Zeroed: nothing happens. */
void brim_script_mock_close(struct brim_script_mock *mock);

#endif
