"""The checks of the exercises on evaluation: see `students.judged` for what a row is."""

import numpy as np
import torch
from scipy.stats import spearmanr
from students import judged, replaced

# Flips in a given order, and each feature alone.
in_order = replaced("flip_curve", ("R.argsort(descending=True)", "R"), {})
alone = replaced("flip_curve", ("points[-1].clone()", "x.clone()"), {})
ranks = lambda v: v.argsort().argsort().double()
centred = lambda v: v - v.mean()
correlation = lambda a, b: torch.corrcoef(torch.stack([a, b]))[0, 1]


def drawn(order):
    """The mean over curves in drawn orders."""
    return lambda f, x, fill, n: sum(in_order(f, x, order(len(x)), fill) for _ in range(n)) / n


ANSWERS = {
    "flip_curve": [
        "f(torch.where((R > R[:, None]).sum(1) < torch.arange(len(x) + 1)[:, None], fill, x))",
        ("flip_curve(f, x, -R, fill)", "least relevant features go first"),
        ("flip_curve(f, x, R.abs(), fill)", r"\|R\|"),
        ("R.argsort(descending=True)", "range(len(R))", "order in which they stand"),
        ("flip_curve(f, x, x, fill)", ""),
        ("alone(f, x, R, fill)", "alone"),
        ("flip_curve(f, x, R, 0 * fill)", "set to 0"),
        ("right[0] - right", ""),
        ("flip_curve(f, fill, R, x)", "starts from fill"),
        ("R.argsort(descending=True)", "R.argsort(descending=True).argsort()", "as ranks"),
        ("flip_curve(f, x, R, fill.mean().expand_as(x))", "not f after"),
        ("f(x)", "raises"),
    ],
    "aopc": [
        lambda c: (c[0] - c).sum() / len(c),
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
        drawn(torch.randperm),
        drawn(np.random.default_rng().permutation),
        ("n * right", "summed"),
        (
            *("    curves", "    R = torch.rand(len(x))\n    curves"),
            *("torch.rand(len(x)), fill", "R, fill", ""),
        ),
        (drawn(lambda d: torch.randint(d, (d,))), "first or the last"),
        ("    curves", "    torch.manual_seed(0)\n    curves", ""),
        ("random_curve(f, fill, x, n)", "first or the last"),
        ("flip_curve(f, x, x, fill)", ""),
        (drawn(lambda d: torch.arange(d).roll(int(torch.randint(2, ())))), "mean over|spread"),
        ("flip_curve", "alone", "first or the last"),
        ("random_curve(f, x, 0 * x, n)", "first or the last"),
        ("random_curve(f, x, fill, 1)", ""),
        ("random_curve(f, x, fill, 40 * n)", "spread"),
        ("f(x[None]) + (f(fill[None]) - f(x[None])) * torch.linspace(0, 1, len(x) + 1)", ""),
    ],
    "context_ratio": [
        "R.sum((1, 2)) / (R * box).sum((1, 2)) - 1",
        'torch.einsum("nhw,nhw->n", R, (~box).to(R)) / (R * box).sum((1, 2))',
        ("1 / right", "turned round|NaN"),
        ("(R * ~box).sum((1, 2)) / R.sum((1, 2))", "all of the relevance"),
        ("(R * box).sum((1, 2)) / R.sum((1, 2))", "share inside"),
        ("torch.stack([r[~m].mean() / r[m].mean() for r, m in zip(R, box)])", "means"),
        ("(R[~box].sum() / R[box].sum()).expand(len(R))", "pooled"),
        ("(~box).sum((1, 2)) / box.sum((1, 2))", "number of pixels"),
        ("R.sum((1, 2)) / (R * box).sum((1, 2))", ""),
    ],
    "rank_correlation": [
        "correlation(ranks(a), ranks(b))",
        "1 - 6 * ((ranks(a) - ranks(b)) ** 2).sum() / (len(a) * (len(a) ** 2 - 1))",
        lambda a, b: spearmanr(a.numpy(), b.numpy()).statistic,
        "torch.cosine_similarity(centred(ranks(a)), centred(ranks(b)), 0)",
        "rank_correlation(-a, -b)",
        ("correlation(a, b)", "correlation of the values"),
        ("correlation(a.argsort().double(), b.argsort().double())", "one argsort"),
        ("rank_correlation(a.abs(), b.abs())", "lose their sign"),
        ("-right", "sign is turned"),
        ("right.abs()", "squared or without"),
        ("right**2", "squared or without"),
        ("torch.cosine_similarity(ranks(a), ranks(b), 0)", ""),
        ("correlation(ranks(a), b.double())", ""),
        ("(ranks(a) == ranks(b)).double().mean()", "correlation of the ranks|Kendall"),
        ("rank_correlation(a.sort()[0], b.sort()[0])", "correlation of the ranks"),
        ("rank_correlation(a.sort_().values, b)", "argument in place|raises"),
        ("(centred(ranks(a)) * centred(ranks(b))).mean()", "correlation of the ranks"),
    ],
    "mass_inside": [
        "1 - mass_inside(R, ~mask)",
        ("(R.sum(1) * mask).sum((1, 2)) / R.sum((1, 2, 3))", "relevance is counted"),
        ("mass_inside(R.sum(1, keepdim=True).abs(), mask)", "absolute"),
        ("mass_inside(R.relu(), mask)", "each channel"),
        ("(R.sum(1).relu() * mask).sum((1, 2)) / R.sum(1).abs().sum((1, 2))", ""),
        ("mass_inside(R, ~mask)", "outside"),
        ("right / mass_inside(R, ~mask)", ""),
        ("(R.sum(1).relu() * mask).sum().expand(len(R)) / R.sum(1).relu().sum()", ""),
        ("mass_inside((R.sum(1, keepdim=True) > 0).float(), mask)", "pixels are counted"),
        ("mass_inside(R[:, :1], mask)", "first channel"),
        ("mass_inside(R.sum(1, keepdim=True) ** 2, mask)", ""),
        ("/ pixels.sum((1, 2))", "/ (pixels.sum((1, 2)) + 1e-5)", "small maps"),
        ("/ pixels.sum((1, 2))", "/ (pixels.sum((1, 2)) + 1e-12)", "small maps"),
        ("/ pixels.sum((1, 2))", "/ pixels.sum((1, 2)).clamp(min=1e-3)", ""),
    ],
    "complexity": [
        "-(p := R.abs() / R.abs().sum(1, keepdim=True)).mul(p.clamp(min=1e-12).log()).sum(1)",
        "torch.distributions.Categorical(R.double().abs()).entropy()",
        "torch.stack([torch.special.entr(r.abs() / r.abs().sum()).sum() for r in R])",
        ("R.abs() / R.abs()", "R / R", ""),
        ("R.abs() / R.abs()", "R**2 / (R**2)", "squares"),
        ("R.abs() / R.abs()", "R.relu() / R.relu()", "NaN|only positive"),
        ("/ R.abs().sum(1, keepdim=True)", "", "sum to 1"),
        ("R.abs().sum(1, keepdim=True)", "R.abs().sum()", ""),
        ("R.abs().sum(1, keepdim=True)", "R.abs().amax(1, keepdim=True)", ""),
        ("R.abs() / R.abs().sum(1, keepdim=True)", "R.abs().softmax(1)", ""),
        ("right / math.log(2)", "bits"),
        ("right / math.log(max(R.shape[1], 2))", "largest value"),
        ("right.mean()", "shape"),
        ("-right", "sign"),
        ("right.exp()", ""),
        ("(R != 0).sum(1).double().log()", ""),
    ],
}

test_right_answers, test_wrong_answers = judged(ANSWERS, globals())
