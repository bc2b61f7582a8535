"""Translation between sets of points or pictures without pairs: CycleGAN and StarGAN in worlds
whose true pairs are known.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm.auto import tqdm

from ..training import descend
from .adversarial import discriminator_loss, falling, generator_loss
from .crowds import Crowd


class Shift(nn.Module):
    """x plus what a network says: the translation that begins near "leave it as it is".

    x: rows (N, D) or pictures (N, C, H, W).
    domain: if given, (N, K); a picture gets it as K more channels of one value each.

    >>> Shift(nn.Linear(2, 2))(torch.zeros(3, 2)).shape
    torch.Size([3, 2])
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor, *domain: Tensor) -> Tensor:
        if x.ndim == 4:
            domain = tuple(k[:, :, None, None].expand(-1, -1, *x.shape[2:]) for k in domain)
        return x + self.net(torch.cat([x, *domain], 1))


def cycle_loss(x: Tensor, back: Tensor) -> Tensor:
    """mean |back - x|, the price of not coming back (Zhu et al., 2017, eq. 2); a number.

    >>> cycle_loss(torch.zeros(2, 2), torch.ones(2, 2))
    tensor(1.)
    """
    return (back - x).abs().mean()


@dataclass(frozen=True)
class CycleGAN:
    """Two translations between sets of rows (N, D) or pictures, and the critics of the two sides.

    to_b, to_a: rows to rows, pictures to pictures.
    critic_a, critic_b: of each a logit, high for real ones.
    """

    to_b: nn.Module
    to_a: nn.Module
    critic_a: nn.Module
    critic_b: nn.Module


def train_cycle(
    game: CycleGAN,
    a: Tensor,
    b: Tensor,
    steps: int,
    lam: float,
    batch: int,
    learning_rate: float = 1e-3,
    kind: str = "least squares",
    seed: int = 0,
    progress: bool = True,
    stay: float = 0.0,
    identity: float = 0.0,
) -> None:
    """Both translations fool the critic of the side they lead to, and pay `lam` times the cycle
    loss in both directions; in place (Zhu et al., 2017, eq. 3).

    a, b: the two sets (N, ...) and (M, ...), not paired.
    kind: of `generator_loss`, with its errors.
    stay: they also pay this many times the mean |F(x) - x|: the assumption that partners are near.
    identity: and this many times the mean |F(y) - y| for y that is where F leads to already (Zhu et
        al., 2017, section 5.2).

    Adam with a rate that falls to 0. The global random state is left as it was.
    Raises ValueError for another kind.

    >>> game = cycle_crowd(members=1)
    >>> train_cycle(game, torch.rand(20, 2), torch.rand(30, 2), 3, lam=1.0, batch=8, progress=False)
    """
    translators, critics = [game.to_b, game.to_a], [game.critic_a, game.critic_b]
    with torch.random.fork_rng([a.device] if a.is_cuda else []):
        torch.manual_seed(seed)
        players = [
            torch.optim.Adam(
                [p for net in nets for p in net.parameters()], learning_rate, betas=(0.5, 0.99)
            )
            for nets in (translators, critics)
        ]
        lower_rates = falling(players, steps)
        for _ in tqdm(range(steps), disable=not progress, leave=False, desc="training"):
            x, y = (part[torch.randint(len(part), (batch,), device=part.device)] for part in (a, b))
            fake_b, fake_a = game.to_b(x), game.to_a(y)
            on_a = discriminator_loss(game.critic_a(x), game.critic_a(fake_a.detach()), kind)
            on_b = discriminator_loss(game.critic_b(y), game.critic_b(fake_b.detach()), kind)
            descend(players[1], on_a + on_b)
            on_a = generator_loss(game.critic_a(fake_a), kind)
            on_b = generator_loss(game.critic_b(fake_b), kind)
            cycles = cycle_loss(x, game.to_a(fake_b)) + cycle_loss(y, game.to_b(fake_a))
            loss = on_a + on_b + lam * cycles
            if stay:
                loss = loss + stay * (cycle_loss(x, fake_b) + cycle_loss(y, fake_a))
            if identity:
                same_a, same_b = game.to_a(x), game.to_b(y)
                loss = loss + identity * (cycle_loss(x, same_a) + cycle_loss(y, same_b))
            descend(players[0], loss)
            lower_rates()


def cycle_crowd(members: int, shift: bool = False, width: int = 32, seed: int = 0) -> CycleGAN:
    """`members` CycleGANs for points in the plane, trained at once.

    shift: the translators add to their input.
    width: neurons of each of the two hidden layers.

    >>> cycle_crowd(members=3).to_b(torch.zeros(6, 2)).shape
    torch.Size([6, 2])
    """
    nets = [Crowd(members, (2, width, width, 2), seed=seed + k) for k in (0, 1)]
    critics = [Crowd(members, (2, width, width, 1), seed=seed + k) for k in (2, 3)]
    return CycleGAN(*map(Shift, nets), *critics) if shift else CycleGAN(*nets, *critics)


class Star(nn.Module):
    """One critic for K domains: rows (N, D) to (N,) real or not, and (N, K) which domain, as logits
    (Choi et al., 2018).

    >>> real, domain = Star(nn.Linear(2, 1 + 3))(torch.zeros(5, 2))
    >>> real.shape, domain.shape
    (torch.Size([5]), torch.Size([5, 3]))
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        both = self.net(x)
        return both[:, 0], both[:, 1:]


def train_star(
    translator: nn.Module,
    critic: Star,
    x: Tensor,
    domain: Tensor,
    steps: int,
    lam: float,
    batch: int,
    lam_domain: float = 1.0,
    learning_rate: float = 1e-3,
    kind: str = "least squares",
    seed: int = 0,
    progress: bool = True,
    judges: bool = False,
) -> None:
    """One translator (x, one-hot domain) for all pairs of the K domains; in place (Choi et al.,
    2018, eq. 5 and 6).

    x, domain: points (N, D) or pictures (N, C, H, W), and where they belong (N,).
    lam, lam_domain: the weights of the cycle loss and of the domain's cross-entropy.
    kind: of `generator_loss`, with its errors.

    The critic learns real from translated, and the domain of real points; the translator fools it
    in both, and pays `lam` times the cycle loss back to the domain it came from.

    judges: the critic names no domain; its K logits are judges instead, one for each domain, who
        say real or not of what belongs or is to belong there (Choi et al., 2020, eq. 1).

    Raises ValueError for another kind.

    >>> translator, critic = Shift(nn.Linear(2 + 3, 2)), Star(nn.Linear(2, 1 + 3))
    >>> domain = torch.arange(30) % 3
    >>> train_star(translator, critic, torch.rand(30, 2), domain, 3, 1.0, batch=8, progress=False)
    """
    count = int(domain.max()) + 1

    def says(verdict: tuple[Tensor, Tensor], domain: Tensor) -> Tensor:
        real, of_domains = verdict
        return of_domains.gather(1, domain[:, None])[:, 0] if judges else real

    with torch.random.fork_rng([x.device] if x.is_cuda else []):
        torch.manual_seed(seed)
        players = [
            torch.optim.Adam(net.parameters(), learning_rate, betas=(0.5, 0.99))
            for net in (translator, critic)
        ]
        lower_rates = falling(players, steps)
        for _ in tqdm(range(steps), disable=not progress, leave=False, desc="training"):
            chosen = torch.randint(len(x), (batch,), device=x.device)
            real, source = x[chosen], domain[chosen]
            goal = torch.randint(count, (batch,), device=x.device)
            fake = translator(real, F.one_hot(goal, count).to(real))
            of_real, of_fake = critic(real), critic(fake.detach())
            loss = discriminator_loss(says(of_real, source), says(of_fake, goal), kind)
            if not judges:
                loss = loss + lam_domain * F.cross_entropy(of_real[1], source)
            descend(players[1], loss)
            back = translator(fake, F.one_hot(source, count).to(real))
            of_fake = critic(fake)
            loss = generator_loss(says(of_fake, goal), kind)
            if not judges:
                loss = loss + lam_domain * F.cross_entropy(of_fake[1], goal)
            descend(players[0], loss + lam * cycle_loss(real, back))
            lower_rates()
