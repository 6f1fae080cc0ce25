"""What scenario 26 attacks berth-torrent with: a peer that says what it is told to say, a seed that
can be good, slow or a liar, and a tracker that answers whatever bytes it is given.

Every hostile connection comes from its own address of 127.0.0.0/8, since what one does counts
against its address; a good one is never among them.
"""

import fcntl
import itertools
import os
import select
import signal
import socket
import struct
import termios
import threading
import time

import _swarm
from _scenario import PATIENCE, is_sanitized, until
from _swarm import Program, example

BLOCK = 16384
(CHOKE, UNCHOKE, INTERESTED, NOT_INTERESTED, HAVE, BITFIELD, REQUEST, PIECE, CANCEL) = range(9)
(SUGGEST, HAVE_ALL, HAVE_NONE, REJECT, ALLOWED_FAST) = range(13, 18)
EXTENDED = 20
RESET = struct.pack("ii", 1, 0)  # SO_LINGER
counter = itertools.count(1)


def new_address():
    number = next(counter)
    return "127.%d.%d.%d" % (100 + number // 62500, number // 250 % 250, 1 + number % 250)


def free_port(host="127.0.0.1"):
    with socket.create_server((host, 0)) as free:
        return free.getsockname()[1]


def is_open(connection):
    """Whether the other side, which has nothing to say, has not ended it by now."""
    connection.setblocking(False)
    try:
        return connection.recv(1) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


class Torrent:
    """A torrent of one file, with what a peer has to know of it."""

    def __init__(self, name, size, piece=16):
        self.data = _swarm.Data(name, [(name, size)], piece)
        with open(os.path.join(self.data.folder, name), "rb") as file:
            self.bytes = file.read()
        self.name, self.size, self.length = name, size, 1 << piece
        self.count = (size + self.length - 1) // self.length
        self.field = (self.count + 7) // 8
        self.file, info_hash = self.data.torrent()
        self.hash = bytes.fromhex(info_hash)

    def announced(self, url):
        """Another torrent file of the same data; returns its path and hash."""
        path, info_hash = self.data.torrent(url)
        return path, bytes.fromhex(info_hash)

    def block(self, index, begin, length):
        place = index * self.length + begin
        return self.bytes[place:place + length]

    def room(self, pieces=0):
        """A folder with the first pieces already there."""
        folder = self.data.room()
        if pieces:
            with open(os.path.join(folder, self.name), "wb") as file:
                file.write(self.bytes[:pieces * self.length])
                file.truncate(self.size)
        return folder


class Victim(Program):
    """berth-torrent, with what it uses of the machine."""

    def __init__(self, file, folder, options=(), host="127.0.0.1"):
        self.port, self.folder = free_port(), folder
        listen = "%s:%d" % (host, self.port) if host else str(self.port)
        super().__init__([example("berth-torrent"), "--directory", folder, "--listen", listen,
                          "--log", *options, file])

    def ready(self):
        return until(lambda: "pieces are there" in self.log(), PATIENCE)

    def cpu(self):
        with open("/proc/%d/stat" % self.process.pid) as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def status(self, name):
        """A line of /proc/PID/status in bytes, as VmHWM, the most memory since forget_peak."""
        with open("/proc/%d/status" % self.process.pid) as status:
            for line in status:
                if line.startswith(name + ":"):
                    return int(line.split()[1]) * 1024
        return 0

    def forget_peak(self):
        with open("/proc/%d/clear_refs" % self.process.pid, "w") as clear:
            clear.write("5")

    def says(self, text, seconds=10):
        return until(lambda: text in self.log(), seconds)

    def idle_cpu(self, seconds=0.5):
        """The part of a processor that it takes while it has nothing to do."""
        begun, before = time.monotonic(), self.cpu()
        time.sleep(seconds)
        return (self.cpu() - before) / (time.monotonic() - begun)

    def end(self):
        return self.stop(signal.SIGINT, 30)


class Wire:
    """A connection in the protocol of the peers, which checks nothing of what it sends."""

    def __init__(self, torrent, connection, fast=True, info_hash=None, name=None):
        self.torrent, self.socket, self.fast = torrent, connection, fast
        self.hash = info_hash or torrent.hash
        self.name = name or os.urandom(20)
        self.input = b""
        self.choked, self.theirs = True, None
        connection.settimeout(PATIENCE)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.address, self.own_port = connection.getsockname()[:2]

    @classmethod
    def dial(cls, torrent, port, address=None, small=False, **options):
        connection = socket.socket()
        if small:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.bind((address or new_address(), 0))
        connection.settimeout(PATIENCE)
        connection.connect(("127.0.0.1", port))
        return cls(torrent, connection, **options)

    def greet(self):
        """Both handshakes; the other side's peer id is kept."""
        self.raw(self.greeting())
        return self.hear_greeting()

    def greeting(self):
        bits = bytes([0, 0, 0, 0, 0, 0x10, 0, 4 if self.fast else 0])
        return b"\x13BitTorrent protocol" + bits + self.hash + self.name

    def hear_greeting(self):
        while len(self.input) < 68:
            if not self.more():
                return False
        self.theirs = self.input[48:68]
        self.input = self.input[68:]
        return True

    def raw(self, data):
        """False if the other side has ended it."""
        try:
            self.socket.sendall(data)
            return True
        except OSError:
            return False

    def send(self, kind, body=b""):
        return self.raw(struct.pack(">IB", 1 + len(body), kind) + body)

    def numbers(self, kind, *numbers):
        return self.send(kind, struct.pack(">%dI" % len(numbers), *numbers))

    def more(self, seconds=PATIENCE):
        self.socket.settimeout(seconds)
        try:
            data = self.socket.recv(65536)
        except OSError:
            return False
        finally:
            self.socket.settimeout(PATIENCE)
        self.input += data
        return bool(data)

    def receive(self, seconds=PATIENCE):
        """The next message as (kind, body), of a keep-alive (None, b""); None if there is none."""
        end = time.monotonic() + seconds
        while True:
            if len(self.input) >= 4:
                length = struct.unpack_from(">I", self.input)[0]
                if len(self.input) >= 4 + length:
                    message = self.input[4:4 + length]
                    self.input = self.input[4 + length:]
                    if message and message[0] <= UNCHOKE:
                        self.choked = message[0] == CHOKE
                    return (message[0], message[1:]) if message else (None, b"")
            left = end - time.monotonic()
            if left <= 0 or not self.more(left):
                return None

    def wait_for(self, kind, seconds=10):
        """The body of the next message of a kind; None if it does not come."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            message = self.receive(end - time.monotonic())
            if message is None:
                return None
            if message[0] == kind:
                return message[1]
        return None

    def drain(self):
        """Takes what has come by now."""
        while select.select([self.socket], [], [], 0)[0] and self.more(1):
            pass
        while self.receive(0):
            pass

    def untaken(self):
        """The bytes that have come, and of which no message was made yet."""
        size = fcntl.ioctl(self.socket, termios.FIONREAD, bytes(4))
        return len(self.input) + struct.unpack("i", size)[0]

    def ended(self, seconds=10):
        """Whether the other side ends it."""
        end = time.monotonic() + seconds
        self.socket.settimeout(0.5)
        while time.monotonic() < end:
            try:
                if not self.socket.recv(1 << 20):
                    return True
            except socket.timeout:
                continue
            except OSError:
                return True
        return False

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.socket.close()

    def close(self):
        self.socket.close()


class Seed(threading.Thread):
    """A peer that has everything and gives it, on an address of its own.

    `pace`: seconds for each block. `spoil(index, begin, block)` returns what is sent instead, or
    None to send nothing. `most`: blocks, after which it is gone and its port is closed. `hold`:
    blocks, after which it only keeps its connection alive until `allow` or `release` is called.
    `held`: the time when it came to that, and the blocks by then.
    """

    def __init__(self, torrent, pace=0.0, spoil=None, most=None, hold=None):
        super().__init__(daemon=True)
        self.torrent, self.pace, self.spoil, self.most = torrent, pace, spoil, most
        self.hold, self.held = hold, None
        self.address = new_address()
        self.listener = socket.create_server((self.address, 0), backlog=100)
        self.port = self.listener.getsockname()[1]
        self.given = 0
        self.gone = False
        self.wires = []
        self.lock = threading.Condition()
        self.start()

    @property
    def option(self):
        return ["--peer", "%s:%d" % (self.address, self.port)]

    def run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def dial(self, port):
        """Goes to a leecher by itself."""
        wire = Wire.dial(self.torrent, port, self.address)
        threading.Thread(target=self.talk, args=(wire, True), daemon=True).start()

    def serve(self, connection):
        self.talk(Wire(self.torrent, connection), False)

    def talk(self, wire, first):
        self.wires.append(wire)
        if first and not wire.raw(wire.greeting()):
            return
        while len(wire.input) < 48:
            if not wire.more():
                return
        wire.hash = wire.input[28:48]
        if not first and not wire.raw(wire.greeting()):
            return
        if not wire.hear_greeting():
            return
        wire.send(HAVE_ALL)
        wire.send(UNCHOKE)
        while not self.gone:
            message = wire.receive(300)
            if message is None:
                break
            if message[0] == REQUEST:
                self.give(wire, *struct.unpack(">III", message[1]))
        wire.close()

    def release(self):
        with self.lock:
            self.pace, self.hold = 0, None
            self.lock.notify_all()

    def allow(self, blocks):
        """These may be given from now on, however many were before."""
        with self.lock:
            if self.hold is not None:
                self.hold = max(self.hold, self.given + blocks)
            self.lock.notify_all()

    def holds(self):
        return self.hold is not None and self.given >= self.hold

    def give(self, wire, index, begin, length):
        if self.pace:
            time.sleep(self.pace)
        with self.lock:
            if self.holds() and not self.held:
                self.held = time.monotonic(), self.given
            while not self.lock.wait_for(lambda: not self.holds(), 30):
                wire.raw(bytes(4))
            if self.most is not None and self.given >= self.most:
                self.leave()
                return
            block = self.torrent.block(index, begin, length)
            if self.spoil:
                block = self.spoil(index, begin, block)
            self.given += 1
        if block is not None:
            wire.send(PIECE, struct.pack(">II", index, begin) + block)

    def leave(self):
        self.gone = True
        self.listener.close()
        for wire in self.wires:
            try:
                wire.socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class BadTracker(threading.Thread):
    """Calls `answers[PATH](connection)` for each request, on a thread of its own."""

    def __init__(self, answers):
        super().__init__(daemon=True)
        self.answers = answers
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.port = self.listener.getsockname()[1]
        self.requests = {}
        self.start()

    def url(self, path, port=None):
        return "http://127.0.0.1:%d/%s" % (self.port, path)

    def run(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        connection.settimeout(PATIENCE)
        request = b""
        try:
            while b"\r\n\r\n" not in request:
                data = connection.recv(65536)
                if not data:
                    return
                request += data
            path = request.split(b" ")[1].decode().lstrip("/").split("?")[0]
            self.requests.setdefault(path, []).append((time.monotonic(), request.decode()))
            self.answers[path](connection, request.decode())
        except (OSError, KeyError):
            pass
        finally:
            connection.close()


def memory_counts():
    return not is_sanitized()
