/* SPDX-License-Identifier: MIT */
#include "brim/cli/client.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "brim/base/conf.h"
#include "brim/cli/commands.h"
#include "brim/http/uri.h"
#include "brim/origin/fetch_once.h"

#define DEFAULT_ADDRESS "127.0.0.1:9900"
#define UNIX_PREFIX     "unix:"
#define PATH_MAX_BYTES  128

/* Takes over an address, `:PORT` as that of this machine; false if it cannot be one. */
static bool set_address(const char *address, struct brim_client *client)
{
    const char *host = address[0] == ':' ? "127.0.0.1" : "";
    int len = snprintf(client->address, sizeof(client->address), "%s%s", host, address);
    struct brim_str name;
    uint16_t port;

    if (len < 0 || (size_t)len >= sizeof(client->address))
        return false;
    if (strncmp(address, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0)
        return address[strlen(UNIX_PREFIX)] != '\0';
    return brim_uri_parse_authority(brim_str_of(client->address), &name, &port) && port != 0;
}

bool brim_client_option(struct brim_client_words *words, int option, const char *value)
{
    switch (option) {
    case 'a':
        words->admin = value;
        return true;
    case 'c':
        words->config = value;
        return true;
    case 'k':
        words->token_file = value;
        return true;
    default:
        return false;
    }
}

/* NULL or what the environment says; the tools have one thread. */
static const char *environment(const char *name)
{
    const char *value = getenv(name); /* NOLINT(concurrency-mt-unsafe) */

    return value == NULL || value[0] == '\0' ? NULL : value;
}

static int find_address(const char *address, struct brim_client *client)
{
    if (address == NULL)
        address = environment("BRIM_ADMIN");
    if (address == NULL)
        address = DEFAULT_ADDRESS;
    if (set_address(address, client))
        return BRIM_EXIT_OK;
    (void)fprintf(stderr,
                  "brim: \"%s\" is no admin address; accepted: HOST:PORT, :PORT, unix:/PATH\n",
                  address);
    return BRIM_EXIT_USAGE;
}

static int find_token(const char *file, struct brim_client *client)
{
    const char *wrong;

    if (file == NULL)
        file = environment("BRIM_TOKEN_FILE");
    wrong = file == NULL ? NULL : brim_bearer_read(file, client->token);
    if (wrong == NULL)
        return BRIM_EXIT_OK;
    (void)fprintf(stderr, "brim: \"%s\" %s; accepted: a file with one token\n", file, wrong);
    return BRIM_EXIT_USAGE;
}

int brim_client_find(const struct brim_client_words *words, struct brim_client *client_out)
{
    const char *address = words->admin, *token = words->token_file;
    struct brim_conf *conf = NULL;
    int status;

    *client_out = (struct brim_client){.address = ""};
    if (words->config != NULL) {
        const struct brim_conf_admin *admin;

        if (brim_conf_load(words->config, stderr, &conf) != BRIM_OK)
            return BRIM_EXIT_USAGE;
        admin = &brim_conf_root(conf)->admin;
        if (address == NULL)
            address = admin->address;
        if (token == NULL && admin->token[0] != '\0')
            token = admin->token;
    }
    status = find_address(address, client_out);
    if (status == BRIM_EXIT_OK)
        status = find_token(token, client_out);
    brim_conf_free(conf);
    return status;
}

/* What the node said: a call that is wrong has what is "accepted", one that cannot be answered has
 * an "advice". Whatever else comes is shown as it is. */
static void print_refusal(const struct brim_fetch_answer *answer)
{
    json_t *json = json_loads(answer->body, 0, NULL);
    const char *error = json_string_value(json_object_get(json, "error"));
    const char *accepted = json_string_value(json_object_get(json, "accepted"));
    const char *advice = json_string_value(json_object_get(json, "advice"));
    json_t *fault;
    size_t i;

    if (error == NULL)
        (void)fprintf(stderr, "brim: the node answered %u: %.200s\n", answer->status, answer->body);
    else if (accepted != NULL)
        (void)fprintf(stderr, "brim: the node refused: %s; accepted: %s\n", error, accepted);
    else
        (void)fprintf(stderr, "brim: not done as asked: %s%s%s\n", error,
                      advice == NULL ? "" : "; what to do: ", advice == NULL ? "" : advice);
    json_array_foreach(json_object_get(json, "faults"), i, fault)(void)
        fprintf(stderr, "%s\n", json_string_value(fault));
    json_decref(json);
}

static void print_token_advice(const struct brim_client *client)
{
    if (client->token[0] == '\0')
        (void)fputs("brim: give it with --token-file, the config's -c, or $BRIM_TOKEN_FILE\n",
                    stderr);
    else
        (void)fputs("brim: the token that was given is not the node's\n", stderr);
}

static enum brim_err fetch(const struct brim_client *client, const struct brim_client_call *call,
                           struct brim_fetch_answer *answer_out)
{
    const char *unix_socket = NULL, *authority = client->address;
    char url[sizeof("http://") + BRIM_CLIENT_ADDRESS_MAX + PATH_MAX_BYTES];
    int len;

    if (strncmp(client->address, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0) {
        unix_socket = client->address + strlen(UNIX_PREFIX);
        authority = "localhost";
    }
    len = snprintf(url, sizeof(url), "http://%s%s", authority, call->path);
    if (len < 0 || (size_t)len >= sizeof(url))
        return BRIM_EINVAL;
    return brim_fetch_once(&(struct brim_fetch_call){.method = call->method,
                                                     .url = url,
                                                     .json_body = call->json_body,
                                                     .unix_socket = unix_socket,
                                                     .token = client->token},
                           answer_out);
}

/* The answer that was hoped for, or NULL. */
static json_t *success_of(const struct brim_fetch_answer *answer,
                          const struct brim_client_call *call)
{
    json_t *json = NULL;

    if (answer->status >= 200 && answer->status < 300)
        json = json_loadb(answer->body, answer->body_bytes, JSON_ALLOW_NUL, NULL);
    for (size_t i = 0; json != NULL && i < 2; i++)
        if (call->proof[i] != NULL && json_object_get(json, call->proof[i]) != NULL)
            return json;
    json_decref(json);
    return NULL;
}

int brim_client_ask(const struct brim_client *client, const struct brim_client_call *call,
                    json_t **json_out, char **text_out)
{
    struct brim_fetch_answer answer = {.status = 0};
    enum brim_err err = fetch(client, call, &answer);

    *json_out = err == BRIM_OK ? success_of(&answer, call) : NULL;
    if (text_out != NULL)
        *text_out = NULL;
    if (err != BRIM_OK) {
        (void)fprintf(stderr,
                      "brim: no answer from the node at %s: %s; is it running, and is this its "
                      "admin.address?\n",
                      client->address, brim_err_text(err));
    } else if (answer.status >= 400) {
        print_refusal(&answer);
        if (answer.status == 401)
            print_token_advice(client);
    } else if (*json_out == NULL) {
        (void)fprintf(stderr,
                      "brim: what answers at %s gave no answer of a brim node (%u); is this its "
                      "admin.address?\n",
                      client->address, answer.status);
    } else if (text_out != NULL) {
        *text_out = answer.body;
        answer.body = NULL;
    }
    free(answer.body);
    return *json_out == NULL ? BRIM_EXIT_FAILED : BRIM_EXIT_OK;
}
