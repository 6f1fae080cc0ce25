"""berth-torrent and the other clients of Debian: each as the seed of ours and as a leecher from it,
with several sets of files, found by a tracker or told; and all of them in one swarm.

The full form needs a network namespace, and writes docs/torrent.md when it has been run on both
backends. The short form knows aria2 and libtorrent only, which are content with 127.0.0.1.

spec: S8.26 Q20 Q21
"""

import datetime
import json
import os
import platform
import random
import signal
import socket
import sys
import time

import _swarm
from _scenario import BACKEND, BUILD, HERE, Scenario, skip
from _swarm import OTHERS, Aria2, Encrypted, Libtorrent, Ours, Tracker, enter_net, until_there

PAGE = os.path.join(HERE, "../../docs/torrent.md")
OURS = Ours()


def free_port(had):
    """One below those that the kernel gives to clients, for TCP and UDP, that is not in `had` yet."""
    while True:
        port = random.randrange(20000, 30000)
        try:
            with socket.create_server(("127.0.0.1", port)), socket.socket(type=socket.SOCK_DGRAM) as other:
                other.bind(("127.0.0.1", port))
        except OSError:
            continue
        if port not in had:
            had.add(port)
            return port


class Matrix:
    def __init__(self, scenario, addresses):
        self.scenario, self.addresses = scenario, addresses
        self.rows = []
        self.next, self.had = 0, set()

    def place(self):
        """An address and a port that no client before has had."""
        self.next += 1
        if self.addresses:
            return "10.77.0.%d" % (2 + self.next % 38), 7000 + 10 * self.next
        return "127.0.0.1", free_port(self.had)

    def row(self, peer, role, data, way, result, good):
        self.rows.append([peer.name, peer.version() if peer.package else "", role, data, way,
                          result])
        self.scenario.figure("%s %s, %s, by %s" % (peer.name, role, data, way), result, good)

    def transfer(self, peer, role, data, way, tracker=None):
        """One of them has everything, the other one nothing."""
        torrent, info_hash = data.torrent(tracker.url) if tracker else data.torrent()
        if tracker:
            tracker.admit(info_hash)
        seeder, leecher = (peer, OURS) if role == "seeds" else (OURS, peer)
        there, here = self.place(), self.place()
        room = data.room()
        seed = seeder.start(torrent, data.copy(), *there, seed=True)
        # A tracker tells the one that asks second; and its answer is old for half an hour.
        time.sleep(2 if seeder is not OURS else 0.7)
        leech = leecher.start(torrent, room, *here, peer=None if tracker else there)
        limit = 200 if data.size > 1 << 29 else max(peer.patience, 30)
        seconds = until_there(data, room, leech, limit)
        why = "" if seconds is not None else "not complete after %d s" % limit
        if not why and leecher is OURS:
            status = leech.stop(signal.SIGTERM) if leech.process.poll() is not None else \
                leech.process.wait(20)
            why = "" if status == 0 else "berth-torrent ended with %s" % status
        elif not why and isinstance(peer, Libtorrent):
            why = peer.judged(leech)
        leech.stop()
        status = seed.stop(signal.SIGINT)
        if seeder is OURS and status != 0 and not why:
            why = "berth-torrent ended with %s" % status
        if why:
            ours = leech if leecher is OURS else seed
            print(ours.log()[-2000:])
        self.row(peer, role, data.name, way, why or "%.1f s" % seconds, not why)

    def refusal(self, data):
        """A peer that speaks encrypted only: our side closes at once, and neither one waits."""
        peer, there, here = Encrypted(), self.place(), self.place()
        torrent, _ = data.torrent()
        seed = peer.start(torrent, data.copy(), *there, seed=True)
        time.sleep(2)
        ours = OURS.start(torrent, data.room(), *here, peer=there, options=["--no-tracker"])
        time.sleep(3)
        status = ours.stop(signal.SIGINT)
        seed.stop()
        self.row(peer, "seeds", data.name, "--peer", "refused" if status == 1 else
                 "berth-torrent ended with %s" % status, status == 1)

    def swarm(self, peers, data, tracker):
        """One seed, and everybody else at once, two of ours too."""
        torrent, info_hash = data.torrent(tracker.url)
        tracker.admit(info_hash)
        seed = Libtorrent().start(torrent, data.copy(), *self.place(), seed=True)
        time.sleep(2)
        parts = []
        for peer in [OURS, *[each for each in peers if each.leeches], OURS]:
            room = data.room()
            parts.append((peer, room, peer.start(torrent, room, *self.place(), seed=peer is OURS)))
        for peer, room, program in parts:
            seconds = until_there(data, room, program, 120)
            self.row(peer, "in a swarm", data.name, tracker.kind,
                     "not complete" if seconds is None else "complete", seconds is not None)
        for _, _, program in parts:
            program.stop(signal.SIGINT)
        seed.stop()

    def keep(self):
        path = os.path.join(BUILD, "torrent-%s.json" % BACKEND)
        with open(path, "w") as file:
            json.dump(self.rows, file)
        write_page()


HEAD = """\
# berth-torrent and other clients

`make torture` writes this page (tests/scenarios/25_torrent_clients.py). Each row is a transfer between
`examples/torrent` and another client of Debian in a network namespace, with every byte compared, and of
libtorrent also that no byte came twice or failed its hash. "seeds": the other client has everything and ours
nothing; "leeches": the other way round. The sets: *four* is four files in two folders (19 MB, one of them
empty), *one* is smaller than a piece, *exact* is a multiple of the piece length, *large* is 1 GiB. Seconds
include the start of the programs; they say that it works, not how fast.

%s; kernel %s; %s.

| client | version | role | set | found by | epoll | io_uring |
|---|---|---|---|---|---|---|
"""

TAIL = """
Transmission gives a free place only every ten seconds, which is what its seconds show. Qt's example does not
answer incoming peers, so that it can only leech, and never completes a torrent whose length is a multiple of
its pieces. A peer that insists on encryption is refused at once.
"""


def write_page():
    found = {}
    for backend in ("epoll", "io_uring"):
        try:
            with open(os.path.join(BUILD, "torrent-%s.json" % backend)) as file:
                for number, (*key, result) in enumerate(json.load(file)):
                    found.setdefault((number, *key), {})[backend] = result
        except OSError:
            return
    with open(PAGE, "w") as page:
        page.write(HEAD % (platform.machine(), platform.release(), datetime.date.today()))
        for (_, *key), results in sorted(found.items()):
            page.write("| %s | %s | %s |\n" % (" | ".join(key), results.get("epoll", ""),
                                               results.get("io_uring", "")))
        page.write(TAIL)


def whole(matrix):
    peers = [peer for peer in OTHERS if peer.installed()]
    for peer in OTHERS:
        if peer not in peers:
            matrix.scenario.note("%s is not installed" % peer.package)
    sets = [_swarm.four_files(), _swarm.one_piece(), _swarm.exact_multiple()]
    trackers = [Tracker("opentracker", "10.77.0.1", 7069),
                Tracker("berth-tracker", "10.77.0.1", 7169)]
    number = 0
    for peer in peers:
        for data in sets:
            for role, can in (("seeds", peer.seeds), ("leeches", peer.leeches)):
                if can and (peer.exact or data.name != "exact"):
                    tracker = trackers[number % 2]
                    matrix.transfer(peer, role, data, tracker.kind, tracker)
                    number += 1
    for role in ("seeds", "leeches"):
        matrix.transfer(Libtorrent(), role, sets[0], "--peer")
    matrix.refusal(sets[1])
    for tracker in trackers:
        matrix.swarm(peers, sets[0], tracker)
    big = _swarm.large()
    for peer in peers:
        if peer.large and not isinstance(peer, type(OTHERS[5])):
            matrix.transfer(peer, "seeds", big, trackers[0].kind, trackers[0])
            matrix.transfer(peer, "leeches", big, trackers[1].kind, trackers[1])
    for tracker in trackers:
        tracker.stop()
    matrix.keep()


def brief(matrix):
    peers = [peer for peer in (Aria2(), Libtorrent()) if peer.installed()]
    _swarm.tool("mktorrent")
    if not peers:
        skip("neither aria2 nor python3-libtorrent is installed")
    tracker = Tracker("berth-tracker", "127.0.0.1", matrix.place()[1])
    for peer in peers:
        for data in (_swarm.four_files(), _swarm.exact_multiple()):
            matrix.transfer(peer, "seeds", data, tracker.kind, tracker)
            matrix.transfer(peer, "leeches", data, tracker.kind, tracker)
    tracker.stop()


with Scenario(25, "torrent clients",
              "every transfer with every other client: equal bytes, status 0; of libtorrent also 0 "
              "bytes redundant or failed") as scenario:
    if not scenario.short:
        enter_net()
    matrix = Matrix(scenario, addresses=not scenario.short)
    (brief if scenario.short else whole)(matrix)
