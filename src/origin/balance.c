/* SPDX-License-Identifier: MIT */
/*
 * Who may be picked, the first of these that is not empty:
 *
 *   servers that are in and no backups · backups that are in · all that are not down by their
 *   checks · all, where that is wanted (asks_down)
 *
 * less those that this exchange has asked; the last two only where no other pool stands in.
 * Among them, by method:
 *
 *   round robin        in turn; with weights, by points that spread evenly (multiples of the golden
 *                      ratio), so that shares hold over any stretch and no order is kept
 *   least connections  the fewest exchanges under way for its weight
 *   ewma               of two drawn, the one whose latency times exchanges under way is smaller;
 *                      it rises at once and falls slowly (peak EWMA), so that a server that hangs
 *                      is seen before its answers are. What is known of who is not asked fades, so
 *                      that who was slow is tried again some day
 *   hash               the highest of -weight / ln(hash of key and server) (rendezvous): a server
 *                      that comes or goes moves its own keys and no others; one that has a quarter
 *                      more under way than its share is passed over for the next
 *
 * Out goes who fails eject_failures times in a row, or in eject_percent of at least 20 exchanges of
 * the last seconds; for eject_ms, twice as long each time, and never more servers at once than
 * eject_max allows. Down goes who fails `fall` checks in a row, whatever the others do. Who is back
 * gets a share that grows over slow_start_ms.
 *
 * Exchanges are tried again on another server only as long as that is retry_percent of them, and a
 * few: when all servers fail, retries would double the load that they fail under.
 *
 * One lock a pool: it is taken twice an exchange, for some hundred nanoseconds.
 */
#include "brim/origin/balance.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "brim/base/hash.h"
#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/base/metric.h"

#define BALANCE_MAGIC 0x62616c31u
#define WINDOW_MS     10000u /* counts are halved after each */
#define WINDOW_COUNT  20     /* exchanges that a share of failures is judged by */
#define EJECTIONS_MAX 5u     /* that make an ejection longer */
#define RETRIES_FREE  10     /* in a window */
#define DECAY_MS      10000.0
#define FADE_MS       30000.0
#define UNKNOWN_MS    1000.0 /* latency of who has not answered yet and is being asked */
#define SLOW_SHARE    0.1
#define LOAD_FACTOR   1.25
#define GOLDEN_STEP   0x9e3779b97f4a7c15u
#define UNIT(x)       (((double)((x) >> 11) + 0.5) * 0x1p-53) /* of 64 random bits, in (0, 1) */

struct counts { /* of about the last WINDOW_MS */
    double all;
    double some;
    uint64_t since_ms;
};

struct server {
    struct brim_balance_server conf;
    uint64_t hash;
    unsigned busy;
    double latency_ms; /* 0: not known */
    uint64_t latency_at_ms;
    uint64_t asked_at_ms;
    unsigned streak; /* of failures */
    struct counts failures;
    unsigned ejections;
    uint64_t out_until_ms; /* 0: in */
    uint64_t back_since_ms;
    bool is_down;    /* by its checks */
    unsigned checks; /* in a row that contradict is_down */
};

struct brim_balance {
    uint32_t magic;
    struct brim_balance_config config;
    pthread_mutex_t lock; /* of what follows */
    uint64_t turn;
    unsigned out;
    unsigned shown; /* by so many is what is out told to the metric */
    unsigned busy;
    struct counts retries;
    struct server servers[];
};

struct brim_balance *brim_balance_open(const struct brim_balance_config *config)
{
    struct brim_balance *b = brim_alloc(sizeof(*b) + config->server_count * sizeof(struct server));

    INVARIANT(config->server_count > 0 && config->server_count <= BRIM_BALANCE_SERVERS_MAX);
    b->magic = BALANCE_MAGIC;
    b->config = *config;
    b->config.servers = NULL; /* copied */
    pthread_mutex_init(&b->lock, NULL);
    for (unsigned i = 0; i < config->server_count; i++) {
        b->servers[i].conf = config->servers[i];
        b->servers[i].hash = brim_hash64(config->servers[i].url, strlen(config->servers[i].url));
    }
    return b;
}

void brim_balance_close(struct brim_balance *b)
{
    if (b == NULL)
        return;
    OBJ_CHECK(b, BALANCE_MAGIC);
    INVARIANT(b->shown == 0);
    pthread_mutex_destroy(&b->lock);
    b->magic = 0;
    free(b);
}

static void take_over(struct brim_balance *b, struct server *s, const struct server *old)
{
    struct server kept = *old;

    kept.conf = s->conf;
    kept.busy = 0;
    if (b->config.fall == 0) { /* not checked any more */
        kept.is_down = false;
        kept.checks = 0;
    }
    *s = kept;
    b->out += s->out_until_ms != 0;
}

void brim_balance_inherit(struct brim_balance *b, struct brim_balance *old)
{
    OBJ_CHECK(b, BALANCE_MAGIC);
    OBJ_CHECK(old, BALANCE_MAGIC);
    INVARIANT(b->busy == 0 && b->out == 0);
    pthread_mutex_lock(&old->lock);
    for (unsigned i = 0; i < b->config.server_count; i++)
        for (unsigned j = 0; j < old->config.server_count; j++)
            if (strcmp(b->servers[i].conf.url, old->servers[j].conf.url) == 0) {
                take_over(b, &b->servers[i], &old->servers[j]);
                break;
            }
    pthread_mutex_unlock(&old->lock);
}

unsigned brim_balance_count(const struct brim_balance *b)
{
    return b->config.server_count;
}

unsigned brim_balance_connections_max(const struct brim_balance *b, unsigned server)
{
    INVARIANT(server < b->config.server_count);
    return b->servers[server].conf.connections_max;
}

const char *brim_balance_url(const struct brim_balance *b, unsigned server)
{
    INVARIANT(server < b->config.server_count);
    return b->servers[server].conf.url;
}

/* ---- counting ---- */

static void age(struct counts *counts, uint64_t now_ms)
{
    if (counts->since_ms == 0 || now_ms - counts->since_ms > 10 * WINDOW_MS)
        *counts = (struct counts){.since_ms = now_ms};
    for (; now_ms - counts->since_ms >= WINDOW_MS; counts->since_ms += WINDOW_MS) {
        counts->all /= 2;
        counts->some /= 2;
    }
}

static void note_latency(struct server *s, uint64_t latency_ms, uint64_t now_ms)
{
    double seen = (double)latency_ms + 0.1; /* 0 would be "not known" */
    double kept = exp(-(double)(now_ms - s->latency_at_ms) / DECAY_MS);

    s->latency_ms = seen > s->latency_ms ? seen : s->latency_ms * kept + seen * (1 - kept);
    s->latency_at_ms = now_ms;
}

/* ---- in and out ---- */

static void count_out(struct brim_balance *b, int change)
{
    b->out += (unsigned)change;
    if (b->shown > 0)
        BRIM_ADD(SERVERS_OUT, change);
}

void brim_balance_show(struct brim_balance *b)
{
    OBJ_CHECK(b, BALANCE_MAGIC);
    pthread_mutex_lock(&b->lock);
    if (b->shown++ == 0)
        BRIM_ADD(SERVERS_OUT, b->out);
    pthread_mutex_unlock(&b->lock);
}

void brim_balance_hide(struct brim_balance *b)
{
    OBJ_CHECK(b, BALANCE_MAGIC);
    pthread_mutex_lock(&b->lock);
    INVARIANT(b->shown > 0);
    if (--b->shown == 0)
        BRIM_ADD(SERVERS_OUT, -(int64_t)b->out);
    pthread_mutex_unlock(&b->lock);
}

static void eject(struct brim_balance *b, struct server *s, uint64_t now_ms)
{
    uint64_t length_ms = b->config.eject_ms
                         << (s->ejections < EJECTIONS_MAX ? s->ejections : EJECTIONS_MAX);

    s->ejections++;
    s->out_until_ms = now_ms + length_ms;
    count_out(b, 1);
    BRIM_COUNT(SERVERS_EJECTED);
    BRIM_LOG(WARN, "origin.ejected", "origin=%s server=%s failures=%u for_ms=%llu", b->config.name,
             s->conf.url, s->streak, (unsigned long long)length_ms);
}

static void take_back(struct brim_balance *b, struct server *s, uint64_t now_ms)
{
    s->out_until_ms = 0;
    s->back_since_ms = now_ms;
    s->streak = 0;
    s->failures = (struct counts){0};
    count_out(b, -1);
    BRIM_LOG(INFO, "origin.returned", "origin=%s server=%s", b->config.name, s->conf.url);
}

static void take_back_if_due(struct brim_balance *b, struct server *s, uint64_t now_ms)
{
    if (s->out_until_ms != 0 && s->out_until_ms <= now_ms)
        take_back(b, s, now_ms);
}

static bool should_go(const struct brim_balance *b, const struct server *s)
{
    const struct brim_balance_config *c = &b->config;

    if (s->out_until_ms != 0 ||
        (!c->has_fallback && (b->out + 1) * 100 > c->eject_max * c->server_count))
        return false;
    if (c->eject_failures > 0 && s->streak >= c->eject_failures)
        return true;
    return c->eject_percent > 0 && s->failures.all >= WINDOW_COUNT &&
           s->failures.some * 100 >= s->failures.all * c->eject_percent;
}

static double share_of(const struct brim_balance *b, const struct server *s, uint64_t now_ms)
{
    double grown = 1;

    if (s->back_since_ms != 0 && now_ms - s->back_since_ms < b->config.slow_start_ms)
        grown = (double)(now_ms - s->back_since_ms) / (double)b->config.slow_start_ms;
    return s->conf.weight * (grown < SLOW_SHARE ? SLOW_SHARE : grown);
}

/* ---- picking ---- */

struct choice {
    struct brim_balance *b;
    uint64_t hash;
    uint64_t now_ms;
    unsigned items[BRIM_BALANCE_SERVERS_MAX];
    double shares[BRIM_BALANCE_SERVERS_MAX];
    unsigned count;
    bool is_full; /* none of them has room: whoever is picked has the exchange wait */
    double sum;   /* of shares */
};

static bool is_tried(const struct brim_balance_tried *tried, unsigned i)
{
    return (tried->bits[i / 64] >> i % 64 & 1) != 0;
}

enum kind { IN, IN_BACKUP, NOT_DOWN, ANY };

static enum kind last_kind(const struct brim_balance_config *config,
                           const struct brim_balance_tried *tried)
{
    if (config->has_fallback && !tried->insists)
        return IN_BACKUP;
    return config->asks_down ? ANY : NOT_DOWN;
}

static bool is_of_kind(const struct server *s, enum kind kind)
{
    if (kind == ANY)
        return true;
    if (s->is_down)
        return false;
    return kind == NOT_DOWN || (s->out_until_ms == 0 && s->conf.is_backup == (kind == IN_BACKUP));
}

static bool is_full(const struct server *s)
{
    return s->conf.connections_max > 0 && s->busy >= s->conf.connections_max;
}

/* All of a kind; where some have room, those. */
static void collect(struct choice *c, const struct brim_balance_tried *tried, enum kind kind)
{
    struct brim_balance *b = c->b;
    unsigned full = 0, items = 0;

    for (unsigned i = 0; i < b->config.server_count; i++) {
        struct server *s = &b->servers[i];

        take_back_if_due(b, s, c->now_ms);
        if (is_tried(tried, i) || !is_of_kind(s, kind))
            continue;
        c->items[c->count++] = i;
        full += is_full(s);
    }
    c->is_full = full == c->count;
    for (unsigned i = 0; i < c->count; i++)
        if (c->is_full || !is_full(&b->servers[c->items[i]])) {
            c->items[items] = c->items[i];
            c->shares[items] = share_of(b, &b->servers[c->items[i]], c->now_ms);
            c->sum += c->shares[items++];
        }
    c->count = items;
}

static bool are_even(const struct choice *c)
{
    for (unsigned i = 1; i < c->count; i++)
        if (c->shares[i] != c->shares[0]) /* products of the same numbers */
            return false;
    return true;
}

static unsigned round_robin(const struct choice *c)
{
    double point = UNIT(c->b->turn * GOLDEN_STEP) * c->sum;
    unsigned i = 0;

    if (are_even(c))
        return (unsigned)(c->b->turn % c->count);
    while (i + 1 < c->count && (point -= c->shares[i]) >= 0)
        i++;
    return i;
}

static double load_of(const struct choice *c, unsigned i)
{
    return c->b->servers[c->items[i]].busy / c->shares[i];
}

static unsigned least_connections(const struct choice *c)
{
    unsigned first = (unsigned)(c->b->turn % c->count), best = first;

    for (unsigned n = 1; n < c->count; n++) {
        unsigned i = (first + n) % c->count;

        if (load_of(c, i) < load_of(c, best))
            best = i;
    }
    return best;
}

/* The latency as far as it still says anything: it is known anew by being asked alone. Once asked,
 * all of it counts again until there is an answer, so that one exchange tries, not a crowd. */
static double faded_ms(const struct server *s, uint64_t now_ms)
{
    uint64_t last_ms = s->asked_at_ms > s->latency_at_ms ? s->asked_at_ms : s->latency_at_ms;

    return now_ms > last_ms ? s->latency_ms * exp(-(double)(now_ms - last_ms) / FADE_MS)
                            : s->latency_ms;
}

static double cost_of(const struct choice *c, unsigned i)
{
    const struct server *s = &c->b->servers[c->items[i]];

    if (s->latency_ms == 0)
        return s->busy * UNKNOWN_MS / c->shares[i];
    return faded_ms(s, c->now_ms) * (s->busy + 1) / c->shares[i];
}

static unsigned ewma(const struct choice *c)
{
    uint64_t drawn = brim_hash64(&c->b->turn, sizeof(c->b->turn));
    unsigned one = (unsigned)(drawn % c->count), other;

    if (c->count == 1)
        return 0;
    other = (one + 1 + (unsigned)((drawn >> 32) % (c->count - 1))) % c->count;
    return cost_of(c, other) < cost_of(c, one) ? other : one;
}

static bool is_overloaded(const struct choice *c, unsigned i)
{
    const struct server *s = &c->b->servers[c->items[i]];

    return s->busy >= ceil(LOAD_FACTOR * (c->b->busy + 1) * c->shares[i] / c->sum);
}

static unsigned by_hash(const struct choice *c)
{
    unsigned best = 0, best_free = c->count;
    double score, most = -1, most_free = -1;

    for (unsigned i = 0; i < c->count; i++) {
        const struct server *s = &c->b->servers[c->items[i]];
        uint64_t both[2] = {c->hash, s->hash};

        score = -(double)s->conf.weight / log(UNIT(brim_hash64(both, sizeof(both))));
        if (score > most) {
            most = score;
            best = i;
        }
        if (score > most_free && !is_overloaded(c, i)) {
            most_free = score;
            best_free = i;
        }
    }
    return best_free < c->count ? best_free : best;
}

/* The shortest queue for its server. */
static unsigned least_full(const struct choice *c)
{
    unsigned best = 0;

    for (unsigned i = 1; i < c->count; i++) {
        const struct server *s = &c->b->servers[c->items[i]], *t = &c->b->servers[c->items[best]];

        if ((uint64_t)s->busy * t->conf.connections_max <
            (uint64_t)t->busy * s->conf.connections_max)
            best = i;
    }
    return best;
}

static unsigned choose(const struct choice *c)
{
    if (c->is_full)
        return least_full(c);
    switch (c->b->config.method) {
    case BRIM_BALANCE_LEAST_CONNECTIONS:
        return least_connections(c);
    case BRIM_BALANCE_EWMA:
        return ewma(c);
    case BRIM_BALANCE_HASH:
        return by_hash(c);
    case BRIM_BALANCE_ROUND_ROBIN:
        break;
    }
    return round_robin(c);
}

/* Whether one more exchange may be tried again. */
static bool take_retry(struct brim_balance *b, bool is_retry, uint64_t now_ms)
{
    age(&b->retries, now_ms);
    if (!is_retry) {
        b->retries.all++;
        return true;
    }
    if (b->retries.some >= RETRIES_FREE + b->retries.all * b->config.retry_percent / 100)
        return false;
    b->retries.some++;
    return true;
}

/* A pool that comes back as a whole gets its share of what another has stood in for little by
 * little, too: as much as the furthest of its servers. */
static bool steps_back(const struct choice *c, const struct brim_balance_tried *tried)
{
    double most = 0;

    if (!c->b->config.has_fallback || tried->insists || tried->count > 0)
        return false;
    for (unsigned i = 0; i < c->count; i++)
        most = fmax(most, c->shares[i] / c->b->servers[c->items[i]].conf.weight);
    return most < 1 && UNIT(c->b->turn++ * GOLDEN_STEP) >= most;
}

static void take(struct brim_balance *b, unsigned picked, uint64_t now_ms,
                 struct brim_balance_tried *tried)
{
    b->busy++;
    b->servers[picked].busy++;
    b->servers[picked].asked_at_ms = now_ms;
    tried->bits[picked / 64] |= UINT64_C(1) << picked % 64;
    tried->count++;
}

static enum brim_err pick_locked(struct choice *c, struct brim_balance_tried *tried,
                                 unsigned *server_out)
{
    struct brim_balance *b = c->b;
    unsigned picked;

    for (int kind = IN; kind <= (int)last_kind(&b->config, tried) && c->count == 0; kind++)
        collect(c, tried, (enum kind)kind);
    if (c->count == 0 || steps_back(c, tried))
        return BRIM_ENOENT;
    if (!take_retry(b, tried->count > 0 || tried->is_retry, c->now_ms))
        return BRIM_ELIMIT;
    picked = c->items[choose(c)];
    b->turn++;
    take(b, picked, c->now_ms, tried);
    *server_out = picked;
    return BRIM_OK;
}

enum brim_err brim_balance_pick(struct brim_balance *b, uint64_t hash, uint64_t now_mono_ms,
                                struct brim_balance_tried *tried, unsigned *server_out)
{
    struct choice c = {.b = b, .hash = hash, .now_ms = now_mono_ms};
    enum brim_err err;

    OBJ_CHECK(b, BALANCE_MAGIC);
    *server_out = 0;
    pthread_mutex_lock(&b->lock);
    err = pick_locked(&c, tried, server_out);
    pthread_mutex_unlock(&b->lock);
    if (err == BRIM_ELIMIT)
        BRIM_COUNT(RETRIES_REFUSED);
    return err;
}

enum brim_err brim_balance_pick_this(struct brim_balance *b, unsigned server, uint64_t now_mono_ms,
                                     struct brim_balance_tried *tried)
{
    struct server *s = &b->servers[server];
    enum brim_err err = BRIM_ENOENT;

    OBJ_CHECK(b, BALANCE_MAGIC);
    INVARIANT(server < b->config.server_count && tried->count == 0);
    pthread_mutex_lock(&b->lock);
    take_back_if_due(b, s, now_mono_ms);
    if (!s->is_down && s->out_until_ms == 0 && !is_full(s) && take_retry(b, false, now_mono_ms)) {
        take(b, server, now_mono_ms, tried);
        err = BRIM_OK;
    }
    pthread_mutex_unlock(&b->lock);
    return err;
}

void brim_balance_end(struct brim_balance *b, unsigned server, enum brim_balance_verdict verdict,
                      uint64_t latency_ms, uint64_t now_mono_ms)
{
    struct server *s = &b->servers[server];

    OBJ_CHECK(b, BALANCE_MAGIC);
    INVARIANT(server < b->config.server_count);
    pthread_mutex_lock(&b->lock);
    INVARIANT(s->busy > 0 && b->busy > 0);
    s->busy--;
    b->busy--;
    age(&s->failures, now_mono_ms);
    if (verdict == BRIM_BALANCE_GOOD || verdict == BRIM_BALANCE_BAD)
        s->failures.all++;
    if (verdict == BRIM_BALANCE_SLOW && (double)latency_ms > s->latency_ms)
        note_latency(s, latency_ms, now_mono_ms);
    if (verdict == BRIM_BALANCE_GOOD) {
        s->streak = 0;
        note_latency(s, latency_ms, now_mono_ms);
        if (s->out_until_ms == 0 && now_mono_ms - s->back_since_ms > 10 * b->config.eject_ms)
            s->ejections = 0;
    } else if (verdict == BRIM_BALANCE_BAD) {
        s->streak++;
        s->failures.some++;
        if (should_go(b, s))
            eject(b, s, now_mono_ms);
    }
    pthread_mutex_unlock(&b->lock);
}

/* Its ejection, if any, ends with it: the checks have told the same. */
static void come_up(struct brim_balance *b, struct server *s, uint64_t now_ms)
{
    s->is_down = false;
    s->back_since_ms = now_ms;
    s->streak = 0;
    s->failures = (struct counts){0};
    if (s->out_until_ms != 0)
        take_back(b, s, now_ms);
}

enum brim_balance_change brim_balance_checked(struct brim_balance *b, unsigned server,
                                              enum brim_balance_verdict verdict,
                                              uint64_t now_mono_ms)
{
    struct server *s = &b->servers[server];
    enum brim_balance_change change = BRIM_BALANCE_SAME;

    OBJ_CHECK(b, BALANCE_MAGIC);
    INVARIANT(server < b->config.server_count);
    pthread_mutex_lock(&b->lock);
    if ((verdict == BRIM_BALANCE_GOOD) == s->is_down)
        s->checks++;
    else
        s->checks = 0;
    if (s->is_down && s->checks >= b->config.rise) {
        change = BRIM_BALANCE_CAME_UP;
        come_up(b, s, now_mono_ms);
    } else if (!s->is_down && s->checks >= b->config.fall) {
        change = BRIM_BALANCE_WENT_DOWN;
        s->is_down = true;
    }
    if (change != BRIM_BALANCE_SAME)
        s->checks = 0;
    pthread_mutex_unlock(&b->lock);
    return change;
}

unsigned brim_balance_down(struct brim_balance *b)
{
    unsigned down = 0;

    OBJ_CHECK(b, BALANCE_MAGIC);
    pthread_mutex_lock(&b->lock);
    for (unsigned i = 0; i < b->config.server_count; i++)
        down += b->servers[i].is_down;
    pthread_mutex_unlock(&b->lock);
    return down;
}
