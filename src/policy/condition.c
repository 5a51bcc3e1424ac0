/* SPDX-License-Identifier: MIT */
#include "brim/policy/condition.h"

#include <stdlib.h>

#include "brim/base/invariant.h"

struct header {
    struct brim_str name;
    struct brim_str text;
    enum { IS_THERE, IS_NOT_THERE, IS_EQUAL, BEGINS } kind;
};

struct brim_condition {
    struct brim_str *methods; /* none: every method */
    size_t method_count;
    struct header *headers;
    size_t header_count;
};

static struct header compile_header(const struct brim_conf_route_header *conf)
{
    struct header header = {
        .name = brim_str_of(brim_strdup_lower(conf->name)),
        .kind = conf->present ? IS_THERE : IS_NOT_THERE,
    };

    if (conf->value[0] != '\0')
        header.kind = IS_EQUAL;
    else if (conf->prefix[0] != '\0')
        header.kind = BEGINS;
    header.text = brim_str_of(brim_strdup(header.kind == IS_EQUAL ? conf->value : conf->prefix));
    return header;
}

struct brim_condition *brim_condition_compile(const struct brim_conf_route *conf)
{
    struct brim_condition *c;

    if (conf->methods.count + conf->headers.count == 0)
        return NULL;
    c = brim_alloc(sizeof(*c));
    c->method_count = conf->methods.count;
    c->methods = brim_alloc((c->method_count + 1) * sizeof(*c->methods));
    for (size_t i = 0; i < c->method_count; i++)
        c->methods[i] = brim_str_of(brim_strdup(conf->methods.items[i]));
    c->header_count = conf->headers.count;
    c->headers = brim_alloc((c->header_count + 1) * sizeof(*c->headers));
    for (size_t i = 0; i < c->header_count; i++)
        c->headers[i] = compile_header(&conf->headers.items[i]);
    return c;
}

static void free_text(struct brim_str text)
{
    free((void *)(uintptr_t)text.base);
}

void brim_condition_free(struct brim_condition *c)
{
    if (c == NULL)
        return;
    for (size_t i = 0; i < c->method_count; i++)
        free_text(c->methods[i]);
    for (size_t i = 0; i < c->header_count; i++) {
        free_text(c->headers[i].name);
        free_text(c->headers[i].text);
    }
    free(c->methods);
    free(c->headers);
    free(c);
}

static bool method_holds(const struct brim_condition *c, struct brim_str method)
{
    if (brim_str_is(method, BRIM_STR("HEAD")))
        method = BRIM_STR("GET");
    for (size_t i = 0; i < c->method_count; i++)
        if (brim_str_is(method, c->methods[i]))
            return true;
    return c->method_count == 0;
}

static bool line_holds(const struct header *header, struct brim_str value)
{
    switch (header->kind) {
    case IS_EQUAL:
        return brim_str_is(value, header->text);
    case BEGINS:
        return brim_str_has_prefix(value, header->text);
    case IS_THERE:
    case IS_NOT_THERE:
        break;
    }
    return true;
}

static bool header_holds(const struct header *header, struct brim_fields fields)
{
    bool found = false;

    for (size_t i = 0; i < fields.count && !found; i++)
        found = brim_str_is(fields.items[i].name, header->name) &&
                line_holds(header, fields.items[i].value);
    return found == (header->kind != IS_NOT_THERE);
}

bool brim_condition_holds(const struct brim_condition *c, const struct brim_condition_ask *ask)
{
    if (c == NULL)
        return true;
    if (!method_holds(c, ask->method))
        return false;
    for (size_t i = 0; i < c->header_count; i++)
        if (!header_holds(&c->headers[i], ask->fields))
            return false;
    return true;
}
