/* SPDX-License-Identifier: MIT */
#include "brim/origin/fetch_reason.h"

#include <curl/curl.h>
#include <errno.h>

enum brim_err brim_fetch_reason_of(const struct brim_fetch_end *f)
{
    switch ((CURLcode)f->code) {
    case CURLE_OK:
        return f->has_headers ? BRIM_OK : BRIM_EPROTO;
    case CURLE_COULDNT_RESOLVE_HOST:
        return BRIM_EDNS;
    case CURLE_COULDNT_CONNECT:
        return BRIM_ECONNECT;
    case CURLE_OPERATION_TIMEDOUT:
        return f->was_sent ? BRIM_ETIMEOUT : BRIM_ECONNECT;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
        return BRIM_ETLS;
    case CURLE_OUT_OF_MEMORY:
        /* It says so, too, of a line that is longer than it takes (100 KB). */
        return f->was_sent && !f->has_headers ? BRIM_EPROTO : BRIM_ENOMEM;
    default:
        return BRIM_EPROTO; /* dropped, cut off, or not HTTP */
    }
}

enum brim_fetch_cause brim_fetch_cause_of(const struct brim_fetch_end *f)
{
    long os_error = 0;

    switch ((CURLcode)f->code) {
    case CURLE_COULDNT_CONNECT:
        if (curl_easy_getinfo(f->easy, CURLINFO_OS_ERRNO, &os_error) != CURLE_OK)
            break;
        if (os_error == ECONNREFUSED)
            return BRIM_FETCH_CAUSE_REFUSED;
        if (os_error == ETIMEDOUT)
            return BRIM_FETCH_CAUSE_CONNECT_TIMEOUT;
        if (os_error == EHOSTUNREACH || os_error == ENETUNREACH)
            return BRIM_FETCH_CAUSE_UNROUTABLE;
        break;
    case CURLE_OPERATION_TIMEDOUT:
        return f->was_sent ? BRIM_FETCH_CAUSE_UNKNOWN : BRIM_FETCH_CAUSE_CONNECT_TIMEOUT;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
        return BRIM_FETCH_CAUSE_CERTIFICATE;
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
        return BRIM_FETCH_CAUSE_OWN_TLS;
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
        return BRIM_FETCH_CAUSE_DROPPED;
    case CURLE_OK: /* and no answer: see brim_fetch_reason_of() */
    case CURLE_PARTIAL_FILE:
        return BRIM_FETCH_CAUSE_INCOMPLETE;
    default:
        break;
    }
    return BRIM_FETCH_CAUSE_UNKNOWN;
}
