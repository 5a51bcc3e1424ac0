/* SPDX-License-Identifier: MIT */
/*
 * The map of streams is klib's khash, whose code is not installed with the library; how it lies in
 * memory is (compat/khash.h). A map that does not look like one that h2o has made reads as empty:
 * it would mean another library than the one this was written for.
 *
 * h2o_http2__encode_rst_stream_frame is libh2o's own, defined again so that every reset that a
 * client makes the server send is seen, whatever made it: a window update of 0 or too large, DATA
 * on an ended stream, a body longer than its Content-Length, a stream more than allowed
 * (CVE-2025-8671 and its kin). The library calls it through its procedure linkage table, and the
 * program's own definition goes before that of a shared library; unit.serve_guard_h2 notices if it
 * does not.
 */
#include <h2o.h>
#include <h2o/http2.h>
#include <h2o/http2_internal.h>

#include "brim/base/invariant.h"
#include "brim/base/metric.h"
#include "brim/serve/guard.h"

#define STREAM_BYTES                                                                               \
    8192u /* one that is open: itself, and the first chunks of its request's pool */
#define RST_BYTES 13u

static const h2o_http2_stream_t *stream_at(const h2o_http2_conn_t *h2, uint32_t bucket)
{
    const khash_t(h2o_http2_stream_t) *map = h2->streams;

    return (map->flags[bucket >> 4] >> (bucket % 16 * 2) & 3) == 0 ? map->values[bucket] : NULL;
}

static bool is_map(const h2o_http2_conn_t *h2)
{
    uint32_t streams =
        h2->num_streams.priority.open + h2->num_streams.pull.open + h2->num_streams.push.open;

    return h2->streams->size == streams && (h2->streams->buckets & (h2->streams->buckets - 1)) == 0;
}

static size_t buffer_bytes(const h2o_buffer_t *buffer)
{
    return buffer == NULL || buffer->bytes == NULL ? 0 : buffer->capacity;
}

static size_t bodies(const h2o_http2_conn_t *h2)
{
    size_t bytes = 0;

    if (!is_map(h2))
        return 0;
    for (uint32_t i = 0; i < h2->streams->buckets; i++) {
        const h2o_http2_stream_t *stream = stream_at(h2, i);

        if (stream != NULL)
            bytes += buffer_bytes(stream->_req_body);
    }
    return bytes;
}

/* h2o's connection, or NULL while it cannot be looked at (guard_h2.c says why). */
static const h2o_http2_conn_t *readable(const struct brim_conn *conn)
{
    return conn->sock == NULL || conn->sock->_cb.read == NULL ? NULL : conn->sock->data;
}

size_t brim_guard_h2_memory(const struct brim_conn *conn)
{
    const h2o_http2_conn_t *h2 = readable(conn);

    OBJ_CHECK(conn, BRIM_CONN_MAGIC);
    if (h2 == NULL)
        return conn->h2_memory;
    return sizeof(*h2) + buffer_bytes(h2->_write.buf) + buffer_bytes(h2->_write.buf_in_flight) +
           buffer_bytes(h2->_headers_unparsed) + h2->_input_header_table.hpack_capacity +
           h2->streams->size * STREAM_BYTES + bodies(h2);
}

size_t brim_guard_h2_bodies(const struct brim_conn *conn)
{
    const h2o_http2_conn_t *h2 = readable(conn);

    OBJ_CHECK(conn, BRIM_CONN_MAGIC);
    return h2 == NULL ? 0 : bodies(h2);
}

unsigned brim_guard_h2_incoming(const struct brim_conn *conn)
{
    const h2o_http2_conn_t *h2 = readable(conn);

    OBJ_CHECK(conn, BRIM_CONN_MAGIC);
    return h2 == NULL ? 0 : h2->num_streams.pull.open - h2->num_streams.pull.half_closed;
}

bool brim_guard_h2_lacks_body(h2o_req_t *req)
{
    const h2o_http2_stream_t *stream = H2O_STRUCT_FROM_MEMBER(h2o_http2_stream_t, req, req);

    INVARIANT(req->version >= 0x200);
    return req->entity.base == NULL && stream->_expected_content_length != SIZE_MAX &&
           stream->_expected_content_length != 0;
}

void h2o_http2__encode_rst_stream_frame(h2o_buffer_t **buf, uint32_t stream_id, int errnum)
{
    const h2o_http2_conn_t *h2 = H2O_STRUCT_FROM_MEMBER(h2o_http2_conn_t, _write.buf, buf);
    struct brim_conn *conn = h2->sock->on_close.data;
    h2o_iovec_t room = h2o_buffer_reserve(buf, RST_BYTES);
    uint8_t *at = h2o_http2_encode_frame_header(
        (uint8_t *)room.base, 4, H2O_HTTP2_FRAME_TYPE_RST_STREAM, 0, (int32_t)stream_id);

    (void)h2o_http2_encode32u(at, (uint32_t)errnum);
    (*buf)->size += RST_BYTES;
    if (conn != NULL && conn->is_fed && !conn->is_refusing) /* NULL: not behind the guard */
        conn->budget.made_resets++;
    if (conn != NULL && conn->is_refusing)
        BRIM_COUNT(BODIES_REFUSED);
}
