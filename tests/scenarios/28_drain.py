"""Many connections of a server that is drained: all idle, then all told and doing nothing.

The program is drain.c, with its clients in a process of their own. The processor time counts from
the call of berth_server_drain to `emptied`; ends are measured by the server, from when they are due.
"""

import json
import subprocess

from _scenario import PATIENCE, Lateness, Scenario, hurry, program

BUDGET = 250  # milliseconds of processor time for 10,000
TICK = 10


def drain(scenario, count, how):
    late = Lateness()
    done = subprocess.run([program("drain"), str(count), how], stdout=subprocess.PIPE,
                          timeout=PATIENCE, preexec_fn=hurry if scenario.timed else None)
    waited = late.stop()
    counts = json.loads(done.stdout or b"{}") if done.returncode == 0 else {}
    scenario.figure("%s, the program" % how, "ended with %d" % done.returncode, bool(counts))
    return counts, waited


with Scenario(28, "drain",
              "10,000 idle connections within 250 ms of processor time, each ended gracefully; at "
              "the deadline each reset and counted, the first within 10 ms") as scenario:
    count = 1000 if scenario.short else 9900
    for how in ("idle", "told"):
        counts, waited = drain(scenario, count, how)
        if not counts:
            continue
        forced = count if how == "told" else 0
        scenario.figure("%s, ended by the server" % how, "%d of %d" % (counts["ends"], count),
                        counts["ends"] == counts["accepted"] == count and counts["live"] == 0)
        scenario.figure("%s, told" % how, counts["told"], counts["told"] == forced)
        scenario.figure("%s, forced" % how, counts["forced"], counts["forced"] == forced)
        scenario.figure("%s, the clients saw" % how,
                        "%d ends and %d resets" % (counts["ended"], counts["reset"]),
                        counts["ended"] == count - forced and counts["reset"] == forced)
        used, first = counts["processor"] / 1000, counts["first"] / 1000
        scenario.figure("%s, processor time" % how, "%.0f ms" % used,
                        used <= BUDGET * count / 9900, timing=True)
        scenario.note("%s: the last ended after %.0f ms; the machine woke a program up to %.1f ms "
                      "late" % (how, counts["last"] / 1000, waited))
        if how == "told":
            scenario.figure("the first forced end after the deadline", "%.1f ms" % first,
                            0 <= first <= TICK + waited, timing=True)
