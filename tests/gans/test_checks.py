"""The checks of the exercises on GANs: see `students.judged` for what a row is."""

import torch
import torch.nn.functional as F
from students import SOLUTIONS, judged

d_loss, g_loss = SOLUTIONS["d_loss"], SOLUTIONS["g_loss_nonsaturating"]
best, jsd = SOLUTIONS["optimal_discriminator"], SOLUTIONS["jsd"]
modes, penalty = SOLUTIONS["modes_covered"], SOLUTIONS["slope_penalty"]
logs = lambda p, more=0: (p + more).log().mean()
bce = lambda l, y: F.binary_cross_entropy_with_logits(l, torch.full_like(l, y))
summed = lambda r, f: F.softplus(-r).sum() + F.softplus(f).sum()
move = lambda opt, loss: (opt.zero_grad(), loss.backward(), opt.step())
kl = lambda p, q: torch.xlogy(p, p / q).nansum()
jsd_terms = lambda p, q: p * (2 * p / (p + q)).log() + q * (2 * q / (p + q)).log()


def zero_after_d(G, D, opt_g, opt_d, x, z):
    """The gradients of D's step act no more, though G's backward pass adds to them."""
    d_loss(D(x), D(G(z).detach())).backward()
    opt_d.step()
    opt_d.zero_grad(set_to_none=False)
    g_loss(D(G(z))).backward()
    opt_g.step()
    for p in [*G.parameters(), *D.parameters()]:
        p.grad = None


def owners(s, c, r, m, far=float("inf")):
    """The modes that are the nearest of min_count samples."""
    least, own = torch.cdist(s, c).min(1)
    return int((torch.bincount(own[least <= far], minlength=len(c)) >= m).sum())


ANSWERS = {
    "d_loss": [
        lambda r, f: -(F.logsigmoid(r).mean() + F.logsigmoid(-f).mean()),
        lambda r, f: bce(r, 1) + bce(f, 0),
        ("-right", "sign"),
        (lambda r, f: d_loss(f, r), "exchanged"),
        ("right / 2", ""),
        (lambda r, f: d_loss(r, -f), "should pass for real"),
        (lambda r, f: torch.cat([F.softplus(-r), F.softplus(f)]).mean(), "share one mean"),
        (summed, "summed"),
        (lambda r, f: F.softplus(-r).mean(), "generated samples is missing"),
        (lambda r, f: F.softplus(f).mean(), ""),
        (lambda r, f: d_loss(r.sigmoid(), f.sigmoid()), "twice"),
        (lambda r, f: -(logs(r.sigmoid()) + logs(1 - f.sigmoid())), "NaN or infinite"),
        (lambda r, f: -logs(r.sigmoid(), 1e-8) - logs(1 - f.sigmoid(), 1e-8), "nothing is cut off"),
        (lambda r, f: f.mean() - r.mean(), ""),
        (lambda r, f: -(r.log() + (1 - f).log()).mean(), "NaN|raises"),
        (".mean()", "", "shape|raises"),
        (lambda r, f: ((r - 1) ** 2).mean() + (f**2).mean(), ""),
    ],
    "g_loss_nonsaturating": [
        lambda f: -F.logsigmoid(f).mean(),
        lambda f: bce(f, 1),
        (lambda f: -F.softplus(f).mean(), "saturating"),
        (lambda f: F.softplus(f).mean(), "found out"),
        ("-right", "sign"),
        ("mean()", "sum()", "summed"),
        (lambda f: g_loss(f.sigmoid()), "twice"),
        (lambda f: -f.sigmoid().log().mean(), "NaN or infinite"),
        (lambda f: -f.mean(), ""),
        ("right / math.log(2)", "base 2"),
        (lambda f: -(f.sigmoid().clamp(1e-7, 1 - 1e-7)).log().mean(), "nothing is cut off"),
        (lambda f: (1 - f.sigmoid()).mean(), ""),
        (lambda f: ((f - 1) ** 2).mean(), ""),
        ("right.detach()", "no gradient comes back"),
        ("right.item()", "no gradient comes back"),
        ("(-fake_logits)", "(-fake_logits.detach())", "no gradient comes back"),
        (lambda f: g_loss(f.detach()) + 0 * f.sum(), "its gradient"),
    ],
    "train_step": [
        (".zero_grad()", "", "opt_g.step()", "opt_g.step(), G.zero_grad(), D_.zero_grad()", None),
        zero_after_d,
        (
            *("loss = d", "with torch.no_grad(): fake = G(z)\n    loss = d"),
            *("G(z).detach()", "fake", "loss = g", "D_.requires_grad_(False)\n    loss = g"),
            *("opt_g.step()", "opt_g.step(); D_.requires_grad_(True); return loss.item()", None),
        ),
        (
            *("loss = d", "D_.zero_grad(); bce(D_(x), 1).backward()\n    loss = d"),
            *("d_loss(D_(x), D_(G(z).detach()))", "bce(D_(G(z).detach()), 0)"),
            *("opt_d.zero_grad()", "", "g_loss_nonsaturating(D_(G(z)))", "bce(D_(G(z)), 1)", None),
        ),
        ("opt_d.step()", "opt_d.zero_grad()", "D has not moved"),
        ("opt_d.step()", "opt_d.step(); return", "G has not moved"),
        (
            "move(opt_g, g_loss(D_(G(z)))), move(opt_d, d_loss(D_(x), D_(G(z).detach())))",
            "G moves first|old D",
        ),
        (
            *("opt_d.step()", "", "backward()  #", "backward(inputs=list(G.parameters()))  #"),
            *("opt_g.step()", "opt_d.step(), opt_g.step()", "old D"),
        ),
        ("opt_d.step()", "", "opt_g.step()", "opt_d.step(), opt_g.step()", ""),
        ("opt_d.zero_grad()", "", "left over"),
        ("opt_g.zero_grad()", "", "left over"),
        (".detach()", "", "opt_g.zero_grad()", "", "leaks into G"),
        ("g_loss_nonsaturating(D_(G(z)))", "-F.softplus(D_(G(z))).mean()", "saturating"),
        ("= g_loss", "= -g_loss", "climbs"),
        ("= d_loss", "= -d_loss", "climbs"),
        (
            *("opt_g.zero_grad()", "opt_g.zero_grad(), opt_d.zero_grad()"),
            *("opt_g.step()", "opt_g.step(), opt_d.step()", "own network"),
        ),
        ("loss = d", "move(opt_d, d_loss(D_(x), D_(G(z).detach())))\n    loss = d", ""),
        (".detach()))", ".detach())) / 2", ""),
        ("d_loss(D_(x), D_(G(z).detach()))", "F.softplus(-D_(x)).mean()", ""),
        ("d_loss(D_(x), D_(G(z).detach()))", "F.softplus(D_(G(z).detach())).mean()", ""),
        ("g_loss_nonsaturating(D_(G(z)))", "F.softplus(D_(G(z))).mean()", ""),
        ("g_loss_nonsaturating(D_(G(z)))", "F.softplus(-D_(G(z))).sum()", "summed"),
        ("train_step(G, D_, opt_g, opt_d, x, torch.randn_like(z))", "do not end"),
        ("opt_g.step()", "opt_g.step(), G.eval()", "mode"),
        ("opt_g.step()", "opt_g.step(), D_.requires_grad_(False)", "requires_grad"),
        ("D_(G(z)))", "D_(G(z).detach()))", "has not moved"),
        (
            *("x, z)", "x, z, calls=[])"),
            *("loss = d", "calls.append(1)\n    if len(calls) > 1: return\n    loss = d", ""),
        ),
        ("train_step(G, D_, opt_g, opt_d, x.mul_(2), z)", "in place|do not end"),
        ("train_step(G, D_, opt_d, opt_g, x, z)", "own network|moved|do not end"),
        ("opt_g.step()", "opt_g.step(), move(opt_g, g_loss(D_(G(z))))", "do not end"),
        ("D_(x), D_", "D_(x), -D_", ""),
        ("d_loss(", "summed(", "summed"),
    ],
    "optimal_discriminator": [
        lambda p, q: torch.nan_to_num(p / (p + q), nan=0.5),
        lambda p, q: 1 - best(q, p),
        (lambda p, q: p / (p + q), "NaN"),
        (lambda p, q: best(q, p), "exchanged"),
        (lambda p, q: torch.nan_to_num(p / (p + q)), "1/2"),
        (lambda p, q: p / (p + q + 1e-8), "1/2|place by place"),
        (lambda p, q: torch.full_like(p, 0.5), "only at the equilibrium"),
        (lambda p, q: (p > q).double(), "1/2|not 0 or 1|place by place"),
        (lambda p, q: p / (p + q).sum(), ""),
        (lambda p, q: torch.where(q > 0, p / q, torch.full_like(p, 0.5)), ""),
        ("right / 2", ""),
        ("right.round(decimals=1)", "place by place"),
    ],
    "jsd": [
        lambda p, q: jsd(p.double(), q.double()),
        lambda p, q: (torch.xlogy(p, 2 * best(p, q)) + torch.xlogy(q, 2 * best(q, p))).sum() / 2,
        ("2 * right", "one half"),
        ("right / math.log(2)", "base 2"),
        ("right.clamp(min=0).sqrt()", "root"),
        ("-right", "sign"),
        ("2 * right - math.log(4)", "value of the game"),
        (lambda p, q: kl(p, (p + q) / 2), "side of p"),
        (lambda p, q: kl(q, (p + q) / 2), ""),
        (lambda p, q: 0.5 * jsd_terms(p, q).sum(), "NaN"),
        (lambda p, q: 0.5 * (kl(p + 1e-12, q + 1e-12) + kl(q + 1e-12, p + 1e-12)), ""),
        ("right / len(p)", ""),
        ("right - math.log(2)", "their sum"),
        (lambda p, q: jsd_terms(p, q)[(p > 0) & (q > 0)].sum() / 2, ""),
        ("right + 0.01", "not 1/2"),
    ],
    "modes_covered": [
        lambda s, c, r, m: (((s[:, None] - c) ** 2).sum(2) <= r**2).sum(0).ge(m).sum(),
        (">= min_count", "> min_count", "at least"),
        (">= min_count", ">= 1", "min_count is ignored"),
        ("cdist(samples, centers)", "cdist(samples, centers) ** 2", "squared"),
        ("torch.cdist(samples, centers)", "(samples[:, None] - centers).abs().amax(2)", "square"),
        ("cdist(samples, centers)", "cdist(samples, centers, p=1)", r"\|dx\|"),
        (owners, "radius is ignored"),
        ("len(centers) - right", "lost"),
        (lambda s, c, r, m: int((torch.cdist(s, c) <= r).any(1).sum()), "samples"),
        ("right / len(centers)", "share"),
        (lambda s, c, r, m: len(c), "all modes"),
        (lambda s, c, r, m: (torch.cdist(s, c) <= r).sum(0) >= m, "tensor was expected|shape"),
        (lambda s, c, r, m: modes(s.mul_(2), c, 2 * r, m), "in place|number"),
        (lambda s, c, r, m: modes(s, c, 3 * r, m), "number|all modes"),
        (lambda s, c, r, m: owners(s, c, r, m, r), "number"),
    ],
    "slope_penalty": [
        ("slope.norm(", "torch.linalg.vector_norm(slope, ", ".mean()", ".sum() / len(x)", None),
        ("(slope.norm(dim=1) - 1) ** 2", "(slope.norm(dim=1) - 1)", "not squared"),
        ("slope.norm(dim=1) - 1", "(slope.norm(dim=1) - 1).relu()", "below 1"),
        ("(slope.norm(dim=1) - 1)", "slope.norm(dim=1)", "to 0"),
        ("slope.norm(dim=1)", "slope.pow(2).sum(1)", ""),
        (".mean()", ".sum()", "summed"),
        ("norm(dim=1)", "norm(dim=1).mean()", ""),
        ("norm(dim=1)", "norm()", "whole batch"),
        ("slope.norm(dim=1)", "slope", "each coordinate"),
        ("x.detach()", "x", "requires_grad of an argument"),
        ("slope.norm", "slope.detach().norm", "create_graph"),
        ("norm(dim=1)", "norm(dim=1) / len(x)", ""),
        ("right.item()", "create_graph"),
        ("norm(dim=1)", "norm(dim=0)", ""),
        ("10 * right", "mean of"),
    ],
}
LEAVE = {
    "train_step": ["list", "array", "tuple", "double", "keeps a graph"],  # it returns nothing
    "g_loss_nonsaturating": ["list", "array", "tuple"],  # so is this one's
    "slope_penalty": ["list", "array"],  # the gradient of the result is judged
}

test_right_answers, test_wrong_answers = judged(ANSWERS, globals(), leave=LEAVE)
