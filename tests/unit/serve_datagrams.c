/* SPDX-License-Identifier: MIT */
#include "brim/serve/datagrams.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "brim/base/log.h"
#include "unit.h"

static char directory[] = "/tmp/brim-datagrams-XXXXXX";
static char target[64];
static int reader = -1;
static unsigned asked;

static void set_up(void)
{
    ck_assert_ptr_nonnull(mkdtemp(directory));
    ck_assert_int_gt(snprintf(target, sizeof(target), "unix:%s/socket", directory), 0);
    brim_log_setup(BRIM_LOG_ERROR, open("/dev/null", O_WRONLY | O_CLOEXEC));
}

static void listen_there(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    ck_assert_int_gt(
        snprintf(address.sun_path, sizeof(address.sun_path), "%s", target + strlen("unix:")), 0);
    reader = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(reader, (struct sockaddr *)&address, sizeof(address)), 0);
}

static void stop_listening(void)
{
    close(reader);
    (void)unlink(target + strlen("unix:"));
}

static void tear_down(void)
{
    stop_listening();
    (void)rmdir(directory);
}

static bool twice(void *ctx)
{
    (void)ctx;
    return ++asked < 2;
}

static void assert_received(const char *expected)
{
    char line[128];
    ssize_t len = recv(reader, line, sizeof(line), MSG_DONTWAIT);

    ck_assert_int_eq(len, (ssize_t)strlen(expected));
    ck_assert_mem_eq(line, expected, strlen(expected));
}

/* A collector takes a datagram for a record: neither two in one, nor one in two. */
START_TEST(each_line_is_a_datagram)
{
    struct brim_datagrams *to = brim_datagrams_open(target);
    char at[BRIM_DATAGRAM_PREFIX_BYTES];

    listen_there();
    ck_assert_uint_eq(brim_datagrams_send(to, BRIM_STR("one\ntwo\n"), twice, NULL), 0);
    assert_received("one");
    assert_received("two");
    ck_assert_ptr_eq(brim_datagram_prefix(to, at, 0), at);
    brim_datagrams_close(to);
}
END_TEST

/* Collectors are restarted; what was said meanwhile is lost and counted, what comes later is not.
 */
START_TEST(a_collector_may_come_late_and_come_back)
{
    struct brim_datagrams *to = brim_datagrams_open(target);

    ck_assert_uint_eq(brim_datagrams_send(to, BRIM_STR("a\nb\n"), twice, NULL), 2);
    for (int i = 0; i < 2; i++) {
        listen_there();
        ck_assert_uint_eq(brim_datagrams_send(to, BRIM_STR("c\n"), twice, NULL), 0);
        assert_received("c");
        stop_listening();
    }
    ck_assert_uint_eq(asked, 0);
    brim_datagrams_close(to);
}
END_TEST

/* A collector that hangs must not hold the node at its end. */
START_TEST(who_does_not_read_is_waited_for_only_as_long_as_allowed)
{
    struct brim_datagrams *to = brim_datagrams_open(target);
    size_t lost = 0;

    listen_there();
    for (int i = 0; i < 100000 && lost == 0; i++)
        lost = brim_datagrams_send(to, BRIM_STR("line\n"), twice, NULL);
    ck_assert_uint_eq(lost, 1);
    ck_assert_uint_eq(asked, 2);
    brim_datagrams_close(to);
}
END_TEST

START_TEST(syslog_is_told_priority_time_and_tag)
{
    struct brim_datagrams *to = brim_datagrams_open("syslog");
    char line[BRIM_DATAGRAM_PREFIX_BYTES + 1] = "", expected[64];

    listen_there();
    ck_assert_int_eq(setenv("TZ", "UTC", 1), 0);
    *brim_datagram_prefix(to, line, 1769860799) = '\0';
    ck_assert_int_gt(
        snprintf(expected, sizeof(expected), "<134>Jan 31 11:59:59 brim[%d]: ", (int)getpid()), 0);
    ck_assert_str_eq(line, expected);
    brim_datagrams_close(to);
}
END_TEST

START_TEST(a_path_that_no_socket_can_have_is_an_error)
{
    char path[256] = "unix:/";

    memset(path + 6, 'a', 200);
    ck_assert_ptr_null(brim_datagrams_open(path));
    ck_assert(!brim_datagrams_is_target("/var/log/syslog"));
    listen_there();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("serve/datagrams");
    TCase *tcase = tcase_create("datagrams");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, each_line_is_a_datagram);
    tcase_add_test(tcase, a_collector_may_come_late_and_come_back);
    tcase_add_test(tcase, who_does_not_read_is_waited_for_only_as_long_as_allowed);
    tcase_add_test(tcase, syslog_is_told_priority_time_and_tag);
    tcase_add_test(tcase, a_path_that_no_socket_can_have_is_an_error);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
