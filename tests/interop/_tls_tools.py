"""The programs of others that the tests of TLS run: whether they are installed, and servers that serve
while a test needs them.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import time

import _support

os.environ["PATH"] += ":/usr/sbin:/sbin"


def has(tool):
    if shutil.which(tool):
        return True
    print("left out: %s is not installed" % tool)
    return False


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


class Proxy:
    """A server of others that listens on a port; in its command, FILE is the file with the text."""

    def __init__(self, folder, name, port, text, *command):
        path = os.path.join(folder, name + ".conf")
        with open(path, "w") as file:
            file.write(text)
        self.output = tempfile.TemporaryFile()
        self.process = subprocess.Popen([each.replace("FILE", path) for each in command],
                                        stdin=subprocess.DEVNULL, stdout=self.output, stderr=self.output)
        give_up = time.monotonic() + _support.PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=_support.PATIENCE).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > give_up:
                    self.__exit__()
                    raise
                time.sleep(0.02)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(_support.PATIENCE)
        if exception and exception[0]:
            self.output.seek(0)
            print(self.output.read().decode(errors="replace"))
        self.output.close()
