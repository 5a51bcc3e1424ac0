/* SPDX-License-Identifier: MIT */
/*
 * The page of GET /, its script, and the chart library of Debian's libjs-chart.js, all of which the
 * assembler takes into the binary as they are: a running node reads no files of its own.
 *
 * The page comes from here only and asks here only (Content-Security-Policy), and stands in nobody
 * else's frame, where a click could be stolen for its purge form.
 *
 * And the description of the API, which a test compares with the table of calls in admin.c.
 */
#include "brim/serve/admin_inside.h"

#define TAKE_IN(name, path)                                                                        \
    __asm__(".pushsection .rodata\n"                                                               \
            ".global brim_page_" name "\n"                                                         \
            "brim_page_" name ":\n"                                                                \
            ".incbin \"" path "\"\n"                                                               \
            ".global brim_page_" name "_end\n"                                                     \
            "brim_page_" name "_end:\n"                                                            \
            ".byte 0\n"                                                                            \
            ".popsection\n")

TAKE_IN("live_html", BRIM_PAGE_DIR "/live.html");
TAKE_IN("live_js", BRIM_PAGE_DIR "/live.js");
TAKE_IN("chart_js", BRIM_CHART_JS);
TAKE_IN("openapi_json", BRIM_PAGE_DIR "/openapi.json");

extern const char brim_page_live_html[], brim_page_live_html_end[];
extern const char brim_page_live_js[], brim_page_live_js_end[];
extern const char brim_page_openapi_json[], brim_page_openapi_json_end[];
extern const char brim_page_chart_js[], brim_page_chart_js_end[];

static void send_file(h2o_req_t *req, const char *type, const char *begin, const char *end)
{
    static const char policy[] = "default-src 'self'; style-src 'self' 'unsafe-inline'; "
                                 "img-src data:; "
                                 "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

    h2o_add_header_by_str(&req->pool, &req->res.headers, H2O_STRLIT("content-security-policy"), 0,
                          NULL, policy, sizeof(policy) - 1);
    h2o_add_header_by_str(&req->pool, &req->res.headers, H2O_STRLIT("x-content-type-options"), 0,
                          NULL, H2O_STRLIT("nosniff"));
    brim_admin_send_text(req, 200, type, brim_str(begin, (size_t)(end - begin)));
}

void brim_admin_call_page(struct brim_admin *admin, h2o_req_t *req)
{
    (void)admin;
    send_file(req, "text/html; charset=utf-8", brim_page_live_html, brim_page_live_html_end);
}

void brim_admin_call_page_script(struct brim_admin *admin, h2o_req_t *req)
{
    (void)admin;
    send_file(req, "text/javascript; charset=utf-8", brim_page_live_js, brim_page_live_js_end);
}

void brim_admin_call_page_chart(struct brim_admin *admin, h2o_req_t *req)
{
    (void)admin;
    send_file(req, "text/javascript; charset=utf-8", brim_page_chart_js, brim_page_chart_js_end);
}

void brim_admin_call_openapi(struct brim_admin *admin, h2o_req_t *req)
{
    (void)admin;
    send_file(req, "application/vnd.oai.openapi+json;version=3.1", brim_page_openapi_json,
              brim_page_openapi_json_end);
}
