"""The checks of the exercises on responsibility: wrong answers that students give are refused,
right ones of any style accepted.
"""

import math

import numpy as np
import torch
from students import accept_and_refuse

torch.set_num_threads(1)


# ---------------------------------------------------------------- right answers


def merged(ids, a, b, new):
    result, i = [], 0
    ids = ids.tolist()
    while i < len(ids):
        hit = ids[i : i + 2] == [a, b]
        result.append(new if hit else ids[i])
        i += 1 + hit
    return result


def merged_by_text(ids, a, b, new):
    text = "".join(map(chr, ids.tolist())).replace(chr(a) + chr(b), chr(new))
    return torch.tensor([ord(letter) for letter in text])


def merged_from_a_stack(ids, a, b, new):
    result = []
    for v in ids:
        if result and result[-1] is not None and (result[-1], v.item()) == (a, b):
            result[-1:] = [new, None]
        else:
            result.append(v.item())
    return tuple(v for v in result if v is not None)


def advantage(inside, outside):
    t = inside.mean()
    return (inside <= t).double().mean() - (outside <= t).double().mean()


def private_sum(G, C):
    return sum(g * min(1.0, C / g.norm().item()) if g.norm() > 0 else g for g in G)


def epsilon_of(D, orders, T, delta):
    return (
        T * D + ((orders - 1) / orders).log() - (math.log(delta) + orders.log()) / (orders - 1)
    ).min()


RIGHT = {
    "merge_pair": [
        merged,
        merged_by_text,
        merged_from_a_stack,
        lambda *a: torch.tensor(merged(*a)),
        lambda *a: [torch.tensor(v) for v in merged(*a)],
        lambda *a: torch.tensor(merged(*a)).double(),
    ],
    "language_premium": [
        lambda T, base: T.sum(1) / T[base].sum(),
        lambda T, base: T.double().mean(1) / T[base].double().mean(),
        lambda T, base: (T.numpy().sum(1) / T.numpy()[base].sum()).tolist(),
        lambda T, base: [sum(r.tolist()) / sum(T[base].tolist()) for r in T],
        lambda T, base: T.float().clone().requires_grad_().sum(1) / T[base].sum(),
    ],
    "membership_advantage": [
        advantage,
        lambda a, b: advantage(a, b).item(),
        lambda a, b: (
            np.mean(a.numpy() <= a.numpy().mean()) - np.mean(b.numpy() <= a.numpy().mean())
        ),
        lambda a, b: (b > a.mean()).float().mean() - (a > a.mean()).float().mean(),
        lambda a, b: (
            sum(v <= a.mean() for v in a) / len(a) - sum(v <= a.mean() for v in b) / len(b)
        ),
    ],
    "private_sum": [
        private_sum,
        lambda G, C: (G * (C / G.norm(dim=1, keepdim=True).clamp(min=1e-12)).clamp(max=1)).sum(0),
        lambda G, C: torch.renorm(G, 2, 0, C).sum(0),
        lambda G, C: (G / (G.norm(dim=1, keepdim=True) / C).clamp(min=1)).sum(0).tolist(),
        lambda G, C: private_sum(G.double().clone().requires_grad_(), C),
    ],
    "epsilon_of": [
        epsilon_of,
        lambda D, a, T, delta: epsilon_of(D.double(), a.double(), T, delta).item(),
        lambda D, a, T, delta: min(
            T * d + math.log1p(-1 / o) - math.log(delta * o) / (o - 1)
            for d, o in zip(D.tolist(), a.tolist())
        ),
        lambda D, a, T, delta: np.min(
            T * D.numpy()
            + np.log((a.numpy() - 1) / a.numpy())
            - np.log(delta * a.numpy()) / (a.numpy() - 1)
        ),
    ],
    "emissions": [
        lambda w, h, p, g: (w * h).sum() / 1000 * p * g / 1000,
        lambda w, h, p, g: float(w @ h) * p * g * 1e-6,
        lambda w, h, p, g: sum(a * b / 1000 * p * g / 1000 for a, b in zip(w, h)),
        lambda w, h, p, g: torch.dot(w.double(), h.double()) * p * g / 1e6,
        lambda w, h, p, g: np.dot(w.numpy(), h.numpy()) * p / 1000 * g / 1000,
    ],
}


# ---------------------------------------------------------------- wrong answers


def first_only(ids, a, b, new):
    ids = ids.tolist()
    for i in range(len(ids) - 1):
        if ids[i : i + 2] == [a, b]:
            return ids[:i] + [new] + ids[i + 2 :]
    return ids


def overlapping(ids, a, b, new):
    ids, result = ids.tolist(), []
    for i, v in enumerate(ids):
        if ids[i : i + 2] == [a, b]:
            result.append(new)
        elif i == 0 or ids[i - 1 : i + 1] != [a, b]:
            result.append(v)
    return result


def looks_back(ids, a, b, new):
    result = []
    for v in ids.tolist():
        if result and (result[-1], v) in ((a, b), (new, b)):
            result[-1] = new
        else:
            result.append(v)
    return result


def loses_the_last(ids, a, b, new):
    ids, result, i = ids.tolist(), [], 0
    while i < len(ids) - 1:
        hit = ids[i : i + 2] == [a, b]
        result.append(new if hit else ids[i])
        i += 1 + hit
    return result


def in_place(ids, a, b, new):
    result = merged(ids, a, b, new)
    ids[0] = new
    return result


def swapped(f):
    return lambda a, b: f(b, a)


def gap(a, b, t, test=torch.le):
    return test(a, t).double().mean() - test(b, t).double().mean()


def scaled_in_place(G, C):
    G *= (C / G.norm(dim=1, keepdim=True).clamp(min=1e-12)).clamp(max=1)
    return G.sum(0)


def best(D, a, T, delta, f):
    return min(f(d, o, T, delta) for d, o in zip(D.tolist(), a.tolist()))


WRONG = {
    "merge_pair": [
        (first_only, "only the first"),
        (overlapping, "used twice"),
        (lambda ids, a, b, new: merged(ids.flip(0), b, a, new)[::-1], "from left to right"),
        (
            lambda ids, a, b, new: [
                new if ids.tolist()[i : i + 2] == [a, b] else v for i, v in enumerate(ids.tolist())
            ],
            "stands for both",
        ),
        (
            lambda ids, a, b, new: [new if v in (a, b) else v for v in ids.tolist()],
            "every a and every b",
        ),
        (lambda ids, a, b, new: ids, "unchanged"),
        (looks_back, "merged again"),
        (lambda ids, a, b, new: [v for v in merged(ids, a, b, new) if v != new], "taken away"),
        (in_place, "in place"),
        (loses_the_last, "last id is lost|not those"),
    ],
    "language_premium": [
        (lambda T, b: (T / T[b]).double().mean(1), "divide the sums"),
        (lambda T, b: T[b].sum() / T.sum(1), "exchanged"),
        (lambda T, b: T.sum(1) / T[0].sum(), "first language"),
        (lambda T, b: T.sum(1) / T.sum(1).min(), "cheapest"),
        (lambda T, b: T.sum(1) / T[b].sum() - 1, "less 1"),
        (lambda T, b: T.double().mean(1), "not divided"),
        (lambda T, b: 100 * T.sum(1) / T[b].sum(), "percent"),
        (lambda T, b: T.sum(0) / T.sum(0)[b % T.shape[1]], "shape|languages"),
        (lambda T, b: T.sum(1) // T[b].sum(), "not sum"),
        (lambda T, b: T[:, 0] / T[b, 0], "first sentence"),
    ],
    "membership_advantage": [
        (lambda a, b: gap(a, b, a.mean(), torch.lt), "equal to the threshold"),
        (lambda a, b: gap(a, b, b.mean()), "mean of the strangers"),
        (lambda a, b: gap(a, b, torch.cat([a, b]).mean()), "mean of all"),
        (lambda a, b: gap(a, b, a.median()), "median"),
        (lambda a, b: -advantage(a, b), "small"),
        (lambda a, b: advantage(a, b).abs(), "negative"),
        (lambda a, b: advantage(a, b).clamp(min=0), "negative"),
        (lambda a, b: (a <= a.mean()).double().mean(), "true positive"),
        (lambda a, b: (1 + advantage(a, b)) / 2, "right guesses"),
        (lambda a, b: b.mean() - a.mean(), "mean losses"),
        (lambda a, b: ((a <= a.mean()).sum() - (b <= a.mean()).sum()) / len(a), "own number"),
        (lambda a, b: (a <= a.mean()).sum() - (b <= a.mean()).sum(), "counts"),
        (lambda a, b: (a[:, None] < b).double().mean(), "AUC"),
        (lambda a, b: max(gap(a, b, t) for t in torch.cat([a, b])), "best threshold"),
    ],
    "private_sum": [
        (lambda G, C: G.sum(0) * min(1, C / G.sum(0).norm()), "sum or the mean"),
        (lambda G, C: len(G) * G.mean(0) * min(1, C / G.mean(0).norm()), "sum or the mean"),
        (lambda G, C: (C * G / G.norm(dim=1, keepdim=True).clamp(min=1e-12)).sum(0), "stretched"),
        (lambda G, C: G.clamp(-C, C).sum(0), "each number"),
        (lambda G, C: torch.renorm(G, 2, 0, C).mean(0), "mean; the sum"),
        (lambda G, C: G[G.norm(dim=1) <= C].sum(0), "left out"),
        (lambda G, C: G.sum(0), "nothing is clipped"),
        (lambda G, C: torch.renorm(G, 1, 0, C).sum(0), "absolute values"),
        (
            lambda G, C: (
                G / G.norm(dim=1, keepdim=True) * G.norm(dim=1, keepdim=True).clamp(max=C)
            ).sum(0),
            "NaN",
        ),
        (scaled_in_place, "in place"),
        (lambda G, C: (G / G.norm(dim=1, keepdim=True).clamp(min=1)).sum(0), "C forgotten"),
    ],
    "epsilon_of": [
        (lambda D, a, T, d: epsilon_of(D, a, 1, d), "steps are not counted"),
        (lambda D, a, T, d: T * epsilon_of(D, a, 1, d), "multiplied by T"),
        (lambda D, a, T, d: epsilon_of(D, a, math.sqrt(T), d), "root"),
        (
            lambda D, a, T, d: (
                best(
                    -D,
                    a,
                    T,
                    d,
                    lambda v, o, T, d: -(-T * v + math.log1p(-1 / o) - math.log(d * o) / (o - 1)),
                )
                * -1
            ),
            "largest",
        ),
        (lambda D, a, T, d: epsilon_of(D[:1], a[:1], T, d), "first order"),
        (lambda D, a, T, d: epsilon_of(D[-1:], a[-1:], T, d), "last order"),
        (
            lambda D, a, T, d: best(D, a, T, d, lambda v, o, T, d: T * v - math.log(d) / (o - 1)),
            "older",
        ),
        (
            lambda D, a, T, d: best(
                D, a, T, d, lambda v, o, T, d: T * v - math.log(d * o) / (o - 1)
            ),
            "is missing",
        ),
        (
            lambda D, a, T, d: best(
                D, a, T, d, lambda v, o, T, d: T * v + math.log1p(-1 / o) - math.log(d) / (o - 1)
            ),
            "log a in the last",
        ),
        (
            lambda D, a, T, d: best(
                D,
                a,
                T,
                d,
                lambda v, o, T, d: T * v + math.log1p(-1 / o) + math.log(d * o) / (o - 1),
            ),
            "wrong sign",
        ),
        (
            lambda D, a, T, d: best(
                D, a, T, d, lambda v, o, T, d: T * v + math.log1p(-1 / o) - math.log(d * o) / o
            ),
            "divided by a",
        ),
        (
            lambda D, a, T, d: best(
                D,
                a,
                T,
                d,
                lambda v, o, T, d: T * v + math.log10(1 - 1 / o) - math.log10(d * o) / (o - 1),
            ),
            "natural",
        ),
    ],
    "emissions": [
        (lambda w, h, p, g: (w * h).sum() * p * g / 1000, "grams|kilowatts"),
        (lambda w, h, p, g: (w * h).sum() * g / 1e6, "left out"),
        (lambda w, h, p, g: (w * h).sum() / p * g / 1e6, "not less"),
        (lambda w, h, p, g: (w * h).sum() * p / 1000, "energy"),
        (lambda w, h, p, g: w.sum() * h.sum() * p * g / 1e6, "all hours"),
        (lambda w, h, p, g: w.mean() * h.sum() * p * g / 1e6, "mean power"),
        (lambda w, h, p, g: (w * h).mean() * p * g / 1e6, "mean over the runs"),
        (lambda w, h, p, g: w[-1] * h[-1] * p * g / 1e6, "last run"),
        (lambda w, h, p, g: (w * h).sum() * (1 + p) * g / 1e6, "PUE"),
        (lambda w, h, p, g: (w * h).sum() / 3600 * p * g / 1e6, "seconds"),
        (lambda w, h, p, g: w * h * p * g / 1e6, "shape"),
    ],
}


test_right_answers_are_accepted, test_wrong_answers_are_refused_with_the_fitting_hint = (
    accept_and_refuse(RIGHT, WRONG)
)
