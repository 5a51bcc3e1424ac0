/* SPDX-License-Identifier: MIT */
/*
 * version - by which HTTP a message came, as Via tells it (RFC 9110 7.6.3).
 */
#ifndef BRIM_HTTP_VERSION_H
#define BRIM_HTTP_VERSION_H

/* The values stand in records on disk. */
enum brim_http_version { BRIM_HTTP_1_1, BRIM_HTTP_1_0, BRIM_HTTP_2, BRIM_HTTP_VERSIONS };

/* Of 0x100, 0x101 or 0x200, as h2o has it. Pure. */
static inline enum brim_http_version brim_http_version_of(int number)
{
    return number >= 0x200 ? BRIM_HTTP_2 : number == 0x100 ? BRIM_HTTP_1_0 : BRIM_HTTP_1_1;
}

#endif
