"""QTextStream: text over a device or a bytes object; and manipulators for it.

The encoding is UTF-8 unless setCodec() says another of Python's. Numbers are written as `<<` does it in
Qt: base, precision, notation, width and alignment; `>>` is not there, since Python's texts and numbers
cannot be changed in place: readLine(), readAll() and read() are.
"""

from . import _enums
from ._berth import QByteArray, QIODevice

_MODULE = "berth.QtCore"


class QTextStream:
    """QTextStream(device), or QTextStream(bytes): reads and writes text"""

    locals().update(_enums.make(_MODULE, "QTextStream", "Status",
                                {"Ok": 0, "ReadPastEnd": 1, "ReadCorruptData": 2,
                                 "WriteFailed": 3}))
    locals().update(_enums.make(_MODULE, "QTextStream", "FieldAlignment",
                                {"AlignLeft": 0, "AlignRight": 1, "AlignCenter": 2,
                                 "AlignAccountingStyle": 3}))
    locals().update(_enums.make(_MODULE, "QTextStream", "RealNumberNotation",
                                {"SmartNotation": 0, "FixedNotation": 1,
                                 "ScientificNotation": 2}))
    locals().update(_enums.make(_MODULE, "QTextStream", "NumberFlag",
                                {"ShowBase": 1, "ForcePoint": 2, "ForceSign": 4,
                                 "UppercaseBase": 8, "UppercaseDigits": 16}, "NumberFlags"))

    def __init__(self, target=None, mode=None):
        if isinstance(target, (bytes, bytearray, QByteArray)):
            from ._core import QBuffer
            array = target if isinstance(target, QByteArray) else QByteArray(bytes(target))
            target = QBuffer(array)
            target.open(QIODevice.ReadOnly if mode is None else mode)
        elif target is not None and not isinstance(target, QIODevice):
            raise TypeError(f"QTextStream() takes a device or bytes, not {type(target).__name__}")
        self._device, self._codec, self._output = None, "utf-8", []
        self._attend(target)
        self._status = QTextStream.Ok
        self.reset()

    # ---- the device ----

    def device(self):
        """The device."""
        return self._device

    def setDevice(self, device):
        """Sets the device."""
        self.flush()
        if self._device is not None:
            self._device.aboutToClose.disconnect(self._flush_at_end)
        self._attend(device)

    def _attend(self, device):
        self._device = device
        if device is not None:
            device.aboutToClose.connect(self._flush_at_end)

    def _flush_at_end(self):
        """Before the device closes, as HTTP servers expect who close at once."""
        self.flush()

    def setCodec(self, codec):
        """Sets the encoding by its name."""
        name = codec.name() if hasattr(codec, "name") else codec
        "".encode(str(bytes(name), "ascii") if not isinstance(name, str) else name)
        self._codec = name if isinstance(name, str) else str(bytes(name), "ascii")

    setEncoding = setCodec

    def setAutoDetectUnicode(self, enabled):
        """No effect: the encoding is that of setCodec()."""

    def setGenerateByteOrderMark(self, generate):
        """Writes a mark of the byte order in front."""
        if generate:
            self._output.append("\ufeff")

    def status(self):
        """Whether all went well."""
        return self._status

    def setStatus(self, status):
        """Sets the status, unless there is an error already."""
        if self._status == QTextStream.Ok:
            self._status = QTextStream.Status(int(status))

    def resetStatus(self):
        """Forgets an error."""
        self._status = QTextStream.Ok

    def pos(self):
        """The position of the device."""
        self.flush()
        return self._device.pos()

    def seek(self, position):
        """Sets the position of the device."""
        self.flush()
        return self._device.seek(position)

    def atEnd(self):
        """Whether nothing is left to be read."""
        return self._device is None or (self._device.atEnd()
                                        and self._device.bytesAvailable() == 0)

    # ---- reading ----

    def _text(self, data):
        try:
            return bytes(data).decode(self._codec)
        except UnicodeDecodeError:
            return bytes(data).decode(self._codec, "replace")

    def readLine(self, maxlen=0):
        """A line without its end; "" at the end of the text."""
        self.flush()
        whole = self._text(self._device.readLine())
        line = whole.rstrip("\n").rstrip("\r") if whole.endswith("\n") else whole
        if not 0 < maxlen < len(line):
            return line
        for character in reversed(whole[maxlen:].encode(self._codec)):
            self._device.ungetChar(bytes([character]))
        return line[:maxlen]

    def readAll(self):
        """The rest of the text."""
        self.flush()
        return self._text(self._device.readAll())

    def read(self, maxlen):
        """Up to that many characters."""
        self.flush()
        text = ""
        while len(text) < maxlen:
            data = bytes(self._device.read(1) or b"")
            if not data:
                break
            while True:
                try:
                    text += data.decode(self._codec)
                    break
                except UnicodeDecodeError:
                    more = bytes(self._device.read(1) or b"")
                    if not more or len(data) > 4:
                        text += data.decode(self._codec, "replace")
                        break
                    data += more
        return text

    def skipWhiteSpace(self):
        """Reads white space."""
        while True:
            data = bytes(self._device.peek(1))
            if not data.isspace():
                return
            self._device.read(1)

    def __rshift__(self, value):
        """Reads a word into a QByteArray: the only type of which Python has references."""
        if not isinstance(value, (QByteArray, bytes, bytearray, type(None))):
            return NotImplemented
        self.flush()
        self.skipWhiteSpace()
        word = ""
        while True:
            data = bytes(self._device.peek(1))
            if not data or data.isspace():
                break
            word += self.read(1)
        if not word:
            self.setStatus(QTextStream.ReadPastEnd)
        if isinstance(value, QByteArray):
            value._assign(bytes(ord(one) if ord(one) < 256 else 0 for one in word))
        return self

    # ---- writing ----

    def reset(self):
        """Forgets how numbers are written."""
        self._width, self._pad, self._align = 0, " ", QTextStream.AlignRight
        self._base, self._precision = 0, 6
        self._notation, self._flags = QTextStream.SmartNotation, QTextStream.NumberFlag(0)

    def _integer(self, value):
        base, flags = self._base or 10, int(self._flags)
        digits, rest = "", abs(value)
        while rest or not digits:
            digits = "0123456789abcdefghijklmnopqrstuvwxyz"[rest % base] + digits
            rest //= base
        if flags & QTextStream.UppercaseDigits:
            digits = digits.upper()
        if flags & QTextStream.ShowBase:
            prefix = {16: "0x", 2: "0b", 8: "0"}.get(base, "")
            digits = (prefix.upper() if flags & QTextStream.UppercaseBase else prefix) + digits
        sign = "-" if value < 0 else "+" if flags & QTextStream.ForceSign else ""
        return sign + digits

    def _real(self, value):
        sign = "+" if int(self._flags) & QTextStream.ForceSign else ""
        return format(value, f"{sign}.{self._precision}{'gfe'[int(self._notation)]}")

    def __lshift__(self, value):
        if isinstance(value, QTextStreamManipulator):
            value._apply(self)
            return self
        if isinstance(value, (bytes, bytearray, QByteArray)):
            text = bytes(value).decode(self._codec, "replace")
        elif isinstance(value, bool):
            text = str(int(value))
        elif isinstance(value, int):
            text = self._integer(value)
        elif isinstance(value, float):
            text = self._real(value)
        elif isinstance(value, str):
            text = value
        else:
            return NotImplemented
        if self._width > len(text):
            fill = {0: "ljust", 2: "center"}.get(int(self._align), "rjust")
            text = getattr(text, fill)(self._width, self._pad)
        self._output.append(text)
        if sum(map(len, self._output)) > 16384:
            self.flush()
        return self

    def flush(self):
        """Writes what waits to the device."""
        if self._output and self._device is not None:
            data, self._output = "".join(self._output).encode(self._codec, "replace"), []
            if self._device.write(data) != len(data):
                self.setStatus(QTextStream.WriteFailed)

    def __del__(self):
        try:
            self.flush()
        except (RuntimeError, AttributeError):
            pass  # the device has gone before


def _value(name, field, kind=None):
    def get(self):
        return getattr(self, field)

    def put(self, value):
        setattr(self, field, kind(int(value)) if kind else value)
    get.__doc__, put.__doc__ = f"The {name}.", f"Sets the {name}."
    get.__name__, put.__name__ = name, "set" + name[0].upper() + name[1:]
    setattr(QTextStream, get.__name__, get)
    setattr(QTextStream, put.__name__, put)


for _names in (("fieldWidth", "_width"), ("padChar", "_pad"), ("integerBase", "_base"),
               ("fieldAlignment", "_align", QTextStream.FieldAlignment),
               ("realNumberPrecision", "_precision"),
               ("realNumberNotation", "_notation", QTextStream.RealNumberNotation),
               ("numberFlags", "_flags", QTextStream.NumberFlag)):
    _value(*_names)


class QTextStreamManipulator:
    """What changes a stream when it is written to it, as endl."""

    def __init__(self, apply=None):
        self._apply = apply

    def exec(self, stream):
        """Changes a stream."""
        self._apply(stream)

    exec_ = exec


QTextStream.__module__ = QTextStreamManipulator.__module__ = _MODULE
