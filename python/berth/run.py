"""Runs a program that was written for PySide2, PySide6, PyQt5 or PyQt6 on berth:

    python3 -m berth.run program.py [arguments]

Imports of those packages give berth.QtCore and berth.QtNetwork. The ImportError for a module or a
name that berth lacks names it.
"""

import importlib
import importlib.machinery
import os
import sys

_ModuleType = type(sys)

PACKAGES = ("PySide2", "PySide6", "PyQt5", "PyQt6")
MODULES = ("QtCore", "QtNetwork")
PYQT_NAMES = {"pyqtSignal": "Signal", "pyqtSlot": "Slot", "pyqtProperty": "Property",
              "pyqtBoundSignal": "SignalInstance"}


class _Module(_ModuleType):
    """Stands for a module of the other package; reports the names that berth lacks."""

    _berth = None

    def __getattr__(self, name):
        if name.startswith("__") or self._berth is None:
            raise AttributeError(name)
        package, _dot, module = self.__name__.partition(".")
        wanted = PYQT_NAMES.get(name, name) if package.startswith("PyQt") else name
        try:
            value = getattr(self._berth, wanted)
        except AttributeError:
            raise ImportError(f"{self.__name__}.{name} is not in berth.{module}",
                              name=name) from None
        setattr(self, name, value)
        return value


class Finder:
    """Finds the packages of PACKAGES in berth, and loads them: without the base classes of
    importlib.abc, which would import more than the whole module."""

    def find_spec(self, fullname, path=None, target=None):
        """The spec of one of those packages or of a module in them."""
        package, _dot, module = fullname.partition(".")
        if package not in PACKAGES:
            return None
        if module and module not in MODULES:
            raise ImportError(f"{fullname} is not in berth, which has "
                              f"{' and '.join(MODULES)} only", name=fullname)
        return importlib.machinery.ModuleSpec(fullname, self, is_package=not module)

    def create_module(self, spec):
        """An empty stand-in."""
        return _Module(spec.name)

    def exec_module(self, module):
        """Fills it."""
        package, _dot, name = module.__name__.partition(".")
        if not name:
            module.__path__ = []
            module.__version__ = "5.15.8"
            return
        ours = importlib.import_module(f"berth.{name}")
        module._berth = ours
        module.__all__ = list(ours.__all__)
        if package.startswith("PyQt"):
            module.__all__ += [key for key, value in PYQT_NAMES.items() if value in ours.__all__]


def install():
    """Redirects imports of those packages to berth."""
    if not any(isinstance(finder, Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, Finder())


def main(arguments):
    """Runs a program as __main__, with its own arguments and folder."""
    if not arguments:
        print("usage: python3 -m berth.run PROGRAM [ARGUMENT...]", file=sys.stderr)
        return 2
    install()
    sys.argv[:] = arguments
    sys.path[0] = os.path.dirname(os.path.abspath(arguments[0]))
    module = _ModuleType("__main__")
    module.__file__, module.__builtins__ = arguments[0], __builtins__
    with open(arguments[0], "rb") as file:
        code = compile(file.read(), arguments[0], "exec")
    sys.modules["__main__"] = module
    exec(code, module.__dict__)  # pylint: disable=exec-used
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
