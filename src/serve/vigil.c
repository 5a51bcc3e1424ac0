/* SPDX-License-Identifier: MIT */
#include "brim/serve/vigil.h"

#include <stdbool.h>
#include <stdlib.h>

#include "brim/base/clock.h"
#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/serve/service.h"

#define PERIOD_MIN_US 1500000u /* a loop without work turns once a second */

void brim_vigil_init(struct brim_vigil *vigil, uint64_t watchdog_us,
                     struct brim_worker *const *workers, size_t worker_count)
{
    *vigil = (struct brim_vigil){.workers = workers, .worker_count = worker_count};
    if (watchdog_us == 0)
        return;
    vigil->period_us = watchdog_us / 3 < PERIOD_MIN_US ? PERIOD_MIN_US : watchdog_us / 3;
    vigil->look_us = brim_clock_mono_us() + vigil->period_us;
    vigil->beats = brim_alloc(worker_count * sizeof(uint64_t));
}

void brim_vigil_fini(struct brim_vigil *vigil)
{
    free(vigil->beats);
    vigil->beats = NULL;
}

/* Whether every loop has turned since the last look. */
static bool is_alive(struct brim_vigil *vigil)
{
    bool is_alive = true;

    for (size_t i = 0; i < vigil->worker_count; i++) {
        uint64_t beats = brim_worker_beats(vigil->workers[i]);

        if (beats == vigil->beats[i]) {
            BRIM_LOG(ERROR, "worker.stuck", "worker=%zu", i);
            is_alive = false;
        }
        vigil->beats[i] = beats;
    }
    return is_alive;
}

int brim_vigil_wait(struct brim_vigil *vigil, const sigset_t *signals)
{
    uint64_t now_us = brim_clock_mono_us(), left_us;
    struct timespec span;

    if (vigil->period_us == 0)
        return sigwaitinfo(signals, NULL);
    /* By the clock: signals, however many, must not put it off. */
    if (now_us >= vigil->look_us) {
        if (is_alive(vigil))
            brim_service_alive();
        vigil->look_us = now_us + vigil->period_us;
    }
    left_us = vigil->look_us - now_us;
    span.tv_sec = (time_t)(left_us / 1000000);
    span.tv_nsec = (long)(left_us % 1000000) * 1000;
    return sigtimedwait(signals, NULL, &span);
}
