/* SPDX-License-Identifier: MIT */
/*
 * The answer from parts: what serve/slices says, told to the delivery.
 */
#include "brim/serve/request_inside.h"

static void on_more(struct brim_delivery *delivery);

static void begin_parts(struct request *r, const struct brim_slices_news *news)
{
    struct brim_deliver_part part = {news->object, news->first, news->length};
    struct brim_deliver_facts facts = {.outcome = BRIM_OUTCOME_HIT};

    if (news->is_flown)
        facts = (struct brim_deliver_facts){.outcome = BRIM_OUTCOME_MISS,
                                            .fwd = r->fwd,
                                            .stored = news->view.stored,
                                            .collapsed = !news->view.led};
    r->state = REQUEST_DELIVER;
    r->delivery.port = brim_request_port(r);
    r->delivery.more = on_more;
    brim_deliver_parts(&r->delivery, news->head, &part, news->is_range ? &news->range : NULL,
                       news->total, &facts);
}

void brim_request_look_at_parts(struct request *r)
{
    struct brim_deliver_facts unsatisfiable = {.outcome = BRIM_OUTCOME_HIT};
    struct brim_slices_news news;

    brim_slices_next(r->slices, &news);
    switch (news.state) {
    case BRIM_SLICES_WAIT:
        return;
    case BRIM_SLICES_PART:
        if (r->state == REQUEST_DELIVER)
            brim_deliver_continue(
                &r->delivery, &(struct brim_deliver_part){news.object, news.first, news.length});
        else
            begin_parts(r, &news);
        return;
    case BRIM_SLICES_NONE:
        brim_request_fly(r, BRIM_FLIGHT_SHARED);
        return;
    case BRIM_SLICES_UNSATISFIABLE:
        r->state = REQUEST_DELIVER;
        brim_deliver_unsatisfiable(&r->delivery, news.object, news.total, &unsatisfiable);
        return;
    case BRIM_SLICES_ANSWER:
        r->is_shared = true;
        brim_request_answer(r, &news.view);
        return;
    case BRIM_SLICES_PASS:
        brim_request_fly(r, BRIM_FLIGHT_PASS);
        return;
    case BRIM_SLICES_BROKEN:
        brim_deliver_break(&r->delivery);
        return;
    }
}

static void on_more(struct brim_delivery *delivery)
{
    brim_request_look_at_parts((struct request *)delivery); /* it stands first */
}

/* Of a GET that is not stored: whether it asks for one range, or parts may be there already. */
static bool may_slice(struct request *r, bool *has_range_out)
{
    const struct brim_field *field = brim_fields_only(r->fields, BRIM_STR("range"));

    *has_range_out = field != NULL && brim_range_spec_parse(field->value, &r->range);
    return r->env->slice_bytes > 0 && brim_request_method_is(r, "GET");
}

/* Whether the whole is coming for somebody else, or has come since the search, so that a part of it
 * need not be asked for. One that is large is not waited for. */
static bool whole_is_near(const struct request *r)
{
    return brim_flight_brings(r->env->flights, &r->find.key, r->env->slice_bytes) ||
           (!r->looked_again && brim_cache_has(r->env->cache, &r->find.key));
}

/* The whole in one shared flight, or what is wanted of it in parts. */
void brim_request_fetch(struct request *r)
{
    bool has_range;

    if (!may_slice(r, &has_range) || whole_is_near(r)) {
        brim_request_fly(r, BRIM_FLIGHT_SHARED);
        return;
    }
    r->is_shared = true;
    if (!brim_request_ask_handler(r, brim_request_fetch))
        return;
    r->state = REQUEST_SLICES;
    brim_request_fill_ask(r, BRIM_FLIGHT_SHARED, &r->letter);
    r->asked = r->letter.fields;
    brim_slices_free(r->slices);
    r->slices = brim_slices_new(&(struct brim_slices_ask){
        .cache = r->env->cache,
        .flights = r->env->flights,
        .port = brim_request_port(r),
        .letter = &r->letter,
        .request = r->find.request,
        .control = &r->control,
        .slice_bytes = r->env->slice_bytes,
        .now_wall_ms = r->delivery.now_wall_ms,
        .range = has_range ? &r->range : NULL,
    });
    brim_request_look_at_parts(r);
}
