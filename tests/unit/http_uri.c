/* SPDX-License-Identifier: MIT */
#include "brim/http/uri.h"

#include <stdio.h>

#include "unit.h"

static const struct {
    const char *target;
    bool valid;
} targets[] = {
    /* RFC 9112 3.2.1 origin-form = absolute-path [ "?" query ] */
    {"/", true},
    {"/a", true},
    {"/a/b/", true},
    {"//", true},
    {"//a//b", true},
    {"/?", true},
    {"/a?b=c&d=e", true},
    {"/a?b?c/d", true},
    {"/a;v=1,2", true},
    {"/-._~!$&'()*+,;=:@", true}, /* RFC 3986 3.3 pchar */
    {"/%20", true},
    {"/%2F%aF", true},
    {"/%00", false},
    {"/a%00.css", false}, /* whoever decodes it has another path */
    {"/a?b=%00", true},
    {"/a/../b", false}, /* another path for whoever takes it away */
    {"/.", false},
    {"/a/.", false},
    {"/..", false},
    {"/a/./b", false},
    {"/%2e%2E/b", false},
    {"/.%2e", false},
    {"/a/..%2fb", false},
    {"/a%2f..", false},
    {"/a%5c../b", false},
    {"/..;x/b", false},
    {"/a/..%3b", false},
    {"/..?x", false},
    {"/...", true},
    {"/.a", true},
    {"/a..", true},
    {"/..a/b", true},
    {"/a?b=/../c", true},
    {"/a%252e/b", true},
    {"/.well-known/", true},
    {"/a;..", true},
    {"", false},
    {"a", false},
    {"*", false},
    {"?a", false},
    {"http://h/", false},
    {"/a#b", false},
    {"/#", false},
    {"/a b", false},
    {"/a\tb", false},
    {"/a\rb", false},
    {"/a\nb", false},
    {"/a\x7f", false},
    {"/a\x80", false},
    {"/\xc3\xbc", false},
    {"/a\\b", false},
    {"/a\"b", false},
    {"/<a>", false},
    {"/a[0]", true},
    {"/a{b}", true},
    {"/a|b", true},
    {"/a^b", true},
    {"/a`b", true},
    {"/%", false},
    {"/%2", false},
    {"/%zz", false},
    {"/%2g", false},
    {"/%%20", false},
    {"/a%", false},
    {"/a?%4", false},
};

static const struct {
    const char *path, *plain;
} plain_paths[] = {
    {"/", "/"},
    {"/a/b", "/a/b"},
    {"//a///b//", "/a/b/"},
    {"/%73taff/", "/staff/"},
    {"/staff%2Fx", "/staff/x"},
    {"/%2f/a", "/a"},
    {"/a%20b", "/a b"},
    {"/a%3Fb%2ac", "/a%3Fb%2ac"}, /* not what a glob is made of */
    {"/*.css", "/*.css"},
    {"//*?", "/*?"},
    {"/%2573", "/%73"}, /* once */
};

/* Rules about paths hold for every spelling that an origin takes for the same. */
START_TEST(paths_are_made_plain)
{
    char buffer[64];
    struct brim_str plain = brim_uri_path_plain(brim_str_of(plain_paths[_i].path), buffer);

    ck_assert(brim_str_is(plain, brim_str_of(plain_paths[_i].plain)));
    if (brim_uri_path_is_plain(brim_str_of(plain_paths[_i].path)))
        ck_assert_ptr_eq(plain.base, plain_paths[_i].path);
}
END_TEST

static const struct {
    const char *path;
    const char *prefix;
    size_t begins;
} beginnings[] = {
    {"/api/x", "/api/", 5},     {"//api//x", "/api/", 6},  {"/%61pi%2fx", "/api/", 9},
    {"/%2f/api/x", "/api/", 9}, {"/ap", "/api/", 0},       {"/api", "/api/", 0},
    {"/apj/x", "/api/", 0},     {"/a%2fpi/x", "/api/", 0}, {"/a%2ab/x", "/a*b/", 0},
    {"/a*b/x", "/a*b/", 5},     {"/a?b", "/a?", 0},        {"/%2561pi/x", "/api/", 0},
};

/* A rewrite that some spelling leads around has the origin asked for what nobody meant to be. */
START_TEST(path_begins_in_any_spelling)
{
    ck_assert_uint_eq(
        brim_uri_path_begins(brim_str_of(beginnings[_i].path), brim_str_of(beginnings[_i].prefix)),
        beginnings[_i].begins);
}
END_TEST

/* What brim and the origin could read differently must not get a cache key. */
START_TEST(target_is_strict_origin_form)
{
    ck_assert_int_eq(brim_uri_target_is_valid(brim_str_of(targets[_i].target)), targets[_i].valid);
}
END_TEST

/* NUL cannot stand in the table above. */
START_TEST(target_refuses_each_byte_outside_the_grammar)
{
    const char *good = "-._~!$&'()*+,;=:@/?"
                       "[]{}|^`"; /* what browsers do not escape */

    for (int c = 0; c < 256; c++) {
        char target[3] = {'/', 'a', (char)c};
        bool valid = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                     (c != 0 && strchr(good, c) != NULL);
        ck_assert_int_eq(brim_uri_target_is_valid(brim_str(target, 3)), valid);
    }
}
END_TEST

static const struct {
    const char *authority;
    const char *host; /* NULL: not valid */
    unsigned port;
} authorities[] = {
    /* RFC 9110 4.2, RFC 3986 3.2 */
    {"example.com", "example.com", 0},
    {"EXAMPLE.com", "EXAMPLE.com", 0},
    {"example.com:8080", "example.com", 8080},
    {"example.com:80", "example.com", 80},
    {"example.com:1", "example.com", 1},
    {"example.com:65535", "example.com", 65535},
    {"example.com:00080", "example.com", 80},
    {"example.com:", "example.com", 0}, /* RFC 9110 4.2.3 */
    {"example.com.", "example.com.", 0},
    {"a", "a", 0},
    {"a_b.c-d.~e", "a_b.c-d.~e", 0},
    {"127.0.0.1", "127.0.0.1", 0},
    {"127.0.0.1:81", "127.0.0.1", 81},
    {"[::1]", "[::1]", 0},
    {"[::1]:443", "[::1]", 443},
    {"[::]", "[::]", 0},
    {"[2001:DB8::a]", "[2001:DB8::a]", 0},
    {"[::ffff:1.2.3.4]:9", "[::ffff:1.2.3.4]", 9},
    {"", NULL, 0},
    {":80", NULL, 0},
    {".", NULL, 0},
    {".a", NULL, 0},
    {"a..b", NULL, 0},
    {"a..", NULL, 0},
    {"example.com:0", NULL, 0},
    {"example.com:65536", NULL, 0},
    {"example.com:99999", NULL, 0},
    {"example.com:080080", NULL, 0},
    {"example.com:8080a", NULL, 0},
    {"example.com:-1", NULL, 0},
    {"example.com:+1", NULL, 0},
    {"example.com: 80", NULL, 0},
    {"example.com:80:80", NULL, 0},
    {"user@example.com", NULL, 0}, /* RFC 9110 4.2.4 */
    {"user:pw@example.com", NULL, 0},
    {"example.com/", NULL, 0},
    {"example.com/a", NULL, 0},
    {"example.com?a", NULL, 0},
    {"example.com#a", NULL, 0},
    {"a b", NULL, 0},
    {" a", NULL, 0},
    {"a,b", NULL, 0},
    {"a%62", NULL, 0},
    {"a\x80", NULL, 0},
    {"::1", NULL, 0},
    {"[::1", NULL, 0},
    {"[]", NULL, 0},
    {"[:]", NULL, 0},
    {"[::1]a", NULL, 0},
    {"[::1]80", NULL, 0},
    {"[::g]", NULL, 0},
    {"[1:2:3]", NULL, 0},
    {"[127.0.0.1]", NULL, 0},
    {"[v1.a]", NULL, 0},
    {"[fe80::1%25eth0]", NULL, 0},
    {"[fe80::1%eth0]", NULL, 0},
    {"[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]", NULL, 0},
    {"a[::1]", NULL, 0},
    {"[", NULL, 0},
    {"]", NULL, 0},
};

/* Host decides whose site a request reaches; two readings of one Host are an attack. */
START_TEST(authority_is_host_and_port_and_no_more)
{
    struct brim_str host = BRIM_STR("poison");
    uint16_t port = 7;
    bool valid = brim_uri_parse_authority(brim_str_of(authorities[_i].authority), &host, &port);

    ck_assert_msg(valid == (authorities[_i].host != NULL), "%s", authorities[_i].authority);
    ck_assert_msg(brim_str_is(host, brim_str_of(authorities[_i].host)), "%s",
                  authorities[_i].authority);
    ck_assert_uint_eq(port, authorities[_i].port);
}
END_TEST

/* The longest host that DNS can name goes in, one byte more does not (RFC 3986 3.2.2). */
START_TEST(authority_has_a_longest_host)
{
    char host[256];
    struct brim_str out;
    uint16_t port;

    memset(host, 'a', sizeof(host));
    ck_assert(brim_uri_parse_authority(brim_str(host, 255), &out, &port));
    ck_assert(!brim_uri_parse_authority(brim_str(host, 256), &out, &port));
    ck_assert(!brim_uri_parse_authority(brim_str("[::1\0]", 6), &out, &port));
    ck_assert(!brim_uri_parse_authority(brim_str("a\0b", 3), &out, &port));
}
END_TEST

static const struct {
    const char *scheme;
    const char *authority;
    const char *target;
    const char *key; /* "": refused */
} keys[] = {
    /* RFC 9110 4.2.3: what is equivalent shares a key, and nothing else does */
    {"http", "example.com", "/", "http://example.com/"},
    {"http", "EXAMPLE.Com", "/A", "http://example.com/A"},
    {"http", "example.com:80", "/", "http://example.com/"},
    {"http", "example.com:", "/", "http://example.com/"},
    {"http", "example.com:0080", "/", "http://example.com/"},
    {"http", "example.com.", "/", "http://example.com/"},
    {"http", "Example.com.:80", "/", "http://example.com/"},
    {"http", "example.com:443", "/", "http://example.com:443/"},
    {"https", "example.com:443", "/", "https://example.com/"},
    {"https", "example.com:80", "/", "https://example.com:80/"},
    {"http", "example.com:8080", "/?", "http://example.com:8080/?"},
    {"http", "example.com:65535", "/", "http://example.com:65535/"},
    {"http", "h", "/a%2fb?C=d", "http://h/a%2fb?C=d"},
    {"http", "[2001:DB8::A]:80", "/", "http://[2001:db8::a]/"},
    {"http", "[::1]:8080", "/x", "http://[::1]:8080/x"},
    {"http", "h", "", "http://h"},
    {"http", "", "/", ""},
    {"http", ":80", "/", ""},
    {"http", "a/b", "/c", ""},
    {"http", "u@h", "/", ""},
    {"http", "h:x", "/", ""},
    {"http", "h:65536", "/", ""},
    {"http", "[::1", "/", ""},
    {"http", "[x]", "/", ""},
};

/* Two spellings of one URL in two entries halve the hit rate; two URLs in one entry leak pages. */
START_TEST(key_text_is_the_same_for_equivalent_urls)
{
    char buffer[128];
    size_t len = brim_uri_key_text(brim_str_of(keys[_i].scheme), brim_str_of(keys[_i].authority),
                                   brim_str_of(keys[_i].target), buffer, sizeof(buffer));

    ck_assert_msg(brim_str_is(brim_str(buffer, len), brim_str_of(keys[_i].key)), "%s: %.*s",
                  keys[_i].authority, (int)len, buffer);
}
END_TEST

/* What the origin is told in place of the client's spelling. */
START_TEST(authority_of_a_key_is_its_host_and_port)
{
    ck_assert(brim_str_is(brim_uri_authority(BRIM_STR("http://a.example/x?u=b://c/")),
                          BRIM_STR("a.example")));
    ck_assert(brim_str_is(brim_uri_authority(BRIM_STR("https://[2001:db8::a]:8443/")),
                          BRIM_STR("[2001:db8::a]:8443")));
    ck_assert(brim_str_is(brim_uri_authority(BRIM_STR("http://h")), BRIM_STR("h")));
}
END_TEST

/* A short buffer gives 0, never a cut key; ASan watches the end of each size. */
START_TEST(key_text_never_overruns)
{
    for (size_t bytes = 0; bytes < 40; bytes++) {
        char *buffer = malloc(bytes + 1);
        ck_assert_ptr_nonnull(buffer);
        buffer[bytes] = '#';
        size_t len = brim_uri_key_text(BRIM_STR("https"), BRIM_STR("example.com:65535"),
                                       BRIM_STR("/abc"), buffer, bytes);
        ck_assert(len == 0 || len == strlen("https://example.com:65535/abc"));
        ck_assert_uint_le(len, bytes);
        ck_assert_int_eq(buffer[bytes], '#');
        free(buffer);
    }
}
END_TEST

static const struct {
    const char *url;
    const char *split; /* scheme|authority|target, NULL: refused */
} urls[] = {
    {"http://h/", "http|h|/"},
    {"http://h", "http|h|/"},
    {"https://h:8443/a?b", "https|h:8443|/a?b"},
    {"HTTP://H/a", "http|H|/a"}, /* RFC 3986 3.1 */
    {"HttpS://h", "https|h|/"},
    {"http://[::1]:80/x", "http|[::1]:80|/x"},
    {"http://h//x", "http|h|//x"},
    {"", NULL},
    {"/", NULL},
    {"h/a", NULL},
    {"//h/a", NULL},
    {"http:", NULL},
    {"http:/", NULL},
    {"http:/h", NULL},
    {"http://", NULL},
    {"http:///a", NULL}, /* RFC 9110 4.2.1: an empty host is not valid */
    {"ftp://h/", NULL},
    {"httpx://h/", NULL},
    {"http://u@h/", NULL},
    {"http://h?a", NULL},
    {"http://h#a", NULL},
    {"http://h/#a", NULL},
    {"http://h/a b", NULL},
    {"http://h:99999/", NULL},
    {" http://h/", NULL},
    {"http://h/%zz", NULL},
};

/* A purge of something other than what was asked for is worse than an error. */
START_TEST(url_is_split_or_refused)
{
    struct brim_uri uri;
    char split[128] = "";

    bool valid = brim_uri_parse(brim_str_of(urls[_i].url), &uri);
    ck_assert_msg(valid == (urls[_i].split != NULL), "%s", urls[_i].url);
    if (valid) {
        snprintf(split, sizeof(split), "%.*s|%.*s|%.*s", (int)uri.scheme.len, uri.scheme.base,
                 (int)uri.authority.len, uri.authority.base, (int)uri.target.len, uri.target.base);
        ck_assert_str_eq(split, urls[_i].split);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http_uri");
    TCase *tcase = tcase_create("uri");

    tcase_add_loop_test(tcase, target_is_strict_origin_form, 0,
                        sizeof(targets) / sizeof(targets[0]));
    tcase_add_loop_test(tcase, paths_are_made_plain, 0,
                        sizeof(plain_paths) / sizeof(plain_paths[0]));
    tcase_add_loop_test(tcase, path_begins_in_any_spelling, 0,
                        sizeof(beginnings) / sizeof(beginnings[0]));
    tcase_add_test(tcase, target_refuses_each_byte_outside_the_grammar);
    tcase_add_loop_test(tcase, authority_is_host_and_port_and_no_more, 0,
                        sizeof(authorities) / sizeof(authorities[0]));
    tcase_add_test(tcase, authority_has_a_longest_host);
    tcase_add_loop_test(tcase, key_text_is_the_same_for_equivalent_urls, 0,
                        sizeof(keys) / sizeof(keys[0]));
    tcase_add_test(tcase, authority_of_a_key_is_its_host_and_port);
    tcase_add_test(tcase, key_text_never_overruns);
    tcase_add_loop_test(tcase, url_is_split_or_refused, 0, sizeof(urls) / sizeof(urls[0]));
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
