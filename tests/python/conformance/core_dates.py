# Days, times and moments.
from PySide2.QtCore import QDate, QDateTime, Qt, QTime

from _kit import say

day = QDate(2024, 2, 29)
say(day.year(), day.month(), day.day(), day.dayOfWeek(), day.dayOfYear(), day.daysInMonth(),
    day.daysInYear(), day.isValid(), QDate().isValid(), QDate(2023, 2, 29).isValid(),
    QDate.isLeapYear(2024), day.toJulianDay(), day.getDate(), day.weekNumber())
for form in (Qt.TextDate, Qt.ISODate, "dd.MM.yyyy", "d/M/yy ddd dddd MMM MMMM"):
    say(day.toString(form))
for other in (day.addDays(1), day.addMonths(12), day.addYears(1), day.addMonths(-3),
              QDate.fromString("2024-01-02", Qt.ISODate),
              QDate.fromString("03.04.2025", "dd.MM.yyyy"), QDate.fromString("x", Qt.ISODate)):
    say(other.toString(Qt.ISODate), day.daysTo(other), day < other, day == other)
say(day.toPython())

clock = QTime(13, 5, 9, 7)
say(clock.hour(), clock.minute(), clock.second(), clock.msec(), clock.isValid(),
    QTime().isValid(), QTime(25, 0).isValid(), clock.msecsSinceStartOfDay(), clock.toPython())
for form in (Qt.TextDate, Qt.ISODate, Qt.ISODateWithMs, "hh:mm:ss.zzz", "h:m:s ap"):
    say(clock.toString(form))
for other in (clock.addSecs(43200), clock.addMSecs(1), QTime(14, 0), QTime.fromString("01:02:03"),
              QTime.fromString("1.2", "h.m"), QTime.fromMSecsSinceStartOfDay(1000)):
    say(other.toString("hh:mm:ss.zzz"), clock.secsTo(other), clock.msecsTo(other), clock < other)
clock.start()
say(clock.elapsed() < 5000)

now = QDateTime(day, QTime(13, 5, 9, 7))
for form in (Qt.TextDate, Qt.ISODate, Qt.ISODateWithMs, "yyyy-MM-dd hh:mm:ss"):
    say(now.toString(form))
say(now.isValid(), QDateTime().isValid(), now.secsTo(now.addSecs(5)), now.msecsTo(now.addSecs(5)),
    now.daysTo(now.addDays(3)), now.toPython(), int(now.timeSpec()),
    now.addSecs(60).toString(Qt.ISODate), now.addDays(1).toString(Qt.ISODate))
moment = QDateTime.fromMSecsSinceEpoch(1700000000123, Qt.UTC)
say(moment.toString(Qt.ISODate), moment.toString(Qt.ISODateWithMs), moment.toUTC() == moment,
    moment.toLocalTime().toMSecsSinceEpoch(), int(moment.timeSpec()), moment.toSecsSinceEpoch(),
    moment < moment.addSecs(1), moment.offsetFromUtc(), moment.timeZoneAbbreviation())
for text in ("2024-01-02T03:04:05", "2024-01-02T03:04:05Z", "2024-01-02T03:04:05.678",
             "2024-01-02T03:04:05+02:00", "2024-01-02", "bad"):
    found = QDateTime.fromString(text, Qt.ISODate)
    say(text, found.isValid(), found.toString(Qt.ISODateWithMs), found.toMSecsSinceEpoch())
found = QDateTime.fromString("02.01.2024 03:04", "dd.MM.yyyy hh:mm")
say(found.toString(Qt.ISODate), QDateTime.currentDateTime().isValid(),
    QDateTime.currentMSecsSinceEpoch() // 100000 == QDateTime.currentSecsSinceEpoch() // 100)
