/* SPDX-License-Identifier: MIT */
/*
 * Rows of the index. Everything little-endian; reserved bytes are zero.
 *
 *   objects    key   0 u64 digest.hi   8 u64 digest.lo
 *              value 0 u16 version (1)  8 u32 meta.segment   20 u32 oldest_segment
 *                    2 u16 zero        12 u32 meta.offset    24 u32 piece_count   28 u32 zero
 *                    4 u32 zero        16 u32 meta.length    32 u64 body_bytes
 *   segments   key   0 u32 id
 *              value 0 u32 state        4 u32 capacity        8 u32 tail          12 u32 zero
 *   epochs     key   0 u64 scope
 *              value 0 u64 hard_seq     8 u64 soft_seq      16 the text of a pattern, if it is one
 *
 * Where the pieces of a large body stand is not said here but in its metadata extent, under that
 * extent's checksum: LMDB has none, and so records stay small and of one size.
 */
#include "brim/cache/record.h"

#include <endian.h>
#include <string.h>

#include "brim/base/invariant.h"
#include "brim/cache/purge_pattern.h"

#define OBJECT_VERSION 1u

struct key_object {
    uint64_t hi;
    uint64_t lo;
};

struct value_object {
    uint16_t version;
    uint16_t zero16;
    uint32_t zero32;
    uint32_t meta_segment;
    uint32_t meta_offset;
    uint32_t meta_length;
    uint32_t oldest_segment;
    uint32_t piece_count;
    uint32_t zero32b;
    uint64_t body_bytes;
};
_Static_assert(sizeof(struct key_object) == 16, "key of objects");
_Static_assert(offsetof(struct key_object, lo) == 8, "key of objects");
_Static_assert(sizeof(struct value_object) == 40, "value of objects");
_Static_assert(offsetof(struct value_object, version) == 0, "value of objects");
_Static_assert(offsetof(struct value_object, meta_segment) == 8, "value of objects");
_Static_assert(offsetof(struct value_object, meta_offset) == 12, "value of objects");
_Static_assert(offsetof(struct value_object, meta_length) == 16, "value of objects");
_Static_assert(offsetof(struct value_object, oldest_segment) == 20, "value of objects");
_Static_assert(offsetof(struct value_object, piece_count) == 24, "value of objects");
_Static_assert(offsetof(struct value_object, body_bytes) == 32, "value of objects");

struct value_segment {
    uint32_t state;
    uint32_t capacity;
    uint32_t tail;
    uint32_t zero;
};
_Static_assert(sizeof(struct value_segment) == 16, "value of segments");
_Static_assert(offsetof(struct value_segment, capacity) == 4, "value of segments");
_Static_assert(offsetof(struct value_segment, tail) == 8, "value of segments");

struct value_epoch {
    uint64_t hard_seq;
    uint64_t soft_seq;
};
_Static_assert(sizeof(struct value_epoch) == 16, "value of epochs");
_Static_assert(offsetof(struct value_epoch, soft_seq) == 8, "value of epochs");

static void set_key(struct brim_row_bytes *row, const void *key, size_t len)
{
    INVARIANT(len <= sizeof(row->key));
    memcpy(row->key, key, len);
    row->key_len = len;
}

static void set_value(struct brim_row_bytes *row, const void *value, size_t len)
{
    INVARIANT(len <= sizeof(row->value));
    memcpy(row->value, value, len);
    row->value_len = len;
}

void brim_record_key(struct brim_digest digest, struct brim_row_bytes *row_out)
{
    struct key_object key = {.hi = htole64(digest.hi), .lo = htole64(digest.lo)};

    *row_out = (struct brim_row_bytes){0};
    set_key(row_out, &key, sizeof(key));
}

void brim_record_encode(struct brim_digest digest, const struct brim_record *record,
                        struct brim_row_bytes *row_out)
{
    struct value_object value = {
        .version = htole16(OBJECT_VERSION),
        .meta_segment = htole32(record->meta.segment),
        .meta_offset = htole32(record->meta.offset),
        .meta_length = htole32(record->meta.length),
        .oldest_segment = htole32(record->oldest_segment),
        .piece_count = htole32(record->piece_count),
        .body_bytes = htole64(record->body_bytes),
    };

    brim_record_key(digest, row_out);
    set_value(row_out, &value, sizeof(value));
}

enum brim_err brim_record_decode(struct brim_str bytes, struct brim_record *record_out)
{
    struct value_object value;

    *record_out = (struct brim_record){0};
    if (bytes.len != sizeof(value))
        return BRIM_ENOENT;
    memcpy(&value, bytes.base, sizeof(value));
    if (le16toh(value.version) != OBJECT_VERSION)
        return BRIM_ENOENT;
    *record_out = (struct brim_record){
        .meta = {.segment = le32toh(value.meta_segment),
                 .offset = le32toh(value.meta_offset),
                 .length = le32toh(value.meta_length)},
        .oldest_segment = le32toh(value.oldest_segment),
        .piece_count = le32toh(value.piece_count),
        .body_bytes = le64toh(value.body_bytes),
    };
    return BRIM_OK;
}

void brim_segment_row_encode(const struct brim_segment_row *segment, struct brim_row_bytes *row_out)
{
    uint32_t key = htole32(segment->id);
    struct value_segment value = {.state = htole32(segment->state),
                                  .capacity = htole32(segment->capacity),
                                  .tail = htole32(segment->tail)};

    *row_out = (struct brim_row_bytes){0};
    set_key(row_out, &key, sizeof(key));
    set_value(row_out, &value, sizeof(value));
}

enum brim_err brim_segment_row_decode(struct brim_str key, struct brim_str bytes,
                                      struct brim_segment_row *segment_out)
{
    struct value_segment value;
    uint32_t id;

    *segment_out = (struct brim_segment_row){0};
    if (key.len != sizeof(id) || bytes.len != sizeof(value))
        return BRIM_ENOENT;
    memcpy(&id, key.base, sizeof(id));
    memcpy(&value, bytes.base, sizeof(value));
    *segment_out = (struct brim_segment_row){.id = le32toh(id),
                                             .state = le32toh(value.state),
                                             .capacity = le32toh(value.capacity),
                                             .tail = le32toh(value.tail)};
    return BRIM_OK;
}

enum brim_err brim_record_key_decode(struct brim_str bytes, struct brim_digest *digest_out)
{
    struct key_object key;

    *digest_out = (struct brim_digest){0};
    if (bytes.len != sizeof(key))
        return BRIM_ENOENT;
    memcpy(&key, bytes.base, sizeof(key));
    *digest_out = (struct brim_digest){.hi = le64toh(key.hi), .lo = le64toh(key.lo)};
    return BRIM_OK;
}

void brim_epoch_encode(const struct brim_purge_epoch *epoch, struct brim_row_bytes *row_out)
{
    uint64_t key = htole64(epoch->scope);
    struct value_epoch value = {.hard_seq = htole64(epoch->hard_seq),
                                .soft_seq = htole64(epoch->soft_seq)};

    *row_out = (struct brim_row_bytes){0};
    set_key(row_out, &key, sizeof(key));
    set_value(row_out, &value, sizeof(value));
}

static bool is_epoch(const struct brim_purge_epoch *epoch)
{
    if (epoch->hard_seq > BRIM_PURGE_SEQ_MAX || epoch->soft_seq > BRIM_PURGE_SEQ_MAX)
        return false;
    if (epoch->pattern.len > 0 && epoch->scope != brim_purge_scope_pattern(epoch->pattern))
        return false;
    return epoch->scope != 0;
}

enum brim_err brim_epoch_decode(struct brim_str key, struct brim_str bytes,
                                struct brim_purge_epoch *epoch_out)
{
    struct value_epoch value;
    uint64_t scope;

    *epoch_out = (struct brim_purge_epoch){0};
    if (key.len != sizeof(scope) || bytes.len < sizeof(value) ||
        bytes.len > sizeof(value) + BRIM_PURGE_PATTERN_BYTES)
        return BRIM_ECORRUPT;
    memcpy(&scope, key.base, sizeof(scope));
    memcpy(&value, bytes.base, sizeof(value));
    *epoch_out = (struct brim_purge_epoch){
        .scope = le64toh(scope),
        .hard_seq = le64toh(value.hard_seq),
        .soft_seq = le64toh(value.soft_seq),
        .pattern = brim_str(bytes.base + sizeof(value), bytes.len - sizeof(value))};
    return is_epoch(epoch_out) ? BRIM_OK : BRIM_ECORRUPT;
}
