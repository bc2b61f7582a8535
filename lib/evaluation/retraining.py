"""Remove what a map calls relevant, and train again: what can still be learned?"""

import torch
from torch import Tensor


def most_relevant(relevance: Tensor, share: float, seed: int = 0) -> Tensor:
    """The pixels of each picture that a map puts first: bool (N, H, W), a `share` of them.

    For "remove and retrain" (Hooker et al., 2019): these pixels are replaced in the training and
    the test set, and new networks are trained. The mask itself may tell the class (Rong et al.,
    2022): train on it alone to know.

    relevance: (N, C, H, W); channels are summed.
    share: in [0, 1], rounded to whole pixels.
    seed: of the order among pixels of equal relevance, which would else go by their place.
    Raises TypeError or ValueError for no such tensor, NaN, or another share.

    >>> most_relevant(torch.tensor([[[[3.0, -1.0], [0.0, 2.0]]]]), 0.5)
    tensor([[[ True, False],
             [False,  True]]])
    """
    if not isinstance(relevance, Tensor):
        raise TypeError(f"relevance: expected a tensor, got {type(relevance).__name__}")
    if relevance.dim() != 4 or not relevance.numel():
        raise ValueError(f"relevance: expected (N, C, H, W), got shape {tuple(relevance.shape)}")
    if relevance.isnan().any():
        raise ValueError("relevance: expected numbers, got NaN")
    if not 0 <= share <= 1:
        raise ValueError(f"share: expected a number in [0, 1], got {share}")
    R = relevance.sum(1).flatten(1)
    mixed = torch.rand(R.shape, generator=torch.Generator().manual_seed(seed)).argsort(1)
    mixed = mixed.to(R.device)
    order = mixed.gather(1, R.gather(1, mixed).argsort(dim=1, descending=True, stable=True))
    first = order[:, : round(share * R.shape[1])]
    chosen = torch.zeros_like(R, dtype=torch.bool).scatter(1, first, True)
    return chosen.view(len(R), *relevance.shape[2:])
