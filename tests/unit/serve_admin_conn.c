/* SPDX-License-Identifier: MIT */
/*
 * What the admin listener reads of whom, where it asks for a token: over a unix socket, without a
 * cache or a pool, since no call here comes as far as those.
 */
#include "brim/serve/admin_conn.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "brim/base/log.h"
#include "brim/serve/admin.h"
#include "unit.h"

#define TOKEN "0123456789abcdef"
#define RIGHT "Authorization: Bearer " TOKEN "\r\n"
#define WRONG "Authorization: Bearer 0123456789abcdee\r\n"
#define HOST  "Host: localhost\r\n"
#define POST  "POST /v1/reload HTTP/1.1\r\n" HOST
#define PROBE "GET /healthz HTTP/1.1\r\n" HOST

static struct brim_admin *admin;
static struct sockaddr_un address;
static socklen_t address_len = sizeof(address);
static char token_path[] = "/tmp/brim-admin-conn-XXXXXX";

static bool is_ready(void *ctx)
{
    (void)ctx;
    return true;
}

static void set_up(void)
{
    struct sockaddr_un any = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int file = mkstemp(token_path);
    struct brim_admin_config config = {
        .fd = listener, .is_ready = is_ready, .token = token_path, .rate = 0};

    signal(SIGPIPE, SIG_IGN);
    brim_log_setup(BRIM_LOG_ERROR, STDERR_FILENO);
    ck_assert_int_eq(write(file, TOKEN, strlen(TOKEN)), (ssize_t)strlen(TOKEN));
    close(file);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&any, sizeof(any.sun_family)), 0);
    ck_assert_int_eq(listen(listener, 128), 0);
    ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&address, &address_len), 0);
    ck_assert_int_eq(brim_admin_open(&config, &admin), BRIM_OK);
    close(listener);
}

static void tear_down(void)
{
    brim_admin_close(admin);
    unlink(token_path);
}

static int dial(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, address_len), 0);
    return fd;
}

static void say(int fd, const char *text, size_t len)
{
    ck_assert_int_eq(send(fd, text, len, MSG_NOSIGNAL), (ssize_t)len);
}

/* Reads one answer and returns its status; 0: the connection has ended. */
static int hear(int fd)
{
    char bytes[4096] = "";
    size_t len = 0, body = 0;
    const char *end;

    do {
        ssize_t n = recv(fd, bytes + len, sizeof(bytes) - 1 - len, 0);

        if (n <= 0)
            return 0;
        len += (size_t)n;
        bytes[len] = '\0';
        end = strstr(bytes, "\r\n\r\n");
        if (end != NULL && strcasestr(bytes, "\r\ncontent-length: ") != NULL)
            body = strtoul(strcasestr(bytes, "\r\ncontent-length: ") + 18, NULL, 10);
    } while (end == NULL || (size_t)(end + 4 - bytes) + body > len);
    ck_assert_uint_eq((size_t)(end + 4 - bytes) + body, len); /* nothing behind it */
    return (int)strtol(bytes + strlen("HTTP/1.1 "), NULL, 10);
}

static bool is_refusal(int status)
{
    return status == 401 || status == 429; /* many of them are told to wait */
}

static const struct {
    const char *head;
    const char *body; /* NULL: it need not come, the answer does not wait for it */
    int status;       /* 401: or 429 */
} rows[] = {
    {POST RIGHT "Content-Length: 4\r\n\r\n", "{}  ", 503},
    {POST "aUTHORIZATION:bearer  " TOKEN " \r\nCONTENT-LENGTH:4\r\n\r\n", "{}  ", 503},
    {"\r\n" POST RIGHT "Content-Length: 4\r\n\r\n", "{}  ", 503},
    {POST "Transfer-Encoding: chunked\r\n" RIGHT "\r\n", "2\r\n{}\r\n0\r\n\r\n", 503},
    {POST RIGHT "\r\n", "", 503},
    {POST "\r\n", "", 401},
    {PROBE "\r\n", "", 200},
    {PROBE "Content-Length: 000\r\n\r\n", "", 200},
    {POST "Content-Length: 4\r\n\r\n", NULL, 401},
    {POST "Content-Length: 4\r\n" WRONG "\r\n", NULL, 401},
    {POST "Content-Length: 4\r\n" RIGHT WRONG "\r\n", NULL, 401},
    {POST "Content-Length: 4\r\n" WRONG RIGHT "\r\n", NULL, 401},
    {POST "Content-Length: 4\r\n" RIGHT RIGHT RIGHT "\r\n", NULL, 401},
    {POST "Content-Length: 4\r\nX-Authorization: Bearer " TOKEN "\r\n\r\n", NULL, 401},
    {POST "Content-Length: 4\r\nAuthorization: Basic " TOKEN "\r\n\r\n", NULL, 401},
    {POST "Content-Length: 4\r\nAuthorization: Bearer " TOKEN "0\r\n\r\n", NULL, 401},
    {POST "Content-Length: 4\r\nAuthorization:\r\n\r\n", NULL, 401},
    {POST "Transfer-Encoding: chunked\r\n\r\n", NULL, 401},
    {POST "Content-Length: 4\r\nExpect: 100-continue\r\n\r\n", NULL, 401},
    {PROBE "Content-Length: 4\r\n\r\n", NULL, 401},
    {"POST /v1/reload?" TOKEN " HTTP/1.1\r\n" HOST "Content-Length: 4\r\n\r\n", NULL, 401},
    {POST "Content-Length: 4\r\nContent-Length: 4\r\n" RIGHT "\r\n", NULL, 400},
    {POST "Content-Length: 4\r\n" RIGHT "\n", NULL, 400},
    {"POST /v1/reload HTTP/1.1\n" HOST RIGHT "Content-Length: 4\r\n\r\n", NULL, 400},
    {POST RIGHT "Expect: 200-ok\r\nContent-Length: 4\r\n\r\n", NULL, 417},
};

/* However it comes: in two parts, cut anywhere. */
START_TEST(a_body_is_read_for_who_shows_the_token)
{
    size_t len = strlen(rows[_i].head);

    for (size_t cut = 1; cut <= len; cut++) {
        int fd = dial(), status;

        say(fd, rows[_i].head, cut);
        say(fd, rows[_i].head + cut, len - cut);
        if (rows[_i].body != NULL)
            say(fd, rows[_i].body, strlen(rows[_i].body));
        status = hear(fd);
        if (rows[_i].status == 401)
            ck_assert_msg(is_refusal(status), "%s: %d", rows[_i].head, status);
        else
            ck_assert_int_eq(status, rows[_i].status);
        if (rows[_i].body == NULL)
            ck_assert_int_eq(hear(fd), 0);
        close(fd);
    }
}
END_TEST

/* Each request of a connection is looked at, not the first alone; who knows the token keeps it. */
START_TEST(a_connection_is_looked_at_anew_after_every_answer)
{
    static const char *const known[] = {POST RIGHT "Content-Length: 4\r\n\r\n{}  ", PROBE "\r\n",
                                        POST RIGHT "Transfer-Encoding: chunked\r\n\r\n"
                                                   "2\r\n{}\r\n0\r\n\r\n"};
    int fd = dial();

    for (size_t i = 0; i < 30; i++) {
        say(fd, known[i % 3], strlen(known[i % 3]));
        ck_assert_int_eq(hear(fd), i % 3 == 1 ? 200 : 503);
    }
    say(fd, POST "Content-Length: 4\r\n\r\n", strlen(POST "Content-Length: 4\r\n\r\n"));
    ck_assert(is_refusal(hear(fd)));
    ck_assert_int_eq(hear(fd), 0);
    close(fd);
}
END_TEST

/* h2o would read it by itself: it is not answered, and its client asks again. */
START_TEST(what_comes_behind_a_request_ends_its_connection)
{
    static const char text[] = PROBE "\r\n" POST "Content-Length: 4\r\n\r\n{}  ";
    int fd = dial();

    say(fd, text, strlen(text));
    ck_assert_int_eq(hear(fd), 200);
    ck_assert_int_eq(hear(fd), 0);
    close(fd);
}
END_TEST

/* Nobody can hold more of the node than a head, for as long as he likes. */
START_TEST(a_head_without_an_end_is_refused)
{
    char fields[1024];
    int fd = dial(), status = 0;

    memset(fields, 'x', sizeof(fields));
    say(fd, POST "X: ", strlen(POST "X: "));
    for (size_t i = 0; i < 19; i++)
        say(fd, fields, sizeof(fields));
    status = hear(fd);
    ck_assert_int_eq(status, 431);
    for (size_t i = 0; i < 64 * 1024; i++) /* 64 MiB: it is cut before */
        if (send(fd, fields, sizeof(fields), MSG_NOSIGNAL) < 0)
            break;
    ck_assert_int_lt(send(fd, fields, sizeof(fields), MSG_NOSIGNAL), 0);
    close(fd);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("serve_admin_conn");
    TCase *tcase = tcase_create("token");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, a_body_is_read_for_who_shows_the_token, 0,
                        (int)(sizeof(rows) / sizeof(rows[0])));
    tcase_add_test(tcase, a_connection_is_looked_at_anew_after_every_answer);
    tcase_add_test(tcase, what_comes_behind_a_request_ends_its_connection);
    tcase_add_test(tcase, a_head_without_an_end_is_refused);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
