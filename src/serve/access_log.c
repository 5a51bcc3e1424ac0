/* SPDX-License-Identifier: MIT */
/*
 * A ring of bytes per worker, one writer thread for all of them.
 *
 *   worker: put() copies a record (struct head, then its strings) into its ring and moves `tail`;
 *           no lock, no allocation. No room: the record is dropped and counted.
 *   writer: drains all rings, formats into one buffer, writes it in pieces of up to 256 KiB and
 *           moves `head`. A blocked output blocks only this thread; the rings fill, and drop.
 *
 * Positions only grow; position modulo size is the place. A record never wraps: where it would, a
 * gap is marked by length 0 and the record begins at the start. Single producer, single consumer:
 * the producer publishes with release, the consumer frees with release.
 *
 * Waking. After a batch the writer sleeps TICK_MS, so that lines gather; after a tick without any
 * it sleeps until somebody calls. `bell_bytes` says how much a ring must hold for its worker to
 * call: half a ring during a tick, anything during the long sleep, never while the writer is awake.
 * Who calls takes the right to call away from the others (exchange), so that a sleep costs the
 * workers one system call together. `tail` and `bell_bytes` are written and read in opposite order
 * by the two sides, which is why these four accesses are sequentially consistent.
 *
 * Lines lost behind the ring (disk full, a reader that has gone, a blocked output at the end) are
 * counted like those dropped before it. A line that was cut by a failed write is ended by a newline
 * before the next one begins.
 */
#include "brim/serve/access_log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "brim/base/clock.h"
#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/base/metric.h"
#include "brim/http/redact.h"
#include "brim/serve/datagrams.h"

#define TICK_MS         50
#define ALIGN           8u
#define RING_BYTES_MIN  65536u
#define OUT_BYTES       262144u
#define PIPE_PIECE      4096u /* PIPE_BUF: what fits a pipe that poll() calls writable */
#define BLOCKED_POLL_MS 100
#define END_PATIENCE_MS 2000 /* how long the end of the process waits for a blocked output */

/* X(member of the record, bytes kept); what is longer is cut. */
#define TARGET_BYTES_MAX  4096u
#define REFERER_BYTES_MAX 2048u
#define STRING_TABLE(X)                                                                            \
    X(peer, 64u)                                                                                   \
    X(method, 32u)                                                                                 \
    X(scheme, 8u)                                                                                  \
    X(host, 256u)                                                                                  \
    X(target, TARGET_BYTES_MAX)                                                                    \
    X(protocol, 16u)                                                                               \
    X(cache, 16u)                                                                                  \
    X(reason, 128u)                                                                                \
    X(site, 256u)                                                                                  \
    X(user_agent, 1024u)                                                                           \
    X(referer, REFERER_BYTES_MAX)                                                                  \
    X(trace, 32u)                                                                                  \
    X(span, 16u)

enum {
#define STRING_COUNT(member, max) STRING_##member,
    STRING_TABLE(STRING_COUNT)
#undef STRING_COUNT
        STRINGS
};

#define STRING_SUM(member, max) +(max)
#define STRING_BYTES_MAX        (0u STRING_TABLE(STRING_SUM))
#define LINE_BYTES_MAX          ((size_t)STRING_BYTES_MAX * 6 + 1024) /* every byte as \u00XX */

struct head {
    uint32_t bytes; /* of the whole record, aligned; 0: a gap up to the end of the ring */
    uint16_t lengths[STRINGS];
    struct brim_access_record record; /* its strings stand behind, and point nowhere */
};

/* Behind a gap, which is shorter than a record, there must be room for a record. */
static_assert(2 * (sizeof(struct head) + STRING_BYTES_MAX + ALIGN) < RING_BYTES_MIN,
              "the largest record fits the smallest ring wherever it begins");

struct ring { /* the writer writes one cache line of it, the worker the other */
    _Atomic uint64_t head __attribute__((aligned(64)));
    _Atomic uint64_t tail __attribute__((aligned(64)));
    uint64_t seen; /* the worker's: for sampling */
    char *bytes;
    size_t size; /* multiple of ALIGN */
};

struct brim_access_log {
    /* what put() reads, in one cache line that hardly ever changes */
    _Atomic uint64_t bell_bytes __attribute__((aligned(64)));
    struct ring *rings;
    size_t ring_count;
    uint64_t sample; /* one request in so many */
    char *path;      /* NULL: stdout */
    size_t at_most;  /* bytes that a write may take at once */
    pthread_t thread;
    int fd;
    int bell; /* eventfd: wakes the writer */
    int format;
    struct brim_redact redact;
    struct brim_datagrams *datagrams; /* NULL: a file or stdout */
    bool is_started;
    _Atomic bool wants_reopen;
    _Atomic bool is_closing;
    /* the writer's own */
    char *out; /* OUT_BYTES and a line; out[0] is the newline that ends a cut line */
    size_t out_len;
    uint64_t give_up_ms; /* 0: never */
    struct brim_access_stamp stamp;
    bool is_cut; /* the last write ended within a line */
};

/* ---- the bell: any thread ---- */

static void ring_bell(struct brim_access_log *log)
{
    const uint64_t one = 1;
    ssize_t written = write(log->bell, &one, sizeof(one));

    INVARIANT(written == (ssize_t)sizeof(one) || errno == EAGAIN); /* EAGAIN: it is ringing */
}

/* Sleeps until a tick is over, or, after a tick in which nothing came, until something does. */
static void sleep_writer(struct brim_access_log *log, bool was_busy)
{
    struct pollfd bell = {.fd = log->bell, .events = POLLIN};
    bool has_more = false;
    uint64_t count;

    atomic_store(&log->bell_bytes, was_busy ? log->rings[0].size / 2 : 1);
    for (size_t i = 0; !was_busy && i < log->ring_count; i++)
        if (atomic_load(&log->rings[i].tail) != atomic_load(&log->rings[i].head))
            has_more = true;
    if (!has_more)
        (void)poll(&bell, 1, was_busy ? TICK_MS : -1);
    atomic_store(&log->bell_bytes, UINT64_MAX);
    while (read(log->bell, &count, sizeof(count)) < 0 && errno == EINTR)
        ;
}

/* ---- worker's side ---- */

static char *copy(char *at, struct brim_str text)
{
    if (text.len > 0)
        memcpy(at, text.base, text.len);
    return at + text.len;
}

/* The place for bytes in one piece, or NULL. *tail_out: where the ring ends with it. */
static char *ring_reserve(struct ring *ring, size_t bytes, uint64_t *tail_out)
{
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    size_t place = (size_t)(tail % ring->size);
    size_t gap = ring->size - place < bytes ? ring->size - place : 0;

    INVARIANT(tail - head <= ring->size);
    if (tail + gap + bytes - head > ring->size)
        return NULL;
    if (gap > 0) {
        const uint32_t none = 0;
        memcpy(ring->bytes + place, &none, sizeof(none)); /* ALIGN leaves room for it */
        place = 0;
    }
    *tail_out = tail + gap + bytes;
    return ring->bytes + place;
}

/* Makes head from record, and strings as far as they are kept. */
static void describe(const struct brim_access_record *record, struct head *head_out,
                     struct brim_str strings_out[STRINGS])
{
    size_t bytes = sizeof(*head_out);

    *head_out = (struct head){.record = *record};
#define KEEP(member, max)                                                                          \
    strings_out[STRING_##member] = (struct brim_str){                                              \
        record->member.base, record->member.len > (max) ? (max) : record->member.len};             \
    head_out->lengths[STRING_##member] = (uint16_t)strings_out[STRING_##member].len;               \
    bytes += strings_out[STRING_##member].len;
    STRING_TABLE(KEEP)
#undef KEEP
    head_out->bytes = (uint32_t)((bytes + ALIGN - 1) / ALIGN * ALIGN);
}

/* The record of which these are the bytes. */
static void restore(const char *bytes, struct brim_access_record *record_out)
{
    struct head head;
    const char *from = bytes + sizeof(head);

    memcpy(&head, bytes, sizeof(head));
    *record_out = head.record;
#define TAKE(member, max)                                                                          \
    record_out->member = brim_str(from, head.lengths[STRING_##member]);                            \
    from += head.lengths[STRING_##member];
    STRING_TABLE(TAKE)
#undef TAKE
}

void brim_access_log_put(struct brim_access_log *log, size_t worker,
                         const struct brim_access_record *record)
{
    struct brim_str strings[STRINGS];
    struct head head;
    struct ring *ring;
    uint64_t tail, waiting;
    char *at;

    if (log == NULL)
        return;
    INVARIANT(worker < log->ring_count);
    ring = &log->rings[worker];
    if (record->status < 500 && ring->seen++ % log->sample != 0)
        return;
    describe(record, &head, strings);
    at = ring_reserve(ring, head.bytes, &tail);
    if (at == NULL) {
        BRIM_COUNT(LOG_DROPPED);
        return;
    }
    at = copy(at, brim_str((const char *)&head, sizeof(head)));
    for (size_t i = 0; i < STRINGS; i++)
        at = copy(at, strings[i]);
    atomic_store(&ring->tail, tail);
    waiting = tail - atomic_load_explicit(&ring->head, memory_order_relaxed);
    if (waiting >= atomic_load(&log->bell_bytes) &&
        atomic_exchange(&log->bell_bytes, UINT64_MAX) != UINT64_MAX)
        ring_bell(log);
}

/* ---- formatting: writer thread ---- */

/* What a redacted parameter looks like is longer than a short value; what does not fit is cut. */
static struct brim_str redacted(struct brim_access_log *log, struct brim_str text, char *room,
                                size_t bytes)
{
    return brim_redact_query(&log->redact, text, room, bytes);
}

static void format_record(struct brim_access_log *log, const char *bytes)
{
    char target[TARGET_BYTES_MAX], referer[REFERER_BYTES_MAX];
    char *at = log->out + log->out_len;
    struct brim_access_record record;
    char *end;

    restore(bytes, &record);
    record.target = redacted(log, record.target, target, sizeof(target));
    record.referer = redacted(log, record.referer, referer, sizeof(referer));
    if (log->datagrams != NULL)
        at = brim_datagram_prefix(log->datagrams, at, record.start_wall_ms / 1000);
    if (log->format == 0)
        end = brim_access_line_json(at, &record, &log->stamp);
    else
        end = brim_access_line_combined(at, &record, &log->stamp);
    INVARIANT((size_t)(end - at) <= LINE_BYTES_MAX);
    log->out_len = (size_t)(end - log->out);
}

/* ---- writing: writer thread ---- */

/* While the process ends, only so long. */
static bool may_wait(void *ctx)
{
    struct brim_access_log *log = ctx;

    if (!atomic_load(&log->is_closing))
        return true;
    if (log->give_up_ms == 0)
        log->give_up_ms = brim_clock_mono_ms() + END_PATIENCE_MS;
    return brim_clock_mono_ms() < log->give_up_ms;
}

/* Waits until the output takes bytes; false: it is time to do without. */
static bool wait_writable(struct brim_access_log *log)
{
    struct pollfd fd = {.fd = log->fd, .events = POLLOUT};

    for (;;) {
        if (poll(&fd, 1, BLOCKED_POLL_MS) > 0)
            return true;
        if (atomic_load(&log->wants_reopen))
            return false; /* it may lead away from what is blocked */
        if (!may_wait(log))
            return false;
    }
}

static void count_lost(struct brim_access_log *log, size_t from)
{
    const char *at = log->out + from;
    const char *end = log->out + log->out_len;

    while ((at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
        BRIM_COUNT(LOG_DROPPED);
        at++;
    }
}

static void send_lines(struct brim_access_log *log)
{
    struct brim_str lines = brim_str(log->out + 1, log->out_len - 1);
    size_t lost = brim_datagrams_send(log->datagrams, lines, may_wait, log);

    BRIM_ADD(LOG_DROPPED, lost);
    log->out_len = 1;
}

static void flush_out(struct brim_access_log *log)
{
    size_t begin = log->is_cut ? 0 : 1;
    size_t at = begin;

    while (log->out_len > 1 && at < log->out_len) {
        size_t piece = log->out_len - at;
        ssize_t written;

        if (!wait_writable(log))
            break;
        written = write(log->fd, log->out + at, piece < log->at_most ? piece : log->at_most);
        if (written < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (written < 0) {
            BRIM_LOG(ERROR, "access_log.write_failed", "path=%s errno=%d",
                     log->path == NULL ? "stdout" : log->path, errno);
            break; /* these lines are lost; the next ones are tried again */
        }
        at += (size_t)written;
    }
    if (at > begin)
        log->is_cut = log->out[at - 1] != '\n';
    count_lost(log, at > 0 ? at : 1);
    log->out_len = 1;
}

static void flush(struct brim_access_log *log)
{
    if (log->datagrams != NULL)
        send_lines(log);
    else
        flush_out(log);
}

/* Formats what is in the ring; false: nothing. The room of a record is free once it is formatted.
 */
static bool drain(struct brim_access_log *log, struct ring *ring)
{
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);
    bool has_any = head < tail;

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
        if (log->out_len >= OUT_BYTES)
            flush(log);
    }
    return has_any;
}

/* ---- outputs ---- */

/* Never waits, whatever is at path: opening a FIFO for writing would until somebody reads. */
static int open_path(const char *path)
{
    int flags = O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    int fd = open(path, O_WRONLY | flags, 0640);

    if (fd < 0 && errno == ENXIO) /* a FIFO that nobody reads yet */
        fd = open(path, O_RDWR | flags, 0640);
    return fd;
}

/* Errors: errno. */
static int open_output(struct brim_access_log *log)
{
    struct stat stat;
    int fd = log->path == NULL ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3) : open_path(log->path);

    if (fd < 0)
        return -1;
    if (fstat(fd, &stat) != 0) {
        close(fd);
        return -1;
    }
    /* Who gave us stdout shares it, so that it cannot be made non-blocking: small pieces instead.
     */
    log->at_most = log->path == NULL && (S_ISFIFO(stat.st_mode) || S_ISSOCK(stat.st_mode))
                       ? PIPE_PIECE
                       : SIZE_MAX;
    return fd;
}

static void reopen(struct brim_access_log *log)
{
    int fd;

    if (log->path == NULL || log->datagrams != NULL)
        return;
    fd = open_output(log);
    if (fd < 0) {
        BRIM_LOG(ERROR, "access_log.reopen_failed", "path=%s errno=%d; the old file is kept",
                 log->path, errno);
        return;
    }
    close(log->fd);
    log->fd = fd;
    log->is_cut = false;
    BRIM_LOG(INFO, "access_log.reopened", "path=%s", log->path);
}

/* ---- the writer thread ---- */

/* One batch; false: nothing was there. */
static bool tick(struct brim_access_log *log)
{
    bool has_any = false;

    for (size_t i = 0; i < log->ring_count; i++)
        if (drain(log, &log->rings[i]))
            has_any = true;
    flush(log);
    if (atomic_exchange(&log->wants_reopen, false))
        reopen(log);
    return has_any;
}

static void *writer_main(void *arg)
{
    struct brim_access_log *log = arg;
    bool is_last;

    pthread_setname_np(pthread_self(), "brim-log");
    do {
        is_last = atomic_load(&log->is_closing);
        bool has_any = tick(log);

        if (!is_last)
            sleep_writer(log, has_any);
    } while (!is_last);
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

    /* SIGPIPE too: whether the reader of a pipe is there is no reason to end. */
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    error = pthread_create(&log->thread, NULL, writer_main, log);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    log->is_started = error == 0;
    return error == 0 ? BRIM_OK : BRIM_ENOMEM;
}

static enum brim_err open_all(struct brim_access_log *log, const struct brim_conf_access_log *conf,
                              size_t workers)
{
    log->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (brim_datagrams_is_target(conf->path))
        log->datagrams = brim_datagrams_open(conf->path);
    else
        log->fd = open_output(log);
    if (log->bell < 0 || (log->fd < 0 && log->datagrams == NULL)) {
        BRIM_LOG(ERROR, "access_log.open_failed",
                 "path=%s errno=%d do=\"make its directory and let brim write there\"", conf->path,
                 errno);
        return BRIM_EIO;
    }
    log->out = malloc(OUT_BYTES + LINE_BYTES_MAX);
    if (log->out == NULL || !open_rings(log, workers, conf->buffer_bytes))
        return BRIM_ENOMEM;
    log->out[0] = '\n';
    log->out_len = 1;
    return start_writer(log);
}

enum brim_err brim_access_log_open(const struct brim_conf_access_log *conf, size_t workers,
                                   struct brim_access_log **log_out)
{
    struct brim_access_log *log;
    enum brim_err err;

    INVARIANT(workers > 0);
    INVARIANT(conf->buffer_bytes >= RING_BYTES_MIN);
    *log_out = NULL;
    if (strcmp(conf->path, "off") == 0)
        return BRIM_OK;
    log = aligned_alloc(64, sizeof(*log));
    if (log == NULL)
        return BRIM_ENOMEM;
    *log = (struct brim_access_log){
        .fd = -1, .bell = -1, .format = conf->format, .sample = (uint64_t)conf->sample};
    brim_redact_init(&log->redact, conf->redact.items, conf->redact.count);
    atomic_init(&log->bell_bytes, UINT64_MAX);
    if (strcmp(conf->path, "stdout") != 0)
        log->path = brim_strdup(conf->path);
    err = open_all(log, conf, workers);
    if (err != BRIM_OK) {
        brim_access_log_close(log);
        return err;
    }
    *log_out = log;
    return BRIM_OK;
}

void brim_access_log_reopen(struct brim_access_log *log)
{
    if (log == NULL)
        return;
    atomic_store(&log->wants_reopen, true);
    ring_bell(log);
}

void brim_access_log_close(struct brim_access_log *log)
{
    if (log == NULL)
        return;
    atomic_store(&log->is_closing, true);
    if (log->is_started) {
        ring_bell(log);
        pthread_join(log->thread, NULL);
    }
    for (size_t i = 0; i < log->ring_count; i++)
        free(log->rings[i].bytes);
    free(log->rings);
    free(log->out);
    brim_redact_fini(&log->redact);
    brim_datagrams_close(log->datagrams);
    free(log->path);
    if (log->fd >= 0)
        close(log->fd);
    if (log->bell >= 0)
        close(log->bell);
    free(log);
}
