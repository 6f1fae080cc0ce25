"""The loopback program in Python, on PySide2 and on the Python module.

spec: S8.11 S8.12 S8.13
"""

import _support

for side in _support.python_sides():
    for total, chunk in ((1, 1), (100000, 7), (8 << 20, 65536), (3000001, 1 << 20)):
        result = _support.run(_support.script(side, "loopback"), "--bytes", total, "--chunk", chunk)
        assert result.returncode == 0 and result.stderr == b"", (result.args, result.stderr)
        assert result.stdout == b"sent %d and received %d bytes\n" % (total, total), result.stdout
    result = _support.run(_support.script(side, "loopback"), "--bytes", 0)
    assert result.returncode == 2 and result.stdout == b"", result.stderr
