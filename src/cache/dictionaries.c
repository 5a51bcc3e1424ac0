/* SPDX-License-Identifier: MIT */
/*
 * Two kinds of work:
 *
 *   KEEP  a response with Use-As-Dictionary was stored: its SHA-256, and a copy under it
 *   MAKE  a client has a dictionary that is kept: the difference from it, into the table of deltas
 *
 * Both are queued here and handed to the pool one by one, so that coding with dictionaries never
 * has more than one of the threads that other codings need too. A queue that is full loses what
 * comes: a KEEP that is lost costs its clients a delta, a MAKE is asked for again by the next
 * request.
 */
#include "brim/cache/dictionaries.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "brim/base/clock.h"
#include "brim/base/invariant.h"
#include "brim/base/log.h"
#include "brim/base/metric.h"
#include "brim/base/sha256.h"
#include "brim/http/coding.h"
#include "brim/http/uri.h"

#define DICTIONARIES_MAGIC 0x64696331u
#define QUEUE_MAX          64u
#define NICE               10
#define BODY_BYTES_MIN     256u             /* less is not worth a header of 40 bytes */
#define SLOW_BYTES         (1u << 20)       /* from here on with less effort */
#define KEY_MARK           "/ #dictionary:" /* the blank: a purge of the URL "/" is none of them */
#define URL_FIELD          "dictionary-url" /* of a kept dictionary: where it came from */
#define FIELDS_MAX         16

enum work_kind { WORK_KEEP, WORK_MAKE };

struct work {
    struct brim_job job; /* first: the pool hands this back */
    enum work_kind kind;
    struct brim_dictionaries *owner;
    struct brim_object *object; /* counted */
    struct brim_delta_key key;  /* MAKE: claimed */
    struct work *next;
};

struct brim_dictionaries {
    uint32_t magic;
    struct brim_dictionaries_config config;
    struct brim_deltas *deltas;
    pthread_mutex_t lock; /* all below; a leaf */
    struct work *first;
    struct work **last;
    unsigned waiting;
    bool running; /* the pool has one */
    bool stopped;
};

/* ---- keys ---- */

/* The key of the dictionary hash on the origin of url. *text_out: the caller's, freed with free();
 * NULL: out of memory. */
static struct brim_key key_of(struct brim_str url, const struct brim_dictionary_hash *hash,
                              char **text_out)
{
    static const char digits[] = "0123456789abcdef";
    size_t origin_len = brim_uri_origin(url).len;
    size_t mark_len = sizeof(KEY_MARK) - 1;
    char *text = malloc(origin_len + mark_len + 2 * sizeof(hash->bytes));
    char *at = text;

    *text_out = text;
    if (text == NULL)
        return (struct brim_key){.text = {NULL, 0}};
    memcpy(at, url.base, origin_len);
    at += origin_len;
    memcpy(at, KEY_MARK, mark_len);
    at += mark_len;
    for (size_t i = 0; i < sizeof(hash->bytes); i++) {
        *at++ = digits[hash->bytes[i] >> 4];
        *at++ = digits[hash->bytes[i] & 15];
    }
    return brim_key_of(brim_str(text, (size_t)(at - text)));
}

/* ---- the queue ---- */

static void run(struct brim_job *job);

static void work_free(struct work *work)
{
    if (work->kind == WORK_MAKE)
        brim_deltas_drop(work->owner->deltas, &work->key);
    brim_object_unref(work->object);
    free(work);
}

static void free_list(struct work *work)
{
    while (work != NULL) {
        struct work *next = work->next;

        BRIM_COUNT(DELTA_REFUSED);
        work_free(work);
        work = next;
    }
}

/* Takes everything that waits. Under the lock. */
static struct work *take_all(struct brim_dictionaries *d)
{
    struct work *list = d->first;

    d->first = NULL;
    d->last = &d->first;
    d->waiting = 0;
    return list;
}

/* Hands the next piece to the pool, if none is there. */
static void kick(struct brim_dictionaries *d)
{
    struct work *work = NULL, *lost = NULL;

    pthread_mutex_lock(&d->lock);
    if (!d->running && d->first != NULL) {
        work = d->first;
        d->first = work->next;
        if (d->first == NULL)
            d->last = &d->first;
        d->waiting--;
        d->running = true;
    }
    pthread_mutex_unlock(&d->lock);
    if (work == NULL)
        return;
    work->next = NULL;
    if (brim_pool_submit(d->config.pool, BRIM_JOB_ENCODE, &work->job) == BRIM_OK)
        return;
    pthread_mutex_lock(&d->lock); /* the pool is full: whoever waits is not better off */
    d->running = false;
    lost = take_all(d);
    pthread_mutex_unlock(&d->lock);
    work->next = lost;
    free_list(work);
}

static void enqueue(struct brim_dictionaries *d, struct work *work)
{
    bool taken;

    work->job.run = run;
    work->owner = d;
    pthread_mutex_lock(&d->lock);
    taken = !d->stopped && d->waiting < QUEUE_MAX;
    if (taken) {
        *d->last = work;
        d->last = &work->next;
        d->waiting++;
    }
    pthread_mutex_unlock(&d->lock);
    if (taken)
        kick(d);
    else
        free_list(work);
}

/* ---- KEEP ---- */

static bool has_coding(const struct brim_object *object)
{
    return brim_fields_find(object->fields, BRIM_STR("content-encoding")) != NULL;
}

static bool has_size(const struct brim_dictionaries *d, const struct brim_object *object)
{
    uint64_t bytes = brim_body_bytes(object->body);

    return brim_body_is_settled(object->body) && bytes >= BODY_BYTES_MIN &&
           bytes <= d->config.object_bytes_max;
}

/* Whether clients may use object as a dictionary. What stands beside a URL (slices, the copies made
 * here) has a '#' in its key. */
static bool is_dictionary(const struct brim_dictionaries *d, const struct brim_object *object)
{
    return object->status == 200 &&
           brim_fields_find(object->fields, BRIM_STR("use-as-dictionary")) != NULL &&
           memchr(object->primary.text.base, '#', object->primary.text.len) == NULL &&
           brim_dictionary_is_secure(object->primary.text) && !has_coding(object) &&
           has_size(d, object);
}

static void on_publish(struct brim_object *object, void *ctx)
{
    struct brim_dictionaries *d = ctx;
    struct work *work;

    OBJ_CHECK(d, DICTIONARIES_MAGIC);
    if (!is_dictionary(d, object))
        return;
    work = brim_alloc(sizeof(*work));
    work->kind = WORK_KEEP;
    work->object = brim_object_ref(object);
    enqueue(d, work);
}

/* What a kept dictionary's object says: the terms, and where it came from. */
static struct brim_fields kept_fields(const struct brim_object *object, struct brim_field *items)
{
    size_t count = 0;

    for (size_t i = 0; i < object->fields.count && count < FIELDS_MAX - 1; i++)
        if (brim_str_is(object->fields.items[i].name, BRIM_STR("use-as-dictionary")))
            items[count++] = object->fields.items[i];
    items[count++] = (struct brim_field){BRIM_STR(URL_FIELD), object->primary.text};
    return (struct brim_fields){items, count};
}

static void store(struct brim_dictionaries *d, const struct brim_object *object,
                  const struct brim_key *key, struct brim_str bytes)
{
    struct brim_field items[FIELDS_MAX];
    struct brim_object_spec spec = {
        .kind = BRIM_OBJECT_RESPONSE,
        .status = object->status,
        .key = *key,
        .primary = *key,
        .seq = object->seq, /* a purge that takes the original takes the copy */
        .fresh = object->fresh,
        .fields = kept_fields(object, items),
        .tags = object->tags,
        .tag_count = object->tag_count,
    };
    struct brim_fill *fill;
    enum brim_err err;

    if (brim_cache_begin_fill(d->config.cache, &spec, (struct brim_fields){NULL, 0}, bytes.len,
                              NULL, &fill) != BRIM_OK)
        return;
    err = brim_fill_append(fill, bytes.base, bytes.len);
    if (err != BRIM_OK && err != BRIM_EAGAIN) {
        brim_fill_abort(fill, err);
        return;
    }
    brim_fill_finish(fill);
    BRIM_COUNT(DICTIONARIES_KEPT);
    BRIM_LOG(DEBUG, "dictionary.kept", "url=%.*s bytes=%zu", (int)object->primary.text.len,
             object->primary.text.base, bytes.len);
}

/* A copy that a purge has taken may still stand there, and is as good as none. */
static bool is_kept(struct brim_dictionaries *d, const struct brim_key *key)
{
    struct brim_object *copy = NULL;
    bool is_there = brim_cache_load(d->config.cache, key, &copy) == BRIM_OK;

    brim_object_unref(copy);
    return is_there;
}

static void keep(struct brim_dictionaries *d, struct brim_object *object)
{
    struct brim_dictionary_terms terms;
    struct brim_dictionary_hash hash;
    char *bytes = NULL, *text = NULL;
    struct brim_key key;
    size_t len;

    if (brim_dictionary_terms(object->fields, object->primary.text, &terms) != BRIM_OK ||
        brim_cache_read(d->config.cache, object->body, &bytes, &len) != BRIM_OK)
        return;
    brim_sha256(bytes, len, hash.bytes);
    key = key_of(object->primary.text, &hash, &text);
    if (text != NULL && !is_kept(d, &key))
        store(d, object, &key, brim_str(bytes, len));
    free(text);
    free(bytes);
}

/* ---- MAKE ---- */

static int level_of(enum brim_delta_coding coding, size_t bytes)
{
    if (coding == BRIM_DELTA_DCB)
        return bytes < SLOW_BYTES ? 11 : 9;
    return bytes < SLOW_BYTES ? 19 : 12;
}

/* The coded body; NULL: not worth it, or not to be had. */
static struct brim_body *encode(struct brim_dictionaries *d, const struct work *work,
                                struct brim_object *dictionary)
{
    struct brim_delta_source source = {.coding = work->key.coding, .hash = &work->key.hash};
    struct brim_body *body = NULL;
    unsigned char *delta = NULL;
    char *old = NULL, *new = NULL;
    size_t len;

    if (brim_cache_read(d->config.cache, dictionary->body, &old, &source.dictionary.len) !=
            BRIM_OK ||
        brim_cache_read(d->config.cache, work->object->body, &new, &source.body.len) != BRIM_OK)
        goto out;
    source.dictionary.base = old;
    source.body.base = new;
    source.level = level_of(source.coding, source.body.len);
    if (brim_delta_make(&source, &delta, &len) == BRIM_OK && len < source.body.len / 20 * 19)
        body = brim_body_from(delta, len);
out:
    free(delta);
    free(new);
    free(old);
    return body;
}

/* Whether any client could name dictionary for this URL. Who it is for is asked per request. */
static bool can_be_for(struct brim_dictionary_terms *terms, const struct brim_object *dictionary,
                       struct brim_str dictionary_url, struct brim_str url)
{
    struct brim_dictionary_use use = {
        .terms = terms, .dictionary_url = dictionary_url, .request_url = url};

    return brim_dictionary_terms(dictionary->fields, dictionary_url, terms) == BRIM_OK &&
           brim_dictionary_is_for(&use);
}

/* is_made_out: whether it is one, and not that there can be none. */
static struct brim_delta *make_from(struct brim_dictionaries *d, const struct work *work,
                                    struct brim_object *dictionary, bool *is_made_out)
{
    const struct brim_field *url = brim_fields_only(dictionary->fields, BRIM_STR(URL_FIELD));
    struct brim_dictionary_terms terms;
    uint64_t begun_us = brim_clock_mono_us();
    struct brim_body *body = NULL;
    struct brim_delta *delta;

    *is_made_out = false;
    if (url == NULL)
        return NULL;
    memset(&terms, 0, sizeof(terms));
    if (can_be_for(&terms, dictionary, url->value, work->object->primary.text))
        body = encode(d, work, dictionary);
    delta = brim_delta_new(body, &terms, url->value);
    if (body == NULL)
        return delta;
    *is_made_out = true;
    BRIM_ADD(DELTA_US, brim_clock_mono_us() - begun_us);
    BRIM_LOG(DEBUG, "dictionary.delta", "url=%.*s bytes=%llu of=%llu",
             (int)work->object->primary.text.len, work->object->primary.text.base,
             (unsigned long long)brim_body_bytes(body),
             (unsigned long long)brim_body_bytes(work->object->body));
    brim_body_unref(body);
    return delta;
}

/* Ends the claim. */
static void make(struct brim_dictionaries *d, const struct work *work)
{
    struct brim_object *dictionary = NULL;
    struct brim_delta *delta = NULL;
    char *text = NULL;
    struct brim_key key = key_of(work->object->primary.text, &work->key.hash, &text);
    bool is_made = false;

    if (text != NULL && brim_cache_load(d->config.cache, &key, &dictionary) == BRIM_OK)
        delta = make_from(d, work, dictionary, &is_made);
    if (delta != NULL)
        brim_deltas_put(d->deltas, &work->key, delta);
    else
        brim_deltas_drop(d->deltas, &work->key);
    if (is_made)
        BRIM_COUNT(DELTA_MADE); /* last: who sees the count finds it */
    brim_object_unref(dictionary);
    free(text);
}

static void run(struct brim_job *job)
{
    static _Thread_local bool is_nice;
    struct work *work = (struct work *)job;
    struct brim_dictionaries *d = work->owner;

    if (!is_nice) /* on Linux the priority is the thread's own */
        (void)setpriority(PRIO_PROCESS, 0, NICE);
    is_nice = true;
    OBJ_CHECK(d, DICTIONARIES_MAGIC);
    if (work->kind == WORK_KEEP)
        keep(d, work->object);
    else
        make(d, work);
    brim_object_unref(work->object);
    free(work);
    pthread_mutex_lock(&d->lock);
    d->running = false;
    pthread_mutex_unlock(&d->lock);
    kick(d);
}

/* ---- for those who answer ---- */

bool brim_dictionaries_is_codable(const struct brim_dictionaries *d,
                                  const struct brim_object *object)
{
    OBJ_CHECK(d, DICTIONARIES_MAGIC);
    return object->status == 200 && has_size(d, object) && !has_coding(object) &&
           !brim_coding_is_fixed(object->fields);
}

struct brim_delta *brim_dictionaries_get(struct brim_dictionaries *d, struct brim_object *object,
                                         enum brim_delta_coding coding,
                                         const struct brim_dictionary_hash *hash)
{
    struct brim_delta_key key = {.body_id = object->body_id, .coding = coding, .hash = *hash};
    struct brim_delta *delta = NULL;
    char *text = NULL;
    struct brim_key kept;
    struct work *work;

    OBJ_CHECK(d, DICTIONARIES_MAGIC);
    if (brim_deltas_find(d->deltas, &key, &delta) != BRIM_DELTA_ABSENT)
        return delta;
    /* Looked for before it is claimed: a hash that means nothing must not push out what does. */
    kept = key_of(object->primary.text, hash, &text);
    if (text == NULL || !brim_cache_has(d->config.cache, &kept))
        goto out;
    if (brim_deltas_claim(d->deltas, &key, &delta) != BRIM_DELTA_CLAIMED)
        goto out;
    work = brim_alloc(sizeof(*work));
    work->kind = WORK_MAKE;
    work->key = key;
    work->object = brim_object_ref(object);
    enqueue(d, work);
out:
    free(text);
    return delta;
}

/* ---- life ---- */

struct brim_dictionaries *brim_dictionaries_open(const struct brim_dictionaries_config *config)
{
    struct brim_dictionaries *d = brim_alloc(sizeof(*d));

    d->magic = DICTIONARIES_MAGIC;
    d->config = *config;
    d->deltas = brim_deltas_new(config->deltas_bytes_max);
    d->last = &d->first;
    pthread_mutex_init(&d->lock, NULL);
    brim_cache_on_publish(config->cache, on_publish, d);
    return d;
}

void brim_dictionaries_stop(struct brim_dictionaries *d)
{
    struct work *lost;

    OBJ_CHECK(d, DICTIONARIES_MAGIC);
    pthread_mutex_lock(&d->lock);
    d->stopped = true;
    lost = take_all(d);
    pthread_mutex_unlock(&d->lock);
    free_list(lost);
}

void brim_dictionaries_close(struct brim_dictionaries *d)
{
    if (d == NULL)
        return;
    OBJ_CHECK(d, DICTIONARIES_MAGIC);
    INVARIANT(!d->running && d->first == NULL);
    brim_deltas_free(d->deltas);
    pthread_mutex_destroy(&d->lock);
    d->magic = 0;
    free(d);
}
