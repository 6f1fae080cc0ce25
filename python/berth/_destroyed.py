"""What is done when an object is destroyed that Python still has, by its parent for instance.

A bound method of the object is not called by its signal destroyed, and __del__ waits for the last
reference. A file must be written and closed at once, and a program ended.
"""

import weakref


class Last:
    """Calls a method of an object that is being destroyed; to be connected to its destroyed."""

    def __init__(self, method):
        self._method = weakref.WeakMethod(method)

    def __call__(self, *_args):
        method = self._method()
        if method is not None:
            method()
