"""What the interop tests share: the example programs, starting and stopping them, skipping.

A test is a program: it ends with 0 when all held, with 77 and a reason when this machine lacks
something, and with an assertion's traceback otherwise. CMake names the build folder in BERTH_BUILD
and forces a backend with BERTH_BACKEND, which the programs started here inherit. Every wait is
bounded, and every process started is ended by the object that started it.

A port that a test gives back, or counts on by its number, can be another program's a moment later. So
a test that CMake started has a network of its own with nothing but a loopback, where one can be had.
"""

import ctypes
import difflib
import fcntl
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading

BUILD = os.environ.get("BERTH_BUILD", os.path.join(os.path.dirname(__file__), "../../build/debug"))
BACKEND = os.environ.get("BERTH_BACKEND", "")
EXAMPLES = os.path.join(BUILD, "examples")
SOURCES = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
PATIENCE = 20  # seconds; nothing here takes one
PYTHON = "/usr/bin/python3"  # Debian's own, which PySide2 is installed for


CLONE_NEWUSER, CLONE_NEWNET, SIOCSIFFLAGS, IFF_UP = 0x10000000, 0x40000000, 0x8914, 1


def take_own_network():
    unshare = ctypes.CDLL(None).unshare  # as `os.unshare` of Python 3.12
    if unshare(CLONE_NEWNET) and unshare(CLONE_NEWUSER | CLONE_NEWNET):
        return
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH22x", b"lo", IFF_UP))


if "BERTH_OWN_NETWORK" in os.environ:
    take_own_network()


def skip(reason):
    print("skipped:", reason)
    sys.exit(77)


def qt_network():
    """PySide2's two modules, from Debian's python3-pyside2.qtnetwork."""
    try:
        from PySide2 import QtCore, QtNetwork
    except ImportError as error:
        skip("python3-pyside2.qtnetwork is not installed: %s" % error)
    return QtCore, QtNetwork


def program(name):
    path = os.path.join(EXAMPLES, name)
    if not os.path.exists(path):
        skip("%s was not built" % name)
    return path


def script(side, name):
    """The command for one of python/examples: on PySide2, or on the Python module."""
    command = [PYTHON] if side == "PySide2" else [PYTHON, "-m", "berth.run"]
    return [*command, os.path.join(SOURCES, "python/examples", name + ".py")]


def python_sides():
    """The sides that `script` knows here. The module has to be there, PySide2 need not."""
    os.environ["PYTHONPATH"] = os.path.join(BUILD, "python")
    sides = []
    for side, package in (("Berth", "berth"), ("PySide2", "PySide2")):
        tried = subprocess.run([PYTHON, "-c", "from %s import QtCore, QtNetwork" % package],
                               stderr=subprocess.PIPE, timeout=PATIENCE)
        if not tried.returncode:
            sides.append(side)
        elif side == "Berth":
            skip("the Python module cannot be used: %s"
                 % tried.stderr.decode().strip().splitlines()[-1])
    return sides


def same_as(package, script, *arguments):
    """Runs one of the scripts here with PyQt5 or PyQt6 and with the Python module: both have to print
    the same. Skips the test where the package is missing."""
    tried = subprocess.run([PYTHON, "-c", "from %s import QtCore, QtNetwork" % package],
                           stderr=subprocess.PIPE, timeout=PATIENCE)
    if tried.returncode:
        skip("python3-%s is not installed: %s"
             % (package.lower(), tried.stderr.decode().strip().splitlines()[-1]))
    python_sides()
    script = os.path.join(SOURCES, "tests/interop", script)
    printed = []
    for words in ([], ["-m", "berth.run"]):
        done = run([PYTHON, *words, script], *arguments)
        assert done.returncode == 0, (done.args, done.stdout.decode(), done.stderr.decode())
        printed.append(done.stdout.decode().splitlines())
    difference = difflib.unified_diff(*printed, package, "Berth", lineterm="")
    assert printed[0] == printed[1], "\n".join(difference)
    assert printed[0], "nothing was printed"


def command_of(name):
    """A program is named, or given as the command that runs it."""
    return list(name) if isinstance(name, list) else [program(name)]


def run(name, *arguments, **options):
    """Runs a program to its end. Text comes back as bytes: it need not be UTF-8."""
    command = [*command_of(name), *map(str, arguments)]
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=PATIENCE, **options)


def expect_failure(result, *words):
    """One line on standard error with these words in it, nothing on standard output, status 2."""
    lines = result.stderr.decode().splitlines()
    assert result.returncode == 2, (result.returncode, result.stderr)
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith(os.path.basename(result.args[0]) + ": "), lines
    for word in words:
        assert word in lines[0], "'%s' is not in '%s'" % (word, lines[0])
    assert result.stdout == b"", result.stdout


class Listening:
    """A program that says "... port N" in its first line, and serves until it is stopped."""

    def __init__(self, name, *arguments):
        self.errors = tempfile.TemporaryFile()
        command = [*command_of(name), *map(str, arguments)]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=self.errors)
        self.output = []
        self.told = threading.Event()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.told.wait(PATIENCE)
        if not self.output:
            self._end()
            if BACKEND == "io_uring" and "cannot make an event loop" in self.error_text():
                skip("io_uring is refused here: " + self.error_text().strip())
            raise AssertionError("no line from %s: %s" % (name, self.error_text()))
        self.port = int(self.output[0].split(" port ")[1]) if " port " in self.output[0] else 0

    def _read(self):
        for line in self.process.stdout:
            self.output.append(line.decode().rstrip("\n"))
            self.told.set()
        self.told.set()

    def _end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE)
        self.reader.join(PATIENCE)
        self.process.stdout.close()

    def error_text(self):
        # The program writes where the file's one position is, so this must not move it.
        size = os.fstat(self.errors.fileno()).st_size
        return os.pread(self.errors.fileno(), size, 0).decode(errors="replace")

    def stop(self, number=signal.SIGTERM):
        """Sends a signal; returns the exit status. Standard output is complete afterwards."""
        self.process.send_signal(number)
        status = self.process.wait(PATIENCE)
        self.reader.join(PATIENCE)
        return status

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._end()
        if exception[0]:
            print("standard error was:", self.error_text())
        self.errors.close()


class Scripted:
    """A server on a plain socket: serves each connection with the function given, in turn."""

    def __init__(self, serve):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.serve = serve
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while True:
            try:
                connection = self.listener.accept()[0]
            except OSError:
                return
            with connection:
                connection.settimeout(PATIENCE)
                try:
                    self.serve(connection)
                except OSError:
                    pass  # the client has gone: its own output is what is looked at

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(PATIENCE)


def block(text):
    """The wire format, written down a second time."""
    body = text.encode("utf-16-be", errors="surrogatepass")
    return len(body).to_bytes(4, "big") + body


def fetch(port, address="127.0.0.1"):
    """One whole answer of a Fortune server, to the end of the connection."""
    received = b""
    with socket.create_connection((address, port), timeout=PATIENCE) as connection:
        while True:
            more = connection.recv(65536)
            if not more:
                return received
            received += more


TEXTS = [
    "You might have mail.",
    "Two lines\nof one fortune.",
    "Ein Schiff im Hafen ist sicher - für Schiffe gebaut ist er nicht.",
    "七転び八起き",
    "Trust the wind, but row. \U0001f6a3",
]


def fortune_file(folder, texts=None, raw=None):
    """A file in the format of the Unix fortune program."""
    path = os.path.join(folder, "fortunes")
    with open(path, "wb") as file:
        file.write(raw if raw is not None else "\n%\n".join(texts or TEXTS).encode() + b"\n")
    return path
