"""The checks of the exercises on uncertainty."""

import copy
import functools
import math
from collections.abc import Callable
from typing import Any

import numpy
from torch import Tensor, arange, cartesian_prod, float32, float64, nn, tensor, zeros
from torch import bool as boolean
from torch.special import entr

from ._helpers import Draw, close, drawn, exercise, judge, judge_draws

_double, _expand = Tensor.double, Tensor.expand


# ---------------------------------------------------------------- entropies


def entropy(P: Tensor) -> Tensor:
    return entr(P).sum(-1)


def total(P: Tensor) -> Tensor:
    return entropy(P.mean(0))


def aleatoric(P: Tensor) -> Tensor:
    return entropy(P).mean(0)


def information(P: Tensor) -> Tensor:
    return total(P) - aleatoric(P)


def passes() -> dict[str, tuple]:
    def make(d: Draw, s: int, n: int, c: int, copies: int = 1) -> tuple:
        return (d.uniform(-3, 3, s, n, c).softmax(-1).repeat(copies, 1, 1),)

    corners = tensor([[[1.0, 0, 0], [0.5, 0.5, 0]], [[0, 0, 1], [0.5, 0.5, 0]]])
    return {
        "four passes, three samples, five classes": drawn(make, 4, 3, 5),
        "as many passes as samples and classes": drawn(make, 3, 3, 3, dtype=float64),
        "one sample": drawn(make, 6, 1, 2),
        "one pass": drawn(make, 1, 4, 3),
        "passes that agree": drawn(make, 1, 2, 4, 3),
        "probabilities of 0 and 1": (corners,),
    }


@exercise
def check_predictive_entropy(answer: Callable) -> None:
    """P (S, N, C) -> (N,): entropy in nats of the mean over S."""
    judge(
        answer,
        passes(),
        total,
        {
            "this is the aleatoric part; take the entropy of the mean": aleatoric,
            "this is the mutual information; the total is asked for": information,
            "nats are asked for, neither base 2 nor a share of log C": (
                lambda P: total(P) / math.log(2),
                lambda P: total(P) / math.log(P.shape[2]),
            ),
            "it is averaged over the classes; sum them": lambda P: total(P) / P.shape[2],
            "only one pass is used; take the mean of all": lambda P: entropy(P[0]),
            "the passes are summed; take their mean": lambda P: entropy(P.sum(0)),
        },
        "the values are not -sum_c p_c log p_c of the mean prediction, with 0 log 0 = 0",
    )


@exercise
def check_mutual_information(answer: Callable) -> None:
    """P (S, N, C) -> (N,): H[mean_s p_s] - mean_s H[p_s] in nats."""
    judge(
        answer,
        passes(),
        information,
        {
            "this is the total uncertainty; subtract the mean of the entropies": total,
            "this is the aleatoric part; subtract it from the total": aleatoric,
            "the logarithm is to base 2; take nats": lambda P: information(P) / math.log(2),
            "the passes are summed; take their mean": (
                lambda P: total(P) - entropy(P).sum(0),
                lambda P: information(P) * len(P),
            ),
            "this is the variance of the passes": lambda P: P.var(0, correction=0).sum(-1),
        },
        "the values are not H[mean prediction] minus the mean of H, with 0 log 0 = 0",
    )


# ---------------------------------------------------------------- passes with dropout


def dropping(d: Draw, modes: str, n: int) -> tuple:
    """Two places for dropout and a batch normalisation between them; all hidden units are on."""
    first, normal, drop = nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Dropout(0.5)
    hidden = nn.Sequential(normal, nn.ReLU(), drop)
    model = nn.Sequential(first, hidden, nn.Linear(3, 2), nn.Dropout(0.25), nn.Linear(2, 3))
    for p in model.to(d.dtype).parameters():
        p.data = d.uniform(0.3, 1.5, *p.shape) * (2 * d.index(2, *p.shape) - 1)
    for p in (*first.parameters(), *normal.parameters()):
        p.data = d.uniform(0.3, 1.5, *p.shape)
    normal.running_mean, normal.running_var = d.uniform(-1, -0.5, 3), d.uniform(0.5, 2, 3)
    model.train(modes == "training mode")
    if modes == "modes that differ":
        hidden.train()
        drop.eval()
    return model, d.uniform(0.2, 2, n, 2)


def by_mask(model: nn.Sequential, x: Tensor) -> tuple[Tensor, Tensor, Tensor, list]:
    """Mean, variance and excess of the class probabilities (N, C) over all 32 pairs of masks, and
    for each row what the masks give.
    """
    net = copy.deepcopy(model).double().eval().requires_grad_(False)
    mask, rate = cartesian_prod(*[arange(2)] * 5)[:, None], tensor([0.5, 0.5, 0.5, 0.25, 0.25])
    kept = (mask / (1 - rate)).double()
    P = net[4](net[2](net[:2](x.double()) * kept[..., :3]) * kept[..., 3:]).softmax(-1)
    chance = (mask * (1 - rate) + (1 - mask) * rate).double().prod(-1, keepdim=True)
    mean = (chance * P).sum(0)
    variance, fourth = ((chance * (P - mean) ** k).sum(0) for k in (2, 4))
    return mean, variance, fourth / variance**2 - 3, P.transpose(0, 1).tolist()


def single(masks: list) -> Callable[[Any, Any], None]:
    """Judges the passes of one call, by what each mask gives."""

    @functools.cache
    def known(n: int, *p: float) -> bool:
        return any(close(list(p), q, 1e-3) for q in masks[n])

    def judged(raw: Any, values: list) -> None:
        if isinstance(raw, Tensor) and raw.requires_grad:
            raise AssertionError("the result carries a gradient; use torch.no_grad()")
        if any(abs(sum(p) - 1) > 1e-3 or min(p) < 0 for rows in values for p in rows):
            raise AssertionError("the rows are not probabilities; take the softmax of the scores")
        if len(values) > 1 and all(close(rows, values[0], 1e-6) for rows in values):
            raise AssertionError("all passes are the same: is dropout active, with new masks?")
        if not all(known(n, *p) for rows in values for n, p in enumerate(rows)):
            raise AssertionError(
                "a pass is not that of the network with some units dropped: batch normalisation "
                "must be in evaluation mode, and only dropout active"
            )

    return judged


@exercise
def check_mc_dropout(answer: Callable) -> None:
    """(model with Dropout and BatchNorm, x (N, D), S) -> (S, N, C): S passes, only Dropout on."""
    models = {
        "evaluation mode": (3, float32),
        "training mode": (2, float32),
        "modes that differ": (4, float64),
        "evaluation mode, one row": (1, float32),
    }
    cases = [
        (modes, *drawn(dropping, modes, n, dtype=dtype)) for modes, (n, dtype) in models.items()
    ]
    wanted = [by_mask(model, x) for _, model, x in cases]
    for (modes, model, x), (mean, variance, excess, masks) in zip(cases, wanted, strict=True):
        for S, calls in ((200, 2), (1, 8)):
            judge_draws(
                answer,
                (model, x, S),
                _expand(mean, (S, -1, -1)),
                variance,
                f"a model in {modes}",
                seeds=[len(x)],
                calls=calls,
                excess=excess,
                each=single(masks),
            )


# ---------------------------------------------------------------- ensembles and calibration


@exercise
def check_ensemble_gaussian(answer: Callable) -> None:
    """(mu (M, N), sigma (M, N)) -> mean, aleatoric, epistemic, (N,) each."""

    def parts(
        mean: Callable = lambda mu, sigma: mu.mean(0),
        noise: Callable = lambda mu, sigma: (sigma**2).mean(0),
        spread: Callable = lambda mu, sigma: mu.var(0, correction=0),
    ) -> Callable:
        return lambda *v: (mean(*v), noise(*v), spread(*v))

    def make(d: Draw, m: int, n: int, copies: int = 1, shift: float = 0.0) -> tuple:
        mu, sigma = shift + d.uniform(-2, 2, m, n), d.uniform(0.1, 1.5, m, n)
        return mu.repeat(copies, 1), sigma.repeat(copies, 1)

    equation = parts()
    judge(
        answer,
        {
            "five members, three samples": drawn(make, 5, 3),
            "as many members as samples": drawn(make, 4, 4, dtype=float64),
            "one sample": drawn(make, 6, 1),
            "one member": drawn(make, 1, 3),
            "members that agree": drawn(make, 1, 4, 3),
            "means near 300": drawn(make, 3, 2, 1, 300.0, dtype=float64),
        },
        equation,
        {
            "the epistemic part divides by M - 1": parts(spread=lambda mu, sigma: mu.var(0)),
            "the aleatoric part is the mean of sigma squared": (
                parts(noise=lambda mu, sigma: sigma.mean(0)),
                parts(noise=lambda mu, sigma: sigma.mean(0) ** 2),
                parts(noise=lambda mu, sigma: (sigma**2).mean(0) / len(sigma)),
            ),
            "the variances are asked for": lambda *v: [
                part**p for part, p in zip(equation(*v), (1, 0.5, 0.5), strict=True)
            ],
            "the last part is the total variance; the epistemic one is that of mu alone": parts(
                spread=lambda *v: equation(*v)[1] + equation(*v)[2]
            ),
            "the two parts are exchanged": lambda *v: [equation(*v)[k] for k in (0, 2, 1)],
        },
        "the values are not the means of mu and sigma squared, and the population variance of mu",
    )


@exercise
def check_ece(answer: Callable) -> None:
    """(P (N, C), y (N,), bins) -> scalar: the calibration error; bins hold their upper edge."""

    def score(
        reduce: Callable = lambda n, gaps: gaps.abs().sum() / n.sum(),
        place: Callable = lambda places: (places - 1e-9).ceil() - 1,
    ) -> Callable:
        """By the number of samples of each bin, and the sum of right - confidence over them."""

        def result(P: Tensor, y: Tensor, bins: int) -> Tensor:
            confidence, predicted = P.max(1)
            b = place(confidence * bins).long().clamp(0, bins - 1)
            gaps = zeros(bins).index_add(0, b, (predicted == y).double() - confidence)
            return reduce(b.bincount(minlength=bins), gaps)

        return result

    def make(d: Draw, n: int, c: int, bins: int) -> tuple:
        return d.uniform(-3, 3, n, c).softmax(1), d.index(c, n), bins

    def clear(P: Tensor, y: Tensor, bins: int) -> bool:
        """No confidence is near the edge of a bin, and no two classes are equally likely."""
        top = P.topk(2).values
        places = top[:, 0] * bins
        return bool(min((places - places.round()).abs().min(), -top.diff().max()) > 1e-3)

    edges = tensor([[8.0, 0, 0], [0, 0, 8], [4, 2, 2], [6, 2, 0], [2, 1, 5], [0, 8, 0]]) / 8
    certain = tensor([[1.0, 0], [0, 1]]), tensor([0, 0]), 10
    judge(
        answer,
        {
            "twenty samples, three classes, five bins": drawn(make, 20, 3, 5, clear=clear),
            "two classes, ten bins": drawn(make, 15, 2, 10, clear=clear, dtype=float64),
            "one sample": drawn(make, 1, 4, 15, clear=clear),
            "one bin": drawn(make, 9, 5, 1, clear=clear),
            "confidences on the edges of four bins": (edges, tensor([0, 0, 0, 1, 2, 1]), 4),
            "all certain and right in half of the cases": certain,
        },
        score(),
        {
            "a bin holds its upper edge, not its lower one": score(place=Tensor.floor),
            "the bins count the same; weigh each with its share of the samples": score(
                lambda n, gaps: (gaps.abs() / n)[n > 0].mean()
            ),
            "the gaps cancel; take the absolute value of each bin's gap": (
                score(lambda n, gaps: gaps.sum() / n.sum()),
                score(lambda n, gaps: -gaps.sum() / n.sum()),
            ),
            "the sum is not divided by N": score(lambda n, gaps: gaps.abs().sum()),
        },
        "the value is not sum_b n_b/N |accuracy_b - confidence_b|, by bins of the top probability",
    )


@exercise
def check_conformal_set(answer: Callable) -> None:
    """(s (n,), P (N, C), alpha) -> (N, C) of 0 and 1: classes with 1 - p <= the quantile of s."""

    def rank(n: int, alpha: float) -> int:
        return math.ceil((n + 1) * (1 - alpha) - 1e-9)

    def chosen(
        place: Callable[[int, float], int] = rank,
        test: Callable[[Tensor, Any], Tensor] = lambda p, q: 1 - p <= q,
    ) -> Callable:
        def sets(s: Tensor, P: Tensor, alpha: float) -> Tensor:
            k = place(len(s), alpha)
            q = math.inf if k > len(s) else s.sort().values[max(k, 1) - 1]
            return test(P, q).double()

        return sets

    def make(d: Draw, n: int, samples: int, c: int, alpha: float) -> tuple:
        return d.uniform(0.05, 0.95, n), d.uniform(-3, 3, samples, c).softmax(1), alpha

    def clear(s: Tensor, P: Tensor, alpha: float) -> bool:
        return bool((1 - P[..., None] - s).abs().min() > 1e-4)

    def ones(inside: Any) -> Any:
        """True as 1, in tensors, arrays and lists."""
        if isinstance(inside, (list, tuple)):
            return [ones(part) for part in inside]
        if isinstance(inside, Tensor):
            return _double(inside) if inside.dtype == boolean else inside
        return inside * 1.0 if isinstance(inside, (bool, numpy.bool_, numpy.ndarray)) else inside

    def numbers(*v: Any) -> Any:
        return ones(answer(*v))

    few = tensor([0.25, 0.5, 0.75]), tensor([[0.125, 0.875], [0, 1]]), 0.05
    ties = tensor([[0.5, 0.5], [0.25, 0.75], [0.625, 0.375]])
    judge(
        numbers,
        {
            "9 scores, alpha = 0.2": drawn(make, 9, 12, 3, 0.2, clear=clear),
            "6 scores, alpha = 0.3": drawn(make, 6, 10, 4, 0.3, clear=clear, dtype=float64),
            "4 scores, 1 sample, alpha = 0.5": drawn(make, 4, 1, 5, 0.5, clear=clear),
            "25 scores, alpha = 0.07": drawn(make, 25, 8, 3, 0.07, clear=clear),
            "three scores and alpha = 0.05": few,
            "scores that are equal": (tensor([0.25, 0.5, 0.5, 0.75]), ties, 0.4),
            "a model that is always nearly right": (tensor([0.0625] * 9), ties[:2], 0.1),
        },
        chosen(),
        {
            "if k exceeds n, every class belongs to it": chosen(lambda *v: min(rank(*v), v[0])),
            "k is (n + 1)(1 - alpha), rounded up": (
                chosen(lambda n, alpha: math.ceil(n * (1 - alpha) - 1e-9)),
                chosen(lambda n, alpha: math.floor((n + 1) * (1 - alpha) + 1e-9)),
            ),
            "alpha and 1 - alpha are exchanged": chosen(lambda n, alpha: rank(n, 1 - alpha)),
            "classes whose score 1 - p is at most the quantile belong to the set": (
                chosen(test=lambda p, q: 1 - p > q),
                chosen(test=lambda p, q: p <= q),
            ),
            "nothing is interpolated": lambda s, P, alpha: 1.0 * (1 - P <= s.quantile(1 - alpha)),
        },
        "the sets are not the classes with 1 - p <= q, q the ceil((n + 1)(1 - alpha))-th score",
    )


# ---------------------------------------------------------------- temperature, strangers, votes


@exercise
def check_best_temperature(answer: Callable) -> None:
    """(logits (N, C), y (N,)) -> the temperature T > 0 under which the mean of -log softmax(logits
    / T)_y is smallest, between 0.05 and 50, to 0.2 %.
    """

    def slope(z: Tensor, y: Tensor, b: float) -> float:
        own = z.gather(1, y[:, None])[:, 0]
        return float((((b * z).softmax(1) * z).sum(1) - own).mean())

    def coolest(z: Tensor, y: Tensor) -> Tensor:
        low, high = 0.02, 20.0  # of 1 / T, in which the loss is convex
        for _ in range(60):
            b = math.sqrt(low * high)
            low, high = (b, high) if slope(z, y, b) < 0 else (low, b)
        return tensor(1 / low).double()

    def make(d: Draw, n: int, k: int, true: float, size: float = 1.0) -> tuple:
        z = size * d.uniform(-3, 3, n, k)
        noise = -(-d.uniform(1e-6, 1, n, k).log()).log()
        return z, (z / true + noise).argmax(1)

    def clear(z: Tensor, y: Tensor) -> bool:
        return 0.1 < float(coolest(z.double(), y)) < 30

    def probe(*sizes: Any, **how: Any) -> tuple:
        return drawn(make, *sizes, clear=clear, **how)

    judge(
        answer,
        {
            "a network that is too sure": probe(80, 4, 2.5),
            "a network that is not sure enough": probe(80, 4, 0.15),
            "two classes": probe(60, 2, 1.5),
            "logits in the hundreds": probe(60, 5, 20.0, 60.0),
            "double precision": probe(50, 3, 3.0, dtype=float64),
        },
        coolest,
        {
            "this is 1/T": lambda z, y: 1 / coolest(z, y),
            "the logits are not changed at all": lambda z, y: 1.0,
            "this is the square of T, or its logarithm": (
                lambda z, y: coolest(z, y) ** 2,
                lambda z, y: coolest(z, y).log(),
            ),
            "T is rounded": (
                lambda z, y: coolest(z, y).round(),
                lambda z, y: (10 * coolest(z, y)).round() / 10,
            ),
        },
        "another T has a smaller mean loss; is it searched finely, and from 0.05 to 50?",
        tolerance=0.002,
    )


@exercise
def check_auroc(answer: Callable) -> None:
    """(inside (N,), outside (M,)) -> scalar: the share of pairs in which the outside has the larger
    score, pairs of equal scores counting one half.
    """

    def larger(inside: Tensor, outside: Tensor, tie: float = 0.5) -> Tensor:
        a, b = inside[:, None], outside[None]
        return ((b > a).double() + tie * (b == a).double()).mean()

    def make(d: Draw, n: int, m: int) -> tuple:
        return d.uniform(-1, 1, n), d.uniform(-0.8, 1.4, m)

    def off(inside: Tensor, outside: Tensor) -> bool:
        return 0.6 < float(larger(inside, outside)) < 0.9

    tied = tensor([0.0, 1, 1, 2]), tensor([1.0, 1, 2, 2, 3])
    judge(
        answer,
        {
            "more inside than outside": drawn(make, 9, 5, clear=off),
            "more outside than inside": drawn(make, 4, 11, clear=off),
            "many of the same score": tied,
            "one of each": (tensor([0.3]), tensor([0.7])),
            "all scores the same": (tensor([0.5, 0.5]), tensor([0.5, 0.5, 0.5])),
            "all inside above": (tensor([2.0, 3]), tensor([1.0, 0.5, 0])),
            "double precision": drawn(make, 30, 20, clear=off, dtype=float64),
        },
        larger,
        {
            "a detector below one half is not turned round": lambda a, b: larger(a, b).clamp(
                min=1 - larger(a, b)
            ),
            "inside and outside have changed places": lambda a, b: larger(b, a),
            "pairs of equal scores count one half": (
                lambda a, b: larger(a, b, 0.0),
                lambda a, b: larger(a, b, 1.0),
            ),
            "this is a number of pairs; take the share": lambda a, b: (
                larger(a, b) * len(a) * len(b)
            ),
        },
        "compare each inside with each outside: in which share of the pairs is the outside larger?",
    )


@exercise
def check_votes_loss(answer: Callable) -> None:
    """(logits (N, C), votes (N, C)) -> (N,): -sum_c v_c / (sum of v) log p_c, p the softmax of the
    logits, v how many annotators chose each class.
    """

    def make(d: Draw, n: int, k: int) -> tuple:
        votes = d.index(5, n, k).to(d.dtype)
        votes[:, 0] += 1
        return d.large(-2, 2, n, k), votes

    def uneven(z: Tensor, votes: Tensor) -> bool:
        total = votes.sum(1)
        return bool(total.min() > 1) and (len(z) == 1 or len(total.unique()) > 1)

    def crossed(z: Tensor, share: Tensor) -> Tensor:
        return -(share * z.log_softmax(1)).sum(1)

    def shares(votes: Tensor) -> Tensor:
        return votes / votes.sum(1, keepdim=True)

    def won(votes: Tensor) -> Tensor:
        return (votes == votes.max(1, keepdim=True).values).to(votes)

    sure = tensor([[200.0, -200, 0], [0, 0, 200]]), tensor([[3.0, 1, 0], [0, 2, 2]])
    judge(
        answer,
        {
            "several samples": drawn(make, 5, 3, clear=uneven),
            "one sample": drawn(make, 1, 4, clear=uneven),
            "as many samples as classes": drawn(make, 4, 4, clear=uneven),
            "two classes": drawn(make, 3, 2, clear=uneven),
            "logits of 200 and classes without a vote": sure,
            "double precision": drawn(make, 6, 5, clear=uneven, dtype=float64),
        },
        lambda z, votes: crossed(z, shares(votes)),
        {
            "votes are counts; divide by their number, picture by picture": (
                lambda z, v: crossed(z, v),
                lambda z, v: crossed(z, v / v.sum()),
                lambda z, v: crossed(z, v / v.sum(1).mean()),
            ),
            "only the majority counts; each vote has its share": lambda z, v: crossed(
                z, shares(won(v))
            ),
            "the votes are not logits: no softmax of them": lambda z, v: crossed(z, v.softmax(1)),
            "the terms are averaged over the classes": lambda z, v: (
                crossed(z, shares(v)) / v.shape[1]
            ),
            "the entropy of the votes is subtracted; it stays": lambda z, v: (
                crossed(z, shares(v)) - entropy(shares(v))
            ),
        },
        "the values are not the cross-entropy of the votes' shares and the softmax",
    )
