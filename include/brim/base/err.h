/* SPDX-License-Identifier: MIT */
/*
 * err - one list of reasons for everything that can fail.
 *
 * A reason says what a caller can do about it, not which library said so; the raw text of a library
 * is logged by the module that owns the library. BRIM_ENOENT is an answer, not a fault.
 */
#ifndef BRIM_BASE_ERR_H
#define BRIM_BASE_ERR_H

#define BRIM_MUST_USE __attribute__((warn_unused_result))

/* X(name, text) */
#define BRIM_ERR_TABLE(X)                                                                          \
    X(BRIM_OK, "ok")                                                                               \
    X(BRIM_ENOENT, "no such record")                                                               \
    X(BRIM_ENOMEM, "out of memory")                                                                \
    X(BRIM_EIO, "input/output error")                                                              \
    X(BRIM_ECORRUPT, "failed its checks")                                                          \
    X(BRIM_EINVAL, "not valid")                                                                    \
    X(BRIM_ELIMIT, "over a limit")                                                                 \
    X(BRIM_EAGAIN, "not now")                                                                      \
    X(BRIM_ENOSPC, "no space")                                                                     \
    X(BRIM_ETIMEOUT, "timed out")                                                                  \
    X(BRIM_ECLOSED, "closed")                                                                      \
    X(BRIM_EVERSION, "unknown format version")                                                     \
    X(BRIM_EBUSY, "in use by another process")                                                     \
    X(BRIM_EPROTO, "peer broke the protocol")                                                      \
    X(BRIM_ECONNECT, "could not connect")                                                          \
    X(BRIM_ETLS, "TLS failed")                                                                     \
    X(BRIM_EDNS, "name not resolved")

enum brim_err {
#define BRIM_ERR_ENUM(name, text) name,
    BRIM_ERR_TABLE(BRIM_ERR_ENUM)
#undef BRIM_ERR_ENUM
        BRIM_ERR_COUNT
};

/* Returns the text of a reason. Thread: any. */
const char *brim_err_text(enum brim_err err);

/* Returns the name of a reason without its prefix, lower-case ("enoent"), for logs. Thread: any. */
const char *brim_err_name(enum brim_err err);

#endif
