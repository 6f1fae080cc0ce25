"""The calls of a random program (_program.py), each with what keeps it comparable.

A call returns what the trace says of it, or None if there is nothing to call. Its numbers choose among
the objects that are alive. What Qt does by a defect, and what has no one order, is not asked for:

- Pauses that end by themselves (Q1, Q2, Q3): nothing is taken from a paused server. Limits that are
  raised (Q23). A wait with a full queue (0013), or with a full buffer (Q17).
- Ends of connections that nobody has taken (0004): nothing ends while somebody waits to be taken.
- Output to who ends in the same turn is lost by Qt (Q13), and input that comes to a closed socket
  resets the connection under Qt, which loses output (0063): so nothing ends that the other side has
  just written to, and nothing is written to what has just ended.
- Output of what is deleted, transactions of the connection before, input behind a full buffer that was
  read in part, a wait of no time with output, and ends, waits and writes inside an end (0125).
- What comes to two servers in one turn comes in the poller's order: a step connects to one of them. So do
  an arrival, whose slot may take who waits, and input of who waits: a step has one of them.
  Whether a timer or the network is first, or input or output, is open too: a step with a late call has
  nothing else, and a socket that does something in bytesWritten has not both.
"""

import socket
import struct

from PySide2 import QtCore, QtNetwork

from _kit import error, state

LINGER = struct.pack("ii", 1, 0)
WORDS = (b"a", b"line\n", b"two\nlines\n", b"x" * 100, b"\n", b"longer " * 300)
MOST = 4  # objects of a kind
LONG = 1000  # milliseconds, for a wait that will not be in vain
LOCAL = QtNetwork.QHostAddress(QtNetwork.QHostAddress.LocalHost)

CALLS = (
    "listen", "close_server", "limit", "take", "take", "take", "wait_connection", "pause", "resume",
    "dial", "dial", "dial", "connect", "connect", "connect_to_server", "connect_to_server",
    "connect_refused", "accept", "accept", "say", "say", "say", "say", "hear", "hear", "end", "leave",
    "reset", "write", "write", "write", "write", "flush", "read", "read", "read_all", "read_line",
    "peek", "skip", "unget", "begin", "commit", "roll_back", "buffer", "disconnect", "close", "abort",
    "delete", "wait_read", "wait_read", "wait_written", "wait_disconnected", "wait_connected", "timer",
    "block", "open_again",
    "slot", "slot", "slot", "slot", "slot", "slot", "server_slot", "server_slot", "say_and_wait",
    "end_and_wait", "dial_and_wait", "connect_and_wait", "write_and_wait", "adopt", "adopt_listener",
    "reparent", "delete_server", "option", "late")

HABITS = ("none", "none", "read", "echo", "close", "abort_on_error", "delete", "greet", "disconnect",
          "line", "take_part")

# What a slot does, once, with its own socket or server.
SIGNALS = ("stateChanged", "hostFound", "connected", "readyRead", "readyRead", "readyRead",
           "bytesWritten", "aboutToClose", "readChannelFinished", "disconnected", "errorOccurred")
DEEDS = ("wait_read", "wait_read", "wait_written", "wait_disconnected", "wait_connected", "abort",
         "close", "disconnect", "delete", "read", "read_all", "read_line", "peek", "skip", "unget",
         "write", "flush", "begin", "commit", "roll_back", "buffer", "block", "unhook", "turn",
         "reparent", "open_again")
SERVER_DEEDS = ("take", "wait_connection", "pause", "resume", "close_server", "limit", "turn",
                "delete_server", "take_and_abort", "take_and_delete")
ENDS = {"end", "leave", "reset", "disconnect", "close", "abort", "delete", "open_again",
        "end_and_wait", "delete_server", "reparent"}
SAYS = {"write", "say", "say_more", "say_and_wait", "write_and_wait"}


class Peer:
    """A plain socket."""

    def __init__(self, made):
        self.socket, self.open, self.shut, self.heard, self.ended = made, True, False, 0, ""
        self.met = False  # whether a socket is or was its other side
        self.ports = made.getsockname()[1], made.getpeername()[1]
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



class Calls:
    """What a program calls, and the objects."""

    def __init__(self):
        self.servers, self.devices, self.peers, self.timers = [], [], [], []
        self.refused, self.dead, self.gone = [], set(), set()
        self.ordered, self.answering = set(), set()  # who has slots of output, and who writes in slots
        self.mine = None  # the object whose slot makes the call
        self.changes, self.depth, self.waits = 0, 0, 0
        self.closing, self.failing = frozenset(), frozenset()  # whose end or error calls the slot
        self.reading = frozenset()  # who is in a slot of its readyRead
        self.begin_step()
        self.refusing = socket.socket()
        self.refusing.bind(("127.0.0.1", 0))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setblocking(False)

    def begin_step(self):
        self.said, self.ended, self.arrives, self.late = set(), False, False, False
        self.arrived = None

    def call(self, name, numbers):
        """What a call returned, or the class of what it raised."""
        if (self.ended and name in SAYS) or (self.late and self.mine is None):
            return None
        self.waits += "wait" in name
        try:
            result = getattr(self, "call_" + name)(*numbers)
        except Exception as exception:  # its class is what is compared
            result = type(exception).__name__
        self.waits -= "wait" in name
        self.ended = self.ended or name in ENDS
        self.late = self.late or (name.endswith("_and_wait") and result is not None)
        return result

    @staticmethod
    def done(function):
        """Calls it if it is there."""
        return (function(), "done")[1] if function else None

    # ---- objects ----

    def server(self, number):
        if isinstance(self.mine, QtNetwork.QTcpServer):
            return self.mine
        alive = [one for place, one in enumerate(self.servers)
                 if "S%d" % place not in self.gone and one.isListening()]
        return alive[number % len(alive)] if alive else None

    def living(self):
        return [one for place, one in enumerate(self.devices) if "D%d" % place not in self.dead]

    def device(self, number):
        if self.mine is not None:
            return self.mine
        alive = self.living()
        return alive[number % len(alive)] if alive else None

    def peer(self, number):
        alive = [one for one in self.peers if one.open]
        return alive[number % len(alive)] if alive else None

    def waiting(self):
        """Whether somebody waits to be taken."""
        return any("S%d" % place not in self.gone and server.hasPendingConnections()
                   for place, server in enumerate(self.servers))

    def partner(self, device):
        """The other side of a connection: a peer, a socket, or None if it is not there (yet)."""
        ports = device.localPort(), device.peerPort()
        for other in self.living():
            if other is not device and (other.peerPort(), other.localPort()) == ports:
                return other
        for peer in self.peers:
            if peer.open and peer.ports == ports[::-1]:
                return peer
        return None

    def device_of(self, peer):
        for device in self.living():
            if int(device.state()) == 3 and self.partner(device) is peer:
                return device
        return None

    def ending_peer(self, number):
        peer = None if self.waiting() else self.peer(number)
        if peer and id(peer) in self.said and id(self.device_of(peer)) in self.answering:
            return None
        if peer and self.is_new(peer):
            return None
        if peer:
            for device in self.living():
                device.flush()
        return peer

    def ending(self, number):
        """A socket that may end now. Inside of its end Qt would announce that again (0125)."""
        device = self.device(number)
        if device in self.closing:
            return None
        if not device or self.waiting() or self.is_full(device):
            return None
        if self.mine is not None and self.arrives:
            return None  # whoever arrives waits already, or not yet
        if int(device.state()) in (1, 2) and device not in self.to_listener:
            return None  # its server has not accepted it yet
        if int(device.state()) == 3:
            other = self.partner(device)
            if other is None or id(other) in self.said:
                return None
            if not isinstance(other, Peer) and (other.bytesToWrite() or id(device) in self.said):
                return None
        return device

    # ---- servers ----

    def call_listen(self, a, b, _c):
        if len(self.servers) >= 2:
            return None
        return self.watch_server(QtNetwork.QTcpServer(), a, b).listen(LOCAL, 0)

    def call_adopt_listener(self, a, b, _c):
        if len(self.servers) >= 2 or self.arrives:
            return None
        self.arrives = True
        raw = socket.create_server(("127.0.0.1", 0))
        if b % 2:
            self.peers.append(Peer(socket.create_connection(raw.getsockname())))
        return self.watch_server(QtNetwork.QTcpServer(), a, b).setSocketDescriptor(raw.detach())

    def take(self, server, number):
        device = server.nextPendingConnection()
        if device is None:
            return "nothing"
        return self.watch_device(device, HABITS[number % len(HABITS)])

    def call_take(self, a, b, _c):
        server = self.server(a)
        return self.take(server, b) if server and not getattr(server, "_paused", False) else None

    def call_take_and_abort(self, a, b, _c):
        return self.call_take(a, 0, 0) and self.living() and self.devices[-1].abort()

    def call_take_and_delete(self, a, b, _c):
        return self.call_take(a, 0, 0) and self.living() and self.devices[-1].deleteLater()

    def call_close_server(self, a, b, _c):
        server = self.server(a) if b % 3 == 0 else None
        return server and server.close()

    def call_delete_server(self, a, b, _c):
        server = self.server(a) if b % 4 == 0 else None
        children = [one for one in self.living() if server and one.parent() is server]
        if not server or any(self.mine or not self.quiet(one) for one in children):
            return None
        return self.done(server.deleteLater)

    def quiet(self, device):
        """Whether it can be deleted without loss."""
        kept, self.mine = self.mine, device
        try:
            return self.ending(0) is not None and not device.bytesToWrite()
        finally:
            self.mine = kept

    def call_limit(self, a, b, _c):
        server = self.server(a)
        if not server or 1 + b % 4 > server.maxPendingConnections():
            return None
        server._bursts = True
        return server.setMaxPendingConnections(1 + b % 4)

    def is_queue_full(self, server):
        return server.hasPendingConnections() and server.maxPendingConnections() <= 2 * MOST

    def call_wait_connection(self, a, _b, _c):
        server = self.server(a)
        if not server or getattr(server, "_paused", False) or self.is_queue_full(server):
            return None
        return server.waitForNewConnection(0)[0]

    def call_dial_and_wait(self, a, b, c):
        server = self.server(a)
        if (not server or getattr(server, "_paused", False) or self.is_queue_full(server)
                or not self.call_dial(a, b, c)):
            return None
        return server.waitForNewConnection(LONG)[0]

    def call_pause(self, a, _b, _c):
        server = self.server(a)
        if not server or (self.mine is server and getattr(server, "_bursts", False)):
            return None
        server._paused = server._bursts = True
        return server.pauseAccepting()

    def call_resume(self, a, _b, _c):
        server = self.server(a)
        if not server or self.arrives:
            return None
        server._paused, self.arrives = False, True
        return server.resumeAccepting()

    # ---- connecting ----

    def call_dial(self, a, _b, _c):
        server = self.server(a)
        if not server or self.arrives or sum(one.open for one in self.peers) >= MOST:
            return None
        self.arrives = True
        self.peers.append(Peer(socket.create_connection(("127.0.0.1", server.serverPort()))))
        self.arrived = self.peers[-1]
        return len(self.peers)

    def new_device(self, number):
        if len(self.living()) >= MOST:
            return None
        device = QtNetwork.QTcpSocket()
        self.watch_device(device, HABITS[number % len(HABITS)])
        return device

    def connect(self, device, port):
        device.connectToHost(LOCAL, port)
        return state(device.state())

    def call_connect(self, a, _b, _c):
        device = self.new_device(a)
        if not device:
            return None
        self.to_listener.append(device)
        return self.connect(device, self.listener.getsockname()[1])

    def call_connect_and_wait(self, a, b, c):
        return self.call_connect(a, b, c) and self.devices[-1].waitForConnected(LONG)

    def call_connect_to_server(self, a, b, _c):
        server = None if self.arrives else self.server(b)
        device = self.new_device(a) if server else None
        if not device:
            return None
        self.arrives, self.arrived = True, device
        return self.connect(device, server.serverPort())

    def call_connect_refused(self, a, _b, _c):
        device = self.new_device(a)
        if not device:
            return None
        self.refused.append(device)
        return self.connect(device, self.refusing.getsockname()[1])

    def call_open_again(self, a, _b, _c):
        device = self.ending(a)
        if not device or self.waits:
            return None
        if device.isTransactionStarted():
            device.rollbackTransaction()
        if int(device.state()) == 0:
            self.to_listener.append(device)
        return self.connect(device, self.listener.getsockname()[1])

    def call_adopt(self, a, b, _c):
        device = self.new_device(a)
        if not device:
            return None
        self.peers.append(Peer(socket.create_connection(self.listener.getsockname())))
        self.listener.setblocking(True)
        port = self.peers[-1].socket.getsockname()[1]
        while True:  # those before it become peers as well
            made, where = self.listener.accept()
            if where[1] == port:
                break
            self.peers.append(Peer(made))
        self.listener.setblocking(False)
        if b % 3 == 0:
            self.peers[-1].socket.send(b"early\n")
            self.said.add(id(self.peers[-1]))
        return device.setSocketDescriptor(made.detach())

    def call_accept(self, _a, _b, _c):
        try:
            made = self.listener.accept()[0]
        except BlockingIOError:
            return None
        self.peers.append(Peer(made))
        return len(self.peers)

    # ---- peers ----

    def call_say(self, a, b, _c):
        peer = self.peer(a)
        device = peer and self.device_of(peer)
        if not peer or peer.shut or not (device or self.is_new(peer)):
            return None
        if id(device) in self.ordered and device.bytesToWrite():
            return None
        if not device and not self.may_reach(peer):
            return None
        self.said.add(id(peer))
        return peer.socket.send(WORDS[b % len(WORDS)])

    def may_reach(self, side):
        """Whether something can be sent to who is not taken yet: with the one that arrives, or alone."""
        if self.arrives:
            return side is self.arrived
        self.arrives = True
        return True

    def is_new(self, peer):
        """Whether it waits in a server's backlog or queue."""
        return not peer.met and any(
            "S%d" % place not in self.gone and server.isListening()
            and server.serverPort() == peer.ports[1] for place, server in enumerate(self.servers))

    def call_say_and_wait(self, a, b, c):
        peer = self.peer(a)
        device = peer and not peer.shut and self.device_of(peer)
        if not device or self.is_full(device) or device.bytesToWrite() or not self.call_say(a, b, c):
            return None
        return device.waitForReadyRead(LONG)

    def call_end_and_wait(self, a, b, c):
        peer = self.peer(a)
        device = peer and self.device_of(peer)
        if not device or self.is_full(device) or self.call_end(a, b, c) != "ended":
            return None
        return device.waitForDisconnected(LONG)

    def call_hear(self, a, _b, _c):
        peer = self.peer(a)
        if not peer:
            return None
        peer.hear()
        return peer.heard, peer.ended

    def call_end(self, a, _b, _c):
        peer = self.ending_peer(a)
        if not peer or peer.shut or peer.ended:
            return None
        peer.shut = True
        try:
            peer.socket.shutdown(socket.SHUT_WR)
        except OSError:
            return "was over"
        return "ended"

    def call_leave(self, a, _b, _c):
        peer = self.ending_peer(a)
        if not peer:
            return None
        peer.hear()
        peer.open = False
        return peer.socket.close()

    def call_reset(self, a, _b, _c):
        peer = self.ending_peer(a)
        if not peer:
            return None
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)
        peer.open = False
        return peer.socket.close()

    # ---- output and input ----

    def call_write(self, a, b, _c):
        device = self.device(a)
        if not device or device in self.failing or self.is_full(device):
            return None
        other = self.partner(device)
        if id(device) in self.ordered and id(other) in self.said:
            return None
        if id(other) in self.ordered and other.bytesToWrite():
            return None
        if other is None and int(device.state()) == 3 and not self.may_reach(device):
            return None
        self.said.add(id(device))
        return device.write(WORDS[b % len(WORDS)])

    def call_write_and_wait(self, a, b, c):
        device = self.device(a)
        if not device or int(device.state()) != 3 or self.is_full(device) or not self.call_write(a, b, c):
            return None
        return device.waitForBytesWritten(LONG)

    def call_flush(self, a, _b, _c):
        device = self.device(a)
        return device and device.flush()

    def is_full(self, device):
        size = device.readBufferSize()
        return 0 < size <= device.bytesAvailable()

    def reader(self, number):
        """A socket of which some can be read, and not all."""
        device = self.device(number)
        return None if not device or self.is_full(device) else device

    def call_read(self, a, b, _c):
        device = self.reader(a)
        return device and device.read(1 + b % 20).data()

    def call_read_all(self, a, _b, _c):
        device = self.device(a)
        return device and len(device.readAll())

    def call_read_line(self, a, b, _c):
        device = self.reader(a)
        return device and (device.canReadLine(), device.readLine(*([2 + b % 9] if b % 2 else [])).data())

    def call_peek(self, a, b, _c):
        device = self.device(a)
        return device and device.peek(1 + b % 20).data()

    def call_skip(self, a, b, _c):
        device = self.reader(a)
        return device and device.skip(1 + b % 20)

    def call_unget(self, a, _b, _c):
        device = self.device(a)
        return device and device.ungetChar("u")

    def call_begin(self, a, _b, _c):
        device = self.device(a)
        if (not device or device.isTransactionStarted() or not int(device.openMode())
                or device.readBufferSize()):
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
        if not device or getattr(device, "_reads_parts", False) or device.isTransactionStarted():
            return None
        return device.setReadBufferSize((0, 1, 10, 1000)[b % 4])

    def call_option(self, a, b, _c):
        device = self.device(a)
        if not device or int(device.state()) not in (2, 3) or self.mine is device:
            return None
        option = (QtNetwork.QAbstractSocket.LowDelayOption,
                  QtNetwork.QAbstractSocket.KeepAliveOption)[b % 2]
        before = device.socketOption(option)
        device.setSocketOption(option, b // 2 % 2)
        return before, device.socketOption(option)

    # ---- ends ----

    def call_disconnect(self, a, _b, _c):
        device = self.ending(a)
        return self.done(device and device.disconnectFromHost)

    def call_close(self, a, _b, _c):
        device = self.ending(a)
        return self.done(device and device.close)

    def call_abort(self, a, _b, _c):
        device = self.ending(a)
        return self.done(device and device.abort)

    def call_delete(self, a, b, _c):
        device = self.ending(a) if b % 2 else None
        if not device or device.bytesToWrite() or getattr(device, "_orphaned", False):
            return None
        return self.done(device.deleteLater)

    def call_reparent(self, a, b, _c):
        device = self.device(a)
        if not device:
            return None
        others = [one for one in self.living() if one is not device and one.parent() is not device]
        parent = others[b % len(others)] if others and b % 3 == 0 else None
        device._orphaned = parent is None # PySide2 gives some of them up at once when deleted (0125)
        return device.setParent(parent)

    # ---- waits ----

    def call_wait_read(self, a, _b, _c):
        device = self.waiter(a)
        if not device or self.is_full(device) or device.bytesToWrite():
            return None
        return device.waitForReadyRead(0)

    def waiter(self, number):
        """A connected socket, whose error may end it."""
        device = None if self.waiting() else self.device(number)
        if not device or int(device.state()) != 3 or device in self.failing:
            return None
        return device

    def call_wait_written(self, a, _b, _c):
        device = self.waiter(a)
        return device and device.waitForBytesWritten(0)

    def call_wait_disconnected(self, a, _b, _c):
        device = self.waiter(a)
        if not device or self.is_full(device):
            return None
        return device.waitForDisconnected(0)

    def call_wait_connected(self, a, _b, _c):
        device = self.device(a)
        if not device or device in self.failing or device in self.refused:
            return None
        return device.waitForConnected(LONG)

    # ---- slots ----

    def once(self, signal, name, told, deeds, numbers, only):
        """Does something in the next slot of a signal."""
        left = [1]

        def slot(*_words):
            if not left or self.over:
                return
            left.pop()
            kept, self.mine, closing, failing = self.mine, only, self.closing, self.failing
            if told in ("stateChanged", "aboutToClose", "readChannelFinished"):
                self.closing = closing | {only}
            self.failing = self.closing | ({only} if told == "errorOccurred" else failing)
            reading = self.reading
            if told == "readyRead":
                self.reading = reading | {only}
            self.depth += 1
            try:
                results = ["%s %s" % (deed, self.call(deed, numbers)) for deed in deeds]
            finally:
                self.depth -= 1
                self.mine, self.closing, self.failing = kept, closing, failing
                self.reading = reading
            self.note(name, "(in %s: %s)" % (told, ", ".join(results)))
        signal.connect(slot)

    def call_slot(self, a, b, c):
        device = self.device(a)
        if not device:
            return None
        told, deed = SIGNALS[b % len(SIGNALS)], DEEDS[c % len(DEEDS)]
        if told == "bytesWritten":
            self.ordered.add(id(device))
        if deed == "write":
            self.answering.add(id(device))
        self.once(getattr(device, told), self.name_of(device), told, (deed,), (a, b >> 4, c >> 5),
                  device)
        return told, deed

    def call_server_slot(self, a, b, c):
        server = self.server(a)
        if not server:
            return None
        deed = SERVER_DEEDS[c % len(SERVER_DEEDS)]
        self.once(server.newConnection, "S%d" % self.servers.index(server), "newConnection", (deed,),
                  (a, b, c >> 4), server)
        return deed

    def name_of(self, device):
        return "D%d" % self.devices.index(device)

    def call_unhook(self, a, b, _c):
        return self.mine and getattr(self.mine, SIGNALS[b % len(SIGNALS)]).disconnect()

    def call_turn(self, _a, _b, _c):
        if self.said and isinstance(self.mine, QtNetwork.QTcpServer):
            return None
        return QtCore.QCoreApplication.processEvents()

    def call_late(self, a, b, c):
        """A queued call."""
        device = self.device(a)
        if not device or int(device.state()) in (1, 2) or self.said or self.ended or self.arrives:
            return None
        self.late = True
        deed, name = DEEDS[c % len(DEEDS)], self.name_of(device)
        timer = QtCore.QTimer()
        timer.setSingleShot(True)
        self.timers.append(timer)
        self.once(timer.timeout, name, "timer", (deed,), (a, b >> 4, c >> 5), device)
        timer.start(0)
        return deed

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
