"""Our client, by handlers and by waiting, reads fortunes from servers written with Qt: one, fifty in a
row, a null string."""

import subprocess
import tempfile
import time

import _support

QtCore, QtNetwork = _support.qt_network()


class Server(QtNetwork.QTcpServer):
    """As Qt's Fortune Server example does."""

    def __init__(self, texts):
        super().__init__()
        self.texts = texts
        self.served = 0
        self.newConnection.connect(self.serve)
        assert self.listen(QtNetwork.QHostAddress.LocalHost, 0), self.errorString()

    def serve(self):
        data = QtCore.QByteArray()
        stream = QtCore.QDataStream(data, QtCore.QIODevice.WriteOnly)
        stream.setVersion(QtCore.QDataStream.Qt_4_0)
        stream.writeQString(self.texts[self.served % len(self.texts)])
        self.served += 1
        socket = self.nextPendingConnection()
        socket.disconnected.connect(socket.deleteLater)
        socket.write(data)
        socket.disconnectFromHost()


def ask(application, server, *arguments):
    """Runs our client while the server's event loop turns."""
    client = _support.program("fortune_client")
    command = [client, "127.0.0.1", str(server.serverPort()), *arguments]
    with tempfile.TemporaryFile() as output_file, tempfile.TemporaryFile() as error_file:
        client = subprocess.Popen(command, stdout=output_file, stderr=error_file)
        give_up = time.monotonic() + _support.PATIENCE
        try:
            while client.poll() is None and time.monotonic() < give_up:
                application.processEvents(QtCore.QEventLoop.AllEvents, 10)
        finally:
            if client.poll() is None:
                client.kill()
            client.wait(_support.PATIENCE)
        output_file.seek(0)
        error_file.seek(0)
        output, errors = output_file.read(), error_file.read()
    if _support.BACKEND == "io_uring" and b"cannot make an event loop" in errors:
        _support.skip("io_uring is refused here: " + errors.decode().strip())
    assert client.returncode == 0, (client.returncode, errors)
    assert errors == b"", errors
    return output.decode()


application = QtCore.QCoreApplication([])
for mode in ([], ["--blocking"]):
    server = Server(_support.TEXTS)
    assert ask(application, server, *mode) == _support.TEXTS[0] + "\n"

    server = Server(_support.TEXTS)
    expected = "%\n".join(_support.TEXTS[i % len(_support.TEXTS)] + "\n" for i in range(50))
    assert ask(application, server, "--count", "50", *mode) == expected
    assert server.served == 50

    # A saying that comes twice in a row is asked for once more.
    server = Server(["once", "once", "twice"])
    assert ask(application, server, "--count", "2", *mode) == "once\n%\ntwice\n"
    assert server.served == 3

    server = Server([""])
    assert ask(application, server, *mode) == "\n"
    server = Server([None])
    assert ask(application, server, *mode) == "\n"

    longest = "七" * (1 << 19)
    server = Server([longest])
    assert ask(application, server, *mode) == longest + "\n"
