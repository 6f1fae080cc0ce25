"""The type stubs say what the module has, and every public function in C has a docstring."""

import importlib.util
import os
import unittest

import _servers  # an application
from berth import QtCore, QtNetwork

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../python")


def maker():
    """make_stubs.py as a module."""
    spec = importlib.util.spec_from_file_location("make_stubs",
                                                  os.path.join(FOLDER, "tools/make_stubs.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Stubs(unittest.TestCase):
    def test_they_are_up_to_date(self):
        self.maxDiff = None
        for name, text in maker().stubs().items():
            with open(os.path.join(FOLDER, "berth", name), encoding="utf-8") as file:
                self.assertEqual(file.read(), text, "run python/tools/make_stubs.py")

    def test_docstrings(self):
        for module in (QtCore, QtNetwork):
            for name in module.__all__:
                self.assertTrue(getattr(module, name).__doc__, name)
        for cls in (QtCore.QObject, QtNetwork.QTcpServer, QtNetwork.QAbstractSocket):
            for name, member in vars(cls).items():
                if type(member).__name__ == "method_descriptor" and not name.startswith("_"):
                    self.assertTrue(member.__doc__, name)


if __name__ == "__main__":
    unittest.main()
