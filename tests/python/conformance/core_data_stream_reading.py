# Reading back, past the end, and after a status that is not good.
from PySide2 import QtCore

from _kit import say

data = QtCore.QByteArray()
stream = QtCore.QDataStream(data, QtCore.QIODevice.WriteOnly)
stream.writeUInt16(7)
stream.writeInt32(-8)
stream.writeQString("fortune")
stream << QtCore.QByteArray(b"bytes")
stream.writeDouble(2.5)
stream.writeBool(False)
reader = QtCore.QDataStream(data)
say(reader.readUInt16(), reader.readInt32(), repr(reader.readQString()))
array = QtCore.QByteArray()
reader >> array
say(array, reader.readDouble(), reader.readBool(), reader.atEnd(), int(reader.status()))
say(reader.readUInt32(), int(reader.status()), reader.atEnd())
reader.resetStatus()
say(int(reader.status()), repr(reader.readQString()), int(reader.status()))
