/* SPDX-License-Identifier: MIT */
#include "brim/policy/script_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "brim/base/invariant.h"

#define FILE_BYTES_MAX (1024u * 1024u)

enum brim_err brim_script_file_read(const char *path, char **text_out, size_t *bytes_out)
{
    FILE *file = fopen(path, "re");
    char *text;

    if (file == NULL)
        return BRIM_EIO;
    text = brim_alloc(FILE_BYTES_MAX);
    *bytes_out = fread(text, 1, FILE_BYTES_MAX, file);
    if (ferror(file) != 0 || *bytes_out == FILE_BYTES_MAX) {
        (void)fclose(file);
        free(text);
        return BRIM_EIO;
    }
    (void)fclose(file);
    *text_out = text;
    return BRIM_OK;
}

char *brim_script_file_root(const char *file, const char *root)
{
    const char *slash = strrchr(file, '/');
    char *directory;

    if (root != NULL && root[0] != '\0')
        return brim_strdup(root);
    directory = brim_strdup(slash == NULL ? "." : file);
    if (slash != NULL)
        directory[slash == file ? 1 : slash - file] = '\0';
    return directory;
}
