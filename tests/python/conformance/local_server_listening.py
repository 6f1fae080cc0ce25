# Listening on names: what is there then, twice, in a place that is taken, and the file's end.
import os

from PySide2.QtCore import QCoreApplication
from PySide2.QtNetwork import QLocalServer

from _kit import error, say

app = QCoreApplication([])
name = "berth-listening-%d" % os.getpid()
path = os.path.join(os.environ.get("TMPDIR", "/tmp"), name)
server, other = QLocalServer(), QLocalServer()
say(server.isListening(), repr(server.serverName()), repr(server.fullServerName()),
    error(server.serverError()), repr(server.errorString()), server.maxPendingConnections(),
    int(server.socketOptions()), server.socketDescriptor(), server.hasPendingConnections())
say(server.listen(name), server.isListening(), server.serverName() == name,
    server.fullServerName() == path, os.path.exists(path), server.socketDescriptor() > 0)
say(other.listen(name), error(other.serverError()), other.errorString(), other.isListening())
server.close()
say(server.isListening(), repr(server.serverName()), os.path.exists(path))
say(other.listen(path), other.serverName() == path, other.fullServerName() == path)
other.close()
for bad in ("", "/no/such/folder/name"):
    say(server.listen(bad), error(server.serverError()), server.errorString())
for option in (QLocalServer.UserAccessOption, QLocalServer.WorldAccessOption,
               QLocalServer.UserAccessOption | QLocalServer.GroupAccessOption):
    server.setSocketOptions(option)
    say(server.listen(name), oct(os.stat(path).st_mode), int(server.socketOptions()))
    server.close()
say(server.waitForNewConnection(1))
server.listen(name)
say(server.waitForNewConnection(1))
server.close()
open(path, "w").close()
say(other.listen(name), QLocalServer.removeServer(name), os.path.exists(path),
    QLocalServer.removeServer(name), other.listen(name))
other.close()
