/* SPDX-License-Identifier: MIT */
/*
 * libcurl reads the CAs of an origin with each connection: a file that it cannot read fails every
 * exchange, and neither a start nor a reload would have said so.
 */
#include "brim/serve/tls.h"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <stdbool.h>

static bool is_usable(const char *file)
{
    X509_STORE *store = X509_STORE_new();
    bool is_fine = store != NULL && X509_STORE_load_file(store, file) == 1;

    X509_STORE_free(store);
    ERR_clear_error();
    return is_fine;
}

enum brim_err brim_tls_origins_check(const struct brim_conf *conf, FILE *faults)
{
    const struct brim_conf_root *root = brim_conf_root(conf);
    enum brim_err err = BRIM_OK;
    char path[64];

    for (size_t i = 0; i < root->origins.count; i++) {
        const char *file = root->origins.items[i].tls.ca;

        if (file[0] == '\0' || is_usable(file))
            continue;
        (void)snprintf(path, sizeof(path), "origins[%zu].tls.ca", i);
        (void)fprintf(faults,
                      "%s:%d: %s: \"%s\" holds no usable certificate in PEM; accepted: the CAs of "
                      "the origin's servers\n",
                      brim_conf_path(conf), brim_conf_line(conf, path), path, file);
        err = BRIM_EINVAL;
    }
    return err;
}
