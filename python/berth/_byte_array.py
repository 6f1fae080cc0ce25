"""The less used methods of QByteArray, written with data() and _assign().

Arguments that are bytes in Qt may be bytes, bytearray, str or QByteArray; characters may be one
of them with one byte, or a number.
"""

from . import _berth

QByteArray = _berth.QByteArray


def _bytes(value):
    return value.encode() if isinstance(value, str) else bytes(value)


def _character(value):
    if isinstance(value, str) and len(value) == 1:
        return value.encode("latin-1")
    if isinstance(value, int):
        return bytes((value & 255,))
    if isinstance(value, (bytes, bytearray, QByteArray)) and len(value) == 1:
        return bytes(value)
    raise TypeError(f"a character is required, not {type(value).__name__}")


def _byte_or_bytes(value):
    return _character(value) if isinstance(value, int) else _bytes(value)


def _to_int(bits, signed):
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)

    def convert(self, base=10):
        """Returns (number, whether the text is a number)."""
        try:
            number = int(self.data(), base)
        except ValueError:
            return 0, False
        return (number, True) if low <= number <= high else (0, False)
    return convert


def _to_float(self):
    """Returns (number, whether the text is a number)."""
    try:
        return float(self.data()), True
    except ValueError:
        return 0.0, False


def _append(self, value, *more):
    if more:  # append(count, character)
        return self._assign(self.data() + _character(more[0]) * value)
    self += _byte_or_bytes(value)
    return self


def _prepend(self, value):
    return self._assign(_byte_or_bytes(value) + self.data())


def _replace(self, before, after, *more):
    data = self.data()
    if more:  # replace(index, length, after)
        return self._assign(data[:before] + _bytes(more[0]) + data[before + after:])
    return self._assign(data.replace(_byte_or_bytes(before), _byte_or_bytes(after)))


def _split(self, separator):
    return [QByteArray(part) for part in self.data().split(_character(separator))]


def _remove(self, index, length):
    data = self.data()
    return self._assign(data[:index] + data[index + length:]) if index >= 0 else self


def _insert(self, index, value, *more):
    data = self.data()
    put = _character(more[0]) * value if more else _byte_or_bytes(value)
    return self._assign(data[:index].ljust(index, b"\0") + put + data[index:])


def _count(self, value=None):
    if value is None:
        return len(self)
    data, wanted = self.data(), _byte_or_bytes(value)  # overlaps count
    return sum(data.startswith(wanted, place) for place in range(len(data)))


def _fill(self, character, size=-1):
    return self._assign(_character(character) * (len(self) if size < 0 else size))


def _resize(self, size):
    self._assign(self.data()[:size].ljust(size, b"\0"))


def _mid(self, position, length=-1):
    data = self.data()
    if length < 0:
        return QByteArray(data[max(position, 0):])
    return QByteArray(data[max(position, 0):max(position + length, 0)])


def _justified(method):
    def justified(self, width, fill=" ", truncate=False):
        """The bytes, padded to that width."""
        data = getattr(self.data(), method)(width, _character(fill))
        return QByteArray(data[:width] if truncate else data)
    return justified


def _compare(self, other, sensitive=1):
    a, b = self.data(), _bytes(other)
    if not sensitive:
        a, b = a.lower(), b.lower()
    return (a > b) - (a < b)


def _number_text(number, base_or_format=10, precision=6):
    if isinstance(number, float):
        form = base_or_format if isinstance(base_or_format, str) else "g"
        return f"{number:.{precision}{form}}".encode()
    if not 2 <= base_or_format <= 36 or base_or_format == 10:  # as Qt, with a warning
        return str(number).encode()
    digits, rest = "", abs(number)
    while rest or not digits:
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[rest % base_or_format] + digits
        rest //= base_or_format
    return ("-" * (number < 0) + digits).encode()


def _to_base64(self, options=0):
    import base64
    encode = base64.urlsafe_b64encode if options & 1 else base64.b64encode
    data = encode(self.data())
    return QByteArray(data.rstrip(b"=") if options & 2 else data)


def _from_base64(data, options=0):
    import base64
    data = _bytes(data)
    decode = base64.urlsafe_b64decode if options & 1 else base64.b64decode
    return QByteArray(decode(data + b"=" * (-len(data) % 4)))


def _to_hex(self, separator=None):
    text = self.data().hex(_character(separator).decode()) if separator else self.data().hex()
    return QByteArray(text.encode())


def _from_hex(data):
    text = "".join(c for c in _bytes(data).decode("latin-1") if c in "0123456789abcdefABCDEF")
    return QByteArray(bytes.fromhex("0" * (len(text) % 2) + text))


def _to_percent(self, exclude=b"", include=b"", percent="%"):
    from urllib.parse import quote
    keep = _bytes(exclude).decode("latin-1")
    text = quote(self.data(), safe=keep)
    for character in _bytes(include).decode("latin-1"):
        text = text.replace(character, f"%{ord(character):02X}")
    return QByteArray(text.replace("%", percent).encode())


def _from_percent(data, percent="%"):
    from urllib.parse import unquote_to_bytes
    return QByteArray(unquote_to_bytes(_bytes(data).replace(_character(percent), b"%")))


def _new(function):
    return lambda self, *args: QByteArray(function(self.data(), *args))


def _last_index_of(self, value, start=-1):
    data, wanted = self.data(), _byte_or_bytes(value)
    return data.rfind(wanted) if start < 0 else data.rfind(wanted, 0, start + len(wanted))


def _set(self, data):
    self._assign(data)


def _swap(self, other):
    mine = self.data()
    self._assign(other.data())
    other._assign(mine)


def _nothing(self, *_args):
    """No effect here."""


_to_int64, _to_uint64 = _to_int(64, True), _to_int(64, False)
_to_int32, _to_uint32 = _to_int(32, True), _to_int(32, False)

MEMBERS = {
    "append": _append, "push_back": _append,
    "prepend": _prepend, "push_front": _prepend,
    "insert": _insert,
    "remove": _remove,
    "replace": _replace,
    "fill": _fill,
    "clear": lambda self: _set(self, b""),
    "resize": _resize,
    "truncate": lambda self, size: _set(self, self.data()[:max(size, 0)]),
    "chop": lambda self, size: _set(self, self.data()[:max(len(self) - max(size, 0), 0)]),
    "chopped": lambda self, size: QByteArray(self.data()[:len(self) - size]),
    "swap": _swap,
    "at": lambda self, index: chr(self.data()[index]),
    "front": lambda self: chr(self.data()[0]),
    "back": lambda self: chr(self.data()[-1]),
    "left": lambda self, size: QByteArray(self.data()[:size] if size >= 0 else self.data()),
    "right": lambda self, size: QByteArray(self.data()[max(len(self) - size, 0):]),
    "mid": _mid,
    "indexOf": lambda self, value, start=0: self.data().find(_byte_or_bytes(value), start),
    "lastIndexOf": _last_index_of,
    "contains": lambda self, value: _byte_or_bytes(value) in self.data(),
    "count": _count,
    "startsWith": lambda self, value: self.data().startswith(_byte_or_bytes(value)),
    "endsWith": lambda self, value: self.data().endswith(_byte_or_bytes(value)),
    "compare": _compare,
    "isEmpty": lambda self: len(self) == 0,
    "isNull": lambda self: len(self) == 0,
    "isUpper": lambda self: bool(self) and self.data().isalpha() and self.data().isupper(),
    "isLower": lambda self: bool(self) and self.data().isalpha() and self.data().islower(),
    "split": _split,
    "trimmed": _new(bytes.strip),
    "simplified": _new(lambda data: b" ".join(data.split())),
    "toUpper": _new(bytes.upper),
    "toLower": _new(bytes.lower),
    "repeated": _new(lambda data, times: data * times),
    "leftJustified": _justified("ljust"),
    "rightJustified": _justified("rjust"),
    "toInt": _to_int32, "toUInt": _to_uint32,
    "toShort": _to_int(16, True), "toUShort": _to_int(16, False),
    "toLong": _to_int64, "toULong": _to_uint64,
    "toLongLong": _to_int64, "toULongLong": _to_uint64,
    "toDouble": _to_float, "toFloat": _to_float,
    "toHex": _to_hex, "fromHex": staticmethod(_from_hex),
    "toBase64": _to_base64, "fromBase64": staticmethod(_from_base64),
    "toPercentEncoding": _to_percent, "fromPercentEncoding": staticmethod(_from_percent),
    "fromRawData": staticmethod(lambda data: QByteArray(_bytes(data))),
    "number": staticmethod(lambda *args: QByteArray(_number_text(*args))),
    "setNum": lambda self, *args: self._assign(_number_text(*args)),
    "capacity": lambda self: len(self),
    "reserve": _nothing, "squeeze": _nothing, "shrink_to_fit": _nothing,
    "isSharedWith": lambda self, other: self.data() is other.data(),
    "__copy__": lambda self: QByteArray(self.data()),
    "Base64Encoding": 0, "Base64UrlEncoding": 1, "KeepTrailingEquals": 0, "OmitTrailingEquals": 2,
}


def install():
    """Adds these methods to the class written in C."""
    _berth.install(QByteArray, MEMBERS)
