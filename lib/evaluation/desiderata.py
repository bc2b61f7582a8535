"""Three more scores of explanations: how steady, how true to small changes, how simple."""

import torch
from torch import Tensor, nn

from ..engine.contract import check_arguments, class_index, undisturbed
from ..interpretability.perturbation import scores_of_many, start, whole
from .flipping import replacement
from .properties import Method, rows_of


def max_sensitivity(
    method: Method,
    model: nn.Module,
    x: Tensor,
    target: int | Tensor | None = None,
    radius: float = 0.02,
    samples: int = 10,
    seed: int = 0,
) -> Tensor:
    """The largest change of the explanation that was found near x (Yeh et al., 2019, eq. 3), as a
    share of the map: max_u ||R(x + u) - R(x)|| / ||R(x)||, |u_i| <= radius.

    method : method(model, x, target) -> relevance like x.
    model, x, target : as for `lib.lrp.lrp`; the class is that of x.
    radius : > 0, in the unit of x.
    samples : draws of u, uniform in the cube: what is found is at most the true maximum.

    Returns (N,) >= 0; small is wanted. A map that never changes, right or wrong, has 0.
    Raises TypeError or ValueError: a bad argument, by name.

    >>> squares = lambda model, x, target: x**2
    >>> max_sensitivity(squares, nn.Identity(), torch.ones(1, 2), radius=1e-3).item() < 0.01
    True
    """
    check_arguments(model, x)
    if isinstance(radius, bool) or not isinstance(radius, (int, float)) or not radius > 0:
        raise ValueError(f"radius: expected a positive number, in the unit of x, got {radius!r}")
    generator = torch.Generator().manual_seed(whole("seed", seed))
    with undisturbed(model, x), torch.no_grad():
        target = class_index(model(x.clone()), target)
    R = method(model, x, target).flatten(1)
    size = R.norm(dim=1)
    found = torch.zeros_like(size)
    for _ in range(whole("samples", samples, 1)):
        u = torch.rand(x.shape, generator=generator, dtype=x.dtype).to(x.device)
        near = method(model, x.detach() + radius * (2 * u - 1), target).flatten(1)
        found = found.maximum((near - R).norm(dim=1))
    return torch.where(size > 0, found / size, 0)


def infidelity(
    model: nn.Module,
    x: Tensor,
    relevance: Tensor,
    target: int | Tensor | None = None,
    window: int = 4,
    replace: str | float | Tensor = "mean",
    samples: int = 100,
    seed: int = 0,
) -> Tensor:
    """How far the relevance of a square is from what the score loses without it (Yeh et al., 2019,
    eq. 1, square removal): the mean over drawn squares S of (sum_{i in S} R_i - (f_c(x) -
    f_c(x without S)))^2.

    In the letters of Yeh et al. I_i is x_i less its replacement in S and 0 elsewhere, and the
    explanation is Phi_i = R_i / I_i, so that I^T Phi = sum_{i in S} R_i.

    model, x, target : as for `lib.lrp.lrp`, x images (N, C, H, W).
    relevance : like x, in the unit of the score.
    window : side of the squares in pixels, at places drawn uniformly, the same for all samples.
    replace : as for `pixel_flipping`, without "neighbours".
    samples : how many squares.

    Returns (N,) >= 0, in squared logits; small is wanted. Raises TypeError or ValueError: a bad
    argument, by name.

    >>> model = nn.Sequential(nn.Flatten(), nn.Linear(4, 1, bias=False))
    >>> x = torch.ones(1, 1, 2, 2)
    >>> R = model[1].weight.detach().view(1, 1, 2, 2)
    >>> infidelity(model, x, R, window=1, replace=0.0).item() < 1e-9
    True
    """
    check_arguments(model, x)
    if x.dim() != 4:
        raise ValueError(f"x: expected images (N, C, H, W), got shape {tuple(x.shape)}")
    if relevance.shape != x.shape:
        raise ValueError(
            f"relevance: expected shape {tuple(x.shape)}, got {tuple(relevance.shape)}"
        )
    height, width = x.shape[2:]
    if whole("window", window, 1) > min(height, width):
        raise ValueError(f"window: expected at most {min(height, width)}, got {window}")
    generator = torch.Generator().manual_seed(whole("seed", seed))
    gone = torch.zeros(whole("samples", samples, 1), 1, height, width, dtype=torch.bool)
    for square in gone:
        top, left = (
            int(torch.randint(n - window + 1, (), generator=generator)) for n in (height, width)
        )
        square[:, top : top + window, left : left + window] = True
    gone = gone.to(x.device)
    other, x = replacement(x.detach(), replace, seed), x.detach()
    with undisturbed(model, x), torch.no_grad():
        first, chosen = start(model, x, target)
        later = scores_of_many(
            model,
            x,
            chosen,
            samples,
            lambda which, rows: torch.where(gone[which][:, None], other[rows], x[rows]),
        )
    said = torch.einsum("kchw,nchw->kn", gone.to(x.dtype), relevance.detach().sum(1, keepdim=True))
    return (said - (first - later)).square().mean(0)


def complexity(relevance: Tensor) -> Tensor:
    """The entropy of the shares of the relevance (Bhatt et al., 2020, definition 4): -sum_i p_i ln
    p_i, p_i = |R_i| / sum_j |R_j|.

    relevance : (N, ...), finite.
    Returns (N,) in nats: 0 where one place has all, ln D where all D places have equal shares;
    small is wanted. 0 for a map of zeros. Raises TypeError or ValueError: a bad argument.

    >>> complexity(torch.tensor([[1.0, -1.0], [2.0, 0.0]]))
    tensor([0.6931, 0.0000])
    """
    sizes = rows_of(relevance).abs()
    shares = sizes / sizes.sum(1, keepdim=True).clamp(min=torch.finfo(sizes.dtype).tiny)
    return torch.special.entr(shares).sum(1)
