/* SPDX-License-Identifier: MIT */
/*
 * conf_fault - collects what is wrong with a config and writes it in the order of the file.
 *
 * Knows lines and texts, neither YAML nor options. Input goes through
 * brim_conf_text_add_shown(), so that a fault is one line whatever the file holds.
 */
#ifndef BRIM_BASE_CONF_FAULT_H
#define BRIM_BASE_CONF_FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum {
    BRIM_CONF_FAULTS_MAX = 50,
    BRIM_CONF_TEXT_BYTES = 1024,
    BRIM_CONF_INPUT_BYTES = 64, /* of a value that is shown in a fault */
};

/* A bounded text; what does not fit is cut. Starts zeroed. */
struct brim_conf_text {
    size_t len;
    char bytes[BRIM_CONF_TEXT_BYTES];
};

struct brim_conf_faults {
    const char *file;
    /* Gives the line of a path; set by the owner of the document. */
    int (*line_of)(const void *ctx, const char *path);
    const void *ctx;
    unsigned count; /* all of them; those beyond the limit are not kept */
    struct brim_conf_fault_line {
        int line;
        unsigned order;
        char *text;
    } kept[BRIM_CONF_FAULTS_MAX];
};

void brim_conf_text_add(struct brim_conf_text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Takes text back to a length that it had before. */
void brim_conf_text_cut(struct brim_conf_text *text, size_t len);

/* Adds input from the file, shortened, with control bytes as '?'. */
void brim_conf_text_add_shown(struct brim_conf_text *text, const char *input);

/* The same in quotes. */
void brim_conf_text_add_input(struct brim_conf_text *text, const char *input);

/* Notes a fault of the value at path ("" for the file itself). Thread: any. */
void brim_conf_fault_at(struct brim_conf_faults *faults, int line, const char *path,
                        const char *format, ...) __attribute__((format(printf, 4, 5)));

/* The same, with the line that line_of gives. */
void brim_conf_fault(struct brim_conf_faults *faults, const char *path, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Writes what was noted, one line each, in the order of lines, and frees it. */
void brim_conf_faults_flush(struct brim_conf_faults *faults, FILE *out);

/* Number of edits between two short words; more than 32 bytes count as entirely different. */
size_t brim_conf_fault_distance(const char *a, const char *b);

/* Whether a word at that distance from the given one may be what was meant. */
bool brim_conf_fault_is_near(const char *word, size_t distance);

#endif
