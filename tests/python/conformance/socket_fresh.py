# A socket that has not done anything.
# spec: S3.1 S3.2 S3.3 S3.7
from PySide2 import QtNetwork

from _kit import address, error, say, state

device = QtNetwork.QTcpSocket()
say(state(device.state()), error(device.error()))
say("open", device.isOpen(), "valid", device.isValid(), "mode", int(device.openMode()))
say("readable", device.isReadable(), "writable", device.isWritable(),
    "sequential", device.isSequential())
say("descriptor", device.socketDescriptor(), "type", int(device.socketType()))
say("local", address(device.localAddress()), device.localPort())
say("peer", address(device.peerAddress()), device.peerPort(), repr(device.peerName()))
say("bytes", device.bytesAvailable(), device.bytesToWrite(), device.size(), device.pos())
say("at end", device.atEnd(), "line", device.canReadLine())
say("read", device.read(10), device.readAll(), device.readLine(), device.peek(3))
say("write", device.write(b"x"))
say("buffer", device.readBufferSize(), "proxy", int(device.proxy().type()))
say("option", device.socketOption(QtNetwork.QAbstractSocket.LowDelayOption))
say("flush", device.flush())
device.disconnectFromHost()
device.close()
device.abort()
say(state(device.state()), error(device.error()), device.children(), device.parent())
