"""What the checks of all chapters share: ways to draw probes, and the judges of an answer.

An answer runs in the same process as its check. So what is wanted is computed for all probes,
from the equation in float64, before the answer is called for the first time; afterwards plain
floats are compared. What the verdict needs after that first call is bound here, at import:
replacing `torch.allclose` in a notebook changes nothing.
"""

import contextlib
import copy
import functools
import inspect
import io
import math
import random
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy
import torch
from torch import Tensor, float32, float64, nn

from ._progress import tell

TOLERANCE = 1e-4  # relative and absolute
UNSOLVED = "not solved yet"

_tensor, _as_tensor, _gradient = torch.tensor, torch.as_tensor, torch.autograd.grad
_enable_grad, _is_grad_enabled = torch.enable_grad, torch.is_grad_enabled
_manual_seed = torch.manual_seed
_default_dtype, _set_default_dtype = torch.get_default_dtype, torch.set_default_dtype
_generator, _rand, _randint = torch.Generator, torch.rand, torch.randint
_random_states: list[tuple[Callable, Callable]] = [
    (torch.get_rng_state, torch.set_rng_state),
    (random.getstate, random.setstate),
    (numpy.random.get_state, numpy.random.set_state),
]
_tolist, _detach, _to = Tensor.tolist, Tensor.detach, Tensor.to
_sum, _expand = Tensor.sum, Tensor.expand
_isfinite, _sqrt, _infinity = math.isfinite, math.sqrt, math.inf
_REAL = float32, float64
_tried: list[str] = []  # by the check that runs

Probes = Mapping[str, tuple]
Slips = Mapping[str, Callable | tuple[Callable, ...]]


class Refusal(AssertionError):
    """What is wrong with an answer, raised by what is put around it to be judged."""


# ---------------------------------------------------------------- judges


def exercise(check: Callable[[Callable], None]) -> Callable[[Callable], None]:
    """Makes `check_NAME(answer)` of a function that raises AssertionError where an answer is wrong:
    the exercise's name stands before the hint, nothing that it does is printed, torch is left as it
    was. In a notebook a right answer is told so.
    """
    name = check.__name__.removeprefix("check_")

    @functools.wraps(check)
    def named(answer: Callable) -> None:
        if not callable(answer):
            raise _in_one_line(f"{name}: expected a function, got {type(answer).__name__}")
        _tried.clear()
        try:
            with _quiet():
                check(answer)
        except AssertionError as refusal:
            raise _in_one_line(f"{name}: {refusal}") from refusal.__cause__
        tell(name, _tried)

    return named


def _in_one_line(text: str) -> AssertionError:
    """An error of which Jupyter shows this text, and not the way through the check."""
    error = AssertionError(text)
    setattr(error, "_render_traceback_", lambda: [f"AssertionError: {text}"])  # noqa: B010
    return error


def judge(
    answer: Callable,
    probes: Probes,
    equation: Callable,
    slips: Slips,
    hint: str,
    tolerance: float = TOLERANCE,
    also: Callable | None = None,
) -> None:
    """Returns if `answer` agrees with `equation` on every probe, twice, and leaves everything as it
    was.

    equation and slips take the probe's arguments in float64. slips: by the hint for it, what a
    wrong answer computes (or several that deserve the same hint). also: another equation that is
    right.
    Raises AssertionError with a hint: that of the first slip which explains the result, else
    `hint`. tolerance: relative and absolute.
    """
    rights = [equation] if also is None else [equation, also]
    wanted = [
        {kind: _plain(_exact(right, given)) for kind, given in probes.items()} for right in rights
    ]
    problems = []
    for values in wanted:
        try:
            return _judge(answer, probes, values, slips, hint, tolerance)
        except AssertionError as refusal:
            problems.append(refusal)
    raise next((problem for problem in problems if hint not in str(problem)), problems[0])


def _judge(
    answer: Callable, probes: Probes, wanted: dict, slips: Slips, hint: str, tolerance: float
) -> None:
    for kind, given in probes.items():
        with seen(kind):
            try:
                values = _twice(answer, copy.deepcopy(given), wanted[kind], tolerance)
            except AssertionError as refusal:
                if refusal.__cause__ is None or float64 not in map(_dtype, given):
                    raise
                # The contracts name no dtype: an answer that insists on single precision is
                # judged in single precision.
                values = _twice(answer, _in(float32, given), wanted[kind], tolerance)
            if values is not None:
                explained = _explained(values, slips, given, tolerance)
                raise AssertionError(explained or _usual(values, wanted[kind], tolerance) or hint)


DRAWN = {
    "fixed": "the first or the last value, which is the same for every draw, is wrong",
    "same": "two calls give the very same result: nothing is drawn anew, or a seed is set",
    "rows": "all samples of a batch share their noise; each draws its own",
    "copies": "all draws to be averaged share one noise, so that nothing is averaged",
    "mean": "the mean over many draws is not the expected one",
    "spread": "the spread of the draws is wrong: noise, copies and samples are independent",
    "normal": "the noise is not normally distributed",
    "related": "all dimensions of a row share one noise; each draws its own",
}


def judge_draws(
    answer: Callable,
    given: tuple,
    mean: Tensor,
    variance: Tensor,
    kind: str,
    *,
    seeds: Sequence[int] = (1, 2),
    calls: int = 2,
    copies: int = 1,
    excess: Tensor | float = 0.0,
    normal: bool = False,
    each: Callable[[Any, Any], None] | None = None,
) -> None:
    """Returns if what `answer` draws has the given mean and variance (tensors of the result's
    shape), in bands of five standard errors, after each of the seeds.

    One draw is a row of a result that has several axes, else the whole result of one of the calls.
    What does not vary is compared as it is; fewer than 50 draws are only compared with each other.
    copies: how many draws the answer itself averages; the variance is that of their mean. excess:
    the excess kurtosis of a result. normal: that the numbers of a draw are normal and independent
    of each other is judged too. each: judges every result, raw and as numbers.
    """
    wanted = _plain(mean)
    width = math.prod(mean.shape[1:] if len(mean.shape) > 1 else mean.shape)
    middle, var, fourth = (
        list(flat(_plain(_expand(_as_tensor(value), mean.shape))))
        for value in (mean, variance, excess)
    )
    with seen(kind):
        for seed in seeds:
            _manual_seed(seed)
            results = []
            for _ in range(calls):
                raw = call(answer, given)
                values = _values(raw, wanted)
                if each is not None:
                    each(raw, values)
                results.append(list(flat(values)))
            if any(
                abs(value - m) > TOLERANCE * (copies + abs(m))
                for result in results
                for value, m, v in zip(result, middle, var, strict=True)
                if not v
            ):
                raise AssertionError(DRAWN["fixed"])
            if all(result == results[0] for result in results):
                raise AssertionError(DRAWN["same"])
            draws = []
            for result in results:
                z = [(u - m) / _sqrt(v) if v else 0.0 for u, m, v in zip(result, middle, var)]
                rows = [z[k : k + width] for k in range(0, len(z), width)]
                alike = [
                    row
                    for k, row in enumerate(rows)
                    if middle[k * width :][:width] == middle[:width]
                ]
                if len(alike) > 1 and all(close(row, rows[0]) for row in alike):
                    raise AssertionError(DRAWN["rows"])
                draws += rows
            if len(draws) >= 50:
                judged = [k for k in range(width) if var[k]]
                columns = [[row[k] for row in draws] for k in judged]
                problem = _moments(columns, [fourth[k] for k in judged], copies, normal)
                if problem:
                    raise AssertionError(DRAWN[problem])


def _moments(
    columns: list[list[float]], excess: list[float], copies: int, normal: bool
) -> str | None:
    """What is wrong with columns of numbers of mean 0 and variance 1: a key of DRAWN."""
    for k, column in enumerate(columns):
        n = len(column)
        mean = sum(column) / n
        spread = sum((z - mean) ** 2 for z in column) / n
        if copies > 1 and spread > copies / 2:
            return "copies"
        if abs(mean) > 5 * max(1.0, _sqrt(spread)) / _sqrt(n):
            return "mean"
        if abs(spread - 1) > 5 * _sqrt((2 + excess[k]) / n):
            return "spread"
        if normal and abs(sum(z**4 for z in column) / n - 3) > 5 * _sqrt(96 / n):
            return "normal"
        for other in columns[:k] if normal else ():
            if abs(sum(u * v for u, v in zip(column, other, strict=True))) > 5 * _sqrt(n):
                return "related"
    return None


# ---------------------------------------------------------------- one call of an answer


@contextlib.contextmanager
def seen(kind: str) -> Iterator[None]:
    """Adds to what is refused within where it was seen; what is passed was tried."""
    try:
        yield
        _tried.append(kind)
    except AssertionError as refusal:
        if str(refusal) == UNSOLVED:
            raise
        raise AssertionError(f"{refusal} (seen with {kind})") from refusal.__cause__


def call(answer: Callable, given: tuple) -> Any:
    """The result of one call, which must raise nothing and leave everything as it was."""
    before = [_state(argument) for argument in given]
    with _enable_grad():
        try:
            result = answer(*given)
        except (KeyboardInterrupt, Refusal):
            raise
        except NotImplementedError:
            raise AssertionError(UNSOLVED) from None
        except BaseException as error:  # also SystemExit: an answer must not end the check
            raise AssertionError(f"raises {type(error).__name__}: {error}") from error
        kept = _is_grad_enabled() and _default_dtype() == float32
    for old, argument in zip(before, given, strict=True):
        new = _state(argument)
        for what, value in old.items():
            if new[what] != value:
                raise AssertionError(f"changes {what}; work on a copy, or set it back")
    if not kept:
        raise AssertionError(
            "changes a global setting of torch (gradients on or off, default dtype) and does not "
            "set it back"
        )
    if result is None:
        raise AssertionError("returns None; is a `return` missing?")
    return result


def slope(result: Any, of: Tensor) -> Any:
    """The derivative of the sum of a result as numbers, None if there is none."""
    if not isinstance(result, Tensor) or not result.requires_grad:
        return None
    (found,) = _gradient(_sum(result), of, retain_graph=True, allow_unused=True)
    return None if found is None else _tolist(found)


def _exact(equation: Callable, given: tuple) -> Any:
    """What an equation or a slip computes in double precision."""
    _set_default_dtype(float64)
    try:
        return equation(*_in(float64, given))
    finally:
        _set_default_dtype(float32)


def _explained(values: Any, slips: Slips, given: tuple, tolerance: float) -> str | None:
    """The hint for the first slip that gives these values. The verdict stands already: where a
    slip divides by zero, or stops, another hint is given.
    """
    for hint, computed in slips.items():
        for slip in computed if isinstance(computed, tuple) else (computed,):
            with contextlib.suppress(Exception):
                if close(values, _plain(_exact(slip, given)), tolerance):
                    return hint
    return None


def _twice(answer: Callable, given: tuple, wanted: Any, tolerance: float) -> Any:
    """None if two calls give what is wanted; the values if the first does not."""
    results = [_values(call(answer, given), wanted) for _ in range(2)]
    if not close(results[0], wanted, tolerance):
        return results[0]
    if not close(results[1], wanted, tolerance):
        raise AssertionError(
            "a second call with the same arguments gives another result: something is kept "
            "between calls, or drawn at random"
        )
    return None


def _usual(values: Any, wanted: Any, tolerance: float) -> str | None:
    """The hint for slips that any exercise knows."""
    right, found = list(flat(wanted)), list(flat(values))
    count = len(wanted) if isinstance(wanted, list) and wanted else 1
    width = len(right) // count
    sums = [sum(right[k::width]) for k in range(width)] * count
    batch = "the samples of a batch are averaged or summed; each has a result of its own"
    usual = [
        ("the sign is turned round", [-v for v in right]),
        ("absolute values are taken; the result has a sign", [abs(v) for v in right]),
        ("negative values are cut off; the result has a sign", [max(v, 0.0) for v in right]),
        (batch, sums),
        (batch, [v / count for v in sums]),
    ]
    return next((hint for hint, other in usual if close(found, other, tolerance)), None)


# ---------------------------------------------------------------- values


def shape(values: Any) -> tuple[int, ...]:
    """The shape of a nested list."""
    return (len(values), *(shape(values[0]) if values else ())) if isinstance(values, list) else ()


def flat(values: Any) -> Iterator[float]:
    """The numbers of a nested list, in order."""
    if isinstance(values, list):
        for value in values:
            yield from flat(value)
    else:
        yield values


def close(values: Any, wanted: Any, tolerance: float = TOLERANCE) -> bool:
    """Equal shapes, and equal numbers within the tolerance."""
    return shape(values) == shape(wanted) and all(
        abs(v - w) <= tolerance * (1 + abs(w)) < _infinity
        for v, w in zip(flat(values), flat(wanted), strict=True)
    )


def _plain(value: Any) -> Any:
    """Tensors, numbers and lists of them as nested lists of floats."""
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    return _tolist(_to(_detach(_as_tensor(value)), float64))


def _values(result: Any, wanted: Any) -> Any:
    """The result as nested lists of floats in the shape of what is wanted."""
    try:
        values = _tolist(_to(_detach(_gathered(result)), float64))
    except (TypeError, ValueError, RuntimeError):
        raise AssertionError(f"returns {type(result).__name__}; a tensor was expected") from None
    wide = shape(wanted)
    if shape(values) == () and math.prod(wide) == 1:
        for _ in wide:
            values = [values]
    if shape(values) != wide:
        raise AssertionError(
            f"the shape of the result is wrong: expected {wide}, got {shape(values)}"
        )
    if not all(map(_isfinite, flat(values))):
        raise AssertionError(
            "the result has NaN or infinite entries: somewhere a number is divided by zero, or "
            "grows too large"
        )
    return values


def _gathered(result: Any) -> Tensor:
    """A tensor from a tensor, an array, a number, or nested lists and tuples of them."""
    if isinstance(result, Tensor):
        if result.is_complex() or result.dtype == torch.bool:
            raise TypeError
        return result
    if isinstance(result, (list, tuple)):
        parts = [_tolist(_to(_detach(_gathered(part)), float64)) for part in result]
        return _tensor(parts, dtype=float64)
    if isinstance(result, numpy.ndarray):
        return _tensor(result.tolist(), dtype=float64)
    if isinstance(result, (str, bytes, bool, dict, set)):
        raise TypeError
    return _as_tensor(result)


def _dtype(argument: Any) -> torch.dtype | None:
    part = next(argument.parameters(), None) if isinstance(argument, nn.Module) else argument
    return getattr(part, "dtype", None)


def _in(dtype: torch.dtype, given: tuple) -> tuple:
    """Copies of the arguments, real ones in this precision."""
    return tuple(v.to(dtype) if _dtype(v) in _REAL else v for v in copy.deepcopy(given))


# ---------------------------------------------------------------- what must stay as it was


HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def _list(value: Tensor | None) -> Any:
    return None if value is None else _tolist(_detach(value))


def _state(argument: Any) -> dict[str, Any]:
    """All that an answer must leave alone, with the words that a hint uses for it."""
    if isinstance(argument, Tensor):
        return {
            "an argument in place": (_list(argument), argument.dtype, tuple(argument.shape)),
            "requires_grad of an argument": argument.requires_grad,
            "the gradient of an argument": _list(argument.grad),
        }
    if isinstance(argument, nn.Module):
        parameters, modules = list(argument.named_parameters()), list(argument.named_modules())
        return {
            "the mode (train or eval) of the model": [module.training for _, module in modules],
            "the layers of the model": [(name, id(module)) for name, module in modules],
            "requires_grad of the model's parameters": [p.requires_grad for _, p in parameters],
            "the parameters or buffers of the model": [
                (name, _list(value)) for name, value in argument.state_dict().items()
            ],
            "the gradients of the model's parameters": [_list(p.grad) for _, p in parameters],
            "the model's hooks (some are left behind)": [
                len(getattr(module, hooks)) for _, module in modules for hooks in HOOKS
            ],
        }
    return {}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Nothing that an answer prints or warns of is shown; torch's settings are its defaults within,
    and afterwards, like the global random states, as before.
    """
    states, dtype = [(put, get()) for get, put in _random_states], _default_dtype()
    _set_default_dtype(float32)
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
        for put, state in states:
            put(state)


# ---------------------------------------------------------------- drawing probes


class Draw:
    """Numbers for probes, the same on every machine, without the global random state."""

    def __init__(self, seed: int, dtype: torch.dtype = float32, size: float = 1.0) -> None:
        self.generator, self.dtype, self.size = _generator().manual_seed(seed), dtype, size

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        """Evenly between low and high."""
        even = _rand(*shape, generator=self.generator, dtype=float64)
        return (low + (high - low) * even).to(self.dtype)

    def large(self, low: float, high: float, *shape: int) -> Tensor:
        """The same, made large in the probe of large numbers."""
        return self.uniform(low * self.size, high * self.size, *shape)

    def index(self, high: int, *shape: int) -> Tensor:
        """Whole numbers from 0 to high - 1."""
        return _randint(high, shape, generator=self.generator)


# By what is special: samples, features in, features out.
STANDARD = {
    "several samples": (5, 3, 6),
    "one sample": (1, 4, 3),
    "as many samples as features": (4, 4, 4),
    "one feature": (3, 1, 2),
    "one output": (3, 5, 1),
    "double precision": (3, 5, 4),
}


def standard(
    make: Callable,
    clear: Callable = lambda *_: True,
    size: float = 100.0,
    leave: Sequence[str] = (),
) -> dict[str, tuple]:
    """The usual probes: make(draw, samples, features, outputs) gives the arguments (outputs, and
    the probe with a single one, may be left out). clear: as in `drawn`. size: of what is large in
    double precision. leave: kinds that this exercise does not know.
    """
    axes = len(inspect.signature(make).parameters) - 1
    double: dict[str, Any] = {"dtype": float64, "size": size}
    probes = {
        kind: drawn(make, *sizes[:axes], clear=clear, **(double if "double" in kind else {}))
        for kind, sizes in STANDARD.items()
        if kind not in leave and not (kind == "one output" and axes < 3)
    }
    if size != 1 and "double precision" in probes:
        probes["large numbers in double precision"] = probes.pop("double precision")
    return probes


def drawn(
    make: Callable,
    *sizes: Any,
    clear: Callable = lambda *_: True,
    dtype: torch.dtype = float32,
    size: float = 1.0,
) -> tuple:
    """The first arguments make(draw, *sizes), over seeds 0, 1, 2..., for which `clear` holds. That
    keeps probes away from ill-conditioned sums, where right answers differ by their order of
    summation.
    """
    for seed in range(10_000):
        arguments = make(Draw(seed, dtype, size), *sizes)
        if clear(*arguments):
            return arguments
    raise RuntimeError("no probe fits")


def network(
    d: Draw,
    widths: Sequence[int],
    activation: type[nn.Module] = nn.ReLU,
    size: float = 1.0,
    names: Sequence[str] = "0123456",
) -> nn.Sequential:
    """Linear, activation, Linear... with drawn weights up to `size`, and biases."""
    layers: list[nn.Module] = []
    for inputs, outputs in zip(widths, widths[1:], strict=False):
        layer = nn.utils.skip_init(nn.Linear, inputs, outputs, dtype=d.dtype)
        weight, bias = size * d.uniform(-1, 1, outputs, inputs), d.uniform(-1, 1, outputs)
        layer.load_state_dict({"weight": weight, "bias": bias})
        layers += [layer, activation()]
    return nn.Sequential(OrderedDict(zip(names, layers[:-1], strict=False)))


def plain(net: nn.Module, size: float = 1.0) -> Callable[[Tensor], Tensor]:
    """The network as a function without parameters, in the precision of what it is given; its
    scores `size` times as large.
    """
    nets = {
        dtype: copy.deepcopy(net).to(dtype).requires_grad_(False) for dtype in (float32, float64)
    }
    return lambda x: size * nets[x.dtype](x.flatten(1))


def gradient(
    f: Callable, x: Tensor, c: Tensor, *, of: Callable[[Tensor], Tensor] = lambda scores: scores
) -> Tensor:
    """The derivative of each sample's score of its class, or of what `of` makes of the scores."""
    x = x.detach().clone().requires_grad_()
    return _gradient(of(f(x)).gather(1, c[:, None]).sum(), x)[0]
