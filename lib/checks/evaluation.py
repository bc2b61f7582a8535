"""The checks of the exercises on evaluation.

Each takes a student's function, returns None if it is right and raises AssertionError with a hint
if not. The references are loops over Python floats; random_curve, which draws, is judged by the
moments over all orders.
"""

import itertools
import math
from collections.abc import Callable

import torch
from torch import Tensor

from ._helpers_old import (
    UNSOLVED,
    Draw,
    Probe,
    Slip,
    _called,
    _quiet,
    _values,
    flat,
    judge,
    to_plain,
)
from ._smooth_old import Smooth

Vector = list[float]
Images = list[list[list[float]]]

_manual_seed, _tensor, _float32 = torch.manual_seed, torch.tensor, torch.float32


class Large(Smooth):
    """The same function with values of some hundreds."""

    def __call__(self, v: Tensor) -> Tensor:
        return 100 * super().__call__(v)

    def value(self, v: Vector) -> float:
        return 100 * super().value(v)


# ---------------------------------------------------------------- exercises


def check_flip_curve(answer: Callable[[Callable, Tensor, Tensor, Tensor], Tensor]) -> None:
    """(f: (B, D) -> (B,), x (D,), R (D,), fill (D,)) -> (D + 1,): f after the k most relevant
    features are replaced.
    """

    def curve(f: Smooth, x: Vector, fill: Vector, order: list[int]) -> Vector:
        return [
            f.value([fill[i] if i in order[:k] else v for i, v in enumerate(x)])
            for k in range(len(x) + 1)
        ]

    def by(key: Callable[[int, Vector, Vector, Vector], float]) -> Callable:
        """The curve in the order of another key of feature i."""
        return lambda f, x, R, fill: curve(
            f, x, fill, sorted(range(len(x)), key=lambda i: key(i, x, R, fill))
        )

    def alone(f: Smooth, x: Vector, R: Vector, fill: Vector) -> Vector:
        order = sorted(range(len(x)), key=lambda i: -R[i])
        return [f.value(x)] + [
            f.value([fill[j] if j == i else v for j, v in enumerate(x)]) for i in order
        ]

    equation = by(lambda i, x, R, fill: -R[i])
    slips = [
        Slip(
            "the least relevant features go first; the most relevant go first",
            by(lambda i, x, R, fill: R[i]),
        ),
        Slip(
            (
                "the features go in the order of the size |R|; a negative relevance comes after "
                "all positive ones"
            ),
            by(lambda i, x, R, fill: -abs(R[i])),
        ),
        Slip(
            "the features go in the order in which they stand; sort them by R",
            by(lambda i, x, R, fill: i),
        ),
        Slip("the features go in the order of x; sort them by R", by(lambda i, x, R, fill: -x[i])),
        Slip(
            "each feature is replaced alone; those that were replaced before stay replaced", alone
        ),
        Slip(
            "the features are set to 0; replace them by fill",
            lambda f, x, R, fill: equation(f, x, R, [0.0] * len(x)),
        ),
        Slip(
            "it returns the fall of f; return f itself",
            lambda *p: [equation(*p)[0] - v for v in equation(*p)],
        ),
        Slip(
            "it starts from fill and puts x in; start from x",
            lambda f, x, R, fill: equation(f, fill, R, x),
        ),
        Slip(
            "the argsort of R is used as ranks: position k of it says which feature comes k-th",
            lambda f, x, R, fill: curve(
                f,
                x,
                fill,
                [sorted(range(len(x)), key=lambda i: -R[i]).index(k) for k in range(len(x))],
            ),
        ),
    ]

    def draw(
        d: int, seed: int, kind: type[Smooth] = Smooth, dtype: torch.dtype = torch.float64
    ) -> tuple:
        drawn = Draw(seed, dtype)
        return (
            kind(drawn.uniform(-1, 1, d).tolist()),
            drawn.uniform(-2, 2, d),
            drawn.uniform(-3, 3, d),
            drawn.uniform(-1, 1, d),
        )

    probes = [
        Probe("five features, some of negative relevance", draw(5, 1)),
        Probe("one feature", draw(1, 2)),
        Probe("seven features in single precision", draw(7, 3, dtype=torch.float32)),
        Probe(
            "all relevances negative",
            (lambda f, x, R, fill: (f, x, -R.abs() - 0.1, fill))(*draw(6, 4)),
        ),
        Probe("scores of some hundreds", draw(6, 5, Large)),
    ]
    judge(
        "flip_curve",
        answer,
        probes,
        equation,
        slips,
        "the values are not f after the k most relevant features are replaced, k = 0 to D",
    )


def check_aopc(answer: Callable[[Tensor], Tensor]) -> None:
    """curve (K + 1,) -> 1 / (K + 1) sum_k (curve_0 - curve_k)."""

    def equation(curve: Vector) -> float:
        return sum(curve[0] - v for v in curve) / len(curve)

    slips = [
        Slip(
            "it divides by K; the sum has K + 1 terms, k = 0 included",
            lambda c: equation(c) * len(c) / (len(c) - 1),
        ),
        Slip("the terms are summed, not averaged", lambda c: equation(c) * len(c)),
        Slip(
            "this is the area under the curve; take the area over it, from curve[0]",
            lambda c: sum(c) / len(c),
        ),
        Slip(
            "the sign is turned round: a falling curve has a positive area", lambda c: -equation(c)
        ),
        Slip(
            "this is the trapezoidal rule; a plain mean of K + 1 terms is asked for",
            lambda c: sum(c[0] - (p + q) / 2 for p, q in zip(c, c[1:])) / (len(c) - 1),
        ),
        Slip(
            "the area is divided by curve[0]; it is asked for in the unit of the curve",
            lambda c: equation(c) / c[0],
        ),
        Slip(
            "the terms lose their sign; a curve that rises has a negative area",
            lambda c: sum(abs(c[0] - v) for v in c) / len(c),
        ),
        Slip(
            "the area is measured from the highest value; take curve[0]",
            lambda c: sum(max(c) - v for v in c) / len(c),
        ),
        Slip(
            "negative terms are cut off; a curve that rises has a negative area",
            lambda c: sum(max(c[0] - v, 0) for v in c) / len(c),
        ),
        Slip(
            "this is the whole fall, from the first to the last; take the mean over all steps",
            lambda c: c[0] - c[-1],
        ),
    ]
    probes = [
        Probe("a falling curve", (_tensor([4.0, 2.5, 1.0, 0.5]),)),
        Probe(
            "a curve that rises and falls below zero",
            (_tensor([1.0, 3.0, 2.0, -2.0, -1.0, 0.5], dtype=torch.float64),),
        ),
        Probe("one step", (_tensor([2.0, -1.0]),)),
        Probe("a curve that starts at 0", (_tensor([0.0, 1.0, -4.0]),)),
        Probe("scores of 200", (_tensor([200.0, -200.0, 150.0, 30.0, -7.0]),)),
    ]
    judge(
        "aopc",
        answer,
        probes,
        equation,
        slips,
        "the value is not the mean over k = 0 to K of curve[0] - curve[k]",
    )


def check_random_curve(answer: Callable[[Callable, Tensor, Tensor, int], Tensor]) -> None:
    """(f, x (D,), fill (D,), n) -> (D + 1,): the mean flip curve over n random orders."""
    for n, seeds in ((1, (1, 2)), (9, (3, 4))):
        for seed in seeds:
            if problem := _orders(answer, n, seed):
                raise AssertionError(
                    f"random_curve: {problem}"
                    + (f" (seen with n = {n})" if problem != UNSOLVED else "")
                )


def check_context_ratio(answer: Callable[[Tensor, Tensor], Tensor]) -> None:
    """(R (N, H, W) >= 0, box (N, H, W) bool) -> (N,): the sum outside / the sum inside, image by
    image.
    """

    def sums(R: Images, box: list) -> list[tuple[float, float, int, int]]:
        """Sum outside, sum inside, count outside, count inside."""
        rows = [list(zip(flat(r), flat(b))) for r, b in zip(R, box)]
        return [
            tuple(sum(v for v, inside in row if inside == side) for side in (False, True))
            + tuple(sum(i == side for _, i in row) for side in (False, True))
            for row in rows
        ]

    def each(change: Callable[[float, float, int, int], float]) -> Callable:
        return lambda R, box: [change(*row) for row in sums(R, box)]

    def pooled(R: Images, box: list) -> Vector:
        rows = sums(R, box)
        return [sum(row[0] for row in rows) / sum(row[1] for row in rows)] * len(rows)

    equation = each(lambda out, inside, a, b: out / inside)
    slips = [
        Slip(
            "the ratio is turned round; outside stands above, inside below",
            each(lambda out, inside, a, b: inside / out),
        ),
        Slip(
            "it divides by all of the relevance; divide by what is inside",
            each(lambda out, inside, a, b: out / (out + inside)),
        ),
        Slip(
            "this is the share inside; the ratio of outside to inside is asked for",
            each(lambda out, inside, a, b: inside / (out + inside)),
        ),
        Slip(
            "means are compared; sums are asked for, so that a large surrounding counts more",
            each(lambda out, inside, a, b: (out / a) / (inside / b)),
        ),
        Slip("the images of the batch are pooled; each image has its own ratio", pooled),
        Slip(
            "the number of pixels is counted; sum their relevance",
            each(lambda out, inside, a, b: a / b),
        ),
        Slip(
            "it divides the whole relevance by what is inside; only what is outside stands above",
            each(lambda out, inside, a, b: (out + inside) / inside),
        ),
    ]

    def draw(
        seed: int, n: int, h: int, w: int, high: float = 2, dtype: torch.dtype = torch.float32
    ) -> tuple:
        drawn = Draw(seed, dtype)
        box = drawn.uniform(0, 1, n, h, w) < 0.4
        box[:, 0, 0], box[:, -1, -1] = True, False
        return drawn.uniform(0.05, high, n, h, w), box

    R, box = draw(5, 2, 3, 4)
    probes = [
        Probe("one image that is not square", draw(1, 1, 3, 5)),
        Probe("several images", draw(2, 4, 4, 3)),
        Probe("as many images as rows and columns", draw(3, 4, 4, 4)),
        Probe(
            "relevance of some hundreds in double precision", draw(4, 3, 2, 6, 200, torch.float64)
        ),
        Probe("no relevance outside", (R * box, box)),
    ]
    judge(
        "context_ratio",
        answer,
        probes,
        equation,
        slips,
        "the values are not the sum outside the box / the sum inside, image by image",
    )


def check_rank_correlation(answer: Callable[[Tensor, Tensor], Tensor]) -> None:
    """(a (D,), b (D,)) without ties -> Spearman's correlation of the ranks."""

    def ranks(values: Vector) -> Vector:
        return [float(sum(other < v for other in values)) for v in values]

    def pearson(a: Vector, b: Vector) -> float:
        p, q = sum(a) / len(a), sum(b) / len(b)
        both = sum((u - p) * (v - q) for u, v in zip(a, b))
        return both / math.sqrt(sum((u - p) ** 2 for u in a) * sum((v - q) ** 2 for v in b))

    def order(values: Vector) -> Vector:
        return [float(i) for i in sorted(range(len(values)), key=lambda i: values[i])]

    def kendall(a: Vector, b: Vector) -> float:
        pairs = list(itertools.combinations(range(len(a)), 2))
        return sum(math.copysign(1, (a[i] - a[j]) * (b[i] - b[j])) for i, j in pairs) / len(pairs)

    def distance(a: Vector, b: Vector, factor: float) -> float:
        d, n = sum((u - v) ** 2 for u, v in zip(ranks(a), ranks(b))), len(a)
        return 1 - factor * d / (n * (n * n - 1))

    def equation(a: Vector, b: Vector) -> float:
        return pearson(ranks(a), ranks(b))

    slips = [
        Slip("this is the correlation of the values; correlate their ranks", pearson),
        Slip(
            (
                "one argsort gives the order, not the ranks: the rank of a value is its place in "
                "the order, the argsort of the argsort"
            ),
            lambda a, b: pearson(order(a), order(b)),
        ),
        Slip(
            "the values lose their sign before they are ranked; rank them as they are",
            lambda a, b: equation([abs(v) for v in a], [abs(v) for v in b]),
        ),
        Slip("this is Kendall's tau, which counts pairs; correlate the ranks", kendall),
        Slip(
            "the result is squared or without its sign; opposite orders have correlation -1",
            lambda a, b: abs(equation(a, b)),
        ),
        Slip(
            "the result is squared or without its sign; opposite orders have correlation -1",
            lambda a, b: equation(a, b) ** 2,
        ),
        Slip(
            "the sign is turned round: maps in the same order have correlation 1",
            lambda a, b: -equation(a, b),
        ),
        Slip(
            "the means are not taken off before multiplying",
            lambda a, b: _cosine(ranks(a), ranks(b)),
        ),
        Slip(
            "the means are not taken off before multiplying",
            lambda a, b: _cosine([v + 1 for v in ranks(a)], [v + 1 for v in ranks(b)]),
        ),
        Slip(
            "the factor in 1 - 6 sum d^2 / (D (D^2 - 1)) is wrong", lambda a, b: distance(a, b, 1)
        ),
        Slip("only one of the two is ranked; rank both", lambda a, b: pearson(ranks(a), b)),
        Slip("only one of the two is ranked; rank both", lambda a, b: pearson(a, ranks(b))),
    ]

    def draw(seed: int, d: int, dtype: torch.dtype = torch.float32) -> tuple:
        drawn = Draw(seed, dtype)
        return drawn.uniform(-3, 3, d) ** 3, drawn.uniform(-1, 2, d) ** 5

    a, b = draw(3, 6)
    probes = [
        Probe("seven values of both signs", draw(6, 7)),
        Probe("twelve values in double precision", draw(2, 12, torch.float64)),
        Probe("the same order, other values", (a, a.exp())),
        Probe("opposite orders", (a, -2 * a)),
        Probe("two values", (_tensor([3.0, -1.0]), _tensor([0.5, 200.0]))),
        Probe("values of very different size", (a * 200, b / 100)),
    ]
    judge(
        "rank_correlation",
        answer,
        probes,
        equation,
        slips,
        "the value is not the correlation of the ranks of a and b",
    )


def check_mass_inside(answer: Callable[[Tensor, Tensor], Tensor]) -> None:
    """(R (N, C, H, W), mask (N, H, W) bool) -> (N,): positive relevance inside / all positive
    relevance, channels summed first.
    """

    def pixels(image: list) -> Vector:
        """The channels added up."""
        return [sum(values) for values in zip(*(list(flat(channel)) for channel in image))]

    def each(change: Callable[[float], float], of: Callable[[list], Vector] = pixels) -> Callable:
        return lambda R, mask: [
            _share([change(v) for v in of(image)], list(flat(m))) for image, m in zip(R, mask)
        ]

    def channelwise(R: list, mask: list) -> Vector:
        return [
            _share([max(v, 0.0) for v in flat(image)], list(flat(m)) * len(image))
            for image, m in zip(R, mask)
        ]

    def against(R: list, mask: list) -> Vector:
        """Positive inside over |R|."""
        rows = [(pixels(image), list(flat(m))) for image, m in zip(R, mask)]
        return [sum(max(v, 0) for v, i in zip(p, m) if i) / sum(map(abs, p)) for p, m in rows]

    def pooled(R: list, mask: list) -> Vector:
        rows = [([max(v, 0.0) for v in pixels(image)], list(flat(m))) for image, m in zip(R, mask)]
        return [_share(sum((p for p, _ in rows), []), sum((m for _, m in rows), []))] * len(rows)

    def ratio(R: list, mask: list) -> Vector:
        return [v / (1 - v) for v in equation(R, mask)]

    equation = each(lambda v: max(v, 0.0))
    slips = [
        Slip("negative relevance is counted too; take R^+ of each pixel", each(lambda v: v)),
        Slip("absolute values are taken; only positive relevance speaks for the class", each(abs)),
        Slip("squares are taken; take R^+ of each pixel", each(lambda v: v * v)),
        Slip(
            "the negative part is cut off in each channel; add the channels up first", channelwise
        ),
        Slip("it divides by |R|; divide by all positive relevance", against),
        Slip(
            "this is the share outside; the share inside is asked for",
            lambda R, mask: [1 - v for v in equation(R, mask)],
        ),
        Slip("it divides by what is outside; divide by all positive relevance", ratio),
        Slip("the images of the batch are pooled; each image has its own share", pooled),
        Slip("pixels are counted; sum their relevance", each(lambda v: float(v > 0))),
        Slip(
            "only the first channel is used; add the channels up",
            each(lambda v: max(v, 0.0), lambda image: list(flat(image[0]))),
        ),
    ]

    def draw(
        seed: int,
        n: int,
        c: int,
        h: int,
        w: int,
        high: float = 1,
        dtype: torch.dtype = torch.float32,
    ) -> tuple:
        drawn = Draw(seed, dtype)
        R, mask = high * drawn.uniform(-1, 1.3, n, c, h, w), drawn.uniform(0, 1, n, h, w) < 0.5
        R[:, :, 0, 0], R[:, :, -1, -1], mask[:, 0, 0], mask[:, -1, -1] = high, high / 2, True, False
        return R, mask

    R, mask = draw(5, 2, 2, 3, 4)
    probes = [
        Probe("one image that is not square", draw(1, 1, 3, 2, 5)),
        Probe("several images", draw(2, 4, 3, 4, 3)),
        Probe("as many images as channels, rows and columns", draw(3, 3, 3, 3, 3)),
        Probe(
            "one channel, relevance of some hundreds, double precision",
            draw(4, 2, 1, 3, 4, 200, torch.float64),
        ),
        Probe("an empty mask", (R, mask & False)),
    ]
    judge(
        "mass_inside",
        answer,
        probes,
        equation,
        slips,
        (
            "the values are not the share of the positive relevance that lies in the mask, image "
            "by image"
        ),
    )


# ---------------------------------------------------------------- helpers


def _share(values: Vector, inside: list[bool]) -> float:
    return sum(v for v, i in zip(values, inside) if i) / sum(values)


def _cosine(a: Vector, b: Vector) -> float:
    return sum(u * v for u, v in zip(a, b)) / math.sqrt(
        sum(u * u for u in a) * sum(v * v for v in b)
    )


def _orders(answer: Callable, n: int, seed: int, calls: int = 100) -> str | None:
    """What is wrong with the moments of `calls` answers, each a mean over n of the 24 orders of
    four features; bands of five standard errors.
    """
    f, x, fill = (
        Smooth([0.9, -0.4, 0.7, 1.3]),
        _tensor([1.5, -0.7, 0.4, 1.1]),
        _tensor([-0.5, 0.6, -1.2, 0.2]),
    )
    d = len(x)
    a, b = to_plain(x), to_plain(fill)
    curves = [
        [f.value([b[i] if i in order[:k] else v for i, v in enumerate(a)]) for k in range(d + 1)]
        for order in itertools.permutations(range(d))
    ]
    mean = [sum(column) / len(curves) for column in zip(*curves)]
    variance = [
        sum((v - m) ** 2 for v in column) / len(curves) for column, m in zip(zip(*curves), mean)
    ]
    fourth = [
        sum((v - m) ** 4 for v in column) / len(curves) for column, m in zip(zip(*curves), mean)
    ]
    excess = [
        q / v**2 - 3 if v else 0.0 for q, v in zip(fourth, variance)
    ]  # of one curve; a mean of n has 1 / n of it
    results = []
    with _quiet():
        _manual_seed(seed)
        for _ in range(calls):
            result = _called(answer, (f, x, fill, n))
            values = result if isinstance(result, str) else _values(result, mean)
            if isinstance(values, str):
                return values
            results.append(values)
    return _judged(results, mean, [v / n for v in variance], [q / n for q in excess], n)


def _judged(
    results: list[Vector], mean: Vector, variance: Vector, excess: Vector, n: int
) -> str | None:
    if any(abs(row[k] - mean[k]) > 1e-4 * n for row in results for k in (0, len(mean) - 1)):
        if n > 1 and all(abs(row[k] - n * mean[k]) < 1e-3 for row in results for k in (0, -1)):
            return "the n curves are summed; take their mean"
        return (
            "every curve starts at f(x) and ends at f(fill), whatever the order; the first "
            "or the last value is wrong"
        )
    if all(row == results[0] for row in results):
        return (
            "every call gives the same curve: a fresh random order is drawn for each of "
            "the n curves"
        )
    for k in range(1, len(mean) - 1):
        column = [row[k] for row in results]
        m, v = sum(column) / len(column), sum((u - mean[k]) ** 2 for u in column) / len(column)
        if n > 1 and v > 0.5 * n * variance[k]:
            return (
                "all n curves have the same order, so that nothing is averaged; draw a new "
                "permutation for each"
            )
        if abs(m - mean[k]) > 5 * math.sqrt(variance[k] / len(column)):
            return (
                "the mean over many calls is not that over all orders: each order is as "
                "likely as any other, and replaced features stay replaced"
            )
        if abs(v / variance[k] - 1) > 5 * math.sqrt((2 + excess[k]) / len(column)):
            return (
                "the spread of the result is wrong: it is the mean of n curves, each with "
                "a random order of its own"
            )
    return None
