"""The checks of the exercises on sensitivity: wrong answers that students give are refused, right
ones of any style accepted.
"""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from students import accept_and_refuse, check, talking

torch.set_num_threads(1)


def score_of(f, x, c):
    return f(x).gather(1, c[:, None])[:, 0]


def grad(f, x, c, of=score_of):
    x = x.detach().clone().requires_grad_()
    return torch.autograd.grad(of(f, x, c).sum(), x)[0]


def as_list(right):
    return lambda *arguments: right(*arguments).tolist()


def as_array(right):
    return lambda *arguments: right(*arguments).detach().numpy()


def as_tuple(right):
    return lambda *arguments: tuple(right(*arguments))


def with_graph(right):
    return lambda *arguments: right(*arguments).clone().requires_grad_() * 1


def in_double(right):
    return lambda *arguments: right(*arguments).double()


# ---------------------------------------------------------------- right answers


def sensitivity(f, x, c):
    return grad(f, x, c) ** 2


def sensitivity_backward(f, x, c):
    rows = []
    for row, k in zip(x, c):
        leaf = row.detach().clone().requires_grad_()
        f(leaf[None])[0, k].backward(inputs=[leaf])
        rows.append(leaf.grad**2)
    return torch.stack(rows)


def sensitivity_jacobian(f, x, c):
    return torch.stack(
        [
            torch.autograd.functional.jacobian(lambda v: f(v[None])[0, k], row) ** 2
            for row, k in zip(x, c)
        ]
    )


def sensitivity_vmap(f, x, c):
    return torch.func.vmap(torch.func.grad(lambda row, k: f(row[None])[0].gather(0, k[None])[0]))(
        x, c
    ).square()


def sensitivity_hot(f, x, c):
    x = x.clone().requires_grad_()
    scores = f(x)
    (F.one_hot(c, scores.shape[1]) * scores).sum().backward(inputs=[x])
    return x.grad.pow(2)


def finite_diff(f, x, h):
    steps = h * torch.eye(len(x), dtype=x.dtype)
    return (f(x + steps) - f(x - steps)) / (2 * h)


def finite_diff_loop(f, x, h):
    result = []
    for i in range(len(x)):
        up, down = x.clone(), x.clone()
        up[i] += h
        down[i] -= h
        result.append((f(up[None])[0] - f(down[None])[0]) / (2 * h))
    return torch.stack(result)


def finite_diff_together(f, x, h):
    e = torch.eye(len(x)).to(x) * h
    both = f(torch.cat([x + e, x - e]))
    return (both[: len(x)] - both[len(x) :]) / h / 2


def smoothgrad(f, x, c, n, sigma):
    return sum(grad(f, x + sigma * torch.randn_like(x), c) for _ in range(n)) / n


def smoothgrad_at_once(f, x, c, n, sigma):
    many = x.repeat_interleave(n, 0)
    return (
        grad(f, many + sigma * torch.randn_like(many), c.repeat_interleave(n))
        .view(len(x), n, -1)
        .mean(1)
    )


def smoothgrad_numpy(f, x, c, n, sigma):
    total = torch.zeros_like(x)
    for _ in range(n):
        total += grad(
            f, x + torch.from_numpy(np.random.default_rng().normal(0, sigma, x.shape)).to(x), c
        )
    return total / n


def smoothgrad_normal(f, x, c, n, sigma):
    return torch.stack([grad(f, torch.normal(x, sigma), c) for _ in range(n)]).mean(0)


def smoothgrad_antithetic_free(f, x, c, n, sigma):
    generator = torch.Generator()
    generator.seed()
    return torch.stack(
        [
            grad(f, x + sigma * torch.randn(x.shape, generator=generator, dtype=x.dtype), c)
            for _ in range(n)
        ]
    ).mean(0)


def n_pieces(f, a, b, n=2001):
    t = torch.linspace(a, b, n, dtype=torch.float64)
    slope = f(t).diff() / t.diff()
    bends = slope.diff().abs() > 1e-6 * slope.abs().max().clamp(min=1)
    return 1 + int((bends[1:] & ~bends[:-1]).sum()) + int(bends[0])


def n_pieces_loop(f, a, b, n=2001):
    t = np.linspace(a, b, n)
    slopes = np.diff(f(torch.tensor(t)).numpy()) / np.diff(t)
    count, before = 1, slopes[0]
    for k in range(1, len(slopes) - 1):
        if abs(slopes[k] - before) > 1e-6 and abs(slopes[k + 1] - slopes[k]) < 1e-6:
            count, before = count + 1, slopes[k]
    return count


def n_pieces_tensor(f, a, b, n=2001):
    return torch.tensor(n_pieces(f, a, b, n))


def n_pieces_single(f, a, b, n=2001):
    t = torch.linspace(a, b, n)
    slope = f(t).diff() / t.diff()
    stable = slope.diff().abs() < 0.05 * slope.abs().max()
    levels = slope[:-1][stable]
    return 1 + int((levels.diff().abs() > 0.05 * slope.abs().max()).sum())


def ig(f, x, x0, c, m=64, parts=None):
    parts = [(k + 0.5) / m for k in range(m)] if parts is None else parts
    return (x - x0) * sum(grad(f, x0 + t * (x - x0), c) for t in parts) / len(parts)


def ig_right(f, x, x0, c, m=64):
    return ig(f, x, x0, c, m, [(k + 1) / m for k in range(m)])


def ig_left(f, x, x0, c, m=64):
    return ig(f, x, x0, c, m, [k / m for k in range(m)])


def ig_linspace(f, x, x0, c, m=64):
    return ig(f, x, x0, c, m, torch.linspace(0, 1, m).tolist())


def ig_gauss(f, x, x0, c, m=64):
    nodes, weights = np.polynomial.legendre.leggauss(m)
    return (x - x0) * sum(
        w / 2 * grad(f, x0 + (t + 1) / 2 * (x - x0), c)
        for t, w in zip(nodes.tolist(), weights.tolist())
    )


def ig_at_once(f, x, x0, c, m=64):
    t = ((torch.arange(m) + 0.5) / m).to(x)[:, None, None]
    points = (x0 + t * (x - x0)).flatten(0, 1)
    return (x - x0) * grad(f, points, c.repeat(m)).view(m, *x.shape).mean(0)


def guided(z, g):
    return g.clamp(min=0) * (z > 0)


def guided_where(z, g):
    return torch.where((z > 0) & (g > 0), g, 0.0)


def guided_autograd(z, g):
    z = z.clone().requires_grad_()
    return torch.autograd.grad(z.relu(), z, g.relu())[0]


def guided_loop(z, g):
    return [[float(v) if v > 0 and u > 0 else 0.0 for u, v in zip(*rows)] for rows in zip(z, g)]


def cam_map(A, g):
    return (g.mean((2, 3), keepdim=True) * A).sum(1).relu()


def cam_einsum(A, g):
    return torch.einsum("nk,nkhw->nhw", g.mean((2, 3)), A).clamp(min=0)


def cam_loop(A, g):
    maps = []
    for a, b in zip(A, g):
        total = torch.zeros(a.shape[1:], dtype=a.dtype)
        for k in range(len(a)):
            total = total + b[k].mean() * a[k]
        maps.append(torch.maximum(total, torch.zeros_like(total)))
    return torch.stack(maps)


def cam_mean_twice(A, g):
    return F.relu((g.mean(-1).mean(-1)[..., None, None] * A).sum(dim=1))


RIGHT = {
    "sensitivity": [
        sensitivity,
        sensitivity_backward,
        sensitivity_jacobian,
        sensitivity_vmap,
        sensitivity_hot,
    ],
    "finite_diff": [finite_diff, finite_diff_loop, finite_diff_together],
    "smoothgrad": [
        smoothgrad,
        smoothgrad_at_once,
        smoothgrad_numpy,
        smoothgrad_normal,
        smoothgrad_antithetic_free,
    ],
    "n_pieces": [n_pieces, n_pieces_loop, n_pieces_tensor, n_pieces_single],
    "integrated_gradients": [ig, ig_right, ig_left, ig_linspace, ig_gauss, ig_at_once],
    "guided_relu": [guided, guided_where, guided_autograd, guided_loop],
    "grad_cam_map": [cam_map, cam_einsum, cam_loop, cam_mean_twice],
}
STYLES = [as_list, as_array, as_tuple, with_graph, in_double, talking]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("name", [n for n in RIGHT if n != "n_pieces"])
def test_right_results_in_any_form_are_accepted(name, style, capfd):
    check(name)(style(RIGHT[name][0]))
    assert capfd.readouterr() == ("", "")


# ---------------------------------------------------------------- wrong answers


def softmaxed(f, x, c):
    return f(x).softmax(1).gather(1, c[:, None])[:, 0]


def forget_zero_grad(f, x, c, kept={}):
    kept["total"] = kept.get("total", 0) + 1
    return kept["total"] * sensitivity(f, x, c)


def fixed_seed(f, x, c, n, sigma):
    torch.manual_seed(0)
    return smoothgrad(f, x, c, n, sigma)


def one_noise(f, x, c, n, sigma):
    noise = torch.randn_like(x)
    return sum(grad(f, x + sigma * noise, c) for _ in range(n)) / n


def shared_by_samples(f, x, c, n, sigma):
    return sum(grad(f, x + sigma * torch.randn_like(x[:1]), c) for _ in range(n)) / n


def noise_on_the_gradient(f, x, c, n, sigma):
    return sum(grad(f, x, c) + sigma * torch.randn_like(x) for _ in range(n)) / n


def leave_requires_grad(f, x, c):
    x.requires_grad_()
    return torch.autograd.grad(score_of(f, x, c).sum(), x)[0] ** 2


def with_parameter_gradients(f, x, c):
    x = x.clone().requires_grad_()
    score_of(f, x, c).sum().backward()
    return x.grad**2


def changes_in_place(f, x, h):
    result = []
    for i in range(len(x)):
        x[i] += h
        up = f(x[None])[0]
        x[i] -= 2 * h
        result.append((up - f(x[None])[0]) / (2 * h))
    return torch.stack(result)


def counted_twice(f, a, b, n=2001):
    t = torch.linspace(a, b, n, dtype=torch.float64)
    return 1 + int(((f(t).diff() / t.diff()).diff().abs() > 1e-6).sum())


def sign_changes(f, a, b, n=2001):
    s = f(torch.linspace(a, b, n, dtype=torch.float64)).diff().sign()
    return 1 + int((s.diff() != 0).sum())


def distinct(f, a, b, n=2001):
    t = torch.linspace(a, b, n, dtype=torch.float64)
    return len(set((f(t).diff() / t.diff()).round(decimals=3).tolist()))


def shrinking(f, x, x0, c, m=64):
    return (
        sum(grad(f, x0 + t * (x - x0), c) * t * (x - x0) for t in [(k + 0.5) / m for k in range(m)])
        / m
    )


WRONG = {
    "sensitivity": [
        (lambda f, x, c: grad(f, x, c), "sensitivity is its square"),
        (lambda f, x, c: grad(f, x, c).abs(), "absolute values"),
        (lambda f, x, c: x * grad(f, x, c), "multiplies by the input"),
        (lambda f, x, c: grad(f, x, c, softmaxed) ** 2, "probability"),
        (
            lambda f, x, c: grad(f, x, c, lambda f, x, c: softmaxed(f, x, c).log()) ** 2,
            "logarithm|probability",
        ),
        (lambda f, x, c: grad(f, x, c, lambda f, x, c: f(x).sum(1)) ** 2, "sum of all logits"),
        (lambda f, x, c: grad(f, x, c, lambda f, x, c: f(x).max(1).values) ** 2, "highest logit"),
        (
            lambda f, x, c: grad(f, x, c, lambda f, x, c: score_of(f, x, c) ** 2),
            "derivative of the squared score",
        ),
        (lambda f, x, c: F.normalize(grad(f, x, c), dim=1) ** 2, "normalised"),
        (lambda f, x, c: sensitivity(f, x, c).mean(0).expand_as(x), "batch"),
        (lambda f, x, c: sensitivity(f, x, c).sum(1), "shape"),
        (leave_requires_grad, "requires_grad of an argument"),
        (with_parameter_gradients, "gradients of the model's parameters"),
        (forget_zero_grad, "second call|."),
        (lambda f, x, c: None, "returns None"),
    ],
    "finite_diff": [
        (
            lambda f, x, h: (f(x + h * torch.eye(len(x)).to(x)) - f(x[None])) / h,
            "forward differences",
        ),
        (
            lambda f, x, h: (f(x[None]) - f(x - h * torch.eye(len(x)).to(x))) / h,
            "backward differences",
        ),
        (lambda f, x, h: 2 * finite_diff(f, x, h), "2 h apart"),
        (lambda f, x, h: finite_diff(f, x, h / 2), "h / 2"),
        (lambda f, x, h: -finite_diff(f, x, h), "sign"),
        (lambda f, x, h: finite_diff(f, x, h) * 2 * h, "does not divide"),
        (
            lambda f, x, h: ((f((x + h)[None]) - f((x - h)[None])) / (2 * h)).expand(len(x)),
            "all inputs at once",
        ),
        (
            lambda f, x, h: torch.autograd.functional.jacobian(lambda v: f(v[None])[0], x),
            "exact derivative",
        ),
        (lambda f, x, h: finite_diff(f, x, 1e-4), "exact derivative|step"),
        (changes_in_place, "argument in place"),
        (lambda f, x, h: finite_diff(f, x.float(), h), "not the central|raises"),
        (lambda f, x, h: f(x), "raises"),
    ],
    "smoothgrad": [
        (lambda f, x, c, n, s: n * smoothgrad(f, x, c, n, s), "summed"),
        (lambda f, x, c, n, s: grad(f, x, c), "no noise"),
        (fixed_seed, "very same"),
        (one_noise, "same noise"),
        (shared_by_samples, "share their noise"),
        (noise_on_the_gradient, "spread|mean"),
        (lambda f, x, c, n, s: smoothgrad(f, x, c, n, s**0.5), "spread"),
        (lambda f, x, c, n, s: smoothgrad(f, x, c, n, s * 2), "spread"),
        (lambda f, x, c, n, s: smoothgrad(f, x, c, n, s).abs(), "absolute"),
        (lambda f, x, c, n, s: smoothgrad(f, x, c, n, s) ** 2, "squared"),
        (
            lambda f, x, c, n, s: sum(grad(f, x + s * torch.rand_like(x), c) for _ in range(n)) / n,
            "mean over many",
        ),
        (
            lambda f, x, c, n, s: (
                sum(grad(f, x + s * (2 * torch.rand_like(x) - 1), c) for _ in range(n)) / n
            ),
            "spread",
        ),
        (lambda f, x, c, n, s: smoothgrad(f, x, c, n, s * float(x.max() - x.min())), "spread"),
        (
            lambda f, x, c, n, s: (
                sum(grad(f, x + s * torch.randn(len(x), 1).to(x), c) for _ in range(n)) / n
            ),
            "spread",
        ),
    ],
    "n_pieces": [
        (lambda f, a, b, n=2001: n_pieces(f, a, b, n) - 1, r"k \+ 1 pieces"),
        (counted_twice, "counted twice"),
        (distinct, "different slopes"),
        (sign_changes, "sign|counted twice"),
        (lambda f, a, b, n=2001: n_pieces(f, a, b, n) + 1, "one piece too many"),
        (lambda f, a, b, n=2001: 8, "number of pieces|pieces"),
        (lambda f, a, b, n=2001: n_pieces(f, 0, 1, n), "number of pieces|kinks"),
        (lambda f, a, b, n=2001: n_pieces(f, a, b, 40), "number of pieces|twice|slopes|kinks"),
        (lambda f, a, b, n=2001: None, "returns None"),
    ],
    "integrated_gradients": [
        (lambda f, x, x0, c, m=64: (x - x0) * grad(f, x, c), "gradient at x alone"),
        (lambda f, x, x0, c, m=64: (x - x0) * grad(f, x0, c), "gradient at x0 alone"),
        (lambda f, x, x0, c, m=64: ig(f, x, x0, c, m) / (x - x0), "factor x - x0 is missing"),
        (lambda f, x, x0, c, m=64: ig(f, x, x0, c, m) / (x - x0) * x, "multiplies by x"),
        (lambda f, x, x0, c, m=64: -ig(f, x, x0, c, m), "sign"),
        (lambda f, x, x0, c, m=64: ig(f, x, 0 * x, c, m), "taken for 0"),
        (lambda f, x, x0, c, m=64: m * ig(f, x, x0, c, m), "summed"),
        (shrinking, "every point"),
        (lambda f, x, x0, c, m=64: ig(f, x, x0, c, m).mean(0).expand_as(x), "batch"),
        (
            lambda f, x, x0, c, m=64: (
                (x - x0) * sum(grad(f, t * x, c) for t in [(k + 0.5) / m for k in range(m)]) / m
            ),
            "starts at 0|path integral",
        ),
        (lambda f, x, x0, c, m=64: ig(f, x, x0, c, 1, [0.5]), "path integral"),
        (lambda f, x, x0, c, m=64: ig(f, x, x0, f(x).argmax(1), m), "path integral|."),
    ],
    "guided_relu": [
        (lambda z, g: g * (z > 0), "this is the gradient"),
        (lambda z, g: g.relu(), "deconvnet"),
        (lambda z, g: z.relu() * g.relu(), "multiplied"),
        (lambda z, g: z * g.relu(), "multiplied"),
        (lambda z, g: g.relu() * (z >= 0), "exactly 0"),
        (lambda z, g: g.abs() * (z > 0), "turned positive"),
        (lambda z, g: z.relu(), "ReLU of z"),
        (lambda z, g: ((z > 0) & (g > 0)).float(), "signs"),
        (lambda z, g: g.clamp_(min=0) * (z > 0), "argument in place"),
    ],
    "grad_cam_map": [
        (lambda A, g: (g.mean((2, 3), keepdim=True) * A).sum(1), "negative values remain"),
        (lambda A, g: (g.mean((2, 3), keepdim=True) * A).relu().sum(1), "too early"),
        (lambda A, g: (g.mean((2, 3), keepdim=True).relu() * A).sum(1).relu(), "negative weights"),
        (lambda A, g: (g.sum((2, 3), keepdim=True) * A).sum(1).relu(), "means"),
        (lambda A, g: (g * A).sum(1).relu(), "place by place"),
        (lambda A, g: (g.mean((2, 3), keepdim=True) * A).mean(1).relu(), "averaged"),
        (lambda A, g: (g.mean((2, 3), keepdim=True) * A).sum(1).abs(), "absolute"),
        (lambda A, g: cam_map(A, g)[:, None], "shape"),
        (lambda A, g: cam_map(A, g).mean(0).expand(A[:, 0].shape), "batch"),
        (lambda A, g: (A.mean((2, 3), keepdim=True) * g).sum(1).relu(), "not that of the equation"),
    ],
}


test_right_answers_are_accepted, test_wrong_answers_are_refused_with_the_fitting_hint = (
    accept_and_refuse(RIGHT, WRONG)
)
