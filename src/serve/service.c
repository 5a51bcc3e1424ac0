/* SPDX-License-Identifier: MIT */
#include "brim/serve/service.h"

#include <inttypes.h>
#include <systemd/sd-daemon.h>

#include "brim/base/clock.h"

uint64_t brim_service_watchdog_us(void)
{
    uint64_t us = 0;

    return sd_watchdog_enabled(0, &us) > 0 ? us : 0;
}

void brim_service_ready(void)
{
    (void)sd_notify(0, "READY=1");
}

void brim_service_reloading(void)
{
    (void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, brim_clock_mono_us());
}

void brim_service_stopping(void)
{
    (void)sd_notify(0, "STOPPING=1");
}

void brim_service_alive(void)
{
    (void)sd_notify(0, "WATCHDOG=1");
}
