"""The line servers of docs/howto do the same, whichever library they are written with.

    line_server.py TAKEN PROGRAM

TAKEN: see tests/guide/refused.py.
"""

import os

import signal
import socket
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../guide"))
import refused

TAKEN, PROGRAM = refused.library(sys.argv[1]), sys.argv[2]
PATIENCE = 20  # seconds; nothing here takes two


def start(idle):
    process = subprocess.Popen([PROGRAM, str(idle)], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    words = process.stdout.readline().split()
    assert words[:3] == [b"listening", b"on", b"port"], words
    return process, int(words[3])


def stop(process):
    process.send_signal(signal.SIGTERM)
    status = process.wait(PATIENCE)
    # Qt leaves the signal to the system.
    assert status == 0 or ("qt" in PROGRAM and status == -signal.SIGTERM), status


def connect(port):
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)


def receive(connection, size):
    received = b""
    while len(received) < size:
        some = connection.recv(65536)
        assert some, "the connection has ended after %d bytes" % len(received)
        received += some
    return received


def lines(port):
    with connect(port) as connection:
        connection.sendall(b"on")
        connection.sendall(b"e\ntwo\n")
        assert receive(connection, 8) == b"ONE\nTWO\n"
        connection.sendall(b"y" * 2500 + b"\n")  # longer than a line may be: cut
        assert receive(connection, 2501) == b"Y" * 2500 + b"\n"


def a_client_that_reads_late(port):
    text = b"".join(b"%d is the number of this line\n" % number for number in range(60000))
    with connect(port) as connection:
        writer = threading.Thread(target=connection.sendall, args=[text])
        writer.start()
        writer.join(0.2)  # the server stops reading: that is not waited for, as kernels differ
        assert receive(connection, len(text)) == text.upper()
        writer.join()


server, at = start(60000)
try:
    lines(at)
    a_client_that_reads_late(at)
finally:
    stop(server)

server, at = start(300)
try:
    with connect(at) as silent:
        try:
            assert silent.recv(1) == b""
        except ConnectionResetError:
            pass
finally:
    stop(server)

if os.path.basename(PROGRAM) == "howto-line_server":
    refused.check(TAKEN, [PROGRAM], 1)
    refused.check_backend([PROGRAM])
else:
    refused.check(TAKEN, [PROGRAM], 1, ["already"])
