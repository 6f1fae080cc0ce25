# Proxies as values: fields, defaults, equality.
# spec: S6.1
from PySide2 import QtNetwork

from _kit import attempt, say

P = QtNetwork.QNetworkProxy
for name in ("DefaultProxy", "Socks5Proxy", "NoProxy", "HttpProxy", "HttpCachingProxy",
             "FtpCachingProxy"):
    value = P(getattr(P, name))
    say(name, int(value.type()), int(value.capabilities()), repr(value.hostName()), value.port(),
        value.isCachingProxy(), value.isTransparentProxy())
empty = P()
say(int(empty.type()), repr(empty.hostName()), empty.port(), repr(empty.user()))
value = P(P.Socks5Proxy, "host", 1080, "user", "word")
say(int(value.type()), value.hostName(), value.port(), value.user(), value.password())
say(value == P(value), value == P(P.Socks5Proxy, "host", 1080), value != P())
value.setHostName("other")
value.setPort(99)
value.setUser("me")
value.setPassword("secret")
say(value.hostName(), value.port(), value.user(), value.password())
value.setType(P.HttpProxy)
say(int(value.type()), int(value.capabilities()))
value.setCapabilities(P.TunnelingCapability)
value.setType(P.Socks5Proxy)
say(int(value.capabilities()))
value = P(P.HttpProxy, "host", 80)
value.setRawHeader(b"X-One", b"1")
say(value.hasRawHeader(b"X-One"), value.rawHeader(b"X-One"),
    [str(name) for name in value.rawHeaderList()])
attempt("port", value.setPort, "1")
attempt("port", value.setPort, 65536)
attempt("type", value.setType, "http")
say(int(P.applicationProxy().type()))
