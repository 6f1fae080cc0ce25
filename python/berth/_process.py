"""QProcess and QProcessEnvironment: programs, over subprocess, with their pipes watched by the loop.

    start -> Starting -> (the loop, or a wait) Running, started -> NotRunning, finished

A program that cannot be executed fails with FailedToStart in the same place. The end of a process is
seen by its pidfd; what is in its pipes then is read before finished is emitted. A process that runs
when its QProcess ends is killed.

Left out: setupChildProcess(), which is not called, and setStandardOutputProcess().
"""

import os
import re
import subprocess
import threading
import time
import weakref

from . import _berth, _destroyed, _enums, _waits
from ._berth import QByteArray, QIODevice, QSocketNotifier, QTimer, Signal

_MODULE = "berth.QtCore"
_TEXTS = {1: "Process crashed", 2: "Process operation timed out", 3: "Error reading from process",
          4: "Error writing to process", 5: "Unknown error"}


class QProcessEnvironment:
    """Variables for a program"""

    def __init__(self, other=None):
        self._values = dict(other._values) if other is not None else {}

    @staticmethod
    def systemEnvironment():
        """Those of this process."""
        made = QProcessEnvironment()
        made._values = dict(os.environ)
        return made

    def insert(self, name, value=None):
        """Sets a variable, or all of another environment."""
        if isinstance(name, QProcessEnvironment):
            self._values.update(name._values)
        else:
            self._values[name] = value

    def remove(self, name):
        """Removes a variable."""
        self._values.pop(name, None)

    def contains(self, name):
        """Whether there is such a variable."""
        return name in self._values

    def value(self, name, defaultValue=""):
        """The value of a variable."""
        return self._values.get(name, defaultValue)

    def keys(self):
        """The names."""
        return list(self._values)

    def toStringList(self):
        """As "NAME=value"."""
        return [f"{name}={value}" for name, value in self._values.items()]

    def isEmpty(self):
        """Whether there is nothing."""
        return not self._values

    def clear(self):
        """Removes all."""
        self._values.clear()

    def swap(self, other):
        """Swaps two."""
        self._values, other._values = other._values, self._values

    def __eq__(self, other):
        if not isinstance(other, QProcessEnvironment):
            return NotImplemented
        return self._values == other._values

    __hash__ = None


def _split(command):
    """A program and its arguments: blanks end an argument unless they are in quotes; three quotes
    are one that belongs to it."""
    words, word, quoted = [], "", False
    for piece in re.findall(r'"+|\s+|[^"\s]+', command):
        if piece.startswith('"'):
            word += '"' * (len(piece) // 3)
            quoted ^= len(piece) % 3 == 1
        elif quoted or not piece.isspace():
            word += piece
        else:
            words.append(word)
            word = ""
    return [one for one in (*words, word) if one]


def _end(popen, pidfd):
    """Kills a process whose QProcess is gone."""
    os.close(pidfd)
    for file in (popen.stdin, popen.stdout, popen.stderr):
        if file is not None:
            file.close()
    if popen.poll() is None:
        popen.kill()
        popen.wait()


class QProcess(QIODevice):
    """QProcess(parent=None): runs a program"""

    locals().update(_enums.make(_MODULE, "QProcess", "ProcessState",
                                {"NotRunning": 0, "Starting": 1, "Running": 2}))
    locals().update(_enums.make(_MODULE, "QProcess", "ProcessError",
                                {"FailedToStart": 0, "Crashed": 1, "Timedout": 2, "ReadError": 3,
                                 "WriteError": 4, "UnknownError": 5}))
    locals().update(_enums.make(_MODULE, "QProcess", "ExitStatus",
                                {"NormalExit": 0, "CrashExit": 1}))
    locals().update(_enums.make(_MODULE, "QProcess", "ProcessChannel",
                                {"StandardOutput": 0, "StandardError": 1}))
    locals().update(_enums.make(_MODULE, "QProcess", "ProcessChannelMode",
                                {"SeparateChannels": 0, "MergedChannels": 1,
                                 "ForwardedChannels": 2, "ForwardedOutputChannel": 3,
                                 "ForwardedErrorChannel": 4}))
    locals().update(_enums.make(_MODULE, "QProcess", "InputChannelMode",
                                {"ManagedInputChannel": 0, "ForwardedInputChannel": 1}))

    started = Signal()
    finished = Signal((int, object), (int,))
    stateChanged, errorOccurred = Signal(object), Signal(object)
    error = Signal(object)._with(lambda self: self._failure)
    readyReadStandardOutput, readyReadStandardError = Signal(), Signal()

    _block = 0  # what was read from the pipes is in the buffers here

    def __init__(self, parent=None, **more):
        super().__init__(parent, **more)
        self._program, self._arguments = "", []
        self._now, self._failure = QProcess.NotRunning, QProcess.UnknownError
        self._code, self._how = 0, QProcess.NormalExit
        self._folder, self._variables = "", None
        self._channels, self._input_mode = QProcess.SeparateChannels, QProcess.ManagedInputChannel
        self._files, self._channel = {}, 0
        self._forget()
        self._got = [b"", b""]
        self.destroyed.connect(_destroyed.Last(self._abandon))

    def _forget(self):
        self._popen = self._pidfd = self._finalizer = None
        self._outcome = None  # of start(), to be announced
        self._pipes, self._watches = {}, {}  # by "out", "err", "in" and "end"
        self._to_write, self._closing = b"", False

    def _abandon(self):
        if self._finalizer is not None:
            self._finalizer()

    # ---- starting ----

    def start(self, *args):
        """start(program, arguments=[], mode=ReadWrite), start(command), or start()"""
        if self._now != QProcess.NotRunning:
            return
        mode = QIODevice.ReadWrite
        if args and not isinstance(args[0], str):
            mode, args = args[0], ()
        elif len(args) > 1 and not isinstance(args[1], (list, tuple)):
            mode, args = args[1], args[:1]
        elif len(args) > 2:
            mode = args[2]
        if len(args) == 1:
            self._program, *self._arguments = _split(args[0]) or [""]
        elif args:
            self._program, self._arguments = args[0], [str(one) for one in args[1]]
        self._forget()
        self._got, self._channel = [b"", b""], self._channel
        QIODevice.open(self, int(mode))
        self._code, self._how = 0, QProcess.NormalExit
        streams = self._redirect()
        if streams is None:
            return
        self._change(QProcess.Starting)
        self._outcome = self._spawn(streams)
        QTimer.singleShot(0, self._announce)

    def startCommand(self, command, mode=3):
        """start(command), as later versions call it."""
        self.start(command, QIODevice.OpenMode(int(mode)))

    @staticmethod
    def splitCommand(command):
        """A program and its arguments, which start(command) would take."""
        return _split(command)

    def open(self, mode=3):
        """The same as start(mode)."""
        self.start(mode)
        return self._program != ""

    def _redirect(self):
        """The input, output and errors of the program, if their files can be opened."""
        channels, streams = self._channels, {}
        for name, pipe, forwarded in (
                ("in", subprocess.PIPE if self._mode & 2 else subprocess.DEVNULL,
                 self._input_mode == QProcess.ForwardedInputChannel),
                ("out", subprocess.PIPE, channels in (2, 3)),
                ("err", subprocess.PIPE, channels in (2, 4))):
            path, truncate = self._files.get(name, (None, False))
            try:
                streams[name] = (None if forwarded else pipe) if path is None else open(
                    path, "rb" if name == "in" else "wb" if truncate else "ab")
            except OSError:
                self._close_files(streams)
                self._fail(QProcess.FailedToStart, "Could not open " + (
                    "input redirection for reading" if name == "in" else
                    "output redirection for writing"))
                return None
        return streams

    @staticmethod
    def _close_files(streams):
        for stream in streams.values():
            if hasattr(stream, "close"):
                stream.close()

    def _spawn(self, streams):
        """Executes the program. Returns "", or why that failed."""
        merged = self._channels == QProcess.MergedChannels
        try:
            self._popen = subprocess.Popen(
                [self._program, *self._arguments], bufsize=0, stdin=streams["in"],
                stdout=streams["out"], stderr=subprocess.STDOUT if merged else streams["err"],
                cwd=self._folder or None,
                env=self._variables._values if self._variables is not None else None)
        except (OSError, ValueError) as failure:
            number = getattr(failure, "errno", None)
            where = "execvp" if self._variables is None else "execve"
            if getattr(failure, "filename", None) == self._folder != "":
                where = "chdir"
            return f"{where}: {os.strerror(number)}" if number else str(failure)
        finally:
            self._close_files(streams)
        try:
            self._pidfd = os.pidfd_open(self._popen.pid)
        except OSError as failure:
            self._popen.kill()
            self._popen.wait()
            self._popen = None
            return f"pidfd_open: {os.strerror(failure.errno)}"
        self._finalizer = weakref.finalize(self, _end, self._popen, self._pidfd)
        return ""

    def _announce(self):
        """What start() has come to."""
        outcome, self._outcome = self._outcome, None
        if outcome is None:
            return
        if outcome:
            self._change(QProcess.NotRunning)
            QIODevice.close(self)
            self._fail(QProcess.FailedToStart, outcome)
            return
        popen = self._popen
        for name, file in (("out", popen.stdout), ("err", popen.stderr), ("in", popen.stdin)):
            if file is not None:
                os.set_blocking(file.fileno(), False)
                self._pipes[name] = file
        # Bound methods: a connection does not keep their object.
        self._watch("out", QSocketNotifier.Read, self._on_output)
        self._watch("err", QSocketNotifier.Read, self._on_errors)
        self._watch("end", QSocketNotifier.Read, self._ended)
        self._change(QProcess.Running)
        self.started.emit()
        self._write_out()

    def _watch(self, name, kind, call):
        descriptor = self._pidfd if name == "end" else \
            self._pipes[name].fileno() if name in self._pipes else None
        if descriptor is not None:
            self._watches[name] = _berth.hide(QSocketNotifier(descriptor, kind, self))
            self._watches[name].activated.connect(call)

    def _unwatch(self, name):
        watch = self._watches.pop(name, None)
        if watch is not None:
            watch.setEnabled(False)
            watch.setParent(None)
            watch.deleteLater()

    def _close(self, name):
        self._unwatch(name)
        file = self._pipes.pop(name, None)
        if file is not None:
            file.close()

    # ---- states and errors ----

    def _change(self, state):
        if state != self._now:
            self._now = state
            self.stateChanged.emit(state)

    def _fail(self, number, text=None):
        self._failure, self._text = number, text or _TEXTS[int(number)]
        self.errorOccurred.emit(number)
        self.error.emit(number)

    def state(self):
        """Whether it runs."""
        return self._now

    def exitCode(self):
        """The code, or the signal that has ended it."""
        return self._code

    def exitStatus(self):
        """Whether it ended by itself."""
        return self._how

    def processId(self):
        """The number of the process, or 0."""
        return self._popen.pid if self._popen is not None and self._now == 2 else 0

    pid = processId

    # ---- the pipes ----

    def _on_output(self, *_notified):
        self._read("out")

    def _on_errors(self, *_notified):
        self._read("err")

    def _read(self, name):
        """Reads what is in a pipe. Returns whether something was."""
        file = self._pipes.get(name)
        if file is None:
            return False
        try:
            data = file.read(65536)
        except OSError:
            data = b""
        if data is None:
            return False
        if not data:
            self._close(name)
            return False
        channel = int(name == "err")
        self._got[channel] += data
        (self.readyReadStandardError if channel else self.readyReadStandardOutput).emit()
        if channel == self._channel:
            self.readyRead.emit()
        return True

    def _write_out(self, *_notified):
        """Writes what fits into the pipe. Returns whether something did."""
        file, wrote = self._pipes.get("in"), 0
        if file is None:
            return False
        try:
            wrote = (file.write(self._to_write) or 0) if self._to_write else 0
        except OSError:
            self._to_write = b""
            self._close("in")
            self._fail(QProcess.WriteError)
            return False
        self._to_write = self._to_write[wrote:]
        if not self._to_write:
            self._unwatch("in")
            if self._closing:
                self._close("in")
        elif "in" not in self._watches:
            self._watch("in", QSocketNotifier.Write, self._write_out)
        if wrote:
            self.bytesWritten.emit(wrote)
        return wrote > 0

    def _ended(self, *_notified):
        if self._popen is None or self._popen.poll() is None:
            return
        for name in ("out", "err"):
            while self._read(name):
                pass
        code, self._popen = self._popen.returncode, None
        self._finalizer.detach()
        for name in ("out", "err", "in", "end"):
            self._close(name)
        os.close(self._pidfd)
        self._pidfd = None
        self._code = abs(code)
        if code < 0:
            self._how = QProcess.CrashExit
            self._fail(QProcess.Crashed)
        self._change(QProcess.NotRunning)
        self.readChannelFinished.emit()
        self.finished.emit(self._code, self._how)
        self.finished[int].emit(self._code)

    # ---- the device ----

    def isSequential(self):
        return True

    def bytesAvailable(self):
        return len(self._ahead) + len(self._got[self._channel])

    def bytesToWrite(self):
        return len(self._to_write)

    def canReadLine(self):
        return b"\n" in self._ahead + self._got[self._channel]

    def readData(self, maxlen):
        got = self._got[self._channel]
        data, self._got[self._channel] = got[:maxlen], got[maxlen:]
        return data

    def readLine(self, maxlen=0):
        whole = self._ahead + self._got[self._channel]
        line, newline, _rest = whole.partition(b"\n")
        size = len(line + newline)
        return QByteArray(bytes(self.read(min(size, maxlen - 1) if maxlen > 0 else size) or b""))

    def writeData(self, data, size=None):
        return self._put(bytes(data))

    def _put(self, data):
        if self._now == QProcess.NotRunning or self._closing:
            return 0
        self._to_write += data
        if self._now == QProcess.Running and "in" in self._pipes and "in" not in self._watches:
            self._watch("in", QSocketNotifier.Write, self._write_out)
        return len(data)

    def _all(self, channel):
        ahead = b""
        if channel == self._channel:
            ahead, self._ahead = self._ahead, b""
        data, self._got[channel] = ahead + self._got[channel], b""
        return QByteArray(data)

    def readAllStandardOutput(self):
        """What it has printed."""
        return self._all(0)

    def readAllStandardError(self):
        """What it has printed as errors."""
        return self._all(1)

    def readChannel(self):
        """What read() reads."""
        return QProcess.ProcessChannel(self._channel)

    def setReadChannel(self, channel):
        """Sets what read() reads."""
        self._got[self._channel], self._ahead = self._ahead + self._got[self._channel], b""
        self._channel = int(channel)

    def closeWriteChannel(self):
        """Ends its input, when what waits is written."""
        self._closing = True
        if self._now == QProcess.Running:
            self._write_out()

    def closeReadChannel(self, channel):
        """Drops what it prints."""
        self._close("err" if int(channel) else "out")

    def close(self):
        """Kills it, and waits for its end."""
        if self._now != QProcess.NotRunning:
            self.kill()
            self.waitForFinished(-1)
        QIODevice.close(self)

    def terminate(self):
        """Asks it to end (SIGTERM)."""
        if self._popen is not None:
            self._popen.terminate()

    def kill(self):
        """Ends it (SIGKILL)."""
        if self._popen is not None:
            self._popen.kill()

    # ---- waits ----

    def _wait(self, msecs, condition):
        """Serves the pipes until the condition holds; whether it does."""
        end = None if msecs < 0 else time.monotonic() + msecs / 1000
        self._announce()
        while not condition():
            if self._now == QProcess.NotRunning:
                return False
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0 and msecs:
                self._failure, self._text = QProcess.Timedout, _TEXTS[2]
                return False
            pipes = {name: pipe.fileno() for name, pipe in self._pipes.items()}
            writes = [pipes["in"]] if self._to_write and "in" in pipes else []
            ready = _waits.ready(
                [*(pipes[name] for name in ("out", "err") if name in pipes), self._pidfd], writes,
                None if left is None else left * 1000)
            if not ready and msecs == 0:
                self._failure, self._text = QProcess.Timedout, _TEXTS[2]
                return False
            for name in ("out", "err"):
                if pipes.get(name) in ready:
                    self._read(name)
            if ready.intersection(writes):
                self._write_out()
            if self._pidfd in ready and not condition():
                self._ended()
        return True

    def waitForStarted(self, msecs=30000):
        """Whether it runs."""
        self._announce()
        return self._now == QProcess.Running

    def waitForReadyRead(self, msecs=30000):
        """Whether it prints something before the time is over."""
        before = len(self._got[self._channel])
        return self._wait(msecs, lambda: len(self._got[self._channel]) > before)

    def waitForBytesWritten(self, msecs=30000):
        """Whether something is written to it before the time is over."""
        before = len(self._to_write)
        return before > 0 and self._wait(msecs, lambda: len(self._to_write) < before)

    def waitForFinished(self, msecs=30000):
        """Whether it ends before the time is over."""
        self._announce()
        if self._now == QProcess.NotRunning:
            return False
        return self._wait(msecs, lambda: self._now == QProcess.NotRunning)

    # ---- what is executed ----

    def setWorkingDirectory(self, dir):
        """Sets the directory that it begins in."""
        self._folder = dir

    def workingDirectory(self):
        """The directory that it begins in."""
        return self._folder

    def setProcessEnvironment(self, environment):
        """Sets its variables."""
        self._variables = QProcessEnvironment(environment)

    def processEnvironment(self):
        """Its variables."""
        return QProcessEnvironment(self._variables)

    def setEnvironment(self, environment):
        """Sets its variables, as "NAME=value"."""
        self._variables = QProcessEnvironment()
        for one in environment:
            self._variables.insert(*one.split("=", 1))

    def environment(self):
        """Its variables, as "NAME=value"."""
        return self.processEnvironment().toStringList()

    @staticmethod
    def systemEnvironment():
        """The variables of this process, as "NAME=value"."""
        return QProcessEnvironment.systemEnvironment().toStringList()

    def setStandardInputFile(self, fileName):
        """Its input comes from a file."""
        self._files["in"] = fileName, False

    def setStandardOutputFile(self, fileName, mode=8):
        """What it prints goes to a file; Append keeps what is there."""
        self._files["out"] = fileName, not int(mode) & 4

    def setStandardErrorFile(self, fileName, mode=8):
        """Its errors go to a file; Append keeps what is there."""
        self._files["err"] = fileName, not int(mode) & 4

    @staticmethod
    def nullDevice():
        """The file that is empty."""
        return os.devnull

    @staticmethod
    def execute(program, arguments=None):
        """Runs a program to its end; its code, -2 if it cannot be executed, -1 if it crashes."""
        command = _split(program) if arguments is None else [program, *arguments]
        try:
            code = subprocess.call(command)
        except OSError:
            return -2
        return code if code >= 0 else -1

    @staticmethod
    def _detach(command, folder=None, variables=None):
        try:
            popen = subprocess.Popen(command, cwd=folder or None, start_new_session=True,
                                     env=variables)
        except OSError:
            return False, 0
        threading.Thread(target=popen.wait, daemon=True).start()
        return True, popen.pid

    def _start_detached(self):
        """startDetached(), or QProcess.startDetached(program, arguments, directory): executes a
        program that goes on by itself"""
        return QProcess._detach([self._program, *self._arguments], self._folder,
                                self._variables._values if self._variables else None)


def _detached(program, arguments=None, workingDirectory=None):
    command = _split(program) if arguments is None else [program, *arguments]
    done = QProcess._detach(command, workingDirectory)
    return done[0] if workingDirectory is None else done


class _StartDetached:
    """startDetached, of an object and of the class."""

    _static = True
    __doc__ = QProcess._start_detached.__doc__

    def __get__(self, instance, owner=None):
        if instance is None:
            return _detached
        return lambda *args: _detached(*args) if args else instance._start_detached()


QProcess.startDetached = _StartDetached()


def _property(name, field, kind=None):
    def get(self):
        return getattr(self, field)

    def put(self, value):
        setattr(self, field, kind(int(value)) if kind else value)
    get.__doc__, put.__doc__ = f"The {name}.", f"Sets the {name}."
    get.__name__, put.__name__ = name, "set" + name[0].upper() + name[1:]
    setattr(QProcess, get.__name__, get)
    setattr(QProcess, put.__name__, put)


for _entry in (("program", "_program"), ("arguments", "_arguments"),
               ("processChannelMode", "_channels", QProcess.ProcessChannelMode),
               ("inputChannelMode", "_input_mode", QProcess.InputChannelMode)):
    _property(*_entry)

QProcess.__module__ = QProcessEnvironment.__module__ = _MODULE
