/* SPDX-License-Identifier: MIT */
/*
 * A slice is one entry into Lua: lua_resume of the run's coroutine with enter() as its function.
 * Everything that can raise happens in there: making the environment, running the chunk, pushing
 * arguments, the handler, reading results.
 *
 *   run_begin: takes a coroutine
 *   run_call:  slice, unless the run has them: chunk(env) -> the functions of all phases, which
 * stay at the bottom of the coroutine's stack slice: function(push...) -> take run_end:   puts the
 * coroutine back, or closes it
 *
 * A handler that waits (script_fetch.c) yields out of the run's coroutine, through those that it
 * made itself (script_sandbox.c): the slice ends, and the next one, run_resume, goes on in there.
 *
 * CPU. The hook comes every HOOK_INSTRUCTIONS. Wall time passed in a slice is never less than CPU
 * time, so the cheap clock is looked at first and the thread's clock (a system call) only when the
 * slice could be over. Work inside C functions comes in by charge(), memory given out by the
 * allocator, which calls the hook forward. The chunk is wrapped: `local _ENV = ...` on its first
 * line, so each run of it has closures over an environment of its own.
 *
 * A stop is a light userdata, raised; vm->stop stays set until the slice ends, the hook is set to
 * every instruction, and whatever catches errors for the script (script_sandbox.c) raises it again.
 */
#include "brim/policy/script.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>
#include <stdlib.h>

#include "brim/base/clock.h"
#include "brim/base/invariant.h"
#include "brim/policy/script_file.h"
#include "brim/policy/script_http.h"
#include "brim/policy/script_inside.h"

#define HOOK_INSTRUCTIONS 200
#define WORK_CHECKED      (64u * 1024u)  /* units between two looks at the clock */
#define GROWN_CHECKED     (256u * 1024u) /* bytes given out, likewise */
#define HOOKLESS_US_MAX   100u /* a slice without a hook was short, whatever the wall says */
#define LOAD_CPU_US       (1000u * 1000u)
#define LOAD_WALL_MS      60000u /* a file that is run waits for nobody: only its CPU counts */
#define UNITS_PER_US      1000u
/* What stays in most VMs is the library, and a cycle walks it; a VM that keeps more than a few MiB
 * must not let its garbage grow to a multiple of that. */
#define GC_PAUSE_SMALL_PERCENT 800
#define GC_PAUSE_LARGE_PERCENT 200
#define GC_SMALL_BYTES         (4u * 1024u * 1024u)

static const char env_prefix[] = "local _ENV = ...; ";

static const char *const phase_names[] = {
    [BRIM_SCRIPT_VIEWER_REQUEST] = "viewer_request",
    [BRIM_SCRIPT_ORIGIN_REQUEST] = "origin_request",
    [BRIM_SCRIPT_ORIGIN_RESPONSE] = "origin_response",
    [BRIM_SCRIPT_VIEWER_RESPONSE] = "viewer_response",
};

const char *brim_script_phase_name(enum brim_script_phase phase)
{
    INVARIANT(phase < BRIM_SCRIPT_PHASES);
    return phase_names[phase];
}

const char *brim_script_end_name(enum brim_script_end end)
{
    static const char *const names[] = {
        [BRIM_SCRIPT_OK] = "ok",     [BRIM_SCRIPT_ERROR] = "error",   [BRIM_SCRIPT_CPU] = "cpu",
        [BRIM_SCRIPT_WALL] = "wall", [BRIM_SCRIPT_MEMORY] = "memory", [BRIM_SCRIPT_WAIT] = "wait",
    };

    INVARIANT(end < BRIM_SCRIPT_ENDS);
    return names[end];
}

struct brim_script_vm *brim_script_vm_of(lua_State *L)
{
    struct brim_script_vm *vm = (struct brim_script_vm *)brim_script_host_of(L);

    OBJ_CHECK(vm, BRIM_SCRIPT_VM_MAGIC);
    return vm;
}

/* ---- budgets ---- */

static void on_hook(lua_State *L, lua_Debug *info);

static int hook_mask(const struct brim_script_vm *vm)
{
    return LUA_MASKCOUNT | (vm->lines != NULL ? LUA_MASKLINE : 0) |
           (vm->is_tried ? LUA_MASKCALL : 0);
}

void brim_script_stop(lua_State *L, enum brim_script_end why)
{
    struct brim_script_vm *vm = brim_script_vm_of(L);

    vm->stop = why;
    lua_sethook(L, on_hook, hook_mask(vm), 1); /* what goes on nevertheless is stopped at once */
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
        lua_sethook(L, on_hook, hook_mask(vm), HOOK_INSTRUCTIONS);
}

static void charge(lua_State *L, size_t units)
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

static void *allocate(void *ctx, void *memory, size_t old_bytes, size_t new_bytes)
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
            lua_sethook(vm->running, on_hook, hook_mask(vm), 1);
    }
    return moved;
}

/* ---- slices ---- */

static void slice_begin(struct brim_script_run *run)
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
    lua_sethook(run->co, on_hook, hook_mask(vm), HOOK_INSTRUCTIONS);
}

static void set_pause(struct brim_script_vm *vm)
{
    vm->is_large = vm->used > GC_SMALL_BYTES;
    (void)lua_gc(vm->main, LUA_GCINC,
                 vm->is_large ? GC_PAUSE_LARGE_PERCENT : GC_PAUSE_SMALL_PERCENT, 0, 0);
}

static void slice_end(struct brim_script_run *run, size_t used_before)
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
        set_pause(vm);
}

/* Sees what the chunk calls (script_keep.c); an error ends that too, in try_chunk(). */
static void call_chunk(lua_State *L, struct brim_script_vm *vm)
{
    if (vm->is_trial) {
        vm->is_tried = true;
        lua_sethook(L, on_hook, hook_mask(vm), HOOK_INSTRUCTIONS);
    }
    lua_call(L, 1, 1);
    if (vm->is_trial) {
        vm->is_tried = false;
        lua_sethook(L, on_hook, hook_mask(vm), HOOK_INSTRUCTIONS);
    }
}

/* Replaces the table on top by the functions that it has for the phases. */
static void spread(lua_State *L, const struct brim_script_vm *vm)
{
    int table = lua_gettop(L);

    luaL_checkstack(L, BRIM_SCRIPT_PHASES, NULL);
    for (int i = 0; i < BRIM_SCRIPT_PHASES; i++) {
        int type;

        lua_pushstring(L, phase_names[i]);
        type = lua_rawget(L, table);
        if (type != LUA_TFUNCTION && type != LUA_TNIL)
            luaL_error(L, "%s: %s must be a function", vm->file, phase_names[i]);
    }
    lua_remove(L, table);
}

/* (run) -> the functions of the phases, or nil: what the chunk returns in a fresh environment. */
static int load(lua_State *L)
{
    struct brim_script_run *run = lua_touserdata(L, 1);
    struct brim_script_vm *vm = run->vm;

    lua_createtable(L, 0, 0);
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->env_meta);
    lua_setmetatable(L, -2);
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->chunk);
    lua_pushvalue(L, -2);
    call_chunk(L, vm);
    if (lua_type(L, -1) != LUA_TTABLE)
        luaL_error(L, "%s: must return a table of handlers, not %s", vm->file,
                   luaL_typename(L, -1));
    spread(L, vm);
    if (vm->keeps)
        brim_script_keep_note(L, run);
    return BRIM_SCRIPT_PHASES;
}

static int handled(lua_State *L, int status, lua_KContext ctx)
{
    struct brim_script_run *run =
        (struct brim_script_run *)ctx; // NOLINT(performance-no-int-to-ptr)

    (void)status;
    if (brim_script_vm_of(L)->current != run)
        luaL_error(L, "a handler was resumed by another request");
    run->call->take(L, run->call->ctx);
    return 0;
}

/* (run) */
static int handle_after(lua_State *L)
{
    brim_script_call_after(L, lua_touserdata(L, 1));
    return 0;
}

/* (run, handler) */
static int handle(lua_State *L)
{
    struct brim_script_run *run = lua_touserdata(L, 1);

    lua_callk(L, run->call->push(L, run->call->ctx), LUA_MULTRET, (lua_KContext)run, handled);
    return handled(L, LUA_OK, (lua_KContext)run);
}

/* The error is caught in here, not in lua_resume: only so do the hooks, which are off while one of
 * them raises, come back before <close> runs what the script left. */
static int enter_done(lua_State *L, int status, lua_KContext ctx)
{
    (void)ctx;
    if (status != LUA_OK && status != LUA_YIELD)
        return lua_error(L); /* one of memory stays one */
    return lua_gettop(L) - 1;
}

/* The function of every first slice: (brim_script_explain, function, arguments...) -> its results.
 */
static int enter(lua_State *L)
{
    return enter_done(L, lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 1, 0, enter_done), 0);
}

static enum brim_script_end end_of(struct brim_script_vm *vm, int status)
{
    if (vm->stop != BRIM_SCRIPT_OK)
        return vm->stop;
    if (status == LUA_OK)
        return BRIM_SCRIPT_OK;
    if (status == LUA_YIELD && vm->is_waiting)
        return BRIM_SCRIPT_WAIT;
    /* A yield with nobody to resume it is an error like any other. */
    return status == LUA_ERRMEM ? BRIM_SCRIPT_MEMORY : BRIM_SCRIPT_ERROR;
}

/* Ends the coroutine where it stands. */
static void close_run(struct brim_script_run *run)
{
    struct brim_script_vm *vm = run->vm;

    run->is_dead = true;
    vm->stop = BRIM_SCRIPT_CPU; /* whatever <close> still runs, it ends at once */
    vm->may_wait = false;
    lua_sethook(run->co, on_hook, hook_mask(vm), 1);
    (void)lua_resetthread(run->co);
}

/* Sees how the slice ended. */
static enum brim_script_end judge(struct brim_script_run *run, int status)
{
    struct brim_script_vm *vm = run->vm;
    enum brim_script_end end = end_of(vm, status);

    vm->used_max = SIZE_MAX; /* what follows is ours */
    run->is_waiting = end == BRIM_SCRIPT_WAIT;
    if (end != BRIM_SCRIPT_OK && end != BRIM_SCRIPT_WAIT) {
        if (status == LUA_YIELD)
            (void)snprintf(run->error, sizeof(run->error), "a handler may not yield");
        else if (run->error[0] == '\0')
            (void)snprintf(run->error, sizeof(run->error), "%s", brim_script_stop_text(end));
        close_run(run);
    }
    return end;
}

/* Goes on in the run's coroutine, with so many values on top of what is there. */
static enum brim_script_end run_slice(struct brim_script_run *run, int values)
{
    struct brim_script_vm *vm = run->vm;
    size_t used_before = vm->used;
    enum brim_script_end end;
    int results;

    run->error[0] = '\0';
    slice_begin(run);
    if (run->is_waiting && vm->slice_mono_us >= run->deadline_mono_us)
        vm->stop = BRIM_SCRIPT_WALL; /* raised where it waits */
    run->is_waiting = false;
    end = judge(run, lua_resume(run->co, vm->main, values, &results));
    slice_end(run, used_before);
    return end;
}

#define FIRST_VALUES 3 /* beside enter() itself */

/* Pushes function, to be run protected, and its first argument. */
static void push_first(struct brim_script_run *run, lua_CFunction function)
{
    lua_pushcfunction(run->co, enter);
    lua_pushcfunction(run->co, brim_script_explain);
    lua_pushcfunction(run->co, function);
    lua_pushlightuserdata(run->co, run);
}

/* Runs the chunk, whose functions stay on the coroutine's stack, if they are not there. */
static enum brim_script_end ensure_handlers(struct brim_script_run *run)
{
    enum brim_script_end end;

    if (run->has_handlers)
        return BRIM_SCRIPT_OK;
    run->call = NULL;
    push_first(run, load);
    end = run_slice(run, FIRST_VALUES);
    run->has_handlers = end == BRIM_SCRIPT_OK;
    return end;
}

/* ---- runs ---- */

static int new_thread(lua_State *L)
{
    struct brim_script_run *run = lua_touserdata(L, 1);

    run->co = lua_newthread(L);
    run->ref = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

struct brim_script_run *brim_script_run_begin(struct brim_script_vm *vm)
{
    struct brim_script_run *run;

    OBJ_CHECK(vm, BRIM_SCRIPT_VM_MAGIC);
    if (vm->spare_count > 0)
        return vm->spares[--vm->spare_count];
    run = brim_alloc(sizeof(*run));
    run->vm = vm;
    lua_pushcfunction(vm->main, new_thread);
    lua_pushlightuserdata(vm->main, run);
    if (lua_pcall(vm->main, 1, 0, 0) != LUA_OK) {
        lua_settop(vm->main, 0);
        free(run);
        return NULL;
    }
    return run;
}

static void forget_handlers(struct brim_script_run *run)
{
    lua_settop(run->co, 0);
    run->has_handlers = false;
    brim_script_keep_drop(run);
}

void brim_script_run_end(struct brim_script_run *run)
{
    struct brim_script_vm *vm;

    if (run == NULL)
        return;
    vm = run->vm;
    brim_script_end_tasks(run);
    brim_script_drop_after(run);
    if (run->is_waiting) {
        size_t used_before = vm->used;

        slice_begin(run);
        close_run(run);
        slice_end(run, used_before);
    }
    if (vm->spare_count < BRIM_SCRIPT_SPARES && !run->is_dead && lua_status(run->co) == LUA_OK) {
        if (!brim_script_keep_is_clean(run))
            forget_handlers(run);
        run->cpu_us = run->deadline_mono_us = 0;
        run->grown = 0;
        run->tasks = NULL;
        vm->spares[vm->spare_count++] = run;
        return;
    }
    brim_script_keep_drop(run);
    luaL_unref(vm->main, LUA_REGISTRYINDEX, run->ref);
    free(run);
}

enum brim_script_end brim_script_run_call(struct brim_script_run *run, enum brim_script_phase phase,
                                          const struct brim_script_call *call)
{
    enum brim_script_end end;

    INVARIANT(!run->is_dead);
    INVARIANT(!run->is_waiting);
    INVARIANT(brim_script_vm_has(run->vm, phase));
    run->phase = phase;
    end = ensure_handlers(run);
    if (end != BRIM_SCRIPT_OK)
        return end;
    run->kept = *call;
    run->call = &run->kept;
    push_first(run, handle);
    lua_pushvalue(run->co, 1 + (int)phase);
    return run_slice(run, FIRST_VALUES + 1);
}

enum brim_script_end brim_script_run_after(struct brim_script_run *run)
{
    enum brim_script_end end;

    if (run->after == 0 || run->is_dead || run->is_waiting)
        return BRIM_SCRIPT_OK;
    run->tasks = NULL; /* nobody is there to wait */
    run->deadline_mono_us = 0;
    run->is_after = true;
    push_first(run, handle_after);
    end = run_slice(run, FIRST_VALUES);
    run->is_after = false;
    return end;
}

void brim_script_run_serve(struct brim_script_run *run, const struct brim_script_tasks *tasks,
                           void *ctx)
{
    run->tasks = tasks;
    run->tasks_ctx = ctx;
}

enum brim_script_end brim_script_run_resume(struct brim_script_run *run)
{
    INVARIANT(run->is_waiting);
    return run_slice(run, 0);
}

uint64_t brim_script_run_due_us(const struct brim_script_run *run)
{
    uint64_t due = run->deadline_mono_us;

    for (unsigned i = 0; i < run->slot_count; i++)
        if (run->slots[i].task != NULL && run->slots[i].deadline_mono_us < due)
            due = run->slots[i].deadline_mono_us;
    return due;
}

bool brim_script_run_is_kept(const struct brim_script_run *run)
{
    return run->has_handlers;
}

const char *brim_script_run_error(const struct brim_script_run *run)
{
    return run->error;
}

uint64_t brim_script_run_cpu_us(const struct brim_script_run *run)
{
    return run->cpu_us;
}

/* ---- life of a VM ---- */

struct opening {
    struct brim_script_vm *vm;
    const struct brim_script_config *config;
    const char *source;
    size_t source_bytes;
};

/* The chunk with its environment as a local of its own. */
static void load_chunk(lua_State *L, const struct opening *opening)
{
    luaL_Buffer text;
    const char *source = opening->source;
    size_t bytes = opening->source_bytes;
    const char *name = lua_pushfstring(L, "@%s", opening->vm->file);

    if (bytes > 0 && source[0] == '#') { /* a line for the shell, as lua itself allows */
        const char *end = memchr(source, '\n', bytes);

        bytes = end == NULL ? 0 : bytes - (size_t)(end - source);
        source = end;
    }
    luaL_buffinit(L, &text);
    luaL_addlstring(&text, env_prefix, sizeof(env_prefix) - 1);
    if (bytes > 0)
        luaL_addlstring(&text, source, bytes);
    luaL_pushresult(&text);
    source = lua_tolstring(L, -1, &bytes);
    if (luaL_loadbufferx(L, source, bytes, name, "t") != LUA_OK)
        lua_error(L);
    opening->vm->chunk = luaL_ref(L, LUA_REGISTRYINDEX);
}

static int open_inside(lua_State *L)
{
    struct opening *opening = lua_touserdata(L, 1);
    struct brim_script_vm *vm = opening->vm;

    lua_newtable(L);
    lua_setfield(L, LUA_REGISTRYINDEX, "brim.modules");
    brim_script_http_open(L);
    brim_script_push_globals(L, opening->config->env);
    lua_createtable(L, 0, 2);
    lua_insert(L, -2);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, false);
    lua_setfield(L, -2, "__metatable");
    vm->env_meta = luaL_ref(L, LUA_REGISTRYINDEX);
    brim_script_keep_open(L);
    load_chunk(L, opening);
    return 0;
}

/* Whether the run's file has one at all. */
static bool note_phases(struct brim_script_run *run)
{
    for (int i = 0; i < BRIM_SCRIPT_PHASES; i++)
        if (lua_type(run->co, 1 + i) == LUA_TFUNCTION)
            run->vm->phases |= 1u << i;
    return run->vm->phases != 0;
}

/* Sees whether a request that leaves no trace spares the next one the chunk. */
static void try_keeping(struct brim_script_vm *vm)
{
    struct brim_script_run *run = vm->has_modules ? NULL : brim_script_run_begin(vm);

    if (run == NULL)
        return;
    vm->keeps = vm->is_trial = true;
    if (ensure_handlers(run) != BRIM_SCRIPT_OK)
        vm->keeps = false;
    vm->is_trial = vm->is_tried = false;
    brim_script_run_end(run);
}

/* Runs the file, with time enough, to see what it has. */
static bool try_chunk(struct brim_script_vm *vm, char *error, size_t error_bytes)
{
    struct brim_script_limits limits = vm->limits;
    struct brim_script_run *run = brim_script_run_begin(vm);
    bool ok = false;

    if (run == NULL)
        return false;
    vm->limits.cpu_us = LOAD_CPU_US;
    vm->limits.wall_ms = LOAD_WALL_MS;
    ok = ensure_handlers(run) == BRIM_SCRIPT_OK;
    if (!ok) {
        (void)snprintf(error, error_bytes, "%s", run->error);
    } else if (!note_phases(run)) {
        (void)snprintf(error, error_bytes,
                       "%s: the table has none of viewer_request, origin_request, "
                       "origin_response, viewer_response",
                       vm->file);
        ok = false;
    }
    brim_script_run_end(run);
    if (ok)
        try_keeping(vm);
    vm->limits = limits;
    return ok;
}

static struct brim_script_vm *vm_new(const struct brim_script_config *config,
                                     const struct brim_script_host *host)
{
    struct brim_script_vm *vm = brim_alloc(sizeof(*vm));

    vm->magic = BRIM_SCRIPT_VM_MAGIC;
    vm->host = *host;
    vm->host.charge = charge;
    vm->limits = config->limits;
    vm->file = brim_strdup(config->file);
    vm->root = brim_script_file_root(config->file, config->root);
    vm->own_files = config->files == NULL ? brim_script_files_new() : NULL;
    vm->files = config->files == NULL ? vm->own_files : config->files;
    vm->used_max = SIZE_MAX;
    vm->main = lua_newstate(allocate, vm);
    return vm;
}

enum brim_err brim_script_vm_open(const struct brim_script_config *config,
                                  const struct brim_script_host *host, char *error,
                                  size_t error_bytes, struct brim_script_vm **vm_out)
{
    struct opening opening = {.config = config};
    struct brim_script_vm *vm;
    enum brim_err err = BRIM_ENOMEM;
    struct brim_str source;

    *vm_out = NULL;
    (void)snprintf(error, error_bytes, "%s: cannot be read, or is larger than 1 MiB", config->file);
    vm = vm_new(config, host);
    if (brim_script_files_read(vm->files, config->file, config->file, &source) != BRIM_OK) {
        brim_script_vm_close(vm);
        return BRIM_EIO;
    }
    (void)snprintf(error, error_bytes, "out of memory");
    if (vm->main == NULL)
        goto out;
    brim_script_host_set(vm->main, &vm->host);
    set_pause(vm);
    opening.vm = vm;
    opening.source = source.base;
    opening.source_bytes = source.len;
    err = BRIM_EINVAL;
    lua_pushcfunction(vm->main, open_inside);
    lua_pushlightuserdata(vm->main, &opening);
    if (lua_pcall(vm->main, 1, 0, 0) != LUA_OK) {
        (void)snprintf(error, error_bytes, "%s", lua_tostring(vm->main, -1));
        goto out;
    }
    if (try_chunk(vm, error, error_bytes))
        err = BRIM_OK;

out:
    if (err == BRIM_OK)
        *vm_out = vm;
    else
        brim_script_vm_close(vm);
    return err;
}

void brim_script_vm_close(struct brim_script_vm *vm)
{
    if (vm == NULL)
        return;
    OBJ_CHECK(vm, BRIM_SCRIPT_VM_MAGIC);
    INVARIANT(vm->current == NULL);
    if (vm->main != NULL)
        lua_close(vm->main);
    brim_script_arena_fini(&vm->arena);
    while (vm->spare_count > 0)
        free(vm->spares[--vm->spare_count]);
    brim_script_files_free(vm->own_files);
    free(vm->file);
    free(vm->root);
    vm->magic = 0;
    free(vm);
}

bool brim_script_vm_has(const struct brim_script_vm *vm, enum brim_script_phase phase)
{
    return (vm->phases & (1u << phase)) != 0;
}

size_t brim_script_vm_bytes(const struct brim_script_vm *vm)
{
    return vm->used;
}

void brim_script_vm_cover(struct brim_script_vm *vm, unsigned char *lines, size_t count)
{
    vm->lines = lines;
    vm->line_count = count;
    for (unsigned i = 0; i < vm->spare_count; i++)
        forget_handlers(vm->spares[i]); /* the chunk's lines count too */
}
