/* SPDX-License-Identifier: MIT */
#include "brim/cache/slice.h"

#include <inttypes.h>
#include <stdio.h>

#include "brim/base/invariant.h"
#include "brim/http/conditional.h"
#include "brim/http/date.h"
#include "brim/http/range.h"

/* What two 206 must have in common to be parts of the same bytes. */
static uint64_t version_of(struct brim_str validator, uint64_t total)
{
    uint64_t words[2] = {brim_hash64(validator.base, validator.len), total};
    uint64_t version = brim_hash64(words, sizeof(words));

    return version != 0 ? version : 1;
}

static uint64_t read_version(struct brim_fields response, int64_t date_wall_s, uint64_t total)
{
    const struct brim_field *etag = brim_fields_only(response, BRIM_STR("etag"));
    const struct brim_field *modified = brim_fields_only(response, BRIM_STR("last-modified"));

    if (etag != NULL)
        return brim_etag_is_strong(etag->value) ? version_of(etag->value, total) : 0;
    if (brim_fields_find(response, BRIM_STR("etag")) != NULL || modified == NULL)
        return 0;
    if (!brim_last_modified_is_strong(brim_date_parse(modified->value, date_wall_s), date_wall_s))
        return 0;
    return version_of(modified->value, total);
}

bool brim_part_read(struct brim_fields response, int64_t date_wall_s, struct brim_part *part_out)
{
    const struct brim_field *field = brim_fields_only(response, BRIM_STR("content-range"));
    struct brim_range range;
    uint64_t total;

    *part_out = (struct brim_part){0};
    if (field == NULL || !brim_content_range_parse(field->value, &range, &total) ||
        total > BRIM_PART_TOTAL_MAX)
        return false;
    *part_out = (struct brim_part){.first = range.first,
                                   .last = range.last,
                                   .total = total,
                                   .version = read_version(response, date_wall_s, total)};
    return true;
}

bool brim_part_of(const struct brim_object *object, struct brim_part *part_out)
{
    return brim_part_read(object->fields, object->fresh.date_wall_ms / 1000, part_out);
}

struct brim_key brim_slice_head_key(struct brim_str url, char *buffer)
{
    memcpy(buffer, url.base, url.len);
    buffer[url.len] = '#';
    return brim_key_of(brim_str(buffer, url.len + 1));
}

struct brim_key brim_slice_part_key(struct brim_str url, const struct brim_part *version,
                                    uint64_t n, char *buffer)
{
    int len;

    memcpy(buffer, url.base, url.len);
    len = snprintf(buffer + url.len, BRIM_SLICE_TEXT_ROOM, "#%016" PRIx64 ":%" PRIu64,
                   version->version, n);
    INVARIANT(len > 0 && (unsigned)len < BRIM_SLICE_TEXT_ROOM);
    return brim_key_of(brim_str(buffer, url.len + (size_t)len));
}
