# No descriptor is left to listen with; later there is one.
# spec: S1.21 S1.12
from PySide2 import QtCore, QtNetwork

from _kit import error, say, take_all_descriptors

application = QtCore.QCoreApplication([])
application.processEvents()
server = QtNetwork.QTcpServer()
give_back = take_all_descriptors()
say(server.listen(QtNetwork.QHostAddress.LocalHost, 0), error(server.serverError()),
    server.socketDescriptor(), server.isListening())
give_back()
say(server.listen(QtNetwork.QHostAddress.LocalHost, 0), error(server.serverError()))
