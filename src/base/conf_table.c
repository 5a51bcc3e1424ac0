/* SPDX-License-Identifier: MIT */
/*
 * The rows of conf_schema.h as data. A row macro cannot know the struct it stands in, so THIS names
 * it while one table is expanded; tables are in the order in which they refer to each other.
 */
#include "brim/base/conf_table.h"

#include <assert.h>
#include <string.h>

#include "brim/base/invariant.h"

/* What min and max mean depends on the type: for CHOICE, max is the list of words. */
#define RANGE_NUMBER(lo, hi)   .min = (lo), .max = (hi)
#define RANGE_STRING(lo, hi)   RANGE_NUMBER(lo, hi)
#define RANGE_STRINGS(lo, hi)  RANGE_NUMBER(lo, hi)
#define RANGE_FILE(lo, hi)     RANGE_NUMBER(lo, hi)
#define RANGE_BOOL(lo, hi)     RANGE_NUMBER(lo, hi)
#define RANGE_INT(lo, hi)      RANGE_NUMBER(lo, hi)
#define RANGE_SIZE(lo, hi)     RANGE_NUMBER(lo, hi)
#define RANGE_DURATION(lo, hi) RANGE_NUMBER(lo, hi)
#define RANGE_CHOICE(lo, hi)   .choices = (hi)
#define RANGE_URL(lo, hi)      RANGE_NUMBER(lo, hi)
#define RANGE_ADDRESS(lo, hi)  RANGE_NUMBER(lo, hi)

#define ROW_O(type_, member_, key_, def_, min_, max_, reload_, text_)                              \
    {.kind = BRIM_CONF_OPTION,                                                                     \
     .key = (key_),                                                                                \
     .text = (text_),                                                                              \
     .offset = offsetof(struct THIS, member_),                                                     \
     .type = BRIM_CONF_TYPE_##type_,                                                               \
     .reload = BRIM_CONF_##reload_,                                                                \
     .def = (def_),                                                                                \
     RANGE_##type_(min_, max_)},
#define ROW_S(member_, key_, table_, tag_, text_)                                                  \
    {.kind = BRIM_CONF_MAPPING,                                                                    \
     .key = (key_),                                                                                \
     .text = (text_),                                                                              \
     .offset = offsetof(struct THIS, member_),                                                     \
     .table = &TABLE_OF_##tag_},
#define ROW_L(member_, key_, table_, tag_, min_, max_, text_)                                      \
    {.kind = BRIM_CONF_LIST,                                                                       \
     .key = (key_),                                                                                \
     .text = (text_),                                                                              \
     .offset = offsetof(struct THIS, member_.items),                                               \
     .count_offset = offsetof(struct THIS, member_.count),                                         \
     .min = (min_),                                                                                \
     .max = (max_),                                                                                \
     .table = &TABLE_OF_##tag_},

#define TABLE_OF_brim_conf_node             node_table
#define TABLE_OF_brim_conf_log              log_table
#define TABLE_OF_brim_conf_access_log       access_log_table
#define TABLE_OF_brim_conf_certificate      certificate_table
#define TABLE_OF_brim_conf_tls              tls_table
#define TABLE_OF_brim_conf_listener         listener_table
#define TABLE_OF_brim_conf_admin            admin_table
#define TABLE_OF_brim_conf_cache            cache_table
#define TABLE_OF_brim_conf_compress         compress_table
#define TABLE_OF_brim_conf_kv               kv_table
#define TABLE_OF_brim_conf_dns              dns_table
#define TABLE_OF_brim_conf_limits           limits_table
#define TABLE_OF_brim_conf_abuse            abuse_table
#define TABLE_OF_brim_conf_timeouts         timeouts_table
#define TABLE_OF_brim_conf_server           server_table
#define TABLE_OF_brim_conf_origin_tls       origin_tls_table
#define TABLE_OF_brim_conf_health           health_table
#define TABLE_OF_brim_conf_sticky           sticky_table
#define TABLE_OF_brim_conf_origin           origin_table
#define TABLE_OF_brim_conf_rules            brim_conf_table_rules
#define TABLE_OF_brim_conf_env              env_table
#define TABLE_OF_brim_conf_handlers         handlers_table
#define TABLE_OF_brim_conf_access           access_table
#define TABLE_OF_brim_conf_rate_limit       rate_limit_table
#define TABLE_OF_brim_conf_jwt              brim_conf_table_jwt
#define TABLE_OF_brim_conf_ryw              ryw_table
#define TABLE_OF_brim_conf_route_header     route_header_table
#define TABLE_OF_brim_conf_rewrite          rewrite_table
#define TABLE_OF_brim_conf_route            route_table
#define TABLE_OF_brim_conf_site             site_table
#define TABLE_OF_brim_conf_basic_auth       brim_conf_table_basic_auth
#define TABLE_OF_brim_conf_signed_url       brim_conf_table_signed_url
#define TABLE_OF_brim_conf_cors             brim_conf_table_cors
#define TABLE_OF_brim_conf_security_headers brim_conf_table_security_headers
#define TABLE_OF_brim_conf_purge_via        purge_via_table

/* Initialiser of a table, and what must hold of it. */
#define TABLE(tag_, fields_)                                                                       \
    {                                                                                              \
        .struct_bytes = sizeof(struct tag_), .fields = (fields_),                                  \
        .field_count = sizeof(fields_) / sizeof((fields_)[0]),                                     \
    }
#define CHECK_TABLE(tag_, fields_)                                                                 \
    static_assert(offsetof(struct tag_, line) == 0, "line comes first");                           \
    static_assert(sizeof(fields_) / sizeof((fields_)[0]) <= BRIM_CONF_FIELDS_MAX, "too many rows")

#define THIS brim_conf_node
static const struct brim_conf_field node_fields[] = {BRIM_CONF_NODE(ROW_O, ROW_S, ROW_L)};
static const struct brim_conf_table node_table = TABLE(brim_conf_node, node_fields);
CHECK_TABLE(brim_conf_node, node_fields);
#undef THIS

#define THIS brim_conf_log
static const struct brim_conf_field log_fields[] = {BRIM_CONF_LOG(ROW_O, ROW_S, ROW_L)};
static const struct brim_conf_table log_table = TABLE(brim_conf_log, log_fields);
CHECK_TABLE(brim_conf_log, log_fields);
#undef THIS

#define THIS brim_conf_access_log
static const struct brim_conf_field access_log_fields[] = {
    BRIM_CONF_ACCESS_LOG(ROW_O, ROW_S, ROW_L)};
static const struct brim_conf_table access_log_table =
    TABLE(brim_conf_access_log, access_log_fields);
CHECK_TABLE(brim_conf_access_log, access_log_fields);
#undef THIS

#define THIS brim_conf_certificate
static const struct brim_conf_field certificate_fields[] = {
    BRIM_CONF_CERTIFICATE(ROW_O, ROW_S, ROW_L)};
static const struct brim_conf_table certificate_table =
    TABLE(brim_conf_certificate, certificate_fields);
CHECK_TABLE(brim_conf_certificate, certificate_fields);
#undef THIS

#define THIS brim_conf_tls
static const struct brim_conf_field tls_fields[] = {BRIM_CONF_TLS(ROW_O, ROW_S, ROW_L)};
static const struct brim_conf_table tls_table = TABLE(brim_conf_tls, tls_fields);
CHECK_TABLE(brim_conf_tls, tls_fields);
#undef THIS

#define THIS brim_conf_listener
static const struct brim_conf_field listener_fields[] = {BRIM_CONF_LISTENER(ROW_O, ROW_S, ROW_L)};
static const struct brim_conf_table listener_table = TABLE(brim_conf_listener, listener_fields);
CHECK_TABLE(brim_conf_listener, listener_fields);
#undef THIS

#define THIS brim_conf_purge_via
static const struct brim_conf_field purge_via_fields[] = {BRIM_CONF_PURGE_VIA(ROW_O, ROW_S, ROW_L)};
static const struct brim_conf_table purge_via_table = TABLE(brim_conf_purge_via, purge_via_fields);
CHECK_TABLE(brim_conf_purge_via, purge_via_fields);
#undef THIS

#define THIS brim_conf_admin
static const struct brim_conf_field admin_fields[] = {BRIM_CONF_ADMIN(ROW_O, ROW_S, ROW_L)};
static const struct brim_conf_table admin_table = TABLE(brim_conf_admin, admin_fields);
CHECK_TABLE(brim_conf_admin, admin_fields);
#undef THIS

#define THIS brim_conf_cache
static const struct brim_conf_field cache_fields[] = {BRIM_CONF_CACHE(ROW_O, ROW_S, ROW_L)};
static const struct brim_conf_table cache_table = TABLE(brim_conf_cache, cache_fields);
CHECK_TABLE(brim_conf_cache, cache_fields);
#undef THIS

#define THIS brim_conf_compress
static const struct brim_conf_field compress_fields[] = {BRIM_CONF_COMPRESS(ROW_O, ROW_S, ROW_L)};
static const struct brim_conf_table compress_table = TABLE(brim_conf_compress, compress_fields);
CHECK_TABLE(brim_conf_compress, compress_fields);
#undef THIS
#define THIS brim_conf_kv
static const struct brim_conf_field kv_fields[] = {BRIM_CONF_KV(ROW_O, ROW_S, ROW_L)};
static const struct brim_conf_table kv_table = TABLE(brim_conf_kv, kv_fields);
CHECK_TABLE(brim_conf_kv, kv_fields);
#undef THIS
#define THIS brim_conf_dns
static const struct brim_conf_field dns_fields[] = {BRIM_CONF_DNS(ROW_O, ROW_S, ROW_L)};
static const struct brim_conf_table dns_table = TABLE(brim_conf_dns, dns_fields);
CHECK_TABLE(brim_conf_dns, dns_fields);
#undef THIS

#define THIS brim_conf_limits
static const struct brim_conf_field limits_fields[] = {BRIM_CONF_LIMITS(ROW_O, ROW_S, ROW_L)};
static const struct brim_conf_table limits_table = TABLE(brim_conf_limits, limits_fields);
CHECK_TABLE(brim_conf_limits, limits_fields);
#undef THIS

#define THIS brim_conf_abuse
static const struct brim_conf_field abuse_fields[] = {BRIM_CONF_ABUSE(ROW_O, ROW_S, ROW_L)};
static const struct brim_conf_table abuse_table = TABLE(brim_conf_abuse, abuse_fields);
CHECK_TABLE(brim_conf_abuse, abuse_fields);
#undef THIS

#define THIS brim_conf_timeouts
static const struct brim_conf_field timeouts_fields[] = {BRIM_CONF_TIMEOUTS(ROW_O, ROW_S, ROW_L)};
static const struct brim_conf_table timeouts_table = TABLE(brim_conf_timeouts, timeouts_fields);
CHECK_TABLE(brim_conf_timeouts, timeouts_fields);
#undef THIS

#define THIS brim_conf_server
static const struct brim_conf_field server_fields[] = {BRIM_CONF_SERVER(ROW_O, ROW_S, ROW_L)};
static const struct brim_conf_table server_table = TABLE(brim_conf_server, server_fields);
CHECK_TABLE(brim_conf_server, server_fields);
#undef THIS

#define THIS brim_conf_origin_tls
static const struct brim_conf_field origin_tls_fields[] = {
    BRIM_CONF_ORIGIN_TLS(ROW_O, ROW_S, ROW_L)};
static const struct brim_conf_table origin_tls_table =
    TABLE(brim_conf_origin_tls, origin_tls_fields);
CHECK_TABLE(brim_conf_origin_tls, origin_tls_fields);
#undef THIS

#define THIS brim_conf_health
static const struct brim_conf_field health_fields[] = {BRIM_CONF_HEALTH(ROW_O, ROW_S, ROW_L)};
static const struct brim_conf_table health_table = TABLE(brim_conf_health, health_fields);
CHECK_TABLE(brim_conf_health, health_fields);
#undef THIS

#define THIS brim_conf_sticky
static const struct brim_conf_field sticky_fields[] = {BRIM_CONF_STICKY(ROW_O, ROW_S, ROW_L)};
static const struct brim_conf_table sticky_table = TABLE(brim_conf_sticky, sticky_fields);
CHECK_TABLE(brim_conf_sticky, sticky_fields);
#undef THIS

#define THIS brim_conf_origin
static const struct brim_conf_field origin_fields[] = {BRIM_CONF_ORIGIN(ROW_O, ROW_S, ROW_L)};
static const struct brim_conf_table origin_table = TABLE(brim_conf_origin, origin_fields);
CHECK_TABLE(brim_conf_origin, origin_fields);
#undef THIS

#define THIS brim_conf_rules
static const struct brim_conf_field rules_fields[] = {BRIM_CONF_RULES(ROW_O, ROW_S, ROW_L)};
const struct brim_conf_table brim_conf_table_rules = TABLE(brim_conf_rules, rules_fields);
CHECK_TABLE(brim_conf_rules, rules_fields);
#undef THIS

#define THIS brim_conf_env
static const struct brim_conf_field env_fields[] = {BRIM_CONF_ENV(ROW_O, ROW_S, ROW_L)};
static const struct brim_conf_table env_table = TABLE(brim_conf_env, env_fields);
CHECK_TABLE(brim_conf_env, env_fields);
#undef THIS

#define THIS brim_conf_handlers
static const struct brim_conf_field handlers_fields[] = {BRIM_CONF_HANDLERS(ROW_O, ROW_S, ROW_L)};
static const struct brim_conf_table handlers_table = TABLE(brim_conf_handlers, handlers_fields);
CHECK_TABLE(brim_conf_handlers, handlers_fields);
#undef THIS

#define THIS brim_conf_access
static const struct brim_conf_field access_fields[] = {BRIM_CONF_ACCESS(ROW_O, ROW_S, ROW_L)};
static const struct brim_conf_table access_table = TABLE(brim_conf_access, access_fields);
CHECK_TABLE(brim_conf_access, access_fields);
#undef THIS

#define THIS brim_conf_rate_limit
static const struct brim_conf_field rate_limit_fields[] = {
    BRIM_CONF_RATE_LIMIT(ROW_O, ROW_S, ROW_L)};
static const struct brim_conf_table rate_limit_table =
    TABLE(brim_conf_rate_limit, rate_limit_fields);
CHECK_TABLE(brim_conf_rate_limit, rate_limit_fields);
#undef THIS

#define THIS brim_conf_jwt
static const struct brim_conf_field jwt_fields[] = {BRIM_CONF_JWT(ROW_O, ROW_S, ROW_L)};
const struct brim_conf_table brim_conf_table_jwt = TABLE(brim_conf_jwt, jwt_fields);
CHECK_TABLE(brim_conf_jwt, jwt_fields);
#undef THIS

#define THIS brim_conf_ryw
static const struct brim_conf_field ryw_fields[] = {BRIM_CONF_RYW(ROW_O, ROW_S, ROW_L)};
static const struct brim_conf_table ryw_table = TABLE(brim_conf_ryw, ryw_fields);
CHECK_TABLE(brim_conf_ryw, ryw_fields);
#undef THIS

#define THIS brim_conf_route_header
static const struct brim_conf_field route_header_fields[] = {
    BRIM_CONF_ROUTE_HEADER(ROW_O, ROW_S, ROW_L)};
static const struct brim_conf_table route_header_table =
    TABLE(brim_conf_route_header, route_header_fields);
CHECK_TABLE(brim_conf_route_header, route_header_fields);
#undef THIS

#define THIS brim_conf_rewrite
static const struct brim_conf_field rewrite_fields[] = {BRIM_CONF_REWRITE(ROW_O, ROW_S, ROW_L)};
static const struct brim_conf_table rewrite_table = TABLE(brim_conf_rewrite, rewrite_fields);
CHECK_TABLE(brim_conf_rewrite, rewrite_fields);
#undef THIS

#define THIS brim_conf_cors
static const struct brim_conf_field cors_fields[] = {BRIM_CONF_CORS(ROW_O, ROW_S, ROW_L)};
const struct brim_conf_table brim_conf_table_cors = TABLE(brim_conf_cors, cors_fields);
CHECK_TABLE(brim_conf_cors, cors_fields);
#undef THIS

#define THIS brim_conf_security_headers
static const struct brim_conf_field security_headers_fields[] = {
    BRIM_CONF_SECURITY_HEADERS(ROW_O, ROW_S, ROW_L)};
const struct brim_conf_table brim_conf_table_security_headers =
    TABLE(brim_conf_security_headers, security_headers_fields);
CHECK_TABLE(brim_conf_security_headers, security_headers_fields);
#undef THIS

#define THIS brim_conf_basic_auth
static const struct brim_conf_field basic_auth_fields[] = {
    BRIM_CONF_BASIC_AUTH(ROW_O, ROW_S, ROW_L)};
const struct brim_conf_table brim_conf_table_basic_auth =
    TABLE(brim_conf_basic_auth, basic_auth_fields);
CHECK_TABLE(brim_conf_basic_auth, basic_auth_fields);
#undef THIS

#define THIS brim_conf_signed_url
static const struct brim_conf_field signed_url_fields[] = {
    BRIM_CONF_SIGNED_URL(ROW_O, ROW_S, ROW_L)};
const struct brim_conf_table brim_conf_table_signed_url =
    TABLE(brim_conf_signed_url, signed_url_fields);
CHECK_TABLE(brim_conf_signed_url, signed_url_fields);
#undef THIS

#define THIS brim_conf_route
static const struct brim_conf_field route_fields[] = {BRIM_CONF_ROUTE(ROW_O, ROW_S, ROW_L)};
static const struct brim_conf_table route_table = TABLE(brim_conf_route, route_fields);
CHECK_TABLE(brim_conf_route, route_fields);
#undef THIS

#define THIS brim_conf_site
static const struct brim_conf_field site_fields[] = {BRIM_CONF_SITE(ROW_O, ROW_S, ROW_L)};
static const struct brim_conf_table site_table = TABLE(brim_conf_site, site_fields);
CHECK_TABLE(brim_conf_site, site_fields);
#undef THIS

#define THIS brim_conf_root
static const struct brim_conf_field root_fields[] = {BRIM_CONF_ROOT(ROW_O, ROW_S, ROW_L)};
const struct brim_conf_table brim_conf_table_root = TABLE(brim_conf_root, root_fields);
CHECK_TABLE(brim_conf_root, root_fields);
#undef THIS

size_t brim_conf_table_type_bytes(enum brim_conf_type type)
{
    static const size_t bytes[] = {
        [BRIM_CONF_TYPE_STRING] = sizeof(BRIM_CONF_C_STRING),
        [BRIM_CONF_TYPE_STRINGS] = sizeof(BRIM_CONF_C_STRINGS),
        [BRIM_CONF_TYPE_FILE] = sizeof(BRIM_CONF_C_FILE),
        [BRIM_CONF_TYPE_BOOL] = sizeof(BRIM_CONF_C_BOOL),
        [BRIM_CONF_TYPE_INT] = sizeof(BRIM_CONF_C_INT),
        [BRIM_CONF_TYPE_SIZE] = sizeof(BRIM_CONF_C_SIZE),
        [BRIM_CONF_TYPE_DURATION] = sizeof(BRIM_CONF_C_DURATION),
        [BRIM_CONF_TYPE_CHOICE] = sizeof(BRIM_CONF_C_CHOICE),
        [BRIM_CONF_TYPE_URL] = sizeof(BRIM_CONF_C_URL),
        [BRIM_CONF_TYPE_ADDRESS] = sizeof(BRIM_CONF_C_ADDRESS),
    };

    INVARIANT((unsigned)type < sizeof(bytes) / sizeof(bytes[0]));
    return bytes[type];
}

bool brim_conf_table_is_same(const struct brim_conf_table *table, const void *a, const void *b)
{
    for (size_t i = 0; i < table->field_count; i++) {
        const struct brim_conf_field *field = &table->fields[i];

        INVARIANT(field->kind == BRIM_CONF_OPTION);
        if (memcmp((const char *)a + field->offset, (const char *)b + field->offset,
                   brim_conf_table_type_bytes(field->type)) != 0)
            return false;
    }
    return true;
}
