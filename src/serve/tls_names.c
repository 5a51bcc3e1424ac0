/* SPDX-License-Identifier: MIT */
/*
 * Names stand in arrays, sorted: "www.example.com" as it is, and "*.example.com" as ".example.com",
 * which no host name can be. A host is looked up whole, then without its first label: two binary
 * searches, whatever the number of names.
 */
#include "brim/serve/tls_names.h"

#include <openssl/x509v3.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "brim/base/invariant.h"

#define NAME_BYTES_MAX 255u

struct brim_tls_names {
    size_t count;
    char *texts[]; /* lower-case, sorted */
};

struct name {
    const char *text; /* borrowed */
    size_t position;  /* of its certificate */
};

struct brim_tls_registry {
    size_t count;
    struct name names[]; /* sorted */
};

/* A host as it is looked up; wildcard: what a wildcard for it is called, NULL: none can be. */
struct wanted {
    char text[NAME_BYTES_MAX + 1];
    const char *wildcard;
};

static char lower(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

/* ---- of one certificate ---- */

/* Keeps one name; those that no client can ask for are left out. */
static void add(struct brim_tls_names *names, const ASN1_STRING *value)
{
    const char *text = (const char *)ASN1_STRING_get0_data(value);
    size_t len = (size_t)ASN1_STRING_length(value);
    char *copy;

    if (len > 2 && text[0] == '*' && text[1] == '.') {
        text++;
        len--;
    }
    if (len == 0 || len > NAME_BYTES_MAX || memchr(text, '\0', len) != NULL ||
        memchr(text, '*', len) != NULL)
        return;
    copy = brim_alloc(len + 1);
    for (size_t i = 0; i < len; i++)
        copy[i] = lower(text[i]);
    names->texts[names->count++] = copy;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

struct brim_tls_names *brim_tls_names_read(X509 *certificate)
{
    GENERAL_NAMES *listed = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    X509_NAME *subject = X509_get_subject_name(certificate);
    int count = listed == NULL ? 0 : sk_GENERAL_NAME_num(listed);
    struct brim_tls_names *names =
        brim_alloc(sizeof(*names) + (size_t)(count + 1) * sizeof(names->texts[0]));

    for (int i = 0; i < count; i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(listed, i);

        if (name->type == GEN_DNS)
            add(names, name->d.dNSName);
    }
    GENERAL_NAMES_free(listed);
    if (names->count == 0) {
        int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);

        if (at >= 0)
            add(names, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    }
    qsort(names->texts, names->count, sizeof(names->texts[0]), by_text);
    return names;
}

void brim_tls_names_free(struct brim_tls_names *names)
{
    if (names == NULL)
        return;
    for (size_t i = 0; i < names->count; i++)
        free(names->texts[i]);
    free(names);
}

bool brim_tls_names_are_same(const struct brim_tls_names *a, const struct brim_tls_names *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (strcmp(a->texts[i], b->texts[i]) != 0)
            return false;
    return true;
}

/* False: no certificate can be for it. */
static bool want(struct brim_str host, struct wanted *wanted_out)
{
    if (host.len > 0 && host.base[host.len - 1] == '.')
        host.len--;
    if (host.len == 0 || host.len > NAME_BYTES_MAX || host.base[0] == '.')
        return false;
    for (size_t i = 0; i < host.len; i++)
        wanted_out->text[i] = lower(host.base[i]);
    wanted_out->text[host.len] = '\0';
    wanted_out->wildcard = strchr(wanted_out->text, '.');
    return true;
}

static bool has_text(const struct brim_tls_names *names, const char *text)
{
    return text != NULL &&
           bsearch(&text, names->texts, names->count, sizeof(names->texts[0]), by_text) != NULL;
}

bool brim_tls_names_cover(const struct brim_tls_names *names, struct brim_str host)
{
    struct wanted wanted;

    return want(host, &wanted) &&
           (has_text(names, wanted.text) || has_text(names, wanted.wildcard));
}

/* ---- of all ---- */

static int by_text_and_position(const void *a, const void *b)
{
    const struct name *x = a, *y = b;
    int order = strcmp(x->text, y->text);

    if (order != 0)
        return order;
    return x->position < y->position ? -1 : x->position > y->position;
}

struct brim_tls_registry *brim_tls_registry_new(struct brim_tls_names *const *names, size_t count)
{
    struct brim_tls_registry *registry;
    size_t total = 0;

    for (size_t i = 0; i < count; i++)
        total += names[i]->count;
    registry = brim_alloc(sizeof(*registry) + (total + 1) * sizeof(registry->names[0]));
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < names[i]->count; j++)
            registry->names[registry->count++] = (struct name){names[i]->texts[j], i};
    INVARIANT(registry->count == total);
    qsort(registry->names, registry->count, sizeof(registry->names[0]), by_text_and_position);
    return registry;
}

void brim_tls_registry_free(struct brim_tls_registry *registry)
{
    free(registry);
}

static size_t find_text(const struct brim_tls_registry *registry, const char *text)
{
    size_t low = 0, high = registry->count;

    while (low < high) { /* to the leftmost: it has the lowest position */
        size_t middle = low + (high - low) / 2;

        if (strcmp(registry->names[middle].text, text) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == registry->count || strcmp(registry->names[low].text, text) != 0)
        return BRIM_TLS_NO_ONE;
    return registry->names[low].position;
}

size_t brim_tls_registry_find(const struct brim_tls_registry *registry, struct brim_str host)
{
    struct wanted wanted;
    size_t position;

    if (!want(host, &wanted))
        return BRIM_TLS_NO_ONE;
    position = find_text(registry, wanted.text);
    if (position == BRIM_TLS_NO_ONE && wanted.wildcard != NULL)
        position = find_text(registry, wanted.wildcard);
    return position;
}
