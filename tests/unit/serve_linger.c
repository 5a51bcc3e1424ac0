/* SPDX-License-Identifier: MIT */
/*
 * A client that is refused while it sends must be able to read why: many write all of a request
 * before they read a byte, and an early close would have the kernel reset the connection and throw
 * the answer away. Bodies are larger than what both kernels hold, so that who stops reading is
 * noticed. The server is the child of serve_rig.h.
 */
#include "serve_talk.h"

#define BODY_BYTES (8u << 20)
#define TIMES      8

/* Writes as blocking programs do: until it is out, or the connection has broken. */
static bool write_body(int fd, size_t bytes)
{
    static char some[65536];
    struct timeval patience = {.tv_sec = 20};

    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    while (bytes > 0) {
        ssize_t sent = send(fd, some, bytes < sizeof(some) ? bytes : sizeof(some), MSG_NOSIGNAL);

        if (sent < 0 && errno == EINTR) /* stopped, and told to go on */
            continue;
        if (sent <= 0)
            return false;
        bytes -= (size_t)sent;
    }
    return true;
}

/* What is refused, and the answer's first and last. */
static const struct refused {
    const char *head;
    const char *status;
    const char *end;
} refused[] = {
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8388608\r\n\r\n", "503 Service Unavailable",
     BRIM_LEDGER_REFUSAL "\n"},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n800000\r\n",
     "503 Service Unavailable", BRIM_LEDGER_REFUSAL "\n"},
    {"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 8388608\r\n\r\n",
     "503 Service Unavailable", BRIM_LEDGER_REFUSAL "\n"},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8388608\r\n\r\n",
     "413 Request Entity Too Large", "request entity is too large"},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n800000\r\n",
     "413 Request Entity Too Large", "request entity is too large"},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", "400 ",
     "broken chunked-encoding"},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", "400 ",
     "unknown transfer-encoding"},
    {"POST / HTTP/1.1\r\nHost: a\r\nExpect: x\r\nContent-Length: 8388608\r\n\r\n", "417 ",
     "unknown expectation"},
    {"POST\r\nContent-Length: 8388608\r\n\r\n", "400 Bad Request", "Bad Request"},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 8388608\r\n\r\n"
     "0\r\n\r\n",
     "400 Rig", "\r\n\r\n"},
};

static const struct refused *refuse(int which)
{
    if (which < 3)
        rig.conf.limits.client_memory_bytes = 1 << 20;
    else
        rig.conf.limits.request_body_bytes = 1 << 16;
    start();
    return &refused[which];
}

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), want = strlen(end);

    return len >= want && strcmp(text + len - want, end) == 0;
}

START_TEST(who_writes_a_whole_body_before_it_reads_gets_the_answer)
{
    const struct refused *refusal = refuse(_i);

    for (int i = 0; i < TIMES; i++) {
        const char *answer;
        int fd = dial();

        ck_assert_int_gt(send(fd, refusal->head, strlen(refusal->head), MSG_NOSIGNAL), 0);
        ck_assert_msg(write_body(fd, BODY_BYTES), "cut off in time %d: errno %d", i, errno);
        answer = talk(fd, NULL, NULL); /* to the end of the stream */
        ck_assert_msg(strstr(answer, refusal->status) != NULL, "got \"%s\"", answer);
        ck_assert_msg(ends_with(answer, refusal->end), "got \"%s\"", answer);
        close(fd);
    }
}
END_TEST

/* An answer on a connection that is kept is followed by the next, 100 Continue by its body. */
START_TEST(what_is_not_the_last_answer_ends_nothing)
{
    static const char head[] = "POST /peer HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                               "Content-Length: 100000\r\n\r\n";
    int fd;

    start();
    fd = dial();
    for (int i = 0; i < TIMES; i++) {
        ck_assert_ptr_nonnull(strstr(talk(fd, head, "\r\n\r\n"), "100 Continue"));
        ck_assert(write_body(fd, 100000));
        ck_assert_ptr_nonnull(strstr(talk(fd, NULL, "127.0.0.1"), "200 Rig"));
        ck_assert_ptr_nonnull(strstr(talk(fd, GET("/peer"), "127.0.0.1"), "200 Rig"));
    }
    close(fd);
}
END_TEST

/* Else whoever is refused once holds a connection for as long as it likes. */
START_TEST(who_never_stops_sending_is_ended)
{
    int fd;

    rig.conf.timeouts.request_ms = 200;
    (void)refuse(3);
    fd = dial_saying(refused[3].head);
    ck_assert_ptr_nonnull(strstr(talk(fd, NULL, refused[3].end), refused[3].status));
    if (_i == 0)
        ck_assert(!write_body(fd, SIZE_MAX)); /* as fast as it can */
    else
        while (write_body(fd, 1))
            (void)poll(NULL, 0, 10); /* or a byte at a time */
    close(fd);
}
END_TEST

/* It counts as any other connection, until it has gone. */
START_TEST(who_lingers_counts_against_the_limit_of_its_address)
{
    struct pollfd ready;
    int lingering, next;

    rig.conf.limits.connections_per_address = 1;
    (void)refuse(3);
    lingering = dial();
    ck_assert_ptr_nonnull(
        strstr(talk(lingering, refused[3].head, refused[3].end), refused[3].status));
    next = dial();
    ck_assert(is_closed(next));
    close(next);
    close(lingering);
    for (int i = 0; i < 1000 && !h2_raw_is_alive(rig.port); i++)
        (void)poll(NULL, 0, 10);
    next = dial();
    ready = (struct pollfd){next, POLLIN, 0};
    ck_assert_int_eq(send(next, GET("/"), strlen(GET("/")), MSG_NOSIGNAL), strlen(GET("/")));
    ck_assert_int_eq(poll(&ready, 1, H2_RAW_WAIT_MS), 1);
    close(next);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("serve_linger");
    TCase *linger = tcase_create("linger");

    tcase_add_checked_fixture(linger, setup, teardown);
    tcase_set_timeout(linger, 120);
    tcase_add_loop_test(linger, who_writes_a_whole_body_before_it_reads_gets_the_answer, 0,
                        (int)(sizeof(refused) / sizeof(refused[0])));
    tcase_add_test(linger, what_is_not_the_last_answer_ends_nothing);
    tcase_add_loop_test(linger, who_never_stops_sending_is_ended, 0, 2);
    tcase_add_test(linger, who_lingers_counts_against_the_limit_of_its_address);
    suite_add_tcase(suite, linger);
    return unit_run(suite);
}
