# The application object.
import sys

from PySide2 import QtCore

from _kit import attempt, say

say(QtCore.QCoreApplication.instance())
application = QtCore.QCoreApplication(["program", "argument"])
say(QtCore.QCoreApplication.instance() is application, application.arguments()[1:])
attempt("a second one", QtCore.QCoreApplication, [])
quitting = []
application.aboutToQuit.connect(lambda: quitting.append(1))
QtCore.QTimer.singleShot(0, application.quit)
say(application.exec_(), quitting)
application.setApplicationName("name")
application.setOrganizationName("house")
application.setApplicationVersion("1.2")
say(application.applicationName(), application.organizationName(), application.applicationVersion())
say(application.applicationPid() > 0, application.closingDown())
sys.exit(0)
