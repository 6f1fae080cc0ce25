"""A million pauses, resumes and changes of the limit, while clients keep coming.

The changes are made by the server itself (`churn` in server.c), a few in each turn and inside the
handler of each new connection. Nothing may be delivered while accepting is paused or the queue is
at its limit of the moment, and every client is served in the end.
"""

from _scenario import PATIENCE, Scenario, until

with Scenario(17, "pauses and limits under load",
              "1,000,000 changes: nothing delivered while paused, nothing lost") as scenario:
    changes = 10000 if scenario.short else 1000000
    server = scenario.server("echo", backlog=256)
    server.tell("churn %d" % changes)
    clients = good = rounds = 0
    while rounds == 0 or server.stats()["churn_left"] > 0 and rounds < 1000:
        counts = scenario.flood("transfer", server.port, total=500, parallel=100, size=100,
                                sources=20)
        rounds, clients, good = rounds + 1, clients + 500, good + counts["good"]
    until(lambda: server.stats()["churn_left"] == 0, PATIENCE)
    after = scenario.flood("transfer", server.port, total=100, parallel=10, size=100)
    stats = server.stats()
    scenario.figure("changes", changes - stats["churn_left"], stats["churn_left"] == 0)
    scenario.figure("delivered when not wanted", stats["unwanted"], stats["unwanted"] == 0)
    scenario.figure("served meanwhile", "%d of %d" % (good, clients), good == clients)
    scenario.figure("served afterwards", "%d of 100" % after["good"], after["good"] == 100)
    scenario.figure("accepted", stats["accepted"], stats["accepted"] == clients + 100)
