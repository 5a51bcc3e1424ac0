/* SPDX-License-Identifier: MIT */
/*
 *   BRIM_HANDOVER   1:ROLE:PID:LINK:ESTATE:LOG    numbers; the first is the form's version
 *   BRIM_SOCKETS    FD:NAME:FD:NAME...            as LISTEN_FDNAMES; a name has no colon
 */
#include "brim/serve/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "brim/base/invariant.h"

#define WORD     "BRIM_HANDOVER"
#define SOCKETS  "BRIM_SOCKETS"
#define VERSION  1
#define NAMELESS "\x7f" /* not what a config or a service manager could call one */

/* ---- receiving ---- */

/* The next number, or -2. */
static long next_number(char **rest)
{
    char *word = strtok_r(NULL, ":", rest), *end = NULL;
    long number;

    if (word == NULL)
        return -2;
    errno = 0;
    number = strtol(word, &end, 10);
    return errno != 0 || end == word || *end != '\0' || number < -1 || number > INT32_MAX ? -2
                                                                                          : number;
}

/* Nothing that the node starts later may have it. True: it is a descriptor, or there is none. */
static bool keep_private(int fd)
{
    return fd == -1 || fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}

static bool parse(char *text, struct brim_handover *out)
{
    char *rest = NULL, *version = strtok_r(text, ":", &rest);
    long numbers[5];

    if (version == NULL || strcmp(version, "1") != 0)
        return false;
    for (size_t i = 0; i < 5; i++) {
        numbers[i] = next_number(&rest);
        if (numbers[i] == -2)
            return false;
    }
    if (numbers[0] != BRIM_ROLE_SUCCESSOR && numbers[0] != BRIM_ROLE_PARENT)
        return false;
    *out = (struct brim_handover){.role = (enum brim_role)numbers[0],
                                  .pid = (pid_t)numbers[1],
                                  .link = (int)numbers[2],
                                  .estate = (int)numbers[3],
                                  .log = (int)numbers[4]};
    return keep_private(out->link) && keep_private(out->estate) && keep_private(out->log);
}

bool brim_handover_take(struct brim_handover *out)
{
    const char *word = getenv(WORD); /* NOLINT(concurrency-mt-unsafe): there are no threads yet */
    char *copy;
    bool is_good;

    *out = (struct brim_handover){.link = -1, .estate = -1, .log = -1};
    if (word == NULL)
        return true;
    copy = brim_strdup(word);
    (void)unsetenv(WORD); /* NOLINT(concurrency-mt-unsafe) */
    is_good = parse(copy, out);
    free(copy);
    return is_good;
}

struct brim_inherited *brim_handover_sockets(void)
{
    const char *word = getenv(SOCKETS); /* NOLINT(concurrency-mt-unsafe) */
    struct brim_inherited *inherited;

    if (word == NULL)
        return NULL;
    inherited = brim_inherited_named(word);
    (void)unsetenv(SOCKETS); /* NOLINT(concurrency-mt-unsafe) */
    return inherited;
}

/* ---- giving ---- */

static bool is_repeated(const int *fds, size_t position)
{
    for (size_t i = 0; i < position; i++)
        if (fds[i] == fds[position])
            return true;
    return false;
}

static void put_socket(FILE *out, int fd, const char *name)
{
    (void)fprintf(out, "%s%d:%s", ftell(out) > 0 ? ":" : "", fd, name);
}

static char *list_sockets(const struct brim_handover_program *program)
{
    const struct brim_conf_root *root = brim_conf_root(program->conf);
    const struct brim_sockets *sockets = program->sockets;
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    INVARIANT(out != NULL && sockets->listeners <= root->listeners.count);
    for (size_t i = 0; i < sockets->listeners; i++) {
        const int *fds = sockets->fds + i * sockets->slots;
        const char *name = root->listeners.items[i].socket;

        for (size_t j = 0; j < sockets->slots; j++)
            if (fds[j] != -1 && !is_repeated(fds, j))
                put_socket(out, fds[j], name[0] == '\0' ? NAMELESS : name);
    }
    put_socket(out, sockets->admin_fd, NAMELESS);
    (void)fclose(out);
    return text;
}

static void set_inheritance(const struct brim_handover *h,
                            const struct brim_handover_program *program, int flags)
{
    const struct brim_sockets *sockets = program->sockets;
    const int others[] = {h->link, h->estate, h->log, sockets->admin_fd};

    for (size_t i = 0; i < sockets->listeners * sockets->slots; i++)
        if (sockets->fds[i] != -1)
            (void)fcntl(sockets->fds[i], F_SETFD, flags);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (others[i] != -1)
            (void)fcntl(others[i], F_SETFD, flags);
}

void brim_handover_exec(const struct brim_handover *h, const struct brim_handover_program *program)
{
    char serve[] = "serve", option[] = "-c", name[] = "brim";
    char *conf = brim_strdup(program->conf_path);
    char *const args[] = {name, serve, option, conf, NULL};
    char *list = list_sockets(program);
    char word[128];
    int len = snprintf(word, sizeof(word), "%d:%d:%ld:%d:%d:%d", VERSION, (int)h->role,
                       (long)h->pid, h->link, h->estate, h->log);
    int saved;

    INVARIANT(len > 0 && (size_t)len < sizeof(word));
    set_inheritance(h, program, 0);
    /* NOLINTBEGIN(concurrency-mt-unsafe): this process has no threads */
    if (setenv(WORD, word, 1) == 0 && setenv(SOCKETS, list, 1) == 0)
        (void)execv(program->binary, args);
    saved = errno;
    (void)unsetenv(WORD);
    (void)unsetenv(SOCKETS);
    /* NOLINTEND(concurrency-mt-unsafe) */
    set_inheritance(h, program, FD_CLOEXEC);
    free(list);
    free(conf);
    errno = saved;
}
