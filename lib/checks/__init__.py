"""The checks of the exercises: `checks.check_NAME(NAME)` returns None if the answer is right, else
raises AssertionError with a hint.

Each check is named in the file of its chapter alone, from where it is taken.
"""

from importlib import import_module
from pkgutil import iter_modules

_CHAPTERS = [name for _, name, _ in iter_modules(__path__) if not name.startswith("_")]
_CHECKS = {
    name: check
    for chapter in _CHAPTERS
    for name, check in vars(import_module(f"{__name__}.{chapter}")).items()
    if name.startswith("check_")
}
globals().update(_CHECKS)
__all__ = list(_CHECKS)
