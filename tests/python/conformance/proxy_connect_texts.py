# The texts of errors when connecting through a proxy.
# spec: S6.14 S6.22 S6.24 S6.28 S6.29 S6.30 S6.31
from PySide2 import QtCore

from _kit import Serving, refusing_port
from _proxies import P, answer, answer_greeting, close_early, refuse, refuse_password, say_failure

application = QtCore.QCoreApplication([])


def attempt(what, port, **more):
    say_failure(what, port, texts=True, **more)


for number in range(1, 9):
    attempt("code %d" % number, Serving(refuse(number), refuse(number)).port)
for number in (1, 2, 4):
    attempt("code %d for a name" % number, Serving(refuse(number), refuse(number)).port,
            target="target.example")
for words in (b"HTTP/1.1 400", b"\4\0", b"\5\xff"):
    attempt(repr(words), Serving(answer_greeting(words)).port)
attempt("closed", Serving(close_early).port)
attempt("password", Serving(refuse_password).port, user="me", word="me")
port, holder = refusing_port()
attempt("nobody", port)
attempt("unknown", 1080, host="no-such-name.invalid")
for line in (b"201 Made", b"204 None", b"302 There", b"400 Bad", b"403 No", b"404 Where",
             b"405 How", b"407 Who", b"500 Oh", b"502 Gateway", b"503 Busy", b"504 Late",
             b"200 Fine"):
    words = b"HTTP/1.1 " + line + b"\r\nContent-Length: 0\r\n\r\n"
    attempt(line.decode(), Serving(answer(words), answer(words)).port, kind=P.HttpProxy)
attempt("no http", Serving(answer(b"SSH-2.0-what\r\n\r\n")).port, kind=P.HttpProxy)
attempt("nobody", port, kind=P.HttpProxy)
attempt("unknown", 1080, host="no-such-name.invalid", kind=P.HttpProxy)
