/* SPDX-License-Identifier: MIT */
#include "brim/cache/damage.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/base/metric.h"

#define DAMAGE_MAGIC 0x646d6765u
#define PATH_ROOM    4096u
#define OPEN_MAX     4u /* environments of a process; more are never suspected */
#define FORGOTTEN_S  (30 * 86400)

static const int deadly[] = {SIGSEGV, SIGBUS, SIGFPE, SIGABRT};
enum { DEADLY_COUNT = sizeof(deadly) / sizeof(deadly[0]) };

struct brim_damage {
    uint32_t magic;
    int fd; /* appended to: open before it is needed, a handler can only write */
    unsigned count;
    _Atomic bool is_noted;
};

/* A signal has no context but its thread's and the process's. */
static _Thread_local struct brim_damage *inside;
static _Thread_local struct brim_damage *home;
static _Atomic(struct brim_damage *) opened[OPEN_MAX];
static _Atomic bool has_started;
static struct sigaction before[DEADLY_COUNT];
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* What does not come again for a month was the memory's, or a fault elsewhere. Too many marks are a
 * verdict, which stays. In a signal handler. */
static void forget_old(int fd)
{
    struct stat st;

    if (fstat(fd, &st) == 0 && st.st_size < (off_t)BRIM_DAMAGE_MAX &&
        time(NULL) - st.st_mtime > FORGOTTEN_S && ftruncate(fd, 0) != 0)
        return; /* then it counts */
}

/* Once a process. */
static void mark(struct brim_damage *damage, const char *marks, size_t count)
{
    int errnum = errno;

    if (damage != NULL && !atomic_exchange(&damage->is_noted, true)) {
        forget_old(damage->fd);
        while (write(damage->fd, marks, count) < 0 && errno == EINTR)
            ;
    }
    errno = errnum;
}

void brim_damage_note(unsigned weight)
{
    static const char marks[BRIM_DAMAGE_MAX + 1] = "xx";

    INVARIANT(weight <= BRIM_DAMAGE_MAX);
    mark(inside != NULL ? inside : home, marks, weight);
}

static void suspect_all(void)
{
    for (size_t i = 0; i < OPEN_MAX; i++)
        mark(atomic_load(&opened[i]), "?", 1);
}

/* Notes, and lets happen what would have happened: an instruction is run again, what was sent is
 * sent again. What another process sends, a watchdog say, is no fault of what somebody is inside
 * of. */
static void on_deadly(int number, siginfo_t *info, void *context)
{
    bool is_sent = info->si_code <= 0; /* by kill(), abort(), raise() */

    (void)context;
    if (!is_sent || info->si_pid == getpid()) {
        brim_damage_note(1);
        if (!atomic_load(&has_started))
            suspect_all();
    }
    for (size_t i = 0; i < DEADLY_COUNT; i++)
        if (deadly[i] == number)
            (void)sigaction(number, &before[i], NULL);
    if (is_sent)
        (void)raise(number); /* it comes when this returns */
}

static void take_over_signals(void)
{
    struct sigaction action = {.sa_sigaction = on_deadly, .sa_flags = SA_SIGINFO};

    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < DEADLY_COUNT; i++)
        (void)sigaction(deadly[i], &action, &before[i]);
}

/* PATH_ROOM bytes, or NULL: too long. */
static char *join(const char *directory, const char *rest)
{
    char *path = brim_alloc(PATH_ROOM);
    int len = snprintf(path, PATH_ROOM, "%s%s", directory, rest);

    if (len >= 0 && (size_t)len < PATH_ROOM)
        return path;
    free(path);
    errno = ENAMETOOLONG;
    return NULL;
}

static void swap_opened(struct brim_damage *from, struct brim_damage *to)
{
    for (size_t i = 0; i < OPEN_MAX; i++) {
        struct brim_damage *expected = from;

        if (atomic_compare_exchange_strong(&opened[i], &expected, to))
            return;
    }
}

struct brim_damage *brim_damage_open(const char *directory)
{
    char *path = join(directory, "/damage");
    struct brim_damage *damage = NULL;
    struct stat st = {0};
    int fd = -1;

    if (path != NULL)
        fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0 && fstat(fd, &st) == 0) {
        damage = brim_alloc(sizeof(*damage));
        damage->magic = DAMAGE_MAGIC;
        damage->fd = fd;
        damage->count = st.st_size > 1000 ? 1000 : (unsigned)st.st_size;
        pthread_once(&once, take_over_signals);
        swap_opened(NULL, damage);
    } else {
        BRIM_LOG(WARN, "disk.damage", "path=%s what=\"count faults\" errno=%d", directory, errno);
        if (fd >= 0)
            close(fd);
    }
    free(path);
    return damage;
}

void brim_damage_close(struct brim_damage *damage)
{
    if (damage == NULL)
        return;
    OBJ_CHECK(damage, DAMAGE_MAGIC);
    swap_opened(damage, NULL);
    close(damage->fd);
    damage->magic = 0;
    free(damage);
}

unsigned brim_damage_count(const struct brim_damage *damage)
{
    return damage == NULL ? 0 : damage->count;
}

void brim_damage_trust(void)
{
    char marks[2];

    atomic_store(&has_started, true);
    for (size_t i = 0; i < OPEN_MAX; i++) {
        struct brim_damage *damage = atomic_load(&opened[i]);

        if (damage != NULL && pread(damage->fd, marks, 2, 0) == 1 && marks[0] == '?' &&
            ftruncate(damage->fd, 0) != 0)
            BRIM_LOG(WARN, "disk.damage", "what=\"end a suspicion\" errno=%d", errno);
    }
}

void brim_damage_settle(struct brim_damage *damage)
{
    home = damage;
}

void brim_damage_enter(struct brim_damage *damage)
{
    inside = damage;
    /* The compiler must not move what follows in front of it. */
    atomic_signal_fence(memory_order_seq_cst);
}

void brim_damage_leave(void)
{
    atomic_signal_fence(memory_order_seq_cst);
    inside = NULL;
}

/* Removes an environment: these files and nothing else. */
static int remove_environment(const char *directory)
{
    static const char *const names[] = {"data.mdb", "lock.mdb", "damage"};
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0)
        return errno == ENOENT ? 0 : -1;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        (void)unlinkat(fd, names[i], 0);
    close(fd);
    return rmdir(directory);
}

enum brim_err brim_damage_set_aside(const char *directory)
{
    char *kept = join(directory, ".damaged");
    enum brim_err err = BRIM_OK;

    if (kept == NULL || remove_environment(kept) != 0 || rename(directory, kept) != 0) {
        BRIM_LOG(ERROR, "disk.damaged",
                 "path=%s errno=%d do=\"remove the directory, it is only a cache\"", directory,
                 errno);
        err = BRIM_EIO;
    } else {
        BRIM_COUNT(DISK_SET_ASIDE);
        BRIM_LOG(ERROR, "disk.damaged",
                 "path=%s kept=%s do=\"check device and memory; the cache starts empty; remove "
                 "what was kept when it is of no more use\"",
                 directory, kept);
    }
    free(kept);
    return err;
}
