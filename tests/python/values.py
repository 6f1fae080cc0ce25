"""Values: QByteArray, QDataStream, QHostAddress, QNetworkProxy, enumerations."""

import copy
import pickle
import unittest

import _servers  # an application
from berth.QtCore import QBuffer, QByteArray, QDataStream, QElapsedTimer, QIODevice
from berth.QtNetwork import (QAbstractSocket, QHostAddress, QNetworkInterface, QNetworkProxy,
                             QTcpSocket)


class SetAddresses(unittest.TestCase):
    def test_an_address_that_is_set_to_itself(self):
        address = QHostAddress("192.0.2.1")
        address.setAddress(address)
        self.assertEqual(address.toString(), "192.0.2.1")

    def test_copies(self):
        for special in (QHostAddress.Null, QHostAddress.Any, QHostAddress.AnyIPv4,
                        QHostAddress.AnyIPv6, QHostAddress.LocalHost):
            address = QHostAddress(special)
            for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
                self.assertEqual(pickle.loads(pickle.dumps(address, protocol)), address)
            self.assertEqual(copy.deepcopy(address), address)

    def test_what_is_no_address_changes_nothing(self):
        address = QHostAddress("192.0.2.1")
        for wrong in (5.5, 1 << 40, b"short"):
            with self.assertRaises((TypeError, OverflowError)):
                address.setAddress(wrong)
            self.assertEqual(address.toString(), "192.0.2.1")


class ByteArrays(unittest.TestCase):
    def test_as_bytes(self):
        array = QByteArray(b"hello")
        self.assertEqual((array, array.data(), bytes(array), len(array), array[1], array[1:3]),
                         (b"hello", b"hello", b"hello", 5, b"e", b"el"))
        self.assertEqual(hash(array), hash(b"hello"))
        self.assertFalse(QByteArray())
        self.assertEqual(list(QByteArray(b"ab")), [b"a", b"b"])
        self.assertEqual(bytes(memoryview(array)), b"hello")
        self.assertEqual(b">" + array + "<", b">hello<")
        with self.assertRaises(IndexError):
            array[9]  # pylint: disable=pointless-statement
        for wrong in (3, "x", 1.5, [1]):
            with self.assertRaises(TypeError):
                QByteArray(wrong)

    def test_changing_one_leaves_copies_alone(self):
        array = QByteArray(b"ab")
        data, other = array.data(), QByteArray(array)
        array.append(b"c")
        array += b"d"
        array[0] = b"X"
        del array[1]
        self.assertEqual((array, data, other), (b"Xcd", b"ab", b"ab"))

    def test_functions(self):
        array = QByteArray(b"a,b,,c")
        self.assertEqual(array.split(","), [b"a", b"b", b"", b"c"])
        self.assertEqual((array.indexOf(b","), array.lastIndexOf(b","), array.count(b",")),
                         (1, 4, 3))
        self.assertEqual((array.left(1), array.right(1), array.mid(2, 1)), (b"a", b"c", b"b"))
        self.assertEqual(QByteArray(b"12").toInt(), (12, True))
        self.assertEqual(QByteArray(b"99999999999").toInt(), (0, False))
        self.assertEqual(QByteArray(b"ff").toHex(), b"6666")
        self.assertEqual(QByteArray.fromHex(b"66 66"), b"ff")
        self.assertEqual(QByteArray.fromBase64(QByteArray(b"xyz").toBase64()), b"xyz")
        self.assertEqual(QByteArray(b" a  b ").simplified(), b"a b")
        self.assertEqual(array.replace(b",", b"-"), b"a-b--c")
        self.assertIsNone(array.clear())
        self.assertTrue(array.isEmpty())

    def test_bases(self):
        for base in (-1, 0, 1, 37):  # Qt says that it takes 10
            self.assertEqual(QByteArray.number(-35, base).data(), b"-35")
        self.assertEqual(QByteArray.number(-35, 36).data(), b"-z")


class Streams(unittest.TestCase):
    def test_what_is_written_is_read(self):
        array = QByteArray()
        out = QDataStream(array, QIODevice.WriteOnly)
        values = (("UInt8", 200), ("Int8", -3), ("UInt16", 60000), ("Int32", -5),
                  ("UInt64", 1 << 63), ("Bool", True), ("Float", 0.5), ("Double", 1.25),
                  ("QString", "h\u00e9\U0001f600"), ("QStringList", ["a", ""]))
        for kind, value in values:
            getattr(out, "write" + kind)(value)
        out << QByteArray(b"raw")
        back, raw = QDataStream(array), QByteArray()
        for kind, value in values:
            self.assertEqual(getattr(back, "read" + kind)(), value)
        back >> raw
        self.assertEqual((raw, back.atEnd(), back.status()), (b"raw", True, QDataStream.Ok))

    def test_the_block_of_the_fortune_server(self):
        block = QByteArray()
        out = QDataStream(block, QIODevice.WriteOnly)
        out.setVersion(QDataStream.Qt_4_0)
        out.writeUInt16(0)
        out.writeQString("ab")
        out.device().seek(0)
        out.writeUInt16(block.size() - 2)
        self.assertEqual(block, b"\0\x08\0\0\0\x04\0a\0b")

    def test_past_the_end(self):
        stream = QDataStream(b"\0")
        self.assertEqual((stream.readUInt16(), stream.status()), (0, QDataStream.ReadPastEnd))
        self.assertEqual(QDataStream().readInt32(), 0)

    def test_transactions(self):
        buffer = QBuffer(QByteArray(b"\0\0\0\x04\0a"))
        buffer.open(QIODevice.ReadOnly)
        stream = QDataStream(buffer)
        stream.startTransaction()
        stream.readQString()
        self.assertFalse(stream.commitTransaction())
        self.assertEqual(buffer.pos(), 0)

    def test_what_does_not_fit(self):
        stream = QDataStream(QByteArray(), QIODevice.WriteOnly)
        for call in (lambda: stream.writeUInt8(256), lambda: stream.writeInt16(40000)):
            self.assertRaises(OverflowError, call)
        for call in (lambda: stream.writeUInt8("x"), lambda: stream.writeQString(1),
                     lambda: stream.writeFloat("x"), lambda: QDataStream(5)):
            self.assertRaises(TypeError, call)


class Addresses(unittest.TestCase):
    def test_making(self):
        self.assertEqual(QHostAddress("127.0.0.1"), QHostAddress.LocalHost)
        self.assertEqual(QHostAddress(0x7f000001).toString(), "127.0.0.1")
        self.assertEqual(QHostAddress(QHostAddress("::1").toIPv6Address()).toString(), "::1")
        self.assertTrue(QHostAddress("no address").isNull())
        self.assertFalse(QHostAddress())
        self.assertEqual(copy.copy(QHostAddress("::1")), QHostAddress("::1"))
        for wrong in (1.5, [], object()):
            with self.assertRaises(TypeError):
                QHostAddress(wrong)
        with self.assertRaises(OverflowError):
            QHostAddress(1 << 33)

    def test_questions(self):
        address = QHostAddress("127.0.0.1")
        self.assertTrue(address.isLoopback())
        self.assertEqual(address.protocol(), QAbstractSocket.IPv4Protocol)
        self.assertEqual(len({address, QHostAddress(QHostAddress.LocalHost)}), 1)
        self.assertTrue(address.isInSubnet(QHostAddress("127.0.0.0"), 8))
        self.assertTrue(address.isInSubnet(QHostAddress.parseSubnet("127/8")))
        self.assertFalse(address.isInSubnet(QHostAddress("::"), 0))
        self.assertEqual(QHostAddress.parseSubnet("nonsense")[1], -1)
        self.assertTrue(address.isEqual(QHostAddress("::ffff:127.0.0.1")))

    def test_scopes(self):
        address = QHostAddress("fe80::1%lo")
        address.setScopeId("eth0")
        for wrong in ("a\r\nX-Evil: 1", " lo", "lo ", "a/b", "a%b", "\u00e4", "x" * 16):
            with self.assertRaises(ValueError, msg=wrong):
                address.setScopeId(wrong)
            self.assertTrue(QHostAddress("fe80::1%" + wrong.strip() + "/").isNull())
        self.assertEqual(address.toString(), "fe80::1%eth0")
        address.setScopeId("")
        self.assertEqual(address.toString(), "fe80::1")

    def test_no_text_is_cut_at_a_nul(self):
        self.assertTrue(QHostAddress("127.0.0.1\0x").isNull())
        with self.assertRaises(ValueError):
            QHostAddress("fe80::1").setScopeId("lo\0x")
        with self.assertRaises(ValueError):
            QTcpSocket().connectToHost("127.0.0.1\0.example", 1)

    def test_the_addresses_of_this_host(self):
        self.assertIn(QHostAddress("127.0.0.1"), QNetworkInterface.allAddresses())
        self.assertTrue(QNetworkInterface.interfaceFromName("lo").isValid())


class Others(unittest.TestCase):
    def test_enumerations(self):
        state = QAbstractSocket.ConnectedState
        self.assertEqual((int(state), state, state.name), (3, 3, "ConnectedState"))
        self.assertIs(QAbstractSocket.SocketState.ConnectedState, state)
        self.assertEqual(repr(state),
                         "berth.QtNetwork.QAbstractSocket.SocketState.ConnectedState")
        self.assertEqual(QIODevice.ReadOnly | QIODevice.WriteOnly, QIODevice.ReadWrite)
        self.assertIsInstance(QIODevice.ReadOnly | QIODevice.Text, QIODevice.OpenMode)
        self.assertEqual(int(QAbstractSocket.UnknownSocketError), -1)

    def test_proxies(self):
        proxy = QNetworkProxy(QNetworkProxy.Socks5Proxy, "host", 80, "user", "secret")
        self.assertEqual((proxy.hostName(), proxy.port(), proxy.user(), proxy.password()),
                         ("host", 80, "user", "secret"))
        self.assertEqual(QNetworkProxy(proxy), proxy)
        self.assertEqual(QNetworkProxy.applicationProxy().type(), QNetworkProxy.NoProxy)
        with self.assertRaises(TypeError):
            QNetworkProxy(3)
        with self.assertRaises(OverflowError):
            proxy.setPort(70000)

    def test_the_clock(self):
        timer = QElapsedTimer()
        self.assertFalse(timer.isValid())
        timer.start()
        self.assertTrue(timer.isValid() and timer.elapsed() >= 0)


if __name__ == "__main__":
    unittest.main()
