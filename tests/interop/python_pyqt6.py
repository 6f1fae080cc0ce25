"""Servers and look-ups of the Python module against PyQt6: programs have to print the same with both."""

import _support

for script in ("_pyqt6_servers.py", "_pyqt6_lookups.py"):
    _support.same_as("PyQt6", script)
