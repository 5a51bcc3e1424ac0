#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""scripts - hostile handlers on a node that serves others too.

Usage: tests/fault/scripts.py BRIM [--list]

Every case is a handler file of a site of its own; all share one worker. A case is asked three
times; after each the same file answers an ordinary request, and so does a neighbour's site. What
must come of it:

  STOPPED   500 with Proxy-Status, and not a word of the reason
  HARMLESS  200: the handler did nothing wrong, or its attempt leads nowhere

Meanwhile a process of its own asks the neighbour's site for a cached object, again and again; how
long that took, before and beside the hostile ones, is printed. A hostile handler has the worker for
as long as its budget allows (handlers.cpu, 10 ms), so that is what a neighbour may wait.

At the end the node has not been restarted, holds no more memory than its limits allow, has counted
every failure, and ends cleanly. What each script does to a VM alone is
tests/unit/policy_script_hostile.c's.
"""

import http.client
import http.server
import multiprocessing
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402

STOPPED, HARMLESS = "STOPPED", "HARMLESS"
LIMITS = {STOPPED: {}, HARMLESS: {"wall": "60s"}}  # what is right may take its time
REPEATS = 3
QUIET_REQUESTS = 1000
RSS_BYTES_MAX = 1 << 30  # cases x 64 MiB would be several GiB
SECRET = "hostile-secret"  # in every error message: must not reach the client

LOOPS = {
    "loop": "while true do end",
    "loop in pcall": "while true do pcall(function() while true do end end) end",
    "loop in a coroutine": "coroutine.wrap(function() while true do end end)()",
    "loop in __index": "return setmetatable({}, {__index = function() while true do end end}).x",
    "loop in a gsub callback": "return (('x'):rep(9)):gsub('x', function() while true do end end)",
    "loop in __close": "local x <close> = setmetatable({}, {__close = function() while true do end "
                       "end}) error('x')",
    "loop in a sort": "local t = {3, 2, 1} table.sort(t, function() while true do end end)",
    "table bomb": "local t = {} for i = 1, math.huge do t[i] = {} end",
    "rep bomb": "return ('x'):rep(1 << 40)",
    "doubling in pcall": "local s = 'x' while true do pcall(function() s = s .. s end) end",
    "backtracking": "return ('a'):rep(5000):find(('a*'):rep(20) .. 'b')",
    "deep recursion": "local function f() return 1 + f() end return f()",
    "an error that is a table": f"error(setmetatable({{}}, {{__tostring = function() return "
                                f"'{SECRET}' end}}))",
    "an error with text": f"error('{SECRET}')",
    "a finalizer": "setmetatable({}, {__gc = function() while true do end end})",
}

REQUEST_CASES = {
    "answer: CR LF in a value": (STOPPED, "return {headers = {X = 'a\\r\\nSet-Cookie: b=1'}}"),
    "answer: bare LF in a value": (STOPPED, "return {headers = {X = 'a\\nSet-Cookie: b=1'}}"),
    "answer: NUL in a value": (STOPPED, "return {headers = {X = 'a\\0b'}}"),
    "answer: CR LF in a name": (STOPPED, "return {headers = {['X: a\\r\\nY'] = 'b'}}"),
    "answer: a name with a colon": (STOPPED, "return {headers = {['X:'] = 'b'}}"),
    "answer: two lengths": (STOPPED, "return {headers = {['Content-Length'] = '1'}, body = 'xx'}"),
    "answer: chunked": (STOPPED, "return {headers = {['Transfer-Encoding'] = 'chunked'}}"),
    "answer: an interim status": (STOPPED, "return {status = 101}"),
    "answer: a status of four digits": (STOPPED, "return {status = 2000}"),
    "answer: a header of 1 MiB": (STOPPED, "return {headers = {X = ('x'):rep(1 << 20)}}"),
    "answer: 10000 headers": (STOPPED, "local h = {} for i = 1, 10000 do h['x' .. i] = 'y' end "
                                       "return {headers = h}"),
    "answer: one header 10000 times": (STOPPED, "local l = {} for i = 1, 10000 do l[i] = 'y' end "
                                                "return {headers = {X = l}}"),
    "answer: a list whose length lies": (STOPPED, "return {headers = {X = setmetatable({}, {__len = "
                                                  "function() return 1 << 40 end})}}"),
    "answer: a body of 2 MiB": (STOPPED, "return {body = ('x'):rep(2 << 20)}"),
    "answer: a body that is a table": (STOPPED, "return {body = {}}"),
    "answer: __index loops": (STOPPED, "return setmetatable({}, {__index = function() while true do "
                                       "end end})"),
    "request: CR LF in a value": (STOPPED, "req.headers['X'] = 'a\\r\\nHost: other'"),
    "request: CR LF in the path": (STOPPED, "req.path = '/a HTTP/1.1\\r\\nHost: other\\r\\n\\r\\n'"),
    "request: CR LF in the method": (STOPPED, "req.method = 'GET / HTTP/1.1\\r\\nX: y\\r\\n\\r\\nGET'"),
    "request: CR LF in a cookie": (STOPPED, "req.cookies.a = 'b\\r\\nX: y'"),
    "request: CR LF in the query": (HARMLESS, "req.query.a = 'b\\r\\nX: y'"),  # percent-encoded
    "request: another Host": (STOPPED, "req.headers['Host'] = 'other'"),
    "request: a length of its own": (STOPPED, "req.headers['Content-Length'] = '5'"),
    "request: no framing of its own": (STOPPED, "req.headers['Transfer-Encoding'] = 'chunked'"),
    "request: a key without end": (STOPPED, "req.key = ('x'):rep(1 << 20)"),
    "request: an origin that is none": (STOPPED, "req.origin = '../../etc'"),
    "request: headers without end": (STOPPED, "for i = 1, math.huge do req.headers:add('x', 'y') end"),
    "request: query without end": (STOPPED, "for i = 1, math.huge do req.query:add('x', 'y') end"),
    "kv flood": (STOPPED, "for i = 1, math.huge do brim.kv.set('flood', 'k' .. i, ('x'):rep(999)) end"),
    "kv list of everything": (STOPPED, "while true do brim.kv.list('flood', '') end"),
    "dict flood": (STOPPED, "local s = ('x'):rep(60000) for i = 1, math.huge do "
                            "brim.dict.set('flood', 'k' .. i, s) end"),
    "ratelimit flood": (STOPPED, "for i = 1, math.huge do brim.ratelimit('flood', 'k' .. i, 1, 1) end"),
    "log flood": (STOPPED, "while true do print(('x'):rep(900)) end"),
    "metric flood": (STOPPED, "for i = 1, math.huge do brim.metric('flood_' .. i, 1) end"),
    "digest flood": (STOPPED, "local s = ('x'):rep(1 << 20) while true do brim.sha256(s) end"),
    "json nested without end": (STOPPED, "error(select(2, brim.json.decode(('['):rep(60000))))"),
    "json of itself": (STOPPED, "local t = {} t.t = t brim.json.encode(t)"),
    "random flood": (STOPPED, "while true do brim.random(1024) end"),
    "fetch storm": (STOPPED, "for i = 1, 1000 do brim.fetch('/fine') end"),
    "fetch storm past the cache": (STOPPED, "for i = 1, 1000 do brim.fetch('/fine', {cache = false}) "
                                            "end"),
    "fetch storm in pcall": (STOPPED, "while true do pcall(brim.fetch, '/fine') end"),
    "fetch storm of coroutines": (STOPPED, "local t = {} for i = 1, 1000 do t[i] = coroutine.wrap("
                                           "function() brim.fetch('/fine') end) t[i]() end"),
    "fetch storm at once": (STOPPED, "local l = {} for i = 1, 1000 do l[i] = '/fine' end brim.all(l)"),
    "fetch of itself": (HARMLESS, "assert(brim.fetch('/hostile').status == 200)"),
    "fetch of what is no site": (STOPPED, "assert(brim.fetch('http://127.0.0.1:1/'))"),
    "fetch: CR LF in the URL": (STOPPED, "assert(brim.fetch('/a HTTP/1.1\\r\\nY: b\\r\\n\\r\\n'))"),
    "fetch: CR LF in a header": (STOPPED, "brim.fetch('/fine', {headers = {X = 'a\\r\\nY: b'}})"),
    "fetch in a callback": (STOPPED, "(('x'):rep(9)):gsub('x', function() brim.fetch('/fine') end)"),
    "after flood": (STOPPED, "while true do brim.after(print) end"),
    "purge flood": (STOPPED, "while true do brim.cache.purge{tags = {'none'}} end"),
    "the metatable of strings": (STOPPED, "getmetatable('').__index = {rep = print}"),
    "the metatable of a request": (STOPPED, "getmetatable(req).__index = print"),
    "bytecode": (STOPPED, "return assert(load('\\27LuaT\\0'))"),
    "bytecode made here": (STOPPED, "return string.dump(function() end)"),
    "upvalues": (STOPPED, "return debug.getupvalue(req.headers.get, 1)"),
    "the registry": (STOPPED, "return debug.getregistry()"),
    "a library replaced": (STOPPED, "string.format = print"),
    "a frozen table by rawset": (STOPPED, "rawset(brim, 'kv', {})"),
    "a file": (STOPPED, "return io.open('/etc/passwd')"),
    "a command": (STOPPED, "os.execute('id')"),
    "a module above the root": (STOPPED, "require('..brim')"),
    "a yield to nobody": (STOPPED, "coroutine.yield()"),
    "globals that do not last": (HARMLESS, "assert(LEFT == nil) LEFT = 1"),
    "methods on something else": (STOPPED, "req.headers.get({}, 'x')"),
    "methods on another kind": (STOPPED, "req.headers.get(req, 'x')"),
}

RESPONSE_CASES = {
    "CR LF in a value": (STOPPED, "res.headers['X'] = 'a\\r\\nSet-Cookie: b=1'"),
    "a status without a body": (STOPPED, "res.status = 304"),
    "a status of its own": (STOPPED, "res.status = 1"),
    "another length": (STOPPED, "res.headers['Content-Length'] = '1'"),
    "the request is read-only": (STOPPED, "req.path = '/other'"),
    "headers without end": (STOPPED, "while true do res.headers:add('x', 'y') end"),
    "a kept request": (STOPPED, "return kept.path"),  # lent for another phase
}

ORIGIN_CASES = {
    "a body of 2 MiB": (STOPPED, "res.body = ('x'):rep(2 << 20)"),
    "a ttl that is none": (STOPPED, "res.ttl = -1"),
    "tags without end": (STOPPED, "res.tags = setmetatable({}, {__len = function() return 1 << 40 end})"),
    "CR LF in a tag": (STOPPED, "res.tags = {'a\\r\\nSet-Cookie: b=1'}"),
}


def make_cases():
    """[(name, phase, body, expected)]"""
    cases = [(f"{phase}: {name}", phase, body, STOPPED) for name, body in LOOPS.items()
             for phase in ("viewer_request", "origin_request", "origin_response", "viewer_response")]
    cases += [(name, "viewer_request", body, expected)
              for name, (expected, body) in REQUEST_CASES.items()]
    cases += [(f"{phase}: {name}", phase, body, expected)
              for name, (expected, body) in RESPONSE_CASES.items()
              for phase in ("viewer_response", "origin_response")]
    cases += [(name, "origin_response", body, expected)
              for name, (expected, body) in ORIGIN_CASES.items()]
    return cases


def source(phase, body):
    keeps = "" if phase == "viewer_request" else "  viewer_request = function(req) kept = req end,\n"
    return (f"return {{\n{keeps}  {phase} = function(req, res)\n"
            f"    if req.path == '/fine' then return end\n    do {body} end\n  end,\n}}\n")


class Origin(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 4096  # header and body in one piece: no delayed acknowledgement between them

    def do_GET(self):  # noqa: N802
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.send_header("Cache-Control", "max-age=3600" if self.path == "/cached" else "no-store")
        self.end_headers()
        self.wfile.write(b"ok")

    def handle(self):
        try:
            super().handle()
        except ConnectionResetError:
            pass  # the node has ended with what it had open

    def log_message(self, *_):
        pass


def ask(port, host, path):
    """(status, [(name, value)...], body)"""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path, headers={"Host": host})
        response = connection.getresponse()
        return response.status, response.getheaders(), response.read()
    finally:
        connection.close()


def fault_of(expected, status, headers, body):
    names = {name.lower(): value for name, value in headers}
    if SECRET.encode() in body or any(SECRET in value for value in names.values()):
        return "the client was told of the error"
    if "set-cookie" in names or "y" in names:
        return f"a header came through: {headers}"
    if expected == HARMLESS:
        return None if (status, body) == (200, b"ok") else f"{status} {body[:80]}"
    if status != 500 or "brim" not in names.get("proxy-status", ""):
        return f"{status}, Proxy-Status {names.get('proxy-status')}"
    return None


def run_case(port, number, case):
    name, _, _, expected = case
    for _ in range(REPEATS):
        fault = fault_of(expected, *ask(port, f"case{number}.test", "/hostile"))
        if fault:
            return f"{name}: {fault}"
        for host, who in ((f"case{number}.test", "its own next request"), ("fine.test", "a neighbour")):
            status, _, body = ask(port, host, "/fine")
            if (status, body) != (200, b"ok"):
                return f"{name}: {who} got {status} {body[:80]}"
    return None


def neighbour(port, quiet, end, results):
    """Asks for a hit until `end` is set; puts two lists of milliseconds: before `quiet`, after."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    times = ([], [])
    while not end.is_set():
        begin = time.perf_counter()
        connection.request("GET", "/cached", headers={"Host": "fine.test"})
        response = connection.getresponse()
        if (response.status, response.read()) != (200, b"ok"):
            raise RuntimeError(f"the neighbour got {response.status}")
        times[quiet.is_set()].append((time.perf_counter() - begin) * 1000)
        if len(times[0]) == QUIET_REQUESTS:
            quiet.set()
    results.put(times)


def tell(times):
    for when, list_ in zip(("before", "beside the hostile ones"), times):
        cuts = statistics.quantiles(list_, n=1000)
        print(f"scripts: a neighbour's hits {when}: p50 {cuts[499]:.2f} ms, p99 {cuts[989]:.2f} ms, "
              f"p99.9 {cuts[998]:.2f} ms, longest {max(list_):.2f} ms, of {len(list_)}")


def run_cases(port, cases):
    """Faults, with a neighbour beside."""
    quiet, end, results = multiprocessing.Event(), multiprocessing.Event(), multiprocessing.Queue()
    beside = multiprocessing.Process(target=neighbour, args=(port, quiet, end, results))
    beside.start()
    try:
        if not quiet.wait(60):
            return ["the neighbour was not served"]
        wrong = [fault for fault in (run_case(port, number, case)
                                     for number, case in enumerate(cases)) if fault]
        end.set()
        tell(results.get(timeout=60))
        return wrong
    finally:
        end.set()
        beside.join(60)
        beside.kill()


def write_sites(directory, config, cases):
    config["sites"] = [{"hosts": ["fine.test"], "origin": "origin"}]
    for number, (_, phase, body, expected) in enumerate(cases):
        file = Path(directory) / f"case{number}.lua"
        file.write_text(source(phase, body))
        config["sites"].append({"hosts": [f"case{number}.test"], "origin": "origin",
                                "handlers": {"file": str(file), **LIMITS[expected]}})


def check_node(node, admin, cases):
    """Faults of the node as a whole."""
    stopped = sum(case[3] == STOPPED for case in cases) * REPEATS
    counted = brim_node.metric(admin, "brim_handler_failures_total")
    rss = node.rss_bytes()
    if counted != stopped:
        yield f"{counted} failures were counted, not {stopped}"
    if rss > RSS_BYTES_MAX * brim_node.GROWTH:
        yield f"the node holds {rss >> 20} MiB"
    if brim_node.metric(admin, "brim_node_restarts_total"):
        yield "the node did not stay"


def main():
    cases = make_cases()
    if "--list" in sys.argv:
        for name, phase, body, expected in cases:
            print(f"{expected:8} {phase:16} {name}: {body}")
        return 0
    binary = sys.argv[1] if len(sys.argv) > 1 else None
    origin = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Origin)
    threading.Thread(target=origin.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(prefix="brim-scripts-") as directory:
        port, admin = brim_node.free_port(), brim_node.free_port()
        config = brim_node.make_config(port, admin, origin.server_port)
        for path, value in (("node.workers", 1), ("log.level", "error"),
                            ("kv.path", f"{directory}/kv"), ("kv.size", "8MiB")):
            brim_node.set_path(config, path, value)
        write_sites(directory, config, cases)
        node = brim_node.Node(directory, config, binary)
        try:
            node.start()
            wrong = run_cases(port, cases)
            wrong += check_node(node, admin, cases)
            if node.stop() != 0:
                wrong.append(f"the node did not end cleanly:\n{node.log_tail()}")
        finally:
            if node.process and node.process.poll() is None:
                node.kill()
    print(f"scripts: {len(cases)} hostile handlers, {len(wrong)} faults")
    for fault in wrong:
        print("  fault:", fault)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
