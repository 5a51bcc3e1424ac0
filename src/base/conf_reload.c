/* SPDX-License-Identifier: MIT */
#include "brim/base/conf_reload.h"

#include <stdlib.h>
#include <string.h>

#include "brim/base/conf_fault.h"
#include "brim/base/conf_table.h"
#include "brim/base/invariant.h"

/* The same place in two configs. */
struct place {
    const unsigned char *running;
    const unsigned char *next;
};

struct walk {
    struct brim_conf_faults faults; /* of next */
    struct brim_conf_text path;
};

static int line_for_faults(const void *ctx, const char *path)
{
    return brim_conf_line(ctx, path);
}

static void fault_changed(struct walk *walk)
{
    brim_conf_fault(&walk->faults, walk->path.bytes,
                    "was changed and needs a restart; accepted: the value that is in force");
}

static bool needs_restart(const struct brim_conf_table *table)
{
    for (size_t i = 0; i < table->field_count; i++) {
        const struct brim_conf_field *field = &table->fields[i];

        if (field->kind == BRIM_CONF_OPTION ? field->reload == BRIM_CONF_START
                                            : needs_restart(field->table))
            return true;
    }
    return false;
}

static bool is_same_text(struct place place)
{
    const char *running, *next;

    memcpy(&running, place.running, sizeof(running));
    memcpy(&next, place.next, sizeof(next));
    return strcmp(running, next) == 0;
}

static bool is_same_strings(struct place place)
{
    struct brim_conf_strings running, next;

    memcpy(&running, place.running, sizeof(running));
    memcpy(&next, place.next, sizeof(next));
    if (running.count != next.count)
        return false;
    for (size_t i = 0; i < next.count; i++)
        if (strcmp(running.items[i], next.items[i]) != 0)
            return false;
    return true;
}

static bool is_same_option(const struct brim_conf_field *field, struct place place)
{
    switch (field->type) {
    case BRIM_CONF_TYPE_STRING:
    case BRIM_CONF_TYPE_FILE:
    case BRIM_CONF_TYPE_URL:
    case BRIM_CONF_TYPE_ADDRESS:
        return is_same_text(place);
    case BRIM_CONF_TYPE_STRINGS:
        return is_same_strings(place);
    default:
        return memcmp(place.running, place.next, brim_conf_table_type_bytes(field->type)) == 0;
    }
}

static void walk_table(struct walk *walk, const struct brim_conf_table *table, struct place base);

/* base: of the struct that holds the list. */
static void walk_list(struct walk *walk, const struct brim_conf_field *field, struct place base)
{
    size_t running_count, next_count;
    struct place items;

    memcpy(&running_count, base.running + field->count_offset, sizeof(running_count));
    memcpy(&next_count, base.next + field->count_offset, sizeof(next_count));
    if (running_count != next_count) {
        fault_changed(walk);
        return;
    }
    memcpy(&items.running, base.running + field->offset, sizeof(items.running));
    memcpy(&items.next, base.next + field->offset, sizeof(items.next));
    for (size_t i = 0; i < next_count; i++) {
        size_t shift = i * field->table->struct_bytes;
        size_t before = walk->path.len;

        brim_conf_text_add(&walk->path, "[%zu]", i);
        walk_table(walk, field->table,
                   (struct place){.running = items.running + shift, .next = items.next + shift});
        brim_conf_text_cut(&walk->path, before);
    }
}

static void walk_field(struct walk *walk, const struct brim_conf_field *field, struct place base)
{
    struct place slot = {.running = base.running + field->offset,
                         .next = base.next + field->offset};

    switch (field->kind) {
    case BRIM_CONF_OPTION:
        if (field->reload == BRIM_CONF_START && !is_same_option(field, slot))
            fault_changed(walk);
        break;
    case BRIM_CONF_MAPPING:
        walk_table(walk, field->table, slot);
        break;
    case BRIM_CONF_LIST:
        if (needs_restart(field->table))
            walk_list(walk, field, base);
        break;
    }
}

static void walk_table(struct walk *walk, const struct brim_conf_table *table, struct place base)
{
    for (size_t i = 0; i < table->field_count; i++) {
        size_t before = walk->path.len;

        brim_conf_text_add(&walk->path, "%s%s", before == 0 ? "" : ".", table->fields[i].key);
        walk_field(walk, &table->fields[i], base);
        brim_conf_text_cut(&walk->path, before);
    }
}

enum brim_err brim_conf_reload_check(const struct brim_conf *running, const struct brim_conf *next,
                                     FILE *faults)
{
    struct walk *walk = brim_alloc(sizeof(*walk));
    struct place root = {.running = (const unsigned char *)brim_conf_root(running),
                         .next = (const unsigned char *)brim_conf_root(next)};

    INVARIANT(faults != NULL);
    walk->faults.file = brim_conf_path(next);
    walk->faults.line_of = line_for_faults;
    walk->faults.ctx = next;
    walk_table(walk, &brim_conf_table_root, root);

    enum brim_err err = walk->faults.count == 0 ? BRIM_OK : BRIM_EINVAL;
    brim_conf_faults_flush(&walk->faults, faults);
    free(walk);
    return err;
}
