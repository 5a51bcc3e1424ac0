/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include "script_rig.h"

#define HANDLER(text) "return {viewer_request = function() " text " end}"
#define REQUESTS      40

/* A file and what its handler returns in every request, however many there were: kept or not,
 * nobody can tell. */
static const struct {
    const char *source;
    const char *result;
    bool is_kept; /* the second request finds what the first left */
} files[] = {
    /* no trace */
    {HANDLER("return 1"), "1", true},
    {HANDLER("return type(brim)"), "table", true},
    {HANDLER("return viewer, _ENV ~= nil"), "nil true", true},
    {"local n = tonumber(brim.env.NONE) or 7 " HANDLER("return n"), "7", true},
    {"local s = brim.env.SECRET:upper():sub(1, 2) " HANDLER("return s"), "S3", true},
    {"local json = brim.json " HANDLER("return json.encode{1}"), "[1]", true},
    {"local null = brim.json.null " HANDLER("return null == brim.json.null"), "true", true},
    {"local find = string.find " HANDLER("return find('abc', 'b')"), "2 2", true},
    {"local function f(n) return n == 0 and 0 or f(n - 1) end " HANDLER("return f(3)"), "0", true},
    {HANDLER("x = 1 x = nil return x"), "nil", true},
    {"local a = 1 " HANDLER("a = 2 a = 1 return a"), "1", true},
    {HANDLER("local t = {} t[1] = 1 return #t"), "1", true},
    {HANDLER("return coroutine.wrap(function() return 3 end)()"), "3", true},
    {HANDLER("brim.after(function() local a = 1 end) return 1"), "1", true},
    /* a trace is left: of globals and locals of the file */
    {HANDLER("x = (x or 0) + 1 return x"), "1", false},
    {"x = 1 " HANDLER("x = x + 1 return x"), "2", false},
    {"local n = 0 " HANDLER("n = n + 1 return n"), "1", false},
    {"local n = 0 local function add() n = n + 1 end " HANDLER("add() return n"), "1", false},
    {"local n = 0 local function a() local function b() n = n + 1 end b() end " HANDLER(
         "a() return n"),
     "1", false},
    {"local t = {} " HANDLER("t[#t + 1] = 1 return #t"), "1", false},
    {"local t = {} local function add() t[#t + 1] = 1 return #t end " HANDLER("return add()"), "1",
     false},
    {"local f = function() return 1 end " HANDLER(
         "local was = f() f = function() return 2 end return was"),
     "1", false},
    {HANDLER("local was = y _ENV = {y = 1} return was"), "nil", false},
    {"local env = _ENV " HANDLER("env.x = (env.x or 0) + 1 return env.x"), "1", false},
    {"local n = 0 " HANDLER("brim.after(function() n = n + 1 end) return n"), "0", false},
    {"local n = 0 " HANDLER("pcall(function() n = n + 1 error() end) return n"), "1", false},
    {"local n = 0 " HANDLER("coroutine.wrap(function() n = n + 1 end)() return n"), "1", false},
    {"local n = 0 " HANDLER("load('local f = ... f()')(function() n = n + 1 end) return n"), "1",
     false},
    {"local h = {} h.viewer_request = function() local f = h.other h.other = 1 return f end "
     "return h",
     "nil", false},
    {"local a return {viewer_request = function() local was = a a = 1 return was end,"
     "viewer_response = function() return a end}",
     "nil", false},
    {"local t = setmetatable({}, {__newindex = string}) " HANDLER(
         "rawset(t, 1, (t[1] or 0) + 1) return t[1]"),
     "1", false},
    /* the chunk would not do the same again */
    {"local at = brim.time.now_ms() " HANDLER("return at"), "1700000000123", false},
    {"print('loaded') " HANDLER("return 1"), "1", false},
    {"local r = math.random(1, 1) " HANDLER("return r"), "1", false},
    {"local next = ('a b'):gmatch('%a') " HANDLER("return next()"), "a", false},
    {"local step = coroutine.wrap(function() for i = 1, 99 do coroutine.yield(i) end end) " HANDLER(
         "return step()"),
     "1", false},
    {"local function make() return 1 end local one = make() " HANDLER("return one"), "1", false},
    {"local ok = pcall(error) " HANDLER("return ok"), "false", false},
    {"local m = require('counter') " HANDLER("return type(m.count)"), "function", false},
    /* a module may keep functions of a request */
    {"local n = 0 " HANDLER("require('counter') return n"), "0", false},
};

static bool ask(struct brim_script_vm *vm, const char *result)
{
    struct brim_script_run *run = brim_script_run_begin(vm);
    bool was_kept = brim_script_run_is_kept(run);

    ck_assert_int_eq(brim_script_run_call(run, BRIM_SCRIPT_VIEWER_REQUEST, &rig_call),
                     BRIM_SCRIPT_OK);
    ck_assert_str_eq(rig_result, result);
    ck_assert_int_eq(brim_script_run_after(run), BRIM_SCRIPT_OK);
    brim_script_run_end(run);
    return was_kept;
}

START_TEST(every_request_finds_the_file_as_new)
{
    struct brim_script_vm *vm;

    rig_write(rig_path("counter.lua"), "local n = 0 return {count = function() n = n + 1 return n "
                                       "end}");
    vm = rig_vm(files[_i].source);
    (void)ask(vm, files[_i].result);
    for (int i = 1; i < REQUESTS; i++)
        ck_assert_msg(ask(vm, files[_i].result) == files[_i].is_kept, "%s", files[_i].source);
    brim_script_vm_close(vm);
    (void)unlink(rig_path("counter.lua"));
    rig_clean();
}
END_TEST

/* A request that leaves a trace costs the next one the chunk, and no other. */
START_TEST(a_trace_now_and_then_is_seen)
{
    struct brim_script_vm *vm = rig_vm("local n = 0 return {"
                                       "viewer_request = function() return n end,"
                                       "viewer_response = function() n = n + 1 return n end}");

    for (int i = 0; i < REQUESTS; i++) {
        struct brim_script_run *run;

        (void)ask(vm, "0");
        run = brim_script_run_begin(vm);
        ck_assert(brim_script_run_is_kept(run));
        ck_assert_int_eq(brim_script_run_call(run, BRIM_SCRIPT_VIEWER_RESPONSE, &rig_call),
                         BRIM_SCRIPT_OK);
        ck_assert_str_eq(rig_result, "1");
        brim_script_run_end(run);
        ck_assert(!ask(vm, "0"));
    }
    brim_script_vm_close(vm);
    rig_clean();
}
END_TEST

/* Requests that overlap have runs of their own; what one does no other sees. */
START_TEST(requests_at_the_same_time_share_nothing)
{
    struct brim_script_vm *vm = rig_vm("local n = 0 " HANDLER("n = n + 1 return n"));
    struct brim_script_run *runs[20];

    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 20; i++)
            runs[i] = brim_script_run_begin(vm);
        for (int i = 0; i < 40; i++) {
            ck_assert_int_eq(
                brim_script_run_call(runs[i % 20], BRIM_SCRIPT_VIEWER_REQUEST, &rig_call),
                BRIM_SCRIPT_OK);
            ck_assert_str_eq(rig_result, i < 20 ? "1" : "2");
        }
        for (int i = 0; i < 20; i++)
            brim_script_run_end(runs[i]);
    }
    brim_script_vm_close(vm);
    rig_clean();
}
END_TEST

/* What failed is not kept. */
START_TEST(an_error_ends_what_was_kept)
{
    struct brim_script_vm *vm = rig_vm("local n = 0 return {"
                                       "viewer_request = function() return n end,"
                                       "viewer_response = function() n = 5 error('x') end}");
    struct brim_script_run *run;

    (void)ask(vm, "0");
    run = brim_script_run_begin(vm);
    ck_assert_int_eq(brim_script_run_call(run, BRIM_SCRIPT_VIEWER_RESPONSE, &rig_call),
                     BRIM_SCRIPT_ERROR);
    brim_script_run_end(run);
    ck_assert(!ask(vm, "0"));
    ck_assert(ask(vm, "0"));
    brim_script_vm_close(vm);
    rig_clean();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("policy.script_keep");
    TCase *tcase = tcase_create("script_keep");

    tcase_add_loop_test(tcase, every_request_finds_the_file_as_new, 0,
                        (int)(sizeof(files) / sizeof(files[0])));
    tcase_add_test(tcase, a_trace_now_and_then_is_seen);
    tcase_add_test(tcase, requests_at_the_same_time_share_nothing);
    tcase_add_test(tcase, an_error_ends_what_was_kept);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
