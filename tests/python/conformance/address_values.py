# The kinds of addresses, and the special ones.
# spec: S7.1 S7.2
from PySide2 import QtNetwork

from _kit import address, attempt, say

H = QtNetwork.QHostAddress
for name in ("Null", "Broadcast", "LocalHost", "LocalHostIPv6", "Any", "AnyIPv6", "AnyIPv4"):
    special = getattr(H, name)
    value = H(special)
    say(name, int(special), address(value), value.isNull(), value == special)
value = H()
say(value.isNull(), repr(value.toString()), bool(value) is not None)
value.setAddress("127.0.0.1")
say(address(value), H(value) == value, hash(value) == hash(H("127.0.0.1")))
say(value.setAddress("no address"), value.isNull(), address(value))
value = H("::1")
value.clear()
say(value.isNull())
say(H(0x7f000001).toString(), H(0xffffffff).toString())
scoped = H("fe80::1%lo")
say(scoped.toString(), scoped.scopeId(), H("::1").scopeId() == "")
scoped.setScopeId("2")
say(scoped.toString())
attempt("list", H, [])
