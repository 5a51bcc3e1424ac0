/* SPDX-License-Identifier: MIT */
/*
 * GET /metrics and GET /v1/stats: all counters, for Prometheus and as JSON.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "brim/base/clock.h"
#include "brim/base/invariant.h"
#include "brim/base/metric.h"
#include "brim/serve/admin_inside.h"

void brim_admin_call_metrics(struct brim_admin *a, h2o_req_t *req)
{
    char *text;
    size_t len;

    (void)a;
    brim_metric_render(&text, &len);
    brim_admin_send_text(req, 200, "text/plain; version=0.0.4; charset=utf-8", brim_str(text, len));
    free(text);
}

/* By the name that each has in /metrics, labels included. */
static json_t *metrics_json(void)
{
    static const struct {
        enum brim_metric id;
        const char *name;
        const char *labels;
        int units;
    } rows[] = {
#define ROW(id, name, labels, kind, help)                                                          \
    {BRIM_METRIC_##id, name, labels, BRIM_METRIC_UNITS_##kind},
        BRIM_METRIC_TABLE(ROW)
#undef ROW
    };
    json_t *metrics = json_object();

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        bool is_bare = rows[i].labels[0] == '\0';
        char name[128];
        int len = snprintf(name, sizeof(name), "%s%s%s%s", rows[i].name, is_bare ? "" : "{",
                           rows[i].labels, is_bare ? "" : "}");

        int64_t value = brim_metric_read(rows[i].id);

        INVARIANT(len > 0 && (size_t)len < sizeof(name));
        if (json_object_set_new(metrics, name,
                                rows[i].units == 1 ? json_integer(value)
                                                   : json_real((double)value / rows[i].units)) != 0)
            break; /* out of memory: an answer that is short */
    }
    return metrics;
}

void brim_admin_call_stats(struct brim_admin *a, h2o_req_t *req)
{
    json_int_t up_ms = (json_int_t)(brim_clock_mono_ms() - brim_admin_started_mono_ms(a));

    brim_admin_send_json(req, 200,
                         json_pack("{s:s,s:I,s:i,s:o}", "version", BRIM_VERSION, "uptime_ms", up_ms,
                                   "pid", (int)getpid(), "metrics", metrics_json()));
}
