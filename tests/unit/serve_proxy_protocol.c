/* SPDX-License-Identifier: MIT */
#include "brim/serve/proxy_protocol.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

#include "unit.h"

#define BINARY "\r\n\r\n\0\r\nQUIT\n"
#define X50    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static const struct {
    struct brim_str bytes;
    enum brim_proxy_state state;
    size_t behind; /* bytes that are not of the header */
    const char *client;
} cases[] = {
    {BRIM_STR("PROXY TCP4 192.0.2.1 198.51.100.1 35646 80\r\nGET"), BRIM_PROXY_ADDRESS, 3,
     "192.0.2.1 35646"},
    {BRIM_STR("PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n"), BRIM_PROXY_ADDRESS, 0,
     "2001:db8::1 1"},
    {BRIM_STR("PROXY UNKNOWN\r\nGET"), BRIM_PROXY_LOCAL, 3, NULL},
    {BRIM_STR("PROXY UNKNOWN ffff:f...f:ffff ffff 65535 65535\r\n"), BRIM_PROXY_LOCAL, 0, NULL},
    {BRIM_STR(BINARY "\x21\x11\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x01\x8b\x3e\0\x50GET"),
     BRIM_PROXY_ADDRESS, 3, "192.0.2.1 35646"},
    {BRIM_STR(BINARY "\x21\x11\0\x10\xc0\0\x02\x01\xc6\x33\x64\x01\x8b\x3e\0\x50\x04\0\1\0G"),
     BRIM_PROXY_ADDRESS, 1, "192.0.2.1 35646"}, /* with an extension */
    {BRIM_STR(BINARY "\x21\x21\0\x24"
                     "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
                     "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\2\x8b\x3e\0\x50"),
     BRIM_PROXY_ADDRESS, 0, "2001:db8::1 35646"},
    {BRIM_STR(BINARY "\x20\0\0\0GET"), BRIM_PROXY_LOCAL, 3, NULL},
    {BRIM_STR(BINARY "\x20\x11\0\1xGET"), BRIM_PROXY_LOCAL, 3, NULL}, /* whatever it says */
    {BRIM_STR(BINARY "\x21\0\0\0GET"), BRIM_PROXY_LOCAL, 3, NULL},
    {BRIM_STR(""), BRIM_PROXY_MORE, 0, NULL},
    {BRIM_STR("PRO"), BRIM_PROXY_MORE, 0, NULL},
    {BRIM_STR("PROXY TCP4 192.0.2.1 198.51.100.1 35646 80\r"), BRIM_PROXY_MORE, 0, NULL},
    {BRIM_STR("\r\n\r\n"), BRIM_PROXY_MORE, 0, NULL},
    {BRIM_STR(BINARY "\x21\x11\0\x0c\xc0"), BRIM_PROXY_MORE, 0, NULL},
    {BRIM_STR("PROXZ"), BRIM_PROXY_BAD, 0, NULL},
    {BRIM_STR("GET / HTTP/1.1\r\n"), BRIM_PROXY_BAD, 0, NULL},
    {BRIM_STR("\x16\x03\x01"), BRIM_PROXY_BAD, 0, NULL},
    {BRIM_STR("PROXY TCP4 192.0.2.1 198.51.100.1 35646 80\n"), BRIM_PROXY_BAD, 0, NULL},
    {BRIM_STR("PROXY  TCP4 192.0.2.1 198.51.100.1 35646 80\r\n"), BRIM_PROXY_BAD, 0, NULL},
    {BRIM_STR("PROXY TCP4 192.0.2.1 198.51.100.1 35646 80 \r\n"), BRIM_PROXY_BAD, 0, NULL},
    {BRIM_STR("PROXY TCP4 192.0.2.1 198.51.100.1 35646\r\n"), BRIM_PROXY_BAD, 0, NULL},
    {BRIM_STR("PROXY TCP4 192.0.2.1 198.51.100.1 035 80\r\n"), BRIM_PROXY_BAD, 0, NULL},
    {BRIM_STR("PROXY TCP4 192.0.2.1 198.51.100.1 65536 80\r\n"), BRIM_PROXY_BAD, 0, NULL},
    {BRIM_STR("PROXY TCP4 192.0.2.1 198.51.100.1 +1 80\r\n"), BRIM_PROXY_BAD, 0, NULL},
    {BRIM_STR("PROXY TCP4 192.0.2.01 198.51.100.1 1 80\r\n"), BRIM_PROXY_BAD, 0, NULL},
    {BRIM_STR("PROXY TCP4 2001:db8::1 198.51.100.1 1 80\r\n"), BRIM_PROXY_BAD, 0, NULL},
    {BRIM_STR("PROXY TCP4 192.0.2.1\0 198.51.100.1 1 80\r\n"), BRIM_PROXY_BAD, 0, NULL},
    {BRIM_STR("PROXY tcp4 192.0.2.1 198.51.100.1 1 80\r\n"), BRIM_PROXY_BAD, 0, NULL},
    {BRIM_STR("PROXY UDP4 192.0.2.1 198.51.100.1 1 80\r\n"), BRIM_PROXY_BAD, 0, NULL},
    {BRIM_STR("PROXY UNKNOWN " X50 X50 "\r\n"), BRIM_PROXY_BAD, 0, NULL}, /* 108 bytes or more */
    {BRIM_STR(BINARY "\x11\x11\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x01\x8b\x3e\0\x50"), BRIM_PROXY_BAD,
     0, NULL}, /* another version */
    {BRIM_STR(BINARY "\x22\x11\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x01\x8b\x3e\0\x50"), BRIM_PROXY_BAD,
     0, NULL}, /* another command */
    {BRIM_STR(BINARY "\x21\x12\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x01\x8b\x3e\0\x50"), BRIM_PROXY_BAD,
     0, NULL}, /* datagrams */
    {BRIM_STR(BINARY "\x21\x11\0\x0b\xc0\0\x02\x01\xc6\x33\x64\x01\x8b\x3e\0"), BRIM_PROXY_BAD, 0,
     NULL}, /* too short for its addresses */
    {BRIM_STR(BINARY "\x21\x11\xff\xff"), BRIM_PROXY_BAD, 0, NULL}, /* longer than may be */
};

START_TEST(a_header_is_read_or_refused)
{
    struct brim_proxy_header header = brim_proxy_protocol_read(cases[_i].bytes);
    char address[INET6_ADDRSTRLEN] = "", text[64];
    in_port_t port = 0;

    ck_assert_int_eq(header.state, cases[_i].state);
    if (header.state == BRIM_PROXY_ADDRESS || header.state == BRIM_PROXY_LOCAL)
        ck_assert_uint_eq(cases[_i].bytes.len - header.len, cases[_i].behind);
    if (cases[_i].client == NULL)
        return;
    if (header.client.ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)&header.client;

        inet_ntop(AF_INET, &v4->sin_addr, address, sizeof(address));
        port = v4->sin_port;
    } else {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&header.client;

        inet_ntop(AF_INET6, &v6->sin6_addr, address, sizeof(address));
        port = v6->sin6_port;
    }
    (void)snprintf(text, sizeof(text), "%s %u", address, ntohs(port));
    ck_assert_str_eq(text, cases[_i].client);
}
END_TEST

/* It may come a byte at a time. */
START_TEST(every_beginning_of_a_good_one_waits_for_more)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t len = cases[i].bytes.len - cases[i].behind;

        if (cases[i].state != BRIM_PROXY_ADDRESS && cases[i].state != BRIM_PROXY_LOCAL)
            continue;
        for (size_t cut = 0; cut < len; cut++)
            ck_assert_int_eq(brim_proxy_protocol_read(brim_str(cases[i].bytes.base, cut)).state,
                             BRIM_PROXY_MORE);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("serve_proxy_protocol");
    TCase *tcase = tcase_create("all");

    tcase_add_loop_test(tcase, a_header_is_read_or_refused, 0,
                        (int)(sizeof(cases) / sizeof(cases[0])));
    tcase_add_test(tcase, every_beginning_of_a_good_one_waits_for_more);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
