"""Networks that are built, not trained, so that the right explanation is known, and explanations
that are wrong in a known way.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..engine.contract import check_arguments, class_index, undisturbed
from ..interpretability.perturbation import whole

SIDE, PATTERN = 20, 4  # pixels
_KINDS = (0, 0, 1, 2, 2)  # of the patterns in a picture
_THRESHOLD, _CONTRAST = 4.0, 0.4  # a whole pattern excites its detector by 16 * 0.4 = 6.4


@dataclass(frozen=True, eq=False)
class Planted:
    """A built network, pictures for it, and where in them its evidence stands.

    network: pictures (N, 1, 20, 20) to scores (N, 2), the second the first with its sign turned.
    images: (N, 1, 20, 20) in [0, 1], five patterns of 4 x 4 pixels on noise about grey.
    evidence: (N, 20, 20) bool, the two patterns that speak for class 0.
    """

    network: nn.Sequential
    images: Tensor
    evidence: Tensor


def planted(n: int, seed: int) -> Planted:
    """A network that knows three drawn patterns of bright and dark pixels: one speaks for class 0,
    one against it, and one says nothing. Each picture holds two of the first, one of the second and
    two of the third.

    Two detectors, a convolution and a ReLU each, answer where their pattern stands and nowhere
    else; the score is their sum over the picture. So no other pixel matters, and of a pattern's
    pixels each matters as much as any other.

    n: pictures, at least 1. seed: of patterns and pictures.
    Raises TypeError or ValueError for n or a seed that is no whole number, or n below 1.

    >>> world = planted(3, seed=0)
    >>> world.network(world.images).shape, int(world.evidence[0].sum())
    (torch.Size([3, 2]), 32)
    """
    whole("n", n, 1)
    generator = torch.Generator().manual_seed(whole("seed", seed))
    patterns = _patterns(generator)
    network = _detectors(patterns[:2])
    drawn: list[tuple[Tensor, Tensor]] = []
    while len(drawn) < n:
        image, evidence = _picture(patterns, generator)
        # neighbours may look like a pattern by chance
        if (network[:2](image[None]) > 0).sum() == sum(kind < 2 for kind in _KINDS):
            drawn.append((image, evidence))
    images, evidence = (torch.stack(part) for part in zip(*drawn))
    return Planted(network, images, evidence)


def planted_truth(model: nn.Module, x: Tensor, target: int | Tensor | None = None) -> Tensor:
    """The right explanation of a network of `planted`: what each detector adds to the score,
    shared equally among the 16 pixels of its pattern, which are the Shapley values of the pixels
    where a missing one is grey, 0.5.

    For networks and pictures of `planted` only; arguments, shape and errors as for `lib.lrp.lrp`.

    >>> world = planted(1, seed=0)
    >>> R = planted_truth(world.network, world.images, 0)
    >>> torch.allclose(R.sum(), world.network(world.images)[0, 0])
    True
    """
    check_arguments(model, x)
    with undisturbed(model, x), torch.no_grad():
        chosen = class_index(model(x), target)
        (convolution, activation, *_), (*_, weights) = model.children(), model.parameters()
        added = activation(convolution(x))  # (N, 2, 17, 17)
        added = added * weights[chosen][:, :, None, None] / added[0, 0].numel()
        window = torch.ones(2, 1, PATTERN, PATTERN, dtype=x.dtype, device=x.device)
        return F.conv_transpose2d(added, window / PATTERN**2)


def displaced(relevance: Tensor, share: float, seed: int = 0) -> Tensor:
    """An explanation that is wrong in a known degree: of the places that have relevance, a share
    gives it to places that have none, both drawn.

    relevance: (N, ...), at most half of each sample other than 0. share: in [0, 1].
    Returns a tensor of its shape with the same values at other places.
    Raises ValueError for another share, or too few free places.

    >>> displaced(torch.tensor([[1.0, 0.0, 0.0]]), 1.0).sum()
    tensor(1.)
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share: expected a number from 0 to 1, got {share!r}")
    generator = torch.Generator().manual_seed(whole("seed", seed))
    result = relevance.detach().flatten(1).clone()
    for row in result:
        own, free = (
            places[torch.randperm(len(places), generator=generator)]
            for places in (row.nonzero()[:, 0], (row == 0).nonzero()[:, 0])
        )
        if len(own) > len(free):
            raise ValueError(
                f"relevance: expected at most half of each sample other than 0, got {len(own)} "
                f"of {len(row)} places"
            )
        own = own[: round(share * len(own))]
        row[free[: len(own)]] = row[own]
        row[own] = 0
    return result.view_as(relevance)


def _patterns(generator: torch.Generator) -> Tensor:
    """Three patterns (3, 4, 4) of eight 1 and eight -1 that no shift makes alike: drawn until a
    detector of one stays below its threshold on the others.
    """
    while True:
        order = torch.rand(3, PATTERN**2, generator=generator).argsort(1)
        patterns = torch.where(order < PATTERN**2 // 2, 1.0, -1.0).view(3, 1, PATTERN, PATTERN)
        alike = F.conv2d(F.pad(patterns, [PATTERN - 1] * 4), patterns)
        alike[range(3), range(3), PATTERN - 1, PATTERN - 1] = 0  # with itself, unshifted
        if alike.max() <= 7:
            return patterns[:, 0]


def _picture(patterns: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """(1, 20, 20) in [0, 1], and where the patterns of kind 0 stand, (20, 20) bool."""
    image = 0.4 + 0.2 * torch.rand(1, SIDE, SIDE, generator=generator)
    evidence = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    # each in a cell of 5 x 5 of its own, so that none overlap
    cells = torch.randperm((SIDE // 5) ** 2, generator=generator)[: len(_KINDS)]
    shifts = torch.randint(0, 2, (len(_KINDS), 2), generator=generator)
    for kind, cell, (down, right) in zip(_KINDS, cells.tolist(), shifts.tolist()):
        top, left = 5 * (cell // 4) + down, 5 * (cell % 4) + right
        place = slice(top, top + PATTERN), slice(left, left + PATTERN)
        image[0][place] = 0.5 + _CONTRAST * patterns[kind]
        evidence[place] |= kind == 0
    return image, evidence


def _detectors(patterns: Tensor) -> nn.Sequential:
    places = (SIDE - PATTERN + 1) ** 2
    convolution, head = nn.Conv2d(1, 2, PATTERN), nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        convolution.weight.copy_(patterns[:, None])
        convolution.bias = nn.Parameter(torch.full((2,), -_THRESHOLD))
        # times the number of places: a sum instead of a mean
        head.weight.copy_(torch.tensor([[1.0, -1], [-1, 1]]) * places)
    pool = nn.AvgPool2d(SIDE - PATTERN + 1)
    return nn.Sequential(convolution, nn.ReLU(), pool, nn.Flatten(), head).eval()
