/* SPDX-License-Identifier: MIT */
/*
 * A line is formatted on the stack and leaves with one write(2), so lines of several threads do not
 * mix and a crash loses none that was written.
 *
 * Rate limit: a site counts its lines of the current second. The first LINES_PER_S pass. The first
 * line of a later second tells how many were dropped before it; a site that falls silent right
 * after a burst therefore owes that line until it speaks again. The counters are relaxed: under a
 * race a line too many may pass, which costs nothing.
 */
#include "brim/base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "brim/base/clock.h"
#include "brim/base/invariant.h"

enum { LINE_MAX_BYTES = 1024, LINES_PER_S = 10 };

static _Atomic int level_max = BRIM_LOG_INFO;
static _Atomic int out_fd = STDERR_FILENO;
static _Atomic uint64_t dropped_total;
static _Thread_local struct { /* where the errors of this thread go; out NULL: to the log */
    FILE *out;
    const char *place;
} diverted;

static struct { /* the latest errors and warnings, for who looks at a running node */
    pthread_mutex_t lock;
    char lines[BRIM_LOG_RECENT_MAX][BRIM_LOG_RECENT_BYTES];
    unsigned total;
} recent = {.lock = PTHREAD_MUTEX_INITIALIZER};

static const char *const level_names[] = {
    [BRIM_LOG_ERROR] = "error",
    [BRIM_LOG_WARN] = "warn",
    [BRIM_LOG_INFO] = "info",
    [BRIM_LOG_DEBUG] = "debug",
};

/* One line under construction. */
struct line {
    char bytes[LINE_MAX_BYTES];
    size_t len;
    bool is_cut;
};

static void append_v(struct line *line, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));
static void append(struct line *line, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void append_v(struct line *line, const char *format, va_list args)
{
    size_t room = sizeof(line->bytes) - line->len;
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): a parameter; clang 14 is mistaken. */
    int n = vsnprintf(line->bytes + line->len, room, format, args);

    if (n < 0)
        return; /* an argument that cannot be converted: the rest of the line still helps */
    if ((size_t)n >= room) {
        line->is_cut = true;
        line->len = sizeof(line->bytes) - 1;
    } else {
        line->len += (size_t)n;
    }
}

static void append(struct line *line, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    append_v(line, format, args);
    va_end(args);
}

static void begin(struct line *line, enum brim_log_level level, const char *event)
{
    int64_t now_ms = brim_clock_wall_ms();
    time_t now_s = (time_t)(now_ms / 1000);
    struct tm tm;

    line->len = 0;
    line->is_cut = false;
    const struct tm *utc = gmtime_r(&now_s, &tm);
    INVARIANT(utc != NULL);
    append(line, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ %s %s", tm.tm_year + 1900, tm.tm_mon + 1,
           tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(now_ms % 1000), level_names[level],
           event);
}

/* Ends the line and makes control bytes harmless: one event stays one line. */
static void seal(struct line *line)
{
    static const char cut_mark[] = "...";

    if (line->is_cut) {
        line->len = sizeof(line->bytes) - sizeof(cut_mark);
        for (size_t i = 0; i < sizeof(cut_mark) - 1; i++)
            line->bytes[line->len++] = cut_mark[i];
    }
    for (size_t i = 0; i < line->len; i++) {
        unsigned char c = (unsigned char)line->bytes[i];

        if (c < 0x20 || c == 0x7f)
            line->bytes[i] = '?';
    }
    INVARIANT(line->len < sizeof(line->bytes));
    line->bytes[line->len++] = '\n';
}

static void finish(struct line *line)
{
    ssize_t n;

    seal(line);
    do {
        n = write(atomic_load_explicit(&out_fd, memory_order_relaxed), line->bytes, line->len);
    } while (n < 0 && errno == EINTR);
    /* A log that cannot be written has nowhere to say so. */
}

/* line: finished, with its newline. */
static void remember(const struct line *line)
{
    size_t len = line->len - 1;
    char *place;

    if (len >= BRIM_LOG_RECENT_BYTES)
        len = BRIM_LOG_RECENT_BYTES - 1;
    pthread_mutex_lock(&recent.lock);
    place = recent.lines[recent.total++ % BRIM_LOG_RECENT_MAX];
    memcpy(place, line->bytes, len);
    place[len] = '\0';
    pthread_mutex_unlock(&recent.lock);
}

unsigned brim_log_recent(char lines_out[BRIM_LOG_RECENT_MAX][BRIM_LOG_RECENT_BYTES])
{
    unsigned count;

    pthread_mutex_lock(&recent.lock);
    count = recent.total < BRIM_LOG_RECENT_MAX ? recent.total : BRIM_LOG_RECENT_MAX;
    for (unsigned i = 0; i < count; i++)
        memcpy(lines_out[i], recent.lines[(recent.total - 1 - i) % BRIM_LOG_RECENT_MAX],
               BRIM_LOG_RECENT_BYTES);
    pthread_mutex_unlock(&recent.lock);
    return count;
}

/* Counts a line of this second; true if it may pass. *dropped_out: lines lost in earlier ones. */
static bool admit(struct brim_log_site *site, uint32_t *dropped_out)
{
    /* + 1: never the 0 of a site that has not spoken yet. */
    uint64_t now_s = brim_clock_mono_ms() / 1000 + 1;
    uint64_t window_s = atomic_load_explicit(&site->window_s, memory_order_relaxed);

    *dropped_out = 0;
    if (window_s != now_s && atomic_compare_exchange_strong(&site->window_s, &window_s, now_s)) {
        uint32_t seen = atomic_exchange(&site->seen, 1);

        *dropped_out = seen > LINES_PER_S ? seen - LINES_PER_S : 0;
        return true;
    }

    return atomic_fetch_add(&site->seen, 1) < LINES_PER_S;
}

void brim_log_setup(enum brim_log_level level, int fd)
{
    INVARIANT((unsigned)level <= BRIM_LOG_DEBUG);
    INVARIANT(fd >= 0);
    atomic_store(&level_max, (int)level);
    atomic_store(&out_fd, fd);
}

void brim_log_divert(FILE *out, const char *place)
{
    INVARIANT((out == NULL) == (place == NULL));
    diverted.out = out;
    diverted.place = place;
}

static void divert(const char *event, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));
static void divert(const char *event, const char *format, va_list args)
{
    struct line line = {.len = 0};

    append(&line, "%s: %s%s", diverted.place, event, format[0] == '\0' ? "" : " ");
    append_v(&line, format, args);
    seal(&line);
    (void)fwrite(line.bytes, 1, line.len, diverted.out);
}

void brim_log_write(struct brim_log_site *site, enum brim_log_level level, const char *event,
                    const char *format, ...)
{
    int saved_errno = errno; /* callers log first and translate errno afterwards */
    struct line line;
    uint32_t dropped = 0;
    va_list args;

    INVARIANT((unsigned)level <= BRIM_LOG_DEBUG);
    if (level == BRIM_LOG_ERROR && diverted.out != NULL) {
        va_start(args, format);
        divert(event, format, args);
        va_end(args);
        goto out;
    }
    if ((int)level > atomic_load_explicit(&level_max, memory_order_relaxed))
        return;
    if (site != NULL && !admit(site, &dropped)) {
        atomic_fetch_add_explicit(&dropped_total, 1, memory_order_relaxed);
        goto out;
    }

    if (dropped > 0) {
        begin(&line, level, "log.dropped");
        append(&line, " event=%s count=%u", event, dropped);
        finish(&line);
    }
    begin(&line, level, event);
    if (format[0] != '\0')
        append(&line, " ");
    va_start(args, format);
    append_v(&line, format, args);
    va_end(args);
    finish(&line);
    if (level <= BRIM_LOG_WARN)
        remember(&line);

out:
    errno = saved_errno;
}

uint64_t brim_log_dropped(void)
{
    return atomic_load_explicit(&dropped_total, memory_order_relaxed);
}
