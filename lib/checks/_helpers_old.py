"""What the checks of all chapters share: call an answer on probes, compare with a slow reference,
see what it touched.

Answers run in the same process as the check, so nothing here is looked up when they have run:
    arithmetic is plain Python
on lists of floats, and torch functions are bound at import. Replacing `torch.allclose` in a
notebook changes nothing.
"""

import contextlib
import copy
import io
import math
import random
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy
import torch
from torch import Tensor, nn

TOLERANCE = 1e-4  # relative and absolute
UNSOLVED = "not solved yet"

_tensor, _as_tensor, _enable_grad, _is_grad_enabled = (
    torch.tensor,
    torch.as_tensor,
    torch.enable_grad,
    torch.is_grad_enabled,
)
_default_dtype, _set_default_dtype = torch.get_default_dtype, torch.set_default_dtype
_generator, _rand, _randint = torch.Generator, torch.rand, torch.randint
_random_states = torch.get_rng_state, random.getstate, numpy.random.get_state
_set_random_states = torch.set_rng_state, random.setstate, numpy.random.set_state
_tolist, _detach, _to = Tensor.tolist, Tensor.detach, Tensor.to
_isfinite = math.isfinite
_float64, _float32 = torch.float64, torch.float32


@dataclass(frozen=True, eq=False)
class Probe:
    """Arguments for one call, and what is special about them, in words that a hint can use."""

    kind: str
    arguments: tuple


@dataclass(frozen=True, eq=False)
class Slip:
    """A wrong answer that students give: what it computes, and the hint for those whose result is
    the same.
    """

    hint: str
    compute: Callable


@dataclass(frozen=True, eq=False)
class _Wrong:
    """Values that are not those of the reference."""

    values: object


def judge(
    name: str,
    answer: Callable,
    probes: Sequence[Probe],
    reference: Callable,
    slips: Sequence[Slip] = (),
    hint: str = "",
    tolerance: float = TOLERANCE,
) -> None:
    """Returns if `answer` agrees with `reference` on every probe, twice, and leaves everything as
    it was.

    reference and the slips take the probe's arguments with tensors as nested lists of floats, and
    return the same.
    Raises AssertionError with a hint: that of the first slip which explains the result, else
        `hint`. tolerance: relative and absolute.
    """
    if not callable(answer):
        raise AssertionError(f"{name}: expected a function, got {type(answer).__name__}")
    with _quiet():
        for probe in probes:
            problem = _try(name, answer, probe, reference, slips, hint, tolerance)
            if problem is not None:
                problem, cause = problem
                where = "" if problem == UNSOLVED else f" (seen with {probe.kind})"
                raise AssertionError(f"{name}: {problem}{where}") from cause


def _try(
    name: str,
    answer: Callable,
    probe: Probe,
    reference: Callable,
    slips: Sequence[Slip],
    hint: str,
    tolerance: float,
) -> tuple[str, BaseException | None] | None:
    """What is wrong with the answer on one probe, and the exception behind it; None if nothing
    is.
    """
    plain = tuple(map(to_plain, probe.arguments))
    wanted = reference(*plain)
    problem = _call_twice(answer, copy.deepcopy(probe.arguments), wanted, tolerance)
    if isinstance(problem, BaseException) and _float64 in map(_dtype, probe.arguments):
        # The contracts name no dtype: an answer that insists on single precision is judged in
        # single precision.
        problem = _call_twice(answer, tuple(map(_single, probe.arguments)), wanted, tolerance)
    if isinstance(problem, NotImplementedError):
        return UNSOLVED, None
    if isinstance(problem, BaseException):
        return f"raises {type(problem).__name__}: {problem}", problem
    if isinstance(problem, _Wrong):
        explained = (slip.hint for slip in slips if _agrees(problem.values, slip, plain, tolerance))
        return next(explained, hint or "the values are not those of the equation"), None
    return problem and (problem, None)


def _call_twice(
    answer: Callable, arguments: tuple, wanted: list, tolerance: float
) -> str | _Wrong | BaseException | None:
    """None if right; else the wrong values, a sentence, or what was raised."""
    before = [_state(argument) for argument in arguments]
    values = []
    for _ in range(2):
        with _enable_grad():
            try:
                result = answer(*arguments)
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # also SystemExit: an answer must not end the check
                return error
            kept = _is_grad_enabled() and _default_dtype() == _float32
        changed = _changed(before, arguments)
        if changed:
            return changed
        if not kept:
            return (
                "changes a global setting of torch (gradients on or off, default dtype) "
                "and does not set it back"
            )
        value = _values(result, wanted)
        if isinstance(value, str):
            return value
        values.append(value)
    if not close(values[0], wanted, tolerance):
        return _Wrong(values[0])
    if not close(values[1], wanted, tolerance):
        return (
            "a second call with the same arguments gives another result: something is kept "
            "between calls, or drawn at random"
        )
    return None


def _called(answer: Callable, arguments: tuple) -> object:
    """The result, or a sentence that says what went wrong."""
    before = [_state(argument) for argument in arguments]
    try:
        result = answer(*arguments)
    except NotImplementedError:
        return UNSOLVED
    except KeyboardInterrupt:
        raise
    except BaseException as problem:
        return f"raises {type(problem).__name__}: {problem}"
    if not _is_grad_enabled() or _default_dtype() != _float32:
        return (
            "changes a global setting of torch (gradients on or off, default dtype) and "
            "does not set it back"
        )
    return _changed(before, arguments) or (
        "returns None; is a `return` missing?" if result is None else result
    )


# ---------------------------------------------------------------- values


def to_plain(value: object) -> object:
    """Tensors as nested lists of floats or ints; all else as it is."""
    return _tolist(_detach(value)) if isinstance(value, Tensor) else value


def shape(values: object) -> tuple[int, ...]:
    """The shape of a nested list."""
    return (len(values), *(shape(values[0]) if values else ())) if isinstance(values, list) else ()


def flat(values: object) -> Iterator[float]:
    """The numbers of a nested list, in order."""
    if isinstance(values, list):
        for value in values:
            yield from flat(value)
    else:
        yield values


def close(values: object, wanted: object, tolerance: float = TOLERANCE) -> bool:
    """Equal shapes, and equal numbers within the tolerance."""
    if shape(values) != shape(wanted):
        return False
    return all(
        abs(v - w) <= tolerance + tolerance * abs(w) for v, w in zip(flat(values), flat(wanted))
    )


def _values(result: object, wanted: object) -> object:
    """The result as nested lists of floats, or a sentence that says why it cannot be compared."""
    if result is None:
        return "returns None; is a `return` missing?"
    try:
        values = _tolist(_to(_detach(_gathered(result)), _float64))
    except (TypeError, ValueError, RuntimeError):
        return f"returns {type(result).__name__}; a tensor was expected"
    wide = shape(wanted)
    if shape(values) == () and math.prod(wide) == 1:
        for _ in wide:
            values = [values]
    if shape(values) != wide:
        return f"the shape of the result is wrong: expected {wide}, got {shape(values)}"
    if not all(map(_isfinite, flat(values))):
        return (
            "the result has NaN or infinite entries: somewhere a number is divided by "
            "zero, or grows too large"
        )
    return values


def _gathered(result: object) -> Tensor:
    """A tensor from a tensor, an array, a number, or nested lists and tuples of them."""
    if isinstance(result, Tensor):
        if result.is_complex() or result.dtype == torch.bool:
            raise TypeError
        return result
    if isinstance(result, (list, tuple)):
        return _tensor(
            [_tolist(_to(_detach(_gathered(part)), _float64)) for part in result], dtype=_float64
        )
    if isinstance(result, numpy.ndarray):
        return _tensor(result.tolist(), dtype=_float64)
    if isinstance(result, (str, bytes, bool, dict, set)):
        raise TypeError
    return _as_tensor(result)


def _agrees(values: list, slip: Slip, plain: tuple, tolerance: float) -> bool:
    try:
        return close(values, slip.compute(*plain), tolerance)
    except ArithmeticError:  # a slip divides by zero where the right answer does not
        return False


def _dtype(argument: object) -> object:
    return getattr(
        next(argument.parameters(), None) if isinstance(argument, nn.Module) else argument,
        "dtype",
        None,
    )


def _single(argument: object) -> object:
    argument = copy.deepcopy(argument)
    return argument.to(_float32) if _dtype(argument) == _float64 else argument


# ---------------------------------------------------------------- what must stay as it was


HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def _state(argument: object) -> dict[str, object]:
    """All that an answer must leave alone, with the words that a hint uses for it."""
    if isinstance(argument, Tensor):
        return {
            "an argument in place": (to_plain(argument), argument.dtype, tuple(argument.shape)),
            "requires_grad of an argument": argument.requires_grad,
            "the gradient of an argument": to_plain(argument.grad),
        }
    if isinstance(argument, nn.Module):
        parameters, modules = list(argument.named_parameters()), list(argument.named_modules())
        return {
            "the mode (train or eval) of the model": [module.training for _, module in modules],
            "the layers of the model": [(name, id(module)) for name, module in modules],
            "requires_grad of the model's parameters": [p.requires_grad for _, p in parameters],
            "the parameters or buffers of the model": [
                (name, to_plain(value)) for name, value in argument.state_dict().items()
            ],
            "the gradients of the model's parameters": [to_plain(p.grad) for _, p in parameters],
            "the model's hooks (some are left behind)": [
                len(getattr(module, hooks)) for _, module in modules for hooks in HOOKS
            ],
        }
    return {}


def _changed(before: list[dict[str, object]], arguments: tuple) -> str | None:
    for old, argument in zip(before, arguments):
        new = _state(argument)
        for what, value in old.items():
            if new[what] != value:
                return f"changes {what}; work on a copy, or set it back"
    return None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Nothing that an answer prints or warns of is shown; torch's settings are its defaults within,
    and afterwards, like the global random states, as before.
    """
    states, dtype = [get() for get in _random_states], _default_dtype()
    _set_default_dtype(_float32)
    try:
        with (
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
            warnings.catch_warnings(),
            _enable_grad(),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        _set_default_dtype(dtype)
        for put, state in zip(_set_random_states, states):
            put(state)


# ---------------------------------------------------------------- drawing probes


class Draw:
    """Numbers for probes, the same on every machine, without the global random state."""

    def __init__(self, seed: int, dtype: torch.dtype = _float32) -> None:
        self.generator, self.dtype = _generator().manual_seed(seed), dtype

    def uniform(self, low: float, high: float, *size: int) -> Tensor:
        """Evenly between low and high."""
        return (low + (high - low) * _rand(*size, generator=self.generator, dtype=_float64)).to(
            self.dtype
        )

    def index(self, high: int, *size: int) -> Tensor:
        """Whole numbers from 0 to high - 1."""
        return _randint(high, size, generator=self.generator)


def first(
    draw: Callable[[Draw], tuple], fit: Callable[..., bool], dtype: torch.dtype = _float32
) -> tuple:
    """The first arguments, over seeds 0, 1, 2..., for which `fit` (of nested lists) holds: keeps
    probes away from ill-conditioned sums, where right answers differ by their order of summation.
    """
    for seed in range(10_000):
        arguments = draw(Draw(seed, dtype))
        if fit(*map(to_plain, arguments)):
            return arguments
    raise RuntimeError("no probe fits")
