#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""hardened - the binary has what makes a fault in it hard to use, as the build asks for.

Usage: tests/cli/hardened.py BRIM

Read from the binary itself (readelf): it can be loaded anywhere, what the loader writes once is
read-only afterwards, nothing is writable and executable, stacks have canaries, and copies whose size
the compiler knows are checked. Sanitizer builds have other means, and are left out.
"""

import re
import subprocess
import sys


def readelf(what, binary):
    return subprocess.run(["readelf", "-W", what, binary], capture_output=True, text=True,
                          check=True).stdout


def main():
    binary = sys.argv[1]
    symbols = readelf("--dyn-syms", binary)
    if "__asan" in symbols or "__tsan" in symbols:
        print("hardened: skipped: a sanitizer build")
        return 77
    segments = readelf("-l", binary)
    dynamic = readelf("-d", binary)
    checks = {
        "position independent": "Type:                              DYN" in readelf("-h", binary),
        "relocations are read-only": "GNU_RELRO" in segments,
        "all of them, bound at start": re.search(r"FLAGS.*\bNOW\b", dynamic) is not None,
        "no executable stack": re.search(r"GNU_STACK.* RW +0x", segments) is not None,
        "nothing both writable and executable": re.search(r"LOAD.* RWE ", segments) is None,
        "stack canaries": "__stack_chk_fail" in symbols,
        "checked copies": re.search(r"__(mem|str|snprintf|vsnprintf)\w*_chk", symbols) is not None,
    }
    missing = [what for what, is_there in checks.items() if not is_there]
    for what in missing:
        print(f"hardened: missing: {what}")
    print(f"hardened: {len(checks)} checks, {len(missing)} failures")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
