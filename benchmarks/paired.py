"""Methods compared on the same samples: means, standard errors, paired differences."""

import math
from collections.abc import Iterator, Mapping

from torch import Tensor

RULE = """\
"Ahead of" names the methods whose score is lower on the same samples by more than twice the
standard error of the paired differences. Where a method is not named, the samples do not separate
the two. Of pairs that are alike, chance alone names one in twenty (of seven samples one in
eleven)."""


def error(values: Tensor) -> float:
    """The standard error of the mean."""
    return values.std().item() / math.sqrt(len(values))


def said(values: Tensor, digits: int = 2) -> str:
    """The mean and its standard error."""
    return f"{values.mean():.{digits}f} ± {error(values):.{digits}f}"


def ahead(name: str, scores: Mapping[str, Tensor]) -> list[str]:
    """The methods that this one leads by more than twice the paired standard error."""
    others = {other: scores[name] - scores[other] for other in scores if other != name}
    return [other for other, more in others.items() if more.mean() > 2 * error(more)]


def columns(scores: Mapping[str, Tensor], digits: int = 2) -> Iterator[tuple[str, str, str]]:
    """Name, mean and error, and whom it leads, the highest mean first."""
    for name in sorted(scores, key=lambda name: -scores[name].mean()):
        led = ahead(name, scores)
        everyone = len(led) == len(scores) - 1 > 0
        yield name, said(scores[name], digits), "all others" if everyone else ", ".join(led) or "—"
