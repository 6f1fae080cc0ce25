# When addresses are the same, strictly and by mode.
# spec: S7.6
from PySide2 import QtNetwork

from _kit import say

H = QtNetwork.QHostAddress
values = {name: H(getattr(H, name)) for name in ("Null", "LocalHost", "LocalHostIPv6", "Any",
                                                 "AnyIPv4", "AnyIPv6")}
values.update({text: H(text) for text in ("::ffff:127.0.0.1", "::127.0.0.1", "127.0.0.1",
                                          "fe80::1%lo", "fe80::1")})
names = list(values)
for name in names:
    say(name, [other for other in names if values[name] == values[other]],
        [other for other in names if values[name] != values[other]] != names)
modes = (H.StrictConversion, H.ConvertV4MappedToIPv4, H.ConvertV4CompatToIPv4,
         H.ConvertUnspecifiedAddress, H.ConvertLocalHost, H.TolerantConversion)
for one, other in (("LocalHost", "::ffff:127.0.0.1"), ("LocalHost", "::127.0.0.1"),
                   ("LocalHost", "LocalHostIPv6"), ("Any", "AnyIPv4"), ("Any", "AnyIPv6")):
    say(one, other, [values[one].isEqual(values[other], mode) for mode in modes],
        values[one].isEqual(values[other]))
say(values["LocalHost"] == "127.0.0.1", values["LocalHost"] == None)
