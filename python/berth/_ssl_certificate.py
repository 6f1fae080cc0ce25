"""QSslCertificate: what is in a certificate, read from its DER.

Left out: extensions other than alternative names, the public key, verify(), toText() and PKCS 12.
"""

import base64
import datetime
import glob
import hashlib
import ipaddress
import re

from . import _enums
from ._berth import QByteArray, QIODevice

_MODULE = "berth.QtNetwork"
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", re.DOTALL)
_ATTRIBUTES = {"2.5.4.10": "O", "2.5.4.3": "CN", "2.5.4.7": "L", "2.5.4.11": "OU", "2.5.4.6": "C",
               "2.5.4.8": "ST", "2.5.4.46": "dnQualifier", "2.5.4.5": "serialNumber",
               "1.2.840.113549.1.9.1": "emailAddress"}
_HASHES = ("md4", "md5", "sha1", "sha224", "sha256", "sha384", "sha512")


def _take(data, place=0):
    """(tag, content, place behind it) of a value in DER."""
    tag, length, place = data[place], data[place + 1], place + 2
    if length & 0x80:
        count = length & 0x7f
        length = int.from_bytes(data[place:place + count], "big")
        place += count
    if place + length > len(data):
        raise ValueError("cut")
    return tag, data[place:place + length], place + length


def _all(data):
    """(tag, content) of all values in a sequence."""
    place, found = 0, []
    while place < len(data):
        tag, content, place = _take(data, place)
        found.append((tag, content))
    return found


def _oid(data):
    numbers, number = [], 0
    for byte in data:
        number = number << 7 | byte & 0x7f
        if not byte & 0x80:
            numbers.append(number)
            number = 0
    first = min(numbers[0] // 40, 2)
    return ".".join(map(str, [first, numbers[0] - 40 * first, *numbers[1:]]))


def _name(data):
    """(attribute, text) of a name."""
    found = []
    for _tag, part in _all(data):
        for _tag, pair in _all(part):
            (_tag, kind), (tag, value) = _all(pair)
            text = value.decode("utf-16-be" if tag == 0x1e else "utf-8", "replace")
            found.append((_ATTRIBUTES.get(_oid(kind), _oid(kind)), text))
    return found


def _time(tag, data):
    text = data.decode("ascii")
    if tag == 0x17:
        text = ("19" if text[:2] >= "50" else "20") + text
    return datetime.datetime.strptime(text, "%Y%m%d%H%M%SZ")


class _Content:
    """What is in a certificate; ValueError or IndexError if it is none."""

    def __init__(self, der):
        parts = _all(_all(_take(der)[1])[0][1])
        self.version = 1
        if parts[0][0] == 0xa0:
            self.version = _take(parts.pop(0)[1])[1][0] + 1
        self.serial = parts[0][1].lstrip(b"\0")
        self.issuer, self.subject = _name(parts[2][1]), _name(parts[4][1])
        self.begin, self.end = (_time(*one) for one in _all(parts[3][1]))
        self.names = []
        for tag, content in parts[6:]:
            if tag == 0xa3:
                self._read_extensions(_take(content)[1])

    def _read_extensions(self, data):
        for _tag, extension in _all(data):
            values = _all(extension)
            if _oid(values[0][1]) == "2.5.29.17":
                for tag, name in _all(_take(values[-1][1])[1]):
                    if tag in (0x81, 0x82):
                        self.names.append((tag - 0x81, name.decode("ascii", "replace")))
                    elif tag == 0x87 and len(name) in (4, 16):
                        self.names.append((2, str(ipaddress.ip_address(name))))


class QSslCertificate:
    """QSslCertificate(data or device, format=QSsl.Pem): a certificate"""

    locals().update(_enums.make(_MODULE, "QSslCertificate", "SubjectInfo",
                                {"Organization": 0, "CommonName": 1, "LocalityName": 2,
                                 "OrganizationalUnitName": 3, "CountryName": 4,
                                 "StateOrProvinceName": 5, "DistinguishedNameQualifier": 6,
                                 "SerialNumber": 7, "EmailAddress": 8}))

    _KINDS = ("O", "CN", "L", "OU", "C", "ST", "dnQualifier", "serialNumber", "emailAddress")

    def __init__(self, data=b"", format=0):
        if isinstance(data, QSslCertificate):
            self._der, self._content = data._der, data._content
            return
        data = bytes(data.readAll()) if isinstance(data, QIODevice) else bytes(data)
        self._der, self._content = b"", None
        if int(format) == 0:
            match = _PEM.search(data)
            try:
                data = base64.b64decode(match.group(1)) if match else b""
            except ValueError:
                data = b""
        self._set(data)

    def _set(self, der):
        try:
            self._content = _Content(der)
        except (ValueError, IndexError, TypeError):
            return
        self._der = der

    @staticmethod
    def _of_der(der):
        return QSslCertificate(der, 1)

    @staticmethod
    def fromData(data, format=0):
        """All certificates in some bytes."""
        data = bytes(data)
        if int(format) == 1:
            found = [QSslCertificate(data, 1)]
        else:
            found = [QSslCertificate(match.group()) for match in _PEM.finditer(data)]
        return [one for one in found if not one.isNull()]

    @staticmethod
    def fromDevice(device, format=0):
        """All certificates in a device."""
        return QSslCertificate.fromData(device.readAll(), format)

    @staticmethod
    def fromPath(path, format=0, *_syntax):
        """All certificates in a file, or in the files of a pattern."""
        found = []
        for name in sorted(glob.glob(path)):
            with open(name, "rb") as file:
                found += QSslCertificate.fromData(file.read(), format)
        return found

    def isNull(self):
        """Whether there is no certificate."""
        return self._content is None

    def clear(self):
        """Makes it empty."""
        self._der, self._content = b"", None

    def isBlacklisted(self):
        """False: there is no list."""
        return False

    def isSelfSigned(self):
        """Whether the subject is the issuer."""
        return not self.isNull() and self._content.issuer == self._content.subject

    def _info(self, names, kind):
        kind = kind.decode() if isinstance(kind, bytes) else kind
        wanted = kind if isinstance(kind, str) else self._KINDS[int(kind)]
        return [text for name, text in names if name == wanted]

    def subjectInfo(self, info):
        """Texts of the subject, by their kind or name."""
        return [] if self.isNull() else self._info(self._content.subject, info)

    def issuerInfo(self, info):
        """Texts of the issuer, by their kind or name."""
        return [] if self.isNull() else self._info(self._content.issuer, info)

    def subjectInfoAttributes(self):
        """The names of the texts of the subject."""
        return [QByteArray(name.encode()) for name, _text in self._content.subject]

    def issuerInfoAttributes(self):
        """The names of the texts of the issuer."""
        return [QByteArray(name.encode()) for name, _text in self._content.issuer]

    def _display(self, names):
        found = dict(reversed(names))
        return found.get("CN") or found.get("O") or found.get("OU") or ""

    def subjectDisplayName(self):
        """The subject, to be shown."""
        return "" if self.isNull() else self._display(self._content.subject)

    def issuerDisplayName(self):
        """The issuer, to be shown."""
        return "" if self.isNull() else self._display(self._content.issuer)

    def subjectAlternativeNames(self):
        """The names that it is for, by their kind."""
        from ._ssl import QSsl
        found = {}
        for kind, text in () if self.isNull() else self._content.names:
            found.setdefault(QSsl.AlternativeNameEntryType(kind), []).append(text)
        return {kind: texts if len(texts) > 1 else texts[0] for kind, texts in found.items()}

    def _moment(self, value):
        from ._core import Qt
        from ._dates import QDate, QDateTime, QTime
        return QDateTime(QDate(value.date()), QTime(value.time()), Qt.UTC)

    def effectiveDate(self):
        """When it begins to be valid."""
        from ._dates import QDateTime
        return QDateTime() if self.isNull() else self._moment(self._content.begin)

    def expiryDate(self):
        """When it is not valid any more."""
        from ._dates import QDateTime
        return QDateTime() if self.isNull() else self._moment(self._content.end)

    def version(self):
        """The version of its form."""
        return QByteArray(b"" if self.isNull() else str(self._content.version).encode())

    def serialNumber(self):
        """The number, as "4f:b5"."""
        return QByteArray(b"" if self.isNull() else self._content.serial.hex(":").encode())

    def digest(self, algorithm=1):
        """A digest, by the number of its algorithm: MD5."""
        return QByteArray(hashlib.new(_HASHES[int(algorithm)], self._der).digest())

    def toDer(self):
        """As DER."""
        return QByteArray(self._der)

    def toPem(self):
        """As PEM."""
        if self.isNull():
            return QByteArray()
        text = base64.b64encode(self._der)
        lines = [text[place:place + 64] for place in range(0, len(text), 64)]
        return QByteArray(b"\n".join([b"-----BEGIN CERTIFICATE-----", *lines,
                                      b"-----END CERTIFICATE-----", b""]))

    def swap(self, other):
        """Swaps two."""
        self.__dict__, other.__dict__ = other.__dict__, self.__dict__

    def __eq__(self, other):
        return self._der == other._der if isinstance(other, QSslCertificate) else NotImplemented

    def __hash__(self):
        return hash(self._der)


QSslCertificate.__module__ = _MODULE
