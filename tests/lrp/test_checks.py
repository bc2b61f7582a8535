"""The checks of the LRP exercises: see `students.judged` for what a row is."""

import copy

import torch
import torch.nn.functional as F
from students import SOLUTIONS, judged, spoilt
from torch import nn

signed = lambda z: torch.where(z >= 0, 1.0, -1.0)
step = lambda z: (z > 0).to(z)
parts = lambda a, w: a[:, :, None] * w
shares = lambda z, total, R: (z / total * R[:, None]).sum(2)
# Normalised over i, as it must be, and over j.
by_input = lambda z, R: shares(z, z.sum(1, keepdim=True) + 1e-9, R)
by_output = lambda z, R: shares(z, z.sum(2, keepdim=True) + 1e-9, R)
# Epsilon's rule where the sign of 0 is 0.
unsigned = lambda a, w, b, R, eps: a * (R / ((z := a @ w + b) + eps * z.sign()) @ w.T)
score = lambda m, x, c: m(x).gather(1, c[:, None])
no_zero = lambda d: torch.where(d == 0, 1, d)
least = lambda d: d.min(1, keepdim=True).values
closest = lambda d: F.one_hot(d.argmin(1), d.shape[1])


def zplus_autograd(a, w, R):
    a = a.clone().requires_grad_()
    z = a @ w.relu()
    z.backward((R / z).detach())
    return a * a.grad


def zb_products(x, w, R, l, h):
    p, q = w.clamp(min=0), w.clamp(max=0)
    s = R / (x @ w - l @ p - h @ q)
    return x * (s @ w.T) - l * (s @ p.T) - h * (s @ q.T)


def gradient(m, x, c, of=lambda z: z):
    x = x.detach().clone().requires_grad_()
    return torch.autograd.grad(score(lambda x: of(m(x)), x, c).sum(), x)[0]


def mlp_on_a_copy(m, x, c):
    m = copy.deepcopy(m).eval()
    x = x.clone().requires_grad_()
    m(x)[torch.arange(len(x)), c].sum().backward()
    return x * x.grad


def mlp_tidy_hooks(m, x, c):
    inputs, layers = [], [layer for layer in m if isinstance(layer, nn.Linear)]
    keep = lambda _, a: inputs.append(a[0].detach())
    handles = [layer.register_forward_pre_hook(keep) for layer in layers]
    out = m(x).detach()
    for handle in handles:
        handle.remove()
    R = torch.zeros_like(out).scatter(1, c[:, None], out.gather(1, c[:, None]))
    for layer, a in zip(layers[::-1], inputs[::-1]):
        w, b = layer.weight.detach().T, layer.bias.detach()
        R = SOLUTIONS["lrp_epsilon"](a, w, b, R, 1e-6)
    return R


def leaves_gradients(m, x, c):
    x = x.clone().requires_grad_()
    m.requires_grad_(True)
    score(m, x, c).sum().backward()
    return x * x.grad


def lift_integral(a, a0, w, b, m):
    """Closed form of the mean derivative between z0 and z."""
    z, z0 = a @ w + b, a0 @ w + b
    low, high = torch.minimum(z, z0), torch.maximum(z, z0)
    s = torch.where(low > 0, 1.0, torch.where(high <= 0, 0.0, high / (high - low).clamp(min=1e-30)))
    return (a - a0) * ((s * m) @ w.T)


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


def one_class_expanded(x, u, alpha, gamma):
    """|x|^2 - 2 x u + |u|^2, in double precision; squares likewise by products."""
    x, u, alpha = x.double(), u.double(), alpha.double()
    d = ((x * x).sum(1, keepdim=True) - 2 * x @ u.T + (u * u).sum(1)).clamp(min=0)
    e = alpha.log() - gamma * d
    s = e.softmax(1) * -e.logsumexp(1, keepdim=True) / gamma * (d > 1e-9) / d.clamp(min=1e-9)
    return s.sum(1, keepdim=True) * x * x - 2 * x * (s @ u) + s @ (u * u)


def composite_by_hand(m, x, c, l, h, eps):
    with torch.no_grad():
        a, below, f = m[:2](x), m[:4](x), m(x)
        R = F.one_hot(c, f.shape[1]) * f
        R = below * (R / (f + eps * signed(f)) @ m[4].weight)
        w = m[2].weight.T.relu()
        R = a * (R / (a @ w) @ w.T)
        return zb_products(x, m[0].weight.T, R, l, h)


ANSWERS = {
    "lrp_zplus": [
        zplus_autograd,
        'torch.einsum("nij,nj->ni", (z := parts(a, w.relu())) / (z.sum(1, True) + 1e-6), R)',
        "by_input(parts(a, w).clamp(min=0), R)",
        ("w.clamp(min=0)", "w", "negative weights"),
        ("w.clamp(min=0)", "w.abs()", ""),
        ("a * (R / (a @ w.relu()) @ w.T)", "numerator has w"),
        ("a * (R / (a @ w) @ w.relu().T)", ""),
        ("lrp_zplus(a, -w, R)", ""),
        ("by_output(parts(a, w.relu()), R)", ""),
        ("shares(z := parts(a, w.relu()), z.sum((0, 1), keepdim=True), R)", ""),
        ("shares(z := parts(a, w.relu()), z.sum((1, 2), keepdim=True), R)", ""),
        ("(w.relu() / w.relu().sum(0) * R[:, None]).sum(2)", ""),
        ("R / (a @ w)", "R", ""),
        ("a * (s @ w.T)", "s @ w.T", "last factor a_i"),
        ("R / (a @ w)", "1 / (a @ w)", ""),
        ("lrp_zplus(a, w, R.relu())", "negative R_j"),
        ("(a @ w)", "(a @ w + 0.1)", ""),
        ("(a @ w)", "(a @ w + 1e-2)", "added to the denominator"),
        ("(parts(a, w).softmax(1) * R[:, None]).sum(2)", ""),
        ("a / a * right", "NaN"),
        ("right / R.shape[1]", ""),
        ("lrp_alphabeta(a, w, R, 2, 1)", ""),
    ],
    "lrp_epsilon": [
        ("eps * sign", "torch.copysign(torch.tensor(eps), z)", None),
        ("eps * sign", "eps * (z.sign() + (z == 0))", None),
        ("a @ w + b", "torch.addmm(b, a, w)", "eps * sign", "eps * (2 * (z >= 0) - 1)", None),
        ("a @ w + b", "F.linear(a, w.T, b)", None),
        ("a * (s @ w.T)", 'torch.einsum("ni,ij,nj->ni", a, w, s)', None),
        ("a @ w + b", "a @ w", "bias is missing"),
        ("a * (s @ w.T)", "shares(parts(a, w) + b / len(w), 1, s)", "handed to the inputs"),
        ("eps * sign", "eps * z.sign()", "NaN"),
        ("R / (z + eps * sign)", "(R / (z + eps * z.sign())).nan_to_num(0, 0, 0)", "exactly 0"),
        ("z >= 0", "z > 0", "exactly 0"),
        ("eps * sign", "eps", "without the sign"),
        ("z + eps * sign", "z.abs() + eps", ""),
        ("z + eps", "z - eps", "sign of eps"),
        (" + eps * sign", "", "eps is missing"),
        ("eps * sign", "1e-9 * sign", "eps is missing"),
        ("eps * sign", "eps * eps * sign", ""),
        ("z + eps * sign", "torch.where(z.abs() < eps, eps * sign, z)", ""),
        ("eps * sign", "eps * len(w) * sign", ""),
        ("z >= 0", "R >= 0", ""),
        ("lrp_epsilon(a, w.relu(), b, R, eps)", ""),
        ("lrp_epsilon(a.relu(), w, b, R, eps)", ""),
        ("by_output(parts(a, w), R)", ""),
        ("a * (s @ w.T)", "s @ w.T", ""),
        ("right * (R.sum(1, True) / right.sum(1, True))", ""),
    ],
    "absorbed_by_bias": [
        "R.sum(1) - lrp_epsilon(a, w, b, R, 0.0).sum(1)",
        "right.squeeze()",
        'torch.einsum("j,nj->n", b, R / (a @ w + b))',
        ("lrp_epsilon(a, w, b, R, 0.0).sum(1)", "reaches the inputs"),
        ("a @ w + b", "a @ w", "denominator"),
        ("b / z * R", "b * R", ""),
        ("b.sum().expand(len(a))", "as they are"),
        (".sum(1)", ".sum()", ""),
        ("b / z * R", "b / z", ""),
        (".sum(1)", ".mean(1)", ""),
        ("b / z", "b.abs() / z", ""),
        ("b.sum() / (a @ w + b).sum(1) * R.sum(1)", ""),
    ],
    "lrp_alphabeta": [
        ("a * ((R / (a @ v)) @ v.T)", "by_input(parts(a, v.abs()), R)", None),
        ("(a @ v)", "(a @ v + 1e-9)", "w.clamp(max=0)", "(-w).relu()", None),
        "lrp_alphabeta(a, w, R, alpha, alpha - 1)",
        ("- beta", "+ beta", "subtracted"),
        ("lrp_alphabeta(a, w, R, beta, alpha)", "changed places"),
        ("lrp_alphabeta(a, w, R, alpha, alpha)", ""),
        ("lrp_alphabeta(a, w, R, 2, 1)", "not used"),
        ("lrp_zplus(a, w, R)", ""),
        ("lrp_alphabeta(a, w, R, 1, 1)", ""),
        ("lrp_alphabeta(a, w, R, round(alpha), round(beta))", ""),
        ("lrp_alphabeta(a, w, R, int(alpha), int(beta))", "whole numbers"),
        ("(a @ v)", "(a @ w)", "by z_j"),
        ("(a @ v)", "(a @ w.abs())", "- beta", "+ beta", ""),
        ("(a @ v)", "(a @ w.relu())", ""),
        ("a * ((R / (a @ v)) @ v.T)", "by_output(parts(a, v.abs()), R)", ""),
        ("a * (R / (a @ w) @ w.T)", "divided by its own sum"),
        ("lrp_alphabeta(a, w, R.relu(), alpha, beta)", ""),
        ("lrp_alphabeta(a, w, R, alpha, 0) * (R.sum(1, True) > 0)", ""),
    ],
    "lrp_zb": [
        zb_products,
        "by_input((x - l)[..., None] * w.relu() + (h - x)[..., None] * (-w).relu(), R)",
        ("lrp_zb(x, w, R, h, l)", "changed places"),
        ("lrp_zb(x, w, R, -l, -h)", "subtracted"),
        ("by_input(parts(x, w), R)", "bounds do not take part"),
        ("by_input(parts(x, w).clamp(min=0), R)", ""),
        ("lrp_zb(x, w, R, l, 0 * h)", "upper bound"),
        ("lrp_zb(x, w, R, 0 * l, h)", "lower bound"),
        ("lrp_zb(x, w, R, 0 * l, 0 * h + 1)", ""),
        ("lrp_zb(x, w, R, l.min().expand_as(l), h.max().expand_as(h))", ""),
        ("lrp_zb(x, w, R, l.mean().expand_as(l), h.mean().expand_as(h))", ""),
        ("q.sum(1, keepdim=True)", "(x @ w)[:, None]", ""),
        ("(q / q.sum", "((q + lowest) / q.sum", ""),
        ("(q / q.sum(1, keepdim=True) * R[:, None]).sum(2)", "by_output(q, R)", ""),
        ("w.clamp(max=0)", "(-w).relu()", ""),
        ("lrp_zb(x, w, R, x.min(0)[0].clamp(max=0) - 1e-3, x.max(0)[0].clamp(min=0) + 1e-3)", ""),
        ("right * (h - l)[None] / (h - l)", "NaN"),
    ],
    "lrp_mlp": [
        "x * gradient(m, x, c)",
        mlp_on_a_copy,
        mlp_tidy_hooks,
        ("with", "mode = m.training; m.eval()\n    with", "return", "m.train(mode); return", None),
        "[lrp_mlp(m, x[[n]], c[[n]])[0] for n in range(len(x))]",
        "lrp_mlp(copy.deepcopy(m).double(), x.double(), c)",
        ("1e-9", "1e-6", None),
        "right + 0 * m(x).sum()",
        ("gradient(m, x, c)", "this is the gradient"),
        ("gradient(m, x, c) ** 2", ""),
        ("* logits", "* logits.softmax(1)", "probability"),
        ("x * gradient(m, x, c, lambda z: z.softmax(1))", ""),
        ("* logits", "", "starts with 1"),
        ("nn.functional.one_hot(c, logits.shape[1]) * logits", "logits", ""),
        ("lrp_mlp(m, x, m(x).argmax(1))", ""),
        ("lrp_mlp(m, x, c[:1].expand_as(c))", "class"),
        ("lrp_mlp(m, x, 0 * c)", ""),
        ("* logits", "* logits.relu()", ""),
        ("* logits", "* logits.abs()", ""),
        ("* logits", "* logits.log_softmax(1)", ""),
        ("layer.bias", "0 * layer.bias", "bias"),
        ("lrp_epsilon", "unsigned", ""),
        ("1e-9", "0.01", "too large"),
        ("1e-9", "0.25", ""),
        ("lrp_epsilon(below, w, b, R, 1e-9)", "lrp_zplus(below, w, R)", ""),
        ("return", "m.eval(); return", "mode"),
        ("return", "m.train(); return", "mode"),
        ("return", "m.requires_grad_(False); return", "requires_grad"),
        ("return", "m.requires_grad_(True); return", "requires_grad"),
        (leaves_gradients, "gradients|requires_grad"),
        ("return", "m[0].register_forward_hook(lambda *a: None); return", "hooks"),
        ("return", "m[0].weight.data.clamp_(min=0); return", "parameters"),
        ("return", "m[4].bias.data.zero_(); return", "parameters"),
        ("return", "m[1] = nn.ReLU(); return", "layers"),
        ("right * (score(m, x, c) / right.sum(1, keepdim=True))", ""),
    ],
    "deep_lift_layer": [
        lift_integral,
        ("s * m", "step(z) * m", ""),
        ("s * m", "step(z0) * m", ""),
        ("s * m", "(step(z) + step(z0)) / 2 * m", ""),
        ("s * m", "step(z + z0) * m", ""),
        ("s * m", "(z.relu() / z).nan_to_num(0, 0, 0) * m", ""),
        ("s * m", "m", ""),
        ("right / no_zero(a - a0) * a", "a_i - a0_i"),
        ("a * ((step(a @ w + b) * m) @ w.T)", ""),
        ("(right / (a - a0)).nan_to_num(0)", ""),
        ("deep_lift_layer(a0, a, w, b, m)", "sign"),
        ("deep_lift_layer(a, a0, w, 0 * b, m)", "bias is missing"),
        ("s * m", "(z.relu() - (z0 - b).relu()) / (z - z0 + b) * m", ""),
        ("deep_lift_layer(a, 0 * a0, w, b, m)", "not always zero"),
        ("deep_lift_layer(a - a0, 0 * a0, w, b, m)", ""),
        ("s * m", "(z.relu() / (z - z0)).nan_to_num(0, 0, 0) * m", "h0_j is missing"),
        ("s * m", "((z.relu() - z0.relu()) / z).nan_to_num(0, 0, 0) * m", ""),
        ("s * m", "((z - z0) / (z.relu() - z0.relu())).nan_to_num(0, 0, 0) * m", ""),
        ("s * m", "(z.relu() - z0.relu()) / (z - z0) * m", "NaN"),
        ("(z > 0).to(z)", "0.0", "must be 1 if z_j > 0"),
        ("(z > 0).to(z)", "1.0", "must be 1 if z_j > 0"),
        ("(z > 0).to(z)", "(z >= 0).to(z)", "must be 1 if z_j > 0"),
        ("(z > 0).to(z)", "0.5", ""),
        ("z == z0", "(z - z0).abs() < 0.1", "only where they are equal"),
        ("z == z0", "(z - z0).abs() < 1e-4", "only where they are equal"),
        ("s * m", "(z.relu() - z0.relu()) / (z - z0 + 1e-6) * m", "must be 1 if z_j > 0"),
        ("(a - a0) * ((s * m)", "a * ((m * (z.relu() - z0.relu()) / z)", ""),
        ("s * m", "s", ""),
        ("s * m", "s * m.relu()", ""),
        ("s * m", "s * m[:1]", ""),
        ("deep_lift_layer(a, a0[:1].expand_as(a0), w, b, m)", ""),
        ("right / len(b)", ""),
        ("(s * m) @ w.T", "(m * (z.relu() - z0.relu())).sum(1, True) / (a - a0).sum(1, True)", ""),
        ("deep_lift_layer(a, a0, w.relu(), b, m)", ""),
        ("s * m", "((z.tanh() - z0.tanh()) / (z - z0)).nan_to_num(0, 0, 0) * m", ""),
    ],
    "lstm_word_relevance": [
        words_unrolled,
        ("c[t + 1] == 0", "c[t + 1].abs() <= 1e-9", None),
        ("torch.where(c[t + 1] == 0, 0, R / c[t + 1])", "(R / c[t + 1]).nan_to_num(0, 0, 0)", None),
        ("R = f[t]", "R = f[t] * f[t]", "forget gate is multiplied in once"),
        ("append(i[t]", "append(i[t] * i[t]", "input gate is multiplied in once"),
        ("append(i[t]", "append(i[t] * i[t]", "R = f[t]", "R = f[t] * f[t]", ""),
        ("R / c[t + 1]", "R / c[t + 1] / 2", "gates take nothing"),
        ("g[t] * s", "g[t] * s / 2", ""),
        ("c[t] * s", "c[t] * s / 2", ""),
        ("R = f[t] * c[t]", "R = c[t]", "f_t is missing"),
        ("append(i[t] * g[t]", "append(g[t]", ""),
        ("lstm_word_relevance(g, i, 1 - i, R)", ""),
        ("lstm_word_relevance(g, f, i, R)", ""),
        ("R / c[t + 1]", "R / 2", "i[t] * g[t] * s", "s", "f[t] * c[t] * s", "s", ""),
        ("R / c[t + 1]", "R / (i[t] + f[t])", "g[t] * s", "s", "c[t] * s", "s", ""),
        ("R = f[t] * c[t] * s", "pass", "starts from R"),
        ("lstm_word_relevance(g.flip(0), i.flip(0), f.flip(0), R).flip(0)", ""),
        ("right.flip(0)", ""),
        ("i[t] * g[t] * s", "f[t] * c[t] * s", ""),
        ("torch.cat([0 * g[:-1], right[-1:]])", ""),
        ("torch.where(c[t + 1] == 0, 0, R / c[t + 1])", "R / c[t + 1]", "NaN"),
        ("s = torch", "c[t + 1] += 1e-9\n        s = torch", "shares huge"),
        ("s = torch", "c[t + 1] += 1e-3 * signed(c[t + 1])\n        s = torch", "added to c_t"),
        ("words_unrolled(g, i, f, R, stop=False)", "nothing is passed on"),
        ("R = f[t] * c[t] * s", "R = torch.where(c[t + 1] == 0, R, f[t] * c[t] * s)", ""),
        (
            *("R / c[t + 1]", "R / (i[t] * g[t].abs() + f[t] * c[t].abs())"),
            *("g[t] * s", "g[t].abs() * s", "c[t] * s", "c[t].abs() * s", ""),
        ),
        ("R / c[t + 1]", "R", "c[t] * s", "s", ""),
        ("R / c[t + 1]", "R", "g[t] * s", "s", "c[t] * s", "s", ""),
        ("lstm_word_relevance(g, i, f, R.sum().expand_as(R))", ""),
    ],
    "one_class_relevance": [
        one_class_expanded,
        ("d == 0", "d < 0", "* q)", "* q).nan_to_num(0)", None),
        "one_class_relevance(x, u, alpha / alpha.sum(), gamma)",
        "one_class_relevance(x, u, alpha, torch.tensor(gamma))",
        ("e.softmax(1)", "closest(d)", "* o", "* least(d)", ""),
        ("e.softmax(1)", "closest(d)", "only the nearest"),
        ("* o", "* least(d)", ""),
        ("one_class_relevance(x, u, 0 * alpha + 1 / len(u), gamma)", ""),
        ("one_class_relevance(x, u, 0 * alpha + 1, gamma)", "alpha is missing"),
        ("e.softmax(1)", "(-gamma * d).softmax(1)", "alpha is missing from the weights"),
        ("e.logsumexp", "(-gamma * d).logsumexp", ""),
        ("e.softmax(1)", "alpha", ""),
        ("e.softmax(1)", "1 / len(u)", ""),
        ("e.softmax(1)", "(alpha - gamma * d).softmax(1)", ""),
        ("* o", "* d", "not p_j d_j"),
        ("* o", "* (e.softmax(1) * d).sum(1, True)", ""),
        ("* o", "", "is missing: the sum"),
        ("e.softmax(1) * o", "o", "weights p_j are missing"),
        ("-right", ""),
        ("gamma * right", "1/gamma"),
        ("right / gamma", ""),
        ("one_class_relevance(x, u, alpha, 1.0)", ""),
        ("one_class_relevance(x, u, alpha, 1 / (2 * gamma * gamma))", ""),
        ("o / d", "o / d.sqrt()", "* q", "* q.sqrt()", ""),
        ("o / d", "o / q.sqrt().sum(2)", "* q", "* q.sqrt()", ""),
        ("o / d", "o / d.sqrt()", ""),
        ("gamma * d", "gamma * d.sqrt()", ""),
        ("o / d", "o", ""),
        ("* q", "* q * (x[:, None] - u).sign()", ""),
        ("* o / d", "", "* q", "* 2 * (x[:, None] - u)", ""),
        ("d == 0", "d < 0", "o / d", "o", "* q", "* (x**2 / (x**2).sum(1, True))[:, None]", ""),
        ("e.softmax(1)", "e.softmax(0)", ""),
        ("o / d", "o", "* q", "* q / no_zero(q.sum(1, True))", ""),
        ("alpha.log() - gamma * d", "(alpha * (-gamma * d).exp()).log()", "NaN or infinite"),
        ("alpha.log() - gamma * d", "(alpha * (-gamma * d).exp()).clamp(min=1e-30).log()", ""),
        ("d == 0", "d < 0", "NaN"),
        ("** 2", "** 2 + 1e-12", "keeps its share"),  # the same share for all inputs at d = 0
        ("* q).sum(1)", "* q).sum(1) / (s * d).sum(1, True).clamp(1e-9) * o", ""),
        ("o / d", "o / (d + 1e-2)", ""),
    ],
    "residual_relevance": [
        "torch.stack([a, g]) * (R / (a + g + eps * signed(a + g)))",
        "torch.cat([(a * R / (z := a + g + eps * signed(a + g)))[None], (g * R / z)[None]])",
        ("a + g", "a.double() + g.double()", None),
        ("a + g", "a - g", ""),
        ("torch.stack([a * s, g * s])", "torch.stack([g * s, a * s])", "changed places"),
        ("torch.stack([R / 2, R / 2])", "each gets half"),
        ("eps * torch.where(z >= 0, 1, -1)", "eps", "without the sign"),
        ("eps * torch.where(z >= 0, 1, -1)", "eps * z.sign()", ""),
        ("torch.where(z >= 0, 1, -1)", "torch.where(z > 0, 1, -1)", "must be .1"),
        ("eps * torch.where(z >= 0, 1, -1)", "1e-9", ""),
        ("torch.stack([a.abs(), g.abs()]) * (R / (a.abs() + g.abs() + eps))", "absolute values"),
        ("torch.stack([a * s, g * s])", "a * s + g * s", "shape"),
        ("torch.stack([a * s, g * s])", "torch.stack([a, g])", ""),
        ("right.abs()", ""),
    ],
    "folded": [
        "torch.cat([w @ (k := (gamma * (var + eps) ** -0.5).diag()), (b - mean)[None] @ k + beta])",
        "torch.vstack([w * (k := gamma * (var + eps).rsqrt()), beta + (b - mean) * k])",
        "folded(w.double(), b.double(), gamma, beta, mean, var, eps)",
        ("(var + eps).sqrt()", "(var.sqrt() + eps)", "under the root"),
        ("(var + eps).sqrt()", "(var + eps)", "not by its root"),
        ("(var + eps).sqrt()", "(var + 1e-9).sqrt()", "eps is missing"),
        ("(b - mean) * scale", "b * scale", "mean is not subtracted"),
        ("(b - mean) * scale + beta", "(b - mean) * scale", "beta is missing"),
        ("(b - mean) * scale", "b - mean * scale", "bias is not scaled"),
        ("(b - mean)", "(0 - mean)", "bias of the dense layer"),
        ("gamma / (var", "1 / (var", "gamma is missing"),
        ("w * scale", "w", ""),
        ("w * scale", "scale[:, None] * w", "raises|"),
        ("(b - mean) * scale + beta", "(b + mean) * scale + beta", ""),
        ("torch.cat([w * scale, shift[None]])", "torch.cat([shift[None], w * scale])", ""),
    ],
    "pattern": [
        "torch.cov(torch.cat([x.T, (x @ w)[None]]))[-1, :-1] / (x @ w).var()",
        "((x - x.mean(0)) * (x @ w)[:, None]).mean(0) / (x @ w).var(correction=0)",
        "torch.linalg.lstsq(((s := x @ w) - s.mean())[:, None], x - x.mean(0)).solution[0]",
        ("x = x - x.mean(0)", "x = x - 0", "means are not subtracted"),
        ("w + 0 * right", "these are the weights"),
        ("x.T @ s / (s @ s)", "x.T @ s / len(s)", "variance of s is missing"),
        ("/ (s @ s)", "/ (s @ s).sqrt()", ""),
        ("right * len(x) / (len(x) - 1)", "differently"),
        ("right * (x @ w).std() / x.std(0).clamp(min=1e-9)", ""),
        ("x.mean(0)", "x.mean()", ""),
        ("x.mean(0)", "x.mean(1, keepdim=True)", ""),
        ("x.T @ s / (s @ s)", "x.T @ x @ w / (w @ w)", ""),
        ("right / right.norm()", ""),
        ("-right", "sign"),
    ],
    "composite": [
        "composite_by_hand(m, x, c, l, h, eps)",
        "composite_by_hand(copy.deepcopy(m).double(), x.double(), c, l.double(), h.double(), eps)",
        ("R, eps)", "R, 1e-9)", "eps is missing"),
        ("f.gather(1, c[:, None])", "1.0", ""),
        ("f.gather(1, c[:, None])", "torch.ones_like(f)", "starts with 1"),
        ("scatter(1, c[:, None], f.gather(1, c[:, None]))", "add(f)", ""),
        (
            "c[:, None], f.gather(1, c[:, None])",
            "f.argmax(1)[:, None], f.amax(1, keepdim=True)",
            "predicted class",
        ),
        ("layers[2].bias.detach()", "0 * layers[2].bias.detach()", "bias is missing"),
        ("lrp_zb(x, w[0], R, l, h)", "lrp_zb(x, w[0], R, h, l)", "changed places"),
        ("lrp_zb(x, w[0], R, l, h)", "lrp_zplus(x, w[0], R)", "rule of the middle"),
        ("lrp_zb(x, w[0], R, l, h)", "x * (R @ w[0].T)", ""),
        (
            "lrp_zplus(enter[1], w[1], R)",
            "lrp_epsilon(enter[1], w[1], 0 * w[1][0], R, 1e-9)",
            "negative weights, too",
        ),
        ("lrp_zplus(enter[1], w[1], R)", "R @ w[1].T", ""),
        ("gradient(m, x, c)", ""),
    ],
}
for name, rows in ANSWERS.items():
    rows += spoilt(name, *(["absolute", "clipped"] if name == "one_class_relevance" else []))

test_right_answers, test_wrong_answers = judged(ANSWERS, globals())
