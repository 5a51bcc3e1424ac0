/* SPDX-License-Identifier: MIT */
/*
 * represent - where the content codings of a stored body stand: beside the object, each as an
 * object of its own that has a body and nothing else to say.
 *
 * Their key has the id of the body in it. So a coding is never found for other bytes than those
 * that it was made from; a 304 that renews the object keeps its codings, and what takes the object
 * away makes them unreachable.
 */
#ifndef BRIM_CACHE_REPRESENT_H
#define BRIM_CACHE_REPRESENT_H

#include "brim/cache/object.h"
#include "brim/http/coding.h"

#define BRIM_REPRESENT_TEXT_ROOM 40u /* that a key text grows by */

/* Writes the key text of the coding of object's body; buffer has room for object->key.text.len +
 * BRIM_REPRESENT_TEXT_ROOM, and the key borrows it. Thread: any. */
struct brim_key brim_represent_key(const struct brim_object *object, enum brim_coding coding,
                                   char *buffer);

#endif
