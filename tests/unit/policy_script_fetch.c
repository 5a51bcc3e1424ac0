/* SPDX-License-Identifier: MIT */
/* brim.fetch in the VM: tasks are the test's own, and end when it says so. */
#include "brim/policy/script.h"

#include "brim/policy/script_http.h"

#include "unit.h"

#include "script_rig.h"

/* ---- tasks ---- */

static struct {
    unsigned begun, ended, alive;
    unsigned looks_to_wait; /* of each task, before it is done; UINT_MAX: for ever */
    char method[16], url[64], origin[16], body[16], header[32];
    bool may_cache;
} mock;

struct mock_task {
    unsigned looks;
};

static void *mock_fetch(void *ctx, const struct brim_script_fetch *fetch, const char **why_out)
{
    struct mock_task *task;

    (void)ctx;
    if (brim_str_is(fetch->url, BRIM_STR("/refused"))) {
        *why_out = "refused";
        return NULL;
    }
    (void)snprintf(mock.method, sizeof(mock.method), "%.*s", (int)fetch->method.len,
                   fetch->method.base);
    (void)snprintf(mock.url, sizeof(mock.url), "%.*s", (int)fetch->url.len, fetch->url.base);
    (void)snprintf(mock.origin, sizeof(mock.origin), "%.*s", (int)fetch->origin.len,
                   fetch->origin.base == NULL ? "" : fetch->origin.base);
    (void)snprintf(mock.body, sizeof(mock.body), "%.*s", (int)fetch->body.len,
                   fetch->body.base == NULL ? "" : fetch->body.base);
    for (size_t i = 0; i < fetch->fields.count; i++)
        (void)snprintf(mock.header, sizeof(mock.header), "%.*s=%.*s",
                       (int)fetch->fields.items[i].name.len, fetch->fields.items[i].name.base,
                       (int)fetch->fields.items[i].value.len, fetch->fields.items[i].value.base);
    mock.may_cache = fetch->may_cache;
    task = calloc(1, sizeof(*task));
    ck_assert_ptr_nonnull(task);
    mock.begun++;
    mock.alive++;
    return task;
}

static void mock_look(void *memory, struct brim_script_news *news_out)
{
    static const struct brim_field fields[] = {{BRIM_STR("x-a"), BRIM_STR("1")},
                                               {BRIM_STR("x-a"), BRIM_STR("2")},
                                               {BRIM_STR("via"), BRIM_STR("v")}};
    struct mock_task *task = memory;

    *news_out = (struct brim_script_news){.state = BRIM_SCRIPT_TASK_WAIT};
    if (mock.looks_to_wait == UINT_MAX || task->looks++ < mock.looks_to_wait)
        return;
    *news_out = (struct brim_script_news){.state = BRIM_SCRIPT_TASK_DONE,
                                          .status = 203,
                                          .fields = {fields, 3},
                                          .body = BRIM_STR("b")};
}

static void mock_end(void *task)
{
    mock.ended++;
    mock.alive--;
    free(task);
}

static const struct brim_script_tasks mock_tasks = {mock_fetch, mock_look, mock_end};

static struct brim_script_run *begin(struct brim_script_vm *vm)
{
    struct brim_script_run *run = brim_script_run_begin(vm);

    brim_script_run_serve(run, &mock_tasks, NULL);
    return run;
}

static char text[2048]; /* results or error of the last call */

/* Calls, resumes until it ends. */
static enum brim_script_end finish(struct brim_script_run *run, enum brim_script_phase phase)
{
    enum brim_script_end end = brim_script_run_call(run, phase, &rig_call);

    for (int i = 0; end == BRIM_SCRIPT_WAIT && i < 1000; i++)
        end = brim_script_run_resume(run);
    (void)snprintf(text, sizeof(text), "%s",
                   end == BRIM_SCRIPT_OK ? rig_result : brim_script_run_error(run));
    return end;
}

static struct brim_script_vm *vm_of(const char *body)
{
    char source[4096];

    (void)snprintf(source, sizeof(source),
                   "return {viewer_request = function() %s end,\n"
                   "viewer_response = function() return pcall(brim.fetch, '/x') end}",
                   body);
    mock.begun = mock.ended = mock.alive = 0;
    return rig_vm(source);
}

/* ---- where a fetch can be made, and what a script may not get out of it ---- */

#define ERROR BRIM_SCRIPT_ERROR
#define FINE  BRIM_SCRIPT_OK

static const struct hostile {
    const char *name, *body;
    enum brim_script_end end;
    const char *message; /* part of the results or of the error */
} hostiles[] = {
    {"plain", "local r = brim.fetch('/a') return r.status, r.body, #r.headers:all('X-A')", FINE,
     "203 b 2"},
    {"pcall", "local ok, r = pcall(brim.fetch, '/a') return ok, r.body", FINE, "true b"},
    {"pcall in pcall", "return pcall(pcall, function() return brim.fetch('/a').body end)", FINE,
     "true true b"},
    {"xpcall", "return xpcall(function() return brim.fetch('/a').body end, print)", FINE, "true b"},
    {"an error after a fetch is caught",
     "local ok, e = pcall(function() brim.fetch('/a') error('x', 0) end) return ok, e", FINE,
     "false x"},
    {"xpcall handler", "xpcall(error, function() brim.fetch('/a') end)", ERROR, "cannot wait"},
    {"wrap", "return coroutine.wrap(function() return brim.fetch('/a').body end)()", FINE, "b"},
    {"resume",
     "return coroutine.resume(coroutine.create(function(x) return x, "
     "brim.fetch('/a').body end), 7)",
     FINE, "true 7 b"},
    {"wrap in wrap",
     "return coroutine.wrap(function() return coroutine.wrap(function() return "
     "brim.fetch('/a').body end)() end)()",
     FINE, "b"},
    {"a generator that fetches",
     "local n = 0 for r in coroutine.wrap(function() for i = 1, 3 do "
     "coroutine.yield(brim.fetch('/a')) end end) do n = n + r.status end return n",
     FINE, "609"},
    {"error in a wrap after a fetch",
     "return pcall(coroutine.wrap(function() brim.fetch('/a') error('x', 0) end))", FINE,
     "false x"},
    {"coroutine.wrap(brim.fetch)", "return coroutine.wrap(brim.fetch)('/a').body", FINE, "b"},
    {"__index",
     "return setmetatable({}, {__index = function() return brim.fetch('/a').body "
     "end}).x",
     FINE, "b"},
    {"__index is fetch",
     "return pcall(function() return setmetatable({}, {__index = "
     "brim.fetch}).x end)",
     FINE, "false"},
    {"__concat",
     "return setmetatable({}, {__concat = function() return brim.fetch('/a').body "
     "end}) .. 'x'",
     FINE, "b"},
    {"__eq",
     "local m = {__eq = function() return brim.fetch('/a') ~= nil end} "
     "return setmetatable({}, m) == setmetatable({}, m)",
     FINE, "true"},
    {"__close",
     "do local x <close> = setmetatable({}, {__close = function() brim.fetch('/a') "
     "end}) end return 'closed'",
     FINE, "closed"},
    {"__close is fetch, after a stop",
     "local x <close> = setmetatable({}, {__close = brim.fetch}) while true do end",
     BRIM_SCRIPT_CPU, NULL},
    {"iterator",
     "for r in function(_, last) if not last then return brim.fetch('/a') end end do "
     "return r.body end",
     FINE, "b"},
    {"__tostring",
     "return tostring(setmetatable({}, {__tostring = function() return "
     "brim.fetch('/a').body end}))",
     ERROR, "cannot wait"},
    {"__len of a library function",
     "return table.unpack(setmetatable({}, {__len = function() brim.fetch('/a') return 1 end}))",
     ERROR, "cannot wait"},
    {"gsub", "return ('x'):gsub('x', function() return brim.fetch('/a').body end)", ERROR,
     "cannot wait"},
    {"gsub with fetch", "return ('/a'):gsub('.+', brim.fetch)", ERROR, "cannot wait"},
    {"sort", "table.sort({2, 1}, function() brim.fetch('/a') end)", ERROR, "cannot wait"},
    {"sort with fetch", "table.sort({'/a', '/b'}, brim.fetch)", ERROR, "cannot wait"},
    {"a coroutine inside gsub",
     "return ('x'):gsub('x', function() return coroutine.wrap(function() return "
     "brim.fetch('/a').body end)() end)",
     ERROR, "cannot wait"},
    {"yield of its own, after a fetch", "brim.fetch('/a') coroutine.yield(1)", ERROR, "yield"},
    {"storm", "for i = 1, 100 do brim.fetch('/a') end", ERROR, "more than 8"},
    {"storm in pcall", "while true do pcall(brim.fetch, '/a') end", BRIM_SCRIPT_CPU, NULL},
    {"storm of refused ones", "while true do brim.fetch('/refused') end", BRIM_SCRIPT_CPU, NULL},
    {"storm of coroutines",
     "local n = 0 while true do local ok = pcall(coroutine.wrap(function() brim.fetch('/a') end)) "
     "if not ok then return n end n = n + 1 end",
     FINE, "8"},
    {"loop after", "brim.fetch('/a') while true do end", BRIM_SCRIPT_CPU, "main.lua:1"},
    {"loop after, in pcall",
     "while true do pcall(function() brim.fetch('/a') while true do end "
     "end) end",
     BRIM_SCRIPT_CPU, NULL},
    {"loop after, in a coroutine",
     "coroutine.wrap(function() brim.fetch('/a') while true do end end)()", BRIM_SCRIPT_CPU, NULL},
    {"table after", "brim.fetch('/a') local t = {} for i = 1, 1e7 do t[i] = i end",
     BRIM_SCRIPT_MEMORY, NULL},
    {"memory after", "brim.fetch('/a') local s = ('x'):rep(1e7)", BRIM_SCRIPT_MEMORY, NULL},
    {"refused", "return brim.fetch('/refused')", FINE, "nil refused"},
    {"headers are read-only", "brim.fetch('/a').headers.x = 1", ERROR, "cannot be changed"},
    {"not a URL", "brim.fetch({})", ERROR, "string expected"},
    {"too long a URL", "brim.fetch(('/'):rep(1e4))", ERROR, "longer"},
    {"not options", "brim.fetch('/a', 1)", ERROR, "table of options"},
    {"unknown option", "brim.fetch('/a', {mehtod = 'GET'})", ERROR, "no option \"mehtod\""},
    {"unknown method", "brim.fetch('/a', {method = 'CONNECT'})", ERROR, "CONNECT"},
    {"header injection", "brim.fetch('/a', {headers = {a = 'b\\r\\nc: d'}})", ERROR, "control"},
    {"Host", "brim.fetch('/a', {headers = {Host = 'other'}})", ERROR, "cannot be changed"},
    {"CDN-Loop", "brim.fetch('/a', {headers = {['CDN-Loop'] = 'x'}})", ERROR, "cannot be changed"},
    {"headers that never end",
     "brim.fetch('/a', {headers = {x = setmetatable({}, {__len = function() return 1e9 end})}})",
     ERROR, "too many"},
    {"a POST through the cache", "brim.fetch('/a', {method = 'POST', cache = true})", ERROR,
     "only a GET"},
    {"timeout_ms", "brim.fetch('/a', {timeout_ms = 0})", ERROR, "timeout_ms"},
    {"all",
     "local r = brim.all{'/a', {'/b', {method = 'POST', body = 'x'}}} return #r .. ' ' .. "
     "r[1].status .. ' ' .. r[2].status",
     FINE, "2 203 203"},
    {"none at all", "return #brim.all{}", FINE, "0"},
    {"all, one refused",
     "local r = brim.all{'/a', '/refused', '/c'} return #r .. ' ' .. "
     "r[1].status .. ' ' .. r[2].error .. ' ' .. r[3].status",
     FINE, "3 203 refused 203"},
    {"all, in a coroutine", "return coroutine.wrap(function() return #brim.all{'/a', '/b'} end)()",
     FINE, "2"},
    {"all, too many", "local t = {} for i = 1, 100 do t[i] = '/a' end brim.all(t)", ERROR,
     "more than"},
    {"all, too many, caught and left",
     "local t = {} for i = 1, 100 do t[i] = '/a' end return pcall(brim.all, t)", FINE, "false"},
    {"all of what is none", "brim.all{{}}", ERROR, "string expected"},
    {"all of nothing", "brim.all()", ERROR, "table expected"},
    {"all, waiting where it cannot", "local s = ('x'):gsub('x', function() brim.all{'/a'} end)",
     ERROR, "cannot wait inside"},
    {"loop after all", "brim.all{'/a', '/b'} while true do end", BRIM_SCRIPT_CPU, "main.lua:1"},
};

START_TEST(a_fetch_works_or_is_a_clear_error_wherever_it_is_made)
{
    const struct hostile *h = &hostiles[_i];
    enum brim_script_end end;

    if (h->end == BRIM_SCRIPT_CPU)
        rig_limits.cpu_us = RIG_CPU_LEAST_US;
    for (unsigned looks = 0; looks < 3; looks++) { /* done at once, or after some waiting */
        struct brim_script_vm *vm = vm_of(h->body);
        struct brim_script_run *run = begin(vm);

        mock.looks_to_wait = looks;
        end = finish(run, BRIM_SCRIPT_VIEWER_REQUEST);
        ck_assert_msg(end == h->end, "%s: %s: %s", h->name, brim_script_end_name(end), text);
        if (h->message != NULL)
            ck_assert_msg(strstr(text, h->message) != NULL, "%s: %s", h->name, text);
        brim_script_run_end(run);
        ck_assert_uint_eq(mock.alive, 0);

        /* the next request finds the VM as it was */
        run = begin(vm);
        ck_assert_int_eq(finish(run, BRIM_SCRIPT_VIEWER_RESPONSE), FINE);
        ck_assert_ptr_nonnull(strstr(text, "viewer_response cannot wait"));
        brim_script_run_end(run);
        brim_script_vm_close(vm);
    }
    rig_clean();
}
END_TEST

/* The client leaves: what stands in the coroutine, <close> included, ends with it. */
START_TEST(a_run_that_waits_can_be_ended)
{
    static const char *const bodies[] = {
        "brim.fetch('/a')",
        "coroutine.wrap(function() brim.fetch('/a') end)()",
        "pcall(function() brim.fetch('/a') end)",
        "local x <close> = setmetatable({}, {__close = function() while true do end end}) "
        "brim.fetch('/a')",
        "local x <close> = setmetatable({}, {__close = brim.fetch}) brim.fetch('/a')",
        "local x <close> = setmetatable({}, {__close = function() brim.fetch('/b') end}) "
        "pcall(brim.fetch, '/a')",
    };

    mock.looks_to_wait = UINT_MAX;
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        struct brim_script_vm *vm = vm_of(bodies[i]);
        struct brim_script_run *run = begin(vm);

        ck_assert_int_eq(brim_script_run_call(run, BRIM_SCRIPT_VIEWER_REQUEST, &rig_call),
                         BRIM_SCRIPT_WAIT);
        ck_assert_int_eq(brim_script_run_resume(run), BRIM_SCRIPT_WAIT);
        brim_script_run_end(run);
        ck_assert_uint_eq(mock.begun, 1);
        ck_assert_uint_eq(mock.alive, 0);
        brim_script_vm_close(vm);
    }
    rig_clean();
}
END_TEST

/* Requests of one worker share a VM: one waits, others come and go. */
START_TEST(runs_that_wait_do_not_mix)
{
    struct brim_script_vm *vm =
        vm_of("me = tostring({}) local was = me "
              "local r = brim.fetch('/a') assert(me == was and r.body == 'b') return 'same'");
    struct brim_script_run *runs[8];

    mock.looks_to_wait = 1;
    for (int i = 0; i < 8; i++) {
        runs[i] = begin(vm);
        ck_assert_int_eq(brim_script_run_call(runs[i], BRIM_SCRIPT_VIEWER_REQUEST, &rig_call),
                         BRIM_SCRIPT_WAIT);
    }
    for (int i = 7; i >= 0; i--) {
        rig_result[0] = '\0';
        ck_assert_int_eq(brim_script_run_resume(runs[i]), FINE);
        ck_assert_str_eq(rig_result, "same");
        brim_script_run_end(runs[i]);
    }
    brim_script_vm_close(vm);
    rig_clean();
}
END_TEST

static int push_request(struct lua_State *L, void *ctx)
{
    brim_script_push_request(L, ctx);
    return 1;
}

/* A VM has one userdata for all requests: it shows each its own, whoever ran in between, and in a
 * module that kept it, too. */
START_TEST(requests_that_wait_see_their_own_message)
{
    struct brim_script_request requests[8] = {0};
    struct brim_script_run *runs[8];
    struct brim_script_vm *vm;

    rig_write(rig_path("held.lua"), "local held return {hold = function(req) held = held or req "
                                    "return held end}");
    vm = rig_vm("local hold = require('held').hold return {viewer_request = function(req) "
                "local path, held = req.path, hold(req) assert(held.path == path) "
                "brim.fetch('/a') assert(held.path == path and req.path == path) "
                "return path end}");
    mock.looks_to_wait = 1;
    for (int i = 0; i < 8; i++) {
        const struct brim_script_call call = {push_request, rig_call.take, &requests[i]};
        static const char *const paths = "/0/1/2/3/4/5/6/7";

        requests[i].target = brim_str(paths + 2 * (size_t)i, 2);
        runs[i] = begin(vm);
        ck_assert_int_eq(brim_script_run_call(runs[i], BRIM_SCRIPT_VIEWER_REQUEST, &call),
                         BRIM_SCRIPT_WAIT);
    }
    for (int i = 7; i >= 0; i--) {
        ck_assert_msg(brim_script_run_resume(runs[i]) == FINE, "%s",
                      brim_script_run_error(runs[i]));
        ck_assert(brim_str_is(brim_str_of(rig_result), requests[i].target));
        brim_script_run_end(runs[i]);
    }
    brim_script_vm_close(vm);
    (void)unlink(rig_path("held.lua"));
    rig_clean();
}
END_TEST

/* A module's locals are shared: a coroutine that one request left there must not run in another. */
START_TEST(a_coroutine_of_another_request_finds_no_task)
{
    struct brim_script_vm *vm;
    struct brim_script_run *first, *second;

    rig_write(rig_path("shared.lua"), "local kept return {put = function(c) kept = kept or c end, "
                                      "get = function() return kept end}");
    vm = vm_of("local s = require('shared') local theirs = s.get() "
               "if theirs then return coroutine.resume(theirs) end "
               "s.put(coroutine.running()) pcall(brim.fetch, '/a') return 'own'");
    mock.looks_to_wait = 1;
    first = begin(vm);
    second = begin(vm);
    ck_assert_int_eq(brim_script_run_call(first, BRIM_SCRIPT_VIEWER_REQUEST, &rig_call),
                     BRIM_SCRIPT_WAIT);
    ck_assert_int_eq(finish(second, BRIM_SCRIPT_VIEWER_REQUEST), FINE);
    ck_assert_ptr_nonnull(strstr(text, "false"));
    brim_script_run_end(second);
    ck_assert_int_eq(brim_script_run_resume(first), ERROR);
    brim_script_run_end(first);
    brim_script_vm_close(vm);
    ck_assert_uint_eq(mock.alive, 0);
    (void)unlink(rig_path("shared.lua"));
    rig_clean();
}
END_TEST

/* CPU time stands still while a run waits, its deadline does not. */
START_TEST(the_deadline_ends_waiting)
{
    struct brim_script_config config = {.limits = rig_limits};
    struct brim_script_vm *vm = NULL;
    struct brim_script_run *run;
    char error[1024];

    rig_write(rig_path("main.lua"), "return {viewer_request = function()\n"
                                    "while true do pcall(brim.fetch, '/a') end end}");
    config.file = rig_path("main.lua");
    config.limits.wall_ms = 500;
    ck_assert_int_eq(brim_script_vm_open(&config, &rig_host, error, sizeof(error), &vm), BRIM_OK);
    mock.looks_to_wait = UINT_MAX;
    run = begin(vm);
    ck_assert_int_eq(brim_script_run_call(run, BRIM_SCRIPT_VIEWER_REQUEST, &rig_call),
                     BRIM_SCRIPT_WAIT);
    ck_assert_uint_le(brim_script_run_due_us(run), brim_clock_mono_us() + 500000);
    while (brim_clock_mono_us() < brim_script_run_due_us(run))
        ck_assert_int_ge(usleep(1000), 0);
    ck_assert_int_eq(brim_script_run_resume(run), BRIM_SCRIPT_WALL);
    ck_assert_ptr_nonnull(strstr(brim_script_run_error(run), "main.lua:2"));
    ck_assert_uint_lt(brim_script_run_cpu_us(run), RIG_CPU_US);
    brim_script_run_end(run);
    brim_script_vm_close(vm);
    (void)unlink(rig_path("main.lua"));
    rig_clean();
}
END_TEST

START_TEST(timeout_ms_gives_up_one_fetch_only)
{
    struct brim_script_vm *vm = vm_of("local a, why = brim.fetch('/a', {timeout_ms = 1}) "
                                      "return a, why, brim.fetch('/refused')");
    struct brim_script_run *run = begin(vm);

    mock.looks_to_wait = UINT_MAX;
    ck_assert_int_eq(brim_script_run_call(run, BRIM_SCRIPT_VIEWER_REQUEST, &rig_call),
                     BRIM_SCRIPT_WAIT);
    while (brim_clock_mono_us() < brim_script_run_due_us(run))
        ck_assert_int_ge(usleep(100), 0);
    ck_assert_int_eq(brim_script_run_resume(run), FINE);
    ck_assert_str_eq(rig_result, "nil timeout nil refused");
    ck_assert_uint_eq(mock.alive, 0);
    brim_script_run_end(run);
    brim_script_vm_close(vm);
    rig_clean();
}
END_TEST

START_TEST(the_options_arrive)
{
    struct brim_script_vm *vm = vm_of("brim.fetch('http://h/p', {method = 'PUT', body = 'xyz', "
                                      "origin = 'o', headers = {['X-B'] = 5}})");
    struct brim_script_run *run = begin(vm);

    mock.looks_to_wait = 0;
    ck_assert_int_eq(finish(run, BRIM_SCRIPT_VIEWER_REQUEST), FINE);
    ck_assert_str_eq(mock.method, "PUT");
    ck_assert_str_eq(mock.url, "http://h/p");
    ck_assert_str_eq(mock.origin, "o");
    ck_assert_str_eq(mock.body, "xyz");
    ck_assert_str_eq(mock.header, "x-b=5");
    ck_assert(!mock.may_cache);
    brim_script_run_end(run);
    brim_script_vm_close(vm);
    vm = vm_of("brim.fetch('/a') ");
    run = begin(vm);
    ck_assert_int_eq(finish(run, BRIM_SCRIPT_VIEWER_REQUEST), FINE);
    ck_assert_str_eq(mock.method, "GET");
    ck_assert(mock.may_cache);
    brim_script_run_end(run);
    brim_script_vm_close(vm);
    rig_clean();
}
END_TEST

/* Without a server behind it, and while the file is loaded, there is nothing to fetch from. */
START_TEST(where_nothing_can_be_fetched_it_says_so)
{
    struct brim_script_vm *vm = vm_of("brim.fetch('/a')");
    struct brim_script_run *run = brim_script_run_begin(vm);
    char error[1024];

    ck_assert_int_eq(finish(run, BRIM_SCRIPT_VIEWER_REQUEST), ERROR);
    ck_assert_ptr_nonnull(strstr(text, "not available here"));
    brim_script_run_end(run);
    brim_script_vm_close(vm);
    ck_assert_int_eq(rig_open("brim.fetch('/a') return {}", error, sizeof(error), &vm),
                     BRIM_EINVAL);
    ck_assert_ptr_nonnull(strstr(error, "while the file is loaded"));
    rig_clean();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("policy.script_fetch");
    TCase *tcase = tcase_create("fetch");

    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, a_fetch_works_or_is_a_clear_error_wherever_it_is_made, 0,
                        (int)(sizeof(hostiles) / sizeof(hostiles[0])));
    tcase_add_test(tcase, a_run_that_waits_can_be_ended);
    tcase_add_test(tcase, runs_that_wait_do_not_mix);
    tcase_add_test(tcase, requests_that_wait_see_their_own_message);
    tcase_add_test(tcase, a_coroutine_of_another_request_finds_no_task);
    tcase_add_test(tcase, the_deadline_ends_waiting);
    tcase_add_test(tcase, timeout_ms_gives_up_one_fetch_only);
    tcase_add_test(tcase, the_options_arrive);
    tcase_add_test(tcase, where_nothing_can_be_fetched_it_says_so);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
