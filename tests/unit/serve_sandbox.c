/* SPDX-License-Identifier: MIT */
/*
 * The sandbox in processes of their own: what serves goes on, what does not is refused, and what
 * would be another program ends it.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "brim/base/log.h"
#include "brim/serve/sandbox.h"
#include "unit.h"

enum { GOOD = 0, BAD = 1, NO_SECCOMP = 77 };

static void enter(enum brim_sandbox mode)
{
    brim_log_setup(BRIM_LOG_ERROR, open("/dev/null", O_WRONLY | O_CLOEXEC));
    if (brim_sandbox_enter(mode) != BRIM_OK)
        _exit(NO_SECCOMP);
}

/* The status of a process that does what. */
static int status_of(void (*what)(void))
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        what();
        _exit(BAD);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return status;
}

static void expect_good(void (*what)(void))
{
    int status = status_of(what);

    if (WIFEXITED(status) && WEXITSTATUS(status) == NO_SECCOMP)
        return; /* a kernel without it: the node says so and does not start */
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), GOOD);
}

static void *make_thread(void *arg)
{
    (void)arg;
    return malloc(1 << 20);
}

static void serve_on(void)
{
    pthread_t thread;
    void *memory = NULL;
    int fd;

    enter(BRIM_SANDBOX_ENFORCE);
    fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (fd < 0 || write(fd, "x", 1) != 1 || pthread_create(&thread, NULL, make_thread, NULL) != 0 ||
        pthread_join(thread, &memory) != 0)
        _exit(BAD);
    free(memory);
    _exit(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? GOOD : BAD);
}

START_TEST(what_serves_goes_on)
{
    expect_good(serve_on);
}
END_TEST

static void leave_root(void)
{
    enter(BRIM_SANDBOX_ENFORCE);
    _exit(chroot("/") != 0 && errno == EPERM ? GOOD : BAD);
}

START_TEST(what_does_not_is_refused)
{
    expect_good(leave_root);
}
END_TEST

static _Atomic int may_go;

static void *leave_root_later(void *arg)
{
    (void)arg;
    while (!may_go)
        usleep(100);
    _exit(chroot("/") != 0 && errno == EPERM ? GOOD : BAD);
}

static void with_a_thread(void)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, leave_root_later, NULL) != 0)
        _exit(BAD);
    enter(BRIM_SANDBOX_ENFORCE);
    may_go = 1;
    pthread_join(thread, NULL);
}

/* Workers and fetchers run already when the node enters. */
START_TEST(threads_that_run_already_are_in_it)
{
    expect_good(with_a_thread);
}
END_TEST

static void be_another(void)
{
    char *args[] = {(char *)(uintptr_t) "true", NULL};

    enter(BRIM_SANDBOX_ENFORCE);
    execv("/bin/true", args);
}

START_TEST(another_program_ends_it)
{
    int status = status_of(be_another);

    if (WIFEXITED(status) && WEXITSTATUS(status) == NO_SECCOMP)
        return;
    ck_assert(WIFSIGNALED(status));
    ck_assert_int_eq(WTERMSIG(status), SIGSYS);
}
END_TEST

static void only_privileges(void)
{
    enter(BRIM_SANDBOX_OFF);
    _exit(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 && prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 0
              ? GOOD
              : BAD);
}

START_TEST(off_gives_up_privileges_only)
{
    expect_good(only_privileges);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("serve_sandbox");
    TCase *tc = tcase_create("sandbox");

    tcase_add_test(tc, what_serves_goes_on);
    tcase_add_test(tc, what_does_not_is_refused);
    tcase_add_test(tc, threads_that_run_already_are_in_it);
    tcase_add_test(tc, another_program_ends_it);
    tcase_add_test(tc, off_gives_up_privileges_only);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
