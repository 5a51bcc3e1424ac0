/* SPDX-License-Identifier: MIT */
/*
 * Whose turn it is to read, where a token is asked for:
 *
 *   ours     from the accept, or the end of an answer, until a head is whole (on_read)
 *   h2o's    from then on until its answer is out: it may read a body now (on_written)
 *   nobody's once refused: the answer is written past h2o, and what comes is thrown away until the
 *            client has seen it and closes, or has had LINGER_MS, or sent DISCARD_BYTES_MAX. A
 * close with bytes unread is a reset, which may take the answer with it
 *
 * A head without a body goes to h2o as it is: what there is to be refused about it is refused by
 * the call's dispatch, and costs nothing. h2o parses what came behind an answered request by
 * itself, so that connection ends with its answer instead (RFC 9112 9.3.2 has such clients ask
 * again).
 *
 * Time. h2o's request timeout, which runs meanwhile, ends what sends too slowly and what idles;
 * what takes its answer too slowly is ended here. Connections are few, so a list and a walk a turn
 * do.
 */
#include "brim/serve/admin_conn.h"

#include <h2o/http1.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "brim/base/clock.h"
#include "brim/base/invariant.h"
#include "brim/base/metric.h"
#include "brim/http/date.h"
#include "brim/http/status.h"

#define ANSWER_MS         30000u /* to take an answer */
#define LINGER_MS         2000u
#define DISCARD_BYTES_MAX 1048576u /* 1 MiB */
#define HEADER_BYTES_MAX  16384u
#define HEADER_COUNT_MAX  100u
#define TARGET_BYTES_MAX  2048u
#define HEAD_BYTES_MAX    (HEADER_BYTES_MAX + TARGET_BYTES_MAX + 128u) /* the scan refuses more */

static void on_read(h2o_socket_t *sock, const char *err);

/* ---- heads ---- */

/* What matters of one that is well-formed. */
struct head {
    struct brim_str method;
    struct brim_str path;
    struct brim_str authorization; /* empty: none, or two of them, which present nothing */
    bool has_body;
};

/* How long the head is, as h2o would find its end; 0: not whole. */
static size_t head_bytes(const h2o_buffer_t *input)
{
    struct brim_str rest = brim_str(input->bytes, input->size);
    const char *lf;

    while (rest.len > 0 && (lf = memchr(rest.base, '\n', rest.len)) != NULL) {
        rest.len -= (size_t)(lf + 1 - rest.base);
        rest.base = lf + 1;
        if (brim_str_has_prefix(rest, BRIM_STR("\n")))
            return (size_t)(rest.base + 1 - input->bytes);
        if (brim_str_has_prefix(rest, BRIM_STR("\r\n")))
            return (size_t)(rest.base + 2 - input->bytes);
    }
    return 0;
}

struct brim_guard_refusal brim_admin_conn_scan(h2o_socket_t *sock)
{
    static const struct brim_guard_limits limits = {.header_bytes_max = HEADER_BYTES_MAX,
                                                    .header_count_max = HEADER_COUNT_MAX,
                                                    .target_bytes_max = TARGET_BYTES_MAX};

    return brim_guard_scan_h1(brim_str(sock->input->bytes, sock->input->size), &limits);
}

/* Up to end, which is there, and is taken off *rest too. */
static struct brim_str take_until(struct brim_str *rest, struct brim_str end)
{
    const char *at = memmem(rest->base, rest->len, end.base, end.len);
    struct brim_str part;

    INVARIANT(at != NULL);
    part = brim_str(rest->base, (size_t)(at - rest->base));
    *rest = brim_str(at + end.len, rest->len - part.len - end.len);
    return part;
}

static bool is_zero(struct brim_str digits)
{
    while (digits.len > 0 && digits.base[digits.len - 1] == '0')
        digits.len--;
    return digits.len == 0;
}

static struct head read_head(struct brim_str rest)
{
    struct head head = {.has_body = false};
    unsigned authorizations = 0;
    struct brim_str target;
    const char *query;

    if (brim_str_has_prefix(rest, BRIM_STR("\r\n"))) /* RFC 9112 2.2 */
        (void)take_until(&rest, BRIM_STR("\r\n"));
    head.method = take_until(&rest, BRIM_STR(" "));
    target = take_until(&rest, BRIM_STR(" "));
    query = memchr(target.base, '?', target.len);
    head.path = query == NULL ? target : brim_str(target.base, (size_t)(query - target.base));
    (void)take_until(&rest, BRIM_STR("\r\n")); /* the version */
    while (!brim_str_has_prefix(rest, BRIM_STR("\r\n"))) {
        struct brim_str name = take_until(&rest, BRIM_STR(":"));
        struct brim_str value = brim_str_trim(take_until(&rest, BRIM_STR("\r\n")));

        if (brim_str_is_nocase(name, BRIM_STR("authorization")))
            head.authorization = authorizations++ == 0 ? value : brim_str(NULL, 0);
        head.has_body |= brim_str_is_nocase(name, BRIM_STR("transfer-encoding")) ||
                         (brim_str_is_nocase(name, BRIM_STR("content-length")) && !is_zero(value));
    }
    return head;
}

/* ---- refusals ---- */

/* Throws away what was read; false: it has been enough of it. */
static bool discard(struct brim_admin_conn *c)
{
    size_t bytes = c->sock->input->size;

    c->discarded_bytes += bytes;
    h2o_buffer_consume(&c->sock->input, bytes);
    return c->discarded_bytes <= DISCARD_BYTES_MAX;
}

/* By h2o, which has a timer and a request in wait for it. */
static void close_refused(struct brim_admin_conn *c)
{
    c->h2o_read(c->sock, "refused");
}

static void on_discard(h2o_socket_t *sock, const char *err)
{
    struct brim_admin_conn *c = sock->on_close.data;

    if (err != NULL || !discard(c))
        close_refused(c);
}

static void on_refusal_written(h2o_socket_t *sock, const char *err)
{
    if (err != NULL)
        close_refused(sock->on_close.data);
    else
        (void)shutdown(h2o_socket_get_fd(sock), SHUT_WR);
}

static size_t write_answer(struct brim_admin_conn *c, const struct brim_admin_gate_answer *answer)
{
    char body[256], date[BRIM_DATE_BYTES];
    int len = snprintf(body, sizeof(body), "{\"error\":\"%s\",\"accepted\":\"%s\"}", answer->error,
                       answer->accepted);

    INVARIANT(len > 0 && (size_t)len < sizeof(body)); /* its texts are all static */
    brim_date_format(brim_clock_wall_ms() / 1000, date);
    len = snprintf(c->answer, sizeof(c->answer),
                   "HTTP/1.1 %u %s\r\ndate: %.*s\r\nconnection: close\r\n%s%s%s%s"
                   "content-type: application/json\r\ncache-control: no-store\r\n"
                   "content-length: %d\r\n\r\n%s",
                   answer->status, brim_status_reason(answer->status), BRIM_DATE_BYTES, date,
                   answer->field, answer->field[0] == '\0' ? "" : ": ", answer->value,
                   answer->field[0] == '\0' ? "" : "\r\n", len, body);
    INVARIANT(len > 0 && (size_t)len < sizeof(c->answer));
    return (size_t)len;
}

static void refuse(struct brim_admin_conn *c, const struct brim_admin_gate_answer *answer,
                   const struct head *head)
{
    struct brim_admin_refused refused = {
        .status = answer->status, .method = head->method, .path = head->path};
    h2o_iovec_t text;

    c->conns->config.on_refused(c, &refused);
    c->is_refused = true;
    c->answered_mono_ms = brim_clock_mono_ms();
    text = h2o_iovec_init(c->answer, write_answer(c, answer));
    (void)discard(c); /* head is in it */
    c->sock->_cb.read = on_discard;
    h2o_socket_write(c->sock, &text, 1, on_refusal_written);
}

/* Whether h2o may have the request whose head is there; else it is refused. */
static bool is_admitted(struct brim_admin_conn *c)
{
    struct brim_guard_refusal bad = brim_admin_conn_scan(c->sock);
    struct brim_admin_gate *gate = c->conns->config.gate;
    enum brim_admin_gate_verdict verdict;
    struct head head = {.has_body = false};

    if (bad.status != 0) {
        struct brim_admin_gate_answer answer = {.status = bad.status,
                                                .field = "",
                                                .value = "",
                                                .error = bad.reason,
                                                .accepted = "a well-formed HTTP/1.1 request"};

        BRIM_COUNT(ADMIN_MALFORMED);
        refuse(c, &answer, &head);
        return false;
    }
    head = read_head(brim_str(c->sock->input->bytes, head_bytes(c->sock->input)));
    if (!head.has_body || brim_admin_gate_knows(gate, head.authorization))
        return true;
    verdict = brim_admin_gate_check(gate, head.authorization, brim_clock_mono_ms());
    if (verdict == BRIM_ADMIN_GATE_OPEN) /* another token has come in between */
        return true;
    BRIM_COUNT(ADMIN_BODY_UNREAD);
    refuse(c, brim_admin_gate_answer(verdict), &head);
    return false;
}

/* ---- turns ---- */

static void on_read(h2o_socket_t *sock, const char *err)
{
    struct brim_admin_conn *c = sock->on_close.data;

    if (err == NULL) {
        if (head_bytes(sock->input) == 0 && sock->input->size <= HEAD_BYTES_MAX)
            return;
        if (!is_admitted(c))
            return;
    }
    sock->_cb.read = c->h2o_read;
    c->h2o_read(sock, err); /* may close */
}

static void on_written(h2o_socket_t *sock, const char *err)
{
    struct brim_admin_conn *c = sock->on_close.data;
    struct brim_admin_conns *conns = c->conns;

    conns->inside = c;
    c->h2o_written(sock, err);
    if (conns->inside != c)
        return; /* closed */
    conns->inside = NULL;
    INVARIANT(sock->_cb.read == c->h2o_read && sock->input->size == 0);
    sock->_cb.read = on_read;
}

struct brim_admin_conn *brim_admin_conn_of(h2o_req_t *req)
{
    return req->conn->callbacks->get_socket(req->conn)->on_close.data;
}

void brim_admin_conn_before_send(h2o_req_t *req)
{
    struct brim_admin_conn *c = brim_admin_conn_of(req);
    size_t request_bytes = head_bytes(c->sock->input) + req->entity.len;

    if (brim_admin_gate_has_token(c->conns->config.gate) && c->sock->input->size > request_bytes)
        req->http1_is_persistent = 0;
}

void brim_admin_conn_after_send(h2o_req_t *req)
{
    struct brim_admin_conn *c = brim_admin_conn_of(req);

    c->answered_mono_ms = brim_clock_mono_ms();
    if (!brim_admin_gate_has_token(c->conns->config.gate))
        return;
    INVARIANT(c->sock->_cb.write != NULL);
    c->h2o_written = c->sock->_cb.write;
    c->sock->_cb.write = on_written;
}

/* ---- all of them ---- */

void brim_admin_conns_init(struct brim_admin_conns *conns,
                           const struct brim_admin_conns_config *config)
{
    *conns = (struct brim_admin_conns){.config = *config};
    conns->accept.ctx = config->ctx;
    conns->accept.hosts = config->hosts;
    h2o_linklist_init_anchor(&conns->all);
}

static void on_closed(void *data)
{
    struct brim_admin_conn *c = data;

    INVARIANT(c->conns->count > 0);
    c->conns->count--;
    if (c->conns->inside == c)
        c->conns->inside = NULL;
    h2o_linklist_unlink(&c->link);
    free(c);
}

void brim_admin_conns_take(struct brim_admin_conns *conns, h2o_socket_t *sock)
{
    struct brim_admin_conn *c;

    if (conns->count >= BRIM_ADMIN_CONNS_MAX) {
        h2o_socket_close(sock);
        return;
    }
    c = brim_alloc(sizeof(*c));
    c->conns = conns;
    c->sock = sock;
    c->answered_mono_ms = brim_clock_mono_ms();
    h2o_linklist_insert(&conns->all, &c->link);
    conns->count++;
    sock->on_close.cb = on_closed;
    sock->on_close.data = c;
    h2o_http1_accept(&conns->accept, sock, *h2o_get_timestamp(conns->config.ctx, NULL, NULL));
    c->h2o_read = sock->_cb.read;
    INVARIANT(c->h2o_read != NULL);
    if (brim_admin_gate_has_token(conns->config.gate))
        sock->_cb.read = on_read;
}

/* The socket closes on a later turn, whatever it waits for. */
static void kill_connection(struct brim_admin_conn *c)
{
    (void)shutdown(h2o_socket_get_fd(c->sock), SHUT_RDWR);
}

void brim_admin_conns_sweep(struct brim_admin_conns *conns)
{
    uint64_t now_ms = brim_clock_mono_ms();
    h2o_linklist_t *at, *next;

    for (at = conns->all.next; at != &conns->all; at = next) {
        struct brim_admin_conn *c = H2O_STRUCT_FROM_MEMBER(struct brim_admin_conn, link, at);

        next = at->next;
        if (c->is_refused && now_ms >= c->answered_mono_ms + LINGER_MS)
            close_refused(c);
        else if (h2o_socket_is_writing(c->sock) && now_ms >= c->answered_mono_ms + ANSWER_MS)
            kill_connection(c);
    }
}

void brim_admin_conns_kill(struct brim_admin_conns *conns)
{
    for (h2o_linklist_t *at = conns->all.next; at != &conns->all; at = at->next)
        kill_connection(H2O_STRUCT_FROM_MEMBER(struct brim_admin_conn, link, at));
}

unsigned brim_admin_conns_count(const struct brim_admin_conns *conns)
{
    return conns->count;
}
