/* SPDX-License-Identifier: MIT */
#include "brim/http/trace.h"

#define ID_AT    3u
#define SPAN_AT  36u
#define FLAGS_AT 53u

static bool is_hex(struct brim_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.base[i];

        if ((c < '0' || c > '9') && (c < 'a' || c > 'f')) /* lower case only */
            return false;
    }
    return true;
}

static bool is_zero(struct brim_str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.base[i] != '0')
            return false;
    return true;
}

static void put_hex(char *at, uint64_t number)
{
    for (unsigned i = 16; i > 0; i--) {
        at[i - 1] = "0123456789abcdef"[number & 15];
        number >>= 4;
    }
}

/* Seeds are near one another, spans must not be: the finaliser of SplitMix64. Never 0. */
static uint64_t span_of(uint64_t seed)
{
    seed += 0x9e3779b97f4a7c15u;
    seed = (seed ^ (seed >> 30)) * 0xbf58476d1ce4e5b9u;
    seed = (seed ^ (seed >> 27)) * 0x94d049bb133111ebu;
    seed ^= seed >> 31;
    return seed == 0 ? 1 : seed;
}

static bool is_valid(struct brim_str text)
{
    struct brim_str version, id, span;

    if (text.len < BRIM_TRACE_BYTES || text.base[2] != '-' || text.base[SPAN_AT - 1] != '-' ||
        text.base[FLAGS_AT - 1] != '-')
        return false;
    version = brim_str(text.base, 2);
    id = brim_str(text.base + ID_AT, BRIM_TRACE_ID_BYTES);
    span = brim_str(text.base + SPAN_AT, BRIM_TRACE_SPAN_BYTES);
    if (!is_hex(version) || brim_str_is(version, BRIM_STR("ff")))
        return false;
    if (text.len > BRIM_TRACE_BYTES && (is_zero(version) || text.base[BRIM_TRACE_BYTES] != '-'))
        return false;
    return is_hex(id) && !is_zero(id) && is_hex(span) && !is_zero(span) &&
           is_hex(brim_str(text.base + FLAGS_AT, 2));
}

bool brim_trace_read(struct brim_fields fields, uint64_t seed, struct brim_trace *trace_out)
{
    const struct brim_field *field = brim_fields_only(fields, BRIM_STR("traceparent"));

    *trace_out = (struct brim_trace){0};
    if (field == NULL || !is_valid(field->value))
        return false;
    memcpy(trace_out->id, field->value.base + ID_AT, BRIM_TRACE_ID_BYTES);
    memcpy(trace_out->flags, field->value.base + FLAGS_AT, 2);
    put_hex(trace_out->span, span_of(seed));
    trace_out->is_known = true;
    return true;
}

void brim_trace_begin(const uint64_t id[2], struct brim_trace *trace_out)
{
    *trace_out = (struct brim_trace){.flags = {'0', '1'}, .is_known = true, .is_made = true};
    put_hex(trace_out->id, id[0]);
    put_hex(trace_out->id + 16, id[1]);
    put_hex(trace_out->span, span_of(id[0] ^ id[1]));
}

void brim_trace_write(const struct brim_trace *trace, char text_out[BRIM_TRACE_BYTES])
{
    memcpy(text_out, "00-", ID_AT);
    memcpy(text_out + ID_AT, trace->id, BRIM_TRACE_ID_BYTES);
    text_out[SPAN_AT - 1] = '-';
    memcpy(text_out + SPAN_AT, trace->span, BRIM_TRACE_SPAN_BYTES);
    text_out[FLAGS_AT - 1] = '-';
    memcpy(text_out + FLAGS_AT, trace->flags, 2);
}
