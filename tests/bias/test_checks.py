"""The checks of the exercises on bias: a row is an answer, to be accepted, or to be refused with a
hint.
"""

import itertools

import numpy as np
import torch
import torch.nn.functional as F
from scipy import stats
from students import accept_and_refuse

# ---------------------------------------------------------------- gaps between groups


def parity(yhat, g, size=abs):
    return size(yhat[g == 1].double().mean() - yhat[g == 0].double().mean())


def parity_numpy(yhat, g):
    yhat, g = yhat.numpy(), g.numpy()
    return np.abs(yhat[g == 1].mean() - yhat[g == 0].mean())


def number(yhat, g):
    return abs((yhat * (2 * g - 1)).sum())


def tpr_gap(y, yhat, g, given=1):
    return parity(yhat[y == given], g[y == given])


def tpr_counts(y, yhat, g):
    rates = [((y * yhat) * (g == k)).sum() / (y * (g == k)).sum() for k in (0, 1)]
    return abs(rates[0] - rates[1])


# ---------------------------------------------------------------- vectors of words


def remove(phi, v, factor=1.0):
    u = v / v.norm()
    return phi - factor * torch.outer(phi @ u, u)


def remove_rows(phi, v):
    phi = phi.clone()
    for row in phi:
        row -= (row @ v) / (v @ v) * v
    return phi


def cosines(W, A):
    return F.cosine_similarity(W[:, None], A[None], dim=-1)


def effect(X, Y, A, B, spread=lambda x, y: torch.cat([x, y]).std(), like=cosines):
    x, y = (like(W, A).mean(1) - like(W, B).mean(1) for W in (X, Y))
    return (x.mean() - y.mean()) / spread(x, y)


def spread_by(spread):
    return lambda *v: effect(*v, lambda x, y: spread(x, y) if len(x) > 1 else 1)


def effect_numpy(*sets):
    X, Y, A, B = (v.numpy() / np.linalg.norm(v.numpy(), axis=1, keepdims=True) for v in sets)
    x, y = (w @ A.mean(0) - w @ B.mean(0) for w in (X, Y))
    return (x.mean() - y.mean()) / np.std(np.concatenate([x, y]), ddof=1)


def effect_loops(X, Y, A, B):
    def near(w, A):
        return sum(torch.cosine_similarity(w, a, dim=0) for a in A) / len(A)

    x, y = ([near(w, A) - near(w, B) for w in W] for W in (X, Y))
    return (sum(x) / len(x) - sum(y) / len(y)) / torch.stack(x + y).std()


# ---------------------------------------------------------------- weights and chance


def weights(y, g, of=lambda pg, py, both: pg * py / both):
    alike = ((g == b, y == a, (g == b) & (y == a)) for a, b in zip(y, g))
    return torch.stack([of(*(same.double().mean() for same in three)) for three in alike])


def weighed(of):
    return lambda y, g: weights(y, g, of)


def weights_table(y, g, scale=lambda w: 1):
    n = torch.zeros(2, 2).index_put((g, y), torch.ones(len(y)), accumulate=True)
    w = n.sum(1, keepdim=True) * n.sum(0) / n / len(y)
    return w[g, y] / scale(w)


def weights_list(y, g):
    y, g = y.tolist(), g.tolist()
    pairs = list(zip(y, g))
    return [y.count(a) * g.count(b) / pairs.count((a, b)) / len(y) for a, b in pairs]


def gap(t, y, inside):
    return y[(t == 1) & inside].mean() - y[(t == 0) & inside].mean()


def adjusted(t, y, z, share=lambda t, z, k: (z == k).double().mean()):
    return sum(share(t, z, k) * gap(t, y, z == k) for k in (0, 1))


def shared(share):
    return lambda *v: adjusted(*v, share)


def adjusted_regression(t, y, z):
    """Saturated least squares, averaged over z."""
    t, z, y = t.double(), z.double(), y.double()
    X = torch.stack([torch.ones_like(t), t, z, t * z], 1)
    w = torch.linalg.lstsq(X, y[:, None]).solution[:, 0]
    return w[1] + w[3] * z.mean()


def adjusted_weights(t, y, z):
    p = torch.stack([t[z == k].double().mean() for k in (0, 1)])[z]
    return (t * y / p).mean() - ((1 - t) * y / (1 - p)).mean()


def differences(s, n):
    c = torch.tensor(list(itertools.combinations(range(len(s)), n)))
    chosen = s.double()[c].sum(1)
    return chosen / n - (s.double().sum() - chosen) / (len(s) - n)


def chance(s, n, test=lambda d: d >= d[0] - 1e-9):
    return test(differences(s, n)).double().mean()


def counted(test):
    return lambda *v: chance(*v, test)


def chance_orders(s, n):
    orders, seen = list(itertools.permutations(s.tolist())), sum(s[:n].tolist())
    return sum(sum(o[:n]) >= seen - 1e-6 for o in orders) / len(orders)


def chance_scipy(s, n):
    if min(n, len(s) - n) < 2:
        return chance(s, n)
    parts = s[:n].double().numpy(), s[n:].double().numpy()
    mean = lambda a, b: a.mean() - b.mean()
    return stats.permutation_test(parts, mean, alternative="greater", n_resamples=np.inf).pvalue


# ---------------------------------------------------------------- the tables

RIGHT = {
    "parity_gap": [
        parity,
        parity_numpy,
        lambda yhat, g: parity(yhat, 1 - g),
        lambda a, g: ((a * g).sum() / g.sum() - (a * (1 - g)).sum() / (1 - g).sum()).abs(),
    ],
    "opportunity_gap": [
        tpr_gap,
        tpr_counts,
        lambda y, yhat, g: parity(1 - yhat[y == 1], g[y == 1]),
        lambda y, yhat, g: tpr_gap(y, yhat, 1 - g).float(),
    ],
    "remove_direction": [
        remove,
        remove_rows,
        lambda phi, v: phi @ (torch.eye(len(v), dtype=v.dtype) - torch.outer(v, v) / (v @ v)),
        lambda phi, v: [remove(row[None], v)[0] for row in phi],
        lambda phi, v: remove(phi, -3 * v),
    ],
    "weat": [effect, effect_numpy, effect_loops, lambda *v: effect(*map(F.normalize, v))],
    "reweighing": [weights, weights_table, weights_list, lambda y, g: weights(g, y)],
    "adjusted_effect": [
        adjusted,
        adjusted_regression,
        adjusted_weights,
        lambda t, y, z: adjusted(t, y.numpy(), z),
    ],
    "permutation_p": [chance, chance_orders, chance_scipy, lambda s, n: chance(2 * s + 1, n)],
}

WRONG = {
    "parity_gap": [
        (lambda *v: parity(*v, lambda d: d), "sign is kept"),
        (lambda *v: parity(*v, lambda d: -d), "sign is kept"),
        (number, "numbers of people"),
        (lambda yhat, g: number(yhat, g) / len(g), "divide each by the size"),
        (lambda yhat, g: parity(g, yhat) if 0 < yhat.sum() < len(g) else 0.0, "exchanged"),
        (lambda *v: parity(*v) ** 2, ""),
        (lambda *v: 100 * parity(*v), ""),
        (lambda yhat, g: yhat[g == 1].mean() - yhat[g == 0].mean(), "raises RuntimeError"),
        (lambda yhat, g: (yhat != g).double().mean(), ""),
        (lambda yhat, g: yhat[g == 1].double().mean() / yhat[g == 0].double().mean(), ""),
        (lambda *v: None, "return"),
        (lambda *v: [parity(*v)] * 2, "shape"),
    ],
    "opportunity_gap": [
        (lambda y, yhat, g: parity(yhat, g), "demographic parity"),
        (lambda *v: tpr_gap(*v, given=0), "false positive"),
        (lambda y, yhat, g: parity(y == yhat, g), ""),
        (lambda y, yhat, g: tpr_gap(yhat, y, g), "exchanged"),
        (lambda y, yhat, g: parity(yhat[y == 1], g[y == 1], lambda d: d), "sign"),
        (lambda y, yhat, g: parity(y * yhat, g), "size of the group"),
        (lambda y, yhat, g: number(y * yhat, g), ""),
        (lambda y, yhat, g: number(y * yhat, g) / y.sum(), ""),
        (lambda *v: tpr_gap(*v) ** 2, ""),
        (lambda *v: 100 * tpr_gap(*v), ""),
    ],
    "remove_direction": [
        (lambda phi, v: phi - torch.outer(phi @ v, v), "any length"),
        (lambda phi, v: phi - torch.outer(phi @ v, v / v.norm()), "only once"),
        (lambda phi, v: phi - remove(phi, v), "part along v"),
        (lambda phi, v: remove(phi, v, -1), "added"),
        (lambda phi, v: remove(phi, v, 2), "mirror"),
        (lambda phi, v: phi - v, "direction itself"),
        (lambda phi, v: phi - v / v.norm(), "direction itself"),
        (lambda phi, v: F.normalize(remove(phi, v)), ""),
        (lambda phi, v: phi.copy_(remove(phi, v)), "in place"),
        (lambda phi, v: remove(phi, v)[0], "shape"),
        (lambda phi, v: phi - (phi @ v / (v @ v)).mean() * v, ""),
        (lambda phi, v: phi - torch.outer((phi @ v).abs(), v) / (v @ v), ""),
    ],
    "weat": [
        (lambda *v: effect(*v, lambda x, y: torch.cat([x, y]).std(correction=0)), "n - 1"),
        (lambda *v: effect(*v, lambda x, y: 1), "not divided"),
        (lambda *v: effect(*v, lambda x, y: torch.cat([x, y]).var()), "not divided"),
        (spread_by(lambda x, y: x.std()), "not of each alone"),
        (spread_by(lambda x, y: (x.std() + y.std()) / 2), "not of each alone"),
        (spread_by(lambda x, y: ((x.var() + y.var()) / 2).sqrt()), "not of each alone"),
        (lambda *v: effect(*v, like=lambda W, A: W @ A.T), "cosine"),
        (lambda *v: -effect(*v), "turned round"),
        (lambda *v: effect(*v).abs(), "sign"),
        (lambda X, Y, *v: effect(X, Y, *(W.mean(0)[None] for W in v)), "before the cosine"),
        (lambda X, Y, A, B: effect(A, B, X, Y) if len(A) > 1 else effect(X, Y, A, B) + 1, ""),
        (lambda *v: effect(*v) * len(v[0]), ""),
    ],
    "reweighing": [
        (lambda *v: 1 / weights(*v), "turned round"),
        (weighed(lambda pg, py, both: pg / both), "left out"),
        (weighed(lambda pg, py, both: py / both), "left out"),
        (weighed(lambda pg, py, both: 1 / both), "left out"),
        (weighed(lambda pg, py, both: 0.25 / both), "same total"),
        (weighed(lambda pg, py, both: 0.5 / pg), ""),
        (lambda y, g: weights(y, g) * len(y), "average to 1"),
        (lambda y, g: weights(y, g) / len(y), "average to 1"),
        (lambda y, g: torch.ones(len(y)), ""),
        (weighed(lambda pg, py, both: pg * py), ""),
        (lambda *v: weights(*v).sum(), "shape"),
        (lambda *v: weights_table(*v, torch.mean), "not P|NaN"),
    ],
    "adjusted_effect": [
        (lambda t, y, z: gap(t, y, z >= 0), "nothing is adjusted"),
        (shared(lambda t, z, k: 0.5), "count the same"),
        (shared(lambda t, z, k: 1), "without their shares"),
        (shared(lambda t, z, k: (z[t == 1] == k).double().mean()), "over all"),
        (shared(lambda t, z, k: (z[t == 0] == k).double().mean()), "over all"),
        (lambda *v: -adjusted(*v), "turned round"),
        (lambda *v: adjusted(*v).abs(), "sign"),
        (lambda t, y, z: gap(t, y, z == 1), "one stratum"),
        (lambda t, y, z: gap(t, y, z == 0), "one stratum"),
        (lambda t, y, z: adjusted(z, y, t), ""),
        (shared(lambda t, z, k: (z != k).double().mean()), ""),
        (shared(lambda t, z, k: (z == k).sum()), ""),
    ],
    "permutation_p": [
        (counted(lambda d: d > d[0] + 1e-9), "equality counts"),
        (counted(lambda d: d[1:] >= d[0] - 1e-9), "left out"),
        (counted(lambda d: d <= d[0] + 1e-9), "smaller"),
        (counted(lambda d: d.abs() >= d[0].abs() - 1e-9), "one-sided"),
        (lambda *v: (2 * chance(*v)).clamp(max=1), "one-sided"),
        (counted(lambda d: (d >= d[0] - 1e-9) * len(d)), ""),
        (lambda s, n: s[:n].mean() - s[n:].mean(), ""),
        (counted(lambda d: torch.cat([d >= d[0] - 1e-9, d[:1] == d[0]])), "nor added"),
        (lambda *v: 1 - chance(*v), ""),
        (lambda *v: torch.rand(()), "share|second call"),
    ],
}

test_right_answers_are_accepted, test_wrong_answers_are_refused_with_the_fitting_hint = (
    accept_and_refuse(RIGHT, WRONG)
)
