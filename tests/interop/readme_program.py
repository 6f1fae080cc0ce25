"""The program in README.md is examples/hello.c to the letter, and says hello."""

import os
import re
import signal

import _support

with open(os.path.join(_support.SOURCES, "README.md"), encoding="utf-8") as file:
    shown = re.search(r"^```c\n(.*?)^```$", file.read(), re.DOTALL | re.MULTILINE)
with open(os.path.join(_support.SOURCES, "examples/hello.c"), encoding="utf-8") as file:
    assert shown and shown.group(1) == file.read(), "README.md and examples/hello.c differ"

# Says why and skips if the forced backend cannot be had, which the little program does not.
with _support.Listening("fortune_server", "--address", "127.0.0.1"):
    pass

os.environ["BERTH_BACKEND"], kept = "io-uring", os.environ.get("BERTH_BACKEND", "")
result = _support.run("hello")  # a typing error: it ends with the reason, not without a word
assert (result.returncode, result.stderr) == (1, b"BERTH_BACKEND names no backend; "
                                               b"it can be io_uring, epoll or auto\n"), result
os.environ["BERTH_BACKEND"] = kept

with _support.Listening("hello") as server:
    for _ in range(3):
        assert _support.fetch(server.port) == b"hello\n"
    assert server.stop(signal.SIGTERM) == -signal.SIGTERM  # it catches none
