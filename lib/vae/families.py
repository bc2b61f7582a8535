"""Two other families of generative models of black and white images, small enough for an exact
likelihood.
"""

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
        hidden = len(self.b)
        if hidden > 20:
            raise ValueError(
                f"hidden: expected at most 20 neurons for an exact sum over their states, got "
                f"{hidden}"
            )
        sums = []
        for states in torch.arange(2**hidden, device=self.b.device).split(2**13):
            h = (states[:, None] >> torch.arange(hidden, device=self.b.device) & 1).to(self.b)
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
