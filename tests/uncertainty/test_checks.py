"""The checks of the exercises on uncertainty: see `students.judged` for what a row is."""

import copy
import math

import numpy as np
import torch
import torch.nn.functional as F
from students import judged
from torch import nn

H = lambda p: torch.special.entr(p).sum(-1)
gaps = lambda P, y: (P.argmax(1) == y).float() - P.max(1).values
# Leaves dropout on, and what batch normalisation has seen.
trained = lambda m, x: m.train()(torch.cat([x, x + 1]))[: len(x)]


class Shared(nn.Dropout):
    """One mask for all rows."""

    def forward(self, h):
        return h * (torch.rand(1, h.shape[1]) > self.p) / (1 - self.p)


def passes_shared(m, x, S):
    net = copy.deepcopy(m).eval()
    net[1][2], net[3] = Shared(net[1][2].p), Shared(net[3].p)
    with torch.no_grad():
        return torch.stack([net(x).softmax(1) for _ in range(S)]).to(x.dtype)


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


def sets_counted(s, P, alpha):
    below = (s < 1 - P[..., None]).sum(-1)
    k = math.ceil((len(s) + 1) * (1 - alpha))
    return ((below < k) & ~((below == len(s)) & (k <= len(s)))).int().tolist()


def sharpest(z, y):
    """1/T by bisection: the loss is convex in it."""
    low, high = 0.02, 20.0
    for _ in range(50):
        b = (low + high) / 2
        p = (b * z).softmax(1)
        falls = ((p * z).sum(1) - z.gather(1, y[:, None])[:, 0]).mean() < 0
        low, high = (b, high) if falls else (low, b)
    return low


def by_grid(z, y, steps):
    grid = torch.logspace(math.log10(0.05), math.log10(50), steps)
    return grid[torch.stack([F.cross_entropy(z / T, y) for T in grid]).argmin()]


def too_sure(z, y):
    return z.softmax(1).amax(1).mean() - (z.argmax(1) == y).float().mean()


def auroc_by_ranks(inside, outside):
    """The statistic of Mann and Whitney, with middle ranks."""
    every = torch.cat([inside, outside])
    below = (every[:, None] > every).double().sum(1) + (
        (every[:, None] == every).double().sum(1) + 1
    ) / 2
    n, m = len(inside), len(outside)
    return (below[n:].sum() - m * (m + 1) / 2) / (n * m)


ANSWERS = {
    "predictive_entropy": [
        "torch.distributions.Categorical(P.mean(0)).entropy()",
        "-(P.mean(0) * (P.mean(0) + 1e-12).log()).sum(1)",
        "-np.nansum((p := P.double().mean(0).numpy()) * np.log(p.clip(1e-30)), 1)",
        ("H(P).mean(0)", "aleatoric part"),
        ("mutual_information(P)", "mutual information"),
        ("-right", "sign"),
        ("right / math.log(2)", "base 2"),
        ("H(P[0])", "one pass"),
        ("right / P.shape[-1]", "averaged over the classes"),
        ("-(P.mean(0) * P.mean(0).log()).sum(-1)", "NaN"),
        ("right.mean()", "shape"),
        ("right / math.log(P.shape[-1])", "log C"),
        ("1 - P.mean(0).max(-1).values", ""),
        ("H(P.mean(1))", "shape|only one pass|values"),
        ("predictive_entropy(P.mul_(1.1))", "argument in place"),
        ("H(P.sum(0))", "summed"),
    ],
    "mutual_information": [
        "(torch.xlogy(P, P) - torch.xlogy(P, P.mean(0))).sum(-1).mean(0)",
        "right.clamp(min=0)",
        "[mutual_information(P[:, [n]]).squeeze() for n in range(P.shape[1])]",
        ("H(P.mean(0))", "total"),
        ("H(P).mean(0)", "aleatoric part"),
        ("-right", "sign"),
        ("right / math.log(2)", "base 2"),
        ("P.var(0, correction=0).sum(-1)", "variance"),
        (".mean(0)", ".sum(0)", "summed"),
        ("(P * (P.log() - P.mean(0).log())).sum(-1).mean(0)", "NaN"),
        ("(P.mean(0) * (P.mean(0).log() - P.log())).sum(-1).mean(0)", "values|NaN"),
        ("right.mean().expand(P.shape[1])", "averaged"),
        ("right * len(P)", "summed"),
        ("right / H(P.mean(0)).clamp(1e-9)", ""),
    ],
    "mc_dropout": [
        "mc_dropout(m, x.repeat(S, 1), 1)[0].unflatten(0, (S, len(x)))",
        "[mc_dropout(m, x, 1)[0].numpy() for _ in range(S)]",
        passes_shared,
        ("nn.Dropout", "nn.modules.dropout._DropoutNd", None),
        ("part.train()", "pass", "all passes are the same"),
        ("mc_dropout(m, x, 1).repeat(S, 1, 1)", "all passes are the same"),
        ("right.log()", "softmax"),
        ("part.training = mode", "pass", "mode"),
        ("no_grad", "enable_grad", "gradient"),
        ("m.eval()", "m.eval(), torch.manual_seed(0)", "seed"),
        ("m.eval()", "m.train()(torch.rand(9, 2).to(m[0].weight)).sum()", "buffers"),
        ("m(x)", "trained(m, x)", "buffers"),
        ("right.mean(0)", "shape"),
        ("right.transpose(0, 1)", "shape"),
        ("m(x)", "m.eval()(F.dropout(x))", "units dropped"),
        ("right**2", "softmax"),
    ],
    "ensemble_gaussian": [
        "torch.stack(right)",
        "[part.numpy() for part in right]",
        ("mu.var(0, unbiased=False)", "(mu.double() ** 2).mean(0) - mu.double().mean(0)**2", None),
        "(sum(mu) / len(mu), sum(sigma * sigma) / len(sigma), mu.std(0, correction=0) ** 2)",
        (", unbiased=False", "", "M - 1|NaN"),
        ("(sigma**2).mean(0)", "sigma.mean(0)", "mean of sigma squared"),
        ("(sigma**2).mean(0)", "sigma.mean(0) ** 2", "mean of sigma squared"),
        ("aleatoric, epistemic", "aleatoric + epistemic", "shape"),
        ("aleatoric, epistemic", "aleatoric, aleatoric + epistemic", "total variance"),
        ("aleatoric, epistemic", "epistemic, aleatoric", "exchanged"),
        ("aleatoric, epistemic", "aleatoric.sqrt(), epistemic.sqrt()", "variances"),
        ("mu.var(0, unbiased=False)", "(mu**2).mean(0)", ""),
        ("(sigma**2).mean(0)", "(sigma**2).mean(0) / len(sigma)", "mean of sigma squared"),
        ("ensemble_gaussian(mu.T, sigma.T)", "shape"),
        ("mu.mean(0)", "(mu / sigma**2).sum(0) / (1 / sigma**2).sum(0)", ""),
    ],
    "ece": [
        error_bucketize,
        error_numpy,
        (".ceil()", ".floor().clamp(max=bins - 1) + 1", "upper edge"),
        ("bins * right", ""),
        ("right * len(y)", "not divided"),
        ("ece(P, y, 1)", "cancel"),
        ("100 * right", ""),
        ("gaps(P, y).mean()", "cancel"),
        ("right**2", "value"),
        ("gaps(P, y).abs().mean()", ""),
        ("ece(P, P.argmax(1), bins)", "value"),
        ("torch.stack([right] * 2)", "shape"),
    ],
    "conformal_set": [
        "right.float()",
        "right.tolist()",
        "right.numpy()",
        "[list(row) for row in right]",
        sets_counted,
        ("k <= len(s)", "True", "k - 1", "min(k, len(s)) - 1", "every class"),
        ("(len(s) + 1)", "len(s)", "rounded up"),
        ("ceil", "floor", "k - 1", "max(k, 1) - 1", "rounded up"),
        ("conformal_set(s, P, 1 - alpha)", "exchanged"),
        ("1 - P <= torch.quantile(s, 1 - alpha)", "interpolated"),
        ("~right", "score 1 - p"),
        ("conformal_set(s, 1 - P, alpha)", "score 1 - p"),
        ("right | (P == P.max(1, keepdim=True).values)", ""),
        ("right.sum(1)", "shape"),
        ("(1 - alpha))", "(1 - alpha)) + 1", ""),
        ("conformal_set(s.sort().values - 1e-3, P, alpha)", "score 1 - p|sets"),
    ],
    "best_temperature": [
        "1 / sharpest(logits.double(), y)",
        "by_grid(logits, y, 2000)",
        ("range(3)", "range(4)", None),
        ("by_grid(logits, y, 40)", "smaller mean loss|rounded"),
        ("math.log(50)", "math.log(10)", ""),
        ("math.log(0.05)", "0.0", ""),
        ("1 / right", "1/T"),
        ("torch.ones(())", "not changed"),
        ("math.log(right)", ""),
        ("right**2", "square|smaller"),
        ("float(round(right))", "rounded|smaller"),
        ("/ u.exp()", "* u.exp()", ""),
        ("return math.exp(best)", "return best", ""),
        ("F.cross_entropy(", "-F.cross_entropy(", ""),
        (
            "F.cross_entropy(z / u.exp(), y)",
            "too_sure(z / u.exp(), y).square()",
            "",
        ),
        ("logits.std()", ""),
    ],
    "auroc": [
        "((outside[:, None] > inside).float() + 0.5 * (outside[:, None] == inside).float()).mean()",
        "((outside[:, None] - inside).sign().mean() + 1) / 2",
        "auroc_by_ranks(inside, outside)",
        ("+ (u == v).double().mean() / 2", "", "count one half"),
        ("+ (u == v).double().mean() / 2", "+ (u == v).double().mean()", "count one half"),
        ("auroc(outside, inside)", "changed places"),
        ("right.clamp(min=1 - right)", "turned round"),
        ("right * len(inside) * len(outside)", "take the share"),
        ("(outside.mean() > inside.mean()).float()", ""),
        ("(outside > inside.median()).float().mean()", ""),
        ("2 * right - 1", ""),
        ("1 - right", ""),
    ],
    "votes_loss": [
        "F.cross_entropy(logits, votes / votes.sum(1, keepdim=True), reduction='none')",
        "logits.logsumexp(1) - (votes * logits).sum(1) / votes.sum(1)",
        ("log_softmax(1)", "double().log_softmax(1)", None),
        ("votes / votes.sum(1, keepdim=True)", "votes", "divide by their number"),
        ("votes / votes.sum(1, keepdim=True)", "votes / votes.sum()", "divide by their number"),
        ("votes / votes.sum(1, keepdim=True)", "votes.softmax(1)", "no softmax"),
        ("F.cross_entropy(logits, votes.argmax(1), reduction='none')", ""),
        ("logits.log_softmax(1)", "logits.softmax(1).log()", "NaN|infinite"),
        ("logits.log_softmax(1)", "logits.softmax(1)", ""),
        ("logits.log_softmax(1)", "logits.log_softmax(0)", ""),
        (".sum(1)\n", ".mean(1)\n", ""),
        ("right.mean()", "shape"),
        ("-right", "sign"),
        ("right / math.log(2)", ""),
    ],
}

test_right_answers, test_wrong_answers = judged(
    ANSWERS, globals(), leave={"mc_dropout": ["single precision only", "keeps a graph"]}
)
