"""Unix sockets against other programs: the HTTP server at a path with curl and socat, a file that is
left over from a server that was killed, and a second server at the same path.

A tool that is not installed is left out, and the test says so.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile

import _support


def ask(path, request):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_support.PATIENCE)
        connection.connect(path)
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while more := connection.recv(65536):
            received += more
        return received


def tool(name, arguments, **options):
    if not shutil.which(name):
        print("left out: %s is not installed" % name)
        return None
    done = subprocess.run([name, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=_support.PATIENCE, **options)
    assert done.returncode == 0, (name, done.stderr)
    return done.stdout


def with_curl(path, content):
    for name in ("short.txt", "long.bin"):
        got = tool("curl", ["-sSf", "--unix-socket", path, "http://host/" + name])
        assert got in (None, content[name]), name
    # Both over one connection, and a part of the long one.
    got = tool("curl", ["-sSf", "--unix-socket", path, "-r", "1000-1999", "http://host/long.bin",
                        "--next", "-sSf", "--unix-socket", path, "http://host/short.txt"])
    assert got in (None, content["long.bin"][1000:2000] + content["short.txt"])


def with_socat(path, content):
    request = b"GET /short.txt HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"
    got = tool("socat", ["-t", "5", "-", "UNIX-CONNECT:" + path], input=request)
    assert got is None or got.endswith(b"\r\n\r\n" + content["short.txt"]), got[:200]


def main():
    with tempfile.TemporaryDirectory() as folder:
        root = os.path.join(folder, "root")
        path = os.path.join(folder, "http.sock")
        content = {"short.txt": b"short\n", "long.bin": os.urandom(3000001)}
        os.mkdir(root)
        for name, data in content.items():
            with open(os.path.join(root, name), "wb") as file:
                file.write(data)
        server = _support.Listening("http_server", "--local", path, root)
        assert server.output[0] == "HTTP server listening on " + path, server.output
        with_curl(path, content)
        with_socat(path, content)
        second = _support.run("http_server", "--local", path, root)
        _support.expect_failure(second, path, "a server is listening there")
        assert ask(path, b"GET /short.txt HTTP/1.1\r\nHost: h\r\n\r\n").endswith(b"short\n")
        server.process.send_signal(signal.SIGKILL)
        server.process.wait(_support.PATIENCE)
        assert os.path.exists(path)
        server = _support.Listening("http_server", "--local", path, root)
        assert ask(path, b"GET /short.txt HTTP/1.1\r\nHost: h\r\n\r\n").endswith(b"short\n")
        server.stop()
        assert not os.path.exists(path)
        with open(path, "wb"):
            pass
        _support.expect_failure(_support.run("http_server", "--local", path, root),
                                "the file there is not a socket")
        assert os.path.getsize(path) == 0
        long_path = os.path.join(folder, "x" * 100)
        _support.expect_failure(_support.run("http_server", "--local", long_path, root),
                                "the path has more than 107 bytes")


main()
