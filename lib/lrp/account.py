"""The account of an explanation: what each layer was given and kept, and a warning where that says
that the explanation is not to be trusted.
"""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ..engine.linear import Rule
from ..engine.steps import Messages, Step


@dataclass(frozen=True, eq=False)
class Layer:
    """One line of the account: an operation, the relevance at its output and what it kept.

    name: the module that owns the weight, else the operation; rule: None where no rule is needed;
    relevance: of the output's shape; absorbed (N,): relevance that came in from above and was not
        handed on below; shared (N,): that of biases which was handed on all the same.
    """

    name: str
    operation: str
    rule: Rule | None
    relevance: Tensor
    absorbed: Tensor
    shared: Tensor


class RelevanceWarning(UserWarning):
    """Relevance far larger than the score, or nearly all of the score absorbed.

    A class of its own: `warnings.filterwarnings("ignore", category=RelevanceWarning)` hides these
    warnings alone, and "error" in its place stops at them.

    >>> issubclass(RelevanceWarning, UserWarning)
    True
    """


def line_of(
    step: Step, above: Messages, below: Messages, shared: Tensor | None, count: int
) -> Layer:
    """The step's line of the account; shared: what biases handed on there, (N,) or None."""
    arrived = [R for R in above if R is not None]
    absorbed = per_sample(arrived, count)
    if handed_on := [R for R in below if R is not None]:
        absorbed = absorbed - per_sample(handed_on, count)
    name = step.linear.name if step.linear else step.operation
    shared = torch.zeros_like(absorbed) if shared is None else shared
    return Layer(name, step.operation, step.rule, arrived[0], absorbed, shared)


def per_sample(relevances: list[Tensor], count: int) -> Tensor:
    """The sum of all that the samples hold, (N,)."""
    return torch.stack([R.reshape(count, -1).sum(1) for R in relevances]).sum(0)


LARGE, ABSORBED = 1000, 0.9
HELD = 2**20  # larger ones are measured at once: the next step works in their memory


@dataclass(eq=False)
class Passage:
    """The relevance above and below a step, kept instead of what the step has stored: it is looked
    at only if there is something to warn of.
    """

    operation: str
    rule: Rule | None
    place: Callable[[], str]
    above: Messages
    below: Messages

    @staticmethod
    def of(step: Step, above: Messages, below: Messages) -> "Passage":
        place = step.linear.owner if step.linear else step.place
        passage = Passage(step.operation, step.rule, place, above, below)
        if sum(R.numel() for R in below if R is not None) > HELD:
            _ = passage.growth, passage.absorbed
            passage.above = passage.below = ()
        return passage

    @cached_property
    def growth(self) -> float:
        """How much longer the relevance has become."""
        above, below = (_length(messages) for messages in (self.above, self.below))
        return below / above if above and math.isfinite(below) else 0.0

    @cached_property
    def absorbed(self) -> float:
        return sum(R.sum().item() for R in self.above if R is not None) - sum(
            R.sum().item() for R in self.below if R is not None
        )

    def __str__(self) -> str:
        rule = f", rule {self.rule}" if self.rule else ""
        return f"{self.place() or 'the model itself'!r} ({self.operation}{rule})"


def _length(messages: Messages) -> float:
    return sum(torch.linalg.vector_norm(R).item() for R in messages if R is not None)


def warn(
    relevance: Tensor, scores: list[list[float]], passages: list[Passage], depth: int = 3
) -> None:
    """Warn where relevance says little of the scores (N, 1), naming the layer where most of it came
    or went. depth: how many calls lie between here and the user's.

    The samples of a batch are taken together: a score next to 0 among them says nothing.
    """
    parts = relevance if relevance.dim() == 2 else relevance.flatten(1)
    sizes, sums = torch.stack([parts.abs(), parts]).sum(2).tolist()
    whole = sum(abs(f) for (f,) in scores)
    size = sum(sizes)
    kept = sum(abs(f - total) for (f,), total in zip(scores, sums))
    if size <= LARGE * whole and kept <= ABSORBED * whole:
        return
    if not torch.isfinite(relevance).all():
        raise ValueError(
            f"model: relevance grows beyond what {relevance.dtype} can hold, most at "
            f"{max(passages, key=lambda passage: passage.growth)}"
        )
    if size > LARGE * whole:
        said = (
            f"relevance: sum |R| is {size / whole:.3g} times the score; it grew most at "
            f"{max(passages, key=lambda passage: passage.growth)}, where contributions of both "
            "signs nearly cancel. Take a rule that favours one sign, such as Gamma or ZPlus"
        )
    else:
        said = (
            f"relevance: its sum and the score differ by {kept / whole:.1%} of the score; most was "
            f"absorbed at {max(passages, key=lambda passage: abs(passage.absorbed))}, where the "
            "biases are most of what the neurons add up. The map still ranks the inputs; with "
            'biases="share" the parts of the biases are handed on'
        )
    warnings.warn(said, RelevanceWarning, stacklevel=depth)
