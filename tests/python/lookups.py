"""QHostInfo.lookupHost: what a slot may be, look-ups that are given up, and forks. Names of this host."""

import gc
import subprocess
import sys
import threading
import unittest

from _servers import until
from berth.QtCore import SLOT, QCoreApplication, QObject, QThread
from berth.QtNetwork import QHostInfo


FORKS = """
import os
import berth
from berth.QtCore import QCoreApplication
from berth.QtNetwork import QHostInfo

app = QCoreApplication([])


def look():
    got = []
    QHostInfo.lookupHost("localhost", lambda info: (got.append(info), app.quit()))
    app.exec_()
    return int(got[0].error())


assert look() == 0
child = os.fork()
if not child:
    berth.after_fork()
    os._exit(look() + 7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
"""


class Receiver(QObject):
    def __init__(self):
        super().__init__()
        self.got = []

    def take(self, info):
        self.got.append((info.lookupId(), info.error(), QThread.currentThread()))


class Lookups(unittest.TestCase):
    def wait(self, receiver, count=1):
        until(lambda: len(receiver.got) >= count)

    def test_receiver_and_member(self):
        receiver = Receiver()
        numbers = [QHostInfo.lookupHost("localhost", receiver, SLOT("take(QHostInfo)")),
                   QHostInfo.lookupHost("localhost", receiver, receiver.take),
                   QHostInfo.lookupHost("localhost", receiver.take)]
        self.wait(receiver, 3)
        self.assertEqual(sorted(one[0] for one in receiver.got), numbers)
        self.assertEqual({one[2] for one in receiver.got}, {QThread.currentThread()})

    def test_given_up(self):
        given_up, kept = Receiver(), Receiver()
        for _ in range(20):
            QHostInfo.abortHostLookup(QHostInfo.lookupHost("localhost", given_up.take))
        QHostInfo.lookupHost("localhost", kept.take)
        self.wait(kept)
        QCoreApplication.processEvents()
        self.assertEqual(given_up.got, [])

    def test_in_its_own_slot(self):
        receiver = Receiver()

        def again(info):
            QHostInfo.abortHostLookup(info.lookupId())
            QHostInfo.lookupHost("", receiver.take)
        QHostInfo.lookupHost("localhost", again)
        self.wait(receiver)
        self.assertEqual(receiver.got[0][1], QHostInfo.HostNotFound)

    def test_a_receiver_that_goes(self):
        kept = Receiver()
        for _ in range(20):
            QHostInfo.lookupHost("localhost", Receiver().take)
        gc.collect()
        QHostInfo.lookupHost("localhost", kept.take)
        self.wait(kept)

    def test_many_threads(self):
        receiver = Receiver()
        threads = [threading.Thread(target=lambda: [QHostInfo.fromName("localhost") for _ in range(20)])
                   for _ in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(200):
            QHostInfo.lookupHost("localhost", receiver.take)
        self.wait(receiver, 200)
        for thread in threads:
            thread.join()
        self.assertEqual(len({one[0] for one in receiver.got}), 200)

    def test_child_of_a_fork(self):
        """The threads of the parent's look-ups are not there."""
        subprocess.run([sys.executable, "-c", FORKS], check=True, timeout=60)


if __name__ == "__main__":
    unittest.main()
