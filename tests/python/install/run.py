"""The package is installed by pip into a virtual environment, and used outside of the tree.

    run.py BUILT SOURCES

BUILT is the folder with the package as CMake has built it: compiling all again would take minutes.
SOURCES are the library's files by CMake, separated by "|": setup.py has to compile the same ones.
"""

import os
import re
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../.."))

PROGRAM = """
import berth, sys
from PySide2.QtCore import QCoreApplication, QTimer
from PySide2.QtNetwork import QHostAddress, QTcpServer, QTcpSocket, QUdpSocket
app = QCoreApplication(sys.argv)
server, client = QTcpServer(), QTcpSocket()
server.listen(QHostAddress(QHostAddress.LocalHost), 0)
server.newConnection.connect(lambda: server.nextPendingConnection().write(b"hello"))
client.readyRead.connect(lambda: (print(client.readAll()), app.quit()))
client.connectToHost("127.0.0.1", server.serverPort())
app.exec_()
print(berth.__file__.startswith(sys.prefix))
"""


def run(*command, cwd):
    """Runs a command, without what the build's environment says of Python."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(command, cwd=cwd, env=kept, capture_output=True, text=True, timeout=200,
                          check=False)
    return done.returncode, done.stdout, done.stderr


class Installation(unittest.TestCase):
    def test_by_pip(self):
        with tempfile.TemporaryDirectory() as folder:
            status, _output, errors = run(sys.executable, "-m", "venv", "env", cwd=folder)
            if status:
                self.skipTest("no virtual environment: " + errors[-200:])
            python = os.path.join(folder, "env/bin/python")
            status, output, errors = run(
                python, "-m", "pip", "install", "--no-build-isolation", "--no-deps", "--no-index",
                "--disable-pip-version-check", "--config-settings", "built=" + BUILT,
                os.path.join(ROOT, "python"), cwd=folder)
            if "No module named 'setuptools'" in errors:
                self.skipTest("there is no setuptools")
            self.assertEqual(status, 0, output + errors)
            with open(os.path.join(folder, "program.py"), "w", encoding="utf-8") as file:
                file.write(PROGRAM)
            self.assertEqual(run(python, "-m", "berth.run", "program.py", cwd=folder),
                             (0, "b'hello'\nTrue\n", ""))
            status, output, _errors = run(python, "-m", "pip", "show", "-f", "berth", cwd=folder)
            self.assertIn("berth/QtCore.pyi", output)
            self.assertIn("berth/py.typed", output)

    def test_the_sources(self):
        with open(os.path.join(ROOT, "python/setup.py"), encoding="utf-8") as file:
            functions = re.search(r"def with_io_uring\(\):\n(?: .*\n|\n)+"
                                  r"def library_sources\(\):\n(?: .*\n|\n)+", file.read()).group()
        names = {}
        exec("import glob, os, sys\n" + functions, names)  # pylint: disable=exec-used
        before = os.getcwd()
        os.chdir(os.path.join(ROOT, "python"))
        try:
            found = {os.path.realpath(path) for path in names["library_sources"]()}
        finally:
            os.chdir(before)
        self.assertEqual(found, {os.path.realpath(path) for path in SOURCES.split("|")})


BUILT, SOURCES = sys.argv[1:3]
unittest.main(argv=sys.argv[:1])
