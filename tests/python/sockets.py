"""Servers and sockets: data, ends, waits, overrides, and bad arguments."""

import gc
import os
import socket as bare
import struct
import unittest
import weakref

import _servers
from _servers import connected, listening, until
from berth.QtCore import QByteArray, QIODevice, QTimer
from berth.QtNetwork import (QAbstractSocket, QHostAddress, QNetworkProxy, QTcpServer,
                             QTcpSocket)


class Sockets(unittest.TestCase):
    def setUp(self):
        self.server = listening()
        self.client, self.taken = connected(self.server)

    def test_bytes_both_ways(self):
        self.assertEqual(self.client.write(b"abc"), 3)
        until(lambda: self.taken.bytesAvailable() == 3)
        self.assertEqual(self.taken.peek(2), b"ab")
        self.assertEqual(self.taken.read(1), b"a")
        self.assertIsInstance(self.taken.readAll(), QByteArray)
        self.taken.write(QByteArray(b"line\nrest"))
        until(lambda: self.client.bytesAvailable() == 9)
        self.assertTrue(self.client.canReadLine())
        self.assertEqual(self.client.readLine().data(), b"line\n")
        self.assertEqual(self.client.readLine(4).data(), b"res")
        self.assertEqual(self.client.getChar(), (True, "t"))
        self.client.ungetChar(b"x")
        self.assertEqual(self.client.readAll(), b"x")

    def test_options_that_there_are_not(self):
        for which in (-(1 << 31), -1, 8, 9, 1000, (1 << 31) - 1):
            self.client.setSocketOption(which, 1)
            self.assertIsNone(self.client.socketOption(which))
        self.client.setSocketOption(QTcpSocket.LowDelayOption, 1)
        self.assertEqual(self.client.socketOption(QTcpSocket.LowDelayOption), 1)

    def test_transactions(self):
        self.client.write(b"abc")
        until(lambda: self.taken.bytesAvailable() == 3)
        self.taken.startTransaction()
        self.taken.read(2)
        self.taken.rollbackTransaction()
        self.assertEqual(self.taken.readAll(), b"abc")

    def test_the_end_of_a_connection(self):
        trace = []
        self.client.errorOccurred.connect(trace.append)
        self.client.error[QAbstractSocket.SocketError].connect(trace.append)
        self.client.stateChanged.connect(trace.append)
        self.client.readChannelFinished.connect(lambda: trace.append("finished"))
        self.client.disconnected.connect(lambda: trace.append("disconnected"))
        self.taken.disconnectFromHost()
        until(lambda: "disconnected" in trace)
        self.assertEqual(trace, [QAbstractSocket.RemoteHostClosedError] * 2 +
                         [QAbstractSocket.ClosingState, QAbstractSocket.UnconnectedState,
                          "finished", "disconnected"])
        self.assertEqual(self.client.error(), QAbstractSocket.RemoteHostClosedError)
        self.assertEqual(self.client.write(b"x"), -1)

    def test_deleting_in_disconnected(self):
        gone = weakref.ref(self.taken)
        self.taken.disconnected.connect(self.taken.deleteLater)
        del self.taken
        self.client.abort()
        until(lambda: not self.server.children())
        gc.collect()
        self.assertIsNone(gone())

    def test_the_server_owns_what_it_hands_out(self):
        del self.server
        with self.assertRaises(RuntimeError):
            self.taken.state()

    def test_a_connection_in_a_cycle_goes_on(self):
        def greet():
            client = QTcpSocket()
            client.readyRead.connect(lambda: seen.append(client.readAll().data()))
            client.connectToHost("127.0.0.1", self.server.serverPort())
        seen = []
        greet()
        gc.collect()
        until(self.server.hasPendingConnections)
        self.server.nextPendingConnection().write(b"hello")
        until(lambda: seen)
        self.assertEqual(seen, [b"hello"])

    def test_write_takes_bytes_only(self):
        for good in (b"x", bytearray(b"x"), memoryview(b"x"), QByteArray(b"x")):
            self.assertEqual(self.client.write(good), 1)
        for wrong in ("x", 1, None, [1]):
            with self.assertRaises(TypeError):
                self.client.write(wrong)

    def test_bad_arguments(self):
        for call in (lambda: self.client.connectToHost("127.0.0.1", "x"),
                     lambda: self.client.connectToHost(5, 5),
                     lambda: self.client.read("x"),
                     lambda: self.client.waitForReadyRead("x"),
                     lambda: self.client.setSocketDescriptor(None),
                     lambda: self.server.addPendingConnection(None),
                     lambda: self.server.setProxy(3),
                     lambda: self.server.setMaxPendingConnections("x"),
                     lambda: self.server.waitForNewConnection()):
            with self.assertRaises(TypeError):
                call()
        for port in (-1, 65536, 1 << 32, 1 << 80):
            with self.assertRaises(OverflowError):
                QTcpServer().listen(QHostAddress.LocalHost, port)
            with self.assertRaises(OverflowError):
                QTcpSocket().connectToHost("127.0.0.1", port)

    def test_a_proxy_is_never_left_out_in_silence(self):
        client = QTcpSocket()
        client.setProxy(QNetworkProxy(QNetworkProxy.Socks5Proxy, "127.0.0.1", 1))
        seen = []
        client.errorOccurred.connect(seen.append)
        client.connectToHost("127.0.0.1", self.server.serverPort())
        until(lambda: seen)
        self.assertNotEqual(client.state(), QAbstractSocket.ConnectedState)
        server = QTcpServer()
        server.setProxy(QNetworkProxy(QNetworkProxy.HttpProxy, "127.0.0.1", 1))
        self.assertFalse(server.listen(QHostAddress.Any))
        self.assertEqual(server.serverError(), QAbstractSocket.UnsupportedSocketOperationError)
        self.assertEqual(server.proxy().hostName(), "127.0.0.1")

    def test_options(self):
        self.client.setSocketOption(QAbstractSocket.LowDelayOption, 1)
        self.assertEqual(self.client.socketOption(QAbstractSocket.LowDelayOption), 1)
        self.assertIsNone(QTcpSocket().socketOption(QAbstractSocket.LowDelayOption))

    def test_a_refused_connect(self):
        port = self.server.serverPort()
        self.server.close()
        client = QTcpSocket()
        client.connectToHost("127.0.0.1", port)
        until(lambda: client.error() != QAbstractSocket.UnknownSocketError)
        self.assertEqual((client.error(), client.errorString()),
                         (QAbstractSocket.ConnectionRefusedError, "Connection refused"))


    def test_a_reset(self):
        self.assertFalse(self.client.wasReset())
        peer = self.client.peerPort()
        heard = []
        self.taken.disconnected.connect(
            lambda: heard.append((self.taken.wasReset(), self.taken.peerPort())))
        mine = self.client.localPort()
        linger = struct.pack("ii", 1, 0)
        with bare.socket(fileno=os.dup(self.client.socketDescriptor())) as copy:
            copy.setsockopt(bare.SOL_SOCKET, bare.SO_LINGER, linger)
        self.client.abort()
        until(lambda: heard)
        self.assertEqual(heard, [(True, mine)])
        self.assertEqual((self.taken.error(), self.taken.errorString()),
                         (QAbstractSocket.RemoteHostClosedError,
                          "The remote host closed the connection"))
        self.assertEqual(peer, self.server.serverPort())
        self.assertFalse(self.client.wasReset())


class Waits(unittest.TestCase):
    def test_without_a_loop(self):
        server = listening()
        self.assertEqual(server.waitForNewConnection(0), (False, True))
        self.assertEqual(server.serverError(), QAbstractSocket.SocketTimeoutError)
        client = QTcpSocket()
        client.connectToHost("127.0.0.1", server.serverPort())
        self.assertTrue(client.waitForConnected(5000))
        self.assertEqual(server.waitForNewConnection(5000), (True, False))
        taken = server.nextPendingConnection()
        taken.write(b"hello")
        self.assertTrue(taken.waitForBytesWritten(5000))
        self.assertTrue(client.waitForReadyRead(5000))
        self.assertEqual(client.readAll(), b"hello")
        self.assertFalse(client.waitForReadyRead(1))
        self.assertEqual(client.errorString(), "Network operation timed out")
        taken.disconnectFromHost()
        self.assertTrue(client.waitForDisconnected(5000))

    def test_destroying_the_server_inside_a_wait(self):
        server = listening()
        server.newConnection.connect(server.deleteLater)
        client = QTcpSocket()
        client.connectToHost("127.0.0.1", server.serverPort())
        self.assertTrue(client.waitForConnected(5000))
        self.assertEqual(server.waitForNewConnection(5000), (True, False))


class Overriding(QTcpServer):
    def __init__(self):
        super().__init__()
        self.handles = []

    def incomingConnection(self, handle):
        self.handles.append(handle)


class Overrides(unittest.TestCase):
    def test_the_handle_belongs_to_the_override(self):
        server = listening(Overriding)
        with bare.create_connection(("127.0.0.1", server.serverPort())) as client:
            until(lambda: server.handles)
            self.assertFalse(server.hasPendingConnections())
            with bare.socket(fileno=server.handles[0]) as accepted:
                accepted.sendall(b"hello")
            self.assertEqual(client.recv(5), b"hello")

    def test_numbers_that_are_no_handles(self):
        server = QTcpServer()
        with bare.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()
            with bare.create_connection(port) as peer, other.accept()[0] as handle:
                for wrong in (-1, -handle.fileno(), handle.fileno() - (1 << 32),
                              handle.fileno() + (1 << 32), -(1 << 63)):
                    server.incomingConnection(wrong)
                    self.assertFalse(server.hasPendingConnections())
                with self.assertRaises(OverflowError):
                    server.incomingConnection(1 << 64)
                handle.sendall(b"x")
                self.assertEqual(peer.recv(1), b"x")

    def test_calling_the_base(self):
        class Calling(Overriding):
            def incomingConnection(self, handle):
                super().incomingConnection(handle)
                QTcpServer.incomingConnection(self, handle)
        server = listening(Calling)
        client, taken = connected(server)
        self.assertEqual(taken.parent(), server)
        client.abort()

    def test_sockets_of_ones_own(self):
        class Mine(QTcpSocket):
            pass

        class Adding(QTcpServer):
            def incomingConnection(self, handle):
                socket = Mine(self)
                socket.setSocketDescriptor(handle)
                self.addPendingConnection(socket)
        server = listening(Adding)
        _client, taken = connected(server)
        self.assertIs(type(taken), Mine)

    def test_close_destroys_what_was_added(self):
        class Adding(QTcpServer):
            def incomingConnection(self, handle):
                self.mine = QTcpSocket(self)
                self.mine.setSocketDescriptor(handle)
                self.addPendingConnection(self.mine)
        server = listening(Adding)
        client = QTcpSocket()
        client.connectToHost("127.0.0.1", server.serverPort())
        until(server.hasPendingConnections)
        server.close()
        with self.assertRaises(RuntimeError):
            server.mine.state()

    def test_adopting_what_is_no_connection(self):
        end, other = os.pipe()
        socket = QTcpSocket()
        self.assertFalse(socket.setSocketDescriptor(end))
        self.assertFalse(QTcpServer().setSocketDescriptor(end))
        self.assertFalse(socket.setSocketDescriptor(-1))
        self.assertFalse(socket.isOpen())
        os.close(end)
        os.close(other)

    def test_the_open_mode(self):
        server = listening()
        client = QTcpSocket()
        client.connectToHost("127.0.0.1", server.serverPort(), QIODevice.WriteOnly)
        until(server.hasPendingConnections)
        taken = server.nextPendingConnection()
        taken.write(b"unheard")
        QTimer.singleShot(20, lambda: taken.disconnectFromHost())
        until(lambda: client.state() == QTcpSocket.UnconnectedState)
        self.assertEqual(client.readAll(), b"")


if __name__ == "__main__":
    unittest.main()
