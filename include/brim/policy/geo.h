/* SPDX-License-Identifier: MIT */
/*
 * geo - where an address is, as a MaxMind DB says (GeoLite2 and GeoIP2 City, Country, ASN, and what
 * is made in that form). The file is mapped; whoever replaces it puts a new one in its place and
 * restarts, since one that is cut short under a map would end the process.
 */
#ifndef BRIM_POLICY_GEO_H
#define BRIM_POLICY_GEO_H

#include <stdbool.h>
#include <stdint.h>

#include "brim/base/err.h"
#include "brim/base/str.h"

struct brim_geo; /* opaque */

struct brim_geo_place { /* what the file does not say is empty or false */
    char continent[8];  /* "EU" */
    char country[8];    /* ISO 3166-1: "AT" */
    char region[16];    /* ISO 3166-2, without the country: "9" */
    char city[128];     /* in English */
    char time_zone[64]; /* "Europe/Vienna" */
    char organisation[128];
    uint32_t asn; /* 0: none */
    bool has_position;
    double latitude;
    double longitude;
};

/* Errors: BRIM_EIO it cannot be read; BRIM_ECORRUPT it is no such file. Logged. Thread: init. */
BRIM_MUST_USE enum brim_err brim_geo_open(const char *path, struct brim_geo **geo_out);
void brim_geo_close(struct brim_geo *geo); /* accepts NULL */

/* Errors: BRIM_EINVAL ip is not an IPv4 or IPv6 address; BRIM_ENOENT nothing is known of it;
 * BRIM_ECORRUPT the file is damaged. Thread: any. */
BRIM_MUST_USE enum brim_err brim_geo_find(const struct brim_geo *geo, struct brim_str ip,
                                          struct brim_geo_place *place_out);

#endif
