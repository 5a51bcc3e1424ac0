/* SPDX-License-Identifier: MIT */
/*
 * No lost wake-up. A reader that finds nothing puts its port on the body's watch and looks again;
 * the body changes its state before it fires the watch. Either the second look sees the change, or
 * the watch fires. The port then stays on the watch until fini: taking it off for each piece would
 * cost more than the notifications, which coalesce.
 *
 * Disk reads. A read that needs no disk is done here and now (BRIM_DISK_NOWAIT: page cache, one
 * extent, copy and checksum). Else a load goes to the pool; it is counted, so that a reader that
 * leaves in the middle just drops its count. `done` is stored with release after the result, then
 * the port fires.
 *
 * Where the pool takes no more jobs, blocking is out of the question and giving up would truncate a
 * response because the disk is busy: the reader fires its own port, hence asks again in the next
 * turn of its loop. Everything else of that loop comes in between, and the page may be there then.
 *
 * Who reads a body that is wholly on disk says so: its segments stay readable until he is through,
 * though they are retired meanwhile (cache/segment_retire.c).
 *
 * A reader of the disk has one extent in RAM; of a body that is on its way there, what that has
 * let go while it is being sent. It is entered in the ledger as a whole extent and from the
 * beginning on, when it can still be refused; a body that goes to disk while it is read is read on.
 */
#include "brim/cache/reader.h"

#include <stdlib.h>

#include "brim/base/invariant.h"
#include "brim/base/metric.h"
#include "brim/base/pool.h"

#define LOAD_MAGIC 0x726c6431u

struct brim_reader_load {
    struct brim_job job; /* first: the pool hands this back */
    uint32_t magic;
    _Atomic unsigned refs; /* reader and job */
    _Atomic bool done;
    struct brim_disk *disk;
    struct brim_port *port; /* counted */
    struct brim_extent extent;
    struct brim_chunk *chunk; /* result, with err */
    enum brim_err err;
};

/* ---- loads ---- */

static void load_unref(struct brim_reader_load *load)
{
    OBJ_CHECK(load, LOAD_MAGIC);
    if (atomic_fetch_sub_explicit(&load->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (load->chunk != NULL)
        brim_chunk_unref(load->chunk);
    brim_port_unref(load->port);
    load->magic = 0;
    free(load);
}

static void load_run(struct brim_job *job)
{
    struct brim_reader_load *load = (struct brim_reader_load *)job;

    OBJ_CHECK(load, LOAD_MAGIC);
    load->err = brim_disk_read(load->disk, &load->extent, BRIM_DISK_WAIT, &load->chunk);
    atomic_store_explicit(&load->done, true, memory_order_release);
    brim_port_fire(load->port);
    load_unref(load);
}

/* Sends a read of extent to the pool, or asks to be asked again. */
static void load_start(struct brim_reader *reader, const struct brim_extent *extent)
{
    struct brim_reader_load *load = brim_alloc(sizeof(*load));

    *load = (struct brim_reader_load){.job = {.run = load_run},
                                      .magic = LOAD_MAGIC,
                                      .refs = 2,
                                      .disk = reader->from.disk,
                                      .port = reader->from.port,
                                      .extent = *extent};
    brim_port_ref(reader->from.port);
    if (brim_pool_submit(reader->from.pool, BRIM_JOB_READ, &load->job) == BRIM_OK) {
        reader->load = load;
        return;
    }
    atomic_store(&load->refs, 1);
    load_unref(load);
    brim_port_fire(reader->from.port);
}

static bool extent_is(const struct brim_extent *a, const struct brim_extent *b)
{
    return a->segment == b->segment && a->offset == b->offset && a->length == b->length;
}

static void forget_read(struct brim_reader *reader)
{
    if (reader->read != NULL)
        brim_chunk_unref(reader->read);
    reader->read = NULL;
}

/* Keeps chunk, with its count, as the extent read last. */
static void remember(struct brim_reader *reader, const struct brim_extent *extent,
                     struct brim_chunk *chunk)
{
    forget_read(reader);
    reader->read = chunk;
    reader->read_extent = *extent;
}

/* Takes over what a load brought. OK: remembered, or there was no load; EAGAIN: under way. */
static enum brim_err load_finish(struct brim_reader *reader)
{
    struct brim_reader_load *load = reader->load;
    enum brim_err err;

    if (load == NULL)
        return BRIM_OK;
    if (!atomic_load_explicit(&load->done, memory_order_acquire))
        return BRIM_EAGAIN;
    err = load->err;
    if (err == BRIM_OK) {
        remember(reader, &load->extent, load->chunk);
        load->chunk = NULL;
    }
    reader->load = NULL;
    load_unref(load);
    return err;
}

/* ---- reader ---- */

/* What reading takes at most. */
static size_t read_bytes(const struct brim_body *body)
{
    uint64_t bytes = brim_body_length(body); /* of one that is still coming perhaps not known */

    return (size_t)(bytes < BRIM_EXTENT_BODY_MAX ? bytes : BRIM_EXTENT_BODY_MAX) +
           BRIM_CHUNK_OVERHEAD;
}

/* False: refused. */
static bool take_memory(struct brim_reader *reader, struct brim_body *body)
{
    size_t bytes = read_bytes(body);

    if (brim_body_mode(body) != BRIM_BODY_SPILL)
        return true;
    if (!brim_ledger_take(reader->from.ledger, bytes, BRIM_LEDGER_FULL)) {
        BRIM_COUNT(MEMORY_REFUSED_READ);
        return false;
    }
    reader->on_ledger = bytes;
    return true;
}

static void give_memory_back(struct brim_reader *reader)
{
    brim_ledger_hold(reader->from.ledger, -(int64_t)reader->on_ledger);
    reader->on_ledger = 0;
}

/* It was in RAM when it began to be read. */
static void note_spilling(struct brim_reader *reader)
{
    if (reader->on_ledger > 0 || brim_body_mode(reader->body) != BRIM_BODY_SPILL)
        return;
    reader->on_ledger = read_bytes(reader->body);
    brim_ledger_hold(reader->from.ledger, (int64_t)reader->on_ledger);
}

enum brim_err brim_reader_init(struct brim_reader *reader, struct brim_body *body, uint64_t offset,
                               uint64_t length, const struct brim_load_from *from)
{
    INVARIANT(from->port != NULL || (brim_body_mode(body) == BRIM_BODY_KEEP &&
                                     brim_body_state(body) == BRIM_BODY_COMPLETE));
    INVARIANT(from->disk == NULL || from->pool != NULL);
    *reader =
        (struct brim_reader){.from = *from, .offset = offset, .end = BRIM_BODY_LENGTH_UNKNOWN};
    if (from->ledger == NULL)
        reader->from.ledger = brim_ledger_whole(brim_body_ledger(body));
    if (length < BRIM_BODY_LENGTH_UNKNOWN - offset)
        reader->end = offset + length;
    if (!take_memory(reader, body))
        return BRIM_ENOSPC;
    reader->place = brim_body_attach(body, offset);
    if (reader->place == NULL) {
        give_memory_back(reader);
        return BRIM_ENOENT;
    }
    brim_body_ref(body);
    reader->body = body;
    return BRIM_OK;
}

static void release_held(struct brim_reader *reader)
{
    for (unsigned i = 0; i < reader->held_count; i++)
        brim_chunk_unref(reader->held[i]);
    reader->held_count = 0;
}

static void begin_use(struct brim_reader *reader)
{
    reader->is_using = true;
    brim_disk_begin_use(reader->from.disk, &reader->use, brim_body_segments(reader->body));
}

static void end_use(struct brim_reader *reader)
{
    if (reader->is_using)
        brim_disk_end_use(reader->from.disk, &reader->use);
    reader->is_using = false;
}

/* Has a disk piece in hand as if it stood in RAM. */
static enum brim_body_get read_piece(struct brim_reader *reader, struct brim_body_piece *piece)
{
    const struct brim_extent *extent = &piece->extent;

    if (reader->from.disk == NULL)
        return BRIM_GET_FAILED;
    if (!reader->is_using && brim_body_is_settled(reader->body))
        begin_use(reader);
    if (reader->read == NULL || !extent_is(&reader->read_extent, extent)) {
        struct brim_chunk *chunk = NULL;
        enum brim_err err;

        forget_read(reader); /* before there are two */
        err = brim_disk_read(reader->from.disk, extent, BRIM_DISK_NOWAIT, &chunk);
        if (err == BRIM_EAGAIN) {
            load_start(reader, extent);
            return BRIM_GET_WAIT;
        }
        if (err != BRIM_OK)
            return BRIM_GET_FAILED;
        remember(reader, extent, chunk);
    }
    brim_chunk_ref(reader->read);
    piece->chunk = reader->read;
    piece->bytes = brim_str((const char *)brim_chunk_data(reader->read) + piece->skip,
                            extent->length - piece->skip);
    return BRIM_GET_RAM;
}

/* What stands at the reader's offset; never GET_DISK. */
static enum brim_body_get get_piece(struct brim_reader *reader, struct brim_body_piece *piece)
{
    enum brim_body_get got = brim_body_get(reader->body, reader->offset, piece);

    if (got == BRIM_GET_WAIT && !reader->watching) {
        reader->watching = true;
        brim_watch_add(brim_body_watch(reader->body), reader->from.port);
        got = brim_body_get(reader->body, reader->offset, piece);
    }
    if (got == BRIM_GET_DISK) {
        /* a cold read must not hold back what is at hand; it is asked for next time */
        bool may_start = reader->held_count == 0;
        bool at_hand = reader->read != NULL && extent_is(&reader->read_extent, &piece->extent);

        got = may_start || at_hand ? read_piece(reader, piece) : BRIM_GET_WAIT;
    }
    return got;
}

static enum brim_reader_got verdict(const struct brim_reader *reader, enum brim_body_get got)
{
    switch (got) {
    case BRIM_GET_WAIT:
        return BRIM_READER_WAIT;
    case BRIM_GET_END:
        /* a range that goes on where the body does not: the receiver was promised more */
        return reader->end == BRIM_BODY_LENGTH_UNKNOWN ? BRIM_READER_END : BRIM_READER_FAILED;
    case BRIM_GET_RAM:
    case BRIM_GET_DISK:
    case BRIM_GET_FAILED:
        break;
    }
    return BRIM_READER_FAILED;
}

enum brim_reader_got brim_reader_next(struct brim_reader *reader, size_t max_bytes,
                                      struct brim_str *iov_out, size_t *count_out)
{
    enum brim_body_get got = BRIM_GET_RAM;
    enum brim_err err;

    INVARIANT(reader->body != NULL);
    INVARIANT(max_bytes > 0);
    *count_out = 0;
    release_held(reader);
    brim_body_advance(reader->body, reader->place, reader->offset);
    note_spilling(reader);
    err = load_finish(reader);
    if (err != BRIM_OK)
        return err == BRIM_EAGAIN ? BRIM_READER_WAIT : BRIM_READER_FAILED;

    while (reader->offset < reader->end && max_bytes > 0 &&
           reader->held_count < BRIM_READER_IOV_MAX) {
        uint64_t left = reader->end - reader->offset;
        struct brim_body_piece piece;

        got = get_piece(reader, &piece);
        if (got != BRIM_GET_RAM)
            break;
        INVARIANT(piece.bytes.len > 0);
        if (piece.bytes.len > max_bytes)
            piece.bytes.len = max_bytes;
        if (piece.bytes.len > left)
            piece.bytes.len = (size_t)left;
        reader->held[reader->held_count] = piece.chunk;
        iov_out[reader->held_count++] = piece.bytes;
        reader->offset += piece.bytes.len;
        max_bytes -= piece.bytes.len;
    }
    *count_out = reader->held_count;
    if (reader->held_count > 0)
        return BRIM_READER_DATA;
    return reader->offset >= reader->end ? BRIM_READER_END : verdict(reader, got);
}

bool brim_reader_is_done(const struct brim_reader *reader)
{
    if (reader->offset >= reader->end)
        return true;
    return reader->end == BRIM_BODY_LENGTH_UNKNOWN &&
           brim_body_state(reader->body) == BRIM_BODY_COMPLETE &&
           reader->offset >= brim_body_bytes(reader->body);
}

size_t brim_reader_memory(const struct brim_reader *reader)
{
    return reader->body == NULL ? 0 : reader->on_ledger + brim_body_share_bytes(reader->body);
}

void brim_reader_fini(struct brim_reader *reader)
{
    if (reader->body == NULL)
        return;
    release_held(reader);
    forget_read(reader);
    if (reader->load != NULL)
        load_unref(reader->load);
    end_use(reader);
    if (reader->watching)
        (void)brim_watch_remove(brim_body_watch(reader->body), reader->from.port);
    brim_body_detach(reader->body, reader->place);
    give_memory_back(reader);
    brim_body_unref(reader->body);
    *reader = (struct brim_reader){.body = NULL};
}
