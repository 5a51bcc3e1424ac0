/* SPDX-License-Identifier: MIT */
/*
 * admin_inside - what admin.c (listener, dispatch) and the files with its calls share. Nobody else
 * includes it. Everything here runs on the control thread, but for brim_admin_task.work.
 */
#ifndef BRIM_SERVE_ADMIN_INSIDE_H
#define BRIM_SERVE_ADMIN_INSIDE_H

#include <h2o.h>
#include <jansson.h>

#include "brim/base/pool.h"
#include "brim/cache/cache.h"
#include "brim/serve/estate.h"
#include "brim/serve/purge_up.h"

struct brim_admin;
struct brim_admin_config;

/*
 * A call that has to wait: `work` is done by the I/O pool, `answer` sends the response afterwards
 * and frees the task. Embedded first in the call's own struct, allocated with malloc().
 */
struct brim_admin_task {
    struct brim_job job;
    h2o_multithread_message_t message;
    struct brim_admin *admin;
    h2o_req_t *req;                /* NULL in `answer`: the asker has gone */
    struct brim_admin_task **back; /* in the request's pool: cleared when the answer is out */
    void (*work)(struct brim_admin_task *task);
    void (*answer)(struct brim_admin_task *task);
    void (*drop)(struct brim_admin_task *task); /* frees one that is not begun; NULL: free() */
};

/* Takes task: frees it where it cannot be started, with a 503. */
void brim_admin_start(struct brim_admin *admin, h2o_req_t *req, struct brim_admin_task *task);

uint64_t brim_admin_started_mono_ms(const struct brim_admin *admin);
struct brim_top *brim_admin_top(struct brim_admin *admin); /* NULL: nobody counts URLs */
struct brim_cache *brim_admin_cache(struct brim_admin *admin);
struct brim_purge_up *brim_admin_up(struct brim_admin *admin); /* NULL: nobody is above */
struct brim_kv *brim_admin_kv(struct brim_admin *admin);       /* NULL: no stores */

const struct brim_admin_config *brim_admin_config(const struct brim_admin *admin);

/* How the node reloads; a copy of the config's. */
struct brim_admin_reload {
    enum brim_err (*run)(void *ctx, FILE *faults);
    void *ctx;
};
const struct brim_admin_reload *brim_admin_reload(struct brim_admin *admin);

/* NULL: there is no parent. */
struct brim_estate *brim_admin_estate(struct brim_admin *admin, pid_t *parent_out);

/* Takes json; NULL, which stands for memory that was not there, is a 500. */
void brim_admin_send_text(h2o_req_t *req, int status, const char *type, struct brim_str text);
void brim_admin_send_json(h2o_req_t *req, int status, json_t *json);
/* The call is wrong: what would have been accepted. */
void brim_admin_send_error(h2o_req_t *req, int status, const char *error, const char *accepted);
/* The call is right, and is not done, or not wholly: what to do about it. */
void brim_admin_send_advice(h2o_req_t *req, int status, const char *error, const char *advice);

/* text as a JSON string; each byte that is no UTF-8 becomes U+FFFD. NULL: memory is not there. */
json_t *brim_admin_text(struct brim_str text);

/* Why a call is refused; the first reason stays. */
struct brim_admin_wrong {
    char text[200];
};
__attribute__((format(printf, 2, 3))) void brim_admin_set_wrong(struct brim_admin_wrong *wrong,
                                                                const char *format, ...);

/* The body as a JSON object, the caller's, or NULL with what is wrong. */
json_t *brim_admin_body(h2o_req_t *req, struct brim_admin_wrong *wrong);

/* ---- admin_audit.c ---- */

struct brim_admin_audit; /* opaque; the request's pool's */

/* method, path: static, of the call's row. */
struct brim_admin_audit *brim_admin_audit_begin(h2o_req_t *req, const char *method,
                                                const char *path);
/* They accept NULL. The call runs, and is not refused; the same, and nobody is to read of it; the
 * call is answered. */
void brim_admin_audit_let(struct brim_admin_audit *audit);
void brim_admin_audit_forgo(struct brim_admin_audit *audit);
void brim_admin_audit_end(struct brim_admin_audit *audit, int status);
/* The whole of it for what was refused before there was a request. */
void brim_admin_audit_refused(h2o_socket_t *sock, const char *method, const char *path,
                              unsigned status);

/* ---- calls ---- */

void brim_admin_call_metrics(struct brim_admin *admin, h2o_req_t *req); /* admin_stats.c */
void brim_admin_call_stats(struct brim_admin *admin, h2o_req_t *req);
void brim_admin_call_page(struct brim_admin *admin, h2o_req_t *req); /* admin_page.c */
void brim_admin_call_page_script(struct brim_admin *admin, h2o_req_t *req);
void brim_admin_call_page_chart(struct brim_admin *admin, h2o_req_t *req);
void brim_admin_call_openapi(struct brim_admin *admin, h2o_req_t *req);
void brim_admin_call_live(struct brim_admin *admin, h2o_req_t *req);    /* admin_live.c */
void brim_admin_call_explain(struct brim_admin *admin, h2o_req_t *req); /* admin_explain.c */
void brim_admin_call_purge(struct brim_admin *admin, h2o_req_t *req);   /* admin_purge.c */
void brim_admin_call_reload(struct brim_admin *admin, h2o_req_t *req);  /* admin_reload.c */
void brim_admin_call_upgrade(struct brim_admin *admin, h2o_req_t *req); /* admin_upgrade.c */
void brim_admin_call_upgrade_state(struct brim_admin *admin, h2o_req_t *req);
void brim_admin_call_kv(struct brim_admin *admin, h2o_req_t *req); /* admin_kv.c */

#endif
