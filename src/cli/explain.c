/* SPDX-License-Identifier: MIT */
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "brim/cli/client.h"
#include "brim/cli/commands.h"

static const char help[] =
    "usage: brim explain [--json] [-H 'NAME: VALUE']... [--admin ADDRESS | -c FILE] URL\n"
    "\n"
    "Asks a running node what a GET of URL with these fields would meet now, and why: site, "
    "route,\n"
    "key, variant, where it stands, how fresh it is and by which rule, which purges concern it.\n"
    "Changes nothing and counts nothing. Handlers and gates of the route are not run.\n"
    "\n"
    "  -H, --header FIELD  a request field; may be given many times\n"
    "  --json              as the admin API gives it\n" BRIM_CLIENT_HELP
    "  -h, --help          this text\n"
    "\n"
    "exit status: 0 explained, 1 no answer, 2 usage or config not usable\n";

/* ---- for people ---- */

static const char *word(const json_t *json, const char *name)
{
    const char *text = json_string_value(json_object_get(json, name));

    return text == NULL ? "" : text;
}

static double seconds(const json_t *json, const char *name)
{
    return (double)json_integer_value(json_object_get(json, name)) / 1000;
}

static bool is(const json_t *json, const char *name)
{
    return json_is_true(json_object_get(json, name));
}

static void print_word(const json_t *json, const char *name, const char *empty)
{
    const char *text = word(json, name);

    if (text[0] != '\0' || (empty != NULL && json_object_get(json, name) != NULL))
        (void)printf("%-10s %s\n", name, text[0] != '\0' ? text : empty);
}

static void print_place(const json_t *json)
{
    json_t *names = json_object_get(json, "varies_by"), *name;
    size_t i;

    if (json_array_size(names) > 0) {
        (void)printf("varies by ");
        json_array_foreach(names, i, name)(void)
            printf("%s%s", i == 0 ? " " : ", ", json_string_value(name));
        (void)printf("\n");
    }
    if (json_object_get(json, "found") != NULL)
        (void)printf("%-10s %s%s%s%s\n", "stored", word(json, "found"),
                     strcmp(word(json, "tier"), "none") == 0 ? "" : ", in ",
                     strcmp(word(json, "tier"), "none") == 0 ? "" : word(json, "tier"),
                     is(json, "flight") ? "; an exchange with the origin is under way" : "");
}

static void print_freshness(const json_t *fresh)
{
    if (fresh == NULL)
        return;
    (void)printf("%-10s lifetime %.3f s (%s%s) - age %.3f s = %.3f s left\n", "freshness",
                 seconds(fresh, "lifetime_ms"), word(fresh, "rule"),
                 is(fresh, "targeted") ? ", targeted field" : "", seconds(fresh, "age_ms"),
                 seconds(fresh, "ttl_ms"));
    (void)printf("%-10s while it is revalidated %.3f s, on error %.3f s%s%s\n", "stale",
                 seconds(fresh, "stale_while_revalidate_ms"), seconds(fresh, "stale_if_error_ms"),
                 is(fresh, "must_revalidate") ? "; never: must be revalidated" : "",
                 is(fresh, "no_cache") ? "; no-cache" : "");
}

static bool is_all(const json_t *purge)
{
    return strcmp(word(purge, "scope"), "all") == 0;
}

static void print_purges(const json_t *json)
{
    json_t *purges = json_object_get(json, "purges"), *one;
    size_t i;

    json_array_foreach(purges, i, one)(void) printf(
        "%-10s %s, of %s%s, sequence %" JSON_INTEGER_FORMAT "%s\n", "purge", word(one, "kind"),
        is_all(one) ? "" : "its ", is_all(one) ? "everything" : word(one, "scope"),
        json_integer_value(json_object_get(one, "sequence")),
        is(one, "applies") ? ": concerns it" : ": older than it");
}

static void print_object(const json_t *object)
{
    json_t *field;
    size_t i;

    if (object == NULL)
        return;
    (void)printf("%-10s %" JSON_INTEGER_FORMAT ", %" JSON_INTEGER_FORMAT
                 " bytes, %" JSON_INTEGER_FORMAT " tags, sequence %" JSON_INTEGER_FORMAT "\n",
                 "response", json_integer_value(json_object_get(object, "status")),
                 json_integer_value(json_object_get(object, "bytes")),
                 json_integer_value(json_object_get(object, "tags")),
                 json_integer_value(json_object_get(object, "sequence")));
    json_array_foreach(json_object_get(object, "fields"), i, field)(void)
        printf("  %s: %s\n", json_string_value(json_array_get(field, 0)),
               json_string_value(json_array_get(field, 1)));
}

static void print_text(const json_t *json)
{
    (void)printf("%-10s %s: %s\n", "now", word(json, "would"), word(json, "because"));
    print_word(json, "site", NULL);
    print_word(json, "route", "(the site's)");
    print_word(json, "key", NULL);
    print_word(json, "digest", NULL);
    print_word(json, "selector", NULL);
    print_place(json);
    print_freshness(json_object_get(json, "freshness"));
    print_purges(json);
    if (is(json, "handlers"))
        (void)printf("%-10s the route has handlers, which may change the request\n", "note");
    print_object(json_object_get(json, "object"));
}

/* ---- the call ---- */

static int explain(const struct brim_client *client, const json_t *question, bool as_json)
{
    char *body = json_dumps(question, JSON_COMPACT), *text = NULL;
    int status = BRIM_EXIT_FAILED;
    json_t *json = NULL;

    if (body != NULL)
        status = brim_client_ask(
            client,
            &(struct brim_client_call){
                .method = "POST", .path = "/v1/explain", .json_body = body, .proof = {"would"}},
            &json, &text);
    if (status == BRIM_EXIT_OK && as_json)
        (void)puts(text);
    else if (status == BRIM_EXIT_OK)
        print_text(json);
    json_decref(json);
    free(text);
    free(body);
    return status;
}

/* "Name: value"; false: it is no field. */
static bool add_header(json_t *headers, char *text)
{
    char *colon = strchr(text, ':');

    if (colon == NULL || colon == text)
        return false;
    *colon = '\0';
    return json_object_set_new(headers, text, json_string(colon + 1)) == 0;
}

struct arguments {
    struct brim_client_words words;
    json_t *headers;
    bool as_json;
};

/* 0: all was well; else what getopt said, '?' if it was no use. */
static int read_options(int argc, char **argv, struct arguments *out)
{
    static const struct option options[] = {
        {"header", required_argument, NULL, 'H'},
        {"json", no_argument, NULL, 'j'},
        BRIM_CLIENT_OPTIONS,
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;

    while ((option = brim_cli_option(argc, argv, "c:H:h", options)) != -1) {
        if (brim_client_option(&out->words, option, optarg))
            continue;
        if (option == 'j') {
            out->as_json = true;
        } else if (option == 'H' && add_header(out->headers, optarg)) {
            continue;
        } else if (option == 'H') {
            (void)fputs("brim explain: -H takes 'NAME: VALUE'\n", stderr);
            return '?';
        } else {
            return option;
        }
    }
    if (optind == argc - 1)
        return 0;
    (void)fputs("brim explain: one URL is needed\n", stderr);
    return '?';
}

int brim_cli_explain(int argc, char **argv)
{
    struct arguments arguments = {.headers = json_object()};
    int option = read_options(argc, argv, &arguments), status = BRIM_EXIT_USAGE;
    struct brim_client client;
    json_t *call;

    if (option == 'h') {
        (void)fputs(help, stdout);
        status = BRIM_EXIT_OK;
    } else if (option != 0) {
        (void)fputs("see brim explain --help\n", stderr);
    } else {
        status = brim_client_find(&arguments.words, &client);
        call = json_pack("{s:s,s:O}", "url", argv[optind], "headers", arguments.headers);
        if (status == BRIM_EXIT_OK && call == NULL)
            status = BRIM_EXIT_USAGE;
        if (status == BRIM_EXIT_OK)
            status = explain(&client, call, arguments.as_json);
        json_decref(call);
    }
    json_decref(arguments.headers);
    return status;
}
