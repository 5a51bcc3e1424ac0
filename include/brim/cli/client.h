/* SPDX-License-Identifier: MIT */
/*
 * client - how the command-line tools reach the admin API of a running node.
 */
#ifndef BRIM_CLI_CLIENT_H
#define BRIM_CLI_CLIENT_H

#include "brim/origin/fetch_once.h"

/*
 * Sends one call. address: "127.0.0.1:9900", "[::1]:9900" or "unix:/path"; NULL: $BRIM_ADMIN, else
 * 127.0.0.1:9900. Prints what went wrong to stderr, also a status of 400 and above.
 *
 * Owns:   on BRIM_EXIT_OK answer_out->body is the caller's, freed with free().
 * Returns an exit status (cli/commands.h). Thread: main.
 */
int brim_client_call(const char *address, const char *method, const char *path,
                     const char *json_body, struct brim_fetch_answer *answer_out);

#endif
