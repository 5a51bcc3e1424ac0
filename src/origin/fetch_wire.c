/* SPDX-License-Identifier: MIT */
#include "brim/origin/fetch_wire.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

#include "brim/base/invariant.h"
#include "brim/origin/method.h"

#define HOST_BYTES       300u
#define RECEIVE_BYTES    65536L
#define CONNECTION_AGE_S 60L /* an older idle one is not used again */
#define LINE_BYTES       (600u + BRIM_DNS_ADDRESSES_MAX * BRIM_DNS_ADDRESS_BYTES)

static char *copy_text(struct brim_str text)
{
    char *copy = malloc(text.len + 1);

    if (copy == NULL)
        return NULL;
    if (text.len > 0)
        memcpy(copy, text.base, text.len);
    copy[text.len] = '\0';
    return copy;
}

/* Bytes that would end or split the request line or a field. */
static bool is_plain(struct brim_str text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.base[i] <= ' ' || text.base[i] == 0x7f)
            return false;
    return text.len > 0;
}

static bool request_is_valid(const struct brim_fetch_request *request)
{
    if (!brim_field_name_is_valid(request->method) || !is_plain(request->target) ||
        !is_plain(request->server) || !is_plain(request->host))
        return false;
    for (size_t i = 0; i < request->fields.count; i++)
        if (!brim_field_name_is_valid(request->fields.items[i].name) ||
            !brim_field_value_is_valid(request->fields.items[i].value))
            return false;
    return true;
}

static bool add_line(struct brim_wire *w, const char *line)
{
    struct curl_slist *longer = curl_slist_append(w->headers, line);

    if (longer == NULL)
        return false;
    w->headers = longer;
    return true;
}

/* "name: value", or "name;" for an empty value, as libcurl wants it. */
static bool add_field(struct brim_wire *w, struct brim_str name, struct brim_str value)
{
    size_t room = name.len + value.len + 3;
    char *line = malloc(room);
    bool added;
    int len;

    if (line == NULL)
        return false;
    if (value.len == 0)
        len = snprintf(line, room, "%.*s;", (int)name.len, name.base);
    else
        len = snprintf(line, room, "%.*s: %.*s", (int)name.len, name.base, (int)value.len,
                       value.base);
    INVARIANT(len > 0 && (size_t)len < room);
    added = add_line(w, line);
    free(line);
    return added;
}

/* libcurl adds these by itself unless they are switched off by an empty line. */
static bool add_switched_off(struct brim_wire *w, struct brim_fields fields)
{
    static const struct {
        struct brim_str name;
        const char *line;
    } own[] = {
        {BRIM_STR("accept"), "Accept:"},
        {BRIM_STR("user-agent"), "User-Agent:"},
        {BRIM_STR("content-type"), "Content-Type:"},
    };

    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        if (brim_fields_find(fields, own[i].name) == NULL && !add_line(w, own[i].line))
            return false;
    return add_line(w, "Expect:");
}

static bool copy_fields(struct brim_wire *w, const struct brim_fetch_request *request)
{
    if (!add_field(w, BRIM_STR("Host"), request->host))
        return false;
    for (size_t i = 0; i < request->fields.count; i++)
        if (!add_field(w, request->fields.items[i].name, request->fields.items[i].value))
            return false;
    if (request->mark.name.len > 0 && !add_field(w, request->mark.name, request->mark.value))
        return false;
    return add_switched_off(w, request->fields);
}

/* "https://host:port" -> its host and port. */
static bool split_server(struct brim_wire *w, struct brim_str server)
{
    bool is_https = brim_str_has_prefix(server, BRIM_STR("https://"));
    size_t scheme = is_https ? 8 : 7;
    struct brim_str real = brim_str(server.base + scheme, server.len - scheme);
    const char *port = memrchr(real.base, ':', real.len);

    if (port != NULL && memchr(port, ']', real.len - (size_t)(port - real.base)) != NULL)
        port = NULL; /* a colon of an IPv6 address */
    w->name = copy_text(brim_str(real.base, port == NULL ? real.len : (size_t)(port - real.base)));
    w->port =
        copy_text(port == NULL ? brim_str_of(is_https ? "443" : "80")
                               : brim_str(port + 1, real.len - (size_t)(port + 1 - real.base)));
    return w->name != NULL && w->port != NULL;
}

static bool set_connect_to(struct brim_wire *w, const char *host)
{
    char line[LINE_BYTES];

    if (snprintf(line, sizeof(line), "::%s:%s", host, w->port) >= (int)sizeof(line))
        return false;
    w->connect_to = curl_slist_append(NULL, line);
    return w->connect_to != NULL;
}

/* A certificate name other than the URL's host: ask for that name, connect to the real host. */
static bool set_url(struct brim_wire *w, const struct brim_fetch_origin *origin,
                    struct brim_str server)
{
    const char *name = origin->tls_server_name;
    bool has_other = name != NULL && brim_str_has_prefix(server, BRIM_STR("https://"));
    char line[LINE_BYTES];

    if (!split_server(w, server))
        return false;
    if (has_other &&
        snprintf(line, sizeof(line), "https://%s:%s", name, w->port) >= (int)sizeof(line))
        return false;
    w->url = copy_text(has_other ? brim_str_of(line) : server);
    if (w->url == NULL)
        return false;
    if (!brim_dns_is_address(w->name))
        return true; /* brim_wire_lead() has the rest */
    if (has_other && !set_connect_to(w, w->name))
        return false;
    free(w->name);
    w->name = NULL;
    return true;
}

/* Its name with its generation is what libcurl keeps connections and addresses under; "+": no
 * longer than anything else that it looks up. */
bool brim_wire_lead(struct brim_wire *w, const struct brim_names_way *way)
{
    char host[HOST_BYTES], line[LINE_BYTES];
    size_t at;

    INVARIANT(w->connect_to == NULL && w->resolve == NULL);
    if (snprintf(host, sizeof(host), "%s@%u", w->name, way->generation) >= (int)sizeof(host) ||
        !set_connect_to(w, host))
        return false;
    at = (size_t)snprintf(line, sizeof(line), "+%s:%s:", host, w->port);
    for (unsigned i = 0; i < way->count && at < sizeof(line); i++)
        at += (size_t)snprintf(line + at, sizeof(line) - at, "%s%s", i == 0 ? "" : ",",
                               way->addresses[i]);
    if (at >= sizeof(line))
        return false;
    w->resolve = curl_slist_append(NULL, line);
    return w->resolve != NULL;
}

bool brim_wire_lead_last(struct brim_wire *w, struct brim_names *names)
{
    struct brim_names_way way;

    return brim_names_last(names, w->name, &way) && brim_wire_lead(w, &way);
}

static bool copy_body(struct brim_wire *w, const struct brim_fetch_request *request)
{
    bool wants_length = brim_wire_method_is(w, "POST") || brim_wire_method_is(w, "PUT") ||
                        brim_wire_method_is(w, "PATCH");

    w->has_body = request->has_body || wants_length;
    w->body_bytes = request->has_body ? request->body_bytes : 0;
    w->body = copy_text(brim_str(request->body, w->body_bytes));
    return w->body != NULL;
}

enum brim_err brim_wire_write(const struct brim_fetch_request *request, struct brim_wire *wire_out)
{
    *wire_out = (struct brim_wire){0};
    if (!request_is_valid(request))
        return BRIM_EINVAL;
    wire_out->target = copy_text(request->target);
    wire_out->method = copy_text(request->method);
    if (wire_out->target == NULL || wire_out->method == NULL ||
        !set_url(wire_out, request->origin, request->server) || !copy_fields(wire_out, request) ||
        !copy_body(wire_out, request)) {
        brim_wire_fini(wire_out);
        return BRIM_ENOMEM;
    }
    return BRIM_OK;
}

void brim_wire_fini(struct brim_wire *wire)
{
    curl_slist_free_all(wire->headers);
    curl_slist_free_all(wire->connect_to);
    curl_slist_free_all(wire->resolve);
    free(wire->name);
    free(wire->port);
    free(wire->url);
    free(wire->target);
    free(wire->method);
    free(wire->body);
    *wire = (struct brim_wire){0};
}

bool brim_wire_method_is(const struct brim_wire *wire, const char *method)
{
    return strcmp(wire->method, method) == 0;
}

/* Makes a connection for this exchange, which nobody uses again. */
static void set_alone(void *easy)
{
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
}

/* libcurl 7.88 begins HTTP/2 anew on a cleartext connection that speaks it already (curl's issue
 * 10634, mended in 8.0.0): every exchange but the first of a connection fails. */
static bool can_reuse_cleartext_http2(void)
{
    unsigned version = curl_version_info(CURLVERSION_NOW)->version_num;

    return version < 0x075800 || version >= 0x080000;
}

/* In HTTP/2 an exchange has a connection of its own too (CURLPIPE_NOTHING): one that waits for its
 * reader would hold up the others of its connection. */
static void set_version(const struct brim_wire *wire, bool is_http2, void *easy)
{
    bool is_tls = strncmp(wire->url, "https:", 6) == 0;

    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
                     !is_http2 ? (long)CURL_HTTP_VERSION_1_1
                     : is_tls  ? (long)CURL_HTTP_VERSION_2TLS
                               : (long)CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE);
    if (is_http2 && !is_tls && !can_reuse_cleartext_http2())
        set_alone(easy);
}

/* The CAs of that file as it is now, and no others: libcurl would take those of the system's folder
 * beside it (as Debian builds it), and, where there is the file alone, keep what it read for a day.
 * A session that is resumed was proved by what the file said then: none is. */
static void set_trust(const char *ca_file, void *easy)
{
    curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file);
    curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, 0L);
    curl_easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L);
}

void brim_wire_set_way(const struct brim_wire *wire, const struct brim_fetch_origin *origin,
                       void *easy)
{
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, RECEIVE_BYTES);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, CONNECTION_AGE_S);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)origin->connect_timeout_ms);
    curl_easy_setopt(easy, CURLOPT_URL, wire->url);
    curl_easy_setopt(easy, CURLOPT_REQUEST_TARGET, wire->target);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, wire->headers);
    curl_easy_setopt(easy, CURLOPT_CONNECT_TO, wire->connect_to);
    curl_easy_setopt(easy, CURLOPT_RESOLVE, wire->resolve);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, origin->tls_verify ? 1L : 0L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, origin->tls_verify ? 2L : 0L);
    if (origin->tls_ca_file != NULL)
        set_trust(origin->tls_ca_file, easy);
    set_version(wire, origin->is_http2, easy);
}

bool brim_wire_is_idempotent(const struct brim_wire *wire)
{
    return brim_method_is_idempotent(brim_str_of(wire->method));
}

void brim_wire_set_method(const struct brim_wire *wire, void *easy)
{
    if (brim_wire_method_is(wire, "HEAD")) {
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    } else if (wire->has_body) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)wire->body_bytes);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, wire->body);
    }
    if (!brim_wire_method_is(wire, "GET") || wire->has_body)
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, wire->method);
    if (brim_wire_is_idempotent(wire))
        return;
    /* libcurl sends again by itself when a reused connection turns out to be dead. And who makes a
     * connection each time would leave one each time. */
    set_alone(easy);
}

bool brim_wire_goes_out(struct brim_wire *wire, void *easy)
{
    curl_off_t bytes = 0;
    bool more;

    if (wire->body_bytes == 0 ||
        curl_easy_getinfo(easy, CURLINFO_SIZE_UPLOAD_T, &bytes) != CURLE_OK)
        return false;
    more = (uint64_t)bytes > wire->uploaded;
    wire->uploaded = (uint64_t)bytes;
    return more;
}
