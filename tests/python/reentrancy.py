"""Hostile objects: slots, comparisons, conversions and destructors that change what calls them.

Under the address sanitizer this finds whatever is used after they have freed it.
"""

import contextlib
import gc
import io
import unittest

import _servers
from berth.QtCore import (QByteArray, QCoreApplication, QEvent, QObject, QSocketNotifier, Qt,
                          QThread, QTimer, Signal)
from berth.QtNetwork import QHostAddress, QTcpServer, QTcpSocket


class Emitter(QObject):
    said = Signal(int)
    other = Signal()


class Slot:
    """A slot that does something when it is called, compared or deleted."""

    def __init__(self, call=None, compare=None, end=None):
        self.call, self.compare, self.end = call, compare, end

    def __call__(self, *_args):
        if self.call:
            self.call()

    def __eq__(self, other):
        if self.compare:
            self.compare()
        return self is other

    __hash__ = object.__hash__

    def __del__(self):
        if self.end:
            self.end()


class Number:
    """A number that does something when it is asked for."""

    def __init__(self, work, number=1):
        self.work, self.number = work, number

    def __index__(self):
        self.work()
        return self.number

    __int__ = __index__

    def __float__(self):
        return float(self.__index__())

    def __bool__(self):
        return bool(self.__index__())


def gone(thing):
    """Destroys an object without a parent, whoever refers to it."""
    parent = QObject()
    thing.setParent(parent)


def quietly(function, *args):
    """Calls it; what it raises, and what slots print, does not matter."""
    with contextlib.redirect_stderr(io.StringIO()), contextlib.suppress(Exception):
        function(*args)


class Signals(unittest.TestCase):
    def setUp(self):
        self.sender = Emitter()

    def works(self):
        """A new object after the old one: the lists of the old one are freed."""
        seen = []
        self.sender = Emitter()
        gc.collect()
        self.sender.said.connect(seen.append)
        self.sender.said.emit(4)
        self.assertEqual(seen, [4])

    def test_a_destructor_that_emits(self):
        sender = self.sender
        for _slot in range(5):
            sender.said.connect(Slot(end=lambda: sender.said.emit(1)))
        sender.said.disconnect()
        self.assertEqual(sender.said.receivers(), 0)
        sender.said.connect(Slot(end=lambda: sender.said.disconnect()))
        sender.said.connect(Slot(end=lambda: sender.said.connect(Slot())))
        sender.said.disconnect()
        self.assertEqual(sender.said.receivers(), 1)
        self.works()

    def test_a_destructor_that_destroys_the_sender(self):
        sender = self.sender
        for _slot in range(3):
            sender.said.connect(Slot(end=lambda: gone(sender)))
        quietly(sender.said.disconnect)
        self.works()

    def test_destructors_at_the_end_of_the_sender_and_of_the_receiver(self):
        receiver, sender = Emitter(), self.sender
        sent, received = sender.said, receiver.said
        sent.connect(received)
        sent.connect(Slot(end=lambda: quietly(received.emit, 1)))
        sender.other.connect(Slot(end=lambda: quietly(sent.connect, Slot())))
        received.connect(Slot(end=lambda: quietly(sent.disconnect)))
        gone(receiver)
        gone(sender)
        self.works()

    def test_a_comparison_that_changes_the_list(self):
        sender, said = self.sender, self.sender.said
        changes = (said.disconnect, lambda: said.connect(Slot()), gc.collect,
                   lambda: said.emit(1), lambda: gone(sender))
        for change in changes:
            for _slot in range(3):
                said.connect(Slot(compare=lambda: quietly(change)))
            quietly(said.disconnect, Slot())
            quietly(said.connect, Slot(), Qt.UniqueConnection)
        self.works()

    def test_a_slot_that_destroys_everything(self):
        sender, receiver = self.sender, Emitter()
        sender.said.connect(Slot(call=sender.said.disconnect, end=lambda: sender.said.emit(2)))
        sender.said.connect(Slot(call=lambda: gone(receiver)))
        sender.said.connect(receiver.said)
        sender.said.connect(Slot(call=lambda: gone(sender)))
        sender.said.connect(Slot(call=gc.collect))
        sender.said.emit(1)
        self.works()

    def test_queued_calls_of_what_is_gone(self):
        sender, receiver, seen = self.sender, Emitter(), []
        sender.said.connect(receiver.said, Qt.QueuedConnection)
        receiver.said.connect(seen.append)
        sender.said.connect(Slot(end=lambda: seen.append("end")), Qt.QueuedConnection)
        sender.said.emit(1)
        gone(receiver)
        gone(sender)
        _servers.settle()
        self.assertEqual(seen, ["end"])

    def test_values_that_destroy_the_sender(self):
        class Typed(QObject):
            number, real, truth = Signal(int), Signal(float), Signal(bool)
        for name in ("number", "real", "truth"):
            sender = Typed()
            signal = getattr(sender, name)
            signal.connect(lambda _value: None)
            value = Number(lambda: gone(sender))
            with self.assertRaises(RuntimeError):
                signal.emit(value)
        with self.assertRaises(ZeroDivisionError):
            self.sender.said.emit(Number(lambda: 1 / 0))
        with self.assertRaises(ZeroDivisionError):
            self.sender.said.connect(Slot(), Number(lambda: 1 / 0))

    def test_a_type_that_cannot_be_compared(self):
        class Meta(type):
            def __eq__(cls, other):
                raise ZeroDivisionError

            __hash__ = type.__hash__

        class Odd(metaclass=Meta):
            pass

        class Having(QObject):
            odd = Signal((Odd,), (int,))
        with self.assertRaises(ZeroDivisionError):
            Having().odd[int]  # pylint: disable=expression-not-assigned

    def test_signals_in_a_circle(self):
        sender, other = self.sender, Emitter()
        sender.said.connect(other.said)
        other.said.connect(sender.said)
        quietly(sender.said.emit, 1)  # RecursionError is printed
        self.works()

    def test_names_of_signals(self):
        self.assertEqual(str(Signal(int, name="named")), "named(int)")
        for wrong in (5, b"x", None):
            with self.assertRaises(TypeError):
                Signal(int, name=wrong)

    def test_a_signal_is_the_same_and_keeps_no_cycle(self):
        sender = self.sender
        self.assertIs(sender.said, sender.said)
        self.assertIsNot(sender.said, sender.other)
        self.assertIsNot(sender.said, Emitter().said)
        ended = []
        sender.destroyed.connect(lambda: ended.append(1))
        sender.own = sender.said
        del sender, self.sender
        gc.collect()
        self.assertEqual(ended, [1])


class Natives(unittest.TestCase):
    def again(self, thing, name, *args):
        """Lets a slot of destroyed use the object again."""
        errors = []

        def use():
            try:
                getattr(thing, name)(*args)
            except RuntimeError as error:
                errors.append(error)
        thing.destroyed.connect(use)
        gone(thing)
        self.assertEqual(len(errors), 1)

    def test_no_native_is_made_again_inside_destroyed(self):
        port = _servers.listening().serverPort()
        for thing, name, *args in (
                (QTimer(), "start", 0), (QTcpServer(), "listen"), (QThread(), "start"),
                (_servers.listening(), "listen"), (QTcpSocket(), "bind"),
                (QTcpSocket(), "connectToHost", "127.0.0.1", port),
                (QTcpServer(), "setMaxPendingConnections", 3), (QTcpServer(), "pauseAccepting")):
            self.again(thing, name, *args)
        _servers.settle()

    def test_last_signals_of_a_socket(self):
        server, seen = _servers.listening(), []
        for name in ("aboutToClose", "stateChanged", "disconnected", "readChannelFinished"):
            client, _taken = _servers.connected(server)

            def use(*_args, client=client):
                for call in (lambda: client.connectToHost("127.0.0.1", server.serverPort()),
                             client.abort, client.close, client.readAll, lambda: client.write(b"x"),
                             lambda: client.setParent(None), client.deleteLater):
                    try:
                        call()
                    except RuntimeError:
                        seen.append(name)
            getattr(client, name).connect(use)
            gone(client)
        self.assertEqual(len(seen), 4 * 7)

    def test_slots_of_a_dying_receiver_are_not_called(self):
        class Client(QTcpSocket):
            def gone(self):
                seen.append(self)
        server, seen, client = _servers.listening(), [], Client()
        client.connectToHost(QHostAddress.LocalHost, server.serverPort())
        self.assertTrue(client.waitForConnected(10000))
        client.disconnected.connect(client.gone)
        client.disconnected.connect(lambda: seen.append("told"))
        gone(client)
        self.assertEqual(seen, ["told"])


class Adding(QTcpServer):
    """Adds sockets of its own to the queue."""

    def incomingConnection(self, handle):
        socket = QTcpSocket()
        socket.setSocketDescriptor(handle)
        self.__dict__.setdefault("made", []).append(socket)
        self.addPendingConnection(socket)


class Pending(unittest.TestCase):
    def prepared(self, count=3):
        """A server with pending connections, and the clients."""
        server, clients = _servers.listening(Adding), []
        for _client in range(count):
            client = QTcpSocket()
            client.connectToHost(QHostAddress.LocalHost, server.serverPort())
            clients.append(client)
        _servers.until(lambda: len(server.__dict__.get("made", ())) == count)
        return server, clients

    def test_slots_of_pending_sockets_that_change_the_queue(self):
        changes = (lambda server: server.close(), gone, lambda server: server.moveToThread(QThread()),
                   lambda server: server.nextPendingConnection(), lambda server: server.listen(),
                   lambda server: server.addPendingConnection(QTcpSocket()))
        for change in changes:
            for end in (gone, QTcpServer.close, lambda server: gone(server.made[1])):
                server, clients = self.prepared()
                for socket in server.made:
                    for signal in (socket.aboutToClose, socket.disconnected, socket.destroyed):
                        signal.connect(lambda *_args: quietly(change, server))
                end(server)
                clients.clear()
        gc.collect()

    def test_a_socket_that_was_added_twice(self):
        server, _clients = self.prepared(1)
        socket, other = server.nextPendingConnection(), QTcpServer()
        self.assertIs(socket, server.made[0])
        server.addPendingConnection(socket)
        other.addPendingConnection(socket)
        self.assertIs(server.nextPendingConnection(), socket)
        gone(server)
        self.assertEqual(socket.state(), QTcpSocket.ConnectedState)

    def test_a_class_that_ends_the_server_when_it_is_asked(self):
        class Meta(type(QObject)):
            def __getattribute__(cls, name):
                if name == "incomingConnection" and servers:
                    gone(servers.pop())
                return super().__getattribute__(name)

        class Odd(QTcpServer, metaclass=Meta):
            pass
        servers = []
        server, client = _servers.listening(Odd), QTcpSocket()
        client.connectToHost(QHostAddress.LocalHost, server.serverPort())
        servers.append(server)
        _servers.until(lambda: not servers)
        with self.assertRaises(RuntimeError):
            server.isListening()

    def test_constructors_whose_slots_end_the_object(self):
        for make in (QTimer, QTcpServer, QTcpSocket, QThread,
                     lambda **names: QSocketNotifier(0, QSocketNotifier.Read, **names)):
            def end(*_args):
                things = [one for one in gc.get_objects() if isinstance(one, QObject)
                          and "named" in repr(one)]
                for one in things:
                    gone(one)
            quietly(lambda: make(objectNameChanged=end, objectName="named"))
        _servers.settle()


class Key:
    """A key of an object's dictionary that does something when it is compared."""

    def __init__(self, name, work):
        self.name, self.work = name, work

    def __hash__(self):
        return hash(self.name)

    def __eq__(self, other):
        self.work()
        return False


class Servers(unittest.TestCase):
    def test_a_look_for_the_override_that_listens(self):
        server, listening = QTcpServer(), []

        def listen():
            if not listening:
                listening.append(server)
                server.listen(QHostAddress.LocalHost)
        server.__dict__[Key("incomingConnection", listen)] = 1
        server.listen(QHostAddress.LocalHost)
        self.assertEqual(len(listening), 1)
        port = server.serverPort()
        self.assertTrue(port)
        del server, listening[:]
        gc.collect()
        client = QTcpSocket()
        client.connectToHost(QHostAddress.LocalHost, port)
        self.assertFalse(client.waitForConnected(5000))
        _servers.settle()

    def test_a_look_for_the_override_that_ends_the_server(self):
        server = QTcpServer()
        server.__dict__[Key("incomingConnection", lambda: gone(server))] = 1
        with self.assertRaises(RuntimeError):
            server.listen(QHostAddress.LocalHost)

    def test_sockets_that_a_server_cannot_deliver(self):
        class Odd(QTcpServer):
            @property
            def _socket_class(self):
                return make

        def destroyed():
            made = QTcpSocket()
            gone(made)
            return made

        def moved():
            made = QTcpSocket()
            made.moveToThread(thread)
            return made

        def ends():
            gone(servers.pop())
            return QTcpSocket()
        used, thread = QTcpSocket(), QThread()
        for make in (lambda: used, lambda: QTcpSocket.__new__(QTcpSocket), destroyed, moved,
                     QObject, ends):
            servers = [_servers.listening(Odd)]
            server, clients = servers[0], [QTcpSocket(), QTcpSocket()]
            for client in clients:
                client.connectToHost(QHostAddress.LocalHost, server.serverPort())
            _servers.until(lambda: all(client.state() == QTcpSocket.ConnectedState
                                       for client in clients))
            _servers.until(server.hasPendingConnections)
            for _socket in clients:
                quietly(server.nextPendingConnection)
            used.setParent(None)
            for client in clients:
                client.write(b"hello")
            _servers.settle(3)
            quietly(gone, server)
            _servers.settle(3)
        _servers.until(lambda: used.bytesAvailable() == 5)


class Everywhere(unittest.TestCase):
    """In each signal of a connection, each thing that a slot may do to what emits it."""

    DEEDS = {
        "destroy": gone, "collect": lambda _thing: gc.collect(),
        "close": lambda thing: thing.close(), "abort": lambda thing: thing.abort(),
        "disconnect": lambda thing: thing.disconnected.disconnect(),
        "turn": lambda _thing: _servers.settle(2), "move": lambda thing: thing.moveToThread(QThread()),
        "listen": lambda thing: thing.listen(), "next": lambda thing: thing.nextPendingConnection(),
        "connect": lambda thing: thing.connectToHost(QHostAddress.LocalHost, 1),
        "write": lambda thing: thing.write(QByteArray(b"x" * 100)),
        "wait": lambda thing: thing.waitForDisconnected(1), "read": lambda thing: thing.readAll(),
        "adopt": lambda thing: thing.setSocketDescriptor(-1),
    }
    OF_CLIENT = ("stateChanged", "connected", "hostFound", "readyRead", "bytesWritten", "error",
                 "aboutToClose", "readChannelFinished", "disconnected", "destroyed",
                 "channelReadyRead", "channelBytesWritten")

    @staticmethod
    def doing(deed, thing):
        """A slot that does it, but a few times only: some deeds emit the signal again."""
        done = []

        def slot(*_args):
            done.append(1)
            if len(done) < 5:
                quietly(deed, thing)
        return slot

    def course(self, prepare):
        """A connection from its beginning to its end, with slots that prepare() connects."""
        server, client = QTcpServer(), QTcpSocket()
        prepare(server, client)

        def serve():
            server.listen(QHostAddress.LocalHost)
            client.connectToHost(QHostAddress.LocalHost, server.serverPort())
            _servers.settle(3)
            server.waitForNewConnection(0)
            taken = server.nextPendingConnection()
            client.write(b"hello")
            if taken is not None:
                taken.write(b"hello")
            _servers.settle(3)
            if taken is not None:
                taken.disconnectFromHost()
            client.waitForReadyRead(20)
            client.waitForDisconnected(20)
            client.connectToHost(QHostAddress.LocalHost, 1)
            client.waitForConnected(20)
        quietly(serve)

    def test_deeds_in_signals_of_a_socket(self):
        for deed in self.DEEDS.values():
            for name in self.OF_CLIENT:
                self.course(lambda _server, client: getattr(client, name).connect(
                    self.doing(deed, client)))

    def test_deeds_in_the_last_signals_of_a_taken_socket(self):
        server, gone_now = _servers.listening(), []
        for deed in (*self.DEEDS.values(), lambda thing: thing.setParent(None),
                     lambda thing: thing.deleteLater()):
            for name in ("aboutToClose", "stateChanged", "readChannelFinished", "disconnected"):
                _client, taken = _servers.connected(server)
                getattr(taken, name).connect(self.doing(deed, taken))
                taken.destroyed.connect(lambda: gone_now.append(1))
                gone_now.clear()
                taken.deleteLater()
                QCoreApplication.sendPostedEvents(None, QEvent.DeferredDelete)
                self.assertEqual(gone_now, [1])

    def test_deeds_in_signals_of_a_server(self):
        for deed in self.DEEDS.values():
            self.course(lambda server, _client: server.newConnection.connect(
                self.doing(deed, server)))

    def test_deeds_in_signals_of_a_timer(self):
        for deed in (gone, QTimer.stop, QTimer.start, lambda timer: timer.setInterval(1),
                     lambda timer: timer.moveToThread(QThread()), lambda timer: gc.collect(),
                     lambda timer: timer.timeout.disconnect(), lambda _timer: _servers.settle(2)):
            for interval in (0, 1):
                timer, fired = QTimer(interval=interval), []
                timer.timeout.connect(lambda: (fired.append(1), quietly(deed, timer)))
                timer.start()
                _servers.until(lambda: fired)
                quietly(timer.stop)


class Values(unittest.TestCase):
    def test_arguments_that_end_the_object(self):
        socket, server, timer = QTcpSocket(), QTcpServer(), QTimer()
        for thing, call in (
                (socket, lambda end: socket.bind(QHostAddress.LocalHost, end)),
                (server, lambda end: server.listen(QHostAddress.LocalHost, end)),
                (timer, lambda end: timer.start(end))):
            with self.assertRaises(RuntimeError):
                call(Number(lambda: gone(thing), 0))
        for name, *rest in (("connectToHost", "127.0.0.1"), ("read",), ("peek",), ("skip",),
                            ("readLine",), ("setReadBufferSize",), ("waitForReadyRead",),
                            ("setSocketDescriptor",), ("setSocketOption", 0)):
            socket = QTcpSocket()
            quietly(getattr(socket, name), *rest, Number(lambda: gone(socket), 1))

    def test_an_index_that_changes_the_array(self):
        array = QByteArray(b"x" * 100000)
        part = array[Number(lambda: array.clear(), 0):Number(array.clear, 9)]
        self.assertEqual((part, array), (b"x" * 9, b""))
        array = QByteArray(b"abc")
        quietly(array.__setitem__, Number(array.clear, 1), b"y")
        quietly(lambda: array[Number(array.clear, 1)])


if __name__ == "__main__":
    unittest.main()
