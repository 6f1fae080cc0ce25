# A mapped address in a subnet of IPv4.
# spec: S7.8
from PySide2 import QtNetwork

from _kit import say

H = QtNetwork.QHostAddress
say(H("::ffff:10.1.2.3").isInSubnet(H("10.0.0.0"), 8))
