/* SPDX-License-Identifier: MIT */
/* What a request tells about itself beside its answer: its trace, and Server-Timing. */
#include "brim/serve/request_inside.h"

void brim_request_begin_trace(struct request *r)
{
    enum brim_trace_mode mode = r->route->trace;

    if (mode == BRIM_TRACE_OFF)
        return;
    if (!brim_trace_read(r->fields, r->id[0] ^ r->id[1], &r->trace) && mode == BRIM_TRACE_CREATE)
        brim_trace_begin(r->id, &r->trace);
}

struct brim_str brim_request_traceparent(struct request *r)
{
    char *text;

    if (!r->trace.is_known)
        return brim_str(NULL, 0);
    text = h2o_mem_alloc_pool(&r->req->pool, BRIM_TRACE_BYTES);
    brim_trace_write(&r->trace, text);
    return brim_str(text, BRIM_TRACE_BYTES);
}
