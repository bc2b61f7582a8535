"""What judge and sandbox say to each other: JSON texts, each after its length.

From the judge to the sandbox arguments travel as a pickle. From the sandbox to the judge nothing
does: tensors are their bytes, and of what is neither tensor, number nor text only the name of its
type.
"""

import base64
import json
import math

import numpy
import torch

DTYPES = {
    str(dtype): dtype
    for dtype in (
        *(torch.float16, torch.bfloat16, torch.float32, torch.float64),
        *(torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8),
        *(torch.bool, torch.complex64, torch.complex128),
    )
}
LARGEST = 1 << 23  # bytes of a message, places of a tensor
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def framed(message):
    """The bytes of a message."""
    text = json.dumps(message).encode()
    return len(text).to_bytes(8, "big") + text


def encode(value):
    """A result in JSON."""
    if isinstance(value, numpy.ndarray):
        return {"array": encode(torch.as_tensor(value))}
    if isinstance(value, numpy.generic):
        return encode(value.item())
    if isinstance(value, torch.Tensor):
        plain = value.detach().resolve_conj().cpu().clone(memory_format=torch.contiguous_format)
        data = plain.reshape(-1).view(torch.uint8).numpy().tobytes()
        text = base64.b64encode(data).decode()
        return {"tensor": text, "dtype": str(plain.dtype), "shape": list(plain.shape)}
    if isinstance(value, (list, tuple)):
        return {type(value).__name__: [encode(part) for part in value]}
    if value is None or isinstance(value, (bool, int, float, str)):
        return {"plain": value}
    return {"other": type(value).__name__}


def decode(said):
    """What was encoded; raises where it was not."""
    match said:
        case {"tensor": str(text), "dtype": str(dtype), "shape": list(shape)}:
            if math.prod(max(size, 1) for size in shape) > LARGEST:
                raise ValueError("a shape of nothing, but endless")
            data = bytearray(base64.b64decode(text, validate=True))
            flat = torch.frombuffer(data, dtype=DTYPES[dtype]) if data else torch.empty(0)
            return flat.to(DTYPES[dtype]).reshape(shape)
        case {"array": dict(tensor)}:
            return decode(tensor).numpy()
        case {"list": list(parts)}:
            return [decode(part) for part in parts]
        case {"tuple": list(parts)}:
            return tuple(decode(part) for part in parts)
        case {"plain": None | bool() | int() | float() | str() as value}:
            return value
        case {"other": str(name)}:
            return type(name if name.isidentifier() else "object", (), {})()
    raise ValueError("not a value")


def goes_inside(value):
    """Networks of torch's own layers go into the sandbox; any other function stays outside."""
    return isinstance(value, torch.nn.Module) and all(
        type(module).__module__.startswith("torch.nn.") for module in value.modules()
    )


def modules(arguments):
    """The networks among arguments."""
    return [value for value in arguments if goes_inside(value)]


def tensors(arguments):
    """All tensors that a call could change or differentiate by, in one order on both sides: those
    among the arguments, of networks, and what a function outside holds.
    """
    found = []
    for value in arguments:
        if isinstance(value, torch.Tensor):
            found.append(value)
        elif goes_inside(value):
            found += [*value.parameters(), *value.buffers()]
        elif callable(value):
            found += held(value)
    return found


def held(function):
    """The tensors that a function has as its attributes."""
    attributes = getattr(function, "__dict__", {})
    return [value for value in attributes.values() if isinstance(value, torch.Tensor)]


def unlike(before, after):
    """Whether two tensors differ, in whatever."""
    return (before.dtype, before.shape) != (after.dtype, after.shape) or not before.equal(after)
