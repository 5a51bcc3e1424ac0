/* SPDX-License-Identifier: MIT */
/*
 * For an unknown user the hash of some user of the file is computed, so that the time does not tell
 * who is there. Hashes may be of several kinds and costs: which user it is depends on the name that
 * was asked for, by a MAC, so each made-up name has its time for good, and of many as large a share
 * has each time as of those in the file. The key of that MAC is made of the file, which nobody
 * knows who does not know who is there anyway: nodes, restarts and reloads of one file agree, or a
 * name whose time changes from one to the next would be an unknown one.
 */
#include "brim/policy/basic_auth.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "brim/base/base64url.h"
#include "brim/base/invariant.h"
#include "brim/base/log.h"

#define AUTH_MAGIC     0x62617574u
#define KEPT_MAX       1024u /* credentials; a power of two */
#define KEPT_MS        600000u
#define TOKEN_MAX      1024u /* base64 of user and password */
#define USER_MAX       255u
#define CHALLENGE_ROOM 320u

struct user {
    char *name;
    char *hash;
};

struct kept {
    unsigned char credential[BRIM_SHA256_BYTES];
    uint64_t until_mono_ms; /* 0: nothing */
};

struct brim_basic_auth {
    uint32_t magic;
    struct user *users; /* sorted */
    size_t count;
    size_t room;
    bool strips;
    char challenge[CHALLENGE_ROOM];
    unsigned char key[BRIM_SHA256_BYTES];      /* of the credentials that are kept */
    unsigned char file_key[BRIM_SHA256_BYTES]; /* of who stands in for whom */
    pthread_mutex_t lock;
    struct kept kept[KEPT_MAX]; /* lock */
};

/* ---- the file ---- */

static const char *add_user(struct brim_basic_auth *auth, char *line)
{
    char *colon;

    line[strcspn(line, "\r\n")] = '\0';
    if (line[0] == '\0' || line[0] == '#')
        return NULL;
    colon = strchr(line, ':');
    if (colon == NULL || colon == line || (size_t)(colon - line) > USER_MAX)
        return "is not USER:HASH";
    *colon = '\0';
    if (!brim_password_hash_is_good(colon + 1))
        return "has a hash that is too weak or not known; accepted: bcrypt (htpasswd -B), "
               "SHA-512 ($6$), SHA-256 ($5$), yescrypt ($y$)";
    if (auth->count == auth->room) {
        auth->room = auth->room == 0 ? 16 : 2 * auth->room;
        auth->users = realloc(auth->users, auth->room * sizeof(*auth->users));
        INVARIANT(auth->users != NULL);
    }
    auth->users[auth->count++] = (struct user){brim_strdup(line), brim_strdup(colon + 1)};
    return NULL;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct user *)a)->name, ((const struct user *)b)->name);
}

static enum brim_err read_users(struct brim_basic_auth *auth, const char *path)
{
    FILE *file = fopen(path, "re");
    const char *why = file == NULL ? "cannot be read" : NULL;
    unsigned line_number = 0;
    char *line = NULL;
    size_t room = 0;

    while (why == NULL && getline(&line, &room, file) >= 0) {
        line_number++;
        why = add_user(auth, line);
    }
    if (why == NULL && auth->count == 0)
        why = "names nobody";
    free(line);
    if (file != NULL)
        (void)fclose(file);
    if (why != NULL) {
        BRIM_LOG(ERROR, "basic_auth.file", "file=%s line=%u reason=\"%s\"", path, line_number, why);
        return BRIM_EINVAL;
    }
    qsort(auth->users, auth->count, sizeof(*auth->users), by_name);
    return BRIM_OK;
}

/* Of each user's digest and what came before. */
static void make_file_key(struct brim_basic_auth *auth)
{
    struct brim_hmac_key before = {auth->file_key, sizeof(auth->file_key)};
    unsigned char made[BRIM_SHA256_BYTES];

    for (size_t i = 0; i < auth->count; i++) {
        brim_hmac_sha256(&before, auth->users[i].hash, strlen(auth->users[i].hash), made);
        memcpy(auth->file_key, made, sizeof(made));
    }
}

enum brim_err brim_basic_auth_compile(const struct brim_conf_basic_auth *conf,
                                      struct brim_basic_auth **auth_out)
{
    struct brim_basic_auth *auth;
    int len;

    *auth_out = NULL;
    if (conf->file[0] == '\0')
        return BRIM_OK;
    auth = brim_alloc(sizeof(*auth));
    auth->magic = AUTH_MAGIC;
    pthread_mutex_init(&auth->lock, NULL);
    auth->strips = conf->strip;
    len = snprintf(auth->challenge, sizeof(auth->challenge),
                   "www-authenticate: Basic realm=\"%s\", charset=\"UTF-8\"", conf->realm);
    INVARIANT(len > 0 && (size_t)len < sizeof(auth->challenge));
    if (read_users(auth, conf->file) != BRIM_OK ||
        getrandom(auth->key, sizeof(auth->key), 0) != sizeof(auth->key)) {
        brim_basic_auth_free(auth);
        return BRIM_EINVAL;
    }
    make_file_key(auth);
    *auth_out = auth;
    return BRIM_OK;
}

void brim_basic_auth_free(struct brim_basic_auth *auth)
{
    if (auth == NULL)
        return;
    OBJ_CHECK(auth, AUTH_MAGIC);
    for (size_t i = 0; i < auth->count; i++) {
        free(auth->users[i].name);
        free(auth->users[i].hash);
    }
    free(auth->users);
    explicit_bzero(auth->key, sizeof(auth->key));
    explicit_bzero(auth->file_key, sizeof(auth->file_key));
    pthread_mutex_destroy(&auth->lock);
    auth->magic = 0;
    free(auth);
}

/* ---- the credential ---- */

/* User and password in room, each with its end; false: there are none. */
static bool read_credential(struct brim_fields fields, char room[TOKEN_MAX + 1],
                            const char **password_out)
{
    const struct brim_field *field = brim_fields_only(fields, BRIM_STR("authorization"));
    static const struct brim_str scheme = BRIM_STR("basic ");
    struct brim_str token;
    char *colon;
    size_t len;

    if (field == NULL || field->value.len <= scheme.len || field->value.len > TOKEN_MAX ||
        !brim_str_is_nocase(brim_str(field->value.base, scheme.len), scheme))
        return false;
    token = brim_str_trim(brim_str(field->value.base + scheme.len, field->value.len - scheme.len));
    if (!brim_base64_read(token, room, &len))
        return false;
    room[len] = '\0';
    colon = strchr(room, ':');
    if (strlen(room) != len || colon == NULL)
        return false;
    *colon = '\0';
    *password_out = colon + 1;
    return strlen(room) <= USER_MAX && strlen(colon + 1) < BRIM_PASSWORD_BYTES_MAX;
}

/* ---- asking ---- */

/* The hash is part of it: one that is changed in the file makes another credential. */
static void make_credential(const struct brim_basic_auth *auth, const struct user *user,
                            const char *password, unsigned char out[BRIM_SHA256_BYTES])
{
    struct brim_hmac_key key = {auth->key, sizeof(auth->key)};
    unsigned char parts[3][BRIM_SHA256_BYTES];

    brim_sha256(user->name, strlen(user->name), parts[0]);
    brim_sha256(user->hash, strlen(user->hash), parts[1]);
    brim_hmac_sha256(&key, password, strlen(password), parts[2]);
    brim_hmac_sha256(&key, parts, sizeof(parts), out);
}

static struct kept *place_of(struct brim_basic_auth *auth,
                             const unsigned char credential[BRIM_SHA256_BYTES])
{
    return &auth->kept[((unsigned)credential[0] | (unsigned)credential[1] << 8) % KEPT_MAX];
}

static bool is_kept(struct brim_basic_auth *auth, const struct brim_basic_news *news,
                    uint64_t now_mono_ms)
{
    const struct kept *kept = place_of(auth, news->credential);
    bool is_there;

    pthread_mutex_lock(&auth->lock);
    is_there = kept->until_mono_ms > now_mono_ms &&
               brim_bytes_are_same(kept->credential, news->credential, sizeof(news->credential));
    pthread_mutex_unlock(&auth->lock);
    return is_there;
}

/* Whose hash is computed for a name that nobody has. */
static const struct user *stand_in(const struct brim_basic_auth *auth, const char *name)
{
    struct brim_hmac_key key = {auth->file_key, sizeof(auth->file_key)};
    unsigned char mac[BRIM_SHA256_BYTES];
    uint64_t number;

    brim_hmac_sha256(&key, name, strlen(name), mac);
    memcpy(&number, mac, sizeof(number));
    return &auth->users[number % auth->count];
}

void brim_basic_auth_ask(struct brim_basic_auth *auth, struct brim_fields fields,
                         uint64_t now_mono_ms, struct brim_basic_news *news_out)
{
    char room[TOKEN_MAX + 1];
    struct user wanted = {.name = room};
    const struct user *user;
    const char *password;

    OBJ_CHECK(auth, AUTH_MAGIC);
    *news_out = (struct brim_basic_news){.state = BRIM_BASIC_OUT};
    if (!read_credential(fields, room, &password))
        return;
    user = bsearch(&wanted, auth->users, auth->count, sizeof(*auth->users), by_name);
    news_out->is_known = user != NULL;
    if (user == NULL)
        user = stand_in(auth, room);
    make_credential(auth, user, password, news_out->credential);
    news_out->state = BRIM_BASIC_HASH;
    if (news_out->is_known && is_kept(auth, news_out, now_mono_ms))
        news_out->state = BRIM_BASIC_IN;
    news_out->hash = user->hash;
    news_out->password_len = strlen(password);
    memcpy(news_out->password, password, news_out->password_len);
    explicit_bzero(room, sizeof(room));
}

void brim_basic_auth_keep(struct brim_basic_auth *auth, const struct brim_basic_news *news,
                          uint64_t now_mono_ms)
{
    struct kept *kept = place_of(auth, news->credential);

    OBJ_CHECK(auth, AUTH_MAGIC);
    INVARIANT(news->is_known);
    pthread_mutex_lock(&auth->lock);
    memcpy(kept->credential, news->credential, sizeof(kept->credential));
    kept->until_mono_ms = now_mono_ms + KEPT_MS;
    pthread_mutex_unlock(&auth->lock);
}

const char *brim_basic_auth_challenge(const struct brim_basic_auth *auth)
{
    return auth->challenge;
}

bool brim_basic_auth_strips(const struct brim_basic_auth *auth)
{
    return auth->strips;
}
