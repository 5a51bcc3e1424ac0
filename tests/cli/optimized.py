#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""optimized - all of deploy/optimize on a copy of the tree: built with counters, run under its load,
built again with what was counted; and what comes of it serves. Code that is changed afterwards builds.

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


def change(source):
    """Has it call a function that nothing was counted of."""
    called = "return brim_clock_mono_us() / 1000;"
    text = source.read_text()
    assert called in text
    text = text.replace("uint64_t brim_clock_mono_ms(void)\n",
                        "__attribute__((noinline)) uint64_t brim_clock_new(void);\n\n"
                        "uint64_t brim_clock_mono_ms(void)\n")
    source.write_text(text.replace(called, "return brim_clock_new() / 1000;") +
                      "\nuint64_t brim_clock_new(void)\n{\n    return brim_clock_mono_us();\n}\n")


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
        change(tree / "src/base/clock.c")
        run("changed code", "cmake", "--build", built, "--target", "brim_base")
    print("optimized: built, loaded, built again, and it serves")


if __name__ == "__main__":
    main()
