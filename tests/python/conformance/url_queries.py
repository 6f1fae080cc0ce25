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
