"""The checks of the LRP exercises beyond layers: wrong answers that students give are refused,
right ones of any style accepted.
"""

import pytest
import torch
import torch.nn.functional as F
from lrp.test_checks import COMMON, in_numpy, in_place, single_only
from students import accept_and_refuse, check, talking

NAMES = ("deep_lift_layer", "lstm_word_relevance", "one_class_relevance")


# ---------------------------------------------------------------- right answers, with switches for
# the wrong ones


def lift(a, a0, w, b, m, slope=None, at_rest=lambda z: (z > 0).to(z)):
    z, z0 = a @ w + b, a0 @ w + b
    if slope is None:
        same = z == z0
        s = torch.where(same, at_rest(z), (z.relu() - z0.relu()) / torch.where(same, 1, z - z0))
    else:
        s = slope(z, z0)
    return (a - a0) * ((s * m) @ w.T)


def lift_tensor(a, a0, w, b, m):
    """The contribution of each pair (i, j), then their sum; what is 0 / 0 is set to the
    derivative.
    """
    z, z0 = F.linear(a, w.T, b), F.linear(a0, w.T, b)
    slope = (z.relu() - z0.relu()) / (z - z0)
    slope = torch.where(slope.isnan(), (z > 0).to(z), slope)
    return torch.einsum("ni,ij,nj,nj->ni", a - a0, w, slope, m)


def lift_shares(a, a0, w, b, m):
    """The shares of z - z0, times h - h0; at rest the derivative."""
    parts = (a - a0)[:, :, None] * w
    z, z0 = a @ w + b, a0 @ w + b
    moved = (z - z0).abs() > 1e-7
    shares = parts / torch.where(moved, z - z0, 1)[:, None]
    return (
        torch.where(
            moved[:, None], shares * (z.relu() - z0.relu())[:, None], parts * (z > 0)[:, None]
        )
        * m[:, None]
    ).sum(2)


def lift_integral(a, a0, w, b, m):
    """Closed form of the mean derivative between z0 and z."""
    z, z0 = a @ w + b, a0 @ w + b
    low, high = torch.minimum(z, z0), torch.maximum(z, z0)
    s = torch.where(low > 0, 1.0, torch.where(high <= 0, 0.0, high / (high - low).clamp(min=1e-30)))
    return (a - a0) * ((s * m) @ w.T)


def lift_loops(a, a0, w, b, m):
    out = torch.zeros_like(a)
    for n in range(len(a)):
        for j in range(len(b)):
            z, z0 = float(a[n] @ w[:, j] + b[j]), float(a0[n] @ w[:, j] + b[j])
            s = (max(z, 0) - max(z0, 0)) / (z - z0) if z != z0 else float(z > 0)
            for i in range(len(w)):
                out[n, i] += (a[n, i] - a0[n, i]) * w[i, j] * s * m[n, j]
    return out


def lift_rows(a, a0, w, b, m):
    return [lift(a[n : n + 1], a0[n : n + 1], w, b, m[n : n + 1])[0] for n in range(len(a))]


def words(
    g, i, f, R, new=None, old=None, guard=lambda c, v: torch.where(c == 0, 0.0, v), start=None
):
    c = [torch.zeros_like(R)]
    for t in range(len(g)):
        c.append(f[t] * c[-1] + i[t] * g[t])
    out = torch.zeros_like(g)
    R = R.clone()
    for t in reversed(range(len(g))):
        terms = g[t], i[t], f[t], c[t], c[t + 1]
        out[t] = guard(c[t + 1], new(*terms) if new else i[t] * g[t] / c[t + 1]) * R
        R = (
            start
            if start is not None
            else guard(c[t + 1], old(*terms) if old else f[t] * c[t] / c[t + 1]) * R
        )
    return out


def words_quotient(g, i, f, R):
    """R / c is handed on, times f; multiplied by what was added in the end."""
    c, cells = torch.zeros(len(R), dtype=g.dtype), []
    for new, keep in zip(i * g, f):
        c = keep * c + new
        cells.append(c)
    s = (cells[-1] != 0) * R / torch.where(cells[-1] == 0, 1, cells[-1])
    out = []
    for t in reversed(range(len(g))):
        s = s * (cells[t] != 0)
        out.append(i[t] * g[t] * s)
        s = s * f[t]
    return torch.stack(out[::-1])


def words_unrolled(g, i, f, R, stop=True):
    """Each term's part in the last cell state, R in proportion; nothing from before a cell state of
    0.
    """
    c, cells = 0 * R, []
    for t in range(len(g)):
        c = f[t] * c + i[t] * g[t]
        cells.append(c)
    alive = (torch.stack(cells) != 0).flip(0).cumprod(0).flip(0)
    after = torch.stack([f[t + 1 :].prod(0) for t in range(len(g))])
    part = i * g * after * (R / torch.where(c == 0, 1, c)) * (c != 0)
    return part * alive if stop else part


def words_loops(g, i, f, R):
    out = [[0.0] * len(R) for _ in g]
    for h in range(len(R)):
        c = [0.0]
        for t in range(len(g)):
            c.append(float(f[t, h]) * c[-1] + float(i[t, h]) * float(g[t, h]))
        r = float(R[h])
        for t in range(len(g) - 1, -1, -1):
            if c[t + 1] == 0:
                break
            out[t][h] = float(i[t, h]) * float(g[t, h]) / c[t + 1] * r
            r -= out[t][h]
    return out


def words_autograd(g, i, f, R):
    """Gradient of each sum times its terms, with the gates detached."""
    i, f = i.detach(), f.detach()
    c, cells, terms = torch.zeros_like(R), [], []
    for t in range(len(g)):
        kept, new = (f[t] * c).detach().requires_grad_(), (i[t] * g[t]).detach().requires_grad_()
        c = (kept + new).detach()
        cells.append(kept + new)
        terms.append((kept, new))
    out = torch.zeros_like(g)
    R = R.clone()
    for t in reversed(range(len(g))):
        s = torch.where(cells[t] == 0, 0, R / cells[t]).detach()
        kept, new = torch.autograd.grad(cells[t], terms[t], s)
        out[t], R = terms[t][1].detach() * new, terms[t][0].detach() * kept
    return out


def words_rnn(g, i, f, R):
    return torch.stack(
        [
            words(g[:, h : h + 1], i[:, h : h + 1], f[:, h : h + 1], R[h : h + 1])[:, 0]
            for h in range(len(R))
        ],
        1,
    )


def squares(x, u):
    return (x[:, None] - u) ** 2


def soft(d, alpha, gamma):
    e = alpha.log() - gamma * d
    return e.softmax(1), -e.logsumexp(1, keepdim=True) / gamma


def one_class(x, u, alpha, gamma, p=None, o=None, shares=None):
    q = squares(x, u)
    d = q.sum(2)
    own_p, own_o = soft(d, alpha, gamma)
    held = (p(d, alpha, gamma) if p else own_p) * (o(d, alpha, gamma) if o else own_o)
    parts = shares(x, u, d) if shares else q / torch.where(d == 0, 1, d)[..., None]
    return (held[..., None] * parts).sum(1)


def one_class_shift(x, u, alpha, gamma):
    d = torch.cdist(x, u) ** 2
    least = d.min(1, keepdim=True).values
    e = alpha * torch.exp(-gamma * (d - least))
    total = e.sum(1, keepdim=True)
    o = least - total.log() / gamma
    return torch.einsum("nm,nmi->ni", e / total * o / d.clamp(min=1e-12), squares(x, u))


def one_class_expanded(x, u, alpha, gamma):
    """|x|^2 - 2 x u + |u|^2, in double precision; squares likewise by products."""
    x, u, alpha = x.double(), u.double(), alpha.double()
    d = ((x * x).sum(1, keepdim=True) - 2 * x @ u.T + (u * u).sum(1)).clamp(min=0)
    p, o = soft(d, alpha, gamma)
    s = torch.where(d > 1e-9, p * o / d.clamp(min=1e-9), 0)
    return s.sum(1, keepdim=True) * x * x - 2 * x * (s @ u) + s @ (u * u)


def one_class_gradient(x, u, alpha, gamma):
    """The weights are the derivatives of the soft minimum."""
    q = squares(x, u)
    d = q.sum(2).detach().requires_grad_()
    o = -torch.logsumexp(alpha.log() - gamma * d, 1) / gamma
    p = torch.autograd.grad(o.sum(), d)[0]
    return ((p * o[:, None] / d.clamp(min=1e-20)).detach()[..., None] * q).sum(1)


def one_class_loops(x, u, alpha, gamma):
    rows = []
    for own in x.double():
        d = ((own - u.double()) ** 2).sum(1)
        e = alpha.double().log() - gamma * d
        o, row = -torch.logsumexp(e, 0) / gamma, torch.zeros(x.shape[1], dtype=torch.float64)
        for j in range(len(u)):
            if d[j] > 0:
                row += torch.softmax(e, 0)[j] * o * (own - u[j]) ** 2 / d[j]
        rows.append(row)
    return torch.stack(rows)


def one_class_nan(x, u, alpha, gamma):
    q = squares(x, u)
    p, o = soft(q.sum(2), alpha, gamma)
    return ((p * o)[..., None] * (q / q.sum(2, keepdim=True)).nan_to_num(0)).sum(1)


ANSWERS = {"deep_lift_layer": lift, "lstm_word_relevance": words, "one_class_relevance": one_class}
STYLES = {
    "plain": lambda right: right,
    "numpy": in_numpy,
    "list": lambda right: lambda *v: torch.as_tensor(right(*v)).tolist(),
    "talks": talking,
    "single precision only": single_only,
    "keeps a graph": lambda right: lambda first, *v: right(first.clone().requires_grad_(), *v),
    "tuple": lambda right: lambda *v: tuple(right(*v)),
    "double": lambda right: lambda *v: right(*(t.double() if torch.is_tensor(t) else t for t in v)),
}
OWN = {
    "deep_lift_layer": {
        "pairs": lift_tensor,
        "shares": lift_shares,
        "mean derivative": lift_integral,
        "loops": lift_loops,
        "rows": lift_rows,
        "tolerance": lambda a, a0, w, b, m: lift(
            a,
            a0,
            w,
            b,
            m,
            lambda z, z0: torch.where(
                (z - z0).abs() < 1e-6, (z > 0).to(z), (z.relu() - z0.relu()) / (z - z0)
            ),
        ),
        "differences first": lambda a, a0, w, b, m: (
            (a - a0)
            * (
                torch.where(
                    (dz := (a - a0) @ w) == 0,
                    ((z := a @ w + b) > 0).to(z),
                    ((a @ w + b).relu() - (a0 @ w + b).relu()) / dz,
                )
                * m
                @ w.T
            )
        ),
    },
    "lstm_word_relevance": {
        "quotient": words_quotient,
        "unrolled": words_unrolled,
        "loops": words_loops,
        "autograd": words_autograd,
        "cell by cell": words_rnn,
        "guarded quotient": lambda g, i, f, R: words(
            g, i, f, R, guard=lambda c, v: v.nan_to_num(0, 0, 0) * (c.abs() > 1e-9)
        ),
    },
    "one_class_relevance": {
        "shift": one_class_shift,
        "expanded": one_class_expanded,
        "gradient": one_class_gradient,
        "loops": one_class_loops,
        "nan set to 0": one_class_nan,
        "alpha normalised": lambda x, u, alpha, gamma: one_class(x, u, alpha / alpha.sum(), gamma),
        "rows": lambda x, u, alpha, gamma: [one_class(row[None], u, alpha, gamma)[0] for row in x],
        "single precision": lambda x, u, alpha, gamma: one_class(
            x.float(), u.float(), alpha.float(), gamma
        ),
        "gamma as a tensor": lambda x, u, alpha, gamma: one_class(x, u, alpha, torch.tensor(gamma)),
    },
}
RIGHT = {
    name: {**{style: make(ANSWERS[name]) for style, make in STYLES.items()}, **OWN[name]}
    for name in NAMES
}


# ---------------------------------------------------------------- wrong answers

ANY = {
    kind: make
    for kind, make in COMMON.items()
    if kind
    not in (
        "batch mean",
        "batch summed",
        "absolute",
        "clipped",
        "normalised to 1",
        "first sample only",
    )
}
SIGNED = {
    "absolute": lambda v: v.abs(),
    "clipped": lambda v: v.clamp(min=0),
    "batch mean": lambda v: v.mean(0, keepdim=True).expand_as(v),
    "normalised": lambda v: v / v.sum(-1, keepdim=True),
    "summed": lambda v: v.sum(0),
    "one sample": lambda v: v[:1],
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ANY)
def test_what_is_wrong_in_any_exercise_is_refused(name, kind):
    with pytest.raises(AssertionError, match=name):
        check(name)(ANY[kind](ANSWERS[name]))
    assert torch.is_grad_enabled() and torch.get_default_dtype() == torch.float32


@pytest.mark.parametrize(
    "name, kind",
    [
        (name, kind)
        for name in NAMES
        for kind in SIGNED
        if name != "one_class_relevance" or kind not in ("absolute", "clipped")
    ],
)
def test_results_that_are_made_presentable_are_refused(name, kind):
    with pytest.raises(AssertionError, match=name):
        check(name)(lambda *v: SIGNED[kind](ANSWERS[name](*v)))


def step(z):
    return (z > 0).to(z)


def lift_lrp(a, a0, w, b, m):
    z, z0 = a @ w + b, a0 @ w + b
    return a * ((m * (z.relu() - z0.relu()) / z) @ w.T)


def no_zero(d):
    return torch.where(d == 0, 1, d)[..., None]


def one_class_no_shift(x, u, alpha, gamma, least=0.0):
    q = squares(x, u)
    d = q.sum(2)
    e = (alpha * torch.exp(-gamma * d)).clamp(min=least)
    p, o = e / e.sum(1, keepdim=True), -e.sum(1, keepdim=True).log() / gamma
    return ((p * o)[..., None] * q / no_zero(d)).sum(1)


def uniform(d, alpha, gamma):
    return torch.full_like(d, 1 / d.shape[1])


def closest(d, alpha, gamma):
    return F.one_hot(d.argmin(1), d.shape[1]).to(d)


def least(d, alpha, gamma):
    return d.min(1, keepdim=True).values


def even(alpha):
    return torch.full_like(alpha, 1 / len(alpha))


WRONG = {
    "deep_lift_layer": {
        "gradient": lambda *v: lift(*v, slope=lambda z, z0: step(z)),
        "gradient at the reference": lambda *v: lift(*v, slope=lambda z, z0: step(z0)),
        "mean of two gradients": lambda *v: lift(*v, slope=lambda z, z0: (step(z) + step(z0)) / 2),
        "gradient half way": lambda *v: lift(*v, slope=lambda z, z0: step(z + z0)),
        "h / z": lambda *v: lift(*v, slope=lambda z, z0: (z.relu() / z).nan_to_num(0)),
        "no ReLU": lambda *v: lift(*v, slope=lambda z, z0: torch.ones_like(z)),
        "not minus the reference": lambda a, a0, w, b, m: (
            lift(a, a0, w, b, m) / (a - a0).where(a != a0, 1) * a
        ),
        "gradient × input": lambda a, a0, w, b, m: a * ((step(a @ w + b) * m) @ w.T),
        "multipliers": lambda a, a0, w, b, m: (lift(a, a0, w, b, m) / (a - a0)).nan_to_num(0),
        "from the reference's side": lambda a, a0, w, b, m: lift(a0, a, w, b, m),
        "bias left out": lambda a, a0, w, b, m: lift(a, a0, w, 0 * b, m),
        "bias in z only": lambda a, a0, w, b, m: lift(
            a, a0, w, b, m, slope=lambda z, z0: (z.relu() - (z0 - b).relu()) / (z - z0 + b)
        ),
        "reference is zero": lambda a, a0, w, b, m: lift(a, 0 * a0, w, b, m),
        "a minus reference through the layer": lambda a, a0, w, b, m: lift(a - a0, 0 * a0, w, b, m),
        "h0 forgotten": lambda *v: lift(
            *v, slope=lambda z, z0: (z.relu() / (z - z0)).nan_to_num(0, 0, 0)
        ),
        "z0 forgotten": lambda *v: lift(
            *v, slope=lambda z, z0: ((z.relu() - z0.relu()) / z).nan_to_num(0, 0, 0)
        ),
        "upside down": lambda *v: lift(
            *v, slope=lambda z, z0: ((z - z0) / (z.relu() - z0.relu())).nan_to_num(0, 0, 0)
        ),
        "NaN at rest": lambda *v: lift(*v, slope=lambda z, z0: (z.relu() - z0.relu()) / (z - z0)),
        "0 at rest": lambda *v: lift(*v, at_rest=torch.zeros_like),
        "1 at rest": lambda *v: lift(*v, at_rest=torch.ones_like),
        "1 at rest at 0": lambda *v: lift(*v, at_rest=lambda z: (z >= 0).to(z)),
        "half at rest": lambda *v: lift(*v, at_rest=lambda z: 0.5 * torch.ones_like(z)),
        "eps in the denominator": lambda *v: lift(
            *v, slope=lambda z, z0: (z.relu() - z0.relu()) / (z - z0 + 1e-6)
        ),
        "LRP shares": lift_lrp,
        "m forgotten": lambda a, a0, w, b, m: lift(a, a0, w, b, torch.ones_like(m)),
        "m clipped": lambda a, a0, w, b, m: lift(a, a0, w, b, m.relu()),
        "m of the first sample": lambda a, a0, w, b, m: lift(a, a0, w, b, m[:1].expand_as(m)),
        "reference of the first sample": lambda a, a0, w, b, m: lift(
            a, a0[:1].expand_as(a0), w, b, m
        ),
        "mean over j": lambda a, a0, w, b, m: lift(a, a0, w, b, m) / len(b),
        "shares of m h": lambda a, a0, w, b, m: (
            (a - a0)
            / (a - a0).sum(1, keepdim=True)
            * (m * ((a @ w + b).relu() - (a0 @ w + b).relu())).sum(1, keepdim=True)
        ),
        "positive parts": lambda a, a0, w, b, m: lift(a, a0, w.relu(), b, m),
        "tanh": lambda *v: lift(*v, slope=lambda z, z0: (z.tanh() - z0.tanh()) / (z - z0)),
        "m in place": in_place(lift, 4),
        "bias in place": in_place(lift, 3),
    },
    "lstm_word_relevance": {
        "forget gate again": lambda *v: words(
            *v, old=lambda g, i, f, before, c: f * f * before / c
        ),
        "input gate again": lambda *v: words(*v, new=lambda g, i, f, before, c: i * i * g / c),
        "both gates again": lambda *v: words(
            *v,
            new=lambda g, i, f, before, c: i * i * g / c,
            old=lambda g, i, f, before, c: f * f * before / c,
        ),
        "half to the gates": lambda *v: words(
            *v,
            new=lambda g, i, f, before, c: 0.5 * i * g / c,
            old=lambda g, i, f, before, c: 0.5 * f * before / c,
        ),
        "half to the input gate": lambda *v: words(
            *v, new=lambda g, i, f, before, c: 0.5 * i * g / c
        ),
        "half to the forget gate": lambda *v: words(
            *v, old=lambda g, i, f, before, c: 0.5 * f * before / c
        ),
        "f left out": lambda *v: words(*v, old=lambda g, i, f, before, c: before / c),
        "i left out": lambda *v: words(*v, new=lambda g, i, f, before, c: g / c),
        "1 - i for f": lambda g, i, f, R: words(g, i, 1 - i, R),
        "gates swapped": lambda g, i, f, R: words(g, f, i, R),
        "equal halves": lambda *v: words(
            *v, new=lambda *w: torch.full_like(w[0], 0.5), old=lambda *w: torch.full_like(w[0], 0.5)
        ),
        "gates as shares": lambda *v: words(
            *v,
            new=lambda g, i, f, before, c: i / (i + f),
            old=lambda g, i, f, before, c: f / (i + f),
        ),
        "R not updated": lambda g, i, f, R: words(g, i, f, R, start=R),
        "forwards": lambda g, i, f, R: words(g.flip(0), i.flip(0), f.flip(0), R).flip(0),
        "reversed result": lambda *v: words(*v).flip(0),
        "the other term": lambda *v: words(*v, new=lambda g, i, f, before, c: f * before / c),
        "last step only": lambda g, i, f, R: torch.cat([0 * g[:-1], words(g, i, f, R)[-1:]]),
        "NaN at c = 0": lambda *v: words(*v, guard=lambda c, q: q),
        "guard of 1e-9": lambda *v: words(
            *v,
            new=lambda g, i, f, before, c: i * g / (c + 1e-9),
            old=lambda g, i, f, before, c: f * before / (c + 1e-9),
            guard=lambda c, q: q,
        ),
        "stabilised by 1e-3": lambda *v: words(
            *v,
            new=lambda g, i, f, before, c: i * g / (c + 1e-3 * torch.where(c >= 0, 1, -1)),
            old=lambda g, i, f, before, c: f * before / (c + 1e-3 * torch.where(c >= 0, 1, -1)),
        ),
        "unrolled past c = 0": lambda *v: words_unrolled(*v, stop=False),
        "all to the past at c = 0": lambda *v: words(
            *v,
            old=lambda g, i, f, before, c: torch.where(c == 0, 1, f * before / c),
            guard=lambda c, q: q.nan_to_num(0, 0, 0),
        ),
        "absolute shares": lambda *v: words(
            *v,
            new=lambda g, i, f, before, c: (i * g).abs() / ((i * g).abs() + (f * before).abs()),
            old=lambda g, i, f, before, c: (
                (f * before).abs() / ((i * g).abs() + (f * before).abs())
            ),
        ),
        "not divided": lambda *v: words(
            *v, new=lambda g, i, f, before, c: i * g, old=lambda g, i, f, before, c: f
        ),
        "gradient": lambda *v: words(
            *v, new=lambda g, i, f, before, c: i, old=lambda g, i, f, before, c: f
        ),
        "cells pooled": lambda g, i, f, R: words(g, i, f, R.sum().expand_as(R)),
        "summed over cells": lambda *v: words(*v).sum(1, keepdim=True),
        "R in place": in_place(words, 3),
        "gate in place": in_place(words, 2),
    },
    "one_class_relevance": {
        "hard minimum": lambda *v: one_class(*v, p=closest, o=least),
        "nearest vector, soft score": lambda *v: one_class(*v, p=closest),
        "hard score": lambda *v: one_class(*v, o=least),
        "alpha missing": lambda x, u, alpha, gamma: one_class(x, u, even(alpha), gamma),
        "alpha all 1": lambda x, u, alpha, gamma: one_class(x, u, torch.ones_like(alpha), gamma),
        "alpha missing from p": lambda *v: one_class(
            *v, p=lambda d, alpha, gamma: (-gamma * d).softmax(1)
        ),
        "alpha missing from o": lambda *v: one_class(
            *v, o=lambda d, alpha, gamma: -torch.logsumexp(-gamma * d, 1, keepdim=True) / gamma
        ),
        "alpha as weights": lambda *v: one_class(*v, p=lambda d, alpha, gamma: alpha.expand_as(d)),
        "even weights": lambda *v: one_class(*v, p=uniform),
        "alpha in the exponent": lambda x, u, alpha, gamma: one_class(
            x, u, alpha, gamma, p=lambda d, alpha, gamma: (alpha - gamma * d).softmax(1)
        ),
        "p d": lambda *v: one_class(*v, o=lambda d, alpha, gamma: d),
        "mean distance": lambda *v: one_class(
            *v, o=lambda d, alpha, gamma: (soft(d, alpha, gamma)[0] * d).sum(1, keepdim=True)
        ),
        "o forgotten": lambda *v: one_class(*v, o=lambda d, alpha, gamma: 1.0),
        "p forgotten": lambda *v: one_class(*v, p=lambda d, alpha, gamma: torch.ones_like(d)),
        "sign": lambda *v: -one_class(*v),
        "1 / gamma missing": lambda x, u, alpha, gamma: gamma * one_class(x, u, alpha, gamma),
        "gamma twice": lambda x, u, alpha, gamma: one_class(x, u, alpha, gamma) / gamma,
        "gamma is 1": lambda x, u, alpha, gamma: one_class(x, u, alpha, 1.0),
        "gamma as a width": lambda x, u, alpha, gamma: one_class(
            x, u, alpha, 1 / (2 * gamma * gamma)
        ),
        "absolute over the root": lambda *v: one_class(
            *v, shares=lambda x, u, d: squares(x, u).sqrt() / no_zero(d).sqrt()
        ),
        "absolute shares": lambda *v: one_class(
            *v, shares=lambda x, u, d: squares(x, u).sqrt() / no_zero(squares(x, u).sqrt().sum(2))
        ),
        "squares over the root": lambda *v: one_class(
            *v, shares=lambda x, u, d: squares(x, u) / no_zero(d).sqrt()
        ),
        "distances not squared": lambda *v: one_class(
            *v,
            p=lambda d, alpha, gamma: soft(d.sqrt(), alpha, gamma)[0],
            o=lambda d, alpha, gamma: soft(d.sqrt(), alpha, gamma)[1],
        ),
        "not divided by d": lambda *v: one_class(*v, shares=lambda x, u, d: squares(x, u)),
        "signed": lambda *v: one_class(
            *v, shares=lambda x, u, d: (x[:, None] - u) * (x[:, None] - u).abs() / no_zero(d)
        ),
        "gradient of the score": lambda *v: one_class(
            *v, o=lambda d, alpha, gamma: 1.0, shares=lambda x, u, d: 2 * (x[:, None] - u)
        ),
        "x for x - u": lambda *v: one_class(
            *v,
            shares=lambda x, u, d: (
                x[:, None] ** 2 / (x[:, None] ** 2).sum(2, keepdim=True).expand(-1, len(u), -1)
            ),
        ),
        "softmax over samples": lambda *v: one_class(
            *v, p=lambda d, alpha, gamma: (alpha.log() - gamma * d).softmax(0)
        ),
        "normalised over vectors": lambda *v: one_class(
            *v,
            shares=lambda x, u, d: (squares(x, u) / squares(x, u).sum(1, keepdim=True)).nan_to_num(
                0
            ),
        ),
        "without the shift": one_class_no_shift,
        "clamped in place of the shift": lambda *v: one_class_no_shift(*v, least=1e-30),
        "0 / 0": lambda *v: one_class(*v, shares=lambda x, u, d: squares(x, u) / d[..., None]),
        "1 / D at d = 0": lambda *v: one_class(
            *v,
            shares=lambda x, u, d: torch.where(
                d[..., None] == 0, 1 / x.shape[1], squares(x, u) / no_zero(d)
            ),
        ),
        "conserved by force": lambda *v: (
            (r := one_class(*v))
            / r.sum(1, keepdim=True).clamp(min=1e-9)
            * soft(squares(v[0], v[1]).sum(2), v[2], v[3])[1]
        ),
        "eps in d": lambda *v: one_class(
            *v, shares=lambda x, u, d: squares(x, u) / (d[..., None] + 1e-2)
        ),
        "vectors in place": in_place(one_class, 1),
        "alpha in place": in_place(one_class, 2),
    },
}


HINTS = {
    ("deep_lift_layer", "gradient"): "slope from z0_j to z_j",
    ("deep_lift_layer", "h / z"): "slope from z0_j to z_j",
    ("deep_lift_layer", "not minus the reference"): "a_i - a0_i",
    ("deep_lift_layer", "bias left out"): "bias is missing",
    ("deep_lift_layer", "reference is zero"): "not always zero",
    ("deep_lift_layer", "h0 forgotten"): "h0_j is missing",
    ("deep_lift_layer", "z0 forgotten"): "z0_j is missing",
    ("deep_lift_layer", "LRP shares"): "shared by",
    ("deep_lift_layer", "NaN at rest"): "NaN",
    ("deep_lift_layer", "0 at rest"): "must be 1 if z_j > 0",
    ("deep_lift_layer", "1 at rest at 0"): "must be 1 if z_j > 0",
    ("deep_lift_layer", "m forgotten"): "m does not",
    ("deep_lift_layer", "eps in the denominator"): "must be 1 if z_j > 0",
    ("deep_lift_layer", "from the reference's side"): "sign",
    ("lstm_word_relevance", "forget gate again"): "forget gate is multiplied in once more",
    ("lstm_word_relevance", "half to the gates"): "gates take nothing",
    ("lstm_word_relevance", "half to the forget gate"): "gates take nothing",
    ("lstm_word_relevance", "f left out"): "f_t is missing",
    ("lstm_word_relevance", "equal halves"): "equal halves",
    ("lstm_word_relevance", "R not updated"): "starts from R",
    ("lstm_word_relevance", "NaN at c = 0"): "NaN",
    ("lstm_word_relevance", "unrolled past c = 0"): "nothing is passed on",
    ("lstm_word_relevance", "all to the past at c = 0"): "nothing is passed on",
    ("lstm_word_relevance", "guard of 1e-9"): "shares huge",
    ("lstm_word_relevance", "stabilised by 1e-3"): "added to c_t",
    ("lstm_word_relevance", "reversed result"): "order",
    ("lstm_word_relevance", "the other term"): "i_t g_t is asked for",
    ("one_class_relevance", "hard minimum"): "only the nearest",
    ("one_class_relevance", "alpha missing from p"): "alpha is missing from the weights",
    ("one_class_relevance", "alpha missing"): "alpha is missing",
    ("one_class_relevance", "absolute over the root"): "absolute differences",
    ("one_class_relevance", "absolute shares"): "absolute differences",
    ("one_class_relevance", "p d"): "not p_j d_j",
    ("one_class_relevance", "sign"): "sign is wrong",
    ("one_class_relevance", "1 / gamma missing"): "1/gamma",
    ("one_class_relevance", "without the shift"): "NaN or infinite",
    ("one_class_relevance", "0 / 0"): "NaN",
    ("one_class_relevance", "1 / D at d = 0"): "keeps its share",
    ("one_class_relevance", "conserved by force"): "keeps its share",
    ("one_class_relevance", "distances not squared"): "not squared",
    ("one_class_relevance", "signed"): "terms of d_j are squares",
}


HINTED = {
    name: [(answer, HINTS.get((name, kind), "")) for kind, answer in kinds.items()]
    for name, kinds in WRONG.items()
}
test_right_answers_are_accepted, test_wrong_answers_are_refused_with_the_fitting_hint = (
    accept_and_refuse({name: list(RIGHT[name].values()) for name in NAMES}, HINTED)
)
