/* SPDX-License-Identifier: MIT */
/*
 * damage - whether an LMDB environment is one to be opened again.
 *
 * LMDB has no checksums: a page that a disk has changed can end the process that follows it, and
 * the next one, for ever. So whoever calls LMDB says so, and a process that dies of SIGSEGV,
 * SIGBUS, SIGFPE or SIGABRT meanwhile has counted that in a file beside the environment. So has one
 * to which LMDB said that a page is broken. A process that is killed, or dies of anything else, has
 * counted nothing.
 *
 * A broken page can also have LMDB write beside its memory (its write transactions copy pages to
 * the heap), and then the process dies a little later, of somebody else's malloc(). That it is
 * LMDB's doing cannot be told; what can be told apart is who else there was:
 *   - A thread that does nothing but write one environment is in it from birth to end: it is this
 *     thread's part of the heap that its transactions share (home).
 *   - Until brim_damage_trust() nothing from outside has reached the process, so every
 *     environment that is open is suspected of its death, be it an invariant of ours, which what a
 *     store said may have broken. Other causes are there as well (no memory, a faulty build), so
 *     the suspicion is over when a start comes through; two in a row count in full.
 *   - Later, and on other threads, a death outside counts for nobody: who can end the process from
 *     afar must not be able to end the stores with it.
 *
 * The file is `damage` in the environment's directory: a byte for each process that met some, `x`,
 * or that is suspected to have, `?`; one alone is forgotten when the next comes more than a month
 * later. It refuses to know LMDB and what to do about it.
 */
#ifndef BRIM_CACHE_DAMAGE_H
#define BRIM_CACHE_DAMAGE_H

#include <stdbool.h>

#include "brim/base/err.h"

struct brim_damage; /* opaque */

/* Processes that may meet damage before the environment is given up: once may be the memory's.
 * LMDB's own word counts as much. */
#define BRIM_DAMAGE_MAX 2u

/* Looks how often directory's environment did harm; counts from here on. Takes over the signals.
 * NULL: no count can be kept (logged); every function takes that. Thread: init. */
struct brim_damage *brim_damage_open(const char *directory);
void brim_damage_close(struct brim_damage *damage);

/* How many processes met damage before this one. */
unsigned brim_damage_count(const struct brim_damage *damage);

/* The environments that are open serve: no death from here on is suspicious any more, and none that
 * was. Again where another process that was to have them has died. Thread: main. */
void brim_damage_trust(void);

/* The calling thread does nothing but write damage's environment, from here on. */
void brim_damage_settle(struct brim_damage *damage);

/* The calling thread is in damage's environment from here to brim_damage_leave(). Not nested.
 * Thread: any. */
void brim_damage_enter(struct brim_damage *damage);
void brim_damage_leave(void);

/* The environment that the calling thread is in is broken: counts as so many processes, and once a
 * process. Thread: any; safe in a signal handler. */
void brim_damage_note(unsigned weight);

/* Renames directory to directory.damaged, in place of what was set aside before. Logged.
 * Errors: BRIM_EIO. Thread: init. */
BRIM_MUST_USE enum brim_err brim_damage_set_aside(const char *directory);

#endif
