#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""corrupt - torn writes, flipped bits and lost ranges in segments and index: no wrong byte is served.

Usage: tests/fault/corrupt.py BRIM [ROUNDS [SEED]]     (default 2 rounds of each kind)
       tests/fault/corrupt.py --damage DIRECTORY index.flip_bit [SEED]     a cache that nobody uses;
                                    or segments.KIND

A cache is filled and its node ended. Each round damages a copy, starts a node on it and asks for
everything: each body must be what the origin has. A damaged index may end the process, as LMDB has
no checksums: clients see a connection break off, the supervisor starts the node again, and an index
that did so twice is set aside, so that the node serves, and stores, whatever was done to it.
"""

import multiprocessing
import random
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402
import crash  # noqa: E402

PAGE = 4096
URLS = 160
SECONDS = 5  # within which a URL that broke off is whole again: the index drops it a moment later
DEATHS_MAX = 4  # two of the index, and some room


# ---- damage: kind(file as bytearray, random) changes it ----

def flip_bit(data, rng):
    at = rng.randrange(len(data))
    data[at] ^= 1 << rng.randrange(8)


def flip_many(data, rng):
    for _ in range(max(40, len(data) // 20000)):
        flip_bit(data, rng)


def zero_sector(data, rng):
    at = rng.randrange(len(data) // 512) * 512
    data[at:at + 512] = bytes(512)


def zero_range(data, rng):
    at = rng.randrange(len(data) // PAGE) * PAGE
    length = min(len(data) - at, PAGE * rng.randrange(1, 64))
    data[at:at + length] = bytes(length)


def torn(data, rng):
    """The last write of a page: its first half new, the rest what stood elsewhere."""
    pages = len(data) // PAGE
    to, fro = rng.randrange(pages) * PAGE, rng.randrange(pages) * PAGE
    half = rng.randrange(1, 8) * 512
    data[to + half:to + PAGE] = data[fro + half:fro + PAGE]


def swap_pages(data, rng):
    pages = len(data) // PAGE
    one, two = rng.randrange(pages) * PAGE, rng.randrange(pages) * PAGE
    data[one:one + PAGE], data[two:two + PAGE] = data[two:two + PAGE], data[one:one + PAGE]


def garbage(data, rng):
    at = rng.randrange(len(data) // PAGE) * PAGE
    data[at:at + PAGE] = rng.randbytes(PAGE)


def truncate(data, rng):
    del data[rng.randrange(len(data)):]


def truncate_page(data, rng):
    del data[rng.randrange(1, len(data) // PAGE) * PAGE:]


def empty(data, _rng):
    del data[:]


def no_tree(data, rng):
    """Every page but the two meta pages is garbage: the first look follows a wild pointer."""
    data[2 * PAGE:] = rng.randbytes(len(data) - 2 * PAGE)


def headers(data, rng):
    """Page headers only: the kind, the bounds and the places of nodes."""
    for at in range(2 * PAGE, len(data), PAGE):
        data[at + 8 + rng.randrange(24)] = rng.randrange(256)


FILE_KINDS = (flip_bit, flip_many, zero_sector, zero_range, torn, swap_pages, garbage, truncate,
              truncate_page, empty)
INDEX_KINDS = (*FILE_KINDS, no_tree, headers)


def damage(cache, what, kind, rng):
    """Damages the index, or a third of the segments."""
    files = sorted((cache / "segments").iterdir())
    files = [cache / "index/data.mdb"] if what == "index" else rng.sample(
        files, max(1, len(files) // 3))
    for path in files:
        data = bytearray(path.read_bytes())
        kind(data, rng)
        path.write_bytes(data)


# ---- a round ----

def deaths(node):
    text = node.log_path.read_text(errors="replace") if node.log_path.exists() else ""
    return re.findall(r"node\.died pid=\d+ signal=(\d+)", text)


def sweep(port, tally, state):
    """Every URL, until its answer is whole."""
    client = crash.Client(port, tally, 1, state)

    def is_whole(path):
        good = tally.good
        client.ask(path)
        return tally.good > good

    for number in range(URLS):
        try:
            brim_node.wait_until(lambda path=f"/o/{number}": is_whole(path), "", SECONDS)
        except TimeoutError:
            tally.add(wrong=f"/o/{number}: no whole answer within {SECONDS} s")


def ask_all_twice(node, port, tally):
    """Hits of the first time, records dropped, and hits of the second time."""
    state = {"end": False, "alive_since": time.monotonic()}
    node.start()
    sweep(port, tally, state)
    first, dropped = tally.hits, brim_node.metric(node.admin_port, "brim_disk_corrupt_total")
    for _ in range(4):  # what was just stored may have left the RAM and not be in the index yet
        tally.hits = 0
        sweep(port, tally, state)
        second = tally.hits
        if second >= URLS * 9 // 10:
            break
    tally.hits = 0
    before = len(deaths(node))
    if node.stop() != 0 and len(deaths(node)) == before:
        tally.add(wrong="no clean end")
    return first, dropped, second


def one_round(name, binary, directory, config, report):
    port = int(config["listeners"][0]["address"].rsplit(":", 1)[1])
    tally, log = crash.Tally(), directory / "round.log"
    log.unlink(missing_ok=True)
    node = brim_node.Node(directory, config, binary, log=log)
    row = report["table"].setdefault(name, [0] * 6)
    try:
        hits, dropped, second = ask_all_twice(node, port, tally)
        # An index that only fails, and kills nobody, is set aside by the next start.
        if second < URLS * 9 // 10:
            second = ask_all_twice(node, port, tally)[2]
        if second < URLS * 9 // 10 and not deaths(node):
            tally.add(wrong=f"only {second} of {URLS} are hits after all was asked:\n" +
                      node.log_tail(12))
    except (RuntimeError, TimeoutError) as error:
        report["wrong"].append(f"{name}: {str(error)[:3000]}")
        return
    finally:
        if node.process.poll() is None:
            node.kill()
    aside = int("disk.damaged" in log.read_text(errors="replace"))
    if len(deaths(node)) > DEATHS_MAX:
        tally.add(wrong=f"died {len(deaths(node))} times")
    for column, value in enumerate((1, hits, dropped, tally.broken, len(deaths(node)), aside)):
        row[column] += value
    report["wrong"] += [f"{name}: {text}" for text in tally.wrong]
    report["answers"] += tally.good


def fill(binary, directory, config):
    port = int(config["listeners"][0]["address"].rsplit(":", 1)[1])
    node = brim_node.Node(directory, config, binary).start()
    tally = crash.Tally()
    try:
        sweep(port, tally, {"end": False, "alive_since": time.monotonic()})
        if node.stop() != 0 or tally.wrong:
            raise RuntimeError(f"filling failed: {tally.wrong}\n{node.log_tail()}")
    finally:
        if node.process.poll() is None:
            node.kill()


def run(binary, rounds, seed, directory, report):
    rng = random.Random(seed)
    pipe, far_end = multiprocessing.Pipe()
    origin = multiprocessing.Process(target=crash.run_origin, args=(far_end,), daemon=True)
    origin.start()
    config = brim_node.make_config(brim_node.free_port(), brim_node.free_port(), pipe.recv())
    whole, cache = directory / "whole", directory / "cache"
    config["cache"] = {"path": str(whole), "disk": "64MiB", "segment": "4MiB", "memory": "1MiB",
                       "memory_object": "128KiB"}
    try:
        fill(binary, directory, config)
        config["cache"]["path"] = str(cache)
        for what, kinds in (("segments", FILE_KINDS), ("index", INDEX_KINDS)):
            for kind in kinds:
                for _ in range(rounds):
                    shutil.rmtree(cache, ignore_errors=True)
                    shutil.copytree(whole, cache)
                    damage(cache, what, kind, rng)
                    one_round(f"{what} {kind.__name__}", binary, directory, config, report)
    finally:
        origin.terminate()


def main():
    if sys.argv[1:2] == ["--damage"]:
        kind = {f.__name__: f for f in INDEX_KINDS}[sys.argv[3].split(".")[-1]]
        what = "index" if sys.argv[3].startswith("index.") else "segments"
        damage(Path(sys.argv[2]), what, kind, random.Random(" ".join(sys.argv[4:])))
        return 0
    binary = sys.argv[1] if len(sys.argv) > 1 else brim_node.default_binary()
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 2
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else random.randrange(1 << 30)
    report = {"wrong": [], "table": {}, "answers": 0}
    with tempfile.TemporaryDirectory(prefix="brim-corrupt-") as directory:
        run(binary, rounds, seed, Path(directory), report)
    print(f"{'damage':24} rounds  hits  dropped  broken off  deaths  set aside")
    for name, row in report["table"].items():
        print(f"{name:24} {row[0]:6}  {row[1]:4}  {row[2]:7}  {row[3]:10}  {row[4]:6}  {row[5]:9}")
    print(f"corrupt: seed {seed}: {report['answers']} right answers, {len(report['wrong'])} faults")
    for text in report["wrong"][:20]:
        print("  fault:", text)
    return 1 if report["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
