"""Processes: daemon, prefork of four, fork and exit, fork inside a handler, exec, multiprocessing.

Each part is a case of the behaviour suite or a test of the Python module, with real children; the
whole form repeats them, since a child and its parent race. A part judges itself: the parent serves
as before, the child works or fails with a text that names fork, and nothing is left open. Under
the address sanitizer, children that end by themselves are looked at too.
"""

import os
import subprocess
import sys

from _scenario import BUILD, HERE, PATIENCE, Scenario, program

PARTS = (
    ("daemon", ("daemon_goes_on", "children_of_children")),
    ("prefork of four", ("prefork_of_four",)),
    ("fork and exit", ("child_just_ends", "child_frees_the_loop", "child_ends_its_connections")),
    ("fork in a handler", ("handler_forks_and_returns", "handler_forks_and_takes_over",
                           "timer_forks")),
    ("output under way", ("child_goes_on_with_output", "child_completes_a_connect")),
    ("any other use", ("child_is_told_why", "child_makes_every_call")),
    ("workers and threads", ("child_frees_the_workers", "thread_forks_that_has_no_loop")),
    ("exec", ("no_descriptor_survives_exec",)),
)


def passes(command, **environment):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=2 * PATIENCE,
                          env=dict(os.environ, **environment))
    if done.returncode != 0:
        print(done.stdout.decode(errors="replace"), file=sys.stderr)
    return done.returncode == 0


with Scenario(23, "processes",
              "parent undisturbed; child works or fails with a text; nothing leaks into exec"
              ) as scenario:
    rounds = 1 if scenario.short else 25
    behaviour = program("behaviour")
    for name, cases in PARTS:
        good = sum(passes([behaviour, "--case", case], BERTH_OWN_NETWORK="1")
                   for case in cases for _ in range(rounds))
        scenario.figure(name, "%d of %d" % (good, rounds * len(cases)), good == rounds * len(cases))
    module = os.path.join(BUILD, "python")
    sanitized = "sanitize" in BUILD or "asan" in os.path.basename(BUILD)
    if os.path.isdir(os.path.join(module, "berth")) and not sanitized:
        good = sum(passes([sys.executable, os.path.join(HERE, "../python/processes.py")],
                          PYTHONPATH=module) for _ in range(min(rounds, 5)))
        scenario.figure("Python's fork and multiprocessing", "%d of %d" % (good, min(rounds, 5)),
                        good == min(rounds, 5))
