/* SPDX-License-Identifier: MIT */
/*
 * From a file to a checked root, in passes that each name every fault they find:
 *
 *   tree      conf_yaml: syntax, and bounds on what the file may hold
 *   bind      one recursion over the option table and the tree: unknown, repeated and missing keys,
 *             types, ranges; defaults are bound by the same code from the table's texts
 *   derive    what depends on whether a key was given: routes inherit the rules of their site
 *   check     conf_check: what must hold between values
 *
 * It is libyaml directly, not libcyaml on top of it, because a fault names its line: conf_yaml.c
 * says more. The tree is kept with the conf, so that brim_conf_line() answers as long as it lives.
 *
 * Recursion is as deep as the table, whatever the file holds. Memory hangs on the conf as a list of
 * blocks and is bounded by the size of the file, so it counts as small and exhaustion aborts.
 */
#include "brim/base/conf.h"

#include <stdlib.h>
#include <string.h>

#include "brim/base/conf_check.h"
#include "brim/base/conf_fault.h"
#include "brim/base/conf_value.h"
#include "brim/base/conf_yaml.h"
#include "brim/base/invariant.h"

#define CONF_MAGIC 0x636f6e66u

/* Memory of a conf: a list of blocks that are freed together. */
struct block {
    struct block *next;
    _Alignas(max_align_t) unsigned char bytes[];
};

struct brim_conf {
    uint32_t magic;
    char *path;
    struct block *blocks;
    struct brim_conf_yaml *yaml;
    struct brim_conf_root root;
};

struct binder {
    struct brim_conf *conf;
    struct brim_conf_faults faults;
    struct brim_conf_text path; /* of the value that is being bound */
};

static void *conf_alloc(struct brim_conf *conf, size_t bytes)
{
    struct block *block = brim_alloc(sizeof(*block) + bytes);

    block->next = conf->blocks;
    conf->blocks = block;
    return block->bytes;
}

static char *conf_strdup(struct brim_conf *conf, const char *text)
{
    size_t bytes = strlen(text) + 1;

    return memcpy(conf_alloc(conf, bytes), text, bytes);
}

/* ---- paths: push returns what pop needs ---- */

static size_t push_key(struct binder *binder, const char *key)
{
    size_t before = binder->path.len;

    brim_conf_text_add(&binder->path, "%s%s", before == 0 ? "" : ".", key);
    return before;
}

static size_t push_index(struct binder *binder, size_t index)
{
    size_t before = binder->path.len;

    brim_conf_text_add(&binder->path, "[%zu]", index);
    return before;
}

static void pop(struct binder *binder, size_t before)
{
    brim_conf_text_cut(&binder->path, before);
}

static const char *shape_text(const struct brim_conf_yaml_node *node)
{
    static const char *const texts[] = {
        [BRIM_CONF_SHAPE_NONE] = "has no value",
        [BRIM_CONF_SHAPE_SCALAR] = "is a single value",
        [BRIM_CONF_SHAPE_SEQUENCE] = "is a sequence",
        [BRIM_CONF_SHAPE_MAPPING] = "is a mapping",
    };

    return texts[brim_conf_yaml_shape(node)];
}

static bool has_shape(const struct brim_conf_yaml_node *node, enum brim_conf_shape shape)
{
    return node != NULL && brim_conf_yaml_shape(node) == shape;
}

/* ---- bind ---- */

static void fault_at_node(struct binder *binder, const struct brim_conf_yaml_node *node,
                          const char *wrong, const char *accepted)
{
    brim_conf_fault_at(&binder->faults, brim_conf_yaml_line(node), binder->path.bytes,
                       "%s; accepted: %s", wrong, accepted);
}

static void add_keys(struct brim_conf_text *out, const struct brim_conf_table *table)
{
    for (size_t i = 0; i < table->field_count; i++)
        brim_conf_text_add(out, "%s%s", i == 0 ? "" : ", ", table->fields[i].key);
}

static bool has_key(const struct brim_conf_table *table, const char *word)
{
    for (size_t i = 0; i < table->field_count; i++)
        if (strcmp(table->fields[i].key, word) == 0)
            return true;
    return false;
}

/* What a field of any kind accepts. */
static void add_accepted(struct brim_conf_text *out, const struct brim_conf_field *field)
{
    switch (field->kind) {
    case BRIM_CONF_OPTION:
        brim_conf_value_add_accepted(out, field);
        brim_conf_value_add_examples(out, field);
        break;
    case BRIM_CONF_MAPPING:
        brim_conf_text_add(out, "a mapping with ");
        add_keys(out, field->table);
        break;
    case BRIM_CONF_LIST:
        brim_conf_text_add(out, "a sequence of %lld to %lld mappings with ", (long long)field->min,
                           (long long)field->max);
        add_keys(out, field->table);
        break;
    }
}

static void fault_wrong(struct binder *binder, const struct brim_conf_yaml_node *node,
                        const struct brim_conf_field *field, const char *wrong)
{
    struct brim_conf_text accepted = {.len = 0};

    add_accepted(&accepted, field);
    fault_at_node(binder, node, wrong, accepted.bytes);
}

static void fault_wrong_member(struct binder *binder, const struct brim_conf_yaml_node *node,
                               const struct brim_conf_field *list)
{
    struct brim_conf_text accepted = {.len = 0};

    brim_conf_text_add(&accepted, "a mapping with ");
    add_keys(&accepted, list->table);
    fault_at_node(binder, node, shape_text(node), accepted.bytes);
}

static void fault_missing(struct binder *binder, int line, const struct brim_conf_field *field)
{
    struct brim_conf_text accepted = {.len = 0};

    add_accepted(&accepted, field);
    brim_conf_fault_at(&binder->faults, line, binder->path.bytes,
                       "is missing and has no default; accepted: %s", accepted.bytes);
}

/* Reads one text for field. Errors: BRIM_EINVAL, noted as a fault of node. */
static enum brim_err parse_node(struct binder *binder, const struct brim_conf_field *field,
                                const struct brim_conf_yaml_node *node,
                                union brim_conf_value *value_out)
{
    struct brim_conf_text wrong = {.len = 0};
    const char *why = NULL;

    *value_out = (union brim_conf_value){.text = NULL};
    if (!has_shape(node, BRIM_CONF_SHAPE_SCALAR)) {
        brim_conf_text_add(&wrong, "%s", shape_text(node));
    } else {
        struct brim_str text = brim_conf_yaml_text(node);

        if (strlen(text.base) != text.len)
            why = "has a NUL byte";
        else if (brim_conf_value_parse(field, text.base, value_out, &why) == BRIM_OK)
            return BRIM_OK;
        brim_conf_text_add_input(&wrong, text.base);
        brim_conf_text_add(&wrong, " %s", why);
    }
    fault_wrong(binder, node, field, wrong.bytes);
    return BRIM_EINVAL;
}

/* Copies a text that stays with the conf. A URL loses the one slash that may end it, so that
 * readers find scheme, host and port only. */
static char *keep_text(struct brim_conf *conf, enum brim_conf_type type, const char *text)
{
    char *copy = conf_strdup(conf, text);
    size_t len = strlen(copy);

    if (type == BRIM_CONF_TYPE_URL && len > 0 && copy[len - 1] == '/')
        copy[len - 1] = '\0';
    return copy;
}

/* The words of text. Where a list may not be empty, a text without any is a list of one, which has
 * to be refused as what it is. */
static struct brim_conf_strings split(struct brim_conf *conf, const struct brim_conf_field *field,
                                      const char *text)
{
    struct brim_conf_strings strings = {.items = NULL};
    char *copy = conf_strdup(conf, text), *rest = copy, *word;

    strings.items = conf_alloc(conf, (strlen(text) / 2 + 1) * sizeof(*strings.items));
    while ((word = strsep(&rest, " ")) != NULL)
        if (word[0] != '\0')
            strings.items[strings.count++] = word;
    if (strings.count == 0 && field->min > 0)
        strings.items[strings.count++] = copy;
    return strings;
}

static void store(struct binder *binder, const struct brim_conf_field *field,
                  const union brim_conf_value *value, void *slot)
{
    struct brim_conf_strings strings = {.items = NULL};
    char *text;

    switch (field->type) {
    case BRIM_CONF_TYPE_BOOL:
        memcpy(slot, &value->is_on, sizeof(value->is_on));
        break;
    case BRIM_CONF_TYPE_INT:
    case BRIM_CONF_TYPE_DURATION:
        memcpy(slot, &value->number, sizeof(value->number));
        break;
    case BRIM_CONF_TYPE_SIZE:
        memcpy(slot, &value->bytes, sizeof(value->bytes));
        break;
    case BRIM_CONF_TYPE_CHOICE:
        memcpy(slot, &value->choice, sizeof(value->choice));
        break;
    case BRIM_CONF_TYPE_STRINGS: /* one text stands for the list of its words */
        strings = split(binder->conf, field, value->text);
        memcpy(slot, &strings, sizeof(strings));
        break;
    default:
        text = keep_text(binder->conf, field->type, value->text);
        memcpy(slot, &text, sizeof(text));
        break;
    }
}

/* Whether field allows that many members; if not, it is noted. */
static bool has_count(struct binder *binder, const struct brim_conf_field *field,
                      const struct brim_conf_yaml_node *node, size_t count)
{
    struct brim_conf_text wrong = {.len = 0};

    if ((int64_t)count >= field->min && (int64_t)count <= field->max)
        return true;
    brim_conf_text_add(&wrong, "has %zu members", count);
    fault_wrong(binder, node, field, wrong.bytes);
    return false;
}

/* A sequence of texts. */
static void bind_strings(struct binder *binder, const struct brim_conf_field *field,
                         const struct brim_conf_yaml_node *node, struct brim_conf_strings *strings)
{
    size_t count = brim_conf_yaml_count(node);

    if (!has_count(binder, field, node, count))
        return;
    strings->items = conf_alloc(binder->conf, count * sizeof(*strings->items));
    for (size_t i = 0; i < count; i++) {
        union brim_conf_value value;
        size_t before = push_index(binder, i);

        if (parse_node(binder, field, brim_conf_yaml_value(binder->conf->yaml, node, i), &value) ==
            BRIM_OK)
            strings->items[i] = conf_strdup(binder->conf, value.text);
        strings->count++; /* a faulty member stays NULL, so that positions are those of the file */
        pop(binder, before);
    }
}

static void bind_default(struct binder *binder, const struct brim_conf_field *field, void *slot)
{
    union brim_conf_value value;
    const char *why;

    INVARIANT(field->def != NULL);
    enum brim_err err = brim_conf_value_parse(field, field->def, &value, &why);
    INVARIANT(err == BRIM_OK);
    store(binder, field, &value, slot);
}

static void bind_option(struct binder *binder, const struct brim_conf_field *field,
                        const struct brim_conf_yaml_node *node, void *slot)
{
    union brim_conf_value value;

    if (field->type == BRIM_CONF_TYPE_STRINGS && has_shape(node, BRIM_CONF_SHAPE_SEQUENCE))
        bind_strings(binder, field, node, slot);
    else if (node != NULL && parse_node(binder, field, node, &value) == BRIM_OK)
        store(binder, field, &value, slot);
    else if (field->def != NULL) /* not given; or faulty, and conf_check finds a plausible value */
        bind_default(binder, field, slot);
}

static void bind_mapping(struct binder *binder, const struct brim_conf_table *table,
                         const struct brim_conf_yaml_node *node, int line, void *base);

static void bind_list(struct binder *binder, const struct brim_conf_field *field,
                      const struct brim_conf_yaml_node *node, void *base)
{
    enum brim_conf_shape shape = brim_conf_yaml_shape(node);
    size_t bytes = field->table->struct_bytes;
    size_t count = brim_conf_yaml_count(node);
    unsigned char *items;

    /* A key whose members are all commented out is an empty list. */
    if (shape != BRIM_CONF_SHAPE_SEQUENCE && !(shape == BRIM_CONF_SHAPE_NONE && field->min == 0)) {
        fault_wrong(binder, node, field, shape_text(node));
        return;
    }
    if (!has_count(binder, field, node, count))
        return;
    items = conf_alloc(binder->conf, count * bytes);
    for (size_t i = 0; i < count; i++) {
        const struct brim_conf_yaml_node *member =
            brim_conf_yaml_value(binder->conf->yaml, node, i);
        size_t before = push_index(binder, i);

        if (has_shape(member, BRIM_CONF_SHAPE_MAPPING))
            bind_mapping(binder, field->table, member, brim_conf_yaml_line(member),
                         items + i * bytes);
        else
            fault_wrong_member(binder, member, field);
        pop(binder, before);
    }
    memcpy((unsigned char *)base + field->offset, &items, sizeof(items));
    memcpy((unsigned char *)base + field->count_offset, &count, sizeof(count));
}

/* node: the value, or NULL if the key is not in the file; line: of the mapping around it. */
static void bind_field(struct binder *binder, const struct brim_conf_field *field,
                       const struct brim_conf_yaml_node *node, int line, void *base)
{
    void *slot = (unsigned char *)base + field->offset;
    bool is_required = (field->kind == BRIM_CONF_OPTION && field->def == NULL) ||
                       (field->kind == BRIM_CONF_LIST && field->min > 0);

    if (node == NULL && is_required) {
        fault_missing(binder, line, field);
        return;
    }
    switch (field->kind) {
    case BRIM_CONF_OPTION:
        bind_option(binder, field, node, slot);
        break;
    case BRIM_CONF_LIST:
        if (node != NULL)
            bind_list(binder, field, node, base);
        break;
    case BRIM_CONF_MAPPING:
        if (has_shape(node, BRIM_CONF_SHAPE_SCALAR) || has_shape(node, BRIM_CONF_SHAPE_SEQUENCE)) {
            fault_wrong(binder, node, field, shape_text(node));
            node = NULL; /* its defaults, for conf_check */
        }
        bind_mapping(binder, field->table, node, node == NULL ? line : brim_conf_yaml_line(node),
                     slot);
        break;
    }
}

/* Position of key's field in table; field_count: unknown. */
static size_t find_field(const struct brim_conf_table *table, struct brim_str key)
{
    size_t i = 0;

    while (i < table->field_count && !brim_str_is(brim_str_of(table->fields[i].key), key))
        i++;
    return i;
}

/* Whether word is an option of the cache section that table's mappings have. */
static bool is_of_its_cache(const struct brim_conf_table *table, const char *word)
{
    size_t i = find_field(table, BRIM_STR("cache"));

    return i < table->field_count && table->fields[i].table == &brim_conf_table_rules &&
           has_key(&brim_conf_table_rules, word);
}

static void fault_unknown_key(struct binder *binder, const struct brim_conf_table *table,
                              const struct brim_conf_yaml_node *key)
{
    struct brim_conf_text text = {.len = 0};
    const char *word = brim_conf_yaml_text(key).base;
    const char *nearest = NULL;
    size_t best = SIZE_MAX;
    size_t before = binder->path.len;

    for (size_t i = 0; i < table->field_count; i++) {
        size_t distance = brim_conf_fault_distance(word, table->fields[i].key);

        if (distance < best) {
            best = distance;
            nearest = table->fields[i].key;
        }
    }
    brim_conf_text_add(&text, "unknown key");
    if (brim_conf_fault_is_near(word, best))
        brim_conf_text_add(&text, ", perhaps \"%s\"", nearest);
    if (strcmp(binder->path.bytes, "cache") == 0 && has_key(&brim_conf_table_rules, word))
        brim_conf_text_add(&text, " here: it stands in sites[].cache");
    if (is_of_its_cache(table, word))
        brim_conf_text_add(&text, " here: it stands in %s.cache", binder->path.bytes);
    brim_conf_text_add(&text, "; accepted: ");
    add_keys(&text, table);
    brim_conf_text_add(&binder->path, "%s", before == 0 ? "" : ".");
    brim_conf_text_add_shown(&binder->path, word);
    brim_conf_fault_at(&binder->faults, brim_conf_yaml_line(key), binder->path.bytes, "%s",
                       text.bytes);
    pop(binder, before);
}

/* Sorts the pairs of a mapping by field: found[i] is the value of field i, or stays NULL. */
static void collect_pairs(struct binder *binder, const struct brim_conf_table *table,
                          const struct brim_conf_yaml_node *node,
                          const struct brim_conf_yaml_node **found)
{
    const struct brim_conf_yaml *yaml = binder->conf->yaml;
    const struct brim_conf_yaml_node *key;
    int first_line[BRIM_CONF_FIELDS_MAX] = {0};

    for (size_t n = 0; (key = brim_conf_yaml_key(yaml, node, n)) != NULL; n++) {
        int line = brim_conf_yaml_line(key);

        if (!has_shape(key, BRIM_CONF_SHAPE_SCALAR)) {
            brim_conf_fault_at(&binder->faults, line, binder->path.bytes,
                               "a key %s; accepted: the name of an option", shape_text(key));
            continue;
        }
        size_t i = find_field(table, brim_conf_yaml_text(key));
        if (i == table->field_count) {
            fault_unknown_key(binder, table, key);
        } else if (found[i] != NULL) {
            size_t before = push_key(binder, table->fields[i].key);

            brim_conf_fault_at(&binder->faults, line, binder->path.bytes,
                               "was given before, in line %d; accepted: once", first_line[i]);
            pop(binder, before);
        } else {
            found[i] = brim_conf_yaml_value(yaml, node, n);
            first_line[i] = line;
        }
    }
}

static void bind_mapping(struct binder *binder, const struct brim_conf_table *table,
                         const struct brim_conf_yaml_node *node, int line, void *base)
{
    const struct brim_conf_yaml_node *found[BRIM_CONF_FIELDS_MAX] = {NULL};

    INVARIANT(table->field_count <= BRIM_CONF_FIELDS_MAX);
    memcpy(base, &line, sizeof(line)); /* conf_table.c: the first member */
    if (has_shape(node, BRIM_CONF_SHAPE_MAPPING))
        collect_pairs(binder, table, node, found);
    for (size_t i = 0; i < table->field_count; i++) {
        size_t before = push_key(binder, table->fields[i].key);

        bind_field(binder, &table->fields[i], found[i], line, base);
        pop(binder, before);
    }
}

static void bind_root(struct binder *binder)
{
    const struct brim_conf_yaml_node *node = brim_conf_yaml_root(binder->conf->yaml);
    struct brim_conf_text keys = {.len = 0};

    add_keys(&keys, &brim_conf_table_root);
    if (node == NULL || has_shape(node, BRIM_CONF_SHAPE_NONE))
        brim_conf_fault_at(&binder->faults, 1, "", "the file is empty; accepted: a mapping with %s",
                           keys.bytes);
    else if (!has_shape(node, BRIM_CONF_SHAPE_MAPPING))
        brim_conf_fault_at(&binder->faults, brim_conf_yaml_line(node), "",
                           "the file %s; accepted: a mapping with %s", shape_text(node),
                           keys.bytes);
    else
        bind_mapping(binder, &brim_conf_table_root, node, brim_conf_yaml_line(node),
                     &binder->conf->root);
}

/* ---- derive ---- */

/* A mapping that a route has too, and takes from its site what it does not set. */
struct inherited {
    const char *key;
    const struct brim_conf_table *table;
    size_t in_site;
    size_t in_route;
};

#define INHERITED(member, table)                                                                   \
    {                                                                                              \
#member, &(table), offsetof(struct brim_conf_site, member),                                \
            offsetof(struct brim_conf_route, member)                                               \
    }

static void inherit(const struct brim_conf_yaml *yaml, const struct brim_conf_yaml_node *route_node,
                    const struct inherited *what, const struct brim_conf_site *site,
                    struct brim_conf_route *route)
{
    const struct brim_conf_yaml_node *own =
        brim_conf_yaml_find(yaml, route_node, brim_str_of(what->key));
    const unsigned char *from = (const unsigned char *)site + what->in_site;
    unsigned char *to = (unsigned char *)route + what->in_route;

    for (size_t i = 0; i < what->table->field_count; i++) {
        const struct brim_conf_field *field = &what->table->fields[i];

        if (own == NULL || brim_conf_yaml_find(yaml, own, brim_str_of(field->key)) == NULL)
            memcpy(to + field->offset, from + field->offset,
                   brim_conf_table_type_bytes(field->type));
    }
}

/* The root is bound, perhaps with faults; a list that was not usable is empty. */
static void derive(struct brim_conf *conf)
{
    static const struct inherited inherited[] = {
        INHERITED(cache, brim_conf_table_rules),
        INHERITED(jwt, brim_conf_table_jwt),
        INHERITED(basic_auth, brim_conf_table_basic_auth),
        INHERITED(cors, brim_conf_table_cors),
        INHERITED(security_headers, brim_conf_table_security_headers),
        INHERITED(signed_url, brim_conf_table_signed_url),
    };
    const struct brim_conf_yaml *yaml = conf->yaml;
    struct brim_conf_root *root = &conf->root;
    const struct brim_conf_yaml_node *sites =
        brim_conf_yaml_find(yaml, brim_conf_yaml_root(yaml), BRIM_STR("sites"));
    int line;

    for (size_t i = 0; i < root->sites.count; i++) {
        struct brim_conf_site *site = &root->sites.items[i];
        const struct brim_conf_yaml_node *routes =
            brim_conf_yaml_find(yaml, brim_conf_yaml_value(yaml, sites, i), BRIM_STR("routes"));

        for (size_t j = 0; j < site->routes.count; j++)
            for (size_t k = 0; k < sizeof(inherited) / sizeof(inherited[0]); k++)
                inherit(yaml, brim_conf_yaml_value(yaml, routes, j), &inherited[k], site,
                        &site->routes.items[j]);
    }

    /* A default is not the operator's word: it gives way where it does not fit. */
    if (root->cache.memory_object_bytes > root->cache.memory_bytes &&
        brim_conf_yaml_path(yaml, "cache.memory_object", &line) == NULL)
        root->cache.memory_object_bytes = root->cache.memory_bytes;
    if (root->limits.request_body_bytes > brim_conf_check_body_max(&root->limits) &&
        brim_conf_yaml_path(yaml, "limits.request_body", &line) == NULL)
        root->limits.request_body_bytes = brim_conf_check_body_max(&root->limits);
}

/* ---- load ---- */

static int line_for_faults(const void *ctx, const char *path)
{
    return brim_conf_line(ctx, path);
}

/* Runs all passes; faults are noted in binder. */
static enum brim_err load(struct binder *binder)
{
    struct brim_conf *conf = binder->conf;
    enum brim_err err = brim_conf_yaml_open(conf->path, &binder->faults, &conf->yaml);

    if (err != BRIM_OK)
        return err;
    bind_root(binder);
    derive(conf);
    brim_conf_check(&conf->root, &binder->faults);
    return binder->faults.count == 0 ? BRIM_OK : BRIM_EINVAL;
}

enum brim_err brim_conf_load(const char *path, FILE *faults, struct brim_conf **conf_out)
{
    INVARIANT(path != NULL && faults != NULL);
    INVARIANT(conf_out != NULL);
    *conf_out = NULL;

    struct brim_conf *conf = brim_alloc(sizeof(*conf));
    struct binder *binder = brim_alloc(sizeof(*binder));
    conf->magic = CONF_MAGIC;
    conf->path = brim_strdup(path);
    binder->conf = conf;
    binder->faults.file = conf->path;
    binder->faults.line_of = line_for_faults;
    binder->faults.ctx = conf;

    enum brim_err err = load(binder);

    brim_conf_faults_flush(&binder->faults, faults);
    free(binder);
    if (err == BRIM_OK)
        *conf_out = conf;
    else
        brim_conf_free(conf);
    return err;
}

void brim_conf_free(struct brim_conf *conf)
{
    if (conf == NULL)
        return;
    OBJ_CHECK(conf, CONF_MAGIC);
    while (conf->blocks != NULL) {
        struct block *block = conf->blocks;

        conf->blocks = block->next;
        free(block);
    }
    brim_conf_yaml_close(conf->yaml);
    free(conf->path);
    conf->magic = 0;
    free(conf);
}

const struct brim_conf_root *brim_conf_root(const struct brim_conf *conf)
{
    OBJ_CHECK(conf, CONF_MAGIC);
    return &conf->root;
}

const char *brim_conf_path(const struct brim_conf *conf)
{
    OBJ_CHECK(conf, CONF_MAGIC);
    return conf->path;
}

int brim_conf_line(const struct brim_conf *conf, const char *path)
{
    int line;

    OBJ_CHECK(conf, CONF_MAGIC);
    INVARIANT(path != NULL);
    (void)brim_conf_yaml_path(conf->yaml, path, &line);
    return line;
}
