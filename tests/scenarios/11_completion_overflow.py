"""A queue of 64 completions, and thousands of events at a time.

With io_uring the ring has 64 completions instead of 256 (BERTH_RING_COMPLETIONS, test builds), so
that the kernel has to keep what does not fit, and ends receives that should have gone on. That is
counted, they are begun again, and every connection is served whole. With epoll, which has no such
queue, the same load runs without.

The server takes nothing until 1,000 connections and all that they send are there, and answers those
in one turn, so that the completions cannot fit however fast it is. After that it is stopped for a
moment again and again, which lets events pile up in other ways.
"""

import os
import signal
import time

from _scenario import BACKEND, Scenario, until

AT_ONCE = 1000  # connections
SIZE = 10000  # bytes of each; few enough that the answer goes through the ring


def stutter(pid, under_way):
    """Stops the process for 50 ms at a time while the load is under way."""
    while under_way():
        for order in (signal.SIGSTOP, signal.SIGCONT):
            os.kill(pid, order)
            time.sleep(0.05)


with Scenario(11, "overflow of completions",
              "overflow counted; receives that it ended begun again; 0 of 10,000 connections lost"
              ) as scenario:
    total = 3 * AT_ONCE if scenario.short else 10000
    server = scenario.server("echo", backlog=4096, pending=AT_ONCE,
                             environment={"BERTH_RING_COMPLETIONS": "64"})
    server.tell("take 0")
    finish = scenario.start_flood("transfer", server.port, total=total, parallel=min(total, 5000),
                                  size=SIZE, sources=20)
    if not until(lambda: server.stats()["received"] >= AT_ONCE * SIZE):
        raise RuntimeError("the connections did not pile up: %s" % server.stats())
    server.tell("take 1")
    stutter(server.pid, lambda: finish.process.poll() is None)
    counts = finish()
    stats = server.stats()
    scenario.figure("equal transfers", "%d of %d" % (counts["good"], total),
                    counts["good"] == total)
    overflows = stats["completion_overflows"]
    scenario.figure("overflows", overflows, (overflows > 0) == (BACKEND == "io_uring"))
    scenario.figure("receives begun again", stats["receives_renewed"])
