/* SPDX-License-Identifier: MIT */
/*
 * A sitemap, and the same bytes as a list of URLs.
 */
#include "brim/cli/sitemap.h"

#include <stdio.h>

#include "brim/cli/url_list.h"
#include "fuzz.h"

static bool add(enum brim_sitemap_kind kind, struct brim_str text, void *ctx)
{
    (void)kind;
    return brim_url_list_add(ctx, text) != BRIM_ELIMIT;
}

static void read_lines(const uint8_t *data, size_t size, struct brim_url_list *list)
{
    static FILE *nowhere;
    size_t bad = 0;
    FILE *in = fmemopen((void *)(uintptr_t)data, size, "r");

    if (nowhere == NULL)
        nowhere = fopen("/dev/null", "w");
    INVARIANT(in != NULL && nowhere != NULL);
    (void)brim_url_list_read(list, in, "urls", nowhere, &bad);
    INVARIANT(fclose(in) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct brim_url_list list = {.count_max = 100};
    const char *why = NULL;

    if (brim_sitemap_parse(brim_str((const char *)data, size), add, &list, &why) != BRIM_OK)
        INVARIANT(why != NULL);
    if (size > 0)
        read_lines(data, size, &list);
    INVARIANT(list.count <= list.count_max);
    brim_url_list_fini(&list);
    return 0;
}
