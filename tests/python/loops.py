"""Loops and programs: exec_, nested loops, timers, interrupts, berth.run, and clean exits."""

import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import unittest

import _servers
from _servers import app, until
from berth.QtCore import QCoreApplication, QEventLoop, QObject, QTimer


def run(program, *arguments, module=None, **more):
    """Runs a program; returns (status, output, errors)."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "program.py")
        with open(path, "w", encoding="utf-8") as file:
            file.write(textwrap.dedent(program))
        command = [sys.executable, *(("-m", module) if module else ()), path, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False,
                              **more)
    return done.returncode, done.stdout, done.stderr


class Loops(unittest.TestCase):
    def test_the_code_of_exit(self):
        QTimer.singleShot(0, lambda: app.exit(5))
        self.assertEqual(app.exec_(), 5)

    def test_nested_loops(self):
        trace = []

        def nest():
            loop = QEventLoop()
            QTimer.singleShot(0, lambda: (trace.append("inner"), loop.exit(2)))
            trace.append(loop.exec_())
            app.quit()
        QTimer.singleShot(0, nest)
        app.exec_()
        self.assertEqual(trace, ["inner", 2])

    def test_deferred_deletion_waits_for_its_loop(self):
        trace = []

        def nest():
            thing = QObject()
            thing.destroyed.connect(lambda: trace.append("gone"))
            thing.deleteLater()
            loop = QEventLoop()
            QTimer.singleShot(0, loop.quit)
            loop.exec_()
            trace.append("inner")
            QTimer.singleShot(0, app.quit)
            self.kept = thing
        QTimer.singleShot(0, nest)
        app.exec_()
        self.assertEqual(trace, ["inner", "gone"])

    def test_timers(self):
        count = []
        timer = QTimer()
        timer.timeout.connect(lambda: count.append(1))
        timer.start(0)
        until(lambda: len(count) > 3)
        timer.stop()
        self.assertFalse(timer.isActive())
        timer.setSingleShot(True)
        timer.start(1)
        before = len(count)
        until(lambda: len(count) > before)
        self.assertFalse(timer.isActive())

    def test_timer_events(self):
        class Counting(QObject):
            count = 0

            def timerEvent(self, event):
                self.count += 1
                self.number = event.timerId()
        thing = Counting()
        number = thing.startTimer(0)
        until(lambda: thing.count > 2)
        thing.killTimer(number)
        self.assertEqual(thing.number, number)

    def test_one_application(self):
        self.assertIs(QCoreApplication.instance(), app)
        with self.assertRaises(RuntimeError):
            QCoreApplication([])


class Programs(unittest.TestCase):
    def test_control_c_ends_the_loop(self):
        status, output, errors = run("""
            import os, signal, threading
            from berth.QtCore import QCoreApplication, QTimer
            app = QCoreApplication([])
            QTimer.singleShot(0, lambda: threading.Timer(
                0.05, os.kill, (os.getpid(), signal.SIGINT)).start())
            try:
                app.exec_()
            except KeyboardInterrupt:
                print("interrupted")
            """)
        self.assertEqual((status, output, errors), (0, "interrupted\n", ""))

    def test_control_c_inside_a_slot_ends_the_loop(self):
        status, output, errors = run("""
            import os, signal, time
            from berth.QtCore import QCoreApplication, QTimer
            app = QCoreApplication([])
            def slot():
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(5)
            QTimer.singleShot(0, slot)
            try:
                app.exec_()
            except KeyboardInterrupt:
                print("interrupted")
            """)
        self.assertEqual((status, output, errors), (0, "interrupted\n", ""))

    def test_leaving_with_live_objects(self):
        status, output, errors = run("""
            import sys
            from berth.QtCore import QCoreApplication, QThread, QTimer
            from berth.QtNetwork import QHostAddress, QTcpServer, QTcpSocket
            app = QCoreApplication(sys.argv)
            server, client, timer, thread = QTcpServer(), QTcpSocket(), QTimer(), QThread()
            server.listen(QHostAddress.LocalHost)
            client.connectToHost("127.0.0.1", server.serverPort())
            client.disconnected.connect(lambda: print("never"))
            timer.timeout.connect(lambda: 0)
            timer.start(1)
            thread.start()
            server.waitForNewConnection(5000)
            taken = server.nextPendingConnection()
            taken.write(b"hello")
            cycle = [taken, server]
            cycle.append(cycle)
            """)
        self.assertEqual((status, output, errors), (0, "", ""))

    def test_leaving_while_threads_begin(self):
        status, output, errors = run("""
            import os
            from berth.QtCore import QThread
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # so that they begin late
            threads = [QThread() for _thread in range(5)]
            for thread in threads:
                thread.start()
            """)
        self.assertEqual((status, output, errors), (0, "", ""))

    def test_leaving_from_a_slot(self):
        status, _output, errors = run("""
            import sys
            from berth.QtCore import QCoreApplication, QTimer
            app = QCoreApplication(sys.argv)
            QTimer.singleShot(0, lambda: sys.exit(7))
            app.exec_()
            """)
        self.assertEqual((status, errors), (7, ""))

    def test_programs_for_the_others(self):
        for package, signal_name in (("PySide2", "Signal"), ("PySide6", "Signal"),
                                     ("PyQt5", "pyqtSignal"), ("PyQt6", "pyqtSignal")):
            status, output, errors = run(f"""
                import sys
                from {package} import QtCore
                from {package}.QtCore import {signal_name}
                from {package}.QtNetwork import QTcpServer
                print(__name__, sys.argv[1:], QtCore.QObject.__module__, QTcpServer.__name__)
                """, "a", "b", module="berth.run")
            self.assertEqual((status, output, errors),
                             (0, "__main__ ['a', 'b'] berth.QtCore QTcpServer\n", ""))


if __name__ == "__main__":
    unittest.main()
