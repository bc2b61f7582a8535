"""The checks of the exercises on uncertainty: a row is an answer, to be accepted, or to be refused
with a hint.
"""

import copy
import math

import numpy as np
import torch
import torch.nn.functional as F
from students import accept_and_refuse
from torch import nn

# ---------------------------------------------------------------- entropies


def H(p):
    return torch.special.entr(p).sum(-1)


def total(P):
    return H(P.mean(0))


def total_numpy(P):
    mean = P.double().mean(0).numpy()
    return -np.nansum(mean * np.log(mean.clip(1e-30)), 1)


def information(P):
    return H(P.mean(0)) - H(P).mean(0)


def divergence(P):
    return (torch.xlogy(P, P) - torch.xlogy(P, P.mean(0))).sum(-1).mean(0)


# ---------------------------------------------------------------- passes with dropout


def passes(m, x, S, kinds=(nn.Dropout,), before=nn.Module.eval, of=lambda m, x: m(x), grad=False):
    modes = [(part, part.training) for part in m.modules()]
    before(m)
    for part in m.modules():
        if isinstance(part, kinds):
            part.train()
    with torch.set_grad_enabled(grad):
        P = torch.stack([of(m, x).softmax(-1) for _ in range(S)])
    for part, mode in modes:
        part.training = mode
    return P


def passed(**how):
    return lambda *v: passes(*v, **how)


class Shared(nn.Dropout):
    """One mask for all rows."""

    def forward(self, h):
        return h * (torch.rand(1, h.shape[1]) > self.p) / (1 - self.p)


def passes_shared(m, x, S):
    net = copy.deepcopy(m).eval()
    net[1][2], net[3] = Shared(net[1][2].p), Shared(net[3].p)
    with torch.no_grad():
        return torch.stack([net(x).softmax(1) for _ in range(S)]).to(x.dtype)


def seeded(m, x, S):
    torch.manual_seed(0)
    return passes(m, x, S)


def trained(m, x):
    """Leaves dropout on, and what batch normalisation has seen."""
    return m.train()(torch.cat([x, x + 1]))[: len(x)]


def without_mode(m, x, S):
    m.eval()
    m[1][2].train(), m[3].train()
    with torch.no_grad():
        return torch.stack([m(x).softmax(-1) for _ in range(S)])


# ---------------------------------------------------------------- ensembles and calibration


def mixture(mu, sigma):
    return torch.stack([mu.mean(0), (sigma**2).mean(0), mu.var(0, correction=0)])


def with_part(k, part):
    """The mixture with another part in place k."""
    return lambda *v: [part(*v) if n == k else right for n, right in enumerate(mixture(*v))]


def upper(places):
    return places.ceil().clamp(min=1) - 1


def error(P, y, bins, place=upper):
    confidence, predicted = P.max(1)
    b, gaps = place(confidence * bins).clamp(max=bins - 1), (predicted == y).double() - confidence
    return sum(gaps[b == k].sum().abs() for k in range(bins)) / len(y)


def error_bucketize(P, y, bins):
    confidence, predicted = P.double().max(1)
    place = torch.bucketize(confidence, torch.arange(1, bins, dtype=torch.float64) / bins)
    gaps = (predicted == y).double() - confidence
    return torch.zeros(bins).double().index_add(0, place, gaps).abs().sum() / len(y)


def error_numpy(P, y, bins):
    c, right, result = P.numpy().max(1), (P.argmax(1) == y).numpy(), 0.0
    for low in np.arange(bins):
        inside = (c > low / bins) & (c <= (low + 1) / bins)
        if inside.any():
            result += inside.mean() * abs(right[inside].mean() - c[inside].mean())
    return result


def gaps(P, y):
    return (P.argmax(1) == y).float() - P.max(1).values


def sets(s, P, alpha, rank=lambda n, a: math.ceil((n + 1) * (1 - a))):
    k = rank(len(s), alpha)
    return 1 - P <= (s.sort().values[max(k, 1) - 1] if k <= len(s) else math.inf)


def ranked(rank):
    return lambda *v: sets(*v, rank)


def sets_counted(s, P, alpha):
    below = (s < 1 - P[..., None]).sum(-1)
    k = math.ceil((len(s) + 1) * (1 - alpha))
    return ((below < k) & ~((below == len(s)) & (k <= len(s)))).int().tolist()


# ---------------------------------------------------------------- the tables

RIGHT = {
    "predictive_entropy": [
        total,
        lambda P: torch.distributions.Categorical(P.mean(0)).entropy(),
        lambda P: -(P.mean(0) * (P.mean(0) + 1e-12).log()).sum(1),
        total_numpy,
    ],
    "mutual_information": [
        information,
        divergence,
        lambda P: information(P).clamp(min=0),
        lambda P: [information(P[:, [n]]).squeeze() for n in range(P.shape[1])],
    ],
    "mc_dropout": [
        passes,
        lambda m, x, S: passes(m, x.repeat(S, 1), 1)[0].unflatten(0, (S, len(x))),
        lambda m, x, S: [passes(m, x, 1)[0].numpy() for _ in range(S)],
        passes_shared,
        passed(kinds=nn.modules.dropout._DropoutNd),
    ],
    "ensemble_gaussian": [
        mixture,
        lambda *v: [part.numpy() for part in mixture(*v)],
        with_part(2, lambda m, s: m.double().square().mean(0) - m.double().mean(0) ** 2),
        lambda m, s: (sum(m) / len(m), sum(s * s) / len(s), m.std(0, correction=0) ** 2),
    ],
    "ece": [error, error_bucketize, error_numpy],
    "conformal_set": [lambda *v: sets(*v).float(), sets, sets_counted],
}

WRONG = {
    "predictive_entropy": [
        (lambda P: H(P).mean(0), "aleatoric part"),
        (information, "mutual information"),
        (lambda P: -total(P), "sign"),
        (lambda P: total(P) / math.log(2), "base 2"),
        (lambda P: H(P[0]), "one pass"),
        (lambda P: total(P) / P.shape[-1], "averaged over the classes"),
        (lambda P: -(P.mean(0) * P.mean(0).log()).sum(-1), "NaN"),
        (lambda P: total(P).mean(), "shape"),
        (lambda P: total(P) / math.log(P.shape[-1]), "log C"),
        (lambda P: 1 - P.mean(0).max(-1).values, ""),
        (lambda P: H(P.mean(1)), "shape|only one pass|values"),
        (lambda P: total(P.mul_(1.1)), "argument in place"),
        (lambda P: H(P.sum(0)), "summed"),
    ],
    "mutual_information": [
        (total, "total"),
        (lambda P: H(P).mean(0), "aleatoric part"),
        (lambda P: -information(P), "sign"),
        (lambda P: information(P) / math.log(2), "base 2"),
        (lambda P: P.var(0, correction=0).sum(-1), "variance"),
        (lambda P: total(P) - H(P).sum(0), "summed"),
        (lambda P: (P * (P.log() - P.mean(0).log())).sum(-1).mean(0), "NaN"),
        (lambda P: (P.mean(0) * (P.mean(0).log() - P.log())).sum(-1).mean(0), "values|NaN"),
        (lambda P: information(P).mean().expand(P.shape[1]), "averaged"),
        (lambda P: divergence(P) * len(P), "summed"),
        (lambda P: information(P) / total(P).clamp(1e-9), ""),
    ],
    "mc_dropout": [
        (passed(kinds=()), "all passes are the same"),
        (lambda m, x, S: passes(m, x, 1).repeat(S, 1, 1), "all passes are the same"),
        (lambda *v: passes(*v).log(), "softmax"),
        (without_mode, "mode"),
        (passed(grad=True), "gradient"),
        (seeded, "seed"),
        (passed(before=lambda m: m.train()(torch.rand(9, 2).to(m[0].weight)).sum()), "buffers"),
        (passed(of=trained), "buffers"),
        (lambda *v: passes(*v).mean(0), "shape"),
        (lambda *v: passes(*v).transpose(0, 1), "shape"),
        (passed(of=lambda m, x: m.eval()(F.dropout(x))), "units dropped"),
        (lambda *v: passes(*v) ** 2, "softmax"),
    ],
    "ensemble_gaussian": [
        (with_part(2, lambda m, s: m.var(0)), "M - 1|NaN"),
        (with_part(1, lambda m, s: s.mean(0)), "mean of sigma squared"),
        (with_part(1, lambda m, s: s.mean(0) ** 2), "mean of sigma squared"),
        (lambda *v: (mixture(*v)[0], mixture(*v)[1:].sum(0)), "shape"),
        (with_part(2, lambda *v: mixture(*v)[1:].sum(0)), "total variance"),
        (lambda *v: mixture(*v)[[0, 2, 1]], "exchanged"),
        (lambda *v: torch.cat([mixture(*v)[:1], mixture(*v)[1:].sqrt()]), "variances"),
        (with_part(2, lambda m, s: (m**2).mean(0)), ""),
        (with_part(1, lambda m, s: (s**2).mean(0) / len(s)), "mean of sigma squared"),
        (lambda m, s: mixture(m.T, s.T), "shape"),
        (with_part(0, lambda m, s: (m / s**2).sum(0) / (1 / s**2).sum(0)), ""),
    ],
    "ece": [
        (lambda *v: error(*v, torch.floor), "upper edge"),
        (lambda P, y, b: b * error(P, y, b), ""),
        (lambda P, y, b: error(P, y, b) * len(y), "not divided"),
        (lambda P, y, b: error(P, y, 1), "cancel"),
        (lambda *v: 100 * error(*v), ""),
        (lambda P, y, b: gaps(P, y).mean(), "cancel"),
        (lambda *v: error(*v) ** 2, "value"),
        (lambda P, y, b: gaps(P, y).abs().mean(), ""),
        (lambda P, y, b: error(P, P.argmax(1), b), "value"),
        (lambda *v: torch.stack([error(*v)] * 2), "shape"),
    ],
    "conformal_set": [
        (ranked(lambda n, a: min(n, math.ceil((n + 1) * (1 - a)))), "every class"),
        (ranked(lambda n, a: math.ceil(n * (1 - a))), "rounded up"),
        (ranked(lambda n, a: math.floor((n + 1) * (1 - a))), "rounded up"),
        (lambda s, P, a: sets(s, P, 1 - a), "exchanged"),
        (lambda s, P, a: 1 - P <= torch.quantile(s, 1 - a), "interpolated"),
        (lambda *v: ~sets(*v), "score 1 - p"),
        (lambda s, P, a: sets(s, 1 - P, a), "score 1 - p"),
        (lambda s, P, a: sets(s, P, a) | (P == P.max(1, keepdim=True).values), ""),
        (lambda *v: sets(*v).sum(1), "shape"),
        (ranked(lambda n, a: math.ceil((n + 1) * (1 - a)) + 1), ""),
        (lambda s, P, a: sets(s.sort().values - 1e-3, P, a), "score 1 - p|sets"),
    ],
}

test_right_answers_are_accepted, test_wrong_answers_are_refused_with_the_fitting_hint = (
    accept_and_refuse(
        RIGHT, WRONG, leave={"mc_dropout": ["single precision only", "keeps a graph"]}
    )
)
