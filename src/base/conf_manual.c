/* SPDX-License-Identifier: MIT */
#include "brim/base/conf_manual.h"

#include <stdbool.h>

#include "brim/base/conf_fault.h"
#include "brim/base/conf_reference.h"
#include "brim/base/conf_table.h"
#include "brim/base/invariant.h"

static const char head[] =
    ".\\\" Made from the option table by `brim check --manual`.\n"
    ".TH BRIM.YAML 5 \"\" \"brim " BRIM_VERSION "\" \"brim manual\"\n"
    ".SH NAME\n"
    "brim.yaml \\- configuration of a brim node\n"
    ".SH DESCRIPTION\n"
    "One YAML file, checked whole before anything of it comes into force:\n"
    ".B brim check \\-c\n"
    "names every fault with file and line.\n"
    "Sizes are 4096, 64KiB, 20GiB (1024) or 1MB (1000); durations are 250ms, 30s, 5m, 12h, 7d or "
    "0.\n"
    "A change of an option that says\n"
    ".I reload\n"
    "is applied by\n"
    ".BR \"brim reload\" ;\n"
    "one that says\n"
    ".I restart\n"
    "needs a restart.\n"
    "A name in front of [] holds a list; what follows stands in each of its members.\n";

static const char foot[] = ".SH FILES\n"
                           ".TP\n"
                           ".I /etc/brim/brim.yaml\n"
                           "the configuration of the packaged service\n"
                           ".TP\n"
                           ".I /usr/share/doc/brim/examples\n"
                           "complete examples, and every option as YAML (reference.yaml)\n"
                           ".SH SEE ALSO\n"
                           ".BR brim (1)\n";

/* Writes text so that roff takes nothing of it for its own, where it begins a line too. */
static void write_text(FILE *out, const char *text)
{
    if (text[0] == '.' || text[0] == '\'')
        (void)fputs("\\&", out);
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '\\':
            (void)fputs("\\e", out);
            break;
        case '-':
            (void)fputs("\\-", out);
            break;
        case '`':
            (void)fputs("\\(ga", out);
            break;
        case '\'':
            (void)fputs("\\(aq", out);
            break;
        case '^':
            (void)fputs("\\(ha", out);
            break;
        case '~':
            (void)fputs("\\(ti", out);
            break;
        default:
            (void)fputc(*text, out);
        }
    }
}

static void write_line(FILE *out, const char *text)
{
    write_text(out, text);
    (void)fputc('\n', out);
}

/* A paragraph: what it is called, what it does. */
static void write_paragraph(FILE *out, const struct brim_conf_text *path,
                            const struct brim_conf_field *field)
{
    struct brim_conf_text about = {.len = 0};

    brim_conf_reference_add_about(&about, field);
    (void)fputs(".TP\n.B ", out);
    write_line(out, path->bytes);
    write_line(out, field->text);
    if (about.len > 0) {
        (void)fputs(".br\n(", out);
        write_text(out, about.bytes);
        (void)fputs(")\n", out);
    }
}

/* Depth is bounded by that of the table, which is a constant. */
static void write_table(FILE *out, const struct brim_conf_table *table, struct brim_conf_text *path)
{
    for (size_t i = 0; i < table->field_count; i++) {
        const struct brim_conf_field *field = &table->fields[i];
        size_t before = path->len;

        brim_conf_text_add(path, "%s%s%s", before == 0 ? "" : ".", field->key,
                           field->kind == BRIM_CONF_LIST ? "[]" : "");
        if (before == 0) {
            (void)fputs(".SH ", out);
            write_line(out, path->bytes);
        }
        write_paragraph(out, path, field);
        if (field->kind != BRIM_CONF_OPTION)
            write_table(out, field->table, path);
        brim_conf_text_cut(path, before);
    }
}

void brim_conf_write_manual(FILE *out)
{
    struct brim_conf_text path = {.len = 0};

    INVARIANT(out != NULL);
    (void)fputs(head, out);
    write_table(out, &brim_conf_table_root, &path);
    (void)fputs(foot, out);
}
