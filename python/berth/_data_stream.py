"""QDataStream: values as bytes, as Qt writes them.

Numbers are big-endian unless setByteOrder says otherwise. A text is its length in bytes (32 bits)
and UTF-16; ffffffff stands for none. Reading past the end gives zero or an empty value and sets
the status, which only the first failure does.
"""

from . import _enums
from ._berth import QByteArray, QIODevice
from ._core import MODULE, QBuffer

_VERSIONS = {"Qt_1_0": 1, "Qt_2_0": 2, "Qt_2_1": 3, "Qt_3_0": 4, "Qt_3_1": 5, "Qt_3_3": 6,
             "Qt_4_0": 7, "Qt_4_1": 7, "Qt_4_2": 8, "Qt_4_3": 9, "Qt_4_4": 10, "Qt_4_5": 11,
             "Qt_4_6": 12, "Qt_4_7": 12, "Qt_4_8": 12, "Qt_4_9": 12, "Qt_5_0": 13, "Qt_5_1": 14,
             "Qt_5_2": 15, "Qt_5_3": 15, "Qt_5_4": 16, "Qt_5_5": 16, "Qt_5_6": 17, "Qt_5_7": 17,
             "Qt_5_8": 17, "Qt_5_9": 17, "Qt_5_10": 17, "Qt_5_11": 17, "Qt_5_12": 18,
             "Qt_5_13": 19, "Qt_5_14": 19, "Qt_5_15": 19, "Qt_DefaultCompiledVersion": 19,
             "Qt_6_0": 20, "Qt_6_1": 20, "Qt_6_2": 20, "Qt_6_3": 20, "Qt_6_4": 20}

_NONE = 0xffffffff


class QDataStream:
    """QDataStream(device), QDataStream(array) to read, QDataStream(array, mode) to write."""

    locals().update(_enums.make(MODULE, "QDataStream", "Version", _VERSIONS))
    locals().update(_enums.make(MODULE, "QDataStream", "Status",
                                {"Ok": 0, "ReadPastEnd": 1, "ReadCorruptData": 2,
                                 "WriteFailed": 3}))
    locals().update(_enums.make(MODULE, "QDataStream", "ByteOrder",
                                {"BigEndian": 0, "LittleEndian": 1}))
    locals().update(_enums.make(MODULE, "QDataStream", "FloatingPointPrecision",
                                {"SinglePrecision": 0, "DoublePrecision": 1}))

    def __init__(self, target=None, mode=None):
        self._order, self._version = "big", QDataStream.Qt_DefaultCompiledVersion
        self._status, self._precision = QDataStream.Ok, QDataStream.DoublePrecision
        self._depth = 0
        if isinstance(target, QIODevice) or target is None:
            self._device = target
        elif isinstance(target, (bytes, bytearray, QByteArray)):
            array = target if isinstance(target, QByteArray) and mode is not None \
                else QByteArray(target)
            self._device = QBuffer(array)
            self._device.open(QIODevice.ReadOnly if mode is None else mode)
        else:
            raise TypeError(f"QDataStream() takes a QIODevice or bytes, not "
                            f"{type(target).__name__}")

    # ---- settings ----

    def device(self):
        """The device, or None."""
        return self._device

    def setDevice(self, device):
        """Sets the device, and resets the status."""
        self._device = device
        self.resetStatus()

    def unsetDevice(self):
        """Removes the device."""
        self.setDevice(None)

    def version(self):
        """The version of the format."""
        return int(self._version)

    def setVersion(self, version):
        """Sets the version of the format."""
        self._version = int(version)

    def byteOrder(self):
        """BigEndian or LittleEndian."""
        return QDataStream.BigEndian if self._order == "big" else QDataStream.LittleEndian

    def setByteOrder(self, order):
        """Sets the order of the bytes of numbers."""
        self._order = "little" if int(order) else "big"

    def floatingPointPrecision(self):
        """SinglePrecision or DoublePrecision."""
        return self._precision

    def setFloatingPointPrecision(self, precision):
        """Sets how floats and doubles are written, from Qt_4_6 on."""
        self._precision = precision

    def status(self):
        """The status: Ok, or the first failure."""
        return self._status

    def setStatus(self, status):
        """Sets the status, if it is Ok."""
        if self._status == QDataStream.Ok:
            self._status = status

    def resetStatus(self):
        """Sets the status to Ok."""
        self._status = QDataStream.Ok

    def atEnd(self):
        """Whether nothing is left to read."""
        return self._device is None or self._device.atEnd()

    # ---- transactions ----

    def startTransaction(self):
        """Starts a read transaction."""
        self._depth += 1
        if self._depth == 1 and self._device is not None:
            self._start()
        self.resetStatus()

    def _start(self):
        if self._device.isSequential():
            self._device.startTransaction()
        else:
            self._mark = self._device.pos()

    def commitTransaction(self):
        """Ends the transaction. If data was missing, restores the input and returns False."""
        self._depth -= 1
        if self._status == QDataStream.ReadPastEnd:
            self._go_back()
        elif self._depth == 0 and self._device is not None and self._device.isSequential():
            self._device.commitTransaction()
        return self._status == QDataStream.Ok

    def rollbackTransaction(self):
        """Restores the input."""
        self.setStatus(QDataStream.ReadPastEnd)
        self._depth -= 1
        self._go_back()

    def abortTransaction(self):
        """Drops what was read and sets the status to ReadCorruptData."""
        self.setStatus(QDataStream.ReadCorruptData)
        self._depth -= 1
        if self._depth == 0 and self._device is not None and self._device.isSequential():
            self._device.commitTransaction()

    def _go_back(self):
        if self._depth or self._device is None:
            return
        if self._device.isSequential():
            self._device.rollbackTransaction()
        else:
            self._device.seek(self._mark)

    # ---- bytes ----

    def _take(self, size):
        """Exactly that many bytes, or None."""
        if self._device is None or self._status != QDataStream.Ok:
            return None
        data = bytes(self._device.read(size) or b"")
        if len(data) == size:
            return data
        self.setStatus(QDataStream.ReadPastEnd)
        return None

    def _put(self, data):
        if self._device is None or self._status == QDataStream.WriteFailed:
            return
        if self._device.write(data) != len(data):
            self.setStatus(QDataStream.WriteFailed)

    def _read_int(self, size, signed):
        data = self._take(size)
        return 0 if data is None else int.from_bytes(data, self._order, signed=signed)

    def _write_int(self, value, size, signed):
        self._put(value.__index__().to_bytes(size, self._order, signed=signed)
                  if hasattr(value, "__index__") else _refuse(value, "an int"))

    def readRawData(self, size):
        """Reads up to that many raw bytes."""
        if self._device is None or self._status != QDataStream.Ok:
            return b""
        return bytes(self._device.read(size) or b"")

    def writeRawData(self, data, size=None):
        """Writes raw bytes; returns their number."""
        data = data.encode() if isinstance(data, str) else bytes(data)
        data = data if size is None else data[:size]
        return self._device.write(data) if self._device is not None else -1

    def skipRawData(self, size):
        """Skips that many bytes; returns their number."""
        return len(self.readRawData(size))

    def _read_block(self):
        size = self._read_int(4, False)
        if self._status != QDataStream.Ok or size == _NONE:
            return b""
        return self._take(size) or b""

    def _write_block(self, data):
        self._write_int(len(data), 4, False)
        self._put(data)

    # ---- values ----

    def readQString(self):
        """A text."""
        size = self._read_int(4, False)
        if self._status != QDataStream.Ok or size == _NONE:
            return ""
        if size % 2:
            self.setStatus(QDataStream.ReadCorruptData)
            return ""
        return (self._take(size) or b"").decode(self._encoding(), "surrogatepass")

    def writeQString(self, text):
        """A text."""
        if not isinstance(text, str):
            _refuse(text, "a str")
        self._write_block(text.encode(self._encoding(), "surrogatepass"))

    readString, writeString = readQString, writeQString

    def _encoding(self):
        return "utf-16-be" if self._order == "big" else "utf-16-le"

    def readQChar(self):
        """One character."""
        return chr(self._read_int(2, False))

    def writeQChar(self, character):
        """One character."""
        self._write_int(ord(character), 2, False)

    def readQStringList(self):
        """A list of texts."""
        texts = []
        for _place in range(self._read_int(4, False)):
            texts.append(self.readQString())
            if self._status != QDataStream.Ok:
                return []
        return texts

    def writeQStringList(self, texts):
        """A list of texts."""
        self._write_int(len(texts), 4, False)
        for text in texts:
            self.writeQString(text)

    def readBool(self):
        """A bool."""
        return self._read_int(1, False) != 0

    def writeBool(self, value):
        """A bool."""
        self._write_int(1 if value else 0, 1, False)

    def _read_real(self, double):
        import struct
        data = self._take(8 if double else 4)
        form = (">" if self._order == "big" else "<") + ("d" if double else "f")
        return 0.0 if data is None else struct.unpack(form, data)[0]

    def _write_real(self, value, double):
        import struct
        if not isinstance(value, (int, float)):
            _refuse(value, "a float")
        self._put(struct.pack((">" if self._order == "big" else "<") + ("d" if double else "f"),
                              value))

    def _double(self, double):
        old = self._version < QDataStream.Qt_4_6
        return double if old else self._precision == QDataStream.DoublePrecision

    def readFloat(self):
        """A float: of 8 bytes from Qt_4_6 on, unless the precision is single."""
        return self._read_real(self._double(False))

    def writeFloat(self, value):
        """A float."""
        self._write_real(value, self._double(False))

    def readDouble(self):
        """A double."""
        return self._read_real(self._double(True))

    def writeDouble(self, value):
        """A double."""
        self._write_real(value, self._double(True))

    def __lshift__(self, value):
        if isinstance(value, (QByteArray, bytes, bytearray)):
            self._write_block(bytes(value))
        elif isinstance(value, str):
            self.writeQString(value)
        else:
            return NotImplemented
        return self

    def __rshift__(self, value):
        if not isinstance(value, QByteArray):
            return NotImplemented
        value._assign(self._read_block())
        return self


def _refuse(value, wanted):
    raise TypeError(f"{wanted} is required, not {type(value).__name__}")


def _number(size, signed):
    def read(self):
        """A number; 0 past the end."""
        return self._read_int(size, signed)

    def write(self, value):
        """A number; OverflowError if it does not fit."""
        self._write_int(value, size, signed)
    return read, write


for _bits in (8, 16, 32, 64):
    for _kind, _signed in (("Int", True), ("UInt", False)):
        _read, _write = _number(_bits // 8, _signed)
        setattr(QDataStream, f"read{_kind}{_bits}", _read)
        setattr(QDataStream, f"write{_kind}{_bits}", _write)

QDataStream.__module__ = MODULE
