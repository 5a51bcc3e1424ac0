/* SPDX-License-Identifier: MIT */
#include "brim/http/weight.h"

/* qvalue = ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] ), in thousandths, or -1. */
static int parse_qvalue(struct brim_str text)
{
    int weight;
    int unit = 100;

    if (text.len == 0 || text.len > 5 || (text.base[0] != '0' && text.base[0] != '1'))
        return -1;
    weight = (text.base[0] - '0') * BRIM_WEIGHT_MAX;
    if (text.len > 1 && text.base[1] != '.')
        return -1;
    for (size_t i = 2; i < text.len; i++) {
        if (text.base[i] < '0' || text.base[i] > '9')
            return -1;
        weight += (text.base[i] - '0') * unit;
        unit /= 10;
    }
    return weight <= BRIM_WEIGHT_MAX ? weight : -1;
}

struct brim_weighted brim_weighted_parse(struct brim_str member)
{
    const char *semicolon = memchr(member.base, ';', member.len);
    struct brim_weighted weighted = {member, BRIM_WEIGHT_MAX};

    if (semicolon == NULL)
        return weighted;
    size_t len = (size_t)(semicolon - member.base);
    struct brim_str rest = brim_str_trim(brim_str(semicolon + 1, member.len - len - 1));
    weighted.token = brim_str_trim(brim_str(member.base, len));
    weighted.weight = -1;
    if (rest.len >= 2 && (rest.base[0] | 0x20) == 'q' && rest.base[1] == '=')
        weighted.weight = parse_qvalue(brim_str(rest.base + 2, rest.len - 2));
    return weighted;
}
