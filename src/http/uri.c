/* SPDX-License-Identifier: MIT */
/*
 * What is not exactly right is refused, so that brim, a proxy before it and the origin behind it
 * cannot read one target in two ways. A host is narrower here than RFC 3986's reg-name: letters,
 * digits and "-._~" only. Percent-escapes and sub-delims in it name no host that DNS knows, but
 * give one host many spellings, and "a,b" is what two Host lines look like when joined.
 */
#include "brim/http/uri.h"

#include <arpa/inet.h>

#include "brim/base/invariant.h"

#define HOST_BYTES_MAX  255u /* RFC 3986 3.2.2 */
#define PORT_DIGITS_MAX 5u

enum target_class { /* of a byte in an origin-form target */
                    TARGET_BAD = 0,
                    TARGET_PLAIN = 1, /* pchar, '/' or '?' */
                    TARGET_ESCAPE = 2,
};

static const unsigned char target_classes[256] = {
    ['0' ... '9'] = TARGET_PLAIN,
    ['a' ... 'z'] = TARGET_PLAIN,
    ['A' ... 'Z'] = TARGET_PLAIN,
    ['-'] = TARGET_PLAIN,
    ['.'] = TARGET_PLAIN,
    ['_'] = TARGET_PLAIN,
    ['~'] = TARGET_PLAIN,
    ['!'] = TARGET_PLAIN,
    ['$'] = TARGET_PLAIN,
    ['&'] = TARGET_PLAIN,
    ['\''] = TARGET_PLAIN,
    ['('] = TARGET_PLAIN,
    [')'] = TARGET_PLAIN,
    ['*'] = TARGET_PLAIN,
    ['+'] = TARGET_PLAIN,
    [','] = TARGET_PLAIN,
    [';'] = TARGET_PLAIN,
    ['='] = TARGET_PLAIN,
    [':'] = TARGET_PLAIN,
    ['@'] = TARGET_PLAIN,
    ['/'] = TARGET_PLAIN,
    ['?'] = TARGET_PLAIN,
    ['%'] = TARGET_ESCAPE,

    /* Not in RFC 3986's grammar, but sent as they are by every browser (URL standard,
     * percent-encode sets: "?a[]=1"), and nothing that a server could take for the end of a line, a
     * word or a path segment: passed on as they came. */
    ['['] = TARGET_PLAIN,
    [']'] = TARGET_PLAIN,
    ['{'] = TARGET_PLAIN,
    ['}'] = TARGET_PLAIN,
    ['|'] = TARGET_PLAIN,
    ['^'] = TARGET_PLAIN,
    ['`'] = TARGET_PLAIN,
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* An encoded NUL in a path: whoever decodes it has a path that ends there. */
static bool has_nul(struct brim_str target)
{
    const char *query = memchr(target.base, '?', target.len);
    size_t len = query == NULL ? target.len : (size_t)(query - target.base);

    return memmem(target.base, len, "%00", 3) != NULL;
}

static unsigned hex_value(char c)
{
    return is_digit(c) ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a') + 10;
}

/* The byte that stands at *at in text, decoded; *at moves behind it. text is well-formed. */
static char next_byte(struct brim_str text, size_t *at)
{
    const char *c = text.base + *at;

    if (*c != '%' || text.len - *at < 3) {
        *at += 1;
        return *c;
    }
    *at += 3;
    return (char)(hex_value(c[1]) << 4 | hex_value(c[2]));
}

/* Whether a segment of the path is "." or "..", however it is written. */
static bool has_dot_segment(struct brim_str target)
{
    unsigned dots = 0;
    bool only_dots = false;

    /* most have neither */
    if (memmem(target.base, target.len, "/.", 2) == NULL &&
        memchr(target.base, '%', target.len) == NULL)
        return false;
    for (size_t at = 0; at < target.len && target.base[at] != '?';) {
        char c = next_byte(target, &at);
        bool ends = c == '/' || c == '\\' || c == ';';

        if (ends && only_dots && dots >= 1 && dots <= 2)
            return true;
        if (c == '/' || c == '\\') {
            only_dots = true;
            dots = 0;
        } else if (c == '.') {
            dots++;
        } else {
            only_dots = false;
        }
    }
    return only_dots && dots >= 1 && dots <= 2;
}

bool brim_uri_path_is_plain(struct brim_str path)
{
    return memchr(path.base, '%', path.len) == NULL && memmem(path.base, path.len, "//", 2) == NULL;
}

struct brim_str brim_uri_path_plain(struct brim_str path, char *buffer)
{
    size_t len = 0;

    if (brim_uri_path_is_plain(path))
        return path;
    for (size_t at = 0; at < path.len;) {
        size_t from = at;
        char c = next_byte(path, &at);

        if (c == '*' || (c == '?' && at > from + 1)) {
            memcpy(buffer + len, path.base + from, at - from);
            len += at - from;
        } else if (c != '/' || len == 0 || buffer[len - 1] != '/') {
            buffer[len++] = c;
        }
    }
    return brim_str(buffer, len);
}

size_t brim_uri_path_begins(struct brim_str path, struct brim_str prefix)
{
    size_t at = 0, read = 0;

    while (read < prefix.len) {
        size_t from = at;
        char c;

        if (at == path.len)
            return 0;
        c = next_byte(path, &at);
        if (c == '/' && read > 0 && prefix.base[read - 1] == '/')
            continue;
        if (c != prefix.base[read] || (c == '*' && at > from + 1) || c == '?')
            return 0;
        read++;
    }
    return at;
}

bool brim_uri_target_is_valid(struct brim_str target)
{
    if (target.len == 0 || target.base[0] != '/')
        return false;
    for (size_t i = 1; i < target.len; i++) {
        unsigned char class = target_classes[(unsigned char)target.base[i]];
        if (class == TARGET_PLAIN)
            continue;
        if (class == TARGET_BAD || target.len - i < 3 || !is_hex(target.base[i + 1]) ||
            !is_hex(target.base[i + 2]))
            return false;
        i += 2;
    }
    return !has_nul(target) && !has_dot_segment(target);
}

/* The lower-case form of a byte of a name or IPv4 address, 0 for a byte that is in none. */
static const char host_lower[256] = {
    ['-'] = '-', ['.'] = '.', ['_'] = '_', ['~'] = '~', ['0'] = '0', ['1'] = '1', ['2'] = '2',
    ['3'] = '3', ['4'] = '4', ['5'] = '5', ['6'] = '6', ['7'] = '7', ['8'] = '8', ['9'] = '9',
    ['a'] = 'a', ['b'] = 'b', ['c'] = 'c', ['d'] = 'd', ['e'] = 'e', ['f'] = 'f', ['g'] = 'g',
    ['h'] = 'h', ['i'] = 'i', ['j'] = 'j', ['k'] = 'k', ['l'] = 'l', ['m'] = 'm', ['n'] = 'n',
    ['o'] = 'o', ['p'] = 'p', ['q'] = 'q', ['r'] = 'r', ['s'] = 's', ['t'] = 't', ['u'] = 'u',
    ['v'] = 'v', ['w'] = 'w', ['x'] = 'x', ['y'] = 'y', ['z'] = 'z', ['A'] = 'a', ['B'] = 'b',
    ['C'] = 'c', ['D'] = 'd', ['E'] = 'e', ['F'] = 'f', ['G'] = 'g', ['H'] = 'h', ['I'] = 'i',
    ['J'] = 'j', ['K'] = 'k', ['L'] = 'l', ['M'] = 'm', ['N'] = 'n', ['O'] = 'o', ['P'] = 'p',
    ['Q'] = 'q', ['R'] = 'r', ['S'] = 's', ['T'] = 't', ['U'] = 'u', ['V'] = 'v', ['W'] = 'w',
    ['X'] = 'x', ['Y'] = 'y', ['Z'] = 'z',
};

/* Labels of host_lower bytes, none empty but for one trailing dot. */
static bool is_name(struct brim_str host)
{
    char before = '.';

    for (size_t i = 0; i < host.len; i++) {
        char c = host.base[i];
        if (host_lower[(unsigned char)c] == 0 || (c == '.' && before == '.'))
            return false;
        before = c;
    }
    return host.len > 0;
}

/* "[" IPv6 "]"; neither IPvFuture nor zones (RFC 6874), which mean nothing to a client far away. */
static bool is_ip_literal(struct brim_str host)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;

    if (host.len < 4 || host.len - 2 >= sizeof(text) || host.base[host.len - 1] != ']')
        return false;
    size_t len = host.len - 2;
    memcpy(text, host.base + 1, len);
    text[len] = '\0';
    /* inet_pton() stops at a NUL, which a peer may have sent. */
    return memchr(text, '\0', len) == NULL && inet_pton(AF_INET6, text, &address) == 1;
}

/* Where the host ends: at ":" or behind "]". */
static size_t host_end(struct brim_str authority)
{
    const char *end;

    if (authority.len == 0)
        return 0;
    if (authority.base[0] == '[') {
        end = memchr(authority.base, ']', authority.len);
        return end == NULL ? authority.len : (size_t)(end - authority.base) + 1;
    }
    end = memchr(authority.base, ':', authority.len);
    return end == NULL ? authority.len : (size_t)(end - authority.base);
}

/* Reads "", ":" or ":" digits. "host:" means the default port (RFC 9110 4.2.3), so it gives 0. */
static bool parse_port(struct brim_str text, uint16_t *port_out)
{
    unsigned port = 0;

    *port_out = 0;
    if (text.len == 0)
        return true;
    if (text.base[0] != ':' || text.len - 1 > PORT_DIGITS_MAX)
        return false;
    for (size_t i = 1; i < text.len; i++) {
        if (!is_digit(text.base[i]))
            return false;
        port = port * 10 + (unsigned)(text.base[i] - '0');
    }
    if (port > UINT16_MAX || (port == 0 && text.len > 1))
        return false;
    *port_out = (uint16_t)port;
    return true;
}

bool brim_uri_parse_authority(struct brim_str authority, struct brim_str *host_out,
                              uint16_t *port_out)
{
    size_t end = host_end(authority);

    *host_out = brim_str(NULL, 0);
    *port_out = 0;
    if (end == 0 || end > HOST_BYTES_MAX)
        return false;
    struct brim_str host = brim_str(authority.base, end);
    if (!(host.base[0] == '[' ? is_ip_literal(host) : is_name(host)))
        return false;
    if (!parse_port(brim_str(authority.base + end, authority.len - end), port_out))
        return false;
    *host_out = host;
    return true;
}

static uint16_t default_port(struct brim_str scheme)
{
    if (brim_str_is(scheme, BRIM_STR("http")))
        return 80;
    return brim_str_is(scheme, BRIM_STR("https")) ? 443 : 0;
}

/* Copies the host in lower case; false if it has a byte that no name has. */
static bool put_name(struct brim_str host, char *out)
{
    bool good = true;

    for (size_t i = 0; i < host.len; i++) {
        out[i] = host_lower[(unsigned char)host.base[i]];
        good &= out[i] != 0;
    }
    return good;
}

/* Copies an address in brackets in lower case. */
static bool put_ip_literal(struct brim_str host, char *out)
{
    for (size_t i = 0; i < host.len; i++) {
        out[i] = host.base[i];
        if (out[i] >= 'A' && out[i] <= 'F')
            out[i] = host_lower[(unsigned char)out[i]];
    }
    return is_ip_literal(host);
}

static size_t put_port(uint16_t port, char *out)
{
    char digits[PORT_DIGITS_MAX];
    size_t count = 0;

    do {
        digits[count++] = (char)('0' + port % 10);
        port = (uint16_t)(port / 10);
    } while (port > 0);
    out[0] = ':';
    for (size_t i = 0; i < count; i++)
        out[1 + i] = digits[count - 1 - i];
    return count + 1;
}

size_t brim_uri_key_text(struct brim_str scheme, struct brim_str authority, struct brim_str target,
                         char *buffer, size_t buffer_bytes)
{
    uint16_t port;
    size_t end = host_end(authority);
    struct brim_str host = brim_str(authority.base, end);

    /* One bound for the whole text, so that no step below needs its own. */
    if (buffer_bytes < scheme.len + 3 + end + 1 + PORT_DIGITS_MAX + target.len)
        return 0;
    if (!parse_port(brim_str(authority.base + end, authority.len - end), &port))
        return 0;
    if (host.len > 1 && host.base[host.len - 1] == '.')
        host.len--;
    if (host.len == 0)
        return 0;

    char *out = buffer;
    memcpy(out, scheme.base, scheme.len);
    out += scheme.len;
    *out++ = ':';
    *out++ = '/';
    *out++ = '/';
    if (!(host.base[0] == '[' ? put_ip_literal(host, out) : put_name(host, out)))
        return 0;
    out += host.len;
    if (port != 0 && port != default_port(scheme))
        out += put_port(port, out);
    if (target.len > 0)
        memcpy(out, target.base, target.len);
    return (size_t)(out - buffer) + target.len;
}

/* Takes "http://" or "https://" (any case) from the front of *url; len 0 if it is neither. */
static struct brim_str take_scheme(struct brim_str *url)
{
    static const struct brim_str schemes[] = {{"http", 4}, {"https", 5}};

    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        size_t len = schemes[i].len;
        if (url->len > len + 3 && strncasecmp(url->base, schemes[i].base, len) == 0 &&
            memcmp(url->base + len, "://", 3) == 0) {
            *url = brim_str(url->base + len + 3, url->len - len - 3);
            return schemes[i];
        }
    }
    return brim_str(NULL, 0);
}

bool brim_uri_parse(struct brim_str url, struct brim_uri *uri_out)
{
    struct brim_str rest = url;
    struct brim_str host;
    uint16_t port;

    *uri_out = (struct brim_uri){0};
    struct brim_str scheme = take_scheme(&rest);
    if (scheme.len == 0)
        return false;
    const char *slash = memchr(rest.base, '/', rest.len);
    size_t end = slash == NULL ? rest.len : (size_t)(slash - rest.base);
    struct brim_str authority = brim_str(rest.base, end);
    struct brim_str target = brim_str(rest.base + end, rest.len - end);
    if (target.len == 0)
        target = BRIM_STR("/");
    if (!brim_uri_parse_authority(authority, &host, &port) || !brim_uri_target_is_valid(target))
        return false;
    *uri_out = (struct brim_uri){.scheme = scheme, .authority = authority, .target = target};
    return true;
}

struct brim_str brim_uri_origin(struct brim_str key_text)
{
    const char *mark = memmem(key_text.base, key_text.len, "://", 3);
    const char *end = key_text.base + key_text.len;
    const char *slash = mark == NULL ? NULL : memchr(mark + 3, '/', (size_t)(end - mark - 3));

    return slash == NULL ? key_text : brim_str(key_text.base, (size_t)(slash - key_text.base));
}

struct brim_str brim_uri_authority(struct brim_str key_text)
{
    struct brim_str origin = brim_uri_origin(key_text);
    const char *mark = memmem(origin.base, origin.len, "://", 3);
    size_t scheme = mark == NULL ? 0 : (size_t)(mark - origin.base) + 3;

    return brim_str(origin.base + scheme, origin.len - scheme);
}

bool brim_uri_is_same_origin(struct brim_str a, struct brim_str b)
{
    return brim_str_is(brim_uri_origin(a), brim_uri_origin(b));
}
