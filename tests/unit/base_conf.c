/* SPDX-License-Identifier: MIT */
#include "brim/base/conf.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base_conf_cases.h"
#include "brim/base/conf_reload.h"
#include "unit.h"

static char path[64];
static char *faults; /* of the last load */
static size_t faults_len;

static void setup(void)
{
    (void)snprintf(path, sizeof(path), "/tmp/brim-conf-XXXXXX");

    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    (void)close(fd);
}

static void teardown(void)
{
    (void)unlink(path);
    free(faults);
    faults = NULL;
}

static enum brim_err load_file(const char *file, struct brim_conf **conf_out)
{
    free(faults);
    faults = NULL;
    FILE *out = open_memstream(&faults, &faults_len);
    ck_assert_ptr_nonnull(out);
    enum brim_err err = brim_conf_load(file, out, conf_out);
    (void)fclose(out);
    return err;
}

static enum brim_err load_bytes(const char *bytes, size_t len, struct brim_conf **conf_out)
{
    FILE *file = fopen(path, "we");

    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, len, file), len);
    (void)fclose(file);
    return load_file(path, conf_out);
}

static struct brim_conf *load_good(const char *text)
{
    struct brim_conf *conf;
    enum brim_err err = load_bytes(text, strlen(text), &conf);

    ck_assert_msg(err == BRIM_OK, "refused:\n%s\n%s", text, faults);
    ck_assert_str_eq(faults, "");
    return conf;
}

/* Cuts the name of the file from the start of every line. */
static void cut_path(char *text)
{
    size_t path_len = strlen(path);
    char *to = text;

    while (*text != '\0') {
        ck_assert_int_eq(strncmp(text, path, path_len), 0);
        size_t len = strcspn(text + path_len, "\n") + 1;
        memmove(to, text + path_len, len);
        text += path_len + len;
        to += len;
    }
    *to = '\0';
}

/* An operator repairs a config from these lines alone, often at night: place, fault and what is
 * accepted are the interface. */
START_TEST(bad_config_is_refused_with_exact_faults)
{
    const struct bad_case *bad = &bad_cases[_i];
    struct brim_conf *conf = (struct brim_conf *)&bad_cases; /* poison: must be cleared */

    ck_assert_int_eq(load_bytes(bad->input, strlen(bad->input), &conf), BRIM_EINVAL);
    ck_assert_ptr_null(conf);
    cut_path(faults);
    ck_assert_str_eq(faults, bad->faults);
}
END_TEST

/* The most common mistake of all. */
START_TEST(file_that_cannot_be_read_is_a_fault)
{
    struct brim_conf *conf;

    ck_assert_int_eq(load_file("/nonexistent/brim.yaml", &conf), BRIM_EINVAL);
    ck_assert_str_eq(faults, "/nonexistent/brim.yaml:1: does not exist; accepted: a YAML file\n");
    ck_assert_int_eq(load_file("/", &conf), BRIM_EINVAL);
    ck_assert_str_eq(faults, "/:1: is not a regular file; accepted: a YAML file\n");
}
END_TEST

/* A reload that waits for a writer would hold up the end of the node, and all later ones. */
START_TEST(fifo_is_a_fault_and_not_waited_for)
{
    struct brim_conf *conf;

    unlink(path);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(load_file(path, &conf), BRIM_EINVAL);
    cut_path(faults);
    ck_assert_str_eq(faults, ":1: is not a regular file; accepted: a YAML file\n");
}
END_TEST

/* A wrong path (a log, a core file) must not be read into memory whole. */
START_TEST(huge_file_is_refused)
{
    size_t len = 4 * 1024 * 1024 + 1;
    char *bytes = malloc(len);
    struct brim_conf *conf;

    ck_assert_ptr_nonnull(bytes);
    memset(bytes, '#', len);
    ck_assert_int_eq(load_bytes(bytes, len, &conf), BRIM_EINVAL);
    cut_path(faults);
    ck_assert_str_eq(faults, ":1: the file is too large; accepted: up to 4 MiB\n");
    free(bytes);
}
END_TEST

/* A file of another kind has thousands of faults; the first screen is enough. */
START_TEST(no_more_than_fifty_faults_are_written)
{
    char text[8192] = REST "node:\n";
    struct brim_conf *conf;
    unsigned lines = 0;

    for (int i = 0; i < 200; i++)
        (void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "  wrong_%d: x\n", i);
    ck_assert_int_eq(load_bytes(text, strlen(text), &conf), BRIM_EINVAL);
    for (const char *at = faults; (at = strchr(at, '\n')) != NULL; at++)
        lines++;
    ck_assert_uint_eq(lines, 50);
}
END_TEST

/* Control bytes in a key must not reach the operator's terminal. */
START_TEST(key_is_shown_without_control_bytes)
{
    struct brim_conf *conf;
    static const char text[] = REST "\"a\\e[2J\\nb\": 1\n";

    ck_assert_int_eq(load_bytes(text, strlen(text), &conf), BRIM_EINVAL);
    cut_path(faults);
    ck_assert_int_eq(strncmp(faults, ":4: a?[2J?b: unknown key; ", 26), 0);
}
END_TEST

/* Whoever writes four lines gets a complete config. */
START_TEST(defaults_fill_what_is_not_given)
{
    struct brim_conf *conf = load_good(REST);
    const struct brim_conf_root *root = brim_conf_root(conf);

    ck_assert_int_eq(root->node.io_threads, 4);
    ck_assert_str_eq(root->node.id, "brim");
    ck_assert_int_eq(root->node.drain_timeout_ms, 10000);
    ck_assert_int_eq(root->log.level, 2);
    ck_assert_uint_eq(root->cache.disk_bytes, 10ULL << 30);
    ck_assert_str_eq(root->cache.path, "");
    ck_assert_str_eq(root->admin.address, "127.0.0.1:9900");
    ck_assert_uint_eq(root->listeners.count, 1);
    ck_assert_uint_eq(root->listeners.items[0].tls.certificates.count, 0);
    ck_assert(root->origins.items[0].tls.verify);
    ck_assert_int_eq(root->sites.items[0].cache.default_ttl_ms, -1);
    ck_assert_int_eq(root->sites.items[0].cache.negative_ttl_ms, 10000);
    ck_assert_uint_eq(root->sites.items[0].routes.count, 0);
    ck_assert_str_eq(brim_conf_path(conf), path);
    brim_conf_free(conf);
}
END_TEST

/* A unit that is read wrongly is a cache of the wrong size or a page that is a day too old. */
START_TEST(units_are_exact)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } sizes[] = {
        {"4194304", 4194304},   {"4194304B", 4194304},  {"4096KiB", 4194304},
        {"5MB", 5000000},       {"5000kB", 5000000},    {"5000KB", 5000000},
        {"64MiB", 64ULL << 20}, {"20GiB", 20ULL << 30}, {"1GB", 1000000000},
        {"1TiB", 1ULL << 40},   {"1TB", 1000000000000}, {"1024TiB", 1024ULL << 40},
        {"'8MiB'", 8ULL << 20},
    };
    static const struct {
        const char *text;
        int64_t ms;
    } durations[] = {
        {"0", 0},          {"0s", 0},      {"250ms", 250},
        {"30s", 30000},    {"5m", 300000}, {"12h", 43200000},
        {"7d", 604800000}, {"off", -1},    {"3650d", 315360000000},
    };

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char text[512];

        (void)snprintf(text, sizeof(text), "cache: {disk: %s}\n" REST, sizes[i].text);
        struct brim_conf *conf = load_good(text);
        ck_assert_uint_eq(brim_conf_root(conf)->cache.disk_bytes, sizes[i].bytes);
        brim_conf_free(conf);
    }
    for (size_t i = 0; i < sizeof(durations) / sizeof(durations[0]); i++) {
        char text[512];

        (void)snprintf(text, sizeof(text),
                       LISTENERS ORIGINS
                       "sites: [{hosts: \"*\", origin: app, cache: {max_ttl: %s}}]\n",
                       durations[i].text);
        struct brim_conf *conf = load_good(text);
        ck_assert_int_eq(brim_conf_root(conf)->sites.items[0].cache.max_ttl_ms, durations[i].ms);
        brim_conf_free(conf);
    }
}
END_TEST

/* Every form that the table promises. */
START_TEST(addresses_urls_and_hosts_are_accepted_in_every_form)
{
    struct brim_conf *conf =
        load_good("listeners:\n"
                  "- address: 0.0.0.0:80\n"
                  "- address: \"[::1]:80\"\n"
                  "- address: :65535\n"
                  "- address: unix:/run/brim.sock\n"
                  "admin: {address: unix:/run/brim-admin.sock}\n"
                  "origins:\n"
                  "- name: a.b-c_1\n"
                  "  host: \"[::1]:8080\"\n"
                  "  servers:\n"
                  "  - url: http://localhost\n"
                  "  - url: https://10.0.0.1:8443/\n"
                  "  - url: http://[2001:db8::1]:80\n"
                  "sites:\n"
                  "- hosts: [example.com, \"*.example.com\", 127.0.0.1, xn--mller-kva.example]\n"
                  "  origin: a.b-c_1\n"
                  "- {hosts: \"*\", origin: a.b-c_1}\n");
    const struct brim_conf_root *root = brim_conf_root(conf);

    ck_assert_uint_eq(root->listeners.count, 4);
    ck_assert_str_eq(root->origins.items[0].servers.items[1].url, "https://10.0.0.1:8443");
    ck_assert_str_eq(root->origins.items[0].servers.items[2].url, "http://[2001:db8::1]:80");
    ck_assert_uint_eq(root->sites.items[0].hosts.count, 4);
    ck_assert_str_eq(root->sites.items[1].hosts.items[0], "*");
    brim_conf_free(conf);
}
END_TEST

/* A path rule that changes one thing must leave the site's other rules in force, wherever in the
 * file the site says them. */
START_TEST(route_inherits_the_rules_that_it_does_not_set)
{
    struct brim_conf *conf =
        load_good(LISTENERS ORIGINS "sites:\n"
                                    "- hosts: \"*\"\n"
                                    "  origin: app\n"
                                    "  routes:\n"
                                    "  - path: /a/\n"
                                    "    cache: {max_ttl: off, bypass: false}\n"
                                    "  - path: /b/\n"
                                    "  cache:\n"
                                    "    bypass: true\n"
                                    "    max_ttl: 1h\n"
                                    "    grace: 1d\n");
    const struct brim_conf_site *site = &brim_conf_root(conf)->sites.items[0];
    const struct brim_conf_rules *a = &site->routes.items[0].cache;
    const struct brim_conf_rules *b = &site->routes.items[1].cache;

    ck_assert(!a->bypass);
    ck_assert_int_eq(a->max_ttl_ms, -1);
    ck_assert_int_eq(a->grace_ms, BRIM_DAY_MS);
    ck_assert_int_eq(a->negative_ttl_ms, 10000);
    ck_assert(b->bypass);
    ck_assert_int_eq(b->max_ttl_ms, 3600000);
    ck_assert_int_eq(b->grace_ms, BRIM_DAY_MS);
    ck_assert_str_eq(site->routes.items[1].origin, "");
    brim_conf_free(conf);
}
END_TEST

/* Someone who only lowers the memory has said nothing about the largest object in it. */
START_TEST(default_of_memory_object_gives_way_to_memory)
{
    struct brim_conf *conf = load_good("cache: {memory: 1MiB}\n" REST);

    ck_assert_uint_eq(brim_conf_root(conf)->cache.memory_object_bytes, 1 << 20);
    brim_conf_free(conf);
}
END_TEST

/* A section whose lines are all commented out is what most files begin as. */
/* And likewise nothing about the largest body that comes through it. */
START_TEST(default_of_request_body_gives_way_to_client_memory)
{
    static const struct {
        const char *limits;
        uint64_t bytes;
    } rows[] = {
        {"limits: {client_memory: 40MiB}\n" REST, 7 << 20},
        {"limits: {client_memory: 24MiB, connections_per_address: 0}\n" REST, 7 << 20},
        {"limits: {client_memory: 0}\n" REST, 16 << 20},
        {"limits: {client_memory: 40MiB, request_body: 6MiB}\n" REST, 6 << 20},
    };
    struct brim_conf *conf = load_good(rows[_i].limits);

    ck_assert_uint_eq(brim_conf_root(conf)->limits.request_body_bytes, rows[_i].bytes);
    brim_conf_free(conf);
}
END_TEST

START_TEST(section_without_content_means_defaults)
{
    struct brim_conf *conf = load_good("node:\ncache:\nlisteners:\n- address: :80\n  tls:\n"
                                       "    certificates:\n" ORIGINS SITES);

    ck_assert_int_eq(brim_conf_root(conf)->node.io_threads, 4);
    ck_assert_uint_eq(brim_conf_root(conf)->listeners.items[0].tls.certificates.count, 0);
    brim_conf_free(conf);
}
END_TEST

/* Checks in higher rooms (does the key fit the certificate?) name lines too. */
START_TEST(line_is_that_of_the_value_or_of_its_nearest_parent)
{
    struct brim_conf *conf = load_good("node:\n"
                                       "  id: x\n" LISTENERS "origins:\n"
                                       "- name: app\n"
                                       "  servers:\n"
                                       "  - url: http://a\n"
                                       "  - url: http://b\n" SITES);

    ck_assert_int_eq(brim_conf_line(conf, "node.id"), 2);
    ck_assert_int_eq(brim_conf_line(conf, "node.workers"), 2);
    ck_assert_int_eq(brim_conf_line(conf, "origins[0].servers[1].url"), 8);
    ck_assert_int_eq(brim_conf_line(conf, "origins[0].servers[7].url"), 7);
    ck_assert_int_eq(brim_conf_line(conf, "origins[0].tls.ca"), 5);
    ck_assert_int_eq(brim_conf_line(conf, "origins[x"), 5);
    ck_assert_int_eq(brim_conf_line(conf, "origins.x"), 5);
    ck_assert_int_eq(brim_conf_line(conf, "nothing"), 1);
    ck_assert_int_eq(brim_conf_line(conf, ""), 1);
    ck_assert_int_eq(brim_conf_root(conf)->origins.items[0].servers.items[1].line, 8);
    brim_conf_free(conf);
}
END_TEST

/* ---- reload ---- */

static const char reload_running[] = "cache: {path: \"\"}\n" REST;

static const struct {
    const char *next;
    const char *faults;
} reload_cases[] = {
    {REST, ""},
    {"# moved\n\n" LISTENERS "sites: [{hosts: [a.example, \"*\"], origin: b}]\n"
     "origins: [{name: b, servers: [{url: \"http://b\"}]}]\nnode: {drain_timeout: 1s}\n",
     ""},
    {"cache: {path: /var/cache}\n" REST,
     ":1: cache.path: was changed and needs a restart; accepted: the value that is in force\n"},
    {"node: {workers: 2,\n id: x}\n" REST,
     ":1: node.workers: was changed and needs a restart; accepted: the value that is in force\n"
     ":2: node.id: was changed and needs a restart; accepted: the value that is in force\n"},
    {"listeners: [{address: \":8080\"}, {address: \":81\"}]\n" ORIGINS SITES,
     ":1: listeners: was changed and needs a restart; accepted: the value that is in force\n"},
    {"listeners: [{address: \":8081\"}]\n" ORIGINS SITES,
     ":1: listeners[0].address: was changed and needs a restart; accepted: the value that is in "
     "force\n"},
    {"listeners: [{address: \":8080\", tls: {min_version: 1.3, certificates: "
     "[{certificate: /etc/passwd, key: /etc/passwd}]}}]\n" ORIGINS SITES,
     ":1: listeners[0].tls.min_version: was changed and needs a restart; accepted: the value that "
     "is in force\n"},
};

/* A reload that seems to work but leaves the old value in force is worse than a refusal. */
START_TEST(reload_names_what_needs_a_restart)
{
    struct brim_conf *running = load_good(reload_running);
    struct brim_conf *next = load_good(reload_cases[_i].next);
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    bool is_fine = reload_cases[_i].faults[0] == '\0';

    ck_assert_ptr_nonnull(out);
    ck_assert_int_eq(brim_conf_reload_check(running, next, out), is_fine ? BRIM_OK : BRIM_EINVAL);
    (void)fclose(out);
    cut_path(text);
    ck_assert_str_eq(text, reload_cases[_i].faults);
    free(text);
    brim_conf_free(running);
    brim_conf_free(next);
}
END_TEST

/* ---- the files in conf/ ---- */

/* Directory of the examples: CMake compiles with absolute paths. */
static const char *examples_dir(void)
{
    static char dir[1024];
    const char *slash = strstr(__FILE__, "tests/unit/");

    ck_assert_ptr_nonnull(slash);
    ck_assert_int_lt(snprintf(dir, sizeof(dir), "%.*sconf", (int)(slash - __FILE__), __FILE__),
                     (int)sizeof(dir));
    return dir;
}

static char *read_text(const char *file)
{
    char *text = NULL;
    size_t capacity = 0;
    FILE *in = fopen(file, "re");

    ck_assert_msg(in != NULL, "%s is missing", file);
    ck_assert_int_gt(getdelim(&text, &capacity, '\0', in), 0);
    (void)fclose(in);
    return text;
}

static char *reference_text(void)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    ck_assert_ptr_nonnull(out);
    brim_conf_write_reference(out);
    (void)fclose(out);
    return text;
}

/* People copy these files. */
START_TEST(every_example_is_valid)
{
    DIR *dir = opendir(examples_dir());
    const struct dirent *entry;
    unsigned count = 0;

    ck_assert_ptr_nonnull(dir);
    while ((entry = readdir(dir)) != NULL) {
        size_t len = strlen(entry->d_name);
        char file[PATH_MAX];
        struct brim_conf *conf;

        if (len < 5 || strcmp(entry->d_name + len - 5, ".yaml") != 0)
            continue;
        (void)snprintf(file, sizeof(file), "%s/%s", examples_dir(), entry->d_name);
        ck_assert_msg(load_file(file, &conf) == BRIM_OK, "%s", faults);
        brim_conf_free(conf);
        count++;
    }
    (void)closedir(dir);
    ck_assert_uint_ge(count, 3);
}
END_TEST

/* A reference that lags behind the table is a wrong manual. */
START_TEST(reference_file_is_what_the_table_says)
{
    char file[PATH_MAX];

    (void)snprintf(file, sizeof(file), "%s/reference.yaml", examples_dir());
    char *stored = read_text(file);
    char *made = reference_text();
    ck_assert_msg(strcmp(stored, made) == 0,
                  "%s differs from the option table: brim check --reference > conf/reference.yaml",
                  file);
    free(stored);
    free(made);
}
END_TEST

/* Its values are said to be the defaults. */
START_TEST(reference_loads_as_the_defaults)
{
    char *text = reference_text();
    struct brim_conf *reference = load_good(text);
    struct brim_conf *defaults = load_good(REST);
    const struct brim_conf_root *a = brim_conf_root(reference);
    const struct brim_conf_root *b = brim_conf_root(defaults);

    /* Everything that needs a restart, by the walker of the table; the rest by hand. */
    ck_assert_int_eq(brim_conf_reload_check(defaults, reference, stderr), BRIM_OK);
    ck_assert_int_eq(a->node.drain_timeout_ms, b->node.drain_timeout_ms);
    ck_assert_int_eq(a->origins.items[0].queue, b->origins.items[0].queue);
    ck_assert_int_eq(a->origins.items[0].connect_timeout_ms,
                     b->origins.items[0].connect_timeout_ms);
    ck_assert_int_eq(a->sites.items[0].forwarded, b->sites.items[0].forwarded);
    ck_assert_int_eq(a->sites.items[0].cache.grace_ms, b->sites.items[0].cache.grace_ms);
    ck_assert_int_eq(a->sites.items[0].cache.max_ttl_ms, b->sites.items[0].cache.max_ttl_ms);
    brim_conf_free(reference);
    brim_conf_free(defaults);
    free(text);
}
END_TEST

/* What is commented out is said to be one edit away from valid. */
START_TEST(reference_stays_valid_with_its_examples_switched_on)
{
    char *text = reference_text();
    char *edited = NULL;
    size_t edited_len = 0;
    FILE *out = open_memstream(&edited, &edited_len);

    ck_assert_ptr_nonnull(out);
    for (const char *line = text; *line != '\0'; line += strcspn(line, "\n") + 1) {
        const char *at = strncmp(line, "#   ", 4) == 0 ? line + 2 : line;
        int len = (int)strcspn(at, "\n");
        const char *file = memmem(at, (size_t)len, "/etc/brim/", 10);

        if (file == NULL)
            (void)fprintf(out, "%.*s\n", len, at);
        else /* any file that is there */
            (void)fprintf(out, "%.*s%s\n", (int)(file - at), at, path);
    }
    (void)fclose(out);
    struct brim_conf *conf = load_good(edited);
    ck_assert_uint_eq(brim_conf_root(conf)->listeners.items[0].tls.certificates.count, 1);
    ck_assert_str_eq(brim_conf_root(conf)->sites.items[0].routes.items[0].path, "/img/");
    brim_conf_free(conf);
    free(edited);
    free(text);
}
END_TEST

/* ---- anything at all ---- */

/* A config may be cut short by a full disk or an editor: refused or loaded, never a crash. */
START_TEST(every_prefix_of_a_config_is_survived)
{
    char file[PATH_MAX];

    (void)snprintf(file, sizeof(file), "%s/pop.yaml", examples_dir());
    char *text = read_text(file);
    size_t len = strlen(text);
    for (size_t i = 0; i < len; i++) {
        struct brim_conf *conf;
        enum brim_err err = load_bytes(text, i, &conf);

        ck_assert((err == BRIM_OK) == (conf != NULL));
        ck_assert((err == BRIM_OK) == (faults_len == 0));
        brim_conf_free(conf);
    }
    free(text);
}
END_TEST

/* Fixed seed: what fails once fails again. */
static uint32_t random_next(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

/* Bytes that are no config, and configs with a few bytes that do not belong there. */
START_TEST(random_bytes_are_survived)
{
    static const char alphabet[] = "{}[]:,-?*&!|>'\"%@`#~ \n\t\\0a9\x7f\xc3\xff";
    char *text = reference_text();
    size_t len = strlen(text);
    uint32_t state = 2463534242u;

    for (int round = 0; round < 1500; round++) {
        char bytes[512];
        struct brim_conf *conf;

        for (size_t i = 0; i < sizeof(bytes); i++)
            bytes[i] = round % 2 == 0 ? alphabet[random_next(&state) % (sizeof(alphabet) - 1)]
                                      : (char)random_next(&state);
        enum brim_err err = load_bytes(bytes, random_next(&state) % sizeof(bytes), &conf);
        ck_assert_int_eq(err, BRIM_EINVAL);
        ck_assert_ptr_null(conf);
    }
    for (int round = 0; round < 1500; round++) {
        size_t at = random_next(&state) % len;
        char kept = text[at];
        struct brim_conf *conf;

        text[at] = alphabet[random_next(&state) % (sizeof(alphabet) - 1)];
        enum brim_err err = load_bytes(text, len, &conf);
        ck_assert((err == BRIM_OK) == (conf != NULL));
        brim_conf_free(conf);
        text[at] = kept;
    }
    free(text);
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_loop_test(tcase, bad_config_is_refused_with_exact_faults, 0,
                        (int)(sizeof(bad_cases) / sizeof(bad_cases[0])));
    tcase_add_test(tcase, fifo_is_a_fault_and_not_waited_for);
    tcase_add_test(tcase, file_that_cannot_be_read_is_a_fault);
    tcase_add_test(tcase, huge_file_is_refused);
    tcase_add_test(tcase, no_more_than_fifty_faults_are_written);
    tcase_add_test(tcase, key_is_shown_without_control_bytes);
    tcase_add_test(tcase, defaults_fill_what_is_not_given);
    tcase_add_test(tcase, units_are_exact);
    tcase_add_test(tcase, addresses_urls_and_hosts_are_accepted_in_every_form);
    tcase_add_test(tcase, route_inherits_the_rules_that_it_does_not_set);
    tcase_add_test(tcase, default_of_memory_object_gives_way_to_memory);
    tcase_add_loop_test(tcase, default_of_request_body_gives_way_to_client_memory, 0, 4);
    tcase_add_test(tcase, section_without_content_means_defaults);
    tcase_add_test(tcase, line_is_that_of_the_value_or_of_its_nearest_parent);
    tcase_add_loop_test(tcase, reload_names_what_needs_a_restart, 0,
                        (int)(sizeof(reload_cases) / sizeof(reload_cases[0])));
    tcase_add_test(tcase, every_example_is_valid);
    tcase_add_test(tcase, reference_file_is_what_the_table_says);
    tcase_add_test(tcase, reference_loads_as_the_defaults);
    tcase_add_test(tcase, reference_stays_valid_with_its_examples_switched_on);
    tcase_add_test(tcase, every_prefix_of_a_config_is_survived);
    tcase_add_test(tcase, random_bytes_are_survived);
}

int main(void)
{
    Suite *suite = suite_create("base/conf");
    TCase *tcase = tcase_create("conf");

    tcase_set_timeout(tcase, 240);
    tcase_add_checked_fixture(tcase, setup, teardown);
    add_tests(tcase);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
