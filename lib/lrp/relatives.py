"""Relatives of relevance propagation, over the same traced forward pass.

`deep_lift` shares out a difference of scores; `contribution_propagation` and `excitation_backprop`
share out a score and a probability; `pattern_net` and `pattern_attribution` ask the data which part
of a layer's input is signal. Residual sums, concatenation, in-place calls and modules used twice
are followed as in `lib.engine.tracing`.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from ..engine.backward import send_back
from ..engine.contract import check_arguments, check_scores, class_index, undisturbed
from ..engine.graph import pull
from ..engine.linear import LinearMap
from ..engine.refusal import NoRuleError
from ..engine.steps import Messages, Step, only
from ..engine.tracing import trace
from .account import Passage, warn
from .rules import ZPlus

LARGEST = {"max", "amax", "maximum"} | {
    f"{kind}max_pool{d}d" for kind in ("", "adaptive_") for d in (1, 2, 3)
}
SMALLEST = {"min", "amin", "minimum"}
SUMS = {"add", "sub", "sum", "mean"}
NORMS = {"layer_norm", "group_norm", "instance_norm", "rms_norm", "normalize"}


def deep_lift(
    model: nn.Module, x: Tensor, target: int | Tensor | None = None, baseline: Tensor | None = None
) -> Tensor:
    """DeepLIFT with the rescale rule (Shrikumar et al., 2017): R_i = m_i (x_i - x0_i), the
    multiplier m sent back like a gradient in which the slope of each nonlinearity is (f(a) - f(a0))
    / (a - a0), or f'(a) where a is about a0.

    `baseline`: x0, a tensor that broadcasts to x; None is zero everywhere. Other arguments as those
    of `lib.lrp.lrp`.

    The result, like x and detached, is complete: for every sample relevance.sum() = f_c(x) -
        f_c(x0).
    Maximum pooling gives f(a) - f(a0) to the place where the larger of the two maxima lies.

    Raises TypeError or ValueError: a bad argument, an operation that is not followed, by name, or a
        model that
    takes another path for the baseline than for x.

    >>> model = nn.Sequential(nn.Linear(1, 1), nn.ReLU())
    >>> _ = nn.init.ones_(model[0].weight), nn.init.constant_(model[0].bias, -1.0)
    >>> deep_lift(model, torch.tensor([[3.0]]), 0)
    tensor([[2.]])
    """
    check_arguments(model, x)
    with undisturbed(model, x), torch.no_grad():
        baseline = _check_baseline(baseline, x)
        x, scores, steps = _traced(model, x)
        scores0, steps0 = trace(model, baseline)
        check_scores(scores0, x)
        _check_same_path(steps, steps0)
        start = _start(scores, target, torch.ones_like)
        twin = dict(zip(map(id, steps), steps0))
        relevance = _backward(
            steps, x, scores, start, lambda step, m: _rescale(step, twin[id(step)], m)
        ) * (x - baseline)
        _check_complete(relevance, ((scores - scores0) * start).sum(1))
        return relevance


def excitation_backprop(
    model: nn.Module, x: Tensor, target: int | Tensor | None = None, contrastive: bool = False
) -> Tensor:
    """Excitation backpropagation (Zhang et al., 2016): the probability that input i wins, from 1 at
    the class down by P_i = a_i sum_j w_ij^+ / (sum_i a_i w_ij^+) P_j.

    Biases have no part in it, so the result sums to 1, unless a winner has no positive evidence but
    its bias. Where an a_i is negative, a_i w_ij^+ becomes (a_i w_ij)^+, and a probability remains
    one; a normalisation by the size of a layer hands on what it has. `contrastive`: minus the same
    for a class of the opposite weights in the last linear map; sums to 0.

    Arguments, result (like x, detached) and errors as those of `lib.lrp.lrp`.

    >>> model = nn.Linear(3, 1)
    >>> _ = model.weight.data.copy_(torch.tensor([[1.0, -5.0, 3.0]]))
    >>> excitation_backprop(model, torch.ones(1, 3))
    tensor([[0.2500, 0.0000, 0.7500]])
    """

    def send(step: Step, p: Messages, last: int) -> Messages:
        if step.operation in NORMS:
            return [only(p)]
        if step.family == "share":
            signs = _gradient(step, torch.ones_like(step.outputs[0]))
            return _proportional(
                step, p, [torch.where(a * c > 0, a, 0) for a, c in zip(step.inputs, signs)]
            )
        layer = step.layer
        won = _positive_share(layer, layer.weight, only(p))
        return [
            won - _positive_share(layer, -layer.weight, only(p))
            if contrastive and layer.index == last
            else won
        ]

    return _share_out(model, x, target, send, torch.ones_like)


def contribution_propagation(
    model: nn.Module, x: Tensor, target: int | Tensor | None = None
) -> Tensor:
    """Contribution propagation (Landecker et al., 2013): c_i = sum_j a_i w_ij / (sum_i a_i w_ij)
    c_j, from c = f_c(x).

    Unlike LRP-0, whose denominator z_j = sum_i a_i w_ij + b_j lets the bias keep its share, the
    inputs share all of c_j here: relevance.sum() = f_c(x) exactly, with biases too. The price: a
    neuron that lives on its bias hands out large contributions of both signs, and one whose inputs
    sum to 0 (0 / 0) keeps what it has. In a deep network with batch normalisation they grow from
    layer to layer: beyond 1,000 times the score a `RelevanceWarning` says so, beyond what the dtype
    can hold a ValueError.

    Arguments, result (like x, detached) and other errors as those of `lib.lrp.lrp`.

    >>> model = nn.Linear(2, 1)
    >>> _ = model.weight.data.copy_(torch.tensor([[1.0, 3.0]])), model.bias.data.fill_(4.0)
    >>> contribution_propagation(model, torch.ones(1, 2))
    tensor([[2., 6.]])
    """

    def send(step: Step, c: Messages, last: int) -> Messages:
        if step.family == "share":
            return _proportional(step, c, step.inputs)
        layer = step.layer
        z = layer.apply(layer.a, layer.weight)
        return [layer.a * pull(z, layer.a, _divide(only(c), z))]

    return _share_out(model, x, target, send, lambda score: score, bounded=False)


def estimate_patterns(
    model: nn.Module, x: Tensor, estimator: str = "two_component"
) -> list[Tensor]:
    """The signal direction a of every neuron y = w.x of every linear map, in the order in which the
    maps run.

    Parameters
    ----------
    model, x : as for `lib.lrp.lrp`; many samples (N, ...), and every position of a convolution
        counts as one.
    estimator : "linear", a = cov(x, y) / var(y) (Haufe et al., 2014), or "two_component"
        (Kindermans et al., 2018), a = (E+[x y] - E+[x] E[y]) / (E+[y y] - E+[y] E[y]) with E+ over
        the samples that activate the neuron, for maps that a ReLU reads (the others get the linear
        one).

    Returns one pattern of the weight's shape for each map; w.a = 1 for every neuron, or a = 0 where
    it never varies. A batch normalisation after a map is part of it. Raises as `lib.lrp.lrp`,
    ValueError for an unknown estimator.

    >>> signal, noise = torch.randn(2, 10_000, 1, generator=torch.Generator().manual_seed(0))
    >>> x = signal * torch.tensor([1.0, 0.0]) + noise * torch.tensor([1.0, 1.0])
    >>> model = nn.Linear(2, 1, bias=False)
    >>> _ = model.weight.data.copy_(torch.tensor([[1.0, -1.0]]))  # x[1] only tells of the noise
    >>> [pattern.round(decimals=1).abs() for pattern in estimate_patterns(model, x)]
    [tensor([[1., 0.]])]
    """
    if estimator not in ("two_component", "linear"):
        raise ValueError(f"estimator: expected 'two_component' or 'linear', got {estimator!r}")
    check_arguments(model, x)
    with undisturbed(model, x), torch.no_grad():
        _, _, steps = _traced(model, x)
        rectified = (
            {id(step.inputs[0]) for step in steps if step.operation == "relu"}
            if estimator == "two_component"
            else ()
        )
        active = {
            id(step.linear): step.outputs[0] > 0
            for step in steps
            if step.family == "linear" and id(step.outputs[0]) in rectified
        }
        return [_pattern(layer, active.get(id(layer))) for layer in _maps(steps).values()]


def pattern_net(
    model: nn.Module, x: Tensor, target: int | Tensor | None = None, *, patterns: Sequence[Tensor]
) -> Tensor:
    """PatternNet (Kindermans et al., 2018): the score sent back like a gradient with patterns in
    the place of weights.

    The result is the estimated signal in x that the score answers to; for one linear map it is a
    f_c(x). `patterns`: what `estimate_patterns` returns for this model. Other arguments, result and
    errors as `lib.lrp.lrp`.

    >>> model, data = nn.Linear(2, 1, bias=False), torch.eye(2)
    >>> _ = model.weight.data.copy_(torch.tensor([[2.0, 0.0]]))
    >>> patterns = estimate_patterns(model, data)
    >>> pattern_net(model, torch.tensor([[1.0, 5.0]]), patterns=patterns).tolist()
    [[1.0, -1.0]]
    """
    return _with_patterns(model, x, target, patterns, lambda weight, pattern: pattern)


def pattern_attribution(
    model: nn.Module, x: Tensor, target: int | Tensor | None = None, *, patterns: Sequence[Tensor]
) -> Tensor:
    """PatternAttribution (Kindermans et al., 2018): as `pattern_net`, with w_ij a_ij in the place
    of w_ij.

    This is a deep Taylor decomposition whose root point is the distractor x - a y of every neuron.
    As w.a = 1, a linear map hands on all that it has; what reaches a unit that its ReLU has
    switched off is lost. Arguments, result and errors as those of `pattern_net`.

    >>> model, data = nn.Linear(2, 1, bias=False), torch.eye(2)
    >>> _ = model.weight.data.copy_(torch.tensor([[2.0, 0.0]]))
    >>> patterns = estimate_patterns(model, data)
    >>> pattern_attribution(model, torch.tensor([[1.0, 5.0]]), patterns=patterns).tolist()
    [[2.0, 0.0]]
    """
    return _with_patterns(model, x, target, patterns, torch.mul)


# ---------------------------------------------------------------- one step back


def _rescale(step: Step, twin: Step, m: Messages) -> Messages:
    """The multipliers m at the outputs of a step brought to its inputs; `twin` is the same step for
    the baseline.
    """
    if step.family == "linear":
        return [step.layer.pull(only(m))]
    if step.family == "pass":
        delta = step.inputs[0] - twin.inputs[0]
        slope = (step.outputs[0] - twin.outputs[0]).to(delta.dtype).div_(delta)
        if step.operation == "relu":
            near = delta == 0
        else:  # where rounding would be divided by next to nothing
            near = delta.abs_() <= 100 * torch.finfo(delta.dtype).eps * torch.maximum(
                step.inputs[0].abs(), step.outputs[0].abs()
            )
        if near.any():
            slope = torch.where(near, step.slope(), slope)
        return [slope.mul_(only(m))]
    if step.operation in LARGEST | SMALLEST:
        return _pick(step, twin, only(m))
    below = step.pull(m)
    if step.family == "share" and step.operation not in SUMS:
        pairs = zip(below, twin.pull(m))
        if any(c is not None and c0 is not None and not torch.equal(c, c0) for c, c0 in pairs):
            raise ValueError(
                f"model: the operation {step.operation!r} weighs its input by x; it has no "
                "multiplier"
            )
    return below


def _pick(step: Step, twin: Step, m: Tensor) -> list[Tensor]:
    """Of f(a) - f(a0), everything for the place of the larger maximum: there |a - a0| is no
    smaller, and both have one sign.
    """
    change = step.outputs[0] - twin.outputs[0]
    rises = change >= 0
    by_x = rises if step.operation in LARGEST else ~rises
    # 0 / 0 becomes 1, nothing else is changed
    message = change.masked_fill_(change == 0, 1e-20).mul_(m)
    shares = zip(_gradient(step, message * by_x), _gradient(twin, message.mul_(~by_x)))
    deltas = [a - a0 for a, a0 in zip(step.inputs, twin.inputs)]
    return [
        share.add_(share0).div_(delta.masked_fill_(delta == 0, 1e-20))
        for (share, share0), delta in zip(shares, deltas)
    ]


def _gradient(step: Step, message: Tensor) -> list[Tensor]:
    """sum_j dz_j/da_i m_j for each input of a route or a weighted sum; its graph is kept for
    further calls.
    """
    return list(torch.autograd.grad(step.results[0], step.leaves, message, retain_graph=True))


def _proportional(step: Step, message: Messages, parts: list[Tensor]) -> Messages:
    """R_i = u_i sum_j c_ij R_j / (sum_i c_ij u_i) for the inputs' parts u in a weighted sum with
    coefficients c.
    """
    with torch.enable_grad():  # z = sum_i c_ij u_i is the derivative of u.(c v) for v
        v = torch.zeros_like(step.results[0], requires_grad=True)
        back = torch.autograd.grad(step.results[0], step.leaves, v, create_graph=True)
        (z,) = torch.autograd.grad(back, v, parts)
    return [u * c for u, c in zip(parts, _gradient(step, _divide(only(message), z)))]


def _positive_share(layer: LinearMap, weight: Tensor, p: Tensor) -> Tensor:
    """P_i = sum_j (a_i w_ij)^+ / (sum_i (a_i w_ij)^+) P_j: the z+ rule of a map without bias."""
    return ZPlus().propagate(replace(layer, weight=weight, bias=None), p)


def _pattern(layer: LinearMap, active: Tensor | None) -> Tensor:
    """sum x (y - mean y) / sum y (y - mean y) over the active samples and positions; None counts
    all.
    """
    weight = layer.weight.clone().requires_grad_()
    y = layer.apply(layer.a.detach(), weight)
    each = tuple(
        d for d in range(y.dim()) if d != (1 if layer.kind == "convolution" else y.dim() - 1)
    )
    message = (y.detach() - y.detach().mean(each, keepdim=True)) * (1 if active is None else active)
    variance = (y.detach() * message).sum(each, keepdim=True)
    # the gradient of a weight sums x over samples and positions
    return torch.autograd.grad(y, weight, _divide(message, variance))[0]


def _divide(relevance: Tensor, z: Tensor) -> Tensor:
    """R / z, and 0 where z is 0 or, next to the layer's largest, no more than a rounding error."""
    size = z.abs()
    return torch.where(
        size <= 100 * torch.finfo(z.dtype).eps * size.amax(tuple(range(1, z.dim())), keepdim=True),
        0,
        relevance / z,
    )


# ---------------------------------------------------------------- all steps back


def _traced(model: nn.Module, x: Tensor) -> tuple[Tensor, Tensor, list[Step]]:
    x = x.clone() if x.is_inference() else x.detach()
    with sdpa_kernel(SDPBackend.MATH):  # the quicker ones have no second derivative
        scores, steps = trace(model, x)
    check_scores(scores, x)
    return x, scores, steps


def _maps(steps: list[Step]) -> dict[int, LinearMap]:
    """The linear maps by their index: a batch normalisation replaces the map that it follows, so
    the later one counts.
    """
    return {step.layer.index: step.layer for step in steps if step.family == "linear"}


def _backward(
    steps: list[Step],
    x: Tensor,
    scores: Tensor,
    start: Tensor,
    send: Callable,
    record: Callable | None = None,
) -> Tensor:
    """The message `start` (N, K) at the scores sent back to x by `send`, through the families that
    these methods know.
    """

    def send_known(step: Step, above: Messages) -> Messages:
        if step.family not in ("pass", "route", "share", "linear"):
            why = "has a rule in lib.lrp at most, and none here"
            raise NoRuleError(step.operation, why, step.place())
        return send(step, above)

    return send_back(steps, x, scores, start, send_known, record)


def _start(scores: Tensor, target: int | Tensor | None, begin: Callable) -> Tensor:
    """`begin(score)` at the explained class, 0 at the others: (N, K)."""
    chosen = class_index(scores, target)[:, None]
    return torch.zeros_like(scores).scatter_(1, chosen, begin(scores.gather(1, chosen)))


def _share_out(
    model: nn.Module,
    x: Tensor,
    target: int | Tensor | None,
    send: Callable,
    begin: Callable,
    bounded: bool = True,
) -> Tensor:
    """Send `begin(score)` back: what neurons hold passes nonlinearities and routes unchanged;
    `send` has the rest. bounded: whether what is sent cannot grow.
    """
    check_arguments(model, x)
    with undisturbed(model, x), torch.no_grad():
        x, scores, steps = _traced(model, x)
        start = _start(scores, target, begin)
        last = max(_maps(steps), default=0)

        def one_back(step: Step, above: Messages) -> Messages:
            if step.family == "pass":
                return [only(above).to(step.inputs[0].dtype)]
            return step.pull(above) if step.family == "route" else send(step, above, last)

        if bounded:
            return _backward(steps, x, scores, start, one_back)
        passages: list[Passage] = []

        def record(step: Step, above: Messages, below: Messages) -> None:
            passages.append(Passage.of(step, above, below))

        relevance = _backward(steps, x, scores, start, one_back, record)
        warn(relevance, start.sum(1, keepdim=True).tolist(), passages, depth=4)
        return relevance


def _with_patterns(
    model: nn.Module,
    x: Tensor,
    target: int | Tensor | None,
    patterns: Sequence[Tensor],
    combine: Callable,
) -> Tensor:
    """The score sent back like a gradient, with `combine(weight, pattern)` in the place of every
    weight.
    """
    check_arguments(model, x)
    with undisturbed(model, x), torch.no_grad():
        x, scores, steps = _traced(model, x)
        start = _start(scores, target, lambda score: score)
        of = _check_patterns(patterns, _maps(steps))

        def one_back(step: Step, above: Messages) -> Messages:
            if step.family == "pass":
                return [only(above).to(step.inputs[0].dtype) * step.slope()]
            if step.family != "linear":
                return step.pull(above)
            layer = step.layer
            z = layer.apply(layer.a, combine(layer.weight, of[layer.index]))
            return [pull(z, layer.a, only(above))]

        return _backward(steps, x, scores, start, one_back)


# ---------------------------------------------------------------- checks


def _check_baseline(baseline: Tensor | None, x: Tensor) -> Tensor:
    if baseline is None:
        return torch.zeros_like(x)
    if not isinstance(baseline, Tensor):
        raise TypeError(f"baseline: expected None or a torch.Tensor, got {type(baseline).__name__}")
    if (baseline.dtype, baseline.device) != (x.dtype, x.device):
        raise TypeError(
            f"baseline: expected {x.dtype} on {x.device} as x, got {baseline.dtype} on "
            f"{baseline.device}"
        )
    if not torch.isfinite(baseline).all():
        raise ValueError("baseline: expected finite values, got NaN or infinity")
    try:
        return baseline.detach().expand_as(x).clone()
    except RuntimeError:
        raise ValueError(
            f"baseline: expected a shape that broadcasts to {tuple(x.shape)}, got "
            f"{tuple(baseline.shape)}"
        ) from None


def _check_same_path(steps: list[Step], steps0: list[Step]) -> None:
    def path(steps: list[Step]) -> list[tuple]:
        return [(step.operation, [t.shape for t in step.inputs + step.outputs]) for step in steps]

    if path(steps) != path(steps0):
        raise ValueError(
            "model: expected the same operations for the baseline as for x; this one decides "
            "by what it sees"
        )


def _check_complete(relevance: Tensor, difference: Tensor) -> None:
    """An operation that picks by what it sees (a sort, a mask) may pick otherwise for the baseline:
    then no multiplier is right.
    """
    parts = relevance.flatten(1)
    scale = parts.abs().sum(1) + difference.abs() + 1
    if not (
        (parts.sum(1) - difference).abs() <= 1e4 * torch.finfo(relevance.dtype).eps * scale
    ).all():
        raise ValueError(
            "model: the multipliers do not add up to the difference of the scores; a part of "
            "it picks or weighs its values by x"
        )


def _check_patterns(patterns: Sequence[Tensor], maps: dict[int, LinearMap]) -> dict[int, Tensor]:
    """The patterns by the index of their map."""
    if not (
        isinstance(patterns, (list, tuple))
        and all(isinstance(pattern, Tensor) for pattern in patterns)
    ):
        raise TypeError(
            f"patterns: expected the list of tensors of `estimate_patterns`, got "
            f"{type(patterns).__name__}"
        )
    shapes, expected = (
        [tuple(p.shape) for p in patterns],
        [tuple(layer.weight.shape) for layer in maps.values()],
    )
    if shapes != expected:
        raise ValueError(f"patterns: expected one of each weight's shape, {expected}, got {shapes}")
    return dict(zip(maps, patterns))
