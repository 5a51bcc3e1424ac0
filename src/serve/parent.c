/* SPDX-License-Identifier: MIT */
/*
 * The parent reads the config, binds the sockets and then only waits: for a signal to hand on, for
 * the node to die, which it starts again on the same sockets, so that clients that connect
 * meanwhile wait in the listen queue and are not refused, or to be upgraded (upgrade.c). A node
 * that never got ready is an operator's mistake and is not retried.
 *
 * Beside the node there may be older ones, which drain after an upgrade and end by themselves.
 */
#include "brim/serve/parent.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "brim/base/clock.h"
#include "brim/base/conf_reload.h"
#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/serve/parent_inside.h"

#define BACKOFF_FIRST_MS  20u
#define BACKOFF_MAX_MS    5000u
#define START_CRASHES_MAX 4u     /* deaths of signals before the first that serves */
#define SPAWN_AGAIN_MS    200u   /* no process or descriptor is to be had: until there is */
#define STABLE_MS         10000u /* a node that lived this long starts over with no back-off */

enum { GO_ON = -1 };

static void run_child(struct brim_parent *p, pid_t parent)
{
    /* A node without its parent would keep the sockets from the next one. */
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || getppid() != parent)
        _exit(EXIT_FAILURE);
    exit(p->run_node(&p->start)); /* NOLINT(concurrency-mt-unsafe) */
}

bool brim_parent_spawn(struct brim_parent *p)
{
    pid_t self = getpid();
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return false;
    p->start.conf = *p->conf;
    p->start.parent = self;
    p->start.link = ends[1];
    p->born_ms = brim_clock_mono_ms();
    p->was_ready = false;
    p->child = fork();
    if (p->child == 0) {
        close(ends[0]);
        run_child(p, self);
    }
    close(ends[1]);
    p->link = ends[0];
    if (p->child < 0) {
        close(ends[0]);
        p->link = -1;
    }
    return p->child > 0;
}

/* The node has ended: what it said is all there. */
static void note_ready(struct brim_parent *p)
{
    char byte;

    if (p->link < 0)
        return;
    while (recv(p->link, &byte, 1, MSG_DONTWAIT) == 1)
        p->was_ready |= byte == BRIM_LINK_READY;
    close(p->link);
    p->link = -1;
}

static void pause_ms(unsigned ms)
{
    struct timespec span = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

    nanosleep(&span, NULL);
}

bool brim_parent_is_told_to_end(void)
{
    sigset_t pending;

    sigpending(&pending);
    return sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1;
}

/* What a machine has not got at this moment it may have at the next, and clients wait in the queues
 * of the sockets. False: told to end meanwhile. */
static bool spawn_again(struct brim_parent *p)
{
    while (!brim_parent_spawn(p)) {
        BRIM_LOG(ERROR, "node.fork_failed", "errno=%d again_in_ms=%u", errno, SPAWN_AGAIN_MS);
        if (brim_parent_is_told_to_end())
            return false;
        pause_ms(SPAWN_AGAIN_MS);
    }
    return true;
}

static void log_death(const struct brim_parent *p, int status, const char *next)
{
    BRIM_LOG(ERROR, "node.died", "pid=%d signal=%d status=%d lived_ms=%llu %s", (int)p->child,
             WIFSIGNALED(status) ? WTERMSIG(status) : 0,
             WIFEXITED(status) ? WEXITSTATUS(status) : 0,
             (unsigned long long)(brim_clock_mono_ms() - p->born_ms), next);
}

/* Returns the exit status to end with, or GO_ON with a new node. */
static int child_ended(struct brim_parent *p, int status)
{
    bool clean = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    uint64_t lived_ms = brim_clock_mono_ms() - p->born_ms;
    char next[64];

    note_ready(p);
    if (p->ending && WIFSIGNALED(status))
        log_death(p, status, "while=ending");
    if (p->ending || clean)
        return clean ? EXIT_SUCCESS : EXIT_FAILURE;
    p->has_served |= p->was_ready;
    /* A crash is no mistake of the operator's; the next start may know what to avoid. */
    if (!p->has_served && (!WIFSIGNALED(status) || p->start.restarts >= START_CRASHES_MAX))
        return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
    if (lived_ms >= STABLE_MS)
        p->backoff_ms = 0;
    (void)snprintf(next, sizeof(next), "restart_in_ms=%u", p->backoff_ms);
    log_death(p, status, next);
    pause_ms(p->backoff_ms);
    p->backoff_ms = p->backoff_ms == 0 ? BACKOFF_FIRST_MS : p->backoff_ms * 2;
    if (p->backoff_ms > BACKOFF_MAX_MS)
        p->backoff_ms = BACKOFF_MAX_MS;
    p->start.restarts++;
    return spawn_again(p) ? GO_ON : EXIT_FAILURE;
}

/* The node has put the config in the file in force. One that was changed again meanwhile, and not
 * checked by the node, is left alone here as it would be there. */
static void follow_reload(struct brim_parent *p)
{
    struct brim_conf *next = NULL;
    FILE *nowhere = fopen("/dev/null", "we");

    if (nowhere == NULL)
        return;
    if (brim_conf_load(brim_conf_path(*p->conf), nowhere, &next) == BRIM_OK &&
        brim_conf_reload_check(*p->conf, next, nowhere) == BRIM_OK) {
        brim_conf_free(*p->conf);
        *p->conf = next;
    } else {
        brim_conf_free(next);
    }
    (void)fclose(nowhere);
}

/* Buries who has ended. GO_ON: the node runs. */
static int reap(struct brim_parent *p)
{
    int status, result;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid != p->child) {
            BRIM_LOG(INFO, "node.left", "pid=%d signal=%d status=%d", (int)pid,
                     WIFSIGNALED(status) ? WTERMSIG(status) : 0,
                     WIFEXITED(status) ? WEXITSTATUS(status) : 0);
            continue;
        }
        result = child_ended(p, status);
        if (result != GO_ON)
            return result;
    }
    return GO_ON;
}

static void obey(struct brim_parent *p, const siginfo_t *info)
{
    int number = info->si_signo;

    if (number == SIGTERM || number == SIGINT) {
        p->ending = true;
        brim_sockets_close(p->start.sockets); /* refused, not left to wait for nobody */
    }
    if (number == BRIM_SIGNAL_RELOADED) {
        follow_reload(p);
        if (info->si_pid !=
            p->child) /* which took the other's place, and may have read before it */
            kill(p->child, SIGHUP);
    } else if (number == SIGUSR2 && !p->ending)
        brim_parent_upgrade(p);
    else if (number != SIGCHLD && number != SIGUSR2)
        kill(p->child, number);
}

static int watch(struct brim_parent *p, const sigset_t *signals)
{
    siginfo_t info;
    int result;

    while ((result = reap(p)) == GO_ON)
        if (sigwaitinfo(signals, &info) > 0)
            obey(p, &info);
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
        continue; /* older ones still drain, for so long as their drain_timeout lets them */
    return result;
}

/* Where an upgrade finds the next one; the file there may be replaced at any time. */
static char *own_path(void)
{
    static const char replaced[] =
        " (deleted)"; /* as Linux says it; it happens between two calls */
    char path[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);
    char *end;

    path[len < 0 ? 0 : len] = '\0';
    end = strstr(path, replaced);
    if (end != NULL && end[sizeof(replaced) - 1] == '\0')
        *end = '\0';
    return brim_strdup(path);
}

int brim_parent_run(const struct brim_parent_config *config, struct brim_conf **conf,
                    const sigset_t *signals)
{
    struct brim_parent p = {.start = config->start,
                            .conf = conf,
                            .estate_fd = config->estate_fd,
                            .run_node = config->run_node,
                            .binary = own_path(),
                            .link = -1};
    int result = EXIT_FAILURE;

    if (config->handover.role == BRIM_ROLE_PARENT) {
        p.child = config->handover.pid;
        p.link = config->handover.link;
        p.was_ready = true;
        p.born_ms = brim_clock_mono_ms();
        BRIM_LOG(INFO, "upgrade.parent", "version=%s node=%d", BRIM_VERSION, (int)p.child);
    } else if (!brim_parent_spawn(&p)) {
        BRIM_LOG(ERROR, "node.fork_failed", "errno=%d", errno);
        goto out;
    }
    result = watch(&p, signals);
out:
    if (p.link != -1)
        close(p.link);
    free(p.binary);
    return result;
}
