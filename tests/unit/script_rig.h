/* SPDX-License-Identifier: MIT */
/*
 * script_rig - a VM from a text, for the runners of policy/script*.
 */
#ifndef BRIM_TESTS_SCRIPT_RIG_H
#define BRIM_TESTS_SCRIPT_RIG_H

#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "brim/base/clock.h"
#include "brim/policy/script.h"

static char rig_log[512];

static uint64_t rig_mono(void *ctx)
{
    (void)ctx;
    return brim_clock_mono_us();
}

static int64_t rig_wall(void *ctx)
{
    (void)ctx;
    return 1700000000123;
}

static enum brim_err rig_random(void *ctx, void *bytes_out, size_t bytes)
{
    (void)ctx;
    memset(bytes_out, 7, bytes);
    return BRIM_OK;
}

static void rig_write_log(void *ctx, enum brim_log_level level, struct brim_str text)
{
    (void)ctx;
    (void)snprintf(rig_log, sizeof(rig_log), "%d %.*s", (int)level, (int)text.len, text.base);
}

static const struct brim_script_host rig_host = {
    .now_mono_us = rig_mono,
    .now_wall_ms = rig_wall,
    .random = rig_random,
    .log = rig_write_log,
};

/* What is stopped for another reason than its CPU time takes 10 ms of it, on a quiet machine and
 * without a sanitizer; what is stopped for that takes all, each time. */
#define RIG_CPU_US       150000
#define RIG_CPU_LEAST_US 40000

static struct brim_script_limits rig_limits = {.cpu_us = RIG_CPU_US,
                                               .wall_ms = 5000,
                                               .memory_bytes = 4u << 20,
                                               .vm_bytes = 32u << 20,
                                               .fetch_bytes = 1000,
                                               .fetches = 8};

/* Writes text to PATH. */
static inline void rig_write(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(text, file), 0);
    ck_assert_int_eq(fclose(file), 0);
}

/* A directory of this test's own, removed with what it holds by rig_clean(). */
static char rig_dir_path[32];

static inline char *rig_dir(void)
{
    if (rig_dir_path[0] == '\0') {
        (void)snprintf(rig_dir_path, sizeof(rig_dir_path), "/tmp/brim-script-XXXXXX");
        ck_assert_ptr_nonnull(mkdtemp(rig_dir_path));
    }
    return rig_dir_path;
}

static inline const char *rig_path(const char *name)
{
    static char path[128];

    (void)snprintf(path, sizeof(path), "%s/%s", rig_dir(), name);
    return path;
}

static inline enum brim_err rig_open(const char *source, char *error, size_t error_bytes,
                                     struct brim_script_vm **vm_out)
{
    static const char *const env[] = {"SECRET", "s3cret", NULL};
    struct brim_script_config config = {.limits = rig_limits, .env = env};
    enum brim_err err;

    rig_write(rig_path("main.lua"), source);
    config.file = rig_path("main.lua");
    err = brim_script_vm_open(&config, &rig_host, error, error_bytes, vm_out);
    (void)unlink(rig_path("main.lua"));
    return err;
}

static inline struct brim_script_vm *rig_vm(const char *source)
{
    struct brim_script_vm *vm = NULL;
    char error[1024];
    enum brim_err err = rig_open(source, error, sizeof(error), &vm);

    ck_assert_msg(err == BRIM_OK, "%s", error);
    return vm;
}

static inline void rig_clean(void)
{
    (void)rmdir(rig_dir());
    rig_dir_path[0] = '\0';
}

/* ---- calls without arguments; the results as one text ---- */

static char rig_result[256];

static int rig_push(lua_State *L, void *ctx)
{
    (void)L;
    (void)ctx;
    return 0;
}

static void rig_take(lua_State *L, void *ctx)
{
    size_t at = 0;

    (void)ctx;
    rig_result[0] = '\0';
    for (int i = BRIM_SCRIPT_RESULT; i <= lua_gettop(L); i++) {
        int len = snprintf(rig_result + at, sizeof(rig_result) - at, "%s%s", at > 0 ? " " : "",
                           luaL_tolstring(L, i, NULL));

        at += (size_t)len;
        lua_pop(L, 1);
    }
}

static const struct brim_script_call rig_call = {.push = rig_push, .take = rig_take};

#endif
