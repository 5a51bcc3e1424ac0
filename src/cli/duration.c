/* SPDX-License-Identifier: MIT */
#include "brim/cli/duration.h"

#include "brim/base/clock.h"
#include "brim/base/conf_value.h"

enum brim_err brim_cli_duration(const char *text, int64_t *ms_out, const char **why_out)
{
    static const struct brim_conf_field field = {
        .kind = BRIM_CONF_OPTION,
        .type = BRIM_CONF_TYPE_DURATION,
        .min = 1000,
        .max = 3650 * BRIM_DAY_MS,
    };
    union brim_conf_value value;
    enum brim_err err = brim_conf_value_parse(&field, text, &value, why_out);

    *ms_out = err == BRIM_OK ? value.number : 0;
    return err;
}
