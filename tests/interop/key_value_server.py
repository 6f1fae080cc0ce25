"""The key-value server: every cut of a script, what is wrong, then redis-cli and redis-benchmark."""

import os
import re
import shutil
import socket
import subprocess
import threading
import time

import _support


def connect(server):
    return socket.create_connection(("127.0.0.1", server.port), timeout=_support.PATIENCE)


def all_of(connection):
    received = b""
    while more := connection.recv(1 << 18):
        received += more
    return received


def command(*words):
    words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


def ask(server, data):
    with connect(server) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        return all_of(connection)


def bulk(data):
    return b"$%d\r\n%s\r\n" % (len(data), data)


LONG = os.urandom(100000)
SCRIPT = [
    (command("DEL", "a", "b", "n", "e"), None),
    (command("SET", "a", "1"), b"+OK\r\n"),
    (command("get", "a"), bulk(b"1")),
    (b"PING\r\n", b"+PONG\r\n"),
    (b"\r\n*0\r\n", b""),
    (b"  ECHO \t hello\n", bulk(b"hello")),
    (command("SET", "b", b"\r\n\0$5\r\n"), b"+OK\r\n"),
    (command("MGET", "a", "none", "b"), b"*3\r\n" + bulk(b"1") + b"$-1\r\n" + bulk(b"\r\n\0$5\r\n")),
    (command("INCR", "a"), b":2\r\n"),
    (command("INCR", "n"), b":1\r\n"),
    (command("INCR", "b"), b"-ERR value is not an integer or out of range\r\n"),
    (command("SET", "n", 2**63 - 1), b"+OK\r\n"),
    (command("INCR", "n"), b"-ERR increment or decrement would overflow\r\n"),
    (command("EXISTS", "a", "a", "b", "none"), b":3\r\n"),
    (command("TTL", "a"), b":-1\r\n"),
    (command("TTL", "none"), b":-2\r\n"),
    (command("EXPIRE", "a", 1000), b":1\r\n"),
    (command("EXPIRE", "none", 1000), b":0\r\n"),
    (command("TTL", "a"), b":1000\r\n"),
    (command("SET", "a", "x"), b"+OK\r\n"),
    (command("TTL", "a"), b":-1\r\n"),
    (command("EXPIRE", "a", "-1"), b":1\r\n"),
    (command("GET", "a"), b"$-1\r\n"),
    (command("SET", "e", "", "EX", "100", "nx"), b"+OK\r\n"),
    (command("SET", "e", "y", "NX"), b"$-1\r\n"),
    (command("SET", "none", "y", "XX"), b"$-1\r\n"),
    (command("GET", "e"), bulk(b"")),
    (command("SET", "e", "y", "EX", "0"), b"-ERR invalid expire time in 'set' command\r\n"),
    (command("SET", "e", "y", "EX"), b"-ERR syntax error\r\n"),
    (command("SET", "e", "y", "FOO"), b"-ERR syntax error\r\n"),
    (command("EXPIRE", "e", "1e3"), b"-ERR value is not an integer or out of range\r\n"),
    (command("EXPIRE", "e", str(2**63)), b"-ERR value is not an integer or out of range\r\n"),
    (command("GET"), b"-ERR wrong number of arguments for 'get' command\r\n"),
    (command("PING", "a", "b"), b"-ERR wrong number of arguments for 'ping' command\r\n"),
    (command("no\r\nsuch"), b"-ERR unknown command 'no??such'\r\n"),
    (command(""), b"-ERR unknown command ''\r\n"),
    (command("PING", "x"), bulk(b"x")),
    (command("COMMAND", "COUNT"), b":13\r\n"),
    (command("COMMAND", "DOCS"), b"*0\r\n"),
    (command("DEL", "a", "b", "n", "e"), b":3\r\n"),
]


def check_script(server):
    script = b"".join(line for line, _ in SCRIPT)
    expected = b"".join(reply or b"" for _, reply in SCRIPT)

    def without_first(reply):
        return reply.partition(b"\r\n")[2]

    assert without_first(ask(server, script)) == expected, ask(server, script)
    with connect(server) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for cut in range(1, len(script)):
            connection.sendall(script[:cut])
            if cut % 7 == 0:
                time.sleep(0.002)  # so that it arrives alone
            connection.sendall(script[cut:])
            received = b""
            while len(received) < len(expected) + 4:
                received += connection.recv(65536)
            assert without_first(received) == expected, cut
        for byte in script:
            connection.sendall(bytes([byte]))
        connection.shutdown(socket.SHUT_WR)
        assert without_first(all_of(connection)) == expected


def check_long(server):
    """Long values, cut anywhere; and 2,000 asked for before anything is read."""
    script = command("SET", "long", LONG) + command("GET", "long")
    for cut in (1, 30, 4096, 65536, 99999, len(script) - 30):
        with connect(server) as connection:
            connection.sendall(script[:cut])
            time.sleep(0.01)
            connection.sendall(script[cut:])
            connection.shutdown(socket.SHUT_WR)
            assert all_of(connection) == b"+OK\r\n" + bulk(LONG), cut
    with connect(server) as connection:
        asked = command("GET", "long") * 2000
        sender = threading.Thread(target=connection.sendall, args=(asked,), daemon=True)
        sender.start()
        time.sleep(0.3)
        with open("/proc/%d/statm" % server.process.pid) as file:
            pages = int(file.read().split()[1])
        assert "asan" in _support.BUILD or pages * 4096 < 80 << 20, pages
        reply = bulk(LONG)
        for number in range(2000):
            received = b""
            while len(received) < len(reply):
                received += connection.recv(len(reply) - len(received))
            assert received == reply, number
        sender.join(_support.PATIENCE)
    assert ask(server, command("DEL", "long")) == b":1\r\n"


def check_lies(server):
    for data, told in ((b"*9223372036854775808\r\n", b"invalid multibulk length"),
                       (b"*9223372036854775807\r\n", b"invalid multibulk length"),
                       (b"*1048577\r\n", b"invalid multibulk length"), (b"*-1\r\n", b"multibulk"),
                       (b"*4294967297\r\n$4\r\nPING\r\n", b"multibulk"), (b"*01\r\n", b"multibulk"),
                       (b"*+1\r\n", b"multibulk"), (b"*\r\n", b"multibulk"), (b"*1\n", b"multibulk"),
                       (b"*" + b"1" * 100, b"multibulk"),
                       (b"*1\r\n$9223372036854775807\r\n", b"invalid bulk length"),
                       (b"*1\r\n$18446744073709551615\r\n", b"invalid bulk length"),
                       (b"*1\r\n$-1\r\n", b"invalid bulk length"),
                       (b"*1\r\n$67108865\r\n", b"invalid bulk length"),
                       (b"*1\r\n$67108864\r\n", b"too big command"),
                       (b"*1\r\n$1\r\nPING\r\n", b"invalid bulk length"),
                       (b"*1\r\nPING\r\n", b"expected '$'"), (b"*1\r\n:1\r\n", b"expected '$'"),
                       (b"x" * 70000, b"too big inline request")):
        reply = ask(server, data + command("PING"))
        assert reply.startswith(b"-ERR Protocol error: ") and told in reply, (data, reply)
        assert reply.count(b"\n") == 1, reply
    for data in (os.urandom(5000).replace(b"*", b"") + b"\n", b"\0\n", b"\xff" * 60000 + b"\n"):
        reply = ask(server, data + command("PING"))  # garbage, but whole lines of it
        assert reply.startswith(b"-ERR ") or b"+PONG" in reply, reply
    reply = ask(server, b"POST / HTTP/1.1\r\nHost: here\r\n\r\n" + command("SET", "evil", 1))
    assert reply == b"-ERR unknown command 'POST'\r\n", reply
    assert ask(server, command("EXISTS", "evil")) == b":0\r\n"

    # A million elements: announced only, on 200 connections, and then really.
    liars = [connect(server) for _ in range(200)]
    for liar in liars:
        liar.sendall(b"*1048576\r\n$67108000\r\nabc")
    assert ask(server, command("PING")) == b"+PONG\r\n"
    used = int(re.search(rb"used_memory:(\d+)", ask(server, command("INFO"))).group(1))
    assert used < 10 << 20, used
    for liar in liars:
        liar.close()
    assert ask(server, command("DEL", *["k"] * 1000000)) == b":0\r\n"
    reply = ask(server, command("MGET", *["k"] * 1000000))
    assert reply == b"*1000000\r\n" + b"$-1\r\n" * 1000000


def check_memory():
    with _support.Listening("key_value_server", "--memory", "2") as server:
        assert ask(server, command("SET", "a", b"x" * 600000)) == b"+OK\r\n"
        assert ask(server, command("SET", "b", b"x" * 1000000)).startswith(b"-OOM ")
        assert ask(server, command("SET", "c", b"x" * 1900000)).startswith(b"-OOM ")
        assert ask(server, command("GET", "a")) == bulk(b"x" * 600000)


def check_idle():
    """One that says nothing, one with half a command, and one that does not read are ended."""
    with _support.Listening("key_value_server", "--idle", "1") as server:
        assert ask(server, command("SET", "a", LONG * 20)) == b"+OK\r\n"
        silent, half = connect(server), connect(server)
        half.sendall(b"*2\r\n$3\r\nGET")
        deaf = connect(server)
        deaf.sendall(command("GET", "a") * 10)
        for connection in (silent, half):
            with connection:
                assert all_of(connection) == b""
        time.sleep(1.5)
        with deaf:
            try:
                assert len(all_of(deaf)) < 10 * 20 * len(LONG)
            except ConnectionResetError:
                pass


def check_expiry(server):
    assert ask(server, command("SET", "short", 1, "PX", 150)) == b"+OK\r\n"
    assert ask(server, b"".join(command("SET", "s%d" % i, i, "PX", 1) for i in range(5000)))
    assert ask(server, command("SET", "stays", 1, "EX", 1000)) == b"+OK\r\n"
    give_up = time.monotonic() + _support.PATIENCE
    while b"keys=1,expires=1\r\n" not in ask(server, command("INFO")):  # nobody looks for them
        assert time.monotonic() < give_up, ask(server, command("INFO"))
        time.sleep(0.05)
    assert ask(server, command("GET", "short")) == b"$-1\r\n"
    assert ask(server, command("DEL", "stays")) == b":1\r\n"


def check_tools(server):
    if not shutil.which("redis-cli") or not shutil.which("redis-benchmark"):
        print("left out: redis-tools is not installed")
        return
    told = subprocess.run(["redis-cli", "-p", str(server.port)], stdout=subprocess.PIPE, timeout=20,
                          input=b"set k 41\nincr k\nget k\nmget k none\nttl k\nping\ndel k\n").stdout
    assert told == b"OK\n42\n42\n42\n\n-1\nPONG\n1\n", told
    told = subprocess.run(["redis-cli", "-p", str(server.port), "--pipe"], stdout=subprocess.PIPE,
                          input=b"".join(command("SET", "p%d" % i, i) for i in range(10000)),
                          timeout=20).stdout
    assert b"errors: 0, replies: 10000" in told, told
    for clients in (1, 50, 500):
        for pipeline in (1, 16):
            told = subprocess.run(["redis-benchmark", "-p", str(server.port), "-t", "ping,set,get,incr",
                                   "-n", "2000", "-c", str(clients), "-P", str(pipeline), "--csv"],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60).stdout
            for test in (b"PING_INLINE", b"PING_MBULK", b"SET", b"GET", b"INCR"):
                assert b'"%s","' % test in told, told
            assert b"rror" not in told.replace(b"Could not fetch server CONFIG", b""), told


_support.expect_failure(_support.run("key_value_server", "--port", "x"), "the port")
_support.expect_failure(_support.run("key_value_server", "more"), "one argument too many")
with _support.Listening("key_value_server") as it:
    check_script(it)
    check_long(it)
    check_lies(it)
    check_expiry(it)
    check_tools(it)
    assert it.stop() == 0
    assert it.error_text() == "", it.error_text()
check_memory()
check_idle()
