#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""jwks - keys that rotate are had anew, however long their set may be cached, and rarely.

Usage: tests/fault/jwks.py BRIM

The provider's key set may be kept for a day. A token that names a key of the next set is let in as
soon as the gate may ask again (ten seconds); a flood of tokens that name keys that nobody has costs
the provider no more than that. A reload asks for nothing: the provider may be down just then, and then
a token is good as long as its key comes from where it came from before.
"""

import base64
import collections
import http.client
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402
import http_origin  # noqa: E402

FLOOD = 200
ASKED = collections.Counter()
KEYS = []
IS_DOWN = threading.Event()


def encode(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def openssl(*args, **kwargs):
    return subprocess.run(["openssl", *args], check=True, capture_output=True, **kwargs).stdout


class Key:
    def __init__(self, directory, kid):
        self.path, self.kid = str(Path(directory) / f"{kid}.key"), kid
        openssl("genrsa", "-out", self.path, "2048")
        modulus = openssl("rsa", "-in", self.path, "-noout", "-modulus").decode().strip()[8:]
        self.public = {"kty": "RSA", "kid": kid, "alg": "RS256", "use": "sig", "e": "AQAB",
                       "n": encode(bytes.fromhex(modulus))}

    def token(self):
        text = unsigned(self.kid)
        return f"{text}.{encode(openssl('dgst', '-sha256', '-sign', self.path, input=text.encode()))}"


def unsigned(kid):
    head = encode(json.dumps({"alg": "RS256", "kid": kid}).encode())
    body = encode(json.dumps({"sub": "u", "exp": int(time.time()) + 600}).encode())
    return f"{head}.{body}"


class Origin(http_origin.Handler):
    def do_GET(self):
        ASKED[self.path] += 1
        if self.path == "/keys":
            self.answer(json.dumps({"keys": KEYS}).encode(), "max-age=86400")
        elif self.path == "/unstored":
            if IS_DOWN.is_set():
                self.answer(b"", "no-store", status=503)
            else:
                self.answer(json.dumps({"keys": KEYS}).encode(), "no-store")
        else:
            self.answer(b"hello", "no-store")


def status(port, text):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", "/a", headers={"Host": "www.example",
                                             "Authorization": f"Bearer {text}"})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status


def run(port, old, new):
    wrong = []
    if status(port, old.token()) != 200:
        wrong.append("the first key is refused")
    KEYS.append(new.public)
    brim_node.wait_until(lambda: status(port, new.token()) == 200, "the new key is let in", 60)
    begun, before = time.monotonic(), ASKED["/keys"]
    if any(status(port, f"{unsigned(f'forged{i}')}.{'A' * 342}") != 401 for i in range(FLOOD)):
        wrong.append("a forged token was let in")
    most = 1 + int((time.monotonic() - begun) / 10)  # what its limit allows meanwhile
    if ASKED["/keys"] - before > most:
        wrong.append(f"{FLOOD} forged tokens asked for the keys {ASKED['/keys'] - before} times")
    if status(port, old.token()) != 200:
        wrong.append("the old key, which is still in the set, is refused")
    return wrong


def reload(node, url, purpose):
    node.config["sites"][0]["jwt"]["jwks_url"] = url
    node.config["sites"][0]["jwt"]["realm"] = purpose  # a change
    node.reload()


def run_reload(node, port, key):
    wrong = []
    reload(node, "http://id.example/unstored", "one")
    if status(port, key.token()) != 200:
        wrong.append("keys that no cache stores are not had")
    IS_DOWN.set()
    reload(node, "http://id.example/unstored", "two")
    if status(port, key.token()) != 200:
        wrong.append("a reload has forgotten the keys")
    reload(node, "http://other.example/unstored", "three")
    if status(port, key.token()) != 503:
        wrong.append("keys of another place count")
    return wrong


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else brim_node.default_binary()
    origin = http_origin.start(Origin)
    with tempfile.TemporaryDirectory(prefix="brim-jwks-") as directory:
        old, new = Key(directory, "old"), Key(directory, "new")
        KEYS.append(old.public)
        port = brim_node.free_port()
        config = brim_node.make_config(port, brim_node.free_port(), origin.server_port)
        config["sites"][0]["jwt"] = {"alg": "RS256", "jwks_url": "http://id.example/keys"}
        node = brim_node.Node(directory, config, binary)
        with node.running():
            wrong = run(port, old, new) + run_reload(node, port, old)
    print(f"jwks: {ASKED['/keys']} fetches of the keys, {len(wrong)} faults")
    for text in wrong:
        print("  fault:", text)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
