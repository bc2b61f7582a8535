"""Explanations that change the backward pass at a ReLU: deconvnet and guided backprop.

With z a ReLU's input and g the message that comes back from above, three lines are all the
difference:

    gradient          g * (z > 0)
    deconvnet         max(0, g)
    guided backprop   max(0, g) * (z > 0)

A rectifier with a cap, min(max(0, z), c), as ReLU6 is, was active where 0 < z < c:

    gradient          g * (0 < z < c)
    deconvnet         max(0, g)
    guided backprop   max(0, g) * (0 < z < c)

Everything else passes the message as the gradient does. While the model runs, `Rectifiers` sees
every ReLU, from a module, a module used twice or plain code; what it cannot see or does not know is
refused.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node
from torch.overrides import TorchFunctionMode

from ..engine.contract import (
    check_arguments,
    check_scores,
    class_index,
    differentiated,
    slope,
    undisturbed,
)
from ..engine.operations import name_of
from ..engine.refusal import path_of, running_module

# autograd's nodes of rectifiers that neither method defines, or that were not seen
UNKNOWN = tuple(
    "Relu Threshold Clamp Hardtanh LeakyRelu Prelu Elu Celu Selu Gelu Silu Mish Softplus "
    "Hardswish Rrelu Compiled Rnn".split()
)

# those that are a ReLU, with or without a cap, for some arguments
RECTIFIERS = set("relu relu6 hardtanh clamp clip clamp_min threshold maximum max fmax".split())
# those that are none, or not for these arguments; a maximum may also choose between two signals
NO_RECTIFIERS = set(
    "leaky_relu prelu rrelu elu celu selu gelu silu mish softplus hardswish hardtanh clamp clip "
    "clamp_min clamp_max threshold".split()
)
COMPARISONS = {"gt", "ge", "lt", "le", "greater", "greater_equal", "less", "less_equal"}
CASTS = {"float", "double", "half", "bfloat16", "to", "type", "type_as"}
MASKINGS = {"mul", "multiply", "where", "masked_fill"}


def deconvnet(model: nn.Module, x: Tensor, target: int | Tensor | None = None) -> Tensor:
    """Deconvnet: the backward pass with max(0, g) at each ReLU, whatever its input was (Zeiler and
    Fergus, 2014, section 2.1).

    Maximum pooling sends its message to the winner (Zeiler and Fergus' switches). Parameters,
    result and state as those of `lib.sensitivity.gradient`. ReLUs are nn.ReLU, relu, clamp and
    threshold at 0, and maximum with 0, modules or functions, in place or not; with a cap c > 0
    nn.ReLU6, relu6, clamp(0, c) and hardtanh(0, c). The message has no cap: it is counted in
    logits per unit of z, and c in units of z.

    Raises ValueError for activations that merely resemble ReLU (GELU, leaky ReLU...), with their
    place in the model, for z * (z > 0), and for ReLUs out of sight (scripted code).

    >>> deconvnet(nn.Sequential(nn.Linear(1, 1), nn.ReLU()), torch.ones(1, 1)).shape
    torch.Size([1, 1])
    """
    return _changed_gradient(model, x, target, lambda g, a, cap: g.clamp(min=0))


def guided_backprop(model: nn.Module, x: Tensor, target: int | Tensor | None = None) -> Tensor:
    """Guided backprop: the backward pass with max(0, g) at each ReLU that was active (Springenberg
    et al., 2015, section 3.4).

    One with a cap, such as ReLU6, was active where it was neither 0 nor at its cap. Parameters,
    result and errors as those of `deconvnet`.

    >>> guided_backprop(nn.Sequential(nn.ReLU()), torch.tensor([[1.0, 3.0]]))
    tensor([[0., 1.]])
    """
    return _changed_gradient(model, x, target, _to_active_units)


# What a rectifier sends back, from the message g, its output a and its cap.
Send = Callable[[Tensor, Tensor, float], Tensor]


def _to_active_units(g: Tensor, a: Tensor, cap: float) -> Tensor:
    """max(0, g) * (0 < a < cap)"""
    return torch.ops.aten.hardtanh_backward(g, a, 0, cap).clamp_(min=0)


class _ReLU(torch.autograd.Function):
    """a = min(max(0, z), cap), with another way back: send(g, a, cap) instead of
    g * (0 < z < cap).
    """

    @staticmethod
    def forward(ctx: Any, z: Tensor, cap: float, send: Send) -> Tensor:
        a = z.clamp(0, cap)
        ctx.save_for_backward(a)
        ctx.cap, ctx.send = cap, send
        return a

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None, None]:
        return ctx.send(g, *ctx.saved_tensors, ctx.cap), None, None


class Rectifiers(TorchFunctionMode):
    """Within its `with` block every ReLU of the model sends back what `send(g, a, cap)` makes of
    the message g, its output a and its cap, infinite where it has none.

    Raises ValueError where another activation is called.
    """

    def __init__(self, model: nn.Module, send: Send) -> None:
        super().__init__()
        self._model, self._send = model, send
        # where a signal is above or below something; held, so that their ids stay theirs
        self._masks: dict[int, Tensor] = {}

    def __torch_function__(
        self, function: Callable, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name, in_place = name_of(function)
        z, cap = _rectified(name, args, kwargs) if name in RECTIFIERS else (None, math.inf)
        if z is None or not z.requires_grad:
            self._refuse_others(name, args, kwargs)
            return self._masked(name, function, args, kwargs)
        a = _ReLU.apply(z, cap, self._send)
        in_place = in_place or kwargs.get("inplace") or (name == "relu" and args[1:] == (True,))
        return z.copy_(a) if in_place else a

    def _refuse_others(self, name: str, args: tuple, kwargs: dict) -> None:
        z = args[0] if args else kwargs.get("input")
        if name in NO_RECTIFIERS and isinstance(z, Tensor) and z.requires_grad:
            _refuse(name, path_of(self._model, running_module()))

    def _masked(self, name: str, function: Callable, args: tuple, kwargs: dict) -> Any:
        """Any other call. A mask made from a signal is noted, and refused where it multiplies: z *
        (z > 0) is a ReLU in disguise.
        """
        if name in MASKINGS and any(
            id(value) in self._masks for value in (*args, *kwargs.values())
        ):
            raise ValueError(
                f"model: expected ReLUs by name (relu, clamp...), got one written by hand "
                f"with {name!r}"
            )
        result = function(*args, **kwargs)
        compares = name in COMPARISONS and any(
            isinstance(value, Tensor) and value.requires_grad for value in args
        )
        if compares or name in CASTS and id(args[0]) in self._masks:
            self._masks[id(result)] = result
        return result


def _rectified(name: str, args: tuple, kwargs: dict) -> tuple[Tensor | None, float]:
    """The input of the ReLU that this call is, or None, and its cap."""
    given = dict(enumerate(args)) | kwargs
    z = given.get(0, given.get("input", given.get("self")))
    if name in ("maximum", "max", "fmax"):
        return _beside_zero(z, given.get("other", given.get(1))), math.inf
    if name in ("relu", "relu6"):
        return z, 6.0 if name == "relu6" else math.inf
    if name == "threshold":
        limit, value = given.get("threshold", given.get(1)), given.get("value", given.get(2))
        return z if _is_zero(limit) and _is_zero(value) else None, math.inf
    low = given.get("min", given.get("min_val", given.get(1)))
    cap = _cap(
        given.get("max", given.get("max_val", given.get(2, 1 if name == "hardtanh" else None)))
    )
    return z if _is_zero(low) and cap > 0 else None, cap


def _beside_zero(z: Any, other: Any) -> Tensor | None:
    """The signal, where a maximum has zeros as its other argument, or None."""
    if not (isinstance(z, Tensor) and isinstance(other, Tensor)):
        return None
    z, other = (other, z) if other.requires_grad else (z, other)
    fits = torch.broadcast_shapes(z.shape, other.shape) == z.shape
    return z if fits and _is_zero(other) else None


def _cap(value: Any) -> float:
    """The upper end of a clamp: infinite where it has none, NaN where it is more than a number."""
    if value is None:
        return math.inf
    if isinstance(value, Tensor):
        return value.item() if value.numel() == 1 and not value.requires_grad else math.nan
    return float(value)


def _is_zero(value: Any) -> bool:
    if isinstance(value, Tensor):
        return not value.requires_grad and not value.any()
    return isinstance(value, (int, float)) and value == 0


def _changed_gradient(
    model: nn.Module,
    x: Tensor,
    target: int | Tensor | None,
    send: Send,
) -> Tensor:
    check_arguments(model, x)
    model = getattr(model, "_orig_mod", model)  # a compiled model runs as it was written
    with undisturbed(model, x), differentiated(model):
        leaf = x.detach().clone().requires_grad_()
        with Rectifiers(model, send):
            scores = model(leaf * 1)
        check_scores(scores, x)
        if scores.requires_grad:
            _refuse_unknown(scores.grad_fn)
        return slope(scores, leaf, class_index(scores, target))


def _refuse_unknown(node: Node) -> None:
    """Every ReLU that was seen has a node of its own; another rectifier in autograd's graph was
    not, and has no place that could be named.
    """
    waiting, met = [node], {node}
    while waiting:
        node = waiting.pop()
        name = node.name().removesuffix("0").removesuffix("Backward")
        if name.startswith(UNKNOWN):
            _refuse(name)
        for source, _ in node.next_functions:
            if source is not None and source not in met:
                met.add(source)
                waiting.append(source)


def _refuse(name: str, place: str = "") -> None:
    where = f" (in {place})" if place else ""
    raise ValueError(
        "model: expected no activation but ReLU and ReLU6, called where it can be seen, got "
        f"{name!r}{where}; both methods zero what a rectifier zeros, the units at or below 0, and "
        "one that lets values below 0 through, or makes something else of them, has no such set"
    )
