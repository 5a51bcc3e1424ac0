/* SPDX-License-Identifier: MIT */
/*
 * An extent in a segment file, little-endian; offsets are multiples of 64.
 *
 *   header    0 u32 magic "BXT1"        24 u32 payload length   48 u64 XXH3-64 of the payload
 *             4 u16 format version (1)  28 u32 metadata length  56 u64 XXH3-64 of bytes 0..55
 *             6 u16 type                32 u32 piece count
 *             8 u64 digest.hi           36 u32 segment
 *            16 u64 digest.lo           40 u32 offset           44 u32 zero
 *   payload  64 OBJECT: list of body extents (piece count x 12: u32 segment, offset, length),
 *               metadata (cache/object.c), then the whole body if it has no pieces
 *               PIECE: bytes of the body
 *   padding     up to the next multiple of 64, undefined
 */
#include "brim/cache/extent.h"

#include <endian.h>
#include <string.h>

#include "brim/base/invariant.h"

#define HEAD_MAGIC   0x31545842u
#define HEAD_VERSION 1u

struct head_bytes {
    uint32_t magic;
    uint16_t version;
    uint16_t type;
    uint64_t digest_hi;
    uint64_t digest_lo;
    uint32_t payload_len;
    uint32_t meta_len;
    uint32_t piece_count;
    uint32_t segment;
    uint32_t offset;
    uint32_t zero;
    uint64_t payload_hash;
    uint64_t head_hash;
};
_Static_assert(sizeof(struct head_bytes) == BRIM_EXTENT_HEAD_BYTES, "extent header");
_Static_assert(offsetof(struct head_bytes, version) == 4, "extent header");
_Static_assert(offsetof(struct head_bytes, type) == 6, "extent header");
_Static_assert(offsetof(struct head_bytes, digest_hi) == 8, "extent header");
_Static_assert(offsetof(struct head_bytes, digest_lo) == 16, "extent header");
_Static_assert(offsetof(struct head_bytes, payload_len) == 24, "extent header");
_Static_assert(offsetof(struct head_bytes, meta_len) == 28, "extent header");
_Static_assert(offsetof(struct head_bytes, piece_count) == 32, "extent header");
_Static_assert(offsetof(struct head_bytes, segment) == 36, "extent header");
_Static_assert(offsetof(struct head_bytes, offset) == 40, "extent header");
_Static_assert(offsetof(struct head_bytes, payload_hash) == 48, "extent header");
_Static_assert(offsetof(struct head_bytes, head_hash) == 56, "extent header");

struct entry_bytes {
    uint32_t segment;
    uint32_t offset;
    uint32_t length;
};
_Static_assert(sizeof(struct entry_bytes) == BRIM_EXTENT_ENTRY_BYTES, "list entry");
_Static_assert(offsetof(struct entry_bytes, offset) == 4, "list entry");
_Static_assert(offsetof(struct entry_bytes, length) == 8, "list entry");

void brim_extent_head_encode(const struct brim_extent_head *head, uint8_t *bytes_out)
{
    struct head_bytes raw = {
        .magic = htole32(HEAD_MAGIC),
        .version = htole16(HEAD_VERSION),
        .type = htole16((uint16_t)head->type),
        .digest_hi = htole64(head->digest.hi),
        .digest_lo = htole64(head->digest.lo),
        .payload_len = htole32(head->place.length),
        .meta_len = htole32(head->meta_len),
        .piece_count = htole32(head->piece_count),
        .segment = htole32(head->place.segment),
        .offset = htole32(head->place.offset),
        .payload_hash = htole64(head->payload_hash),
    };

    INVARIANT(head->place.offset % BRIM_EXTENT_ALIGN == 0);
    raw.head_hash = htole64(brim_hash64(&raw, offsetof(struct head_bytes, head_hash)));
    memcpy(bytes_out, &raw, sizeof(raw));
}

enum brim_err brim_extent_head_decode(const uint8_t *bytes, struct brim_extent_head *head_out)
{
    struct head_bytes raw;

    *head_out = (struct brim_extent_head){0};
    memcpy(&raw, bytes, sizeof(raw));
    if (le32toh(raw.magic) != HEAD_MAGIC || le16toh(raw.version) != HEAD_VERSION)
        return BRIM_ECORRUPT;
    if (le64toh(raw.head_hash) != brim_hash64(&raw, offsetof(struct head_bytes, head_hash)))
        return BRIM_ECORRUPT;
    if (le16toh(raw.type) != BRIM_EXTENT_OBJECT && le16toh(raw.type) != BRIM_EXTENT_PIECE)
        return BRIM_ECORRUPT;
    /* the checksum is no secret: what was never written so is refused before anybody relies on it
     */
    if (le32toh(raw.offset) % BRIM_EXTENT_ALIGN != 0)
        return BRIM_ECORRUPT;
    *head_out = (struct brim_extent_head){
        .type = (enum brim_extent_type)le16toh(raw.type),
        .digest = {.hi = le64toh(raw.digest_hi), .lo = le64toh(raw.digest_lo)},
        .place = {.segment = le32toh(raw.segment),
                  .offset = le32toh(raw.offset),
                  .length = le32toh(raw.payload_len)},
        .meta_len = le32toh(raw.meta_len),
        .piece_count = le32toh(raw.piece_count),
        .payload_hash = le64toh(raw.payload_hash),
    };
    return BRIM_OK;
}

void brim_extent_list_encode(const struct brim_extent *extents, size_t count, uint8_t *bytes_out)
{
    for (size_t i = 0; i < count; i++) {
        struct entry_bytes raw = {.segment = htole32(extents[i].segment),
                                  .offset = htole32(extents[i].offset),
                                  .length = htole32(extents[i].length)};
        memcpy(bytes_out + i * sizeof(raw), &raw, sizeof(raw));
    }
}

void brim_extent_list_decode(const uint8_t *bytes, size_t count, struct brim_extent *extents_out)
{
    for (size_t i = 0; i < count; i++) {
        struct entry_bytes raw;
        memcpy(&raw, bytes + i * sizeof(raw), sizeof(raw));
        extents_out[i] = (struct brim_extent){.segment = le32toh(raw.segment),
                                              .offset = le32toh(raw.offset),
                                              .length = le32toh(raw.length)};
    }
}
