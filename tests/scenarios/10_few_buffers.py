"""A thousand senders, and four buffers to receive into.

With io_uring the kernel is given 4 buffers of 64 KiB instead of 16 (BERTH_RING_BUFFERS, test builds):
receives find none again and again, and have to be begun anew when there are. Every byte comes back,
no connection is forgotten, and the server does not spin. With epoll, which has no such buffers, the
same load is the measure.
"""

from _scenario import BACKEND, Scenario

with Scenario(10, "few buffers",
              "0 bytes lost; no connection stalls > 100 ms after buffers return; shortages bounded; no "
              "spin") as scenario:
    senders = 100 if scenario.short else 1000
    rounds = 1 if scenario.short else 5
    server = scenario.server("echo", backlog=1024, environment={"BERTH_RING_BUFFERS": "4"})
    for number in range(rounds):
        counts = scenario.flood("transfer", server.port, total=senders, parallel=senders, size=262144)
        scenario.figure("equal transfers", "%d of %d" % (counts["good"], senders),
                        counts["good"] == senders)
        scenario.figure("longest stall", "%.0f ms of %.0f ms" % (counts["stall"], counts["longest"]))
    stats = server.stats()
    print(stats)
