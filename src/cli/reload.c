/* SPDX-License-Identifier: MIT */
#include <jansson.h>
#include <stdio.h>

#include "brim/cli/client.h"
#include "brim/cli/commands.h"

static const char help[] =
    "usage: brim reload [--admin ADDRESS | -c FILE]\n"
    "\n"
    "Makes a running node read its config and its certificates again, and reopen its access log.\n"
    "Returns when the config is in force on every worker; one that has faults is refused whole,\n"
    "with file, line and reason, and the old one stays. No connection and no request is lost.\n"
    "\n" BRIM_CLIENT_HELP "  -h, --help          this text\n"
    "\n"
    "exit status: 0 in force, 1 refused or no answer, 2 usage or config not usable\n";

static int reload(const struct brim_client *client)
{
    static const struct brim_client_call call = {
        .method = "POST", .path = "/v1/reload", .proof = {"generation"}};
    json_t *json;
    int status = brim_client_ask(client, &call, &json, NULL);

    if (status == BRIM_EXIT_OK)
        (void)printf("in force: config generation %" JSON_INTEGER_FORMAT "\n",
                     json_integer_value(json_object_get(json, "generation")));
    json_decref(json);
    return status;
}

int brim_cli_reload(int argc, char **argv)
{
    static const struct option options[] = {
        BRIM_CLIENT_OPTIONS,
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct brim_client_words words = {.admin = NULL};
    struct brim_client client;
    int option, status;

    while ((option = brim_cli_option(argc, argv, "c:h", options)) != -1) {
        if (brim_client_option(&words, option, optarg))
            continue;
        switch (option) {
        case 'h':
            (void)fputs(help, stdout);
            return BRIM_EXIT_OK;
        default:
            (void)fputs("see brim reload --help\n", stderr);
            return BRIM_EXIT_USAGE;
        }
    }
    if (optind < argc) {
        (void)fputs("brim reload: takes no arguments; see brim reload --help\n", stderr);
        return BRIM_EXIT_USAGE;
    }
    status = brim_client_find(&words, &client);
    return status == BRIM_EXIT_OK ? reload(&client) : status;
}
