#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""history - whatever meets whatever, what clients got is what a shared cache may give them.

Usage: tests/fault/history.py BRIM [REQUESTS [SEED]]

Clients ask for a few pages at random: with conditions, ranges, codings, credentials, without the
cache; they post, and purge. The origin draws what it answers: kept for all, for nobody, by Vary; it
confirms, fails, breaks off. RAM and disk are small, so that all of it moves about, and the node is
started again on what it kept. Each answer of the origin has a number of its own and is filled with
it. Everything that happens is written down with the order in which it did, and then:

- whole    a body is the one that its number had, all of it or the range that was asked for
- own      an answer that is for one client came to the request that caused it alone
- page     what came is of the page, and of the variant, that was asked for
- purged   nothing that was there before a purge, or before a POST that succeeded, comes to who
           asks after it has returned
- back     who asks after a newer answer for all has come to the request that caused it gets none
           that had come to somebody before that was asked (but for empty ones, which are not kept)
"""

import gzip
import http.client
import itertools
import json
import random
import sys
import tempfile
import threading
import typing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402
import http_origin  # noqa: E402

REQUESTS = 9000
LIVES = 3
CLIENTS = 12
PAGES = 24
KINDS = ("a", "b", "c")
SIZES = (0, 40, 3000, 30000, 400000)
SHARED = ("max-age=60", "public, max-age=60", "s-maxage=30, max-age=0", "max-age=1", "no-cache",
          "max-age=1, stale-while-revalidate=30", "max-age=60, must-revalidate",
          "max-age=0, stale-if-error=60")
PRIVATE = ("no-store", "private", "private, max-age=60")
FOR_ALL_THOUGH_AUTHORIZED = ("public", "s-maxage", "must-revalidate")
clock = itertools.count(1)  # of everything that happens


def depends(page):
    """On X-Kind."""
    return page % 3 == 0


class Answer:
    """Of the origin."""

    def __init__(self, number, request, page, variant):
        self.number, self.request, self.page, self.variant = number, request, page, variant
        self.size = 0
        self.control, self.is_shared = "", False

    def body(self):
        text = b"%010d|" % self.number
        return (text * (self.size // len(text) + 1))[:self.size]


class Got(typing.NamedTuple):
    """An answer that came to a client."""

    sent: int
    done: int
    page: int
    variant: str
    request: str
    is_passing: bool  # none to store
    number: int
    status: int
    cache_status: str

    def __str__(self):
        return f"{self.request} got {self.number} ({self.status}, {self.cache_status})"


class History:
    def __init__(self):
        self.lock = threading.Lock()
        self.answers = {}
        self.confirmed = {}  # of each answer: when
        self.got = []        # each a Got
        self.purges = []     # (nothing that was asked for before, comes from then on, of these pages)
        self.wrong = []
        self.counts = {}

    def say(self, text):
        with self.lock:
            self.wrong.append(text)

    def note(self, got):
        with self.lock:
            self.got.append(got)

    def count(self, what):
        with self.lock:
            self.counts[what] = self.counts.get(what, 0) + 1


HISTORY = History()
NUMBERS = itertools.count(1)


class Origin(http_origin.Handler):
    chance = random.Random(1)

    def handle(self):
        try:
            super().handle()
        except ConnectionError:
            pass  # brim has given up

    def page(self):
        return int(self.path.lstrip("/p"))

    def do_POST(self):
        arrived = next(clock)
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.answer(b"posted", "no-store", X_Arrived=str(arrived))

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        at = next(clock)
        chance, page = self.chance, self.page()
        variant = self.headers.get("X-Kind", "") if depends(page) else ""
        if self.confirms(page, variant, at):
            return
        answer = Answer(next(NUMBERS), self.headers["X-Request"], page, variant)
        answer.size = chance.choice(SIZES)
        control = chance.choice(SHARED if chance.random() < 0.8 else PRIVATE)
        is_failure = chance.random() < 0.05
        answer.is_shared = (control in SHARED and
                            ("Authorization" not in self.headers or
                             any(word in control for word in FOR_ALL_THOUGH_AUTHORIZED)))
        answer.control = control
        with HISTORY.lock:
            HISTORY.answers[answer.number] = answer
            HISTORY.confirmed[answer.number] = [at]
        self.send(answer, 503 if is_failure else 200)

    def confirms(self, page, variant, at):
        """304, for what was an answer for this page and variant."""
        named = self.headers.get("If-None-Match", "").strip('W/"')
        if not named.isdigit() or self.chance.random() < 0.4:
            return False
        answer = HISTORY.answers.get(int(named))
        if answer is None or (answer.page, answer.variant, answer.is_shared) != (page, variant, True):
            return False
        with HISTORY.lock:
            HISTORY.confirmed[answer.number].append(at)
        self.send_response(304)
        self.send_header("ETag", f'"{answer.number}"')
        self.send_header("Cache-Control", answer.control)
        if depends(page):
            self.send_header("Vary", "X-Kind")
        self.end_headers()
        return True

    def send(self, answer, status):
        self.send_response(status)
        self.send_header("ETag", f'"{answer.number}"')
        self.send_header("X-Number", str(answer.number))
        self.send_header("Cache-Control", answer.control)
        self.send_header("Cache-Tag", f"all t{answer.page % 4}")
        self.send_header("Content-Type", "text/plain")
        if depends(answer.page):
            self.send_header("Vary", "X-Kind")
        body, breaks = answer.body(), self.chance.random() < 0.03
        is_chunked = self.chance.random() < 0.4
        if is_chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if breaks:
            body = body[:len(body) // 2]
            self.close_connection = True
        self.write(body, is_chunked, breaks)

    def write(self, body, is_chunked, breaks):
        if not is_chunked:
            self.wfile.write(body)
            return
        for at in range(0, len(body), 50000):
            piece = body[at:at + 50000]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        if not breaks:
            self.wfile.write(b"0\r\n\r\n")


class Client:
    def __init__(self, name, node, port, seed):
        self.name, self.node, self.port = name, node, port
        self.chance = random.Random(seed)
        self.connection = None
        self.number = 0
        self.known = {}  # of (page, variant): the last ETag

    def connect(self):
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        return self.connection

    def drop(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = None

    def run(self, requests):
        for _ in range(requests):
            draw = self.chance.random()
            if draw < 0.03:
                self.post()
            elif draw < 0.06:
                self.purge()
            else:
                self.get()
        self.drop()

    def purge(self):
        page = self.chance.randrange(PAGES)
        order, pages = self.chance.choice((
            ({"urls": [f"http://site.test/p{page}"]}, [page]),
            ({"tags": [f"t{page % 4}"]}, [p for p in range(PAGES) if p % 4 == page % 4]),
            ({"prefixes": ["//site.test/p1"]}, [p for p in range(PAGES) if str(p)[0] == "1"]),
            ({"tags": ["all"]}, list(range(PAGES)))))
        admin = http.client.HTTPConnection("127.0.0.1", self.node.admin_port, timeout=60)
        called = next(clock)
        admin.request("POST", "/v1/purge", body=json.dumps(order))
        status, text = (answer := admin.getresponse()).status, answer.read()
        returned = next(clock)
        admin.close()
        assert status == 200, text
        HISTORY.purges.append((called, returned, pages))
        HISTORY.count("purges")

    def post(self):
        page = self.chance.randrange(PAGES)
        try:
            connection = self.connect()
            connection.request("POST", f"/p{page}", body=b"x", headers={"Host": "site.test"})
            answer = connection.getresponse()
            answer.read()
        except ConnectionError:
            self.drop()
            return
        if answer.status == 200:
            HISTORY.purges.append((int(answer.headers["X-Arrived"]), next(clock), [page]))
            HISTORY.count("posts")

    def fields(self, page, variant, request):
        chance = self.chance
        fields = {"Host": "site.test", "X-Request": request, "X-Kind": variant}
        if chance.random() < 0.1:
            fields["Authorization"] = f"Basic {self.name}"
        if chance.random() < 0.1:
            fields["Cache-Control"] = chance.choice(("no-cache", "max-age=0", "no-store"))
        if chance.random() < 0.3:
            fields["Accept-Encoding"] = "gzip"
        if chance.random() < 0.1 and (page, variant) in self.known:
            fields["If-None-Match"] = self.known[page, variant]
        elif chance.random() < 0.1:
            first = chance.randrange(2000)
            fields["Range"] = f"bytes={first}-{first + chance.randrange(3000)}"
        return fields

    def get(self):
        chance = self.chance
        page = min(chance.randrange(PAGES), chance.randrange(PAGES))
        variant = chance.choice(KINDS)
        self.number += 1
        request = f"{self.name}-{self.number}"
        fields = self.fields(page, variant, request)
        method = "HEAD" if chance.random() < 0.03 else "GET"
        sent = next(clock)
        try:
            connection = self.connect()
            connection.request(method, f"/p{page}", headers=fields)
            answer = connection.getresponse()
            if chance.random() < 0.03:
                self.drop()  # leaves
                return
            body = answer.read()
        except (http.client.IncompleteRead, ConnectionError):
            HISTORY.count("broken off")
            self.drop()
            return
        done = next(clock)
        if answer.will_close:
            self.drop()
        HISTORY.count(answer.status)
        number = self.number_of(request, fields, answer)
        if number is None:
            return
        if answer.status == 200:
            self.known[page, variant] = answer.headers["ETag"]
        if method == "GET":
            self.check_body(request, HISTORY.answers[number], answer, body)
        HISTORY.note(Got(sent, done, page, variant if depends(page) else "", request,
                         method == "HEAD" or fields.get("Cache-Control") == "no-store", number,
                         answer.status, answer.headers["Cache-Status"]))

    @staticmethod
    def number_of(request, fields, answer):
        """None: it is none of the origin's."""
        if answer.status == 304:
            number = answer.headers["ETag"].strip('W/"')
            if fields.get("If-None-Match", "").strip('W/"') != number:
                HISTORY.say(f"{request}: 304 for {number}, which was not asked about")
            return int(number.removesuffix("-gzip"))
        if "X-Number" in answer.headers:
            return int(answer.headers["X-Number"])
        if answer.status not in (502, 503, 504, 416):
            HISTORY.say(f"{request}: {answer.status} without a number")
        return None

    @staticmethod
    def check_body(request, source, answer, body):
        whole = source.body()
        if answer.status == 200:
            if answer.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            if body != whole:
                HISTORY.say(f"{request}: not the body of {source.number}")
        elif answer.status == 206 and "Content-Encoding" not in answer.headers:
            span, _, total = answer.headers["Content-Range"].removeprefix("bytes ").partition("/")
            first, last = (int(text) for text in span.split("-"))
            if int(total) != len(whole) or body != whole[first:last + 1]:
                HISTORY.say(f"{request}: not {span}/{total} of {source.number}")


# ---- what may have happened ----


def check(history):
    for got in history.got:
        source = history.answers[got.number]
        if not source.is_shared and source.request != got.request and got.status != 304:
            history.say(f"own: {got}, which is {source.control}, of {source.request}")
        if (source.page, source.variant) != (got.page, got.variant):
            history.say(f"page: {got}, which is of {source.page}{source.variant}")
    check_order(history)


def supersedes(history, got):
    """Whether what had come to somebody before this was asked for must not come again."""
    source = history.answers[got.number]
    return (source.is_shared and source.size > 0 and got.status == 200 and
            source.request == got.request and not got.is_passing)


def check_order(history):
    """In the order in which things ended, and answers were asked for: nothing older than a floor."""
    seen = {}  # of an answer: when it had come to somebody
    for got in history.got:
        seen[got.number] = min(seen.get(got.number, got.done), got.done)
    events = [(returned, pages, floor) for floor, returned, pages in history.purges]
    events += [(got.done, [(got.page, got.variant)], got.sent) for got in history.got
               if supersedes(history, got)]
    events += [(got.sent, got, None) for got in history.got]
    floors = {}  # of a page: when what comes must have been asked for; of one with variant: ... seen
    for _, what, floor in sorted(events, key=lambda event: event[0]):
        if floor is not None:
            for place in what:
                floors[place] = max(floors.get(place, 0), floor)
            continue
        at = max(at for at in history.confirmed[what.number] if at < what.done)
        if at < floors.get(what.page, 0):
            history.say(f"purged: {what} of {at}, purged at {floors[what.page]}")
        if max(at, seen[what.number]) < floors.get((what.page, what.variant), 0):
            history.say(f"back: {what} of {at}")


def run(directory, binary, requests, seed):
    origin = http_origin.start(Origin)
    port = brim_node.free_port()
    config = brim_node.make_config(port, brim_node.free_port(), origin.server_port)
    config["cache"] |= {"path": f"{directory}/cache", "disk": "64MiB", "memory": "1MiB",
                        "memory_object": "64KiB", "segment": "2MiB"}
    config["log"] = {"level": "warn"}
    node = brim_node.Node(directory, config, binary)
    for number in range(LIVES):
        with node.running():
            clients = [Client(f"{number}c{i}", node, port, f"{seed}-{number}-{i}")
                       for i in range(CLIENTS)]
            each = requests // LIVES // CLIENTS
            brim_node.at_once(Client.run, [(client, each) for client in clients])


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else brim_node.default_binary()
    requests = int(sys.argv[2]) if len(sys.argv) > 2 else REQUESTS
    seed = sys.argv[3] if len(sys.argv) > 3 else str(random.randrange(1 << 30))
    Origin.chance = random.Random(seed)
    print(f"history: seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="brim-history-") as directory:
        run(directory, binary, requests, seed)
    check(HISTORY)
    counts = ", ".join(f"{what} {count}" for what, count in
                       sorted(HISTORY.counts.items(), key=lambda item: str(item[0])))
    print(f"history: {len(HISTORY.got)} answers of {len(HISTORY.answers)} of the origin ({counts}), "
          f"{len(HISTORY.wrong)} faults")
    for text in HISTORY.wrong[:40]:
        print("  fault:", text)
    return 1 if HISTORY.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
