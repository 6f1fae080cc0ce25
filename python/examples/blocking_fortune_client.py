#!/usr/bin/env python3
"""Blocking Fortune client: a thread asks the server and waits, while the main thread has its loop.

    python3 blocking_fortune_client.py HOST PORT [--count N] [--timeout MS] [--cpp]     with PySide2
    python3 -m berth.run blocking_fortune_client.py ...                                 with Berth

The thread sleeps between questions; the main thread wakes it with the next one, and hears the
answers by signals. Whatever goes wrong is one line on standard error, and status 1.
"""

import argparse
import queue
import signal
import sys

from PySide2 import QtCore, QtNetwork

import fortune_wire


class FortuneThread(QtCore.QThread):
    newFortune = QtCore.Signal(str)
    failed = QtCore.Signal(int, str)

    def __init__(self, options):
        super().__init__()
        self.options = options
        self.questions = queue.SimpleQueue()

    def request(self):
        self.questions.put(True)

    def end(self):
        self.questions.put(False)
        self.wait()

    def run(self):
        while self.questions.get():
            self.ask()

    def ask(self):
        connection = QtNetwork.QTcpSocket()
        stream = QtCore.QDataStream(connection)
        stream.setVersion(fortune_wire.VERSION)
        connection.connectToHost(self.options.host, self.options.port)
        if not connection.waitForConnected(self.options.timeout):
            self.failed.emit(int(connection.error()), connection.errorString())
            return
        while True:
            text = fortune_wire.read(stream, self.options.cpp)
            if text is not None:
                self.newFortune.emit(text)
                return
            if not connection.waitForReadyRead(self.options.timeout):
                self.failed.emit(int(connection.error()), connection.errorString())
                return


class Client(QtCore.QObject):
    def __init__(self, options):
        super().__init__()
        self.left = options.count
        self.problem = None
        self.thread = FortuneThread(options)
        self.thread.newFortune.connect(self.show)
        self.thread.failed.connect(self.fail)
        self.thread.start()
        self.thread.request()

    def show(self, text):
        print(text, flush=True)
        self.left -= 1
        if self.left:
            self.thread.request()
        else:
            QtCore.QCoreApplication.quit()

    def fail(self, code, text):
        self.problem = "Error %d: %s" % (code, text)
        QtCore.QCoreApplication.quit()


def main():
    parser = argparse.ArgumentParser(description="Asks a Fortune server from a thread that waits.")
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("--count", type=int, default=1, help="fortunes to ask for")
    parser.add_argument("--timeout", type=int, default=5000, help="milliseconds for each wait")
    parser.add_argument("--cpp", action="store_true", help="speak " + fortune_wire.PLAIN)
    options = parser.parse_args()

    signal.signal(signal.SIGINT, signal.SIG_DFL)
    application = QtCore.QCoreApplication(sys.argv)
    client = Client(options)
    application.exec_()
    client.thread.end()
    sys.exit(client.problem)


if __name__ == "__main__":
    main()
