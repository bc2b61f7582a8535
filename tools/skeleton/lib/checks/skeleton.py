"""The checks of the exercises on the chapter "Skeleton of a chapter".

Each takes a student's function, returns None if it is right and raises AssertionError with a hint
if not.
"""

from collections.abc import Callable

from torch import Tensor

from ._helpers import Draw, exercise, judge


@exercise
def check_skeleton_share(answer: Callable) -> None:
    """a (N,) -> (N,): R_i = a_i / sum_j a_j."""

    def equation(a: Tensor) -> Tensor:
        return a / a.sum()

    probes = {f"{n} numbers": (Draw(n).uniform(1, 2, n),) for n in (1, 2, 5)}
    slips = {
        "the shares must sum to 1": lambda a: a,
        "divide by the sum, not by the mean": lambda a: a / a.mean(),
    }
    judge(answer, probes, equation, slips, "the values are not those of the equation")
