/* SPDX-License-Identifier: MIT */
#include "brim/policy/compile_faults.h"

#include <stdarg.h>

#include "brim/base/log.h"

void brim_compile_faults_at(struct brim_compile_faults *faults, const char *format, ...)
{
    char path[96];
    va_list args;

    if (faults == NULL)
        return;
    va_start(args, format);
    (void)vsnprintf(path, sizeof(path), format, args);
    va_end(args);
    (void)snprintf(faults->place, sizeof(faults->place), "%s:%d: %s", brim_conf_path(faults->conf),
                   brim_conf_line(faults->conf, path), path);
    brim_log_divert(faults->out, faults->place);
}

void brim_compile_faults_end(void)
{
    brim_log_divert(NULL, NULL);
}
