"""The rules of layer-wise relevance propagation, and the composites that say which rule goes where.

Every rule answers one question: neuron j of a linear map z_j = sum_i a_i w_ij + b_j holds relevance
R_j; how much of it comes from each input i? Its body is the four steps of Montavon et al. (2019):

1. z, a forward pass with changed inputs or weights;
2. s = R / z;
3. c, a backward pass of s;
4. R_i = a_i c_i.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ..engine.graph import divide, pull
from ..engine.linear import LinearMap, Rule

threshold_backward = torch.ops.aten.threshold_backward


@dataclass(frozen=True)
class Zero:
    """LRP-0: R_i = sum_j a_i w_ij / z_j R_j (Bach et al., 2015, eq. 56). Equal to gradient × input
    on ReLU networks.

    >>> from lib.lrp import lrp
    >>> layer = torch.nn.Linear(2, 1, bias=False)
    >>> _ = layer.weight.data.copy_(torch.tensor([[2.0, -1.0]]))
    >>> lrp(layer, torch.tensor([[1.0, 1.0]]), rules=Zero())
    tensor([[ 2., -1.]])
    """

    def propagate(self, layer: LinearMap, relevance: Tensor) -> Tensor:
        z = layer.z
        s = divide(relevance, z)
        c = layer.pull(s)
        return layer.a * c

    def of_bias(self, layer: LinearMap, relevance: Tensor) -> Tensor:
        """What the bias of each neuron keeps of its relevance, like z; so in the other rules."""
        return layer.bias_like_z() * divide(relevance, layer.z)


@dataclass(frozen=True)
class Epsilon:
    """LRP-epsilon: R_i = sum_j a_i w_ij / (z_j + eps s(z_j)) R_j, s(z) = 1 if z >= 0 else -1 (Bach
    et al., 2015, eq. 58).

    eps >= 0 absorbs relevance where a neuron's evidence is weak or contradictory. Raises ValueError
    for another one.

    >>> from lib.lrp import lrp
    >>> layer = torch.nn.Linear(2, 1, bias=False)
    >>> _ = layer.weight.data.copy_(torch.tensor([[2.0, -1.0]]))
    >>> lrp(layer, torch.tensor([[1.0, 1.0]]), rules=Epsilon(1.0))
    tensor([[ 1.0000, -0.5000]])
    """

    eps: float = 1e-6

    def __post_init__(self) -> None:
        if not self.eps >= 0:
            raise ValueError(f"eps: expected a number >= 0, got {self.eps}")

    def propagate(self, layer: LinearMap, relevance: Tensor) -> Tensor:
        z = self.stabilised(layer.z)
        s = relevance / z if self.eps else divide(relevance, z)
        c = layer.pull(s)
        return layer.a * c

    def of_bias(self, layer: LinearMap, relevance: Tensor) -> Tensor:
        return layer.bias_like_z() * divide(relevance, self.stabilised(layer.z))

    def stabilised(self, z: Tensor) -> Tensor:
        """z + eps s(z)."""
        return torch.copysign(z.new_tensor(self.eps), z).add_(z)


@dataclass(frozen=True)
class Gamma:
    """LRP-gamma (Montavon et al., 2019), for inputs and outputs of either sign (Andéol et al.,
    2021).

    Neuron j favours, by the factor 1 + gamma, what has the sign of its own output z_j. With
    z_ij = a_i w_ij, and ^s for the parts of the sign of z_j,

    R_i = sum_j (z_ij + gamma z_ij^s) / (z_j + gamma (sum_i z_ij^s + b_j^s)) R_j.

    - z_j >= 0: positive contributions are favoured, a_i^+ w_ij^+ and a_i^- w_ij^-;
    - z_j < 0: negative ones, a_i^+ w_ij^- and a_i^- w_ij^+. The denominator never crosses 0.
    - a >= 0 and R_j = 0 where z_j < 0, as between two ReLUs: the rule as it is best known,
      R_i = sum_j a_i v_ij / (sum_i a_i v_ij + u_j) R_j with v = w + gamma w^+, u = b + gamma b^+.

    gamma = 0 is LRP-0, gamma -> infinity is z+ where z_j > 0. Raises ValueError for gamma < 0.

    >>> from lib.lrp import lrp
    >>> layer = torch.nn.Linear(2, 1, bias=False)
    >>> _ = layer.weight.data.copy_(torch.tensor([[2.0, -1.0]]))
    >>> lrp(layer, torch.tensor([[1.0, 1.0]]), rules=Gamma(1.0))
    tensor([[ 1.3333, -0.3333]])
    >>> lrp(layer, torch.tensor([[-1.0, -1.0]]), rules=Gamma(1.0))
    tensor([[-1.3333,  0.3333]])
    """

    gamma: float = 0.25

    def __post_init__(self) -> None:
        if not self.gamma >= 0:
            raise ValueError(f"gamma: expected a number >= 0, got {self.gamma}")

    def propagate(self, layer: LinearMap, relevance: Tensor) -> Tensor:
        # R where z > 0, at the price of one operation: is it all of R?
        if is_nonnegative(layer) and torch.equal(
            threshold_backward(relevance, layer.z, 0), relevance
        ):
            return self._of_positive(layer, relevance)
        return self._of_either_sign(layer, relevance)  # for the others the same, and dearer

    def _of_positive(self, layer: LinearMap, relevance: Tensor) -> Tensor:
        w, b = layer.weight, layer.bias
        z = layer.apply(layer.a, self._favoured(w), None if b is None else self._favoured(b))
        s = divide(relevance, z)  # a factor common to v and u is in z as well: R is the same
        c = pull(z, layer.a, s)
        return layer.a * c

    def _of_either_sign(self, layer: LinearMap, relevance: Tensor) -> Tensor:
        """With the sign t_j of z_j, what neuron j favours is (z_ij + t_j |z_ij|) / 2, and all cases
        are one formula, with h = gamma / 2 and d_j = (1 + h) |z_j| + h (sum_i |z_ij| + |b_j|):
        R_i = (1 + h) a_i sum_j w_ij t_j R_j / d_j + h |a_i| sum_j |w_ij| R_j / d_j.
        """
        h, (size, z_size) = self.gamma / 2, self._sizes(layer)
        d = (1 + h) * layer.z.abs() + h * z_size.detach()
        s = divide(relevance, d)
        s_signed = torch.where(layer.z < 0, -s, s)  # t_j R_j / d_j
        c = layer.pull(s_signed)
        c_size = pull(z_size, size, s)
        return (1 + h) * layer.a * c + h * size * c_size

    def of_bias(self, layer: LinearMap, relevance: Tensor) -> Tensor:
        z_size = self._sizes(layer)[1].detach()
        return self.share(layer.bias_like_z(), layer.z, z_size, relevance)

    def share(self, part: Tensor, z: Tensor, z_size: Tensor, relevance: Tensor) -> Tensor:
        """What a summand of z_j gets of R_j; z_size: the sum of all summands' sizes."""
        h = self.gamma / 2
        s = divide(relevance, (1 + h) * z.abs() + h * z_size)
        return (1 + h) * part * torch.where(z < 0, -s, s) + h * part.abs() * s

    def _sizes(self, layer: LinearMap) -> tuple[Tensor, Tensor]:
        """|a_i|, and sum_i |z_ij| + |b_j| with its graph to it."""
        w, b = layer.weight, layer.bias
        size = _leaf(layer.a.abs())
        return size, layer.apply(size, w.abs(), None if b is None else b.abs())

    def _favoured(self, p: Tensor) -> Tensor:
        """(p + gamma p^+) / (1 + gamma), by one operation."""
        return F.leaky_relu(p, 1 / (1 + self.gamma))


@dataclass(frozen=True)
class AlphaBeta:
    """LRP-alpha-beta, alpha - beta = 1 (Bach et al., 2015, eq. 60), with z_ij = a_i w_ij:
    R_i = sum_j (alpha z_ij^+ / (sum_i z_ij^+ + b_j^+) - beta z_ij^- / (sum_i z_ij^- + b_j^-)) R_j.

    A side that a neuron does not have (0 / 0) counts as 0: there alpha R_j or -beta R_j is all that
    is passed on. Raises ValueError for other alpha and beta.

    >>> from lib.lrp import lrp
    >>> layer = torch.nn.Linear(2, 1, bias=False)
    >>> _ = layer.weight.data.copy_(torch.tensor([[2.0, -1.0]]))
    >>> lrp(layer, torch.tensor([[1.0, 1.0]]), rules=AlphaBeta(2, 1))
    tensor([[ 2., -1.]])
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
        """The output as the sum of its two parts, which are kept for the way back."""
        layer.parts = _positive(layer), _negative(layer)
        return layer.parts[0] + layer.parts[1]

    def propagate(self, layer: LinearMap, relevance: Tensor) -> Tensor:
        # Both sides at once; a batch normalisation behind the map has emptied its parts.
        z = layer.parts or (_positive(layer), _negative(layer))
        s = [divide(relevance, z_side) for z_side in z]
        c = [pull(z_side, layer.a, s_side) for z_side, s_side in zip(z, s)]
        return layer.a * (self.alpha * c[0] - self.beta * c[1])

    def of_bias(self, layer: LinearMap, relevance: Tensor) -> Tensor:
        b = layer.bias_like_z()
        favoured = _positive_part(b) * divide(relevance, _positive(layer))
        against = _negative_part(b) * divide(relevance, _negative(layer))
        return self.alpha * favoured - self.beta * against


@dataclass(frozen=True)
class ZPlus:
    """The z+ rule, R_i = sum_j z_ij^+ / (sum_i z_ij^+ + b_j^+) R_j with z_ij = a_i w_ij (Montavon
    et al., 2017).

    Equal to alpha-beta with alpha = 1, beta = 0. Relevance keeps its sign: from R_j >= 0 comes
    R_i >= 0.

    >>> from lib.lrp import lrp
    >>> layer = torch.nn.Linear(2, 1, bias=False)
    >>> _ = layer.weight.data.copy_(torch.tensor([[2.0, -1.0]]))
    >>> lrp(layer, torch.tensor([[1.0, 1.0]]), rules=ZPlus())
    tensor([[1., 0.]])
    """

    def forward(self, layer: LinearMap) -> Tensor:
        """z without a graph: the way back goes through the positive part alone, never through
        `layer.pull`.
        """
        return layer.function(layer.a, layer.weight, layer.bias)

    def propagate(self, layer: LinearMap, relevance: Tensor) -> Tensor:
        z = _positive(layer)
        s = divide(relevance, z)
        c = pull(z, layer.a, s)
        return layer.a * c

    def of_bias(self, layer: LinearMap, relevance: Tensor) -> Tensor:
        return _positive_part(layer.bias_like_z()) * divide(relevance, _positive(layer))


@dataclass(frozen=True)
class ZBox:
    """The z^B rule for a layer that reads pixels low <= x_i <= high (Montavon et al., 2017):
    R_i = sum_j (x_i w_ij - low w_ij^+ - high w_ij^-) / sum_i (the same) R_j.

    low and high are numbers or tensors that broadcast to x (one value a channel, say). Left at None
    they are 0 and 1, widened for each image to its own range where that leaves [0, 1]. Raises
    ValueError if x leaves the given box.

    >>> from lib.lrp import lrp
    >>> layer = torch.nn.Linear(2, 1, bias=False)
    >>> _ = layer.weight.data.copy_(torch.tensor([[2.0, -1.0]]))
    >>> lrp(layer, torch.tensor([[1.0, 0.0]]), rules=ZBox(0, 1))  # an empty pixel gets its share
    tensor([[1.3333, 0.6667]])
    """

    by_place: ClassVar[bool] = True
    low: float | Tensor | None = None
    high: float | Tensor | None = None

    def propagate(self, layer: LinearMap, relevance: Tensor) -> Tensor:
        x, w, (low, high) = layer.a, layer.weight, self._box(layer)
        with torch.enable_grad():  # the differences need a graph, too
            z = (
                layer.apply(x, w)
                - layer.apply(low, _positive_part(w))
                - layer.apply(high, _negative_part(w))
            )
        s = divide(relevance, z)
        c = torch.autograd.grad(z, (x, low, high), s)
        return x * c[0] + low * c[1] + high * c[2]

    def _box(self, layer: LinearMap) -> tuple[Tensor, Tensor]:
        """The bounds of the network's input, brought to the map's: through a padding, or a
        normalisation that is part of the model.
        """
        x = layer.a.detach() if layer.origin is None else layer.origin
        each = tuple(range(1, x.dim()))
        low, high = x.amin(each, keepdim=True).clamp(max=0), x.amax(each, keepdim=True).clamp(min=1)
        if self.low is not None:
            low = torch.as_tensor(self.low, dtype=x.dtype, device=x.device)
        if self.high is not None:
            high = torch.as_tensor(self.high, dtype=x.dtype, device=x.device)
        if (x < low).any() or (x > high).any():
            raise ValueError(
                "x: expected values between low and high of ZBox, got a range of "
                f"{x.min():.3g} to {x.max():.3g}"
            )
        low, high = low.expand_as(x), high.expand_as(x)
        if layer.origin is not None:
            ends = layer.again(low), layer.again(high)
            low, high = torch.minimum(*ends), torch.maximum(*ends)
        return _leaf(low), _leaf(high)


@dataclass(frozen=True)
class WSquare:
    """The w^2 rule, R_i = sum_j w_ij^2 / sum_i w_ij^2 R_j: for inputs without bounds (Montavon et
    al., 2017).

    >>> from lib.lrp import lrp
    >>> layer = torch.nn.Linear(2, 1, bias=False)
    >>> _ = layer.weight.data.copy_(torch.tensor([[2.0, -1.0]]))
    >>> lrp(layer, torch.tensor([[3.0, 1.0]]), rules=WSquare())
    tensor([[4., 1.]])
    """

    by_place: ClassVar[bool] = True

    def propagate(self, layer: LinearMap, relevance: Tensor) -> Tensor:
        ones = layer.present().requires_grad_()  # in the place of a
        z = layer.apply(ones, layer.weight**2)
        s = divide(relevance, z)
        c = pull(z, ones, s)
        return ones * c


@dataclass(frozen=True)
class Flat:
    """The flat rule: neuron j gives the same share to each input it reads, whatever its weight
    (Lapuschkin et al., 2019).

    >>> from lib.lrp import lrp
    >>> layer = torch.nn.Linear(2, 1, bias=False)
    >>> _ = layer.weight.data.copy_(torch.tensor([[2.0, -1.0]]))
    >>> lrp(layer, torch.tensor([[3.0, 1.0]]), rules=Flat())
    tensor([[2.5000, 2.5000]])
    """

    by_place: ClassVar[bool] = True

    def propagate(self, layer: LinearMap, relevance: Tensor) -> Tensor:
        ones = layer.present().requires_grad_()  # in the place of a
        z = layer.apply(ones, torch.ones_like(layer.weight))
        s = divide(relevance, z)
        c = pull(z, ones, s)
        return ones * c


@dataclass(frozen=True)
class Composite:
    """Which rule on which layer: one for dense layers, one for convolutions, and one (or none) for
    what reads x itself. `lrp` takes it as its `rules`.

    through_gates: whether attention weights and gates get half of the relevance of what they
    multiply, as in AttnLRP (Achtibat et al., 2024), or none (Ali et al., 2022).

    >>> from torch import nn
    >>> from lib.lrp import lrp
    >>> rules = Composite(dense=Epsilon(), convolution=Gamma(0.25), first=ZBox(0, 1))
    >>> model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))
    >>> lrp(model, torch.rand(1, 1, 4, 4), rules=rules).shape
    torch.Size([1, 1, 4, 4])
    """

    dense: Rule
    convolution: Rule
    first: Rule | None = None
    through_gates: bool = False

    def __call__(self, layer: LinearMap) -> Rule:
        if layer.reads_input and self.first is not None:
            return self.first
        return self.convolution if layer.kind == "convolution" else self.dense


#: Composites by the names that `lrp` understands.
COMPOSITES = {
    "epsilon_plus": Composite(dense=Epsilon(), convolution=ZPlus()),
    "epsilon_gamma_box": Composite(dense=Epsilon(), convolution=Gamma(0.25), first=ZBox()),
    "epsilon_alpha2_beta1": Composite(dense=Epsilon(), convolution=AlphaBeta(2, 1)),
    "attn_lrp": Composite(dense=Epsilon(), convolution=Gamma(0.25), through_gates=True),
}


def denominator_of(rule: object) -> Callable[[Tensor], Tensor] | None:
    """For rules whose denominators are a function of the stored z alone, that function; else None.

    Recurrent layers ask, to compute them for all steps at once. Asked by type, so that no other
    rule is taken for one of these.
    """
    if type(rule) is Zero:
        return lambda z: z
    return rule.stabilised if type(rule) is Epsilon else None


def is_nonnegative(layer: LinearMap) -> bool:
    """Whether a >= 0, known before or seen now."""
    return layer.nonnegative or layer.a.min().item() >= 0


def _positive(layer: LinearMap) -> Tensor:
    """sum_i z_ij^+ + b_j^+ for every j, with its graph to the input."""
    return _of_sign(layer, _positive_part, _negative_part)


def _negative(layer: LinearMap) -> Tensor:
    """sum_i z_ij^- + b_j^- for every j, with its graph to the input."""
    return _of_sign(layer, _negative_part, _positive_part)


def _of_sign(layer: LinearMap, same: Callable, other: Callable) -> Tensor:
    """A product has the sign that is asked for where a >= 0 and w has it, and where a < 0 and w has
    the other.
    """
    a, w, b = layer.a, layer.weight, None if layer.bias is None else same(layer.bias)
    if is_nonnegative(layer):
        return layer.apply(a, same(w), b)
    with torch.enable_grad():
        return layer.apply(_positive_part(a), same(w), b) + layer.apply(_negative_part(a), other(w))


def _positive_part(values: Tensor) -> Tensor:
    return values.relu()


def _negative_part(values: Tensor) -> Tensor:
    return values.clamp(max=0)


def _leaf(values: Tensor) -> Tensor:
    return values.detach().clone().requires_grad_()
