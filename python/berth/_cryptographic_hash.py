"""QCryptographicHash, over Python's hashlib. Of what Qt has, Keccak as it was before SHA-3 and MD4 are
left out."""

import hashlib

from . import _enums
from ._berth import QByteArray, QIODevice

_MODULE = "berth.QtCore"
_ALGORITHMS = {"Md5": 1, "Sha1": 2, "Sha224": 3, "Sha256": 4, "Sha384": 5, "Sha512": 6}
_SHA3 = {"224": 11, "256": 12, "384": 13, "512": 14}
_NAMES = {**{number: name.lower() for name, number in _ALGORITHMS.items()},
          **{number: "sha3_" + bits for bits, number in _SHA3.items()}}


def _new(algorithm):
    if not isinstance(algorithm, QCryptographicHash.Algorithm):
        raise TypeError("a QCryptographicHash.Algorithm is required, "
                        f"not {type(algorithm).__name__}")
    return hashlib.new(_NAMES[int(algorithm)])


def _data(value):
    if isinstance(value, (bytes, bytearray, QByteArray)):
        return bytes(value)
    raise TypeError(f"a QByteArray is required, not {type(value).__name__}")


class QCryptographicHash:
    """QCryptographicHash(algorithm): a hash of what is added"""

    locals().update(_enums.make(_MODULE, "QCryptographicHash", "Algorithm", {
        **_ALGORITHMS, **{"Sha3_" + bits: number for bits, number in _SHA3.items()},
        **{"RealSha3_" + bits: number for bits, number in _SHA3.items()}}))

    def __init__(self, method):
        self._state, self._method = _new(method), method

    def reset(self):
        """Begins again."""
        self._state = _new(self._method)

    def addData(self, data):
        """Adds bytes, or what is left of a device, which has to be open: False if it is not."""
        if isinstance(data, QIODevice):
            if not data.isReadable():
                return False
            self._state.update(bytes(data.readAll()))
            return data.atEnd()
        self._state.update(data.encode() if isinstance(data, str) else _data(data))
        return None

    def result(self):
        """The hash so far."""
        return QByteArray(self._state.digest())

    @staticmethod
    def hash(data, method):
        """The hash of bytes."""
        state = _new(method)
        state.update(_data(data))
        return QByteArray(state.digest())

    @staticmethod
    def hashLength(method):
        """Bytes of a hash."""
        return _new(method).digest_size


QCryptographicHash.__module__ = _MODULE
