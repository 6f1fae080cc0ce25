# The addresses of this host.
from PySide2 import QtNetwork

from _kit import say

found = QtNetwork.QNetworkInterface.allAddresses()
say(type(found).__name__, {type(one).__name__ for one in found})
say(QtNetwork.QHostAddress("127.0.0.1") in found)
say(sorted(one.toString() for one in found))
