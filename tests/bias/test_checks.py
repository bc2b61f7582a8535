"""The checks of the exercises on bias: see `students.judged` for what a row is."""

import itertools

import numpy as np
import torch
from scipy import stats
from students import SOLUTIONS, judged

parity, chance, adjusted = (
    SOLUTIONS[k] for k in ("parity_gap", "permutation_p", "adjusted_effect")
)
number = lambda yhat, g: abs((yhat * (2 * g - 1)).sum())
caught = lambda y, yhat, g: (y * yhat * g).sum() / (y * g).sum()
gap = lambda t, y, inside: y[(t == 1) & inside].mean() - y[(t == 0) & inside].mean()
# What the spread of WEAT is not, where the sets have more than one word.
alone = lambda spread: lambda x, y: spread(x, y) if len(x) > 1 else 1
of_x = alone(lambda x, y: x.std())
mean_spread = alone(lambda x, y: (x.std() + y.std()) / 2)
pooled = alone(lambda x, y: ((x.var() + y.var()) / 2).sqrt())


def remove_rows(phi, v):
    phi = phi.clone()
    for row in phi:
        row -= (row @ v) / (v @ v) * v
    return phi


def effect_cosines(X, Y, A, B):
    like = lambda W, A: torch.nn.functional.cosine_similarity(W[:, None], A[None], dim=-1).mean(1)
    x, y = (like(W, A) - like(W, B) for W in (X, Y))
    return (x.mean() - y.mean()) / torch.cat([x, y]).std()


def effect_numpy(*sets):
    X, Y, A, B = (v.numpy() / np.linalg.norm(v.numpy(), axis=1, keepdims=True) for v in sets)
    x, y = (w @ A.mean(0) - w @ B.mean(0) for w in (X, Y))
    return (x.mean() - y.mean()) / np.std(np.concatenate([x, y]), ddof=1)


def effect_loops(X, Y, A, B):
    near = lambda w, A: sum(torch.cosine_similarity(w, a, dim=0) for a in A) / len(A)
    x, y = ([near(w, A) - near(w, B) for w in W] for W in (X, Y))
    return (sum(x) / len(x) - sum(y) / len(y)) / torch.stack(x + y).std()


def weights_loop(y, g):
    alike = ((g == b, y == a, (g == b) & (y == a)) for a, b in zip(y, g))
    shares = [[same.double().mean() for same in three] for three in alike]
    return torch.stack([pg * py / both for pg, py, both in shares])


def weights_table(y, g, scale=lambda w: 1):
    n = torch.zeros(2, 2).index_put((g, y), torch.ones(len(y)), accumulate=True)
    w = n.sum(1, keepdim=True) * n.sum(0) / n / len(y)
    return w[g, y] / scale(w)


def weights_list(y, g):
    y, g = y.tolist(), g.tolist()
    pairs = list(zip(y, g))
    return [y.count(a) * g.count(b) / pairs.count((a, b)) / len(y) for a, b in pairs]


def adjusted_regression(t, y, z):
    """Saturated least squares, averaged over z."""
    t, z, y = t.double(), z.double(), y.double()
    X = torch.stack([torch.ones_like(t), t, z, t * z], 1)
    w = torch.linalg.lstsq(X, y[:, None]).solution[:, 0]
    return w[1] + w[3] * z.mean()


def adjusted_weights(t, y, z):
    p = torch.stack([t[z == k].double().mean() for k in (0, 1)])[z]
    return (t * y / p).mean() - ((1 - t) * y / (1 - p)).mean()


def chance_sums(s, n):
    c = torch.tensor(list(itertools.combinations(range(len(s)), n)))
    chosen = s.double()[c].sum(1)
    d = chosen / n - (s.double().sum() - chosen) / (len(s) - n)
    return (d >= d[0] - 1e-9).double().mean()


def chance_orders(s, n):
    orders, seen = list(itertools.permutations(s.tolist())), sum(s[:n].tolist())
    return sum(sum(o[:n]) >= seen - 1e-6 for o in orders) / len(orders)


def chance_scipy(s, n):
    if min(n, len(s) - n) < 2:
        return chance(s, n)
    parts = s[:n].double().numpy(), s[n:].double().numpy()
    mean = lambda a, b: a.mean() - b.mean()
    return stats.permutation_test(parts, mean, alternative="greater", n_resamples=np.inf).pvalue


def recovered_by_line(x, g, new, h):
    a, b = x[g == 0].mean(0), x[g == 1].mean(0)
    return (((new - (a + b) / 2) @ (b - a) > 0).long() == h).double().mean()


def swapped_by_table(words, pairs):
    table = torch.arange(max([0, *words.flatten().tolist(), *pairs.flatten().tolist()]) + 1)
    table[pairs[:, 0]], table[pairs[:, 1]] = pairs[:, 1], pairs[:, 0]
    return table[words]


def swap(word, pairs):
    for pair in pairs.tolist():
        if word in pair:
            return sum(pair) - word
    return word


ANSWERS = {
    "parity_gap": [
        lambda yhat, g: np.abs(yhat.numpy()[g == 1].mean() - yhat.numpy()[g == 0].mean()),
        "parity_gap(yhat, 1 - g)",
        "((yhat * g).sum() / g.sum() - (yhat * (1 - g)).sum() / (1 - g).sum()).abs()",
        (".abs()", "", "sign is kept"),
        ("return (", "return -(", ".abs()", "", "sign is kept"),
        (number, "numbers of people"),
        (lambda yhat, g: number(yhat, g) / len(g), "divide each by the size"),
        (lambda yhat, g: parity(g, yhat) if 0 < yhat.sum() < len(g) else 0.0, "exchanged"),
        ("right**2", ""),
        ("100 * right", ""),
        ("yhat.double()", "yhat", "raises RuntimeError"),
        ("(yhat != g).double().mean()", ""),
        ("yhat[g == 1].double().mean() / yhat[g == 0].double().mean()", ""),
        ("None", "return"),
        ("[right] * 2", "shape"),
    ],
    "opportunity_gap": [
        "abs(caught(y, yhat, g) - caught(y, yhat, 1 - g))",
        "parity_gap(1 - yhat[y == 1], g[y == 1])",
        "opportunity_gap(y, yhat, 1 - g).float()",
        ("parity_gap(yhat, g)", "demographic parity"),
        ("y == 1", "y == 0", "false positive"),
        ("parity_gap(y == yhat, g)", ""),
        ("opportunity_gap(yhat, y, g)", "exchanged"),
        (".abs()", "", "sign"),
        ("parity_gap(y * yhat, g)", "size of the group"),
        ("number(y * yhat, g)", ""),
        ("number(y * yhat, g) / y.sum()", ""),
        ("right**2", ""),
        ("100 * right", ""),
    ],
    "remove_direction": [
        remove_rows,
        "phi @ (torch.eye(len(v), dtype=v.dtype) - torch.outer(v, v) / (v @ v))",
        "[remove_direction(row[None], v)[0] for row in phi]",
        "remove_direction(phi, -3 * v)",
        ("v / v.norm()", "v", "any length"),
        ("u, u)", "v, u)", "only once"),
        ("phi - right", "part along v"),
        ("phi - torch", "phi + torch", "added"),
        ("phi - torch", "phi - 2 * torch", "mirror"),
        ("phi - v", "direction itself"),
        ("phi - v / v.norm()", "direction itself"),
        ("F.normalize(right)", ""),
        ("phi.copy_(right)", "in place"),
        ("right[0]", "shape"),
        ("phi - (phi @ v / (v @ v)).mean() * v", ""),
        ("phi - torch.outer((phi @ v).abs(), v) / (v @ v)", ""),
    ],
    "weat": [
        effect_cosines,
        effect_numpy,
        effect_loops,
        "weat(*map(F.normalize, (X, Y, A, B)))",
        (".std()", ".std(correction=0)", "n - 1"),
        ("torch.cat([x, y]).std()", "1", "not divided"),
        (".std()", ".var()", "not divided"),
        ("torch.cat([x, y]).std()", "of_x(x, y)", "not of each alone"),
        ("torch.cat([x, y]).std()", "mean_spread(x, y)", "not of each alone"),
        ("torch.cat([x, y]).std()", "pooled(x, y)", "not of each alone"),
        ("F.normalize(v)", "v", "cosine"),
        ("-right", "turned round"),
        ("right.abs()", "sign"),
        ("weat(X, Y, A.mean(0)[None], B.mean(0)[None])", "before the cosine"),
        ("weat(A, B, X, Y) if len(A) > 1 else right + 1", ""),
        ("right * len(X)", ""),
    ],
    "reweighing": [
        weights_loop,
        weights_table,
        weights_list,
        "reweighing(g, y)",
        ("1 / right", "turned round"),
        (" * same_y.mean(1)", "", "left out"),
        ("same_g.mean(1) * same_y", "same_y", "left out"),
        ("same_g.mean(1) * same_y.mean(1)", "1", "left out"),
        ("same_g.mean(1) * same_y.mean(1)", "0.25", "same total"),
        ("0.5 / (g[:, None] == g).double().mean(1)", ""),
        ("right * len(y)", "average to 1"),
        ("right / len(y)", "average to 1"),
        ("torch.ones(len(y))", ""),
        (" / (same_g * same_y).mean(1)", "", ""),
        ("right.sum()", "shape"),
        (lambda *v: weights_table(*v, torch.mean), "not P|NaN"),
    ],
    "adjusted_effect": [
        adjusted_regression,
        adjusted_weights,
        lambda t, y, z: adjusted(t, y.numpy(), z),
        ("gap(t, y, z >= 0)", "nothing is adjusted"),
        ("(z == k).double().mean()", "0.5", "count the same"),
        ("(z == k).double().mean() * ", "", "without their shares"),
        ("(z == k).double()", "(z[t == 1] == k).double()", "over all"),
        ("(z == k).double()", "(z[t == 0] == k).double()", "over all"),
        ("-right", "turned round"),
        ("right.abs()", "sign"),
        ("gap(t, y, z == 1)", "one stratum"),
        ("gap(t, y, z == 0)", "one stratum"),
        ("adjusted_effect(z, y, t)", ""),
        ("(z == k).double()", "(z != k).double()", ""),
        ("(z == k).double().mean()", "(z == k).sum()", ""),
    ],
    "permutation_p": [
        chance_sums,
        chance_orders,
        chance_scipy,
        "permutation_p(2 * s + 1, n)",
        ("d >= d[0] - 1e-6", "d > d[0] + 1e-9", "equality counts"),
        ("(d >=", "(d[1:] >=", "left out"),
        ("d >= d[0] - 1e-6", "d <= d[0] + 1e-9", "smaller"),
        ("d >= d[0] - 1e-6", "d.abs() >= d[0].abs() - 1e-9", "one-sided"),
        ("(2 * right).clamp(max=1)", "one-sided"),
        ("d >= d[0] - 1e-6", "d >= d[0]", "rounding breaks ties"),
        ("s.double()", "s.float()", "d >= d[0] - 1e-6", "d >= d[0]", ""),
        ("s.double()", "s.float()", None),
        (".double().mean()", ".double().sum()", ""),
        ("s[:n].mean() - s[n:].mean()", ""),
        ("(d >= d[0] - 1e-6)", "torch.cat([d >= d[0] - 1e-6, d[:1] == d[0]])", "nor added"),
        ("1 - right", ""),
        ("torch.rand(())", "share|second call"),
    ],
    "mean_of_all": [
        "(values / chance).sum() / (1 / chance).sum()",
        "values @ (1 / chance) / (1 / chance).sum()",
        "((1 / chance).log().softmax(0) * values).sum()",
        ("values.mean()", "those who were asked"),
        ("1 / chance", "chance", "count less"),
        ("1 / chance", "1 - chance", ""),
        ("/ weights.sum()", "/ len(weights)", "do not sum to it"),
        ("/ weights.sum()", "", ""),
        ("1 / chance", "1 / chance**2", ""),
        ("1 / chance", "(1 / chance).clamp(max=100)", ""),
        ("1 / chance", "-chance.log()", ""),
        ("values.median()", ""),
    ],
    "recovered": [
        ("torch.cdist(new, means)", "((new[:, None] - means) ** 2).sum(2)", None),
        "recovered_by_line(x, g, new, h)",
        ("(nearer == h).double().mean()", "(nearer == h).sum() / len(h)", None),
        ("nearer == h", "nearer != h", "share of errors"),
        ("argmin(1)", "argmax(1)", "share of errors"),
        ("recovered(x, g, x, g)", "words that made the means"),
        ("recovered(new, h, new, h)", "new words make the means"),
        ("(g[torch.cdist(new, x).argmin(1)] == h).double().mean()", "nearest word"),
        ("torch.cdist(new, means)", "-(new @ means.T)", ""),
        (".double().mean()", ".double().sum()", ""),
        ("right.clamp(min=1 - right)", "turned round"),
        ("x[g == k].mean(0)", "x[g == k].sum(0)", ""),
        ("2 * right - 1", ""),
        ("torch.tensor(0.5)", ""),
    ],
    "swapped": [
        "swapped_by_table(words, pairs)",
        "torch.tensor([[swap(w, pairs) for w in row] for row in words.tolist()])",
        ("swapped(words, pairs.flip(1))", None),
        ("other[words == b] = a", "pass", "one direction"),
        ("other[words == a] = b", "pass", "one direction"),
        ("other[words ==", "other[other ==", "undoes"),
        ("words.clone()", "words", "in place|undoes"),
        ("words.clone()", "0 * words", ""),
        ("words + 0", "nothing is swapped"),
        ("right.flatten()", "shape"),
        ("swapped(right, pairs)", ""),
        ("right.T", ""),
    ],
}

test_right_answers, test_wrong_answers = judged(ANSWERS, globals())
