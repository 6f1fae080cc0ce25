# Texts that Qt has made up carelessly: an unknown reply of SOCKS5, and the end behind such a proxy.
# spec: S6.14 S6.24
from PySide2 import QtCore

from _kit import Serving, exactly
from _proxies import greet, say_failure


def proxy(number):
    def script(peer, seen):
        greet(peer)
        peer.sendall(bytes((5, number, 0, 1)) + bytes(6))
        exactly(peer, number)
    return script


application = QtCore.QCoreApplication([])
for number in (9, 255, 0):
    say_failure(number, Serving(proxy(number), proxy(number)).port, texts=True)
