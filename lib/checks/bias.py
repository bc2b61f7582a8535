"""The checks of the exercises on bias.

Each takes a student's function, returns None if it is right and raises AssertionError with a hint
if not. The references count and add in loops over Python numbers.
"""

import itertools
import math
from collections.abc import Callable

import torch
from torch import Tensor

from ._helpers_old import Draw, Probe, Slip, first, judge

Rows = list[list[float]]

_tensor, _cat, _float32, _float64 = torch.tensor, torch.cat, torch.float32, torch.float64


# ---------------------------------------------------------------- exercises


def check_parity_gap(answer: Callable[[Tensor, Tensor], Tensor]) -> None:
    """(yhat (N,), g (N,)) 0 or 1 -> scalar: |P(yhat = 1 | g = 1) - P(yhat = 1 | g = 0)|."""

    def rates(yhat: list[int], g: list[int]) -> tuple[float, float]:
        return _share(yhat, [v == 1 for v in g]), _share(yhat, [v == 0 for v in g])

    def gap(yhat: list[int], g: list[int]) -> float:
        one, other = rates(yhat, g)
        return abs(one - other)

    def counts(yhat: list[int], g: list[int]) -> tuple[int, int]:
        return sum(a for a, b in zip(yhat, g) if b == 1), sum(a for a, b in zip(yhat, g) if b == 0)

    slips = [
        Slip(
            "the sign is kept; the absolute value is asked for",
            lambda a, g: rates(a, g)[0] - rates(a, g)[1],
        ),
        Slip(
            "the sign is kept; the absolute value is asked for",
            lambda a, g: rates(a, g)[1] - rates(a, g)[0],
        ),
        Slip(
            "numbers of people are compared; compare shares of each group",
            lambda a, g: abs(counts(a, g)[0] - counts(a, g)[1]),
        ),
        Slip(
            "both counts are divided by N; divide each by the size of its group",
            lambda a, g: abs(counts(a, g)[0] - counts(a, g)[1]) / len(a),
        ),
        Slip(
            "this is a ratio of the shares; their difference is asked for",
            lambda a, g: rates(a, g)[0] / rates(a, g)[1],
        ),
        Slip(
            "this is a ratio of the shares; their difference is asked for",
            lambda a, g: min(rates(a, g)) / max(rates(a, g)),
        ),
        Slip(
            "yhat and g are exchanged: this is P(g = 1 | yhat), not P(yhat = 1 | g)",
            lambda a, g: abs(rates(g, a)[0] - rates(g, a)[1]),
        ),
        Slip(
            "this is the share where yhat and g differ; compare the groups",
            lambda a, g: sum(x != y for x, y in zip(a, g)) / len(a),
        ),
        Slip("the difference is squared; take the absolute value", lambda a, g: gap(a, g) ** 2),
        Slip(
            "it is given in percent; a number between 0 and 1 is asked for",
            lambda a, g: 100 * gap(a, g),
        ),
    ]
    probes = [
        Probe("a drawn sample", _people(1, 40, 2)),
        Probe(
            "ten people",
            (_tensor([1, 0, 1, 1, 0, 0, 1, 0, 1, 1]), _tensor([1, 1, 1, 0, 0, 0, 0, 0, 0, 1])),
        ),
        Probe(
            "group 1 selected less",
            (_tensor([0, 0, 1, 1, 1, 0, 1]), _tensor([1, 1, 1, 0, 0, 0, 0])),
        ),
        Probe("one member in group 0", (_tensor([0, 1, 1, 0, 0]), _tensor([0, 1, 1, 1, 1]))),
        Probe("nobody selected", (_tensor([0, 0, 0]), _tensor([0, 1, 1]))),
        Probe("another drawn sample", _people(2, 23, 2)),
    ]
    judge(
        "parity_gap",
        answer,
        probes,
        gap,
        slips,
        "the value is not |P(yhat = 1 | g = 1) - P(yhat = 1 | g = 0)|",
    )


def check_opportunity_gap(answer: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
    """(y (N,), yhat (N,), g (N,)) 0 or 1 -> scalar: |TPR of group 1 - TPR of group 0|."""

    def both(value: Callable[[list[int], list[int]], float]) -> Callable:
        def of_groups(y: list[int], yhat: list[int], g: list[int]) -> tuple[float, float]:
            return tuple(
                value([a for a, c in zip(y, g) if c == k], [b for b, c in zip(yhat, g) if c == k])
                for k in (1, 0)
            )

        return of_groups

    def difference(value: Callable, size: Callable = abs) -> Callable:
        return lambda *a: size(both(value)(*a)[0] - both(value)(*a)[1])

    def tpr(y: list[int], yhat: list[int]) -> float:
        return _share(yhat, [v == 1 for v in y])

    gap = difference(tpr)
    slips = [
        Slip("the sign is kept; the absolute value is asked for", difference(tpr, lambda v: v)),
        Slip("the sign is kept; the absolute value is asked for", difference(tpr, lambda v: -v)),
        Slip(
            "this is the demographic parity gap; count only those with y = 1",
            difference(lambda y, yhat: sum(yhat) / len(yhat)),
        ),
        Slip(
            "this is the gap of the false positive rate; count those with y = 1",
            difference(lambda y, yhat: _share(yhat, [v == 0 for v in y])),
        ),
        Slip(
            "this is the gap of the accuracy; take the true positive rate",
            difference(lambda y, yhat: sum(a == b for a, b in zip(y, yhat)) / len(y)),
        ),
        Slip(
            "y and yhat are exchanged: this is P(y = 1 | yhat = 1), the precision",
            difference(lambda y, yhat: _share(y, [v == 1 for v in yhat])),
        ),
        Slip(
            "the true positives are divided by the size of the group; divide by those with y = 1",
            difference(lambda y, yhat: sum(a * b for a, b in zip(y, yhat)) / len(y)),
        ),
        Slip(
            "numbers of true positives are compared; compare rates",
            difference(lambda y, yhat: sum(a * b for a, b in zip(y, yhat))),
        ),
        Slip(
            "the true positives are divided by all with y = 1, of both groups",
            lambda y, yhat, g: (
                abs(sum(a * b * (2 * c - 1) for a, b, c in zip(y, yhat, g))) / sum(y)
            ),
        ),
        Slip(
            "this is a ratio; the difference is asked for",
            lambda *a: both(tpr)(*a)[0] / both(tpr)(*a)[1],
        ),
        Slip("the difference is squared; take the absolute value", lambda *a: gap(*a) ** 2),
        Slip(
            "it is given in percent; a number between 0 and 1 is asked for",
            lambda *a: 100 * gap(*a),
        ),
    ]

    def draw(seed: int, N: int) -> tuple:
        return first(
            lambda d: _people(seed + 50 * d.generator.initial_seed(), N, 3),
            lambda y, yhat, g: (
                all(any(a == 1 and c == k for a, c in zip(y, g)) for k in (0, 1))
                and all(any(b == 1 and c == k for b, c in zip(yhat, g)) for k in (0, 1))
                and all(any(a == 0 and c == k for a, c in zip(y, g)) for k in (0, 1))
            ),
        )

    probes = [
        Probe("a drawn sample", draw(1, 40)),
        Probe("another drawn sample", draw(2, 25)),
        Probe(
            "eight people",
            (
                _tensor([1, 1, 0, 0, 1, 1, 1, 0]),
                _tensor([1, 0, 1, 0, 1, 1, 1, 0]),
                _tensor([0, 0, 0, 0, 1, 1, 1, 1]),
            ),
        ),
        Probe(
            "group 1 at a disadvantage",
            (
                _tensor([1, 1, 0, 1, 1, 1, 0, 1]),
                _tensor([1, 1, 1, 1, 1, 0, 1, 0]),
                _tensor([0, 0, 0, 0, 1, 1, 1, 1]),
            ),
        ),
        Probe(
            "one positive in each group",
            (_tensor([1, 0, 0, 1, 0]), _tensor([1, 1, 0, 0, 0]), _tensor([0, 0, 1, 1, 1])),
        ),
    ]
    judge(
        "opportunity_gap",
        answer,
        probes,
        gap,
        slips,
        "the value is not |TPR of group 1 - TPR of group 0|, TPR = P(yhat = 1 | y = 1)",
    )


def check_remove_direction(answer: Callable[[Tensor, Tensor], Tensor]) -> None:
    """(phi (N, D), v (D,)) -> (N, D): phi - (phi . u) u with u = v / |v|."""

    def with_factor(factor: Callable[[list[float], list[float], float], float]) -> Callable:
        def result(phi: Rows, v: list[float]) -> Rows:
            return [[p - factor(row, v, _dot(row, v)) * c for p, c in zip(row, v)] for row in phi]

        return result

    def length(v: list[float]) -> float:
        return math.sqrt(_dot(v, v))

    equation = with_factor(lambda row, v, dot: dot / _dot(v, v))

    def gone(phi: Rows, v: list[float]) -> Rows:
        return [[p - q for p, q in zip(row, left)] for row, left in zip(phi, equation(phi, v))]

    slips = [
        Slip(
            "v is not divided by its length; it may have any length",
            with_factor(lambda row, v, dot: dot),
        ),
        Slip(
            "v is divided by its length only once; u stands in the formula twice",
            with_factor(lambda row, v, dot: dot / length(v)),
        ),
        Slip("this is phi_g, the part along v; the rest is asked for", gone),
        Slip(
            "the part along v is added; subtract it",
            with_factor(lambda row, v, dot: -dot / _dot(v, v)),
        ),
        Slip(
            "twice the part is subtracted: a mirror image",
            with_factor(lambda row, v, dot: 2 * dot / _dot(v, v)),
        ),
        Slip(
            "the absolute value of the projection is taken; keep its sign",
            with_factor(lambda row, v, dot: abs(dot) / _dot(v, v)),
        ),
        Slip(
            "v itself is subtracted; subtract the part along it",
            lambda phi, v: [[p - c for p, c in zip(row, v)] for row in phi],
        ),
        Slip(
            "the direction v / |v| is subtracted; subtract (phi . u) u",
            lambda phi, v: [[p - c / length(v) for p, c in zip(row, v)] for row in phi],
        ),
        Slip(
            "the projection is divided by the length of phi too",
            with_factor(lambda row, v, dot: dot / _dot(v, v) / length(row)),
        ),
        Slip(
            "the rows are scaled to length 1 afterwards; leave them as they are",
            lambda phi, v: [[p / length(row) for p in row] for row in equation(phi, v)],
        ),
        Slip(
            "the mean projection is taken off every row; each has its own",
            lambda phi, v: [
                [
                    p - sum(_dot(r, v) for r in phi) / len(phi) / _dot(v, v) * c
                    for p, c in zip(row, v)
                ]
                for row in phi
            ],
        ),
    ]

    def draw(seed: int, N: int, D: int, dtype: torch.dtype = _float32, scale: float = 1) -> tuple:
        drawn = Draw(seed, dtype)
        return drawn.uniform(-2, 2, N, D), scale * drawn.uniform(-2, 2, D)

    parallel = _tensor([[2.0, 4.0, -4.0], [-1.0, -2.0, 2.0]])
    probes = [
        Probe("five vectors of width 3", draw(1, 5, 3)),
        Probe("as many vectors as dimensions, double precision", draw(2, 4, 4, _float64)),
        Probe("one vector", draw(3, 1, 6)),
        Probe("a direction of length 0.02", draw(4, 3, 5, _float64, 0.01)),
        Probe("a direction of length near 20", draw(5, 6, 2, _float64, 10)),
        Probe("vectors along v, of which nothing is left", (parallel, _tensor([1.0, 2.0, -2.0]))),
        Probe(
            "vectors at right angles to v",
            (_tensor([[0.0, 3.0], [0.0, -1.0]]), _tensor([0.5, 0.0])),
        ),
    ]
    judge(
        "remove_direction",
        answer,
        probes,
        equation,
        slips,
        (
            "the values are not phi - (phi . u) u with u = v / |v|: nothing may be left along v, "
            "and all else stays"
        ),
    )


def check_weat(answer: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]) -> None:
    """(X (n, D), Y (n, D), A (m, D), B (m, D)) -> scalar: the effect size of Caliskan et al.
    (2017).
    """

    def associations(W: Rows, A: Rows, B: Rows, like: Callable = None) -> list[float]:
        like = like or _cosine
        return [_mean([like(w, a) for a in A]) - _mean([like(w, b) for b in B]) for w in W]

    def effect(like: Callable = None, divide: Callable = None, pool: Callable = None) -> Callable:
        def d(X: Rows, Y: Rows, A: Rows, B: Rows) -> float:
            x, y = associations(X, A, B, like), associations(Y, A, B, like)
            return (divide or (lambda v, s: v / s))(
                _mean(x) - _mean(y), (pool or (lambda x, y: _deviation(x + y, 1)))(x, y)
            )

        return d

    def to_centres(X: Rows, Y: Rows, A: Rows, B: Rows) -> float:
        return effect()(X, Y, [_centre(A)], [_centre(B)])

    def spread(W: Rows, A: Rows, B: Rows) -> float:
        return _deviation(associations(W, A, B), 1)

    equation = effect()
    slips = [
        Slip(
            "the standard deviation divides by n; the sample's one divides by n - 1",
            effect(pool=lambda x, y: _deviation(x + y, 0)),
        ),
        Slip("the scalar product is taken; take the cosine", effect(like=_dot)),
        Slip(
            "the difference is not divided by the standard deviation", effect(divide=lambda v, s: v)
        ),
        Slip(
            "it is divided by the variance; divide by the standard deviation",
            effect(divide=lambda v, s: v / s**2),
        ),
        Slip(
            "the standard deviation is that of X alone; take X and Y together",
            effect(pool=lambda x, y: _deviation(x, 1)),
        ),
        Slip(
            "the standard deviations of X and of Y are averaged; take that of all words together",
            effect(pool=lambda x, y: (_deviation(x, 1) + _deviation(y, 1)) / 2),
        ),
        Slip(
            (
                "the variances of X and of Y are pooled (Cohen's d); take the standard deviation "
                "of all words together"
            ),
            effect(
                pool=lambda x, y: math.sqrt((_deviation(x, 1) ** 2 + _deviation(y, 1) ** 2) / 2)
            ),
        ),
        Slip(
            "the absolute value is taken; the sign says to which side the bias goes",
            lambda *a: abs(equation(*a)),
        ),
        Slip("the sign is turned round: X minus Y, A minus B", lambda *a: -equation(*a)),
        Slip(
            "s is summed over the words; take the means",
            lambda X, Y, A, B: equation(X, Y, A, B) * len(X),
        ),
        Slip(
            "the words of A and of B are averaged before the cosine; average the cosines",
            to_centres,
        ),
        Slip(
            "B is left out: s is the mean cosine with A minus that with B",
            lambda X, Y, A, B: _halved(X, Y, A),
        ),
        Slip(
            "the targets and the attributes are exchanged", lambda X, Y, A, B: equation(A, B, X, Y)
        ),
    ]

    def draw(seed: int, n: int, m: int, D: int, dtype: torch.dtype = _float32) -> tuple:
        def arguments(drawn: Draw) -> tuple:
            drawn = Draw(seed + 50 * drawn.generator.initial_seed(), dtype)
            return (
                *(drawn.uniform(-2, 2, n, D) for _ in range(2)),
                *(drawn.uniform(-2, 2, m, D) for _ in range(2)),
            )

        return first(
            arguments,
            lambda X, Y, A, B: (
                equation(X, Y, A, B) > 0.3
                and (n == 1 or abs(spread(X, A, B) - spread(Y, A, B)) > 0.1)
            ),
        )

    X, Y, A, B = draw(5, 3, 2, 3, _float64)
    probes = [
        Probe("four targets a side, three attributes a side", draw(1, 4, 3, 5)),
        Probe("as many words as dimensions, double precision", draw(2, 3, 3, 3, _float64)),
        Probe("one attribute a side", draw(3, 5, 1, 4)),
        Probe("one target a side", draw(4, 1, 2, 6)),
        Probe(
            "vectors of very different lengths",
            (
                X * _tensor([[0.01], [1.0], [30.0]], dtype=_float64),
                5 * Y,
                0.1 * A,
                B * _tensor([[1.0], [20.0]], dtype=_float64),
            ),
        ),
        Probe("the sets turned round", (Y, X, A, B)),
    ]
    judge(
        "weat",
        answer,
        probes,
        equation,
        slips,
        (
            "the value is not (mean s(X) - mean s(Y)) / std s(X and Y), s(w) = mean cos(w, a) - "
            "mean cos(w, b)"
        ),
    )


def check_reweighing(answer: Callable[[Tensor, Tensor], Tensor]) -> None:
    """(y (N,), g (N,)) 0 or 1 -> (N,): P(g) P(y) / P(g, y) from counts."""

    def weights(value: Callable[[float, float, float, int], float]) -> Callable:
        def of_all(y: list[int], g: list[int]) -> list[float]:
            n = len(y)
            return [
                value(
                    sum(b == d for d in g) / n,
                    sum(a == c for c in y) / n,
                    sum(a == c and b == d for c, d in zip(y, g)) / n,
                    n,
                )
                for a, b in zip(y, g)
            ]

        return of_all

    equation = weights(lambda pg, py, both, n: pg * py / both)

    def sum_one(y: list[int], g: list[int]) -> list[float]:
        w = equation(y, g)
        return [v / sum(w) for v in w]

    def balanced(y: list[int], g: list[int]) -> list[float]:
        return weights(lambda pg, py, both, n: 0.25 / both)(y, g)

    slips = [
        Slip(
            "the fraction is turned round: rare pairs get large weights",
            weights(lambda pg, py, both, n: both / (pg * py)),
        ),
        Slip(
            "the weight is P(g) / P(g, y); P(y) is left out",
            weights(lambda pg, py, both, n: pg / both),
        ),
        Slip(
            "the weight is P(y) / P(g, y); P(g) is left out",
            weights(lambda pg, py, both, n: py / both),
        ),
        Slip(
            "the weight is 1 / P(g, y); multiply by P(g) P(y)",
            weights(lambda pg, py, both, n: 1 / both),
        ),
        Slip(
            "all weights are 1; they depend on group and label",
            weights(lambda pg, py, both, n: 1.0),
        ),
        Slip(
            "all four pairs are given the same total weight; keep the shares of groups and labels",
            balanced,
        ),
        Slip(
            "the groups alone are balanced; the label counts too",
            weights(lambda pg, py, both, n: 0.5 / pg),
        ),
        Slip(
            "the groups alone are weighed, with 1 / P(g)", weights(lambda pg, py, both, n: 1 / pg)
        ),
        Slip(
            "counts stand in for shares: the weights average to N, not to 1",
            weights(lambda pg, py, both, n: n * pg * py / both),
        ),
        Slip(
            "counts stand in for shares: divide by N once",
            weights(lambda pg, py, both, n: pg * py / both / n),
        ),
        Slip("the weights sum to 1; they average to 1", sum_one),
        Slip("this is P(g) P(y); divide by P(g, y)", weights(lambda pg, py, both, n: pg * py)),
    ]
    probes = [
        Probe("a drawn sample", _people(4, 31, 2)),
        Probe(
            "eight people", (_tensor([1, 1, 0, 0, 1, 0, 0, 0]), _tensor([0, 0, 0, 0, 1, 1, 1, 1]))
        ),
        Probe(
            "ten people in another order",
            (_tensor([0, 1, 1, 1, 0, 0, 1, 1, 1, 0]), _tensor([1, 0, 1, 0, 0, 1, 0, 0, 1, 0])),
        ),
        Probe(
            "one positive in group 1",
            (_tensor([1, 1, 1, 0, 0, 0, 0]), _tensor([0, 0, 1, 1, 1, 0, 1])),
        ),
        Probe("a pair that never occurs", (_tensor([0, 0, 1, 1, 0]), _tensor([1, 1, 0, 0, 0]))),
        Probe("one person", (_tensor([1]), _tensor([0]))),
    ]
    judge(
        "reweighing",
        answer,
        probes,
        equation,
        slips,
        (
            "the weights are not P(g) P(y) / P(g, y): with them label and group are independent, "
            "and they average to 1"
        ),
    )


def check_adjusted_effect(answer: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
    """(t (N,) 0 or 1, y (N,), z (N,) 0 or 1) -> scalar: sum_z P(z) (E[y | t = 1, z] - E[y | t = 0,
    z]).
    """

    def mean(t: list[int], y: list[float], z: list[int], a: int, k: int | None) -> float:
        return _mean(
            [v for b, v, c in zip(t, y, z) if b == a and c in (k, k if k is not None else c)]
        )

    def gap(t: list[int], y: list[float], z: list[int], k: int | None) -> float:
        return mean(t, y, z, 1, k) - mean(t, y, z, 0, k)

    def weighed(share: Callable[[list[int], list[int], int], float]) -> Callable:
        return lambda t, y, z: sum(share(t, z, k) * gap(t, y, z, k) for k in (0, 1))

    def by(a: int) -> Callable:
        return weighed(
            lambda t, z, k: sum(b == a and c == k for b, c in zip(t, z)) / sum(b == a for b in t)
        )

    equation = weighed(lambda t, z, k: sum(c == k for c in z) / len(z))
    slips = [
        Slip(
            "this is the difference without adjustment; compare within each z",
            lambda t, y, z: gap(t, y, z, None),
        ),
        Slip(
            "the strata count the same; weigh each by its share P(z)", weighed(lambda t, z, k: 0.5)
        ),
        Slip("the strata are summed without their shares P(z)", weighed(lambda t, z, k: 1.0)),
        Slip("the shares are P(z | t = 1); take P(z) over all", by(1)),
        Slip("the shares are P(z | t = 0); take P(z) over all", by(0)),
        Slip(
            "the absolute value is taken; an effect may be negative", lambda *a: abs(equation(*a))
        ),
        Slip("the sign is turned round: t = 1 minus t = 0", lambda *a: -equation(*a)),
        Slip("only z = 1 is used; sum over both strata", lambda t, y, z: gap(t, y, z, 1)),
        Slip("only z = 0 is used; sum over both strata", lambda t, y, z: gap(t, y, z, 0)),
        Slip(
            "the shares of the two strata are exchanged",
            weighed(lambda t, z, k: sum(c != k for c in z) / len(z)),
        ),
        Slip("t and z are exchanged", lambda t, y, z: equation(z, y, t)),
        Slip(
            "the sizes of the strata are not divided by N",
            weighed(lambda t, z, k: float(sum(c == k for c in z))),
        ),
    ]

    def draw(seed: int, N: int, dtype: torch.dtype = _float32, shift: float = 0) -> tuple:
        def arguments(drawn: Draw) -> tuple:
            drawn = Draw(seed + 50 * drawn.generator.initial_seed(), dtype)
            z = drawn.index(3, N).clamp(max=1)
            t = (drawn.uniform(0, 1, N) < 0.3 + 0.5 * z).long()
            return t, shift + drawn.uniform(-1, 1, N) + 2 * z + (1 + z) * t, z

        return first(arguments, lambda t, y, z: len(set(zip(t, z))) == 4)

    probes = [
        Probe("a drawn sample", draw(1, 30)),
        Probe("double precision", draw(2, 17, _float64)),
        Probe("outcomes near 100", draw(3, 24, _float64, 100)),
        Probe(
            "one person in each cell",
            (_tensor([0, 1, 0, 1]), _tensor([1.0, 3.0, -2.0, -1.0]), _tensor([0, 0, 1, 1])),
        ),
        Probe(
            "a confounder and no effect",
            (
                _tensor([0, 0, 0, 1, 0, 1, 1, 1]),
                _tensor([1.0, 1.0, 1.0, 1.0, 5.0, 5.0, 5.0, 5.0]),
                _tensor([0, 0, 0, 0, 1, 1, 1, 1]),
            ),
        ),
        Probe(
            "effects of opposite sign",
            (
                _tensor([0, 1, 0, 1, 1]),
                _tensor([0.0, 1.0, 4.0, 1.0, 0.0]),
                _tensor([0, 0, 1, 1, 1]),
            ),
        ),
    ]
    judge(
        "adjusted_effect",
        answer,
        probes,
        equation,
        slips,
        "the value is not sum_z P(z) (E[y | t = 1, z] - E[y | t = 0, z])",
    )


def check_permutation_p(answer: Callable[[Tensor, int], Tensor]) -> None:
    """(s (M,), n) -> scalar: share of the ways to choose n of M whose difference of means is at
    least that of the first n.
    """

    def partitions(s: list[float], n: int) -> tuple[list[float], float]:
        values = [
            _mean([s[i] for i in c]) - _mean([s[i] for i in range(len(s)) if i not in c])
            for c in itertools.combinations(range(len(s)), n)
        ]
        return values, values[0]

    def share(test: Callable[[float, float], bool], less: int = 0, more: int = 0) -> Callable:
        def p(s: list[float], n: int) -> float:
            values, observed = partitions(s, n)
            return (sum(test(v, observed) for v in values) - less + more) / (
                len(values) - less + more
            )

        return p

    equation = share(lambda v, o: v >= o - 1e-9)
    slips = [
        Slip(
            "equality counts too: the partition that was seen is one of them, so p is never 0",
            share(lambda v, o: v > o + 1e-9),
        ),
        Slip(
            "the partition that was seen is left out; it is one of them",
            share(lambda v, o: v >= o - 1e-9, less=1),
        ),
        Slip(
            "1 is added to both counts; that is for partitions drawn by chance, here all are tried",
            share(lambda v, o: v >= o - 1e-9, more=1),
        ),
        Slip(
            "the differences that are smaller are counted; count those at least as large",
            share(lambda v, o: v <= o + 1e-9),
        ),
        Slip(
            "the differences that are smaller are counted; count those at least as large",
            share(lambda v, o: v < o - 1e-9),
        ),
        Slip(
            "the absolute values are compared; p is one-sided here",
            share(lambda v, o: abs(v) >= abs(o) - 1e-9),
        ),
        Slip("p is doubled; it is one-sided here", lambda s, n: min(1.0, 2 * equation(s, n))),
        Slip(
            "this is the number of partitions; divide by how many there are",
            lambda s, n: float(sum(v >= partitions(s, n)[1] - 1e-9 for v in partitions(s, n)[0])),
        ),
        Slip(
            "this is the difference of the means; count the partitions",
            lambda s, n: partitions(s, n)[1],
        ),
    ]

    def draw(seed: int, M: int, n: int, dtype: torch.dtype = _float32) -> Probe:
        def clear(s: list[float], n: int) -> bool:
            values, observed = partitions(s, n)
            large, both_sides = (
                sum(v >= observed for v in values),
                sum(abs(v) >= abs(observed) for v in values),
            )
            return sorted(abs(v - observed) for v in values)[1] > 1e-3 and (
                M != 7 or 3 <= large <= 9 and both_sides != 2 * large
            )

        arguments = first(
            lambda d: (
                Draw(seed + 50 * d.generator.initial_seed(), dtype).uniform(-1, 1, M)
                + _tensor([0.5] * n + [0.0] * (M - n)),
                n,
            ),
            clear,
        )
        return Probe(f"{M} words, the first {n} of them in X", arguments)

    probes = [
        draw(2, 7, 3, _float64),
        draw(1, 6, 3),
        draw(3, 5, 4),
        draw(4, 5, 1),
        Probe("a difference that is negative", (_tensor([-1.0, -2.0, 1.5, 0.25]), 2)),
        Probe("values that are equal", (_tensor([1.0, 0.5, 1.0, 0.5]), 2)),
        Probe("all values the same", (_tensor([0.5, 0.5, 0.5, 0.5]), 2)),
    ]
    judge(
        "permutation_p",
        answer,
        probes,
        equation,
        slips,
        (
            "the value is not the share of all choices of n of the words whose difference of "
            "means is at least that of the first n"
        ),
    )


# ---------------------------------------------------------------- helpers


def _share(values: list[int], inside: list[bool]) -> float:
    chosen = [v for v, i in zip(values, inside) if i]
    return sum(chosen) / len(chosen)


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _deviation(values: list[float], less: int) -> float:
    return math.sqrt(sum((v - _mean(values)) ** 2 for v in values) / (len(values) - less))


def _dot(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b))


def _cosine(a: list[float], b: list[float]) -> float:
    return _dot(a, b) / math.sqrt(_dot(a, a) * _dot(b, b))


def _centre(A: Rows) -> list[float]:
    return [_mean(list(column)) for column in zip(*A)]


def _halved(X: Rows, Y: Rows, A: Rows) -> float:
    x, y = ([_mean([_cosine(w, a) for a in A]) for w in W] for W in (X, Y))
    return (_mean(x) - _mean(y)) / _deviation(x + y, 1)


def _people(seed: int, N: int, columns: int) -> tuple:
    """Columns of 0 and 1 in which all pairs occur."""
    drawn = Draw(seed)
    corners = _tensor(list(itertools.product((0, 1), repeat=columns))).T
    return tuple(_cat([drawn.index(2, N - len(corner)), corner]) for corner in corners)
