/* SPDX-License-Identifier: MIT */
/*
 * Two things come before what the client would like best.
 *
 * A client that has a coding already says so in If-None-Match; if it still takes that coding, that
 * is the one that is chosen, whether or not its bytes are there: it is told 304. And a range with
 * If-Range is one of the bytes whose tag it names, or of none.
 */
#include "brim/serve/choice.h"

#include <stdlib.h>

#include "brim/base/invariant.h"
#include "brim/http/conditional.h"
#include "brim/http/weight.h"

#define ETAG_BYTES 1024u

/* The object's validators as they are in this coding; tag holds the entity tag. */
static struct brim_validators validators_in(const struct brim_choice *c, enum brim_coding coding,
                                            char *tag)
{
    const struct brim_object *object = c->ask.object;
    struct brim_recoding recoding = {.own = c->own, .as = coding};

    struct brim_validators validators = brim_object_validators(object);

    validators.etag = brim_str(tag, brim_coding_etag(object->etag, recoding, tag, ETAG_BYTES));
    return validators;
}

/* The coding that the client has, by its If-None-Match; BRIM_CODINGS: none. */
static enum brim_coding owned(const struct brim_choice *c)
{
    char tag[ETAG_BYTES];

    if (brim_fields_find(c->ask.request, BRIM_STR("if-none-match")) == NULL)
        return BRIM_CODINGS;
    for (int i = 0; i < BRIM_CODINGS; i++) {
        struct brim_validators validators = validators_in(c, (enum brim_coding)i, tag);

        if ((i == BRIM_CODING_IDENTITY || c->accept.weights[i] > 0) &&
            brim_conditional_is_not_modified(c->ask.request, &validators,
                                             c->ask.now_wall_ms / 1000))
            return (enum brim_coding)i;
    }
    return BRIM_CODINGS;
}

/* Whether the client has the coding as it was made on the way: the tag of that is told again, so
 * that nobody takes its bytes for those that are kept. */
static bool owns_anew(const struct brim_choice *c, enum brim_coding coding)
{
    struct brim_recoding recoding = {.own = c->own, .as = coding, .is_anew = true};
    char tag[ETAG_BYTES];
    size_t len = brim_coding_etag(c->ask.object->etag, recoding, tag, sizeof(tag));

    return coding != c->own && len > 0 &&
           brim_conditional_lists(c->ask.request, brim_str(tag, len));
}

/* The only coding that a Range with If-Range may be of; BRIM_CODINGS: any. */
static enum brim_coding ranged(const struct brim_choice *c)
{
    char tag[ETAG_BYTES];

    if (brim_fields_find(c->ask.request, BRIM_STR("range")) == NULL ||
        brim_fields_find(c->ask.request, BRIM_STR("if-range")) == NULL)
        return BRIM_CODINGS;
    for (int i = 0; i < BRIM_CODINGS; i++) {
        struct brim_validators validators = validators_in(c, (enum brim_coding)i, tag);

        validators.last_modified_wall_s = -1; /* the same for all: tells no bytes apart */
        if ((i == BRIM_CODING_IDENTITY || c->accept.weights[i] > 0) &&
            brim_conditional_range_applies(c->ask.request, &validators, c->ask.now_wall_ms / 1000))
            return (enum brim_coding)i;
    }
    return BRIM_CODINGS;
}

static void begin(struct brim_choice *c, const struct brim_choice_ask *ask)
{
    enum brim_coding only;

    c->is_begun = true;
    c->ask = *ask;
    c->own = brim_coding_of(ask->object->fields);
    brim_accept_parse(ask->request, &c->accept);
    only = ranged(c);
    for (int i = 0; i < BRIM_CODING_IDENTITY && only != BRIM_CODINGS; i++)
        if (i != (int)only)
            c->tried |= 1u << i;
}

static void begin_search(struct brim_choice *c, enum brim_coding coding)
{
    if (c->text == NULL)
        c->text = brim_alloc(c->ask.object->key.text.len + BRIM_REPRESENT_TEXT_ROOM);
    c->find = (struct brim_find){.primary = brim_represent_key(c->ask.object, coding, c->text),
                                 .now_wall_ms = c->ask.now_wall_ms};
    c->trying = coding;
    c->is_searching = true;
}

/* Looks for the coding that is tried; false: wait. */
static bool search(struct brim_choice *c, struct brim_chosen *chosen)
{
    enum brim_found found;

    c->find.port = c->ask.port;
    found = brim_cache_find(c->ask.cache, &c->find);
    if (found == BRIM_FOUND_WAIT)
        return false;
    c->is_searching = false;
    c->tried |= 1u << c->trying;
    if (found == BRIM_FOUND_OBJECT)
        *chosen = (struct brim_chosen){.coding = c->trying, .body = c->find.object};
    else if (found == BRIM_FOUND_NONE)
        brim_encoders_want(c->ask.encoders, c->ask.object, c->trying);
    else /* the note that it is of no use */
        c->useless |= 1u << c->trying;
    brim_find_fini(&c->find);
    return true;
}

bool brim_choice_can_decode(const struct brim_object *object)
{
    enum brim_coding own = brim_coding_of(object->fields);

    return own != BRIM_CODING_IDENTITY && own != BRIM_CODINGS && object->status != 206 &&
           !brim_coding_is_fixed(object->fields);
}

/* Whether the client names this coding as one that it takes. */
static bool is_named(struct brim_fields request, struct brim_str coding)
{
    struct brim_list_cursor cursor = {0};
    struct brim_str member;

    while (brim_fields_next_member(request, BRIM_STR("accept-encoding"), &cursor, &member)) {
        struct brim_weighted one = brim_weighted_parse(member);

        if (one.weight > 0 &&
            (brim_str_is_nocase(one.token, coding) || brim_str_is(one.token, BRIM_STR("*"))))
            return true;
    }
    return false;
}

bool brim_choice_is_foreign(const struct brim_object *object, struct brim_fields request)
{
    struct brim_str member;
    enum brim_coding own = brim_coding_of(object->fields);
    struct brim_list_cursor cursor = {0};
    struct brim_accept wanted;

    if (own == BRIM_CODING_IDENTITY || brim_choice_can_decode(object) ||
        !brim_fields_has_token(object->fields, BRIM_STR("vary"), BRIM_STR("accept-encoding")))
        return false;
    if (own != BRIM_CODINGS) {
        brim_accept_parse(request, &wanted);
        return wanted.weights[own] == 0;
    }
    while (brim_fields_next_member(object->fields, BRIM_STR("content-encoding"), &cursor, &member))
        if (!is_named(request, member))
            return true;
    return false;
}

/* Nothing that is kept suits: what the client wants most is made on the way. */
static void choose_anew(const struct brim_choice *c, struct brim_chosen *chosen)
{
    enum brim_coding best = brim_accept_best(&c->accept, c->useless);

    if (!c->ask.may_stream || c->ask.stays_as_it_is || c->own != BRIM_CODING_IDENTITY ||
        chosen->coding != BRIM_CODING_IDENTITY || best == BRIM_CODING_IDENTITY ||
        !brim_encoders_might(c->ask.encoders, c->ask.object))
        return;
    chosen->coding = best;
    chosen->is_anew = true;
}

enum brim_choice_state brim_choice_make(struct brim_choice *c, const struct brim_choice_ask *ask,
                                        struct brim_chosen *chosen_out)
{
    enum brim_coding coding;

    *chosen_out = (struct brim_chosen){.coding = BRIM_CODING_IDENTITY};
    if (!c->is_begun) {
        begin(c, ask);
        coding = owned(c);
        if (coding != BRIM_CODINGS) {
            chosen_out->coding = coding;
            chosen_out->is_anew = owns_anew(c, coding);
            return BRIM_CHOICE_MADE;
        }
    }
    c->ask.port = ask->port;
    if (c->ask.stays_as_it_is || !brim_encoders_would(c->ask.encoders, c->ask.object))
        c->tried = ~(1u << c->own); /* as it is, or decoded */
    while (chosen_out->body == NULL) {
        if (!c->is_searching) {
            coding = brim_accept_best(&c->accept, c->tried);
            chosen_out->coding = coding;
            if (coding == BRIM_CODING_IDENTITY || coding == c->own)
                break;
            begin_search(c, coding);
        }
        if (!search(c, chosen_out))
            return BRIM_CHOICE_WAIT;
    }
    choose_anew(c, chosen_out);
    return BRIM_CHOICE_MADE;
}

bool brim_choice_make_passed(const struct brim_choice_ask *ask, struct brim_chosen *chosen_out)
{
    struct brim_choice c = {.ask = *ask, .own = brim_coding_of(ask->object->fields)};

    *chosen_out = (struct brim_chosen){.coding = BRIM_CODING_IDENTITY};
    brim_accept_parse(ask->request, &c.accept);
    if (ask->object->status == 304) { /* who has it by a tag of ours keeps that */
        while (chosen_out->coding > 0 && !chosen_out->is_anew)
            chosen_out->is_anew = owns_anew(&c, --chosen_out->coding);
        return chosen_out->is_anew;
    }
    choose_anew(&c, chosen_out);
    return c.own == BRIM_CODING_IDENTITY && brim_encoders_might(ask->encoders, ask->object);
}

void brim_choice_fini(struct brim_choice *c)
{
    if (c->is_searching)
        brim_find_fini(&c->find);
    c->is_searching = false;
    free(c->text);
    c->text = NULL;
}
