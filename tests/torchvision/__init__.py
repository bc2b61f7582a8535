"""A stand-in in which every name is an empty class and every submodule is another stand-in.

Zennit and timm import names of torchvision for layers and transforms that the tests do not use.
"""

import importlib.abc
import importlib.machinery
import sys
import types


class Empty(type):
    """A class whose attributes, those of enumerations, say, are made when they are asked for."""

    def __getattr__(cls, name):
        return stand_in(cls, name)


class StandIn(types.ModuleType):
    """A module of such classes."""

    __path__: list[str] = []

    def __getattr__(self, name):
        return stand_in(self, name)


def stand_in(owner, name):
    if name.startswith("__"):
        raise AttributeError(name)
    made = Empty(name, (), {})
    setattr(owner, name, made)
    return made


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds torchvision's submodules, whatever they are called."""

    def find_spec(self, name, path, target=None):
        if name.startswith(f"{__name__}."):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec):
        return StandIn(spec.name)

    def exec_module(self, module):
        pass


sys.meta_path.append(Finder())
sys.modules[__name__].__class__ = StandIn
__version__ = "0.0"
