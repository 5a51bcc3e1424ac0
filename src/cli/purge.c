/* SPDX-License-Identifier: MIT */
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "brim/cli/client.h"
#include "brim/cli/commands.h"

#define NAMES_PER_CALL 1000

static const char help[] =
    "usage: brim purge [--soft] [--dry-run] [--admin ADDRESS | -c FILE] [URL | --prefix URL |\n"
    "                  --wildcard URL | --host NAME | --tag TAG | --all]...\n"
    "\n"
    "Purges exact URLs, all variants of each, and whatever else is named. When it returns, the "
    "purge\n"
    "is in force in every worker and survives a restart. It costs the same for one object and for "
    "a\n"
    "million.\n"
    "\n"
    "  --url URL           the same as URL\n"
    "  --prefix URL        all URLs that begin like this one; //host/path means http and https\n"
    "  --wildcard URL      all URLs like this, where * is anything: //host/img/*.jpg\n"
    "  --host NAME         all URLs of this host\n"
    "  --tag TAG           all responses with this tag (Surrogate-Key, Cache-Tag; see cache.tags)\n"
    "  --all               everything\n"
    "  --soft              mark as stale instead of removing: revalidated before the next use\n"
    "  --dry-run           purge nothing, but say what is stored of it, with "
    "examples\n" BRIM_CLIENT_HELP "  -h, --help          this text\n"
    "\n"
    "exit status: 0 purged, 1 not (or not all) purged, 2 usage or config not usable\n";

enum kind { URL, PREFIX, HOST, TAG, ALL, WILDCARD, KINDS };

static const struct {
    const char *member; /* of the call */
    const char *one;
    const char *many;
} kinds[KINDS] = {
    [URL] = {"urls", "URL", "URLs"},     [PREFIX] = {"prefixes", "prefix", "prefixes"},
    [HOST] = {"hosts", "host", "hosts"}, [TAG] = {"tags", "tag", "tags"},
    [ALL] = {"all", "cache", "caches"},  [WILDCARD] = {"wildcards", "wildcard", "wildcards"},
};

struct name {
    enum kind kind;
    const char *text;
};

/* Adds name to the call. */
static int add(json_t *call, const struct name *name)
{
    const char *member = kinds[name->kind].member;
    json_t *list = json_object_get(call, member);

    if (name->kind == ALL) {
        (void)json_object_set_new(call, member, json_true());
        return BRIM_EXIT_OK;
    }
    if (list == NULL) {
        list = json_array();
        (void)json_object_set_new(call, member, list);
    }
    if (json_array_append_new(list, json_string(name->text)) == 0)
        return BRIM_EXIT_OK;
    (void)fprintf(stderr, "brim purge: \"%s\" is not UTF-8; accepted: percent-encoded URLs\n",
                  name->text);
    return BRIM_EXIT_USAGE;
}

/* One call with these names; proof as in cli/client.h. */
static int ask(const struct brim_client *client, json_t *call, const struct name *names, int count,
               const char *proof, json_t **json_out)
{
    int status = BRIM_EXIT_OK;
    char *body = NULL;

    *json_out = NULL;
    for (int i = 0; i < count && status == BRIM_EXIT_OK; i++)
        status = add(call, &names[i]);
    if (status == BRIM_EXIT_OK)
        body = json_dumps(call, JSON_COMPACT);
    if (body != NULL)
        status = brim_client_ask(
            client,
            &(struct brim_client_call){
                .method = "POST", .path = "/v1/purge", .json_body = body, .proof = {proof}},
            json_out, NULL);
    else if (status == BRIM_EXIT_OK)
        status = BRIM_EXIT_FAILED;
    free(body);
    return status;
}

static int purge_some(const struct brim_client *client, const struct name *names, int count,
                      bool soft)
{
    json_t *call = json_pack("{s:b}", "soft", (int)soft), *json;
    int status = ask(client, call, names, count, "purged", &json);

    json_decref(json);
    json_decref(call);
    return status;
}

static json_int_t number(const json_t *json, const char *name)
{
    return json_integer_value(json_object_get(json, name));
}

static void print_dry(const json_t *json)
{
    json_t *examples = json_object_get(json, "examples"), *one;
    bool is_complete = json_is_true(json_object_get(json, "complete"));
    size_t i;

    (void)printf("would purge %s%" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT
                 " stored objects, %" JSON_INTEGER_FORMAT " bytes%s\n",
                 is_complete ? "" : "at least ", number(json, "objects"), number(json, "looked_at"),
                 number(json, "bytes"), is_complete ? "" : "; there is more than was looked at");
    json_array_foreach(examples, i, one)(void)
        printf("  %-4s %3" JSON_INTEGER_FORMAT " %10" JSON_INTEGER_FORMAT " %s\n",
               json_string_value(json_object_get(one, "tier")), number(one, "status"),
               number(one, "bytes"), json_string_value(json_object_get(one, "key")));
    if ((json_int_t)json_array_size(examples) < number(json, "objects"))
        (void)printf("  ...\n");
}

static int try_out(const struct brim_client *client, const struct name *names, int count)
{
    json_t *call = json_pack("{s:b}", "dry_run", 1), *json;
    int status = ask(client, call, names, count, "dry_run", &json);

    if (status == BRIM_EXIT_OK)
        print_dry(json);
    json_decref(json);
    json_decref(call);
    return status;
}

/* "2 URLs, 1 tag" */
static void print_counts(FILE *to, const struct name *names, int count)
{
    int counts[KINDS] = {0};
    const char *separator = "";

    for (int i = 0; i < count; i++)
        counts[names[i].kind]++;
    for (int kind = 0; kind < KINDS; kind++) {
        if (counts[kind] == 0)
            continue;
        if (kind == ALL)
            (void)fprintf(to, "%severything", separator);
        else
            (void)fprintf(to, "%s%d %s", separator, counts[kind],
                          counts[kind] == 1 ? kinds[kind].one : kinds[kind].many);
        separator = ", ";
    }
}

static int purge(const struct brim_client *client, const struct name *names, int count, bool soft)
{
    int done = 0, status = BRIM_EXIT_OK;

    while (done < count && status == BRIM_EXIT_OK) {
        int some = count - done < NAMES_PER_CALL ? count - done : NAMES_PER_CALL;

        status = purge_some(client, names + done, some, soft);
        if (status == BRIM_EXIT_OK)
            done += some;
    }
    if (status == BRIM_EXIT_OK) {
        (void)printf("purged ");
        print_counts(stdout, names, count);
        (void)printf(" (%s)\n", soft ? "soft" : "hard");
    } else if (done > 0) {
        (void)fprintf(stderr, "brim purge: only the first %d of ", done);
        print_counts(stderr, names, count);
        (void)fprintf(stderr, " were purged\n");
    }
    return status;
}

struct arguments {
    struct brim_client_words words;
    bool soft;
    bool dry;
    struct name *names;
    int count;
};

static int read_options(int argc, char **argv, struct arguments *out)
{
    static const struct option options[] = {
        {"url", required_argument, NULL, 'U'},
        {"prefix", required_argument, NULL, 'P'},
        {"host", required_argument, NULL, 'H'},
        {"tag", required_argument, NULL, 'T'},
        {"all", no_argument, NULL, 'A'},
        {"soft", no_argument, NULL, 's'},
        {"wildcard", required_argument, NULL, 'W'},
        {"dry-run", no_argument, NULL, 'd'},
        BRIM_CLIENT_OPTIONS,
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    static const char letters[] = "UPHTAW"; /* in the order of enum kind */
    int option;

    while ((option = brim_cli_option(argc, argv, "c:h", options)) != -1) {
        const char *letter = strchr(letters, option);

        if (letter != NULL)
            out->names[out->count++] = (struct name){(enum kind)(letter - letters), optarg};
        else if (option == 's')
            out->soft = true;
        else if (option == 'd')
            out->dry = true;
        else if (!brim_client_option(&out->words, option, optarg))
            return option;
    }
    while (optind < argc)
        out->names[out->count++] = (struct name){URL, argv[optind++]};
    return 0;
}

int brim_cli_purge(int argc, char **argv)
{
    struct arguments arguments = {.names = calloc((size_t)argc + 1, sizeof(struct name))};
    struct brim_client client;
    int status = BRIM_EXIT_USAGE, option;

    if (arguments.names == NULL)
        return BRIM_EXIT_FAILED;
    option = read_options(argc, argv, &arguments);
    if (option == 'h') {
        (void)fputs(help, stdout);
        status = BRIM_EXIT_OK;
    } else if (option != 0) {
        (void)fputs("see brim purge --help\n", stderr);
    } else if (arguments.count == 0) {
        (void)fputs(
            "brim purge: nothing is named; accepted: URL, --prefix, --wildcard, --host, --tag, "
            "--all; see brim purge --help\n",
            stderr);
    } else {
        status = brim_client_find(&arguments.words, &client);
        if (status == BRIM_EXIT_OK && arguments.dry)
            status = try_out(&client, arguments.names, arguments.count);
        else if (status == BRIM_EXIT_OK)
            status = purge(&client, arguments.names, arguments.count, arguments.soft);
    }
    free(arguments.names);
    return status;
}
