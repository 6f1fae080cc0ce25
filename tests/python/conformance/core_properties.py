# Properties by name, and objectNameChanged.
from PySide2 import QtCore

from _kit import say

made = QtCore.QObject()
made.objectNameChanged.connect(lambda name: say("renamed", name))
say(made.property("nothing"), made.setProperty("size", 5), made.property("size"))
say(made.setProperty("objectName", "given"), made.objectName(), made.property("objectName"))
made.setObjectName("given")
made.setObjectName("other")
made.setProperty("words", ["a", "b"])
say(made.property("words"), [str(name) for name in made.dynamicPropertyNames()])
say(made.setProperty("size", None), made.property("size"))
