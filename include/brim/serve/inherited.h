/* SPDX-License-Identifier: MIT */
/*
 * inherited - listening sockets that this process was started with (sd_listen_fds(3)): systemd's
 * socket units, or those of the node that is being replaced.
 *
 * Every socket is claimed at most once; who hands it over finds out what nobody has claimed.
 * Refuses to know the config.
 */
#ifndef BRIM_SERVE_INHERITED_H
#define BRIM_SERVE_INHERITED_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#define BRIM_INHERITED_MAX 16384 /* 64 listeners of 256 workers */

struct brim_inherited; /* opaque */

/* Takes over what LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES name, and clears these. None is well.
 * Thread: init. */
struct brim_inherited *brim_inherited_open(void);

/* The same from a text "FD:NAME:FD:NAME...". What is no open descriptor is passed over.
 * Thread: init. */
struct brim_inherited *brim_inherited_named(const char *text);

/* How many there are. */
size_t brim_inherited_count(const struct brim_inherited *inherited);

/* What a listener may be found by: a name, or where that is empty an address. */
struct brim_inherited_wanted {
    const char *name;
    const struct sockaddr *address;
    socklen_t address_len;
};

/* Claims sockets, in the order they were handed over, up to max. Owns: they are the caller's, to
 * be closed. Returns how many. */
size_t brim_inherited_claim(struct brim_inherited *inherited,
                            const struct brim_inherited_wanted *wanted, int *fds_out, size_t max);

/* Takes all claims back. */
void brim_inherited_unclaim(struct brim_inherited *inherited);

/* The name of one that nobody has claimed and that can be listened on, or of one that is no
 * listening stream socket; NULL: there is none. */
const char *brim_inherited_left(const struct brim_inherited *inherited);

/* Closes what nobody has claimed. NULL is allowed. */
void brim_inherited_close(struct brim_inherited *inherited);

#endif
