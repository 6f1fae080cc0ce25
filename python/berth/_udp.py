"""QUdpSocket and QNetworkDatagram: datagrams over a socket of Python's own, watched by the loop.

    bind -> BoundState -> connectToHost -> ConnectedState; close, abort: UnconnectedState

A QUdpSocket is a QAbstractSocket, but not one of the library's sockets: every method that would need
one is written here. writeDatagram() on a socket that is not bound binds it, to any address.

readyRead is emitted once for what has come; the next time after something was read. So the notifier is
disabled when it fires, and enabled by reading. A wait emits readyRead only for what has come for this
socket. Errors have Qt's numbers and texts.

Left out: proxies (datagrams never go through one), and what QAbstractSocket has for streams only.
"""

import contextlib
import errno
import math
import socket
import struct
import time

from . import _berth, _waits
from ._berth import QAbstractSocket, QByteArray, QHostAddress, QIODevice, QSocketNotifier
from ._network import QNetworkInterface

_S = QAbstractSocket
_LATER = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EINTR)
_MOST = 65536  # bytes of a datagram

# The error and the text for what the kernel says to a bind or to a send.
_OF_BIND = {
    errno.EADDRINUSE: (_S.AddressInUseError, "The bound address is already in use"),
    errno.EACCES: (_S.SocketAccessError, "The address is protected"),
    errno.EADDRNOTAVAIL: (_S.SocketAddressNotAvailableError, "The address is not available"),
    errno.EINVAL: (_S.UnsupportedSocketOperationError, "Operation on socket is not supported"),
    errno.EMFILE: (_S.SocketResourceError, "Out of resources"),
    errno.ENFILE: (_S.SocketResourceError, "Out of resources"),
}
_OF_SEND = {
    errno.EMSGSIZE: (_S.DatagramTooLargeError, "Datagram was too large to send"),
    errno.EACCES: (_S.SocketAccessError, "Permission denied"),
    errno.ECONNREFUSED: (_S.ConnectionRefusedError, "Connection refused"),
    errno.EAGAIN: (_S.TemporaryError, "Unable to send a message"),
}
_NO_SEND = (_S.NetworkError, "Unable to send a message")

# By Qt's numbers: the options of IPv4 and of IPv6.
_OPTIONS = {
    1: ((socket.SOL_SOCKET, socket.SO_KEEPALIVE),) * 2,
    2: ((socket.IPPROTO_IP, socket.IP_MULTICAST_TTL),
        (socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS)),
    3: ((socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP),
        (socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP)),
    4: ((socket.IPPROTO_IP, socket.IP_TOS), None),
    5: ((socket.SOL_SOCKET, socket.SO_SNDBUF),) * 2,
    6: ((socket.SOL_SOCKET, socket.SO_RCVBUF),) * 2,
}
_FAMILIES = (socket.AF_INET, socket.AF_INET6)
_IP_PKTINFO, _IP_RECVTTL = 8, 12  # of Linux; not in Python's module before 3.11


def _address(value):
    if isinstance(value, QHostAddress):
        return value
    if isinstance(value, QHostAddress.SpecialAddress):
        return QHostAddress(value)
    raise TypeError(f"an address must be a QHostAddress, not {type(value).__name__}")


def _bytes(value):
    if isinstance(value, (bytes, bytearray, memoryview, QByteArray)):
        return bytes(value)
    raise TypeError(f"a datagram must be a QByteArray or bytes, not {type(value).__name__}")


def _number(value):
    """What an option is set to, as a QVariant is converted to an int."""
    if isinstance(value, float) and math.isfinite(value):
        value = math.floor(value + 0.5)
    elif not isinstance(value, int):
        try:
            value = int(value) if isinstance(value, str) else 0
        except ValueError:
            value = 0
    return (value + 2**31) % 2**32 - 2**31


def _is_ipv4(address):
    return address.protocol() == _S.IPv4Protocol


class QNetworkDatagram:
    """QNetworkDatagram(data=b"", address=QHostAddress(), port=0): a datagram and where it goes."""

    def __init__(self, data=b"", address=None, port=None):
        if isinstance(data, QNetworkDatagram):
            self.__dict__.update(data.__dict__)
            return
        self._data = _bytes(data)
        self._sender, self._sender_port = QHostAddress(), -1
        self._destination = QHostAddress() if address is None else _address(address)
        self._destination_port = -1 if address is None else port or 0
        self._hops, self._interface = -1, 0

    def clear(self):
        """Makes it empty."""
        self.__init__()

    def data(self):
        """What it carries."""
        return QByteArray(self._data)

    def setData(self, data):
        """Sets what it carries."""
        self._data = _bytes(data)

    def isNull(self):
        """Whether nothing was set."""
        return self._sender.isNull() and self._destination.isNull() and self._interface == 0

    def isValid(self):
        """Whether it was received, or can be sent."""
        return not self._sender.isNull() or not self._destination.isNull()

    def senderAddress(self):
        """Where it came from."""
        return QHostAddress(self._sender)

    def senderPort(self):
        """The port that it came from; -1 if that is not known."""
        return self._sender_port

    def setSender(self, address, port=0):
        """Sets the address that it is sent from."""
        self._sender, self._sender_port = _address(address), port

    def destinationAddress(self):
        """Where it goes, or went."""
        return QHostAddress(self._destination)

    def destinationPort(self):
        """The port that it goes to; -1 if that is not known."""
        return self._destination_port

    def setDestination(self, address, port):
        """Sets where it goes."""
        self._destination, self._destination_port = _address(address), port

    def hopLimit(self):
        """How many routers it may still pass; -1 if that is not known."""
        return self._hops

    def setHopLimit(self, count):
        """Limits the routers that it may pass; -1 for the system's limit."""
        self._hops = count

    def interfaceIndex(self):
        """The interface; 0 for any."""
        return self._interface

    def setInterfaceIndex(self, index):
        """Sets the interface."""
        self._interface = index

    def makeReply(self, payload):
        """A datagram for the sender, from the address to which this one went."""
        reply = QNetworkDatagram(payload, self._sender, self._sender_port)
        if not self._destination.isMulticast():
            reply._sender, reply._sender_port = self._destination, self._destination_port
        reply._interface = self._interface
        return reply

    def swap(self, other):
        """Swaps two datagrams."""
        self.__dict__, other.__dict__ = other.__dict__, self.__dict__


class _Socket(socket.socket):
    """A socket that is closed when nobody has it any more."""

    def __del__(self):
        _close(self)


def _close(made):
    """Closes a socket, if the program has not closed its descriptor and the socket was made."""
    with contextlib.suppress(OSError, AttributeError):
        made.close()


class _Closing:
    """Closes what is in a list."""

    def __init__(self, opened):
        self._opened = opened

    def __call__(self, *_args):
        for one in self._opened:
            _close(one)


class QUdpSocket(QAbstractSocket):
    """QUdpSocket(parent=None): sends and receives datagrams"""

    def __init__(self, parent=None, **more):
        super().__init__(_S.UdpSocket, parent, **more)
        self._descriptor = self._notifier = self._lookup = None
        self._place, self._port = QHostAddress(), 0
        self._peer, self._peer_port, self._name = QHostAddress(), 0, ""
        self._now, self._mode = _S.UnconnectedState, 0
        self._interface = None
        self._ahead = b""  # what a device that buffers has read of a datagram
        self._open = []  # what is closed when this is destroyed
        self.destroyed.connect(_Closing(self._open))

    # ---- states and errors ----

    def _change(self, state):
        if state != self._now:
            self._now = state
            self.stateChanged.emit(state)

    def _fail(self, failure, told=True):
        number, text = failure
        self._set_error(int(number), text)
        if told:
            self.error.emit(number)
            self.errorOccurred.emit(number)

    def state(self):
        return self._now

    def socketType(self):
        """UdpSocket."""
        return _S.UdpSocket

    def isValid(self):
        return self._descriptor is not None

    def socketDescriptor(self):
        return self._descriptor.fileno() if self._descriptor is not None else -1

    def isOpen(self):
        return self._mode != 0

    def openMode(self):
        return QIODevice.OpenMode(self._mode)

    def isReadable(self):
        return bool(self._mode & 1)

    def isWritable(self):
        return bool(self._mode & 2)

    def open(self, mode):
        """Opens it as a device, which reading and writing without addresses needs."""
        self._mode = int(mode)
        return True

    def localAddress(self):
        return QHostAddress(self._place)

    def localPort(self):
        return self._port

    def peerAddress(self):
        return QHostAddress(self._peer)

    def peerPort(self):
        return self._peer_port

    def peerName(self):
        return self._name

    # ---- the descriptor ----

    def _take(self, made):
        """Makes a descriptor the socket's own."""
        made.setblocking(False)
        self._descriptor = made
        self._open[:] = [made]
        for level, option in ((socket.SOL_SOCKET, socket.SO_BROADCAST),
                              (socket.IPPROTO_IP, _IP_PKTINFO), (socket.IPPROTO_IP, _IP_RECVTTL),
                              (socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO),
                              (socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT)):
            try:
                made.setsockopt(level, option, 1)
            except OSError:
                pass  # of the other family
        self._notifier = _berth.hide(QSocketNotifier(made.fileno(), QSocketNotifier.Read, self))
        self._notifier.activated.connect(self._ready)

    def _refresh(self):
        """Where it is bound, as the kernel says."""
        host, self._port = self._descriptor.getsockname()[:2]
        if host != "::" or self._place.isNull():
            self._place = QHostAddress(QHostAddress.Any if host == "::" else host)

    def _ready(self, _descriptor=None):
        if self._notifier is None:
            return
        try:
            self._descriptor.recv_into(bytearray(1), 1, socket.MSG_PEEK)
        except OSError as failure:
            if failure.errno in _LATER:
                return  # it was read between the kernel's answer and this call
        self._notifier.setEnabled(False)
        self.readyRead.emit()

    def _again(self):
        if self._notifier is not None:
            self._notifier.setEnabled(True)

    def _make(self, address):
        if not _is_ipv4(address) and socket.has_ipv6:
            try:
                made = _Socket(socket.AF_INET6, socket.SOCK_DGRAM)
                made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY,
                                address.protocol() == _S.IPv6Protocol)
                return made
            except OSError:
                if address.protocol() == _S.IPv6Protocol:
                    raise
        return _Socket(socket.AF_INET, socket.SOCK_DGRAM)

    def bind(self, address=QHostAddress.Any, port=0, mode=0):
        """bind(address=Any, port=0, mode=DefaultForPlatform), or bind(port=0, mode=...)"""
        if type(address) is int:
            address, port, mode = QHostAddress.Any, address, port
        address = _address(address)
        if not 0 <= port <= 65535:
            raise OverflowError("a port must be from 0 to 65535")
        if self._now != _S.UnconnectedState or self._descriptor is not None:
            return False
        made = None
        try:
            made = self._make(address)
            if int(mode) & (_S.ShareAddress | _S.ReuseAddressHint):
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            host = address.toString()
            if address.protocol() == _S.AnyIPProtocol:
                host = "::" if made.family == socket.AF_INET6 else "0.0.0.0"
            made.bind((host, port))
        except OSError as failure:
            if made is not None:
                made.close()
            self._fail(_OF_BIND.get(failure.errno, (_S.UnknownSocketError, "Unknown error")), False)
            return False
        self._place = QHostAddress(address)
        self._take(made)
        self._refresh()
        self._change(_S.BoundState)
        return True

    def setSocketDescriptor(self, descriptor, state=None, mode=3):
        """Adopts a descriptor of a datagram socket, in BoundState or ConnectedState."""
        try:
            made = _Socket(fileno=descriptor)
        except (OSError, ValueError):
            made = None
        if made is None or made.type != socket.SOCK_DGRAM or made.family not in _FAMILIES \
                or descriptor == self.socketDescriptor():
            if made is not None:
                made.detach()
            self._fail((_S.UnsupportedSocketOperationError, "Invalid socket descriptor"), False)
            return False
        self._drop()
        self._take(made)
        self._refresh()
        self._mode = int(mode)
        try:
            self._peer, self._peer_port = _named(made.getpeername())
        except OSError:
            pass  # it has none
        self._change(_S.ConnectedState if state is None else state)
        return True

    def setSocketOption(self, option, value):
        """Sets an option: KeepAlive, the two for multicasts, TypeOfService, the sizes of buffers."""
        place = self._option(option)
        if place is not None:
            with contextlib.suppress(OSError):  # a value that the system refuses changes nothing
                self._descriptor.setsockopt(*place, _number(value))

    def socketOption(self, option):
        """The value of an option, or None."""
        place = self._option(option)
        return self._descriptor.getsockopt(*place) if place is not None else None

    def _option(self, option):
        """The system's level and name of an option, or None."""
        if self._descriptor is None or int(option) not in _OPTIONS:
            return None
        return _OPTIONS[int(option)][self._descriptor.family == socket.AF_INET6]

    def setReadBufferSize(self, size):
        """No effect: a datagram is read whole."""

    def readBufferSize(self):
        return 0

    # ---- reading ----

    def _size(self):
        """Bytes of the next datagram, or -1."""
        if self._descriptor is None:
            return -1
        try:
            return self._descriptor.recv_into(bytearray(1), 1, socket.MSG_PEEK | socket.MSG_TRUNC)
        except OSError:
            return -1

    def hasPendingDatagrams(self):
        """Whether one can be read."""
        return self._size() >= 0

    def pendingDatagramSize(self):
        """Bytes of the next one; -1 if there is none."""
        return self._size()

    def bytesAvailable(self):
        return len(self._ahead) + max(self._size(), 0)

    size = bytesAvailable

    def bytesToWrite(self):
        return 0

    def atEnd(self):
        return self.bytesAvailable() == 0

    def canReadLine(self):
        return False

    def flush(self):
        return False

    def _receive(self, size):
        """(data, address, ancillary data) of the next datagram, or None with the error set."""
        if self._descriptor is None:
            return None
        try:
            data, extra, _flags, address = self._descriptor.recvmsg(size, 256)
        except OSError as failure:
            self._again()
            if failure.errno == errno.ECONNREFUSED:
                self._fail((_S.ConnectionRefusedError, "Connection refused"))
            elif failure.errno in _LATER:
                self._fail((_S.TemporaryError, "No datagram available for reading"))
            else:
                self._fail((_S.NetworkError, "Unable to receive a message"))
            return None
        self._again()
        return data, address, extra

    def readDatagram(self, maxlen):
        """(data, address, port) of the next datagram, of which the rest is lost."""
        if maxlen < 0:
            raise ValueError("maxlen must not be negative")
        found = self._receive(maxlen)
        if found is None:
            return QByteArray(), QHostAddress(), 0
        return (QByteArray(found[0]), *_named(found[1]))

    def receiveDatagram(self, maxSize=-1):
        """The next datagram as a QNetworkDatagram, which is not valid if there is none."""
        found = self._receive(_MOST if maxSize < 0 else maxSize)
        if found is None:
            return QNetworkDatagram()
        datagram = QNetworkDatagram(found[0])
        datagram._sender, datagram._sender_port = _named(found[1])
        datagram._destination, datagram._destination_port = QHostAddress(self._place), self._port
        for level, kind, value in found[2]:
            if level == socket.IPPROTO_IP and kind == _IP_PKTINFO:
                datagram._interface = struct.unpack_from("i", value)[0]
                datagram._destination = QHostAddress(socket.inet_ntop(socket.AF_INET, value[8:12]))
            elif level == socket.IPPROTO_IPV6 and kind == socket.IPV6_PKTINFO:
                text = socket.inet_ntop(socket.AF_INET6, value[:16])
                datagram._destination = QHostAddress(text)
                datagram._interface = struct.unpack_from("i", value, 16)[0]
            elif kind in (socket.IP_TTL, socket.IPV6_HOPLIMIT):
                datagram._hops = struct.unpack_from("i", value)[0]
        return datagram

    def _fill(self, size):
        """Reads a datagram ahead for a device that buffers, if it has fewer bytes than that."""
        if len(self._ahead) < size and self.isReadable() and self.hasPendingDatagrams():
            found = self._receive(_MOST)
            self._ahead += found[0] if found else b""

    def read(self, size):
        if not self._mode & QIODevice.Unbuffered:
            self._fill(size)
            data, self._ahead = self._ahead[:size], self._ahead[size:]
            return QByteArray(data)
        found = self._receive(size) if self.isReadable() and self.hasPendingDatagrams() else None
        return QByteArray(found[0] if found else b"")

    def readAll(self):
        return QByteArray(self.read(_MOST) or b"")

    def readLine(self, size=0):
        return QByteArray(self.read(size or _MOST) or b"")

    def peek(self, size):
        if not self._mode & QIODevice.Unbuffered:
            self._fill(size)
            return QByteArray(self._ahead[:size])
        if not self.isReadable() or not self.hasPendingDatagrams():
            return QByteArray()
        return QByteArray(self._descriptor.recv(size, socket.MSG_PEEK))

    def skip(self, size):
        return len(self.read(size) or b"") if self.isReadable() else -1

    # ---- writing ----

    def writeDatagram(self, data, address=None, port=None):
        """writeDatagram(data, address, port) or writeDatagram(datagram): the bytes sent, or -1"""
        hops = -1
        if isinstance(data, QNetworkDatagram):
            address, port, hops = data._destination, data._destination_port, data._hops
            data = data._data
        elif address is None or port is None:
            raise TypeError("writeDatagram() takes data, an address and a port")
        data, address = _bytes(data), _address(address)
        if not 0 <= port <= 65535:
            raise OverflowError("a port must be from 0 to 65535")
        if self._descriptor is None and not self.bind():
            return -1
        host = address.toString()
        if self._descriptor.family == socket.AF_INET6 and _is_ipv4(address):
            host = "::ffff:" + host
        elif self._descriptor.family == socket.AF_INET6 and host == "0.0.0.0":
            host = "::"  # QHostAddress.Any has the text of IPv4
        return self._send(data, lambda: self._sendto(data, host, port, hops))

    def _sendto(self, data, host, port, hops):
        if hops < 0:
            return self._descriptor.sendto(data, (host, port))
        level, kind = ((socket.IPPROTO_IPV6, socket.IPV6_HOPLIMIT)
                       if self._descriptor.family == socket.AF_INET6
                       else (socket.IPPROTO_IP, socket.IP_TTL))
        return self._descriptor.sendmsg([data], [(level, kind, struct.pack("i", hops))], 0,
                                        (host, port))

    def _send(self, data, call):
        try:
            sent = call()
        except (OSError, ValueError) as failure:
            self._fail(_OF_SEND.get(getattr(failure, "errno", None), _NO_SEND))
            return -1
        if self._port == 0:
            self._refresh()
        self.bytesWritten.emit(sent)
        return sent

    def write(self, data):
        data = _bytes(data)
        if not self.isWritable() or self._now != _S.ConnectedState:
            return -1
        return self._send(data, lambda: self._descriptor.send(data))

    # ---- connecting ----

    def connectToHost(self, host, port, mode=3, protocol=2):
        """Sets the peer: write() sends to it, and only its datagrams arrive."""
        if self._now not in (_S.UnconnectedState, _S.BoundState):
            self._fail((_S.OperationError, "Trying to connect while connection is in progress"))
            return
        self._mode, self._peer_port = int(mode) | QIODevice.Unbuffered, port
        text = host if isinstance(host, str) else _address(host).toString()
        self._name = text
        self._change(_S.HostLookupState)
        if not QHostAddress(text).isNull():
            self._found([text])
            return
        from ._lookup import Lookup
        self._lookup = Lookup(self, text)
        self._lookup.done.connect(self._found)
        self._lookup.start()

    def _found(self, addresses):
        if self._now != _S.HostLookupState:
            return
        if not addresses:
            self._change(_S.UnconnectedState)
            self._fail((_S.HostNotFoundError, "Host not found"))
            return
        self._change(_S.ConnectingState)
        self.hostFound.emit()
        address = QHostAddress(addresses[0])
        try:
            if self._descriptor is None:
                self._take(self._make(address))
            host = addresses[0]
            if self._descriptor.family == socket.AF_INET6 and _is_ipv4(address):
                host = "::ffff:" + host
            self._descriptor.connect((host, self._peer_port))
        except OSError as failure:
            self._end()
            self._fail(_OF_SEND.get(failure.errno, (_S.NetworkError, "Network unreachable")))
            return
        self._place = QHostAddress()
        self._refresh()
        self._peer = address
        self._change(_S.ConnectedState)
        self.connected.emit()

    def _end(self):
        """Gives the descriptor up."""
        self._drop()
        self._change(_S.UnconnectedState)

    def _drop(self):
        notifier, self._notifier = self._notifier, None
        made, self._descriptor = self._descriptor, None
        self._place, self._port = QHostAddress(), 0
        self._peer, self._peer_port, self._name = QHostAddress(), 0, ""
        self._interface, self._ahead = None, b""
        if notifier is not None:
            notifier.setEnabled(False)
            notifier.setParent(None)
        if made is not None:
            _close(made)

    def disconnectFromHost(self):
        """Forgets the peer, and gives the address up."""
        if self._now == _S.UnconnectedState:
            return
        connected = self._now == _S.ConnectedState
        self._change(_S.ClosingState)
        self._end()
        if connected:
            self.disconnected.emit()

    def close(self):
        """Gives the address up."""
        if self._mode:
            self.aboutToClose.emit()
        self._mode = 0
        self.disconnectFromHost()

    abort = close

    # ---- waits ----

    def waitForConnected(self, msecs=30000):
        """Whether it is connected before the time is over."""
        end = time.monotonic() + msecs / 1000
        while self._now == _S.HostLookupState and (msecs < 0 or time.monotonic() < end):
            self._lookup.wait(end - time.monotonic() if msecs >= 0 else None)
        return self._now == _S.ConnectedState

    def waitForReadyRead(self, msecs=30000):
        """Whether a datagram comes before the time is over."""
        if self._descriptor is None:
            return False
        if not _waits.ready([self._descriptor], milliseconds=msecs if msecs >= 0 else None):
            self._fail((_S.SocketTimeoutError, "Network operation timed out"))
            return False
        self._ready()
        return True

    def waitForBytesWritten(self, msecs=30000):
        """False, with a time-out: datagrams do not wait to be sent."""
        if self._descriptor is not None:
            self._fail((_S.SocketTimeoutError, "Network operation timed out"))
        return False

    def waitForDisconnected(self, msecs=30000):
        """Whether it is not connected."""
        return self._now == _S.UnconnectedState

    # ---- multicasts ----

    def _group(self, join, address, interface):
        if self._descriptor is None or self._now != _S.BoundState:
            return False
        ipv6 = self._descriptor.family == socket.AF_INET6
        if ipv6 and _is_ipv4(address):
            return False  # as Qt, on Linux too
        index = _index(interface or self._interface)
        try:
            if not ipv6:
                value = socket.inet_aton(address.toString()) + struct.pack("=4si", b"", index)
                option = socket.IP_ADD_MEMBERSHIP if join else socket.IP_DROP_MEMBERSHIP
                self._descriptor.setsockopt(socket.IPPROTO_IP, option, value)
            else:
                text = address.toString().partition("%")[0]
                value = socket.inet_pton(socket.AF_INET6, text) + struct.pack("@i", index)
                option = socket.IPV6_JOIN_GROUP if join else socket.IPV6_LEAVE_GROUP
                self._descriptor.setsockopt(socket.IPPROTO_IPV6, option, value)
        except OSError:
            self._fail((_S.UnknownSocketError, "Unknown error"), False)
            return False
        return True

    def joinMulticastGroup(self, groupAddress, iface=None):
        """Whether datagrams to that group are received from now on."""
        return self._group(True, _address(groupAddress), iface)

    def leaveMulticastGroup(self, groupAddress, iface=None):
        """Leaves a group."""
        return self._group(False, _address(groupAddress), iface)

    def multicastInterface(self):
        """The interface that datagrams to groups are sent on."""
        return self._interface or QNetworkInterface()

    def setMulticastInterface(self, iface):
        """Sets the interface that datagrams to groups are sent on, of a socket that is bound."""
        if self._descriptor is None or self._now != _S.BoundState:
            return
        index = _index(iface)
        self._interface = iface if index else None
        if self._descriptor.family == socket.AF_INET6:
            self._descriptor.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        else:
            value = struct.pack("=4s4si", b"", b"", index)
            self._descriptor.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, value)


def _index(interface):
    try:
        return socket.if_nametoindex(interface.name()) if interface is not None else 0
    except OSError:
        return 0


def _named(address):
    """A system's address as a QHostAddress and a port."""
    host, port = address[:2]
    return QHostAddress(host), port


for _class in (QUdpSocket, QNetworkDatagram):
    _class.__module__ = "berth.QtNetwork"
