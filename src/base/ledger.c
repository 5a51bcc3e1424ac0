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

struct brim_ledger {
    uint32_t magic;
    int64_t ceiling_bytes;
    _Atomic int64_t held_bytes;
    _Atomic int64_t expected_bytes;
};

/* Parts of the ceiling. */
static const int marks[] = {[BRIM_LEDGER_NARROW] = 4,
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

static bool has_ceiling(const struct brim_ledger *ledger)
{
    if (ledger == NULL)
        return false;
    OBJ_CHECK(ledger, LEDGER_MAGIC);
    return ledger->ceiling_bytes > 0;
}

static int64_t bytes_at(const struct brim_ledger *ledger, enum brim_ledger_mark mark)
{
    return ledger->ceiling_bytes / PARTS * marks[mark];
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
    BRIM_ADD(CLIENTS_MEMORY, bytes);
}

/* Entered first and looked at then: of two who come at once never both find the same room. Both may
 * be refused. */
bool brim_ledger_take(struct brim_ledger *ledger, size_t bytes, enum brim_ledger_mark mark)
{
    int64_t held;

    if (!has_ceiling(ledger)) {
        brim_ledger_hold(ledger, (int64_t)bytes);
        return true;
    }
    held = (int64_t)bytes +
           atomic_fetch_add_explicit(&ledger->held_bytes, (int64_t)bytes, memory_order_relaxed);
    if (held <= bytes_at(ledger, mark)) {
        BRIM_ADD(CLIENTS_MEMORY, (int64_t)bytes);
        return true;
    }
    atomic_fetch_sub_explicit(&ledger->held_bytes, (int64_t)bytes, memory_order_relaxed);
    BRIM_LOG(WARN, "client.memory", "refused=%zu held=%" PRId64 " of=%" PRId64, bytes,
             held - (int64_t)bytes, ledger->ceiling_bytes);
    return false;
}

bool brim_ledger_is_beyond(const struct brim_ledger *ledger, enum brim_ledger_mark mark)
{
    return has_ceiling(ledger) && brim_ledger_held(ledger) > bytes_at(ledger, mark);
}

void brim_ledger_expect(struct brim_ledger *ledger, int64_t bytes)
{
    if (ledger != NULL)
        atomic_fetch_add_explicit(&ledger->expected_bytes, bytes, memory_order_relaxed);
}

int64_t brim_ledger_excess(const struct brim_ledger *ledger)
{
    if (!has_ceiling(ledger))
        return 0;
    return brim_ledger_held(ledger) -
           atomic_load_explicit(&ledger->expected_bytes, memory_order_relaxed) -
           bytes_at(ledger, BRIM_LEDGER_CROWDED);
}
