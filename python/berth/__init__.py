"""TCP servers and clients with the names and the behaviour of PySide2.

Use ``berth.QtCore`` and ``berth.QtNetwork`` in the place of ``PySide2.QtCore`` and
``PySide2.QtNetwork``, or run a program unchanged with ``python3 -m berth.run program.py``.
"""

__version__ = "0.1.0"


def after_fork():
    """In a child of ``os.fork``, makes this thread's objects of before the fork the child's own.

    Without it they are still the parent's: the child may delete them, of which nobody notices
    anything, and has another event loop for what it makes itself. Call it in a daemon, or in a
    process that is to accept from a listener of its parent, before anything else of this package.
    In a process that has not been forked it does nothing. ``OSError`` if there is no loop to be had.
    """
    from berth import _berth
    _berth.after_fork()
