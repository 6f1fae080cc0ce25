"""What bench/run measures and bench/report reports: the cells, the servers, the targets, the data.

A cell is a kind of work and a number of connections. A server is one of Berth's backends, a peer
(another library, used as its own documentation says) or a floor (system calls with nothing in
between). A measurement is one server doing one cell for one window; a round has one of each server.

A cell is surveyed first: short windows of all servers. Then come the rounds of the claims: windows
as long as time allows, of the servers that a target names, among them the best peer and the best
floor of the survey. Where there are both, the long windows count.

The data of a cell is a file CELL.tsv, one line for each measurement, so that a report can be made
again without measuring. Ratios are taken within each round, where both servers met the same
machine; what counts is their median, and their quartiles say how far it can be trusted.
"""
import csv
import os
import statistics

ROUNDS_OF_A_CLAIM = 9

FEW_ROUNDS = 3  # of what plots and memory need
ONLY_WINDOW = 1.0  # seconds at least, for what has no claims and is measured once


class Cell:
    """What the server is told, what the load generator is told, and where they run."""

    def __init__(self, serves, load, claims=True, workers=None):
        self.serves, self.load, self.claims = serves, load.split(), claims
        # Threads of the server; each has a core, and a load generator of its own on the same core.
        self.workers = workers


CELLS = {
    "echo-1": Cell("echo", "--cell echo --connections 1"),
    "echo-64": Cell("echo", "--cell echo --connections 64"),
    "echo-1000": Cell("echo", "--cell echo --connections 1000"),
    "echo-10000": Cell("echo", "--cell echo --connections 10000"),
    "echo-64-pipelined": Cell("echo", "--cell echo --connections 64 --pipeline 16"),
    "echo-64-paced": Cell("echo", "--cell echo --connections 64 --pipeline 16 --rate 30000"),
    "echo-16k": Cell("echo", "--cell echo --connections 16 --size 16384"),
    "sink-1": Cell("sink", "--cell sink --connections 1"),
    "sink-16": Cell("sink", "--cell sink --connections 16"),
    "source-1": Cell("source", "--cell source --connections 1"),
    "source-16": Cell("source", "--cell source --connections 16"),
    "greet": Cell("greet", "--cell greet --connections 64"),
    "idle": Cell("echo", "--cell idle --connections 15000 --echoes 1000", claims=False),
    "mixed": Cell("echo", "--cell echo --connections 64 --idle 10000"),
    "wait": Cell("wait", "--cell greet --connections 1"),
    "handover": Cell("handover", "--cell echo --connections 64"),
    "workers": Cell("shared", "--cell echo --connections 64", workers=2),
    "workers-greet": Cell("shared-greet", "--cell greet --connections 64", workers=2),
    # Bases only, and for the plots against the number of connections only.
    "worker": Cell("shared", "--cell echo --connections 64", workers=1),
    "worker-greet": Cell("shared-greet", "--cell greet --connections 64", workers=1),
    "echo-8": Cell("echo", "--cell echo --connections 8", claims=False),
    "echo-256": Cell("echo", "--cell echo --connections 256", claims=False),
    "echo-4000": Cell("echo", "--cell echo --connections 4000", claims=False),
    "echo-15000": Cell("echo", "--cell echo --connections 15000", claims=False),
}
# A cell that is compared with another one of the same server, measured just before or after it.
BASES = {"mixed": "echo-64", "workers": "worker", "workers-greet": "worker-greet"}
ONLY_BASES = ["worker", "worker-greet"]
SMALL_ECHOES = ["echo-1", "echo-64", "echo-1000", "echo-10000", "echo-64-pipelined"]
LATENCIES = SMALL_ECHOES + ["echo-16k", "echo-64-paced"]
BULK = ["echo-16k", "sink-1", "sink-16", "source-1", "source-16"]
BY_CONNECTIONS = {1: "echo-1", 8: "echo-8", 64: "echo-64", 256: "echo-256", 1000: "echo-1000",
                  4000: "echo-4000", 10000: "echo-10000", 15000: "echo-15000"}

PLOTTED = ["raw-epoll", "raw-uring", "libuv", "berth-epoll", "berth-io_uring"]

ONE_THREAD = {"echo", "greet", "sink", "source"}
OTHERWISE = {"wait", "handover"}
EVERYTHING = ONE_THREAD | OTHERWISE | {"shared", "shared-greet"}

# Server: program, further arguments, further environment, what it may be told.
SERVERS = {
    "raw-epoll": ("bench_raw_epoll", [], {}, ONE_THREAD),
    "raw-uring": ("bench_raw_uring", [], {}, ONE_THREAD),
    "raw-uring-bundle": ("bench_raw_uring", ["--bundle"], {}, {"echo", "sink"}),
    "raw-uring-fixed": ("bench_raw_uring", ["--no-incremental"], {}, ONE_THREAD),
    "raw-blocking": ("bench_raw_blocking", [], {}, OTHERWISE),
    "libuv": ("bench_libuv", [], {}, ONE_THREAD),
    "libevent": ("bench_libevent", [], {}, ONE_THREAD),
    "asio": ("bench_asio", [], {}, ONE_THREAD),
    "gio": ("bench_gio", [], {}, ONE_THREAD),
    "qt": ("bench_qt", [], {}, ONE_THREAD | OTHERWISE),
    "berth-epoll": ("bench_berth", [], {"BERTH_BACKEND": "epoll"}, EVERYTHING),
    "berth-io_uring": ("bench_berth", [], {"BERTH_BACKEND": "io_uring"}, EVERYTHING),
}
BERTH = ["berth-epoll", "berth-io_uring"]
FLOORS = ["raw-epoll", "raw-uring", "raw-uring-bundle", "raw-uring-fixed", "raw-blocking"]
PEERS = ["libuv", "libevent", "asio", "gio", "qt"]

# Fields of a measurement that are numbers. `window`: seconds asked for, `seconds`: that it took;
# `cpu`: server time, microseconds an operation; `memory`: bytes a connection; `to_base`: `cpu`
# against that of the cell in BASES.
FIELDS = ["ops", "window", "seconds", "cpu", "rate", "p50_us", "p99_us", "p999_us", "rss", "memory",
          "server_busy", "load_busy", "errors", "to_base"]


def _targets():
    """Yields (title, figure, cell, server, against, at most); `against` may be None."""
    uring, epoll = "berth-io_uring", "berth-epoll"
    for cell in SMALL_ECHOES:
        yield "small echo, CPU", "cpu", cell, uring, "libuv", 0.85
        yield "small echo, CPU", "cpu", cell, uring, "best floor", 1.05
    for cell in SMALL_ECHOES + ["echo-16k"]:
        yield "echo, CPU", "cpu", cell, epoll, "libuv", 1.00
        yield "echo, CPU", "cpu", cell, epoll, "raw-epoll", 1.10
    for cell in BULK:
        for server in BERTH:
            yield "bulk, CPU", "cpu", cell, server, "best peer", 1.00
            yield "bulk, CPU", "cpu", cell, server, "best floor", 1.05
    yield "greet, CPU a connection", "cpu", "greet", uring, "libuv", 0.92
    yield "greet, CPU a connection", "cpu", "greet", uring, "qt", 0.65
    yield "greet, CPU a connection", "cpu", "greet", uring, "best floor", 1.05
    for server in BERTH:
        yield "idle, bytes a connection", "memory", "idle", server, None, 256
    for server in BERTH:
        yield "mixed to echo-64, CPU", "to_base", "mixed", server, None, 1.05
    for cell, title in (("workers", "workers: 2 to 1, CPU"),
                        ("workers-greet", "workers: 2 to 1, CPU")):
        for server in BERTH:
            yield title, "to_base", cell, server, None, 1.05
    for cell in LATENCIES:
        for server in BERTH:
            yield "echo, p99", "p99_us", cell, server, "best peer", 1.00
    for cell in ("handover", "wait"):
        for server in BERTH:
            yield f"{cell}, CPU", "cpu", cell, server, "qt", 0.70


TARGETS = list(_targets())


# ---- data ----

def write_cell(folder, cell, samples):
    """samples: server -> list of measurements by round, None where there is none."""
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, cell + ".tsv"), "w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, delimiter="\t", lineterminator="\n")
        out.writerow(["round", "server"] + FIELDS)
        for server, results in samples.items():
            for number, result in enumerate(results):
                if result:
                    out.writerow([number, server] + [result.get(name, "") for name in FIELDS])


def read_cell(folder, cell):
    """The same back; {} where the cell was not measured."""
    try:
        with open(os.path.join(folder, cell + ".tsv"), encoding="utf-8") as file:
            lines = list(csv.DictReader(file, delimiter="\t"))
    except FileNotFoundError:
        return {}
    rounds = 1 + max((int(line["round"]) for line in lines), default=-1)
    samples = {}
    for line in lines:
        result = {name: float(line[name]) for name in FIELDS if line.get(name)}
        samples.setdefault(line["server"], [None] * rounds)[int(line["round"])] = result
    return samples


def write_pairs(path, pairs):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(f"{key}\t{value}\n" for key, value in pairs.items())


def read_pairs(path):
    try:
        with open(path, encoding="utf-8") as file:
            return dict(line.rstrip("\n").split("\t", 1) for line in file if "\t" in line)
    except FileNotFoundError:
        return {}


# ---- figures ----

def summary(values):
    """Median and quartiles; with fewer than three values the quartiles are the extremes."""
    low, middle, high = min(values), statistics.median(values), max(values)
    if len(values) >= 3:
        low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": middle, "low": low, "high": high, "spread": high - low,
            "rounds": len(values)}


def of_longest(values):
    """values: (window, value). The values from the longest windows."""
    longest = max((window for window, _ in values), default=0)
    return [value for window, value in values if window == longest]


def figure_of(samples, server, figure):
    """The summary of a figure of a server, or None."""
    values = of_longest([(result["window"], result[figure])
                         for result in samples.get(server, []) if result and figure in result])
    return summary(values) if values else None


def ratio(samples, server, other, figure="cpu"):
    """The summary of the ratio within each round, or None without a round of both."""
    pairs = of_longest([(a["window"], a[figure] / b[figure])
                        for a, b in zip(samples.get(server, []), samples.get(other, []))
                        if a and b and b.get(figure, 0) > 0])
    return summary(pairs) if pairs and server != other else None


def best(samples, servers, figure="cpu"):
    """The server of these with the lowest median over the rounds that all were in, or None."""
    known = [server for server in servers if any(samples.get(server, []))]
    rounds = [results for results in zip(*(samples[server] for server in known)) if all(results)]
    medians = {server: statistics.median(result[figure] for result in results)
               for server, results in zip(known, zip(*rounds))}
    return min(medians, key=medians.get) if medians else None


def supported(found):
    """Whether a ratio may be printed: the rounds must agree better than it differs from 1."""
    return found["rounds"] >= 2 and found["spread"] <= abs(found["median"] - 1)


def verdict(found, limit, needs_rounds=True):
    if needs_rounds and found["rounds"] < ROUNDS_OF_A_CLAIM:
        return f"not decided: a claim takes {ROUNDS_OF_A_CLAIM} rounds, not {found['rounds']}"
    if found["high"] <= limit:
        return "holds"
    if found["low"] > limit:
        return "does not hold"
    return "not decided: the quartiles lie on both sides"


def other_of(target, samples):
    """The server that a target compares with; None if with none, or if none was measured."""
    _, figure, _, _, against, _ = target
    if against in ("best floor", "best peer"):
        return best(samples, FLOORS if against == "best floor" else PEERS, figure)
    return against


def claimants(cell, samples):
    """The servers that the targets of a cell name, or its plot, in the order of SERVERS."""
    named = set(PLOTTED if cell in BY_CONNECTIONS.values() else ())
    named |= {server for target in TARGETS if target[2] == cell
             for server in (target[3], other_of(target, samples))}
    return [name for name in SERVERS if name in named and any(samples.get(name, []))]


def judge(target, samples):
    """One line of the table of targets: (title, limit, measured, quartiles, verdict)."""
    title, figure, cell, server, against, limit = target
    other = other_of(target, samples)
    found = ratio(samples, server, other, figure) if against else figure_of(samples, server, figure)
    name = f"{title}: {cell}, {server}" + (f" to {against}" if against else "")
    if against and other and other != against:
        name += f" ({other})"
    if found is None:
        return name, f"{limit:g}", "-", "-", "not measured"
    digits = 0 if figure == "memory" else 2
    measured = f"{found['median']:.{digits}f}"
    if (against or figure == "to_base") and not supported(found):
        measured = "~1"
    quartiles = f"{found['low']:.{digits}f} to {found['high']:.{digits}f}"
    return name, f"{limit:g}", measured, quartiles, verdict(found, limit, CELLS[cell].claims)
