"""QSocketNotifier, and QUdpSocket and QProcess over it, with slots that do what they should not."""

import gc
import os
import resource
import threading
import unittest

from _servers import app, settle, until
from berth.QtCore import QObject, QProcess, QSocketNotifier, QThread, QTimer
from berth.QtNetwork import QHostAddress, QUdpSocket

LOCAL = QHostAddress(QHostAddress.LocalHost)


def run_loop():
    """Runs the loop of the application, which deletes what is to be deleted later."""
    QTimer.singleShot(0, app.quit)
    app.exec_()


class Pipe:
    """A pipe with something to read."""

    def __init__(self):
        self.read, self.write = os.pipe()
        os.write(self.write, b"x")

    def close(self):
        """Closes both ends."""
        os.close(self.read)
        os.close(self.write)


class Notifiers(unittest.TestCase):
    def setUp(self):
        self.pipe = Pipe()
        self.addCleanup(self.pipe.close)

    def notifier(self, parent=None):
        """A notifier of the pipe."""
        return QSocketNotifier(self.pipe.read, QSocketNotifier.Read, parent)

    def test_a_slot_that_drops_it(self):
        kept = [self.notifier()]
        kept[0].activated.connect(lambda *_: kept.clear())
        until(lambda: not kept)
        settle()

    def test_a_slot_that_deletes_its_parent(self):
        parent = QObject()
        gone = []
        parent.destroyed.connect(lambda *_: gone.append(1))
        self.notifier(parent).activated.connect(lambda *_: (parent.deleteLater(), app.quit()))
        app.exec_()
        run_loop()
        self.assertEqual(gone, [1])

    def test_enabled_again_when_it_is_destroyed(self):
        notifier, seen = self.notifier(), []

        def again(*_):
            try:
                notifier.setEnabled(True)
            except RuntimeError:
                seen.append(1)
        notifier.destroyed.connect(again)
        notifier.deleteLater()
        run_loop()
        self.assertEqual(seen, [1])
        settle()

    def test_a_slot_that_switches_it(self):
        notifier, times = self.notifier(), []

        def slot(*_):
            times.append(1)
            notifier.setEnabled(False)
            notifier.setEnabled(len(times) < 3)
        notifier.activated.connect(slot)
        until(lambda: len(times) == 3)
        settle()
        self.assertEqual((len(times), notifier.isEnabled()), (3, False))

    def test_what_is_always_ready(self):
        with open(__file__, "rb") as file:
            notifier, times = QSocketNotifier(file.fileno(), QSocketNotifier.Read), []
            notifier.activated.connect(lambda *_: times.append(1))
            until(lambda: len(times) > 2)
            notifier.setEnabled(False)

    def test_the_end_of_a_pipe_that_the_slot_closes(self):
        read, write = os.pipe()
        other = QSocketNotifier(write, QSocketNotifier.Write)
        other.activated.connect(lambda *_: (other.setEnabled(False), os.close(write)))
        until(lambda: not other.isEnabled())
        self.assertEqual(os.read(read, 1), b"")
        os.close(read)

    def test_wrong_values(self):
        for args in ((), (1,), ("1", QSocketNotifier.Read), (1, "Read"), (None, None)):
            with self.assertRaises(TypeError):
                QSocketNotifier(*args)
        with self.assertRaises(ValueError):
            QSocketNotifier(1, 7)
        with self.assertRaises((ValueError, OverflowError)):
            QSocketNotifier(1 << 40, QSocketNotifier.Read)
        with self.assertRaises(RuntimeError):
            self.notifier().__init__(self.pipe.read, QSocketNotifier.Read)
        QSocketNotifier(-1, QSocketNotifier.Read)
        QSocketNotifier(12345, QSocketNotifier.Read)

    def test_threads(self):
        notifier, thread = self.notifier(), QThread()
        with self.assertRaises(RuntimeError):
            notifier.moveToThread(thread)
        raised = []

        def use():
            try:
                notifier.setEnabled(False)
            except RuntimeError:
                raised.append(1)
        other = threading.Thread(target=use)
        other.start()
        other.join()
        self.assertEqual(raised, [1])

    def test_cycles(self):
        notifier = self.notifier()
        notifier.cycle = notifier
        notifier.setEnabled(False)
        del notifier
        gc.collect()


class Datagrams(unittest.TestCase):
    def test_slots_that_end_the_socket(self):
        sender = QUdpSocket()
        for end in (QUdpSocket.close, QUdpSocket.abort, QUdpSocket.deleteLater):
            socket, times = QUdpSocket(), []
            socket.bind(LOCAL, 0)
            socket.readyRead.connect(lambda: (times.append(1), end(socket)))
            sender.writeDatagram(b"x", LOCAL, socket.localPort())
            until(lambda: times)
            settle()
        kept, times = [QUdpSocket()], []
        kept[0].bind(LOCAL, 0)
        kept[0].readyRead.connect(lambda: (times.append(1), kept.clear()))
        sender.writeDatagram(b"x", LOCAL, kept[0].localPort())
        until(lambda: times)
        settle()

    def test_many(self):
        settle()
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(200):
            socket = QUdpSocket()
            socket.bind(LOCAL, 0)
            socket.close()
            socket.bind(LOCAL, 0)
        socket.close()
        gc.collect()
        settle()
        self.assertLess(len(os.listdir("/proc/self/fd")), before + 3)


class Many:
    """Takes all descriptors up to a number that select() cannot wait for."""

    def __enter__(self):
        self.limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        if self.limits[1] < 2000:
            raise unittest.SkipTest("not so many descriptors are allowed")
        resource.setrlimit(resource.RLIMIT_NOFILE, (2000, self.limits[1]))
        self.taken = [os.open(os.devnull, os.O_RDONLY)]
        while self.taken[-1] < 1100:
            self.taken.append(os.dup(self.taken[0]))

    def __exit__(self, *_exception):
        for descriptor in self.taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, self.limits)


class ManyDescriptors(unittest.TestCase):
    def test_a_datagram(self):
        with Many():
            socket = QUdpSocket()
            socket.bind(LOCAL, 0)
            socket.writeDatagram(b"x", LOCAL, socket.localPort())
            self.assertTrue(socket.waitForReadyRead(10000))
            self.assertFalse(QUdpSocket().waitForReadyRead(0))
            del socket

    def test_a_process(self):
        with Many():
            process = QProcess()
            process.start("cat", [])
            self.assertTrue(process.waitForStarted())
            process.write(b"hello")
            process.closeWriteChannel()
            self.assertTrue(process.waitForFinished(20000))
            self.assertEqual(process.readAllStandardOutput(), b"hello")
            del process


class Processes(unittest.TestCase):
    def test_one_that_is_dropped_is_killed(self):
        process = QProcess()
        process.start("sleep", ["60"])
        self.assertTrue(process.waitForStarted())
        number = process.processId()
        del process
        with self.assertRaises(ProcessLookupError):
            os.kill(number, 0)

    def test_a_slot_that_drops_it(self):
        kept = [QProcess()]
        kept[0].finished.connect(lambda *_: kept.clear())
        kept[0].start("true", [])
        until(lambda: not kept)


if __name__ == "__main__":
    unittest.main()
