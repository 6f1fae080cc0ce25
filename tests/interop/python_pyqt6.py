"""Servers of the Python module against PyQt6: one program has to print the same with both."""

import _support

_support.same_as("PyQt6", "_pyqt6_servers.py")
