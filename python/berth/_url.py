"""QUrl and QUrlQuery.

The parts of a URL are kept in the form that toString() shows: what may be shown is decoded (letters,
digits, spaces, other alphabets), what would change the meaning stays encoded, as %2F in a path.
toEncoded() encodes what may not be in a URL; path() and such decode everything.

Left out: resource names ("qrc:"), lists of top-level domains, and the formats DecodeReserved and
EncodeSpaces.
"""

import posixpath
import re
import urllib.parse

from . import _enums
from ._berth import QByteArray

_MODULE = "berth.QtCore"
_PARTS = re.compile(r"(?:([A-Za-z][A-Za-z0-9+.-]*):)?(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?",
                    re.DOTALL)
_ESCAPES = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_UNRESERVED = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
_RESERVED = "%!$&'()*+,;=:@/?#[]"


def _pretty(text):
    """Decodes what may be shown."""
    def shown(match):
        raw = bytes.fromhex(match.group().replace("%", ""))
        text = raw.decode("utf-8", "surrogateescape")
        return "".join(
            c if c in _UNRESERVED or c == " " or (ord(c) > 0xa0 and not 0xdc80 <= ord(c) <= 0xdcff)
            else "".join(f"%{b:02X}" for b in c.encode("utf-8", "surrogateescape")) for c in text)
    if re.search(r"%(?![0-9A-Fa-f]{2})", text):  # then none of them is meant to encode
        text = text.replace("%", "%25")
    return _ESCAPES.sub(shown, text)


def _encoded(text):
    return urllib.parse.quote(text, safe=_RESERVED)


def _decoded(text):
    return urllib.parse.unquote(text)


def _host(text):
    """A host in small letters and its own alphabet; None if it is not valid."""
    if text.startswith("["):
        return text[1:-1].lower() if re.fullmatch(r"\[[0-9A-Fa-f:.]+(%[^\]]*)?\]", text) else None
    text = _decoded(text)
    if re.search(r"[\s<>\"#%/:?@\\^`{|}\[\]]", text):
        return None
    try:
        return text.encode("ascii").decode("idna").lower() if "xn--" in text else text.lower()
    except UnicodeError:
        return text.lower()


class QUrl:
    """QUrl(text=""): the parts of a URL"""

    locals().update(_enums.make(_MODULE, "QUrl", "ParsingMode",
                                {"TolerantMode": 0, "StrictMode": 1, "DecodedMode": 2}))
    locals().update(_enums.make(_MODULE, "QUrl", "UrlFormattingOption", {
        "None_": 0, "RemoveScheme": 1, "RemovePassword": 2, "RemoveUserInfo": 6, "RemovePort": 8,
        "RemoveAuthority": 0x1e, "RemovePath": 0x20, "RemoveQuery": 0x40, "RemoveFragment": 0x80,
        "PreferLocalFile": 0x200, "StripTrailingSlash": 0x400, "RemoveFilename": 0x800,
        "NormalizePathSegments": 0x1000}, "FormattingOptions"))
    locals().update(_enums.make(_MODULE, "QUrl", "ComponentFormattingOption", {
        "PrettyDecoded": 0, "EncodeSpaces": 0x100000, "EncodeUnicode": 0x200000,
        "EncodeDelimiters": 0xc00000, "EncodeReserved": 0x1000000, "DecodeReserved": 0x2000000,
        "FullyEncoded": 0x1f00000, "FullyDecoded": 0x7f00000}))

    def __init__(self, url="", mode=0):
        if isinstance(url, QUrl):
            self.__dict__.update(url.__dict__)
            return
        self.setUrl(url, mode)

    def clear(self):
        """Makes it empty."""
        self._scheme = self._user = self._password = self._path = ""
        self._hostname = self._q = self._f = None
        self._number, self._bad = -1, ""

    def setUrl(self, url, parsingMode=0):
        """Takes a URL apart."""
        if not isinstance(url, str):
            raise TypeError(f"QUrl takes a str, not {type(url).__name__}")
        self.clear()
        scheme, authority, self._path, self._q, self._f = _PARTS.fullmatch(url.strip()).groups()
        self._scheme, self._path = (scheme or "").lower(), _pretty(self._path)
        self._q = None if self._q is None else _pretty(self._q)
        self._f = None if self._f is None else _pretty(self._f)
        if authority is not None:
            self._take_authority(authority)

    def _take_authority(self, text):
        info, at, place = text.rpartition("@")
        if at:
            self.setUserInfo(info)
        match = re.fullmatch(r"(\[[^\]]*\]|[^:]*)(?::(.*))?", place, re.DOTALL)
        host, port = match.groups() if match else ("", None)
        if port and not (port.isdigit() and int(port) <= 65535):
            self._bad = "Invalid port or port number out of range"
        elif port:
            self._number = int(port)
        self._set_host(host)

    def _set_host(self, host):
        found = _host(host)
        if found is None:
            self._bad = "Invalid hostname"
        self._hostname = found or ""

    # ---- the parts ----

    def isValid(self):
        """Whether it is a URL and not empty."""
        return not self._bad and not self.isEmpty()

    def isEmpty(self):
        """Whether nothing is set."""
        return not (self._scheme or self._hostname or self._path or self._q is not None
                    or self._f is not None or self._number >= 0 or self._user)

    def errorString(self):
        """Why it is not valid."""
        return self._bad

    def scheme(self):
        """As "http"."""
        return self._scheme

    def setScheme(self, scheme):
        """Sets the scheme."""
        self._scheme = scheme.lower()

    def host(self, options=None):
        """The host."""
        name = self._hostname or ""
        if options is not None and int(options) & 0x200000 and not name.isascii():
            return name.encode("idna").decode()
        return name

    def setHost(self, host, mode=0):
        """Sets the host."""
        self._bad = ""
        self._set_host(f"[{host}]" if ":" in host and not host.startswith("[") else host)

    def port(self, defaultPort=-1):
        """The port, or the default."""
        return self._number if self._number >= 0 else defaultPort

    def setPort(self, port):
        """Sets the port; -1 for none."""
        if not -1 <= port <= 65535:
            self._number, self._bad = -1, "Invalid port or port number out of range"
        else:
            self._number = port

    def path(self, options=None):
        """The path."""
        return _formed(self._path, options, _decoded)

    def setPath(self, path, mode=2):
        """Sets the path."""
        self._path = _pretty(path.replace("%", "%25") if int(mode) == 2 else path)

    def fileName(self, options=None):
        """The last part of the path."""
        return self.path(options).rpartition("/")[2]

    def query(self, options=None):
        """What follows "?"."""
        return _formed(self._q or "", options)

    def hasQuery(self):
        """Whether there is one."""
        return self._q is not None

    def setQuery(self, query, mode=0):
        """Sets the query, a text or a QUrlQuery; None for none."""
        if isinstance(query, QUrlQuery):
            query = query.query(0xc00000) if not query.isEmpty() else None
        self._q = None if query is None else _pretty(query)

    def fragment(self, options=None):
        """What follows "#"."""
        return _formed(self._f or "", options)

    def hasFragment(self):
        """Whether there is one."""
        return self._f is not None

    def setFragment(self, fragment, mode=0):
        """Sets the fragment; None for none."""
        self._f = None if fragment is None else _pretty(fragment)

    def userName(self, options=None):
        """The user."""
        return _formed(self._user, options, _decoded)

    def setUserName(self, userName, mode=2):
        """Sets the user."""
        self._user = _pretty(userName.replace("%", "%25") if int(mode) == 2 else userName)

    def password(self, options=None):
        """The password."""
        return _formed(self._password, options, _decoded)

    def setPassword(self, password, mode=2):
        """Sets the password."""
        self._password = _pretty(password.replace("%", "%25") if int(mode) == 2 else password)

    def userInfo(self, options=None):
        """User and password."""
        info = f"{self._user}:{self._password}" if self._password else self._user
        return _formed(info, options)

    def setUserInfo(self, userInfo, mode=0):
        """Sets user and password."""
        user, _colon, password = userInfo.partition(":")
        self._user, self._password = _pretty(user), _pretty(password)

    def authority(self, options=None):
        """User, password, host and port."""
        return _formed(self._authority(0), options)

    def setAuthority(self, authority, mode=0):
        """Sets user, password, host and port."""
        self._bad, self._user, self._password, self._number = "", "", "", -1
        self._take_authority(authority)

    def _authority(self, options, encoded=False):
        info = self._user if options & 2 else self.userInfo()
        info = "" if options & 6 == 6 else info
        host = self.host(0x200000 if encoded else None)
        text = (info + "@" if info else "") + (f"[{host}]" if ":" in host else host)
        return text if self._number < 0 or options & 8 else f"{text}:{self._number}"

    # ---- the whole ----

    def _whole(self, options, encoded=False):
        if self._bad:
            return ""
        if options & 0x200 and self.isLocalFile():
            return self.toLocalFile()
        text = ""
        if self._scheme and not options & 1:
            text += self._scheme + ":"
        if options & 0x1e != 0x1e and (self._hostname is not None or self._scheme == "file"):
            authority = self._authority(options, encoded)
            if authority or self._scheme == "file":
                text += "//" + authority
        path = "" if options & 0x20 else self._path
        if options & 0x800:
            path = path[:path.rfind("/") + 1]
        if options & 0x1000 and path:
            path = _clean(path)
        if options & 0x400 and len(path) > 1:
            path = path.rstrip("/")
        if "//" in text and path and not path.startswith("/"):
            path = "/" + path
        text += path
        text += "?" + self._q if self._q is not None and not options & 0x40 else ""
        text += "#" + self._f if self._f is not None and not options & 0x80 else ""
        return _encoded(text) if encoded else text

    def toString(self, options=0):
        """The URL as a text to be shown."""
        options = int(options)
        return self._whole(options & 0xffff, bool(options & 0x1100000))

    url = toString

    def toDisplayString(self, options=0):
        """Without the password."""
        return self._whole(int(options) & 0xffff | 2)

    def toEncoded(self, options=0):
        """The URL as bytes for the wire."""
        return QByteArray(self._whole(int(options) & 0xffff, True).encode())

    def adjusted(self, options):
        """A copy without some parts."""
        return QUrl(self._whole(int(options) & 0xffff, True))

    def isRelative(self):
        """Whether it has no scheme."""
        return not self._scheme

    def isLocalFile(self):
        """Whether it names a file."""
        return self._scheme == "file"

    def toLocalFile(self):
        """The name of the file."""
        if not self.isLocalFile():
            return ""
        return ("//" + self._hostname if self._hostname else "") + self.path()

    def resolved(self, relative):
        """Another URL as it is meant from this one."""
        base, other = self._whole(0, True), relative._whole(0, True)
        return QUrl(urllib.parse.urljoin(base, other)) if relative.isRelative() else QUrl(relative)

    def matches(self, url, options):
        """Whether both are the same without some parts."""
        return self.adjusted(options) == url.adjusted(options)

    def isParentOf(self, child):
        """Whether a URL is below this one."""
        mine = self._path if self._path.endswith("/") else self._path + "/"
        return child._path.startswith(mine) and (
            (self._scheme, self._authority(0)) == (child._scheme, child._authority(0)))

    def swap(self, other):
        """Swaps two URLs."""
        self.__dict__, other.__dict__ = other.__dict__, self.__dict__

    def _key(self):
        return (self._scheme, self._user, self._password, self._hostname or "", self._number,
                self._path, self._q, self._f)

    def __eq__(self, other):
        return self._key() == other._key() if isinstance(other, QUrl) else NotImplemented

    def __lt__(self, other):
        return self.toString() < other.toString()

    def __hash__(self):
        return hash(self._key())

    def __copy__(self):
        return QUrl(self)

    def __reduce__(self):
        return QUrl, (self.toString(QUrl.FullyEncoded),)

    def __repr__(self):
        return f"berth.QtCore.QUrl('{self.toString()}')"

    @staticmethod
    def fromLocalFile(localfile):
        """The URL of a file."""
        url = QUrl()
        url.setScheme("file")
        url.setPath(localfile)
        url._hostname = ""
        return url

    @staticmethod
    def fromEncoded(url, mode=0):
        """From bytes."""
        return QUrl(bytes(url).decode("utf-8", "replace"))

    @staticmethod
    def fromUserInput(userInput, *_more):
        """What somebody has typed: a URL, a host, or the name of a file."""
        text = userInput.strip()
        if text.startswith("/"):
            return QUrl.fromLocalFile(text)
        url = QUrl(text)
        if url.isValid() and url.scheme() and not url.path().isdigit() and "." not in url.scheme():
            return url
        return QUrl(("ftp://" if text.startswith("ftp.") else "http://") + text)

    @staticmethod
    def toPercentEncoding(input, exclude=b"", include=b""):
        """A text, encoded."""
        return QByteArray(input.encode()).toPercentEncoding(exclude, include)

    @staticmethod
    def fromPercentEncoding(input):
        """A text, decoded."""
        return _decoded(bytes(input).decode("utf-8", "replace"))

    @staticmethod
    def toAce(domain):
        """A host for the wire."""
        return QByteArray(domain.encode("idna"))

    @staticmethod
    def fromAce(domain):
        """A host from the wire."""
        return bytes(domain).decode("idna")


def _clean(path):
    """A path without "." and ".."."""
    whole = posixpath.normpath(path)
    return whole + "/" if path.endswith("/") and whole != "/" else whole


def _formed(text, options, otherwise=None):
    """A part in the form that is asked for."""
    if options is None:
        return otherwise(text) if otherwise else text
    options = int(options)
    if options == 0x7f00000:
        return _decoded(text)
    if options & 0x1000000:
        return _encoded(text)
    if options & 0x100000:
        text = text.replace(" ", "%20")
    if options & 0x200000:
        text = re.sub("[^\0-\x7f]+", lambda found: urllib.parse.quote(found.group()), text)
    return text


class QUrlQuery:
    """QUrlQuery(text or QUrl): the keys and values of a query"""

    def __init__(self, query=""):
        if isinstance(query, QUrlQuery):
            self.__dict__.update(query.__dict__)
            self._items = list(query._items)
            return
        self._between, self._of_value = "&", "="
        self.setQuery(query.query() if isinstance(query, QUrl) else query)

    def setQuery(self, queryString):
        """Takes a query apart."""
        self._items = []
        for pair in queryString.split(self._between) if queryString else ():
            key, equals, value = pair.partition(self._of_value)
            self._items.append((self._kept(key), self._kept(value) if equals else None))

    def query(self, options=0):
        """The text of the query."""
        delimiters = "" if int(options) == 0x7f00000 else self._of_value + self._between
        return self._between.join(
            self._of_value.join(self._shown(text, options, delimiters)
                                for text in pair if text is not None) for pair in self._items)

    toString = query

    def isEmpty(self):
        """Whether there is nothing."""
        return not self._items

    def clear(self):
        """Makes it empty."""
        self._items = []

    def _kept(self, text):
        """A key or a value with its delimiters decoded, which needs them no more."""
        text = _pretty(text)
        for character in self._of_value + self._between + "#":
            text = re.sub(f"%{ord(character):02x}", character, text, flags=re.IGNORECASE)
        return text

    def _shown(self, text, options, delimiters=""):
        """A key or a value in the form that is asked for, some delimiters encoded in any case."""
        if int(options) & 0xc00000 and int(options) != 0x7f00000:
            delimiters = self._of_value + self._between + "#"
        for character in delimiters:
            text = text.replace(character, f"%{ord(character):02X}")
        return _formed(text, options)

    def queryItems(self, options=0):
        """Keys and values."""
        return [(self._shown(key, options), self._shown(value or "", options))
                for key, value in self._items]

    def setQueryItems(self, items):
        """Sets keys and values."""
        self._items = []
        for key, value in items:
            self.addQueryItem(key, value)

    def hasQueryItem(self, key):
        """Whether there is such a key."""
        return any(one == self._kept(key) for one, _value in self._items)

    def queryItemValue(self, key, options=0):
        """The first value of a key, or ""."""
        return next(iter(self.allQueryItemValues(key, options)), "")

    def allQueryItemValues(self, key, options=0):
        """All values of a key."""
        return [self._shown(value or "", options) for one, value in self._items
                if one == self._kept(key)]

    def addQueryItem(self, key, value):
        """Adds a key and a value."""
        self._items.append((self._kept(key), self._kept(value)))

    def removeQueryItem(self, key):
        """Removes the first of a key."""
        for place, (one, _value) in enumerate(self._items):
            if one == self._kept(key):
                del self._items[place]
                return

    def removeAllQueryItems(self, key):
        """Removes all of a key."""
        self._items = [item for item in self._items if item[0] != self._kept(key)]

    def setQueryDelimiters(self, valueDelimiter, pairDelimiter):
        """Sets what is between a key and its value, and between pairs."""
        self._of_value, self._between = valueDelimiter, pairDelimiter

    def queryPairDelimiter(self):
        """What is between pairs."""
        return self._between

    def queryValueDelimiter(self):
        """What is between a key and its value."""
        return self._of_value

    def swap(self, other):
        """Swaps two queries."""
        self.__dict__, other.__dict__ = other.__dict__, self.__dict__

    def __eq__(self, other):
        if not isinstance(other, QUrlQuery):
            return NotImplemented
        return (self._items, self._between, self._of_value) == \
            (other._items, other._between, other._of_value)

    __hash__ = None


QUrl.__module__ = QUrlQuery.__module__ = _MODULE
