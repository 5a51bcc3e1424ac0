/* SPDX-License-Identifier: MIT */
/*
 * Who is let in, and what browsers are told. Files that options name are read here: what is wrong
 * inside of one is a fault of the option that names it, and all of them are told at once.
 */
#include <stdio.h>
#include <stdlib.h>

#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/policy/route.h"
#include "brim/policy/route_inside.h"

static struct brim_str compile_hsts(const struct brim_conf_security_headers *conf)
{
    char text[96];

    if (conf->hsts_ms == 0)
        return brim_str(NULL, 0);
    (void)snprintf(text, sizeof(text), "max-age=%lld%s%s", (long long)conf->hsts_ms / 1000,
                   conf->hsts_subdomains ? "; includeSubDomains" : "",
                   conf->hsts_preload ? "; preload" : "");
    return brim_str_of(brim_strdup(text));
}

/* What the origin is told of a token's claims, or of a certificate, may change its answer, and must
 * not be stored for somebody else. */
static void key_by_claims(struct brim_route *route)
{
    size_t count = 0;
    const struct brim_str *names =
        route->jwt == NULL ? NULL : brim_jwt_gate_claim_fields(route->jwt, &count);
    struct brim_targets *headers = &route->key.headers;
    struct brim_str *all = brim_alloc((headers->count + count + 2) * sizeof(*all));

    for (size_t i = 0; i < headers->count; i++)
        all[i] = headers->names[i];
    for (size_t i = 0; i < count; i++)
        all[headers->count + i] = brim_str_of(brim_strdup(names[i].base));
    free((void *)(uintptr_t)headers->names);
    count += headers->count;
    if (route->subject_field.len > 0)
        all[count++] = brim_str_of(brim_strdup(route->subject_field.base));
    *headers = (struct brim_targets){all, count};
}

enum brim_err brim_route_both(enum brim_err one, enum brim_err other)
{
    return one != BRIM_OK ? one : other;
}

static enum brim_err compile_basic(const struct brim_conf_basic_auth *conf,
                                   struct brim_compile_faults *faults, struct brim_route *route)
{
    brim_compile_faults_in(faults, "basic_auth.file");
    return brim_basic_auth_compile(conf, &route->basic);
}

/* NULL in route->signing: URLs need no signature. */
static enum brim_err compile_signing(const struct brim_conf_signed_url *conf,
                                     struct brim_compile_faults *faults, struct brim_route *route)
{
    const char *why;

    route->signing = NULL;
    if (conf->key[0] == '\0' || brim_url_keys_read(conf->key, &route->signing, &why) == BRIM_OK)
        return BRIM_OK;
    brim_compile_faults_in(faults, "signed_url.key");
    BRIM_LOG(ERROR, "signed_url.key", "file=%s reason=\"%s\"", conf->key, why);
    return BRIM_EINVAL;
}

enum brim_err brim_route_compile_site_gates(const struct brim_conf_site *conf,
                                            struct brim_compile_faults *faults,
                                            struct brim_route *own)
{
    struct brim_rate_limit_place place = {.site = own->site};
    enum brim_err err;

    brim_compile_faults_in(faults, "access");
    err = brim_access_compile(&conf->access, &own->site_access);
    brim_compile_faults_in(faults, "purge");
    /* Who only denies some has not allowed the others to purge. */
    if (conf->purge.allow.count > 0 || conf->purge.allow_file[0] != '\0')
        err = brim_route_both(err, brim_access_compile(&conf->purge, &own->purge));
    own->site_rate = brim_rate_limit_compile(&conf->rate_limit, &place);
    own->cors = brim_cors_compile(&conf->cors);
    own->hsts = compile_hsts(&conf->security_headers);
    own->security = conf->security_headers.preset;
    own->redirect = conf->redirect_https;
    err = brim_route_both(err, brim_jwt_gate_compile(&conf->jwt, faults, &own->jwt));
    err = brim_route_both(err, compile_basic(&conf->basic_auth, faults, own));
    err = brim_route_both(err, compile_signing(&conf->signed_url, faults, own));
    key_by_claims(own);
    return err;
}

enum brim_err brim_route_compile_gates(const struct brim_conf_route *conf,
                                       const struct brim_conf_site *site,
                                       struct brim_compile_faults *faults, struct brim_route *route)
{
    struct brim_rate_limit_place place = {.site = route->site, .route = route->path};
    enum brim_err err;

    brim_compile_faults_in(faults, "access");
    err = brim_access_compile(&conf->access, &route->access);
    route->rate = brim_rate_limit_compile(&conf->rate_limit, &place);
    if (!brim_conf_table_is_same(&brim_conf_table_cors, &conf->cors, &site->cors))
        route->cors = brim_cors_compile(&conf->cors);
    route->hsts = compile_hsts(&conf->security_headers);
    route->security = conf->security_headers.preset;
    if (!brim_conf_table_is_same(&brim_conf_table_jwt, &conf->jwt, &site->jwt))
        err = brim_route_both(err, brim_jwt_gate_compile(&conf->jwt, faults, &route->jwt));
    if (!brim_conf_table_is_same(&brim_conf_table_basic_auth, &conf->basic_auth, &site->basic_auth))
        err = brim_route_both(err, compile_basic(&conf->basic_auth, faults, route));
    if (!brim_conf_table_is_same(&brim_conf_table_signed_url, &conf->signed_url, &site->signed_url))
        err = brim_route_both(err, compile_signing(&conf->signed_url, faults, route));
    key_by_claims(route);
    return err;
}

void brim_route_free_site_gates(const struct brim_route *own)
{
    brim_access_free(own->site_access);
    brim_access_free(own->purge);
    brim_rate_limit_free(own->site_rate);
    brim_jwt_gate_free(own->jwt);
    brim_cors_free(own->cors);
    brim_route_free_const(own->hsts.base);
    brim_basic_auth_free(own->basic);
    brim_url_keys_free(own->signing);
}

void brim_route_free_gates(const struct brim_route *route, const struct brim_route *own)
{
    brim_access_free(route->access);
    brim_rate_limit_free(route->rate);
    if (route->jwt != own->jwt)
        brim_jwt_gate_free(route->jwt);
    if (route->cors != own->cors)
        brim_cors_free(route->cors);
    if (route->hsts.base != own->hsts.base)
        brim_route_free_const(route->hsts.base);
    if (route->basic != own->basic)
        brim_basic_auth_free(route->basic);
    if (route->signing != own->signing)
        brim_url_keys_free(route->signing);
}
