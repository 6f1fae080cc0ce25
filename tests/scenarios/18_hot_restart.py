"""Hot restarts under load: by a hand-over, and beside it what else is done.

Visitors connect, ask for a page and read it, again and again, while the server is replaced. Each
visit that is refused, reset or ended without its page is a loss. The same visitors come to servers
that share the port by SO_REUSEPORT, where the backlog of one that closes is lost, and of one that
drains almost never; to nginx, which is replaced by USR2 and QUIT; and to HAProxy, which gets its
listeners by -x and ends the old one by -sf. Those are only reported.

At the end a connection is left open in the middle of a request: the old process has to be gone soon
after the deadline of its drain.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from _restart import DEADLINE, Successors, free_port, judge_times, losses, lost, visit_while
from _scenario import PATIENCE, Scenario, until

LAST_DEADLINE = 500  # milliseconds, of a drain

# ---- ours ----


def end_at_the_deadline(scenario, successors):
    """A peer in the middle of a request is there until the deadline."""
    successors.replace(deadline=LAST_DEADLINE)
    with socket.create_connection(("127.0.0.1", successors.port), timeout=PATIENCE) as peer:
        peer.sendall(b"GET / HTTP/1.0\r\n")
        until(lambda: False, 0.1)
        successors.replace()
        gone = successors.gone[-1]
        scenario.figure("old process with an open connection gone after",
                        "%.0f ms of %d ms" % (gone, LAST_DEADLINE),
                        LAST_DEADLINE <= gone <= LAST_DEADLINE + 100, timing=True)


# ---- others ----


def nginx(scenario, folder, count):
    nginx_path = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if not nginx_path:
        scenario.note("nginx is not installed")
        return
    port, pid_file = free_port(), os.path.join(folder, "nginx.pid")
    config = os.path.join(folder, "nginx.conf")
    with open(config, "w") as file:
        file.write("pid %s; error_log %s/error.log; worker_processes 1;\n"
                   "events { worker_connections 1024; }\n"
                   "http { access_log off; client_body_temp_path %s/b; proxy_temp_path %s/p;\n"
                   "fastcgi_temp_path %s/f; uwsgi_temp_path %s/u; scgi_temp_path %s/s;\n"
                   "server { listen 127.0.0.1:%d backlog=1024; return 200 ok; } }\n"
                   % (pid_file, *[folder] * 6, port))

    def pid():
        try:
            with open(pid_file) as file:
                return int(file.read())
        except (OSError, ValueError):
            return 0

    def alive(process):
        """Or dead, and not yet waited for by whoever inherits orphans here."""
        try:
            with open("/proc/%d/stat" % process) as stat:
                return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
        except OSError:
            return False

    def has_worker(process):
        try:
            with open("/proc/%d/task/%d/children" % (process, process)) as children:
                return bool(children.read().split())
        except OSError:
            return False

    def replace():
        old = pid()
        os.kill(old, signal.SIGUSR2)
        until(lambda: pid() not in (0, old) and has_worker(pid()), 10)
        moment = time.monotonic() * 1e6
        os.kill(old, signal.SIGQUIT)
        until(lambda: not alive(old), 10)
        return moment

    begun = subprocess.run([nginx_path, "-c", config, "-p", folder], timeout=PATIENCE,
                           stderr=subprocess.DEVNULL)
    try:
        if begun.returncode != 0 or not until(lambda: pid() and has_worker(pid()), 10):
            scenario.note("nginx does not begin")
            return
        visits, _ = visit_while(scenario, port, folder, count, replace)
        scenario.figure("nginx by USR2, %d restarts" % count, losses(visits))
    finally:
        if pid():
            os.kill(pid(), signal.SIGTERM)


def haproxy(scenario, folder, count):
    path = shutil.which("haproxy", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if not path:
        scenario.note("HAProxy is not installed")
        return
    port, place = free_port(), os.path.join(folder, "haproxy.sock")
    config = os.path.join(folder, "haproxy.cfg")
    with open(config, "w") as file:
        file.write("global\n    stats socket %s mode 600 level admin expose-fd listeners\n"
                   "    nbthread 1\n    hard-stop-after 2s\n"
                   "defaults\n    mode http\n    timeout client 5s\n    timeout server 5s\n"
                   "    timeout connect 5s\n"
                   "frontend f\n    bind 127.0.0.1:%d backlog 1024\n"
                   "    http-request return status 200 content-type text/plain string ok\n"
                   % (place, port))
    running = [None]

    def begin(*more):
        return subprocess.Popen([path, "-db", "-f", config, *more], stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)

    def answers():
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return True
        except OSError:
            return False

    def replace():
        old = running[0]
        running[0] = begin("-x", place, "-sf", str(old.pid))
        old.wait(PATIENCE)
        return time.monotonic() * 1e6

    running[0] = begin()
    try:
        if not until(answers, 10):
            scenario.note("HAProxy does not begin")
            return
        visits, _ = visit_while(scenario, port, folder, count, replace)
        scenario.figure("HAProxy by -x and -sf, %d restarts" % count, losses(visits))
    finally:
        running[0].terminate()
        running[0].wait(PATIENCE)


with Scenario(18, "hot restart",
              "100 restarts under load: 0 refused, 0 reset; old process gone <= deadline + 100 ms;"
              " p99 of a hand-over <= 2x quiet") as scenario, \
        tempfile.TemporaryDirectory() as folder:
    rounds = 5 if scenario.short else 100
    successors = Successors(scenario, "handover", folder)
    visits, moments = visit_while(scenario, successors.port, folder, rounds, successors.replace)
    scenario.figure("hand-overs under load", "%d of %d" % (len(moments), rounds),
                    len(moments) == rounds)
    scenario.figure("visits", losses(visits), lost(visits) == 0 and len(visits) > 50 * rounds / 5)
    if not scenario.short:
        judge_times(scenario, visits, moments)
    scenario.figure("old process gone after at most", "%.0f ms" % max(successors.gone),
                    max(successors.gone) <= DEADLINE + 100, timing=True)
    end_at_the_deadline(scenario, successors)
    successors.server.stop()
    others = 2 if scenario.short else 100
    for how, farewell in (("closed", b"close\n"), ("drained", b"drain\n")):
        shared = Successors(scenario, "reuse_port", folder, farewell)
        visits, _ = visit_while(scenario, shared.port, folder, others, shared.replace)
        shared.server.stop()
        scenario.figure("SO_REUSEPORT, %s, %d restarts" % (how, others), losses(visits))
    if not scenario.sanitized:  # where there is nothing of ours to be seen
        nginx(scenario, folder, 1 if scenario.short else 100)
        haproxy(scenario, folder, 1 if scenario.short else 100)
