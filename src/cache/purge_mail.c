/* SPDX-License-Identifier: MIT */
#include "brim/cache/purge_mail.h"

void brim_purge_mail_post(struct brim_purge_mail *mail, uint64_t scope, enum brim_purge_kind kind)
{
    uint64_t turn = atomic_fetch_add(&mail->posted, 1);
    struct brim_purge_mail_slot *slot = &mail->slots[turn % BRIM_PURGE_MAIL_ROOM];

    slot->scope = scope;
    slot->kind = kind;
    atomic_store_explicit(&slot->turn, turn + 1, memory_order_release);
}

/* One for everything stands for all that were posted. */
static bool take_all(struct brim_purge_mail *mail, uint64_t posted, uint64_t *scope_out,
                     enum brim_purge_kind *kind_out)
{
    *scope_out = brim_purge_scope_all();
    *kind_out = BRIM_PURGE_HARD;
    atomic_store(&mail->taken, posted);
    return true;
}

bool brim_purge_mail_take(struct brim_purge_mail *mail, uint64_t *scope_out,
                          enum brim_purge_kind *kind_out)
{
    uint64_t posted = atomic_load_explicit(&mail->posted, memory_order_acquire);
    uint64_t taken = atomic_load(&mail->taken);
    const struct brim_purge_mail_slot *slot = &mail->slots[taken % BRIM_PURGE_MAIL_ROOM];

    if (posted == taken)
        return false;
    if (posted - taken > BRIM_PURGE_MAIL_ROOM)
        return take_all(mail, posted, scope_out, kind_out);
    if (atomic_load_explicit(&slot->turn, memory_order_acquire) != taken + 1)
        return false; /* being written at this moment: its purge has not returned */
    *scope_out = slot->scope;
    *kind_out = slot->kind == BRIM_PURGE_SOFT ? BRIM_PURGE_SOFT : BRIM_PURGE_HARD;
    /* Who writes a slot anew has said so in `posted` before: what was read is good if he has not.
     */
    atomic_thread_fence(memory_order_acquire);
    posted = atomic_load(&mail->posted);
    if (posted - taken > BRIM_PURGE_MAIL_ROOM)
        return take_all(mail, posted, scope_out, kind_out);
    atomic_store(&mail->taken, taken + 1);
    return true;
}
