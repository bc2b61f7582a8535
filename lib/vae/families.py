"""Four other families of generative models of black and white images, small enough for an exact
likelihood, or a narrow bound.
"""

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import models
from ..training import History, by_hundreds, descend
from .autoencoder import bernoulli_log_likelihood


class Autoregressive(nn.Module):
    """p(x) = prod_i p(x_i | x_1, ..., x_{i-1}), pixel by pixel, with one masked hidden layer
    (Germain et al., 2015).

    pixels, hidden: the numbers P of pixels and H of hidden neurons.

    A hidden neuron of degree k reads the pixels 1 to k only; pixel i is predicted from neurons of
    degree below i and from the pixels before it. So one pass gives all P conditionals.

    >>> Autoregressive(pixels=4, hidden=5).log_likelihood(torch.ones(2, 4)).shape
    torch.Size([2])
    """

    inner_mask: Tensor
    outer_mask: Tensor
    direct_mask: Tensor

    def __init__(self, pixels: int = 64, hidden: int = 128, seed: int = 0) -> None:
        super().__init__()
        place, degree = torch.arange(1, pixels + 1), torch.arange(hidden) % max(1, pixels - 1) + 1
        with models.seeded(seed):
            self.inner = nn.Linear(pixels, hidden)
            self.outer = nn.Linear(hidden, pixels)
            self.direct = nn.Linear(pixels, pixels, bias=False)
        self.register_buffer("inner_mask", (degree[:, None] >= place).float())
        self.register_buffer("outer_mask", (place[:, None] > degree).float())
        self.register_buffer("direct_mask", (place[:, None] > place).float())

    def forward(self, x: Tensor) -> Tensor:
        """Pixels 0 or 1 (N, ...) to logits (N, P); that of pixel i depends on the pixels before
        i.
        """
        x = x.flatten(1)
        h = F.silu(F.linear(x, self.inner.weight * self.inner_mask, self.inner.bias))
        through = F.linear(h, self.outer.weight * self.outer_mask, self.outer.bias)
        return through + F.linear(x, self.direct.weight * self.direct_mask)

    def log_likelihood(self, x: Tensor) -> Tensor:
        """log p(x), exact: (N, ...) to (N,), in nats.

        >>> everything = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 4)
        >>> bool((Autoregressive(4, 5).log_likelihood(everything).exp().sum() - 1).abs() < 1e-5)
        True
        """
        return bernoulli_log_likelihood(x.flatten(1), self(x))

    @torch.no_grad()
    def sample(self, count: int, seed: int = 0) -> Tensor:
        """`count` images, drawn one pixel after the other: (count, P)."""
        x = self.direct.weight.new_zeros(count, self.direct.in_features)
        generator = torch.Generator(x.device).manual_seed(seed)
        for i in range(x.shape[1]):
            x[:, i] = torch.bernoulli(self(x)[:, i].sigmoid(), generator=generator)
        return x


class Flow(nn.Module):
    """A normalising flow of affine couplings (Dinh et al., 2017): an invertible network f turns
    images into noise, log p(x) = log N(f(x); 0, I) + log |det f'(x)|.

    pixels, hidden: the numbers P of pixels and of hidden neurons of each coupling.
    layers: the number of couplings; each leaves one half of the numbers as it is, and from it
        computes the scale and the shift of the other half, so that the determinant is a product.

    >>> Flow(pixels=4, hidden=5).log_density(torch.rand(2, 4)).shape
    torch.Size([2])
    """

    halves: Tensor

    def __init__(self, pixels: int = 64, hidden: int = 24, layers: int = 4, seed: int = 0) -> None:
        super().__init__()
        with models.seeded(seed):
            orders = [torch.randperm(pixels) for _ in range((layers + 1) // 2)]
            self.nets = nn.ModuleList(
                nn.Sequential(nn.Linear(pixels, hidden), nn.SiLU(), nn.Linear(hidden, 2 * pixels))
                for _ in range(layers)
            )
        first = [(order < pixels // 2).float() for order in orders]
        self.register_buffer(
            "halves", torch.stack([half for h in first for half in (h, 1 - h)][:layers])
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Real numbers (N, P) to noise (N, P), and log |det| of the Jacobian (N,)."""
        log_det = torch.zeros_like(x[:, 0])
        for kept, net in zip(self.halves, self.nets):
            log_scale, shift = self._coupling(kept, net, x)
            x = x * log_scale.exp() + shift
            log_det = log_det + log_scale.sum(1)
        return x, log_det

    def inverse(self, z: Tensor) -> Tensor:
        """Noise (N, P) to real numbers (N, P).

        >>> flow, x = Flow(pixels=4, hidden=5), torch.rand(2, 4)
        >>> torch.allclose(flow.inverse(flow(x)[0]), x, atol=1e-5)
        True
        """
        for kept, net in reversed([*zip(self.halves, self.nets)]):
            log_scale, shift = self._coupling(kept, net, z)
            z = (z - shift) * (-log_scale).exp()
        return z

    @staticmethod
    def _coupling(kept: Tensor, net: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
        """Both 0 for the half that is kept, and computed from that half alone."""
        log_scale, shift = net(x * kept).chunk(2, 1)
        return 2 * torch.tanh(log_scale) * (1 - kept), shift * (1 - kept)

    def log_density(self, x: Tensor) -> Tensor:
        """log p(x) of real numbers (N, ...), exact: (N,), in nats."""
        z, log_det = self(x.flatten(1))
        return log_det - 0.5 * (z**2 + math.log(2 * math.pi)).sum(1)

    def log_likelihood(
        self, x: Tensor, samples: int = 1, generator: torch.Generator | None = None
    ) -> Tensor:
        """A lower bound of log p(x) for pixels 0 or 1, (N, ...) to (N,), in nats.

        The probability of a pixel is the density's integral over [x, x + 1]; uniform noise u in
        [0, 1) on the pixels stands for it, log p(x) >= E[log 1/K sum_k p(x + u_k)], with K =
        `samples` (Theis et al., 2016; for K > 1 as Burda et al., 2016).
        """
        x, weights = x.flatten(1), []
        for _ in range(samples):
            noise = torch.empty_like(x).uniform_(generator=generator)
            # both halves of [0, 2] are drawn apart to the whole line, where a Gaussian can reach
            share = 0.001 + 0.998 * (x + noise) / 2
            slope = math.log(0.499) - torch.log(share) - torch.log1p(-share)
            weights.append(self.log_density(torch.logit(share)) + slope.sum(1))
        return torch.logsumexp(torch.stack(weights), 0) - math.log(samples)

    @torch.no_grad()
    def sample(self, count: int, seed: int = 0) -> Tensor:
        """`count` images of pixels 0 or 1, in one pass: (count, P)."""
        generator = torch.Generator(self.halves.device).manual_seed(seed)
        z = torch.empty(count, self.halves.shape[1], device=self.halves.device)
        return (self.inverse(z.normal_(generator=generator)) > 0).float()


class RBM(nn.Module):
    """A restricted Boltzmann machine: p(x, h) = exp(x^T W h + a^T x + b^T h) / Z with x and h of
    zeros and ones (Smolensky, 1986).

    pixels, hidden: the numbers P of pixels and H of hidden neurons.

    No neuron is connected to one of its own layer, so that p(h|x) and p(x|h) are products.

    >>> RBM(pixels=4, hidden=3).log_likelihood(torch.ones(2, 4)).shape
    torch.Size([2])
    """

    def __init__(self, pixels: int = 64, hidden: int = 16, seed: int = 0) -> None:
        super().__init__()
        with models.seeded(seed):
            self.W = nn.Parameter(0.1 * torch.randn(pixels, hidden))
        self.a, self.b = nn.Parameter(torch.zeros(pixels)), nn.Parameter(torch.zeros(hidden))

    def log_unnormalised(self, x: Tensor) -> Tensor:
        """log sum_h exp(x^T W h + a^T x + b^T h) = a^T x + sum_j log(1 + exp(b_j + x^T W_j)): (N,
        ...) to (N,).
        """
        x = x.flatten(1)
        return x @ self.a + F.softplus(x @ self.W + self.b).sum(1)

    @torch.no_grad()
    def log_partition(self) -> Tensor:
        """log Z, exact: a sum over all 2^H states of the hidden layer. Raises ValueError for more
        than 20 hidden neurons.
        """
        sums = []
        for h in _states(len(self.b), self.b):
            sums.append(torch.logsumexp(h @ self.b + F.softplus(h @ self.W.T + self.a).sum(1), 0))
        return torch.logsumexp(torch.stack(sums), 0)

    @torch.no_grad()
    def log_likelihood(self, x: Tensor) -> Tensor:
        """log p(x), exact: (N, ...) to (N,), in nats.

        Raises ValueError for more than 20 hidden neurons.
        """
        return self.log_unnormalised(x) - self.log_partition()

    @torch.no_grad()
    def gibbs(self, x: Tensor, steps: int, generator: torch.Generator | None = None) -> Tensor:
        """Images (N, P) after `steps` times drawing h given x, then x given h."""
        for _ in range(steps):
            h = torch.bernoulli((x @ self.W + self.b).sigmoid(), generator=generator)
            x = torch.bernoulli((h @ self.W.T + self.a).sigmoid(), generator=generator)
        return x

    def sample(self, count: int, steps: int = 1000, seed: int = 0) -> Tensor:
        """`count` images at the end of as many chains of Gibbs sampling from noise: (count, P)."""
        generator = torch.Generator(self.W.device).manual_seed(seed)
        even = torch.full((count, len(self.a)), 0.5).to(self.W)
        return self.gibbs(torch.bernoulli(even, generator=generator), steps, generator)


class DeepBelief(nn.Module):
    """A deep belief network of two hidden layers (Hinton et al., 2006): p(x) = sum_h p(x|h) p(h),
    where p(x|h) are the arrows of the first RBM downwards, and p(h) is a second RBM.

    bottom: RBM of P pixels and H hidden neurons; its own p(h) is given up.
    top: RBM whose "pixels" are the H hidden neurons. None turns the first one upside down, so that
        nothing has changed yet: p(x) is that of the first RBM.

    >>> rbm, x = RBM(pixels=4, hidden=3), torch.ones(2, 4)
    >>> torch.allclose(DeepBelief(rbm).log_likelihood(x), rbm.log_likelihood(x), atol=1e-5)
    True
    """

    def __init__(self, bottom: RBM, top: RBM | None = None) -> None:
        super().__init__()
        if top is None:
            top = RBM(len(bottom.b), len(bottom.a)).to(bottom.W)
            with torch.no_grad():
                top.W.copy_(bottom.W.T)
                top.a.copy_(bottom.b)
                top.b.copy_(bottom.a)
        self.bottom, self.top = bottom, top

    @torch.no_grad()
    def up(self, x: Tensor, seed: int = 0) -> Tensor:
        """Hidden layers (N, H) drawn for images (N, ...): what the top learns from."""
        generator = torch.Generator(x.device).manual_seed(seed)
        p = (x.flatten(1) @ self.bottom.W + self.bottom.b).sigmoid()
        return torch.bernoulli(p, generator=generator)

    @torch.no_grad()
    def log_likelihood(self, x: Tensor) -> Tensor:
        """log p(x), exact, by a sum over all 2^H hidden layers: (N, ...) to (N,), in nats. Raises
        ValueError for more than 20 hidden neurons.
        """
        x, hidden = x.flatten(1), len(self.bottom.b)
        prior, likelihood = [], []
        for h in _states(hidden, self.bottom.b):
            logits = h @ self.bottom.W.T + self.bottom.a
            prior.append(self.top.log_unnormalised(h))
            given_h = x @ logits.T - F.softplus(logits).sum(1)  # log p(x|h)
            likelihood.append(torch.logsumexp(given_h + prior[-1], 1))
        log_partition = torch.logsumexp(torch.cat(prior), 0)
        return torch.logsumexp(torch.stack(likelihood), 0) - log_partition

    @torch.no_grad()
    def sample(self, count: int, steps: int = 1000, seed: int = 0) -> Tensor:
        """`count` images (count, P): Gibbs sampling in the top, then one pass down."""
        generator = torch.Generator(self.bottom.W.device).manual_seed(seed)
        h = self.top.sample(count, steps, seed)
        p = (h @ self.bottom.W.T + self.bottom.a).sigmoid()
        return torch.bernoulli(p, generator=generator)


def _states(hidden: int, like: Tensor) -> Iterator[Tensor]:
    """All 2^H states of a hidden layer, (8192, H) at a time."""
    if hidden > 20:
        raise ValueError(
            f"hidden: expected at most 20 neurons for an exact sum over their states, got {hidden}"
        )
    place = torch.arange(hidden, device=like.device)
    for states in torch.arange(2**hidden, device=like.device).split(2**13):
        yield (states[:, None] >> place & 1).to(like)


def fit_rbm(
    rbm: RBM,
    x: Tensor,
    steps: int = 3000,
    batch: int = 100,
    learning_rate: float = 0.05,
    seed: int = 0,
) -> History:
    """Raise the likelihood by persistent contrastive divergence (Tieleman, 2008), in place.

    x: (N, ...), pixels 0 or 1.

    The gradient of log Z is an expectation over the model; chains of Gibbs sampling that go on from
    step to step stand for it. Returns for each hundred steps the mean difference of
    log-unnormalised probability between chains and data.

    >>> fit_rbm(RBM(pixels=4, hidden=3), torch.ones(10, 4), steps=100).steps
    100
    """
    generator = torch.Generator(x.device).manual_seed(seed)
    x = x.flatten(1)
    chains = x[torch.randint(len(x), (batch,), generator=generator, device=x.device)]
    optimizer = torch.optim.SGD(rbm.parameters(), learning_rate)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.01, steps)
    losses: list[float] = []
    for _ in range(steps):
        chosen = x[torch.randint(len(x), (batch,), generator=generator, device=x.device)]
        chains = rbm.gibbs(chains, 1, generator)
        loss = rbm.log_unnormalised(chains).mean() - rbm.log_unnormalised(chosen).mean()
        descend(optimizer, loss)
        schedule.step()
        losses.append(loss.item())
    return History(by_hundreds(losses), steps)
