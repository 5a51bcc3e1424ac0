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

static void print_table(const json_t *json)
{
    const char *name;
    json_t *value;

    (void)printf("%-52s %s\n", "version", json_string_value(json_object_get(json, "version")));
    (void)printf("%-52s %.1f s\n", "uptime",
                 (double)json_integer_value(json_object_get(json, "uptime_ms")) / 1000);
    json_object_foreach(json_object_get(json, "metrics"), name, value)(void)
        printf("%-52s %.15g\n", name, json_number_value(value));
}

static int print_stats(const struct brim_client *client, bool as_json)
{
    static const struct brim_client_call call = {
        .method = "GET", .path = "/stats", .proof = {"metrics"}};
    json_t *json;
    char *text;
    int status = brim_client_ask(client, &call, &json, &text);

    if (status == BRIM_EXIT_OK && as_json)
        (void)puts(text);
    else if (status == BRIM_EXIT_OK)
        print_table(json);
    json_decref(json);
    free(text);
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
