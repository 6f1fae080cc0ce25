"""Control-C, and any other signal with a handler that raises, ends every call that blocks."""

import contextlib
import io
import os
import signal
import socket
import threading
import time
import unittest

from berth.QtCore import QCoreApplication, QEventLoop, QObject, QRunnable, QThread, QThreadPool
from berth.QtNetwork import QHostAddress, QNetworkProxy, QSslSocket, QTcpServer, QTcpSocket

LONG = 8000  # milliseconds; nothing waits for so long
application = QCoreApplication([])


class Interrupted(Exception):
    """What the handler of the other signal raises."""


def handle(_number, _frame):
    raise Interrupted


class Waits(unittest.TestCase):
    def interrupts(self, call):
        """Whether both signals end a call at once."""
        for number, wanted in ((signal.SIGINT, KeyboardInterrupt), (signal.SIGUSR1, Interrupted)):
            timer = threading.Timer(0.03, os.kill, (os.getpid(), number))
            began = time.monotonic()
            with self.assertRaises(wanted):
                timer.start()  # on a busy machine the signal may come already here
                call()
            self.assertLess(time.monotonic() - began, LONG / 1000)
            timer.join()

    def setUp(self):
        signal.signal(signal.SIGUSR1, handle)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.client = QTcpSocket()
        self.client.connectToHost(QHostAddress.LocalHost, self.listener.getsockname()[1])
        self.assertTrue(self.client.waitForConnected(LONG))

    def tearDown(self):
        self.client.abort()
        self.listener.close()

    def test_for_input(self):
        self.interrupts(lambda: self.client.waitForReadyRead(LONG))
        self.assertEqual(self.client.state(), QTcpSocket.ConnectedState)

    def test_for_output(self):
        self.client.write(b"x" * (64 << 20))
        while self.client.waitForBytesWritten(50):
            pass
        self.interrupts(lambda: self.client.waitForBytesWritten(LONG))

    @unittest.skipUnless(QSslSocket.supportsSsl(), "built without OpenSSL")
    def test_for_encryption(self):
        client = QSslSocket()
        client.connectToHostEncrypted("127.0.0.1", self.listener.getsockname()[1])
        self.assertTrue(client.waitForConnected(LONG))
        self.interrupts(lambda: client.waitForEncrypted(LONG))
        self.assertFalse(client.waitForReadyRead(0))  # nothing is raised later

    def test_a_sleep(self):
        self.interrupts(lambda: QThread.msleep(LONG))

    def test_a_signal_that_does_not_raise_lets_it_sleep_on(self):
        signal.signal(signal.SIGUSR1, lambda _number, _frame: None)
        timer = threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGUSR1))
        timer.start()
        began = time.monotonic()
        QThread.msleep(100)
        self.assertGreaterEqual(time.monotonic() - began, 0.1)
        timer.join()

    def test_for_the_end(self):
        self.interrupts(lambda: self.client.waitForDisconnected(LONG))

    def test_for_a_connection(self):
        server = QTcpServer()
        server.listen(QHostAddress.LocalHost)
        self.interrupts(lambda: server.waitForNewConnection(LONG))
        self.assertTrue(server.isListening())

    def test_for_being_connected(self):
        def connect():
            client = QTcpSocket()
            client.setProxy(QNetworkProxy(QNetworkProxy.Socks5Proxy, "127.0.0.1",
                                          self.listener.getsockname()[1]))
            client.connectToHost("192.0.2.1", 80)
            client.waitForConnected(LONG)
        self.interrupts(connect)

    def test_to_listen_through_a_proxy(self):
        def listen():
            server = QTcpServer()
            server.setProxy(QNetworkProxy(QNetworkProxy.Socks5Proxy, "127.0.0.1",
                                          self.listener.getsockname()[1]))
            server.listen(QHostAddress("192.0.2.1"))
        self.interrupts(listen)

    def test_for_events(self):
        self.interrupts(lambda: application.processEvents(QEventLoop.WaitForMoreEvents))
        self.interrupts(application.exec_)
        self.interrupts(QEventLoop().exec_)

    def test_for_a_thread(self):
        thread = QThread()
        thread.start()
        self.interrupts(lambda: thread.wait(LONG))
        thread.quit()
        self.assertTrue(thread.wait(LONG))


class Threads(unittest.TestCase):
    """What ends the process in the main thread ends nothing but the call in others."""

    def test_run_of_a_thread_exits(self):
        class Exits(QThread):
            def run(self):
                raise SystemExit(3)

        ended = []
        thread = Exits()
        thread.finished.connect(lambda: ended.append(True))
        thread.start()
        self.assertTrue(thread.wait(LONG))
        self.assertTrue(thread.isFinished())
        application.processEvents()
        self.assertEqual(ended, [True])

    def test_a_slot_of_a_thread_exits(self):
        calls = []

        class Worker(QObject):
            def work(self):
                calls.append(True)
                self.thread().quit()
                raise SystemExit(3)

        thread, worker = QThread(), Worker()
        worker.moveToThread(thread)
        thread.started.connect(worker.work)
        thread.start()
        self.assertTrue(thread.wait(LONG))
        self.assertEqual(calls, [True])

    def test_work_of_a_pool_exits(self):
        class Exits(QRunnable):
            def run(self):
                raise SystemExit(3)

        pool = QThreadPool()
        pool.start(Exits())
        self.assertTrue(pool.waitForDone(LONG))

    def test_another_thread_raises_an_interrupt(self):
        class Raises(QThread):
            def run(self):
                raise KeyboardInterrupt

        thread = Raises()
        with contextlib.redirect_stderr(io.StringIO()) as printed:
            thread.start()
            self.assertTrue(thread.wait(LONG))
        self.assertIn("KeyboardInterrupt", printed.getvalue())


if __name__ == "__main__":
    unittest.main()
