/* SPDX-License-Identifier: MIT */
/*
 * GET /v1/live: what `brim top` and the page show. Counts only grow: who asks twice has rates, and
 * the percentiles of what came between.
 */
#include "brim/base/clock.h"
#include "brim/base/log.h"
#include "brim/base/metric.h"
#include "brim/base/metric_group.h"
#include "brim/base/top.h"
#include "brim/serve/admin_inside.h"

#define URLS_SHOWN 20u

static json_t *times_json(const int64_t *cells)
{
    json_t *array = json_array();
    unsigned bounds;

    (void)brim_metric_time_bounds(&bounds);
    for (unsigned i = 0; i <= bounds; i++)
        (void)json_array_append_new(array, json_integer(cells[i]));
    return array;
}

static json_t *bounds_json(void)
{
    json_t *array = json_array();
    unsigned count;
    const uint64_t *bounds = brim_metric_time_bounds(&count);

    for (unsigned i = 0; i < count; i++)
        (void)json_array_append_new(array, json_real((double)bounds[i] / 1000));
    return array;
}

/* By names of their own: those of /metrics may grow labels. */
static json_t *numbers_json(void)
{
    static const struct {
        const char *name;
        enum brim_metric id;
    } rows[] = {
        {"hit", BRIM_METRIC_REQ_HIT},
        {"miss", BRIM_METRIC_REQ_MISS},
        {"stale", BRIM_METRIC_REQ_STALE},
        {"revalidated", BRIM_METRIC_REQ_REVALIDATED},
        {"pass", BRIM_METRIC_REQ_PASS},
        {"handler", BRIM_METRIC_REQ_HANDLER},
        {"error", BRIM_METRIC_REQ_ERROR},
        {"collapsed", BRIM_METRIC_REQ_COLLAPSED},
        {"status_4xx", BRIM_METRIC_STATUS_4XX},
        {"status_5xx", BRIM_METRIC_STATUS_5XX},
        {"bytes_sent", BRIM_METRIC_BYTES_SENT},
        {"origin_bytes", BRIM_METRIC_ORIGIN_BYTES},
        {"hot_hits", BRIM_METRIC_HOT_HITS},
        {"disk_hits", BRIM_METRIC_DISK_HITS},
        {"tier_misses", BRIM_METRIC_TIER_MISSES},
        {"hot_evictions", BRIM_METRIC_HOT_EVICTIONS},
        {"hot_bytes", BRIM_METRIC_HOT_BYTES},
        {"hot_objects", BRIM_METRIC_HOT_OBJECTS},
        {"disk_bytes", BRIM_METRIC_DISK_BYTES},
        {"disk_objects", BRIM_METRIC_DISK_OBJECTS},
        {"connections", BRIM_METRIC_CONN_OPEN},
        {"flights", BRIM_METRIC_FLIGHTS_OPEN},
        {"resident_bytes", BRIM_METRIC_RESIDENT},
    };
    json_t *numbers = json_object();

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        (void)json_object_set_new(numbers, rows[i].name,
                                  json_integer(brim_metric_read(rows[i].id)));
    return numbers;
}

static void add_site(const char *name, const int64_t *cells, void *ctx)
{
    int64_t requests = brim_metric_site_requests(cells);

    if (requests > 0)
        (void)json_array_append_new(
            ctx, json_pack("{s:s,s:I}", "name", name, "requests", (json_int_t)requests));
}

static json_int_t sum_of(const int64_t *cells, unsigned first, unsigned last)
{
    json_int_t sum = 0;

    for (unsigned i = first; i <= last; i++)
        sum += cells[i];
    return sum;
}

static void add_origin(const char *name, const int64_t *cells, void *ctx)
{
    if (cells[BRIM_METRIC_ORIGIN_ASKED] == 0 && cells[BRIM_METRIC_ORIGIN_DOWN] == 0)
        return;
    (void)json_array_append_new(
        ctx, json_pack("{s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:o}", "name", name, "requests",
                       (json_int_t)cells[BRIM_METRIC_ORIGIN_ASKED], "errors",
                       sum_of(cells, BRIM_METRIC_ORIGIN_TIMEOUT, BRIM_METRIC_ORIGIN_OTHER),
                       "status_5xx", (json_int_t)cells[BRIM_METRIC_ORIGIN_5XX], "open",
                       (json_int_t)cells[BRIM_METRIC_ORIGIN_OPEN], "running",
                       (json_int_t)cells[BRIM_METRIC_ORIGIN_RUNNING], "waiting",
                       (json_int_t)cells[BRIM_METRIC_ORIGIN_WAITING], "servers",
                       (json_int_t)cells[BRIM_METRIC_ORIGIN_SERVERS], "servers_down",
                       (json_int_t)cells[BRIM_METRIC_ORIGIN_DOWN], "times",
                       times_json(cells + BRIM_METRIC_ORIGIN_TIMES)));
}

static json_t *groups_json(enum brim_metric_kind kind, brim_metric_group_fn fn)
{
    json_t *array = json_array();

    brim_metric_each(kind, fn, array);
    return array;
}

static json_t *urls_json(struct brim_top *top)
{
    struct brim_top_entry entries[URLS_SHOWN];
    size_t count = top == NULL ? 0 : brim_top_read(top, entries, URLS_SHOWN);
    json_t *array = json_array();

    for (size_t i = 0; i < count; i++) /* a text may be cut within a character */
        (void)json_array_append_new(array, json_pack("{s:o,s:I,s:I}", "url",
                                                     brim_admin_text(brim_str_of(entries[i].text)),
                                                     "count", (json_int_t)entries[i].count, "error",
                                                     (json_int_t)entries[i].error));
    return array;
}

static json_t *errors_json(void)
{
    char lines[BRIM_LOG_RECENT_MAX][BRIM_LOG_RECENT_BYTES];
    unsigned count = brim_log_recent(lines);
    json_t *array = json_array();

    for (unsigned i = 0; i < count; i++)
        (void)json_array_append_new(array, brim_admin_text(brim_str_of(lines[i])));
    return array;
}

void brim_admin_call_live(struct brim_admin *admin, h2o_req_t *req)
{
    int64_t times[BRIM_METRIC_TIMES_CELLS];
    double cpu = (double)brim_metric_read(BRIM_METRIC_CPU_UTILISATION) / 1e6;

    brim_metric_request_times(times);
    brim_admin_send_json(req, 200,
                         json_pack("{s:s,s:I,s:f,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "version",
                                   BRIM_VERSION, "mono_ms", (json_int_t)brim_clock_mono_ms(), "cpu",
                                   cpu, "numbers", numbers_json(), "bounds_ms", bounds_json(),
                                   "times", times_json(times), "sites",
                                   groups_json(BRIM_METRIC_SITE, add_site), "origins",
                                   groups_json(BRIM_METRIC_ORIGIN, add_origin), "urls",
                                   urls_json(brim_admin_top(admin)), "errors", errors_json()));
}
