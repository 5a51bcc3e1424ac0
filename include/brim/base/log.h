/* SPDX-License-Identifier: MIT */
/*
 * log - the error log: `time level event key=value ...`, one line an event, to stderr or a file.
 *
 * error: an operator must act. warn: degraded, heals itself. info: life cycle. debug: off.
 * Never cookies or credentials; per request only the access log. Each call site is rate limited
 * (first 10 in a second pass, then one line a second says how many were dropped).
 * The one process-wide state of this kind beside metric: every room reports here.
 */
#ifndef BRIM_BASE_LOG_H
#define BRIM_BASE_LOG_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum brim_log_level { BRIM_LOG_ERROR, BRIM_LOG_WARN, BRIM_LOG_INFO, BRIM_LOG_DEBUG };

/* Per call site; zero-initialised static. */
struct brim_log_site {
    _Atomic uint64_t window_s;
    _Atomic uint32_t seen;
};

/* Sets the least important level that is written and the file descriptor (borrowed, default 2).
 * Thread: init. */
void brim_log_setup(enum brim_log_level level, int fd);

/* Writes one line; call through BRIM_LOG. Line length is limited to 1024 bytes. Thread: any.
 * Control bytes that arguments bring in are written as '?'. site NULL: not rate limited here. */
void brim_log_write(struct brim_log_site *site, enum brim_log_level level, const char *event,
                    const char *format, ...) __attribute__((format(printf, 4, 5)));

/* From now on errors that this thread logs go to out in place of the log, all of them, each a line
 * `PLACE: event key=value ...`; out NULL: to the log again. Both are borrowed. Thread: any. */
void brim_log_divert(FILE *out, const char *place);

/* Lines that the rate limit has kept back. Thread: any. */
uint64_t brim_log_dropped(void);

#define BRIM_LOG_RECENT_MAX   32
#define BRIM_LOG_RECENT_BYTES 256

/* Copies the latest errors and warnings, the newest first, cut to their room. Returns how many
 * there are. Thread: any. */
unsigned brim_log_recent(char lines_out[BRIM_LOG_RECENT_MAX][BRIM_LOG_RECENT_BYTES]);

/* BRIM_LOG(WARN, "disk.full", "path=%s errno=%d", path, e) */
#define BRIM_LOG(level, event, ...)                                                                \
    do {                                                                                           \
        static struct brim_log_site brim_log_site_;                                                \
        brim_log_write(&brim_log_site_, BRIM_LOG_##level, event, __VA_ARGS__);                     \
    } while (0)

/* The same for what must not be missing; only where something else bounds how many there are. */
#define BRIM_LOG_ALL(level, event, ...) brim_log_write(NULL, BRIM_LOG_##level, event, __VA_ARGS__)

#endif
