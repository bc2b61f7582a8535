"""Layer-wise relevance propagation: the score of a network shared out among its inputs, layer by
layer.

The rules for linear maps are in `lib.lrp.rules`, what happens at all other operations in
`lib.engine.tracing` and `lib.engine.recurrent`; relatives of LRP (DeepLIFT and others) in
`lib.lrp.relatives`, kernel machines in `lib.lrp.kernels`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeGuard, overload

import torch
from torch import Tensor, nn

from ..engine.backward import send_back
from ..engine.contract import check_arguments, check_scores, class_index, undisturbed
from ..engine.graph import divide
from ..engine.linear import Rule
from ..engine.refusal import NoRuleError
from ..engine.steps import Messages, Step, only
from ..engine.tracing import RuleOf, trace
from ..sensitivity.gradients import gradient_x_input
from .rules import COMPOSITES, Composite, ZBox, ZPlus, denominator_of


@dataclass(frozen=True, eq=False)
class Layer:
    """One line of the account: an operation, the relevance at its output and what it kept.

    name: the module that owns the weight, else the operation; rule: None where no rule is needed;
    relevance: of the output's shape; absorbed (N,): relevance that came in from above and was not
        handed on below.
    """

    name: str
    operation: str
    rule: Rule | None
    relevance: Tensor
    absorbed: Tensor


Rules = str | Rule | Sequence[Rule] | RuleOf


@overload
def lrp(
    model: nn.Module,
    x: Tensor,
    target: int | Tensor | None = None,
    rules: Rules = "epsilon_plus",
    return_layers: Literal[False] = False,
) -> Tensor: ...


@overload
def lrp(
    model: nn.Module,
    x: Tensor,
    target: int | Tensor | None = None,
    rules: Rules = "epsilon_plus",
    *,
    return_layers: Literal[True],
) -> tuple[Tensor, list[Layer]]: ...


def lrp(
    model: nn.Module,
    x: Tensor,
    target: int | Tensor | None = None,
    rules: Rules = "epsilon_plus",
    return_layers: bool = False,
) -> Tensor | tuple[Tensor, list[Layer]]:
    """Relevance of each input for the score f_c(x), sent back layer by layer (Bach et al., 2015).

    Parameters
    ----------
    model : maps (N, ...) to scores (N, K), the logits; any mix of modules and functional calls of
        `lib.engine.tracing`.
    x : float tensor (N, ...), or word numbers (N, T), int64, for a network that embeds them.
    target : None (the class with the highest score), an int, or a LongTensor (N,).
    rules : the name of a composite ("epsilon_plus", "epsilon_gamma_box", "epsilon_alpha2_beta1"),
        one rule for all linear maps (any object with the method of `lib.engine.Rule`), a list with
        one rule for each in the order in which they run, or a function of a `LinearMap` that
        returns its rule (a `Composite` is one).
    return_layers : also return the account, one `Layer` for each operation in the order of the
        forward pass.

    Returns
    -------
    Relevance like x, detached; with `return_layers` also the list, and then for every sample
    relevance.sum() + sum of absorbed = f_c(x). From `Zero` to `ZPlus` the biases stay in the
    denominators and absorb relevance; `ZBox`, `WSquare` and `Flat` leave them out.

    Raises TypeError or ValueError: a bad argument, or an operation of the model that has no
        relevance rule, by name.

    Example
    -------
    >>> from lib.lrp import Zero
    >>> model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 1, bias=False))
    >>> for layer in (model[0], model[2]): _ = nn.init.ones_(layer.weight)
    >>> lrp(model, torch.tensor([[1.0, 3.0]]), rules=Zero())
    tensor([[2., 6.]])
    """
    check_arguments(model, x, words=True)
    rule_of = _rule_function(rules)
    with undisturbed(model, x), torch.no_grad():
        x = x.clone() if x.is_inference() else x.detach()
        scores, steps = trace(model, x, rule_of)
        check_scores(scores, x)
        _check_number(rules, steps)
        chosen = class_index(scores, target)[:, None]
        together = return_layers or _boxes_of_many(steps, len(x))
        if len(x) > 1 and together and any(_moves_samples(step, len(x)) for step in steps):
            result = _one_by_one(model, x, chosen, rules)
            return result if return_layers else result[0]
        start = torch.zeros_like(scores).scatter_(1, chosen, scores.gather(1, chosen))
        if not return_layers:
            return send_back(steps, x, scores, start, _propagate)
        layers: list[Layer] = []

        def record(step: Step, above: Messages, below: Messages) -> None:
            layers.append(_line(step, above, below, len(x)))

        relevance = send_back(steps, x, scores, start, _propagate, record)
        return relevance, layers[::-1]


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


# ---------------------------------------------------------------- one step back


def _propagate(step: Step, above: Messages) -> Messages:
    """Relevance at the outputs of a step to that at its inputs: what its family does with it."""
    return FAMILIES[step.family](step, above)


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
    return _in_proportion(step, above, step.outputs)


def _product(step: Step, above: Messages) -> Messages:
    """Of n signals that are multiplied, each gets the n-th part (Achtibat et al., 2024)."""
    shares = _in_proportion(step, above, step.outputs)
    return [None if R is None else R / step.factors for R in shares]


def _taylor(step: Step, above: Messages) -> Messages:
    """The same with sum_i a_i dz_j/da_i in the place of z_j."""
    whole = [_directional(z, a) for z, a in zip(step.results, step.leaves)]
    return _in_proportion(step, above, whole)


def _in_proportion(step: Step, above: Messages, whole: Sequence[Tensor]) -> Messages:
    s = [None if R is None else divide(R, z) for R, z in zip(above, whole)]
    return [None if c is None else a * c for a, c in zip(step.inputs, step.pull(s))]


def _recurrent(step: Step, above: Messages) -> Messages:
    assert step.recurrence is not None
    return [step.recurrence.backward(above, step.outputs, denominator_of(step.rule))]


def _embedding(step: Step, above: Messages) -> Messages:
    return [only(above).sum(-1)]


def _refused(step: Step, above: Messages) -> Messages:
    hint = ": explain the logits" if "softmax" in step.operation else ""
    raise NoRuleError(step.operation, f"has no relevance rule{hint}", step.place())


FAMILIES: dict[str, Callable[[Step, Messages], Messages]] = {
    "pass": _pass,
    "route": _route,
    "share": _share,
    "product": _product,
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


def _line(step: Step, above: Messages, below: Messages, count: int) -> Layer:
    """The step's line of the account."""
    arrived = [R for R in above if R is not None]
    absorbed = _per_sample(arrived, count) - _per_sample([R for R in below if R is not None], count)
    name = step.linear.name if step.linear else step.operation
    return Layer(name, step.operation, step.rule, arrived[0], absorbed)


def _per_sample(relevances: list[Tensor], count: int) -> Tensor:
    return torch.stack([R.reshape(count, -1).sum(1) for R in relevances]).sum(0)


def _moves_samples(step: Step, count: int) -> bool:
    """Whether the samples are no longer in order along the first dimension, so that a batch's
    account cannot be read off.
    """
    if step.operation in TURNED:
        before, after = step.leaves[0], step.results[0]
        if (before.shape[0], before.stride(0)) != (after.shape[0], after.stride(0)):
            return True
    return step.family == "recurrent" or any(output.numel() % count for output in step.outputs)


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
    model: nn.Module, x: Tensor, chosen: Tensor, rules: Any
) -> tuple[Tensor, list[Layer]]:
    """The results of single samples put together; the relevance of each layer gets the samples as a
    new first dimension.
    """
    results = [lrp(model, x[[k]], chosen[k], rules, return_layers=True) for k in range(len(x))]
    layers = [
        Layer(
            same[0].name,
            same[0].operation,
            same[0].rule,
            torch.stack([line.relevance for line in same]),
            torch.cat([line.absorbed for line in same]),
        )
        for same in zip(*(account for _, account in results))
    ]
    return torch.cat([relevance for relevance, _ in results]), layers
