# A notifier for the descriptor of a connected socket, which the loop watches already.
import socket

from PySide2.QtCore import QCoreApplication, QSocketNotifier

from _kit import connected, say, until

app = QCoreApplication([])

device, peer = connected()
told = []
notifier = QSocketNotifier(device.socketDescriptor(), QSocketNotifier.Write)
notifier.activated.connect(lambda *_: (told.append(1), notifier.setEnabled(False)))
until(lambda: told, "room")
say("writable", len(told))
peer.sendall(b"x")
until(device.bytesAvailable, "input")
say(device.readAll())
peer.shutdown(socket.SHUT_WR)
until(lambda: int(device.state()) == 0, "the end")
