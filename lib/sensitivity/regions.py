"""The pieces of a piecewise linear network along a straight line, counted exactly.

On the way x(t) = start + t (end - start), 0 <= t <= 1, each ReLU has a kink where its input changes
its sign, and each maximum where its winner changes. Between two neighbouring kinks of the layers
below, these inputs are linear in t, so that two points say where they cross zero. One forward pass
for each such operation, on all kinks found so far, finds all the kinks of the network; those that
do not reach the scores are left out. No grid is involved, and the result is certified: on every
piece the score at its middle must be the mean of the scores at its ends.
"""

import copy
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ..engine.contract import check_arguments, check_scores, undisturbed
from ..engine.operations import name_of

TOLERANCE = 1e-9  # relative; all is computed in double precision


def count_linear_regions(model: nn.Module, start: Tensor, end: Tensor) -> Tensor:
    """The number of linear pieces of all the scores of a network on the straight line from start to
    end: LongTensor (N,), each >= 1.

    Parameters
    ----------
    model : maps (N, ...) to scores (N, K); piecewise linear: linear maps, ReLU and its piecewise
        linear relatives (leaky, 6, clamp, absolute value), maxima and maximum pooling, batch
        normalisation, sums, as modules or functions. It runs as a copy in double precision.
    start, end : the two ends of each line, finite float tensors (N, ...) of one shape.

    Neighbouring pieces of the same slope are one piece (Montufar et al., 2014, section 2, count
    linear regions so). Raises TypeError or ValueError for bad arguments, also if the scores are not
    linear between the kinks that were found.

    >>> tent = nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 1))
    >>> weights = [[2.0], [2.0]], [0.0, -1.0], [[1.0, -2.0]], [0.0]
    >>> for p, value in zip(tent.parameters(), weights): p.data = torch.tensor(value)
    >>> count_linear_regions(tent, torch.zeros(1, 1), torch.ones(1, 1))
    tensor([2])
    """
    return torch.tensor([len(t) + 1 for t in kinks(model, start, end)])


def kinks(model: nn.Module, start: Tensor, end: Tensor) -> list[Tensor]:
    """Where the slope of a score changes on each of the N lines: sorted t, 0 < t < 1, float64.

    Arguments and errors as those of `count_linear_regions`.

    >>> relu = nn.Sequential(nn.ReLU())
    >>> kinks(relu, torch.tensor([[-1.0]]), torch.tensor([[3.0]]))
    [tensor([0.2500], dtype=torch.float64)]
    """
    check_arguments(model, start)
    if not isinstance(end, Tensor):
        raise TypeError(f"end: expected a torch.Tensor, got {type(end).__name__}")
    if end.shape != start.shape or not torch.isfinite(end).all():
        raise ValueError(
            f"end: expected finite values of shape {tuple(start.shape)}, as start has, got "
            f"shape {tuple(end.shape)}"
        )
    with undisturbed(model, start, "start"), torch.no_grad():
        double = copy.deepcopy(model).double()
        return [
            _kinks_of_line(double, a, b - a)
            for a, b in zip(start.detach().double(), end.detach().double())
        ]


def _kinks_of_line(model: nn.Module, start: Tensor, way: Tensor) -> Tensor:
    def scores_at(t: Tensor, watch: "_Crossings | None" = None) -> Tensor:
        x = start + t.reshape(-1, *[1] * start.dim()) * way
        if watch is None:
            return model(x)
        with watch:
            return model(x)

    t = start.new_tensor([0.0, 1.0])
    place, places = 0, 1
    while place < places:  # the operations with kinks, in the order in which they run
        watch = _Crossings(t, place)
        check_scores(scores_at(t, watch), t)
        t, place, places = watch.refined(), place + 1, watch.calls
    return _that_matter(t, scores_at)


def _that_matter(t: Tensor, scores_at: Callable[[Tensor], Tensor]) -> Tensor:
    """The inner points of t at which the slope of some score changes."""
    t = t[torch.cat([t.new_ones(1, dtype=torch.bool), t.diff() > 1e-12])]
    t[-1] = 1.0
    f, middle = scores_at(t), scores_at((t[1:] + t[:-1]) / 2)
    scale = f.abs().amax() + 1e-300
    if ((f[1:] + f[:-1]) / 2 - middle).abs().amax() > 1e-7 * scale:
        raise ValueError(
            "model: expected a piecewise linear network whose ReLUs and maxima can be seen; "
            "its scores bend between the kinks"
        )
    slope = f.diff(dim=0) / t.diff()[:, None]
    rounding = 1e-13 * scale / t.diff()[:, None]  # of the quotient
    small = TOLERANCE * slope.abs().amax() + rounding[1:] + rounding[:-1]
    return t[1:-1][(slope.diff(dim=0).abs() > small).any(1)]


class _Crossings(TorchFunctionMode):
    """In a run on the points t, finds where the inputs of the operation number `place` cross their
    kinks.
    """

    def __init__(self, t: Tensor, place: int) -> None:
        super().__init__()
        self._t, self._place = t, place
        self._found = [t]
        self.calls = 0

    def __torch_function__(
        self, function: Callable, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        switches = _switches(name_of(function)[0], args, kwargs or {})
        if switches is not None:
            if self.calls == self._place:
                self._find(switches)
            self.calls += 1
        return function(*args, **(kwargs or {}))

    def _find(self, switches: list[Tensor]) -> None:
        """For each function s(t), linear between neighbours: the zeros where it changes its
        sign.
        """
        for s in switches:
            if len(s) != len(self._t):
                raise ValueError(
                    f"model: expected the first dimension to count the samples all the way, "
                    f"got shape {tuple(s.shape)} for {len(self._t)} samples"
                )
            s = s.flatten(1)
            s = torch.where(s.abs() <= 1e-13 * s.abs().amax(0), 0.0, s)
            before, after = s[:-1], s[1:]
            crosses = before * after < 0
            part = (before / (before - after))[crosses]
            interval = crosses.nonzero()[:, 0]
            self._found.append(
                self._t[interval] + part * (self._t[interval + 1] - self._t[interval])
            )

    def refined(self) -> Tensor:
        return torch.cat(self._found).unique()


def _switches(name: str, args: tuple, kwargs: dict) -> list[Tensor] | None:
    """The functions whose zeros are the kinks of this call; None if it has none."""
    given = dict(enumerate(args)) | kwargs

    def option(place: int, *names: str, default: Any = None) -> Any:
        return next((given[key] for key in (place, *names) if given.get(key) is not None), default)

    z = option(0, "input", "self")
    if name in ("relu", "leaky_relu", "prelu", "rrelu", "abs"):
        return [z]
    if name == "relu6":
        return [z, z - 6]
    if name in ("threshold", "clamp_min", "clamp_max"):
        return [z - option(1, "threshold", "min", "max")]
    if name == "hardtanh":
        return [z - option(1, "min_val", default=-1), z - option(2, "max_val", default=1)]
    if name in ("clamp", "clip"):
        return [z - end for end in (option(1, "min"), option(2, "max")) if end is not None]
    if name in ("maximum", "minimum", "max", "min", "amax", "amin"):
        other = option(1, "other", "dim", default=tuple(range(z.dim())))
        if isinstance(other, Tensor):
            return [z - other]
        return _rivals(z, (other,) if isinstance(other, int) else tuple(other))
    if name in ("max_pool1d", "max_pool2d"):
        return _rivals(_windows(z, option, 1 if name == "max_pool1d" else 2), (2,))
    return None


def _rivals(z: Tensor, dims: tuple[int, ...]) -> list[Tensor]:
    """The differences of each two values that a maximum over these dimensions chooses from."""
    dims = tuple(dim % z.dim() for dim in dims)
    if 0 in dims:
        raise ValueError("model: expected maxima within a sample, got one over the samples")
    values = z.movedim(dims, tuple(range(1, len(dims) + 1))).flatten(1, len(dims))
    one, two = torch.triu_indices(values.shape[1], values.shape[1], 1)
    return [values[:, one] - values[:, two]] if len(one) else [values * 0]


def _windows(z: Tensor, option: Callable, dim: int) -> Tensor:
    """(N, C, positions...) to (N, C, values of a window, windows); padding is a very small value,
    which wins nowhere.
    """

    def pair(value: int | tuple[int, ...], missing: int) -> tuple[int, ...]:
        return (missing,) * (2 - dim) + ((value,) * dim if isinstance(value, int) else tuple(value))

    if option(5, "ceil_mode", default=False):
        raise ValueError("model: maximum pooling with ceil_mode is not handled here")
    kernel = option(1, "kernel_size")
    size, stride = pair(kernel, 1), pair(option(2, "stride") or kernel, 1)
    padding = pair(option(3, "padding", default=0), 0)
    dilation = pair(option(4, "dilation", default=1), 1)
    z = z[:, :, None] if dim == 1 else z
    z = F.pad(z, (padding[1], padding[1], padding[0], padding[0]), value=-1e100)
    return F.unfold(z, size, dilation, 0, stride).reshape(*z.shape[:2], size[0] * size[1], -1)
