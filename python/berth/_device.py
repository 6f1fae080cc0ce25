"""QIODevice for classes written in Python: reading and writing over readData() and writeData().

A subclass, of the program or of this package, has readData(size) -> bytes and writeData(data, size) ->
int; a device with random access also size() and seek(). Input is read ahead in blocks of 16 KiB unless
the device is Unbuffered; a read that is answered with fewer bytes than were asked for is the last one
of a call.

    _ahead    what was read from the device and not yet by the program
    _place    the position of the program; that of the device is _place + len(_ahead)
    _kept     what the program has read since startTransaction(); None without one

Sockets have methods in C for all of this. They are moved from QIODevice to QAbstractSocket when the
module is imported, and what is here becomes QIODevice's.
"""

import warnings

from . import _berth
from ._berth import QByteArray, QIODevice

_BLOCK = 16384
_READ, _WRITE, _TEXT, _UNBUFFERED = 1, 2, 16, 32

# What writeData() gets: (data, size) with a str where it can be one, as PySide2 has it; or bytes.
pyside2_text = False
pyqt = False


def to_bytes(data):
    """What may be written, as bytes."""
    if isinstance(data, (bytes, bytearray, memoryview, QByteArray)):
        return bytes(data)
    raise TypeError(f"a QByteArray or bytes is required, not {type(data).__name__}")


def character(value):
    """A character as a byte: of a str or bytes with one, or an int."""
    if isinstance(value, int) and -128 <= value <= 255:
        return bytes([value & 255])
    if isinstance(value, int):
        raise OverflowError("a character must be from -128 to 255")
    if not isinstance(value, (str, bytes)) or len(value) != 1:
        raise TypeError(f"a character must be one character or an int, not {value!r}")
    return value if isinstance(value, bytes) else value.encode("latin-1")


def take(self, size):
    """Up to that many bytes, which are then read."""
    if not self._mode & _READ or size <= 0:
        return b""
    while len(self._ahead) < size:
        want = size - len(self._ahead)
        if not self._mode & _UNBUFFERED:
            want = max(want, self._block)
        got = self._more(want)
        self._ahead += got.replace(b"\r", b"") if self._mode & _TEXT else got
        if len(got) < want:
            break
    data, self._ahead = self._ahead[:size], self._ahead[size:]
    self._move(data)
    return data


def take_line(self, most):
    """A line of up to that many bytes, -1 for any number."""
    seen = 0
    while True:
        end = self._ahead.find(b"\n", seen)
        if end >= 0 or 0 <= most <= len(self._ahead) or not self._mode & _READ:
            break
        seen = len(self._ahead)
        got = self._more(1 if self._mode & _UNBUFFERED else self._block)
        if not got:
            break
        self._ahead += got.replace(b"\r", b"") if self._mode & _TEXT else got
    size = end + 1 if end >= 0 else len(self._ahead)
    if most >= 0:
        size = min(size, most)
    data, self._ahead = self._ahead[:size], self._ahead[size:]
    self._move(data)
    return data


def take_all(self):
    """Everything to the end."""
    parts = []
    while True:
        part = take(self, _BLOCK)
        if not part:
            return b"".join(parts)
        parts.append(part)


class Generic:
    """The members of QIODevice; a namespace, not a base class."""

    _mode, _place, _ahead, _kept, _text = 0, 0, b"", None, "Unknown error"
    _block = _BLOCK

    # ---- below ----

    def readData(self, maxlen):
        """Reads from the device: to be overridden."""
        raise NotImplementedError(f"{type(self).__name__}.readData is not there")

    def writeData(self, data, size):
        """Writes to the device: to be overridden. Returns the number of bytes, or -1."""
        raise NotImplementedError(f"{type(self).__name__}.writeData is not there")

    def _get(self, size):
        return self.readData(size)

    def _more(self, size):
        """What readData() returns, as bytes; a str as PySide2 takes it."""
        got = self._get(size)
        if isinstance(got, str):
            return got.encode()
        return b"" if got is None or isinstance(got, int) else bytes(got)

    def _written(self, data):
        """What writeData() returns."""
        written = self._put(data)
        if isinstance(written, int):
            return int(written)
        warnings.warn(f"writeData() has returned {type(written).__name__}, not int", RuntimeWarning)
        return 0

    def _put(self, data):
        if pyqt:
            return self.writeData(data)
        if pyside2_text:
            try:
                return self.writeData(data.decode(), len(data))
            except UnicodeDecodeError:
                pass
        return self.writeData(data, len(data))

    def _move(self, data):
        """Notes that the program has read this."""
        if self._kept is not None:
            self._kept += data
        if not self.isSequential():
            self._place += len(data)

    def _back(self, data):
        """Puts back what was read."""
        self._ahead = data + self._ahead
        if not self.isSequential():
            self._place -= len(data)

    # ---- opening ----

    def open(self, mode):
        """Opens the device. A subclass that overrides this calls it."""
        if not isinstance(mode, int):
            raise TypeError(f"open() takes an OpenMode, not {type(mode).__name__}")
        self._mode, self._ahead, self._kept, self._place = int(mode), b"", None, 0
        if self._mode & 4:  # Append
            self._mode |= _WRITE
            if not self.isSequential():
                self._place = self.size()
        return True

    def setOpenMode(self, mode):
        """Sets the mode without opening anything."""
        self._mode = int(mode)

    def close(self):
        """Closes the device."""
        if not self._mode:
            return
        self.aboutToClose.emit()
        self._mode, self._ahead, self._kept, self._place = 0, b"", None, 0

    def isOpen(self):
        """Whether it is open."""
        return self._mode != 0

    def openMode(self):
        """How it was opened."""
        return QIODevice.OpenMode(self._mode)

    def isReadable(self):
        """Whether it can be read."""
        return bool(self._mode & _READ)

    def isWritable(self):
        """Whether it can be written."""
        return bool(self._mode & _WRITE)

    def isTextModeEnabled(self):
        """Whether ends of lines are converted."""
        return bool(self._mode & _TEXT)

    def setTextModeEnabled(self, enabled):
        """Sets whether ends of lines are converted."""
        self._mode = self._mode | _TEXT if enabled else self._mode & ~_TEXT

    # ---- positions ----

    def isSequential(self):
        """Whether it has no positions."""
        return False

    def pos(self):
        """The position."""
        return self._place

    def size(self):
        """The bytes that there are."""
        return self.bytesAvailable() if self.isSequential() else 0

    def seek(self, position):
        """Sets the position. A subclass that overrides this calls it."""
        if not self._mode or position < 0 or self.isSequential():
            return False
        self._place, self._ahead = position, b""
        return True

    def reset(self):
        """To the begin."""
        return self.seek(0)

    def atEnd(self):
        """Whether nothing is left."""
        return not self._mode or (not self._ahead and self.bytesAvailable() == 0)

    def bytesAvailable(self):
        """Bytes that can be read."""
        if self.isSequential():
            return len(self._ahead)
        return max(self.size() - self._place, 0) if self._mode & _READ else 0

    def bytesToWrite(self):
        """Bytes that wait to be written."""
        return 0

    # ---- reading ----

    def read(self, maxlen):
        """Up to that many bytes."""
        return QByteArray(take(self, maxlen))

    def readAll(self):
        """All bytes."""
        return QByteArray(take_all(self))

    def readLine(self, maxlen=0):
        """A line with its newline; at most maxlen - 1 bytes unless that is 0."""
        return QByteArray(take_line(self, maxlen - 1 if maxlen > 0 else -1))

    def canReadLine(self):
        """Whether a whole line was read from the device."""
        return b"\n" in self._ahead

    def peek(self, maxlen):
        """Like read(), and leaves the bytes."""
        kept, self._kept = self._kept, None
        data = take(self, maxlen)
        self._back(data)
        self._kept = kept
        return QByteArray(data)

    def skip(self, maxlen):
        """Reads and drops; returns the number of bytes, or -1."""
        return len(take(self, maxlen)) if self._mode & _READ else -1

    def getChar(self):
        """getChar() -> (bool, character): whether a character was read"""
        data = take(self, 1)
        return (True, data.decode("latin-1")) if data else (False, "\0")

    def ungetChar(self, value):
        """Puts a character back in front of the input."""
        if self._mode & _READ:
            self._back(character(value))

    # ---- writing ----

    def write(self, data):
        """Writes; returns the number of bytes, or -1."""
        data = to_bytes(data)
        if not self._mode & _WRITE:
            return -1
        if not self.isSequential() and self._ahead:
            self.seek(self.pos())
        written = self._written(data)
        if written > 0 and not self.isSequential():
            self._place += written
        return written

    def putChar(self, value):
        """Writes one character."""
        return self.write(character(value)) == 1

    # ---- transactions ----

    def startTransaction(self):
        """What is read from now on can be put back."""
        self._kept = b""

    def commitTransaction(self):
        """What was read stays read."""
        self._kept = None

    def rollbackTransaction(self):
        """Puts back what was read."""
        if self._kept is not None:
            kept, self._kept = self._kept, None
            self._back(kept)

    def isTransactionStarted(self):
        """Whether a transaction has begun."""
        return self._kept is not None

    # ---- the rest ----

    def errorString(self):
        """The last error, in words."""
        return self._text

    def setErrorString(self, text):
        """Sets the last error."""
        self._text = text

    def waitForReadyRead(self, msecs):
        """False: nothing is waited for."""
        return False

    def waitForBytesWritten(self, msecs):
        """False: nothing is waited for."""
        return False

    def readChannelCount(self):
        """1 when it can be read."""
        return int(self.isReadable())

    def writeChannelCount(self):
        """1 when it can be written."""
        return int(self.isWritable())

    def currentReadChannel(self):
        """0."""
        return 0

    def currentWriteChannel(self):
        """0."""
        return 0


class Absent:
    """A member that a class does not have, although its base has it."""

    def __init__(self, name):
        self.name = name

    def __get__(self, instance, owner=None):
        raise AttributeError(f"{owner.__name__} has no {self.name!r}")


def install(of_sockets):
    """Makes QIODevice what is here, and moves what it had to sockets, with what else they have."""
    had = {name: member for name, member in vars(QIODevice).items()
           if type(member).__name__ == "method_descriptor"}
    _berth.install(_berth.QAbstractSocket, {
        **had, **of_sockets, "setTextModeEnabled": Absent("setTextModeEnabled")})
    members = {name: member for name, member in vars(Generic).items() if not name.startswith("__")}
    for member in members.values():
        if hasattr(member, "__qualname__"):
            member.__qualname__ = "QIODevice." + member.__name__
    _berth.install(QIODevice, members)
