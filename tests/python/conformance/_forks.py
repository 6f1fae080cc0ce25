"""Runs scripts, each in a fork of a Python that has imported the bindings once.

    _forks.py PySide2|berth

For each line "SCRIPT<tab>OUTPUT<tab>ERRORS<tab>SECONDS" of the standard input a script is run as the
main program, with its output and errors in those files. The answer is a line: its status, as
subprocess has it, or "hangs" if it was ended after so many seconds. A fork ends as any Python does.
The bindings are only imported before; that takes longer than most scripts.
"""

import os
import signal
import sys


def requests():
    """The lines, read by the byte: what a fork has read ahead would be read twice."""
    line = b""
    while byte := os.read(0, 1):
        line += byte
        if byte == b"\n":
            yield line.decode().rstrip("\n").split("\t")
            line = b""


def wait(child, seconds):
    """The answer."""
    hangs = signal.sigtimedwait({signal.SIGCHLD}, seconds) is None
    if hangs:
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    if hangs:
        signal.sigtimedwait({signal.SIGCHLD}, 0)
    return "hangs" if hangs else str(os.waitstatus_to_exitcode(status))


def serve():
    """Returns in each fork, with its script."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    for script, output, errors, seconds in requests():
        child = os.fork()
        if child > 0:
            os.write(1, b"%s\n" % wait(child, int(seconds)).encode())
            continue
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        for descriptor, path in enumerate((os.devnull, output, errors)):
            opened = os.open(path, os.O_RDWR | os.O_APPEND)
            os.dup2(opened, descriptor)
            os.close(opened)
        return script
    sys.exit(0)


def run(script):
    """What berth.run does, without berth."""
    sys.argv[:] = [script]
    module = type(sys)("__main__")
    module.__file__, module.__builtins__ = script, __builtins__
    with open(script, "rb") as file:
        code = compile(file.read(), script, "exec")
    sys.modules["__main__"] = module
    exec(code, module.__dict__)


if sys.argv[1] == "berth":
    import berth.run
    berth.run.install()
from PySide2 import QtCore, QtNetwork  # noqa: E402,F401
if sys.argv[1] == "berth":
    sys.exit(berth.run.main([serve()]))
run(serve())
