"""Style transfer: a picture with the content of one and the style of another (Gatys et al.,
2016).
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..training import descend


def gram(features: Tensor) -> Tensor:
    """How the channels go together, wherever in the picture: the mean over the places of the
    product of each two, (N, C, H, W) to (N, C, C) (Gatys et al., 2016, eq. 3, as a mean).

    >>> gram(torch.ones(1, 2, 3, 3))
    tensor([[[1., 1.],
             [1., 1.]]])
    """
    flat = features.flatten(2)
    return flat @ flat.mT / flat.shape[2]


def content_distance(features: Sequence[Tensor], of: Sequence[Tensor]) -> Tensor:
    """|f - f'|^2 / |f'|^2 for the last features f, and f' `of` another picture (Gatys et al., 2016,
    eq. 1, as a share); a number.

    features, of: (N, C, H, W) of some layers, in their order.

    >>> content_distance([torch.zeros(1, 3, 2, 2)], [torch.ones(1, 3, 2, 2)])
    tensor(1.)
    """
    return ((features[-1] - of[-1]) ** 2).sum() / (of[-1] ** 2).sum()


def style_distance(features: Sequence[Tensor], of: Sequence[Tensor]) -> Tensor:
    """|G - G'|^2 / |G'|^2 for the Gram matrices of each layer, the mean over the layers (Gatys et
    al., 2016, eq. 4 and 5, as a share); a number.

    features, of: as for `content_distance`.

    >>> style_distance([torch.zeros(1, 3, 2, 2)], [torch.ones(1, 3, 2, 2)])
    tensor(1.)
    """
    pairs = [(gram(f), gram(wanted)) for f, wanted in zip(features, of)]
    shares = [((g - wanted) ** 2).sum() / (wanted**2).sum() for g, wanted in pairs]
    return torch.stack(shares).mean()


def restyled(
    features: Callable[[Tensor], Sequence[Tensor]],
    content: Tensor,
    style: Tensor,
    steps: int = 40,
    weight: float = 0.3,
    learning_rate: float = 0.03,
) -> Tensor:
    """The picture (1, 3, H, W) that descent finds on `style_distance` plus `weight` times
    `content_distance`, from the picture of the content on (Gatys et al., 2016, eq. 7).

    features: a picture to its features of some layers, in their order.

    The values stay in the range of `content` and `style`.

    >>> x = torch.rand(1, 3, 4, 4)
    >>> restyled(lambda x: [x], x, x.flip(2), steps=2).shape
    torch.Size([1, 3, 4, 4])
    """
    low, high = min(content.min(), style.min()), max(content.max(), style.max())
    with torch.no_grad():
        of_content, of_style = features(content), features(style)
    x = content.clone().requires_grad_()
    adam = torch.optim.Adam([x], learning_rate)
    for _ in range(steps):
        f = features(x)
        descend(adam, style_distance(f, of_style) + weight * content_distance(f, of_content))
        x.data.clamp_(low, high)
    return x.detach()
