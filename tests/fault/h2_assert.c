/* SPDX-License-Identifier: MIT */
/*
 * h2_assert - attacks the HTTP/2 server on 127.0.0.1:PORT in the way that aborts libh2o 2.2.5, and
 * says whether it survived. Bounded: at most 10,000 requests, none of them read.
 *
 * Usage: h2_assert PORT [BODY_BYTES [PATH]]. BODY_BYTES (default 1024) is what PATH (default /)
 * answers. Exit status: 0 the server still answers; 1 it is gone; 2 it was not there.
 */
#include <stdio.h>

#include "h2_raw.h"

static bool read_number(const char *text, unsigned long max, unsigned long *value_out)
{
    char *end = NULL;

    errno = 0;
    *value_out = strtoul(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' && *value_out > 0 && *value_out <= max;
}

int main(int argc, char **argv)
{
    unsigned long port = 0, body_bytes = 1024;
    const char *path = argc > 3 ? argv[3] : "/";

    if (argc < 2 || !read_number(argv[1], UINT16_MAX, &port) ||
        (argc > 2 && !read_number(argv[2], INT32_MAX - 1, &body_bytes)) || strlen(path) > 100) {
        fprintf(stderr, "usage: h2_assert PORT [BODY_BYTES [PATH]]\n");
        return 2;
    }
    if (!h2_raw_is_alive((uint16_t)port)) {
        printf("nobody answers on port %lu\n", port);
        return 2;
    }
    h2_attack_assert((uint16_t)port, path, (uint32_t)body_bytes, H2_ASSERT_WINDOW);
    if (h2_raw_is_alive((uint16_t)port))
        h2_attack_assert((uint16_t)port, path, (uint32_t)body_bytes, H2_ASSERT_SETTINGS);
    if (!h2_raw_is_alive((uint16_t)port)) {
        printf("the server is gone\n");
        return 1;
    }
    printf("the server is alive\n");
    return 0;
}
