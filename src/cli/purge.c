/* SPDX-License-Identifier: MIT */
#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "brim/cli/client.h"
#include "brim/cli/commands.h"

static const char help[] =
    "usage: brim purge [--soft] [--admin ADDRESS] URL...\n"
    "\n"
    "Purges exact URLs, all variants of each. In force on every worker, and durable, when it\n"
    "returns.\n"
    "\n"
    "  --soft              mark as stale instead of removing: revalidated before the next use\n"
    "  --admin ADDRESS     admin.address of the node: HOST:PORT or unix:/path\n"
    "                      (default: $BRIM_ADMIN, else 127.0.0.1:9900)\n"
    "  -h, --help          this text\n"
    "\n"
    "exit status: 0 purged, 1 not purged, 2 usage\n";

static int purge(const char *address, char **urls, int count, bool soft)
{
    json_t *list = json_array();
    struct brim_fetch_answer answer = {0};
    char *body;
    json_t *call;
    int status;

    for (int i = 0; i < count; i++)
        json_array_append_new(list, json_string(urls[i]));
    call = json_pack("{s:o,s:b}", "urls", list, "soft", (int)soft);
    body = json_dumps(call, JSON_COMPACT);
    json_decref(call);
    if (body == NULL) {
        fputs("brim purge: a URL is not UTF-8\n", stderr);
        return BRIM_EXIT_USAGE;
    }
    status = brim_client_call(address, "POST", "/purge", body, &answer);
    if (status == BRIM_EXIT_OK)
        printf("purged %d URL%s (%s)\n", count, count == 1 ? "" : "s", soft ? "soft" : "hard");
    free(answer.body);
    free(body);
    return status;
}

int brim_cli_purge(int argc, char **argv)
{
    static const struct option options[] = {
        {"soft", no_argument, NULL, 's'},
        {"admin", required_argument, NULL, 'a'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    const char *address = NULL;
    bool soft = false;
    int option;

    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (option) {
        case 's':
            soft = true;
            break;
        case 'a':
            address = optarg;
            break;
        case 'h':
            fputs(help, stdout);
            return BRIM_EXIT_OK;
        default:
            return BRIM_EXIT_USAGE;
        }
    }
    if (optind == argc) {
        fputs("brim purge: at least one URL is needed; see brim purge --help\n", stderr);
        return BRIM_EXIT_USAGE;
    }
    return purge(address, argv + optind, argc - optind, soft);
}
