"""The checks of the LRP exercises: a row is an answer, to be accepted, or to be refused with a
hint.
"""

import copy

import torch
import torch.nn.functional as F
from students import accept_and_refuse, in_place, spoil
from torch import nn

# ---------------------------------------------------------------- rules for one layer


def signed(z):
    return torch.where(z >= 0, 1.0, -1.0)


def parts(a, w):
    return a[:, :, None] * w


def shares(z, total, R):
    return (z / total * R[:, None]).sum(2)


def by_input(z, R):
    """Normalised over i, as it must be."""
    return shares(z, z.sum(1, keepdim=True) + 1e-9, R)


def by_output(z, R):
    """Normalised over j."""
    return shares(z, z.sum(2, keepdim=True) + 1e-9, R)


def zplus(a, w, R):
    w = w.clamp(min=0)
    return a * (R / (a @ w) @ w.T)


def zplus_autograd(a, w, R):
    a = a.clone().requires_grad_()
    z = a @ w.relu()
    z.backward((R / z).detach())
    return a * a.grad


def epsilon(a, w, b, R, eps, stabilised=lambda z, eps: z + eps * signed(z)):
    return a * (R / stabilised(a @ w + b, eps) @ w.T)


def stabilised(change):
    """The rule with another denominator."""
    return lambda *v: epsilon(*v, change)


def absorbed(a, w, b, R):
    return (b / (a @ w + b) * R).sum(1)


def alphabeta(a, w, R, alpha, beta):
    def side(v):
        return a * (R / (a @ v) @ v.T)

    return alpha * side(w.clamp(min=0)) - beta * side(w.clamp(max=0))


def sides(total):
    """Both sides divided by one total (N, J)."""
    return lambda a, w, R, p, q: a * (R / total(a, w) @ (p * w.clamp(min=0) - q * w.clamp(max=0)).T)


def box(x, w, l, h):
    return parts(x, w) - l[:, None] * w.clamp(min=0) - h[:, None] * w.clamp(max=0)


def zb(x, w, R, l, h):
    z = box(x, w, l, h)
    return shares(z, z.sum(1, keepdim=True), R)


def zb_products(x, w, R, l, h):
    p, q = w.clamp(min=0), w.clamp(max=0)
    s = R / (x @ w - l @ p - h @ q)
    return x * (s @ w.T) - l * (s @ p.T) - h * (s @ q.T)


# ---------------------------------------------------------------- a network


def mlp(m, x, c, eps=1e-9, start=None, rule=epsilon):
    with torch.no_grad():
        activations = [x]
        for layer in m:
            activations.append(layer(activations[-1]))
        logits = activations.pop()
        R = start(logits, c) if start else F.one_hot(c, logits.shape[1]) * logits
        for layer, a in zip(reversed(list(m)), reversed(activations)):
            if isinstance(layer, nn.Linear):
                R = rule(a, layer.weight.T, layer.bias, R, eps)
    return R


def score(m, x, c, of=lambda z: z):
    return of(m(x)).gather(1, c[:, None])


def gradient(m, x, c, of=lambda z: z):
    x = x.detach().clone().requires_grad_()
    return torch.autograd.grad(score(m, x, c, of).sum(), x)[0]


def mlp_gradient(m, x, c):
    return x * gradient(m, x, c)


def mlp_on_a_copy(m, x, c):
    m = copy.deepcopy(m).eval()
    x = x.clone().requires_grad_()
    m(x)[torch.arange(len(x)), c].sum().backward()
    return x * x.grad


def mlp_tidy_hooks(m, x, c):
    inputs, layers = [], [layer for layer in m if isinstance(layer, nn.Linear)]
    handles = [
        layer.register_forward_pre_hook(lambda _, a: inputs.append(a[0].detach()))
        for layer in layers
    ]
    out = m(x).detach()
    for handle in handles:
        handle.remove()
    R = torch.zeros_like(out).scatter(1, c[:, None], out.gather(1, c[:, None]))
    for layer, a in zip(layers[::-1], inputs[::-1]):
        R = epsilon(a, layer.weight.detach().T, layer.bias.detach(), R, 1e-6)
    return R


def mlp_mode_set_back(m, x, c):
    mode = m.training
    m.eval()
    R = mlp(m, x, c)
    m.train(mode)
    return R


def leaves_gradients(m, x, c):
    x = x.clone().requires_grad_()
    m.requires_grad_(True)
    score(m, x, c).sum().backward()
    return x * x.grad


def hot(of):
    """Started at class c of another number than the logit."""
    return lambda m, x, c: mlp(m, x, c, start=lambda z, c: F.one_hot(c, z.shape[1]) * of(z))


def forced(m, x, c):
    R = mlp(m, x, c)
    return R * (score(m, x, c) / R.sum(1, keepdim=True))


# ---------------------------------------------------------------- beyond layers


def step(z):
    return (z > 0).to(z)


def lift(a, a0, w, b, m, slope=None, at_rest=step):
    z, z0 = a @ w + b, a0 @ w + b
    if slope is None:
        same = z == z0
        s = torch.where(same, at_rest(z), (z.relu() - z0.relu()) / torch.where(same, 1, z - z0))
    else:
        s = slope(z, z0)
    return (a - a0) * ((s * m) @ w.T)


def sloped(slope):
    return lambda *v: lift(*v, slope=lambda z, z0: slope(z, z0).nan_to_num(0, 0, 0))


def resting(at_rest):
    return lambda *v: lift(*v, at_rest=at_rest)


def lift_integral(a, a0, w, b, m):
    """Closed form of the mean derivative between z0 and z."""
    z, z0 = a @ w + b, a0 @ w + b
    low, high = torch.minimum(z, z0), torch.maximum(z, z0)
    s = torch.where(low > 0, 1.0, torch.where(high <= 0, 0.0, high / (high - low).clamp(min=1e-30)))
    return (a - a0) * ((s * m) @ w.T)


def lift_lrp(a, a0, w, b, m):
    z, z0 = a @ w + b, a0 @ w + b
    return a * ((m * (z.relu() - z0.relu()) / z) @ w.T)


def lift_of_sums(a, a0, w, b, m):
    d, h = a - a0, (a @ w + b).relu() - (a0 @ w + b).relu()
    return d / d.sum(1, keepdim=True) * (m * h).sum(1, keepdim=True)


def at_zero(c, v):
    return torch.where(c == 0, 0.0, v)


def words(g, i, f, R, new=None, old=None, guard=at_zero, start=None):
    c = [torch.zeros_like(R)]
    for t in range(len(g)):
        c.append(f[t] * c[-1] + i[t] * g[t])
    out = torch.zeros_like(g)
    R = R.clone()
    for t in reversed(range(len(g))):
        terms = g[t], i[t], f[t], c[t], c[t + 1]
        out[t] = guard(c[t + 1], new(*terms) if new else i[t] * g[t] / c[t + 1]) * R
        kept = guard(c[t + 1], old(*terms) if old else f[t] * c[t] / c[t + 1]) * R
        R = kept if start is None else start
    return out


def shared(new=None, old=None, guard=at_zero):
    return lambda *v: words(*v, new=new, old=old, guard=guard)


def guarded(eps):
    return shared(
        lambda g, i, f, c0, c: i * g / (c + eps(c)),
        lambda g, i, f, c0, c: f * c0 / (c + eps(c)),
        guard=lambda c, v: v,
    )


def words_unrolled(g, i, f, R, stop=True):
    """Each term's part in the last cell state; nothing from before a cell state of 0."""
    c, cells = 0 * R, []
    for t in range(len(g)):
        c = f[t] * c + i[t] * g[t]
        cells.append(c)
    alive = (torch.stack(cells) != 0).flip(0).cumprod(0).flip(0)
    after = torch.stack([f[t + 1 :].prod(0) for t in range(len(g))])
    part = i * g * after * (R / torch.where(c == 0, 1, c)) * (c != 0)
    return part * alive if stop else part


def squares(x, u):
    return (x[:, None] - u) ** 2


def p_of(d, alpha, gamma):
    return (alpha.log() - gamma * d).softmax(1)


def o_of(d, alpha, gamma):
    return -(alpha.log() - gamma * d).logsumexp(1, keepdim=True) / gamma


def no_zero(d):
    return torch.where(d == 0, 1, d)[..., None]


def of_squares(x, u, d):
    return squares(x, u) / no_zero(d)


def one_class(x, u, alpha, gamma, p=p_of, o=o_of, shares=of_squares):
    d = squares(x, u).sum(2)
    return ((p(d, alpha, gamma) * o(d, alpha, gamma))[..., None] * shares(x, u, d)).sum(1)


def classed(**how):
    return lambda *v: one_class(*v, **how)


def one_class_expanded(x, u, alpha, gamma):
    """|x|^2 - 2 x u + |u|^2, in double precision; squares likewise by products."""
    x, u, alpha = x.double(), u.double(), alpha.double()
    d = ((x * x).sum(1, keepdim=True) - 2 * x @ u.T + (u * u).sum(1)).clamp(min=0)
    s = torch.where(d > 1e-9, p_of(d, alpha, gamma) * o_of(d, alpha, gamma) / d.clamp(min=1e-9), 0)
    return s.sum(1, keepdim=True) * x * x - 2 * x * (s @ u) + s @ (u * u)


def without_the_shift(x, u, alpha, gamma, least=0.0):
    e = (alpha * torch.exp(-gamma * squares(x, u).sum(2))).clamp(min=least)
    p, o = e / e.sum(1, keepdim=True), -e.sum(1, keepdim=True).log() / gamma
    return one_class(x, u, alpha, gamma, lambda *_: p, lambda *_: o)


def conserved(x, u, alpha, gamma):
    R, o = one_class(x, u, alpha, gamma), o_of(squares(x, u).sum(2), alpha, gamma)
    return R / R.sum(1, keepdim=True).clamp(min=1e-9) * o


def least(d, *_):
    return d.min(1, keepdim=True).values


def closest(d, *_):
    return F.one_hot(d.argmin(1), d.shape[1]).to(d)


def flat_alpha(d, alpha, gamma):
    return p_of(d, torch.ones_like(alpha), gamma)


def root(x, u):
    return squares(x, u).sqrt()


# ---------------------------------------------------------------- the tables

RIGHT = {
    "lrp_zplus": [
        zplus,
        zplus_autograd,
        lambda a, w, R: torch.einsum(
            "nij,nj->ni", (z := parts(a, F.relu(w))) / (z.sum(1, keepdim=True) + 1e-6), R
        ),
        lambda a, w, R: by_input(parts(a, w).clamp(min=0), R),
    ],
    "lrp_epsilon": [
        epsilon,
        stabilised(lambda z, eps: z + torch.copysign(torch.tensor(eps), z)),
        stabilised(lambda z, eps: z + eps * (z.sign() + (z == 0))),
        lambda a, w, b, R, eps: (
            a * (R / ((z := torch.addmm(b, a, w)) + eps * (2 * (z >= 0) - 1)) @ w.T)
        ),
        lambda a, w, b, R, eps: torch.einsum(
            "ni,ij,nj->ni", a, w, R / ((z := F.linear(a, w.T, b)) + eps * signed(z))
        ),
    ],
    "absorbed_by_bias": [
        absorbed,
        lambda a, w, b, R: R.sum(1) - epsilon(a, w, b, R, 0.0).sum(1),
        lambda a, w, b, R: absorbed(a, w, b, R).squeeze(),
        lambda a, w, b, R: torch.einsum("j,nj->n", b, R / (a @ w + b)),
    ],
    "lrp_alphabeta": [
        alphabeta,
        lambda a, w, R, p, q: (
            p * by_input(parts(a, w).clamp(min=0), R) - q * by_input(parts(a, (-w).relu()), R)
        ),
        lambda a, w, R, p, q: (
            p * a * (R / (a @ (u := w.relu()) + 1e-9) @ u.T)
            - q * a * (R / (a @ (v := (-w).relu()) + 1e-9) @ v.T)
        ),
        lambda a, w, R, alpha, beta: alphabeta(a, w, R, alpha, alpha - 1),
    ],
    "lrp_zb": [
        zb,
        zb_products,
        lambda x, w, R, l, h: by_input(
            (x - l)[..., None] * w.relu() + (h - x)[..., None] * (-w).relu(), R
        ),
    ],
    "lrp_mlp": [
        mlp,
        mlp_gradient,
        mlp_on_a_copy,
        mlp_tidy_hooks,
        mlp_mode_set_back,
        lambda m, x, c: [mlp_gradient(m, x[[n]], c[[n]])[0] for n in range(len(x))],
        lambda m, x, c: mlp(copy.deepcopy(m).double(), x.double(), c),
        lambda m, x, c: mlp(m, x, c, eps=1e-6),
        lambda m, x, c: mlp(m, x, c) + 0 * m(x).sum(),
    ],
    "deep_lift_layer": [lift, lift_integral],
    "lstm_word_relevance": [
        words,
        words_unrolled,
        shared(guard=lambda c, v: v.nan_to_num(0, 0, 0) * (c.abs() > 1e-9)),
    ],
    "one_class_relevance": [
        one_class,
        one_class_expanded,
        classed(shares=lambda x, u, d: (squares(x, u) / d[..., None]).nan_to_num(0)),
        lambda x, u, alpha, gamma: one_class(x, u, alpha / alpha.sum(), gamma),
        lambda *v: one_class(*v[:3], torch.tensor(v[3])),
    ],
}

WRONG = {
    "lrp_zplus": [
        (lambda a, w, R: a * (R / (a @ w) @ w.T), "negative weights"),
        (lambda a, w, R: zplus(a, w.abs(), R), ""),
        (lambda a, w, R: a * (R / (a @ w.relu()) @ w.T), "numerator has w"),
        (lambda a, w, R: a * (R / (a @ w) @ w.relu().T), ""),
        (lambda a, w, R: zplus(a, -w, R), ""),
        (lambda a, w, R: by_output(parts(a, w.relu()), R), ""),
        (lambda a, w, R: shares(z := parts(a, w.relu()), z.sum((0, 1), keepdim=True), R), ""),
        (lambda a, w, R: shares(z := parts(a, w.relu()), z.sum((1, 2), keepdim=True), R), ""),
        (lambda a, w, R: (w.relu() / w.relu().sum(0) * R[:, None]).sum(2), ""),
        (lambda a, w, R: a * (R @ w.relu().T), ""),
        (lambda a, w, R: R / (a @ w.relu()) @ w.relu().T, "last factor a_i"),
        (lambda a, w, R: a * ((1 / (a @ w.relu())) @ w.relu().T), ""),
        (lambda a, w, R: zplus(a, w, R.relu()), "negative R_j"),
        (lambda a, w, R: a * (R / (a @ (p := w.relu()) + 0.1) @ p.T), ""),
        (lambda a, w, R: a * (R / (a @ (p := w.relu()) + 1e-2) @ p.T), "added to the denominator"),
        (lambda a, w, R: (parts(a, w).softmax(1) * R[:, None]).sum(2), ""),
        (lambda a, w, R: a / a * zplus(a, w, R), "NaN"),
        (lambda a, w, R: zplus(a, w, R) / R.shape[1], ""),
        (lambda a, w, R: alphabeta(a, w, R, 2, 1), ""),
    ],
    "lrp_epsilon": [
        (lambda a, w, b, R, eps: epsilon(a, w, 0 * b, R, eps), "bias is missing"),
        (
            lambda a, w, b, R, eps: shares(
                parts(a, w) + b / len(w), ((z := a @ w + b) + eps * signed(z))[:, None], R
            ),
            "handed to the inputs",
        ),
        (stabilised(lambda z, eps: z + eps * z.sign()), "NaN"),
        (
            lambda a, w, b, R, eps: (
                a * ((R / ((z := a @ w + b) + eps * z.sign())).nan_to_num(0, 0, 0) @ w.T)
            ),
            "exactly 0",
        ),
        (stabilised(lambda z, eps: z + eps * (2.0 * (z > 0) - 1)), "exactly 0"),
        (stabilised(lambda z, eps: z + eps), "without the sign"),
        (stabilised(lambda z, eps: z.abs() + eps), ""),
        (stabilised(lambda z, eps: z - eps * signed(z)), "sign of eps"),
        (stabilised(lambda z, eps: z), "eps is missing"),
        (lambda a, w, b, R, eps: epsilon(a, w, b, R, 1e-9), "eps is missing"),
        (lambda a, w, b, R, eps: epsilon(a, w, b, R, eps * eps), ""),
        (stabilised(lambda z, eps: torch.where(z.abs() < eps, eps * signed(z), z)), ""),
        (lambda a, w, b, R, eps: epsilon(a, w, b, R, eps * len(w)), ""),
        (lambda a, w, b, R, eps: a * (R / (a @ w + b + eps * signed(R)) @ w.T), ""),
        (lambda a, w, b, R, eps: epsilon(a, w.relu(), b, R, eps), ""),
        (lambda a, w, b, R, eps: epsilon(a.relu(), w, b, R, eps), ""),
        (lambda a, w, b, R, eps: by_output(parts(a, w), R), ""),
        (lambda a, w, b, R, eps: R / ((z := a @ w + b) + eps * signed(z)) @ w.T, ""),
        (lambda *v: (r := epsilon(*v)) * (v[3].sum(1, True) / r.sum(1, True)), ""),
    ],
    "absorbed_by_bias": [
        (lambda a, w, b, R: epsilon(a, w, b, R, 0.0).sum(1), "reaches the inputs"),
        (lambda a, w, b, R: (b / (a @ w) * R).sum(1), "denominator"),
        (lambda a, w, b, R: (b * R).sum(1), ""),
        (lambda a, w, b, R: b.sum().expand(len(a)), "as they are"),
        (lambda a, w, b, R: (b / (a @ w + b) * R).sum(), ""),
        (lambda a, w, b, R: (b / (a @ w + b)).sum(1), ""),
        (lambda a, w, b, R: (b / (a @ w + b) * R).mean(1), ""),
        (lambda a, w, b, R: (b.abs() / (a @ w + b) * R).sum(1), ""),
        (lambda a, w, b, R: b.sum() / (a @ w + b).sum(1) * R.sum(1), ""),
    ],
    "lrp_alphabeta": [
        (lambda a, w, R, p, q: alphabeta(a, w, R, p, -q), "subtracted"),
        (lambda a, w, R, p, q: alphabeta(a, w, R, q, p), "changed places"),
        (lambda a, w, R, p, q: alphabeta(a, w, R, p, p), ""),
        (lambda a, w, R, p, q: alphabeta(a, w, R, 2, 1), "not used"),
        (lambda a, w, R, p, q: zplus(a, w, R), ""),
        (lambda a, w, R, p, q: alphabeta(a, w, R, 1, 1), ""),
        (lambda a, w, R, p, q: alphabeta(a, w, R, round(p), round(q)), ""),
        (lambda a, w, R, p, q: alphabeta(a, w, R, int(p), int(q)), "whole numbers"),
        (sides(lambda a, w: a @ w), "by z_j"),
        (lambda *v: sides(lambda a, w: a @ w.abs())(*v[:4], -v[4]), ""),
        (sides(lambda a, w: a @ w.relu()), ""),
        (
            lambda a, w, R, p, q: (
                p * by_output(parts(a, w.relu()), R) - q * by_output(parts(a, (-w).relu()), R)
            ),
            "",
        ),
        (lambda a, w, R, p, q: a * (R / (a @ w) @ w.T), "divided by its own sum"),
        (lambda a, w, R, p, q: alphabeta(a, w, R.relu(), p, q), ""),
        (lambda a, w, R, p, q: alphabeta(a, w, R, p, 0) * (R.sum(1, True) > 0), ""),
    ],
    "lrp_zb": [
        (lambda x, w, R, l, h: by_input(box(x, w, h, l), R), "changed places"),
        (lambda x, w, R, l, h: zb(x, w, R, -l, -h), "subtracted"),
        (lambda x, w, R, l, h: by_input(parts(x, w), R), "bounds do not take part"),
        (lambda x, w, R, l, h: by_input(parts(x, w).clamp(min=0), R), ""),
        (lambda x, w, R, l, h: zb(x, w, R, l, 0 * h), "upper bound"),
        (lambda x, w, R, l, h: zb(x, w, R, 0 * l, h), "lower bound"),
        (lambda x, w, R, l, h: zb(x, w, R, 0 * l, 0 * h + 1), ""),
        (lambda x, w, R, l, h: zb(x, w, R, l.min().expand_as(l), h.max().expand_as(h)), ""),
        (lambda x, w, R, l, h: zb(x, w, R, l.mean().expand_as(l), h.mean().expand_as(h)), ""),
        (lambda x, w, R, l, h: shares(box(x, w, l, h), (x @ w)[:, None], R), ""),
        (lambda x, w, R, l, h: shares(parts(x, w), box(x, w, l, h).sum(1, keepdim=True), R), ""),
        (lambda x, w, R, l, h: by_output(box(x, w, l, h), R), ""),
        (
            lambda x, w, R, l, h: by_input(
                parts(x, w) - l[:, None] * w.relu() - h[:, None] * (-w).relu(), R
            ),
            "",
        ),
        (
            lambda x, w, R, l, h: zb(
                x, w, R, x.min(0)[0].clamp(max=0) - 1e-3, x.max(0)[0].clamp(min=0) + 1e-3
            ),
            "",
        ),
        (lambda x, w, R, l, h: zb(x, w, R, l, h) * (h - l)[None] / (h - l), "NaN"),
    ],
    "lrp_mlp": [
        (gradient, "this is the gradient"),
        (lambda m, x, c: gradient(m, x, c) ** 2, ""),
        (hot(lambda z: z.softmax(1)), "probability"),
        (lambda m, x, c: x * gradient(m, x, c, lambda z: z.softmax(1)), ""),
        (hot(torch.ones_like), "starts with 1"),
        (lambda m, x, c: mlp(m, x, c, start=lambda z, c: z), ""),
        (lambda m, x, c: mlp(m, x, m(x).argmax(1)), ""),
        (lambda m, x, c: mlp(m, x, c[:1].expand_as(c)), "class"),
        (lambda m, x, c: mlp(m, x, 0 * c), ""),
        (hot(torch.relu), ""),
        (hot(torch.abs), ""),
        (hot(lambda z: z.log_softmax(1)), ""),
        (lambda *v: mlp(*v, rule=lambda a, w, b, *r: epsilon(a, w, 0 * b, *r)), "bias"),
        (lambda *v: mlp(*v, rule=lambda *p: epsilon(*p, lambda z, eps: z + eps * z.sign())), ""),
        (lambda m, x, c: mlp(m, x, c, eps=0.01), "too large"),
        (lambda m, x, c: mlp(m, x, c, eps=0.25), ""),
        (lambda *v: mlp(*v, rule=lambda a, w, b, R, eps: zplus(a, w, R)), ""),
        (in_place(mlp, 0, lambda m: m.eval()), "mode"),
        (in_place(mlp, 0, lambda m: m.train()), "mode"),
        (in_place(mlp, 0, lambda m: m.requires_grad_(False)), "requires_grad"),
        (in_place(mlp, 0, lambda m: m.requires_grad_(True)), "requires_grad"),
        (leaves_gradients, "gradients|requires_grad"),
        (in_place(mlp, 0, lambda m: m[0].register_forward_hook(lambda *a: None)), "hooks"),
        (in_place(mlp, 0, lambda m: m[0].weight.data.clamp_(min=0)), "parameters"),
        (in_place(mlp, 0, lambda m: m[4].bias.data.zero_()), "parameters"),
        (in_place(mlp, 0, lambda m: m.__setitem__(1, nn.ReLU())), "layers"),
        (forced, ""),
    ],
    "deep_lift_layer": [
        (sloped(lambda z, z0: step(z)), ""),
        (sloped(lambda z, z0: step(z0)), ""),
        (sloped(lambda z, z0: (step(z) + step(z0)) / 2), ""),
        (sloped(lambda z, z0: step(z + z0)), ""),
        (sloped(lambda z, z0: z.relu() / z), ""),
        (sloped(lambda z, z0: torch.ones_like(z)), ""),
        (lambda *v: (d := v[0] - v[1], lift(*v) / d.where(d != 0, 1) * v[0])[1], "a_i - a0_i"),
        (lambda a, a0, w, b, m: a * ((step(a @ w + b) * m) @ w.T), ""),
        (lambda *v: (lift(*v) / (v[0] - v[1])).nan_to_num(0), ""),
        (lambda a, a0, *v: lift(a0, a, *v), "sign"),
        (lambda a, a0, w, b, m: lift(a, a0, w, 0 * b, m), "bias is missing"),
        (
            lambda a, a0, w, b, m: lift(
                a, a0, w, b, m, lambda z, z0: (z.relu() - (z0 - b).relu()) / (z - z0 + b)
            ),
            "",
        ),
        (lambda a, a0, *v: lift(a, 0 * a0, *v), "not always zero"),
        (lambda a, a0, *v: lift(a - a0, 0 * a0, *v), ""),
        (sloped(lambda z, z0: z.relu() / (z - z0)), "h0_j is missing"),
        (sloped(lambda z, z0: (z.relu() - z0.relu()) / z), ""),
        (sloped(lambda z, z0: (z - z0) / (z.relu() - z0.relu())), ""),
        (lambda *v: lift(*v, lambda z, z0: (z.relu() - z0.relu()) / (z - z0)), "NaN"),
        (resting(torch.zeros_like), "must be 1 if z_j > 0"),
        (resting(torch.ones_like), "must be 1 if z_j > 0"),
        (resting(lambda z: (z >= 0).to(z)), "must be 1 if z_j > 0"),
        (resting(lambda z: 0.5 * torch.ones_like(z)), ""),
        (sloped(lambda z, z0: (z.relu() - z0.relu()) / (z - z0 + 1e-6)), "must be 1 if z_j > 0"),
        (lift_lrp, ""),
        (lambda *v: lift(*v[:4], torch.ones_like(v[4])), ""),
        (lambda *v: lift(*v[:4], v[4].relu()), ""),
        (lambda *v: lift(*v[:4], v[4][:1].expand_as(v[4])), ""),
        (lambda a, a0, *v: lift(a, a0[:1].expand_as(a0), *v), ""),
        (lambda *v: lift(*v) / len(v[3]), ""),
        (lift_of_sums, ""),
        (lambda a, a0, w, b, m: lift(a, a0, w.relu(), b, m), ""),
        (sloped(lambda z, z0: (z.tanh() - z0.tanh()) / (z - z0)), ""),
    ],
    "lstm_word_relevance": [
        (shared(None, lambda g, i, f, c0, c: f * f * c0 / c), "forget gate is multiplied in once"),
        (shared(lambda g, i, f, c0, c: i * i * g / c), "input gate is multiplied in once"),
        (shared(lambda g, i, f, c0, c: i * i * g / c, lambda g, i, f, c0, c: f * f * c0 / c), ""),
        (
            shared(lambda g, i, f, c0, c: i * g / c / 2, lambda g, i, f, c0, c: f * c0 / c / 2),
            "gates take nothing",
        ),
        (shared(lambda g, i, f, c0, c: i * g / c / 2), ""),
        (shared(None, lambda g, i, f, c0, c: f * c0 / c / 2), ""),
        (shared(None, lambda g, i, f, c0, c: c0 / c), "f_t is missing"),
        (shared(lambda g, i, f, c0, c: g / c), ""),
        (lambda g, i, f, R: words(g, i, 1 - i, R), ""),
        (lambda g, i, f, R: words(g, f, i, R), ""),
        (shared(lambda g, *_: 0.5 + 0 * g, lambda g, *_: 0.5 + 0 * g), ""),
        (shared(lambda g, i, f, *_: i / (i + f), lambda g, i, f, *_: f / (i + f)), ""),
        (lambda g, i, f, R: words(g, i, f, R, start=R), "starts from R"),
        (lambda g, i, f, R: words(g.flip(0), i.flip(0), f.flip(0), R).flip(0), ""),
        (lambda *v: words(*v).flip(0), ""),
        (shared(lambda g, i, f, c0, c: f * c0 / c), ""),
        (lambda g, *v: torch.cat([0 * g[:-1], words(g, *v)[-1:]]), ""),
        (shared(guard=lambda c, q: q), "NaN"),
        (guarded(lambda c: 1e-9), "shares huge"),
        (guarded(lambda c: 1e-3 * signed(c)), "added to c_t"),
        (lambda *v: words_unrolled(*v, stop=False), "nothing is passed on"),
        (
            shared(
                None,
                lambda g, i, f, c0, c: torch.where(c == 0, 1, f * c0 / c),
                lambda c, q: q.nan_to_num(0, 0, 0),
            ),
            "",
        ),
        (
            shared(
                lambda g, i, f, c0, c: (i * g).abs() / ((i * g).abs() + (f * c0).abs()),
                lambda g, i, f, c0, c: (f * c0).abs() / ((i * g).abs() + (f * c0).abs()),
            ),
            "",
        ),
        (shared(lambda g, i, *_: i * g, lambda g, i, f, *_: f), ""),
        (shared(lambda g, i, *_: i, lambda g, i, f, *_: f), ""),
        (lambda g, i, f, R: words(g, i, f, R.sum().expand_as(R)), ""),
    ],
    "one_class_relevance": [
        (classed(p=closest, o=least), ""),
        (classed(p=closest), "only the nearest"),
        (classed(o=least), ""),
        (lambda x, u, alpha, gamma: one_class(x, u, 0 * alpha + 1 / len(u), gamma), ""),
        (lambda x, u, alpha, gamma: one_class(x, u, 0 * alpha + 1, gamma), "alpha is missing"),
        (classed(p=flat_alpha), "alpha is missing from the weights"),
        (classed(o=lambda d, alpha, gamma: o_of(d, 0 * alpha + 1, gamma)), ""),
        (classed(p=lambda d, alpha, gamma: alpha.expand_as(d)), ""),
        (classed(p=lambda d, *_: torch.full_like(d, 1 / d.shape[1])), ""),
        (classed(p=lambda d, alpha, gamma: (alpha - gamma * d).softmax(1)), ""),
        (classed(o=lambda d, *_: d), "not p_j d_j"),
        (classed(o=lambda d, *v: (p_of(d, *v) * d).sum(1, keepdim=True)), ""),
        (classed(o=lambda *_: 1.0), "is missing: the sum"),
        (classed(p=lambda d, *_: torch.ones_like(d)), "weights p_j are missing"),
        (lambda *v: -one_class(*v), ""),
        (lambda *v: v[3] * one_class(*v), "1/gamma"),
        (lambda *v: one_class(*v) / v[3], ""),
        (lambda *v: one_class(*v[:3], 1.0), ""),
        (lambda *v: one_class(*v[:3], 1 / (2 * v[3] * v[3])), ""),
        (classed(shares=lambda x, u, d: root(x, u) / no_zero(d).sqrt()), ""),
        (classed(shares=lambda x, u, d: root(x, u) / no_zero(root(x, u).sum(2))), ""),
        (classed(shares=lambda x, u, d: squares(x, u) / no_zero(d).sqrt()), ""),
        (classed(p=lambda d, *v: p_of(d.sqrt(), *v), o=lambda d, *v: o_of(d.sqrt(), *v)), ""),
        (classed(shares=lambda x, u, d: squares(x, u)), ""),
        (classed(shares=lambda x, u, d: (x[:, None] - u).sign() * of_squares(x, u, d)), ""),
        (classed(o=lambda *_: 1.0, shares=lambda x, u, d: 2 * (x[:, None] - u)), ""),
        (
            classed(
                shares=lambda x, u, d: (x**2 / (x**2).sum(1, True))[:, None] + 0 * d[..., None]
            ),
            "",
        ),
        (classed(p=lambda d, alpha, gamma: (alpha.log() - gamma * d).softmax(0)), ""),
        (
            classed(shares=lambda x, u, d: (q := squares(x, u)) / no_zero(q.sum(1))[:, None, :, 0]),
            "",
        ),
        (without_the_shift, "NaN or infinite"),
        (lambda *v: without_the_shift(*v, least=1e-30), ""),
        (classed(shares=lambda x, u, d: squares(x, u) / d[..., None]), "NaN"),
        (
            classed(shares=lambda x, u, d: of_squares(x, u, d) + (d == 0)[..., None] / x.shape[1]),
            "keeps its share",
        ),
        (conserved, ""),
        (classed(shares=lambda x, u, d: squares(x, u) / (d[..., None] + 1e-2)), ""),
    ],
}
NOT_NEGATIVE = "absolute", "clipped"
for name, rows in WRONG.items():
    rows += spoil(RIGHT[name][0], *(NOT_NEGATIVE if name == "one_class_relevance" else ()))

test_right_answers_are_accepted, test_wrong_answers_are_refused_with_the_fitting_hint = (
    accept_and_refuse(RIGHT, WRONG)
)
