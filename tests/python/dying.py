"""What destructors find of an object that is being deallocated: nothing that could be kept.

Under the address sanitizer this finds what is referred to again and then freed.
"""

import gc
import os
import sys
import unittest
import weakref

import _servers  # an application
from berth.QtCore import QByteArray, QObject, QSocketNotifier, Qt, QThread, QTimer, Signal
from berth.QtNetwork import QHostAddress, QNetworkProxy, QTcpServer, QTcpSocket


class End:
    """Does something when it is deleted."""

    def __init__(self, work):
        self.work = work

    def __del__(self):
        self.work()


class Emitter(QObject):
    said = Signal()
    wide = Signal(*[object] * 16)


class Slotted(QObject):
    """Its slot is dropped by the interpreter before the object is deallocated."""

    __slots__ = ("end",)
    heard = 0

    def __del__(self):
        pass

    def hear(self):
        Slotted.heard += 1


class SlottedThread(QThread):
    __slots__ = ("end",)


class Dying(unittest.TestCase):
    def test_the_thread_of_an_object(self):
        def by_dict(thread, ask):
            thread.end = End(ask)

        def by_reference(thread, ask):
            references.append(weakref.ref(thread, lambda _dead: ask()))
        for kind, prepare in ((QThread, by_dict), (SlottedThread, by_dict),
                              (QThread, by_reference)):
            references, seen, thing, thread = [], [], QObject(), kind()
            thing.moveToThread(thread)
            prepare(thread, lambda: seen.append(thing.thread()))
            del thread
            self.assertEqual(seen, [None])
            self.assertIsNone(thing.thread())

    def test_the_parent_of_an_object(self):
        seen, parent = [], Slotted()
        child = QObject(parent)

        def ask():
            try:
                seen.append(child.parent())
            except RuntimeError:
                seen.append("deleted")
        parent.end = End(ask)
        del parent
        self.assertEqual(seen, ["deleted"])

    def test_the_receiver_of_a_signal(self):
        sender, receiver = Emitter(), Slotted()
        sender.said.connect(receiver.hear)
        receiver.end = End(sender.said.emit)
        sender.said.emit()
        del receiver
        self.assertEqual(Slotted.heard, 1)

    def test_an_object_that_was_kept_by_its_destructor_before(self):
        class Kept(Slotted):
            __slots__ = ()

            def __del__(self):
                kept.append(self)
        kept, seen, parent, sender = [], [], Kept(), Emitter()
        child = QObject(parent)
        sender.said.connect(parent.hear)
        before = Slotted.heard
        parent.end = End(lambda: (seen.append(child.parent()), sender.said.emit()))
        del parent
        self.assertEqual((len(kept), seen), (1, []))
        kept.clear()
        self.assertEqual((seen, Slotted.heard), ([None], before))

    def test_a_destructor_that_a_class_gets_later(self):
        class Base(QObject):
            pass

        class Derived(Base):
            __slots__ = ("end",)
        seen = []
        Base.__del__ = lambda self: seen.append("del")
        self.addCleanup(delattr, Base, "__del__")
        parent = Derived()
        child = QObject(parent)
        child.destroyed.connect(lambda: seen.append("destroyed"))
        parent.end = End(lambda: seen.append("slot"))
        del parent
        self.assertEqual(seen, ["del", "destroyed", "slot"])
        del child

    @unittest.skipIf(sys.version_info >= (3, 12), "the collector does not run in allocations")
    def test_a_receiver_and_its_thread_that_end_while_a_call_is_queued(self):
        arguments = tuple(range(16))
        kept = [tuple(range(place, place + 16)) for place in range(3000)]  # no free ones are left
        self.addCleanup(gc.set_threshold, *gc.get_threshold())
        self.addCleanup(gc.enable)
        for _time in range(20):
            gc.disable()
            sender, receiver, thread = Emitter(), Slotted(), QThread()
            receiver.moveToThread(thread)
            receiver.thread_, thread.receiver = thread, receiver
            sender.wide.connect(receiver.hear, Qt.QueuedConnection)
            emit, gone = sender.wide.emit, weakref.ref(receiver)
            del receiver, thread
            gc.set_threshold(1)
            gc.enable()
            emit(*arguments)
            gc.disable()
            gc.set_threshold(700)
            gc.collect()
            self.assertIsNone(gone())
        del kept


class LastReferences(unittest.TestCase):
    """A slot drops the last reference to what emits its signal, and another slot follows."""

    def dropping(self, kept, name):
        """Connects such slots; returns the list that the second one appends to."""
        seen, signal = [], getattr(kept[0], name)
        signal.connect(lambda *_values: kept.clear())
        signal.connect(lambda *_values: seen.append(name))
        return seen

    def course(self, kept, seen):
        """A connection from its beginning to its end, until the client is dropped."""
        server = _servers.listening()
        kept[0].connectToHost("127.0.0.1", server.serverPort())
        _servers.until(lambda: seen or server.hasPendingConnections())
        taken = server.nextPendingConnection()
        for step in (lambda: kept[0].write(b"hello"), lambda: taken.write(b"hello"),
                     lambda: taken.disconnectFromHost()):
            if kept and taken is not None:
                _servers.until(lambda: seen or kept[0].state() != kept[0].ConnectingState)
            if kept and taken is not None:
                step()
                _servers.settle(3)
        _servers.until(lambda: seen)

    def test_of_a_socket(self):
        for name in ("stateChanged", "hostFound", "connected", "bytesWritten", "readyRead",
                     "channelReadyRead", "channelBytesWritten", "error", "errorOccurred",
                     "readChannelFinished", "aboutToClose", "disconnected"):
            kept = [QTcpSocket()]
            seen = self.dropping(kept, name)
            if name == "aboutToClose":
                kept[0].disconnected.connect(kept[0].close)
            self.course(kept, seen)
            self.assertFalse(kept)

    def test_of_a_socket_that_is_refused(self):
        port = _servers.listening().serverPort()  # which nobody listens on any more
        for name in ("error", "errorOccurred", "stateChanged"):
            kept = [QTcpSocket()]
            seen = self.dropping(kept, name)
            kept[0].errorOccurred.connect(lambda *_values: None)
            kept[0].connectToHost("127.0.0.1", port)
            _servers.until(lambda: seen)
            self.assertFalse(kept)

    def test_of_a_server(self):
        class Odd(QTcpServer):
            def incomingConnection(self, handle):
                os.close(handle)
                kept.clear()
        class Meta(type(QObject)):
            def __getattribute__(cls, name):
                if name == "incomingConnection":
                    kept.clear()
                return super().__getattribute__(name)

        class Looking(QTcpServer, metaclass=Meta):
            pass
        for kind in (QTcpServer, Odd, Looking):
            kept = [_servers.listening(kind)]
            if kind is QTcpServer:
                self.dropping(kept, "newConnection")
            client = QTcpSocket()
            client.connectToHost("127.0.0.1", kept[0].serverPort())
            _servers.until(lambda: not kept)
            _servers.settle(3)

    def test_of_others(self):
        end, other = os.pipe()
        os.write(other, b"x")
        for make, name in ((lambda: QTimer(interval=0), "timeout"), (QThread, "started"),
                           (QThread, "finished"),
                           (lambda: QSocketNotifier(end, QSocketNotifier.Read), "activated")):
            kept = [make()]
            seen = self.dropping(kept, name)
            if hasattr(kept[0], "start"):
                kept[0].start()
            if name == "finished":
                kept[0].quit()
            _servers.until(lambda: seen)
            self.assertFalse(kept)
        os.close(end)
        os.close(other)


class Cycles(unittest.TestCase):
    def test_that_are_collected(self):
        def of_types():
            class Own(QObject):
                pass
            Own.said = Signal(Own)
            return Own

        def of_overloads():
            class Type:
                pass

            class Own(QObject):
                said = Signal((int,), (Type,))
            Type.own = Own
            Own().said.connect(Type)
            return Type

        def of_a_name():
            class Name(str):
                pass
            thing, name = QObject(), Name("name")
            name.thing = thing
            thing.setObjectName(name)
            return thing

        def of_a_proxy():
            socket, proxy = QTcpSocket(), QNetworkProxy(QNetworkProxy.NoProxy)
            socket.setProxy(proxy)
            socket._proxy().own = socket
            return socket

        def of_a_child():
            parent = QObject()
            QObject(parent).own = parent
            return parent

        def of_slots():
            first, second = Emitter(), Emitter()
            first.said.connect(lambda: second)
            second.said.connect(lambda: first)
            return first
        for make in (of_types, of_overloads, of_a_name, of_a_proxy, of_a_child, of_slots):
            made = weakref.ref(make())
            gc.collect()
            self.assertIsNone(made(), make.__name__)

    def test_what_is_dropped(self):
        if not sys.getallocatedblocks():
            self.skipTest("the interpreter does not count what is allocated")
        sender, blocks = Emitter(), sys.getallocatedblocks
        server = _servers.listening()
        client, _taken = _servers.connected(server)
        client.bytesWritten.connect(lambda _bytes: None)

        def work():
            client.write(bytes(300))
            client.flush()
            QByteArray(bytes(100))[1:50]  # pylint: disable=expression-not-assigned
            sender.said.connect(lambda: None)
            sender.said.emit()
            sender.said.disconnect()
            QTcpSocket().setProxy(QNetworkProxy(QNetworkProxy.HttpProxy, "h", 1, "u", "p"))
            type("Own", (QObject,), {"said": Signal(int)})().said.connect(print)
            QTimer().start(10)
            QThread().isRunning()
            QHostAddress("192.0.2.1").toString()
        for _time in range(3):
            work()
        gc.collect()
        before = blocks()
        for _time in range(200):
            work()
        gc.collect()
        self.assertLess(blocks() - before, 150)


if __name__ == "__main__":
    unittest.main()
