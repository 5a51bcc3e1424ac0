/* SPDX-License-Identifier: MIT */
/*
 * What a slice of a run (script.c) may spend, and how it is stopped.
 *
 * CPU. The hook comes every HOOK_INSTRUCTIONS. Wall time passed in a slice is never less than CPU
 * time, so the cheap clock is looked at first and the thread's clock (a system call) only when the
 * slice could be over. Work inside C functions comes in by charge(), memory given out by the
 * allocator, which calls the hook forward.
 *
 * A stop is a light userdata, raised; vm->stop stays set until the slice ends, the hook is set to
 * every instruction, and whatever catches errors for the script (script_sandbox.c) raises it again.
 */
#include <lauxlib.h>
#include <lua.h>
#include <stdlib.h>
#include <string.h>

#include "brim/base/clock.h"
#include "brim/base/invariant.h"
#include "brim/policy/script_inside.h"

#define HOOK_INSTRUCTIONS 200
#define WORK_CHECKED      (64u * 1024u)  /* units between two looks at the clock */
#define GROWN_CHECKED     (256u * 1024u) /* bytes given out, likewise */
#define HOOKLESS_US_MAX   100u /* a slice without a hook was short, whatever the wall says */
#define UNITS_PER_US      1000u

/* What stays in most VMs is the library, and a cycle walks it; a VM that keeps more than a few MiB
 * must not let its garbage grow to a multiple of that. */
#define GC_PAUSE_SMALL_PERCENT 800
#define GC_PAUSE_LARGE_PERCENT 200
#define GC_SMALL_BYTES         (4u * 1024u * 1024u)

const char *brim_script_end_name(enum brim_script_end end)
{
    static const char *const names[] = {
        [BRIM_SCRIPT_OK] = "ok",     [BRIM_SCRIPT_ERROR] = "error",   [BRIM_SCRIPT_CPU] = "cpu",
        [BRIM_SCRIPT_WALL] = "wall", [BRIM_SCRIPT_MEMORY] = "memory", [BRIM_SCRIPT_WAIT] = "wait",
    };

    INVARIANT(end < BRIM_SCRIPT_ENDS);
    return names[end];
}

static void on_hook(lua_State *L, lua_Debug *info);

static int hook_mask(const struct brim_script_vm *vm)
{
    return LUA_MASKCOUNT | (vm->lines != NULL ? LUA_MASKLINE : 0) |
           (vm->is_tried ? LUA_MASKCALL : 0);
}

void brim_script_hook(const struct brim_script_vm *vm, lua_State *L, enum brim_script_pace pace)
{
    lua_sethook(L, on_hook, hook_mask(vm), pace == BRIM_SCRIPT_AT_ONCE ? 1 : HOOK_INSTRUCTIONS);
}

void brim_script_stop(lua_State *L, enum brim_script_end why)
{
    struct brim_script_vm *vm = brim_script_vm_of(L);

    vm->stop = why;
    brim_script_hook(vm, L, BRIM_SCRIPT_AT_ONCE); /* what goes on nevertheless is stopped at once */
    lua_pushlightuserdata(L, vm);
    (void)lua_error(L);
    abort(); /* lua_error does not return */
}

void brim_script_check_stop(lua_State *L)
{
    enum brim_script_end stop = brim_script_vm_of(L)->stop;

    if (stop != BRIM_SCRIPT_OK)
        brim_script_stop(L, stop);
}

/* Looks at both clocks, and says when it is worth looking again: CPU time runs no faster than the
 * wall's. */
static void check_clocks(lua_State *L, struct brim_script_vm *vm)
{
    struct brim_script_run *run = vm->current;
    uint64_t left, now, elapsed, cpu;

    now = brim_clock_mono_us();
    elapsed = now - vm->slice_mono_us;
    left = run->cpu_us < vm->limits.cpu_us ? vm->limits.cpu_us - run->cpu_us : 0;
    cpu = brim_clock_thread_cpu_us();
    if (vm->slice_cpu_us == 0)
        vm->slice_cpu_us = cpu - (elapsed < HOOKLESS_US_MAX ? elapsed : HOOKLESS_US_MAX);
    if (cpu - vm->slice_cpu_us >= left)
        brim_script_stop(L, BRIM_SCRIPT_CPU);
    if (now >= run->deadline_mono_us)
        brim_script_stop(L, BRIM_SCRIPT_WALL);
    left -= cpu - vm->slice_cpu_us;
    vm->look_mono_us = now + left;
    if (vm->look_mono_us > run->deadline_mono_us)
        vm->look_mono_us = run->deadline_mono_us;
}

/* The common case costs one read of the cheap clock. */
static void check(lua_State *L, struct brim_script_vm *vm)
{
    if (vm->stop != BRIM_SCRIPT_OK)
        brim_script_stop(L, vm->stop);
    vm->work = 0;
    vm->grown = 0;
    if (vm->current == NULL)
        return;
    if (vm->slice_cpu_us == 0 || brim_clock_mono_us() >= vm->look_mono_us)
        check_clocks(L, vm);
}

static void on_line(struct brim_script_vm *vm, lua_State *L, lua_Debug *info)
{
    if (lua_getinfo(L, "S", info) != 0 && strcmp(info->source + 1, vm->file) == 0 &&
        info->currentline > 0 && (size_t)info->currentline < vm->line_count)
        vm->lines[info->currentline] = 1;
}

static void on_hook(lua_State *L, lua_Debug *info)
{
    struct brim_script_vm *vm = brim_script_vm_of(L);

    if (info->event == LUA_HOOKLINE) {
        on_line(vm, L, info);
        return;
    }
    if (info->event == LUA_HOOKCALL || info->event == LUA_HOOKTAILCALL) {
        brim_script_keep_on_call(L, info);
        return;
    }
    check(L, vm);
    if (lua_gethookcount(L) != HOOK_INSTRUCTIONS)
        brim_script_hook(vm, L, BRIM_SCRIPT_AS_USUAL);
}

void brim_script_charge_slice(lua_State *L, size_t units)
{
    struct brim_script_vm *vm = brim_script_vm_of(L);

    if (vm->stop != BRIM_SCRIPT_OK)
        brim_script_stop(L, vm->stop);
    if (vm->current == NULL)
        return;
    /* What cannot be done in the whole budget is not begun. */
    if (units / UNITS_PER_US >= vm->limits.cpu_us)
        brim_script_stop(L, BRIM_SCRIPT_CPU);
    vm->work += units < WORK_CHECKED ? units : WORK_CHECKED;
    if (vm->work >= WORK_CHECKED)
        check(L, vm);
}

void *brim_script_allocate(void *ctx, void *memory, size_t old_bytes, size_t new_bytes)
{
    struct brim_script_vm *vm = ctx;
    size_t had = memory == NULL ? 0 : old_bytes; /* else it is the kind of object */
    void *moved;

    if (new_bytes == 0) {
        brim_script_arena_free(&vm->arena, memory, had);
        vm->used -= had;
        return NULL;
    }
    if (new_bytes > had && vm->used + (new_bytes - had) > vm->used_max)
        return NULL;
    moved = memory == NULL ? brim_script_arena_take(&vm->arena, new_bytes)
                           : brim_script_arena_resize(&vm->arena, memory, had, new_bytes);
    if (moved == NULL)
        return NULL;
    vm->used = vm->used - had + new_bytes;
    if (new_bytes > had && vm->current != NULL) {
        vm->grown += new_bytes - had;
        if (vm->grown >= GROWN_CHECKED && vm->running != NULL)
            brim_script_hook(vm, vm->running, BRIM_SCRIPT_AT_ONCE);
    }
    return moved;
}

/* ---- slices ---- */

void brim_script_slice_begin(struct brim_script_run *run)
{
    struct brim_script_vm *vm = run->vm;
    size_t left = run->grown < vm->limits.memory_bytes ? vm->limits.memory_bytes - run->grown : 0;
    size_t room = vm->used + left;

    INVARIANT(vm->current == NULL);
    vm->current = run;
    vm->running = run->co;
    vm->stop = BRIM_SCRIPT_OK;
    vm->may_wait = true;
    vm->is_waiting = false;
    vm->slice_mono_us = brim_clock_mono_us();
    vm->slice_cpu_us = 0;
    vm->work = vm->grown = 0;
    vm->used_max = room < vm->limits.vm_bytes ? room : vm->limits.vm_bytes;
    if (run->deadline_mono_us == 0)
        run->deadline_mono_us = vm->slice_mono_us + vm->limits.wall_ms * 1000;
    brim_script_hook(vm, run->co, BRIM_SCRIPT_AS_USUAL);
}

void brim_script_set_pause(struct brim_script_vm *vm)
{
    vm->is_large = vm->used > GC_SMALL_BYTES;
    (void)lua_gc(vm->main, LUA_GCINC,
                 vm->is_large ? GC_PAUSE_LARGE_PERCENT : GC_PAUSE_SMALL_PERCENT, 0, 0);
}

void brim_script_slice_end(struct brim_script_run *run, size_t used_before)
{
    struct brim_script_vm *vm = run->vm;
    uint64_t elapsed = brim_clock_mono_us() - vm->slice_mono_us;

    if (vm->slice_cpu_us != 0)
        run->cpu_us += brim_clock_thread_cpu_us() - vm->slice_cpu_us;
    else
        run->cpu_us += elapsed < HOOKLESS_US_MAX ? elapsed : HOOKLESS_US_MAX;
    if (vm->used > used_before)
        run->grown += vm->used - used_before;
    vm->current = NULL;
    vm->running = NULL;
    if (!run->is_waiting)
        memset(run->lent, 0, sizeof(run->lent));
    vm->used_max = SIZE_MAX;
    vm->stop = BRIM_SCRIPT_OK;
    if ((vm->used > GC_SMALL_BYTES) != vm->is_large)
        brim_script_set_pause(vm);
}
