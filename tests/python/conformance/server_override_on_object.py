# An incomingConnection that is an attribute of the server object, put there before and after listen.
# spec: S1.43 S1.44
from PySide2 import QtCore, QtNetwork

from _kit import connect, listening, say, until

application = QtCore.QCoreApplication([])
for early in (True, False):
    server = QtNetwork.QTcpServer()
    handles, told = [], []
    server.newConnection.connect(lambda: told.append(server.hasPendingConnections()))

    def incoming(handle):
        handles.append(QtNetwork.QTcpSocket(server))
        say("adopted", handles[-1].setSocketDescriptor(handle))

    if early:
        server.incomingConnection = incoming
    listening(server)
    if not early:
        server.incomingConnection = incoming
    peer = connect(server.serverPort())
    until(lambda: told)
    say(told, len(handles))
