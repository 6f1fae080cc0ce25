"""Objects: parents, deletion, names, properties, and shells of objects that are gone."""

import gc
import unittest
import weakref

import _servers
from berth.QtCore import QObject, QThread, QTimer, Signal


class Objects(unittest.TestCase):
    def test_texts_of_a_wrong_type(self):
        object = QObject()
        for call in (object.setProperty, object.connect, object.disconnect, object.receivers):
            for arguments in ((5,), (object, 5), (object, None, print)):
                with self.assertRaises(TypeError, msg=call.__name__):
                    call(*arguments)

    def test_a_parent_owns_its_children(self):
        parent = QObject()
        child = QObject(parent)
        grandchild = QObject(child, objectName="g")
        self.assertEqual(parent.children(), [child])
        self.assertIs(grandchild.parent(), child)
        self.assertIs(parent.findChild(QObject, "g"), grandchild)
        del parent
        for gone in (child, grandchild):
            with self.assertRaises(RuntimeError):
                gone.objectName()

    def test_a_child_without_other_references_lives_with_its_parent(self):
        parent = QObject()
        QObject(parent).setObjectName("kept")
        gc.collect()
        self.assertEqual(parent.children()[0].objectName(), "kept")

    def test_a_long_chain_ends_without_recursion(self):
        class Ends(QObject):
            count = 0

            def __del__(self):
                Ends.count += 1

        class Refers(QObject):
            def __init__(self, parent=None):
                super().__init__(parent)
                self.above = parent
                if parent is not None:
                    parent.below = self

        length = 100000
        for kind in (QObject, Ends, Refers):
            first = last = kind()
            for _ in range(length):
                last = kind(last)
            last.setObjectName("last")
            self.assertIs(first.findChild(QObject, "last"), last)
            order = []
            last.destroyed.connect(lambda: order.append("last"))
            first.destroyed.connect(lambda: order.append("first"))
            del first
            if kind is Refers:
                last.__dict__.clear()
            del last
            gc.collect()
            self.assertEqual(order, ["first", "last"])
        self.assertEqual(Ends.count, length + 1)

    def test_a_long_chain_moves_to_a_thread(self):
        first = QObject()
        last = first
        for _ in range(100000):
            child = QObject()
            child.setParent(last)
            last = child
        thread = QThread()
        first.moveToThread(thread)
        self.assertIs(last.thread(), thread)
        del first, child
        with self.assertRaises(RuntimeError):
            last.objectName()

    def test_helpers_are_no_children(self):
        holder = QObject()
        holder.startTimer(1000)
        self.assertEqual(holder.children(), [])
        self.assertEqual(holder.findChildren(QObject), [])

    def test_another_parent(self):
        first, second = QObject(), QObject()
        child = QObject(first)
        child.setParent(second)
        self.assertEqual((first.children(), second.children()), ([], [child]))
        child.setParent(None)
        del second
        self.assertEqual(child.objectName(), "")

    def test_nobody_is_below_himself(self):
        parent = QObject()
        child = QObject(parent)
        with self.assertRaises(ValueError):
            parent.setParent(child)

    def test_destroyed_is_emitted_once(self):
        seen = []
        thing = QObject()
        thing.destroyed.connect(lambda: seen.append(1))
        thing.deleteLater()
        thing.deleteLater()
        self.assertEqual(seen, [])
        loop = _servers.QEventLoop()
        QTimer.singleShot(0, loop.quit)
        loop.exec_()
        self.assertEqual(seen, [1])
        with self.assertRaises(RuntimeError):
            thing.setObjectName("x")

    def test_a_shell_refuses_everything(self):
        parent = QObject()
        timer, server = QTimer(parent), _servers.QTcpServer(parent)
        socket = _servers.QTcpSocket(parent)
        del parent
        for gone in (timer, server, socket):
            for name in dir(gone):
                if name.startswith("_"):
                    continue
                try:
                    member = getattr(gone, name)
                except (RuntimeError, AttributeError):
                    continue  # a signal, or what is left out
                for arguments in ((), (1,), (b"x",), ("x", 1)):
                    try:
                        member(*arguments)
                    except Exception:  # pylint: disable=broad-except
                        pass
        with self.assertRaises(RuntimeError):
            socket.readyRead  # pylint: disable=pointless-statement

    def test_init_has_to_be_called(self):
        class Forgetful(QObject):
            def __init__(self):  # pylint: disable=super-init-not-called
                pass
        with self.assertRaisesRegex(RuntimeError, "__init__"):
            Forgetful().objectName()

    def test_keywords_of_a_constructor(self):
        seen = []
        timer = QTimer(interval=5, objectName="t", timeout=lambda: seen.append(1))
        self.assertEqual((timer.interval(), timer.objectName()), (5, "t"))
        timer.start()
        _servers.until(lambda: seen)
        with self.assertRaises(AttributeError):
            QObject(nonsense=1)

    def test_wrong_parents(self):
        for wrong in (1, "x", object()):
            with self.assertRaises(TypeError):
                QObject(wrong)

    def test_properties(self):
        thing = QTimer()
        self.assertTrue(thing.setProperty("interval", 7))
        self.assertEqual(thing.property("interval"), 7)
        self.assertFalse(thing.setProperty("mine", 3))
        self.assertEqual(thing.property("mine"), 3)
        self.assertIsNone(thing.property("nothing"))

    def test_cycles_through_slots_are_collected(self):
        class Chatty(QObject):
            said = Signal()

            def hear(self):
                pass
        thing = Chatty()
        thing.said.connect(lambda: thing.hear())
        thing.said.connect(thing.hear)
        gone = weakref.ref(thing)
        del thing
        gc.collect()
        self.assertIsNone(gone())

    def test_a_timer_at_work_keeps_its_cycle(self):
        def begin():
            timer = QTimer()
            timer.setSingleShot(True)
            timer.timeout.connect(lambda: seen.append(timer.interval()))
            timer.start(10)
            return weakref.ref(timer)
        seen = []
        timer = begin()
        gc.collect()
        self.assertIsNotNone(timer())
        _servers.until(lambda: seen)
        gc.collect()
        self.assertIsNone(timer())


if __name__ == "__main__":
    unittest.main()
