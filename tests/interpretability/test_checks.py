"""The checks of the exercises on interpretability: wrong answers that students give are refused
with the fitting hint, right ones of any style accepted.
"""

import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from students import check, talking

# ---------------------------------------------------------------- right answers


def contributions(w, x, x0):
    return w * (x - x0)


def gradient(f, x, c):
    x = x.detach().clone().requires_grad_()
    return torch.autograd.grad(f(x).gather(1, c[:, None]).sum(), x)[0]


def times(f, x, c):
    return x * gradient(f, x, c)


def climb(f, c, x0, steps, lr, lam, change=lambda g: g, score=lambda s, c: s[0, c], sign=1, pull=1):
    x = x0.clone()
    for _ in range(steps):
        x = x.detach().requires_grad_()
        gain = score(f(x), c) - pull * lam * (x**2).sum()
        x = x + sign * lr * change(torch.autograd.grad(gain, x)[0])
    return x.detach()


def climb_in_place(f, c, x0, steps, lr, lam):
    x = x0.detach().clone().requires_grad_()
    for _ in range(steps):
        (f(x)[:, c] - lam * x.pow(2).sum(1)).sum().backward()
        with torch.no_grad():
            x += lr * x.grad
            x.grad.zero_()
    return x


def climb_sgd(f, c, x0, steps, lr, lam):
    x = x0.detach().clone().requires_grad_()
    optimiser = torch.optim.SGD([x], lr, maximize=True)
    for _ in range(steps):
        optimiser.zero_grad()
        (f(x)[0, c] - lam * x.norm() ** 2).backward()
        optimiser.step()
    return x.detach()


def climb_adam(f, c, x0, steps, lr, lam):
    x = x0.detach().clone().requires_grad_()
    optimiser = torch.optim.Adam([x], lr, maximize=True)
    for _ in range(steps):
        optimiser.zero_grad()
        (f(x)[0, c] - lam * (x**2).sum()).backward()
        optimiser.step()
    return x.detach()


def occlude(f, x, c, k, fill, score=lambda s, c: s[0, c], channels=slice(None)):
    rows, columns = x.shape[2] // k, x.shape[3] // k
    out = torch.zeros(rows, columns, dtype=x.dtype)
    for a, b in itertools.product(range(rows), range(columns)):
        y = x.clone()
        y[:, channels, a * k : (a + 1) * k, b * k : (b + 1) * k] = fill
        out[a, b] = score(f(x), c) - score(f(y), c)
    return out


def occlude_batched(f, x, c, k, fill):
    rows, columns = x.shape[2] // k, x.shape[3] // k
    y = x.repeat(rows * columns, 1, 1, 1)
    for n in range(len(y)):
        y[
            n, :, n // columns * k : (n // columns + 1) * k, n % columns * k : (n % columns + 1) * k
        ] = fill
    return (f(x)[:, c] - f(y)[:, c]).view(rows, columns)


def occlude_kept(f, x, c, k, fill):
    out, y = torch.zeros(x.shape[2] // k, x.shape[3] // k), x.clone()
    for a, b in itertools.product(*map(range, out.shape)):
        y[..., a * k : (a + 1) * k, b * k : (b + 1) * k] = fill
        out[a, b] = (f(x) - f(y))[0, c]
    return out


def error(R, fx):
    return (R.flatten(1).sum(1) - fx).abs()


def lime(
    f,
    x,
    Z,
    sigma,
    weight=lambda Z, s: torch.exp(-((1 - Z) ** 2).sum(1) / s**2),
    rows=lambda Z, x: Z * x,
    intercept=True,
    root=True,
):
    w = weight(Z, sigma)[:, None]
    w = w.sqrt() if root else w
    A = torch.cat([torch.ones_like(w), Z], 1) if intercept else Z
    return torch.linalg.lstsq(A * w, f(rows(Z, x))[:, None] * w).solution[int(intercept) :, 0]


def lime_normal(f, x, Z, sigma):
    W = torch.diag(torch.exp(-(1 - Z).pow(2).sum(1) / sigma**2)).double()
    A = torch.hstack([Z, torch.ones(len(Z), 1, dtype=Z.dtype)]).double()
    return torch.linalg.solve(A.T @ W @ A, A.T @ W @ f(Z * x).double())[:-1]


def lime_numpy(f, x, Z, sigma):
    from sklearn.linear_model import LinearRegression

    return (
        LinearRegression()
        .fit(Z.numpy(), f(Z * x).numpy(), np.exp(-((1 - Z.numpy()) ** 2).sum(1) / sigma**2))
        .coef_
    )


def shapley(
    v, weight=lambda s, P: math.factorial(s) * math.factorial(P - s - 1) / math.factorial(P)
):
    P = int(math.log2(len(v)))
    R = torch.zeros(P, dtype=v.dtype)
    for i, k in itertools.product(range(P), range(len(v))):
        if not k >> i & 1:
            R[i] += weight(bin(k).count("1"), P) * (v[k | 1 << i] - v[k])
    return R


def shapley_orders(v, orders=itertools.permutations):
    P = len(v).bit_length() - 1
    R, every = [0.0] * P, list(orders(range(P)))
    for order in every:
        k = 0
        for i in order:
            R[i] += float(v[k + 2**i] - v[k]) / len(every)
            k += 2**i
    return R


def shapley_dividends(v):
    """Harsanyi: every coalition's surplus is split equally among its members."""
    P, surplus, R = len(v).bit_length() - 1, {}, [0.0] * (len(v).bit_length() - 1)
    for k in range(len(v)):
        surplus[k] = v[k].item() - sum(surplus[j] for j in range(k) if j & k == j)
        for i in range(P):
            if k >> i & 1:
                R[i] += surplus[k] / bin(k).count("1")
    return tuple(R)


def as_list(right):
    return lambda *arguments: right(*arguments).tolist()


def as_numpy(right):
    return lambda *arguments: np.asarray(right(*arguments).detach())


STYLES = {
    "plain": lambda f: f,
    "list": as_list,
    "numpy": as_numpy,
    "talks": talking,
    "double": lambda f: lambda *a: f(*a).double(),
}
PLAIN = {
    "linear_contributions": contributions,
    "grad_times_input": times,
    "class_prototype": climb,
    "occlusion": occlude,
    "conservation_error": error,
    "lime_weights": lime,
    "shapley_values": shapley,
}
MORE = {
    "linear_contributions": {
        "einsum": lambda w, x, x0: torch.einsum("d,nd->nd", w, x - x0),
        "two products": lambda w, x, x0: w * x - w * x0,
        "loop": lambda w, x, x0: [[w[i] * (row[i] - x0[i]) for i in range(len(w))] for row in x],
    },
    "grad_times_input": {
        "row by row": lambda f, x, c: torch.cat(
            [times(f, x[n : n + 1], c[n : n + 1]) for n in range(len(x))]
        ),
        "one hot": lambda f, x, c: (
            x
            * torch.autograd.grad(
                (f(y := x.clone().requires_grad_()) * F.one_hot(c, f(x).shape[1])).sum(), y
            )[0]
        ),
        "keeps a graph": lambda f, x, c: (
            (y := x.clone().requires_grad_())
            * torch.autograd.grad(f(y)[range(len(y)), c].sum(), y)[0]
        ),
        "vmap": lambda f, x, c: (
            x
            * torch.func.vmap(
                torch.func.grad(lambda row, k: f(row[None])[0].gather(0, k[None])[0])
            )(x, c)
        ),
    },
    "class_prototype": {
        "in place on a copy": climb_in_place,
        "SGD": climb_sgd,
        "keeps a graph": lambda *p: climb(*p).requires_grad_(),
        "every step a row": lambda *p: [list(row) for row in climb(*p)],
    },
    "occlusion": {
        "batched": occlude_batched,
        "keeps a graph": lambda f, x, c, k, fill: occlude(
            f, x.clone().requires_grad_(), c, k, fill
        ),
        "list of lists": lambda *p: [[v for v in row] for row in occlude(*p)],
        "float rows": lambda *p: [[float(v) for v in row] for row in occlude(*p)],
    },
    "conservation_error": {
        "einops-like": lambda R, fx: (fx - R.reshape(len(R), -1).sum(-1)).abs(),
        "dims": lambda R, fx: torch.abs(R.sum(tuple(range(1, R.dim()))) - fx),
        "loop": lambda R, fx: [abs(r.sum() - f) for r, f in zip(R, fx)],
        "root": lambda R, fx: ((R.flatten(1).sum(1) - fx) ** 2).sqrt(),
    },
    "lime_weights": {
        "normal equations": lime_normal,
        "scikit-learn": lime_numpy,
        "pinv": lambda f, x, Z, s: (
            torch.linalg.pinv(
                torch.cat([torch.ones(len(Z), 1), Z], 1).double()
                * (w := torch.exp(-(1 - Z).sum(1) / s**2 / 2)[:, None].double())
            )
            @ (w[:, 0] * f(Z * x))
        )[1:],
    },
    "shapley_values": {
        "orders": shapley_orders,
        "dividends": shapley_dividends,
        "mean by size": lambda v: shapley(v, lambda s, P: 1 / P / math.comb(P - 1, s)),
    },
}
RIGHT = [(name, style, make(PLAIN[name])) for name in PLAIN for style, make in STYLES.items()]
RIGHT += [
    (name, style, answer) for name, answers in MORE.items() for style, answer in answers.items()
]


@pytest.mark.parametrize(
    "name, answer",
    [(name, answer) for name, _, answer in RIGHT],
    ids=[f"{name}-{style}" for name, style, _ in RIGHT],
)
def test_right_answers_of_any_style_are_accepted(name, answer):
    assert check(name)(answer) is None


# ---------------------------------------------------------------- wrong answers


def probability(s, c):
    return s.softmax(1)[0, c]


WRONG = {
    "linear_contributions": {
        "no reference": (lambda w, x, x0: w * x, "x0 does not take part"),
        "backwards": (lambda w, x, x0: w * (x0 - x), "sign"),
        "absolute": (lambda w, x, x0: (w * (x - x0)).abs(), "has a sign"),
        "no weights": (lambda w, x, x0: x - x0, "weights do not take part"),
        "weights": (lambda w, x, x0: w.expand_as(x), "weight alone"),
        "normalised": (
            lambda w, x, x0: (r := w * (x - x0)) / r.sum(1, keepdim=True),
            "divided by their sum|NaN",
        ),
        "batch mean": (lambda w, x, x0: w * (x - x.mean(0)), "mean of the batch"),
        "summed": (lambda w, x, x0: (w * (x - x0)).sum(1), "shape"),
        "in place": (lambda w, x, x0: x.sub_(x0).mul_(w), "in place"),
    },
    "grad_times_input": {
        "gradient": (gradient, "factor x is missing"),
        "all classes": (
            lambda f, x, c: x * torch.autograd.grad(f(y := x.clone().requires_grad_()).sum(), y)[0],
            "all classes",
        ),
        "probability": (lambda f, x, c: times(lambda v: f(v).softmax(1), x, c), "logit"),
        "log probability": (lambda f, x, c: times(lambda v: f(v).log_softmax(1), x, c), "logit"),
        "first class": (lambda f, x, c: times(f, x, c[:1].expand_as(c)), "class of its own"),
        "best class": (lambda f, x, c: times(f, x, f(x).argmax(1)), "not the one with the highest"),
        "absolute": (lambda f, x, c: times(f, x, c).abs(), "has a sign"),
        "squared": (lambda f, x, c: gradient(f, x, c) ** 2, "squared"),
        "mean": (lambda f, x, c: times(f, x, c) / len(x), "mean over the batch"),
        "score times x": (lambda f, x, c: x * f(x).gather(1, c[:, None]), "derivative"),
        "asks for gradients of x": (
            lambda f, x, c: (
                x.requires_grad_() * torch.autograd.grad(f(x).gather(1, c[:, None]).sum(), x)[0]
            ),
            "requires_grad",
        ),
    },
    "class_prototype": {
        "downhill": (lambda *p: climb(*p, sign=-1), "downhill"),
        "no penalty": (lambda *p: climb(*p, pull=0), "penalty is missing"),
        "penalty's sign": (lambda *p: climb(*p, pull=-1), "penalty's sign"),
        "half": (lambda *p: climb(*p, pull=0.5), "2x"),
        "one more": (lambda f, c, x0, steps, *p: climb(f, c, x0, steps + 1, *p), "too many"),
        "one less": (lambda f, c, x0, steps, *p: climb(f, c, x0, max(steps - 1, 0), *p), "too few"),
        "probability": (lambda *p: climb(*p, score=probability), "probability"),
        "sign of the gradient": (lambda *p: climb(*p, change=torch.sign), ""),
        "from zero": (lambda f, c, x0, *p: climb(f, c, 0 * x0, *p), "starts at x0"),
        "class 0": (lambda f, c, *p: climb(f, 0, *p), "class c"),
        "the start itself": (lambda f, c, x0, *p: x0, ""),
        "changes x0": (lambda f, c, x0, *p: x0.copy_(climb(f, c, x0, *p)), "in place"),
        "Adam": (climb_adam, ""),
    },
    "occlusion": {
        "sign": (lambda *p: -occlude(*p), "sign is wrong"),
        "absolute": (lambda *p: occlude(*p).abs(), "drop has a sign"),
        "clipped": (lambda *p: occlude(*p).clamp(min=0), "drop has a sign"),
        "zero": (lambda f, x, c, k, fill: occlude(f, x, c, k, 0.0), "set to fill"),
        "kept": (occlude_kept, "stay covered"),
        "first channel": (lambda *p: occlude(*p, channels=slice(0, 1)), "all channels"),
        "probability": (lambda *p: occlude(*p, score=probability), "probability"),
        "transposed": (lambda *p: occlude(*p).T, "shape|exchanged"),
        "mean": (lambda f, x, c, k, fill: occlude(f, x, c, k, fill) / k**2, "divided"),
        "changes x": (
            lambda f, x, c, k, fill: (r := occlude(f, x, c, k, fill), x.fill_(fill))[0],
            "in place",
        ),
        "after": (
            lambda f, x, c, k, fill: f(x)[0, c] - occlude(f, x, c, k, fill),
            "alone is no drop",
        ),
        "as large as the image": (
            lambda f, x, c, k, fill: (
                occlude(f, x, c, k, fill).repeat_interleave(k, 0).repeat_interleave(k, 1)
            ),
            "shape",
        ),
    },
    "conservation_error": {
        "signed": (lambda R, fx: R.flatten(1).sum(1) - fx, "absolute"),
        "mean": (lambda R, fx: (R.flatten(1).mean(1) - fx).abs(), "averaged"),
        "absolute parts": (lambda R, fx: (R.abs().flatten(1).sum(1) - fx).abs(), "their sign"),
        "relative": (lambda R, fx: (R.flatten(1).sum(1) - fx).abs() / fx.abs(), "relative|NaN"),
        "squared": (lambda R, fx: (R.flatten(1).sum(1) - fx) ** 2, "squared"),
        "batch": (lambda R, fx: error(R, fx).mean().expand_as(fx), "averaged over the batch"),
        "last axis": (
            lambda R, fx: (
                (R.sum(-1) - fx).abs() if R.dim() == 2 else (R.sum(-1).flatten(1)[:, 0] - fx).abs()
            ),
            "",
        ),
        "difference of sizes": (
            lambda R, fx: (R.flatten(1).sum(1).abs() - fx.abs()).abs(),
            "not of the parts",
        ),
        "all": (lambda R, fx: (R.sum() - fx.sum()).abs(), "shape|values"),
    },
    "lime_weights": {
        "no intercept": (lambda *p: lime(*p, intercept=False), "intercept is missing"),
        "no weights": (
            lambda *p: lime(*p, weight=lambda Z, s: torch.ones(len(Z), dtype=Z.dtype)),
            "not weighted",
        ),
        "no root": (lambda *p: lime(*p, root=False), "act twice"),
        "sigma": (
            lambda *p: lime(*p, weight=lambda Z, s: torch.exp(-(1 - Z).sum(1) / s)),
            "sigma is squared",
        ),
        "root distance": (
            lambda *p: lime(*p, weight=lambda Z, s: torch.exp(-(1 - Z).norm(dim=1) / s**2)),
            "is squared",
        ),
        "distance from 0": (
            lambda *p: lime(*p, weight=lambda Z, s: torch.exp(-Z.sum(1) / s**2)),
            "from z to 1",
        ),
        "f(z)": (lambda *p: lime(*p, rows=lambda Z, x: Z), "z \\* x"),
        "times x": (lambda f, x, Z, s: x * lime(f, x, Z, s), "not their products"),
        "the intercept too": (
            lambda f, x, Z, s: torch.cat([torch.zeros(1), lime(f, x, Z, s)]),
            "shape",
        ),
        "changes Z": (lambda f, x, Z, s: (r := lime(f, x, Z, s), Z.mul_(x))[0], "in place"),
        "root of two": (
            lambda *p: lime(*p, weight=lambda Z, s: torch.exp(-(1 - Z).sum(1) / s**2 / 2)),
            "by half",
        ),
    },
    "shapley_values": {
        "Banzhaf": (lambda v: shapley(v, lambda s, P: 0.5 ** (P - 1)), "count the same"),
        "leave one out": (lambda v: shapley(v, lambda s, P: float(s == P - 1)), "full coalition"),
        "first in": (lambda v: shapley(v, lambda s, P: float(s == 0)), "empty coalition"),
        "one order": (lambda v: shapley_orders(v, lambda r: [tuple(r)]), "one order"),
        "bits reversed": (lambda v: shapley(v).flip(0), "wrong order"),
        "weight": (
            lambda v: shapley(
                v, lambda s, P: math.factorial(s) * math.factorial(P - s) / math.factorial(P)
            ),
            r"P - \|S\| - 1",
        ),
        "not divided": (
            lambda v: shapley(v, lambda s, P: math.factorial(s) * math.factorial(P - s - 1)),
            "divides by P!",
        ),
        "sum": (lambda v: shapley(v) + v[0] / int(math.log2(len(v))), "not to v"),
        "sign": (lambda v: -shapley(v), "sign"),
        "drawn": (
            lambda v: shapley_orders(
                v, lambda r: [tuple(torch.randperm(len(r)).tolist()) for _ in range(20)]
            ),
            "",
        ),
    },
}
CASES = [(name, kind, *case) for name, kinds in WRONG.items() for kind, case in kinds.items()]


@pytest.mark.parametrize(
    "name, answer, hint",
    [(name, answer, hint) for name, _, answer, hint in CASES],
    ids=[f"{name}-{kind}" for name, kind, _, _ in CASES],
)
def test_wrong_answers_are_refused_with_the_fitting_hint(name, answer, hint):
    with pytest.raises(AssertionError, match=rf"{name}: .*({hint})"):
        check(name)(answer)
