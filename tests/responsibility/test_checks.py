"""The checks of the exercises on responsibility: a row is an answer, to be accepted, or to be
refused with a hint.
"""

import math

import numpy as np
import torch
from students import accept_and_refuse, in_place

# ---------------------------------------------------------------- texts


def merged(ids, a, b, new, most=math.inf):
    result, i, ids = [], 0, ids.tolist()
    while i < len(ids):
        hit = ids[i : i + 2] == [a, b] and most > 0
        result, i, most = [*result, new if hit else ids[i]], i + 1 + hit, most - hit
    return result


def merged_text(ids, a, b, new):
    text = "".join(map(chr, ids.tolist())).replace(chr(a) + chr(b), chr(new))
    return torch.tensor([ord(letter) for letter in text])


def merged_stack(ids, a, b, new):
    result = []
    for v in ids.tolist():
        hit = result and (result[-1], v) == (a, b)
        result[-1 if hit else len(result) :] = [new, None] if hit else [v]
    return tuple(v for v in result if v is not None)


def pairs(change):
    """What each id becomes, by the pairs that it begins and ends."""

    def answer(ids, a, b, new):
        ids = ids.tolist()
        hits = [ids[i : i + 2] == [a, b] for i in range(len(ids))]
        return change(ids, hits, [False, *hits[:-1]], new)

    return answer


def overlapping(ids, begins, ends, new):
    return [new if b else v for v, b, e in zip(ids, begins, ends) if b or not e]


def looks_back(ids, a, b, new):
    result = []
    for v in ids.tolist():
        hit = result and (result[-1], v) in ((a, b), (new, b))
        result[-1 if hit else len(result) :] = [new if hit else v]
    return result


def premium(T, base):
    return T.sum(1) / T[base].sum()


# ---------------------------------------------------------------- privacy


def gap(a, b, t=None, test=torch.le):
    t = a.mean() if t is None else t
    return test(a, t).double().mean() - test(b, t).double().mean()


def lengths(G):
    return G.norm(dim=1, keepdim=True)


def private_sum(G, C):
    return sum(g * min(1.0, C / g.norm().item()) if g.norm() > 0 else g for g in G)


def clipped(G, C):
    return G * (C / lengths(G).clamp(min=1e-12)).clamp(max=1)


def epsilon(D, a, T, delta, of=lambda d, a, T, logs, last: T * d + logs + last / (a - 1), best=min):
    """logs: log((a - 1) / a); last: -log delta - log a."""
    logs, last = ((a - 1) / a).log(), -math.log(delta) - a.log()
    return best(of(D, a, T, logs, last))


def epsilon_of(of):
    return lambda *v: epsilon(*v, of)


def epsilon_loop(D, a, T, delta):
    return min(
        T * d + math.log1p(-1 / o) - math.log(delta * o) / (o - 1)
        for d, o in zip(D.tolist(), a.tolist())
    )


def epsilon_numpy(D, a, T, delta):
    D, a = D.numpy(), a.numpy()
    return np.min(T * D + np.log((a - 1) / a) - np.log(delta * a) / (a - 1))


# ---------------------------------------------------------------- the tables

RIGHT = {
    "merge_pair": [
        lambda *v: torch.tensor(merged(*v)),
        merged_text,
        merged_stack,
        lambda *v: [torch.tensor(k) for k in merged(*v)],
    ],
    "language_premium": [
        premium,
        lambda T, base: T.double().mean(1) / T[base].double().mean(),
        lambda T, base: [sum(r.tolist()) / sum(T[base].tolist()) for r in T],
    ],
    "membership_advantage": [
        gap,
        lambda a, b: np.mean(a.numpy() <= a.numpy().mean()) - np.mean((b <= a.mean()).numpy()),
        lambda a, b: (b > a.mean()).float().mean() - (a > a.mean()).float().mean(),
        lambda a, b: sum(a <= a.mean()) / len(a) - sum(b <= a.mean()) / len(b),
    ],
    "private_sum": [
        private_sum,
        lambda *v: clipped(*v).sum(0),
        lambda G, C: torch.renorm(G, 2, 0, C).sum(0),
        lambda G, C: (G / (lengths(G) / C).clamp(min=1)).sum(0),
    ],
    "epsilon_of": [epsilon, epsilon_loop, epsilon_numpy],
    "emissions": [
        lambda w, h, p, g: (w * h).sum() / 1000 * p * g / 1000,
        lambda w, h, p, g: float(w @ h) * p * g * 1e-6,
        lambda w, h, p, g: sum(a * b / 1000 * p * g / 1000 for a, b in zip(w, h)),
        lambda w, h, p, g: np.dot(w.numpy(), h.numpy()) * p / 1000 * g / 1000,
    ],
}

WRONG = {
    "merge_pair": [
        (lambda *v: merged(*v, most=1), "only the first"),
        (pairs(overlapping), ""),
        (lambda ids, a, b, new: merged(ids.flip(0), b, a, new)[::-1], "from left to right"),
        (pairs(lambda ids, b, e, new: [new if k else v for v, k in zip(ids, b)]), "both"),
        (lambda ids, a, b, new: [new if v in (a, b) else v for v in ids.tolist()], ""),
        (lambda ids, *v: ids, "unchanged"),
        (looks_back, ""),
        (lambda *v: [k for k in merged(*v) if k != v[3]], ""),
        (in_place(merged, 0), "in place"),
        (lambda *v: merged(*v)[:-1], "not those"),
    ],
    "language_premium": [
        (lambda T, b: (T / T[b]).double().mean(1), "divide the sums"),
        (lambda *v: 1 / premium(*v), "exchanged"),
        (lambda T, b: premium(T, 0), "another language"),
        (lambda T, b: T.sum(1) / T.sum(1).min(), "another language"),
        (lambda *v: premium(*v) - 1, "nothing is subtracted"),
        (lambda T, b: T.double().mean(1), "not divided"),
        (lambda *v: 100 * premium(*v), "percent"),
        (lambda T, b: T.sum(0) / T.sum(0)[b % T.shape[1]], "shape|not sum"),
        (lambda T, b: T.sum(1) // T[b].sum(), "not sum"),
        (lambda T, b: T[:, 0] / T[b, 0], ""),
    ],
    "membership_advantage": [
        (lambda a, b: gap(a, b, test=torch.lt), "equal to the threshold"),
        (lambda a, b: gap(a, b, b.mean()), "of them alone"),
        (lambda a, b: gap(a, b, torch.cat([a, b]).mean()), "of them alone"),
        (lambda a, b: gap(a, b, a.median()), "no median"),
        (lambda *v: -gap(*v), "turned round"),
        (lambda *v: gap(*v).abs(), ""),
        (lambda *v: gap(*v).clamp(min=0), "has a sign"),
        (lambda a, b: (a <= a.mean()).double().mean(), "false positive"),
        (lambda *v: (1 + gap(*v)) / 2, ""),
        (lambda a, b: b.mean() - a.mean(), ""),
        (lambda a, b: ((a <= a.mean()).sum() - (b <= a.mean()).sum()) / len(a), "own number"),
        (lambda a, b: (a <= a.mean()).sum() - (b <= a.mean()).sum(), "own number"),
        (lambda a, b: (a[:, None] < b).double().mean(), ""),
        (lambda a, b: max(gap(a, b, t) for t in torch.cat([a, b])), ""),
    ],
    "private_sum": [
        (lambda G, C: clipped(G.sum(0)[None], C).sum(0), "sum or the mean"),
        (lambda G, C: len(G) * clipped(G.mean(0)[None], C).sum(0), "sum or the mean"),
        (lambda G, C: (C * G / lengths(G).clamp(min=1e-12)).sum(0), "stretched"),
        (lambda G, C: G.clamp(-C, C).sum(0), "each number"),
        (lambda *v: clipped(*v).mean(0), "mean; the sum"),
        (lambda G, C: G[G.norm(dim=1) <= C].sum(0), ""),
        (lambda G, C: G.sum(0), "nothing is clipped"),
        (lambda G, C: torch.renorm(G, 1, 0, C).sum(0), "root"),
        (lambda G, C: (G / lengths(G) * lengths(G).clamp(max=C)).sum(0), "NaN"),
        (lambda G, C: G.copy_(clipped(G, C)).sum(0), "in place"),
        (lambda G, C: (G / lengths(G).clamp(min=1)).sum(0), ""),
    ],
    "epsilon_of": [
        (lambda D, a, T, d: epsilon(D, a, 1, d), "steps are not counted"),
        (lambda D, a, T, d: T * epsilon(D, a, 1, d), "only the divergences"),
        (lambda D, a, T, d: epsilon(D, a, math.sqrt(T), d), "grow with T"),
        (lambda *v: epsilon(*v, best=max), "smallest"),
        (lambda D, a, *v: epsilon(D[:1], a[:1], *v), "smallest"),
        (lambda D, a, *v: epsilon(D[-1:], a[-1:], *v), "smallest"),
        (lambda D, a, T, d: min(T * D - math.log(d) / (a - 1)), "is missing"),
        (epsilon_of(lambda D, a, T, logs, last: T * D + last / (a - 1)), "is missing"),
        (
            epsilon_of(lambda D, a, T, logs, last: T * D + logs + (last + a.log()) / (a - 1)),
            "is missing",
        ),
        (epsilon_of(lambda D, a, T, logs, last: T * D + logs - last / (a - 1)), "wrong sign"),
        (epsilon_of(lambda D, a, T, logs, last: T * D + logs + last / a), ""),
        (
            epsilon_of(lambda D, a, T, logs, last: T * D + (logs + last / (a - 1)) / math.log(10)),
            "",
        ),
    ],
    "emissions": [
        (lambda w, h, p, g: (w * h).sum() * p * g / 1000, "kilowatts"),
        (lambda w, h, p, g: (w * h).sum() * g / 1e6, "by PUE"),
        (lambda w, h, p, g: (w * h).sum() / p * g / 1e6, "by PUE"),
        (lambda w, h, p, g: (w * h).sum() * p / 1000, "energy"),
        (lambda w, h, p, g: w.sum() * h.sum() * p * g / 1e6, "each run"),
        (lambda w, h, p, g: w.mean() * h.sum() * p * g / 1e6, "each run"),
        (lambda w, h, p, g: (w * h).mean() * p * g / 1e6, "the sum is asked for"),
        (lambda w, h, p, g: w[-1] * h[-1] * p * g / 1e6, "all runs count"),
        (lambda w, h, p, g: (w * h).sum() * (1 + p) * g / 1e6, "PUE"),
        (lambda w, h, p, g: (w * h).sum() / 3600 * p * g / 1e6, ""),
        (lambda w, h, p, g: w * h * p * g / 1e6, "shape"),
    ],
}

test_right_answers_are_accepted, test_wrong_answers_are_refused_with_the_fitting_hint = (
    accept_and_refuse(RIGHT, WRONG)
)
