/* SPDX-License-Identifier: MIT */
/*
 * A ring of bytes per worker, one writer thread for all of them.
 *
 *   worker: put() copies a record (struct head, then its strings) into its ring and moves `tail`;
 *           no lock, no system call. No room: the record is dropped and counted.
 *   writer: every TICK_MS it drains all rings, formats into one buffer, writes it out in large
 *           pieces, and moves `head`. A blocked output blocks only this thread.
 *
 * Positions only grow; position modulo size is the place. A record never wraps: where it would, a
 * gap is marked by length 0 and the record begins at the start. Single producer, single consumer:
 * the producer publishes with release, the consumer frees with release.
 *
 * JSON is written by the small escaper here and not by a library: a line has about twenty members
 * of fixed names, and building a tree for it costs several times the formatting (and malloc).
 * Bytes that are not UTF-8 are written as \u00XX of the byte, so that every line is valid JSON.
 */
#include "brim/serve/access_log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "brim/base/clock.h"
#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/base/metric.h"

#define TICK_MS         50
#define STRINGS         12
#define STRING_MAX      2048u /* of each; longer ones are cut */
#define ALIGN           8u
#define OUT_BYTES       (256u * 1024u)
#define LINE_MAX_BYTES  (STRINGS * STRING_MAX * 6u + 1024u) /* every byte escaped as \u00XX */
#define PIPE_PIECE      4096u /* PIPE_BUF: what poll() says fits a pipe */
#define END_PATIENCE_MS 2000  /* how long the end of the process waits for a blocked output */

enum string {
    PEER,
    METHOD,
    SCHEME,
    HOST,
    TARGET,
    PROTOCOL,
    CACHE,
    REASON,
    SITE,
    USER_AGENT,
    REFERER,
};

struct head {
    uint32_t
        bytes; /* of the whole record, aligned; 0: the rest up to the end of the ring is a gap */
    uint16_t lengths[STRINGS];
    int64_t start_wall_ms;
    uint64_t duration_us;
    uint64_t first_byte_us;
    uint64_t origin_ms;
    uint64_t bytes_sent;
    uint64_t request_bytes;
    uint64_t request_id[2];
    unsigned status;
    unsigned origin_status;
    bool complete;
};

struct ring {
    char *bytes;
    size_t size; /* multiple of ALIGN */
    _Atomic uint64_t head __attribute__((aligned(64)));
    _Atomic uint64_t tail __attribute__((aligned(64)));
};

struct out {
    char *bytes;
    size_t len;
};

struct brim_access_log {
    char *path; /* NULL: stdout */
    int fd;
    int format;
    bool is_pipe;
    size_t ring_count;
    struct ring *rings;
    struct out out;
    pthread_t thread;
    bool is_started;
    _Atomic bool wants_reopen;
    _Atomic bool is_closing;
    uint64_t give_up_ms; /* writer only; 0: never */
};

/* ---- worker's side ---- */

static void copy_strings(char *at, const struct brim_str *strings, const uint16_t *lengths)
{
    for (size_t i = 0; i < STRINGS; i++) {
        if (lengths[i] > 0)
            memcpy(at, strings[i].base, lengths[i]);
        at += lengths[i];
    }
}

/* The place for bytes in one piece, or NULL. *tail_out: where the ring ends with it. */
static char *ring_reserve(struct ring *ring, size_t bytes, uint64_t *tail_out)
{
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    size_t place = (size_t)(tail % ring->size);
    size_t gap = ring->size - place < bytes ? ring->size - place : 0;

    if (tail + gap + bytes - head > ring->size)
        return NULL;
    if (gap > 0) {
        uint32_t none = 0;
        memcpy(ring->bytes + place, &none, sizeof(none)); /* ALIGN leaves room for it */
        place = 0;
    }
    *tail_out = tail + gap + bytes;
    return ring->bytes + place;
}

void brim_access_log_put(struct brim_access_log *log, size_t worker,
                         const struct brim_access_record *record)
{
    const struct brim_str strings[STRINGS] = {
        [PEER] = record->peer,       [METHOD] = record->method,
        [SCHEME] = record->scheme,   [HOST] = record->host,
        [TARGET] = record->target,   [PROTOCOL] = record->protocol,
        [CACHE] = record->cache,     [REASON] = record->reason,
        [SITE] = record->site,       [USER_AGENT] = record->user_agent,
        [REFERER] = record->referer,
    };
    struct head head = {
        .start_wall_ms = record->start_wall_ms,
        .duration_us = record->duration_us,
        .first_byte_us = record->first_byte_us,
        .origin_ms = record->origin_ms,
        .bytes_sent = record->bytes_sent,
        .request_bytes = record->request_bytes,
        .request_id = {record->request_id[0], record->request_id[1]},
        .status = record->status,
        .origin_status = record->origin_status,
        .complete = record->complete,
    };
    size_t bytes = sizeof(head);
    struct ring *ring;
    uint64_t tail;
    char *place;

    if (log == NULL)
        return;
    INVARIANT(worker < log->ring_count);
    ring = &log->rings[worker];
    for (size_t i = 0; i < STRINGS; i++) {
        head.lengths[i] = (uint16_t)(strings[i].len > STRING_MAX ? STRING_MAX : strings[i].len);
        bytes += head.lengths[i];
    }
    bytes = (bytes + ALIGN - 1) / ALIGN * ALIGN;
    head.bytes = (uint32_t)bytes;
    place = ring_reserve(ring, bytes, &tail);
    if (place == NULL) {
        BRIM_COUNT(LOG_DROPPED);
        return;
    }
    memcpy(place, &head, sizeof(head));
    copy_strings(place + sizeof(head), strings, head.lengths);
    atomic_store_explicit(&ring->tail, tail, memory_order_release);
}

/* ---- formatting: writer thread ---- */

static void put_bytes(struct out *out, const char *bytes, size_t len)
{
    memcpy(out->bytes + out->len, bytes, len);
    out->len += len;
}

static void put_text(struct out *out, const char *text)
{
    put_bytes(out, text, strlen(text));
}

__attribute__((format(printf, 2, 3))) static void put_format(struct out *out, const char *format,
                                                             ...)
{
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(out->bytes + out->len, 256, format, args);
    va_end(args);
    if (len > 0)
        out->len += len < 256 ? (size_t)len : 255;
}

/* Length of the UTF-8 sequence at text, 0 if it is none (RFC 3629: no surrogates, no overlongs). */
static size_t utf8_length(const unsigned char *text, size_t left)
{
    unsigned char lead = text[0];
    size_t length = lead < 0x80 ? 1 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;

    if (lead >= 0x80 && (lead < 0xc2 || lead > 0xf4))
        return 0;
    if (length > left)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    if ((lead == 0xe0 && text[1] < 0xa0) || (lead == 0xed && text[1] > 0x9f) ||
        (lead == 0xf0 && text[1] < 0x90) || (lead == 0xf4 && text[1] > 0x8f))
        return 0;
    return length;
}

static void put_json(struct out *out, struct brim_str text)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *at = (const unsigned char *)text.base;
    size_t left = text.len;

    while (left > 0) {
        size_t length = utf8_length(at, left);

        if (length == 0 || *at < 0x20 || *at == 0x7f) {
            const char escape[] = {'\\', 'u', '0', '0', digits[*at >> 4], digits[*at & 15]};
            put_bytes(out, escape, sizeof(escape));
            length = 1;
        } else if (*at == '"' || *at == '\\') {
            const char escape[] = {'\\', (char)*at};
            put_bytes(out, escape, sizeof(escape));
        } else {
            put_bytes(out, (const char *)at, length);
        }
        at += length;
        left -= length;
    }
}

static void put_member(struct out *out, const char *name, struct brim_str value)
{
    put_format(out, ",\"%s\":\"", name);
    put_json(out, value);
    put_text(out, "\"");
}

static void split_time(int64_t wall_ms, struct tm *tm_out)
{
    time_t seconds = (time_t)(wall_ms / 1000);

    gmtime_r(&seconds, tm_out);
}

static void format_json(struct out *out, const struct head *head, const struct brim_str *strings)
{
    struct tm tm;

    split_time(head->start_wall_ms, &tm);
    put_format(out, "{\"time\":\"%04d-%02d-%02dT%02d:%02d:%02d.%03dZ\"", tm.tm_year + 1900,
               tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
               (int)(head->start_wall_ms % 1000));
    put_format(out, ",\"id\":\"%016" PRIx64 "%016" PRIx64 "\"", head->request_id[0],
               head->request_id[1]);
    put_member(out, "peer", strings[PEER]);
    put_member(out, "method", strings[METHOD]);
    put_member(out, "scheme", strings[SCHEME]);
    put_member(out, "host", strings[HOST]);
    put_member(out, "target", strings[TARGET]);
    put_member(out, "protocol", strings[PROTOCOL]);
    put_format(out, ",\"status\":%u", head->status);
    put_member(out, "cache", strings[CACHE]);
    put_member(out, "reason", strings[REASON]);
    put_member(out, "site", strings[SITE]);
    put_format(out, ",\"bytes\":%" PRIu64 ",\"request_bytes\":%" PRIu64, head->bytes_sent,
               head->request_bytes);
    put_format(out, ",\"duration_ms\":%" PRIu64 ".%03u,\"ttfb_ms\":%" PRIu64 ".%03u",
               head->duration_us / 1000, (unsigned)(head->duration_us % 1000),
               head->first_byte_us / 1000, (unsigned)(head->first_byte_us % 1000));
    put_format(out, ",\"origin_ms\":%" PRIu64 ",\"origin_status\":%u,\"complete\":%s",
               head->origin_ms, head->origin_status, head->complete ? "true" : "false");
    put_member(out, "user_agent", strings[USER_AGENT]);
    put_member(out, "referer", strings[REFERER]);
    put_text(out, "}\n");
}

/* As Apache does: quotes and backslashes escaped, other control and 8-bit bytes as \xHH. */
static void put_apache(struct out *out, struct brim_str text)
{
    if (text.len == 0)
        put_text(out, "-");
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.base[i];

        if (c == '"' || c == '\\')
            put_format(out, "\\%c", c);
        else if (c < 0x20 || c >= 0x7f)
            put_format(out, "\\x%02x", c);
        else
            put_bytes(out, &text.base[i], 1);
    }
}

static void format_combined(struct out *out, const struct head *head,
                            const struct brim_str *strings)
{
    static const char *months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct tm tm;

    split_time(head->start_wall_ms, &tm);
    put_apache(out, strings[PEER]);
    put_format(out, " - - [%02d/%s/%04d:%02d:%02d:%02d +0000] \"", tm.tm_mday, months[tm.tm_mon],
               tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
    put_apache(out, strings[METHOD]);
    put_text(out, " ");
    put_apache(out, strings[TARGET]);
    put_text(out, " ");
    put_apache(out, strings[PROTOCOL]);
    put_format(out, "\" %u ", head->status);
    if (head->bytes_sent == 0)
        put_text(out, "-");
    else
        put_format(out, "%" PRIu64, head->bytes_sent);
    put_text(out, " \"");
    put_apache(out, strings[REFERER]);
    put_text(out, "\" \"");
    put_apache(out, strings[USER_AGENT]);
    put_text(out, "\"\n");
}

/* ---- writing: writer thread ---- */

/* Waits until the output takes bytes; false: it is time to give up. */
static bool wait_writable(struct brim_access_log *log)
{
    struct pollfd fd = {.fd = log->fd, .events = POLLOUT};

    for (;;) {
        if (poll(&fd, 1, 100) > 0)
            return true;
        if (!atomic_load(&log->is_closing))
            continue;
        if (log->give_up_ms == 0)
            log->give_up_ms = brim_clock_mono_ms() + END_PATIENCE_MS;
        if (brim_clock_mono_ms() >= log->give_up_ms)
            return false;
    }
}

static void flush_out(struct brim_access_log *log)
{
    size_t done = 0;

    while (done < log->out.len) {
        size_t piece = log->out.len - done;
        ssize_t written;

        if (log->is_pipe && piece > PIPE_PIECE)
            piece = PIPE_PIECE;
        if (!wait_writable(log))
            break;
        written = write(log->fd, log->out.bytes + done, piece);
        if (written < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (written < 0) {
            BRIM_LOG(ERROR, "access_log.write_failed", "path=%s errno=%d",
                     log->path == NULL ? "stdout" : log->path, errno);
            break; /* these lines are lost; the next ones are tried again */
        }
        done += (size_t)written;
    }
    log->out.len = 0;
}

static void format_record(struct brim_access_log *log, const char *record)
{
    struct brim_str strings[STRINGS];
    struct head head;
    const char *at = record + sizeof(head);

    memcpy(&head, record, sizeof(head));
    for (size_t i = 0; i < STRINGS; i++) {
        strings[i] = brim_str(at, head.lengths[i]);
        at += head.lengths[i];
    }
    if (log->format == 0)
        format_json(&log->out, &head, strings);
    else
        format_combined(&log->out, &head, strings);
}

/* Formats what is in the ring. The room of a record is free once it is formatted. */
static void drain(struct brim_access_log *log, struct ring *ring)
{
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);

    while (head < tail) {
        size_t place = (size_t)(head % ring->size);
        uint32_t bytes;

        memcpy(&bytes, ring->bytes + place, sizeof(bytes));
        if (bytes == 0) {
            head += ring->size - place;
            continue;
        }
        format_record(log, ring->bytes + place);
        head += bytes;
        atomic_store_explicit(&ring->head, head, memory_order_release);
        if (log->out.len >= OUT_BYTES)
            flush_out(log);
    }
    atomic_store_explicit(&ring->head, head, memory_order_release);
}

static int open_output(const char *path)
{
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
}

static void reopen(struct brim_access_log *log)
{
    int fd;

    if (log->path == NULL)
        return;
    fd = open_output(log->path);
    if (fd < 0) {
        BRIM_LOG(ERROR, "access_log.reopen_failed", "path=%s errno=%d; the old file is kept",
                 log->path, errno);
        return;
    }
    close(log->fd);
    log->fd = fd;
    BRIM_LOG(INFO, "access_log.reopened", "path=%s", log->path);
}

static void tick(struct brim_access_log *log)
{
    for (size_t i = 0; i < log->ring_count; i++)
        drain(log, &log->rings[i]);
    flush_out(log);
    if (atomic_exchange(&log->wants_reopen, false))
        reopen(log);
}

static void *writer_main(void *arg)
{
    struct brim_access_log *log = arg;
    struct timespec span = {.tv_nsec = TICK_MS * 1000000L};

    pthread_setname_np(pthread_self(), "brim-log");
    while (!atomic_load(&log->is_closing)) {
        nanosleep(&span, NULL);
        tick(log);
    }
    tick(log);
    return NULL;
}

/* ---- life ---- */

static bool open_rings(struct brim_access_log *log, size_t workers, size_t bytes)
{
    log->rings = aligned_alloc(64, workers * sizeof(*log->rings));
    if (log->rings == NULL)
        return false;
    for (size_t i = 0; i < workers; i++) {
        struct ring *ring = &log->rings[i];

        *ring = (struct ring){.size = bytes / ALIGN * ALIGN};
        ring->bytes = malloc(ring->size);
        log->ring_count++;
        if (ring->bytes == NULL)
            return false;
    }
    return true;
}

static enum brim_err start_writer(struct brim_access_log *log)
{
    sigset_t all, old;
    int error;

    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    error = pthread_create(&log->thread, NULL, writer_main, log);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    log->is_started = error == 0;
    return error == 0 ? BRIM_OK : BRIM_ENOMEM;
}

enum brim_err brim_access_log_open(const struct brim_conf_access_log *conf, size_t workers,
                                   struct brim_access_log **log_out)
{
    struct brim_access_log *log;
    struct stat stat;
    enum brim_err err = BRIM_ENOMEM;

    *log_out = NULL;
    if (strcmp(conf->path, "off") == 0)
        return BRIM_OK;
    log = brim_alloc(sizeof(*log));
    log->format = conf->format;
    log->fd = -1;
    if (strcmp(conf->path, "stdout") != 0)
        log->path = brim_strdup(conf->path);
    log->fd = log->path == NULL ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3) : open_output(log->path);
    if (log->fd < 0 || fstat(log->fd, &stat) != 0) {
        BRIM_LOG(ERROR, "access_log.open_failed", "path=%s errno=%d", conf->path, errno);
        err = BRIM_EIO;
        goto out;
    }
    log->is_pipe = S_ISFIFO(stat.st_mode) || S_ISSOCK(stat.st_mode);
    log->out.bytes = malloc(OUT_BYTES + LINE_MAX_BYTES);
    if (log->out.bytes != NULL && open_rings(log, workers, conf->buffer_bytes))
        err = start_writer(log);
out:
    if (err != BRIM_OK) {
        brim_access_log_close(log);
        return err;
    }
    *log_out = log;
    return BRIM_OK;
}

void brim_access_log_reopen(struct brim_access_log *log)
{
    if (log != NULL)
        atomic_store(&log->wants_reopen, true);
}

void brim_access_log_close(struct brim_access_log *log)
{
    if (log == NULL)
        return;
    atomic_store(&log->is_closing, true);
    if (log->is_started)
        pthread_join(log->thread, NULL);
    for (size_t i = 0; i < log->ring_count; i++)
        free(log->rings[i].bytes);
    free(log->rings);
    free(log->out.bytes);
    free(log->path);
    if (log->fd >= 0)
        close(log->fd);
    free(log);
}
