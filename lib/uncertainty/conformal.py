"""Sets of classes, and intervals, that contain the truth with a probability that is guaranteed."""

import math

import torch
from torch import Tensor

from .calibration import check_labels, check_probabilities


def conformal_quantile(scores: Tensor, alpha: float) -> float:
    """The k-th smallest of n scores, k = ceil((n + 1) (1 - alpha)); infinity if k > n (Vovk et al.,
    2005).

    A new score, exchangeable with these, is at most this large with probability at least 1 - alpha.
    Raises ValueError if there are no scores or alpha is not in (0, 1).

    >>> conformal_quantile(torch.tensor([3.0, 1.0, 2.0, 4.0]), 0.4)
    3.0
    """
    if scores.dim() != 1 or len(scores) == 0:
        raise ValueError(f"scores: expected (n,) with n >= 1, got shape {tuple(scores.shape)}")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha: expected a number between 0 and 1, got {alpha}")
    # 10 * (1 - 0.1) is a little more than 9 in floating point
    k = math.ceil((len(scores) + 1) * (1 - alpha) - 1e-9)
    return scores.kthvalue(k).values.item() if k <= len(scores) else math.inf


def conformal_sets(
    P_calibration: Tensor,
    y_calibration: Tensor,
    P: Tensor,
    alpha: float = 0.1,
    score: str = "threshold",
    by_class: bool = False,
    seed: int = 0,
) -> Tensor:
    """Which classes belong to the prediction set of each sample: bool (N, C). The true one does
    with probability at least 1 - alpha.

    P_calibration (n, C), y_calibration (n,): samples that were not trained on.
    score: how strange a class c is.

    - "threshold": 1 - p_c (Sadinle et al., 2019);
    - "cumulative": the sum of all p from the largest down to p_c;
    - "adaptive": the same with p_c itself times a number drawn between 0 and 1 for each sample
      (Romano et al., 2020), so that the coverage is exact.

    by_class: a quantile for each class, from its own calibration samples, so that the guarantee
        holds in each class (Vovk, 2012); a class with fewer than 1 / alpha - 1 samples is in every
        set.
    seed: of the numbers drawn for "adaptive".
    Raises TypeError or ValueError if the arguments do not fit, or by_class where a class has no
    calibration sample.

    >>> P = torch.tensor([[0.9, 0.1], [0.6, 0.4], [0.8, 0.2], [0.7, 0.3]])
    >>> conformal_sets(P, torch.tensor([0, 1, 0, 0]), P[:2], alpha=0.4)
    tensor([[ True, False],
            [False, False]])
    """
    check_probabilities(P_calibration, "P_calibration", samples=True)
    check_labels(y_calibration, P_calibration)
    check_probabilities(P, samples=True)
    classes = P_calibration.shape[1]
    if P.shape[1] != classes:
        raise ValueError(f"P: expected {classes} classes as in P_calibration, got {P.shape[1]}")
    if score not in ("threshold", "cumulative", "adaptive"):
        raise ValueError(f"score: expected 'threshold', 'cumulative' or 'adaptive', got {score!r}")
    strange, fresh = (_strangeness(Q, score, seed + k) for k, Q in enumerate((P_calibration, P)))
    own = strange.gather(1, y_calibration[:, None])[:, 0]
    if not by_class:
        return fresh <= conformal_quantile(own, alpha)
    count = torch.bincount(y_calibration, minlength=classes)
    if (count == 0).any():
        raise ValueError(
            f"y_calibration: expected samples of every class, got none of {int(count.argmin())}"
        )
    limits = [conformal_quantile(own[y_calibration == c], alpha) for c in range(classes)]
    return fresh <= fresh.new_tensor(limits)


def _strangeness(P: Tensor, score: str, seed: int) -> Tensor:
    """(N, C) in float64, larger for what is less expected."""
    P = P.double()
    if score == "threshold":
        return 1 - P
    ordered, order = P.sort(1)
    # 1 minus all that is smaller: exactly 1 for the smallest
    up_to = torch.empty_like(P).scatter(1, order, 1 - (ordered.cumsum(1) - ordered))
    if score == "cumulative":
        return up_to
    u = torch.rand(len(P), 1, generator=torch.Generator().manual_seed(seed), dtype=P.dtype)
    return up_to - (1 - u.to(P.device)) * P


def conformal_intervals(
    calibration: tuple[Tensor, Tensor, Tensor], mean: Tensor, sd: Tensor, alpha: float = 0.1
) -> tuple[Tensor, Tensor]:
    """An interval for each number that is predicted, (low, high), (N,) each: the true one lies in
    it with probability at least 1 - alpha (Lei et al., 2018, section 5.2).

    calibration: mean, sd and truth (n,) of samples that were not trained on.
    mean, sd (N,): what a model says of new ones. The interval is mean - q sd .. mean + q sd, q the
        `conformal_quantile` of |truth - mean| / sd; with an sd of 1 it is equally wide everywhere.
    Raises ValueError if shapes differ or an sd is not positive.

    >>> one = torch.ones(4)
    >>> calibration = torch.zeros(4), one, torch.tensor([-1.0, 2.0, -3.0, 4.0])
    >>> conformal_intervals(calibration, torch.tensor([5.0]), torch.tensor([1.0]), alpha=0.4)
    (tensor([2.]), tensor([8.]))
    """
    for name, values in (("calibration", calibration), ("mean, sd", (mean, sd))):
        if len({v.shape for v in values}) != 1 or values[0].dim() != 1:
            shapes = [tuple(v.shape) for v in values]
            raise ValueError(f"{name}: expected numbers of one shape (n,), got {shapes}")
        if not (values[1] > 0).all():
            raise ValueError(f"{name}: expected an sd above 0, got {values[1].min():.3g}")
    said, spread, truth = calibration
    q = conformal_quantile((truth - said).abs() / spread, alpha)
    return mean - q * sd, mean + q * sd
