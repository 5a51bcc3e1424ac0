/* SPDX-License-Identifier: MIT */
#include "brim/serve/loop_clock.h"

static void begin_anew(h2o_timeout_t *timeout, uint64_t now_ms)
{
    for (h2o_linklist_t *at = timeout->_entries.next; at != &timeout->_entries; at = at->next) {
        h2o_timeout_entry_t *entry = H2O_STRUCT_FROM_MEMBER(h2o_timeout_entry_t, _link, at);

        if (entry->registered_at > now_ms)
            entry->registered_at = now_ms;
    }
}

void brim_loop_clock_mend(h2o_loop_t *loop, uint64_t *seen_ms)
{
    uint64_t now_ms = h2o_now(loop);

    if (now_ms < *seen_ms)
        for (h2o_linklist_t *at = loop->_timeouts.next; at != &loop->_timeouts; at = at->next)
            begin_anew(H2O_STRUCT_FROM_MEMBER(h2o_timeout_t, _link, at), now_ms);
    *seen_ms = now_ms;
}
