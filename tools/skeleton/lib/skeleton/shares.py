"""One method a function; its body is its equation."""

import torch
from torch import Tensor


def share(a: Tensor) -> Tensor:
    """The part of each number in the sum, R_i = a_i / sum_j a_j.

    a: (N,), finite floats whose sum is not 0. Returns (N,); the shares sum to 1.

    Raises TypeError or ValueError for anything else.

    >>> share(torch.tensor([1.0, 3.0]))
    tensor([0.2500, 0.7500])
    """
    if not isinstance(a, Tensor) or not a.is_floating_point():
        raise TypeError(f"a: expected a floating-point tensor, got {type(a).__name__}")
    if a.dim() != 1 or not torch.isfinite(a).all() or a.sum() == 0:
        raise ValueError(
            f"a: expected finite numbers (N,) whose sum is not 0, got {tuple(a.shape)}"
        )
    return a / a.sum()
