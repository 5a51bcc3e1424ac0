#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""stores - a damaged file of named stores: nothing is thrown away, and the node serves the rest.

Usage: tests/fault/stores.py BRIM [ROUNDS [SEED]]     (default 2 rounds of each kind)

Stores are filled and their node ended. Each round damages a copy, by the kinds of lib/damage.py, and
starts a node on it. What asks no store is answered as ever; what does gets what was stored, or an
error. LMDB has no checksums: a page that it follows may end the process, twice at most; then, or
where LMDB says itself that a page is broken, the stores are given up, which the log and
brim_kv_damaged say. The file is never removed, nor made anew. A value that a disk has changed is
not noticed, nor a row that has become invisible: the table counts both.
"""

import http.client
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402
import damage  # noqa: E402

KEYS = 1500
DEATHS_MAX = 2

HANDLERS = """
return {viewer_request = function(req)
  local what, n = req.path:match("^/(%l+)/(%d+)$")
  if what == "get" then
    local value, why = brim.kv.get("s", n)
    if why then return {status = 503, body = why} end
    return {status = value and 200 or 404, body = value or ""}
  end
  if what == "set" then
    local is_set, why = brim.kv.set("s", n, ("value " .. n .. " "):rep(20))
    return {status = is_set and 200 or 503, body = why or ""}
  end
  return {status = 200, body = "no store"}
end}
"""


def value_of(number):
    return f"value {number} " * 20


class Client:
    """Asks again where the node died meanwhile."""

    def __init__(self, port):
        self.port = port
        self.connection = None

    def ask_once(self, path):
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            self.connection.request("GET", path, headers={"Host": "www.example"})
            response = self.connection.getresponse()
            return response.status, response.read().decode(errors="replace")
        except (OSError, http.client.HTTPException):
            self.connection = None
            return None

    def ask(self, path):
        answers = []

        def has_answer():
            answers.append(self.ask_once(path))
            return answers[-1] is not None

        brim_node.wait_until(has_answer, f"an answer to {path}")
        return answers[-1]


def look(client, row, wrong):
    for number in range(KEYS):
        status, body = client.ask(f"/get/{number}")
        if status == 200:
            row["right" if body == value_of(number) else "changed"] += 1
        elif status == 404:
            row["unseen"] += 1
        elif status == 503 and body:
            row["failed"] += 1
        else:
            wrong.append(f"/get/{number}: {status} {body[:60]!r}")


def one_round(node, client, row, wrong):
    data = Path(node.config["kv"]["path"]) / "data.mdb"
    size = data.stat().st_size
    node.start()
    for path in ("/none/1", "/set/1", "/none/2"):
        status, body = client.ask(path)
        if path.startswith("/none") and (status, body) != (200, "no store"):
            wrong.append(f"{path}: {status} {body[:60]!r}")
        if path.startswith("/set") and status not in (200, 503):
            wrong.append(f"{path}: {status} {body[:60]!r}")
    look(client, row, wrong)
    if client.ask("/none/3") != (200, "no store"):
        wrong.append("what asks no store is not answered")
    is_damaged = brim_node.metric(node.admin_port, "brim_kv_damaged")
    row["given up"] += is_damaged
    deaths = len(node.deaths())
    row["deaths"] += deaths
    if is_damaged != ("kv.damaged" in node.log_path.read_text(errors="replace")):
        wrong.append("metric and log disagree")
    if deaths > DEATHS_MAX:
        wrong.append(f"died {deaths} times")
    if not data.exists() or data.stat().st_size < size:
        wrong.append("data.mdb was removed or cut")
    if node.stop() != 0 and len(node.deaths()) == deaths:
        wrong.append("no clean end")


def fill(node, client):
    node.start()
    for number in range(KEYS):
        while client.ask(f"/set/{number}")[0] != 200:  # so many may wait for the disk
            continue
    if node.stop() != 0:
        raise RuntimeError(node.log_tail())


def run(binary, rounds, rng, directory, row_of, wrong):
    port, admin = brim_node.free_port(), brim_node.free_port()
    config = brim_node.make_config(port, admin, 1)
    whole, stores = directory / "whole", directory / "stores"
    handlers = directory / "handlers.lua"
    handlers.write_text(HANDLERS)
    config["sites"][0]["handlers"] = {"file": str(handlers)}
    config["kv"] = {"path": str(whole)}
    fill(brim_node.Node(directory, config, binary), Client(port))
    config["kv"]["path"] = str(stores)
    for kind in damage.INDEX_KINDS:
        faults = []
        for _ in range(rounds):
            damage.copy(whole, stores)
            damage.do(stores / "data.mdb", kind, rng)
            with damage.node_of_a_round(binary, directory, config, faults) as node:
                one_round(node, Client(port), row_of(kind.__name__), faults)
        wrong += [f"{kind.__name__}: {text}" for text in faults]


if __name__ == "__main__":
    sys.exit(damage.main("stores", ("right", "changed", "unseen", "failed", "deaths", "given up"), run))
