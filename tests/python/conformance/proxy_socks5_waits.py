# Connecting through a proxy by waiting alone.
# spec: S6.21 S4.11
from _kit import Outside, exactly, say, state
from _proxies import REPLY, greet, through


def proxy(peer, seen):
    seen.append(greet(peer)[1])
    peer.sendall(REPLY)
    seen.append(exactly(peer, 4))
    peer.sendall(b"pong")
    exactly(peer, 1)


serving = Outside(proxy)
device = through(serving.port)
say(device.waitForConnected(5000), state(device.state()))
device.write(b"ping")
say(device.waitForReadyRead(5000), device.readAll())
device.abort()
say(serving.end())
