/* SPDX-License-Identifier: MIT */
/*
 * brim COMMAND: finds the command and hands over.
 */
#include <stdio.h>
#include <string.h>

#include "brim/cli/commands.h"

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *text;
} commands[] = {
    {"serve", brim_cli_serve, "run a node"},
    {"check", brim_cli_check, "check a config; print the reference"},
    {"purge", brim_cli_purge, "purge URLs from a running node"},
    {"stats", brim_cli_stats, "print the counters of a running node"},
    {"version", brim_cli_version, "print the version"},
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void print_help(FILE *out)
{
    fputs("usage: brim COMMAND [OPTIONS]\n\n", out);
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].text);
    fputs("\n`brim COMMAND --help` says more. Exit status: 0 done, 1 failed, 2 usage or config.\n",
          out);
}

static const struct command *find(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

/* The command that shares the longest beginning with what was typed. */
static const char *nearest(const char *name)
{
    const char *best = commands[0].name;
    size_t best_len = 0;

    for (size_t i = 0; i < COMMANDS; i++) {
        size_t len = 0;

        while (name[len] != '\0' && commands[i].name[len] == name[len])
            len++;
        if (len > best_len) {
            best = commands[i].name;
            best_len = len;
        }
    }
    return best;
}

int main(int argc, char **argv)
{
    char help_option[] = "--help";
    const struct command *command;

    if (argc < 2) {
        print_help(stderr);
        return BRIM_EXIT_USAGE;
    }
    if (strcmp(argv[1], "--version") == 0)
        return brim_cli_version(argc, argv);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        (strcmp(argv[1], "help") == 0 && argc == 2)) {
        print_help(stdout);
        return BRIM_EXIT_OK;
    }
    if (strcmp(argv[1], "help") == 0 && (command = find(argv[2])) != NULL) {
        char *asked[] = {argv[2], help_option, NULL};
        return command->run(2, asked);
    }
    command = find(argv[1]);
    if (command == NULL) {
        fprintf(stderr, "brim: no command %s; did you mean %s? See brim --help\n", argv[1],
                nearest(argv[1]));
        return BRIM_EXIT_USAGE;
    }
    return command->run(argc - 1, argv + 1);
}
