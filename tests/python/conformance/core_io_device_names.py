# Values of the open modes, and of other enumerations.
from PySide2 import QtCore, QtNetwork

from _kit import say

I, A, Q = QtCore.QIODevice, QtNetwork.QAbstractSocket, QtCore.Qt
say([int(getattr(I, name)) for name in ("NotOpen", "ReadOnly", "WriteOnly", "ReadWrite", "Append",
                                        "Truncate", "Text", "Unbuffered")])
say(int(I.ReadOnly | I.Text), (I.ReadWrite & I.ReadOnly) == I.ReadOnly,
    bool(I.ReadOnly & I.WriteOnly))
say([int(getattr(A, name + "State")) for name in (
    "Unconnected", "HostLookup", "Connecting", "Connected", "Bound", "Listening", "Closing")])
say(sorted(int(getattr(A, name)) for name in dir(A) if name.endswith("Error")
           and name not in ("SocketError", "setSocketError")))
say([int(getattr(Q, name + "Connection")) for name in (
    "Auto", "Direct", "Queued", "BlockingQueued", "Unique")])
say([int(getattr(A, name)) for name in (
    "IPv4Protocol", "IPv6Protocol", "AnyIPProtocol", "UnknownNetworkLayerProtocol")])
say([int(getattr(A, name)) for name in (
    "LowDelayOption", "KeepAliveOption", "TypeOfServiceOption", "SendBufferSizeSocketOption",
    "ReceiveBufferSizeSocketOption")])
say(A.ConnectedState == 3, A.ConnectedState == A.ConnectedState, A.ConnectedState != A.BoundState,
    A.SocketState(3) == A.ConnectedState, hash(A.ConnectedState) == hash(3))
say(repr(A.ConnectedState).rsplit(".", 1)[1], {A.ConnectedState: "found"}[A.SocketState(3)])
say(QtNetwork.QTcpSocket.ConnectedState == A.ConnectedState, A.PauseNever == A.PauseMode(0))
