# SPDX-License-Identifier: MIT
"""stillness - machines that stand still for seconds, as shared ones do: a test that has to be in time for a
while (a client that reads without a pause, servers that answer within a second) knows when it was not,
and tries again.
"""

import functools
import threading
import time

NAP_S = 0.02
STILL_S = 0.5  # a nap so long; on a machine that is merely busy it is far from that
TRIES = 10


class Watch(threading.Thread):
    """Naps all the time: a nap that was long says that nothing ran, or not in time."""

    def __init__(self):
        super().__init__(daemon=True)
        self.begin()
        self.start()

    def run(self):
        while True:
            self.longest_s = self.longest()
            self.woke = time.monotonic()
            time.sleep(NAP_S)

    def begin(self):
        self.longest_s, self.woke = 0.0, time.monotonic()

    def longest(self):
        """Seconds of the longest since begin(), also of one that has not ended."""
        return max(self.longest_s, time.monotonic() - self.woke)


the_watch = functools.cache(Watch)  # one of a process


def undisturbed(part):
    """What part() returns. An assertion that fails in it counts where the machine ran all the time, and
    at the last of TRIES."""
    for left in reversed(range(TRIES)):
        the_watch().begin()
        try:
            return part()
        except AssertionError as error:
            still_s = the_watch().longest()
            if still_s < STILL_S or not left:
                raise
            print(f"again: the machine stood still for {still_s:.1f} s: {error}", flush=True)
    raise RuntimeError("no try was the last")
