/* SPDX-License-Identifier: MIT */
/*
 * Grammar of the values (no blanks inside, no sign but that of INT, no fractions):
 *
 *   int       ["-"] digits              no leading zero: 010 is 8 for YAML 1.1 and 10 for people
 *   size      digits [unit]             B, kB KB MB GB TB (1000), KiB MiB GiB TiB (1024)
 *   duration  digits unit | "0" | "off" ms s m h d; a bare number would leave the unit to guess
 *   address   ipv4 ":" port | "[" ipv6 "]:" port | ":" port | "unix:" absolute path
 *   url       ("http" | "https") "://" host [":" port] ["/"]
 *
 * Every product is checked for overflow before its range is.
 */
#include "brim/base/conf_value.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/un.h>

#include "brim/base/file.h"
#include "brim/base/invariant.h"

enum { HOST_MAX_BYTES = 253, LABEL_MAX_BYTES = 63, PORT_MAX = 65535 };

struct unit {
    const char *name;
    int64_t factor;
};

/* Largest first: the first exact one is used for writing. Decimal units are only read. */
static const struct unit size_units[] = {
    {"TiB", BRIM_TIB}, {"GiB", BRIM_GIB},  {"MiB", BRIM_MIB},     {"KiB", BRIM_KIB},
    {"", 1},           {"B", 1},           {"kB", 1000},          {"KB", 1000},
    {"MB", 1000000},   {"GB", 1000000000}, {"TB", 1000000000000}, {NULL, 0},
};

static const struct unit duration_units[] = {
    {"d", BRIM_DAY_MS}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}, {NULL, 0},
};

static const char out_of_range[] = "is out of range";

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Reads the digits at the start of text; *rest_out stands behind them.
 * Errors: BRIM_EINVAL no digit; BRIM_ELIMIT more than 63 bits. */
static enum brim_err read_digits(const char *text, int64_t *number_out, const char **rest_out)
{
    enum brim_err err = is_digit(text[0]) ? BRIM_OK : BRIM_EINVAL;
    int64_t number = 0;

    for (; is_digit(*text); text++) {
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, *text - '0', &number)) {
            err = BRIM_ELIMIT;
            number = 0;
        }
    }
    *number_out = err == BRIM_OK ? number : 0;
    *rest_out = text;
    return err;
}

/* Reads digits and one of units. Errors: as read_digits(). */
static enum brim_err read_united(const struct unit *units, const char *text, int64_t *number_out)
{
    const char *rest;
    enum brim_err err = read_digits(text, number_out, &rest);

    if (err == BRIM_EINVAL)
        return err;
    while (units->name != NULL && strcmp(units->name, rest) != 0)
        units++;
    if (units->name == NULL)
        return BRIM_EINVAL;
    if (err == BRIM_OK && __builtin_mul_overflow(*number_out, units->factor, number_out))
        err = BRIM_ELIMIT;
    return err;
}

static const char *check_range(const struct brim_conf_field *field, int64_t number)
{
    return number < field->min || number > field->max ? out_of_range : NULL;
}

static const char *parse_int(const struct brim_conf_field *field, const char *text,
                             int64_t *number_out)
{
    bool is_negative = text[0] == '-';
    const char *digits = is_negative ? text + 1 : text;
    const char *rest;
    enum brim_err err = read_digits(digits, number_out, &rest);

    if (err == BRIM_EINVAL || rest[0] != '\0' || (digits[0] == '0' && digits[1] != '\0'))
        return "is not a whole number";
    if (err == BRIM_ELIMIT)
        return out_of_range;
    if (is_negative)
        *number_out = -*number_out;
    return check_range(field, *number_out);
}

static const char *parse_size(const struct brim_conf_field *field, const char *text,
                              uint64_t *bytes_out)
{
    int64_t number;
    enum brim_err err = read_united(size_units, text, &number);

    if (err == BRIM_EINVAL)
        return "is not a size";
    if (err == BRIM_ELIMIT)
        return out_of_range;
    *bytes_out = (uint64_t)number;
    return check_range(field, number);
}

static const char *parse_duration(const struct brim_conf_field *field, const char *text,
                                  int64_t *ms_out)
{
    const char *rest;
    enum brim_err err;

    if (strcmp(text, "off") == 0) {
        *ms_out = -1;
        return field->min == -1 ? NULL : "is not possible here";
    }
    err = read_digits(text, ms_out, &rest);
    if (err != BRIM_EINVAL && rest[0] == '\0') {
        if (err == BRIM_ELIMIT || *ms_out != 0)
            return "has no unit";
        return check_range(field, 0);
    }
    err = read_united(duration_units, text, ms_out);
    if (err == BRIM_EINVAL)
        return "is not a duration";
    return err == BRIM_ELIMIT ? out_of_range : check_range(field, *ms_out);
}

static const char *parse_choice(const struct brim_conf_field *field, const char *text,
                                int *choice_out)
{
    const char *word = field->choices;
    size_t len = strlen(text);

    for (int i = 0;; i++) {
        size_t word_len = strcspn(word, "|");

        if (word_len == len && memcmp(word, text, len) == 0) {
            *choice_out = i;
            return NULL;
        }
        if (word[word_len] == '\0')
            return "is not one of the choices";
        word += word_len + 1;
    }
}

static const char *parse_bool(const char *text, bool *is_on_out)
{
    *is_on_out = strcmp(text, "true") == 0;
    return *is_on_out || strcmp(text, "false") == 0 ? NULL : "is neither true nor false";
}

/* Texts end up in header fields, logs and file names: control bytes never pass. */
static const char *check_text(const struct brim_conf_field *field, const char *text)
{
    size_t len = strlen(text);

    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return "has a control character";
    if (field->type == BRIM_CONF_TYPE_STRINGS)
        return len == 0 && field->min > 0 ? "is empty" : NULL; /* min and max count the members */
    if ((int64_t)len > field->max)
        return "is too long";
    if ((int64_t)len < field->min)
        return len == 0 ? "is empty" : "is too short";
    return NULL;
}

static const char *check_file(const char *path)
{
    const char *why;
    FILE *file;

    if (path[0] == '\0')
        return NULL; /* the range has allowed it */
    file = brim_file_open(path, &why);
    if (file != NULL)
        (void)fclose(file);
    return why;
}

static bool read_address(int family, const char *text, size_t len, void *address_out)
{
    char copy[INET6_ADDRSTRLEN];

    if (len >= sizeof(copy))
        return false;
    memcpy(copy, text, len);
    copy[len] = '\0';
    return inet_pton(family, copy, address_out) == 1;
}

static bool is_ipv6(const char *text, size_t len)
{
    struct in6_addr address;

    return read_address(AF_INET6, text, len, &address);
}

static bool is_ipv4(const char *text, size_t len)
{
    struct in_addr address;

    return read_address(AF_INET, text, len, &address);
}

static bool is_label(const char *text, size_t len)
{
    if (len == 0 || len > LABEL_MAX_BYTES || text[0] == '-' || text[len - 1] == '-')
        return false;
    for (size_t i = 0; i < len; i++)
        if (!is_alnum(text[i]) && text[i] != '-' && text[i] != '_')
            return false;
    return true;
}

bool brim_conf_value_is_host(const char *text, size_t len)
{
    size_t begin = 0;

    if (len == 0 || len > HOST_MAX_BYTES)
        return false;
    if (text[0] == '[')
        return len > 2 && text[len - 1] == ']' && is_ipv6(text + 1, len - 2);
    for (size_t i = 0; i <= len; i++) {
        if (i < len && text[i] != '.')
            continue;
        if (!is_label(text + begin, i - begin))
            return false;
        begin = i + 1;
    }
    return true;
}

unsigned brim_conf_value_port(const char *text, size_t len)
{
    unsigned port = 0;

    if (len == 0 || len > 5 || text[0] == '0')
        return 0;
    for (size_t i = 0; i < len; i++) {
        if (!is_digit(text[i]))
            return 0;
        port = port * 10 + (unsigned)(text[i] - '0');
    }
    return port <= PORT_MAX ? port : 0;
}

bool brim_conf_value_is_name(const char *text)
{
    for (; *text != '\0'; text++)
        if (!is_alnum(*text) && strchr("-._", *text) == NULL)
            return false;
    return true;
}

static const char *check_address(const char *text)
{
    static const char unix_prefix[] = "unix:";
    const size_t path_max = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;
    const char *colon = strrchr(text, ':');

    if (strncmp(text, unix_prefix, sizeof(unix_prefix) - 1) == 0) {
        const char *path = text + sizeof(unix_prefix) - 1;

        if (path[0] != '/')
            return "has no absolute path";
        return strlen(path) > path_max ? "has a path longer than 107 bytes" : NULL;
    }
    if (colon == NULL)
        return "has no port";

    size_t host_len = (size_t)(colon - text);
    bool is_bracketed = host_len > 2 && text[0] == '[' && colon[-1] == ']';

    if (host_len != 0 && !is_ipv4(text, host_len) &&
        !(is_bracketed && is_ipv6(text + 1, host_len - 2)))
        return "is not a numeric address with a port";
    return brim_conf_value_port(colon + 1, strlen(colon + 1)) == 0 ? "has no port from 1 to 65535"
                                                                   : NULL;
}

/* Of text without its port, which stands behind the last colon that is not inside of [ ]. */
static size_t host_length(const char *text, size_t len)
{
    size_t host_len = text[0] == '[' ? strcspn(text, "]") + 1 : strcspn(text, ":");

    return host_len > len ? len : host_len;
}

static const char *check_url(const char *text)
{
    size_t scheme_len = strcspn(text, ":");
    const char *host;
    size_t host_len, authority_len;

    if (!(scheme_len == 4 && memcmp(text, "http", 4) == 0) &&
        !(scheme_len == 5 && memcmp(text, "https", 5) == 0))
        return "has neither http:// nor https://";
    if (strncmp(text + scheme_len, "://", 3) != 0)
        return "has neither http:// nor https://";
    host = text + scheme_len + 3;
    authority_len = strcspn(host, "/?#");
    if (memchr(host, '@', authority_len) != NULL)
        return "has a user or password";
    if (host[authority_len] != '\0' && strcmp(host + authority_len, "/") != 0)
        return "has a path or query";

    host_len = host_length(host, authority_len);
    if (!brim_conf_value_is_host(host, host_len))
        return "has no valid host";
    if (host_len == authority_len)
        return NULL;
    if (host[host_len] != ':' ||
        brim_conf_value_port(host + host_len + 1, authority_len - host_len - 1) == 0)
        return "has no port from 1 to 65535";
    return NULL;
}

static const char *parse_text(const struct brim_conf_field *field, const char *text)
{
    const char *why = check_text(field, text);

    if (why != NULL)
        return why;
    switch (field->type) {
    case BRIM_CONF_TYPE_FILE:
        return check_file(text);
    case BRIM_CONF_TYPE_ADDRESS:
        return check_address(text);
    case BRIM_CONF_TYPE_URL:
        return check_url(text);
    default:
        return NULL;
    }
}

enum brim_err brim_conf_value_parse(const struct brim_conf_field *field, const char *text,
                                    union brim_conf_value *value_out, const char **why_out)
{
    const char *why;

    INVARIANT(field->kind == BRIM_CONF_OPTION);
    INVARIANT(text != NULL && value_out != NULL && why_out != NULL);
    *value_out = (union brim_conf_value){.text = NULL};
    switch (field->type) {
    case BRIM_CONF_TYPE_BOOL:
        why = parse_bool(text, &value_out->is_on);
        break;
    case BRIM_CONF_TYPE_INT:
        why = parse_int(field, text, &value_out->number);
        break;
    case BRIM_CONF_TYPE_SIZE:
        why = parse_size(field, text, &value_out->bytes);
        break;
    case BRIM_CONF_TYPE_DURATION:
        why = parse_duration(field, text, &value_out->number);
        break;
    case BRIM_CONF_TYPE_CHOICE:
        why = parse_choice(field, text, &value_out->choice);
        break;
    default:
        why = parse_text(field, text);
        value_out->text = text;
        break;
    }
    *why_out = why;
    return why == NULL ? BRIM_OK : BRIM_EINVAL;
}

/* Adds number in the first unit that divides it. */
static void add_united(struct brim_conf_text *out, const struct unit *units, int64_t number)
{
    while (number % units->factor != 0)
        units++;
    brim_conf_text_add(out, "%lld%s", (long long)(number / units->factor), units->name);
}

void brim_conf_value_add_size(struct brim_conf_text *out, uint64_t bytes)
{
    INVARIANT(bytes <= INT64_MAX);
    if (bytes == 0)
        brim_conf_text_add(out, "0");
    else
        add_united(out, size_units, (int64_t)bytes);
}

static void add_duration(struct brim_conf_text *out, int64_t ms)
{
    if (ms == 0)
        brim_conf_text_add(out, "0");
    else
        add_united(out, duration_units, ms);
}

static void add_choices(struct brim_conf_text *out, const char *choices)
{
    for (; *choices != '\0'; choices++) {
        if (*choices == '|')
            brim_conf_text_add(out, ", ");
        else
            brim_conf_text_add(out, "%c", *choices);
    }
}

static void add_range(struct brim_conf_text *out, const struct brim_conf_field *field)
{
    int64_t min = field->min > 0 ? field->min : 0;

    if (field->type == BRIM_CONF_TYPE_SIZE) {
        brim_conf_text_add(out, "size from ");
        brim_conf_value_add_size(out, (uint64_t)min);
        brim_conf_text_add(out, " to ");
        brim_conf_value_add_size(out, (uint64_t)field->max);
    } else {
        brim_conf_text_add(out, "duration from ");
        add_duration(out, min);
        brim_conf_text_add(out, " to ");
        add_duration(out, field->max);
        brim_conf_text_add(out, "%s", field->min == -1 ? ", or off" : "");
    }
}

void brim_conf_value_add_accepted(struct brim_conf_text *out, const struct brim_conf_field *field)
{
    INVARIANT(field->kind == BRIM_CONF_OPTION);
    switch (field->type) {
    case BRIM_CONF_TYPE_STRING:
        brim_conf_text_add(out, "text of %lld to %lld bytes", (long long)field->min,
                           (long long)field->max);
        break;
    case BRIM_CONF_TYPE_STRINGS:
        brim_conf_text_add(out, "one text, or a sequence of %lld to %lld", (long long)field->min,
                           (long long)field->max);
        break;
    case BRIM_CONF_TYPE_FILE:
        brim_conf_text_add(out, "path of a readable file%s", field->min == 0 ? ", or \"\"" : "");
        break;
    case BRIM_CONF_TYPE_BOOL:
        brim_conf_text_add(out, "true, false");
        break;
    case BRIM_CONF_TYPE_INT:
        brim_conf_text_add(out, "whole number from %lld to %lld", (long long)field->min,
                           (long long)field->max);
        break;
    case BRIM_CONF_TYPE_SIZE:
    case BRIM_CONF_TYPE_DURATION:
        add_range(out, field);
        break;
    case BRIM_CONF_TYPE_CHOICE:
        add_choices(out, field->choices);
        break;
    case BRIM_CONF_TYPE_URL:
        brim_conf_text_add(out, "http://host[:port], https://host[:port]");
        break;
    case BRIM_CONF_TYPE_ADDRESS:
        brim_conf_text_add(out, "IPV4:PORT, [IPV6]:PORT, :PORT, unix:/PATH");
        break;
    }
}

void brim_conf_value_add_examples(struct brim_conf_text *out, const struct brim_conf_field *field)
{
    INVARIANT(field->kind == BRIM_CONF_OPTION);
    if (field->type == BRIM_CONF_TYPE_SIZE)
        brim_conf_text_add(out, ", as in 4096, 64KiB, 1MB, 20GiB");
    else if (field->type == BRIM_CONF_TYPE_DURATION)
        brim_conf_text_add(out, ", as in 250ms, 30s, 5m, 12h, 7d");
}

#define NAMESERVER_PORT 53u

static bool read_host(const char *text, size_t len, in_port_t port,
                      union brim_conf_nameserver *server_out)
{
    if (text[0] != '[') {
        server_out->v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = port};
        return read_address(AF_INET, text, len, &server_out->v4.sin_addr);
    }
    server_out->v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = port};
    return len > 2 && text[len - 1] == ']' &&
           read_address(AF_INET6, text + 1, len - 2, &server_out->v6.sin6_addr);
}

bool brim_conf_value_nameserver(const char *text, union brim_conf_nameserver *server_out)
{
    size_t len = strlen(text), host_len = host_length(text, len);
    unsigned port = NAMESERVER_PORT;

    if (host_len < len)
        port = text[host_len] == ':' ? brim_conf_value_port(text + host_len + 1, len - host_len - 1)
                                     : 0;
    return port > 0 && read_host(text, host_len, htons((uint16_t)port), server_out);
}
