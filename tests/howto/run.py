"""A program of docs/howto is content with itself.

    run.py PROBE PROGRAM [ARGUMENT...]

The probe says whether the backend can be used here; if not, the test is skipped.
"""

import subprocess
import sys

status = subprocess.run([sys.argv[1]], timeout=20).returncode
if status:
    sys.exit(status)
result = subprocess.run(sys.argv[2:], stdin=subprocess.DEVNULL, timeout=50)
assert result.returncode == 0, "%s ended with %d" % (sys.argv[2], result.returncode)
