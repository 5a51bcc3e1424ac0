/* SPDX-License-Identifier: MIT */
/* Descriptors from 3 on are Check's: every case runs in a child of its own, whose exit status is
 * the line that failed. */
#include "brim/serve/inherited.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

#define FIRST 3

#define IN_CHILD(condition)                                                                        \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "line %d: %s\n", __LINE__, #condition);                                \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

static struct sockaddr_in address_of(int fd)
{
    struct sockaddr_in address = {.sin_family = AF_UNSPEC};
    socklen_t len = sizeof(address);

    IN_CHILD(getsockname(fd, (struct sockaddr *)&address, &len) == 0);
    return address;
}

/* Three listening sockets and one that is none stand where systemd would put them. */
static struct brim_inherited *hand_over(void)
{
    struct sockaddr_in any = {.sin_family = AF_INET};
    char pid[16];

    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int i = 0; i < 4; i++) {
        int fd = socket(AF_INET, i < 3 ? SOCK_STREAM : SOCK_DGRAM, 0);

        IN_CHILD(bind(fd, (struct sockaddr *)&any, sizeof(any)) == 0);
        IN_CHILD(i == 3 || listen(fd, 8) == 0);
        IN_CHILD(fd == FIRST + i || dup2(fd, FIRST + i) == FIRST + i);
    }
    IN_CHILD(snprintf(pid, sizeof(pid), "%d", (int)getpid()) > 0);
    IN_CHILD(setenv("LISTEN_PID", pid, 1) == 0 && setenv("LISTEN_FDS", "4", 1) == 0);
    IN_CHILD(setenv("LISTEN_FDNAMES", "one:two:two:log", 1) == 0);
    return brim_inherited_open();
}

static void run_in_child(void (*fn)(void))
{
    pid_t child = fork();
    int status = 0;

    ck_assert_int_ge(child, 0);
    if (child == 0) {
        for (int fd = FIRST; fd < FIRST + 8; fd++)
            close(fd);
        fn();
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
}

static void claim_by_address(void)
{
    struct brim_inherited *inherited = hand_over();
    struct sockaddr_in address = address_of(FIRST + 1);
    struct brim_inherited_wanted wanted = {
        .name = "", .address = (struct sockaddr *)&address, .address_len = sizeof(address)};
    int fds[2] = {-1, -1};

    IN_CHILD(getenv("LISTEN_FDS") == NULL);
    IN_CHILD(brim_inherited_claim(inherited, &wanted, fds, 2) == 1);
    IN_CHILD(fds[0] == FIRST + 1);
    IN_CHILD(brim_inherited_claim(inherited, &wanted, fds, 2) == 0); /* once */
    brim_inherited_close(inherited);
    IN_CHILD(close(FIRST + 1) == 0);
    IN_CHILD(close(FIRST) != 0 && close(FIRST + 2) != 0); /* nobody's: closed already */
}

START_TEST(a_socket_is_claimed_by_its_address_once)
{
    run_in_child(claim_by_address);
}
END_TEST

static void claim_by_name(void)
{
    struct brim_inherited *inherited = hand_over();
    struct brim_inherited_wanted wanted = {.name = "two"};
    int fds[3] = {-1, -1, -1};

    IN_CHILD(brim_inherited_claim(inherited, &wanted, fds, 3) == 2);
    IN_CHILD(fds[0] == FIRST + 1 && fds[1] == FIRST + 2);
    IN_CHILD(strcmp(brim_inherited_left(inherited), "one") == 0);
    wanted.name = "one";
    IN_CHILD(brim_inherited_claim(inherited, &wanted, fds, 3) == 1);
    wanted.name = "log"; /* cannot be listened on: it stays nobody's */
    IN_CHILD(brim_inherited_claim(inherited, &wanted, fds, 3) == 0);
    IN_CHILD(strcmp(brim_inherited_left(inherited), "log") == 0);
    brim_inherited_close(inherited);
}

START_TEST(sockets_are_claimed_by_name_and_the_rest_is_told)
{
    run_in_child(claim_by_name);
}
END_TEST

static void claim_nothing(void)
{
    struct brim_inherited_wanted wanted = {.name = "one"};
    struct brim_inherited *inherited;
    int fd = -1;

    IN_CHILD(setenv("LISTEN_PID", "1", 1) == 0 && setenv("LISTEN_FDS", "4", 1) == 0);
    inherited = brim_inherited_open();
    IN_CHILD(brim_inherited_claim(inherited, &wanted, &fd, 1) == 0 && fd == -1);
    IN_CHILD(brim_inherited_left(inherited) == NULL);
    brim_inherited_close(inherited);
}

/* The variables may come from a parent that was activated itself. */
START_TEST(what_is_meant_for_another_process_is_not_taken)
{
    run_in_child(claim_nothing);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("serve/inherited");
    TCase *tcase = tcase_create("sockets");

    tcase_add_test(tcase, a_socket_is_claimed_by_its_address_once);
    tcase_add_test(tcase, sockets_are_claimed_by_name_and_the_rest_is_told);
    tcase_add_test(tcase, what_is_meant_for_another_process_is_not_taken);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
