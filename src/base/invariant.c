/* SPDX-License-Identifier: MIT */
#include "brim/base/invariant.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void brim_invariant_failed(const char *file, int line, const char *what)
{
    /* Straight to the descriptor: the log may be what is broken, and a node's stderr leads there.
     */
    (void)dprintf(STDERR_FILENO, "%s:%d: invariant does not hold: %s\n", file, line, what);
    abort();
}

void *brim_alloc(size_t bytes)
{
    /* calloc(0) may return NULL, which would look like exhaustion. */
    void *memory = calloc(1, bytes == 0 ? 1 : bytes);

    INVARIANT(memory != NULL);
    return memory;
}

char *brim_strdup(const char *text)
{
    if (text == NULL)
        return NULL;

    char *copy = strdup(text);

    INVARIANT(copy != NULL);
    return copy;
}

char *brim_strdup_lower(const char *text)
{
    char *copy = brim_strdup(text);

    INVARIANT(copy != NULL);
    for (char *c = copy; *c != '\0'; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
    return copy;
}
