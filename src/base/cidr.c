/* SPDX-License-Identifier: MIT */
/*
 * One array, sorted by length and then by bytes. A search goes through the lengths that there are,
 * longest first, with a binary search in each: lists use some ten lengths, seldom more.
 */
#include "brim/base/cidr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "brim/base/invariant.h"

#define V4_BITS 96

struct entry {
    struct brim_cidr cidr;
    int value;
};

struct run { /* the entries of one length */
    uint8_t bits;
    size_t begin;
    size_t end;
};

struct brim_cidrs {
    struct entry *entries;
    size_t count;
    size_t room;
    struct run runs[129]; /* longest first */
    size_t run_count;
};

static void mask(uint8_t bytes[16], unsigned bits)
{
    for (unsigned i = 0; i < 16; i++) {
        unsigned kept = bits >= 8 * (i + 1) ? 8 : bits <= 8 * i ? 0 : bits - 8 * i;

        bytes[i] &= (uint8_t)(0xff00u >> kept);
    }
}

static bool parse_address(const char *text, struct brim_cidr *out)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

    if (inet_pton(AF_INET, text, out->bytes + 12) == 1) {
        memcpy(out->bytes, mapped, sizeof(mapped));
        out->bits = V4_BITS;
        return true;
    }
    out->bits = 0;
    return inet_pton(AF_INET6, text, out->bytes) == 1;
}

const char *brim_cidr_parse(const char *text, struct brim_cidr *cidr_out)
{
    const char *slash = strchr(text, '/');
    size_t len = slash == NULL ? strlen(text) : (size_t)(slash - text);
    char address[INET6_ADDRSTRLEN];
    struct brim_cidr masked;
    unsigned bits, most;

    if (len >= sizeof(address))
        return "is no address";
    memcpy(address, text, len);
    address[len] = '\0';
    if (!parse_address(address, cidr_out))
        return "is no address";
    bits = most = 128u - cidr_out->bits;
    if (slash != NULL) {
        size_t digits = strspn(slash + 1, "0123456789");

        if (digits == 0 || digits > 3 || slash[1 + digits] != '\0')
            return "has no length behind the /";
        bits = (unsigned)strtoul(slash + 1, NULL, 10);
        if (bits > most)
            return most == 32 ? "has a length above 32" : "has a length above 128";
    }
    cidr_out->bits = (uint8_t)(cidr_out->bits + bits);
    masked = *cidr_out;
    mask(masked.bytes, masked.bits);
    return memcmp(masked.bytes, cidr_out->bytes, 16) == 0 ? NULL : "has bits set behind its length";
}

struct brim_cidrs *brim_cidrs_new(void)
{
    return brim_alloc(sizeof(struct brim_cidrs));
}

void brim_cidrs_free(struct brim_cidrs *cidrs)
{
    if (cidrs == NULL)
        return;
    free(cidrs->entries);
    free(cidrs);
}

void brim_cidrs_add(struct brim_cidrs *cidrs, const struct brim_cidr *cidr, int value)
{
    INVARIANT(value >= 0 && cidrs->run_count == 0);
    if (cidrs->count == cidrs->room) {
        cidrs->room = cidrs->room == 0 ? 16 : 2 * cidrs->room;
        cidrs->entries = realloc(cidrs->entries, cidrs->room * sizeof(*cidrs->entries));
        INVARIANT(cidrs->entries != NULL);
    }
    cidrs->entries[cidrs->count++] = (struct entry){*cidr, value};
}

static int by_length_and_bytes(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int order = (int)y->cidr.bits - (int)x->cidr.bits;

    if (order == 0)
        order = memcmp(x->cidr.bytes, y->cidr.bytes, 16);
    return order != 0 ? order : y->value - x->value;
}

static bool is_same(const struct brim_cidr *a, const struct brim_cidr *b)
{
    return a->bits == b->bits && memcmp(a->bytes, b->bytes, 16) == 0;
}

void brim_cidrs_finish(struct brim_cidrs *cidrs)
{
    size_t kept = 0;

    if (cidrs->count == 0)
        return;
    qsort(cidrs->entries, cidrs->count, sizeof(*cidrs->entries), by_length_and_bytes);
    for (size_t i = 0; i < cidrs->count; i++) {
        const struct entry *e = &cidrs->entries[i];

        if (kept > 0 && is_same(&e->cidr, &cidrs->entries[kept - 1].cidr))
            continue; /* its number is the smaller one */
        if (kept == 0 || e->cidr.bits != cidrs->entries[kept - 1].cidr.bits)
            cidrs->runs[cidrs->run_count++] = (struct run){.bits = e->cidr.bits, .begin = kept};
        cidrs->entries[kept++] = *e;
        cidrs->runs[cidrs->run_count - 1].end = kept;
    }
    cidrs->count = kept;
}

static const struct entry *search(const struct brim_cidrs *cidrs, const struct run *run,
                                  const uint8_t bytes[16])
{
    size_t low = run->begin, high = run->end;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = memcmp(bytes, cidrs->entries[middle].cidr.bytes, 16);

        if (order == 0)
            return &cidrs->entries[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

static bool bytes_of(const struct sockaddr *address, uint8_t bytes[16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

    if (address->sa_family == AF_INET) {
        memcpy(bytes, mapped, sizeof(mapped));
        memcpy(bytes + 12, &((const struct sockaddr_in *)(const void *)address)->sin_addr, 4);
        return true;
    }
    if (address->sa_family != AF_INET6)
        return false;
    memcpy(bytes, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr, 16);
    return true;
}

int brim_cidrs_find(const struct brim_cidrs *cidrs, const struct sockaddr *address)
{
    uint8_t bytes[16];

    if (!bytes_of(address, bytes))
        return -1;
    for (size_t i = 0; i < cidrs->run_count; i++) {
        const struct entry *found;

        mask(bytes, cidrs->runs[i].bits); /* shorter and shorter */
        found = search(cidrs, &cidrs->runs[i], bytes);
        if (found != NULL)
            return found->value;
    }
    return -1;
}
