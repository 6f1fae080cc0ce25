"""A thousand senders, and four buffers to receive into.

With io_uring the kernel is given 4 buffers of 64 KiB instead of 16 (BERTH_RING_BUFFERS, test
builds): receives find none again and again, and have to be begun anew when there are some. Every
byte comes back, and connections that were starved with the rest answer at once when the load is
over. Each load begins while the server sleeps, so that many have something for it at once. The
server does not spin over it: it looks for news no more often than there is some, which the shortages
counted and the bytes carried bound. With epoll, which has no such buffers, the same load runs
without.
"""

import os
import signal
import time

from _scenario import BACKEND, Pinger, Scenario, until

SIZE = 262144


def waiting(port):
    """Connections to a port of this host that have sent something nobody has read."""
    with open("/proc/net/tcp") as table:
        rows = [row.split() for row in table][1:]
    return sum(row[1].endswith(":%04X" % port) and row[3] == "01" and not row[4].endswith(":00000000")
               for row in rows)


with Scenario(10, "few buffers",
              "0 bytes lost; no connection stalls > 100 ms after buffers return; shortages counted and "
              "bounded; no spin") as scenario:
    senders = 200 if scenario.short else 1000
    server = scenario.server("echo", backlog=1024, environment={"BERTH_RING_BUFFERS": "4"},
                             urgent=True)
    standing = [Pinger(server.port, pause=0.01, urgent=scenario.timed) for _ in range(10)]
    begun = server.stats()
    good = rounds = 0
    after = []
    while rounds < (1 if scenario.short else 5):
        rounds += 1
        os.kill(server.pid, signal.SIGSTOP)
        finish = scenario.start_flood("transfer", server.port, total=senders, parallel=senders,
                                      size=SIZE)
        if not until(lambda: waiting(server.port) >= senders // 2):
            raise RuntimeError("the senders did not begin")
        os.kill(server.pid, signal.SIGCONT)
        counts = finish()
        good += counts["good"]
        for pinger in standing:
            pinger.take()
        time.sleep(0.5)
        after += [one for pinger in standing for one in pinger.take()]
    stats = server.stats()
    idle, processor = server.stats()["waits"], server.cpu()
    for pinger in standing:
        pinger.stop()
    time.sleep(0.2)
    idle, processor = server.stats()["waits"], server.cpu()
    time.sleep(0.5 if scenario.short else 5)
    idle, processor = server.stats()["waits"] - idle, server.cpu() - processor

    scenario.figure("equal transfers", "%d of %d" % (good, senders * rounds),
                    good == senders * rounds)
    lost = sum(pinger.lost for pinger in standing)
    scenario.figure("open connections lost", lost, lost == 0)
    scenario.figure("longest answer after the load", "%.1f ms of %d" % (max(after), len(after)),
                    max(after) <= 100, timing=True)
    shortages = stats["buffer_shortages"]
    pieces = (stats["received"] - begun["received"]) // 1024
    scenario.figure("shortages", "%d, one for each %.0f KiB" % (shortages, pieces / max(shortages,
                                                                                        1)),
                    shortages == 0 if BACKEND == "epoll"
                    else 0 < shortages < pieces)
    scenario.figure("looks for news while nothing happens", idle, idle <= 20)
    scenario.figure("processor time meanwhile", "%.2f s" % processor, processor <= 0.1, timing=True)
