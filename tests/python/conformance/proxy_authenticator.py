# QAuthenticator as a value.
from PySide2 import QtNetwork

from _kit import attempt, say

A = QtNetwork.QAuthenticator
value = A()
say(value.isNull(), repr(value.user()), repr(value.password()), repr(value.realm()), value.options())
value.setUser("user")
value.setPassword("word")
say(value.isNull(), value.user(), value.password())
value.setOption("one", 1)
say(value.option("one"), value.options(), value.option("other"))
other = A(value)
say(other == value, other != A(), other.user(), A() == A())
other.setRealm("here")
say(other.realm(), other == value, repr(value.realm()))
attempt("setUser", value.setUser, 5)
