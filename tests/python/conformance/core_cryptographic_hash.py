# QCryptographicHash: each algorithm, adding piece by piece and from devices, wrong arguments.
from PySide2.QtCore import QBuffer, QByteArray, QCryptographicHash, QIODevice

from _kit import say

NAMES = ("Md5", "Sha1", "Sha224", "Sha256", "Sha384", "Sha512", "Sha3_224", "Sha3_256", "Sha3_384",
         "Sha3_512", "RealSha3_224", "RealSha3_256", "RealSha3_384", "RealSha3_512")
for name in NAMES:
    kind = getattr(QCryptographicHash, name)
    say(name, int(kind), QCryptographicHash.hashLength(kind), QCryptographicHash.hash(b"abc", kind).toHex())
hasher = QCryptographicHash(QCryptographicHash.Sha1)
say(hasher.result().toHex(), hasher.addData(b"a"), hasher.addData(QByteArray(b"bc")), hasher.result().toHex())
hasher.addData(b"d")
say(hasher.result().toHex(), hasher.result().toHex(), hasher.reset(), hasher.result().toHex())
device = QBuffer()
device.setData(b"abc" * 10000)
say(hasher.addData(device))
device.open(QIODevice.ReadOnly)
device.read(3)
say(hasher.addData(device), hasher.result().toHex(), hasher.addData("text"), hasher.result().toHex())
for function, arguments in ((hasher.addData, (5,)), (hasher.addData, (b"abc", 2)), (QCryptographicHash, ()),
                            (QCryptographicHash, (5,)), (QCryptographicHash.hashLength, (5,)),
                            (QCryptographicHash.hash, ("x", QCryptographicHash.Md5))):
    try:
        function(*arguments)
        say("taken")
    except TypeError:
        say("TypeError")
