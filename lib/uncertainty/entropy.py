"""How far to trust a prediction: what is uncertain in the data, what in the model, and what to do
about it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..engine.contract import check_arguments, check_scores, undisturbed
from .calibration import check_probabilities


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """The uncertainty of each sample and its two parts, (N,) each: total = aleatoric +
    epistemic.
    """

    total: Tensor
    aleatoric: Tensor
    epistemic: Tensor


def entropy(P: Tensor) -> Tensor:
    """H = -sum_c p_c log p_c in nats, with 0 log 0 = 0: probabilities (..., C) to (...,).

    Raises TypeError or ValueError if the rows are not probabilities.

    >>> entropy(torch.tensor([[1.0, 0.0], [0.5, 0.5]]))
    tensor([0.0000, 0.6931])
    """
    check_probabilities(P)
    return torch.special.entr(P).sum(-1)


def decompose(P: Tensor) -> Uncertainty:
    """H[mean_s p_s] = mean_s H[p_s] + mutual information, in nats, of S predictions (S, N, C)
    (Depeweg et al., 2018, eq. 4).

    The first part is aleatoric; the second, epistemic, is 0 where all predictions agree and at most
    log S.
    Raises TypeError or ValueError if P is not (S, N, C) with rows of probabilities.

    >>> two_sure_models = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]])  # that disagree
    >>> parts = decompose(two_sure_models)
    >>> parts.total, parts.aleatoric, parts.epistemic
    (tensor([0.6931]), tensor([0.]), tensor([0.6931]))
    """
    check_probabilities(P)
    if P.dim() != 3:
        raise ValueError(
            f"P: expected (S, N, C), S predictions for each sample, got shape {tuple(P.shape)}"
        )
    total, aleatoric = entropy(P.mean(0)), entropy(P).mean(0)
    # below 0 by rounding only
    return Uncertainty(total, aleatoric, (total - aleatoric).clamp(min=0))


def decompose_variance(mean: Tensor, variance: Tensor) -> Uncertainty:
    """Var[y] = mean_m sigma_m^2 + Var_m[mu_m] of an even mixture of M Gaussians, (M, N) each
    (Lakshminarayanan et al., 2017, section 2.4).

    Raises ValueError if the shapes differ or a variance is negative.

    >>> decompose_variance(torch.tensor([[1.0], [3.0]]), torch.tensor([[0.5], [0.5]])).total
    tensor([1.5000])
    """
    if mean.shape != variance.shape or mean.dim() < 2:
        raise ValueError(
            f"mean, variance: expected the same shape (M, N), got {tuple(mean.shape)} and "
            f"{tuple(variance.shape)}"
        )
    if (variance < 0).any():
        raise ValueError("variance: expected no negative values")
    aleatoric, epistemic = variance.mean(0), mean.var(0, unbiased=False)
    return Uncertainty(aleatoric + epistemic, aleatoric, epistemic)


def gaussian_nll(output: Tensor, y: Tensor) -> Tensor:
    """The batch mean of -log N(y; mean, variance), constant dropped (Lakshminarayanan et al., 2017,
    eq. 1).

    output (N, 2): mean and log-variance of each sample, as a network gives them; y (N,).

    >>> gaussian_nll(torch.tensor([[1.0, 0.0]]), torch.tensor([3.0]))
    tensor(2.)
    """
    mean, log_variance = output.unbind(1)
    return 0.5 * (log_variance + (y - mean) ** 2 * torch.exp(-log_variance)).mean()


@torch.no_grad()
def mc_dropout(
    model: nn.Module, x: Tensor, samples: int = 50, seed: int = 0, at_once: int = 2**14
) -> Tensor:
    """Class probabilities (S, N, C) of S passes with dropout on and all else in evaluation mode
    (Gal and Ghahramani, 2016).

    x: (N, ...); each row and each pass draws its own masks.
    at_once: rows of one pass.

    Modes, buffers and the random state are as before afterwards.
    Raises ValueError if the model has no dropout layer (nn.Dropout and its like), TypeError or
    ValueError for another x.

    >>> model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(), nn.Linear(8, 3))
    >>> mc_dropout(model, torch.ones(2, 4), samples=20).shape
    torch.Size([20, 2, 3])
    """
    check_arguments(model, x)
    if samples < 1:
        raise ValueError(f"samples: expected at least 1, got {samples}")
    with undisturbed(model, x), _dropout_on(model):
        torch.manual_seed(seed)
        group = max(1, at_once // len(x))
        passes = []
        for first in range(0, samples, group):
            count = min(group, samples - first)
            rows = x.repeat(count, *[1] * (x.dim() - 1))
            scores = model(rows)
            check_scores(scores, rows)
            passes.append(scores.softmax(1).unflatten(0, (count, len(x))))
        return torch.cat(passes)


@contextmanager
def _dropout_on(model: nn.Module) -> Iterator[None]:
    layers = [
        module for module in model.modules() if isinstance(module, nn.modules.dropout._DropoutNd)
    ]
    if not layers:
        raise ValueError(
            "model: expected at least one dropout layer (nn.Dropout), got none, so that all "
            "passes would agree"
        )
    try:
        for layer in layers:
            layer.training = True
        yield
    finally:
        for layer in layers:
            layer.training = False
