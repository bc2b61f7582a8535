"""The checks of the LRP exercises: wrong answers that students give are refused, right ones of any
style accepted.
"""

import copy
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from students import accept_and_refuse, check, talking
from torch import nn

NAMES = ("lrp_zplus", "lrp_epsilon", "absorbed_by_bias", "lrp_alphabeta", "lrp_zb", "lrp_mlp")


# ---------------------------------------------------------------- right answers


def zplus(a, w, R):
    w = w.clamp(min=0)
    return a * (R / (a @ w) @ w.T)


def signed(z):
    return torch.where(z >= 0, 1.0, -1.0)


def epsilon(a, w, b, R, eps):
    z = a @ w + b
    return a * (R / (z + eps * signed(z)) @ w.T)


def absorbed(a, w, b, R):
    return (b / (a @ w + b) * R).sum(1)


def alphabeta(a, w, R, alpha, beta):
    def side(v):
        return a * (R / (a @ v) @ v.T)

    return alpha * side(w.clamp(min=0)) - beta * side(w.clamp(max=0))


def zb(x, w, R, l, h):
    z = x[:, :, None] * w - l[:, None] * w.clamp(min=0) - h[:, None] * w.clamp(max=0)
    return (z / z.sum(1, keepdim=True) * R[:, None]).sum(2)


def mlp(m, x, c, eps=1e-9, start=None):
    with torch.no_grad():
        activations = [x]
        for layer in m:
            activations.append(layer(activations[-1]))
        logits = activations.pop()
        R = start(logits, c) if start else F.one_hot(c, logits.shape[1]) * logits
        for layer, a in zip(reversed(list(m)), reversed(activations)):
            if isinstance(layer, nn.Linear):
                R = epsilon(a, layer.weight.T, layer.bias, R, eps)
    return R


def zplus_loops(a, w, R):
    out = torch.zeros(len(a), len(w))
    for n in range(len(a)):
        for j in range(w.shape[1]):
            z = [float(a[n, i]) * max(float(w[i, j]), 0.0) for i in range(len(w))]
            for i in range(len(w)):
                out[n, i] += z[i] / sum(z) * R[n, j]
    return out


def zplus_guarded(a, w, R):
    z = torch.einsum("ni,ij->nij", a, F.relu(w))
    return torch.einsum("nij,nj->ni", z / (z.sum(1, keepdim=True) + 1e-6), R)


def zplus_autograd(a, w, R):
    a = a.clone().requires_grad_()
    z = a @ w.relu()
    z.backward((R / z).detach())
    return a * a.grad


def zplus_layer(a, w, R):
    layer = nn.Linear(*w.shape, bias=False).to(w.dtype)
    layer.weight.data = w.clamp(min=0).T
    return a * ((R / layer(a)) @ layer.weight)


def in_numpy(right):
    def answer(*arguments):
        return right(
            *(
                torch.from_numpy(t.numpy().astype(np.float64))
                if torch.is_tensor(t) and t.is_floating_point()
                else t
                for t in arguments
            )
        ).numpy()

    return answer


def as_list(right):
    return lambda *arguments: right(*arguments).tolist()


def row_by_row(right):
    def answer(first, w, *rest):
        R = next(t for t in rest if t.dim() == 2 and len(t) == len(first))
        rows = []
        for n in range(len(first)):
            own = [t[n : n + 1] if t is R else t for t in rest]
            rows.append(right(first[n : n + 1], w, *own)[0])
        return rows

    return answer


def single_only(right):
    """Accumulates in single precision: fails where the arguments are in double precision."""

    def answer(*arguments):
        if any(torch.is_tensor(t) and t.dtype == torch.float64 for t in arguments):
            raise RuntimeError("expected m1 and m2 to have the same dtype")
        return right(*arguments)

    return answer


def mlp_gradient(m, x, c):
    x = x.detach().clone().requires_grad_()
    score = m(x).gather(1, c[:, None]).sum()
    return x * torch.autograd.grad(score, x)[0]


def mlp_on_a_copy(m, x, c):
    m = copy.deepcopy(m).eval()
    x = x.clone().requires_grad_()
    m(x)[torch.arange(len(x)), c].sum().backward()
    return x * x.grad


def mlp_tidy_hooks(m, x, c):
    inputs = []
    handles = [
        layer.register_forward_pre_hook(lambda _, a: inputs.append(a[0].detach()))
        for layer in m
        if isinstance(layer, nn.Linear)
    ]
    out = m(x).detach()
    for handle in handles:
        handle.remove()
    R = torch.zeros_like(out).scatter(1, c[:, None], out.gather(1, c[:, None]))
    for layer, a in zip([layer for layer in m if isinstance(layer, nn.Linear)][::-1], inputs[::-1]):
        R = epsilon(a, layer.weight.detach().T, layer.bias.detach(), R, 1e-6)
    return R


def mlp_sample_by_sample(m, x, c):
    return [mlp_gradient(m, x[n : n + 1], c[n : n + 1])[0] for n in range(len(x))]


def mlp_mode_set_back(m, x, c):
    mode = m.training
    m.eval()
    R = mlp(m, x, c)
    m.train(mode)
    return R


def mlp_double(m, x, c):
    return mlp(copy.deepcopy(m).double(), x.double(), c)


STYLES = {
    "plain": lambda f: f,
    "numpy": in_numpy,
    "list": as_list,
    "list of rows": row_by_row,
    "talks": talking,
    "single precision only": single_only,
}
RIGHT = {
    "lrp_zplus": {
        **{name: style(zplus) for name, style in STYLES.items()},
        "loops": zplus_loops,
        "guarded einsum": zplus_guarded,
        "autograd": zplus_autograd,
        "a new layer": zplus_layer,
        "parts clipped": lambda a, w, R: (
            (z := (a[:, :, None] * w).clamp(min=0)) / z.sum(1, keepdim=True) * R[:, None]
        ).sum(-1),
        "double": lambda a, w, R: zplus(a.double(), w.double(), R.double()),
        "keeps a graph": lambda a, w, R: zplus(a.clone().requires_grad_(), w, R),
        "tuple": lambda a, w, R: tuple(zplus(a, w, R)),
    },
    "lrp_epsilon": {
        **{name: style(epsilon) for name, style in STYLES.items() if name != "list of rows"},
        "copysign": lambda a, w, b, R, eps: (
            a * (R / ((z := a @ w + b) + torch.copysign(torch.tensor(eps), z)) @ w.T)
        ),
        "sign plus a boolean": lambda a, w, b, R, eps: (
            a * (R / ((z := a @ w + b) + eps * (z.sign() + (z == 0))) @ w.T)
        ),
        "addmm": lambda a, w, b, R, eps: (
            a * (R / ((z := torch.addmm(b, a, w)) + eps * (2 * (z >= 0) - 1)) @ w.T)
        ),
        "einsum": lambda a, w, b, R, eps: torch.einsum(
            "ni,ij,nj->ni", a, w, R / ((z := F.linear(a, w.T, b)) + eps * signed(z))
        ),
    },
    "absorbed_by_bias": {
        **{name: style(absorbed) for name, style in STYLES.items()},
        "as a difference": lambda a, w, b, R: R.sum(1) - epsilon(a, w, b, R, 0.0).sum(1),
        "number for one sample": lambda a, w, b, R: absorbed(a, w, b, R).squeeze(),
        "einsum": lambda a, w, b, R: torch.einsum("j,nj->n", b, R / (a @ w + b)),
    },
    "lrp_alphabeta": {
        **{name: style(alphabeta) for name, style in STYLES.items() if name != "list of rows"},
        "parts": lambda a, w, R, alpha, beta: (
            (
                (p := (z := a[..., None] * w).clamp(min=0)) / p.sum(1, True) * alpha
                - (q := z.clamp(max=0)) / q.sum(1, True) * beta
            )
            * R[:, None]
        ).sum(-1),
        "guarded": lambda a, w, R, alpha, beta: (
            alpha * a * (R / (a @ (p := w.relu()) + 1e-9) @ p.T)
            - beta * a * (R / (a @ (q := (-w).relu()) + 1e-9) @ q.T)
        ),
        "beta from alpha": lambda a, w, R, alpha, beta: alphabeta(a, w, R, alpha, alpha - 1),
    },
    "lrp_zb": {
        **{name: style(zb) for name, style in STYLES.items() if name != "list of rows"},
        "products": lambda x, w, R, l, h: (
            lambda p, q, s: x * (s @ w.T) - l * (s @ p.T) - h * (s @ q.T)
        )(w.clamp(min=0), w.clamp(max=0), R / (x @ w - l @ w.clamp(min=0) - h @ w.clamp(max=0))),
        "two kinds of weight": lambda x, w, R, l, h: (
            lambda z: (z / (z.sum(1, keepdim=True) + 1e-9) * R[:, None]).sum(2)
        )((x - l)[..., None] * w.relu() + (h - x)[..., None] * (-w).relu()),
    },
    "lrp_mlp": {
        "plain": mlp,
        "list": as_list(mlp),
        "talks": talking(mlp),
        "single precision only": single_only(mlp),
        "gradient × input": mlp_gradient,
        "on a copy": mlp_on_a_copy,
        "hooks removed": mlp_tidy_hooks,
        "sample by sample": mlp_sample_by_sample,
        "mode set back": mlp_mode_set_back,
        "double": mlp_double,
        "eps 1e-6": lambda m, x, c: mlp(m, x, c, eps=1e-6),
        "numpy out": lambda m, x, c: mlp(m, x, c).numpy(),
        "keeps a graph": lambda m, x, c: mlp(m, x, c) + 0 * m(x).sum(),
    },
}


# ---------------------------------------------------------------- wrong answers


def in_place(right, position=0, change=lambda t: t.mul_(2)):
    def answer(*arguments):
        result = right(*arguments)
        change(arguments[position])
        return result

    return answer


def works_once(right):
    seen = []

    def answer(*arguments):
        seen.append(1)
        return right(*arguments) * (1 if len(seen) % 2 else 2)

    return answer


def random_answer(right):
    return lambda *arguments: right(*arguments) + 0.1 * torch.randn_like(right(*arguments))


def prints_only(right):
    def answer(*arguments):
        print(right(*arguments))

    return answer


def grad_off(right):
    def answer(*arguments):
        torch.set_grad_enabled(False)
        return right(*arguments)

    return answer


def default_dtype(right):
    def answer(*arguments):
        torch.set_default_dtype(torch.float64)
        return right(*arguments)

    return answer


def exits(*arguments):
    sys.exit(0)


COMMON = {
    "returns nothing": prints_only,
    "random": random_answer,
    "second call differs": works_once,
    "batch mean": lambda right: (
        lambda *arguments: right(*arguments).mean(0, keepdim=True).expand_as(right(*arguments))
    ),
    "batch summed": lambda right: lambda *arguments: right(*arguments).sum(0),
    "changes its argument": lambda right: in_place(right, 1 if right is mlp else 0),
    "asks for gradients of its argument": lambda right: in_place(
        right, 1 if right is mlp else 0, lambda t: t.requires_grad_()
    ),
    "wrong sign": lambda right: lambda *arguments: -right(*arguments),
    "absolute": lambda right: lambda *arguments: right(*arguments).abs(),
    "clipped": lambda right: lambda *arguments: right(*arguments).clamp(min=0),
    "normalised to 1": lambda right: (
        lambda *arguments: right(*arguments) / right(*arguments).sum(-1, keepdim=True)
    ),
    "scaled": lambda right: lambda *arguments: 1.01 * right(*arguments),
    "zeros": lambda right: lambda *arguments: torch.zeros_like(right(*arguments)),
    "constant": lambda right: lambda *arguments: torch.ones(2, 3),
    "transposed": lambda right: lambda *arguments: right(*arguments).T[..., None],
    "extra axis": lambda right: lambda *arguments: right(*arguments)[None],
    "first sample only": lambda right: lambda *arguments: right(*arguments)[:1],
    "NaN": lambda right: lambda *arguments: right(*arguments) * float("nan"),
    "one NaN": lambda right: (
        lambda *arguments: (
            right(*arguments)
            .flatten()
            .index_fill(0, torch.tensor([0]), float("nan"))
            .view_as(right(*arguments))
        )
    ),
    "text": lambda right: lambda *arguments: "relevance",
    "rounded": lambda right: lambda *arguments: right(*arguments).round(decimals=2),
    "leaves gradients off": grad_off,
    "leaves the default dtype changed": default_dtype,
    "exits": lambda right: exits,
    "raises": lambda right: lambda *arguments: arguments[99],
    "not a function": lambda right: torch.ones(2),
    "too few arguments": lambda right: lambda one: right,
    "only 3 inputs": lambda right: (
        lambda *arguments: (
            right(*arguments)
            if arguments[0 if right is not mlp else 1].shape[1] == 3
            else torch.zeros(1, 3)
        )
    ),
}
ANSWERS = {
    "lrp_zplus": zplus,
    "lrp_epsilon": epsilon,
    "absorbed_by_bias": absorbed,
    "lrp_alphabeta": alphabeta,
    "lrp_zb": zb,
    "lrp_mlp": mlp,
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", COMMON)
def test_what_is_wrong_in_any_exercise_is_refused(name, kind):
    with pytest.raises(AssertionError, match=name):
        check(name)(COMMON[kind](ANSWERS[name]))
    assert torch.is_grad_enabled() and torch.get_default_dtype() == torch.float32


def shares(z, total, R, axis=1):
    return (z / total * R[:, None]).sum(2)


def parts(a, w):
    return a[:, :, None] * w


def mlp_leaves_gradients(m, x, c):
    x = x.clone().requires_grad_()
    m.requires_grad_(True)
    m(x).gather(1, c[:, None]).sum().backward()
    return x * x.grad


def mlp_leaves_hooks(m, x, c):
    m[0].register_forward_hook(lambda *a: None)
    return mlp(m, x, c)


def mlp_clamps_weights(m, x, c):
    R = mlp(m, x, c)
    m[0].weight.data.clamp_(min=0)
    return R


def mlp_no_bias(m, x, c):
    activations = [x, *(m[:k](x) for k in (2, 4))]
    logits = m(x)
    R = F.one_hot(c, logits.shape[1]) * logits
    for layer, a in zip((m[4], m[2], m[0]), reversed(activations)):
        R = epsilon(a, layer.weight.T, 0 * layer.bias, R, 1e-9)
    return R


def mlp_torch_sign(m, x, c):
    activations = [x, *(m[:k](x) for k in (2, 4))]
    R = F.one_hot(c, m[4].out_features) * m(x)
    for layer, a in zip((m[4], m[2], m[0]), reversed(activations)):
        z = layer(a)
        R = a * (R / (z + 1e-9 * z.sign()) @ layer.weight)
    return R


def mlp_plain_gradient(m, x, c):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(m(x).gather(1, c[:, None]).sum(), x)[0]


def mlp_probability_gradient(m, x, c):
    x = x.clone().requires_grad_()
    return x * torch.autograd.grad(m(x).softmax(1).gather(1, c[:, None]).sum(), x)[0]


def mlp_zplus(m, x, c):
    activations = [x, *(m[:k](x) for k in (2, 4))]
    R = F.one_hot(c, m[4].out_features) * m(x)
    for layer, a in zip((m[4], m[2], m[0]), reversed(activations)):
        R = zplus(a, layer.weight.T, R)
    return R


def mlp_seeded(start):
    return lambda m, x, c: mlp(m, x, c, start=start)


def left(method):
    def answer(m, x, c):
        method(m)
        return mlp(m, x, c)

    return answer


def first_target(m, x, c):
    return mlp(m, x, c[:1].expand_as(c))


WRONG = {
    "lrp_zplus": {
        "LRP-0": lambda a, w, R: a * (R / (a @ w) @ w.T),
        "absolute weights": lambda a, w, R: zplus(a, w.abs(), R),
        "numerator not clipped": lambda a, w, R: a * (R / (a @ w.relu()) @ w.T),
        "denominator not clipped": lambda a, w, R: a * (R / (a @ w) @ w.relu().T),
        "negative weights": lambda a, w, R: zplus(a, -w, R),
        "normalised over j": lambda a, w, R: shares(
            z := parts(a, w.relu()), z.sum(2, keepdim=True), R
        ),
        "normalised over the batch": lambda a, w, R: shares(
            z := parts(a, w.relu()), z.sum((0, 1), keepdim=True), R
        ),
        "normalised over all": lambda a, w, R: shares(
            z := parts(a, w.relu()), z.sum((1, 2), keepdim=True), R
        ),
        "weights only": lambda a, w, R: (w.relu() / w.relu().sum(0) * R[:, None]).sum(2),
        "not divided": lambda a, w, R: a * (R @ w.relu().T),
        "a forgotten outside": lambda a, w, R: R / (a @ w.relu()) @ w.relu().T,
        "not times R": lambda a, w, R: a * ((1 / (a @ w.relu())) @ w.relu().T),
        "negative relevance dropped": lambda a, w, R: zplus(a, w, R.relu()),
        "eps of 0.1 in the denominator": lambda a, w, R: shares(
            z := parts(a, w.relu()), z.sum(1, keepdim=True) + 0.1, R
        ),
        "large eps": lambda a, w, R: shares(
            z := parts(a, w.relu()), z.sum(1, keepdim=True) + 1e-2, R
        ),
        "softmax of the parts": lambda a, w, R: (parts(a, w).softmax(1) * R[:, None]).sum(2),
        "clamps the weights in place": lambda a, w, R: zplus(a, w.clamp_(min=0), R),
        "0 / 0 input by input": lambda a, w, R: a / a * zplus(a, w, R),
        "mean over j": lambda a, w, R: zplus(a, w, R) / R.shape[1],
        "alpha2 beta1": lambda a, w, R: alphabeta(a, w, R, 2, 1),
    },
    "lrp_epsilon": {
        "bias dropped from z": lambda a, w, b, R, eps: epsilon(a, w, 0 * b, R, eps),
        "bias handed to the inputs": lambda a, w, b, R, eps: shares(
            parts(a, w) + b / len(w), (z := (a @ w + b))[:, None] + eps * signed(z)[:, None], R
        ),
        "sign(0) = 0": lambda a, w, b, R, eps: a * (R / ((z := a @ w + b) + eps * z.sign()) @ w.T),
        "sign(0) = 0 and NaN set to 0": lambda a, w, b, R, eps: (
            a * ((R / ((z := a @ w + b) + eps * z.sign())).nan_to_num(0, 0, 0) @ w.T)
        ),
        "sign(0) = -1": lambda a, w, b, R, eps: (
            a * (R / ((z := a @ w + b) + eps * (2.0 * (z > 0) - 1)) @ w.T)
        ),
        "eps without sign": lambda a, w, b, R, eps: a * (R / (a @ w + b + eps) @ w.T),
        "eps without sign, z absolute": lambda a, w, b, R, eps: (
            a * (R / ((a @ w + b).abs() + eps) @ w.T)
        ),
        "eps subtracted": lambda a, w, b, R, eps: (
            a * (R / ((z := a @ w + b) - eps * signed(z)) @ w.T)
        ),
        "eps ignored": lambda a, w, b, R, eps: a * (R / (a @ w + b) @ w.T),
        "eps ignored, guarded": lambda a, w, b, R, eps: epsilon(a, w, b, R, 1e-9),
        "eps squared": lambda a, w, b, R, eps: epsilon(a, w, b, R, eps * eps),
        "eps only where z is small": lambda a, w, b, R, eps: (
            a * (R / torch.where((z := a @ w + b).abs() < eps, eps * signed(z), z) @ w.T)
        ),
        "eps added to each part": lambda a, w, b, R, eps: epsilon(a, w, b, R, eps * len(w)),
        "sign of R": lambda a, w, b, R, eps: a * (R / (a @ w + b + eps * signed(R)) @ w.T),
        "positive parts only": lambda a, w, b, R, eps: epsilon(a, w.relu(), b, R, eps),
        "inputs clipped": lambda a, w, b, R, eps: epsilon(a.relu(), w, b, R, eps),
        "normalised over j": lambda a, w, b, R, eps: shares(
            z := parts(a, w), (t := z.sum(2, keepdim=True)) + eps * signed(t), R
        ),
        "a forgotten": lambda a, w, b, R, eps: R / ((z := a @ w + b) + eps * signed(z)) @ w.T,
        "bias in place": in_place(epsilon, 2, lambda b: b.zero_()),
        "rescaled to conserve": lambda a, w, b, R, eps: (
            (r := epsilon(a, w, b, R, eps)) * (R.sum(1, keepdim=True) / r.sum(1, keepdim=True))
        ),
    },
    "absorbed_by_bias": {
        "the other part": lambda a, w, b, R: epsilon(a, w, b, R, 0.0).sum(1),
        "bias not in z": lambda a, w, b, R: (b / (a @ w) * R).sum(1),
        "not divided": lambda a, w, b, R: (b * R).sum(1),
        "plain sum of biases": lambda a, w, b, R: b.sum().expand(len(a)),
        "by neuron": lambda a, w, b, R: b / (a @ w + b) * R,
        "over the batch": lambda a, w, b, R: (b / (a @ w + b) * R).sum(0),
        "everything": lambda a, w, b, R: (b / (a @ w + b) * R).sum(),
        "share, not relevance": lambda a, w, b, R: (b / (a @ w + b)).sum(1),
        "mean": lambda a, w, b, R: (b / (a @ w + b) * R).mean(1),
        "absolute bias": lambda a, w, b, R: (b.abs() / (a @ w + b) * R).sum(1),
        "ratio of sums": lambda a, w, b, R: b.sum() / (a @ w + b).sum(1) * R.sum(1),
    },
    "lrp_alphabeta": {
        "sides added": lambda a, w, R, alpha, beta: alphabeta(a, w, R, alpha, -beta),
        "swapped": lambda a, w, R, alpha, beta: alphabeta(a, w, R, beta, alpha),
        "alpha on both sides": lambda a, w, R, alpha, beta: alphabeta(a, w, R, alpha, alpha),
        "always 2 and 1": lambda a, w, R, alpha, beta: alphabeta(a, w, R, 2, 1),
        "always 1 and 0": lambda a, w, R, alpha, beta: zplus(a, w, R),
        "not weighted": lambda a, w, R, alpha, beta: alphabeta(a, w, R, 1, 1),
        "rounded to whole numbers": lambda a, w, R, alpha, beta: alphabeta(
            a, w, R, round(alpha), round(beta)
        ),
        "whole numbers only": lambda a, w, R, alpha, beta: alphabeta(
            a, w, R, int(alpha), int(beta)
        ),
        "divided by z": lambda a, w, R, alpha, beta: (
            a * (R / (a @ w) @ (alpha * w.clamp(min=0) - beta * w.clamp(max=0)).T)
        ),
        "common absolute sum": lambda a, w, R, alpha, beta: (
            a * (R / (a @ w.abs()) @ (alpha * w.clamp(min=0) + beta * w.clamp(max=0)).T)
        ),
        "negative side by the positive sum": lambda a, w, R, alpha, beta: (
            a * (R / (a @ w.relu()) @ (alpha * w.clamp(min=0) - beta * w.clamp(max=0)).T)
        ),
        "normalised over j": lambda a, w, R, alpha, beta: (
            alpha * shares(p := parts(a, w.relu()), p.sum(2, keepdim=True) + 1e-9, R)
            - beta * shares(q := parts(a, (-w).relu()), q.sum(2, keepdim=True) + 1e-9, R)
        ),
        "LRP-0": lambda a, w, R, alpha, beta: a * (R / (a @ w) @ w.T),
        "clipped by relevance": lambda a, w, R, alpha, beta: alphabeta(a, w, R.relu(), alpha, beta),
        "split by the sign of R": lambda a, w, R, alpha, beta: (
            alphabeta(a, w, R, alpha, 0) * (R.sum(1, keepdim=True) > 0)
        ),
    },
    "lrp_zb": {
        "bounds swapped": lambda x, w, R, l, h: shares(
            z := parts(x, w) - h[:, None] * w.clamp(min=0) - l[:, None] * w.clamp(max=0),
            z.sum(1, keepdim=True) + 1e-9,
            R,
        ),
        "bounds added": lambda x, w, R, l, h: zb(x, w, R, -l, -h),
        "LRP-0": lambda x, w, R, l, h: shares(z := parts(x, w), z.sum(1, keepdim=True), R),
        "z+": lambda x, w, R, l, h: shares(
            z := parts(x, w).clamp(min=0), z.sum(1, keepdim=True), R
        ),
        "no upper bound": lambda x, w, R, l, h: zb(x, w, R, l, 0 * h),
        "no lower bound": lambda x, w, R, l, h: zb(x, w, R, 0 * l, h),
        "box of 0 and 1": lambda x, w, R, l, h: zb(x, w, R, 0 * l, 0 * h + 1),
        "one box for all": lambda x, w, R, l, h: zb(
            x, w, R, l.min().expand_as(l), h.max().expand_as(h)
        ),
        "mean bounds": lambda x, w, R, l, h: zb(
            x, w, R, l.mean().expand_as(l), h.mean().expand_as(h)
        ),
        "bounds in the numerator only": lambda x, w, R, l, h: shares(
            parts(x, w) - l[:, None] * w.relu() - h[:, None] * w.clamp(max=0),
            parts(x, w).sum(1, keepdim=True),
            R,
        ),
        "bounds in the denominator only": lambda x, w, R, l, h: shares(
            parts(x, w),
            (parts(x, w) - l[:, None] * w.relu() - h[:, None] * w.clamp(max=0)).sum(
                1, keepdim=True
            ),
            R,
        ),
        "normalised over j": lambda x, w, R, l, h: shares(
            z := parts(x, w) - l[:, None] * w.relu() - h[:, None] * w.clamp(max=0),
            z.sum(2, keepdim=True) + 1e-9,
            R,
        ),
        "w- made positive": lambda x, w, R, l, h: shares(
            z := parts(x, w) - l[:, None] * w.relu() - h[:, None] * (-w).relu(),
            z.sum(1, keepdim=True),
            R,
        ),
        "range of the batch": lambda x, w, R, l, h: zb(
            x, w, R, x.min(0)[0].clamp(max=0) - 1e-3, x.max(0)[0].clamp(min=0) + 1e-3
        ),
        "0 / 0 at flat bounds": lambda x, w, R, l, h: zb(x, w, R, l, h) * (h - l)[None] / (h - l),
    },
    "lrp_mlp": {
        "gradient only": mlp_plain_gradient,
        "gradient squared": lambda m, x, c: mlp_plain_gradient(m, x, c) ** 2,
        "started at a probability": mlp_seeded(
            lambda z, c: F.one_hot(c, z.shape[1]) * z.softmax(1)
        ),
        "gradient of a probability": mlp_probability_gradient,
        "started at 1": mlp_seeded(lambda z, c: F.one_hot(c, z.shape[1]).to(z)),
        "started at all logits": mlp_seeded(lambda z, c: z),
        "predicted class": lambda m, x, c: mlp(m, x, m(x).argmax(1)),
        "first target for all": first_target,
        "target 0": lambda m, x, c: mlp(m, x, 0 * c),
        "positive logits only": mlp_seeded(lambda z, c: F.one_hot(c, z.shape[1]) * z.relu()),
        "absolute logit": mlp_seeded(lambda z, c: F.one_hot(c, z.shape[1]) * z.abs()),
        "log probability": mlp_seeded(lambda z, c: F.one_hot(c, z.shape[1]) * z.log_softmax(1)),
        "bias dropped": mlp_no_bias,
        "sign(0) = 0": mlp_torch_sign,
        "eps 0.01": lambda m, x, c: mlp(m, x, c, eps=0.01),
        "eps 0.25": lambda m, x, c: mlp(m, x, c, eps=0.25),
        "z+": mlp_zplus,
        "training mode left": left(lambda m: m.eval()),
        "evaluation mode left": left(lambda m: m.train()),
        "parameters frozen": left(lambda m: m.requires_grad_(False)),
        "parameters thawed": left(lambda m: m.requires_grad_(True)),
        "gradients left": mlp_leaves_gradients,
        "hooks left": mlp_leaves_hooks,
        "weights clamped in place": mlp_clamps_weights,
        "bias set to zero": left(lambda m: m[4].bias.data.zero_()),
        "a layer replaced": left(lambda m: m.__setitem__(1, nn.ReLU())),
        "class changed in place": in_place(mlp, 2, lambda c: c.zero_()),
        "conserved by force": lambda m, x, c: (
            (r := mlp(m, x, c)) * (m(x).gather(1, c[:, None]) / r.sum(1, keepdim=True))
        ),
    },
}


HINTS = {
    ("lrp_zplus", "a forgotten outside"): "last factor a_i",
    ("lrp_zplus", "negative relevance dropped"): "negative R_j",
    ("lrp_zplus", "large eps"): "added to the denominator",
    ("lrp_zplus", "eps of 0.1 in the denominator"): "added to the denominator",
    ("lrp_alphabeta", "swapped"): "alpha and beta have changed places",
    ("lrp_alphabeta", "whole numbers only"): "whole numbers",
    ("lrp_alphabeta", "rounded to whole numbers"): "whole numbers",
    ("lrp_alphabeta", "LRP-0"): "divided by its own sum",
    ("lrp_mlp", "eps 0.01"): "too large",
    ("lrp_zplus", "LRP-0"): "negative weights",
    ("lrp_zplus", "clamps the weights in place"): "in place",
    ("lrp_epsilon", "bias dropped from z"): "bias",
    ("lrp_epsilon", "eps without sign"): "sign",
    ("lrp_epsilon", "sign(0) = 0"): "NaN",
    ("lrp_epsilon", "sign(0) = -1"): "exactly 0",
    ("lrp_alphabeta", "sides added"): "subtracted",
    ("lrp_alphabeta", "alpha on both sides"): "alpha",
    ("lrp_zb", "bounds swapped"): "changed places",
    ("lrp_mlp", "gradient only"): "gradient",
    ("lrp_mlp", "started at a probability"): "probability",
    ("lrp_mlp", "predicted class"): "class c",
    ("lrp_mlp", "bias dropped"): "bias",
    ("lrp_mlp", "training mode left"): "mode",
    ("lrp_mlp", "hooks left"): "hooks",
    ("lrp_mlp", "gradients left"): "gradients|requires_grad",
    ("absorbed_by_bias", "the other part"): "reaches the inputs",
}


HINTED = {
    name: [(answer, HINTS.get((name, kind), "")) for kind, answer in kinds.items()]
    for name, kinds in WRONG.items()
}
test_right_answers_are_accepted, test_wrong_answers_are_refused_with_the_fitting_hint = (
    accept_and_refuse({name: list(RIGHT[name].values()) for name in NAMES}, HINTED)
)
