"""Bias of word vectors measured and removed, effects with and without their confounder, and the
rooms on decisions and worlds.
"""

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .fairness import check_binary, check_groups

PARTITIONS = 200_000  # up to here all are tried: ten words against ten


@dataclass(frozen=True, eq=False)
class Weat:
    """What `weat` finds.

    effect: in standard deviations, below 2 for sets of equal size.
    p: share of the partitions whose statistic is as large or larger, in [0, 1].
    exact: whether all were tried.
    statistics: those of the partitions (P,), differences of means.
    observed: that of X and Y.
    """

    effect: float
    p: float
    exact: bool
    statistics: Tensor
    observed: float


def association(W: Tensor, A: Tensor, B: Tensor) -> Tensor:
    """s(w) = mean_a cos(w, a) - mean_b cos(w, b): words (N, D), attributes (m, D) and (k, D), to
    (N,) in [-2, 2] (Caliskan et al., 2017).

    Raises TypeError or ValueError as `weat` does.

    >>> association(torch.eye(2), torch.eye(2)[:1], torch.eye(2)[1:])
    tensor([ 1., -1.])
    """
    return _cosines(W, A).mean(1) - _cosines(W, B).mean(1)


def weat(X: Tensor, Y: Tensor, A: Tensor, B: Tensor, samples: int = 100_000, seed: int = 0) -> Weat:
    """The word embedding association test of target words X (n, D), Y (m, D) and attribute words A,
    B (Caliskan et al., 2017).

    Effect size d = (mean s(X) - mean s(Y)) / standard deviation (n - 1) of s over X and Y.
    One-sided p: all ways to part the targets into sets of these sizes are tried if there are at
    most 200,000, else `samples` drawn with the seed; a tie counts.
    Raises TypeError or ValueError if an argument is not (., D) of finite floats, a vector is zero,
    or there are fewer than two targets in a set.

    >>> X, Y = torch.tensor([[1.0, 0.1], [1.0, 0.2]]), torch.tensor([[0.1, 1.0], [0.3, 1.0]])
    >>> test = weat(X, Y, torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]]))
    >>> round(test.effect, 2), round(test.p, 3), test.exact  # 1 of the 6 partitions
    (1.72, 0.167, True)
    """
    if len(X) < 2 or len(Y) < 2:
        raise ValueError(f"X, Y: expected at least two words each, got {len(X)} and {len(Y)}")
    s = association(torch.cat([_words("X", X), _words("Y", Y)]), A, B).double()
    n, m = len(X), len(Y)
    exact = math.comb(n + m, n) <= PARTITIONS
    if exact:
        chosen = torch.tensor(list(itertools.combinations(range(n + m), n)))
    else:
        chosen = torch.rand(samples, n + m, generator=torch.Generator().manual_seed(seed)).argsort(
            1
        )[:, :n]
    inside = s[chosen].sum(1)
    statistics = inside / n - (s.sum() - inside) / m
    observed = s[:n].mean() - s[n:].mean()
    large = (statistics >= observed - 1e-9 * s.abs().max()).sum().item()
    p = large / len(chosen) if exact else (large + 1) / (samples + 1)
    effect = observed / s.std() if s.std() > 0 else observed  # all alike: 0
    return Weat(effect.item(), p, exact, statistics, observed.item())


def wefat(W: Tensor, A: Tensor, B: Tensor) -> Tensor:
    """The word embedding factual association test: for each word (N, D) its association in standard
    deviations (n - 1) of its cosines with all attributes (Caliskan et al., 2017), (N,).

    Raises TypeError or ValueError as `weat` does.

    >>> one, other = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    >>> wefat(torch.tensor([[1.0, 1.0]]), one, other).abs() < 1e-3
    tensor([True])
    """
    cosines = torch.cat([_cosines(W, A), _cosines(W, B)], 1)
    spread = cosines.std(1)
    return association(W, A, B) / torch.where(spread > 0, spread, 1)


def bias_direction(first: Tensor, second: Tensor, share: float = 0.5) -> Tensor:
    """An orthonormal basis (D, k) of what pairs of words (P, D), such as she and he, differ in
    (Bordia and Bowman, 2019).

    C = (first - second) / 2 = U S V; the first k columns of V that hold at least `share` of the sum
    of squares of C. Each points from `second` to `first` on average. Raises TypeError or ValueError
    for other arguments, or if no pair differs.

    >>> she, he = torch.tensor([[1.0, 3.0], [0.0, 1.0]]), torch.tensor([[1.0, 1.0], [0.0, 0.0]])
    >>> bias_direction(she, he)
    tensor([[0.],
            [1.]])
    """
    first, second = _words("first", first, zero=True), _words("second", second, zero=True)
    if first.shape != second.shape:
        raise ValueError(
            f"first, second: expected pairs, the same shape (P, D), got {tuple(first.shape)} "
            f"and {tuple(second.shape)}"
        )
    if not 0 < share <= 1:
        raise ValueError(f"share: expected a number in (0, 1], got {share}")
    C = (first - second) / 2
    _, S, V = torch.linalg.svd(C, full_matrices=False)
    held = (S**2).cumsum(0) / (S**2).sum()
    if not torch.isfinite(held).all():
        raise ValueError("first, second: expected words that differ, got equal pairs")
    k = int((held < share - 1e-6).sum()) + 1
    B = V[:k].T
    return B * torch.where((C @ B).sum(0) < 0, -1.0, 1.0).to(B) + 0.0


def remove_projection(phi: Tensor, B: Tensor) -> Tensor:
    """phi_perp = phi - phi_g, phi_g the projection of phi (N, D) on the span of B, (D,) or (D, k),
    of any length and angle.

    Raises ValueError if the widths differ or B is zero.

    >>> remove_projection(torch.tensor([[3.0, 4.0]]), torch.tensor([0.0, 2.0]))
    tensor([[3., 0.]])
    """
    B = B[:, None] if B.dim() == 1 else B
    if B.dim() != 2 or phi.dim() != 2 or phi.shape[1] != len(B):
        raise ValueError(
            f"phi, B: expected (N, D) and (D,) or (D, k), got {tuple(phi.shape)} and "
            f"{tuple(B.shape)}"
        )
    U, S, _ = torch.linalg.svd(B, full_matrices=False)
    U = U[:, S > 1e-6 * S.max()] if S.max() > 0 else U[:, :0]
    if U.shape[1] == 0:
        raise ValueError("B: expected at least one direction that is not zero")
    return phi - (phi @ U) @ U.T


def projection_penalty(N: Tensor, B: Tensor) -> Tensor:
    """||N B||_F^2: what the words N (n, D) hold along an orthonormal basis B (D, k) (Bordia and
    Bowman, 2019), a scalar with a gradient.

    >>> projection_penalty(torch.tensor([[3.0, 4.0], [0.0, 1.0]]), torch.tensor([[0.0], [1.0]]))
    tensor(17.)
    """
    return ((N @ B) ** 2).sum()


# ---------------------------------------------------------------- effects


def naive_effect(t: Tensor, y: Tensor) -> float:
    """E[y | t = 1] - E[y | t = 0] for treatment t (N,) 0 or 1 and outcome y (N,): an effect only if
    nothing else differs.

    Raises TypeError or ValueError for other arguments or if only one treatment occurs.

    >>> naive_effect(torch.tensor([0, 0, 1, 1]), torch.tensor([0.0, 1.0, 1.0, 2.0]))
    1.0
    """
    return adjusted_effect(t, y, torch.zeros_like(t))


def adjusted_effect(t: Tensor, y: Tensor, z: Tensor) -> float:
    """sum_z P(z) (E[y | t = 1, z] - E[y | t = 0, z]), the back-door adjustment (Pearl, 2009,
    theorem 3.3.2).

    t (N,) 0 or 1, y (N,) any numbers, z (N,) the number of each sample's stratum, from 0. It is the
    effect of t if z closes all back-door paths. Raises TypeError or ValueError for other arguments,
    or if a stratum has not both treatments.

    >>> t, z = torch.tensor([0, 0, 0, 1, 0, 1, 1, 1]), torch.tensor([0, 0, 0, 0, 1, 1, 1, 1])
    >>> adjusted_effect(t, 2.0 * z, z), naive_effect(t, 2.0 * z)
    (0.0, 1.0)
    """
    t, z = check_binary("t", t), check_groups(z, "z")
    if not t.shape == y.shape == z.shape:
        raise ValueError(
            f"t, y, z: expected the same shape (N,), got {tuple(t.shape)}, {tuple(y.shape)}, "
            f"{tuple(z.shape)}"
        )
    effect = 0.0
    for stratum in z.unique():
        inside = z == stratum
        treated, others = y[inside & (t == 1)].double(), y[inside & (t == 0)].double()
        if len(treated) == 0 or len(others) == 0:
            raise ValueError(
                f"t: expected both treatments in every stratum, got one only where z = "
                f"{int(stratum)}"
            )
        effect += inside.double().mean().item() * (treated.mean() - others.mean()).item()
    return effect


# ---------------------------------------------------------------- words


def _cosines(W: Tensor, A: Tensor) -> Tensor:
    W, A = _words("words", W), _words("attributes", A)
    if W.shape[1] != A.shape[1]:
        raise ValueError(
            f"words, attributes: expected the same width D, got {W.shape[1]} and {A.shape[1]}"
        )
    return torch.nn.functional.normalize(W) @ torch.nn.functional.normalize(A).T


def _words(name: str, W: Tensor, zero: bool = False) -> Tensor:
    if not isinstance(W, Tensor) or not W.is_floating_point():
        raise TypeError(
            f"{name}: expected a floating-point tensor, got "
            f"{W.dtype if isinstance(W, Tensor) else type(W).__name__}"
        )
    if W.dim() != 2 or len(W) == 0 or not torch.isfinite(W).all():
        raise ValueError(
            f"{name}: expected finite word vectors (N, D), at least one, got shape {tuple(W.shape)}"
        )
    if not zero and (W == 0).all(1).any():
        raise ValueError(f"{name}: expected no vector of zeros, whose cosine is unknown")
    return W
