/* SPDX-License-Identifier: MIT */
/*
 * Why libyaml's documents and not libcyaml, which sits on it and is driven by a schema too:
 * libcyaml forgets the lines once it has loaded, so a fault that only shows afterwards (an unknown
 * origin, a host in two sites, a certificate that does not fit its key) could not name its line.
 *
 * The file is parsed twice. The first time only its events are read: they bound nesting and number
 * of nodes before libyaml builds anything, and they are the only place where anchors and tags can
 * still be told from plain values. Aliases are refused because a few lines of them can stand for
 * gigabytes, and because a value that stands in two places has no line of its own.
 */
#include "brim/base/conf_yaml.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "brim/base/file.h"
#include "brim/base/invariant.h"

enum {
    FILE_MAX_BYTES = 4 * 1024 * 1024,
    DEPTH_MAX = 16,
    NODES_MAX = 1000000,
};

struct brim_conf_yaml {
    yaml_document_t document;
};

static const yaml_node_t *inside(const struct brim_conf_yaml_node *node)
{
    return (const yaml_node_t *)node;
}

static int line_of_mark(yaml_mark_t mark)
{
    return mark.line < INT_MAX ? (int)mark.line + 1 : INT_MAX;
}

/* Reads the whole file, or standard input to its end. Errors: BRIM_EINVAL, noted. */
static enum brim_err read_file(const char *path, struct brim_conf_faults *faults,
                               unsigned char **bytes_out, size_t *len_out)
{
    enum brim_err err = BRIM_EINVAL;
    unsigned char *bytes = NULL;
    size_t len;

    *bytes_out = NULL;
    *len_out = 0;
    const char *why = "there is no standard input";
    FILE *file = strcmp(path, "-") == 0 ? stdin : brim_file_open(path, &why);
    if (file == NULL) {
        brim_conf_fault_at(faults, 1, "", "%s; accepted: a YAML file", why);
        goto out;
    }
    bytes = brim_alloc(FILE_MAX_BYTES + 1);
    len = fread(bytes, 1, FILE_MAX_BYTES + 1, file);
    if (ferror(file)) {
        brim_conf_fault_at(faults, 1, "", "cannot be read: %m; accepted: a YAML file");
        goto out;
    }
    if (len > FILE_MAX_BYTES) {
        brim_conf_fault_at(faults, 1, "", "the file is too large; accepted: up to %d MiB",
                           FILE_MAX_BYTES / 1024 / 1024);
        goto out;
    }
    *bytes_out = bytes;
    *len_out = len;
    bytes = NULL;
    err = BRIM_OK;

out:
    free(bytes);
    if (file != NULL)
        (void)fclose(file);
    return err;
}

static int line_at_offset(const unsigned char *bytes, size_t len, size_t offset)
{
    int line = 1;

    for (size_t i = 0; i < len && i < offset; i++)
        line += bytes[i] == '\n';
    return line;
}

/* The mistake of most editors; libyaml only says that it is no token. */
static bool is_indented_by_tab(const unsigned char *bytes, size_t len, int line)
{
    size_t i = 0;

    for (int before = 1; i < len && before < line; i++)
        before += bytes[i] == '\n';
    while (i < len && bytes[i] == ' ')
        i++;
    return i < len && bytes[i] == '\t';
}

static char byte_at(const unsigned char *bytes, size_t len, const yaml_mark_t *mark)
{
    return mark->index < len ? (char)bytes[mark->index] : '\0';
}

/*
 * The sign that a text begins with that would have to be in quotes, as "*.example.com" and ":8080"
 * do, or 0. libyaml only says what else it took it for. Marks count characters, so behind one of
 * more than a byte this finds another sign or none, and libyaml's own words stand.
 */
static char unquoted_sign(const yaml_parser_t *parser, const unsigned char *bytes, size_t len)
{
    bool is_scanning = parser->error == YAML_SCANNER_ERROR;
    char begin = byte_at(bytes, len, is_scanning ? &parser->context_mark : &parser->problem_mark);

    if (begin == '\0' || parser->context == NULL)
        return '\0';
    if (is_scanning)
        return strchr("*&@`%", begin) != NULL ? begin : '\0';
    return begin == ':' && strstr(parser->context, "flow node") != NULL ? begin : '\0';
}

/* Translates libyaml's state after a failed call. */
static enum brim_err yaml_failed(struct brim_conf_faults *faults, const yaml_parser_t *parser,
                                 const unsigned char *bytes, size_t len)
{
    const char *problem = parser->problem == NULL ? "not readable" : parser->problem;
    char sign;

    if (parser->error == YAML_MEMORY_ERROR)
        return BRIM_ENOMEM;
    sign = unquoted_sign(parser, bytes, len);
    if (parser->error == YAML_READER_ERROR)
        brim_conf_fault_at(faults, line_at_offset(bytes, len, parser->problem_offset), "",
                           "not valid YAML: %s; accepted: UTF-8 text", problem);
    else if (is_indented_by_tab(bytes, len, line_of_mark(parser->problem_mark)))
        brim_conf_fault_at(faults, line_of_mark(parser->problem_mark), "",
                           "not valid YAML: indented by a tab; accepted: spaces");
    else if (sign != '\0')
        brim_conf_fault_at(faults, line_of_mark(parser->problem_mark), "",
                           "not valid YAML: a text begins with %c; accepted: \"%c...\", in quotes",
                           sign, sign);
    else if (parser->context != NULL)
        brim_conf_fault_at(faults, line_of_mark(parser->problem_mark), "",
                           "not valid YAML: %s, %s from line %d; accepted: YAML 1.1", problem,
                           parser->context, line_of_mark(parser->context_mark));
    else
        brim_conf_fault_at(faults, line_of_mark(parser->problem_mark), "",
                           "not valid YAML: %s; accepted: YAML 1.1", problem);
    return BRIM_EINVAL;
}

/* What the scan has seen so far. */
struct scan {
    int depth;
    int documents;
    size_t nodes;
};

/* Notes what an event holds that YAML allows and a config may not. */
static void scan_properties(struct brim_conf_faults *faults, const yaml_event_t *event)
{
    const unsigned char *anchor = NULL;
    const unsigned char *tag = NULL;
    int line = line_of_mark(event->start_mark);

    switch (event->type) {
    case YAML_SCALAR_EVENT:
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
        break;
    case YAML_SEQUENCE_START_EVENT:
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
        break;
    case YAML_MAPPING_START_EVENT:
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
        break;
    case YAML_ALIAS_EVENT:
        brim_conf_fault_at(
            faults, line, "",
            "an alias (*name) is not supported; accepted: the value itself, in quotes "
            "where it begins with *");
        break;
    default:
        break;
    }
    if (anchor != NULL)
        brim_conf_fault_at(faults, line, "",
                           "an anchor (&name) is not supported; accepted: the value itself");
    if (tag != NULL)
        brim_conf_fault_at(faults, line, "",
                           "a tag (!name) is not supported; accepted: the plain value");
}

/* Counts an event. Errors: BRIM_EINVAL, noted: the scan cannot go on. */
static enum brim_err scan_event(struct brim_conf_faults *faults, struct scan *scan,
                                const yaml_event_t *event)
{
    int line = line_of_mark(event->start_mark);

    scan_properties(faults, event);
    scan->nodes++;
    switch (event->type) {
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT:
        scan->depth++;
        break;
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        scan->depth--;
        break;
    case YAML_DOCUMENT_START_EVENT:
        scan->documents++;
        break;
    default:
        break;
    }
    if (scan->depth > DEPTH_MAX)
        brim_conf_fault_at(faults, line, "", "nested too deeply; accepted: %d levels", DEPTH_MAX);
    else if (scan->documents > 1)
        brim_conf_fault_at(faults, line, "",
                           "a second document begins; accepted: one document a file");
    else if (scan->nodes > NODES_MAX)
        brim_conf_fault_at(faults, line, "", "too many values; accepted: up to %d", NODES_MAX);
    else
        return BRIM_OK;
    return BRIM_EINVAL;
}

/* Reads all events once, before libyaml builds anything from them. Errors: BRIM_EINVAL, noted;
 * BRIM_ENOMEM. */
static enum brim_err scan_events(struct brim_conf_faults *faults, const unsigned char *bytes,
                                 size_t len)
{
    yaml_parser_t parser;
    struct scan scan = {.depth = 0};
    enum brim_err err = BRIM_OK;
    bool is_end = false;

    if (!yaml_parser_initialize(&parser))
        return BRIM_ENOMEM;
    yaml_parser_set_input_string(&parser, bytes, len);
    while (err == BRIM_OK && !is_end) {
        yaml_event_t event;

        if (!yaml_parser_parse(&parser, &event)) {
            err = yaml_failed(faults, &parser, bytes, len);
            break;
        }
        is_end = event.type == YAML_STREAM_END_EVENT;
        err = scan_event(faults, &scan, &event);
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    if (err == BRIM_OK && faults->count > 0)
        err = BRIM_EINVAL;
    return err;
}

/* Builds the tree. Errors: BRIM_EINVAL, noted; BRIM_ENOMEM. */
static enum brim_err build_tree(struct brim_conf_faults *faults, const unsigned char *bytes,
                                size_t len, struct brim_conf_yaml **yaml_out)
{
    yaml_parser_t parser;
    struct brim_conf_yaml *yaml;
    enum brim_err err = BRIM_OK;

    if (!yaml_parser_initialize(&parser))
        return BRIM_ENOMEM;
    yaml_parser_set_input_string(&parser, bytes, len);
    yaml = brim_alloc(sizeof(*yaml));
    if (yaml_parser_load(&parser, &yaml->document)) {
        *yaml_out = yaml;
    } else {
        err = yaml_failed(faults, &parser, bytes, len);
        free(yaml);
    }
    yaml_parser_delete(&parser);
    return err;
}

enum brim_err brim_conf_yaml_open(const char *path, struct brim_conf_faults *faults,
                                  struct brim_conf_yaml **yaml_out)
{
    unsigned char *bytes;
    size_t len;

    INVARIANT(path != NULL && faults != NULL);
    INVARIANT(yaml_out != NULL);
    *yaml_out = NULL;

    enum brim_err err = read_file(path, faults, &bytes, &len);
    if (err == BRIM_OK)
        err = scan_events(faults, bytes, len);
    if (err == BRIM_OK)
        err = build_tree(faults, bytes, len, yaml_out);
    free(bytes);
    return err;
}

void brim_conf_yaml_close(struct brim_conf_yaml *yaml)
{
    if (yaml == NULL)
        return;
    yaml_document_delete(&yaml->document);
    free(yaml);
}

/* libyaml takes a document that it only reads as not const. */
static const struct brim_conf_yaml_node *node_at(const struct brim_conf_yaml *yaml, int id)
{
    yaml_node_t *node = yaml_document_get_node((yaml_document_t *)&yaml->document, id);

    INVARIANT(node != NULL);
    return (const struct brim_conf_yaml_node *)node;
}

const struct brim_conf_yaml_node *brim_conf_yaml_root(const struct brim_conf_yaml *yaml)
{
    return (const struct brim_conf_yaml_node *)yaml_document_get_root_node(
        (yaml_document_t *)&yaml->document);
}

enum brim_conf_shape brim_conf_yaml_shape(const struct brim_conf_yaml_node *node)
{
    const yaml_node_t *in = inside(node);

    if (in->type == YAML_MAPPING_NODE)
        return BRIM_CONF_SHAPE_MAPPING;
    if (in->type == YAML_SEQUENCE_NODE)
        return BRIM_CONF_SHAPE_SEQUENCE;
    INVARIANT(in->type == YAML_SCALAR_NODE);
    if (in->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return BRIM_CONF_SHAPE_SCALAR;
    struct brim_str text = brim_conf_yaml_text(node);
    if (text.len == 0 || brim_str_is(text, BRIM_STR("~")) || brim_str_is(text, BRIM_STR("null")))
        return BRIM_CONF_SHAPE_NONE;
    return BRIM_CONF_SHAPE_SCALAR;
}

int brim_conf_yaml_line(const struct brim_conf_yaml_node *node)
{
    return line_of_mark(inside(node)->start_mark);
}

struct brim_str brim_conf_yaml_text(const struct brim_conf_yaml_node *node)
{
    const yaml_node_t *in = inside(node);

    INVARIANT(in->type == YAML_SCALAR_NODE);
    return brim_str((const char *)in->data.scalar.value, in->data.scalar.length);
}

size_t brim_conf_yaml_count(const struct brim_conf_yaml_node *node)
{
    const yaml_node_t *in = inside(node);

    if (in->type == YAML_SEQUENCE_NODE)
        return (size_t)(in->data.sequence.items.top - in->data.sequence.items.start);
    if (in->type == YAML_MAPPING_NODE)
        return (size_t)(in->data.mapping.pairs.top - in->data.mapping.pairs.start);
    return 0;
}

const struct brim_conf_yaml_node *brim_conf_yaml_value(const struct brim_conf_yaml *yaml,
                                                       const struct brim_conf_yaml_node *node,
                                                       size_t position)
{
    if (node == NULL || position >= brim_conf_yaml_count(node))
        return NULL;
    const yaml_node_t *in = inside(node);
    if (in->type == YAML_SEQUENCE_NODE)
        return node_at(yaml, in->data.sequence.items.start[position]);
    return node_at(yaml, in->data.mapping.pairs.start[position].value);
}

const struct brim_conf_yaml_node *brim_conf_yaml_key(const struct brim_conf_yaml *yaml,
                                                     const struct brim_conf_yaml_node *node,
                                                     size_t position)
{
    if (node == NULL || inside(node)->type != YAML_MAPPING_NODE ||
        position >= brim_conf_yaml_count(node))
        return NULL;
    return node_at(yaml, inside(node)->data.mapping.pairs.start[position].key);
}

const struct brim_conf_yaml_node *brim_conf_yaml_find(const struct brim_conf_yaml *yaml,
                                                      const struct brim_conf_yaml_node *node,
                                                      struct brim_str key)
{
    const struct brim_conf_yaml_node *name;

    for (size_t i = 0; (name = brim_conf_yaml_key(yaml, node, i)) != NULL; i++)
        if (inside(name)->type == YAML_SCALAR_NODE && brim_str_is(brim_conf_yaml_text(name), key))
            return brim_conf_yaml_value(yaml, node, i);
    return NULL;
}

/* One step down a path: *path_inout moves behind `key`, `.key` or `[index]`. NULL: not there. */
static const struct brim_conf_yaml_node *step(const struct brim_conf_yaml *yaml,
                                              const struct brim_conf_yaml_node *node,
                                              const char **path_inout)
{
    const char *path = *path_inout;

    if (path[0] == '[') {
        char *end;
        unsigned long index = strtoul(path + 1, &end, 10);

        if (*end != ']' || inside(node)->type != YAML_SEQUENCE_NODE)
            return NULL;
        *path_inout = end + 1;
        return brim_conf_yaml_value(yaml, node, index);
    }
    if (path[0] == '.')
        path++;
    size_t len = strcspn(path, ".[");
    *path_inout = path + len;
    return brim_conf_yaml_find(yaml, node, brim_str(path, len));
}

const struct brim_conf_yaml_node *brim_conf_yaml_path(const struct brim_conf_yaml *yaml,
                                                      const char *path, int *line_out)
{
    const struct brim_conf_yaml_node *node = brim_conf_yaml_root(yaml);

    *line_out = 0;
    while (node != NULL) {
        *line_out = brim_conf_yaml_line(node);
        if (path[0] == '\0')
            return node;
        node = step(yaml, node, &path);
    }
    return NULL;
}
