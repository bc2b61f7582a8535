"""Layer-wise relevance propagation: the score of a network shared out among its inputs, layer by layer.

Every rule answers one question: neuron j of a linear map z_j = sum_i a_i w_ij + b_j holds relevance R_j; how much of it
comes from each input i? The four steps of each rule (Montavon et al., 2019) are visible in its code:
1. z, a forward pass with changed inputs or weights; 2. s = R / z; 3. c, a backward pass of s; 4. R_i = a_i c_i.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .contract import check_arguments, check_scores, class_index, gradient_of_score, undisturbed
from .tracing import LinearMap, Step, pull, trace


@dataclass(frozen=True)
class Zero:
    """LRP-0: R_i = sum_j a_i w_ij / z_j R_j (Bach et al., 2015, eq. 56). Equal to gradient x input on ReLU networks."""

    def propagate(self, layer: LinearMap, relevance: Tensor) -> Tensor:
        return _share(layer.z, layer.a, relevance)


@dataclass(frozen=True)
class Epsilon:
    """LRP-epsilon: R_i = sum_j a_i w_ij / (z_j + eps s(z_j)) R_j, s(z) = 1 if z >= 0 else -1 (Bach et al., 2015, eq. 58).

    eps >= 0 absorbs relevance where a neuron's evidence is weak or contradictory.
    """

    eps: float = 1e-6

    def __post_init__(self) -> None:
        if not self.eps >= 0:
            raise ValueError(f"eps: expected a number >= 0, got {self.eps}")

    def propagate(self, layer: LinearMap, relevance: Tensor) -> Tensor:
        z = layer.z.detach()
        denominator = torch.copysign(z.new_tensor(self.eps), z).add_(z)
        s = torch.div(relevance, denominator, out=denominator) if self.eps else _divide(relevance, z)
        return pull(layer.z, layer.a, s).mul_(layer.a)


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

    A side that a neuron does not have (0 / 0) counts as 0: there alpha R_j or -beta R_j is all that is passed on.
    """

    alpha: float = 2.0
    beta: float = 1.0

    def __post_init__(self) -> None:
        if not (self.beta >= 0 and abs(self.alpha - self.beta - 1) < 1e-9):
            raise ValueError(f"alpha, beta: expected alpha - beta = 1 and beta >= 0, got {self.alpha} and {self.beta}")

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
    """The z+ rule, R_i = sum_j z_ij^+ / (sum_i z_ij^+ + b_j^+) R_j with z_ij = a_i w_ij (Montavon et al., 2017).

    Equal to alpha-beta with alpha = 1, beta = 0. Relevance keeps its sign: from R_j >= 0 comes R_i >= 0.
    """

    def propagate(self, layer: LinearMap, relevance: Tensor) -> Tensor:
        return _share(_part(layer, positive=True), layer.a, relevance)


@dataclass(frozen=True)
class ZBox:
    """The z^B rule for a layer that reads pixels low <= x_i <= high (Montavon et al., 2017):
    R_i = sum_j (x_i w_ij - low w_ij^+ - high w_ij^-) / sum_i (the same) R_j.

    low and high are numbers or tensors that broadcast to x (one value a channel, say). Left at None they are 0 and 1,
    widened for each image to its own range where that leaves [0, 1]. Raises ValueError if x leaves the given box.
    """

    low: float | Tensor | None = None
    high: float | Tensor | None = None

    def propagate(self, layer: LinearMap, relevance: Tensor) -> Tensor:
        x, w = layer.a, layer.weight
        low, high = (bound.detach().clone().requires_grad_() for bound in self._box(x.detach()))
        with torch.enable_grad():
            z = layer.apply(x, w) - layer.apply(low, w.clamp(min=0)) - layer.apply(high, w.clamp(max=0))
        s = _divide(relevance, z)
        c = torch.autograd.grad(z, (x, low, high), s)
        return x * c[0] + low * c[1] + high * c[2]

    def _box(self, x: Tensor) -> tuple[Tensor, Tensor]:
        each = tuple(range(1, x.dim()))
        low = x.amin(each, keepdim=True).clamp(max=0) if self.low is None else torch.as_tensor(self.low, dtype=x.dtype, device=x.device)
        high = x.amax(each, keepdim=True).clamp(min=1) if self.high is None else torch.as_tensor(self.high, dtype=x.dtype, device=x.device)
        if (x < low).any() or (x > high).any():
            raise ValueError(f"x: expected values between low and high of ZBox, got a range of {x.min():.3g} to {x.max():.3g}")
        return low.expand_as(x), high.expand_as(x)


@dataclass(frozen=True)
class WSquare:
    """The w^2 rule, R_i = sum_j w_ij^2 / sum_i w_ij^2 R_j: for inputs without bounds (Montavon et al., 2017)."""

    def propagate(self, layer: LinearMap, relevance: Tensor) -> Tensor:
        return _share_of_weights(layer, layer.weight**2, relevance)


@dataclass(frozen=True)
class Flat:
    """The flat rule: neuron j gives the same share to each input it reads, whatever its weight (Lapuschkin et al., 2019)."""

    def propagate(self, layer: LinearMap, relevance: Tensor) -> Tensor:
        return _share_of_weights(layer, torch.ones_like(layer.weight), relevance)


Rule = Zero | Epsilon | Gamma | AlphaBeta | ZPlus | ZBox | WSquare | Flat


@dataclass(frozen=True)
class Composite:
    """Which rule on which layer: one for dense layers, one for convolutions, and one (or none) for what reads x itself."""

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


@dataclass(frozen=True, eq=False)
class Layer:
    """One line of the account: an operation, the relevance at its output and what it kept.

    name: the module that owns the weight, else the operation; rule: None where no rule is needed;
    relevance: of the output's shape; absorbed (N,): relevance that came in from above and was not handed on below.
    """

    name: str
    operation: str
    rule: Rule | None
    relevance: Tensor
    absorbed: Tensor


def lrp(
    model: nn.Module,
    x: Tensor,
    target: int | Tensor | None = None,
    rules: str | Rule | Sequence[Rule] | Callable[[LinearMap], Rule] = "epsilon_plus",
    return_layers: bool = False,
) -> Tensor | tuple[Tensor, list[Layer]]:
    """Relevance of each input for the score f_c(x), sent back layer by layer (Bach et al., 2015).

    Parameters
    ----------
    model : maps (N, ...) to scores (N, K), the logits; any mix of modules and functional calls of `lib.tracing`.
    x : float tensor (N, ...).
    target : None (the class with the highest score), an int, or a LongTensor (N,).
    rules : the name of a composite ("epsilon_plus", "epsilon_gamma_box", "epsilon_alpha2_beta1"), one rule for all
        linear maps, a list with one rule for each in the order in which they run, or a function of a `LinearMap`
        that returns its rule (a `Composite` is one).
    return_layers : also return the account, one `Layer` for each operation in the order of the forward pass.

    Returns
    -------
    Relevance like x, detached; with `return_layers` also the list, and then for every sample
    relevance.sum() + sum of absorbed = f_c(x). The biases stay in every denominator: they absorb relevance.

    Raises TypeError or ValueError: a bad argument, or an operation of the model that has no relevance rule, by name.

    Example
    -------
    >>> model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 1, bias=False))
    >>> for layer in (model[0], model[2]): _ = nn.init.ones_(layer.weight)
    >>> lrp(model, torch.tensor([[1.0, 3.0]]), rules=Zero())
    tensor([[2., 6.]])
    """
    check_arguments(model, x)
    rule_of = _rule_function(rules)
    with undisturbed(model, x), torch.no_grad():
        x = x.clone() if x.is_inference() else x.detach()
        scores, steps = trace(model, x, rule_of)
        check_scores(scores, x)
        if isinstance(rules, (list, tuple)) and len(rules) != (count := len({step.linear.index for step in steps if step.linear})):
            raise ValueError(f"rules: expected {count} rules, one for each linear map of the model, got {len(rules)}")
        chosen = class_index(scores, target)[:, None]
        start = torch.zeros_like(scores).scatter_(1, chosen, scores.gather(1, chosen))
        return _backward(steps, x, scores, start, return_layers)


def simple_taylor(model: nn.Module, x: Tensor, target: int | Tensor | None = None) -> Tensor:
    """Simple Taylor decomposition: R_i = x_i df_c/dx_i, also called gradient x input (Montavon et al., 2018).

    Arguments, result and errors as those of `lrp`.

    >>> simple_taylor(nn.Sequential(nn.ReLU()), torch.tensor([[1.0, 3.0]]))
    tensor([[0., 3.]])
    """
    _, gradient = gradient_of_score(model, x, target)
    return x.detach() * gradient


def deep_taylor(
    model: nn.Module,
    x: Tensor,
    target: int | Tensor | None = None,
    low: float | Tensor | None = None,
    high: float | Tensor | None = None,
) -> Tensor:
    """Deep Taylor decomposition: z+ at every hidden layer, z^B at the pixels low <= x <= high (Montavon et al., 2017).

    Arguments, result and errors as those of `lrp` and `ZBox`.
    """
    return lrp(model, x, target, Composite(dense=ZPlus(), convolution=ZPlus(), first=ZBox(low, high)))


def _rule_function(rules: object) -> Callable[[LinearMap], Rule]:
    if isinstance(rules, str):
        if rules not in COMPOSITES:
            raise ValueError(f"rules: expected one of {sorted(COMPOSITES)}, got {rules!r}")
        return COMPOSITES[rules]
    if isinstance(rules, Rule):
        return lambda layer: rules
    if isinstance(rules, (list, tuple)) and rules and all(isinstance(rule, Rule) for rule in rules):
        return lambda layer: rules[min(layer.index, len(rules) - 1)]  # the number is compared when the model has run
    if callable(rules) and not isinstance(rules, type):
        return rules
    raise TypeError(f"rules: expected a composite's name, a rule, a list of rules or a function, got {rules!r}")


def _backward(steps: list[Step], x: Tensor, scores: Tensor, start: Tensor, account: bool) -> Tensor | tuple[Tensor, list[Layer]]:
    """Send the relevance `start` (N, K) at the scores back through the steps to x."""
    held = {id(scores): start}
    layers = []
    while steps:
        step = steps.pop()
        above = [held.pop(id(output), None) for output in step.outputs]
        if all(relevance is None for relevance in above):
            continue
        below = _propagate(step, above)
        if account and len(x) > 1:
            _check_samples(step, len(x))
        for tensor, relevance in zip(step.inputs, below):
            if relevance is not None:
                held[id(tensor)] = held[id(tensor)] + relevance if id(tensor) in held else relevance
        if account:
            arrived = [relevance for relevance in above if relevance is not None]
            absorbed = _per_sample(arrived, len(x)) - _per_sample([r for r in below if r is not None], len(x))
            layers.append(Layer(step.linear.name if step.linear else step.operation, step.operation, step.rule, arrived[0], absorbed))
    relevance = held.get(id(x), torch.zeros_like(x))
    return (relevance, layers[::-1]) if account else relevance


def _propagate(step: Step, above: list[Tensor | None]) -> list[Tensor | None]:
    if step.family == "pass":
        return above if above[0].dtype == step.inputs[0].dtype else [above[0].to(step.inputs[0].dtype)]
    if step.family == "linear":
        return [step.rule.propagate(step.linear, above[0])]
    if step.family == "route":
        return step.pull(above)
    messages = [None if r is None else _divide(r, z) for r, z in zip(above, step.outputs)]
    return [None if c is None else a * c for a, c in zip(step.inputs, step.pull(messages))]


def _divide(relevance: Tensor, z: Tensor) -> Tensor:
    """s = R / z, and 0 where z = 0: a neuron without evidence has nothing to share out."""
    return (relevance / z).nan_to_num_(0, 0, 0)


def _share(z: Tensor, a: Tensor, relevance: Tensor) -> Tensor:
    """R_i = a_i sum_j dz_j/da_i R_j / z_j: each input's part of z."""
    return pull(z, a, _divide(relevance, z)).mul_(a)


def _part(layer: LinearMap, positive: bool) -> Tensor:
    """sum_i z_ij^+ + b_j^+ for every j, or the same of the negative parts, with its graph to the input."""
    def plus(p: Tensor | None) -> Tensor | None:
        return None if p is None else p.clamp(min=0)

    def minus(p: Tensor | None) -> Tensor | None:
        return None if p is None else p.clamp(max=0)

    same, other = (plus, minus) if positive else (minus, plus)
    a, w = layer.a, layer.weight
    with torch.enable_grad():
        if layer.nonnegative or a.min() >= 0:
            return layer.apply(a, same(w), same(layer.bias))
        return layer.apply(plus(a), same(w), same(layer.bias)) + layer.apply(minus(a), other(w))


def _share_of_weights(layer: LinearMap, weight: Tensor, relevance: Tensor) -> Tensor:
    """Relevance shared by weights alone: the input counts as 1 everywhere, the bias as 0."""
    ones = torch.ones_like(layer.a, requires_grad=True)
    with torch.enable_grad():
        z = layer.apply(ones, weight)
    return _share(z, ones, relevance)


def _check_samples(step: Step, count: int) -> None:
    """The account is kept by sample: refuse a step after which the samples are not in order along the first dimension."""
    moved = step.operation in ("permute", "transpose", "swapaxes", "swapdims", "movedim", "moveaxis", "t", "T", "adjoint") and (
        (step.leaves[0].shape[0], step.leaves[0].stride(0)) != (step.results[0].shape[0], step.results[0].stride(0)))
    if moved or any(output.numel() % count for output in step.outputs):
        raise ValueError(f"return_layers: the operation {step.operation!r} moves samples within the batch; give one sample at a time")


def _per_sample(relevances: list[Tensor], count: int) -> Tensor:
    return sum(relevance.reshape(count, -1).sum(1) for relevance in relevances)

