/* SPDX-License-Identifier: MIT */
#include "brim/cache/health.h"

#include <errno.h>

#include "brim/base/log.h"
#include "brim/base/metric.h"

#define RETRY_MS 1000u

bool brim_health_may_write(struct brim_health *health)
{
    uint64_t at_ms = atomic_load_explicit(&health->retry_at_ms, memory_order_relaxed);
    uint64_t now_ms;

    if (at_ms == 0)
        return true;
    now_ms = health->now_mono_ms();
    /* Whoever moves the time on is the one that tries. */
    return now_ms >= at_ms &&
           atomic_compare_exchange_strong_explicit(&health->retry_at_ms, &at_ms, now_ms + RETRY_MS,
                                                   memory_order_relaxed, memory_order_relaxed);
}

enum brim_err brim_health_failed(struct brim_health *health, const char *what, int errnum)
{
    bool is_full = errnum == ENOSPC || errnum == EDQUOT || errnum == EFBIG;
    uint64_t was_ms = atomic_exchange_explicit(
        &health->retry_at_ms, health->now_mono_ms() + RETRY_MS, memory_order_relaxed);

    BRIM_COUNT(DISK_ERRORS);
    if (was_ms == 0 && is_full)
        BRIM_LOG(WARN, "disk.full",
                 "path=%s what=%s errno=%d do=\"make room on the device; nothing is stored until "
                 "then\"",
                 health->path, what, errnum);
    if (was_ms == 0 && !is_full)
        BRIM_LOG(ERROR, "disk.error",
                 "path=%s what=%s errno=%d do=\"check the device; nothing is stored until a write "
                 "succeeds\"",
                 health->path, what, errnum);
    return is_full ? BRIM_ENOSPC : BRIM_EIO;
}

void brim_health_succeeded(struct brim_health *health)
{
    if (atomic_load_explicit(&health->retry_at_ms, memory_order_relaxed) == 0)
        return;
    if (atomic_exchange_explicit(&health->retry_at_ms, 0, memory_order_relaxed) != 0)
        BRIM_LOG(INFO, "disk.recovered", "path=%s", health->path);
}
