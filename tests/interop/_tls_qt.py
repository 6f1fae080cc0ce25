"""Encrypted transfers between Berth and a version of Qt, in both roles.

tls_peer.c is Berth's end, and its opening describes the requests. tls_qt5.py and tls_qt6.py say which
Qt it is: the two are not loaded into one process.
"""

import os
import struct
import subprocess
import sys
import tempfile
import time

import _support
import _tls

PEER = os.path.abspath(os.path.join(_support.BUILD, "tests/tls_peer"))
MEBIBYTE = 1 << 20
SHORT = 1000
WAIT = _support.PATIENCE


def byte_table():
    """As in tls_peer.c."""
    return bytes((at * 7 + at // 251) & 255 for at in range(MEBIBYTE))


DATA = byte_table()


class Certificates:
    def __init__(self, folder):
        self.authority = _tls.Certificate(folder, "authority", names="DNS:nobody.example")
        self.server = _tls.Certificate(folder, "server", by=self.authority)
        self.client = _tls.Certificate(folder, "client", by=self.authority)
        self.stranger = _tls.Certificate(folder, "stranger")


class Qt:
    """What the two versions call differently, and a loop that turns until something holds."""

    def __init__(self, QtCore, QtNetwork, make_server):
        self.core, self.network, self.make_server = QtCore, QtNetwork, make_server
        self.raised = []
        sys.excepthook = self.note  # a slot that raises does not end the program by itself
        if not QtNetwork.QSslSocket.supportsSsl():
            _support.skip("Qt finds no TLS library")
        self.application = QtCore.QCoreApplication([])
        protocols = QtNetwork.QSsl.SslProtocol
        self.versions = {2: protocols.TlsV1_2, 3: protocols.TlsV1_3}

    def note(self, kind, error, trace):
        self.raised.append("%s: %s" % (kind.__name__, error))
        sys.__excepthook__(kind, error, trace)

    def until(self, done, what):
        give_up = time.monotonic() + WAIT
        while not done():
            assert not self.raised, self.raised
            assert time.monotonic() < give_up, what() if callable(what) else what
            self.application.processEvents(
                self.core.QEventLoop.ProcessEventsFlag.WaitForMoreEvents, 20)
        assert not self.raised, self.raised

    def certificate(self, mine):
        with open(mine.file, "rb") as file:
            return self.network.QSslCertificate(file.read())

    def configuration(self, trusted, mine=None, version=None, protocols=(), verify=True):
        result = self.network.QSslConfiguration.defaultConfiguration()
        result.setCaCertificates([self.certificate(trusted)])
        if mine:
            with open(mine.key, "rb") as file:
                result.setPrivateKey(self.network.QSslKey(file.read(),
                                                          self.network.QSsl.KeyAlgorithm.Ec))
            result.setLocalCertificate(self.certificate(mine))
        if version:
            result.setProtocol(self.versions[version])
        result.setAllowedNextProtocols([name.encode() for name in protocols])
        modes = self.network.QSslSocket.PeerVerifyMode
        result.setPeerVerifyMode(modes.VerifyPeer if verify else modes.VerifyNone)
        result.setSslOption(self.network.QSsl.SslOption.SslOptionDisableSessionPersistence, False)
        return result


def fields(line):
    return dict(word.split("=", 1) for word in line.split() if "=" in word)


# ---- Qt asks ----


class Client:
    """One request by Qt to Berth's server, to the end of the connection."""

    def __init__(self, qt, port, configuration, name="localhost", kind="P", length=SHORT, starttls=False):
        self.qt, self.kind, self.data, self.starttls = qt, kind, DATA[:length], starttls
        self.received, self.problems, self.over, self.protocol = b"", [], False, None
        self.ticket = b""
        self.socket = qt.network.QSslSocket()
        self.socket.setSslConfiguration(configuration)
        self.socket.encrypted.connect(self.ask)
        self.socket.readyRead.connect(self.take)
        self.socket.disconnected.connect(self.end)
        self.socket.sslErrors.connect(
            lambda problems: self.problems.extend(each.errorString() for each in problems))
        if starttls:
            self.socket.setPeerVerifyName(name)
            self.socket.connected.connect(lambda: self.socket.write(b"STARTTLS\r\n"))
            self.socket.connectToHost("localhost", port)
        else:
            self.socket.connectToHostEncrypted("localhost", port, name)

    def ask(self):
        header = struct.pack("!c3xI", self.kind.encode(), len(self.data))
        self.socket.write(header + self.data)

    def take(self):
        if self.starttls and not self.socket.isEncrypted():
            if self.socket.canReadLine():
                assert bytes(self.socket.readLine()) == b"GO\r\n"
                self.socket.startClientEncryption()
            return
        self.received += bytes(self.socket.readAll())
        now = self.socket.sslConfiguration()
        self.ticket = bytes(now.sessionTicket()) or self.ticket
        self.protocol = bytes(now.nextNegotiatedProtocol()).decode()
        self.version = self.socket.sessionProtocol()
        if self.kind == "P" and len(self.received) == len(self.data):
            self.socket.disconnectFromHost()

    def end(self):
        self.received += bytes(self.socket.readAll())
        self.over = True

    def run(self):
        states = self.qt.network.QAbstractSocket.SocketState
        self.qt.until(lambda: self.over or self.socket.state() == states.UnconnectedState,
                      lambda: "%d of %d bytes: %s" % (len(self.received), len(self.data),
                                                      self.socket.errorString()))
        return self

    def whole(self):
        self.run()
        assert self.received == self.data, (len(self.received), self.socket.errorString(), self.problems)
        return self


class Server(_support.Listening):
    def __init__(self, mine, *options):
        super().__init__(PEER, "server", "certificate=" + mine.file, "key=" + mine.key, *options)
        self.seen = 1  # lines

    def line(self, qt):
        """The next line that it says."""
        qt.until(lambda: len(self.output) > self.seen, self.output)
        self.seen += 1
        return self.output[self.seen - 1]


def qt_asks(qt, certificates):
    for version in 2, 3:
        with Server(certificates.server, "protocols=two,one") as server:
            # A mebibyte both ways, either end first; the names, and the application's protocol.
            for kind in "P", "E":
                configuration = qt.configuration(certificates.authority, version=version,
                                                 protocols=["none", "one", "two"])
                client = Client(qt, server.port, configuration, kind=kind, length=MEBIBYTE).whole()
                told = fields(server.line(qt))
                assert client.protocol == told["protocol"] == "two", (client.protocol, told)
                assert client.version == qt.versions[version], client.version
                assert told["version"] == "1.%d" % version and told["name"] == "localhost", told
                assert told["whole"] == "1" and told["bytes"] == str(MEBIBYTE), told
                if kind == "P":  # Qt's own end is an orderly one
                    assert told["truncated"] == "0", told
            # The session goes on in the next connections.
            configuration = qt.configuration(certificates.authority, version=version, protocols=["one"])
            ticket, resumed = b"", []
            for _ in range(3):
                if ticket:
                    configuration.setSessionTicket(ticket)
                client = Client(qt, server.port, configuration).whole()
                ticket = client.ticket
                assert ticket, "Qt has no ticket"
                resumed.append(fields(server.line(qt))["resumed"])
            assert resumed == ["0", "1", "1"], (version, resumed)
            # No protocol in common; a name that the certificate is not for; a stranger's certificate.
            for protocols, name, trusted, word in (
                    (["none"], "localhost", certificates.authority, "protocol"),
                    ([], "other.example", certificates.authority, ""),
                    ([], "localhost", certificates.stranger, "")):
                client = Client(qt, server.port, qt.configuration(trusted, version=version,
                                                                  protocols=protocols), name=name).run()
                line = server.line(qt)
                assert client.received == b"", (name, client.received)
                assert word in line, line
            assert server.stop() == 0 and server.error_text() == "", server.error_text()
        with Server(certificates.server, "verify=1", "authorities=" + certificates.authority.file) as server:
            for mine, good in ((certificates.client, True), (None, False), (certificates.stranger, False)):
                client = Client(qt, server.port, qt.configuration(certificates.authority, mine, version))
                line = (client.whole() if good else client.run()) and server.line(qt)
                if good:
                    assert fields(line)["verified"] == "1", line
                else:
                    assert line.startswith("failed ") and client.received == b"", line
        with Server(certificates.server, "starttls=1") as server:
            for kind in "P", "E":
                client = Client(qt, server.port, qt.configuration(certificates.authority, version=version),
                                kind=kind, length=100000, starttls=True).whole()
                told = fields(server.line(qt))
                assert told["version"] == "1.%d" % version and told["whole"] == "1", told


# ---- Berth asks ----


class Connection:
    """One connection of Qt's server, as tls_peer.c serves it."""

    def __init__(self, socket):
        self.socket, self.input, self.kind, self.length, self.echoed = socket, b"", None, 0, 0
        self.over, self.protocol, self.peer, self.error = False, "", False, None
        socket.readyRead.connect(self.serve)
        socket.disconnected.connect(self.end)
        self.note()
        if socket.bytesAvailable():
            self.serve()

    def note(self):
        now = self.socket.sslConfiguration()
        self.protocol = bytes(now.nextNegotiatedProtocol()).decode()
        self.peer = not self.socket.peerCertificate().isNull()

    def serve(self):
        if not self.socket.isEncrypted():
            if self.socket.canReadLine():
                assert bytes(self.socket.readLine()) == b"STARTTLS\r\n"
                self.socket.write(b"GO\r\n")
                self.socket.startServerEncryption()
            return
        self.note()
        self.input += bytes(self.socket.readAll())
        if self.kind is None and len(self.input) >= 8:
            kind, self.length = struct.unpack("!c3xI", self.input[:8])
            self.kind, self.input = kind.decode(), self.input[8:]
        if self.kind is None:
            return
        self.socket.write(self.input)
        self.echoed += len(self.input)
        self.input = b""
        if self.kind == "E" and self.echoed == self.length:
            self.socket.disconnectFromHost()

    def end(self):
        self.error = self.socket.error()
        self.over = True


class Asking:
    """Berth's client, while Qt's loop turns."""

    def __init__(self, qt, server, trusted, *options, mine=None):
        command = [_support.program(PEER), "client", str(server.port()), "authorities=" + trusted.file,
                   *options]
        if mine:
            command += ["certificate=" + mine.file, "key=" + mine.key]
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            client = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors)
            try:
                qt.until(lambda: client.poll() is not None, "Berth's client does not end")
            finally:
                if client.poll() is None:
                    client.kill()
                client.wait(WAIT)
            output.seek(0)
            errors.seek(0)
            self.told = [fields(line) for line in output.read().decode().splitlines()]
            self.error = errors.read().decode()
        if _support.BACKEND == "io_uring" and "cannot make an event loop" in self.error:
            _support.skip("io_uring is refused here: " + self.error.strip())
        self.status = client.returncode

    def good(self):
        assert self.status == 0 and self.error == "", (self.status, self.error)
        assert all(told["whole"] == "1" for told in self.told), self.told
        return self.told


def berth_asks(qt, certificates):
    for version in 2, 3:
        def configuration(**more):
            return qt.configuration(certificates.authority, certificates.server, version,
                                    **{"verify": False, **more})
        server = qt.make_server(qt, configuration(protocols=["two", "one"]))
        for kind in "P", "E":
            told = Asking(qt, server, certificates.authority, "kind=" + kind, "length=%d" % MEBIBYTE,
                          "protocols=none,one,two").good()[0]
            qt.until(lambda: server.taken and server.taken[-1].over, "Qt does not see the end")
            seen = server.taken[-1]
            assert told["version"] == "1.%d" % version and told["name"] == "localhost", told
            assert told["verified"] == "1" and told["certificate"] == "1", told
            assert told["protocol"] == seen.protocol, (told, seen.protocol)
            assert seen.kind == kind and seen.echoed == MEBIBYTE, (seen.kind, seen.echoed)
            if kind == "E":  # Qt's own end is an orderly one
                assert told["truncated"] == "0", told
            print("Qt's server, TLS 1.%d, kind %s: protocol '%s'" % (version, kind, told["protocol"]))
        told = Asking(qt, server, certificates.authority, "count=3").good()
        print("Qt's server, TLS 1.%d: resumed %s" % (version, [each["resumed"] for each in told]))
        for options, trusted, words in (
                (["name=other.example"], certificates.authority, "not for the name other.example"),
                ([], certificates.stranger, "authority")):
            asked = Asking(qt, server, trusted, *options)
            assert asked.status == 1 and words in asked.error, (asked.status, asked.error)
        server.close()
        server = qt.make_server(qt, configuration(verify=True))
        for mine, good in ((certificates.client, True), (None, False), (certificates.stranger, False)):
            asked = Asking(qt, server, certificates.authority, mine=mine)
            if good:
                asked.good()
                qt.until(lambda: server.taken[-1].over, "Qt does not see the end")
                assert server.taken[-1].peer, "Qt has not seen the client's certificate"
            else:
                assert asked.status == 1, (asked.status, asked.told)
                print("without a good certificate:", asked.error.strip())
        server.close()
        server = qt.make_server(qt, configuration(), starttls=True)
        for kind in "P", "E":
            told = Asking(qt, server, certificates.authority, "name=localhost", "starttls=1",
                          "kind=" + kind, "length=100000").good()
            assert told[0]["version"] == "1.%d" % version and told[0]["verified"] == "1", told
        server.close()


def run(QtCore, QtNetwork, make_server):
    _support.program(PEER)
    qt = Qt(QtCore, QtNetwork, make_server)
    with tempfile.TemporaryDirectory() as folder:
        certificates = Certificates(folder)
        qt_asks(qt, certificates)
        berth_asks(qt, certificates)
