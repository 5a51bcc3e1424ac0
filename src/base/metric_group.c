/* SPDX-License-Identifier: MIT */
/*
 * Numbers are given under a lock; the name is written before the count says that it is there, so
 * that who renders takes none. Where the cells of a group stand, and how threads count in them,
 * is metric.c's.
 */
#include "brim/base/metric_group.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "brim/base/err.h"
#include "brim/base/invariant.h"
#include "brim/base/metric_inside.h"

enum { CACHES = 7, PROTOCOLS = 3, CLASSES = 5, PHASES = 4 };

_Static_assert(CACHES *PROTOCOLS *CLASSES <= METRIC_GROUP_CELLS, "a site's cells");
_Static_assert(BRIM_METRIC_ORIGIN_TIMES + METRIC_HISTOGRAM_CELLS <= METRIC_GROUP_CELLS,
               "an origin's cells");

_Static_assert(PHASES *BRIM_METRIC_HANDLER_CELLS <= METRIC_GROUP_CELLS, "a handler file's cells");

struct names {
    _Atomic unsigned count;
    char *items[METRIC_GROUPS_MAX]; /* as a label's value: escaped */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char other[] = "other";
static struct names names[METRIC_GROUP_KINDS] = {
    [BRIM_METRIC_SITE] = {.count = 1, .items = {other}},
    [BRIM_METRIC_ORIGIN] = {.count = 1, .items = {other}},
    [BRIM_METRIC_HANDLERS] = {.count = 1, .items = {other}},
};

static char *escape(const char *name)
{
    char *text = brim_alloc(2 * strlen(name) + 1);
    char *at = text;

    for (; *name != '\0'; name++) {
        if (*name == '"' || *name == '\\')
            *at++ = '\\';
        *at++ = *name == '\n' ? ' ' : *name;
    }
    *at = '\0';
    return text;
}

unsigned brim_metric_group(enum brim_metric_kind kind, const char *name)
{
    struct names *known = &names[kind];
    char *text = escape(name);
    unsigned group = 1;

    pthread_mutex_lock(&lock);
    while (group < known->count && strcmp(known->items[group], text) != 0)
        group++;
    if (group == METRIC_GROUPS_MAX) {
        group = 0;
    } else if (group == known->count) {
        known->items[group] = text;
        text = NULL;
        atomic_store_explicit(&known->count, group + 1, memory_order_release);
    }
    pthread_mutex_unlock(&lock);
    free(text);
    return group;
}

/* ---- counting ---- */

static unsigned class_of(unsigned status)
{
    return status == 0 ? 0 : status < 300 ? 1 : status < 400 ? 2 : status < 500 ? 3 : 4;
}

void brim_metric_count_request(const struct brim_metric_request *request)
{
    unsigned cell = (request->cache * PROTOCOLS + (unsigned)request->protocol) * CLASSES +
                    class_of(request->status);

    INVARIANT(request->cache < CACHES);
    brim_metric_group_add(BRIM_METRIC_SITE, request->site, cell, 1);
}

void brim_metric_count_origin(unsigned origin, enum brim_metric_origin_cell cell, int64_t n)
{
    if (origin != BRIM_METRIC_ORIGIN_NONE)
        brim_metric_group_add(BRIM_METRIC_ORIGIN, origin, cell, n);
}

void brim_metric_count_answer(unsigned origin, unsigned status, uint64_t took_us)
{
    const struct metric_scale *scale = brim_metric_scale(METRIC_SCALE_TIME);
    unsigned class = class_of(status == 0 ? 200 : status) - 1;

    if (origin == BRIM_METRIC_ORIGIN_NONE)
        return;
    brim_metric_group_add(BRIM_METRIC_ORIGIN, origin, BRIM_METRIC_ORIGIN_2XX + class, 1);
    brim_metric_group_add(BRIM_METRIC_ORIGIN, origin,
                          BRIM_METRIC_ORIGIN_TIMES + brim_metric_bucket(scale, took_us), 1);
    brim_metric_group_add(BRIM_METRIC_ORIGIN, origin,
                          BRIM_METRIC_ORIGIN_TIMES + METRIC_BOUNDS_MAX + 1, (int64_t)took_us);
}

void brim_metric_count_handler(unsigned handlers, unsigned phase,
                               enum brim_metric_handler_cell cell, int64_t n)
{
    INVARIANT(phase < PHASES);
    brim_metric_group_add(BRIM_METRIC_HANDLERS, handlers, phase * BRIM_METRIC_HANDLER_CELLS + cell,
                          n);
}

/* ---- showing ---- */

static void render_site(FILE *out, const char *site, const int64_t *cells)
{
    static const char *const caches[CACHES] = {"hit",  "miss",  "stale",  "revalidated",
                                               "pass", "error", "handler"};
    static const char *const protocols[PROTOCOLS] = {"HTTP/1.0", "HTTP/1.1", "HTTP/2"};
    static const char *const classes[CLASSES] = {"none", "2xx", "3xx", "4xx", "5xx"};

    for (unsigned i = 0; i < CACHES * PROTOCOLS * CLASSES; i++)
        if (cells[i] != 0)
            (void)fprintf(out,
                          "brim_site_requests_total{site=\"%s\",cache=\"%s\",protocol=\"%s\","
                          "class=\"%s\"} %" PRId64 "\n",
                          site, caches[i / (PROTOCOLS * CLASSES)],
                          protocols[i / CLASSES % PROTOCOLS], classes[i % CLASSES], cells[i]);
}

/* What is shown of an origin, a line for each cell. */
static const struct line {
    enum brim_metric_origin_cell cell;
    const char *name;
    const char *labels; /* after the origin's */
    const char *type;
    const char *help; /* NULL: the name is that of the line before */
} lines[] = {
    {BRIM_METRIC_ORIGIN_ASKED, "brim_origin_pool_requests_total", "", "counter",
     "Exchanges asked of an origin."},
    {BRIM_METRIC_ORIGIN_2XX, "brim_origin_pool_responses_total", ",class=\"2xx\"", "counter",
     "Answers of an origin by status class."},
    {BRIM_METRIC_ORIGIN_3XX, "brim_origin_pool_responses_total", ",class=\"3xx\"", "", NULL},
    {BRIM_METRIC_ORIGIN_4XX, "brim_origin_pool_responses_total", ",class=\"4xx\"", "", NULL},
    {BRIM_METRIC_ORIGIN_5XX, "brim_origin_pool_responses_total", ",class=\"5xx\"", "", NULL},
    {BRIM_METRIC_ORIGIN_TIMEOUT, "brim_origin_pool_errors_total", ",reason=\"timeout\"", "counter",
     "Exchanges with an origin that failed."},
    {BRIM_METRIC_ORIGIN_CONNECT, "brim_origin_pool_errors_total", ",reason=\"connect\"", "", NULL},
    {BRIM_METRIC_ORIGIN_DNS, "brim_origin_pool_errors_total", ",reason=\"dns\"", "", NULL},
    {BRIM_METRIC_ORIGIN_TLS, "brim_origin_pool_errors_total", ",reason=\"tls\"", "", NULL},
    {BRIM_METRIC_ORIGIN_PROTOCOL, "brim_origin_pool_errors_total", ",reason=\"protocol\"", "",
     NULL},
    {BRIM_METRIC_ORIGIN_QUEUE, "brim_origin_pool_errors_total", ",reason=\"queue\"", "", NULL},
    {BRIM_METRIC_ORIGIN_OTHER, "brim_origin_pool_errors_total", ",reason=\"other\"", "", NULL},
    {BRIM_METRIC_ORIGIN_CONNECTED, "brim_origin_pool_connects_total", "", "counter",
     "New connections to an origin."},
    {BRIM_METRIC_ORIGIN_REUSED, "brim_origin_pool_reused_total", "", "counter",
     "Exchanges on a connection that was there already."},
    {BRIM_METRIC_ORIGIN_OPEN, "brim_origin_pool_connections", "", "gauge",
     "Connections to an origin that are open."},
    {BRIM_METRIC_ORIGIN_RUNNING, "brim_origin_pool_exchanges", "", "gauge",
     "Exchanges with an origin under way."},
    {BRIM_METRIC_ORIGIN_WAITING, "brim_origin_pool_waiting", "", "gauge",
     "Exchanges that wait for a connection."},
    {BRIM_METRIC_ORIGIN_SERVERS, "brim_origin_pool_servers", "", "gauge", "Servers of an origin."},
    {BRIM_METRIC_ORIGIN_DOWN, "brim_origin_pool_servers_down", "", "gauge",
     "Servers of an origin that are down by their health checks."},
    {BRIM_METRIC_ORIGIN_CHECKS, "brim_origin_pool_checks_total", "", "counter",
     "Health checks of the servers of an origin."},
    {BRIM_METRIC_ORIGIN_CHECKS_FAILED, "brim_origin_pool_check_failures_total", "", "counter",
     "Health checks that failed."},
};

/* The totals of every group of a kind, which the caller frees, and how many there are. */
static int64_t (*sum_all(enum brim_metric_kind kind, unsigned *count_out))[METRIC_GROUP_CELLS]
{
    unsigned count = atomic_load_explicit(&names[kind].count, memory_order_acquire);
    int64_t(*totals)[METRIC_GROUP_CELLS] = brim_alloc(count * sizeof(*totals));

    for (unsigned i = 0; i < count; i++)
        brim_metric_group_sum(kind, i, totals[i]);
    *count_out = count;
    return totals;
}

/* A pool that nobody has asked is shown too, so that rates begin at 0; "other" only if it counts.
 */
static bool is_shown(unsigned group, const int64_t *cells)
{
    return group > 0 || cells[BRIM_METRIC_ORIGIN_ASKED] > 0;
}

static void render_line(FILE *out, const struct line *line, unsigned count,
                        int64_t (*totals)[METRIC_GROUP_CELLS])
{
    if (line->help != NULL)
        brim_metric_render_head(out, line->name, line->type, line->help);
    for (unsigned i = 0; i < count; i++)
        if (is_shown(i, totals[i]))
            (void)fprintf(out, "%s{origin=\"%s\"%s} %" PRId64 "\n", line->name,
                          names[BRIM_METRIC_ORIGIN].items[i], line->labels, totals[i][line->cell]);
}

/* Open and not used; a connection that is being made counts as neither. */
static void render_idle(FILE *out, unsigned count, int64_t (*totals)[METRIC_GROUP_CELLS])
{
    brim_metric_render_head(out, "brim_origin_pool_idle_connections", "gauge",
                            "Connections to an origin that wait for an exchange.");
    for (unsigned i = 0; i < count; i++) {
        int64_t idle = totals[i][BRIM_METRIC_ORIGIN_OPEN] - totals[i][BRIM_METRIC_ORIGIN_RUNNING];

        if (is_shown(i, totals[i]))
            (void)fprintf(out, "brim_origin_pool_idle_connections{origin=\"%s\"} %" PRId64 "\n",
                          names[BRIM_METRIC_ORIGIN].items[i], idle < 0 ? 0 : idle);
    }
}

static void render_times(FILE *out, unsigned count, int64_t (*totals)[METRIC_GROUP_CELLS])
{
    static const char name[] = "brim_origin_response_duration_seconds";

    brim_metric_render_head(out, name, "histogram", "From a request to the origin's header.");
    for (unsigned i = 0; i < count; i++) {
        const char *origin = names[BRIM_METRIC_ORIGIN].items[i];
        size_t room = strlen(origin) + sizeof("origin=\"\"");
        char *labels = brim_alloc(room);

        if (snprintf(labels, room, "origin=\"%s\"", origin) > 0 && is_shown(i, totals[i]))
            brim_metric_render_histogram(out, name, labels, brim_metric_scale(METRIC_SCALE_TIME),
                                         &totals[i][BRIM_METRIC_ORIGIN_TIMES]);
        free(labels);
    }
}

/* What is shown of handlers, likewise. */
static const struct handler_line {
    enum brim_metric_handler_cell cell;
    const char *name;
    const char *labels; /* after the phase */
    const char *help;
} handler_lines[] = {
    {BRIM_METRIC_HANDLER_CALLS, "brim_site_handler_calls_total", "",
     "Calls of Lua handlers by site (at most 127, then \"other\") and phase."},
    {BRIM_METRIC_HANDLER_CPU_US, "brim_site_handler_cpu_seconds_total", "",
     "CPU time spent in them."},
    {BRIM_METRIC_HANDLER_ERROR, "brim_site_handler_failures_total", ",reason=\"error\"",
     "Those of them that failed or were stopped."},
    {BRIM_METRIC_HANDLER_CPU, "brim_site_handler_failures_total", ",reason=\"cpu\"", NULL},
    {BRIM_METRIC_HANDLER_WALL, "brim_site_handler_failures_total", ",reason=\"wall\"", NULL},
    {BRIM_METRIC_HANDLER_MEMORY, "brim_site_handler_failures_total", ",reason=\"memory\"", NULL},
};

/* A phase that was called has all its lines, so that rates begin at 0. */
static void render_handler_line(FILE *out, const struct handler_line *line, const char *site,
                                const int64_t *cells)
{
    static const char *const phases[PHASES] = {"viewer_request", "origin_request",
                                               "origin_response", "viewer_response"};

    for (unsigned phase = 0; phase < PHASES; phase++) {
        const int64_t *its = cells + (size_t)phase * BRIM_METRIC_HANDLER_CELLS;

        if (its[BRIM_METRIC_HANDLER_CALLS] == 0)
            continue;
        (void)fprintf(out, "%s{site=\"%s\",phase=\"%s\"%s} ", line->name, site, phases[phase],
                      line->labels);
        if (line->cell == BRIM_METRIC_HANDLER_CPU_US)
            (void)fprintf(out, "%.6f\n", (double)its[line->cell] / 1e6);
        else
            (void)fprintf(out, "%" PRId64 "\n", its[line->cell]);
    }
}

static void render_handlers(FILE *out)
{
    unsigned count;
    int64_t(*totals)[METRIC_GROUP_CELLS] = sum_all(BRIM_METRIC_HANDLERS, &count);

    for (size_t i = 0; i < sizeof(handler_lines) / sizeof(handler_lines[0]); i++) {
        const struct handler_line *line = &handler_lines[i];

        if (line->help != NULL)
            brim_metric_render_head(out, line->name, "counter", line->help);
        for (unsigned group = 0; group < count; group++)
            render_handler_line(out, line, names[BRIM_METRIC_HANDLERS].items[group], totals[group]);
    }
    free(totals);
}

void brim_metric_each(enum brim_metric_kind kind, brim_metric_group_fn fn, void *ctx)
{
    unsigned count;
    int64_t(*totals)[METRIC_GROUP_CELLS] = sum_all(kind, &count);

    for (unsigned i = 1; i <= count; i++)
        fn(names[kind].items[i % count], totals[i % count], ctx);
    free(totals);
}

int64_t brim_metric_site_requests(const int64_t *cells)
{
    int64_t requests = 0;

    for (unsigned i = 0; i < CACHES * PROTOCOLS * CLASSES; i++)
        requests += cells[i];
    return requests;
}

void brim_metric_render_groups(FILE *out)
{
    unsigned sites, origins;
    int64_t(*by_site)[METRIC_GROUP_CELLS] = sum_all(BRIM_METRIC_SITE, &sites);
    int64_t(*by_origin)[METRIC_GROUP_CELLS] = sum_all(BRIM_METRIC_ORIGIN, &origins);

    brim_metric_render_head(out, "brim_site_requests_total", "counter",
                            "Requests by site (at most 127, then \"other\"), cache status, "
                            "protocol and status class.");
    for (unsigned i = 0; i < sites; i++)
        render_site(out, names[BRIM_METRIC_SITE].items[i], by_site[i]);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        render_line(out, &lines[i], origins, by_origin);
    render_idle(out, origins, by_origin);
    render_times(out, origins, by_origin);
    render_handlers(out);
    free(by_site);
    free(by_origin);
}
