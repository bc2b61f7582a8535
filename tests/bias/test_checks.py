"""The checks of the exercises on bias: wrong answers that students give are refused, right ones of
any style accepted.
"""

import itertools
import math

import numpy as np
import torch
import torch.nn.functional as F
from scipy import stats
from students import accept_and_refuse

torch.set_num_threads(1)


# ---------------------------------------------------------------- right answers


def parity(yhat, g, size=torch.abs):
    yhat = yhat.double()
    return size(yhat[g == 1].mean() - yhat[g == 0].mean())


def opportunity(y, yhat, g, given=1):
    return parity(yhat[y == given], g[y == given])


def opportunity_by_counts(y, yhat, g):
    rates = [((y * yhat) * (g == k)).sum() / (y * (g == k)).sum() for k in (0, 1)]
    return abs(rates[0] - rates[1])


def remove(phi, v, factor=1.0):
    u = v / v.norm()
    return phi - factor * torch.outer(phi @ u, u)


def remove_in_place_of_a_copy(phi, v):
    phi = phi.clone()
    for row in phi:
        row -= (row @ v) / (v @ v) * v
    return phi


def association(W, A, B):
    return F.cosine_similarity(W[:, None], A[None], dim=-1).mean(1) - F.cosine_similarity(
        W[:, None], B[None], dim=-1
    ).mean(1)


def effect(X, Y, A, B, spread=lambda x, y: torch.cat([x, y]).std(), s=association):
    x, y = s(X, A, B), s(Y, A, B)
    return (x.mean() - y.mean()) / spread(x, y)


def effect_with_numpy(X, Y, A, B):
    unit = [v.numpy() / np.linalg.norm(v.numpy(), axis=1, keepdims=True) for v in (X, Y, A, B)]
    x, y = (w @ unit[2].mean(0) - w @ unit[3].mean(0) for w in unit[:2])
    return (x.mean() - y.mean()) / np.std(np.concatenate([x, y]), ddof=1)


def effect_by_loops(X, Y, A, B):
    def s(w):
        return sum(torch.cosine_similarity(w, a, dim=0) for a in A) / len(A) - sum(
            torch.cosine_similarity(w, b, dim=0) for b in B
        ) / len(B)

    x, y = [s(w) for w in X], [s(w) for w in Y]
    return (sum(x) / len(x) - sum(y) / len(y)) / torch.stack(x + y).std()


def weights(y, g, value=lambda pg, py, both, n: pg * py / both):
    result = []
    for a, b in zip(y, g):
        result.append(
            value(
                (g == b).double().mean(),
                (y == a).double().mean(),
                ((g == b) & (y == a)).double().mean(),
                len(y),
            )
        )
    return torch.stack([torch.as_tensor(v, dtype=torch.float64) for v in result])


def weights_by_table(y, g):
    n = torch.zeros(2, 2).index_put((g, y), torch.ones(len(y)), accumulate=True)
    return (n.sum(1, keepdim=True) * n.sum(0) / n / len(y))[g, y]


def weights_as_list(y, g):
    y, g = y.tolist(), g.tolist()
    pairs = list(zip(y, g))
    return [y.count(a) * g.count(b) / pairs.count((a, b)) / len(y) for a, b in pairs]


def gap(t, y, z, k):
    return y[(t == 1) & (z == k)].mean() - y[(t == 0) & (z == k)].mean()


def adjusted(t, y, z, share=lambda t, z, k: (z == k).double().mean()):
    return sum(share(t, z, k) * gap(t, y, z, k) for k in (0, 1))


def adjusted_by_regression(t, y, z):
    """Saturated least squares, averaged over z."""
    t, z, y = t.double(), z.double(), y.double()
    X = torch.stack([torch.ones_like(t), t, z, t * z], 1)
    w = torch.linalg.lstsq(X, y[:, None]).solution[:, 0]
    return w[1] + w[3] * z.mean()


def adjusted_by_weights(t, y, z):
    p = torch.stack([(t[z == k] == 1).double().mean() for k in (0, 1)])[z]
    y = y.double()
    return (t * y / p).mean() - ((1 - t) * y / (1 - p)).mean()


def differences(s, n):
    s = s.double()
    return torch.stack(
        [
            s[list(c)].mean() - s[[i for i in range(len(s)) if i not in c]].mean()
            for c in itertools.combinations(range(len(s)), n)
        ]
    )


def chance(s, n, test=lambda d: d >= d[0] - 1e-9):
    return test(differences(s, n)).double().mean()


def chance_by_all_orders(s, n):
    s = s.tolist()
    seen = sum(s[:n])
    orders = list(itertools.permutations(s))
    return sum(sum(o[:n]) >= seen - 1e-6 for o in orders) / len(orders)


def chance_with_scipy(s, n):
    if min(n, len(s) - n) < 2:
        return chance(s, n)
    s = s.double().numpy()
    return stats.permutation_test(
        (s[:n], s[n:]), lambda a, b: a.mean() - b.mean(), alternative="greater", n_resamples=np.inf
    ).pvalue


RIGHT = {
    "parity_gap": [
        parity,
        lambda yhat, g: abs(
            sum(yhat[g == 1].tolist()) / int((g == 1).sum())
            - sum(yhat[g == 0].tolist()) / int((g == 0).sum())
        ),
        lambda yhat, g: np.abs(
            yhat.numpy()[g.numpy() == 1].mean() - yhat.numpy()[g.numpy() == 0].mean()
        ),
        lambda yhat, g: parity(yhat, 1 - g),
        lambda yhat, g: ((yhat * g).sum() / g.sum() - (yhat * (1 - g)).sum() / (1 - g).sum()).abs(),
    ],
    "opportunity_gap": [
        opportunity,
        opportunity_by_counts,
        lambda y, yhat, g: parity(1 - yhat[y == 1], g[y == 1]),
        lambda y, yhat, g: opportunity(y, yhat, g).item(),
        lambda y, yhat, g: opportunity(y, yhat, 1 - g).float(),
    ],
    "remove_direction": [
        remove,
        remove_in_place_of_a_copy,
        lambda phi, v: phi @ (torch.eye(len(v), dtype=v.dtype) - torch.outer(v, v) / (v @ v)),
        lambda phi, v: remove(phi.double(), v.double()),
        lambda phi, v: [remove(row[None], v)[0] for row in phi],
        lambda phi, v: remove(phi, -3 * v),
    ],
    "weat": [
        effect,
        effect_with_numpy,
        effect_by_loops,
        lambda *a: effect(*[v.double() for v in a]),
        lambda *a: effect(*[F.normalize(v) for v in a]).item(),
    ],
    "reweighing": [
        weights,
        weights_by_table,
        weights_as_list,
        lambda y, g: weights(y, g).float(),
        lambda y, g: weights(g, y),
    ],
    "adjusted_effect": [
        adjusted,
        adjusted_by_regression,
        adjusted_by_weights,
        lambda t, y, z: adjusted(t, y.double(), z).item(),
        lambda t, y, z: adjusted(t, y.numpy(), z),
    ],
    "permutation_p": [
        chance,
        chance_by_all_orders,
        chance_with_scipy,
        lambda s, n: chance(s, n).item(),
        lambda s, n: chance(2 * s + 1, n),
    ],
}


# ---------------------------------------------------------------- wrong answers


def in_place(phi, v):
    u = v / v.norm()
    phi -= torch.outer(phi @ u, u)
    return phi


def by_centres(X, Y, A, B):
    return effect(X, Y, A.mean(0, keepdim=True), B.mean(0, keepdim=True))


def only_occurring_pairs_fail(y, g):
    n = torch.zeros(2, 2).index_put((g, y), torch.ones(len(y)), accumulate=True)
    w = n.sum(1, keepdim=True) * n.sum(0) / n / len(y)
    return w[g, y] / w.mean()


WRONG = {
    "parity_gap": [
        (lambda yhat, g: parity(yhat, g, lambda v: v), "sign is kept"),
        (lambda yhat, g: -parity(yhat, g, lambda v: v), "sign is kept"),
        (lambda yhat, g: abs(yhat[g == 1].sum() - yhat[g == 0].sum()), "numbers of people"),
        (
            lambda yhat, g: abs(yhat[g == 1].sum() - yhat[g == 0].sum()) / len(g),
            "divide each by the size",
        ),
        (
            lambda yhat, g: parity(g, yhat) if 0 < yhat.sum() < len(g) else torch.tensor(0.0),
            "exchanged",
        ),
        (lambda yhat, g: parity(yhat, g) ** 2, "squared"),
        (lambda yhat, g: 100 * parity(yhat, g), "percent"),
        (lambda yhat, g: yhat[g == 1].mean() - yhat[g == 0].mean(), "raises RuntimeError"),
        (lambda yhat, g: (yhat != g).double().mean(), "differ"),
        (lambda yhat, g: yhat[g == 1].double().mean() / yhat[g == 0].double().mean(), "ratio"),
        (lambda yhat, g: None, "return"),
        (lambda yhat, g: [parity(yhat, g)] * 2, "shape"),
    ],
    "opportunity_gap": [
        (lambda y, yhat, g: parity(yhat, g), "demographic parity"),
        (lambda y, yhat, g: opportunity(y, yhat, g, given=0), "false positive"),
        (lambda y, yhat, g: parity((y == yhat).long(), g), "accuracy"),
        (lambda y, yhat, g: opportunity(yhat, y, g), "exchanged"),
        (lambda y, yhat, g: parity(yhat[y == 1], g[y == 1], lambda v: v), "sign"),
        (lambda y, yhat, g: parity(y * yhat, g), "size of the group"),
        (lambda y, yhat, g: abs((y * yhat * (2 * g - 1)).sum()), "numbers of true"),
        (lambda y, yhat, g: abs((y * yhat * (2 * g - 1)).sum()) / y.sum(), "of both groups"),
        (lambda y, yhat, g: opportunity(y, yhat, g) ** 2, "squared"),
        (lambda y, yhat, g: 100 * opportunity(y, yhat, g), "percent"),
    ],
    "remove_direction": [
        (lambda phi, v: phi - torch.outer(phi @ v, v), "any length"),
        (lambda phi, v: phi - torch.outer(phi @ v, v / v.norm()), "only once"),
        (lambda phi, v: phi - remove(phi, v), "part along v"),
        (lambda phi, v: remove(phi, v, -1), "added"),
        (lambda phi, v: remove(phi, v, 2), "mirror"),
        (lambda phi, v: phi - v, "v itself"),
        (lambda phi, v: phi - v / v.norm(), "direction v"),
        (lambda phi, v: F.normalize(remove(phi, v)), "length 1"),
        (in_place, "in place"),
        (lambda phi, v: remove(phi, v)[0], "shape"),
        (lambda phi, v: phi - (phi @ v / (v @ v)).mean() * v, "each has its own"),
        (lambda phi, v: phi - torch.outer((phi @ v).abs(), v) / (v @ v), "absolute"),
    ],
    "weat": [
        (lambda *a: effect(*a, lambda x, y: torch.cat([x, y]).std(unbiased=False)), "n - 1"),
        (lambda *a: effect(*a, lambda x, y: 1), "not divided"),
        (lambda *a: effect(*a, lambda x, y: torch.cat([x, y]).var()), "variance"),
        (lambda *a: effect(*a, lambda x, y: x.std() if len(x) > 1 else 1), "X alone"),
        (
            lambda *a: effect(*a, lambda x, y: (x.std() + y.std()) / 2 if len(x) > 1 else 1),
            "averaged",
        ),
        (
            lambda *a: effect(
                *a, lambda x, y: ((x.var() + y.var()) / 2).sqrt() if len(x) > 1 else 1
            ),
            "Cohen",
        ),
        (lambda *a: effect(*a, s=lambda W, A, B: (W @ A.T).mean(1) - (W @ B.T).mean(1)), "cosine"),
        (lambda *a: -effect(*a), "turned round"),
        (lambda *a: effect(*a).abs(), "absolute"),
        (by_centres, "before the cosine"),
        (
            lambda X, Y, A, B: effect(A, B, X, Y) if len(A) > 1 else effect(X, Y, A, B) + 1,
            "exchanged",
        ),
        (lambda X, Y, A, B: effect(X, Y, A, B) * len(X), "means"),
    ],
    "reweighing": [
        (lambda y, g: 1 / weights(y, g), "turned round"),
        (lambda y, g: weights(y, g, lambda pg, py, both, n: pg / both), "P\\(y\\) is left out"),
        (lambda y, g: weights(y, g, lambda pg, py, both, n: py / both), "P\\(g\\) is left out"),
        (lambda y, g: weights(y, g, lambda pg, py, both, n: 1 / both), "multiply"),
        (lambda y, g: weights(y, g, lambda pg, py, both, n: 0.25 / both), "same total"),
        (lambda y, g: weights(y, g, lambda pg, py, both, n: 0.5 / pg), "groups alone"),
        (lambda y, g: weights(y, g) * len(y), "average to N"),
        (lambda y, g: weights(y, g) / len(y), "divide by N|sum to 1"),
        (lambda y, g: torch.ones(len(y)), "all weights are 1"),
        (lambda y, g: weights(y, g, lambda pg, py, both, n: pg * py), "divide by P"),
        (lambda y, g: weights(y, g).sum(), "shape"),
        (only_occurring_pairs_fail, "not P|NaN"),
    ],
    "adjusted_effect": [
        (lambda t, y, z: y[t == 1].mean() - y[t == 0].mean(), "without adjustment"),
        (lambda t, y, z: adjusted(t, y, z, lambda t, z, k: 0.5), "count the same"),
        (lambda t, y, z: gap(t, y, z, 0) + gap(t, y, z, 1), "without their shares"),
        (
            lambda t, y, z: adjusted(t, y, z, lambda t, z, k: (z[t == 1] == k).double().mean()),
            "t = 1",
        ),
        (
            lambda t, y, z: adjusted(t, y, z, lambda t, z, k: (z[t == 0] == k).double().mean()),
            "t = 0",
        ),
        (lambda t, y, z: -adjusted(t, y, z), "turned round"),
        (lambda t, y, z: adjusted(t, y, z).abs(), "absolute"),
        (lambda t, y, z: gap(t, y, z, 1), "only z = 1"),
        (lambda t, y, z: gap(t, y, z, 0), "only z = 0"),
        (lambda t, y, z: adjusted(z, y, t), "exchanged"),
        (lambda t, y, z: adjusted(t, y, z, lambda t, z, k: (z != k).double().mean()), "exchanged"),
        (lambda t, y, z: adjusted(t, y, z, lambda t, z, k: (z == k).sum()), "not divided by N"),
    ],
    "permutation_p": [
        (lambda s, n: chance(s, n, lambda d: d > d[0] + 1e-9), "equality counts"),
        (lambda s, n: chance(s, n, lambda d: d[1:] >= d[0] - 1e-9), "left out"),
        (lambda s, n: chance(s, n, lambda d: d <= d[0] + 1e-9), "smaller"),
        (lambda s, n: chance(s, n, lambda d: d.abs() >= d[0].abs() - 1e-9), "one-sided"),
        (lambda s, n: (2 * chance(s, n)).clamp(max=1), "doubled"),
        (lambda s, n: chance(s, n) * len(differences(s, n)), "divide by how many"),
        (lambda s, n: s[:n].mean() - s[n:].mean(), "count the partitions"),
        (
            lambda s, n: (chance(s, n) * math.comb(len(s), n) + 1) / (math.comb(len(s), n) + 1),
            "drawn by chance",
        ),
        (lambda s, n: 1 - chance(s, n), "smaller|share"),
        (lambda s, n: torch.rand(()), "share|second call"),
    ],
}


test_right_answers_are_accepted, test_wrong_answers_are_refused_with_the_fitting_hint = (
    accept_and_refuse(RIGHT, WRONG)
)
