"""Operations whose statistics, lengths or weights are held constant on the way back.

A network's layer norm multiplies by 1 / sigma(x), its attention by softmax(q k): factors that
depend on x, but measure the signal rather than carry it (Ali et al., 2022). Each function below
computes what torch's function of that name does, with such factors detached.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .refusal import NoRuleError


def layer_norm(
    x: Tensor,
    shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Layer normalisation whose standard deviation is a constant on the way back (Ali et al.,
    2022).
    """
    over = tuple(range(-len(shape), 0))
    centred = x - x.mean(over, keepdim=True)
    result = centred * torch.rsqrt(centred.detach().square().mean(over, keepdim=True) + eps)
    result = result if weight is None else result * weight
    return result if bias is None else result + bias


def group_norm(
    x: Tensor,
    groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Group normalisation whose standard deviation is a constant on the way back."""
    grouped = x.reshape(len(x), groups, -1)
    view = (1, -1) + (1,) * (x.dim() - 2)
    result = layer_norm(grouped, grouped.shape[2:], eps=eps).reshape(x.shape)
    result = result if weight is None else result * weight.view(view)
    return result if bias is None else result + bias.view(view)


def instance_norm(
    x: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Instance normalisation, likewise."""
    if not use_input_stats:
        raise NoRuleError("instance_norm", "with running statistics has no relevance rule")
    return group_norm(x, x.shape[1], weight, bias, eps)


def rms_norm(
    x: Tensor, shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """Root-mean-square normalisation, likewise."""
    eps = torch.finfo(x.dtype).eps if eps is None else eps
    result = x * torch.rsqrt(
        x.detach().square().mean(tuple(range(-len(shape), 0)), keepdim=True) + eps
    )
    return result if weight is None else result * weight


def normalize(
    x: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: None = None
) -> Tensor:
    """x / |x| with a constant length on the way back."""
    return x / x.detach().norm(p, dim, keepdim=True).clamp(min=eps)


def glu(x: Tensor, dim: int = -1) -> Tensor:
    """The first half times the sigmoid of the second, a gate."""
    signal, gate = x.chunk(2, dim)
    return signal * torch.sigmoid(gate.detach())


def scaled_dot_product_attention(
    query: Tensor, key: Tensor, value: Tensor, *args: Any, **kwargs: Any
) -> Tensor:
    """Attention whose weights are constants on the way back: only the values carry relevance (Ali
    et al., 2022).
    """
    return F.scaled_dot_product_attention(query.detach(), key.detach(), value, *args, **kwargs)


def attention_weights(
    query: Tensor,
    key: Tensor,
    attn_mask: Tensor | None = None,
    is_causal: bool = False,
    scale: float | None = None,
) -> Tensor:
    """softmax(q k^T scale) (..., T, S), by which scaled_dot_product_attention weighs the values.

    query (..., T, D), key (..., S, D); scale is 1 / sqrt(D) unless it is given. attn_mask
    broadcasts to the result: True where a position may be looked at, or numbers that are added.
    The weights of a query that may look at nothing are 0.

    >>> attention_weights(torch.zeros(1, 2, 4), torch.zeros(1, 2, 4), is_causal=True)
    tensor([[[1.0000, 0.0000],
             [0.5000, 0.5000]]])
    """
    scores = query @ key.transpose(-1, -2) * (query.shape[-1] ** -0.5 if scale is None else scale)
    if is_causal:
        past = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
        scores = scores.masked_fill(~past, float("-inf"))
    if attn_mask is not None:
        masked = attn_mask.dtype == torch.bool
        scores = scores.masked_fill(~attn_mask, float("-inf")) if masked else scores + attn_mask
    if not is_causal and attn_mask is None:
        return torch.softmax(scores, -1)
    blind = (scores == float("-inf")).all(-1, keepdim=True)
    return torch.softmax(scores.masked_fill(blind, 0), -1).masked_fill(blind, 0)


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    *,
    kept: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """scaled_dot_product_attention written out; the values are weighed by what `kept` returns of
    the weights.
    """
    if enable_gqa:  # several heads of the query share one of the key
        times = query.shape[-3] // key.shape[-3]
        key, value = (t.repeat_interleave(times, -3) for t in (key, value))
    weights = attention_weights(query, key, attn_mask, is_causal, scale)
    weights = weights if kept is None else kept(weights)
    return (torch.dropout(weights, dropout_p, True) if dropout_p else weights) @ value


def _glu(x: Tensor, dim: int = -1) -> Tensor:
    signal, gate = x.chunk(2, dim)
    return signal * torch.sigmoid(gate)


# The same written out, where the weights and the gate carry relevance as well.
OPENED: dict[str, Callable[..., Tensor]] = {"scaled_dot_product_attention": attention, "glu": _glu}

FROZEN = {
    f.__name__: f
    for f in (
        layer_norm,
        group_norm,
        instance_norm,
        rms_norm,
        normalize,
        glu,
        scaled_dot_product_attention,
    )
}
