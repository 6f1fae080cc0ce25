"""Transfers of random length between Berth and Qt, with half-closes and resets among them.

First a client on Qt against our server, then our client against a server on Qt. transfer_peer.c is
the other end of both, and its opening describes the requests and the kinds of their ends. The
seeds are fixed. 300 transfers each way; 10,000 with BERTH_LONG=1 in the environment.
"""
# spec: S3.23 S3.31 S3.32 S3.33 S3.35 Q13

import os
import random
import socket as sockets
import struct
import subprocess
import sys
import tempfile
import time
import zlib

import _support

QtCore, QtNetwork = _support.qt_network()

LONG = os.environ.get("BERTH_LONG", "") not in ("", "0")
COUNT = 10000 if LONG else 300
SECONDS = 500 if LONG else 50  # for each way
SEED = 2011
PEER = os.path.abspath(os.path.join(_support.BUILD, "tests/transfer_peer"))
ABREAST = 8
LENGTH_BITS = 20
NOT_AS_CLIENT = "S"  # a socket of Qt's is over when its peer has ended its direction
QtSocket = QtNetwork.QAbstractSocket


def end_direction(socket):
    """Qt has no call for that."""
    with sockets.socket(fileno=os.dup(int(socket.socketDescriptor()))) as copy:
        copy.shutdown(sockets.SHUT_WR)


def reset(socket):
    with sockets.socket(fileno=os.dup(int(socket.socketDescriptor()))) as copy:
        copy.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, struct.pack("ii", 1, 0))
    socket.abort()


class Transfer:
    """One transfer by Qt's client."""

    def __init__(self, run, number):
        self.run, self.number = run, number
        self.kind = run.random.choice(run.kinds)
        least = 1 if self.kind == "R" else 0  # so that its half is not the whole
        self.length = run.random.randint(least, 1 << run.random.randint(0, LENGTH_BITS))
        self.data = run.random.randbytes(self.length)
        self.answer = self.data + struct.pack("!I", zlib.crc32(self.data))
        self.received = []
        self.reset = False
        self.socket = QtNetwork.QTcpSocket()
        self.socket.connected.connect(self.ask)
        self.socket.bytesWritten.connect(self.asked)
        self.socket.readyRead.connect(self.take)
        self.socket.disconnected.connect(self.end)
        self.socket.connectToHost(QtNetwork.QHostAddress.LocalHost, run.port)

    def ask(self):
        length = self.length // 2 if self.kind == "R" else self.length
        header = struct.pack("!c3xI", self.kind.encode(), self.length)
        self.socket.write(header + self.data[:length])

    def asked(self, _):
        if self.socket.bytesToWrite():
            return
        if self.kind == "H":
            end_direction(self.socket)
        elif self.kind == "R":
            self.reset = True
            reset(self.socket)

    def take(self):
        self.received.append(self.socket.readAll().data())
        if self.kind == "A" and not self.reset:
            self.reset = True
            reset(self.socket)
        elif self.kind == "P" and sum(map(len, self.received)) >= len(self.answer):
            self.socket.disconnectFromHost()

    def end(self):
        if not self.reset:
            self.received.append(self.socket.readAll().data())
        received = b"".join(self.received)
        told = (self.number, self.kind, self.length, len(received), self.socket.errorString())
        assert self.reset == (self.kind in "RA"), told
        if self.kind in "PEH":
            assert received == self.answer, told
        else:
            assert self.answer.startswith(received), told
        if self.kind == "Z":
            assert received != self.answer, told
            assert self.socket.error() == QtSocket.RemoteHostClosedError, told
        self.socket.deleteLater()
        self.run.ended(self)


class Client:
    """Keeps ABREAST transfers on their way until there were COUNT."""

    def __init__(self, port, kinds):
        self.port, self.kinds = port, kinds
        self.random = random.Random(SEED)
        self.begun, self.bytes, self.failure = 0, 0, None
        self.of_kind = dict.fromkeys(kinds, 0)
        self.live = set()
        for _ in range(ABREAST):
            self.begin()

    def begin(self):
        if self.begun < COUNT:
            self.begun += 1
            self.live.add(Transfer(self, self.begun - 1))

    def ended(self, transfer):
        self.of_kind[transfer.kind] += 1
        self.bytes += transfer.length
        self.live.remove(transfer)
        self.begin()


class Request:
    """One connection of Qt's server."""

    def __init__(self, server, socket):
        self.server, self.socket = server, socket
        self.kind, self.length, self.input, self.echoed, self.sum = None, 0, b"", 0, 0
        self.answered = self.complete = False
        socket.readyRead.connect(self.serve)
        socket.bytesWritten.connect(self.sent)
        socket.disconnected.connect(self.end)

    def serve(self):
        self.input += self.socket.readAll().data()
        if self.kind is None and len(self.input) >= 8:
            kind, self.length = struct.unpack("!c3xI", self.input[:8])
            self.kind, self.input = kind.decode(), self.input[8:]
        if self.kind is None:
            return
        if self.answered:
            self.take_receipt()
            return
        if self.kind == "H" and len(self.input) < self.length:
            return
        self.echo(self.length // 2 if self.kind == "Z" else self.length)

    def echo(self, most):
        part = self.input[:most - self.echoed]
        self.input = self.input[len(part):]
        self.echoed += len(part)
        self.sum = zlib.crc32(part, self.sum)
        self.socket.write(part)
        if self.echoed < most:
            return
        self.answered = True
        self.complete = self.kind != "S"
        if self.kind == "Z":
            self.socket.flush()
            reset(self.socket)
            return
        self.socket.write(struct.pack("!I", self.sum))
        if self.kind == "H":
            self.socket.flush()  # before the end is seen: what is left then is dropped
        if self.kind in "EH":
            self.socket.disconnectFromHost()

    def sent(self, _):
        if self.kind == "S" and self.answered and not self.socket.bytesToWrite():
            end_direction(self.socket)

    def take_receipt(self):
        if self.kind == "S" and len(self.input) == 4:
            self.complete = self.input == struct.pack("!I", self.sum)

    def end(self):
        self.server.of_kind[self.kind if self.complete else "broken"] += 1
        self.server.live.remove(self)
        self.socket.deleteLater()


class Server(QtNetwork.QTcpServer):
    def __init__(self):
        super().__init__()
        self.live = set()
        self.of_kind = dict.fromkeys([*"PEHSAZ", "broken"], 0)
        self.newConnection.connect(self.accept)
        assert self.listen(QtNetwork.QHostAddress.LocalHost, 0), self.errorString()

    def accept(self):
        while socket := self.nextPendingConnection():
            self.live.add(Request(self, socket))


def turn_until(done, seconds=SECONDS):
    give_up = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < give_up, "not done within %d seconds" % seconds
        application.processEvents(QtCore.QEventLoop.WaitForMoreEvents, 20)


def qt_asks_us():
    began = time.monotonic()
    with _support.Listening(PEER, "server") as server:
        client = Client(server.port, "PEHRAZ")
        turn_until(lambda: raised or not client.live)
        assert not raised, raised
        # The server has seen the last end when it holds no connection any more.
        turn_until(lambda: len(sockets_of(server.process.pid)) <= 1, _support.PATIENCE)
        assert server.stop() == 0, server.error_text()
        assert server.error_text() == "", server.error_text()
        answered, broken = (int(word) for word in server.output[1].replace(",", "").split()
                            if word.isdigit())
    assert answered + broken == COUNT, server.output
    # Where the client resets at the first bytes of an answer, there may be more of the request.
    assert client.of_kind["R"] <= broken <= client.of_kind["R"] + client.of_kind["A"], \
        (client.of_kind, server.output)
    tell("a client on Qt against our server", client.of_kind, client.bytes, began)


def we_ask_qt():
    began = time.monotonic()
    server = Server()
    command = [_support.program(PEER), "client", str(server.serverPort()), str(COUNT), str(SEED),
               "PEHSRAZ"]
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        client = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors)
        try:
            turn_until(lambda: raised or client.poll() is not None)
            turn_until(lambda: raised or not server.live, _support.PATIENCE)
        finally:
            if client.poll() is None:
                client.kill()
            client.wait(_support.PATIENCE)
            output.seek(0)
            errors.seek(0)
            words, error = output.read().decode().split(), errors.read().decode()
    assert not raised, raised
    assert client.returncode == 0 and error == "", (client.returncode, error)
    told = {kind: int(number) for kind, number in zip(words[0:-2:2], words[1:-2:2])}
    assert sum(told.values()) == COUNT, told
    for kind in "PEHSZ":
        assert server.of_kind[kind] == told[kind], (kind, told, server.of_kind)
    lost = told["R"] + told["A"] - server.of_kind["A"] - server.of_kind["broken"]
    assert lost == 0, (told, server.of_kind)
    tell("our client against a server on Qt", told, int(words[-1]), began)


def sockets_of(process):
    folder = "/proc/%d/fd" % process
    links = []
    for name in os.listdir(folder):
        try:
            links.append(os.readlink(os.path.join(folder, name)))
        except FileNotFoundError:
            pass
    return [link for link in links if link.startswith("socket:")]


def tell(what, of_kind, length, began):
    kinds = ", ".join("%s %d" % item for item in of_kind.items())
    print("%s: %d transfers (%s), %d bytes each way, %.1f s" % (
        what, sum(of_kind.values()), kinds, length, time.monotonic() - began), flush=True)


def note_and_show(kind, error, trace):
    raised.append("%s: %s" % (kind.__name__, error))
    sys.__excepthook__(kind, error, trace)


# A slot that raises does not end the program by itself.
raised = []
sys.excepthook = note_and_show

application = QtCore.QCoreApplication([])
qt_asks_us()
we_ask_qt()
