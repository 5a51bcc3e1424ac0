/* SPDX-License-Identifier: MIT */
/*
 * The gate for tokens: the first line is a letter for the algorithm and a token, the rest is the
 * file of keys (a secret, PEM, or a JSON Web Key Set). Beside it the secret of a gate that nobody
 * has: what it lets in is a fault.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "brim/policy/jwt_gate.h"
#include "fuzz.h"

#define ROOM_BYTES (256u * 1024)
#define ALGS       13 /* off, then those of the option */

int LLVMFuzzerInitialize(int *argc, char ***argv);

static char empty[] = "", realm[] = "brim", jti[] = "jti", claim[] = "sub=X-User";
static char cookie[] = "token", audience[] = "you", issuer[] = "me", path[32];
static char *claims[] = {claim}, *audiences[] = {audience};
static struct brim_jwt_gate *secret;
static char room[ROOM_BYTES];
static size_t taken;

static void *take(void *ctx, size_t bytes)
{
    void *memory = room + taken;

    (void)ctx;
    taken += (bytes + 15) & ~(size_t)15;
    INVARIANT(taken <= sizeof(room));
    return memory;
}

static enum brim_err compile(int alg, struct brim_str key, struct brim_jwt_gate **gate_out)
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    struct brim_conf_jwt conf = {.alg = alg,
                                 .key = path,
                                 .jwks_url = empty,
                                 .jwks_origin = empty,
                                 .issuer = alg % 2 ? issuer : empty,
                                 .audience = {audiences, alg % 3 == 0 ? 1u : 0u},
                                 .leeway_ms = 1000,
                                 .require_exp = alg % 2 == 0,
                                 .cookie = cookie,
                                 .realm = realm,
                                 .revoked = empty,
                                 .revoked_claim = jti,
                                 .claims = {claims, 1},
                                 .strip = true};
    enum brim_err err;

    INVARIANT(fd >= 0 && write(fd, key.base, key.len) == (ssize_t)key.len);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    err = brim_jwt_gate_compile(&conf, NULL, gate_out);
    close(fd);
    return err;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    INVARIANT(compile(1, BRIM_STR("of nobody, 32 bytes and some more"), &secret) == BRIM_OK);
    return 0;
}

static enum brim_jwt_state ask(struct brim_jwt_gate *gate, struct brim_fields fields)
{
    struct brim_jwt_ask request = {.fields = fields, .now_wall_ms = 1700000000000, .alloc = take};
    struct brim_jwt_news news;

    taken = 0;
    brim_jwt_gate_ask(gate, &request, &news);
    for (size_t i = 0; news.state == BRIM_JWT_IN && i < news.fields.count; i++) {
        INVARIANT(brim_field_name_is_valid(news.fields.items[i].name));
        INVARIANT(brim_field_value_is_valid(news.fields.items[i].value));
    }
    INVARIANT(news.state != BRIM_JWT_OUT || news.why != NULL);
    return news.state;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct brim_str rest = brim_str((const char *)data, size), line = fuzz_line(&rest);
    struct brim_jwt_gate *gate = NULL;
    char *text;

    if (line.len < 1)
        return 0;
    text = malloc(line.len + 16);
    INVARIANT(text != NULL);
    int len = snprintf(text, line.len + 16, "Bearer %.*s", (int)line.len - 1, line.base + 1);
    struct brim_field field = {BRIM_STR("authorization"), brim_str(text, (size_t)len)};
    if (line.base[0] >= 'a') { /* the same by the cookie */
        len = snprintf(text, line.len + 16, "a=b; token=%.*s", (int)line.len - 1, line.base + 1);
        field = (struct brim_field){BRIM_STR("cookie"), brim_str(text, (size_t)len)};
    }
    if (brim_field_value_is_valid(field.value)) {
        INVARIANT(ask(secret, (struct brim_fields){&field, 1}) == BRIM_JWT_OUT);
        if (compile(1 + (unsigned char)line.base[0] % (ALGS - 1), rest, &gate) == BRIM_OK)
            (void)ask(gate, (struct brim_fields){&field, 1});
        brim_jwt_gate_free(gate);
    }
    free(text);
    return 0;
}
