"""What not every program needs is loaded when it is asked for: the __getattr__ of a module."""

import sys


def loader(module, table):
    """A function for names that `module` (its globals) lacks; the table has the file of each."""
    name_of_module = module["__name__"]

    def get(name):
        file = table.get(name)
        if file is None:
            raise AttributeError(f"module {name_of_module!r} has no attribute {name!r}")
        import importlib  # which takes as long as much of this package
        value = getattr(importlib.import_module(file, __package__), name)
        conventions = sys.modules.get("berth._pyqt")
        if conventions is not None and isinstance(value, type):
            conventions.adapt(value)
        module[name] = value
        return value
    get.__name__ = "__getattr__"
    return get
