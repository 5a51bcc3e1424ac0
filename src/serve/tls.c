/* SPDX-License-Identifier: MIT */
/*
 * One SSL_CTX per certificate, and an outer one without any, which h2o holds without a reference
 * from accept to ClientHello and which therefore lives as long as the listener. Certificates are a
 * set that is replaced as a whole; a handshake picks from the set that is current when its
 * ClientHello comes, and holds what it picked by a count of OpenSSL's. The lock is held for the
 * pick only, which a handshake's arithmetic outweighs a hundred times.
 *
 * A client that was shown one certificate may ask for a host that another one serves: by HTTP/2 it
 * takes its connection for good for whatever shares an address (RFC 9113 9.1.1), though it has not
 * been shown who is there. The names of a certificate hang on its SSL_CTX, which a connection
 * counts, so they outlive a reload; a host beyond them is looked up in the set of now. Only what
 * the connection's own certificate does not name costs the lock.
 *
 * Two certificates with the same names and keys of different types (RSA and ECDSA, say) share one
 * SSL_CTX: OpenSSL then picks by what the client can verify.
 *
 * Session tickets are encrypted with keys of the listener, so they are good for every worker of it,
 * and, with the session id context, for no other listener but the same of another node that has the
 * same keys.
 */
#include "brim/serve/tls.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "brim/base/clock.h"
#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/base/metric.h"
#include "brim/base/str.h"
#include "brim/serve/tls_client.h"
#include "brim/serve/tls_names.h"
#include "brim/serve/tls_ocsp.h"
#include "brim/serve/tls_tickets.h"

#define TLS_MAGIC 0x746c7331u

enum { MISDIRECTED_REFUSE, MISDIRECTED_SERVE }; /* tls.misdirected */

/* Forward secrecy and authenticated encryption only; TLS 1.3 has nothing else. */
#define CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL:!PSK:!SRP"

/* Server's preference; wire format. */
static const unsigned char protocols[] = "\x02h2\x08http/1.1";

struct brim_tls_shown {
    struct brim_tls_names *names;
    struct brim_tls *tls;
};

struct certificate {
    SSL_CTX *ctx;                 /* owned, one count */
    struct brim_tls_shown *shown; /* borrowed from ctx */
    const X509 *x509; /* likewise; ctx itself may name another one since join_key_types() */
    int key_type;
};

struct brim_certificates {
    struct certificate *items;
    size_t count;
    struct brim_tls_registry *hosts;
    bool serves_misdirected;
    struct brim_tickets *tickets; /* of a file; NULL: the listener's own */
};

struct brim_tls {
    uint32_t magic;
    SSL_CTX *outer;
    pthread_mutex_t lock;
    struct brim_certificates *current; /* lock */
    struct brim_tickets *tickets;      /* lock; own ones */
};

/* Where faults go, and what they are about. */
struct loading {
    const struct brim_conf *conf;
    const struct brim_conf_tls *config;
    size_t listener;
    FILE *faults;
    struct brim_tls *in_force; /* NULL: at a start */
    size_t certificate;        /* being loaded */
    bool has_faults;
};

/* The first of OpenSSL's reasons, which is nearest to the cause; empties the queue. */
static const char *ssl_reason(void)
{
    const char *text = ERR_reason_error_string(ERR_get_error());

    ERR_clear_error();
    return text == NULL ? "not usable" : text;
}

static void fault(struct loading *loading, const char *key, const char *file, const char *why)
{
    char path[96];
    int len = snprintf(path, sizeof(path), "listeners[%zu].tls.certificates[%zu].%s",
                       loading->listener, loading->certificate, key);

    INVARIANT(len > 0 && (size_t)len < sizeof(path));
    (void)fprintf(loading->faults, "%s:%d: %s: \"%s\" %s\n", brim_conf_path(loading->conf),
                  brim_conf_line(loading->conf, path), path, file, why);
    loading->has_faults = true;
}

/* Likewise, of an option beside the certificates. */
static void fault_of_listener(struct loading *loading, const char *key, const char *file,
                              const char *why)
{
    char path[96];
    int len = snprintf(path, sizeof(path), "listeners[%zu].tls.%s", loading->listener, key);

    INVARIANT(len > 0 && (size_t)len < sizeof(path));
    (void)fprintf(loading->faults, "%s:%d: %s: \"%s\" %s\n", brim_conf_path(loading->conf),
                  brim_conf_line(loading->conf, path), path, file, why);
    loading->has_faults = true;
}

/* ---- names ---- */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int slot; /* of SSL_CTX's extra data */

static void free_shown(void *parent, void *memory, CRYPTO_EX_DATA *data, int index, long argl,
                       void *argp)
{
    struct brim_tls_shown *shown = memory;

    (void)parent;
    (void)data;
    (void)index;
    (void)argl;
    (void)argp;
    if (shown != NULL)
        brim_tls_names_free(shown->names);
    free(shown);
}

static void make_slot(void)
{
    slot = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_shown);
    INVARIANT(slot >= 0);
}

static struct brim_tls_shown *hang_names(SSL_CTX *ctx, X509 *x509)
{
    struct brim_tls_shown *shown = brim_alloc(sizeof(*shown));

    shown->names = brim_tls_names_read(x509);
    (void)pthread_once(&once, make_slot);
    INVARIANT(SSL_CTX_set_ex_data(ctx, slot, shown) == 1);
    return shown;
}

static void index_names(struct brim_certificates *set)
{
    struct brim_tls_names **names = brim_alloc((set->count + 1) * sizeof(struct brim_tls_names *));

    for (size_t i = 0; i < set->count; i++)
        names[i] = set->items[i].shown->names;
    set->hosts = brim_tls_registry_new(names, set->count);
    free(names);
}

/* The context for the name that a client asks for, or NULL. */
static SSL_CTX *find_host(const struct brim_certificates *set, const char *host)
{
    size_t position = brim_tls_registry_find(set->hosts, brim_str_of(host));

    return position == BRIM_TLS_NO_ONE ? NULL : set->items[position].ctx;
}

/* ---- handshake ---- */

/* Without a name, or with one that no certificate has, the first certificate is used. */
static int on_servername(SSL *ssl, int *alert, void *ctx)
{
    struct brim_tls *tls = ctx;
    const char *host = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    SSL_CTX *found, *chosen;
    bool is_set;

    (void)alert;
    pthread_mutex_lock(&tls->lock);
    found = host == NULL ? NULL : find_host(tls->current, host);
    chosen = found == NULL ? tls->current->items[0].ctx : found;
    is_set = SSL_set_SSL_CTX(ssl, chosen) != NULL; /* counts it */
    pthread_mutex_unlock(&tls->lock);
    SSL_set_info_callback(ssl, SSL_CTX_get_info_callback(tls->outer)); /* stays with the outer */
    if (!is_set)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    return found == NULL ? SSL_TLSEXT_ERR_NOACK : SSL_TLSEXT_ERR_OK;
}

/* Copies the key out; 0: there is none. */
static int take_key(struct brim_tls *tls, const unsigned char name[16],
                    struct brim_ticket_key *key_out)
{
    const struct brim_ticket_key *newest, *key;
    struct brim_tickets *tickets;
    int found = 0;

    pthread_mutex_lock(&tls->lock);
    tickets = tls->current->tickets != NULL ? tls->current->tickets : tls->tickets;
    newest = brim_tickets_newest(tickets, brim_clock_mono_ms());
    key = name == NULL ? newest : brim_tickets_find(tickets, name);
    if (key != NULL) {
        *key_out = *key;
        found = key == newest ? 1 : 2; /* 2: good, and to be replaced by a newer one */
    }
    pthread_mutex_unlock(&tls->lock);
    return found;
}

static bool use_ticket_key(const struct brim_ticket_key *key, const unsigned char *iv,
                           EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int is_writing)
{
    static char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)(uintptr_t)key->mac,
                                          sizeof(key->mac)),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };

    return EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->cipher, iv, is_writing) == 1 &&
           EVP_MAC_CTX_set_params(mac, params) == 1;
}

/* Of the listener, whichever certificate is used: its contexts know it. */
static int on_ticket(SSL *ssl, unsigned char name[16], unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int is_writing)
{
    struct brim_tls *tls = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    struct brim_ticket_key key;
    int found = take_key(tls, is_writing ? NULL : name, &key);

    if (found == 0)
        return is_writing ? -1 : 0;
    if (is_writing) {
        memcpy(name, key.name, sizeof(key.name));
        if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1)
            found = -1;
    }
    if (found > 0 && !use_ticket_key(&key, iv, cipher, mac, is_writing))
        found = -1;
    OPENSSL_cleanse(&key, sizeof(key));
    return found;
}

/* A client that offers only protocols that we do not speak is refused (RFC 7301 3.2): to go on as
 * if it had offered none is how requests of one protocol reach the server of another. */
static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                   const unsigned char *in, unsigned int in_len, void *ctx)
{
    unsigned char *chosen;

    (void)ssl;
    (void)ctx;
    if (SSL_select_next_proto(&chosen, out_len, protocols, sizeof(protocols) - 1, in, in_len) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* ---- loading ---- */

/* A key that needs a passphrase cannot be used: nobody is there to ask. ctx: bool, that it does. */
static int no_passphrase(char *buffer, int room, int is_writing, void *ctx)
{
    bool *is_asked = ctx;

    (void)buffer;
    (void)room;
    (void)is_writing;
    if (is_asked != NULL)
        *is_asked = true;
    return -1;
}

static bool configure(SSL_CTX *ctx, const struct loading *loading)
{
    char id[32];
    int id_len = snprintf(id, sizeof(id), "brim/%zu", loading->listener);
    bool is_modern = loading->config->profile == 1;
    int oldest = is_modern || loading->config->min_version == 1 ? TLS1_3_VERSION : TLS1_2_VERSION;

    INVARIANT(id_len > 0 && (size_t)id_len < sizeof(id));
    /* Whoever asks to renegotiate (TLS 1.2) is refused by the end of his connection, and sees a bad
     * MAC: OpenSSL would send him an alert, no_renegotiation, but h2o lets nothing be written while
     * it reads ("ssl renegotiation not supported") and closes; the sequence numbers of what it says
     * then have one too many. */
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    if (is_modern) /* all of its ciphers are good: the client knows which is quick there */
        SSL_CTX_clear_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);         /* 34 KB less per idle connection */
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* it has a lock; tickets have none */
    SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
    SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
    return SSL_CTX_set_min_proto_version(ctx, oldest) == 1 &&
           SSL_CTX_set_cipher_list(ctx, CIPHERS) == 1 &&
           SSL_CTX_set_session_id_context(ctx, (unsigned char *)id, (unsigned)id_len) == 1;
}

static bool is_in_force(struct brim_tls *tls, const X509 *x509)
{
    bool is_same = false;

    pthread_mutex_lock(&tls->lock);
    for (size_t i = 0; i < tls->current->count && !is_same; i++)
        is_same = X509_cmp(tls->current->items[i].x509, x509) == 0;
    pthread_mutex_unlock(&tls->lock);
    return is_same;
}

/* At a reload a certificate that is over is a mistake, unless it has just run out in its place:
 * then a change of anything else may not wait for a new one. A start cannot wait either. */
static void judge_dates(struct loading *loading, X509 *x509, const char *file)
{
    if (X509_cmp_current_time(X509_get0_notAfter(x509)) < 0) {
        if (loading->in_force != NULL && !is_in_force(loading->in_force, x509))
            fault(loading, "certificate", file, "has expired; accepted: one that is valid");
        else
            BRIM_LOG(WARN, "tls.certificate_expired", "file=%s", file);
    }
    if (X509_cmp_current_time(X509_get0_notBefore(x509)) > 0)
        BRIM_LOG(WARN, "tls.certificate_not_yet_valid", "file=%s", file);
}

static EVP_PKEY *read_key(struct loading *loading, const char *file)
{
    BIO *bio = BIO_new_file(file, "r");
    EVP_PKEY *key = NULL;
    bool is_encrypted = false;

    if (bio == NULL)
        fault(loading, "key", file, "cannot be read");
    else
        key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &is_encrypted);
    if (bio != NULL && key == NULL)
        fault(loading, "key", file,
              is_encrypted ? "is encrypted; a key without passphrase is accepted"
                           : "holds no private key in PEM");
    if (key == NULL)
        BRIM_LOG(DEBUG, "tls.key", "file=%s reason=\"%s\"", file, ssl_reason());
    BIO_free(bio);
    return key;
}

static bool use_key(struct loading *loading, SSL_CTX *ctx, EVP_PKEY *key)
{
    const struct brim_conf_certificate *files =
        &loading->config->certificates.items[loading->certificate];
    char why[512];

    if (X509_check_private_key(SSL_CTX_get0_certificate(ctx), key) != 1) {
        ERR_clear_error();
        if (snprintf(why, sizeof(why), "does not match the certificate \"%s\"",
                     files->certificate) > 0)
            fault(loading, "key", files->key, why);
        return false;
    }
    if (SSL_CTX_use_PrivateKey(ctx, key) != 1) {
        fault(loading, "key", files->key, ssl_reason());
        return false;
    }
    return true;
}

static void staple(SSL_CTX *ctx, X509 *x509, struct loading *loading)
{
    const char *file = loading->config->certificates.items[loading->certificate].ocsp;
    const char *why;

    if (file[0] == '\0')
        return;
    why = brim_tls_ocsp_staple(ctx, x509, file);
    if (why != NULL)
        fault(loading, "ocsp", file, why);
}

static void ask_clients(SSL_CTX *ctx, struct loading *loading)
{
    struct brim_tls_client_fault wrong = brim_tls_client_configure(ctx, loading->config);

    if (wrong.why != NULL && loading->certificate == 0) /* once is enough */
        fault_of_listener(loading, wrong.key, wrong.file, wrong.why);
}

/* Loads one certificate with its key into a context of its own, or into that of an earlier one
 * that has the same names and another type of key. */
static void load(struct brim_certificates *set, struct loading *loading)
{
    const struct brim_conf_certificate *files =
        &loading->config->certificates.items[loading->certificate];
    struct certificate *certificate = &set->items[loading->certificate];
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    EVP_PKEY *key = NULL;
    X509 *x509;

    set->count = loading->certificate + 1;
    certificate->ctx = ctx;
    if (ctx == NULL || !configure(ctx, loading)) {
        fault(loading, "certificate", files->certificate, ssl_reason());
        return;
    }
    if (SSL_CTX_use_certificate_chain_file(ctx, files->certificate) != 1) {
        fault(loading, "certificate", files->certificate, "holds no usable certificate in PEM");
        BRIM_LOG(DEBUG, "tls.certificate", "file=%s reason=\"%s\"", files->certificate,
                 ssl_reason());
        return;
    }
    x509 = SSL_CTX_get0_certificate(ctx);
    judge_dates(loading, x509, files->certificate);
    certificate->x509 = x509;
    certificate->shown = hang_names(ctx, x509);
    key = read_key(loading, files->key);
    if (key != NULL && use_key(loading, ctx, key))
        certificate->key_type = EVP_PKEY_get_base_id(key);
    EVP_PKEY_free(key);
    staple(ctx, x509, loading);
    ask_clients(ctx, loading);
}

static void read_tickets(struct brim_certificates *set, struct loading *loading)
{
    const char *file = loading->config->tickets, *why;

    if (file[0] != '\0' && brim_tickets_read(file, &set->tickets, &why) != BRIM_OK)
        fault_of_listener(loading, "tickets", file, why);
}

/* Adds to an earlier context what shares its names: its clients get what they can verify. */
static void join_key_types(struct brim_certificates *set, struct loading *loading)
{
    for (size_t i = 1; i < set->count; i++) {
        const struct certificate *later = &set->items[i];

        for (size_t j = 0; j < i; j++) {
            const struct certificate *earlier = &set->items[j];
            STACK_OF(X509) *chain = NULL;

            if (earlier->key_type == later->key_type ||
                !brim_tls_names_are_same(earlier->shown->names, later->shown->names))
                continue;
            loading->certificate = i;
            SSL_CTX_get0_chain_certs(later->ctx, &chain);
            if (SSL_CTX_use_cert_and_key(earlier->ctx, SSL_CTX_get0_certificate(later->ctx),
                                         SSL_CTX_get0_privatekey(later->ctx), chain, 1) != 1)
                fault(loading, "certificate", loading->config->certificates.items[i].certificate,
                      ssl_reason());
            brim_tls_ocsp_move(later->ctx, earlier->ctx);
            break;
        }
    }
}

/* ---- interface ---- */

enum brim_err brim_certificates_read(const struct brim_conf *conf, size_t position,
                                     struct brim_tls *in_force, FILE *faults,
                                     struct brim_certificates **set_out)
{
    const struct brim_conf_root *root = brim_conf_root(conf);
    struct loading loading = {
        .conf = conf, .listener = position, .faults = faults, .in_force = in_force};
    struct brim_certificates *set = brim_alloc(sizeof(*set));

    *set_out = NULL;
    INVARIANT(position < root->listeners.count);
    loading.config = &root->listeners.items[position].tls;
    INVARIANT(loading.config->certificates.count > 0);
    set->items = brim_alloc(loading.config->certificates.count * sizeof(*set->items));
    for (size_t i = 0; i < loading.config->certificates.count; i++) {
        loading.certificate = i;
        load(set, &loading);
    }
    if (!loading.has_faults)
        join_key_types(set, &loading);
    read_tickets(set, &loading);
    if (loading.has_faults) {
        brim_certificates_free(set);
        return BRIM_EINVAL;
    }
    index_names(set);
    set->serves_misdirected = loading.config->misdirected == MISDIRECTED_SERVE;
    *set_out = set;
    return BRIM_OK;
}

void brim_certificates_free(struct brim_certificates *set)
{
    if (set == NULL)
        return;
    for (size_t i = 0; i < set->count; i++)
        SSL_CTX_free(set->items[i].ctx);
    brim_tickets_free(set->tickets);
    brim_tls_registry_free(set->hosts);
    free(set->items);
    free(set);
}

/* Makes the contexts know whose they are, for on_ticket() and brim_tls_is_misdirected(). */
static void own(struct brim_certificates *set, struct brim_tls *tls)
{
    for (size_t i = 0; i < set->count; i++) {
        SSL_CTX_set_app_data(set->items[i].ctx, tls);
        set->items[i].shown->tls = tls;
    }
}

enum brim_err brim_tls_open(const struct brim_conf *conf, size_t position, FILE *faults,
                            struct brim_tls **tls_out)
{
    struct loading loading = {.conf = conf, .listener = position, .faults = faults};
    struct brim_certificates *set;
    enum brim_err err = brim_certificates_read(conf, position, NULL, faults, &set);
    struct brim_tls *tls;

    *tls_out = NULL;
    if (err != BRIM_OK)
        return err;
    tls = brim_alloc(sizeof(*tls));
    tls->magic = TLS_MAGIC;
    tls->current = set;
    tls->tickets = brim_tickets_new();
    pthread_mutex_init(&tls->lock, NULL);
    loading.config = &brim_conf_root(conf)->listeners.items[position].tls;
    tls->outer = SSL_CTX_new(TLS_server_method());
    if (tls->outer == NULL || !configure(tls->outer, &loading)) {
        BRIM_LOG(ERROR, "tls.context", "reason=\"%s\"", ssl_reason());
        brim_tls_close(tls);
        return BRIM_ENOMEM;
    }
    (void)brim_tls_client_configure(tls->outer, loading.config); /* checked with the others */
    SSL_CTX_set_app_data(tls->outer, tls);
    own(set, tls);
    SSL_CTX_set_tlsext_servername_callback(tls->outer, on_servername);
    SSL_CTX_set_tlsext_servername_arg(tls->outer, tls);
    *tls_out = tls;
    return BRIM_OK;
}

void brim_tls_replace(struct brim_tls *tls, struct brim_certificates *take)
{
    struct brim_certificates *old;

    OBJ_CHECK(tls, TLS_MAGIC);
    INVARIANT(take != NULL);
    own(take, tls);
    pthread_mutex_lock(&tls->lock);
    old = tls->current;
    tls->current = take;
    pthread_mutex_unlock(&tls->lock);
    brim_certificates_free(old);
}

static int64_t expiry_of(const X509 *x509)
{
    struct tm tm = {0};

    return ASN1_TIME_to_tm(X509_get0_notAfter(x509), &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

static int64_t first_expiry(struct brim_tls *tls)
{
    int64_t first = INT64_MAX;

    pthread_mutex_lock(&tls->lock);
    for (size_t i = 0; i < tls->current->count; i++) {
        int64_t expiry = expiry_of(tls->current->items[i].x509);

        first = expiry < first ? expiry : first;
    }
    pthread_mutex_unlock(&tls->lock);
    return first;
}

void brim_tls_note_expiry(struct brim_tls *const *tls, size_t count)
{
    int64_t first = INT64_MAX;

    for (size_t i = 0; i < count; i++) {
        int64_t expiry = tls[i] == NULL ? INT64_MAX : first_expiry(tls[i]);

        first = expiry < first ? expiry : first;
    }
    brim_metric_set(BRIM_METRIC_TLS_EXPIRY, first == INT64_MAX ? 0 : first);
}

void brim_tls_close(struct brim_tls *tls)
{
    if (tls == NULL)
        return;
    OBJ_CHECK(tls, TLS_MAGIC);
    SSL_CTX_free(tls->outer);
    brim_certificates_free(tls->current);
    brim_tickets_free(tls->tickets);
    pthread_mutex_destroy(&tls->lock);
    tls->magic = 0;
    free(tls);
}

SSL_CTX *brim_tls_context(struct brim_tls *tls)
{
    OBJ_CHECK(tls, TLS_MAGIC);
    return tls->outer;
}

const struct brim_tls_shown *brim_tls_shown(const SSL *ssl)
{
    if (SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name) == NULL)
        return NULL;
    (void)pthread_once(&once, make_slot);
    return SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), slot);
}

bool brim_tls_is_misdirected(const struct brim_tls_shown *shown, struct brim_str host)
{
    bool is_anothers;

    if (brim_tls_names_cover(shown->names, host))
        return false;
    OBJ_CHECK(shown->tls, TLS_MAGIC);
    pthread_mutex_lock(&shown->tls->lock);
    is_anothers = !shown->tls->current->serves_misdirected &&
                  brim_tls_registry_find(shown->tls->current->hosts, host) != BRIM_TLS_NO_ONE;
    pthread_mutex_unlock(&shown->tls->lock);
    return is_anothers;
}
