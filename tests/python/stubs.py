"""The type stubs say what the module has, and every public function in C has a docstring."""

import importlib.util
import os
import unittest

import _servers  # an application
from berth import QtCore, QtNetwork

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../python")


def maker(name="make_stubs"):
    """A program of python/tools as a module."""
    spec = importlib.util.spec_from_file_location(name,
                                                  os.path.join(FOLDER, "tools", name + ".py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Stubs(unittest.TestCase):
    def test_they_are_up_to_date(self):
        self.maxDiff = None
        for name, text in maker().stubs().items():
            with open(os.path.join(FOLDER, "berth", name), encoding="utf-8") as file:
                self.assertEqual(file.read(), text, "run python/tools/make_stubs.py")

    def test_the_table_of_the_readme(self):
        make_table = maker("make_table")
        classes = {name: cls for _module, name, cls in make_table.classes()}
        lines = [[cell.strip() for cell in line.strip("|\n ").split("|")]
                 for line in make_table.written().splitlines() if line.startswith("| Q")]
        self.assertEqual([line[0] for line in lines], list(classes), "run make_table.py")
        for name, _there, *missing in lines:
            for one in filter(None, ", ".join(missing).split(", ")):
                if one.startswith("the other "):
                    continue
                self.assertFalse(hasattr(classes[name], one), f"{name}.{one} is there")
        try:
            text = make_table.table()
        except ImportError:
            return  # PySide2 is not here
        self.maxDiff = None
        self.assertEqual(make_table.written(), text, "run python/tools/make_table.py")

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
