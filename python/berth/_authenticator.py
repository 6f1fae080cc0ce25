"""QAuthenticator, and how a program is asked for a proxy's user and password."""

MODULE = "berth.QtNetwork"


class QAuthenticator:
    """QAuthenticator(): credentials, which a slot of proxyAuthenticationRequired sets"""

    def __init__(self, other=None):
        self._user, self._password, self._realm = "", "", ""
        self._options = {}
        if other is not None:
            self.__dict__.update(other.__dict__, _options=other.options())

    def user(self):
        """The user's name."""
        return self._user

    def setUser(self, user):
        """Sets the user's name."""
        self._user = _text("user", user)

    def password(self):
        """The password."""
        return self._password

    def setPassword(self, password):
        """Sets the password."""
        self._password = _text("password", password)

    def realm(self):
        """The realm that was set, or an empty str. Berth does not report the proxy's realm."""
        return self._realm

    def setRealm(self, realm):
        """Sets the realm."""
        self._realm = _text("realm", realm)

    def option(self, name):
        """An option of the method, or None."""
        return self._options.get(name)

    def setOption(self, name, value):
        """Sets an option of the method."""
        self._options[name] = value

    def options(self):
        """All options, as a dict."""
        return dict(self._options)

    def isNull(self):
        """Whether nothing is set."""
        return not (self._user or self._password or self._realm or self._options)

    def __eq__(self, other):
        if not isinstance(other, QAuthenticator):
            return NotImplemented
        return self.__dict__ == other.__dict__

    __hash__ = None

    def __copy__(self):
        return QAuthenticator(self)


QAuthenticator.__module__ = MODULE


def _text(name, value):
    if not isinstance(value, str):
        raise TypeError(f"the {name} must be a str, not {type(value).__name__}")
    return value


def fill(proxy, user, password):
    """Puts credentials into a proxy."""
    proxy.setUser(user)
    proxy.setPassword(password)


def ask(socket, proxy):
    """Emits the signal; returns whether the slot set credentials, which the proxy then has."""
    authenticator = QAuthenticator()
    socket.proxyAuthenticationRequired.emit(proxy.__copy__(), authenticator)
    told = bool(authenticator.user() or authenticator.password())
    if told:
        fill(proxy, authenticator.user(), authenticator.password())
    return told
