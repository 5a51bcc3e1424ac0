/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "brim/base/conf.h"
#include "brim/base/conf_check.h"
#include "brim/base/conf_manual.h"
#include "brim/cli/commands.h"
#include "brim/policy/compile_faults.h"
#include "brim/policy/geo.h"
#include "brim/policy/route.h"
#include "brim/serve/tls.h"

static const char help[] =
    "usage: brim check -c FILE\n"
    "       brim check --reference | --manual\n"
    "\n"
    "Checks a config whole, certificates and handlers included, without starting anything. Every\n"
    "fault is one line on stderr: FILE:LINE: path.to.key: what is wrong; what is accepted\n"
    "\n"
    "  -c, --config FILE   the config to check; -: standard input\n"
    "  --reference         print conf/reference.yaml: every option, its range and default\n"
    "  --manual            print the same as the manual page brim.yaml(5)\n"
    "  -h, --help          this text\n"
    "\n"
    "warns of what is usable and a risk: an admin listener that other hosts reach\n"
    "\n"
    "exit status: 0 usable, 2 usage or config not usable\n";

/* What is in the files that options name, as far as a node reads them before it serves. */
static bool check_files(const struct brim_conf *conf)
{
    const struct brim_conf_root *root = brim_conf_root(conf);
    struct brim_compile_faults told = {.conf = conf, .out = stderr};
    struct brim_routes *routes = NULL;
    struct brim_geo *geo = NULL;
    bool is_fine = brim_routes_compile(root, NULL, NULL, &told, &routes) == BRIM_OK;

    brim_compile_faults_at(&told, "node.geo");
    if (root->node.geo[0] != '\0' && brim_geo_open(root->node.geo, &geo) != BRIM_OK)
        is_fine = false;
    brim_compile_faults_end();
    brim_geo_close(geo);
    brim_routes_unref(routes);
    return is_fine;
}

static int check(const char *path)
{
    struct brim_conf *conf = NULL;
    struct brim_conf_text risk;
    int status = BRIM_EXIT_OK;

    if (brim_conf_load(path, stderr, &conf) != BRIM_OK)
        return BRIM_EXIT_USAGE;
    for (size_t i = 0; i < brim_conf_root(conf)->listeners.count; i++) {
        struct brim_tls *tls = NULL;

        if (brim_conf_root(conf)->listeners.items[i].tls.certificates.count == 0)
            continue;
        if (brim_tls_open(conf, i, stderr, &tls) != BRIM_OK)
            status = BRIM_EXIT_USAGE;
        else
            brim_tls_close(tls);
    }
    if (brim_tls_origins_check(conf, stderr) != BRIM_OK)
        status = BRIM_EXIT_USAGE;
    if (!check_files(conf))
        status = BRIM_EXIT_USAGE;
    if (status == BRIM_EXIT_OK && brim_conf_check_risk(brim_conf_root(conf), &risk))
        (void)fprintf(stderr, "%s: warning: %s\n", path, risk.bytes);
    brim_conf_free(conf);
    if (status == BRIM_EXIT_OK)
        (void)printf("%s: ok\n", path);
    return status;
}

int brim_cli_check(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"reference", no_argument, NULL, 'r'},
        {"manual", no_argument, NULL, 'm'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    const char *config = NULL;
    int option;

    while ((option = brim_cli_option(argc, argv, "c:h", options)) != -1) {
        switch (option) {
        case 'c':
            config = optarg;
            break;
        case 'r':
            brim_conf_write_reference(stdout);
            return BRIM_EXIT_OK;
        case 'm':
            brim_conf_write_manual(stdout);
            return BRIM_EXIT_OK;
        case 'h':
            (void)fputs(help, stdout);
            return BRIM_EXIT_OK;
        default:
            (void)fputs("see brim check --help\n", stderr);
            return BRIM_EXIT_USAGE;
        }
    }
    if (config == NULL || optind < argc) {
        (void)fputs("brim check: -c FILE is needed, and nothing else; see brim check --help\n",
                    stderr);
        return BRIM_EXIT_USAGE;
    }
    return check(config);
}
