"""QLocalServer and QLocalSocket: Unix sockets, over a QTcpServer or QTcpSocket inside.

The library's servers and sockets are the same objects for Unix sockets as for TCP; what has Qt's names for
them is a child of the object here, hidden from children(). Its signals are passed on with the numbers
and texts that QLocalSocket has for states and errors.

    connectToServer -> ConnectingState -> ConnectedState -> ClosingState -> UnconnectedState

A name that is not a path is a file in QDir.tempPath(). Connecting is done when connectToServer()
returns, unless the backlog of the server is full. When a connect fails the error comes first, then
UnconnectedState.

A server removes its file when it closes. Any file in the place is AddressInUseError: removeServer()
removes what a process has left behind.
"""

import os
import tempfile

from . import _berth, _enums
from ._berth import QAbstractSocket, QIODevice, QObject, QTcpServer, QTcpSocket, Signal

_MODULE = "berth.QtNetwork"
_STATES = {"UnconnectedState": 0, "ConnectingState": 2, "ConnectedState": 3, "ClosingState": 6}
_ERRORS = {"ConnectionRefusedError": 0, "PeerClosedError": 1, "ServerNotFoundError": 2,
           "SocketAccessError": 3, "SocketResourceError": 4, "SocketTimeoutError": 5,
           "DatagramTooLargeError": 6, "ConnectionError": 7, "UnsupportedSocketOperationError": 10,
           "OperationError": 19, "UnknownSocketError": -1}
_TEXTS = {0: "Connection refused", 1: "Remote closed", 2: "Invalid name", 3: "Socket access error",
          4: "Socket resource error", 5: "Socket operation timed out", 6: "Datagram too large",
          7: "Connection error", 10: "The socket operation is not supported",
          19: "Operation not permitted when socket is in this state"}
_OF_LISTEN = {8: "Address in use", 3: "Permission denied", 2: "Name error"}


def _path(name):
    """The file of a server."""
    return name if name.startswith("/") else os.path.join(tempfile.gettempdir(), name)


class QLocalSocket(QIODevice):
    """QLocalSocket(parent=None): a connection over a Unix socket"""

    locals().update(_enums.make(_MODULE, "QLocalSocket", "LocalSocketState", _STATES))
    locals().update(_enums.make(_MODULE, "QLocalSocket", "LocalSocketError", _ERRORS))

    connected, disconnected = Signal(), Signal()
    stateChanged, errorOccurred = Signal(object), Signal(object)
    error = Signal(object)._with(lambda self: QLocalSocket.LocalSocketError(self._number))

    def __init__(self, parent=None, **more):
        self._inner = None
        super().__init__(parent, **more)
        inner = self._inner = _berth.hide(QTcpSocket(self))
        self._now, self._name, self._full = 0, "", ""
        self._number, self._text = -1, "Unknown error"
        self._connecting = self._opened = False
        inner.stateChanged.connect(self._on_state)
        inner.errorOccurred.connect(self._on_error)
        inner.connected.connect(self._on_connected)
        for signal in ("disconnected", "readyRead", "bytesWritten", "aboutToClose",
                       "readChannelFinished", "channelReadyRead", "channelBytesWritten"):
            getattr(inner, signal).connect(getattr(self, signal))

    # ---- states and errors ----

    def _change(self, state):
        if state != self._now:
            self._now = state
            self.stateChanged.emit(QLocalSocket.LocalSocketState(state))

    def _fail(self, number, where="QLocalSocket"):
        if number not in _TEXTS:
            number = -1
        self._number, self._text = number, f"{where}: {_TEXTS.get(number, 'Unknown error')}"
        number = QLocalSocket.LocalSocketError(number)
        self.error.emit(number)
        self.errorOccurred.emit(number)

    def _on_state(self, state):
        state = int(state)
        if state == 0 and self._connecting:
            return  # the error is announced first
        if state == 0:
            self._name = self._full = ""
        if state in (0, 3, 6):
            self._change(state)

    def _on_error(self, number):
        number = int(number)
        if not self._connecting:
            self._fail(number)
            return
        if int(self._inner.state()) != 0:
            return  # a time-out of a wait, after which it goes on
        self._connecting = False
        invalid = int(QAbstractSocket.SocketAddressNotAvailableError)  # too long, for example
        self._fail(2 if number == invalid else number, "QLocalSocket::connectToServer")
        self._name = self._full = ""
        self._change(0)

    def _on_connected(self):
        self._connecting, self._opened = False, True
        self._change(3)
        self.connected.emit()

    def state(self):
        """The state."""
        return QLocalSocket.LocalSocketState(self._now)

    def errorString(self):
        return self._text

    def setErrorString(self, text):
        self._text = text

    # ---- connecting ----

    def connectToServer(self, name=None, mode=3):
        """connectToServer(name, mode=ReadWrite), or connectToServer(mode=...) after setServerName()"""
        if isinstance(name, int):
            name, mode = None, name
        if self._now != 0:
            self._fail(19, "QLocalSocket::connectToserver")
            return
        name = self._name if name is None else name
        self._change(2)
        if not name:
            self._fail(2, "QLocalSocket::connectToServer")
            self._change(0)
            return
        self._name, self._full, self._connecting = name, _path(name), True
        _berth.connect_local(self._inner, self._full, int(mode))
        if self._connecting:
            self._inner.waitForConnected(0)

    def open(self, mode=3):
        """The same as connectToServer(mode); whether it is connected."""
        self.connectToServer(mode)
        return self._now == 3

    def setServerName(self, name):
        """Sets the name for connectToServer()."""
        if self._now == 0:
            self._name = name

    def serverName(self):
        """The name of the server."""
        return self._name

    def fullServerName(self):
        """The path of the server."""
        return self._full

    def setSocketDescriptor(self, descriptor, state=None, mode=3):
        """Adopts a descriptor that is connected."""
        if state is not None and int(state) != 3:
            raise NotImplementedError("QLocalSocket.setSocketDescriptor takes a connected one only")
        if not self._inner.setSocketDescriptor(int(descriptor), QAbstractSocket.ConnectedState,
                                               int(mode)):
            self._number, self._text = -1, "QLocalSocket: Unknown error"
            return False
        self._opened = True
        self._change(3)
        return True

    def socketDescriptor(self):
        """The descriptor, or -1."""
        return self._inner.socketDescriptor()

    def isValid(self):
        """Whether there is a connection."""
        return self._inner.isValid()

    # ---- the end ----

    def disconnectFromServer(self):
        """Closes the connection when the output is sent."""
        self._connecting = False
        self._inner.disconnectFromHost()

    def close(self):
        """Like disconnectFromServer(), and drops the input."""
        self._connecting = False
        self._inner.close()
        self._opened = False
        self._name = self._full = ""

    def abort(self):
        """Closes the connection at once."""
        self._connecting = False
        self._inner.abort()
        self._opened = False

    # ---- the device ----

    def isSequential(self):
        return True

    def openMode(self):
        mode = int(self._inner.openMode()) if self._opened else 0
        return QIODevice.OpenMode(mode | QIODevice.Unbuffered if mode else 0)

    def isOpen(self):
        return self.openMode() != 0

    def isReadable(self):
        return bool(self.openMode() & QIODevice.ReadOnly)

    def isWritable(self):
        return bool(self.openMode() & QIODevice.WriteOnly)

    def setReadBufferSize(self, size):
        """Limits the input that is buffered; 0 for no limit."""
        self._inner.setReadBufferSize(size)

    # ---- waits ----

    def waitForConnected(self, msecs=30000):
        """Whether it is connected before the time is over."""
        if self._now == 2:
            self._inner.waitForConnected(msecs)
        return self._now == 3

    def waitForDisconnected(self, msecs=30000):
        """Whether the connection ends before the time is over."""
        return self._now != 0 and self._waited(self._inner.waitForDisconnected(msecs))

    def waitForReadyRead(self, msecs=30000):
        """Whether input comes before the time is over."""
        return self._now != 0 and self._waited(self._inner.waitForReadyRead(msecs))

    def waitForBytesWritten(self, msecs=30000):
        """Whether output is sent before the time is over."""
        return self._now != 0 and self._waited(self._inner.waitForBytesWritten(msecs))

    def _waited(self, result):
        if not result and self._now == 3 and self._inner.error() == _TIMEOUT \
                and self._number != int(_TIMEOUT):
            self._fail(int(_TIMEOUT))
        return result


_TIMEOUT = QAbstractSocket.SocketTimeoutError


def _pass_on(name):
    method = getattr(QTcpSocket, name)

    def call(self, *args):
        return method(self._inner, *args)
    call.__name__, call.__qualname__ = name, "QLocalSocket." + name
    call.__doc__ = method.__doc__
    return call


for _name in ("read", "readAll", "readLine", "peek", "skip", "write", "flush", "bytesAvailable",
              "bytesToWrite", "canReadLine", "atEnd", "size",
              "getChar", "putChar", "ungetChar", "startTransaction", "commitTransaction",
              "rollbackTransaction", "isTransactionStarted", "readBufferSize"):
    setattr(QLocalSocket, _name, _pass_on(_name))


class _Listener(QTcpServer):
    """The server inside."""

    def incomingConnection(self, descriptor):
        self.parent()._incoming(descriptor)


class QLocalServer(QObject):
    """QLocalServer(parent=None): listens on a Unix socket"""

    locals().update(_enums.make(_MODULE, "QLocalServer", "SocketOption",
                                {"NoOptions": 0, "UserAccessOption": 1, "GroupAccessOption": 2,
                                 "OtherAccessOption": 4, "WorldAccessOption": 7}, "SocketOptions"))

    newConnection = Signal()

    def __init__(self, parent=None, **more):
        self._inner = None
        super().__init__(parent, **more)
        self._inner = _berth.hide(_Listener(self))
        self._pending, self._limit, self._name = [], 30, ""
        self._options = QLocalServer.NoOptions
        self._number, self._text = QAbstractSocket.UnknownSocketError, ""

    def listen(self, name):
        """listen(name or descriptor): whether it listens"""
        if self._inner.isListening():
            return False
        if isinstance(name, int):
            return self._inner.setSocketDescriptor(name)
        if not name:
            return self._fail(2)
        bits = int(self._options)
        permissions = 0o700 * (bits & 1) | 0o070 * (bits >> 1 & 1) | 0o007 * (bits >> 2 & 1)
        if not _berth.listen_local(self._inner, _path(name), permissions):
            number = int(self._inner.serverError())
            return self._fail(2 if number in (9, 10) else number)
        self._name = name
        self._set_error(-1, "")
        return True

    def _set_error(self, number, text):
        self._number, self._text = QAbstractSocket.SocketError(number), text

    def _fail(self, number):
        text = _OF_LISTEN.get(number) or self._inner.errorString()
        self._set_error(number, f"QLocalServer::listen: {text}")
        return False

    def close(self):
        """Stops listening, and removes the file."""
        pending, self._pending, self._name = self._pending, [], ""
        self._inner.close()
        self._inner.resumeAccepting()
        for socket in pending:
            socket.abort()
            socket.deleteLater()

    @staticmethod
    def removeServer(name):
        """Removes the file of a server that has crashed."""
        try:
            os.unlink(_path(name))
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True

    # ---- connections ----

    def _incoming(self, descriptor):
        # As in Qt, which looks before it adds: the queue takes two more than its limit.
        full = len(self._pending) > self._limit
        self.incomingConnection(descriptor)
        if full and len(self._pending) > self._limit:
            self._inner.pauseAccepting()

    def _resume(self):
        """Accepts again, if there is room."""
        if len(self._pending) <= self._limit:
            self._inner.resumeAccepting()

    def incomingConnection(self, descriptor):
        """Called for each accepted connection; may be overridden."""
        socket = QLocalSocket(self)
        socket.setSocketDescriptor(descriptor)
        self._pending.append(socket)
        self.newConnection.emit()

    def hasPendingConnections(self):
        """Whether there is one."""
        return bool(self._pending)

    def nextPendingConnection(self):
        """The oldest, a child of the server, or None."""
        if not self._pending:
            return None
        socket = self._pending.pop(0)
        self._resume()
        return socket

    def maxPendingConnections(self):
        """The limit."""
        return self._limit

    def setMaxPendingConnections(self, limit):
        """Sets how many connections may wait to be taken."""
        self._limit = limit
        self._resume()

    def waitForNewConnection(self, msecs=0):
        """(whether there is a connection, whether the time is over)"""
        if not self._inner.isListening():
            return False, False
        if self._pending:
            return True, False
        self._inner.resumeAccepting()  # a limit below 0 has paused it
        _came, timed_out = self._inner.waitForNewConnection(msecs)
        return bool(self._pending), timed_out and not self._pending

    # ---- values ----

    def isListening(self):
        """Whether it listens."""
        return self._inner.isListening()

    def serverName(self):
        """The name that it listens on."""
        return self._name

    def fullServerName(self):
        """The path that it listens on."""
        return _berth.local_path(self._inner)

    def socketDescriptor(self):
        """The descriptor, or -1."""
        return self._inner.socketDescriptor()

    def socketOptions(self):
        """Who may connect."""
        return self._options

    def setSocketOptions(self, options):
        """Sets who may connect."""
        self._options = QLocalServer.SocketOption(int(options))

    def serverError(self):
        """The last error."""
        return self._number

    def errorString(self):
        """The last error, in words."""
        return self._text


for _class in (QLocalSocket, QLocalServer):
    _class.__module__ = _MODULE
