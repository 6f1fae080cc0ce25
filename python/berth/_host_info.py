"""QHostInfo, over the system's look-ups in threads: as of Qt, of which there are twenty at most."""

import itertools
import os
import re
import socket

from . import _berth, _enums
from ._berth import QHostAddress, QObject, Signal
from ._thread_pool import _Function, _Pool

_MODULE = "berth.QtNetwork"
_NOT_FOUND = (socket.EAI_NONAME, socket.EAI_FAIL, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))
_THREADS = 20


def _text(name, value, optional=False):
    if value is None and optional:
        return ""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, not {type(value).__name__}")
    return value


class QHostInfo:
    """QHostInfo(lookupId=-1), or a copy: the addresses of a name"""

    locals().update(_enums.make(_MODULE, "QHostInfo", "HostInfoError",
                                {"NoError": 0, "HostNotFound": 1, "UnknownError": 2}))

    def __init__(self, lookupId=-1):
        if isinstance(lookupId, QHostInfo):
            self.__dict__.update(lookupId.__dict__)
            return
        self.setLookupId(lookupId)
        self._name, self._addresses = "", []
        self._error, self._text = QHostInfo.NoError, "Unknown error"

    def hostName(self):
        """The name that was looked up; of an address that of its host, if it is known."""
        return self._name

    def setHostName(self, name):
        """Sets hostName()."""
        self._name = _text("name", name, True)

    def addresses(self):
        """The addresses, the preferred one first."""
        return [QHostAddress(one) for one in self._addresses]

    def setAddresses(self, addresses):
        """Sets addresses()."""
        self._addresses = [QHostAddress(one) for one in addresses]

    def error(self):
        """What went wrong, or NoError."""
        return self._error

    def setError(self, error):
        """Sets error()."""
        self._error = QHostInfo.HostInfoError(int(error))

    def errorString(self):
        """What went wrong, in words."""
        return self._text

    def setErrorString(self, errorString):
        """Sets errorString()."""
        self._text = _text("errorString", errorString, True)

    def lookupId(self):
        """The number of the look-up, -1 without one."""
        return self._id

    def setLookupId(self, id):
        """Sets lookupId()."""
        if not isinstance(id, int):
            raise TypeError(f"a number must be an int, not {type(id).__name__}")
        self._id = int(id)

    def swap(self, other):
        """Swaps two of them."""
        self.__dict__, other.__dict__ = other.__dict__, self.__dict__

    def __copy__(self):
        return QHostInfo(self)

    @staticmethod
    def fromName(name):
        """Looks a name up, and waits for that; for an address the name of its host."""
        return _look_up(_text("name", name, True))

    @staticmethod
    def lookupHost(name, receiver, member=None):
        """lookupHost(name, slot) -> int, or (name, receiver, SLOT("member(QHostInfo)")): looks a name up,
        then calls the slot with a QHostInfo. Returns the number of the look-up."""
        _text("name", name)
        if isinstance(member, str):
            receiver = getattr(receiver, member.lstrip("12").split("(")[0])
        elif member is not None:
            receiver = member
        if not callable(receiver):
            raise TypeError(f"a slot must be callable, not {type(receiver).__name__}")
        lookup = _Lookup(name, next(_numbers))
        lookup.done.connect(receiver)
        lookup.done.connect(lookup.end)
        _running[lookup.number] = lookup
        _pool.add(_Function(lookup.run), 0)
        return lookup.number

    @staticmethod
    def abortHostLookup(lookupId):
        """Forgets a look-up: its slot is not called."""
        if not isinstance(lookupId, int):
            raise TypeError(f"a number must be an int, not {type(lookupId).__name__}")
        lookup = _running.pop(lookupId, None)
        if lookup is not None:
            lookup.given_up = True
            lookup.done.disconnect()

    @staticmethod
    def localHostName():
        """The name of this host."""
        return socket.gethostname()

    @staticmethod
    def localDomainName():
        """The domain that the system completes names with, or an empty str."""
        found = ""
        try:
            with open("/etc/resolv.conf", encoding="utf-8", errors="replace") as file:
                for line in file:
                    words = line.split()
                    if len(words) > 1 and words[0] in ("domain", "search"):
                        found = words[1]
        except OSError:
            pass
        return found or socket.gethostname().partition(".")[2]


class _Lookup(QObject):
    """Emits `done` from its thread, so that the slot is called in that of who asked."""

    done = Signal(object)

    def __init__(self, name, number):
        super().__init__()
        _berth.hide(self)
        self.name, self.number, self.given_up = name, number, False

    def run(self):
        """Looks up; called in a thread of the pool."""
        if self.given_up:
            return
        info = _look_up(self.name)
        info.setLookupId(self.number)
        try:
            self.done.emit(info)
        except RuntimeError:
            pass  # it was given up meanwhile, or the program ends

    def end(self):
        """After the slot."""
        _running.pop(self.number, None)


_running = {}
_numbers = itertools.count(1)


def _renew():
    """A child of a fork has none of the threads."""
    global _pool
    _pool = _Pool()
    _pool.set_most(_THREADS)


_renew()
os.register_at_fork(after_in_child=_renew)


def _failed(info, error, text):
    info.setError(error)
    info.setErrorString(text)
    return info


def _look_up(name):
    info = QHostInfo()
    info.setHostName(name)
    if not name:
        return _failed(info, QHostInfo.HostNotFound, "No host name given")
    address = QHostAddress()
    if address.setAddress(name):
        info.setAddresses([address])
        try:
            info.setHostName(socket.getnameinfo((address.toString(), 0), 0)[0])
        except OSError:
            info.setHostName(address.toString())
        return info
    try:
        wire = name.encode("idna").decode()
    except UnicodeError:
        wire = ""
    if not re.fullmatch(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?", wire):
        return _failed(info, QHostInfo.HostNotFound, "Invalid hostname")
    try:
        found = socket.getaddrinfo(wire, None, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    except socket.gaierror as error:
        if error.errno in _NOT_FOUND:
            return _failed(info, QHostInfo.HostNotFound, "Host not found")
        return _failed(info, QHostInfo.UnknownError, error.strerror)
    except OSError as error:
        return _failed(info, QHostInfo.UnknownError, error.strerror)
    texts = dict.fromkeys(entry[4][0] for entry in found)
    info.setAddresses([QHostAddress(text) for text in texts])
    return info


QHostInfo.__module__ = _MODULE
