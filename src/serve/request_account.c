/* SPDX-License-Identifier: MIT */
/* What stays of a request when it is over: its counts and its line in the access log. */
#include "brim/base/clock.h"
#include "brim/base/metric.h"
#include "brim/base/metric_group.h"
#include "brim/serve/request_inside.h"

static struct brim_str outcome_text(enum brim_outcome outcome)
{
    switch (outcome) {
    case BRIM_OUTCOME_HIT:
        return BRIM_STR("hit");
    case BRIM_OUTCOME_MISS:
        return BRIM_STR("miss");
    case BRIM_OUTCOME_STALE:
        return BRIM_STR("stale");
    case BRIM_OUTCOME_REVALIDATED:
        return BRIM_STR("revalidated");
    case BRIM_OUTCOME_PASS:
        return BRIM_STR("pass");
    case BRIM_OUTCOME_HANDLER:
        return BRIM_STR("handler");
    case BRIM_OUTCOME_ERROR:
        break;
    }
    return BRIM_STR("error");
}

/* The time is the last of the numbers: who sees it finds the others. */
static void count_outcome(const struct request *r, uint64_t now_us)
{
    static const enum brim_metric metrics[] = {
        [BRIM_OUTCOME_HIT] = BRIM_METRIC_REQ_HIT,
        [BRIM_OUTCOME_MISS] = BRIM_METRIC_REQ_MISS,
        [BRIM_OUTCOME_STALE] = BRIM_METRIC_REQ_STALE,
        [BRIM_OUTCOME_REVALIDATED] = BRIM_METRIC_REQ_REVALIDATED,
        [BRIM_OUTCOME_PASS] = BRIM_METRIC_REQ_PASS,
        [BRIM_OUTCOME_HANDLER] = BRIM_METRIC_REQ_HANDLER,
        [BRIM_OUTCOME_ERROR] = BRIM_METRIC_REQ_ERROR,
    };

    static const enum brim_histogram times[] = {
        [BRIM_OUTCOME_HIT] = BRIM_HISTOGRAM_TIME_HIT,
        [BRIM_OUTCOME_MISS] = BRIM_HISTOGRAM_TIME_MISS,
        [BRIM_OUTCOME_STALE] = BRIM_HISTOGRAM_TIME_STALE,
        [BRIM_OUTCOME_REVALIDATED] = BRIM_HISTOGRAM_TIME_REVALIDATED,
        [BRIM_OUTCOME_PASS] = BRIM_HISTOGRAM_TIME_PASS,
        [BRIM_OUTCOME_HANDLER] = BRIM_HISTOGRAM_TIME_HANDLER,
        [BRIM_OUTCOME_ERROR] = BRIM_HISTOGRAM_TIME_ERROR,
    };
    enum brim_outcome outcome = r->delivery.facts.outcome;
    struct brim_metric_request what = {
        .site = r->route == NULL ? 0 : r->route->metrics,
        .cache = (unsigned)metrics[outcome] - (unsigned)BRIM_METRIC_REQ_HIT,
        .protocol = r->req->version >= 0x200   ? BRIM_METRIC_HTTP2
                    : r->req->version >= 0x101 ? BRIM_METRIC_HTTP11
                                               : BRIM_METRIC_HTTP10,
        .status = r->delivery.status,
    };

    brim_metric_add(metrics[outcome], 1);
    brim_metric_count_request(&what);
    if (r->delivery.facts.collapsed)
        BRIM_COUNT(REQ_COLLAPSED);
    BRIM_ADD(BYTES_SENT, r->delivery.bytes_sent);
    brim_metric_observe(times[outcome], now_us - r->started_us);
}

static struct brim_str field_value(const struct request *r, struct brim_str name)
{
    const struct brim_field *field = brim_fields_find(r->fields, name);

    return field == NULL ? brim_str(NULL, 0) : field->value;
}

static void write_log(struct request *r, uint64_t now_us)
{
    const struct brim_delivery *d = &r->delivery;
    struct brim_access_record record = {
        .start_wall_ms = d->now_wall_ms,
        .duration_us = now_us - r->started_us,
        .first_byte_us = d->started ? d->first_byte_us - r->started_us : 0,
        .origin_ms = d->origin_ms,
        .bytes_sent = d->bytes_sent,
        .request_bytes = r->req->entity.base == NULL ? 0 : r->req->entity.len,
        .status = d->status,
        .origin_status = r->origin_status,
        .peer = brim_str_of(r->conn->peer_text),
        .method = brim_request_str(r->req->input.method),
        .scheme = brim_request_str(r->req->input.scheme->name),
        .host = r->host,
        .target = brim_request_str(r->req->input.path),
        .protocol = r->req->version >= 0x200   ? BRIM_STR("HTTP/2")
                    : r->req->version >= 0x101 ? BRIM_STR("HTTP/1.1")
                                               : BRIM_STR("HTTP/1.0"),
        .cache = outcome_text(d->facts.outcome),
        .reason = brim_str_of(d->facts.detail),
        .site = brim_str_of(r->route == NULL ? NULL : r->route->site),
        .user_agent = field_value(r, BRIM_STR("user-agent")),
        .referer = field_value(r, BRIM_STR("referer")),
        .trace = brim_str(r->trace.id, r->trace.is_known ? sizeof(r->trace.id) : 0),
        .span = brim_str(r->trace.span, r->trace.is_known ? sizeof(r->trace.span) : 0),
        .request_id = {r->id[0], r->id[1]},
        .complete = d->complete,
    };

    brim_access_log_put(r->env->log, r->env->worker, &record);
}

void brim_request_account(struct request *r)
{
    uint64_t now_us = brim_clock_mono_us();

    if (r->route != NULL)
        brim_top_count(r->env->top, r->env->worker, r->host, r->target);
    count_outcome(r, now_us);
    if (r->env->log != NULL)
        write_log(r, now_us);
}
