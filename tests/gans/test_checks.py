"""The checks of the exercises on GANs: a row is an answer, to be accepted, or to be refused with a
hint.
"""

import math

import torch
import torch.nn.functional as F
from students import accept_and_refuse


def d_loss(r, f):
    return F.softplus(-r).mean() + F.softplus(f).mean()


def g_loss(f):
    return F.softplus(-f).mean()


def logs(p):
    return p.log().mean()


def bce(logits, target):
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))


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


def step_zero_after_d(G, D, opt_g, opt_d, x, z):
    """The gradients of D's step act no more, though G's backward pass adds to them."""
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


def step_with_bce(G, D, opt_g, opt_d, x, z):
    D.zero_grad()
    bce(D(x), 1).backward()
    bce(D(G(z).detach()), 0).backward()
    opt_d.step()
    G.zero_grad()
    bce(D(G(z)), 1).backward()
    opt_g.step()


def best(p, q):
    return torch.where(p + q > 0, p / (p + q), torch.full_like(p, 0.5))


def jsd(p, q):
    m = (p + q) / 2
    return (torch.xlogy(p, p) + torch.xlogy(q, q)).sum() / 2 - torch.xlogy(m, m).sum()


def jsd_terms(p, q):
    return p * (2 * p / (p + q)).log() + q * (2 * q / (p + q)).log()


def modes(s, c, r, m, distance=torch.cdist):
    return int(((distance(s, c) <= r).sum(0) >= m).sum())


def measured(distance):
    return lambda *v: modes(*v, distance)


def owners(s, c, r, m, far=float("inf")):
    """The modes that are the nearest of min_count samples."""
    least, own = torch.cdist(s, c).min(1)
    return int((torch.bincount(own[least <= far], minlength=len(c)) >= m).sum())


def slopes(critic, x):
    x = x.detach().clone().requires_grad_()
    return torch.autograd.grad(critic(x).sum(), x, create_graph=True)[0]


def penalty(critic, x):
    return ((slopes(critic, x).norm(dim=1) - 1) ** 2).mean()


def of_slopes(penalty):
    return lambda critic, x: penalty(slopes(critic, x))


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


# ---------------------------------------------------------------- the tables

RIGHT = {
    "d_loss": [
        d_loss,
        lambda r, f: -(F.logsigmoid(r).mean() + F.logsigmoid(-f).mean()),
        lambda r, f: bce(r, 1) + bce(f, 0),
    ],
    "g_loss_nonsaturating": [g_loss, lambda f: -F.logsigmoid(f).mean(), lambda f: bce(f, 1)],
    "train_step": [step, step_zero_after, step_zero_after_d, step_frozen, step_with_bce],
    "optimal_discriminator": [
        best,
        lambda p, q: torch.nan_to_num(p / (p + q), nan=0.5),
        lambda p, q: 1 - best(q, p),
    ],
    "jsd": [
        jsd,
        lambda p, q: jsd(p.double(), q.double()),
        lambda p, q: (torch.xlogy(p, 2 * best(p, q)) + torch.xlogy(q, 2 * best(q, p))).sum() / 2,
    ],
    "modes_covered": [
        modes,
        lambda s, c, r, m: (((s[:, None] - c) ** 2).sum(2) <= r**2).sum(0).ge(m).sum(),
    ],
    "slope_penalty": [
        penalty,
        lambda c, x: (1 - torch.linalg.vector_norm(slopes(c, x), dim=1)).pow(2).sum() / len(x),
    ],
}

WRONG = {
    "d_loss": [
        (lambda r, f: -d_loss(r, f), "sign"),
        (lambda r, f: d_loss(f, r), "exchanged"),
        (lambda r, f: d_loss(r, f) / 2, ""),
        (lambda r, f: d_loss(r, -f), "should pass for real"),
        (lambda r, f: torch.cat([F.softplus(-r), F.softplus(f)]).mean(), "share one mean"),
        (lambda r, f: F.softplus(-r).sum() + F.softplus(f).sum(), "summed"),
        (lambda r, f: F.softplus(-r).mean(), "generated samples is missing"),
        (lambda r, f: F.softplus(f).mean(), ""),
        (lambda r, f: d_loss(r.sigmoid(), f.sigmoid()), "twice"),
        (lambda r, f: -(logs(r.sigmoid()) + logs(1 - f.sigmoid())), "NaN or infinite"),
        (
            lambda r, f: -(logs(r.sigmoid() + 1e-8) + logs(1 - f.sigmoid() + 1e-8)),
            "nothing is cut off",
        ),
        (lambda r, f: f.mean() - r.mean(), ""),
        (lambda r, f: -(r.log() + (1 - f).log()).mean(), "NaN|raises"),
        (lambda r, f: F.softplus(-r) + F.softplus(f), "shape|raises"),
        (lambda r, f: ((r - 1) ** 2).mean() + (f**2).mean(), ""),
    ],
    "g_loss_nonsaturating": [
        (lambda f: -F.softplus(f).mean(), "saturating"),
        (lambda f: F.softplus(f).mean(), "found out"),
        (lambda f: -g_loss(f), "sign"),
        (lambda f: F.softplus(-f).sum(), "summed"),
        (lambda f: g_loss(f.sigmoid()), "twice"),
        (lambda f: -f.sigmoid().log().mean(), "NaN or infinite"),
        (lambda f: -f.mean(), ""),
        (lambda f: g_loss(f) / math.log(2), "base 2"),
        (lambda f: -(f.sigmoid().clamp(1e-7, 1 - 1e-7)).log().mean(), "nothing is cut off"),
        (lambda f: (1 - f.sigmoid()).mean(), ""),
        (lambda f: ((f - 1) ** 2).mean(), ""),
    ],
    "train_step": [
        (game(order="g"), "D has not moved"),
        (game(order="d"), "G has not moved"),
        (game(order="gd"), "G moves first|old D"),
        (joint, "old D"),
        (summed_step, ""),
        (game(zero_d=False), "left over"),
        (game(zero_g=False), "left over"),
        (game(detach=False, zero_g=False), "leaks into G"),
        (game(g_of=lambda D, f: -F.softplus(D(f)).mean()), "saturating"),
        (game(g_of=lambda D, f: -g_loss(D(f))), "climbs"),
        (game(d_of=lambda D, x, f: -d_loss(D(x), D(f))), "climbs"),
        (game(both=True), "own network"),
        (game(step_d=2), ""),
        (game(d_of=lambda D, x, f: d_loss(D(x), D(f)) / 2), ""),
        (game(d_of=lambda D, x, f: F.softplus(-D(x)).mean()), ""),
        (game(d_of=lambda D, x, f: F.softplus(D(f)).mean()), ""),
        (game(g_of=lambda D, f: F.softplus(D(f)).mean()), ""),
        (game(g_of=lambda D, f: F.softplus(-D(f)).sum()), "summed"),
        (other_z, "do not end"),
        (left_in_eval, "mode"),
        (frozen_for_ever, "requires_grad"),
        (game(g_of=lambda D, f: g_loss(D(f.detach()))), "has not moved"),
        (first_call_only(step), ""),
        (lambda G, D, og, od, x, z: step(G, D, og, od, x.mul_(2), z), "in place|do not end"),
        (lambda G, D, og, od, x, z: step(G, D, od, og, x, z), "own network|moved|do not end"),
        (game(step_g=2), "do not end"),
        (game(d_of=lambda D, x, f: d_loss(D(x), -D(f))), ""),
        (game(d_of=lambda D, x, f: F.softplus(-D(x)).sum() + F.softplus(D(f)).sum()), "summed"),
    ],
    "optimal_discriminator": [
        (lambda p, q: p / (p + q), "NaN"),
        (lambda p, q: best(q, p), "exchanged"),
        (lambda p, q: torch.nan_to_num(p / (p + q)), "1/2"),
        (lambda p, q: p / (p + q + 1e-8), "1/2|place by place"),
        (lambda p, q: torch.full_like(p, 0.5), "only at the equilibrium"),
        (lambda p, q: (p > q).double(), "1/2|not 0 or 1|place by place"),
        (lambda p, q: p / (p + q).sum(), ""),
        (lambda p, q: torch.where(q > 0, p / q, torch.full_like(p, 0.5)), ""),
        (lambda p, q: best(p, q) / 2, ""),
        (lambda p, q: best(p, q).round(decimals=1), "place by place"),
    ],
    "jsd": [
        (lambda p, q: 2 * jsd(p, q), "one half"),
        (lambda p, q: jsd(p, q) / math.log(2), "base 2"),
        (lambda p, q: jsd(p, q).clamp(min=0).sqrt(), "root"),
        (lambda p, q: -jsd(p, q), "sign"),
        (lambda p, q: 2 * jsd(p, q) - math.log(4), "value of the game"),
        (lambda p, q: kl(p, (p + q) / 2), "side of p"),
        (lambda p, q: kl(q, (p + q) / 2), ""),
        (lambda p, q: 0.5 * jsd_terms(p, q).sum(), "NaN"),
        (lambda p, q: 0.5 * (kl(p + 1e-12, q + 1e-12) + kl(q + 1e-12, p + 1e-12)), ""),
        (lambda p, q: jsd(p, q) / len(p), ""),
        (lambda p, q: jsd(p, q) - math.log(2), "their sum"),
        (lambda p, q: jsd_terms(p, q)[(p > 0) & (q > 0)].sum() / 2, ""),
        (lambda p, q: jsd(p, q) + 0.01, "not 1/2"),
    ],
    "modes_covered": [
        (lambda s, c, r, m: int(((torch.cdist(s, c) <= r).sum(0) > m).sum()), "at least"),
        (lambda s, c, r, m: modes(s, c, r, 1), "min_count is ignored"),
        (measured(lambda s, c: torch.cdist(s, c) ** 2), "squared"),
        (measured(lambda s, c: (s[:, None] - c).abs().amax(2)), "square"),
        (measured(lambda s, c: torch.cdist(s, c, p=1)), r"\|dx\|"),
        (owners, "radius is ignored"),
        (lambda s, c, r, m: len(c) - modes(s, c, r, m), "lost"),
        (lambda s, c, r, m: int((torch.cdist(s, c) <= r).any(1).sum()), "samples"),
        (lambda s, c, r, m: modes(s, c, r, m) / len(c), "share"),
        (lambda s, c, r, m: len(c), "all modes"),
        (lambda s, c, r, m: (torch.cdist(s, c) <= r).sum(0) >= m, "tensor was expected|shape"),
        (lambda s, c, r, m: modes(s.mul_(2), c, 2 * r, m), "in place|number"),
        (lambda s, c, r, m: modes(s, c, 3 * r, m), "number|all modes"),
        (lambda s, c, r, m: owners(s, c, r, m, r), "number"),
    ],
    "slope_penalty": [
        (lambda c, x: (slopes(c, x).norm(dim=1) - 1).mean(), "not squared"),
        (lambda c, x: ((slopes(c, x).norm(dim=1) - 1).relu() ** 2).mean(), "below 1"),
        (lambda c, x: (slopes(c, x).norm(dim=1) ** 2).mean(), "to 0"),
        (lambda c, x: ((slopes(c, x).pow(2).sum(1) - 1) ** 2).mean(), ""),
        (lambda c, x: ((slopes(c, x).norm(dim=1) - 1) ** 2).sum(), "summed"),
        (lambda c, x: (slopes(c, x).norm(dim=1).mean() - 1) ** 2, ""),
        (lambda c, x: (slopes(c, x).norm() - 1) ** 2, "whole batch"),
        (lambda c, x: ((slopes(c, x) - 1) ** 2).mean(), "each coordinate"),
        (in_place, "requires_grad of an argument"),
        (lambda c, x: ((slopes(c, x).detach().norm(dim=1) - 1) ** 2).mean(), "create_graph"),
        (lambda c, x: ((slopes(c, x).norm(dim=1) / len(x) - 1) ** 2).mean(), ""),
        (lambda c, x: penalty(c, x).item(), "create_graph"),
        (of_slopes(lambda s: ((s.norm(dim=0) - 1) ** 2).mean()), ""),
        (lambda c, x: 10 * penalty(c, x), "mean of"),
    ],
}


LEAVE = {
    "train_step": ["list", "array", "tuple", "double", "keeps a graph"],  # it returns nothing
    "slope_penalty": ["list", "array"],  # the gradient of the result is judged
}

test_right_answers_are_accepted, test_wrong_answers_are_refused_with_the_fitting_hint = (
    accept_and_refuse(RIGHT, WRONG, leave=LEAVE)
)
