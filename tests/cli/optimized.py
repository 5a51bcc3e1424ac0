#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""optimized - all of deploy/optimize on a copy of the tree: built with counters, run under its load,
built again with what was counted; and what comes of it serves.

Usage: tests/cli/optimized.py BRIM      (which is not used: it builds its own)
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCENARIO = ROOT / "tests/vtc/c00001.vtc"
SECONDS = 1100


def run(what, *command, **environment):
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS,
                          env={**os.environ, **environment}, check=False)
    said = done.stdout + done.stderr
    if done.returncode != 0:
        sys.exit(f"optimized: {what}: {done.returncode} {said[-3000:]}")
    return said


def main():
    with tempfile.TemporaryDirectory(prefix="brim-optimized-") as directory:
        tree = Path(directory) / "tree"
        shutil.copytree(ROOT, tree, symlinks=True,
                        ignore=shutil.ignore_patterns("build", ".git", "node_modules"))
        said = run("deploy/optimize", tree / "deploy/optimize", REQUESTS="160")
        built = tree / "build/release"
        binary = built / "brim"
        if not said.endswith("optimize: build/release/brim is done\n"):
            sys.exit(f"optimized: {said[-3000:]}")
        if "BRIM_PROFILE:STRING=use\n" not in (built / "CMakeCache.txt").read_text():
            sys.exit("optimized: the last build is not the one with what was counted")
        if not any(built.rglob("*.gcda")):
            sys.exit("optimized: nothing was counted")
        run("a scenario", ROOT / "tests/vtc/run", "--brim", binary, SCENARIO)
    print("optimized: built, loaded, built again, and it serves")


if __name__ == "__main__":
    main()
