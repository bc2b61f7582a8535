"""Attention as an explanation: what the layers of a transformer look at, multiplied through (Abnar
and Zuidema, 2020).
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ..engine.contract import check_arguments, check_scores, class_index, undisturbed


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
    model : uses nn.MultiheadAttention (or a transformer layer that does) or
        scaled_dot_product_attention on T positions.
    x : word numbers (N, T), or vectors (N, T, d).
    target : as for `lib.lrp.lrp`, without effect.
    position : that of the output which is read, such as 0 for a class token; None: the mean over
        all positions.

    Returns
    -------
    Like x, detached, >= 0; each sample sums to 1. The vectors of a position share its number
    equally.
    Raises TypeError or ValueError: a bad argument, no attention in the model, or one that is not
    (T, T).

    Example
    -------
    >>> layer = nn.TransformerEncoderLayer(4, 2, batch_first=True)
    >>> model = nn.Sequential(layer, nn.Flatten(), nn.Linear(12, 2))
    >>> attention_rollout(model, torch.randn(1, 3, 4)).sum().round(decimals=4)
    tensor(1.)
    """
    check_arguments(model, x, words=True)
    if x.dim() not in (2, 3):
        raise ValueError(
            f"x: expected words (N, T) or vectors (N, T, d), got shape {tuple(x.shape)}"
        )
    T = x.shape[1]
    if position is not None and not (isinstance(position, int) and -T <= position < T):
        raise ValueError(
            f"position: expected None or a whole number in {-T}..{T - 1}, got {position!r}"
        )
    with undisturbed(model, x), torch.no_grad(), _Attentions() as seen:
        scores = model(x.clone())
        check_scores(scores, x)
        class_index(scores, target)
    if not seen.weights:
        raise ValueError(
            "model: expected nn.MultiheadAttention or scaled_dot_product_attention in it, "
            "found none"
        )
    for weights in seen.weights:
        if weights.dim() != 4 or weights.shape[0] != len(x) or weights.shape[2:] != (T, T):
            raise ValueError(
                f"model: expected attention of shape ({len(x)}, heads, {T}, {T}), got "
                f"{tuple(weights.shape)}"
            )
    mixed = rollout(seen.weights)
    reached = mixed.mean(1) if position is None else mixed[:, position]
    return reached if x.dim() == 2 else (reached[:, :, None] / x.shape[2]).expand_as(x).clone()


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


class _Attentions(TorchFunctionMode):
    """Within the block the weights of every attention are kept, whether a module or a functional
    call computes them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.weights: list[Tensor] = []

    def __torch_function__(
        self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is F.multi_head_attention_forward:
            asked = {"need_weights": True, "average_attn_weights": False}
            output, weights = func(*args, **(kwargs | asked))
            self.weights.append(weights if weights.dim() == 4 else weights[None])
            if not kwargs.get("need_weights", True):
                return output, None
            averaged = kwargs.get("average_attn_weights", True)
            return output, weights.mean(-3) if averaged else weights
        if func is F.scaled_dot_product_attention:
            self.weights.append(_weights(*args, **kwargs))
        return func(*args, **kwargs)


def _weights(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """What scaled_dot_product_attention multiplies the values by."""
    scores = query @ key.transpose(-1, -2) * (query.shape[-1] ** -0.5 if scale is None else scale)
    if is_causal:
        past = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
        scores = scores.masked_fill(~past, float("-inf"))
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        scores = scores.masked_fill(~attn_mask, float("-inf"))
    elif attn_mask is not None:
        scores = scores + attn_mask
    weights = scores.softmax(-1)
    return weights if weights.dim() == 4 else weights[:, None]
