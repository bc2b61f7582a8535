"""What is typical of a class, to the network: an input that climbs its score."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..engine.contract import check_arguments, differentiated, undisturbed
from .perturbation import explained, start, whole


def prototype(
    model: nn.Module,
    x: Tensor,
    target: int | Tensor | None = None,
    steps: int = 200,
    learning_rate: float = 0.1,
    penalty: float = 0.0,
    decode: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """An input that is typical of a class, to the network: gradient ascent on the score (Simonyan
    et al., 2013, eq. 1).

    Maximises f_c(decode(x)) - penalty * |x|^2 by plain steps x <- x + learning_rate * gradient,
    from the given x. Without `decode` x is the input itself; with it x is a code and decode(x) the
    input, and the penalty is a Gaussian prior on the codes (Nguyen et al., 2016).

    Parameters
    ----------
    model : as for `lib.lrp.lrp`, differentiable.
    x : (N, ...), where to start; each sample climbs for itself.
    target : None (the class with the highest score at the start), an int, or a LongTensor (N,).
    steps : >= 0.
    learning_rate : > 0.
    penalty : >= 0.
    decode : a differentiable function (N, ...) -> inputs of the model.

    Returns
    -------
    The input reached (N, ...), detached: decode(x). Raises TypeError or ValueError: a bad argument,
    by name.

    Example
    -------
    >>> model = nn.Linear(2, 1)
    >>> _ = model.weight.data.copy_(torch.tensor([[2.0, -4.0]]))
    >>> prototype(model, torch.zeros(1, 2), 0, penalty=0.5).round(decimals=3)
    tensor([[ 2., -4.]])
    """
    # a copy: a model that works in place must not change x
    decode = decode or (lambda code: code * 1)
    if not isinstance(x, Tensor) or not x.is_floating_point():
        raise TypeError(f"x: expected a float tensor, got {getattr(x, 'dtype', type(x).__name__)}")
    whole("steps", steps, 0)
    if learning_rate <= 0 or penalty < 0:
        raise ValueError(
            f"learning_rate, penalty: expected > 0 and >= 0, got {learning_rate} and {penalty}"
        )
    code = x.detach().clone()
    with torch.no_grad():
        check_arguments(model, decode(code))
    with undisturbed(model, code):
        with torch.no_grad():
            _, chosen = start(model, decode(code), target)
        for _ in range(steps):
            with differentiated(model):
                leaf = code.detach().requires_grad_()
                gain = explained(model(decode(leaf)), chosen).sum() - penalty * leaf.square().sum()
            code = code + learning_rate * torch.autograd.grad(gain, leaf)[0]
        if not torch.isfinite(code).all():
            raise ValueError(
                f"learning_rate: the climb left all bounds; expected a value smaller than "
                f"{learning_rate}, or a larger penalty"
            )
        with torch.no_grad():
            return decode(code).detach()
