"""What is measured: the cells, the contestants, and which of them a cell's targets need.

A cell is a kind of work and a number of connections. A contestant is one of Berth's backends, a
peer (another library or a whole program, used as its own documentation says) or a floor (system
calls with nothing in between). The targets are in targets.tsv; what a target says is in Target.
"""
import csv
import os

HERE = os.path.dirname(os.path.abspath(__file__))
FILE_SIZE = 50 << 20
CONNECTIONS = "--cell echo --connections "
PACED = CONNECTIONS + "64 --pipeline 16 --rate 4000"


class Cell:
    """`serves`: what a server is told; "tls-" before it: encrypted, and `load` is what
    bench_tls_load is told. `load`: what bench_load is told, or None where `tool` names a loader of
    programs.py. `every`: takes part in every so many rounds. `threads`: of the server; each has a
    core, and a load generator of its own on the same core. `window`: seconds, if not as the others.
    """

    def __init__(self, title, serves, load=None, tool=None, every=1, threads=None, window=None):
        self.title, self.serves, self.tool, self.every = title, serves, tool, every
        self.load = load.split() if load is not None else None
        self.threads, self.window = threads, window


def _answer(size, connections, more=""):
    return f"--cell answer --answer {size} --connections {connections} {more}"


CELLS = {
    "echo-1": Cell("64-byte ping-pong, 1 connection", "echo", CONNECTIONS + "1"),
    "echo-64": Cell("64-byte ping-pong, 64 connections", "echo", CONNECTIONS + "64"),
    "local-64": Cell("64-byte ping-pong on a Unix socket, 64 connections (libuv: a pipe)", "local",
                     CONNECTIONS + "64 --family unix"),
    "echo-1000": Cell("64-byte ping-pong, 1000 connections", "echo", CONNECTIONS + "1000"),
    "echo-10000": Cell("64-byte ping-pong, 10,000 connections", "echo", CONNECTIONS + "10000",
                       every=2),
    "echo-64-pipelined": Cell("16 messages of 64 bytes in flight on each of 64 connections", "echo",
                              CONNECTIONS + "64 --pipeline 16"),
    "echo-64-paced": Cell("64-byte messages on 64 connections, 30,000 a second in total, sent on a "
                          "schedule: latencies of a server that is not saturated", "echo",
                          CONNECTIONS + "64 --pipeline 16 --rate 30000", every=2),
    "echo-16k": Cell("16 KiB ping-pong, 16 connections", "echo", CONNECTIONS + "16 --size 16384"),
    "greet": Cell("connect, receive a 64-byte line, the server closes; 64 at a time", "greet",
                  "--cell greet --connections 64"),
    "burst-100x1500": Cell("a request answered by 100 writes of 1,500 bytes in one handler, "
                           "16 connections", "burst-100x1500", _answer(150000, 16)),
    "burst-1000x1000": Cell("a request answered by 1,000 writes of 1,000 bytes in one handler, "
                            "16 connections", "burst-1000x1000", _answer(1000000, 16)),
    "header-body": Cell("a request answered by a header of 200 bytes and a body of 16 KiB, written "
                        "by one call, 64 connections", "header-body", _answer(16584, 64)),
    "fan-out-200": Cell("lines of 64 bytes, four at a time, from one of 200 connections to all of "
                        "them (an operation is a line that all have got)", "fan-out",
                        "--cell fan-out --connections 200 --pipeline 4"),
    "file-50M": Cell("a file of 50 MiB, sent whole, 4 connections (an operation is 64 KiB)", "file",
                     _answer(FILE_SIZE, 4, "--size 65536")),
    "sink-1": Cell("the server reads as fast as it can, 1 connection (an operation is 64 KiB)",
                   "sink", "--cell sink --connections 1"),
    "sink-16": Cell("the same, 16 connections", "sink", "--cell sink --connections 16"),
    "source-1": Cell("the server writes as fast as it can, 1 connection (an operation is 64 KiB)",
                     "source", "--cell source --connections 1"),
    "source-16": Cell("the same, 16 connections", "source", "--cell source --connections 16"),
    "http-keep-alive": Cell("GET of 1 KiB, 64 connections that are kept (h2load)", "http",
                            tool="keep-alive"),
    "http-pipelined": Cell("the same, 16 requests in flight on each (h2load)", "http",
                           tool="pipelined"),
    "http-connections": Cell("the same, a connection for each, 64 at a time (ab)", "http",
                             tool="connections"),
    "kv-50": Cell("GET of 3 bytes, 50 connections (redis-benchmark)", "kv", tool="get-50"),
    "kv-50-pipelined": Cell("the same, 16 requests in flight on each", "kv",
                            tool="get-50-pipelined"),
    "kv-500": Cell("the same, 500 connections, one request in flight on each", "kv",
                   tool="get-500"),
    "kv-16k": Cell("GET of 16 KiB, 50 connections", "kv", tool="get-16k"),
    "relay": Cell("one stream through a relay to a server on the same machine (an operation is "
                  "64 KiB)", "relay", "--cell relay --connections 1"),
    "idle": Cell("15,000 idle connections, then 1000 echoes on some of them, one by one", "echo",
                 "--cell idle --connections 15000 --echoes 1000", every=10),
    "mixed": Cell("64-byte ping-pong on 64 connections beside 10,000 idle ones", "echo",
                  CONNECTIONS + "64 --idle 10000", every=2),
    "wait": Cell("greet without an event loop, with blocking calls, one connection after another",
                 "wait", "--cell greet --connections 1", every=2),
    "handover": Cell("64-byte ping-pong, accepted on one thread, served on another", "handover",
                     CONNECTIONS + "64", every=2),
    "workers": Cell("64-byte ping-pong; 2 workers listen on one port, each on its own core together "
                    "with a load generator of 64 connections (compared with 1 worker and 1 load "
                    "generator on one core)", "shared", CONNECTIONS + "64", threads=2, every=3),
    "workers-greet": Cell("greet in the same way", "shared-greet", "--cell greet --connections 64",
                          threads=2, every=3),
    "tls-echo-64": Cell("TLS: 64-byte ping-pong, 64 connections", "tls-echo", CONNECTIONS + "64"),
    "tls-echo-64-pipelined": Cell("TLS: 16 messages of 64 bytes, each a record, in flight on each of "
                                  "64 connections", "tls-echo", CONNECTIONS + "64 --pipeline 16"),
    "tls-sink-1": Cell("TLS: the server reads as fast as it can, 1 connection (an operation is "
                       "64 KiB)", "tls-sink", "--cell sink"),
    "tls-source-1": Cell("TLS: the server writes as fast as it can, 1 connection (an operation is "
                         "64 KiB)", "tls-source", "--cell source"),
    "tls-greet": Cell("TLS: connect, a full handshake, receive a 64-byte line, the server closes; 16 "
                      "at a time", "tls-greet", "--cell greet --connections 16"),
    "tls-resume": Cell("the same with a session that is resumed", "tls-greet",
                       "--cell resume --connections 16"),
    "tls-relay-64": Cell("64-byte ping-pong, 64 connections by TLS to a terminator, which passes on "
                         "by TCP to a server on the same machine", "tls-relay", CONNECTIONS + "64"),
    "tls-idle": Cell("TLS: 3000 idle connections, each after one echo and three quiet seconds",
                     "tls-echo", "--cell idle --connections 3000", every=10),
    "tls-silent": Cell("TLS: 10,000 connections that have said nothing", "tls-echo",
                       "--cell idle --connections 10000", every=10),
    "tls-storm": Cell("TLS: 64-byte messages on 64 connections, 4000 a second in total, sent on a "
                      "schedule, from when 1000 clients send a hello at once until all have an answer",
                      "tls-echo", PACED + " --hellos 1000", every=2, window=5),
    "tls-greet-beside-silent": Cell("TLS: connect, a full handshake, receive a line, the server closes; "
                                    "one after the other, beside 10,000 silent clients", "tls-greet",
                                    "--cell greet --silent 10000", every=3, window=1),
    # Bases only, and for the plots against the number of connections only.
    "worker": Cell("", "shared", CONNECTIONS + "64", threads=1),
    "worker-greet": Cell("", "shared-greet", "--cell greet --connections 64", threads=1),
    "tls-calm": Cell("", "tls-echo", PACED),
    "tls-greet-1": Cell("", "tls-greet", "--cell greet", window=1),
    "echo-8": Cell("64-byte ping-pong, 8 connections", "echo", CONNECTIONS + "8", every=10),
    "echo-256": Cell("64-byte ping-pong, 256 connections", "echo", CONNECTIONS + "256", every=10),
    "echo-4000": Cell("64-byte ping-pong, 4000 connections", "echo", CONNECTIONS + "4000", every=10),
    "echo-15000": Cell("64-byte ping-pong, 15,000 connections", "echo", CONNECTIONS + "15000", every=10),
}
# A cell that is compared with another one of the same server, measured just before or after it.
BASES = {"mixed": "echo-64", "workers": "worker", "workers-greet": "worker-greet",
         "tls-storm": "tls-calm", "tls-greet-beside-silent": "tls-greet-1"}
ONLY_BASES = ["worker", "worker-greet", "tls-calm", "tls-greet-1"]
BY_CONNECTIONS = {1: "echo-1", 8: "echo-8", 64: "echo-64", 256: "echo-256", 1000: "echo-1000",
                  4000: "echo-4000", 10000: "echo-10000", 15000: "echo-15000"}
ONLY_PLOTTED = ["echo-8", "echo-256", "echo-4000", "echo-15000"]

# The tables of the targets, by the cells in them; what is counted comes last.
GROUPS = {
    "Output": ["burst-100x1500", "burst-1000x1000", "header-body", "fan-out-200", "file-50M"],
    "Programs": ["http-keep-alive", "http-pipelined", "http-connections", "kv-50",
                 "kv-50-pipelined", "kv-500", "kv-16k", "relay"],
    "Messages and connections": ["echo-1", "echo-64", "echo-1000", "echo-10000",
                                 "echo-64-pipelined", "echo-64-paced", "echo-16k", "greet", "local-64"],
    "Streams, threads, memory": ["sink-1", "sink-16", "source-1", "source-16", "wait", "handover",
                                 "mixed", "workers", "workers-greet", "idle"],
}

GROUPS["TLS"] = [name for name in CELLS if name.startswith("tls-") and name not in ONLY_BASES]

ONE_THREAD = {"echo", "greet", "sink", "source"}
OTHERWISE = {"wait", "handover"}
ENCRYPTED = {"tls-echo", "tls-sink", "tls-source", "tls-greet"}
PIECES = {"burst-100x1500", "burst-1000x1000", "header-body"}
EVERYTHING = (ONE_THREAD | OTHERWISE | PIECES |
              {"local", "fan-out", "file", "shared", "shared-greet"})

PROGRAMS = {"http", "kv", "relay", "tls-relay"}

EPOLL, URING = {"BERTH_BACKEND": "epoll"}, {"BERTH_BACKEND": "io_uring"}
# Contestant: benchmark server, further arguments, further environment, what it may be told. A whole
# program has no benchmark server, and programs.py knows how it is started.
SERVERS = {
    "raw-epoll": ("bench_raw_epoll", [], {}, ONE_THREAD | PIECES | {"local", "fan-out", "file"}),
    "raw-copy": ("bench_raw_epoll", ["--copy"], {}, {"file"}),
    "raw-epoll-copy": ("bench_raw_epoll", ["--copy"], {}, PIECES - {"header-body"}),
    "raw-uring": ("bench_raw_uring", [], {}, ONE_THREAD | PIECES | {"local", "fan-out"}),
    "raw-uring-copy": ("bench_raw_uring", ["--copy"], {}, PIECES - {"header-body"}),
    "raw-uring-bundle": ("bench_raw_uring", ["--bundle"], {}, {"echo", "local", "sink"}),
    "raw-uring-fixed": ("bench_raw_uring", ["--no-incremental"], {}, ONE_THREAD),
    "raw-blocking": ("bench_raw_blocking", [], {}, OTHERWISE),
    "raw-relay": (None, [], {}, {"relay"}),
    "raw-tls": ("bench_raw_tls", [], {}, ENCRYPTED),
    "raw-terminator": (None, [], {}, {"tls-relay"}),
    "raw-terminator-ahead": (None, [], {}, {"tls-relay"}),
    "raw-tls-ahead": ("bench_raw_tls", ["--read-ahead"], {}, ENCRYPTED),
    "libuv": ("bench_libuv", [], {}, ONE_THREAD | PIECES | {"local", "fan-out"}),
    "libuv-gathered": ("bench_libuv", ["--gathered"], {}, PIECES),
    "libevent": ("bench_libevent", [], {}, ONE_THREAD | ENCRYPTED),
    "libevent-release": ("bench_libevent", ["--release"], {}, ENCRYPTED),
    "asio": ("bench_asio", [], {}, ONE_THREAD),
    "gio": ("bench_gio", [], {}, ONE_THREAD),
    "qt": ("bench_qt", [], {}, ONE_THREAD | OTHERWISE | ENCRYPTED),
    "nginx": (None, [], {}, {"http", "file", "tls-relay"}),
    "nginx-cached": (None, [], {}, {"http", "file"}),
    "redis": (None, [], {}, {"kv"}),
    "haproxy": (None, [], {}, {"relay", "tls-relay"}),
    "socat": (None, [], {}, {"relay"}),
    "libuv-relay": (None, [], {}, {"relay"}),
    "berth-epoll-gathered": ("bench_berth", ["--gathered"], EPOLL, PIECES - {"header-body"}),
    "berth-io_uring-gathered": ("bench_berth", ["--gathered"], URING, PIECES - {"header-body"}),
    "berth-epoll-borrowed": ("bench_berth", ["--borrowed"], EPOLL, PIECES | {"file"}),
    "berth-io_uring-borrowed": ("bench_berth", ["--borrowed"], URING, PIECES | {"file"}),
    "berth-epoll-http": (None, [], EPOLL, {"file"}),  # the example, as nginx is asked
    "berth-io_uring-http": (None, [], URING, {"file"}),
    "berth-epoll": ("bench_berth", [], EPOLL, EVERYTHING | ENCRYPTED | PROGRAMS),
    "berth-io_uring": ("bench_berth", [], URING, EVERYTHING | ENCRYPTED | PROGRAMS),
}
BERTH = ["berth-epoll", "berth-io_uring"]
FLOORS = [name for name in SERVERS if name.startswith("raw-")]
PEERS = [name for name in SERVERS if not name.startswith(("raw-", "berth-"))]
FLOORS_OF = {"berth-epoll": ["raw-epoll", "raw-blocking", "raw-relay", "raw-tls", "raw-tls-ahead",
                              "raw-terminator", "raw-terminator-ahead"],
             "berth-io_uring": ["raw-uring", "raw-uring-bundle", "raw-uring-fixed", "raw-blocking",
                              "raw-relay", "raw-tls", "raw-tls-ahead", "raw-terminator",
                               "raw-terminator-ahead"]}
# They copy an answer before they send it, as a write must whose bytes may change behind it.
COPYING_FLOORS_OF = {"berth-epoll": ["raw-epoll-copy"], "berth-io_uring": ["raw-uring-copy"]}
LIBRARIES = ["libuv", "libevent", "asio", "gio", "qt"]
# GIO looks at all its connections in each turn, and so needs half a minute to accept ten thousand
# connections.
TOO_SLOW = {("gio", cell) for cell in ("echo-4000", "echo-10000", "echo-15000", "idle",
                                          "mixed")}


def serves(name, cell):
    """Whether a contestant knows what a cell needs."""
    if (name, cell) in TOO_SLOW or (CELLS[cell].threads and name not in BERTH):
        return False
    return CELLS[cell].serves in SERVERS[name][3]


# ---- targets ----

class Target:
    """A line of targets.tsv for one cell and one of Berth's backends.

    `figure`: a field of a measurement (figures.py), or "counted" for one of bench/companion, whose
    name `cell` then begins. `against`: the contestant whose figure divides Berth's; "floor" is the
    best of that backend, "copy" its floor that copies, "peer" the best library; "" where the figure itself is judged."""

    def __init__(self, cell, figure, server, against, most):
        self.cell, self.figure, self.server = cell, figure, server
        self.against, self.most = against, float(most)

    def candidates(self):
        """The contestants of which the best is compared with; without one, or with none, none."""
        known = {"floor": FLOORS_OF[self.server], "copy": COPYING_FLOORS_OF[self.server],
                 "peer": LIBRARIES}
        names = known.get(self.against, [self.against] if self.against else [])
        return [name for name in names if serves(name, self.cell)]


def read_targets(path=os.path.join(HERE, "targets.tsv")):
    targets = []
    with open(path, encoding="utf-8") as file:
        lines = [line for line in file if line.strip() and not line.startswith("#")]
    for line in csv.DictReader(lines, delimiter="\t"):
        servers = BERTH if line["contestant"] == "berth" else [line["contestant"]]
        against = "" if line["against"] == "-" else line["against"]
        if line["figure"] != "counted":
            unknown = [cell for cell in line["cells"].split() if cell not in CELLS]
            if unknown or not (against in SERVERS or against in ("", "floor", "copy", "peer")):
                raise ValueError(f"{path}: unknown name in {line}")
        targets += [Target(cell, line["figure"], server, against, line["at most"])
                    for cell in line["cells"].split() for server in servers]
    return targets


TARGETS = read_targets()
