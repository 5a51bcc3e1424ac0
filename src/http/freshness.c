/* SPDX-License-Identifier: MIT */
/*
 * The rules of RFC 9111 in the order in which they decide, for a shared cache.
 *
 * A targeted field (RFC 9213) that is valid stands in for Cache-Control and Expires in all of it.
 *
 * Lifetime (4.2.1), first that is there:   s-maxage > max-age > Expires - Date > what the operator
 * set for responses that say nothing > a tenth of Date - Last-Modified (4.2.2). Several or
 * unreadable values make a response stale, never fresh. The last two only where RFC 9111 lets a
 * cache guess: statuses that are heuristically cacheable (RFC 9110 15.1), or `public`.
 *
 * Age (4.2.3), in milliseconds but for what comes in seconds:
 *
 *   apparent_age          = max(0, response_time - Date)         whole seconds, as Date is cut off
 *   corrected_age_value   = Age + (response_time - request_time)
 *   corrected_initial_age = max(apparent_age, corrected_age_value)
 *   current_age           = corrected_initial_age + (now - response_time)
 *
 * A clock that is set back makes no difference negative: each one counts as 0 then. By how much it
 * was wrong before, nobody knows: a response that came at a time which is still to come is stale,
 * or it would be as new as on the first day until then. But for CLOCK_SLACK_MS: a request knows the
 * time at which it began, and may have waited for what it is given.
 */
#include "brim/http/freshness.h"

#include "brim/http/cache_control.h"
#include "brim/http/date.h"
#include "brim/http/vary.h"

#define SECOND_MS         1000
#define CLOCK_SLACK_MS    (600LL * 1000)
#define HEURISTIC_DIVISOR 10 /* RFC 9111 4.2.2: "a typical setting ... might be 10%" */
#define HEURISTIC_MAX_MS  (86400LL * 1000) /* a guess is not trusted for more than a day */

static const struct brim_str cache_control = {"cache-control", 13};

/* a + b and a - b for times; what does not fit stops at the end of the range. */
static int64_t add(int64_t a, int64_t b)
{
    int64_t sum;

    if (__builtin_add_overflow(a, b, &sum))
        return b > 0 ? INT64_MAX : INT64_MIN;
    return sum;
}

static int64_t subtract(int64_t a, int64_t b)
{
    int64_t difference;

    if (__builtin_sub_overflow(a, b, &difference))
        return b < 0 ? INT64_MAX : INT64_MIN;
    return difference;
}

static int64_t ms_of(int64_t seconds)
{
    int64_t ms;

    if (__builtin_mul_overflow(seconds, SECOND_MS, &ms))
        return seconds > 0 ? INT64_MAX : INT64_MIN;
    return ms;
}

static int64_t at_least_0(int64_t ms)
{
    return ms > 0 ? ms : 0;
}

/* Whole seconds, rounded down, also before the epoch. */
static int64_t floor_s(int64_t ms)
{
    return ms / SECOND_MS - (ms % SECOND_MS < 0 ? 1 : 0);
}

/* A date that stands in exactly one field called name, in seconds, or INT64_MIN. */
static int64_t date_of(const struct brim_exchange *exchange, struct brim_str name)
{
    const struct brim_field *field = brim_fields_only(exchange->response, name);

    if (field == NULL)
        return INT64_MIN;
    return brim_date_parse(field->value, floor_s(exchange->response_wall_ms));
}

/* Date in milliseconds; the time of receipt if it is missing or not valid (RFC 9110 6.6.1). */
static int64_t date_ms(const struct brim_exchange *exchange)
{
    int64_t date_s = date_of(exchange, BRIM_STR("date"));

    return date_s == INT64_MIN ? exchange->response_wall_ms : ms_of(date_s);
}

/* RFC 9110 15.1; 206 is left out because it is not stored. */
static bool status_is_heuristic(unsigned status)
{
    switch (status) {
    case 200:
    case 203:
    case 204:
    case 300:
    case 301:
    case 308:
    case 404:
    case 405:
    case 410:
    case 414:
    case 501:
        return true;
    default:
        return false;
    }
}

static bool status_is_negative(unsigned status)
{
    return status >= 400 && status_is_heuristic(status);
}

/*
 * Whether a response with this status may be stored at all. Not final: 1xx. Answers to something in
 * the request that is not part of the key: 206 and 416 (Range), 304 and 412 (preconditions), 407,
 * 408, 417, 421, 425, 426 (this connection). "MUST NOT be stored by a cache": 428, 429, 431 and 511
 * (RFC 6585 3 to 6).
 */
static bool status_is_storable(unsigned status)
{
    switch (status) {
    case 206:
    case 304:
    case 407:
    case 408:
    case 412:
    case 416:
    case 417:
    case 421:
    case 425:
    case 426:
    case 428:
    case 429:
    case 431:
    case 511:
        return false;
    default:
        return status >= 200 && status <= 599;
    }
}

/* Storable statuses whose caching rules are known here (RFC 9111 3 with must-understand). */
static bool status_is_understood(unsigned status)
{
    switch (status) {
    case 200 ... 205:
    case 300 ... 303:
    case 307:
    case 308:
    case 400 ... 406:
    case 409 ... 411:
    case 413 ... 415:
    case 422:
    case 451:
    case 500 ... 505:
        return status_is_storable(status);
    default:
        return false;
    }
}

/* freshness_lifetime and where it comes from. */
struct lifetime {
    int64_t ms;
    bool is_explicit;   /* the origin said it, if only by something unreadable */
    bool is_guess;      /* a tenth of the time since Last-Modified */
    const char *source; /* static text: what said it */
};

/* Whether the response leaves it to the cache how long it is fresh. `Pragma: no-cache` means
 * nothing in a response (RFC 9111 5.4), but who sends it does not invite a guess. */
static bool may_guess(const struct brim_exchange *exchange,
                      const struct brim_cache_control *control)
{
    if (!status_is_heuristic(exchange->status) && !control->is_public)
        return false;
    return control->present ||
           !brim_fields_has_token(exchange->response, BRIM_STR("pragma"), BRIM_STR("no-cache"));
}

static struct lifetime implicit_lifetime(const struct brim_exchange *exchange,
                                         const struct brim_cache_control *control,
                                         const struct brim_cache_rules *rules)
{
    struct lifetime lifetime = {.source = "nothing: no lifetime, and none may be guessed"};

    if (!may_guess(exchange, control))
        return lifetime;
    if (status_is_negative(exchange->status) && rules->negative_ttl_ms >= 0) {
        lifetime.ms = rules->negative_ttl_ms;
        lifetime.source = "cache.negative_ttl";
    } else if (rules->default_ttl_ms >= 0) {
        lifetime.ms = rules->default_ttl_ms;
        lifetime.source = "cache.default_ttl";
    } else {
        int64_t modified_s = date_of(exchange, BRIM_STR("last-modified"));
        int64_t unchanged_ms =
            modified_s == INT64_MIN ? 0 : subtract(date_ms(exchange), ms_of(modified_s));
        lifetime.ms = at_least_0(unchanged_ms / HEURISTIC_DIVISOR);
        if (lifetime.ms > HEURISTIC_MAX_MS)
            lifetime.ms = HEURISTIC_MAX_MS;
        lifetime.is_guess = lifetime.ms > 0;
        if (lifetime.is_guess)
            lifetime.source = "a tenth of the time since Last-Modified";
    }
    return lifetime;
}

static struct lifetime lifetime_of(const struct brim_exchange *exchange,
                                   const struct brim_cache_control *control,
                                   const struct brim_cache_rules *rules)
{
    struct lifetime lifetime = {.is_explicit = true};

    if (control->unclosed) {
        lifetime.ms = 0;
        lifetime.source = "Cache-Control that cannot be read";
    } else if (control->s_maxage_s >= 0) {
        lifetime.ms = ms_of(control->s_maxage_s);
        lifetime.source = "s-maxage";
    } else if (control->max_age_s >= 0) {
        lifetime.ms = ms_of(control->max_age_s);
        lifetime.source = "max-age";
    } else if (!control->is_targeted &&
               brim_fields_find(exchange->response, BRIM_STR("expires")) != NULL) {
        /* Not one valid date: already expired (RFC 9111 5.3). */
        lifetime.source = "Expires";
        int64_t expires_s = date_of(exchange, BRIM_STR("expires"));
        if (expires_s != INT64_MIN)
            lifetime.ms = at_least_0(subtract(ms_of(expires_s), date_ms(exchange)));
    } else {
        lifetime = implicit_lifetime(exchange, control, rules);
    }
    if (rules->max_ttl_ms >= 0 && lifetime.ms > rules->max_ttl_ms) {
        lifetime.ms = rules->max_ttl_ms;
        lifetime.source = "cache.max_ttl";
    }
    return lifetime;
}

/* corrected_initial_age of RFC 9111 4.2.3. Of several Age members the first counts, and only if it
 * is valid (5.1). */
static int64_t initial_age_ms(const struct brim_exchange *exchange)
{
    struct brim_list_cursor cursor = {0};
    struct brim_str member;
    int64_t age_s = 0;
    int64_t apparent_s = subtract(floor_s(exchange->response_wall_ms), floor_s(date_ms(exchange)));
    int64_t apparent_ms = at_least_0(ms_of(apparent_s));
    int64_t delay_ms = at_least_0(subtract(exchange->response_wall_ms, exchange->request_wall_ms));

    if (brim_fields_next_member(exchange->response, BRIM_STR("age"), &cursor, &member))
        age_s = at_least_0(brim_delta_seconds_parse(member));
    int64_t corrected_ms = add(ms_of(age_s), delay_ms);
    return apparent_ms > corrected_ms ? apparent_ms : corrected_ms;
}

/* What the directive says, else what the operator set. */
static int64_t allowance_ms(int64_t directive_s, int64_t rule_ms)
{
    return directive_s >= 0 ? ms_of(directive_s) : at_least_0(rule_ms);
}

/*
 * RFC 9111 4.2.4: "A cache MUST NOT generate a stale response if it is prohibited by an explicit
 * in-protocol directive (e.g., by a no-cache response directive, a must-revalidate response
 * directive, or an applicable s-maxage or proxy-revalidate response directive". So s-maxage forbids
 * by itself (5.2.2.10), and beside it RFC 5861's directives are of no use to a shared cache.
 * Origins that send both mean otherwise; an operator who knows that his do may say so, and then
 * what the origin itself allows counts, never what the site adds.
 */
static bool forbids_stale(const struct brim_cache_control *control,
                          const struct brim_cache_rules *rules)
{
    bool is_meant = rules->s_maxage_stale && (control->swr_s > 0 || control->sie_s > 0);

    return control->must_revalidate || control->proxy_revalidate || control->unclosed ||
           (control->s_maxage_s >= 0 && !is_meant);
}

static void compute(const struct brim_exchange *exchange, const struct brim_cache_rules *rules,
                    const struct brim_cache_control *control, struct brim_freshness *freshness_out)
{
    struct lifetime lifetime = lifetime_of(exchange, control, rules);

    *freshness_out = (struct brim_freshness){
        .response_wall_ms = exchange->response_wall_ms,
        .date_wall_ms = date_ms(exchange),
        .initial_age_ms = initial_age_ms(exchange),
        .lifetime_ms = lifetime.ms,
        .heuristic = lifetime.is_guess,
        .must_revalidate = forbids_stale(control, rules),
        /* With names it covers just those fields (5.2.2.4), which are not stored. */
        .no_cache = control->no_cache || (control->no_cache_fields && control->unclosed),
    };
    if (!freshness_out->must_revalidate && !freshness_out->no_cache) {
        bool own_word = control->s_maxage_s >= 0; /* see forbids_stale() */

        freshness_out->swr_ms = allowance_ms(control->swr_s, own_word ? 0 : rules->swr_ms);
        freshness_out->sie_ms = allowance_ms(control->sie_s, own_word ? 0 : rules->grace_ms);
    }
}

void brim_freshness_compute(const struct brim_exchange *exchange,
                            const struct brim_cache_rules *rules,
                            struct brim_freshness *freshness_out)
{
    struct brim_cache_control control;

    brim_cache_control_parse_response(exchange->response, rules->targets, &control);
    compute(exchange, rules, &control, freshness_out);
}

struct brim_freshness_source brim_freshness_source(const struct brim_exchange *exchange,
                                                   const struct brim_cache_rules *rules)
{
    struct brim_cache_control control;

    brim_cache_control_parse_response(exchange->response, rules->targets, &control);
    return (struct brim_freshness_source){
        .rule = lifetime_of(exchange, &control, rules).source,
        .is_targeted = control.is_targeted,
    };
}

bool brim_freshness_has_control(struct brim_fields response, const struct brim_cache_rules *rules)
{
    struct brim_cache_control control;

    brim_cache_control_parse_response(response, rules->targets, &control);
    return control.present;
}

/* Something to ask the origin with whether the response is still the right one. */
static bool has_validator(const struct brim_exchange *exchange)
{
    const struct brim_field *etag = brim_fields_only(exchange->response, BRIM_STR("etag"));

    return (etag != NULL && etag->value.len > 0) ||
           date_of(exchange, BRIM_STR("last-modified")) != INT64_MIN;
}

static enum brim_store_verdict decide(enum brim_store_verdict verdict, const char *reason,
                                      const char **reason_out)
{
    *reason_out = reason;
    return verdict;
}

/* Not to be stored because of what the resource is: the next answer will be like it, so pass. An
 * error says little about the next answer. */
static enum brim_store_verdict refuse(unsigned status, const char *reason, const char **reason_out)
{
    return decide(status < 400 ? BRIM_STORE_PASS : BRIM_STORE_NOT, reason, reason_out);
}

/* What rules out the request, whatever the response is. NULL: nothing. These say nothing about the
 * resource, so that no client can make brim stop caching it for others. */
static const char *request_obstacle(const struct brim_exchange *exchange,
                                    const struct brim_cache_rules *rules)
{
    struct brim_request_control control;

    if (!brim_str_is(exchange->method, BRIM_STR("GET")))
        return "method";
    if (rules->bypass)
        return "bypass";
    brim_request_control_parse(exchange->request, rules, &control);
    return control.no_store ? "request-no-store" : NULL;
}

/* Whether the origin says in so many words that all clients may share the response. s-maxage=0 does
 * not: a value that cannot be read reads 0 too. */
static bool says_shared(const struct brim_cache_control *control)
{
    return !control->unclosed && (control->is_public || control->s_maxage_s > 0);
}

/* Whether the origin itself says that all but the cookie is to be kept. */
static bool leaves_out_cookie(const struct brim_exchange *exchange,
                              const struct brim_cache_rules *rules,
                              const struct brim_cache_control *control)
{
    return !control->unclosed && (control->no_cache_fields || control->private_fields) &&
           brim_cache_control_excludes(exchange->response, rules->targets, BRIM_STR("set-cookie"));
}

/* Directives and fields by which a response is nothing for a shared cache. NULL: none. */
static const char *response_obstacle(const struct brim_exchange *exchange,
                                     const struct brim_cache_rules *rules,
                                     const struct brim_cache_control *control)
{
    /* must-understand takes the place of no-store where the status is understood (5.2.2.3); that
     * it is has been seen to. */
    if (control->no_store && (!control->must_understand || control->unclosed))
        return "no-store";
    if (control->is_private || (control->private_fields && control->unclosed))
        return "private";
    if (brim_vary_is_any(exchange->response))
        return "vary-any";
    if (brim_vary_is_by_sender(exchange->response))
        return "vary-sender";
    if (rules->set_cookie == BRIM_SET_COOKIE_REFUSE && !says_shared(control) &&
        brim_fields_find(exchange->response, BRIM_STR("set-cookie")) != NULL &&
        !leaves_out_cookie(exchange, rules, control))
        return "set-cookie";
    return NULL;
}

/* Whether RFC 9111 3.5 lets a shared cache store the answer to a request with Authorization. */
static bool authorization_permits(const struct brim_exchange *exchange,
                                  const struct brim_cache_control *control)
{
    if (brim_fields_find(exchange->request, BRIM_STR("authorization")) == NULL)
        return true;
    return says_shared(control) || (control->must_revalidate && !control->unclosed);
}

/* The last question: will the stored response ever be of use? */
static enum brim_store_verdict judge_use(const struct brim_exchange *exchange,
                                         const struct brim_cache_rules *rules,
                                         const struct brim_cache_control *control,
                                         const char **reason_out)
{
    struct lifetime lifetime = lifetime_of(exchange, control, rules);
    struct brim_freshness freshness;
    bool validator = has_validator(exchange);

    compute(exchange, rules, control, &freshness);
    /* RFC 9111 3: explicit freshness, public, or a status that is heuristically cacheable. */
    if (!lifetime.is_explicit && !control->is_public && !status_is_heuristic(exchange->status))
        return refuse(exchange->status, "no-freshness", reason_out);
    if (freshness.no_cache && !validator)
        return refuse(exchange->status, "no-cache-no-validator", reason_out);
    if (freshness.lifetime_ms > freshness.initial_age_ms)
        return decide(BRIM_STORE, "fresh", reason_out);
    if (validator)
        return decide(BRIM_STORE, "validator", reason_out);
    /* Only the origin's own word makes a response worth storing that is stale from the start. */
    if ((control->swr_s > 0 && freshness.swr_ms > 0) ||
        (control->sie_s > 0 && freshness.sie_ms > 0))
        return decide(BRIM_STORE, "stale-directive", reason_out);
    /* A tier above may have kept it for all of its lifetime: where the operator lets stale content
     * stand in for an origin that is down, it is worth what the one before it was. */
    if (lifetime.is_explicit && freshness.lifetime_ms > 0 && freshness.sie_ms > 0)
        return decide(BRIM_STORE, "grace", reason_out);
    return refuse(exchange->status, lifetime.is_explicit ? "stale-no-validator" : "no-freshness",
                  reason_out);
}

enum brim_store_verdict brim_freshness_verdict(const struct brim_exchange *exchange,
                                               const struct brim_cache_rules *rules,
                                               const char **reason_out)
{
    struct brim_cache_control control;
    const char *obstacle = request_obstacle(exchange, rules);

    if (obstacle != NULL)
        return decide(BRIM_STORE_NOT, obstacle, reason_out);
    if (!status_is_storable(exchange->status))
        return decide(BRIM_STORE_NOT, "status", reason_out);
    brim_cache_control_parse_response(exchange->response, rules->targets, &control);
    if (control.must_understand && !status_is_understood(exchange->status))
        return decide(BRIM_STORE_NOT, "must-understand", reason_out);
    /* Not a pass, hence first: others ask without credentials and may get what can be shared. */
    if (!authorization_permits(exchange, &control))
        return decide(BRIM_STORE_NOT, "authorization", reason_out);
    obstacle = response_obstacle(exchange, rules, &control);
    if (obstacle != NULL)
        return refuse(exchange->status, obstacle, reason_out);
    return judge_use(exchange, rules, &control, reason_out);
}

int64_t brim_freshness_age_ms(const struct brim_freshness *freshness, int64_t now_wall_ms)
{
    int64_t resident_ms = at_least_0(subtract(now_wall_ms, freshness->response_wall_ms));

    return at_least_0(add(freshness->initial_age_ms, resident_ms));
}

bool brim_freshness_is_from_future(const struct brim_freshness *freshness, int64_t now_wall_ms)
{
    return subtract(freshness->response_wall_ms, now_wall_ms) > CLOCK_SLACK_MS;
}

static int64_t asked_ms(int64_t seconds)
{
    return seconds < 0 || seconds == INT64_MAX ? seconds : ms_of(seconds);
}

void brim_request_control_parse(struct brim_fields request, const struct brim_cache_rules *rules,
                                struct brim_request_control *control_out)
{
    struct brim_cache_control control;

    *control_out =
        (struct brim_request_control){.max_age_ms = -1, .min_fresh_ms = -1, .max_stale_ms = -1};
    if (rules->ignore_request_control)
        return;
    if (brim_fields_find(request, cache_control) == NULL) {
        /* RFC 9111 5.4 */
        control_out->no_cache =
            brim_fields_has_token(request, BRIM_STR("pragma"), BRIM_STR("no-cache"));
        return;
    }
    brim_cache_control_parse(request, cache_control, &control);
    *control_out = (struct brim_request_control){
        .max_age_ms = asked_ms(control.max_age_s),
        .min_fresh_ms = asked_ms(control.min_fresh_s),
        .max_stale_ms = control.unclosed ? -1 : asked_ms(control.max_stale_s),
        .no_cache = control.no_cache || control.no_cache_fields,
        .no_store = control.no_store,
        .only_if_cached = control.only_if_cached,
        .no_transform = control.no_transform,
    };
}

/* Whether the response is older or will be stale sooner than the request wants (RFC 9111 5.2.1.1,
 * 5.2.1.3). max-age=0 asks for validation even within the millisecond of receipt. */
static bool is_too_old(const struct brim_request_control *control, int64_t age_ms, int64_t left_ms)
{
    if (control->max_age_ms == 0)
        return true;
    return (control->max_age_ms > 0 && age_ms > control->max_age_ms) ||
           (control->min_fresh_ms >= 0 && left_ms < control->min_fresh_ms);
}

enum brim_use brim_freshness_use(const struct brim_freshness *freshness,
                                 const struct brim_request_control *control, int64_t now_wall_ms,
                                 bool soft_purged)
{
    int64_t age_ms = brim_freshness_age_ms(freshness, now_wall_ms);
    int64_t left_ms = subtract(freshness->lifetime_ms, age_ms);

    if (left_ms > 0 && (soft_purged || brim_freshness_is_from_future(freshness, now_wall_ms)))
        left_ms = 0;
    if (freshness->no_cache || control->no_cache || is_too_old(control, age_ms, left_ms))
        return BRIM_USE_REVALIDATE;
    if (left_ms > 0)
        return BRIM_USE_FRESH;
    if (freshness->must_revalidate)
        return BRIM_USE_REVALIDATE;
    /* A request with max-age does not want a stale response unless it also says max-stale. */
    int64_t stale_ms = subtract(0, left_ms);
    if (control->max_age_ms >= 0 && control->max_stale_ms < 0)
        return BRIM_USE_REVALIDATE;
    if (stale_ms < freshness->swr_ms)
        return BRIM_USE_STALE_SWR;
    return stale_ms <= control->max_stale_ms ? BRIM_USE_STALE : BRIM_USE_REVALIDATE;
}

bool brim_freshness_is_ending(const struct brim_freshness *freshness, int64_t percent,
                              int64_t now_wall_ms)
{
    int64_t here_ms = subtract(freshness->lifetime_ms, freshness->initial_age_ms);
    int64_t left_ms =
        subtract(freshness->lifetime_ms, brim_freshness_age_ms(freshness, now_wall_ms));

    return left_ms > 0 && left_ms <= here_ms / 100 * percent;
}

bool brim_freshness_may_serve_error(const struct brim_freshness *freshness,
                                    const struct brim_request_control *control, int64_t now_wall_ms)
{
    int64_t age_ms = brim_freshness_age_ms(freshness, now_wall_ms);
    int64_t stale_ms = at_least_0(subtract(age_ms, freshness->lifetime_ms));

    if (freshness->must_revalidate || freshness->no_cache || control->no_cache)
        return false;
    return stale_ms < freshness->sie_ms || stale_ms <= control->max_stale_ms;
}
