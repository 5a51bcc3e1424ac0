/* SPDX-License-Identifier: MIT */
#include "brim/serve/tls_client.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/http/field.h"

#define SUBJECT_BYTES_MAX 1024

enum verify { VERIFY_OFF, VERIFY_OPTIONAL, VERIFY_REQUIRE }; /* tls.client_verify */

static bool load_crl(SSL_CTX *ctx, const char *file)
{
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);
    X509_LOOKUP *lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());

    return lookup != NULL && X509_load_crl_file(lookup, file, X509_FILETYPE_PEM) > 0 &&
           X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK) == 1;
}

/* The client sees an alert at most, so the operator is told what is wrong with its certificate. */
static int on_verify(int is_ok, X509_STORE_CTX *store)
{
    X509 *x509 = X509_STORE_CTX_get0_cert(store); /* the client's, whatever of the chain is wrong */
    char subject[256] = "";

    if (is_ok)
        return is_ok;
    if (x509 != NULL)
        (void)X509_NAME_oneline(X509_get_subject_name(x509), subject, sizeof(subject));
    BRIM_LOG(INFO, "tls.client_refused", "subject=\"%s\" reason=\"%s\"", subject,
             X509_verify_cert_error_string(X509_STORE_CTX_get_error(store)));
    return 0;
}

struct brim_tls_client_fault brim_tls_client_configure(SSL_CTX *ctx,
                                                       const struct brim_conf_tls *config)
{
    struct brim_tls_client_fault fault = {.why = NULL};
    STACK_OF(X509_NAME) * names;
    int mode = SSL_VERIFY_PEER;

    if (config->client_verify == VERIFY_OFF)
        return fault;
    if (config->client_verify == VERIFY_REQUIRE)
        mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_CTX_set_verify(ctx, mode, on_verify);
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
    (void)SSL_CTX_set_num_tickets(ctx, 0);
    names = SSL_load_client_CA_file(config->client_ca);
    if (names == NULL || SSL_CTX_load_verify_file(ctx, config->client_ca) != 1)
        fault = (struct brim_tls_client_fault){"client_ca", config->client_ca,
                                               "holds no usable certificate in PEM"};
    SSL_CTX_set_client_CA_list(ctx, names); /* takes it */
    if (fault.why == NULL && config->client_crl[0] != '\0' && !load_crl(ctx, config->client_crl))
        fault = (struct brim_tls_client_fault){"client_crl", config->client_crl,
                                               "holds no usable list of revoked ones in PEM"};
    ERR_clear_error();
    return fault;
}

static X509 *verified(const SSL *ssl)
{
    return SSL_get_verify_result(ssl) == X509_V_OK ? SSL_get0_peer_certificate(ssl) : NULL;
}

char *brim_tls_client_fingerprint(const SSL *ssl)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char digest[EVP_MAX_MD_SIZE];
    X509 *x509 = verified(ssl);
    unsigned len = 0;
    char *text;

    if (x509 == NULL || X509_digest(x509, EVP_sha256(), digest, &len) != 1)
        return NULL;
    text = brim_alloc(2 * (size_t)len + 1);
    for (size_t i = 0; i < len; i++) {
        text[2 * i] = digits[digest[i] >> 4];
        text[2 * i + 1] = digits[digest[i] & 15];
    }
    return text;
}

char *brim_tls_client_subject(const SSL *ssl)
{
    X509 *x509 = verified(ssl);
    BIO *out = x509 == NULL ? NULL : BIO_new(BIO_s_mem());
    char *text = NULL, *bytes;
    long len;

    if (out != NULL &&
        X509_NAME_print_ex(out, X509_get_subject_name(x509), 0, XN_FLAG_RFC2253) >= 0) {
        len = BIO_get_mem_data(out, &bytes);
        if (len > 0 && len <= SUBJECT_BYTES_MAX &&
            brim_field_value_is_valid(brim_str(bytes, (size_t)len))) {
            text = brim_alloc((size_t)len + 1);
            memcpy(text, bytes, (size_t)len);
        }
    }
    BIO_free(out);
    ERR_clear_error();
    return text;
}
