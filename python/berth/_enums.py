"""The enumerations, with Qt's numbers.

A member is an int that knows its class and name. The classes of C get their members both ways, as
QAbstractSocket.ConnectedState and as QAbstractSocket.SocketState.ConnectedState. Flags stay of
their class when they are combined.
"""

from . import _berth


class _Class(type):
    """The class of an enumeration: iterated and indexed as those of PyQt6 and PySide6."""

    @property
    def __members__(cls):
        return dict(cls.values)

    def __iter__(cls):
        return iter(cls.values.values())

    def __len__(cls):
        return len(cls.values)

    def __bool__(cls):
        return True

    def __getitem__(cls, name):
        return cls.values[name]

    def __contains__(cls, member):
        return isinstance(member, cls) or member in cls.values.values()


class Enum(int, metaclass=_Class):
    """A member of an enumeration."""

    __slots__ = ()
    values = {}

    @classmethod
    def _name_of(cls, number):
        for name, member in cls.values.items():
            if int(member) == number:
                return name
        return None

    @property
    def name(self):
        """The name of the member; of a combination those of its parts."""
        number = int(self)
        parts = (name for name, one in self.values.items()
                 if one & number == one and one & (one - 1) == 0 and one > 0)
        return self._name_of(number) or "|".join(parts)

    @property
    def value(self):
        """The number."""
        return int(self)

    def __repr__(self):
        name = self._name_of(int(self))
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return f"{path}.{name}" if name else f"{path}({int(self)})"

    __str__ = __repr__

    def __format__(self, spec):
        return format(int(self), spec) if spec else repr(self)

    def __or__(self, other):
        return type(self)(int(self) | int(other))

    def __and__(self, other):
        return type(self)(int(self) & int(other))

    def __xor__(self, other):
        return type(self)(int(self) ^ int(other))

    def __invert__(self):
        return type(self)(~int(self))

    __ror__ = __or__
    __rand__ = __and__
    __rxor__ = __xor__

    def __reduce__(self):
        return type(self), (int(self),)


def make(module, owner, name, members, flags=None):
    """Makes an enumeration; returns the members of its owner as a dict."""
    path = f"{owner}.{name}" if owner else name
    cls = type(name, (Enum,), {"__slots__": (), "__module__": module, "__qualname__": path,
                                 "__doc__": "An enumeration."})
    cls.values = {key: cls(number) for key, number in members.items()}
    for key, member in cls.values.items():
        setattr(cls, key, member)
    found = {name: cls, **cls.values}
    if flags:
        found[flags] = cls
    return found


def _install(number, target, found, name):
    _berth.install(target, found)
    if number is not None:
        _berth.set_enum(number, found[name], list(found[name].values.values()))


def _number(members, first=0):
    return {name: first + place for place, name in enumerate(members.split())}


STATES = _number("UnconnectedState HostLookupState ConnectingState ConnectedState BoundState"
                 " ListeningState ClosingState")

ERRORS = _number(
    "UnknownSocketError ConnectionRefusedError RemoteHostClosedError HostNotFoundError"
    " SocketAccessError SocketResourceError SocketTimeoutError DatagramTooLargeError NetworkError"
    " AddressInUseError SocketAddressNotAvailableError UnsupportedSocketOperationError"
    " UnfinishedSocketOperationError ProxyAuthenticationRequiredError SslHandshakeFailedError"
    " ProxyConnectionRefusedError ProxyConnectionClosedError ProxyConnectionTimeoutError"
    " ProxyNotFoundError ProxyProtocolError OperationError SslInternalError"
    " SslInvalidUserDataError TemporaryError", -1)

PROTOCOLS = _number("UnknownNetworkLayerProtocol IPv4Protocol IPv6Protocol AnyIPProtocol", -1)

OPEN_MODES = {"NotOpen": 0, "ReadOnly": 1, "WriteOnly": 2, "ReadWrite": 3, "Append": 4,
              "Truncate": 8, "Text": 16, "Unbuffered": 32, "NewOnly": 64, "ExistingOnly": 128}

BIND_FLAGS = {"DefaultForPlatform": 0, "ShareAddress": 1, "DontShareAddress": 2,
              "ReuseAddressHint": 4}

SOCKET_OPTIONS = _number(
    "LowDelayOption KeepAliveOption MulticastTtlOption MulticastLoopbackOption TypeOfServiceOption"
    " SendBufferSizeSocketOption ReceiveBufferSizeSocketOption PathMtuSocketOption")

SPECIAL_ADDRESSES = _number("Null Broadcast LocalHost LocalHostIPv6 Any AnyIPv6 AnyIPv4")

CONVERSIONS = {"ConvertV4MappedToIPv4": 1, "ConvertV4CompatToIPv4": 2,
               "ConvertUnspecifiedAddress": 4, "ConvertLocalHost": 8, "TolerantConversion": 255,
               "StrictConversion": 0}


def install():
    """Adds the enumerations to the classes written in C."""
    core, network = "berth.QtCore", "berth.QtNetwork"
    socket, address = _berth.QAbstractSocket, _berth.QHostAddress
    for number, target, module, owner, name, members, flags in (
            (3, _berth.QIODevice, core, "QIODevice", "OpenModeFlag", OPEN_MODES, "OpenMode"),
            (0, socket, network, "QAbstractSocket", "SocketState", STATES, None),
            (1, socket, network, "QAbstractSocket", "SocketError", ERRORS, None),
            (2, socket, network, "QAbstractSocket", "NetworkLayerProtocol", PROTOCOLS, None),
            (None, socket, network, "QAbstractSocket", "BindFlag", BIND_FLAGS, "BindMode"),
            (None, socket, network, "QAbstractSocket", "SocketOption", SOCKET_OPTIONS, None),
            (None, socket, network, "QAbstractSocket", "SocketType",
             {**_number("TcpSocket UdpSocket SctpSocket"), "UnknownSocketType": -1}, None),
            (None, socket, network, "QAbstractSocket", "PauseMode",
             _number("PauseNever PauseOnSslErrors"), "PauseModes"),
            (None, address, network, "QHostAddress", "SpecialAddress", SPECIAL_ADDRESSES, None),
            (None, address, network, "QHostAddress", "ConversionModeFlag", CONVERSIONS,
             "ConversionMode"),
            (None, _berth.QEventLoop, core, "QEventLoop", "ProcessEventsFlag",
             {"AllEvents": 0, "ExcludeUserInputEvents": 1, "ExcludeSocketNotifiers": 2,
              "WaitForMoreEvents": 4}, "ProcessEventsFlags"),
            (None, _berth.QSocketNotifier, core, "QSocketNotifier", "Type",
             _number("Read Write Exception"), None),
            (None, _berth.QThread, core, "QThread", "Priority",
             _number("IdlePriority LowestPriority LowPriority NormalPriority HighPriority"
                     " HighestPriority TimeCriticalPriority InheritPriority"), None)):
        _install(number, target, make(module, owner, name, members, flags), name)
