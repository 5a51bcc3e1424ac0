/* SPDX-License-Identifier: MIT */
#include "brim/cli/client.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "brim/base/conf.h"
#include "brim/cli/commands.h"
#include "brim/http/uri.h"

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

/* The "error" and "accepted" of a refusal, or the raw body where it is not JSON. */
static void print_refusal(const struct brim_fetch_answer *answer)
{
    json_t *json = json_loads(answer->body, 0, NULL);
    const char *error = json_string_value(json_object_get(json, "error"));
    const char *accepted = json_string_value(json_object_get(json, "accepted"));
    json_t *fault;
    size_t i;

    if (error == NULL)
        (void)fprintf(stderr, "brim: the node answered %u: %.200s\n", answer->status, answer->body);
    else if (accepted == NULL)
        (void)fprintf(stderr, "brim: the node refused: %s\n", error);
    else
        (void)fprintf(stderr, "brim: the node refused: %s; accepted: %s\n", error, accepted);
    json_array_foreach(json_object_get(json, "faults"), i, fault)(void)
        fprintf(stderr, "%s\n", json_string_value(fault));
    json_decref(json);
}

int brim_client_call(const struct brim_client *client, const char *method, const char *path,
                     const char *json_body, struct brim_fetch_answer *answer_out)
{
    const char *unix_socket = NULL, *authority = client->address;
    char url[sizeof("http://") + BRIM_CLIENT_ADDRESS_MAX + PATH_MAX_BYTES];
    enum brim_err err = BRIM_EINVAL;
    int len;

    *answer_out = (struct brim_fetch_answer){.status = 0};
    if (strncmp(client->address, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0) {
        unix_socket = client->address + strlen(UNIX_PREFIX);
        authority = "localhost";
    }
    len = snprintf(url, sizeof(url), "http://%s%s", authority, path);
    if (len > 0 && (size_t)len < sizeof(url))
        err = brim_fetch_once(&(struct brim_fetch_call){.method = method,
                                                        .url = url,
                                                        .json_body = json_body,
                                                        .unix_socket = unix_socket,
                                                        .token = client->token},
                              answer_out);
    if (err != BRIM_OK) {
        (void)fprintf(stderr,
                      "brim: no answer from the node at %s: %s; is it running, and is this its "
                      "admin.address?\n",
                      client->address, brim_err_text(err));
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
