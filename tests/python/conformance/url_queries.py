# Keys and values of a query.
from PySide2.QtCore import QUrl, QUrlQuery

from _kit import say

query = QUrlQuery("a=1&b=two%20words&a=3&flag")
say(query.hasQueryItem("a"), query.queryItemValue("a"), query.allQueryItemValues("a"),
    query.queryItemValue("b"), query.queryItems(), query.toString(), query.isEmpty(),
    repr(query.queryItemValue("none")))
query.addQueryItem("n", "x&y=z")
query.removeQueryItem("a")
say(query.query(), query.toString())
query.removeAllQueryItems("a")
query.setQueryItems([("m", "1")])
url = QUrl("http://h/")
url.setQuery(query)
say(query.toString(), url.toString(), QUrlQuery(QUrl("http://h?z=9")).queryItems())

query = QUrlQuery("a=x%26y%3Dz&b=%23h&c=%2B+%20&d=%41%c3%bc&e%26f=1&g=%2f%25&h=a=b")
for form in (QUrl.PrettyDecoded, QUrl.FullyEncoded, QUrl.FullyDecoded, QUrl.EncodeDelimiters,
             QUrl.EncodeUnicode):
    say(query.queryItems(form), query.query(form), query.queryItemValue("h", form))
say(query.hasQueryItem("e&f"), query.queryItemValue("e&f"))
query.addQueryItem("k&", "v=&#% %20")
say(query.query(), query.queryItems()[-1])
query.removeQueryItem("e&f")
query.setQueryDelimiters(":", ";")
say(query.query())
query = QUrlQuery()
query.addQueryItem("next", "http://a/b?c=d&e=f#g")
url.setQuery(query)
say(url.toString(), QUrlQuery(url).queryItemValue("next"))
for text in ("http://h/a% %20?q=%&r=%41#f%20", "http://h/%41", "http://h/%"):
    say(QUrl(text).toString(), QUrl(text).path(), QUrl(text).query())
