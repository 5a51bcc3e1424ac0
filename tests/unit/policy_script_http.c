/* SPDX-License-Identifier: MIT */
#include "brim/policy/script_http.h"

#include "brim/policy/script_view.h"
#include "unit.h"

#include "script_rig.h"

/* Everything that a message was given, freed at the end of its test. */
static void *blocks[4096];
static size_t block_count;

static void *keep(void *pool, size_t bytes)
{
    (void)pool;
    ck_assert_uint_lt(block_count, sizeof(blocks) / sizeof(blocks[0]));
    blocks[block_count] = malloc(bytes + 1);
    ck_assert_ptr_nonnull(blocks[block_count]);
    return blocks[block_count++];
}

static void free_blocks(void)
{
    while (block_count > 0)
        free(blocks[--block_count]);
}

static struct brim_field received[] = {
    {BRIM_STR("accept"), BRIM_STR("text/html")},
    {BRIM_STR("cookie"), BRIM_STR("a=1; b=two")},
    {BRIM_STR("x-list"), BRIM_STR("one")},
    {BRIM_STR("x-list"), BRIM_STR("two")},
};

struct exchange {
    struct brim_script_request request;
    struct brim_script_response answer;
    bool has_answer;
};

static int push(lua_State *L, void *ctx)
{
    struct exchange *e = ctx;

    brim_script_push_request(L, &e->request);
    return 1;
}

static void take(lua_State *L, void *ctx)
{
    struct exchange *e = ctx;

    e->has_answer = brim_script_take_answer(L, BRIM_SCRIPT_RESULT, &e->answer);
}

static void prepare(struct exchange *e)
{
    size_t count = sizeof(received) / sizeof(received[0]);
    struct brim_script_memory memory = {.alloc = keep};

    *e = (struct exchange){
        .request =
            {
                .headers = {.count = count, .room = count, .memory = memory},
                .method = BRIM_STR("GET"),
                .scheme = BRIM_STR("https"),
                .host = BRIM_STR("www.example.com:8443"),
                .target = BRIM_STR("/a/b?x=1&y=%41+b&x=2&flag"),
                .id = {0xab, 1},
                .ip = BRIM_STR("192.0.2.1"),
                .version = BRIM_STR("2"),
            },
        .answer.headers.memory = memory,
    };
    e->request.headers.items = keep(NULL, sizeof(received));
    memcpy(e->request.headers.items, received, sizeof(received));
}

/* Runs body as viewer_request(req); "" or the error. */
static const char *run_body(struct exchange *e, const char *body)
{
    static char error[2048];
    const struct brim_script_call call = {push, take, e};
    struct brim_script_vm *vm;
    struct brim_script_run *run;
    char source[2048];

    (void)snprintf(source, sizeof(source), "return {viewer_request = function(req) %s end}", body);
    vm = rig_vm(source);
    run = brim_script_run_begin(vm);
    error[0] = '\0';
    if (brim_script_run_call(run, BRIM_SCRIPT_VIEWER_REQUEST, &call) != BRIM_SCRIPT_OK)
        (void)snprintf(error, sizeof(error), "%s", brim_script_run_error(run));
    brim_script_run_end(run);
    brim_script_vm_close(vm);
    rig_clean();
    return error;
}

START_TEST(a_handler_reads_what_the_client_sent)
{
    static const char *const truths[] = {
        "req.method == 'GET' and req.scheme == 'https' and req.path == '/a/b'",
        "req.host == 'www.example.com' and req.authority == 'www.example.com:8443'",
        "req.ip == '192.0.2.1' and req.version == '2' and req.id == "
        "'00000000000000ab0000000000000001'",
        "req.headers:get('Accept') == 'text/html' and req.headers.accept == 'text/html'",
        "req.headers.absent == nil and #req.headers:all('absent') == 0",
        "table.concat(req.headers:all('X-List'), ',') == 'one,two'",
        "req.query.x == '1' and req.query:get('y') == 'A b' and req.query.flag == ''",
        "table.concat(req.query:all('x'), ',') == '1,2' and req.query.z == nil",
        "req.cookies.a == '1' and req.cookies:get('b') == 'two' and req.cookies.A == nil",
        "(function() local t = {} for k, v in req.query:each() do t[#t + 1] = k .. v end "
        "return table.concat(t, ';') end)() == 'x1;yA b;x2;flag'",
        "req.headers == req.headers and req.origin == '' and req.key == ''",
    };

    for (size_t i = 0; i < sizeof(truths) / sizeof(truths[0]); i++) {
        struct exchange e;
        char body[512];

        prepare(&e);
        (void)snprintf(body, sizeof(body), "assert(%s)", truths[i]);
        ck_assert_str_eq(run_body(&e, body), "");
        ck_assert(!e.has_answer && !e.request.is_changed && !e.request.headers.is_changed);
        free_blocks();
    }
}
END_TEST

START_TEST(a_handler_changes_target_cookies_and_headers)
{
    static const struct {
        const char *body, *target, *cookie;
    } cases[] = {
        {"req.path = '/new'", "/new?x=1&y=%41+b&x=2&flag", "a=1; b=two"},
        {"req.query:remove('x')", "/a/b?y=%41+b&flag", "a=1; b=two"},
        {"req.query:set('x', 'p&q=r')", "/a/b?y=%41+b&flag&x=p%26q%3Dr", "a=1; b=two"},
        {"req.query:add('n', 1)", "/a/b?x=1&y=%41+b&x=2&flag&n=1", "a=1; b=two"},
        {"for _, k in ipairs{'x', 'y', 'flag'} do req.query[k] = nil end", "/a/b", "a=1; b=two"},
        {"req.cookies:set('a', '9')", "/a/b?x=1&y=%41+b&x=2&flag", "b=two; a=9"},
        {"req.cookies:remove('b')", "/a/b?x=1&y=%41+b&x=2&flag", "a=1"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct brim_field *cookie;
        struct brim_fields fields;
        struct exchange e;

        prepare(&e);
        ck_assert_str_eq(run_body(&e, cases[i].body), "");
        ck_assert_msg(brim_str_is(e.request.target, brim_str_of(cases[i].target)), "%s: %.*s",
                      cases[i].body, (int)e.request.target.len, e.request.target.base);
        fields = (struct brim_fields){e.request.headers.items, e.request.headers.count};
        cookie = brim_fields_find(fields, BRIM_STR("cookie"));
        ck_assert_ptr_nonnull(cookie);
        ck_assert_msg(brim_str_is(cookie->value, brim_str_of(cases[i].cookie)), "%s: %.*s",
                      cases[i].body, (int)cookie->value.len, cookie->value.base);
        free_blocks();
    }
}
END_TEST

/* What each() calls "a b" is found, and removed, by that name: the origin reads both spellings so.
 */
START_TEST(a_parameter_has_one_name_however_it_is_written)
{
    struct exchange e;

    prepare(&e);
    e.request.target = BRIM_STR("/?a+b=1&%61%20b=2&c=3");
    ck_assert_str_eq(run_body(&e, "assert(req.query:get('a b') == '1') "
                                  "assert(#req.query:all('a b') == 2 and req.query['a+b'] == nil) "
                                  "req.query:remove('a b')"),
                     "");
    ck_assert(brim_str_is(e.request.target, BRIM_STR("/?c=3")));
    free_blocks();
}
END_TEST

/* What could split a message, hide a length, or reach another host is an error of the handler's. */
START_TEST(what_is_not_valid_is_refused)
{
    static const struct {
        const char *body, *message;
    } cases[] = {
        {"req.headers:set('x', 'a\\r\\nb: c')", "value"},
        {"req.headers:set('x', 'a\\0b')", "value"},
        {"req.headers:set('x y', 'a')", "name"},
        {"req.headers:set('', 'a')", "name"},
        {"req.headers:set(('x'):rep(300), 'a')", "longer"},
        {"req.headers:set('x', ('a'):rep(40000))", "longer"},
        {"req.headers.host = 'evil'", "cannot be changed"},
        {"req.headers['Content-Length'] = '5'", "cannot be changed"},
        {"req.headers['Transfer-Encoding'] = 'chunked'", "cannot be changed"},
        {"req.headers:remove('connection')", "cannot be changed"},
        {"req.headers.Via = 'x'", "\"Via\" cannot be changed"},
        {"req.headers.date = 'x'", "cannot be changed"},
        {"req.headers.expect = 'x'", "cannot be changed"},
        {"req.headers['cdn-loop'] = 'x'", "cannot be changed"},
        {"req.headers['cache-status'] = 'x'", "cannot be changed"},
        {"req.headers['proxy-status'] = 'x'", "cannot be changed"},
        {"req.headers['content-range'] = 'x'", "cannot be changed"},
        {"req.headers['proxy-authentication-info'] = 'x'", "cannot be changed"},
        {"for i = 1, 1000 do req.headers:add('x', i) end", "too many"},
        {"for i = 1, 10 do req.headers:add('x', ('a'):rep(30000)) end", "too large"},
        {"req.path = 'relative'", "path"},
        {"req.path = '/a b'", "path"},
        {"req.path = '/a?b'", "path"},
        {"req.path = '/files/../staff/x'", "path"},
        {"req.path = '/files/%2e%2e%2fstaff'", "path"},
        {"req.path = '/a%00b'", "path"},
        {"req.path = '/a%zz'", "path"},
        {"req.path = '/a%'", "path"},
        {"req.path = '/' .. ('a'):rep(9000)", "path"},
        {"req.method = 'G T'", "method"},
        {"req.method = 'HEAD'", "HEAD"},
        {"req.key = 'a b'", "key"},
        {"req.nothing = 1", "string expected"},
        {"req.nothing = 'x'", "cannot be changed"},
        {"return req.nothing", "has no"},
        {"req.cookies:set('a', 'b; c=d')", "cookie"},
        {"req.query:set('a', ('x'):rep(8001))", "longer"},
        {"return 1", "a table or nothing"},
        {"return {status = 1}", "status"},
        {"return {status = 'x'}", "expected"},
        {"return {body = {}}", "expected"},
        {"return {headers = 1}", "headers"},
        {"return {headers = {a = true}}", "headers"},
        {"return {headers = {[1] = 'x'}}", "expected"},
        {"return {headers = {['set-cookie'] = {'a\\nb'}}}", "value"},
        {"return setmetatable({}, {__index = function() while true do end end})", "CPU"},
        {"req.headers.get(req, 'x')", "expected"},
        {"req.headers.get({}, 'x')", "expected"},
        {"getmetatable(req).__index = nil", "boolean"},
        {"setmetatable(req, {})", "table expected"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct exchange e;
        const char *error;

        prepare(&e);
        error = run_body(&e, cases[i].body);
        ck_assert_msg(strstr(error, cases[i].message) != NULL, "%s: %s", cases[i].body, error);
        free_blocks();
    }
}
END_TEST

START_TEST(an_answer_is_copied)
{
    struct exchange e;

    prepare(&e);
    ck_assert_str_eq(
        run_body(&e, "return {status = 404, headers = {['X-A'] = {'1', 2}}, body = 'no' .. 'ne'}"),
        "");
    ck_assert(e.has_answer);
    ck_assert_uint_eq(e.answer.status, 404);
    ck_assert_uint_eq(e.answer.headers.count, 2);
    ck_assert(brim_str_is(e.answer.headers.items[1].name, BRIM_STR("x-a")));
    ck_assert(brim_str_is(e.answer.headers.items[1].value, BRIM_STR("2")));
    ck_assert(brim_str_is(e.answer.body, BRIM_STR("none")));
    free_blocks();
}
END_TEST

struct stored {
    struct brim_script_response response;
};

static int push_stored(lua_State *L, void *ctx)
{
    brim_script_push_response(L, &((struct stored *)ctx)->response);
    return 1;
}

static void take_nothing(lua_State *L, void *ctx)
{
    (void)L;
    (void)ctx;
}

/* Runs body with `res`, an answer of an origin; its fields afterwards are one text. */
static const char *run_stored(const char *body, unsigned status, const char **error_out)
{
    static struct brim_field items[8];
    static char text[1024], error[2048], source[1024];
    struct stored stored = {
        .response = {.status = status, .headers = {items, 2, 8, {keep, NULL}, false, false}}};
    const struct brim_script_call call = {push_stored, take_nothing, &stored};
    struct brim_script_vm *vm;
    struct brim_script_run *run;
    size_t len = 0;

    items[0] = (struct brim_field){BRIM_STR("etag"), BRIM_STR("1")};
    items[1] = (struct brim_field){BRIM_STR("cache-control"), BRIM_STR("private")};
    brim_script_response_is_origins(&stored.response, true);
    (void)snprintf(source, sizeof(source), "return {origin_response = function(res) %s end}", body);
    vm = rig_vm(source);
    run = brim_script_run_begin(vm);
    (void)brim_script_run_call(run, BRIM_SCRIPT_ORIGIN_RESPONSE, &call);
    (void)snprintf(error, sizeof(error), "%s", brim_script_run_error(run));
    *error_out = error;
    text[0] = '\0';
    for (size_t i = 0; i < stored.response.headers.count; i++) {
        const struct brim_field *field = &stored.response.headers.items[i];

        len +=
            (size_t)snprintf(text + len, sizeof(text) - len, "%.*s: %.*s; ", (int)field->name.len,
                             field->name.base, (int)field->value.len, field->value.base);
    }
    (void)snprintf(text + len, sizeof(text) - len, "%.*s", (int)stored.response.body.len,
                   stored.response.body.base);
    brim_script_run_end(run);
    brim_script_vm_close(vm);
    rig_clean();
    free_blocks();
    return text;
}

/* ttl and tags become the fields that caches read, and a ttl does not make public what the origin
 * says is private; another body is not the one that the origin's fields tell of. */
START_TEST(an_origins_answer_gets_ttl_tags_and_body)
{
    static const struct {
        const char *body;
        unsigned status;
        const char *left; /* NULL: refused with error */
        const char *error;
    } cases[] = {
        {"res.ttl = 60", 200,
         "etag: 1; cache-control: private; cdn-cache-control: max-age=60, private; ", ""},
        {"res.headers['Cache-Control'] = 'public' res.ttl = 60", 200,
         "etag: 1; cache-control: public; cdn-cache-control: max-age=60; ", ""},
        {"res.headers['Cache-Control'] = 'max-age=5, private=\"x-own, x-none\", no-cache=\"x-b\"' "
         "res.headers['X-Own'] = 'mine' res.headers['X-B'] = 'b' res.ttl = 60",
         200,
         "etag: 1; cache-control: max-age=5, private=\"x-own, x-none\", no-cache=\"x-b\"; "
         "x-own: mine; x-b: b; cdn-cache-control: max-age=60, private=\"x-own, x-b\"; ",
         ""},
        {"res.tags = {'a', 'b'}", 404,
         "etag: 1; cache-control: private; surrogate-key: a; surrogate-key: b; ", ""},
        {"res.body = 'new'", 200, "cache-control: private; new", ""},
        {"res.body = 'new' res.headers.etag = '2'", 200, "cache-control: private; etag: 2; new",
         ""},
        {"res.ttl = -1", 200, NULL, "seconds"},
        {"res.ttl = 1.5", 200, NULL, "integer"},
        {"res.ttl = 1 << 40", 200, NULL, "seconds"},
        {"res.tags = 'a'", 200, NULL, "table expected"},
        {"res.tags = {1}", 200, NULL, "texts"},
        {"res.tags = {'a,b'}", 200, NULL, "commas"},
        {"res.tags = {'a b'}", 200, NULL, "visible"},
        {"res.tags = {''}", 200, NULL, "visible"},
        {"res.tags = setmetatable({}, {__len = function() return 1 << 40 end})", 200, NULL, "many"},
        {"res.body = ('x'):rep(1024):rep(1025)", 200, NULL, "longer"},
        {"res.body = 'new' res.body = 'newer'", 200, NULL, "already"},
        {"res.body = {}", 200, NULL, "string expected"},
        {"res.body = 'new'", 304, NULL, "no whole body"},
        {"res.body = 'new'", 206, NULL, "no whole body"},
        {"return res.body", 200, NULL, "has no"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *error;
        const char *left = run_stored(cases[i].body, cases[i].status, &error);

        ck_assert_msg(strstr(error, cases[i].error) != NULL, "%s: %s", cases[i].body, error);
        if (cases[i].left != NULL) {
            ck_assert_str_eq(error, "");
            ck_assert_str_eq(left, cases[i].left);
        }
    }
}
END_TEST

/* A request that a handler keeps is memory of the past in the next phase. */
START_TEST(a_message_is_refused_after_its_phase)
{
    struct brim_script_vm *vm =
        rig_vm("local kept, headers return {viewer_request = function(req) kept = req "
               "headers = req.headers end, viewer_response = function() "
               "local ok, e = pcall(function() return kept.path end) assert(not ok, 'read') "
               "ok = pcall(headers.get, headers, 'accept') assert(not ok) "
               "return headers.accept end}");
    struct brim_script_run *run = brim_script_run_begin(vm);
    struct exchange e;
    const struct brim_script_call call = {push, take, &e};

    prepare(&e);
    ck_assert_int_eq(brim_script_run_call(run, BRIM_SCRIPT_VIEWER_REQUEST, &call), BRIM_SCRIPT_OK);
    free_blocks();
    ck_assert_int_eq(brim_script_run_call(run, BRIM_SCRIPT_VIEWER_RESPONSE, &rig_call),
                     BRIM_SCRIPT_ERROR);
    ck_assert_ptr_nonnull(strstr(brim_script_run_error(run), "after the phase"));
    brim_script_run_end(run);
    brim_script_vm_close(vm);
    rig_clean();
}
END_TEST

/* Asks with a target that says which request this is; the handler answers with what it sees. */
static void ask_numbered(struct brim_script_run *run, int number, bool leaves_trace)
{
    struct exchange e;
    const struct brim_script_call call = {push, take, &e};
    char target[64], accept[16], expected[64];

    prepare(&e);
    (void)snprintf(target, sizeof(target), "/%d?x=%d&%s", number, number,
                   leaves_trace ? "hold" : "");
    (void)snprintf(accept, sizeof(accept), "type/%d", number);
    (void)snprintf(expected, sizeof(expected), "/%d %d type/%d 1", number, number, number);
    e.request.target = brim_script_keep(&e.request.headers.memory, brim_str_of(target));
    e.request.headers.items[0].value =
        brim_script_keep(&e.request.headers.memory, brim_str_of(accept));
    ck_assert_msg(brim_script_run_call(run, BRIM_SCRIPT_VIEWER_REQUEST, &call) == BRIM_SCRIPT_OK,
                  "%s", brim_script_run_error(run));
    ck_assert(e.has_answer);
    ck_assert_msg(brim_str_is(e.answer.body, brim_str_of(expected)), "%.*s", (int)e.answer.body.len,
                  e.answer.body.base);
    free_blocks();
}

#define NUMBERED                                                                                   \
    "local held, headers return {viewer_request = function(req) "                                  \
    "assert(held == nil and headers == nil) "                                                      \
    "if req.query.hold then held = req headers = req.headers end "                                 \
    "return {status = 200, body = table.concat({req.path, req.query.x, req.headers.accept, "       \
    "req.cookies.a}, ' ')} end}"

/* What lends a message lends it again; no request sees another's in it, with a trace or without. */
START_TEST(a_message_is_lent_again_as_another)
{
    struct brim_script_vm *vm = rig_vm(NUMBERED);
    struct brim_script_run *runs[2];

    for (int i = 0; i < 40; i++) {
        runs[0] = brim_script_run_begin(vm);
        ask_numbered(runs[0], i, i % 7 == 3);
        brim_script_run_end(runs[0]);
    }
    for (int i = 0; i < 40; i += 2) { /* two at once */
        runs[0] = brim_script_run_begin(vm);
        runs[1] = brim_script_run_begin(vm);
        ask_numbered(runs[0], i, false);
        ask_numbered(runs[1], i + 1, i % 7 == 4);
        brim_script_run_end(runs[i % 4 / 2]);
        brim_script_run_end(runs[1 - i % 4 / 2]);
    }
    brim_script_vm_close(vm);
    rig_clean();
}
END_TEST

/* What is lent in one phase is not lent in the next one of the same request. */
START_TEST(a_message_is_lent_once_a_request)
{
    struct brim_script_vm *vm =
        rig_vm("local kept return {viewer_request = function(req) kept = req end, "
               "viewer_response = function(req) assert(req ~= kept and req.path == '/a/b') "
               "assert(not pcall(function() return kept.path end)) kept = nil end}");
    struct brim_script_run *run;
    struct exchange e;
    const struct brim_script_call call = {push, take, &e};

    for (int i = 0; i < 20; i++) {
        run = brim_script_run_begin(vm);
        ck_assert(i == 0 || brim_script_run_is_kept(run));
        prepare(&e);
        for (int phase = 0; phase < 2; phase++)
            ck_assert_msg(brim_script_run_call(run,
                                               phase == 0 ? BRIM_SCRIPT_VIEWER_REQUEST
                                                          : BRIM_SCRIPT_VIEWER_RESPONSE,
                                               &call) == BRIM_SCRIPT_OK,
                          "%s", brim_script_run_error(run));
        brim_script_run_end(run);
        free_blocks();
    }
    brim_script_vm_close(vm);
    rig_clean();
}
END_TEST

/* What a module keeps is no request's: it shows the one that runs, in the phase that it was lent
 * in. So it never leads to memory of another request; nor is it a way to remember one. */
START_TEST(a_message_kept_in_a_module_shows_the_request_that_runs)
{
    struct brim_script_vm *vm;
    struct brim_script_run *run;
    struct exchange e;
    const struct brim_script_call call = {push, take, &e};

    rig_write(rig_path("keep.lua"),
              "local kept return function(new) local old = kept kept = new or old return old end");
    vm = rig_vm("local keep = require('keep') return {viewer_request = function(req) "
                "local old = keep(req) if old then "
                "assert(rawequal(old, req) and old.path == '/b' and old.headers == req.headers) "
                "end end, viewer_response = function() "
                "assert(not pcall(function() return keep().path end)) end}");
    for (int i = 0; i < 2; i++) {
        run = brim_script_run_begin(vm);
        prepare(&e);
        e.request.target = i == 0 ? BRIM_STR("/a") : BRIM_STR("/b");
        ck_assert_msg(
            brim_script_run_call(run, BRIM_SCRIPT_VIEWER_REQUEST, &call) == BRIM_SCRIPT_OK &&
                brim_script_run_call(run, BRIM_SCRIPT_VIEWER_RESPONSE, &rig_call) == BRIM_SCRIPT_OK,
            "%s", brim_script_run_error(run));
        brim_script_run_end(run);
        free_blocks();
    }
    brim_script_vm_close(vm);
    (void)unlink(rig_path("keep.lua"));
    rig_clean();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("policy.script_http");
    TCase *tcase = tcase_create("script_http");

    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, a_handler_reads_what_the_client_sent);
    tcase_add_test(tcase, a_handler_changes_target_cookies_and_headers);
    tcase_add_test(tcase, a_parameter_has_one_name_however_it_is_written);
    tcase_add_test(tcase, what_is_not_valid_is_refused);
    tcase_add_test(tcase, an_answer_is_copied);
    tcase_add_test(tcase, a_message_is_refused_after_its_phase);
    tcase_add_test(tcase, a_message_kept_in_a_module_shows_the_request_that_runs);
    tcase_add_test(tcase, a_message_is_lent_again_as_another);
    tcase_add_test(tcase, a_message_is_lent_once_a_request);
    tcase_add_test(tcase, an_origins_answer_gets_ttl_tags_and_body);
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
