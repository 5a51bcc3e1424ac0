/* SPDX-License-Identifier: MIT */
#include "brim/origin/fetch_once.h"

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "brim/base/invariant.h"

struct answer {
    char *bytes;
    size_t len;
    size_t len_max;
    bool is_cut;
};

static size_t on_answer(char *bytes, size_t size, size_t count, void *ctx)
{
    struct answer *answer = ctx;
    size_t len = size * count;
    char *longer;

    answer->is_cut = len > answer->len_max - answer->len;
    longer = answer->is_cut ? NULL : realloc(answer->bytes, answer->len + len + 1);
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

static void set_up(CURL *easy, const struct brim_fetch_call *call, struct answer *answer)
{
    curl_easy_setopt(easy, CURLOPT_URL, call->url);
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, call->method);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, 5000L);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS,
                     call->timeout_ms == 0 ? 120000L : (long)call->timeout_ms);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_answer);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, answer);
    if (call->unix_socket != NULL)
        curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, call->unix_socket);
    if (call->token != NULL && call->token[0] != '\0') {
        curl_easy_setopt(easy, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
        curl_easy_setopt(easy, CURLOPT_XOAUTH2_BEARER, call->token);
    }
    if (call->json_body != NULL)
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, call->json_body);
}

enum brim_err brim_fetch_once(const struct brim_fetch_call *call,
                              struct brim_fetch_answer *answer_out)
{
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    struct answer answer = {.len_max =
                                call->answer_bytes_max == 0 ? SIZE_MAX : call->answer_bytes_max};
    CURL *easy = curl_easy_init();
    enum brim_err err = BRIM_ENOMEM;
    long status = 0;

    *answer_out = (struct brim_fetch_answer){0};
    if (easy == NULL || headers == NULL)
        goto out;
    set_up(easy, call, &answer);
    if (call->json_body != NULL)
        curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    err = brim_fetch_once_reason((int)curl_easy_perform(easy));
    if (answer.is_cut)
        err = BRIM_ELIMIT;
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
