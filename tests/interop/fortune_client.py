"""Our client, by handlers and by waiting, against servers that send in pieces, lie, fall silent, or
go away.

spec: S8.6
"""

import socket
import struct
import time

import _support

TEXT = "Little strokes fell great oaks. \U0001f333"


def drip(connection):
    for byte in _support.block(TEXT):
        connection.sendall(bytes([byte]))
        time.sleep(0.002)


def sending(data):
    return lambda connection: connection.sendall(data)


def resetting(data):
    def serve(connection):
        connection.sendall(data)
        time.sleep(0.05)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return serve


def silent_after(data):
    def serve(connection):
        connection.sendall(data)
        connection.recv(1)  # returns when the client has given up
    return serve


def drip_for_ever(connection):
    connection.sendall(b"\x00\x00\x10\x00")
    while True:
        connection.sendall(b"x")
        time.sleep(0.02)


def ask(mode, serve, *arguments):
    with _support.Scripted(serve) as server:
        result = _support.run("fortune_client", *mode, "127.0.0.1", server.port, *arguments)
    if _support.BACKEND == "io_uring" and b"cannot make an event loop" in result.stderr:
        _support.skip("io_uring is refused here: " + result.stderr.decode().strip())
    return result


def expect_text(result, text):
    assert result.returncode == 0 and result.stderr == b"", (result.returncode, result.stderr)
    assert result.stdout == text.encode() + b"\n", result.stdout


for mode in ([], ["--blocking"]):
    # Whole answers, however they come.
    expect_text(ask(mode, sending(_support.block(TEXT))), TEXT)
    expect_text(ask(mode, drip), TEXT)
    expect_text(ask(mode, sending(_support.block(TEXT) + b"more than asked for")), TEXT)
    expect_text(ask(mode, silent_after(_support.block(TEXT))), TEXT)
    expect_text(ask(mode, sending(b"\x00\x00\x00\x00")), "")
    expect_text(ask(mode, sending(b"\xff\xff\xff\xff")), "")
    expect_text(ask(mode, sending(b"\x00\x00\x00\x06\xd8\x3d\x00a\xde\xa3")), "\ufffda\ufffd")
    expect_text(ask(mode, sending(_support.block("x" * (1 << 19)))), "x" * (1 << 19))

    # Counts that cannot be one.
    _support.expect_failure(ask(mode, sending(b"\x00\x00\x00\x05hello")), "5 bytes", "valid size")
    _support.expect_failure(ask(mode, sending(b"\x00\x10\x00\x02")), "1048578 bytes", "valid size")
    _support.expect_failure(ask(mode, sending(b"\xff\xff\xff\xfe")), "valid size")
    _support.expect_failure(ask(mode, sending(b"HTTP/1.0 400 Bad Request\r\n\r\n")), "valid size")

    # The end before the whole.
    _support.expect_failure(ask(mode, sending(b"")), "127.0.0.1:", "ended the connection")
    _support.expect_failure(ask(mode, sending(b"\x00\x00")), "ended the connection")
    _support.expect_failure(ask(mode, sending(_support.block(TEXT)[:-1])), "ended the connection")
    _support.expect_failure(ask(mode, resetting(_support.block(TEXT)[:9])), "ended the connection")

    # Nothing more until the time is over: as long as was asked for, and not much longer.
    for serve in (silent_after(b""), silent_after(b"\x00"), silent_after(_support.block(TEXT)[:-1]),
                  drip_for_ever):
        began = time.monotonic()
        _support.expect_failure(ask(mode, serve, "--timeout", "300"), "300 ms")
        passed = time.monotonic() - began
        assert 0.3 <= passed < 5, passed

    # One that fails leaves those before it printed.
    answers = [_support.block("first"), _support.block("second"), b"\x00"]
    result = ask(mode, lambda connection: connection.sendall(answers.pop(0)), "--count", "9")
    assert result.returncode == 2 and result.stdout == b"first\n%\nsecond\n", result

    # The same saying over again is asked anew, but not for ever.
    answers = [_support.block(text) for text in ("one", "one", "one", "two", "one")]
    result = ask(mode, lambda connection: connection.sendall(answers.pop(0)), "--count", "3")
    assert result.returncode == 0 and result.stdout == b"one\n%\ntwo\n%\none\n", result
    asked = []
    only = _support.block("only")
    result = ask(mode, lambda connection: asked.append(connection.sendall(only)), "--count", "3")
    assert result.returncode == 0 and result.stdout == b"only\n%\nonly\n%\nonly\n", result
    assert len(asked) == 21, len(asked)

    # By name, whichever address of it answers.
    with _support.Scripted(sending(_support.block(TEXT))) as server:
        expect_text(_support.run("fortune_client", *mode, "localhost", server.port), TEXT)
