"""Super-resolution: digits of 7 x 7 pixels drawn at 28 x 28, by squared error alone or with a
critic beside it (after Ledig et al., 2017).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm.auto import tqdm

from .. import models
from ..training import descend
from .adversarial import discriminator_loss, falling, generator_loss

#: What the networks of `mnist_enlargers` pay for being known by a critic.
LARGER_LOSSES = {"squared error": 0.0, "squared error and critic": 10.0}


def smaller(x: Tensor) -> Tensor:
    """The mean of each block of 4 x 4 pixels, (N, 1, 28, 28) to (N, 1, 7, 7).

    >>> smaller(torch.ones(2, 1, 28, 28)).shape
    torch.Size([2, 1, 7, 7])
    """
    return F.avg_pool2d(x, 4)


class Enlarger(nn.Module):
    """Pictures (N, 1, H, W) to (N, 1, 4 H, 4 W): the bilinear enlargement plus what a network adds,
    whose two steps double the side (Shi et al., 2016).

    >>> Enlarger(width=8)(torch.zeros(2, 1, 7, 7)).shape
    torch.Size([2, 1, 28, 28])
    """

    def __init__(self, width: int = 32, seed: int = 0) -> None:
        super().__init__()
        with models.seeded(seed):
            self.adds = nn.Sequential(
                nn.Conv2d(1, width, 3, padding=1),
                nn.ReLU(),
                nn.Conv2d(width, 2 * width, 3, padding=1),
                nn.PixelShuffle(2),
                nn.ReLU(),
                nn.Conv2d(width // 2, width, 3, padding=1),
                nn.ReLU(),
                nn.Conv2d(width, 4, 3, padding=1),
                nn.PixelShuffle(2),
            )

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=4, mode="bilinear") + self.adds(x)


def train_enlarger(
    net: nn.Module,
    critic: nn.Module,
    x: Tensor,
    steps: int,
    weight: float,
    batch: int = 32,
    learning_rate: float = 2e-3,
    seed: int = 0,
    progress: bool = True,
) -> None:
    """The net lowers the squared error of an enlarged picture, a sum over its pixels, plus `weight`
    times its loss in the game against the critic; in place (Ledig et al., 2017, eq. 3, with the
    error of pixels in the place of that of features).

    critic: pictures to logits, trained beside the net; with weight 0 the net does not ask it.
    x: the true pictures (N, 1, 28, 28), made `smaller` for the net.

    Adam with a rate that falls to 0. The global random state is left as it was.
    Raises ValueError for another shape of x.

    >>> critic = nn.Sequential(nn.Flatten(), nn.Linear(784, 1))
    >>> train_enlarger(Enlarger(8), critic, torch.rand(9, 1, 28, 28), 2, 1.0, progress=False)
    """
    if x.ndim != 4 or x.shape[1:] != (1, 28, 28):
        raise ValueError(f"x: expected (N, 1, 28, 28), got {tuple(x.shape)}")
    with torch.random.fork_rng([x.device] if x.is_cuda else []):
        torch.manual_seed(seed)
        players = [
            torch.optim.Adam(network.parameters(), learning_rate, betas=(0.5, 0.99))
            for network in (net, critic)
        ]
        lower_rates = falling(players, steps)
        for _ in tqdm(range(steps), disable=not progress, leave=False, desc="training"):
            true = x[torch.randint(len(x), (batch,), device=x.device)]
            made = net(smaller(true))
            loss = ((made - true) ** 2).flatten(1).sum(1).mean()
            descend(players[1], discriminator_loss(critic(true), critic(made.detach())))
            if weight:
                loss = loss + weight * generator_loss(critic(made))
            descend(players[0], loss)
            lower_rates()


class Enlargers(nn.ModuleDict):
    """One `Enlarger` for each of `LARGER_LOSSES`, and ten real digits to try them on.

    digits: (10, 1, 28, 28), float32 in [0, 1].

    >>> Enlargers().digits.shape
    torch.Size([10, 1, 28, 28])
    """

    digits: Tensor

    def __init__(self) -> None:
        super().__init__({name: Enlarger() for name in LARGER_LOSSES})
        self.register_buffer("digits", torch.zeros(10, 1, 28, 28))


def mnist_enlargers() -> Enlargers:
    """`Enlargers` with the committed weights, and digits of the MNIST test set that they have not
    seen; lib/weights/larger_mnist.md says what they score.

    >>> mnist_enlargers()["squared error"](torch.zeros(1, 1, 7, 7)).shape
    torch.Size([1, 1, 28, 28])
    """
    return models.with_weights(Enlargers(), "larger_mnist")
