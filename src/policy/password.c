/* SPDX-License-Identifier: MIT */
#include "brim/policy/password.h"

#include <crypt.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#include "brim/base/invariant.h"
#include "brim/base/pool.h"
#include "brim/base/sha256.h"
#include "brim/base/watch.h"

#define CHECK_MAGIC 0x70617373u

struct brim_password_check {
    struct brim_job job; /* first */
    uint32_t magic;
    _Atomic unsigned refs; /* the job's and the asker's */
    _Atomic int state;
    struct brim_port *port; /* counted */
    char *hash;
    char password[BRIM_PASSWORD_BYTES_MAX];
};

bool brim_password_hash_is_good(const char *hash)
{
    static const char *const kinds[] = {"$2a$", "$2b$", "$2y$", "$5$", "$6$", "$7$", "$y$"};

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strncmp(hash, kinds[i], strlen(kinds[i])) == 0)
            return strlen(hash) > strlen(kinds[i]);
    return false;
}

bool brim_password_fits(const char *password, const char *hash)
{
    struct crypt_data *data = brim_alloc(sizeof(*data));
    const char *made = crypt_r(password, hash, data);
    bool fits = made != NULL && made[0] != '*' && strlen(made) == strlen(hash) &&
                brim_bytes_are_same(made, hash, strlen(hash));

    explicit_bzero(data, sizeof(*data));
    free(data);
    return fits;
}

void brim_password_end(struct brim_password_check *check)
{
    if (check == NULL)
        return;
    OBJ_CHECK(check, CHECK_MAGIC);
    if (atomic_fetch_sub_explicit(&check->refs, 1, memory_order_acq_rel) != 1)
        return;
    brim_port_unref(check->port);
    explicit_bzero(check->password, sizeof(check->password));
    free(check->hash);
    check->magic = 0;
    free(check);
}

static void run(struct brim_job *job)
{
    struct brim_password_check *check = (struct brim_password_check *)job; /* it stands first */
    bool fits;

    OBJ_CHECK(check, CHECK_MAGIC);
    fits = brim_password_fits(check->password, check->hash);
    atomic_store_explicit(&check->state, fits ? BRIM_PASSWORD_FITS : BRIM_PASSWORD_WRONG,
                          memory_order_release);
    brim_port_fire(check->port);
    brim_password_end(check);
}

struct brim_password_check *brim_password_begin(struct brim_pool *pool, struct brim_str password,
                                                const char *hash, struct brim_port *port)
{
    struct brim_password_check *check = brim_alloc(sizeof(*check));

    INVARIANT(password.len < sizeof(check->password));
    check->job.run = run;
    check->magic = CHECK_MAGIC;
    check->refs = 2;
    check->port = port;
    brim_port_ref(port);
    check->hash = brim_strdup(hash);
    memcpy(check->password, password.base, password.len);
    if (brim_pool_submit(pool, BRIM_JOB_READ, &check->job) == BRIM_OK)
        return check;
    check->refs = 1;
    brim_password_end(check);
    return NULL;
}

enum brim_password_state brim_password_look(const struct brim_password_check *check)
{
    OBJ_CHECK(check, CHECK_MAGIC);
    return (enum brim_password_state)atomic_load_explicit(&check->state, memory_order_acquire);
}
