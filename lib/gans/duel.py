"""A game of two small networks, which the page plays too: one seed is one game, here and there."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..training import descend
from .adversarial import (
    Coverage,
    discriminator_loss,
    generator_loss,
    gradient_penalty,
    mode_coverage,
)
from .crowds import Crowd

#: What may keep the critic of a `Duel` from becoming too steep.
HOLDS = ("nothing", "gradient penalty", "spectral norm")
#: How the players of a `Duel` go downhill.
DESCENTS = ("Adam", "plain")

WIDTH, BATCH, SHOWN = 32, 64, 400  # neurons of a hidden layer; samples of a step; samples shown
SPREAD, PENALTY, BETAS = 0.1, 1.0, (0.5, 0.99)
VIEW = 1_000_000  # the seed of the samples shown


class Duel:
    """Games between a generator and a critic of points in the plane, one a seed, played at once.

    centres: (K, 2), of the blobs that are the data; their standard deviation is 0.1.
    seeds: of the M games. Start and batches are those of the page's figure `Arena` with that seed.

    Both networks are dense, 2 -> 32 -> 32 -> 2 or 1 with ReLU, in double precision. A step takes 64
    real samples and 64 codes.
    Raises ValueError for centres of another shape.

    >>> duel = Duel(torch.tensor([[2.0, 0.0], [-2.0, 0.0]]), seeds=range(3))
    >>> duel.play(2, kind="hinge", hold="gradient penalty").shape
    torch.Size([2, 3, 2])
    >>> duel.samples().shape
    torch.Size([3, 400, 2])
    """

    def __init__(self, centres: Tensor, seeds: Sequence[int] = (0,)) -> None:
        if centres.ndim != 2 or centres.shape[1] != 2 or not len(centres):
            raise ValueError(f"centres: expected shape (K, 2), got {tuple(centres.shape)}")
        self.centres = centres.double()
        self.turns = 0
        self.random = Stream(seeds)
        self.generator, self.critic = (
            Crowd(len(seeds), (2, WIDTH, WIDTH, out)).double() for out in (2, 1)
        )
        for net in (self.generator, self.critic):
            _fill(net, self.random)
        weights = [[*net.parameters()] for net in (self.generator, self.critic)]
        self.descents: dict[str, list[torch.optim.Optimizer]] = {
            "Adam": [torch.optim.Adam(own, betas=BETAS) for own in weights],
            "plain": [torch.optim.SGD(own) for own in weights],
        }
        view, codes, _ = batch(Stream([VIEW]), self.centres, SHOWN)
        self.view, self.codes = view[0], codes[0].repeat(len(seeds), 1)

    def play(
        self,
        turns: int,
        kind: str = "non-saturating",
        hold: str = "nothing",
        critic_steps: int = 1,
        generator_steps: int = 1,
        learning_rate: float = 3e-3,
        descent: str = "Adam",
    ) -> Tensor:
        """Go on with the games; the losses (turns, M, 2) of critic and generator, before the last
        steps of each turn, without the penalty.

        kind: of `generator_loss`.
        hold: of `HOLDS`; the penalty has the weight 1.
        critic_steps, generator_steps: in a turn; the second is 0 or 1.
        descent: of `DESCENTS`; "plain" goes down the gradient itself.

        Raises ValueError for another kind, hold or descent.

        >>> losses = Duel(torch.zeros(1, 2)).play(3, kind="saturating", critic_steps=0)
        >>> bool(losses.isfinite().all())
        True
        """
        if hold not in HOLDS:
            raise ValueError(f"hold: expected one of {HOLDS}, got {hold!r}")
        if descent not in DESCENTS:
            raise ValueError(f"descent: expected one of {DESCENTS}, got {descent!r}")
        self.critic.spectral = hold == "spectral norm"
        for player in (players := self.descents[descent]):
            player.param_groups[0]["lr"] = learning_rate
        losses = []
        for _ in range(turns):
            for step in range(max(1, critic_steps)):
                real, codes, share = batch(self.random, self.centres, BATCH)
                fake = self.generator(codes.flatten(0, 1))
                of_critic = self._critic_losses(real, fake.detach(), kind)
                if step < critic_steps:
                    total = of_critic.sum()
                    if hold == "gradient penalty":
                        total = total + self._penalty(real, fake, share)
                    descend(players[1], total)
            logits = self.critic.shares(self.critic(fake))
            of_generator = torch.stack([generator_loss(part, kind) for part in logits])
            if generator_steps:
                descend(players[0], of_generator.sum())
            losses.append(torch.stack([of_critic, of_generator], 1).detach())
        self.turns += turns
        return torch.stack(losses)

    def samples(self) -> Tensor:
        """(M, 400, 2): what the generators make of the 400 codes that the page shows.

        >>> Duel(torch.zeros(1, 2)).samples().shape
        torch.Size([1, 400, 2])
        """
        with torch.no_grad():
            return self.generator.shares(self.generator(self.codes))

    def coverage(self) -> list[Coverage]:
        """Of each game: a blob is covered if a quarter of its share of the samples lies within 0.3
        of its centre.

        >>> Duel(torch.full((1, 2), 9.0)).coverage()[0].covered
        0
        """
        enough = max(1, SHOWN // len(self.centres) // 4)
        return [mode_coverage(part, self.centres, 3 * SPREAD, enough) for part in self.samples()]

    def judged(self, points: Tensor, kind: str = "non-saturating") -> tuple[Tensor, Tensor]:
        """What the critics say of points (M, N, 2), (M, N), and the gradient of the generator's
        loss of each point there, (M, N, 2).

        >>> logits, slope = Duel(torch.zeros(1, 2)).judged(torch.zeros(1, 5, 2))
        >>> logits.shape, slope.shape
        (torch.Size([1, 5]), torch.Size([1, 5, 2]))
        """
        x = points.flatten(0, 1).double().requires_grad_()
        self.critic.eval()  # power iterations rest
        logits = self.critic(x)
        (slope,) = torch.autograd.grad(len(x) * generator_loss(logits, kind), x)
        self.critic.train()
        return self.critic.shares(logits.detach()), self.critic.shares(slope)

    def _critic_losses(self, real: Tensor, fake: Tensor, kind: str) -> Tensor:
        """(M,): real and false samples are judged in one pass, as the page does."""
        both = torch.cat([real, self.critic.shares(fake)], 1)
        logits = self.critic.shares(self.critic(both.flatten(0, 1)))
        r, f = logits.split(BATCH, 1)
        return torch.stack([discriminator_loss(a, b, kind) for a, b in zip(r, f)])

    def _penalty(self, real: Tensor, fake: Tensor, share: Tensor) -> Tensor:
        """The sum over the games. The places between are the game's own draws: between a place and
        itself `gradient_penalty` finds only that place.
        """
        x = (share * real + (1 - share) * self.critic.shares(fake)).flatten(0, 1)
        mean = gradient_penalty(self.critic, x, x, torch.Generator())
        return PENALTY * self.critic.members * mean


class Stream:
    """Numbers in (0, 1) that the page draws too: a seed and a place are mixed, by the finalizer of
    MurmurHash3 (Appleby, 2011), twice.

    >>> Stream([0, 1]).uniform(3).shape
    torch.Size([2, 3])
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        self.keys = _mixed(np.array([*seeds], dtype=np.uint32) + np.uint32(1))
        self.place = 1

    def uniform(self, *shape: int) -> Tensor:
        """(M, *shape) for M seeds, double."""
        count = int(np.prod(shape))
        places = np.arange(self.place, self.place + count, dtype=np.uint32)
        self.place += count
        mixed = _mixed(_mixed(places) + self.keys[:, None])
        return torch.from_numpy((mixed + 0.5) / 2**32).view(-1, *shape)


def _mixed(x: np.ndarray) -> np.ndarray:
    x = (x ^ (x >> 16)) * np.uint32(0x85EBCA6B)
    x = (x ^ (x >> 13)) * np.uint32(0xC2B2AE35)
    return x ^ (x >> 16)


def _normal(pairs: Tensor) -> Tensor:
    """(..., 2 n) uniform numbers to (..., n) normal ones (Box and Muller, 1958)."""
    first, second = pairs.unflatten(-1, (-1, 2)).unbind(-1)
    return (-2 * first.log()).sqrt() * (2 * torch.pi * second).cos()


def batch(random: Stream, centres: Tensor, n: int) -> tuple[Tensor, Tensor, Tensor]:
    """n real samples (M, n, 2) of blobs about the centres, n codes (M, n, 2), and n shares
    (M, n, 1) in (0, 1).
    """
    drawn = random.uniform(n, 10)
    chosen = (drawn[..., 0] * len(centres)).long()
    real = centres[chosen] + SPREAD * _normal(drawn[..., 1:5])
    return real, _normal(drawn[..., 5:9]), drawn[..., 9:]


def _fill(net: Crowd, random: Stream) -> None:
    """Start as `Crowd` does, from this stream."""
    with torch.no_grad():
        for k, (weight, bias) in enumerate(zip(net.weights, net.biases)):
            a, b = weight.shape[1:]
            for values in (weight, bias):
                drawn = random.uniform(*values.shape[1:])
                values.copy_((2 * drawn - 1) / a**0.5)
            getattr(net, f"direction{k}").copy_(_normal(random.uniform(a, 2)))
