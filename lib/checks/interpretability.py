"""The checks of the exercises on interpretability.

Each takes a student's function, returns None if it is right and raises AssertionError with a hint
if not. The references are the definitions as loops over Python floats, one number at a time;
`_Network` is known to both sides.
"""

import itertools
import math
from collections.abc import Callable

import torch
from torch import Tensor

from ._helpers_old import Draw, Probe, Slip, first, flat, judge

Vector = list[float]
Matrix = list[Vector]

_tanh, _zeros, _tensor = torch.tanh, torch.zeros, torch.tensor


class _Network:
    """f_c(x) = sum_h tanh(sum_i x_i U_ih + a_h) V_hc: called with tensors (N, ...) by the answer,
    with floats by the reference.
    """

    def __init__(
        self, d: Draw, inputs: int, classes: int, size: float = 1.0, hidden: int = 4
    ) -> None:
        self.U, self.a, self.V = (
            d.uniform(-1, 1, inputs, hidden),
            d.uniform(-1, 1, hidden),
            d.uniform(-2 * size, 2 * size, hidden, classes),
        )
        self.plain = tuple(t.double().tolist() for t in (self.U, self.a, self.V))

    def __call__(self, x: Tensor) -> Tensor:
        return _tanh(x.reshape(len(x), -1) @ self.U.to(x) + self.a.to(x)) @ self.V.to(x)

    def neurons(self, x: Vector) -> Vector:
        U, a, _ = self.plain
        return [math.tanh(sum(v * row[h] for v, row in zip(x, U)) + a[h]) for h in range(len(a))]

    def score(self, x: Vector, c: int) -> float:
        return sum(h * row[c] for h, row in zip(self.neurons(x), self.plain[2]))

    def scores(self, x: Vector) -> Vector:
        return [self.score(x, c) for c in range(len(self.plain[2][0]))]

    def gradient(self, x: Vector, c: int) -> Vector:
        slopes = [(1 - h * h) * row[c] for h, row in zip(self.neurons(x), self.plain[2])]
        return [sum(w * s for w, s in zip(row, slopes)) for row in self.plain[0]]

    def probability(self, x: Vector, c: int) -> float:
        scores = self.scores(x)
        return math.exp(scores[c] - max(scores)) / sum(math.exp(s - max(scores)) for s in scores)

    def probability_gradient(self, x: Vector, c: int, log: bool = False) -> Vector:
        p = [self.probability(x, k) for k in range(len(self.plain[2][0]))]
        parts = [self.gradient(x, k) for k in range(len(p))]
        return [
            (1 if log else p[c]) * (parts[c][i] - sum(q * part[i] for q, part in zip(p, parts)))
            for i in range(len(x))
        ]


class _One:
    """The first score of a network, as a vector (M,)."""

    def __init__(self, net: _Network) -> None:
        self.net = net

    def __call__(self, x: Tensor) -> Tensor:
        return self.net(x)[:, 0]


# ---------------------------------------------------------------- linear models and gradients


def check_linear_contributions(answer: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
    """(w (D,), x (N, D), x0 (D,)) -> (N, D): R_i = w_i (x_i - x0_i)."""

    def equation(
        w: Vector, x: Matrix, x0: Vector, term: Callable = lambda w, v, v0: w * (v - v0)
    ) -> Matrix:
        return [[term(*values) for values in zip(w, row, x0)] for row in x]

    def draw(n: int, i: int, size: float = 1.0, dtype: torch.dtype = torch.float32) -> tuple:
        d = Draw(10 * n + i, dtype)
        return d.uniform(-size, size, i), d.uniform(-2, 3, n, i), d.uniform(-1, 2, i)

    probes = [
        Probe("one sample", draw(1, 4)),
        Probe("several samples", draw(5, 3)),
        Probe("as many samples as features", draw(4, 4)),
        Probe("one feature", draw(3, 1)),
        Probe("a reference of zeros", (w := draw(3, 5))[:2] + (_zeros(5),)),
        Probe("a sample that is the reference", (w[0], w[2][None], w[2])),
        Probe("large numbers in double precision", draw(3, 4, 200.0, torch.float64)),
    ]
    slips = [
        Slip(
            "the reference x0 does not take part: explained is the difference f(x) - f(x0)",
            lambda *p: equation(*p, lambda w, v, v0: w * v),
        ),
        Slip(
            "the sign is wrong: the difference goes from x0 to x",
            lambda *p: equation(*p, lambda w, v, v0: w * (v0 - v)),
        ),
        Slip(
            "a contribution has a sign; nothing is made positive",
            lambda *p: equation(*p, lambda w, v, v0: abs(w * (v - v0))),
        ),
        Slip("the weights do not take part", lambda *p: equation(*p, lambda w, v, v0: v - v0)),
        Slip(
            (
                "a weight alone is the same for all inputs; it must be multiplied by how far its "
                "feature moved"
            ),
            lambda *p: equation(*p, lambda w, v, v0: w),
        ),
        Slip(
            "the shares are divided by their sum; they must add up to f(x) - f(x0), not to 1",
            lambda *p: [[v / sum(row) for v in row] for row in equation(*p)],
        ),
        Slip(
            "the reference is x0, not the mean of the batch",
            lambda w, x, x0: equation(w, x, [sum(column) / len(x) for column in zip(*x)]),
        ),
    ]
    judge(
        "linear_contributions",
        answer,
        probes,
        equation,
        slips,
        "the contributions of a sample must sum to f(x) - f(x0), each from its own feature alone",
    )


def check_grad_times_input(answer: Callable[[Callable, Tensor, Tensor], Tensor]) -> None:
    """(f, x (N, D), c (N,)) -> (N, D): R = x df_c/dx, sample by sample."""

    def each(make: Callable) -> Callable:
        return lambda f, x, c: [make(f, row, k) for row, k in zip(x, c)]

    def times(row: Vector, gradient: Vector) -> Vector:
        return [v * g for v, g in zip(row, gradient)]

    equation = each(lambda f, row, k: times(row, f.gradient(row, k)))

    def draw(
        n: int, i: int, classes: int, size: float = 1.0, dtype: torch.dtype = torch.float32
    ) -> tuple:
        d = Draw(100 * n + i, dtype)
        return _Network(d, i, classes, size), d.uniform(-1, 1, n, i), d.index(classes, n)

    zeros = draw(4, 5, 3)
    zeros[1][:, ::2] = 0
    probes = [
        Probe("one sample", draw(1, 4, 3)),
        Probe("several samples of different classes", draw(6, 3, 4)),
        Probe("as many samples as features and classes", draw(4, 4, 4)),
        Probe("zeros in the input", zeros),
        Probe("logits of about 200", draw(3, 4, 3, 100.0)),
        Probe("double precision", draw(3, 5, 2, 1.0, torch.float64)),
    ]
    slips = [
        Slip(
            "this is the gradient; the factor x is missing",
            each(lambda f, row, k: f.gradient(row, k)),
        ),
        Slip(
            "the scores of all classes are added up; only that of class c is explained",
            each(
                lambda f, row, k: times(
                    row,
                    [sum(g) for g in zip(*(f.gradient(row, j) for j in range(len(f.plain[2][0]))))],
                )
            ),
        ),
        Slip(
            "a probability is explained, or its logarithm; the logit is asked for",
            each(lambda f, row, k: times(row, f.probability_gradient(row, k))),
        ),
        Slip(
            "a probability is explained, or its logarithm; the logit is asked for",
            each(lambda f, row, k: times(row, f.probability_gradient(row, k, log=True))),
        ),
        Slip(
            "every sample has a class of its own in c",
            lambda f, x, c: [times(row, f.gradient(row, c[0])) for row in x],
        ),
        Slip(
            "the class is that of c, not the one with the highest score",
            each(lambda f, row, k: times(row, f.gradient(row, (s := f.scores(row)).index(max(s))))),
        ),
        Slip(
            "relevance has a sign; nothing is made positive",
            each(lambda f, row, k: [abs(v) for v in times(row, f.gradient(row, k))]),
        ),
        Slip(
            "the gradient is squared: that is sensitivity analysis",
            each(lambda f, row, k: [g * g for g in f.gradient(row, k)]),
        ),
        Slip(
            "the mean over the batch is differentiated; every sample stands for itself",
            lambda f, x, c: [[v / len(x) for v in row] for row in equation(f, x, c)],
        ),
        Slip(
            "the score itself is multiplied by x; its derivative is asked for",
            each(lambda f, row, k: [v * f.score(row, k) for v in row]),
        ),
    ]
    judge(
        "grad_times_input",
        answer,
        probes,
        equation,
        slips,
        "for each sample: derivative of the logit of its own class c by x_i, times x_i",
    )


def check_class_prototype(
    answer: Callable[[Callable, int, Tensor, int, float, float], Tensor],
) -> None:
    """(f, c, x0 (1, D), steps, lr, lam) -> (1, D): plain gradient ascent on f_c(x) - lam |x|^2 from
    x0.
    """

    def climb(
        f: _Network,
        c: int,
        x0: Matrix,
        steps: int,
        lr: float,
        lam: float,
        slope: Callable | None = None,
        sign: float = 1.0,
        pull: float = 2.0,
    ) -> Matrix:
        x = list(x0[0])
        for _ in range(steps):
            gradient = (slope or f.gradient)(x, c)
            x = [v + sign * lr * (g - pull * lam * v) for v, g in zip(x, gradient)]
        return [x]

    def draw(
        i: int,
        classes: int,
        c: int,
        steps: int,
        lr: float,
        lam: float,
        size: float = 1.0,
        dtype: torch.dtype = torch.float32,
    ) -> tuple:
        d = Draw(7 * i + steps, dtype)
        return _Network(d, i, classes, size), c, d.uniform(-1, 1, 1, i), steps, lr, lam

    probes = [
        Probe("one step", draw(4, 3, 1, 1, 0.1, 0.2)),
        Probe("several steps", draw(5, 3, 2, 6, 0.1, 0.3)),
        Probe("no penalty", draw(3, 4, 0, 5, 0.05, 0.0)),
        Probe("no step at all", draw(3, 2, 1, 0, 0.1, 0.1)),
        Probe("logits of about 200", draw(4, 3, 1, 3, 0.001, 0.5, 100.0)),
        Probe("double precision", draw(6, 2, 1, 4, 0.1, 0.1, 1.0, torch.float64)),
    ]
    slips = [
        Slip("it goes downhill: a prototype has a high score", lambda *p: climb(*p, sign=-1.0)),
        Slip(
            "the penalty is missing",
            lambda f, c, x0, steps, lr, lam: climb(f, c, x0, steps, lr, 0.0),
        ),
        Slip("the penalty's sign is wrong: it must keep x small", lambda *p: climb(*p, pull=-2.0)),
        Slip("the derivative of |x|^2 is 2x", lambda *p: climb(*p, pull=1.0)),
        Slip(
            "it takes one step too many",
            lambda f, c, x0, steps, lr, lam: climb(f, c, x0, steps + 1, lr, lam),
        ),
        Slip(
            "it takes one step too few",
            lambda f, c, x0, steps, lr, lam: climb(f, c, x0, max(steps - 1, 0), lr, lam),
        ),
        Slip(
            "it climbs a probability, or its logarithm; the logit is asked for",
            lambda f, *p: climb(f, *p, slope=f.probability_gradient),
        ),
        Slip(
            "it climbs a probability, or its logarithm; the logit is asked for",
            lambda f, *p: climb(f, *p, slope=lambda x, c: f.probability_gradient(x, c, log=True)),
        ),
        Slip(
            "the gradient is divided by its length, or only its sign is used; the step is plain",
            lambda f, *p: climb(f, *p, slope=lambda x, c: _unit(f.gradient(x, c))),
        ),
        Slip(
            "the gradient is divided by its length, or only its sign is used; the step is plain",
            lambda f, *p: climb(
                f, *p, slope=lambda x, c: [math.copysign(1.0, g) for g in f.gradient(x, c)]
            ),
        ),
        Slip(
            "the climb starts at x0, not at zero",
            lambda f, c, x0, *p: climb(f, c, [[0.0] * len(x0[0])], *p),
        ),
        Slip("class c is asked for", lambda f, c, *p: climb(f, 0, *p)),
    ]
    judge(
        "class_prototype",
        answer,
        probes,
        climb,
        slips,
        "each step adds lr times the gradient of f_c(x) - lam |x|^2 at the present x",
    )


def _unit(vector: Vector) -> Vector:
    length = math.hypot(*vector)
    return [v / length for v in vector]


# ---------------------------------------------------------------- covering


def check_occlusion(answer: Callable[[Callable, Tensor, int, int, float], Tensor]) -> None:
    """(f, x (1, C, H, W), c, k, fill) -> (H/k, W/k): f_c(x) - f_c(x with one block set to fill)."""

    def covered(
        x: list, k: int, fill: float, a: int, b: int, channels: range | None = None
    ) -> list:
        return [
            [
                [
                    fill
                    if i // k == a and j // k == b and (channels is None or n in channels)
                    else v
                    for j, v in enumerate(row)
                ]
                for i, row in enumerate(plane)
            ]
            for n, plane in enumerate(x)
        ]

    def equation(
        f: _Network,
        x: list,
        c: int,
        k: int,
        fill: float,
        read: Callable | None = None,
        **how: object,
    ) -> Matrix:
        value = read or (lambda image: f.score(list(flat(image)), c))
        image = x[0]
        return [
            [
                value(image) - value(covered(image, k, fill, a, b, **how))
                for b in range(len(image[0][0]) // k)
            ]
            for a in range(len(image[0]) // k)
        ]

    def kept(f: _Network, x: list, c: int, k: int, fill: float) -> Matrix:
        image, rows = x[0], []
        whole = f.score(list(flat(image)), c)
        for a in range(len(image[0]) // k):
            rows.append([])
            for b in range(len(image[0][0]) // k):
                image = covered(image, k, fill, a, b)
                rows[-1].append(whole - f.score(list(flat(image)), c))
        return rows

    def draw(
        channels: int,
        h: int,
        w: int,
        classes: int,
        c: int,
        k: int,
        fill: float,
        size: float = 1.0,
        dtype: torch.dtype = torch.float32,
    ) -> tuple:
        d = Draw(13 * h + w + k, dtype)
        net = _Network(d, channels * h * w, classes, size)
        net.U, net.plain = (
            net.U / 3,
            ([[v / 3 for v in row] for row in net.plain[0]], *net.plain[1:]),
        )
        return net, d.uniform(-1, 2, 1, channels, h, w), c, k, fill

    probes = [
        Probe("a wide image", draw(1, 4, 6, 3, 1, 2, 0.5)),
        Probe("a high image of several channels", draw(3, 6, 4, 2, 1, 2, 0.3)),
        Probe("single pixels", draw(2, 3, 4, 3, 2, 1, 0.0)),
        Probe("one block for the whole image", draw(2, 3, 3, 3, 0, 3, -1.0)),
        Probe("logits of about 200", draw(1, 4, 4, 3, 2, 2, 0.2, 100.0)),
        Probe("double precision", draw(2, 6, 9, 2, 0, 3, 1.0, 1.0, torch.float64)),
    ]
    slips = [
        Slip(
            "the sign is wrong: a drop is the score before minus the score after",
            lambda *p: [[-v for v in row] for row in equation(*p)],
        ),
        Slip(
            "a drop has a sign; where the score rises it is negative",
            lambda *p: [[abs(v) for v in row] for row in equation(*p)],
        ),
        Slip(
            "a drop has a sign; where the score rises it is negative",
            lambda *p: [[max(v, 0.0) for v in row] for row in equation(*p)],
        ),
        Slip(
            "the block is set to fill, not to 0", lambda f, x, c, k, fill: equation(f, x, c, k, 0.0)
        ),
        Slip("the blocks stay covered: each is covered alone", kept),
        Slip(
            "all channels of a block are covered together",
            lambda *p: equation(*p, channels=range(1)),
        ),
        Slip(
            "the drop of the score of class c is asked for, not that of a probability",
            lambda f, x, c, *p: equation(
                f, x, c, *p, read=lambda image: f.probability(list(flat(image)), c)
            ),
        ),
        Slip(
            "the score after covering alone is no drop",
            lambda f, x, c, k, fill: [
                [f.score(list(flat(x)), c) - v for v in row] for row in equation(f, x, c, k, fill)
            ],
        ),
        Slip(
            "rows and columns are exchanged", lambda *p: [list(row) for row in zip(*equation(*p))]
        ),
        Slip(
            "the drop belongs to its block as a whole, it is not divided by the number of pixels",
            lambda f, x, c, k, fill: [
                [v / k**2 for v in row] for row in equation(f, x, c, k, fill)
            ],
        ),
        Slip(
            "the class is c, not the one with the highest score",
            lambda f, x, c, *p: equation(f, x, (s := f.scores(list(flat(x)))).index(max(s)), *p),
        ),
    ]
    judge(
        "occlusion",
        answer,
        probes,
        equation,
        slips,
        "the number at (a, b) is f_c(x) less f_c of a copy of x whose block (a, b) is fill",
    )


def check_conservation_error(answer: Callable[[Tensor, Tensor], Tensor]) -> None:
    """(R (N, ...), fx (N,)) -> (N,): |sum of all relevances of a sample - f(x)|."""

    def equation(
        R: list, fx: Vector, gap: Callable = lambda values, f: abs(sum(values) - f)
    ) -> Vector:
        return [gap(list(flat(sample)), f) for sample, f in zip(R, fx)]

    def draw(*size: int, scale: float = 1.0, dtype: torch.dtype = torch.float32) -> tuple:
        d = Draw(sum(size), dtype)
        return d.uniform(-scale, 2 * scale, *size), d.uniform(-3 * scale, 3 * scale, size[0])

    exact = draw(3, 4)
    probes = [
        Probe("one sample", draw(1, 5)),
        Probe("several samples", draw(4, 3)),
        Probe("images of several channels", draw(3, 2, 4, 5)),
        Probe("as many samples as features", draw(4, 4)),
        Probe("relevance that conserves exactly", (exact[0], exact[0].sum(1))),
        Probe("a score of zero", (exact[0], _zeros(3))),
        Probe(
            "scores of about 200 in double precision", draw(3, 6, scale=100.0, dtype=torch.float64)
        ),
        Probe("volumes", draw(2, 2, 2, 3, 2)),
    ]
    slips = [
        Slip("the error is an absolute value", lambda *p: equation(*p, lambda v, f: sum(v) - f)),
        Slip("the error is an absolute value", lambda *p: equation(*p, lambda v, f: f - sum(v))),
        Slip(
            "relevances are summed, not averaged",
            lambda *p: equation(*p, lambda v, f: abs(sum(v) / len(v) - f)),
        ),
        Slip(
            "relevances are summed with their sign",
            lambda *p: equation(*p, lambda v, f: abs(sum(map(abs, v)) - f)),
        ),
        Slip(
            "the absolute value is taken of the difference, not of the parts",
            lambda *p: equation(*p, lambda v, f: abs(abs(sum(v)) - abs(f))),
        ),
        Slip(
            "the error is not relative: it has the unit of the score",
            lambda *p: equation(*p, lambda v, f: abs(sum(v) - f) / abs(f)),
        ),
        Slip("the error is not squared", lambda *p: equation(*p, lambda v, f: (sum(v) - f) ** 2)),
        Slip(
            "each sample has an error of its own; nothing is averaged over the batch",
            lambda *p: [sum(e := equation(*p)) / len(e)] * len(p[1]),
        ),
    ]
    judge(
        "conservation_error",
        answer,
        probes,
        equation,
        slips,
        "sum all relevances of one sample, whatever its shape, and compare with its own score",
    )


# ---------------------------------------------------------------- games


def check_lime_weights(answer: Callable[[Callable, Tensor, Tensor, float], Tensor]) -> None:
    """(f, x (D,), Z (M, D), sigma) -> (D,): weighted least squares with intercept of f(z * x) on z,
    weights exp(-|1 - z|^2 / sigma^2).
    """

    def fitted(
        f: _One,
        x: Vector,
        Z: Matrix,
        sigma: float,
        weight: Callable | None = None,
        rows: Callable | None = None,
        intercept: bool = True,
        ridge: float = 0.0,
    ) -> Vector:
        weight = weight or (lambda z: math.exp(-sum((1 - v) ** 2 for v in z) / sigma**2))
        y = [f.net.score((rows or (lambda z: [a * b for a, b in zip(z, x)]))(z), 0) for z in Z]
        design = [[1.0, *z] if intercept else list(z) for z in Z]
        n = len(design[0])
        A = [
            [
                sum(weight(z) * d[i] * d[j] for z, d in zip(Z, design))
                + (ridge if i == j and i >= intercept else 0.0)
                for j in range(n)
            ]
            for i in range(n)
        ]
        b = [sum(weight(z) * d[i] * v for z, d, v in zip(Z, design, y)) for i in range(n)]
        return _solved(A, b)[int(intercept) :]

    def draw(
        d_: int, m: int, sigma: float, size: float = 1.0, dtype: torch.dtype = torch.float32
    ) -> Callable[[Draw], tuple]:
        return lambda d: (
            _One(_Network(d, d_, 2, size)),
            d.uniform(-2, 2, d_),
            d.index(2, m, d_).to(d.dtype),
            sigma,
        )

    def fit(f: _One, x: Vector, Z: Matrix, sigma: float) -> bool:
        columns = list(zip(*Z))
        return (
            len(set(columns)) == len(columns)
            and all(0.2 < sum(c) / len(c) < 0.8 for c in columns)
            and min(abs(v) for v in x) > 0.2
        )

    every = _tensor(list(itertools.product((0.0, 1.0), repeat=4)))
    probes = [
        Probe(
            "all coalitions of four features",
            (_One(_Network(d := Draw(1), 4, 2)), d.uniform(-2, 2, 4), every, 1.5),
        ),
        Probe("drawn coalitions", first(draw(3, 40, 1.0), fit)),
        Probe("a wide neighbourhood", first(draw(5, 60, 4.0), fit)),
        Probe(
            "one feature",
            (
                _One(_Network(d := Draw(3), 1, 2)),
                d.uniform(1, 2, 1),
                _tensor([[0.0], [1.0], [1.0]]),
                1.0,
            ),
        ),
        Probe("scores of about 200", first(draw(4, 50, 2.0, 50.0), fit, torch.float64)),
        Probe("double precision", first(draw(4, 30, 2.0), fit, torch.float64)),
    ]

    def distance(z: Vector) -> float:
        return sum((1 - v) ** 2 for v in z)

    slips = [
        Slip("the intercept is missing in the fit", lambda *p: fitted(*p, intercept=False)),
        Slip("the fit is not weighted", lambda *p: fitted(*p, weight=lambda z: 1.0)),
        Slip(
            "the weights act twice: rows are multiplied by the root of the weight",
            lambda f, x, Z, s: fitted(
                f, x, Z, s, weight=lambda z: math.exp(-2 * distance(z) / s**2)
            ),
        ),
        Slip(
            "the weights act by half",
            lambda f, x, Z, s: fitted(
                f, x, Z, s, weight=lambda z: math.exp(-distance(z) / s**2 / 2)
            ),
        ),
        Slip(
            "sigma is squared in the weight",
            lambda f, x, Z, s: fitted(f, x, Z, s, weight=lambda z: math.exp(-distance(z) / s)),
        ),
        Slip(
            "the distance |1 - z|^2 is squared",
            lambda f, x, Z, s: fitted(
                f, x, Z, s, weight=lambda z: math.exp(-math.sqrt(distance(z)) / s**2)
            ),
        ),
        Slip(
            "near is what keeps most: the distance is from z to 1, not to 0",
            lambda f, x, Z, s: fitted(
                f, x, Z, s, weight=lambda z: math.exp(-sum(v * v for v in z) / s**2)
            ),
        ),
        Slip("the network is asked about z; it must see z * x", lambda *p: fitted(*p, rows=list)),
        Slip(
            "the network must see z * x: what is absent is 0, what is present keeps its value",
            lambda f, x, Z, s: fitted(
                f, x, Z, s, rows=lambda z: [(1 - a) * b for a, b in zip(z, x)]
            ),
        ),
        Slip("no ridge penalty is asked for", lambda *p: fitted(*p, ridge=1.0)),
        Slip(
            "the weights of z are asked for, not their products with x",
            lambda f, x, Z, s: [a * b for a, b in zip(fitted(f, x, Z, s), x)],
        ),
    ]
    judge(
        "lime_weights",
        answer,
        probes,
        fitted,
        slips,
        "minimise the weighted sum of (f(z * x) - w0 - w z)^2 over w0 and w, and return w",
    )


def _solved(A: Matrix, b: Vector) -> Vector:
    """Gauss-Jordan elimination with pivots."""
    rows = [row + [value] for row, value in zip(A, b)]
    for k in range(len(rows)):
        pivot = max(range(k, len(rows)), key=lambda i: abs(rows[i][k]))
        rows[k], rows[pivot] = rows[pivot], rows[k]
        rows[k] = [v / rows[k][k] for v in rows[k]]
        for i in range(len(rows)):
            if i != k:
                rows[i] = [v - rows[i][k] * w for v, w in zip(rows[i], rows[k])]
    return [row[-1] for row in rows]


def check_shapley_values(answer: Callable[[Tensor], Tensor]) -> None:
    """v (2^P,), v[k] the worth of the coalition of the players whose bit is set in k -> (P,)
    Shapley values.
    """

    def over(v: Vector, orders: Callable) -> Vector:
        P = len(v).bit_length() - 1
        worth, chosen = [0.0] * P, list(orders(range(P)))
        for order in chosen:
            there = 0
            for i in order:
                worth[i] += (v[there | 1 << i] - v[there]) / len(chosen)
                there |= 1 << i
        return worth

    def mean(v: Vector, weight: Callable) -> Vector:
        P = len(v).bit_length() - 1
        return [
            sum(
                weight(bin(k).count("1"), P) * (v[k | 1 << i] - v[k])
                for k in range(len(v))
                if not k >> i & 1
            )
            for i in range(P)
        ]

    def draw(
        p: int, size: float = 1.0, dtype: torch.dtype = torch.float32, empty: bool = False
    ) -> tuple:
        v = Draw(p, dtype).uniform(-size, 2 * size, 2**p)
        if empty:
            v[0] = 0
        return (v,)

    probes = [
        Probe("two players", draw(2)),
        Probe("three players, nothing for nobody", draw(3, empty=True)),
        Probe("four players", draw(4)),
        Probe("one player", draw(1)),
        Probe("five players", draw(5)),
        Probe("a player who adds nothing", (_tensor([1.0, 3.0, 2.0, 7.0] * 2),)),
        Probe("a game of negative numbers", (-draw(3)[0],)),
        Probe("scores of about 200 in double precision", draw(4, 100.0, torch.float64)),
    ]
    slips = [
        Slip(
            (
                "all coalitions count the same; the weight depends on how many players are there "
                "already"
            ),
            lambda v: mean(v, lambda s, P: 0.5 ** (P - 1)),
        ),
        Slip(
            "only the full coalition is looked at: a player's leaving is one of many orders",
            lambda v: mean(v, lambda s, P: float(s == P - 1)),
        ),
        Slip(
            "only the empty coalition is looked at: a player's coming first is one of many orders",
            lambda v: mean(v, lambda s, P: float(s == 0)),
        ),
        Slip(
            "one order is not enough: the mean is over all orders",
            lambda v: over(v, lambda r: [tuple(r)]),
        ),
        Slip(
            "the bits are read in the wrong order: player i is bit i of k, the lowest bit player 0",
            lambda v: over(v, itertools.permutations)[::-1],
        ),
        Slip(
            "the weight is |S|! (P - |S| - 1)! / P!",
            lambda v: mean(
                v, lambda s, P: math.factorial(s) * math.factorial(P - s) / math.factorial(P)
            ),
        ),
        Slip(
            "the mean over orders divides by P!",
            lambda v: mean(v, lambda s, P: float(math.factorial(s) * math.factorial(P - s - 1))),
        ),
        Slip(
            "the values sum to v(all) - v(none), not to v(all)",
            lambda v: [
                w + v[0] / len(over(v, itertools.permutations))
                for w in over(v, itertools.permutations)
            ],
        ),
        Slip(
            "the sign is wrong: what a player adds is the worth with it less the worth without it",
            lambda v: [-w for w in over(v, itertools.permutations)],
        ),
    ]
    judge(
        "shapley_values",
        answer,
        probes,
        lambda v: over(v, itertools.permutations),
        slips,
        "what player i adds to each coalition without it, averaged over all orders of coming in",
    )
