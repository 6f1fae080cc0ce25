"""The classes of QtCore that are written in Python, and the less used methods of the others."""

import sys

from . import _berth, _device, _enums
from ._berth import QByteArray, QIODevice, QObject, QTimer, Signal, SignalInstance

MODULE = "berth.QtCore"


class Qt:
    """The namespace for names that belong to no class."""

    locals().update(_enums.make(MODULE, "Qt", "ConnectionType",
                                {"AutoConnection": 0, "DirectConnection": 1, "QueuedConnection": 2,
                                 "BlockingQueuedConnection": 3, "UniqueConnection": 128}))
    locals().update(_enums.make(MODULE, "Qt", "TimerType",
                                {"PreciseTimer": 0, "CoarseTimer": 1, "VeryCoarseTimer": 2}))
    locals().update(_enums.make(MODULE, "Qt", "TimeSpec",
                                {"LocalTime": 0, "UTC": 1, "OffsetFromUTC": 2, "TimeZone": 3}))
    locals().update(_enums.make(MODULE, "Qt", "DateFormat",
                                {"TextDate": 0, "ISODate": 1, "RFC2822Date": 8,
                                 "ISODateWithMs": 9}))
    locals().update(_enums.make(MODULE, "Qt", "CaseSensitivity",
                                {"CaseInsensitive": 0, "CaseSensitive": 1}))
    locals().update(_enums.make(MODULE, "Qt", "FindChildOption",
                                {"FindDirectChildrenOnly": 0, "FindChildrenRecursively": 1},
                                "FindChildOptions"))


def Slot(*_types, name=None, result=None):
    """Marks a function as a slot. The types are ignored; any callable can be connected."""
    def mark(function):
        return function
    return mark


class Property(property):
    """A property with a declared type: Property(type, fget=None, fset=None, ...)."""

    def __init__(self, type=None, fget=None, fset=None, freset=None, fdel=None, doc="",
                 notify=None, **_more):
        super().__init__(fget, fset, fdel, doc or None)
        self.type, self.notify = type, notify

    def _copy(self, **changes):
        given = {"fget": self.fget, "fset": self.fset, "fdel": self.fdel, **changes}
        return Property(self.type, notify=self.notify, **given)

    def __call__(self, fget):
        return self._copy(fget=fget)

    read = getter = __call__

    def setter(self, fset):
        """Decorates the setter."""
        return self._copy(fset=fset)

    write = setter


# ---- methods of QObject ----

def SIGNAL(signature):
    """The name of a signal for QObject.connect, as SIGNAL("newConnection()")."""
    return "2" + signature


def SLOT(signature):
    """The name of a slot for QObject.connect, as SLOT("quit()")."""
    return "1" + signature


def _by_name(sender, text):
    if not isinstance(text, str):
        raise TypeError(f"SIGNAL() or SLOT() is required, not {type(text).__name__}")
    name = text.lstrip("12").split("(")[0]
    member = getattr(sender, name, None)
    if member is None:
        raise RuntimeError(f"{type(sender).__name__} has no {name!r}")
    return member


def _ends(args):
    """The arguments of all forms of connect and disconnect as (signal, slot, the rest)."""
    by_name = not (args and isinstance(args[0], SignalInstance))
    needed = 2 + by_name + (by_name and len(args) == 3 and isinstance(args[2], QObject))
    if len(args) < needed:
        raise TypeError("a sender, its signal and a slot are required")
    if not by_name:
        return args[0], args[1], args[2:]
    signal = _by_name(args[0], args[1])
    if isinstance(args[2], QObject):
        return signal, _by_name(args[2], args[3]), args[4:]
    return signal, args[2], args[3:]


def _connect(*args):
    """connect(sender, SIGNAL(...), receiver, SLOT(...)) or connect(sender, SIGNAL(...), slot)"""
    signal, slot, rest = _ends(args)
    return signal.connect(slot, *rest)


def _disconnect(*args):
    """disconnect(sender, SIGNAL(...), receiver, SLOT(...)), and its other forms"""
    signal, slot, _rest = _ends(args)
    return signal.disconnect(slot)


def _find(self, kind, name, recursive):
    """Each child before its own ones; not by recursion, since chains may be long."""
    rows = [iter(self.children())]
    while rows:
        child = next(rows[-1], None)
        if child is None:
            rows.pop()
            continue
        if isinstance(child, kind) and (not name or child.objectName() == name):
            yield child
        if recursive:
            rows.append(iter(child.children()))


def _find_children(self, kind, name="", options=1):
    """All children of a class, optionally with a name."""
    return list(_find(self, kind, name, options))


def _find_child(self, kind, name="", options=1):
    """The first child of a class, optionally with a name; None if there is none."""
    waiting = [self]
    while waiting:  # the children of an object come before theirs
        children = waiting.pop().children()
        for child in children:
            if isinstance(child, kind) and (not name or child.objectName() == name):
                return child
        if options:
            waiting.extend(reversed(children))
    return None


def _property(self, name):
    """The value of a property, or None."""
    dynamic = self.__dict__.get("_properties", {})
    if name in dynamic:
        return dynamic[name]
    if isinstance(getattr(type(self), name, None), property):
        return getattr(self, name)
    getters = (name, "is" + name[:1].upper() + name[1:])
    if hasattr(self, "set" + name[:1].upper() + name[1:]):
        for getter in getters:
            if callable(getattr(self, getter, None)):
                return getattr(self, getter)()
    return None


def _set_property(self, name, value):
    """Sets a property. Returns False for a dynamic one, which the class does not declare."""
    if not isinstance(name, str):
        raise TypeError(f"argument 'name' must be str, not {type(name).__name__}")
    setter = "set" + name[:1].upper() + name[1:]
    if isinstance(getattr(type(self), name, None), property):
        setattr(self, name, value)
        return True
    if callable(getattr(self, setter, None)):
        getattr(self, setter)(value)
        return True
    dynamic = self.__dict__.setdefault("_properties", {})
    if value is None:
        dynamic.pop(name, None)
    else:
        dynamic[name] = value
    return False


def _dynamic_names(self):
    """The names of the dynamic properties."""
    return [QByteArray(name.encode()) for name in self.__dict__.get("_properties", {})]


class QEvent:
    """An event; only timers send events. The other types are for sendPostedEvents()."""

    locals().update(_enums.make(MODULE, "QEvent", "Type",
                                {"None_": 0, "Timer": 1, "MetaCall": 43, "DeferredDelete": 52}))

    def __init__(self, kind=0):
        self._kind = kind

    def type(self):
        """The kind of the event."""
        return self._kind


class QTimerEvent(QEvent):
    """The argument of timerEvent()."""

    def __init__(self, timer_id):
        super().__init__(QEvent.Timer)
        self._timer_id = timer_id

    def timerId(self):
        """The number that startTimer() returned."""
        return self._timer_id


def _start_timer(self, interval, _kind=None):
    """startTimer(milliseconds) -> int: calls timerEvent() repeatedly; returns the timer's number"""
    timer = _berth.hide(QTimer(self))
    import weakref
    target = weakref.ref(self)  # the timer does not keep its object alive
    timer.timeout.connect(lambda: target().timerEvent(QTimerEvent(number)))
    timer.start(interval)
    number = timer.timerId()
    self.__dict__.setdefault("_timers", {})[number] = timer
    return number


def _kill_timer(self, number):
    """killTimer(number): stops a timer that startTimer() started"""
    timer = self.__dict__.get("_timers", {}).pop(number, None)
    if timer is not None:
        timer.stop()
        timer.deleteLater()


class QMetaObject:
    """The description of a class."""

    def __init__(self, cls):
        self._class = cls

    def className(self):
        """The name of the class."""
        return self._class.__name__

    @staticmethod
    def invokeMethod(object, member, type=0, *arguments):  # pylint: disable=redefined-builtin
        """Calls a method of an object, as a connection of that type does: in the thread of the object.
        With PyQt, arguments are each in Q_ARG(type, value)."""
        if not isinstance(member, str):
            raise TypeError(f"argument 'member' must be str, not {type(member).__name__}")
        method = getattr(object, member.split("(")[0], None)
        if not callable(method):
            return False
        values = [one.value for one in arguments]
        caller = _caller(len(values))()
        caller.asked.connect(method, type)
        caller.asked.emit(*values)
        return True


_callers = {}


def _caller(count):
    if count not in _callers:
        _callers[count] = type("QObject", (QObject,), {"asked": Signal(*[object] * count)})
    return _callers[count]


class _StaticMetaObject:
    def __get__(self, instance, owner):
        return QMetaObject(owner)


def _receivers(self, signal):
    """How many slots a signal has, SIGNAL(...) or the signal itself."""
    known = isinstance(signal, SignalInstance)
    return (signal if known else _by_name(self, signal)).receivers()


def _inherits(self, name):
    return any(cls.__name__ == name for cls in type(self).__mro__)


def _reduce(self, _protocol):
    """Refuses to pickle: the oldest protocols would make a copy, as a child of the object."""
    if type(self).__reduce__ is not object.__reduce__:
        return self.__reduce__()
    raise TypeError(f"cannot pickle {type(self).__name__!r} object")


OBJECT_MEMBERS = {
    "__reduce_ex__": _reduce,
    "connect": staticmethod(_connect),
    "disconnect": staticmethod(_disconnect),
    "findChild": _find_child,
    "findChildren": _find_children,
    "property": _property,
    "setProperty": _set_property,
    "dynamicPropertyNames": _dynamic_names,
    "startTimer": _start_timer,
    "killTimer": _kill_timer,
    "timerEvent": lambda self, event: None,
    "staticMetaObject": _StaticMetaObject(),
    "metaObject": lambda self: QMetaObject(type(self)),
    "inherits": _inherits,
    "isWidgetType": lambda self: False,
    "isWindowType": lambda self: False,
    "tr": lambda self, text, *more: text,
    "receivers": _receivers,
}


# ---- what sockets have of QIODevice ----

def _get_char(self):
    """getChar() -> (bool, character): whether a character was read"""
    data = bytes(self.read(1) or b"")
    return (True, data.decode("latin-1")) if data else (False, "\0")


def _open(self, mode):
    """Sets how it may be used, until connectToHost() does."""
    self._set_mode(int(mode))
    return True


SOCKET_MEMBERS = {
    "getChar": _get_char,
    "putChar": lambda self, value: self.write(_device.character(value)) == 1,
    "ungetChar": lambda self, value: self._unget(_device.character(value)),
    "open": _open,
    "setOpenMode": lambda self, mode: self._set_mode(int(mode)),
    "isSequential": lambda self: True,
    "isTextModeEnabled": lambda self: False,
    "pos": lambda self: 0,
    "seek": lambda self, position: False,
    "reset": lambda self: False,
    "readChannelCount": lambda self: 1 if self.isOpen() else 0,
    "writeChannelCount": lambda self: 1 if self.isOpen() else 0,
    "currentReadChannel": lambda self: 0,
    "currentWriteChannel": lambda self: 0,
}


class QBuffer(QIODevice):
    """A device that reads and writes a QByteArray at a position."""

    _block = 1  # nothing is read ahead: the array may change

    def __init__(self, array=None, parent=None, **more):
        if isinstance(array, QObject):
            array, parent = None, array
        super().__init__(parent, **more)
        self._array = QByteArray() if array is None else array

    def open(self, mode):
        """Opens the buffer; Truncate empties it, Append goes to its end."""
        mode = int(mode)
        if mode & (QIODevice.Append | QIODevice.Truncate):
            mode |= QIODevice.WriteOnly
        if mode & QIODevice.Truncate:
            self._array.clear()
        return QIODevice.open(self, mode)

    def buffer(self):
        """The QByteArray."""
        return self._array

    data = buffer

    def setBuffer(self, array):
        """Sets another QByteArray; not while it is open."""
        if not self.isOpen():
            self._array = array

    def setData(self, data):
        """Replaces the bytes."""
        self._array._assign(bytes(data))
        self._place, self._ahead = 0, b""

    def seek(self, position):
        """Sets the position; beyond the end only if the buffer is writable."""
        if position > len(self._array) and not self.isWritable():
            return False
        return QIODevice.seek(self, position)

    def size(self):
        return len(self._array)

    def canReadLine(self):
        return self.isReadable() and b"\n" in self._ahead + self._rest()

    def _rest(self):
        return self._array.data()[self._place + len(self._ahead):]

    def readLine(self, maxlen=0):
        line, newline, _rest = (self._ahead + self._rest()).partition(b"\n")
        size = len(line + newline)
        return QByteArray(_device.take(self, min(size, maxlen - 1) if maxlen > 0 else size))

    def readData(self, maxlen):
        return self._rest()[:maxlen]

    def writeData(self, data, size=None):
        return self._put(bytes(data))

    def _put(self, data):
        old, end = self._array.data(), self._place + len(data)
        self._array._assign(old[:self._place].ljust(self._place, b"\0") + data + old[end:])
        self.bytesWritten.emit(len(data))
        return len(data)


# ---- the application ----

class _Names:
    """Texts with a getter and a setter, such as applicationName."""

    values = {}

    @classmethod
    def members(cls, name):
        """The getter and the setter of a text."""
        def get():
            default = sys.argv[0].rpartition("/")[2] if name == "applicationName" else ""
            return cls.values.get(name, default)

        def put(value):
            cls.values[name] = value
        return {name: staticmethod(get),
                "set" + name[0].upper() + name[1:]: staticmethod(put)}


def _arguments():
    application = _berth.QCoreApplication.instance()
    return list(application._arguments) if application else []


def _process_id():
    import os
    return os.getpid()


def _file_path():
    import os
    return os.path.abspath(sys.argv[0])


APPLICATION_MEMBERS = {
    **_Names.members("applicationName"),
    **_Names.members("applicationVersion"),
    **_Names.members("organizationName"),
    **_Names.members("organizationDomain"),
    "arguments": staticmethod(_arguments),
    "applicationPid": staticmethod(_process_id),
    "applicationFilePath": staticmethod(_file_path),
    "applicationDirPath": staticmethod(lambda: _file_path().rpartition("/")[0]),
    "startingUp": staticmethod(lambda: _berth.QCoreApplication.instance() is None),
    "closingDown": staticmethod(lambda: False),
    "translate": staticmethod(lambda context, text, *more: text),
}


class QElapsedTimer:
    """Measures time on the monotonic clock."""

    def __init__(self):
        self._start = None

    @staticmethod
    def _now():
        import time
        return time.monotonic_ns()

    @staticmethod
    def isMonotonic():
        """True."""
        return True

    def start(self):
        """Starts the measurement."""
        self._start = self._now()

    def restart(self):
        """Restarts; returns the milliseconds since the last start."""
        elapsed = self.elapsed() if self._start is not None else 0
        self.start()
        return elapsed

    def invalidate(self):
        """Makes the timer invalid."""
        self._start = None

    def isValid(self):
        """Whether the timer is started."""
        return self._start is not None

    def nsecsElapsed(self):
        """Nanoseconds since the start."""
        return self._now() - self._start if self._start is not None else 0

    def elapsed(self):
        """Milliseconds since the start."""
        return self.nsecsElapsed() // 1000000

    def hasExpired(self, timeout):
        """Whether more than that time has passed; always False for a negative number."""
        return timeout >= 0 and self.elapsed() > timeout

    def msecsSinceReference(self):
        """The time of the start on the monotonic clock, in milliseconds."""
        return (self._start or 0) // 1000000

    def msecsTo(self, other):
        """Milliseconds between two starts."""
        return ((other._start or 0) - (self._start or 0)) // 1000000

    def secsTo(self, other):
        """Seconds between two starts."""
        return self.msecsTo(other) // 1000


def _timer_type(self):
    return self.__dict__.get("_timer_type", Qt.CoarseTimer)


def _set_timer_type(self, kind):
    self.__dict__["_timer_type"] = kind


def install():
    """Adds the methods written here to the classes written in C."""
    _berth.install(QObject, OBJECT_MEMBERS)
    _device.install(SOCKET_MEMBERS)
    _berth.install(QTimer, {
        "timerType": _timer_type, "setTimerType": _set_timer_type,
        "_deliver": lambda self, number: self.timerEvent(QTimerEvent(number))})
    _berth.install(_berth.QCoreApplication, APPLICATION_MEMBERS)
    for cls in (Qt, QBuffer, QElapsedTimer, QEvent, QTimerEvent, QMetaObject, Property):
        cls.__module__ = MODULE
