#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""lua_docs - what lua/ says is so: every function of `brim` is annotated and nothing else is, and
every example has a section whose config the checker takes.

Usage: tests/cli/lua_docs.py BRIM
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

BRIM = sys.argv[1]
LUA = Path(__file__).resolve().parents[2] / "lua"
EXAMPLES = LUA / "examples"
BASE = """listeners: [{address: "127.0.0.1:8080"}]
kv: {path: KV}
origins: [{name: app, servers: [{url: "http://127.0.0.1:8000"}]}]
"""
# Prints what there is: brim.NAME and brim.PART.NAME, and the methods of headers.
HANDLER = """return {viewer_request = function(req)
  local names = {}
  local function add(prefix, t)
    for name, value in pairs(t) do
      local full = prefix .. name
      if type(value) == "table" and full ~= "brim.env" then add(full .. ".", value)
      else names[#names + 1] = full end
    end
  end
  add("brim.", brim)
  for _, name in ipairs{"get", "all", "each", "set", "add", "remove", "other"} do
    if type(req.headers[name]) == "function" then names[#names + 1] = "View:" .. name end
  end
  return {body = table.concat(names, "\\n")}
end}
"""


def names_there_are(directory):
    file = Path(directory) / "names.lua"
    file.write_text(HANDLER)
    done = subprocess.run([BRIM, "lua", "run", file], capture_output=True, text=True, check=True)
    return set(re.findall(r"^(?:brim[.\w]+|View:\w+)$", done.stdout, re.M))


def names_annotated():
    names = set()
    for file in (LUA / "brim").glob("*.lua"):
        text = file.read_text()
        names |= {"View:" + name for name in re.findall(r"^function View:(\w+)\(", text, re.M)}
        names |= {("brim." if part == "brim" else f"brim.{part}.") + name for part, name in
                  re.findall(r"^function (\w+)\.(\w+)\(", text, re.M)}
        for part, fields in re.findall(r"^---@class (brim(?:\.json)?)\n((?:---@field .*\n)+)", text, re.M):
            # a field that is a part of its own is told by its functions
            names |= {f"{part}.{name}" for name, kind in
                      re.findall(r"^---@field (\w+) (\S+)", fields, re.M)
                      if not kind.startswith("brim.")}
    return names


def check_names(directory):
    there, told = names_there_are(directory), names_annotated()
    if len(there) < 50:
        yield f"`brim lua run` told of {len(there)} names only"
    for name in sorted(there - told):
        yield f"{name} stands in no file of lua/brim"
    for name in sorted(told - there):
        yield f"lua/brim tells of {name}, which there is not"


def check_examples(directory):
    text = (EXAMPLES / "README.md").read_text()
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", text, re.M | re.S))
    files = {file.stem for file in EXAMPLES.glob("*.lua") if not file.stem.endswith("_test")}
    for name in sorted(files ^ set(sections)):
        yield f"{name} is an example or a section, not both"
    for name in sorted(files & set(sections)):
        if not (EXAMPLES / f"{name}_test.lua").exists():
            yield f"{name} has no test"
        config = re.search(r"```yaml\n(.*?)```", sections[name], re.S)
        file = Path(directory) / f"{name}.yaml"
        file.write_text(BASE.replace("KV", f"{directory}/kv") +
                        (config[1] if config else "none").replace("/etc/brim/", f"{EXAMPLES}/"))
        done = subprocess.run([BRIM, "check", "-c", file], capture_output=True, text=True)
        if done.returncode != 0 or f"{name}.lua" not in file.read_text():
            yield f"{name}: its config is not taken: {done.stderr}"


def main():
    with tempfile.TemporaryDirectory(prefix="brim-lua-docs-") as directory:
        wrong = list(check_names(directory)) + list(check_examples(directory))
    for fault in wrong:
        print("fault:", fault)
    print(f"lua_docs: {len(wrong)} faults")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
