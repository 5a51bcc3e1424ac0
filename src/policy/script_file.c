/* SPDX-License-Identifier: MIT */
#include "brim/policy/script_file.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "brim/base/file.h"
#include "brim/base/invariant.h"

#define FILE_BYTES_MAX (1024u * 1024u)

struct file {
    struct file *next;
    char *name;
    struct brim_str text;
};

struct brim_script_files {
    pthread_mutex_t lock;
    struct file *first; /* a handler has few modules */
};

struct brim_script_files *brim_script_files_new(void)
{
    struct brim_script_files *files = brim_alloc(sizeof(*files));

    pthread_mutex_init(&files->lock, NULL);
    return files;
}

void brim_script_files_free(struct brim_script_files *files)
{
    if (files == NULL)
        return;
    while (files->first != NULL) {
        struct file *file = files->first;

        files->first = file->next;
        free(file->name);
        free((void *)(uintptr_t)file->text.base);
        free(file);
    }
    pthread_mutex_destroy(&files->lock);
    free(files);
}

/* Under the lock. */
static bool find(const struct brim_script_files *files, const char *name, struct brim_str *text_out)
{
    for (const struct file *file = files->first; file != NULL; file = file->next)
        if (strcmp(file->name, name) == 0) {
            *text_out = file->text;
            return true;
        }
    return false;
}

bool brim_script_files_find(struct brim_script_files *files, const char *name,
                            struct brim_str *text_out)
{
    bool is_found;

    pthread_mutex_lock(&files->lock);
    is_found = find(files, name, text_out);
    pthread_mutex_unlock(&files->lock);
    return is_found;
}

static enum brim_err read_text(const char *path, struct brim_str *text_out)
{
    const char *why;
    FILE *in = brim_file_open(path, &why);
    char *text;

    if (in == NULL)
        return BRIM_EIO;
    text = brim_alloc(FILE_BYTES_MAX);
    text_out->len = fread(text, 1, FILE_BYTES_MAX, in);
    if (ferror(in) != 0 || text_out->len == FILE_BYTES_MAX) {
        (void)fclose(in);
        free(text);
        return BRIM_EIO;
    }
    (void)fclose(in);
    text_out->base = realloc(text, text_out->len + 1); /* smaller */
    INVARIANT(text_out->base != NULL);
    return BRIM_OK;
}

/* Who read it first has it right. */
static void keep(struct brim_script_files *files, const char *name, struct brim_str *text)
{
    struct brim_str mine = *text;
    struct file *file;

    pthread_mutex_lock(&files->lock);
    if (find(files, name, text)) {
        free((void *)(uintptr_t)mine.base);
    } else {
        file = brim_alloc(sizeof(*file));
        *file = (struct file){.next = files->first, .name = brim_strdup(name), .text = mine};
        files->first = file;
    }
    pthread_mutex_unlock(&files->lock);
}

enum brim_err brim_script_files_read(struct brim_script_files *files, const char *name,
                                     const char *path, struct brim_str *text_out)
{
    if (brim_script_files_find(files, name, text_out))
        return BRIM_OK;
    if (read_text(path, text_out) != BRIM_OK)
        return BRIM_EIO;
    keep(files, name, text_out);
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
