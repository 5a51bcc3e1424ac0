/* SPDX-License-Identifier: MIT */
/*
 * The table is walked bit by bit, a turn after the other: the faster the more of what a turn sees
 * has expired, so that expired rows never are more than a small part of a store, however many are
 * written. A turn looks in one read transaction and deletes after it, in a write transaction.
 * A commit that the table has no room for has a round made first.
 */
#include "brim/cache/kv_sweep.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "brim/base/clock.h"

#define TURN_ROWS   4096u /* looked at */
#define TURN_MUCH   256u  /* of these; then the next turn is soon */
#define FEW         16u
#define SOME_TURNS  4u /* in a row, while writes may wait */
#define ROUND_TURNS 64u

struct turn {
    struct brim_kv_sweep *sweep;
    int64_t now_wall_ms;
    size_t count;
    size_t seen;
    bool is_cut; /* there may be more behind the last one */
    struct brim_kv_row rows[TURN_ROWS];
    char keys[TURN_ROWS][BRIM_KV_SWEEP_KEY_MAX];
};

static bool look_at(const struct brim_kv_row *row, void *ctx)
{
    struct turn *t = ctx;

    if (row->key.len <= BRIM_KV_SWEEP_KEY_MAX) {
        memcpy(t->sweep->from, row->key.base, row->key.len);
        t->sweep->from_len = row->key.len;
        if (!brim_kv_row_is_alive(row, t->now_wall_ms)) {
            memcpy(t->keys[t->count], row->key.base, row->key.len);
            t->rows[t->count] =
                (struct brim_kv_row){.key = brim_str(t->keys[t->count], row->key.len),
                                     .expires_wall_ms = row->expires_wall_ms,
                                     .is_gone = true};
            t->count++;
        }
    }
    t->is_cut = ++t->seen == TURN_ROWS;
    return !t->is_cut;
}

/* Deleting takes room too, for copies of pages: where there is little, a few rows at a time make
 * more. Returns how many. */
static size_t delete_seen(const struct turn *t)
{
    size_t at = 0, most = t->count;
    enum brim_err err = BRIM_OK;

    while (at < t->count && most > 0 && (err == BRIM_OK || err == BRIM_ENOSPC)) {
        size_t count = most < t->count - at ? most : t->count - at;

        err = brim_kv_table_commit(t->sweep->table, t->rows + at, count);
        if (err == BRIM_OK)
            at += count;
        most = err == BRIM_OK ? most * 2 : count > FEW ? FEW : count / 2;
    }
    return at;
}

/* Returns how many it has deleted. Between looking and deleting another process may write, as two
 * have the table during an upgrade: what has another end of life then stays. */
static size_t take_turn(struct brim_kv_sweep *sweep)
{
    struct turn *t = malloc(sizeof(*t));
    char from[BRIM_KV_SWEEP_KEY_MAX];
    enum brim_err err;
    size_t gone = 0;

    if (t == NULL)
        return 0; /* large, and not urgent */
    memset(t, 0, offsetof(struct turn, rows));
    t->sweep = sweep;
    t->now_wall_ms = brim_clock_wall_ms();
    memcpy(from, sweep->from, sweep->from_len);
    err = brim_kv_table_walk(sweep->table, brim_str(from, sweep->from_len), look_at, t);
    if (err == BRIM_OK)
        gone = delete_seen(t);
    if (err != BRIM_OK || gone < t->count || !t->is_cut) /* logged; the rows are seen again */
        sweep->from_len = 0;
    free(t);
    return gone;
}

bool brim_kv_sweep_some(struct brim_kv_sweep *sweep)
{
    for (unsigned turn = 0; turn < SOME_TURNS; turn++)
        if (take_turn(sweep) < TURN_MUCH)
            return false;
    return true;
}

void brim_kv_sweep_round(struct brim_kv_sweep *sweep)
{
    bool is_first_half = sweep->from_len > 0;

    for (unsigned turn = 0; turn < ROUND_TURNS; turn++) {
        (void)take_turn(sweep);
        if (sweep->from_len > 0)
            continue;
        if (!is_first_half)
            break;
        is_first_half = false; /* on from the beginning */
    }
}

static const struct brim_kv_row *shortest(const struct brim_kv_row *rows, size_t count)
{
    const struct brim_kv_row *best = rows;

    for (size_t i = 1; i < count; i++)
        if (rows[i].value.len < best->value.len)
            best = &rows[i];
    return best;
}

enum brim_err brim_kv_sweep_commit(struct brim_kv_sweep *sweep, const struct brim_kv_row *rows,
                                   size_t count)
{
    enum brim_err err = brim_kv_table_commit(sweep->table, rows, count);

    if (err != BRIM_ENOSPC)
        return err;
    /* What a commit frees is room for the next but one. So it is where there was nothing to delete,
     * as a turn may have done it right before. */
    brim_kv_sweep_round(sweep);
    err = brim_kv_table_commit(sweep->table, shortest(rows, count), 1);
    return err == BRIM_OK ? brim_kv_table_commit(sweep->table, rows, count) : err;
}
