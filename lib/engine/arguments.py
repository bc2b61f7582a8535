"""Helpers for the arguments and results of torch's functions, nested as they may be."""

from collections.abc import Callable
from functools import cache
from types import FunctionType
from typing import Any

import torch
from torch import Tensor


def tensors(value: Any) -> list[Tensor]:
    """The tensors in a value, also within lists and tuples."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, (tuple, list)):
        return [t for item in value for t in tensors(item)]
    return []


def replace(value: Any, stand_in: dict[int, Any]) -> Any:
    """The same nested lists, tuples and dicts, with other objects in the place of those whose id is
    given.
    """
    if id(value) in stand_in:
        return stand_in[id(value)]
    if type(value) is dict:
        return {key: replace(item, stand_in) for key, item in value.items()}
    if type(value) in (tuple, list) and value and type(value[0]) is not int:
        return type(value)([replace(item, stand_in) for item in value])
    if isinstance(value, tuple) and any(id(item) in stand_in for item in value):
        # a named tuple: max, topk, sort
        return type(value)([replace(item, stand_in) for item in value])
    return value


def fixed(tensor: Tensor | None) -> Tensor | None:
    """The tensor without its graph; itself where it has none, which is quicker."""
    return tensor.detach() if tensor is not None and tensor.requires_grad else tensor


def overlap(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors in the same memory have an element in common."""
    taken = torch.zeros(a.untyped_storage().nbytes() // a.element_size(), dtype=torch.bool)
    taken.as_strided(a.shape, a.stride(), a.storage_offset())[...] = True
    return bool(taken.as_strided(b.shape, b.stride(), b.storage_offset()).any())


def carries_values(result: Any) -> bool:
    """Whether a result holds numbers computed from x, which relevance would have to follow."""
    if isinstance(result, (tuple, list)):
        return any(carries_values(item) for item in result)
    if isinstance(result, Tensor):
        return result.dtype != torch.bool
    shapes = (bool, int, str, torch.dtype, torch.device, torch.layout)
    return not (result is None or isinstance(result, shapes))


@cache
def opened(function: FunctionType) -> Callable:
    """The same Python function of torch.nn.functional, but seen through: its body runs and each
    call in it is seen.
    """
    blind = {
        name: lambda *_: False
        for name in function.__globals__
        if name.startswith("has_torch_function")
    }
    copy = FunctionType(
        function.__code__,
        function.__globals__ | blind,
        function.__name__,
        function.__defaults__,
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy
