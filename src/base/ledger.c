/* SPDX-License-Identifier: MIT */
#include "brim/base/ledger.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/base/metric.h"

#define LEDGER_MAGIC 0x6c646772u
#define PARTS        8

/* Parts of the ceiling. */
static const int marks[] = {[BRIM_LEDGER_SHARED] = 2,
                            [BRIM_LEDGER_NARROW] = 4,
                            [BRIM_LEDGER_CROWDED] = 6,
                            [BRIM_LEDGER_CLOSED] = 7,
                            [BRIM_LEDGER_FULL] = PARTS};

struct brim_ledger *brim_ledger_open(int64_t ceiling_bytes)
{
    struct brim_ledger *ledger = brim_alloc(sizeof(*ledger));

    INVARIANT(ceiling_bytes >= 0);
    ledger->magic = LEDGER_MAGIC;
    ledger->ceiling_bytes = ceiling_bytes;
    return ledger;
}

void brim_ledger_close(struct brim_ledger *ledger)
{
    if (ledger == NULL)
        return;
    OBJ_CHECK(ledger, LEDGER_MAGIC);
    ledger->magic = 0;
    free(ledger);
}

void brim_ledger_share(struct brim_ledger *share, struct brim_ledger *whole)
{
    OBJ_CHECK(whole, LEDGER_MAGIC);
    INVARIANT(whole->whole == NULL);
    INVARIANT(share->whole == NULL || share->whole == whole);
    share->magic = LEDGER_MAGIC;
    share->whole = whole;
}

struct brim_ledger *brim_ledger_whole(struct brim_ledger *ledger)
{
    return ledger == NULL || ledger->whole == NULL ? ledger : ledger->whole;
}

static const struct brim_ledger *whole_of(const struct brim_ledger *ledger)
{
    return ledger->whole == NULL ? ledger : ledger->whole;
}

static bool has_ceiling(const struct brim_ledger *ledger)
{
    if (ledger == NULL)
        return false;
    OBJ_CHECK(ledger, LEDGER_MAGIC);
    return whole_of(ledger)->ceiling_bytes > 0;
}

static int64_t bytes_at(const struct brim_ledger *whole, enum brim_ledger_mark mark)
{
    return whole->ceiling_bytes / PARTS * marks[mark];
}

/* So much is held by all: whether who has own bytes of it has too large a share for more. */
static bool is_over_share(const struct brim_ledger *ledger, enum brim_ledger_mark mark,
                          int64_t held, int64_t own)
{
    return ledger->whole != NULL && held > bytes_at(ledger->whole, BRIM_LEDGER_SHARED) &&
           own > (bytes_at(ledger->whole, mark) - held) / 2;
}

int64_t brim_ledger_held(const struct brim_ledger *ledger)
{
    return ledger == NULL ? 0 : atomic_load_explicit(&ledger->held_bytes, memory_order_relaxed);
}

void brim_ledger_hold(struct brim_ledger *ledger, int64_t bytes)
{
    if (ledger == NULL || bytes == 0)
        return;
    OBJ_CHECK(ledger, LEDGER_MAGIC);
    atomic_fetch_add_explicit(&ledger->held_bytes, bytes, memory_order_relaxed);
    if (ledger->whole != NULL)
        atomic_fetch_add_explicit(&ledger->whole->held_bytes, bytes, memory_order_relaxed);
    BRIM_ADD(CLIENTS_MEMORY, bytes);
}

/* Entered first and looked at then: of two who come at once never both find the same room. Both may
 * be refused. */
bool brim_ledger_take(struct brim_ledger *ledger, size_t bytes, enum brim_ledger_mark mark)
{
    int64_t held, own;
    bool is_full, is_greedy;

    brim_ledger_hold(ledger, (int64_t)bytes);
    if (!has_ceiling(ledger))
        return true;
    held = brim_ledger_held(whole_of(ledger));
    own = brim_ledger_held(ledger) - (int64_t)bytes;
    is_full = held > bytes_at(whole_of(ledger), mark);
    is_greedy = is_over_share(ledger, mark, held, own);
    if (!is_full && !is_greedy)
        return true;
    brim_ledger_hold(ledger, -(int64_t)bytes);
    if (!is_full)
        BRIM_COUNT(MEMORY_OVER_SHARE);
    BRIM_LOG(WARN, "client.memory", "refused=%zu held=%" PRId64 " of=%" PRId64 " own=%" PRId64,
             bytes, held - (int64_t)bytes, whole_of(ledger)->ceiling_bytes, own);
    return false;
}

bool brim_ledger_is_beyond(const struct brim_ledger *ledger, enum brim_ledger_mark mark)
{
    int64_t held;

    if (!has_ceiling(ledger))
        return false;
    held = brim_ledger_held(whole_of(ledger));
    return held > bytes_at(whole_of(ledger), mark) ||
           is_over_share(ledger, mark, held, brim_ledger_held(ledger));
}

void brim_ledger_expect(struct brim_ledger *ledger, int64_t bytes)
{
    struct brim_ledger *whole = brim_ledger_whole(ledger);

    if (whole != NULL)
        atomic_fetch_add_explicit(&whole->expected_bytes, bytes, memory_order_relaxed);
}

int64_t brim_ledger_excess(const struct brim_ledger *ledger)
{
    if (!has_ceiling(ledger))
        return 0;
    INVARIANT(ledger->whole == NULL);
    return brim_ledger_held(ledger) -
           atomic_load_explicit(&ledger->expected_bytes, memory_order_relaxed) -
           bytes_at(ledger, BRIM_LEDGER_CROWDED);
}
