"""What the forward pass leaves behind: its operations, and its linear maps as their rules see
them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .operations import pull, pull_to_all
from .recurrent import Recurrence


@dataclass(eq=False, slots=True)
class Step:
    """One operation of the forward pass: from `inputs` to `outputs`.

    `leaves` are the inputs and `results` the outputs of a small graph of their own, through which
    `pull` goes back.
    """

    operation: str
    family: str
    inputs: list[Tensor]
    outputs: list[Tensor]
    leaves: Sequence[Tensor] = ()
    results: Sequence[Tensor] = ()
    linear: "LinearMap | None" = None
    rule: Any = None
    recurrence: Recurrence | None = None

    def pull(self, messages: list[Tensor | None]) -> list[Tensor | None]:
        """For each leaf a: sum_j dz_j/da message_j, where a message is None if no relevance reached
        that output.
        """
        if len(self.results) == 1:
            z, leaves = self.results[0], self.leaves
            return (
                [pull(z, leaves[0], messages[0])]
                if len(leaves) == 1
                else pull_to_all(z, leaves, messages[0])
            )
        pairs = [(z, m) for z, m in zip(self.results, messages) if m is not None]
        return list(
            torch.autograd.grad(
                [z for z, _ in pairs], self.leaves, [m for _, m in pairs], allow_unused=True
            )
        )


@dataclass(eq=False, slots=True)
class LinearMap:
    """One linear map z = a w + b, as its rule sees it: a dense layer or a convolution of any kind.

    `apply(a, w, b)` computes the map with other inputs or weights; `z` is the stored output. `root`
    has the graph from `a` to z, or to what a batch normalisation then multiplied by `scale`.
    `index` counts the linear maps in the order in which they run; `reads_input` is true where a is
    the network's input x, `nonnegative` where a is known to be >= 0 (after a ReLU, say; if false it
    may be so all the same). A rule that computes z in parts (`forward`) keeps them in `parts`.
    """

    owner: Callable[[], str]
    kind: str
    index: int
    reads_input: bool
    nonnegative: bool
    a: Tensor
    weight: Tensor
    bias: Tensor | None
    apply: Callable[..., Tensor]
    root: Tensor | None = None
    z: Tensor | None = None
    scale: Tensor | None = None
    parts: tuple[Tensor, Tensor] | None = None

    def pull(self, s: Tensor) -> Tensor:
        """c_i = sum_j dz_j/da_i s_j, through the stored graph."""
        return pull(self.root, self.a, s if self.scale is None else s * self.scale)

    @property
    def name(self) -> str:
        """The module that owns the weight, else the operation."""
        return self.owner()
