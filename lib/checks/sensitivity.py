"""The checks of the exercises on sensitivity.

Each takes a student's function, returns None if it is right and raises AssertionError with a hint
if not. The references are the equations as loops over Python floats; smoothgrad, which draws, is
judged by its moments.
"""

import itertools
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ._helpers_old import Draw, Probe, Slip, close, first, judge
from .sensitivity_functions import (
    Matrix,
    Smooth,
    Zigzag,
    about_batches,
    judge_noise,
    moved,
    network,
    normalised,
    probes_of_classes,
    scores,
    slopes,
    tent,
)

LOOSE = 0.01  # any way to average over the path that is complete within 1 %


# ---------------------------------------------------------------- exercises


def check_sensitivity(answer: Callable[[Callable, Tensor, Tensor], Tensor]) -> None:
    """(f, x (N, D), c (N,)) -> (N, D): R_i = (df_c/dx_i)^2, sample by sample."""

    def equation(f: nn.Sequential, x: Matrix, c: list[int]) -> Matrix:
        return [[g * g for g in slopes(f, row, {k: 1.0})] for row, k in zip(x, c)]

    def each(change: Callable[[float, float, float], float]) -> Callable:
        """A slip that makes another number of the derivative g, the input x and the score f."""
        return lambda f, x, c: [
            [change(g, v, scores(f, row)[k]) for g, v in zip(slopes(f, row, {k: 1.0}), row)]
            for row, k in zip(x, c)
        ]

    def weighted(start: Callable[[list[float], int], dict]) -> Callable:
        return lambda f, x, c: [
            [g * g for g in slopes(f, row, start(scores(f, row), k))] for row, k in zip(x, c)
        ]

    def softmax(scores: list[float], k: int) -> dict[int, float]:
        """The start of the derivative of the probability of class k."""
        top = max(scores)
        p = [math.exp(s - top) / sum(math.exp(r - top) for r in scores) for s in scores]
        return {j: p[k] * ((j == k) - p[j]) for j in range(len(p))}

    def log_softmax(scores: list[float], k: int) -> dict[int, float]:
        top = max(scores)
        total = sum(math.exp(r - top) for r in scores)
        return {j: (j == k) - math.exp(s - top) / total for j, s in enumerate(scores)}

    slips = [
        Slip("this is the gradient; sensitivity is its square", each(lambda g, v, f: g)),
        Slip("absolute values are taken; sensitivity is the square", each(lambda g, v, f: abs(g))),
        Slip(
            "it multiplies by the input; that is another method, and explains another thing",
            each(lambda g, v, f: g * v),
        ),
        Slip("it multiplies by the input", each(lambda g, v, f: g * g * v)),
        Slip("it multiplies by the input", each(lambda g, v, f: (g * v) ** 2)),
        Slip(
            "it is the derivative of the squared score; square the derivative instead",
            each(lambda g, v, f: 2 * f * g),
        ),
        Slip(
            (
                "something is normalised: the squares are those of the equation up to a factor; "
                "they must sum to the squared length of the gradient"
            ),
            normalised(equation),
        ),
        Slip(
            "it differentiates a probability; the logit of class c is asked for", weighted(softmax)
        ),
        Slip(
            "it differentiates the logarithm of a probability; the logit of class c is asked for",
            weighted(log_softmax),
        ),
        Slip(
            "it differentiates the sum of all logits; only that of class c counts",
            weighted(lambda scores, k: dict.fromkeys(range(len(scores)), 1.0)),
        ),
        Slip(
            "it differentiates the highest logit; the class c of each sample is asked for",
            weighted(lambda scores, k: {scores.index(max(scores)): 1.0}),
        ),
        *about_batches(equation),
    ]
    judge(
        "sensitivity",
        answer,
        probes_of_classes(),
        equation,
        slips,
        (
            "the values are not the squared derivatives of the logit of class c; is each sample "
            "on its own?"
        ),
    )


def check_finite_diff(answer: Callable[[Callable, Tensor, float], Tensor]) -> None:
    """(f, x (D,), h) -> (D,): (f(x + h e_i) - f(x - h e_i)) / 2h, with f from (B, D) to (B,)."""

    def equation(
        f: "Smooth",
        x: list[float],
        h: float,
        ahead: float = 1.0,
        behind: float = 1.0,
        over: float = 2.0,
    ) -> list[float]:
        return [
            (f.value(moved(x, i, ahead * h)) - f.value(moved(x, i, -behind * h))) / (over * h)
            for i in range(len(x))
        ]

    def all_at_once(f: "Smooth", x: list[float], h: float) -> list[float]:
        both = [f.value([v + s * h for v in x]) for s in (1, -1)]
        return [(both[0] - both[1]) / (2 * h)] * len(x)

    def draw(d: int, h: float) -> tuple:
        drawn = Draw(d, torch.float64)
        return Smooth(drawn.uniform(-1, 1, d).tolist()), drawn.uniform(-2, 2, d), h

    probes = [
        Probe("a wide step, where the kind of difference shows", draw(4, 0.5)),
        Probe("one input", draw(1, 0.3)),
        Probe("a small step", draw(6, 1e-3)),
        Probe("another step", draw(3, 0.1)),
        Probe("a tiny step: the error must fall with the square of h", draw(5, 1e-5)),
    ]
    slips = [
        Slip(
            "it takes forward differences, whose error falls with h only; step to both sides",
            lambda f, x, h: equation(f, x, h, 1, 0, 1),
        ),
        Slip(
            "it takes backward differences, whose error falls with h only; step to both sides",
            lambda f, x, h: equation(f, x, h, 0, 1, 1),
        ),
        Slip(
            "it divides by h; the two points are 2 h apart",
            lambda f, x, h: equation(f, x, h, 1, 1, 1),
        ),
        Slip(
            "it steps by h / 2 to each side; each side is h",
            lambda f, x, h: equation(f, x, h, 0.5, 0.5, 1),
        ),
        Slip("the sign is turned round", lambda f, x, h: [-v for v in equation(f, x, h)]),
        Slip("it does not divide by 2 h", lambda f, x, h: [2 * h * v for v in equation(f, x, h)]),
        Slip("it moves all inputs at once; one input at a time", all_at_once),
        Slip(
            "this is the exact derivative; differences with the given step h are asked for",
            lambda f, x, h: f.slopes(x),
        ),
    ]
    judge(
        "finite_diff",
        answer,
        probes,
        equation,
        slips,
        (
            "the values are not the central differences; does each input move alone, by h to both "
            "sides?"
        ),
    )


def check_smoothgrad(answer: Callable[[Callable, Tensor, Tensor, int, float], Tensor]) -> None:
    """(f, x (N, D), c (N,), n, sigma) -> (N, D): the mean of n input gradients at x + sigma *
    noise.
    """
    exact = [
        Probe(probe.kind + ", sigma 0", (*probe.arguments, 3, 0.0))
        for probe in probes_of_classes()[:4]
    ]

    def equation(f: nn.Sequential, x: Matrix, c: list[int], n: int, sigma: float) -> Matrix:
        return [slopes(f, row, {k: 1.0}) for row, k in zip(x, c)]

    slips = [
        Slip(
            "the n gradients are summed; take their mean",
            lambda *p: [[p[3] * v for v in row] for row in equation(*p)],
        ),
        Slip(
            "the gradients are squared; their plain mean is asked for",
            lambda *p: [[v * v for v in row] for row in equation(*p)],
        ),
        Slip(
            "absolute values are taken; their plain mean is asked for",
            lambda *p: [[abs(v) for v in row] for row in equation(*p)],
        ),
        *about_batches(equation),
    ]
    judge(
        "smoothgrad",
        answer,
        exact,
        equation,
        slips,
        "without noise the result must be the gradient of the logit of class c, sample by sample",
    )
    for n, sigma in ((1, 0.7), (16, 2.0)):
        if problem := judge_noise(answer, n, sigma):
            raise AssertionError(f"smoothgrad: {problem} (seen with n = {n} and sigma = {sigma})")


def check_n_pieces(answer: Callable[..., int]) -> None:
    """(f: (B,) -> (B,), a, b, n=2001) -> the number of linear pieces of f on [a, b]."""

    def equation(f: "Zigzag", a: float, b: float, n: int = 2001) -> int:
        return 1 + sum(a < kink < b for kink in f.kinks)

    def grid(f: "Zigzag", a: float, b: float, n: int = 2001) -> list[float]:
        """Slopes between neighbours of n points."""
        t = [a + (b - a) * k / (n - 1) for k in range(n)]
        return [(f.value(q) - f.value(p)) / (q - p) for p, q in zip(t, t[1:])]

    def changes(slopes: list[float]) -> int:
        return sum(abs(q - p) > 1e-3 for p, q in zip(slopes, slopes[1:]))

    tents = [tent(k) for k in range(6)]
    slow = Zigzag((0.11, 0.2707, 0.433, 0.6123, 0.8819), (1.0, 3.0, 1.5, 0.5, 2.0, 1.0))
    flat = Zigzag((-1.2345, 0.3217, 1.7771), (0.0, 2.0, 0.0, -1.5), 4.0)
    probes = [
        Probe("a straight line", (Zigzag((), (2.0,)), 0.0, 1.0)),
        Probe(
            "slopes that come back", (Zigzag((0.25, 0.5, 0.75), (1.0, -1.0, 1.0, -1.0)), 0.0, 1.0)
        ),
        Probe("one kink between two points of a grid", (Zigzag((0.33333,), (1.0, -1.0)), 0.0, 1.0)),
        Probe("tent maps of depth 3", (tents[3], 0.0, 1.0)),
        Probe("slopes that change without a change of sign", (slow, 0.0, 1.0)),
        Probe("flat pieces, on an interval that starts below 0", (flat, -2.0, 3.0)),
        Probe("tent maps of depth 5", (tents[5], 0.0, 1.0)),
        Probe("another n", (tents[2], 0.0, 1.0, 501)),
        Probe("a part of the interval", (tents[4], 0.0, 0.7)),
        Probe(
            "an even n, and kinks on the points of the grid",
            (Zigzag((0.25, 0.5), (1.0, 0.0, 1.0)), 0.0, 1.0, 1001),
        ),
    ]
    slips = [
        Slip(
            "these are the kinks; between k kinks and the ends lie k + 1 pieces",
            lambda *p: equation(*p) - 1,
        ),
        Slip(
            (
                "a kink between two points of the grid is counted twice: the cell that holds it "
                "has a slope of its own"
            ),
            lambda *p: changes(grid(*p)) + 1,
        ),
        Slip(
            (
                "a kink between two points of the grid is counted twice: the cell that holds it "
                "has a slope of its own"
            ),
            lambda *p: changes(grid(*p)),
        ),
        Slip(
            "different slopes are counted; a slope may come back, and is then another piece",
            lambda *p: len({round(s, 3) for s in grid(*p)}),
        ),
        Slip(
            "different slopes are counted; a slope may come back, and is then another piece",
            lambda *p: len(set(p[0].slopes)),
        ),
        Slip(
            "only changes of the slope's sign are counted; every change of the slope is a kink",
            lambda *p: 1 + sum(s * r < 0 for s, r in zip(p[0].slopes, p[0].slopes[1:])),
        ),
        Slip("one piece too many", lambda *p: equation(*p) + 1),
    ]
    judge(
        "n_pieces",
        answer,
        probes,
        equation,
        slips,
        (
            "the number of pieces is wrong: count the runs of equal slope, and a kink inside a "
            "cell once"
        ),
        tolerance=1e-6,
    )


def check_integrated_gradients(answer: Callable[..., Tensor]) -> None:
    """(f, x (N, D), x0 (N, D), c (N,), m=64) -> (N, D): (x - x0) * mean of the gradient along the
    straight path from x0 to x.
    """

    def path(
        f: nn.Sequential, row: list[float], start: list[float], k: int, parts: list[float]
    ) -> list[float]:
        rows = [slopes(f, [s + t * (v - s) for v, s in zip(row, start)], {k: 1.0}) for t in parts]
        return [sum(g) / len(parts) for g in zip(*rows)]

    middle = [(k + 0.5) / 64 for k in range(64)]

    def mean_slopes(
        f: nn.Sequential, x: Matrix, x0: Matrix, c: list[int], parts: list[float] = middle
    ) -> Matrix:
        return [path(f, row, start, k, parts) for row, start, k in zip(x, x0, c)]

    def times(
        rows: Matrix, other: Callable[[float, float], float], x: Matrix, x0: Matrix
    ) -> Matrix:
        return [[g * other(v, s) for g, v, s in zip(*three)] for three in zip(rows, x, x0)]

    def equation(
        f: nn.Sequential,
        x: Matrix,
        x0: Matrix,
        c: list[int],
        m: int = 64,
        parts: list[float] = middle,
    ) -> Matrix:
        return times(mean_slopes(f, x, x0, c, parts), lambda v, s: v - s, x, x0)

    def draw(n: int, sizes: tuple[int, ...], *m: int) -> Callable[[Draw], tuple]:
        return lambda d: (
            network(d, sizes, nn.Tanh),
            d.uniform(-1, 2, n, sizes[0]),
            d.uniform(-2, 1, n, sizes[0]),
            d.index(sizes[-1], n),
            *m,
        )

    def fit(f: nn.Sequential, x: Matrix, x0: Matrix, c: list[int], m: int = 64) -> bool:
        """The usual sums of m terms agree, and the end of the path alone does not."""
        right, wanted = (
            equation(f, x, x0, c, m, [(k + 1) / m for k in range(m)]),
            equation(f, x, x0, c),
        )
        return close(right, wanted, LOOSE * 0.7) and not any(
            close(equation(f, x, x0, c, m, [t]), wanted, 5 * LOOSE) for t in (0.0, 0.5, 1.0)
        )

    probes = [
        Probe("one sample", first(draw(1, (4, 5, 3)), fit)),
        Probe(
            "several samples, each with its class and its baseline", first(draw(4, (3, 6, 4)), fit)
        ),
        Probe("as many samples as features", first(draw(4, (4, 4, 4)), fit)),
        Probe("another m", first(draw(3, (5, 4, 2), 200), fit)),
        Probe("double precision", first(draw(3, (2, 6, 5)), fit, torch.float64)),
    ]
    slips = [
        Slip(
            "it takes the gradient at x alone; average it along the path",
            lambda f, x, x0, c, m=64: equation(f, x, x0, c, m, [1.0]),
        ),
        Slip(
            "it takes the gradient at x0 alone; average it along the path",
            lambda f, x, x0, c, m=64: equation(f, x, x0, c, m, [0.0]),
        ),
        Slip(
            "the factor x - x0 is missing: this is the mean gradient",
            lambda f, x, x0, c, m=64: mean_slopes(f, x, x0, c),
        ),
        Slip(
            "it multiplies by x; the factor is x - x0",
            lambda f, x, x0, c, m=64: times(mean_slopes(f, x, x0, c), lambda v, s: v, x, x0),
        ),
        Slip(
            "the sign is turned round: the way leads from x0 to x",
            lambda f, x, x0, c, m=64: times(mean_slopes(f, x, x0, c), lambda v, s: s - v, x, x0),
        ),
        Slip(
            "the path starts at 0; it starts at x0",
            lambda f, x, x0, c, m=64: times(
                mean_slopes(f, x, [[0.0] * len(row) for row in x], c), lambda v, s: v - s, x, x0
            ),
        ),
        Slip(
            "x0 is taken for 0",
            lambda f, x, x0, c, m=64: equation(f, x, [[0.0] * len(row) for row in x], c),
        ),
        Slip(
            "the gradients of the m points are summed; take their mean",
            lambda f, x, x0, c, m=64: [[m * v for v in row] for row in equation(f, x, x0, c)],
        ),
        Slip(
            "it multiplies by the difference at every point of the path, not once by x - x0",
            lambda f, x, x0, c, m=64: shrunk(path, f, x, x0, c),
        ),
        *about_batches(equation),
    ]
    judge(
        "integrated_gradients",
        answer,
        probes,
        equation,
        slips,
        (
            "the values are not those of the path integral; do they sum to f_c(x) - f_c(x0), "
            "sample by sample?"
        ),
        tolerance=LOOSE,
    )


def check_guided_relu(answer: Callable[[Tensor, Tensor], Tensor]) -> None:
    """(z (N, J), g (N, J)) -> (N, J): what guided backprop sends back through a ReLU, max(0, g)
    where z > 0, else 0.
    """

    def each(message: Callable[[float, float], float]) -> Callable:
        return lambda z, g: [[message(*pair) for pair in zip(*rows)] for rows in zip(z, g)]

    def draw(n: int, j: int, size: float = 1.0) -> Callable[[Draw], tuple]:
        return lambda d: (d.uniform(-2 * size, 2 * size, n, j), d.uniform(-3, 3, n, j))

    def fit(z: Matrix, g: Matrix) -> bool:
        pairs = [p for rows in zip(z, g) for p in zip(*rows)]
        return {(a > 0, b > 0) for a, b in pairs} == {*itertools.product((False, True), repeat=2)}

    whole = torch.tensor([[0.0, 0.0, 1.0, -1.0, 2.0]]), torch.tensor([[1.0, -1.0, 0.0, 2.0, 0.5]])
    probes = [
        Probe("one sample", first(draw(1, 8), fit)),
        Probe("several samples", first(draw(4, 3), fit)),
        Probe("an input z of exactly 0, where the neuron is at rest", whole),
        Probe("large inputs in double precision", first(draw(3, 4, 100.0), fit, torch.float64)),
    ]
    slips = [
        Slip(
            "this is the gradient: negative messages must be stopped too",
            each(lambda z, g: g * (z > 0)),
        ),
        Slip(
            "this is the deconvnet: nothing passes where the neuron was at rest",
            each(lambda z, g: max(g, 0.0)),
        ),
        Slip(
            "the message must not be multiplied by the activation",
            each(lambda z, g: max(z, 0.0) * max(g, 0.0)),
        ),
        Slip("the message must not be multiplied by the input", each(lambda z, g: z * max(g, 0.0))),
        Slip(
            "where z is exactly 0 the neuron is at rest, and sends nothing",
            each(lambda z, g: max(g, 0.0) * (z >= 0)),
        ),
        Slip(
            "negative messages are turned positive; they are stopped",
            each(lambda z, g: abs(g) * (z > 0)),
        ),
        Slip("this is the ReLU of z; the message g is what passes", each(lambda z, g: max(z, 0.0))),
        Slip("the signs pass in place of the messages", each(lambda z, g: float(g > 0 and z > 0))),
    ]
    judge(
        "guided_relu",
        answer,
        probes,
        each(lambda z, g: max(g, 0.0) * (z > 0)),
        slips,
        "two conditions must hold for a message to pass, one on z and one on g",
    )


def check_grad_cam_map(answer: Callable[[Tensor, Tensor], Tensor]) -> None:
    """(A (N, K, h, w), g (N, K, h, w)) -> (N, h, w): max(0, sum_k alpha_k A_k), alpha_k the mean of
    g_k over its positions.
    """

    def weights(g: list, mean: bool = True) -> list[float]:
        return [sum(map(sum, grid)) / (len(grid) * len(grid[0]) if mean else 1) for grid in g]

    def mixed(
        A: list,
        alpha: Callable[[list, int, int, int], float],
        last: Callable[[float], float] = lambda v: max(v, 0.0),
    ) -> list:
        return [
            [
                last(sum(alpha(k, i, j) * A[k][i][j] for k in range(len(A))))
                for j in range(len(A[0][0]))
            ]
            for i in range(len(A[0]))
        ]

    def each(one: Callable[[list, list], list]) -> Callable:
        return lambda A, g: [one(*pair) for pair in zip(A, g)]

    def by(alpha: list[float]) -> Callable[[int, int, int], float]:
        return lambda k, i, j: alpha[k]

    def draw(n: int, k: int, h: int, w: int) -> Callable[[Draw], tuple]:
        return lambda d: (d.uniform(-0.5, 2, n, k, h, w), d.uniform(-2, 2, n, k, h, w))

    def fit(A: list, g: list) -> bool:
        values = [v for a, b in zip(A, g) for row in mixed(a, by(weights(b)), float) for v in row]
        return min(values) < -0.1 and max(values) > 0.1

    equation = each(lambda A, g: mixed(A, by(weights(g))))
    probes = [
        Probe("one sample", first(draw(1, 3, 4, 5), fit)),
        Probe("several samples, taller than wide", first(draw(3, 2, 5, 2), fit)),
        Probe("as many samples as channels, rows and columns", first(draw(3, 3, 3, 3), fit)),
        Probe("one channel, in double precision", first(draw(2, 1, 2, 3), fit, torch.float64)),
    ]
    slips = [
        Slip(
            "negative values remain: the sum over the channels goes through a ReLU",
            each(lambda A, g: mixed(A, by(weights(g)), float)),
        ),
        Slip(
            "the ReLU comes too early: first the sum over the channels, then max(0, .)",
            lambda A, g: [
                [
                    [
                        sum(max(al * a[k][i][j], 0.0) for k, al in enumerate(weights(b)))
                        for j in range(len(a[0][0]))
                    ]
                    for i in range(len(a[0]))
                ]
                for a, b in zip(A, g)
            ],
        ),
        Slip(
            "negative weights are dropped; only the finished map goes through a ReLU",
            each(lambda A, g: mixed(A, by([max(v, 0.0) for v in weights(g)]))),
        ),
        Slip(
            "the weights are sums over the positions; they are means",
            each(lambda A, g: mixed(A, by(weights(g, False)))),
        ),
        Slip(
            (
                "gradient and activation are multiplied place by place; first the mean of the "
                "gradient over the places"
            ),
            each(lambda A, g: mixed(A, lambda k, i, j: g[k][i][j])),
        ),
        Slip(
            "the channels are averaged; they are summed",
            each(lambda A, g: mixed(A, by([v / len(A) for v in weights(g)]))),
        ),
        Slip(
            "absolute values are taken; negative sums become 0",
            each(lambda A, g: mixed(A, by(weights(g)), abs)),
        ),
        *about_batches(equation),
    ]
    judge(
        "grad_cam_map",
        answer,
        probes,
        equation,
        slips,
        (
            "the map is not that of the equation: one weight for each channel, then a sum over "
            "the channels, then max(0, .)"
        ),
    )


def shrunk(path: Callable, f: nn.Sequential, x: Matrix, x0: Matrix, c: list[int]) -> Matrix:
    """The slip of multiplying each gradient by its own point's distance from x0."""
    rows = []
    for row, start, k in zip(x, x0, c):
        parts = [(j + 0.5) / 64 for j in range(64)]
        slopes = [(t, path(f, row, start, k, [t])) for t in parts]
        rows.append(
            [
                sum(t * g[i] * (v - s) for t, g in slopes) / 64
                for i, (v, s) in enumerate(zip(row, start))
            ]
        )
    return rows
