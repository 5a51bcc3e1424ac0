/* SPDX-License-Identifier: MIT */
/*
 * One allocation: the struct, the fields (with room for conditions and Range), then all strings and
 * the body, each copied behind the one before.
 */
#include "brim/origin/letter.h"

#include <stdlib.h>

#include "brim/base/invariant.h"
#include "brim/http/date.h"
#include "brim/http/vary.h"

#define CONDITIONS_MAX 3u

struct brim_letter {
    struct brim_key key;
    struct brim_key primary;
    struct brim_str method;
    struct brim_str target;
    struct brim_str host;
    struct brim_str host_sent;
    struct brim_str body;
    bool has_body;
    struct brim_object *stale; /* counted */
    size_t field_count;
    size_t condition_count; /* stand behind the fields */
    char modified_since[BRIM_DATE_BYTES];
    struct brim_field fields[];
};

static size_t text_bytes(const struct brim_flight_ask *ask)
{
    size_t bytes = ask->key.text.len + ask->primary.text.len + ask->method.len + ask->target.len +
                   ask->host.len + ask->host_sent.len + ask->range.len +
                   (ask->has_body ? ask->body_bytes : 0);

    for (size_t i = 0; i < ask->fields.count; i++)
        bytes += ask->fields.items[i].name.len + ask->fields.items[i].value.len;
    return bytes;
}

static struct brim_str put(char **at, struct brim_str text)
{
    struct brim_str copy = brim_str(*at, text.len);

    if (text.len > 0)
        memcpy(*at, text.base, text.len);
    *at += text.len;
    return copy;
}

/* If-None-Match with the entity tag, If-Modified-Since with the date where there is one. */
static void add_conditions(struct brim_letter *letter)
{
    struct brim_field *field = &letter->fields[letter->field_count];
    const struct brim_object *stale = letter->stale;

    if (stale->etag.len > 0)
        field[letter->condition_count++] =
            (struct brim_field){BRIM_STR("if-none-match"), stale->etag};
    if (stale->last_modified_wall_s >= 0) {
        brim_date_format(stale->last_modified_wall_s, letter->modified_since);
        field[letter->condition_count++] = (struct brim_field){
            BRIM_STR("if-modified-since"), brim_str(letter->modified_since, BRIM_DATE_BYTES)};
    }
}

struct brim_letter *brim_letter_new(const struct brim_flight_ask *ask)
{
    size_t room = ask->fields.count + CONDITIONS_MAX;
    struct brim_letter *letter =
        calloc(1, sizeof(*letter) + room * sizeof(struct brim_field) + text_bytes(ask));
    char *at;

    if (letter == NULL)
        return NULL;
    at = (char *)&letter->fields[room];
    letter->key = (struct brim_key){ask->key.digest, put(&at, ask->key.text)};
    letter->primary = (struct brim_key){ask->primary.digest, put(&at, ask->primary.text)};
    letter->method = put(&at, ask->method);
    letter->target = put(&at, ask->target);
    letter->host = put(&at, ask->host);
    letter->host_sent = put(&at, ask->host_sent);
    letter->field_count = ask->fields.count;
    for (size_t i = 0; i < ask->fields.count; i++) {
        letter->fields[i].name = put(&at, ask->fields.items[i].name);
        letter->fields[i].value = put(&at, ask->fields.items[i].value);
    }
    letter->has_body = ask->has_body;
    if (ask->has_body)
        letter->body = put(&at, brim_str(ask->body, ask->body_bytes));
    if (ask->kind == BRIM_FLIGHT_SLICE)
        letter->fields[letter->field_count + letter->condition_count++] =
            (struct brim_field){BRIM_STR("range"), put(&at, ask->range)};
    if (ask->stale != NULL) {
        letter->stale = brim_object_ref(ask->stale);
        add_conditions(letter);
    }
    return letter;
}

void brim_letter_free(struct brim_letter *letter)
{
    if (letter == NULL)
        return;
    brim_object_unref(letter->stale);
    free(letter);
}

const struct brim_key *brim_letter_key(const struct brim_letter *letter)
{
    return &letter->key;
}

const struct brim_key *brim_letter_primary(const struct brim_letter *letter)
{
    return &letter->primary;
}

struct brim_str brim_letter_method(const struct brim_letter *letter)
{
    return letter->method;
}

struct brim_str brim_letter_host_sent(const struct brim_letter *letter)
{
    return letter->host_sent;
}

struct brim_fields brim_letter_fields(const struct brim_letter *letter)
{
    return (struct brim_fields){letter->fields, letter->field_count};
}

struct brim_object *brim_letter_stale(const struct brim_letter *letter)
{
    return letter->stale;
}

void brim_letter_request(const struct brim_letter *letter, enum brim_letter_form form,
                         struct brim_fetch_request *request_out)
{
    size_t conditions = form == BRIM_LETTER_CONDITIONAL ? letter->condition_count : 0;
    /* What is only for the key stands first (serve/lookup.c). */
    size_t own =
        letter->field_count > 0 && brim_str_is(letter->fields[0].name, BRIM_STR(BRIM_VARY_KEY)) ? 1
                                                                                                : 0;

    *request_out = (struct brim_fetch_request){
        .method = letter->method,
        .target = letter->target,
        .host = letter->host,
        .fields = {letter->fields + own, letter->field_count - own + conditions},
        .body = letter->body.base,
        .body_bytes = letter->body.len,
        .has_body = letter->has_body,
    };
}
