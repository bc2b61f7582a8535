"""Generative adversarial networks: the game between a generator and its critic, its losses, and how
to judge who won.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm.auto import tqdm

from .. import models
from ..training import History, MovingAverage, by_hundreds, descend
from .crowds import Crowd

#: The names of the losses of `discriminator_loss` and `generator_loss`.
KINDS = ("non-saturating", "saturating", "least squares", "hinge", "wasserstein")


def discriminator_loss(real: Tensor, fake: Tensor, kind: str = "non-saturating") -> Tensor:
    """What the discriminator lowers, from its logits (N,) on real and (M,) on generated samples; a
    number.

    kind: "saturating" and "non-saturating": -mean log sigma(real) - mean log(1 - sigma(fake))
        (Goodfellow et al., 2014, eq. 1); "least squares": mean (real - 1)^2 + mean fake^2 (Mao et
        al., 2017); "hinge": mean max(0, 1 - real) + mean max(0, 1 + fake) (Miyato et al., 2018);
        "wasserstein": mean fake - mean real (Arjovsky et al., 2017).
    Raises ValueError for another kind.

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

    kind: "non-saturating": -mean log sigma(fake); "saturating": mean log(1 - sigma(fake))
        (Goodfellow et al., 2014); "least squares": mean (fake - 1)^2; "hinge" and "wasserstein":
        -mean fake.
    Raises ValueError for another kind.

    >>> generator_loss(torch.tensor([0.0, 2.0]), kind="hinge")
    tensor(-1.)
    """
    _check_kind(kind)
    if kind == "least squares":
        return ((fake - 1) ** 2).mean()
    if kind == "saturating":
        return -F.softplus(fake).mean()
    return F.softplus(-fake).mean() if kind == "non-saturating" else -fake.mean()


class Generator(nn.Module):
    """Codes (N, `latent`) and classes (N,) to images (N, 1, 28, 28) in (0, 1), after Radford et al.
    (2016).

    >>> Generator(latent=8, width=2)(torch.zeros(3, 8), torch.tensor([0, 1, 2])).shape
    torch.Size([3, 1, 28, 28])
    """

    def __init__(self, latent: int = 64, width: int = 16, classes: int = 10, seed: int = 0) -> None:
        super().__init__()
        self.latent, self.classes = latent, classes
        with models.seeded(seed):
            self.layers = nn.Sequential(
                nn.Linear(latent + classes, 49 * 4 * width),
                nn.Unflatten(1, (4 * width, 7, 7)),
                nn.BatchNorm2d(4 * width),
                nn.ReLU(),
                nn.ConvTranspose2d(4 * width, 2 * width, 4, stride=2, padding=1),
                nn.BatchNorm2d(2 * width),
                nn.ReLU(),
                nn.ConvTranspose2d(2 * width, 1, 4, stride=2, padding=1),
                nn.Sigmoid(),
            )

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        return self.layers(torch.cat([z, F.one_hot(labels, self.classes).to(z)], 1))


class Discriminator(nn.Module):
    """Images (N, 1, 28, 28) and classes (N,) to logits (N,): real or generated, each class with a
    judge of its own on shared features.

    >>> Discriminator(width=2)(torch.zeros(3, 1, 28, 28), torch.tensor([0, 1, 2])).shape
    torch.Size([3])
    """

    def __init__(self, width: int = 8, classes: int = 10, seed: int = 1) -> None:
        super().__init__()
        with models.seeded(seed):
            self.layers = nn.Sequential(
                nn.Conv2d(1, 2 * width, 4, stride=2, padding=1),
                nn.LeakyReLU(0.2),
                nn.Conv2d(2 * width, 4 * width, 4, stride=2, padding=1),
                nn.BatchNorm2d(4 * width),
                nn.LeakyReLU(0.2),
                nn.Flatten(),
                nn.Linear(49 * 4 * width, classes),
            )

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        return self.layers(2 * x - 1).gather(1, labels[:, None])[:, 0]


def mnist_gan() -> Generator:
    """`Generator()` with the committed weights of real 28 x 28 digits; lib/weights/gan_mnist.md
    says what it scores.

    >>> mnist_gan()(torch.zeros(1, 64), torch.tensor([7])).shape
    torch.Size([1, 1, 28, 28])
    """
    return models.with_weights(Generator(), "gan_mnist")


def gradient_penalty(
    discriminator: Callable[[Tensor], Tensor],
    real: Tensor,
    fake: Tensor,
    generator: torch.Generator | None = None,
) -> Tensor:
    """mean (|grad D(x)| - 1)^2 at x = u real + (1 - u) fake, u uniform for each sample (Gulrajani
    et al., 2017, eq. 3); a number.

    real, fake: (N, ...) each.
    discriminator: (N, ...) to (N,), each sample by itself, so no batch normalisation.
    generator: of u; torch's global one if None.

    The penalty is differentiable in the discriminator's weights.
    Raises ValueError for unequal shapes.

    >>> x = torch.zeros(4, 2)
    >>> gradient_penalty(lambda v: 3 * v[:, 0], x, x).item()  # (3 - 1)^2
    4.0
    """
    if real.shape != fake.shape:
        raise ValueError(
            f"real, fake: expected equal shapes, got {tuple(real.shape)} and {tuple(fake.shape)}"
        )
    u = torch.rand(
        len(real), *[1] * (real.ndim - 1), generator=generator, dtype=real.dtype, device=real.device
    )
    x = (u * real.detach() + (1 - u) * fake.detach()).requires_grad_()
    with torch.enable_grad():
        (slope,) = torch.autograd.grad(discriminator(x).sum(), x, create_graph=True)
    return ((slope.flatten(1).norm(dim=1) - 1) ** 2).mean()


def falling(players: Sequence[torch.optim.Optimizer], steps: int) -> Callable[[], None]:
    """The rates of the players are to fall to 0 in so many steps; what is returned takes one."""
    schedules = [
        torch.optim.lr_scheduler.LambdaLR(player, lambda k: 1 - k / steps) for player in players
    ]

    def lower() -> None:
        for schedule in schedules:
            schedule.step()

    return lower


def train(
    generator: Generator | Crowd,
    discriminator: nn.Module,
    x: Tensor,
    labels: Tensor | None,
    steps: int,
    batch: int = 32,
    learning_rate: float = 1e-3,
    kind: str = "non-saturating",
    average: float = 0.995,
    critic_steps: int = 1,
    critic_rate: float | None = None,
    penalty: float = 0.0,
    betas: tuple[float, float] = (0.5, 0.99),
    noise: float = 0.0,
    mismatch: bool = False,
    seed: int = 0,
    progress: bool = True,
) -> History:
    """Alternate `critic_steps` of the discriminator and one of the generator, with Adam and a
    learning rate that falls to 0; in place.

    generator: `Generator`, `Crowd` or another network that says in `.latent` how many numbers its
        codes have.
    x, labels: real samples (N, ...) and their classes (N,); without labels the networks are called
        without them.
    kind: of `generator_loss`.
    critic_rate: the discriminator's own learning rate.
    penalty: the weight of `gradient_penalty` in its loss.
    noise: the standard deviation of noise on all that the discriminator sees, which falls to 0
        (Arjovsky and Bottou, 2017).
    mismatch: it also sees real samples called by a wrong class, and shall refuse them (Reed et al.,
        2016).
    average: at the end the generator gets the moving average of its weights with this decay.

    The global random state is left as it was. Returns the generator's mean loss of each hundred
    steps.
    Raises ValueError for another kind, or for mismatch without labels.

    >>> generator, critic = Crowd(1, (2, 8, 2)), Crowd(1, (2, 8, 1), seed=1)
    >>> train(generator, critic, torch.rand(50, 2), None, steps=3, progress=False).steps
    3
    """
    if mismatch and labels is None:
        raise ValueError("mismatch: expected labels, which are to be mixed up, got labels=None")
    with torch.random.fork_rng([x.device] if x.is_cuda else []):
        torch.manual_seed(seed)
        generator.train()
        discriminator.train()
        rates = learning_rate, critic_rate or learning_rate
        players = [
            torch.optim.Adam(net.parameters(), rate, betas=betas)
            for net, rate in zip((generator, discriminator), rates)
        ]
        lower_rates = falling(players, steps)
        averaged = MovingAverage(generator, average)
        losses: list[float] = []

        def judge(v: Tensor, classes: tuple[Tensor, ...], blur: float) -> Tensor:
            return discriminator(v + blur * torch.randn_like(v) if blur else v, *classes)

        for step in tqdm(range(steps), disable=not progress, leave=False, desc="training"):
            blur = noise * (1 - step / steps)
            for _ in range(critic_steps):
                chosen = torch.randint(len(x), (batch,), device=x.device)
                real, classes = x[chosen], () if labels is None else (labels[chosen],)
                fake = generator(torch.randn(batch, generator.latent, device=x.device), *classes)
                refused = judge(fake.detach(), classes, blur)
                if mismatch and labels is not None:
                    kinds = int(labels.max()) + 1
                    shift = torch.randint(1, kinds, (batch,), device=x.device)
                    others = (labels[chosen] + shift) % kinds
                    refused = torch.cat([refused, judge(real, (others,), blur)])
                loss = discriminator_loss(judge(real, classes, blur), refused, kind)
                if penalty:
                    sharp = partial(judge, classes=classes, blur=0.0)
                    loss = loss + penalty * gradient_penalty(sharp, real, fake)
                descend(players[1], loss)
            loss = generator_loss(judge(fake, classes, blur), kind)
            descend(players[0], loss)
            lower_rates()
            averaged.update()
            losses.append(loss.item())
    averaged.put()
    generator.eval()
    discriminator.eval()
    return History(by_hundreds(losses), steps)


@dataclass(frozen=True)
class Coverage:
    """Which modes are found.

    counts: (K,), samples near each mode.
    covered: the modes with enough of them.
    quality: the share of samples near any mode, in [0, 1].
    """

    counts: Tensor
    covered: int
    quality: float


def mode_coverage(samples: Tensor, centres: Tensor, radius: float, min_count: int = 1) -> Coverage:
    """How many of the modes (K, D) have at least `min_count` of the samples (N, D) within `radius`,
    in the units of the data.

    Raises ValueError for shapes that do not fit.

    >>> samples = torch.tensor([[0.0, 0.1], [9.0, 9.0]])
    >>> centres = torch.tensor([[0.0, 0.0], [5.0, 5.0]])
    >>> mode_coverage(samples, centres, radius=0.5).covered
    1
    """
    flat = samples.ndim == centres.ndim == 2
    if not flat or samples.shape[1] != centres.shape[1] or not len(samples):
        raise ValueError(
            f"samples, centres: expected (N, D) and (K, D), got {tuple(samples.shape)} and "
            f"{tuple(centres.shape)}"
        )
    near = torch.cdist(samples, centres) <= radius
    counts = near.sum(0)
    return Coverage(counts, int((counts >= min_count).sum()), near.any(1).double().mean().item())


def optimal_discriminator(p: Tensor, q: Tensor) -> Tensor:
    """D*(x) = p / (p + q) for densities of the data and of the generator, of any equal shape; 1/2
    where both are 0 (Goodfellow et al., 2014, eq. 2).

    >>> optimal_discriminator(torch.tensor([0.3, 0.0]), torch.tensor([0.1, 0.0]))
    tensor([0.7500, 0.5000])
    """
    both = p + q
    return torch.where(both > 0, p / both, 0.5)


def jensen_shannon(p: Tensor, q: Tensor) -> Tensor:
    """1/2 KL(p || m) + 1/2 KL(q || m), m = (p + q) / 2, for probabilities (..., K) that sum to 1:
    (...,), in nats, from 0 to log 2.

    >>> jensen_shannon(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]))
    tensor(0.6931)
    """
    m = (p + q) / 2
    return 0.5 * (torch.xlogy(p, p) + torch.xlogy(q, q)).sum(-1) - torch.xlogy(m, m).sum(-1)


def bilinear_game(
    method: str, rate: float, steps: int, start: tuple[float, float] = (1.0, 0.0)
) -> Tensor:
    """The path (steps + 1, 2) of two players of min_w max_theta w theta, whose only equilibrium is
    (0, 0).

    method: "simultaneous" gradient steps; "alternating", theta sees the new w; "extragradient",
        both look one step ahead first (Korpelevich, 1976).
    rate: of the steps.
    start: (w, theta).
    Raises ValueError for another method.

    >>> bilinear_game("simultaneous", rate=0.5, steps=1)
    tensor([[1.0000, 0.0000],
            [1.0000, 0.5000]], dtype=torch.float64)
    """
    if method not in ("simultaneous", "alternating", "extragradient"):
        raise ValueError(
            f"method: expected 'simultaneous', 'alternating' or 'extragradient', got {method!r}"
        )
    path = [start]
    for _ in range(steps):
        w, theta = path[-1]
        ahead = (w - rate * theta, theta + rate * w) if method == "extragradient" else (w, theta)
        new = w - rate * ahead[1]
        path.append((new, theta + rate * (new if method == "alternating" else ahead[0])))
    return torch.tensor(path, dtype=torch.float64)


def sharpness(x: Tensor) -> Tensor:
    """How steep the edges of images are: sum d^2 / sum |d| over the differences d of neighbouring
    pixels, (N, ..., H, W) to (N,).

    1 for pictures of pure black and white, 1/k if each edge is a ramp of k pixels, 0 for an empty
    picture. Noise is steep too: compare with real images.

    >>> sharpness(torch.tensor([[[0.0, 0.0, 1.0]], [[0.0, 0.5, 1.0]]]))
    tensor([1.0000, 0.5000])
    """
    steps = torch.cat([x.diff(dim=-1).flatten(1), x.diff(dim=-2).flatten(1)], 1)
    return (steps**2).sum(1) / steps.abs().sum(1).clamp(min=torch.finfo(x.dtype).tiny)


def frechet_distance(real: Tensor, generated: Tensor) -> float:
    """|m - m'|^2 + tr(C + C' - 2 (C C')^(1/2)) for the means and covariances of features (N, D) and
    (M, D) (Heusel et al., 2017).

    Compare only values of equal N and M: it is biased by the number of samples.

    >>> features = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
    >>> round(frechet_distance(features, features + 1), 4)
    2.0
    """
    f, f2 = (values.detach().double().cpu().numpy() for values in (real, generated))
    C, C2 = np.cov(f, rowvar=False), np.cov(f2, rowvar=False)
    root = np.sqrt(np.linalg.eigvals(C @ C2).real.clip(0)).sum()  # tr (C C')^(1/2)
    return float(((f.mean(0) - f2.mean(0)) ** 2).sum() + np.trace(C + C2) - 2 * root)


def _check_kind(kind: str) -> None:
    if kind not in KINDS:
        raise ValueError(f"kind: expected one of {KINDS}, got {kind!r}")
