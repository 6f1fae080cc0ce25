# A child made in Python is kept by its parent, and comes back as itself.
from PySide2 import QtCore

from _kit import say


class Child(QtCore.QObject):
    def __init__(self, parent, word):
        super().__init__(parent)
        self.word = word


root = QtCore.QObject()
for word in ("one", "two"):
    Child(root, word)
say([type(child).__name__ for child in root.children()], [child.word for child in root.children()])
