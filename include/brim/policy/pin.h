/* SPDX-License-Identifier: MIT */
/*
 * pin - who has written reads where he wrote, for a while: a signed cookie that says until when.
 *
 *   NAME=EXPIRY.SIGNATURE     seconds since 1970; of "brim-pin SITE EXPIRY" (base/secret)
 *
 * One of another site, one that has expired and one that is not signed by us are as if they were
 * not there. It says nothing of who the client is: with another's a client reads from the write
 * pool, no more. Refuses to know requests and clocks.
 */
#ifndef BRIM_POLICY_PIN_H
#define BRIM_POLICY_PIN_H

#include "brim/base/conf.h"
#include "brim/http/field.h"

#define BRIM_PIN_COOKIE_BYTES 384u /* room for a Set-Cookie */

struct brim_pin; /* opaque, immutable */

/* *pin_out is NULL where the config says none. Errors: BRIM_EINVAL, BRIM_EIO: the secret is not
 * usable, which was logged. Thread: init or control. */
BRIM_MUST_USE enum brim_err brim_pin_open(const struct brim_conf_ryw *conf, const char *site,
                                          struct brim_pin **pin_out);
void brim_pin_close(struct brim_pin *pin); /* accepts NULL */

/* Whether a Cookie field has our cookie, valid or not. Thread: any, as the rest. */
bool brim_pin_is_named(const struct brim_pin *pin, struct brim_fields request);
/* Whether one of them holds now. */
bool brim_pin_holds(const struct brim_pin *pin, struct brim_fields request, int64_t now_wall_s);

/* The fields without our cookie. items: room for request.count; text: twice the bytes of all values
 * of Cookie fields. */
struct brim_fields brim_pin_strip(const struct brim_pin *pin, struct brim_fields request,
                                  struct brim_field *items, char *text);

/* The value of the Set-Cookie for who has just written, in buffer. */
struct brim_str brim_pin_cookie(const struct brim_pin *pin, int64_t now_wall_s, bool is_https,
                                char buffer[BRIM_PIN_COOKIE_BYTES]);

#endif
