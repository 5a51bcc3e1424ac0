/* SPDX-License-Identifier: MIT */
/*
 * The C library's own resolver (libresolv) rather than getaddrinfo(), which does not tell for how
 * long an answer may be used. Its state is made anew for each look-up, which reads resolv.conf: so
 * a change of that file is followed, and threads share nothing. Its search list, ndots and timeouts
 * hold; hosts comes first, as nsswitch.conf has it by default. What DNS has no record of is asked
 * of getaddrinfo(), which knows mDNS, LDAP and containers, and is used for OTHER_TTL_MS.
 *
 * A is asked before AAAA: where nobody answers the first, the second is not asked too. A name of
 * which one family alone could be had is found; who has addresses of the first waits for the second
 * for SECOND_WAIT_S of each name server and no longer, as some drop such questions.
 */
#include "brim/origin/dns.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netdb.h>
#include <resolv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "brim/base/invariant.h"

#define HOSTS         "/etc/hosts"
#define HOSTS_TTL_MS  5000u
#define OTHER_TTL_MS  30000u
#define ANSWER_BYTES  16384u
#define SECOND_WAIT_S 1
#define LINE_BYTES    2048u
#define LOOPBACK_NAME "localhost"

_Static_assert(BRIM_DNS_NAMESERVERS_MAX == MAXNS, "all that the state of a look-up has");

static void add(struct brim_dns_found *found, int family, const void *address)
{
    char plain[INET6_ADDRSTRLEN];
    char *text;

    if (found->count == BRIM_DNS_ADDRESSES_MAX ||
        inet_ntop(family, address, plain, sizeof(plain)) == NULL)
        return;
    text = found->addresses[found->count];
    (void)snprintf(text, BRIM_DNS_ADDRESS_BYTES, family == AF_INET6 ? "[%s]" : "%s", plain);
    for (unsigned i = 0; i < found->count; i++)
        if (strcmp(found->addresses[i], text) == 0)
            return;
    found->count++;
}

/* ---- names that are never asked for (RFC 6761 6.3) ---- */

static bool is_loopback(const char *name)
{
    size_t len = strlen(name), own = sizeof(LOOPBACK_NAME) - 1;

    return len >= own && strcasecmp(name + len - own, LOOPBACK_NAME) == 0 &&
           (len == own || name[len - own - 1] == '.');
}

static void find_loopback(struct brim_dns_found *found)
{
    struct in_addr four = {.s_addr = htonl(INADDR_LOOPBACK)};

    add(found, AF_INET6, &in6addr_loopback);
    add(found, AF_INET, &four);
    found->ttl_ms = OTHER_TTL_MS;
}

/* ---- hosts ---- */

static bool line_names(char *rest, const char *name, char **state)
{
    for (char *word = strtok_r(rest, " \t\r\n", state); word != NULL;
         word = strtok_r(NULL, " \t\r\n", state))
        if (strcasecmp(word, name) == 0)
            return true;
    return false;
}

static void add_line(char *line, const char *name, struct brim_dns_found *found)
{
    unsigned char address[sizeof(struct in6_addr)];
    char *state = NULL, *comment = strchr(line, '#'), *first;
    int family;

    if (comment != NULL)
        *comment = '\0';
    first = strtok_r(line, " \t\r\n", &state);
    if (first == NULL)
        return;
    family = strchr(first, ':') != NULL ? AF_INET6 : AF_INET;
    if (inet_pton(family, first, address) == 1 && line_names(NULL, name, &state))
        add(found, family, address);
}

static void find_in_hosts(const char *name, struct brim_dns_found *found)
{
    char line[LINE_BYTES];
    FILE *file = fopen(HOSTS, "re");

    if (file == NULL)
        return;
    while (fgets(line, sizeof(line), file) != NULL)
        add_line(line, name, found);
    (void)fclose(file);
    found->ttl_ms = HOSTS_TTL_MS;
}

/* ---- DNS ---- */

/* The records of an answer; what is no whole message has none. */
static void read_answer(const unsigned char *bytes, int len, ns_type type,
                        struct brim_dns_found *found)
{
    size_t wanted = type == ns_t_a ? sizeof(struct in_addr) : sizeof(struct in6_addr);
    ns_msg message;
    ns_rr record;

    if (ns_initparse(bytes, len, &message) != 0)
        return;
    for (int i = 0; i < ns_msg_count(message, ns_s_an); i++) {
        uint64_t ttl_ms;

        if (ns_parserr(&message, ns_s_an, i, &record) != 0)
            return;
        ttl_ms = (uint64_t)ns_rr_ttl(record) * 1000;
        if (ttl_ms < found->ttl_ms) /* of an alias on the way too */
            found->ttl_ms = ttl_ms;
        if (ns_rr_type(record) == type && ns_rr_rdlen(record) == wanted)
            add(found, type == ns_t_a ? AF_INET : AF_INET6, ns_rr_rdata(record));
    }
}

static enum brim_err ask(res_state state, const char *name, ns_type type,
                         struct brim_dns_found *found)
{
    unsigned char *answer = brim_alloc(ANSWER_BYTES);
    int len = res_nsearch(state, name, ns_c_in, (int)type, answer, (int)ANSWER_BYTES);
    enum brim_err err = BRIM_OK;

    if (len >= 0)
        read_answer(answer, len < (int)ANSWER_BYTES ? len : (int)ANSWER_BYTES, type, found);
    else
        err = state->res_h_errno == HOST_NOT_FOUND || state->res_h_errno == NO_DATA ? BRIM_ENOENT
                                                                                    : BRIM_EDNS;
    free(answer);
    return err;
}

/* IPv6 comes first in what is found, as it is tried first. */
static void join(const struct brim_dns_found *four, struct brim_dns_found *found)
{
    for (unsigned i = 0; i < four->count && found->count < BRIM_DNS_ADDRESSES_MAX; i++)
        memcpy(found->addresses[found->count++], four->addresses[i], BRIM_DNS_ADDRESS_BYTES);
    if (four->ttl_ms < found->ttl_ms)
        found->ttl_ms = four->ttl_ms;
}

/* An address of IPv6 has no room in the list of the state: it stands beside it, and the list has no
 * family there. What stands there is freed by res_nclose, up to the count that it knows. */
static void set_servers(const struct brim_dns_config *config, res_state state)
{
    struct sockaddr_in6 **v6 = state->_u._ext.nsaddrs;

    for (unsigned i = 0; i < BRIM_DNS_NAMESERVERS_MAX; i++) {
        const union brim_conf_nameserver *server = &config->nameservers[i];

        free(v6[i]);
        v6[i] = NULL;
        if (i >= config->count)
            continue;
        if (server->any.sa_family == AF_INET) {
            state->nsaddr_list[i] = server->v4;
        } else {
            state->nsaddr_list[i].sin_family = AF_UNSPEC;
            v6[i] = brim_alloc(sizeof(*v6[i]));
            *v6[i] = server->v6;
        }
    }
    state->nscount = (int)config->count;
}

static void ask_second(res_state state, const char *name, unsigned had,
                       struct brim_dns_found *found)
{
    if (had > 0) {
        state->retrans = SECOND_WAIT_S;
        state->retry = 1;
    }
    found->is_half = ask(state, name, ns_t_aaaa, found) == BRIM_EDNS;
}

static enum brim_err find_in_dns(const struct brim_dns_config *config, const char *name,
                                 struct brim_dns_found *found)
{
    struct brim_dns_found four = {.ttl_ms = UINT64_MAX};
    struct __res_state state = {.options = 0};
    enum brim_err err;

    if (res_ninit(&state) != 0)
        return BRIM_EDNS;
    if (config->count > 0)
        set_servers(config, &state);
    found->ttl_ms = UINT64_MAX;
    err = ask(&state, name, ns_t_a, &four);
    if (err != BRIM_EDNS)
        ask_second(&state, name, four.count, found);
    res_nclose(&state);
    join(&four, found);
    if (found->count > 0)
        return BRIM_OK;
    return err == BRIM_EDNS ? BRIM_EDNS : BRIM_ENOENT;
}

/* ---- whatever else there is ---- */

static void find_elsewhere(const char *name, struct brim_dns_found *found)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *all = NULL;

    if (getaddrinfo(name, NULL, &hints, &all) != 0)
        return;
    for (const struct addrinfo *at = all; at != NULL; at = at->ai_next) {
        if (at->ai_family == AF_INET6)
            add(found, AF_INET6,
                &((const struct sockaddr_in6 *)(const void *)at->ai_addr)->sin6_addr);
        else if (at->ai_family == AF_INET)
            add(found, AF_INET, &((const struct sockaddr_in *)(const void *)at->ai_addr)->sin_addr);
    }
    freeaddrinfo(all);
    found->ttl_ms = OTHER_TTL_MS;
}

enum brim_err brim_dns_lookup(const struct brim_dns_config *config, const char *name,
                              struct brim_dns_found *found_out)
{
    enum brim_err err;

    INVARIANT(config->count <= BRIM_DNS_NAMESERVERS_MAX);
    *found_out = (struct brim_dns_found){.count = 0};
    find_in_hosts(name, found_out);
    if (found_out->count == 0 && is_loopback(name))
        find_loopback(found_out);
    if (found_out->count > 0)
        return BRIM_OK;
    err = find_in_dns(config, name, found_out);
    if (err != BRIM_ENOENT || config->count > 0)
        return err;
    find_elsewhere(name, found_out);
    return found_out->count > 0 ? BRIM_OK : BRIM_ENOENT;
}

bool brim_dns_is_address(const char *text)
{
    struct in_addr four;

    return text[0] == '[' || inet_pton(AF_INET, text, &four) == 1;
}
