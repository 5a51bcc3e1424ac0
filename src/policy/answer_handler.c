/* SPDX-License-Identifier: MIT */
#include "brim/policy/answer_handler.h"

#include <stdlib.h>

#include "brim/base/invariant.h"
#include "brim/policy/script_http.h"

/* What a handler writes lives in blocks until the answer has been taken. */
struct block {
    struct block *next;
    max_align_t bytes[];
};

struct lent {
    struct block *blocks;
    struct brim_script_request request;
    struct brim_script_response response;
};

static void *alloc_block(void *pool, size_t bytes)
{
    struct lent *lent = pool;
    struct block *block = brim_alloc(sizeof(*block) + bytes); /* bounded by the handler's budget */

    block->next = lent->blocks;
    lent->blocks = block;
    return block->bytes;
}

static struct brim_script_headers headers_of(struct lent *lent, struct brim_fields fields)
{
    size_t room = fields.count + 8;
    struct brim_script_headers headers = {
        .items = alloc_block(lent, room * sizeof(struct brim_field)),
        .count = fields.count,
        .room = room,
        .memory = {alloc_block, lent},
    };

    if (fields.count > 0)
        memcpy(headers.items, fields.items, fields.count * sizeof(*fields.items));
    return headers;
}

static bool may_have_body(const struct brim_answer_lent *answer)
{
    return !brim_str_is(answer->method, BRIM_STR("HEAD")) && answer->status != 204 &&
           answer->status != 205 && answer->status != 206 && answer->status != 304 &&
           answer->status != 416;
}

/* Names of fields that the rules read first; Cache-Control where there is none. */
static struct brim_str first_of(const struct brim_targets *names, struct brim_str otherwise)
{
    return names->count > 0 ? names->names[0] : otherwise;
}

static struct lent *lend(const struct brim_answer_lent *answer)
{
    struct lent *lent = brim_alloc(sizeof(*lent));

    lent->request = (struct brim_script_request){
        .headers = headers_of(lent, answer->request),
        .method = answer->method,
        .scheme = BRIM_STR(""),
        .host = answer->host,
        .target = answer->target,
        .origin = BRIM_STR(""),
        .key = BRIM_STR(""),
        .ip = BRIM_STR(""),
        .version = BRIM_STR(""),
        .is_read_only = true,
        .key_is_made = true,
    };
    lent->request.headers.is_read_only = true;
    lent->response = (struct brim_script_response){
        .headers = headers_of(lent, answer->fields),
        .status = answer->status,
        .is_origins = true,
        .takes_body = may_have_body(answer),
        .ttl_field = first_of(&answer->rules->targets, BRIM_STR("cache-control")),
        .tags_field = first_of(&answer->rules->tags, BRIM_STR("")),
    };
    return lent;
}

static int push(struct lua_State *L, void *ctx)
{
    struct lent *lent = ctx;

    brim_script_push_request(L, &lent->request);
    brim_script_push_response(L, &lent->response);
    return 2;
}

static void take(struct lua_State *L, void *ctx)
{
    (void)L;
    (void)ctx;
}

static enum brim_script_end run_handler(struct brim_handlers *handlers, struct brim_script_vm *vm,
                                        struct lent *lent)
{
    const struct brim_script_call call = {push, take, lent};
    struct brim_script_run *run = brim_script_run_begin(vm);
    enum brim_script_end end;

    if (run == NULL)
        return BRIM_SCRIPT_MEMORY;
    end = brim_script_run_call(run, BRIM_SCRIPT_ORIGIN_RESPONSE, &call);
    brim_handlers_count(handlers, BRIM_SCRIPT_ORIGIN_RESPONSE, brim_script_run_cpu_us(run));
    if (end != BRIM_SCRIPT_OK)
        brim_handlers_report(handlers, BRIM_SCRIPT_ORIGIN_RESPONSE, end,
                             brim_script_run_error(run));
    brim_script_run_end(run);
    return end;
}

/* In the answer's place; says nothing about caching, so that it is not kept. */
static void fail(struct brim_answer_lent *answer)
{
    static const struct brim_field fields[] = {
        {BRIM_STR("content-type"), BRIM_STR("text/plain")},
        {BRIM_STR("proxy-status"), BRIM_STR("brim; error=proxy_internal_error")},
    };

    answer->status = 500;
    answer->fields = (struct brim_fields){fields, 2};
    answer->body = BRIM_STR("500 Internal Server Error: a handler failed\n");
    answer->has_body = !brim_str_is(answer->method, BRIM_STR("HEAD"));
}

static void change(void *ctx, struct brim_answer_lent *answer)
{
    struct brim_handlers *handlers = ctx;
    struct brim_script_vm *vm = brim_handlers_take_vm(handlers);
    struct lent *lent = lend(answer);
    enum brim_script_end end = BRIM_SCRIPT_ERROR;

    answer->memory = lent;
    if (vm != NULL) {
        end = run_handler(handlers, vm, lent);
        brim_handlers_put_vm(handlers, vm);
    }
    if (end == BRIM_SCRIPT_OK) {
        answer->status = lent->response.status;
        answer->fields =
            (struct brim_fields){lent->response.headers.items, lent->response.headers.count};
        answer->body = lent->response.body;
        answer->has_body = lent->response.has_body;
    } else if (brim_handlers_failure(handlers) == BRIM_HANDLERS_FAIL) {
        fail(answer);
    }
}

static void release(void *ctx, struct brim_answer_lent *answer)
{
    struct lent *lent = answer->memory;
    struct block *next;

    (void)ctx;
    for (struct block *block = lent->blocks; block != NULL; block = next) {
        next = block->next;
        free(block);
    }
    free(lent);
    answer->memory = NULL;
}

struct brim_answer_hook brim_answer_handler_hook(struct brim_handlers *handlers)
{
    if (handlers == NULL || !brim_handlers_has(handlers, BRIM_SCRIPT_ORIGIN_RESPONSE))
        return (struct brim_answer_hook){NULL, NULL, NULL};
    return (struct brim_answer_hook){change, release, handlers};
}
