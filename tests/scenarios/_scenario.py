"""What the scenarios share: the server under test, its balance, clients, namespaces, and the
verdict.

A scenario is a program:

    NAME.py [--short] [--record FILE]

It runs a Berth server on the backend that BERTH_BACKEND names, from the build folder in
BERTH_BUILD, drives it, prints each figure with what it has to be, and ends with 0 if all held, 1 if
not, and 77 with a reason if this machine lacks something. `--short` takes seconds and judges counts
only, never times; `--record` adds the verdict as a line of JSON to a file, for scripts/torture.

The course: `with Scenario(...) as scenario`, in it `scenario.server(...)`, `scenario.flood(...)`,
`scenario.figure(...)`. Every server has to end with the balance true and nothing left: that is
looked at when it is stopped, at the latest at the end of the scenario. Every wait is bounded, every
process started is ended by the object that started it, namespaces are deleted again.
"""

import atexit
import ctypes
import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.abspath(os.environ.get("BERTH_BUILD", os.path.join(HERE, "../../build/debug")))
BACKEND = os.environ.setdefault("BERTH_BACKEND", "epoll")
PATIENCE = 60  # seconds that anything here may take at most, unless it says so


def skip(reason):
    print("skipped:", reason)
    sys.stdout.flush()
    sys.exit(77)


def program(name):
    """A program of this folder or of tests/, from the build."""
    for path in ("tests/scenarios/scenario-" + name, "tests/" + name):
        if os.path.exists(os.path.join(BUILD, path)):
            return os.path.join(BUILD, path)
    skip("%s was not built" % name)


def tool(name, package=None):
    """A tool of the system; scripts/setup torture installs them all."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if not path:
        skip("%s is not installed (Debian: %s)" % (name, package or name))
    return path


def run(*command, **options):
    """Runs a tool to its end, and returns its output; a failure is an error of the scenario."""
    done = subprocess.run([str(part) for part in command], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=options.pop("timeout", PATIENCE), **options)
    output = done.stdout.decode(errors="replace")
    if done.returncode != 0:
        raise RuntimeError("%s: %s" % (" ".join(map(str, command)), output.strip()))
    return output


def is_sanitized():
    """Whether the build is one with a sanitizer, whose figures of time and memory say nothing."""
    with open(os.path.join(BUILD, "CMakeCache.txt")) as cache:
        return any(line.startswith("BERTH_SANITIZE:") and line.strip()[-1] != "=" for line in cache)


def percentile(values, part):
    ordered = sorted(values)
    return ordered[int(part * (len(ordered) - 1))] if ordered else 0.0


def until(condition, seconds=PATIENCE):
    """Waits until a condition holds; returns whether it came to that."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.002)
    return True


def hurry():
    """Has the calling thread, or the program about to be started, run before the machine's other work.

    What is timed is then the server, and not what else the machine has to do. Where that is not
    allowed it goes without.
    """
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except PermissionError:
        pass


class Server:
    """The server of server.c, or another program that speaks its language."""

    def __init__(self, scenario, mode, before=(), nofile=None, environment=None, may_fail=False,
                 program_name="server", urgent=False, **options):
        self.scenario = scenario
        self.may_fail = may_fail  # with a reason, and with nothing left behind
        self.errors = tempfile.TemporaryFile()
        self.final = None
        command = [*before, program(program_name), mode]
        command += ["%s=%d" % option for option in options.items()]

        def limit():
            if nofile:
                resource.setrlimit(resource.RLIMIT_NOFILE, (nofile, nofile))
            if urgent and scenario.timed:
                hurry()

        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors,
            env={**os.environ, **(environment or {})}, preexec_fn=limit)
        self.lines = []
        self.news = threading.Condition()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.hello = self._next_line()
        self.port = self.hello["port"] if self.hello else 0

    def _read(self):
        for line in self.process.stdout:
            with self.news:
                self.lines.append(json.loads(line))
                self.news.notify()
        with self.news:
            self.lines.append(None)
            self.news.notify()

    def _next_line(self):
        with self.news:
            if not self.news.wait_for(lambda: self.lines, PATIENCE):
                raise RuntimeError("the server does not answer")
            if self.lines[0] is None or self.lines[0].get("descriptors", -1) >= 0:
                return None  # the end, or what is told at the end, which stays for stop
            return self.lines.pop(0)

    def tell(self, command):
        """Sends a command; returns the counters after it."""
        try:
            self.process.stdin.write(command.encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        answer = self._next_line()
        if answer is None:
            raise RuntimeError("the server has ended: %s" % self.error_text())
        return answer

    def says(self):
        """The next line that it says by itself; None at its end."""
        return self._next_line()

    def stats(self):
        return self.tell("stats")

    def stats_when(self, **wanted):
        """The counters as soon as those named have these values; what they are in the end if that
        does not come about. For what is on its way when a client has already ended."""
        found = {}

        def reached():
            found.update(self.stats())
            return all(found[name] == value for name, value in wanted.items())

        until(reached)
        return found

    @property
    def pid(self):
        """Of the server itself, not of what it was started with."""
        return self.child_of(self.process.pid)

    def child_of(self, pid):
        with open("/proc/%d/task/%d/children" % (pid, pid)) as children:
            inner = children.read().split()
        return self.child_of(int(inner[0])) if inner else pid

    def cpu(self):
        """Seconds of processor time so far."""
        with open("/proc/%d/stat" % self.pid) as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self):
        """Resident bytes."""
        with open("/proc/%d/statm" % self.pid) as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def error_text(self):
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace").strip()

    def stop(self):
        """Ends the server; returns its last counters, None if it had no chance to tell them."""
        if self.final is None and self.process.poll() is None:
            try:
                self.process.stdin.write(b"quit\n")
                self.process.stdin.close()
            except BrokenPipeError:
                pass
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.reader.join(PATIENCE)
        told = [line for line in self.lines if line is not None]
        self.final = told[-1] if told else None
        self.process.stdout.close()
        self.scenario.judge(self)
        return self.final


class Network:
    """Two namespaces, `server` and `client`, with a wire between them unless wire=False."""

    def __init__(self, wire=True):
        if os.geteuid() != 0:
            skip("network namespaces need root")
        self.ip = tool("ip", "iproute2")
        name = "berth-%d-" % os.getpid()
        self.names = {side: name + side[0] for side in ("server", "client")}
        self.address = {"server": "10.99.0.1", "client": "10.99.0.2"}
        try:
            self.make(wire)
        except (RuntimeError, OSError, subprocess.TimeoutExpired) as error:
            skip("network namespaces cannot be had here: %s" % error)

    def make(self, wire):
        """Makes and tries all that the scenarios need of it: without a capability, or in a chroot,
        namespaces may be made and yet not be entered."""
        for namespace in self.names.values():
            atexit.register(subprocess.run, [self.ip, "netns", "del", namespace],
                            stderr=subprocess.DEVNULL)
            run(self.ip, "netns", "add", namespace)
            run(self.ip, "-n", namespace, "link", "set", "lo", "up")
        if wire:
            run(self.ip, "-n", self.names["server"], "link", "add", "wire", "type", "veth",
                "peer", "name", "wire", "netns", self.names["client"])
            for side in self.names:
                self.up(side, "wire")
        for side in self.names:
            run(*self.inside(side), "cat", "/proc/net/netstat", "/proc/net/snmp")
            thread = threading.Thread(target=self.try_to_enter, args=(side,))
            thread.start()
            thread.join()
        if self.refused:
            raise self.refused

    refused = None

    def try_to_enter(self, side):
        try:
            self.enter(side)
        except OSError as error:
            self.refused = error

    def up(self, side, device):
        run(self.ip, "-n", self.names[side], "address", "add", self.address[side] + "/24",
            "dev", device)
        run(self.ip, "-n", self.names[side], "link", "set", device, "up")

    def inside(self, side):
        """What to put before a command to have it run there."""
        return [self.ip, "netns", "exec", self.names[side]]

    def enter(self, side):
        """Moves the calling thread there; the sockets that it makes from then on live there."""
        libc = ctypes.CDLL(None, use_errno=True)
        with open("/run/netns/" + self.names[side]) as namespace:
            if libc.setns(namespace.fileno(), 0x40000000) != 0:  # CLONE_NEWNET
                raise OSError(ctypes.get_errno(), "setns")

    def backlog(self, side, port):
        """Connections that the kernel keeps for a listener."""
        ss = tool("ss", "iproute2")
        line = run(*self.inside(side), ss, "-Hltn", "sport", "=", ":%d" % port)
        return int(line.split()[1]) if line.split() else 0

    def counter(self, side, name):
        """One of the kernel's counters, as ListenOverflows."""
        text = run(*self.inside(side), "cat", "/proc/net/netstat", "/proc/net/snmp")
        lines = text.splitlines()
        for names, values in zip(lines[::2], lines[1::2]):
            if name in names.split():
                return int(values.split()[names.split().index(name)])
        raise KeyError(name)


class Pinger(threading.Thread):
    """A good client: sends a word over one connection again and again, and times the echoes."""

    def __init__(self, port, pause=0.002, host="127.0.0.1", urgent=False):
        super().__init__(daemon=True)
        self.socket = socket.create_connection((host, port), timeout=PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.pause = pause
        self.times = []
        self.lost = 0
        self.urgent = urgent
        self.ending = threading.Event()
        self.start()

    def run(self):
        if self.urgent:
            hurry()
        while not self.ending.is_set():
            begun = time.perf_counter()
            try:
                self.socket.sendall(b"ping")
                left = 4
                while left > 0:
                    got = len(self.socket.recv(left))
                    if got == 0:
                        raise ConnectionError
                    left -= got
            except OSError:
                self.lost += 1
                return
            self.times.append((time.perf_counter() - begun) * 1000)
            time.sleep(self.pause)

    def take(self):
        """The times since the last call, in milliseconds."""
        taken, self.times = self.times, []
        return taken

    def stop(self):
        self.ending.set()
        self.join(PATIENCE)
        self.socket.close()


class Lateness:
    """How late this machine wakes a program that asked for a moment, at the priority of hurry()."""

    PROGRAM = ("import sys, time, threading\n"
               "threading.Thread(target=sys.stdin.read, daemon=True).start()\n"
               "worst = 0\n"
               "while threading.active_count() > 1:\n"
               "    begun = time.perf_counter()\n"
               "    time.sleep(0.001)\n"
               "    worst = max(worst, time.perf_counter() - begun - 0.001)\n"
               "print(worst * 1000)\n")

    def __init__(self):
        self.process = subprocess.Popen([sys.executable, "-c", self.PROGRAM], preexec_fn=hurry,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def stop(self):
        """The worst so far, in milliseconds."""
        return float(self.process.communicate(timeout=PATIENCE)[0])


class Scenario:
    def __init__(self, number, title, criterion):
        self.number, self.title, self.criterion = number, title, criterion
        self.short = "--short" in sys.argv
        self.record = sys.argv[sys.argv.index("--record") + 1] if "--record" in sys.argv else None
        self.figures, self.failures, self.servers = [], [], []
        self.notes = []
        self.stopped = 0
        self.accepted = 0
        self.sanitized = is_sanitized()
        # What has timing in it is judged only where times mean something.
        self.timed = not self.short and not self.sanitized
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(20000, hard), hard))

    def __enter__(self):
        print("scenario %d, %s, on %s" % (self.number, self.title, BACKEND))
        print("criterion: %s" % self.criterion)
        sys.stdout.flush()
        return self

    def figure(self, name, value, holds=None, timing=False):
        """Notes a figure; `holds` says whether it is as it has to be, None that nothing is asked."""
        judged = holds is not None and (self.timed or not timing)
        verdict = "" if not judged else "  holds" if holds else "  DOES NOT HOLD"
        print("  %s: %s%s" % (name, value, verdict))
        sys.stdout.flush()
        self.figures.append("%s %s" % (name, value))
        if judged and not holds:
            self.failures.append("%s: %s" % (name, value))

    def note(self, text):
        """Something the row of the table has to say besides the figures."""
        print("  note: " + text)
        self.notes.append(text)

    def server(self, mode, **options):
        server = Server(self, mode, **options)
        if server.hello is None and server.may_fail:
            server.stop()
        elif server.hello is None:
            server.process.wait(PATIENCE)
            if server.process.returncode == 77:
                skip(server.error_text())
            raise RuntimeError("the server did not begin: " + server.error_text())
        if server.hello is not None:
            self.servers.append(server)
        return server

    def judge(self, server):
        """A server has ended: the balance, and what is left."""
        if server in self.servers:
            self.servers.remove(server)
        self.stopped += 1
        final, status, text = server.final, server.process.returncode, server.error_text()
        failed = status != 0 or final is None or text
        if failed and server.may_fail and status in (2, 77) and text.startswith("server: "):
            if final is None:
                return  # it never began, and ended without a loop
        elif failed:
            self.failures.append("a server ended with %s: %s" % (status, text[-2000:]))
            return
        self.accepted += final["accepted"]
        became = sum(final[what] for what in ("delivered", "queued", "rejected", "failed",
                                              "dropped",
                                              "closed_pending"))
        if final["accepted"] != became or final["delivered"] != final["begun"] or \
                final["begun"] != final["ended"] + final["open"]:
            self.failures.append("the balance is wrong: %s" % final)
        for what in ("blocks", "descriptors", "late", "open"):
            if final[what] != 0:
                self.failures.append("%d %s left" % (final[what], what))

    def flood(self, mode, port, before=(), **options):
        """Runs the clients of flood.c to their end; returns their counts."""
        return self.start_flood(mode, port, before, **options)()

    def start_flood(self, mode, port, before=(), **options):
        """The same in the background; what is returned waits for the end."""
        options.setdefault("seconds", 50)
        command = [*before, program("flood"), mode, str(port)]
        command += ["%s=%s" % option for option in options.items()]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        atexit.register(process.kill)

        def finish():
            output, _ = process.communicate(timeout=options["seconds"] + PATIENCE)
            if process.returncode != 0:
                raise RuntimeError("flood ended with %d" % process.returncode)
            return json.loads(output.splitlines()[-1])

        finish.process = process
        return finish

    def __exit__(self, kind, error, trace):
        if kind is SystemExit:
            return False
        for server in list(self.servers):
            server.stop()
        if error is not None:
            import traceback
            traceback.print_exception(kind, error, trace)
            self.failures.append("%s: %s" % (kind.__name__, error))
        if self.stopped:
            print("  balance: %d accepted by %d servers, nothing left" % (self.accepted,
                                                                          self.stopped)
                  if not self.failures else "  balance: see below")
        for failure in self.failures:
            print("  FAILED: " + failure)
        print("scenario %d on %s %s" % (self.number, BACKEND,
                                        "holds" if not self.failures else "does not hold"))
        if self.record:
            with open(self.record, "a") as record:
                record.write(json.dumps({
                    "number": self.number, "title": self.title, "backend": BACKEND,
                    "criterion": self.criterion, "figures": self.figures, "notes": self.notes,
                    "failures": self.failures, "holds": not self.failures}) + "\n")
        sys.stdout.flush()
        sys.exit(1 if self.failures else 0)
