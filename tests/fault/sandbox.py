#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""sandbox - the node under `node.seccomp: enforce` does all that it does without.

Usage: tests/fault/sandbox.py BRIM [STEP]     (every STEPth scenario; default 6, 1 is all of them)

Runs VTC scenarios with the filter in force, and a node with a disk tier, TLS, a reload, a purge and
an end, of which every thread must be in it.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import brim_node  # noqa: E402
import injection  # noqa: E402

VTC = brim_node.ROOT / "tests/vtc"


def threads_outside(pid):
    outside = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        status = (task / "status").read_text()
        if "Seccomp:\t2" not in status or "NoNewPrivs:\t1" not in status:
            outside.append(status.splitlines()[0])
    return outside


def one_node(binary, directory):
    """Faults of a node that lives a whole life."""
    faults = []
    config = brim_node.make_config(brim_node.free_port(), brim_node.free_port(), 1)
    config["cache"] = {"path": directory + "/cache", "disk": "64MiB", "memory": "8MiB"}
    config["access_log"] = {"path": directory + "/access.log"}
    config["node"]["seccomp"] = "enforce"
    node = brim_node.Node(directory, config, binary)
    try:
        node.start(wait=False)
        try:
            node.wait_ready()
        except RuntimeError:
            if "sandbox.seccomp" in node.log_tail():
                return None  # no seccomp in this kernel, or not for us
            raise
        pid = node.worker_pid()
        faults += [f"not in it: {name}" for name in threads_outside(pid)]
        admin = ["--admin", f"127.0.0.1:{node.admin_port}"]
        for command in (["reload", *admin], ["purge", *admin, "--all"], ["stats", *admin]):
            done = subprocess.run([binary, *command], capture_output=True, text=True, check=False)
            if done.returncode != 0:
                faults.append(f"{command[0]}: {done.stderr}")
        if node.worker_pid() != pid:
            faults.append("the node died")
        if node.stop() != 0:
            faults.append("no clean end:\n" + node.log_tail())
    finally:
        if node.process.poll() is None:
            node.kill()
    return faults


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else brim_node.default_binary()
    step = int(sys.argv[2]) if len(sys.argv) > 2 else 6
    if not injection.can_preload(binary):
        print("sandbox: skipped: a sanitizer calls what the node does not")
        return injection.SKIP
    with tempfile.TemporaryDirectory(prefix="brim-sandbox-") as directory:
        faults = one_node(str(Path(binary).resolve()), directory)
    if faults is None:
        print("sandbox: skipped: no seccomp here")
        return injection.SKIP
    scenarios = sorted(VTC.glob("*.vtc"))[::step]
    for scenario in scenarios:
        done = subprocess.run([str(VTC / "run"), "--brim", binary, str(scenario)],
                              env={**os.environ, "BRIM_VTC_SET": "node.seccomp=enforce"},
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            faults.append(f"{scenario.name}: {done.stdout[-2000:]}")
    print(f"sandbox: {len(scenarios)} scenarios, {len(faults)} faults")
    for fault in faults:
        print("  fault:", fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
