/* SPDX-License-Identifier: MIT */
/*
 * Small files that operators write, or programs of theirs. The first byte says which one the rest
 * is: c blocks of addresses (access.allow_file), b users (basic_auth.file), s keys of signed URLs,
 * t a bearer token (admin.token), u a list of URLs (brim warm). What is read is used.
 *
 * A block that a list holds is found at its first address, and one that is not IPv4 by no IPv4.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "brim/base/bearer.h"
#include "brim/base/cidr.h"
#include "brim/cli/url_list.h"
#include "brim/http/uri.h"
#include "brim/policy/basic_auth.h"
#include "brim/policy/signed_url.h"
#include "fuzz.h"

#define URLS_MAX 100u

struct file {
    int fd;
    char path[32];
};

static struct file file_of(struct brim_str bytes)
{
    struct file file = {.fd = memfd_create("fuzz", MFD_CLOEXEC)};

    INVARIANT(file.fd >= 0);
    INVARIANT(write(file.fd, bytes.base, bytes.len) == (ssize_t)bytes.len);
    snprintf(file.path, sizeof(file.path), "/proc/self/fd/%d", file.fd);
    return file;
}

static void find_first(const struct brim_cidrs *cidrs, const struct brim_cidr *cidr)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6};
    struct sockaddr_in four = {.sin_family = AF_INET};
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

    memcpy(&address.sin6_addr, cidr->bytes, 16);
    INVARIANT(brim_cidrs_find(cidrs, (struct sockaddr *)&address) == 1);
    if (memcmp(cidr->bytes, mapped, sizeof(mapped)) != 0)
        return;
    memcpy(&four.sin_addr, cidr->bytes + 12, 4);
    INVARIANT(brim_cidrs_find(cidrs, (struct sockaddr *)&four) == 1);
}

static void blocks(const char *path, struct brim_str text)
{
    struct brim_cidrs *cidrs = brim_cidrs_new();
    struct brim_cidr_wrong wrong;
    bool is_good = brim_cidrs_add_file(cidrs, path, 1, &wrong) == BRIM_OK;

    brim_cidrs_finish(cidrs);
    while (is_good && text.len > 0) {
        struct brim_str line = brim_str_trim(fuzz_line(&text));
        struct brim_cidr cidr;
        char word[64];

        snprintf(word, sizeof(word), "%.*s", line.len < 63 ? (int)line.len : 63, line.base);
        if (brim_cidr_parse(word, &cidr) == NULL)
            find_first(cidrs, &cidr);
    }
    INVARIANT(is_good || wrong.line > 0);
    brim_cidrs_free(cidrs);
}

static void users(char *path)
{
    static char realm[] = "brim";
    struct brim_conf_basic_auth conf = {.file = path, .realm = realm};
    struct brim_field shown = {BRIM_STR("authorization"), BRIM_STR("Basic dXNlcjpwYXNz")};
    struct brim_basic_auth *auth;
    struct brim_basic_news news;

    if (brim_basic_auth_compile(&conf, &auth) != BRIM_OK)
        return;
    brim_basic_auth_ask(auth, (struct brim_fields){&shown, 1}, 1, &news);
    INVARIANT(news.state == BRIM_BASIC_HASH &&
              brim_str_is(brim_str_of(news.password), BRIM_STR("pass")));
    brim_basic_auth_free(auth);
}

static void url_keys(const char *path)
{
    const struct brim_signable what = {
        .host = BRIM_STR("a"), .target = BRIM_STR("/b?c"), .expires_s = 9};
    struct brim_url_keys *keys;
    struct brim_str target;
    const char *why;
    char made[256], room[256];

    if (brim_url_keys_read(path, &keys, &why) != BRIM_OK) {
        INVARIANT(why != NULL);
        return;
    }
    size_t len = brim_signed_url_make(keys, &what, made);
    struct brim_signed_url_ask ask = {what.host, brim_str(made, len), 8};
    INVARIANT(brim_signed_url_check(keys, &ask, room, &target) == NULL);
    INVARIANT(brim_str_is(target, what.target));
    brim_url_keys_free(keys);
}

static void token(const char *path)
{
    char text[BRIM_BEARER_MAX + 1], field[BRIM_BEARER_MAX + 16];

    if (brim_bearer_read(path, text) != NULL)
        return;
    struct brim_bearer bearer = brim_bearer_of(brim_str_of(text));
    snprintf(field, sizeof(field), "Bearer %s", text);
    INVARIANT(strlen(text) >= BRIM_BEARER_MIN);
    INVARIANT(brim_bearer_is(&bearer, brim_str_of(field)));
    INVARIANT(!brim_bearer_is(&bearer, brim_str(field, strlen(field) - 1)));
}

static void urls(int fd)
{
    struct brim_url_list list = {.count_max = URLS_MAX};
    char *told = NULL;
    size_t len, bad = 0;
    FILE *in = fdopen(dup(fd), "r"), *faults = open_memstream(&told, &len);
    struct brim_uri uri;

    INVARIANT(in != NULL && faults != NULL);
    rewind(in);
    (void)brim_url_list_read(&list, in, "fuzz", faults, &bad);
    for (size_t i = 0; i < list.count; i++)
        INVARIANT(brim_uri_parse(brim_str_of(list.urls[i]), &uri));
    INVARIANT(list.count <= URLS_MAX);
    (void)fclose(in);
    (void)fclose(faults);
    INVARIANT((bad == 0) == (len == 0));
    free(told);
    brim_url_list_fini(&list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct brim_str text = brim_str((const char *)data + (size > 0), size - (size > 0));
    struct file file = file_of(text);

    switch (size == 0 ? '\0' : data[0]) {
    case 'c':
        blocks(file.path, text);
        break;
    case 'b':
        users(file.path);
        break;
    case 's':
        url_keys(file.path);
        break;
    case 't':
        token(file.path);
        break;
    case 'u':
        urls(file.fd);
        break;
    default:
        break;
    }
    close(file.fd);
    return 0;
}
