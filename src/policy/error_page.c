/* SPDX-License-Identifier: MIT */
#include "brim/policy/error_page.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "brim/base/invariant.h"
#include "brim/base/log.h"

struct brim_str brim_error_page_type(const char *path)
{
    static const struct {
        const char *extension;
        struct brim_str type;
    } types[] = {
        {".html", BRIM_STR("text/html; charset=utf-8")},
        {".htm", BRIM_STR("text/html; charset=utf-8")},
        {".json", BRIM_STR("application/json")},
        {".xml", BRIM_STR("application/xml")},
        {".svg", BRIM_STR("image/svg+xml")},
        {".md", BRIM_STR("text/markdown; charset=utf-8")},
    };
    const char *dot = strrchr(path, '.');

    for (size_t i = 0; dot != NULL && i < sizeof(types) / sizeof(types[0]); i++)
        if (strcasecmp(dot, types[i].extension) == 0)
            return types[i].type;
    return BRIM_STR("text/plain; charset=utf-8");
}

/* NULL, or what is wrong with the file. */
static const char *read_whole(FILE *file, struct brim_str *body_out)
{
    char *bytes = brim_alloc(BRIM_ERROR_PAGE_BYTES_MAX + 1), *fitting;
    size_t len = fread(bytes, 1, BRIM_ERROR_PAGE_BYTES_MAX + 1, file);

    if (ferror(file) != 0 || len > BRIM_ERROR_PAGE_BYTES_MAX) {
        free(bytes);
        return ferror(file) != 0 ? "cannot be read" : "is longer than 1 MiB";
    }
    fitting = realloc(bytes, len + 1);
    *body_out = brim_str(fitting == NULL ? bytes : fitting, len);
    return NULL;
}

enum brim_err brim_error_page_read(const char *path, struct brim_error_page **page_out)
{
    struct brim_error_page page = {.type = brim_error_page_type(path)};
    const char *why = "cannot be opened";
    FILE *file;

    *page_out = NULL;
    if (path[0] == '\0')
        return BRIM_OK;
    file = fopen(path, "re");
    if (file != NULL) {
        why = read_whole(file, &page.body);
        (void)fclose(file);
    }
    if (why != NULL) {
        BRIM_LOG(ERROR, "site.error_page", "file=%s reason=\"%s\"", path, why);
        return BRIM_EINVAL;
    }
    *page_out = brim_alloc(sizeof(page));
    **page_out = page;
    return BRIM_OK;
}

void brim_error_page_free(struct brim_error_page *page)
{
    if (page == NULL)
        return;
    free((void *)(uintptr_t)page->body.base);
    free(page);
}
