"""QSignalMapper: tells signals of several senders apart by a number, a text or an object."""

import weakref

from ._berth import QObject, Signal


class QSignalMapper(QObject):
    """QSignalMapper(parent=None): emits mapped with what belongs to the sender"""

    mapped = Signal((int,), (str,), (QObject,))
    mappedInt, mappedString, mappedObject = Signal(int), Signal(str), Signal(QObject)

    def __init__(self, parent=None, **more):
        super().__init__(parent, **more)
        self._values = weakref.WeakKeyDictionary()

    def setMapping(self, sender, value):
        """Sets what a sender is mapped to: an int, a str or an object."""
        kind = next((one for one in (int, str, QObject) if isinstance(value, one)), None)
        if kind is None:
            raise TypeError(f"setMapping() takes an int, a str or a QObject, "
                            f"not {type(value).__name__}")
        self._values.setdefault(sender, {})[kind] = value

    def removeMappings(self, sender):
        """Forgets a sender."""
        self._values.pop(sender, None)

    def mapping(self, value):
        """The sender that is mapped to a value, or None."""
        return next((sender for sender, values in self._values.items()
                     if value in values.values()), None)

    def map(self, sender=None):
        """A slot: emits what the sender is mapped to."""
        values = self._values.get(self.sender() if sender is None else sender, {})
        others = {int: self.mappedInt, str: self.mappedString, QObject: self.mappedObject}
        for kind, value in values.items():
            self.mapped[kind].emit(value)
            others[kind].emit(value)


QSignalMapper.__module__ = "berth.QtCore"
