# Two sockets bound to one port, by the modes of both.
# spec: S3.17
from PySide2 import QtCore, QtNetwork

from _kit import LOCAL, error, say, state

application = QtCore.QCoreApplication([])
A = QtNetwork.QAbstractSocket
for first in (A.ShareAddress, A.ReuseAddressHint, A.DefaultForPlatform, A.DontShareAddress):
    for second in (A.ShareAddress, A.ReuseAddressHint, A.DefaultForPlatform, A.DontShareAddress):
        one, other = QtNetwork.QTcpSocket(), QtNetwork.QTcpSocket()
        say(int(first), int(second), one.bind(LOCAL, 0, first),
            other.bind(LOCAL, one.localPort(), second), state(other.state()),
            error(other.error()))
