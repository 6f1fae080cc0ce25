# The classes of addresses.
# spec: S7.7
from PySide2 import QtNetwork

from _kit import say

for text in ("127.0.0.1", "127.255.0.1", "::1", "::ffff:127.0.0.1", "224.0.0.1", "239.1.2.3",
             "ff02::1", "255.255.255.255", "169.254.1.2", "fe80::1", "fec0::1", "fc00::1",
             "fd00::1", "10.0.0.1", "8.8.8.8", "2001:db8::1", "0.0.0.0", "0.1.2.3", "240.0.0.1",
             "::"):
    value = QtNetwork.QHostAddress(text)
    say(text, *(name for name in ("Loopback", "Multicast", "Broadcast", "LinkLocal", "SiteLocal",
                                  "UniqueLocalUnicast", "Global")
                if getattr(value, "is" + name)()))
