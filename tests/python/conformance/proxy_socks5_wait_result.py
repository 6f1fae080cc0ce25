# What a wait through a SOCKS5 proxy returns for a connection.
# spec: S6.15 Q22
import time

from _kit import Outside, exactly, say
from _proxies import ARRIVED, connect, everywhere, server_through


def proxy(peer, seen):
    connect(peer)
    time.sleep(0.2)
    peer.sendall(ARRIVED)
    exactly(peer, 1)


server = server_through(Outside(proxy).port)
say(server.listen(everywhere(), 0))
say(server.waitForNewConnection(5000), server.hasPendingConnections())
