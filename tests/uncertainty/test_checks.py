"""The checks of the exercises on uncertainty: wrong answers that students give are refused, right
ones of any style accepted.
"""

import math

import numpy as np
import torch
from students import accept_and_refuse
from torch import nn

torch.set_num_threads(1)


# ---------------------------------------------------------------- right answers


def H(p):
    return torch.special.entr(p).sum(-1)


def total(P):
    return H(P.mean(0))


def information(P):
    return H(P.mean(0)) - H(P).mean(0)


def by_divergence(P):
    mean = P.mean(0)
    return (torch.xlogy(P, P) - torch.xlogy(P, mean)).sum(-1).mean(0)


def passes(
    m,
    x,
    S,
    kinds=(nn.Dropout,),
    once=False,
    softmax=True,
    everything=False,
    restore=True,
    grad=False,
):
    modes = [(part, part.training) for part in m.modules()]
    m.train() if everything else m.eval()
    for part in m.modules():
        if isinstance(part, kinds):
            part.train()
    with torch.set_grad_enabled(grad):
        P = torch.stack([m(x).softmax(-1) if softmax else m(x) for _ in range(1 if once else S)])
    if restore:
        for part, mode in modes:
            part.training = mode
    return P.repeat(S, 1, 1) if once else P


def passes_in_one_batch(m, x, S):
    return passes(m, x.repeat(S, 1), 1)[0].unflatten(0, (S, len(x)))


def passes_with_numpy(m, x, S):
    return [passes(m, x, 1)[0].numpy() for _ in range(S)]


def passes_one_mask_for_all_rows(m, x, S):
    from copy import deepcopy

    class Shared(nn.Module):
        def __init__(self, p):
            super().__init__()
            self.p = p

        def forward(self, h):
            return h * (torch.rand(1, h.shape[1]) > self.p) / (1 - self.p)

    net = deepcopy(m).eval()
    net[1][2], net[3] = Shared(net[1][2].p), Shared(net[3].p)
    with torch.no_grad():
        return torch.stack([net(x).softmax(1) for _ in range(S)]).to(x.dtype)


def mixture(mu, sigma):
    return mu.mean(0), (sigma**2).mean(0), mu.var(0, unbiased=False)


def error(P, y, bins, upper=True):
    confidence, predicted = P.max(1)
    place = (
        (confidence * bins).ceil().clamp(min=1)
        if upper
        else (confidence * bins).floor().clamp(max=bins - 1) + 1
    )
    return sum(
        (((predicted == y).double() - confidence)[place == b]).sum().abs()
        for b in range(1, bins + 1)
    ) / len(y)


def error_by_bucketize(P, y, bins):
    confidence, predicted = P.double().max(1)
    place = torch.bucketize(confidence, torch.arange(1, bins, dtype=torch.float64) / bins)
    gap = torch.zeros(bins, dtype=torch.float64).index_add(
        0, place, (predicted == y).double() - confidence
    )
    return gap.abs().sum() / len(y)


def error_of_numpy(P, y, bins):
    P, y = P.numpy(), y.numpy()
    c, right, result = P.max(1), P.argmax(1) == y, 0.0
    for low, high in zip(np.arange(bins) / bins, np.arange(1, bins + 1) / bins):
        inside = (c > low) & (c <= high)
        if inside.any():
            result += inside.mean() * abs(right[inside].mean() - c[inside].mean())
    return result


def sets(s, P, alpha, rank=lambda n, a: math.ceil((n + 1) * (1 - a))):
    k = rank(len(s), alpha)
    return 1 - P <= (s.sort().values[max(k, 1) - 1] if k <= len(s) else math.inf)


RIGHT = {
    "predictive_entropy": [
        total,
        lambda P: torch.distributions.Categorical(P.mean(0)).entropy(),
        lambda P: -(P.mean(0) * (P.mean(0) + 1e-12).log()).sum(1),
        lambda P: [H(p).item() for p in P.mean(0)],
        lambda P: (
            -np.nansum(
                P.double().mean(0).numpy() * np.log(P.double().mean(0).clamp(1e-30).numpy()), 1
            )
        ),
        lambda P: total(P.clone().requires_grad_()),
    ],
    "mutual_information": [
        information,
        by_divergence,
        lambda P: information(P.double()),
        lambda P: information(P).clamp(min=0),
        lambda P: [information(P[:, [n]]).squeeze() for n in range(P.shape[1])],
        lambda P: information(P).numpy(),
    ],
    "mc_dropout": [
        passes,
        passes_in_one_batch,
        passes_with_numpy,
        passes_one_mask_for_all_rows,
        lambda m, x, S: passes(m, x, S, (nn.modules.dropout._DropoutNd,)),
    ],
    "ensemble_gaussian": [
        mixture,
        lambda m, s: list(mixture(m, s)),
        lambda m, s: torch.stack(mixture(m, s)),
        lambda m, s: (
            m.mean(0),
            s.square().mean(0),
            m.double().square().mean(0) - m.double().mean(0) ** 2,
        ),
        lambda m, s: tuple(t.numpy() for t in mixture(m, s)),
        lambda m, s: (sum(m) / len(m), sum(s * s) / len(s), m.std(0, unbiased=False) ** 2),
    ],
    "ece": [
        error,
        error_by_bucketize,
        error_of_numpy,
        lambda *a: error(*a).item(),
        lambda P, y, bins: error(P.double(), y, bins),
    ],
    "conformal_set": [
        sets,
        lambda *a: sets(*a).float(),
        lambda *a: sets(*a).int().tolist(),
        lambda s, P, a: sets(s.double(), P.double(), a),
        lambda s, P, a: [
            [
                int(
                    sum(v < 1 - p for v in s.tolist()) < math.ceil((len(s) + 1) * (1 - a))
                    and not (
                        sum(v < 1 - p for v in s.tolist())
                        == len(s)
                        >= math.ceil((len(s) + 1) * (1 - a))
                    )
                )
                for p in row
            ]
            for row in P.tolist()
        ],
    ],
}


# ---------------------------------------------------------------- wrong answers


def seeded(m, x, S):
    torch.manual_seed(0)
    return passes(m, x, S)


def changed_statistics(m, x, S):
    modes = [(part, part.training) for part in m.modules()]
    m.train()
    with torch.no_grad():
        m(torch.cat([x, x]))
    for part, mode in modes:
        part.training = mode
    return passes(m, x, S)


def fully_trained(m, x, S):
    m.train()
    with torch.no_grad():
        return torch.stack([m(torch.cat([x, x + 1]))[: len(x)].softmax(-1) for _ in range(S)])


WRONG = {
    "predictive_entropy": [
        (lambda P: H(P).mean(0), "aleatoric part"),
        (information, "mutual information"),
        (lambda P: -total(P), "sign"),
        (lambda P: total(P) / math.log(2), "base 2"),
        (lambda P: H(P[0]), "one pass"),
        (lambda P: total(P) / P.shape[-1], "averaged over the classes"),
        (lambda P: -(P.mean(0) * P.mean(0).log()).sum(-1), "NaN"),
        (lambda P: total(P).mean(), "shape|each has its own"),
        (lambda P: total(P) / math.log(P.shape[-1]), "log C"),
        (lambda P: 1 - P.mean(0).max(-1).values, "confidence"),
        (lambda P: H(P.mean(1)), "shape|only one pass|values"),
        (lambda P: total(P.mul_(1.1)), "argument in place"),
        (lambda P: H(P.sum(0)), "summed|take their mean"),
    ],
    "mutual_information": [
        (total, "total"),
        (lambda P: H(P).mean(0), "aleatoric part"),
        (lambda P: -information(P), "sign"),
        (lambda P: information(P) / math.log(2), "base 2"),
        (lambda P: P.var(0, unbiased=False).sum(-1), "variance"),
        (lambda P: total(P) - H(P).sum(0), "summed over the passes"),
        (lambda P: (P * (P.log() - P.mean(0).log())).sum(-1).mean(0), "NaN"),
        (lambda P: (P.mean(0) * (P.mean(0).log() - P.log())).sum(-1).mean(0), "values|NaN"),
        (lambda P: information(P).mean().expand(P.shape[1]), "averaged"),
        (lambda P: by_divergence(P) * len(P), "take the mean"),
        (lambda P: information(P) / total(P).clamp(1e-9), "share"),
    ],
    "mc_dropout": [
        (lambda m, x, S: passes(m, x, S, kinds=()), "all passes are the same"),
        (lambda m, x, S: passes(m, x, S, once=True), "all passes are the same"),
        (lambda m, x, S: passes(m, x, S, softmax=False), "softmax"),
        (lambda m, x, S: passes(m, x, S, restore=False), "mode"),
        (lambda m, x, S: passes(m, x, S, grad=True), "gradient"),
        (seeded, "seed"),
        (changed_statistics, "buffers"),
        (fully_trained, "mode|buffers"),
        (lambda m, x, S: passes(m, x, S).mean(0), "shape"),
        (lambda m, x, S: passes(m, x, S).transpose(0, 1), "shape"),
        (
            lambda m, x, S: torch.stack(
                [m(nn.functional.dropout(x, 0.5)).detach().softmax(-1) for _ in range(S)]
            ),
            "units dropped|buffers|mode|raises",
        ),
        (lambda m, x, S: passes(m, x, S) ** 2, "softmax"),
    ],
    "ensemble_gaussian": [
        (lambda m, s: (m.mean(0), (s**2).mean(0), m.var(0)), "M - 1|NaN"),
        (lambda m, s: (m.mean(0), s.mean(0), m.var(0, unbiased=False)), "mean of sigma;"),
        (lambda m, s: (m.mean(0), s.mean(0) ** 2, m.var(0, unbiased=False)), "square of the mean"),
        (lambda m, s: (mixture(m, s)[0], mixture(m, s)[1] + mixture(m, s)[2]), "shape"),
        (lambda m, s: (*mixture(m, s)[:2], mixture(m, s)[1] + mixture(m, s)[2]), "total variance"),
        (lambda m, s: (mixture(m, s)[0], *mixture(m, s)[:0:-1]), "exchanged"),
        (
            lambda m, s: (m.mean(0), mixture(m, s)[1] ** 0.5, mixture(m, s)[2] ** 0.5),
            "standard deviations",
        ),
        (lambda m, s: (m.mean(0), (s**2).mean(0), (m**2).mean(0)), "square of the mean"),
        (
            lambda m, s: (m.mean(0), (s**2).mean(0) / len(s), m.var(0, unbiased=False)),
            "variance of a mean",
        ),
        (lambda m, s: (m.mean(1), (s**2).mean(1), m.var(1, unbiased=False)), "shape"),
        (lambda m, s: ((m / s**2).sum(0) / (1 / s**2).sum(0), *mixture(m, s)[1:]), "equal weight"),
    ],
    "ece": [
        (lambda P, y, b: error(P, y, b, upper=False), "upper edge"),
        (lambda P, y, b: b * error(P, y, b), "value|sum|average"),
        (lambda P, y, b: error(P, y, b) * len(y), "not divided"),
        (lambda P, y, b: error(P, y, 1), "one bin"),
        (lambda P, y, b: 100 * error(P, y, b), "percent"),
        (lambda P, y, b: ((P.argmax(1) == y).float() - P.max(1).values).mean(), "cancel"),
        (lambda P, y, b: error(P, y, b) ** 2, "value"),
        (
            lambda P, y, b: ((P.argmax(1) == y).float() - P.max(1).values).abs().mean(),
            "sample by sample",
        ),
        (lambda P, y, b: error(P, P.argmax(1), b), "value"),
        (lambda P, y, b: torch.tensor([error(P, y, b)] * 2), "shape"),
    ],
    "conformal_set": [
        (
            lambda s, P, a: sets(s, P, a, lambda n, a: min(n, math.ceil((n + 1) * (1 - a)))),
            "every class",
        ),
        (lambda s, P, a: sets(s, P, a, lambda n, a: math.ceil(n * (1 - a))), "takes a place"),
        (
            lambda s, P, a: sets(s, P, a, lambda n, a: math.floor((n + 1) * (1 - a))),
            "rounded down|takes a place",
        ),
        (lambda s, P, a: sets(s, P, 1 - a), "exchanged"),
        (lambda s, P, a: 1 - P <= torch.quantile(s, 1 - a), "interpolated"),
        (lambda s, P, a: ~sets(s, P, a), "turned round"),
        (lambda s, P, a: sets(s, 1 - P, a), "compared"),
        (lambda s, P, a: sets(s, P, a) | (P == P.max(1, keepdim=True).values), "most probable"),
        (lambda s, P, a: sets(s, P, a).sum(1), "shape"),
        (
            lambda s, P, a: sets(s, P, a, lambda n, a: math.ceil((n + 1) * (1 - a)) + 1),
            "off by one",
        ),
        (lambda s, P, a: sets(s.sort().values - 1e-3, P, a), "equality|values|sets|<"),
    ],
}


test_right_answers_are_accepted, test_wrong_answers_are_refused_with_the_fitting_hint = (
    accept_and_refuse(RIGHT, WRONG)
)
