"""Signals: connecting, disconnecting, arguments, order, senders, and slots that raise."""

import contextlib
import functools
import io
import unittest

import _servers
from berth.QtCore import SIGNAL, SLOT, QObject, Qt, Signal


class Emitter(QObject):
    plain = Signal()
    number = Signal(int)
    pair = Signal(str, int)
    either = Signal((int,), (str,))
    anything = Signal(object)


class Listener(QObject):
    def __init__(self):
        super().__init__()
        self.seen = []

    def one(self, value):
        self.seen.append(value)

    def none(self):
        self.seen.append(self.sender())


class Signals(unittest.TestCase):
    def setUp(self):
        self.emitter, self.listener, self.seen = Emitter(), Listener(), []

    def test_slots_are_called_in_order(self):
        for place in range(3):
            self.emitter.plain.connect(functools.partial(self.seen.append, place))
        self.emitter.plain.emit()
        self.assertEqual(self.seen, [0, 1, 2])

    def test_slots_get_as_many_arguments_as_they_take(self):
        self.emitter.pair.connect(lambda: self.seen.append(()))
        self.emitter.pair.connect(lambda a: self.seen.append((a,)))
        self.emitter.pair.connect(lambda a, b, c=3: self.seen.append((a, b, c)))
        self.emitter.pair.connect(lambda *all: self.seen.append(all))
        self.emitter.pair.emit("x", 1)
        self.assertEqual(self.seen, [(), ("x",), ("x", 1, 3), ("x", 1)])

    def test_arguments_are_turned_into_their_types(self):
        self.emitter.number.connect(self.seen.append)
        for value in (1, 1.7, True, "x", None):
            self.emitter.number.emit(value)
        self.assertEqual(self.seen, [1, 1, 1, 0, 0])

    def test_the_number_of_arguments_has_to_be_right(self):
        for arguments in ((), (1, 2)):
            with self.assertRaises(TypeError):
                self.emitter.number.emit(*arguments)

    def test_overloads(self):
        self.emitter.either.connect(self.seen.append)
        self.emitter.either[str].connect(self.seen.append)
        self.emitter.either.emit(1)
        self.emitter.either[str].emit("x")
        self.assertEqual(self.seen, [1, "x"])
        with self.assertRaises(IndexError):
            self.emitter.either[float]  # pylint: disable=expression-not-assigned

    def test_disconnecting(self):
        slot = self.seen.append
        self.emitter.number.connect(slot)
        self.emitter.number.connect(self.listener.one)
        self.emitter.number.disconnect(slot)
        self.emitter.number.emit(1)
        self.assertEqual((self.seen, self.listener.seen), ([], [1]))
        self.emitter.number.disconnect()
        with self.assertRaises(RuntimeError):
            self.emitter.number.disconnect()
        with self.assertRaises(RuntimeError):
            self.emitter.number.disconnect(slot)

    def test_disconnecting_inside_a_slot(self):
        def first():
            self.seen.append("first")
            self.emitter.plain.disconnect(second)
            self.emitter.plain.connect(lambda: self.seen.append("third"))

        def second():
            self.seen.append("second")
        self.emitter.plain.connect(first)
        self.emitter.plain.connect(second)
        self.emitter.plain.emit()
        self.assertEqual(self.seen, ["first"])

    def test_a_receiver_that_is_gone_is_not_called(self):
        self.emitter.number.connect(self.listener.one)
        del self.listener
        self.emitter.number.emit(1)
        self.assertEqual(self.emitter.number.receivers(), 0)

    def test_a_plain_object_is_not_kept(self):
        class Plain:
            def hear(self, value):
                seen.append(value)
        seen, plain = self.seen, Plain()
        self.emitter.number.connect(plain.hear)
        self.emitter.number.emit(1)
        del plain
        self.emitter.number.emit(2)
        self.assertEqual(seen, [1])

    def test_destroying_the_sender_inside_a_slot(self):
        emitter = self.emitter

        def destroy():
            nonlocal emitter
            self.emitter = emitter = None
        self.emitter.plain.connect(destroy)
        self.emitter.plain.connect(lambda: self.seen.append(1))
        emitter.plain.emit()

    def test_sender(self):
        self.emitter.plain.connect(self.listener.none)
        self.emitter.plain.emit()
        self.listener.none()
        self.assertEqual(self.listener.seen, [self.emitter, None])

    def test_signals_to_signals(self):
        other = Emitter()
        other.number.connect(self.seen.append)
        self.emitter.number.connect(other.number)
        self.emitter.number.emit(4)
        self.assertEqual(self.seen, [4])

    def test_blocked_signals(self):
        self.emitter.plain.connect(lambda: self.seen.append(1))
        self.assertFalse(self.emitter.blockSignals(True))
        self.emitter.plain.emit()
        self.assertTrue(self.emitter.blockSignals(False))
        self.emitter.plain.emit()
        self.assertEqual(self.seen, [1])

    def test_queued_connections(self):
        self.emitter.number.connect(self.seen.append, Qt.QueuedConnection)
        self.emitter.number.emit(1)
        self.assertEqual(self.seen, [])
        _servers.settle()
        self.assertEqual(self.seen, [1])

    def test_unique_connections(self):
        self.assertTrue(self.emitter.number.connect(self.listener.one, Qt.UniqueConnection))
        self.assertFalse(self.emitter.number.connect(self.listener.one, Qt.UniqueConnection))
        self.emitter.number.emit(1)
        self.assertEqual(self.listener.seen, [1])

    def test_a_slot_that_raises_is_printed_and_the_others_are_called(self):
        def bad():
            raise ValueError("in a slot")
        self.emitter.plain.connect(bad)
        self.emitter.plain.connect(lambda: self.seen.append(1))
        with contextlib.redirect_stderr(io.StringIO()) as errors:
            self.emitter.plain.emit()
        self.assertIn("ValueError: in a slot", errors.getvalue())
        self.assertEqual(self.seen, [1])

    def test_what_cannot_be_connected(self):
        for wrong in (1, None, "x"):
            with self.assertRaises(TypeError):
                self.emitter.plain.connect(wrong)

    def test_the_old_way_of_connecting(self):
        QObject.connect(self.emitter, SIGNAL("number(int)"), self.seen.append)
        QObject.connect(self.emitter, SIGNAL("number(int)"), self.listener, SLOT("one(int)"))
        self.emitter.number.emit(3)
        self.assertEqual((self.seen, self.listener.seen), ([3], [3]))


if __name__ == "__main__":
    unittest.main()
