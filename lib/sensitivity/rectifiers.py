"""Explanations that change the backward pass at a ReLU: deconvnet and guided backprop.

With z a ReLU's input and g the message that comes back from above, three lines are all the
difference:

    gradient          g * (z > 0)
    deconvnet         max(0, g)
    guided backprop   max(0, g) * (z > 0)

Everything else passes the message as the gradient does. While the model runs, `Rectifiers` sees
every ReLU, from a module, a module used twice or plain code; what it cannot see or does not know is
refused.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node
from torch.overrides import TorchFunctionMode

from ..engine.contract import check_arguments, check_scores, class_index, slope, undisturbed
from ..engine.operations import name_of

# autograd's nodes of rectifiers that neither method defines, or that were not seen
UNKNOWN = tuple(
    "Relu Threshold Clamp Hardtanh LeakyRelu Prelu Elu Celu Selu Gelu Silu Mish Softplus "
    "Hardswish Rrelu Compiled Rnn".split()
)

# those that are a ReLU with some arguments
RECTIFIERS = {"relu", "clamp", "clip", "clamp_min", "threshold", "maximum", "max", "fmax"}
COMPARISONS = {"gt", "ge", "lt", "le", "greater", "greater_equal", "less", "less_equal"}
CASTS = {"float", "double", "half", "bfloat16", "to", "type", "type_as"}
MASKINGS = {"mul", "multiply", "where", "masked_fill"}


def deconvnet(model: nn.Module, x: Tensor, target: int | Tensor | None = None) -> Tensor:
    """Deconvnet: the backward pass with max(0, g) at each ReLU, whatever its input was (Zeiler and
    Fergus, 2014, section 2.1).

    Maximum pooling sends its message to the winner (Zeiler and Fergus' switches). Parameters,
    result and state as those of `lib.sensitivity.gradient`. ReLUs are nn.ReLU, relu, clamp and
    threshold at 0, and maximum with 0, modules or functions, in place or not. Raises ValueError for
    activations that merely resemble ReLU (GELU, leaky ReLU...), for z * (z > 0), and for ReLUs out
    of sight (scripted code).

    >>> deconvnet(nn.Sequential(nn.Linear(1, 1), nn.ReLU()), torch.ones(1, 1)).shape
    torch.Size([1, 1])
    """
    return _changed_gradient(model, x, target, lambda g, a: g.clamp(min=0))


def guided_backprop(model: nn.Module, x: Tensor, target: int | Tensor | None = None) -> Tensor:
    """Guided backprop: the backward pass with max(0, g) at each ReLU that was active (Springenberg
    et al., 2015, section 3.4).

    Parameters, result and errors as those of `deconvnet`.

    >>> guided_backprop(nn.Sequential(nn.ReLU()), torch.tensor([[1.0, 3.0]]))
    tensor([[0., 1.]])
    """
    return _changed_gradient(
        model, x, target, lambda g, a: torch.ops.aten.threshold_backward(g, a, 0).clamp_(min=0)
    )


class _ReLU(torch.autograd.Function):
    """a = max(0, z), with another way back: send(g, a) instead of g * (z > 0)."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, send: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        a = z.clamp(min=0)
        ctx.save_for_backward(a)
        ctx.send = send
        return a

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None]:
        return ctx.send(g, *ctx.saved_tensors), None


class Rectifiers(TorchFunctionMode):
    """Within its `with` block every ReLU sends back what `send(g, a)` makes of the message g and
    its output a.
    """

    def __init__(self, send: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self._send = send
        # where a signal is above or below something; held, so that their ids stay theirs
        self._masks: dict[int, Tensor] = {}

    def __torch_function__(
        self, function: Callable, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name, in_place = name_of(function)
        z = _rectified(name, args, kwargs) if name in RECTIFIERS else None
        if z is None or not z.requires_grad:
            return self._masked(name, function, args, kwargs)
        a = _ReLU.apply(z, self._send)
        in_place = in_place or kwargs.get("inplace") or (name == "relu" and args[1:] == (True,))
        return z.copy_(a) if in_place else a

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


def _rectified(name: str, args: tuple, kwargs: dict) -> Tensor | None:
    """The input of the ReLU that this call is, or None."""
    given = dict(enumerate(args)) | kwargs
    z = given.get(0, given.get("input", given.get("self")))
    if name == "relu":
        return z
    if name in ("clamp", "clip", "clamp_min"):
        low, high = given.get("min", given.get(1)), given.get("max", given.get(2))
        return z if high is None and _is_zero(low) else None
    if name == "threshold":
        limit, value = given.get("threshold", given.get(1)), given.get("value", given.get(2))
        return z if _is_zero(limit) and _is_zero(value) else None
    if name in ("maximum", "max", "fmax"):
        other = given.get("other", given.get(1))
        if isinstance(other, Tensor) and isinstance(z, Tensor):
            z, other = (other, z) if other.requires_grad else (z, other)
            fits = torch.broadcast_shapes(z.shape, other.shape) == z.shape
            return z if fits and _is_zero(other) else None
    return None


def _is_zero(value: Any) -> bool:
    if isinstance(value, Tensor):
        return not value.requires_grad and not value.any()
    return isinstance(value, (int, float)) and value == 0


def _changed_gradient(
    model: nn.Module,
    x: Tensor,
    target: int | Tensor | None,
    send: Callable[[Tensor, Tensor], Tensor],
) -> Tensor:
    check_arguments(model, x)
    model = getattr(model, "_orig_mod", model)  # a compiled model runs as it was written
    with undisturbed(model, x), torch.enable_grad():
        leaf = x.detach().clone().requires_grad_()
        with Rectifiers(send):
            scores = model(leaf * 1)
        check_scores(scores, x)
        if scores.requires_grad:
            _refuse_unknown(scores.grad_fn)
        return slope(scores, leaf, class_index(scores, target))


def _refuse_unknown(node: Node) -> None:
    """Every ReLU that was seen has a node of its own; another rectifier in autograd's graph was
    not.
    """
    waiting, met = [node], {node}
    while waiting:
        node = waiting.pop()
        name = node.name().removesuffix("0").removesuffix("Backward")
        if name.startswith(UNKNOWN):
            raise ValueError(
                f"model: expected no activation but ReLU, called where it can be seen, got {name!r}"
            )
        for source, _ in node.next_functions:
            if source is not None and source not in met:
                met.add(source)
                waiting.append(source)
