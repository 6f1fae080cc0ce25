"""A million descriptors handed from the accepting thread to 8 others, which die and are replaced.

The program is handoffs.c. Each client has to get its own bytes back: a descriptor that was closed
twice would end somebody else's connection, and one that was never closed is left at the end.
stress-ng takes processor time beside it, so that threads are stopped at unlikely places.
"""

import subprocess

from _scenario import Scenario, tool, until

with Scenario(19, "hand-overs to threads that die",
              "each descriptor closed exactly once; orphans reclaimed; 1,000,000 hand-overs over 8 "
              "threads") as scenario:
    total = 3000 if scenario.short else 1000000
    life = 50 if scenario.short else 2000
    server = scenario.server(str(life), program_name="handoffs")
    stress = None
    if not scenario.short:
        stress = subprocess.Popen([tool("stress-ng"), "--quiet", "--cpu", "1", "--cpu-load", "30",
                                   "--timeout", "600"])
    try:
        counts = scenario.flood("transfer", server.port, total=total, parallel=100, size=64,
                                sources=20,
                                seconds=400)
    finally:
        if stress:
            stress.terminate()
            stress.wait()
    until(lambda: server.stats()["open"] == 0)
    stats = server.stats()
    scenario.figure("served", "%d of %d" % (counts["good"], total), counts["good"] == total)
    scenario.figure("handed over", stats["accepted"], stats["accepted"] == total)
    scenario.figure("threads that died", stats["lives"], stats["lives"] > 0)
    scenario.figure("orphans reclaimed", stats["orphaned"])
    scenario.figure("lost on the way", stats["rejected"], stats["rejected"] == 0)
