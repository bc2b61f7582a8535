"""The checks of the exercises on VAEs: see `students.judged` for what a row is."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from students import SOLUTIONS, judged

kl, draw = SOLUTIONS["kl_std_normal"], SOLUTIONS["reparameterize"]
nll, iw = SOLUTIONS["bernoulli_nll"], SOLUTIONS["iw_bound"]
spread = lambda v: (v / 2).exp()
pixels = lambda x, l, reduction: F.binary_cross_entropy_with_logits(l, x, reduction=reduction)
bernoulli = lambda l: torch.distributions.Bernoulli(logits=l, validate_args=False)
nll_of = lambda x, p: -(x * p.log() + (1 - x) * (1 - p).log()).flatten(1).sum(1)
error = lambda x, y: -torch.distributions.Normal(y, 1.0).log_prob(x).flatten(1).sum(1)
log_q = lambda z, m, v: -0.5 * ((z - m) ** 2 / v.exp() + v + math.log(2 * math.pi)).sum(-1)


def elbo_distribution(f, m, v, M):
    q = torch.distributions.Normal(m, spread(v))
    z = q.rsample((M,))
    return (f(z) - q.log_prob(z).sum(1)).mean()


def iw_shifted(j, q):
    w = j - q
    most = w.max(0).values
    return most + (w - most).exp().mean(0).log()


def iw_one_maximum(j, q):
    w = j - q
    return w.max() + (w - w.max()).exp().mean(0).log()


def kl_of_torch(m, v):
    q, prior = torch.distributions.Normal(m, spread(v)), torch.distributions.Normal(0, 1)
    return torch.distributions.kl_divergence(q, prior).sum(1)


ANSWERS = {
    "kl_std_normal": [
        lambda m, v: -0.5 * (1 + v - m.pow(2) - v.exp()).sum(-1),
        ("2 * right", "factor 1/2"),
        ("-right", "sign"),
        ("right / mu.shape[1]", "averaged over the D"),
        ("right.sum()", "shape|batch"),
        ("right.mean().expand(len(mu))", "of its own|shape"),
        (lambda m, v: kl(m, 2 * v), "standard deviation"),
        (lambda m, v: 0.5 * (m + v.exp() - 1 - v).sum(1), ""),
        (lambda m, v: 0.5 * (m**2 + v.exp() - v).sum(1), "-1 is missing"),
        (lambda m, v: 0.5 * ((1 + m**2) / v.exp() - 1 + v).sum(1), "other way"),
        (lambda m, v: 0.5 * (m**2 + spread(v) - 1 - v).sum(1), "variance is exp"),
        (lambda m, v: 0.5 * (m**2 + v - 1 - v.abs().log()).sum(1), ""),
        kl_of_torch,
    ],
    "reparameterize": [
        lambda m, v: torch.distributions.Normal(m, spread(v)).rsample(),
        lambda m, v: m + torch.exp(0.5 * v).mul(torch.randn(m.shape)),
        lambda m, v: torch.addcmul(m, v.exp().sqrt(), torch.empty_like(m).normal_()),
        lambda m, v: m - spread(v) * torch.randn_like(v),
        (lambda m, v: m + v.exp() * torch.randn_like(m), "spread is exp|gradient is wrong"),
        (lambda m, v: m, "no noise"),
        (lambda m, v: m + torch.randn_like(m), "no gradient reaches logvar"),
        (lambda m, v: draw(m, v).detach(), "no gradient reaches mu"),
        (lambda m, v: m + (draw(m, v) - m).detach(), "no gradient reaches logvar"),
        (lambda m, v: m + spread(v) * torch.randn(1, m.shape[1]), ""),
        (lambda m, v: m + spread(v) * torch.randn(len(m), 1), "all dimensions"),
        ("    eps", "    torch.manual_seed(0)\n    eps", ""),
        (lambda m, v: m + spread(v) * torch.rand_like(m), ""),
        (lambda m, v: m + spread(v) * 12**0.5 * (torch.rand_like(m) - 0.5), "normally"),
        (lambda m, v: torch.normal(m, spread(v)), "no gradient|gradient is wrong"),
        (lambda m, v: m + spread(-v) * torch.randn_like(m), "turned round|gradient is wrong"),
        (lambda m, v: draw(0 * m, v), "gradient is wrong"),
        (lambda m, v: m + spread(v) * torch.randn_like(m).abs(), "mean"),
        (lambda m, v: m + spread(v) * 1.2 * torch.randn_like(m), ""),
    ],
    "neg_elbo": [
        lambda x, y, m, v: (kl(m, v) + error(x, y)).mean(),
        lambda x, y, m, v: 0.5 * F.mse_loss(y, x, reduction="sum") / len(x) + kl(m, v).mean(),
        (" 0.5 *", "", "1/2 of the squared"),
        (lambda x, y, m, v: F.mse_loss(y, x) + kl(m, v).mean(), "averaged over pixels"),
        (lambda x, y, m, v: 0.5 * F.mse_loss(y, x) + kl(m, v).mean(), "averaged over pixels"),
        ("+ kl", "- kl", "wrong sign"),
        ("-right", "sign is turned"),
        ("+ kl", "+ 2 * kl", ""),
        ("neg_elbo(x, xhat, 0 * mu, 0 * logvar)", "KL term is missing"),
        (lambda x, y, m, v: kl(m, v).mean(), "reconstruction is missing"),
        (".mean()", ".sum()", "summed; take the mean"),
        ("(mu, logvar))", "(mu, logvar) / mu.shape[1])", "averaged over the codes"),
        (lambda x, y, m, v: (2 * kl(m, v) + error(x, y)).mean(), ""),
        ("right + 1", "batch mean of"),
    ],
    "bernoulli_nll": [
        lambda x, l: pixels(x, l, "none").flatten(1).sum(1),
        lambda x, l: -(x * F.logsigmoid(l) + (1 - x) * F.logsigmoid(-l)).flatten(1).sum(1),
        lambda x, l: -bernoulli(l).log_prob(x).flatten(1).sum(1),
        ("-right", "sign"),
        (lambda x, l: pixels(x, l, "none").flatten(1).mean(1), "pixels are averaged"),
        (lambda x, l: nll(1 - x, l), "exchanged"),
        (lambda x, l: pixels(x, l, "mean"), "shape|averaged"),
        (lambda x, l: nll_of(x, l.sigmoid().clamp(1e-7, 1 - 1e-7)), "nothing is cut off"),
        (lambda x, l: (x * F.softplus(-l)).flatten(1).sum(1), "x = 1 count"),
        (lambda x, l: nll(x, l.sigmoid()), "twice"),
        (lambda x, l: ((x - l.sigmoid()) ** 2).flatten(1).sum(1), ""),
        (lambda x, l: nll_of(x, l.sigmoid()), "NaN"),
        ("right / math.log(2)", "base 2"),
        (lambda x, l: nll(x, l.clamp(-10, 10)), "not -log p"),
    ],
    "elbo_mc": [
        ("q.log_prob(z).sum(1)", "log_q(z, mu, logvar)", None),
        # Roeder et al. (2017): the gradient goes through the draw only.
        ("q.log_prob(z).sum(1)", "log_q(z, mu.detach(), logvar.detach())", None),
        elbo_distribution,
        ("M * right", "summed"),
        ("right - len(mu) / 2 * math.log(2 * math.pi)", "2 pi of log q"),
        ("-right", "sign"),
        ("right - 0.5 * logvar.sum()", "log q"),
        ("- q.log_prob(z).sum(1)", "", "log q"),
        ("z = ", "z = mu + 0 * ", ""),
        ("logvar.expand(M, -1))", "logvar.expand(M, -1))[:1].expand(M, -1)", "one noise"),
        ("    z", "    torch.manual_seed(0)\n    z", ""),
        ("elbo_mc(log_joint, mu.detach(), logvar, M)", "no gradient|gradient in mu"),
        ("elbo_mc(log_joint, mu, logvar, 10 * M)", "spread"),
        ("logvar.expand(M, -1))", "logvar.expand(M, -1)).detach()", "gradient in mu"),
        ("logvar.expand", "2 * logvar.expand", "mean over|spread|log q"),
        ("right.item()", "no gradient"),
        ("mu.expand(M, -1), logvar", "0 * mu.expand(M, -1), 0 * logvar", "mean over|spread|log q"),
    ],
    "iw_bound": [
        lambda j, q: torch.logsumexp(j - q - math.log(len(j)), 0),
        iw_shifted,
        lambda j, q: iw(j.double(), q.double()),
        lambda j, q: np.logaddexp.reduce((j - q).double().numpy(), 0) - np.log(len(j)),
        (lambda j, q: torch.logsumexp(j - q, 0), "log K is missing"),
        (lambda j, q: (j - q).mean(0), "plain bound"),
        (lambda j, q: (j - q).max(0).values, "best of"),
        (lambda j, q: iw(j, -q), "log q is added"),
        (lambda j, q: iw(j, 0 * q), ""),
        (lambda j, q: iw(q, j), "turned round"),
        ("-right", "sign"),
        (lambda j, q: (j - q).exp().mean(0).log(), "NaN or infinite"),
        ("- math.log", "+ math.log", ""),
        (lambda j, q: iw(j.T, q.T), "shape|not over the K"),
        (iw_one_maximum, "NaN"),
        (lambda j, q: torch.logsumexp(j - q, 0) / len(j), ""),
        (lambda j, q: ((j - q).exp() + 1e-8).mean(0).log(), "NaN|sample by sample"),
    ],
    "vae_step": [
        (
            "error = ((x - decoder(z)) ** 2).sum(1) / 2",
            "error = F.mse_loss(decoder(z), x, reduction='none').sum(1) / 2",
            None,
        ),
        (
            "loss = (error + kl_std_normal(mu, logvar)).mean()",
            "loss = neg_elbo(x, decoder(z), mu, logvar)",
            None,
        ),
        (
            "optimiser.zero_grad()",
            "[p.__setattr__('grad', None) for p in [*encoder.parameters(), *decoder.parameters()]]",
            None,
        ),
        ("optimiser.zero_grad()", "", "left over"),
        ("optimiser.step()", "", "does the optimiser step"),
        (".sum(1) / 2", ".sum(1)", "factor 1/2"),
        (".sum(1) / 2", ".mean(1) / 2", "averaged over the pixels"),
        (
            "loss = (error + kl_std_normal(mu, logvar)).mean()",
            "loss = error.mean()",
            "divergence is missing",
        ),
        ("kl_std_normal(mu, logvar)", "kl_std_normal(mu, logvar) / 2", "averaged over the codes"),
        (".mean()", ".sum()", "summed over the samples"),
        ("(logvar / 2)", "logvar", "its half belongs"),
        ("* noise", "* 0", "noise is not used"),
        ("decoder(z)", "decoder(z.detach())", "no gradient reaches"),
        ("loss.backward()", "(-loss).backward()", "climbs"),
        ("mu, logvar = ", "logvar, mu = ", ""),
        ("* noise", "* torch.randn_like(noise)", ""),
        ("optimiser.step()", "optimiser.step(); optimiser.step()", ""),
        ("optimiser.step()", "optimiser.step(); encoder.requires_grad_(False)", "requires_grad"),
        ("optimiser.step()", "optimiser.step(); return 'done'", "text"),
    ],
}
# A draw without its gradient is wrong, and none is judged in single precision instead.
DRAWS = ["list", "array", "tuple", "keeps a graph", "single precision only"]

NOTHING = ["list", "array", "tuple", "double", "keeps a graph"]  # is returned

test_right_answers, test_wrong_answers = judged(
    ANSWERS,
    globals(),
    leave={"reparameterize": DRAWS, "elbo_mc": DRAWS, "vae_step": NOTHING},
)
