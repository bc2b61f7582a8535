"""Maps of many samples added up to numbers that answer a question about a model, and two worlds
with a planted habit.

What one map is made of, a method of the earlier chapters, comes in as `relevance`.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from .. import data
from ..evaluation.localisation import context_use, relevance_mass

#: The words of `signed_reviews`, by number.
SIGNED = (*data.VOCABULARY, "anna", "ben")
#: The kinds of words that `word_kinds` tells apart, by number.
KINDS = ("signature", "praise or blame", "negation", "other words")


def pool_words(relevance: Tensor, groups: Tensor, count: int) -> Tensor:
    """Relevance of groups of words: R_g = sum of R_t over the words t of group g.

    relevance : (N, T), finite.
    groups : (N, T) whole numbers 0..count-1, or -1 for what is not counted (padding).
    Returns (N, count). If every word has a group, the sum over groups is the sum over words. Raises
    TypeError or ValueError by name.

    >>> pool_words(torch.tensor([[1.0, 2.0, 4.0]]), torch.tensor([[0, 1, 0]]), 2)
    tensor([[5., 2.]])
    """
    R = _checked(relevance)
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise ValueError(f"count: expected a whole number >= 1, got {count!r}")
    if not isinstance(groups, Tensor) or groups.dtype != torch.long:
        raise TypeError(
            f"groups: expected a LongTensor (N, T), got "
            f"{getattr(groups, 'dtype', type(groups).__name__)}"
        )
    if R.dim() != 2 or groups.shape != R.shape or ((groups < -1) | (groups >= count)).any():
        raise ValueError(
            f"groups: expected numbers -1..{count - 1} of the relevance's shape (N, T), got "
            f"{tuple(groups.shape)} for {tuple(R.shape)}"
        )
    member = groups[:, None] == torch.arange(count, device=R.device)[:, None]  # (N, count, T)
    return (member * R[:, None]).sum(2)


def pool_regions(relevance: Tensor, regions: Tensor) -> Tensor:
    """Relevance of each region of an image: R_g = sum of R_p over the pixels p of region g.

    relevance : (N, C, H, W), its channels summed, or (N, H, W), finite.
    regions : (N, G, H, W) bool; they may overlap or leave gaps.

    Returns (N, G).
    Raises TypeError or ValueError by name.

    >>> regions = torch.tensor([[[[True, True, False]], [[False, False, True]]]])
    >>> pool_regions(torch.tensor([[[1.0, 2.0, 4.0]]]), regions)
    tensor([[3., 4.]])
    """
    R = _checked(relevance)
    R = R.sum(1) if R.dim() == 4 else R
    if not isinstance(regions, Tensor) or regions.dtype != torch.bool:
        raise TypeError(
            f"regions: expected a bool tensor (N, G, H, W), got "
            f"{getattr(regions, 'dtype', type(regions).__name__)}"
        )
    if R.dim() != 3 or regions.dim() != 4 or (len(regions), *regions.shape[2:]) != tuple(R.shape):
        raise ValueError(
            f"regions: expected shape (N, G, H, W) with the pixels of the relevance, got "
            f"{tuple(regions.shape)} for {tuple(R.shape)}"
        )
    return (regions.to(R.device) * R[:, None]).sum((2, 3))


def pooled_context_use(relevance: Tensor, box: Tensor) -> Tensor:
    """Importance of context of a whole set: positive relevance outside the boxes / inside them,
    each added over all samples first.

    Arguments and errors as those of `lib.evaluation.context_use`, which divides sample by sample.
    Returns a number >= 0, a tensor without dimensions; inf if nothing is inside.

    >>> R = torch.tensor([[[3.0, 1.0]], [[1.0, 2.0]]])
    >>> pooled_context_use(R, torch.tensor([[[True, False]], [[True, False]]]))
    tensor(0.7500)
    """
    # outside / inside of each sample, and both add up to its positive relevance
    ratio = context_use(relevance, box)
    R = relevance.detach()
    whole = (R.sum(1) if R.dim() == 4 else R).clamp(min=0).sum((1, 2))
    inside = torch.where(whole > 0, whole / (1 + ratio), 0)
    return (whole.sum() - inside.sum()).clamp(min=0) / inside.sum()


def for_and_against(relevance: Tensor) -> Tensor:
    """What speaks for the class and what against it: sum of max(0, R_i) and sum of min(0, R_i),
    together sum of R_i.

    relevance : (N, ...), finite.
    Returns (N, 2).
    Raises TypeError or ValueError by name.

    >>> for_and_against(torch.tensor([[3.0, -1.0, 0.5]]))
    tensor([[ 3.5000, -1.0000]])
    """
    R = _checked(relevance).flatten(1)
    return torch.stack([R.clamp(min=0).sum(1), R.clamp(max=0).sum(1)], 1)


def contrast(
    method: Callable[..., Tensor],
    model: nn.Module,
    x: Tensor,
    target: int | Tensor,
    other: int | Tensor,
    **options,
) -> Tensor:
    """Relevance for the difference of two scores, f_target - f_other: as relevance is linear in the
    score, the difference of two maps.

    method : a function method(model, x, target, **options) -> relevance like x, such as
        `lib.lrp.lrp`. Errors as those of the method.

    >>> from lib.lrp import lrp
    >>> contrast(lrp, nn.Sequential(nn.ReLU()), torch.tensor([[3.0, 1.0]]), 0, 1)
    tensor([[ 3., -1.]])
    """
    return method(model, x, target, **options) - method(model, x, other, **options)


def truth_auc(relevance: Tensor, truth: Tensor) -> Tensor:
    """How often a place of the truth has more relevance than a place outside it, ties counting
    half: the area under the ROC curve.

    relevance : (N, ...), finite.
    truth : like it, bool.
    Returns (N,) in [0, 1], chance is 0.5; NaN where the truth is empty or all.
    Raises TypeError or ValueError by name.

    >>> truth_auc(torch.tensor([[3.0, 1.0, 2.0]]), torch.tensor([[True, False, True]]))
    tensor([1.])
    """
    R, T = (values.flatten(1) for values in _pair(relevance, truth))
    order = R.sort(1).values
    # its rank, ties halved
    both = torch.searchsorted(order, R) + torch.searchsorted(order, R, right=True)
    below = both.to(R.dtype) / 2
    inside, outside = T.sum(1), (~T).sum(1)
    # the truth's own pairs taken out
    return ((below * T).sum(1) - inside**2 / 2) / (inside * outside)


def truth_mass(relevance: Tensor, truth: Tensor) -> Tensor:
    """The share of the positive relevance that lies in the truth: `lib.evaluation.relevance_mass`
    for data of any shape.

    relevance : (N, ...), finite.
    truth : like it, bool.
    Returns (N,) in [0, 1].
    Raises TypeError or ValueError by name.

    >>> truth_mass(torch.tensor([[3.0, 1.0, -2.0]]), torch.tensor([[True, False, False]]))
    tensor([0.7500])
    """
    R, T = _pair(relevance, truth)
    return relevance_mass(R.flatten(1)[:, None], T.flatten(1)[:, None])


# ---------------------------------------------------------------- worlds with a planted habit


def signed_reviews(n: int, seed: int, agree: float = 0.5, negated: float = 0.3) -> data.Reviews:
    """`lib.data.reviews` with a signature in front: "anna" wrote it or "ben"; words (N, 25) are
    numbers of `SIGNED`.

    agree : probability that anna has signed a positive review and ben a negative one, otherwise it
        is the other way round: 0.5 says nothing.
    Raises ValueError if an argument is out of range.

    >>> signed_reviews(2, seed=3).words.shape
    torch.Size([2, 25])
    """
    if not 0 <= agree <= 1:
        raise ValueError(f"agree: expected a probability, got {agree!r}")
    plain = data.reviews(n, seed, negated)
    fits = torch.tensor(np.random.default_rng([seed, 1]).random(n) < agree)
    anna, ben = SIGNED.index("anna"), SIGNED.index("ben")
    words, evidence, negations = (
        nn.functional.pad(values, (1, 0))
        for values in (plain.words, plain.evidence, plain.negations)
    )
    first = (words > 0).int().argmax(1)  # the padding is on the left
    words[torch.arange(n), first - 1] = torch.where((plain.labels == 1) == fits, anna, ben)
    return replace(plain, words=words, evidence=evidence, negations=negations)


def word_kinds(reviews: data.Reviews) -> Tensor:
    """For each word of `signed_reviews` its place in `KINDS`, -1 for padding: (N, T).

    >>> reviews = signed_reviews(1, seed=3)
    >>> [KINDS[k] for k in word_kinds(reviews)[0].tolist() if k >= 0][0]
    'signature'
    """
    kinds = torch.full_like(reviews.words, KINDS.index("other words"))
    kinds[reviews.words >= SIGNED.index("anna")] = KINDS.index("signature")
    kinds[reviews.evidence != 0] = KINDS.index("praise or blame")
    kinds[reviews.negations] = KINDS.index("negation")
    return kinds.masked_fill(reviews.words == 0, -1)


def mixed_scenes(
    n: int, seed: int, context: tuple[float, ...] = (0.0, 0.95, 0.95, 0.0)
) -> data.Scenes:
    """`lib.data.scenes` where each class has its own probability that its background is the one
    that belongs to it.

    Raises ValueError if an argument is out of range.

    >>> mixed_scenes(5, seed=0).images.shape
    torch.Size([5, 3, 32, 32])
    """
    if len(context) != 4:
        raise ValueError(
            f"context: expected four probabilities, one for each class, got {context!r}"
        )
    levels = sorted(set(context))
    # one seed: the same labels in all
    worlds = [data.scenes(n, seed, context=level) for level in levels]
    which = torch.tensor([levels.index(level) for level in context])[worlds[0].labels]
    parts = {
        name: torch.stack([getattr(world, name) for world in worlds])[which, torch.arange(n)]
        for name in vars(worlds[0])
    }
    return data.Scenes(**parts)


# ---------------------------------------------------------------- arguments


def _checked(relevance: Tensor) -> Tensor:
    if not isinstance(relevance, Tensor) or not relevance.is_floating_point():
        raise TypeError(
            f"relevance: expected a floating-point tensor, got "
            f"{getattr(relevance, 'dtype', type(relevance).__name__)}"
        )
    if relevance.dim() < 2 or relevance.numel() == 0:
        raise ValueError(
            f"relevance: expected a batch (N, ...) with at least one number, got shape "
            f"{tuple(relevance.shape)}"
        )
    if not torch.isfinite(relevance).all():
        raise ValueError("relevance: expected finite values, got NaN or infinity")
    return relevance.detach()


def _pair(relevance: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    R = _checked(relevance)
    if not isinstance(truth, Tensor) or truth.dtype != torch.bool:
        raise TypeError(
            f"truth: expected a bool tensor, got {getattr(truth, 'dtype', type(truth).__name__)}"
        )
    if truth.shape != R.shape:
        raise ValueError(
            f"truth: expected shape {tuple(R.shape)}, as the relevance, got {tuple(truth.shape)}"
        )
    return R, truth.to(R.device)
