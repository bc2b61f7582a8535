"""Generated data whose uncertainty is known: a curve with a gap, clouds that overlap, pictures that
are no digits, people who err.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ..data.generated import scenes


def curve(n: int = 200, gap: float = 1.0, seed: int = 0) -> tuple[Tensor, Tensor]:
    """y = sin(2 x) + noise of standard deviation `curve_noise(x)`, with no x between -gap and gap:
    x (n, 1) in -3..3, y (n,).

    Raises ValueError for a gap that is not in [0, 3).

    >>> x, y = curve(100, gap=1.0)
    >>> x.shape, y.shape, bool((x.abs() >= 1).all())
    (torch.Size([100, 1]), torch.Size([100]), True)
    """
    if not 0 <= gap < 3:
        raise ValueError(f"gap: expected a number from 0 to below 3, got {gap}")
    generator = torch.Generator().manual_seed(seed)
    side = 2.0 * torch.randint(2, (n,), generator=generator) - 1
    x = side * (gap + (3 - gap) * torch.rand(n, generator=generator))
    return x[:, None], torch.sin(2 * x) + curve_noise(x) * torch.randn(n, generator=generator)


def curve_noise(x: Tensor) -> Tensor:
    """The noise of `curve`, which no model can know away: 0.1 on the left of 0, 0.4 on the right.

    >>> curve_noise(torch.tensor([-1.0, 1.0]))
    tensor([0.1000, 0.4000])
    """
    return 0.1 + 0.3 * (x > 0)


def clouds(n: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Two round clouds of variance 1 about (-1, 0), class 0, and (1, 0), class 1: x (n, 2), y (n,).

    >>> x, y = clouds(100)
    >>> x.shape, y[:4]
    (torch.Size([100, 2]), tensor([0, 1, 0, 1]))
    """
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % 2
    centre = torch.stack([2.0 * y - 1, torch.zeros(n)], 1)
    return centre + torch.randn(n, 2, generator=generator), y


def clouds_truth(x: Tensor) -> Tensor:
    """P(y | x) for `clouds`, by Bayes' rule: (N, 2) to (N, 2).

    >>> clouds_truth(torch.tensor([[0.0, 5.0]]))
    tensor([[0.5000, 0.5000]])
    """
    return torch.stack([torch.sigmoid(-2 * x[:, 0]), torch.sigmoid(2 * x[:, 0])], 1)


def glyphs(n: int, seed: int = 0) -> Tensor:
    """Knights, anchors, aeroplanes and wheels in the format of the digits: (n, 1, 8, 8), the ink in
    each of 8 x 8 fields.

    Raises ValueError for n below 1.

    >>> glyphs(3).shape
    torch.Size([3, 1, 8, 8])
    """
    drawn = scenes(n, seed)
    cut = [
        mask[top:bottom, left:right].float()[None]
        for mask, (left, top, right, bottom) in zip(drawn.object_masks, drawn.boxes.tolist())
    ]
    return torch.stack([F.adaptive_avg_pool2d(picture, 8) for picture in cut])


def people() -> Tensor:
    """What five annotators say (columns) of each of ten digits (rows), (5, 10, 10): one careful,
    one hasty, one who takes 1 for 7 and 3 for 8, one who is right half of the time and one who
    clicks at random.

    >>> people().sum(2).round(decimals=3).unique()
    tensor([1.])
    """
    kinds = []
    for right in (0.9, 0.6, 0.6, 0.5, 0.1):
        M = torch.full((10, 10), (1 - right) / 9)
        kinds.append(M.fill_diagonal_(right))
    for a, b in ((1, 7), (7, 1), (3, 8), (8, 3)):
        kinds[2][a, [a, b]] = kinds[2][a, [a, b]].mean()
    return torch.stack(kinds)


def votes(y: Tensor, confusion: Tensor, seed: int = 0) -> Tensor:
    """One label by each of A annotators: true classes (N,) and confusions (A, C, C) to votes (N,
    A).

    >>> votes(torch.tensor([3, 5]), people()).shape
    torch.Size([2, 5])
    """
    generator = torch.Generator().manual_seed(seed)
    return torch.stack(
        [torch.multinomial(M[y], 1, generator=generator)[:, 0] for M in confusion], 1
    )
