"""Sensitivity: what a gradient says about a score, alone, averaged over noise, and averaged along a
path.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..engine.contract import (
    check_arguments,
    check_scores,
    class_index,
    differentiated,
    gradient_of_score,
    slope,
    undisturbed,
)

AT_ONCE = 2**18  # numbers in the inputs of one pass: bounds the memory


def gradient(model: nn.Module, x: Tensor, target: int | Tensor | None = None) -> Tensor:
    """The gradient df_c/dx_i of the explained score (Simonyan et al., 2013, without their absolute
    value).

    Parameters
    ----------
    model : maps (N, ...) to scores (N, K), the logits. It runs in evaluation mode and is left as it
        was.
    x : finite float tensor (N, ...).
    target : None (the class with the highest score), an int, or a LongTensor (N,).

    Returns a tensor like x, detached, in logits per unit of x.
    Raises TypeError or ValueError, naming the argument, what was expected and what came.

    >>> gradient(nn.Sequential(nn.ReLU()), torch.tensor([[1.0, 3.0]]))
    tensor([[0., 1.]])
    """
    return gradient_of_score(model, x, target)[1]


def sensitivity(model: nn.Module, x: Tensor, target: int | Tensor | None = None) -> Tensor:
    """Sensitivity analysis: R_i = (df_c/dx_i)^2 >= 0, which sums to the squared length of the
    gradient (Zurada et al., 1994).

    Arguments, result and errors as those of `gradient`; (logits per unit of x) squared.

    >>> sensitivity(nn.Linear(2, 1, bias=False), torch.ones(1, 2)).shape
    torch.Size([1, 2])
    """
    return gradient(model, x, target).square()


def gradient_x_input(model: nn.Module, x: Tensor, target: int | Tensor | None = None) -> Tensor:
    """Simple Taylor decomposition: R_i = x_i df_c/dx_i, in logits (Montavon et al., 2018).

    It sums to f_c(x) for networks of linear maps without bias, ReLU and pooling. Arguments, result
    and errors as those of `gradient`.

    >>> gradient_x_input(nn.Sequential(nn.ReLU()), torch.tensor([[1.0, 3.0]]))
    tensor([[0., 3.]])
    """
    return gradient(model, x, target) * x.detach()


def smoothgrad(
    model: nn.Module,
    x: Tensor,
    target: int | Tensor | None = None,
    samples: int = 50,
    sigma: float = 0.1,
    seed: int = 0,
) -> Tensor:
    """SmoothGrad: the mean of `samples` gradients at x + sigma * standard normal noise (Smilkov et
    al., 2017, section 3).

    samples : how many, at least 1.
    sigma : >= 0, in the unit of x (Smilkov et al. give it as a part of the range of x).

    All samples of a batch meet the same noise, drawn from `seed` alone, so that the map of an image
    does not depend on its neighbours. The class is that of the target, or the predicted one at x
    itself. Other arguments, result and errors as those of `gradient`.

    >>> smoothgrad(nn.Sequential(nn.ReLU()), torch.tensor([[1.0, 3.0]]), samples=4)
    tensor([[0., 1.]])
    """
    _check_count("samples", samples)
    if not isinstance(sigma, (int, float)) or not 0 <= sigma < float("inf"):
        raise ValueError(f"sigma: expected a number >= 0, in the unit of x, got {sigma!r}")
    generator = torch.Generator().manual_seed(seed)
    return _mean_gradient(
        model, x, target, samples, lambda k: x + sigma * _noise_like(x[0], generator)
    )


def integrated_gradients(
    model: nn.Module,
    x: Tensor,
    target: int | Tensor | None = None,
    baseline: float | Tensor = 0.0,
    steps: int = 50,
) -> Tensor:
    """Integrated gradients: R_i = (x_i - x0_i) times the mean of df_c/dx_i on the way from x0 to x
    (Sundararajan et al., 2017, eq. 1).

    baseline : x0, a number or a tensor that broadcasts to x.
    steps : the integral is the mean over the `steps` points x0 + (k - 1/2) / steps (x - x0), k = 1,
        2...: the midpoint rule (Sundararajan et al. take the right ends k / steps).

    Completeness: the sum over i tends to f_c(x) - f_c(x0) with more steps. Other arguments, result
    (in logits) and errors as those of `gradient`.

    >>> integrated_gradients(nn.Sequential(nn.ReLU()), torch.tensor([[1.0, 3.0]]))
    tensor([[0., 3.]])
    """
    _check_count("steps", steps)
    check_arguments(model, x)
    x, start = x.detach(), _baseline_like(x, baseline)
    return (x - start) * _mean_gradient(
        model, x, target, steps, lambda k: start + (k + 0.5) / steps * (x - start)
    )


def _mean_gradient(
    model: nn.Module,
    x: Tensor,
    target: int | Tensor | None,
    count: int,
    point: Callable[[int], Tensor],
) -> Tensor:
    """The mean over k = 0..count-1 of the gradients of f_c at point(k), each like x; c is chosen at
    x. As many points as memory allows go in one pass.
    """
    check_arguments(model, x)
    with undisturbed(model, x):
        x = x.detach()
        with torch.no_grad():
            scores = model(x.clone())
        check_scores(scores, x)
        classes = class_index(scores, target)
        total, group = torch.zeros_like(x), max(1, AT_ONCE // x.numel())
        for first in range(0, count, group):
            points = torch.cat([point(k) for k in range(first, min(first + group, count))])
            gradients = _gradient_at(model, points, classes.repeat(len(points) // len(x)))
            total += gradients.reshape(-1, *x.shape).sum(0)
    return total / count


def _gradient_at(model: nn.Module, points: Tensor, classes: Tensor) -> Tensor:
    with differentiated(model):
        leaf = points.requires_grad_()
        # a model that works in place must not meet the leaf
        return slope(model(leaf * 1), leaf, classes)


def _noise_like(sample: Tensor, generator: torch.Generator) -> Tensor:
    """Standard normal, drawn on the CPU: the same on every device."""
    return torch.randn(sample.shape, generator=generator, dtype=sample.dtype).to(sample.device)


def _baseline_like(x: Tensor, baseline: float | Tensor) -> Tensor:
    if isinstance(baseline, bool) or not isinstance(baseline, (int, float, Tensor)):
        raise TypeError(
            f"baseline: expected a number or a tensor that broadcasts to x, got "
            f"{type(baseline).__name__}"
        )
    start = torch.as_tensor(baseline, dtype=x.dtype, device=x.device).detach()
    if not torch.isfinite(start).all():
        raise ValueError("baseline: expected finite values, got NaN or infinity")
    try:
        return start.expand_as(x)
    except RuntimeError:
        raise ValueError(
            f"baseline: expected a shape that broadcasts to {tuple(x.shape)}, got "
            f"{tuple(start.shape)}"
        ) from None


def _check_count(name: str, value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name}: expected an int >= 1, got {type(value).__name__}")
    if value < 1:
        raise ValueError(f"{name}: expected an int >= 1, got {value}")
