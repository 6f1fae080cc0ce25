# deleteLater in newConnection lets the burst finish.
# spec: S5.4
from PySide2 import QtCore

from _kit import connect, listening, rest, say, until

application = QtCore.QCoreApplication([])
server = listening()
log = []
server.destroyed.connect(lambda: log.append("destroyed"))
server.newConnection.connect(lambda: (log.append("newConnection"), server.deleteLater()))
peers = [connect(server.serverPort()) for _ in range(3)]
until(lambda: "destroyed" in log)
say(log)
say([rest(peer)[1] for peer in peers])
