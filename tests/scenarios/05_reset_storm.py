"""100,000 clients that connect and reset at once, most of them before they are accepted.

The kernel still hands out such a connection, whose peer getpeername does not know any more: its
address has to be there all the same. The server takes a pause now and then, so that many are
reset while they wait in the backlog. At the end a good client is served as if nothing had been.
"""

from _scenario import Scenario

with Scenario(5, "reset storm",
              "no slot leaked; no crash on ENOTCONN; every peer has an address") as scenario:
    total = 2000 if scenario.short else 100000
    rounds = 2 if scenario.short else 100
    server = scenario.server("echo", backlog=1024, names=1)
    good = 0
    for _ in range(rounds):
        server.tell("pause")
        backlogged = scenario.flood("reset", server.port, total=500, parallel=50, sources=20)
        server.tell("resume")
        counts = scenario.flood("reset", server.port, total=total // rounds - 500, parallel=50,
                                sources=20)
        good += backlogged["good"] + counts["good"]
    echo = scenario.flood("transfer", server.port, total=20, parallel=5)
    stats = server.stats_when(open=0)
    scenario.figure("connected and reset", good)
    scenario.figure("accepted", stats["accepted"], stats["accepted"] <= good + 20)
    scenario.figure("without an address", stats["nameless"], stats["nameless"] == 0)
    scenario.figure("still open", stats["open"], stats["open"] == 0)
    scenario.figure("good clients afterwards", "%d of 20" % echo["good"], echo["good"] == 20)
