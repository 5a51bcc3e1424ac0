/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "brim/cli/commands.h"
#include "brim/serve/launch.h"

static const char help[] =
    "usage: brim serve -c FILE [--no-supervise]\n"
    "\n"
    "Runs a node in the foreground until SIGTERM or SIGINT.\n"
    "\n"
    "  -c, --config FILE   the config (YAML; see brim check --reference)\n"
    "  --no-supervise      one process: no parent that restarts the node when it dies\n"
    "  -h, --help          this text\n"
    "\n"
    "signals: TERM, INT drain and end; HUP reloads the config; USR1 reopens the access log;\n"
    "USR2 to the parent: another version takes over (see brim upgrade --help)\n"
    "exit status: 0 ended when told to, 1 could not start or died, 2 usage or config not usable\n";

int brim_cli_serve(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"no-supervise", no_argument, NULL, 's'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    enum brim_launch_mode mode = BRIM_LAUNCH_SUPERVISED;
    const char *config = NULL;
    int option;

    while ((option = brim_cli_option(argc, argv, "c:h", options)) != -1) {
        switch (option) {
        case 'c':
            config = optarg;
            break;
        case 's':
            mode = BRIM_LAUNCH_SINGLE;
            break;
        case 'h':
            (void)fputs(help, stdout);
            return BRIM_EXIT_OK;
        default:
            (void)fputs("see brim serve --help\n", stderr);
            return BRIM_EXIT_USAGE;
        }
    }
    if (config == NULL || optind < argc) {
        (void)fputs("brim serve: -c FILE is needed, and nothing else; see brim serve --help\n",
                    stderr);
        return BRIM_EXIT_USAGE;
    }
    if (strcmp(config, "-") == 0) {
        (void)fputs("brim serve: a reload reads the config again: name a file, not -\n", stderr);
        return BRIM_EXIT_USAGE;
    }
    return brim_launch(config, mode);
}
