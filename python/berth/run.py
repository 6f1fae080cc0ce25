"""Runs a program that was written for PySide2, PySide6, PyQt5 or PyQt6 on berth:

    python3 -m berth.run program.py [arguments]
    python3 -m berth.run -m module [arguments]

Imports of those packages give berth.QtCore and berth.QtNetwork, with the names of PyQt and its
conventions (_pyqt.py) for a program that imports PyQt. A name that berth lacks is an AttributeError, or
an ImportError in `from PySide2.QtCore import name`; so hasattr() is False for it. A module that berth
lacks is an ImportError. Both name what is missing.
"""

import importlib
import importlib.machinery
import os
import sys

_ModuleType = type(sys)

MODULES = ("QtCore", "QtNetwork")

# The version that each package says it has, and that of Qt.
PACKAGES = {"PySide2": ("5.15.8", "5.15.8"), "PySide6": ("6.4.2", "6.4.2"),
            "PyQt5": ("5.15.9", "5.15.8"), "PyQt6": ("6.4.2", "6.4.2")}
PYQT_NAMES = {"pyqtSignal": "Signal", "pyqtSlot": "Slot", "pyqtProperty": "Property",
              "pyqtBoundSignal": "SignalInstance"}


class _Module(_ModuleType):
    """Stands for a module of the other package."""

    _berth = None
    _own = {}

    def __getattr__(self, name):
        package, _dot, module = self.__name__.partition(".")
        if name.startswith("__") or self._berth is None or _missing(package, name):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        wanted = PYQT_NAMES.get(name, name) if package.startswith("PyQt") else name
        try:
            value = getattr(self._berth, wanted)
        except AttributeError:
            raise AttributeError(f"{self.__name__}.{name} is not in berth.{module}") from None
        setattr(self, name, value)
        return value

    def __dir__(self):
        return sorted({*self.__dict__, *self.__dict__.get("__all__", ())})


def _number(version):
    """A version as one number, as 0x050f08."""
    major, minor, patch = (int(part) for part in version.split("."))
    return major << 16 | minor << 8 | patch


def _missing(package, name):
    """Whether a name is another package's: PyQt has no Signal, PySide no pyqtSignal."""
    return package.startswith("PyQt") and name in PYQT_NAMES.values()


def _fill_core(module, package):
    """What differs between the packages: versions and conventions."""
    version, qt = PACKAGES[package]
    module.qVersion = lambda: qt
    if package.endswith("6"):
        module.QIODeviceBase = module.QIODevice
        module.__all__ += ["QIODeviceBase"]
    if package.startswith("PyQt"):
        from . import _pyqt
        _pyqt.install()
        module.QVariant, module.Q_ARG = _pyqt.QVariant, _pyqt.Q_ARG
        module.PYQT_VERSION_STR, module.PYQT_VERSION = version, _number(version)
        module.QT_VERSION_STR, module.QT_VERSION = qt, _number(qt)
        module.__all__ += ["PYQT_VERSION", "PYQT_VERSION_STR", "QT_VERSION", "QT_VERSION_STR",
                           "QVariant", "Q_ARG"]
    else:
        from . import _device
        _device.pyside2_text = package == "PySide2"
        module.__version__ = version
        module.__version_info__ = tuple(int(part) for part in version.split("."))


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
            module.__all__ = list(MODULES)
            if package.startswith("PySide"):
                module.__version__ = PACKAGES[package][0]
                module.__version_info__ = tuple(map(int, module.__version__.split(".")))
            return
        ours = importlib.import_module(f"berth.{name}")
        module._berth, module.__file__ = ours, ours.__file__
        module.__all__ = list(ours.__all__)
        if package.startswith("PyQt"):
            theirs = [key for key, value in PYQT_NAMES.items() if value in ours.__all__]
            kept = [key for key in ours.__all__ if key not in PYQT_NAMES.values()]
            module.__all__ = kept + theirs
        if name == "QtCore":
            _fill_core(module, package)


def install():
    """Redirects imports of those packages to berth."""
    if not any(isinstance(finder, Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, Finder())


def _run_file(arguments):
    sys.argv[:] = arguments
    sys.path[0] = os.path.dirname(os.path.abspath(arguments[0]))
    module = _ModuleType("__main__")
    module.__file__, module.__builtins__ = arguments[0], __builtins__
    with open(arguments[0], "rb") as file:
        code = compile(file.read(), arguments[0], "exec")
    sys.modules["__main__"] = module
    exec(code, module.__dict__)  # pylint: disable=exec-used


def _run_module(arguments):
    import runpy
    sys.argv[:] = arguments
    sys.path[0] = os.getcwd()
    runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)


def main(arguments):
    """Runs a program as __main__, with its own arguments and folder."""
    if not arguments or arguments == ["-m"]:
        print("usage: python3 -m berth.run PROGRAM [ARGUMENT...]\n"
              "       python3 -m berth.run -m MODULE [ARGUMENT...]", file=sys.stderr)
        return 2
    install()
    if arguments[0] == "-m":
        _run_module(arguments[1:])
    else:
        _run_file(arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
