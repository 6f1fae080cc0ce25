"""Programs for PySide and PyQt under berth.run: names, versions, conventions."""

import os
import re
import subprocess
import sys
import tempfile
import textwrap
import unittest


def run(program, *arguments, **variables):
    """Runs a program under berth.run: (status, output, errors)."""
    with tempfile.NamedTemporaryFile("w", suffix=".py") as file:
        file.write(textwrap.dedent(program))
        file.flush()
        done = subprocess.run([sys.executable, "-m", "berth.run", file.name, *arguments],
                              capture_output=True, text=True, timeout=60, check=False,
                              env={**os.environ, **variables})
    return done.returncode, done.stdout, done.stderr


class Names(unittest.TestCase):
    def test_what_is_missing_is_named(self):
        for line, text in (
                ("import PySide2.QtWidgets", "ImportError: PySide2.QtWidgets"),
                ("from PySide2.QtWidgets import QLabel", "ImportError: PySide2.QtWidgets"),
                ("from PySide2 import QtGui", "ImportError: PySide2.QtGui"),
                ("from PyQt5.QtCore import QPoint", "cannot import name 'QPoint' from 'PyQt5.QtCore"),
                ("import PySide6.QtCore as c; c.QPoint", "PySide6.QtCore.QPoint is not in berth")):
            status, _output, errors = run(line)
            self.assertEqual(status, 1)
            self.assertIn(text, errors)

    def test_hasattr(self):
        for package, there, missing in (("PySide2", "Signal", "pyqtSignal"),
                                        ("PySide6", "Slot", "QVariant"),
                                        ("PyQt5", "pyqtSignal", "Signal"),
                                        ("PyQt6", "QVariant", "Slot")):
            status, output, errors = run(f"""
                from {package} import QtCore, QtNetwork
                print(hasattr(QtCore, {there!r}), hasattr(QtCore, {missing!r}),
                      hasattr(QtCore, "QPoint"), hasattr(QtNetwork, "QNetworkAccessManager"),
                      {there!r} in dir(QtCore), hasattr(QtCore, "QMutex"))
                """)
            self.assertEqual((status, output, errors),
                             (0, "True False False False True True\n", ""))

    def test_versions(self):
        for package, names, text in (
                ("PySide2", "__version__, qVersion(), __version_info__", "5.15.8 5.15.8 (5, 15, 8)"),
                ("PySide6", "__version__, qVersion()", "6.4.2 6.4.2"),
                ("PyQt5", "PYQT_VERSION_STR, QT_VERSION_STR, hex(PYQT_VERSION), qVersion()",
                 "5.15.9 5.15.8 0x50f09 5.15.8"),
                ("PyQt6", "QT_VERSION_STR, hex(QT_VERSION)", "6.4.2 0x60402")):
            imported = ", ".join(name for name in ("__version__", "__version_info__", "qVersion",
                                                   "PYQT_VERSION_STR", "PYQT_VERSION",
                                                   "QT_VERSION_STR", "QT_VERSION")
                                 if name in names)
            status, output, errors = run(f"""
                from {package}.QtCore import {imported}
                print({names})
                """)
            self.assertEqual((status, output, errors), (0, text + "\n", ""))

    def test_version_of_the_package(self):
        root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
        with open(os.path.join(root, "include/berth/version.h"), encoding="utf-8") as file:
            version = re.search(r'VERSION_STRING "(.*)"', file.read()).group(1)
        status, output, errors = run("""
            import berth
            print(berth.__version__, hasattr(berth, "nothing"))
            """)
        self.assertEqual((status, output, errors), (0, version + " False\n", ""))

    def test_a_module(self):
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "program.py"), "w", encoding="utf-8") as file:
                file.write("import sys, PySide2.QtCore\nprint(__name__, sys.argv[1:])\n")
            done = subprocess.run([sys.executable, "-m", "berth.run", "-m", "program", "a"],
                                  capture_output=True, text=True, timeout=60, check=False,
                                  cwd=folder)
        self.assertEqual((done.stdout, done.stderr), ("__main__ ['a']\n", ""))


class Qtpy(unittest.TestCase):
    def test_it_works(self):
        try:
            import qtpy
        except ImportError:
            self.skipTest("qtpy is not installed")
        except qtpy.QtBindingsNotFoundError:
            pass
        for package in ("pyside2", "pyqt5"):
            status, output, errors = run("""
                import qtpy
                from qtpy.QtCore import QCoreApplication, QObject, QTimer, Signal, Slot, __version__
                from qtpy.QtNetwork import QTcpServer
                app = QCoreApplication([])
                QTimer.singleShot(1, app.quit)
                print(qtpy.API, __version__, app.exec_())
                """, QT_API=package)
            self.assertEqual((status, output, errors), (0, f"{package} 5.15.8 0\n", ""))


MIXIN = """
    from {package}.QtCore import QObject, QTimer
    from {package}.QtNetwork import QTcpServer, QUdpSocket
    class Mixin:
        def __init__(self, tag=None, **rest):
            super().__init__(**rest)
            self.tag = tag
    class Plain(QObject, Mixin): pass
    class Server(QTcpServer, Mixin):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
    class Udp(QUdpSocket, Mixin): pass
    parent = QObject()
    print(Plain(tag=1, objectName="name").tag, Server(parent, tag=2).parent() is parent,
          Server(tag=2).tag, Udp(tag=3).tag, Plain(destroyed=lambda *_: 0).tag)
    try:
        QTimer(nothing=1)
    except (TypeError, AttributeError) as error:
        print(type(error).__name__)
    try:
        Plain(nothing=1)
    except TypeError as error:
        print(type(error).__name__)
"""


class Conventions(unittest.TestCase):
    def test_keywords_go_on_to_mixins(self):
        for package in ("PyQt5", "PyQt6"):
            status, output, errors = run(MIXIN.format(package=package))
            self.assertEqual((status, output.splitlines()[0], errors), (0, "1 True 2 3 None", ""))
            self.assertEqual(output.splitlines()[2], "TypeError")

    def test_what_is_read(self):
        program = """
            from {package}.QtCore import QBuffer, QByteArray, QDataStream, QIODevice
            from {package}.QtNetwork import QHostAddress, QTcpServer, QTcpSocket, QUdpSocket
            server, client = QTcpServer(), QTcpSocket()
            server.listen(QHostAddress(QHostAddress.LocalHost))
            client.connectToHost("127.0.0.1", server.serverPort())
            print(server.waitForNewConnection(5000)[0], client.waitForConnected(5000))
            taken = server.nextPendingConnection()
            client.write(b"line\\nmore\\nabcdef")
            client.flush()
            while taken.bytesAvailable() < 16:
                taken.waitForReadyRead(5000)
            for read in (taken.peek(2), taken.readLine(), taken.readLine(100), taken.read(2),
                         taken.getChar()[1], taken.readAll()):
                print(type(read).__name__, end=" ")
            buffer = QBuffer()
            buffer.setData(b"one\\ntwo")
            buffer.open(QIODevice.ReadOnly)
            print(type(buffer.readLine()).__name__, type(buffer.read(1)).__name__,
                  type(buffer.readAll()).__name__)
            here = QUdpSocket()
            here.bind(QHostAddress(QHostAddress.LocalHost), 0)
            here.writeDatagram(b"x", QHostAddress(QHostAddress.LocalHost), here.localPort())
            here.waitForReadyRead(5000)
            print(type(here.readDatagram(5)[0]).__name__)
            """
        pyqt = ("True True\nQByteArray QByteArray bytes bytes bytes QByteArray "
                "QByteArray bytes QByteArray\nbytes\n")
        pyside = ("True True\nQByteArray QByteArray QByteArray QByteArray str QByteArray "
                  "QByteArray QByteArray QByteArray\nQByteArray\n")
        for package, wanted in (("PyQt5", pyqt), ("PyQt6", pyqt), ("PySide2", pyside)):
            status, output, errors = run(program.format(package=package))
            self.assertEqual((status, output, errors), (0, wanted, ""))

    def test_data_streams(self):
        status, output, errors = run("""
            from PyQt5.QtCore import QByteArray, QDataStream, QIODevice
            array = QByteArray()
            out = QDataStream(array, QIODevice.WriteOnly)
            out.writeQString("s")
            out.writeString(b"abc")
            out.writeBytes(b"de")
            out.writeRawData(b"raw")
            out.writeInt(7)
            print(array.data())
            read = QDataStream(array)
            print(read.readQString(), read.readString(), read.readBytes(), read.readRawData(3),
                  read.readInt())
            """)
        self.assertEqual((status, output, errors), (
            0, r"b'\x00\x00\x00\x02\x00s\x00\x00\x00\x04abc\x00\x00\x00\x00\x02deraw"
               r"\x00\x00\x00\x07'" "\ns b'abc' b'de' b'raw' 7\n", ""))

    def test_arrays_and_signals(self):
        status, output, errors = run("""
            from PyQt5.QtCore import (QByteArray, QCoreApplication, QMetaObject, QObject, QProcess,
                                      QTimer, Q_ARG, Qt, pyqtSlot)
            array = QByteArray(b"a b")
            print(array[-1], array.at(0), array * 2, array.split(b" ")[1], QByteArray(2, b"x"))
            timer = QTimer()
            for slot in ((), (print,)):
                try:
                    timer.timeout.disconnect(*slot)
                except TypeError as error:
                    print(type(error).__name__)
            timer.timeout.connect(print)
            print(timer.receivers(timer.timeout))
            QProcess().finished[int, QProcess.ExitStatus].connect(print)
            class Worker(QObject):
                @pyqtSlot(str, int)
                def work(self, text, number):
                    print(text, number)
            application, worker = QCoreApplication([]), Worker()
            QMetaObject.invokeMethod(worker, "work", Qt.QueuedConnection, Q_ARG(str, "text"),
                                     Q_ARG(int, 5))
            print("later")
            application.processEvents()
            """)
        self.assertEqual((status, output.splitlines(), errors), (
            0, ["b'b' b'a' b'a ba b' b'b' b'xx'", "TypeError", "TypeError", "1", "later", "text 5"],
            ""))

    def test_enumerations_of_qt6(self):
        status, output, errors = run("""
            from PyQt6.QtCore import QDataStream, QDeadlineTimer, QIODevice, QIODeviceBase, QThread
            from PyQt6.QtNetwork import QAbstractSocket
            states = QAbstractSocket.SocketState
            print(len(states), [one.name for one in states][:2], states["BoundState"].value,
                  "BoundState" in states.__members__, states.BoundState in states, bool(states))
            both = QIODevice.OpenModeFlag.ReadOnly | QIODevice.OpenModeFlag.Text
            print(both.name, QIODeviceBase.OpenModeFlag.ReadWrite.name)
            print(QDataStream.Version.Qt_6_0.value, QThread().wait(QDeadlineTimer(10)))
            """)
        self.assertEqual((status, output.splitlines(), errors), (
            0, ["7 ['UnconnectedState', 'HostLookupState'] 4 True True True", "ReadOnly|Text ReadWrite",
                "20 True"], ""))

    def test_another_interpreter_is_refused(self):
        for before in ("", "import berth.QtNetwork"):
            status, output, errors = run(f"""
                import sys
                {before}
                try:
                    import _xxsubinterpreters as interpreters
                    made = interpreters.create(isolated=False)
                    interpreters.run_string(made, "import berth.QtCore")
                except ModuleNotFoundError:
                    print("main interpreter only")  # there are none to try
                except interpreters.RunFailedError as failure:
                    print(str(failure)[-21:])
                import berth.QtNetwork
                del sys.modules["berth._berth"]
                from berth import _berth
                assert berth.QtNetwork.QTcpServer is _berth.QTcpServer
                """)
            self.assertEqual((status, output, errors), (0, "main interpreter only\n", ""))

    @unittest.skipIf(sys.version_info < (3, 10), "types of C are immutable")
    def test_classes_can_be_changed(self):
        status, output, errors = run("""
            from PySide6.QtCore import QCoreApplication, QThread
            QThread.run_it = lambda self: 5
            QCoreApplication.exec_ = QCoreApplication.exec
            print(QThread().run_it())
            """)
        self.assertEqual((status, output, errors), (0, "5\n", ""))


if __name__ == "__main__":
    unittest.main()
