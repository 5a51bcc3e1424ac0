#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""inject - the nth call of a kind fails, for n after n, under load: no served byte is ever wrong.

Usage: tests/fault/inject.py BRIM [NS [KIND ...]]     (default: 3 values of n, all kinds)

A preloaded library (inject.c) makes allocations, writes, syncs, reads, opens, reservations of room
and calls of LMDB fail in the node, one call or eight in a row, while clients ask for URLs whose
bodies follow from the URL. A client may see the right body or an exchange that is visibly broken
off; never another byte, nor a 5xx, as the origin sends none. A cache fault leaves the node alive;
once it is over, the node stores again. Where memory is what is missing, the node may refuse (5xx) or
abort and be started again by its supervisor, but it never dies of anything else.
"""

import errno
import multiprocessing
import re
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402
import crash  # noqa: E402
import injection  # noqa: E402
from injection import MDB_MAP_FULL, SKIP  # noqa: E402

ASKS_MAX = 400  # a round ends sooner, when its fault has come
NS = (1, 2, 5, 17, 40, 3, 4, 7, 11, 25, 90, 160)
ANY = (0, 1 << 40)
META_PAGE = (1, 200)  # LMDB's: smaller than any other write; it gives up the environment then
# kind, what it fails with, how many in a row, of which sizes
FAULTS = (
    ("write", errno.EIO, 1, ANY), ("write", errno.ENOSPC, 8, ANY),
    ("write", errno.EIO, 1, META_PAGE), ("write", errno.EIO, 4, META_PAGE),
    ("sync", errno.EIO, 1, ANY), ("sync", errno.EIO, 8, ANY),
    ("read", errno.EIO, 1, ANY), ("read", errno.EIO, 8, ANY),
    ("open", errno.EMFILE, 1, ANY), ("open", errno.EIO, 8, ANY),
    ("room", errno.ENOSPC, 1, ANY), ("room", errno.EIO, 8, ANY),
    ("put", MDB_MAP_FULL, 1, ANY), ("put", errno.EIO, 8, ANY),
    ("commit", errno.EIO, 1, ANY), ("commit", errno.ENOSPC, 8, ANY),
    ("get", errno.EIO, 1, ANY), ("get", errno.ENOMEM, 8, ANY),
    ("alloc", errno.ENOMEM, 1, ANY), ("alloc", errno.ENOMEM, 1, (4096, 1 << 40)),
    ("alloc", errno.ENOMEM, 1, (65536, 1 << 40)),
)


class Round:
    """Asks until the armed fault has come, and a little longer."""

    def __init__(self, node, port, control):
        self.node, self.port, self.control = node, port, control
        self.tally = crash.Tally()
        self.state = {"end": False, "alive_since": time.monotonic()}
        self.client = crash.Client(port, self.tally, 1, self.state)
        self.url = 0

    def ask(self, count, kind=None):
        for _ in range(count):
            # a new one, and one that has left the RAM
            self.client.ask(f"/o/{self.url}")
            self.client.ask(f"/o/{max(0, self.url - 120)}")
            self.url += 1
            if kind and self.control.failed(kind):
                return self.ask(3)
        return None

    def new_object_is_stored(self):
        """Whether the index takes new objects (again)."""
        before = brim_node.metric(self.node.admin_port, "brim_disk_objects")
        self.ask(2)
        return brim_node.metric(self.node.admin_port, "brim_disk_objects") > before


def forgive_memory(tally):
    """Refusals are the one 5xx that a node without memory may give."""
    tally.wrong = [text for text in tally.wrong if not re.search(r"status 50[0-4]:", text)]


def one_round(rounds, fault, nth, report):
    kind, error, count, sizes = fault
    node, control, name = rounds.node, rounds.control, f"{kind} {count} of {error} at {nth}"
    pid, tally, died = node.worker_pid(), rounds.tally, len(node.deaths())
    tally.wrong.clear()
    control.arm(kind, nth, count, error, sizes)
    rounds.ask(ASKS_MAX, kind)
    came = control.failed(kind)
    if kind == "alloc":
        control.disarm(kind)
        forgive_memory(tally)
        brim_node.wait_until(node.is_ready, f"ready after {name}")
        if any(signal != "6" for signal in node.deaths()[died:]):
            report["wrong"].append(f"{name}: died of signals {node.deaths()[died:]}")
    elif node.worker_pid() != pid:
        report["wrong"].append(f"{name}: the node died: {node.deaths()[died:]}")
    control.disarm(kind)
    brim_node.wait_until(rounds.new_object_is_stored, f"objects stored after {name}")
    report["wrong"] += [f"{name}: {text}" for text in tally.wrong]
    row = report["table"].setdefault(f"{kind} x{count}" + {
        ANY: "", META_PAGE: " meta page"}.get(sizes, f" >= {sizes[0]}"), [0, 0, 0])
    for column, value in enumerate((1, came, len(node.deaths()) - died)):
        row[column] += value


def run(node, port, control, wanted, report):
    rounds = Round(node, port, control)
    rounds.ask(150)
    for fault in FAULTS:
        if wanted["kinds"] and fault[0] not in wanted["kinds"]:
            continue
        for nth in NS[:wanted["ns"]]:
            one_round(rounds, fault, nth, report)
    # What stands on disk after all that is right, too.
    for url in range(0, rounds.url, 1 + rounds.url // 400):
        rounds.client.ask(f"/o/{url}")
    report["wrong"] += rounds.tally.wrong
    report["answers"], report["broken"] = rounds.tally.good, rounds.tally.broken


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else brim_node.default_binary()
    wanted = {"ns": int(sys.argv[2]) if len(sys.argv) > 2 else 3, "kinds": sys.argv[3:]}
    if not injection.can_preload(binary):
        print("inject: skipped: nothing can be preloaded here")
        return SKIP
    report = {"wrong": [], "table": {}, "answers": 0, "broken": 0}
    pipe, far_end = multiprocessing.Pipe()
    origin = multiprocessing.Process(target=crash.run_origin, args=(far_end,), daemon=True)
    origin.start()
    with tempfile.TemporaryDirectory(prefix="brim-inject-") as directory:
        port = brim_node.free_port()
        config = brim_node.make_config(port, brim_node.free_port(), pipe.recv())
        config["cache"] = {"path": directory + "/cache", "disk": "64MiB", "segment": "4MiB",
                           "memory": "4MiB", "memory_object": "128KiB"}
        node = brim_node.Node(directory, config, binary)
        control = injection.Injection(directory)
        try:
            node.start(env=control.environment(), wait=False)
            control.spare(node.process.pid)
            node.wait_ready()
            run(node, port, control, wanted, report)
            if node.stop() != 0:
                report["wrong"].append("no clean end")
        except BaseException:
            print(node.log_tail(60))
            raise
        finally:
            if node.process.poll() is None:
                node.kill()
            origin.terminate()
    print(f"{'fault':18} rounds  failed calls  restarts")
    for name, row in report["table"].items():
        print(f"{name:18} {row[0]:6}  {row[1]:12}  {row[2]:8}")
    print(f"inject: {report['answers']} right answers, {report['broken']} broken off, "
          f"{len(report['wrong'])} faults")
    for text in report["wrong"][:30]:
        print("  fault:", text)
    return 1 if report["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
