/* SPDX-License-Identifier: MIT */
#include "brim/base/utf8.h"

#include "brim/base/invariant.h"

size_t brim_utf8_length(struct brim_str text)
{
    const unsigned char *at = (const unsigned char *)text.base;
    size_t length;

    INVARIANT(text.len > 0);
    length = at[0] < 0x80 ? 1 : at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
    if ((at[0] >= 0x80 && at[0] < 0xc2) || at[0] > 0xf4 || length > text.len)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) ||
        (at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] > 0x8f))
        return 0;
    return length;
}
