"""The checks of the exercises on VAEs: wrong answers that students give are refused, right ones of
any style accepted.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from students import accept_and_refuse

torch.set_num_threads(1)


# ---------------------------------------------------------------- right answers


def kl(mu, logvar):
    return 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(1)


def kl_of_torch(mu, logvar):
    q = torch.distributions.Normal(mu.double(), (logvar.double() / 2).exp())
    return torch.distributions.kl_divergence(
        q, torch.distributions.Normal(torch.zeros_like(q.loc), torch.ones_like(q.loc))
    ).sum(-1)


def draw(mu, logvar):
    return mu + (logvar / 2).exp() * torch.randn_like(mu)


def draw_by_rows(mu, logvar):
    return torch.stack(
        [
            torch.stack([m + v.exp() ** 0.5 * torch.randn(()) for m, v in zip(*row)])
            for row in zip(mu, logvar)
        ]
    ).to(mu.dtype)


def neg_elbo(x, xhat, mu, logvar):
    return (0.5 * ((x - xhat) ** 2).flatten(1).sum(1) + kl(mu, logvar)).mean()


def neg_elbo_with_constant(x, xhat, mu, logvar):
    log_p = torch.distributions.Normal(xhat, 1.0).log_prob(x).flatten(1).sum(1)
    return (kl(mu, logvar) - log_p).mean()


def nll(x, l):
    return (F.softplus(l) - x * l).flatten(1).sum(1)


def log_q(z, mu, logvar):
    return -0.5 * ((z - mu) ** 2 / logvar.exp() + logvar + math.log(2 * math.pi)).sum(-1)


def elbo(f, mu, logvar, M, noise=None):
    eps = torch.randn(M, len(mu), dtype=mu.dtype) if noise is None else noise
    z = mu + (logvar / 2).exp() * eps
    return (f(z) - log_q(z, mu, logvar)).mean()


def elbo_by_loop(f, mu, logvar, M):
    total = 0.0
    for _ in range(M):
        z = mu + (logvar / 2).exp() * torch.randn_like(mu)
        total = total + f(z[None])[0] - log_q(z, mu, logvar)
    return total / M


def elbo_detached_q(f, mu, logvar, M):
    """Roeder et al. (2017): the gradient goes through the draw only."""
    z = mu + (logvar / 2).exp() * torch.randn(M, len(mu))
    return (f(z) - log_q(z, mu.detach(), logvar.detach())).mean()


def iw(joint, q):
    return torch.logsumexp(joint - q, 0) - math.log(len(joint))


RIGHT = {
    "kl_std_normal": [
        kl,
        kl_of_torch,
        lambda m, v: -0.5 * (1 + v - m.pow(2) - v.exp()).sum(-1),
        lambda m, v: [
            sum(0.5 * (a * a + math.exp(b) - 1 - b) for a, b in zip(*row))
            for row in zip(m.tolist(), v.tolist())
        ],
        lambda m, v: (0.5 * (m.numpy() ** 2 + np.exp(v.numpy()) - 1 - v.numpy())).sum(1),
        lambda m, v: kl(m.clone().requires_grad_(), v),
    ],
    "reparameterize": [
        draw,
        draw_by_rows,
        lambda m, v: torch.distributions.Normal(m, (v / 2).exp()).rsample(),
        lambda m, v: m + torch.exp(0.5 * v).mul(torch.randn(m.shape)),
        lambda m, v: torch.addcmul(m, v.exp().sqrt(), torch.empty_like(m).normal_()),
        lambda m, v: m - (v / 2).exp() * torch.randn_like(v),
    ],
    "neg_elbo": [
        neg_elbo,
        neg_elbo_with_constant,
        lambda x, y, m, v: 0.5 * F.mse_loss(y, x, reduction="sum") / len(x) + kl(m, v).mean(),
        lambda *a: float(neg_elbo(*a)),
        lambda *a: neg_elbo_with_constant(*a).numpy(),
        lambda x, y, m, v: (
            sum(neg_elbo(*[t[[n]] for t in (x, y, m, v)]) for n in range(len(x))) / len(x)
        ),
    ],
    "bernoulli_nll": [
        nll,
        lambda x, l: F.binary_cross_entropy_with_logits(l, x, reduction="none").flatten(1).sum(1),
        lambda x, l: -(x * F.logsigmoid(l) + (1 - x) * F.logsigmoid(-l)).flatten(1).sum(1),
        lambda x, l: torch.stack(
            [
                (b.clamp(min=0) - b * a + torch.log1p(torch.exp(-b.abs()))).sum()
                for a, b in zip(x, l)
            ]
        ),
        lambda x, l: nll(x, l).tolist(),
        lambda x, l: (
            -torch.distributions.Bernoulli(logits=l, validate_args=False)
            .log_prob(x)
            .flatten(1)
            .sum(1)
        ),
    ],
    "elbo_mc": [
        elbo,
        elbo_by_loop,
        elbo_detached_q,
        lambda f, m, v, M: (
            lambda q: (lambda z: (f(z) - q.log_prob(z).sum(1)).mean())(q.rsample((M,)))
        )(torch.distributions.Normal(m, (v / 2).exp())),
        lambda f, m, v, M: elbo(f, m.double(), v.double(), M).float(),
    ],
    "iw_bound": [
        iw,
        lambda j, q: torch.logsumexp(j - q - math.log(len(j)), 0),
        lambda j, q: (lambda w: w.max(0).values + (w - w.max(0).values).exp().mean(0).log())(j - q),
        lambda j, q: iw(j.double(), q.double()),
        lambda j, q: np.logaddexp.reduce((j - q).double().numpy(), 0) - np.log(len(j)),
        lambda j, q: [iw(j[:, [n]], q[:, [n]])[0] for n in range(j.shape[1])],
    ],
}


# ---------------------------------------------------------------- wrong answers


def seeded(function):
    def answer(*arguments):
        torch.manual_seed(0)
        return function(*arguments)

    return answer


def clamped(x, l):
    p = l.sigmoid().clamp(1e-7, 1 - 1e-7)
    return -(x * p.log() + (1 - x) * (1 - p).log()).flatten(1).sum(1)


WRONG = {
    "kl_std_normal": [
        (lambda m, v: 2 * kl(m, v), "factor 1/2"),
        (lambda m, v: -kl(m, v), "sign"),
        (lambda m, v: kl(m, v) / m.shape[1], "averaged over the D"),
        (lambda m, v: kl(m, v).sum(), "shape|batch"),
        (lambda m, v: kl(m, v).mean().expand(len(m)), "each has its own|shape"),
        (lambda m, v: kl(m, 2 * v), "standard deviation"),
        (lambda m, v: 0.5 * (m + v.exp() - 1 - v).sum(1), "not squared"),
        (lambda m, v: 0.5 * (m**2 + v.exp() - v).sum(1), "-1 is missing"),
        (lambda m, v: 0.5 * ((1 + m**2) / v.exp() - 1 + v).sum(1), "other way"),
        (lambda m, v: 0.5 * (m**2 + (v / 2).exp() - 1 - v).sum(1), "variance is exp"),
        (lambda m, v: 0.5 * (m**2 + v.exp() - 1 - v), "shape"),
        (lambda m, v: kl(m.mul_(1.5), v), "argument in place"),
        (lambda m, v: 0.5 * (m**2 + v - 1 - v.abs().log()).sum(1), "used as the variance|NaN"),
    ],
    "reparameterize": [
        (lambda m, v: m + v.exp() * torch.randn_like(m), r"spread is exp\(logvar\)"),
        (lambda m, v: m, "no noise"),
        (lambda m, v: m + torch.randn_like(m), "does not depend"),
        (lambda m, v: draw(m, v).detach(), "no gradient reaches mu"),
        (
            lambda m, v: m + ((v / 2).exp() * torch.randn_like(m)).detach(),
            "no gradient reaches logvar",
        ),
        (lambda m, v: m + (v / 2).exp() * torch.randn(1, m.shape[1]), "all rows"),
        (lambda m, v: m + (v / 2).exp() * torch.randn(len(m), 1), "all dimensions"),
        (seeded(draw), "same draw"),
        (lambda m, v: m + (v / 2).exp() * torch.rand_like(m), "mean of the draws|normally"),
        (lambda m, v: m + (v / 2).exp() * 12**0.5 * (torch.rand_like(m) - 0.5), "normally"),
        (lambda m, v: torch.normal(m, (v / 2).exp()), "no gradient|gradient is wrong"),
        (lambda m, v: m + (-v / 2).exp() * torch.randn_like(m), "turned round"),
        (lambda m, v: draw(m, v).sum(1), "shape"),
        (
            lambda m, v: (v / 2).exp() * torch.randn_like(m),
            "mean of the draws|variance|no gradient",
        ),
        (lambda m, v: m + (v / 2).exp() * torch.randn_like(m).abs(), "mean"),
        (lambda m, v: m + (v / 2).exp() * 1.2 * torch.randn_like(m), "variance of the draws"),
    ],
    "neg_elbo": [
        (
            lambda x, y, m, v: ((x - y) ** 2).flatten(1).sum(1).mean() + kl(m, v).mean(),
            "1/2 of the squared",
        ),
        (lambda x, y, m, v: F.mse_loss(y, x) + kl(m, v).mean(), "averaged over pixels"),
        (lambda x, y, m, v: 0.5 * F.mse_loss(y, x) + kl(m, v).mean(), "averaged over pixels"),
        (lambda x, y, m, v: neg_elbo(x, y, m, v) - 2 * kl(m, v).mean(), "wrong sign"),
        (lambda *a: -neg_elbo(*a), "sign is turned"),
        (lambda x, y, m, v: neg_elbo(x, y, m, v) + kl(m, v).mean(), "lost its factor"),
        (lambda x, y, m, v: neg_elbo(x, y, 0 * m, 0 * v), "KL term is missing"),
        (lambda x, y, m, v: kl(m, v).mean(), "reconstruction is missing"),
        (lambda x, y, m, v: len(x) * neg_elbo(x, y, m, v), "summed; take the mean"),
        (
            lambda x, y, m, v: neg_elbo(x, y, m, v) - kl(m, v).mean() * (1 - 1 / m.shape[1]),
            "averaged over the codes",
        ),
        (lambda x, y, m, v: 0.5 * ((x - y) ** 2).flatten(1).sum(1) + kl(m, v), "shape"),
        (lambda x, y, m, v: neg_elbo(x, y.sub_(x), m, v), "argument in place"),
        (
            lambda x, y, m, v: neg_elbo_with_constant(x, y, m, v) + kl(m, v).mean(),
            "lost its factor",
        ),
        (lambda *a: neg_elbo(*a) + 1, "batch mean of"),
    ],
    "bernoulli_nll": [
        (lambda x, l: -nll(x, l), "sign"),
        (
            lambda x, l: (
                F.binary_cross_entropy_with_logits(l, x, reduction="none").flatten(1).mean(1)
            ),
            "pixels are averaged",
        ),
        (lambda x, l: nll(1 - x, l), "exchanged"),
        (lambda x, l: F.binary_cross_entropy_with_logits(l, x), "shape|averaged"),
        (lambda x, l: nll(x, l).sum(), "shape|each has its own"),
        (clamped, "nothing is cut off"),
        (lambda x, l: (x * F.softplus(-l)).flatten(1).sum(1), "x = 1 count"),
        (lambda x, l: nll(x, l.sigmoid()), "twice"),
        (lambda x, l: ((x - l.sigmoid()) ** 2).flatten(1).sum(1), "squared error"),
        (
            lambda x, l: (
                -(x * l.sigmoid().log() + (1 - x) * (1 - l.sigmoid()).log()).flatten(1).sum(1)
            ),
            "NaN",
        ),
        (lambda x, l: nll(x, l) / math.log(2), "base 2"),
        (lambda x, l: nll(x, l.clamp_(-10, 10)), "argument in place"),
        (lambda x, l: nll(x, l.clamp(-10, 10)), "not -log p"),
    ],
    "elbo_mc": [
        (lambda f, m, v, M: M * elbo(f, m, v, M), "summed"),
        (lambda f, m, v, M: elbo(f, m, v, M) - len(m) / 2 * math.log(2 * math.pi), "2 pi of log q"),
        (lambda f, m, v, M: -elbo(f, m, v, M), "sign"),
        (lambda f, m, v, M: elbo(f, m, v, M) - 0.5 * v.sum(), "-1/2 logvar of log q|log q"),
        (lambda f, m, v, M: f(m + (v / 2).exp() * torch.randn(M, len(m))).mean(), "log q"),
        (lambda f, m, v, M: elbo(f, m, v, M, torch.zeros(M, len(m))), "log q|same value"),
        (lambda f, m, v, M: elbo(f, m, v, M, torch.randn(1, len(m)).expand(M, -1)), "one noise"),
        (seeded(elbo), "same value"),
        (lambda f, m, v, M: elbo(f, m.detach(), v, M), "no gradient|gradient in mu"),
        (lambda f, m, v, M: elbo(f, m, v, 10 * M), "spread"),
        (
            lambda f, m, v, M: (lambda z: (f(z.detach()) - log_q(z.detach(), m, v)).mean())(
                draw(m.expand(M, -1), v.expand(M, -1))
            ),
            "gradient in mu",
        ),
        (
            lambda f, m, v, M: (lambda z: (f(z) - log_q(z, m, v)).mean())(
                m + v.exp() * torch.randn(M, len(m))
            ),
            "mean over many|spread",
        ),
        (lambda f, m, v, M: elbo(f, m, v, M).expand(M), "shape|mean"),
        (lambda f, m, v, M: elbo(f, m, v, M).item(), "no gradient"),
        (
            lambda f, m, v, M: (lambda z: (f(z) - log_q(z, m, v)).mean())(
                torch.randn(M, len(m)) + 0 * m
            ),
            "mean over many|spread",
        ),
    ],
    "iw_bound": [
        (lambda j, q: torch.logsumexp(j - q, 0), "log K is missing"),
        (lambda j, q: (j - q).mean(0), "plain bound"),
        (lambda j, q: (j - q).max(0).values, "best of"),
        (lambda j, q: iw(j, -q), "log q is added"),
        (lambda j, q: iw(j, 0 * q), "forgotten"),
        (lambda j, q: iw(q, j), "turned round"),
        (lambda j, q: -iw(j, q), "sign of the bound"),
        (lambda j, q: (j - q).exp().mean(0).log(), "NaN or infinite"),
        (lambda j, q: iw(j, q) + 2 * math.log(len(j)), "log K is added"),
        (lambda j, q: iw(j.T, q.T), "shape|not over the K"),
        (lambda j, q: torch.logsumexp(j - q, 0) / len(j), "divides the logarithm"),
        (lambda j, q: iw(j, q).mean(), "shape|sample by sample"),
        (lambda j, q: iw(j.sub_(q), 0 * q), "argument in place"),
        (lambda j, q: ((j - q).exp() + 1e-8).mean(0).log(), "NaN|sample by sample"),
    ],
}


test_right_answers_are_accepted, test_wrong_answers_are_refused_with_the_fitting_hint = (
    accept_and_refuse(RIGHT, WRONG)
)
