# Subnets: parsing, and who is in them.
# spec: S7.8
from PySide2 import QtNetwork

from _kit import address, say

H = QtNetwork.QHostAddress
for text in ("10.0.0.0/8", "10/8", "10.", "10.1", "192.168.1.7/255.255.255.0", "192.168.1.7/24",
             "::1/64", "2001:db8::/32", "1.2.3.4", "::1", "1.2.3.4/33", "1.2.3.4/255.0.255.0",
             "x/8", "1.2.3.4/", "::/129", ""):
    where, bits = H.parseSubnet(text)
    say(repr(text), address(where), bits)
for text, subnet in (("10.1.2.3", "10.0.0.0/8"), ("11.1.2.3", "10.0.0.0/8"),
                     ("192.168.1.9", "192.168.1.0/24"), ("2001:db8::5", "2001:db8::/32"),
                     ("2001:db9::5", "2001:db8::/32"), ("1.2.3.4", "::/0")):
    say(text, subnet, H(text).isInSubnet(H.parseSubnet(subnet)),
        H(text).isInSubnet(*H.parseSubnet(subnet)))
