# timerEvent() of a QTimer and of other objects, overridden in a class, in the object, and in a mixin.
from PySide2.QtCore import QCoreApplication, QObject, QTimer

from _kit import say, settle, until

app = QCoreApplication([])
seen = []


def show(what):
    say(what, [one for place, one in enumerate(seen) if one not in seen[:place]])
    seen.clear()


class Quiet(QTimer):
    def timerEvent(self, event):
        seen.append("event")


class Passes(QTimer):
    def timerEvent(self, event):
        seen.append(("event", type(event).__name__, event.timerId() == self.timerId(), self.isActive()))
        super().timerEvent(event)


class Mixin:
    def timerEvent(self, event):
        seen.append("mixin")
        super().timerEvent(event)


def run(what, timer, single=False):
    timer.timeout.connect(lambda: seen.append(("timeout", timer.isActive())))
    timer.setSingleShot(single)
    timer.start(0)
    until(lambda: len(seen) > (single and not isinstance(timer, Quiet)))
    settle(5)
    say(timer.isActive())
    timer.stop()
    show(what)


run("quiet", Quiet())
run("quiet once", Quiet(), True)
run("passes", Passes())
run("passes once", Passes(), True)
run("mixin", type("Mixed", (Mixin, QTimer), {})())
timer = QTimer()
timer.timerEvent = lambda event: seen.append("object's")
run("object", timer)

holder = QObject()
holder.timerEvent = lambda event: seen.append("object's")
number, other = holder.startTimer(0), holder.startTimer(1000)
until(lambda: seen)
show("object")
holder.killTimer(number)
say(number != other, holder.children(), number > 0)
holder = type("Held", (Mixin, QObject), {})()
holder.startTimer(0)
until(lambda: seen)
show("mixin")
both = Passes()
both.start(1000)
number = both.startTimer(0)
until(lambda: seen)
show("of another timer")
say(number == both.timerId())
