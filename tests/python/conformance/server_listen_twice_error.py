# What the server's error is after a second listen.
# spec: S1.9 S1.5
from PySide2 import QtNetwork

from _kit import error, listening, say

server = listening()
say(server.listen(QtNetwork.QHostAddress.Any, 0), error(server.serverError()))
say("text", bool(server.errorString()))
