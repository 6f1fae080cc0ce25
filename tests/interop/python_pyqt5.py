"""Conventions of PyQt of the Python module against PyQt5: one program has to print the same with both."""

import _support

_support.same_as("PyQt5", "_pyqt5_conventions.py")
