/* SPDX-License-Identifier: MIT */
#include "brim/cli/sitemap.h"

#include <stdio.h>
#include <stdlib.h>

#include "brim/encode/coder.h"
#include "unit.h"

#define SPACE "http://www.sitemaps.org/schemas/sitemap/0.9"
#define PAGES "<urlset xmlns=\"" SPACE "\">"

struct found {
    char text[1024];
    size_t len;
    unsigned left; /* how many are taken */
};

static bool on_found(enum brim_sitemap_kind kind, struct brim_str text, void *ctx)
{
    struct found *found = ctx;

    if (found->left == 0)
        return false;
    found->left--;
    found->len +=
        (size_t)snprintf(found->text + found->len, sizeof(found->text) - found->len, "%c%.*s ",
                         kind == BRIM_SITEMAP_PAGE ? 'p' : 's', (int)text.len, text.base);
    return true;
}

static struct found found;

static enum brim_err parse(struct brim_str bytes)
{
    const char *why;
    enum brim_err err;

    found = (struct found){.left = 10};
    err = brim_sitemap_parse(bytes, on_found, &found, &why);
    ck_assert((err == BRIM_OK) == (why[0] == '\0'));
    return err;
}

static const struct {
    const char *xml;
    enum brim_err err;
    const char *found;
} cases[] = {
    {PAGES "<url><loc>http://a/1</loc></url><url><loc>\n http://a/2 \n</loc></url></urlset>",
     BRIM_OK, "phttp://a/1 phttp://a/2 "},
    {"<sitemapindex xmlns=\"" SPACE "\"><sitemap><loc>http://a/s.gz</loc></sitemap></sitemapindex>",
     BRIM_OK, "shttp://a/s.gz "},
    {"<urlset><url><loc>http://a/?x=1&amp;y=2</loc></url></urlset>", BRIM_OK,
     "phttp://a/?x=1&y=2 "},
    {"<s:urlset xmlns:s=\"" SPACE
     "\"><s:url><s:loc><![CDATA[http://a/]]></s:loc></s:url></s:urlset>",
     BRIM_OK, "phttp://a/ "},
    /* images of a page are other documents; other namespaces are other words */
    {PAGES "<url><i:loc xmlns:i=\"i\">http://no/</i:loc><i:image xmlns:i=\"i\"><i:loc>http://no/"
           "</i:loc></i:image><image><loc>http://no/</loc></image><loc>http://a/</loc></url>"
           "<loc>http://no/</loc><other><loc>http://no/</loc></other></urlset>",
     BRIM_OK, "phttp://a/ "},
    {PAGES "<url><loc>  </loc></url></urlset>", BRIM_OK, ""},
    {PAGES "</urlset>", BRIM_OK, ""},
    {"", BRIM_ECORRUPT, ""},
    {"not XML", BRIM_ECORRUPT, ""},
    {"<html><url><loc>http://a/</loc></url></html>", BRIM_ECORRUPT, ""},
    {PAGES "<url><loc>http://a/</loc></url>", BRIM_ECORRUPT, "phttp://a/ "},
    {PAGES "<url><loc>http://a/</url></urlset>", BRIM_ECORRUPT, ""},
    {"<!DOCTYPE u [<!ENTITY x \"http://a/\">]><urlset><url><loc>&x;</loc></url></urlset>",
     BRIM_ECORRUPT, ""},
};

/* What is a page and what is not decides what a node is asked for. */
START_TEST(locations_of_entries_are_found)
{
    ck_assert_int_eq(parse(brim_str_of(cases[_i].xml)), cases[_i].err);
    ck_assert_str_eq(found.text, cases[_i].found);
}
END_TEST

/* Packs len bytes; the caller frees. */
static struct brim_str pack(const char *bytes, size_t len)
{
    struct brim_coder_config config = {
        .coding = BRIM_CODING_GZIP, .way = BRIM_CODER_ENCODE, .level = 9};
    struct brim_coder *coder;
    size_t room = len / 100 + 4096;
    struct brim_coder_step step = {
        .in = brim_str(bytes, len), .flush = BRIM_CODER_END, .out = malloc(room), .room = room};

    ck_assert_int_eq(brim_coder_open(&config, &coder), BRIM_OK);
    ck_assert_int_eq(brim_coder_run(coder, &step), BRIM_OK);
    ck_assert(step.is_done);
    brim_coder_close(coder);
    return brim_str(step.out, step.made);
}

START_TEST(gzip_is_known_by_its_first_bytes)
{
    struct brim_str packed = pack(cases[0].xml, strlen(cases[0].xml));

    ck_assert_int_eq(parse(packed), BRIM_OK);
    ck_assert_str_eq(found.text, cases[0].found);
    ck_assert_int_eq(parse(brim_str(packed.base, packed.len - 9)), BRIM_ECORRUPT);
    free((char *)packed.base);
}
END_TEST

/* A few kilobytes that become gigabytes must not take the machine down. */
START_TEST(bomb_is_refused)
{
    size_t len = BRIM_SITEMAP_BYTES_MAX + 1;
    char *spaces = malloc(len);
    struct brim_str packed;

    ck_assert_ptr_nonnull(spaces);
    memset(spaces, ' ', len);
    memcpy(spaces, PAGES, sizeof(PAGES) - 1);
    packed = pack(spaces, len);
    ck_assert_int_eq(parse(packed), BRIM_ELIMIT);
    ck_assert_int_eq(parse(brim_str(spaces, len)), BRIM_ELIMIT);
    free((char *)packed.base);
    free(spaces);
}
END_TEST

START_TEST(limits_of_count_and_length_hold)
{
    char xml[8192] = PAGES;
    size_t len = strlen(xml);

    for (int i = 0; i < 11; i++)
        len += (size_t)snprintf(xml + len, sizeof(xml) - len, "<url><loc>%d</loc></url>", i);
    (void)snprintf(xml + len, sizeof(xml) - len, "</urlset>");
    ck_assert_int_eq(parse(brim_str_of(xml)), BRIM_ELIMIT);
    ck_assert_str_eq(found.text, "p0 p1 p2 p3 p4 p5 p6 p7 p8 p9 ");

    (void)snprintf(xml, sizeof(xml), PAGES "<url><loc>%05000d</loc></url></urlset>", 1);
    ck_assert_int_eq(parse(brim_str_of(xml)), BRIM_ELIMIT);
    ck_assert_str_eq(found.text, "");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cli/sitemap");
    TCase *tcase = tcase_create("sitemap");

    tcase_add_loop_test(tcase, locations_of_entries_are_found, 0,
                        (int)(sizeof(cases) / sizeof(cases[0])));
    tcase_add_test(tcase, gzip_is_known_by_its_first_bytes);
    tcase_add_test(tcase, bomb_is_refused);
    tcase_add_test(tcase, limits_of_count_and_length_hold);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
