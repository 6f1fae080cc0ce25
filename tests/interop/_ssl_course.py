"""What tls_pyqt6.py runs with PyQt6 and with the Python module: the course of encrypted connections.

    _ssl_course.py CERTIFICATE KEY OTHER-CERTIFICATE OTHER-KEY
"""

import socket
import sys

from PyQt6.QtCore import QCoreApplication, QElapsedTimer, QEventLoop
from PyQt6.QtNetwork import (QAbstractSocket, QHostAddress, QSsl, QSslCertificate, QSslConfiguration,
                             QSslKey, QSslServer, QSslSocket)

PATIENCE = 20000
LOCAL = QHostAddress(QHostAddress.SpecialAddress.LocalHost)


def until(condition, what):
    clock = QElapsedTimer()
    clock.start()
    while not condition():
        assert clock.elapsed() < PATIENCE, what
        QCoreApplication.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents, 100)


def say(*words):
    print(*words, flush=True)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def closed(device):
    return device.state() == QAbstractSocket.SocketState.UnconnectedState


def serve(certificate, key, verify=QSslSocket.PeerVerifyMode.AutoVerifyPeer, authorities=()):
    configuration = QSslConfiguration.defaultConfiguration()
    configuration.setLocalCertificate(certificate)
    configuration.setPrivateKey(key)
    configuration.setPeerVerifyMode(verify)
    configuration.setCaCertificates(list(authorities))
    server = QSslServer()
    server.setSslConfiguration(configuration)
    server.taken, server.failures = [], []

    def take():
        while (device := server.nextPendingConnection()) is not None:
            server.taken.append(device)
            watch("server", device)
            say("server: took", type(device).__name__, device.mode().name, device.isEncrypted(),
                device.peerCertificate().isNull(), device.peerCertificate().subjectInfo(
                    QSslCertificate.SubjectInfo.CommonName), device.parent() is server)

    server.pendingConnectionAvailable.connect(take)
    server.errorOccurred.connect(lambda device, error: server.failures.append(
        (type(device).__name__, error.name, device.parent() is server)))
    server.acceptError.connect(lambda error: say("server: acceptError", error.name))
    assert server.listen(LOCAL, 0), server.errorString()
    return server


def watch(name, device):
    device.encrypted.connect(lambda: say("%s: encrypted" % name))
    device.disconnected.connect(lambda: say("%s: disconnected" % name))
    device.peerVerifyError.connect(lambda error: say("%s: peerVerifyError" % name, error.error().name))
    device.sslErrors.connect(lambda errors: say("%s: sslErrors" % name, [
        (error.error().name, error.errorString()) for error in errors]))
    device.errorOccurred.connect(lambda error: tell_error(name, device, error))


def tell_error(name, device, error):
    if device.errorString() == "The TLS/SSL connection has been closed":
        return  # Qt tells the end twice, and this is the first time
    text = device.errorString()
    if text.startswith("Error during SSL handshake") or text == "The peer does not speak TLS":
        text = "of OpenSSL, or Berth's own"
    say("%s: errorOccurred" % name, error.name, text, device.state().name)


def dial(server, authorities, name="localhost", own=None):
    device = QSslSocket()
    watch("client", device)
    configure(device, authorities, own)
    device.connectToHostEncrypted("127.0.0.1", server.serverPort(), name)
    return device


def configure(device, authorities, own=None):
    configuration = QSslConfiguration.defaultConfiguration()
    configuration.setCaCertificates(list(authorities))
    device.setSslConfiguration(configuration)
    if own is not None:
        device.setLocalCertificate(own[0])
        device.setPrivateKey(own[1])


def leave(client, server):
    client.disconnectFromHost()
    until(lambda: closed(client) and all(map(closed, server.taken)), "both ends")


def trusted(own, _other):
    server = serve(*own)
    client = dial(server, own[:1])
    say(client.state().name, client.mode().name, client.isEncrypted())
    until(lambda: client.isEncrypted() and server.taken, "the handshake")
    say(client.peerCertificate() == own[0], client.peerName(), client.peerVerifyName(),
        client.sessionProtocol().name, client.sessionCipher().isNull(), client.sslHandshakeErrors())
    client.write(b"question")
    until(lambda: server.taken[0].bytesAvailable() == 8, "the question")
    say(server.taken[0].readAll(), server.taken[0].sessionProtocol().name)
    server.taken[0].write(b"answer")
    until(lambda: client.bytesAvailable() == 6, "the answer")
    say(client.read(6), server.sslConfiguration().localCertificate() == own[0],
        server.handshakeTimeout())
    leave(client, server)


def both_known(own, other):
    server = serve(*own, QSslSocket.PeerVerifyMode.VerifyPeer, other[:1])
    client = dial(server, own[:1], own=other)
    until(lambda: client.isEncrypted() and server.taken, "the handshake")
    say(server.taken[0].peerCertificate() == other[0])
    leave(client, server)


def untrusted(own, other):
    server = serve(*own)
    client = dial(server, other[:1])
    until(lambda: closed(client), "the refusal")
    say(client.error().name, client.isEncrypted(), client.mode().name,
        [error.error().name for error in client.sslHandshakeErrors()])
    client = dial(server, own[:1], name="elsewhere.test")
    until(lambda: closed(client), "the refusal of the name")
    say(client.error().name, [error.error().name for error in client.sslHandshakeErrors()])


def ignored(own, other):
    server = serve(*own)
    client = dial(server, other[:1])
    client.sslErrors.connect(lambda _errors: client.ignoreSslErrors())
    until(lambda: client.isEncrypted() and server.taken, "the handshake")
    say([error.error().name for error in client.sslHandshakeErrors()])
    leave(client, server)


def of_an_unknown_client(own, other):
    """The server wants a certificate that it knows; there is one that it does not, or none. Qt has lost
    the server's alert then and tells of an end, Berth of a handshake that failed."""
    for shown in (other, None):
        server = serve(*own, QSslSocket.PeerVerifyMode.VerifyPeer, own[:1])
        client = QSslSocket()
        configure(client, own[:1], shown)
        client.encrypted.connect(lambda: say("client: encrypted"))
        client.connectToHostEncrypted("127.0.0.1", server.serverPort())
        until(lambda: closed(client), "the end")
        say(client.error().name in ("RemoteHostClosedError", "SslHandshakeFailedError"),
            len(server.taken), server.hasPendingConnections())
        until(lambda: server.failures, "the failure")
        say(server.failures)


def without_a_handshake(own, _other):
    """A client that says nothing, and one that goes at once."""
    server = serve(*own)
    server.setHandshakeTimeout(50)
    with socket.create_connection(("127.0.0.1", server.serverPort())):
        until(lambda: server.failures, "the end of patience")
        say(server.failures)
    server = serve(*own)
    socket.create_connection(("127.0.0.1", server.serverPort())).close()
    until(lambda: server.failures, "the end of a client")
    say(server.failures)


def plain(own, _other):
    server = serve(*own)
    with socket.create_connection(("127.0.0.1", server.serverPort())) as peer:
        peer.sendall(b"GET / HTTP/1.0\r\n\r\n")
        peer.setblocking(False)
        got = []

        def ended():
            try:
                got.append(peer.recv(100))
            except BlockingIOError:
                return False
            except ConnectionResetError:
                got.append(b"")
            return got[-1] == b""
        until(ended, "the end of a plain client")
    say(len(server.taken), server.hasPendingConnections(), server.isListening(),
        server.serverError().name)


def with_a_plain_server(own, _other):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = QSslSocket()
        watch("client", client)
        configure(client, own[:1])
        client.connectToHostEncrypted("127.0.0.1", listener.getsockname()[1])
        peer = listener.accept()[0]
        peer.sendall(b"220 welcome\r\n" * 3)
        until(lambda: closed(client), "the refusal")
        say(client.error().name, client.isEncrypted())
        peer.close()


def refused(own, _other):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        client = QSslSocket()
        watch("client", client)
        client.connectToHostEncrypted("127.0.0.1", holder.getsockname()[1])
        until(lambda: closed(client), "the refusal")
        say(client.error().name, client.mode().name)


app = QCoreApplication([])
sides = [(QSslCertificate(read(sys.argv[at])), QSslKey(read(sys.argv[at + 1]), QSsl.KeyAlgorithm.Ec))
         for at in (1, 3)]
for part in (trusted, both_known, untrusted, ignored, of_an_unknown_client,
             without_a_handshake, plain, with_a_plain_server, refused):
    say("--", part.__name__)
    part(*sides)
