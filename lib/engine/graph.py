"""One step back through the small graphs that torch keeps of a forward pass."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def divide(relevance: Tensor, z: Tensor) -> Tensor:
    """Step 2, s = R / z, and 0 where z = 0 or the quotient is not finite: a neuron without
    evidence has nothing to share out. Within `torch.no_grad()`, where rules run.

    >>> divide(torch.tensor([1.0, 1.0]), torch.tensor([2.0, 0.0]))
    tensor([0.5000, 0.0000])
    """
    return torch.div(relevance, z).nan_to_num_(0, 0, 0)


def pull(z: Tensor, a: Tensor, s: Tensor) -> Tensor:
    """Step 3, c_i = sum_j dz_j/da_i s_j: the message s at z brought back to a. This is
    `torch.autograd.grad(z, a, s)`, quicker for a single operation.

    z and s have one shape; the result has that of a and can be written over.

    >>> a = torch.ones(2, requires_grad=True)
    >>> pull(3 * a, a, torch.tensor([1.0, 2.0]))
    tensor([3., 6.])
    """
    node: Any = z.grad_fn
    ways = [(k, source) for k, (source, _) in enumerate(node.next_functions) if source is not None]
    if len(ways) == 1 and getattr(ways[0][1], "variable", None) is a:
        # One operation: asked directly, without torch's engine.
        c = node(s)
        return _like(a, c[ways[0][0]] if isinstance(c, tuple) else c)
    # The graph is kept: a map and the same map with its batch normalisation share one.
    return torch.autograd.grad(z, a, s, retain_graph=True)[0]


def pull_to_all(z: Tensor, leaves: Sequence[Tensor], s: Tensor) -> list[Tensor | None]:
    """The same for several leaves: of one operation on them, a sum or a concatenation, asked
    directly, and else by torch's engine.
    """
    node: Any = z.grad_fn
    sources = [id(getattr(source, "variable", None)) for source, _ in node.next_functions]
    if list(map(id, leaves)) == sources:
        return [_like(a, c) for c, a in zip(node(s), leaves)]
    return list(torch.autograd.grad(z, leaves, s, allow_unused=True))


def _like(a: Tensor, c: Tensor) -> Tensor:
    """Summed over what a broadcast has repeated, as torch's engine would do."""
    return c if c.shape == a.shape else c.sum_to_size(a.shape)
