/* SPDX-License-Identifier: MIT */
#include "brim/base/bearer.h"

#include <stdio.h>
#include <string.h>

#define FILE_MAX (BRIM_BEARER_MAX + 64u)

/* b64token of RFC 6750 2.1. */
static bool is_token(struct brim_str text)
{
    static const char accepted[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                   "0123456789-._~+/=";

    for (size_t i = 0; i < text.len; i++)
        if (memchr(accepted, text.base[i], sizeof(accepted) - 1) == NULL)
            return false;
    return true;
}

static struct brim_str without_lines(struct brim_str text)
{
    static const char space[] = " \t\r\n";

    while (text.len > 0 && memchr(space, text.base[0], sizeof(space) - 1) != NULL)
        text = brim_str(text.base + 1, text.len - 1);
    while (text.len > 0 && memchr(space, text.base[text.len - 1], sizeof(space) - 1) != NULL)
        text.len--;
    return text;
}

const char *brim_bearer_read(const char *path, char token_out[BRIM_BEARER_MAX + 1])
{
    char bytes[FILE_MAX];
    const char *wrong = NULL;
    struct brim_str token;
    FILE *file;

    token_out[0] = '\0';
    file = fopen(path, "re");
    if (file == NULL)
        return "cannot be read";
    setbuf(file, NULL); /* no copy of it is left behind */
    token = brim_str(bytes, fread(bytes, 1, sizeof(bytes), file));
    if (ferror(file))
        wrong = "cannot be read";
    (void)fclose(file);
    token = without_lines(token);
    if (wrong == NULL && token.len < BRIM_BEARER_MIN)
        wrong = "holds no token, or too short a one";
    else if (wrong == NULL && token.len > BRIM_BEARER_MAX)
        wrong = "holds too long a token";
    else if (wrong == NULL && !is_token(token))
        wrong = "holds what is no token";
    if (wrong == NULL) {
        memcpy(token_out, token.base, token.len);
        token_out[token.len] = '\0';
    }
    explicit_bzero(bytes, sizeof(bytes));
    return wrong;
}

struct brim_bearer brim_bearer_of(struct brim_str token)
{
    struct brim_bearer bearer;

    brim_sha256(token.base, token.len, bearer.digest);
    return bearer;
}

bool brim_bearer_is(const struct brim_bearer *bearer, struct brim_str authorization)
{
    static const char scheme[] = "bearer ";
    struct brim_bearer other;
    unsigned differ = 0;

    if (authorization.len < sizeof(scheme) - 1 ||
        !brim_str_is_nocase(brim_str(authorization.base, sizeof(scheme) - 1), brim_str_of(scheme)))
        return false;
    other = brim_bearer_of(brim_str_trim(brim_str(authorization.base + sizeof(scheme) - 1,
                                                  authorization.len - (sizeof(scheme) - 1))));
    for (size_t i = 0; i < sizeof(other.digest); i++)
        differ |= (unsigned)(bearer->digest[i] ^ other.digest[i]);
    return differ == 0;
}
