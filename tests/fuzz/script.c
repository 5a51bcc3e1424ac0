/* SPDX-License-Identifier: MIT */
/*
 * A handler's file: it is compiled and called with small budgets, and comes back whatever it says.
 */
#include "brim/policy/script.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"

static void drop_log(void *ctx, enum brim_log_level level, struct brim_str text)
{
    (void)ctx;
    (void)level;
    (void)text;
}

static int push_nothing(struct lua_State *L, void *ctx)
{
    (void)L;
    (void)ctx;
    return 0;
}

static void take_nothing(struct lua_State *L, void *ctx)
{
    (void)L;
    (void)ctx;
}

static void call(struct brim_script_vm *vm)
{
    static const struct brim_script_call nothing = {.push = push_nothing, .take = take_nothing};
    struct brim_script_run *run = brim_script_run_begin(vm);

    if (run == NULL)
        return;
    (void)brim_script_run_call(run, BRIM_SCRIPT_VIEWER_REQUEST, &nothing);
    brim_script_run_end(run);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct brim_script_host host = {.log = drop_log};
    static int fd = -1;
    static char path[64], error[1024];
    struct brim_script_config config = {
        .file = path,
        .limits = {.cpu_us = 5000, .wall_ms = 1000, .memory_bytes = 1u << 20, .vm_bytes = 8u << 20},
    };
    struct brim_script_vm *vm;

    if (fd == -1) {
        fd = memfd_create("handlers", 0);
        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        brim_script_host_use_system(&host);
    }
    INVARIANT(fd >= 0 && ftruncate(fd, 0) == 0);
    INVARIANT(pwrite(fd, data, size, 0) == (ssize_t)size);
    if (brim_script_vm_open(&config, &host, error, sizeof(error), &vm) != BRIM_OK) {
        INVARIANT(error[0] != '\0');
        return 0;
    }
    call(vm);
    brim_script_vm_close(vm);
    return 0;
}
