/* SPDX-License-Identifier: MIT */
#include "brim/policy/rewrite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "brim/base/invariant.h"
#include "brim/http/uri.h"

/* No part has a blank in it, and no origin's name, before which it comes, a bar: conf_check sees to
 * that. */
static struct brim_str text_of(const struct brim_conf_route *conf)
{
    size_t room = strlen(conf->rewrite.prefix) + strlen(conf->rewrite.to) + strlen(conf->host) + 4;
    char *text;

    if (conf->rewrite.prefix[0] == '\0' && conf->host[0] == '\0')
        return brim_str(NULL, 0);
    text = brim_alloc(room);
    (void)snprintf(text, room, "|%s %s %s", conf->rewrite.prefix, conf->rewrite.to, conf->host);
    return brim_str_of(text);
}

struct brim_rewrite brim_rewrite_compile(const struct brim_conf_route *conf)
{
    return (struct brim_rewrite){
        .prefix = brim_str_of(brim_strdup(conf->rewrite.prefix)),
        .to = brim_str_of(brim_strdup(conf->rewrite.to)),
        .host = brim_str_of(brim_strdup(conf->host)),
        .text = text_of(conf),
    };
}

static void free_text(struct brim_str text)
{
    free((void *)(uintptr_t)text.base);
}

void brim_rewrite_fini(struct brim_rewrite *rewrite)
{
    free_text(rewrite->prefix);
    free_text(rewrite->to);
    free_text(rewrite->host);
    free_text(rewrite->text);
    *rewrite = (struct brim_rewrite){.text = brim_str(NULL, 0)};
}

size_t brim_rewrite_room(const struct brim_rewrite *rewrite, struct brim_str target)
{
    return target.len + rewrite->to.len + 1;
}

struct brim_str brim_rewrite_target(const struct brim_rewrite *rewrite, struct brim_str target,
                                    char *buffer)
{
    struct brim_str rest;
    size_t len = rewrite->to.len, begin = rewrite->prefix.len;

    if (begin == 0)
        return target;
    if (!brim_str_has_prefix(target, rewrite->prefix))
        begin = brim_uri_path_begins(target, rewrite->prefix); /* as its route was found */
    if (begin == 0)
        return target;
    rest = brim_str(target.base + begin, target.len - begin);
    memcpy(buffer, rewrite->to.base, len);
    /* "/api" taken off "/api/x" and "/api" leaves "/x" and "/", never "//x" or nothing. */
    if (buffer[len - 1] == '/' && rest.len > 0 && rest.base[0] == '/')
        len--;
    else if (buffer[len - 1] != '/' && rest.len > 0 && rest.base[0] != '/' && rest.base[0] != '?')
        buffer[len++] = '/';
    if (rest.len > 0)
        memcpy(buffer + len, rest.base, rest.len);
    return brim_str(buffer, len + rest.len);
}
