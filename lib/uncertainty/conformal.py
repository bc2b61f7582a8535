"""Sets of classes that contain the true one with a probability that is guaranteed."""

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
) -> Tensor:
    """Which classes belong to the prediction set of each sample: bool (N, C). The true one does
    with probability at least 1 - alpha.

    P_calibration (n, C), y_calibration (n,): samples that were not trained on. score "threshold": 1
        - p_c (Sadinle et al., 2019); "cumulative": the sum of all p from the largest down to p_c
        (Romano et al., 2020, without their randomisation).
    Raises TypeError or ValueError if the arguments do not fit.

    >>> P = torch.tensor([[0.9, 0.1], [0.6, 0.4], [0.8, 0.2], [0.7, 0.3]])
    >>> conformal_sets(P, torch.tensor([0, 1, 0, 0]), P[:2], alpha=0.4)
    tensor([[ True, False],
            [False, False]])
    """
    check_probabilities(P_calibration, "P_calibration", samples=True)
    check_labels(y_calibration, P_calibration)
    check_probabilities(P, samples=True)
    if P.shape[1] != P_calibration.shape[1]:
        raise ValueError(
            f"P: expected {P_calibration.shape[1]} classes as in P_calibration, got {P.shape[1]}"
        )
    if score not in ("threshold", "cumulative"):
        raise ValueError(f"score: expected 'threshold' or 'cumulative', got {score!r}")
    strange = _threshold if score == "threshold" else _cumulative
    own = strange(P_calibration.double()).gather(1, y_calibration[:, None])[:, 0]
    return strange(P.double()) <= conformal_quantile(own, alpha)


def _threshold(P: Tensor) -> Tensor:
    return 1 - P


def _cumulative(P: Tensor) -> Tensor:
    ordered, order = P.sort(1)
    # 1 minus all that is smaller: exactly 1 for the smallest
    return torch.empty_like(P).scatter(1, order, 1 - (ordered.cumsum(1) - ordered))
