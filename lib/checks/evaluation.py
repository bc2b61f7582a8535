"""The checks of the exercises on evaluation."""

import itertools
import math
from collections.abc import Callable
from typing import Any

from torch import (
    Tensor,
    arange,
    corrcoef,
    eye,
    float32,
    float64,
    stack,
    tensor,
    where,
)

from ._helpers import Draw, drawn, exercise, judge, judge_draws, standard
from .sensitivity import Smooth


def curve(f: Callable, x: Tensor, fill: Tensor, order: Tensor) -> Tensor:
    """f after the first k features of the order are replaced, k = 0 to D."""
    return f(where(order.argsort() < arange(len(x) + 1)[:, None], fill, x))


@exercise
def check_flip_curve(answer: Callable) -> None:
    """(f: (B, D) -> (B,), x (D,), R (D,), fill (D,)) -> (D + 1,): f after the k most relevant
    features are replaced.
    """

    def by(key: Callable) -> Callable:
        """The curve in the falling order of another key."""
        return lambda f, x, R, fill: curve(f, x, fill, (-key(x, R)).argsort())

    def alone(f: Callable, x: Tensor, R: Tensor, fill: Tensor) -> Tensor:
        each = where(eye(len(x))[(-R).argsort()] == 1, fill, x)
        return f(stack([x, *each]))

    def make(d: Draw, i: int, size: float = 1) -> tuple:
        f, x = Smooth(d.uniform(-1, 1, i), size), d.uniform(-2, 2, i)
        return f, x, d.uniform(-3, 3, i), d.uniform(-1, 1, i)

    equation = by(lambda x, R: R)
    f, x, R, fill = drawn(make, 6, dtype=float64)
    judge(
        answer,
        {
            "five features, some of negative relevance": drawn(make, 5, dtype=float64),
            "one feature": drawn(make, 1, dtype=float64),
            "seven features in single precision": drawn(make, 7, dtype=float32),
            "all relevances negative": (f, x, -R.abs() - 0.1, fill),
            "scores of some hundreds": drawn(make, 6, 100, dtype=float64),
        },
        equation,
        {
            "the least relevant features go first": by(lambda x, R: -R),
            "the features go in the order of |R|; sort them by R": by(lambda x, R: R.abs()),
            "the features go in the order in which they stand": by(lambda x, R: -arange(len(x))),
            "each feature is replaced alone; it stays replaced": alone,
            "features are set to 0, not fill": lambda f, x, R, fill: equation(f, x, R, 0 * fill),
            "it starts from fill; start from x": lambda f, x, R, fill: equation(f, fill, R, x),
            "the argsort of R is used as ranks": by(lambda x, R: -(-R).argsort()),
        },
        "the values are not f after the k most relevant features are replaced, k = 0 to D",
    )


@exercise
def check_aopc(answer: Callable) -> None:
    """curve (K + 1,) -> 1 / (K + 1) sum_k (curve_0 - curve_k)."""
    judge(
        answer,
        {
            "a falling curve": (tensor([4, 2.5, 1, 0.5]),),
            "a curve that rises and falls below zero": (
                tensor([1, 3, 2, -2, -1, 0.5], dtype=float64),
            ),
            "one step": (tensor([2.0, -1]),),
            "a curve that starts at 0": (tensor([0.0, 1, -4]),),
            "scores of 200": (tensor([200.0, -200, 150, 30, -7]),),
        },
        lambda c: c[0] - c.mean(),
        {
            "it divides by K; the sum has K + 1 terms": lambda c: c[0] - c[1:].mean(),
            "the terms are summed, not averaged": lambda c: (c[0] - c).sum(),
            "this is the area under the curve": lambda c: c.mean(),
            "the terms lose their sign": lambda c: (c[0] - c).abs().mean(),
            "negative terms are cut off": lambda c: (c[0] - c).relu().mean(),
        },
        "the value is not the mean over k = 0 to K of curve[0] - curve[k]",
    )


@exercise
def check_random_curve(answer: Callable) -> None:
    """(f, x (D,), fill (D,), n) -> (D + 1,): the mean flip curve over n random orders."""
    f, x = Smooth(tensor([0.9, -0.4, 0.7, 1.3])), tensor([1.5, -0.7, 0.4, 1.1])
    fill = tensor([-0.5, 0.6, -1.2, 0.2])
    orders = tensor(list(itertools.permutations(range(4))))
    curves = stack([curve(f, x.double(), fill.double(), order) for order in orders])
    mean, variance = curves.mean(0), curves.var(0, correction=0)
    excess = ((curves - mean) ** 4).mean(0) / variance**2 - 3
    variance[[0, -1]], excess[[0, -1]] = 0, 0
    cases = [(n, variance / n, excess / n, seeds) for n, seeds in ((1, (1, 2)), (9, (3, 4)))]
    judge(
        answer,
        {"one feature, which knows one order": (Smooth(f.w[1:2]), x[1:2], fill[1:2], 3)},
        lambda f, x, fill, n: f(stack([x, fill])),
        {"the n curves are summed; take their mean": lambda f, x, fill, n: n * f(stack([x, fill]))},
        "every curve starts at f(x) and ends at f(fill); the first or the last value is wrong",
    )
    for n, var, fourth, seeds in cases:
        how: dict[str, Any] = {"seeds": seeds, "calls": 100, "copies": n, "excess": fourth}
        judge_draws(answer, (f, x, fill, n), mean, var, f"n = {n}", **how)


@exercise
def check_context_ratio(answer: Callable) -> None:
    """(R (N, H, W) >= 0, box (N, H, W) bool) -> (N,): the sum outside / the sum inside, image by
    image.
    """

    def total(R: Tensor) -> Tensor:
        return R.sum((1, 2))

    def make(d: Draw, n: int, h: int, w: int) -> tuple:
        box = d.uniform(0, 1, n, h, w) < 0.4
        box[:, 0, 0], box[:, -1, -1] = True, False
        return d.large(0.05, 2, n, h, w), box

    R, box = drawn(make, 2, 3, 4)
    judge(
        answer,
        standard(make) | {"no relevance outside": (R * box, box)},
        lambda R, box: total(R * ~box) / total(R * box),
        {
            "the ratio is turned round": lambda R, box: total(R * box) / total(R * ~box),
            "it divides by all of the relevance": lambda R, box: total(R * ~box) / total(R),
            "this is the share inside": lambda R, box: total(R * box) / total(R),
            "means are compared; sums are asked for": lambda R, box: (
                total(R * ~box) / total(~box) / total(R * box) * total(box)
            ),
            "the images are pooled": lambda R, box: (R[~box].sum() / R[box].sum()).expand(len(R)),
            "the number of pixels is counted": lambda R, box: total(~box) / total(box),
        },
        "the values are not the sum outside the box / the sum inside, image by image",
    )


@exercise
def check_rank_correlation(answer: Callable) -> None:
    """(a (D,), b (D,)) without ties -> Spearman's correlation of the ranks."""

    def ranks(v: Tensor) -> Tensor:
        return v.argsort().argsort().double()

    def pearson(a: Tensor, b: Tensor) -> Tensor:
        return corrcoef(stack([a, b]))[0, 1]

    def equation(a: Tensor, b: Tensor) -> Tensor:
        return pearson(ranks(a), ranks(b))

    def make(d: Draw, i: int) -> tuple:
        return d.uniform(-3, 3, i) ** 3, d.uniform(-1, 2, i) ** 5

    a, b = drawn(make, 6)
    judge(
        answer,
        {
            "seven values of both signs": drawn(make, 7, clear=lambda *v: equation(*v) > 0.3),
            "twelve values in double precision": drawn(make, 12, dtype=float64),
            "the same order, other values": (a, a.exp()),
            "opposite orders": (a, -2 * a),
            "two values": (tensor([3.0, -1]), tensor([0.5, 200])),
            "values of very different size": (a * 200, b / 100),
        },
        equation,
        {
            "this is the correlation of the values, not of the ranks": pearson,
            "one argsort gives the order; its argsort gives the ranks": lambda a, b: pearson(
                a.argsort().double(), b.argsort().double()
            ),
            "the values lose their sign when ranked": lambda a, b: equation(a.abs(), b.abs()),
            "the result is squared or without its sign": (
                lambda a, b: equation(a, b).abs(),
                lambda a, b: equation(a, b) ** 2,
            ),
        },
        "the value is not the correlation of the ranks of a and b",
    )


@exercise
def check_mass_inside(answer: Callable) -> None:
    """(R (N, C, H, W), mask (N, H, W) bool) -> (N,): positive relevance inside / all positive
    relevance, channels summed first.
    """

    def share(change: Callable, of: Callable = lambda R: R.sum(1)) -> Callable:
        return lambda R, mask: (change(of(R)) * mask).sum((1, 2)) / change(of(R)).sum((1, 2))

    def make(d: Draw, n: int, h: int, c: int) -> tuple:
        R, mask = d.large(-1, 1.3, n, c, h, 4), d.uniform(0, 1, n, h, 4) < 0.5
        R[:, :, 0, 0], R[:, :, -1, -1] = d.size, d.size / 2
        mask[:, 0, 0], mask[:, -1, -1] = True, False
        return R, mask

    equation = share(Tensor.relu)
    R, mask = drawn(make, 2, 3, 2)
    judge(
        answer,
        standard(make)
        | {"an empty mask": (R, mask & False), "very small relevance": (1e-20 * R, mask)},
        equation,
        {
            "negative relevance is counted too": share(lambda R: R),
            "absolute values are taken": share(Tensor.abs),
            "it is cut off in each channel; add them first": share(
                Tensor.relu, lambda R: R.relu().sum(1)
            ),
            "this is the share outside": lambda R, mask: 1 - equation(R, mask),
            "pixels are counted; sum their relevance": share(lambda R: R > 0),
            "only the first channel is used": share(Tensor.relu, lambda R: R[:, 0]),
            "something is added to the denominator; small maps are maps, too": tuple(
                lambda R, mask, eps=eps: (
                    (R.sum(1).relu() * mask).sum((1, 2)) / (R.sum(1).relu().sum((1, 2)) + eps)
                )
                for eps in (1e-3, 1e-5, 1e-6, 1e-8, 1e-9, 1e-10, 1e-12)
            ),
        },
        "the values are not the share of the positive relevance in the mask, image by image",
    )


@exercise
def check_complexity(answer: Callable) -> None:
    """(R (N, D)) -> (N,): the entropy in nats of the shares |R_i| / sum |R|."""

    def entropy(p: Tensor) -> Tensor:
        return -(p * where(p > 0, p, 1.0).log()).sum(1)

    def sizes(R: Tensor) -> Tensor:
        return R.abs() / R.abs().sum(1, keepdim=True)

    def make(d: Draw, n: int, i: int) -> tuple:
        return (d.large(-1, 2, n, i),)

    def clear(R: Tensor) -> bool:
        away = bool((R.abs().amax(1) > 0.1).all() and (R.sum(1).abs() > 0.05).all())
        return away and (R.shape[1] < 3 or bool((R.min(1).values < 0).all()))

    judge(
        answer,
        standard(make, clear, 100)
        | {"pixels of relevance 0": (tensor([[0.0, 2, 0, -1], [3, 0, 0, 0]]),)}
        | {"all pixels alike": (tensor([[2.0, 2, 2, 2, 2]]),)}
        | {"tiny relevances": (tensor([[1e-6, -2e-6, 3e-6], [4e-7, 1e-7, -1e-7]]),)},
        lambda R: entropy(sizes(R)),
        {
            "the shares do not sum to 1": lambda R: entropy(R.abs()),
            "absolute values are missing": lambda R: entropy(R / R.sum(1, keepdim=True)),
            "the sizes are |R_i|, not squares": lambda R: entropy(R**2 / (R**2).sum(1, True)),
            "only positive relevance counts; take |R_i|": lambda R: entropy(
                R.clamp(min=0) / R.clamp(min=0).sum(1, True)
            ),
            "this is in bits; take the natural logarithm": lambda R: (
                entropy(sizes(R)) / math.log(2)
            ),
            "it is divided by its largest value, log D": lambda R: (
                entropy(sizes(R)) / math.log(max(R.shape[1], 2))
            ),
            "shares are a softmax of the relevances": lambda R: entropy(R.softmax(1)),
        },
        "the values are not -sum p_i log p_i of the shares p_i = |R_i| / sum |R|, 0 log 0 = 0",
    )
