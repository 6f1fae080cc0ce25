"""A queue of 64 completions, and thousands of events at a time.

With io_uring the ring has 64 completions instead of 8192 (BERTH_RING_COMPLETIONS, test builds), so
that the kernel has to keep what does not fit, and ends receives that should have gone on. That is
counted, they are begun again, and every connection is served whole. With epoll, which has no such
queue, the same load runs without.

The server is stopped for a moment again and again, so that events pile up however fast it is.
"""

import os
import signal
import time

from _scenario import BACKEND, Scenario


def stutter(pid, under_way):
    """Stops the process for 50 ms at a time while the load is under way."""
    while under_way():
        for order in (signal.SIGSTOP, signal.SIGCONT):
            os.kill(pid, order)
            time.sleep(0.05)


with Scenario(11, "overflow of completions",
              "overflow counted; receives that it ended begun again; 0 of 10,000 connections lost"
              ) as scenario:
    total = 1000 if scenario.short else 10000
    server = scenario.server("echo", backlog=4096, environment={"BERTH_RING_COMPLETIONS": "64"})
    finish = scenario.start_flood("transfer", server.port, total=total, parallel=min(total, 5000),
                                  size=10000, sources=20)
    stutter(server.pid, lambda: finish.process.poll() is None)
    counts = finish()
    stats = server.stats()
    scenario.figure("equal transfers", "%d of %d" % (counts["good"], total),
                    counts["good"] == total)
    overflows = stats["completion_overflows"]
    scenario.figure("overflows", overflows, (overflows > 0) == (BACKEND == "io_uring"))
    scenario.figure("receives begun again", stats["receives_renewed"])
