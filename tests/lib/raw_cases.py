# SPDX-License-Identifier: MIT
"""raw_cases - a table of cases, each on a connection of its own, some at once, against one node.

A case is a tuple: what it is, the bytes or fields that make it, what must come of it (one of `kinds`),
and what else its test wants.
"""

import concurrent.futures
import sys
import tempfile

import brim_node

THREADS = 8
SHOWN = 60


def ask_all(node, origin, cases, run_case):
    """What is wrong, of every case and of the node."""
    port = int(node.config["listeners"][0]["address"].rsplit(":", 1)[1])
    with node.running(), concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        wrong = [fault for fault in pool.map(
            lambda pair: run_case(port, origin, *pair), enumerate(cases)) if fault]
        if brim_node.metric(node.admin_port, "brim_node_restarts_total"):
            wrong.append("the node was started again")
    return wrong


def run(name, cases, kinds, make_origin, run_case, **settings):
    """What a test's main() returns. The command line: BRIM [--list]. settings: a__0__b for a.0.b.

    make_origin() gives one with a port and a list of faults, what it could not read;
    run_case(port, origin, number, case) what is wrong, or None.
    """
    if "--list" in sys.argv:
        for number, case in enumerate(cases):
            print(number, case[2], case[0], str(case[1])[:120])
        return 0
    binary = sys.argv[1] if len(sys.argv) > 1 else brim_node.default_binary()
    origin = make_origin()
    config = brim_node.make_config(brim_node.free_port(), brim_node.free_port(), origin.port)
    brim_node.set_path(config, "log.level", "warn")
    for path, value in settings.items():
        brim_node.set_path(config, path.replace("__", "."), value)
    with tempfile.TemporaryDirectory(prefix=f"brim-{name}-") as directory:
        wrong = ask_all(brim_node.Node(directory, config, binary), origin, cases, run_case)
    wrong += [f"the origin could not read what it got: {fault}" for fault in origin.faults]
    # The node has ended: what came to the origin behind the judgement of a case is there now.
    wrong += [f"case {number}, {cases[number][0]}: {requests} came to the origin"
              for number, requests in sorted(getattr(origin, "seen", {}).items())
              if cases[number][2] == "REFUSED"]
    counts = {kind: sum(case[2] == kind for case in cases) for kind in kinds}
    print(f"{name}: {len(cases)} cases {counts}, {len(wrong)} faults")
    for fault in wrong[:SHOWN]:
        print("  fault:", fault)
    return 1 if wrong else 0
