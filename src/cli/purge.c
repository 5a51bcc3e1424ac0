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
    "usage: brim purge [--soft] [--admin ADDRESS | -c FILE] [URL | --prefix URL | --host NAME |\n"
    "                  --tag TAG | --all]...\n"
    "\n"
    "Purges exact URLs, all variants of each, and whatever else is named. When it returns, the "
    "purge\n"
    "is in force in every worker and survives a restart. It costs the same for one object and for "
    "a\n"
    "million.\n"
    "\n"
    "  --url URL           the same as URL\n"
    "  --prefix URL        all URLs that begin like this one; //host/path means http and https\n"
    "  --host NAME         all URLs of this host\n"
    "  --tag TAG           all responses with this tag (Surrogate-Key, Cache-Tag; see cache.tags)\n"
    "  --all               everything\n"
    "  --soft              mark as stale instead of removing: revalidated before the next "
    "use\n" BRIM_CLIENT_HELP "  -h, --help          this text\n"
    "\n"
    "exit status: 0 purged, 1 not (or not all) purged, 2 usage or config not usable\n";

enum kind { URL, PREFIX, HOST, TAG, ALL, KINDS };

static const struct {
    const char *member; /* of the call */
    const char *one;
    const char *many;
} kinds[KINDS] = {
    [URL] = {"urls", "URL", "URLs"},     [PREFIX] = {"prefixes", "prefix", "prefixes"},
    [HOST] = {"hosts", "host", "hosts"}, [TAG] = {"tags", "tag", "tags"},
    [ALL] = {"all", "cache", "caches"},
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

/* One call. */
static int purge_some(const struct brim_client *client, const struct name *names, int count,
                      bool soft)
{
    struct brim_fetch_answer answer = {0};
    json_t *call = json_pack("{s:b}", "soft", (int)soft);
    int status = BRIM_EXIT_OK;
    char *body = NULL;

    for (int i = 0; i < count && status == BRIM_EXIT_OK; i++)
        status = add(call, &names[i]);
    if (status == BRIM_EXIT_OK)
        body = json_dumps(call, JSON_COMPACT);
    if (body != NULL)
        status = brim_client_call(client, "POST", "/v1/purge", body, &answer);
    else if (status == BRIM_EXIT_OK)
        status = BRIM_EXIT_FAILED;
    json_decref(call);
    free(answer.body);
    free(body);
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
        BRIM_CLIENT_OPTIONS,
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    static const char letters[] = "UPHTA"; /* in the order of enum kind */
    int option;

    while ((option = brim_cli_option(argc, argv, "c:h", options)) != -1) {
        const char *letter = strchr(letters, option);

        if (letter != NULL)
            out->names[out->count++] = (struct name){(enum kind)(letter - letters), optarg};
        else if (option == 's')
            out->soft = true;
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
        (void)fputs("brim purge: at least one URL is needed; see brim purge --help\n", stderr);
    } else {
        status = brim_client_find(&arguments.words, &client);
        if (status == BRIM_EXIT_OK)
            status = purge(&client, arguments.names, arguments.count, arguments.soft);
    }
    free(arguments.names);
    return status;
}
