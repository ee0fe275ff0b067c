"""Modules that are not loaded before one of their attributes is used."""

from __future__ import annotations

import sys
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any


class _Unloaded(ModuleType):
    """A module in `sys.modules` that has nothing but its name and its spec.

    Python's own `importlib.util.LazyLoader` loads as soon as a second file imports the module: it counts access to
    `__spec__`, which every import needs, as a use.
    """

    def __getattr__(self, name: str) -> Any:
        spec = self.__spec__
        assert spec is not None
        assert spec.loader is not None
        self.__class__ = ModuleType  # type: ignore[assignment]
        if spec.submodule_search_locations is not None:
            self.__path__ = spec.submodule_search_locations
        try:
            spec.loader.exec_module(self)
        except BaseException:
            del sys.modules[spec.name]
            raise
        return getattr(self, name)


def load_when_used(name: str) -> None:
    """Let imports of a module cost nothing until one of its attributes, or a module within it, is asked for.

    To be called before the program has threads: one that uses the module while another loads it finds half of it.
    A module that cannot be found is left to the import that misses it.
    """
    try:
        spec = None if name in sys.modules else find_spec(name)
    except OSError:  # too many open files, say
        spec = None
    if spec is None:
        return
    module = module_from_spec(spec)
    vars(module).pop("__path__", None)  # an import of a module within it asks for this
    module.__class__ = _Unloaded
    sys.modules[name] = module
