/* SPDX-License-Identifier: MIT */
#include "brim/origin/fetch_many.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "brim/base/invariant.h"
#include "brim/base/str.h"
#include "brim/origin/fetch_once.h"

#define CONNECT_MS 5000L
#define STALL_S    60L /* without a byte: given up */
#define POLL_MS    1000
#define TO_BYTES   300u

/* One of the exchanges that run at a time. */
struct exchange {
    const struct brim_fetch_many_config *config;
    CURL *easy;
    bool is_busy;
    struct brim_fetch_many_result result;
};

struct many {
    const struct brim_fetch_many_config *config;
    CURLM *multi;
    struct exchange *exchanges;
    struct curl_slist *fields;
    struct curl_slist *to[2]; /* http, https */
    size_t busy;
};

bool brim_fetch_many_is_hit(const char *cache_status, size_t len)
{
    static const char word[] = "hit";
    bool in_quotes = false, is_hit = false;

    for (size_t i = 0; i < len; i++) {
        char c = cache_status[i];

        if (in_quotes && c == '\\')
            i++;
        else if (c == '"')
            in_quotes = !in_quotes;
        else if (!in_quotes && c == ',')
            is_hit = false; /* that was another cache's */
        else if (!in_quotes && c == ';') {
            struct brim_str rest = brim_str_trim(brim_str(cache_status + i + 1, len - i - 1));
            size_t name = 0;

            while (name < rest.len && strchr(";=, \t", rest.base[name]) == NULL)
                name++;
            is_hit = is_hit || brim_str_is(brim_str(rest.base, name), brim_str_of(word));
        }
    }
    return is_hit;
}

static size_t on_piece(char *bytes, size_t size, size_t count, void *ctx)
{
    struct exchange *exchange = ctx;
    const struct brim_fetch_many_config *config = exchange->config;

    exchange->result.bytes += size * count;
    if (config->piece != NULL && !config->piece(bytes, size * count, config->ctx))
        return CURL_WRITEFUNC_ERROR;
    return size * count;
}

static size_t on_field(char *line, size_t size, size_t count, void *ctx)
{
    static const char name[] = "cache-status:";
    struct exchange *exchange = ctx;
    size_t len = size * count, name_len = sizeof(name) - 1;

    if (len > name_len && strncasecmp(line, name, name_len) == 0) {
        while (len > name_len && (line[len - 1] == '\r' || line[len - 1] == '\n'))
            len--;
        exchange->result.was_hit = brim_fetch_many_is_hit(line + name_len, len - name_len);
    }
    return size * count;
}

static void set_up(const struct many *many, struct exchange *exchange)
{
    CURL *easy = exchange->easy;

    curl_easy_setopt(easy, CURLOPT_PRIVATE, exchange);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L); /* the key is the path as it was written */
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, STALL_S);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, many->fields);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_piece);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, exchange);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_field);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, exchange);
}

static struct curl_slist *connect_to(const char *address)
{
    char text[TO_BYTES];
    int len = snprintf(text, sizeof(text), "::%s", address); /* whatever host and port */

    return len < 0 || (size_t)len >= sizeof(text) ? NULL : curl_slist_append(NULL, text);
}

static enum brim_err open_many(struct many *many)
{
    const struct brim_fetch_many_config *config = many->config;

    many->multi = curl_multi_init();
    many->exchanges = brim_alloc(config->concurrency * sizeof(*many->exchanges));
    many->to[0] = connect_to(config->http);
    many->to[1] = connect_to(config->https);
    if (many->multi == NULL || many->to[0] == NULL || many->to[1] == NULL)
        return BRIM_ENOMEM;
    for (size_t i = 0; i < config->field_count; i++) {
        struct curl_slist *longer = curl_slist_append(many->fields, config->fields[i]);

        if (longer == NULL)
            return BRIM_ENOMEM;
        many->fields = longer;
    }
    for (size_t i = 0; i < config->concurrency; i++) {
        many->exchanges[i] = (struct exchange){.config = config, .easy = curl_easy_init()};
        if (many->exchanges[i].easy == NULL)
            return BRIM_ENOMEM;
        set_up(many, &many->exchanges[i]);
    }
    return BRIM_OK;
}

static void close_many(struct many *many)
{
    for (size_t i = 0; i < many->config->concurrency; i++) {
        if (many->exchanges[i].is_busy)
            (void)curl_multi_remove_handle(many->multi, many->exchanges[i].easy);
        curl_easy_cleanup(many->exchanges[i].easy);
    }
    free(many->exchanges);
    curl_multi_cleanup(many->multi);
    curl_slist_free_all(many->fields);
    curl_slist_free_all(many->to[0]);
    curl_slist_free_all(many->to[1]);
}

/* Starts what there is room for. */
static enum brim_err start_some(struct many *many)
{
    for (size_t i = 0; i < many->config->concurrency; i++) {
        struct exchange *exchange = &many->exchanges[i];
        const char *url = exchange->is_busy ? NULL : many->config->next(many->config->ctx);

        if (exchange->is_busy)
            continue;
        if (url == NULL)
            break;
        exchange->result = (struct brim_fetch_many_result){.url = url};
        curl_easy_setopt(exchange->easy, CURLOPT_CONNECT_TO,
                         many->to[strncmp(url, "https:", 6) == 0]);
        if (curl_easy_setopt(exchange->easy, CURLOPT_URL, url) != CURLE_OK ||
            curl_multi_add_handle(many->multi, exchange->easy) != CURLM_OK)
            return BRIM_ENOMEM;
        exchange->is_busy = true;
        many->busy++;
    }
    return BRIM_OK;
}

static void finish_some(struct many *many)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(many->multi, &left)) != NULL) {
        struct exchange *exchange = NULL;
        CURLcode code = message->data.result;
        long status = 0;

        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&exchange);
        curl_easy_getinfo(exchange->easy, CURLINFO_RESPONSE_CODE, &status);
        (void)curl_multi_remove_handle(many->multi, exchange->easy); /* message is gone with it */
        exchange->is_busy = false;
        many->busy--;
        exchange->result.err = brim_fetch_once_reason((int)code);
        exchange->result.status = (unsigned)status;
        many->config->done(&exchange->result, many->config->ctx);
    }
}

enum brim_err brim_fetch_many(const struct brim_fetch_many_config *config)
{
    struct many many = {.config = config};
    enum brim_err err;
    int running;

    INVARIANT(config->concurrency > 0);
    err = open_many(&many);
    if (err == BRIM_OK)
        err = start_some(&many);
    while (err == BRIM_OK && many.busy > 0) {
        if (curl_multi_perform(many.multi, &running) != CURLM_OK) {
            err = BRIM_ENOMEM;
            break;
        }
        finish_some(&many);
        err = start_some(&many);
        if (err == BRIM_OK && (size_t)running == many.busy &&
            curl_multi_poll(many.multi, NULL, 0, POLL_MS, NULL) != CURLM_OK)
            err = BRIM_ENOMEM;
    }
    close_many(&many);
    return err;
}
