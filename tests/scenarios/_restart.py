"""What the scenarios of hot restarts share: visitors, servers that replace one another, and what is
judged of the visits.
"""

import array
import os
import socket
import subprocess
import time

from _scenario import PATIENCE, hurry, percentile, program

REFUSED, RESET, ENDED, OTHER, FULL, NOT_SHAKEN = range(1, 7)
DEADLINE = 2000  # milliseconds, of a drain
WINDOW = 50000  # microseconds before and after the moment of a hand-over


class Visitors:
    """With `tls`, a certificate and "2" or "3", by that version of TLS."""

    def __init__(self, scenario, port, folder, threads=4, tls=()):
        self.file = os.path.join(folder, "visits")
        self.process = subprocess.Popen([program("visitor"), str(port), str(threads), self.file, *tls],
                                        stdin=subprocess.PIPE,
                                        preexec_fn=hurry if scenario.timed else None)

    def stop(self):
        """(begun, took, result) of each visit."""
        self.process.stdin.close()
        self.process.wait(PATIENCE)
        with open(self.file, "rb") as file:
            data = file.read()
        begun = array.array("q", data)[::2]
        rest = array.array("i", data)
        return list(zip(begun, rest[2::4], rest[3::4]))


def losses(visits):
    results = [result for _, _, result in visits]
    return "%d refused, %d reset, %d ended early, %d other, of %d" % (
        results.count(REFUSED), results.count(RESET), results.count(ENDED), results.count(OTHER),
        len(results))


def lost(visits):
    return sum(1 for _, _, result in visits if result != 0)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def visit_while(scenario, port, folder, count, replace, tls=()):
    """Has visitors come while `replace` is called `count` times; returns the visits, and the
    moments that it returns."""
    visitors = Visitors(scenario, port, folder, tls=tls)
    time.sleep(0.2 if scenario.short else 3)
    moments = []
    for _ in range(count):
        moments.append(replace())
        time.sleep(0.02 if scenario.short else 0.1)
    time.sleep(0.1 if scenario.short else 1)
    return visitors.stop(), moments


class Successors:
    """A server and those that replace it, one after the other."""

    def __init__(self, scenario, mode, folder, farewell=None, environment=()):
        self.scenario, self.mode, self.farewell = scenario, mode, farewell
        self.environment = {"PLACE": os.path.join(folder, "place"), **dict(environment)}
        self.port = 0
        self.gone, self.finals = [], []
        self.server = self.begin()
        self.port = self.server.port

    def begin(self, deadline=DEADLINE, **more):
        return self.scenario.server(self.mode, program_name="successor", port=self.port,
                                    deadline=deadline, environment=self.environment,
                                    nofile=1024, urgent=True, **more)

    def replace(self, deadline=DEADLINE, **more):
        """Returns when the new one said that it serves, and the old one has ended."""
        old, self.server = self.server, self.begin(deadline, **more)
        if self.farewell:
            old.process.stdin.write(self.farewell)
            old.process.stdin.flush()
        self.see_off(old)
        return self.server.hello["at"] * 1e6

    def see_off(self, old):
        old.process.wait(PATIENCE)
        final = old.stop()
        self.finals.append(final)
        self.gone.append((final["at"] - final["drained_at"]) * 1000)


def judge_times(scenario, visits, moments, name=""):
    begin = moments[0] - 10 * WINDOW
    quiet = [took for begun, took, _ in visits if begun < begin]
    busy = [took for begun, took, _ in visits
            if any(abs(begun - moment) < WINDOW for moment in moments)]
    p99 = percentile(busy, 0.99) / 1000
    floor = percentile(quiet, 0.99) / 1000
    scenario.figure(name + "p99 within 50 ms of a hand-over", "%.2f ms, quiet %.2f ms" % (p99, floor),
                    p99 <= 2 * floor, timing=True)
    scenario.figure(name + "longest visit", "%.1f ms" % (max(took for _, took, _ in visits) / 1000))
