"""daemon_server for its tests: starting it, asking its Unix socket, and clients that never stop."""

import http.client
import os
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time

import _support

TICK = 0.02


def until(holds, what):
    """Waits, within bounds, for a state that is on its way."""
    give_up = time.monotonic() + _support.PATIENCE
    while not holds():
        assert time.monotonic() < give_up, "in vain: " + what
        time.sleep(TICK)


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def connect(port):
    return socket.create_connection(("127.0.0.1", port), timeout=_support.PATIENCE)


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=_support.PATIENCE)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect("\0" + self.path[1:] if self.path[0] == "@" else self.path)


def get(connection, path="/"):
    """Status and body of one request on a connection of its own."""
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


class Daemon:
    """A daemon_server that is ready, or was expected to fail. Options come as words."""

    def __init__(self, folder, *options, before=(), environment=None, program=None):
        self.admin = os.path.join(folder, "admin.sock")
        self.errors = tempfile.TemporaryFile()
        command = [*before, program or _support.program("daemon_server"), "--admin", self.admin,
                   *map(str, options)]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=self.errors, env={**os.environ, **(environment or {})})
        self.pids = {self.process.pid}
        self.heard = 0

    def wait_until_ready(self):
        self.ports = {}
        for line in self.process.stdout:
            if line == b"ready\n":
                return self
            found = re.match(rb"(\w+) listening on port (\d+)$", line)
            if found:
                self.ports[found.group(1).decode()] = int(found.group(2))
        if _support.BACKEND == "io_uring" and "cannot make an event loop" in self.error_text():
            _support.skip("io_uring is refused here: " + self.error_text().strip())
        raise AssertionError("it did not get ready: " + self.error_text())

    def ask(self, path):
        return get(UnixConnection(self.admin), path)

    def pid(self):
        pid = int(self.ask("/pid")[1])
        self.pids.add(pid)
        return pid

    def successor_of(self, pid):
        """Waits for another process, and returns it: asked once more, the old one may answer, which
        takes what it has accepted when that one was ready."""
        found = [pid]

        def another():
            found.append(self.pid())
            return found[-1] != pid
        until(another, "the successor of %d" % pid)
        return found[-1]

    def metric(self, name, port="web"):
        text = self.ask("/metrics")[1]
        return int(re.search(r'^%s\{port="%s"\} (\d+)$' % (name, port), text, re.M).group(1))

    def is_answered(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
            return other.connect_ex(self.admin) == 0

    def web(self, path="/", port="web"):
        return get(http.client.HTTPConnection("127.0.0.1", self.ports[port],
                                              timeout=_support.PATIENCE), path)

    def signal(self, number, pid=None):
        os.kill(pid or self.process.pid, number)

    def said(self, text):
        """Waits for a text on standard error, behind what was waited for before."""
        until(lambda: text in self.error_text()[self.heard:], "to be told: " + text)
        self.heard = self.error_text().index(text, self.heard) + len(text)

    def error_text(self):
        # The program writes where the file's one position is, so this must not move it.
        size = os.fstat(self.errors.fileno()).st_size
        return os.pread(self.errors.fileno(), size, 0).decode(errors="replace")

    def __enter__(self):
        return self.wait_until_ready()

    def __exit__(self, *exception):
        try:
            self.pid() # of a successor that the test does not know yet
        except OSError:
            pass
        for pid in self.pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait(_support.PATIENCE)
        for pid in self.pids: # a successor is nobody's child here, and listens until it has gone
            until(lambda pid=pid: not os.path.exists("/proc/%d/fd/0" % pid), "the end of %d" % pid)
        # The kernel ends a ring of a killed process later, and what the ring accepts from with it.
        until(lambda: not self.is_answered(), "the end of the listener at " + self.admin)
        self.process.stdout.close()
        if exception[0]:
            print("standard error was:", self.error_text())
        self.errors.close()


class Load:
    """Clients that ask again and again, and connect anew when they are told that the connection ends.
    `failures` has what must not happen. With `refusable`, a client goes when it is refused: a reset
    before the first answer is that too, for a listener that closes resets what it has not accepted."""

    def __init__(self, port, clients=4, refusable=False, source=None):
        self.port, self.refusable, self.source = port, refusable, source
        self.answers, self.failures, self.bodies = 0, [], set()
        self.stopping = False
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self._run, daemon=True) for _ in range(clients)]
        for thread in self.threads:
            thread.start()

    def _connect(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_support.PATIENCE,
                                                source_address=self.source)
        try:
            connection.connect()
        except (ConnectionRefusedError, ConnectionResetError) as error:
            if not self.refusable:
                self.failures.append(error)
            return None
        return connection

    def _run(self):
        connection, answered = None, False
        while not self.stopping and not self.failures:
            if connection is None:
                connection, answered = self._connect(), False
            if connection is None:
                return
            try:
                connection.request("GET", "/")
                answer = connection.getresponse()
                body = answer.read().decode()
            except (OSError, http.client.HTTPException) as error:
                if answered or not self.refusable or not isinstance(error, ConnectionResetError):
                    self.failures.append(error)
                return
            answered = True
            with self.lock:
                self.answers += 1
                self.bodies.add(body)
            if answer.status != 200:
                self.failures.append(answer.status)
            if answer.will_close:
                connection.close()
                connection = None
        if connection:
            connection.close()

    def more(self, number=50):
        """Waits until so many more requests have been answered."""
        aim = self.answers + number
        until(lambda: self.answers >= aim or self.failures, "answers")

    def stop(self):
        self.stopping = True
        for thread in self.threads:
            thread.join(_support.PATIENCE)
        assert not self.failures, self.failures

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.stopping = True
