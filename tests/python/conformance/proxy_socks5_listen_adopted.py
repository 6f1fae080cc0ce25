# The handle of a SOCKS5 server, adopted by the program: whose addresses the socket has.
# spec: S6.13 S6.15
from PySide2 import QtNetwork

from _kit import Outside, say
from _proxies import arrive, connect, finish, say_arrival, server_through


def proxy(peer, seen):
    connect(peer)
    arrive(peer, seen)


class Server(QtNetwork.QTcpServer):
    def incomingConnection(self, handle):
        self.device = QtNetwork.QTcpSocket()
        say("adopted", self.device.setSocketDescriptor(handle))


serving = Outside(proxy)
server = server_through(serving.port, server=Server())
say(server.listen(QtNetwork.QHostAddress(QtNetwork.QHostAddress.Any), 4660))
say(server.waitForNewConnection(5000))
say_arrival(server.device)
finish(server.device)
say(serving.end())
