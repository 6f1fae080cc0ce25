# Parents, children, and who survives the server.
# spec: S1.2 S1.3 S5.1 S5.2 S5.5
from PySide2 import QtCore, QtNetwork

from _kit import connect, listening, rest, say, state, until

application = QtCore.QCoreApplication([])
parent = QtCore.QObject()
server = listening(QtNetwork.QTcpServer(parent))
say("parent", server.parent() is parent, parent.children() == [server])
log = []
server.destroyed.connect(lambda: log.append("server"))
peers = []
taken = []
for _ in range(3):
    peers.append(connect(server.serverPort()))
    until(server.hasPendingConnections)
    taken.append(server.nextPendingConnection())
say("children", all(one.parent() is server for one in taken))
taken[0].setParent(None)
taken[1].destroyed.connect(lambda: log.append("child"))
taken[2].deleteLater()
until(lambda: len([one for one in server.children() if one in taken]) == 1)
say("deleted", rest(peers[2])[1], "listening", server.isListening())
parent.deleteLater()
until(lambda: len(log) == 2)
say(sorted(log))
say("child's peer", rest(peers[1])[1])
say("survivor", state(taken[0].state()), taken[0].parent())
taken[0].write(b"alive")
taken[0].disconnectFromHost()
until(lambda: int(taken[0].state()) == 0)
say(rest(peers[0]))
