# QUuid: reading and writing texts, bytes and streams, variants and versions, names, order.
from PySide2.QtCore import QByteArray, QDataStream, QIODevice, QUuid

from _kit import say

TEXT = "67c8770b-44f1-410a-ab9a-f9b5446f13ee"
FORMATS = (QUuid.WithBraces, QUuid.WithoutBraces, QUuid.Id128)
one = QUuid("{%s}" % TEXT.upper())
say(one.isNull(), one.toString(), one.toByteArray(), one.toRfc4122(), int(one.variant()), int(one.version()))
say([(one.toString(form), bytes(one.toByteArray(form))) for form in FORMATS])
for text in (TEXT, TEXT.replace("-", ""), "{" + TEXT, "", "x", "{%s}zz" % TEXT, " " + TEXT, TEXT[:-1],
             "00000000-0000-0000-0000-000000000000", "67c8770b-44f1-110a-2b9a-f9b5446f13ee",
             "67c8770b-44f1-510a-cb9a-f9b5446f13ee", "67c8770b-44f1-610a-eb9a-f9b5446f13ee",
             "{67c8770b-44f1-310a-8b9a-f9b5446f13eeX", TEXT.encode(), QByteArray(TEXT.encode())):
    made = QUuid(text)
    say(repr(str(text)), made.toString(), made.isNull(), bool(made), int(made.variant()), int(made.version()))
say(QUuid(0x67c8770b, 0x44f1, 0x410a, 0xab, 0x9a, 0xf9, 0xb5, 0x44, 0x6f, 0x13, 0xee) == one)
some = [QUuid(), one, QUuid.createUuidV3(one, "name"), QUuid.createUuidV5(one, "name"),
        QUuid("67c8770b-44f1-110a-2b9a-f9b5446f13ee"), QUuid("17c8770b-44f1-510a-cb9a-f9b5446f13ee")]
say([[(a == b, a != b, a < b, a <= b, a > b, a >= b) for a in some] for b in some])
new = QUuid.createUuid()
say(int(new.version()), int(new.variant()), new != QUuid.createUuid(), new.isNull())
for name in ("name", "", "n\u00e9", QByteArray(b"name"), b"name"):
    say(QUuid.createUuidV3(one, name).toString(), QUuid.createUuidV5(one, name).toString())
say([QUuid.fromRfc4122(data).toString() for data in (one.toRfc4122(), b"x", b"x" * 16, b"x" * 20, b"")])
array, back = QByteArray(), QUuid()
QDataStream(array, QIODevice.WriteOnly) << one << QUuid()
say(array.toHex())
QDataStream(array, QIODevice.ReadOnly) >> back
say(back == one)
for wrong in (5, 1.5, []):
    try:
        QUuid(wrong)
    except TypeError:
        say("TypeError")
