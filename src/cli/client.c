/* SPDX-License-Identifier: MIT */
#include "brim/cli/client.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "brim/cli/commands.h"

#define DEFAULT_ADDRESS "127.0.0.1:9900"

/* The "error" and "accepted" of a refusal, or the raw body where it is not JSON. */
static void print_refusal(const struct brim_fetch_answer *answer)
{
    json_t *json = json_loads(answer->body, 0, NULL);
    const char *error = json_string_value(json_object_get(json, "error"));
    const char *accepted = json_string_value(json_object_get(json, "accepted"));

    if (error != NULL)
        fprintf(stderr, "brim: the node refused: %s; accepted: %s\n", error,
                accepted == NULL ? "?" : accepted);
    else
        fprintf(stderr, "brim: the node answered %u: %s\n", answer->status, answer->body);
    json_decref(json);
}

int brim_client_call(const char *address, const char *method, const char *path,
                     const char *json_body, struct brim_fetch_answer *answer_out)
{
    const char *unix_socket = NULL;
    char url[512];
    enum brim_err err;
    int len;

    if (address == NULL)
        address = getenv("BRIM_ADMIN"); /* before any thread: the tools have none */
    if (address == NULL || address[0] == '\0')
        address = DEFAULT_ADDRESS;
    if (strncmp(address, "unix:", 5) == 0)
        unix_socket = address + 5;
    len = snprintf(url, sizeof(url), "http://%s%s", unix_socket == NULL ? address : "localhost",
                   path);
    if (len < 0 || (size_t)len >= sizeof(url)) {
        fprintf(stderr, "brim: admin address too long\n");
        return BRIM_EXIT_USAGE;
    }
    err = brim_fetch_once(method, url, json_body, unix_socket, answer_out);
    if (err != BRIM_OK) {
        fprintf(stderr,
                "brim: no answer from the node at %s: %s; is it running, and is this its "
                "admin.address?\n",
                address, brim_err_text(err));
        return BRIM_EXIT_FAILED;
    }
    if (answer_out->status >= 400) {
        print_refusal(answer_out);
        free(answer_out->body);
        answer_out->body = NULL;
        return BRIM_EXIT_FAILED;
    }
    return BRIM_EXIT_OK;
}
