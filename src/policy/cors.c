/* SPDX-License-Identifier: MIT */
#include "brim/policy/cors.h"

#include <stdio.h>
#include <stdlib.h>

#include "brim/base/invariant.h"

struct brim_cors {
    struct brim_str *origins; /* owned texts */
    size_t count;
    bool is_for_all; /* "*" */
    bool has_credentials;
    bool takes_any_header;            /* "*" */
    char *methods, *headers, *expose; /* lists; "" */
    char max_age[24];
};

static char *join(const struct brim_conf_strings *list)
{
    size_t room = 1, len = 0;
    char *text;

    for (size_t i = 0; i < list->count; i++)
        room += strlen(list->items[i]) + 2;
    text = brim_alloc(room);
    for (size_t i = 0; i < list->count; i++) {
        int put = snprintf(text + len, room - len, "%s%s", i == 0 ? "" : ", ", list->items[i]);

        INVARIANT(put >= 0 && (size_t)put < room - len);
        len += (size_t)put;
    }
    return text;
}

struct brim_cors *brim_cors_compile(const struct brim_conf_cors *conf)
{
    struct brim_cors *cors;

    if (conf->origins.count == 0)
        return NULL;
    cors = brim_alloc(sizeof(*cors));
    cors->origins = brim_alloc(conf->origins.count * sizeof(*cors->origins));
    for (size_t i = 0; i < conf->origins.count; i++) {
        cors->origins[cors->count++] = brim_str_of(brim_strdup_lower(conf->origins.items[i]));
        cors->is_for_all |= strcmp(conf->origins.items[i], "*") == 0;
    }
    for (size_t i = 0; i < conf->headers.count; i++)
        cors->takes_any_header |= strcmp(conf->headers.items[i], "*") == 0;
    cors->has_credentials = conf->credentials;
    cors->methods = join(&conf->methods);
    cors->headers = join(&conf->headers);
    cors->expose = join(&conf->expose);
    (void)snprintf(cors->max_age, sizeof(cors->max_age), "%lld",
                   (long long)conf->max_age_ms / 1000);
    return cors;
}

void brim_cors_free(struct brim_cors *cors)
{
    if (cors == NULL)
        return;
    for (size_t i = 0; i < cors->count; i++)
        free((void *)(uintptr_t)cors->origins[i].base);
    free(cors->origins);
    free(cors->methods);
    free(cors->headers);
    free(cors->expose);
    free(cors);
}

/* A star stands for any name below a domain. An origin is lower-case (RFC 6454 6.2). */
static bool matches(struct brim_str pattern, struct brim_str origin)
{
    const char *star = memchr(pattern.base, '*', pattern.len);
    size_t before = star == NULL ? 0 : (size_t)(star - pattern.base);
    struct brim_str tail;

    if (star == NULL)
        return brim_str_is(pattern, origin);
    tail = brim_str(star + 1, pattern.len - before - 1);
    if (origin.len <= before + tail.len ||
        !brim_str_has_prefix(origin, brim_str(pattern.base, before)))
        return false;
    return brim_str_is(brim_str(origin.base + origin.len - tail.len, tail.len), tail) &&
           memchr(origin.base + before, '/', origin.len - before) == NULL;
}

/* The origin to name; empty: none may read it. */
static struct brim_str allowed(const struct brim_cors *cors, struct brim_fields request)
{
    const struct brim_field *field = brim_fields_only(request, BRIM_STR("origin"));

    if (cors->is_for_all)
        return BRIM_STR("*");
    for (size_t i = 0; field != NULL && i < cors->count; i++)
        if (matches(cors->origins[i], field->value))
            return field->value;
    return BRIM_STR("");
}

bool brim_cors_is_preflight(struct brim_str method, struct brim_fields request)
{
    return brim_str_is(method, BRIM_STR("OPTIONS")) &&
           brim_fields_only(request, BRIM_STR("origin")) != NULL &&
           brim_fields_only(request, BRIM_STR("access-control-request-method")) != NULL;
}

static void add(struct brim_field *fields, size_t *count, struct brim_str name,
                struct brim_str value)
{
    if (value.len > 0)
        fields[(*count)++] = (struct brim_field){name, value};
}

/* What both say. */
static size_t begin(const struct brim_cors *cors, struct brim_str origin, struct brim_field *fields)
{
    size_t count = 0;

    add(fields, &count, BRIM_STR("access-control-allow-origin"), origin);
    if (origin.len > 0 && cors->has_credentials)
        add(fields, &count, BRIM_STR("access-control-allow-credentials"), BRIM_STR("true"));
    return count;
}

size_t brim_cors_preflight(const struct brim_cors *cors, struct brim_fields request,
                           struct brim_field fields_out[BRIM_CORS_FIELDS_MAX])
{
    const struct brim_field *asked =
        brim_fields_only(request, BRIM_STR("access-control-request-headers"));
    struct brim_str origin = allowed(cors, request), headers = brim_str_of(cors->headers);
    size_t count = begin(cors, origin, fields_out);

    if (cors->takes_any_header) /* "*" would not count beside credentials */
        headers = asked == NULL ? BRIM_STR("") : asked->value;
    if (origin.len > 0) {
        add(fields_out, &count, BRIM_STR("access-control-allow-methods"),
            brim_str_of(cors->methods));
        add(fields_out, &count, BRIM_STR("access-control-allow-headers"), headers);
        add(fields_out, &count, BRIM_STR("access-control-max-age"), brim_str_of(cors->max_age));
    }
    add(fields_out, &count, BRIM_STR("vary"),
        BRIM_STR("Origin, Access-Control-Request-Method, Access-Control-Request-Headers"));
    return count;
}

size_t brim_cors_answer(const struct brim_cors *cors, struct brim_fields request,
                        struct brim_field fields_out[BRIM_CORS_FIELDS_MAX])
{
    struct brim_str origin = allowed(cors, request);
    size_t count = begin(cors, origin, fields_out);

    if (origin.len > 0)
        add(fields_out, &count, BRIM_STR("access-control-expose-headers"),
            brim_str_of(cors->expose));
    if (!cors->is_for_all) /* another page would be told something else */
        add(fields_out, &count, BRIM_STR("vary"), BRIM_STR("Origin"));
    return count;
}

bool brim_cors_replaces(struct brim_str name)
{
    return brim_str_has_prefix(name, BRIM_STR("access-control-"));
}
