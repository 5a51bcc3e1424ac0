/* SPDX-License-Identifier: MIT */
/*
 * Who dies inside an environment has counted it; who dies outside, or is killed, has not, unless
 * nothing else was there yet that could have ended it.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "brim/base/log.h"
#include "brim/cache/damage.h"
#include "unit.h"

static char dir[64], environment[80], kept[96];

static void setup(void)
{
    brim_log_setup(BRIM_LOG_ERROR, open("/dev/null", O_WRONLY | O_CLOEXEC));
    snprintf(dir, sizeof(dir), "/tmp/brim-damage-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(environment, sizeof(environment), "%s/index", dir);
    snprintf(kept, sizeof(kept), "%s.damaged", environment);
    ck_assert_int_eq(mkdir(environment, 0700), 0);
}

static void remove_environment(const char *path)
{
    char file[128];

    snprintf(file, sizeof(file), "%s/damage", path);
    unlink(file);
    rmdir(path);
}

static void teardown(void)
{
    remove_environment(environment);
    remove_environment(kept);
    rmdir(dir);
}

static unsigned count(void)
{
    struct brim_damage *damage = brim_damage_open(environment);
    unsigned found = brim_damage_count(damage);

    brim_damage_close(damage);
    return found;
}

enum place { INSIDE, AT_HOME, AT_START, OUTSIDE };

/* A process that opens the environment and dies of signal there, or after it has left. Returns the
 * signal that it died of. */
static int die(int number, enum place place)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        struct brim_damage *damage = brim_damage_open(environment);

        if (place != AT_START)
            brim_damage_trust();
        if (place == AT_HOME)
            brim_damage_settle(damage);
        brim_damage_enter(damage);
        if (place != INSIDE)
            brim_damage_leave();
        raise(number);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

/* A process that opens the environment and serves. */
static void start_through(void)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        (void)brim_damage_open(environment);
        brim_damage_trust();
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
}

START_TEST(a_crash_inside_is_counted)
{
    ck_assert_uint_eq(count(), 0);
    die(SIGBUS, INSIDE);
    ck_assert_uint_eq(count(), 1);
    die(SIGABRT, INSIDE);
    ck_assert_uint_eq(count(), 2);
}
END_TEST

START_TEST(a_crash_elsewhere_is_not)
{
    die(SIGSEGV, OUTSIDE);
    die(SIGKILL, INSIDE);
    ck_assert_uint_eq(count(), 0);
}
END_TEST

/* A broken page may have LMDB write beside its memory, and malloc() finds that out later. The
 * thread that writes an environment shares its part of the heap with nobody else. */
START_TEST(a_crash_of_the_writer_is_counted_wherever_it_is)
{
    ck_assert_int_eq(die(SIGABRT, AT_HOME), SIGABRT);
    ck_assert_uint_eq(count(), 1);
}
END_TEST

/* Nobody has asked for anything yet: else a node that dies of its heap there dies for ever. */
START_TEST(two_crashes_at_a_start_are_counted)
{
    ck_assert_int_eq(die(SIGABRT, AT_START), SIGABRT);
    die(SIGSEGV, AT_START); /* which a sanitizer may end otherwise */
    ck_assert_uint_eq(count(), BRIM_DAMAGE_MAX);
    start_through(); /* the node does, without it */
    ck_assert_uint_eq(count(), BRIM_DAMAGE_MAX);
}
END_TEST

START_TEST(a_start_that_comes_through_ends_the_suspicion)
{
    die(SIGABRT, AT_START);
    ck_assert_uint_eq(count(), 1);
    start_through();
    ck_assert_uint_eq(count(), 0);
    die(SIGABRT, INSIDE); /* beyond doubt */
    start_through();
    ck_assert_uint_eq(count(), 1);
}
END_TEST

/* An upgrade that does not come up is no word against the stores that go on here. */
START_TEST(who_serves_ends_the_suspicion_of_another)
{
    struct brim_damage *serving = brim_damage_open(environment);
    char path[96];
    int fd;

    brim_damage_trust();
    snprintf(path, sizeof(path), "%s/damage", environment);
    fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    ck_assert_int_eq(write(fd, "?", 1), 1);
    close(fd);
    ck_assert_uint_eq(count(), 1);
    brim_damage_trust();
    ck_assert_uint_eq(count(), 0);
    brim_damage_close(serving);
}
END_TEST

static void age_mark(time_t seconds)
{
    struct timespec times[2] = {{.tv_sec = time(NULL) - seconds}, {.tv_sec = time(NULL) - seconds}};
    char path[96];

    snprintf(path, sizeof(path), "%s/damage", environment);
    ck_assert_int_eq(utimensat(AT_FDCWD, path, times, 0), 0);
}

/* Months apart they have nothing to do with each other, and named stores are not to be given up for
 * that. What is given up stays so until somebody mends it. */
START_TEST(a_mark_is_forgotten_after_a_month)
{
    die(SIGABRT, INSIDE);
    age_mark(31 * 86400);
    die(SIGABRT, INSIDE);
    ck_assert_uint_eq(count(), 1);
    age_mark(29 * 86400);
    die(SIGABRT, INSIDE);
    ck_assert_uint_eq(count(), BRIM_DAMAGE_MAX);
    age_mark(31 * 86400);
    die(SIGABRT, INSIDE);
    ck_assert_uint_gt(count(), BRIM_DAMAGE_MAX);
}
END_TEST

/* Which of them it was that spoiled the heap nobody can tell; none is removed for it. */
START_TEST(a_crash_at_a_start_is_counted_for_all_that_are_open)
{
    struct brim_damage *other;
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        brim_damage_enter(brim_damage_open(environment));
        (void)brim_damage_open(mkdir(kept, 0700) == 0 ? kept : "");
        raise(SIGABRT);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_uint_eq(count(), 1);
    other = brim_damage_open(kept);
    ck_assert_uint_eq(brim_damage_count(other), 1);
    brim_damage_close(other);
}
END_TEST

/* Such as a service manager's watchdog, which sends SIGABRT once and waits: the node must end, and
 * the environment that somebody was in has no part in it. */
START_TEST(a_signal_of_another_process_ends_it_at_once_and_is_not_counted)
{
    int ends[2], status = 0;
    char byte = 'x';
    pid_t pid;

    ck_assert_int_eq(pipe(ends), 0);
    pid = fork();
    if (pid == 0) {
        brim_damage_enter(brim_damage_open(environment));
        if (write(ends[1], &byte, 1) == 1)
            pause(); /* a handler that returns ends it */
        _exit(0);
    }
    ck_assert_int_eq(read(ends[0], &byte, 1), 1);
    ck_assert_int_eq(kill(pid, SIGABRT), 0);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFSIGNALED(status));
    ck_assert_int_eq(WTERMSIG(status), SIGABRT);
    ck_assert_uint_eq(count(), 0);
    close(ends[0]);
    close(ends[1]);
}
END_TEST

START_TEST(a_word_of_the_library_weighs_as_much)
{
    struct brim_damage *damage = brim_damage_open(environment);

    brim_damage_note(BRIM_DAMAGE_MAX); /* nobody is inside */
    brim_damage_enter(damage);
    brim_damage_note(BRIM_DAMAGE_MAX);
    brim_damage_note(BRIM_DAMAGE_MAX); /* once a process */
    brim_damage_leave();
    brim_damage_close(damage);
    ck_assert_uint_eq(count(), BRIM_DAMAGE_MAX);
}
END_TEST

START_TEST(what_is_set_aside_is_kept_until_the_next)
{
    struct stat st;

    for (int i = 0; i < 2; i++) {
        die(SIGABRT, INSIDE);
        ck_assert_uint_eq(count(), 1);
        ck_assert_int_eq(brim_damage_set_aside(environment), BRIM_OK);
        ck_assert_int_eq(stat(kept, &st), 0);
        ck_assert_int_ne(stat(environment, &st), 0);
        ck_assert_int_eq(mkdir(environment, 0700), 0);
        ck_assert_uint_eq(count(), 0);
    }
    ck_assert_int_eq(brim_damage_set_aside("/nowhere/at/all"), BRIM_EIO);
}
END_TEST

/* A directory that takes no file: everything goes on without the count. */
START_TEST(no_count_is_no_fault)
{
    struct brim_damage *none = brim_damage_open("/nowhere/at/all");

    ck_assert_ptr_null(none);
    ck_assert_uint_eq(brim_damage_count(none), 0);
    brim_damage_enter(none);
    brim_damage_note(1);
    brim_damage_leave();
    brim_damage_settle(none);
    brim_damage_note(1);
    brim_damage_trust();
    brim_damage_close(none);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cache_damage");
    TCase *tc = tcase_create("damage");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_crash_inside_is_counted);
    tcase_add_test(tc, a_crash_elsewhere_is_not);
    tcase_add_test(tc, a_crash_of_the_writer_is_counted_wherever_it_is);
    tcase_add_test(tc, two_crashes_at_a_start_are_counted);
    tcase_add_test(tc, a_start_that_comes_through_ends_the_suspicion);
    tcase_add_test(tc, who_serves_ends_the_suspicion_of_another);
    tcase_add_test(tc, a_mark_is_forgotten_after_a_month);
    tcase_add_test(tc, a_crash_at_a_start_is_counted_for_all_that_are_open);
    tcase_add_test(tc, a_signal_of_another_process_ends_it_at_once_and_is_not_counted);
    tcase_add_test(tc, a_word_of_the_library_weighs_as_much);
    tcase_add_test(tc, what_is_set_aside_is_kept_until_the_next);
    tcase_add_test(tc, no_count_is_no_fault);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
