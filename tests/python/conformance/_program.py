"""A random program: calls on servers, sockets, timers and plain peers, from a seed.

A program is a list of steps, which depends on the seed alone; a step is one call or two, with numbers
that choose objects and sizes. What a number stands for depends on what is there when the call is
made (_program_calls.py); a call for which there is nothing is left out. After each step the loop turns
until nothing happens any more, and the trace says what each object has announced and what its getters
return.

The trace has no times. Of what the kernel or the loop may do in one go or in several, it has the sum:
bytes that were written, and that bytes could be read. Objects are told in a fixed order. An error of
earlier accepts is left out (Q4), and a refusal that Qt announces again for the output (0125).
"""

import collections
import random
import sys
import time

from PySide2 import QtCore, QtNetwork

from _kit import error, state
from _program_calls import CALLS, HABITS, Peer
from _program_themes import ThemeCalls, themes

STEPS = 24


def steps_of(seed):
    """The calls of each step: tuples of a name and three numbers. A third of the seeds are themes."""
    chance = random.Random(seed)
    if seed % 3 == 2:
        return [[("listen", 0, chance.randrange(1 << 16), 0)]] + themes(chance, STEPS)
    first = [("listen", 0, 0, 0)]
    steps = [first]
    for _ in range(STEPS):
        steps.append([(chance.choice(CALLS), chance.randrange(1 << 16), chance.randrange(1 << 16),
                       chance.randrange(1 << 16)) for _ in range(chance.choice((1, 1, 2)))])
    return steps


class Nudge(QtCore.QObject):
    """Posts an event. Until there is one, Qt forgets a deletion that a loop inside put off (0125)."""

    given = QtCore.Signal()

    @QtCore.Slot()
    def take(self):
        pass


class Program(ThemeCalls):
    """One run."""

    def __init__(self, seed, keep, patience, told):
        super().__init__()
        self.steps = [step for number, step in enumerate(steps_of(seed)) if keep is None or number in keep]
        self.patience, self.told, self.over = patience, told, False
        self.to_listener = []
        self.events = collections.OrderedDict()

    # ---- what happens ----

    def note(self, name, what):
        self.changes += 1
        self.events.setdefault(name, []).append(what)

    def watch_server(self, server, a, b):
        name = "S%d" % len(self.servers)
        self.servers.append(server)
        server.newConnection.connect(lambda: self.note(name, "newConnection"))
        server.acceptError.connect(lambda value: self.note(name, error(value)))
        server.destroyed.connect(lambda: (self.gone.add(name), self.note(name, "destroyed")))
        if b % 3 == 0:
            server.newConnection.connect(lambda: self.take(server, a))
        return server

    def watch_device(self, device, habit):
        name = "D%d" % len(self.devices)
        self.devices.append(device)
        tell = lambda what: lambda *words: self.note(name, what)
        device.stateChanged.connect(lambda value: self.note(name, state(value)))
        device.errorOccurred.connect(lambda value: self.note(
            name, "%s in %s" % (error(value), state(device.state()))))
        device.bytesWritten.connect(lambda count: self.note(name, count))
        device.readyRead.connect(lambda: self.note(
            name, "readyRead inside" if device in self.reading else "readyRead"))
        for signal in ("hostFound", "connected", "aboutToClose", "readChannelFinished", "disconnected"):
            getattr(device, signal).connect(tell(signal))
        device.destroyed.connect(lambda: (self.dead.add(name), self.note(name, "destroyed")))
        self.adopt_habit(device, habit)
        peer = self.partner(device)
        if isinstance(peer, Peer):
            peer.met = True
        return name

    def adopt_habit(self, device, habit):
        if habit in ("close", "disconnect", "line", "take_part"):
            device._reads_parts = True
        if habit in ("close", "disconnect"):
            self.ordered.add(id(device))
        if habit == "echo":
            self.answering.add(id(device))
        if habit == "read":
            device.readyRead.connect(lambda: device.readAll())
        elif habit == "echo":
            device.readyRead.connect(lambda: device.write(device.readAll()))
        elif habit == "close":
            device.readyRead.connect(lambda: device.close())
        elif habit == "disconnect":
            device.readyRead.connect(lambda: device.disconnectFromHost())
        elif habit == "abort_on_error":
            device.errorOccurred.connect(lambda _value: device.abort())
        elif habit == "delete":
            device.disconnected.connect(lambda: device.deleteLater())
        elif habit == "greet":
            device.connected.connect(lambda: device.write(b"hello\n"))
        elif habit == "line":
            device.readyRead.connect(lambda: [device.readLine() for _ in range(9)
                                              if device.canReadLine()])
        elif habit == "take_part":
            device.readyRead.connect(lambda: device.read(3))

    # ---- the course ----

    def start(self, step):
        self.begin_step()
        for name, *numbers in step:
            self.told("%s %s" % (name, self.call(name, numbers)))
            sys.stdout.flush()

    @staticmethod
    def failure(server):
        value = error(server.serverError())
        return "SocketTimeout(5)" if value == "Temporary(22)" else value  # Q4

    def tell(self):
        for name in sorted(self.events):
            written = sum(one for one in self.events[name] if isinstance(one, int))
            others, last = [], None
            for one in self.events[name]:
                if not isinstance(one, int) and one != last:
                    others.append(one)
                    last = one
            self.told("    %s: %s%s" % (name, ", ".join(others),
                                        "; written %d" % written if written else ""))
        self.events.clear()
        for place, server in enumerate(self.servers):
            if "S%d" % place not in self.gone:
                self.told("    S%d %s %s %s" % (place, server.isListening(),
                                               server.hasPendingConnections(), self.failure(server)))
        for place, device in enumerate(self.devices):
            if "D%d" % place not in self.dead:
                self.told("    D%d %s %s %s in %d out %d line %s descriptor %s peer %s open %d%s" % (
                    place, state(device.state()), error(device.error()), device.errorString(),
                    device.bytesAvailable(), device.bytesToWrite(), device.canReadLine(),
                    device.socketDescriptor() != -1, device.peerPort() != 0, int(device.openMode()),
                    " transaction" if device.isTransactionStarted() else ""))

    def run(self):
        loop = QtCore.QEventLoop()
        waiting = iter(self.steps)
        quiet, since, seen = 0, time.monotonic(), -1
        ticking = QtCore.QTimer()
        nudge = Nudge()
        nudge.given.connect(nudge.take, QtCore.Qt.QueuedConnection)

        def tick():
            nonlocal quiet, since, seen
            if self.depth:
                return  # a slot turns the loop
            if self.changes != seen:
                quiet, since, seen = 0, time.monotonic(), self.changes
                return
            quiet += 1
            if quiet == 4:
                nudge.given.emit()
            if quiet < 8 or time.monotonic() - since < self.patience:
                return
            self.tell()
            step = next(waiting, None)
            if step is None:
                loop.quit()
                return
            self.start(step)
            seen = -1

        ticking.timeout.connect(tick)
        ticking.start(0)
        loop.exec_()
        ticking.stop()
        self.end()

    def end(self):
        self.over = True
        for device in self.devices:
            try:
                device.blockSignals(True)
                device.abort()
            except RuntimeError:
                pass
        for place, server in enumerate(self.servers):
            if "S%d" % place not in self.gone:
                server.close()
        for peer in self.peers:
            peer.socket.close()
        self.listener.close()
        self.refusing.close()


def play(programs, patience=0):
    """Plays programs one after the other: of each the seed, and the steps that are kept, or None."""
    application = QtCore.QCoreApplication.instance() or QtCore.QCoreApplication([])
    for seed, keep in programs:
        print("== next", flush=True)
        Program(seed, keep, patience, print).run()
    return application
