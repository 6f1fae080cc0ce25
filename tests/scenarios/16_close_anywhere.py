"""Random calls on everything inside every handler, under the sanitizers: see chaos.c.

The whole form runs the program in the builds `asan` and `tsan`, which `make torture` makes, for
BERTH_SCENARIO_SECONDS each (60 unless told otherwise; the criterion's hour is 3600). The short form
runs it for two seconds in the build at hand.
"""

import json
import os
import shutil
import subprocess

from _scenario import BUILD, PATIENCE, Scenario, skip

SECONDS = int(os.environ.get("BERTH_SCENARIO_SECONDS", "60"))
OPTIONS = {
    "ASAN_OPTIONS": "detect_leaks=1:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1",
}


def calmly():
    """gcc 12's thread sanitizer cannot live with a randomised address space: see scripts/check."""
    setarch = shutil.which("setarch")
    command = [setarch, os.uname().machine, "-R"]
    return command if setarch and subprocess.run(command + ["true"]).returncode == 0 else []


def chaos(scenario, build, seconds, seed):
    path = os.path.join(build, "tests/scenarios/scenario-chaos")
    if not os.path.exists(path):
        skip("%s is not there: make torture builds it" % path)
    done = subprocess.run([*calmly(), path, str(seconds), str(seed)], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                          env={**os.environ, **OPTIONS}, timeout=seconds + PATIENCE)
    name = os.path.basename(build)
    if done.returncode == 77:
        skip(done.stdout.decode().strip())
    clean = done.returncode == 0 and not done.stderr
    scenario.figure(name + ", reports", "none in %d s" % seconds if clean else
                    done.stderr.decode(errors="replace")[-4000:] or done.returncode, clean)
    if not clean:
        return
    counts = json.loads(done.stdout)
    scenario.figure(name + ", random calls", "%(calls)d on %(connects)d clients" % counts,
                    counts["calls"] > 0 and counts["taken"] > 0)
    scenario.figure(name + ", listened again at once", "%d of %d times"
                    % (counts["rebinds"] - counts["unbound"], counts["rebinds"]),
                    counts["rebinds"] > 0 and counts["unbound"] == 0)
    scenario.figure(name + ", calls after the last", counts["late"], counts["late"] == 0)
    left = counts["blocks"] + counts["descriptors"]
    scenario.figure(name + ", blocks and descriptors left", left, left == 0)


with Scenario(16, "close anywhere",
              "clean under ASan and TSan for %d s each (the aim is 3600); port re-bindable at once"
              % SECONDS) as scenario:
    if scenario.short:
        chaos(scenario, BUILD, 2, 1)
    else:
        for name in ("asan", "tsan"):
            chaos(scenario, os.path.join(os.path.dirname(BUILD), name), SECONDS, 1)
