# Proxies that refuse to listen.
# spec: S6.14 S6.20 T15
from _kit import Outside, error, refusing_port, say
from _proxies import answer_greeting, close_early, everywhere, refuse, server_through


def attempt(what, port):
    server = server_through(port)
    say(what, server.listen(everywhere(), 0), error(server.serverError()), server.isListening(),
        server.serverPort())


for code in range(1, 10):
    attempt("code %d" % code, Outside(refuse(code)).port)
attempt("not SOCKS", Outside(answer_greeting(b"HTTP/1.1 400")).port)
attempt("no method", Outside(answer_greeting(b"\5\xff")).port)
attempt("closed", Outside(close_early).port)
port, holder = refusing_port()
attempt("nobody", port)
