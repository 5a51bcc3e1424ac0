/* SPDX-License-Identifier: MIT */
#include "brim/base/conf_fault.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "brim/base/invariant.h"

enum { WORD_MAX_BYTES = 32 };

static void add_v(struct brim_conf_text *text, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

static void add_v(struct brim_conf_text *text, const char *format, va_list args)
{
    INVARIANT(text->len < sizeof(text->bytes));

    size_t room = sizeof(text->bytes) - text->len;
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): a parameter; clang 14 is mistaken. */
    int n = vsnprintf(text->bytes + text->len, room, format, args);

    if (n > 0)
        text->len += (size_t)n < room ? (size_t)n : room - 1;
}

void brim_conf_text_add(struct brim_conf_text *text, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    add_v(text, format, args);
    va_end(args);
}

void brim_conf_text_cut(struct brim_conf_text *text, size_t len)
{
    INVARIANT(len <= text->len);
    text->len = len;
    text->bytes[len] = '\0';
}

void brim_conf_text_add_shown(struct brim_conf_text *text, const char *input)
{
    char shown[BRIM_CONF_INPUT_BYTES + 1];
    size_t len = strlen(input);
    bool is_cut = len > BRIM_CONF_INPUT_BYTES;

    if (is_cut) {
        len = BRIM_CONF_INPUT_BYTES;
        while (len > 0 && ((unsigned char)input[len] & 0xc0) == 0x80)
            len--; /* never half a UTF-8 sequence */
    }
    for (size_t i = 0; i < len; i++) {
        bool is_control = (unsigned char)input[i] < 0x20 || input[i] == 0x7f;

        shown[i] = input[i];
        if (is_control)
            shown[i] = '?';
    }
    shown[len] = '\0';
    brim_conf_text_add(text, "%s%s", shown, is_cut ? "..." : "");
}

void brim_conf_text_add_input(struct brim_conf_text *text, const char *input)
{
    brim_conf_text_add(text, "\"");
    brim_conf_text_add_shown(text, input);
    brim_conf_text_add(text, "\"");
}

static void note(struct brim_conf_faults *faults, int line, const char *path, const char *what)
{
    struct brim_conf_text text = {.len = 0};
    unsigned order = faults->count++;

    if (order >= BRIM_CONF_FAULTS_MAX)
        return;
    brim_conf_text_add(&text, "%s:%d: %s%s%s", faults->file, line, path,
                       path[0] == '\0' ? "" : ": ", what);
    faults->kept[order].line = line;
    faults->kept[order].order = order;
    faults->kept[order].text = brim_strdup(text.bytes);
}

void brim_conf_fault_at(struct brim_conf_faults *faults, int line, const char *path,
                        const char *format, ...)
{
    struct brim_conf_text what = {.len = 0};
    va_list args;

    va_start(args, format);
    add_v(&what, format, args);
    va_end(args);
    note(faults, line, path, what.bytes);
}

void brim_conf_fault(struct brim_conf_faults *faults, const char *path, const char *format, ...)
{
    struct brim_conf_text what = {.len = 0};
    va_list args;

    va_start(args, format);
    add_v(&what, format, args);
    va_end(args);
    note(faults, faults->line_of(faults->ctx, path), path, what.bytes);
}

static int compare_lines(const void *a, const void *b)
{
    const struct brim_conf_fault_line *x = a;
    const struct brim_conf_fault_line *y = b;

    if (x->line != y->line)
        return x->line < y->line ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

void brim_conf_faults_flush(struct brim_conf_faults *faults, FILE *out)
{
    size_t kept = faults->count < BRIM_CONF_FAULTS_MAX ? faults->count : BRIM_CONF_FAULTS_MAX;

    qsort(faults->kept, kept, sizeof(faults->kept[0]), compare_lines);
    for (size_t i = 0; i < kept; i++) {
        (void)fprintf(out, "%s\n", faults->kept[i].text);
        free(faults->kept[i].text);
        faults->kept[i].text = NULL;
    }
    faults->count = 0;
}

/* Levenshtein with one row; both words are short. */
size_t brim_conf_fault_distance(const char *a, const char *b)
{
    size_t row[WORD_MAX_BYTES + 1];
    size_t a_len = strlen(a);
    size_t b_len = strlen(b);

    if (a_len > WORD_MAX_BYTES || b_len > WORD_MAX_BYTES)
        return WORD_MAX_BYTES + 1;
    for (size_t j = 0; j <= b_len; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t best = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);

            diagonal = row[j];
            best = row[j] + 1 < best ? row[j] + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            row[j] = best;
        }
    }
    return row[b_len];
}

bool brim_conf_fault_is_near(const char *word, size_t distance)
{
    size_t allowed = strlen(word) / 3;

    return distance <= (allowed > 1 ? allowed : 1);
}
