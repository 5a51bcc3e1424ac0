/* SPDX-License-Identifier: MIT */
/*
 * commands - the subcommands of the one binary; main.c dispatches by the table there.
 *
 * Each gets argv with its own name first, prints its own --help, and returns the exit status:
 * 0 done, 1 failed, 2 wrong usage or a config that is not usable.
 */
#ifndef BRIM_CLI_COMMANDS_H
#define BRIM_CLI_COMMANDS_H

#include <getopt.h>
#include <stddef.h>

enum brim_exit { BRIM_EXIT_OK = 0, BRIM_EXIT_FAILED = 1, BRIM_EXIT_USAGE = 2 };

/* The next option, as getopt_long() says. Thread: main, before there are others. */
static inline int brim_cli_option(int argc, char **argv, const char *letters,
                                  const struct option *options)
{
    return getopt_long(argc, argv, letters, options, NULL); /* NOLINT(concurrency-mt-unsafe) */
}

int brim_cli_serve(int argc, char **argv);
int brim_cli_check(int argc, char **argv);
int brim_cli_purge(int argc, char **argv);
int brim_cli_explain(int argc, char **argv);
int brim_cli_reload(int argc, char **argv);
int brim_cli_upgrade(int argc, char **argv);
int brim_cli_warm(int argc, char **argv);
int brim_cli_kv(int argc, char **argv);
int brim_cli_key(int argc, char **argv);
int brim_cli_sign(int argc, char **argv);
int brim_cli_stats(int argc, char **argv);
int brim_cli_top(int argc, char **argv);
int brim_cli_lua(int argc, char **argv);
int brim_cli_lua_run(int argc, char **argv);
int brim_cli_version(int argc, char **argv);

#endif
