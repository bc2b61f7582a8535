"""A linear map of the network as a rule sees it, and what makes an object a rule."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from .graph import pull


@runtime_checkable
class Rule(Protocol):
    """How relevance at the outputs of a linear map is shared out among its inputs.

    Any object with this method is a rule. It may also have a method `forward(layer)` that returns
    the output z of the map, in its own way; what it wants to keep of it goes to `layer.parts`. If
    `propagate` uses `layer.pull`, that z must have its graph to `layer.a`. A rule with an attribute
    `by_place` that is true shares out among the places of x itself: a normalisation between x and
    the map takes no part.

    >>> from lib.lrp import Zero
    >>> isinstance(Zero(), Rule), isinstance("epsilon_plus", Rule)
    (True, False)
    """

    def propagate(self, layer: "LinearMap", relevance: Tensor) -> Tensor:
        """Relevance like z to relevance like a; it must not write over what it is given.

        It runs within `torch.no_grad()`: only what `layer.apply` returns has a graph.
        """


@dataclass(eq=False, slots=True)
class LinearMap:
    """One linear map z = a w + b: a dense layer or a convolution of any kind.

    Attributes
    ----------
    name : the module that owns the weight, else the operation.
    kind : "dense" or "convolution".
    index : counts the linear maps in the order in which they run.
    reads_input : whether a is the network's input x, perhaps in another shape.
    nonnegative : whether a is known to be >= 0, after a ReLU, say. If false it may still be so.
    a, weight, bias, z : the input, with a graph that starts there, the parameters and the output.
    root : z with its graph to a. Where a batch normalisation behind the map has been made part of
        it, z before that, and `scale` is its factor for each channel.
    parts : what a rule's `forward` has kept; None also where a batch normalisation has changed the
        weights since.
    function : what `apply` calls. owner : finds the name.
    origin, again : a is again(origin), where only values were moved, padded or, from x, scaled and
        shifted by constants; None: a itself.
    """

    owner: Callable[[], str]
    kind: str
    index: int
    reads_input: bool
    nonnegative: bool
    a: Tensor
    weight: Tensor
    bias: Tensor | None
    function: Callable[..., Tensor]
    root: Tensor = field(init=False)
    z: Tensor = field(init=False)
    scale: Tensor | None = None
    parts: tuple[Tensor, Tensor] | None = None
    origin: Tensor | None = None
    again: Callable[[Tensor], Tensor] = torch.Tensor.contiguous

    def apply(self, a: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """The map of another input, with other parameters; with its graph to those that ask for
        one.
        """
        with torch.enable_grad():
            return self.function(a, weight, bias)

    def run(self, rule: Rule | None) -> None:
        """Compute z, in the rule's own way if it has one."""
        forward = getattr(rule, "forward", None)
        if forward is None:
            self.root = self.apply(self.a, self.weight, self.bias)
        else:
            self.root = forward(self)
        self.z = self.root.detach() if self.root.requires_grad else self.root

    def present(self) -> Tensor:
        """1 where a holds a value of its origin, 0 where it holds a constant: the zeros of a
        padding, say.
        """
        if self.origin is None:
            return torch.ones_like(self.a)
        with torch.no_grad():
            ones, zeros = torch.ones_like(self.origin), torch.zeros_like(self.origin)
            return (self.again(ones) != self.again(zeros)).to(self.a.dtype)

    def bias_like_z(self) -> Tensor:
        """b_j in a shape that broadcasts to z; 0 without a bias."""
        if self.bias is None:
            return self.z.new_zeros(())
        trailing = max(self.weight.dim(), self.z.dim()) - 2 if self.kind == "convolution" else 0
        return self.bias.view(-1, *[1] * trailing)

    def pull(self, s: Tensor) -> Tensor:
        """c_i = sum_j dz_j/da_i s_j for the stored z; for a z of your own, `lib.engine.pull`."""
        return pull(self.root, self.a, s if self.scale is None else s * self.scale)

    @property
    def name(self) -> str:
        """The module that owns the weight, else the operation."""
        return self.owner()


def owner_of(model: nn.Module, weight: Tensor, operation: str) -> str:
    """The name of the module that owns the weight, else the operation.

    A function of its own: as a method of the tracer it would keep the tracer, and all that it has
    seen, in memory as long as the map.
    """
    names = (name for name, parameter in model.named_parameters() if parameter is weight)
    return next(names, operation).rpartition(".")[0] or operation


def scale_outputs(weight: Tensor, scale: Tensor, operation: str) -> Tensor:
    """The weight of an operation with each output channel multiplied by its scale."""
    if operation in ("matmul", "mm", "addmm"):
        return weight * scale
    if not operation.startswith("conv_transpose"):
        return weight * scale.view(-1, *[1] * (weight.dim() - 1))
    groups = len(scale) // weight.shape[1]  # a transposed weight is (in, out / groups, ...)
    per_input = scale.view(groups, 1, -1).expand(groups, weight.shape[0] // groups, -1)
    per_input = per_input.reshape(weight.shape[:2])
    return weight * per_input.view(*weight.shape[:2], *[1] * (weight.dim() - 2))
