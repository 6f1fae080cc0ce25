"""Threads: workers, queued signals, servers and waits in threads, and who dies where."""

import gc
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
