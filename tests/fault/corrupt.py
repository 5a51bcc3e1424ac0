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
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402
import crash  # noqa: E402
import damage  # noqa: E402

URLS = 160
SECONDS = 30  # within which a URL that broke off is whole again: the index drops it a moment later
DEATHS_MAX = 4  # two of the index, and some room


COLUMNS = ("rounds", "answers", "hits", "dropped", "broken off", "deaths", "set aside")


def do_damage(cache, what, kind, rng):
    """Damages the index, or a third of the segments."""
    files = sorted((cache / "segments").iterdir())
    files = [cache / "index/data.mdb"] if what == "index" else rng.sample(
        files, max(1, len(files) // 3))
    for path in files:
        damage.do(path, kind, rng)


# ---- a round ----

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
    before = len(node.deaths())
    if node.stop() != 0 and len(node.deaths()) == before:
        tally.add(wrong="no clean end")
    return first, dropped, second


def one_round(node, port, row, wrong):
    tally = crash.Tally()
    hits, dropped, second = ask_all_twice(node, port, tally)
    # An index that only fails, and kills nobody, is set aside by the next start.
    if second < URLS * 9 // 10:
        second = ask_all_twice(node, port, tally)[2]
    if second < URLS * 9 // 10 and not node.deaths():
        tally.add(wrong=f"only {second} of {URLS} are hits after all was asked:\n" +
                  node.log_tail(12))
    aside = int("disk.damaged" in node.log_path.read_text(errors="replace"))
    deaths = len(node.deaths())
    if deaths > DEATHS_MAX:
        tally.add(wrong=f"died {deaths} times")
    numbers = (1, tally.good, hits, dropped, tally.broken, deaths, aside)
    for column, value in zip(COLUMNS, numbers, strict=True):
        row[column] += value
    wrong += tally.wrong


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


def run(binary, rounds, rng, directory, row_of, wrong):
    pipe, far_end = multiprocessing.Pipe()
    origin = multiprocessing.Process(target=crash.run_origin, args=(far_end,), daemon=True)
    origin.start()
    port = brim_node.free_port()
    config = brim_node.make_config(port, brim_node.free_port(), pipe.recv())
    whole, cache = directory / "whole", directory / "cache"
    config["cache"] = {"path": str(whole), "disk": "64MiB", "segment": "4MiB", "memory": "1MiB",
                       "memory_object": "128KiB"}
    try:
        fill(binary, directory, config)
        config["cache"]["path"] = str(cache)
        for what, kinds in (("segments", damage.FILE_KINDS), ("index", damage.INDEX_KINDS)):
            for kind in kinds:
                name, faults = f"{what} {kind.__name__}", []
                for _ in range(rounds):
                    damage.copy(whole, cache)
                    do_damage(cache, what, kind, rng)
                    with damage.node_of_a_round(binary, directory, config, faults) as node:
                        one_round(node, port, row_of(name), faults)
                wrong += [f"{name}: {text}" for text in faults]
    finally:
        origin.terminate()


def main():
    if sys.argv[1:2] == ["--damage"]:
        kind = {f.__name__: f for f in damage.INDEX_KINDS}[sys.argv[3].split(".")[-1]]
        what = "index" if sys.argv[3].startswith("index.") else "segments"
        do_damage(Path(sys.argv[2]), what, kind, random.Random(" ".join(sys.argv[4:])))
        return 0
    return damage.main("corrupt", COLUMNS, run)


if __name__ == "__main__":
    sys.exit(main())
