"""Four properties of a good explanation, as numbers, and the table of them for many methods."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import bootstrap
from torch import Tensor, nn

from ..engine.contract import check_arguments, class_index, undisturbed
from ..interpretability.perturbation import start, whole
from .flipping import pixel_flipping

#: An explanation method, method(model, x, target) -> relevance like x.
Method = Callable[..., Tensor]


def conservation(
    model: nn.Module, x: Tensor, relevance: Tensor, target: int | Tensor | None = None
) -> Tensor:
    """The share of the score that the relevances add up to, sum_i R_i / f_c(x): 1 if all of it
    arrives (Montavon et al., 2018).

    model, x, target : as for `lib.lrp.lrp`.
    relevance : (N, ...), finite.
    Returns (N,). Raises TypeError or ValueError: a bad argument, by name.

    >>> model = nn.Sequential(nn.ReLU())
    >>> conservation(model, torch.tensor([[1.0, 4.0]]), torch.tensor([[1.0, 2.0]]))
    tensor([0.7500])
    """
    check_arguments(model, x, words=True)
    R = rows_of(relevance, len(x))
    with undisturbed(model, x), torch.no_grad():
        return R.sum(1) / start(model, x, target)[0]


def positivity(relevance: Tensor) -> Tensor:
    """The share of the relevance that is positive, sum_i R_i^+ / sum_i |R_i|: 1 if none is negative
    (Montavon et al., 2018).

    relevance : (N, ...), finite.
    Returns (N,) in [0, 1]; 1 for a map of zeros.
    Raises TypeError or ValueError: a bad argument.

    >>> positivity(torch.tensor([[3.0, -1.0]]))
    tensor([0.7500])
    """
    R = rows_of(relevance)
    size = R.abs().sum(1)
    return torch.where(size > 0, R.clamp(min=0).sum(1) / size, 1)


def continuity(
    method: Method,
    model: nn.Module,
    x: Tensor,
    target: int | Tensor | None = None,
    radius: float = 0.1,
    points: int = 16,
    halvings: int = 20,
    seed: int = 0,
) -> Tensor:
    """The largest jump of the explanation that is found on a short walk away from x, as a share of
    sum_i |R_i|: 0 if it is continuous.

    Continuity asks that almost equal inputs get almost equal explanations (Montavon et al., 2018,
    section 7.2). The walk leads straight to x + radius * standard normal noise, the same for all
    samples. Of its `points` - 1 parts each sample keeps the one along which its map changes most,
    sum_i |R_i - R'_i|, then the half of it that does so, and so on, `halvings` times. What is left
    is a change over almost no distance: a jump, or 0; it is divided by the largest sum_i |R_i| on
    the way. (It is one jump, not always the largest; many small ones escape.)

    method : method(model, x, target) -> relevance like x.
    target : as for `lib.lrp.lrp`; the class does not change on the way.
    radius : > 0, in the unit of x.

    Returns (N,) >= 0. Use float64: float32 ends the halving early.
    Raises TypeError or ValueError: a bad argument, by name.

    >>> step = lambda model, x, target: (x > 0.05) * 1.0
    >>> continuity(step, nn.Identity(), torch.zeros(1, 1, dtype=torch.float64)).item() > 0
    True
    """
    check_arguments(model, x)
    number = isinstance(radius, (int, float)) and not isinstance(radius, bool)
    if not number or not 0 < radius < float("inf"):
        raise ValueError(f"radius: expected a positive number, in the unit of x, got {radius!r}")
    whole("points", points, 2)
    whole("halvings", halvings, 0)
    generator = torch.Generator().manual_seed(whole("seed", seed))
    x = x.detach()
    way = radius * torch.randn(x[0].shape, generator=generator, dtype=x.dtype).to(x.device)
    with undisturbed(model, x), torch.no_grad():
        target = class_index(model(x.clone()), target)
    where = torch.linspace(0, 1, points, dtype=x.dtype, device=x.device)

    def explain(t: Tensor) -> Tensor:
        """The maps at x + t way, one t for each sample, flat."""
        return method(model, x + t.view(-1, *[1] * (x.dim() - 1)) * way, target).flatten(1)

    maps = [explain(t.expand(len(x))) for t in where]
    sizes = torch.stack([R.abs().sum(1) for R in maps]).amax(0)
    best = torch.stack([_change(R, S) for R, S in zip(maps, maps[1:])]).argmax(0)
    low, high = where[best], where[best + 1]
    every = torch.arange(len(x), device=x.device)
    left, right = (torch.stack(maps)[k, every] for k in (best, best + 1))
    for _ in range(halvings):
        middle = (low + high) / 2
        between = explain(middle)
        lower = _change(left, between) >= _change(between, right)
        low, high = torch.where(lower, low, middle), torch.where(lower, middle, high)
        left = torch.where(lower[:, None], left, between)
        right = torch.where(lower[:, None], between, right)
    return torch.where(sizes > 0, _change(left, right) / sizes, 0)


def _change(R: Tensor, S: Tensor) -> Tensor:
    return (R - S).abs().sum(1)


def selectivity(
    model: nn.Module,
    x: Tensor,
    relevance: Tensor,
    target: int | Tensor | None = None,
    orders: int = 5,
    seed: int = 0,
    **flipping,
) -> Tensor:
    """How much more area over the perturbation curve the explanation has than random orders have,
    in logits: 0 if it is as good as chance.

    Removing relevant features should remove evidence (Bach et al., 2015; Samek et al., 2017). The
    difference of the AOPC of `pixel_flipping` for the relevance and of its mean for `orders` random
    maps. flipping : patch, replace, steps of `pixel_flipping`. Returns (N,). Raises TypeError or
    ValueError: a bad argument, by name.

    >>> model = nn.Linear(2, 1, bias=False)
    >>> selectivity(model, torch.ones(1, 2), torch.ones(1, 2), replace=1.0)
    tensor([0.])
    """
    area = pixel_flipping(model, x, relevance, target, seed=seed, **flipping).aopc
    return area - _area_by_chance(model, x, target, orders, seed, flipping)


def _area_by_chance(
    model: nn.Module, x: Tensor, target: int | Tensor | None, orders: int, seed: int, flipping: dict
) -> Tensor:
    """The mean AOPC of random maps (N,); all samples meet the same maps."""
    generator = torch.Generator().manual_seed(whole("seed", seed))
    maps = [
        torch.rand(x[0].shape, generator=generator, dtype=x.dtype)
        for _ in range(whole("orders", orders, 1))
    ]
    areas = [
        pixel_flipping(model, x, R.to(x.device).expand_as(x), target, seed=seed, **flipping).aopc
        for R in maps
    ]
    return torch.stack(areas).mean(0)


# ---------------------------------------------------------------- the table


#: Where a property holds in `properties_table`: below or above these values.
LIMITS = {"conservation": 0.05, "positivity": 0.95, "continuity": 1e-4, "selectivity": 0.0}


@dataclass(frozen=True, eq=False)
class Cell:
    """One property of one method.

    values: (N,), one a sample.
    median: of the values.
    low, high: the 95 % bootstrap interval of the median.
    holds: whether the property holds, by `LIMITS`.
    """

    values: Tensor
    median: float
    low: float
    high: float
    holds: bool


def properties_table(
    methods: Mapping[str, Method],
    model: nn.Module,
    x: Tensor,
    target: int | Tensor | None = None,
    seed: int = 0,
    **flipping,
) -> dict[str, dict[str, Cell]]:
    """The four properties of each method, measured: table[method][property].

    methods : name -> method(model, x, target).
    model, x, target : as for `lib.lrp.lrp`.
    flipping : patch, replace, steps of `pixel_flipping`.

    Values and marks: "conservation", |1 - sum_i R_i / f_c|, holds if the whole interval is below
    0.05; "positivity", the positive share, if it is above 0.95; "continuity", the largest jump
    found, in float64, if it is below 1e-4; "selectivity", area beyond that of random orders in
    logits, if it is above 0.
    Raises TypeError or ValueError: a bad argument, by name.

    >>> from lib.sensitivity import gradient_x_input
    >>> methods = {"gradient × input": gradient_x_input}
    >>> table = properties_table(methods, nn.Sequential(nn.ReLU()), torch.tensor([[1.0, 3.0]]))
    >>> table["gradient × input"]["positivity"].median
    1.0
    """
    check_arguments(model, x)
    exact = copy.deepcopy(model).double()
    with undisturbed(model, x), torch.no_grad():
        target = class_index(model(x.clone()), target)
    chance = _area_by_chance(model, x, target, 5, seed, flipping)
    table = {}
    for name, method in methods.items():
        R = method(model, x, target)
        values = {
            "conservation": (1 - conservation(model, x, R, target)).abs(),
            "positivity": positivity(R),
            "continuity": continuity(method, exact, x.double(), target, seed=seed),
            "selectivity": pixel_flipping(model, x, R, target, seed=seed, **flipping).aopc - chance,
        }
        table[name] = {key: _cell(key, value) for key, value in values.items()}
    return table


def _cell(name: str, values: Tensor) -> Cell:
    low, high = confidence(values, np.median)
    holds = low > LIMITS[name] if name in ("positivity", "selectivity") else high < LIMITS[name]
    return Cell(values, float(np.median(values.cpu())), low, high, holds)


def confidence(
    values: Tensor, statistic: Callable = np.mean, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of a statistic of values (N,) over the samples (Efron and
    Tibshirani, 1993).

    statistic: statistic(array, axis=...), the mean, or the median.
    level: the share of the bootstrap samples that lie inside, between 0 and 1.

    For curves (N, K) two arrays (K,). One sample has the interval of its own value.
    Raises ValueError for another level.

    >>> confidence(torch.ones(5))
    (1.0, 1.0)
    """
    if not 0 < level < 1:
        raise ValueError(f"level: expected a number between 0 and 1, got {level!r}")
    numbers = np.asarray(values.detach().cpu(), dtype=float)
    if len(numbers) == 1:
        numbers = np.repeat(numbers, 2, 0)
    found = bootstrap(
        (numbers,),
        statistic,
        confidence_level=level,
        n_resamples=1000,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    low, high = found.confidence_interval
    return (low, high) if np.ndim(low) else (float(low), float(high))


def rows_of(relevance: Tensor, count: int | None = None) -> Tensor:
    """Relevance (N, D), checked."""
    if not isinstance(relevance, Tensor):
        raise TypeError(f"relevance: expected a torch.Tensor, got {type(relevance).__name__}")
    if relevance.dim() < 2 or relevance.numel() == 0 or count not in (None, len(relevance)):
        raise ValueError(
            f"relevance: expected shape ({'N' if count is None else count}, ...), got "
            f"{tuple(relevance.shape)}"
        )
    if not torch.isfinite(relevance).all():
        raise ValueError("relevance: expected finite values, got NaN or infinity")
    return relevance.detach().flatten(1)
