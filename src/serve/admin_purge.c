/* SPDX-License-Identifier: MIT */
/*
 * POST /v1/purge: what its members name becomes purge scopes, and all of them one purge.
 *
 *   "url", "urls"   the key of an absolute URL
 *   "prefixes"      all keys that begin like this URL; without a scheme ("//host/img/") of both;
 *                   a `*` at the end may be there or not
 *   "hosts"         authority of the URL, with a port that is not the scheme's own
 *   "tags"          what the origin's tag fields named (cache.tags)
 *   "all"           everything
 */
#include "brim/base/log.h"
#include "brim/http/uri.h"
#include "brim/serve/admin_inside.h"

#define SCOPES_MAX   10000u
#define TAG_MAX      1024u
#define KEY_TEXT_MAX 16384u
#define HOST_MAX     261u

struct purge {
    struct brim_admin_task task; /* first */
    enum brim_purge_kind kind;
    enum brim_err err;
    size_t count; /* of what was named */
    size_t scope_count;
    uint64_t scopes[];
};

/* ---- names to scopes: each adds to p, or says that the text is no such name ---- */

static void add(struct purge *p, uint64_t scope)
{
    p->scopes[p->scope_count++] = scope;
}

static bool key_text(struct brim_str url, char *text, size_t *len_out)
{
    struct brim_uri uri;

    *len_out = 0;
    if (brim_uri_parse(url, &uri))
        *len_out = brim_uri_key_text(uri.scheme, uri.authority, uri.target, text, KEY_TEXT_MAX);
    return *len_out > 0;
}

static bool add_url(struct purge *p, struct brim_str url)
{
    char text[KEY_TEXT_MAX];
    size_t len;

    if (!key_text(url, text, &len))
        return false;
    add(p, brim_purge_scope_url(brim_str(text, len)));
    return true;
}

static bool add_prefix_of(struct purge *p, const char *scheme, struct brim_str rest)
{
    char url[KEY_TEXT_MAX], text[KEY_TEXT_MAX];
    size_t scheme_len = strlen(scheme), len;

    if (rest.len > sizeof(url) - scheme_len)
        return false;
    memcpy(url, scheme, scheme_len);
    memcpy(url + scheme_len, rest.base, rest.len);
    if (!key_text(brim_str(url, scheme_len + rest.len), text, &len))
        return false;
    add(p, brim_purge_scope_prefix(brim_str(text, len)));
    return true;
}

static bool add_prefix(struct purge *p, struct brim_str url)
{
    if (url.len > 0 && url.base[url.len - 1] == '*')
        url.len--;
    if (!brim_str_has_prefix(url, BRIM_STR("//")))
        return add_prefix_of(p, "", url);
    return add_prefix_of(p, "http:", url) && add_prefix_of(p, "https:", url);
}

/* The authority of the keys that a host has under this scheme. */
static bool add_host_of(struct purge *p, struct brim_str scheme, struct brim_str host)
{
    char text[HOST_MAX + 16]; /* scheme, slashes, and the slack that is asked for */
    size_t before = scheme.len + 3, len;

    if (host.len > HOST_MAX)
        return false;
    len = brim_uri_key_text(scheme, host, BRIM_STR("/"), text, sizeof(text));
    if (len == 0)
        return false;
    add(p, brim_purge_scope_host(brim_str(text + before, len - before - 1)));
    return true;
}

static bool add_host(struct purge *p, struct brim_str host)
{
    return add_host_of(p, BRIM_STR("http"), host) && add_host_of(p, BRIM_STR("https"), host);
}

static bool add_tag(struct purge *p, struct brim_str tag)
{
    if (tag.len == 0 || tag.len > TAG_MAX)
        return false;
    add(p, brim_purge_scope_tag(tag));
    return true;
}

/* ---- the call ---- */

static const struct member {
    const char *name;
    const char *noun;
    bool (*add)(struct purge *p, struct brim_str text);
    const char *what;
} members[] = {
    {"urls", "URL", add_url, "an absolute http or https URL"},
    {"prefixes", "prefix", add_prefix, "an absolute http or https URL, or //host/path"},
    {"hosts", "host", add_host, "a host name"},
    {"tags", "tag", add_tag, "a tag of 1 to 1024 bytes"},
};

#define MEMBERS (sizeof(members) / sizeof(members[0]))

static bool is_list(const char *name)
{
    for (size_t i = 0; i < MEMBERS; i++)
        if (strcmp(name, members[i].name) == 0)
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

static void add_one(struct purge *p, const struct member *member, const json_t *text, size_t number,
                    struct brim_admin_wrong *wrong)
{
    if (!json_is_string(text) ||
        !member->add(p, brim_str(json_string_value(text), json_string_length(text))))
        brim_admin_set_wrong(wrong, "%s number %zu is not %s", member->noun, number, member->what);
}

static void add_lists(struct purge *p, json_t *body, struct brim_admin_wrong *wrong)
{
    for (size_t i = 0; i < MEMBERS; i++) {
        json_t *list = json_object_get(body, members[i].name);

        for (size_t at = 0; at < json_array_size(list) && wrong->text[0] == '\0'; at++)
            add_one(p, &members[i], json_array_get(list, at), at + 1, wrong);
    }
}

/* The purge that a body asks for, or NULL with what is wrong. */
static struct purge *purge_of(json_t *body, struct brim_admin_wrong *wrong)
{
    size_t count = check(body, wrong);
    struct purge *p;

    if (wrong->text[0] != '\0')
        return NULL;
    p = calloc(1,
               sizeof(*p) + 2 * count * sizeof(p->scopes[0])); /* a prefix or a host may be two */
    if (p == NULL) {
        brim_admin_set_wrong(wrong, "out of memory");
        return NULL;
    }
    p->count = count;
    p->kind = json_is_true(json_object_get(body, "soft")) ? BRIM_PURGE_SOFT : BRIM_PURGE_HARD;
    if (json_object_get(body, "url") != NULL)
        add_one(p, &members[0], json_object_get(body, "url"), 1, wrong);
    add_lists(p, body, wrong);
    if (json_is_true(json_object_get(body, "all")))
        add(p, brim_purge_scope_all());
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
