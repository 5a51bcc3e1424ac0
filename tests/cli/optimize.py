#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""optimize - the load that deploy/optimize lays the binary out by: every request of it is answered
with 200, the node ends by itself, and what is not so is said and ends the build.

Usage: tests/cli/optimize.py BRIM
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

OPTIMIZE = Path(__file__).resolve().parents[2] / "deploy/optimize"
failures = []


def check(what, is_right):
    if not is_right:
        failures.append(what)


def optimize(*arguments):
    done = subprocess.run([OPTIMIZE, *arguments], capture_output=True, text=True, timeout=250,
                          env={**os.environ, "REQUESTS": "160"}, check=False)
    return done.returncode, done.stdout + done.stderr


def main():
    status, said = optimize("train", os.path.abspath(sys.argv[1]))
    check(f"the load: {status} {said!r}", status == 0 and said == "")

    status, said = optimize("train", "/bin/false")
    check(f"a binary that ends: {status} {said!r}", status == 1 and "optimize: brim ended" in said)

    with tempfile.TemporaryDirectory(prefix="brim-optimize-") as directory:
        # A node that answers, but not as it should: its handlers are missing.
        wrong = Path(directory) / "brim"
        wrong.write_text(f'#!/bin/sh\nsed -i "/answer.test/d" "$4"\n'
                         f'exec "{os.path.abspath(sys.argv[1])}" "$@"\n')
        wrong.chmod(0o755)
        status, said = optimize("train", str(wrong))
        check(f"answers that are no 200: {status} {said!r}",
              status == 1 and "answer.test/hello?name=ada: requests: " in said)

    for arguments in (("train",), ("train", "a", "b"), ("fast",)):
        status, said = optimize(*arguments)
        check(f"{arguments}: {status} {said!r}", status == 1 and "see the head of this file" in said)

    for failure in failures:
        print(f"optimize: {failure}")
    print(f"optimize: {len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
