/* SPDX-License-Identifier: MIT */
/* Calls for an upgrade, where the parent cannot be told. */
#include <arpa/inet.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "brim/base/log.h"
#include "brim/serve/admin.h"
#include "brim/serve/estate.h"
#include "unit.h"

#define NOBODY INT_MAX /* above what a process id can be */

static struct sockaddr_in address;
static struct brim_pool *pool;
static struct brim_estate *estate;
static struct brim_admin *admin;
static int estate_fd;

static bool is_ready(void *ctx)
{
    (void)ctx;
    return true;
}

static void set_up(void)
{
    struct brim_pool_limits limits = {.threads = 1, .queue_max = 4};
    struct brim_admin_config config = {.is_ready = is_ready, .parent = NOBODY};
    socklen_t len = sizeof(address);

    brim_log_setup(BRIM_LOG_ERROR, STDERR_FILENO);
    estate_fd = -1;
    ck_assert_int_eq(brim_estate_open(&estate_fd, &estate), BRIM_OK);
    ck_assert_int_eq(brim_pool_open(&limits, &pool), BRIM_OK);
    address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    config.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(config.fd, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(listen(config.fd, 16), 0);
    ck_assert_int_eq(getsockname(config.fd, (struct sockaddr *)&address, &len), 0);
    config.pool = pool;
    config.estate = estate;
    ck_assert_int_eq(brim_admin_open(&config, &admin), BRIM_OK);
    close(config.fd);
}

static void tear_down(void)
{
    brim_admin_close(admin);
    brim_pool_close(pool);
    brim_estate_close(estate, estate_fd);
}

/* The whole of the answer. */
static void ask(const char *method, char answer[4096])
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    size_t len = 0;
    ssize_t n;

    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_gt(dprintf(fd,
                             "%s /v1/upgrade HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n"
                             "Connection: close\r\n\r\n",
                             method),
                     0);
    while ((n = read(fd, answer + len, 4095 - len)) > 0)
        len += (size_t)n;
    answer[len] = '\0';
    close(fd);
}

/* Who is told that it has begun waits for five minutes for what nobody has begun. */
START_TEST(a_parent_that_cannot_be_told_is_a_failure)
{
    char answer[4096];

    ask("POST", answer);
    ck_assert_msg(strncmp(answer, "HTTP/1.1 503 ", 13) == 0, "%s", answer);
    ck_assert_ptr_nonnull(
        strstr(answer, "\"error\":\"the parent cannot be told: No such process\""));
    ck_assert_ptr_nonnull(strstr(answer, "\"advice\":\"restart the node\""));
    ask("GET", answer);
    ck_assert_ptr_nonnull(strstr(answer, "\"status\":\"none\",\"serial\":0"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("serve/admin_upgrade");
    TCase *tcase = tcase_create("upgrade");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, a_parent_that_cannot_be_told_is_a_failure);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
