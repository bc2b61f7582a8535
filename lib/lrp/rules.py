"""The rules of layer-wise relevance propagation, and the composites that say which rule goes where.

Every rule answers one question: neuron j of a linear map z_j = sum_i a_i w_ij + b_j holds relevance
    R_j; how much of it
comes from each input i? The four steps of each rule (Montavon et al., 2019) are visible in its
code:
1. z, a forward pass with changed inputs or weights; 2. s = R / z; 3. c, a backward pass of s; 4.
    R_i = a_i c_i.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ..engine.operations import pull
from ..engine.steps import LinearMap


@dataclass(frozen=True)
class Zero:
    """LRP-0: R_i = sum_j a_i w_ij / z_j R_j (Bach et al., 2015, eq. 56). Equal to gradient × input
    on ReLU networks.
    """

    eps: ClassVar[float] = 0.0

    def propagate(self, layer: LinearMap, relevance: Tensor) -> Tensor:
        return layer.pull(divide(relevance, layer.z)).mul_(layer.a)


@dataclass(frozen=True)
class Epsilon:
    """LRP-epsilon: R_i = sum_j a_i w_ij / (z_j + eps s(z_j)) R_j, s(z) = 1 if z >= 0 else -1 (Bach
    et al., 2015, eq. 58).

    eps >= 0 absorbs relevance where a neuron's evidence is weak or contradictory.
    """

    eps: float = 1e-6

    def __post_init__(self) -> None:
        if not self.eps >= 0:
            raise ValueError(f"eps: expected a number >= 0, got {self.eps}")

    def propagate(self, layer: LinearMap, relevance: Tensor) -> Tensor:
        z = layer.z
        denominator = torch.copysign(z.new_tensor(self.eps), z).add_(z)
        s = torch.div(relevance, denominator, out=denominator) if self.eps else divide(relevance, z)
        return layer.pull(s).mul_(layer.a)


@dataclass(frozen=True)
class Gamma:
    """LRP-gamma, for a_i >= 0: with v = w + gamma w^+ and u = b + gamma b^+,
    R_i = sum_j a_i v_ij / (sum_i a_i v_ij + u_j) R_j (Montavon et al., 2019).

    gamma = 0 is LRP-0, gamma -> infinity is z+.
    """

    gamma: float = 0.25

    def __post_init__(self) -> None:
        if not self.gamma >= 0:
            raise ValueError(f"gamma: expected a number >= 0, got {self.gamma}")

    def propagate(self, layer: LinearMap, relevance: Tensor) -> Tensor:
        def favour(p: Tensor | None) -> Tensor | None:
            return None if p is None else p + self.gamma * p.clamp(min=0)

        with torch.enable_grad():
            z = layer.apply(layer.a, favour(layer.weight), favour(layer.bias))
        return _share(z, layer.a, relevance)


@dataclass(frozen=True)
class AlphaBeta:
    """LRP-alpha-beta, alpha - beta = 1 (Bach et al., 2015, eq. 60), with z_ij = a_i w_ij:
    R_i = sum_j (alpha z_ij^+ / (sum_i z_ij^+ + b_j^+) - beta z_ij^- / (sum_i z_ij^- + b_j^-)) R_j.

    A side that a neuron does not have (0 / 0) counts as 0: there alpha R_j or -beta R_j is all that
    is passed on.
    """

    alpha: float = 2.0
    beta: float = 1.0

    def __post_init__(self) -> None:
        if not (self.beta >= 0 and abs(self.alpha - self.beta - 1) < 1e-9):
            raise ValueError(
                f"alpha, beta: expected alpha - beta = 1 and beta >= 0, got {self.alpha} and "
                f"{self.beta}"
            )

    def forward(self, layer: LinearMap) -> Tensor:
        layer.parts = _part(layer, positive=True), _part(layer, positive=False)
        return layer.parts[0] + layer.parts[1]

    def propagate(self, layer: LinearMap, relevance: Tensor) -> Tensor:
        if layer.parts is None:  # a batch normalisation has changed the weights since
            self.forward(layer)
        positive, negative = (_share(part, layer.a, relevance) for part in layer.parts)
        return positive.mul_(self.alpha).sub_(negative, alpha=self.beta)


@dataclass(frozen=True)
class ZPlus:
    """The z+ rule, R_i = sum_j z_ij^+ / (sum_i z_ij^+ + b_j^+) R_j with z_ij = a_i w_ij (Montavon
    et al., 2017).

    Equal to alpha-beta with alpha = 1, beta = 0. Relevance keeps its sign: from R_j >= 0 comes R_i
    >= 0.
    """

    def forward(self, layer: LinearMap) -> Tensor:
        # no graph: the way back goes through the positive part alone
        return layer.apply(layer.a, layer.weight, layer.bias)

    def propagate(self, layer: LinearMap, relevance: Tensor) -> Tensor:
        return _share(_part(layer, positive=True), layer.a, relevance)


@dataclass(frozen=True)
class ZBox:
    """The z^B rule for a layer that reads pixels low <= x_i <= high (Montavon et al., 2017):
    R_i = sum_j (x_i w_ij - low w_ij^+ - high w_ij^-) / sum_i (the same) R_j.

    low and high are numbers or tensors that broadcast to x (one value a channel, say). Left at None
    they are 0 and 1, widened for each image to its own range where that leaves [0, 1]. Raises
    ValueError if x leaves the given box.
    """

    low: float | Tensor | None = None
    high: float | Tensor | None = None

    def propagate(self, layer: LinearMap, relevance: Tensor) -> Tensor:
        x, w = layer.a, layer.weight
        low, high = (bound.detach().clone().requires_grad_() for bound in self._box(x.detach()))
        with torch.enable_grad():
            z = (
                layer.apply(x, w)
                - layer.apply(low, w.clamp(min=0))
                - layer.apply(high, w.clamp(max=0))
            )
        s = divide(relevance, z)
        c = torch.autograd.grad(z, (x, low, high), s)
        return x * c[0] + low * c[1] + high * c[2]

    def _box(self, x: Tensor) -> tuple[Tensor, Tensor]:
        each = tuple(range(1, x.dim()))
        low = (
            x.amin(each, keepdim=True).clamp(max=0)
            if self.low is None
            else torch.as_tensor(self.low, dtype=x.dtype, device=x.device)
        )
        high = (
            x.amax(each, keepdim=True).clamp(min=1)
            if self.high is None
            else torch.as_tensor(self.high, dtype=x.dtype, device=x.device)
        )
        if (x < low).any() or (x > high).any():
            raise ValueError(
                f"x: expected values between low and high of ZBox, got a range of "
                f"{x.min():.3g} to {x.max():.3g}"
            )
        return low.expand_as(x), high.expand_as(x)


@dataclass(frozen=True)
class WSquare:
    """The w^2 rule, R_i = sum_j w_ij^2 / sum_i w_ij^2 R_j: for inputs without bounds (Montavon et
    al., 2017).
    """

    def propagate(self, layer: LinearMap, relevance: Tensor) -> Tensor:
        return _share_of_weights(layer, layer.weight**2, relevance)


@dataclass(frozen=True)
class Flat:
    """The flat rule: neuron j gives the same share to each input it reads, whatever its weight
    (Lapuschkin et al., 2019).
    """

    def propagate(self, layer: LinearMap, relevance: Tensor) -> Tensor:
        return _share_of_weights(layer, torch.ones_like(layer.weight), relevance)


Rule = Zero | Epsilon | Gamma | AlphaBeta | ZPlus | ZBox | WSquare | Flat


@dataclass(frozen=True)
class Composite:
    """Which rule on which layer: one for dense layers, one for convolutions, and one (or none) for
    what reads x itself.
    """

    dense: Rule
    convolution: Rule
    first: Rule | None = None

    def __call__(self, layer: LinearMap) -> Rule:
        if layer.reads_input and self.first is not None:
            return self.first
        return self.convolution if layer.kind == "convolution" else self.dense


COMPOSITES = {
    "epsilon_plus": Composite(dense=Epsilon(), convolution=ZPlus()),
    "epsilon_gamma_box": Composite(dense=Epsilon(), convolution=Gamma(0.25), first=ZBox()),
    "epsilon_alpha2_beta1": Composite(dense=Epsilon(), convolution=AlphaBeta(2, 1)),
}


def divide(relevance: Tensor, z: Tensor, out: Tensor | None = None) -> Tensor:
    """s = R / z, and 0 where z = 0: a neuron without evidence has nothing to share out. `out` is
    the memory for it.
    """
    return torch.div(relevance, z, out=out).nan_to_num_(0, 0, 0)


def _share(z: Tensor, a: Tensor, relevance: Tensor) -> Tensor:
    """R_i = a_i sum_j dz_j/da_i R_j / z_j: each input's part of z."""
    values = z.detach()  # of no more use: everything that reads z has had its relevance by now
    return pull(z, a, divide(relevance, values, out=values)).mul_(a)


def _part(layer: LinearMap, positive: bool) -> Tensor:
    """sum_i z_ij^+ + b_j^+ for every j, or the same of the negative parts, with its graph to the
    input.
    """

    def plus(p: Tensor | None) -> Tensor | None:
        return None if p is None else p.relu()

    def minus(p: Tensor | None) -> Tensor | None:
        return None if p is None else p.clamp(max=0)

    same, other = (plus, minus) if positive else (minus, plus)
    a, w = layer.a, layer.weight
    with torch.enable_grad():
        if layer.nonnegative or a.min().item() >= 0:
            return layer.apply(a, same(w), same(layer.bias))
        return layer.apply(plus(a), same(w), same(layer.bias)) + layer.apply(minus(a), other(w))


def _share_of_weights(layer: LinearMap, weight: Tensor, relevance: Tensor) -> Tensor:
    """Relevance shared by weights alone: the input counts as 1 everywhere, the bias as 0."""
    ones = torch.ones_like(layer.a, requires_grad=True)
    with torch.enable_grad():
        z = layer.apply(ones, weight)
    return _share(z, ones, relevance)
