/* SPDX-License-Identifier: MIT */
/*
 * script_inside - what the files of script share. Nobody else includes it.
 */
#ifndef BRIM_POLICY_SCRIPT_INSIDE_H
#define BRIM_POLICY_SCRIPT_INSIDE_H

#include "brim/policy/script_arena.h"
#include "brim/policy/script_budget.h"
#include "brim/policy/script_call.h"
#include "brim/policy/script_lib.h"
#include "brim/policy/script_task.h"

struct brim_script_run;
struct lua_Debug;

#define BRIM_SCRIPT_VM_MAGIC 0x6c766d31u
#define BRIM_SCRIPT_SPARES   16

/* What a userdata shows to a handler: a message, or a part of one. */
enum brim_script_kind {
    BRIM_SCRIPT_REQUEST,
    BRIM_SCRIPT_RESPONSE,
    BRIM_SCRIPT_HEADERS,
    BRIM_SCRIPT_QUERY,
    BRIM_SCRIPT_COOKIES,
};

#define BRIM_SCRIPT_MESSAGES 2 /* of these, the first are whole messages */

struct brim_script_vm {
    struct brim_script_host host; /* first: brim_script_host_of() leads here */
    uint32_t magic;
    struct lua_State *main;
    struct brim_script_limits limits;
    char *file;
    char *root;
    struct brim_script_files *files;     /* read from */
    struct brim_script_files *own_files; /* NULL: they are another's */
    size_t used;                         /* bytes Lua holds */
    size_t used_max;                     /* above it the allocator refuses */
    size_t grown;                        /* bytes given out since the clock was looked at */
    size_t work;                         /* units charged since then */
    unsigned phases;                     /* bit mask: the file has them */
    int chunk;                           /* registry references */
    int env_meta;
    int view_meta; /* of script_http's views; also its address: */
    const void *view_meta_at;
    int messages[BRIM_SCRIPT_PHASES][BRIM_SCRIPT_MESSAGES]; /* registry references: script_http */
    struct brim_script_arena arena;
    bool is_large; /* its collector's pace, see script_slice.c */
    struct brim_script_run
        *spares[BRIM_SCRIPT_SPARES]; /* to be used again, with their coroutines */
    unsigned spare_count;
    struct brim_script_run *current;
    struct lua_State *running; /* the coroutine that runs: kept by script_sandbox's resume */
    enum brim_script_end stop; /* sticky while a slice runs */
    bool may_wait;             /* no C function that cannot be left stands between run and here */
    bool is_waiting;           /* the yield under way leads out of the run */
    uint64_t tasks_begun;
    uint64_t slice_mono_us;
    uint64_t look_mono_us; /* no budget can be used up before */
    uint64_t slice_cpu_us; /* thread clock at its begin, once it was needed; 0: not yet */
    int pure;              /* registry reference: functions that a kept chunk may call */
    unsigned traces;       /* requests in a row that left one */
    bool keeps;            /* runs may keep their handlers: script_keep.c */
    bool is_trial;         /* a run sees whether they may */
    bool is_tried;         /* and the chunk of it runs now */
    bool has_modules;      /* one was loaded */
    unsigned char *lines;  /* coverage */
    size_t line_count;
};

/* A task as its run knows it. */
struct brim_script_slot {
    uint64_t id; /* in its VM: a coroutine of another run finds nothing under it; 0: none */
    void *task;
    uint64_t deadline_mono_us;
};

struct brim_script_run {
    struct brim_script_vm *vm;
    const struct brim_script_call *call; /* under way, then it is `kept`; NULL: only load */
    struct brim_script_call kept;
    enum brim_script_phase phase;
    const struct brim_script_tasks *tasks; /* NULL: none */
    void *tasks_ctx;
    struct brim_script_slot *slots; /* room for all that it may begin, once it begins one */
    unsigned slot_count;
    struct lua_State *co;
    int ref; /* of co */
    uint64_t cpu_us;
    uint64_t deadline_mono_us;
    size_t grown; /* bytes, over all slices */
    int after;    /* registry reference: list of functions; 0: none */
    int noted;    /* registry reference: upvalues as they must be, up to noted_end; 0: none */
    long long noted_end;
    bool reaches_env;                 /* by one of these upvalues */
    void *lent[BRIM_SCRIPT_MESSAGES]; /* to the call under way; NULL: nothing */
    bool has_handlers;
    bool is_waiting;
    bool is_after; /* those run now */
    bool is_dead;  /* a call failed */
    char error[2048];
};

struct brim_script_vm *brim_script_vm_of(struct lua_State *L);

/* ---- script_slice.c ---- */

enum brim_script_pace { BRIM_SCRIPT_AT_ONCE, BRIM_SCRIPT_AS_USUAL };

/* When the hook of L looks next; then it does as usual. */
void brim_script_hook(const struct brim_script_vm *vm, struct lua_State *L,
                      enum brim_script_pace pace);
/* The VM's lua_Alloc, and what brim_script_charge() calls. */
void *brim_script_allocate(void *vm, void *memory, size_t old_bytes, size_t new_bytes);
void brim_script_charge_slice(struct lua_State *L, size_t units);
/* The collector's pace, by what the VM holds. */
void brim_script_set_pause(struct brim_script_vm *vm);
/* The run is the current one until slice_end, which adds what it has spent: used_before is what the
 * VM held when it began. */
void brim_script_slice_begin(struct brim_script_run *run);
void brim_script_slice_end(struct brim_script_run *run, size_t used_before);
/* Raises what cannot be caught. Does not return. */
void brim_script_stop(struct lua_State *L, enum brim_script_end why) __attribute__((noreturn));
/* Raises again if the run was stopped: after everything that catches errors. */
void brim_script_check_stop(struct lua_State *L);

/* ---- script_fetch.c ---- */

/* Push brim.fetch and brim.all. */
void brim_script_push_fetch(struct lua_State *L);
void brim_script_push_all(struct lua_State *L);
/* Ends what the run began and has not ended. */
void brim_script_end_tasks(struct brim_script_run *run);

/* ---- script_explain.c ---- */

const char *brim_script_stop_text(enum brim_script_end end);
/* Message handler: notes message and traceback in the run. */
int brim_script_explain(struct lua_State *L);

/* ---- script_keep.c ---- */

/* Once per state, when its globals are there. May raise. */
void brim_script_keep_open(struct lua_State *L);
/* Something was called while the chunk is tried. */
void brim_script_keep_on_call(struct lua_State *L, struct lua_Debug *info);
/* Notes what the run's handlers reach. Stack: (..., environment, a function or nil of each phase).
 * May raise. */
void brim_script_keep_note(struct lua_State *L, struct brim_script_run *run);
/* Whether the next request may have these handlers: the run has ended well. */
bool brim_script_keep_is_clean(struct brim_script_run *run);
void brim_script_keep_drop(struct brim_script_run *run);

/* ---- script_after.c ---- */

/* Pushes brim.after. */
void brim_script_push_after(struct lua_State *L);
/* Calls what the run was given, in a slice of its own; raises. */
void brim_script_call_after(struct lua_State *L, struct brim_script_run *run);
void brim_script_drop_after(struct brim_script_run *run);

/* ---- script_sandbox.c ---- */

/* Pushes the table of frozen globals. May raise. */
void brim_script_push_globals(struct lua_State *L, const char *const *env);
/* Replaces the table on top by one that reads through to it and refuses writes. */
void brim_script_freeze(struct lua_State *L);
bool brim_script_is_frozen(struct lua_State *L, int index);

/* ---- script_string.c, script_table.c: push the safe versions ---- */

void brim_script_push_string(struct lua_State *L);
void brim_script_push_table(struct lua_State *L);
void brim_script_push_utf8(struct lua_State *L);

#endif
