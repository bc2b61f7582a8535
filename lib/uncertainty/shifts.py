"""Pictures that move away from what was learned, step by step: turned, blurred, in noise."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

BEYOND = ("zeros", "border", "reflection")


def rotated(x: Tensor, degrees: float, beyond: str = "zeros") -> Tensor:
    """Pictures (N, C, H, W) turned about their middle, against the clock as one looks at them.

    beyond: what stands outside a picture: "zeros", "border" (its edge goes on) or "reflection".
    Raises ValueError for another word or another shape.

    >>> x = torch.tensor([[[[1.0, 0.0], [0.0, 0.0]]]])
    >>> rotated(x, 90).round(decimals=3)[0, 0]
    tensor([[0., 0.],
            [1., 0.]])
    """
    _check_pictures(x)
    if beyond not in BEYOND:
        raise ValueError(f"beyond: expected one of {BEYOND}, got {beyond!r}")
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    height, width = x.shape[2:]
    turn = x.new_tensor([[c, -s * height / width, 0], [s * width / height, c, 0]])
    grid = F.affine_grid(turn.expand(len(x), 2, 3), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, padding_mode=beyond, align_corners=False)


def blurred(x: Tensor, sd: float) -> Tensor:
    """Pictures (N, C, H, W) averaged with the weights of a Gaussian, `sd` pixels wide; their edge
    goes on outside.

    Raises ValueError for a negative sd or another shape.

    >>> blurred(torch.eye(3)[None, None], 0.0)[0, 0]
    tensor([[1., 0., 0.],
            [0., 1., 0.],
            [0., 0., 1.]])
    """
    _check_pictures(x)
    if not 0 <= sd < math.inf:
        raise ValueError(f"sd: expected a number from 0, got {sd}")
    if sd == 0:
        return x.clone()
    reach = math.ceil(3 * sd)
    steps = torch.arange(-reach, reach + 1, dtype=x.dtype, device=x.device)
    weights = torch.softmax(-(steps**2) / (2 * sd**2), 0)
    single = F.pad(x.flatten(0, 1)[:, None], [reach] * 4, mode="replicate")
    rows = F.conv2d(single, weights[None, None, :, None])
    return F.conv2d(rows, weights[None, None, None]).view_as(x)


def noised(x: Tensor, sd: float, seed: int = 0) -> Tensor:
    """Pictures (N, C, H, W) in [0, 1] with Gaussian noise of this standard deviation on every
    number, cut off at 0 and 1.

    Raises ValueError for a negative sd or another shape.

    >>> noised(torch.ones(1, 1, 1, 2), 0.0)
    tensor([[[[1., 1.]]]])
    """
    _check_pictures(x)
    if not 0 <= sd < math.inf:
        raise ValueError(f"sd: expected a number from 0, got {sd}")
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(x.shape, generator=generator, dtype=x.dtype).to(x.device)
    return (x + sd * noise).clamp(0, 1)


def _check_pictures(x: Tensor) -> None:
    if not isinstance(x, Tensor) or not x.is_floating_point():
        kind = x.dtype if isinstance(x, Tensor) else type(x).__name__
        raise TypeError(f"x: expected a floating-point tensor (N, C, H, W), got {kind}")
    if x.dim() != 4 or not x.numel():
        raise ValueError(f"x: expected pictures (N, C, H, W), got shape {tuple(x.shape)}")
