/* SPDX-License-Identifier: MIT */
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "brim/cli/client.h"
#include "brim/cli/commands.h"

#define ASK_AGAIN_MS 50
#define ASKS_MAX     6000 /* five minutes; the parent's own limits are tighter */

static const char help[] =
    "usage: brim upgrade [--binary PATH] [--admin ADDRESS | -c FILE]\n"
    "\n"
    "Has another version of brim take over from a running node, with the node's sockets and its\n"
    "config as it is in the file now. No connection is refused and no request is lost: the node\n"
    "that runs serves until the new one does, then it drains. Returns when the new one serves; "
    "one\n"
    "that does not come up is ended, the old one goes on, and the reason is printed.\n"
    "\n"
    "  --binary PATH       the program to start; by default the path of the one that runs, where\n"
    "                      the new version has been put; only root and the node's user may be\n"
    "                      able to change that file and the directories above it\n" BRIM_CLIENT_HELP
    "  -h, --help          this text\n"
    "\n"
    "SIGUSR2 to the parent process does the same; the log says how it went.\n"
    "exit status: 0 the new one serves, 1 it failed or no answer, 2 usage or config not usable\n";

static json_t *ask(const struct brim_client *client, const char *method, const char *body)
{
    json_t *json;

    (void)brim_client_ask(
        client,
        &(struct brim_client_call){
            .method = method, .path = "/v1/upgrade", .json_body = body, .proof = {"serial"}},
        &json, NULL);
    return json;
}

static const char *text_of(const json_t *json, const char *name)
{
    const char *text = json_string_value(json_object_get(json, name));

    return text == NULL ? "" : text;
}

/* Whether it has come to an end, one way or the other. */
static bool is_over(const json_t *state, json_int_t serial)
{
    return json_integer_value(json_object_get(state, "serial")) >= serial &&
           strcmp(text_of(state, "status"), "under way") != 0;
}

static json_t *wait_for_end(const struct brim_client *client, json_int_t serial)
{
    static const struct timespec span = {.tv_nsec = ASK_AGAIN_MS * 1000000L};
    json_t *state = NULL;

    for (unsigned i = 0; i < ASKS_MAX; i++) {
        json_decref(state);
        state = ask(client, "GET", NULL);
        if (state == NULL || is_over(state, serial))
            return state;
        nanosleep(&span, NULL);
    }
    (void)fputs("brim upgrade: it takes too long; the node's log says what it waits for\n", stderr);
    json_decref(state);
    return NULL;
}

static int tell(const json_t *state)
{
    if (strcmp(text_of(state, "status"), "done") == 0) {
        (void)printf("upgraded: version %s, pid %" JSON_INTEGER_FORMAT "\n",
                     text_of(state, "version"), json_integer_value(json_object_get(state, "pid")));
        return BRIM_EXIT_OK;
    }
    (void)fprintf(stderr,
                  "brim upgrade: the new program did not come up, the old one goes on: %s\n",
                  text_of(state, "reason"));
    if (text_of(state, "log")[0] != '\0')
        (void)fprintf(stderr, "its last words:\n%s", text_of(state, "log"));
    return BRIM_EXIT_FAILED;
}

static int upgrade(const struct brim_client *client, const char *binary)
{
    char *path = binary == NULL ? NULL : realpath(binary, NULL);
    json_t *order =
        binary == NULL ? json_object() : json_pack("{s:s}", "binary", path == NULL ? binary : path);
    char *body = order == NULL ? NULL : json_dumps(order, JSON_COMPACT);
    json_t *begun = body == NULL ? NULL : ask(client, "POST", body);
    json_t *state = NULL;
    int status = BRIM_EXIT_FAILED;

    if (begun != NULL)
        state = wait_for_end(client, json_integer_value(json_object_get(begun, "serial")));
    if (state != NULL)
        status = tell(state);
    json_decref(state);
    json_decref(begun);
    json_decref(order);
    free(body);
    free(path);
    return status;
}

int brim_cli_upgrade(int argc, char **argv)
{
    static const struct option options[] = {
        {"binary", required_argument, NULL, 'b'},
        BRIM_CLIENT_OPTIONS,
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct brim_client_words words = {.admin = NULL};
    const char *binary = NULL;
    struct brim_client client;
    int option, status;

    while ((option = brim_cli_option(argc, argv, "c:h", options)) != -1) {
        if (brim_client_option(&words, option, optarg))
            continue;
        switch (option) {
        case 'b':
            binary = optarg;
            break;
        case 'h':
            (void)fputs(help, stdout);
            return BRIM_EXIT_OK;
        default:
            (void)fputs("see brim upgrade --help\n", stderr);
            return BRIM_EXIT_USAGE;
        }
    }
    if (optind < argc) {
        (void)fputs("brim upgrade: takes no arguments; see brim upgrade --help\n", stderr);
        return BRIM_EXIT_USAGE;
    }
    status = brim_client_find(&words, &client);
    return status == BRIM_EXIT_OK ? upgrade(&client, binary) : status;
}
