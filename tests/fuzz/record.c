/* SPDX-License-Identifier: MIT */
/*
 * Rows of the index and the header of an extent, each from any bytes: what is accepted stays the
 * same when it is written and read again (bytes kept for later versions are not looked at).
 */
#include "brim/cache/record.h"

#include <endian.h>

#include "brim/cache/extent.h"
#include "fuzz.h"

static struct brim_str key_of(const struct brim_row_bytes *row)
{
    return brim_str((const char *)row->key, row->key_len);
}

static struct brim_str value_of(const struct brim_row_bytes *row)
{
    return brim_str((const char *)row->value, row->value_len);
}

static void check_extent(const uint8_t *data)
{
    struct brim_extent_head first, second;
    uint8_t bytes[BRIM_EXTENT_HEAD_BYTES], again[BRIM_EXTENT_HEAD_BYTES];

    if (brim_extent_head_decode(data, &first) != BRIM_OK)
        return;
    brim_extent_head_encode(&first, bytes);
    INVARIANT(brim_extent_head_decode(bytes, &second) == BRIM_OK);
    brim_extent_head_encode(&second, again);
    INVARIANT(memcmp(bytes, again, sizeof(bytes)) == 0);
}

/* The same under a right checksum, which hides everything behind it from a search by chance. */
static void check_sealed_extent(const uint8_t *data)
{
    uint8_t bytes[BRIM_EXTENT_HEAD_BYTES];
    const size_t at = sizeof(bytes) - sizeof(uint64_t);
    uint64_t hash;

    memcpy(bytes, data, sizeof(bytes));
    hash = htole64(brim_hash64(bytes, at));
    memcpy(bytes + at, &hash, sizeof(hash));
    check_extent(bytes);
}

static void check_record(struct brim_str value)
{
    struct brim_record record;
    struct brim_row_bytes first, second;

    if (brim_record_decode(value, &record) != BRIM_OK)
        return;
    brim_record_encode((struct brim_digest){1, 2}, &record, &first);
    INVARIANT(brim_record_decode(value_of(&first), &record) == BRIM_OK);
    brim_record_encode((struct brim_digest){1, 2}, &record, &second);
    INVARIANT(brim_str_is(value_of(&first), value_of(&second)));
}

static void check_segment(struct brim_str key, struct brim_str value)
{
    struct brim_segment_row segment;
    struct brim_row_bytes first, second;

    if (brim_segment_row_decode(key, value, &segment) != BRIM_OK)
        return;
    brim_segment_row_encode(&segment, &first);
    INVARIANT(brim_segment_row_decode(key_of(&first), value_of(&first), &segment) == BRIM_OK);
    brim_segment_row_encode(&segment, &second);
    INVARIANT(brim_str_is(value_of(&first), value_of(&second)));
}

static void check_epoch(struct brim_str key, struct brim_str value)
{
    struct brim_purge_epoch epoch;
    struct brim_row_bytes first, second;

    if (brim_epoch_decode(key, value, &epoch) != BRIM_OK)
        return;
    brim_epoch_encode(&epoch, &first);
    INVARIANT(brim_epoch_decode(key_of(&first), value_of(&first), &epoch) == BRIM_OK);
    brim_epoch_encode(&epoch, &second);
    INVARIANT(brim_str_is(value_of(&first), value_of(&second)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct brim_str all = brim_str((const char *)data, size);
    size_t key_len = size == 0 ? 0 : data[size - 1] % 17u;

    if (size >= BRIM_EXTENT_HEAD_BYTES) {
        check_extent(data);
        check_sealed_extent(data);
    }
    check_record(all);
    if (key_len <= size) {
        struct brim_str key = brim_str(all.base, key_len);
        struct brim_str value = brim_str(all.base + key_len, size - key_len);

        check_segment(key, value);
        check_epoch(key, value);
    }
    return 0;
}
