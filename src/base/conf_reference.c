/* SPDX-License-Identifier: MIT */
/*
 * Two kinds of lines: live ones, which a load reads, and those of a list that may be empty, whose
 * one example member is commented out with "# " in front of whatever it would be. Taking those two
 * bytes away makes it live, since `key:` without members is an empty list.
 */
#include "brim/base/conf_reference.h"

#include <stdbool.h>
#include <string.h>

#include "brim/base/conf_fault.h"
#include "brim/base/conf_table.h"
#include "brim/base/conf_value.h"
#include "brim/base/invariant.h"

enum { INDENT = 2 };

struct writer {
    FILE *out;
    struct brim_conf_text path; /* of keys, without positions */
    int indent;
    bool is_commented;
    bool is_dash_due; /* the next key is the first of a list's member */
};

/* Values of options that have no default. */
static const struct {
    const char *path;
    const char *value;
} examples[] = {
    {"admin.purge_via.url", "http://10.0.0.1:9900"},
    {"listeners.address", ":8080"},
    {"listeners.tls.certificates.certificate", "/etc/brim/tls/example.com.crt"},
    {"listeners.tls.certificates.key", "/etc/brim/tls/example.com.key"},
    {"origins.name", "app"},
    {"origins.servers.url", "http://127.0.0.1:8000"},
    {"sites.hosts", "*"},
    {"sites.origin", "app"},
    {"sites.handlers.env.name", "GREETING"},
    {"sites.routes.handlers.env.name", "GREETING"},
    {"sites.routes.path", "/img/"},
    {"sites.routes.headers.name", "x-version"},
};

static const char *example_of(const char *path)
{
    for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++)
        if (strcmp(examples[i].path, path) == 0)
            return examples[i].value;
    return NULL;
}

/* Begins a line: comment mark, indentation and, in front of a member's first key, its dash. */
static void begin_line(struct writer *writer, bool is_key)
{
    int indent = writer->indent;
    bool is_dash = is_key && writer->is_dash_due;

    (void)fprintf(writer->out, "%s%*s%s", writer->is_commented ? "# " : "",
                  is_dash ? indent - INDENT : indent, "", is_dash ? "- " : "");
    if (is_key)
        writer->is_dash_due = false;
}

static void write_comment(struct writer *writer, const char *text)
{
    begin_line(writer, false);
    (void)fprintf(writer->out, "# %s\n", text);
}

/* Quotes what YAML could take for something else than text. */
static void write_value(struct writer *writer, const char *value)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._/";
    bool is_plain = value[0] != '\0' && value[0] != '-' && strspn(value, plain) == strlen(value);

    INVARIANT(strpbrk(value, "\"\\") == NULL);
    (void)fprintf(writer->out, is_plain ? "%s\n" : "\"%s\"\n", value);
}

void brim_conf_reference_add_about(struct brim_conf_text *out, const struct brim_conf_field *field)
{
    if (field->kind == BRIM_CONF_LIST)
        brim_conf_text_add(out, "sequence of %lld to %lld", (long long)field->min,
                           (long long)field->max);
    if (field->kind != BRIM_CONF_OPTION)
        return;
    brim_conf_value_add_accepted(out, field);
    brim_conf_text_add(out, "; %s%s; %s", field->def == NULL ? "required" : "default ",
                       field->def == NULL      ? ""
                       : field->def[0] == '\0' ? "\"\""
                                               : field->def,
                       field->reload == BRIM_CONF_LIVE ? "reload" : "restart");
}

static void write_option(struct writer *writer, const struct brim_conf_field *field)
{
    struct brim_conf_text about = {.len = 0};
    const char *value = field->def != NULL ? field->def : example_of(writer->path.bytes);

    INVARIANT(value != NULL);
    brim_conf_reference_add_about(&about, field);
    write_comment(writer, field->text);
    write_comment(writer, about.bytes);
    begin_line(writer, true);
    (void)fprintf(writer->out, "%s: ", field->key);
    write_value(writer, value);
}

static void write_table(struct writer *writer, const struct brim_conf_table *table);

static void write_nested(struct writer *writer, const struct brim_conf_field *field)
{
    struct brim_conf_text about = {.len = 0};
    bool is_list = field->kind == BRIM_CONF_LIST;
    bool was_commented = writer->is_commented;
    int step = is_list ? 2 * INDENT : INDENT;

    write_comment(writer, field->text);
    brim_conf_reference_add_about(&about, field);
    if (about.len > 0)
        write_comment(writer, about.bytes);
    begin_line(writer, true);
    (void)fprintf(writer->out, "%s:\n", field->key);

    writer->is_commented = was_commented || (is_list && field->min == 0);
    writer->indent += step;
    writer->is_dash_due = is_list;
    write_table(writer, field->table);
    writer->indent -= step;
    writer->is_commented = was_commented;
}

static void write_table(struct writer *writer, const struct brim_conf_table *table)
{
    for (size_t i = 0; i < table->field_count; i++) {
        const struct brim_conf_field *field = &table->fields[i];
        size_t before = writer->path.len;

        brim_conf_text_add(&writer->path, "%s%s", before == 0 ? "" : ".", field->key);
        if (writer->indent == 0)
            (void)fputc('\n', writer->out);
        if (field->kind == BRIM_CONF_OPTION)
            write_option(writer, field);
        else
            write_nested(writer, field);
        brim_conf_text_cut(&writer->path, before);
    }
}

void brim_conf_write_reference(FILE *out)
{
    struct writer writer = {.out = out};

    INVARIANT(out != NULL);
    (void)fputs("# Every option of brim. Made from the option table by `brim check --reference`: "
                "do not edit.\n"
                "#\n"
                "# Above each option: what it does; what is accepted; its default, or that it is "
                "required (then the\n"
                "# value here is an example); `reload` if a reload applies a change, `restart` if "
                "a change needs a\n"
                "# restart. What is commented out is the example of a list that may be empty.\n"
                "#\n"
                "# Sizes: 4096, 64KiB, 20GiB (1024), 1MB (1000). Durations: 250ms, 30s, 5m, 12h, "
                "7d, 0.\n",
                out);
    write_table(&writer, &brim_conf_table_root);
}
