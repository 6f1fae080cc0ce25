"""A random program: calls on servers, sockets, timers and plain peers, from a seed.

A program is a list of steps, which depends on the seed alone; a step is one call or two, with numbers
that choose objects and sizes. What a number stands for depends on what is there when the call is
made; a call for which there is nothing is left out. After each step the loop turns until nothing
happens any more, and the trace says what each object has announced and what its getters return.

The trace has no times. Of what the kernel or the loop may do in one go or in several, it has the sum:
bytes that were written, and that bytes could be read. Objects are told in a fixed order.

An error that Qt announces twice is told once (T39 has it once), and a refused connection is not waited
for, which in Qt ends by the time or by the refusal. What differs by a defect of Qt is not asked for: pauses that end by themselves (Q1, Q2, Q3), limits
that are raised (Q23), errors of earlier accepts (Q4), ends of
connections that nobody has taken (decision 0004), waits with a full buffer (Q17), validity (Q14)
and answers to who has ended its direction (Q13: output is flushed before peers end).
"""

import collections
import random
import socket
import struct
import sys
import time

from PySide2 import QtCore, QtNetwork

from _kit import error, state

LINGER = struct.pack("ii", 1, 0)
WORDS = (b"a", b"line\n", b"two\nlines\n", b"x" * 100, b"\n", b"longer " * 300)
MOST = 4  # objects of a kind
STEPS = 24

CALLS = (
    "listen", "close_server", "limit", "take", "take", "take", "wait_connection", "pause", "resume",
    "dial", "dial", "dial", "connect", "connect", "connect_to_server", "connect_to_server",
    "connect_refused", "accept", "accept", "say", "say", "say", "say", "hear", "hear", "end", "leave",
    "reset", "write", "write", "write", "write", "flush", "read", "read", "read_all", "read_line",
    "peek", "skip", "unget", "begin", "commit", "roll_back", "buffer", "disconnect", "close", "abort",
    "delete", "wait_read", "wait_read", "wait_written", "wait_disconnected", "wait_connected", "timer",
    "block", "open_again")

HABITS = ("none", "none", "read", "echo", "close", "abort_on_error", "delete", "greet", "disconnect",
          "line", "take_part")


def steps_of(seed):
    """The calls of each step: tuples of a name and three numbers."""
    chance = random.Random(seed)
    first = [("listen", 0, 0, 0)]
    steps = [first]
    for _ in range(STEPS):
        steps.append([(chance.choice(CALLS), chance.randrange(1 << 16), chance.randrange(1 << 16),
                       chance.randrange(1 << 16)) for _ in range(chance.choice((1, 1, 2)))])
    return steps


class Peer:
    """A plain socket."""

    def __init__(self, made):
        self.socket, self.open, self.shut, self.heard, self.ended = made, True, False, 0, ""
        made.setblocking(False)

    def hear(self):
        """Reads what has come."""
        try:
            while self.open and not self.ended:
                more = self.socket.recv(65536)
                self.heard += len(more)
                if not more:
                    self.ended = "end"
        except BlockingIOError:
            pass
        except OSError:
            self.ended = "reset"


class Program:
    """One run."""

    def __init__(self, seed, keep, patience, told):
        self.steps = [step for number, step in enumerate(steps_of(seed)) if keep is None or number in keep]
        self.patience, self.told = patience, told
        self.servers, self.devices, self.peers, self.plain = [], [], [], []
        self.timers, self.refused = [], []
        self.events = collections.OrderedDict()
        self.changes = 0
        self.dead = set()
        self.refusing = socket.socket()
        self.refusing.bind(("127.0.0.1", 0))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setblocking(False)

    # ---- what happens ----

    def note(self, name, what):
        self.changes += 1
        self.events.setdefault(name, []).append(what)

    def watch_device(self, device, habit):
        name = "D%d" % len(self.devices)
        self.devices.append(device)
        tell = lambda what: lambda *words: self.note(name, what)
        device.stateChanged.connect(lambda value: self.note(name, state(value)))
        device.errorOccurred.connect(lambda value: self.note(
            name, "%s in %s" % (error(value), state(device.state()))))
        device.bytesWritten.connect(lambda count: self.note(name, count))
        for signal in ("hostFound", "connected", "readyRead", "aboutToClose", "readChannelFinished",
                       "disconnected"):
            getattr(device, signal).connect(tell(signal))
        device.destroyed.connect(lambda: (self.dead.add(name), self.note(name, "destroyed")))
        self.adopt_habit(device, habit)
        return name

    def adopt_habit(self, device, habit):
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

    # ---- objects ----

    def server(self, number):
        alive = [one for one in self.servers if one.isListening()]
        return alive[number % len(alive)] if alive else None

    def device(self, number):
        alive = [one for place, one in enumerate(self.devices) if "D%d" % place not in self.dead]
        return alive[number % len(alive)] if alive else None

    def peer(self, number):
        alive = [one for one in self.peers if one.open]
        return alive[number % len(alive)] if alive else None

    def ending_peer(self, number):
        waiting = any(server.hasPendingConnections() for server in self.servers)
        return None if waiting else self.peer(number)

    # ---- calls; each returns what the trace says of it, or None if there is nothing to call ----

    def call_listen(self, a, b, _c):
        if len(self.servers) >= 2:
            return None
        server = QtNetwork.QTcpServer()
        name = "S%d" % len(self.servers)
        self.servers.append(server)
        server.newConnection.connect(lambda: self.note(name, "newConnection"))
        server.acceptError.connect(lambda value: self.note(name, error(value)))
        if b % 3 == 0:
            server.newConnection.connect(lambda: self.take(server, a))
        where = QtNetwork.QHostAddress(QtNetwork.QHostAddress.LocalHost)
        return server.listen(where, 0)

    def take(self, server, number):
        device = server.nextPendingConnection()
        if device is None:
            return "nothing"
        return self.watch_device(device, HABITS[number % len(HABITS)])

    def call_take(self, a, b, _c):
        server = self.server(a)
        return self.take(server, b) if server and not getattr(server, "_paused", False) else None

    def call_close_server(self, a, b, _c):
        server = self.server(a) if b % 3 == 0 else None
        return server and server.close()

    def call_limit(self, a, b, _c):
        server = self.server(a)
        if not server or 1 + b % 4 > server.maxPendingConnections():
            return None
        return server.setMaxPendingConnections(1 + b % 4)

    def call_wait_connection(self, a, _b, _c):
        server = self.server(a)
        if not server or getattr(server, "_paused", False):
            return None
        return server.waitForNewConnection(0)[0]

    def call_pause(self, a, _b, _c):
        server = self.server(a)
        if not server:
            return None
        server._paused = True
        return server.pauseAccepting()

    def call_resume(self, a, _b, _c):
        server = self.server(a)
        if not server:
            return None
        server._paused = False
        return server.resumeAccepting()

    def call_dial(self, a, _b, _c):
        server = self.server(a)
        if not server or sum(one.open for one in self.peers) >= MOST:
            return None
        self.peers.append(Peer(socket.create_connection(("127.0.0.1", server.serverPort()))))
        return len(self.peers)

    def new_device(self, number):
        if len(self.devices) - len(self.dead) >= MOST:
            return None
        device = QtNetwork.QTcpSocket()
        self.watch_device(device, HABITS[number % len(HABITS)])
        return device

    def connect(self, device, port):
        device.connectToHost(QtNetwork.QHostAddress(QtNetwork.QHostAddress.LocalHost), port)
        return state(device.state())

    def call_connect(self, a, _b, _c):
        device = self.new_device(a)
        return device and self.connect(device, self.listener.getsockname()[1])

    def call_connect_to_server(self, a, b, _c):
        server = self.server(b)
        device = self.new_device(a) if server else None
        return device and self.connect(device, server.serverPort())

    def call_connect_refused(self, a, _b, _c):
        device = self.new_device(a)
        if not device:
            return None
        self.refused.append(device)
        return self.connect(device, self.refusing.getsockname()[1])

    def call_open_again(self, a, _b, _c):
        device = self.device(a)
        return device and self.connect(device, self.listener.getsockname()[1])

    def call_accept(self, _a, _b, _c):
        try:
            made = self.listener.accept()[0]
        except BlockingIOError:
            return None
        self.peers.append(Peer(made))
        return len(self.peers)

    def call_say(self, a, b, _c):
        peer = self.peer(a)
        if not peer or peer.shut:
            return None
        try:
            return peer.socket.send(WORDS[b % len(WORDS)])
        except OSError:
            return "not sent"

    def call_hear(self, a, _b, _c):
        peer = self.peer(a)
        if not peer:
            return None
        peer.hear()
        return peer.heard, peer.ended

    def finish_output(self):
        for place, device in enumerate(self.devices):
            if "D%d" % place not in self.dead:
                device.flush()

    def call_end(self, a, _b, _c):
        peer = self.ending_peer(a)
        if not peer or peer.shut or peer.ended:
            return None
        self.finish_output()
        peer.shut = True
        try:
            return peer.socket.shutdown(socket.SHUT_WR)
        except OSError:
            return "was over"

    def call_leave(self, a, _b, _c):
        peer = self.ending_peer(a)
        if not peer:
            return None
        self.finish_output()
        peer.hear()
        peer.open = False
        return peer.socket.close()

    def call_reset(self, a, _b, _c):
        peer = self.ending_peer(a)
        if not peer:
            return None
        self.finish_output()
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)
        peer.open = False
        return peer.socket.close()

    def call_write(self, a, b, _c):
        device = self.device(a)
        return device and device.write(WORDS[b % len(WORDS)])

    def call_flush(self, a, _b, _c):
        device = self.device(a)
        return device and device.flush()

    def call_read(self, a, b, _c):
        device = self.device(a)
        return device and device.read(1 + b % 20).data()

    def call_read_all(self, a, _b, _c):
        device = self.device(a)
        return device and len(device.readAll())

    def call_read_line(self, a, b, _c):
        device = self.device(a)
        return device and (device.canReadLine(), device.readLine(*([2 + b % 9] if b % 2 else [])).data())

    def call_peek(self, a, b, _c):
        device = self.device(a)
        return device and device.peek(1 + b % 20).data()

    def call_skip(self, a, b, _c):
        device = self.device(a)
        return device and device.skip(1 + b % 20)

    def call_unget(self, a, _b, _c):
        device = self.device(a)
        return device and device.ungetChar("u")

    def call_begin(self, a, _b, _c):
        device = self.device(a)
        if not device or device.isTransactionStarted():
            return None
        return device.startTransaction()

    def call_commit(self, a, _b, _c):
        device = self.device(a)
        if not device or not device.isTransactionStarted():
            return None
        return device.commitTransaction()

    def call_roll_back(self, a, _b, _c):
        device = self.device(a)
        if not device or not device.isTransactionStarted():
            return None
        return device.rollbackTransaction()

    def call_buffer(self, a, b, _c):
        device = self.device(a)
        return device and device.setReadBufferSize((0, 1, 10, 1000)[b % 4])

    def call_disconnect(self, a, _b, _c):
        device = self.device(a)
        return device and device.disconnectFromHost()

    def call_close(self, a, _b, _c):
        device = self.device(a)
        return device and device.close()

    def call_abort(self, a, _b, _c):
        device = self.device(a)
        return device and device.abort()

    def call_delete(self, a, b, _c):
        device = self.device(a) if b % 2 else None
        return device and device.deleteLater()

    def is_full(self, device):
        size = device.readBufferSize()
        return 0 < size <= device.bytesAvailable()

    def call_wait_read(self, a, _b, _c):
        device = self.device(a)
        if not device or int(device.state()) != 3 or self.is_full(device) or device.bytesToWrite():
            return None
        return device.waitForReadyRead(0)

    def call_wait_written(self, a, _b, _c):
        device = self.device(a)
        if not device or int(device.state()) != 3:
            return None
        return device.waitForBytesWritten(0)

    def call_wait_disconnected(self, a, _b, _c):
        device = self.device(a)
        if not device or int(device.state()) not in (3, 6) or self.is_full(device):
            return None
        return device.waitForDisconnected(0)

    def call_wait_connected(self, a, _b, _c):
        device = self.device(a)
        return device and device not in self.refused and device.waitForConnected(1000)

    def call_timer(self, a, b, _c):
        name = "timer %d" % len(self.timers)
        timer = QtCore.QTimer()
        left = [1 + a % 3]

        def fired():
            left[0] -= 1
            self.note(name, "fired")
            if left[0] == 0:
                timer.stop()
        timer.timeout.connect(fired)
        timer.setSingleShot(b % 3 == 0)
        timer.start(0)
        self.timers.append(timer)
        return timer.isActive(), timer.interval()

    def call_block(self, a, b, _c):
        device = self.device(a)
        return device and device.blockSignals(b % 2 == 0)

    # ---- the course ----

    def start(self, step):
        for name, *numbers in step:
            try:
                result = getattr(self, "call_" + name)(*numbers)
            except Exception as exception:  # its class is what is compared
                result = type(exception).__name__
            self.told("%s %s" % (name, result))
            sys.stdout.flush()
            if name in ("end", "leave", "reset", "delete"):
                break  # who writes before the end is known differs by Q13

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
            self.told("    S%d %s %s %s" % (place, server.isListening(), server.hasPendingConnections(),
                                           self.failure(server)))
        for place, device in enumerate(self.devices):
            if "D%d" % place not in self.dead:
                self.told("    D%d %s %s %s in %d out %d line %s descriptor %s peer %s open %d" % (
                    place, state(device.state()), error(device.error()), device.errorString(),
                    device.bytesAvailable(), device.bytesToWrite(), device.canReadLine(),
                    device.socketDescriptor() != -1, device.peerPort() != 0, int(device.openMode())))

    def run(self):
        loop = QtCore.QEventLoop()
        waiting = iter(self.steps)
        quiet, since, seen = 0, time.monotonic(), -1
        ticking = QtCore.QTimer()

        def tick():
            nonlocal quiet, since, seen
            if self.changes != seen:
                quiet, since, seen = 0, time.monotonic(), self.changes
                return
            quiet += 1
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
        for device in self.devices:
            try:
                device.blockSignals(True)
                device.abort()
            except RuntimeError:
                pass
        for server in self.servers:
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
