/* SPDX-License-Identifier: MIT */
#include "brim/policy/script_file.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "unit.h"

#include "script_rig.h"

static char *run(struct brim_script_files *files)
{
    struct brim_script_config config = {.limits = rig_limits, .files = files};
    struct brim_script_vm *vm = NULL;
    struct brim_script_run *one;
    char error[1024], main_path[128];

    (void)snprintf(main_path, sizeof(main_path), "%s", rig_path("main.lua"));
    config.file = main_path;
    ck_assert_msg(brim_script_vm_open(&config, &rig_host, error, sizeof(error), &vm) == BRIM_OK,
                  "%s", error);
    one = brim_script_run_begin(vm);
    ck_assert_int_eq(brim_script_run_call(one, BRIM_SCRIPT_VIEWER_REQUEST, &rig_call),
                     BRIM_SCRIPT_OK);
    brim_script_run_end(one);
    brim_script_vm_close(vm);
    return rig_result;
}

static void write_both(const char *word)
{
    char text[256];

    (void)snprintf(text, sizeof(text),
                   "return {viewer_request = function() return '%s', require('part') end}", word);
    rig_write(rig_path("main.lua"), text);
    (void)snprintf(text, sizeof(text), "return '%s'", word);
    rig_write(rig_path("part.lua"), text);
}

START_TEST(what_was_read_first_runs_whatever_becomes_of_the_files)
{
    struct brim_script_files *first = brim_script_files_new();
    struct brim_script_files *second = brim_script_files_new();

    write_both("old");
    ck_assert_str_eq(run(first), "old old");
    write_both("new");
    ck_assert_str_eq(run(first), "old old");
    ck_assert_str_eq(run(second), "new new");
    (void)unlink(rig_path("main.lua"));
    (void)unlink(rig_path("part.lua"));
    ck_assert_str_eq(run(first), "old old");
    brim_script_files_free(first);
    brim_script_files_free(second);
    brim_script_files_free(NULL);
}
END_TEST

START_TEST(what_cannot_be_read_is_not_kept)
{
    struct brim_script_files *files = brim_script_files_new();
    struct brim_str text;

    ck_assert_int_eq(brim_script_files_read(files, "a", "/nowhere/a", &text), BRIM_EIO);
    ck_assert(!brim_script_files_find(files, "a", &text));
    ck_assert_int_eq(brim_script_files_read(files, "a", "/etc/passwd", &text), BRIM_OK);
    ck_assert_int_eq(brim_script_files_read(files, "a", "/nowhere/a", &text), BRIM_OK);
    ck_assert(brim_script_files_find(files, "a", &text));
    ck_assert_uint_gt(text.len, 0);
    brim_script_files_free(files);
}
END_TEST

/* A pipe would have check, and a reload, wait for somebody who writes into it. */
START_TEST(a_module_that_is_a_pipe_is_refused)
{
    struct brim_script_files *files = brim_script_files_new();
    struct brim_script_config config = {.limits = rig_limits, .files = files};
    struct brim_script_vm *vm = NULL;
    char error[1024], main_path[128];

    (void)snprintf(main_path, sizeof(main_path), "%s", rig_path("main.lua"));
    config.file = main_path;
    rig_write(main_path, "require('pipe') return {}");
    ck_assert_int_eq(mkfifo(rig_path("pipe.lua"), 0600), 0);
    ck_assert_int_ne(brim_script_vm_open(&config, &rig_host, error, sizeof(error), &vm), BRIM_OK);
    ck_assert_ptr_nonnull(strstr(error, "\"pipe\" cannot be read"));
    (void)unlink(rig_path("pipe.lua"));
    brim_script_files_free(files);
}
END_TEST

START_TEST(modules_stand_beside_the_file_unless_told)
{
    static const char *const cases[][3] = {{"/a/b.lua", NULL, "/a"},
                                           {"b.lua", "", "."},
                                           {"/b.lua", NULL, "/"},
                                           {"/a/b.lua", "/c", "/c"}};
    char *root = brim_script_file_root(cases[_i][0], cases[_i][1]);

    ck_assert_str_eq(root, cases[_i][2]);
    free(root);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("policy.script_file");
    TCase *tcase = tcase_create("files");

    tcase_add_test(tcase, what_was_read_first_runs_whatever_becomes_of_the_files);
    tcase_add_test(tcase, what_cannot_be_read_is_not_kept);
    tcase_add_test(tcase, a_module_that_is_a_pipe_is_refused);
    tcase_add_loop_test(tcase, modules_stand_beside_the_file_unless_told, 0, 4);
    tcase_add_unchecked_fixture(tcase, NULL, rig_clean);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
