"""The checks of the exercises on VAEs: a row is an answer, to be accepted, or to be refused with a
hint.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from students import accept_and_refuse


def kl(mu, logvar):
    return 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(1)


def draw(mu, logvar):
    return mu + (logvar / 2).exp() * torch.randn_like(mu)


def neg_elbo(x, xhat, mu, logvar):
    return (0.5 * ((x - xhat) ** 2).flatten(1).sum(1) + kl(mu, logvar)).mean()


def neg_elbo_with_constant(x, xhat, mu, logvar):
    log_p = torch.distributions.Normal(xhat, 1.0).log_prob(x).flatten(1).sum(1)
    return (kl(mu, logvar) - log_p).mean()


def nll(x, l):
    return (F.softplus(l) - x * l).flatten(1).sum(1)


def log_q(z, mu, logvar):
    return -0.5 * ((z - mu) ** 2 / logvar.exp() + logvar + math.log(2 * math.pi)).sum(-1)


def elbo_of(f, mu, logvar, z):
    return (f(z) - log_q(z, mu, logvar)).mean()


def elbo(f, mu, logvar, M, noise=None):
    eps = torch.randn(M, len(mu), dtype=mu.dtype) if noise is None else noise
    return elbo_of(f, mu, logvar, mu + (logvar / 2).exp() * eps)


def elbo_distribution(f, mu, logvar, M):
    q = torch.distributions.Normal(mu, (logvar / 2).exp())
    z = q.rsample((M,))
    return (f(z) - q.log_prob(z).sum(1)).mean()


def elbo_detached_q(f, mu, logvar, M):
    """Roeder et al. (2017): the gradient goes through the draw only."""
    z = mu + (logvar / 2).exp() * torch.randn(M, len(mu))
    return (f(z) - log_q(z, mu.detach(), logvar.detach())).mean()


def iw(joint, q):
    return torch.logsumexp(joint - q, 0) - math.log(len(joint))


def seeded(function):
    def answer(*arguments):
        torch.manual_seed(0)
        return function(*arguments)

    return answer


def clamped(x, l):
    p = l.sigmoid().clamp(1e-7, 1 - 1e-7)
    return -(x * p.log() + (1 - x) * (1 - p).log()).flatten(1).sum(1)


def of_codes(change):
    """The mean over codes drawn in one call; change: what becomes of them before log q is taken."""

    def answer(f, m, v, M):
        return elbo_of(f, m, v, change(m, v, M))

    return answer


def codes_averaged(x, y, m, v):
    return neg_elbo(x, y, m, v) - kl(m, v).mean() * (1 - 1 / m.shape[1])


def pixels(x, l, reduction):
    return F.binary_cross_entropy_with_logits(l, x, reduction=reduction)


def bernoulli(l):
    return torch.distributions.Bernoulli(logits=l, validate_args=False)


def unguarded(x, l):
    p = l.sigmoid()
    return -(x * p.log() + (1 - x) * (1 - p).log()).flatten(1).sum(1)


def iw_shifted(j, q):
    w = j - q
    most = w.max(0).values
    return most + (w - most).exp().mean(0).log()


# ---------------------------------------------------------------- the tables

RIGHT = {
    "kl_std_normal": [kl, lambda m, v: -0.5 * (1 + v - m.pow(2) - v.exp()).sum(-1)],
    "reparameterize": [
        draw,
        lambda m, v: torch.distributions.Normal(m, (v / 2).exp()).rsample(),
        lambda m, v: m + torch.exp(0.5 * v).mul(torch.randn(m.shape)),
        lambda m, v: torch.addcmul(m, v.exp().sqrt(), torch.empty_like(m).normal_()),
        lambda m, v: m - (v / 2).exp() * torch.randn_like(v),
    ],
    "neg_elbo": [
        neg_elbo,
        neg_elbo_with_constant,
        lambda x, y, m, v: 0.5 * F.mse_loss(y, x, reduction="sum") / len(x) + kl(m, v).mean(),
    ],
    "bernoulli_nll": [
        nll,
        lambda x, l: pixels(x, l, "none").flatten(1).sum(1),
        lambda x, l: -(x * F.logsigmoid(l) + (1 - x) * F.logsigmoid(-l)).flatten(1).sum(1),
        lambda x, l: -bernoulli(l).log_prob(x).flatten(1).sum(1),
    ],
    "elbo_mc": [elbo, elbo_detached_q, elbo_distribution],
    "iw_bound": [
        iw,
        lambda j, q: torch.logsumexp(j - q - math.log(len(j)), 0),
        iw_shifted,
        lambda j, q: iw(j.double(), q.double()),
        lambda j, q: np.logaddexp.reduce((j - q).double().numpy(), 0) - np.log(len(j)),
    ],
}

WRONG = {
    "kl_std_normal": [
        (lambda m, v: 2 * kl(m, v), "factor 1/2"),
        (lambda m, v: -kl(m, v), "sign"),
        (lambda m, v: kl(m, v) / m.shape[1], "averaged over the D"),
        (lambda m, v: kl(m, v).sum(), "shape|batch"),
        (lambda m, v: kl(m, v).mean().expand(len(m)), "of its own|shape"),
        (lambda m, v: kl(m, 2 * v), "standard deviation"),
        (lambda m, v: 0.5 * (m + v.exp() - 1 - v).sum(1), ""),
        (lambda m, v: 0.5 * (m**2 + v.exp() - v).sum(1), "-1 is missing"),
        (lambda m, v: 0.5 * ((1 + m**2) / v.exp() - 1 + v).sum(1), "other way"),
        (lambda m, v: 0.5 * (m**2 + (v / 2).exp() - 1 - v).sum(1), "variance is exp"),
        (lambda m, v: 0.5 * (m**2 + v - 1 - v.abs().log()).sum(1), ""),
    ],
    "reparameterize": [
        (lambda m, v: m + v.exp() * torch.randn_like(m), "spread is exp|gradient is wrong"),
        (lambda m, v: m, "no noise"),
        (lambda m, v: m + torch.randn_like(m), "no gradient reaches logvar"),
        (lambda m, v: draw(m, v).detach(), "no gradient reaches mu"),
        (lambda m, v: m + (draw(m, v) - m).detach(), "no gradient reaches logvar"),
        (lambda m, v: m + (v / 2).exp() * torch.randn(1, m.shape[1]), ""),
        (lambda m, v: m + (v / 2).exp() * torch.randn(len(m), 1), "all dimensions"),
        (seeded(draw), ""),
        (lambda m, v: m + (v / 2).exp() * torch.rand_like(m), ""),
        (lambda m, v: m + (v / 2).exp() * 12**0.5 * (torch.rand_like(m) - 0.5), "normally"),
        (lambda m, v: torch.normal(m, (v / 2).exp()), "no gradient|gradient is wrong"),
        (lambda m, v: m + (-v / 2).exp() * torch.randn_like(m), "turned round|gradient is wrong"),
        (lambda m, v: draw(0 * m, v), "gradient is wrong"),
        (lambda m, v: m + (v / 2).exp() * torch.randn_like(m).abs(), "mean"),
        (lambda m, v: m + (v / 2).exp() * 1.2 * torch.randn_like(m), ""),
    ],
    "neg_elbo": [
        (lambda x, y, m, v: 2 * neg_elbo(x, y, m, v) - kl(m, v).mean(), "1/2 of the squared"),
        (lambda x, y, m, v: F.mse_loss(y, x) + kl(m, v).mean(), "averaged over pixels"),
        (lambda x, y, m, v: 0.5 * F.mse_loss(y, x) + kl(m, v).mean(), "averaged over pixels"),
        (lambda x, y, m, v: neg_elbo(x, y, m, v) - 2 * kl(m, v).mean(), "wrong sign"),
        (lambda *a: -neg_elbo(*a), "sign is turned"),
        (lambda x, y, m, v: neg_elbo(x, y, m, v) + kl(m, v).mean(), ""),
        (lambda x, y, m, v: neg_elbo(x, y, 0 * m, 0 * v), "KL term is missing"),
        (lambda x, y, m, v: kl(m, v).mean(), "reconstruction is missing"),
        (lambda *a: len(a[0]) * neg_elbo(*a), "summed; take the mean"),
        (codes_averaged, "averaged over the codes"),
        (lambda *a: neg_elbo_with_constant(*a) + kl(*a[2:]).mean(), ""),
        (lambda *a: neg_elbo(*a) + 1, "batch mean of"),
    ],
    "bernoulli_nll": [
        (lambda x, l: -nll(x, l), "sign"),
        (lambda x, l: pixels(x, l, "none").flatten(1).mean(1), "pixels are averaged"),
        (lambda x, l: nll(1 - x, l), "exchanged"),
        (lambda x, l: pixels(x, l, "mean"), "shape|averaged"),
        (clamped, "nothing is cut off"),
        (lambda x, l: (x * F.softplus(-l)).flatten(1).sum(1), "x = 1 count"),
        (lambda x, l: nll(x, l.sigmoid()), "twice"),
        (lambda x, l: ((x - l.sigmoid()) ** 2).flatten(1).sum(1), ""),
        (unguarded, "NaN"),
        (lambda x, l: nll(x, l) / math.log(2), "base 2"),
        (lambda x, l: nll(x, l.clamp(-10, 10)), "not -log p"),
    ],
    "elbo_mc": [
        (lambda *a: a[3] * elbo(*a), "summed"),
        (lambda *a: elbo(*a) - len(a[1]) / 2 * math.log(2 * math.pi), "2 pi of log q"),
        (lambda *a: -elbo(*a), "sign"),
        (lambda *a: elbo(*a) - 0.5 * a[2].sum(), "log q"),
        (lambda f, m, v, M: f(m + (v / 2).exp() * torch.randn(M, len(m))).mean(), "log q"),
        (lambda *a: elbo(*a, torch.zeros(a[3], len(a[1]))), ""),
        (lambda *a: elbo(*a, torch.randn(1, len(a[1])).expand(a[3], -1)), "one noise"),
        (seeded(elbo), ""),
        (lambda f, m, v, M: elbo(f, m.detach(), v, M), "no gradient|gradient in mu"),
        (lambda f, m, v, M: elbo(f, m, v, 10 * M), "spread"),
        (of_codes(lambda m, v, M: draw(m.expand(M, -1), v).detach()), "gradient in mu"),
        (of_codes(lambda m, v, M: m + v.exp() * torch.randn(M, len(m))), "mean over|spread|log q"),
        (lambda *a: elbo(*a).item(), "no gradient"),
        (of_codes(lambda m, v, M: torch.randn(M, len(m)) + 0 * m), "mean over|spread|log q"),
    ],
    "iw_bound": [
        (lambda j, q: torch.logsumexp(j - q, 0), "log K is missing"),
        (lambda j, q: (j - q).mean(0), "plain bound"),
        (lambda j, q: (j - q).max(0).values, "best of"),
        (lambda j, q: iw(j, -q), "log q is added"),
        (lambda j, q: iw(j, 0 * q), ""),
        (lambda j, q: iw(q, j), "turned round"),
        (lambda j, q: -iw(j, q), "sign"),
        (lambda j, q: (j - q).exp().mean(0).log(), "NaN or infinite"),
        (lambda j, q: iw(j, q) + 2 * math.log(len(j)), ""),
        (lambda j, q: iw(j.T, q.T), "shape|not over the K"),
        (lambda j, q: torch.logsumexp(j - q, 0) / len(j), ""),
        (lambda j, q: ((j - q).exp() + 1e-8).mean(0).log(), "NaN|sample by sample"),
    ],
}
# A draw without its gradient is wrong, and none is judged in single precision instead.
DRAWS = ["list", "array", "tuple", "keeps a graph", "single precision only"]

test_right_answers_are_accepted, test_wrong_answers_are_refused_with_the_fitting_hint = (
    accept_and_refuse(RIGHT, WRONG, leave={"reparameterize": DRAWS, "elbo_mc": DRAWS})
)
