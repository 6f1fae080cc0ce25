"""daemon_server with --tls: reload and hot restart under load, sessions that go on after both, PROXY
headers in front.
"""

import os
import signal
import socket
import ssl
import tempfile
import threading

import _support
import _tls
from _daemon import Daemon, connect, until

REQUEST = b"GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"


class Client:
    """Asks again and again, each time with the session of the time before."""

    def __init__(self, port, version, trusted=None):
        self.port = port
        self.context = ssl.create_default_context(cafile=trusted) if trusted else _tls.trust_all()
        self.context.minimum_version = self.context.maximum_version = version
        self.session = None

    def ask(self, header=b""):
        """(body, whether the session was resumed, the certificate)"""
        plain = connect(self.port)
        plain.sendall(header)
        with self.context.wrap_socket(plain, server_hostname="localhost", session=self.session,
                                      suppress_ragged_eofs=False) as connection:
            connection.sendall(REQUEST)
            received = b""
            while more := connection.recv(65536):
                received += more
            self.session = connection.session
            return (received.split(b"\r\n\r\n", 1)[1].decode(), connection.session_reused,
                    connection.getpeercert(binary_form=True))


class Load:
    """Clients of both versions that never stop."""

    def __init__(self, port, clients=4):
        self.stopping, self.failures, self.bodies = False, [], set()
        self.visits = self.resumed = 0
        self.lock = threading.Lock()
        versions = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3] * (clients // 2)
        self.threads = [threading.Thread(target=self.run, args=(Client(port, version),), daemon=True)
                        for version in versions]
        for thread in self.threads:
            thread.start()

    def run(self, client):
        try:
            client.ask()
            while not self.stopping:
                body, resumed, _ = client.ask()
                with self.lock:
                    self.visits += 1
                    self.resumed += resumed
                    self.bodies.add(body)
        except OSError as error:
            self.failures.append(error)

    def more(self, number=20):
        aim = self.visits + number
        until(lambda: self.visits >= aim or self.failures, "answers")

    def stop(self):
        self.stopping = True
        for thread in self.threads:
            thread.join(_support.PATIENCE)
        assert not self.failures, self.failures
        assert self.resumed == self.visits, (self.resumed, self.visits)


def restarts(folder, place, first, second):
    first.copy_to(place)
    with Daemon(folder, "--listen", "web=127.0.0.1:0", "--listen", "plain=127.0.0.1:0", "--tls",
                "web=" + place.option, "--restart", os.path.join(folder, "restart")) as daemon:
        load = Load(daemon.ports["web"])
        load.more()
        pids = [daemon.pid()]
        for _ in range(3):
            daemon.signal(signal.SIGUSR2, pids[-1])
            pids.append(daemon.successor_of(pids[-1]))
            load.more()
        assert daemon.web(port="plain")[0] == 200
        client = Client(daemon.ports["web"], ssl.TLSVersion.TLSv1_3)
        assert client.ask()[1:] == (False, first.der)
        # A new certificate and key of tickets; a successor has the second one too.
        second.copy_to(place)
        daemon.signal(signal.SIGHUP, pids[-1])
        until(lambda: client.ask()[1] and Client(daemon.ports["web"], ssl.TLSVersion.TLSv1_2).ask()[2] ==
              second.der, "the new certificate")
        with open(place.file, "w") as file:
            file.write("-----BEGIN nonsense")
        daemon.signal(signal.SIGHUP, pids[-1])
        daemon.said("the old certificate stays")
        assert client.ask()[1] and Client(daemon.ports["web"], ssl.TLSVersion.TLSv1_3,
                                          second.file).ask()[2] == second.der
        # A successor that cannot read it fails, and nothing has changed.
        daemon.signal(signal.SIGUSR2, pids[-1])
        daemon.said("the successor has failed, and this process goes on")
        load.more()
        second.copy_to(place)
        daemon.signal(signal.SIGUSR2, pids[-1])
        pids.append(daemon.successor_of(pids[-1]))
        load.more()
        assert client.ask()[1]
        load.stop()
        assert load.bodies == {"process %d, port web, client 127.0.0.1\n" % pid for pid in pids}, load.bodies
        print("%d visits by five processes, each resumed" % load.visits)


def behind_a_proxy(folder, certificate):
    with Daemon(folder, "--listen", "web=127.0.0.1:0", "--proxied", "web", "--tls",
                "web=" + certificate.option) as daemon:
        client = Client(daemon.ports["web"], ssl.TLSVersion.TLSv1_3, certificate.file)
        body, _, _ = client.ask(b"PROXY TCP4 192.0.2.7 192.0.2.8 1234 443\r\n")
        assert body.endswith("client 192.0.2.7\n"), body


def what_cannot_be(folder, certificate):
    for options, words in ((["--tls", "web=" + certificate.option], "no --listen of that name"),
                           (["--listen", "web=127.0.0.1:0", "--tls", "web"], "is no NAME=CERTIFICATE"),
                           (["--listen", "web=127.0.0.1:0", "--tls", "web=" + folder + "/none"],
                            "no such file")):
        _support.expect_failure(_support.run("daemon_server", *options), words)


with tempfile.TemporaryDirectory() as folder:
    place, first, second = (_tls.Certificate(folder, name) for name in ("place", "first", "second"))
    restarts(folder, place, first, second)
    behind_a_proxy(folder, first)
    what_cannot_be(folder, first)
