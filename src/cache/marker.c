/* SPDX-License-Identifier: MIT */
#include "brim/cache/marker.h"

#include <stdlib.h>

#include "brim/base/invariant.h"
#include "brim/http/vary.h"

#define VARY_TEXT_MAX ((size_t)8 * 1024)

static int order_of(struct brim_str a, struct brim_str b)
{
    int order = memcmp(a.base, b.base, a.len < b.len ? a.len : b.len);

    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

/* Merges two lists, both sorted and unique, into one of the kind. 0: too many together. */
static size_t unite(struct brim_fields old, const struct brim_str *names, size_t count,
                    struct brim_field out[static BRIM_VARY_NAMES_MAX])
{
    size_t i = 0, j = 0, n = 0;

    while (i < old.count || j < count) {
        int order = i == old.count ? 1 : -1;

        if (i < old.count && j < count)
            order = order_of(old.items[i].name, names[j]);
        if (n == BRIM_VARY_NAMES_MAX)
            return 0;
        out[n++] = (struct brim_field){.name = order <= 0 ? old.items[i].name : names[j],
                                       .value = brim_str("", 0)};
        i += order <= 0;
        j += order >= 0;
    }
    return n;
}

enum brim_err brim_marker_make(const struct brim_object_spec *spec, struct brim_fields request,
                               struct brim_object *old, struct brim_object **marker_out)
{
    struct brim_str names[BRIM_VARY_NAMES_MAX];
    struct brim_field fields[BRIM_VARY_NAMES_MAX];
    struct brim_fields old_fields = {.items = NULL};
    struct brim_object_spec marker = {.kind = BRIM_OBJECT_VARY,
                                      .key = spec->primary,
                                      .primary = spec->primary,
                                      .seq = spec->seq,
                                      .fresh = spec->fresh,
                                      .body_id = spec->body_id};
    char scratch[VARY_TEXT_MAX];
    size_t count, united;

    *marker_out = NULL;
    if (brim_vary_names_for(request, spec->fields, scratch, sizeof(scratch), names, &count) !=
        BRIM_OK)
        return BRIM_ELIMIT; /* unreadable is as good as too long: nothing to select by */
    if (count == 0)
        return BRIM_ENOENT;
    if (old != NULL)
        old_fields = old->fields;
    united = unite(old_fields, names, count, fields);
    if (old != NULL && united == old_fields.count) {
        *marker_out = brim_object_ref(old);
        return BRIM_OK;
    }
    if (united == 0)
        united = unite((struct brim_fields){.items = NULL}, names, count, fields);
    marker.fields = (struct brim_fields){.items = fields, .count = united};
    if (old != NULL && old->seq > marker.seq)
        marker.seq = old->seq; /* variants stored after a purge stay found */
    return brim_object_new(&marker, marker_out);
}

enum brim_err brim_marker_variant(const struct brim_key *primary, const struct brim_fields *names,
                                  struct brim_fields request, char **text_out,
                                  struct brim_key *key_out)
{
    size_t size = primary->text.len + 512;
    enum brim_err err = BRIM_ELIMIT;

    *text_out = NULL;
    for (;; size = BRIM_KEY_TEXT_MAX) {
        char *text = malloc(size);

        if (text == NULL)
            return BRIM_ENOMEM;
        err = brim_key_variant(primary, names, request, text, size, key_out);
        if (err == BRIM_OK) {
            *text_out = text;
            return BRIM_OK;
        }
        free(text);
        if (size >= BRIM_KEY_TEXT_MAX)
            return err;
    }
}
