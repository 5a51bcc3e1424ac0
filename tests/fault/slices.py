#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""slices - random ranges of resources that change meanwhile, checked byte for byte.

Usage: tests/fault/slices.py BRIM [REQUESTS] [SEED]     (default 3000 requests, a random seed)

Several clients ask for ranges (and the whole) of resources that are cached in slices; the origin has
strong and weak validators, none at all, ignores ranges, or forbids to store. Every answer must be
right for its Content-Range and be bytes of one single version, the one that its ETag names; where
a resource changed under a client, its answer may be cut off, but so that the client can tell. What
never changed is never cut off.
"""

import collections
import concurrent.futures
import http.client
import http.server
import json
import random
import re
import sys
import tempfile
import threading
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402

CLIENTS = 4
SLICE = 16384
PATHS = 12
KINDS = ("strong", "weak", "none", "modified", "deaf", "private", "calm")
LOCK = threading.Lock()
VERSIONS = collections.Counter()
SENT = collections.Counter()  # bytes by path
DATE = "Tue, 03 Mar 2020 10:00:00 GMT"


def content(path, version):
    source = random.Random(f"{path}:{version}")
    return source.randbytes(source.choice((0, 1, 700, SLICE, SLICE + 1, 40000, 60000, 80000, 100000)))


def etag(path, version):
    return {"strong": f'"{version}"', "weak": f'W/"{version}"', "deaf": f'"{version}"',
            "private": f'"{version}"', "calm": '"calm"'}.get(path.split("/")[1])


class Origin(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        kind = self.path.split("/")[1]
        with LOCK:
            if kind not in ("calm", "modified") and random.random() < 0.2:
                VERSIONS[self.path] += 1
            version = VERSIONS[self.path]
        body = content(self.path, version)
        asked = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        first, last, status = 0, len(body) - 1, 200
        if asked and kind != "deaf":
            status = 206
            if asked[1] == "":
                first = max(0, len(body) - int(asked[2]))
            else:
                first = int(asked[1])
                last = min(last, int(asked[2] or last))
        if status == 206 and (first > last or first >= len(body)):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(body)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(status)
        if status == 206:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(body)}")
        lifetime = "max-age=3600" if kind in ("calm", "modified") else "max-age=1"
        self.send_header("Cache-Control", "private" if kind == "private" else lifetime)
        if etag(self.path, version):
            self.send_header("ETag", etag(self.path, version))
        if kind == "modified":
            self.send_header("Last-Modified", DATE)
        self.send_header("Content-Length", str(last + 1 - first))
        self.end_headers()
        self.wfile.write(body[first:last + 1])
        with LOCK:
            SENT[self.path] += last + 1 - first

    def log_message(self, *args):
        pass


class QuietServer(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request, client_address):
        pass  # brim hangs up on a part that may not be kept


def random_range(dice, may_be_whole):
    kind = dice.randrange(6 if may_be_whole else 5)
    a, b = sorted((dice.randrange(dice.choice((20000, 110000))), dice.randrange(110000)))
    if kind < 2:
        return f"bytes={a}-{b}"
    if kind == 2:
        return f"bytes={a}-"
    if kind == 3:
        return f"bytes=-{dice.choice((1, 500, 20000, 200000))}"
    if kind == 4:
        return f"bytes={a}-{a + dice.randrange(300)}"
    return None


def possible(path, tag):
    """Bodies that the answer may be part of: every version there was, or the one that is named."""
    with LOCK:
        newest = VERSIONS[path]
    named = tag and re.search(r"\d+", tag)
    return [content(path, int(named[0]))] if named else [
        content(path, version) for version in range(newest + 1)]


def check_unsatisfiable(path, asked, response):
    """The range lies behind the end of the version that a 416 tells of."""
    said = re.fullmatch(r"bytes \*/(\d+)", response.getheader("Content-Range") or "")
    if not asked or not said:
        return f"416 to {asked}, Content-Range {response.getheader('Content-Range')}"
    size, first = int(said[1]), re.match(r"bytes=(\d*)", asked)[1]
    if size not in map(len, possible(path, response.getheader("ETag"))):
        return f"416 of {size} bytes, which no version has"
    return f"416 of {size} bytes" if size > int(first or 0) else None


def check(path, asked, response, body):
    """What is wrong with a complete answer, or None."""
    tag = response.getheader("ETag")
    if response.status == 416:
        return check_unsatisfiable(path, asked, response)
    if response.status not in (200, 206):
        return f"status {response.status}"
    said = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", response.getheader("Content-Range") or "")
    if (response.status == 206) != bool(said):
        return f"{response.status} with Content-Range {response.getheader('Content-Range')}"
    for whole in possible(path, tag):
        if not said and body == whole:
            return None
        if said and int(said[3]) == len(whole) and body == whole[int(said[1]):int(said[2]) + 1]:
            return None
    return f"{response.status} {said and said[0]} etag={tag}: not bytes of one version"


def purge_all(admin):
    urls = [f"http://www.example/{kind}/{number}" for kind in KINDS for number in range(PATHS)]
    request = urllib.request.Request(f"http://127.0.0.1:{admin}/purge",
                                     json.dumps({"urls": urls}).encode(),
                                     {"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=30).read()


def walk(port, admin, seed, requests, wrong, cut):
    dice = random.Random(seed)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for turn in range(requests):
        if turn % 150 == 0:
            purge_all(admin)
        number = dice.randrange(PATHS)
        path = f"/{dice.choice(KINDS)}/{number}"
        headers = {"Host": "www.example"}
        asked = random_range(dice, number < 2)
        if asked:
            headers["Range"] = asked
        if asked and dice.random() < 0.1:
            headers["If-Range"] = dice.choice(('"0"', '"1"', '"none"', DATE))
        try:
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            body = response.read()
        except (http.client.IncompleteRead, ConnectionError, http.client.BadStatusLine):
            connection.close()
            cut[path] += 1
            continue
        fault = check(path, asked, response, body)
        if fault:
            wrong.append(f"{path} {headers}: {fault}")
    connection.close()


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else brim_node.default_binary()
    requests = int(sys.argv[2]) if len(sys.argv) > 2 else 3000
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else random.randrange(1 << 30)
    print(f"slices: seed {seed}")
    random.seed(seed)
    origin = QuietServer(("127.0.0.1", 0), Origin)
    threading.Thread(target=origin.serve_forever, daemon=True).start()
    wrong, cut = [], collections.Counter()
    with tempfile.TemporaryDirectory(prefix="brim-slices-") as directory:
        port = brim_node.free_port()
        admin = brim_node.free_port()
        config = brim_node.make_config(port, admin, origin.server_port)
        brim_node.set_path(config, "cache.slice", SLICE)
        if seed % 2:
            brim_node.set_path(config, "cache.path", f"{directory}/cache")
            brim_node.set_path(config, "cache.memory", "1MiB")
        node = brim_node.Node(directory, config, binary)
        try:
            node.start()
            with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
                walks = [pool.submit(walk, port, admin, f"{seed}.{number}", requests // CLIENTS,
                                     wrong, cut) for number in range(CLIENTS)]
            for one in walks:
                one.result()
            if node.stop() != 0:
                wrong.append("the node did not end cleanly")
        finally:
            if node.process and node.process.poll() is None:
                node.kill()
    for path, bytes_sent in SENT.items():
        steady = path.startswith(("/calm", "/modified"))
        if steady and cut[path]:
            wrong.append(f"{path} was cut off, though it never changed")
    print(f"slices: {requests} requests, {sum(SENT.values())} bytes from the origin, "
          f"{sum(cut.values())} answers cut off, {len(wrong)} wrong")
    for text in wrong[:10]:
        print("  wrong:", text)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
