# Parents and children.
# spec: S1.2
from PySide2 import QtCore

from _kit import say

root = QtCore.QObject()
root.setObjectName("root")
children = [QtCore.QObject(root) for _ in range(3)]
for number, child in enumerate(children):
    child.setObjectName("child %d" % number)
say(root.objectName(), [child.objectName() for child in root.children()], root.parent())
say(children[0].parent() is root, root.children()[1] is children[1])
children[1].setParent(children[0])
say([child.objectName() for child in root.children()],
    [child.objectName() for child in children[0].children()])
children[1].setParent(None)
say(children[1].parent(), children[0].children())
say(root.findChild(QtCore.QObject, "child 2") is children[2],
    root.findChild(QtCore.QObject, "nobody"))
say([child.objectName() for child in root.findChildren(QtCore.QObject)])
say(root.inherits("QObject"), root.inherits("QTcpServer"), root.isWidgetType())
