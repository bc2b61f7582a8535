"""Pixel flipping and word deleting: destroy what an explanation holds to be relevant, and look at
the score.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..engine.contract import check_arguments, undisturbed
from ..interpretability.perturbation import blurred, filling, scores_of_many, start, whole

FEW = 4096  # patches, for "neighbours", which compares each with all
#: The names that `pixel_flipping` takes for what stands in the place of a patch.
REPLACEMENTS = ("uniform", "mean", "blur", "neighbours")


@dataclass(frozen=True, eq=False)
class Flipping:
    """How the scores change while an input is destroyed.

    scores: (N, K + 1), f_c after k = 0..K steps, in logits.
    removed: (K + 1,) or (N, K + 1), how many patches or words are gone.
    """

    scores: Tensor
    removed: Tensor

    @property
    def aopc(self) -> Tensor:
        """Area over the perturbation curve of each sample (N,): 1 / (K + 1) sum_k (f_0 - f_k)
        (Samek et al., 2017, eq. 12, for one image).
        """
        return (self.scores[:, :1] - self.scores).mean(1)


def pixel_flipping(
    model: nn.Module,
    x: Tensor,
    relevance: Tensor,
    target: int | Tensor | None = None,
    patch: int = 1,
    replace: str | float | Tensor = "uniform",
    order: str = "morf",
    steps: int | None = None,
    seed: int = 0,
) -> Flipping:
    """The score f_c(x) while patches are destroyed in the order of their relevance (Bach et al.,
    2015; Samek et al., 2017).

    Parameters
    ----------
    model, x, target : as for `lib.lrp.lrp`; the class is that of the target, or the predicted one
        of the whole x.
    relevance : like x, or without its channels (N, ...). A patch has the sum of its relevances,
        channels included.
    patch : its side in pixels along every axis but the channels, which go together; cut off at the
        far edge. For x (N, D) that many features.
    replace : what stands in the place of a patch that is gone. "uniform": noise between the
        smallest and the largest value of the sample, the same draw for every sample and every
        order; "mean": of the sample's channel; "blur": the image under a wide Gaussian;
        "neighbours": the mean of the patches that are left, weighted by 1 / distance^4 (Shepard,
        1968); or a number, or a tensor that broadcasts to x.
    order : "morf", most relevant first, or "lerf", least relevant first. Ties go in reading order,
        both ways.
    steps : K; after k steps k P // K of the P patches are gone. None: one patch a step.
    seed : of the noise.

    Returns a `Flipping` with `.scores` (N, K + 1), detached, `.removed` (K + 1,) and `.aopc` (N,):
    K + 1 forward passes, in pieces that bound the memory. Raises TypeError or ValueError: a bad
    argument, by name.

    Example
    -------
    >>> model = nn.Linear(3, 1, bias=False)
    >>> _ = nn.init.ones_(model.weight)
    >>> x = torch.tensor([[1.0, 2.0, 4.0]])
    >>> pixel_flipping(model, x, x, replace=0.0).scores
    tensor([[7., 3., 1., 0.]])
    """
    check_arguments(model, x)
    ranks = _ranks(x, relevance, patch, order)
    count = int(ranks.max()) + 1
    steps = count if steps is None else whole("steps", steps, 1)
    if steps > count:
        raise ValueError(f"steps: expected at most {count}, the number of patches, got {steps}")
    removed = torch.arange(steps + 1, device=x.device) * count // steps
    with undisturbed(model, x), torch.no_grad():
        x = x.detach()
        destroy = _destroyer(x, ranks, patch, replace, seed)
        first, chosen = start(model, x, target)
        later = scores_of_many(
            model, x, chosen, steps, lambda which, rows: destroy(removed[1:][which], rows)
        )
    return Flipping(torch.cat([first[:, None], later.T], 1), removed)


def flipped(
    x: Tensor,
    relevance: Tensor,
    count: int,
    patch: int = 1,
    replace: str | float | Tensor = "uniform",
    order: str = "morf",
    seed: int = 0,
) -> Tensor:
    """What the model sees in `pixel_flipping` when `count` patches are gone: a tensor like x.
    Arguments and errors as there.

    >>> flipped(torch.tensor([[1.0, 2.0, 4.0]]), torch.tensor([[1.0, 3.0, 2.0]]), 2, replace=0.0)
    tensor([[1., 0., 0.]])
    """
    check_arguments(nn.Identity(), x)
    ranks, x = _ranks(x, relevance, patch, order), x.detach()
    gone = torch.tensor([whole("count", count, 0)], device=x.device)
    return _destroyer(x, ranks, patch, replace, seed)(gone, slice(None))[0]


def word_deleting(
    model: nn.Module,
    words: Tensor,
    relevance: Tensor,
    target: int | Tensor | None = None,
    order: str = "morf",
) -> Flipping:
    """The score f_c while words are deleted, one a step, in the order of their relevance (Arras et
    al., 2017, section 4).

    words : numbers of words (N, T), int64; 0 is the empty word, which pads, and which stands in the
        place of a deleted word.
    relevance : (N, T), or (N, T, ...) to be summed.
    order : as for `pixel_flipping`.
    model, target : as for `lib.lrp.lrp`.

    Returns a `Flipping` with `.scores` (N, K + 1), K the number of words of the longest text, and
    `.removed` (N, K + 1): a shorter text stays as it is when it is empty.
    Raises TypeError or ValueError: a bad argument, by name.

    >>> class Longest(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.words = nn.Embedding(9, 1)
    ...     def forward(self, words):
    ...         return words.amax(1, keepdim=True).float()
    >>> word_deleting(Longest(), torch.tensor([[3, 8, 5]]), torch.tensor([[1.0, 3.0, 2.0]])).scores
    tensor([[8., 5., 3., 0.]])
    """
    check_arguments(model, words, words=True)
    if words.is_floating_point() or words.dim() != 2:
        raise TypeError(
            f"words: expected numbers of words (N, T), int64, got {words.dtype} of shape "
            f"{tuple(words.shape)}"
        )
    relevance = _checked(words, relevance, "words")
    _check_order(order)
    padding = words == 0
    last = float("inf") if order == "lerf" else float("-inf")
    ranks = _rank(relevance.reshape(*words.shape, -1).sum(2).masked_fill(padding, last), order)
    lengths = (~padding).sum(1)
    gone = torch.arange(int(lengths.max()) + 1, device=words.device)
    with undisturbed(model, words, "words"), torch.no_grad():
        first, chosen = start(model, words, target)

        def delete(which: slice, rows: slice) -> Tensor:
            return words[rows].where(ranks[rows] >= gone[1:][which].view(-1, 1, 1), 0)

        later = first.new_zeros(0, len(words))
        if len(gone) > 1:
            later = scores_of_many(model, words, chosen, len(gone) - 1, delete)
    return Flipping(torch.cat([first[:, None], later.T], 1), gone.minimum(lengths[:, None]))


# ---------------------------------------------------------------- the order


def _checked(x: Tensor, relevance: Tensor, name: str) -> Tensor:
    if not isinstance(relevance, Tensor):
        raise TypeError(
            f"relevance: expected a tensor of the shape of {name}, got {type(relevance).__name__}"
        )
    without = x.shape[:1] + x.shape[2:]
    if name == "words":
        fits = relevance.shape[:2] == x.shape
    else:
        fits = relevance.shape == x.shape or x.dim() > 2 and relevance.shape == without
    if not fits:
        raise ValueError(
            f"relevance: expected the shape of {name}, {tuple(x.shape)}, got "
            f"{tuple(relevance.shape)}"
        )
    if not torch.isfinite(relevance).all():
        raise ValueError("relevance: expected finite values, got NaN or infinity")
    return relevance.detach().to(x.device)


def _check_order(order: str) -> None:
    if order not in ("morf", "lerf"):
        raise ValueError(
            f"order: expected 'morf' (most relevant first) or 'lerf' (least relevant first), "
            f"got {order!r}"
        )


def _rank(values: Tensor, order: str) -> Tensor:
    """The place of each value (N, P) in the order: 0 goes first; among equals, the one that stands
    first.
    """
    return values.argsort(dim=1, descending=order == "morf", stable=True).argsort(1)


def _ranks(x: Tensor, relevance: Tensor, patch: int, order: str) -> Tensor:
    """For each pixel the place of its patch in the order, (N, 1, ...), or (N, D) for features."""
    whole("patch", patch, 1)
    _check_order(order)
    relevance = _checked(x, relevance, "x")
    if relevance.shape == x.shape and x.dim() > 2:
        relevance = relevance.sum(1)
    number = _patches(relevance.shape[1:], patch, x.device)
    sums = relevance.new_zeros(len(x), int(number.max()) + 1)
    sums.index_add_(1, number.flatten(), relevance.flatten(1))
    ranks = _rank(sums, order)[:, number]
    return ranks[:, None] if x.dim() > 2 else ranks


def _patches(shape: torch.Size, patch: int, device: torch.device) -> Tensor:
    """The number of the patch of each pixel, in reading order."""
    number = torch.zeros(shape, dtype=torch.long, device=device)
    for axis, size in enumerate(shape):
        along = torch.arange(size, device=device) // patch
        number = number * (along[-1] + 1) + along.view(-1, *[1] * (len(shape) - axis - 1))
    return number


# ---------------------------------------------------------------- what takes the place


def _destroyer(
    x: Tensor, ranks: Tensor, patch: int, replace: str | float | Tensor, seed: int
) -> Callable[[Tensor, slice], Tensor]:
    """destroy(counts (m,), rows) -> (m, n, ...): the samples x[rows] with the first `counts`
    patches of the order replaced.
    """
    if isinstance(replace, str) and replace == "neighbours":
        return _from_neighbours(x, ranks, patch)
    other = replacement(x, replace, seed)

    def destroy(counts: Tensor, rows: slice) -> Tensor:
        return torch.where(ranks[rows] < counts.view(-1, *[1] * x.dim()), other[rows], x[rows])

    return destroy


def replacement(x: Tensor, replace: str | float | Tensor, seed: int) -> Tensor:
    if not isinstance(replace, str):
        return filling("replace", replace, x)
    axes = tuple(range(2, x.dim())) or (1,)
    if replace == "mean":
        return x.mean(axes, keepdim=True).expand_as(x)
    if replace == "uniform":
        generator = torch.Generator().manual_seed(whole("seed", seed))
        noise = torch.rand(x[0].shape, generator=generator, dtype=x.dtype).to(x.device)
        every = tuple(range(1, x.dim()))
        low, high = x.amin(every, keepdim=True), x.amax(every, keepdim=True)
        return low + (high - low) * noise
    if replace == "blur" and x.dim() == 4:
        return blurred(x)
    if replace in REPLACEMENTS:
        raise ValueError(
            f"replace: expected images (N, C, H, W) for {replace!r}, got x of shape "
            f"{tuple(x.shape)}"
        )
    raise ValueError(
        f"replace: expected one of {REPLACEMENTS}, a number or a tensor, got {replace!r}"
    )


def _from_neighbours(x: Tensor, ranks: Tensor, patch: int) -> Callable[[Tensor, slice], Tensor]:
    """Each patch that is gone takes the mean of those that are left, weighted by 1 / distance^4; of
    all patches if none is left.
    """
    if x.dim() == 2:
        raise ValueError(
            f"replace: expected x with places (N, C, ...) for 'neighbours', got shape "
            f"{tuple(x.shape)}"
        )
    number = _patches(x.shape[2:], patch, x.device)
    count, patch_of = int(number.max()) + 1, number.flatten()
    if count > FEW:
        raise ValueError(
            f"replace: 'neighbours' takes at most {FEW} patches, got {count}; make patch larger"
        )
    axes = (torch.arange(n, device=x.device, dtype=x.dtype) for n in x.shape[2:])
    places = torch.cartesian_prod(*axes).view(number.numel(), -1)
    pixels = x.new_zeros(count).index_add_(0, patch_of, torch.ones_like(places[:, 0]))
    centres = x.new_zeros(count, places.shape[1]).index_add_(0, patch_of, places) / pixels[:, None]
    # (N, C, P)
    values = x.new_zeros(*x.shape[:2], count).index_add_(2, patch_of, x.flatten(2)) / pixels
    # (P, P)
    apart = torch.cdist(centres, centres, compute_mode="donot_use_mm_for_euclid_dist")
    near = apart.fill_diagonal_(float("inf")) ** -4
    place_of = ranks.new_zeros(len(x), count)
    place_of.scatter_(1, patch_of.expand(len(x), -1), ranks.flatten(1))

    def destroy(counts: Tensor, rows: slice) -> Tensor:
        left = (place_of[rows] >= counts.view(-1, 1, 1)).to(x.dtype)  # (m, n, P)
        weight = (left @ near)[:, :, None]  # of all that is left, around each patch
        mean = ((left[:, :, None] * values[rows]) @ near) / weight
        fill = torch.where(weight > 0, mean, x[rows].flatten(2).mean(2)[None, :, :, None])
        gone = ranks[rows] < counts.view(-1, *[1] * x.dim())
        return torch.where(gone, fill[..., number], x[rows])

    return destroy
