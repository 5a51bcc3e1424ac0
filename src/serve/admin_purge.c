/* SPDX-License-Identifier: MIT */
/*
 * POST /v1/purge: what its members name becomes purge scopes, and all of them one purge.
 *
 *   "url", "urls", "prefixes", "hosts", "tags"   names (cache/purge_name.h)
 *   "wildcards"                                  likewise; each is compared with every URL, so few
 *   "all"                                        everything
 *   "soft"                                       stale instead of gone
 *   "dry_run"                                    nothing is purged; tells what is stored of it
 *   "passes"                                     how often a tier below has passed it on
 *
 * A dry run walks through what is stored, on the I/O pool and for DRY_RUN_MS at most: what it tells
 * then is a lower bound, and it says so. What is named by its exact URL is looked up first.
 */
#include <stdlib.h>
#include <string.h>

#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/cache/purge_name.h"
#include "brim/cache/survey.h"
#include "brim/serve/admin_inside.h"

#define SCOPES_MAX    10000u
#define WILDCARDS_MAX 64u
#define DRY_RUN_MS    2000u
#define PASSES_MAX    4u  /* tiers */
#define DRY_RUN_URLS  64u /* that are looked up first */
#define EXAMPLES_MAX  20u

struct purge {
    struct brim_admin_task task; /* first */
    enum brim_purge_kind kind;
    enum brim_err err;
    size_t count;                          /* of what was named */
    struct brim_purge_set set;             /* of what is behind it */
    struct brim_purge_patterns *wildcards; /* that its patterns point into */
    struct brim_str *patterns;
    bool is_dry;
    struct brim_survey survey; /* of a dry run */
    struct brim_key *keys;     /* of the first URLs; each with its text */
    json_t *examples;
    char *passed_on; /* to the tier above; NULL: nobody is there */
    enum brim_err up_err;
    char up_wrong[BRIM_PURGE_UP_WRONG_BYTES];
    size_t scope_count;
    uint64_t scopes[];
};

static void purge_free(struct purge *p)
{
    for (size_t i = 0; i < p->survey.url_count; i++)
        free((void *)(uintptr_t)p->keys[i].text.base);
    free(p->keys);
    free(p->patterns);
    free(p->wildcards);
    json_decref(p->examples);
    free(p->passed_on);
    free(p);
}

static void drop(struct brim_admin_task *task)
{
    purge_free((struct purge *)task);
}

/* ---- what is named ---- */

static bool is_list(const char *name)
{
    if (strcmp(name, "wildcards") == 0)
        return true;
    for (unsigned noun = 0; noun < BRIM_PURGE_NOUNS; noun++)
        if (strcmp(name, brim_purge_noun_words((enum brim_purge_noun)noun).list) == 0)
            return true;
    return false;
}

static void check_passes(const json_t *value, struct brim_admin_wrong *wrong)
{
    json_int_t passes = json_integer_value(value);

    if (!json_is_integer(value) || passes < 0)
        brim_admin_set_wrong(wrong, "\"passes\" is not a number");
    if (passes > PASSES_MAX)
        brim_admin_set_wrong(wrong,
                             "the purge was passed on %u times: admin.purge_via leads in a "
                             "circle",
                             PASSES_MAX);
}

/* What a typing error in a member's name would turn into must not happen: "sotf" would purge hard,
 * so that unknown members are refused. Returns how much is named. */
static size_t check(json_t *body, struct brim_admin_wrong *wrong)
{
    const char *name;
    json_t *value;
    size_t count = 0;

    json_object_foreach(body, name, value)
    {
        if (is_list(name) && !json_is_array(value))
            brim_admin_set_wrong(wrong, "\"%s\" is not a list", name);
        else if (is_list(name) && json_array_size(value) == 0)
            brim_admin_set_wrong(wrong, "\"%s\" is empty", name);
        else if (is_list(name))
            count += json_array_size(value);
        else if (strcmp(name, "url") == 0)
            count++;
        else if (strcmp(name, "passes") == 0)
            check_passes(value, wrong);
        else if (strcmp(name, "soft") != 0 && strcmp(name, "all") != 0 &&
                 strcmp(name, "dry_run") != 0)
            brim_admin_set_wrong(wrong, "unknown member \"%.64s\"", name);
        else if (!json_is_boolean(value))
            brim_admin_set_wrong(wrong, "\"%s\" is neither true nor false", name);
        else if (strcmp(name, "all") == 0 && json_is_true(value))
            count++;
    }
    if (json_object_get(body, "url") != NULL && json_object_get(body, "urls") != NULL)
        brim_admin_set_wrong(wrong, "either \"url\" or \"urls\", not both");
    if (count == 0)
        brim_admin_set_wrong(wrong, "nothing is named that is to be purged");
    if (json_array_size(json_object_get(body, "wildcards")) > WILDCARDS_MAX)
        brim_admin_set_wrong(wrong, "there are more than %u wildcards", WILDCARDS_MAX);
    if (count > SCOPES_MAX)
        brim_admin_set_wrong(wrong, "the purge has %zu members, more than %u", count, SCOPES_MAX);
    return count;
}

static void add_one(struct purge *p, enum brim_purge_noun noun, const json_t *text, size_t number,
                    struct brim_admin_wrong *wrong)
{
    struct brim_purge_words words = brim_purge_noun_words(noun);
    size_t count = 0;

    if (json_is_string(text))
        count = brim_purge_name_scopes(noun,
                                       brim_str(json_string_value(text), json_string_length(text)),
                                       &p->scopes[p->scope_count]);
    if (count == 0)
        brim_admin_set_wrong(wrong, "%s number %zu is not %s", words.one, number, words.what);
    p->scope_count += count;
}

static void add_lists(struct purge *p, json_t *body, struct brim_admin_wrong *wrong)
{
    for (unsigned noun = 0; noun < BRIM_PURGE_NOUNS; noun++) {
        json_t *list =
            json_object_get(body, brim_purge_noun_words((enum brim_purge_noun)noun).list);

        for (size_t at = 0; at < json_array_size(list) && wrong->text[0] == '\0'; at++)
            add_one(p, (enum brim_purge_noun)noun, json_array_get(list, at), at + 1, wrong);
    }
}

static void add_wildcards(struct purge *p, const json_t *list, struct brim_admin_wrong *wrong)
{
    size_t count = json_array_size(list);

    p->wildcards = brim_alloc(count * sizeof(*p->wildcards));
    p->patterns = brim_alloc(count * BRIM_PURGE_NAME_SCOPES * sizeof(*p->patterns));
    for (size_t at = 0; at < count && wrong->text[0] == '\0'; at++) {
        const json_t *text = json_array_get(list, at);
        size_t made = 0;

        if (json_is_string(text))
            made = brim_purge_name_patterns(
                brim_str(json_string_value(text), json_string_length(text)), &p->wildcards[at]);
        for (size_t i = 0; i < made; i++)
            p->patterns[p->set.pattern_count++] = p->wildcards[at].texts[i];
        if (made == 0)
            brim_admin_set_wrong(wrong,
                                 "wildcard number %zu is not an absolute http or https URL, or "
                                 "//host/path, of up to %u bytes with no * in the host",
                                 at + 1, BRIM_PURGE_PATTERN_BYTES);
    }
    p->set.patterns = p->patterns;
}

static void note_key(struct purge *p, const json_t *url)
{
    char text[BRIM_PURGE_KEY_TEXT], *copy;
    size_t len = 0;

    if (json_is_string(url) && p->survey.url_count < DRY_RUN_URLS)
        len = brim_purge_name_key(brim_str(json_string_value(url), json_string_length(url)), text);
    if (len == 0)
        return;
    copy = brim_alloc(len);
    memcpy(copy, text, len);
    p->keys[p->survey.url_count++] = brim_key_of(brim_str(copy, len));
}

static void note_keys(struct purge *p, const json_t *body)
{
    const json_t *urls = json_object_get(body, "urls");

    p->keys = brim_alloc(DRY_RUN_URLS * sizeof(*p->keys));
    note_key(p, json_object_get(body, "url"));
    for (size_t at = 0; at < json_array_size(urls); at++)
        note_key(p, json_array_get(urls, at));
    p->survey.urls = p->keys;
}

/* The purge that a body asks for, or NULL with what is wrong. */
static struct purge *purge_of(json_t *body, struct brim_admin_wrong *wrong)
{
    size_t count = check(body, wrong);
    struct purge *p;

    if (wrong->text[0] != '\0')
        return NULL;
    p = calloc(1, sizeof(*p) + (BRIM_PURGE_NAME_SCOPES * count + 1) * sizeof(p->scopes[0]));
    if (p == NULL) {
        brim_admin_set_wrong(wrong, "out of memory");
        return NULL;
    }
    p->count = count;
    p->kind = json_is_true(json_object_get(body, "soft")) ? BRIM_PURGE_SOFT : BRIM_PURGE_HARD;
    p->is_dry = json_is_true(json_object_get(body, "dry_run"));
    if (json_object_get(body, "url") != NULL)
        add_one(p, BRIM_PURGE_URL, json_object_get(body, "url"), 1, wrong);
    add_lists(p, body, wrong);
    add_wildcards(p, json_object_get(body, "wildcards"), wrong);
    if (json_is_true(json_object_get(body, "all")))
        p->scopes[p->scope_count++] = brim_purge_scope_all();
    p->set.scopes = p->scopes;
    p->set.count = p->scope_count;
    if (p->is_dry)
        note_keys(p, body);
    if (wrong->text[0] == '\0')
        return p;
    purge_free(p);
    return NULL;
}

/* What the tier above is sent; it counts how often it was passed on, so that a circle ends. */
static void pass_on(struct purge *p, json_t *body)
{
    json_int_t passes = json_integer_value(json_object_get(body, "passes"));

    if (json_object_set_new(body, "passes", json_integer(passes + 1)) == 0)
        p->passed_on = json_dumps(body, JSON_COMPACT);
    if (p->passed_on == NULL) {
        p->up_err = BRIM_ENOMEM;
        (void)snprintf(p->up_wrong, sizeof(p->up_wrong), "out of memory");
    }
}

static void work(struct brim_admin_task *task)
{
    struct purge *p = (struct purge *)task;

    if (p->passed_on != NULL)
        p->up_err = brim_purge_up_pass(brim_admin_up(task->admin), p->passed_on, p->up_wrong);
    if (p->up_err != BRIM_OK)
        return; /* else what goes here would come back from there */
    p->err = brim_cache_purge_set(brim_admin_cache(task->admin), &p->set, p->kind);
}

/* It is in force, and might be forgotten. */
static void send_forgetful(h2o_req_t *req, const struct purge *p)
{
    bool is_let_go = p->err == BRIM_ECLOSED;

    brim_admin_send_json(
        req, is_let_go ? 503 : 500,
        json_pack("{s:s,s:s,s:I}", "error",
                  is_let_go
                      ? "in force, but not durable here: the disk tier was let go for an upgrade"
                      : "in force, but could not be made durable: see the log",
                  "advice", is_let_go ? "repeat the call" : "repeat the call when the disk is well",
                  "purged", (json_int_t)p->count));
}

static void answer(struct brim_admin_task *task)
{
    struct purge *p = (struct purge *)task;
    const char *kind = p->kind == BRIM_PURGE_HARD ? "hard" : "soft";

    if (p->up_err != BRIM_OK) {
        if (task->req != NULL)
            brim_admin_send_advice(task->req, p->up_err == BRIM_ELIMIT ? 503 : 502, p->up_wrong,
                                   "nothing is purged here; repeat the call when it is well");
        purge_free(p);
        return;
    }
    BRIM_LOG(INFO, "admin.purge", "kind=%s named=%zu durable=%s", kind, p->count,
             p->err == BRIM_OK ? "yes" : "no");
    if (task->req != NULL && p->err != BRIM_OK)
        send_forgetful(task->req, p);
    else if (task->req != NULL)
        brim_admin_send_json(task->req, 200,
                             json_pack("{s:I,s:s}", "purged", (json_int_t)p->count, "kind", kind));
    purge_free(p);
}

/* ---- dry runs ---- */

static void add_example(const struct brim_object *object, enum brim_survey_tier tier, void *ctx)
{
    struct purge *p = ctx;
    static const char *const kinds[] = {[BRIM_OBJECT_RESPONSE] = "response",
                                        [BRIM_OBJECT_VARY] = "vary note",
                                        [BRIM_OBJECT_PASS] = "pass note"};

    if (json_array_size(p->examples) >= EXAMPLES_MAX)
        return;
    (void)json_array_append_new(
        p->examples,
        json_pack("{s:o,s:s,s:s,s:i,s:I}", "key", brim_admin_text(object->key.text), "kind",
                  kinds[object->kind], "tier", tier == BRIM_SURVEY_RAM ? "ram" : "disk", "status",
                  (int)object->status, "bytes",
                  (json_int_t)(object->body == NULL ? 0 : brim_body_bytes(object->body))));
}

static void work_dry(struct brim_admin_task *task)
{
    struct purge *p = (struct purge *)task;

    p->examples = json_array();
    p->survey.budget_ms = DRY_RUN_MS;
    p->survey.set = &p->set;
    p->survey.found = add_example;
    p->survey.ctx = p;
    p->err = brim_survey_run(brim_admin_cache(task->admin), &p->survey);
}

static void answer_dry(struct brim_admin_task *task)
{
    struct purge *p = (struct purge *)task;
    const struct brim_survey *survey = &p->survey;

    if (task->req != NULL && p->err != BRIM_OK)
        brim_admin_send_advice(task->req, 500, brim_err_text(p->err), "repeat the call");
    else if (task->req != NULL)
        brim_admin_send_json(task->req, 200,
                             json_pack("{s:b,s:b,s:I,s:I,s:I,s:O}", "dry_run", 1, "complete",
                                       (int)survey->is_complete, "looked_at",
                                       (json_int_t)survey->looked_at, "objects",
                                       (json_int_t)survey->objects, "bytes",
                                       (json_int_t)survey->bytes, "examples", p->examples));
    purge_free(p);
}

/* ---- the call ---- */

void brim_admin_call_purge(struct brim_admin *a, h2o_req_t *req)
{
    static const char accepted[] =
        "{\"urls\": [\"http://host/path\"], \"prefixes\": "
        "[\"//host/img/\"], \"hosts\": [\"host\"], "
        "\"tags\": [\"tag\"], \"wildcards\": "
        "[\"//host/img/*.jpg\"], \"all\": true}, any of them, up to 10000 "
        "in all (64 wildcards), and \"soft\", \"dry_run\": true or "
        "false";
    struct brim_admin_wrong wrong = {.text = ""};
    json_t *body = brim_admin_body(req, &wrong);
    struct purge *p = body == NULL ? NULL : purge_of(body, &wrong);

    if (p != NULL && !p->is_dry && brim_admin_up(a) != NULL)
        pass_on(p, body);
    json_decref(body);
    if (p == NULL) {
        brim_admin_send_error(req, 400, wrong.text, accepted);
        return;
    }
    p->task.work = p->is_dry ? work_dry : work;
    p->task.drop = drop;
    p->task.answer = p->is_dry ? answer_dry : answer;
    brim_admin_start(a, req, &p->task);
}
