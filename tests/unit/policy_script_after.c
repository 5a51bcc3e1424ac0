/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include "script_rig.h"

/* What the phase did, and what became of the functions that it left. */
static const struct later {
    const char *name, *body;
    enum brim_script_end end, after;
    const char *log, *error; /* NULL: none */
} cases[] = {
    {"one", "brim.after(function() brim.log('info', 'later') end) brim.log('info', 'now')",
     BRIM_SCRIPT_OK, BRIM_SCRIPT_OK, "later", NULL},
    {"none", "brim.log('info', 'now')", BRIM_SCRIPT_OK, BRIM_SCRIPT_OK, "now", NULL},
    {"in order",
     "local s = '' for i = 1, 3 do brim.after(function() s = s .. i "
     "brim.log('info', s) end) end",
     BRIM_SCRIPT_OK, BRIM_SCRIPT_OK, "123", NULL},
    {"an error ends them",
     "brim.after(function() error('broken') end) "
     "brim.after(function() brim.log('info', 'never') end) "
     "brim.log('info', 'now')",
     BRIM_SCRIPT_OK, BRIM_SCRIPT_ERROR, "now", "main.lua:1: broken"},
    {"a loop is stopped", "brim.after(function() while true do end end)", BRIM_SCRIPT_OK,
     BRIM_SCRIPT_CPU, NULL, "CPU budget"},
    {"memory", "brim.after(function() local s = ('x'):rep(1e7) end)", BRIM_SCRIPT_OK,
     BRIM_SCRIPT_MEMORY, NULL, "memory"},
    {"a failed handler has no later",
     "brim.after(function() brim.log('info', 'never') end) "
     "brim.log('info', 'now') error('x')",
     BRIM_SCRIPT_ERROR, BRIM_SCRIPT_OK, "now", NULL},
    {"not in itself", "brim.after(function() brim.after(print) end)", BRIM_SCRIPT_OK,
     BRIM_SCRIPT_ERROR, NULL, "not in a function that runs after"},
    {"no fetch", "brim.after(function() brim.fetch('/a') end)", BRIM_SCRIPT_OK, BRIM_SCRIPT_ERROR,
     NULL, "not available"},
    {"no yield", "brim.after(function() coroutine.yield() end)", BRIM_SCRIPT_OK, BRIM_SCRIPT_ERROR,
     NULL, "yield"},
    {"no function", "brim.after(1)", BRIM_SCRIPT_ERROR, BRIM_SCRIPT_OK, NULL, NULL},
    {"too many", "for i = 1, 17 do brim.after(function() end) end", BRIM_SCRIPT_ERROR,
     BRIM_SCRIPT_OK, NULL, NULL},
};

START_TEST(what_is_left_runs_once_and_within_the_budgets)
{
    const struct later *c = &cases[_i];
    char source[1024];

    (void)snprintf(source, sizeof(source), "return {viewer_request = function() %s end}", c->body);
    struct brim_script_vm *vm = rig_vm(source);

    for (int round = 0; round < 3; round++) { /* the run is used again */
        struct brim_script_run *run = brim_script_run_begin(vm);

        rig_log[0] = '\0';
        ck_assert_int_eq(brim_script_run_call(run, BRIM_SCRIPT_VIEWER_REQUEST, &rig_call), c->end);
        ck_assert_int_eq(brim_script_run_after(run), c->after);
        if (c->error != NULL)
            ck_assert_msg(strstr(brim_script_run_error(run), c->error) != NULL, "%s: %s", c->name,
                          brim_script_run_error(run));
        if (c->log != NULL)
            ck_assert_msg(strstr(rig_log, c->log) != NULL, "%s: %s", c->name, rig_log);
        ck_assert_ptr_null(strstr(rig_log, "never"));
        brim_script_run_end(run);
    }
    brim_script_vm_close(vm);
}
END_TEST

START_TEST(not_while_loading_and_not_in_origin_response)
{
    struct brim_script_vm *vm;
    char error[1024];

    ck_assert_int_eq(
        rig_open("brim.after(print) return {viewer_request = print}", error, sizeof(error), &vm),
        BRIM_EINVAL);
    ck_assert_ptr_nonnull(strstr(error, "while the file is loaded"));
    vm = rig_vm("return {origin_response = function() brim.after(function() end) end}");
    struct brim_script_run *run = brim_script_run_begin(vm);
    ck_assert_int_eq(brim_script_run_call(run, BRIM_SCRIPT_ORIGIN_RESPONSE, &rig_call),
                     BRIM_SCRIPT_ERROR);
    ck_assert_ptr_nonnull(strstr(brim_script_run_error(run), "no client"));
    brim_script_run_end(run);
    brim_script_vm_close(vm);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("policy.script_after");
    TCase *tcase = tcase_create("after");

    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, what_is_left_runs_once_and_within_the_budgets, 0,
                        (int)(sizeof(cases) / sizeof(cases[0])));
    tcase_add_test(tcase, not_while_loading_and_not_in_origin_response);
    tcase_add_unchecked_fixture(tcase, NULL, rig_clean);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
