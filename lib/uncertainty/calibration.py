"""Whether confidence can be taken at its word, and what to refuse: calibration, temperature,
rejection, detection.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Reliability:
    """What is said and what is true in bins of confidence: bin b holds the confidences in
    (edges[b], edges[b + 1]].

    count: (bins,), how many samples.
    confidence, accuracy: (bins,) each, means over the bin and 0 where it is empty.
    edges: (bins + 1,).
    """

    count: Tensor
    confidence: Tensor
    accuracy: Tensor
    edges: Tensor

    @property
    def error(self) -> float:
        """The expected calibration error, sum_b n_b / N |accuracy_b - confidence_b|."""
        share = self.count / self.count.sum()
        return (share * (self.accuracy - self.confidence).abs()).sum().item()


def reliability(P: Tensor, y: Tensor, bins: int = 15) -> Reliability:
    """Bins of equal width over the confidence max_c p_c (Guo et al., 2017, section 2). A confidence
    of 1 belongs to the last bin.

    P: (N, C), class probabilities.
    y: (N,), labels.
    Raises TypeError or ValueError if they do not fit, or for fewer than one bin.

    >>> reliability(torch.tensor([[0.8, 0.2], [0.6, 0.4]]), torch.tensor([0, 1]), bins=2).accuracy
    tensor([0.0000, 0.5000], dtype=torch.float64)
    """
    check_probabilities(P, samples=True)
    check_labels(y, P)
    if bins < 1:
        raise ValueError(f"bins: expected at least 1, got {bins}")
    P = P.double()
    confidence, predicted = P.max(1)
    edges = torch.arange(bins + 1, dtype=torch.float64, device=P.device) / bins
    # the edges in the precision of a float32 network: 0.2 said in float32 lies in the bin that ends
    # at 0.2
    place = torch.bucketize(confidence, edges + 1e-7 * (edges > 0)).clamp(1, bins) - 1
    count, said, right = (
        torch.zeros_like(edges[1:]).index_add(0, place, v)
        for v in (torch.ones_like(confidence), confidence, (predicted == y).double())
    )
    return Reliability(count, said / count.clamp(min=1), right / count.clamp(min=1), edges)


def calibration_error(P: Tensor, y: Tensor, bins: int = 15) -> float:
    """The expected calibration error of `reliability` (Naeini et al., 2015): 0 if what is said with
    confidence p is right in a share p of cases.

    Arguments and errors as those of `reliability`.

    >>> round(calibration_error(torch.tensor([[0.8, 0.2], [0.8, 0.2]]), torch.tensor([0, 1])), 4)
    0.3
    """
    return reliability(P, y, bins).error


def fit_temperature(logits: Tensor, y: Tensor) -> float:
    """The T that minimises -mean_n log softmax(z_n / T)_{y_n} (Guo et al., 2017, section 4.2), for
    samples that were not trained on.

    logits (N, C), or logarithms of probabilities, as an ensemble's mean gives them; y (N,): labels.
    The loss is convex in 1 / T, and the root of its slope is found by halving. Raises TypeError or
    ValueError for another shape, and where no T is best: all samples are right, so that T = 0 wins,
    or the scores say nothing, so that infinity does.

    >>> z = torch.tensor([[4.0, 0.0]]).repeat(4, 1)  # 98 % confident, and right in 3 of 4 cases
    >>> round(fit_temperature(z, torch.tensor([0, 0, 0, 1])), 3)
    3.641
    """
    if not isinstance(logits, Tensor) or not logits.is_floating_point():
        raise TypeError(
            f"logits: expected a floating-point tensor (N, C), got "
            f"{logits.dtype if isinstance(logits, Tensor) else type(logits).__name__}"
        )
    if logits.dim() != 2 or not torch.isfinite(logits).all():
        raise ValueError(f"logits: expected finite scores (N, C), got shape {tuple(logits.shape)}")
    check_labels(y, logits)
    z = logits.detach().double()
    z = z - z.max(1, keepdim=True).values
    own = z.gather(1, y[:, None])[:, 0]

    def slope(log_beta: float) -> float:
        return ((torch.softmax(z * 2.0**log_beta, 1) * z).sum(1) - own).mean().item()

    low, high = -30.0, 30.0  # base-2 logarithm of 1 / T
    if slope(low) >= 0:
        raise ValueError(
            "logits: expected scores that favour the labels, got none: no finite temperature "
            "is best"
        )
    if slope(high) <= 0:
        raise ValueError(
            "logits: expected some wrong predictions, got all right: no temperature above 0 "
            "is best; take more samples"
        )
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return 2.0 ** (-middle)


@dataclass(frozen=True, eq=False)
class RejectionCurve:
    """The error of the k most certain of N samples, for k = 1..N.

    coverage: (N,), k / N.
    error: (N,), the mean error of those k.
    """

    coverage: Tensor
    error: Tensor

    @property
    def area(self) -> float:
        """The mean error over all coverages: smaller is better."""
        return self.error.mean().item()


def rejection_curve(uncertainty: Tensor, error: Tensor) -> RejectionCurve:
    """The mean error of what is kept when the most uncertain samples are refused (El-Yaniv and
    Wiener, 2010).

    uncertainty (N,): any score.
    error (N,): 1 where the prediction is wrong, else 0, or another loss. Samples of equal
        uncertainty are kept in random order, of which this is the mean.
    Raises ValueError if the shapes differ.

    >>> rejection_curve(torch.tensor([0.1, 0.9, 0.2]), torch.tensor([0.0, 1.0, 0.0])).error
    tensor([0.0000, 0.0000, 0.3333], dtype=torch.float64)
    """
    if uncertainty.shape != error.shape or uncertainty.dim() != 1 or len(error) == 0:
        raise ValueError(
            f"uncertainty, error: expected the same shape (N,), got "
            f"{tuple(uncertainty.shape)} and {tuple(error.shape)}"
        )
    ordered, order = uncertainty.detach().sort()
    _, group, sizes = ordered.unique_consecutive(return_inverse=True, return_counts=True)
    sums = torch.zeros(len(sizes), dtype=torch.float64, device=error.device).index_add(
        0, group, error.double()[order]
    )
    kept = torch.arange(1, len(error) + 1, device=error.device)
    return RejectionCurve(kept / len(error), (sums / sizes)[group].cumsum(0) / kept)


def auroc(unknown: Tensor, known: Tensor) -> float:
    """The share of pairs in which the score of an unknown input (P,) exceeds that of a known one
    (N,); equal ones count half.

    Raises ValueError for other shapes, or no scores.

    >>> auroc(torch.tensor([0.9, 0.4]), torch.tensor([0.1, 0.4]))
    0.875
    """
    if unknown.dim() != 1 or known.dim() != 1 or len(unknown) == 0 or len(known) == 0:
        raise ValueError(
            f"unknown, known: expected scores (P,) and (N,), got shapes "
            f"{tuple(unknown.shape)} and {tuple(known.shape)}"
        )
    ordered, unknown = known.detach().sort().values, unknown.detach()
    below = torch.searchsorted(ordered, unknown)
    up_to = torch.searchsorted(ordered, unknown, right=True)
    return ((below + up_to).double().mean() / (2 * len(known))).item()


def check_probabilities(P: Tensor, name: str = "P", samples: bool = False) -> None:
    """Refuse anything but rows (..., C) of numbers in [0, 1] that add up to 1; with samples=True
    anything but (N, C).
    """
    if not isinstance(P, Tensor) or not P.is_floating_point():
        raise TypeError(
            f"{name}: expected a floating-point tensor (..., C), got "
            f"{P.dtype if isinstance(P, Tensor) else type(P).__name__}"
        )
    if P.dim() < 1 or P.numel() == 0 or samples and P.dim() != 2:
        raise ValueError(
            f"{name}: expected probabilities {'(N, C)' if samples else '(..., C)'}, got shape "
            f"{tuple(P.shape)}"
        )
    sums = P.sum(-1)
    if not (P >= 0).all() or not torch.isclose(sums, torch.ones_like(sums), atol=1e-3).all():
        raise ValueError(
            f"{name}: expected rows of probabilities; are these logits, or do they not add up to 1?"
        )


def check_labels(y: Tensor, P: Tensor) -> None:
    """Refuse anything but one class for each row of P (N, C)."""
    tensor = isinstance(y, Tensor)
    if not tensor or y.is_floating_point() or y.is_complex() or y.dtype == torch.bool:
        raise TypeError(
            f"y: expected whole numbers (a LongTensor), got "
            f"{y.dtype if isinstance(y, Tensor) else type(y).__name__}"
        )
    if y.shape != P.shape[:1]:
        raise ValueError(
            f"y: expected shape ({len(P)},), one class for each sample, got {tuple(y.shape)}"
        )
    if ((y < 0) | (y >= P.shape[1])).any():
        raise ValueError(
            f"y: expected classes in 0..{P.shape[1] - 1}, got {y.min().item()}..{y.max().item()}"
        )
