/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "brim/base/invariant.h"
#include "brim/cli/commands.h"
#include "brim/policy/script.h"
#include "brim/policy/script_http.h"

#define FIELDS_MAX 100

static const char help[] =
    "usage: brim lua run FILE [--url URL] [--method METHOD] [-H 'Name: value']... [-e "
    "NAME=VALUE]...\n"
    "\n"
    "Runs a handler file's viewer_request on one request and prints what it does: the answer, or\n"
    "the request as the cache would be asked. Then viewer_response, on the answer or on an empty "
    "200.\n"
    "\n"
    "exit status: 0 done, 1 a handler failed, 2 usage or a file that does not load\n";

struct block {
    struct block *next;
    _Alignas(max_align_t) unsigned char bytes[];
};

struct job {
    struct block *blocks;
    const char *file;
    const char *env[2 * FIELDS_MAX + 1];
    size_t env_count;
    struct brim_script_request request;
    struct brim_script_response response;
    bool has_answer;
};

/* What the messages are given lives as long as the job. */
static void *keep(void *pool, size_t bytes)
{
    struct job *job = pool;
    struct block *block = brim_alloc(sizeof(*block) + bytes + 1);

    block->next = job->blocks;
    job->blocks = block;
    return block->bytes;
}

static void free_blocks(struct job *job)
{
    while (job->blocks != NULL) {
        struct block *block = job->blocks;

        job->blocks = block->next;
        free(block);
    }
}

static void host_log(void *ctx, enum brim_log_level level, struct brim_str text)
{
    (void)ctx;
    (void)level;
    (void)fprintf(stderr, "log: %.*s\n", (int)text.len, text.base);
}

/* ---- arguments ---- */

static bool take_header(struct job *job, char *text)
{
    struct brim_script_headers *headers = &job->request.headers;
    char *colon = strchr(text, ':');
    struct brim_field field;

    if (colon == NULL || headers->count == headers->room)
        return false;
    for (char *c = text; c < colon; c++)
        *c = (char)tolower((unsigned char)*c);
    field.name = brim_str(text, (size_t)(colon - text));
    field.value = brim_str_trim(brim_str_of(colon + 1));
    headers->items[headers->count++] = field;
    return brim_field_name_is_valid(field.name) && brim_field_value_is_valid(field.value);
}

static bool take_env(struct job *job, char *text)
{
    char *equals = strchr(text, '=');

    if (equals == NULL || job->env_count + 2 > 2 * FIELDS_MAX)
        return false;
    *equals = '\0';
    job->env[job->env_count++] = text;
    job->env[job->env_count++] = equals + 1;
    return true;
}

static bool take_url(struct job *job, const char *url)
{
    const char *host = strstr(url, "://");
    size_t host_len;

    if (host == NULL)
        return false;
    job->request.scheme = brim_str(url, (size_t)(host - url));
    host += 3;
    host_len = strcspn(host, "/");
    job->request.host = brim_str(host, host_len);
    job->request.target = host[host_len] == '\0' ? BRIM_STR("/") : brim_str_of(host + host_len);
    return host_len > 0;
}

static bool take_option(struct job *job, int option, char *value)
{
    switch (option) {
    case 'u':
        return take_url(job, value);
    case 'm':
        job->request.method = brim_str_of(value);
        return brim_field_name_is_valid(job->request.method);
    case 'H':
        return take_header(job, value);
    case 'e':
        return take_env(job, value);
    default:
        return false;
    }
}

static void prepare(struct job *job)
{
    const struct brim_script_memory memory = {.alloc = keep, .pool = job};

    job->request = (struct brim_script_request){
        .headers = {.items = keep(job, FIELDS_MAX * sizeof(struct brim_field)),
                    .room = FIELDS_MAX,
                    .memory = memory},
        .method = BRIM_STR("GET"),
        .scheme = BRIM_STR("http"),
        .host = BRIM_STR("localhost"),
        .target = BRIM_STR("/"),
        .origin = BRIM_STR(""),
        .key = BRIM_STR(""),
        .id = {0, 1},
        .ip = BRIM_STR("127.0.0.1"),
        .version = BRIM_STR("1.1"),
    };
    job->response = (struct brim_script_response){.headers.memory = memory, .status = 200};
}

/* ---- the two phases ---- */

static int push_request(struct lua_State *L, void *ctx)
{
    brim_script_push_request(L, &((struct job *)ctx)->request);
    return 1;
}

static void take_answer(struct lua_State *L, void *ctx)
{
    struct job *job = ctx;

    job->has_answer = brim_script_take_answer(L, BRIM_SCRIPT_RESULT, &job->response);
}

static int push_both(struct lua_State *L, void *ctx)
{
    struct job *job = ctx;

    brim_script_push_request(L, &job->request);
    brim_script_push_response(L, &job->response);
    return 2;
}

static void take_nothing(struct lua_State *L, void *ctx)
{
    (void)L;
    (void)ctx;
}

static void print_headers(const struct brim_script_headers *headers)
{
    for (size_t i = 0; i < headers->count; i++)
        (void)printf("%.*s: %.*s\n", (int)headers->items[i].name.len, headers->items[i].name.base,
                     (int)headers->items[i].value.len, headers->items[i].value.base);
}

static void print(const struct job *job)
{
    const struct brim_script_request *request = &job->request;

    if (!job->has_answer) {
        (void)printf("# the cache is asked for\n%.*s %.*s://%.*s%.*s\n", (int)request->method.len,
                     request->method.base, (int)request->scheme.len, request->scheme.base,
                     (int)request->host.len, request->host.base, (int)request->target.len,
                     request->target.base);
        print_headers(&request->headers);
        if (request->key.len > 0)
            (void)printf("# key: %.*s\n", (int)request->key.len, request->key.base);
        if (request->origin.len > 0)
            (void)printf("# origin: %.*s\n", (int)request->origin.len, request->origin.base);
    }
    (void)printf("# %s\n%u\n", job->has_answer ? "answered by the handler" : "its response becomes",
                 job->response.status);
    print_headers(&job->response.headers);
    if (job->response.body.len > 0)
        (void)printf("\n%.*s\n", (int)job->response.body.len, job->response.body.base);
}

static bool call(struct brim_script_vm *vm, struct brim_script_run *run,
                 enum brim_script_phase phase, const struct brim_script_call *what)
{
    if (!brim_script_vm_has(vm, phase))
        return true;
    if (brim_script_run_call(run, phase, what) == BRIM_SCRIPT_OK)
        return true;
    (void)fprintf(stderr, "%s: %s\n", brim_script_phase_name(phase), brim_script_run_error(run));
    return false;
}

static int run_job(struct job *job)
{
    struct brim_script_host host = {.log = host_log};
    const struct brim_script_config config = {
        .file = job->file,
        .limits = {.cpu_us = 10000,
                   .wall_ms = 1000,
                   .memory_bytes = 4u << 20,
                   .vm_bytes = 64u << 20},
        .env = job->env,
    };
    const struct brim_script_call request = {push_request, take_answer, job};
    const struct brim_script_call response = {push_both, take_nothing, job};
    struct brim_script_vm *vm = NULL;
    struct brim_script_run *run;
    char error[2048];
    bool ok;

    brim_script_host_use_system(&host);
    if (brim_script_vm_open(&config, &host, error, sizeof(error), &vm) != BRIM_OK) {
        (void)fprintf(stderr, "%s\n", error);
        return BRIM_EXIT_USAGE;
    }
    run = brim_script_run_begin(vm);
    ok = run != NULL && call(vm, run, BRIM_SCRIPT_VIEWER_REQUEST, &request);
    job->request.is_read_only = job->request.headers.is_read_only = true;
    if (ok && !job->has_answer) {
        brim_script_response_is_origins(&job->response, true);
        ok = call(vm, run, BRIM_SCRIPT_ORIGIN_RESPONSE, &response);
        brim_script_response_is_origins(&job->response, false);
    }
    ok = ok && call(vm, run, BRIM_SCRIPT_VIEWER_RESPONSE, &response);
    if (ok)
        print(job);
    brim_script_run_end(run);
    brim_script_vm_close(vm);
    return ok ? BRIM_EXIT_OK : BRIM_EXIT_FAILED;
}

static int take_options(int argc, char **argv, struct job *job)
{
    static const struct option options[] = {
        {"url", required_argument, NULL, 'u'},    {"method", required_argument, NULL, 'm'},
        {"header", required_argument, NULL, 'H'}, {"env", required_argument, NULL, 'e'},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
    };
    int option;

    while ((option = brim_cli_option(argc, argv, "H:e:h", options)) != -1) {
        if (option == 'h') {
            (void)fputs(help, stdout);
            return BRIM_EXIT_OK;
        }
        if (!take_option(job, option, optarg)) {
            (void)fputs("brim lua run: not a usable option; see brim lua run --help\n", stderr);
            return BRIM_EXIT_USAGE;
        }
    }
    if (optind != argc - 1) {
        (void)fputs("brim lua run: one FILE is needed; see brim lua run --help\n", stderr);
        return BRIM_EXIT_USAGE;
    }
    job->file = argv[optind];
    return run_job(job);
}

int brim_cli_lua_run(int argc, char **argv)
{
    struct job job = {0};
    int status;

    prepare(&job);
    status = take_options(argc, argv, &job);
    free_blocks(&job);
    return status;
}
