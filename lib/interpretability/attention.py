"""Attention as an explanation: what the layers of a transformer look at, multiplied through (Abnar
and Zuidema, 2020), and weighted by what it does for a class (Chefer et al., 2021).
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ..engine.arguments import opened
from ..engine.contract import (
    check_arguments,
    check_scores,
    class_index,
    differentiated,
    undisturbed,
)
from ..engine.frozen import attention
from ..engine.operations import name_of

MOST_TOKENS = 8  # before the patches of an image: a class token, a distillation token, registers


def attention_rollout(
    model: nn.Module, x: Tensor, target: int | Tensor | None = None, position: int | None = None
) -> Tensor:
    """How much of each position's input reaches the output, if attention were all that moves
    information.

    The attention of each layer, averaged over its heads, is mixed with the residual path and
    multiplied through: `rollout`. It sees neither values nor signs nor classes: `target` is
    checked, and the result is the same for each.

    Parameters
    ----------
    model : attends with nn.MultiheadAttention (or a transformer layer that does),
        scaled_dot_product_attention, or by hand, with a softmax of shape (N, heads, T, T), over T
        positions; for images these are up to 8 tokens (class token, distillation token, registers)
        and then square patches, row by row.
    x : word numbers (N, T), vectors (N, T, d), or images (N, C, H, W).
    target : as for `lib.lrp.lrp`, without effect.
    position : that of the output which is read, such as 0 for a class token; None: the mean over
        all positions.

    Returns
    -------
    Like x, detached, >= 0; each sample sums to 1. The vectors of a position share its number
    equally, and so do the C x p x p values of a patch; the tokens before the patches are left out,
    and what the patches have is scaled to sum to 1.
    Raises TypeError or ValueError: a bad argument, no attention in the model, one that is not (T,
    T), as that within windows, or T positions that are no grid of patches.

    Example
    -------
    >>> layer = nn.TransformerEncoderLayer(4, 2, batch_first=True)
    >>> model = nn.Sequential(layer, nn.Flatten(), nn.Linear(12, 2))
    >>> attention_rollout(model, torch.randn(1, 3, 4)).sum().round(decimals=4)
    tensor(1.)
    """
    _check(model, x)
    with undisturbed(model, x), torch.no_grad():
        attentions, _ = _run(model, x, target)
    return _read(rollout(_by_head(attentions, x)), x, position)


def attention_gradient(
    model: nn.Module, x: Tensor, target: int | Tensor | None = None, position: int | None = None
) -> Tensor:
    """How much of each position's input attention brings to the output in favour of a class (Chefer
    et al., 2021, eq. 5 and 6, for self-attention).

    In each layer a weight counts as much as the score would grow with it, A times df_c/dA where
    that is positive, averaged over the heads: `weighted_rollout`. Unlike `attention_rollout` it
    knows the class.

    Parameters
    ----------
    model, x, position : as for `attention_rollout`; the model differentiable.
    target : as for `lib.lrp.lrp`.

    Returns
    -------
    Like x, detached, >= 0: the row of R - I, what attention has brought beyond the identity that R
    starts from, or the mean of its rows. Images as in `attention_rollout`: the tokens before the
    patches are left out, and the patches sum to 1, or to 0 where no weight speaks for the class.
    Raises TypeError or ValueError as `attention_rollout`, or if the scores do not depend on the
    attention.

    Example
    -------
    >>> layer = nn.TransformerEncoderLayer(4, 2, batch_first=True)
    >>> model = nn.Sequential(layer, nn.Flatten(), nn.Linear(12, 2))
    >>> R = attention_gradient(model, torch.randn(1, 3, 4), 1, position=0)
    >>> R.shape, bool((R >= 0).all())
    (torch.Size([1, 3, 4]), True)
    """
    _check(model, x)
    with undisturbed(model, x), differentiated(model):
        attentions, score = _run(model, x, target)
        slopes = _slopes(score, attentions)
    mixed = weighted_rollout(_by_head(attentions, x), _by_head(slopes, x))
    return _read(mixed - torch.eye(mixed.shape[-1]).to(mixed), x, position)


def rollout(attentions: Sequence[Tensor]) -> Tensor:
    """The product A_L ... A_2 A_1 with A_l = (mean over heads of W_l + I) / 2 (Abnar and Zuidema,
    2020, eq. 1).

    attentions: W_l (N, heads, T, T) from the first layer to the last, rows (who looks) summing to
        1.

    Returns (N, T, T): row t says from which inputs position t of the last layer came; its rows sum
    to 1.

    >>> rollout([torch.full((1, 1, 2, 2), 0.5)])
    tensor([[[0.7500, 0.2500],
             [0.2500, 0.7500]]])
    """
    first = attentions[0]
    eye = torch.eye(first.shape[-1], dtype=first.dtype, device=first.device)
    result = eye
    for W in attentions:
        result = (W.mean(1) + eye) / 2 @ result
    return result


def weighted_rollout(attentions: Sequence[Tensor], slopes: Sequence[Tensor]) -> Tensor:
    """R, at first I, grows with each layer: R <- R + A_l R, A_l the mean over heads of max(0,
    df_c/dW_l * W_l) (Chefer et al., 2021, eq. 5 and 6).

    attentions: W_l (N, heads, T, T) from the first layer to the last. slopes: df_c/dW_l, as W_l.

    Returns (N, T, T): row t says from which inputs position t of the last layer came, in favour of
    the class c.

    >>> weighted_rollout([torch.full((1, 1, 2, 2), 0.5)], [torch.tensor([[[[4.0, -4], [0, 2]]]])])
    tensor([[[3., 0.],
             [0., 2.]]])
    """
    first = attentions[0]
    R = torch.eye(first.shape[-1], dtype=first.dtype, device=first.device)
    for W, slope in zip(attentions, slopes):
        R = R + (slope * W).clamp(min=0).mean(1) @ R
    return R


def shuffled(attention: Tensor, present: Tensor, seed: int = 0) -> Tensor:
    """The weights of each sample dealt out anew, at random, among its own positions (Jain and
    Wallace, 2019).

    attention: (N, T).
    present: (N, T) bool; padding keeps the weight that it has.
    Raises ValueError if the shapes differ.

    >>> shuffled(torch.tensor([[0.0, 0.7, 0.7]]), torch.tensor([[False, True, True]]))
    tensor([[0.0000, 0.7000, 0.7000]])
    """
    if attention.dim() != 2 or attention.shape != present.shape:
        raise ValueError(
            f"attention, present: expected the same shape (N, T), got "
            f"{tuple(attention.shape)} and {tuple(present.shape)}"
        )
    luck = torch.rand(attention.shape, generator=torch.Generator().manual_seed(seed))
    luck = luck.to(attention.device)
    drawn = luck.masked_fill(~present, 2.0).argsort(1)  # positions in random order, padding last
    # in their own order, padding last
    own = present.to(torch.uint8).argsort(dim=1, descending=True, stable=True)
    dealt = torch.zeros_like(attention).scatter(1, drawn, attention.gather(1, own))
    return torch.where(present, dealt, attention)


def _check(model: nn.Module, x: Tensor) -> None:
    check_arguments(model, x, words=True)
    if x.dim() not in (2, 3, 4):
        raise ValueError(
            "x: expected words (N, T), vectors (N, T, d) or images (N, C, H, W), got shape "
            f"{tuple(x.shape)}"
        )


def _run(model: nn.Module, x: Tensor, target: int | Tensor | None) -> tuple[list[Tensor], Tensor]:
    """The weights of every attention, in the order of their use, and the explained scores (N,)."""
    with _Attentions() as seen:
        scores = model(x.detach().clone())
    check_scores(scores, x)
    score = scores.gather(1, class_index(scores, target)[:, None])[:, 0]
    if not seen.weights:
        raise ValueError(
            "model: expected nn.MultiheadAttention, scaled_dot_product_attention or a softmax of "
            "shape (N, heads, T, T) in it, found none"
        )
    return seen.weights, score


def _slopes(score: Tensor, attentions: Sequence[Tensor]) -> list[Tensor]:
    """df_c/dW for the weights of each attention; zeros for those that nothing depends on."""
    within = [W for W in attentions if W.requires_grad]
    slopes = (
        torch.autograd.grad(score.sum(), within, allow_unused=True)
        if within and score.requires_grad
        else ()
    )
    if all(slope is None for slope in slopes):
        raise ValueError("model: its scores do not depend on its attention")
    found = {id(W): slope for W, slope in zip(within, slopes) if slope is not None}
    return [found.get(id(W), torch.zeros_like(W)) for W in attentions]


def _by_head(attentions: Sequence[Tensor], x: Tensor) -> list[Tensor]:
    """(N, heads, T, T) each, without their graph. Raises ValueError for any other shape."""
    T = attentions[0].shape[-1] if x.dim() == 4 else x.shape[1]
    heads = [W.detach() if W.dim() == 4 else W.detach()[:, None] for W in attentions]
    for W in heads:
        if W.dim() != 4 or W.shape[0] != len(x) or W.shape[2:] != (T, T):
            raise ValueError(
                f"model: expected attention of shape ({len(x)}, heads, {T}, {T}), got "
                f"{tuple(W.shape)}"
            )
    return heads


def _read(mixed: Tensor, x: Tensor, position: int | None) -> Tensor:
    """A row of (N, T, T), or the mean of all, as a tensor like x."""
    T = mixed.shape[-1]
    if position is not None and not (isinstance(position, int) and -T <= position < T):
        raise ValueError(
            f"position: expected None or a whole number in {-T}..{T - 1}, got {position!r}"
        )
    reached = mixed.mean(1) if position is None else mixed[:, position]
    if x.dim() == 4:
        return _spread(reached, x)
    return reached if x.dim() == 2 else (reached[:, :, None] / x.shape[2]).expand_as(x).clone()


def _spread(reached: Tensor, x: Tensor) -> Tensor:
    """What reached each position (N, T), in equal parts over the values of its patch of x."""
    tokens, p = _grid(reached.shape[1], x)
    patches = reached[:, tokens:]
    total = patches.sum(1, keepdim=True)
    share = patches / total.where(total > 0, 1) / (x.shape[1] * p * p)
    rows = share.unflatten(1, (x.shape[2] // p, x.shape[3] // p))
    return rows.repeat_interleave(p, 1).repeat_interleave(p, 2)[:, None].expand_as(x).clone()


def _grid(T: int, x: Tensor) -> tuple[int, int]:
    """How many of T positions stand before the patches of an image, and the side of a patch.

    Of several the fewest. Raises ValueError if no number of them fits.
    """
    height, width = x.shape[2:]
    for tokens in range(min(MOST_TOKENS + 1, T)):
        p = math.isqrt(height * width // (T - tokens))
        if p and height % p == width % p == 0 and height // p * (width // p) == T - tokens:
            return tokens, p
    raise ValueError(
        f"x: expected images that square patches and 0 to {MOST_TOKENS} tokens before them make "
        f"the {T} positions of the attention, got {height} x {width} values in each channel"
    )


class _Attentions(TorchFunctionMode):
    """Within the block the weights of every attention are kept, whether a module, a functional call
    or a softmax computes them.

    Attention is written out, so that the weights stand in autograd's graph, if there is one,
    between the input and the scores.
    """

    def __init__(self) -> None:
        super().__init__()
        self.weights: list[Tensor] = []

    def __torch_function__(
        self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is F.multi_head_attention_forward:
            return self._module(*args, **kwargs)
        if func is F.scaled_dot_product_attention:
            return attention(*args, **kwargs, kept=self._kept)
        result = func(*args, **kwargs)
        return self._kept(result) if _is_attention(func, result, args, kwargs) else result

    def _module(
        self,
        query: Tensor,
        *args: Any,
        need_weights: bool = True,
        average_attn_weights: bool = True,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor | None]:
        with self:  # its body calls scaled_dot_product_attention
            output, _ = opened(F.multi_head_attention_forward)(
                query, *args, need_weights=False, **kwargs
            )
        if not need_weights:
            return output, None
        weights = self.weights[-1] if query.dim() == 3 else self.weights[-1][0]
        return output, weights.mean(-3) if average_attn_weights else weights

    def _kept(self, weights: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            # a model may write over a product, but not over a leaf or what softmax remembers
            weights = (weights if weights.requires_grad else weights.requires_grad_()) * 1
        self.weights.append(weights)
        return weights


def _is_attention(func: Callable, result: Any, args: tuple, kwargs: dict) -> bool:
    """Whether a call gives weights (N, heads, T, T), whose rows sum to 1."""
    if name_of(func)[0] != "softmax" or result.dim() != 4 or result.shape[-1] != result.shape[-2]:
        return False
    return (args[1] if len(args) > 1 else kwargs.get("dim")) in (-1, 3)
