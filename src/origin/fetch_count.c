/* SPDX-License-Identifier: MIT */
#include "brim/origin/fetch_count.h"

#include <curl/curl.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include "brim/base/metric.h"

/* The origin's number travels as a pointer: a connection may outlive its origin's config. */
static curl_socket_t open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);

    (void)purpose;
    if (fd < 0)
        return CURL_SOCKET_BAD;
    brim_metric_count_origin((unsigned)(uintptr_t)ctx, BRIM_METRIC_ORIGIN_OPEN, 1);
    return fd;
}

static int close_socket(void *ctx, curl_socket_t fd)
{
    brim_metric_count_origin((unsigned)(uintptr_t)ctx, BRIM_METRIC_ORIGIN_OPEN, -1);
    return close(fd);
}

void brim_fetch_count_sockets(CURL *easy, unsigned origin)
{
    void *ctx = (void *)(uintptr_t)origin;

    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, ctx);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, close_socket);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, ctx);
}

void brim_fetch_count_connects(CURL *easy, const struct brim_fetch_origin *origin, bool was_sent)
{
    long connects = 0;

    if (curl_easy_getinfo(easy, CURLINFO_NUM_CONNECTS, &connects) != CURLE_OK)
        return;
    if (connects > 0) {
        BRIM_ADD(ORIGIN_CONNECTS, connects);
        brim_metric_count_origin(origin->sockets, BRIM_METRIC_ORIGIN_CONNECTED, connects);
    } else if (was_sent) {
        brim_metric_count_origin(origin->metrics, BRIM_METRIC_ORIGIN_REUSED, 1);
    }
}

void brim_fetch_count_result(unsigned origin, enum brim_err result)
{
    enum brim_metric_origin_cell cell = BRIM_METRIC_ORIGIN_OTHER;

    if (result == BRIM_OK || result == BRIM_ECLOSED)
        return;
    if (result == BRIM_ETIMEOUT)
        cell = BRIM_METRIC_ORIGIN_TIMEOUT;
    else if (result == BRIM_ECONNECT)
        cell = BRIM_METRIC_ORIGIN_CONNECT;
    else if (result == BRIM_EDNS)
        cell = BRIM_METRIC_ORIGIN_DNS;
    else if (result == BRIM_ETLS)
        cell = BRIM_METRIC_ORIGIN_TLS;
    else if (result == BRIM_EPROTO)
        cell = BRIM_METRIC_ORIGIN_PROTOCOL;
    else if (result == BRIM_ELIMIT)
        cell = BRIM_METRIC_ORIGIN_QUEUE;
    brim_metric_count_origin(origin, cell, 1);
}
