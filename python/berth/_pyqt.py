"""The conventions of PyQt where they differ from PySide's, for a process that imports PyQt.

- What a device or a stream reads is bytes: read, readLine with a size, getChar, readDatagram, and the
  strings and blocks of QDataStream. (readAll, peek, and readLine without a size give a QByteArray.)
- A keyword argument of a constructor that is neither a property nor a signal goes on to the class behind
  QObject in the order of resolution: a mixin.
- A QByteArray has negative indices and is of bytes, also at().
- connect() returns a QMetaObject.Connection, which disconnect() takes; disconnect() and emit() return
  None. disconnect() raises TypeError if there is nothing to disconnect.
- Reading where nothing can come any more, and readDatagram() without a datagram, give None.
- A bound signal has `signal`, as "2timeout()".
- QThread has currentThreadId(), an int.
- QVariant is the value itself. sip and what else only PyQt has are not there.

It is decided once, by the first import of PyQt5.QtCore or PyQt6.QtCore, for the whole process.
"""

import inspect
import threading

from . import QtCore, _berth, _core, _device

_installed = False
_CONNECTED = 3  # of sockets


def _as_bytes(method):
    """The method, with bytes in place of a QByteArray."""
    def wrapped(self, *args):
        result = method(self, *args)
        if isinstance(result, tuple):
            return (bytes(result[0]), *result[1:])
        return bytes(result) if isinstance(result, QtCore.QByteArray) else result
    wrapped.__name__ = wrapped.__qualname__ = getattr(method, "__name__", "read")
    wrapped.__doc__ = method.__doc__
    return wrapped


def _ended(self):
    """Whether nothing can be read any more: what read() of Qt answers with -1."""
    if not self.isReadable():
        return True
    state = getattr(self, "state", None) if self.isSequential() else None
    if state is None:
        return False
    value = int(state())
    return value == 0 if self.inherits("QProcess") else value != _CONNECTED


def _read(method):
    def read(self, maxlen):
        if maxlen < 0:
            raise ValueError("maximum length of data to be read cannot be negative")
        data = bytes(method(self, maxlen) or b"")
        return data if data or not _ended(self) or (maxlen == 0 and self.isReadable()) else None
    read.__doc__ = method.__doc__
    return read


def _line_as_bytes(method):
    def readLine(self, *args):
        result = method(self, *args)
        if not args:
            return QtCore.QByteArray(result or b"")
        return bytes(result) if result or not (_ended(self) or not self.isSequential()) else None
    readLine.__doc__ = method.__doc__
    return readLine


def _read_datagram(method):
    def readDatagram(self, maxlen):
        """readDatagram(maxlen) -> (bytes or None, QHostAddress, port)"""
        there = self.hasPendingDatagrams()
        data, host, port = method(self, maxlen)
        return bytes(data) if there else None, host, port
    return readDatagram


def _get_char(method):
    def getChar(self):
        """getChar() -> (bool, bytes)"""
        found, character = method(self)
        return found, character.encode("latin-1") if isinstance(character, str) else character
    return getChar


def _put(cls, name, make):
    """Replaces a method that the class itself has."""
    method = vars(cls).get(name)
    if method is None:
        return
    if cls.__flags__ & 0x200:  # a heap type, written in Python
        setattr(cls, name, make(method))
    else:
        _berth.install(cls, {name: make(method)})


def convert(cls, *names):
    """Makes methods of a class return bytes, if PyQt is in use."""
    if _installed:
        for name in names:
            _put(cls, name, _as_bytes)
    return cls


def _passes_on(cls, original):
    """A constructor of a class that passes on the keywords that it does not know."""
    def __init__(self, *args, **kwargs):
        own, others = {}, {}
        for key, value in kwargs.items():
            setter = "set" + key[:1].upper() + key[1:]
            mine = key in _names(original) or hasattr(cls, setter) or \
                isinstance(inspect.getattr_static(type(self), key, None), QtCore.Signal)
            (own if mine else others)[key] = value
        original(self, *args, **own)
        order = type(self).__mro__
        behind = order[order.index(QtCore.QObject) + 1]
        if behind is object and others:
            raise TypeError(f"{next(iter(others))!r} is an unknown keyword argument")
        super(QtCore.QObject, self).__init__(**others)
    __init__.__doc__ = original.__doc__
    return __init__


def _names(function):
    """The names of the parameters of a constructor."""
    return function.__code__.co_varnames if inspect.isfunction(function) else ("parent",)


def install():
    """Changes the classes; the second time nothing."""
    global _installed
    if _installed:
        return
    _installed = _device.pyqt = True
    _berth.use_pyqt()
    _berth.install(QtCore.QByteArray, {"at": QtCore.QByteArray.__getitem__})
    _berth.install(QtCore.QObject, {"disconnect": _Disconnect()})
    _berth.install(QtCore.SignalInstance, {"signal": property(lambda self: "2" + str(self))})
    _berth.install(QtCore.QThread, {"currentThreadId": staticmethod(threading.get_ident)})
    QtCore.QMetaObject.Connection = _berth.Connection
    from . import QtNetwork
    for module in (QtCore, QtNetwork):
        for name in module.__all__:
            cls = vars(module).get(name)
            if isinstance(cls, type):
                adapt(cls)


def adapt(cls):
    """Changes one class, which may have been loaded later than PyQt was imported."""
    if not _installed or "_of_pyqt" in vars(cls):
        return
    if issubclass(cls, QtCore.QIODevice):
        _put(cls, "read", _read)
        _put(cls, "readLine", _line_as_bytes)
        _put(cls, "getChar", _get_char)
    if issubclass(cls, QtCore.QObject) and "__init__" in vars(cls):
        original = vars(cls)["__init__"]
        # A class that is written in Python calls the constructor of its base, which passes on.
        if not inspect.isfunction(original):
            _berth.install(cls, {"__init__": _passes_on(cls, original)})
    for name, make in _OF_CLASS.get(cls.__name__, {}).items():
        _put(cls, name, make)
    if cls.__name__ == "QDataStream":
        for name, function in _OF_STREAM.items():
            setattr(cls, name, function)


def _write_text(method):
    def writeQString(self, text):
        """Writes a text; None for one that is null."""
        if text is None:
            self.writeUInt32(0xffffffff)
        else:
            method(self, text)
    return writeQString


_OF_CLASS = {
    "QDataStream": {"readRawData": _as_bytes, "writeQString": _write_text},
    "QUdpSocket": {"readDatagram": _read_datagram},
    "QAbstractSocket": {"readData": _read},
}


class _Disconnect:
    """QObject.disconnect(connection) -> bool, and disconnect() of an object: of all its signals"""

    def __get__(self, instance, owner):
        if instance is None:
            return self._one
        return lambda *args: self._one(*args) if args else self._all(instance)

    @staticmethod
    def _one(connection, *more):
        if isinstance(connection, _berth.Connection) and not more:
            return connection._disconnect()
        return _core._disconnect(connection, *more)

    @staticmethod
    def _all(sender):
        names = (name for name in dir(type(sender))
                 if isinstance(inspect.getattr_static(type(sender), name, None), QtCore.Signal))
        for signal in [getattr(sender, name) for name in names]:
            signal._disconnect_all()


# ---- QDataStream: blocks with their size in front ----

def _read_bytes(self):
    """A block as bytes."""
    size = self.readUInt32()
    return self.readRawData(size) if size != 0xffffffff else b""


def _write_bytes(self, data):
    """Writes a block."""
    self.writeUInt32(len(data))
    self.writeRawData(data)
    return self


def _read_string(self):
    """A C string as bytes."""
    text = _read_bytes(self).rstrip(b"\0")
    return text if text or int(self.status()) == 0 else None


def _write_string(self, text):
    """Writes a C string."""
    _write_bytes(self, text + b"\0")


_OF_STREAM = {
    "readBytes": _read_bytes, "writeBytes": _write_bytes,
    "readString": _read_string, "writeString": _write_string,
    "readInt": lambda self: self.readInt32(), "writeInt": lambda self, n: self.writeInt32(n),
}


class Q_ARG:
    """Q_ARG(type, value): an argument of QMetaObject.invokeMethod()."""

    def __init__(self, _type, value):
        self.value = value


class QVariant:
    """QVariant(value) is the value, as what PyQt converts by itself; QVariant() is None."""

    def __new__(cls, value=None):
        return value
