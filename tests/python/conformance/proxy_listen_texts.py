# The texts of errors when listening through a proxy.
# spec: S6.14
from _kit import Outside, error, refusing_port, say
from _proxies import (P, answer_greeting, close_early, everywhere, refuse, refuse_password,
                      server_through)


def attempt(what, port, **more):
    server = server_through(port, **more)
    say(what, server.listen(everywhere(), 0), error(server.serverError()), server.errorString())


for what, script, user in (
        *(("code %d" % number, refuse(number), "") for number in range(1, 9)),
        *((repr(words), answer_greeting(words), "")
          for words in (b"HTTP/1.1 400", b"\4\0", b"\5\xff")),
        ("closed", close_early, ""), ("password", refuse_password, "me")):
    serving = Outside(script)
    attempt(what, serving.port, user=user)
    serving.end()
port, holder = refusing_port()
attempt("nobody", port)
attempt("unknown", 1080, host="no-such-name.invalid")
for kind in (P.HttpProxy, P.HttpCachingProxy, P.FtpCachingProxy):
    attempt("type %d" % int(kind), port, kind=kind)
