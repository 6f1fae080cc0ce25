"""The classes of QtNetwork that are written in Python, and the less used methods of the others."""

from . import _berth, _enums
from ._berth import QByteArray, QHostAddress, QTcpServer

MODULE = "berth.QtNetwork"

_CAPABILITIES = {"TunnelingCapability": 1, "ListeningCapability": 2, "UdpTunnelingCapability": 4,
                 "CachingCapability": 8, "HostNameLookupCapability": 16,
                 "SctpTunnelingCapability": 32, "SctpListeningCapability": 64}

# What a proxy of each type can do, as Qt has it.
_OF_TYPE = {0: 1 | 2 | 4 | 32 | 64, 1: 1 | 2 | 4 | 16, 2: 1 | 2 | 4 | 32 | 64, 3: 1 | 8 | 16,
            4: 8 | 16, 5: 8 | 16}


class QNetworkProxy:
    """QNetworkProxy(type=DefaultProxy, hostName="", port=0, user="", password="")"""

    locals().update(_enums.make(MODULE, "QNetworkProxy", "ProxyType",
                                {"DefaultProxy": 0, "Socks5Proxy": 1, "NoProxy": 2, "HttpProxy": 3,
                                 "HttpCachingProxy": 4, "FtpCachingProxy": 5}))
    locals().update(_enums.make(MODULE, "QNetworkProxy", "Capability", _CAPABILITIES,
                                "Capabilities"))

    _application = None

    def __init__(self, type=None, hostName="", port=0, user="", password=""):
        if isinstance(type, QNetworkProxy):
            self.__dict__.update(type.__dict__)
            return
        if type is None:
            type = QNetworkProxy.DefaultProxy
        self._capabilities, self._headers = None, {}
        self.setType(type)
        self.setHostName(hostName)
        self.setPort(port)
        self.setUser(user)
        self.setPassword(password)

    def type(self):
        """The type of the proxy."""
        return self._type

    def setType(self, type):
        """Sets the type, and its capabilities unless they were set."""
        if not isinstance(type, QNetworkProxy.ProxyType):
            raise TypeError("a QNetworkProxy.ProxyType is required")
        self._type = type

    def capabilities(self):
        """The capabilities."""
        if self._capabilities is not None:
            return self._capabilities
        return QNetworkProxy.Capability(_OF_TYPE[int(self._type)])

    def setCapabilities(self, capabilities):
        """Sets the capabilities."""
        self._capabilities = QNetworkProxy.Capability(int(capabilities))

    def isCachingProxy(self):
        """Whether it is a caching proxy."""
        return bool(self.capabilities() & QNetworkProxy.CachingCapability)

    def isTransparentProxy(self):
        """Whether it is a transparent proxy."""
        return bool(self.capabilities() & QNetworkProxy.TunnelingCapability)

    def setPort(self, port):
        """Sets the port, 0 to 65535."""
        if not isinstance(port, int):
            raise TypeError("a port must be an int")
        if not 0 <= port <= 65535:
            raise OverflowError("a port must be from 0 to 65535")
        self._port = port

    def port(self):
        """The port."""
        return self._port

    def _values(self):
        return (self._type, self._hostName, self._port, self._user, self._password,
                self.capabilities())

    def __eq__(self, other):
        if not isinstance(other, QNetworkProxy):
            return NotImplemented
        return self._values() == other._values()

    __hash__ = None

    def __copy__(self):
        return QNetworkProxy(self)

    def setRawHeader(self, name, value):
        """Stores a header; an empty value removes it. Headers are not sent."""
        self._headers = {**self._headers, bytes(name): bytes(value)}
        if not value:
            del self._headers[bytes(name)]

    def rawHeader(self, name):
        """The value of a header that was set."""
        return QByteArray(self._headers.get(bytes(name), b""))

    def hasRawHeader(self, name):
        """Whether that header is set."""
        return bytes(name) in self._headers

    def rawHeaderList(self):
        """The names of all headers that are set."""
        return [QByteArray(name) for name in self._headers]

    def swap(self, other):
        """Swaps two proxies."""
        self.__dict__, other.__dict__ = other.__dict__, self.__dict__

    def __repr__(self):
        return f"<berth.QtNetwork.{self._type.name} \"{self._hostName}:{self._port}\">"

    @staticmethod
    def applicationProxy():
        """The proxy of the application; NoProxy if none is set."""
        return QNetworkProxy(QNetworkProxy._application
                             or QNetworkProxy(QNetworkProxy.NoProxy))

    @staticmethod
    def setApplicationProxy(proxy):
        """Sets the proxy of the application; DefaultProxy for none."""
        direct = (QNetworkProxy.DefaultProxy, QNetworkProxy.NoProxy)
        _berth.set_application_proxy(*_passed(proxy))
        QNetworkProxy._application = None if proxy.type() in direct else QNetworkProxy(proxy)


def _passed(proxy):
    """A proxy as the functions in C take it."""
    if not isinstance(proxy, QNetworkProxy):
        raise TypeError(f"a QNetworkProxy is required, not {type(proxy).__name__}")
    return (QNetworkProxy(proxy), int(proxy.type()), proxy.hostName(), proxy.port(), proxy.user(),
            proxy.password())


def _text_members(name):
    field = "_" + name

    def get(self):
        return getattr(self, field)

    def put(self, value):
        if not isinstance(value, str):
            raise TypeError(f"{name} must be a str, not {type(value).__name__}")
        setattr(self, field, value)
    setattr(QNetworkProxy, name, get)
    setattr(QNetworkProxy, "set" + name[0].upper() + name[1:], put)


for _name in ("hostName", "user", "password"):
    _text_members(_name)


# ---- proxies of servers and sockets ----

def _proxy(self):
    """The proxy that was set, or DefaultProxy."""
    return QNetworkProxy(self._proxy() or QNetworkProxy())


def _set_proxy(self, proxy):
    """Sets the proxy for the next listen() or connectToHost()."""
    self._set_proxy(*_passed(proxy))


def _set_tag(self, tag):
    self.__dict__["_protocol_tag"] = tag


def _ask(self, *tried):
    """Asks for the credentials of a proxy, seldom: the proxy to try next, or None."""
    from . import _authenticator
    proxy = self.proxy()
    if proxy.type() == QNetworkProxy.DefaultProxy:
        proxy = QNetworkProxy.applicationProxy()
    if tried:
        _authenticator.fill(proxy, *tried)
    return _passed(proxy) if _authenticator.ask(self, proxy) else None


SOCKET_MEMBERS = {
    "_ask": _ask,
    "_own_proxy": lambda self: _passed(self.proxy()),
    "socketType": lambda self: self.TcpSocket,
    "pauseMode": lambda self: self.PauseNever,
    "protocolTag": lambda self: self.__dict__.get("_protocol_tag", ""),
    "setProtocolTag": _set_tag,
    "setErrorString": lambda self, text: self._set_error(int(self.error()), text),
}


# ---- QHostAddress ----

def _is_in_subnet(self, subnet, prefix=None):
    """isInSubnet(address, prefix) or isInSubnet((address, prefix)) -> bool"""
    address, length = subnet if prefix is None else (subnet, prefix)
    if self.isNull() or address.isNull() or self.protocol() != address.protocol() or length < 0:
        return False
    bits = 32 if self.protocol() == 0 else 128
    mine, other = _number(self, bits), _number(address, bits)
    shift = max(bits - length, 0)
    return mine >> shift == other >> shift


def _number(address, bits):
    return address.toIPv4Address() if bits == 32 else int.from_bytes(address.toIPv6Address(), "big")


def _swap_addresses(self, other):
    """Exchanges two addresses."""
    mine = QHostAddress(self)
    self.setAddress(other)
    other.setAddress(mine)


def _reduce_address(self):
    """Any of both families has no text of its own."""
    both = self == QHostAddress.Any
    return QHostAddress, (QHostAddress.Any if both else self.toString(),)


ADDRESS_MEMBERS = {
    "isInSubnet": _is_in_subnet,
    "parseSubnet": staticmethod(lambda text: _berth.parse_subnet(text)),
    "clear": lambda self: self.setAddress(QHostAddress.Null),
    "swap": _swap_addresses,
    "__copy__": lambda self: QHostAddress(self),
    "__reduce__": _reduce_address,
}


# ---- interfaces ----

class QNetworkAddressEntry:
    """An address of an interface, with its netmask."""

    def __init__(self, address=None, netmask=None):
        self._address = address or QHostAddress()
        self._netmask = netmask or QHostAddress()

    def ip(self):
        """The address."""
        return self._address

    def netmask(self):
        """The netmask."""
        return self._netmask

    def prefixLength(self):
        """Number of leading bits of the netmask; -1 without one."""
        if self._netmask.isNull():
            return -1
        bits = 32 if self._netmask.protocol() == 0 else 128
        return bin(_number(self._netmask, bits)).count("1")


class QNetworkInterface:
    """An interface of this host."""

    locals().update(_enums.make(MODULE, "QNetworkInterface", "InterfaceFlag",
                                {"IsUp": 1, "IsRunning": 2, "CanBroadcast": 4, "IsLoopBack": 8,
                                 "IsPointToPoint": 16, "CanMulticast": 32}, "InterfaceFlags"))

    # The system's flags by Qt's.
    _SYSTEM = ((1, 0x1), (2, 0x40), (4, 0x2), (8, 0x8), (16, 0x10), (32, 0x1000))

    def __init__(self, name="", flags=0, entries=()):
        self._name, self._entries = name, list(entries)
        self._flags = QNetworkInterface.InterfaceFlag(
            sum(ours for ours, system in self._SYSTEM if flags & system))

    def name(self):
        """As "eth0"."""
        return self._name

    humanReadableName = name

    def isValid(self):
        """Whether there is such an interface."""
        return bool(self._name)

    def flags(self):
        """What it is and can do."""
        return self._flags

    def addressEntries(self):
        """Its addresses."""
        return list(self._entries)

    @staticmethod
    def allInterfaces():
        """The interfaces that have an address."""
        found = {}
        for name, address, netmask, flags in _berth.interface_addresses():
            found.setdefault(name, (flags, []))[1].append(QNetworkAddressEntry(address, netmask))
        return [QNetworkInterface(name, *rest) for name, rest in found.items()]

    @staticmethod
    def allAddresses():
        """All addresses of this host."""
        return [entry.ip() for interface in QNetworkInterface.allInterfaces()
                for entry in interface.addressEntries()]

    @staticmethod
    def interfaceFromName(name):
        """The interface of that name; one that is not valid if there is none."""
        return next((one for one in QNetworkInterface.allInterfaces() if one.name() == name),
                    QNetworkInterface())


def install():
    """Adds the methods written here to the classes written in C."""
    _berth.install(QHostAddress, ADDRESS_MEMBERS)
    for cls in (QTcpServer, _berth.QAbstractSocket):
        _berth.install(cls, {"proxy": _proxy, "setProxy": _set_proxy})
    _berth.install(_berth.QAbstractSocket, SOCKET_MEMBERS)
    for cls in (QNetworkProxy, QNetworkInterface, QNetworkAddressEntry):
        cls.__module__ = MODULE

