/* SPDX-License-Identifier: MIT */
/*
 * Asks GET /v1/live again and again and shows what came between two answers: rates, percentiles,
 * who leads. On a terminal the picture is drawn in place; else each is printed after the other.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "brim/cli/client.h"
#include "brim/cli/commands.h"

#define ROWS_SHOWN  10u
#define CLEAR       "\033[H\033[2J"
#define ERRORS_MAX  3u
#define INTERVAL_MS 2000
#define ONCE_MS     1000

static const char help[] =
    "usage: brim top [--once] [--interval SECONDS] [--admin ADDRESS | -c FILE]\n"
    "\n"
    "Shows what a running node is doing: requests, hit ratio, latencies, tiers, origins, sites "
    "and\n"
    "the URLs that are asked for most (without their query), every two seconds. Ends on Ctrl-C.\n"
    "\n"
    "  --once              one picture, of one second\n"
    "  --interval SECONDS  between two pictures: 1 to 3600 (2)\n" BRIM_CLIENT_HELP
    "  -h, --help          this text\n"
    "\n"
    "exit status: 0 shown, 1 no answer, 2 usage or config not usable\n";

/* Two answers, the older first. */
struct span {
    json_t *before;
    json_t *after;
    double seconds;
};

/* ---- numbers ---- */

static double number(const json_t *in, const char *name)
{
    return json_number_value(json_object_get(in, name));
}

static double gauge(const struct span *span, const char *name)
{
    return number(json_object_get(span->after, "numbers"), name);
}

static double grown(const struct span *span, const char *name)
{
    return gauge(span, name) - number(json_object_get(span->before, "numbers"), name);
}

static double sum_of(const struct span *span, const char *const *names)
{
    double sum = 0;

    for (; *names != NULL; names++)
        sum += grown(span, *names);
    return sum;
}

/* The member of an array of objects that has this text under key; NULL: none. */
static json_t *find(json_t *array, const char *key, const char *text)
{
    size_t i;
    json_t *member;

    json_array_foreach(array, i, member)
    {
        const char *has = json_string_value(json_object_get(member, key));

        if (has != NULL && strcmp(has, text) == 0)
            return member;
    }
    return NULL;
}

/* The time in ms below which a share of what came between lies: a bound of the histogram; -1:
 * nothing came. before may be NULL. */
static double percentile(const json_t *bounds, const json_t *before, const json_t *after,
                         double share)
{
    size_t cells = json_array_size(after);
    double total = 0, seen = 0;

    for (size_t i = 0; i < cells; i++)
        total += json_number_value(json_array_get(after, i)) -
                 json_number_value(json_array_get(before, i));
    for (size_t i = 0; i < cells && total > 0; i++) {
        seen += json_number_value(json_array_get(after, i)) -
                json_number_value(json_array_get(before, i));
        if (seen >= share * total)
            return json_number_value(
                json_array_get(bounds, i < json_array_size(bounds) ? i : i - 1));
    }
    return -1;
}

/* ---- the picture ---- */

static void print_bytes(const char *before, double bytes, const char *after)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;

    for (; bytes >= 1024 && unit < sizeof(units) / sizeof(units[0]) - 1; unit++)
        bytes /= 1024;
    (void)printf("%s%.*f %s%s", before, unit > 0 && bytes < 10 ? 1 : 0, bytes, units[unit], after);
}

static void print_time(const char *name, double ms)
{
    if (ms < 0)
        (void)printf("  %s -", name);
    else
        (void)printf("  %s <=%g ms", name, ms);
}

static void print_times(const json_t *bounds, const json_t *before, const json_t *after)
{
    print_time("p50", percentile(bounds, before, after, 0.5));
    print_time("p95", percentile(bounds, before, after, 0.95));
    print_time("p99", percentile(bounds, before, after, 0.99));
}

static void print_traffic(const struct span *span)
{
    static const char *const hits[] = {"hit", "stale", "revalidated", NULL};
    static const char *const cached[] = {"hit", "stale", "revalidated", "miss", "pass", NULL};
    static const char *const all[] = {"hit",  "stale",   "revalidated", "miss",
                                      "pass", "handler", "error",       NULL};
    double looked = sum_of(span, cached), per = span->seconds;

    (void)printf("requests   %.1f/s", sum_of(span, all) / per);
    for (const char *const *name = all; *name != NULL; name++)
        if (grown(span, *name) > 0)
            (void)printf("  %s %.1f", *name, grown(span, *name) / per);
    if (looked > 0)
        (void)printf("\nhit ratio  %.1f%%", 100 * sum_of(span, hits) / looked);
    else
        (void)printf("\nhit ratio  -");
    (void)printf("  4xx %.1f/s  5xx %.1f/s  collapsed %.1f/s\nlatency  ",
                 grown(span, "status_4xx") / per, grown(span, "status_5xx") / per,
                 grown(span, "collapsed") / per);
    print_times(json_object_get(span->after, "bounds_ms"), json_object_get(span->before, "times"),
                json_object_get(span->after, "times"));
    print_bytes("\nbytes      ", grown(span, "bytes_sent") / per, "/s to clients, ");
    print_bytes("", grown(span, "origin_bytes") / per, "/s from origins\n");
}

static void print_node(const struct span *span)
{
    print_bytes("tiers      RAM ", gauge(span, "hot_bytes"), "");
    (void)printf(" (%.0f)", gauge(span, "hot_objects"));
    print_bytes("  disk ", gauge(span, "disk_bytes"), "");
    (void)printf(" (%.0f)\n", gauge(span, "disk_objects"));
    (void)printf("node       cpu %.0f%%  connections %.0f  flights %.0f",
                 100 * number(span->after, "cpu"), gauge(span, "connections"),
                 gauge(span, "flights"));
    print_bytes("  memory ", gauge(span, "resident_bytes"), "\n");
}

static void print_origins(const struct span *span)
{
    size_t i;
    json_t *origin;

    (void)printf("\n%8s %7s %5s %5s %5s %7s  %s\n", "req/s", "errors", "open", "busy", "wait", "up",
                 "ORIGIN");
    json_array_foreach(json_object_get(span->after, "origins"), i, origin)
    {
        const char *name = json_string_value(json_object_get(origin, "name"));
        json_t *old = find(json_object_get(span->before, "origins"), "name", name);

        if (i >= ROWS_SHOWN)
            break;
        (void)printf("%8.1f %7.0f %5.0f %5.0f %5.0f %3.0f/%-3.0f  %s",
                     (number(origin, "requests") - number(old, "requests")) / span->seconds,
                     number(origin, "errors") - number(old, "errors"), number(origin, "open"),
                     number(origin, "running"), number(origin, "waiting"),
                     number(origin, "servers") - number(origin, "servers_down"),
                     number(origin, "servers"), name);
        print_times(json_object_get(span->after, "bounds_ms"), json_object_get(old, "times"),
                    json_object_get(origin, "times"));
        (void)putchar('\n');
    }
}

struct ranked {
    const char *name;
    double rate;
};

static int by_rate_down(const void *a, const void *b)
{
    double left = ((const struct ranked *)a)->rate, right = ((const struct ranked *)b)->rate;

    return left < right ? 1 : left > right ? -1 : 0;
}

static void print_sites(const struct span *span)
{
    json_t *sites = json_object_get(span->after, "sites"), *site;
    struct ranked *ranked = calloc(json_array_size(sites) + 1, sizeof(*ranked));
    size_t i;

    if (ranked == NULL)
        return;
    json_array_foreach(sites, i, site)
    {
        ranked[i].name = json_string_value(json_object_get(site, "name"));
        ranked[i].rate =
            (number(site, "requests") -
             number(find(json_object_get(span->before, "sites"), "name", ranked[i].name),
                    "requests")) /
            span->seconds;
    }
    qsort(ranked, json_array_size(sites), sizeof(*ranked), by_rate_down);
    (void)printf("\n%8s  %s\n", "req/s", "SITE");
    for (i = 0; i < json_array_size(sites) && i < ROWS_SHOWN; i++)
        (void)printf("%8.1f  %s\n", ranked[i].rate, ranked[i].name);
    free(ranked);
}

/* Of a sketch that fades: numbers to compare with one another. URLs are clients' bytes. */
static void print_urls(const struct span *span)
{
    size_t i;
    json_t *entry;

    (void)printf("\n%8s  %s\n", "weight", "URL");
    json_array_foreach(json_object_get(span->after, "urls"), i, entry)
    {
        const char *url = json_string_value(json_object_get(entry, "url"));

        if (i >= ROWS_SHOWN)
            break;
        (void)printf("%8.0f  ", number(entry, "count"));
        for (; *url != '\0'; url++)
            (void)putchar((unsigned char)*url < 0x20 || *url == 0x7f ? '?' : *url);
        (void)putchar('\n');
    }
}

static void print_errors(const struct span *span)
{
    size_t i;
    json_t *line;

    json_array_foreach(json_object_get(span->after, "errors"), i, line)
    {
        if (i >= ERRORS_MAX)
            break;
        (void)printf("%s%s\n", i == 0 ? "\n" : "", json_string_value(line));
    }
}

static void print_span(const struct span *span, bool in_place)
{
    if (in_place)
        (void)fputs(CLEAR, stdout);
    print_traffic(span);
    print_node(span);
    print_origins(span);
    print_sites(span);
    print_urls(span);
    print_errors(span);
    if (!in_place)
        (void)putchar('\n');
    (void)fflush(stdout);
}

/* ---- asking ---- */

static json_t *ask(const struct brim_client *client)
{
    static const struct brim_client_call call = {
        .method = "GET", .path = "/v1/live", .proof = {"numbers"}};
    json_t *json;

    (void)brim_client_ask(client, &call, &json, NULL);
    return json;
}

static void wait_ms(int64_t ms)
{
    struct timespec span = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    while (nanosleep(&span, &span) != 0)
        continue;
}

static int show(const struct brim_client *client, int64_t interval_ms, bool once)
{
    bool in_place = !once && isatty(STDOUT_FILENO) == 1;
    struct span span = {.before = ask(client)};

    if (span.before == NULL)
        return BRIM_EXIT_FAILED;
    for (;;) {
        wait_ms(interval_ms);
        span.after = ask(client);
        if (span.after == NULL)
            break;
        span.seconds = (number(span.after, "mono_ms") - number(span.before, "mono_ms")) / 1000;
        if (span.seconds > 0) /* else it is another process, on another machine's clock */
            print_span(&span, in_place);
        json_decref(span.before);
        span.before = span.after;
        if (once || ferror(stdout))
            break;
    }
    json_decref(span.before);
    return span.after == NULL ? BRIM_EXIT_FAILED : BRIM_EXIT_OK;
}

/* False: not a number of seconds that is accepted. */
static bool read_interval(const char *text, int64_t *ms_out)
{
    char *end;
    double seconds = strtod(text, &end);

    *ms_out = 0;
    if (end == text || *end != '\0' || !(seconds >= 1 && seconds <= 3600))
        return false;
    *ms_out = (int64_t)(seconds * 1000);
    return true;
}

int brim_cli_top(int argc, char **argv)
{
    static const struct option options[] = {
        {"once", no_argument, NULL, 'o'},
        {"interval", required_argument, NULL, 'i'},
        BRIM_CLIENT_OPTIONS,
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct brim_client_words words = {.admin = NULL};
    int64_t interval_ms = 0;
    struct brim_client client;
    bool once = false, good = true;
    int option, status;

    while ((option = brim_cli_option(argc, argv, "c:h", options)) != -1) {
        if (brim_client_option(&words, option, optarg))
            continue;
        switch (option) {
        case 'o':
            once = true;
            break;
        case 'i':
            good = good && read_interval(optarg, &interval_ms);
            break;
        case 'h':
            (void)fputs(help, stdout);
            return BRIM_EXIT_OK;
        default:
            good = false;
            break;
        }
    }
    if (!good || optind < argc) {
        (void)fputs(
            "brim top: --interval takes 1 to 3600 seconds, and there are no other arguments; "
            "see brim top --help\n",
            stderr);
        return BRIM_EXIT_USAGE;
    }
    if (interval_ms == 0)
        interval_ms = once ? ONCE_MS : INTERVAL_MS;
    status = brim_client_find(&words, &client);
    return status == BRIM_EXIT_OK ? show(&client, interval_ms, once) : status;
}
