/* SPDX-License-Identifier: MIT */
/*
 * brim COMMAND: finds the command and hands over.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "brim/base/conf_fault.h"
#include "brim/cli/commands.h"

static const struct command {
    const char *name;
    const char *full; /* as its messages begin */
    int (*run)(int argc, char **argv);
    const char *text;
} commands[] = {
    {"serve", "brim serve", brim_cli_serve, "run a node"},
    {"check", "brim check", brim_cli_check, "check a config; print the reference of all options"},
    {"purge", "brim purge", brim_cli_purge, "purge URLs from a running node"},
    {"explain", "brim explain", brim_cli_explain, "say why a URL is a hit or a miss"},
    {"warm", "brim warm", brim_cli_warm, "have a running node fetch many URLs"},
    {"reload", "brim reload", brim_cli_reload, "put the changed config of a running node in force"},
    {"upgrade", "brim upgrade", brim_cli_upgrade, "have another version of brim take over"},
    {"kv", "brim kv", brim_cli_kv, "read and write the named stores of a running node"},
    {"key", "brim key", brim_cli_key, "print what a request is looked up by"},
    {"sign", "brim sign", brim_cli_sign, "sign a URL for a while"},
    {"stats", "brim stats", brim_cli_stats, "print the counters of a running node"},
    {"top", "brim top", brim_cli_top, "show what a running node is doing"},
    {"lua", "brim lua", brim_cli_lua, "test and try Lua handlers"},
    {"version", "brim version", brim_cli_version, "print the version"},
};

#define COMMANDS   (sizeof(commands) / sizeof(commands[0]))
#define NAME_BYTES 16

static void print_help(FILE *out)
{
    (void)fputs("usage: brim COMMAND [OPTIONS]\n\n", out);
    for (size_t i = 0; i < COMMANDS; i++)
        (void)fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].text);
    (void)fputs("\n`brim COMMAND --help` or `brim help COMMAND` says more.\n"
                "exit status: 0 done, 1 failed, 2 usage or config not usable\n",
                out);
}

static const struct command *find(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static int refuse(const char *name)
{
    const char *best = NULL;
    size_t best_distance = SIZE_MAX;

    for (size_t i = 0; i < COMMANDS; i++) {
        size_t distance = brim_conf_fault_distance(name, commands[i].name);

        if (distance < best_distance && brim_conf_fault_is_near(commands[i].name, distance)) {
            best = commands[i].name;
            best_distance = distance;
        }
    }
    (void)fprintf(stderr, "brim: there is no command \"%s\"", name);
    if (best != NULL)
        (void)fprintf(stderr, "; did you mean \"%s\"?", best);
    (void)fputs("; see brim --help\n", stderr);
    return BRIM_EXIT_USAGE;
}

static int run(const struct command *command, int argc, char **argv)
{
    char full[sizeof("brim ") + NAME_BYTES];

    /* getopt_long() begins its messages with argv[0]. */
    if (snprintf(full, sizeof(full), "%s", command->full) > 0)
        argv[0] = full;
    return command->run(argc, argv);
}

static int dispatch(int argc, char **argv)
{
    char version[] = "version", help[] = "--help";
    const char *name = argc < 2 ? "" : argv[1];
    bool is_help = strcmp(name, "help") == 0;

    if (argc < 2) {
        print_help(stderr);
        return BRIM_EXIT_USAGE;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || (is_help && argc == 2)) {
        print_help(stdout);
        return BRIM_EXIT_OK;
    }
    if (is_help) {
        char *asked[] = {argv[2], help, NULL};

        return find(argv[2]) == NULL ? refuse(argv[2]) : run(find(argv[2]), 2, asked);
    }
    if (strcmp(name, "--version") == 0) {
        char *asked[] = {version, NULL};

        return brim_cli_version(1, asked);
    }
    return find(name) == NULL ? refuse(name) : run(find(name), argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
    int status = dispatch(argc, argv);

    /* What was asked for and did not arrive was not done: a full disk, a closed pipe. */
    if ((fflush(stdout) != 0 || ferror(stdout)) && status == BRIM_EXIT_OK) {
        (void)fputs("brim: could not write all of it to stdout\n", stderr);
        status = BRIM_EXIT_FAILED;
    }
    return status;
}
