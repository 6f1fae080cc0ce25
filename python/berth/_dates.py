"""QDate, QTime and QDateTime over datetime: English names, the Gregorian calendar, years 1 to 9999.

A QDateTime is in local time, in UTC or at an offset. Left out: QTimeZone, QLocale and calendars.
"""

import datetime
import re
import time

from . import _enums
from ._core import Qt

_MODULE = "berth.QtCore"
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September",
           "October", "November", "December")
_TOKEN = re.compile(r"'[^']*'|d{1,4}|M{1,4}|yyyy|yy|hh?|HH?|mm?|ss?|zzz|z|AP|ap|t|.", re.DOTALL)
_ISO = (Qt.ISODate, Qt.ISODateWithMs)
_DAY = 86400000
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def _format(text, date, clock, zone=""):
    """A date, a clock or both as a format says; a clock is hour, minute, second, millisecond."""
    values = {}
    if date is not None:
        day, month = _DAYS[date.weekday()], _MONTHS[date.month - 1]
        values.update({"d": str(date.day), "dd": f"{date.day:02}", "ddd": day[:3], "dddd": day,
                       "M": str(date.month), "MM": f"{date.month:02}", "MMM": month[:3],
                       "MMMM": month, "yy": f"{date.year % 100:02}", "yyyy": f"{date.year:04}"})
    if clock is not None:
        hour, minute, second, milli = clock
        half = (hour - 1) % 12 + 1 if "ap" in text.lower() else hour
        values.update({"h": str(half), "hh": f"{half:02}", "H": str(hour), "HH": f"{hour:02}",
                       "m": str(minute), "mm": f"{minute:02}", "s": str(second),
                       "ss": f"{second:02}", "z": str(milli), "zzz": f"{milli:03}",
                       "ap": "am" if hour < 12 else "pm", "AP": "AM" if hour < 12 else "PM",
                       "t": zone})
    return "".join(values.get(token, token.strip("'") if token[0] == "'" else token)
                   for token in _TOKEN.findall(text))


_PATTERNS = {"d": r"\d{1,2}", "dd": r"\d\d", "M": r"\d{1,2}", "MM": r"\d\d", "yy": r"\d\d",
             "yyyy": r"\d{4}", "h": r"\d{1,2}", "hh": r"\d\d", "H": r"\d{1,2}", "HH": r"\d\d",
             "m": r"\d{1,2}", "mm": r"\d\d", "s": r"\d{1,2}", "ss": r"\d\d", "z": r"\d{1,3}",
             "zzz": r"\d{3}", "ap": "[AaPp][Mm]", "AP": "[AaPp][Mm]", "t": r"\w+",
             "ddd": "|".join(day[:3] for day in _DAYS), "dddd": "|".join(_DAYS),
             "MMM": "|".join(month[:3] for month in _MONTHS), "MMMM": "|".join(_MONTHS)}


def _parse(text, form):
    """The numbers by their letter, or None."""
    pattern, letters = "", []
    for token in _TOKEN.findall(form):
        if token in _PATTERNS:
            letters.append(token)
            pattern += f"({_PATTERNS[token]})"
        else:
            pattern += re.escape(token.strip("'") if token[0] == "'" else token)
    match = re.fullmatch(pattern, text)
    if not match:
        return None
    found = {"y": 1900, "M": 1, "d": 1, "h": 0, "m": 0, "s": 0, "z": 0}
    for token, value in zip(letters, match.groups()):
        if token in ("MMM", "MMMM"):
            found["M"] = [month[:3] for month in _MONTHS].index(value[:3]) + 1
        elif token == "yy":
            found["y"] = 1900 + int(value)
        elif token in ("ap", "AP"):
            found["half"] = value.lower()
        elif token not in ("ddd", "dddd", "t"):
            found[token[0].lower() if token[0] == "H" else token[0]] = int(value)
    if "half" in found:
        found["h"] = found["h"] % 12 + 12 * (found["half"] == "pm")
    return found


class QDate:
    """QDate(year, month, day), QDate(datetime.date), or QDate()"""

    def __init__(self, *args):
        if args and isinstance(args[0], QDate):
            self._value = args[0]._value
        elif args and isinstance(args[0], datetime.date):
            self._value = datetime.date(args[0].year, args[0].month, args[0].day)
        else:
            self.setDate(*args) if args else setattr(self, "_value", None)

    def setDate(self, year, month, day):
        """Sets it; whether there is such a day."""
        try:
            self._value = datetime.date(year, month, day)
        except ValueError:
            self._value = None
        return self._value is not None

    def isValid(self):
        """Whether there is such a day."""
        return self._value is not None

    def isNull(self):
        """Whether it is no day."""
        return self._value is None

    def _part(self, name):
        return getattr(self._value, name) if self._value else 0

    def year(self):
        """The year."""
        return self._part("year")

    def month(self):
        """The month, 1 to 12."""
        return self._part("month")

    def day(self):
        """The day, 1 to 31."""
        return self._part("day")

    def getDate(self):
        """Year, month and day."""
        return self.year(), self.month(), self.day()

    def dayOfWeek(self):
        """1 for Monday to 7."""
        return self._value.isoweekday() if self._value else 0

    def dayOfYear(self):
        """1 to 366."""
        return self._value.timetuple().tm_yday if self._value else 0

    def daysInMonth(self):
        """28 to 31."""
        if not self._value:
            return 0
        return self.addMonths(1)._value.replace(day=1).toordinal() \
            - self._value.replace(day=1).toordinal()

    def daysInYear(self):
        """365 or 366."""
        return 365 + QDate.isLeapYear(self.year()) if self._value else 0

    def weekNumber(self):
        """The number of the week, and the year that it is of."""
        year, week, _day = self._value.isocalendar()
        return week, year

    def addDays(self, days):
        """Some days later."""
        try:
            return QDate(self._value + datetime.timedelta(days=days))
        except (TypeError, OverflowError):
            return QDate()

    def addMonths(self, months):
        """Some months later, or the last day of that month."""
        if not self._value:
            return QDate()
        year, month = divmod(self._value.year * 12 + self._value.month - 1 + months, 12)
        for day in range(self._value.day, 27, -1):
            if QDate.isValid_(year, month + 1, day):
                return QDate(year, month + 1, day)
        return QDate(year, month + 1, self._value.day)

    def addYears(self, years):
        """Some years later."""
        return self.addMonths(12 * years)

    def daysTo(self, other):
        """Days between."""
        return (other._value - self._value).days if self._value and other._value else 0

    def toJulianDay(self):
        """The Julian day."""
        return self._value.toordinal() + 1721425 if self._value else -(1 << 63)

    @staticmethod
    def fromJulianDay(day):
        """From the Julian day."""
        return QDate(datetime.date.fromordinal(day - 1721425))

    def toString(self, format=Qt.TextDate):
        """As text: a format as "dd.MM.yyyy", Qt.ISODate or Qt.TextDate."""
        if not self._value:
            return ""
        if isinstance(format, str):
            return _format(format, self._value, None)
        return _format("yyyy-MM-dd" if format in _ISO else "ddd MMM d yyyy", self._value, None)

    @staticmethod
    def fromString(text, format=Qt.TextDate):
        """From text."""
        if not isinstance(format, str):
            format = "yyyy-MM-dd" if format in _ISO else "ddd MMM d yyyy"
        found = _parse(text, format)
        return QDate(found["y"], found["M"], found["d"]) if found else QDate()

    @staticmethod
    def currentDate():
        """Today."""
        return QDate(datetime.date.today())

    @staticmethod
    def isLeapYear(year):
        """Whether the year has 366 days."""
        return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)

    @staticmethod
    def isValid_(year, month, day):
        """Whether there is such a day."""
        return QDate(year, month, day).isValid()

    def toPython(self):
        """As a datetime.date."""
        return self._value

    toPyDate = toPython

    def _key(self):
        return self._value or datetime.date.min

    def __repr__(self):
        return f"berth.QtCore.QDate({self.year()}, {self.month()}, {self.day()})"

    def __reduce__(self):
        return QDate, (self.getDate() if self._value else ())


class QTime:
    """QTime(hour, minute, second=0, millisecond=0), QTime(datetime.time), or QTime()"""

    def __init__(self, *args):
        self._started = None
        if args and isinstance(args[0], QTime):
            self._value = args[0]._value
        elif args and isinstance(args[0], datetime.time):
            one = args[0]
            self.setHMS(one.hour, one.minute, one.second, one.microsecond // 1000)
        else:
            self.setHMS(*args) if args else setattr(self, "_value", None)

    def setHMS(self, h, m, s=0, ms=0):
        """Sets it; whether there is such a time."""
        good = 0 <= h < 24 and 0 <= m < 60 and 0 <= s < 60 and 0 <= ms < 1000
        self._value = ((h * 60 + m) * 60 + s) * 1000 + ms if good else None
        return good

    def isValid(self):
        """Whether there is such a time."""
        return self._value is not None

    def isNull(self):
        """Whether it is no time."""
        return self._value is None

    def _clock(self):
        value = self._value or 0
        return value // 3600000, value // 60000 % 60, value // 1000 % 60, value % 1000

    def hour(self):
        """0 to 23."""
        return self._clock()[0] if self.isValid() else -1

    def minute(self):
        """0 to 59."""
        return self._clock()[1] if self.isValid() else -1

    def second(self):
        """0 to 59."""
        return self._clock()[2] if self.isValid() else -1

    def msec(self):
        """0 to 999."""
        return self._clock()[3] if self.isValid() else -1

    def addSecs(self, secs):
        """Some seconds later, around midnight."""
        return self.addMSecs(secs * 1000)

    def addMSecs(self, ms):
        """Some milliseconds later, around midnight."""
        return QTime.fromMSecsSinceStartOfDay((self._value + ms) % _DAY) if self.isValid() \
            else QTime()

    def secsTo(self, other):
        """Seconds between."""
        return other._value // 1000 - self._value // 1000

    def msecsTo(self, other):
        """Milliseconds between."""
        return other._value - self._value if self.isValid() and other.isValid() else 0

    def msecsSinceStartOfDay(self):
        """Milliseconds since midnight."""
        return self._value or 0

    @staticmethod
    def fromMSecsSinceStartOfDay(msecs):
        """From milliseconds since midnight."""
        made = QTime()
        made._value = msecs if 0 <= msecs < _DAY else None
        return made

    def toString(self, format=Qt.TextDate):
        """As text: a format as "hh:mm:ss.zzz", or as Qt.ISODate has it."""
        if not self.isValid():
            return ""
        if not isinstance(format, str):
            format = "hh:mm:ss.zzz" if format == Qt.ISODateWithMs else "hh:mm:ss"
        return _format(format, None, self._clock())

    @staticmethod
    def fromString(text, format=Qt.TextDate):
        """From text."""
        forms = [format] if isinstance(format, str) else ["hh:mm:ss.zzz", "hh:mm:ss", "hh:mm"]
        for form in forms:
            found = _parse(text, form)
            if found:
                return QTime(found["h"], found["m"], found["s"], found["z"])
        return QTime()

    @staticmethod
    def currentTime():
        """Now."""
        return QTime(datetime.datetime.now().time())

    def start(self):
        """Begins to measure."""
        self._started = time.monotonic()

    def restart(self):
        """Begins again; returns the milliseconds since the last begin."""
        passed = self.elapsed()
        self.start()
        return passed

    def elapsed(self):
        """Milliseconds since the begin."""
        return int((time.monotonic() - self._started) * 1000) if self._started is not None else 0

    def toPython(self):
        """As a datetime.time."""
        hour, minute, second, milli = self._clock()
        return datetime.time(hour, minute, second, milli * 1000)

    toPyTime = toPython

    def _key(self):
        return -1 if self._value is None else self._value

    def __repr__(self):
        hour, minute, second, milli = self._clock()
        return f"berth.QtCore.QTime({hour}, {minute}, {second}, {milli})"

    def __reduce__(self):
        return QTime, (self._clock() if self.isValid() else ())


class QDateTime:
    """QDateTime(date, time=midnight, spec=Qt.LocalTime, offset=0), QDateTime(datetime), or
    QDateTime(year, month, day, hour, minute, second=0, ...)"""

    def __init__(self, *args):
        self._spec, self._offset = Qt.LocalTime, 0
        self._date, self._time = QDate(), QTime()
        if not args:
            return
        if isinstance(args[0], QDateTime):
            self.__dict__.update(args[0].__dict__)
        elif isinstance(args[0], datetime.datetime):
            self._date, self._time = QDate(args[0].date()), QTime(args[0].time())
            if args[0].utcoffset() is not None:
                self.setOffsetFromUtc(int(args[0].utcoffset().total_seconds()))
        elif isinstance(args[0], int):
            self._date, self._time = QDate(*args[:3]), QTime(*(args[3:7] or (0, 0)))
        else:
            self._date = QDate(args[0])
            self._time = QTime(args[1]) if len(args) > 1 else QTime(0, 0)
            self._spec = Qt.TimeSpec(int(args[2])) if len(args) > 2 else Qt.LocalTime
            self._offset = args[3] if len(args) > 3 else 0

    def isValid(self):
        """Whether there is such a time."""
        return self._date.isValid() and self._time.isValid()

    def isNull(self):
        """Whether nothing is set."""
        return self._date.isNull() and self._time.isNull()

    def date(self):
        """The day."""
        return QDate(self._date)

    def time(self):
        """The time of the day."""
        return QTime(self._time)

    def setDate(self, date):
        """Sets the day."""
        self._date = QDate(date)
        if not self._time.isValid():
            self._time = QTime(0, 0)

    def setTime(self, time):
        """Sets the time of the day."""
        self._time = QTime(time)

    def timeSpec(self):
        """Local time, UTC, or at an offset."""
        return self._spec

    def setTimeSpec(self, spec):
        """Sets whether it is local time or UTC."""
        self._spec, self._offset = Qt.TimeSpec(int(spec)), 0

    def setOffsetFromUtc(self, offsetSeconds):
        """Sets the offset in seconds."""
        self._spec = Qt.OffsetFromUTC if offsetSeconds else Qt.UTC
        self._offset = offsetSeconds

    def offsetFromUtc(self):
        """The offset in seconds."""
        return int(self._aware().utcoffset().total_seconds()) if self.isValid() else 0

    def timeZoneAbbreviation(self):
        """As "UTC"."""
        return self._aware().tzname() if self.isValid() else ""

    def _naive(self):
        return datetime.datetime.combine(self._date._value, self._time.toPython())

    def _aware(self):
        if self._spec == Qt.LocalTime:
            return self._naive().astimezone()
        return self._naive().replace(
            tzinfo=datetime.timezone(datetime.timedelta(seconds=self._offset)))

    def toMSecsSinceEpoch(self):
        """Milliseconds since 1970."""
        if not self.isValid():
            return 0
        return (self._aware() - _EPOCH) // datetime.timedelta(milliseconds=1)

    def toSecsSinceEpoch(self):
        """Seconds since 1970."""
        return self.toMSecsSinceEpoch() // 1000

    def toTime_t(self):
        """Seconds since 1970."""
        return self.toSecsSinceEpoch() if self.isValid() else 0xffffffff

    @staticmethod
    def fromMSecsSinceEpoch(msecs, spec=None, offsetFromUtc=0):
        """From milliseconds since 1970."""
        spec = Qt.LocalTime if spec is None else Qt.TimeSpec(int(spec))
        moment = _EPOCH + datetime.timedelta(milliseconds=msecs)
        if spec == Qt.LocalTime:
            moment = moment.astimezone()
        else:
            moment += datetime.timedelta(seconds=offsetFromUtc)
        return QDateTime(QDate(moment.date()), QTime(moment.time()), spec, offsetFromUtc)

    @staticmethod
    def fromSecsSinceEpoch(secs, spec=None, offsetFromUtc=0):
        """From seconds since 1970."""
        return QDateTime.fromMSecsSinceEpoch(secs * 1000, spec, offsetFromUtc)

    fromTime_t = fromSecsSinceEpoch

    def setMSecsSinceEpoch(self, msecs):
        """Sets the milliseconds since 1970."""
        self.__dict__.update(
            QDateTime.fromMSecsSinceEpoch(msecs, self._spec, self._offset).__dict__)

    def toTimeSpec(self, spec):
        """The same moment in local time or UTC."""
        return QDateTime.fromMSecsSinceEpoch(self.toMSecsSinceEpoch(), spec)

    def toUTC(self):
        """The same moment in UTC."""
        return self.toTimeSpec(Qt.UTC)

    def toLocalTime(self):
        """The same moment in local time."""
        return self.toTimeSpec(Qt.LocalTime)

    def toOffsetFromUtc(self, offsetSeconds):
        """The same moment at an offset."""
        return QDateTime.fromMSecsSinceEpoch(self.toMSecsSinceEpoch(), Qt.OffsetFromUTC,
                                             offsetSeconds)

    def addMSecs(self, msecs):
        """Some milliseconds later."""
        if not self.isValid():
            return QDateTime()
        return QDateTime.fromMSecsSinceEpoch(self.toMSecsSinceEpoch() + msecs, self._spec,
                                             self._offset)

    def addSecs(self, secs):
        """Some seconds later."""
        return self.addMSecs(secs * 1000)

    def _moved(self, date):
        made = QDateTime(self)
        made._date = date
        return made

    def addDays(self, days):
        """Some days later, at the same time."""
        return self._moved(self._date.addDays(days))

    def addMonths(self, months):
        """Some months later."""
        return self._moved(self._date.addMonths(months))

    def addYears(self, years):
        """Some years later."""
        return self._moved(self._date.addYears(years))

    def msecsTo(self, other):
        """Milliseconds between."""
        return other.toMSecsSinceEpoch() - self.toMSecsSinceEpoch()

    def secsTo(self, other):
        """Seconds between."""
        return self.msecsTo(other) // 1000

    def daysTo(self, other):
        """Days between."""
        return self._date.daysTo(other._date)

    def toString(self, format=Qt.TextDate):
        """As text: a format as "yyyy-MM-dd hh:mm", Qt.ISODate or Qt.TextDate."""
        if not self.isValid():
            return ""
        end = ""
        if not isinstance(format, str):
            form = "yyyy-MM-ddThh:mm:ss" if format in _ISO else "ddd MMM d hh:mm:ss yyyy"
            if format in _ISO:
                form += ".zzz" if format == Qt.ISODateWithMs else ""
                end = self._end()
            elif self._spec == Qt.UTC:
                end = " GMT"
            format = form
        return _format(format, self._date._value, self._time._clock(),
                       self.timeZoneAbbreviation()) + end

    def _end(self):
        if self._spec == Qt.LocalTime:
            return ""
        sign, minutes = "-" if self._offset < 0 else "+", abs(self._offset) // 60
        return f"{sign}{minutes // 60:02}:{minutes % 60:02}" if self._offset else "Z"

    @staticmethod
    def fromString(text, format=Qt.TextDate):
        """From text."""
        if not isinstance(format, str) and format in _ISO:
            match = re.fullmatch(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d)?(?:[.,]\d{1,6})?)"
                                 r"(Z|[+-]\d\d:?\d\d)?", text)
            if not match:
                return QDateTime(QDate.fromString(text, format))
            day, clock, zone = match.groups()
            clock = datetime.time.fromisoformat(clock.replace(",", ".").ljust(8, "x").replace(
                "xxx", ":00") if "." not in clock else (clock + "000")[:15].ljust(15, "0"))
            made = QDateTime(QDate.fromString(day, format), QTime(clock))
            if zone:
                hours = zone.replace(":", "")
                made.setOffsetFromUtc(0 if zone == "Z" else int(hours[:3]) * 3600
                                      + int(hours[0] + hours[3:]) * 60)
            return made
        found = _parse(text, format if isinstance(format, str) else "ddd MMM d hh:mm:ss yyyy")
        if not found:
            return QDateTime()
        return QDateTime(QDate(found["y"], found["M"], found["d"]),
                         QTime(found["h"], found["m"], found["s"], found["z"]))

    @staticmethod
    def currentDateTime():
        """Now, in local time."""
        return QDateTime.fromMSecsSinceEpoch(QDateTime.currentMSecsSinceEpoch())

    @staticmethod
    def currentDateTimeUtc():
        """Now, in UTC."""
        return QDateTime.fromMSecsSinceEpoch(QDateTime.currentMSecsSinceEpoch(), Qt.UTC)

    @staticmethod
    def currentMSecsSinceEpoch():
        """Now, in milliseconds since 1970."""
        return time.time_ns() // 1000000

    @staticmethod
    def currentSecsSinceEpoch():
        """Now, in seconds since 1970."""
        return int(time.time())

    def toPython(self):
        """As a datetime.datetime without a zone."""
        return self._naive()

    toPyDateTime = toPython

    def _key(self):
        return self.toMSecsSinceEpoch() if self.isValid() else float("-inf")

    def __repr__(self):
        clock = ", ".join(map(str, self._time._clock()))
        day = ", ".join(map(str, self._date.getDate()))
        return f"berth.QtCore.QDateTime({day}, {clock}, {int(self._spec)})"

    def __reduce__(self):
        return QDateTime, (self._date, self._time, self._spec, self._offset)


def _compared(cls):
    """Comparisons by the key, and none with other classes."""
    def by(name):
        def compare(self, other):
            if not isinstance(other, cls):
                return NotImplemented
            return getattr(self._key(), name)(other._key())
        compare.__name__ = name
        return compare
    for name in ("__lt__", "__le__", "__gt__", "__ge__", "__eq__", "__ne__"):
        setattr(cls, name, by(name))
    cls.__hash__ = lambda self: hash(self._key())
    cls.__bool__ = lambda self: not self.isNull()
    cls.__module__ = _MODULE


for _class in (QDate, QTime, QDateTime):
    _compared(_class)
