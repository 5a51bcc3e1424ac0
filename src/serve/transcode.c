/* SPDX-License-Identifier: MIT */
#include "brim/serve/transcode.h"

#include <stdlib.h>

#include "brim/base/invariant.h"
#include "brim/base/metric.h"

#define TRANSCODE_MAGIC 0x74726331u
#define IN_BYTES        (64u * 1024u)
#define OUT_BYTES       (64u * 1024u)
/* Taken without giving anything: no loop is held for more. A decoder that wants more is fed a bomb;
 * an encoder has what it holds flushed. */
#define DECODE_SILENT_MAX (1024u * 1024u)
#define ENCODE_SILENT_MAX (256u * 1024u)

struct brim_transcode {
    uint32_t magic;
    struct brim_coder *coder;
    bool is_decoder;
    bool is_dirty; /* ENCODE: something went in after the last flush */
    bool is_full;  /* the coder may have more of what it took */
    bool is_done;  /* the coded stream is at its end */
    enum brim_coder_flush flush;
    struct brim_str pieces[BRIM_READER_IOV_MAX]; /* of the reader */
    size_t count;
    size_t at;
    size_t silent_bytes;
    uint64_t taken;
    char out[OUT_BYTES];
};

enum brim_err brim_transcode_open(const struct brim_coder_config *config,
                                  struct brim_transcode **transcode_out)
{
    struct brim_coder *coder;
    enum brim_err err = brim_coder_open(config, &coder);
    struct brim_transcode *t;

    *transcode_out = NULL;
    if (err != BRIM_OK)
        return err;
    t = malloc(sizeof(*t)); /* out needs no zeroes */
    if (t == NULL) {
        brim_coder_close(coder);
        return BRIM_ENOMEM;
    }
    memset(t, 0, offsetof(struct brim_transcode, out));
    t->magic = TRANSCODE_MAGIC;
    t->coder = coder;
    t->is_decoder = config->way == BRIM_CODER_DECODE;
    t->flush = BRIM_CODER_MORE;
    *transcode_out = t;
    return BRIM_OK;
}

void brim_transcode_close(struct brim_transcode *t)
{
    if (t == NULL)
        return;
    OBJ_CHECK(t, TRANSCODE_MAGIC);
    brim_coder_close(t->coder);
    t->magic = 0;
    free(t);
}

/* False: there is nothing to flush. */
static bool begin_flush(struct brim_transcode *t)
{
    bool is_needed = !t->is_decoder && t->is_dirty;

    t->is_dirty = false;
    if (is_needed)
        t->flush = BRIM_CODER_FLUSH;
    return is_needed;
}

/* DATA: there is something to do for the coder. */
static enum brim_reader_got refill(struct brim_transcode *t, struct brim_reader *reader)
{
    enum brim_reader_got got;

    if (t->is_full || t->at < t->count || t->flush == BRIM_CODER_END)
        return BRIM_READER_DATA;
    t->at = 0;
    got = brim_reader_next(reader, IN_BYTES, t->pieces, &t->count);
    if (got != BRIM_READER_DATA)
        t->count = 0;
    /* No stream at all: origins say of bodies that are not there how they are coded. */
    if (got == BRIM_READER_END && t->is_decoder && t->taken == 0)
        return got;
    if (got == BRIM_READER_DATA)
        t->flush = BRIM_CODER_MORE;
    else if (got == BRIM_READER_END)
        t->flush = BRIM_CODER_END;
    else if (got != BRIM_READER_WAIT || !begin_flush(t))
        return got;
    return BRIM_READER_DATA;
}

/* One step of the coder; false: it cannot go on. */
static bool run(struct brim_transcode *t, size_t *made_out)
{
    struct brim_coder_step step = {.flush = t->flush, .out = t->out, .room = sizeof(t->out)};
    struct brim_str *piece = t->at < t->count ? &t->pieces[t->at] : NULL;
    size_t taken;

    if (piece != NULL)
        step.in = *piece;
    taken = step.in.len;
    if (brim_coder_run(t->coder, &step) != BRIM_OK)
        return false;
    taken -= step.in.len;
    if (piece != NULL)
        *piece = step.in;
    *made_out = step.made;
    t->is_done = step.is_done;
    t->taken += taken;
    t->is_dirty = t->is_dirty || taken > 0;
    t->silent_bytes = step.made > 0 ? 0 : t->silent_bytes + taken;
    t->is_full = step.made == sizeof(t->out);
    if (piece != NULL && step.in.len == 0)
        t->at++;
    if (t->is_decoder)
        return t->silent_bytes < DECODE_SILENT_MAX;
    if (t->silent_bytes >= ENCODE_SILENT_MAX && t->at == t->count && t->flush == BRIM_CODER_MORE)
        t->is_full = begin_flush(t); /* before more is read */
    return true;
}

uint64_t brim_transcode_taken(const struct brim_transcode *t)
{
    return t->taken;
}

/* What stands behind the end of the coded stream is not part of it. */
static enum brim_reader_got end(struct brim_transcode *t, struct brim_reader *reader)
{
    enum brim_reader_got got;

    if (t->flush == BRIM_CODER_END)
        return BRIM_READER_END;
    if (t->at < t->count)
        return BRIM_READER_FAILED;
    got = brim_reader_next(reader, IN_BYTES, t->pieces, &t->count);
    t->at = t->count = 0;
    return got == BRIM_READER_DATA ? BRIM_READER_FAILED : got;
}

enum brim_reader_got brim_transcode_next(struct brim_transcode *t, struct brim_reader *reader,
                                         struct brim_str *piece_out)
{
    enum brim_reader_got got = BRIM_READER_DATA;
    size_t made = 0;

    OBJ_CHECK(t, TRANSCODE_MAGIC);
    while (made == 0 && got == BRIM_READER_DATA) {
        if (t->is_done)
            got = end(t, reader);
        else if ((got = refill(t, reader)) == BRIM_READER_DATA && !run(t, &made))
            got = BRIM_READER_FAILED;
    }
    if (got == BRIM_READER_FAILED && t->is_decoder)
        BRIM_COUNT(DECODE_FAILED);
    *piece_out = brim_str(t->out, made);
    return got;
}
