"""The checks of the exercises on interpretability: see `students.judged` for what a row is."""

import itertools

import torch
from sklearn.linear_model import LinearRegression
from students import judged

near = lambda Z, s: torch.exp(-((1 - Z) ** 2).sum(1) / s**2)
in_order = lambda players: [tuple(players)]
drawn = lambda players: [tuple(torch.randperm(len(players)).tolist()) for _ in range(20)]


def times_vmap(f, x, c):
    one = torch.func.grad(lambda row, k: f(row[None])[0].gather(0, k[None])[0])
    return x * torch.func.vmap(one)(x, c)


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


def occluded_one_by_one(f, x, c, k, fill):
    out = torch.zeros(x.shape[2] // k, x.shape[3] // k, dtype=x.dtype)
    for a, b in itertools.product(*map(range, out.shape)):
        y = x.clone()
        y[:, :, a * k : (a + 1) * k, b * k : (b + 1) * k] = fill
        out[a, b] = f(x)[0, c] - f(y)[0, c]
    return out


def lime_normal(f, x, Z, s):
    W = torch.diag(near(Z, s)).double()
    A = torch.hstack([Z, torch.ones(len(Z), 1, dtype=Z.dtype)]).double()
    return torch.linalg.solve(A.T @ W @ A, A.T @ W @ f(Z * x).double())[:-1]


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


ANSWERS = {
    "linear_contributions": [
        'torch.einsum("d,nd->nd", w, x - x0)',
        ("w * x", "x0 does not take part"),
        ("w * (x0 - x)", "sign"),
        ("right.abs()", "has a sign"),
        ("x - x0", "weights do not take part"),
        ("w.expand_as(x)", ""),
        ("right / right.sum(1, keepdim=True)", "by their sum|NaN"),
        ("w * (x - x.mean(0))", ""),
    ],
    "grad_times_input": [
        times_vmap,
        ("x * gradient", "gradient", "factor x is missing"),
        (".gather(1, c[:, None])", "", "all classes"),
        ("f(leaf)", "f(leaf).softmax(1)", "logit"),
        ("f(leaf)", "f(leaf).log_softmax(1)", "logit"),
        ("grad_times_input(f, x, c[:1].expand_as(c))", ""),
        ("grad_times_input(f, x, f(x).argmax(1))", "class"),
        ("right.abs()", "has a sign"),
        ("x * gradient", "gradient**2", ""),
        ("right / len(x)", ""),
        ("x * f(x).gather(1, c[:, None])", "derivative"),
        ("x.detach().clone()", "x", "requires_grad"),
    ],
    "class_prototype": [
        with_optimiser(torch.optim.SGD),
        "right.requires_grad_()",
        ("x + lr", "x - lr", "downhill"),
        (" - lam * (x**2).sum()", "", "penalty is missing"),
        ("] - lam", "] + lam", "penalty's sign"),
        ("] - lam", "] - 0.5 * lam", "2x"),
        ("class_prototype(f, c, x0, steps + 1, lr, lam)", "too many"),
        ("class_prototype(f, c, x0, max(steps - 1, 0), lr, lam)", ""),
        ("f(x)[", "f(x).softmax(1)[", "probability"),
        ("torch.autograd.grad(gain, x)[0]", "torch.autograd.grad(gain, x)[0].sign()", ""),
        ("class_prototype(f, c, 0 * x0, steps, lr, lam)", "starts at x0"),
        ("class_prototype(f, 0, x0, steps, lr, lam)", ""),
        ("x0", ""),
        (with_optimiser(torch.optim.Adam), ""),
    ],
    "occlusion": [
        occluded_one_by_one,
        lambda f, x, *v: occluded_one_by_one(f, x.clone().requires_grad_(), *v),
        ("-right", "sign is wrong"),
        ("right.abs()", "drop has a sign"),
        ("right.clamp(min=0)", "drop has a sign"),
        ("occlusion(f, x, c, k, 0.0)", "set to fill"),
        ("covered[n, ", "covered[n:, ", "stay covered"),
        ("covered[n, :", "covered[n, 0", "all channels"),
        ("f(x)", "f(x).softmax(1)", "f(covered)", "f(covered).softmax(1)", "probability"),
        ("right.T", "shape|exchanged"),
        ("right / k**2", ""),
        ("f(x)[0, c] - right", ""),
    ],
    "conservation_error": [
        "(fx - R.reshape(len(R), -1).sum(-1)).abs()",
        "((R.flatten(1).sum(1) - fx) ** 2).sqrt()",
        ("R.flatten(1).sum(1) - fx", ""),
        ("(R.flatten(1).mean(1) - fx).abs()", "averaged"),
        ("(R.abs().flatten(1).sum(1) - fx).abs()", "their sign"),
        ("right / fx.abs()", "relative|NaN"),
        ("right**2", ""),
        ("right.mean().expand_as(fx)", "batch"),
        ("((R.sum(-1) if R.dim() == 2 else R.sum(-1).flatten(1)[:, 0]) - fx).abs()", ""),
        ("(R.flatten(1).sum(1).abs() - fx.abs()).abs()", ""),
    ],
    "lime_weights": [
        lime_normal,
        lambda f, x, Z, s: LinearRegression().fit(Z.numpy(), f(Z * x).numpy(), near(Z, s)).coef_,
        ("[torch.ones_like(root), Z]", "[Z]", "[1:, 0]", "[:, 0]", "intercept is missing"),
        (".sqrt()", ".pow(0)", "not weighted"),
        (".sqrt()", "", "act twice"),
        ("((1 - Z) ** 2).sum(1) / sigma**2", "(1 - Z).sum(1) / sigma", "sigma is squared"),
        ("((1 - Z) ** 2).sum(1)", "(1 - Z).norm(dim=1)", ""),
        ("((1 - Z) ** 2)", "Z", "from z to 1"),
        ("f(Z * x)", "f(Z)", r"z \* x"),
        ("x * right", ""),
        ("sigma**2)", "sigma**2 / 2)", ""),
    ],
    "shapley_values": [
        lambda v: shapley_orders(v, itertools.permutations),
        shapley_dividends,
        ("orders / math.factorial(P)", "1 / P / math.comb(P - 1, s)", None),
        ("orders / math.factorial(P)", "0.5 ** (P - 1)", "count the same"),
        ("orders / math.factorial(P)", "(s == P - 1)", "full coalition"),
        ("orders / math.factorial(P)", "(s == 0)", ""),
        ("shapley_orders(v, in_order)", ""),
        ("right.flip(0)", "wrong order"),
        ("orders / math", "(P - s) * orders / math", ""),
        ("orders / math.factorial(P)", "orders", "divides by P!"),
        ("right + v[0] / math.log2(len(v))", ""),
        ("-right", "sign"),
        ("shapley_orders(v, drawn)", ""),
    ],
}

test_right_answers, test_wrong_answers = judged(ANSWERS, globals())
