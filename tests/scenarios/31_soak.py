"""Hours of mixed load on a server that looks like a daemon, soak.c: neither its memory nor its
descriptors grow.

Sixteen peers do deeds of _soak.py, chosen by a seed, so many in a second. After each round of them
the load stands still until the server has no connection, timer, post or job left, and a sample is
taken: its descriptors, the blocks and bytes of the library, the heap of the process, its resident
memory. The slopes are those of least squares over these samples of rest, without the first rounds.
They judge an hour; what is shorter is judged by how much is there at the last sample that was not
there at the first. Of blocks that may be some: the library keeps a bounded number of free ones.

BERTH_SCENARIO_SECONDS says how long the whole form takes: 60 unless told otherwise; at a release it
is run for 3600 twice. The samples are kept in the build folder, in soak-BACKEND.jsonl, and a
further run of the same program with the same seed and time is a further part of the same series: it
draws other deeds, and the slopes are those of all parts together, each with its own beginning. The
short form does each deed once, makes two samples more, and keeps nothing.

BERTH_SOAK_PLANT has words for soak.c (as `leak=64 lose=1000`), to see that a leak is found.
"""

import hashlib
import json
import math
import os
import tempfile
import time

from _scenario import BACKEND, BUILD, PATIENCE, Scenario, program, run, tool, until
from _soak import DEEDS, GOOD, Peer, Place, Tally, crowd

SEED = 31
SECONDS = int(os.environ.get("BERTH_SCENARIO_SECONDS", "60"))
PLANT = os.environ.get("BERTH_SOAK_PLANT", "")
PEERS = 16
RATE = 300  # deeds in a second, of all peers
LONG = 1800  # seconds, for a slope
LIMIT = 1.0  # MiB in an hour
MORE_BLOCKS = 64  # of the library, at rest
WIDE, DEEP = 300, 40  # connections, more than free lists and pools of the library keep
IDLE = ("open", "queued", "live", "lingering", "dials_open", "timers_open", "posts_waiting",
        "jobs_waiting", "drains_open", "children_open", "signals_waiting",
        "closed_now")
KEPT = ("accepted", "handshakes", "dials", "dialled", "tasks", "jobs", "jobs_cancelled",
        "reopened", "late_openings", "renewals", "drained", "restarts", "children", "rejected",
        "rejected_address", "rejected_header", "failed_handshake", "dropped",
        "closed_first_byte", "closed_idle", "closed_rate")


def certificates(folder):
    """Two of them, each with its key, and both as authorities."""
    files = {}
    for name in ("CERTIFICATE", "SUCCESSOR"):
        path = os.path.join(folder, name)
        run(tool("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", "/CN=localhost",
            "-addext", "subjectAltName=DNS:localhost", "-keyout", path + ".key", "-out", path)
        files[name] = path
    files["AUTHORITIES"] = os.path.join(folder, "AUTHORITIES")
    with open(files["AUTHORITIES"], "w") as authorities:
        for name in ("CERTIFICATE", "SUCCESSOR"):
            with open(files[name]) as certificate:
                authorities.write(certificate.read())
            with open(files[name] + ".key") as key, open(files[name], "a") as both:
                both.write(key.read())
    return files


class Series:
    """The samples of all parts so far."""

    def __init__(self, scenario):
        with open(program("soak"), "rb") as file:
            digest = hashlib.sha256(file.read()).hexdigest()
        self.key = [digest, SEED, SECONDS, PLANT]
        self.path = None if scenario.short else os.path.join(BUILD, "soak-%s.jsonl" % BACKEND)
        self.samples = []
        if self.path and os.path.exists(self.path):
            with open(self.path, "r+") as file:
                text = file.read()
                whole = text[:text.rfind("\n") + 1]  # a run that was ended may have left a part
                file.truncate(len(whole))
            samples = [json.loads(line) for line in whole.splitlines()]
            self.samples = [sample for sample in samples if sample["key"] == self.key]
        self.part = 1 + max((sample["part"] for sample in self.samples), default=0)

    def add(self, sample):
        sample.update(key=self.key, part=self.part)
        self.samples.append(sample)
        if self.path:
            with open(self.path, "a") as file:
                file.write(json.dumps(sample) + "\n")

    def parts(self):
        return [[sample for sample in self.samples if sample["part"] == part]
                for part in range(1, self.part + 1)]

    def judged(self):
        """Of each part, without what comes before the peers have done everything some times."""
        return [[sample for sample in part if not sample["warm"]] for part in self.parts()]

    def total(self, name):
        """Of all parts: each counts from nothing."""
        return sum(part[-1].get(name, 0) for part in self.parts() if part)

    def deeds(self):
        counts = {}
        for part in self.parts():
            for name, count in (part[-1]["deeds"] if part else {}).items():
                counts[name] = counts.get(name, 0) + count
        return counts

    def slope(self, name):
        """In an hour, and its standard error: one slope for all parts."""
        products = squares = values = count = 0
        for part in filter(None, self.judged()):
            times = [sample["time"] / 3600 for sample in part]
            middle = sum(times) / len(part)
            mean = sum(sample[name] for sample in part) / len(part)
            squares += sum((time - middle) ** 2 for time in times)
            products += sum((time - middle) * (sample[name] - mean)
                            for time, sample in zip(times, part))
            values += sum((sample[name] - mean) ** 2 for sample in part)
            count += len(part) - 1
        slope = products / squares if squares else 0.0
        rest = max(0.0, values - slope * products)
        error = math.sqrt(rest / (count - 1) / squares) if count > 1 and squares else 0.0
        return slope, error


def rest(server, place):
    """Waits until the server has nothing to do, and for its descriptors and blocks to be the same
    twice; returns the sample."""
    found, before = {}, None

    def descriptors():
        return len(os.listdir("/proc/%d/fd" % server.pid))

    def is_idle():
        time.sleep(0.02)
        found.update(place.tell("stats"))
        return all(found[name] == 0 for name in IDLE)

    idle = until(is_idle)
    for _ in range(50):
        found.update(place.tell("stats"))
        now = (descriptors(), found["blocks"])
        if now == before:
            break
        before = now
        time.sleep(0.05)
    return {"descriptors": now[0], "blocks": found["blocks"], "bytes": found["bytes"],
            "heap": found["heap"], "resident": server.memory(), "idle": idle, "cpu": server.cpu(),
            **{name: found[name] for name in KEPT}}


def shape(short):
    """Rounds, those of them that are not judged, and the seconds of each."""
    if short:
        return 3, 1, 0.3
    each = min(30, SECONDS / 30)
    rounds = int(SECONDS / each)
    return rounds, max(2, min(20, rounds // 6)), each


def load(place, tally, series, number, each):
    """A round of deeds, the first of which has each of them."""
    count = max(1, int(RATE * each * 0.8 / PEERS))
    deeds = list(DEEDS)
    peers = [Peer(place, tally, "%d %d %d %d" % (SEED, series.part, number, which), count,
                  PEERS / RATE, deeds[which::PEERS] if number == 0 else ())
             for which in range(PEERS)]
    for peer in peers:
        peer.join(each + 2 * PATIENCE)
        if peer.failure or peer.is_alive():
            raise RuntimeError("a peer has not ended its deeds: %r" % peer.failure)


def soak(server, place, series, short):
    begun = time.monotonic()
    tally = Tally()
    rounds, warm, each = shape(short)
    crowd(place, WIDE, DEEP // (2 if short else 1))
    for number in range(rounds):
        if not short and time.monotonic() - begun > SECONDS:
            break
        load(place, tally, series, number, each)
        sample = rest(server, place)
        sample.update(time=time.monotonic() - begun, warm=number < warm, deeds=dict(tally.counts),
                      load=sum(os.times()[:2]))
        series.add(sample)
        if not short:
            time.sleep(max(0, begun + (number + 1) * each - time.monotonic()))


def judge_rest(scenario, series):
    """Of each part: at rest there is nothing that was not there before."""
    idle = [sample["idle"] for sample in series.samples]
    scenario.figure("samples at rest", "%d of %d" % (sum(idle), len(idle)), all(idle))
    for number, part in enumerate(series.judged(), 1):
        if len(part) < 2:
            continue
        name = "" if len(series.parts()) == 1 else "part %d, " % number
        first, last = part[0], part[-1]
        found = [sample["descriptors"] for sample in part]
        scenario.figure(name + "descriptors", "%d first, %d last, %d to %d" % (
            found[0], found[-1], min(found), max(found)), min(found) == max(found))
        scenario.figure(name + "blocks of the library", "%d first, %d last, %d at most" % (
            first["blocks"], last["blocks"], max(sample["blocks"] for sample in part)),
            last["blocks"] <= first["blocks"] + MORE_BLOCKS)
        outside = [(sample["heap"] - sample["bytes"]) // 1024 for sample in (first, last)]
        connections = last["accepted"] - first["accepted"]
        scenario.figure(name + "heap that is not the library's", "%d KiB first, %d KiB last" % (
            *outside,), outside[1] <= outside[0] + 16 + connections / 128
            if not scenario.sanitized else None)


def judge_slopes(scenario, series):
    slope, error = series.slope("descriptors")
    scenario.figure("slope of the descriptors", "%g an hour" % slope, slope == 0)
    for name, title in (("bytes", "memory of the library"), ("heap", "heap of the process"),
                        ("resident", "resident memory")):
        slope, error = (value / 2**20 for value in series.slope(name))
        ends = [" and ".join(str(part[which][name] // 1024) for part in series.judged() if part)
                for which in (0, -1)]
        scenario.figure(title, "%s KiB first, %s KiB last; slope %.3f +- %.3f MiB/h" % (
            *ends, slope, error),
            slope < LIMIT if SECONDS >= LONG and name != "resident" and not scenario.sanitized
            else None)


def judge_load(scenario, series):
    deeds = series.deeds()
    kinds = [deed.__name__ for deed in DEEDS]
    done = [kind for kind in kinds if deeds.get(kind, 0) > 0]
    scenario.figure("kinds of deeds", "%d of %d" % (len(done), len(kinds)), done == kinds)
    scenario.figure("deeds", ", ".join("%s %d" % (name.replace("_", " "), deeds[name])
                                       for name in sorted(deeds)))
    scenario.figure("of the server", ", ".join(
        "%s %d" % (name.replace("_", " "), series.total(name)) for name in KEPT))
    for what in ("dialled", "jobs", "rejected_header", "closed_first_byte"):
        if series.total(what) == 0:
            scenario.figure(what, 0, False)
    for what in ("wrong", "stuck"):
        scenario.figure(what, deeds.get(what, 0), deeds.get(what, 0) == 0)
    good = sum(deeds.get(deed.__name__, 0) for deed in GOOD)
    scenario.figure("good peers cut short", "%d of %d" % (deeds.get("cut", 0), good),
                    deeds.get("cut", 0) < good / 10, timing=True)


with tempfile.TemporaryDirectory() as folder, \
     Scenario(31, "soak",
              "at rest the descriptors are always the same, and the heap grows by less than %d MiB "
              "an hour; no wrong byte (two parts of an hour at a release, this was %d s)"
              % (LIMIT, SECONDS)) as scenario:
    files = certificates(folder)
    path = os.path.join(folder, "place")
    series = Series(scenario)
    planted = [word.split("=") for word in PLANT.split()]
    # Without its caches for each thread the C library says exactly what is in use.
    server = scenario.server(path, program_name="soak",
                             environment={**files, "GLIBC_TUNABLES": "glibc.malloc.tcache_count=0"},
                             time=400 if scenario.short else 1000,
                             **{name: int(value) for name, value in planted})
    place = Place(server, path, files["AUTHORITIES"])
    soak(server, place, series, scenario.short)
    place.socks.stop()
    scenario.figure("seed, parts, seconds", "%d, %d, %.0f" % (SEED, series.part,
                                                              series.total("time")))
    judge_rest(scenario, series)
    if not scenario.short:
        judge_slopes(scenario, series)
    judge_load(scenario, series)
    last = server.stats()
    scenario.figure("listeners not opened again", last["failed_openings"],
                    last["failed_openings"] == 0)
    scenario.figure("processor time of server and peers", "%.0f %%" % (
        100 * (series.total("cpu") + series.total("load")) / series.total("time")))
