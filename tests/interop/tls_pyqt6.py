"""QSslServer and QSslSocket of the Python module against PyQt6: one program has to print the same with
both, of handshakes that succeed, that one side refuses, and that are none.
"""

import tempfile

import _support
from _tls import Certificate

with tempfile.TemporaryDirectory() as folder:
    made = [Certificate(folder, name) for name in ("one", "other")]
    _support.same_as("PyQt6", "_ssl_course.py", *(path for one in made for path in (one.file, one.key)))
