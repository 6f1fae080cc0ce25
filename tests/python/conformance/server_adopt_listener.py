# A listening descriptor made elsewhere is taken over, with those who already wait.
# spec: S1.57 S1.61 S1.62 T11
import socket

from PySide2 import QtCore, QtNetwork

from _kit import address, connect, say, until

application = QtCore.QCoreApplication([])
for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
    raw = socket.create_server((host, 0), family=family)
    port = raw.getsockname()[1]
    early = connect(port, host, family)
    server = QtNetwork.QTcpServer()
    arrived = []
    server.newConnection.connect(lambda: arrived.append(1))
    descriptor = raw.detach()
    say(server.setSocketDescriptor(descriptor), server.isListening(),
        server.serverPort() == port, address(server.serverAddress()),
        server.socketDescriptor() == descriptor)
    until(lambda: arrived)
    say(server.nextPendingConnection().peerPort() == early.getsockname()[1])
    server.close()
    try:
        connect(port, host, family)
        say("somebody listens")
    except ConnectionRefusedError:
        say("closed")
with socket.socket(socket.AF_INET6) as both:
    both.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    both.bind(("::", 0))
    both.listen()
    server = QtNetwork.QTcpServer()
    say(server.setSocketDescriptor(both.detach()), address(server.serverAddress()))
