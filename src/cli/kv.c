/* SPDX-License-Identifier: MIT */
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "brim/cli/client.h"
#include "brim/cli/commands.h"
#include "brim/cli/duration.h"
#include "brim/serve/json_bytes.h"

static const char help[] =
    "usage: brim kv get  STORE KEY\n"
    "       brim kv set  STORE KEY VALUE [--ttl DURATION]\n"
    "       brim kv del  STORE KEY\n"
    "       brim kv incr STORE KEY [N] [--ttl DURATION]\n"
    "       brim kv list STORE [PREFIX] [--after KEY] [--limit N]\n"
    "\n"
    "Reads and writes the named stores of a running node, as brim.kv does in handlers. What is\n"
    "written is seen by every worker and durable when the command returns.\n"
    "\n"
    "  --ttl DURATION      end of life: 30s, 10m, 12h, 7d, or a number of seconds; with incr, of "
    "a\n"
    "                      number that was not there\n"
    "  --after KEY         only keys behind this one\n"
    "  --base64            KEY and PREFIX are base64, as list shows keys that are not UTF-8:\n"
    "                      base64:/w==\n"
    "  --limit N           1 to 1000 keys (100)\n"
    "  --                  no options behind it: brim kv incr STORE KEY -- -1\n" BRIM_CLIENT_HELP
    "  -h, --help          this text\n"
    "\n"
    "exit status: 0 done, 1 no such key or not done, 2 usage or config not usable\n";

struct arguments {
    struct brim_client_words words;
    json_t *call;
    bool is_base64; /* what names keys */
};

static void print_value(const json_t *answer)
{
    const json_t *value = json_object_get(answer, "value");

    if (json_is_integer(value))
        (void)printf("%" JSON_INTEGER_FORMAT "\n", json_integer_value(value));
    else if (json_is_string(value)) {
        (void)fwrite(json_string_value(value), 1, json_string_length(value), stdout);
        (void)putchar('\n');
    } else {
        (void)printf("base64:%s\n", json_string_value(json_object_get(answer, "base64")));
    }
}

static void print_keys(const json_t *answer)
{
    json_t *key;
    size_t at;

    json_array_foreach(json_object_get(answer, "keys"), at, key)
    {
        if (json_is_string(key))
            (void)puts(json_string_value(key));
        else
            (void)printf("base64:%s\n", json_string_value(json_object_get(key, "base64")));
    }
}

static void print_nothing(const json_t *answer)
{
    (void)answer;
}

/* What stands behind the operation, in order; `+` in front: may be left out. */
static const struct operation {
    const char *name;
    const char *words[3];
    const char *proof[2]; /* as in cli/client.h */
    void (*print)(const json_t *answer);
} operations[] = {
    {"get", {"store", "key"}, {"value", "base64"}, print_value},
    {"set", {"store", "key", "value"}, {"ok"}, print_nothing},
    {"del", {"store", "key"}, {"ok"}, print_nothing},
    {"incr", {"store", "key", "+n"}, {"value"}, print_value},
    {"list", {"store", "+prefix"}, {"keys"}, print_keys},
};

static const struct operation *find(const char *name)
{
    for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
        if (strcmp(operations[i].name, name) == 0)
            return &operations[i];
    return NULL;
}

static bool set_number(json_t *call, const char *name, const char *text)
{
    char *end;
    long long number = strtoll(text, &end, 10);

    if (text[0] == '\0' || *end != '\0') {
        (void)fprintf(stderr, "brim kv: \"%s\" is no whole number\n", text);
        return false;
    }
    return json_object_set_new(call, name, json_integer(number)) == 0;
}

/* As in the config; a number without a unit is seconds, as in brim.kv of handlers. */
static bool set_ttl(json_t *call, const char *text)
{
    const char *why;
    int64_t ms;

    if (text[0] != '\0' && text[strspn(text, "0123456789")] == '\0')
        return set_number(call, "ttl", text);
    if (brim_cli_duration(text, &ms, &why) != BRIM_OK) {
        (void)fprintf(stderr, "brim kv: --ttl \"%s\" %s; accepted: 1s to 3650d, as in 10m\n", text,
                      why);
        return false;
    }
    return json_object_set_new(call, "ttl", json_integer((ms + 999) / 1000)) == 0;
}

static bool set_text(json_t *call, const char *name, const char *text)
{
    return json_object_set_new(call, name, brim_json_bytes(brim_str_of(text))) == 0;
}

/* Has what names keys taken for base64. */
static void mark_base64(json_t *call)
{
    static const char *const names[] = {"key", "prefix", "after"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        json_t *text = json_object_get(call, names[i]);

        if (json_is_string(text))
            (void)json_object_set_new(call, names[i], json_pack("{s:O}", "base64", text));
    }
}

/* The words behind the operation. */
static bool set_words(json_t *call, const struct operation *op, int argc, char **argv)
{
    int at = 0;

    for (size_t i = 0; i < 3 && op->words[i] != NULL; i++) {
        bool is_optional = op->words[i][0] == '+';
        const char *name = op->words[i] + (is_optional ? 1 : 0);

        if (at == argc && is_optional)
            return true;
        if (at == argc) {
            (void)fprintf(stderr, "brim kv %s: the %s is missing; see brim kv --help\n", op->name,
                          name);
            return false;
        }
        if (!(strcmp(name, "n") == 0 ? set_number : set_text)(call, name, argv[at++]))
            return false;
    }
    if (at < argc)
        (void)fprintf(stderr, "brim kv %s: \"%s\" is one word too many\n", op->name, argv[at]);
    return at == argc;
}

static int run(const struct brim_client *client, const struct operation *op, const json_t *call)
{
    char *body = json_dumps(call, JSON_COMPACT);
    int status = BRIM_EXIT_FAILED;
    json_t *json = NULL;

    if (body != NULL)
        status = brim_client_ask(client,
                                 &(struct brim_client_call){.method = "POST",
                                                            .path = "/v1/kv",
                                                            .json_body = body,
                                                            .proof = {op->proof[0], op->proof[1]}},
                                 &json, NULL);
    if (status == BRIM_EXIT_OK)
        op->print(json);
    json_decref(json);
    free(body);
    return status;
}

/* 0 to go on, else what getopt said: 'h', '?' */
static int read_options(int argc, char **argv, struct arguments *out)
{
    static const struct option options[] = {
        {"ttl", required_argument, NULL, 't'},
        {"after", required_argument, NULL, 'A'},
        {"limit", required_argument, NULL, 'l'},
        {"base64", no_argument, NULL, 'b'},
        BRIM_CLIENT_OPTIONS,
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;
    bool ok = true;

    while (ok && (option = brim_cli_option(argc, argv, "c:h", options)) != -1) {
        if (option == 't')
            ok = set_ttl(out->call, optarg);
        else if (option == 'l')
            ok = set_number(out->call, "limit", optarg);
        else if (option == 'A')
            ok = set_text(out->call, "after", optarg);
        else if (option == 'b')
            out->is_base64 = true;
        else if (!brim_client_option(&out->words, option, optarg))
            return option;
    }
    return ok ? 0 : '?';
}

static int run_words(struct arguments *arguments, int argc, char **argv)
{
    const struct operation *op = argc == 0 ? NULL : find(argv[0]);
    struct brim_client client;
    int status;

    if (op == NULL) {
        (void)fputs("brim kv: get, set, del, incr or list; see brim kv --help\n", stderr);
        return BRIM_EXIT_USAGE;
    }
    if (!set_text(arguments->call, "op", op->name) ||
        !set_words(arguments->call, op, argc - 1, argv + 1))
        return BRIM_EXIT_USAGE;
    if (arguments->is_base64)
        mark_base64(arguments->call);
    status = brim_client_find(&arguments->words, &client);
    return status == BRIM_EXIT_OK ? run(&client, op, arguments->call) : status;
}

int brim_cli_kv(int argc, char **argv)
{
    struct arguments arguments = {.call = json_object()};
    int option = read_options(argc, argv, &arguments), status = BRIM_EXIT_USAGE;

    if (option == 'h') {
        (void)fputs(help, stdout);
        status = BRIM_EXIT_OK;
    } else if (option != 0) {
        (void)fputs("see brim kv --help\n", stderr);
    } else {
        status = run_words(&arguments, argc - optind, argv + optind);
    }
    json_decref(arguments.call);
    return status;
}
