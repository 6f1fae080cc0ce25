"""What destructors find of an object that is being deallocated: nothing that could be kept.

Under the address sanitizer this finds what is referred to again and then freed.
"""

import gc
import sys
import unittest
import weakref

import _servers  # an application
from berth.QtCore import QObject, Qt, QThread, Signal


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


if __name__ == "__main__":
    unittest.main()
