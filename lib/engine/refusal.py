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


def running_module() -> nn.Module | None:
    """The innermost module whose `forward` is running, read off the stack: nothing is watched until
    something is refused.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        caller = frame.f_locals.get("self")
        if isinstance(caller, nn.Module):
            return caller
        frame = frame.f_back
    return None


def path_of(model: nn.Module, module: nn.Module | None) -> str:
    """The path of a module within the model; empty for the model itself and for another one."""
    return next((path for path, part in model.named_modules() if part is module), "")
