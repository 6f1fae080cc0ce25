# QHostInfo: names of this host, addresses, names that cannot be any, and what can be set.
import socket

from PySide2.QtNetwork import QHostAddress, QHostInfo

from _kit import say


def tell(info):
    say(repr(info.hostName()), [one.toString() for one in info.addresses()], int(info.error()),
        info.errorString(), info.lookupId())


tell(QHostInfo())
say(QHostInfo(7).lookupId())
names = ["localhost", "LOCALHOST", "127.0.0.1", "", None, " localhost ", "a..b", ".", "x" * 300,
         "x" * 64 + ".test", "a b", "a/b", "-\n"]
with open("/etc/hosts", encoding="utf-8") as file:
    lines = [line.split("#")[0].split() for line in file]
names += [name for line in lines if line[:1] == ["127.0.0.1"] for name in line[1:]]
for name in names:
    tell(QHostInfo.fromName(name))
say(QHostInfo.localHostName() == socket.gethostname(), QHostInfo.localDomainName())
info = QHostInfo()
info.setHostName("name")
info.setAddresses([QHostAddress("1.2.3.4"), QHostAddress("::1")])
info.setError(QHostInfo.HostNotFound)
info.setErrorString("text")
info.setLookupId(4)
tell(info)
copy = QHostInfo(info)
tell(copy)
other = QHostInfo()
info.swap(other)
tell(info)
tell(other)
QHostInfo.abortHostLookup(99)
for wrong in (5, b"x"):
    for function in (QHostInfo.fromName, info.setHostName, info.setErrorString):
        try:
            function(wrong)
            say("taken")
        except TypeError:
            say("TypeError")
