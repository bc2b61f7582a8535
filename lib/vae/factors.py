"""A world of two known factors, and how far each number of a code holds one of them."""

import torch
from torch import Tensor

from .autoencoder import VAE


def spots(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Pictures (n, 1, 10, 10) of a soft spot, and its factors (n, 2) in [0, 1]: height and side
    position.

    >>> pictures, factors = spots(3, seed=0)
    >>> pictures.shape, factors.shape
    (torch.Size([3, 1, 10, 10]), torch.Size([3, 2]))
    """
    factors = torch.rand(n, 2, generator=torch.Generator().manual_seed(seed))
    p, (a, b) = torch.arange(10), (1.5 + 6 * factors).T[:, :, None, None]
    distance = (p[:, None] - a) ** 2 + (p - b) ** 2
    return torch.exp(-distance / 4)[:, None], factors


def disentanglement(model: VAE, x: Tensor, factors: Tensor) -> float:
    """How far each factor (N, F) of pictures x (N, ...) is held by one number of the code: for each
    factor the largest squared correlation less the second largest, averaged; in [0, 1] (Kumar et
    al., 2018, the SAP score of continuous factors).

    >>> from lib.vae import dense_vae
    >>> 0 <= disentanglement(dense_vae(100, (8,), latent=2), *spots(50, seed=0)) <= 1
    True
    """
    with torch.no_grad():
        mean = model.encode(x)[0]
    count = factors.shape[1]
    r2 = torch.corrcoef(torch.cat([factors, mean], 1).T)[:count, count:] ** 2
    best = r2.topk(2).values
    return (best[:, 0] - best[:, 1]).mean().item()
