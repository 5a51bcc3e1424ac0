/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include "script_rig.h"

struct hostile {
    const char *name;
    const char *body; /* of viewer_request */
    enum brim_script_end end;
    const char *message; /* part of the error; NULL: any */
};

#define CPU    BRIM_SCRIPT_CPU
#define MEMORY BRIM_SCRIPT_MEMORY
#define ERROR  BRIM_SCRIPT_ERROR
#define FINE   BRIM_SCRIPT_OK

static const struct hostile hostiles[] = {
    /* loops */
    {"while", "while true do end", CPU, "main.lua:1"},
    {"repeat", "repeat until false", CPU, NULL},
    {"goto", "::a:: goto a", CPU, NULL},
    {"for", "for i = 1, math.huge do end", CPU, NULL},
    {"loop in pcall", "pcall(function() while true do end end) return 1", CPU, NULL},
    {"pcall for ever", "while true do pcall(function() while true do end end) end", CPU, NULL},
    {"nested pcall", "local function f() pcall(f) while true do end end f()", CPU, NULL},
    {"xpcall handler loops",
     "xpcall(function() while true do end end, function() while true do end end)", CPU, NULL},
    {"xpcall handler of an error loops", "xpcall(error, function() while true do end end)", CPU,
     NULL},
    {"pcall(pcall(...))", "while true do pcall(pcall, pcall, error) end", CPU, NULL},
    /* metamethods */
    {"__index",
     "local t = setmetatable({}, {__index = function() while true do end end}) return t.x", CPU,
     NULL},
    {"__index chain",
     "local t = {} setmetatable(t, {__index = function(s, k) return s[k + 1] end}) "
     "pcall(function() return t[1] end) while true do end",
     CPU, NULL},
    {"__eq",
     "local m = {__eq = function() while true do end end} "
     "return setmetatable({}, m) == setmetatable({}, m)",
     CPU, NULL},
    {"__concat", "return setmetatable({}, {__concat = function() while true do end end}) .. 'x'",
     CPU, NULL},
    {"__close", "local x <close> = setmetatable({}, {__close = function() while true do end end})",
     CPU, NULL},
    {"__close after a stop",
     "local x <close> = setmetatable({}, {__close = function() while true do end end}) "
     "while true do end",
     CPU, NULL},
    {"__close keeps on",
     "local m = {__close = function() while true do end end} "
     "for i = 1, 100 do pcall(function() local x <close> = setmetatable({}, m) "
     "error('x') end) end",
     CPU, NULL},
    {"__pairs",
     "for k in pairs(setmetatable({}, {__pairs = function() return function() return 1 end "
     "end})) do end",
     CPU, NULL},
    {"__tostring of an error object",
     "error(setmetatable({}, {__tostring = function() while true do end end}))", ERROR,
     "table value"},
    {"__gc", "setmetatable({}, {__gc = function() while true do end end})", ERROR, "__gc"},
    {"__gc later",
     "local m = {} local t = setmetatable({}, m) m.__gc = function() while true do end "
     "end t = nil local x = {} for i = 1, 1000 do x[i] = {} end return 'done'",
     FINE, NULL},
    /* coroutines */
    {"loop in a coroutine", "coroutine.wrap(function() while true do end end)()", CPU, NULL},
    {"coroutine after coroutine",
     "while true do coroutine.resume(coroutine.create(function() end)) end", CPU, NULL},
    {"resume swallows",
     "while true do coroutine.resume(coroutine.create(function() while true do end "
     "end)) end",
     CPU, NULL},
    {"ping pong",
     "local c = coroutine.wrap(function() while true do coroutine.yield() end end) "
     "while true do c() end",
     CPU, NULL},
    {"coroutine in coroutine", "local function f() coroutine.wrap(f)() end f()", ERROR, NULL},
    {"yield at the top", "coroutine.yield(1)", ERROR, NULL},
    {"wrap resumed in itself", "local c c = coroutine.wrap(function() c() end) c()", ERROR, NULL},
    /* C functions that run long */
    {"rep bomb", "return ('x'):rep(1e9)", MEMORY, NULL},
    {"rep bomb caught", "pcall(string.rep, 'x', 1e9) return 1", MEMORY, NULL},
    {"rep of nothing", "return #(''):rep(1e18)", FINE, NULL},
    {"rep of nothing, separated", "return #(''):rep(1e18, ',')", MEMORY, NULL},
    {"rep again and again", "while true do local s = ('x'):rep(1e6) end", CPU, NULL},
    {"doubling", "local s = 'x' while true do s = s .. s end", MEMORY, NULL},
    {"doubling caught", "local s = 'x' while true do pcall(function() s = s .. s end) end", MEMORY,
     NULL},
    {"backtracking", "return ('a'):rep(5000):find(('a*'):rep(20) .. 'b')", ERROR, "too many steps"},
    {"backtracking, lazy", "return ('a'):rep(5000):find(('.-'):rep(20) .. 'b')", ERROR,
     "too many steps"},
    {"backtracking caught",
     "while true do pcall(string.find, ('a'):rep(5000), ('a*'):rep(20) .. 'b') "
     "end",
     CPU, NULL},
    {"balanced", "return ('('):rep(1000):rep(100):find('%b()')", ERROR, "too many steps"},
    {"gsub callback", "return (('x'):rep(100)):gsub('x', function() while true do end end)", CPU,
     NULL},
    {"gsub table",
     "return ('x'):gsub('x', setmetatable({}, {__index = function() while true do end "
     "end}))",
     CPU, NULL},
    {"gsub grows", "local s = ('x'):rep(1000) while true do s = s:gsub('x', 'xxxxxxxx') end",
     BRIM_SCRIPT_ENDS, NULL},
    {"pattern depth", "return ('x'):find(('('):rep(100) .. 'x')", ERROR, "too many captures"},
    {"pattern recursion", "return ('x'):rep(1000):find(('x?'):rep(1000))", ERROR, "too complex"},
    {"gmatch of nothing", "for _ in (''):gmatch('') do end while true do end", CPU, NULL},
    {"format width", "return ('%99999d'):format(1)", ERROR, "conversion"},
    {"format pointer", "return ('%p'):format({})", ERROR, "%p"},
    {"format pointer in disguise", "return ('%%%-020p'):format({})", ERROR, "%p"},
    {"byte bomb", "return #{('x'):rep(2000):rep(1000):byte(1, -1)}", ERROR, "too long"},
    {"unpack bomb", "return #{table.unpack({}, 1, 1e8)}", ERROR, "elements"},
    {"unpack at the edge", "return table.unpack({}, math.mininteger, math.maxinteger)", ERROR,
     "elements"},
    {"concat bomb", "return table.concat(setmetatable({}, {__index = rawlen}), '', 1, 1e9)", ERROR,
     "elements"},
    {"move bomb", "return table.move({}, 1, 1e9, 2)", ERROR, "elements"},
    {"sort bomb", "return table.sort(setmetatable({}, {__len = function() return 2^30 end}))",
     ERROR, "elements"},
    {"sort never ends",
     "local t = {} for i = 1, 100 do t[i] = i end "
     "table.sort(t, function() while true do end end)",
     CPU, NULL},
    {"sort of long texts",
     "local t, s = {}, ('x'):rep(1e6) for i = 1, 20000 do t[i] = s end "
     "table.sort(t)",
     CPU, NULL},
    {"len lies", "return #table.concat(setmetatable({}, {__len = function() return 1e9 end}))",
     ERROR, "elements"},
    {"len lies where insert looks again",
     "local n = 0 local t = setmetatable({}, {__len = function() n = n + 1 "
     "return n % 2 == 1 and 1 or 1 << 50 end}) table.insert(t, 1, 1)",
     ERROR, "__len"},
    {"len lies where remove looks again",
     "local n = 0 local t = setmetatable({}, {__len = function() n = n + 1 "
     "return n % 2 == 1 and 1 or 1 << 50 end}) table.remove(t, 1)",
     ERROR, "__len"},
    {"len lies where sort looks again",
     "local n = 0 local t = setmetatable({}, {__len = function() n = n + 1 "
     "return n % 2 == 1 and 1 or 1 << 50 end}) table.sort(t)",
     ERROR, "__len"},
    {"len lies where concat looks again",
     "local n = 0 local t = setmetatable({}, {__len = function() n = n + 1 "
     "return n % 2 == 1 and 1 or 1 << 50 end, __index = type}) return #table.concat(t) == 5 and "
     "'done' or error('all of it')",
     FINE, NULL},
    {"len lies where unpack looks again",
     "local n = 0 local t = setmetatable({}, {__len = function() n = n + 1 "
     "return n % 2 == 1 and 1 or 1 << 50 end, __index = type}) return select('#', table.unpack(t)) "
     "== 1 and 'done' or error('all of it')",
     FINE, NULL},
    {"gsub of nothing by a long text", "return #('x'):rep(1e4):gsub('', ('%0'):rep(1e5))", CPU,
     NULL},
    {"long numbers", "local s = ('1'):rep(2e6) while true do tonumber(s) end", CPU, NULL},
    {"long numbers for a library", "local s = ('1'):rep(2e6) while true do math.abs(s) end", CPU,
     NULL},
    {"ephemerons in a chain",
     "local t = setmetatable({}, {__mode = 'k'}) local first = {} local k = first "
     "for i = 1, 20000 do local n = {} t[k] = n k = n end while true do local x = {} end",
     CPU, NULL},
    {"load bomb", "return load(('x = 1 '):rep(20000))", ERROR, "longer"},
    {"load for ever", "while true do load('return 1') end", CPU, NULL},
    {"date bomb", "return os.date(('%c'):rep(1000))", ERROR, "longer"},
    {"utf8 again", "local s = ('x'):rep(1e6) while true do utf8.len(s) end", CPU, NULL},
    /* memory */
    {"table bomb", "local t = {} for i = 1, math.huge do t[i] = {} end", BRIM_SCRIPT_ENDS, NULL},
    {"table bomb in pcall",
     "local t = {} while true do pcall(function() for i = 1, math.huge do "
     "t[#t + 1] = ('x'):rep(1000) .. #t end end) end",
     BRIM_SCRIPT_ENDS, NULL},
    {"string keys", "local t = {} for i = 1, math.huge do t['k' .. i] = i end", BRIM_SCRIPT_ENDS,
     NULL},
    {"deep recursion", "local function f() return 1 + f() end return f()", BRIM_SCRIPT_ENDS, NULL},
    {"a loop under 5000 calls",
     "local function f(n) if n == 0 then while true do end end return 1 + f(n - 1) end f(5000)",
     CPU, "more than 200 levels"},
    {"deep recursion caught", "local function f() return 1 + f() end while true do pcall(f) end",
     BRIM_SCRIPT_ENDS, NULL},
    {"C recursion", "local function f() return ('x'):gsub('x', f) end return f()", ERROR,
     "overflow"},
    {"tostring recursion",
     "local t = setmetatable({}, {__tostring = function(t) return tostring(t) "
     "end}) return tostring(t)",
     ERROR, NULL},
    {"many closures", "local t = {} for i = 1, math.huge do t[i] = function() return i end end",
     BRIM_SCRIPT_ENDS, NULL},
    {"many coroutines", "local t = {} for i = 1, math.huge do t[i] = coroutine.create(print) end",
     BRIM_SCRIPT_ENDS, NULL},
    {"error object of size", "error(('x'):rep(1e6))", ERROR, "xxxx"},
    /* ways out */
    {"io", "return io.open('/etc/passwd')", ERROR, "nil value"},
    {"os.execute", "return os.execute('id')", ERROR, "nil value"},
    {"os.getenv", "return os.getenv('HOME')", ERROR, "nil value"},
    {"os.exit", "os.exit(1)", ERROR, "nil value"},
    {"debug", "return debug.getregistry()", ERROR, "nil value"},
    {"package", "return package.loadlib('x', 'y')", ERROR, "nil value"},
    {"dofile", "return dofile('/etc/passwd')", ERROR, "nil value"},
    {"string.dump", "return string.dump(function() end)", ERROR, "nil value"},
    {"bytecode", "return assert(load('\\27Lua'))", ERROR, "binary"},
    {"load of a function", "return load(function() return 'x' end)", ERROR, "string expected"},
    {"require up", "return require('..secret')", ERROR, "module name"},
    {"require by path", "return require('/etc/passwd')", ERROR, "module name"},
    {"require with NUL", "return require('a\\0b')", ERROR, NULL},
    {"string's metatable", "getmetatable('').__index = {}", ERROR, NULL},
    {"string's functions", "string.format = print", ERROR, "read-only"},
    {"rawset of a library", "rawset(string, 'format', print)", ERROR, "read-only"},
    {"table.insert into a library", "table.insert(string, 1)", ERROR, "read-only"},
    {"setmetatable of a library", "setmetatable(string, {})", ERROR, "protected"},
    {"setmetatable of the environment", "setmetatable(_ENV, {})", ERROR, "protected"},
    {"a library through pairs",
     "for k, v in pairs(brim) do if k == 'env' then v.SECRET = 1 end end", ERROR, "read-only"},
    {"next() shows nothing", "assert(next(string) == nil and next(brim) == nil) return 'done'",
     FINE, NULL},
    {"collectgarbage", "collectgarbage('stop')", ERROR, "count"},
    {"an error object leads nowhere",
     "local ok, e = pcall(error, setmetatable({}, {__index = _ENV})) "
     "return type(e.string.format)",
     FINE, NULL},
};

static void check_end(const struct hostile *hostile, enum brim_script_end end, const char *error)
{
    if (hostile->end == BRIM_SCRIPT_ENDS) /* depends on which limit is met first; but it ends */
        ck_assert_msg(end != FINE, "%s went through", hostile->name);
    else
        ck_assert_msg(end == hostile->end, "%s: %s, not %s: %s", hostile->name,
                      brim_script_end_name(end), brim_script_end_name(hostile->end), error);
    if (hostile->message != NULL)
        ck_assert_msg(strstr(error, hostile->message) != NULL, "%s: %s", hostile->name, error);
}

static void run_good(struct brim_script_vm *vm, const char *name)
{
    struct brim_script_run *run = brim_script_run_begin(vm);
    enum brim_script_end end = brim_script_run_call(run, BRIM_SCRIPT_VIEWER_RESPONSE, &rig_call);

    ck_assert_msg(end == BRIM_SCRIPT_OK, "after %s: %s", name, brim_script_run_error(run));
    ck_assert_msg(strcmp(rig_result, "good 3") == 0, "after %s: %s", name, rig_result);
    brim_script_run_end(run);
}

/* Every script is stopped, with the right reason, soon; and the VM serves the next request. */
START_TEST(a_hostile_script_is_stopped_and_the_next_request_served)
{
    const struct hostile *hostile = &hostiles[_i];
    char source[2048];
    struct brim_script_vm *vm;
    struct brim_script_run *run;
    enum brim_script_end end;

    (void)snprintf(source, sizeof(source),
                   "return {viewer_request = function() %s end, viewer_response = function() "
                   "return 'good', #string.format('%%d', 123) end}",
                   hostile->body);
    if (hostile->end == CPU || hostile->end == BRIM_SCRIPT_ENDS)
        rig_limits.cpu_us = RIG_CPU_LEAST_US;
    vm = rig_vm(source);
    for (int i = 0; i < 3; i++) {
        run = brim_script_run_begin(vm);
        end = brim_script_run_call(run, BRIM_SCRIPT_VIEWER_REQUEST, &rig_call);
        check_end(hostile, end, end == FINE ? "" : brim_script_run_error(run));
        /* generous: sanitizers, and other tests on the same cores */
        ck_assert_msg(brim_script_run_cpu_us(run) < 500000, "%s took %lu us", hostile->name,
                      (unsigned long)brim_script_run_cpu_us(run));
        brim_script_run_end(run);
        run_good(vm, hostile->name);
    }
    ck_assert_uint_lt(brim_script_vm_bytes(vm), rig_limits.vm_bytes);
    brim_script_vm_close(vm);
    rig_clean();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("policy.script_hostile");
    TCase *tcase = tcase_create("script_hostile");

    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, a_hostile_script_is_stopped_and_the_next_request_served, 0,
                        (int)(sizeof(hostiles) / sizeof(hostiles[0])));
    suite_add_tcase(suite, tcase);
    return unit_run(suite);
}
