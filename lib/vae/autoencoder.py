"""The variational autoencoder: a bound on log p(x), the networks that raise it, and what its codes
hold.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm.auto import tqdm

from .. import models
from ..training import History, MovingAverage, by_hundreds, descend


class VAE(nn.Module):
    """A variational autoencoder (Kingma and Welling, 2014).

    encoder: images (N, ...) to mean and log-variance of q(z|x), side by side (N, 2 D).
    decoder: codes (N, D) to one number for each of the P pixels of an image, (N, P).
    sigma: None for pixels that are 0 or 1, the decoder then gives their logits; a number for real
        pixels, normally distributed about the decoder's output with this standard deviation.
    classes: with K classes the VAE is conditional, p(x|y): the decoder is told the class y of the
        picture, as K more numbers behind the code, all 0 but that of the class (Sohn et al., 2015).
    Raises ValueError for a sigma that is not above 0.

    >>> vae = VAE(nn.Linear(6, 4), nn.Linear(2, 6))
    >>> mean, log_variance = vae.encode(torch.zeros(3, 6))
    >>> mean.shape, vae.decode(mean).shape
    (torch.Size([3, 2]), torch.Size([3, 6]))
    """

    def __init__(
        self,
        encoder: Callable[[Tensor], Tensor],
        decoder: Callable[[Tensor], Tensor],
        sigma: float | None = None,
        classes: int = 0,
    ) -> None:
        super().__init__()
        if sigma is not None and not sigma > 0:
            raise ValueError(f"sigma: expected None or a number above 0, got {sigma}")
        self.encoder, self.decoder = encoder, decoder
        self.sigma, self.classes = sigma, classes

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(z|x), (N, D) each."""
        mean, log_variance = self.encoder(x).chunk(2, 1)
        return mean, log_variance

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Codes (N, D), and for a conditional VAE classes (N,), to logits, or with sigma to mean
        pixels: (N, P).
        """
        if (y is None) == bool(self.classes):
            expected = f"classes (N,) from 0 to {self.classes - 1}" if self.classes else "None"
            raise ValueError(f"y: expected {expected}, got {'None' if y is None else 'classes'}")
        if y is not None:
            z = torch.cat([z, F.one_hot(y, self.classes).to(z)], 1)
        return self.decoder(z)

    def expected(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """The mean of p(x|z), or of p(x|z, y), pixel by pixel: (N, D) to (N, P)."""
        return self.decode(z, y) if self.sigma else self.decode(z, y).sigmoid()

    def log_likelihood(self, x: Tensor, decoded: Tensor) -> Tensor:
        """log p(x|z) for images x (N, ...) and what the decoder says of them (N, P): (N,), in
        nats.
        """
        x = x.flatten(1)
        if self.sigma:
            return gaussian_log_likelihood(x, decoded, self.sigma)
        return bernoulli_log_likelihood(x, decoded)

    def forward(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """One sampled reconstruction as `decode` gives it, mean and log-variance."""
        mean, log_variance = self.encode(x)
        return self.decode(reparameterize(mean, log_variance), y), mean, log_variance


class DenseDecoder(nn.Module):
    """Codes (N, D) to logits (N, P).

    sizes: D, the neurons of each hidden layer, and P.
    skip: each layer reads the code again, so that it cannot be forgotten on the way (Dieng et al.,
        2019).

    >>> DenseDecoder((2, 8, 64))(torch.zeros(3, 2)).shape
    torch.Size([3, 64])
    """

    def __init__(self, sizes: Sequence[int], skip: bool = True) -> None:
        super().__init__()
        self.skip = skip
        self.layers = nn.ModuleList(
            nn.Linear(a + (sizes[0] if skip and k else 0), b)
            for k, (a, b) in enumerate(zip(sizes, sizes[1:]))
        )

    def forward(self, z: Tensor) -> Tensor:
        h = self.layers[0](z)
        for layer in self.layers[1:]:
            h = F.silu(h)
            h = layer(torch.cat([h, z], -1) if self.skip else h)
        return h


class ConvolutionalDecoder(nn.Module):
    """Codes (N, D) to logits (N, 784): two dense layers that read the code, then two convolutions
    that double the size.

    >>> ConvolutionalDecoder(latent=4, width=2)(torch.zeros(3, 4)).shape
    torch.Size([3, 784])
    """

    def __init__(self, latent: int, width: int) -> None:
        super().__init__()
        self.dense = DenseDecoder((latent, 256, 49 * width))
        self.up = nn.Sequential(
            nn.Unflatten(1, (width, 7, 7)),
            nn.SiLU(),
            nn.Conv2d(width, 4 * width, 3, padding=1),
            nn.PixelShuffle(2),
            nn.SiLU(),
            nn.Conv2d(width, 4, 3, padding=1),
            nn.PixelShuffle(2),
            nn.Flatten(),
        )
        self.bias = nn.Parameter(torch.zeros(784))  # one for each pixel: most of an image is paper

    def forward(self, z: Tensor) -> Tensor:
        return self.up(self.dense(z)) + self.bias


def dense_vae(
    pixels: int = 64,
    hidden: Sequence[int] = (128,),
    latent: int = 8,
    skip: bool = True,
    sigma: float | None = None,
    seed: int = 0,
    classes: int = 0,
) -> VAE:
    """Dense layers with SiLU on both sides: images of `pixels` values, codes of `latent` numbers.
    Without hidden layers both are linear.

    hidden: the neurons of the encoder's hidden layers; the decoder has them in reverse.
    skip, sigma, classes: as for `DenseDecoder` and `VAE`, with its errors.
    seed: of the weights.

    Raises ValueError for a sigma that is not above 0.

    >>> dense_vae(latent=2).encode(torch.zeros(3, 1, 8, 8))[0].shape
    torch.Size([3, 2])
    """
    down = (pixels, *hidden, 2 * latent)
    with models.seeded(seed):
        layers = [part for a, b in zip(down, down[1:]) for part in (nn.SiLU(), nn.Linear(a, b))]
        return VAE(
            nn.Sequential(nn.Flatten(), *layers[1:]),
            DenseDecoder((latent + classes, *reversed(hidden), pixels), skip),
            sigma,
            classes,
        )


def convolutional_vae(latent: int = 32, width: int = 24, seed: int = 0) -> VAE:
    """Convolutions on both sides, for images (N, 1, 28, 28).

    >>> convolutional_vae(latent=4, width=2).encode(torch.zeros(3, 1, 28, 28))[0].shape
    torch.Size([3, 4])
    """
    with models.seeded(seed):
        encoder = nn.Sequential(
            nn.Conv2d(1, width, 4, stride=2, padding=1),
            nn.SiLU(),
            nn.Conv2d(width, width, 4, stride=2, padding=1),
            nn.SiLU(),
            nn.Flatten(),
            nn.Linear(49 * width, 256),
            nn.SiLU(),
            nn.Linear(256, 2 * latent),
        )
        return VAE(encoder, ConvolutionalDecoder(latent, width))


def mnist_vae() -> VAE:
    """`convolutional_vae()` with the committed weights of real 28 x 28 digits;
    lib/weights/vae_mnist.md says what it scores.

    >>> mnist_vae().expected(torch.zeros(1, 32)).shape
    torch.Size([1, 784])
    """
    return models.with_weights(convolutional_vae(), "vae_mnist")


#: The networks of `mnist_planes`.
PLANES = ("plain autoencoder", "VAE", "VAE, β = 4", "conditional VAE")


class Planes(nn.Module):
    """Networks for 28 x 28 digits whose codes are two numbers, by the names of `PLANES`; beside
    them what they make of 1,000 pictures.

    classes: (1000,), of the pictures.
    codes: (4, 1000, 2), the mean of q(z|x) by each network.

    >>> Planes().networks["VAE"].encode(torch.zeros(3, 1, 28, 28))[0].shape
    torch.Size([3, 2])
    """

    classes: Tensor
    codes: Tensor

    def __init__(self) -> None:
        super().__init__()
        classes = (0, 0, 0, 10)
        self.networks = nn.ModuleDict(
            {name: dense_vae(784, (64,) * 4, 2, classes=k) for name, k in zip(PLANES, classes)}
        )
        self.register_buffer("classes", torch.zeros(1000, dtype=torch.long))
        self.register_buffer("codes", torch.zeros(len(PLANES), 1000, 2))


def mnist_planes() -> Planes:
    """`Planes` with the committed weights of real 28 x 28 digits; lib/weights/planes_mnist.md says
    how they were trained and what they score.

    >>> planes = mnist_planes()
    >>> planes.networks["VAE"].expected(planes.codes[1, :1]).shape
    torch.Size([1, 784])
    """
    return models.with_weights(Planes(), "planes_mnist")


def reparameterize(
    mean: Tensor, log_variance: Tensor, generator: torch.Generator | None = None
) -> Tensor:
    """z = mean + exp(log_variance / 2) eps with eps ~ N(0, I): a sample of q, differentiable in
    both (Kingma and Welling, 2014).

    mean, log_variance: (..., D) each.

    >>> sure = torch.full((1, 2), -100.0)  # a variance of almost 0
    >>> reparameterize(torch.tensor([[1.0, 2.0]]), sure)
    tensor([[1., 2.]])
    """
    eps = torch.empty_like(mean).normal_(generator=generator)
    return mean + torch.exp(log_variance / 2) * eps


def kl_standard_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, exp(log_variance)) || N(0, I)) = 1/2 sum_d (mean_d^2 + exp(log_variance_d) - 1 -
    log_variance_d), in nats: (N, D) to (N,).

    >>> kl_standard_normal(torch.tensor([[1.0, 0.0]]), torch.zeros(1, 2))
    tensor([0.5000])
    """
    return 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(-1)


def bernoulli_log_likelihood(x: Tensor, logits: Tensor) -> Tensor:
    """log p(x|z) = sum_p x_p l_p - log(1 + exp(l_p)) for pixels x in [0, 1] and logits, (..., P)
    each or broadcast: (...,), in nats.

    >>> bernoulli_log_likelihood(torch.tensor([[1.0, 0.0]]), torch.zeros(1, 2))  # 2 log 1/2
    tensor([-1.3863])
    """
    x, logits = torch.broadcast_tensors(x, logits)
    return -F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(-1)


def gaussian_log_likelihood(x: Tensor, mean: Tensor, sigma: float) -> Tensor:
    """log N(x; mean, sigma^2 I) = -sum_p (x_p - mean_p)^2 / (2 sigma^2) - P/2 log(2 pi sigma^2):
    (..., P) to (...,), in nats.

    >>> gaussian_log_likelihood(torch.zeros(1, 1), torch.zeros(1, 1), sigma=1.0)  # -log sqrt(2 pi)
    tensor([-0.9189])
    """
    constant = x.shape[-1] * math.log(sigma * math.sqrt(2 * math.pi))
    return -((x - mean) ** 2).sum(-1) / (2 * sigma**2) - constant


@dataclass(frozen=True)
class Bound:
    """The evidence lower bound of each sample and its two parts, (N,) each in nats: total =
    reconstruction - kl.
    """

    total: Tensor
    reconstruction: Tensor
    kl: Tensor


def elbo(vae: VAE, x: Tensor, samples: int = 1, seed: int = 0, y: Tensor | None = None) -> Bound:
    """log p(x) >= E_q[log p(x|z)] - KL(q(z|x) || p(z)), with `samples` codes z for each image
    (Kingma and Welling, 2014, eq. 3 and 10).

    x: (N, ...), black and white pixels, 0 or 1; any real ones if the VAE has a sigma.
    y: classes (N,), for a conditional VAE, whose bound is one of log p(x|y).

    The bound is differentiable in the weights.
    Raises TypeError or ValueError for another x or fewer than one sample.

    >>> bound = elbo(dense_vae(), torch.zeros(3, 1, 8, 8))
    >>> torch.equal(bound.total, bound.reconstruction - bound.kl)
    True
    """
    _check(vae, x, samples)
    mean, log_variance = vae.encode(x)
    generator = torch.Generator(x.device).manual_seed(seed)
    total = torch.zeros_like(mean[:, 0])
    for _ in range(samples):
        z = reparameterize(mean, log_variance, generator)
        total = total + vae.log_likelihood(x, vae.decode(z, y))
    reconstruction = total / samples
    kl = kl_standard_normal(mean, log_variance)
    return Bound(reconstruction - kl, reconstruction, kl)


@torch.no_grad()
def importance_weighted_bound(
    vae: VAE, x: Tensor, samples: int = 50, seed: int = 0, at_once: int = 2**20
) -> Tensor:
    """log 1/K sum_k p(x, z_k) / q(z_k|x), K = `samples`: tends to log p(x) from below (Burda et
    al., 2016, eq. 8). (N, ...) to (N,), in nats.

    x: as for `elbo`, with its errors.
    at_once: pixels of one pass, which bounds the memory.
    Raises TypeError or ValueError for another x or fewer than one sample.

    >>> importance_weighted_bound(dense_vae(), torch.zeros(3, 1, 8, 8), samples=5).shape
    torch.Size([3])
    """
    _check(vae, x, samples)
    mean, log_variance = vae.encode(x)
    generator = torch.Generator(x.device).manual_seed(seed)
    flat, group, weights = x.flatten(1), max(1, at_once // x.numel()), []
    for first in range(0, samples, group):
        count = min(group, samples - first)
        means, log_variances = mean.repeat(count, 1), log_variance.repeat(count, 1)
        z = reparameterize(means, log_variances, generator)
        log_p = vae.log_likelihood(flat.repeat(count, 1), vae.decode(z)) - 0.5 * (z**2).sum(1)
        log_q = -0.5 * ((z - means) ** 2 / log_variances.exp() + log_variances).sum(1)
        # the constants of both Gaussians cancel
        weights.append((log_p - log_q).view(count, len(x)))
    return torch.logsumexp(torch.cat(weights), 0) - math.log(samples)


@torch.no_grad()
def latent_traversal(vae: VAE, z: Tensor, unit: int, values: Sequence[float] | Tensor) -> Tensor:
    """Mean pictures while one number of the code takes each of the T values: codes (N, D) to (N, T,
    P).

    unit: the place of that number in the code.
    values: the T values.
    Raises IndexError if the code has no such unit.

    >>> latent_traversal(dense_vae(), torch.zeros(2, 8), 3, [-1, 0, 1]).shape
    torch.Size([2, 3, 64])
    """
    values = torch.as_tensor(values, dtype=z.dtype, device=z.device)
    codes = z[:, None].repeat(1, len(values), 1)
    codes[:, :, unit] = values
    return vae.expected(codes.flatten(0, 1)).view(len(z), len(values), -1)


@torch.no_grad()
def active_units(vae: VAE, x: Tensor, threshold: float = 0.01) -> Tensor:
    """Which numbers of the code say something about x: Var_x(mean of q(z_d|x)) > threshold (Burda
    et al., 2016). (N, ...) to (D,) bool.

    >>> active_units(dense_vae(latent=8), torch.rand(50, 1, 8, 8)).shape
    torch.Size([8])
    """
    return vae.encode(x)[0].var(0, unbiased=False) > threshold


@torch.no_grad()
def kl_parts(vae: VAE, x: Tensor, samples: int = 10, seed: int = 0) -> tuple[Tensor, Tensor]:
    """The mean KL(q(z|x) || p(z)) as information I(x; z) and distance KL(q(z) || p(z)) of the
    aggregate posterior (Hoffman and Johnson, 2016).

    q(z) = 1/N sum_n q(z|x_n). Both are numbers in nats, estimated with `samples` codes for each of
    the N images; 0 <= I <= log N up to the noise of sampling. Memory grows with N^2.

    >>> information, distance = kl_parts(dense_vae(), torch.zeros(5, 1, 8, 8))
    >>> information.item() < 0.1  # equal images say nothing of which one it was
    True
    """
    mean, log_variance = vae.encode(x)
    generator = torch.Generator(x.device).manual_seed(seed)
    information = distance = torch.zeros_like(mean[0, 0])
    for _ in range(samples):
        z = reparameterize(mean, log_variance, generator)
        own = _log_normal(z, mean, log_variance)
        # log q(z_n | x_m) for all pairs, as three products of matrices instead of N x N x D
        # differences
        precision = (-log_variance).exp()
        pairs = -0.5 * (
            z**2 @ precision.T
            - 2 * z @ (mean * precision).T
            + (mean**2 * precision + log_variance).sum(1)
        )
        constant = z.shape[1] / 2 * math.log(2 * math.pi)
        aggregate = torch.logsumexp(pairs, 1) - math.log(len(x)) - constant
        prior = _log_normal(z, torch.zeros_like(mean), torch.zeros_like(mean))
        information = information + (own - aggregate).mean()
        distance = distance + (aggregate - prior).mean()
    return information / samples, distance / samples


def _log_normal(z: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    squared = (z - mean) ** 2 / log_variance.exp()
    return -0.5 * (squared + log_variance + math.log(2 * math.pi)).sum(-1)


def _check(vae: VAE, x: Tensor, samples: int) -> None:
    if not isinstance(vae, VAE):
        raise TypeError(f"vae: expected a VAE, got {type(vae).__name__}")
    if not isinstance(x, Tensor) or not x.is_floating_point():
        raise TypeError(
            f"x: expected a floating-point tensor (N, ...), got "
            f"{x.dtype if isinstance(x, Tensor) else type(x).__name__}"
        )
    if vae.sigma is None and not ((x == 0) | (x == 1)).all():
        raise ValueError(
            "x: expected black and white pixels, 0 or 1; draw them from grey ones by "
            "torch.bernoulli"
        )
    if samples < 1:
        raise ValueError(f"samples: expected at least 1, got {samples}")


def fit(
    vae: VAE,
    x: Tensor,
    steps: int,
    batch: int = 128,
    learning_rate: float = 3e-3,
    weight_decay: float = 0.0,
    beta: float = 1.0,
    warm_up: int = 0,
    average: float = 0.0,
    seed: int = 0,
    progress: bool = True,
    y: Tensor | None = None,
    noise: bool = True,
) -> History:
    """Raise the evidence lower bound in place, with Adam and a cosine schedule; afterwards the
    model is in evaluation mode.

    x: (N, ...), grey images in [0, 1]; each step draws black and white pixels anew with these
        probabilities, unless the VAE has a sigma and so reads grey ones.
    beta: weighs the KL term (Higgins et al., 2017).
    warm_up: steps in which the KL term grows from 0.
    average: keep a moving average of the weights with this decay.
    y: classes (N,), for a conditional VAE.
    noise: False decodes the mean itself; with beta = 0 this trains a plain autoencoder.

    The global random state is left as it was. Returns the mean loss of each hundred steps.
    Raises ValueError if the loss is not finite.

    >>> fit(dense_vae(), torch.rand(20, 1, 8, 8), steps=3, progress=False).steps
    3
    """
    with torch.random.fork_rng([x.device] if x.is_cuda else []):
        torch.manual_seed(seed)
        vae.train()
        optimizer = torch.optim.AdamW(vae.parameters(), learning_rate, weight_decay=weight_decay)

        def rate(k: int) -> float:
            cosine = torch.cos(torch.tensor(torch.pi * k / steps)).item()
            return min(1, 50 * k / steps) * (1 + cosine) / 2

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
        averaged = MovingAverage(vae, average)
        losses: list[float] = []
        for step in tqdm(range(steps), disable=not progress, leave=False, desc="training"):
            chosen = torch.randint(len(x), (batch,), device=x.device)
            pixels = x[chosen] if vae.sigma else torch.bernoulli(x[chosen])
            mean, log_variance = vae.encode(pixels)
            z = reparameterize(mean, log_variance) if noise else mean
            decoded = vae.decode(z, None if y is None else y[chosen])
            weight = beta * min(1, (step + 1) / warm_up) if warm_up else beta
            kl = kl_standard_normal(mean, log_variance)
            loss = (weight * kl - vae.log_likelihood(pixels, decoded)).mean()
            descend(optimizer, loss)
            schedule.step()
            averaged.update()
            losses.append(loss.item())
            if not math.isfinite(losses[-1]):
                raise ValueError(
                    f"loss: expected a finite value, got {losses[-1]} in step {step}; try a "
                    f"smaller learning_rate than {learning_rate}"
                )
    averaged.put()
    vae.eval()
    return History(by_hundreds(losses), steps)
