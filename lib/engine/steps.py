"""What the forward pass leaves behind: its operations, one `Step` each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from .graph import pull, pull_to_all
from .linear import LinearMap, Rule
from .operations import ELEMENTWISE, PASS
from .recurrent import PackedRecurrence, Recurrence

Messages = Sequence[Tensor | None]


@dataclass(eq=False, slots=True)
class Call:
    """One call of a torch function; `inputs` are those of its arguments that depend on x."""

    name: str
    in_place: bool
    function: Callable[..., Any]
    args: tuple
    kwargs: dict[str, Any]
    inputs: list[Tensor]

    def __call__(self) -> Any:
        return self.function(*self.args, **self.kwargs)


@dataclass(eq=False)
class Step:
    """One operation of the forward pass: from `inputs` to `outputs`.

    `leaves` are the inputs and `results` the outputs of a small graph of their own, through which
    `pull` goes back. `call` is kept where it may be needed again, `linear` and `rule` of linear
    maps, `recurrence` of recurrent layers; `place` finds the module that made the call, `factors`
    counts the signals of a product, `dim` is that of a softmax;
    `unchanged` says that single neurons keep the relevance that they have. What few steps have
    stands in the class, so that the others are made sooner.
    """

    operation: str
    family: str
    inputs: list[Tensor]
    outputs: list[Tensor]
    leaves: Sequence[Tensor] = field(default=(), init=False)
    results: Sequence[Tensor] = field(default=(), init=False)
    call: Call | None = None
    linear: LinearMap | None = field(default=None, init=False)
    rule: Rule | None = field(default=None, init=False)
    recurrence: Recurrence | PackedRecurrence | None = field(default=None, init=False)
    place: Callable[[], str] = field(default=str, init=False)
    factors: int = field(default=1, init=False)
    dim: int = field(default=-1, init=False)
    unchanged: bool = field(default=False, init=False)

    def pull(self, messages: Messages) -> Messages:
        """For each leaf a: sum_j dz_j/da message_j, where a message is None if none reached that
        output.
        """
        if self.operation == "batch_norm":  # torch goes back wrongly from other layouts
            messages = [m if m is None else m.contiguous() for m in messages]
        if len(self.results) == 1 and messages[0] is not None:
            z, leaves = self.results[0], self.leaves
            if len(leaves) == 1:
                return [pull(z, leaves[0], messages[0])]
            return pull_to_all(z, leaves, messages[0])
        arrived = [(z, m) for z, m in zip(self.results, messages) if m is not None]
        ends, starts = [z for z, _ in arrived], [m for _, m in arrived]
        return list(torch.autograd.grad(ends, self.leaves, starts, allow_unused=True))

    @property
    def layer(self) -> LinearMap:
        """The linear map of a linear step."""
        assert self.linear is not None
        return self.linear

    def slope(self) -> Tensor:
        """f'(a) of an operation f on single neurons, for its stored input a."""
        if self.operation == "relu":
            return (self.outputs[0] > 0).to(self.inputs[0].dtype)
        call = self.call
        assert call is not None
        a = self.inputs[0].detach().requires_grad_()
        with torch.enable_grad():
            written = a * 1  # an in-place call writes here
            if call.args:
                z = call.function(written, *call.args[1:], **call.kwargs)
            else:
                z = call.function(**call.kwargs | {"input": written})
        return torch.autograd.grad(z, a, torch.ones_like(z))[0]


def only(messages: Messages) -> Tensor:
    """The message at the one output of a step, which has arrived."""
    (message,) = messages
    assert message is not None
    return message


def hand_written_activation(factors: Sequence[Tensor], steps: Sequence[Step]) -> list[Tensor]:
    """The signal x of a product like x * tanh(softplus(x)): a factor computed from x alone, neuron
    by neuron; else nothing.
    """
    for signal, factor in (factors, factors[::-1]):
        x = signal
        for step in reversed(steps):
            if step.outputs[0] is x and len(step.inputs) == 1:
                if step.operation in ("mul", "div", "truediv"):  # 0.5 * x
                    x = step.inputs[0]
        alone, active = {id(x)}, set()
        for step in steps:
            output = step.outputs[0]
            if step.operation not in ELEMENTWISE or output.shape != x.shape:
                continue
            if all(id(t) in alone for t in step.inputs):
                alone.add(id(output))
                if step.operation in PASS or any(id(t) in active for t in step.inputs):
                    active.add(id(output))
        if id(factor) in active:
            return [signal]
    return []
