"""The checks of the exercises: `checks.check_NAME(NAME)` returns None if the answer is right, else
raises AssertionError with a hint.
"""

from . import (
    applications,
    bias,
    evaluation,
    gans,
    interpretability,
    lrp,
    responsibility,
    sensitivity,
    uncertainty,
    vae,
)

_CHAPTERS = (
    interpretability,
    sensitivity,
    lrp,
    evaluation,
    applications,
    vae,
    gans,
    uncertainty,
    bias,
    responsibility,
)
# Each check is named in its chapter's file alone.
_CHECKS = {
    name: check
    for chapter in _CHAPTERS
    for name, check in vars(chapter).items()
    if name.startswith("check_")
}
globals().update(_CHECKS)
__all__ = list(_CHECKS)
