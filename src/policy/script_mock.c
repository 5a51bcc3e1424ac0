/* SPDX-License-Identifier: MIT */
#include "brim/policy/script_mock.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define KV_BYTES   (16u << 20)
#define DICT_BYTES (4u << 20)

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *at)
{
    (void)status;
    (void)type;
    (void)at;
    return remove(path);
}

static void remove_all(const char *path)
{
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): a test has one thread, here and below */
    (void)nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

enum brim_err brim_script_mock_open(struct brim_script_mock *mock)
{
    const char *below = getenv("TMPDIR"); /* NOLINT(concurrency-mt-unsafe) */
    struct brim_kv_config config = {.path = mock->path, .size_bytes = KV_BYTES};
    int len = snprintf(mock->path, sizeof(mock->path), "%s/brim-lua-XXXXXX",
                       below == NULL || below[0] == '\0' ? "/tmp" : below);
    enum brim_err err;

    mock->kv = NULL;
    mock->dict = NULL;
    if (len < 0 || (size_t)len >= sizeof(mock->path) || mkdtemp(mock->path) == NULL) {
        mock->path[0] = '\0';
        return BRIM_EIO;
    }
    err = brim_kv_open(&config, &mock->kv);
    if (err != BRIM_OK) {
        mock->kv = NULL;
        remove_all(mock->path);
        mock->path[0] = '\0';
        return err;
    }
    mock->dict = brim_dict_open(DICT_BYTES);
    return BRIM_OK;
}

void brim_script_mock_close(struct brim_script_mock *mock)
{
    brim_kv_close(mock->kv);
    brim_dict_close(mock->dict);
    if (mock->path[0] != '\0')
        remove_all(mock->path);
    *mock = (struct brim_script_mock){0};
}
