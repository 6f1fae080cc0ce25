# listen and setSocketDescriptor while listening change nothing.
# spec: S1.9 S1.58
import socket

from PySide2 import QtNetwork

from _kit import address, connect, listening, say

server = listening()
port, descriptor = server.serverPort(), server.socketDescriptor()
say("again", server.listen(QtNetwork.QHostAddress.Any, 0))
with socket.create_server(("127.0.0.1", 0)) as other:
    say("adopt", server.setSocketDescriptor(other.fileno()))
    say("the other is whole", other.getsockname()[1] > 0)
say(server.isListening(), address(server.serverAddress()), server.serverPort() == port,
    server.socketDescriptor() == descriptor)
peer = connect(port)
say("still serves", server.waitForNewConnection(5000), server.hasPendingConnections())
