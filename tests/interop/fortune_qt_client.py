"""Clients written with Qt read fortunes from our server: one by its loop, fifty by waiting.

spec: S8.3 S8.4
"""

import tempfile

import _support

QtCore, QtNetwork = _support.qt_network()


def stream_on(socket):
    stream = QtCore.QDataStream(socket)
    stream.setVersion(QtCore.QDataStream.Qt_4_0)
    return stream


def by_event_loop(port):
    """As Qt's Fortune Client example does: a transaction for each readyRead, until one is whole."""
    socket = QtNetwork.QTcpSocket()
    stream = stream_on(socket)
    texts = []
    errors = []
    loop = QtCore.QEventLoop()

    def read():
        stream.startTransaction()
        text = stream.readQString()
        if stream.commitTransaction():
            texts.append(text)

    socket.readyRead.connect(read)
    socket.error.connect(errors.append)
    socket.disconnected.connect(loop.quit)
    QtCore.QTimer.singleShot(_support.PATIENCE * 1000, loop.quit)
    socket.connectToHost("127.0.0.1", port)
    loop.exec_()
    assert errors == [QtNetwork.QAbstractSocket.RemoteHostClosedError], errors
    assert socket.bytesAvailable() == 0
    assert len(texts) == 1, texts
    return texts[0]


def by_waiting(port):
    """As Qt's Blocking Fortune Client does."""
    socket = QtNetwork.QTcpSocket()
    stream = stream_on(socket)
    socket.connectToHost("127.0.0.1", port)
    assert socket.waitForConnected(_support.PATIENCE * 1000), socket.errorString()
    while True:
        stream.startTransaction()
        text = stream.readQString()
        if stream.commitTransaction():
            break
        assert socket.waitForReadyRead(_support.PATIENCE * 1000), socket.errorString()
    if socket.state() == socket.ConnectedState:
        assert socket.waitForDisconnected(_support.PATIENCE * 1000), socket.errorString()
    assert socket.bytesAvailable() == 0
    return text


application = QtCore.QCoreApplication([])
with tempfile.TemporaryDirectory() as folder:
    file = _support.fortune_file(folder)
    arguments = ("--address", "127.0.0.1", "--fortunes", file)
    with _support.Listening("fortune_server", *arguments) as server:
        assert by_event_loop(server.port) in _support.TEXTS
        read = [by_waiting(server.port) for _ in range(50)]
        assert set(read) == set(_support.TEXTS), set(read)
        assert server.stop() == 0
        assert server.output[-1] == "served 51 fortunes", server.output
        assert _support.BACKEND in server.output[1], server.output
        assert server.error_text() == ""
