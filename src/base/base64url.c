/* SPDX-License-Identifier: MIT */
#include "brim/base/base64url.h"

#include <stdint.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void brim_base64url_write(const void *bytes, size_t len, char *out)
{
    const unsigned char *in = bytes;
    uint32_t bits = 0;
    unsigned held = 0;

    for (size_t i = 0; i < len; i++) {
        bits = bits << 8 | in[i];
        for (held += 8; held >= 6; held -= 6)
            *out++ = alphabet[bits >> (held - 6) & 63];
    }
    if (held > 0)
        *out = alphabet[bits << (6 - held) & 63];
}

static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

bool brim_base64url_read(struct brim_str text, void *room, size_t *len_out)
{
    unsigned char *out = room;
    uint32_t bits = 0;
    unsigned held = 0;

    *len_out = 0;
    for (size_t i = 0; i < text.len; i++) {
        int value = value_of(text.base[i]);

        if (value < 0)
            return false;
        bits = bits << 6 | (uint32_t)value;
        held += 6;
        if (held >= 8) {
            held -= 8;
            out[(*len_out)++] = (unsigned char)(bits >> held);
        }
    }
    return held != 6 && (bits & ((1u << held) - 1)) == 0; /* no bit is left over */
}
