# Both replies of the proxy in one segment.
# spec: S6.15 Q11
from _kit import Outside, address, exactly, say
from _proxies import ARRIVED, REPLY, everywhere, greet, server_through


def proxy(peer, seen):
    greet(peer)
    peer.sendall(REPLY + ARRIVED)
    exactly(peer, 1)


server = server_through(Outside(proxy).port)
say(server.listen(everywhere(), 0))
server.waitForNewConnection(1000)
device = server.nextPendingConnection()
say(device and address(device.peerAddress()), device and device.peerPort())
