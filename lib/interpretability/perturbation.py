"""Explanations by perturbation: change a part of the input, look at the score. They need no
gradient of the model but one.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from ..engine.contract import (
    check_arguments,
    check_scores,
    class_index,
    differentiated,
    undisturbed,
)

Slices = tuple[slice, ...]


def occlusion(
    model: nn.Module,
    x: Tensor,
    target: int | Tensor | None = None,
    window: int | Sequence[int] = 1,
    stride: int | Sequence[int] | None = None,
    fill: float | Tensor = 0.0,
) -> Tensor:
    """How much the score f_c(x) falls when a window of the input is covered (Zeiler and Fergus,
    2014).

    R_i is the mean of f_c(x) - f_c(x with W covered) over all windows W that hold feature i; unit:
    logits.

    Parameters
    ----------
    model, x, target : as for `lib.lrp.lrp`; x may also hold word numbers (N, T).
    window : size of the window. One number is that size along every axis but the channels, which
        are covered together (with two axes (N, D): that many features). Or one number for each axis
        of a sample: (1, d) is a word embedded in d numbers.
    stride : step of the window, like `window`; None: its size, so that windows do not overlap. The
        last may be cut off by the edge.
    fill : what the window is covered with: a number, or a tensor that can be broadcast to x.

    Returns
    -------
    Tensor like x, detached. Raises TypeError or ValueError: a bad argument, by name.

    Example
    -------
    >>> model = nn.Linear(3, 1, bias=False)
    >>> _ = nn.init.ones_(model.weight)
    >>> occlusion(model, torch.tensor([[1.0, 2.0, 4.0]]))
    tensor([[1., 2., 4.]])
    """
    check_arguments(model, x, words=True)
    fill = filling("fill", fill, x)
    places = list(_windows(x, window, stride))
    with undisturbed(model, x), torch.no_grad():
        scores, chosen = start(model, x, target)

        def cover(which: slice, rows: slice) -> Tensor:
            covered = x[rows].expand(len(places[which]), *x[rows].shape).clone()
            for image, place in zip(covered, places[which]):
                image[(slice(None), *place)] = fill[rows][(slice(None), *place)]
            return covered

        drops = scores - scores_of_many(model, x, chosen, len(places), cover)
        total = torch.zeros_like(x, dtype=scores.dtype)
        count = torch.zeros_like(x[:1], dtype=scores.dtype)
        for drop, place in zip(drops, places):
            total[(slice(None), *place)] += drop.reshape(-1, *[1] * (x.dim() - 1))
            count[(slice(None), *place)] += 1
    return total / count.clamp(min=1)  # a stride larger than the window leaves features out: 0


def prediction_difference(
    model: nn.Module,
    x: Tensor,
    target: int | Tensor | None = None,
    reference: Tensor | None = None,
    window: int | Sequence[int] = 1,
    surround: int = 0,
    samples: int = 16,
    seed: int = 0,
) -> Tensor:
    """Weight of evidence: log-odds of the class with a window seen, minus without knowing it
    (Zintgraf et al., 2017, eq. 1 and 6).

    R_i = log2 odds(c | x) - log2 odds(c | x without W), in bits. "Without W" is a mean of
    probabilities over what else the window could hold: the same window of other inputs (`surround`
    0), or a Gaussian fitted to `reference`, given the features up to `surround` away from the
    window, cut to the range of the reference.

    Parameters
    ----------
    model, x, target : as for `lib.lrp.lrp`; x in float.
    reference : (M, ...) other inputs of the same kind, M >= 2.
    window : as for `occlusion`; windows do not overlap.
    surround : width of the neighbourhood on which the filling is conditioned (channels are always
        taken together).
    samples : fillings of each window.
    seed : of their drawing; the same draws serve every input.

    Returns
    -------
    Tensor like x, detached. Raises TypeError or ValueError: a bad argument, by name.

    Example
    -------
    >>> model = nn.Linear(2, 2)
    >>> images = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    >>> prediction_difference(model, images[:1], reference=images).shape
    torch.Size([1, 2])
    """
    check_arguments(model, x)
    if not isinstance(reference, Tensor):
        raise TypeError(
            f"reference: expected a tensor of other inputs (M, ...), got {type(reference).__name__}"
        )
    if reference.shape[1:] != x.shape[1:] or len(reference) < 2:
        raise ValueError(
            f"reference: expected shape (M >= 2, {', '.join(map(str, x.shape[1:]))}), got "
            f"{tuple(reference.shape)}"
        )
    whole("surround", surround, 0)
    whole("samples", samples, 1)
    reference, result = reference.to(x), torch.zeros_like(x)
    generator = torch.Generator().manual_seed(whole("seed", seed))
    with undisturbed(model, x), torch.no_grad():
        scores, chosen = start(model, x, target, log_odds)
        for place in _windows(x, window, None):
            draw = _drawn_fillings if surround == 0 else _gaussian_fillings
            # (samples, 1 or N, *window)
            fillings = draw(x, reference, place, surround, samples, generator)

            def replace(
                which: slice, rows: slice, place: Slices = place, fillings: Tensor = fillings
            ) -> Tensor:
                replaced = x[rows].expand(len(fillings[which]), *x[rows].shape).clone()
                own = rows if fillings.shape[1] > 1 else slice(None)
                replaced[(slice(None), slice(None), *place)] = fillings[which][:, own]
                return replaced

            # the mean of p_c and of 1 - p_c
            logs = scores_of_many(model, x, chosen, samples, replace, log_odds).logsumexp(0)
            change = (scores[:, 0] - scores[:, 1]) - (logs[:, 0] - logs[:, 1])
            change = change.reshape(-1, *[1] * (x.dim() - 1)) / torch.log(torch.tensor(2.0))
            result[(slice(None), *place)] = change
    return result


def meaningful_perturbation(
    model: nn.Module,
    x: Tensor,
    target: int | Tensor | None = None,
    steps: int = 100,
    learning_rate: float = 0.1,
    area: float = 20.0,
    smoothness: float = 200.0,
    background: float | Tensor | None = None,
) -> Tensor:
    """The smallest smooth part of an image without which the class is gone (Fong and Vedaldi, 2017,
    eq. 3 and 5).

    Minimises -log(1 - p_c) of m x + (1 - m) background, plus area * mean(1 - m) + smoothness *
    TV(m), over masks m in [0, 1], one for each image, by Adam. TV is the mean squared step between
    neighbours. Returned is 1 - m: near 1 where something is deleted. The paper has p_c for -log(1 -
    p_c), whose gradient is 0 where the network is sure.

    Parameters
    ----------
    model, x, target : as for `lib.lrp.lrp`; x (N, C, H, W), and the model differentiable.
    steps, learning_rate : of Adam.
    area, smoothness : >= 0, in nats, the prices of deleting everything and of ragged masks.
    background : what takes the place of the deleted part: a number, a tensor that can be broadcast
        to x, or None: x blurred.

    Returns
    -------
    Tensor like x in [0, 1], the same for all channels of a pixel. Raises TypeError or ValueError: a
    bad argument, by name.

    Example
    -------
    >>> model = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    >>> meaningful_perturbation(model, torch.rand(1, 1, 4, 4), steps=2).shape
    torch.Size([1, 1, 4, 4])
    """
    check_arguments(model, x)
    if x.dim() != 4:
        raise ValueError(f"x: expected images (N, C, H, W), got shape {tuple(x.shape)}")
    if area < 0 or smoothness < 0 or learning_rate <= 0:
        raise ValueError(
            f"area, smoothness, learning_rate: expected >= 0, >= 0 and > 0, got {area}, "
            f"{smoothness} and {learning_rate}"
        )
    whole("steps", steps, 1)
    with undisturbed(model, x):
        with torch.no_grad():
            _, chosen = start(model, x, target)
        x = x.detach()
        other = blurred(x) if background is None else filling("background", background, x)
        # m = sigmoid(theta) stays within [0, 1], at first near 1
        theta = torch.full_like(x[:, :1], 2.0, requires_grad=True)
        optimiser = torch.optim.Adam([theta], learning_rate)
        for _ in range(steps):
            with differentiated(model):
                m = theta.sigmoid()
                kept = -log_odds(model(m * x + (1 - m) * other), chosen)[:, 1]
                ragged = sum(
                    step.square().flatten(1).mean(1).sum()
                    for step in (m.diff(dim=2), m.diff(dim=3))
                    if step.numel()
                )
                loss = kept.sum() + area * (1 - m).mean((1, 2, 3)).sum() + smoothness * ragged
            (theta.grad,) = torch.autograd.grad(loss, theta)
            optimiser.step()
    return (1 - theta.detach().sigmoid()).expand_as(x).clone()


def blurred(x: Tensor, width: float = 0.15) -> Tensor:
    """Images (N, C, H, W) under a Gaussian whose standard deviation is `width` times the image's
    side; beyond the edge there is nothing, and the weights of what is inside sum to 1.
    """
    for axis in (2, 3):
        size = x.shape[axis]
        places = torch.arange(size, device=x.device, dtype=x.dtype)
        kernel = torch.exp(-((places[:, None] - places) / max(width * size, 0.5)).square() / 2)
        x = torch.tensordot(x, kernel / kernel.sum(0), ([axis], [0])).movedim(-1, axis)
    return x


# ---------------------------------------------------------------- what all perturbations share


def start(
    model: nn.Module, x: Tensor, target: int | Tensor | None, read: Callable | None = None
) -> tuple[Tensor, Tensor]:
    """What `read` makes of the undisturbed scores, by default f_c(x) (N,), and the explained
    classes (N,).
    """
    scores = model(x.clone())
    check_scores(scores, x)
    chosen = class_index(scores, target)
    return (read or explained)(scores, chosen), chosen


def scores_of_many(
    model: nn.Module,
    x: Tensor,
    chosen: Tensor,
    count: int,
    perturb: Callable[[slice, slice], Tensor],
    read: Callable | None = None,
) -> Tensor:
    """f_c of `count` variants of each sample: (count, N).

    perturb: perturb(which, rows) makes variants (m, n, ...) of the samples x[rows].

    As many variants are made at a time as fit into a fixed number of input values: memory does not
    grow with `count` or N.
    """
    # on a processor small passes stay in its cache
    room = max(1, 2 ** (24 if x.is_cuda else 18) // x[0].numel())
    rows = min(len(x), room)
    columns = []
    for a in range(0, len(x), rows):
        own, parts = slice(a, a + rows), []
        for k in range(0, count, max(1, room // rows)):
            variants = perturb(slice(k, min(k + max(1, room // rows), count)), own)
            scores = model(variants.flatten(0, 1))
            values = (read or explained)(scores, chosen[own].repeat(len(variants)))
            parts.append(values.unflatten(0, variants.shape[:2]))
        columns.append(torch.cat(parts))
    return torch.cat(columns, 1)


def explained(scores: Tensor, chosen: Tensor) -> Tensor:
    """f_c of each row."""
    return scores.gather(1, chosen[:, None])[:, 0]


def log_odds(scores: Tensor, chosen: Tensor) -> Tensor:
    """log p_c and log(1 - p_c) of each row, (N, 2): exact also where p_c is nearly 0 or 1."""
    logs = scores.log_softmax(1)
    others = logs.scatter(1, chosen[:, None], float("-inf"))
    return torch.stack([explained(logs, chosen), others.logsumexp(1)], 1)


def filling(name: str, value: float | Tensor, x: Tensor) -> Tensor:
    """A number or a tensor as a tensor of x's shape and dtype."""
    if isinstance(value, bool) or not isinstance(value, (int, float, Tensor)):
        raise TypeError(f"{name}: expected a number or a tensor, got {type(value).__name__}")
    value = torch.as_tensor(value).detach().to(x.device, x.dtype)
    try:
        return value.expand_as(x)
    except RuntimeError:
        raise ValueError(
            f"{name}: expected a tensor that can be broadcast to {tuple(x.shape)}, got shape "
            f"{tuple(value.shape)}"
        ) from None


def whole(name: str, value: int, least: int | None = None) -> int:
    """Refuse what is no whole number, or less than `least`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name}: expected a whole number, got {type(value).__name__}")
    if least is not None and value < least:
        raise ValueError(f"{name}: expected at least {least}, got {value}")
    return value


def _sizes(name: str, value: int | Sequence[int], x: Tensor) -> list[int]:
    """One size for each axis of a sample; a single number leaves the channels together."""
    axes = x.dim() - 1
    if isinstance(value, int):
        whole(name, value, 1)
        value = [value] if axes == 1 else [x.shape[1]] + [value] * (axes - 1)
    if not isinstance(value, (tuple, list)):
        raise TypeError(
            f"{name}: expected a whole number, or one for each axis of a sample, got "
            f"{type(value).__name__}"
        )
    sizes = [whole(name, size, 1) for size in value]
    if len(sizes) != axes:
        raise ValueError(
            f"{name}: expected one number, or {axes}, one for each axis of a sample, got {sizes}"
        )
    return sizes


def _windows(
    x: Tensor, window: int | Sequence[int], stride: int | Sequence[int] | None
) -> Iterator[Slices]:
    """The places of the window as slices of a sample."""
    sizes = _sizes("window", window, x)
    steps = sizes if stride is None else _sizes("stride", stride, x)
    ends = [
        [(a, a + size) for a in range(0, max(length - size, 0) + step, step) if a < length]
        for length, size, step in zip(x.shape[1:], sizes, steps)
    ]
    for corner in itertools.product(*ends):
        yield tuple(slice(*end) for end in corner)


def _drawn_fillings(
    x: Tensor,
    reference: Tensor,
    place: Slices,
    surround: int,
    samples: int,
    generator: torch.Generator,
) -> Tensor:
    drawn = torch.randint(len(reference), (samples,), generator=generator)
    return reference[drawn.to(x.device)][(slice(None), *place)][:, None]


def _gaussian_fillings(
    x: Tensor,
    reference: Tensor,
    place: Slices,
    surround: int,
    samples: int,
    generator: torch.Generator,
) -> Tensor:
    """Draws (samples, N, *window) from the Gaussian of the reference, given what stands around the
    window in each x.
    """
    wide = tuple(slice(max(p.start - surround, 0), p.stop + surround) for p in place)
    number = torch.arange(x[0].numel(), device=x.device).view(x.shape[1:])
    inner = number[place].flatten()
    outer = number[wide].flatten()
    outer = outer[~torch.isin(outer, inner)]
    values = reference.flatten(1)
    mean, both = values.mean(0), torch.cat([outer, inner])
    ridge = 1e-3 * values.var() * torch.eye(len(both), dtype=x.dtype, device=x.device)
    covariance = values[:, both].T.cov() + ridge
    o = len(outer)
    gain = torch.linalg.solve(covariance[:o, :o], covariance[:o, o:])  # (outer, inner)
    root = torch.linalg.cholesky(covariance[o:, o:] - covariance[o:, :o] @ gain)
    noise = torch.randn(samples, 1, len(inner), generator=generator, dtype=torch.float64).to(x)
    centre = mean[inner] + (x.flatten(1)[:, outer] - mean[outer]) @ gain  # (N, inner)
    drawn = (centre + noise @ root.T).clamp(reference.min(), reference.max())
    return drawn.reshape(samples, len(x), *number[place].shape)
