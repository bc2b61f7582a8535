"""Explanations against a known truth: how much of the relevance lies where it should?

All scores take relevance (N, C, H, W), its channels summed, or (N, H, W), and look at what speaks
for the class: R^+ = max(0, R).
"""

import torch
from torch import Tensor


def relevance_mass(relevance: Tensor, mask: Tensor) -> Tensor:
    """The share of the positive relevance that lies in the mask, in [0, 1] (Arras et al., 2022,
    relevance mass accuracy).

    relevance : (N, C, H, W) or (N, H, W), finite.
    mask : (N, H, W) bool, where the truth is.
    Returns (N,); 0 for a sample without positive relevance. Raises TypeError or ValueError: a bad
    argument, by name.

    >>> relevance_mass(torch.tensor([[[3.0, 1.0, -2.0]]]), torch.tensor([[[True, False, False]]]))
    tensor([0.7500])
    """
    R = _positive(relevance)
    inside = (R * _checked(mask, R)).sum((1, 2))
    return torch.where(inside > 0, inside / R.sum((1, 2)), 0)


def relevance_rank(relevance: Tensor, mask: Tensor) -> Tensor:
    """Of the k most relevant pixels the share that lies in the mask, which has k pixels (Arras et
    al., 2022, relevance rank accuracy).

    Arguments and errors as those of `relevance_mass`; here negative relevance is ranked too. Ties
    go in reading order. Returns (N,); 0 for an empty mask.

    >>> relevance_rank(torch.tensor([[[3.0, 1.0, 2.0]]]), torch.tensor([[[True, True, False]]]))
    tensor([0.5000])
    """
    R = _pixels(relevance)
    inside = _checked(mask, R).flatten(1)
    k = inside.sum(1, keepdim=True)
    order = R.flatten(1).argsort(dim=1, descending=True, stable=True)
    top = torch.arange(order.shape[1], device=R.device) < k
    hits = (inside.gather(1, order) & top).sum(1)
    return hits.to(R.dtype) / k[:, 0].clamp(min=1)


def pointing_game(relevance: Tensor, mask: Tensor) -> Tensor:
    """1 if the most relevant pixel lies in the mask, else 0 (Zhang et al., 2016, without their
    margin of 15 pixels).

    Arguments and errors as those of `relevance_mass`; of several highest pixels the first in
    reading order counts. Returns (N,).

    >>> pointing_game(torch.tensor([[[3.0, 1.0, 2.0]]]), torch.tensor([[[True, True, False]]]))
    tensor([1.])
    """
    R = _pixels(relevance)
    highest = R.flatten(1).argsort(dim=1, descending=True, stable=True)[:, :1]
    return _checked(mask, R).flatten(1).gather(1, highest)[:, 0].to(R.dtype)


def context_use(relevance: Tensor, box: Tensor) -> Tensor:
    """Importance of context: positive relevance outside the box / inside the box (Lapuschkin et
    al., 2016, as sums).

    box : (N, H, W) bool, or (N, 4) whole numbers left, top, right, bottom, the last two exclusive,
        as in `lib.data.Scenes`.
    Returns (N,) >= 0; inf if nothing is inside. Other arguments and errors as those of
    `relevance_mass`.

    >>> context_use(torch.tensor([[[3.0, 1.0, 2.0]]]), torch.tensor([[0, 0, 1, 1]]))
    tensor([1.])
    """
    R = _positive(relevance)
    if isinstance(box, Tensor) and box.dtype != torch.bool and box.shape == (len(R), 4):
        box = _filled(box, R)
    inside = _checked(box, R, "box")
    return (R * ~inside).sum((1, 2)) / (R * inside).sum((1, 2))


def _filled(box: Tensor, R: Tensor) -> Tensor:
    """Boxes (N, 4) as masks (N, H, W)."""
    left, top, right, bottom = box.to(R.device).T[:, :, None, None]
    row, column = (torch.arange(n, device=R.device) for n in R.shape[1:])
    return (row[:, None] >= top) & (row[:, None] < bottom) & (column >= left) & (column < right)


def _pixels(relevance: Tensor) -> Tensor:
    """Relevance of each pixel (N, H, W)."""
    if not isinstance(relevance, Tensor):
        raise TypeError(f"relevance: expected a torch.Tensor, got {type(relevance).__name__}")
    if relevance.dim() not in (3, 4) or relevance.numel() == 0:
        raise ValueError(
            f"relevance: expected shape (N, C, H, W) or (N, H, W), got {tuple(relevance.shape)}"
        )
    if not torch.isfinite(relevance).all():
        raise ValueError("relevance: expected finite values, got NaN or infinity")
    relevance = relevance.detach()
    return relevance.sum(1) if relevance.dim() == 4 else relevance


def _positive(relevance: Tensor) -> Tensor:
    return _pixels(relevance).clamp(min=0)


def _checked(mask: Tensor, R: Tensor, name: str = "mask") -> Tensor:
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
        raise TypeError(
            f"{name}: expected a bool tensor (N, H, W), got "
            f"{getattr(mask, 'dtype', type(mask).__name__)}"
        )
    if mask.shape != R.shape:
        raise ValueError(
            f"{name}: expected shape {tuple(R.shape)}, as the pixels of the relevance, got "
            f"{tuple(mask.shape)}"
        )
    return mask.to(R.device)
