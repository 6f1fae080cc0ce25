# QTextStream >> QByteArray: words, up to the end and with other reads between.
from PySide2.QtCore import QBuffer, QByteArray, QIODevice, QTextStream

from _kit import say


def stream(data):
    device = QBuffer()
    device.setData(data)
    device.open(QIODevice.ReadOnly)
    made = QTextStream(device)
    made.setCodec("UTF-8")
    made.kept = device
    return made


words, first, second = stream(b"  one\ttwo three four\nline\n\n last"), QByteArray(), QByteArray(b"old")
say((words >> first >> second) is words, first, second)
say(repr(words.readLine()), words >> first is not None, first, int(words.status()), words.atEnd())
words >> first
say(first, int(words.status()), words.atEnd())
words >> second
say(second, int(words.status()))
words = stream("\u00e9t\u00e9 \u20ac x".encode())
for _ in range(4):
    words >> first
    say(first, int(words.status()))
words = stream(b"one two three four")
words >> None >> b"" >> bytearray()
say(words.readAll())
for wrong in (5, "text", 1.5, [], True):
    try:
        words >> wrong
        say("taken")
    except TypeError:
        say("TypeError")
