# A program and its arguments in one text.
import warnings

from PySide2.QtCore import QProcess

from _kit import say

warnings.simplefilter("ignore")  # PySide2 calls it deprecated
for arguments in ('a "b c" d"e f"g', '"""x""" "a""b"', "'a b'", '"" x \t y', '""""a b"""" "c', "a\\ b"):
    process = QProcess()
    process.start("printf %s| " + arguments)
    process.waitForFinished()
    say(process.readAll(), process.program(), process.arguments())
