/* SPDX-License-Identifier: MIT */
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "brim/cli/client.h"
#include "brim/cli/commands.h"

static const char help[] = "usage: brim stats [--json] [--admin ADDRESS | -c FILE]\n"
                           "\n"
                           "Prints the counters of a running node.\n"
                           "\n"
                           "  --json              as the admin API gives them\n" BRIM_CLIENT_HELP
                           "  -h, --help          this text\n"
                           "\n"
                           "exit status: 0 printed, 1 no answer, 2 usage or config not usable\n";

static int print_table(const char *body)
{
    json_t *json = json_loads(body, 0, NULL);
    const char *version = json_string_value(json_object_get(json, "version"));
    const char *name;
    json_t *value;

    if (version == NULL) {
        (void)fputs("brim stats: that was no answer of a brim node\n", stderr);
        json_decref(json);
        return BRIM_EXIT_FAILED;
    }
    (void)printf("%-52s %s\n", "version", version);
    (void)printf("%-52s %.1f s\n", "uptime",
                 (double)json_integer_value(json_object_get(json, "uptime_ms")) / 1000);
    json_object_foreach(json_object_get(json, "metrics"), name, value)(void)
        printf("%-52s %.15g\n", name, json_number_value(value));
    json_decref(json);
    return BRIM_EXIT_OK;
}

static int print_stats(const struct brim_client *client, bool as_json)
{
    struct brim_fetch_answer answer = {0};
    int status = brim_client_call(client, "GET", "/stats", NULL, &answer);

    if (status == BRIM_EXIT_OK && as_json)
        (void)puts(answer.body);
    else if (status == BRIM_EXIT_OK)
        status = print_table(answer.body);
    free(answer.body);
    return status;
}

int brim_cli_stats(int argc, char **argv)
{
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'},
        BRIM_CLIENT_OPTIONS,
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct brim_client_words words = {.admin = NULL};
    struct brim_client client;
    bool as_json = false;
    int option, status;

    while ((option = brim_cli_option(argc, argv, "c:h", options)) != -1) {
        if (brim_client_option(&words, option, optarg))
            continue;
        switch (option) {
        case 'j':
            as_json = true;
            break;
        case 'h':
            (void)fputs(help, stdout);
            return BRIM_EXIT_OK;
        default:
            (void)fputs("see brim stats --help\n", stderr);
            return BRIM_EXIT_USAGE;
        }
    }
    if (optind < argc) {
        (void)fputs("brim stats: takes no arguments; see brim stats --help\n", stderr);
        return BRIM_EXIT_USAGE;
    }
    status = brim_client_find(&words, &client);
    return status == BRIM_EXIT_OK ? print_stats(&client, as_json) : status;
}
