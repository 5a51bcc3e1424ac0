/* SPDX-License-Identifier: MIT */
/*
 * Fields of a request that gates read: CORS, passwords, signed URLs, compression dictionaries. The
 * first line is a method, the second a target, the rest are fields.
 *
 * A signed URL is let in, as it was, and without its signature, or with a byte of it changed, it is
 * not; what CORS answers may stand in a response.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "brim/http/dictionary.h"
#include "brim/http/uri.h"
#include "brim/policy/basic_auth.h"
#include "brim/policy/cors.h"
#include "brim/policy/signed_url.h"
#include "fuzz.h"

#define TARGET_MAX 4096u

int LLVMFuzzerInitialize(int *argc, char ***argv);

static struct brim_cors *some_pages, *all_pages;
static struct brim_basic_auth *users;
static struct brim_url_keys *keys;

static void put_file(const char *text, char path[static 32])
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);

    INVARIANT(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    snprintf(path, 32, "/proc/self/fd/%d", fd);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static char page[] = "https://a.example", below[] = "https://*.b.example", all[] = "*";
    static char get[] = "GET", put[] = "PUT", field[] = "X-A", realm[] = "brim", path[32];
    static char *pages[] = {page, below}, *everybody[] = {all}, *methods[] = {get, put};
    static char *fields[] = {field}, *any_field[] = {all};
    const struct brim_conf_cors some = {.origins = {pages, 2},
                                        .methods = {methods, 2},
                                        .headers = {fields, 1},
                                        .expose = {fields, 1},
                                        .credentials = true,
                                        .max_age_ms = 1000};
    const struct brim_conf_cors any = {
        .origins = {everybody, 1}, .methods = {methods, 2}, .headers = {any_field, 1}};
    const struct brim_conf_basic_auth basic = {.file = path, .realm = realm};
    const char *why;

    (void)argc;
    (void)argv;
    some_pages = brim_cors_compile(&some);
    all_pages = brim_cors_compile(&any);
    put_file("user:$2b$04$abcdefghijklmnopqrstuufznL8bkzdtHwLhca4To/v9Lo9bA7fR6\n", path);
    INVARIANT(brim_basic_auth_compile(&basic, &users) == BRIM_OK);
    put_file("0123456789abcdef0123456789abcdef\n", path);
    INVARIANT(brim_url_keys_read(path, &keys, &why) == BRIM_OK);
    return 0;
}

static void check_fields(const struct brim_field *fields, size_t count)
{
    INVARIANT(count <= BRIM_CORS_FIELDS_MAX);
    for (size_t i = 0; i < count; i++) {
        INVARIANT(brim_field_name_is_valid(fields[i].name));
        INVARIANT(brim_field_value_is_valid(fields[i].value));
    }
}

static void ask_cors(const struct brim_cors *cors, struct brim_str method,
                     struct brim_fields request)
{
    struct brim_field told[BRIM_CORS_FIELDS_MAX];

    if (brim_cors_is_preflight(method, request))
        check_fields(told, brim_cors_preflight(cors, request, told));
    check_fields(told, brim_cors_answer(cors, request, told));
}

static bool is_let_in(struct brim_str host, struct brim_str target, int64_t now_s,
                      struct brim_str *plain_out)
{
    static char room[TARGET_MAX + 256];
    struct brim_signed_url_ask ask = {host, target, now_s};

    return brim_signed_url_check(keys, &ask, room, plain_out) == NULL;
}

static void sign(struct brim_str target)
{
    static char made[BRIM_SIGNED_URL_ROOM(TARGET_MAX)];
    struct brim_signable what = {.host = BRIM_STR("A.example"), .target = target, .expires_s = 100};
    struct brim_str plain;
    size_t len;

    INVARIANT(!is_let_in(what.host, target, 1, &plain)); /* nobody guesses a key */
    what.prefix_len = target.len % 4 == 0 ? 1 : 0;
    len = brim_signed_url_make(keys, &what, made);
    if (len == 0)
        return;
    INVARIANT(is_let_in(BRIM_STR("a.example"), brim_str(made, len), 99, &plain));
    INVARIANT(brim_str_is(plain, target));
    INVARIANT(!is_let_in(BRIM_STR("a.example"), brim_str(made, len), 100, &plain));
    INVARIANT(!is_let_in(BRIM_STR("b.example"), brim_str(made, len), 99, &plain));
    made[1] ^= what.prefix_len == 0 ? 1 : 0;
    made[len - 1 - target.len % 40] ^= 1;
    INVARIANT(!is_let_in(BRIM_STR("a.example"), brim_str(made, len), 99, &plain));
}

static void ask_dictionary(struct brim_str target, struct brim_fields fields)
{
    static char url[TARGET_MAX + 32];
    struct brim_dictionary_terms terms;
    struct brim_dictionary_hash hash;
    int len = snprintf(url, sizeof(url), "https://a.example%.*s", (int)target.len, target.base);
    struct brim_str from = brim_str(url, (size_t)len);

    (void)brim_dictionary_available(fields, &hash);
    (void)brim_dictionary_is_accepted(fields, BRIM_STR("dcz"));
    (void)brim_dictionary_is_readable(fields, fields);
    if (brim_dictionary_terms(fields, from, &terms) != BRIM_OK)
        return;
    struct brim_dictionary_use use = {.terms = &terms,
                                      .dictionary_url = from,
                                      .request_url = BRIM_STR("https://a.example/app/main.js"),
                                      .request = fields};
    (void)brim_dictionary_is_for(&use);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct brim_str rest = brim_str((const char *)data, size);
    struct brim_str method = fuzz_line(&rest), target = fuzz_line(&rest);
    struct brim_field items[FUZZ_FIELDS_MAX];
    struct brim_fields fields = fuzz_named_fields(rest, items);
    struct brim_basic_news news;

    /* the guard has let in nothing else */
    for (size_t i = 0; i < fields.count; i++)
        if (!brim_field_name_is_valid(fields.items[i].name) ||
            !brim_field_value_is_valid(fields.items[i].value))
            return 0;
    ask_cors(some_pages, method, fields);
    ask_cors(all_pages, method, fields);
    brim_basic_auth_ask(users, fields, 1, &news);
    INVARIANT(news.state != BRIM_BASIC_IN && news.password_len < sizeof(news.password));
    if (target.len < TARGET_MAX && brim_uri_target_is_valid(target)) {
        sign(target);
        ask_dictionary(target, fields);
    }
    return 0;
}
