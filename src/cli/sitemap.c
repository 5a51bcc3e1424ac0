/* SPDX-License-Identifier: MIT */
#include "brim/cli/sitemap.h"

#include <expat.h>

#include "brim/base/invariant.h"
#include "brim/encode/coder.h"

#define LOCATION_BYTES 4096u /* the protocol says 2,048 */
#define PIECE_BYTES    65536u
#define SEPARATOR      ' ' /* between namespace and name; in neither */

struct parse {
    XML_Parser parser;
    brim_sitemap_fn found;
    void *ctx;
    const char *why;
    enum brim_err err;
    unsigned depth;
    char root_space[256]; /* namespace of the root element */
    bool is_entry;        /* inside <url> or <sitemap> */
    bool is_location;     /* inside its <loc> */
    enum brim_sitemap_kind kind;
    char location[LOCATION_BYTES];
    size_t location_len;
};

static void stop(struct parse *parse, enum brim_err err, const char *why)
{
    if (parse->err == BRIM_OK) {
        parse->err = err;
        parse->why = why;
        (void)XML_StopParser(parse->parser, XML_FALSE);
    }
}

/* The local part of name if it is in the root's namespace, else "". */
static const char *own_name(const struct parse *parse, const char *name)
{
    const char *local = strrchr(name, SEPARATOR);
    size_t space = local == NULL ? 0 : (size_t)(local - name);

    if (!brim_str_is(brim_str(name, space), brim_str_of(parse->root_space)))
        return "";
    return local == NULL ? name : local + 1;
}

static void begin_root(struct parse *parse, const char *name)
{
    const char *local = strrchr(name, SEPARATOR);
    size_t space = local == NULL ? 0 : (size_t)(local - name);

    if (space >= sizeof(parse->root_space)) {
        stop(parse, BRIM_ECORRUPT, "is no sitemap");
        return;
    }
    memcpy(parse->root_space, name, space);
    local = own_name(parse, name);
    if (strcmp(local, "sitemapindex") == 0)
        parse->kind = BRIM_SITEMAP_OTHER;
    else if (strcmp(local, "urlset") == 0)
        parse->kind = BRIM_SITEMAP_PAGE;
    else
        stop(parse, BRIM_ECORRUPT, "is no sitemap: neither <urlset> nor <sitemapindex>");
}

static void on_begin(void *ctx, const XML_Char *name, const XML_Char **attributes)
{
    struct parse *parse = ctx;

    (void)attributes;
    parse->depth++;
    if (parse->depth == 1) {
        begin_root(parse, name);
    } else if (parse->depth == 2) {
        const char *entry = parse->kind == BRIM_SITEMAP_OTHER ? "sitemap" : "url";

        parse->is_entry = strcmp(own_name(parse, name), entry) == 0;
    } else if (parse->depth == 3) {
        parse->is_location = parse->is_entry && strcmp(own_name(parse, name), "loc") == 0;
        parse->location_len = 0;
    }
}

static void on_end(void *ctx, const XML_Char *name)
{
    struct parse *parse = ctx;
    struct brim_str text = brim_str(parse->location, parse->location_len);

    (void)name;
    if (parse->depth == 3 && parse->is_location) {
        while (text.len > 0 && strchr(" \t\r\n", text.base[0]) != NULL)
            text = brim_str(text.base + 1, text.len - 1);
        while (text.len > 0 && strchr(" \t\r\n", text.base[text.len - 1]) != NULL)
            text.len--;
        if (text.len > 0 && !parse->found(parse->kind, text, parse->ctx))
            stop(parse, BRIM_ELIMIT, "names more than is taken");
        parse->is_location = false;
    }
    parse->depth--;
}

static void on_text(void *ctx, const XML_Char *text, int len)
{
    struct parse *parse = ctx;

    if (!parse->is_location || parse->depth != 3)
        return;
    if ((size_t)len > sizeof(parse->location) - parse->location_len) {
        stop(parse, BRIM_ELIMIT, "has a location of more than 4096 bytes");
        return;
    }
    memcpy(parse->location + parse->location_len, text, (size_t)len);
    parse->location_len += (size_t)len;
}

static void on_doctype(void *ctx, const XML_Char *name, const XML_Char *system_id,
                       const XML_Char *public_id, int has_subset)
{
    (void)name;
    (void)system_id;
    (void)public_id;
    (void)has_subset;
    stop(ctx, BRIM_ECORRUPT, "has a document type, which sitemaps do not");
}

static void feed(struct parse *parse, struct brim_str bytes, bool is_last)
{
    if (parse->err != BRIM_OK)
        return;
    INVARIANT(bytes.len <= BRIM_SITEMAP_BYTES_MAX);
    if (XML_Parse(parse->parser, bytes.base, (int)bytes.len, is_last) == XML_STATUS_ERROR &&
        parse->err == BRIM_OK) {
        parse->err = BRIM_ECORRUPT;
        parse->why = "is not well-formed XML";
    }
}

static void feed_gzip(struct parse *parse, struct brim_str bytes)
{
    struct brim_coder_config config = {
        .coding = BRIM_CODING_GZIP, .way = BRIM_CODER_DECODE, .bytes_max = BRIM_SITEMAP_BYTES_MAX};
    struct brim_coder *coder;
    struct brim_coder_step step = {
        .in = bytes, .flush = BRIM_CODER_END, .out = brim_alloc(PIECE_BYTES), .room = PIECE_BYTES};

    parse->err = brim_coder_open(&config, &coder);
    while (parse->err == BRIM_OK && !step.is_done) {
        enum brim_err err = brim_coder_run(coder, &step);

        if (err != BRIM_OK) {
            parse->err = err;
            parse->why = err == BRIM_ELIMIT ? "unpacks to too much" : "is broken gzip";
        }
        feed(parse, brim_str(step.out, step.made), step.is_done);
    }
    brim_coder_close(coder);
    free(step.out);
}

enum brim_err brim_sitemap_parse(struct brim_str bytes, brim_sitemap_fn found, void *ctx,
                                 const char **why_out)
{
    struct parse parse = {.found = found, .ctx = ctx, .why = "out of memory"};

    *why_out = "is larger than 50 MiB";
    if (bytes.len > BRIM_SITEMAP_BYTES_MAX)
        return BRIM_ELIMIT;
    parse.parser = XML_ParserCreateNS(NULL, SEPARATOR);
    *why_out = parse.why;
    if (parse.parser == NULL)
        return BRIM_ENOMEM;
    XML_SetUserData(parse.parser, &parse);
    XML_SetElementHandler(parse.parser, on_begin, on_end);
    XML_SetCharacterDataHandler(parse.parser, on_text);
    XML_SetStartDoctypeDeclHandler(parse.parser, on_doctype);
    if (brim_str_has_prefix(bytes, BRIM_STR("\x1f\x8b")))
        feed_gzip(&parse, bytes);
    else
        feed(&parse, bytes, true);
    XML_ParserFree(parse.parser);
    *why_out = parse.err == BRIM_OK ? "" : parse.why;
    return parse.err;
}
