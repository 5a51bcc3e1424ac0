/* SPDX-License-Identifier: MIT */
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "brim/cli/client.h"
#include "brim/cli/commands.h"

#define URLS_PER_CALL 1000

static const char help[] =
    "usage: brim purge [--soft] [--admin ADDRESS | -c FILE] URL...\n"
    "\n"
    "Purges exact URLs, all variants of each. When it returns, the purge is in force in every "
    "worker\n"
    "and survives a restart.\n"
    "\n"
    "  --soft              mark as stale instead of removing: revalidated before the next "
    "use\n" BRIM_CLIENT_HELP "  -h, --help          this text\n"
    "\n"
    "exit status: 0 purged, 1 not (or not all) purged, 2 usage or config not usable\n";

/* One call. */
static int purge_some(const struct brim_client *client, char **urls, int count, bool soft)
{
    struct brim_fetch_answer answer = {0};
    json_t *list = json_array();
    char *body = NULL;
    json_t *call;
    int status = BRIM_EXIT_OK;

    for (int i = 0; i < count && status == BRIM_EXIT_OK; i++)
        if (json_array_append_new(list, json_string(urls[i])) != 0) {
            (void)fprintf(stderr,
                          "brim purge: \"%s\" is not UTF-8; accepted: percent-encoded URLs\n",
                          urls[i]);
            status = BRIM_EXIT_USAGE;
        }
    call = json_pack("{s:o,s:b}", "urls", list, "soft", (int)soft);
    if (status == BRIM_EXIT_OK)
        body = json_dumps(call, JSON_COMPACT);
    if (body != NULL)
        status = brim_client_call(client, "POST", "/purge", body, &answer);
    else if (status == BRIM_EXIT_OK)
        status = BRIM_EXIT_FAILED;
    json_decref(call);
    free(answer.body);
    free(body);
    return status;
}

static int purge(const struct brim_client *client, char **urls, int count, bool soft)
{
    int done = 0, status = BRIM_EXIT_OK;

    while (done < count && status == BRIM_EXIT_OK) {
        int some = count - done < URLS_PER_CALL ? count - done : URLS_PER_CALL;

        status = purge_some(client, urls + done, some, soft);
        if (status == BRIM_EXIT_OK)
            done += some;
    }
    if (status == BRIM_EXIT_OK)
        (void)printf("purged %d URL%s (%s)\n", count, count == 1 ? "" : "s",
                     soft ? "soft" : "hard");
    else if (done > 0)
        (void)fprintf(stderr, "brim purge: only the first %d of %d URLs were purged\n", done,
                      count);
    return status;
}

int brim_cli_purge(int argc, char **argv)
{
    static const struct option options[] = {
        {"soft", no_argument, NULL, 's'},
        {"admin", required_argument, NULL, 'a'},
        {"config", required_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    const char *admin = NULL, *config = NULL;
    struct brim_client client;
    bool soft = false;
    int option, status;

    while ((option = brim_cli_option(argc, argv, "c:h", options)) != -1) {
        switch (option) {
        case 's':
            soft = true;
            break;
        case 'a':
            admin = optarg;
            break;
        case 'c':
            config = optarg;
            break;
        case 'h':
            (void)fputs(help, stdout);
            return BRIM_EXIT_OK;
        default:
            (void)fputs("see brim purge --help\n", stderr);
            return BRIM_EXIT_USAGE;
        }
    }
    if (optind == argc) {
        (void)fputs("brim purge: at least one URL is needed; see brim purge --help\n", stderr);
        return BRIM_EXIT_USAGE;
    }
    status = brim_client_find(admin, config, &client);
    return status == BRIM_EXIT_OK ? purge(&client, argv + optind, argc - optind, soft) : status;
}
