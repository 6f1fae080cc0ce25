"""A program of docs/howto is content with itself, and says why if it cannot listen or has no loop.

    run.py TAKEN PROBE PROGRAM [ARGUMENT...]

TAKEN: see tests/guide/refused.py. The probe says whether the backend can be used here; if not, the test is skipped.
"""

import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../guide"))
import refused

taken, probe, *command = sys.argv[1:]
taken = refused.library(taken)
status = subprocess.run([probe], timeout=20).returncode
if status:
    sys.exit(status)
status, listens, output = refused.run(taken, command, timeout=50)
print(output, end="")
assert status == 0, "%s ended with %d" % (command, status)
assert listens or not taken, "%s has not listened" % command
refused.check(taken, command, listens)
refused.check_backend(command)
