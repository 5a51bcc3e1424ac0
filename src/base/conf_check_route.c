/* SPDX-License-Identifier: MIT */
/*
 * What must hold for the options of where requests go: conditions and rewrites of routes, reading
 * one's writes.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "brim/base/conf_check.h"

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

static void check_rewrite(const struct brim_conf_rewrite *rewrite, const char *where,
                          struct brim_conf_faults *faults)
{
    static const char wrong[] = "is no path; accepted: text that begins with /, without blanks, ? "
                                "and #";

    if (rewrite->prefix != NULL && rewrite->prefix[0] != '\0' && !is_path(rewrite->prefix))
        fault(faults, where, "rewrite.prefix", rewrite->prefix, wrong);
    if (rewrite->to != NULL && !is_path(rewrite->to))
        fault(faults, where, "rewrite.to", rewrite->to, wrong);
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
    check_rewrite(&route->rewrite, where, faults);
    if (route->host != NULL && route->host[0] != '\0' && !brim_conf_check_is_authority(route->host))
        fault(faults, where, "host", route->host, "is not a host; accepted: host[:port], or \"\"");
}

/* ---- reading one's writes ---- */

void brim_conf_check_ryw(const struct brim_conf_ryw *ryw, const char *where,
                         struct brim_conf_faults *faults)
{
    if (ryw->cookie != NULL && !is_token(ryw->cookie))
        fault(faults, where, "read_your_writes.cookie", ryw->cookie,
              "is no name of a cookie; accepted: letters, digits, '-', '_', '.'");
    if (ryw->for_ms > 0 && ryw->secret != NULL && ryw->secret[0] == '\0')
        fault(faults, where, "read_your_writes.secret", ryw->secret,
              "signs nothing; accepted: a file with 16 bytes or more that nobody else knows");
}
