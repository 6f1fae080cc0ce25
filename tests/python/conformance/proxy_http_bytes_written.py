# What waitForBytesWritten promises behind an HTTP proxy.
# spec: S6.32 Q19
from _kit import Outside, exactly, say
from _proxies import FINE, P, request_of, through


def proxy(peer, seen):
    request_of(peer)
    peer.sendall(FINE)
    seen.append("nothing")
    peer.settimeout(1)
    seen[0] = exactly(peer, 4)


serving = Outside(proxy)
device = through(serving.port, kind=P.HttpProxy)
say(device.waitForConnected(5000))
device.write(b"ping")
say(device.waitForBytesWritten(5000), serving.end())
