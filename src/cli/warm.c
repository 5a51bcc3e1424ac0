/* SPDX-License-Identifier: MIT */
/*
 * Two steps: the URLs are gathered from lists and sitemaps, then asked for, so that the progress
 * has an end to count to. Everything goes through the node's own listeners, as a visitor would, so
 * that what is warm afterwards is what visitors get: same key, same rules, same handlers.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "brim/base/clock.h"
#include "brim/base/conf.h"
#include "brim/base/invariant.h"
#include "brim/cli/commands.h"
#include "brim/cli/sitemap.h"
#include "brim/cli/url_list.h"
#include "brim/origin/fetch_many.h"

#define CONCURRENCY_DEFAULT 8
#define CONCURRENCY_MAX     1000
#define URLS_MAX            1000000
#define SITEMAPS_MAX        50000u /* of one index, as the protocol limits it */
#define TOLD_MAX            20u    /* failures that are told one by one */
#define ADDRESS_BYTES       256u
#define PROGRESS_MS         100u
#define BAR_COLUMNS         30u

static const char help[] =
    "usage: brim warm (-c FILE | --connect HOST:PORT) [-f FILE]... [--sitemap URL|FILE]...\n"
    "                 [-H 'NAME: VALUE']... [--concurrency N] [--limit N]\n"
    "\n"
    "Asks a running node for many URLs, through its listeners as a visitor would, so that it has\n"
    "them in its cache. A sitemap may be gzip, and may be an index of others; one that is named "
    "by\n"
    "its URL is asked of the node too.\n"
    "\n"
    "  -f, --file FILE     a URL a line; # begins a comment; - is stdin\n"
    "  --sitemap URL|FILE  all pages of a sitemap\n"
    "  -c, --config FILE   the node's config: its first listener without and with TLS\n"
    "  --connect HOST:PORT connect there instead, for http and https\n"
    "  -H, --header FIELD  a request field, such as 'Accept-Encoding: br'; many times\n"
    "  --concurrency N     requests at a time: 1 to 1000 (8)\n"
    "  --limit N           URLs at most (1000000)\n"
    "  -h, --help          this text\n"
    "\n"
    "exit status: 0 all answered, 1 some were not or had a status of 400 and above, 2 usage or\n"
    "config not usable\n";

struct arguments {
    const char *config;
    const char *connect;
    const char **files;
    size_t file_count;
    const char **sitemaps;
    size_t sitemap_count;
    const char **fields;
    size_t field_count;
    long concurrency;
    long limit;
};

struct warm {
    const struct arguments *arguments;
    char http[ADDRESS_BYTES], https[ADDRESS_BYTES]; /* "": no such listener */
    struct brim_url_list urls;
    struct brim_url_list sitemaps; /* those that wait to be read */
    bool is_nested;                /* what is read was named by an index */
    size_t bad;                    /* that were no URLs, or had no listener */
    /* the run */
    size_t next, done, ok, hits, failed;
    uint64_t bytes;
    uint64_t shown_ms;
    bool is_tty;
};

/* ---- where the node is ---- */

/* An address of a listener as one can connect to it; false for a unix socket. */
static bool reachable(const char *listener, char *address_out)
{
    const char *port = strrchr(listener, ':');
    const char *host = "";

    if (port == NULL || strncmp(listener, "unix:", 5) == 0)
        return false;
    if (port == listener || strncmp(listener, "0.0.0.0:", 8) == 0)
        host = "127.0.0.1";
    else if (strncmp(listener, "[::]:", 5) == 0)
        host = "[::1]";
    return snprintf(address_out, ADDRESS_BYTES, "%s%s", host, host[0] == '\0' ? listener : port) <
           (int)ADDRESS_BYTES;
}

static int find_listeners(struct warm *warm)
{
    const char *path = warm->arguments->config;
    struct brim_conf *conf = NULL;

    if (warm->arguments->connect != NULL) {
        (void)snprintf(warm->http, ADDRESS_BYTES, "%s", warm->arguments->connect);
        (void)snprintf(warm->https, ADDRESS_BYTES, "%s", warm->arguments->connect);
        return BRIM_EXIT_OK;
    }
    if (brim_conf_load(path, stderr, &conf) != BRIM_OK)
        return BRIM_EXIT_USAGE;
    for (size_t i = brim_conf_root(conf)->listeners.count; i-- > 0;) { /* the first stays */
        const struct brim_conf_listener *listener = &brim_conf_root(conf)->listeners.items[i];
        char address[ADDRESS_BYTES];

        if (reachable(listener->address, address))
            memcpy(listener->tls.certificates.count > 0 ? warm->https : warm->http, address,
                   ADDRESS_BYTES);
    }
    brim_conf_free(conf);
    return BRIM_EXIT_OK;
}

static bool has_listener(const struct warm *warm, const char *url)
{
    return (strncmp(url, "https:", 6) == 0 ? warm->https : warm->http)[0] != '\0';
}

/* ---- gathering ---- */

struct bytes {
    char *base;
    size_t len;
    size_t room;
};

static bool append(const char *piece, size_t len, void *ctx)
{
    struct bytes *bytes = ctx;

    if (len > BRIM_SITEMAP_BYTES_MAX - bytes->len)
        return false;
    if (bytes->len + len > bytes->room) {
        size_t room = 2 * (bytes->len + len);
        char *longer = realloc(bytes->base, room);

        if (longer == NULL)
            return false;
        bytes->base = longer;
        bytes->room = room;
    }
    memcpy(bytes->base + bytes->len, piece, len);
    bytes->len += len;
    return true;
}

/* One sitemap of the node's: what brim_fetch_many() calls. */
struct page {
    const char *url;
    struct bytes bytes;
    struct brim_fetch_many_result result;
};

static const char *page_next(void *ctx)
{
    struct page *page = ctx;
    const char *url = page->url;

    page->url = NULL;
    return url;
}

static bool page_piece(const char *piece, size_t len, void *ctx)
{
    return append(piece, len, &((struct page *)ctx)->bytes);
}

static void page_done(const struct brim_fetch_many_result *result, void *ctx)
{
    ((struct page *)ctx)->result = *result;
}

/* line: "" or what clears the bar first */
static void tell(const char *line, const char *url, enum brim_err err, unsigned status)
{
    if (err == BRIM_OK)
        (void)fprintf(stderr, "%sbrim warm: %s: status %u\n", line, url, status);
    else
        (void)fprintf(stderr, "%sbrim warm: %s: %s\n", line, url, brim_err_text(err));
}

static bool download(struct warm *warm, const char *url, struct bytes *bytes)
{
    struct page page = {.url = url};
    struct brim_fetch_many_config config = {
        .http = warm->http,
        .https = warm->https,
        .fields = warm->arguments->fields,
        .field_count = warm->arguments->field_count,
        .concurrency = 1,
        .next = page_next,
        .piece = page_piece,
        .done = page_done,
        .ctx = &page,
    };
    enum brim_err err = BRIM_ECONNECT;

    if (has_listener(warm, url))
        err = brim_fetch_many(&config);
    if (err == BRIM_OK)
        err = page.result.err;
    *bytes = page.bytes;
    if (err == BRIM_OK && page.result.status == 200)
        return true;
    tell("", url, err, page.result.status);
    return false;
}

static bool read_whole(const char *path, struct bytes *bytes)
{
    FILE *in = fopen(path, "re");
    char piece[65536];
    size_t len;
    bool is_good = in != NULL;

    while (is_good && (len = fread(piece, 1, sizeof(piece), in)) > 0)
        is_good = append(piece, len, bytes);
    if (in == NULL || ferror(in))
        (void)fprintf(stderr, "brim warm: %s: %s\n", path, strerrordesc_np(errno));
    else if (!is_good)
        (void)fprintf(stderr, "brim warm: %s: is larger than 50 MiB\n", path);
    is_good = is_good && !ferror(in);
    if (in != NULL)
        (void)fclose(in);
    return is_good;
}

static bool on_location(enum brim_sitemap_kind kind, struct brim_str text, void *ctx)
{
    struct warm *warm = ctx;
    enum brim_err err = BRIM_EINVAL; /* an index in an index, which might name itself */

    if (kind == BRIM_SITEMAP_PAGE || !warm->is_nested)
        err = brim_url_list_add(kind == BRIM_SITEMAP_PAGE ? &warm->urls : &warm->sitemaps, text);

    if (err == BRIM_EINVAL)
        warm->bad++;
    return err == BRIM_OK || err == BRIM_EINVAL;
}

/* False: told why not. */
static bool read_sitemap(struct warm *warm, const char *name)
{
    bool is_url = strncmp(name, "http://", 7) == 0 || strncmp(name, "https://", 8) == 0;
    struct bytes bytes = {.len = 0};
    bool is_good = is_url ? download(warm, name, &bytes) : read_whole(name, &bytes);
    const char *why;

    if (is_good &&
        brim_sitemap_parse(brim_str(bytes.base, bytes.len), on_location, warm, &why) != BRIM_OK) {
        (void)fprintf(stderr, "brim warm: %s: %s\n", name, why);
        is_good = false;
    }
    free(bytes.base);
    return is_good;
}

static bool read_sitemaps(struct warm *warm)
{
    bool is_good = true;

    for (size_t i = 0; i < warm->arguments->sitemap_count; i++)
        is_good = read_sitemap(warm, warm->arguments->sitemaps[i]) && is_good;
    warm->is_nested = true;
    for (size_t i = 0; i < warm->sitemaps.count; i++)
        is_good = read_sitemap(warm, warm->sitemaps.urls[i]) && is_good;
    return is_good;
}

static bool read_files(struct warm *warm)
{
    bool is_good = true;

    for (size_t i = 0; i < warm->arguments->file_count; i++) {
        const char *name = warm->arguments->files[i];
        bool is_stdin = strcmp(name, "-") == 0;
        FILE *in = is_stdin ? stdin : fopen(name, "re");
        enum brim_err err = BRIM_EIO;

        if (in == NULL)
            (void)fprintf(stderr, "brim warm: %s: %s\n", name, strerrordesc_np(errno));
        else
            err = brim_url_list_read(&warm->urls, in, name, stderr, &warm->bad);
        if (in != NULL && err != BRIM_OK)
            (void)fprintf(stderr, "brim warm: %s: %s\n", name, brim_err_text(err));
        if (in != NULL && !is_stdin)
            (void)fclose(in);
        is_good = is_good && err == BRIM_OK;
    }
    return is_good;
}

/* ---- asking ---- */

static void show_progress(struct warm *warm)
{
    uint64_t now_ms = brim_clock_mono_ms();
    char bar[BAR_COLUMNS + 1];
    size_t full = warm->done * BAR_COLUMNS / warm->urls.count;

    if (!warm->is_tty || (warm->done < warm->urls.count && now_ms - warm->shown_ms < PROGRESS_MS))
        return;
    warm->shown_ms = now_ms;
    memset(bar, '.', BAR_COLUMNS);
    memset(bar, '#', full);
    bar[BAR_COLUMNS] = '\0';
    (void)fprintf(stderr, "\r[%s] %zu/%zu, %zu failed%s", bar, warm->done, warm->urls.count,
                  warm->failed, warm->done == warm->urls.count ? "\n" : "");
}

static void note(struct warm *warm, const struct brim_fetch_many_result *result)
{
    bool is_ok = result->err == BRIM_OK && result->status < 400;

    warm->done++;
    warm->bytes += result->bytes;
    warm->ok += is_ok;
    warm->hits += is_ok && result->was_hit;
    warm->failed += !is_ok;
    if (!is_ok && warm->failed <= TOLD_MAX)
        tell(warm->is_tty ? "\r\033[K" : "", result->url, result->err, result->status);
    show_progress(warm);
}

static const char *next_url(void *ctx)
{
    struct warm *warm = ctx;

    while (warm->next < warm->urls.count) {
        const char *url = warm->urls.urls[warm->next++];

        if (has_listener(warm, url))
            return url;
        note(warm, &(struct brim_fetch_many_result){.url = url, .err = BRIM_ECONNECT});
    }
    return NULL;
}

static void on_done(const struct brim_fetch_many_result *result, void *ctx)
{
    note(ctx, result);
}

static enum brim_err ask(struct warm *warm)
{
    struct brim_fetch_many_config config = {
        .http = warm->http,
        .https = warm->https,
        .fields = warm->arguments->fields,
        .field_count = warm->arguments->field_count,
        .concurrency = (unsigned)warm->arguments->concurrency,
        .next = next_url,
        .done = on_done,
        .ctx = warm,
    };

    warm->is_tty = isatty(STDERR_FILENO) == 1;
    return brim_fetch_many(&config);
}

static int run(const struct arguments *arguments)
{
    struct warm warm = {
        .arguments = arguments,
        .urls = {.count_max = (size_t)arguments->limit},
        .sitemaps = {.count_max = SITEMAPS_MAX},
    };
    int status = find_listeners(&warm);
    enum brim_err err = BRIM_OK;
    bool is_whole;

    if (status != BRIM_EXIT_OK)
        return status;
    is_whole = read_files(&warm);
    is_whole = read_sitemaps(&warm) && is_whole;
    if (warm.urls.count > 0)
        err = ask(&warm);
    if (err != BRIM_OK)
        (void)fprintf(stderr, "brim warm: %s\n", brim_err_text(err));
    (void)printf("%zu URLs: %zu ok (%zu hits), %zu failed, %zu not usable, %llu bytes\n",
                 warm.urls.count + warm.bad, warm.ok, warm.hits, warm.failed, warm.bad,
                 (unsigned long long)warm.bytes);
    if (!is_whole || err != BRIM_OK || warm.bad > 0 || warm.ok < warm.urls.count)
        status = BRIM_EXIT_FAILED;
    brim_url_list_fini(&warm.urls);
    brim_url_list_fini(&warm.sitemaps);
    return status;
}

/* ---- arguments ---- */

static bool read_number(const char *text, long max, long *number_out)
{
    char *end;

    errno = 0;
    *number_out = strtol(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' && *number_out >= 1 && *number_out <= max;
}

/* Returns 0, or the option that ends it: 'h' or '?'. */
static int read_options(int argc, char **argv, struct arguments *out)
{
    static const struct option options[] = {
        {"file", required_argument, NULL, 'f'},
        {"sitemap", required_argument, NULL, 's'},
        {"config", required_argument, NULL, 'c'},
        {"connect", required_argument, NULL, 'C'},
        {"header", required_argument, NULL, 'H'},
        {"help", no_argument, NULL, 'h'},
        {"concurrency", required_argument, NULL, 'n'},
        {"limit", required_argument, NULL, 'l'},
        {NULL, 0, NULL, 0},
    };
    int option;
    bool is_good = true;

    while (is_good && (option = brim_cli_option(argc, argv, "f:c:H:h", options)) != -1) {
        if (option == 'f')
            out->files[out->file_count++] = optarg;
        else if (option == 's')
            out->sitemaps[out->sitemap_count++] = optarg;
        else if (option == 'H')
            out->fields[out->field_count++] = optarg;
        else if (option == 'c')
            out->config = optarg;
        else if (option == 'C')
            out->connect = optarg;
        else if (option == 'n')
            is_good = read_number(optarg, CONCURRENCY_MAX, &out->concurrency);
        else if (option == 'l')
            is_good = read_number(optarg, URLS_MAX, &out->limit);
        else
            return option;
    }
    if (!is_good)
        (void)fprintf(stderr, "brim warm: \"%s\" is no number in range\n", optarg);
    return is_good ? 0 : '?';
}

static const char *fault_of(const struct arguments *arguments, bool has_rest)
{
    if (has_rest)
        return "takes no arguments";
    if ((arguments->config == NULL) == (arguments->connect == NULL))
        return "either -c FILE or --connect HOST:PORT is needed";
    if (arguments->connect != NULL && strlen(arguments->connect) >= ADDRESS_BYTES)
        return "--connect is too long";
    if (arguments->file_count + arguments->sitemap_count == 0)
        return "-f FILE or --sitemap URL|FILE is needed";
    for (size_t i = 0; i < arguments->field_count; i++)
        if (strchr(arguments->fields[i], ':') == NULL)
            return "a field is 'NAME: VALUE'";
    return NULL;
}

int brim_cli_warm(int argc, char **argv)
{
    size_t room = (size_t)argc + 1;
    const char **texts = brim_alloc(3 * room * sizeof(*texts));
    struct arguments arguments = {.files = texts,
                                  .sitemaps = texts + room,
                                  .fields = texts + 2 * room,
                                  .concurrency = CONCURRENCY_DEFAULT,
                                  .limit = URLS_MAX};
    int option = read_options(argc, argv, &arguments), status = BRIM_EXIT_USAGE;
    const char *fault = option == 0 ? fault_of(&arguments, optind < argc) : NULL;

    if (option == 'h') {
        (void)fputs(help, stdout);
        status = BRIM_EXIT_OK;
    } else if (option != 0) {
        (void)fputs("see brim warm --help\n", stderr);
    } else if (fault != NULL) {
        (void)fprintf(stderr, "brim warm: %s; see brim warm --help\n", fault);
    } else {
        status = run(&arguments);
    }
    free(texts);
    return status;
}
