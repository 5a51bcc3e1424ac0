/* SPDX-License-Identifier: MIT */
/*
 * node_rig - the node itself inside of a fuzz target: `brim serve` on a thread, from a config like
 * any other, with listeners on unix sockets (plain; tls, for HTTP/2) and the strict origin behind
 * it.
 *
 * One node serves all inputs, since a start takes longer than a thousand of them; between two
 * inputs everything that it has cached is purged. It has no state beside that: no bans, no rate
 * limits, one server of one origin that is never left out.
 */
#ifndef BRIM_TESTS_NODE_RIG_H
#define BRIM_TESTS_NODE_RIG_H

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#include "brim/base/invariant.h"
#include "brim/serve/launch.h"
#include "strict_origin.h"

#define NODE_WAIT_MS 15000 /* patience with a busy machine; what takes so long hangs */

static struct node_rig {
    char dir[64];
    struct origin origin;
    pthread_t thread;
    pid_t pid;
    int admin; /* a connection that is kept */
    int status;
} node_rig = {.admin = -1};

static const char *const node_files[] = {"brim.yaml", "cert.pem",    "cert.key",
                                         "sign.key",  "jwt.key",     "users",
                                         "rules.lua", "kv/data.mdb", "kv/lock.mdb"};
static const char *const node_sockets[] = {"plain", "tls", "admin"};

static const char node_conf[] =
    "node: {workers: 1, fetchers: 1, io_threads: 1, drain_timeout: 2s}\n"
    "log: {level: error}\n"
    "timeouts: {request: 2s, idle: 2s, write: 2s}\n"
    "abuse: {strikes: 0}\n"
    "compress: {min: 64, first: fast, pass: true}\n"
    "kv: {path: %1$s/kv, size: 16MiB}\n"
    "cache: {purge_epochs: 1000, memory: 1MiB, memory_object: 64KiB, slice: 256, deltas: 64KiB}\n"
    "listeners:\n"
    "  - address: unix:%1$s/plain\n"
    "  - address: unix:%1$s/tls\n"
    "    tls: {certificates: [{certificate: %1$s/cert.pem, key: %1$s/cert.key}]}\n"
    "admin: {address: 'unix:%1$s/admin', rate: 1000000}\n"
    "origins:\n"
    "  - name: strict\n"
    "    servers: [{url: 'http://127.0.0.1:%2$u'}]\n"
    "    eject_failures: 0\n"
    "    eject_percent: 0\n"
    "sites:\n"
    "  - hosts: '*'\n"
    "    origin: strict\n"
    "    forwarded: both\n"
    "    trace: create\n"
    "    server_timing: true\n"
    "    security_headers: {preset: strict}\n"
    "    routes:\n"
    "      - {path: /cors/, cors: {origins: ['https://*.example.com'], credentials: true,"
    " methods: [GET, PUT], headers: [x-a]}}\n"
    "      - {path: /signed/, signed_url: {key: %1$s/sign.key}}\n"
    "      - {path: /jwt/, jwt: {alg: HS256, key: %1$s/jwt.key, cookie: token,"
    " claims: [sub=X-User], strip: true}}\n"
    "      - {path: /user/, basic_auth: {file: %1$s/users}}\n"
    "      - {path: /rewrite/, rewrite: {prefix: /rewrite/, to: /vary/}}\n"
    "      - {path: /bypass/, cache: {bypass: true}}\n"
    "      - {path: /rules/, handlers: {file: %1$s/rules.lua, cpu: 1s}}\n"
    "      - {path: /keyed/, cache: {query_sort: true, query_drop: ['utm_*'], key_headers: [x-q],"
    " key_cookies: [lang], key_languages: [en, de], key_device: true, status_key: true}}\n"
    "      - {path: /dict/, cache: {use_as_dictionary: 'match=\"/dict/*\"', tags: "
    "[surrogate-key]}}\n"
    "      - {path: /on, headers: [{name: x-version, prefix: v}], host: other.example}\n";

static const char node_rules[] =
    "return {\n"
    "  viewer_request = function(req)\n"
    "    if req.cookies.stop then return {status = 403, body = 'stopped'} end\n"
    "    req.key = 'q=' .. tostring(req.query.q)\n"
    "    req.headers['X-Q'] = req.headers['X-A']\n"
    "    req.cookies:remove('a')\n"
    "  end,\n"
    "  viewer_response = function(req, res)\n"
    "    res.headers:add('X-Seen', tostring(#req.path))\n"
    "  end,\n"
    "}\n";

static inline FILE *node_create(const char *name)
{
    char path[128];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", node_rig.dir, name);
    file = fopen(path, "w");
    INVARIANT(file != NULL);
    return file;
}

static inline void node_write(const char *name, const char *text)
{
    FILE *file = node_create(name);

    INVARIANT(fputs(text, file) >= 0 && fclose(file) == 0);
}

static inline void node_write_certificate(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x509 = X509_new();
    FILE *file;

    X509_gmtime_adj(X509_getm_notBefore(x509), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x509), 86400 * 30);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_ASC,
                               (const unsigned char *)"a", -1, -1, 0);
    X509_set_pubkey(x509, key);
    INVARIANT(X509_sign(x509, key, EVP_sha256()) > 0);
    file = node_create("cert.pem");
    INVARIANT(PEM_write_X509(file, x509) == 1 && fclose(file) == 0);
    file = node_create("cert.key");
    INVARIANT(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1 && fclose(file) == 0);
    X509_free(x509);
    EVP_PKEY_free(key);
}

static inline void node_write_files(void)
{
    FILE *file;

    node_write_certificate();
    node_write("sign.key", "0123456789abcdef0123456789abcdef\n");
    node_write("jwt.key", "0123456789abcdef0123456789abcdef");
    /* user:pass, at the least cost there is */
    node_write("users", "user:$2b$04$abcdefghijklmnopqrstuufznL8bkzdtHwLhca4To/v9Lo9bA7fR6\n");
    node_write("rules.lua", node_rules);
    file = node_create("brim.yaml");
    INVARIANT(fprintf(file, node_conf, node_rig.dir, (unsigned)node_rig.origin.port) > 0);
    INVARIANT(fclose(file) == 0);
}

/* A connection to one of its sockets, or -1 while nobody listens. */
static inline int node_dial(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval patience = {.tv_sec = NODE_WAIT_MS / 1000};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    INVARIANT(fd >= 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", node_rig.dir, name);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        close(fd);
        return -1;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    return fd;
}

/* Says all of it; false: the node has closed, which is its right. */
static inline bool node_say(int fd, const void *bytes, size_t len)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = send(fd, (const char *)bytes + done, len - done, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

/* As recv, past the alarms of libFuzzer. */
static inline ssize_t node_hear(int fd, void *bytes, size_t room)
{
    ssize_t n;

    do
        n = recv(fd, bytes, room, 0);
    while (n < 0 && errno == EINTR);
    return n;
}

/* Whether there is something to hear within the time. */
static inline bool node_is_heard(int fd, int ms)
{
    struct pollfd ready = {fd, POLLIN, 0};
    int n;

    do
        n = poll(&ready, 1, ms);
    while (n < 0 && errno == EINTR);
    return n > 0;
}

/* Purges all; the node answers, or it is not alive. */
static inline void node_purge(void)
{
    static const char call[] = "POST /v1/purge HTTP/1.1\r\nHost: a\r\nContent-Type: "
                               "application/json\r\nContent-Length: 12\r\n\r\n{\"all\":true}";
    char answer[2048];
    ssize_t n = 0;

    for (int attempt = 0; attempt < 2 && n <= 0; attempt++) { /* it may have been idle for long */
        if (node_rig.admin < 0)
            node_rig.admin = node_dial("admin");
        INVARIANT(node_rig.admin >= 0);
        if (node_say(node_rig.admin, call, sizeof(call) - 1))
            n = node_hear(node_rig.admin, answer, sizeof(answer));
        if (n <= 0) {
            close(node_rig.admin);
            node_rig.admin = -1;
        }
    }
    INVARIANT(n > 12 && memcmp(answer, "HTTP/1.1 200", 12) == 0);
}

/* An ordinary client is served. */
static inline void node_expect_alive(void)
{
    static const char call[] = "GET /gone HTTP/1.1\r\nHost: a\r\n\r\n";
    char answer[2048];
    int fd = node_dial("plain");

    INVARIANT(fd >= 0);
    INVARIANT(node_say(fd, call, sizeof(call) - 1));
    INVARIANT(node_hear(fd, answer, sizeof(answer)) > 12);
    INVARIANT(memcmp(answer, "HTTP/1.1 404", 12) == 0);
    close(fd);
}

static inline void *node_main_thread(void *arg)
{
    char path[128];

    (void)arg;
    snprintf(path, sizeof(path), "%s/brim.yaml", node_rig.dir);
    node_rig.status = brim_launch(path, BRIM_LAUNCH_SINGLE);
    if (node_rig.status != 0)
        abort(); /* it said why */
    return NULL;
}

static inline void node_remove(const char *const *names, size_t count)
{
    char path[128];

    for (size_t i = 0; i < count; i++) {
        snprintf(path, sizeof(path), "%s/%s", node_rig.dir, names[i]);
        (void)unlink(path);
    }
}

/* The node ends as by SIGTERM; what it leaves behind in memory is a leak. */
static inline void node_end(void)
{
    char path[128];

    if (getpid() != node_rig.pid)
        return;
    if (node_rig.admin >= 0)
        close(node_rig.admin);
    pthread_kill(node_rig.thread, SIGTERM);
    pthread_join(node_rig.thread, NULL);
    origin_end(&node_rig.origin);
    node_remove(node_files, sizeof(node_files) / sizeof(node_files[0]));
    node_remove(node_sockets, sizeof(node_sockets) / sizeof(node_sockets[0]));
    snprintf(path, sizeof(path), "%s/kv", node_rig.dir);
    (void)rmdir(path);
    (void)rmdir(node_rig.dir);
}

static inline void node_start(void)
{
    struct timespec pause = {.tv_nsec = 10000000};
    int fd = -1;

    signal(SIGPIPE, SIG_IGN);
    snprintf(node_rig.dir, sizeof(node_rig.dir), "/tmp/brim-fuzz-XXXXXX");
    INVARIANT(mkdtemp(node_rig.dir) != NULL);
    node_rig.pid = getpid();
    origin_start(&node_rig.origin);
    node_write_files();
    INVARIANT(pthread_create(&node_rig.thread, NULL, node_main_thread, NULL) == 0);
    for (int i = 0; i < NODE_WAIT_MS / 10 && fd < 0; i++) {
        nanosleep(&pause, NULL);
        fd = node_dial("admin");
    }
    INVARIANT(fd >= 0);
    close(fd);
    atexit(node_end);
    node_expect_alive();
}

#endif
