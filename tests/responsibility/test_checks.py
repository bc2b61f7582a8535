"""The checks of the exercises on responsibility: see `students.judged` for what a row is."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from students import SOLUTIONS, judged

premium, epsilon = SOLUTIONS["language_premium"], SOLUTIONS["epsilon_of"]
gap = lambda a, b, t: (a <= t).double().mean() - (b <= t).double().mean()
lengths = lambda G: G.norm(dim=1, keepdim=True)


def merged_text(ids, a, b, new):
    text = "".join(map(chr, ids.tolist())).replace(chr(a) + chr(b), chr(new))
    return torch.tensor([ord(letter) for letter in text])


def merged_stack(ids, a, b, new):
    result = []
    for v in ids.tolist():
        hit = result and (result[-1], v) == (a, b)
        result[-1 if hit else len(result) :] = [new, None] if hit else [v]
    return tuple(v for v in result if v is not None)


def merged_array(ids, a, b, new):
    return np.array(merged_text(ids, a, b, new))


def merged_figures(ids, a, b, new):
    text = " ".join(map(str, ids.tolist())).replace(f"{a} {b}", str(new))
    return [int(figures) for figures in text.split()]


def overlapping(ids, a, b, new):
    ids = ids.tolist()
    begins = [ids[i : i + 2] == [a, b] for i in range(len(ids))]
    ends = [False, *begins[:-1]]
    return [new if begin else v for v, begin, end in zip(ids, begins, ends) if begin or not end]


def looks_back(ids, a, b, new):
    result = []
    for v in ids.tolist():
        hit = result and (result[-1], v) in ((a, b), (new, b))
        result[-1 if hit else len(result) :] = [new if hit else v]
    return result


def epsilon_loop(D, a, T, delta):
    return min(
        T * d + math.log1p(-1 / o) - math.log(delta * o) / (o - 1)
        for d, o in zip(D.tolist(), a.tolist())
    )


def epsilon_numpy(D, a, T, delta):
    D, a = D.numpy(), a.numpy()
    return np.min(T * D + np.log((a - 1) / a) - np.log(delta * a) / (a - 1))


def private_by_autograd(x, y, noise, rate, C, sigma):
    """Person after person, by the gradient of the loss."""
    w = torch.zeros(x.shape[1], dtype=x.dtype, requires_grad=True)
    for xi in noise:
        total = sigma * C * xi
        for person, label in zip(x, y):
            loss = F.binary_cross_entropy_with_logits(person @ w, label)
            (g,) = torch.autograd.grad(loss, w)
            total = total + g * min(1, C / g.norm().item())
        w = (w - rate * total / len(x)).detach().requires_grad_()
    return w.detach()


ANSWERS = {
    "merge_pair": [
        merged_text,
        merged_stack,
        "list(right)",
        ("ids[i : i + 2] ==", "len(result) == i and ids[i : i + 2] ==", "only the first"),
        (overlapping, ""),
        ("merge_pair(ids.flip(0), b, a, new).flip(0)", "from left to right"),
        ("2 if hit else 1", "1", "both"),
        ("[new if v in (a, b) else v for v in ids.tolist()]", ""),
        ("ids", "unchanged"),
        (looks_back, ""),
        ("[v for v in right.tolist() if v != new]", ""),
        ("(right, ids.mul_(2))[0]", "in place"),
        ("right[:-1]", "not those"),
        merged_array,
        (merged_figures, "numbers"),
    ],
    "language_premium": [
        lambda T, base: T.double().mean(1) / T[base].double().mean(),
        lambda T, base: [sum(r.tolist()) / sum(T[base].tolist()) for r in T],
        ("(T / T[base]).double().mean(1)", "divide the sums"),
        ("1 / right", "exchanged"),
        (lambda T, b: premium(T, 0), "another language"),
        (lambda T, b: T.sum(1) / T.sum(1).min(), "another language"),
        ("right - 1", "nothing is subtracted"),
        (lambda T, b: T.double().mean(1), "not divided"),
        ("100 * right", "percent"),
        (lambda T, b: T.sum(0) / T.sum(0)[b % T.shape[1]], "shape|not sum"),
        ("total / total", "total // total", "not sum"),
        (lambda T, b: T[:, 0] / T[b, 0], ""),
    ],
    "membership_advantage": [
        lambda a, b: np.mean(a.numpy() <= a.numpy().mean()) - np.mean((b <= a.mean()).numpy()),
        lambda a, b: (b > a.mean()).float().mean() - (a > a.mean()).float().mean(),
        lambda a, b: sum(a <= a.mean()) / len(a) - sum(b <= a.mean()) / len(b),
        ("<=", "<", "equal to the threshold"),
        ("inside.mean()", "outside.mean()", "of them alone"),
        ("inside.mean()", "torch.cat([inside, outside]).mean()", "of them alone"),
        ("inside.mean()", "inside.median()", "no median"),
        ("-right", "turned round"),
        ("right.abs()", ""),
        ("right.clamp(min=0)", "has a sign"),
        ("- mistaken", "", "false positive"),
        ("(1 + right) / 2", ""),
        (lambda a, b: b.mean() - a.mean(), ""),
        (lambda a, b: ((a <= a.mean()).sum() - (b <= a.mean()).sum()) / len(a), "own number"),
        ("float().mean()", "sum()", "own number"),
        (lambda a, b: (a[:, None] < b).double().mean(), ""),
        (lambda a, b: max(gap(a, b, t) for t in torch.cat([a, b])), ""),
        ("inside.mean()", "inside.mean().round(decimals=2)", "rounded"),
        ("inside.mean()", "inside.mean().round(decimals=4)", "rounded"),
    ],
    "private_sum": [
        "sum(g * min(1.0, C / g.norm().item()) if g.norm() > 0 else g for g in G)",
        "torch.renorm(G, 2, 0, C).sum(0)",
        "(G / (lengths(G) / C).clamp(min=1)).sum(0)",
        ("private_sum(G.sum(0)[None], C)", "sum or the mean"),
        ("len(G) * private_sum(G.mean(0)[None], C)", "sum or the mean"),
        (".clamp(max=1)", "", "stretched"),
        ("G.clamp(-C, C).sum(0)", "each number"),
        ("right / len(G)", "mean; the sum"),
        ("G[G.norm(dim=1) <= C].sum(0)", ""),
        ("G.sum(0)", "nothing is clipped"),
        ("torch.renorm(G, 1, 0, C).sum(0)", "root"),
        ("(G / lengths(G) * lengths(G).clamp(max=C)).sum(0)", "NaN"),
        ("(G * scale)", "G.mul_(scale)", "in place"),
        ("(G / lengths(G).clamp(min=1)).sum(0)", ""),
    ],
    "epsilon_of": [
        epsilon_loop,
        epsilon_numpy,
        (lambda D, a, T, d: epsilon(D, a, 1, d), "steps are not counted"),
        (lambda D, a, T, d: T * epsilon(D, a, 1, d), "only the divergences"),
        (lambda D, a, T, d: epsilon(D, a, math.sqrt(T), d), "grow with T"),
        (".min()", ".max()", "smallest"),
        (lambda D, a, *v: epsilon(D[:1], a[:1], *v), "smallest"),
        (lambda D, a, *v: epsilon(D[-1:], a[-1:], *v), "smallest"),
        ("(T * D - math.log(delta) / (orders - 1)).min()", "is missing"),
        ("+ ((a - 1) / a).log()", "", "is missing"),
        (" + a.log()", "", "is missing"),
        ("- tail", "+ tail", "wrong sign"),
        (") / (a - 1)", ") / a", ""),
        ("((a - 1) / a).log() - tail", "(((a - 1) / a).log() - tail) / math.log(10)", ""),
    ],
    "emissions": [
        lambda w, h, p, g: float(w @ h) * p * g * 1e-6,
        lambda w, h, p, g: sum(a * b / 1000 * p * g / 1000 for a, b in zip(w, h)),
        lambda w, h, p, g: np.dot(w.numpy(), h.numpy()) * p / 1000 * g / 1000,
        ("1000 * right", "kilowatts"),
        (lambda w, h, p, g: (w * h).sum() * g / 1e6, "by PUE"),
        (lambda w, h, p, g: (w * h).sum() / p * g / 1e6, "by PUE"),
        (lambda w, h, p, g: (w * h).sum() * p / 1000, "energy"),
        (lambda w, h, p, g: w.sum() * h.sum() * p * g / 1e6, "each run"),
        (lambda w, h, p, g: w.mean() * h.sum() * p * g / 1e6, "each run"),
        (lambda w, h, p, g: (w * h).mean() * p * g / 1e6, "the sum is asked for"),
        (lambda w, h, p, g: w[-1] * h[-1] * p * g / 1e6, "all runs count"),
        (lambda w, h, p, g: (w * h).sum() * (1 + p) * g / 1e6, "PUE"),
        ("right / 3600", ""),
        (lambda w, h, p, g: w * h * p * g / 1e6, "shape"),
    ],
    "private_training": [
        "private_by_autograd(x, y, noise, rate, C, sigma)",
        (
            "g / (g.norm(dim=1, keepdim=True) / C).clamp(min=1)",
            "torch.where((n := g.norm(dim=1, keepdim=True)) > C, g * C / n, g)",
            None,
        ),
        ("(g.sum(0) + sigma * C * xi) / len(x)", "(g.mean(0) + sigma * C * xi / len(x))", None),
        ("(g.sum(0) + sigma * C * xi) / len(x)", "(g.mean(0) + sigma * C * xi)", "before dividing"),
        ("sigma * C * xi", "sigma * xi", "C is missing"),
        ("sigma * C * xi", "0 * xi", "noise is missing"),
        ("/ len(x)", "", "divided by N"),
        ("w - rate", "w + rate", "climbs"),
        (".clamp(min=1)", ".clamp(min=0)", "made longer"),
        (".clamp(min=1)", ".clamp(max=1)", ""),
        ("g = g / (g.norm(dim=1, keepdim=True) / C).clamp(min=1)", "pass", "nothing is clipped"),
        (
            "g = g / (g.norm(dim=1, keepdim=True) / C).clamp(min=1)",
            "g = g.clamp(-C, C)",
            "clip its length",
        ),
        (
            "g / (g.norm(dim=1, keepdim=True) / C).clamp(min=1)",
            "g / (g.mean(0).norm() / C).clamp(min=1)",
            "",
        ),
        (
            "g / (g.norm(dim=1, keepdim=True) / C).clamp(min=1)",
            "g / (g.norm() / C).clamp(min=1)",
            "",
        ),
        ("torch.sigmoid(x @ w) - y", "y - torch.sigmoid(x @ w)", ""),
        ("torch.sigmoid(x @ w)", "(x @ w)", ""),
        ("for xi in noise", "for xi in noise.flip(0)", ""),
        ("torch.zeros_like(x[0])", "torch.ones_like(x[0])", ""),
        ("right / right.norm()", ""),
    ],
}

test_right_answers, test_wrong_answers = judged(ANSWERS, globals())
