"""Where a convolutional network looks: maps of its last convolution, weighted for one class (CAM
and Grad-CAM).

A map has the few positions (h, w) of that layer. It is enlarged to the positions of x by (bi-,
tri-)linear interpolation, and each channel of x gets an equal part of it, so that the sum over
channels, which heatmaps show, is the map.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, Node, get_gradient_edge
from torch.overrides import TorchFunctionMode

from ..engine.contract import (
    check_arguments,
    check_scores,
    class_index,
    differentiated,
    undisturbed,
)
from ..engine.operations import CONVOLUTION, name_of

LINEAR_HEAD = (
    "Addmm Mm T View UnsafeView ReshapeAlias Squeeze Unsqueeze Transpose Permute Convolution "
    "Clone Alias"
).split()
AFTER_CONVOLUTION = (
    "relu relu6 leaky_relu elu gelu silu clamp clamp_min batch_norm group_norm instance_norm"
).split()


@dataclass(frozen=True, eq=False)
class _Seen:
    """A tensor as it was when it was seen, and its place in autograd's graph, which a later change
    in place does not move.
    """

    value: Tensor
    edge: GradientEdge

    @classmethod
    def of(cls, tensor: Tensor) -> "_Seen":
        return cls(tensor.detach().clone(), get_gradient_edge(tensor))


def cam(model: nn.Module, x: Tensor, target: int | Tensor | None = None) -> Tensor:
    """Class activation map: M = sum_k w_kc A_k, for networks that end in global average pooling and
    one linear map (Zhou et al., 2016, eq. 2).

    A_k (h, w) are the maps that are averaged, w_kc the weight of their mean in f_c: the mean of M
    over its positions is f_c(x) less the bias of class c. M is enlarged to the positions of x by
    linear interpolation, and each channel of x gets an equal part of it.

    x : (N, C, positions...). Other arguments, state and errors as those of
        `lib.sensitivity.gradient`.

    Returns a tensor like x, in logits.
    Raises ValueError if the network does not end so.

    >>> ends = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 3)
    >>> cam(nn.Sequential(nn.Conv2d(1, 2, 3), *ends), torch.zeros(5, 1, 8, 6)).shape
    torch.Size([5, 1, 8, 6])
    """
    with ExitStack() as stack:
        watch = _Pooling()
        score = _run(model, x, target, watch, stack)
        maps, pooled, node = watch.maps, watch.pooled, score.grad_fn
        if not (maps and pooled and node and _is_linear(node, pooled.edge.node)):
            raise ValueError(
                "model: expected global average pooling (mean over all positions) and then "
                "one linear map to the scores, as CAM needs; use grad_cam"
            )
        (w,) = torch.autograd.grad(score.sum(), pooled.edge)
    w = w.reshape(*w.shape[:2], *[1] * (x.dim() - 2))
    return _enlarge((w * maps.value).sum(1, keepdim=True), x)


def grad_cam(
    model: nn.Module,
    x: Tensor,
    target: int | Tensor | None = None,
    layer: str | nn.Module | None = None,
) -> Tensor:
    """Grad-CAM: max(0, sum_k alpha_k A_k), alpha_k the mean over positions of df_c/dA_k (Selvaraju
    et al., 2017, eqs. 1 and 2).

    The map is enlarged to the positions of x by linear interpolation, and each channel of x gets an
    equal part of it.

    layer : the module whose output (N, K, positions...) is A, or its name as in
        `model.named_modules()`; where it runs twice, its last run counts. None: the last
        convolution, after the normalisation and the activation function that follow it at once.
    x : (N, C, positions...). Other arguments, state and errors as those of
        `lib.sensitivity.gradient`.

    Returns a tensor like x, in logits.
    Raises ValueError if there is no such layer or no convolution.

    >>> net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 3))
    >>> bool((grad_cam(net, torch.rand(5, 1, 8, 6)) >= 0).all())
    True
    """
    with ExitStack() as stack:
        watch: _Convolution | _Output
        watch = _Convolution() if layer is None else _hook(_module(model, layer), stack)
        score = _run(model, x, target, watch, stack)
        maps = watch.maps
        if maps is None or maps.value.dim() != x.dim():
            came = "none" if maps is None else f"an output of shape {tuple(maps.value.shape)}"
            what = (
                "a convolution in the model"
                if layer is None
                else f"maps (N, K, {x.dim() - 2} dimensions of positions) as the output"
            )
            raise ValueError(f"layer: expected {what}, got {came}")
        (gradient,) = torch.autograd.grad(score.sum(), maps.edge, allow_unused=True)
    if gradient is None:
        raise ValueError(f"layer: expected one that the scores depend on, got {layer!r}")
    alpha = gradient.mean(tuple(range(2, x.dim())), keepdim=True)
    return _enlarge((alpha * maps.value).sum(1, keepdim=True).clamp(min=0), x)


class _Pooling(TorchFunctionMode):
    """Notes the last global average pooling: `maps`, what was averaged, and `pooled`, the means."""

    maps: _Seen | None = None
    pooled: _Seen | None = None

    def __torch_function__(
        self, function: Callable, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        name, _ = name_of(function)
        seen = None
        if name == "mean" or "avg_pool" in name:
            maps = (args or tuple((kwargs or {}).values()))[0]
            if isinstance(maps, Tensor) and maps.dim() > 2 and maps.requires_grad:
                seen = _Seen.of(maps)
        result = function(*args, **(kwargs or {}))
        if seen is not None:
            means = seen.value.shape[:2]  # one for each sample and channel
            if result.shape[:2] == means and result.numel() == means.numel():
                self.maps, self.pooled = seen, _Seen.of(result)
        return result


class _Convolution(TorchFunctionMode):
    """Notes `maps`, what the last convolution gives after the normalisation and the activation
    function that follow it.
    """

    maps: _Seen | None = None
    _last: Tensor | None = None

    def __torch_function__(
        self, function: Callable, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        name, _ = name_of(function)
        follows = name in AFTER_CONVOLUTION and args and args[0] is self._last
        result = function(*args, **(kwargs or {}))
        if (name in CONVOLUTION or follows) and result.requires_grad:
            self.maps, self._last = _Seen.of(result), result
        return result


class _Output:
    """Notes `maps`, the output of one module."""

    maps: _Seen | None = None

    def __call__(self, module: nn.Module, inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.requires_grad:
            self.maps = _Seen.of(output)


def _hook(module: nn.Module, stack: ExitStack) -> _Output:
    watch = _Output()
    stack.callback(module.register_forward_hook(watch).remove)
    return watch


def _module(model: nn.Module, layer: str | nn.Module) -> nn.Module:
    if not isinstance(model, nn.Module):
        raise TypeError(f"model: expected a torch.nn.Module, got {type(model).__name__}")
    named = dict(model.named_modules())
    if isinstance(layer, str) and layer in named:
        return named[layer]
    if isinstance(layer, nn.Module) and any(layer is module for module in named.values()):
        return layer
    if not isinstance(layer, (str, nn.Module)):
        raise TypeError(
            f"layer: expected None, a module of the model or its name, got {type(layer).__name__}"
        )
    raise ValueError(
        f"layer: expected a module of the model or one of the names {list(named)[1:]}, got "
        f"{layer!r}"
    )


def _run(
    model: nn.Module,
    x: Tensor,
    target: int | Tensor | None,
    watch: _Pooling | _Convolution | _Output,
    stack: ExitStack,
) -> Tensor:
    """The explained scores (N,) with their graph, seen by the watch; the stack keeps the model
    undisturbed until it ends.
    """
    check_arguments(model, x)
    if x.dim() < 3:
        raise ValueError(f"x: expected (N, C, positions...), got shape {tuple(x.shape)}")
    stack.enter_context(undisturbed(model, x))
    stack.enter_context(differentiated(model))
    with watch if isinstance(watch, TorchFunctionMode) else ExitStack():
        scores = model(x.detach().clone().requires_grad_() * 1)
    check_scores(scores, x)
    if not scores.requires_grad:
        raise ValueError("model: its scores do not depend on x")
    return scores.gather(1, class_index(scores, target)[:, None])[:, 0]


def _is_linear(node: Node, end: Node) -> bool:
    """Whether autograd's graph leads from this node (the chosen scores) through linear maps to the
    end, and nowhere else but to parameters.
    """
    # below the choice of a class
    waiting = [source for source, _ in node.next_functions if source is not None]
    while waiting:
        node = waiting.pop()
        if node is end or node.name().endswith("AccumulateGrad"):
            continue
        name = node.name().removesuffix("0").removesuffix("1").removesuffix("Backward")
        if name not in LINEAR_HEAD and name not in ("Gather", "Select"):
            return False
        waiting += [source for source, _ in node.next_functions if source is not None]
    return True


def _enlarge(maps: Tensor, x: Tensor) -> Tensor:
    """Maps (N, 1, h, w) to the shape of x (N, C, H, W), each channel with an equal part."""
    mode = {3: "linear", 4: "bilinear", 5: "trilinear"}.get(x.dim())
    if mode is None:
        raise ValueError(
            f"x: expected one to three dimensions of positions, got shape {tuple(x.shape)}"
        )
    enlarged = F.interpolate(maps.detach(), x.shape[2:], mode=mode, align_corners=False)
    return (enlarged / x.shape[1]).expand_as(x).contiguous()
