"""The n-th system call of the library fails, for every n and several errors: see _faults.py.

Short writes and short reads are the simulated kernel's part, which makes them by its seed: the
cases of big transfers and of writing run with many of them.
"""

import errno
import os
import subprocess

from _faults import walk
from _scenario import BACKEND, HERE, Scenario, program

ERRORS = ("EINTR", "ENOMEM", "EMFILE")


def cases(file):
    with open(os.path.join(HERE, "../behaviour", file)) as text:
        return [line[5:].split(",")[0] for line in text if line.startswith("CASE(")]


with Scenario(14, "n-th system call fails",
              "clean error or retry; no leak, no lost descriptor; the stream stays exact") as scenario:
    for name in ERRORS:
        number = getattr(errno, name)
        walk(scenario, name, "BERTH_FAULT_SYSTEM", lambda n: "%d:%d" % (n, number), "system_failed",
             step=40 if scenario.short else 1)
    # The simulated kernel is the same for both backends; the short form tries it with one of them.
    if not scenario.short or BACKEND == "epoll":
        runs = failed = 0
        for case in cases("big_transfers.c") + cases("writing.c"):
            for seed in range(2 if scenario.short else 20):
                done = subprocess.run([program("behaviour"), "--case", case], timeout=240,
                                      env={**os.environ, "BERTH_BACKEND": "sim",
                                           "BERTH_SIM_SEED": str(seed)},
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                runs += 1
                failed += done.returncode not in (0, 77)
        scenario.figure("short reads and writes, simulated",
                        "%d of %d runs pass" % (runs - failed, runs), runs > 0 and failed == 0)
