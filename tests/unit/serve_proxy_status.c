/* SPDX-License-Identifier: MIT */
#include "brim/serve/proxy_status.h"

#include <string.h>

#include "unit.h"

/* The initial registry of RFC 9209 2.3. */
static const char *const registered[] = {
    "dns_timeout",
    "dns_error",
    "destination_not_found",
    "destination_unavailable",
    "destination_ip_prohibited",
    "destination_ip_unroutable",
    "connection_refused",
    "connection_terminated",
    "connection_timeout",
    "connection_read_timeout",
    "connection_write_timeout",
    "connection_limit_reached",
    "tls_protocol_error",
    "tls_certificate_error",
    "tls_alert_received",
    "http_request_error",
    "http_request_denied",
    "http_response_incomplete",
    "http_response_header_section_size",
    "http_response_header_size",
    "http_response_body_size",
    "http_response_trailer_section_size",
    "http_response_trailer_size",
    "http_response_transfer_coding",
    "http_response_content_coding",
    "http_response_timeout",
    "http_upgrade_failed",
    "http_protocol_error",
    "proxy_internal_response",
    "proxy_internal_error",
    "proxy_configuration_error",
    "proxy_loop_detected",
};

static void check_registered(const char *type)
{
    for (size_t i = 0; i < sizeof(registered) / sizeof(registered[0]); i++)
        if (strcmp(type, registered[i]) == 0)
            return;
    ck_abort_msg("%s is not registered", type);
}

/* Dashboards group by these names: one that nobody registered is seen by nobody. */
START_TEST(every_type_is_registered)
{
    static const char *const fixed[] = {
        BRIM_PROXY_DENIED,  BRIM_PROXY_INCOMPLETE, BRIM_PROXY_INTERNAL, BRIM_PROXY_LOOP,
        BRIM_PROXY_NO_SITE, BRIM_PROXY_OWN,        BRIM_PROXY_REQUEST};

    for (int why = 0; why < BRIM_ERR_COUNT; why++)
        for (int cause = 0; cause <= BRIM_FETCH_CAUSE_INCOMPLETE; cause++)
            check_registered(
                brim_proxy_status_failure((enum brim_err)why, (enum brim_fetch_cause)cause));
    for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
        check_registered(fixed[i]);
}
END_TEST

static const struct {
    enum brim_err why;
    enum brim_fetch_cause cause;
    const char *type;
} rows[] = {
    {BRIM_EDNS, BRIM_FETCH_CAUSE_UNKNOWN, "dns_error"},
    {BRIM_ECONNECT, BRIM_FETCH_CAUSE_UNKNOWN, "destination_unavailable"},
    {BRIM_ECONNECT, BRIM_FETCH_CAUSE_REFUSED, "connection_refused"},
    {BRIM_ECONNECT, BRIM_FETCH_CAUSE_CONNECT_TIMEOUT, "connection_timeout"},
    {BRIM_ECONNECT, BRIM_FETCH_CAUSE_UNROUTABLE, "destination_ip_unroutable"},
    {BRIM_ETIMEOUT, BRIM_FETCH_CAUSE_UNKNOWN, "connection_read_timeout"},
    {BRIM_ETLS, BRIM_FETCH_CAUSE_UNKNOWN, "tls_protocol_error"},
    {BRIM_ETLS, BRIM_FETCH_CAUSE_CERTIFICATE, "tls_certificate_error"},
    {BRIM_ETLS, BRIM_FETCH_CAUSE_OWN_TLS, "proxy_configuration_error"},
    {BRIM_EPROTO, BRIM_FETCH_CAUSE_UNKNOWN, "http_protocol_error"},
    {BRIM_EPROTO, BRIM_FETCH_CAUSE_DROPPED, "connection_terminated"},
    {BRIM_EPROTO, BRIM_FETCH_CAUSE_INCOMPLETE, "http_response_incomplete"},
    {BRIM_ELIMIT, BRIM_FETCH_CAUSE_UNKNOWN, "connection_limit_reached"},
    {BRIM_ENOMEM, BRIM_FETCH_CAUSE_UNKNOWN, "proxy_internal_error"},
    {BRIM_ECLOSED, BRIM_FETCH_CAUSE_REFUSED, "proxy_internal_error"},
};

/* Who is called at night depends on it: the network's people, the origin's, or brim's. */
START_TEST(failures_name_what_failed)
{
    ck_assert_str_eq(brim_proxy_status_failure(rows[_i].why, rows[_i].cause), rows[_i].type);
}
END_TEST

/* A client's mistake is not a policy of this node. */
START_TEST(refusals_tell_mistakes_from_policy)
{
    ck_assert_str_eq(brim_proxy_status_refusal(400), "http_request_error");
    ck_assert_str_eq(brim_proxy_status_refusal(431), "http_request_error");
    ck_assert_str_eq(brim_proxy_status_refusal(501), "http_request_denied");
    ck_assert_str_eq(brim_proxy_status_refusal(505), "http_request_denied");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("serve_proxy_status");
    TCase *tcase = tcase_create("proxy_status");

    tcase_add_test(tcase, every_type_is_registered);
    tcase_add_loop_test(tcase, failures_name_what_failed, 0, sizeof(rows) / sizeof(rows[0]));
    tcase_add_test(tcase, refusals_tell_mistakes_from_policy);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
