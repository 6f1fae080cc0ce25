"""Waiting for descriptors, whatever their numbers are: select() takes those below 1024 only."""

import select

_MOST = 2**31 - 1  # milliseconds that poll() takes


def ready(reads, writes=(), milliseconds=None):
    """Waits until a descriptor can be read, or one of the others written; None for no limit.

    Returns those that are ready, or whose other end has gone. A signal's handler that raises ends it.
    """
    poll = select.poll()
    for descriptor in reads:
        poll.register(descriptor, select.POLLIN)
    for descriptor in writes:
        poll.register(descriptor, select.POLLOUT)
    if milliseconds is not None:
        milliseconds = min(max(milliseconds, 0), _MOST)
    return {descriptor for descriptor, _events in poll.poll(milliseconds)}
