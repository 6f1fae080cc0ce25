"""Processes: os.fork with and without an end, daemons, prefork, and multiprocessing."""

import multiprocessing
import os
import socket
import sys
import unittest

from _servers import until
from berth import after_fork
from berth.QtNetwork import QHostAddress, QTcpServer, QTcpSocket


def child_of(part):
    """Runs a function in a child, and returns its status; 99 for an exception."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return os.WEXITSTATUS(os.waitpid(pid, 0)[1])
    try:
        part()
        os._exit(0)
    except SystemExit as end:
        sys.stdout.flush()
        os._exit(end.code or 0)
    except BaseException as error:
        print("in the child:", repr(error), file=sys.stderr)
        os._exit(99)


def answer(port):
    """What a server says to whoever connects, without a loop of this process."""
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        client.settimeout(10)
        return client.recv(100)


def greet(server):
    def come():
        connection = server.nextPendingConnection()
        connection.write(b"%d" % os.getpid())
        connection.disconnectFromHost()
    return come


def ask(pipe):
    """For multiprocessing: a server and a client of the child's own."""
    server = QTcpServer()
    listens = server.listen(QHostAddress(QHostAddress.LocalHost), 0)
    client = QTcpSocket()
    client.connectToHost("127.0.0.1", server.serverPort())
    pipe.send((listens, client.waitForConnected(10000)))


class Processes(unittest.TestCase):
    def setUp(self):
        self.server = QTcpServer()
        self.assertTrue(self.server.listen(QHostAddress(QHostAddress.LocalHost), 0))
        self.client = QTcpSocket()
        self.client.connectToHost("127.0.0.1", self.server.serverPort())
        self.assertTrue(self.client.waitForConnected(10000))
        until(self.server.hasPendingConnections)
        self.served = self.server.nextPendingConnection()

    def tearDown(self):
        self.client.abort()
        self.server.close()

    def assert_undisturbed(self):
        self.client.write(b"still?")
        until(lambda: self.served.bytesAvailable() == 6)
        self.assertEqual(bytes(self.served.readAll()), b"still?")
        other = QTcpSocket()
        other.connectToHost("127.0.0.1", self.server.serverPort())
        until(self.server.hasPendingConnections)
        self.server.nextPendingConnection().abort()
        other.abort()

    def test_a_child_that_exits(self):
        pid = os.fork()
        if pid == 0:
            sys.stderr.close()
            self.server.close()
            self.served.abort()
            del self.server, self.client, self.served
            os._exit(0)
        self.assertEqual(os.waitpid(pid, 0)[1], 0)
        self.assert_undisturbed()

    def test_an_interpreter_that_ends_in_the_child(self):
        program = (
            "import os, sys\n"
            "from berth.QtCore import QCoreApplication\n"
            "from berth.QtNetwork import *\n"
            "application = QCoreApplication([])\n"
            "server = QTcpServer(); server.listen(QHostAddress('127.0.0.1'), 0)\n"
            "client = QTcpSocket(); client.connectToHost('127.0.0.1', server.serverPort())\n"
            "assert client.waitForConnected(10000) and server.waitForNewConnection(10000)\n"
            "served = server.nextPendingConnection()\n"
            "pid = os.fork()\n"
            "if pid == 0: sys.exit()\n"
            "assert os.waitpid(pid, 0)[1] == 0\n"
            "client.write(b'x'); assert client.waitForBytesWritten(10000)\n"
            "assert served.waitForReadyRead(10000) and bytes(served.readAll()) == b'x'\n")
        self.assertEqual(os.spawnve(os.P_WAIT, sys.executable, [sys.executable, "-c", program],
                                    dict(os.environ)), 0)

    def test_a_loop_of_its_own(self):
        def part():
            server = QTcpServer()
            assert server.listen(QHostAddress(QHostAddress.LocalHost), 0)
            client = QTcpSocket()
            client.connectToHost("127.0.0.1", server.serverPort())
            assert client.waitForConnected(10000)
            until(server.hasPendingConnections)
        self.assertEqual(child_of(part), 0)
        self.assert_undisturbed()

    def test_it_is_told_why(self):
        def part():
            assert self.client.write(b"x") == -1
            assert not self.client.waitForReadyRead(10000)
            self.server.close()
            assert not self.server.listen(QHostAddress(QHostAddress.LocalHost), 0)
            assert "fork" in self.server.errorString(), self.server.errorString()
        self.assertEqual(child_of(part), 0)
        self.assert_undisturbed()

    def test_prefork(self):
        self.server.newConnection.connect(greet(self.server))
        port, children = self.server.serverPort(), []
        for _ in range(2):
            pid = os.fork()
            if pid == 0:
                after_fork()
                until(lambda: False)
                os._exit(1)
            children.append(pid)
        answers = {int(answer(port)) for _ in range(20)}
        for pid in children:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
        self.assertTrue(answers and answers <= set(children), (answers, children))

    def test_a_daemon(self):
        def part():
            if os.fork():
                os._exit(0)
            after_fork()
            after_fork()  # again does nothing
            self.server.newConnection.connect(greet(self.server))
            until(lambda: False)
        self.assertEqual(child_of(part), 0)
        daemon = int(answer(self.server.serverPort()))
        self.assertNotEqual(daemon, os.getpid())
        os.kill(daemon, 9)

    def test_multiprocessing(self):
        context = multiprocessing.get_context("fork")
        here, there = context.Pipe()
        process = context.Process(target=ask, args=(there,))
        process.start()
        self.assertTrue(here.poll(30))
        self.assertEqual(here.recv(), (True, True))
        process.join(30)
        self.assertEqual(process.exitcode, 0)
        self.assert_undisturbed()


if __name__ == "__main__":
    unittest.main()
