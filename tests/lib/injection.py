# SPDX-License-Identifier: MIT
"""injection - tests/fault/inject.c built, preloaded, and told which call is to fail."""

import errno
import mmap
import os
import shutil
import struct
import subprocess
from pathlib import Path

import brim_node

KINDS = ("alloc", "write", "sync", "read", "open", "room", "put", "commit", "get", "clock")
WORDS = 7  # of struct kind
MDB_MAP_FULL, MDB_CORRUPTED, MDB_PANIC = -30792, -30796, -30795
SKIP = 77


def is_sanitized(binary):
    linked = subprocess.run(["ldd", binary], capture_output=True, text=True, check=False).stdout
    symbols = subprocess.run(["nm", "-D", binary], capture_output=True, text=True,
                             check=False).stdout
    return "__asan_init" in symbols + linked or "__tsan_init" in symbols + linked


def can_preload(binary):
    """A sanitizer's runtime wants to be first, and has an allocator of its own."""
    return shutil.which("cc") is not None and not is_sanitized(binary)


def build(name, directory):
    """tests/fault/NAME.c as a library to preload."""
    library = Path(directory) / f"{name}.so"
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", str(library),
                    str(brim_node.ROOT / f"tests/fault/{name}.c"), "-ldl"], check=True)
    return library


def jitter(directory, binary):
    """The environment in which the node's threads meet in rare orders (jitter.c), if it can be."""
    if not can_preload(binary):
        return None
    return {**os.environ, "LD_PRELOAD": str(build("jitter", directory))}


class Injection:
    """The control file of one node; see inject.c."""

    def __init__(self, directory):
        directory = Path(directory)
        self.library = build("inject", directory)
        self.path = directory / "inject.control"
        self.path.write_bytes(bytes(8 * (len(KINDS) * WORDS + 1)))
        with open(self.path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 0)

    def environment(self):
        return {**os.environ, "LD_PRELOAD": str(self.library), "BRIM_INJECT": str(self.path)}

    def spare(self, pid):
        struct.pack_into("<q", self.map, 8 * len(KINDS) * WORDS, pid)

    def _set(self, kind, word, value):
        struct.pack_into("<q", self.map, 8 * (KINDS.index(kind) * WORDS + word), value)

    def _get(self, kind, word):
        return struct.unpack_from("<q", self.map, 8 * (KINDS.index(kind) * WORDS + word))[0]

    def arm(self, kind, nth, count=1, error=errno.EIO, sizes=(0, 1 << 40)):
        """From its nth call on, count calls of the kind (and of such sizes) fail."""
        self.disarm(kind)
        for word, value in ((1, count), (2, error), (3, 0), (4, 0),
                            (5, sizes[0]), (6, sizes[1]), (0, nth)):
            self._set(kind, word, value)

    def disarm(self, kind):
        self._set(kind, 0, 0)

    def seen(self, kind):
        return self._get(kind, 3)

    def failed(self, kind):
        return self._get(kind, 4)

    def shift_clock(self, seconds):
        """The node's wall clock is wrong by so much from now on."""
        self._set("clock", 2, seconds)
