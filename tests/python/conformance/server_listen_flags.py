# Flags of the listening descriptor.
# spec: S1.26 S5.10
import fcntl
import os
import socket

from PySide2 import QtNetwork

from _kit import listening, say

H = QtNetwork.QHostAddress
for where in ("Any", "AnyIPv4", "AnyIPv6", "LocalHost"):
    server = listening(where=H(getattr(H, where)))
    descriptor = server.socketDescriptor()
    say(where, "close-on-exec", bool(fcntl.fcntl(descriptor, fcntl.F_GETFD) & fcntl.FD_CLOEXEC),
        "non-blocking", not os.get_blocking(descriptor))
    with socket.socket(fileno=os.dup(descriptor)) as raw:
        say("  reuse", raw.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR), "port",
            raw.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT))
        if raw.family == socket.AF_INET6:
            say("  v6 only", raw.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY))
