/* SPDX-License-Identifier: MIT */
/*
 * conf_yaml - a YAML file as a tree of nodes that know their lines.
 *
 * Main invariant: the tree is bounded (bytes, nodes, depth) and every node stands in the file
 * once: no anchors, aliases or tags. Knows nothing about options.
 */
#ifndef BRIM_BASE_CONF_YAML_H
#define BRIM_BASE_CONF_YAML_H

#include <stddef.h>

#include "brim/base/conf_fault.h"
#include "brim/base/err.h"
#include "brim/base/str.h"

struct brim_conf_yaml;      /* opaque: owns the tree */
struct brim_conf_yaml_node; /* opaque: lives as long as its tree */

enum brim_conf_shape {
    BRIM_CONF_SHAPE_NONE, /* `key:` without a value, `~` or `null` */
    BRIM_CONF_SHAPE_SCALAR,
    BRIM_CONF_SHAPE_SEQUENCE,
    BRIM_CONF_SHAPE_MAPPING,
};

/*
 * Reads the file at path; what is wrong is noted in faults.
 *
 * Owns:   on BRIM_OK *yaml_out is the caller's.
 * Errors: BRIM_EINVAL noted; BRIM_ENOMEM.
 * Thread: init or control.
 */
BRIM_MUST_USE enum brim_err brim_conf_yaml_open(const char *path, struct brim_conf_faults *faults,
                                                struct brim_conf_yaml **yaml_out);
void brim_conf_yaml_close(struct brim_conf_yaml *yaml);

/* The outermost node; NULL if the file holds none. */
const struct brim_conf_yaml_node *brim_conf_yaml_root(const struct brim_conf_yaml *yaml);

enum brim_conf_shape brim_conf_yaml_shape(const struct brim_conf_yaml_node *node);
int brim_conf_yaml_line(const struct brim_conf_yaml_node *node);

/* Bytes of a scalar (also of one that means "none"); NUL-terminated, but may hold NUL as well. */
struct brim_str brim_conf_yaml_text(const struct brim_conf_yaml_node *node);

/* Members of a sequence, pairs of a mapping, 0 of anything else. */
size_t brim_conf_yaml_count(const struct brim_conf_yaml_node *node);

/* Member of a sequence, value of a pair; NULL if there is none. */
const struct brim_conf_yaml_node *brim_conf_yaml_value(const struct brim_conf_yaml *yaml,
                                                       const struct brim_conf_yaml_node *node,
                                                       size_t position);

/* Key of a pair; NULL if there is none. */
const struct brim_conf_yaml_node *brim_conf_yaml_key(const struct brim_conf_yaml *yaml,
                                                     const struct brim_conf_yaml_node *node,
                                                     size_t position);

/* Value of the first pair with that key; NULL if there is none or node (may be NULL) is no mapping.
 */
const struct brim_conf_yaml_node *brim_conf_yaml_find(const struct brim_conf_yaml *yaml,
                                                      const struct brim_conf_yaml_node *node,
                                                      struct brim_str key);

/* The node at a path such as "sites[0].routes[2].path", or NULL; *line_out: its line, or that of
 * the nearest parent in the file, or 0. */
const struct brim_conf_yaml_node *brim_conf_yaml_path(const struct brim_conf_yaml *yaml,
                                                      const char *path, int *line_out);

#endif
