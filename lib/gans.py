"""Generative adversarial networks: the game between a generator and its critic, its losses, and how to judge who won."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm.auto import tqdm

from . import models
from .training import History, MovingAverage

KINDS = ("non-saturating", "saturating", "least squares", "hinge", "wasserstein")


def discriminator_loss(real: Tensor, fake: Tensor, kind: str = "non-saturating") -> Tensor:
    """What the discriminator lowers, from its logits (N,) on real and (M,) on generated samples; a number.

    "saturating" and "non-saturating": -mean log sigma(real) - mean log(1 - sigma(fake)) (Goodfellow et al., 2014, eq. 1);
    "least squares": mean (real - 1)^2 + mean fake^2 (Mao et al., 2017); "hinge": mean max(0, 1 - real) + mean max(0, 1 + fake)
    (Miyato et al., 2018); "wasserstein": mean fake - mean real (Arjovsky et al., 2017). Raises ValueError for another kind.

    >>> discriminator_loss(torch.tensor([0.0]), torch.tensor([0.0])).item() / 2  # log 2
    0.6931471824645996
    """
    _check_kind(kind)
    if kind == "least squares":
        return ((real - 1) ** 2).mean() + (fake**2).mean()
    if kind == "hinge":
        return (1 - real).relu().mean() + (1 + fake).relu().mean()
    if kind == "wasserstein":
        return fake.mean() - real.mean()
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def generator_loss(fake: Tensor, kind: str = "non-saturating") -> Tensor:
    """What the generator lowers, from the discriminator's logits (M,) on its samples; a number.

    "non-saturating": -mean log sigma(fake); "saturating": mean log(1 - sigma(fake)) (Goodfellow et al., 2014); "least squares":
    mean (fake - 1)^2; "hinge" and "wasserstein": -mean fake. Raises ValueError for another kind.
    """
    _check_kind(kind)
    if kind == "least squares":
        return ((fake - 1) ** 2).mean()
    if kind == "saturating":
        return -F.softplus(fake).mean()
    return F.softplus(-fake).mean() if kind == "non-saturating" else -fake.mean()


class Generator(nn.Module):
    """Codes (N, `latent`) and classes (N,) to images (N, 1, 28, 28) in (0, 1), after Radford et al. (2016)."""

    def __init__(self, latent: int = 64, width: int = 8, classes: int = 10, seed: int = 0) -> None:
        super().__init__()
        self.latent, self.classes = latent, classes
        with models.seeded(seed):
            self.layers = nn.Sequential(
                nn.Linear(latent + classes, 49 * 4 * width), nn.Unflatten(1, (4 * width, 7, 7)), nn.BatchNorm2d(4 * width), nn.ReLU(),
                nn.ConvTranspose2d(4 * width, 2 * width, 4, stride=2, padding=1), nn.BatchNorm2d(2 * width), nn.ReLU(),
                nn.ConvTranspose2d(2 * width, 1, 4, stride=2, padding=1), nn.Sigmoid(),
            )

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        return self.layers(torch.cat([z, F.one_hot(labels, self.classes).to(z)], 1))


class Discriminator(nn.Module):
    """Images (N, 1, 28, 28) and classes (N,) to logits (N,): real or generated, each class with a judge of its own on shared features."""

    def __init__(self, width: int = 8, classes: int = 10, seed: int = 1) -> None:
        super().__init__()
        with models.seeded(seed):
            self.layers = nn.Sequential(
                nn.Conv2d(1, 2 * width, 4, stride=2, padding=1), nn.LeakyReLU(0.2),
                nn.Conv2d(2 * width, 4 * width, 4, stride=2, padding=1), nn.BatchNorm2d(4 * width), nn.LeakyReLU(0.2),
                nn.Flatten(), nn.Linear(49 * 4 * width, classes),
            )

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        return self.layers(2 * x - 1).gather(1, labels[:, None])[:, 0]


def train(generator: nn.Module, discriminator: nn.Module, x: Tensor, labels: Tensor, steps: int, batch: int = 32, learning_rate: float = 1e-3,
          kind: str = "non-saturating", average: float = 0.995, seed: int = 0, progress: bool = True) -> History:
    """Alternate one step of the discriminator and one of the generator, with Adam and a learning rate that falls to 0; in place.

    x (N, ...) and labels (N,): real samples and their classes. average: at the end the generator gets the moving average of its
    weights with this decay. The global random state is left as it was. Returns the generator's mean loss of each hundred steps.
    """
    with torch.random.fork_rng([x.device] if x.is_cuda else []):
        torch.manual_seed(seed)
        generator.train(), discriminator.train()
        players = [torch.optim.Adam(net.parameters(), learning_rate, betas=(0.5, 0.99)) for net in (generator, discriminator)]
        schedules = [torch.optim.lr_scheduler.LambdaLR(player, lambda k: 1 - k / steps) for player in players]
        averaged = MovingAverage(generator, average)
        losses, total = [], 0.0
        for step in tqdm(range(steps), disable=not progress, leave=False, desc="training"):
            chosen = torch.randint(len(x), (batch,), device=x.device)
            real, classes = x[chosen], labels[chosen]
            fake = generator(torch.randn(batch, generator.latent, device=x.device), classes)
            _descend(players[1], discriminator_loss(discriminator(real, classes), discriminator(fake.detach(), classes), kind))
            loss = generator_loss(discriminator(fake, classes), kind)
            _descend(players[0], loss)
            for schedule in schedules:
                schedule.step()
            averaged.update()
            total += loss.item()
            if (step + 1) % 100 == 0:
                losses, total = [*losses, total / 100], 0.0
    averaged.put()
    generator.eval(), discriminator.eval()
    return History(losses, steps)


def frechet_distance(real: Tensor, generated: Tensor) -> float:
    """|m - m'|^2 + tr(C + C' - 2 (C C')^(1/2)) for the means and covariances of features (N, D) and (M, D) (Heusel et al., 2017).

    Compare only values of equal N and M: it is biased by the number of samples.
    """
    moments = [(part.mean(0).double().numpy(), np.cov(part.double().numpy(), rowvar=False)) for part in (real, generated)]
    (m, C), (m2, C2) = moments
    return float(((m - m2) ** 2).sum() + np.trace(C + C2) - 2 * np.sqrt(np.linalg.eigvals(C @ C2).real.clip(0)).sum())


def _descend(player: torch.optim.Optimizer, loss: Tensor) -> None:
    player.zero_grad()
    loss.backward()
    player.step()


def _check_kind(kind: str) -> None:
    if kind not in KINDS:
        raise ValueError(f"kind: expected one of {KINDS}, got {kind!r}")
