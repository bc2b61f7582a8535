"""The checks of the exercises on uncertainty.

Each takes a student's function, returns None if it is right and raises AssertionError with a hint
if not. The references are loops over Python floats; passes with dropout are compared with those of
all masks there are.
"""

import itertools
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ._helpers_old import (
    UNSOLVED,
    Draw,
    Probe,
    Slip,
    _called,
    _quiet,
    _values,
    first,
    judge,
    to_plain,
)

Rows = list[list[float]]

_manual_seed, _tensor, _softmax, _bool, _long = (
    torch.manual_seed,
    torch.tensor,
    Tensor.softmax,
    torch.bool,
    torch.long,
)
_float32, _float64, _stack, _matmul = torch.float32, torch.float64, torch.stack, Tensor.matmul


# ---------------------------------------------------------------- exercises


def check_predictive_entropy(answer: Callable[[Tensor], Tensor]) -> None:
    """P (S, N, C) -> (N,): entropy in nats of the mean over S."""
    slips = [
        Slip(
            "this is the mean of the entropies, the aleatoric part; take the entropy of the mean",
            _aleatoric,
        ),
        Slip("this is the mutual information; the total is asked for", _information),
        Slip(
            "the sign is turned round; an entropy is never negative",
            lambda P: [-h for h in _total(P)],
        ),
        Slip(
            "the logarithm is to base 2; nats are asked for",
            lambda P: [h / math.log(2) for h in _total(P)],
        ),
        Slip(
            "the terms are averaged over the classes; they are summed",
            lambda P: [h / len(P[0][0]) for h in _total(P)],
        ),
        Slip(
            "it is divided by log C; nats are asked for",
            lambda P: [h / math.log(len(P[0][0])) for h in _total(P)],
        ),
        Slip("only one pass is used; take the mean of all", lambda P: [_entropy(p) for p in P[0]]),
        Slip(
            "the passes are summed; take their mean",
            lambda P: [_entropy([len(P) * v for v in p]) for p in _mean(P)],
        ),
        Slip(
            "this is 1 minus the confidence; the entropy is asked for",
            lambda P: [1 - max(p) for p in _mean(P)],
        ),
        Slip(
            "this is 1 minus the sum of squares; the entropy is asked for",
            lambda P: [1 - sum(v * v for v in p) for p in _mean(P)],
        ),
        Slip(
            "the samples are averaged; each has its own value",
            lambda P: [sum(_total(P)) / len(P[0])] * len(P[0]),
        ),
    ]
    judge(
        "predictive_entropy",
        answer,
        _passes(),
        _total,
        slips,
        "the values are not -sum_c p_c log p_c of the mean prediction, with 0 log 0 = 0",
    )


def check_mutual_information(answer: Callable[[Tensor], Tensor]) -> None:
    """P (S, N, C) -> (N,): H[mean_s p_s] - mean_s H[p_s] in nats."""
    slips = [
        Slip("this is the total uncertainty; subtract the mean of the entropies", _total),
        Slip("this is the aleatoric part; subtract it from the total", _aleatoric),
        Slip(
            "the sign is turned round; mutual information is never negative",
            lambda P: [-v for v in _information(P)],
        ),
        Slip(
            "the logarithm is to base 2; nats are asked for",
            lambda P: [v / math.log(2) for v in _information(P)],
        ),
        Slip(
            "the entropies are summed over the passes; take their mean",
            lambda P: [t - len(P) * a for t, a in zip(_total(P), _aleatoric(P))],
        ),
        Slip(
            "this sums over the passes; take the mean",
            lambda P: [len(P) * v for v in _information(P)],
        ),
        Slip(
            "the terms are averaged over the classes; they are summed",
            lambda P: [v / len(P[0][0]) for v in _information(P)],
        ),
        Slip(
            "this is the variance of the probabilities; the mutual information is asked for",
            _spread,
        ),
        Slip(
            "the samples are averaged; each has its own value",
            lambda P: [sum(_information(P)) / len(P[0])] * len(P[0]),
        ),
        Slip(
            "it is a share of the total; the difference itself is asked for",
            lambda P: [v / (t or 1) for v, t in zip(_information(P), _total(P))],
        ),
    ]
    judge(
        "mutual_information",
        answer,
        _passes(),
        _information,
        slips,
        (
            "the values are not H[mean prediction] minus the mean of H, with 0 log 0 = 0; they "
            "are 0 where all passes agree"
        ),
    )


def check_mc_dropout(answer: Callable[[nn.Module, Tensor, int], Tensor]) -> None:
    """(model with Dropout and BatchNorm, x (N, D), S) -> (S, N, C): probabilities of S passes, only
    Dropout active.
    """
    if not callable(answer):
        raise AssertionError(f"mc_dropout: expected a function, got {type(answer).__name__}")
    for seed, modes, N, dtype in (
        (1, "evaluation mode", 3, _float32),
        (2, "training mode", 2, _float32),
        (3, "modes that differ", 4, _float64),
        (4, "evaluation mode, one row", 1, _float32),
    ):
        problem = _sampled(answer, seed, modes, N, dtype)
        if problem:
            raise AssertionError(
                f"mc_dropout: {problem}"
                + ("" if problem == UNSOLVED else f" (seen with a model in {modes})")
            )


def check_ensemble_gaussian(answer: Callable[[Tensor, Tensor], tuple]) -> None:
    """(mu (M, N), sigma (M, N)) -> mean, aleatoric, epistemic, (N,) each."""

    def columns(rows: Rows) -> Rows:
        return [list(column) for column in zip(*rows)]

    def parts(mean: Callable, aleatoric: Callable, epistemic: Callable) -> Callable:
        return lambda mu, sigma: [
            [f(m, s) for m, s in zip(columns(mu), columns(sigma))]
            for f in (mean, aleatoric, epistemic)
        ]

    def average(values: list[float]) -> float:
        return sum(values) / len(values)

    def of_mean(m: list[float], s: list[float]) -> float:
        return average(m)

    def noise(m: list[float], s: list[float]) -> float:
        return average([v * v for v in s])

    def spread(m: list[float], s: list[float]) -> float:
        return average([(v - average(m)) ** 2 for v in m])

    equation = parts(of_mean, noise, spread)
    slips = [
        Slip(
            "the epistemic part divides by M - 1; it is the population variance, divided by M",
            parts(of_mean, noise, lambda m, s: spread(m, s) * len(m) / (len(m) - 1)),
        ),
        Slip(
            "the aleatoric part is the mean of sigma; it is the mean of sigma squared",
            parts(of_mean, lambda m, s: average(s), spread),
        ),
        Slip(
            "the aleatoric part is the square of the mean sigma; it is the mean of the squares",
            parts(of_mean, lambda m, s: average(s) ** 2, spread),
        ),
        Slip(
            "the parts are standard deviations; variances are asked for",
            parts(of_mean, lambda m, s: noise(m, s) ** 0.5, lambda m, s: spread(m, s) ** 0.5),
        ),
        Slip(
            "the epistemic part is a standard deviation; a variance is asked for",
            parts(of_mean, noise, lambda m, s: spread(m, s) ** 0.5),
        ),
        Slip(
            "the last part is the total variance; the epistemic one is the variance of mu alone",
            parts(of_mean, noise, lambda m, s: noise(m, s) + spread(m, s)),
        ),
        Slip("aleatoric and epistemic are exchanged", parts(of_mean, spread, noise)),
        Slip(
            "the epistemic part is the mean of mu squared; subtract the square of the mean",
            parts(of_mean, noise, lambda m, s: average([v * v for v in m])),
        ),
        Slip(
            "the epistemic part is the variance of sigma; it is that of mu",
            parts(of_mean, noise, lambda m, s: spread(s, m)),
        ),
        Slip(
            (
                "the aleatoric part is the variance of a mean, sigma squared over M squared; the "
                "mixture has the mean of sigma squared"
            ),
            parts(of_mean, lambda m, s: noise(m, s) / len(m), spread),
        ),
        Slip(
            "the mean is weighted by precision; all members have equal weight",
            parts(
                lambda m, s: sum(a / b**2 for a, b in zip(m, s)) / sum(1 / b**2 for b in s),
                noise,
                spread,
            ),
        ),
        Slip(
            "the members are summed; take means",
            parts(
                lambda m, s: sum(m),
                lambda m, s: noise(m, s) * len(m),
                lambda m, s: spread(m, s) * len(m),
            ),
        ),
    ]

    def draw(seed: int, M: int, N: int, dtype: torch.dtype = _float32, shift: float = 0) -> tuple:
        drawn = Draw(seed, dtype)
        return shift + drawn.uniform(-2, 2, M, N), drawn.uniform(0.1, 1.5, M, N)

    same = draw(5, 1, 4)
    probes = [
        Probe("five members, three samples", draw(1, 5, 3)),
        Probe("as many members as samples, double precision", draw(2, 4, 4, _float64)),
        Probe("one sample", draw(3, 6, 1)),
        Probe("one member", draw(4, 1, 3)),
        Probe("members that agree", tuple(t.repeat(3, 1) for t in same)),
        Probe("means near 300", draw(6, 3, 2, _float64, 300)),
    ]
    judge(
        "ensemble_gaussian",
        answer,
        probes,
        equation,
        slips,
        (
            "the values are not mean of mu, mean of sigma squared and population variance of mu, "
            "over the members"
        ),
    )


def check_ece(answer: Callable[[Tensor, Tensor, int], Tensor]) -> None:
    """(P (N, C), y (N,), bins) -> scalar: sum_b n_b / N |accuracy_b - confidence_b|, bins (b /
    bins, (b + 1) / bins].
    """
    equation = _calibration(lambda gaps: sum(n * abs(g) for n, g in gaps) / sum(n for n, _ in gaps))
    slips = [
        Slip(
            (
                "a bin holds its upper edge and not its lower one: (0, 1/bins], ..., and 1.0 "
                "belongs to the last"
            ),
            _calibration(_weighted, lambda c, bins: min(math.floor(c * bins), bins - 1)),
        ),
        Slip(
            "a confidence of 1.0 is lost; it belongs to the last bin",
            _calibration(_weighted, lambda c, bins: math.floor(c * bins), drop=True),
        ),
        Slip(
            "the bins are averaged; each counts with its share of the samples, n_b / N",
            _calibration(lambda gaps: sum(abs(g) for _, g in gaps) / len(gaps)),
        ),
        Slip(
            "empty bins count in a plain mean; weigh each bin by n_b / N",
            lambda P, y, bins: _calibration(lambda gaps: sum(abs(g) for _, g in gaps) / bins)(
                P, y, bins
            ),
        ),
        Slip(
            "this is the largest gap; their weighted sum is asked for",
            _calibration(lambda gaps: max(abs(g) for _, g in gaps)),
        ),
        Slip(
            "the gaps cancel, as if there were one bin; take the absolute value of each bin's gap",
            _calibration(lambda gaps: sum(n * g for n, g in gaps) / sum(n for n, _ in gaps)),
        ),
        Slip(
            "the gaps cancel, as if there were one bin; take the absolute value of each bin's gap",
            _calibration(lambda gaps: -sum(n * g for n, g in gaps) / sum(n for n, _ in gaps)),
        ),
        Slip(
            "the gaps are squared; take absolute values",
            _calibration(lambda gaps: sum(n * g * g for n, g in gaps) / sum(n for n, _ in gaps)),
        ),
        Slip(
            "the sum is not divided by N",
            _calibration(lambda gaps: sum(n * abs(g) for n, g in gaps)),
        ),
        Slip(
            "the confidence is that of the true class; it is the top probability",
            _calibration(_weighted, said=lambda p, y: p[y]),
        ),
        Slip(
            (
                "this is the mean of |right - confidence|, sample by sample; compare the means of "
                "each bin"
            ),
            lambda P, y, bins: (
                sum(abs((p.index(max(p)) == t) - max(p)) for p, t in zip(P, y)) / len(y)
            ),
        ),
        Slip(
            "it is given in percent; a number between 0 and 1 is asked for",
            lambda P, y, bins: 100 * equation(P, y, bins),
        ),
    ]

    def draw(seed: int, N: int, C: int, bins: int, dtype: torch.dtype = _float32) -> tuple:
        def arguments(drawn: Draw) -> tuple:
            return _softmax(drawn.uniform(-3, 3, N, C), 1), drawn.index(C, N), bins

        def clear(
            P: Rows, y: list[int], bins: int
        ) -> bool:  # no confidence near the edge of a bin, and one top class
            return all(
                abs(max(p) * bins - round(max(p) * bins)) > 1e-3
                and sorted(p)[-1] - sorted(p)[-2] > 1e-3
                for p in P
            )

        return first(
            lambda d: arguments(Draw(seed + 100 * d.generator.initial_seed(), dtype)), clear, dtype
        )

    edges = _tensor(
        [
            [1.0, 0.0, 0.0],
            [0.0, 0.0, 1.0],
            [0.5, 0.25, 0.25],
            [0.75, 0.25, 0.0],
            [0.25, 0.125, 0.625],
            [0.0, 1.0, 0.0],
        ]
    )
    probes = [
        Probe("twenty samples, three classes, five bins", draw(1, 20, 3, 5)),
        Probe("two classes, ten bins, double precision", draw(2, 15, 2, 10, _float64)),
        Probe("one sample", draw(3, 1, 4, 15)),
        Probe("one bin", draw(4, 9, 5, 1)),
        Probe(
            "confidences of 1.0 and on the edges of four bins",
            (edges, _tensor([0, 0, 0, 1, 2, 1]), 4),
        ),
        Probe(
            "all certain and right in half of the cases",
            (_tensor([[1.0, 0.0], [0.0, 1.0]]), _tensor([0, 0]), 10),
        ),
    ]
    judge(
        "ece",
        answer,
        probes,
        equation,
        slips,
        (
            "the value is not sum_b n_b/N |accuracy_b - confidence_b| with bins of equal width "
            "for the top probability"
        ),
    )


def check_conformal_set(answer: Callable[[Tensor, Tensor, float], Tensor]) -> None:
    """(s (n,) scores 1 - p of the true class, P (N, C), alpha) -> (N, C) of 0 and 1: classes with 1
    - p_c <= the conformal quantile.
    """

    def chosen(
        rank: Callable[[int, float], float],
        test: Callable[[float, float], bool] = lambda p, q: 1 - p <= q,
    ) -> Callable:
        def sets(s: list[float], P: Rows, alpha: float) -> Rows:
            k = rank(len(s), alpha)
            q = math.inf if k > len(s) else sorted(s)[max(k, 1) - 1]
            return [[float(test(p, q)) for p in row] for row in P]

        return sets

    def k(n: int, alpha: float) -> int:
        return math.ceil((n + 1) * (1 - alpha) - 1e-9)

    equation = chosen(k)

    def with_top(s: list[float], P: Rows, alpha: float) -> Rows:
        return [
            [float(v or p == max(row)) for v, p in zip(inside, row)]
            for inside, row in zip(equation(s, P, alpha), P)
        ]

    def interpolated(s: list[float], P: Rows, alpha: float) -> Rows:
        place, ordered = (len(s) - 1) * (1 - alpha), sorted(s)
        low, high = ordered[math.floor(place)], ordered[math.ceil(place)]
        return [[float(1 - p <= low + (high - low) * (place % 1)) for p in row] for row in P]

    slips = [
        Slip(
            "if k exceeds n, every class belongs to the set: so few scores promise nothing",
            chosen(lambda n, a: min(k(n, a), n)),
        ),
        Slip(
            (
                "k is n (1 - alpha), rounded up; it is (n + 1)(1 - alpha), since the new sample "
                "takes a place too"
            ),
            chosen(lambda n, a: math.ceil(n * (1 - a) - 1e-9)),
        ),
        Slip(
            "k is rounded down; round it up",
            chosen(lambda n, a: math.floor((n + 1) * (1 - a) + 1e-9)),
        ),
        Slip(
            "alpha and 1 - alpha are exchanged: a small alpha gives large sets",
            chosen(lambda n, a: math.ceil((n + 1) * a - 1e-9)),
        ),
        Slip(
            "1 - p is compared with <; equality belongs to the set",
            chosen(k, lambda p, q: 1 - p < q),
        ),
        Slip("p is compared with the quantile; its score 1 - p is", chosen(k, lambda p, q: p <= q)),
        Slip("p is compared with the quantile; its score 1 - p is", chosen(k, lambda p, q: p >= q)),
        Slip(
            "the set is turned round: classes with a small score 1 - p belong to it",
            chosen(k, lambda p, q: 1 - p > q),
        ),
        Slip(
            "the list is off by one: the k-th smallest score is s[k - 1] of the sorted scores",
            chosen(lambda n, a: k(n, a) + 1),
        ),
        Slip(
            "the quantile is interpolated between two scores; it is the k-th smallest", interpolated
        ),
        Slip("the most probable class is always taken in; a set may be empty", with_top),
    ]

    def draw(
        seed: int, n: int, N: int, C: int, alpha: float, dtype: torch.dtype = _float32
    ) -> Probe:
        def arguments(drawn: Draw) -> tuple:
            drawn = Draw(seed + 100 * drawn.generator.initial_seed(), dtype)
            return drawn.uniform(0.05, 0.95, n), _softmax(drawn.uniform(-3, 3, N, C), 1), alpha

        def clear(s: list[float], P: Rows, alpha: float) -> bool:
            return all(abs(1 - p - v) > 1e-4 for row in P for p in row for v in s)

        return Probe(f"{n} scores, {N} samples, alpha = {alpha}", first(arguments, clear, dtype))

    probes = [
        draw(1, 9, 12, 3, 0.2),
        draw(2, 6, 10, 4, 0.3, _float64),
        draw(3, 4, 1, 5, 0.5),
        draw(4, 25, 8, 3, 0.07),
        Probe(
            "three scores and alpha = 0.05",
            (_tensor([0.25, 0.5, 0.75]), _tensor([[0.125, 0.875], [0.0, 1.0]]), 0.05),
        ),
        Probe(
            "scores that are equal",
            (
                _tensor([0.25, 0.5, 0.5, 0.75]),
                _tensor([[0.5, 0.5], [0.25, 0.75], [0.625, 0.375]]),
                0.4,
            ),
        ),
        Probe(
            "a model that is always nearly right",
            (_tensor([0.0625] * 9), _tensor([[0.5, 0.5], [1.0, 0.0]]), 0.1),
        ),
    ]

    def numbers(s: Tensor, P: Tensor, alpha: float) -> object:
        inside = answer(s, P, alpha)
        return inside.to(_long) if isinstance(inside, Tensor) and inside.dtype == _bool else inside

    judge(
        "conformal_set",
        numbers if callable(answer) else answer,
        probes,
        equation,
        slips,
        (
            "the sets are not the classes with 1 - p <= q, q the k-th smallest score, k = ceil((n "
            "+ 1)(1 - alpha))"
        ),
    )


# ---------------------------------------------------------------- helpers


def _entropy(p: list[float]) -> float:
    return -sum(v * math.log(v) for v in p if v > 0)


def _mean(P: list[Rows]) -> Rows:
    return [[sum(values) / len(P) for values in zip(*rows)] for rows in zip(*P)]


def _total(P: list[Rows]) -> list[float]:
    return [_entropy(p) for p in _mean(P)]


def _aleatoric(P: list[Rows]) -> list[float]:
    return [sum(_entropy(p) for p in rows) / len(P) for rows in zip(*P)]


def _information(P: list[Rows]) -> list[float]:
    return [t - a for t, a in zip(_total(P), _aleatoric(P))]


def _spread(P: list[Rows]) -> list[float]:
    return [
        sum((v - m) ** 2 for p in rows for v, m in zip(p, mean)) / len(P)
        for rows, mean in zip(zip(*P), _mean(P))
    ]


def _passes() -> list[Probe]:
    def draw(seed: int, S: int, N: int, C: int, dtype: torch.dtype = _float32) -> tuple:
        return (_softmax(Draw(seed, dtype).uniform(-3, 3, S, N, C), -1),)

    corners = _tensor([[[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]], [[0.0, 0.0, 1.0], [0.5, 0.5, 0.0]]])
    return [
        Probe("four passes, three samples, five classes", draw(1, 4, 3, 5)),
        Probe(
            "as many passes as samples and classes, double precision", draw(2, 3, 3, 3, _float64)
        ),
        Probe("one sample", draw(3, 6, 1, 2)),
        Probe("one pass", draw(4, 1, 4, 3)),
        Probe("passes that agree", (draw(5, 1, 2, 4)[0].repeat(3, 1, 1),)),
        Probe("probabilities of 0 and 1", (corners,)),
    ]


def _weighted(gaps: list[tuple[int, float]]) -> float:
    return sum(n * abs(g) for n, g in gaps) / (sum(n for n, _ in gaps) or 1)


def _upper(confidence: float, bins: int) -> int:
    """The bin (b / bins, (b + 1) / bins]."""
    return min(max(math.ceil(confidence * bins - 1e-9), 1), bins) - 1


def _calibration(
    reduce: Callable,
    place: Callable[[float, int], int] = _upper,
    said: Callable = lambda p, y: max(p),
    drop: bool = False,
) -> Callable:
    """A score from the pairs (n_b, accuracy_b - confidence_b) of the bins that are not empty."""

    def score(P: Rows, y: list[int], bins: int) -> float:
        inside: dict[int, list] = {}
        for p, t in zip(P, y):
            inside.setdefault(place(said(p, t), bins), []).append(
                (float(p.index(max(p)) == t), said(p, t))
            )
        if drop:
            lost = len(inside.pop(bins, []))
            return (
                reduce([(len(v), sum(r - c for r, c in v) / len(v)) for v in inside.values()])
                * (len(y) - lost)
                / len(y)
            )
        return reduce([(len(v), sum(r - c for r, c in v) / len(v)) for v in inside.values()])

    return score


def _dropping(seed: int, modes: str, dtype: torch.dtype) -> nn.Module:
    """A network with two places for dropout and batch normalisation between them, of fixed
    numbers.
    """
    model = nn.Sequential(
        nn.Linear(2, 3),
        nn.Sequential(nn.BatchNorm1d(3), nn.ReLU(), nn.Dropout(0.5)),
        nn.Linear(3, 2),
        nn.Dropout(0.25),
        nn.Linear(2, 3),
    ).to(dtype)
    drawn = Draw(seed, dtype)
    for parameter in model.parameters():
        parameter.data = drawn.uniform(0.3, 1.5, *parameter.shape) * (
            2 * drawn.index(2, *parameter.shape) - 1
        )
    model[0].weight.data, model[0].bias.data = (
        drawn.uniform(0.3, 1, 3, 2),
        drawn.uniform(0.5, 1.5, 3),
    )  # so that all three units are on
    model[1][0].running_mean.data, model[1][0].running_var.data = (
        drawn.uniform(-1, -0.5, 3),
        drawn.uniform(0.5, 2, 3),
    )
    model[1][0].weight.data, model[1][0].bias.data = (
        drawn.uniform(0.5, 1.5, 3),
        drawn.uniform(0.2, 1, 3),
    )
    model.train(modes == "training mode")
    if modes == "modes that differ":
        model[1].train()
        model[1][2].eval()
    return model


def _by_mask(model: nn.Module, x: Tensor) -> list[tuple[float, Rows]]:
    """Probability and class probabilities (N, C) of every pair of masks, with batch normalisation
    frozen.
    """

    def linear(layer: nn.Linear, h: Rows) -> Rows:
        W, b = to_plain(layer.weight), to_plain(layer.bias)
        return [
            [sum(w * v for w, v in zip(row, values)) + c for row, c in zip(W, b)] for values in h
        ]

    norm = model[1][0]
    scale = [
        w / math.sqrt(v + norm.eps)
        for w, v in zip(to_plain(norm.weight), to_plain(norm.running_var))
    ]
    hidden = [
        [
            max(0.0, (v - m) * s + b)
            for v, m, s, b in zip(row, to_plain(norm.running_mean), scale, to_plain(norm.bias))
        ]
        for row in linear(model[0], to_plain(x))
    ]
    found = []
    for one, two in itertools.product(
        itertools.product((0, 1), repeat=3), itertools.product((0, 1), repeat=2)
    ):
        h = linear(model[2], [[v * k / 0.5 for v, k in zip(row, one)] for row in hidden])
        scores = linear(model[4], [[v * k / 0.75 for v, k in zip(row, two)] for row in h])
        p = [[math.exp(v - max(row)) for v in row] for row in scores]
        found.append(
            (
                0.5**3 * math.prod(0.75 if k else 0.25 for k in two),
                [[v / sum(row) for v in row] for row in p],
            )
        )
    return found


def _sampled(
    answer: Callable, seed: int, modes: str, N: int, dtype: torch.dtype, S: int = 400
) -> str | None:
    """What is wrong with S passes of dropout."""
    with _quiet():
        model, x = _dropping(seed, modes, dtype), Draw(seed + 10, dtype).uniform(0.2, 2, N, 2)
        masks, calls = _by_mask(model, x), []
        _manual_seed(seed)
        for count in (S, S, 1):
            P = _called(answer, (model, x, count))
            if isinstance(P, str):
                return P
            values = _values(P, [[[0.0] * 3] * N] * count)
            if isinstance(values, str):
                return values
            if isinstance(P, Tensor) and P.requires_grad:
                return "the result carries a gradient; run the passes in torch.no_grad()"
            calls.append(values)
    return _judged(calls, masks, S)


def _judged(calls: list, masks: list[tuple[float, Rows]], S: int) -> str | None:
    values = calls[0]
    if any(abs(sum(p) - 1) > 1e-3 or min(p) < 0 for rows in values for p in rows):
        return "the rows are not probabilities; take the softmax of the scores"
    if all(
        abs(v - w) < 1e-6 for rows in values for p, q in zip(rows, values[0]) for v, w in zip(p, q)
    ):
        return "all passes are the same: dropout is not active, or one mask is used for all"
    if calls[0] == calls[1]:
        return "two calls give the same draws; is a seed set in the function?"
    for rows in values:
        for n, p in enumerate(rows):
            if not any(all(abs(v - w) < 1e-3 for v, w in zip(p, q[n])) for _, q in masks):
                return (
                    "a pass is not that of the network with some units dropped: batch "
                    "normalisation must be in evaluation mode, and only dropout active"
                )
    for n, c in itertools.product(range(len(values[0])), range(3)):
        mean = sum(weight * q[n][c] for weight, q in masks)
        variance = sum(weight * (q[n][c] - mean) ** 2 for weight, q in masks)
        if abs(sum(rows[n][c] for rows in values) / S - mean) > 5 * math.sqrt(variance / S) + 1e-4:
            return (
                "the mean over the passes is not that of dropout with the layers' own "
                "rates, each pass with masks of its own"
            )
    return None
