/* SPDX-License-Identifier: MIT */
#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "brim/cli/client.h"
#include "brim/cli/commands.h"

static const char help[] =
    "usage: brim stats [--json] [--admin ADDRESS]\n"
    "\n"
    "Prints the counters of a running node.\n"
    "\n"
    "  --json              as the admin API gives them\n"
    "  --admin ADDRESS     admin.address of the node: HOST:PORT or unix:/path\n"
    "                      (default: $BRIM_ADMIN, else 127.0.0.1:9900)\n"
    "  -h, --help          this text\n"
    "\n"
    "exit status: 0 printed, 1 no answer, 2 usage\n";

static void print_table(const char *body)
{
    json_t *json = json_loads(body, 0, NULL);
    const char *name;
    json_t *value;

    printf("%-52s %s\n", "version", json_string_value(json_object_get(json, "version")));
    printf("%-52s %.1f s\n", "uptime",
           (double)json_integer_value(json_object_get(json, "uptime_ms")) / 1000);
    json_object_foreach(json_object_get(json, "metrics"), name, value)
        printf("%-52s %" JSON_INTEGER_FORMAT "\n", name, json_integer_value(value));
    json_decref(json);
}

int brim_cli_stats(int argc, char **argv)
{
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'},
        {"admin", required_argument, NULL, 'a'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct brim_fetch_answer answer = {0};
    const char *address = NULL;
    bool raw = false;
    int option, status;

    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (option) {
        case 'j':
            raw = true;
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
    if (optind < argc) {
        fputs("brim stats: takes no arguments; see brim stats --help\n", stderr);
        return BRIM_EXIT_USAGE;
    }
    status = brim_client_call(address, "GET", "/stats", NULL, &answer);
    if (status == BRIM_EXIT_OK && raw)
        puts(answer.body);
    else if (status == BRIM_EXIT_OK)
        print_table(answer.body);
    free(answer.body);
    return status;
}
