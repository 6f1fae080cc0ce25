"""Subclasses: __del__, __new__, a forgotten __init__, metaclasses, mixins, __slots__, weakrefs.

What a class of Python may replace of its base in C.
"""

import abc
import copy
import gc
import pickle
import unittest
import weakref

import _servers
from berth.QtCore import (QByteArray, QCoreApplication, QEventLoop, QObject, QThread, QTimer,
                          Signal)
from berth.QtNetwork import QHostAddress, QTcpServer, QTcpSocket


class Dying(QObject):
    """Tells of its end, and what it was."""

    def __init__(self, seen, parent=None):
        super().__init__(parent, objectName="dying")
        self.destroyed.connect(lambda: seen.append("destroyed"))
        self.seen = seen

    def __del__(self):
        self.seen.append(self.objectName())


class Subclasses(unittest.TestCase):
    def test_del_comes_before_the_end(self):
        seen, kept = [], []
        thing = Dying(seen)
        del thing
        self.assertEqual(seen, ["dying", "destroyed"])
        del seen[:]
        parent = QObject()
        Dying(seen, parent)
        del parent
        self.assertEqual(seen, ["dying", "destroyed"])
        del seen[:]
        thing = Dying(seen)
        thing.own = thing
        del thing
        gc.collect()
        self.assertEqual(seen, ["dying", "destroyed"])
        thing = Dying(seen)
        thing.destroyed.connect(kept.append)  # it is referred to again
        del thing
        with self.assertRaises(RuntimeError):
            kept.pop().objectName()

    def test_copies_are_refused(self):
        class Own(QObject):
            pass

        class Willing(QObject):
            def __reduce__(self):
                return str, ("willing",)
        for thing in (QObject(), QTcpServer(), Own(), Own().destroyed):
            for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
                with self.assertRaises(TypeError):
                    pickle.dumps(thing, protocol)
            with self.assertRaises(TypeError):
                copy.copy(thing)
            self.assertFalse(isinstance(thing, QObject) and thing.children())
        self.assertEqual(copy.copy(Willing()), "willing")

    def test_attributes_that_classes_of_c_lack(self):
        for cls in (QObject, QTcpServer, QTimer, QThread, QByteArray, QHostAddress, Signal):
            for name, value in (("__name__", "Other"), ("__qualname__", "Other"),
                                ("__bases__", (object,))):
                with self.assertRaises(TypeError):
                    setattr(cls, name, value)
                with self.assertRaises(TypeError):
                    delattr(cls, name)

        class Own(QObject):
            pass
        Own.__name__ = Own.__qualname__ = "Other"
        self.assertIn("Other", repr(Own()))

    def test_del_that_keeps_the_object(self):
        class Kept(QObject):
            def __del__(self):
                kept.append(self)
        kept = []
        Kept().setObjectName("kept")
        self.assertEqual(kept[0].objectName(), "kept")

    def test_del_of_every_kind(self):
        def of(kind, work):
            return type("Dying", (kind,), {"__del__": work})()
        server = _servers.listening()
        timer = of(QTimer, QTimer.stop)
        timer.start(1)
        socket = of(QTcpSocket, QTcpSocket.abort)
        socket.connectToHost("127.0.0.1", server.serverPort())
        other = of(QTcpServer, QTcpServer.close)
        other.listen()
        thread = of(QThread, lambda self: (self.quit(), self.wait()))
        thread.start()
        loop = of(QEventLoop, QEventLoop.quit)
        del timer, socket, other, thread, loop
        self.assertTrue(server.isListening())

    def test_del_of_a_mixin(self):
        class Mixin:
            def __del__(self):
                seen.append(self.objectName())

        class Mixed(Mixin, QObject):
            pass
        seen = []
        Mixed().setObjectName("mixed")
        self.assertEqual(seen, ["mixed"])
        Mixin.__del__ = lambda self: seen.append("later")
        Mixed()
        self.assertEqual(seen, ["mixed", "later"])

    def test_a_metaclass(self):
        class Both(type(QObject), abc.ABCMeta):
            pass

        class Base(QObject, metaclass=Both):
            said = Signal(int)

            @abc.abstractmethod
            def work(self):
                """What a subclass does."""

        class Derived(Base):
            def work(self):
                self.said.emit(3)
        seen, derived = [], Derived()
        derived.said.connect(seen.append)
        derived.work()
        self.assertEqual(seen, [3])
        self.assertTrue(all(issubclass(type(kind), type(QObject))
                            for kind in (QTimer, QTcpServer, QTcpSocket, QThread)))

    def test_two_kinds_are_no_class(self):
        for kinds in ((QCoreApplication, QTimer), (QTcpServer, QTcpSocket), (QThread, QTimer)):
            with self.assertRaises(TypeError):
                type("Two", kinds, {})

    def test_an_object_is_initialized_once(self):
        class Single(QObject):
            only = None

            def __new__(cls):
                if cls.only is None:
                    cls.only = super().__new__(cls)
                return cls.only
        Single()
        with self.assertRaises(RuntimeError):
            Single()
        for thing in (QObject(), QTimer(), _servers.app):
            with self.assertRaises(RuntimeError):
                thing.__init__()
        thing = QObject()
        with self.assertRaises(RuntimeError):
            thing.__init__(thing)
        self.assertIsNone(thing.parent())
        with self.assertRaises(TypeError):
            thing = QObject.__new__(QObject)
            thing.__init__(5)
        thing.__init__(objectName="at the second try")

    def test_without_init(self):
        for kind in (QObject, QTimer, QTcpServer, QTcpSocket, QThread, QEventLoop):
            thing = kind.__new__(kind)
            for name in dir(kind):
                if not name.startswith("_"):
                    try:
                        getattr(thing, name)()
                    except Exception:  # pylint: disable=broad-except
                        pass
        with self.assertRaises(TypeError):
            QObject.__new__(QTimer)

    def test_attributes_that_raise(self):
        class Odd(QObject):
            def __getattr__(self, name):
                raise ZeroDivisionError(name)
        odd = Odd()
        with self.assertRaises(ZeroDivisionError):
            odd.nonsense  # pylint: disable=pointless-statement
        with self.assertRaises(ZeroDivisionError):
            Odd(nonsense=1)

        class Anything(QObject):
            def __getattr__(self, name):
                return name
        with self.assertRaises(AttributeError):
            Anything(**{"": 1})

    def test_slots_and_weak_references(self):
        class Slotted(QObject):
            __slots__ = ("own",)
        slotted, seen = Slotted(), []
        slotted.own = slotted
        gone = weakref.ref(slotted, seen.append)
        del slotted
        gc.collect()
        self.assertEqual((gone(), len(seen)), (None, 1))

    def test_special_methods_are_not_asked(self):
        def refuse(self, *_args):
            raise ValueError
        names = ("__eq__", "__bool__", "__len__", "__repr__", "__str__")
        hostile = type("Hostile", (QObject,), {**dict.fromkeys(names, refuse), "__hash__": None})
        parent, seen = hostile(), []
        child = hostile(parent)
        self.assertIs(child.parent(), parent)
        child.destroyed.connect(lambda: seen.append(1))
        child.setParent(None)
        child.setParent(parent)
        self.assertEqual(len(parent.children()), 1)
        del child, parent
        self.assertEqual(seen, [1])


if __name__ == "__main__":
    unittest.main()
