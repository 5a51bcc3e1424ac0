/* SPDX-License-Identifier: MIT */
/*
 * Not with sd_notify(3), which waits for as long as the manager does not read: the thread that
 * speaks is the one that hears signals, so that a node with a deaf manager could not even be ended.
 * What the manager has to know waits for some seconds, what is said again and again, or last, not
 * at all.
 */
#include "brim/serve/service.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "brim/base/clock.h"

#define PATIENCE_S 5
#define TEXT_BYTES 64u

uint64_t brim_service_watchdog_us(void)
{
    uint64_t us = 0;

    return sd_watchdog_enabled(0, &us) > 0 ? us : 0;
}

/* The length of the address in NOTIFY_SOCKET, a path or @ and an abstract name; 0: none. */
static socklen_t read_address(struct sockaddr_un *address)
{
    const char *name = getenv("NOTIFY_SOCKET"); /* NOLINT(concurrency-mt-unsafe): nobody sets it */
    size_t len = name == NULL ? 0 : strlen(name);

    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (len < 2 || len >= sizeof(address->sun_path) || (name[0] != '/' && name[0] != '@'))
        return 0;
    memcpy(address->sun_path, name, len);
    if (name[0] == '@')
        address->sun_path[0] = '\0';
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
}

/* flags: MSG_DONTWAIT, or 0. */
static void tell(const char *text, int flags)
{
    const struct timeval patience = {.tv_sec = PATIENCE_S};
    struct sockaddr_un address;
    socklen_t len = read_address(&address);
    int fd = len == 0 ? -1 : socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd == -1)
        return;
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    (void)sendto(fd, text, strlen(text), flags | MSG_NOSIGNAL, (const struct sockaddr *)&address,
                 len);
    close(fd);
}

void brim_service_ready(void)
{
    tell("READY=1", 0);
}

void brim_service_reloading(void)
{
    char text[TEXT_BYTES];

    (void)snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
                   brim_clock_mono_us());
    tell(text, 0);
}

void brim_service_stopping(void)
{
    tell("STOPPING=1", MSG_DONTWAIT);
}

void brim_service_alive(void)
{
    tell("WATCHDOG=1", MSG_DONTWAIT);
}
