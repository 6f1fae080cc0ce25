# Deadlines, mapped signals, messages.
from PySide2.QtCore import (QCoreApplication, QDeadlineTimer, QObject, QSignalMapper, QTimer,
                            qCritical, qDebug, qInstallMessageHandler, qWarning)

from _kit import say, until

app = QCoreApplication([])
end = QDeadlineTimer(50000)
say(end.hasExpired(), end.isForever(),
    QDeadlineTimer().hasExpired(),
    QDeadlineTimer(-1).isForever(), QDeadlineTimer(-1).remainingTime(),
    QDeadlineTimer(0).remainingTime())
end.setRemainingTime(0)
say(end.hasExpired(), end.remainingTime())

mapper, plain, timer = QSignalMapper(), QObject(), QTimer()
timer.setSingleShot(True)
mapper.setMapping(timer, 5)
mapper.setMapping(plain, "text")
timer.timeout.connect(mapper.map)
seen = []
mapper.mapped[int].connect(seen.append)
mapper.mapped[str].connect(seen.append)
mapper.map(plain)
timer.start(0)
until(lambda: len(seen) == 2, "the timer")
say(seen, mapper.mapping(5) is timer)
mapper.removeMappings(timer)
say(mapper.mapping(5))

qInstallMessageHandler(lambda kind, context, text: say("message", int(kind), text))
qDebug("one")
qWarning("two")
qCritical("100%")
qInstallMessageHandler(None)
