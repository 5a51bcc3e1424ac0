/* SPDX-License-Identifier: MIT */
/*
 * client - how the command-line tools reach the admin API of a running node.
 *
 * Main invariant: whatever goes wrong is told on stderr here, so that a command only passes the
 * exit status on (cli/commands.h).
 */
#ifndef BRIM_CLI_CLIENT_H
#define BRIM_CLI_CLIENT_H

#include "brim/origin/fetch_once.h"

#define BRIM_CLIENT_ADDRESS_MAX 256

/* For the --help of every command that calls a node. */
#define BRIM_CLIENT_HELP                                                                           \
    "  --admin ADDRESS     admin.address of the node: HOST:PORT, :PORT or unix:/PATH\n"            \
    "  -c, --config FILE   the node's config: takes admin.address from there\n"                    \
    "                      (without both: $BRIM_ADMIN, else 127.0.0.1:9900)\n"

struct brim_client {
    char address[BRIM_CLIENT_ADDRESS_MAX + 1]; /* as in admin.address */
};

/*
 * Finds out where the node is: admin, else admin.address of the config, else $BRIM_ADMIN, else
 * 127.0.0.1:9900. admin and config may be NULL.
 * Returns BRIM_EXIT_OK or BRIM_EXIT_USAGE (no such address, config not usable). Thread: main.
 */
int brim_client_find(const char *admin, const char *config, struct brim_client *client_out);

/*
 * Sends one call and waits for its answer. A status of 400 and above is a failure.
 *
 * Owns:   on BRIM_EXIT_OK answer_out->body is the caller's, freed with free().
 * Returns BRIM_EXIT_OK or BRIM_EXIT_FAILED. Thread: main.
 */
int brim_client_call(const struct brim_client *client, const char *method, const char *path,
                     const char *json_body, struct brim_fetch_answer *answer_out);

#endif
