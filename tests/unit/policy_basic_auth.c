/* SPDX-License-Identifier: MIT */
#include "brim/policy/basic_auth.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "brim/base/base64url.h"
#include "brim/base/pool.h"
#include "brim/base/watch.h"
#include "unit.h"

/* "open sesame" and "pa:ss", with as little work as there may be. */
#define BCRYPT "$2b$04$8I.v9a1LgrFSkmJjJ/l7BerZdFzPmJDX4/DihO6SkmRptfTKTOsMq"
#define SHA512                                                                                     \
    "$6$rounds=1000$/"                                                                             \
    "6BG.yRl3T02Hdy7$"                                                                             \
    "7fm0XrJprBkuORs6XLTncONs6HUyixcjozdeqFHJXmL23kjw1mFUtiAkTTNPFBEI7IjCVdq8GdYH093Nf6vxs0"

static char path[] = "basic_auth.txt", realm[] = "staging", empty[] = "";

static enum brim_err compile(const char *text, struct brim_basic_auth **auth_out)
{
    struct brim_conf_basic_auth conf = {.file = path, .realm = realm};
    FILE *file = fopen(path, "w");
    enum brim_err err;

    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
    err = brim_basic_auth_compile(&conf, auth_out);
    remove(path);
    return err;
}

static struct brim_basic_auth *two_users(void)
{
    struct brim_basic_auth *auth;

    ck_assert_int_eq(compile("# us\nwilli:" SHA512 "\n\nali:" BCRYPT "\r\n", &auth), BRIM_OK);
    return auth;
}

static struct brim_basic_news ask(struct brim_basic_auth *auth, const char *value, uint64_t now_ms)
{
    struct brim_field field = {BRIM_STR("authorization"), brim_str_of(value)};
    struct brim_basic_news news;

    brim_basic_auth_ask(auth, (struct brim_fields){&field, 1}, now_ms, &news);
    return news;
}

static bool fits(const struct brim_basic_news *news)
{
    return brim_password_fits(news->password, news->hash) && news->is_known;
}

START_TEST(who_knows_the_password_is_let_in_and_remembered_for_a_while)
{
    struct brim_basic_auth *auth = two_users();
    struct brim_basic_news news = ask(auth, "Basic YWxpOm9wZW4gc2VzYW1l", 1000); /* ali */

    ck_assert_int_eq(news.state, BRIM_BASIC_HASH);
    ck_assert(fits(&news));
    brim_basic_auth_keep(auth, &news, 1000);
    ck_assert_int_eq(ask(auth, "basic  YWxpOm9wZW4gc2VzYW1l", 2000).state, BRIM_BASIC_IN);
    ck_assert_int_eq(ask(auth, "Basic YWxpOm9wZW4gc2VzYW1l", 601000).state, BRIM_BASIC_HASH);
    ck_assert_int_eq(ask(auth, "Basic YWxpOm9wZW4gc2VzYW1m", 2000).state, BRIM_BASIC_HASH);
    news = ask(auth, "Basic d2lsbGk6cGE6c3M=", 1000); /* willi, whose password has a colon */
    ck_assert_int_eq(news.state, BRIM_BASIC_HASH);
    ck_assert(fits(&news));
    brim_basic_auth_free(auth);
}
END_TEST

/* The time that it takes must not tell who is there. */
START_TEST(of_an_unknown_user_a_hash_is_computed_too)
{
    struct brim_basic_auth *auth = two_users();
    struct brim_basic_news news = ask(auth, "Basic Ym9iOm9wZW4gc2VzYW1l", 1000); /* bob */

    ck_assert_int_eq(news.state, BRIM_BASIC_HASH);
    ck_assert_ptr_nonnull(news.hash);
    ck_assert(!fits(&news)); /* though it is ali's password */
    brim_basic_auth_free(auth);
}
END_TEST

/* "NAME:x", in base64. */
static struct brim_basic_news ask_for(struct brim_basic_auth *auth, const char *name)
{
    char plain[64], value[128] = "Basic ";
    size_t len = (size_t)snprintf(plain, sizeof(plain), "%s:x", name), at = strlen(value);

    brim_base64_write(plain, len, value + at);
    value[at + BRIM_BASE64_LEN(len)] = '\0';
    return ask(auth, value, 1000);
}

static bool is_sha512(const struct brim_basic_news *news)
{
    return strncmp(news->hash, "$6$", 3) == 0;
}

/* A file whose hashes are moved from one kind to another, as users log in, say: were one kind
 * computed for all unknown names, all of the other kind would be told to be there. And were another
 * one computed at the next try, or by the next node, those whose time does not change would. */
START_TEST(unknown_names_take_the_times_of_known_ones_in_their_shares_and_for_good)
{
    static const char text[] = "a:" SHA512 "\nb:" BCRYPT "\nc:" BCRYPT "\nd:" BCRYPT "\n";
    struct brim_basic_auth *auth, *again, *changed;
    unsigned of_one_kind = 0, moved = 0;
    char name[16];

    ck_assert_int_eq(compile(text, &auth), BRIM_OK);
    ck_assert_int_eq(compile(text, &again), BRIM_OK);
    ck_assert_int_eq(
        compile("a:$6$another$hash\nb:" BCRYPT "\nc:" BCRYPT "\nd:" BCRYPT "\n", &changed),
        BRIM_OK);
    for (unsigned i = 0; i < 1000; i++) {
        struct brim_basic_news first, second;

        snprintf(name, sizeof(name), "user%u", i);
        first = ask_for(auth, name);
        ck_assert_int_eq(first.state, BRIM_BASIC_HASH);
        ck_assert(!first.is_known);
        of_one_kind += is_sha512(&first);
        second = ask_for(auth, name);
        ck_assert_str_eq(first.hash, second.hash);
        second = ask_for(again, name);
        ck_assert_str_eq(first.hash, second.hash);
        second = ask_for(changed, name);
        moved += is_sha512(&first) != is_sha512(&second);
    }
    ck_assert_uint_gt(of_one_kind, 180); /* a quarter; the names are always the same */
    ck_assert_uint_lt(of_one_kind, 320);
    ck_assert_uint_gt(moved, 0); /* it is the file that decides, not a key that all know */
    ck_assert(ask_for(auth, "a").is_known);
    brim_basic_auth_free(auth);
    brim_basic_auth_free(again);
    brim_basic_auth_free(changed);
}
END_TEST

START_TEST(what_is_no_credential_costs_nothing)
{
    static const char *const bad[] = {"",
                                      "Basic",
                                      "Basic ",
                                      "Bearer YWxpOm9wZW4gc2VzYW1l",
                                      "Basic YWxp",
                                      "Basic !!!!",
                                      "Basic YWxpAHg6eA==",
                                      "Basic Ym9iOm9wZW4gc2VzYW1lcw", /* needs padding */
                                      "Basic YWxpOm9wZW4gc2VzYW1l===="};
    struct brim_basic_auth *auth = two_users();

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_int_eq(ask(auth, bad[i], 1000).state, BRIM_BASIC_OUT);
    ck_assert_str_eq(brim_basic_auth_challenge(auth),
                     "www-authenticate: Basic realm=\"staging\", charset=\"UTF-8\"");
    brim_basic_auth_free(auth);
}
END_TEST

START_TEST(weak_hashes_and_broken_lines_are_refused)
{
    static const char *const bad[] = {"ali:secret\n",    "ali:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n",
                                      "ali:$apr1$x$y\n", "ali\n",
                                      ":" BCRYPT "\n",   "\n"};
    struct brim_conf_basic_auth none = {.file = empty};
    struct brim_basic_auth *auth;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_int_eq(compile(bad[i], &auth), BRIM_EINVAL);
    ck_assert_int_eq(brim_basic_auth_compile(&none, &auth), BRIM_OK);
    ck_assert_ptr_null(auth);
    brim_basic_auth_free(NULL);
}
END_TEST

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t fired = PTHREAD_COND_INITIALIZER;
static int count;

static void notify(struct brim_port *port)
{
    (void)port;
    pthread_mutex_lock(&lock);
    count++;
    pthread_cond_signal(&fired);
    pthread_mutex_unlock(&lock);
}

static void destroy(struct brim_port *port)
{
    (void)port;
}

START_TEST(a_job_says_whether_it_fits_and_outlives_who_asked)
{
    struct brim_pool_limits limits = {.threads = 1, .queue_max = 16};
    struct brim_password_check *good, *bad;
    struct brim_pool *pool;
    struct brim_port port;

    brim_port_init(&port, notify, destroy);
    ck_assert_int_eq(brim_pool_open(&limits, &pool), BRIM_OK);
    good = brim_password_begin(pool, BRIM_STR("open sesame"), BCRYPT, &port);
    bad = brim_password_begin(pool, BRIM_STR("open barley"), BCRYPT, &port);
    brim_password_end(brim_password_begin(pool, BRIM_STR("gone"), BCRYPT, &port));
    ck_assert_ptr_nonnull(good);
    ck_assert_ptr_nonnull(bad);
    pthread_mutex_lock(&lock);
    while (count == 0)
        pthread_cond_wait(&fired, &lock);
    pthread_mutex_unlock(&lock);
    brim_pool_close(pool); /* runs what is queued */
    ck_assert_int_eq(brim_password_look(good), BRIM_PASSWORD_FITS);
    ck_assert_int_eq(brim_password_look(bad), BRIM_PASSWORD_WRONG);
    brim_password_end(good);
    brim_password_end(bad);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("policy_basic_auth");
    TCase *tcase = tcase_create("all");

    tcase_add_test(tcase, who_knows_the_password_is_let_in_and_remembered_for_a_while);
    tcase_add_test(tcase, of_an_unknown_user_a_hash_is_computed_too);
    tcase_add_test(tcase, unknown_names_take_the_times_of_known_ones_in_their_shares_and_for_good);
    tcase_add_test(tcase, what_is_no_credential_costs_nothing);
    tcase_add_test(tcase, weak_hashes_and_broken_lines_are_refused);
    tcase_add_test(tcase, a_job_says_whether_it_fits_and_outlives_who_asked);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
