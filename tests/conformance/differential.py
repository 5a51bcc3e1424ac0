#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""differential - random exchanges through the real binary, compared with a model of RFC 9111.

Usage: differential.py [BRIM] [--seed N ...] [--random] [--steps N] [--lanes N] [--keep-going]
                       [--jitter]

A lane is one brim, one origin and one client. Every step lets time pass, sends one request and lays
down what the origin would answer; the model (model.py) says beforehand which answers are right. A
step is drawn from (seed, lane, number) alone, so that the printed seed brings it back.

Time is libfaketime's: CLOCK_REALTIME of brim stands still at a whole second until the next step
moves it, CLOCK_MONOTONIC runs. So ages are compared exactly and a day costs nothing. h2o's time-outs
see these leaps too; hence one connection per request.

A contradiction prints seed, lane, step, the sentence that is violated and the history of that URL.
"""

import argparse
import asyncio
import contextlib
import email.utils
import itertools
import os
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path[:0] = [str(HERE), str(HERE.parent / "lib")]
import brim_node  # noqa: E402
import injection  # noqa: E402
import model  # noqa: E402
from traffic import Traffic  # noqa: E402

CI_SEEDS = (1, 9111)
START = 1900000000
LIBRARIES = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/lib/faketime/libfaketimeMT.so.1")
PATIENCE_S = 60.0
HISTORY = 24
ERRORS_OF_BRIM = (502, 503, 504)


class Contradiction(Exception):
    """What brim did, and the sentence that says otherwise."""


@dataclass
class Exchange:
    """One request that the origin got, and what it answered; response None: closed instead."""
    request: model.Message
    response: model.Message = None
    version: str = ""


@dataclass
class Step:
    number: int
    request: model.Message
    plan: object
    verdict: model.Verdict = None
    answer: model.Message = None
    body: bytes = b""
    exchanges: list = field(default_factory=list)


def date_text(seconds):
    return email.utils.formatdate(seconds, usegmt=True)


def find_faketime():
    for pattern in LIBRARIES:
        for path in Path("/").glob(pattern[1:]):
            return str(path)
    return None


class Clock:
    """The wall clock of one brim: a file that libfaketime reads at every call."""

    def __init__(self, directory):
        self.path = Path(directory) / "clock"
        self.now = START
        self.set()

    def set(self):
        text = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(self.now))
        new = self.path.with_suffix(".new")
        new.write_text(text)
        new.rename(self.path)

    def forward(self, seconds):
        if seconds:
            self.now += seconds
            self.set()

    def environment(self):
        return {"LD_PRELOAD": find_faketime(), "FAKETIME_TIMESTAMP_FILE": str(self.path),
                "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "TZ": "UTC"}


# --- HTTP/1.1, as little as both sides need ------------------------------------------------------

def parse_fields(lines):
    fields = {}
    for line in lines:
        name, _, value = line.partition(":")
        fields.setdefault(name.lower(), []).append(value.strip())
    return fields


async def read_header(reader):
    """(start line, fields), or None at the end of the connection."""
    try:
        block = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    first, *rest = block[:-4].decode("latin-1").split("\r\n")
    return first, parse_fields(rest)


async def read_body(reader, fields):
    if fields.get("transfer-encoding") == ["chunked"]:
        body = b""
        while size := int((await reader.readline()).split(b";")[0], 16):
            body += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
        return body
    if "content-length" in fields:
        return await reader.readexactly(int(fields["content-length"][0]))
    return None


def header_text(first, fields):
    lines = [f"{name}: {value}" for name, values in fields.items() for value in values]
    return ("\r\n".join([first, *lines]) + "\r\n\r\n").encode("latin-1")


class Origin:
    """Answers by the plan of the step under way, and notes who asked what."""

    def __init__(self, traffic):
        self.traffic = traffic
        self.plan = None
        self.now = START
        self.exchanges = []
        self.arrived = asyncio.Event()

    async def start(self):
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.server = server
        return server.sockets[0].getsockname()[1]

    async def serve(self, reader, writer):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError,
                                 asyncio.CancelledError):
            while header := await read_header(reader):
                first, fields = header
                body = await read_body(reader, fields)
                method, target, _ = first.split(" ")
                request = model.Message(fields, method=method, has_body=bool(body),
                                        url=f"http://{fields['host'][0]}{target}")
                if not await self.answer(request, writer):
                    break
        writer.close()

    async def answer(self, request, writer):
        exchange = Exchange(request)
        exchange.response, exchange.version, body = self.traffic.respond(self.plan, request,
                                                                         self.now)
        self.exchanges.append(exchange)
        self.arrived.set()
        if exchange.response is None:
            return False
        response = exchange.response
        fields = dict(response.fields)
        if response.status not in (204, 304):
            fields["content-length"] = [str(len(body))]
        writer.write(header_text(f"HTTP/1.1 {response.status} Whatever", fields))
        if request.method != "HEAD" and response.status not in (204, 304):
            writer.write(body)
        await writer.drain()
        return True


async def ask(port, request, body):
    """(answer, content) of one request on a connection of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    host, _, target = request.url[len("http://"):].partition("/")
    fields = {"host": [host], **request.fields, "connection": ["close"]}
    if body:
        fields["content-length"] = [str(len(body))]
    writer.write(header_text(f"{request.method} /{target} HTTP/1.1", fields) + body)
    try:
        header = await read_header(reader)
        if header is None:
            raise Contradiction("the connection ended without an answer (RFC 9112 9.6)")
        first, fields = header
        answer = model.Message(fields, status=int(first.split(" ")[1]))
        content = b""
        if request.method != "HEAD" and answer.status not in (204, 304):
            content = await read_body(reader, fields)
            if content is None:
                content = await reader.read()
        return answer, content
    finally:
        writer.close()


# --- Comparing ------------------------------------------------------------------------------------

class Judge:
    """Compares one step with the model, and tells the model what happened."""

    def __init__(self, cache, traffic):
        self.cache = cache
        self.traffic = traffic
        self.counts = {}

    def count(self, what):
        self.counts[what] = self.counts.get(what, 0) + 1

    def judge(self, step, now):
        status = step.answer.get("cache-status") or ""
        if step.exchanges and not ("; hit" in status and "fwd=" not in status):
            self.judge_forwarded(step, now)
        else:
            self.judge_from_cache(step, now)
        self.check_variant(step)

    # From the cache ...

    def judge_from_cache(self, step, now):
        verdict, answer = step.verdict, step.answer
        if answer.status == 504 and not answer.has("x-version"):
            if verdict.unsatisfiable:
                return self.count("only-if-cached: 504")
            raise Contradiction("504 without asking the origin (RFC 9111 5.2.1.7)")
        use = self.find_use(step, verdict.uses)
        if use is None and "; collapsed" in (answer.get("cache-status") or ""):
            # It came while the exchange before it was ending, and was given that one's answer.
            return self.count("collapsed")
        if use is None:
            stored = [e.version for e in verdict.matching]
            raise Contradiction(
                f"answered from the cache with {answer.get('x-version') or answer.get('etag')}, "
                f"which RFC 9111 {verdict.why_forward} does not allow; matching: {stored}")
        self.check_stored_answer(step, use.entry, now)
        if not answer.has("age"):
            raise Contradiction("an answer without validation has no Age (RFC 9111 4)")
        use.entry.certain = True
        self.count(("due " if use.must else "") + ("stale hit" if use.stale else "hit"))
        for exchange in step.exchanges:  # behind the client's back
            if not use.stale:
                raise Contradiction("the origin was asked although what is stored is fresh "
                                    "(RFC 9111 4.2)")
            self.learn_behind(step, exchange, now)

    def find_use(self, step, uses):
        """The stored response that this answer was made of."""
        for use in uses:
            if self.is_made_of(step.answer, use.entry):
                return use
        return None

    def is_made_of(self, answer, entry):
        version = answer.get("x-version")
        if version is not None:
            return version == entry.version
        return answer.status == 304 and answer.get("etag") == entry.response.get("etag")

    def check_stored_answer(self, step, entry, now):
        """Age, status, fields and content of an answer made of a stored response."""
        answer = step.answer
        if answer.has("age") and entry.exact and answer.get("age") != str(entry.age(now)):
            raise Contradiction(f"Age is {answer.get('age')}, it must be {entry.age(now)} "
                                "(RFC 9111 4.2.3)")
        if not entry.exact:
            return
        self.check_condition(step, entry.response, entry.received)
        names = ("x-note", "etag", "cache-control", "expires", "last-modified", "vary")
        if answer.status == 304:  # RFC 9110 15.4.5 asks for these only
            names = ("etag", "cache-control", "expires")
        for name in names:
            if name in model.kept_back(entry.response) and not answer.has(name):
                continue
            if answer.get(name) != entry.response.get(name):
                raise Contradiction(f"{name} is {answer.get(name)!r}, stored (or updated by a 304) "
                                    f"was {entry.response.get(name)!r} (RFC 9111 3.2)")

    def check_condition(self, step, response, received):
        wanted = model.condition(step.request, response, received)
        status = step.answer.status
        if status == 304 and wanted == "full":
            raise Contradiction("304 though the client's condition does not match (RFC 9111 4.3.2)")
        if status != 304 and wanted == "304":
            raise Contradiction("the client's condition matches, 304 is due (RFC 9111 4.3.2)")
        if status not in (304, response.status):
            raise Contradiction(f"status {status}, the response has {response.status}")
        if status != 304 and step.request.method == "GET":
            expected = self.traffic.bodies[step.answer.get("x-version")]
            if step.body != expected and status != 204:
                raise Contradiction(f"content {step.body[:60]!r}, expected {expected[:60]!r}")

    # ... or by way of the origin.

    def judge_forwarded(self, step, now):
        if not step.verdict.forward:
            musts = [f"{u.entry.version}: {u.why}" for u in step.verdict.uses if u.must]
            raise Contradiction("forwarded although what is stored must answer "
                                f"({'; '.join(musts) or '5.2.1.7: only-if-cached'})")
        *earlier, last = step.exchanges
        self.check_conditions(step, step.exchanges[0])
        for exchange in earlier:
            if exchange.response is not None and exchange.response.status != 304:
                raise Contradiction("asked twice, though the first answer was final")
        self.check_forwarded_request(step, last)
        if last.request.method not in ("GET", "HEAD") or last.request.has_body:
            return self.learn_unsafe(step, last)
        if last.response is None or last.response.status in model.FAILURES:
            return self.judge_failure(step, last, now)
        if last.response.status == 304:
            return self.judge_not_modified(step, last, now)
        self.count("forwarded")
        self.check_forwarded_answer(step, last, now)
        self.learn(step, last, now)

    def check_conditions(self, step, exchange):
        """RFC 9111 4.3.1: what is stored is validated with its validators and no others."""
        sent, own = exchange.request, step.request
        stored = self.cache.entries.get(own.url, [])
        tags = {e.tag() for e in stored} | set(model.tags_of(own.get("if-none-match")))
        for tag in model.tags_of(sent.get("if-none-match")):
            if tag not in tags:
                raise Contradiction(f"If-None-Match names {tag}, which nobody has (RFC 9111 4.3.1)")
        dates = {e.response.get("last-modified") for e in stored}
        dates |= {e.response.get("date") for e in stored} | {own.get("if-modified-since")}
        if sent.has("if-modified-since") and sent.get("if-modified-since") not in dates:
            raise Contradiction("If-Modified-Since is neither stored nor the client's (4.3.1)")
        if own.method not in ("GET", "HEAD") or own.has_body:
            return
        for entry in step.verdict.matching:
            if (not self.cache.is_sure(entry, own) or not entry.is_validatable()
                    or entry.invalid):
                continue
            if entry.tag() and entry.tag() not in model.tags_of(sent.get("if-none-match")):
                raise Contradiction(f"validation without the stored entity tag {entry.tag()}, as "
                                    f"stored: {step.verdict.why_forward} (RFC 9111 4.3.1)")
            if not entry.tag() and not sent.has("if-modified-since"):
                raise Contradiction("validation without the stored Last-Modified (RFC 9111 4.3.1)")

    def check_forwarded_request(self, step, exchange):
        for name in ("authorization", "x-flavor"):
            if step.request.get(name) != exchange.request.get(name):
                raise Contradiction(f"{name} did not reach the origin (RFC 9110 7.6)")
        if exchange.request.method != step.request.method:
            if (step.request.method, exchange.request.method) != ("HEAD", "GET"):
                raise Contradiction("the method changed (RFC 9110 7.6)")

    def check_forwarded_answer(self, step, exchange, now):
        if step.answer.status != 304 or step.answer.has("x-version"):
            if step.answer.get("x-version") != exchange.version:
                raise Contradiction(f"the origin answered {exchange.version}, the client got "
                                    f"{step.answer.get('x-version')} (RFC 9111 4.3.3)")
        wanted = model.condition(step.request, exchange.response, now)
        if wanted != "304" or step.answer.status == 304:  # a 200 is right in any case
            self.check_condition(step, exchange.response, now)
        fresh = model.Entry(exchange.response, "", (), (), now)
        age = step.answer.fields.get("age", [])
        if self.cache.policy.repeats_age and len(age) > 1 and exchange.response.status >= 500:
            return
        if step.answer.has("age") and step.answer.get("age") != str(fresh.age(now)):
            if step.answer.get("age") != exchange.response.get("age"):
                raise Contradiction(f"Age {step.answer.get('age')} of a response of age "
                                    f"{fresh.age(now)} (RFC 9111 4.2.3)")

    def judge_not_modified(self, step, exchange, now):
        entry = self.validated(exchange)
        if entry is None:
            if step.answer.status != 304:
                raise Contradiction("a 304 that validates nothing stored became "
                                    f"{step.answer.status} (RFC 9111 4.3.3)")
            return self.count("304 passed on")
        self.count("validated")
        was_certain = entry.certain
        self.freshen(step, exchange, entry, now)
        if not was_certain and self.is_passed_on(step, exchange):
            return None  # perhaps only the client had it
        if not self.is_made_of(step.answer, entry):
            raise Contradiction(f"validated {entry.version}, the client got "
                                f"{step.answer.get('x-version')} (RFC 9111 4.3.3)")
        self.check_stored_answer(step, entry, now)

    def is_passed_on(self, step, exchange):
        """Whether the condition that the origin saw may be the client's, and its 304 too."""
        names = ("if-none-match", "if-modified-since")
        return step.answer.status == 304 and all(
            step.request.get(name) == exchange.request.get(name) for name in names)

    def freshen(self, step, exchange, entry, now):
        """4.3.4: every stored response that is this representation."""
        was_certain = entry.certain
        for other in self.cache.select(step.request):
            if other.version == entry.version:
                self.cache.freshen(step.request, other, exchange.response, now)
                if other is not entry or not was_certain and self.is_passed_on(step, exchange):
                    other.certain = False

    def validated(self, exchange):
        entry = self.cache.validated_by(exchange.request, exchange.response)
        if entry is None:
            return None
        sent = exchange.request
        by_tag = entry.tag() and entry.tag() in model.tags_of(sent.get("if-none-match"))
        by_date = sent.has("if-modified-since") and sent.get("if-modified-since") in (
            entry.response.get("last-modified"), entry.response.get("date"))
        if by_tag or by_date:
            return entry
        return None

    def judge_failure(self, step, exchange, now):
        self.count("origin failed")
        uses = self.cache.on_failure(step.request, now, exchange.response is not None)
        use = self.find_use(step, uses)
        if use:
            self.check_stored_answer(step, use.entry, now)
            use.entry.certain = True
            if exchange.response is not None:  # it may be stored all the same
                self.learn(step, exchange, now)
            return self.count("stale on failure")
        musts = [u for u in uses if u.must]
        if musts:
            raise Contradiction(f"the origin failed and {musts[0].entry.version} was not used "
                                f"({musts[0].why})")
        passed_on = exchange.response is not None and step.answer.get("x-version") == \
            exchange.version
        if not passed_on and (step.answer.has("x-version")
                              or step.answer.status not in ERRORS_OF_BRIM):
            raise Contradiction(f"the origin failed; {step.answer.status} "
                                f"{step.answer.get('x-version')} is no right answer (4.2.4)")
        if exchange.response is not None:
            self.learn(step, exchange, now)

    # What the model learns.

    def learn(self, step, exchange, now):
        if exchange.request.method == "HEAD":  # 4.3.5: it may freshen what is stored, or spoil it
            for entry in step.verdict.matching:
                entry.exact = entry.certain = False
            return
        asked = exchange.request
        judged = model.Message(step.request.fields, method=asked.method, url=asked.url,
                               has_body=asked.has_body)
        storable, why = self.cache.put(judged, exchange.response, exchange.version, now)
        self.count("storable: " + storable)
        step.learned = f"storable: {storable} ({why})"

    def learn_behind(self, step, exchange, now):
        self.count("behind")
        if exchange.response is None:
            return
        if exchange.response.status == 304:
            entry = self.validated(exchange)
            if entry is not None:
                self.freshen(step, exchange, entry, now)
        else:
            self.learn(step, exchange, now)

    def learn_unsafe(self, step, exchange):
        self.count("unsafe")
        if len(step.exchanges) > 1 and step.request.method in ("POST", "PATCH"):
            raise Contradiction("a request that is not idempotent reached the origin twice "
                                "(RFC 9110 9.2.2)")
        if exchange.response is None:
            return
        if step.answer.get("x-version") != exchange.version:
            raise Contradiction("an unsafe request was not answered by the origin (RFC 9111 4)")
        urls = [url for name in ("location", "content-location")
                if (url := self.traffic.resolve(step.request.url, exchange.response.get(name)))]
        self.cache.invalidate(step.request, exchange.response, urls)

    def check_variant(self, step):
        """4.1: the content names the selecting fields it was made for."""
        version = step.answer.get("x-version")
        if version and not self.traffic.is_for(version, step.request):
            raise Contradiction(f"{version} was selected by other fields (RFC 9111 4.1)")


class Lane:
    def __init__(self, options, seed, number, directory):
        self.options = options
        self.seed = seed
        self.number = number
        self.traffic = Traffic(f"{seed}:{number}")
        self.cache = model.Cache()
        self.judge = Judge(self.cache, self.traffic)
        self.clock = Clock(directory)
        self.origin = Origin(self.traffic)
        self.directory = directory
        self.history = {}
        self.spoilt = set()      # URLs of which model and brim disagree; --keep-going skips them
        self.failed = 0
        self.done = 0

    async def run(self, steps):
        origin_port = await self.origin.start()
        self.port, self.admin = brim_node.free_port(), brim_node.free_port()
        config = brim_node.make_config(self.port, self.admin, origin_port)
        brim_node.set_path(config, "sites.0.cache.compress", False)  # a matter of its own
        node = brim_node.Node(self.directory, config, self.options.brim, supervise=False)
        environment = self.clock.environment()
        if self.options.jitter:
            environment["LD_PRELOAD"] += f":{injection.build('jitter', self.directory)}"
        variables = [f"{k}={v}" for k, v in environment.items()]
        node.start(prefix=["env", *variables], wait=False)
        try:
            await self.until(lambda: self.admin_get("/readyz"), "brim ready", node)
            for number in range(steps):
                await self.step(number)
                self.done += 1
                if self.failed and not self.options.keep_going:
                    break
        except TimeoutError:
            self.report(None, "no answer in time", node.log_tail())
        finally:
            self.origin.server.close()
            node.kill()

    async def admin_get(self, path):
        try:
            request = model.Message({}, url=f"http://127.0.0.1:{self.admin}{path}")
            answer, body = await ask(self.admin, request, b"")
        except (OSError, Contradiction):
            return ""
        return body.decode() if answer.status == 200 else ""

    async def until(self, condition, what, node=None):
        deadline = time.monotonic() + PATIENCE_S
        while not await condition():
            if time.monotonic() > deadline or node and node.process.poll() is not None:
                raise TimeoutError(what + (node.log_tail() if node else ""))
            await asyncio.sleep(0.002)

    async def is_quiet(self):
        return "\nbrim_flights 0\n" in await self.admin_get("/metrics")

    async def step(self, number):
        rng = random.Random(f"{self.seed}:{self.number}:{number}")
        self.clock.forward(self.traffic.elapse(rng))
        now = self.origin.now = self.clock.now
        request, body = self.traffic.request(rng, now, number)
        if request.url in self.spoilt:
            return
        plan = self.origin.plan = self.traffic.plan(rng, request.url, now)
        step = Step(number, request, plan, verdict=self.cache.ask(request, now))
        self.origin.exchanges = step.exchanges
        self.origin.arrived.clear()
        problem = ""
        try:
            step.answer, step.body = await asyncio.wait_for(ask(self.port, request, body),
                                                            PATIENCE_S)
            self.traffic.seen(request.url, step.answer)
            await self.settle(step)
            self.judge.judge(step, now)
        except Contradiction as contradiction:
            problem = str(contradiction)
        self.note(step, now)
        if problem:
            self.report(step, problem)
            self.spoilt.add(request.url)

    async def settle(self, step):
        """What stale content sets off, and the rest of what was asked for a HEAD or a 304, is over
        before the next step begins."""
        is_head_enough = step.request.method == "HEAD" or step.answer.status == 304
        if is_head_enough and step.exchanges:  # it has its answer before the body
            await self.until(self.is_quiet, "flights to end")
            return
        use = self.judge.find_use(step, step.verdict.uses)
        if use is None or not use.stale:
            return
        if use.background and not step.exchanges and use.must:
            try:
                await asyncio.wait_for(self.origin.arrived.wait(), PATIENCE_S)
            except asyncio.TimeoutError:
                raise Contradiction("stale content was used and nobody revalidated it "
                                    "(RFC 5861 3)") from None
        await self.until(self.is_quiet, "flights to end")

    # Reports.

    def note(self, step, now):
        lines = [f"step {step.number} at +{now - START} s: {step.request.method} "
                 + show(step.request.fields)]
        for exchange in step.exchanges:
            conditions = {k: v for k, v in exchange.request.fields.items() if k.startswith("if-")}
            lines.append(f"    origin asked: {exchange.request.method} {show(conditions)}")
            answer = exchange.response
            lines.append("    origin: " + (f"{answer.status} {show(answer.fields)}" if answer
                                           else "closed"))
        if getattr(step, "learned", ""):
            lines.append("    " + step.learned)
        if step.answer:
            lines.append(f"    client: {step.answer.status} {show(step.answer.fields)}")
        self.history.setdefault(step.request.url, []).append("\n".join(lines))
        del self.history[step.request.url][:-HISTORY]

    def report(self, step, problem, log=""):
        self.failed += 1
        print(f"not ok - seed {self.seed} lane {self.number} step "
              f"{step.number if step else self.done}: {problem}")
        if step:
            print(f"  {step.request.method} {step.request.url}; the model allowed: "
                  + show_verdict(step.verdict))
            for event in self.history[step.request.url]:
                print("  " + event.replace("\n", "\n  "))
        if log:
            print(log)
        sys.stdout.flush()


def show(fields):
    hidden = ("content-type", "content-length", "server", "via", "connection", "accept")
    return "; ".join(f"{k}: {v}" for k, vs in fields.items() for v in vs if k not in hidden)


def show_verdict(verdict):
    parts = [f"{use.entry.version} ({'must' if use.must else 'may'}: {use.why})"
             for use in verdict.uses]
    if verdict.forward:
        parts.append(f"forwarding ({verdict.why_forward})")
    if verdict.unsatisfiable:
        parts.append("504")
    return ", ".join(parts)


def run_lane(options, seed, number, steps):
    """Runs in a process of its own; the last line is for the parent."""
    with tempfile.TemporaryDirectory(prefix="brim-differential-") as directory:
        lane = Lane(options, seed, number, directory)
        asyncio.run(lane.run(steps))
        print("counts", lane.done, lane.failed, *itertools.chain.from_iterable(
            (key.replace(" ", "_"), value) for key, value in sorted(lane.judge.counts.items())))
        return lane.failed


def run_seed(options, seed):
    """Splits the steps over lanes; returns (steps done, contradictions, counts)."""
    share = -(-options.steps // options.lanes)
    command = [sys.executable, __file__, options.brim, "--seed", str(seed), "--steps", str(share)]
    if options.keep_going:
        command.append("--keep-going")
    lanes = [subprocess.Popen([*command, "--lane", str(number)], stdout=subprocess.PIPE, text=True)
             for number in range(options.lanes)]
    done, failed, counts = 0, 0, {}
    for number, lane in enumerate(lanes):
        output, _ = lane.communicate()
        *reports, last = output.splitlines() or [""]
        for line in reports:
            print(line)
        if not last.startswith("counts "):
            print(last, f"\nnot ok - seed {seed} lane {number} ended with {lane.returncode}")
            failed += 1
            continue
        _, lane_done, lane_failed, *pairs = last.split()
        done, failed = done + int(lane_done), failed + int(lane_failed)
        for key, value in zip(pairs[::2], pairs[1::2]):
            counts[key] = counts.get(key, 0) + int(value)
    return done, failed, counts


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("brim", nargs="?", default=brim_node.default_binary())
    parser.add_argument("--seed", type=int, nargs="+", default=[])
    parser.add_argument("--random", action="store_true", help="one more seed, drawn now")
    parser.add_argument("--steps", type=int, default=20000, help="of each seed")
    parser.add_argument("--lanes", type=int, default=max(1, min(4, os.cpu_count() or 1)))
    parser.add_argument("--lane", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--jitter", action="store_true",
                        help="brim's threads meet in rare orders (tests/fault/jitter.c); slow")
    parser.add_argument("--keep-going", action="store_true", help="after a contradiction")
    options = parser.parse_args()
    options.brim = str(Path(options.brim).resolve())
    if find_faketime() is None:
        print("differential: skipped, Debian's package libfaketime is not installed")
        return 77
    if options.lane is not None:
        return 1 if run_lane(options, options.seed[0], options.lane, options.steps) else 0
    seeds = options.seed or list(CI_SEEDS)
    if options.random:
        seeds = [*seeds, random.SystemRandom().randrange(1, 1 << 31)]
    total = 0
    for seed in seeds:
        started = time.monotonic()
        done, failed, counts = run_seed(options, seed)
        total += failed
        print(f"seed {seed}: {done} steps in {time.monotonic() - started:.0f} s, "
              f"{failed} contradictions; " + ", ".join(f"{k.replace('_', ' ')} {v}"
                                                       for k, v in counts.items()))
    return 1 if total else 0


if __name__ == "__main__":
    sys.exit(main())
