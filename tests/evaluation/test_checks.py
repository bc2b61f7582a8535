"""The checks of the exercises on evaluation: a row is an answer, to be accepted, or to be refused
with a hint.
"""

import numpy as np
import torch
from scipy.stats import spearmanr
from students import accept_and_refuse

# ---------------------------------------------------------------- right answers, with switches
# for the wrong ones


def flip_curve(f, x, R, fill, key=lambda R: R.argsort(descending=True)):
    points = [x.clone()]
    for i in key(R):
        points.append(points[-1].clone())
        points[-1][i] = fill[i]
    return f(torch.stack(points))


def flip_by_rank(f, x, R, fill):
    rank = (R[None] > R[:, None]).sum(1)
    return f(torch.where(rank < torch.arange(len(x) + 1)[:, None], fill, x))


def random_curve(f, x, fill, n):
    return sum(flip_curve(f, x, torch.rand(len(x)), fill) for _ in range(n)) / n


def permuted(order):
    """The mean over curves in drawn orders."""

    def answer(f, x, fill, n):
        curves = [flip_curve(f, x, x, fill, lambda R: order(len(x))) for _ in range(n)]
        return torch.stack(curves).mean(0)

    return answer


random_permutations = permuted(torch.randperm)
random_numpy = permuted(np.random.default_rng().permutation)


def context_ratio(R, box):
    return (R * ~box).sum((1, 2)) / (R * box).sum((1, 2))


def ranks(v):
    return v.argsort().argsort().double()


def centred(v):
    return v - v.mean()


def correlation(a, b):
    return torch.corrcoef(torch.stack([a, b]))[0, 1]


def rank_correlation(a, b):
    return correlation(ranks(a), ranks(b))


def by_distance(a, b):
    n = len(a)
    return 1 - 6 * ((ranks(a) - ranks(b)) ** 2).sum() / (n * (n**2 - 1))


def mass_inside(R, mask):
    pixels = R.sum(1).clamp(min=0)
    return (pixels * mask).sum((1, 2)) / pixels.sum((1, 2))


# ---------------------------------------------------------------- wrong answers


def one_order(f, x, fill, n):
    R = torch.rand(len(x))
    return torch.stack([flip_curve(f, x, R, fill) for _ in range(n)]).mean(0)


def fixed_seed(f, x, fill, n):
    torch.manual_seed(0)
    return random_curve(f, x, fill, n)


def alone(f, x, order, fill):
    one = [torch.where(torch.arange(len(x)) == i, fill, x) for i in order.tolist()]
    return f(torch.stack([x, *one]))


def each_alone(f, x, fill, n):
    curves = [alone(f, x, torch.randperm(len(x)), fill) for _ in range(n)]
    return torch.stack(curves).mean(0)


def straight(f, x, fill, n):
    start, end = f(torch.stack([x, fill]))
    return start + (end - start) * torch.linspace(0, 1, len(x) + 1)


def pooled(R, mask):
    R = R.transpose(0, 1).flatten(1, 2)[None]
    return mass_inside(R, mask.flatten(0, 1)[None]).expand(len(mask))


# ---------------------------------------------------------------- the tables

RIGHT = {
    "flip_curve": [flip_curve, flip_by_rank],
    "aopc": [lambda c: c[0] - c.mean(), lambda c: (c[0] - c).sum() / len(c)],
    "random_curve": [random_curve, random_permutations, random_numpy],
    "context_ratio": [
        context_ratio,
        lambda R, b: R.sum((1, 2)) / (R * b).sum((1, 2)) - 1,
        lambda R, b: torch.einsum("nhw,nhw->n", R, (~b).to(R)) / (R * b).sum((1, 2)),
    ],
    "rank_correlation": [
        rank_correlation,
        by_distance,
        lambda a, b: spearmanr(a.numpy(), b.numpy()).statistic,
        lambda a, b: torch.cosine_similarity(centred(ranks(a)), centred(ranks(b)), 0),
        lambda a, b: rank_correlation(-a, -b),
    ],
    "mass_inside": [mass_inside, lambda R, m: 1 - mass_inside(R, ~m)],
}

WRONG = {
    "flip_curve": [
        (lambda f, x, R, fill: flip_curve(f, x, -R, fill), "least relevant features go first"),
        (lambda f, x, R, fill: flip_curve(f, x, R.abs(), fill), r"\|R\|"),
        (lambda *v: flip_curve(*v, lambda R: range(len(R))), "order in which they stand"),
        (lambda f, x, R, fill: flip_curve(f, x, x, fill), ""),
        (lambda f, x, R, fill: alone(f, x, R.argsort(descending=True), fill), "alone"),
        (lambda f, x, R, fill: flip_curve(f, x, R, 0 * fill), "set to 0"),
        (lambda *v: flip_curve(*v)[0] - flip_curve(*v), ""),
        (lambda f, x, R, fill: flip_curve(f, fill, R, x), "starts from fill"),
        (lambda *v: flip_curve(*v, lambda R: R.argsort(descending=True).argsort()), "as ranks"),
        (lambda f, x, R, fill: flip_curve(f, x, R, fill.mean().expand_as(x)), "not f after"),
        (lambda f, x, R, fill: f(x), "raises"),
    ],
    "aopc": [
        (lambda c: (c[0] - c).sum() / (len(c) - 1), "divides by K"),
        (lambda c: (c[0] - c).sum(), "summed"),
        (lambda c: c.mean(), "under the curve"),
        (lambda c: c.mean() - c[0], "sign"),
        (lambda c: c[0] - torch.trapezoid(c) / (len(c) - 1), ""),
        (lambda c: 1 - c.mean() / c[0], ""),
        (lambda c: (c[0] - c).abs().mean(), "lose their sign"),
        (lambda c: c.max() - c.mean(), ""),
        (lambda c: (c[0] - c).relu().mean(), "cut off"),
        (lambda c: c[0] - c[-1], ""),
        (lambda c: c[0] - c[1:].mean(), "divides by K"),
    ],
    "random_curve": [
        (lambda f, x, fill, n: n * random_curve(f, x, fill, n), "summed"),
        (one_order, ""),
        (permuted(lambda d: torch.randint(d, (d,))), "first or the last"),
        (fixed_seed, ""),
        (lambda f, x, fill, n: random_curve(f, fill, x, n), "first or the last"),
        (lambda f, x, fill, n: flip_curve(f, x, x, fill), ""),
        (permuted(lambda d: torch.arange(d).roll(int(torch.randint(2, ())))), "mean over|spread"),
        (each_alone, "first or the last"),
        (lambda f, x, fill, n: random_curve(f, x, 0 * x, n), "first or the last"),
        (lambda f, x, fill, n: random_curve(f, x, fill, 1), ""),
        (lambda f, x, fill, n: random_curve(f, x, fill, 40 * n), "spread"),
        (straight, ""),
    ],
    "context_ratio": [
        (lambda R, b: 1 / context_ratio(R, b), "turned round|NaN"),
        (lambda R, b: (R * ~b).sum((1, 2)) / R.sum((1, 2)), "all of the relevance"),
        (lambda R, b: (R * b).sum((1, 2)) / R.sum((1, 2)), "share inside"),
        (lambda R, b: torch.stack([r[~m].mean() / r[m].mean() for r, m in zip(R, b)]), "means"),
        (lambda R, b: (R[~b].sum() / R[b].sum()).expand(len(R)), "pooled"),
        (lambda R, b: (~b).sum((1, 2)) / b.sum((1, 2)), "number of pixels"),
        (lambda R, b: R.sum((1, 2)) / (R * b).sum((1, 2)), ""),
    ],
    "rank_correlation": [
        (correlation, "correlation of the values"),
        (lambda a, b: correlation(a.argsort().double(), b.argsort().double()), "one argsort"),
        (lambda a, b: rank_correlation(a.abs(), b.abs()), "lose their sign"),
        (lambda a, b: -rank_correlation(a, b), "sign is turned"),
        (lambda a, b: rank_correlation(a, b).abs(), "squared or without"),
        (lambda a, b: rank_correlation(a, b) ** 2, "squared or without"),
        (lambda a, b: torch.cosine_similarity(ranks(a), ranks(b), 0), ""),
        (lambda a, b: correlation(ranks(a), b.double()), ""),
        (lambda a, b: (ranks(a) == ranks(b)).double().mean(), "correlation of the ranks|Kendall"),
        (lambda a, b: rank_correlation(a.sort()[0], b.sort()[0]), "correlation of the ranks"),
        (lambda a, b: rank_correlation(a.sort_().values, b), "argument in place|raises"),
        (lambda a, b: (centred(ranks(a)) * centred(ranks(b))).mean(), "correlation of the ranks"),
    ],
    "mass_inside": [
        (lambda R, m: (R.sum(1) * m).sum((1, 2)) / R.sum((1, 2, 3)), "relevance is counted"),
        (lambda R, m: mass_inside(R.sum(1, keepdim=True).abs(), m), "absolute"),
        (lambda R, m: mass_inside(R.relu(), m), "each channel"),
        (lambda R, m: (R.sum(1).relu() * m).sum((1, 2)) / R.sum(1).abs().sum((1, 2)), ""),
        (lambda R, m: mass_inside(R, ~m), "outside"),
        (lambda R, m: mass_inside(R, m) / mass_inside(R, ~m), ""),
        (pooled, ""),
        (lambda R, m: mass_inside((R.sum(1, keepdim=True) > 0).float(), m), "pixels are counted"),
        (lambda R, m: mass_inside(R[:, :1], m), "first channel"),
        (lambda R, m: mass_inside(R.sum(1, keepdim=True) ** 2, m), ""),
    ],
}

test_right_answers_are_accepted, test_wrong_answers_are_refused_with_the_fitting_hint = (
    accept_and_refuse(RIGHT, WRONG)
)
