/* SPDX-License-Identifier: MIT */
/*
 * HTTP-date: eight bytes of now, then text. What is read is in range and survives a round trip.
 */
#include "brim/http/date.h"
#include "fuzz.h"

#define NOW_MAX_S 253402300799 /* 9999-12-31 23:59:59 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t now_wall_s;
    char text[BRIM_DATE_BYTES];

    if (size < sizeof(now_wall_s))
        return 0;
    memcpy(&now_wall_s, data, sizeof(now_wall_s));
    now_wall_s %= NOW_MAX_S;
    struct brim_str input =
        brim_str((const char *)data + sizeof(now_wall_s), size - sizeof(now_wall_s));

    int64_t wall_s = brim_date_parse(input, now_wall_s);
    if (wall_s == INT64_MIN)
        return 0;
    brim_date_format(wall_s, text);
    /* rfc850 with a negative year would need a now before year 50; others have four digits. */
    if (now_wall_s >= 0)
        INVARIANT(brim_date_parse(brim_str(text, sizeof(text)), now_wall_s) == wall_s ||
                  wall_s > NOW_MAX_S);
    return 0;
}
