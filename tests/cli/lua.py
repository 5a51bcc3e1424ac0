#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""lua - `brim lua test`: the examples pass, and what fails is said with its line.

Usage: tests/cli/lua.py BRIM
"""

import subprocess
import sys
import tempfile
from pathlib import Path

BRIM = sys.argv[1]
EXAMPLES = Path(__file__).resolve().parents[2] / "lua" / "examples"

HANDLER = """return {viewer_request = function(req)
  if req.path == "/loop" then while true do end end
  if req.path == "/error" then
    error("broken")
  end
  brim.log("info", "saw", req.path)
  return {body = os.date("!%H:%M") .. (brim.env.NAME or "")}
end}
"""
TEST = """local site = handlers("site.lua", {now = 3600, env = {NAME = "x"}})
test("clock and env are the test's", function()
  local r = site:request{url = "http://a/"}
  equal(r.body, "01:00x") equal(r.log[1], "saw /")
end)
test("a loop is stopped", function() equal(site:request{url = "http://a/loop"}.reason, "cpu") end)
test("this one fails", function()
  equal(site:request{}.status, 404)
end)
"""


# What stands for a node: stores, brim.fetch, and the phases of a miss and of a hit.
NODE = """return {
  viewer_request = function(req)
    if req.path == "/fetch" then
      local r, why = brim.fetch("/x", {headers = {["X-A"] = "1"}})
      return {status = r and r.status or 502, body = r and r.headers["x-b"] or why}
    elseif req.path == "/two" then
      return {body = brim.all{"/x", "/none"}[2].error}
    end
    brim.dict.incr("seen", req.path, 1, 10)
  end,
  origin_request = function(req)
    req.headers["X-Seen"] = tostring(brim.dict.get("seen", req.path))
    req.headers["X-Kv"] = brim.kv.get("s", "k") or "none"
  end,
  origin_response = function(req, res) res.headers["X-Origin"] = "1" end,
}
"""
NODE_TEST = """local function fetch(url, options)
  if url == "/none" then return nil, "no such thing" end
  if url == "/x" and not options.headers["x-a"] then error("no x-a") end
  return {status = 201, headers = {["X-B"] = "b"}}
end
local site = handlers("node.lua", {now = 100, kv = {s = {k = "v"}}, fetch = fetch})
test("a miss passes all phases", function()
  local r = site:request{url = "http://a/p"}
  equal(r.error, nil)
  equal(r.asked.headers["x-seen"], "1") equal(r.asked.headers["x-kv"], "v")
  equal(r.request.headers["x-seen"], nil) equal(r.headers["x-origin"], "1")
end)
test("a hit does not", function()
  local r = site:request{url = "http://a/p", hit = true}
  equal(r.asked, nil) equal(r.headers["x-origin"], nil)
end)
test("time passes when the test says so", function()
  site:advance(11)
  equal(site:request{url = "http://a/p"}.asked.headers["x-seen"], "1")
end)
test("fetch", function()
  local r = site:request{url = "http://a/fetch"}
  equal(r.status, 201) equal(r.body, "b")
  equal(site:request{url = "http://a/two"}.body, "no such thing")
end)
local bare = handlers("node.lua")
test("stores are a site's own; without fetch it says so", function()
  equal(bare:request{url = "http://a/p"}.asked.headers["x-kv"], "none")
  equal(bare:request{url = "http://a/fetch"}.body:match("the test has no answer"), "the test has no answer")
end)
"""


def run(*args):
    done = subprocess.run([BRIM, "lua", *args], capture_output=True, text=True, timeout=60,
                          check=False)
    return done.returncode, done.stdout, done.stderr


def expect(truth, what, shown=""):
    if not truth:
        sys.exit(f"lua: {what}\n{shown}")


def check_config(folder):
    config = Path(folder, "brim.yaml")
    handlers = Path(folder, "h.lua")
    config.write_text("listeners: [{address: ':8080'}]\n"
                      "origins: [{name: a, servers: [{url: 'http://127.0.0.1:1'}]}]\n"
                      f"sites: [{{hosts: ['*'], origin: a, handlers: {{file: {handlers}}}}}]\n")
    for text, wanted, said in ((HANDLER, 0, "ok"), ("return {\nx = }", 2, "h.lua:2:"),
                               ("return {origin_response = function() end}", 0, "ok")):
        handlers.write_text(text)
        done = subprocess.run([BRIM, "check", "-c", str(config)], capture_output=True, text=True,
                              timeout=60, check=False)
        expect(done.returncode == wanted and said in done.stdout + done.stderr,
               f"brim check of {text!r}", done.stdout + done.stderr)


def main():
    status, out, _ = run("test", str(EXAMPLES))
    expect(status == 0 and "not ok" not in out, "the examples fail", out)
    expect(out.count("\nok ") >= 35 and out.rstrip().endswith("1..35"), "tests are missing", out)

    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "site.lua").write_text(HANDLER)
        Path(folder, "site_test.lua").write_text(TEST)
        status, out, _ = run("test", folder)
        expect(status == 1, "a failed test is no failure", out)
        for line in ("ok 1 - clock and env are the test's", "ok 2 - a loop is stopped",
                     "not ok 3 - this one fails", "got 200, expected 404", "site_test.lua:8",
                     "not run: 4:", "1..3"):
            expect(line in out, f"{line!r} is missing", out)

        Path(folder, "site.lua").write_text("return {viewer_request = }")
        status, out, _ = run("test", folder)
        expect(status == 1 and "site.lua:1:" in out, "a handler that does not load", out)
        Path(folder, "site_test.lua").unlink()
        expect(run("test", folder)[0] == 1, "nothing to test is no success")
        Path(folder, "node.lua").write_text(NODE)
        Path(folder, "node_test.lua").write_text(NODE_TEST)
        status, out, _ = run("test", folder)
        expect(status == 0 and "1..5" in out, "the mocks", out)
        check_config(folder)
        handler = Path(folder, "run.lua")
        handler.write_text(HANDLER)
        status, out, err = run("run", str(handler), "--url", "http://a/x", "-e", "NAME=Ada")
        expect(status == 0 and "answered by the handler\n200\n" in out and "Ada" in out, "run", out)
        expect("log: saw /x" in err, "run says nothing of the log", err)
        status, out, err = run("run", str(handler), "--url", "http://a/error")
        expect(status == 1 and "run.lua:4: broken" in err, "run of a failing handler", err)
        status, out, _ = run("run", str(EXAMPLES / "ab_split.lua"), "-H", "Cookie: group=b; c=1")
        expect(status == 0 and "x-group: b" in out and "# key: group=b" in out, "run", out)
        expect(run("run", str(handler), "-H", "nocolon")[0] == 2, "run with a bad header")
    expect(run()[0] == 2 and run("test", "/nowhere")[0] == 2, "usage")
    print("lua: ok")


if __name__ == "__main__":
    main()
