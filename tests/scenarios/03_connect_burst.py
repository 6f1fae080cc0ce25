"""50,000 connections, a thousand at a time, against a queue of 30 and a backlog of 50.

The queue of the server never gets longer than its limit; those beyond wait in the kernel's backlog,
and those beyond that are dropped by the kernel, which counts them (ListenOverflows), and try again.
The clients speak first: one that only listens never learns that the kernel has dropped the last
packet of its handshake, whatever the server is. All of it happens in a namespace of its own, so
that the kernel's counter is nobody else's.
"""

from _scenario import Network, Scenario, until

with Scenario(3, "connect burst",
              "queue never > 30; kernel backlog used; all served or counted in ListenOverflows; "
              "0 descriptors leaked") as scenario:
    network = Network(wire=False)
    inside = network.inside("server")
    total = 1000 if scenario.short else 50000
    server = scenario.server("echo", before=inside, pending=30, backlog=50)
    server.tell("take 0")
    finish = scenario.start_flood("transfer", server.port, inside, total=total,
                                  parallel=1000, sources=20, size=64, seconds=250)
    full = server.stats_when(queued=30)
    until(lambda: network.backlog("server", server.port) > 0)
    backlog = network.backlog("server", server.port)
    server.tell("take 1")
    counts = finish()
    final = server.stats()
    overflows = network.counter("server", "ListenOverflows")
    missing = total - counts["good"]
    scenario.figure("longest queue", final["queued_most"], final["queued_most"] <= 30)
    scenario.figure("queue while nobody took", full["queued"], full["queued"] == 30)
    scenario.figure("kernel backlog meanwhile", backlog, backlog > 0)
    scenario.figure("served", "%d of %d" % (counts["good"], total), counts["wrong"] == 0)
    scenario.figure("not served", "%d, ListenOverflows %d" % (missing, overflows),
                    missing <= overflows)
    server.stop()
