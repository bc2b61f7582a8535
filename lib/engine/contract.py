"""What every explanation method shares: checked arguments, a chosen class, and a model that is left
as it was.
"""

import math
import re
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from threading import RLock
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode, _get_current_function_mode_stack

# The types of errors of torch and of models that read a wrong shape, and what they speak of.
UNREADABLE = (RuntimeError, IndexError, AssertionError, TypeError, ValueError)
OF_SHAPES = re.compile(
    r"shape|size|dim(ension)?s?\b|\b\d-?D\b|channel|height|width|length|expected .*\binput\b"
    r"|tuple index out of range|values to unpack",
    re.IGNORECASE,
)
# how an error begins that names an argument
NAMED = re.compile(r"[a-z_]+(, [a-z_]+)*: ")


def check_arguments(model: nn.Module, x: Tensor, words: bool = False) -> None:
    """Refuse a model or an input that no method can explain.

    model : any `nn.Module`.
    x : a finite float tensor (N, ...) with N >= 1, of the dtype and on the device of the model's
        parameters.
    words : whether x may also hold word numbers (N, T), int64, for a network that embeds them.

    Raises TypeError or ValueError that names the argument, what was expected and what came.

    >>> check_arguments(nn.Linear(2, 1), torch.zeros(3, 2).double())
    Traceback (most recent call last):
    TypeError: x: expected torch.float32 on cpu as the model has, got torch.float64 on cpu
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model: expected a torch.nn.Module, got {type(model).__name__}")
    if not isinstance(x, Tensor):
        raise TypeError(f"x: expected a torch.Tensor, got {type(x).__name__}")
    words = (
        words
        and x.dtype == torch.long
        and any(
            isinstance(module, (nn.Embedding, nn.EmbeddingBag)) for module in every_module(model)
        )
    )
    if not (x.is_floating_point() or words):
        raise TypeError(f"x: expected a floating-point tensor, got {x.dtype}")
    if x.dim() < 2 or x.numel() == 0:
        raise ValueError(
            f"x: expected a batch (N, ...) with at least one sample and one feature, got "
            f"shape {tuple(x.shape)}"
        )
    if not _finite(x):
        raise ValueError("x: expected finite values, got NaN or infinity")
    parameter = next(
        (p for module in every_module(model) for p in module._parameters.values() if p is not None),
        x,
    )
    if (
        not words
        and parameter.is_floating_point()
        and (parameter.dtype, parameter.device) != (x.dtype, x.device)
    ):
        raise TypeError(
            f"x: expected {parameter.dtype} on {parameter.device} as the model has, got "
            f"{x.dtype} on {x.device}"
        )


def every_module(model: nn.Module) -> Iterator[nn.Module]:
    """The model and all modules in it, a shared one as often as it is used; several times quicker
    than `model.modules()`.
    """
    found = [model]
    for module in found:  # grows as it is walked
        yield module
        if module._modules:
            found += [child for child in module._modules.values() if child is not None]


def check_scores(scores: Tensor, x: Tensor) -> None:
    """Refuse anything but finite scores (N, K), one row for each sample of x.

    Raises TypeError or ValueError that names the model.

    >>> check_scores(torch.zeros(2, 5), torch.zeros(2, 7))
    """
    if not isinstance(scores, Tensor):
        raise TypeError(
            f"model: expected it to return a tensor of scores (N, K), got {type(scores).__name__}"
        )
    if scores.dim() != 2 or len(scores) != len(x):
        raise ValueError(
            f"model: expected scores of shape ({len(x)}, K), got {tuple(scores.shape)}"
        )
    if not _finite(scores):
        raise ValueError("model: expected finite scores, got NaN or infinity")


def _finite(values: Tensor) -> bool:
    # a sum is quicker, but may overflow
    return math.isfinite(values.sum().item()) or bool(torch.isfinite(values).all())


def class_index(scores: Tensor, target: int | Tensor | None) -> Tensor:
    """The class to explain, one for each sample: LongTensor (N,).

    `target` is None (the class with the highest of the `scores` (N, K)), an int, or a LongTensor
    (N,). Raises TypeError or ValueError if it is anything else or does not lie in 0..K-1.

    >>> class_index(torch.tensor([[0.1, 0.9], [0.8, 0.2]]), None)
    tensor([1, 0])
    """
    count, classes = scores.shape
    if target is None:
        return scores.argmax(1)
    if isinstance(target, Tensor):
        if target.is_floating_point() or target.is_complex() or target.dtype == torch.bool:
            raise TypeError(f"target: expected whole numbers (a LongTensor), got {target.dtype}")
        if target.dim() == 0:
            target = target.expand(count)
        if target.shape != (count,):
            raise ValueError(
                f"target: expected shape ({count},), one class for each sample, got "
                f"{tuple(target.shape)}"
            )
        target = target.to(scores.device, torch.long)
    elif isinstance(target, int) and not isinstance(target, bool):
        target = torch.full((count,), target, device=scores.device)
    else:
        raise TypeError(
            f"target: expected None, an int or a LongTensor ({count},), got {type(target).__name__}"
        )
    if ((target < 0) | (target >= classes)).any():
        raise ValueError(f"target: expected classes in 0..{classes - 1}, got {target.tolist()}")
    return target


@contextmanager
def undisturbed(model: nn.Module, x: Tensor, name: str = "x") -> Iterator[None]:
    """Run the model in evaluation mode; afterwards, also after an error or an interrupt, its modes
    and buffers and the random state are as before.

    Threads wait for each other here: one would put back the mode and the random state that another
    one works in. name: of x, where a method calls it otherwise.
    Raises ValueError if the model runs within it and cannot read an input of the shape of x.

    >>> model = nn.Dropout()
    >>> with undisturbed(model, torch.zeros(1, 2)):
    ...     model.training
    False
    >>> model.training
    True
    """
    with _ONE_AT_A_TIME:
        before, restored, interrupt = _State(model, x), False, None
        try:
            before.evaluate()
            with (
                _plain_precision(x)
                if torch.is_inference_mode_enabled() or torch.is_autocast_enabled(x.device.type)
                else nullcontext()
            ):
                yield
        except BaseException as error:
            _interrupt(error)
            if isinstance(error, UNREADABLE):
                _refuse_unreadable(model, x, name, error)
            raise
        finally:
            while not restored:
                try:
                    before.restore()
                    restored = True
                except KeyboardInterrupt as error:  # in the middle of it: once more
                    interrupt = error
            if interrupt is not None:
                raise interrupt


def _interrupt(error: BaseException | None) -> None:
    """Raise the interrupt that the error is or comes from.

    torch's own context managers, interrupted, would put back what they hold when their frames are
    let go, after all else: so let them go now.
    """
    chain = []
    while error is not None:
        chain.append(error)
        error = error.__context__
    for interrupt in chain:
        if isinstance(interrupt, KeyboardInterrupt):
            for one in chain:
                traceback.clear_frames(one.__traceback__)
            raise interrupt from None


_ONE_AT_A_TIME = RLock()


class _State:
    """The modes and buffers of a model, and the random state."""

    def __init__(self, model: nn.Module, x: Tensor) -> None:
        modules = list(every_module(model))
        self.training = [module for module in modules if module.training]
        self.buffers = [(m._buffers, dict(m._buffers)) for m in modules if m._buffers]
        self.copies = [
            (b, b.clone(), b._version)
            for _, named in self.buffers
            for b in named.values()
            if b is not None and not b.is_inference()
        ]
        some = torch._C._len_torch_function_stack()
        self.modes = _get_current_function_mode_stack() if some else []
        self.random = torch.get_rng_state()
        self.device = x.device
        self.random_of_device = torch.cuda.get_rng_state(x.device) if x.is_cuda else None

    def evaluate(self) -> None:
        for module in self.training:
            module.training = False

    def restore(self) -> None:
        # an interrupt between torch's own lines may leave a mode behind, or take one away
        while torch._C._len_torch_function_stack() > len(self.modes):
            torch._C._pop_torch_function_stack()
        for mode in self.modes[torch._C._len_torch_function_stack() :]:
            torch._C._push_on_torch_function_stack(mode)
        for module in self.training:
            module.training = True
        for current, before in self.buffers:
            current.update(before)
        for buffer, copy, version in self.copies:
            if buffer._version != version:
                with torch.no_grad():
                    buffer.copy_(copy)
        torch.set_rng_state(self.random)
        if self.random_of_device is not None:
            torch.cuda.set_rng_state(self.random_of_device, self.device)


def _refuse_unreadable(model: nn.Module, x: Tensor, name: str, error: Exception) -> None:
    """Raise a ValueError that names x and its shape if the error means that the model cannot read
    it: it speaks of shapes, and so does what the model alone says.
    """
    if not _about_shapes(error):
        return
    given = _input_of(model, x, error)
    # what was made of x (the picture of a code), or else x rather than its many variants
    for tried in (given,) if given.shape[1:] != x.shape[1:] else (x, given):
        try:
            with torch.no_grad():
                model(tried.detach().clone())
        except UNREADABLE as said:
            if _about_shapes(said):
                raise ValueError(
                    f"{name}: the model cannot read an input of shape {tuple(tried.shape)}: {said}"
                ) from error


def _about_shapes(error: Exception) -> bool:
    """Whether an error of torch or of a model speaks of shapes: not one that names an argument, and
    none of a kind of its own, such as that of a full memory.
    """
    said = str(error)
    return (
        type(error) in UNREADABLE
        and OF_SHAPES.search(said) is not None
        and not (isinstance(error, (TypeError, ValueError)) and NAMED.match(said))
    )


def _input_of(model: nn.Module, x: Tensor, error: Exception) -> Tensor:
    """What the model was called with as the error was raised, read off the traceback; x where it
    was run in parts.
    """
    trace = error.__traceback__
    while trace is not None:
        seen = trace.tb_frame.f_locals
        if seen.get("self") is model and seen.get("args") and isinstance(seen["args"][0], Tensor):
            return seen["args"][0]
        trace = trace.tb_next
    return x


@contextmanager
def _plain_precision(x: Tensor) -> Iterator[None]:
    """Outside inference mode, whose tensors cannot be differentiated, and without autocast: in the
    precision of x.
    """
    with torch.inference_mode(False), torch.autocast(x.device.type, enabled=False):
        yield


@contextmanager
def differentiated(model: nn.Module) -> Iterator[None]:
    """With gradients, and with torch's batch normalisation put right.

    >>> with differentiated(nn.BatchNorm1d(2)):
    ...     torch.is_grad_enabled()
    True
    """
    norms = nn.modules.batchnorm._BatchNorm
    with torch.enable_grad():
        if any(isinstance(module, norms) for module in every_module(model)):
            with _PlainMessages():
                yield
        else:
            yield


class _PlainMessages(TorchFunctionMode):
    """Within it a message that goes back to a batch normalisation lies in memory as usual.

    torch 2.13 goes back wrongly (on the CPU, in evaluation mode) where a single image's message has
    another stride in its first dimension, as behind flatten(2).transpose(1, 2).
    """

    def __torch_function__(
        self, function: Callable, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        if function is F.batch_norm and result.requires_grad:
            result.register_hook(lambda message: message.contiguous())
        return result


def gradient_of_score(
    model: nn.Module, x: Tensor, target: int | Tensor | None
) -> tuple[Tensor, Tensor]:
    """The explained scores f_c(x) (N,) and their gradient with respect to x, of x's shape, both
    detached.

    Raises TypeError or ValueError as `check_arguments`, `check_scores`, `class_index` and `slope`.

    >>> gradient_of_score(nn.Flatten(), torch.tensor([[2.0, 1.0]]), None)
    (tensor([2.]), tensor([[1., 0.]]))
    """
    check_arguments(model, x)
    with undisturbed(model, x), differentiated(model):
        # a copy: a model that works in place must not change x
        leaf = x.detach().clone().requires_grad_()
        scores = model(leaf * 1)
        check_scores(scores, x)
        classes = class_index(scores, target)
        gradient = slope(scores, leaf, classes)
    return scores.detach().gather(1, classes[:, None])[:, 0], gradient


def slope(scores: Tensor, leaf: Tensor, classes: Tensor) -> Tensor:
    """df_c/dx of each sample, through the graph from the leaf x to the scores (N, K). Raises
    ValueError if there is none.

    >>> x = torch.ones(1, 2, requires_grad=True)
    >>> slope(3 * x, x, torch.tensor([1]))
    tensor([[0., 3.]])
    """
    if scores.requires_grad:
        (gradient,) = torch.autograd.grad(
            scores.gather(1, classes[:, None]).sum(), leaf, allow_unused=True
        )
        if gradient is not None:
            return gradient
    raise ValueError("model: its scores do not depend on x")
