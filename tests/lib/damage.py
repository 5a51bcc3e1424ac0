# SPDX-License-Identifier: MIT
"""damage - what a disk does to a file, and rounds of a node on damaged copies.

A kind of damage is called with a file's bytes, which it changes, and a random.Random.
"""

import contextlib
import random
import shutil
import sys
import tempfile
from pathlib import Path

import brim_node

PAGE = 4096


def flip_bit(data, rng):
    at = rng.randrange(len(data))
    data[at] ^= 1 << rng.randrange(8)


def flip_many(data, rng):
    for _ in range(max(40, len(data) // 20000)):
        flip_bit(data, rng)


def zero_sector(data, rng):
    at = rng.randrange(len(data) // 512) * 512
    data[at:at + 512] = bytes(512)


def zero_range(data, rng):
    at = rng.randrange(len(data) // PAGE) * PAGE
    length = min(len(data) - at, PAGE * rng.randrange(1, 64))
    data[at:at + length] = bytes(length)


def torn(data, rng):
    """The last write of a page: its first half new, the rest what stood elsewhere."""
    pages = len(data) // PAGE
    to, fro = rng.randrange(pages) * PAGE, rng.randrange(pages) * PAGE
    half = rng.randrange(1, 8) * 512
    data[to + half:to + PAGE] = data[fro + half:fro + PAGE]


def swap_pages(data, rng):
    pages = len(data) // PAGE
    one, two = rng.randrange(pages) * PAGE, rng.randrange(pages) * PAGE
    data[one:one + PAGE], data[two:two + PAGE] = data[two:two + PAGE], data[one:one + PAGE]


def garbage(data, rng):
    at = rng.randrange(len(data) // PAGE) * PAGE
    data[at:at + PAGE] = rng.randbytes(PAGE)


def truncate(data, rng):
    del data[rng.randrange(len(data)):]


def truncate_page(data, rng):
    del data[rng.randrange(1, len(data) // PAGE) * PAGE:]


def empty(data, _rng):
    del data[:]


def no_tree(data, rng):
    """Every page but the two meta pages is garbage: the first look follows a wild pointer."""
    data[2 * PAGE:] = rng.randbytes(len(data) - 2 * PAGE)


def headers(data, rng):
    """Page headers only: the kind, the bounds and the places of nodes."""
    for at in range(2 * PAGE, len(data), PAGE):
        data[at + 8 + rng.randrange(24)] = rng.randrange(256)


FILE_KINDS = (flip_bit, flip_many, zero_sector, zero_range, torn, swap_pages, garbage, truncate,
              truncate_page, empty)
INDEX_KINDS = (*FILE_KINDS, no_tree, headers)


def do(path, kind, rng):
    data = bytearray(path.read_bytes())
    kind(data, rng)
    path.write_bytes(data)


# ---- rounds ----

def copy(whole, to):
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(whole, to)


@contextlib.contextmanager
def node_of_a_round(binary, directory, config, wrong):
    """A node with a log of its own, not started yet; what goes wrong is added to `wrong`."""
    log = directory / "round.log"
    log.unlink(missing_ok=True)
    node = brim_node.Node(directory, config, binary, log=log)
    try:
        yield node
    except (RuntimeError, TimeoutError) as error:
        wrong.append(f"{str(error)[:1500]}\n{node.log_tail(12)}")
    finally:
        if node.process and node.process.poll() is None:
            node.kill()


def main(name, columns, run):
    """run(binary, rounds, rng, directory, row_of, wrong): row_of(kind) is what the table says of it,
    a number for each of columns; wrong: texts. Returns the exit status."""
    binary = sys.argv[1] if len(sys.argv) > 1 else brim_node.default_binary()
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 2
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else random.randrange(1 << 30)
    table, wrong = {}, []

    def row_of(kind):
        return table.setdefault(kind, dict.fromkeys(columns, 0))

    with tempfile.TemporaryDirectory(prefix=f"brim-{name}-") as directory:
        run(binary, rounds, random.Random(seed), Path(directory), row_of, wrong)
    print(f"{'damage':24}" + "".join(f"{column:>11}" for column in columns))
    for kind, row in table.items():
        print(f"{kind:24}" + "".join(f"{row[column]:11}" for column in columns))
    print(f"{name}: seed {seed}: {rounds} rounds of each, {len(wrong)} faults")
    for text in wrong[:20]:
        print("  fault:", text)
    return 1 if wrong else 0
