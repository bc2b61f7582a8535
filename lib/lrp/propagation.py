"""Layer-wise relevance propagation: the score of a network shared out among its inputs, layer by
layer.

The rules for linear maps are in `lib.lrp.rules`, what happens at all other operations in
`lib.engine.tracing` and `lib.engine.recurrent`; relatives of LRP (DeepLIFT and others) in
`lib.lrp.relatives`, kernel machines in `lib.lrp.kernels`.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeGuard, overload

import torch
from torch import Tensor, nn

from ..engine.backward import send_back
from ..engine.contract import check_arguments, check_scores, class_index, undisturbed
from ..engine.graph import divide, pull
from ..engine.linear import LinearMap, Rule
from ..engine.refusal import NoRuleError
from ..engine.steps import Messages, Step, only
from ..engine.tracing import RuleOf, trace
from ..sensitivity.gradients import gradient_x_input
from .account import Layer, Passage, RelevanceWarning, line_of, per_sample, warn
from .rules import COMPOSITES, Composite, Gamma, ZBox, ZPlus, denominator_of

Rules = str | Rule | Sequence[Rule] | RuleOf
Conditions = Mapping[str, int | Sequence[int]]


@overload
def lrp(
    model: nn.Module,
    x: Tensor,
    target: int | Tensor | None = None,
    rules: Rules = "epsilon_plus",
    return_layers: Literal[False] = False,
    biases: str = "absorb",
    conditions: Conditions | None = None,
) -> Tensor: ...


@overload
def lrp(
    model: nn.Module,
    x: Tensor,
    target: int | Tensor | None = None,
    rules: Rules = "epsilon_plus",
    *,
    return_layers: Literal[True],
    biases: str = "absorb",
    conditions: Conditions | None = None,
) -> tuple[Tensor, list[Layer]]: ...


def lrp(
    model: nn.Module,
    x: Tensor,
    target: int | Tensor | None = None,
    rules: Rules = "epsilon_plus",
    return_layers: bool = False,
    biases: str = "absorb",
    conditions: Conditions | None = None,
) -> Tensor | tuple[Tensor, list[Layer]]:
    """Relevance of each input for the score f_c(x), sent back layer by layer (Bach et al., 2015).

    Parameters
    ----------
    model : maps (N, ...) to scores (N, K), the logits; any mix of modules and functional calls of
        `lib.engine.tracing`.
    x : float tensor (N, ...), or word numbers (N, T), int64, for a network that embeds them.
    target : None (the class with the highest score), an int, or a LongTensor (N,).
    rules : the name of a composite ("epsilon_plus", "epsilon_gamma_box", "epsilon_alpha2_beta1",
        or "attn_lrp", which sends relevance through attention weights and gates as well), one rule
        for all linear maps (any object with the method of `lib.engine.Rule`), a list with one rule
        for each in the order in which they run, or a function of a `LinearMap` that returns its
        rule (a `Composite` is one).
    biases : "absorb": each bias keeps its part, as the rules say; "share": that part is shared
        among the inputs of its neuron in proportion to |a_i w_ij|, and nearly all of the score
        arrives.
    conditions : {module path: channel or channels}: at the output of these linear maps only the
        relevance of these channels goes on (concept relevance propagation; Achtibat et al., 2023).
    return_layers : also return the account, one `Layer` for each operation in the order of the
        forward pass.

    Returns
    -------
    Relevance like x, detached; with `return_layers` also the list, and then for every sample
    relevance.sum() + sum of absorbed = f_c(x). From `Zero` to `ZPlus` the biases stay in the
    denominators and absorb relevance; `ZBox`, `WSquare` and `Flat` leave them out.

    Raises TypeError or ValueError: a bad argument, or an operation of the model that has no
        relevance rule, by name. Warns, with a `RelevanceWarning`, where sum |R| is more than 1,000
        times |f_c(x)| or more than 90 % of the score was absorbed; it names the layer.

    Example
    -------
    >>> from lib.lrp import Zero
    >>> model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 1, bias=False))
    >>> for layer in (model[0], model[2]): _ = nn.init.ones_(layer.weight)
    >>> lrp(model, torch.tensor([[1.0, 3.0]]), rules=Zero())
    tensor([[2., 6.]])
    """
    check_arguments(model, x, words=True)
    if biases not in ("absorb", "share"):
        raise ValueError(f"biases: expected 'absorb' or 'share', got {biases!r}")
    rule_of = _rule_function(rules)
    through_gates = isinstance(rule_of, Composite) and rule_of.through_gates
    with undisturbed(model, x), torch.no_grad():
        x = x.clone() if x.is_inference() else x.detach()
        scores, steps = trace(model, x, rule_of, through_gates)
        check_scores(scores, x)
        _check_number(rules, steps)
        _check_pixels(rule_of, steps, x)
        way = _Way(biases == "share", _channels(conditions, steps), len(x))
        chosen = class_index(scores, target)[:, None]
        if len(x) > 1 and _one_sample_at_a_time(steps, len(x), return_layers):
            result = _one_by_one(model, x, chosen, rules, biases, conditions)
            return result if return_layers else result[0]
        explained = scores.gather(1, chosen)
        start = torch.zeros_like(scores).scatter_(1, chosen, explained)
        layers: list[Layer] = []
        passages: list[Passage] = []

        def record(step: Step, above: Messages, below: Messages) -> None:
            if return_layers:
                layers.append(line_of(step, above, below, way.shared, len(x)))
            if step.family not in ("pass", "route"):
                passages.append(Passage.of(step, above, below))

        send = way.send if way.changes else _propagate
        relevance = send_back(steps, x, scores, start, send, record)
        warn(relevance, explained.tolist(), passages)
        return (relevance, layers[::-1]) if return_layers else relevance


def simple_taylor(model: nn.Module, x: Tensor, target: int | Tensor | None = None) -> Tensor:
    """Simple Taylor decomposition: R_i = x_i df_c/dx_i, also called gradient × input (Montavon et
    al., 2018).

    Arguments, result and errors as those of `lrp`.

    >>> simple_taylor(nn.Sequential(nn.ReLU()), torch.tensor([[1.0, 3.0]]))
    tensor([[0., 3.]])
    """
    return gradient_x_input(model, x, target)


def deep_taylor(
    model: nn.Module,
    x: Tensor,
    target: int | Tensor | None = None,
    low: float | Tensor | None = None,
    high: float | Tensor | None = None,
) -> Tensor:
    """Deep Taylor decomposition: z+ at every hidden layer, z^B at the pixels low <= x <= high
    (Montavon et al., 2017).

    Arguments, result and errors as those of `lrp` and `ZBox`.

    >>> model = nn.Linear(2, 1, bias=False)
    >>> _ = model.weight.data.copy_(torch.tensor([[2.0, -1.0]]))
    >>> deep_taylor(model, torch.tensor([[1.0, 0.0]]))
    tensor([[1.3333, 0.6667]])
    """
    rules = Composite(dense=ZPlus(), convolution=ZPlus(), first=ZBox(low, high))
    return lrp(model, x, target, rules)


def _rule_function(rules: object) -> RuleOf:
    if isinstance(rules, str):
        if rules not in COMPOSITES:
            raise ValueError(f"rules: expected one of {sorted(COMPOSITES)}, got {rules!r}")
        return COMPOSITES[rules]
    if _is_rule(rules):
        return lambda layer: rules
    if isinstance(rules, (list, tuple)) and rules and all(map(_is_rule, rules)):
        # the number is compared when the model has run
        return lambda layer: rules[min(layer.index, len(rules) - 1)]
    if callable(rules) and not isinstance(rules, type):
        return rules
    raise TypeError(
        f"rules: expected a composite's name, a rule, a list of rules or a function, got {rules!r}"
    )


def _is_rule(value: object) -> TypeGuard[Rule]:
    """A class is none: who writes `rules=Zero` has forgotten to make one."""
    return hasattr(value, "propagate") and not isinstance(value, type)


def _check_number(rules: object, steps: list[Step]) -> None:
    if isinstance(rules, (list, tuple)):
        count = len({step.linear.index for step in steps if step.linear})
        if len(rules) != count:
            raise ValueError(
                f"rules: expected {count} rules, one for each linear map of the model, got "
                f"{len(rules)}"
            )


def _check_pixels(rules: RuleOf, steps: list[Step], x: Tensor) -> None:
    """Warn where a composite has a rule for pixels and no linear map reads them."""
    if not isinstance(rules, Composite) or rules.first is None or not x.is_floating_point():
        return
    if not any(step.linear.reads_input for step in steps if step.linear):
        warnings.warn(
            f"relevance: no linear map reads x itself, or x scaled and shifted by constants, so "
            f"{rules.first} was not used; normalise x before the model, or take other rules",
            RelevanceWarning,
            stacklevel=3,
        )


# ---------------------------------------------------------------- one step back


def _propagate(step: Step, above: Messages) -> Messages:
    """Relevance at the outputs of a step to that at its inputs: what its family does with it."""
    return FAMILIES[step.family](step, above)


@dataclass(eq=False)
class _Way:
    """How relevance at the outputs of a step goes to its inputs: as its family says, and as the
    options of `lrp` change it. shared: what biases handed on at the last step, (N,) or None.
    """

    share_biases: bool
    channels: dict[str, Tensor]
    count: int
    shared: Tensor | None = None

    @property
    def changes(self) -> bool:
        """Whether an option changes anything."""
        return self.share_biases or bool(self.channels)

    def send(self, step: Step, above: Messages) -> Messages:
        self.shared = None
        if self.channels and step.family == "linear" and step.layer.name in self.channels:
            above = [_only_channels(only(above), step.layer, self.channels[step.layer.name])]
        if self.share_biases and _single_neurons(step):
            return _without_constants(step, only(above))
        below = _propagate(step, above)
        if not self.share_biases:
            return below
        of_bias = getattr(step.rule, "of_bias", None)
        if step.family == "linear" and step.layer.bias is not None and of_bias is not None:
            kept = of_bias(step.layer, only(above))
            self.shared = per_sample([kept], self.count)
            below = [only(below) + _in_proportion_to_size(step.layer, kept)]
        return below


# Sums and norms of single neurons, whose constants keep a part.
OF_SINGLE_NEURONS = set("add sub rsub subtract batch_norm layer_norm group_norm rms_norm".split())


def _single_neurons(step: Step) -> bool:
    return (
        step.family == "share"
        and step.operation in OF_SINGLE_NEURONS
        and all(a.shape == step.outputs[0].shape for a in step.inputs)
    )


def _without_constants(step: Step, R: Tensor) -> Messages:
    """One input takes all of R; several take shares by the gamma rule, whose denominator does not
    cross 0 where summands of both signs cancel.
    """
    if len(step.inputs) == 1:
        return [R]
    coefficients = step.pull([torch.ones_like(R)])
    parts = torch.stack([a * c for a, c in zip(step.inputs, coefficients) if c is not None])
    return list(Gamma().share(parts, parts.sum(0), parts.abs().sum(0), R))


def _in_proportion_to_size(layer: LinearMap, kept: Tensor) -> Tensor:
    """R_i = sum_j |a_i w_ij| / (sum_i |a_i w_ij|) kept_j."""
    size = layer.a.detach().abs().requires_grad_()
    z = layer.apply(size, layer.weight.abs())
    return size * pull(z, size, divide(kept, z))


def _channels(conditions: Conditions | None, steps: list[Step]) -> dict[str, Tensor]:
    """The channels of each condition, checked against the linear map of that name."""
    if not conditions:
        return {}
    found = {}
    maps = {step.layer.name: step.layer for step in steps if step.family == "linear"}
    for name, channels in conditions.items():
        if name not in maps:
            raise ValueError(f"conditions: expected paths among {sorted(maps)}, got {name!r}")
        wanted = [channels] if isinstance(channels, int) else list(channels)
        count = maps[name].z.shape[_channel_dimension(maps[name])]
        if not all(isinstance(k, int) and 0 <= k < count for k in wanted):
            raise ValueError(
                f"conditions: expected channels in 0..{count - 1} at {name!r}, got {channels!r}"
            )
        found[name] = torch.tensor(wanted, dtype=torch.long, device=maps[name].z.device)
    return found


def _channel_dimension(layer: LinearMap) -> int:
    return 1 if layer.kind == "convolution" else layer.z.dim() - 1


def _only_channels(relevance: Tensor, layer: LinearMap, channels: Tensor) -> Tensor:
    dim = _channel_dimension(layer)
    kept = relevance.index_select(dim, channels)
    return torch.zeros_like(relevance).index_copy_(dim, channels, kept)


def _pass(step: Step, above: Messages) -> Messages:
    R, dtype = only(above), step.inputs[0].dtype
    # x may be whole numbers (words); relevance stays a float.
    return [R if R.dtype == dtype or not dtype.is_floating_point else R.to(dtype)]


def _linear(step: Step, above: Messages) -> Messages:
    assert step.rule is not None
    return [step.rule.propagate(step.layer, only(above))]


def _route(step: Step, above: Messages) -> Messages:
    return step.pull(above) if step.inputs[0].is_floating_point() else _route_words(step, above)


def _share(step: Step, above: Messages) -> Messages:
    """R_i = a_i c_i with s = R / z: an input's share is its part of the sum z."""
    if step.unchanged and step.inputs[0].shape == step.outputs[0].shape:
        return above
    return _in_proportion(step, above, step.outputs)


def _product(step: Step, above: Messages) -> Messages:
    """Of n signals that are multiplied, each gets the n-th part (Achtibat et al., 2024)."""
    shares = _in_proportion(step, above, step.outputs)
    return [None if R is None else R / step.factors for R in shares]


def _softmax(step: Step, above: Messages) -> Messages:
    """R_i = a_i (R_i - s_i sum_j R_j), Taylor's expansion at a (Achtibat et al., 2024, eq. 13)."""
    R, s, dim = only(above), step.outputs[0], step.dim
    a = step.inputs[0].nan_to_num(neginf=0.0)  # masked
    return [a * (R - s * R.sum(dim, keepdim=True))]


def _taylor(step: Step, above: Messages) -> Messages:
    """The same with sum_i a_i dz_j/da_i in the place of z_j."""
    whole = [_directional(z, a) for z, a in zip(step.results, step.leaves)]
    return [None if R is None else R.nan_to_num(0) for R in _in_proportion(step, above, whole)]


def _in_proportion(step: Step, above: Messages, whole: Sequence[Tensor]) -> Messages:
    s = [None if R is None else divide(R, z) for R, z in zip(above, whole)]
    return [None if c is None else a * c for a, c in zip(step.inputs, step.pull(s))]


def _recurrent(step: Step, above: Messages) -> Messages:
    assert step.recurrence is not None
    return [step.recurrence.backward(above, step.outputs, denominator_of(step.rule))]


def _embedding(step: Step, above: Messages) -> Messages:
    return [only(above).sum(-1)]


def _refused(step: Step, above: Messages) -> Messages:
    if not any(R.any() for R in above if R is not None):
        return [None] * len(step.inputs)  # nothing arrives
    hint = ": explain the logits" if "softmax" in step.operation else ""
    raise NoRuleError(step.operation, f"has no relevance rule{hint}", step.place())


FAMILIES: dict[str, Callable[[Step, Messages], Messages]] = {
    "pass": _pass,
    "route": _route,
    "share": _share,
    "product": _product,
    "softmax": _softmax,
    "linear": _linear,
    "taylor": _taylor,
    "recurrent": _recurrent,
    "embedding": _embedding,
    "refused": _refused,
}


def _route_words(step: Step, above: Messages) -> Messages:
    """Word numbers move in double precision, which holds them exactly; their relevance keeps its
    own.
    """
    dtype = next(r.dtype for r in above if r is not None)
    below = step.pull([None if r is None else r.double() for r in above])
    return [None if r is None else r.to(dtype) for r in below]


def _directional(z: Tensor, a: Tensor) -> Tensor:
    """sum_i a_i dz_j/da_i for every j."""
    with torch.enable_grad():
        v = torch.zeros_like(z, requires_grad=True)
        (c,) = torch.autograd.grad(z, a, v, create_graph=True)
    return torch.autograd.grad(c, v, a.detach(), retain_graph=True)[0]


# ---------------------------------------------------------------- the account


TURNED = set("permute transpose swapaxes swapdims movedim moveaxis t T adjoint".split())


def _moves_samples(step: Step, count: int) -> bool:
    """Whether the samples are no longer in order along the first dimension, so that a batch's
    account cannot be read off.
    """
    if step.operation in TURNED:
        before, after = step.leaves[0], step.results[0]
        if (before.shape[0], before.stride(0)) != (after.shape[0], after.stride(0)):
            return True
    return step.family == "recurrent" or any(output.numel() % count for output in step.outputs)


def _one_sample_at_a_time(steps: list[Step], count: int, account: bool) -> bool:
    """Whether what is asked for cannot be read off a batch."""
    moved = (_moves_samples(step, count) for step in steps)
    return (account or _boxes_of_many(steps, count)) and any(moved)


def _boxes_of_many(steps: list[Step], count: int) -> bool:
    """Whether a `ZBox` would take its own bounds from several samples, because they were moved
    before.
    """
    open_boxes = [
        k
        for k, step in enumerate(steps)
        if isinstance(step.rule, ZBox) and (step.rule.low is None or step.rule.high is None)
    ]
    last = open_boxes[-1] if open_boxes else 0
    return any(_moves_samples(step, count) for step in steps[:last])


def _one_by_one(
    model: nn.Module,
    x: Tensor,
    chosen: Tensor,
    rules: Any,
    biases: str,
    conditions: Conditions | None,
) -> tuple[Tensor, list[Layer]]:
    """The results of single samples put together; the relevance of each layer gets the samples as a
    new first dimension.
    """
    results = [
        lrp(
            model,
            x[[k]],
            chosen[k],
            rules,
            return_layers=True,
            biases=biases,
            conditions=conditions,
        )
        for k in range(len(x))
    ]
    layers = [_together(same) for same in zip(*(account for _, account in results))]
    return torch.cat([relevance for relevance, _ in results]), layers


def _together(same: Sequence[Layer]) -> Layer:
    """One line of the accounts of all samples."""
    first = same[0]
    if any(line.relevance.shape != first.relevance.shape for line in same):
        raise ValueError(
            f"return_layers: expected a model that reads as many values of each sample; at "
            f"{first.name!r} the samples have {[tuple(line.relevance.shape) for line in same]}: "
            "explain them one at a time"
        )
    return Layer(
        first.name,
        first.operation,
        first.rule,
        torch.stack([line.relevance for line in same]),
        torch.cat([line.absorbed for line in same]),
        torch.cat([line.shared for line in same]),
    )
