# The same port where nothing conflicts.
# spec: S1.14
from PySide2 import QtNetwork

from _kit import listening, say

H = QtNetwork.QHostAddress
first = listening(where=H("127.0.0.1"))
port = first.serverPort()
for text in ("127.0.0.2", "::1"):
    second = QtNetwork.QTcpServer()
    say(text, second.listen(H(text), port), second.serverPort() == port)
first = listening(where=H(H.AnyIPv4))
second = QtNetwork.QTcpServer()
say("AnyIPv6 beside AnyIPv4", second.listen(H.AnyIPv6, first.serverPort()))
