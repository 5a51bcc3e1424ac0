/* SPDX-License-Identifier: MIT */
/*
 * chunks - how fast a chunked request body is decoded: what one turn of a worker's loop may cost.
 *
 *   chunks [SECONDS]      default: 0.5 for each kind of body
 *
 * Bodies are decoded in pieces of 256 KiB, as they come from a socket. Prints one line each:
 * what a chunk is, MB of coded bytes a second, and nanoseconds a chunk. Built by hand:
 *
 *   cc -O2 -D_GNU_SOURCE -DH2O_USE_LIBUV=0 -Iinclude bench/micro/chunks.c -o /tmp/chunks \
 *      build/release/libbrim_{serve,http,base}.a
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "brim/serve/guard.h"

enum { PIECE = 256 * 1024, CODED = 8 * 1024 * 1024, CHUNK_MAX = 70000 };

static const struct kind {
    const char *name;
    size_t data, extension;
} kinds[] = {
    {"1 byte", 1, 0},   {"16 bytes", 16, 0},  {"1 byte, extension of 200", 1, 200},
    {"1 KiB", 1024, 0}, {"64 KiB", 65536, 0},
};

static double now_s(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static size_t one_chunk(const struct kind *kind, char *to)
{
    size_t len = (size_t)snprintf(to, 32, "%zx", kind->data);

    if (kind->extension > 0) {
        to[len++] = ';';
        memset(to + len, 'e', kind->extension - 1);
        len += kind->extension - 1;
    }
    memcpy(to + len, "\r\n", 2);
    memset(to + len + 2, 'x', kind->data);
    memcpy(to + len + 2 + kind->data, "\r\n", 2);
    return len + 2 + kind->data + 2;
}

/* All of coded once; what it takes to put a piece where it is decoded is not counted. */
static double decode(const char *coded, size_t len)
{
    static char piece[PIECE];
    struct phr_chunked_decoder decoder = {.consume_trailer = 1};
    double spent = 0;

    for (size_t at = 0; at < len; at += PIECE) {
        size_t some = len - at < PIECE ? len - at : PIECE;
        double began;

        memcpy(piece, coded + at, some);
        began = now_s();
        if (phr_decode_chunked(&decoder, piece, &some) != -2)
            abort();
        spent += now_s() - began;
    }
    return spent;
}

int main(int argc, char **argv)
{
    double limit = argc > 1 ? atof(argv[1]) : 0.5;
    char *coded = malloc(CODED + CHUNK_MAX);

    for (size_t i = 0; coded != NULL && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        double spent = 0, bytes = 0, chunks = 0, in_one = 0;
        size_t len = 0;

        for (; len < CODED; in_one++)
            len += one_chunk(&kinds[i], coded + len);
        for (; spent < limit; bytes += (double)len, chunks += in_one)
            spent += decode(coded, len);
        printf("%-26s %9.0f MB/s %9.1f ns\n", kinds[i].name, bytes / spent / 1e6,
               spent / chunks * 1e9);
    }
    free(coded);
    return 0;
}
