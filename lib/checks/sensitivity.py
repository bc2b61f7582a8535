"""The checks of the exercises on sensitivity."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, arange, eye, float64, linspace, nn, tensor

from ._helpers import (
    Draw,
    close,
    drawn,
    exercise,
    gradient,
    judge,
    judge_draws,
    network,
    plain,
    standard,
)

LOOSE = 0.01  # any way to average over the path that is complete within 1 %


def classes(d: Draw, n: int, i: int, j: int, kind: type[nn.Module] = nn.ReLU) -> tuple:
    """(f, x, c) for methods that differentiate the logit of a class."""
    return network(d, (i, 5, j), kind, d.size), d.uniform(-1, 2, n, i), d.index(j, n)


def telling(f: nn.Sequential, x: Tensor, c: Tensor, *_: object) -> bool:
    """No ReLU is near its kink, and the classes are neither alike nor those of the prediction."""
    other, several = (f(x).argmax(1) != c).any(), len(x) == 1 or len(c.unique()) > 1
    steep = gradient(f, x, c)[0].abs().max() > 0.2
    return bool(other and several and steep and f[0](x).abs().min() > 0.05)


def probes_of_classes() -> dict[str, tuple]:
    many = standard(lambda d, n, i, j: classes(d, n, i, j), telling, 10, leave=["one output"])
    smooth = drawn(lambda d: classes(d, 3, 6, 4, nn.Tanh), clear=telling)
    return many | {"a smooth network": smooth}


@exercise
def check_sensitivity(answer: Callable) -> None:
    """(f, x (N, D), c (N,)) -> (N, D): R_i = (df_c/dx_i)^2, sample by sample."""

    def best(scores: Tensor) -> Tensor:
        return scores.max(1, keepdim=True).values.expand_as(scores)

    judge(
        answer,
        probes_of_classes(),
        lambda *v: gradient(*v) ** 2,
        {
            "this is the gradient; sensitivity is its square": gradient,
            "absolute values are taken; square them": lambda *v: gradient(*v).abs(),
            "it multiplies by the input": lambda f, x, c: gradient(f, x, c) * x,
            "it is the derivative of the squared score": lambda *v: gradient(*v, of=lambda s: s**2),
            "it differentiates a probability, or its logarithm; the logit is asked for": (
                lambda *v: gradient(*v, of=lambda s: s.softmax(1)) ** 2,
                lambda *v: gradient(*v, of=lambda s: s.log_softmax(1)) ** 2,
            ),
            "it differentiates the highest logit": lambda *v: gradient(*v, of=best) ** 2,
        },
        "the values are not the squared derivatives of the logit of class c, sample by sample",
    )


@dataclass(frozen=True, eq=False)
class Smooth:
    """size times sum_i sin(w_i v_i) + v_i^3 / 5 + v_i v_{i+1}: (B, D) -> (B,)."""

    w: Tensor
    size: float = 1.0

    def __call__(self, v: Tensor) -> Tensor:
        if v.dim() != 2 or v.shape[1] != len(self.w):
            raise ValueError(
                f"f: expected points of shape (B, {len(self.w)}), got {tuple(v.shape)}"
            )
        waves = (v * self.w.to(v)).sin().sum(1)
        return self.size * (waves + (v**3).sum(1) / 5 + (v * v.roll(-1, 1)).sum(1))


@exercise
def check_finite_diff(answer: Callable) -> None:
    """(f, x (D,), h) -> (D,): (f(x + h e_i) - f(x - h e_i)) / 2h, with f from (B, D) to (B,)."""

    def between(ahead: float, behind: float, over: float) -> Callable:
        return lambda f, x, h: (
            (f(x + ahead * h * eye(len(x))) - f(x - behind * h * eye(len(x)))) / (over * h)
        )

    def all_at_once(f: Callable, x: Tensor, h: float) -> Tensor:
        return ((f((x + h)[None]) - f((x - h)[None])) / (2 * h)).expand(len(x))

    def exact(f: Callable, x: Tensor, h: float) -> Tensor:
        return gradient(lambda v: f(v)[:, None], x[None], tensor([0]))[0]

    def make(d: Draw, i: int, h: float) -> tuple:
        return Smooth(d.uniform(-1, 1, i)), d.uniform(-2, 2, i), h

    kinds = {
        "a wide step, where the kind of difference shows": (4, 0.5),
        "one input": (1, 0.3),
        "a small step": (6, 1e-3),
        "another step": (3, 0.1),
        "a tiny step: the error must fall with the square of h": (5, 1e-5),
    }
    judge(
        answer,
        {kind: drawn(make, *sizes, dtype=float64) for kind, sizes in kinds.items()},
        between(1, 1, 2),
        {
            "it takes forward differences; step to both sides": between(1, 0, 1),
            "it takes backward differences; step to both sides": between(0, 1, 1),
            "it divides by h; the two points are 2 h apart": between(1, 1, 1),
            "it does not divide by 2 h": lambda f, x, h: 2 * h * between(1, 1, 2)(f, x, h),
            "it moves all inputs at once; one input at a time": all_at_once,
            "this is the exact derivative; differences with the given step are asked for": exact,
        },
        "the values are not the central differences; each input moves alone, to both sides",
    )


class Quadratic(nn.Module):
    """f_c(v) = v' Q_c v / 2 + w_c' v: its gradient at v + sigma noise is normal, with known mean
    and spread. (B, D) -> (B, 2).
    """

    Q = tensor([[[2, 1, 0], [1, -1, 0.5], [0, 0.5, 1.5]], [[0.5, -1, 1], [-1, 2, 0], [1, 0, -1]]])
    w = tensor([[1, -2, 0.5], [0, 3, -1]])

    def forward(self, v: Tensor) -> Tensor:
        return ((v @ self.Q.to(v)) * v).sum(-1).T / 2 + v @ self.w.to(v).T


@exercise
def check_smoothgrad(answer: Callable) -> None:
    """(f, x (N, D), c (N,), n, sigma) -> (N, D): the mean of n input gradients at x + sigma *
    noise.
    """
    f, point, half = Quadratic(), tensor([0.5, -1, 2]), 150
    x, c = point.repeat(2 * half, 1), arange(2 * half) % 2
    mean, square = (v.repeat(half, 1) for v in (f.Q @ point + f.w, (f.Q**2).sum(2)))
    cases = [(n, sigma, sigma**2 / n * square) for n, sigma in ((1, 0.7), (16, 2.0))]
    judge(
        answer,
        {f"{kind}, sigma 0": (*given, 3, 0.0) for kind, given in probes_of_classes().items()},
        lambda f, x, c, n, sigma: gradient(f, x, c),
        {
            "the n gradients are summed; take their mean": lambda *v: v[3] * gradient(*v[:3]),
            "the gradients are squared; take their mean": lambda *v: gradient(*v[:3]) ** 2,
        },
        "without noise the result must be the gradient of the logit of class c, sample by sample",
    )
    for n, sigma, var in cases:
        kind = f"n = {n} and sigma = {sigma}"
        judge_draws(answer, (f, x, c, n, sigma), mean, var, kind, copies=n)


@dataclass(frozen=True)
class Zigzag:
    """A piecewise linear function (B,) -> (B,): slopes[k] between the kinks k - 1 and k."""

    kinks: tuple
    slopes: tuple
    height: float = 0.0

    def __call__(self, t: Tensor) -> Tensor:
        if t.dim() != 1:
            raise ValueError(f"f: expected points of shape (B,), got {tuple(t.shape)}")
        result = self.height + self.slopes[0] * t
        for kink, before, after in zip(self.kinks, self.slopes, self.slopes[1:], strict=False):
            result = result + (after - before) * (t - kink).clamp(min=0)
        return result


@exercise
def check_n_pieces(answer: Callable) -> None:
    """(f: (B,) -> (B,), a, b, n=2001) -> the number of linear pieces of f on [a, b]."""

    def equation(f: Zigzag, a: float, b: float, n: int = 2001) -> int:
        return 1 + sum(a < kink < b for kink in f.kinks)

    def grid(f: Zigzag, a: float, b: float, n: int = 2001) -> Tensor:
        """Slopes between neighbours of n points."""
        t = linspace(a, b, n)
        return f(t).diff() / t.diff()

    def bends(*v: object) -> int:
        return int((grid(*v).diff().abs() > 1e-3).sum())  # type: ignore[arg-type]

    def tent(depth: int) -> Zigzag:
        """A zigzag of 2^depth pieces with slopes +-2^depth, as composed tent maps have it."""
        p = 2**depth
        return Zigzag(tuple(k / p for k in range(1, p)), tuple(p * (-1.0) ** k for k in range(p)))

    slow = Zigzag((0.11, 0.2707, 0.433, 0.6123, 0.8819), (1.0, 3.0, 1.5, 0.5, 2.0, 1.0))
    flat = Zigzag((-1.2345, 0.3217, 1.7771), (0.0, 2.0, 0.0, -1.5), 4.0)
    back = Zigzag((0.25, 0.5, 0.75), (1.0, -1.0, 1.0, -1.0))
    judge(
        answer,
        {
            "a straight line": (Zigzag((), (2.0,)), 0.0, 1.0),
            "slopes that come back": (back, 0.0, 1.0),
            "one kink between two points of a grid": (Zigzag((0.33333,), (1.0, -1.0)), 0.0, 1.0),
            "tent maps of depth 3": (tent(3), 0.0, 1.0),
            "slopes that change without a change of sign": (slow, 0.0, 1.0),
            "flat pieces, on an interval that starts below 0": (flat, -2.0, 3.0),
            "tent maps of depth 5": (tent(5), 0.0, 1.0),
            "another n": (tent(2), 0.0, 1.0, 501),
            "a part of the interval": (tent(4), 0.0, 0.7),
            "an even n, and kinks on the points of the grid": (
                Zigzag((0.25, 0.5), (1.0, 0.0, 1.0)),
                0.0,
                1.0,
                1001,
            ),
        },
        equation,
        {
            "these are the kinks; k kinks lie between k + 1 pieces": lambda *v: equation(*v) - 1,
            "a kink inside a cell of the grid is counted twice": (lambda *v: bends(*v) + 1, bends),
            "different slopes are counted": lambda *v: len(grid(*v).round(decimals=3).unique()),
            "only changes of the slope's sign are counted": lambda *v: (
                1 + sum(p * q < 0 for p, q in itertools.pairwise(v[0].slopes))
            ),
            "one piece too many is counted": lambda *v: equation(*v) + 1,
        },
        "the number of pieces is wrong: count runs of equal slope, a kink inside a cell once",
        tolerance=1e-6,
    )


@exercise
def check_integrated_gradients(answer: Callable) -> None:
    """(f, x (N, D), x0 (N, D), c (N,), m=64) -> (N, D): (x - x0) * mean of the gradient along the
    straight path from x0 to x.
    """

    def path(f: nn.Module, x: Tensor, x0: Tensor, c: Tensor, parts: Tensor) -> Tensor:
        """The gradients along the path, (m, N, D)."""
        t = parts.to(x)[:, None, None]
        points = (x0 + t * (x - x0)).flatten(0, 1)
        return gradient(f, points, c.repeat(len(t))).view(len(t), *x.shape)

    middle = (arange(64) + 0.5) / 64

    def mean(f: nn.Module, x: Tensor, x0: Tensor, c: Tensor, m: int = 64) -> Tensor:
        return path(f, x, x0, c, middle).mean(0)

    def equation(f: nn.Module, x: Tensor, x0: Tensor, c: Tensor, m: int = 64) -> Tensor:
        return (x - x0) * mean(f, x, x0, c)

    def shrunk(f: nn.Module, x: Tensor, x0: Tensor, c: Tensor, m: int = 64) -> Tensor:
        return (x - x0) * (middle.to(x)[:, None, None] * path(f, x, x0, c, middle)).mean(0)

    def make(d: Draw, n: int, i: int, j: int) -> tuple:
        f, x, c = classes(d, n, i, j, nn.Tanh)
        return f, x, d.uniform(-2, 1, n, i), c

    def clear(f: nn.Module, x: Tensor, x0: Tensor, c: Tensor) -> bool:
        """Sums of m terms agree, also of points that are off by one, and no single point does."""
        wanted = equation(f, x, x0, c).tolist()

        def near(parts: Tensor, tolerance: float) -> bool:
            found = (x - x0) * path(f, x, x0, c, parts).mean(0)
            return close(found.tolist(), wanted, tolerance)

        alone = any(near(tensor([t]), 5 * LOOSE) for t in (0.0, 0.5, 1.0))
        grids = middle - 1 / 64, middle + 1 / 64, linspace(0, 1, 64)
        return not alone and all(near(grid, LOOSE * 0.7) for grid in grids)

    probes = standard(make, clear, 1, leave=["one feature", "one output"])
    judge(
        answer,
        probes | {"another m": (*drawn(make, 3, 5, 2, clear=clear), 200)},
        equation,
        {
            "this is the gradient at x": lambda f, x, x0, c, m=64: (x - x0) * gradient(f, x, c),
            "this is the gradient at x0": lambda f, x, x0, c, m=64: (x - x0) * gradient(f, x0, c),
            "the factor x - x0 is missing": mean,
            "x0 is taken for 0": lambda f, x, x0, c, m=64: equation(f, x, 0 * x, c),
            "the m gradients are summed": lambda f, x, x0, c, m=64: m * equation(f, x, x0, c),
            "it multiplies by the difference at every point of the path": shrunk,
        },
        "the values are not those of the path integral; they sum to f_c(x) - f_c(x0)",
        tolerance=LOOSE,
    )

    def straight(d: Draw, n: int, i: int, j: int) -> tuple:
        """One linear layer: on its path every sum of m terms is exact."""
        x, x0 = d.uniform(-1, 2, n, i), d.uniform(-2, 1, n, i)
        return plain(network(d, (i, j))), x, x0, d.index(j, n)

    judge(
        answer,
        {"a linear function": drawn(straight, 4, 5, 3)},
        equation,
        {},
        "the values are not exact where the gradient is the same all along the path",
    )


@exercise
def check_guided_relu(answer: Callable) -> None:
    """(z (N, J), g (N, J)) -> (N, J): what guided backprop sends back through a ReLU, max(0, g)
    where z > 0, else 0.
    """

    def make(d: Draw, n: int, j: int) -> tuple:
        return d.large(-2, 2, n, j), d.uniform(-3, 3, n, j)

    def clear(z: Tensor, g: Tensor) -> bool:
        """All four pairs of signs occur."""
        return len((2 * (z > 0) + (g > 0)).unique()) == 4

    zeros = tensor([[0.0, 0, 1, -1, 2]]), tensor([[1.0, -1, 0, 2, 0.5]])
    judge(
        answer,
        standard(make, clear, leave=["one feature"])
        | {"an input z of exactly 0, where the neuron is at rest": zeros},
        lambda z, g: g.relu() * (z > 0),
        {
            "this is the gradient: negative messages must be stopped too": lambda z, g: g * (z > 0),
            "this is the deconvnet: a neuron at rest passes nothing": lambda z, g: g.relu(),
            "the message is multiplied by the activation": lambda z, g: z.relu() * g.relu(),
            "where z is exactly 0 the neuron is at rest": lambda z, g: g.relu() * (z >= 0),
            "negative messages are turned positive": lambda z, g: g.abs() * (z > 0),
        },
        "two conditions must hold for a message to pass, one on z and one on g",
    )


@exercise
def check_grad_cam_map(answer: Callable) -> None:
    """(A (N, K, h, w), g (N, K, h, w)) -> (N, h, w): max(0, sum_k alpha_k A_k), alpha_k the mean of
    g_k over its positions.
    """

    def alpha(g: Tensor) -> Tensor:
        return g.mean((2, 3), keepdim=True)

    def make(d: Draw, *sizes: int) -> tuple:
        return d.uniform(-0.5, 2, *sizes), d.uniform(-2, 2, *sizes)

    def clear(A: Tensor, g: Tensor) -> bool:
        values = (alpha(g) * A).sum(1)
        return bool(values.min() < -0.1 and values.max() > 0.1)

    kinds = {
        "several samples, taller than wide": (3, 2, 5, 2),
        "one sample": (1, 3, 4, 5),
        "as many samples as channels, rows and columns": (3, 3, 3, 3),
    }
    one = {"one channel": drawn(make, 2, 1, 2, 3, clear=clear, dtype=float64)}
    judge(
        answer,
        {kind: drawn(make, *sizes, clear=clear) for kind, sizes in kinds.items()} | one,
        lambda A, g: (alpha(g) * A).sum(1).relu(),
        {
            "negative values remain: a ReLU comes last": lambda A, g: (alpha(g) * A).sum(1),
            "the ReLU comes too early, before the sum": lambda A, g: (alpha(g) * A).relu().sum(1),
            "negative weights are dropped": lambda A, g: (alpha(g).relu() * A).sum(1).relu(),
            "the weights are sums; they are means": lambda A, g: (
                (g.sum((2, 3), keepdim=True) * A).sum(1).relu()
            ),
            "gradient and map are multiplied place by place": lambda A, g: (g * A).sum(1).relu(),
            "the channels are averaged, not summed": lambda A, g: (alpha(g) * A).mean(1).relu(),
        },
        "the map is not that of the equation: mean of g, sum over the channels, then max(0, .)",
    )
