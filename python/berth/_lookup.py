"""Looking a host's name up in a thread, for sockets that are not the library's."""

import socket
import threading

from . import _berth
from ._berth import QObject, Signal


class Lookup(QObject):
    """Emits done with the addresses of a name, as a list of texts; an empty one if there are none."""

    done = Signal(list)

    def __init__(self, parent, name):
        super().__init__(parent)
        _berth.hide(self)
        self._name, self._addresses = name, []
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self):
        """Begins."""
        self._thread.start()

    def _run(self):
        try:
            found = socket.getaddrinfo(self._name, None, type=socket.SOCK_DGRAM)
        except (OSError, UnicodeError):
            found = []
        addresses = []
        for entry in found:
            if entry[4][0] not in addresses:
                addresses.append(entry[4][0])
        self._addresses = addresses
        try:
            self.done.emit(addresses)  # queued, since this is another thread
        except RuntimeError:
            pass  # the socket has gone meanwhile

    def wait(self, seconds):
        """Waits for the answer, and announces it here."""
        self._thread.join(seconds)
        if not self._thread.is_alive():
            self.done.emit(self._addresses)
