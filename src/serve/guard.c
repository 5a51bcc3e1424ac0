/* SPDX-License-Identifier: MIT */
#include "brim/serve/guard.h"

#include <sys/socket.h>

#include "brim/base/clock.h"
#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/base/metric.h"
#include "brim/http/uri.h"

static const struct brim_guard_refusal fine = {0, NULL};

static struct brim_guard_refusal refuse(unsigned status, const char *reason)
{
    return (struct brim_guard_refusal){status, reason};
}

/* ---- what HTTP/2 delivers ---- */

static bool is_connection_field(struct brim_str name)
{
    static const struct brim_str names[] = {
        {"connection", 10},        {"keep-alive", 10}, {"proxy-connection", 16},
        {"transfer-encoding", 17}, {"upgrade", 7},     {"http2-settings", 14},
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (brim_str_is(name, names[i]))
            return true;
    return false;
}

static bool has_upper_case(struct brim_str name)
{
    for (size_t i = 0; i < name.len; i++)
        if (name.base[i] >= 'A' && name.base[i] <= 'Z')
            return true;
    return false;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

static struct brim_guard_refusal scan_h2_field(const struct brim_field *field,
                                               struct brim_str authority)
{
    struct brim_str name = field->name, value = field->value;

    if (!brim_field_name_is_valid(name) || has_upper_case(name))
        return refuse(400, "invalid field name");
    if (!brim_field_value_is_valid(value) ||
        (value.len > 0 && (is_space(value.base[0]) || is_space(value.base[value.len - 1]))))
        return refuse(400, "invalid field value");
    if (is_connection_field(name))
        return refuse(400, "connection-specific field");
    if (brim_str_is(name, BRIM_STR("te")) && !brim_str_is_nocase(value, BRIM_STR("trailers")))
        return refuse(400, "TE other than trailers");
    if (brim_str_is(name, BRIM_STR("content-length")) &&
        brim_str_number(value, BRIM_NUMBER_DIGITS) < 0)
        return refuse(400, "invalid Content-Length");
    if (brim_str_is(name, BRIM_STR("host")) && !brim_str_is_nocase(value, authority))
        return refuse(400, "Host and :authority differ");
    if (brim_str_is(name, BRIM_STR("expect")) &&
        !brim_str_is_nocase(value, BRIM_STR("100-continue")))
        return refuse(417, "expectation not supported");
    return fine;
}

/* Before a byte of theirs is looked at: a few bytes of HPACK may stand for a megabyte. */
static struct brim_guard_refusal measure_h2_fields(struct brim_fields fields,
                                                   const struct brim_guard_limits *limits)
{
    size_t bytes = 0, count = 0;
    bool had_cookie = false;

    for (size_t i = 0; i < fields.count; i++) {
        const struct brim_field *field = &fields.items[i];
        bool is_cookie = brim_str_is(field->name, BRIM_STR("cookie"));

        bytes += field->name.len + field->value.len + 4; /* as long as it would be on HTTP/1 */
        count += is_cookie && had_cookie ? 0 : 1;
        had_cookie |= is_cookie;
        if (count > limits->header_count_max)
            return refuse(431, "too many header fields");
        if (bytes > limits->header_bytes_max)
            return refuse(431, "header fields too large");
    }
    return fine;
}

static struct brim_guard_refusal scan_h2_fields(const struct brim_guard_h2_request *request)
{
    size_t lengths = 0;

    for (size_t i = 0; i < request->fields.count; i++) {
        const struct brim_field *field = &request->fields.items[i];
        struct brim_guard_refusal bad = scan_h2_field(field, request->authority);

        if (bad.status != 0)
            return bad;
        if (brim_str_is(field->name, BRIM_STR("content-length")) && ++lengths > 1)
            return refuse(400, "more than one Content-Length");
    }
    return fine;
}

struct brim_guard_refusal brim_guard_scan_h2(const struct brim_guard_h2_request *request,
                                             const struct brim_guard_limits *limits)
{
    struct brim_guard_refusal bad;
    struct brim_str host;
    uint16_t port;

    if (!brim_field_name_is_valid(request->method)) /* a method is a token, too */
        return refuse(400, "invalid method");
    if (brim_guard_is_method_refused(request->method))
        return refuse(405, "method not allowed");
    if (!brim_str_is(request->scheme, BRIM_STR("https")) &&
        !brim_str_is(request->scheme, BRIM_STR("http")))
        return refuse(400, "invalid scheme");
    if (request->path.len > limits->target_bytes_max)
        return refuse(414, "request target too long");
    if (!brim_uri_target_is_valid(request->path) &&
        !(brim_str_is(request->path, BRIM_STR("*")) &&
          brim_str_is(request->method, BRIM_STR("OPTIONS"))))
        return refuse(400, "invalid request target");
    if (request->authority.len == 0)
        return refuse(400, "no :authority");
    if (!brim_uri_parse_authority(request->authority, &host, &port))
        return refuse(400, "invalid :authority");
    bad = measure_h2_fields(request->fields, limits);
    return bad.status == 0 ? scan_h2_fields(request) : bad;
}

/* ---- requests as h2o hands them over ---- */

static struct brim_str str_of(h2o_iovec_t text)
{
    return brim_str(text.base, text.len);
}

/* Key, redirects to https and what the origin is told go by the scheme. On HTTP/1 nobody can claim
 * one, and a proxy in front that says its own client's (h2c behind a TLS terminator) is no error:
 * so it is not refused, it does not count. */
static void take_scheme_of_connection(h2o_req_t *req)
{
    bool is_tls = req->conn->callbacks->get_socket(req->conn)->ssl != NULL;

    req->input.scheme = is_tls ? &H2O_URL_SCHEME_HTTPS : &H2O_URL_SCHEME_HTTP;
}

static struct brim_guard_refusal check_h2(h2o_req_t *req, struct brim_fields fields,
                                          const struct brim_guard_limits *limits)
{
    struct brim_guard_h2_request request = {
        .method = str_of(req->input.method),
        .path = str_of(req->input.path),
        .authority = str_of(req->input.authority),
        .scheme = str_of(req->input.scheme->name),
        .fields = fields,
    };
    struct brim_guard_refusal bad;

    take_scheme_of_connection(req);
    if (req->input.authority.base == req->hostconf->authority.hostport.base)
        request.authority = brim_str(NULL, 0); /* h2o put its own there */
    bad = brim_guard_scan_h2(&request, limits);
    if (bad.status == 0 && brim_guard_h2_lacks_body(req))
        return refuse(400, "Content-Length without a body");
    return bad;
}

/* Absolute-form has said the same as Host; what is left of it is the origin-form (RFC 9112 3.3). */
static struct brim_guard_refusal to_origin_form(h2o_req_t *req)
{
    struct brim_str authority, rest;
    struct brim_str target = str_of(req->input.path);
    const char *query;
    bool is_https;

    if (!brim_guard_split_absolute(target, &authority, &rest))
        return fine;
    is_https = (target.base[4] | 0x20) == 's';
    if (is_https != (req->input.scheme == &H2O_URL_SCHEME_HTTPS))
        return refuse(421, "the scheme of the request target is not served here");
    if (rest.len == 0)
        rest = BRIM_STR("/");
    req->input.path = h2o_strdup(&req->pool, rest.base, rest.len);
    query = memchr(req->input.path.base, '?', req->input.path.len);
    req->query_at = query == NULL ? SIZE_MAX : (size_t)(query - req->input.path.base);
    return fine;
}

static struct brim_guard_refusal check_h1(h2o_req_t *req, const struct brim_guard_limits *limits)
{
    /* Until the answer is out, the header block stands at the front of the input (http1.c). */
    const h2o_buffer_t *input = req->conn->callbacks->get_socket(req->conn)->input;
    struct brim_guard_refusal bad;

    bad = brim_guard_scan_h1(brim_str(input->bytes, input->size), limits);
    return bad.status == 0 ? to_origin_form(req) : bad;
}

struct brim_guard_refusal brim_guard_check(h2o_req_t *req, struct brim_fields fields,
                                           const struct brim_guard_limits *limits)
{
    struct brim_guard_refusal bad;

    if (req->version >= 0x200) {
        bad = check_h2(req, fields, limits);
        if (bad.status != 0)
            BRIM_COUNT(GUARD_H2_REFUSED);
    } else {
        bad = check_h1(req, limits);
        if (bad.status != 0) {
            BRIM_COUNT(GUARD_H1_REFUSED);
            brim_conn_of(req)->lingers = req->entity.base != NULL; /* where does it end? */
        }
    }
    return bad;
}

/* ---- connections ---- */

void brim_guard_count_cancelled(struct brim_conn *conn)
{
    OBJ_CHECK(conn, BRIM_CONN_MAGIC);
    if (conn->is_h2)
        conn->budget.cancelled++;
}

void brim_guard_count_refused(struct brim_conn *conn)
{
    OBJ_CHECK(conn, BRIM_CONN_MAGIC);
    if (conn->is_h2)
        conn->budget.refused++;
}

/* An HTTP/1 connection whose request waits is in no poll set: it would not notice its end. */
static bool is_asleep(const struct brim_conn *conn)
{
    return !conn->is_h2 && conn->requests != NULL && !h2o_socket_is_reading(conn->sock) &&
           !h2o_socket_is_writing(conn->sock);
}

void brim_guard_tell_ending(struct brim_conn *conn, enum brim_ending ending)
{
    const char *text = brim_ending_text(ending);

    OBJ_CHECK(conn, BRIM_CONN_MAGIC);
    brim_ending_count(ending);
    if (!brim_ending_is_abuse(ending)) {
        BRIM_LOG(INFO, "client.ended", "peer=%s reason=\"%s\"", conn->peer_text, text);
        return;
    }
    BRIM_LOG(WARN, "client.abuse", "peer=%s reason=\"%s\"", conn->peer_text, text);
    if (brim_clients_spend(conn->clients, conn->place, BRIM_CLIENTS_STRIKE, brim_clock_mono_ms()))
        BRIM_LOG(WARN, "client.banned", "peer=%s reason=\"%s\"", conn->peer_text, text);
}

void brim_guard_kill(struct brim_conn *conn, enum brim_ending ending)
{
    static const struct linger no_linger = {.l_onoff = 1, .l_linger = 0};
    int fd;

    OBJ_CHECK(conn, BRIM_CONN_MAGIC);
    if (conn->sock == NULL || conn->killed)
        return;
    conn->killed = true;
    fd = h2o_socket_get_fd(conn->sock);
    brim_guard_tell_ending(conn, ending);
    /* Errors mean that the peer was faster, or that this is a unix socket. */
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &no_linger, sizeof(no_linger));
    (void)shutdown(fd, SHUT_RDWR);
    if (is_asleep(conn)) {
        brim_conn_enter(conn);
        conn->requests->abort(conn->requests);
        brim_conn_leave(conn);
    }
}
