/* SPDX-License-Identifier: MIT */
/*
 * The answer with a stored object: which coding of it, told to the delivery.
 */
#include "brim/base/invariant.h"
#include "brim/base/metric.h"
#include "brim/serve/request_inside.h"

/* HTTP/1.0 has no frame for what has no length, and a part is one of what is kept. */
static bool may_stream(const struct request *r, enum brim_outcome outcome)
{
    struct brim_env *env = r->env;

    if (!(outcome == BRIM_OUTCOME_PASS ? env->codes_passes : env->codes_first) ||
        r->req->version < 0x101 || brim_fields_find(r->fields, BRIM_STR("range")) != NULL)
        return false;
    if (env->streams < env->streams_max)
        return true;
    BRIM_COUNT(STREAM_SHED);
    return false;
}

static void deliver(struct request *r, const struct brim_chosen *chosen)
{
    struct brim_object *object = r->found;
    const struct brim_object *source = chosen->body != NULL ? chosen->body : object;

    r->found = NULL;
    r->state = REQUEST_DELIVER;
    if (!brim_deliver_is_immediate(source))
        r->delivery.port = brim_request_port(r);
    brim_deliver_coded(&r->delivery, object, chosen, &r->facts);
}

bool brim_request_code_received(struct request *r, struct brim_object *object,
                                const struct brim_deliver_facts *facts)
{
    struct brim_choice_ask ask = {.encoders = r->env->encoders,
                                  .object = object,
                                  .request = r->fields,
                                  .stays_as_it_is = r->control.no_transform};
    struct brim_chosen chosen;

    if (!r->env->codes_passes || brim_request_method_is(r, "HEAD"))
        return false;
    ask.may_stream = may_stream(r, BRIM_OUTCOME_PASS);
    if (!brim_choice_make_passed(&ask, &chosen))
        return false;
    brim_deliver_coded(&r->delivery, object, &chosen, facts);
    return true;
}

void brim_request_look_at_choice(struct request *r)
{
    struct brim_choice_ask ask = {
        .cache = r->env->cache,
        .encoders = r->env->encoders,
        .object = r->found,
        .request = r->fields,
        .port = r->wake == NULL ? NULL : brim_wake_port(r->wake),
        .may_stream = may_stream(r, r->facts.outcome),
        .stays_as_it_is = r->control.no_transform,
        .now_wall_ms = r->delivery.now_wall_ms,
    };
    struct brim_chosen chosen;
    enum brim_choice_state state = brim_choice_make(&r->choice, &ask, &chosen);

    if (state == BRIM_CHOICE_WAIT && ask.port == NULL) {
        ask.port = brim_request_port(r); /* only a cold read pays for a port */
        state = brim_choice_make(&r->choice, &ask, &chosen);
    }
    if (state == BRIM_CHOICE_MADE)
        deliver(r, &chosen);
}

void brim_request_answer_stored(struct request *r, struct brim_object *object,
                                const struct brim_deliver_facts *facts)
{
    INVARIANT(r->found == NULL);
    r->found = object;
    r->facts = *facts;
    r->state = REQUEST_CHOICE;
    brim_request_look_at_choice(r);
}

void brim_request_end_choice(struct request *r)
{
    brim_choice_fini(&r->choice);
    brim_object_unref(r->found);
    r->found = NULL;
}
