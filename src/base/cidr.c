/* SPDX-License-Identifier: MIT */
/*
 * Blocks lie apart or one inside the other, so together they cut the line of all addresses into
 * pieces, each with the number of the innermost block around it. What is kept is where each piece
 * begins, sorted: a search is one bisection, however the blocks are nested (a trie would be as many
 * steps and several times the memory).
 */
#include "brim/base/cidr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "brim/base/invariant.h"

#define V4_BITS 96

struct point { /* an address, as a number of 128 bits */
    uint64_t high, low;
};

struct entry {
    struct brim_cidr cidr;
    int value;
};

struct piece {
    struct point begin;
    int value; /* -1: in no block */
};

struct brim_cidrs {
    struct entry *entries; /* until it is finished */
    size_t count;
    size_t room;
    struct piece *pieces;
    size_t piece_count;
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
    free(cidrs->pieces);
    free(cidrs);
}

void brim_cidrs_add(struct brim_cidrs *cidrs, const struct brim_cidr *cidr, int value)
{
    INVARIANT(value >= 0 && cidrs->pieces == NULL);
    if (cidrs->count == cidrs->room) {
        cidrs->room = cidrs->room == 0 ? 16 : 2 * cidrs->room;
        cidrs->entries = realloc(cidrs->entries, cidrs->room * sizeof(*cidrs->entries));
        INVARIANT(cidrs->entries != NULL);
    }
    cidrs->entries[cidrs->count++] = (struct entry){*cidr, value};
}

/* The word that a line holds, in place; NULL: none. */
static char *word_of(char *line)
{
    char *word = line + strspn(line, " \t\r\n");

    word[strcspn(word, "#")] = '\0';
    for (size_t len = strlen(word); len > 0 && strchr(" \t\r\n", word[len - 1]) != NULL; len--)
        word[len - 1] = '\0';
    return word[0] == '\0' ? NULL : word;
}

static void describe(struct brim_cidr_wrong *wrong, const char *word)
{
    size_t len = strnlen(word, sizeof(wrong->text) - 1);

    for (size_t i = 0; i < len; i++)
        wrong->text[i] = word[i] < ' ' || word[i] > '~' ? '?' : word[i];
    wrong->text[len] = '\0';
}

enum brim_err brim_cidrs_add_file(struct brim_cidrs *cidrs, const char *path, int value,
                                  struct brim_cidr_wrong *wrong_out)
{
    FILE *file = fopen(path, "re");
    enum brim_err err = BRIM_OK;
    char *line = NULL;
    size_t room = 0;

    *wrong_out = (struct brim_cidr_wrong){.line = 0};
    if (file == NULL)
        return BRIM_EIO;
    while (err == BRIM_OK && getline(&line, &room, file) >= 0) {
        struct brim_cidr cidr;
        const char *word = word_of(line);

        wrong_out->line++;
        if (word == NULL)
            continue;
        wrong_out->why = brim_cidr_parse(word, &cidr);
        if (wrong_out->why == NULL)
            brim_cidrs_add(cidrs, &cidr, value);
        else
            err = BRIM_EINVAL;
        if (err != BRIM_OK)
            describe(wrong_out, word);
    }
    if (err == BRIM_OK && ferror(file))
        err = BRIM_EIO;
    free(line);
    (void)fclose(file);
    return err;
}

/* An outer block before those inside it; of the same the larger number first. */
static int by_begin(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int order = memcmp(x->cidr.bytes, y->cidr.bytes, 16);

    if (order == 0)
        order = (int)x->cidr.bits - (int)y->cidr.bits;
    return order != 0 ? order : y->value - x->value;
}

static struct point point_of(const uint8_t bytes[16])
{
    struct point point = {0, 0};

    for (int i = 0; i < 8; i++) {
        point.high = point.high << 8 | bytes[i];
        point.low = point.low << 8 | bytes[8 + i];
    }
    return point;
}

static bool is_before(struct point a, struct point b)
{
    return a.high < b.high || (a.high == b.high && a.low < b.low);
}

/* The first point behind the block; zero where it reaches to the end. */
static struct point end_of(const struct brim_cidr *cidr)
{
    struct point end = point_of(cidr->bytes);
    unsigned bits = cidr->bits;
    uint64_t step = bits == 0 || bits == 64 ? 0 : UINT64_C(1) << (64 - bits % 64) % 64;

    if (bits > 64) {
        end.low += step;
        end.high += end.low == 0;
    } else if (bits == 64) {
        end.high++;
    } else {
        end.high = bits == 0 ? 0 : end.high + step;
    }
    return end;
}

/* From here on value; a piece of no length is forgotten. */
static void cut(struct brim_cidrs *cidrs, struct point at, int value)
{
    size_t count = cidrs->piece_count;

    if (count > 0 && !is_before(cidrs->pieces[count - 1].begin, at))
        cidrs->pieces[count - 1].value = value;
    else
        cidrs->pieces[cidrs->piece_count++] = (struct piece){at, value};
}

/* The blocks around the place that the sweep has come to, the innermost last. */
struct nest {
    const struct entry *around[130];
    size_t depth;
};

/* Leaves the blocks that end at or before `until`; NULL: all. */
static void leave(struct brim_cidrs *cidrs, struct nest *nest, const struct point *until)
{
    while (nest->depth > 0) {
        struct point end = end_of(&nest->around[nest->depth - 1]->cidr);
        bool is_last = end.high == 0 && end.low == 0; /* nothing is behind it */

        if (until != NULL && (is_last || is_before(*until, end)))
            return;
        nest->depth--;
        if (!is_last)
            cut(cidrs, end, nest->depth == 0 ? -1 : nest->around[nest->depth - 1]->value);
    }
}

void brim_cidrs_finish(struct brim_cidrs *cidrs)
{
    struct nest nest = {.depth = 0};

    if (cidrs->count == 0)
        return;
    qsort(cidrs->entries, cidrs->count, sizeof(*cidrs->entries), by_begin);
    cidrs->pieces = brim_alloc(2 * cidrs->count * sizeof(*cidrs->pieces));
    for (size_t i = 0; i < cidrs->count; i++) {
        const struct entry *e = &cidrs->entries[i];
        struct point begin = point_of(e->cidr.bytes);

        if (i > 0 && e->cidr.bits == e[-1].cidr.bits &&
            memcmp(e->cidr.bytes, e[-1].cidr.bytes, 16) == 0)
            continue; /* its number is the smaller one */
        leave(cidrs, &nest, &begin);
        INVARIANT(nest.depth < sizeof(nest.around) / sizeof(nest.around[0]));
        nest.around[nest.depth++] = e;
        cut(cidrs, begin, e->value);
    }
    leave(cidrs, &nest, NULL);
    free(cidrs->entries);
    cidrs->entries = NULL;
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
    size_t low = 0, high = cidrs->piece_count;
    uint8_t bytes[16];
    struct point point;

    if (!bytes_of(address, bytes))
        return -1;
    point = point_of(bytes);
    while (low < high) { /* to the first piece that begins behind it */
        size_t middle = low + (high - low) / 2;

        if (is_before(point, cidrs->pieces[middle].begin))
            high = middle;
        else
            low = middle + 1;
    }
    return low == 0 ? -1 : cidrs->pieces[low - 1].value;
}
