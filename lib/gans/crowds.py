"""Small networks trained ten at a time, and the worlds of blobs on which their games are judged:
all modes are known.
"""

import torch
from torch import Tensor, nn

from .. import models


class Crowd(nn.Module):
    """M dense networks with ReLU that learn at once, each on its share of the rows: (M B, sizes[0])
    to (M B, sizes[-1]).

    members: M. Member m reads rows m B to (m + 1) B - 1.
    sizes: the neurons of each layer. An output of size 1 loses its axis: (M B,).
    spectral: every matrix is divided by its largest singular value, found by one step of power
        iteration a pass (Miyato et al., 2018).

    A loss that averages over all rows trains each member as if it were alone, up to the factor 1/M,
    which Adam does not see.
    Raises ValueError for rows that cannot be shared out.

    >>> Crowd(3, (2, 8, 1))(torch.zeros(6, 2)).shape
    torch.Size([6])
    """

    def __init__(
        self, members: int, sizes: tuple[int, ...], spectral: bool = False, seed: int = 0
    ) -> None:
        super().__init__()
        self.members, self.latent, self.spectral = members, sizes[0], spectral
        with models.seeded(seed):
            shapes = list(zip(sizes, sizes[1:]))
            self.weights = nn.ParameterList(
                [(2 * torch.rand(members, a, b) - 1) / a**0.5 for a, b in shapes]
            )
            self.biases = nn.ParameterList(
                [(2 * torch.rand(members, 1, b) - 1) / a**0.5 for a, b in shapes]
            )
            for k, (a, _) in enumerate(shapes):
                self.register_buffer(f"direction{k}", torch.randn(members, a, 1))

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != 2 or len(x) % self.members:
            raise ValueError(
                f"x: expected (M B, D) with M = {self.members} members, got shape {tuple(x.shape)}"
            )
        h = x.view(self.members, -1, x.shape[1])
        for k, (weight, bias) in enumerate(zip(self.weights, self.biases)):
            h = h.relu() if k else h
            h = torch.baddbmm(bias, h, weight / self._norm(k, weight) if self.spectral else weight)
        h = h.flatten(0, 1)
        return h[:, 0] if h.shape[1] == 1 else h

    def _norm(self, k: int, weight: Tensor) -> Tensor:
        u = getattr(self, f"direction{k}")
        with torch.no_grad():
            v = nn.functional.normalize(weight.mT @ u, dim=1)
            if self.training:
                u.copy_(nn.functional.normalize(weight @ v, dim=1))
        return (nn.functional.normalize(u.clone(), dim=1) * (weight @ v)).sum(1, keepdim=True)

    def shares(self, rows: Tensor) -> Tensor:
        """(M B, ...) to (M, B, ...): the rows of each member."""
        return rows.view(self.members, -1, *rows.shape[1:])


def ring(modes: int = 8, radius: float = 2.0) -> Tensor:
    """The centres (K, 2) of K blobs on a circle.

    >>> ring(modes=4).round().tolist()[0]
    [2.0, 0.0]
    """
    angle = torch.arange(modes) * (2 * torch.pi / modes)
    return radius * torch.stack([angle.cos(), angle.sin()], 1)


def grid(side: int = 5, apart: float = 1.0) -> Tensor:
    """The centres (K, 2) of side x side blobs, about zero.

    >>> grid(2)[0]
    tensor([-0.5000, -0.5000])
    """
    line = apart * (torch.arange(side) - (side - 1) / 2)
    return torch.cartesian_prod(line, line)


def moons(n: int = 12) -> Tensor:
    """The centres (2 n, 2) of blobs on two interlocked half circles.

    >>> moons().shape
    torch.Size([24, 2])
    """
    angle = torch.linspace(0, torch.pi, n)
    upper = torch.stack([1.5 * angle.cos() - 0.6, 1.5 * angle.sin() - 0.4], 1)
    return torch.cat([upper, -upper])


def blobs(centres: Tensor, n: int, spread: float = 0.05, seed: int = 0) -> tuple[Tensor, Tensor]:
    """n points (n, 2) of Gaussian blobs with standard deviation `spread` about the centres (K, 2),
    and the blob of each (n,).

    >>> points, which = blobs(ring(8), n=100)
    >>> points.shape, which.shape
    (torch.Size([100, 2]), torch.Size([100]))
    """
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randint(len(centres), (n,), generator=generator)
    return centres[chosen] + spread * torch.randn(n, 2, generator=generator), chosen
