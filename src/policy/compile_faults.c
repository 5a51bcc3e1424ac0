/* SPDX-License-Identifier: MIT */
#include "brim/policy/compile_faults.h"

#include <stdarg.h>

#include "brim/base/log.h"

static void divert(struct brim_compile_faults *faults, const char *path)
{
    (void)snprintf(faults->place, sizeof(faults->place), "%s:%d: %s", brim_conf_path(faults->conf),
                   brim_conf_line(faults->conf, path), path);
    brim_log_divert(faults->out, faults->place);
}

void brim_compile_faults_at(struct brim_compile_faults *faults, const char *format, ...)
{
    va_list args;

    if (faults == NULL)
        return;
    va_start(args, format);
    (void)vsnprintf(faults->path, sizeof(faults->path), format, args);
    va_end(args);
    divert(faults, faults->path);
}

void brim_compile_faults_in(struct brim_compile_faults *faults, const char *option)
{
    char path[sizeof(faults->path) + 64];

    if (faults == NULL)
        return;
    (void)snprintf(path, sizeof(path), "%s.%s", faults->path, option);
    divert(faults, path);
}

void brim_compile_faults_end(void)
{
    brim_log_divert(NULL, NULL);
}
