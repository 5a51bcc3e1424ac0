/* SPDX-License-Identifier: MIT */
/*
 * client - how the command-line tools reach the admin API of a running node.
 *
 * Main invariant: whatever goes wrong is told on stderr here, so that a command only passes the
 * exit status on (cli/commands.h).
 */
#ifndef BRIM_CLI_CLIENT_H
#define BRIM_CLI_CLIENT_H

#include <stdbool.h>

#include "brim/base/bearer.h"

#define BRIM_CLIENT_ADDRESS_MAX 256

/* For the --help of every command that calls a node. */
#define BRIM_CLIENT_HELP                                                                           \
    "  --admin ADDRESS     admin.address of the node: HOST:PORT, :PORT or unix:/PATH\n"            \
    "  -c, --config FILE   the node's config: takes admin.address and admin.token from there\n"    \
    "                      (without both: $BRIM_ADMIN, else 127.0.0.1:9900)\n"                     \
    "  --token-file FILE   file with the token that the node asks for\n"                           \
    "                      (without: admin.token of the config, else $BRIM_TOKEN_FILE)\n"

/* Rows for getopt_long(); brim_client_option() reads what they bring. */
#define BRIM_CLIENT_OPTIONS                                                                        \
    {"admin", required_argument, NULL, 'a'}, {"config", required_argument, NULL, 'c'},             \
    {                                                                                              \
        "token-file", required_argument, NULL, 'k'                                                 \
    }

/* What a command line says of the node; all may be NULL. */
struct brim_client_words {
    const char *admin;
    const char *config;
    const char *token_file;
};

/* Takes one of the options above; false: it is another. Thread: main. */
bool brim_client_option(struct brim_client_words *words, int option, const char *value);

struct brim_client {
    char address[BRIM_CLIENT_ADDRESS_MAX + 1]; /* as in admin.address */
    char token[BRIM_BEARER_MAX + 1];           /* "": none */
};

/*
 * Finds out where the node is: admin, else admin.address of the config, else $BRIM_ADMIN, else
 * 127.0.0.1:9900; and the token: that in token_file, else in admin.token of the config, else in
 * $BRIM_TOKEN_FILE, else none.
 * Returns BRIM_EXIT_OK or BRIM_EXIT_USAGE (no such address, config or token not usable). Thread:
 * main.
 */
int brim_client_find(const struct brim_client_words *words, struct brim_client *client_out);

struct json_t; /* jansson's */

struct brim_client_call {
    const char *method;
    const char *path;
    const char *json_body; /* NULL: none */
    const char *proof[2]; /* a member that only an answer of a node's has; the second may be NULL */
};

/*
 * Sends one call and waits for its answer. Whatever is no success is told: no answer, a refusal
 * with its reason and what to do, and a success of somebody else's, such as a web server on that
 * port.
 *
 * Owns:   on BRIM_EXIT_OK *json_out is the caller's, dropped with json_decref(), and *text_out, the
 *         same as it came, freed with free(); else they are NULL. text_out may be NULL.
 * Returns BRIM_EXIT_OK or BRIM_EXIT_FAILED. Thread: main.
 */
int brim_client_ask(const struct brim_client *client, const struct brim_client_call *call,
                    struct json_t **json_out, char **text_out);

#endif
