"""io_uring is refused, in each way in which sandboxes and administrators do it.

With a free choice the server runs on epoll and can say why; with io_uring forced it says why it
does not run. With epoll chosen no io_uring call is made at all, which a filter that kills for one
shows. The suite of behaviours passes in the sandbox, too. (The switch kernel.io_uring_disabled
belongs to the whole machine, and is not touched: the kernel then answers EPERM, as the filter
does.)
"""

import errno
import os
import subprocess

from _scenario import BACKEND, PATIENCE, Scenario, program

ERRORS = ("EPERM", "ENOSYS", "EOPNOTSUPP", "EACCES", "ENOMEM")


def serve(scenario, sandbox, choice):
    """Whether a server in that sandbox serves; its first line and how many it served."""
    server = scenario.server("echo", before=[program("refuse"), sandbox],
                             environment={"BERTH_BACKEND": choice})
    counts = scenario.flood("transfer", server.port, total=20, parallel=4, size=10000)
    server.stop()
    return server.hello, counts["good"]


def suite(sandbox, choice, most):
    """Runs the cases of tests/behaviour; returns those that pass, and the names of those that do not."""
    names = subprocess.run([program("behaviour"), "--list"], stdout=subprocess.PIPE,
                           timeout=PATIENCE)
    names = [line.split()[0] for line in names.stdout.decode().splitlines() if line.strip()]
    passed, failed = 0, []
    for name in names[::max(1, len(names) // most)]:
        done = subprocess.run(
            [program("refuse"), sandbox, program("behaviour"), "--case", name],
            env={**os.environ, "BERTH_BACKEND": choice}, timeout=240,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        passed += done.returncode == 0
        if done.returncode not in (0, 77):
            failed.append(name)
    return passed, failed


with Scenario(12, "io_uring refused",
              "epoll used, reason readable, suite green; with epoll chosen no io_uring call at all"
              ) as scenario:
    if BACKEND == "epoll":
        hello, good = serve(scenario, "kill", "epoll")
        scenario.figure("epoll chosen, killed for any io_uring call", "%d of 20 served" % good,
                        good == 20 and hello["backend"] == "epoll")
        sandbox, choice = "kill", "epoll"
    else:
        for name in ERRORS:
            hello, good = serve(scenario, str(getattr(errno, name)), "auto")
            words = os.strerror(getattr(errno, name)).lower()
            scenario.figure(name, "%s, \"%s\", %d of 20 served" % (hello["backend"],
                                                                   hello["reason"],
                                                                 good),
                            hello["backend"] == "epoll" and good == 20 and
                            hello["reason"].startswith("io_uring refused: ") and
                            words in hello["reason"].lower())
        forced = subprocess.run([program("refuse"), "1", program("server"), "echo"],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE)
        reason = forced.stderr.decode().strip()
        scenario.figure("io_uring forced", "\"%s\"" % reason,
                        forced.returncode == 77 and "io_uring" in reason)
        sandbox, choice = str(errno.EPERM), "auto"
    passed, failed = suite(sandbox, choice, 20 if scenario.short else 10000)
    scenario.figure("behaviours in the sandbox", "%d pass, %d fail %s"
                    % (passed, len(failed), " ".join(failed)), passed > 0 and not failed)
