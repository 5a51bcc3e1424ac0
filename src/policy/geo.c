/* SPDX-License-Identifier: MIT */
#include "brim/policy/geo.h"

#include <arpa/inet.h>
#include <maxminddb.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "brim/base/invariant.h"
#include "brim/base/log.h"

struct brim_geo {
    MMDB_s db;
};

enum brim_err brim_geo_open(const char *path, struct brim_geo **geo_out)
{
    struct brim_geo *geo = brim_alloc(sizeof(*geo));
    int status = MMDB_open(path, MMDB_MODE_MMAP, &geo->db);

    *geo_out = NULL;
    if (status != MMDB_SUCCESS) {
        BRIM_LOG(ERROR, "geo.failed", "file=%s reason=\"%s\"", path, MMDB_strerror(status));
        free(geo);
        return status == MMDB_FILE_OPEN_ERROR || status == MMDB_IO_ERROR ? BRIM_EIO : BRIM_ECORRUPT;
    }
    BRIM_LOG(INFO, "geo.opened", "file=%s type=%s", path, geo->db.metadata.database_type);
    *geo_out = geo;
    return BRIM_OK;
}

void brim_geo_close(struct brim_geo *geo)
{
    if (geo == NULL)
        return;
    MMDB_close(&geo->db);
    free(geo);
}

/* ---- looking up ---- */

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static bool parse(struct brim_str ip, union address *address)
{
    char text[INET6_ADDRSTRLEN];

    memset(address, 0, sizeof(*address));
    if (ip.len >= sizeof(text))
        return false;
    if (ip.len > 0)
        memcpy(text, ip.base, ip.len);
    text[ip.len] = '\0';
    if (inet_pton(AF_INET, text, &address->v4.sin_addr) == 1) {
        address->any.sa_family = AF_INET;
        return true;
    }
    address->any.sa_family = AF_INET6;
    return inet_pton(AF_INET6, text, &address->v6.sin6_addr) == 1;
}

static void take_text(MMDB_entry_s *entry, const char *const *path, char *out, size_t room)
{
    MMDB_entry_data_s data;

    if (MMDB_aget_value(entry, &data, path) != MMDB_SUCCESS || !data.has_data ||
        data.type != MMDB_DATA_TYPE_UTF8_STRING || data.data_size >= room)
        return;
    memcpy(out, data.utf8_string, data.data_size);
    out[data.data_size] = '\0';
}

static bool take_double(MMDB_entry_s *entry, const char *const *path, double *out)
{
    MMDB_entry_data_s data;

    if (MMDB_aget_value(entry, &data, path) != MMDB_SUCCESS || !data.has_data ||
        data.type != MMDB_DATA_TYPE_DOUBLE)
        return false;
    *out = data.double_value;
    return true;
}

#define PATH(...) ((const char *const[]){__VA_ARGS__, NULL})

static void take_place(MMDB_entry_s *entry, struct brim_geo_place *p)
{
    MMDB_entry_data_s asn;

    take_text(entry, PATH("continent", "code"), p->continent, sizeof(p->continent));
    take_text(entry, PATH("country", "iso_code"), p->country, sizeof(p->country));
    take_text(entry, PATH("subdivisions", "0", "iso_code"), p->region, sizeof(p->region));
    take_text(entry, PATH("city", "names", "en"), p->city, sizeof(p->city));
    take_text(entry, PATH("location", "time_zone"), p->time_zone, sizeof(p->time_zone));
    take_text(entry, PATH("autonomous_system_organization"), p->organisation,
              sizeof(p->organisation));
    if (MMDB_aget_value(entry, &asn, PATH("autonomous_system_number")) == MMDB_SUCCESS &&
        asn.has_data && asn.type == MMDB_DATA_TYPE_UINT32)
        p->asn = asn.uint32;
    p->has_position = take_double(entry, PATH("location", "latitude"), &p->latitude) &&
                      take_double(entry, PATH("location", "longitude"), &p->longitude);
}

enum brim_err brim_geo_find(const struct brim_geo *geo, struct brim_str ip,
                            struct brim_geo_place *place_out)
{
    union address address;
    MMDB_lookup_result_s result;
    int status;

    *place_out = (struct brim_geo_place){.asn = 0};
    if (!parse(ip, &address))
        return BRIM_EINVAL;
    result = MMDB_lookup_sockaddr(&geo->db, &address.any, &status);
    if (status == MMDB_IPV6_LOOKUP_IN_IPV4_DATABASE_ERROR)
        return BRIM_ENOENT;
    if (status != MMDB_SUCCESS)
        return BRIM_ECORRUPT;
    if (!result.found_entry)
        return BRIM_ENOENT;
    take_place(&result.entry, place_out);
    return BRIM_OK;
}
