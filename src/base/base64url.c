/* SPDX-License-Identifier: MIT */
#include "brim/base/base64url.h"

#include <stdint.h>

/* The last two characters of the alphabet, which the kinds differ in. */
static const char last_url[] = "-_", last_plain[] = "+/";

static char letter_of(unsigned value, const char last[2])
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

    return value < 62 ? letters[value] : last[value - 62];
}

static void write_letters(const void *bytes, size_t len, char *out, const char last[2])
{
    const unsigned char *in = bytes;
    uint32_t bits = 0;
    unsigned held = 0;

    for (size_t i = 0; i < len; i++) {
        bits = bits << 8 | in[i];
        for (held += 8; held >= 6; held -= 6)
            *out++ = letter_of(bits >> (held - 6) & 63, last);
    }
    if (held > 0)
        *out = letter_of(bits << (6 - held) & 63, last);
}

static int value_of(char c, const char last[2])
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == last[0] ? 62 : c == last[1] ? 63 : -1;
}

static bool read_letters(struct brim_str text, void *room, size_t *len_out, const char last[2])
{
    unsigned char *out = room;
    uint32_t bits = 0;
    unsigned held = 0;

    *len_out = 0;
    for (size_t i = 0; i < text.len; i++) {
        int value = value_of(text.base[i], last);

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

void brim_base64url_write(const void *bytes, size_t len, char *out)
{
    write_letters(bytes, len, out, last_url);
}

bool brim_base64url_read(struct brim_str text, void *room, size_t *len_out)
{
    return read_letters(text, room, len_out, last_url);
}

void brim_base64_write(const void *bytes, size_t len, char *out)
{
    write_letters(bytes, len, out, last_plain);
    for (size_t at = BRIM_BASE64URL_LEN(len); at < BRIM_BASE64_LEN(len); at++)
        out[at] = '=';
}

bool brim_base64_read(struct brim_str text, void *room, size_t *len_out)
{
    size_t len = text.len;

    *len_out = 0;
    if (len % 4 != 0)
        return false;
    for (size_t pad = 0; pad < 2 && len > 0 && text.base[len - 1] == '='; pad++)
        len--;
    return read_letters(brim_str(text.base, len), room, len_out, last_plain);
}
