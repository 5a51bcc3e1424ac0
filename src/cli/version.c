/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "brim/cli/commands.h"

int brim_cli_version(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    puts("brim " BRIM_VERSION);
    return BRIM_EXIT_OK;
}
