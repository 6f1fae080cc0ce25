"""Hot restarts of a server that encrypts, by a hand-over that has the key of its tickets.

Visitors connect, shake hands, ask for a page and read it to its orderly end, again and again, while
the server is replaced. Each visit that comes to nothing is a loss; and so is one with a handshake
that does not resume the session of the visit before, whichever process that was with.

Then there is a hand-over while clients stand at each step of a handshake: connected and silent, with
the first byte of a hello, all but its last one, the whole and no answer to the server's, and with half
of their request. They go on when the old process drains, and it is the old one that serves them.
At a hand-over with a crowd of hellos all of them are answered, whenever that is. At another one nobody
goes on: those without a handshake are gone after the idle time of the drain, the others at its deadline,
and the old process with them.
"""

import os
import socket
import ssl
import tempfile
import time

from _restart import (DEADLINE, FULL, NOT_SHAKEN, Successors, judge_times, losses, lost, visit_while)
from _scenario import PATIENCE, Scenario, run, tool, until

STEPS = ("silent", "first byte", "part of a hello", "no answer", "part of a request")
EACH = 8
CROWD = 160  # more than BERTH_DEFAULT_MAX_HANDSHAKES
IDLE = 300  # milliseconds, of the drain that nobody goes on in
REQUEST = b"GET / HTTP/1.0\r\nHost: x\r\n\r\n"


class Slow:
    """A client that goes to a step, and on when it is told to."""

    def __init__(self, port, context, step):
        self.step = step
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.engine = context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.left = b""  # of what is to be sent
        if step == "part of a request":
            self.finish(self.engine.do_handshake)
            self.engine.write(REQUEST[:9])
            self.socket.sendall(self.outgoing.read())
            return
        try:
            self.engine.do_handshake()
        except ssl.SSLWantReadError:
            hello = self.outgoing.read()
        size = {"silent": 0, "first byte": 1, "part of a hello": len(hello) - 1}.get(step, len(hello))
        self.socket.sendall(hello[:size])
        self.left = hello[size:]
        if step == "no answer":
            self.incoming.write(self.receive())  # the server is in its handshake

    def receive(self):
        data = self.socket.recv(65536)
        if not data:
            raise ssl.SSLEOFError("the server has ended the connection")
        return data

    def finish(self, action):
        while True:
            try:
                result = action()
                self.socket.sendall(self.outgoing.read())
                return result
            except ssl.SSLWantReadError:
                self.socket.sendall(self.outgoing.read())
                self.incoming.write(self.receive())

    def go_on(self):
        """The process that has answered, None if there is no whole page."""
        try:
            self.socket.sendall(self.left)
            self.finish(self.engine.do_handshake)
            self.engine.write(REQUEST[9:] if self.step == "part of a request" else REQUEST)
            page = b""
            while more := self.finish(lambda: self.engine.read(65536)):
                page += more
        except ssl.SSLZeroReturnError:
            pass
        except OSError as error:
            print("  a client (%s): %s" % (self.step, error))
            return None
        head, _, body = page.partition(b"\r\n\r\n")
        return int(head.partition(b"\r\nServer: ")[2].split()[0]) if body == b"ok" else None

    def close(self):
        self.socket.close()


def certificate(folder):
    """A certificate with its key in one file."""
    path = os.path.join(folder, "both.pem")
    key = os.path.join(folder, "key.pem")
    run(tool("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-days", "30", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
        "-keyout", key, "-out", path)
    with open(path, "a") as both, open(key) as file:
        both.write(file.read())
    return path


def under_load(scenario, folder, trusted, version):
    rounds = 4 if scenario.short else 100
    name = "TLS 1.%s, " % version
    successors = Successors(scenario, "handover", folder, environment={"CERTIFICATE": trusted})
    visits, moments = visit_while(scenario, successors.port, folder, rounds, successors.replace,
                                  tls=(trusted, version))
    scenario.figure(name + "hand-overs under load", "%d of %d" % (len(moments), rounds),
                    len(moments) == rounds)
    results = [result for _, _, result in visits]
    scenario.figure(name + "visits", "%s; %d without a handshake" % (losses(visits),
                                                                   results.count(NOT_SHAKEN)),
                    lost(visits) - results.count(FULL) == 0 and len(visits) > 4 + rounds)
    scenario.figure(name + "sessions not resumed", results.count(FULL), results.count(FULL) == 0)
    last = successors.server.stop()
    finals = successors.finals + [last]
    scenario.figure(name + "handshakes by the servers", "%d, %d of them resumed" % (
        sum(final["handshakes"] for final in finals), sum(final["resumed"] for final in finals)))
    if not scenario.short:
        judge_times(scenario, visits, moments, name)
    scenario.figure(name + "old process gone after at most", "%.0f ms" % max(successors.gone),
                    max(successors.gone) <= DEADLINE + 100, timing=True)


def backlog(port):
    """How many connections wait in the kernel."""
    with open("/proc/net/tcp") as file:
        for line in file:
            fields = line.split()
            if fields[3] == "0A" and fields[1].endswith(":%04X" % port):
                return int(fields[4].split(":")[1], 16)
    raise RuntimeError("nobody listens on port %d" % port)


def at_each_step(scenario, folder, trusted):
    patient = dict.fromkeys(("deadline", "idle", "handshake"), 1000 * PATIENCE)
    successors = Successors(scenario, "handover", folder, environment={"CERTIFICATE": trusted})
    successors.replace()
    successors.replace(**patient)  # this one will be the old process
    for version in ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3:
        context = ssl.create_default_context(cafile=trusted)
        context.minimum_version = context.maximum_version = version
        clients = [Slow(successors.port, context, step) for step in STEPS for _ in range(EACH)]
        assert until(lambda: not backlog(successors.port))
        old, pid = successors.server, successors.server.pid
        successors.server = successors.begin(**patient)
        assert old.says()["drained_at"] > 0
        answered = [client.go_on() for client in clients]
        for client in clients:
            client.close()
        successors.see_off(old)
        served = sum(1 for each in answered if each == pid)
        scenario.figure("%s, clients that go on after the hand-over" % version.name.replace("v1_", " 1."),
                        "%d of %d served, %d by the old process" % (
                            len(answered) - answered.count(None), len(answered), served),
                        served == len(answered))
    successors.server.stop()


def a_crowd(scenario, folder, trusted):
    """More hellos than handshakes may be in progress: those that wait are not idle."""
    successors = Successors(scenario, "handover", folder, environment={"CERTIFICATE": trusted})
    long = 1000 * PATIENCE
    successors.replace(deadline=long, handshake=long, idle=IDLE)
    context = ssl.create_default_context(cafile=trusted)
    clients = [Slow(successors.port, context, "hello") for _ in range(CROWD)]
    assert until(lambda: not backlog(successors.port))
    old, pid = successors.server, successors.server.pid
    successors.server = successors.begin()
    assert old.says()["drained_at"] > 0
    time.sleep(1.5 * IDLE / 1000)
    answered = [client.go_on() for client in clients]
    for client in clients:
        client.close()
    successors.see_off(old)
    scenario.figure("a crowd of hellos at a hand-over", "%d of %d served, %d by the old process" % (
        len(answered) - answered.count(None), len(answered), answered.count(pid)),
        answered.count(pid) == CROWD)
    successors.server.stop()


def nobody_goes_on(scenario, folder, trusted):
    successors = Successors(scenario, "handover", folder, environment={"CERTIFICATE": trusted})
    context = ssl.create_default_context(cafile=trusted)
    for steps, name, limit in ((STEPS[:3], "silent clients", 1.25 * IDLE), (STEPS, "all", DEADLINE)):
        successors.replace(idle=IDLE)
        clients = [Slow(successors.port, context, step) for step in steps for _ in range(EACH)]
        assert until(lambda: not backlog(successors.port))
        successors.replace(idle=IDLE)
        scenario.figure("old process with %s gone after" % name, "%.0f ms of %d ms" % (
            successors.gone[-1], limit), successors.gone[-1] <= limit + 100, timing=True)
        ended = sum(1 for client in clients if is_over(client.socket))
        scenario.figure("clients (%s) whose connection was ended" % name, "%d of %d" % (
            ended, len(clients)), ended == len(clients))
        for client in clients:
            client.close()
    successors.server.stop()


def is_over(connection):
    try:
        while connection.recv(65536):
            pass
        return True
    except TimeoutError:
        return False
    except OSError:
        return True


with Scenario(29, "hot restart with TLS",
              "100 restarts under load by TLS 1.2 and 1.3: no visit lost, each session resumed; handshakes "
              "that have begun are finished by the old process; it is gone <= deadline + 100 ms; p99 of a "
              "hand-over <= 2x quiet") as scenario, \
        tempfile.TemporaryDirectory() as folder:
    trusted = certificate(folder)
    for version in "3", "2":
        under_load(scenario, folder, trusted, version)
    at_each_step(scenario, folder, trusted)
    a_crowd(scenario, folder, trusted)
    nobody_goes_on(scenario, folder, trusted)
