"""The way back through the steps of a forward pass, for relevance propagation and its relatives."""

from collections.abc import Callable

import torch
from torch import Tensor

from .steps import Messages, Step


def send_back(
    steps: list[Step],
    x: Tensor,
    scores: Tensor,
    start: Tensor,
    send: Callable[[Step, Messages], Messages],
    record: Callable[[Step, Messages, Messages], None] | None = None,
) -> Tensor:
    """What arrives at x of the message `start` (N, K) at the scores; `steps` is used up, so that
    its memory is freed on the way.

    send(step, above) takes the messages at a step's outputs (None where none arrived) to those at
    its inputs; record(step, above, below) is told of each step that a message has passed.

    >>> from lib.engine import trace
    >>> model, x = torch.nn.ReLU(), torch.tensor([[2.0, -1.0]])
    >>> with torch.no_grad():
    ...     scores, steps = trace(model, x)
    >>> send_back(steps, x, scores, scores, lambda step, above: above)
    tensor([[2., 0.]])
    """
    held = {id(scores): start}
    while steps:
        step = steps.pop()
        above = [held.pop(id(output), None) for output in step.outputs]
        if all([message is None for message in above]):
            continue
        below = send(step, above)
        for tensor, message in zip(step.inputs, below):
            if message is not None:
                held[id(tensor)] = held[id(tensor)] + message if id(tensor) in held else message
        if record is not None:
            record(step, above, below)
    return held.get(id(x), torch.zeros_like(x, dtype=scores.dtype))
