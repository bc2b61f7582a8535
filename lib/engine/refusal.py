"""What relevance cannot pass is refused by name, with the place where it stands in the model."""

import sys
from types import FrameType

from torch import nn

REMEDY = (
    "write it with operations of the families in lib.engine.tracing, or explain a part before it"
)


class NoRuleError(ValueError):
    """An operation of the model that has no relevance rule, or none in this form.

    operation: its name. why: what is wrong with it, and what to do. place: the path of the module
    that makes the call, "blocks.3.attn"; empty for the model itself.

    >>> print(NoRuleError("sort", "of words has no relevance rule", "blocks.3.attn"))
    model: the operation 'sort' of words has no relevance rule (in blocks.3.attn)
    """

    def __init__(self, operation: str, why: str = "has no relevance rule", place: str = "") -> None:
        super().__init__(operation, why, place)
        self.operation, self.why, self.place = operation, why, place

    def __str__(self) -> str:
        where = f" (in {self.place})" if self.place else ""
        remedy = f": {REMEDY}" if self.why == "has no relevance rule" else ""
        return f"model: the operation {self.operation!r} {self.why}{where}{remedy}"


def place_of_call(model: nn.Module) -> str:
    """The path within the model of the module whose `forward` is running, the innermost one.

    Read off the stack, so that it costs nothing before something is refused.
    """
    paths = {id(module): path for path, module in model.named_modules()}
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        caller = frame.f_locals.get("self")
        if isinstance(caller, nn.Module) and id(caller) in paths:
            return paths[id(caller)]
        frame = frame.f_back
    return ""
