/* SPDX-License-Identifier: MIT */
/*
 * folder - how a test leaves nothing behind.
 */
#ifndef BRIM_TESTS_FOLDER_H
#define BRIM_TESTS_FOLDER_H

#include <ftw.h>
#include <stdio.h>

static inline int folder_remove_one(const char *path, const struct stat *st, int type,
                                    struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

/* Removes path and all that is in it; returns 0, or what nftw() says. */
static inline int folder_remove(const char *path)
{
    return nftw(path, folder_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

#endif
