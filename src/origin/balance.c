/* SPDX-License-Identifier: MIT */
#include "brim/origin/balance.h"

#include "brim/base/invariant.h"

unsigned brim_balance_turn(struct brim_origin *origin)
{
    return atomic_fetch_add_explicit(&origin->turn, 1, memory_order_relaxed);
}

const char *brim_balance_server(const struct brim_origin *origin, unsigned first, unsigned tried)
{
    INVARIANT(origin->server_count > 0);
    return origin->servers[(first + tried) % origin->server_count];
}
