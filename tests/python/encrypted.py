"""QSslServer, and what QSslSocket has beyond Qt 5."""

import os
import subprocess
import tempfile
import unittest

from _servers import app, settle, until  # an application
from berth.QtNetwork import (QHostAddress, QSsl, QSslCertificate, QSslConfiguration, QSslKey,
                             QSslServer, QSslSocket, QTcpSocket)

folder = tempfile.TemporaryDirectory()
CERTIFICATE = os.path.join(folder.name, "certificate.pem")
KEY = os.path.join(folder.name, "key.pem")


def configuration(*protocols):
    """That of a server."""
    made = QSslConfiguration.defaultConfiguration()
    made.setLocalCertificate(QSslCertificate.fromPath(CERTIFICATE)[0])
    with open(KEY, "rb") as file:
        made.setPrivateKey(QSslKey(file.read(), QSsl.Ec))
    made.setAllowedNextProtocols(list(protocols))
    return made


def client(server, *protocols):
    """A client that trusts the server."""
    made, own = QSslSocket(), QSslConfiguration.defaultConfiguration()
    own.setCaCertificates(QSslCertificate.fromPath(CERTIFICATE))
    own.setAllowedNextProtocols(list(protocols))
    made.setSslConfiguration(own)
    made.connectToHostEncrypted("127.0.0.1", server.serverPort())
    return made


@unittest.skipUnless(QSslSocket.supportsSsl(), "built without OpenSSL")
class Servers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", "30", "-subj", "/CN=localhost", "-addext",
             "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", KEY, "-out", CERTIFICATE],
            check=True, stderr=subprocess.DEVNULL)

    def serving(self, *protocols):
        """A server that listens."""
        server = QSslServer()
        server.setSslConfiguration(configuration(*protocols))
        self.assertTrue(server.listen(QHostAddress.LocalHost))
        return server

    def test_connections_are_announced_when_they_are_encrypted(self):
        server = self.serving()
        announced = []
        server.newConnection.connect(lambda: announced.append(1))
        silent = QTcpSocket()
        silent.connectToHost(QHostAddress(QHostAddress.LocalHost), server.serverPort())
        until(lambda: silent.state() == QTcpSocket.ConnectedState)
        asking = client(server)
        until(server.hasPendingConnections)
        taken = server.nextPendingConnection()
        self.assertIsInstance(taken, QSslSocket)
        self.assertEqual((len(announced), taken.parent() is server, taken.isEncrypted(),
                          int(taken.mode())), (1, True, True, 2))
        until(asking.isEncrypted)
        asking.write(b"question")
        until(lambda: taken.bytesAvailable() == 8)
        taken.write(taken.readAll())
        until(lambda: asking.bytesAvailable() == 8)
        self.assertEqual(asking.readAll().data(), b"question")
        server.close()

    def test_protocols(self):
        server = self.serving(b"h2", b"http/1.1")
        asking = client(server, b"http/1.1")
        until(server.hasPendingConnections)
        taken = server.nextPendingConnection()
        until(asking.isEncrypted)
        for one in (asking, taken):
            found = one.sslConfiguration()
            self.assertEqual(found.nextNegotiatedProtocol().data(), b"http/1.1")
            self.assertEqual(int(found.nextProtocolNegotiationStatus()), 1)

    def test_without_a_certificate(self):
        with self.assertRaises(ValueError):
            QSslServer().listen(QHostAddress.LocalHost)
        socket = QSslSocket()
        problems = []
        socket.errorOccurred.connect(lambda error: problems.append(int(error)))
        socket.startServerEncryption()
        self.assertEqual(problems, [int(socket.SslInvalidUserDataError)])

    def test_a_slot_that_drops_the_socket(self):
        server = self.serving()
        sockets = [QSslSocket() for _ in range(3)]
        sockets[0].sslErrors.connect(lambda errors: sockets.__setitem__(0, None))
        sockets[1].sslErrors.connect(lambda errors: sockets[1].abort())
        sockets[2].sslErrors.connect(lambda errors: sockets[2].deleteLater())
        for one in list(sockets):
            one.connectToHostEncrypted("127.0.0.1", server.serverPort())
        del one
        until(lambda: sockets[0] is None and int(sockets[1].state()) == 0)
        settle()

    def test_what_is_told_of_a_handshake_that_fails(self):
        server, told = self.serving(), []
        server.errorOccurred.connect(lambda device, error: told.append(
            (device.peerAddress(), device.peerPort(), error, device.error(), device.errorString(),
             device.isEncrypted(), device.parent())))
        plain = QTcpSocket()
        plain.connectToHost(QHostAddress(QHostAddress.LocalHost), server.serverPort())
        plain.connected.connect(lambda: plain.write(b"GET / HTTP/1.0\r\n\r\n"))
        until(lambda: told)
        failed = QSslSocket.SslHandshakeFailedError
        self.assertEqual(told[0], (QHostAddress("127.0.0.1"), plain.localPort(), failed, failed,
                                   "The peer speaks plain HTTP", False, server))
        settle()
        self.assertEqual([one for one in server.children() if isinstance(one, QSslSocket)], [])

    def test_a_slot_that_ends_the_server(self):
        def drop(servers):
            servers.clear()

        for end in (drop, lambda servers: servers[0].close(), lambda servers: servers[0].deleteLater()):
            servers, told = [self.serving()], []
            servers[0].errorOccurred.connect(
                lambda *_, told=told, servers=servers, end=end: (told.append(1), end(servers)))
            plain = QTcpSocket()
            plain.connectToHost(QHostAddress(QHostAddress.LocalHost), servers[0].serverPort())
            plain.connected.connect(lambda: plain.write(b"GET / HTTP/1.0\r\n\r\n"))
            until(lambda: told)
            settle()


if __name__ == "__main__":
    unittest.main()
