/* SPDX-License-Identifier: MIT */
/*
 * POST /v1/purge: what its members name becomes purge scopes, and all of them one purge.
 *
 *   "url", "urls", "prefixes", "hosts", "tags"   names (cache/purge_name.h)
 *   "all"                                        everything
 */
#include "brim/base/log.h"
#include "brim/cache/purge_name.h"
#include "brim/serve/admin_inside.h"

#define SCOPES_MAX 10000u

struct purge {
    struct brim_admin_task task; /* first */
    enum brim_purge_kind kind;
    enum brim_err err;
    size_t count; /* of what was named */
    size_t scope_count;
    uint64_t scopes[];
};

/* ---- the call ---- */

static bool is_list(const char *name)
{
    for (unsigned noun = 0; noun < BRIM_PURGE_NOUNS; noun++)
        if (strcmp(name, brim_purge_noun_words((enum brim_purge_noun)noun).list) == 0)
            return true;
    return false;
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
        else if (strcmp(name, "soft") != 0 && strcmp(name, "all") != 0)
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
    if (json_object_get(body, "url") != NULL)
        add_one(p, BRIM_PURGE_URL, json_object_get(body, "url"), 1, wrong);
    add_lists(p, body, wrong);
    if (json_is_true(json_object_get(body, "all")))
        p->scopes[p->scope_count++] = brim_purge_scope_all();
    if (wrong->text[0] == '\0')
        return p;
    free(p);
    return NULL;
}

static void work(struct brim_admin_task *task)
{
    struct purge *p = (struct purge *)task;

    p->err = brim_cache_purge(brim_admin_cache(task->admin), p->scopes, p->scope_count, p->kind);
}

static void answer(struct brim_admin_task *task)
{
    struct purge *p = (struct purge *)task;
    const char *kind = p->kind == BRIM_PURGE_HARD ? "hard" : "soft";

    BRIM_LOG(INFO, "admin.purge", "kind=%s named=%zu durable=%s", kind, p->count,
             p->err == BRIM_OK ? "yes" : "no");
    if (task->req != NULL && p->err != BRIM_OK)
        brim_admin_send_json(task->req, 500,
                             json_pack("{s:s,s:s,s:I}", "error",
                                       "in force, but could not be made durable: see the log",
                                       "accepted", "repeat the call when the disk is well",
                                       "purged", (json_int_t)p->count));
    else if (task->req != NULL)
        brim_admin_send_json(task->req, 200,
                             json_pack("{s:I,s:s}", "purged", (json_int_t)p->count, "kind", kind));
    free(p);
}

void brim_admin_call_purge(struct brim_admin *a, h2o_req_t *req)
{
    static const char accepted[] = "{\"urls\": [\"http://host/path\"], \"prefixes\": "
                                   "[\"//host/img/\"], \"hosts\": [\"host\"], "
                                   "\"tags\": [\"tag\"], \"all\": true}, any of them, up to 10000 "
                                   "in all, and \"soft\": true or "
                                   "false";
    struct brim_admin_wrong wrong = {.text = ""};
    json_t *body = brim_admin_body(req, &wrong);
    struct purge *p = body == NULL ? NULL : purge_of(body, &wrong);

    json_decref(body);
    if (p == NULL) {
        brim_admin_send_error(req, 400, wrong.text, accepted);
        return;
    }
    p->task.work = work;
    p->task.answer = answer;
    brim_admin_start(a, req, &p->task);
}
