# Replies that refuse, and proxies that are none.
# spec: S6.14 S6.22
from PySide2 import QtCore

from _kit import Serving, refusing_port
from _proxies import answer_greeting, close_early, refuse, say_failure

application = QtCore.QCoreApplication([])
for code in range(1, 10):
    serving = Serving(refuse(code), refuse(code))
    say_failure("code %d" % code, serving.port)
    serving.listener.close()
for words in (b"HTTP/1.1 400", b"\4\0"):
    say_failure(repr(words), Serving(answer_greeting(words)).port)
say_failure("closed", Serving(close_early).port)
port, holder = refusing_port()
say_failure("nobody", port)
say_failure("unknown", 1080, host="no-such-name.invalid")
