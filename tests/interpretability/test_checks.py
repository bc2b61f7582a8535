"""The checks of the exercises on interpretability: a row is an answer, to be accepted, or to be
refused with a hint.
"""

import itertools
import math

import torch
from sklearn.linear_model import LinearRegression
from students import accept_and_refuse

# ---------------------------------------------------------------- gradients


def contributions(w, x, x0):
    return w * (x - x0)


def gradient(f, x, c):
    x = x.detach().clone().requires_grad_()
    return torch.autograd.grad(f(x).gather(1, c[:, None]).sum(), x)[0]


def times(f, x, c):
    return x * gradient(f, x, c)


def times_of(scores):
    return lambda f, x, c: times(lambda v: scores(f(v)), x, c)


def times_vmap(f, x, c):
    one = torch.func.grad(lambda row, k: f(row[None])[0].gather(0, k[None])[0])
    return x * torch.func.vmap(one)(x, c)


def all_classes(f, x, c):
    y = x.clone().requires_grad_()
    return x * torch.autograd.grad(f(y).sum(), y)[0]


def asks_for_gradients(f, x, c):
    x.requires_grad_()
    return x * torch.autograd.grad(f(x).gather(1, c[:, None]).sum(), x)[0]


def climb(f, c, x0, steps, lr, lam, change=lambda g: g, score=lambda s, c: s[0, c], sign=1, pull=1):
    x = x0.clone()
    for _ in range(steps):
        x = x.detach().requires_grad_()
        gain = score(f(x), c) - pull * lam * (x**2).sum()
        x = x + sign * lr * change(torch.autograd.grad(gain, x)[0])
    return x.detach()


def climbed(**how):
    return lambda *v: climb(*v, **how)


def with_optimiser(kind):
    def answer(f, c, x0, steps, lr, lam):
        x = x0.detach().clone().requires_grad_()
        optimiser = kind([x], lr, maximize=True)
        for _ in range(steps):
            optimiser.zero_grad()
            (f(x)[0, c] - lam * (x**2).sum()).backward()
            optimiser.step()
        return x.detach()

    return answer


def probability(s, c):
    return s.softmax(1)[0, c]


# ---------------------------------------------------------------- covering


def blocks(x, k):
    return itertools.product(range(x.shape[2] // k), range(x.shape[3] // k))


def occlude(f, x, c, k, fill, score=lambda s, c: s[0, c], channels=slice(None), keep=False):
    out, y = torch.zeros(x.shape[2] // k, x.shape[3] // k, dtype=x.dtype), x.clone()
    for a, b in blocks(x, k):
        y = y if keep else x.clone()
        y[:, channels, a * k : (a + 1) * k, b * k : (b + 1) * k] = fill
        out[a, b] = score(f(x), c) - score(f(y), c)
    return out


def occluded(**how):
    return lambda *v: occlude(*v, **how)


def error(R, fx):
    return (R.flatten(1).sum(1) - fx).abs()


def last_axis(R, fx):
    return ((R.sum(-1) if R.dim() == 2 else R.sum(-1).flatten(1)[:, 0]) - fx).abs()


# ---------------------------------------------------------------- games


def near(Z, s):
    return torch.exp(-((1 - Z) ** 2).sum(1) / s**2)


def lime(f, x, Z, s, weight=near, rows=lambda Z, x: Z * x, intercept=True, root=True):
    w = weight(Z, s)[:, None]
    w = w.sqrt() if root else w
    A = torch.cat([torch.ones_like(w), Z], 1) if intercept else Z
    return torch.linalg.lstsq(A * w, f(rows(Z, x))[:, None] * w).solution[int(intercept) :, 0]


def limed(**how):
    return lambda *v: lime(*v, **how)


def lime_normal(f, x, Z, s):
    W = torch.diag(near(Z, s)).double()
    A = torch.hstack([Z, torch.ones(len(Z), 1, dtype=Z.dtype)]).double()
    return torch.linalg.solve(A.T @ W @ A, A.T @ W @ f(Z * x).double())[:-1]


def lime_scikit(f, x, Z, s):
    return LinearRegression().fit(Z.numpy(), f(Z * x).numpy(), near(Z, s).numpy()).coef_


def share(s, P):
    return math.factorial(s) * math.factorial(P - s - 1) / math.factorial(P)


def shapley(v, weight=share):
    P = int(math.log2(len(v)))
    R = torch.zeros(P, dtype=v.dtype)
    for i, k in itertools.product(range(P), range(len(v))):
        if not k >> i & 1:
            R[i] += weight(bin(k).count("1"), P) * (v[k | 1 << i] - v[k])
    return R


def weighed(weight):
    return lambda v: shapley(v, weight)


def shapley_orders(v, orders):
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


def drawn_orders(players):
    return [tuple(torch.randperm(len(players)).tolist()) for _ in range(20)]


# ---------------------------------------------------------------- the tables

RIGHT = {
    "linear_contributions": [contributions, lambda w, x, x0: torch.einsum("d,nd->nd", w, x - x0)],
    "grad_times_input": [times, times_vmap],
    "class_prototype": [
        climb,
        with_optimiser(torch.optim.SGD),
        lambda *v: climb(*v).requires_grad_(),
    ],
    "occlusion": [occlude, lambda f, x, *v: occlude(f, x.clone().requires_grad_(), *v)],
    "conservation_error": [
        error,
        lambda R, fx: (fx - R.reshape(len(R), -1).sum(-1)).abs(),
        lambda R, fx: ((R.flatten(1).sum(1) - fx) ** 2).sqrt(),
    ],
    "lime_weights": [lime, lime_normal, lime_scikit],
    "shapley_values": [
        shapley,
        lambda v: shapley_orders(v, itertools.permutations),
        shapley_dividends,
        weighed(lambda s, P: 1 / P / math.comb(P - 1, s)),
    ],
}

WRONG = {
    "linear_contributions": [
        (lambda w, x, x0: w * x, "x0 does not take part"),
        (lambda w, x, x0: w * (x0 - x), "sign"),
        (lambda w, x, x0: (w * (x - x0)).abs(), "has a sign"),
        (lambda w, x, x0: x - x0, "weights do not take part"),
        (lambda w, x, x0: w.expand_as(x), ""),
        (lambda w, x, x0: (r := w * (x - x0)) / r.sum(1, keepdim=True), "by their sum|NaN"),
        (lambda w, x, x0: w * (x - x.mean(0)), ""),
    ],
    "grad_times_input": [
        (gradient, "factor x is missing"),
        (all_classes, "all classes"),
        (times_of(lambda s: s.softmax(1)), "logit"),
        (times_of(lambda s: s.log_softmax(1)), "logit"),
        (lambda f, x, c: times(f, x, c[:1].expand_as(c)), ""),
        (lambda f, x, c: times(f, x, f(x).argmax(1)), "class"),
        (lambda *v: times(*v).abs(), "has a sign"),
        (lambda *v: gradient(*v) ** 2, ""),
        (lambda f, x, c: times(f, x, c) / len(x), ""),
        (lambda f, x, c: x * f(x).gather(1, c[:, None]), "derivative"),
        (asks_for_gradients, "requires_grad"),
    ],
    "class_prototype": [
        (climbed(sign=-1), "downhill"),
        (climbed(pull=0), "penalty is missing"),
        (climbed(pull=-1), "penalty's sign"),
        (climbed(pull=0.5), "2x"),
        (lambda f, c, x0, steps, *v: climb(f, c, x0, steps + 1, *v), "too many"),
        (lambda f, c, x0, steps, *v: climb(f, c, x0, max(steps - 1, 0), *v), ""),
        (climbed(score=probability), "probability"),
        (climbed(change=torch.sign), ""),
        (lambda f, c, x0, *v: climb(f, c, 0 * x0, *v), "starts at x0"),
        (lambda f, c, *v: climb(f, 0, *v), ""),
        (lambda f, c, x0, *v: x0, ""),
        (with_optimiser(torch.optim.Adam), ""),
    ],
    "occlusion": [
        (lambda *v: -occlude(*v), "sign is wrong"),
        (lambda *v: occlude(*v).abs(), "drop has a sign"),
        (lambda *v: occlude(*v).clamp(min=0), "drop has a sign"),
        (lambda f, x, c, k, fill: occlude(f, x, c, k, 0.0), "set to fill"),
        (occluded(keep=True), "stay covered"),
        (occluded(channels=slice(0, 1)), "all channels"),
        (occluded(score=probability), "probability"),
        (lambda *v: occlude(*v).T, "shape|exchanged"),
        (lambda *v: occlude(*v) / v[3] ** 2, ""),
        (lambda *v: v[0](v[1])[0, v[2]] - occlude(*v), ""),
    ],
    "conservation_error": [
        (lambda R, fx: R.flatten(1).sum(1) - fx, ""),
        (lambda R, fx: (R.flatten(1).mean(1) - fx).abs(), "averaged"),
        (lambda R, fx: (R.abs().flatten(1).sum(1) - fx).abs(), "their sign"),
        (lambda R, fx: (R.flatten(1).sum(1) - fx).abs() / fx.abs(), "relative|NaN"),
        (lambda R, fx: (R.flatten(1).sum(1) - fx) ** 2, ""),
        (lambda R, fx: error(R, fx).mean().expand_as(fx), "batch"),
        (last_axis, ""),
        (lambda R, fx: (R.flatten(1).sum(1).abs() - fx.abs()).abs(), ""),
    ],
    "lime_weights": [
        (limed(intercept=False), "intercept is missing"),
        (limed(weight=lambda Z, s: torch.ones_like(Z[:, 0])), "not weighted"),
        (limed(root=False), "act twice"),
        (limed(weight=lambda Z, s: torch.exp(-(1 - Z).sum(1) / s)), "sigma is squared"),
        (limed(weight=lambda Z, s: torch.exp(-(1 - Z).norm(dim=1) / s**2)), ""),
        (limed(weight=lambda Z, s: torch.exp(-Z.sum(1) / s**2)), "from z to 1"),
        (limed(rows=lambda Z, x: Z), r"z \* x"),
        (lambda *v: v[1] * lime(*v), ""),
        (limed(weight=lambda Z, s: torch.exp(-(1 - Z).sum(1) / s**2 / 2)), ""),
    ],
    "shapley_values": [
        (weighed(lambda s, P: 0.5 ** (P - 1)), "count the same"),
        (weighed(lambda s, P: float(s == P - 1)), "full coalition"),
        (weighed(lambda s, P: float(s == 0)), ""),
        (lambda v: shapley_orders(v, lambda r: [tuple(r)]), ""),
        (lambda v: shapley(v).flip(0), "wrong order"),
        (weighed(lambda s, P: share(s, P) * (P - s)), ""),
        (weighed(lambda s, P: share(s, P) * math.factorial(P)), "divides by P!"),
        (lambda v: shapley(v) + v[0] / int(math.log2(len(v))), ""),
        (lambda v: -shapley(v), "sign"),
        (lambda v: shapley_orders(v, drawn_orders), ""),
    ],
}

test_right_answers_are_accepted, test_wrong_answers_are_refused_with_the_fitting_hint = (
    accept_and_refuse(RIGHT, WRONG)
)
