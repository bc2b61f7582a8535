"""The checks of the exercises on sensitivity: a row is an answer, to be accepted, or to be refused
with a hint.
"""

import numpy as np
import torch
import torch.nn.functional as F
from students import accept_and_refuse

# ---------------------------------------------------------------- gradients


def score_of(f, x, c):
    return f(x).gather(1, c[:, None])[:, 0]


def grad(f, x, c, of=score_of):
    x = x.detach().clone().requires_grad_()
    return torch.autograd.grad(of(f, x, c).sum(), x)[0]


def sensitivity(f, x, c):
    return grad(f, x, c) ** 2


def squared(of):
    """The squared derivative of something else."""
    return lambda f, x, c: grad(f, x, c, lambda f, x, c: of(f(x), c)) ** 2


def own(scores, c):
    return scores.gather(1, c[:, None])[:, 0]


def with_vmap(f, x, c):
    one = torch.func.grad(lambda row, k: f(row[None])[0].gather(0, k[None])[0])
    return torch.func.vmap(one)(x, c).square()


def asks_for_gradients(f, x, c):
    x.requires_grad_()
    return torch.autograd.grad(score_of(f, x, c).sum(), x)[0] ** 2


def leaves_gradients(f, x, c):
    x = x.clone().requires_grad_()
    score_of(f, x, c).sum().backward()
    return x.grad**2


def adds_up(f, x, c, kept=[]):  # noqa: B006 - what is kept between calls is the mistake
    kept.append(1)
    return len(kept) * sensitivity(f, x, c)


# ---------------------------------------------------------------- differences


def steps(x, h):
    return h * torch.eye(len(x)).to(x)


def finite_diff(f, x, h):
    return (f(x + steps(x, h)) - f(x - steps(x, h))) / (2 * h)


def diff_together(f, x, h):
    both = f(torch.cat([x + steps(x, h), x - steps(x, h)]))
    return (both[: len(x)] - both[len(x) :]) / h / 2


# ---------------------------------------------------------------- noise


def smoothgrad(f, x, c, n, sigma, noise=torch.randn_like):
    return sum(grad(f, x + sigma * noise(x), c) for _ in range(n)) / n


def noisy(noise):
    return lambda *v: smoothgrad(*v, noise=noise)


def smooth_at_once(f, x, c, n, sigma):
    many = x.repeat_interleave(n, 0)
    g = grad(f, many + sigma * torch.randn_like(many), c.repeat_interleave(n))
    return g.view(len(x), n, -1).mean(1)


def numpy_noise(x):
    return torch.from_numpy(np.random.default_rng().normal(0, 1, x.shape)).to(x)


def fixed_seed(*v):
    torch.manual_seed(0)
    return smoothgrad(*v)


def one_noise(f, x, c, n, sigma):
    noise = torch.randn_like(x)
    return sum(grad(f, x + sigma * noise, c) for _ in range(n)) / n


def on_the_gradient(f, x, c, n, sigma):
    return sum(grad(f, x, c) + sigma * torch.randn_like(x) for _ in range(n)) / n


# ---------------------------------------------------------------- pieces


def n_pieces(f, a, b, n=2001):
    t = torch.linspace(a, b, n, dtype=torch.float64)
    slope = f(t).diff() / t.diff()
    bends = slope.diff().abs() > 1e-6 * slope.abs().max().clamp(min=1)
    return 1 + int((bends[1:] & ~bends[:-1]).sum()) + int(bends[0])


def pieces_single(f, a, b, n=2001):
    t = torch.linspace(a, b, n)
    slope = f(t).diff() / t.diff()
    levels = slope[:-1][slope.diff().abs() < 0.05 * slope.abs().max()]
    return 1 + int((levels.diff().abs() > 0.05 * slope.abs().max()).sum())


def grid(f, a, b, n=2001):
    t = torch.linspace(a, b, n, dtype=torch.float64)
    return f(t).diff() / t.diff()


# ---------------------------------------------------------------- paths


def ig(f, x, x0, c, m=64, parts=None):
    parts = [(k + 0.5) / m for k in range(m)] if parts is None else parts
    return (x - x0) * sum(grad(f, x0 + t * (x - x0), c) for t in parts) / len(parts)


def along(parts):
    return lambda f, x, x0, c, m=64: ig(f, x, x0, c, m, parts(m))


def ig_at_once(f, x, x0, c, m=64):
    t = ((torch.arange(m) + 0.5) / m).to(x)[:, None, None]
    points = (x0 + t * (x - x0)).flatten(0, 1)
    return (x - x0) * grad(f, points, c.repeat(m)).view(m, *x.shape).mean(0)


def shrinking(f, x, x0, c, m=64):
    d = x - x0
    return sum(grad(f, x0 + t * d, c) * t * d for t in [(k + 0.5) / m for k in range(m)]) / m


def from_zero(f, x, x0, c, m=64):
    return (x - x0) * sum(grad(f, (k + 0.5) / m * x, c) for k in range(m)) / m


# ---------------------------------------------------------------- maps


def guided(z, g):
    return g.clamp(min=0) * (z > 0)


def guided_autograd(z, g):
    z = z.clone().requires_grad_()
    return torch.autograd.grad(z.relu(), z, g.relu())[0]


def alpha(g):
    return g.mean((2, 3), keepdim=True)


def cam_map(A, g):
    return (alpha(g) * A).sum(1).relu()


# ---------------------------------------------------------------- the tables

RIGHT = {
    "sensitivity": [sensitivity, with_vmap],
    "finite_diff": [finite_diff, diff_together],
    "smoothgrad": [smoothgrad, smooth_at_once, noisy(numpy_noise)],
    "n_pieces": [n_pieces, lambda *v: torch.tensor(n_pieces(*v)), pieces_single],
    "integrated_gradients": [
        ig,
        along(lambda m: [(k + 1) / m for k in range(m)]),
        along(lambda m: [k / m for k in range(m)]),
        along(lambda m: torch.linspace(0, 1, m).tolist()),
        ig_at_once,
    ],
    "guided_relu": [guided, lambda z, g: torch.where((z > 0) & (g > 0), g, 0.0), guided_autograd],
    "grad_cam_map": [
        cam_map,
        lambda A, g: torch.einsum("nk,nkhw->nhw", g.mean((2, 3)), A).clamp(min=0),
    ],
}

WRONG = {
    "sensitivity": [
        (grad, "sensitivity is its square"),
        (lambda *v: grad(*v).abs(), "absolute values"),
        (lambda *v: v[1] * grad(*v), "multiplies by the input"),
        (squared(lambda s, c: own(s.softmax(1), c)), "probability"),
        (squared(lambda s, c: own(s.log_softmax(1), c)), "logarithm"),
        (squared(lambda s, c: s.sum(1)), ""),
        (squared(lambda s, c: s.max(1).values), "highest logit"),
        (lambda *v: grad(*v, lambda *w: score_of(*w) ** 2), "derivative of the squared score"),
        (lambda *v: F.normalize(grad(*v), dim=1) ** 2, ""),
        (lambda *v: sensitivity(*v).mean(0).expand_as(v[1]), "batch"),
        (asks_for_gradients, "requires_grad of an argument"),
        (leaves_gradients, "gradients of the model's parameters"),
        (adds_up, ""),
    ],
    "finite_diff": [
        (lambda f, x, h: (f(x + steps(x, h)) - f(x[None])) / h, "forward differences"),
        (lambda f, x, h: (f(x[None]) - f(x - steps(x, h))) / h, "backward differences"),
        (lambda *v: 2 * finite_diff(*v), "2 h apart"),
        (lambda f, x, h: finite_diff(f, x, h / 2), ""),
        (lambda *v: -finite_diff(*v), "sign"),
        (lambda f, x, h: finite_diff(f, x, h) * 2 * h, "does not divide"),
        (
            lambda f, x, h: ((f((x + h)[None]) - f((x - h)[None])) / (2 * h)).expand(len(x)),
            "all inputs at once",
        ),
        (lambda f, x, h: torch.func.jacrev(lambda v: f(v[None])[0])(x), "exact derivative"),
        (lambda f, x, h: finite_diff(f, x, 1e-4), "exact derivative"),
        (lambda f, x, h: finite_diff(f, x.float(), h), "not the central|raises"),
        (lambda f, x, h: f(x), "raises"),
    ],
    "smoothgrad": [
        (lambda *v: v[3] * smoothgrad(*v), "summed"),
        (lambda *v: grad(*v[:3]), ""),
        (fixed_seed, "very same"),
        (one_noise, ""),
        (noisy(lambda x: torch.randn_like(x[:1])), "share their noise"),
        (on_the_gradient, "spread|mean"),
        (lambda f, x, c, n, s: smoothgrad(f, x, c, n, s**0.5), "spread"),
        (lambda f, x, c, n, s: smoothgrad(f, x, c, n, s * 2), "spread"),
        (lambda *v: smoothgrad(*v).abs(), "absolute"),
        (lambda *v: smoothgrad(*v) ** 2, "squared"),
        (noisy(torch.rand_like), "mean over many"),
        (noisy(lambda x: 2 * torch.rand_like(x) - 1), "spread"),
        (noisy(lambda x: torch.randn_like(x) * (x.max() - x.min())), "spread"),
        (noisy(lambda x: torch.randn(len(x), 1).to(x)), "spread"),
    ],
    "n_pieces": [
        (lambda *v: n_pieces(*v) - 1, r"k \+ 1 pieces"),
        (lambda *v: 1 + int((grid(*v).diff().abs() > 1e-6).sum()), "counted twice"),
        (lambda *v: len(set(grid(*v).round(decimals=3).tolist())), "different slopes"),
        (lambda *v: 1 + int((grid(*v).sign().diff() != 0).sum()), "sign|counted twice"),
        (lambda *v: n_pieces(*v) + 1, "one piece too many"),
        (lambda *v: 8, "pieces"),
        (lambda f, a, b, n=2001: n_pieces(f, 0, 1, n), "number of pieces|kinks"),
        (lambda f, a, b, n=2001: n_pieces(f, a, b, 40), ""),
    ],
    "integrated_gradients": [
        (lambda f, x, x0, c, m=64: (x - x0) * grad(f, x, c), ""),
        (lambda f, x, x0, c, m=64: (x - x0) * grad(f, x0, c), ""),
        (lambda *v: ig(*v) / (v[1] - v[2]), "factor x - x0 is missing"),
        (lambda *v: ig(*v) / (v[1] - v[2]) * v[1], ""),
        (lambda *v: -ig(*v), "sign"),
        (lambda f, x, x0, *v: ig(f, x, 0 * x, *v), "taken for 0"),
        (lambda f, x, x0, c, m=64: m * ig(f, x, x0, c, m), "summed"),
        (shrinking, "every point"),
        (lambda *v: ig(*v).mean(0).expand_as(v[1]), "batch"),
        (from_zero, ""),
        (along(lambda m: [0.5]), "path integral"),
        (lambda f, x, x0, c, m=64: ig(f, x, x0, f(x).argmax(1), m), ""),
    ],
    "guided_relu": [
        (lambda z, g: g * (z > 0), "this is the gradient"),
        (lambda z, g: g.relu(), "deconvnet"),
        (lambda z, g: z.relu() * g.relu(), "multiplied"),
        (lambda z, g: z * g.relu(), ""),
        (lambda z, g: g.relu() * (z >= 0), "exactly 0"),
        (lambda z, g: g.abs() * (z > 0), "turned positive"),
        (lambda z, g: z.relu(), ""),
        (lambda z, g: ((z > 0) & (g > 0)).float(), ""),
    ],
    "grad_cam_map": [
        (lambda A, g: (alpha(g) * A).sum(1), "negative values remain"),
        (lambda A, g: (alpha(g) * A).relu().sum(1), "too early"),
        (lambda A, g: (alpha(g).relu() * A).sum(1).relu(), "negative weights"),
        (lambda A, g: (g.sum((2, 3), keepdim=True) * A).sum(1).relu(), "means"),
        (lambda A, g: (g * A).sum(1).relu(), "place by place"),
        (lambda A, g: (alpha(g) * A).mean(1).relu(), "averaged"),
        (lambda A, g: (alpha(g) * A).sum(1).abs(), ""),
        (lambda A, g: cam_map(A, g).mean(0).expand(A[:, 0].shape), "batch"),
        (lambda A, g: (alpha(A) * g).sum(1).relu(), "not that of the equation"),
    ],
}

test_right_answers_are_accepted, test_wrong_answers_are_refused_with_the_fitting_hint = (
    accept_and_refuse(RIGHT, WRONG, leave={"finite_diff": ["single precision only"]})
)
