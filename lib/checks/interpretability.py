"""The checks of the exercises on interpretability."""

import itertools
import math
from collections.abc import Callable
from typing import Any

from torch import Tensor, cat, float64, linalg, nn, ones, tensor, zeros

from ._helpers import Draw, drawn, exercise, gradient, judge, network, plain, standard


def scores(d: Draw, inputs: int, classes: int, size: float = 1.0) -> Callable:
    """A smooth function (N, ...) -> (N, classes)."""
    return plain(network(d, (inputs, 4, classes), nn.Tanh), size)


# ---------------------------------------------------------------- linear models and gradients


@exercise
def check_linear_contributions(answer: Callable) -> None:
    """(w (D,), x (N, D), x0 (D,)) -> (N, D): R_i = w_i (x_i - x0_i)."""

    def make(d: Draw, n: int, i: int) -> tuple:
        return d.large(-1, 1, i), d.uniform(-2, 3, n, i), d.uniform(-1, 2, i)

    w, x, x0 = drawn(make, 3, 5)
    judge(
        answer,
        standard(make)
        | {"a reference of zeros": (w, x, 0 * x0)}
        | {"a sample that is the reference": (w, x0[None].clone(), x0)},
        lambda w, x, x0: w * (x - x0),
        {
            "the reference x0 does not take part": lambda w, x, x0: w * x,
            "a contribution has a sign": lambda w, x, x0: (w * (x - x0)).abs(),
            "the weights do not take part": lambda w, x, x0: x - x0,
            "the shares are divided by their sum": lambda w, x, x0: (
                w * (x - x0) / (w * (x - x0)).sum(1, keepdim=True)
            ),
        },
        "the contributions of a sample must sum to f(x) - f(x0), each from its own feature alone",
    )


@exercise
def check_grad_times_input(answer: Callable) -> None:
    """(f, x (N, D), c (N,)) -> (N, D): R = x df_c/dx, sample by sample."""

    def make(d: Draw, n: int, i: int, j: int) -> tuple:
        return scores(d, i, j, d.size), d.uniform(-1, 1, n, i), d.index(j, n)

    def clear(f: Callable, x: Tensor, c: Tensor) -> bool:
        """The classes are neither alike nor those of the prediction."""
        return c.numel() == 1 or bool(len(c.unique()) > 1 and (f(x).argmax(1) != c).any())

    def total(s: Tensor) -> Tensor:
        return s.sum(1, keepdim=True).expand_as(s)

    f, x, c = drawn(make, 4, 5, 3, clear=clear)
    x[:, ::2] = 0
    judge(
        answer,
        standard(make, clear, leave=["one output"]) | {"zeros in the input": (f, x, c)},
        lambda f, x, c: x * gradient(f, x, c),
        {
            "this is the gradient; the factor x is missing": gradient,
            "scores of all classes are added up": lambda f, x, c: x * gradient(f, x, c, of=total),
            "a probability is explained, or its logarithm; the logit is asked for": (
                lambda f, x, c: x * gradient(f, x, c, of=lambda s: s.softmax(1)),
                lambda f, x, c: x * gradient(f, x, c, of=lambda s: s.log_softmax(1)),
            ),
            "each sample has its class": lambda f, x, c: x * gradient(f, x, c[:1].expand_as(c)),
            "the class is c, not the best one": lambda f, x, c: x * gradient(f, x, f(x).argmax(1)),
            "relevance has a sign": lambda f, x, c: (x * gradient(f, x, c)).abs(),
        },
        "for each sample: derivative of the logit of its own class c by x_i, times x_i",
    )


@exercise
def check_class_prototype(answer: Callable) -> None:
    """(f, c, x0 (1, D), steps, lr, lam) -> (1, D): plain gradient ascent on f_c(x) - lam |x|^2 from
    x0.
    """

    def climb(
        f: Callable,
        c: int,
        x0: Tensor,
        steps: int,
        lr: float,
        lam: float,
        *,
        of: Callable = lambda s: s,
        pull: float = 2.0,
    ) -> Tensor:
        x = x0
        for _ in range(steps):
            x = x + lr * (gradient(f, x, tensor([c]), of=of) - pull * lam * x)
        return x

    def make(
        d: Draw, i: int, j: int, c: int, steps: int, lr: float, lam: float, size: float = 1
    ) -> tuple:
        return scores(d, i, j, size), c, d.uniform(-1, 1, 1, i), steps, lr, lam

    judge(
        answer,
        {
            "one step": drawn(make, 4, 3, 1, 1, 0.1, 0.2),
            "several steps": drawn(make, 5, 3, 2, 6, 0.1, 0.3),
            "no penalty": drawn(make, 3, 4, 0, 5, 0.05, 0.0),
            "no step at all": drawn(make, 3, 2, 1, 0, 0.1, 0.1),
            "logits of about 200": drawn(make, 4, 3, 1, 3, 0.001, 0.5, 100),
            "double precision": drawn(make, 6, 2, 1, 4, 0.1, 0.1, dtype=float64),
        },
        climb,
        {
            "it goes downhill, not up": lambda f, c, x0, n, lr, lam: climb(f, c, x0, n, -lr, lam),
            "the penalty is missing": lambda *v: climb(*v, pull=0),
            "the penalty's sign is wrong: it must keep x small": lambda *v: climb(*v, pull=-2),
            "the derivative of |x|^2 is 2x": lambda *v: climb(*v, pull=1),
            "one step too many": lambda f, c, x0, n, lr, lam: climb(f, c, x0, n + 1, lr, lam),
            "it climbs a probability, no logit": lambda *v: climb(*v, of=lambda s: s.softmax(1)),
            "the climb starts at x0, not at zero": lambda f, c, x0, *v: climb(f, c, 0 * x0, *v),
        },
        "each step adds lr times the gradient of f_c(x) - lam |x|^2 at the present x",
    )


# ---------------------------------------------------------------- covering


@exercise
def check_occlusion(answer: Callable) -> None:
    """(f, x (1, C, H, W), c, k, fill) -> (H/k, W/k): f_c(x) - f_c(x with one block set to fill)."""

    def equation(
        f: Callable,
        x: Tensor,
        c: int,
        k: int,
        fill: float,
        *,
        of: Callable = lambda s: s,
        channels: Any = slice(None),
        keep: bool = False,
    ) -> Tensor:
        rows, columns = x.shape[2] // k, x.shape[3] // k
        drops, y = zeros(rows, columns), x.clone()
        for a, b in itertools.product(range(rows), range(columns)):
            y = y if keep else x.clone()
            y[:, channels, a * k : (a + 1) * k, b * k : (b + 1) * k] = fill
            drops[a, b] = of(f(x))[0, c] - of(f(y))[0, c]
        return drops

    def make(
        d: Draw, n: int, h: int, w: int, j: int, c: int, k: int, fill: float, size: float = 1
    ) -> tuple:
        return scores(d, n * h * w, j, size), d.uniform(-0.5, 1, 1, n, h, w), c, k, fill

    judge(
        answer,
        {
            "a wide image": drawn(make, 1, 4, 6, 3, 1, 2, 0.5),
            "a high image of several channels": drawn(make, 3, 6, 4, 2, 1, 2, 0.3),
            "single pixels": drawn(make, 2, 3, 4, 3, 2, 1, 0.0),
            "one block for the whole image": drawn(make, 2, 3, 3, 3, 0, 3, -1.0),
            "logits of about 200": drawn(make, 1, 4, 4, 3, 2, 2, 0.2, 100),
            "double precision": drawn(make, 2, 6, 9, 2, 0, 3, 1.0, dtype=float64),
        },
        equation,
        {
            "the sign is wrong: before minus after": lambda *v: -equation(*v),
            "a drop has a sign": (lambda *v: equation(*v).abs(), lambda *v: equation(*v).relu()),
            "the block is set to fill, not to 0": lambda f, x, c, k, fill: equation(f, x, c, k, 0),
            "the blocks stay covered; each is covered alone": lambda *v: equation(*v, keep=True),
            "all channels of a block are covered": lambda *v: equation(*v, channels=0),
            "this is the drop of a probability": lambda *v: equation(*v, of=lambda s: s.softmax(1)),
        },
        "the number at (a, b) is f_c(x) less f_c of a copy of x whose block (a, b) is fill",
    )


@exercise
def check_conservation_error(answer: Callable) -> None:
    """(R (N, ...), fx (N,)) -> (N,): |sum of all relevances of a sample - f(x)|."""

    def total(R: Tensor) -> Tensor:
        return R.flatten(1).sum(1)

    def make(d: Draw, n: int, *sizes: int) -> tuple:
        return d.large(-1, 2, n, *sizes), d.large(-3, 3, n)

    R, fx = drawn(make, 3, 4)
    judge(
        answer,
        standard(lambda d, n, i: make(d, n, i))
        | {"images of several channels": drawn(make, 3, 2, 4, 5)}
        | {"volumes": drawn(make, 2, 2, 2, 3, 2)}
        | {"relevance that conserves exactly": (R, R.sum(1)), "a score of zero": (R, 0 * fx)},
        lambda R, fx: (total(R) - fx).abs(),
        {
            "the error is an absolute value": lambda R, fx: fx - total(R),
            "relevances are averaged; sum them": lambda R, fx: (R.flatten(1).mean(1) - fx).abs(),
            "relevances are summed with their sign": lambda R, fx: (total(R.abs()) - fx).abs(),
            "take the absolute value last": lambda R, fx: (total(R).abs() - fx.abs()).abs(),
            "the error is not relative": lambda R, fx: (total(R) - fx).abs() / fx.abs(),
        },
        "sum all relevances of one sample, whatever its shape, and compare with its own score",
    )


# ---------------------------------------------------------------- games


@exercise
def check_lime_weights(answer: Callable) -> None:
    """(f, x (D,), Z (M, D), sigma) -> (D,): weighted least squares with intercept of f(z * x) on z,
    weights exp(-|1 - z|^2 / sigma^2).
    """

    def fitted(
        f: Callable,
        x: Tensor,
        Z: Tensor,
        sigma: float,
        *,
        weight: Tensor | None = None,
        intercept: bool = True,
    ) -> Tensor:
        A = cat([ones(len(Z), int(intercept)), Z], 1)
        near = (-((1 - Z) ** 2).sum(1) / sigma**2).exp() if weight is None else weight
        B = A.T * near
        return linalg.solve(B @ A, B @ f(Z * x))[int(intercept) :]

    def make(d: Draw, i: int, m: int, sigma: float, size: float = 1) -> tuple:
        f = scores(d, i, 2, size)
        return lambda x: f(x)[:, 0], d.uniform(-2, 2, i), d.index(2, m, i).to(d.dtype), sigma

    def clear(f: Callable, x: Tensor, Z: Tensor, sigma: float) -> bool:
        even = ((Z.mean(0) > 0.2) & (Z.mean(0) < 0.8)).all()
        return bool(even and len(Z.T.unique(dim=0)) == len(x) and x.abs().min() > 0.2)

    f, x, _, _ = drawn(make, 4, 16, 1.5, clear=clear)
    one, x1, _, _ = drawn(make, 1, 9, 1.0, clear=clear)
    every = tensor(list(itertools.product((0.0, 1.0), repeat=4)))
    judge(
        answer,
        {
            "all coalitions of four features": (f, x, every, 1.5),
            "drawn coalitions": drawn(make, 3, 40, 1.0, clear=clear),
            "a wide neighbourhood": drawn(make, 5, 60, 4.0, clear=clear),
            "one feature": (one, x1, tensor([[0.0], [1], [1]]), 1.0),
            "scores of about 200": drawn(make, 4, 50, 2.0, 50, clear=clear, dtype=float64),
            "double precision": drawn(make, 4, 30, 2.0, clear=clear, dtype=float64),
        },
        fitted,
        {
            "the intercept is missing in the fit": lambda *v: fitted(*v, intercept=False),
            "the fit is not weighted": lambda f, x, Z, s: fitted(f, x, Z, 1e6),
            "the weights act twice: take a root": lambda f, x, Z, s: fitted(f, x, Z, s / 2**0.5),
            "sigma is squared in the weight": lambda f, x, Z, s: fitted(f, x, Z, s**0.5),
            "the distance is from z to 1, not to 0": lambda f, x, Z, s: fitted(
                f, x, Z, s, weight=(-Z.sum(1) / s**2).exp()
            ),
            "the network must see z * x": lambda f, x, Z, s: fitted(lambda z: f(z / x), x, Z, s),
        },
        "minimise the weighted sum of (f(z * x) - w0 - w z)^2 over w0 and w, and return w",
    )


@exercise
def check_shapley_values(answer: Callable) -> None:
    """v (2^P,), v[k] the worth of the coalition of the players whose bit is set in k -> (P,)
    Shapley values.
    """

    def weighed(weight: Callable[[int, int], float]) -> Callable:
        """What player i adds to each coalition without it, by a weight of its size."""

        def values(v: Tensor) -> Tensor:
            P = len(v).bit_length() - 1
            without = [[k for k in range(len(v)) if not k >> i & 1] for i in range(P)]
            w = tensor([weight(k.bit_count(), P) for k in range(len(v))])
            return tensor(
                [
                    float((w[k] * (v[[j | 1 << i for j in k]] - v[k])).sum())
                    for i, k in enumerate(without)
                ]
            )

        return values

    def make(d: Draw, p: int) -> tuple:
        return (d.large(-1, 2, 2**p),)

    equation = weighed(lambda s, P: 1 / (P * math.comb(P - 1, s)) if s < P else 0)
    (v,) = drawn(make, 3)
    names = {"three players": 3, "two players": 2, "four players": 4, "one player": 1}
    judge(
        answer,
        {name: drawn(make, p) for name, p in names.items()}
        | {"five players": drawn(make, 5)}
        | {"nothing for nobody": (cat([0 * v[:1], v[1:]]),), "negative numbers": (-v,)}
        | {"a player who adds nothing": (tensor([1.0, 3, 2, 7, 1, 3, 2, 7]),)}
        | {"large numbers in double precision": drawn(make, 4, dtype=float64, size=100)},
        equation,
        {
            "all coalitions count the same": weighed(lambda s, P: 0.5 ** (P - 1)),
            "only the full coalition is looked at": weighed(lambda s, P: float(s == P - 1)),
            "the bits are in the wrong order; player 0 is lowest": lambda v: equation(v).flip(0),
            "it divides by P!": lambda v: equation(v) * math.factorial(len(v).bit_length() - 1),
            "they sum to v(all) - v(none)": lambda v: (
                equation(v) + v[0] / (len(v).bit_length() - 1)
            ),
        },
        "what player i adds to each coalition without it, averaged over all orders of coming in",
    )
