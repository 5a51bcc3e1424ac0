/* SPDX-License-Identifier: MIT */
/*
 * In RAM an object is one allocation: struct, field table, tags, strings (key text, primary text,
 * names and values). A variant's text begins with the primary one, so that is then stored once.
 *
 * In a segment, all numbers little-endian:
 *
 *     offset size
 *          0    4  magic "brmo"
 *          4    2  version
 *          6    1  kind
 *          7    1  flags
 *          8    2  status
 *         10    2  zero
 *         12    4  number of fields
 *         16    8  purge sequence
 *         24   48  freshness: response, date (wall ms); initial age, lifetime, swr, sie (ms)
 *         72    4  length of the key text
 *         76    4  length of the primary text
 *         80    4  length of all strings together
 *         84    4  number of tags
 *         88    8  body id
 *         96  8*n  purge scope of each tag
 *          :  8*n  length of name, length of value, for each field
 *          :    :  key text; primary text unless FLAG_PRIMARY_IN_KEY; name, value, name, value ...
 *
 * Whoever stores it keeps a checksum over it; decoding believes nothing all the same, since a bug
 * in a writer has a correct checksum too.
 */
#include "brim/cache/object.h"

#include <assert.h>
#include <endian.h>
#include <stdlib.h>

#include "brim/base/invariant.h"
#include "brim/http/date.h"

#define ENCODED_MAGIC   0x6f6d7262u /* "brmo" */
#define ENCODED_VERSION 3u
#define POPULAR_USES    2u /* hits in the hot tier that make an object worth renewing */

enum {
    FLAG_MUST_REVALIDATE = 1,
    FLAG_NO_CACHE = 2,
    FLAG_HEURISTIC = 4,
    FLAG_PRIMARY_IN_KEY = 8,
    FLAG_CODABLE = 16,
    FLAGS_VERSION_SHIFT = 5, /* two bits: enum brim_http_version */
    FLAG_ALL = 127,
};
static_assert(BRIM_HTTP_1_1 == 0, "what earlier versions of brim have written says so");
static_assert(BRIM_HTTP_VERSIONS <= 4, "two bits");

struct encoded_header {
    uint32_t magic;
    uint16_t version;
    uint8_t kind;
    uint8_t flags;
    uint16_t status;
    uint16_t zero1;
    uint32_t field_count;
    uint64_t seq;
    uint64_t response_wall_ms;
    uint64_t date_wall_ms;
    uint64_t initial_age_ms;
    uint64_t lifetime_ms;
    uint64_t swr_ms;
    uint64_t sie_ms;
    uint32_t key_len;
    uint32_t primary_len;
    uint32_t strings_len;
    uint32_t tag_count;
    uint64_t body_id;
};
static_assert(sizeof(struct encoded_header) == 96, "on-disk layout");
static_assert(offsetof(struct encoded_header, field_count) == 12, "on-disk layout");
static_assert(offsetof(struct encoded_header, seq) == 16, "on-disk layout");
static_assert(offsetof(struct encoded_header, sie_ms) == 64, "on-disk layout");
static_assert(offsetof(struct encoded_header, key_len) == 72, "on-disk layout");
static_assert(offsetof(struct encoded_header, strings_len) == 80, "on-disk layout");

struct encoded_field {
    uint32_t name_len;
    uint32_t value_len;
};
static_assert(sizeof(struct encoded_field) == 8, "on-disk layout");

/* ---- life ---- */

static bool primary_is_in_key(const struct brim_object_spec *spec)
{
    return brim_str_has_prefix(spec->key.text, spec->primary.text);
}

static size_t strings_size(const struct brim_object_spec *spec)
{
    size_t size = spec->key.text.len;

    if (!primary_is_in_key(spec))
        size += spec->primary.text.len;
    for (size_t i = 0; i < spec->fields.count; i++)
        size += spec->fields.items[i].name.len + spec->fields.items[i].value.len;
    return size;
}

static struct brim_str put_string(char **at, struct brim_str s)
{
    char *to = *at;

    if (s.len > 0)
        memcpy(to, s.base, s.len);
    *at += s.len;
    return brim_str(to, s.len);
}

static void derive_validators(struct brim_object *object)
{
    const struct brim_field *etag = brim_fields_only(object->fields, BRIM_STR("etag"));
    const struct brim_field *modified = brim_fields_only(object->fields, BRIM_STR("last-modified"));

    object->etag = etag != NULL ? etag->value : brim_str("", 0);
    object->last_modified_wall_s = -1;
    if (modified != NULL) {
        int64_t wall_s = brim_date_parse(modified->value, object->fresh.response_wall_ms / 1000);

        if (wall_s >= 0)
            object->last_modified_wall_s = wall_s;
    }
}

enum brim_err brim_object_new(const struct brim_object_spec *spec, struct brim_object **object_out)
{
    size_t table = spec->fields.count * sizeof(struct brim_field);
    size_t tags = spec->tag_count * sizeof(*spec->tags);
    size_t size = sizeof(struct brim_object) + table + tags + strings_size(spec);
    struct brim_object *object;
    struct brim_field *fields;
    char *at;

    *object_out = NULL;
    INVARIANT((spec->kind == BRIM_OBJECT_RESPONSE) == (spec->body != NULL));
    INVARIANT(spec->tag_count <= BRIM_OBJECT_TAGS_MAX);
    object = malloc(size);
    if (object == NULL)
        return BRIM_ENOMEM;
    *object = (struct brim_object){.magic = BRIM_OBJECT_MAGIC,
                                   .kind = (uint8_t)spec->kind,
                                   .status = (uint16_t)spec->status,
                                   .refs = 1,
                                   .leans_on = UINT32_MAX,
                                   .checked_seq = spec->seq,
                                   .seq = spec->seq,
                                   .fresh = spec->fresh,
                                   .is_codable = spec->is_codable,
                                   .version = (uint8_t)spec->version,
                                   .body_id = spec->body_id,
                                   .body = spec->body,
                                   .meta_bytes = size};
    fields = (struct brim_field *)(object + 1);
    at = (char *)fields + table;
    if (tags > 0) {
        object->tags = memcpy(at, spec->tags, tags);
        object->tag_count = spec->tag_count;
        at += tags;
    }
    object->key.digest = spec->key.digest;
    object->key.text = put_string(&at, spec->key.text);
    object->primary.digest = spec->primary.digest;
    object->primary.text = primary_is_in_key(spec)
                               ? brim_str(object->key.text.base, spec->primary.text.len)
                               : put_string(&at, spec->primary.text);
    for (size_t i = 0; i < spec->fields.count; i++) {
        fields[i].name = put_string(&at, spec->fields.items[i].name);
        fields[i].value = put_string(&at, spec->fields.items[i].value);
    }
    INVARIANT((size_t)(at - (char *)object) == size);
    object->fields = (struct brim_fields){.items = fields, .count = spec->fields.count};
    derive_validators(object);
    if (object->body != NULL)
        brim_body_ref(object->body);
    *object_out = object;
    return BRIM_OK;
}

struct brim_object *brim_object_ref(struct brim_object *object)
{
    uint32_t old;

    OBJ_CHECK(object, BRIM_OBJECT_MAGIC);
    old = atomic_fetch_add_explicit(&object->refs, 1, memory_order_relaxed);
    INVARIANT(old > 0);
    return object;
}

void brim_object_unref(struct brim_object *object)
{
    uint32_t old;

    if (object == NULL)
        return;
    OBJ_CHECK(object, BRIM_OBJECT_MAGIC);
    old = atomic_fetch_sub_explicit(&object->refs, 1, memory_order_acq_rel);
    INVARIANT(old > 0);
    if (old != 1)
        return;
    if (object->body != NULL)
        brim_body_unref(object->body);
    object->magic = 0;
    free(object);
}

struct brim_validators brim_object_validators(const struct brim_object *object)
{
    return (struct brim_validators){
        .etag = object->etag,
        .last_modified_wall_s = object->last_modified_wall_s,
        .date_wall_s = object->fresh.date_wall_ms / 1000,
    };
}

bool brim_object_claim_renewal(struct brim_object *object)
{
    OBJ_CHECK(object, BRIM_OBJECT_MAGIC);
    return atomic_load_explicit(&object->use, memory_order_relaxed) >= POPULAR_USES &&
           !atomic_load_explicit(&object->is_renewed, memory_order_relaxed) &&
           !atomic_exchange_explicit(&object->is_renewed, true, memory_order_relaxed);
}

size_t brim_object_charge(const struct brim_object *object)
{
    return object->meta_bytes + (object->body != NULL ? brim_body_ram_bytes(object->body) : 0);
}

/* ---- encoding ---- */

static void fill_header(const struct brim_object_spec *spec, uint32_t strings,
                        struct encoded_header *header_out)
{
    const struct brim_freshness *fresh = &spec->fresh;
    unsigned flags = 0;

    flags |= fresh->must_revalidate ? FLAG_MUST_REVALIDATE : 0;
    flags |= fresh->no_cache ? FLAG_NO_CACHE : 0;
    flags |= fresh->heuristic ? FLAG_HEURISTIC : 0;
    flags |= primary_is_in_key(spec) ? FLAG_PRIMARY_IN_KEY : 0;
    flags |= spec->is_codable ? FLAG_CODABLE : 0;
    flags |= (unsigned)spec->version << FLAGS_VERSION_SHIFT;
    *header_out = (struct encoded_header){
        .magic = htole32(ENCODED_MAGIC),
        .version = htole16(ENCODED_VERSION),
        .kind = (uint8_t)spec->kind,
        .flags = (uint8_t)flags,
        .status = htole16((uint16_t)spec->status),
        .field_count = htole32((uint32_t)spec->fields.count),
        .seq = htole64(spec->seq),
        .response_wall_ms = htole64((uint64_t)fresh->response_wall_ms),
        .date_wall_ms = htole64((uint64_t)fresh->date_wall_ms),
        .initial_age_ms = htole64((uint64_t)fresh->initial_age_ms),
        .lifetime_ms = htole64((uint64_t)fresh->lifetime_ms),
        .swr_ms = htole64((uint64_t)fresh->swr_ms),
        .sie_ms = htole64((uint64_t)fresh->sie_ms),
        .key_len = htole32((uint32_t)spec->key.text.len),
        .primary_len = htole32((uint32_t)spec->primary.text.len),
        .strings_len = htole32(strings),
        .tag_count = htole32((uint32_t)spec->tag_count),
        .body_id = htole64(spec->body_id),
    };
}

enum brim_err brim_object_encode(const struct brim_object *object, void **bytes_out,
                                 size_t *len_out)
{
    const struct brim_object_spec spec = {.kind = (enum brim_object_kind)object->kind,
                                          .status = object->status,
                                          .key = object->key,
                                          .primary = object->primary,
                                          .seq = object->seq,
                                          .fresh = object->fresh,
                                          .fields = object->fields,
                                          .tags = object->tags,
                                          .tag_count = object->tag_count,
                                          .body_id = object->body_id,
                                          .is_codable = object->is_codable,
                                          .version = (enum brim_http_version)object->version};
    size_t strings = strings_size(&spec);
    size_t table = spec.fields.count * sizeof(struct encoded_field);
    size_t size =
        sizeof(struct encoded_header) + spec.tag_count * sizeof(uint64_t) + table + strings;
    struct encoded_header header;
    char *bytes, *at;

    OBJ_CHECK(object, BRIM_OBJECT_MAGIC);
    *bytes_out = NULL;
    *len_out = 0;
    if (size > UINT32_MAX)
        return BRIM_ELIMIT;
    bytes = malloc(size);
    if (bytes == NULL)
        return BRIM_ENOMEM;
    fill_header(&spec, (uint32_t)strings, &header);
    memcpy(bytes, &header, sizeof(header));
    at = bytes + sizeof(header);
    for (size_t i = 0; i < spec.tag_count; i++) {
        uint64_t tag = htole64(spec.tags[i]);

        memcpy(at, &tag, sizeof(tag));
        at += sizeof(tag);
    }
    for (size_t i = 0; i < spec.fields.count; i++) {
        struct encoded_field field = {.name_len = htole32((uint32_t)spec.fields.items[i].name.len),
                                      .value_len =
                                          htole32((uint32_t)spec.fields.items[i].value.len)};

        memcpy(at, &field, sizeof(field));
        at += sizeof(field);
    }
    (void)put_string(&at, spec.key.text);
    if (!primary_is_in_key(&spec))
        (void)put_string(&at, spec.primary.text);
    for (size_t i = 0; i < spec.fields.count; i++) {
        (void)put_string(&at, spec.fields.items[i].name);
        (void)put_string(&at, spec.fields.items[i].value);
    }
    INVARIANT((size_t)(at - bytes) == size);
    *bytes_out = bytes;
    *len_out = size;
    return BRIM_OK;
}

/* ---- decoding ---- */

/* What is left of the strings. */
struct strings {
    const char *base;
    uint64_t left;
};

static bool take_string(struct strings *strings, uint32_t len, struct brim_str *out)
{
    if (len > strings->left)
        return false;
    *out = brim_str(strings->base, len);
    strings->base += len;
    strings->left -= len;
    return true;
}

/* Checks the fixed part and brings it into the host's byte order. */
static bool read_header(const void *bytes, size_t len, struct encoded_header *header_out)
{
    struct encoded_header *h = header_out;
    uint64_t after;

    if (len < sizeof(*h) || len > UINT32_MAX)
        return false;
    memcpy(h, bytes, sizeof(*h));
    h->magic = le32toh(h->magic);
    h->version = le16toh(h->version);
    h->status = le16toh(h->status);
    h->field_count = le32toh(h->field_count);
    h->seq = le64toh(h->seq);
    h->key_len = le32toh(h->key_len);
    h->primary_len = le32toh(h->primary_len);
    h->strings_len = le32toh(h->strings_len);
    h->tag_count = le32toh(h->tag_count);
    h->body_id = le64toh(h->body_id);
    if (h->magic != ENCODED_MAGIC || h->version != ENCODED_VERSION)
        return false;
    if (h->zero1 != 0 || h->tag_count > BRIM_OBJECT_TAGS_MAX || (h->flags & ~FLAG_ALL) != 0 ||
        h->flags >> FLAGS_VERSION_SHIFT >= BRIM_HTTP_VERSIONS)
        return false;
    if (h->kind < BRIM_OBJECT_RESPONSE || h->kind > BRIM_OBJECT_PASS)
        return false;
    if (h->kind == BRIM_OBJECT_RESPONSE && (h->status < 100 || h->status > 999))
        return false;
    after = len - sizeof(*h);
    if (after < h->tag_count * sizeof(uint64_t))
        return false;
    after -= h->tag_count * sizeof(uint64_t);
    return h->field_count <= after / sizeof(struct encoded_field) &&
           h->strings_len == after - h->field_count * sizeof(struct encoded_field);
}

static bool read_keys(const struct encoded_header *header, struct strings *strings,
                      struct brim_object_spec *spec)
{
    struct brim_str key, primary;

    if (!take_string(strings, header->key_len, &key))
        return false;
    if ((header->flags & FLAG_PRIMARY_IN_KEY) != 0) {
        if (header->primary_len > key.len)
            return false;
        primary = brim_str(key.base, header->primary_len);
    } else if (!take_string(strings, header->primary_len, &primary)) {
        return false;
    }
    if (key.len == 0 || primary.len == 0)
        return false;
    spec->key = brim_key_of(key);
    spec->primary = brim_key_of(primary);
    return true;
}

static bool read_fields(const char *table, size_t count, struct strings *strings,
                        struct brim_field *fields)
{
    for (size_t i = 0; i < count; i++) {
        struct encoded_field field;

        memcpy(&field, table + i * sizeof(field), sizeof(field));
        if (!take_string(strings, le32toh(field.name_len), &fields[i].name) ||
            !take_string(strings, le32toh(field.value_len), &fields[i].value))
            return false;
    }
    return strings->left == 0;
}

static void read_tags(const char *bytes, size_t count, uint64_t *tags)
{
    memcpy(tags, bytes, count * sizeof(*tags));
    for (size_t i = 0; i < count; i++)
        tags[i] = le64toh(tags[i]);
}

static int64_t signed_of(uint64_t raw)
{
    return (int64_t)le64toh(raw);
}

static struct brim_freshness read_freshness(const struct encoded_header *header)
{
    return (struct brim_freshness){
        .response_wall_ms = signed_of(header->response_wall_ms),
        .date_wall_ms = signed_of(header->date_wall_ms),
        .initial_age_ms = signed_of(header->initial_age_ms),
        .lifetime_ms = signed_of(header->lifetime_ms),
        .swr_ms = signed_of(header->swr_ms),
        .sie_ms = signed_of(header->sie_ms),
        .must_revalidate = (header->flags & FLAG_MUST_REVALIDATE) != 0,
        .no_cache = (header->flags & FLAG_NO_CACHE) != 0,
        .heuristic = (header->flags & FLAG_HEURISTIC) != 0,
    };
}

enum brim_err brim_object_decode(const void *bytes, size_t len, struct brim_body *body,
                                 struct brim_object **object_out)
{
    struct encoded_header header;
    struct brim_object_spec spec = {.body = NULL};
    struct brim_field *fields = NULL;
    uint64_t tags[BRIM_OBJECT_TAGS_MAX];
    struct strings strings;
    const char *table = (const char *)bytes + sizeof(header);
    enum brim_err err = BRIM_ECORRUPT;

    *object_out = NULL;
    if (!read_header(bytes, len, &header))
        goto out;
    spec.kind = (enum brim_object_kind)header.kind;
    spec.status = header.status;
    spec.seq = header.seq;
    spec.fresh = read_freshness(&header);
    spec.body_id = header.body_id;
    spec.is_codable = (header.flags & FLAG_CODABLE) != 0;
    spec.version = (enum brim_http_version)(header.flags >> FLAGS_VERSION_SHIFT);
    if (spec.kind == BRIM_OBJECT_RESPONSE) {
        if (body == NULL)
            goto out;
        spec.body = body;
    }
    read_tags(table, header.tag_count, tags);
    spec.tags = tags;
    spec.tag_count = header.tag_count;
    table += header.tag_count * sizeof(*tags);
    /* at most four times len: the table has 8 bytes for each of these */
    fields = calloc((size_t)header.field_count + 1, sizeof(*fields));
    if (fields == NULL) {
        err = BRIM_ENOMEM;
        goto out;
    }
    strings = (struct strings){
        .base = table + header.field_count * sizeof(struct encoded_field),
        .left = header.strings_len,
    };
    if (!read_keys(&header, &strings, &spec) ||
        !read_fields(table, header.field_count, &strings, fields))
        goto out;
    spec.fields = (struct brim_fields){.items = fields, .count = header.field_count};
    err = brim_object_new(&spec, object_out);
out:
    free(fields);
    INVARIANT((err == BRIM_OK) == (*object_out != NULL));
    return err;
}
