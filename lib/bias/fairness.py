"""What a decision does to groups: rates, the gaps between them, weights and thresholds that close a
gap, and the identity that forbids all at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Rates:
    """What a yes-or-no decision does to each of G groups, (G,) each; a rate of nobody is NaN.

    n: members.
    base: share with y = 1.
    selected: share with yhat = 1.
    accuracy: share with yhat = y.
    tpr, fnr: of those with y = 1 the shares with yhat = 1 and 0.
    fpr: of those with y = 0 the share with yhat = 1.
    ppv: of those with yhat = 1 the share with y = 1.
    """

    n: Tensor
    base: Tensor
    selected: Tensor
    accuracy: Tensor
    tpr: Tensor
    fpr: Tensor
    fnr: Tensor
    ppv: Tensor

    @property
    def demographic_parity(self) -> float:
        """Largest gap in the share of yhat = 1."""
        return _gap(self.selected)

    @property
    def equal_opportunity(self) -> float:
        """Largest gap in the true positive rate (Hardt et al., 2016)."""
        return _gap(self.tpr)

    @property
    def equalised_odds(self) -> float:
        """The larger of the gaps in the true and in the false positive rate (Hardt et al.,
        2016).
        """
        return max(_gap(self.tpr), _gap(self.fpr))

    @property
    def predictive_parity(self) -> float:
        """Largest gap in the positive predictive value (Chouldechova, 2017)."""
        return _gap(self.ppv)

    @property
    def gaps(self) -> dict[str, float]:
        """The largest gaps between groups in what is selected, in TPR, FPR and PPV."""
        return {
            name: _gap(v)
            for name, v in {
                "selected": self.selected,
                "TPR": self.tpr,
                "FPR": self.fpr,
                "PPV": self.ppv,
            }.items()
        }


def _gap(values: Tensor) -> float:
    return (values.max() - values.min()).item()


def rates_from_counts(tn: Tensor, fp: Tensor, fn: Tensor, tp: Tensor) -> Rates:
    """All rates of G groups from their four counts (G,) each: true and false negatives and
    positives.

    Raises ValueError if a count is negative or a group is empty.

    >>> rates_from_counts(*torch.tensor([[990, 1139], [805, 349], [532, 461], [1369, 505]])).fpr
    tensor([0.4485, 0.2345], dtype=torch.float64)
    """
    tn, fp, fn, tp = (torch.as_tensor(count, dtype=torch.float64) for count in (tn, fp, fn, tp))
    n = tn + fp + fn + tp
    if (torch.stack([tn, fp, fn, tp]) < 0).any() or (n == 0).any():
        raise ValueError("counts: expected none below 0 and at least one member in each group")
    return Rates(
        n,
        (fn + tp) / n,
        (fp + tp) / n,
        (tn + tp) / n,
        tp / (fn + tp),
        fp / (tn + fp),
        fn / (fn + tp),
        tp / (fp + tp),
    )


def group_rates(y: Tensor, yhat: Tensor, g: Tensor) -> Rates:
    """The rates of the decision yhat (N,) for truth y (N,), both 0 or 1, in each of the groups g
    (N,), numbered from 0.

    Raises TypeError or ValueError if the shapes differ, a label is not 0 or 1, or a group has no
    member.

    >>> y, yhat, g = torch.tensor([[1, 1, 0, 1], [1, 0, 1, 1], [0, 0, 1, 1]])
    >>> rates = group_rates(y, yhat, g)
    >>> rates.tpr, rates.equal_opportunity
    (tensor([0.5000, 1.0000], dtype=torch.float64), 0.5)
    """
    y, yhat, g = check_binary("y", y), check_binary("yhat", yhat), check_groups(g)
    if not y.shape == yhat.shape == g.shape:
        raise ValueError(
            f"y, yhat, g: expected the same shape (N,), got {tuple(y.shape)}, "
            f"{tuple(yhat.shape)}, {tuple(g.shape)}"
        )
    counts = torch.bincount(4 * g + 2 * y + yhat, minlength=4 * (int(g.max()) + 1)).view(-1, 4)
    return rates_from_counts(*counts.T)


def implied_fpr(base: Tensor, ppv: Tensor, fnr: Tensor) -> Tensor:
    """FPR = base / (1 - base) * (1 - PPV) / PPV * (1 - FNR): three rates fix the fourth
    (Chouldechova, 2017, eq. 2.6).

    Holds for every decision, so that groups with different base rates cannot agree in PPV, FNR and
    FPR.

    >>> implied_fpr(torch.tensor([0.5, 0.25]), torch.tensor(0.75), torch.tensor(0.25))
    tensor([0.2500, 0.0833])
    """
    return base / (1 - base) * (1 - ppv) / ppv * (1 - fnr)


def reweighing(y: Tensor, g: Tensor) -> Tensor:
    """Weights w_n = P(g_n) P(y_n) / P(g_n, y_n), (N,): with them label and group are independent
    (Kamiran and Calders, 2012).

    y, g: labels and groups (N,), whole numbers from 0.

    The weights average to 1 if every pair of label and group occurs.
    Raises TypeError or ValueError for other arguments.

    >>> reweighing(torch.tensor([1, 1, 0, 0, 1, 0, 0, 0]), torch.tensor([0, 0, 0, 0, 1, 1, 1, 1]))
    tensor([0.7500, 0.7500, 1.2500, 1.2500, 1.5000, 0.8333, 0.8333, 0.8333])
    """
    y, g = check_groups(y, "y"), check_groups(g)
    if y.shape != g.shape:
        raise ValueError(
            f"y, g: expected the same shape (N,), got {tuple(y.shape)} and {tuple(g.shape)}"
        )
    labels = int(y.max()) + 1
    both = (
        torch.bincount(g * labels + y, minlength=(int(g.max()) + 1) * labels)
        .view(-1, labels)
        .double()
    )
    return (both.sum(1)[g] * both.sum(0)[y] / both[g, y] / len(y)).float()


# ---------------------------------------------------------------- thresholds


@dataclass(frozen=True, eq=False)
class Policy:
    """A threshold for each group, and what it gives, (G,) each.

    A member of group k is selected if score > high[k], and with probability chance[k] if low[k] <
    score <= high[k]; except that a share blind[k] of the members is decided without looking, with
    probability fpr[k].

    low, high: the thresholds.
    chance: the probability between them.
    fpr, tpr: the expected ones on the data that the policy was chosen on.
    accuracy: the expected one of all groups together.
    blind: the share that is decided without looking.
    """

    low: Tensor
    high: Tensor
    chance: Tensor
    fpr: Tensor
    tpr: Tensor
    accuracy: float
    blind: Tensor


#: The criteria that `fair_thresholds` knows.
CRITERIA = ("none", "demographic_parity", "equal_opportunity", "equalised_odds")


def fair_thresholds(
    score: Tensor, y: Tensor, g: Tensor, criterion: str = "equal_opportunity"
) -> Policy:
    """The most accurate thresholds, one for each group, under which the groups agree exactly in one
    rate (Hardt et al., 2016).

    score, y, g: scores, truth 0 or 1, groups from 0, (N,) each.
    criterion: "demographic_parity" (equal shares selected), "equal_opportunity" (equal true
        positive rates), "equalised_odds" (these and equal false positive rates), or "none".

    Exact: between two neighbouring thresholds on the convex hull of a group's ROC curve it is left
    to chance, and the best rate is one of the hull's corners.
    Raises TypeError or ValueError for other arguments.

    >>> score = torch.tensor([0.1, 0.6, 0.9, 0.2, 0.3, 0.4])
    >>> y, g = torch.tensor([[0, 1, 1, 0, 1, 1], [0, 0, 0, 1, 1, 1]])
    >>> policy = fair_thresholds(score, y, g)
    >>> policy.tpr.tolist(), policy.accuracy
    ([1.0, 1.0], 1.0)
    """
    if criterion not in CRITERIA:
        raise ValueError(f"criterion: expected one of {CRITERIA}, got {criterion!r}")
    y, g = check_binary("y", y), check_groups(g)
    if not score.shape == y.shape == g.shape:
        raise ValueError(
            f"score, y, g: expected the same shape (N,), got {tuple(score.shape)}, "
            f"{tuple(y.shape)}, {tuple(g.shape)}"
        )
    hulls = [_hull(score[g == k].double(), y[g == k]) for k in range(int(g.max()) + 1)]
    base = torch.stack([y[g == k].double().mean() for k in range(len(hulls))])
    size = torch.bincount(g).double() / len(g)

    def rate(k: int) -> Tensor:
        _, fpr, tpr = hulls[k]
        return {"equal_opportunity": tpr, "equalised_odds": fpr}.get(
            criterion, base[k] * tpr + (1 - base[k]) * fpr
        )

    corners = torch.cat([rate(k) for k in range(len(hulls))]).unique()
    if criterion == "equalised_odds":
        corners = _with_crossings(
            corners, torch.stack([_interpolated(*h, h[1], corners, True)[4] for h in hulls])
        )
    found = torch.stack(
        [
            torch.stack(_interpolated(*hulls[k], rate(k), corners, criterion == "equalised_odds"))
            for k in range(len(hulls))
        ]
    )
    fpr, top = found[:, 3], found[:, 4]  # (G, R)
    tpr = top.min(0).values.expand_as(top) if criterion == "equalised_odds" else top
    right = size[:, None] * (base[:, None] * tpr + (1 - base[:, None]) * (1 - fpr))
    best = right.argmax(1) if criterion == "none" else right.sum(0).argmax().expand(len(hulls))
    pick = torch.arange(len(hulls)), best
    blind = ((top - tpr)[pick] / (top - fpr)[pick]).nan_to_num()
    return Policy(
        found[:, 1][pick],
        found[:, 0][pick],
        found[:, 2][pick],
        fpr[pick],
        tpr[pick],
        right[pick].sum().item(),
        blind,
    )


def decide(policy: Policy, score: Tensor, g: Tensor, seed: int = 0) -> Tensor:
    """The decisions 0 or 1, (N,), of a policy for scores and groups (N,), each; chance is drawn
    from `seed` alone.

    >>> score, y = torch.tensor([0.1, 0.6, 0.9]), torch.tensor([0, 1, 1])
    >>> g = torch.zeros(3, dtype=torch.long)
    >>> decide(fair_thresholds(score, y, g), score, g)
    tensor([0, 1, 1])
    """
    drawn = torch.rand(
        score.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    between = (score > policy.low[g]) & (drawn < policy.chance[g])
    seen = ((score > policy.high[g]) | between).long()
    luck = torch.rand(
        2, len(score), generator=torch.Generator().manual_seed(seed + 1), dtype=torch.float64
    )
    return torch.where(luck[0] < policy.blind[g], (luck[1] < policy.fpr[g]).long(), seen)


def _interpolated(
    threshold: Tensor, fpr: Tensor, tpr: Tensor, rate: Tensor, rates: Tensor, last: bool
) -> tuple[Tensor, ...]:
    """The thresholds above and below, the chance between them, FPR and TPR, where a hull has the
    rates asked for (R,); where several corners have the same rate, the first or the last of them.
    """
    after = torch.searchsorted(rate, rates, right=last).clamp(min=1, max=len(rate) - 1)
    share = ((rates - rate[after - 1]) / (rate[after] - rate[after - 1])).nan_to_num().clamp(0, 1)
    mixed = [v[after - 1] + share * (v[after] - v[after - 1]) for v in (fpr, tpr)]
    return threshold[after - 1], threshold[after], share, *mixed


def _with_crossings(corners: Tensor, tprs: Tensor) -> Tensor:
    """FPRs (R,) between which the hulls (G, R) are straight, and where two hulls cross between
    them.
    """
    found = [corners]
    for i in range(len(tprs)):
        gap = tprs[i] - tprs[i + 1 :]
        at = corners[:-1] + (corners[1:] - corners[:-1]) * gap[:, :-1] / (gap[:, :-1] - gap[:, 1:])
        found.append(at[gap[:, :-1] * gap[:, 1:] < 0])
    return torch.cat(found).sort().values


def _hull(score: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Thresholds ("select if score is above"), FPR and TPR of the corners of the upper hull of a
    ROC curve, from (0, 0) to (1, 1).
    """
    values, place = score.unique(return_inverse=True)
    n = torch.bincount(2 * place + y, minlength=2 * len(values)).view(-1, 2).flip(0).double()
    if (n.sum(0) == 0).any():
        raise ValueError("y: expected both labels in each group, else one of its rates is unknown")
    curve = torch.cat([torch.zeros(1, 2, dtype=torch.float64), (n / n.sum(0)).cumsum(0)])
    threshold = torch.cat([values.flip(0), torch.tensor([-torch.inf], dtype=torch.float64)])
    points = curve.tolist()
    kept: list[int] = []
    for i, (f, t) in enumerate(points):
        while len(kept) > 1 and _turn(points[kept[-2]], points[kept[-1]], (f, t)) >= -1e-12:
            kept.pop()
        kept.append(i)
    return threshold[kept], curve[kept, 0], curve[kept, 1]


def _turn(a: Sequence[float], b: Sequence[float], c: Sequence[float]) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


# ---------------------------------------------------------------- arguments


def check_binary(name: str, values: Tensor) -> Tensor:
    """Labels 0 and 1 (N,) as int64, or a TypeError or ValueError that names the argument."""
    values = check_groups(values, name)
    if values.max() > 1:
        raise ValueError(f"{name}: expected only 0 and 1, got {int(values.max())}")
    return values


def check_groups(values: Tensor, name: str = "g") -> Tensor:
    """Whole numbers from 0 (N,) as int64, or a TypeError or ValueError that names the argument."""
    if not isinstance(values, Tensor) or values.is_floating_point() or values.is_complex():
        raise TypeError(
            f"{name}: expected a tensor of whole numbers, got "
            f"{values.dtype if isinstance(values, Tensor) else type(values).__name__}"
        )
    if values.dim() != 1 or values.numel() == 0:
        raise ValueError(
            f"{name}: expected shape (N,) with at least one sample, got {tuple(values.shape)}"
        )
    if values.min() < 0:
        raise ValueError(f"{name}: expected numbers from 0, got {int(values.min())}")
    return values.long()
