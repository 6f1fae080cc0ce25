# Who reaches which listener, and how the peer's address looks there.
# spec: S7.9 S7.10 T5 T6
import socket

from PySide2 import QtCore, QtNetwork

from _kit import address, connect, listening, say, until

H = QtNetwork.QHostAddress
application = QtCore.QCoreApplication([])
for where in ("Any", "AnyIPv4", "AnyIPv6", "LocalHost", "LocalHostIPv6"):
    server = listening(where=H(getattr(H, where)))
    for host, family in (("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)):
        try:
            peer = connect(server.serverPort(), host, family)
        except ConnectionRefusedError:
            say(where, "from", host, "refused")
            continue
        until(server.hasPendingConnections)
        taken = server.nextPendingConnection()
        say(where, "from", host, address(taken.peerAddress()), address(taken.localAddress()))
