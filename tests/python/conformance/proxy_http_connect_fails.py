# Answers that refuse, and proxies that are none.
# spec: S6.29 S6.30
from PySide2 import QtCore

from _kit import Serving, exactly, refusing_port
from _proxies import P, answer, say_failure

application = QtCore.QCoreApplication([])


def attempt(what, port, **more):
    say_failure(what, port, kind=P.HttpProxy, **more)


for code in (201, 204, 302, 403, 404, 405, 500, 503):
    words = b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n" % code
    attempt("code %d" % code, Serving(answer(words), answer(words)).port)
attempt("not HTTP", Serving(answer(b"SSH-2.0-server\r\n\r\n")).port)
attempt("closed", Serving(lambda peer, seen: exactly(peer, 10)).port)
port, holder = refusing_port()
attempt("nobody", port)
attempt("unknown", 8080, host="no-such-name.invalid")
