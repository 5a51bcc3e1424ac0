/* SPDX-License-Identifier: MIT */
#include "brim/origin/method.h"

bool brim_method_is_safe(struct brim_str method)
{
    return brim_str_is(method, BRIM_STR("GET")) || brim_str_is(method, BRIM_STR("HEAD")) ||
           brim_str_is(method, BRIM_STR("OPTIONS")) || brim_str_is(method, BRIM_STR("TRACE"));
}

bool brim_method_is_idempotent(struct brim_str method)
{
    return brim_method_is_safe(method) || brim_str_is(method, BRIM_STR("PUT")) ||
           brim_str_is(method, BRIM_STR("DELETE"));
}
