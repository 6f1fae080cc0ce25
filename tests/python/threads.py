"""Threads: workers, queued signals, servers and waits in threads, and who dies where."""

import gc
import socket
import threading
import unittest

import _servers
from _servers import listening, until
from berth.QtCore import QCoreApplication, QEventLoop, QObject, Qt, QThread, QTimer, Signal
from berth.QtNetwork import QTcpServer, QTcpSocket


class Worker(QObject):
    done = Signal(object)

    def work(self, value=None):
        self.done.emit((value, threading.current_thread() is threading.main_thread()))


class Threads(unittest.TestCase):
    def test_a_worker(self):
        seen = []
        thread, worker = QThread(), Worker()
        worker.moveToThread(thread)
        self.assertIs(worker.thread(), thread)
        thread.started.connect(worker.work)
        worker.done.connect(lambda result: seen.append(
            (result[1], threading.current_thread() is threading.main_thread())))
        thread.start()
        until(lambda: seen)
        self.assertEqual(seen, [(False, True)])
        thread.quit()
        self.assertTrue(thread.wait(10000))
        self.assertTrue(thread.isFinished())

    def test_run(self):
        class Running(QThread):
            def run(self):
                self.inside = QThread.currentThread()
        finished = []
        thread = Running()
        thread.finished.connect(lambda: finished.append(1))
        thread.start()
        self.assertTrue(thread.wait())
        self.assertIs(thread.inside, thread)
        until(lambda: finished)
        thread.start()  # a second life
        self.assertTrue(thread.wait())

    def test_quitting_before_the_loop_runs(self):
        thread = QThread()
        thread.start()
        thread.exit(3)
        self.assertTrue(thread.wait(10000))

    def test_a_direct_connection_runs_in_the_senders_thread(self):
        seen = []
        thread, worker = QThread(), Worker()
        worker.moveToThread(thread)
        worker.done.connect(lambda _result: seen.append(threading.current_thread()),
                            Qt.DirectConnection)
        thread.started.connect(worker.work)
        thread.start()
        until(lambda: seen)
        self.assertIsNot(seen[0], threading.main_thread())
        thread.quit()
        thread.wait()

    def test_a_blocking_server_in_a_thread(self):
        class Serving(QThread):
            ready = Signal(int)

            def run(self):
                server = listening()
                self.ready.emit(server.serverPort())
                server.waitForNewConnection(10000)
                socket = server.nextPendingConnection()
                socket.waitForReadyRead(10000)
                socket.write(socket.readAll())
                socket.disconnectFromHost()
                if socket.state() != QTcpSocket.UnconnectedState:
                    socket.waitForDisconnected(10000)
        ports, thread = [], Serving()
        thread.ready.connect(ports.append)
        thread.start()
        until(lambda: ports)
        client = QTcpSocket()
        client.connectToHost("127.0.0.1", ports[0])
        self.assertTrue(client.waitForConnected(10000))
        client.write(b"hello")
        self.assertTrue(client.waitForReadyRead(10000))
        self.assertEqual(client.readAll(), b"hello")
        self.assertTrue(thread.wait())

    def test_other_threads_run_while_a_wait_goes_on_after_a_slot(self):
        def serve():
            peer = listener.accept()[0]
            peer.sendall(b"hello")
            heard.wait(20)
            peer.close()
        heard, listener = threading.Event(), socket.create_server(("127.0.0.1", 0))
        thread = threading.Thread(target=serve)
        thread.start()
        client = QTcpSocket()
        client.readyRead.connect(heard.set)
        client.connectToHost("127.0.0.1", listener.getsockname()[1])
        self.assertTrue(client.waitForConnected(10000))
        self.assertTrue(client.waitForDisconnected(10000))
        self.assertTrue(heard.is_set())
        thread.join()
        listener.close()

    def test_a_threaded_server(self):
        class Serving(QThread):
            def __init__(self, handle, parent):
                super().__init__(parent)
                self.handle = handle

            def run(self):
                socket = QTcpSocket()
                socket.setSocketDescriptor(self.handle)
                socket.write(b"fortune")
                socket.disconnectFromHost()
                socket.waitForDisconnected()

        class Server(QTcpServer):
            def incomingConnection(self, handle):
                thread = Serving(handle, self)
                thread.finished.connect(thread.deleteLater)
                thread.start()
        server = listening(Server)
        clients = [QTcpSocket() for _client in range(8)]
        for client in clients:
            client.connectToHost("127.0.0.1", server.serverPort())
        until(lambda: all(c.state() == QTcpSocket.UnconnectedState for c in clients))
        self.assertEqual([c.readAll().data() for c in clients], [b"fortune"] * 8)
        until(lambda: not server.children())

    def test_objects_of_other_threads_are_refused(self):
        server, socket, timer, seen = listening(), QTcpSocket(), QTimer(), []
        refused = [
            server.close, server.nextPendingConnection, lambda: server.waitForNewConnection(0),
            lambda: QTcpSocket(server), server.isListening, server.serverPort, server.serverAddress,
            server.hasPendingConnections, server.errorString, socket.state, socket.peerAddress,
            socket.localPort, socket.peerName, socket.errorString, socket.socketDescriptor,
            socket.bytesAvailable, socket.bytesToWrite, socket.isOpen,
            lambda: socket.socketOption(QTcpSocket.LowDelayOption),
            lambda: socket.setSocketOption(QTcpSocket.LowDelayOption, 1),
            timer.isActive, timer.remainingTime, lambda: timer.setInterval(1),
            lambda: timer.setSingleShot(True)]

        def use():
            for call in refused:
                try:
                    call()
                except RuntimeError as error:
                    seen.append(error)
        thread = threading.Thread(target=use)
        thread.start()
        thread.join()
        self.assertEqual(len(seen), len(refused))
        with self.assertRaises(RuntimeError):
            server.moveToThread(QThread())  # it listens

    def test_an_object_that_dies_in_another_thread(self):
        holder = [listening()]
        port = holder[0].serverPort()
        thread = threading.Thread(target=holder.clear)
        thread.start()
        thread.join()
        gc.collect()
        client = QTcpSocket()
        loop = QEventLoop()
        QTimer.singleShot(0, loop.quit)
        loop.exec_()  # the server is destroyed here
        client.connectToHost("127.0.0.1", port)
        self.assertFalse(client.waitForConnected(5000))

    def test_a_collection_in_another_thread(self):
        server = listening()
        client, taken = _servers.connected(server)
        heard = []
        client.readyRead.connect(lambda: heard.append(client.readAll()))  # a cycle
        thread = threading.Thread(target=gc.collect)
        thread.start()
        thread.join()
        taken.write(b"still there")
        until(lambda: heard == [b"still there"])

    def test_a_thread_of_python_cleans_up(self):
        def use():
            server = listening()
            kept.append(server)
            QCoreApplication.processEvents()
        kept = []
        thread = threading.Thread(target=use)
        thread.start()
        thread.join()
        self.assertFalse(kept[0].thread() and kept[0].isListening())
        kept.clear()

    def test_a_thread_that_is_started_again_when_it_has_finished(self):
        class Counting(QThread):
            count = 0

            def run(self):
                QCoreApplication.processEvents()  # so that there is a loop to free
                self.count += 1
        thread, states = Counting(), []
        thread.finished.connect(lambda: thread.start() if thread.count < 5 else None)
        thread.finished.connect(lambda: states.append((thread.isRunning(), thread.isFinished())),
                                Qt.DirectConnection)
        thread.finished.connect(thread.start, Qt.DirectConnection)  # of the thread itself: nothing
        thread.start()
        until(lambda: thread.count == 5)
        self.assertTrue(thread.wait(10000))
        self.assertEqual(states, [(False, True)] * 5)

    def test_objects_and_events_wait_for_the_next_start(self):
        thread, worker, sender, seen = QThread(), Worker(), Worker(), []
        worker.moveToThread(thread)
        sender.done.connect(worker.work)
        worker.done.connect(lambda result: seen.append(result))
        for round_ in range(3):
            sender.done.emit(round_)
            self.assertFalse(seen)
            thread.start()
            until(lambda: seen)
            self.assertEqual(seen.pop(), (round_, False))
            self.assertIs(worker.thread(), thread)
            thread.quit()
            self.assertTrue(thread.wait(10000))

    def test_natives_after_the_second_start(self):
        class Own(QObject):
            up = Signal(object)

            def __init__(self):
                super().__init__()
                self.server, self.timer = QTcpServer(self), QTimer(self)

            def begin(self):
                good = self.server.listen() and not self.timer.isActive()
                self.timer.start(1000)
                self.up.emit((good, self.server.isListening(), self.timer.isActive()))
        thread, own, seen = QThread(), Own(), []
        own.moveToThread(thread)
        thread.started.connect(own.begin)
        own.up.connect(seen.append)
        for _start in range(2):
            thread.start()
            until(lambda: seen)
            self.assertEqual(seen.pop(), (True, True, True))
            thread.quit()
            self.assertTrue(thread.wait(10000))

    def test_a_tree_moves_whole_or_not_at_all(self):
        thread, top = QThread(), QObject()
        first, server, last = QObject(top), QTcpServer(top), QTimer(top)
        home = top.thread()
        last.start(1000)
        server.listen()
        with self.assertRaises(RuntimeError):
            top.moveToThread(thread)
        self.assertTrue(all(one.thread() is home for one in (top, first, server, last)))
        self.assertTrue(last.isActive() and server.isListening())
        server.close()
        top.moveToThread(thread)
        self.assertTrue(all(one.thread() is thread for one in (top, first, server, last)))

    def test_an_active_timer_moves(self):
        thread, timer, seen = QThread(), QTimer(), []
        timer.timeout.connect(lambda: seen.append(QThread.currentThread()), Qt.DirectConnection)
        timer.start(1)
        timer.moveToThread(thread)
        thread.start()
        until(lambda: seen)
        thread.quit()
        thread.wait()
        self.assertIs(seen[0], thread)
        del timer, thread  # with its event, if it has not run

    def test_a_timer_that_moves_on_before_it_is_started_again(self):
        class First(QThread):
            def run(self):
                timer.start(1)
                timer.moveToThread(second)
        first, second, timer, seen, others = First(), QThread(), QTimer(), [], []
        other, sender = Worker(), Worker()
        other.moveToThread(second)
        sender.done.connect(other.work)
        other.done.connect(others.append)
        timer.timeout.connect(lambda: seen.append(QThread.currentThread()), Qt.DirectConnection)
        timer.start(1)
        timer.moveToThread(first)
        first.start()
        first.wait()
        second.start()
        until(lambda: seen)
        sender.done.emit(1)
        until(lambda: others)
        second.quit()
        self.assertTrue(second.wait(10000))
        self.assertIs(seen[0], second)
        ended = []
        timer.destroyed.connect(lambda: ended.append(1), Qt.DirectConnection)
        del timer, seen[:]
        self.assertEqual(ended, [1])

    def test_a_parent_without_a_native_that_dies_in_another_thread(self):
        parent, ended = QObject(), []
        for child in (QTimer(parent), listening(lambda: QTcpServer(parent)), QTcpSocket(parent)):
            child.destroyed.connect(lambda: ended.append(threading.current_thread()),
                                    Qt.DirectConnection)
        parent.children()[0].start(1000)
        holder = [parent]
        del parent, child
        thread = threading.Thread(target=holder.clear)
        thread.start()
        thread.join()
        until(lambda: len(ended) == 3)
        self.assertEqual(set(ended), {threading.main_thread()})

    def test_signals_to_a_thread_that_has_ended(self):
        thread, worker = QThread(), Worker()
        worker.moveToThread(thread)
        thread.start()
        thread.quit()
        thread.wait()
        timer = QTimer()
        timer.timeout.connect(worker.work)
        timer.timeout.emit()


if __name__ == "__main__":
    unittest.main()
