/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "brim/cli/commands.h"
#include "brim/policy/script_test.h"

#define DEPTH_MAX 16
#define PATH_ROOM 1024

static const char help[] =
    "usage: brim lua test DIR|FILE...\n"
    "       brim lua run FILE [--url URL] [-H 'Name: value']...   (see brim lua run --help)\n"
    "\n"
    "Runs every *_test.lua below DIR against handler files, without a server, and prints TAP: one\n"
    "line a test, failures with file, line and traceback, and which lines of the handlers ran.\n"
    "\n"
    "A test file is plain Lua with three more functions:\n"
    "  handlers(FILE [, {env = {NAME = VALUE}, now = SECONDS, kv = {STORE = {KEY = VALUE}},\n"
    "                    geo = {ADDRESS = {country = NAME}},\n"
    "                    fetch = function(url, options) return {status =, headers =, body =} "
    "end}])\n"
    "  test(NAME, FUNCTION)\n"
    "  equal(ACTUAL, EXPECTED [, WHAT])\n"
    "and what handlers() returns answers requests:\n"
    "  site:request{url =, method =, headers =, ip =, response = {status =, headers =, body =},\n"
    "               hit = BOOLEAN, tls_client_subject =, tls_client_fingerprint =}\n"
    "with {answered, status, headers, body, request = {method, target, headers, origin, key}, "
    "asked,\n"
    "error, reason, log}. `response` is what the origin would have said, with hit = true the "
    "cache;\n"
    "`asked` is what the origin was asked. Each site has stores of its own (brim.kv, brim.dict,\n"
    "brim.ratelimit), and a clock that stands:\n"
    "  site:advance(SECONDS), site:kv(STORE, KEY), site:metric(NAME),\n"
    "  site:purges() (a list of texts: \"tags product-42\", \"soft urls http://...\", \"all\")\n"
    "FILE stands beside the test file.\n"
    "\n"
    "exit status: 0 all passed, 1 some failed or there is none, 2 usage\n";

struct totals {
    unsigned number;
    unsigned failed;
};

static bool is_test(const char *name)
{
    static const char suffix[] = "_test.lua";
    size_t len = strlen(name);

    return len >= sizeof(suffix) - 1 && strcmp(name + len - (sizeof(suffix) - 1), suffix) == 0;
}

static void run_file(const char *path, struct totals *totals)
{
    /* what went wrong has been written as a failed test */
    if (brim_script_test_file(path, stdout, &totals->number, &totals->failed) == BRIM_ENOMEM)
        totals->failed++;
}

static void run_dir(const char *path, unsigned depth, struct totals *totals)
{
    struct dirent **entries = NULL;
    int count = depth > DEPTH_MAX ? 0 : scandir(path, &entries, NULL, alphasort);

    for (int i = 0; i < count; i++) {
        char inner[PATH_ROOM];
        struct stat about;
        int len = snprintf(inner, sizeof(inner), "%s/%s", path, entries[i]->d_name);

        if (entries[i]->d_name[0] != '.' && len > 0 && (size_t)len < sizeof(inner) &&
            stat(inner, &about) == 0) {
            if (S_ISDIR(about.st_mode))
                run_dir(inner, depth + 1, totals);
            else if (is_test(entries[i]->d_name))
                run_file(inner, totals);
        }
        free(entries[i]);
    }
    free(entries);
}

static int run_tests(int count, char **paths)
{
    struct totals totals = {0};

    for (int i = 0; i < count; i++) {
        struct stat about;

        if (stat(paths[i], &about) != 0) {
            (void)fprintf(stderr, "brim lua test: %s is not there\n", paths[i]);
            return BRIM_EXIT_USAGE;
        }
        if (S_ISDIR(about.st_mode))
            run_dir(paths[i], 0, &totals);
        else
            run_file(paths[i], &totals);
    }
    (void)printf("1..%u\n", totals.number);
    if (totals.number == 0)
        (void)fputs("brim lua test: there is no test in any *_test.lua\n", stderr);
    return totals.failed == 0 && totals.number > 0 ? BRIM_EXIT_OK : BRIM_EXIT_FAILED;
}

int brim_cli_lua(int argc, char **argv)
{
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        (void)fputs(help, stdout);
        return BRIM_EXIT_OK;
    }
    if (argc >= 2 && strcmp(argv[1], "run") == 0)
        return brim_cli_lua_run(argc - 1, argv + 1);
    if (argc < 3 || strcmp(argv[1], "test") != 0) {
        (void)fputs("brim lua: `test` or `run`, and a file, are needed; see brim lua --help\n",
                    stderr);
        return BRIM_EXIT_USAGE;
    }
    return run_tests(argc - 2, argv + 2);
}
