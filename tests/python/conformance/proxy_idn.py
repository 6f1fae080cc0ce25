# Names that are not ASCII, as a proxy gets them.
# spec: S6.21 S6.26
from PySide2 import QtCore

from _proxies import say_names

application = QtCore.QCoreApplication([])
say_names("b\xfccher.example", "B\xdcCHER.example", "\u4f8b\u3048.jp", "xn--bcher-kva.example",
         "plain.example", "\u0645\u062b\u0627\u0644.com", "a_b.example", "cafe\u0301.fr")
