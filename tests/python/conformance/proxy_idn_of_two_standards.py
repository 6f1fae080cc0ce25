# A name of which the older standard of names makes another one.
# spec: S6.21 S6.26
from PySide2 import QtCore

from _proxies import say_names

application = QtCore.QCoreApplication([])
say_names("stra\xdfe.example")
