# Data streams: the types of the examples, as bytes.
from PySide2 import QtCore

from _kit import say

data = QtCore.QByteArray()
stream = QtCore.QDataStream(data, QtCore.QIODevice.WriteOnly)
stream.setVersion(QtCore.QDataStream.Qt_4_0)
say(stream.version(), int(stream.status()), stream.byteOrder() == QtCore.QDataStream.BigEndian)


def wrote(what):
    say(what, data.toHex(), data.size())
    stream.device().seek(0)
    data.clear()


for name, value in (("Int8", -2), ("UInt8", 200), ("Int16", -2), ("UInt16", 65535), ("Int32", -3),
                    ("UInt32", 1 << 31), ("Int64", -(1 << 40)), ("UInt64", 1 << 63)):
    getattr(stream, "write" + name)(value)
    wrote(name)
stream.writeBool(True)
wrote("bool")
stream.writeDouble(1.5)
wrote("double")
stream.writeFloat(0.25)
wrote("float")
stream.writeQString("You might \U0001f6a3")
wrote("QString")
stream.writeQString("")
wrote("empty")
stream << QtCore.QByteArray(b"bytes")
wrote("QByteArray")
stream.writeQStringList(["a", "b"])
wrote("list")
stream.setByteOrder(QtCore.QDataStream.LittleEndian)
stream.writeUInt16(1)
wrote("little")
