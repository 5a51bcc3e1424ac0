#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""admin_json - bodies that are not what the admin API wants: an error each, and the node goes on.

Usage: tests/fault/admin_json.py BRIM [ROUNDS [SEED]]     (default 600)

Documents that are right are changed: bytes, types, depth, names, sizes. An answer is 2xx or 4xx and
JSON; no body makes the node fail, die or stop answering.
"""

import http.client
import json
import random
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402

RIGHT = (
    ("/v1/purge", {"urls": ["http://t.example/a"], "soft": True}),
    ("/v1/purge", {"tags": ["a", "b"], "prefixes": ["//t.example/a/"], "hosts": ["t.example"]}),
    ("/v1/purge", {"all": True}),
    ("/v1/kv", {"store": "s", "key": "k", "value": "v", "ttl": 60}),
    ("/v1/kv", {"op": "set", "store": "s", "key": "k", "value": "v"}),
    ("/v1/reload", {}),
)
VALUES = (None, True, False, 0, -1, 1e308, 2 ** 63, "", "a", "\x00", "\ud800", "a" * 70000, [], {},
          [None], [[]], [""], ["a"] * 3000, {"a": 1}, "http://", "http://t.example/\r\nX: y",
          "http://t.example/../a", "//", "http://u:p@t.example/", "*", "%00", "é")


def change(document, rng):
    """A document that is a little, or entirely, wrong."""
    fate = rng.random()
    if fate < 0.4 and document:
        return {**document, rng.choice(list(document)): rng.choice(VALUES)}
    if fate < 0.5:
        return {**document, rng.choice(("url", "", "soft", "all", "a" * 5000)): rng.choice(VALUES)}
    if fate < 0.6:
        deep = rng.choice(VALUES)
        for _ in range(rng.choice((3, 100, 5000))):
            deep = f"[{deep if isinstance(deep, str) and deep.startswith('[') else '1'}]"
        return deep.encode()
    text = bytearray(json.dumps(document).encode())
    for _ in range(rng.randrange(1, 6)):
        at = rng.randrange(len(text))
        kind = rng.randrange(4)
        if kind == 0:
            text[at] = rng.randrange(256)
        elif kind == 1:
            del text[at:at + rng.randrange(1, 4)]
        elif kind == 2:
            text[at:at] = rng.choice((b'"', b"{", b"[", b"]", b"}", b",", b"\\u0000", b"\\", b"\xff"))
        else:
            text[at:at] = text[:rng.randrange(len(text))]
        if not text:
            return b""
    return bytes(text)


def post(port, path, body):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST", path, body=body, headers={"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def judge(status, answer):
    if not (200 <= status < 300 or 400 <= status < 500):
        return f"status {status}"
    try:
        json.loads(answer or b"{}")
    except ValueError:
        return f"the answer is no JSON: {answer[:80]!r}" if status < 300 else None
    return None


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else brim_node.default_binary()
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 600
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else random.randrange(1 << 30)
    rng, wrong, counts = random.Random(seed), [], {}
    with tempfile.TemporaryDirectory(prefix="brim-admin-json-") as directory:
        config = brim_node.make_config(brim_node.free_port(), brim_node.free_port(), 1)
        config["cache"] = {"path": directory + "/cache", "disk": "64MiB"}
        brim_node.set_path(config, "log.level", "warn")
        node = brim_node.Node(directory, config, binary)
        try:
            node.start()
            for _ in range(rounds):
                path, document = rng.choice(RIGHT)
                body = change(document, rng)
                body = body if isinstance(body, bytes) else json.dumps(body).encode()
                try:
                    status, answer = post(node.admin_port, path, body)
                except (OSError, http.client.HTTPException) as error:
                    wrong.append(f"{path} {body[:120]!r}: {type(error).__name__} {error}")
                    continue
                counts[status] = counts.get(status, 0) + 1
                fault = judge(status, answer)
                if fault:
                    wrong.append(f"{path} {body[:120]!r}: {fault}")
            if brim_node.metric(node.admin_port, "brim_node_restarts_total") or node.stop() != 0:
                wrong.append("the node did not stay, or did not end cleanly:\n" + node.log_tail(60))
        finally:
            if node.process.poll() is None:
                node.kill()
    print(f"admin_json: seed {seed}: {rounds} bodies, statuses {dict(sorted(counts.items()))}, "
          f"{len(wrong)} faults")
    for text in wrong[:20]:
        print("  fault:", text)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
