/* SPDX-License-Identifier: MIT */
/*
 * Certificates of a listener: which one a client gets, and what is said about those that cannot be
 * used. Keys and certificates are made here; handshakes run in memory.
 */
#include "brim/serve/tls.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "brim/base/log.h"
#include "brim/base/metric.h"
#include "unit.h"

enum key_kind { KEY_EC, KEY_RSA };

static char dir[] = "/tmp/brim-tls-XXXXXX";
static struct brim_conf *conf;
static struct brim_tls *tls;
static char faults[4096];

/* ---- certificates ---- */

static const char *path_of(const char *name, const char *suffix)
{
    static char paths[4][128];
    static unsigned next;
    char *path = paths[next++ % 4];

    snprintf(path, sizeof(paths[0]), "%s/%s.%s", dir, name, suffix);
    return path;
}

static EVP_PKEY *make_key(enum key_kind kind)
{
    EVP_PKEY *key = kind == KEY_EC ? EVP_EC_gen("P-256") : EVP_RSA_gen(2048);

    ck_assert_ptr_nonnull(key);
    return key;
}

static void write_key(EVP_PKEY *key, const char *name, const EVP_CIPHER *cipher)
{
    FILE *file = fopen(path_of(name, "key"), "w");

    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(
        PEM_write_PrivateKey(file, key, cipher, (const unsigned char *)"pw", 2, NULL, NULL), 1);
    fclose(file);
}

struct cert {
    const char *file;
    const char *cn;
    const char *san; /* "DNS:a,DNS:b", or NULL */
    enum key_kind kind;
    long from_s;
    long to_s;
};

/* Writes FILE.pem and FILE.key, self-signed. */
static void make_cert(const struct cert *cert)
{
    EVP_PKEY *key = make_key(cert->kind);
    X509 *x509 = X509_new();
    X509_NAME *name = X509_get_subject_name(x509);
    FILE *file = fopen(path_of(cert->file, "pem"), "w");

    ck_assert_ptr_nonnull(file);
    X509_set_version(x509, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
    X509_gmtime_adj(X509_getm_notBefore(x509), cert->from_s);
    X509_gmtime_adj(X509_getm_notAfter(x509), cert->to_s == 0 ? 86400 : cert->to_s);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)cert->cn, -1, -1,
                               0);
    X509_set_issuer_name(x509, name);
    X509_set_pubkey(x509, key);
    if (cert->san != NULL) {
        X509_EXTENSION *san = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, cert->san);

        ck_assert_ptr_nonnull(san);
        X509_add_ext(x509, san, -1);
        X509_EXTENSION_free(san);
    }
    ck_assert_int_gt(X509_sign(x509, key, EVP_sha256()), 0);
    ck_assert_int_eq(PEM_write_X509(file, x509), 1);
    fclose(file);
    write_key(key, cert->file, NULL);
    X509_free(x509);
    EVP_PKEY_free(key);
}

static void make(const char *file, const char *cn, const char *san)
{
    make_cert(&(struct cert){.file = file, .cn = cn, .san = san});
}

static void setup(void)
{
    ck_assert_ptr_nonnull(mkdtemp(dir));
    make("first", "first", "DNS:first.example,DNS:both.example");
    make("second", "second",
         "DNS:second.example,DNS:*.Wild.example,DNS:both.example,DNS:wild.example");
    make("third", "cn.example", NULL);
    make("fourth", "fourth", "DNS:deep.a.wild.example,DNS:x.wild.example");
}

static void teardown(void)
{
    brim_tls_close(tls);
    brim_conf_free(conf);
    char command[128];
    snprintf(command, sizeof(command), "rm -r %s", dir);
    ck_assert_int_eq(system(command), 0);
}

/* ---- opening ---- */

/* Each pair is certificate file, key file; ends with NULL. Line 5 of the config is the first. */
static enum brim_err open_tls(const char *min_version, const char *const *pairs)
{
    FILE *file = fopen(path_of("brim", "yaml"), "w");
    FILE *sink = fmemopen(faults, sizeof(faults), "w");
    enum brim_err err;

    ck_assert_ptr_nonnull(file);
    fprintf(file, "listeners:\n  - address: 127.0.0.1:4433\n    tls:\n      certificates:\n");
    for (; *pairs != NULL; pairs += 2)
        fprintf(file, "        - certificate: %s\n          key: %s\n", path_of(pairs[0], "pem"),
                path_of(pairs[1], "key"));
    fprintf(file, "      min_version: \"%s\"\n", min_version);
    fprintf(file, "origins:\n  - name: o\n    servers:\n      - url: http://127.0.0.1:1\n");
    fprintf(file, "sites:\n  - hosts: a\n    origin: o\n");
    fclose(file);
    err = brim_conf_load(path_of("brim", "yaml"), sink, &conf);
    fflush(sink);
    ck_assert_msg(err == BRIM_OK, "%s", faults);
    err = brim_tls_open(conf, 0, sink, &tls);
    fclose(sink);
    return err;
}

static void open_four(void)
{
    static const char *const pairs[] = {"first", "first",  "second", "second", "third",
                                        "third", "fourth", "fourth", NULL};

    ck_assert_msg(open_tls("1.2", pairs) == BRIM_OK, "%s", faults);
}

/* ---- handshakes ---- */

struct hello {
    const char *host;   /* NULL: no SNI */
    const char *alpn;   /* wire format; NULL: none */
    const char *groups; /* of signature algorithms; NULL: default */
    int version;        /* the only one offered; 0: any */
};

struct result {
    bool is_done;
    char cn[64];
    char alpn[16];
    int key_type;
    int version;
};

static SSL *client_of(SSL_CTX *ctx, const struct hello *hello)
{
    SSL *client = SSL_new(ctx);

    SSL_set_connect_state(client);
    if (hello->host != NULL)
        ck_assert_int_eq(SSL_set_tlsext_host_name(client, hello->host), 1);
    if (hello->alpn != NULL)
        ck_assert_int_eq(SSL_set_alpn_protos(client, (const unsigned char *)hello->alpn,
                                             (unsigned)strlen(hello->alpn)),
                         0);
    if (hello->groups != NULL)
        ck_assert_int_eq(SSL_set1_sigalgs_list(client, hello->groups), 1);
    if (hello->version != 0) {
        SSL_set_min_proto_version(client, hello->version);
        SSL_set_max_proto_version(client, hello->version);
    }
    return client;
}

static void read_result(SSL *client, struct result *result_out)
{
    X509 *x509 = SSL_get1_peer_certificate(client);
    const unsigned char *alpn;
    unsigned alpn_len;

    X509_NAME_get_text_by_NID(X509_get_subject_name(x509), NID_commonName, result_out->cn,
                              sizeof(result_out->cn));
    result_out->key_type = EVP_PKEY_get_base_id(X509_get0_pubkey(x509));
    SSL_get0_alpn_selected(client, &alpn, &alpn_len);
    if (alpn_len > 0)
        memcpy(result_out->alpn, alpn, alpn_len);
    result_out->version = SSL_version(client);
    X509_free(x509);
}

/* Shakes hands in memory; whether both are content. */
static bool meet(SSL *client, SSL *server)
{
    BIO *client_bio, *server_bio;
    bool is_done = false;

    ck_assert_int_eq(BIO_new_bio_pair(&client_bio, 0, &server_bio, 0), 1);
    SSL_set_bio(client, client_bio, client_bio);
    SSL_set_bio(server, server_bio, server_bio);
    SSL_set_accept_state(server);
    for (int i = 0; i < 10 && !is_done; i++) {
        int c = SSL_do_handshake(client), s = SSL_do_handshake(server);

        is_done = c == 1 && s == 1;
    }
    return is_done;
}

static struct result shake(const struct hello *hello)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *client = client_of(ctx, hello), *server = SSL_new(brim_tls_context(tls));
    struct result result = {.is_done = meet(client, server)};

    if (result.is_done)
        read_result(client, &result);
    ERR_clear_error();
    SSL_free(client);
    SSL_free(server);
    SSL_CTX_free(ctx);
    return result;
}

/* ---- selection ---- */

/* A wrong certificate is an outage for the site that it should have been. */
START_TEST(the_name_a_client_asks_for_chooses_the_certificate)
{
    static const struct {
        const char *host, *cn;
    } cases[] = {
        {"first.example", "first"},
        {"FIRST.Example", "first"},
        {"first.example.", "first"},
        {"second.example", "second"},
        {"both.example", "first"}, /* of two, the first in the config */
        {"cn.example", "cn.example"},
        {"a.wild.example", "second"},
        {"A.WILD.EXAMPLE", "second"},
        {"x.wild.example", "fourth"}, /* whole names go before wildcards */
        {"wild.example", "second"},
        {"b.a.wild.example", "first"}, /* a wildcard is one label */
        {"deep.a.wild.example", "fourth"},
        {"other.example", "first"}, /* unknown: the default */
        {"example", "first"},
        {NULL, "first"},
        {"a.first.example", "first"},
        {".wild.example", "first"},
        {"*.wild.example", "second"},
    };

    open_four();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct result got = shake(&(struct hello){.host = cases[i].host});

        ck_assert_msg(got.is_done && strcmp(got.cn, cases[i].cn) == 0, "%s: %s, not %s",
                      cases[i].host, got.cn, cases[i].cn);
    }
}
END_TEST

/* Whether a client that asked for one host in its handshake may not ask for then afterwards. */
static bool is_misdirected(const char *host, const char *then)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *client = client_of(ctx, &(struct hello){.host = host});
    SSL *server = SSL_new(brim_tls_context(tls));
    const struct brim_tls_shown *shown;
    bool is = false;

    ck_assert_msg(meet(client, server), "%s", host);
    shown = brim_tls_shown(server);
    ck_assert((shown == NULL) == (host == NULL));
    if (shown != NULL)
        is = brim_tls_is_misdirected(shown, brim_str_of(then));
    SSL_free(client);
    SSL_free(server);
    SSL_CTX_free(ctx);
    return is;
}

/* A browser takes an HTTP/2 connection for good for every host at its address: it must be told
 * where the certificate it was shown is not that host's, and not be sent away where it is. */
START_TEST(a_host_of_another_certificate_is_misdirected)
{
    static const struct {
        const char *shown, *then;
        bool is;
    } cases[] = {
        {"first.example", "first.example", false},
        {"first.example", "both.example", false},
        {"first.example", "second.example", true},
        {"FIRST.example", "second.EXAMPLE.", true},
        {"first.example", "a.wild.example", true},
        {"first.example", "nobody.example", false}, /* no certificate would be better */
        {"first.example", "192.0.2.1", false},
        {"first.example", "", false},
        {"both.example", "second.example", true}, /* it was the first that was shown */
        {"second.example", "both.example", false},
        {"second.example", "wild.example", false},
        {"second.example", "x.wild.example", false}, /* its wildcard covers it, though not first */
        {"second.example", "deep.a.wild.example", true},
        {"x.wild.example", "y.wild.example", true},
        {"cn.example", "first.example", true},
        {"nobody.example", "first.example",
         false}, /* was shown the default, which is good for it */
        {"nobody.example", "second.example", true},
        {"nobody.example", "nobody.example", false},
        {NULL, "second.example", false}, /* asked for nobody */
    };

    open_four();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        ck_assert_msg(is_misdirected(cases[i].shown, cases[i].then) == cases[i].is, "%s: %s",
                      cases[i].shown, cases[i].then);
}
END_TEST

/* Connections outlive certificates: what one was shown must stay known, and a host that has a
 * certificate since then is no longer what the old one's client may ask for. */
START_TEST(a_connection_is_judged_by_what_it_was_shown_and_what_there_is_now)
{
    static const char *const pairs[] = {"first", "first", "second", "second", NULL};
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    struct brim_certificates *next;
    SSL *client, *server;

    ck_assert_msg(open_tls("1.2", pairs) == BRIM_OK, "%s", faults);
    client = client_of(ctx, &(struct hello){.host = "first.example"});
    server = SSL_new(brim_tls_context(tls));
    ck_assert(meet(client, server));
    ck_assert(!brim_tls_is_misdirected(brim_tls_shown(server), BRIM_STR("both.example")));
    ck_assert(!brim_tls_is_misdirected(brim_tls_shown(server), BRIM_STR("later.example")));
    make("first", "renewed", "DNS:first.example");
    make("second", "renewed", "DNS:both.example,DNS:later.example");
    ck_assert_int_eq(brim_certificates_read(conf, 0, tls, stderr, &next), BRIM_OK);
    brim_tls_replace(tls, next);
    ck_assert(!brim_tls_is_misdirected(brim_tls_shown(server), BRIM_STR("both.example")));
    ck_assert(!brim_tls_is_misdirected(brim_tls_shown(server), BRIM_STR("second.example")));
    ck_assert(brim_tls_is_misdirected(brim_tls_shown(server), BRIM_STR("later.example")));
    SSL_free(client);
    SSL_free(server);
    SSL_CTX_free(ctx);
}
END_TEST

/* A reload: who is connected goes on, who comes gets the new set, all of it. */
START_TEST(a_replaced_set_serves_the_handshakes_that_follow)
{
    static const char *const pairs[] = {"first", "first", "second", "second", NULL};
    struct brim_certificates *next;

    ck_assert_msg(open_tls("1.2", pairs) == BRIM_OK, "%s", faults);
    ck_assert_str_eq(shake(&(struct hello){.host = "second.example"}).cn, "second");
    make("first", "renewed", "DNS:first.example");
    ck_assert_int_eq(brim_certificates_read(conf, 0, tls, stderr, &next), BRIM_OK);
    ck_assert_str_eq(shake(&(struct hello){.host = "first.example"}).cn, "first");
    brim_tls_replace(tls, next);
    ck_assert_str_eq(shake(&(struct hello){.host = "first.example"}).cn, "renewed");
    ck_assert_str_eq(shake(&(struct hello){.host = NULL}).cn, "renewed");
    ck_assert_str_eq(shake(&(struct hello){.host = "second.example"}).cn, "second");
}
END_TEST

/* An RSA certificate beside an ECDSA one is for clients that know no ECDSA. */
START_TEST(two_key_types_for_one_name_serve_both_kinds_of_clients)
{
    static const char *const pairs[] = {"ec", "ec", "rsa", "rsa", NULL};

    make_cert(&(struct cert){.file = "ec", .cn = "e", .san = "DNS:a.example,DNS:b.example"});
    make_cert(&(struct cert){
        .file = "rsa", .cn = "r", .san = "DNS:b.example,DNS:a.example", .kind = KEY_RSA});
    ck_assert_msg(open_tls("1.2", pairs) == BRIM_OK, "%s", faults);
    ck_assert_int_eq(shake(&(struct hello){.host = "a.example"}).key_type, EVP_PKEY_EC);
    ck_assert_int_eq(
        shake(&(struct hello){.host = "a.example", .groups = "RSA-PSS+SHA256"}).key_type,
        EVP_PKEY_RSA);
}
END_TEST

/* ALPN decides which parser reads the bytes that follow. */
START_TEST(alpn_prefers_h2_and_refuses_what_nobody_speaks)
{
    open_four();
    for (int i = 0; i < 2; i++) { /* also where SNI has switched the context */
        const char *host = i == 0 ? "first.example" : "second.example";
        struct result got = shake(&(struct hello){host, "\x08http/1.1\x02h2", NULL, 0});

        ck_assert_str_eq(got.alpn, "h2");
        got = shake(&(struct hello){host, "\x08http/1.1", NULL, 0});
        ck_assert_str_eq(got.alpn, "http/1.1");
        got = shake(&(struct hello){host, NULL, NULL, 0});
        ck_assert(got.is_done);
        ck_assert_str_eq(got.alpn, "");
        ck_assert(!shake(&(struct hello){host,
                                         "\x03"
                                         "ftp",
                                         NULL, 0})
                       .is_done);
        ck_assert(!shake(&(struct hello){host, "\x05h2-14", NULL, 0}).is_done);
    }
}
END_TEST

/* Old versions are broken; whoever sets 1.3 means it. */
START_TEST(the_oldest_version_is_enforced)
{
    static const char *const pairs[] = {"first", "first", NULL};

    ck_assert_int_eq(open_tls(_i == 0 ? "1.2" : "1.3", pairs), BRIM_OK);
    ck_assert(!shake(&(struct hello){.version = TLS1_1_VERSION}).is_done);
    ck_assert_int_eq(shake(&(struct hello){.version = TLS1_2_VERSION}).is_done, _i == 0);
    ck_assert_int_eq(shake(&(struct hello){.version = TLS1_3_VERSION}).version, TLS1_3_VERSION);
}
END_TEST

/* Renegotiation lets a client make the server work for nothing; a cache of sessions has a lock. */
START_TEST(the_context_is_set_up_for_a_server_under_attack)
{
    open_four();
    SSL_CTX *ctx = brim_tls_context(tls);
    ck_assert(SSL_CTX_get_options(ctx) & SSL_OP_NO_RENEGOTIATION);
    ck_assert(SSL_CTX_get_options(ctx) & SSL_OP_NO_COMPRESSION);
    ck_assert(!(SSL_CTX_get_options(ctx) & SSL_OP_NO_TICKET));
    ck_assert_int_eq(SSL_CTX_get_session_cache_mode(ctx), SSL_SESS_CACHE_OFF);
    STACK_OF(SSL_CIPHER) *ciphers = SSL_CTX_get_ciphers(ctx);
    ck_assert_int_gt(sk_SSL_CIPHER_num(ciphers), 3);
    for (int i = 0; i < sk_SSL_CIPHER_num(ciphers); i++) {
        const SSL_CIPHER *cipher = sk_SSL_CIPHER_value(ciphers, i);
        int exchange = SSL_CIPHER_get_kx_nid(cipher);

        ck_assert(exchange == NID_kx_ecdhe || exchange == NID_kx_any);
        ck_assert(SSL_CIPHER_is_aead(cipher));
    }
}
END_TEST

/* ---- faults ---- */

static void expect_fault(const char *const *pairs, const char *text)
{
    ck_assert_int_eq(open_tls("1.2", pairs), BRIM_EINVAL);
    ck_assert_ptr_null(tls);
    ck_assert_msg(strstr(faults, text) != NULL, "no '%s' in: %s", text, faults);
}

/* A fault names file, line and key: the operator has the cursor there at once. */
START_TEST(a_key_of_another_certificate_is_a_fault)
{
    static const char *const pairs[] = {"first", "first", "second", "third", NULL};
    char text[256];

    expect_fault(pairs, "does not match the certificate");
    snprintf(text, sizeof(text), "%s/brim.yaml:8: listeners[0].tls.certificates[1].key: \"%s/third",
             dir, dir);
    ck_assert_msg(strncmp(faults, text, strlen(text)) == 0, "%s", faults);
}
END_TEST

START_TEST(a_key_of_another_type_is_a_fault)
{
    static const char *const pairs[] = {"first", "rsa", NULL};

    make_cert(&(struct cert){.file = "rsa", .cn = "r", .kind = KEY_RSA});
    expect_fault(pairs, "does not match the certificate");
}
END_TEST

/* Nobody is there to type a passphrase; a prompt would hang the start of a service. */
START_TEST(an_encrypted_key_is_a_fault)
{
    static const char *const pairs[] = {"first", "locked", NULL};
    EVP_PKEY *key = make_key(KEY_EC);

    write_key(key, "locked", EVP_aes_128_cbc());
    EVP_PKEY_free(key);
    expect_fault(pairs, "is encrypted");
}
END_TEST

START_TEST(files_without_pem_are_faults_all_told_at_once)
{
    static const char *const pairs[] = {"junk", "first", "first", "junk", NULL};
    const char *suffixes[] = {"pem", "key"};

    for (int i = 0; i < 2; i++) {
        FILE *file = fopen(path_of("junk", suffixes[i]), "w");

        fprintf(file, "junk\n");
        fclose(file);
    }
    expect_fault(pairs, "certificates[0].certificate");
    ck_assert_ptr_nonnull(strstr(faults, "holds no usable certificate"));
    ck_assert_ptr_nonnull(strstr(faults, "certificates[1].key"));
    ck_assert_ptr_nonnull(strstr(faults, "holds no private key"));
}
END_TEST

/* Clients refuse an expired certificate, but a node that does not start is worse: a warning. */
START_TEST(an_expired_certificate_is_a_warning)
{
    static const char *const pairs[] = {"old", "old", NULL};
    char text[2048] = "";
    FILE *log = tmpfile();

    make_cert(
        &(struct cert){.file = "old", .cn = "o", .san = "DNS:o", .from_s = -86400, .to_s = -3600});
    brim_log_setup(BRIM_LOG_INFO, fileno(log));
    ck_assert_int_eq(open_tls("1.2", pairs), BRIM_OK);
    brim_log_setup(BRIM_LOG_INFO, STDERR_FILENO);
    rewind(log);
    ck_assert_uint_gt(fread(text, 1, sizeof(text) - 1, log), 0);
    fclose(log);
    ck_assert_ptr_nonnull(strstr(text, "tls.certificate_expired"));
    ck_assert_ptr_nonnull(strstr(text, "old.pem"));
}
END_TEST

/* A reload has something better to go on with; but what runs out where it is must not hold up every
 * other change. */
START_TEST(an_expired_certificate_does_not_replace_another_one)
{
    static const char *const pairs[] = {"a", "a", "rsa", "rsa", NULL};
    struct cert old = {.file = "a", .cn = "o", .san = "DNS:o", .from_s = -86400, .to_s = -3600};
    struct cert rsa = old; /* shares the other's context */
    struct brim_certificates *next;
    FILE *out = fmemopen(faults, sizeof(faults), "w");

    rsa.file = "rsa";
    rsa.kind = KEY_RSA;
    make_cert(&rsa);
    make("a", "good", "DNS:o");
    ck_assert_int_eq(open_tls("1.2", pairs), BRIM_OK);
    make_cert(&old);
    ck_assert_int_eq(brim_certificates_read(conf, 0, tls, out, &next), BRIM_EINVAL);
    fclose(out);
    ck_assert_ptr_nonnull(strstr(faults, "certificates[0].certificate: "));
    ck_assert_ptr_nonnull(strstr(faults, "has expired; accepted: one that is valid"));

    ck_assert_int_eq(brim_certificates_read(conf, 0, NULL, stderr, &next), BRIM_OK);
    brim_tls_replace(tls, next);
    ck_assert_int_eq(brim_certificates_read(conf, 0, tls, stderr, &next), BRIM_OK);
    brim_certificates_free(next);
}
END_TEST

START_TEST(the_first_to_expire_is_told_by_a_metric)
{
    static const char *const pairs[] = {"a", "a", "rsa", "rsa", NULL};
    struct brim_tls *all[2] = {NULL, NULL};
    int64_t begun_s = (int64_t)time(NULL);

    make("a", "a", "DNS:a");
    make_cert(&(struct cert){.file = "rsa", .cn = "r", .kind = KEY_RSA, .to_s = 3600});
    ck_assert_int_eq(open_tls("1.2", pairs), BRIM_OK);
    brim_tls_note_expiry(all, 2);
    ck_assert_int_eq(brim_metric_read(BRIM_METRIC_TLS_EXPIRY), 0);
    all[1] = tls;
    brim_tls_note_expiry(all, 2);
    ck_assert_int_ge(brim_metric_read(BRIM_METRIC_TLS_EXPIRY), begun_s + 3600);
    ck_assert_int_le(brim_metric_read(BRIM_METRIC_TLS_EXPIRY), (int64_t)time(NULL) + 3600);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("serve_tls");
    TCase *select = tcase_create("select"), *fault = tcase_create("fault");

    tcase_add_checked_fixture(select, setup, teardown);
    tcase_set_timeout(select, 60);
    tcase_add_test(select, the_name_a_client_asks_for_chooses_the_certificate);
    tcase_add_test(select, a_host_of_another_certificate_is_misdirected);
    tcase_add_test(select, a_connection_is_judged_by_what_it_was_shown_and_what_there_is_now);
    tcase_add_test(select, a_replaced_set_serves_the_handshakes_that_follow);
    tcase_add_test(select, the_first_to_expire_is_told_by_a_metric);
    tcase_add_test(select, two_key_types_for_one_name_serve_both_kinds_of_clients);
    tcase_add_test(select, alpn_prefers_h2_and_refuses_what_nobody_speaks);
    tcase_add_loop_test(select, the_oldest_version_is_enforced, 0, 2);
    tcase_add_test(select, the_context_is_set_up_for_a_server_under_attack);
    suite_add_tcase(suite, select);
    tcase_add_checked_fixture(fault, setup, teardown);
    tcase_set_timeout(fault, 60);
    tcase_add_test(fault, a_key_of_another_certificate_is_a_fault);
    tcase_add_test(fault, a_key_of_another_type_is_a_fault);
    tcase_add_test(fault, an_encrypted_key_is_a_fault);
    tcase_add_test(fault, files_without_pem_are_faults_all_told_at_once);
    tcase_add_test(fault, an_expired_certificate_is_a_warning);
    tcase_add_test(fault, an_expired_certificate_does_not_replace_another_one);
    suite_add_tcase(suite, fault);
    return unit_run(suite);
}
