# Who goes with whom, in which order, and what is told.
# spec: S1.2
from PySide2 import QtCore

from _kit import say

log = []
root = QtCore.QObject()
for number in range(3):
    child = QtCore.QObject(root)
    child.destroyed.connect(lambda *_, number=number: log.append(number))
root.destroyed.connect(lambda *_: log.append("root"))
say("alive", len(root.children()))
del child
say("still", len(root.children()), log)
del root
say(log)
