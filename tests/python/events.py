"""Events: timers inside their own slots, queued calls, blocked signals, numbers of timers, and what
a socket tells at each change.
"""

import gc
import os
import unittest
import weakref

import _servers
from _servers import app, until
from berth.QtCore import QEvent, QEventLoop, QObject, Qt, QTimer, Signal
from berth.QtNetwork import QHostAddress, QTcpSocket


class Emitter(QObject):
    said = Signal(int)


def run(milliseconds=0):
    """Runs a nested loop for that time."""
    loop = QEventLoop()
    QTimer.singleShot(milliseconds, loop.quit)
    loop.exec_()


class Queues(unittest.TestCase):
    def test_calls_behind_many_deletions_that_wait(self):
        count, sender, seen = 20000, Emitter(), []
        waiting = [QObject() for _number in range(count)]
        for one in waiting:
            one.deleteLater()  # for the loop of the application, which does not run

        def hear(number):
            seen.append(number)
            if number == 5:  # the queue changes under who delivers it
                app.sendPostedEvents(waiting[0], QEvent.DeferredDelete)
                app.sendPostedEvents(None, QEvent.MetaCall)
                sender.said.emit(-1)
        sender.said.connect(hear, Qt.QueuedConnection)
        for number in range(count):
            sender.said.emit(number)
        app.processEvents()
        app.processEvents()
        self.assertEqual(seen, [*range(count), -1])
        with self.assertRaises(RuntimeError):
            waiting[0].objectName()
        self.assertEqual(waiting[1].objectName(), "")
        app.sendPostedEvents(None, QEvent.DeferredDelete)
        with self.assertRaises(RuntimeError):
            waiting[-1].objectName()


class Timers(unittest.TestCase):
    def deepest(self, interval, enough):
        """How deep in itself a timer fires whose slot turns the loop."""
        timer, depth, seen = QTimer(interval=interval), [0], []

        def fire():
            depth[0] += 1
            seen.append(depth[0])
            run(5)
            self.assertTrue(timer.isActive())
            depth[0] -= 1
        timer.timeout.connect(fire)
        timer.start()
        until(lambda: len(seen) >= enough and depth[0] == 0)
        timer.stop()
        self.assertFalse(timer.isActive())
        return max(seen)

    def test_a_timer_does_not_fire_in_its_own_slot(self):
        self.assertEqual((self.deepest(0, 3), self.deepest(1, 3)), (1, 1))

    def test_a_timer_that_its_slot_starts_again_does(self):
        timer, seen = QTimer(singleShot=True, interval=0), []

        def fire():
            seen.append(len(seen))
            if len(seen) < 3:
                timer.start()
                until(lambda: len(seen) == 3)
        timer.timeout.connect(fire)
        timer.start()
        until(lambda: len(seen) == 3)

    def test_a_timer_that_its_slot_stops_or_deletes(self):
        for name in ("stop", "deleteLater"):
            timer, seen = QTimer(), []
            timer.timeout.connect(lambda: (seen.append(1), run(), getattr(timer, name)(), run()))
            timer.start(0)
            until(lambda: seen)
            _servers.settle()
            self.assertEqual(seen, [1])

    def test_intervals(self):
        timer = QTimer()
        for given, interval in ((5, 5), (1.9, 1), (True, 1), (2**31 - 1, 2**31 - 1), (-1, -1)):
            timer.setInterval(given)
            self.assertEqual(timer.interval(), interval)
        for wrong in (2**31, 2**40, 2**70, -2**40, 1e20, float("inf")):
            for call in (timer.start, timer.setInterval, QObject().startTimer,
                         lambda number: QTimer.singleShot(number, run)):
                with self.assertRaises(OverflowError):
                    call(wrong)
        for wrong in ("5", None, b"5"):
            with self.assertRaises(TypeError):
                timer.start(wrong)
        self.assertFalse(timer.isActive())

    def test_a_negative_interval_never_comes(self):
        timer, seen = QTimer(), []
        timer.timeout.connect(lambda: seen.append(1))
        timer.start(-5)
        run(5)
        self.assertEqual(seen, [])

    def test_a_timer_of_an_object_does_not_keep_it(self):
        class Timed(QObject):
            def timerEvent(self, event):
                seen.append(event.timerId() == number)
        seen, timed = [], Timed()
        number = timed.startTimer(1)
        until(lambda: seen)
        self.assertTrue(all(seen))
        gone = weakref.ref(timed)
        del timed
        gc.collect()
        self.assertIsNone(gone())


class Crowd(unittest.TestCase):
    def test_twenty_blocking_connects_in_one_slot(self):
        server, clients = _servers.listening(), []

        def connect():
            for _client in range(20):
                clients.append(QTcpSocket())
                clients[-1].connectToHost(QHostAddress.LocalHost, server.serverPort())
                self.assertTrue(clients[-1].waitForConnected(10000))
        QTimer.singleShot(0, connect)
        until(lambda: len(clients) == 20)
        taken = []
        until(lambda: taken.append(server.nextPendingConnection()) or len(
            [one for one in taken if one]) == 20)


class Queued(unittest.TestCase):
    def test_calls_that_the_end_of_a_loop_leaves(self):
        sender, seen = Emitter(), []
        sender.said.connect(seen.append, Qt.QueuedConnection)
        QTimer.singleShot(0, lambda: (sender.said.emit(1), app.quit()))
        app.exec_()
        self.assertEqual(seen, [])
        app.processEvents()
        self.assertEqual(seen, [1])

    def test_deletions_at_the_end_of_a_loop(self):
        thing, ended = QObject(), []
        thing.destroyed.connect(lambda: ended.append(1))
        QTimer.singleShot(0, lambda: (thing.deleteLater(), app.quit()))
        app.exec_()
        self.assertEqual(ended, [1])

    def test_blocked_signals_do_not_hide_the_end(self):
        thing, ended = Emitter(), []
        for signal in (thing.destroyed, thing.said):
            signal.connect(lambda *_args: ended.append(1))
        thing.blockSignals(True)
        thing.said.emit(1)
        del thing, signal
        self.assertEqual(ended, [1])


class Sockets(unittest.TestCase):
    def states(self, socket):
        """Collects the names of its signals."""
        seen = []
        socket.stateChanged.connect(lambda state: seen.append(state.name))
        for name in ("disconnected", "readChannelFinished", "error"):
            getattr(socket, name).connect(lambda *_args, name=name: seen.append(name))
        return seen

    def test_a_connection_resets_the_error(self):
        server, socket = _servers.listening(), QTcpSocket()
        client, _taken = _servers.connected(server)

        def fail():
            socket.connectToHost(QHostAddress.LocalHost, 1)
            self.assertFalse(socket.waitForConnected(10000))
            self.assertEqual(socket.error(), QTcpSocket.ConnectionRefusedError)
        fail()
        socket.connectToHost(QHostAddress.LocalHost, server.serverPort())
        self.assertEqual((socket.error(), socket.errorString()),
                         (QTcpSocket.UnknownSocketError, "Unknown error"))
        socket.abort()
        fail()
        self.assertTrue(socket.setSocketDescriptor(os.dup(client.socketDescriptor())))
        self.assertEqual(socket.error(), QTcpSocket.UnknownSocketError)

    def test_the_end_of_a_bound_socket(self):
        closing = ["ClosingState", "UnconnectedState", "readChannelFinished", "disconnected"]
        for name, end in (("close", closing), ("disconnectFromHost", closing),
                          ("abort", ["UnconnectedState", "readChannelFinished"])):
            socket = QTcpSocket()
            seen = self.states(socket)
            self.assertTrue(socket.bind(QHostAddress.LocalHost))
            self.assertTrue(socket.isValid())
            getattr(socket, name)()
            self.assertEqual(seen, ["BoundState"] + end)
            self.assertEqual(socket.state(), QTcpSocket.UnconnectedState)
        socket = QTcpSocket()
        socket.bind()
        seen = self.states(socket)
        self.assertFalse(socket.bind())
        self.assertEqual((seen, socket.error()), (["error"], QTcpSocket.UnknownSocketError))
        socket.stateChanged.connect(lambda _state: socket.abort())
        socket.close()
        self.assertEqual(socket.state(), QTcpSocket.UnconnectedState)

    def test_nothing_is_put_back_inside_a_transaction(self):
        server = _servers.listening()
        client, taken = _servers.connected(server)
        taken.write(b"abcdef")
        until(lambda: client.bytesAvailable() == 6)
        client.startTransaction()
        client.read(3)
        client.ungetChar("z")
        self.assertEqual(client.bytesAvailable(), 3)
        client.rollbackTransaction()
        client.ungetChar("z")
        self.assertEqual(client.readAll(), b"zabcdef")


if __name__ == "__main__":
    unittest.main()
