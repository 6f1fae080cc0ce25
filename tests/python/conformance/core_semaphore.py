# QSemaphore: taking, giving back, waiting, and threads that share it.
import threading

from PySide2.QtCore import QSemaphore

from _kit import say

semaphore = QSemaphore()
say(semaphore.available(), semaphore.release(3), semaphore.release(), semaphore.acquire(2))
say(semaphore.tryAcquire(), semaphore.tryAcquire(3), semaphore.tryAcquire(3, 10), semaphore.tryAcquire(0))
say(semaphore.available(), semaphore.tryAcquire(n=1), semaphore.available(), QSemaphore(4).available())
for wrong in ("x", None, 1.5):
    for function in (QSemaphore, semaphore.release, semaphore.acquire, semaphore.tryAcquire):
        try:
            function(wrong)
            say("taken") if wrong != 1.5 else None
        except TypeError:
            say("TypeError") if wrong != 1.5 else None
free, used, taken = QSemaphore(2), QSemaphore(0), []


def produce():
    for number in range(50):
        free.acquire()
        taken.append(number)
        used.release()


thread = threading.Thread(target=produce)
thread.start()
for number in range(50):
    used.acquire()
    assert taken[number] == number
    free.release()
thread.join()
say(len(taken), free.available(), used.available(), used.tryAcquire(1, 0))
