# Listening through a SOCKS5 proxy, by waiting: the one connection.
# spec: S6.9 S6.11 S6.12 S6.13 S6.15 S6.16 S6.18
from PySide2 import QtNetwork

from _kit import Outside, address, say
from _proxies import REPLY, arrive, finish, greet, say_arrival, server_through


def proxy(peer, seen):
    request, greeting = greet(peer)
    seen.extend((greeting, request))
    peer.sendall(REPLY)
    arrive(peer, seen)


serving = Outside(proxy)
server = server_through(serving.port)
say(server.listen(QtNetwork.QHostAddress(QtNetwork.QHostAddress.Any), 4660), server.isListening())
say(address(server.serverAddress()), server.serverPort())
server.waitForNewConnection(5000)
device = server.nextPendingConnection()
say_arrival(device)
say("listening", server.isListening())
server.close()
finish(device)
say(serving.end())
