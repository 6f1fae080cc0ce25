"""The broadcast and the local Fortune programs in Python, on PySide2 and on the Python module: each
sender with each receiver, each server with each client."""

import ast
import os
import subprocess
import tempfile

import _support

sides = _support.python_sides()
with open(os.path.join(_support.SOURCES, "python/examples/fortune_wire.py"), "rb") as source:
    FORTUNES = next(ast.literal_eval(part.value) for part in ast.parse(source.read()).body
                    if isinstance(part, ast.Assign) and part.targets[0].id == "FORTUNES")


def started(*command):
    """A program that has said its first line; and that line."""
    process = subprocess.Popen([str(one) for one in command], stdout=subprocess.PIPE, text=True)
    return process, process.stdout.readline().strip()


def broadcasts():
    for receiving in sides:
        for sending in sides:
            process, line = started(*_support.script(receiving, "broadcast_receiver"),
                                    "--port", 0, "--count", 3)
            with process:
                port = line.rpartition(" ")[2]
                result = _support.run(_support.script(sending, "broadcast_sender"), "--address",
                                      "127.0.0.1", "--port", port, "--count", 3, "--interval", 5)
                output, _ = process.communicate(timeout=_support.PATIENCE)
            assert result.returncode == 0, result.stderr
            numbers = [b"sent Broadcast message %d" % number for number in (1, 2, 3)]
            assert result.stdout.splitlines() == numbers, result.stdout
            assert output.encode().replace(b"received", b"sent").splitlines() == numbers, output
            assert process.returncode == 0


def fortunes():
    for serving in sides:
        for asking in sides:
            with tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, "fortune")
                process, line = started(*_support.script(serving, "local_fortune_server"),
                                        "--name", path, "--count", 2)
                with process:
                    assert line.endswith(path), line
                    for _ in range(2):
                        result = _support.run(_support.script(asking, "local_fortune_client"),
                                              "--name", path)
                        assert result.returncode == 0 and not result.stderr, result.stderr
                        assert result.stdout.decode().strip() in FORTUNES, result.stdout
                    process.communicate(timeout=_support.PATIENCE)
                assert process.returncode == 0 and not os.path.exists(path)
                result = _support.run(_support.script(asking, "local_fortune_client"), "--name",
                                      path)
                assert (result.returncode, result.stdout) == (1, b""), result.stdout


broadcasts()
fortunes()
