/* SPDX-License-Identifier: MIT */
#include "brim/policy/script.h"

#include "unit.h"

#include "script_rig.h"

#define CPU  BRIM_SCRIPT_CPU
#define FINE BRIM_SCRIPT_OK

/* ---- isolation ---- */

static const char *call(struct brim_script_vm *vm, enum brim_script_phase phase)
{
    struct brim_script_run *run = brim_script_run_begin(vm);
    enum brim_script_end end = brim_script_run_call(run, phase, &rig_call);

    if (end != BRIM_SCRIPT_OK)
        (void)snprintf(rig_result, sizeof(rig_result), "%s", brim_script_run_error(run));
    brim_script_run_end(run);
    return rig_result;
}

/* Globals, locals of the file and tables that it made: none carries anything to the next request.
 */
START_TEST(nothing_leaks_from_one_request_into_the_next)
{
    struct brim_script_vm *vm =
        rig_vm("local count, seen = 0, {}\n"
               "return {viewer_request = function()\n"
               "  count = count + 1; total = (total or 0) + 1; seen[#seen + 1] = 1\n"
               "  string = nil; print = nil\n"
               "  return count, total, #seen\n"
               "end}");

    for (int i = 0; i < 3; i++)
        ck_assert_str_eq(call(vm, BRIM_SCRIPT_VIEWER_REQUEST), "1 1 1");
    brim_script_vm_close(vm);
    rig_clean();
}
END_TEST

/* One request's phases share its locals: what viewer_request learned, viewer_response uses. */
START_TEST(the_phases_of_one_request_share_its_locals)
{
    struct brim_script_vm *vm = rig_vm("local a\n"
                                       "return {viewer_request = function() a = 7 end,\n"
                                       "viewer_response = function() return a end}");
    struct brim_script_run *run = brim_script_run_begin(vm);

    ck_assert_int_eq(brim_script_run_call(run, BRIM_SCRIPT_VIEWER_REQUEST, &rig_call), FINE);
    ck_assert_int_eq(brim_script_run_call(run, BRIM_SCRIPT_VIEWER_RESPONSE, &rig_call), FINE);
    ck_assert_str_eq(rig_result, "7");
    brim_script_run_end(run);
    brim_script_vm_close(vm);
    rig_clean();
}
END_TEST

/* The budget is the request's, not the phase's. */
START_TEST(the_cpu_budget_spans_the_phases)
{
    struct brim_script_vm *vm =
        rig_vm("local function work() local t = os.clock() while os.clock() - t < 0.09 do end end\n"
               "return {viewer_request = work, viewer_response = work}");
    struct brim_script_run *run = brim_script_run_begin(vm);

    ck_assert_int_eq(brim_script_run_call(run, BRIM_SCRIPT_VIEWER_REQUEST, &rig_call), FINE);
    ck_assert_int_eq(brim_script_run_call(run, BRIM_SCRIPT_VIEWER_RESPONSE, &rig_call), CPU);
    brim_script_run_end(run);
    brim_script_vm_close(vm);
    rig_clean();
}
END_TEST

/* ---- modules ---- */

START_TEST(a_module_is_found_below_the_root_only_and_is_read_only)
{
    struct brim_script_vm *vm;

    rig_write(rig_path("words.lua"), "return {list = {'a', 'b'}, name = ...}");
    ck_assert_int_eq(symlink("/etc/hostname", rig_path("out.lua")), 0);
    vm = rig_vm("return {viewer_request = function()\n"
                "  local w = require('words')\n"
                "  local n = 0 for _ in ipairs(w.list) do n = n + 1 end\n"
                "  return w.name, #w.list, n, pcall(function() w.list[1] = 'x' end) end,\n"
                "viewer_response = function() return require('out') end}");
    ck_assert_ptr_nonnull(strstr(call(vm, BRIM_SCRIPT_VIEWER_REQUEST), "words 2 2 false"));
    ck_assert_ptr_nonnull(strstr(call(vm, BRIM_SCRIPT_VIEWER_REQUEST), "read-only"));
    ck_assert_ptr_nonnull(strstr(call(vm, BRIM_SCRIPT_VIEWER_RESPONSE), "leads out"));
    brim_script_vm_close(vm);
    (void)unlink(rig_path("words.lua"));
    (void)unlink(rig_path("out.lua"));
    rig_clean();
}
END_TEST

/* ---- what an operator is told ---- */

START_TEST(a_file_that_does_not_load_is_refused_with_its_line)
{
    static const struct {
        const char *source, *message;
    } cases[] = {
        {"return {\nviewer_request = function( end}", "main.lua:2:"},
        {"return 1", "must return a table"},
        {"return {}", "has none of"},
        {"return {viewer_request = 1}", "must be a function"},
        {"error('no')", "main.lua:1: no"},
        {"while true do end", "CPU"},
        {"\n\nlocal x = nil + 1", "main.lua:3:"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct brim_script_vm *vm = NULL;
        char error[1024];

        ck_assert_int_eq(rig_open(cases[i].source, error, sizeof(error), &vm), BRIM_EINVAL);
        ck_assert_msg(strstr(error, cases[i].message) != NULL, "%s", error);
        ck_assert_ptr_null(vm);
    }
    rig_clean();
}
END_TEST

START_TEST(an_error_has_file_line_and_traceback)
{
    struct brim_script_vm *vm = rig_vm("local function inner()\n  error('broken')\nend\n"
                                       "return {viewer_request = function()\n  inner()\nend}");
    const char *error = call(vm, BRIM_SCRIPT_VIEWER_REQUEST);

    ck_assert_ptr_nonnull(strstr(error, "main.lua:2: broken"));
    ck_assert_ptr_nonnull(strstr(error, "main.lua:5: in function"));
    brim_script_vm_close(vm);
    rig_clean();
}
END_TEST

START_TEST(ordinary_code_runs_as_anywhere)
{
    struct brim_script_vm *vm = rig_vm(
        "#!/usr/bin/lua\n"
        "local s = 'k1=v1, k2=v2'\n"
        "return {viewer_request = function()\n"
        "  local n = {} for k, v in s:gmatch('(%w+)=(%w+)') do n[#n + 1] = k .. v end\n"
        "  assert(s:find('k2', 1, true) == 8 and s:match('()k2') == 8)\n"
        "  assert(s:gsub('%d', '<%0>') == 'k<1>=v<1>, k<2>=v<2>')\n"
        "  assert(('THE (quick) fox'):find('%((%a+)%)') == 5)\n"
        "  assert(('x'):rep(3, ',') == 'x,x,x' and ('abc'):gsub('', '-') == '-a-b-c-')\n"
        "  assert(('  trim '):match('^%s*(.-)%s*$') == 'trim')\n"
        "  assert(('THE (quick) fox'):gsub('%f[%a]%a+', string.lower) == 'the (quick) fox')\n"
        "  assert(('hello world'):gsub('(o)', {o = '0'}) == 'hell0 w0rld')\n"
        "  assert(('f(a(b)c)d'):match('%b()') == '(a(b)c)' and ('aa bb'):match('(%a)%1 (%a)%2'))\n"
        "  assert(not pcall(error) and select('#', xpcall(error, tostring, 'x')) == 2)\n"
        "  local co = coroutine.wrap(function(a) local b = coroutine.yield(a + 1) return b * 2 "
        "end)\n"
        "  assert(co(1) == 2 and co(4) == 8)\n"
        "  assert(os.time() == 1700000000 and os.date('!%Y') == '2023')\n"
        "  assert(load('return a', 'x', 't', {a = 5})() == 5)\n"
        "  local t = {3, 1, 2} table.sort(t) table.insert(t, 4)\n"
        "  brim.log('warn', 'a', 1, nil)\n"
        "  return table.concat(n, ';'), table.concat(t), brim.env.SECRET\n"
        "end}");

    ck_assert_str_eq(call(vm, BRIM_SCRIPT_VIEWER_REQUEST), "k1v1;k2v2 1234 s3cret");
    ck_assert_str_eq(rig_log, "1 a 1 nil");
    brim_script_vm_close(vm);
    rig_clean();
}
END_TEST

/* Memory of thousands of requests, also failing ones, is given back. */
START_TEST(memory_is_flat_over_many_requests)
{
    struct brim_script_vm *vm = rig_vm(
        "return {viewer_request = function() local t = {} for i = 1, 50 do t[i] = 'x' .. i end "
        "end, viewer_response = function() error({}) end}");
    size_t bytes = 0;

    for (int i = 0; i < 4000; i++) {
        (void)call(vm, BRIM_SCRIPT_VIEWER_REQUEST);
        (void)call(vm, BRIM_SCRIPT_VIEWER_RESPONSE);
        if (i == 1000)
            bytes = brim_script_vm_bytes(vm);
    }
    ck_assert_uint_lt(brim_script_vm_bytes(vm), bytes * 3);
    brim_script_vm_close(vm);
    rig_clean();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("policy.script");
    TCase *tcase = tcase_create("script");

    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, nothing_leaks_from_one_request_into_the_next);
    tcase_add_test(tcase, the_phases_of_one_request_share_its_locals);
    tcase_add_test(tcase, the_cpu_budget_spans_the_phases);
    tcase_add_test(tcase, a_module_is_found_below_the_root_only_and_is_read_only);
    tcase_add_test(tcase, a_file_that_does_not_load_is_refused_with_its_line);
    tcase_add_test(tcase, an_error_has_file_line_and_traceback);
    tcase_add_test(tcase, ordinary_code_runs_as_anywhere);
    tcase_add_test(tcase, memory_is_flat_over_many_requests);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
