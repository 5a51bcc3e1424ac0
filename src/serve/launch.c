/* SPDX-License-Identifier: MIT */
/*
 * Who this process is to be is told by what is handed over (handover.h): the first one, which reads
 * the config, binds the sockets and becomes the parent; a parent that has become this program, and
 * whose node runs; or the successor of a node, which is given the parent's sockets. What is wrong
 * with the config or an address is told here, while the caller still has its stderr.
 */
#include "brim/serve/launch.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "brim/base/log.h"
#include "brim/serve/node.h"
#include "brim/serve/parent.h"
#include "brim/serve/sandbox.h"
#include "brim/serve/service.h"

#define CONF_WAIT_S 1

static void block_signals(sigset_t *signals)
{
    sigemptyset(signals);
    sigaddset(signals, SIGTERM);
    sigaddset(signals, SIGINT);
    sigaddset(signals, SIGUSR1);
    sigaddset(signals, SIGHUP);
    sigaddset(signals, SIGCHLD);
    sigaddset(signals, SIGUSR2);
    sigaddset(signals, BRIM_SIGNAL_RELOADED);
    sigaddset(signals, BRIM_SIGNAL_LET_GO);
    sigaddset(signals, BRIM_SIGNAL_STAY);
    sigprocmask(SIG_BLOCK, signals, NULL); /* NOLINT(concurrency-mt-unsafe): no threads yet */
    (void)signal(SIGPIPE, SIG_IGN);
}

static void raise_fd_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static size_t worker_count(const struct brim_conf_root *root)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    if (root->node.workers > 0)
        return (size_t)root->node.workers;
    return cores < 1 ? 1 : (size_t)cores;
}

/* A socket that nobody listens on would have its clients wait for ever. */
static bool is_all_claimed(const struct brim_conf *conf, const struct brim_inherited *inherited)
{
    const char *left = brim_inherited_left(inherited);

    if (left != NULL)
        (void)fprintf(
            stderr,
            "%s:%d: listeners: the service manager hands over a socket \"%s\" that is none of "
            "these; accepted: listening sockets with an address or a socket name of a listener\n",
            brim_conf_path(conf), brim_conf_line(conf, "listeners"), left);
    return left == NULL;
}

/* A node without its parent would keep the sockets from the next one. */
static bool bind_life_to(pid_t parent)
{
    return prctl(PR_SET_PDEATHSIG, SIGTERM) == 0 && getppid() == parent;
}

/* What an upgrade hands over is all that there is to listen on: what the new parent would have to
 * bind, or nobody would accept from, needs a restart. */
static bool is_same_set(const struct brim_conf *conf, struct brim_inherited *inherited)
{
    bool is_same = brim_sockets_are_all(conf, inherited);

    if (!is_same)
        (void)fprintf(stderr,
                      "%s:%d: listeners: other addresses than those that are listened on need a "
                      "restart; accepted: the same, admin.address too\n",
                      brim_conf_path(conf), brim_conf_line(conf, "listeners"));
    return is_same;
}

static enum brim_err load_once(const char *path, enum brim_role role,
                               struct brim_inherited *inherited, struct brim_conf **conf_out)
{
    enum brim_err err = brim_conf_load(path, stderr, conf_out);

    if (err != BRIM_OK || role == BRIM_ROLE_FIRST || is_same_set(*conf_out, inherited))
        return err;
    brim_conf_free(*conf_out);
    *conf_out = NULL;
    return BRIM_EINVAL;
}

/* A parent that has become this program has a node that runs, and must not end over a file that is
 * being changed at this moment. */
static enum brim_err load(const char *path, enum brim_role role, struct brim_inherited *inherited,
                          struct brim_conf **conf_out)
{
    enum brim_err err = load_once(path, role, inherited, conf_out);
    sigset_t pending;

    while (err != BRIM_OK && role == BRIM_ROLE_PARENT) {
        struct timespec span = {.tv_sec = CONF_WAIT_S};

        nanosleep(&span, NULL);
        sigpending(&pending);
        if (sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1)
            break;
        err = load_once(path, role, inherited, conf_out);
    }
    return err;
}

static int run_as(const struct brim_handover *handover, struct brim_start *start,
                  struct brim_conf **conf, const sigset_t *signals)
{
    struct brim_parent_config parent = {
        .handover = *handover, .estate_fd = handover->estate, .run_node = brim_node_run};
    int status = EXIT_FAILURE;

    if (brim_estate_open(&parent.estate_fd, &start->estate) != BRIM_OK)
        return status;
    start->watchdog_us = brim_service_watchdog_us();
    parent.start = *start;
    if (handover->role == BRIM_ROLE_SUCCESSOR)
        status = bind_life_to(handover->pid) ? brim_node_run(start) : EXIT_FAILURE;
    else
        status = brim_parent_run(&parent, conf, signals);
    brim_estate_close(start->estate, parent.estate_fd);
    return status;
}

int brim_launch(const char *conf_path, enum brim_launch_mode mode)
{
    struct brim_conf *conf = NULL;
    struct brim_sockets sockets = {.admin_fd = -1};
    struct brim_inherited *inherited = NULL;
    struct brim_handover handover;
    struct brim_start start = {.sockets = &sockets, .link = -1, .log = -1};
    sigset_t signals;
    int status = BRIM_EXIT_CONFIG;

    block_signals(&signals);
    raise_fd_limit();
    if (!brim_handover_take(&handover)) {
        (void)fprintf(stderr, "brim serve: BRIM_HANDOVER says what this version does not know\n");
        return EXIT_FAILURE;
    }
    inherited = brim_handover_sockets();
    if (inherited == NULL)
        inherited = brim_inherited_open();
    if (load(conf_path, handover.role, inherited, &conf) != BRIM_OK)
        goto out;
    brim_log_setup((enum brim_log_level)brim_conf_root(conf)->log.level, STDERR_FILENO);
    if (!brim_conf_root(conf)->node.core_dumps)
        brim_sandbox_hide(); /* before a key is read */
    if (handover.role == BRIM_ROLE_FIRST && brim_node_check(conf, stderr) != BRIM_OK)
        goto out;
    status = EXIT_FAILURE; /* the config is what `brim check` calls usable */
    if (brim_sockets_bind(conf, worker_count(brim_conf_root(conf)), inherited, stderr, &sockets) !=
            BRIM_OK ||
        !is_all_claimed(conf, inherited))
        goto out;
    start.conf = conf;
    start.link = handover.link;
    start.log = handover.log;
    start.is_successor = handover.role == BRIM_ROLE_SUCCESSOR;
    start.parent = start.is_successor ? handover.pid : 0;
    if (mode == BRIM_LAUNCH_SINGLE) {
        start.watchdog_us = brim_service_watchdog_us();
        status = brim_node_run(&start);
    } else {
        status = run_as(&handover, &start, &conf, &signals);
    }
out:
    brim_sockets_close(&sockets);
    brim_inherited_close(inherited);
    brim_conf_free(conf);
    return status;
}
