/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "brim/cli/commands.h"

static const char help[] = "usage: brim version\n"
                           "\n"
                           "Prints the name and the version, for example: brim " BRIM_VERSION "\n"
                           "\n"
                           "exit status: 0 printed, 2 usage\n";

int brim_cli_version(int argc, char **argv)
{
    static const struct option options[] = {
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option = brim_cli_option(argc, argv, "h", options);

    if (option == 'h') {
        (void)fputs(help, stdout);
        return BRIM_EXIT_OK;
    }
    if (option != -1 || optind < argc) {
        (void)fputs("brim version: takes no arguments; see brim version --help\n", stderr);
        return BRIM_EXIT_USAGE;
    }
    (void)puts("brim " BRIM_VERSION);
    return BRIM_EXIT_OK;
}
