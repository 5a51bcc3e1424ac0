/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "brim/base/clock.h"
#include "brim/base/invariant.h"
#include "brim/cli/commands.h"
#include "brim/cli/duration.h"
#include "brim/http/uri.h"
#include "brim/policy/signed_url.h"

static const char help[] =
    "usage: brim sign --key FILE [--expires DURATION] [--prefix PATH] URL\n"
    "\n"
    "Prints URL with a signature that a site or route with signed_url lets in until it expires.\n"
    "Asks no node.\n"
    "\n"
    "  -k, --key FILE          as signed_url.key: a key a line, of which the first signs\n"
    "  -e, --expires DURATION  30s, 5m, 12h, 7d from now; default 1h\n"
    "  -p, --prefix PATH       sign everything whose path begins so, in place of the URL alone: "
    "add\n"
    "                          the same parameters to other URLs\n"
    "  -h, --help              this text\n"
    "\n"
    "exit status: 0 printed, 2 usage\n";

struct arguments {
    const char *key;
    const char *prefix;
    const char *url;
    int64_t life_ms;
};

static int fail(const char *why, const char *what)
{
    (void)fprintf(stderr, "brim sign: \"%s\" %s; see brim sign --help\n", what, why);
    return BRIM_EXIT_USAGE;
}

/* The URL's path has to begin with what is signed. */
static bool read_prefix(const struct arguments *arguments, struct brim_signable *what)
{
    struct brim_str prefix = brim_str_of(arguments->prefix);

    what->prefix_len = prefix.len;
    return prefix.len == 0 ||
           (prefix.base[0] == '/' && memchr(prefix.base, '?', prefix.len) == NULL &&
            brim_str_has_prefix(what->target, prefix));
}

static int print(const struct arguments *arguments, const struct brim_url_keys *keys)
{
    struct brim_signable what = {.expires_s = (brim_clock_wall_ms() + arguments->life_ms) / 1000};
    struct brim_uri uri;
    uint16_t port;
    char *room;
    size_t len;

    if (!brim_uri_parse(brim_str_of(arguments->url), &uri) ||
        !brim_uri_parse_authority(uri.authority, &what.host, &port))
        return fail("is not an absolute http or https URL", arguments->url);
    if (what.host.base[what.host.len - 1] == '.')
        what.host.len--;
    what.target = uri.target;
    if (!read_prefix(arguments, &what))
        return fail("is not what the path of the URL begins with", arguments->prefix);
    room = brim_alloc(BRIM_SIGNED_URL_ROOM(what.target.len));
    len = brim_signed_url_make(keys, &what, room);
    if (len > 0)
        (void)printf("%s://%.*s%.*s\n", uri.scheme.base, (int)uri.authority.len, uri.authority.base,
                     (int)len, room);
    free(room);
    return len > 0 ? BRIM_EXIT_OK
                   : fail("is signed already, or has dots for segments", arguments->url);
}

static int sign(const struct arguments *arguments)
{
    struct brim_url_keys *keys = NULL;
    const char *why;
    int status;

    if (brim_url_keys_read(arguments->key, &keys, &why) != BRIM_OK)
        return fail(why, arguments->key);
    status = print(arguments, keys);
    brim_url_keys_free(keys);
    return status;
}

int brim_cli_sign(int argc, char **argv)
{
    static const struct option options[] = {
        {"key", required_argument, NULL, 'k'},
        {"expires", required_argument, NULL, 'e'},
        {"prefix", required_argument, NULL, 'p'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct arguments arguments = {.prefix = "", .life_ms = 3600000};
    const char *why;
    int option;

    while ((option = brim_cli_option(argc, argv, "k:e:p:h", options)) != -1) {
        if (option == 'h') {
            (void)fputs(help, stdout);
            return BRIM_EXIT_OK;
        }
        if (option == 'k') {
            arguments.key = optarg;
        } else if (option == 'p') {
            arguments.prefix = optarg;
        } else if (option != 'e') {
            (void)fputs("see brim sign --help\n", stderr);
            return BRIM_EXIT_USAGE;
        } else if (brim_cli_duration(optarg, &arguments.life_ms, &why) != BRIM_OK) {
            (void)fprintf(stderr,
                          "brim sign: --expires \"%s\" %s; accepted: 1s to 3650d, as in 12h\n",
                          optarg, why);
            return BRIM_EXIT_USAGE;
        }
    }
    if (arguments.key == NULL || optind != argc - 1) {
        (void)fputs("brim sign: --key FILE and one URL are needed; see brim sign --help\n", stderr);
        return BRIM_EXIT_USAGE;
    }
    arguments.url = argv[optind];
    return sign(&arguments);
}
