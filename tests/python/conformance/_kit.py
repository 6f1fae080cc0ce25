"""What the conformance scripts share: names for numbers, traces, loops that end, plain peers.

A script is an ordinary program for PySide2. It prints what happens, in an order that does not
depend on the machine's load, and without ports, descriptors, times and texts of errors: errors are
told by class. It is run on PySide2 and on Berth, and the two traces are compared (see `run`).

Peers are sockets of Python itself, so that only one side is under test. Everything is bounded: a
loop that waits in vain ends the script with a line that says so, and a call that hangs is cut by a
watchdog which needs no interpreter.
"""

import ast
import contextlib
import faulthandler
import io
import os
import resource
import socket
import sys
import threading
import time

from PySide2 import QtCore, QtNetwork

PATIENCE = 20  # seconds, for a whole script; none needs three
faulthandler.dump_traceback_later(PATIENCE, exit=True)

LOCAL = QtNetwork.QHostAddress(QtNetwork.QHostAddress.LocalHost)

ERRORS = dict(enumerate((
    "ConnectionRefused", "RemoteHostClosed", "HostNotFound", "SocketAccess", "SocketResource",
    "SocketTimeout", "DatagramTooLarge", "Network", "AddressInUse", "SocketAddressNotAvailable",
    "UnsupportedSocketOperation", "UnfinishedSocketOperation", "ProxyAuthenticationRequired",
    "SslHandshakeFailed", "ProxyConnectionRefused", "ProxyConnectionClosed",
    "ProxyConnectionTimeout", "ProxyNotFound", "ProxyProtocol", "Operation", "SslInternal",
    "SslInvalidUserData", "Temporary")))
ERRORS[-1] = "Unknown"
STATES = ("Unconnected", "HostLookup", "Connecting", "Connected", "Bound", "Listening", "Closing")
PROTOCOLS = {0: "IPv4", 1: "IPv6", 2: "AnyIP", -1: "unknown"}


def error(value):
    return "%s(%d)" % (ERRORS[int(value)], int(value))


def state(value):
    return "%s(%d)" % (STATES[int(value)], int(value))


def address(value):
    return "%s/%s" % (value.toString() or "none", PROTOCOLS[int(value.protocol())])


def say(*words):
    print(*words, flush=True)


def attempt(what, call, *arguments):
    """Says what a call returned, or the class of what it raised."""
    try:
        say(what, call(*arguments))
    except Exception as exception:  # the class is what is compared
        say(what, "raises", type(exception).__name__)


def watch(device, log=say, name=""):
    """Says every signal of a socket, with the state in which an error is told."""
    prefix = name + ": " if name else ""

    def tell(signal):
        return lambda *words: log(prefix + signal, *words)

    device.stateChanged.connect(lambda value: log(prefix + "stateChanged", state(value)))
    device.errorOccurred.connect(lambda value: log(
        prefix + "errorOccurred", error(value), "while", state(device.state())))
    for signal in ("hostFound", "connected", "readyRead", "bytesWritten", "aboutToClose",
                   "readChannelFinished", "disconnected"):
        getattr(device, signal).connect(tell(signal))


def until(condition, what="a condition"):
    """Turns the loop until something holds."""
    if condition():
        return
    loop = QtCore.QEventLoop()
    timer = QtCore.QTimer()
    give_up = time.monotonic() + PATIENCE / 2

    def look():
        if condition() or time.monotonic() > give_up:
            loop.quit()

    timer.timeout.connect(look)
    timer.start(1)
    loop.exec_()
    if not condition():
        say("waited in vain for", what)
        sys.exit(3)


def settle(milliseconds=60):
    """Turns the loop for a while, so that what should not happen could."""
    loop = QtCore.QEventLoop()
    QtCore.QTimer.singleShot(milliseconds, loop.quit)
    loop.exec_()


def connect(port, host="127.0.0.1", family=socket.AF_INET):
    """A plain client."""
    peer = socket.socket(family)
    peer.settimeout(PATIENCE / 2)
    peer.connect((host, port))
    return peer


def listener(host="127.0.0.1"):
    """A plain listener, and its port."""
    made = socket.create_server((host, 0))
    made.settimeout(PATIENCE / 2)
    return made, made.getsockname()[1]


def accept(from_listener):
    peer = from_listener.accept()[0]
    peer.settimeout(PATIENCE / 2)
    return peer


def refusing_port():
    """A port that stays taken and on which nobody listens, and what holds it."""
    holder = socket.socket()
    holder.bind(("127.0.0.1", 0))
    return holder.getsockname()[1], holder


def take_all_descriptors():
    """Leaves no descriptor to the process. What is returned gives them back when it is called."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = max(int(name) for name in os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (used, limits[1]))
    held = []
    with contextlib.suppress(OSError):
        while True:
            held.append(os.dup(0))

    def give_back():
        for descriptor in held:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    return give_back


def listening(server=None, where=LOCAL):
    server = server or QtNetwork.QTcpServer()
    if not server.listen(where, 0):
        say("cannot listen:", error(server.serverError()))
        sys.exit(3)
    return server


def delivered():
    """A listening server, the socket it has delivered, and the plain peer of that."""
    server = listening()
    peer = connect(server.serverPort())
    until(server.hasPendingConnections, "a connection")
    return server, server.nextPendingConnection(), peer


def connected(device=None):
    """A client that is connected, and its plain peer."""
    device = device or QtNetwork.QTcpSocket()
    at, port = listener()
    device.connectToHost(LOCAL, port)
    until(lambda: int(device.state()) == 3, "the connection")
    peer = accept(at)
    at.close()
    return device, peer


def rest(peer):
    """What a plain peer reads to the end, and how the stream ended."""
    received = b""
    while True:
        try:
            more = peer.recv(65536)
        except ConnectionResetError:
            return received, "reset"
        if not more:
            return received, "end"
        received += more


class Serving:
    """A plain server in a thread that treats its connections, one after the other, as told."""

    def __init__(self, *scripts):
        self.listener, self.port = listener()
        self.scripts = scripts
        self.seen = []
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        for script in self.scripts:
            peer = accept(self.listener)
            with peer, contextlib.suppress(OSError):
                script(peer, self.seen)

    def end(self):
        self.thread.join(PATIENCE / 2)
        self.listener.close()


class Outside:
    """The same in a process of its own, for calls of PySide2 that let no other thread run."""

    def __init__(self, *scripts):
        self.listener, self.port = listener()
        told, tell = os.pipe()
        self.told = os.fdopen(told, "rb")
        self.process = os.fork()
        if self.process:
            os.close(tell)
            self.listener.close()
            return
        seen = []
        for script in scripts:
            with contextlib.suppress(OSError):
                peer = accept(self.listener)
                with peer:
                    script(peer, seen)
        os.write(tell, repr(seen).encode())
        os._exit(0)

    def end(self):
        """What was seen. It is known when the last script has ended."""
        with self.told:
            seen = ast.literal_eval(self.told.read().decode())
        os.waitpid(self.process, 0)
        return seen


def exactly(peer, count):
    """That many bytes from a plain peer, or fewer at its end."""
    received = b""
    while len(received) < count:
        more = peer.recv(count - len(received))
        if not more:
            break
        received += more
    return received


@contextlib.contextmanager
def errors_told():
    """Says the last lines of the tracebacks that are printed inside."""
    kept, sys.stderr = sys.stderr, io.StringIO()
    try:
        yield
    finally:
        printed, sys.stderr = sys.stderr.getvalue(), kept
        lines = printed.splitlines()
        say("tracebacks:", sum(line.startswith("Traceback") for line in lines))
        for line in lines:
            if line and not line.startswith((" ", "Traceback")):
                say("  " + line)
