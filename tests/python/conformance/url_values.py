# The parts of URLs, taken apart and put together.
from PySide2.QtCore import QUrl

from _kit import say

for text in ("http://user:pa%20ss@Example.COM:8080/a/b%20c.txt?x=1&y=a%26b#frag",
             "localhost:8000", "tcp://127.0.0.1:5000", "http://[::1]:80/", "file:///tmp/x y",
             "/just/path", "", "http://host", "http://host:99999/", "http://ho st/",
             "relative/path?q", "mailto:a@b", "HTTP://A/%7euser/../x", "ws://h:1?x",
             "http://\u00fc.de/\u00e4", "//host/p", "http://h/a%2Fb%3F"):
    url = QUrl(text)
    say(repr(text), url.isValid(), url.isEmpty(), url.isRelative(), url.isLocalFile())
    say("  ", [url.scheme(), url.userInfo(), url.userName(), url.password(), url.host(),
               url.port(), url.port(80), url.path(), url.query(), url.fragment()])
    say("  ", [url.authority(), url.fileName(), url.hasQuery(), url.hasFragment(),
               url.toString()], url.toEncoded())
url = QUrl()
url.setScheme("http")
url.setHost("h")
url.setPort(5)
url.setPath("/a b")
url.setQuery("k=v w")
url.setFragment("f")
url.setUserName("me")
url.setPassword("pw")
say(url.toString(), url.toEncoded(), url.toDisplayString(), url.url())
for option in (QUrl.RemovePassword, QUrl.RemovePath, QUrl.RemoveFilename):
    say(url.adjusted(QUrl.FormattingOptions(option)).toString())
say(url == QUrl(url), url == QUrl("x"), url.path(QUrl.FullyEncoded))
url.setPort(-1)
url.setUserInfo("a:b")
say(url.toString())
url.setAuthority("x:y@z:7")
say(url.toString())
url.setUrl("http://new/")
say(url.toString())
url.clear()
say(url.isEmpty(), QUrl.fromLocalFile("/tmp/a b").toString(),
    QUrl("file:///tmp/a%20b").toLocalFile())
for text in ("example.org", "localhost:80", "127.0.0.1", "http://h/p"):
    say(QUrl.fromUserInput(text).toString())
say(QUrl("http://a/b/c").resolved(QUrl("../d")).toString(), QUrl.toPercentEncoding("a b&\u00fc"),
    QUrl.fromPercentEncoding(b"a%20b"), QUrl("http://a/b").isParentOf(QUrl("http://a/b/c")),
    QUrl("http://h:x/").errorString() != "")
