#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""systemd - the unit is one that systemd understands and that is well locked in.

Usage: tests/cli/systemd.py BRIM       exit status 77: no systemd-analyze here
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

UNIT = Path(__file__).resolve().parents[2] / "deploy/systemd/brim.service"
EXPOSURE_MAX = 2.0  # of 10; systemd calls up to 4.9 OK and up to 1.9 "SAFE"


def analyze(*arguments):
    return subprocess.run(["systemd-analyze", *arguments], text=True, check=False, timeout=60,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def main():
    if shutil.which("systemd-analyze") is None:
        return 77
    with tempfile.TemporaryDirectory() as directory:
        unit = Path(directory) / "brim.service"  # with a binary that is there
        unit.write_text(UNIT.read_text().replace("/usr/bin/brim", sys.argv[1]))
        run = analyze("verify", "--man=no", str(unit))
        assert run.returncode == 0 and "brim.service" not in run.stdout, run.stdout
        run = analyze("security", "--offline=true", str(unit))
        exposure = re.search(r"Overall exposure level for brim.service: ([0-9.]+)", run.stdout)
        assert exposure is not None, run.stdout
        assert float(exposure.group(1)) <= EXPOSURE_MAX, run.stdout
        print(f"systemd: exposure {exposure.group(1)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
