"""The checks of the exercises on GANs: wrong answers that students give are refused, right ones of
any style accepted.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from students import accept_and_refuse

torch.set_num_threads(1)


# ---------------------------------------------------------------- right answers


def d_loss(r, f):
    return F.softplus(-r).mean() + F.softplus(f).mean()


def g_loss(f):
    return F.softplus(-f).mean()


def step(G, D, opt_g, opt_d, x, z):
    opt_d.zero_grad()
    d_loss(D(x), D(G(z).detach())).backward()
    opt_d.step()
    opt_g.zero_grad()
    g_loss(D(G(z))).backward()
    opt_g.step()


def step_zero_after(G, D, opt_g, opt_d, x, z):
    d_loss(D(x), D(G(z).detach())).backward()
    opt_d.step()
    g_loss(D(G(z))).backward()
    opt_g.step()
    opt_g.zero_grad(), opt_d.zero_grad()


def step_zero_after_d(
    G, D, opt_g, opt_d, x, z
):  # the gradients of D's step act no more, though G's backward pass adds to them
    d_loss(D(x), D(G(z).detach())).backward()
    opt_d.step()
    opt_d.zero_grad(set_to_none=False)
    g_loss(D(G(z))).backward()
    opt_g.step()
    for p in [*G.parameters(), *D.parameters()]:
        p.grad = None


def step_frozen(G, D, opt_g, opt_d, x, z):
    with torch.no_grad():
        fake = G(z)
    opt_d.zero_grad()
    d_loss(D(x), D(fake)).backward()
    opt_d.step()
    D.requires_grad_(False)
    opt_g.zero_grad()
    loss = g_loss(D(G(z)))
    loss.backward()
    opt_g.step()
    D.requires_grad_(True)
    return loss.item()


def step_with_one_forward_pass(G, D, opt_g, opt_d, x, z):
    fake = G(z)
    opt_d.zero_grad()
    d_loss(D(x), D(fake.detach())).backward()
    opt_d.step()
    opt_g.zero_grad()
    g_loss(D(fake)).backward()
    opt_g.step()


def step_by_grad(G, D, opt_g, opt_d, x, z):
    for net, opt, loss in (
        (D, opt_d, lambda: d_loss(D(x), D(G(z)))),
        (G, opt_g, lambda: g_loss(D(G(z)))),
    ):
        for p, slope in zip(net.parameters(), torch.autograd.grad(loss(), list(net.parameters()))):
            p.grad = slope
        opt.step()


def step_with_bce(G, D, opt_g, opt_d, x, z):
    real, fake = torch.ones(len(x), dtype=x.dtype), torch.zeros(len(z), dtype=x.dtype)
    D.zero_grad()
    F.binary_cross_entropy_with_logits(D(x), real).backward()
    F.binary_cross_entropy_with_logits(D(G(z).detach()), fake).backward()
    opt_d.step()
    G.zero_grad()
    F.binary_cross_entropy_with_logits(D(G(z)), real).backward()
    opt_g.step()


def best(p, q):
    return torch.where(p + q > 0, p / (p + q), torch.full_like(p, 0.5))


def jsd(p, q):
    m = (p + q) / 2
    return (torch.xlogy(p, p) + torch.xlogy(q, q)).sum() / 2 - torch.xlogy(m, m).sum()


def jsd_by_loop(p, q):
    total = 0.0
    for a, b in zip(p.tolist(), q.tolist()):
        for v in (a, b):
            if v > 0:
                total += 0.5 * v * math.log(2 * v / (a + b))
    return total


def modes(s, c, r, m):
    return int(((torch.cdist(s, c) <= r).sum(0) >= m).sum())


def slopes(critic, x):
    x = x.detach().clone().requires_grad_()
    return torch.autograd.grad(critic(x).sum(), x, create_graph=True)[0]


def penalty(critic, x):
    return ((slopes(critic, x).norm(dim=1) - 1) ** 2).mean()


def penalty_by_rows(critic, x):
    return sum(
        (slopes(critic, x[[n]])[0].pow(2).sum().sqrt() - 1) ** 2 for n in range(len(x))
    ) / len(x)


RIGHT = {
    "d_loss": [
        d_loss,
        lambda r, f: -(F.logsigmoid(r).mean() + F.logsigmoid(-f).mean()),
        lambda r, f: (
            F.binary_cross_entropy_with_logits(r, torch.ones_like(r))
            + F.binary_cross_entropy_with_logits(f, torch.zeros_like(f))
        ),
        lambda r, f: d_loss(r.double(), f.double()).item(),
        lambda r, f: np.logaddexp(0, -r.numpy()).mean() + np.logaddexp(0, f.numpy()).mean(),
        lambda r, f: d_loss(r.clone().requires_grad_(), f),
    ],
    "g_loss_nonsaturating": [
        g_loss,
        lambda f: -F.logsigmoid(f).mean(),
        lambda f: F.binary_cross_entropy_with_logits(f, torch.ones_like(f)),
        lambda f: sum(F.softplus(-v) for v in f) / len(f),
        lambda f: g_loss(f).numpy(),
        lambda f: torch.logaddexp(-f, torch.zeros_like(f)).mean(),
    ],
    "train_step": [
        step,
        step_zero_after,
        step_zero_after_d,
        step_frozen,
        step_with_one_forward_pass,
        step_by_grad,
        step_with_bce,
    ],
    "optimal_discriminator": [
        best,
        lambda p, q: torch.nan_to_num(p / (p + q), nan=0.5),
        lambda p, q: [a / (a + b) if a + b > 0 else 0.5 for a, b in zip(p.tolist(), q.tolist())],
        lambda p, q: np.where(
            (p + q).numpy() > 0,
            p.double().numpy() / np.maximum((p + q).double().numpy(), 1e-300),
            0.5,
        ),
        lambda p, q: 1 - best(q, p),
    ],
    "jsd": [
        jsd,
        jsd_by_loop,
        lambda p, q: jsd(p.double(), q.double()),
        lambda p, q: (
            sum(
                F.kl_div(
                    ((p.double() + q.double()) / 2).clamp(min=1e-300).log(), v, reduction="sum"
                )
                for v in (p.double(), q.double())
            )
            / 2
        ),
        lambda p, q: jsd(p, q).numpy(),
        lambda p, q: (
            math.log(2) + (torch.xlogy(p, best(p, q)) + torch.xlogy(q, best(q, p))).sum() / 2
        ),
    ],
    "modes_covered": [
        modes,
        lambda s, c, r, m: sum(int(((s - k).norm(dim=1) <= r).sum() >= m) for k in c),
        lambda s, c, r, m: (((s[:, None] - c) ** 2).sum(2) <= r**2).sum(0).ge(m).sum(),
        lambda s, c, r, m: sum(
            sum(math.dist(a, b) <= r for a in s.tolist()) >= m for b in c.tolist()
        ),
        lambda s, c, r, m: float(modes(s, c, r, m)),
        lambda s, c, r, m: np.int64(
            (np.linalg.norm(s.numpy()[:, None] - c.numpy(), axis=2) <= r).sum(0).__ge__(m).sum()
        ),
    ],
    "slope_penalty": [
        penalty,
        penalty_by_rows,
        lambda c, x: ((slopes(c, x).pow(2).sum(1).sqrt() - 1).square()).mean(),
        lambda c, x: [penalty(c, x)][0].double(),
        lambda c, x: (1 - torch.linalg.vector_norm(slopes(c, x), dim=1)).pow(2).sum() / len(x),
    ],
}


# ---------------------------------------------------------------- wrong answers


def game(
    d_of=lambda D, x, fake: d_loss(D(x), D(fake)),
    g_of=lambda D, fake: g_loss(D(fake)),
    detach=True,
    zero_d=True,
    zero_g=True,
    order="dg",
    step_d=1,
    step_g=1,
    both=False,
):
    def answer(G, D, opt_g, opt_d, x, z):
        for player in order:
            if player == "d":
                for _ in range(step_d):
                    if zero_d:
                        opt_d.zero_grad()
                    fake = G(z)
                    d_of(D, x, fake.detach() if detach else fake).backward()
                    opt_d.step()
            else:
                for _ in range(step_g):
                    if zero_g:
                        opt_g.zero_grad()
                    if both:
                        opt_d.zero_grad()
                    g_of(D, G(z)).backward()
                    opt_g.step()
                    if both:
                        opt_d.step()

    return answer


def joint(G, D, opt_g, opt_d, x, z):
    """Both losses before both steps."""
    fake = G(z)
    opt_d.zero_grad(), opt_g.zero_grad()
    slopes_d = torch.autograd.grad(d_loss(D(x), D(fake.detach())), list(D.parameters()))
    slopes_g = torch.autograd.grad(g_loss(D(fake)), list(G.parameters()))
    for p, s in zip([*D.parameters(), *G.parameters()], [*slopes_d, *slopes_g]):
        p.grad = s
    opt_d.step(), opt_g.step()


def summed_step(G, D, opt_g, opt_d, x, z):
    opt_d.zero_grad(), opt_g.zero_grad()
    d_loss(D(x), D(G(z).detach())).backward()
    g_loss(D(G(z))).backward()
    opt_d.step(), opt_g.step()


def other_z(G, D, opt_g, opt_d, x, z):
    step(G, D, opt_g, opt_d, x, torch.randn_like(z))


def left_in_eval(G, D, opt_g, opt_d, x, z):
    step(G, D, opt_g, opt_d, x, z)
    G.eval()


def frozen_for_ever(G, D, opt_g, opt_d, x, z):
    step(G, D, opt_g, opt_d, x, z)
    D.requires_grad_(False)


def first_call_only(answer, seen=()):
    seen = list(seen)

    def once(*arguments):
        seen.append(1)
        return answer(*arguments) if len(seen) == 1 else None

    return once


def kl(p, q):
    return torch.xlogy(p, p / q).nansum()


def in_place(critic, x):
    x.requires_grad_()
    (s,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    return ((s.norm(dim=1) - 1) ** 2).mean()


WRONG = {
    "d_loss": [
        (lambda r, f: -d_loss(r, f), "sign"),
        (lambda r, f: d_loss(f, r), "exchanged"),
        (lambda r, f: d_loss(r, f) / 2, "averaged once more"),
        (lambda r, f: d_loss(r, -f), "should pass for real"),
        (lambda r, f: torch.cat([F.softplus(-r), F.softplus(f)]).mean(), "share one mean"),
        (lambda r, f: F.softplus(-r).sum() + F.softplus(f).sum(), "summed"),
        (lambda r, f: F.softplus(-r).mean(), "generated samples is missing"),
        (lambda r, f: F.softplus(f).mean(), "real data is missing"),
        (lambda r, f: d_loss(r.sigmoid(), f.sigmoid()), "twice"),
        (
            lambda r, f: -(r.sigmoid().log().mean() + (1 - f.sigmoid()).log().mean()),
            "NaN or infinite",
        ),
        (
            lambda r, f: (
                -((r.sigmoid() + 1e-8).log().mean() + (1 - f.sigmoid() + 1e-8).log().mean())
            ),
            "nothing is cut off",
        ),
        (lambda r, f: f.mean() - r.mean(), "Wasserstein"),
        (lambda r, f: d_loss(r.clamp_(-50, 50), f), "argument in place"),
        (lambda r, f: -(r.log() + (1 - f).log()).mean(), "NaN|raises"),
        (lambda r, f: F.softplus(-r) + F.softplus(f), "shape|raises"),
        (lambda r, f: ((r - 1) ** 2).mean() + (f**2).mean(), "least squares"),
    ],
    "g_loss_nonsaturating": [
        (lambda f: -F.softplus(f).mean(), "saturating"),
        (lambda f: F.softplus(f).mean(), "found out"),
        (lambda f: -g_loss(f), "sign"),
        (lambda f: F.softplus(-f).sum(), "summed"),
        (lambda f: g_loss(f.sigmoid()), "twice"),
        (lambda f: -f.sigmoid().log().mean(), "NaN or infinite"),
        (lambda f: -f.mean(), "Wasserstein"),
        (lambda f: F.softplus(-f), "shape"),
        (lambda f: g_loss(f) / math.log(2), "base 2"),
        (lambda f: -(f.sigmoid().clamp(1e-7, 1 - 1e-7)).log().mean(), "nothing is cut off"),
        (lambda f: (1 - f.sigmoid()).mean(), "no logarithm"),
        (lambda f: ((f - 1) ** 2).mean(), "least squares"),
    ],
    "train_step": [
        (game(order="g"), "D has not moved"),
        (game(order="d"), "G has not moved"),
        (game(order="gd"), "G moves first|old D"),
        (joint, "old D"),
        (summed_step, "old D|leaks|left over|moves D"),
        (game(zero_d=False), "left over"),
        (game(zero_g=False), "left over"),
        (game(detach=False, zero_g=False), "leaks into G"),
        (game(g_of=lambda D, f: -F.softplus(D(f)).mean()), "saturating"),
        (game(g_of=lambda D, f: -g_loss(D(f))), "climbs"),
        (game(d_of=lambda D, x, f: -d_loss(D(x), D(f))), "climbs"),
        (game(both=True), "own network"),
        (game(step_d=2), "two steps"),
        (game(d_of=lambda D, x, f: d_loss(D(x), D(f)) / 2), "halved"),
        (game(d_of=lambda D, x, f: F.softplus(-D(x)).mean()), "only of the real"),
        (game(d_of=lambda D, x, f: F.softplus(D(f)).mean()), "only of the generated"),
        (game(g_of=lambda D, f: F.softplus(D(f)).mean()), "helps D"),
        (game(g_of=lambda D, f: F.softplus(-D(f)).sum()), "summed"),
        (other_z, "does not end"),
        (left_in_eval, "mode"),
        (frozen_for_ever, "requires_grad"),
        (game(g_of=lambda D, f: g_loss(D(f.detach()))), "has not moved"),
        (first_call_only(step), "not moved"),
        (lambda G, D, og, od, x, z: step(G, D, og, od, x.mul_(2), z), "in place|does not end"),
        (lambda G, D, og, od, x, z: step(G, D, od, og, x, z), "own network|moved|does not end"),
        (game(step_g=2), "does not end"),
        (game(d_of=lambda D, x, f: d_loss(D(x), -D(f))), "generated samples are real"),
        (game(d_of=lambda D, x, f: F.softplus(-D(x)).sum() + F.softplus(D(f)).sum()), "summed"),
    ],
    "optimal_discriminator": [
        (lambda p, q: p / (p + q), "NaN"),
        (lambda p, q: best(q, p), "exchanged"),
        (lambda p, q: torch.nan_to_num(p / (p + q)), "1/2"),
        (lambda p, q: p / (p + q + 1e-8), "1/2|place by place"),
        (lambda p, q: torch.full_like(p, 0.5), "only at the equilibrium"),
        (lambda p, q: (p > q).double(), "1/2|not 0 or 1|place by place"),
        (lambda p, q: p / (p + q).sum(), "each place"),
        (lambda p, q: torch.where(q > 0, p / q, torch.full_like(p, 0.5)), "ratio"),
        (lambda p, q: best(p, q).mean(), "shape"),
        (lambda p, q: best(p.add_(q), q), "in place"),
        (lambda p, q: best(p, q) / 2, "half|1/2"),
        (lambda p, q: best(p, q).round(decimals=1), "place by place"),
    ],
    "jsd": [
        (lambda p, q: 2 * jsd(p, q), "one half"),
        (lambda p, q: jsd(p, q) / math.log(2), "base 2"),
        (lambda p, q: jsd(p, q).clamp(min=0).sqrt(), "root"),
        (lambda p, q: -jsd(p, q), "sign"),
        (lambda p, q: 2 * jsd(p, q) - math.log(4), "value of the game"),
        (lambda p, q: kl(p, (p + q) / 2), "side of p"),
        (lambda p, q: kl(q, (p + q) / 2), "side of q"),
        (
            lambda p, q: 0.5 * (p * (2 * p / (p + q)).log() + q * (2 * q / (p + q)).log()).sum(),
            "NaN",
        ),
        (
            lambda p, q: 0.5 * (kl(p + 1e-12, q + 1e-12) + kl(q + 1e-12, p + 1e-12)),
            "with each other|not 1/2",
        ),
        (lambda p, q: jsd(p, q) / len(p), "averaged"),
        (lambda p, q: jsd(p, q) - math.log(2), "their sum"),
        (lambda p, q: jsd(p.div_(2), q), "in place"),
        (
            lambda p, q: (
                (p * (2 * p / (p + q)).log() + q * (2 * q / (p + q)).log())[(p > 0) & (q > 0)].sum()
                / 2
            ),
            "left out",
        ),
        (lambda p, q: jsd(p, q) + 0.01, "not 1/2"),
    ],
    "modes_covered": [
        (lambda s, c, r, m: int(((torch.cdist(s, c) <= r).sum(0) > m).sum()), "at least"),
        (lambda s, c, r, m: modes(s, c, r, 1), "min_count is ignored"),
        (lambda s, c, r, m: int(((torch.cdist(s, c) ** 2 <= r).sum(0) >= m).sum()), "squared"),
        (
            lambda s, c, r, m: int((((s[:, None] - c).abs().amax(2) <= r).sum(0) >= m).sum()),
            "square",
        ),
        (lambda s, c, r, m: int(((torch.cdist(s, c, p=1) <= r).sum(0) >= m).sum()), r"\|dx\|"),
        (
            lambda s, c, r, m: int(
                (torch.bincount(torch.cdist(s, c).argmin(1), minlength=len(c)) >= m).sum()
            ),
            "radius is ignored",
        ),
        (lambda s, c, r, m: len(c) - modes(s, c, r, m), "lost"),
        (lambda s, c, r, m: int((torch.cdist(s, c) <= r).any(1).sum()), "samples"),
        (lambda s, c, r, m: modes(s, c, r, m) / len(c), "share"),
        (lambda s, c, r, m: len(c), "all modes"),
        (lambda s, c, r, m: (torch.cdist(s, c) <= r).sum(0) >= m, "tensor was expected|shape"),
        (lambda s, c, r, m: modes(s.mul_(2), c, 2 * r, m), "in place|number"),
        (lambda s, c, r, m: modes(s, c, 3 * r, m), "number|all modes"),
        (
            lambda s, c, r, m: int(
                (
                    torch.bincount(
                        torch.cdist(s, c).argmin(1)[torch.cdist(s, c).amin(1) <= r],
                        minlength=len(c),
                    )
                    >= m
                ).sum()
            ),
            "number",
        ),
    ],
    "slope_penalty": [
        (lambda c, x: (slopes(c, x).norm(dim=1) - 1).mean(), "not squared"),
        (lambda c, x: ((slopes(c, x).norm(dim=1) - 1).relu() ** 2).mean(), "below 1"),
        (lambda c, x: (slopes(c, x).norm(dim=1) ** 2).mean(), "to 0"),
        (lambda c, x: ((slopes(c, x).pow(2).sum(1) - 1) ** 2).mean(), "root"),
        (lambda c, x: ((slopes(c, x).norm(dim=1) - 1) ** 2).sum(), "summed"),
        (lambda c, x: (slopes(c, x).norm(dim=1).mean() - 1) ** 2, "before the square"),
        (lambda c, x: (slopes(c, x).norm() - 1) ** 2, "whole batch"),
        (lambda c, x: ((slopes(c, x) - 1) ** 2).mean(), "each coordinate"),
        (in_place, "requires_grad of an argument"),
        (lambda c, x: ((slopes(c, x).detach().norm(dim=1) - 1) ** 2).mean(), "create_graph"),
        (lambda c, x: ((slopes(c, x).norm(dim=1) / len(x) - 1) ** 2).mean(), "N times too short"),
        (lambda c, x: penalty(c, x).item(), "create_graph"),
        (lambda c, x: (slopes(c, x).norm(dim=1) - 1) ** 2, "shape"),
        (
            lambda c, x: ((slopes(c, x).norm(dim=0) - 1) ** 2).mean(),
            "mean of|whole batch|coordinate",
        ),
        (lambda c, x: 10 * penalty(c, x), "mean of"),
    ],
}


test_right_answers_are_accepted, test_wrong_answers_are_refused_with_the_fitting_hint = (
    accept_and_refuse(RIGHT, WRONG)
)
