# Long chains of parents and wide rows of children: finding, moving and ending them.
from PySide2.QtCore import QCoreApplication, QObject, QThread, QTimer

from _kit import say

app = QCoreApplication([])
LENGTH = 2000


def chain(cls=QObject):
    first = last = cls()
    for _ in range(LENGTH):
        last = cls(last)
    return first, last


first, last = chain()
last.setObjectName("last")
say(len(first.findChildren(QObject)), first.findChild(QObject, "last") is last,
    first.findChild(QTimer) is None)
order = []
last.destroyed.connect(lambda: order.append("last"))
first.destroyed.connect(lambda: order.append("first"))
del last, first
say(order)

first, last = chain()
first.deleteLater()
app.sendPostedEvents(None, 52)
try:
    last.objectName()
except RuntimeError:
    say("gone")

first, last = chain()
thread = QThread()
thread.start()
first.moveToThread(thread)
say(last.thread() is thread)
first.deleteLater()
thread.quit()
say(thread.wait(10000))

wide = QObject()
for number in range(LENGTH):
    QObject(wide).setObjectName("child %d" % number)
say(len(wide.children()), wide.findChild(QObject, "child 1999") is wide.children()[-1])
del wide


def named(name, parent=None):
    made = QObject(parent)
    made.setObjectName(name)
    return made


# A child before a child of a child.
root = named("root")
one = named("one", root)
below = named("same", named("two", one))
beside = named("same", root)
named("same", named("three", beside))
say(root.findChild(QObject, "same") is beside, one.findChild(QObject, "same") is below,
    [found.parent().objectName() for found in root.findChildren(QObject, "same")],
    [found.objectName() for found in root.findChildren(QObject)])
