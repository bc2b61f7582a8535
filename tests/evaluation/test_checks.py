"""The checks of the exercises on evaluation: wrong answers that students give are refused, right
ones of any style accepted.
"""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from students import accept_and_refuse, check

torch.set_num_threads(1)


STYLES = {
    "list": lambda right: lambda *arguments: right(*arguments).tolist(),
    "array": lambda right: lambda *arguments: right(*arguments).detach().numpy(),
    "graph": lambda right: lambda *arguments: right(*arguments).clone().requires_grad_() * 1,
    "double": lambda right: lambda *arguments: right(*arguments).double(),
}


# ---------------------------------------------------------------- right answers


def flip_curve(f, x, R, fill, key=lambda R: R.argsort(descending=True)):
    points = [x.clone()]
    for i in key(R):
        points.append(points[-1].clone())
        points[-1][i] = fill[i]
    return f(torch.stack(points))


def flip_in_place(f, x, R, fill):
    x, curve = x.clone(), []
    curve.append(f(x[None])[0])
    for i in np.argsort(-R.numpy()):
        x[i] = fill[i]
        curve.append(f(x[None])[0])
    return torch.stack(curve)


def flip_by_rank(f, x, R, fill):
    rank = (R[None] > R[:, None]).sum(1)
    return f(torch.where(rank < torch.arange(len(x) + 1)[:, None], fill, x))


def flip_by_floats(f, x, R, fill):
    order = sorted(range(len(x)), key=lambda i: -R[i].item())
    return [
        f(
            torch.tensor(
                [[fill[i] if i in order[:k] else v for i, v in enumerate(x.tolist())]],
                dtype=x.dtype,
            )
        ).item()
        for k in range(len(x) + 1)
    ]


def random_curve(f, x, fill, n):
    return sum(flip_curve(f, x, torch.rand(len(x)), fill) for _ in range(n)) / n


def random_permutations(f, x, fill, n):
    return torch.stack(
        [flip_curve(f, x, None, fill, lambda R: torch.randperm(len(x))) for _ in range(n)]
    ).mean(0)


def random_numpy(f, x, fill, n):
    generator = np.random.default_rng()
    return np.mean(
        [
            flip_curve(f, x, None, fill, lambda R: generator.permutation(len(x))).numpy()
            for _ in range(n)
        ],
        axis=0,
    )


def random_at_once(f, x, fill, n):
    rank = torch.rand(n, len(x)).argsort(1)
    points = torch.where(rank[:, None] < torch.arange(len(x) + 1)[:, None], fill, x)
    return f(points.flatten(0, 1)).view(n, -1).mean(0)


def context_ratio(R, box):
    return (R * ~box).sum((1, 2)) / (R * box).sum((1, 2))


def ranks(v):
    return v.argsort().argsort().double()


def rank_correlation(a, b):
    return torch.corrcoef(torch.stack([ranks(a), ranks(b)]))[0, 1]


def by_distance(a, b):
    n = len(a)
    return 1 - 6 * ((ranks(a) - ranks(b)) ** 2).sum() / (n * (n**2 - 1))


def mass_inside(R, mask):
    pixels = R.sum(1).clamp(min=0)
    return (pixels * mask).sum((1, 2)) / pixels.sum((1, 2))


RIGHT = {
    "flip_curve": [flip_curve, flip_in_place, flip_by_rank, flip_by_floats],
    "aopc": [
        lambda c: c[0] - c.mean(),
        lambda c: (c[0] - c).sum() / len(c),
        lambda c: float(np.mean(c[0].item() - c.numpy())),
        lambda c: sum(c[0] - v for v in c) / c.numel(),
        lambda c: float(c[0]) - sum(c.tolist()) / len(c),
    ],
    "random_curve": [random_curve, random_permutations, random_numpy, random_at_once],
    "context_ratio": [
        context_ratio,
        lambda R, b: torch.stack([r[~m].sum() / r[m].sum() for r, m in zip(R, b)]),
        lambda R, b: R.sum((1, 2)) / (R * b).sum((1, 2)) - 1,
        lambda R, b: (
            torch.einsum("nhw,nhw->n", R, (~b).to(R)) / torch.einsum("nhw,nhw->n", R, b.to(R))
        ),
        lambda R, b: [float(r[~m].sum() / r[m].sum()) for r, m in zip(R.numpy(), b.numpy())],
    ],
    "rank_correlation": [
        rank_correlation,
        by_distance,
        lambda a, b: spearmanr(a.numpy(), b.numpy()).statistic,
        lambda a, b: torch.cosine_similarity(
            ranks(a) - ranks(a).mean(), ranks(b) - ranks(b).mean(), 0
        ),
        lambda a, b: rank_correlation(-a, -b),
        lambda a, b: np.corrcoef((a[:, None] > a).sum(1), (b[:, None] > b).sum(1))[0, 1],
    ],
    "mass_inside": [
        mass_inside,
        lambda R, m: torch.stack(
            [r.sum(0).relu()[k].sum() / r.sum(0).relu().sum() for r, k in zip(R, m)]
        ),
        lambda R, m: 1 - mass_inside(R, ~m),
        lambda R, m: (R.sum(1).relu() * m).flatten(1).sum(1) / R.sum(1).relu().flatten(1).sum(1),
        lambda R, m: (
            np.where(m, np.maximum(R.numpy().sum(1), 0), 0).sum((1, 2))
            / np.maximum(R.numpy().sum(1), 0).sum((1, 2))
        ),
    ],
}


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("name", RIGHT)
def test_right_answers_in_other_clothes_are_accepted(name, style):
    if name != "random_curve" or style != "graph":
        check(name)(STYLES[style](RIGHT[name][0]))


# ---------------------------------------------------------------- wrong answers


def no_copy(f, x, R, fill):
    curve = [f(x[None])[0]]
    for i in R.argsort(descending=True):
        x[i] = fill[i]
        curve.append(f(x[None])[0])
    return torch.stack(curve)


def one_order(f, x, fill, n):
    R = torch.rand(len(x))
    return torch.stack([flip_curve(f, x, R, fill) for _ in range(n)]).mean(0)


def with_replacement(f, x, fill, n):
    return torch.stack(
        [flip_curve(f, x, None, fill, lambda R: torch.randint(len(x), (len(x),))) for _ in range(n)]
    ).mean(0)


def fixed_seed(f, x, fill, n):
    torch.manual_seed(0)
    return random_curve(f, x, fill, n)


def rotated(f, x, fill, n):
    """Only rotations of one order."""
    return torch.stack(
        [
            flip_curve(
                f, x, None, fill, lambda R: torch.arange(len(x)).roll(int(torch.randint(2, ())))
            )
            for _ in range(n)
        ]
    ).mean(0)


def each_alone(f, x, fill, n):
    curves = []
    for _ in range(n):
        order = torch.randperm(len(x)).tolist()
        points = torch.stack([x] + [torch.where(torch.arange(len(x)) == i, fill, x) for i in order])
        curves.append(f(points))
    return torch.stack(curves).mean(0)


WRONG = {
    "flip_curve": [
        (lambda f, x, R, fill: flip_curve(f, x, -R, fill), "least relevant features go first"),
        (lambda f, x, R, fill: flip_curve(f, x, R.abs(), fill), r"\|R\|"),
        (
            lambda f, x, R, fill: flip_curve(f, x, R, fill, lambda R: range(len(R))),
            "order in which they stand",
        ),
        (lambda f, x, R, fill: flip_curve(f, x, x, fill), "order of x"),
        (
            lambda f, x, R, fill: f(
                torch.stack(
                    [x]
                    + [
                        torch.where(torch.arange(len(x)) == i, fill, x)
                        for i in R.argsort(descending=True)
                    ]
                )
            ),
            "alone",
        ),
        (lambda f, x, R, fill: flip_curve(f, x, R, 0 * fill), "set to 0"),
        (
            lambda f, x, R, fill: flip_curve(f, x, R, fill)[0] - flip_curve(f, x, R, fill),
            "fall of f",
        ),
        (lambda f, x, R, fill: flip_curve(f, fill, R, x), "starts from fill"),
        (lambda f, x, R, fill: flip_curve(f, x, R, fill)[1:], "shape"),
        (no_copy, "argument in place"),
        (
            lambda f, x, R, fill: flip_curve(
                f, x, R, fill, lambda R: R.argsort(descending=True).argsort()
            ),
            "used as ranks",
        ),
        (lambda f, x, R, fill: flip_curve(f, x, R, fill.mean().expand_as(x)), "not f after"),
        (lambda f, x, R, fill: f(x), "raises"),
    ],
    "aopc": [
        (lambda c: (c[0] - c).sum() / (len(c) - 1), "divides by K"),
        (lambda c: (c[0] - c).sum(), "summed"),
        (lambda c: c.mean(), "under the curve"),
        (lambda c: c.mean() - c[0], "sign"),
        (lambda c: c[0] - torch.trapezoid(c) / (len(c) - 1), "trapezoidal"),
        (lambda c: 1 - c.mean() / c[0], "divided by|NaN"),
        (lambda c: (c[0] - c).abs().mean(), "lose their sign"),
        (lambda c: c.max() - c.mean(), "highest value"),
        (lambda c: (c[0] - c).relu().mean(), "cut off"),
        (lambda c: c[0] - c[-1], "whole fall"),
        (lambda c: c[0] - c, "shape"),
        (lambda c: None, "returns None"),
        (lambda c: c[0] - c[1:].mean(), "divides by K"),
    ],
    "random_curve": [
        (lambda f, x, fill, n: n * random_curve(f, x, fill, n), "summed|first or the last"),
        (one_order, "same order"),
        (with_replacement, "first or the last"),
        (fixed_seed, "same curve"),
        (lambda f, x, fill, n: random_curve(f, fill, x, n), "first or the last"),
        (lambda f, x, fill, n: flip_curve(f, x, x, fill), "same curve"),
        (rotated, "mean over many|spread"),
        (each_alone, "first or the last"),
        (lambda f, x, fill, n: random_curve(f, x, 0 * x, n), "first or the last"),
        (lambda f, x, fill, n: random_curve(f, x, fill, n)[1:], "shape"),
        (lambda f, x, fill, n: random_curve(f, x, fill, 1), "same order"),
        (lambda f, x, fill, n: random_curve(f, x, fill, 40 * n), "spread"),
        (
            lambda f, x, fill, n: (
                f(x[None]) + (f(fill[None]) - f(x[None])) * torch.linspace(0, 1, len(x) + 1)
            ),
            "same curve",
        ),
    ],
    "context_ratio": [
        (lambda R, b: 1 / context_ratio(R, b), "turned round|NaN"),
        (lambda R, b: (R * ~b).sum((1, 2)) / R.sum((1, 2)), "all of the relevance"),
        (lambda R, b: (R * b).sum((1, 2)) / R.sum((1, 2)), "share inside"),
        (lambda R, b: torch.stack([r[~m].mean() / r[m].mean() for r, m in zip(R, b)]), "means"),
        (lambda R, b: (R[~b].sum() / R[b].sum()).expand(len(R)), "pooled"),
        (lambda R, b: (~b).sum((1, 2)) / b.sum((1, 2)), "number of pixels"),
        (lambda R, b: R.sum((1, 2)) / (R * b).sum((1, 2)), "divides the whole"),
        (lambda R, b: R[~b].sum() / R[b].sum(), "shape|pooled"),
        (lambda R, b: context_ratio(R.mul_(2), b), "argument in place"),
    ],
    "rank_correlation": [
        (lambda a, b: torch.corrcoef(torch.stack([a, b]))[0, 1], "correlation of the values"),
        (
            lambda a, b: torch.corrcoef(torch.stack([a.argsort(), b.argsort()]).double())[0, 1],
            "one argsort",
        ),
        (lambda a, b: rank_correlation(a.abs(), b.abs()), "lose their sign"),
        (lambda a, b: -rank_correlation(a, b), "sign is turned"),
        (lambda a, b: rank_correlation(a, b).abs(), "squared or without"),
        (lambda a, b: rank_correlation(a, b) ** 2, "squared or without"),
        (lambda a, b: torch.cosine_similarity(ranks(a), ranks(b), 0), "means are not"),
        (lambda a, b: torch.corrcoef(torch.stack([ranks(a), b.double()]))[0, 1], "only one"),
        (lambda a, b: (ranks(a) == ranks(b)).double().mean(), "correlation of the ranks|Kendall"),
        (
            lambda a, b: rank_correlation(a.sort().values, b.sort().values),
            "correlation of the ranks",
        ),
        (lambda a, b: rank_correlation(a.sort_().values, b), "argument in place|raises"),
        (
            lambda a, b: ((ranks(a) - ranks(a).mean()) * (ranks(b) - ranks(b).mean())).mean(),
            "correlation of the ranks",
        ),
    ],
    "mass_inside": [
        (
            lambda R, m: (R.sum(1) * m).sum((1, 2)) / R.sum((1, 2, 3)),
            "negative relevance is counted",
        ),
        (lambda R, m: mass_inside(R.sum(1, keepdim=True).abs(), m), "absolute"),
        (lambda R, m: mass_inside(R.relu(), m), "each channel"),
        (
            lambda R, m: (R.sum(1).relu() * m).sum((1, 2)) / R.sum(1).abs().sum((1, 2)),
            r"divides by \|R\|",
        ),
        (lambda R, m: mass_inside(R, ~m), "outside"),
        (lambda R, m: mass_inside(R, m) / mass_inside(R, ~m), "divides by what is outside|NaN"),
        (
            lambda R, m: (
                mass_inside(
                    R.transpose(0, 1).flatten(1, 2)[None].transpose(1, 1), m.flatten(0, 1)[None]
                ).expand(len(R))
                if R.shape[1]
                else None
            ),
            "pooled|.",
        ),
        (lambda R, m: mass_inside((R.sum(1, keepdim=True) > 0).float(), m), "pixels are counted"),
        (lambda R, m: mass_inside(R[:, :1], m), "first channel"),
        (lambda R, m: mass_inside(R.sum(1, keepdim=True) ** 2, m), "squares"),
        (lambda R, m: mass_inside(R, m).mean(), "shape"),
        (lambda R, m: mass_inside(R.clamp_(min=0), m), "argument in place"),
    ],
}


test_right_answers_are_accepted, test_wrong_answers_are_refused_with_the_fitting_hint = (
    accept_and_refuse(RIGHT, WRONG)
)
