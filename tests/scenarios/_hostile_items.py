"""The hostile peers of scenario 26, one by one: groups C (before and in the handshake) and D
(messages). Each takes the world and returns what is wrong, or nothing."""

import os
import socket
import struct
import time

from _hostile import (ALLOWED_FAST, BITFIELD, BLOCK, CANCEL, CHOKE, EXTENDED, HAVE, HAVE_ALL,
                      HAVE_NONE, INTERESTED, NOT_INTERESTED, PIECE, REJECT, REQUEST, SUGGEST,
                      UNCHOKE, Wire, is_open, new_address)
from _scenario import until

ITEMS = []
LENGTHS = {CHOKE: {1}, UNCHOKE: {1}, INTERESTED: {1}, NOT_INTERESTED: {1}, HAVE: {5},
           BITFIELD: set(), REQUEST: {13}, PIECE: set(range(10, 30)), CANCEL: {13}, SUGGEST: {5},
           HAVE_ALL: {1}, HAVE_NONE: {1}, REJECT: {13}, ALLOWED_FAST: {5},
           EXTENDED: set(range(2, 30))}


def item(name, **options):
    def keep(act):
        ITEMS.append((name, act, options))
        return act
    return keep


def items(short):
    return [(name, act, options.get("cpu", 1.0)) for name, act, options in ITEMS
            if not (short and options.get("long"))]


def each(world, makers):
    """Runs several variants of one thing; the first thing that is wrong is what it returns."""
    for number, (says, act) in enumerate(makers):
        wire = world.peer()
        act(wire)
        why = world.closed(wire, says)
        wire.close()
        if why:
            return "variant %d: %s" % (number, why)
    return ""


# ---- C: connections and handshakes -----------------------------------------------------------


def begin_slow(world):
    """Those that have to end by their time, 20 s: begun first, judged last."""
    idle = [Wire.dial(world.torrent, world.victim.port) for _ in range(5)]
    drip = Wire.dial(world.torrent, world.victim.port)
    half = Wire.dial(world.torrent, world.victim.port)
    half.raw(half.greeting()[:50])
    return {"idle": idle, "drip": drip, "half": half, "begun": time.monotonic(), "sent": 0}


def feed(late):
    """A byte for each second that has gone by."""
    while late["sent"] < time.monotonic() - late["begun"]:
        if not late["drip"].raw(late["drip"].greeting()[late["sent"]:late["sent"] + 1]):
            return
        late["sent"] += 1


def judge_slow(world, late):
    while time.monotonic() < late["begun"] + 23:
        feed(late)
        time.sleep(0.2)

    def slow(which):
        def act(world):
            wires = late[which] if which == "idle" else [late[which]]
            whys = [world.closed(wire, "") for wire in wires]
            return next((why for why in whys if why), "")
        return act

    world.meet("C says nothing for 20 s", slow("idle"))
    world.meet("C one byte a second", slow("drip"))
    world.meet("C half a handshake", slow("half"))


@item("C begins with encryption")
def _(world):
    wire = world.dial()
    wire.raw(os.urandom(95).replace(b"\x13", b"\x14"))
    return world.closed(wire, "another protocol, or encryption")


@item("C another protocol")
def _(world):
    wire = world.dial()
    wire.raw(b"\x13BitTorrent protocoL" + bytes(48))
    return world.closed(wire, "another protocol")


@item("C unknown hash")
def _(world):
    wire = world.dial(info_hash=bytes(20))
    wire.raw(wire.greeting())
    return world.closed(wire, "there is no such torrent here")


@item("C our own peer id")
def _(world):
    first = world.peer()
    wire = world.dial(name=first.theirs)
    wire.raw(wire.greeting())
    return world.closed(wire, "it is this program itself")


@item("C the peer id of another one")
def _(world):
    """Whoever uses another's id must not be able to throw it out: the good seed goes on."""
    good = world.good()
    wire = world.dial(name=good.name)
    wire.raw(wire.greeting())
    return world.closed(wire, "it is connected already") or world.asked(good)


@item("C greeting byte by byte")
def _(world):
    wire = world.dial()
    for byte in wire.greeting():
        wire.raw(bytes([byte]))
    return "" if wire.hear_greeting() and not world.served(wire) else "not served"


@item("C two handshakes")
def _(world):
    wire = world.peer()
    wire.raw(wire.greeting())
    return world.closed(wire, "a message that is too long")


def flood(world, count, dial, most):
    """Connections that say nothing; how many of the last ones stay open, if that is more than may.
    Those that may stay end after 20 s."""
    open_ones = []
    for _ in range(count):
        try:
            open_ones.append(dial())
        except OSError:
            pass
        while len(open_ones) > 200:
            open_ones.pop(0).close()

    def are_open():
        return sum(is_open(connection) for connection in open_ones)

    alive = 0 if until(lambda: are_open() <= most, 15) else are_open()
    for connection in open_ones:
        connection.close()
    return alive


def flood_one_address(world, count):
    address = new_address()

    def dial():
        return socket.create_connection(("127.0.0.1", world.victim.port), 10, (address, 0))

    alive = flood(world, count, dial, 4)
    return "" if alive <= 4 else "%d open at once" % alive


@item("C 500 connections from one address")
def _(world):
    return flood_one_address(world, 500)


@item("C 10,000 connections from one address", long=True)
def _(world):
    return flood_one_address(world, 10000)


@item("C 300 addresses that say nothing")
def _(world):
    """More than there are places: the good download keeps its own, and the places come back."""
    good, places = world.good(), 200
    silent = [Wire.dial(world.torrent, world.victim.port) for _ in range(places + 100)]
    all_taken = until(lambda: sum(is_open(wire.socket) for wire in silent) <= places)
    why = world.asked(good) if all_taken else "more connections than places"
    for wire in silent:
        wire.close()
    return why


# ---- D: lengths and fields -------------------------------------------------------------------


@item("D message of 2^32-1 and of 200,001 bytes")
def _(world):
    return each(world, [
        ("a message that is too long", lambda wire, size=size, kind=kind: wire.raw(
            struct.pack(">IB", size, kind)))
        for size in (0xffffffff, 200001, 0x80000000) for kind in (PIECE, 99)])


@item("D each message with each wrong length", cpu=2)
def _(world):
    says = "a message whose length is not that of its type"
    makers = []
    for kind, right in LENGTHS.items():
        for length in (1, 2, 4, 5, 6, 9, 12, 13, 14, 20):
            if length not in right and not (kind == BITFIELD and length - 1 == world.torrent.field):
                makers.append((says, lambda wire, kind=kind, length=length: wire.send(
                    kind, bytes(length - 1))))
    return each(world, makers)


@item("D unknown messages")
def _(world):
    wire = world.peer()
    for kind in (9, 10, 11, 12, 18, 19, 21, 100, 255):
        wire.send(kind, bytes(100))
    wire.raw(bytes(4) * 1000)
    return world.served(wire)


@item("D bit field twice, and late")
def _(world):
    wire = world.peer()
    field = bytes([0xaa]) * world.torrent.field
    wire.send(BITFIELD, field)
    wire.send(BITFIELD, field)
    wire.numbers(HAVE, 1)
    wire.send(BITFIELD, bytes([0x55]) * world.torrent.field)
    wire.send(BITFIELD, bytes(world.torrent.field))
    return world.served(wire)


@item("D bit field too short, too long")
def _(world):
    says = "a message whose length is not that of its type"
    return each(world, [(says, lambda wire, more=more: wire.send(
        BITFIELD, bytes(world.torrent.field + more))) for more in (-1, 1, 1000)])


@item("D bit field 1,000 times", cpu=3)
def _(world):
    wire = world.peer()
    wire.raw((struct.pack(">IB", 1 + world.torrent.field, BITFIELD) +
              bytes([0xff]) * (world.torrent.field - 1) + b"\xfe") * 1000)
    return world.served(wire)


@item("D have of a piece that there is not")
def _(world):
    says = "a piece that there is not"
    return each(world, [(says, lambda wire, index=index, kind=kind: wire.numbers(kind, index))
                        for index in (world.torrent.count, 0xffffffff)
                        for kind in (HAVE, SUGGEST, ALLOWED_FAST)])


@item("D request outside of its piece")
def _(world):
    length = world.torrent.length
    beyond, empty, long = ("a block beyond its piece", "a block of no bytes",
                           "a block that is too long")
    wrong = [("a piece that there is not", (world.torrent.count, 0, BLOCK)),
             (beyond, (world.had, length - BLOCK + 1, BLOCK)),
             (beyond, (world.had, 0xffffc001, BLOCK)), (beyond, (world.had, length, 1)),
             (empty, (world.had, 0, 0)), (long, (world.had, 0, 131073)),
             (long, (world.had, 0, 0xffffffff))]
    return each(world, [(says, lambda wire, kind=kind, what=what: wire.numbers(kind, *what))
                        for says, what in wrong for kind in (REQUEST, CANCEL, REJECT)])


@item("D request of 16,385 bytes, and across nothing that is there")
def _(world):
    wire = world.peer()
    wire.numbers(REQUEST, world.had, 3, 16385)
    wire.numbers(REQUEST, world.missing, 0, BLOCK)
    return world.served(wire)


@item("D request while choked")
def _(world):
    wire = world.peer()
    for _ in range(100):
        wire.numbers(REQUEST, world.had, 0, BLOCK)
    if wire.wait_for(REJECT) is None:
        return "not rejected"
    plain = world.peer(fast=False)
    plain.numbers(REQUEST, world.had, 0, BLOCK)
    return world.served(plain)


def unread(world, count):
    wire = world.dial(small=True)
    if not wire.greet():
        return None
    wire.send(INTERESTED)
    wire.wait_for(UNCHOKE)
    request = struct.pack(">IBIII", 13, REQUEST, world.had, 0, BLOCK)
    wire.socket.settimeout(3)
    for _ in range(count // 1000):
        if not wire.raw(request * 1000):
            break
    return wire


@item("D 10,000 requests and not reading a byte")
def _(world):
    unread(world, 10000)
    time.sleep(0.5)
    return ""


@item("D requests without end and not reading", cpu=3)
def _(world):
    wire = unread(world, 1000000)
    return world.closed(wire, "it does not read")


@item("D requests of 128 KiB and not reading")
def _(world):
    wire = world.dial(small=True)
    wire.greet()
    wire.send(INTERESTED)
    wire.wait_for(UNCHOKE)
    wire.raw(struct.pack(">IBIII", 13, REQUEST, world.had, 0, world.torrent.length) * 400)
    time.sleep(0.5)
    return ""


@item("D cancel of nothing")
def _(world):
    wire = world.peer()
    for block in range(4):
        wire.numbers(CANCEL, world.had, block * BLOCK, BLOCK)
    return world.served(wire)


@item("D 10,000 requests and cancels", cpu=3)
def _(world):
    wire = world.peer()
    wire.send(INTERESTED)
    wire.wait_for(UNCHOKE)
    block = struct.pack(">III", world.had, 0, BLOCK)
    both = struct.pack(">IB", 13, REQUEST) + block + struct.pack(">IB", 13, CANCEL) + block
    for _ in range(100):
        wire.raw(both * 100)
        wire.drain()
    return world.served(wire)


# ---- D: blocks -------------------------------------------------------------------------------


def offering(world, **options):
    """A peer that has everything, and what it was asked for first."""
    wire = world.peer(**options)
    if wire.fast:
        wire.send(HAVE_ALL)
    else:
        wire.send(BITFIELD, bytes([0xff]) * world.torrent.field)
    wire.send(UNCHOKE)
    request = wire.wait_for(REQUEST)
    if request is None:
        raise RuntimeError("it is not asked for anything")
    return wire, struct.unpack(">III", request)


def give(world, wire, index, begin, length):
    return wire.send(PIECE, struct.pack(">II", index, begin) +
                     world.torrent.block(index, begin, length))


@item("D block that nobody asked for")
def _(world):
    wire = world.peer()
    give(world, wire, world.missing, 0, BLOCK)
    give(world, wire, world.had, 0, BLOCK)
    return world.served(wire)


@item("D 20 MB of blocks that nobody asked for", cpu=3)
def _(world):
    wire = world.peer()
    for _ in range(1300):
        if not give(world, wire, world.missing, 0, BLOCK):
            break
    return world.closed(wire, "it sends what nobody asked for")


@item("D 40 MB of a block that is there", cpu=3)
def _(world):
    wire = world.peer()
    for _ in range(2600):
        if not give(world, wire, world.had, 0, BLOCK):
            break
    return world.closed(wire, "it sends what nobody asked for")


@item("D block at a wrong offset, shorter, longer")
def _(world):
    says = "it sent a block that nobody asks for"
    return each(world, [
        (says, lambda wire: give(world, wire, world.missing, 1, BLOCK)),
        (says, lambda wire: give(world, wire, world.missing, 0, BLOCK - 1)),
        (says, lambda wire: give(world, wire, world.missing, 0, 2 * BLOCK)),
        ("a block beyond its piece", lambda wire: wire.send(PIECE, struct.pack(
            ">II", world.missing, world.torrent.length - BLOCK) + bytes(BLOCK + 1))),
        ("a block beyond its piece", lambda wire: wire.send(PIECE, struct.pack(
            ">II", world.missing, 0xffffffff) + bytes(BLOCK)))])


@item("D block twice")
def _(world):
    wire, asked = offering(world)
    give(world, wire, *asked)
    give(world, wire, *asked)
    return world.served(wire)


@item("D block after choke")
def _(world):
    for fast in (True, False):
        wire, asked = offering(world, fast=fast)
        wire.send(CHOKE)
        give(world, wire, *asked)
        why = world.served(wire)
        if why:
            return why
    return ""


@item("D block after it was rejected")
def _(world):
    wire, asked = offering(world)
    wire.send(CHOKE)
    wire.numbers(REJECT, *asked)
    give(world, wire, *asked)
    return world.served(wire)


@item("D choke and unchoke 10,000 times", cpu=4)
def _(world):
    wire, _ = offering(world)
    both = struct.pack(">IBIB", 1, CHOKE, 1, UNCHOKE)
    for _ in range(100):
        wire.raw(both * 100)
        wire.drain()
    return world.served(wire)


@item("D choke and unchoke 10,000 times, plain", cpu=4)
def _(world):
    wire, _ = offering(world, fast=False)
    both = struct.pack(">IBIB", 1, CHOKE, 1, UNCHOKE)
    for _ in range(1000):
        wire.raw(both * 10)
        wire.drain()
    return world.served(wire)


@item("D interested or not 10,000 times", cpu=4)
def _(world):
    wire = world.peer()
    both = struct.pack(">IBIB", 1, INTERESTED, 1, NOT_INTERESTED)
    for _ in range(100):
        wire.raw(both * 100)
        wire.drain()
    return world.served(wire)


@item("D 100,000 haves", cpu=4)
def _(world):
    wire = world.peer()
    haves = b"".join(struct.pack(">IBI", 5, HAVE, index) for index in range(world.torrent.count))
    for _ in range(100000 // world.torrent.count):
        wire.raw(haves)
        wire.drain()
    return world.served(wire)


@item("D have-all after have-none, and have-none after all")
def _(world):
    wire = world.peer()
    for kind in (HAVE_NONE, HAVE_ALL, HAVE_NONE, HAVE_ALL):
        wire.send(kind)
    wire.send(BITFIELD, bytes(world.torrent.field))
    return world.served(wire)


@item("D fast messages without the bit")
def _(world):
    for kind in (SUGGEST, HAVE_ALL, HAVE_NONE, REJECT, ALLOWED_FAST):
        wire = world.peer(fast=False)
        wire.send(kind, bytes(max(LENGTHS[kind]) - 1))
        why = world.closed(wire, "a message of the fast extension, which was not agreed on")
        if why:
            return "%d: %s" % (kind, why)
    return ""


@item("D reject of nothing")
def _(world):
    wire = world.peer()
    for _ in range(1000):
        wire.numbers(REJECT, world.missing, 0, BLOCK)
    return world.served(wire)


def reject_all(wire, seconds):
    """Rejects each request as it comes; returns how many."""
    count, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        message = wire.receive(end - time.monotonic())
        if message is None:
            break
        if message[0] == REQUEST:
            count += 1
            wire.send(REJECT, message[1])
    return count


@item("D rejects every request")
def _(world):
    wire, asked = offering(world)
    wire.numbers(REJECT, *asked)
    count = reject_all(wire, 2)
    return "asked %d times in 2 s" % count if count > 200 else ""


@item("D rejects every request, choked, of pieces allowed fast")
def _(world):
    wire = world.peer()
    wire.send(HAVE_ALL)
    for index in range(world.torrent.count):
        wire.numbers(ALLOWED_FAST, index)
    count = reject_all(wire, 2)
    return "asked %d times in 2 s" % count if count > 200 else ""


# ---- D: extensions ---------------------------------------------------------------------------


def extended(body, number=0):
    return struct.pack(">IBB", 2 + len(body), EXTENDED, number) + body


@item("D extended handshake of 1 MiB, and deep, and of nothing")
def _(world):
    dictionary = "its extension handshake is not a dictionary"
    return each(world, [
        ("a message", lambda wire: wire.raw(extended(b"d1:a1000000:" + bytes(1000000) + b"e"))),
        ("a message", lambda wire: wire.raw(extended(bytes(70000)))),
        (dictionary, lambda wire: wire.raw(extended(b"d1:a" + b"l" * 30000 + b"e" * 30000 + b"e"))),
        (dictionary, lambda wire: wire.raw(extended(b"l" * 60000))),
        (dictionary, lambda wire: wire.raw(extended(b""))),
        (dictionary, lambda wire: wire.raw(extended(b"i1e"))),
        (dictionary, lambda wire: wire.raw(extended(b"d4:reqqi99999999999999999999ee")))])


@item("D extended handshake with reqq 0, 10^9, -1")
def _(world):
    for number in (0, 10 ** 9, -1):
        wire = world.peer()
        wire.raw(extended(b"d4:reqqi%de1:v5:\x1b[2Jxe" % number))
        wire.send(HAVE_ALL)
        wire.send(UNCHOKE)
        if wire.wait_for(REQUEST) is None:
            return "reqq %d: not asked" % number
        requests = 1
        while True:
            message = wire.receive(0.3)
            if message is None:
                break
            requests += message[0] == REQUEST
        if requests > (1 if number < 1 else 500):
            return "reqq %d: %d requests" % (number, requests)
        why = world.served(wire)
        if why:
            return why
        wire.close()
    return ""


@item("D extended handshake 10,000 times with other ports", cpu=4)
def _(world):
    wire = world.peer()
    before = world.victim.log().count("peer %s:" % wire.address)
    for start in range(1, 10001, 100):
        wire.raw(b"".join(extended(b"d1:pi%dee" % port) for port in range(start, start + 100)))
    why = world.served(wire)
    time.sleep(1.5)
    dialled = world.victim.log().count("peer %s:" % wire.address) - before
    return why or ("dialled %d times" % dialled if dialled > 2 else "")


@item("D unknown extensions")
def _(world):
    wire = world.peer()
    for number in range(1, 256):
        wire.raw(extended(bytes(1000), number))
    return world.served(wire)


# ---- D: ends ---------------------------------------------------------------------------------


@item("D half-close")
def _(world):
    wire, _ = offering(world)
    wire.socket.shutdown(socket.SHUT_WR)
    return world.closed(wire, "")


@item("D reset at each message boundary", cpu=2)
def _(world):
    torrent = world.torrent
    block = struct.pack(">III", world.had, 0, BLOCK)
    script = [struct.pack(">IB", 1, HAVE_ALL), extended(b"de"), struct.pack(">IB", 1, INTERESTED),
              struct.pack(">IB", 13, REQUEST) + block, struct.pack(">IB", 1, UNCHOKE),
              struct.pack(">IB", 13, CANCEL) + block, struct.pack(">IB", 1, CHOKE),
              struct.pack(">IB", 13, REQUEST) + block,
              struct.pack(">IBII", 9 + BLOCK, PIECE, world.missing, 0) +
              torrent.block(world.missing, 0, BLOCK), bytes(4)]
    for count in range(len(script) + 2):
        for inside in (0, 3):
            wire = world.dial()
            said = [wire.greeting(), *script][:count]
            for message in said[:-1]:
                wire.raw(message)
            if said:
                wire.raw(said[-1][:-inside] if inside else said[-1])
            if count % 2:
                wire.hear_greeting()
            wire.reset()
    return ""


# ---- all the time, for the rate beside them --------------------------------------------------


def again_and_again(act, one_address=False):
    """An attack that is made anew for as long as it may."""
    def attack(torrent, port, ending):
        address = new_address()
        while not ending.is_set():
            try:
                wire = Wire.dial(torrent, port, address if one_address else None)
                if wire.greet():
                    act(torrent, wire, ending)
                wire.close()
            except (OSError, RuntimeError):
                pass
            ending.wait(0.02)
    return attack


def repeat(data, pause=0.01):
    def act(torrent, wire, ending):
        while not ending.is_set() and wire.raw(data):
            wire.drain()
            ending.wait(pause)
    return act


def lie(torrent, wire, ending):
    """Has everything, and gives blocks with a wrong byte."""
    wire.send(HAVE_ALL)
    wire.send(UNCHOKE)
    while not ending.is_set():
        message = wire.receive(1)
        if message is None:
            return
        if message[0] == REQUEST:
            index, begin, length = struct.unpack(">III", message[1])
            wire.send(PIECE, struct.pack(">II", index, begin) + bytes(length))


def refuse(torrent, wire, ending):
    wire.send(HAVE_ALL)
    wire.send(UNCHOKE)
    while not ending.is_set() and reject_all(wire, 0.5):
        pass


def hold(torrent, wire, ending):
    wire.send(HAVE_ALL)
    wire.send(UNCHOKE)
    ending.wait(5)


ATTACKERS = [again_and_again(act) for act in (
    repeat(struct.pack(">IBIB", 1, CHOKE, 1, UNCHOKE) * 100),
    repeat(struct.pack(">IBIB", 1, INTERESTED, 1, NOT_INTERESTED) * 100),
    repeat(struct.pack(">IBI", 5, HAVE, 1) * 100),
    repeat(struct.pack(">IBIII", 13, REQUEST, 0, 0, BLOCK) * 100),
    repeat(struct.pack(">IB", 0xffffffff, PIECE)),
    repeat(extended(b"d1:pi9ee") * 100),
    refuse, hold, hold)] + [again_and_again(lie, one_address=True)] * 2
