"""Clients that say nothing, or a byte now and then: 10,000 of each, beside a good one.

The silent are ended by the limit of the first byte, those that drip by the minimum rate, each when
its time is over (limits of berth/limits.h; their tick is 10 ms), while a good client of the same
server is served as before. Lifetimes are taken by the server, from when a connection was taken:
what the clients see depends on when they get the processor. How late the machine wakes anybody
meanwhile is measured beside it, and allowed for. Then slowhttptest sends headers and bodies that
never end, against a limit of idleness.
"""

import subprocess
import time

from _scenario import PATIENCE, Lateness, Pinger, Scenario, percentile, tool, until

TICK = 10  # milliseconds, BERTH_LIMIT_TICK; one more is what timers are rounded to


def slow_clients(scenario, name, closed_by, deadline, drip, limits):
    count = 200 if scenario.short else 10000
    server = scenario.server("echo", backlog=4096, pending=1000, urgent=True, **limits)
    pinger = Pinger(server.port, urgent=scenario.timed)
    time.sleep(0.3 if scenario.short else 3)
    before, memory = percentile(pinger.take(), 0.99), server.memory()
    finish = scenario.start_flood("hold", server.port, total=count, parallel=count, drip=drip,
                                  rate=2000, sources=20, linger=0, seconds=60)
    until(lambda: server.stats()["open"] > count or finish.process.poll() is not None)
    each = (server.memory() - memory) / count
    pinger.take()
    time.sleep(0.3 if scenario.short else 3)  # all are there, and the first is not over yet
    during = percentile(pinger.take(), 0.99)
    lateness = Lateness()
    counts = finish()
    late = lateness.stop()
    until(lambda: server.stats()["open"] == 1)
    stats = server.stats()
    pinger.stop()
    closed = counts["good"] + counts["reset"]
    scenario.figure(name + ", closed by the server", "%d of %d" % (closed, count), closed == count)
    scenario.figure(name + ", by the limit", stats[closed_by], stats[closed_by] == count)
    shortest, longest = stats["life_shortest"] / 1000, stats["life_longest"] / 1000
    scenario.figure(name + ", lived", "%.1f to %.1f ms of %d ms; the machine was up to %.1f ms late"
                    % (shortest, longest, deadline, late),
                    shortest >= deadline - TICK and longest <= deadline + TICK + 1 + late, timing=True)
    scenario.figure(name + ", as the clients saw it", "%.1f to %.1f ms, p99 %.1f ms"
                    % (counts["shortest"], counts["longest"], counts["p99"]))
    scenario.figure(name + ", p99 of the good client", "%.2f ms, before %.2f ms" % (during, before),
                    during <= 2 * before, timing=True)
    scenario.figure(name + ", memory of a connection", "%.0f bytes" % each)
    scenario.figure(name + ", pings lost", pinger.lost, pinger.lost == 0)
    server.stop()


def slow_http(scenario, name, option):
    count = 50 if scenario.short else 2000
    idle = 1 if scenario.short else 5
    server = scenario.server("hold", backlog=1024, idle=idle * 1000)
    attack = subprocess.Popen(
        [tool("slowhttptest"), option, "-c", str(count), "-r", "500", "-i", "10", "-x", "10", "-l",
         str(4 if scenario.short else 30), "-p", "3", "-u", "http://127.0.0.1:%d/" % server.port],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    attack.wait(2 * PATIENCE)
    until(lambda: server.stats()["open"] == 0)
    stats = server.stats()
    scenario.figure(name, "%d accepted, %d ended by the limit" % (stats["accepted"],
                                                                  stats["closed_idle"]),
                    stats["accepted"] > 0 and stats["closed_idle"] > 0 and stats["open"] == 0)
    server.stop()


with Scenario(8, "slowloris",
              "each closed at its deadline +- 1 tick; good clients p99 <= 2x; memory of a connection") as scenario:
    deadline = 1000 if scenario.short else 10000
    slow_clients(scenario, "silent", "closed_first_byte", deadline, 0, {"first_byte": deadline})
    slow_clients(scenario, "dripping", "closed_rate", deadline, deadline * 9 // 10,
                 {"rate": 10, "window": deadline})
    slow_http(scenario, "slowhttptest -H", "-H")
    slow_http(scenario, "slowhttptest -B", "-B")
