/* SPDX-License-Identifier: MIT */
/*
 * Another program takes over, and the node that runs serves until it has:
 *
 *     parent                       successor (fork, exec)        node
 *     starts it  ----------------> reads config, certificates,
 *                                  handlers, takes the sockets   serves
 *                <-- prepared ---
 *     let go     -----------------------------------------------> writes out what is queued;
 *                <------------------------------------- let go -- from here on the disk tier is
 *     go         ----------------> opens the disk tier, accepts   read only
 *                <-- ready ------
 *     terminate  -----------------------------------------------> drains, ends
 *     becomes the program itself (exec): same process id, same sockets, same children
 *
 * So there is no moment at which nobody accepts, and none at which two write to the disk tier.
 * Where it fails before `let go`, nothing has happened. Where it fails later the old program, which
 * still is in this process, starts a node of its own in the successor's place, and if even that
 * fails the old node goes on with the disk tier read only.
 *
 * Waits are bounded, and nothing else is done meanwhile: signals stay pending. While it can be
 * given up, one to end does so, and so does the end of the old node, which has to be started again.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "brim/base/clock.h"
#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/serve/handover.h"
#include "brim/serve/parent_inside.h"

#define PREPARE_MS 30000u /* config, certificates, handlers and their tests */
#define LET_GO_MS  60000u /* what is queued for the disk, synced */
#define READY_MS   60000u
#define TURN_MS    20
#define LEAVE_MS   1000u /* from a broken link to the end of who had it */
#define READS_MAX  16u   /* a turn: as much as a pipe holds; one may talk without end */

enum outcome { OUTCOME_SAID, OUTCOME_ENDED, OUTCOME_LATE, OUTCOME_GIVEN_UP };

struct successor {
    pid_t pid;
    int link;
    int said; /* read end of its stderr; -1: none */
    char *tail;
    size_t tail_len;
};

/* ---- what it says ---- */

/* Keeps the end of it. */
static void keep_tail(struct successor *s, const char *bytes, size_t len)
{
    size_t room = BRIM_ESTATE_TAIL_BYTES - 1, surplus;

    if (len > room) {
        bytes += len - room;
        len = room;
    }
    surplus = s->tail_len + len > room ? s->tail_len + len - room : 0;
    memmove(s->tail, s->tail + surplus, s->tail_len - surplus);
    s->tail_len -= surplus;
    for (size_t i = 0; i < len; i++) /* it ends up in JSON */
        s->tail[s->tail_len++] =
            bytes[i] == '\n' || (bytes[i] >= ' ' && bytes[i] < 0x7f) ? bytes[i] : '?';
    s->tail[s->tail_len] = '\0';
}

static void listen_to(struct successor *s)
{
    char bytes[4096];
    ssize_t len;

    for (unsigned i = 0; i < READS_MAX && s->said != -1; i++) {
        len = read(s->said, bytes, sizeof(bytes));
        if (len <= 0)
            break;
        keep_tail(s, bytes, (size_t)len);
        if (write(STDERR_FILENO, bytes, (size_t)len) != len)
            break; /* its log is ours; nobody reads it */
    }
}

/* ---- waiting ---- */

/* What it has started may still hold the link. */
static bool has_ended(pid_t pid)
{
    siginfo_t info = {.si_pid = 0};

    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid;
}

struct wait {
    pid_t pid; /* who is at the other end of link */
    int link;
    char wanted;
    unsigned ms;
    pid_t while_runs; /* given up without it, or when the node is to end; 0: cannot be given up */
};

/* s: who is listened to meanwhile. */
static enum outcome await(struct successor *s, const struct wait *wait)
{
    uint64_t until = brim_clock_mono_ms() + wait->ms;

    while (brim_clock_mono_ms() < until) {
        bool is_dead = has_ended(wait->pid); /* before the look at what it said */
        struct pollfd ends[] = {{.fd = wait->link, .events = POLLIN}};
        char byte = '\0';
        ssize_t len;

        (void)poll(ends, 1, TURN_MS);
        listen_to(s);
        len = recv(wait->link, &byte, 1, MSG_DONTWAIT);
        if (len == 1 && byte == wait->wanted)
            return OUTCOME_SAID;
        if (len == 0 || is_dead || (len < 0 && errno != EAGAIN && errno != EINTR))
            return OUTCOME_ENDED;
        if (wait->while_runs != 0 && (brim_parent_is_told_to_end() || has_ended(wait->while_runs)))
            return OUTCOME_GIVEN_UP;
    }
    return OUTCOME_LATE;
}

/* ---- the successor ---- */

static void run_successor(const struct brim_parent *p, const char *binary, int link, int said)
{
    struct brim_handover handover = {.role = BRIM_ROLE_SUCCESSOR,
                                     .pid = getppid(),
                                     .link = link,
                                     .estate = p->estate_fd,
                                     .log = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3)};
    struct brim_handover_program program = {.binary = binary,
                                            .conf_path = brim_conf_path(*p->conf),
                                            .conf = *p->conf,
                                            .sockets = p->start.sockets};

    /* The manager watches this process; what it says there it says for the parent. */
    (void)unsetenv("WATCHDOG_PID"); /* NOLINT(concurrency-mt-unsafe): no threads */
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || dup2(said, STDERR_FILENO) == -1)
        _exit(EXIT_FAILURE);
    brim_handover_exec(&handover, &program);
    (void)dprintf(STDERR_FILENO, "%s: %s\n", binary, strerrordesc_np(errno));
    _exit(EXIT_FAILURE);
}

static bool start(const struct brim_parent *p, const char *binary, struct successor *s)
{
    int link[2] = {-1, -1}, said[2] = {-1, -1};

    *s = (struct successor){.link = -1, .said = -1, .tail = p->start.estate->tail};
    s->tail[0] = '\0';
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, link) != 0 ||
        pipe2(said, O_CLOEXEC) != 0 || fcntl(said[0], F_SETFL, O_NONBLOCK) != 0)
        goto out;
    s->pid = fork();
    if (s->pid == 0)
        run_successor(p, binary, link[1], said[1]);
    if (s->pid < 0)
        goto out;
    close(link[1]);
    close(said[1]);
    s->link = link[0];
    s->said = said[0];
    return true;

out:
    for (size_t i = 0; i < 2; i++) {
        if (link[i] != -1)
            close(link[i]);
        if (said[i] != -1)
            close(said[i]);
    }
    return false;
}

/* Whether it does so by itself: it may only have let the link go. */
static bool is_leaving(const struct successor *s)
{
    uint64_t until = brim_clock_mono_ms() + LEAVE_MS;

    while (!has_ended(s->pid) && brim_clock_mono_ms() < until)
        (void)poll(NULL, 0, TURN_MS);
    return has_ended(s->pid);
}

static void end_successor(struct successor *s, char *why, enum outcome outcome)
{
    bool is_alone = outcome == OUTCOME_ENDED && is_leaving(s);
    int status = 0;

    if (!is_alone)
        kill(s->pid, SIGKILL);
    while (waitpid(s->pid, &status, 0) == -1 && errno == EINTR)
        continue;
    listen_to(s);
    close(s->link);
    close(s->said);
    if (outcome == OUTCOME_LATE)
        (void)snprintf(why, BRIM_ESTATE_WHY_BYTES, "it was not ready in time");
    else if (outcome == OUTCOME_GIVEN_UP)
        (void)snprintf(why, BRIM_ESTATE_WHY_BYTES, "the old node was told to end, or died");
    else if (!is_alone)
        (void)snprintf(why, BRIM_ESTATE_WHY_BYTES, "it cut itself off from its parent");
    else if (WIFSIGNALED(status))
        (void)snprintf(why, BRIM_ESTATE_WHY_BYTES, "it died of signal %d", WTERMSIG(status));
    else
        (void)snprintf(why, BRIM_ESTATE_WHY_BYTES, "it ended with status %d", WEXITSTATUS(status));
}

/* ---- the steps ---- */

/* A node that does not let go, or dies over it, has let go when it is dead. */
static void have_old_let_go(struct brim_parent *p, struct successor *s)
{
    struct wait wait = {
        .pid = p->child, .link = p->link, .wanted = BRIM_LINK_LET_GO, .ms = LET_GO_MS};
    enum outcome outcome;

    kill(p->child, BRIM_SIGNAL_LET_GO);
    outcome = await(s, &wait);
    if (outcome == OUTCOME_SAID)
        return;
    BRIM_LOG(ERROR, "upgrade.stuck", "pid=%d what=\"the old node did not let go\"", (int)p->child);
    kill(p->child, SIGKILL);
    wait.wanted = '\0'; /* until it is dead */
    (void)await(s, &wait);
}

/* Takes the place of the node that runs, which is to drain. */
static void adopt(struct brim_parent *p, struct successor *s)
{
    pid_t old = p->child;

    close(p->link);
    p->child = s->pid;
    p->link = s->link;
    p->was_ready = true;
    p->born_ms = brim_clock_mono_ms();
    p->backoff_ms = 0;
    listen_to(s); /* the last before its log is its own */
    close(s->said);
    kill(old, SIGTERM);
}

/* The old program, which this is, has a node again that writes. */
static void take_back(struct brim_parent *p)
{
    pid_t old = p->child;
    int link = p->link;
    struct successor nobody = {.said = -1};
    struct wait wait = {.wanted = BRIM_LINK_READY, .ms = READY_MS};
    enum outcome outcome = OUTCOME_ENDED;

    p->child = 0; /* what is ended below is what is started here, or nothing */
    p->link = -1;
    if (brim_parent_spawn(p)) {
        wait.pid = p->child;
        wait.link = p->link;
        outcome = await(&nobody, &wait);
    }
    if (outcome == OUTCOME_SAID) {
        close(link);
        p->was_ready = true;
        kill(old, SIGTERM);
        return;
    }
    BRIM_LOG(ERROR, "upgrade.read_only",
             "pid=%d what=\"no other node comes up: this one goes on, and writes nothing to disk\"",
             (int)old);
    if (p->child > 0)
        kill(p->child, SIGKILL);
    if (p->link != -1)
        close(p->link);
    p->child = old;
    p->link = link;
    p->was_ready = true;
    kill(old, BRIM_SIGNAL_STAY);
}

/* False: it has failed, and why says how. */
static bool take_over(struct brim_parent *p, const char *binary, char *why)
{
    struct successor s;
    struct wait wait = {.wanted = BRIM_LINK_PREPARED, .ms = PREPARE_MS, .while_runs = p->child};
    enum outcome outcome;

    if (!start(p, binary, &s)) {
        (void)snprintf(why, BRIM_ESTATE_WHY_BYTES, "no process: %s", strerrordesc_np(errno));
        return false;
    }
    wait.pid = s.pid;
    wait.link = s.link;
    outcome = await(&s, &wait);
    if (outcome != OUTCOME_SAID) {
        end_successor(&s, why, outcome);
        return false;
    }
    have_old_let_go(p, &s);
    wait = (struct wait){.pid = s.pid, .link = s.link, .wanted = BRIM_LINK_READY, .ms = READY_MS};
    outcome = send(s.link, (char[]){BRIM_LINK_GO}, 1, MSG_NOSIGNAL) == 1 ? await(&s, &wait)
                                                                         : OUTCOME_ENDED;
    if (outcome == OUTCOME_SAID) {
        adopt(p, &s);
        return true;
    }
    end_successor(&s, why, outcome);
    take_back(p);
    return false;
}

/* The node is the new program's; so is its parent from here on. */
static void become(struct brim_parent *p, const char *binary)
{
    struct brim_handover handover = {.role = BRIM_ROLE_PARENT,
                                     .pid = p->child,
                                     .link = p->link,
                                     .estate = p->estate_fd,
                                     .log = -1};
    struct brim_handover_program program = {.binary = binary,
                                            .conf_path = brim_conf_path(*p->conf),
                                            .conf = *p->conf,
                                            .sockets = p->start.sockets};

    brim_handover_exec(&handover, &program);
    BRIM_LOG(ERROR, "upgrade.parent_stays",
             "binary=%s errno=%d do=\"the new node runs; restart the service when it suits\"",
             binary, errno);
}

void brim_parent_upgrade(struct brim_parent *p)
{
    struct brim_estate *estate = p->start.estate;
    bool is_asked = atomic_load(&estate->state) == BRIM_UPGRADE_ASKED;
    const char *named = is_asked && estate->binary[0] != '\0' ? estate->binary : p->binary;
    uint64_t began_ms = brim_clock_mono_ms();
    char *binary = brim_strdup(named);

    atomic_fetch_add(&estate->serial, 1);
    atomic_store(&estate->state, BRIM_UPGRADE_UNDER_WAY);
    BRIM_LOG(INFO, "upgrade.begun", "binary=%s old=%d", binary, (int)p->child);
    if (take_over(p, binary, estate->why)) {
        BRIM_LOG(INFO, "upgrade.done", "binary=%s new=%d took_ms=%llu", binary, (int)p->child,
                 (unsigned long long)(brim_clock_mono_ms() - began_ms));
        atomic_fetch_add(&estate->done, 1);
        atomic_store(&estate->state, BRIM_UPGRADE_DONE);
        become(p, binary);
    } else {
        BRIM_LOG(ERROR, "upgrade.failed", "binary=%s reason=\"%s\"; the old one goes on", binary,
                 estate->why);
        atomic_store(&estate->state, BRIM_UPGRADE_FAILED);
    }
    free(binary);
}
