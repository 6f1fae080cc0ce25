"""QUuid, over Python's uuid."""

import re
import uuid

from . import _enums
from ._berth import QByteArray

_MODULE = "berth.QtCore"
_FORM = re.compile(r"\{?([0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})")


class QUuid:
    """QUuid(text), QUuid(data1, data2, data3, *eight bytes), or the null one"""

    locals().update(_enums.make(_MODULE, "QUuid", "Variant", {
        "VarUnknown": -1, "NCS": 0, "DCE": 2, "Microsoft": 6, "Reserved": 7}))
    locals().update(_enums.make(_MODULE, "QUuid", "Version", {
        "VerUnknown": -1, "Time": 1, "EmbeddedPOSIX": 2, "Md5": 3, "Name": 3, "Random": 4,
        "Sha1": 5}))
    locals().update(_enums.make(_MODULE, "QUuid", "StringFormat", {
        "WithBraces": 0, "WithoutBraces": 1, "Id128": 3}))

    def __init__(self, value="", *more):
        if more:
            if len(more) != 10:
                raise TypeError("eleven numbers are required")
            parts = zip((value, *more), (4, 2, 2, *[1] * 8))
            self._bytes = b"".join(part.to_bytes(size, "big") for part, size in parts)
        elif isinstance(value, QUuid):
            self._bytes = value._bytes
        elif isinstance(value, (str, bytes, bytearray, QByteArray)):
            text = value if isinstance(value, str) else bytes(value).decode("latin-1")
            found = _FORM.match(text)
            self._bytes = bytes.fromhex(found.group(1).replace("-", "")) if found else bytes(16)
        else:
            raise TypeError(f"a text is required, not {type(value).__name__}")

    def isNull(self):
        """Whether it is all zeros."""
        return not any(self._bytes)

    def toString(self, mode=StringFormat(0)):
        """As text, in braces unless the format says otherwise."""
        text = str(uuid.UUID(bytes=self._bytes))
        if int(mode) == 0:
            return "{" + text + "}"
        return text.replace("-", "") if int(mode) == 3 else text

    def toByteArray(self, mode=StringFormat(0)):
        """The text as bytes."""
        return QByteArray(self.toString(mode).encode())

    def toRfc4122(self):
        """Its sixteen bytes."""
        return QByteArray(self._bytes)

    @staticmethod
    def fromRfc4122(data):
        """Of sixteen bytes; the null one of any other number."""
        made, data = QUuid(), bytes(data)
        if len(data) == 16:
            made._bytes = data
        return made

    def variant(self):
        """Its layout."""
        high = self._bytes[8] >> 5
        if self.isNull():
            return QUuid.VarUnknown
        return QUuid.NCS if high < 4 else QUuid.DCE if high < 6 else QUuid.Variant(high)

    def version(self):
        """How it was made."""
        number = self._bytes[6] >> 4
        known = self.variant() == QUuid.DCE and 1 <= number <= 5
        return QUuid.Version(number if known else -1)

    @staticmethod
    def createUuid():
        """A new one, by chance."""
        return QUuid.fromRfc4122(uuid.uuid4().bytes)

    @staticmethod
    def createUuidV3(ns, baseData):
        """One for a name in a namespace, by MD5."""
        return _of_name("md5", 3, ns, baseData)

    @staticmethod
    def createUuidV5(ns, baseData):
        """One for a name in a namespace, by SHA-1."""
        return _of_name("sha1", 5, ns, baseData)

    def _key(self):
        """Variants are compared first, as in Qt."""
        return int(self.variant()), self._bytes

    def __eq__(self, other):
        return self._bytes == other._bytes if isinstance(other, QUuid) else NotImplemented

    def __lt__(self, other):
        return self._key() < other._key() if isinstance(other, QUuid) else NotImplemented

    def __le__(self, other):
        return self._key() <= other._key() if isinstance(other, QUuid) else NotImplemented

    def __hash__(self):
        return hash(self._bytes)

    def __bool__(self):
        return not self.isNull()

    def __repr__(self):
        return f"berth.QtCore.QUuid('{self.toString()}')"

    def __rlshift__(self, stream):
        stream.writeRawData(self._bytes)
        return stream

    def __rrshift__(self, stream):
        data = bytes(stream.readRawData(16))
        self._bytes = data if len(data) == 16 else bytes(16)
        return stream


def _of_name(algorithm, version, namespace, name):
    import hashlib
    name = name.encode() if isinstance(name, str) else bytes(name)
    made = bytearray(hashlib.new(algorithm, namespace._bytes + name).digest()[:16])
    made[6] = made[6] & 0x0f | version << 4
    made[8] = made[8] & 0x3f | 0x80
    return QUuid.fromRfc4122(made)


QUuid.__module__ = _MODULE
