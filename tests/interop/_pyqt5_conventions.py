"""What python_pyqt5.py runs with PyQt5 and with the Python module: the conventions of PyQt."""

import os
import threading

from PyQt5.QtCore import (QBuffer, QByteArray, QCoreApplication, QDataStream, QElapsedTimer, QEventLoop,
                          QFile, QIODevice, QObject, QProcess, QThread, QTimer, pyqtSignal)
from PyQt5.QtNetwork import QHostAddress, QLocalSocket, QTcpServer, QTcpSocket, QUdpSocket


def tell(name, function, *arguments):
    try:
        result = function(*arguments)
    except Exception as error:
        print(name, "!", type(error).__name__)
        return None
    shown = bytes(result) if isinstance(result, QByteArray) else result
    print(name, type(result).__name__, "" if isinstance(result, QObject) else shown)
    return result


def buffer(data=b"one\ntwo\n"):
    made = QBuffer()
    made.setData(data)
    made.open(QIODevice.ReadOnly)
    return made


def reading(name, device):
    print("--", name)
    for method, arguments in (("read", (1,)), ("read", (0,)), ("read", (-1,)), ("readLine", (5,)),
                              ("readLine", ()), ("readAll", ()), ("peek", (1,)), ("getChar", ()),
                              ("skip", (1,))):
        tell("%s%s" % (method, arguments), getattr(device, method), *arguments)


def devices():
    reading("a buffer", buffer())
    reading("a buffer at its end", buffer(b""))
    reading("a closed buffer", QBuffer())
    for kind in (QTcpSocket, QUdpSocket, QLocalSocket, QProcess):
        reading(kind.__name__, kind())
    tell("readData", QTcpSocket().readData, 1)
    reading("a file that is not open", QFile(os.devnull))


def sockets():
    """A connection with nothing to read, and then at its end."""
    server = QTcpServer()
    assert server.listen(QHostAddress.LocalHost, 0)
    client = QTcpSocket()
    client.connectToHost("127.0.0.1", server.serverPort())
    assert client.waitForConnected(20000) and server.waitForNewConnection(20000)[0]
    reading("nothing has come", client)
    taken = server.nextPendingConnection()
    taken.write(b"line\nrest")
    taken.disconnectFromHost()
    clock = QElapsedTimer()
    clock.start()
    while client.state() != QTcpSocket.UnconnectedState and clock.elapsed() < 20000:
        app.processEvents(QEventLoop.WaitForMoreEvents, 100)
    reading("all that came", client)
    reading("the end", client)


def datagrams():
    print("-- datagrams")
    device = QUdpSocket()
    for where in (None, QHostAddress(QHostAddress.LocalHost)):
        if where is not None:
            assert device.bind(where, 0)
        data, host, port = device.readDatagram(10)
        print(data, host.isNull(), port)
    device.writeDatagram(b"abc", where, device.localPort())
    assert device.waitForReadyRead(20000)
    data, host, port = device.readDatagram(2)
    print(data, host.toString(), port == device.localPort())


class Sender(QObject):
    plain, several = pyqtSignal(), pyqtSignal([int], [str])


def signals():
    print("-- signals")
    sender = Sender()

    def first():
        print("first")

    def second():
        print("second")

    made = tell("connect", lambda: bool(sender.plain.connect(first)))
    tell("disconnect", sender.plain.disconnect)
    tell("again", sender.plain.disconnect)
    made = sender.plain.connect(first)
    sender.plain.connect(first)
    sender.plain.connect(second)
    tell("emit", sender.plain.emit)
    tell("one connection", sender.plain.disconnect, made)
    tell("the same one", sender.plain.disconnect, made)
    tell("emit", sender.plain.emit)
    tell("a slot", sender.plain.disconnect, second)
    tell("a slot again", sender.plain.disconnect, second)
    made = sender.plain.connect(second)
    tell("of the class", QObject.disconnect, made)
    tell("of the class again", QObject.disconnect, made)
    sender.several[str].connect(lambda text: print("several", text))
    sender.several[int].connect(lambda number: print("several", number))
    sender.several.emit(3)
    sender.several[str].emit("three")
    tell("all", sender.disconnect)
    sender.plain.emit()
    sender.several[str].emit("three")
    made = sender.plain.connect(sender.deleteLater)
    del sender
    tell("of a sender that is gone", QObject.disconnect, made)


def names_of_signals():
    print("-- names")
    kept = Sender(), QTimer(), QTcpSocket()
    for signal in (kept[0].plain, kept[0].several, kept[0].several[str], kept[1].timeout,
                   kept[2].stateChanged, kept[2].readyRead):
        print(signal.signal)


class Mixin:
    def __init__(self, x=0, **more):
        print("mixin", x, more)
        super().__init__(**more)


def keywords():
    print("-- keywords")
    for kind in (QObject, QTimer, QBuffer, QTcpServer, QTcpSocket, QUdpSocket, QThread, QProcess, QFile):
        tell(kind.__name__, lambda kind=kind: kind(nothing=1))
        mixed = type("Mixed", (kind, Mixin), {})
        tell("with a mixin", lambda mixed=mixed: mixed(x=3, objectName="n").objectName())
        tell("unknown to both", lambda mixed=mixed: mixed(y=3))


def threads():
    print("-- threads", int(QThread.currentThreadId()) == threading.get_ident())


def streams():
    print("-- streams")
    array = QByteArray()
    stream = QDataStream(array, QIODevice.WriteOnly)
    stream.writeString(b"abc")
    stream.writeQString("h\u00e9")
    stream.writeQString(None)
    stream.writeBytes(b"\0xy")
    stream.writeRawData(b"zz")
    stream.writeInt(5)
    stream = QDataStream(array, QIODevice.ReadOnly)
    for name in ("readString", "readQString", "readQString", "readBytes"):
        tell(name, getattr(stream, name))
    tell("readRawData", stream.readRawData, 2)
    tell("readInt", stream.readInt)
    for name in ("readInt", "readString", "readQString"):
        tell(name + " at the end", getattr(stream, name))
    print(int(stream.status()))


class Device(QIODevice):
    def __init__(self):
        super().__init__()
        self.left, self.got = b"line one\nrest", []

    def readData(self, size):
        data, self.left = self.left[:size], self.left[size:]
        return data

    def writeData(self, data):
        self.got.append((type(data).__name__, bytes(data)))
        return len(data)


def of_the_program():
    print("-- a device of the program")
    device = Device()
    device.open(QIODevice.ReadWrite)
    tell("read", device.read, 3)
    tell("readLine", device.readLine, 20)
    tell("readAll", device.readAll)
    tell("write", device.write, b"abc")
    print(device.got)


app = QCoreApplication([])
for part in (devices, sockets, datagrams, signals, names_of_signals, keywords, threads, streams,
             of_the_program):
    part()
