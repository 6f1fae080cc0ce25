# What a server says of itself on each kind of address.
# spec: S1.7 S1.10 S1.12 S1.28 S1.29 S1.33 S1.34 S1.25 S7.2
from PySide2 import QtNetwork

from _kit import address, say

H = QtNetwork.QHostAddress


def tell(server):
    say(" ", server.isListening(), address(server.serverAddress()), server.serverPort() > 0,
        server.socketDescriptor() >= 0)


server = QtNetwork.QTcpServer()
say("listen()", server.listen())
tell(server)
server.close()
tell(server)
for name in ("Any", "AnyIPv4", "AnyIPv6", "LocalHost", "LocalHostIPv6"):
    say(name, server.listen(getattr(H, name)))
    tell(server)
    server.close()
for text in ("127.0.0.1", "127.0.0.2", "127.4.5.6", "0.0.0.0", "::", "::1"):
    say(text, server.listen(H(text), 0))
    tell(server)
    server.close()
    tell(server)
say("by keywords", server.listen(address=H(H.LocalHost), port=0))
port = server.serverPort()
server.close()
say("the same port again", server.listen(H.LocalHost, port), server.serverPort() == port)
server.close()
server.close()
