/* SPDX-License-Identifier: MIT */
#include "brim/origin/fetch_once.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include "brim/base/invariant.h"

struct answer {
    char *bytes;
    size_t len;
};

static size_t on_answer(char *bytes, size_t size, size_t count, void *ctx)
{
    struct answer *answer = ctx;
    size_t len = size * count;
    char *longer = realloc(answer->bytes, answer->len + len + 1);

    if (longer == NULL)
        return 0;
    memcpy(longer + answer->len, bytes, len);
    answer->bytes = longer;
    answer->len += len;
    longer[answer->len] = '\0';
    return len;
}

enum brim_err brim_fetch_once_reason(int curl_code)
{
    switch (curl_code) {
    case CURLE_OK:
        return BRIM_OK;
    case CURLE_COULDNT_CONNECT:
        return BRIM_ECONNECT;
    case CURLE_COULDNT_RESOLVE_HOST:
        return BRIM_EDNS;
    case CURLE_OPERATION_TIMEDOUT:
        return BRIM_ETIMEOUT;
    case CURLE_SSL_CONNECT_ERROR:
        return BRIM_ETLS;
    case CURLE_OUT_OF_MEMORY:
        return BRIM_ENOMEM;
    default:
        return BRIM_EPROTO;
    }
}

enum brim_err brim_fetch_once(const char *method, const char *url, const char *json_body,
                              const char *unix_socket, struct brim_fetch_answer *answer_out)
{
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    struct answer answer = {0};
    CURL *easy = curl_easy_init();
    enum brim_err err = BRIM_ENOMEM;
    long status = 0;

    *answer_out = (struct brim_fetch_answer){0};
    if (easy == NULL || headers == NULL)
        goto out;
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, 5000L);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, 120000L);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_answer);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &answer);
    if (unix_socket != NULL)
        curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, unix_socket);
    if (json_body != NULL) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, json_body);
        curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    }
    err = brim_fetch_once_reason((int)curl_easy_perform(easy));
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    if (err == BRIM_OK) {
        answer_out->status = (unsigned)status;
        answer_out->body = answer.bytes == NULL ? brim_strdup("") : answer.bytes;
        answer_out->body_bytes = answer.len;
        answer.bytes = NULL;
    }
out:
    free(answer.bytes);
    curl_slist_free_all(headers);
    curl_easy_cleanup(easy);
    return err;
}
