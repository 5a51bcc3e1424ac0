/* SPDX-License-Identifier: MIT */
#include "brim/base/err.h"

#include <ctype.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>

#include "brim/base/invariant.h"

enum { PREFIX_LEN = sizeof("BRIM_") - 1, NAME_MAX_BYTES = 24 };

static const char *const texts[BRIM_ERR_COUNT] = {
#define TEXT(name, text) [name] = text,
    BRIM_ERR_TABLE(TEXT)
#undef TEXT
};

static const char *const symbols[BRIM_ERR_COUNT] = {
#define SYMBOL(name, text) [name] = #name,
    BRIM_ERR_TABLE(SYMBOL)
#undef SYMBOL
};

/* The table holds the names in capitals; the preprocessor cannot lower them, so it is done once. */
static char names[BRIM_ERR_COUNT][NAME_MAX_BYTES];
static pthread_once_t names_once = PTHREAD_ONCE_INIT;

static void fill_name(char *name, const char *symbol)
{
    size_t len = strlen(symbol);

    INVARIANT(len < NAME_MAX_BYTES);
    for (size_t i = 0; i < len; i++)
        name[i] = (char)tolower((unsigned char)symbol[i]);
}

static void fill_names(void)
{
    for (size_t i = 0; i < BRIM_ERR_COUNT; i++)
        fill_name(names[i], symbols[i] + PREFIX_LEN);
}

const char *brim_err_text(enum brim_err err)
{
    INVARIANT((unsigned)err < BRIM_ERR_COUNT);
    return texts[err];
}

const char *brim_err_name(enum brim_err err)
{
    INVARIANT((unsigned)err < BRIM_ERR_COUNT);
    (void)pthread_once(&names_once, fill_names); /* cannot fail */
    return names[err];
}
