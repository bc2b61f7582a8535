"""The checks of the exercises on sensitivity: see `students.judged` for what a row is."""

import numpy as np
import torch
from students import judged

steps = lambda x, h: h * torch.eye(len(x)).to(x)
numpy_noise = lambda x: torch.from_numpy(np.random.default_rng().normal(0, 1, x.shape)).to(x)


def grad(f, x, c):
    x = x.detach().clone().requires_grad_()
    return torch.autograd.grad(f(x).gather(1, c[:, None]).sum(), x)[0]


def with_vmap(f, x, c):
    one = torch.func.grad(lambda row, k: f(row[None])[0].gather(0, k[None])[0])
    return torch.func.vmap(one)(x, c).square()


def leaves_gradients(f, x, c):
    x = x.clone().requires_grad_()
    f(x).gather(1, c[:, None]).sum().backward()
    return x.grad**2


def diff_together(f, x, h):
    both = f(torch.cat([x + steps(x, h), x - steps(x, h)]))
    return (both[: len(x)] - both[len(x) :]) / h / 2


def smooth_at_once(f, x, c, n, sigma):
    many = x.repeat_interleave(n, 0)
    g = grad(f, many + sigma * torch.randn_like(many), c.repeat_interleave(n))
    return g.view(len(x), n, -1).mean(1)


def grid(f, a, b, n):
    t = torch.linspace(a, b, n, dtype=torch.float64)
    return f(t).diff() / t.diff()


def pieces_single(f, a, b, n=2001):
    t = torch.linspace(a, b, n)
    slope = f(t).diff() / t.diff()
    levels = slope[:-1][slope.diff().abs() < 0.05 * slope.abs().max()]
    return 1 + int((levels.diff().abs() > 0.05 * slope.abs().max()).sum())


def ig_at_once(f, x, x0, c, m=64):
    t = ((torch.arange(m) + 0.5) / m).to(x)[:, None, None]
    points = (x0 + t * (x - x0)).flatten(0, 1)
    return (x - x0) * grad(f, points, c.repeat(m)).view(m, *x.shape).mean(0)


def guided_autograd(z, g):
    z = z.clone().requires_grad_()
    return torch.autograd.grad(z.relu(), z, g.relu())[0]


ANSWERS = {
    "sensitivity": [
        with_vmap,
        ("gradient**2", "gradient", "sensitivity is its square"),
        ("gradient**2", "gradient.abs()", "absolute values"),
        ("gradient**2", "x * gradient", "multiplies by the input"),
        ("f(x)", "f(x).softmax(1)", "probability"),
        ("f(x)", "f(x).log_softmax(1)", "logarithm"),
        (".gather(1, c[:, None])", "", ""),
        (".gather(1, c[:, None])", ".max(1).values", "highest logit"),
        (".sum()", ".square().sum()", "gradient**2", "gradient", "derivative of the squared score"),
        ("gradient**2", "F.normalize(gradient, dim=1) ** 2", ""),
        ("right.mean(0).expand_as(x)", "batch"),
        ("x.detach().clone()", "x", "requires_grad of an argument"),
        (leaves_gradients, "gradients of the model's parameters"),
        (
            *("x, c)", "x, c, calls=[])"),
            *("return gradient**2", "calls.append(1)\n    return len(calls) * gradient**2", ""),
        ),
    ],
    "finite_diff": [
        diff_together,
        ("(f(x + steps(x, h)) - f(x[None])) / h", "forward differences"),
        ("(f(x[None]) - f(x - steps(x, h))) / h", "backward differences"),
        ("2 * right", "2 h apart"),
        ("finite_diff(f, x, h / 2)", ""),
        ("-right", "sign"),
        ("right * 2 * h", "does not divide"),
        ("((f((x + h)[None]) - f((x - h)[None])) / (2 * h)).expand(len(x))", "all inputs at once"),
        ("torch.func.jacrev(lambda v: f(v[None])[0])(x)", "exact derivative"),
        ("finite_diff(f, x, 1e-4)", "exact derivative"),
        ("finite_diff(f, x.float(), h)", "not the central|raises"),
        ("f(x)", "raises"),
    ],
    "smoothgrad": [
        smooth_at_once,
        ("torch.randn_like(x)", "numpy_noise(x)", None),
        ("n * right", "summed"),
        ("grad(f, x, c)", ""),
        ("total = ", "torch.manual_seed(0)\n    total = ", "very same"),
        (
            *("    for", "    noise = torch.randn_like(x)\n    for"),
            *("sigma * torch.randn_like(x)", "sigma * noise", ""),
        ),
        ("randn_like(x)", "randn_like(x[:1])", "share their noise"),
        ("grad(f, x, c) + sigma * torch.randn(n, *x.shape).to(x).mean(0)", "spread|mean"),
        ("smoothgrad(f, x, c, n, sigma**0.5)", "spread"),
        ("smoothgrad(f, x, c, n, sigma * 2)", "spread"),
        ("right.abs()", "absolute"),
        ("right**2", "squared"),
        ("randn_like", "rand_like", "mean over many"),
        ("torch.randn_like(x)", "(2 * torch.rand_like(x) - 1)", "spread"),
        ("torch.randn_like(x)", "torch.randn_like(x) * (x.max() - x.min())", "spread"),
        ("torch.randn_like(x)", "torch.randn(len(x), 1).to(x)", "spread"),
    ],
    "n_pieces": [
        "torch.tensor(right)",
        pieces_single,
        ("right - 1", r"k \+ 1 pieces"),
        ("1 + int((grid(f, a, b, n).diff().abs() > 1e-6).sum())", "counted twice"),
        ("len(set(grid(f, a, b, n).round(decimals=3).tolist()))", "different slopes"),
        ("1 + int((grid(f, a, b, n).sign().diff() != 0).sum())", "sign|counted twice"),
        ("right + 1", "one piece too many"),
        ("8", "pieces"),
        ("n_pieces(f, 0, 1, n)", "number of pieces|kinks"),
        ("n_pieces(f, a, b, 40)", ""),
    ],
    "integrated_gradients": [
        ("(k + 0.5) / m", "(k + 1) / m", None),
        ("(k + 0.5) / m", "k / m", None),
        ("(k + 0.5) / m", "k / (m - 1)", None),
        ig_at_once,
        ("(x - x0) * grad(f, x, c)", ""),
        ("(x - x0) * grad(f, x0, c)", ""),
        ("right / (x - x0)", "factor x - x0 is missing"),
        ("right / (x - x0) * x", ""),
        ("-right", "sign"),
        ("integrated_gradients(f, x, 0 * x, c, m)", "taken for 0"),
        ("m * right", "summed"),
        ("total += ", "total += t * ", "every point"),
        ("right.mean(0).expand_as(x)", "batch"),
        ("x0 + t * (x - x0)", "t * x", ""),
        ("(k + 0.5) / m", "0.5", "path integral"),
        ("integrated_gradients(f, x, x0, f(x).argmax(1), m)", ""),
        ("1.01 * right", "not exact"),
        ("right.round(decimals=2)", "not exact"),
    ],
    "guided_relu": [
        "torch.where((z > 0) & (g > 0), g, 0.0)",
        guided_autograd,
        ("g * (z > 0)", "this is the gradient"),
        ("g.relu()", "deconvnet"),
        ("z.relu() * g.relu()", "multiplied"),
        ("z * g.relu()", ""),
        ("g.relu() * (z >= 0)", "exactly 0"),
        ("g.abs() * (z > 0)", "turned positive"),
        ("z.relu()", ""),
        ("((z > 0) & (g > 0)).float()", ""),
    ],
    "grad_cam_map": [
        'torch.einsum("nk,nkhw->nhw", g.mean((2, 3)), A).clamp(min=0)',
        (".clamp(min=0)", "", "negative values remain"),
        (".sum(1).clamp(min=0)", ".relu().sum(1)", "too early"),
        ("alpha * A", "alpha.relu() * A", "negative weights"),
        ("g.mean(", "g.sum(", "means"),
        ("alpha * A", "g * A", "place by place"),
        (".sum(1)", ".mean(1)", "averaged"),
        (".clamp(min=0)", ".abs()", ""),
        ("right.mean(0).expand(A[:, 0].shape)", "batch"),
        ("grad_cam_map(g, A)", "not that of the equation"),
    ],
}

test_right_answers, test_wrong_answers = judged(
    ANSWERS, globals(), leave={"finite_diff": ["single precision only"]}
)
