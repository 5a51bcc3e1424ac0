/* SPDX-License-Identifier: MIT */
/*
 * method - what RFC 9110 says of request methods. Method names are compared as they are sent.
 */
#ifndef BRIM_ORIGIN_METHOD_H
#define BRIM_ORIGIN_METHOD_H

#include "brim/base/str.h"

/* Asks for nothing to be changed. Spec: RFC 9110 9.2.1. */
bool brim_method_is_safe(struct brim_str method);

/* Asking twice has the effect of asking once: may be sent again. Spec: RFC 9110 9.2.2. */
bool brim_method_is_idempotent(struct brim_str method);

#endif
