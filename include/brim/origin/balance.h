/* SPDX-License-Identifier: MIT */
/*
 * balance - which server of a pool is asked: round robin, and the next one where that is down.
 */
#ifndef BRIM_ORIGIN_BALANCE_H
#define BRIM_ORIGIN_BALANCE_H

#include "brim/origin/ask.h"

/* The position at which an exchange begins; moves on by one each time. Thread: any. */
unsigned brim_balance_turn(struct brim_origin *origin);

/* The server for the exchange that began at `first` and has asked `tried` servers in vain. */
const char *brim_balance_server(const struct brim_origin *origin, unsigned first, unsigned tried);

#endif
