/* SPDX-License-Identifier: MIT */
/*
 * What must hold for the options of where requests go: conditions and rewrites of routes, reading
 * one's writes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "brim/base/conf_check.h"
#include "brim/base/invariant.h"

#define PATH_BYTES 192

static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};

/* text, which stands at where.key, is not what it should be. */
static void fault(struct brim_conf_faults *faults, const char *where, const char *key,
                  const char *text, const char *wrong)
{
    struct brim_conf_text shown = {.len = 0};
    char path[PATH_BYTES];

    (void)snprintf(path, sizeof(path), "%s.%s", where, key);
    brim_conf_text_add_input(&shown, text);
    brim_conf_fault(faults, path, "%s %s", shown.bytes, wrong);
}

/* tchar+ (RFC 9110 5.6.2). */
static bool is_token(const char *text)
{
    static const char all[] = "!#$%&'*+-.^_`|~0123456789"
                              "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

    return text[0] != '\0' && text[strspn(text, all)] == '\0';
}

/* ---- conditions ---- */

static bool is_method(const char *text)
{
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
        if (strcmp(text, methods[i]) == 0)
            return true;
    return false;
}

static void check_methods(const struct brim_conf_route *route, const char *where,
                          struct brim_conf_faults *faults)
{
    char key[32];

    for (size_t i = 0; i < route->methods.count; i++) {
        if (route->methods.items[i] == NULL || is_method(route->methods.items[i]))
            continue;
        (void)snprintf(key, sizeof(key), "methods[%zu]", i);
        fault(faults, where, key, route->methods.items[i],
              "is no method; accepted: GET (and with it HEAD), POST, PUT, PATCH, DELETE, OPTIONS");
    }
}

static void check_header(const struct brim_conf_route_header *header, const char *where,
                         const char *key, struct brim_conf_faults *faults)
{
    int said = (header->value != NULL && header->value[0] != '\0') +
               (header->prefix != NULL && header->prefix[0] != '\0') + !header->present;

    if (header->name == NULL)
        return;
    if (!is_token(header->name))
        fault(faults, where, key, header->name, "is no name of a field; accepted: as in x-version");
    else if (strcasecmp(header->name, "cookie") == 0 || strcasecmp(header->name, "host") == 0)
        fault(faults, where, key, header->name,
              "is not told apart here; accepted: other fields (hosts: sites[].hosts; cookies: a "
              "handler's req.origin)");
    else if (said > 1)
        fault(faults, where, key, header->name,
              "has more than one condition; accepted: one of value, prefix, present: false");
}

/* ---- rewrite ---- */

/* A path, or the beginning of one, as it can stand in a request line. */
static bool is_path(const char *text)
{
    if (text[0] != '/')
        return false;
    for (; *text != '\0'; text++)
        if ((unsigned char)*text <= ' ' || (unsigned char)*text >= 0x7f || *text == '#' ||
            *text == '?')
            return false;
    return true;
}

/* Whether a path that the route at path takes may begin with prefix. Paths of routes are compared
 * with what a request's path decodes to and prefix with what was sent: of escapes and of slashes in
 * a row nothing is said here. */
static bool may_begin(const char *prefix, const char *path)
{
    size_t len = strcspn(path, "*?"); /* what all paths of the route begin with */

    if (strchr(prefix, '%') != NULL || strchr(path, '%') != NULL || strstr(prefix, "//") != NULL ||
        strstr(path, "//") != NULL)
        return true;
    if (strlen(prefix) < len)
        len = strlen(prefix);
    return strncmp(prefix, path, len) == 0;
}

static void check_prefix(const struct brim_conf_route *route, const char *where,
                         struct brim_conf_faults *faults)
{
    struct brim_conf_text wrong = {.len = 0};
    char *literal;

    if (route->path == NULL || may_begin(route->rewrite.prefix, route->path))
        return;
    literal = strndup(route->path, strcspn(route->path, "*?"));
    INVARIANT(literal != NULL);
    brim_conf_text_add(&wrong, "begins no path of this route; accepted: what path begins with, ");
    brim_conf_text_add_input(&wrong, literal);
    brim_conf_text_add(&wrong, " or part of it, or more");
    fault(faults, where, "rewrite.prefix", route->rewrite.prefix, wrong.bytes);
    free(literal);
}

static void check_rewrite(const struct brim_conf_route *route, const char *where,
                          struct brim_conf_faults *faults)
{
    const struct brim_conf_rewrite *rewrite = &route->rewrite;
    static const char wrong[] = "is no path; accepted: text that begins with /, without blanks, ? "
                                "and #";

    bool has_prefix = rewrite->prefix != NULL && rewrite->prefix[0] != '\0';

    if (has_prefix && !is_path(rewrite->prefix))
        fault(faults, where, "rewrite.prefix", rewrite->prefix, wrong);
    else if (has_prefix)
        check_prefix(route, where, faults);
    if (rewrite->to != NULL && !is_path(rewrite->to))
        fault(faults, where, "rewrite.to", rewrite->to, wrong);
    else if (rewrite->to != NULL && rewrite->prefix != NULL && !has_prefix &&
             strcmp(rewrite->to, "/") != 0)
        fault(faults, where, "rewrite.to", rewrite->to,
              "is of no use; accepted: beside rewrite.prefix");
}

void brim_conf_check_route(const struct brim_conf_route *route, const char *where,
                           struct brim_conf_faults *faults)
{
    char key[32];

    check_methods(route, where, faults);
    for (size_t i = 0; i < route->headers.count; i++) {
        (void)snprintf(key, sizeof(key), "headers[%zu]", i);
        check_header(&route->headers.items[i], where, key, faults);
    }
    check_rewrite(route, where, faults);
    if (route->host != NULL && route->host[0] != '\0' && !brim_conf_check_is_authority(route->host))
        fault(faults, where, "host", route->host, "is not a host; accepted: host[:port], or \"\"");
}

/* ---- reading one's writes ---- */

void brim_conf_check_ryw(const struct brim_conf_ryw *ryw, const char *where,
                         struct brim_conf_faults *faults)
{
    char path[PATH_BYTES];

    if (ryw->cookie != NULL && !is_token(ryw->cookie))
        fault(faults, where, "read_your_writes.cookie", ryw->cookie,
              "is no name of a cookie; accepted: letters, digits, '-', '_', '.'");
    (void)snprintf(path, sizeof(path), "%s.read_your_writes.secret", where);
    if (ryw->for_ms > 0)
        brim_conf_check_secret(ryw->secret, path, faults);
}
