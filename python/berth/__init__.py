"""TCP servers and clients with the names and the behaviour of PySide2.

Use ``berth.QtCore`` and ``berth.QtNetwork`` in the place of ``PySide2.QtCore`` and
``PySide2.QtNetwork``, or run a program unchanged with ``python3 -m berth.run program.py``.
"""

__version__ = "0.1.0"
