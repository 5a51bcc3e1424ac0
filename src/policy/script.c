/* SPDX-License-Identifier: MIT */
/*
 * A slice is one entry into Lua: lua_resume of the run's coroutine. Everything that can raise
 * happens in there: making the environment, running the chunk, the handler, reading its results.
 *
 * run_begin takes a coroutine. run_call has a slice for the chunk, unless the run has them: the
 * chunk gets its environment, and the functions of all phases stay at the bottom of the coroutine's
 * stack. Then a slice for the function of the phase, between what push puts there and what take
 * reads. run_end puts the coroutine back, or closes it.
 *
 * A handler that waits (script_fetch.c) yields out of the run's coroutine, through those that it
 * made itself (script_sandbox.c): the slice ends, and the next one, run_resume, goes on in there.
 *
 * The chunk is wrapped: `local _ENV = ...` on its first line, so each run of it has closures over
 * an environment of its own. What a slice may spend: script_slice.c.
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

#define LOAD_CPU_US  (1000u * 1000u)
#define LOAD_WALL_MS 60000u /* a file that is run waits for nobody: only its CPU counts */

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

struct brim_script_vm *brim_script_vm_of(lua_State *L)
{
    struct brim_script_vm *vm = (struct brim_script_vm *)brim_script_host_of(L);

    OBJ_CHECK(vm, BRIM_SCRIPT_VM_MAGIC);
    return vm;
}

/* ---- slices ---- */

/* Sees what the chunk calls (script_keep.c); an error ends that too, in try_chunk(). */
static void call_chunk(lua_State *L, struct brim_script_vm *vm)
{
    if (vm->is_trial) {
        vm->is_tried = true;
        brim_script_hook(vm, L, BRIM_SCRIPT_AS_USUAL);
    }
    lua_call(L, 1, 1);
    if (vm->is_trial) {
        vm->is_tried = false;
        brim_script_hook(vm, L, BRIM_SCRIPT_AS_USUAL);
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

/* (run) */
static int handle_after(lua_State *L)
{
    brim_script_call_after(L, lua_touserdata(L, 1));
    return 0;
}

/* (run, what the handler returned...) */
static int take(lua_State *L)
{
    const struct brim_script_run *run = lua_touserdata(L, 1);

    run->call->take(L, run->call->ctx);
    return 0;
}

static bool has_failed(int status)
{
    return status != LUA_OK && status != LUA_YIELD;
}

/* Errors are caught in here, not in lua_resume: only so do the hooks, which are off while one of
 * them raises, come back before <close> runs what the script left. */
static int enter_done(lua_State *L, int status, lua_KContext ctx)
{
    (void)ctx;
    return has_failed(status) ? lua_error(L) : lua_gettop(L) - 1; /* one of memory stays one */
}

/* The function of a slice that runs one of ours:
 * (brim_script_explain, function, arguments...) -> its results. */
static int enter(lua_State *L)
{
    return enter_done(L, lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 1, 0, enter_done), 0);
}

#define HANDLER_BASE 3 /* brim_script_explain, take, run */

/* Reading what was returned may run the script's code, too. */
static int handled(lua_State *L, int status, lua_KContext ctx)
{
    struct brim_script_run *run =
        (struct brim_script_run *)ctx; // NOLINT(performance-no-int-to-ptr)
    struct brim_script_run *current = brim_script_vm_of(L)->current;

    if (has_failed(status))
        return lua_error(L);
    if (current != run) {
        (void)snprintf(current->error, sizeof(current->error),
                       "a handler was resumed by another request");
        return luaL_error(L, "%s", current->error);
    }
    if (lua_gettop(L) == HANDLER_BASE)
        return 0; /* nothing */
    return enter_done(L, lua_pcallk(L, lua_gettop(L) - 2, 0, 1, 0, enter_done), 0);
}

/* The function of a handler's slice: (brim_script_explain, take, run, handler). */
static int enter_handler(lua_State *L)
{
    struct brim_script_run *run = lua_touserdata(L, HANDLER_BASE);
    int args = run->call->push(L, run->call->ctx);

    return handled(L, lua_pcallk(L, args, LUA_MULTRET, 1, (lua_KContext)run, handled),
                   (lua_KContext)run);
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
    brim_script_hook(vm, run->co, BRIM_SCRIPT_AT_ONCE);
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
    brim_script_slice_begin(run);
    if (run->is_waiting && vm->slice_mono_us >= run->deadline_mono_us)
        vm->stop = BRIM_SCRIPT_WALL; /* raised where it waits */
    run->is_waiting = false;
    end = judge(run, lua_resume(run->co, vm->main, values, &results));
    brim_script_slice_end(run, used_before);
    return end;
}

/* Runs function(run), one of ours. */
static enum brim_script_end run_ours(struct brim_script_run *run, lua_CFunction function)
{
    lua_pushcfunction(run->co, enter);
    lua_pushcfunction(run->co, brim_script_explain);
    lua_pushcfunction(run->co, function);
    lua_pushlightuserdata(run->co, run);
    return run_slice(run, 3);
}

/* Runs the chunk, whose functions stay on the coroutine's stack, if they are not there. */
static enum brim_script_end ensure_handlers(struct brim_script_run *run)
{
    enum brim_script_end end;

    if (run->has_handlers)
        return BRIM_SCRIPT_OK;
    run->call = NULL;
    end = run_ours(run, load);
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

        brim_script_slice_begin(run);
        close_run(run);
        brim_script_slice_end(run, used_before);
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
    lua_pushcfunction(run->co, enter_handler);
    lua_pushcfunction(run->co, brim_script_explain);
    lua_pushcfunction(run->co, take);
    lua_pushlightuserdata(run->co, run);
    lua_pushvalue(run->co, 1 + (int)phase);
    return run_slice(run, HANDLER_BASE + 1);
}

enum brim_script_end brim_script_run_after(struct brim_script_run *run)
{
    enum brim_script_end end;

    if (run->after == 0 || run->is_dead || run->is_waiting)
        return BRIM_SCRIPT_OK;
    run->tasks = NULL; /* nobody is there to wait */
    run->deadline_mono_us = 0;
    run->is_after = true;
    end = run_ours(run, handle_after);
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
    vm->host.charge = brim_script_charge_slice;
    vm->limits = config->limits;
    vm->file = brim_strdup(config->file);
    vm->root = brim_script_file_root(config->file, config->root);
    vm->own_files = config->files == NULL ? brim_script_files_new() : NULL;
    vm->files = config->files == NULL ? vm->own_files : config->files;
    vm->used_max = SIZE_MAX;
    vm->main = lua_newstate(brim_script_allocate, vm);
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
    brim_script_set_pause(vm);
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
