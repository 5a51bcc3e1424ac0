/* SPDX-License-Identifier: MIT */
#include "brim/policy/jwt_gate.h"

#include <stdio.h>

#include "brim/cache/kv.h"
#include "brim/policy/jwt.h"
#include "tokens.h"
#include "unit.h"

enum { OFF, HS256, RS256 = 4, PS256 = 7, ES256 = 10 };

#define NOW_MS 1700000000000

static char empty[] = "", secret_file[] = "jwt.secret", pem_file[] = "jwt.pem";
static char set_file[] = "jwt.jwks", realm[] = "api", jti[] = "jti", sub[] = "sub";
static char issuer[] = "https://id.example", other[] = "https://other.example";
static char api[] = "api", nobody[] = "nobody", cookie[] = "session", store[] = "revoked";
static char *audiences[] = {nobody, api}, *wrong_audiences[] = {nobody};
static char claim_user[] = "sub=X-User", claim_none[] = "nothing=X-None";
static char *claims[] = {claim_user, claim_none};
static char url[] = "/keys", other_url[] = "/other";

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

static struct brim_conf_jwt conf_of(int alg, char *key)
{
    write_file(secret_file, "0123456789abcdef0123456789abcdef\n");
    write_file(pem_file, token_rs_pem);
    write_file(set_file, token_jwks);
    return (struct brim_conf_jwt){.alg = alg,
                                  .key = key,
                                  .jwks_url = empty,
                                  .jwks_origin = empty,
                                  .jwks_refresh_ms = 300000,
                                  .issuer = empty,
                                  .leeway_ms = 30000,
                                  .require_exp = true,
                                  .cookie = empty,
                                  .realm = realm,
                                  .revoked = empty,
                                  .revoked_claim = jti};
}

static struct brim_jwt_gate *compile(const struct brim_conf_jwt *conf)
{
    struct brim_jwt_gate *gate;

    ck_assert_int_eq(brim_jwt_gate_compile(conf, NULL, &gate), BRIM_OK);
    ck_assert_ptr_nonnull(gate);
    return gate;
}

static char heap[65536];
static size_t heap_used;

static void *alloc(void *ctx, size_t bytes)
{
    void *memory = heap + heap_used;

    (void)ctx;
    heap_used += (bytes + 15) / 16 * 16;
    ck_assert_uint_le(heap_used, sizeof(heap));
    return memory;
}

static struct brim_jwt_ask ask_with(const char *token)
{
    static char value[4096];
    static struct brim_field fields[2];

    heap_used = 0;
    (void)snprintf(value, sizeof(value), "Bearer %s", token);
    fields[0] = (struct brim_field){BRIM_STR("authorization"), brim_str_of(value)};
    fields[1] = (struct brim_field){BRIM_STR("x-user"), BRIM_STR("forged")};
    return (struct brim_jwt_ask){
        .fields = {fields, 2}, .now_wall_ms = NOW_MS, .now_mono_ms = 1000000, .alloc = alloc};
}

static struct brim_jwt_news show(struct brim_jwt_gate *gate, const char *token)
{
    struct brim_jwt_ask ask = ask_with(token);
    struct brim_jwt_news news;

    brim_jwt_gate_ask(gate, &ask, &news);
    return news;
}

static const struct {
    int alg;
    char *key;
    const char *token;
    const char *why; /* NULL: let in */
} shown[] = {
    {HS256, secret_file, token_hs, NULL},
    {RS256, pem_file, token_rs, NULL},
    {RS256, set_file, token_rs, NULL},
    {ES256, set_file, token_es, NULL},
    {ES256, set_file, token_es_nokid, NULL},
    {RS256, pem_file, token_hs, "another algorithm"},
    {RS256, pem_file, token_confused, "another algorithm"}, /* the public key as a secret */
    {RS256, pem_file, token_none, "another algorithm"},
    {HS256, secret_file, token_none, "another algorithm"},
    {HS256, secret_file, token_crit, "critical extensions are not known"},
    {HS256, secret_file, token_noexp, "exp is missing"},
    {HS256, secret_file, token_badexp, "expired"},
    {HS256, secret_file, "a.b", "not a token"},
    {HS256, secret_file, "e30.e30.e30.e30", "not a token"},
    {HS256, secret_file, "e30.e30.e30", "another algorithm"},
};

START_TEST(a_token_is_let_in_or_told_why_not)
{
    struct brim_conf_jwt conf = conf_of(shown[_i].alg, shown[_i].key);
    struct brim_jwt_gate *gate = compile(&conf);
    struct brim_jwt_news news = show(gate, shown[_i].token);

    if (shown[_i].why == NULL) {
        ck_assert_msg(news.state == BRIM_JWT_IN, "%s", news.why);
        ck_assert(brim_str_is(news.subject, BRIM_STR("u1")));
    } else {
        ck_assert_int_eq(news.state, BRIM_JWT_OUT);
        ck_assert_uint_eq(news.status, 401);
        ck_assert_ptr_nonnull(strstr(news.challenge, "error=\"invalid_token\""));
        ck_assert_str_eq(news.why, shown[_i].why);
    }
    brim_jwt_gate_free(gate);
}
END_TEST

/* A changed byte anywhere is another token. */
START_TEST(no_byte_of_a_token_can_be_changed)
{
    struct brim_conf_jwt conf = conf_of(HS256, secret_file);
    struct brim_jwt_gate *gate = compile(&conf);
    char text[sizeof(token_hs)];

    for (size_t i = 0; i < sizeof(token_hs) - 1; i++) {
        memcpy(text, token_hs, sizeof(text));
        text[i] = text[i] == 'A' ? 'B' : 'A';
        ck_assert_int_eq(show(gate, text).state, BRIM_JWT_OUT);
    }
    brim_jwt_gate_free(gate);
}
END_TEST

START_TEST(time_issuer_and_audience_are_checked)
{
    struct brim_conf_jwt conf = conf_of(HS256, secret_file);
    struct brim_jwt_ask ask;
    struct brim_jwt_news news;
    struct brim_jwt_gate *gate;

    conf.issuer = issuer;
    conf.audience.items = audiences;
    conf.audience.count = 2;
    gate = compile(&conf);
    ck_assert_int_eq(show(gate, token_hs).state, BRIM_JWT_IN);
    ask = ask_with(token_hs);
    ask.now_wall_ms = 1700000929000; /* exp and 29 s */
    brim_jwt_gate_ask(gate, &ask, &news);
    ck_assert_int_eq(news.state, BRIM_JWT_IN);
    ask.now_wall_ms = 1700000930000;
    brim_jwt_gate_ask(gate, &ask, &news);
    ck_assert_str_eq(news.why, "expired");
    ask.now_wall_ms = 1699999959000; /* nbf less 31 s */
    brim_jwt_gate_ask(gate, &ask, &news);
    ck_assert_str_eq(news.why, "not valid yet");
    brim_jwt_gate_free(gate);

    conf.issuer = other;
    gate = compile(&conf);
    ck_assert_str_eq(show(gate, token_hs).why, "another issuer");
    brim_jwt_gate_free(gate);
    conf.issuer = issuer;
    conf.audience.items = wrong_audiences;
    conf.audience.count = 1;
    gate = compile(&conf);
    ck_assert_str_eq(show(gate, token_hs).why, "another audience");
    brim_jwt_gate_free(gate);
}
END_TEST

START_TEST(without_a_token_no_error_is_told)
{
    struct brim_conf_jwt conf = conf_of(HS256, secret_file);
    struct brim_jwt_gate *gate = compile(&conf);
    struct brim_jwt_ask ask = ask_with(token_hs);
    struct brim_jwt_news news;

    ask.fields.count = 0;
    brim_jwt_gate_ask(gate, &ask, &news);
    ck_assert_int_eq(news.state, BRIM_JWT_OUT);
    ck_assert_str_eq(news.challenge, "www-authenticate: Bearer realm=\"api\"");
    brim_jwt_gate_free(gate);
}
END_TEST

START_TEST(a_cookie_may_hold_it)
{
    struct brim_conf_jwt conf = conf_of(HS256, secret_file);
    struct brim_jwt_gate *gate;
    struct brim_jwt_ask ask = ask_with("");
    struct brim_jwt_news news;
    char text[2048];
    struct brim_field field = {BRIM_STR("cookie"), {text, 0}};

    conf.cookie = cookie;
    gate = compile(&conf);
    field.value.len = (size_t)snprintf(text, sizeof(text), "a=b; session=%s; session2=x", token_hs);
    ask.fields = (struct brim_fields){&field, 1};
    brim_jwt_gate_ask(gate, &ask, &news);
    ck_assert_int_eq(news.state, BRIM_JWT_IN);
    brim_jwt_gate_free(gate);
}
END_TEST

/* What a client claims itself must not reach the origin under that name. */
START_TEST(claims_replace_what_the_client_says)
{
    struct brim_conf_jwt conf = conf_of(HS256, secret_file);
    struct brim_jwt_gate *gate;
    struct brim_jwt_news news;
    size_t count;

    conf.claims.items = claims;
    conf.claims.count = 2;
    conf.strip = true;
    gate = compile(&conf);
    ck_assert(brim_str_is(brim_jwt_gate_claim_fields(gate, &count)[0], BRIM_STR("x-user")));
    ck_assert_uint_eq(count, 2);
    news = show(gate, token_hs);
    ck_assert_uint_eq(news.fields.count, 1); /* no token, nothing forged, no claim that is none */
    ck_assert(brim_str_is(news.fields.items[0].name, BRIM_STR("x-user")));
    ck_assert(brim_str_is(news.fields.items[0].value, BRIM_STR("u1")));
    brim_jwt_gate_free(gate);
}
END_TEST

START_TEST(who_is_revoked_stays_out)
{
    struct brim_conf_jwt conf = conf_of(HS256, secret_file);
    struct brim_kv_config config = {"jwt.kv", 1u << 20};
    struct brim_kv_name name = {BRIM_STR("revoked"), BRIM_STR("u1")};
    struct brim_jwt_ask ask = ask_with(token_hs);
    struct brim_jwt_news news;
    struct brim_jwt_gate *gate;

    conf.revoked = store;
    conf.revoked_claim = sub;
    gate = compile(&conf);
    brim_jwt_gate_ask(gate, &ask, &news);
    ck_assert_int_eq(news.state, BRIM_JWT_OUT); /* no stores: nobody knows */
    ck_assert_uint_eq(news.status, 503);
    ck_assert_int_eq(brim_kv_open(&config, &ask.kv), BRIM_OK);
    ck_assert_int_eq(brim_kv_delete(ask.kv, &name), BRIM_OK);
    brim_jwt_gate_ask(gate, &ask, &news);
    ck_assert_int_eq(news.state, BRIM_JWT_IN);
    ck_assert_int_eq(brim_kv_set(ask.kv, &name, BRIM_STR("stolen"), 0), BRIM_OK);
    brim_jwt_gate_ask(gate, &ask, &news);
    ck_assert_int_eq(news.state, BRIM_JWT_OUT);
    ck_assert_str_eq(news.why, "revoked");
    brim_kv_close(ask.kv);
    brim_jwt_gate_free(gate);

    conf.revoked_claim = jti; /* which the token has not got */
    gate = compile(&conf);
    ck_assert_int_eq(show(gate, token_hs).state, BRIM_JWT_OUT);
    brim_jwt_gate_free(gate);
}
END_TEST

START_TEST(fetched_keys_are_kept_and_renewed)
{
    struct brim_conf_jwt conf = conf_of(RS256, empty);
    static const char older[] = "{\"keys\":[]}";
    struct brim_jwt_ask ask = ask_with(token_rs);
    struct brim_jwt_news news;
    struct brim_jwt_gate *gate;

    conf.jwks_url = url;
    gate = compile(&conf);
    brim_jwt_gate_ask(gate, &ask, &news);
    ck_assert_int_eq(news.state, BRIM_JWT_KEYS);
    ck_assert(!news.has_keys);
    ask.has_fetched = true;
    brim_jwt_gate_take_keys(gate, brim_str(NULL, 0), ask.now_mono_ms);
    brim_jwt_gate_ask(gate, &ask, &news);
    ck_assert_int_eq(news.state, BRIM_JWT_OUT);
    ck_assert_uint_eq(news.status, 503);
    brim_jwt_gate_take_keys(gate, brim_str_of(token_jwks), ask.now_mono_ms);
    brim_jwt_gate_ask(gate, &ask, &news);
    ck_assert_int_eq(news.state, BRIM_JWT_IN);
    ask.has_fetched = false;
    brim_jwt_gate_ask(gate, &ask, &news);
    ck_assert_int_eq(news.state, BRIM_JWT_IN); /* from what was kept */
    ask.now_mono_ms += 300000;
    brim_jwt_gate_ask(gate, &ask, &news);
    ck_assert_int_eq(news.state, BRIM_JWT_KEYS); /* one fetches */
    ck_assert(news.has_keys);
    brim_jwt_gate_ask(gate, &ask, &news);
    ck_assert_int_eq(news.state, BRIM_JWT_IN); /* others go on */
    brim_jwt_gate_take_keys(gate, brim_str_of(older), ask.now_mono_ms);
    brim_jwt_gate_ask(gate, &ask, &news);
    ck_assert_int_eq(news.state, BRIM_JWT_IN); /* what is of no use replaces nothing */
    brim_jwt_gate_free(gate);
}
END_TEST

/* As at a reload: the provider may be down just then. */
START_TEST(keys_of_the_same_algorithm_and_url_go_on_in_another_gate)
{
    struct brim_conf_jwt conf = conf_of(RS256, empty);
    struct brim_jwt_ask ask = ask_with(token_rs);
    struct brim_jwt_gate *old, *same, *elsewhere;
    struct brim_jwt_news news;

    conf.jwks_url = url;
    old = compile(&conf);
    same = compile(&conf);
    conf.jwks_url = other_url;
    elsewhere = compile(&conf);
    brim_jwt_gate_inherit(same, old); /* it has none */
    brim_jwt_gate_take_keys(old, brim_str_of(token_jwks), ask.now_mono_ms);
    brim_jwt_gate_inherit(same, old);
    brim_jwt_gate_inherit(elsewhere, old);
    brim_jwt_gate_free(old);

    brim_jwt_gate_ask(elsewhere, &ask, &news);
    ck_assert_int_eq(news.state, BRIM_JWT_KEYS);
    brim_jwt_gate_ask(same, &ask, &news);
    ck_assert_int_eq(news.state, BRIM_JWT_IN);
    ask.now_mono_ms += 300000; /* it knows how old they are */
    brim_jwt_gate_ask(same, &ask, &news);
    ck_assert_int_eq(news.state, BRIM_JWT_KEYS);
    ck_assert(news.has_keys);
    brim_jwt_gate_free(same);
    brim_jwt_gate_free(elsewhere);
}
END_TEST

/* A request may have begun before the one that fetched: that is no time since then. */
START_TEST(who_began_earlier_does_not_fetch_again)
{
    struct brim_conf_jwt conf = conf_of(RS256, empty);
    struct brim_jwt_ask ask = ask_with(token_rs);
    struct brim_jwt_gate *gate;
    struct brim_jwt_news news;

    conf.jwks_url = url;
    gate = compile(&conf);
    brim_jwt_gate_take_keys(gate, brim_str_of(token_jwks), ask.now_mono_ms);
    ask.now_mono_ms--;
    brim_jwt_gate_ask(gate, &ask, &news);
    ck_assert_int_eq(news.state, BRIM_JWT_IN);
    brim_jwt_gate_free(gate);
}
END_TEST

/* The option names what libjwt knows today; the one that is installed may be older. A config that
 * names what it does not know is refused: it ended the node that was told to reload it. */
START_TEST(an_algorithm_that_libjwt_does_not_know_is_refused)
{
    struct brim_conf_jwt conf = conf_of(PS256, pem_file);
    struct brim_jwt_gate *gate;
    enum brim_err err = brim_jwt_gate_compile(&conf, NULL, &gate);

    ck_assert_int_eq(err, brim_jwt_alg_is_known("PS256") ? BRIM_OK : BRIM_EINVAL);
    brim_jwt_gate_free(gate);
}
END_TEST

START_TEST(a_key_that_does_not_suit_is_refused)
{
    static const struct {
        int alg;
        const char *text;
    } bad[] = {{HS256, "short\n"},
               {HS256, token_rs_pem},
               {RS256, "0123456789abcdef0123456789abcdef"},
               {RS256, "{\"keys\": [{\"kty\": \"RSA\", \"n\": \"AQAB\", \"e\": \"AQAB\"}]}"},
               {RS256, "{\"keys\": 1}"},
               {RS256, "{"},
               {RS256, ""}};
    struct brim_conf_jwt conf;
    struct brim_jwt_gate *gate;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        conf = conf_of(bad[i].alg, secret_file);
        write_file(secret_file, bad[i].text);
        ck_assert_int_eq(brim_jwt_gate_compile(&conf, NULL, &gate), BRIM_EINVAL);
        ck_assert_ptr_null(gate);
    }
    conf = conf_of(OFF, secret_file);
    ck_assert_int_eq(brim_jwt_gate_compile(&conf, NULL, &gate), BRIM_OK);
    ck_assert_ptr_null(gate);
    brim_jwt_gate_free(NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("policy_jwt_gate");
    TCase *tcase = tcase_create("all");

    tcase_add_loop_test(tcase, a_token_is_let_in_or_told_why_not, 0,
                        (int)(sizeof(shown) / sizeof(shown[0])));
    tcase_add_test(tcase, no_byte_of_a_token_can_be_changed);
    tcase_add_test(tcase, time_issuer_and_audience_are_checked);
    tcase_add_test(tcase, without_a_token_no_error_is_told);
    tcase_add_test(tcase, a_cookie_may_hold_it);
    tcase_add_test(tcase, claims_replace_what_the_client_says);
    tcase_add_test(tcase, who_is_revoked_stays_out);
    tcase_add_test(tcase, fetched_keys_are_kept_and_renewed);
    tcase_add_test(tcase, keys_of_the_same_algorithm_and_url_go_on_in_another_gate);
    tcase_add_test(tcase, who_began_earlier_does_not_fetch_again);
    tcase_add_test(tcase, an_algorithm_that_libjwt_does_not_know_is_refused);
    tcase_add_test(tcase, a_key_that_does_not_suit_is_refused);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
