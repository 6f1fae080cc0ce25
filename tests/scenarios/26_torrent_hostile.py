"""berth-torrent and berth-tracker among hostile peers, trackers and clients.

One program downloads from a good seed that takes its time, and meanwhile meets every hostile peer
in turn (groups C, connections and handshakes, and D, messages). Others have one situation each:
wrong data (E), hostile trackers (B, all at once). berth-tracker meets hostile clients (T). Each
item is a figure: what became of the hostile peer, how much memory the program took at most, and how
much processor time. The full form also compares the rate of a download with and without them.

spec: S8.17 S8.18 S8.20
"""

import os
import re
import socket
import struct
import sys
import threading
import time

import _hostile_items
import _hostile_http
from _hostile import (BITFIELD, BLOCK, CANCEL, INTERESTED, PIECE, REQUEST, UNCHOKE, Seed, Torrent,
                      Victim, Wire, memory_counts)
from _scenario import PATIENCE, Scenario, run, tool, until
from _swarm import enter_net

MIB = 1 << 20
NOISE = 512 * 1024  # what the good download takes and gives back meanwhile
STALL = 10  # seconds without a block; those that say nothing leave after twice that


class World:
    """The program that meets them all, and its good download."""

    def __init__(self, scenario):
        self.scenario = scenario
        self.torrent = Torrent("world", 32 * MIB)
        self.pace = 0.03 if scenario.short else 0.1
        self.seed = Seed(self.torrent, pace=self.pace, hold=self.torrent.size // BLOCK * 2 // 5)
        self.victim = Victim(self.torrent.file, self.torrent.room(self.torrent.count // 2),
                             [*self.seed.option, "--no-tracker", "--seed-ratio", "0",
                              "--max-peers-per-address", "4"])
        self.had, self.missing = 0, self.torrent.count - 1  # a piece that it has, and one not
        self.wires = []
        if not self.victim.ready() or not until(lambda: self.seed.given > 8, PATIENCE):
            raise RuntimeError("the good download did not begin: " + self.victim.log())
        self.begun, self.before = time.monotonic(), self.seed.given

    def dial(self, **options):
        wire = Wire.dial(self.torrent, self.victim.port, **options)
        self.wires.append(wire)
        return wire

    def peer(self, **options):
        """A peer whose handshake is done."""
        wire = self.dial(**options)
        if not wire.greet():
            raise RuntimeError("it does not answer a handshake")
        return wire

    def closed(self, wire, says, seconds=10):
        """Nothing, or what is wrong: it has to be closed, and the log has to say why."""
        if not wire.ended(seconds):
            return "not closed"
        line = "peer %s:%d: %s" % (wire.address, wire.own_port, says)
        return "" if self.victim.says(line) else "no line '%s'" % says

    def served(self, wire):
        """Nothing, or what is wrong: it has to be open, and to get what it asks for."""
        if wire.choked and not wire.send(INTERESTED):
            return "closed"
        if wire.choked and wire.wait_for(UNCHOKE) is None:
            return "not unchoked"
        wire.numbers(REQUEST, self.had, 0, BLOCK)
        end = time.monotonic() + 10
        while time.monotonic() < end:
            message = wire.receive(end - time.monotonic())
            if message is None:
                return "not served"
            if message == (PIECE, struct.pack(">II", self.had, 0) +
                           self.torrent.block(self.had, 0, BLOCK)):
                return ""
        return "not served"

    def good(self):
        """The connection of the good seed."""
        return self.seed.wires[-1]

    def asked(self, good):
        """Nothing, or what is wrong: the good seed has to be asked for more than what it has been
        asked for by now, on the connection that it had before. It may give all that: if the machine
        is slow, it has given what it may already."""
        lost = "the good seed has lost its connection"
        try:
            waiting = 1 + good.untaken() // 17  # a request has 17 bytes, and one is being answered
        except (OSError, ValueError):
            return lost
        last, since = self.seed.given, time.monotonic()
        most = last + waiting + 4
        self.seed.allow(waiting + 5)

        def is_lost():
            return self.good() is not good or good.socket.fileno() == -1

        def stalls():
            nonlocal last, since
            if self.seed.given > last:
                last, since = self.seed.given, time.monotonic()
            return time.monotonic() - since > STALL

        until(lambda: self.seed.given > most or is_lost() or stalls())
        if is_lost():
            return lost
        return "" if self.seed.given > most else "the good seed is not asked any more"

    def meet(self, name, act, cpu=1.0):
        """An item. `act(world)` returns what is wrong, or nothing."""
        victim = self.victim
        victim.forget_peak()
        memory, used = victim.status("VmRSS"), victim.cpu()
        try:
            why = act(self)
        except (OSError, RuntimeError) as error:
            why = str(error) or type(error).__name__
        peers = max(1, sum(wire.socket.fileno() != -1 for wire in self.wires))
        alive = victim.process.poll() is None
        grown = victim.status("VmHWM") - memory if alive else 0
        used = victim.cpu() - used if alive else 0
        for wire in self.wires:
            wire.close()
        self.wires = []
        if not alive:
            why = "berth-torrent ended: " + victim.log()[-3000:]
        elif not why and memory_counts() and grown > peers * MIB + NOISE:
            why = "memory grew"
        elif not why and used > cpu * (10 if self.scenario.sanitized else 1):
            why = "too much time"
        elif not why and not self.answers():
            why = "others are not answered afterwards"
        self.scenario.figure(name, "%s%d KiB more, %d ms" % (why and why + "; ", grown // 1024,
                                                            used * 1000), not why)
        if not alive:
            raise RuntimeError("nothing is left to be attacked")

    def answers(self):
        """Whether a newcomer is greeted, as soon as the ends of those before him have been seen."""
        def greets():
            try:
                wire = Wire.dial(self.torrent, self.victim.port)
            except OSError:
                return False
            good = wire.greet()
            wire.close()
            return good
        return until(greets, PATIENCE)

    def end(self):
        """The good download ends now."""
        ended, given = self.seed.held or (time.monotonic(), self.seed.given)
        share = (given - self.before) * self.pace / (ended - self.begun)
        self.scenario.figure("C and D, rate of the good download", "%.2f of its seed's" % share,
                             share >= 0.8, timing=True)
        self.seed.release()
        status = None
        if until(lambda: self.victim.process.poll() is not None, PATIENCE):
            status = self.victim.process.returncode
        equal = self.torrent.data.has(self.victim.folder)
        self.scenario.figure("C and D, the good download", "status %s, %s" % (
            status, "equal bytes" if equal else "not the bytes"), equal and status == 0)
        if status != 0:
            print(self.victim.log()[-3000:])


# ---- wrong data ------------------------------------------------------------------------------


def spoiled(index, begin, block):
    """The first block of each piece is wrong."""
    return bytes([block[0] ^ 1]) + block[1:] if begin == 0 else block


class Data:
    """Group E: a download of its own for each situation."""

    def __init__(self, scenario, torrent):
        self.scenario, self.torrent = scenario, torrent

    def victim(self, seeds, pieces=0, options=()):
        options = [*options, "--no-tracker", "--seed-ratio", "0"]
        for seed in seeds:
            options += seed.option
        return Victim(self.torrent.file, self.torrent.room(pieces), options)

    def figure(self, name, victim, why, said=""):
        if not why and not self.torrent.data.has(victim.folder):
            why = "not the bytes"
        if why:
            print(victim.log()[-3000:])
        self.scenario.figure("E " + name, why or said or "equal bytes", not why)

    def complete(self, victim, seconds=PATIENCE):
        """Nothing, or what is wrong."""
        if not until(lambda: victim.process.poll() is not None, seconds):
            return "not complete within %d s" % seconds
        return "" if victim.process.returncode == 0 else "status %d" % victim.process.returncode

    def one_liar(self):
        good = [Seed(self.torrent, pace=0.001) for _ in range(4)]
        bad = Seed(self.torrent, pace=0.001, spoil=spoiled)
        victim = self.victim([bad, *good])
        why = self.complete(victim)
        banned = set(re.findall(r"banned ([0-9.]+)", victim.log()))
        if not why and banned != {bad.address}:
            why = "banned were %s, not %s" % (sorted(banned), bad.address)
        self.figure("a wrong block in every piece from 1 of 5", victim, why, "only that one banned")

    def only_liars(self):
        seeds = [Seed(self.torrent, spoil=spoiled) for _ in range(3)]
        victim = self.victim(seeds)
        all_banned = until(lambda: len(set(re.findall(r"banned ([0-9.]+)", victim.log()))) == 3, 30)
        why = "" if all_banned else "not all banned"
        share = victim.idle_cpu(1)
        if not why and share > 0.2:
            why = "%.2f of a processor afterwards" % share
        good = Seed(self.torrent)
        good.dial(victim.port)
        self.figure("only wrong peers, then a good one", victim, why or self.complete(victim))

    def slow_holder(self):
        """It asks everybody; what it asked this one for comes at a byte a second."""
        asked = []
        slow = Seed(self.torrent, spoil=lambda index, begin, block: asked.append((index, begin)))
        victim = self.victim([slow])
        if not until(lambda: asked, PATIENCE):
            raise RuntimeError("the slow peer is asked for nothing")
        wire = slow.wires[0]
        drip = struct.pack(">IBII", 9 + BLOCK, PIECE, *asked[0]) + self.torrent.block(
            *asked[0], BLOCK)
        ending = threading.Event()

        def run():
            for byte in drip:
                if not wire.raw(bytes([byte])) or ending.wait(1):
                    return

        threading.Thread(target=run, daemon=True).start()
        time.sleep(0.5)
        good = Seed(self.torrent)
        good.dial(victim.port)
        why = self.complete(victim, 20)
        ending.set()
        self.figure("a peer at 1 byte/s that holds the last block", victim, why)

    def all_gone(self):
        blocks = self.torrent.size // BLOCK
        seeds = [Seed(self.torrent, most=blocks // 2), Seed(self.torrent,
                                                            most=blocks // 2 - blocks // 100)]
        victim = self.victim(seeds)
        until(lambda: all(seed.gone for seed in seeds), 30)
        time.sleep(0.5)
        share = victim.idle_cpu(1)
        why = "" if victim.process.poll() is None else "it has ended"
        if not why and share > 0.2:
            why = "%.2f of a processor while nobody is there" % share
        good = Seed(self.torrent)
        if not why:
            good.dial(victim.port)
        self.figure("all peers gone at 99 %, then one comes", victim, why or self.complete(victim))

    def never_the_rest(self):
        """One takes every request and answers none; the others have to be asked for the same."""
        silent = Seed(self.torrent, spoil=lambda index, begin, block: None)
        victim = self.victim([silent])
        until(lambda: silent.given > 0, PATIENCE)
        good = [Seed(self.torrent) for _ in range(2)]
        for seed in good:
            seed.dial(victim.port)
        self.figure("a peer that takes requests and answers none", victim,
                    self.complete(victim, 20))

    def after_cancel(self):
        """It keeps its blocks until others have given them, and sends them in spite of that."""
        torrent = Torrent("two", 65536 + BLOCK)
        victim = Data(self.scenario, torrent).victim([])
        victim.ready()
        wire = Wire.dial(torrent, victim.port)
        why = "" if wire.greet() else "no handshake"
        wire.send(BITFIELD, b"\x80")
        wire.send(UNCHOKE)
        why = why or ("" if wire.wait_for(REQUEST) else "not asked")
        half = Seed(torrent, spoil=lambda index, begin, block: block if index == 0 else None)
        half.dial(victim.port)
        cancelled = wire.wait_for(CANCEL) or b""
        if not why and not cancelled:
            why = "not cancelled"
        begin = struct.unpack(">III", cancelled)[1] if cancelled else 0
        wire.send(PIECE, struct.pack(">II", 0, begin) + torrent.block(0, begin, BLOCK))
        wire.send(INTERESTED)
        if not why and wire.wait_for(UNCHOKE) is None:
            why = "closed"
        good = Seed(torrent)
        good.dial(victim.port)
        why = why or self.complete(victim)
        Data(self.scenario, torrent).figure("a block after its cancel", victim, why)

    def all(self):
        self.after_cancel()
        self.one_liar()
        self.only_liars()
        self.slow_holder()
        self.all_gone()
        self.never_the_rest()


# ---- silence ---------------------------------------------------------------------------------


class Silence:
    """Two peers that have nothing to say; one of them keeps its connection alive, each two minutes
    as many do. Its bytes are on their way for a while."""

    def __init__(self, scenario):
        torrent = Torrent("silent", BLOCK)
        self.scenario = scenario
        self.victim = Victim(torrent.file, torrent.room(1), ["--no-tracker"])
        self.victim.ready()
        self.begun = time.monotonic()
        self.silent, self.alive = (Wire.dial(torrent, self.victim.port) for _ in range(2))
        self.greeted = self.silent.greet() and self.alive.greet()
        threading.Thread(target=self.keep_alive, daemon=True).start()

    def keep_alive(self):
        while self.alive.raw(bytes(4)):
            time.sleep(123)

    def judge(self):
        ended = self.silent.ended(max(1, self.begun + 160 - time.monotonic()))
        kept = not self.alive.ended(1)
        self.scenario.figure("D nothing after the handshake, for 150 s",
                             "%s; with keep-alives %s" % ("closed" if ended else "kept",
                                                          "kept" if kept else "closed"),
                             self.greeted and ended and kept)
        self.victim.end()


# ---- a network of addresses ------------------------------------------------------------------


def one_network(scenario):
    """10,000 connections, each from another address of one IPv6 network."""
    if os.geteuid() != 0:
        scenario.note("no addresses of one IPv6 network without root")
        return
    enter_net()
    run(tool("ip", "iproute2"), "-6", "route", "add", "local", "fd77::/64", "dev", "lo")
    torrent = Torrent("network", MIB)
    victim = Victim(torrent.file, torrent.room(), ["--no-tracker", "--seed-ratio", "0"], host=None)
    victim.ready()
    memory, alive, kept = victim.status("VmRSS"), 0, []
    for number in range(10000):
        connection = socket.socket(socket.AF_INET6)
        connection.setsockopt(socket.IPPROTO_IPV6, 78, 1)  # IPV6_FREEBIND
        connection.bind(("fd77::%x:%x" % (1 + number // 65536, 1 + number % 65536), 0))
        connection.connect(("::1", victim.port))
        kept.append(connection)
        if len(kept) > 500:
            kept.pop(0).close()
    time.sleep(0.5)
    for connection in kept:
        connection.setblocking(False)
        try:
            alive += connection.recv(1) != b""
        except BlockingIOError:
            alive += 1
        except OSError:
            pass
    grown = victim.status("VmHWM") - memory
    Seed(torrent).dial(victim.port)
    good = until(lambda: victim.process.poll() is not None, 30) and victim.process.returncode == 0
    scenario.figure("C 10,000 connections from one /64", "%d open at once, %d KiB more, %s" % (
        alive, grown // 1024, "equal bytes" if torrent.data.has(victim.folder) else
        "not the bytes"), alive <= 4 and grown <= MIB + NOISE and good)


# ---- the rate of a download beside them ------------------------------------------------------


def rate_beside(scenario):
    """A download from a seed of ours at 20 MB/s, without and with hostile peers all the time."""
    torrent = Torrent("rate", 128 * MIB, 18)

    def seconds(attackers):
        seed = Victim(torrent.file, torrent.data.copy(), ["--no-tracker", "--upload-limit",
                                                          "20000000"])
        seed.ready()
        victim = Victim(torrent.file, torrent.room(), ["--no-tracker", "--seed-ratio", "0",
                                                       "--peer", "127.0.0.1:%d" % seed.port])
        begun = time.monotonic()
        victim.ready()
        ending = threading.Event()
        threads = [threading.Thread(target=attack, args=(torrent, victim.port, ending),
                                    daemon=True) for attack in attackers]
        for thread in threads:
            thread.start()
        done = until(lambda: victim.process.poll() is not None, 120)
        taken = time.monotonic() - begun
        ending.set()
        for thread in threads:
            thread.join(PATIENCE)
        seed.end()
        return taken if done and torrent.data.has(victim.folder) else None

    alone = seconds([])
    beside = seconds(_hostile_items.ATTACKERS)
    good = alone is not None and beside is not None
    scenario.figure("rate of a download beside hostile peers",
                    "%.2f of %.1f MB/s" % (alone / beside, torrent.size / alone / 1e6) if good else
                    "not complete", good)
    if good:
        scenario.figure("of its rate without them", "%.2f" % (alone / beside),
                        alone / beside >= 0.8, timing=True)


with Scenario(26, "hostile torrent peers",
              "no crash, hang or spin; 1 MiB a hostile peer at most; the good download beside them "
              "completes with equal bytes, in the full form at 0.8 of its rate") as scenario:
    groups = [part[8:] for part in sys.argv if part.startswith("--group=")]
    trackers = world = silence = None
    if not scenario.short and (not groups or "S" in groups):
        silence = Silence(scenario)
    if not groups or "B" in groups:
        trackers = _hostile_http.Trackers(scenario)
    if not groups or "C" in groups or "D" in groups:
        world = World(scenario)
        late = _hostile_items.begin_slow(world)
        for name, act, cpu in _hostile_items.items(scenario.short):
            if not groups or name[0] in groups:
                world.meet(name, act, cpu)
    if trackers:
        trackers.judge_quick()
    if not groups or "T" in groups:
        _hostile_http.attack_tracker(scenario)
    if world:
        _hostile_items.judge_slow(world, late)
        world.end()
    if not groups or "E" in groups:
        Data(scenario, Torrent("small", 4 * MIB)).all()
    if trackers:
        trackers.judge_slow()
    if silence:
        silence.judge()
    if not scenario.short and (not groups or "R" in groups):
        rate_beside(scenario)
    if not scenario.short and (not groups or "N" in groups):
        one_network(scenario)
