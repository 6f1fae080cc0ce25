"""The block that carries one fortune, as the Python examples of Qt have it.

A block is a QString in a data stream: a 32-bit count of bytes and the text in UTF-16, both
big-endian. Qt's Python examples put a 16-bit count of the rest in front, which those in C++ do not
know; `cpp` leaves it out, so that the programs here can also speak with examples/fortune_client
and examples/fortune_server.
"""

from PySide2 import QtCore

VERSION = QtCore.QDataStream.Qt_4_0
PLAIN = "the blocks of Qt's C++ examples and of Berth's C examples"

FORTUNES = (
    "You might have mail.",
    "A watched socket never blocks.",
    "Whoever reads to the end has read it all.",
    "The port that is free today was taken yesterday.",
    "Ask once more, and you may be told something else.",
    "A harbour is known by the ships that come back.",
    "Bind early, connect often.",
)


def block(text, cpp):
    """The bytes that travel for a text."""
    string = QtCore.QByteArray()
    stream = QtCore.QDataStream(string, QtCore.QIODevice.WriteOnly)
    stream.setVersion(VERSION)
    stream.writeQString(text)
    if cpp:
        return string
    count = QtCore.QByteArray()
    stream = QtCore.QDataStream(count, QtCore.QIODevice.WriteOnly)
    stream.writeUInt16(string.size())
    return count + string


def read(stream, cpp):
    """The text of a block, or None while it is not whole: nothing is read then."""
    stream.startTransaction()
    if not cpp:
        stream.readUInt16()
    text = stream.readQString()
    return text if stream.commitTransaction() else None
