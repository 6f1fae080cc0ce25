"""Themes of a random program (_program.py): short courses on one connection or one server.

Single calls seldom meet: that a transaction begins, reads and ends on one socket that has input takes
four draws of seventy-five, and no draw lets input arrive inside a slot of readyRead. A theme draws a
course with its numbers, and its calls go to the socket that it has chosen, with a plain peer at the
other end. A program of themes has single calls between them.
"""

from PySide2 import QtCore

from _kit import state
from _program_calls import CALLS, DEEDS, HABITS, LOCAL, LONG, SIGNALS, Calls, Peer

TAKES = ("read", "read", "read_line", "skip", "peek", "unget", "read_all")
NEXT = ("read", "read_line", "peek", "read_all", "wait_read")

# What a slot of readyRead does, in this order.
INSIDE = (
    ("say_more", "turns"), ("say_more", "turns", "read_all"), ("say_more", "wait_more", "read"),
    ("read_all", "say_more", "wait_more"), ("read_all", "say_more", "turns", "say_more", "wait_more"),
    ("begin", "read", "say_more", "turns", "commit"), ("peek", "say_more", "turns", "unget", "read"),
    ("begin", "read", "say_more", "wait_more", "roll_back", "read"))


class Draw:
    """Draws calls that have their first number in common."""

    def __init__(self, chance):
        self.chance, self.a = chance, chance.randrange(1 << 16)

    def one(self, *names):
        return (self.chance.choice(names), self.a, self.chance.randrange(1 << 16),
                self.chance.randrange(1 << 16))

    def some(self, most, *names):
        return [self.one(*names) for _ in range(self.chance.randint(1, most))]

    def place(self, table, name):
        return table.index(name) + len(table) * self.chance.randrange(1 << 8)


def transaction(draw):
    return [[draw.one("open_and_wait")], draw.some(2, "say"), [draw.one("begin")] + draw.some(3, *TAKES),
            draw.some(1, "say", "peek", "wait_read", "read"), [draw.one("commit", "commit", "roll_back")],
            draw.some(2, *NEXT)]


def put_back(draw):
    return [[draw.one("open_and_wait")], [draw.one("say")], draw.some(4, "peek", "unget", "read"),
            draw.some(2, "unget", "read_line", "skip"), [draw.one("say", "wait_read", "read_all")]]


def inside(draw):
    return [[draw.one("open_and_wait")], [draw.one("inside")], [draw.one("say")], draw.some(2, *NEXT)]


def wait(draw):
    return [[draw.one("open_and_wait")], [draw.one("say", "say_and_wait")], [draw.one("wait_read")],
            draw.some(2, *TAKES), [draw.one("say_and_wait", "wait_read")], [draw.one("wait_read")]]


def small_buffer(draw):
    return [[draw.one("open_and_wait")], [draw.one("buffer")], [draw.one("say")],
            [draw.one("say", "peek")], [draw.one("read_all")], [draw.one("say", "buffer", "wait_read")],
            [draw.one("read_all")], [draw.one("buffer", "read_all")]]


def output(draw):
    slot = ("slot", draw.a, draw.place(SIGNALS, "bytesWritten"),
            draw.place(DEEDS, draw.chance.choice(("write", "flush", "turn", "wait_written"))))
    return [[draw.one("open_and_wait")]] + [[slot]] * draw.chance.randrange(2) + [
        draw.some(3, "write"), [draw.one("write_and_wait", "write", "flush")],
        [draw.one("wait_written", "write")], [draw.one("hear")]]


def queue(draw):
    dials = [[draw.one("dial", "dial", "connect_to_server")] for _ in range(draw.chance.randint(2, 4))]
    begin = draw.chance.choice(([[draw.one("limit")]], [[draw.one("limit")]], [[draw.one("pause")]], []))
    return begin + dials + [[draw.one("resume", "take")]] + [[draw.one("take")] for _ in dials]


def servers(draw):
    other = Draw(draw.chance)
    other.a = draw.a + 1
    both = [[draw.one("dial", "connect_to_server")], [other.one("dial", "connect_to_server")],
            [draw.one("take"), other.one("take")], [draw.one("close_server", "pause", "take")]]
    return [[draw.one("listen", "adopt_listener")]] + both + [[other.one("dial")], [other.one("take")]]


def again(draw):
    return [[draw.one("open_and_wait")], draw.some(2, "say", "write", "begin"),
            [draw.one("disconnect", "close", "abort", "end", "reset", "open_again")],
            draw.some(2, "read", "peek", "wait_read"), [draw.one("open_again")], [draw.one("accept")],
            [draw.one("open_and_wait")], [draw.one("say")], draw.some(2, *NEXT),
            [draw.one("write")], [draw.one("hear")]]


THEMES = (transaction, transaction, put_back, inside, inside, wait, small_buffer, output, queue, queue,
          servers, again)


def themes(chance, count):
    """The steps of a program of themes."""
    steps = []
    while len(steps) < count:
        steps += chance.choice(THEMES)(Draw(chance))
        steps.append([("let_go", 0, 0, 0), Draw(chance).one(*CALLS)])
    return steps[:count]


class ThemeCalls(Calls):
    """The calls that only themes make."""

    def __init__(self):
        super().__init__()
        self.chosen = self.coming = None  # a socket, and who has been sent something in its slot

    def chosen_device(self):
        chosen = self.mine if self.mine is not None else self.chosen
        return chosen if chosen is not None and chosen in self.living() else None

    def device(self, number):
        chosen = self.chosen_device() if self.mine is None else None
        return chosen if chosen is not None else super().device(number)

    def peer(self, number):
        chosen = self.chosen_device()
        other = self.partner(chosen) if chosen is not None else None
        return other if isinstance(other, Peer) else super().peer(number)

    def call_let_go(self, _a, _b, _c):
        self.chosen = None

    def call_open_and_wait(self, a, b, c):
        """Chooses a socket that is connected to a plain peer, or makes one."""
        if self.said or self.ended or self.arrives:
            return None
        self.chosen = None
        ready = [one for one in self.living() if int(one.state()) == 3
                 and isinstance(self.partner(one), Peer) and not self.partner(one).shut]
        if ready and b % 4:
            self.chosen = ready[a % len(ready)]
            return self.name_of(self.chosen)
        device = self.new_device(c % len(HABITS) if c % 3 == 0 else 0)
        if device is None:
            idle = [one for one in self.living() if int(one.state()) == 0]
            if not idle:
                return None
            device = idle[a % len(idle)]
            device.rollbackTransaction()
        self.to_listener.append(device)
        device.connectToHost(LOCAL, self.listener.getsockname()[1])
        device.waitForConnected(LONG)
        if int(device.state()) == 3:
            self.chosen = device
            self.accept_all(device.localPort())
        return self.name_of(device), state(device.state())

    def accept_all(self, port):
        """Accepts until the connection from a port is there."""
        self.listener.settimeout(LONG / 1000)
        while True:
            made, where = self.listener.accept()
            self.peers.append(Peer(made))
            if where[1] == port:
                break
        self.peers[-1].met = True
        self.listener.setblocking(False)

    # ---- in slots ----

    def call_inside(self, a, b, c):
        device = self.device(a)
        if not device:
            return None
        deeds = INSIDE[b % len(INSIDE)]
        self.once(device.readyRead, self.name_of(device), "readyRead", deeds, (a, b >> 4, c), device)
        return " ".join(deeds)

    def call_say_more(self, a, b, c):
        said = self.call_say(a, b, c) if isinstance(self.partner(self.mine), Peer) else None
        self.coming = self.mine if said else None
        return said

    def has_come(self):
        """Whether something comes to the socket whose slot it is."""
        coming, self.coming = self.coming, None
        return coming is not None and coming is self.mine and not self.is_full(coming)

    def call_turns(self, _a, _b, _c):
        """Turns the loop until the input has come."""
        if not self.has_come():
            return None
        before = self.mine.bytesAvailable()
        for _ in range(100):
            QtCore.QCoreApplication.processEvents()
            if self.mine.bytesAvailable() != before:
                break
        return self.mine.bytesAvailable()

    def call_wait_more(self, _a, _b, _c):
        return self.mine.waitForReadyRead(LONG) if self.has_come() else None
