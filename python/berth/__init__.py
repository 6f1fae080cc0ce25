"""TCP servers and clients with the names and the behaviour of PySide2.

Use ``berth.QtCore`` and ``berth.QtNetwork`` in place of ``PySide2.QtCore`` and
``PySide2.QtNetwork``, or run a program unchanged with ``python3 -m berth.run program.py``.
"""


def __getattr__(name):
    # Only the library has the version; it is loaded when somebody asks.
    if name == "__version__":
        from berth import _berth
        return _berth.version
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def after_fork():
    """Takes over the parent's objects of this thread, in a child of ``os.fork``.

    Without this call they remain the parent's. The child may delete them, which does not affect the
    parent, and its new objects get a new event loop.

    Call it in a daemon, or in a process that accepts from a listener of its parent, before any
    other function of this package. In a process that is no child of a fork it has no effect.
    Raises ``OSError`` if no event loop can be created.
    """
    from berth import _berth
    _berth.after_fork()
