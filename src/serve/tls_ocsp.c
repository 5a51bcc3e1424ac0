/* SPDX-License-Identifier: MIT */
/*
 * What is stapled hangs on its SSL_CTX, with the certificate that it is about: two with different
 * keys may share a context.
 */
#include "brim/serve/tls_ocsp.h"

#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "brim/base/invariant.h"
#include "brim/base/log.h"

#define CLOCK_DRIFT_S 300L /* between this machine and the responder */

struct staple {
    struct staple *next;
    X509 *certificate;           /* counted */
    ASN1_GENERALIZEDTIME *until; /* NULL: for ever */
    unsigned char *der;
    int len;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int slot; /* of SSL_CTX's extra data */

static void free_staples(void *parent, void *memory, CRYPTO_EX_DATA *data, int index, long argl,
                         void *argp)
{
    struct staple *staple = memory;

    (void)parent;
    (void)data;
    (void)index;
    (void)argl;
    (void)argp;
    while (staple != NULL) {
        struct staple *next = staple->next;

        X509_free(staple->certificate);
        ASN1_GENERALIZEDTIME_free(staple->until);
        OPENSSL_free(staple->der);
        free(staple);
        staple = next;
    }
}

static void make_slot(void)
{
    slot = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_staples);
    INVARIANT(slot >= 0);
}

static bool has_expired(const struct staple *staple)
{
    return staple->until != NULL && X509_cmp_current_time(staple->until) <= 0;
}

static int on_status(SSL *ssl, void *ctx)
{
    const struct staple *staple = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), slot);
    X509 *used = SSL_get_certificate(ssl);
    unsigned char *copy;

    (void)ctx;
    while (staple != NULL && (used == NULL || X509_cmp(used, staple->certificate) != 0))
        staple = staple->next;
    if (staple == NULL || has_expired(staple)) /* since it was read */
        return SSL_TLSEXT_ERR_NOACK;
    copy = OPENSSL_memdup(staple->der, (size_t)staple->len);
    if (copy == NULL)
        return SSL_TLSEXT_ERR_NOACK;
    SSL_set_tlsext_status_ocsp_resp(ssl, copy, staple->len); /* takes it */
    return SSL_TLSEXT_ERR_OK;
}

static X509 *issuer_of(SSL_CTX *ctx, X509 *certificate)
{
    STACK_OF(X509) *chain = NULL;

    SSL_CTX_get0_chain_certs(ctx, &chain);
    for (int i = 0; chain != NULL && i < sk_X509_num(chain); i++)
        if (X509_check_issued(sk_X509_value(chain, i), certificate) == X509_V_OK)
            return sk_X509_value(chain, i);
    return X509_check_issued(certificate, certificate) == X509_V_OK ? certificate : NULL;
}

/* By the issuer itself, or by one that it has named for that (RFC 6960 4.2.2.2). */
static bool is_signed_for(OCSP_BASICRESP *basic, X509 *issuer)
{
    STACK_OF(X509) *issuers = sk_X509_new_null();
    X509_STORE *store = X509_STORE_new();
    bool is = issuers != NULL && store != NULL && sk_X509_push(issuers, issuer) > 0 &&
              X509_STORE_add_cert(store, issuer) == 1 &&
              X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN) == 1 &&
              (OCSP_basic_verify(basic, issuers, store, OCSP_TRUSTOTHER) == 1 ||
               OCSP_basic_verify(basic, issuers, store, 0) == 1);

    sk_X509_free(issuers);
    X509_STORE_free(store);
    return is;
}

/* Takes what the response says of the certificate; NULL: it is good, or was before it expired. */
static const char *judge(OCSP_BASICRESP *basic, SSL_CTX *ctx, X509 *certificate,
                         struct staple *staple)
{
    ASN1_GENERALIZEDTIME *revoked = NULL, *made = NULL, *next = NULL;
    X509 *issuer = issuer_of(ctx, certificate);
    int status = V_OCSP_CERTSTATUS_UNKNOWN, reason, is_found = 0;
    const char *why = NULL;
    OCSP_CERTID *id;

    if (issuer == NULL)
        why = "cannot be checked: the certificate's file does not hold its issuer";
    else if (!is_signed_for(basic, issuer))
        why = "is not signed by the certificate's issuer, or for it";
    if (why == NULL) {
        id = OCSP_cert_to_id(NULL, certificate, issuer);
        is_found = id != NULL &&
                   OCSP_resp_find_status(basic, id, &status, &reason, &revoked, &made, &next) == 1;
        OCSP_CERTID_free(id);
        if (!is_found)
            why = "is about another certificate";
        else if (status != V_OCSP_CERTSTATUS_GOOD)
            why = "does not say that the certificate is good";
        else if (OCSP_check_validity(made, NULL, CLOCK_DRIFT_S, -1) != 1)
            why = "is not valid yet, or has no date";
        else if (next != NULL)
            staple->until = ASN1_STRING_dup(next);
    }
    return why;
}

const char *brim_tls_ocsp_staple(SSL_CTX *ctx, X509 *certificate, const char *file)
{
    struct staple *staple = brim_alloc(sizeof(*staple));
    BIO *in = BIO_new_file(file, "r");
    OCSP_RESPONSE *response = in == NULL ? NULL : d2i_OCSP_RESPONSE_bio(in, NULL);
    OCSP_BASICRESP *basic = response == NULL ? NULL : OCSP_response_get1_basic(response);
    const char *why = basic == NULL ? "holds no OCSP response in DER" : NULL;

    if (why == NULL && OCSP_response_status(response) != OCSP_RESPONSE_STATUS_SUCCESSFUL)
        why = "is a responder's error";

    (void)pthread_once(&once, make_slot);
    if (why == NULL)
        why = judge(basic, ctx, certificate, staple);
    if (why == NULL &&
        has_expired(staple)) /* a node must start though nobody fetched a newer one */
        BRIM_LOG(WARN, "tls.ocsp_expired", "file=%s", file);
    else if (why == NULL)
        staple->len = i2d_OCSP_RESPONSE(response, &staple->der);
    if (staple->len > 0) {
        staple->next = SSL_CTX_get_ex_data(ctx, slot);
        X509_up_ref(certificate);
        staple->certificate = certificate;
        (void)SSL_CTX_set_ex_data(ctx, slot, staple);
        SSL_CTX_set_tlsext_status_cb(ctx, on_status);
    } else {
        ASN1_GENERALIZEDTIME_free(staple->until);
        free(staple);
    }
    OCSP_BASICRESP_free(basic);
    OCSP_RESPONSE_free(response);
    BIO_free(in);
    ERR_clear_error();
    return why;
}

void brim_tls_ocsp_move(SSL_CTX *from, SSL_CTX *to)
{
    struct staple *staples, **end = &staples;

    (void)pthread_once(&once, make_slot);
    staples = SSL_CTX_get_ex_data(from, slot);
    if (staples == NULL)
        return;
    while (*end != NULL)
        end = &(*end)->next;
    *end = SSL_CTX_get_ex_data(to, slot);
    (void)SSL_CTX_set_ex_data(from, slot, NULL);
    (void)SSL_CTX_set_ex_data(to, slot, staples);
    SSL_CTX_set_tlsext_status_cb(to, on_status);
}
