/* SPDX-License-Identifier: MIT */
/*
 * trace - W3C Trace Context: which trace a request belongs to, and this node's place in it.
 *
 * Pure text. Refuses to know who samples, and where spans would be sent to: brim sends none, its
 * access log is what a span can be made of.
 */
#ifndef BRIM_HTTP_TRACE_H
#define BRIM_HTTP_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#include "brim/http/field.h"

#define BRIM_TRACE_ID_BYTES   32u
#define BRIM_TRACE_SPAN_BYTES 16u
#define BRIM_TRACE_BYTES      55u /* 00-ID-SPAN-FLAGS */

struct brim_trace {
    char id[BRIM_TRACE_ID_BYTES];
    char span[BRIM_TRACE_SPAN_BYTES]; /* this node's */
    char flags[2];
    bool is_known;
    bool is_made; /* here: nobody asked with one */
};

/*
 * Reads traceparent into trace_out, with a span of its own made from seed; false: there is none, or
 * it is not valid. Spec: Trace Context 3.2.2, 3.2.4: of a later version the parts known here count,
 * and are sent on as version 00; two fields are none.
 */
bool brim_trace_read(struct brim_fields fields, uint64_t seed, struct brim_trace *trace_out);

/* Begins a trace, sampled. id: random, not 0. */
void brim_trace_begin(const uint64_t id[2], struct brim_trace *trace_out);

/* Writes the traceparent for the next hop. */
void brim_trace_write(const struct brim_trace *trace, char text_out[BRIM_TRACE_BYTES]);

#endif
