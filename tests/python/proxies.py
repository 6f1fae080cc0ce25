"""Asking for a proxy's credentials: what the slot that is asked may do; and what proxies answer."""

import contextlib
import io
import socket
import threading
import unittest

import _servers
from _servers import listening, settle, until
from berth.QtCore import QObject, QTimer
from berth.QtNetwork import (QAuthenticator, QHostAddress, QNetworkProxy, QTcpServer,
                             QTcpSocket)


class Refusing:
    """A SOCKS5 proxy that takes no credentials but "right"."""

    def __init__(self):
        self.server = listening()
        self.server.newConnection.connect(self.take)
        self.seen = []

    def take(self):
        peer = self.server.nextPendingConnection()
        peer.readyRead.connect(lambda: self.answer(peer))

    def answer(self, peer):
        data = peer.readAll().data()
        if data[:1] == b"\5" and len(data) == 3:
            peer.write(b"\5\2")
        elif data[:1] == b"\1":
            self.seen.append(data)
            peer.write(b"\1\0" if b"right" in data else b"\1\1")
        else:
            peer.write(b"\5\0\0\1\x0a\1\2\3\x10\1")


class Proxies(unittest.TestCase):
    def setUp(self):
        self.proxy = Refusing()
        self.heard = []
        self.asked = 0

    def connect(self, slot):
        """A socket on its way, whose slot is called with it and the authenticator."""
        self.socket = socket = QTcpSocket()
        socket.stateChanged.connect(lambda state: self.heard.append(state.name))
        socket.errorOccurred.connect(lambda error: self.heard.append(error.name))

        def ask(_proxy, authenticator):
            self.assertEqual(socket.state(), socket.ConnectingState)
            self.asked += 1
            slot(socket, authenticator)
        socket.proxyAuthenticationRequired.connect(ask)
        socket.setProxy(QNetworkProxy(QNetworkProxy.Socks5Proxy, "127.0.0.1",
                                      self.proxy.server.serverPort(), "user", "wrong"))
        socket.connectToHost("192.0.2.7", 80)

    def test_it_tells_at_last(self):
        def slot(_socket, authenticator):
            authenticator.setUser("user")
            authenticator.setPassword("right" if self.asked == 3 else "wrong again")
        self.connect(slot)
        until(lambda: self.socket.state() == self.socket.ConnectedState)
        self.assertEqual(self.asked, 3)
        self.assertEqual(len(self.proxy.seen), 4)
        self.assertEqual(self.heard, ["HostLookupState", "ConnectingState", "ConnectedState"])
        self.assertEqual(self.socket.proxy().password(), "wrong")

    def ends(self, end):
        """The slot ends the connection, and tells something all the same."""
        def slot(socket, authenticator):
            end(socket)
            authenticator.setUser("user")
        self.connect(slot)
        until(lambda: self.socket.state() == self.socket.UnconnectedState)
        settle()
        self.assertEqual(self.heard, ["HostLookupState", "ConnectingState", "UnconnectedState"])
        self.assertEqual((self.asked, len(self.proxy.seen)), (1, 1))

    def test_it_aborts(self):
        self.ends(lambda socket: socket.abort())

    def test_it_closes(self):
        self.ends(lambda socket: socket.close())

    def test_it_disconnects(self):
        self.ends(lambda socket: socket.disconnectFromHost())

    def test_a_later_failure_is_told(self):
        self.ends(lambda socket: socket.abort())
        self.heard.clear()
        self.proxy.server.close()
        self.socket.connectToHost("192.0.2.7", 80)
        until(lambda: "ProxyConnectionRefusedError" in self.heard)

    def test_it_connects_elsewhere(self):
        def slot(socket, _authenticator):
            socket.connectToHost("127.0.0.1", 1)
        self.connect(slot)
        until(lambda: self.socket.state() == self.socket.UnconnectedState)
        self.assertEqual(self.heard[2:], ["OperationError", "UnconnectedState",
                                          "ProxyAuthenticationRequiredError"])

    def test_it_gives_up_and_connects_elsewhere(self):
        def slot(socket, _authenticator):
            socket.abort()
            socket.setProxy(QNetworkProxy(QNetworkProxy.NoProxy))
            socket.connectToHost("127.0.0.1", port)
        with contextlib.closing(listening()) as closed:
            port = closed.serverPort()
        self.connect(slot)
        until(lambda: "ConnectionRefusedError" in self.heard)
        self.assertEqual(self.heard[2:], ["UnconnectedState", "HostLookupState",
                                          "ConnectingState", "UnconnectedState",
                                          "ConnectionRefusedError"])
        self.assertEqual(self.socket.error(), self.socket.ConnectionRefusedError)

    def test_a_class_that_changes_the_proxy_when_it_is_asked(self):
        class Odd(QTcpSocket):
            def __getattribute__(self, name):
                if name == "_ask" and changes:
                    changes.pop()(self)
                return super().__getattribute__(name)
        far = QNetworkProxy(QNetworkProxy.Socks5Proxy, "192.0.2.1", 9, "u" * 50, "p" * 50)
        for change in (lambda socket: QTcpSocket.setProxy(socket, far), QTcpSocket.abort,
                       lambda socket: socket.setParent(QObject())):
            changes, socket = [change], Odd()
            socket.proxyAuthenticationRequired.connect(lambda _proxy, _authenticator: None)
            socket.setProxy(QNetworkProxy(QNetworkProxy.Socks5Proxy, "127.0.0.1",
                                          self.proxy.server.serverPort(), "x" * 50, "wrong" * 10))
            socket.connectToHost("192.0.2.7", 80)
            with contextlib.redirect_stderr(io.StringIO()):
                until(lambda: not changes)
                settle()

    def let_go(self, signal, *, slots):
        """The last reference goes inside a slot of a socket whose credentials are refused."""
        held = [QTcpSocket()]
        gone = []
        held[0].destroyed.connect(lambda: gone.append(True))
        if slots:
            held[0].proxyAuthenticationRequired.connect(lambda *_: None)
        getattr(held[0], signal).connect(lambda *_: held.clear())
        held[0].setProxy(QNetworkProxy(QNetworkProxy.Socks5Proxy, "127.0.0.1",
                                       self.proxy.server.serverPort(), "user", "wrong"))
        held[0].connectToHost("192.0.2.7", 80)
        until(lambda: gone)
        settle()

    def test_the_asked_lets_go_of_it(self):
        self.let_go("proxyAuthenticationRequired", slots=False)

    def test_the_error_lets_go_of_it(self):
        self.let_go("errorOccurred", slots=False)
        self.let_go("errorOccurred", slots=True)

    def test_it_raises(self):
        def slot(_socket, _authenticator):
            raise ValueError("unknown")
        told = io.StringIO()
        with contextlib.redirect_stderr(told):
            self.connect(slot)
            until(lambda: self.socket.state() == self.socket.UnconnectedState)
        self.assertIn("ValueError: unknown", told.getvalue())
        self.assertEqual(self.heard[-1], "ProxyAuthenticationRequiredError")

    def test_it_deletes_the_socket(self):
        def slot(socket, authenticator):
            parent.deleteLater()
            settle()
            authenticator.setUser("user")
        parent = QTimer()
        self.connect(slot)
        self.socket.setParent(parent)
        until(lambda: self.asked)
        settle()
        with self.assertRaises(RuntimeError):
            self.socket.state()
        self.assertEqual(len(self.proxy.seen), 1)

    def test_a_time_limit_while_it_is_tried_again(self):
        def slot(_socket, authenticator):
            self.proxy.server.pauseAccepting()
            authenticator.setUser("user")
        self.connect(slot)
        until(lambda: self.asked)
        self.assertFalse(self.socket.waitForConnected(50))
        self.assertEqual(self.socket.state(), self.socket.UnconnectedState)
        self.assertEqual(self.heard[2:], ["UnconnectedState", "SocketTimeoutError"])

    def test_the_value(self):
        value = QAuthenticator()
        with self.assertRaises(TypeError):
            value.setUser(b"bytes")
        self.assertTrue(value.isNull())


class Answering(threading.Thread):
    """A proxy that reads and gives one answer after the other, on a thread, since listen() waits."""

    def __init__(self, *answers):
        super().__init__(daemon=True)
        self.answers = answers
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(10)
        self.port = self.listener.getsockname()[1]
        self.start()

    def run(self):
        with self.listener, self.listener.accept()[0] as peer:
            for answer in self.answers:
                peer.recv(4096)
                peer.sendall(answer)
            peer.recv(1)


class Texts(unittest.TestCase):
    """What a proxy answers has Qt's texts and classes."""

    def listen(self, kind, port):
        server = QTcpServer()
        server.setProxy(QNetworkProxy(kind, "127.0.0.1", port))
        self.assertFalse(server.listen(QHostAddress("192.0.2.7"), 4000))
        return server.serverError().name, server.errorString()

    def connect(self, kind, port):
        client = QTcpSocket()
        client.setProxy(QNetworkProxy(kind, "127.0.0.1", port))
        client.connectToHost("192.0.2.7", 80)
        until(lambda: client.error() != QTcpSocket.UnknownSocketError or
              client.errorString() != "Unknown error")
        return client.error().name, client.errorString()

    def test_listening_is_refused(self):
        for code, error, text in (
                (1, "NetworkError", "General SOCKSv5 server failure"),
                (2, "SocketAccessError", "Connection not allowed by SOCKSv5 server"),
                (7, "UnsupportedSocketOperationError", "SOCKSv5 command not supported"),
                (9, "UnknownSocketError", "Unknown SOCKSv5 proxy error code 0x09")):
            proxy = Answering(b"\5\0", bytes((5, code, 0, 1, 0, 0, 0, 0, 0, 0)))
            self.assertEqual(self.listen(QNetworkProxy.Socks5Proxy, proxy.port), (error, text))

    def test_listening_at_no_proxy(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        self.assertEqual(self.listen(QNetworkProxy.Socks5Proxy, port),
                         ("ProxyConnectionRefusedError", "Connection to proxy refused"))

    def test_listening_by_http(self):
        self.assertEqual(self.listen(QNetworkProxy.HttpProxy, 1),
                         ("UnsupportedSocketOperationError", "Operation on socket is not supported"))

    def test_connecting(self):
        status = b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n"
        for code, error, text in (
                (403, "SocketAccessError", "Proxy denied connection"),
                (503, "ConnectionRefusedError", "Connection refused"),
                (500, "ProxyProtocolError", "Error communicating with HTTP proxy")):
            proxy = Answering(status % code)
            self.assertEqual(self.connect(QNetworkProxy.HttpProxy, proxy.port), (error, text))
        proxy = Answering(b"\5\0", b"\5\4\0\1\0\0\0\0\0\0")
        self.assertEqual(self.connect(QNetworkProxy.Socks5Proxy, proxy.port),
                         ("HostNotFoundError", "Host not found"))


if __name__ == "__main__":
    unittest.main()
